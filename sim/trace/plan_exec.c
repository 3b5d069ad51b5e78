/*
 * sim/trace/plan_exec.c - the image that exec builds, read off its MMAP2 records
 *
 * Between PERF_RECORD_COMM exec and sys_exit_execve every mapping is the kernel's own (binfmt_elf
 * and the vdso), at a place that the record tells. Two things the records do not say:
 * - The first segment of a position-independent image is mapped with the size of the whole image,
 *   to reserve it; its record has that size. The tail is unmapped at once, without a record. Where
 *   the first segment really ends follows from the next record of the image; if the image has a
 *   hole there, from the distance of their file offsets, rounded up by the page they may share.
 * - mmap_base: every search for a place starts there, and the first one to search (the
 *   interpreter, or what takes its part) got the highest: the highest end but the stack's.
 */
#include <string.h>

#include "sim/trace/plan_internal.h"

#define PAGE 4096ull
#define STACK_ROOM (128ull << 10) /* what setup_arg_pages() adds below the arguments */

void plan_exec_begin(struct planner *pl, u32 task)
{
	u32 proc = pl->p->tasks[task].proc, space;

	plan_leave_space(pl, task, proc);
	space = plan_new_space(pl, PLAN_NONE);
	if (space == PLAN_NONE)
		return;
	pl->p->procs[proc].space = space;
	pl->p->procs[proc].execing = true;
	pl->p->spaces[space].users = 1;
	plan_emit(pl, PLAN_SPACE_NEW, task, space);
}

/* The first segment had the size of its whole image; [own_end, image_end) was unmapped. */
static void trim_first(struct planner *pl, u32 task, struct plan_space *s, u32 space,
		       const struct trace_event *rec)
{
	u64 start = rec->arg[0], own_end = start;
	struct plan_action *a;

	s->image_open = false;
	if (start < s->image_start || start >= s->image_end)
		return;
	if (plan_record_is_file(pl->t, rec)) {
		u64 apart = trace_map_field(pl->t, rec, MAP_PGOFF) - s->image_pgoff;

		if (apart < s->image_end - s->image_start)
			own_end = min(start, s->image_start + apart + PAGE);
		if (apart == 0)
			own_end = min(start, s->image_start + PAGE);
	}
	a = plan_emit(pl, PLAN_IMAGE_TRIM, task, space);
	if (!a)
		return;
	a->a = own_end;
	a->b = s->image_end - own_end;
}

static void image_file(struct planner *pl, u32 task, u32 space, const struct trace_event *rec)
{
	struct plan *p = pl->p;
	struct plan_space *s = &p->spaces[space];
	struct plan_proc *proc = &p->procs[p->tasks[task].proc];
	u32 file = PLAN_NONE, call;
	struct plan_action *a;

	if (s->image_file != PLAN_NONE && plan_same_inode(pl, s->image_file, rec)) {
		file = s->image_file;
		plan_file_grow(pl, file, rec);
	}
	if (file == PLAN_NONE) {
		file = plan_file_of_record(pl, proc, rec, -1);
		s->image_file = file;
		s->image_start = rec->arg[0];
		s->image_end = rec->arg[0] + rec->arg[1];
		s->image_pgoff = trace_map_field(pl->t, rec, MAP_PGOFF);
		s->image_open = true;
	}
	call = plan_new_call(pl);
	a = plan_emit(pl, PLAN_IMAGE_FILE, task, space);
	if (!a || call == PLAN_NONE || file == PLAN_NONE)
		return;
	a->call = call;
	a->flags = rec->flags;
	p->calls[call].arg[0] = rec->arg[0];
	p->calls[call].arg[1] = rec->arg[1];
	p->calls[call].arg[5] = trace_map_field(pl->t, rec, MAP_PGOFF);
	p->calls[call].file = file;
}

static u32 image_stack(struct planner *pl, struct plan_space *s, const struct trace_event *rec)
{
	u32 call = plan_new_call(pl);

	if (call == PLAN_NONE)
		return PLAN_NONE;
	s->stack_call = call;
	s->stack_start = rec->arg[0];
	s->stack_end = rec->arg[0] + rec->arg[1];
	pl->p->calls[call].arg[0] = rec->arg[0];
	pl->p->calls[call].arg[1] = rec->arg[1];
	/* The room below the arguments is what the kernel added under the top of the stack then. */
	pl->p->calls[call].arg[2] =
		rec->arg[1] > STACK_ROOM ? s->stack_start + STACK_ROOM - 1 : s->stack_end - 1;
	return call;
}

void plan_exec_record(struct planner *pl, u32 task, const struct trace_event *rec)
{
	u32 space = pl->p->procs[pl->p->tasks[task].proc].space;
	struct plan_space *s = &pl->p->spaces[space];
	const char *name = trace_name(pl->t, (u32)trace_map_field(pl->t, rec, MAP_NAME));
	bool file = plan_record_is_file(pl->t, rec);
	enum plan_kind kind = PLAN_IMAGE_ANON;
	struct plan_action *a;

	if (space == PLAN_NONE)
		return; /* lines out of order: the process has ended already */
	if (strcmp(name, "[stack]") == 0) {
		kind = PLAN_IMAGE_STACK;
	} else {
		s->highest_end = max(s->highest_end, rec->arg[0] + rec->arg[1]);
		if (s->image_open)
			trim_first(pl, task, s, space, rec);
		if (file) {
			image_file(pl, task, space, rec);
			return;
		}
		if (name[0] == '[' && strcmp(name, "[heap]"))
			kind = PLAN_IMAGE_SPECIAL;
	}
	a = plan_emit(pl, kind, task, space);
	if (!a)
		return;
	a->a = rec->arg[0];
	a->b = rec->arg[1];
	a->flags = rec->flags;
	if (kind == PLAN_IMAGE_STACK)
		a->call = image_stack(pl, s, rec);
}

/* create_elf_tables() writes at the new stack's top: the closest look at start_stack there is. */
void plan_exec_fault(struct planner *pl, u32 task, u64 va)
{
	u32 space = pl->p->procs[pl->p->tasks[task].proc].space;
	struct plan_space *s = &pl->p->spaces[space];

	if (space != PLAN_NONE && va >= s->stack_start && va < s->stack_end && s->stack_call != PLAN_NONE)
		pl->p->calls[s->stack_call].arg[2] = va;
}

void plan_exec_end(struct planner *pl, u32 task)
{
	struct plan_proc *proc = &pl->p->procs[pl->p->tasks[task].proc];
	u32 space = proc->space;
	struct plan_space *s = &pl->p->spaces[space];
	struct plan_action *a;

	proc->execing = false;
	if (space == PLAN_NONE)
		return;
	a = plan_emit(pl, PLAN_IMAGE_DONE, task, space);
	if (!a)
		return;
	a->a = s->highest_end;
	s->done_action = (u64)(a - pl->p->actions);
}
