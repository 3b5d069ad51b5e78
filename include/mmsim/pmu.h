/*
 * mmsim/pmu.h - performance events of the host, by name (libpfm4's names: "INST_RETIRED", "cycles",
 * "perf::PAGE-FAULTS", ...)
 *
 * A set counts the calling thread and every thread that it creates after pmu_open(): so open, then
 * engine_run(). A machine without a PMU still has the software events; the others are *absent*,
 * which is not the same as 0.
 */
#ifndef MMSIM_PMU_H
#define MMSIM_PMU_H

#include <mmsim/types.h>

struct pmu;

/*
 * Open the events, stopped, at 0. Returns 0; -EINVAL: a name that libpfm does not know, or -ENOMEM.
 * On failure why[] has one line that says which name, and *out is NULL.
 * An event that is known but cannot be had here is no failure: it is absent.
 */
int MUST_CHECK pmu_open(struct pmu **out, const char *const *names, u32 count, char *why,
			size_t why_bytes);
void pmu_close(struct pmu *p); /* NULL is fine */

void pmu_start(struct pmu *p); /* from 0 */
void pmu_stop(struct pmu *p);

u32 pmu_count(const struct pmu *p);
const char *pmu_name(const struct pmu *p, u32 idx); /* as given to pmu_open() */
/* The idx-th event's count, scaled up if the host had to multiplex. False: absent. */
bool MUST_CHECK pmu_read(const struct pmu *p, u32 idx, u64 *value);
/* One line that says why events are absent, or NULL when none is. Lives as long as p. */
const char *pmu_absent_reason(const struct pmu *p);

#endif
