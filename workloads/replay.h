/*
 * workloads/replay.h - a recorded program as the workload
 *
 * Two ways to replay one plan (sim/trace/plan.h):
 *   trace order    one task does every action in the recorded order and compares what happens with
 *                  what the recorded kernel did: replay_check()
 *   program order  every recorded task is a task; it keeps its own order and waits for what it
 *                  depended on; addresses are relocated. This is what is timed: workload_replay
 */
#ifndef MMSIM_WORKLOADS_REPLAY_H
#define MMSIM_WORKLOADS_REPLAY_H

#include <stdio.h>

#include <mmsim/file.h>
#include <mmsim/mm.h>
#include <mmsim/workload.h>

#include "sim/trace/plan.h"

/* ---- what both orders share: replay_world.c ------------------------------------------------ */

/* The objects of a plan on one machine. All functions: the caller is a task of the machine. */
struct replay_world {
	const struct plan *plan;
	struct machine *machine;
	const struct arch_desc *arch;
	const struct mm_locking *locking;
	struct inode **inodes; /* [plan inode] */
	struct file **files;   /* [plan file] */
};

/* 0 or -ENOMEM (nothing to undo). Page caches start warm: recordings are of programs that ran
 * before. */
int MUST_CHECK replay_world_init(struct replay_world *w, const struct plan *plan, struct machine *m,
				 const struct arch_desc *arch, const struct mm_locking *locking);
void replay_world_fini(struct replay_world *w);
/* Simulated memory that a replay may need. */
u64 replay_memory_bytes(const struct plan *plan);

/* An empty address space whose limits are those that no recording shows: none. NULL: no memory. */
struct mm *MUST_CHECK replay_new_mm(struct replay_world *w);

/*
 * Make recorded call c on mm with arg[] (its own, or relocated ones) and its file. place: where
 * a mapping goes whose place the model cannot choose (MAP_32BIT, hugetlb); 0: nowhere. Linux's
 * result.
 */
s64 replay_call(struct replay_world *w, struct mm *mm, const struct plan_call *c, const u64 *arg,
		u64 place);
/* A PLAN_ORPHAN, at its place if that is free: the address or -errno. */
s64 replay_orphan(struct replay_world *w, struct mm *mm, const struct plan_action *a);
/* One PLAN_IMAGE_* action. 0 or -errno. */
int MUST_CHECK replay_image(struct replay_world *w, struct mm *mm, const struct plan_action *a);
/*
 * Calls lazy[0..n), 1 <= n <= REPLAY_OVERLAP_MAX, were entered before call c took effect, and have
 * not returned. Which of them took effect before c? One bit each: as few as what is recorded of c,
 * and of those that choose a place, needs; all of them when nothing explains it. mm is as before
 * all.
 */
u32 replay_order(struct replay_world *w, struct mm *mm, const struct plan_call *c, const u32 *lazy,
		 u32 n);
#define REPLAY_OVERLAP_MAX 10
/* The access of a page-fault error code. */
enum access_kind replay_access(u64 error_code);

/* ---- program order: replay_program.c --------------------------------------------------------- */

struct replay_program;

/* What bench_config.arg is for workload_replay. */
struct replay_job {
	const struct replay_program *program;
	double think; /* share of the recorded time between events that is spent: 0 none */
};
extern const struct workload workload_replay; /* not in workload_all[]: it needs a job */

/* ---- trace order: replay_check.c ------------------------------------------------------------- */

#define REPLAY_DIFFERENCES_SHOWN 5
#define REPLAY_LINE_BYTES 200

struct replay_stats {
	u64 results_equal, results_different; /* mmap, mremap */
	u64 extents_equal, extents_different; /* VMAs against MMAP2 records */
	u64 faults_inside, faults_outside;
	u64 faults_low;       /* below mmap_min_addr: a SIGSEGV, and no difference */
	u64 faults_signalled; /* outside, and the recorded kernel sent SIGSEGV too */
	u64 faults_vsyscall;  /* no part of the address space */
	u64 faults_denied;    /* of those inside: the VMA forbids it */
	u64 faults_needed, faults_mapped;
	u64 other_equal, other_different; /* results of the other calls */
	u64 limited; /* refused by the recorded kernel for limits that are not recorded */
};

struct replay_report {
	struct replay_stats *procs; /* [plan process] */
	struct replay_stats total;
	char (*differences)[REPLAY_LINE_BYTES]; /* [process * SHOWN + i], "" when there are fewer */
	u32 proc_count;
};

struct replay_check_config {
	const struct plan *plan;
	const struct arch_desc *arch;
	const struct mm_locking *locking;
	struct mm_config mm;
	u64 seed;
	u64 stop_ns;  /* ~0: to the end */
	s32 maps_pid; /* 0: none */
	FILE *maps;   /* where to print maps_pid's mappings at stop_ns */
};

/*
 * Replay in trace order on a machine of its own. 0; -ESRCH: maps_pid does not run at stop_ns;
 * -ENOMEM. The caller must not be entered. report is filled in (and to be freed) on 0 only.
 */
int MUST_CHECK replay_check(const struct replay_check_config *cfg, struct replay_report *report);
void replay_report_free(struct replay_report *report);
/* Does it hold a difference that counts? */
bool replay_stats_differ(const struct replay_stats *s);
/* As `mmsim replay --check` prints it. pid 0: every process and the total. */
void replay_report_print(const struct replay_report *report, const struct plan *plan, s32 pid,
			 FILE *out);

#endif
