/* sim/virtual/timeline.h - what the engine tells the timeline: timeline.c */
#ifndef MMSIM_VIRTUAL_TIMELINE_H
#define MMSIM_VIRTUAL_TIMELINE_H

#include <mmsim/timeline.h>

struct vcpu;
struct vtask;

/* c goes on with t (NULL: nobody). */
void timeline_runs(struct vcpu *c, const struct vtask *t);
void timeline_sleeps(const struct vtask *t);
void timeline_woken(const struct vtask *t, u64 now_ps);
/* It could run on, and has lost its CPU. */
void timeline_preempted(const struct vtask *t);
/* An interrupt leaves; its number, for the next one. */
u64 timeline_ipi_sent(const struct vcpu *sender, const struct vcpu *target);
void timeline_ipi_handled(const struct vcpu *target, u64 number, u64 start_ps, u64 end_ps);
/* All have been acknowledged. */
void timeline_ipi_done(const struct vcpu *sender, u64 since_ps, u32 targets);
void timeline_gp_started(const struct machine *m, u64 now_ps);
void timeline_gp_ended(const struct machine *m, u64 now_ps);

#endif
