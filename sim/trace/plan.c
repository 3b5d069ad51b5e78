/*
 * sim/trace/plan.c - from events to actions in the order in which they took effect
 *
 * Two passes. The first links each system call's enter, its exit and the MMAP2 records between.
 * The second walks the events in time order and emits actions:
 * - mmap, mprotect, brk: at their first MMAP2 record, which the kernel writes while it holds the
 *   lock for write. Without a record (failed, or nothing to do): at their exit.
 * - munmap, mremap, mlock..., a brk that shrinks: at their exit, or before the next call of another
 *   task on the same space that took effect after they were entered ("lazy" calls).
 * - madvise: at its enter. A fault: at its event. fork: at PERF_RECORD_FORK. exec: plan_exec.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/uapi.h>

#include "sim/trace/plan_internal.h"

#define PID_KEY(pid, tid) ((u64)(u32)(pid) << 32 | (u32)(tid))
#define CLONE_VM_FLAG 0x100u
#define CLONE_KNOWN 0x80000000u /* clone_flags was seen, even if it is 0 */

bool plan_grow(void **array, u64 count, u64 *cap, size_t size)
{
	u64 want = *cap ? *cap * 2 : 256;
	void *bigger;

	if (count < *cap)
		return true;
	if (count >= PLAN_NONE - 1)
		return false;
	bigger = realloc(*array, want * size);
	if (!bigger)
		return false;
	*array = bigger;
	*cap = want;
	return true;
}

struct plan_action *plan_emit(struct planner *pl, enum plan_kind kind, u32 task, u32 space)
{
	struct plan *p = pl->p;
	struct plan_action *a;

	if (!plan_grow((void **)&p->actions, p->action_count, &pl->action_cap, sizeof(*a))) {
		pl->no_memory = true;
		return NULL;
	}
	a = &p->actions[p->action_count++];
	*a = (struct plan_action){
		.time_ns = pl->t->events[pl->event].time_ns,
		.event = pl->event,
		.task = task,
		.space = space,
		.call = PLAN_NONE,
		.kind = (u8)kind,
	};
	return a;
}

u32 plan_new_call(struct planner *pl)
{
	struct plan *p = pl->p;

	if (!plan_grow((void **)&p->calls, p->call_count, &pl->call_cap, sizeof(*p->calls))) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->calls[p->call_count] = (struct plan_call){
		.exit_event = ~0ull,
		.first_record = ~0ull,
		.file = PLAN_NONE,
	};
	return p->call_count++;
}

/* ---- spaces ---------------------------------------------------------------------------------- */

u32 plan_new_space(struct planner *pl, u32 parent)
{
	struct plan *p = pl->p;

	if (!plan_grow((void **)&p->spaces, p->space_count, &pl->space_cap, sizeof(*p->spaces))) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->spaces[p->space_count] = (struct plan_space){
		.parent = parent,
		.done_action = ~0ull,
		.stack_call = PLAN_NONE,
		.image_file = PLAN_NONE,
	};
	if (parent != PLAN_NONE)
		p->spaces[p->space_count].brk_known = true;
	return p->space_count++;
}

void plan_leave_space(struct planner *pl, u32 task, u32 proc)
{
	u32 space = pl->p->procs[proc].space;

	pl->p->procs[proc].space = PLAN_NONE;
	if (space == PLAN_NONE || --pl->p->spaces[space].users)
		return;
	plan_emit(pl, PLAN_SPACE_PUT, task, space);
	free(pl->p->spaces[space].lazy);
	pl->p->spaces[space].lazy = NULL;
	pl->p->spaces[space].lazy_count = pl->p->spaces[space].lazy_cap = 0;
}

/* ---- processes and tasks --------------------------------------------------------------------- */

static u32 new_proc(struct planner *pl, s32 pid)
{
	struct plan *p = pl->p;

	if (!plan_grow((void **)&p->procs, p->proc_count, &pl->proc_cap, sizeof(*p->procs)) ||
	    !id_map_set(pl->procs_by_id, (u32)pid, p->proc_count)) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->procs[p->proc_count] =
		(struct plan_proc){.pid = pid, .space = PLAN_NONE, .parent = PLAN_NONE};
	return p->proc_count++;
}

static u32 find_proc(struct planner *pl, s32 pid)
{
	u32 proc = id_map_get(pl->procs_by_id, (u32)pid);

	return proc != PLAN_NONE ? proc : new_proc(pl, pid);
}

