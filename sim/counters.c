/*
 * sim/counters.c - names, units and meanings of the counters, from the one list in counters.h
 */
#include <mmsim/counters.h>

#define COUNTER_INFO(name, unit, meaning) [COUNTER_##name] = {#name, unit, meaning},
const struct counter_info counter_info[COUNTER_COUNT] = {MMSIM_COUNTERS(COUNTER_INFO)};
