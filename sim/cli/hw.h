/* sim/cli/hw.h - the hw_ columns: events of the host around one run */
#ifndef MMSIM_CLI_HW_H
#define MMSIM_CLI_HW_H

#include "sim/cli/results.h"

struct pmu;

/* Open them for the calling thread and those that it will start. NULL: none can be had; *why (256
 * bytes) says why. */
struct pmu *hw_open(char *why, size_t why_bytes);
/* For bench_config.on_measure; arg is the struct pmu. */
void hw_on_measure(void *arg, bool begin);
/* Into r->hw (-1: absent). p may be NULL. */
void hw_read(const struct pmu *p, struct result *r);

#endif
