/*
 * Unit test of workloads/replay_deps.c and replay_program.c: prerequisites, and runs in parallel
 *
 * The prerequisites of the bundled recordings are compared with an independent, slow judgement of
 * which steps conflict; then the recordings run with many tasks, where a missing prerequisite shows
 * as a call or fault that does not come out as recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/locking.h>
#include <mmsim/uapi.h>
#include <mmsim/workload.h>

#include "workloads/replay.h"
#include "workloads/replay_program.h"

#define TRACE_DIR "tests/data/traces/"

static struct trace *trace;
static struct plan *plan;
static struct replay_program *program;

static void load_trace(const char *path, s32 pid, u32 lanes)
{
	struct trace_error err;

	if (trace_load(path, &trace, &err) || plan_create(trace, &plan, &err))
		fail_msg("%s", err.text);
	assert_int_equal(replay_program_create(plan, pid, lanes, &program), 0);
}

static void unload(void)
{
	replay_program_free(program);
	plan_free(plan);
	trace_free(trace);
}

/* ---- prerequisites -------------------------------------------------------------------------- */

/* Recorded position of a step, and back. */
struct where {
	u32 lane, step;
};

static struct where *where_is; /* [action] */
static u32 **clocks;           /* [action]: steps of each lane that are done when it begins */

/* What every step can rely on, from the prerequisites alone. */
static void compute_clocks(void)
{
	u32 lanes = program->lane_count;

	where_is = malloc((plan->action_count + 1) * sizeof(*where_is));
	clocks = calloc(plan->action_count + 1, sizeof(*clocks));
	assert_non_null(where_is);
	assert_non_null(clocks);
	memset(where_is, 0xff, (plan->action_count + 1) * sizeof(*where_is));
	for (u32 l = 0; l < lanes; l++)
		for (u64 i = 0; i < program->lanes[l].count; i++)
			where_is[program->steps[program->lanes[l].first + i].action] =
				(struct where){l, (u32)i};
	for (u64 a = 0; a < plan->action_count; a++) {
		struct where at = where_is[a];
		const struct replay_step *s;

		if (at.lane == UINT32_MAX)
			continue;
		s = &program->steps[program->lanes[at.lane].first + at.step];
		clocks[a] = calloc(lanes, sizeof(u32));
		assert_non_null(clocks[a]);
		if (at.step) {
			const u32 *before = clocks[s[-1].action];

			memcpy(clocks[a], before, lanes * sizeof(u32));
			clocks[a][at.lane] = at.step;
		}
		for (u32 d = 0; d < s->dep_count; d++) {
			struct step_ref on = program->deps[s->dep + d];
			u64 other = program->steps[program->lanes[on.task].first + on.step].action;

			assert_true(other < a); /* earlier in the recorded order: no deadlock */
			for (u32 k = 0; k < lanes; k++)
				clocks[a][k] = max(clocks[a][k], clocks[other][k]);
			clocks[a][on.task] = max(clocks[a][on.task], on.step + 1);
		}
	}
}

static void free_clocks(void)
{
	for (u64 a = 0; a < plan->action_count; a++)
		free(clocks[a]);
	free(clocks);
	free(where_is);
}

static void assert_ordered(u64 before, u64 after, const char *why)
{
	struct where b = where_is[before], a = where_is[after];

	if (b.lane == UINT32_MAX || a.lane == UINT32_MAX || b.lane == a.lane)
		return;
	if (clocks[after][b.lane] <= b.step)
		fail_msg("action %lu does not wait for %lu: %s", after, before, why);
}

#define MAPPED_PAGES_MAX (1u << 16)

/* Every fault comes after the last call that mapped its page (in one space, with plain calls). */
static void check_faults(u32 space)
{
	static struct {
		u64 start, end, action;
	} maps[MAPPED_PAGES_MAX];
	u32 count = 0, checked = 0;

	for (u64 i = 0; i < plan->action_count; i++) {
		const struct plan_action *a = &plan->actions[i];

		if (a->space != space)
			continue;
		if (a->kind == PLAN_CALL && plan->calls[a->call].has_result &&
		    plan->calls[a->call].result >= 0 && count < MAPPED_PAGES_MAX) {
			const struct plan_call *c = &plan->calls[a->call];
			u64 start = c->sys == SYS_TRACE_mmap ? (u64)c->result : c->arg[0];

			if (c->sys == SYS_TRACE_mmap || c->sys == SYS_TRACE_mprotect) {
				maps[count].start = start;
				maps[count].end = start + ALIGN_UP(c->arg[1], 4096ull);
				maps[count++].action = i;
			}
			/* and what is unmapped, after all touches: from the other side */
		}
		if (a->kind != PLAN_FAULT)
			continue;
		for (u32 m = count; m-- > 0;)
			if (a->a >= maps[m].start && a->a < maps[m].end) {
				/* a mprotect in steps is made at the first of them */
				if (plan->calls[plan->actions[maps[m].action].call].records <= 1) {
					assert_ordered(maps[m].action, i,
						       "fault after its mapping");
					checked++;
				}
				break;
			}
	}
	assert_true(checked > 100);
}

