/*
 * workloads/replay_deps.c - the pre-pass of a replay in program order: see replay_program.h
 *
 * One walk over the plan in recorded order. Per space a unit_map knows who last changed and who
 * touched what; prerequisites fall out of it. Those that already follow from earlier ones are
 * dropped by vector clocks: clock[t][u] is how many steps of lane u are known to be done when
 * lane t gets where it is. A lane's clock is remembered each time it grew, so that waiting for a
 * step passes on what that step had waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/types.h>
#include <mmsim/uapi.h>

#include "workloads/replay_program.h"

#define PAGE_BYTES 4096ull
#define PAGE_MASK (PAGE_BYTES - 1)
#define STACK_ROOM (8ull << 20) /* below what exec mapped: where the stack may grow */
#define CLOCK_LANES_MAX 512     /* with more, only direct waits are remembered */

struct snapshot {
	u32 step;
	u32 *clock;
};

struct lane {
	u32 steps;  /* so far */
	u32 *clock; /* [lane] steps known to be done */
	struct snapshot *history;
	u32 history_count, history_cap;
	struct step_ref *wait; /* to go before the next step */
	u32 wait_count, wait_cap;
	u32 vfork_child; /* plan task whose leaving the lane's task waits for, or PLAN_NONE */
};

struct space {
	struct unit_map map;
	struct step_ref last_brk;
	struct step_ref *users; /* the last step of each lane */
	u32 user_count, user_cap;
	u64 brk;
	u64 limit; /* actions beyond are not of the program */
	bool included;
};

struct builder {
	const struct plan *p;
	struct replay_program *rp;
	struct lane *lanes;
	struct space *spaces;
	u32 *lane_of;    /* [plan task] */
	u32 *space_of;   /* [plan task]: where its last step was */
	bool *call_done; /* [call]: made at its first PLAN_STEP */
	u32 *step_lane;  /* [step], in recorded order; sorted by lane at the end */
	u64 step_cap, dep_cap, piece_cap, lane_cap;
	bool no_memory;
};

static const struct step_ref nobody = {PLAN_NONE, 0};

static bool grow(struct builder *b, void **array, u64 count, u64 *cap, size_t size)
{
	u64 want = *cap ? *cap * 2 : 256;
	void *bigger;

	if (count < *cap)
		return true;
	bigger = count < UINT32_MAX - 1 ? realloc(*array, want * size) : NULL;
	if (!bigger) {
		b->no_memory = true;
		return false;
	}
	*array = bigger;
	*cap = want;
	return true;
}

