/*
 * tests/unit/sim/virtual/test_sched.c - repeatability, and schedules drawn from a seed
 *
 * A run's fingerprint is everything that it can tell: end times, counters, operations, hot lines.
 */
#include "virtual_test.h"

#include <mmsim/locking.h>
#include <mmsim/workload.h>

struct fingerprint {
	u64 elapsed_ns, ops, user_ns, system_ns, now_ns;
	u64 counters[COUNTER_COUNT];
	struct engine_activity activity;
	struct hot_line hot[16];
};

static struct fingerprint run_workload(const char *name, const char *scheme, u32 cpus, u64 seed,
				       enum schedule schedule)
{
	struct machine_model model = VT_MODEL("topology.sockets", "2");
	const struct workload *w = workload_find(name);
	struct bench_config cfg = {
		.workload = w,
		.locking = mm_locking_find(scheme),
		.arch = &arch_x86_64,
		.cpus = cpus,
		.tasks = cpus * w->threads_per_cpu,
		.ops = 600,
		.seed = seed,
		.model = &model,
		.schedule = schedule,
	};
	struct fingerprint f;
	struct bench_totals totals;
	struct bench b;

	memset(&f, 0, sizeof(f));
	if (bench_init(&b, &cfg))
		fail_msg("%s", b.error);
	if (bench_run(&b))
		fail_msg("%s", b.error);
	bench_totals(&b, &totals);
	f.elapsed_ns = totals.elapsed_ns;
	f.ops = totals.ops;
	f.user_ns = totals.user_ns;
	f.system_ns = totals.system_ns;
	memcpy(f.counters, totals.counters, sizeof(f.counters));
	f.activity = machine_activity(b.machine);
	(void)hot_lines_top(b.machine, f.hot, ARRAY_SIZE(f.hot));
	machine_enter(b.machine);
	f.now_ns = engine_now_ns();
	machine_leave();
	hist_destroy(totals.latency);
	bench_fini(&b);
	assert_true(f.ops >= 600);
	return f;
}

static void assert_same(const struct fingerprint *a, const struct fingerprint *b)
{
	assert_int_equal(a->now_ns, b->now_ns);
	assert_int_equal(a->elapsed_ns, b->elapsed_ns);
	assert_memory_equal(a, b, sizeof(*a));
}

static void test_same_bytes_twice(void **state)
{
	static const char *const workloads[] = { "page_fault1", "ebizzy", "mmap1" };
	static const char *const schemes[] = { "mmap_lock", "vma_refcnt" };

	for (u32 w = 0; w < ARRAY_SIZE(workloads); w++) {
		for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
			struct fingerprint a = run_workload(workloads[w], schemes[s], 8, 1, SCHEDULE_TIME);
			/* B between: nothing of it is left when A runs again. */
			struct fingerprint b = run_workload("ebizzy", "vma_refcnt", 3, 7, SCHEDULE_TIME);
			struct fingerprint again = run_workload(workloads[w], schemes[s], 8, 1, SCHEDULE_TIME);

			assert_same(&a, &again);
			assert_true(memcmp(&a, &b, sizeof(a)) != 0);
		}
	}
}

static void test_random_schedule_repeats(void **state)
{
	struct fingerprint a = run_workload("ebizzy", "mmap_lock", 4, 5, SCHEDULE_RANDOM);
	struct fingerprint b = run_workload("ebizzy", "mmap_lock", 4, 6, SCHEDULE_RANDOM);
	struct fingerprint again = run_workload("ebizzy", "mmap_lock", 4, 5, SCHEDULE_RANDOM);

	assert_same(&a, &again);
	assert_true(a.now_ns != b.now_ns);
}

/* ---- what random schedules are for ---------------------------------------------------------------- */

static u64 *shared;
static spinlock_t *lock;
static bool locked;

static void add_once(void *arg, u32 index)
{
	u64 value;

	if (locked)
		spin_lock(lock);
	value = READ_ONCE(*shared);
	WRITE_ONCE(*shared, value + 1);
	if (locked)
		spin_unlock(lock);
}

/* How many of the seeds lose an addition. */
static u32 seeds_that_lose(enum schedule schedule, u32 seeds, u32 tasks)
{
	u32 lost = 0;

	for (u64 seed = 1; seed <= seeds; seed++) {
		struct machine_config cfg = { .tasks = tasks, .seed = seed, .schedule = schedule };
		struct machine *m = machine_create(&cfg);

		assert_non_null(m);
		shared = machine_memory_alloc(m, 64, 64);
		lock = machine_memory_alloc(m, 64, 64);
		assert_true(shared && lock);
		spin_lock_init(lock, LOCK_RANK_PTE);
		assert_int_equal(engine_run(m, tasks, add_once, NULL, NULL), 0);
		lost += *shared != tasks;
		machine_destroy(m);
	}
	return lost;
}

static void test_random_schedules_find_a_race(void **state)
{
	u32 lost;

	locked = false;
	lost = seeds_that_lose(SCHEDULE_RANDOM, 200, 2);
	print_message("%u of 200 seeds lose an addition\n", lost);
	assert_true(lost > 10 && lost < 200);
	locked = true;
	assert_int_equal(seeds_that_lose(SCHEDULE_RANDOM, 200, 2), 0);
	assert_int_equal(seeds_that_lose(SCHEDULE_RANDOM, 50, 8), 0);
}

static void test_one_cpu_needs_nobody(void **state)
{
	struct fingerprint a = run_workload("page_fault1", "mmap_lock", 1, 1, SCHEDULE_TIME);
	struct fingerprint b = run_workload("page_fault1", "lock_null", 1, 1, SCHEDULE_TIME);

	assert_int_equal(a.activity.transfers, 0);
	assert_true(b.elapsed_ns < a.elapsed_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes_twice),
		cmocka_unit_test(test_random_schedule_repeats),
		cmocka_unit_test(test_random_schedules_find_a_race),
		cmocka_unit_test(test_one_cpu_needs_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
