/*
 * workloads/replay_program.h - a plan cut into tasks, with what each step must wait for
 *
 * Guarantee    Steps of a task are in recorded order. A step's prerequisites are earlier in the
 *              recorded order, so waiting for them cannot deadlock. Every two steps that conflict
 * are ordered, by one task's own order or by a chain of prerequisites: a touch after the call that
 * last changed the mapping under it, a call that changes a mapping after all touches of what it
 * changes, brk after brk; the first step of a task after the one that started it, fork after
 * everything, and before everything later, in the space that is copied, a vfork parent's next step
 * after the child's exec or exit, the end of a space after everything in it. Not in a recording, so
 * not kept: futexes, pipes, wait(). Tests        tests/unit/workloads/test_replay_program.c
 */
#ifndef MMSIM_WORKLOADS_REPLAY_PROGRAM_H
#define MMSIM_WORKLOADS_REPLAY_PROGRAM_H

#include "sim/trace/plan.h"
#include "workloads/replay_units.h"

/* A range of recorded addresses inside one unit. */
struct replay_piece {
	u64 start, len;
	u32 unit;
};

struct replay_step {
	u64 action;             /* of the plan */
	u32 dep, dep_count;     /* in deps[]: must be done before this begins */
	u32 piece, piece_count; /* in pieces[]: what a call acts on, in address order */
	u32 unit;               /* of a touch's address; of a call's first argument */
	u32 new_unit; /* that this step makes (mmap, mremap), or UNIT_NONE; of a MAP_FIXED, whose
		       * pieces may be new in part: the first that would be */
	bool awaited; /* somebody waits for it */
	bool stray;   /* a fault that the recorded mapping did not allow either */
};

struct replay_lane { /* what one task of the run does */
	u64 first;   /* in steps[] */
	u64 count;
};

struct replay_program {
	const struct plan *plan;
	struct replay_step *steps; /* lane by lane */
	u64 step_count;
	struct replay_lane *lanes;
	u32 lane_count;
	struct step_ref *deps; /* task: lane */
	u64 dep_count;
	struct replay_piece *pieces;
	u64 piece_count;
	u32 unit_count;
	u64 ops; /* calls, faults and forks */
};

/* pid 0: everything. At most lanes_max tasks: more share lanes. 0; -ESRCH: no such process, or it
 * does nothing; -ENOMEM. */
int MUST_CHECK replay_program_create(const struct plan *plan, s32 pid, u32 lanes_max,
				     struct replay_program **out);
void replay_program_free(struct replay_program *rp);

/* Is this action an operation (counted, timed)? */
static inline bool replay_is_op(u8 kind)
{
	return kind == PLAN_CALL || kind == PLAN_STEP || kind == PLAN_FAULT ||
	       kind == PLAN_SPACE_FORK;
}

#endif