static bool grow32(struct builder *b, void **array, u32 count, u32 *cap, size_t size)
{
	u64 wide = *cap;
	bool ok = grow(b, array, count, &wide, size);

	*cap = (u32)wide;
	return ok;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static bool has_clock(const struct builder *b)
{
	return b->rp->lane_count <= CLOCK_LANES_MAX;
}

/* What lane u knew when it began `step`. */
static const u32 *clock_at(const struct lane *u, u32 step)
{
	u32 lo = 0, hi = u->history_count;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (u->history[mid].step <= step)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? u->history[lo - 1].clock : NULL;
}

static void remember_clock(struct builder *b, struct lane *l)
{
	u32 *copy;

	if (!has_clock(b) || !grow32(b, (void **)&l->history, l->history_count, &l->history_cap,
				     sizeof(*l->history)))
		return;
	copy = malloc(b->rp->lane_count * sizeof(*copy));
	if (!copy) {
		b->no_memory = true;
		return;
	}
	memcpy(copy, l->clock, b->rp->lane_count * sizeof(*copy));
	l->history[l->history_count++] = (struct snapshot){l->steps, copy};
}

/* The next step of `lane` must come after `on`. */
static void wait_for(struct builder *b, u32 lane, struct step_ref on)
{
	struct lane *l = &b->lanes[lane];

	if (on.task == PLAN_NONE || on.task == lane)
		return;
	if (!grow32(b, (void **)&l->wait, l->wait_count, &l->wait_cap, sizeof(*l->wait)))
		return;
	l->wait[l->wait_count++] = on;
}

/* Turn what the lane waits for into the prerequisites of its next step. */
static void settle_waits(struct builder *b, u32 lane, struct replay_step *s)
{
	struct replay_program *rp = b->rp;
	struct lane *l = &b->lanes[lane];
	u32 count = l->wait_count;

	s->dep = (u32)rp->dep_count;
	l->wait_count = 0;
	/* Latest first: it is the likeliest to imply the others. */
	for (u32 i = count; i-- > 0;) {
		struct step_ref on = l->wait[i];
		const u32 *known;

		if (l->clock[on.task] > on.step)
			continue;
		if (!grow(b, (void **)&rp->deps, rp->dep_count, &b->dep_cap, sizeof(*rp->deps)))
			return;
		rp->deps[rp->dep_count++] = on;
		s->dep_count++;
		l->clock[on.task] = on.step + 1;
		known = has_clock(b) ? clock_at(&b->lanes[on.task], on.step) : NULL;
		for (u32 k = 0; known && k < rp->lane_count; k++)
			l->clock[k] = max(l->clock[k], known[k]);
	}
	if (s->dep_count)
		remember_clock(b, l);
}

/* ---- steps and pieces ------------------------------------------------------------------------ */

/* The step that is about to be added to `lane`. */
static struct step_ref next_step(const struct builder *b, u32 lane)
{
	return (struct step_ref){lane, b->lanes[lane].steps};
}

static void use_space(struct builder *b, u32 space, u32 lane)
{
	struct space *s = &b->spaces[space];

	for (u32 i = s->user_count; i-- > 0;)
		if (s->users[i].task == lane) {
			s->users[i].step = b->lanes[lane].steps;
			return;
		}
	if (grow32(b, (void **)&s->users, s->user_count, &s->user_cap, sizeof(*s->users)))
		s->users[s->user_count++] = next_step(b, lane);
}

static struct replay_step *add_step(struct builder *b, u32 lane, u64 action,
				    const struct replay_step *what)
{
	struct replay_program *rp = b->rp;
	struct replay_step *s;
	u64 cap = b->step_cap;

	if (!grow(b, (void **)&rp->steps, rp->step_count, &b->step_cap, sizeof(*rp->steps)) ||
	    !grow(b, (void **)&b->step_lane, rp->step_count, &cap, sizeof(*b->step_lane)))
		return NULL;
	s = &rp->steps[rp->step_count];
	b->step_lane[rp->step_count++] = lane;
	*s = *what;
	s->action = action;
	settle_waits(b, lane, s);
	b->lanes[lane].steps++;
	rp->ops += replay_is_op(b->p->actions[action].kind);
	return s;
}

static void add_piece(struct builder *b, struct replay_step *s, u64 start, u64 end, u32 unit)
{
	struct replay_program *rp = b->rp;

	if (start >= end ||
	    !grow(b, (void **)&rp->pieces, rp->piece_count, &b->piece_cap, sizeof(*rp->pieces)))
		return;
	if (!s->piece_count)
		s->piece = (u32)rp->piece_count;
	rp->pieces[rp->piece_count++] = (struct replay_piece){start, end - start, unit};
	s->piece_count++;
}

/*
 * The next step of lane changes the mappings in [start, end): wait for whoever changed or touched
 * them, note the pieces. What is not mapped gets a new unit if `fill`.
 */
static void change_range(struct builder *b, u32 space, u32 lane, u64 start, u64 end,
			 struct replay_step *s, bool fill)
{
	struct unit_map *m = &b->spaces[space].map;
	u64 at = start;

	if (start >= end || !unit_map_split(m, start) || !unit_map_split(m, end)) {
		b->no_memory |= start < end;
		return;
	}
	for (u32 i = unit_map_lower(m, start); i < m->count && m->entries[i].start < end; i++) {
		struct unit_entry *e = &m->entries[i];

		if (fill && at < e->start)
			add_piece(b, s, at, e->start, b->rp->unit_count++);
		add_piece(b, s, e->start, e->end, e->unit);
		wait_for(b, lane, e->writer);
		for (u32 r = 0; r < e->reader_count; r++)
			wait_for(b, lane, e->readers[r]);
		e->writer = next_step(b, lane);
		e->reader_count = 0;
		at = e->end;
	}
	if (fill && at < end)
		add_piece(b, s, at, end, b->rp->unit_count++);
}

static u32 unit_at(const struct builder *b, u32 space, u64 addr)
{
	const struct unit_entry *e = unit_map_find(&b->spaces[space].map, addr);

	return e ? e->unit : UNIT_FIXED;
}

static void set_unit(struct builder *b, u32 space, u32 lane, u64 start, u64 end, u32 unit, u32 prot)
{
	if (!unit_map_set(&b->spaces[space].map, start, end, unit, prot, next_step(b, lane)))
		b->no_memory = true;
}

static void forget_range(struct builder *b, u32 space, u64 start, u64 end)
{
	if (!unit_map_remove(&b->spaces[space].map, start, end))
		b->no_memory = true;
}

/* ---- one call -------------------------------------------------------------------------------- */

static u64 range_end(u64 start, u64 len)
{
	u64 end = start + ((len + PAGE_MASK) & ~PAGE_MASK);

	return end < start ? ~PAGE_MASK : end;
}

static void plan_mmap(struct builder *b, const struct plan_action *a, const struct plan_call *c,
		      u32 lane, struct replay_step *s)
{
	u64 start = (u64)c->result, end = range_end(start, c->arg[1]);

	if (!c->has_result || c->result < 0)
		return;
	if (!(c->arg[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
		s->new_unit = b->rp->unit_count++;
		add_piece(b, s, start, end, s->new_unit);
		set_unit(b, a->space, lane, start, end, s->new_unit, (u32)c->arg[2]);
		return;
	}
	s->new_unit = b->rp->unit_count;
	change_range(b, a->space, lane, start, end, s, true);
	for (u32 i = 0; i < s->piece_count; i++) {
		struct replay_piece *p = &b->rp->pieces[s->piece + i];

		set_unit(b, a->space, lane, p->start, p->start + p->len, p->unit, (u32)c->arg[2]);
	}
}

static void plan_mremap(struct builder *b, const struct plan_action *a, const struct plan_call *c,
			u32 lane, struct replay_step *s)
{
	u64 old = c->arg[0], old_end = range_end(old, c->arg[1]), new = (u64)c->result;
	u64 new_end = range_end(new, c->arg[2]);

	const struct unit_entry *from = unit_map_find(&b->spaces[a->space].map, old);
	u32 prot = from ? from->prot : 0;
	struct replay_step source = {0}; /* its pieces are not used: s->unit tells where it is */

	s->unit = unit_at(b, a->space, old);
	change_range(b, a->space, lane, old, max(old_end, old + PAGE_BYTES), &source, false);
	if (!c->has_result || c->result < 0)
		return;
	if (new == old && new_end <= old_end) {
		forget_range(b, a->space, new_end, old_end);
		return;
	}
	if (!(c->arg[3] & MREMAP_DONTUNMAP) && c->arg[1])
		forget_range(b, a->space, old, old_end);
	if (c->arg[3] & MREMAP_FIXED)
		change_range(b, a->space, lane, new, new_end, s, false); /* what it replaces */
	s->new_unit = b->rp->unit_count++;
	set_unit(b, a->space, lane, new, new_end, s->new_unit, prot);
}

static void plan_brk(struct builder *b, const struct plan_action *a, const struct plan_call *c,
		     u32 lane, struct replay_step *s)
{
	struct space *sp = &b->spaces[a->space];
	u64 now = (u64)c->result, was = sp->brk;

	wait_for(b, lane, sp->last_brk);
	sp->last_brk = next_step(b, lane);
	if (!c->has_result || !c->arg[0] || now != c->arg[0])
		return;
	was = ALIGN_UP(was, PAGE_BYTES);
	if (ALIGN_UP(now, PAGE_BYTES) > was && was)
		set_unit(b, a->space, lane, was, ALIGN_UP(now, PAGE_BYTES), UNIT_FIXED,
			 PROT_READ | PROT_WRITE);
	else if (was) {
		change_range(b, a->space, lane, ALIGN_UP(now, PAGE_BYTES), was, s, false);
		forget_range(b, a->space, ALIGN_UP(now, PAGE_BYTES), was);
	}
	sp->brk = now;
}

/* The whole space: mlockall. */
static void change_all(struct builder *b, u32 space, u32 lane)
{
	struct unit_map *m = &b->spaces[space].map;

	for (u32 i = 0; i < m->count; i++) {
		wait_for(b, lane, m->entries[i].writer);
		for (u32 r = 0; r < m->entries[i].reader_count; r++)
			wait_for(b, lane, m->entries[i].readers[r]);
		m->entries[i].writer = next_step(b, lane);
		m->entries[i].reader_count = 0;
	}
}

/* The range was cut at its ends by change_range(). */
static void protect_range(struct unit_map *m, u64 start, u64 end, u32 prot)
{
	for (u32 i = unit_map_lower(m, start); i < m->count && m->entries[i].start < end; i++)
		m->entries[i].prot = prot;
}

static void plan_call_step(struct builder *b, const struct plan_action *a, u32 lane,
			   struct replay_step *s)
{
	const struct plan_call *c = &b->p->calls[a->call];
	u64 end = range_end(c->arg[0], c->arg[1]);

	switch (c->sys) {
	case SYS_TRACE_mmap:
		plan_mmap(b, a, c, lane, s);
		break;
	case SYS_TRACE_mremap:
		plan_mremap(b, a, c, lane, s);
		break;
	case SYS_TRACE_brk:
		plan_brk(b, a, c, lane, s);
		break;
	case SYS_TRACE_mlockall:
	case SYS_TRACE_munlockall:
		change_all(b, a->space, lane);
		break;
	case SYS_TRACE_shmdt: {
		const struct unit_entry *e = unit_map_find(&b->spaces[a->space].map, c->arg[0]);

		s->unit = unit_at(b, a->space, c->arg[0]);
		if (e && c->has_result && !c->result) {
			end = e->end;
			change_range(b, a->space, lane, c->arg[0], end, s, false);
			forget_range(b, a->space, c->arg[0], end);
		}
		break;
	}
	default:
		s->unit = unit_at(b, a->space, c->arg[0]);
		change_range(b, a->space, lane, c->arg[0] & ~PAGE_MASK, end, s, false);
		if (!c->has_result || c->result)
			break;
		if (c->sys == SYS_TRACE_munmap)
			forget_range(b, a->space, c->arg[0], end);
		if (c->sys == SYS_TRACE_mprotect || c->sys == SYS_TRACE_pkey_mprotect)
			protect_range(&b->spaces[a->space].map, c->arg[0], end, (u32)c->arg[2]);
		break;
	}
}

/* ---- one action ------------------------------------------------------------------------------ */

/* Might the recorded program do what this x86 error code says? x86 reads whatever it may access. */
static bool allows(u32 prot, u64 error_code)
{
	if (error_code & 1u << 4)
		return prot & PROT_EXEC;
	return error_code & 1u << 1 ? prot & PROT_WRITE
				    : prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

static void plan_fault(struct builder *b, const struct plan_action *a, u32 lane,
		       struct replay_step *s)
{
	struct unit_entry *e = unit_map_find(&b->spaces[a->space].map, a->a);

	s->stray = !e || !allows(e->prot, a->b);
	if (!e)
		return;
	s->unit = e->unit;
	wait_for(b, lane, e->writer);
	if (!unit_entry_touch(e, next_step(b, lane)))
		b->no_memory = true;
}

static void plan_image(struct builder *b, const struct plan_action *a, u32 lane,
		       struct replay_step *s)
{
	const struct plan_call *c = a->call == PLAN_NONE ? NULL : &b->p->calls[a->call];
	u64 start = c ? c->arg[0] : a->a, end = start + (c ? c->arg[1] : a->b);
	u32 prot = (a->flags & TRACE_MAP_READ ? PROT_READ : 0) |
		   (a->flags & TRACE_MAP_WRITE ? PROT_WRITE : 0) |
		   (a->flags & TRACE_MAP_EXEC ? PROT_EXEC : 0);

	switch (a->kind) {
	case PLAN_ORPHAN:
		s->new_unit = b->rp->unit_count++;
		set_unit(b, a->space, lane, start, end, s->new_unit, prot);
		break;
	case PLAN_IMAGE_TRIM:
		forget_range(b, a->space, start, end);
		break;
	case PLAN_IMAGE_STACK:
		set_unit(b, a->space, lane, start > STACK_ROOM ? start - STACK_ROOM : 0, end,
			 UNIT_FIXED, prot);
		break;
	case PLAN_IMAGE_DONE:
		b->spaces[a->space].brk = a->b;
		break;
	default:
		set_unit(b, a->space, lane, start, end, UNIT_FIXED, prot);
		break;
	}
}

static void plan_fork(struct builder *b, const struct plan_action *a, u32 lane)
{
	struct space *from = &b->spaces[a->space], *to = &b->spaces[a->a];

	change_all(b, a->space, lane);
	if (!unit_map_fork(&to->map, &from->map, next_step(b, lane)))
		b->no_memory = true;
	to->brk = from->brk;
	to->last_brk = nobody;
	from->last_brk = next_step(b, lane);
}

static void plan_put(struct builder *b, const struct plan_action *a, u32 lane)
{
	const struct space *s = &b->spaces[a->space];

	for (u32 i = 0; i < s->user_count; i++)
		wait_for(b, lane, s->users[i]);
}

/* The task leaves the space it shared with its parent: a parent in vfork goes on. */
static void release_parent(struct builder *b, u32 task, u32 lane)
{
	u32 parent = b->p->tasks[task].parent, parent_lane;

	if (parent == PLAN_NONE || b->lane_of[parent] == PLAN_NONE)
		return;
	parent_lane = b->lane_of[parent];
	if (b->lanes[parent_lane].vfork_child != task)
		return;
	b->lanes[parent_lane].vfork_child = PLAN_NONE;
	wait_for(b, parent_lane, next_step(b, lane));
}

static void start_task(struct builder *b, const struct plan_action *a, u32 lane)
{
	u32 child = (u32)a->a, child_lane;

	if (child == PLAN_NONE || b->lane_of[child] == PLAN_NONE)
		return;
	child_lane = b->lane_of[child];
	wait_for(b, child_lane, next_step(b, lane));
	if (b->p->tasks[child].proc != b->p->tasks[a->task].proc && (a->flags & PLAN_START_SHARES))
		b->lanes[lane].vfork_child = child;
}

static bool is_step(const struct builder *b, const struct plan_action *a)
{
	if (a->kind == PLAN_RECORD || a->kind == PLAN_RETURN)
		return false;
	if (a->call != PLAN_NONE && (a->kind == PLAN_CALL || a->kind == PLAN_STEP) &&
	    b->call_done[a->call])
		return false; /* an mprotect is made at its first record, whole */
	return true;
}

static void one_action(struct builder *b, u64 i)
{
	const struct plan_action *a = &b->p->actions[i];
	u32 lane = b->lane_of[a->task];
	struct replay_step s = {.unit = UNIT_FIXED, .new_unit = UNIT_NONE};

	if (lane == PLAN_NONE || !is_step(b, a))
		return;
	if (a->space != PLAN_NONE &&
	    (!b->spaces[a->space].included || i > b->spaces[a->space].limit))
		return;
	switch (a->kind) {
	case PLAN_SPACE_NEW:
		if (b->space_of[a->task] != PLAN_NONE && b->space_of[a->task] != a->space)
			use_space(b, b->space_of[a->task], lane);
		release_parent(b, a->task, lane);
		break;
	case PLAN_SPACE_FORK:
		if (!b->spaces[a->a].included)
			return;
		plan_fork(b, a, lane);
		break;
	case PLAN_SPACE_PUT:
		plan_put(b, a, lane);
		break;
	case PLAN_CALL:
	case PLAN_STEP:
		b->call_done[a->call] = true;
		plan_call_step(b, a, lane, &s);
		break;
	case PLAN_FAULT:
		plan_fault(b, a, lane, &s);
		break;
	case PLAN_TASK_START:
		start_task(b, a, lane);
		break;
	case PLAN_TASK_EXIT:
		release_parent(b, a->task, lane);
		break;
	default:
		plan_image(b, a, lane, &s);
		break;
	}
	if (a->space != PLAN_NONE) {
		use_space(b, a->space, lane);
		b->space_of[a->task] = a->space;
	}
	add_step(b, lane, i, &s);
}

/* ---- who is in ------------------------------------------------------------------------------- */

/* With a pid: its own spaces, and those it is a copy of, up to the fork. */
static bool include_spaces(struct builder *b, s32 pid)
{
	const struct plan *p = b->p;
	bool any = !pid;

	for (u32 i = 0; i < p->space_count; i++) {
		b->spaces[i].included = !pid;
		b->spaces[i].limit = ~0ull;
		b->spaces[i].last_brk = nobody;
	}
	for (u64 i = 0; pid && i < p->action_count; i++) {
		const struct plan_action *a = &p->actions[i];
		s32 by = p->tasks[a->task].pid;

		if (a->kind == PLAN_SPACE_NEW && by == pid)
			any = b->spaces[a->space].included = true;
	}
	for (u64 i = p->action_count; pid && i-- > 0;) {
		const struct plan_action *a = &p->actions[i];

		if (a->kind == PLAN_TASK_START && i && p->tasks[a->a].pid == pid &&
		    p->tasks[a->task].pid != pid && a[-1].kind == PLAN_SPACE_FORK)
			any = b->spaces[a[-1].a].included = true;
		if (a->kind == PLAN_SPACE_FORK && b->spaces[a->a].included &&
		    !b->spaces[a->space].included) {
			b->spaces[a->space].included = true;
			b->spaces[a->space].limit = i + 1; /* its PLAN_TASK_START */
		}
	}
	return any;
}

/* One lane per task while they last; then a lane whose task has exited is used again. */
static bool assign_lanes(struct builder *b, u32 lanes_max)
{
	const struct plan *p = b->p;
	u32 *idle = malloc((lanes_max + 1) * sizeof(*idle)), idle_count = 0;

	if (!idle)
		return false;
	for (u32 i = 0; i < p->task_count; i++)
		b->lane_of[i] = b->space_of[i] = PLAN_NONE;
	for (u64 i = 0; i < p->action_count; i++) {
		const struct plan_action *a = &p->actions[i];

		if (a->space != PLAN_NONE && !b->spaces[a->space].included)
			continue;
		if (b->lane_of[a->task] == PLAN_NONE) {
			if (b->rp->lane_count < lanes_max)
				b->lane_of[a->task] = b->rp->lane_count++;
			else if (idle_count)
				b->lane_of[a->task] = idle[--idle_count];
			else /* more at once than there may be: they take turns */
				b->lane_of[a->task] = a->task % lanes_max;
		}
		if (a->kind == PLAN_TASK_EXIT && b->rp->lane_count == lanes_max &&
		    idle_count < lanes_max)
			idle[idle_count++] = b->lane_of[a->task];
	}
	free(idle);
	return true;
}

/* ---- putting it together --------------------------------------------------------------------- */

static bool builder_init(struct builder *b, const struct plan *p)
{
	*b = (struct builder){.p = p, .rp = calloc(1, sizeof(*b->rp))};
	b->spaces = calloc(p->space_count + 1, sizeof(*b->spaces));
	b->lane_of = malloc((p->task_count + 1) * sizeof(*b->lane_of));
	b->space_of = malloc((p->task_count + 1) * sizeof(*b->space_of));
	b->call_done = calloc(p->call_count + 1, sizeof(*b->call_done));
	if (!b->rp || !b->spaces || !b->lane_of || !b->space_of || !b->call_done)
		return false;
	b->rp->plan = p;
	b->rp->unit_count = UNIT_FIXED + 1;
	return true;
}

static bool lanes_init(struct builder *b)
{
	u32 n = b->rp->lane_count;

	b->lanes = calloc(n + 1, sizeof(*b->lanes));
	if (!b->lanes)
		return false;
	for (u32 i = 0; i < n; i++) {
		b->lanes[i].vfork_child = PLAN_NONE;
		b->lanes[i].clock = calloc(n, sizeof(u32));
		if (!b->lanes[i].clock)
			return false;
	}
	return true;
}

/* Steps are in recorded order: group them by lane, and mark those that are waited for. */
static bool group_steps(struct builder *b)
{
	struct replay_program *rp = b->rp;
	struct replay_step *sorted = malloc((rp->step_count + 1) * sizeof(*sorted));
	u64 *at = calloc(rp->lane_count + 1, sizeof(*at)), first = 0;

	rp->lanes = calloc(rp->lane_count + 1, sizeof(*rp->lanes));
	if (!sorted || !at || !rp->lanes) {
		free(sorted);
		free(at);
		return false;
	}
	for (u32 i = 0; i < rp->lane_count; i++) {
		rp->lanes[i] = (struct replay_lane){first, b->lanes[i].steps};
		at[i] = first;
		first += b->lanes[i].steps;
	}
	for (u64 i = 0; i < rp->step_count; i++)
		sorted[at[b->step_lane[i]]++] = rp->steps[i];
	free(rp->steps);
	free(at);
	rp->steps = sorted;
	for (u64 i = 0; i < rp->dep_count; i++)
		sorted[rp->lanes[rp->deps[i].task].first + rp->deps[i].step].awaited = true;
	return true;
}

static void builder_free(struct builder *b)
{
	for (u32 i = 0; b->lanes && i < b->rp->lane_count; i++) {
		for (u32 h = 0; h < b->lanes[i].history_count; h++)
			free(b->lanes[i].history[h].clock);
		free(b->lanes[i].history);
		free(b->lanes[i].clock);
		free(b->lanes[i].wait);
	}
	for (u32 i = 0; b->spaces && i < b->p->space_count; i++) {
		unit_map_free(&b->spaces[i].map);
		free(b->spaces[i].users);
	}
	free(b->lanes);
	free(b->spaces);
	free(b->lane_of);
	free(b->space_of);
	free(b->call_done);
	free(b->step_lane);
}

int replay_program_create(const struct plan *plan, s32 pid, u32 lanes_max,
			  struct replay_program **out)
{
	struct builder b;
	int err = -ENOMEM;
	bool any = true, ok = builder_init(&b, plan);

	if (ok)
		any = include_spaces(&b, pid);
	ok = ok && any && assign_lanes(&b, lanes_max) && lanes_init(&b);
	for (u64 i = 0; ok && i < plan->action_count && !b.no_memory; i++)
		one_action(&b, i);
	ok = ok && !b.no_memory && group_steps(&b);
	if (ok)
		err = b.rp->step_count ? 0 : -ESRCH;
	else if (!any)
		err = -ESRCH;
	builder_free(&b);
	if (err)
		replay_program_free(b.rp);
	else
		*out = b.rp;
	return err;
}

void replay_program_free(struct replay_program *rp)
{
	if (!rp)
		return;
	free(rp->steps);
	free(rp->lanes);
	free(rp->deps);
	free(rp->pieces);
	free(rp);
}
