/* tests/unit/sim/virtual/test_deadlock.c - the report when nothing can run */
#include "virtual_test.h"

#include <mmsim/charge.h>
#include <mmsim/rwsem.h>
#include <mmsim/spinlock.h>

static spinlock_t *spin[2];
static struct rwsem *sem[2];

static struct machine *setup(void)
{
	struct machine_config cfg = { .tasks = 2, .seed = 0x5eed };
	struct machine *m = machine_create(&cfg);

	for (u32 i = 0; i < 2; i++) {
		spin[i] = machine_memory_alloc(m, sizeof(*spin[i]), 64);
		sem[i] = machine_memory_alloc(m, sizeof(*sem[i]), 64);
		spin_lock_init(spin[i], LOCK_RANK_PTE);
		rwsem_init(sem[i], LOCK_RANK_MMAP);
	}
	return m;
}

static void spin_in_opposite_orders(void *arg, u32 index)
{
	spin_lock(spin[index]);
	engine_delay_ns(1000);
	spin_lock_nested(spin[!index]);
	spin_unlock(spin[!index]);
	spin_unlock(spin[index]);
}

static void sleep_in_opposite_orders(void *arg, u32 index)
{
	down_write(sem[index]);
	engine_delay_ns(1000);
	down_write_nested(sem[!index]);
	up_write(sem[!index]);
	up_write(sem[index]);
}

static void run_spin(void)
{
	struct machine *m = setup();

	(void)!engine_run(m, 2, spin_in_opposite_orders, NULL, NULL);
}

static void run_sleep(void)
{
	struct machine *m = setup();

	(void)!engine_run(m, 2, sleep_in_opposite_orders, NULL, NULL);
}

static void test_spin_locks(void **state)
{
	static const char *const texts[] = { "livelock",    "seed 0x5eed",	       "task 0 on cpu 0",
					     "task 1 on cpu 1", "spin_in_opposite_orders",
					     "cpu 0 (task 0)",	"waits for region+",   NULL };

	vt_expect_report(run_spin, texts);
}

static void test_sleeping_locks(void **state)
{
	static const char *const texts[] = { "deadlock",	"seed 0x5eed",		    "sleeps in task_park",
					     "task 1 on cpu 1", "sleep_in_opposite_orders", "cpu 1 (task 1)",
					     "waits for region+", NULL };

	vt_expect_report(run_sleep, texts);
}

/* What a task waits for is not among what it holds; and the picture says who has what the other wants. */
static const struct obj_field abba_fields[] = { OBJ_FROM(0, "abba->a"), OBJ_FROM(64, "abba->b") };
static const struct obj_layout abba_layout = { 128, 2, abba_fields };

static void run_named(void)
{
	struct machine *m = setup();
	char *both = machine_memory_alloc(m, 128, 64);

	region_set_layout(m, both, 128, &abba_layout);
	for (u32 i = 0; i < 2; i++) {
		sem[i] = (void *)(both + i * 64);
		rwsem_init(sem[i], LOCK_RANK_MMAP);
	}
	(void)!engine_run(m, 2, sleep_in_opposite_orders, NULL, NULL);
}

static void test_who_holds_what(void **state)
{
	static const char *const texts[] = {
		"task 0 on cpu 0 sleeps in task_park, waits for abba->b (#0)\n",
		"task 1 on cpu 1 sleeps in task_park, waits for abba->a (#0)\n",
		"task_park+",
#ifdef MMSIM_DEBUG_LOCKS
		"waits for abba->b (#0)\n    holds abba->a (#0) (MMAP)\n    called from\n",
		"waits for abba->a (#0)\n    holds abba->b (#0) (MMAP)\n    called from\n",
		"\n  holds abba->a (#0)                              holds abba->b (#0)",
#else
		"-DMMSIM_DEBUG_LOCKS=ON",
#endif
		"\n  waits for abba->b (#0)                          waits for abba->a (#0)",
		NULL
	};

	vt_expect_report(run_named, texts);
}

static u32 never;

static void spin_for_ever(void *arg, u32 index)
{
	while (!READ_ONCE(never))
		cpu_relax();
}

static void run_for_ever(void)
{
	struct machine *m = setup();

	(void)!engine_run(m, 1, spin_for_ever, NULL, NULL);
}

static void test_one_task_that_spins(void **state)
{
	static const char *const texts[] = { "livelock", "spin_for_ever", NULL };

	vt_expect_report(run_for_ever, texts);
}

/* Two tasks wake each other for longer than anybody may do so: inside one call, or in one call after another. */
static bool calls_end;

static void wake_each_other(void *arg, u32 index)
{
	struct machine *m = arg;

	while (engine_now_ns() < 1500 * 1000000ull) {
		struct task *other = machine_task(m, !index);

		engine_charge(COST_SYSCALL);
		if (other)
			task_unpark(other);
		engine_delay_ns(100000);
		if (engine_now_ns() < 1400 * 1000000ull)
			task_park();
		if (calls_end)
			engine_user_mode();
	}
}

static void run_wake_each_other(void)
{
	struct machine *m = setup();

	(void)!engine_run(m, 2, wake_each_other, m, NULL);
	_exit(0);
}

static void test_tasks_that_wake_each_other(void **state)
{
	static const char *const texts[] = { "livelock: tasks wake each other", "seed 0x5eed", "task 0 on cpu 0",
					     "task 1 on cpu 1", "wake_each_other", NULL };
	int status;
	pid_t pid;

	calls_end = false;
	vt_expect_report(run_wake_each_other, texts);
	calls_end = true;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_wake_each_other();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Random schedules find the deadlock that time would not show. */
static u32 ready[2];

static void now_and_then(void *arg, u32 index)
{
	for (u32 i = 0; i < 3; i++) {
		if (index)
			engine_delay_ns(100000);
		spin_lock(spin[index]);
		spin_lock_nested(spin[!index]);
		WRITE_ONCE(ready[index], i);
		spin_unlock(spin[!index]);
		spin_unlock(spin[index]);
		if (!index)
			engine_delay_ns(100000);
	}
}

static enum schedule schedule;
static u64 seed;

static void run_now_and_then(void)
{
	struct machine_config cfg = { .tasks = 2, .seed = seed, .schedule = schedule };
	struct machine *m = machine_create(&cfg);

	for (u32 i = 0; i < 2; i++) {
		spin[i] = machine_memory_alloc(m, sizeof(*spin[i]), 64);
		spin_lock_init(spin[i], LOCK_RANK_PTE);
	}
	(void)!engine_run(m, 2, now_and_then, NULL, NULL);
}

static bool ends_well(void)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		run_now_and_then();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_random_schedules_find_it(void **state)
{
	u32 stuck = 0;

	schedule = SCHEDULE_TIME;
	seed = 1;
	assert_true(ends_well());
	schedule = SCHEDULE_RANDOM;
	for (seed = 1; seed <= 20; seed++)
		stuck += !ends_well();
	print_message("%u of 20 seeds end in the deadlock\n", stuck);
	assert_true(stuck > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spin_locks),
		cmocka_unit_test(test_sleeping_locks),
		cmocka_unit_test(test_who_holds_what),
		cmocka_unit_test(test_one_task_that_spins),
		cmocka_unit_test(test_tasks_that_wake_each_other),
		cmocka_unit_test(test_random_schedules_find_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
