/*
 * mmsim/hotlines.h - the cache lines that cost a run the most time, by name (virtual engine)
 */
#ifndef MMSIM_HOTLINES_H
#define MMSIM_HOTLINES_H

#include <stdio.h>

#include <mmsim/types.h>

struct machine;

/* Tasks that waited for a lock in the line: from the first attempt that failed until they had it, spinning or
 * asleep, with the transfers that this took, whatever line they were of (queue nodes). */
struct hot_wait {
	char name[64];
	u64 waits, wait_sim_ns;
};
#define HOT_WAITS 3 /* locks per line */

/*
 * A line. Its name is that of the word that most of the transfers are because of: one that is written; of a line that
 * nobody writes, one that is read. Where tasks waited for a lock in it longer than for the line itself, it is the lock's.
 */
struct hot_line {
	char name[64];	     /* "mm->mmap_lock.count"; "region+0x1240" where nothing is registered */
	char written[192];   /* "vma->vm_refcnt, vma->vm_lock_seq": because of whose writes it moves ... */
	char read[192];	     /* ... and what else was looked for when it had moved; both: most first */
	char along[64];	     /* the adjacent line, if it moves because that one is written (cache.prefetch_adjacent) */
	u64 line;	     /* its number: the same in every run */
	u32 instance;	     /* which of the objects of that name, by address; 0 is the first */
	u32 wait_count;	     /* of waits[] */
	u64 transfers;	     /* accesses that had to go out to it */
	u64 owner_changes;   /* of these, writes that took it from another CPU */
	u64 queue_sim_ns;    /* queueing for it */
	u64 cost_sim_ns;     /* queueing and transfer, but for what is in lock_wait_sim_ns */
	u64 lock_wait_sim_ns; /* of all locks in it */
	struct hot_wait waits[HOT_WAITS]; /* longest first */
	double time_share;   /* cost and lock waits as a share of the tasks' time since the reset */
};

/* The first n by cost and lock waits; ties by line. Returns how many there are. No task may run. */
u32 hot_lines_top(struct machine *m, struct hot_line *out, u32 n);
/* Start counting anew, and no more: at the beginning and the end of a measurement. Any task may call them. */
void hot_lines_reset(struct machine *m);
void hot_lines_stop(struct machine *m);
/* As a table, with the sum of all lines, and what else tasks waited for. */
void hot_lines_print(struct machine *m, u32 n, FILE *out);

/* Priced operations, and switches between tasks, so far: how fast the simulation is. */
struct engine_activity {
	u64 operations, transfers, task_switches;
};
struct engine_activity machine_activity(const struct machine *m);

#endif
