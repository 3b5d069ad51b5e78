/*
 * workloads/replay_program.c - replay in program order: workload "replay"
 *
 * Every lane of the program (replay_program.h) is a task. It waits for a step's prerequisites,
 * moves the step's recorded addresses by the delta of their unit, and does it. One operation is one
 * recorded call, fault or fork; waiting for prerequisites is not part of its latency.
 *
 * Addresses    What stays where it was recorded (image, heap, stack) is mapped there, in an
 *              address space of the process's own. Everything else goes where the model puts it,
 *              which depends on who comes first. A call over units that lie apart is made once per
 *              stretch.
 * Shared       delta[] and spaces[] are written by the step that makes the unit or space, and read
 * by steps that waited for it (acquire of `progress` pairs with its release). Progress
 * Prerequisites are earlier in the recorded order, so some lane can always go on. After
 *              bench_fail() lanes run through their steps without doing them.
 * Tests        tests/unit/workloads/test_replay_program.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/uapi.h>

#include "workloads/replay.h"
#include "workloads/replay_program.h"

#define PAGE_BYTES 4096ull
#define ERROR_USER 4u

struct lane_state {
	u32 progress __cacheline_aligned; /* (atomic) steps done, up to the last awaited one */
	struct wait_queue wq;
	/* the lane's own */
	struct mm *loaded __cacheline_aligned;
	u64 results_equal, results_different, faults_failed, image_failed;
	u64 last_ns; /* recorded end of the previous step */
};

struct replay_run {
	const struct replay_program *rp;
	const struct plan *plan;
	double think;
	struct replay_world world;
	struct mm **spaces; /* [plan space] */
	u64 *delta;         /* [unit] */
	struct lane_state *lanes;
};

struct step_context {
	struct bench_task *t;
	struct replay_run *run;
	struct lane_state *lane;
	const struct replay_step *s;
	const struct plan_action *a;
	struct mm *mm;
};

