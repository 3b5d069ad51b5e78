/*
 * sim/cli/hw.c - the hw_ columns: which events, and their libpfm4 names
 *
 * They count all tasks from the beginning to the end of task 0's measurement. Events that the
 * machine lacks are absent (-1: empty cells), not 0.
 */
#include <mmsim/pmu.h>

#include "sim/cli/hw.h"

static const struct {
	const char *column, *event;
} events[] = {
	{"cycles", "perf::CYCLES"},
	{"instructions", "perf::INSTRUCTIONS"},
	{"cache_references", "perf::CACHE-REFERENCES"},
	{"cache_misses", "perf::CACHE-MISSES"},
	{"branch_misses", "perf::BRANCH-MISSES"},
	{"dtlb_load_misses", "perf::DTLB-LOAD-MISSES"},
	{"page_faults", "perf::PAGE-FAULTS"},
	{"context_switches", "perf::CONTEXT-SWITCHES"},
	{"cpu_migrations", "perf::CPU-MIGRATIONS"},
};
_Static_assert(ARRAY_SIZE(events) <= RESULT_HW_MAX, "more events than a result holds");

u32 result_hw_count(void)
{
	return ARRAY_SIZE(events);
}

const char *result_hw_name(u32 i)
{
	return events[i].column;
}

struct pmu *hw_open(char *why, size_t why_bytes)
{
	const char *names[ARRAY_SIZE(events)];
	struct pmu *p;

	for (u32 i = 0; i < ARRAY_SIZE(events); i++)
		names[i] = events[i].event;
	return pmu_open(&p, names, ARRAY_SIZE(events), why, why_bytes) == 0 ? p : NULL;
}

void hw_on_measure(void *arg, bool begin)
{
	if (begin)
		pmu_start(arg);
	else
		pmu_stop(arg);
}

void hw_read(const struct pmu *p, struct result *r)
{
	for (u32 i = 0; i < ARRAY_SIZE(events); i++) {
		u64 n;

		r->hw[i] = p && pmu_read(p, i, &n) ? (s64)n : -1;
	}
}
