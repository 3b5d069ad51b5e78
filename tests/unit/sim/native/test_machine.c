/*
 * tests/unit/sim/native/test_machine.c - machines, entering, running tasks
 */
#include "../sim_test.h"

#include <pthread.h>

static u32 ran[64], together;
static struct machine *machine;

static void note_run(void *arg, u32 index)
{
	assert_int_equal(current_task()->id, index);
	assert_ptr_equal(current_task()->cpu, this_cpu());
	assert_ptr_equal(machine_task(machine, index), current_task());
	ran[index]++;
	/* All at once: each waits for all. */
	(void)fetch_add(&together, 1u);
	while (READ_ONCE(together) < *(u32 *)arg)
		engine_yield();
}

static void test_run_all_at_once(void **state)
{
	u32 tasks = 16;
	bool pinned = true;

	machine = sim_test_machine(64);
	for (u32 round = 1; round <= 3; round++) {
		WRITE_ONCE(together, 0u);
		assert_int_equal(engine_run(machine, tasks, note_run, &tasks, &pinned), 0);
		for (u32 i = 0; i < 64; i++)
			assert_int_equal(ran[i], i < tasks ? round : 0);
	}
	if (sysconf(_SC_NPROCESSORS_ONLN) < 16)
		assert_false(pinned);
	assert_null(machine_task(machine, 3));
	machine_destroy(machine);
}

static void test_limits(void **state)
{
	struct machine_config cfg = {.tasks = 0};
	u32 one = 1;

	assert_null(machine_create(&cfg));
	assert_int_equal(errno, EINVAL);
	cfg.tasks = MMSIM_TASKS_MAX + 1;
	assert_null(machine_create(&cfg));
	assert_int_equal(errno, EINVAL);
	cfg.tasks = MMSIM_TASKS_MAX;
	machine = machine_create(&cfg);
	assert_non_null(machine);
	assert_true(machine_cpu_count(machine) > MMSIM_TASKS_MAX + MMSIM_BOOT_CPUS);
	assert_true(machine_cpu_count(machine) <= MMSIM_CPU_IDS_MAX);
	assert_null(machine_cpu(machine, MMSIM_CPU_IDS_MAX));
	assert_int_equal(engine_run(machine, MMSIM_TASKS_MAX + 1, note_run, &one, NULL), -EINVAL);
	machine_destroy(machine);
}

static void *enter_and_leave(void *arg)
{
	for (u32 i = 0; i < 200; i++) {
		machine_enter(machine);
		this_cpu()->counters[COUNTER_FAULT_TOTAL]++; /* plain: the CPU is ours */
		machine_leave();
	}
	return NULL;
}

static void test_several_threads_entered(void **state)
{
	pthread_t threads[MMSIM_BOOT_CPUS];

	machine = sim_test_machine(1);
	for (u32 i = 0; i < MMSIM_BOOT_CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
	for (u32 i = 0; i < MMSIM_BOOT_CPUS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(machine_counter(machine, COUNTER_FAULT_TOTAL), 200 * MMSIM_BOOT_CPUS);
	machine_destroy(machine);
}

static void enter_twice(void)
{
	struct machine *m = sim_test_machine(1);

	machine_enter(m);
	machine_enter(m);
}

static void test_enter_twice_stops(void **state)
{
	sim_test_expect_bug(enter_twice, "mmsim_this_cpu");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_all_at_once),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_several_threads_entered),
		cmocka_unit_test(test_enter_twice_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