static void load(struct lane_state *lane, struct mm *mm)
{
	if (lane->loaded == mm)
		return;
	mmu_switch(mm);
	lane->loaded = mm;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* The pieces i.. that lie together now as they did then: where they end. */
static u32 stretch_end(const struct replay_run *run, const struct replay_step *s, u32 i)
{
	const struct replay_piece *p = &run->rp->pieces[s->piece];
	u32 j = i + 1;

	while (j < s->piece_count && p[j].start == p[j - 1].start + p[j - 1].len &&
	       run->delta[p[j].unit] == run->delta[p[i].unit])
		j++;
	return j;
}

/* munmap, mprotect, madvise, mlock, munlock: once per stretch; the first error is the result. */
static s64 call_by_stretches(struct step_context *x, const struct plan_call *c)
{
	const struct replay_piece *p = &x->run->rp->pieces[x->s->piece];
	u64 arg[TRACE_ARGS_MAX];
	s64 result = 0;

	memcpy(arg, c->arg, sizeof(arg));
	if (c->result < 0) { /* refused: as it was asked for */
		arg[0] += x->run->delta[x->s->unit];
		return replay_call(&x->run->world, x->mm, c, arg, 0);
	}
	for (u32 i = 0, j; i < x->s->piece_count; i = j) {
		s64 one;

		j = stretch_end(x->run, x->s, i);
		arg[0] = p[i].start + x->run->delta[p[i].unit];
		arg[1] = p[j - 1].start + p[j - 1].len - p[i].start;
		one = replay_call(&x->run->world, x->mm, c, arg, 0);
		result = result ? result : one;
	}
	return result;
}

/* A part of a MAP_FIXED where nothing was mapped: where it was recorded if that is free here. */
static s64 map_new_part(struct step_context *x, const struct plan_call *c, u64 *arg, u32 unit)
{
	u64 start = arg[0];
	s64 at;

	arg[3] = (arg[3] & ~(u64)MAP_FIXED) | MAP_FIXED_NOREPLACE;
	at = replay_call(&x->run->world, x->mm, c, arg, 0);
	if (at == -EEXIST) {
		arg[0] = 0;
		arg[3] &= ~(u64)MAP_FIXED_NOREPLACE;
		at = replay_call(&x->run->world, x->mm, c, arg, 0);
	}
	if (at >= 0)
		x->run->delta[unit] = (u64)at - start;
	return at;
}

static s64 call_mmap_fixed(struct step_context *x, const struct plan_call *c)
{
	const struct replay_piece *p = &x->run->rp->pieces[x->s->piece];
	s64 result = c->result;

	for (u32 i = 0, j; i < x->s->piece_count; i = j) {
		bool fresh = p[i].unit >= x->s->new_unit;
		u64 arg[TRACE_ARGS_MAX];
		s64 one;

		memcpy(arg, c->arg, sizeof(arg));
		arg[0] = p[i].start;
		arg[5] += p[i].start - (u64)c->result;
		if (fresh) {
			j = i + 1;
			arg[1] = p[i].len;
			one = map_new_part(x, c, arg, p[i].unit);
		} else {
			j = stretch_end(x->run, x->s, i);
			while (j > i + 1 && p[j - 1].unit >= x->s->new_unit)
				j--;
			arg[0] += x->run->delta[p[i].unit];
			arg[1] = p[j - 1].start + p[j - 1].len - p[i].start;
			arg[3] = (arg[3] & ~(u64)MAP_FIXED_NOREPLACE) | MAP_FIXED;
			one = replay_call(&x->run->world, x->mm, c, arg, 0);
		}
		if (one < 0)
			result = one;
	}
	return result;
}

static s64 call_mmap(struct step_context *x, const struct plan_call *c)
{
	u64 arg[TRACE_ARGS_MAX];
	s64 at;

	memcpy(arg, c->arg, sizeof(arg));
	if (c->result < 0) {
		at = replay_call(&x->run->world, x->mm, c, arg, 0);
		if (at >= 0 && !(arg[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
			(void)mm_munmap(x->mm, (u64)at, arg[1]);
		return at;
	}
	if (arg[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return call_mmap_fixed(x, c);
	at = replay_call(&x->run->world, x->mm, c, arg, (u64)c->result);
	if (at == -EEXIST) { /* MAP_32BIT, and another came first */
		arg[3] &= ~(u64)MAP_32BIT;
		at = replay_call(&x->run->world, x->mm, c, arg, 0);
	}
	if (at >= 0)
		x->run->delta[x->s->new_unit] = (u64)at - (u64)c->result;
	return at;
}

/* MREMAP_FIXED: the target's place has no meaning here, but what it replaces goes. */
static s64 call_mremap(struct step_context *x, const struct plan_call *c)
{
	const struct replay_piece *p = &x->run->rp->pieces[x->s->piece];
	u64 arg[TRACE_ARGS_MAX];
	s64 at;

	memcpy(arg, c->arg, sizeof(arg));
	arg[0] += x->run->delta[x->s->unit];
	if (c->result < 0)
		return replay_call(&x->run->world, x->mm, c, arg, 0);
	for (u32 i = 0, j; i < x->s->piece_count; i = j) {
		j = stretch_end(x->run, x->s, i);
		(void)mm_munmap(x->mm, p[i].start + x->run->delta[p[i].unit],
				p[j - 1].start + p[j - 1].len - p[i].start);
	}
	arg[3] &= ~(u64)MREMAP_FIXED;
	if (!(arg[3] & MREMAP_DONTUNMAP))
		arg[4] = 0;
	arg[3] |= MREMAP_MAYMOVE;
	at = replay_call(&x->run->world, x->mm, c, arg, 0);
	if (at >= 0 && x->s->new_unit != UNIT_NONE)
		x->run->delta[x->s->new_unit] = (u64)at - (u64)c->result;
	return at;
}

static void do_call(struct step_context *x)
{
	const struct plan_call *c = &x->run->plan->calls[x->a->call];
	u64 arg[TRACE_ARGS_MAX];
	s64 result;

	if (!c->has_result)
		return; /* it never returned: whether it did anything is not known */
	memcpy(arg, c->arg, sizeof(arg));
	switch (c->sys) {
	case SYS_TRACE_mmap:
		result = call_mmap(x, c);
		break;
	case SYS_TRACE_mremap:
		result = call_mremap(x, c);
		break;
	case SYS_TRACE_shmdt:
		arg[0] += x->run->delta[x->s->unit];
		/* fall through */
	case SYS_TRACE_brk:
	case SYS_TRACE_mlockall:
	case SYS_TRACE_munlockall:
		result = replay_call(&x->run->world, x->mm, c, arg, 0);
		break;
	default:
		result = call_by_stretches(x, c);
		break;
	}
	if ((result < 0 || c->result < 0) && result != c->result)
		x->lane->results_different++;
	else
		x->lane->results_equal++;
}

/* ---- one step -------------------------------------------------------------------------------- */

static void do_fault(struct step_context *x)
{
	u64 va = x->a->a + x->run->delta[x->s->unit], value = va;
	enum fault_result res;

	if (va >= x->mm->task_size)
		return;
	res = user_access(va, replay_access(x->a->b), &value);
	if (res == FAULT_OOM)
		bench_fail(x->t->bench, "no simulated memory left: give more with -p memory=");
	else if (res != FAULT_OK && !x->s->stray)
		x->lane->faults_failed++;
}

static void do_image(struct step_context *x)
{
	s64 at;

	if (x->a->kind == PLAN_ORPHAN) {
		at = replay_orphan(&x->run->world, x->mm, x->a);
		if (at >= 0)
			x->run->delta[x->s->new_unit] =
				(u64)at - x->run->plan->calls[x->a->call].arg[0];
	} else {
		at = replay_image(&x->run->world, x->mm, x->a);
	}
	if (at < 0)
		x->lane->image_failed++;
}

static void new_space(struct step_context *x)
{
	load(x->lane, NULL);
	x->mm = x->run->spaces[x->a->space] = replay_new_mm(&x->run->world);
	if (!x->mm)
		bench_fail(x->t->bench, "no memory for another address space");
}

static void fork_space(struct step_context *x)
{
	int err = 0;

	x->run->spaces[x->a->a] = mm_fork(x->mm, &err);
	if (!x->run->spaces[x->a->a])
		bench_fail(x->t->bench, "fork: %s", strerror(-err));
}

static void do_step(struct step_context *x)
{
	switch (x->a->kind) {
	case PLAN_SPACE_NEW:
		new_space(x);
		break;
	case PLAN_SPACE_FORK:
		fork_space(x);
		break;
	case PLAN_SPACE_PUT:
		load(x->lane, NULL);
		mm_put(x->mm);
		x->run->spaces[x->a->space] = NULL;
		break;
	case PLAN_CALL:
	case PLAN_STEP:
		do_call(x);
		break;
	case PLAN_FAULT:
		do_fault(x);
		break;
	case PLAN_TASK_START:
		break;
	case PLAN_TASK_EXIT:
		load(x->lane, NULL);
		break;
	default:
		do_image(x);
		break;
	}
}

static void wait_for_deps(struct replay_run *run, const struct replay_step *s)
{
	for (u32 i = 0; i < s->dep_count; i++) {
		struct step_ref on = run->rp->deps[s->dep + i];
		struct lane_state *other = &run->lanes[on.task];

		/* Pairs with the release in publish(): what that step made can be seen. */
		wait_event(&other->wq, smp_load_acquire(&other->progress) > on.step);
	}
}

static void publish(struct lane_state *lane, u32 done)
{
	smp_store_release(&lane->progress, done);
	wake_up_all(&lane->wq);
}

/* What the program did between its events, as far as it was not waiting for something we model. */
static void think(struct step_context *x)
{
	const struct plan_call *c =
		x->a->call == PLAN_NONE ? NULL : &x->run->plan->calls[x->a->call];
	u64 start_ns = c && c->enter_ns ? c->enter_ns : x->a->time_ns;
	u64 end_ns = c && c->exit_ns ? c->exit_ns : x->a->time_ns;

	if (x->run->think > 0 && x->lane->last_ns && start_ns > x->lane->last_ns)
		engine_delay_ns((u64)((double)(start_ns - x->lane->last_ns) * x->run->think));
	x->lane->last_ns = max(x->lane->last_ns, end_ns);
}

static void run_step(struct step_context *x)
{
	bool op = replay_is_op(x->a->kind), space = x->a->space != PLAN_NONE;

	x->mm = space ? x->run->spaces[x->a->space] : NULL;
	if (space && !x->mm && x->a->kind != PLAN_SPACE_NEW)
		return; /* a run that failed before it was made */
	if (x->mm && x->a->kind != PLAN_TASK_EXIT)
		load(x->lane, x->mm);
	if (op)
		bench_op_begin(x->t);
	do_step(x);
	if (op)
		bench_op_end(x->t);
}

static void run_task(struct bench_task *t)
{
	struct replay_run *run = t->bench->priv;
	const struct replay_lane *l = &run->rp->lanes[t->index];
	struct step_context x = {.t = t, .run = run, .lane = &run->lanes[t->index]};

	bench_window_open(t);
	for (u64 i = 0; i < l->count; i++) {
		bool stop;

		x.s = &run->rp->steps[l->first + i];
		x.a = &run->plan->actions[x.s->action];
		wait_for_deps(run, x.s);
		stop = READ_ONCE(t->bench->failed);
		if (!stop && !bench_interrupted()) {
			think(&x);
			run_step(&x);
		}
		/* The space may go once the last step is seen. */
		if (i + 1 == l->count || stop)
			load(x.lane, NULL);
		if (x.s->awaited)
			publish(x.lane, (u32)i + 1);
	}
	load(x.lane, NULL);
	bench_window_close(t);
}

/* ---- the workload ---------------------------------------------------------------------------- */

static const struct replay_job *job_of(const struct bench *b)
{
	MMSIM_BUG_ON(!b->arg);
	return b->arg;
}

static u32 task_count(const struct bench *b)
{
	return job_of(b)->program->lane_count;
}

static u64 memory_bytes(const struct bench *b)
{
	return replay_memory_bytes(job_of(b)->program->plan);
}

static void teardown(struct bench *b)
{
	struct replay_run *run = b->priv;

	for (u32 i = 0; run->spaces && i < run->plan->space_count; i++)
		if (run->spaces[i]) {
			mm_check(run->spaces[i]);
			mm_put(run->spaces[i]);
		}
	if (run->world.files)
		replay_world_fini(&run->world);
	free(run->spaces);
	free(run->delta);
	free(run->lanes);
	free(run);
	b->priv = NULL;
}

static int setup(struct bench *b)
{
	const struct replay_job *job = job_of(b);
	const struct replay_program *rp = job->program;
	struct replay_run *run = calloc(1, sizeof(*run));
	size_t lane_bytes = (rp->lane_count + 1) * sizeof(*run->lanes);

	if (!run)
		return -ENOMEM;
	b->priv = run;
	run->rp = rp;
	run->plan = rp->plan;
	run->think = job->think;
	run->spaces = calloc(rp->plan->space_count + 1, sizeof(struct mm *));
	run->delta = calloc(rp->unit_count + 1, sizeof(*run->delta));
	run->lanes = aligned_alloc(MMSIM_CACHE_LINE_BYTES, lane_bytes);
	if (!run->spaces || !run->delta || !run->lanes)
		return -ENOMEM;
	memset(run->lanes, 0, lane_bytes);
	return replay_world_init(&run->world, rp->plan, b->machine, b->cfg.arch, b->cfg.locking);
}

/* What the recorded kernel did otherwise, and why that may be. */
static void note(const struct bench *b, char *text, size_t bytes)
{
	const struct replay_run *run = b->priv;
	u64 results = 0, faults = 0, images = 0;

	text[0] = '\0';
	for (u32 i = 0; i < run->rp->lane_count; i++) {
		results += run->lanes[i].results_different;
		faults += run->lanes[i].faults_failed;
		images += run->lanes[i].image_failed;
	}
	if (results || faults || images)
		snprintf(text, bytes,
			 "%" PRIu64 " results and %" PRIu64 " faults not as recorded%s", results,
			 faults, images ? ", images incomplete" : "");
	if (run->rp->plan->t->backwards)
		snprintf(text + strlen(text), bytes - strlen(text),
			 "%sthe recording's time goes backwards", text[0] ? "; " : "");
}

const struct workload workload_replay = {
	.name = "replay",
	.summary = "a recorded program, its tasks in parallel (mmsim replay)",
	.op = "recorded call or fault",
	.kind = WORKLOAD_ONCE,
	.threads_per_cpu = 1,
	.sample = 8,
	.own_mm = true,
	.task_count = task_count,
	.memory_bytes = memory_bytes,
	.setup = setup,
	.run_task = run_task,
	.teardown = teardown,
	.note = note,
};