static u32 new_task(struct planner *pl, s32 pid, s32 tid, u32 proc, u32 parent)
{
	struct plan *p = pl->p;

	if (proc == PLAN_NONE ||
	    !plan_grow((void **)&p->tasks, p->task_count, &pl->task_cap, sizeof(*p->tasks)) ||
	    !id_map_set(pl->tasks_by_id, PID_KEY(pid, tid), p->task_count)) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->tasks[p->task_count] = (struct plan_task){
		.pid = pid,
		.tid = tid,
		.proc = proc,
		.parent = parent,
		.open_call = PLAN_NONE,
		.last_fault = ~0ull,
	};
	p->procs[proc].live++;
	return p->task_count++;
}

static u32 find_task(struct planner *pl, s32 pid, s32 tid)
{
	u32 task = id_map_get(pl->tasks_by_id, PID_KEY(pid, tid));

	if (task != PLAN_NONE)
		return task;
	return new_task(pl, pid, tid, find_proc(pl, pid), PLAN_NONE);
}

/* The plan task that a line is of. The map from the trace's tasks is a cache: new_task() for the
 * same ids (reuse, exec) goes through renew_task(). */
static u32 task_of(struct planner *pl, const struct trace_event *e)
{
	u32 task = pl->task_of[e->task];

	if (task == PLAN_NONE) {
		const struct trace_task *t = &pl->t->tasks[e->task];

		task = find_task(pl, t->pid, t->tid);
		if (task == PLAN_NONE)
			return PLAN_NONE;
		pl->task_of[e->task] = task;
		if (!pl->p->procs[pl->p->tasks[task].proc].name)
			pl->p->procs[pl->p->tasks[task].proc].name = t->comm;
	}
	return task;
}

/* These ids mean another task from now on. */
static u32 renew_task(struct planner *pl, s32 pid, s32 tid, u32 proc, u32 parent)
{
	for (u32 i = 0; i < pl->t->task_count; i++)
		if (pl->t->tasks[i].pid == pid && pl->t->tasks[i].tid == tid)
			pl->task_of[i] = PLAN_NONE;
	return new_task(pl, pid, tid, proc, parent);
}

