/* sim/trace/plan_internal.h - what plan*.c share */
#ifndef MMSIM_SIM_TRACE_PLAN_INTERNAL_H
#define MMSIM_SIM_TRACE_PLAN_INTERNAL_H

#include "sim/trace/plan.h"

struct planner {
	struct plan *p;
	const struct trace *t;
	u64 action_cap, call_cap, proc_cap, task_cap, space_cap, inode_cap, file_cap;
	u32 *task_of; /* [trace task]: current plan task, or PLAN_NONE */
	struct id_map *tasks_by_id, *procs_by_id; /* pid << 32 | tid; pid */
	u64 event;                                /* being handled */
	bool no_memory;
};

/* plan.c. NULL / PLAN_NONE with no_memory set when there is no memory. */
struct plan_action *plan_emit(struct planner *pl, enum plan_kind kind, u32 task, u32 space);
u32 plan_new_call(struct planner *pl);
bool plan_grow(void **array, u64 count, u64 *cap, size_t size);

/* plan_files.c: which open file a mapping is of */
u32 plan_file_of_record(struct planner *pl, struct plan_proc *proc, const struct trace_event *rec,
			s32 fd);
void plan_file_grow(struct planner *pl, u32 file, const struct trace_event *rec);
bool plan_same_inode(struct planner *pl, u32 file, const struct trace_event *rec);
u32 plan_file_unknown(struct planner *pl, struct plan_proc *proc, s32 fd);
u32 plan_file_by_fd(const struct plan_proc *proc, s32 fd);
void plan_fd_set(struct planner *pl, struct plan_proc *proc, s32 fd, u32 file);
void plan_fd_copy(struct planner *pl, struct plan_proc *to, const struct plan_proc *from);
bool plan_record_is_file(const struct trace *t, const struct trace_event *rec);
void plan_judge_devices(struct planner *pl);

/* plan_exec.c: from PERF_RECORD_COMM exec to sys_exit_execve */
void plan_exec_begin(struct planner *pl, u32 task);
void plan_exec_record(struct planner *pl, u32 task, const struct trace_event *rec);
void plan_exec_fault(struct planner *pl, u32 task, u64 va);
void plan_exec_end(struct planner *pl, u32 task);

/* plan.c: process moves to another space */
u32 plan_new_space(struct planner *pl, u32 parent);
void plan_leave_space(struct planner *pl, u32 task, u32 proc);

/* id_map.c: u64 key to u32, PLAN_NONE when absent */
struct id_map *id_map_create(void);
void id_map_destroy(struct id_map *m);
u32 id_map_get(const struct id_map *m, u64 key);
bool id_map_set(struct id_map *m, u64 key, u32 value);

#endif