/* Every munmap comes after the faults in its range since it was mapped. */
static void check_unmaps(u32 space)
{
	u32 checked = 0;

	for (u64 i = 0; i < plan->action_count; i++) {
		const struct plan_action *a = &plan->actions[i];
		const struct plan_call *c = a->call == PLAN_NONE ? NULL : &plan->calls[a->call];

		if (a->space != space || a->kind != PLAN_CALL || c->sys != SYS_TRACE_munmap ||
		    c->result)
			continue;
		for (u64 j = i; j-- > 0 && i - j < 5000;) {
			const struct plan_action *f = &plan->actions[j];

			if (f->space != space || f->kind != PLAN_FAULT || f->a < c->arg[0] ||
			    f->a >= c->arg[0] + c->arg[1])
				continue;
			assert_ordered(j, i, "munmap after a touch");
			checked++;
		}
	}
	assert_true(checked > 0);
}

static void check_tasks(void)
{
	u64 *first_of = malloc((plan->task_count + 1) * sizeof(*first_of));
	u64 *started_by = malloc((plan->task_count + 1) * sizeof(*started_by));

	assert_non_null(first_of);
	assert_non_null(started_by);
	for (u32 t = 0; t < plan->task_count; t++)
		first_of[t] = started_by[t] = ~0ull;
	for (u64 i = 0; i < plan->action_count; i++) {
		const struct plan_action *a = &plan->actions[i];

		if (first_of[a->task] == ~0ull && where_is[i].lane != UINT32_MAX) {
			first_of[a->task] = i;
			if (started_by[a->task] != ~0ull)
				assert_ordered(started_by[a->task], i, "task before its creation");
		}
		if (a->kind == PLAN_TASK_START)
			started_by[a->a] = i;
	}
	free(first_of);
	free(started_by);
}

static u32 busiest_space(void)
{
	u64 *faults = calloc(plan->space_count, sizeof(*faults));
	u32 best = 0;

	assert_non_null(faults);
	for (u64 i = 0; i < plan->action_count; i++)
		if (plan->actions[i].kind == PLAN_FAULT && plan->actions[i].space != PLAN_NONE)
			faults[plan->actions[i].space]++;
	for (u32 s = 0; s < plan->space_count; s++)
		best = faults[s] > faults[best] ? s : best;
	free(faults);
	return best;
}

static void test_prerequisites(void **state)
{
	static const char *const paths[] = {TRACE_DIR "pythreads.perf.zst",
					    TRACE_DIR "mariadb.perf.zst", TRACE_DIR "gcc.perf.zst"};

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		load_trace(paths[i], 0, MMSIM_TASKS_MAX);
		assert_int_equal(program->lane_count, plan->task_count);
		compute_clocks();
		check_faults(busiest_space());
		check_unmaps(busiest_space());
		check_tasks();
		free_clocks();
		unload();
	}
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_program(const struct mm_locking *scheme, u32 cpus, bool strict)
{
	struct replay_job job = {.program = program};
	struct bench_config cfg = {.workload = &workload_replay,
				   .locking = scheme,
				   .arch = &arch_x86_64,
				   .cpus = cpus,
				   .tasks = cpus,
				   .seed = 1,
				   .arg = &job};
	struct bench *b = aligned_alloc(MMSIM_CACHE_LINE_BYTES,
					ALIGN_UP(sizeof(*b), (size_t)MMSIM_CACHE_LINE_BYTES));
	struct bench_totals totals;
	char text[256];

	assert_non_null(b);
	if (bench_init(b, &cfg))
		fail_msg("%s", b->error);
	if (bench_run(b))
		fail_msg("%s", b->error);
	bench_totals(b, &totals);
	assert_int_equal(totals.ops, program->ops);
	assert_true(totals.elapsed_ns > 0);
	workload_replay.note(b, text, sizeof(text));
	if (strict)
		assert_string_equal(text, "");
	hist_destroy(totals.latency);
	bench_fini(b);
	free(b);
}

static void test_runs(void **state)
{
	static const char *const paths[] = {
		TRACE_DIR "gcc.perf.zst", TRACE_DIR "pythreads.perf.zst",
		TRACE_DIR "java48.perf.zst", TRACE_DIR "mariadb.perf.zst"};

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		load_trace(paths[i], 0, MMSIM_TASKS_MAX);
		for (u32 s = 0; mm_locking_all[s]; s++)
			if (mm_locking_all[s]->caps & LK_CAP_CORRECT)
				for (u32 round = 0; round < 3; round++)
					run_program(mm_locking_all[s], 1 + round, true);
		unload();
	}
}

/* More recorded tasks than the machine has: they share. */
static void test_few_lanes(void **state)
{
	load_trace(TRACE_DIR "mariadb.perf.zst", 0, 5);
	assert_int_equal(program->lane_count, 5);
	run_program(&mm_locking_vma_refcnt, 2, true);
	unload();
}

static void test_one_process(void **state)
{
	load_trace(TRACE_DIR "gcc.perf.zst", 12093, MMSIM_TASKS_MAX);
	assert_int_equal(program->lane_count, 1);
	assert_true(program->ops > 2600 && program->ops < 3000);
	run_program(&mm_locking_mmap_lock, 1, true);
	unload();
}

static void test_no_process(void **state)
{
	struct trace_error err;

	assert_int_equal(trace_load(TRACE_DIR "gcc.perf.zst", &trace, &err), 0);
	assert_int_equal(plan_create(trace, &plan, &err), 0);
	program = NULL;
	assert_int_equal(replay_program_create(plan, 4, 10, &program), -3);
	unload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prerequisites), cmocka_unit_test(test_runs),
		cmocka_unit_test(test_few_lanes),     cmocka_unit_test(test_one_process),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