/* The space of a task; one that ran before the recording gets an empty one. */
static u32 space_of(struct planner *pl, u32 task)
{
	struct plan *p = pl->p;
	u32 proc = p->tasks[task].proc, space;
	struct plan_action *a;

	space = p->procs[proc].space;
	if (space != PLAN_NONE && p->spaces[space].was_running &&
	    pl->t->events[pl->event].time_ns) {
		p->spaces[space].was_running = false;
		a = plan_emit(pl, PLAN_IMAGE_DONE, task, space);
		if (a)
			a->a = p->spaces[space].highest_end;
	}
	if (space != PLAN_NONE || p->tasks[task].exited)
		return space;
	space = plan_new_space(pl, PLAN_NONE);
	if (space == PLAN_NONE)
		return PLAN_NONE;
	p->procs[proc].space = space;
	p->procs[proc].was_running = true;
	p->spaces[space].users = 1;
	plan_emit(pl, PLAN_SPACE_NEW, task, space);
	return space;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void emit_call(struct planner *pl, u32 task, u32 space, u32 call)
{
	struct plan_action *a = plan_emit(pl, PLAN_CALL, task, space);

	pl->p->calls[call].emitted = true;
	if (a)
		a->call = call;
}

static void lazy_add(struct planner *pl, u32 space, u32 call)
{
	struct plan_space *s = &pl->p->spaces[space];
	u64 cap = s->lazy_cap;

	if (!plan_grow((void **)&s->lazy, s->lazy_count, &cap, sizeof(*s->lazy))) {
		pl->no_memory = true;
		return;
	}
	s->lazy_cap = (u32)cap;
	s->lazy[s->lazy_count++] = call;
	pl->p->calls[call].lazy = true;
}

static void lazy_remove(struct planner *pl, u32 space, u32 call)
{
	struct plan_space *s = &pl->p->spaces[space];

	pl->p->calls[call].lazy = false;
	for (u32 i = 0; i < s->lazy_count; i++)
		if (s->lazy[i] == call) {
			memmove(s->lazy + i, s->lazy + i + 1,
				(s->lazy_count - i - 1) * sizeof(*s->lazy));
			s->lazy_count--;
			return;
		}
}

/* `call` (PLAN_NONE: something that is no call) takes effect: lazy ones of other tasks first. */
static void commit(struct planner *pl, u32 space, u32 call)
{
	for (;;) {
		const struct plan_space *s = &pl->p->spaces[space];
		u32 i = 0, lazy;

		while (i < s->lazy_count && s->lazy[i] == call)
			i++;
		if (i >= s->lazy_count || pl->no_memory)
			return;
		lazy = s->lazy[i];
		lazy_remove(pl, space, lazy);
		emit_call(pl, pl->p->calls[lazy].task, space, lazy);
		if (!pl->no_memory)
			pl->p->actions[pl->p->action_count - 1].flags = PLAN_CALL_EARLY;
		pl->p->calls[lazy].early = true;
	}
}

static bool is_lazy(const struct plan_call *c)
{
	switch (c->sys) {
	case SYS_TRACE_munmap:
	case SYS_TRACE_mremap:
	case SYS_TRACE_mlock:
	case SYS_TRACE_mlock2:
	case SYS_TRACE_munlock:
	case SYS_TRACE_mlockall:
	case SYS_TRACE_munlockall:
	case SYS_TRACE_shmdt:
		return true;
	case SYS_TRACE_brk:
		return c->arg[0] && !c->records;
	default:
		return false;
	}
}

static bool is_mm_call(u8 sys)
{
	return sys <= SYS_TRACE_munlockall || sys == SYS_TRACE_shmdt;
}

/* The first brk of an image tells where its heap begins. */
static void learn_brk(struct planner *pl, u32 space, const struct plan_call *c)
{
	struct plan_space *s = &pl->p->spaces[space];
	u64 start = (u64)c->result;

	if (s->brk_known || !c->has_result)
		return;
	s->brk_known = true;
	if (c->arg[0] && start == c->arg[0] && c->first_record != ~0ull)
		start = pl->t->events[c->first_record].arg[0];
	if (s->done_action != ~0ull)
		pl->p->actions[s->done_action].b = start;
}

static void on_enter(struct planner *pl, u32 task, u32 call)
{
	struct plan_call *c = &pl->p->calls[call];
	u32 space;

	pl->p->tasks[task].open_call = call;
	c->task = task;
	if (!is_mm_call(c->sys))
		return;
	space = space_of(pl, task);
	if (space == PLAN_NONE)
		return;
	if (c->sys == SYS_TRACE_brk)
		learn_brk(pl, space, c);
	if (c->sys == SYS_TRACE_madvise)
		emit_call(pl, task, space, call);
	else if (is_lazy(c))
		lazy_add(pl, space, call);
}

/* Descriptors: only when the recording has these calls. */
static void return_fd(struct planner *pl, u32 task, const struct plan_call *c)
{
	struct plan_proc *proc = &pl->p->procs[pl->p->tasks[task].proc];

	if (c->result < 0)
		return;
	switch (c->sys) {
	case SYS_TRACE_open:
	case SYS_TRACE_openat:
	case SYS_TRACE_openat2:
	case SYS_TRACE_creat:
	case SYS_TRACE_memfd_create:
		plan_fd_set(pl, proc, (s32)c->result, PLAN_NONE);
		break;
	case SYS_TRACE_close:
		plan_fd_set(pl, proc, (s32)c->arg[0], PLAN_NONE);
		break;
	case SYS_TRACE_dup:
	case SYS_TRACE_dup2:
	case SYS_TRACE_dup3:
		plan_fd_set(pl, proc, (s32)c->result, plan_file_by_fd(proc, (s32)c->arg[0]));
		break;
	default:
		break;
	}
}

static void on_return(struct planner *pl, u32 task)
{
	struct plan_task *t = &pl->p->tasks[task];
	u32 call = t->open_call, space = pl->p->procs[t->proc].space;
	struct plan_call *c;

	if (call == PLAN_NONE)
		return;
	c = &pl->p->calls[call];
	if (is_mm_call(c->sys) && space != PLAN_NONE) {
		bool stepped = c->sys == SYS_TRACE_mprotect || c->sys == SYS_TRACE_pkey_mprotect;

		if (c->lazy)
			lazy_remove(pl, space, call);
		if (c->early) {
			struct plan_action *a = plan_emit(pl, PLAN_RETURN, task, space);

			if (a)
				a->call = call;
		} else if (!c->emitted) {
			if (!stepped && c->sys != SYS_TRACE_munmap && c->result >= 0)
				commit(pl, space, call);
			if (c->sys == SYS_TRACE_mmap && !(c->arg[3] & MAP_ANONYMOUS))
				c->file = plan_file_unknown(pl, &pl->p->procs[t->proc],
							    (s32)c->arg[4]);
			emit_call(pl, task, space, call);
		}
	}
	return_fd(pl, task, &pl->p->calls[call]);
	pl->p->tasks[task].open_call = PLAN_NONE;
}

static void emit_record(struct planner *pl, u32 task, u32 space)
{
	plan_emit(pl, PLAN_RECORD, task, space);
}

/* A mapping that no call of its task explains: shmat, io_setup, or before the recording began. */
static void orphan(struct planner *pl, u32 task, u32 space, const struct trace_event *rec)
{
	u32 call = plan_new_call(pl), file = PLAN_NONE;
	struct plan_action *a;

	commit(pl, space, PLAN_NONE);
	if (plan_record_is_file(pl->t, rec))
		file = plan_file_of_record(pl, &pl->p->procs[pl->p->tasks[task].proc], rec, -1);
	a = plan_emit(pl, PLAN_ORPHAN, task, space);
	if (!a || call == PLAN_NONE)
		return;
	a->call = call;
	a->flags = rec->flags;
	if (file != PLAN_NONE)
		pl->p->files[file].writable = true;
	pl->p->calls[call].arg[0] = rec->arg[0];
	pl->p->calls[call].arg[1] = rec->arg[1];
	pl->p->calls[call].arg[5] = trace_map_field(pl->t, rec, MAP_PGOFF);
	pl->p->calls[call].file = file;
}

static void commit_at_record(struct planner *pl, u32 task, u32 space, u32 call,
			     const struct trace_event *rec)
{
	struct plan_call *c = &pl->p->calls[call];
	bool steps = c->records > 1 && c->sys != SYS_TRACE_mmap && c->sys != SYS_TRACE_brk;
	struct plan_action *a;

	if (!c->emitted && pl->event == c->first_record)
		commit(pl, space, call);
	c = &pl->p->calls[call];
	if (c->sys == SYS_TRACE_mmap && !c->emitted && plan_record_is_file(pl->t, rec)) {
		u32 file = plan_file_of_record(pl, &pl->p->procs[pl->p->tasks[task].proc], rec,
					       c->arg[3] & MAP_ANONYMOUS ? -1 : (s32)c->arg[4]);

		c->file = file;
		if (file != PLAN_NONE && (c->arg[3] & MAP_TYPE) != MAP_PRIVATE &&
		    ((c->arg[2] & PROT_WRITE) || (c->arg[3] & MAP_ANONYMOUS)))
			pl->p->files[file].writable = true;
	}
	if (steps) {
		a = plan_emit(pl, PLAN_STEP, task, space);
		if (a)
			a->call = call;
	} else if (!c->emitted) {
		emit_call(pl, task, space, call);
	}
	emit_record(pl, task, space);
}

/* The task's last event was a fault in it: a stack that grew. */
static bool is_stack_growth(const struct plan *p, u64 last_fault, const struct trace_event *rec)
{
	const struct plan_action *fault = last_fault == ~0ull ? NULL : &p->actions[last_fault];

	return fault && fault->a >= rec->arg[0] && fault->a < rec->arg[0] + rec->arg[1];
}

/* A mapping that was there when the recording began (its records have no time). */
static void earlier_mapping(struct planner *pl, u32 task, u32 space, const struct trace_event *rec)
{
	const char *name = trace_name(pl->t, (u32)trace_map_field(pl->t, rec, MAP_NAME));
	struct plan_space *s = &pl->p->spaces[space];

	if (name[0] == '[' && strcmp(name, "[heap]") && strcmp(name, "[vsyscall]")) {
		plan_exec_record(pl, task, rec);
	} else if (rec->arg[0] < 1ull << 47) {
		s->highest_end = max(s->highest_end, rec->arg[0] + rec->arg[1]);
		orphan(pl, task, space, rec);
	}
	pl->p->spaces[space].was_running = true;
}

static void on_record(struct planner *pl, u32 task, const struct trace_event *rec, u64 last_fault)
{
	struct plan *p = pl->p;
	u32 call = p->tasks[task].open_call, space;
	u8 sys = call == PLAN_NONE ? TRACE_SYSCALL_COUNT : p->calls[call].sys;

	if (p->procs[p->tasks[task].proc].execing) {
		plan_exec_record(pl, task, rec);
		return;
	}
	/* The temporary stack of an image that is not there yet. */
	if (sys == SYS_TRACE_execve || sys == SYS_TRACE_execveat)
		return;
	space = space_of(pl, task);
	if (space == PLAN_NONE)
		return;
	if (!rec->time_ns)
		earlier_mapping(pl, task, space, rec);
	else if (is_stack_growth(p, last_fault, rec))
		emit_record(pl, task, space);
	else if (sys == SYS_TRACE_mmap || sys == SYS_TRACE_mprotect ||
		 sys == SYS_TRACE_pkey_mprotect || sys == SYS_TRACE_brk)
		commit_at_record(pl, task, space, call, rec);
	else
		orphan(pl, task, space, rec);
}

/* ---- tasks come and go ----------------------------------------------------------------------- */

/* clone3 hides its flags. A vfork's parent returns only after the child's exec or exit. */
static bool child_came_first(struct planner *pl, const struct plan_call *c, u64 child)
{
	u64 end = min(c->exit_event, pl->t->event_count);

	for (u64 i = pl->event + 1; i < end; i++) {
		const struct trace_event *e = &pl->t->events[i];
		const struct trace_task *by = &pl->t->tasks[e->task];

		if (by->pid != trace_pid(child))
			continue;
		if (e->kind == TRACE_TASK_EXIT || (e->kind == TRACE_COMM && e->arg[0]))
			return true;
		if (e->kind == TRACE_ENTER &&
		    (e->sys == SYS_TRACE_execve || e->sys == SYS_TRACE_execveat))
			return true;
	}
	return false;
}

static bool shares_space(struct planner *pl, u32 parent, u64 child)
{
	u32 call = pl->p->tasks[parent].open_call;
	const struct plan_call *c;

	if (call == PLAN_NONE)
		return false;
	c = &pl->p->calls[call];
	if (c->sys == SYS_TRACE_vfork)
		return true;
	if (c->sys == SYS_TRACE_clone)
		return c->arg[0] & CLONE_VM_FLAG;
	if (c->sys != SYS_TRACE_clone3)
		return false;
	if (c->clone_flags & CLONE_KNOWN)
		return c->clone_flags & CLONE_VM_FLAG;
	return child_came_first(pl, c, child);
}

static void child_process(struct planner *pl, u32 parent, u64 child)
{
	struct plan *p = pl->p;
	u32 space = space_of(pl, parent), proc = new_proc(pl, trace_pid(child)), task, copy;
	struct plan_action *a;
	bool shares;

	if (space == PLAN_NONE || proc == PLAN_NONE)
		return;
	plan_fd_copy(pl, &p->procs[proc], &p->procs[p->tasks[parent].proc]);
	p->procs[proc].parent = p->tasks[parent].proc;
	p->procs[proc].name = p->procs[p->tasks[parent].proc].name;
	task = renew_task(pl, trace_pid(child), trace_tid(child), proc, parent);
	if (task == PLAN_NONE)
		return;
	shares = shares_space(pl, parent, child);
	if (shares) {
		p->spaces[space].users++;
		p->procs[proc].space = space;
	} else {
		commit(pl, space, PLAN_NONE);
		copy = plan_new_space(pl, space);
		a = plan_emit(pl, PLAN_SPACE_FORK, parent, space);
		if (!a || copy == PLAN_NONE)
			return;
		a->a = copy;
		p->spaces[copy].users = 1;
		p->procs[proc].space = copy;
	}
	a = plan_emit(pl, PLAN_TASK_START, parent, space);
	if (!a)
		return;
	a->a = task;
	a->flags = shares ? PLAN_START_SHARES : 0;
}

static void on_fork(struct planner *pl, const struct trace_event *e)
{
	struct plan *p = pl->p;
	u32 parent = find_task(pl, trace_pid(e->arg[1]), trace_tid(e->arg[1])), task;
	struct plan_action *a;

	/* Before the recording began, perf names the tasks that there are. */
	if (parent == PLAN_NONE || !e->time_ns)
		return;
	if (trace_pid(e->arg[0]) != trace_pid(e->arg[1])) {
		child_process(pl, parent, e->arg[0]);
		return;
	}
	task = renew_task(pl, trace_pid(e->arg[0]), trace_tid(e->arg[0]), p->tasks[parent].proc,
			  parent);
	a = plan_emit(pl, PLAN_TASK_START, parent, space_of(pl, parent));
	if (a)
		a->a = task;
}

static void task_exits(struct planner *pl, u32 task)
{
	struct plan_task *t = &pl->p->tasks[task];
	struct plan_proc *proc = &pl->p->procs[t->proc];

	if (t->exited)
		return;
	if (t->open_call != PLAN_NONE && pl->p->calls[t->open_call].lazy)
		lazy_remove(pl, proc->space, t->open_call);
	t->open_call = PLAN_NONE;
	t->exited = true;
	plan_emit(pl, PLAN_TASK_EXIT, task, proc->space);
	if (--proc->live == 0)
		plan_leave_space(pl, task, t->proc);
}

static void on_task_exit(struct planner *pl, const struct trace_event *e)
{
	u32 task = id_map_get(pl->tasks_by_id, e->arg[0]);

	if (task != PLAN_NONE)
		task_exits(pl, task);
}

/* The task that called exec is now the leader, and the only one. */
static void on_exec(struct planner *pl, u32 name, u64 who)
{
	struct plan *p = pl->p;
	u32 leader = find_task(pl, trace_pid(who), trace_pid(who)), proc;

	if (leader == PLAN_NONE)
		return;
	proc = p->tasks[leader].proc;
	if (p->tasks[leader].exited)
		leader = renew_task(pl, trace_pid(who), trace_pid(who), proc,
				    p->tasks[leader].parent);
	if (leader == PLAN_NONE)
		return;
	for (u32 i = 0; i < p->task_count; i++)
		if (p->tasks[i].proc == proc && i != leader && !p->tasks[i].exited)
			task_exits(pl, i);
	p->procs[proc].name = name;
	p->procs[proc].was_running = false;
	plan_exec_begin(pl, leader);
}

static void on_comm(struct planner *pl, const struct trace_event *e)
{
	u32 proc;

	if (e->arg[0]) {
		on_exec(pl, e->ext, e->arg[1]);
		return;
	}
	proc = id_map_get(pl->procs_by_id, (u32)trace_pid(e->arg[1]));
	if (proc != PLAN_NONE && trace_pid(e->arg[1]) == trace_tid(e->arg[1]))
		pl->p->procs[proc].name = e->ext;
}

static void on_fault(struct planner *pl, u32 task, const struct trace_event *e)
{
	struct plan_task *t = &pl->p->tasks[task];
	u32 space = space_of(pl, task);
	struct plan_action *a;

	if (space == PLAN_NONE)
		return;
	if (pl->p->procs[t->proc].execing)
		plan_exec_fault(pl, task, e->arg[0]);
	a = plan_emit(pl, PLAN_FAULT, task, space);
	if (!a)
		return;
	a->a = e->arg[0];
	a->b = e->arg[1];
	a->flags = e->flags & TRACE_FAULT_KERNEL ? PLAN_FAULT_KERNEL : 0;
	pl->p->tasks[task].last_fault = (u64)(a - pl->p->actions);
	pl->p->procs[pl->p->tasks[task].proc].faults++;
	pl->p->fault_count++;
}

/* ---- the two passes -------------------------------------------------------------------------- */

static bool link_calls(struct planner *pl, u32 *open)
{
	const struct trace *t = pl->t;

	for (u32 i = 0; i < t->task_count; i++)
		open[i] = PLAN_NONE;
	for (u64 i = 0; i < t->event_count; i++) {
		const struct trace_event *e = &t->events[i];
		u32 call = open[e->task];
		struct plan_call *c;

		if (e->kind == TRACE_ENTER) {
			call = plan_new_call(pl);
			if (call == PLAN_NONE)
				return false;
			c = &pl->p->calls[call];
			c->sys = e->sys;
			c->enter_event = i;
			c->enter_ns = e->time_ns;
			for (u32 k = 0; k < trace_syscall_args[e->sys]; k++)
				c->arg[k] = trace_arg(t, e, k);
			open[e->task] = call;
			continue;
		}
		if (call == PLAN_NONE)
			continue;
		c = &pl->p->calls[call];
		if (e->kind == TRACE_EXIT) {
			if (c->sys == e->sys) {
				c->exit_event = i;
				c->exit_ns = e->time_ns;
				c->result = (s64)e->arg[0];
				c->has_result = true;
			}
			open[e->task] = PLAN_NONE;
		} else if (e->kind == TRACE_MAP) {
			if (!c->records++)
				c->first_record = i;
		} else if (e->kind == TRACE_NEWTASK) {
			c->clone_flags = (u32)e->arg[1] | CLONE_KNOWN;
		}
	}
	return true;
}

static void handle(struct planner *pl, const struct trace_event *e, u32 *next_call)
{
	u64 last_fault;
	u32 task;

	switch (e->kind) {
	case TRACE_COMM:
		on_comm(pl, e);
		return;
	case TRACE_FORK:
		on_fork(pl, e);
		return;
	case TRACE_TASK_EXIT:
		on_task_exit(pl, e);
		return;
	default:
		break;
	}
	if (e->kind == TRACE_ENTER)
		(*next_call)++;
	/* A dying task prints as -1/-1; 0 is an idle CPU. */
	if (pl->t->tasks[e->task].pid <= 0)
		return;
	task = task_of(pl, e);
	if (task == PLAN_NONE)
		return;
	last_fault = pl->p->tasks[task].last_fault;
	if (e->kind == TRACE_SIGNAL && e->arg[0] == 11 && last_fault != ~0ull)
		pl->p->actions[last_fault].flags |= PLAN_FAULT_SIGNAL;
	pl->p->tasks[task].last_fault = ~0ull;
	if (e->kind == TRACE_ENTER)
		on_enter(pl, task, *next_call - 1);
	else if (e->kind == TRACE_FAULT)
		on_fault(pl, task, e);
	else if (e->kind == TRACE_MAP)
		on_record(pl, task, e, last_fault);
	else if (e->kind == TRACE_EXIT) {
		if ((e->sys == SYS_TRACE_execve || e->sys == SYS_TRACE_execveat) && !e->arg[0] &&
		    pl->p->procs[pl->p->tasks[task].proc].execing)
			plan_exec_end(pl, task);
		on_return(pl, task);
	}
}

static bool planner_init(struct planner *pl, const struct trace *t, u32 **open)
{
	*pl = (struct planner){.t = t, .p = calloc(1, sizeof(*pl->p))};
	pl->task_of = malloc((t->task_count + 1) * sizeof(*pl->task_of));
	*open = malloc((t->task_count + 1) * sizeof(**open));
	pl->tasks_by_id = id_map_create();
	pl->procs_by_id = id_map_create();
	if (!pl->p || !pl->task_of || !*open || !pl->tasks_by_id || !pl->procs_by_id)
		return false;
	pl->p->t = t;
	for (u32 i = 0; i < t->task_count; i++)
		pl->task_of[i] = PLAN_NONE;
	return true;
}

int plan_create(const struct trace *t, struct plan **out, struct trace_error *err)
{
	struct planner pl;
	u32 *open = NULL, next_call = 0;
	bool ok = planner_init(&pl, t, &open) && link_calls(&pl, open);

	for (pl.event = 0; ok && pl.event < t->event_count && !pl.no_memory; pl.event++)
		handle(&pl, &t->events[pl.event], &next_call);
	ok = ok && !pl.no_memory;
	if (ok)
		plan_judge_devices(&pl);
	free(open);
	free(pl.task_of);
	id_map_destroy(pl.tasks_by_id);
	id_map_destroy(pl.procs_by_id);
	if (!ok) {
		plan_free(pl.p);
		snprintf(err->text, sizeof(err->text), "no memory for so long a recording");
		return -ENOMEM;
	}
	*out = pl.p;
	return 0;
}

u32 plan_find_pid(const struct plan *p, s32 pid)
{
	for (u32 i = p->proc_count; i-- > 0;)
		if (p->procs[i].pid == pid)
			return i;
	return PLAN_NONE;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (u32 i = 0; i < p->proc_count; i++)
		free(p->procs[i].fds);
	for (u32 i = 0; i < p->space_count; i++)
		free(p->spaces[i].lazy);
	free(p->actions);
	free(p->calls);
	free(p->procs);
	free(p->tasks);
	free(p->spaces);
	free(p->inodes);
	free(p->files);
	free(p);
}
