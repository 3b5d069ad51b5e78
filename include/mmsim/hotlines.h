/*
 * mmsim/hotlines.h - the cache lines that cost a run the most time, by name (virtual engine)
 */
#ifndef MMSIM_HOTLINES_H
#define MMSIM_HOTLINES_H

#include <stdio.h>

#include <mmsim/types.h>

struct machine;

struct hot_line {
	char name[64];	     /* "mm->mmap_lock.count"; "region+0x1240" where nothing is registered */
	u64 line;	     /* its number: the same in every run */
	u32 instance;	     /* which of the objects of that name, by address; 0 is the first */
	u64 transfers;	     /* accesses that had to go out to it */
	u64 owner_changes;   /* of these, writes that took it from another CPU */
	u64 wait_sim_ns;     /* queueing for it */
	u64 cost_sim_ns;     /* queueing and transfer */
	double cpu_share;    /* cost as a share of all CPUs' time since the reset */
};

/* The first n by cost; ties by line. Returns how many there are. No task may run. */
u32 hot_lines_top(struct machine *m, struct hot_line *out, u32 n);
/* Start counting anew: between warm-up and measurement. Any task may call it. */
void hot_lines_reset(struct machine *m);
/* As a table. */
void hot_lines_print(struct machine *m, u32 n, FILE *out);

/* Priced operations, and switches between tasks, so far: how fast the simulation is. */
struct engine_activity {
	u64 operations, transfers, task_switches;
};
struct engine_activity machine_activity(const struct machine *m);

#endif
