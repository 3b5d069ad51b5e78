/*
 * tests/unit/sim/native/test_wait.c - wait queues lose no wake-up; kills end killable waits only
 */
#include "../sim_test.h"

#define TURNS 3000

static struct machine *machine;
static struct wait_queue wq;
static u32 turn, flag, waiting;
static u64 plain; /* handed over with the turn */

/* Tasks pass a turn around a ring: each wake-up that got lost would hang it. A pause of growing
 * length before the wake-up moves it over every moment of the other's way to sleep. */
static void ring(void *arg, u32 index)
{
	u32 tasks = *(u32 *)arg;

	for (u32 i = 0; i < TURNS; i++) {
		u32 mine = i * tasks + index;

		wait_event(&wq, smp_load_acquire(&turn) == mine);
		plain++;
		engine_delay_ns(i % 100 * 20);
		smp_store_release(&turn, mine + 1);
		wake_up_all(&wq);
	}
}

static void test_no_lost_wakeups(void **state)
{
	for (u32 tasks = 2; tasks <= 3; tasks++) {
		wait_queue_init(&wq);
		WRITE_ONCE(turn, 0u);
		plain = 0;
		assert_int_equal(engine_run(machine, tasks, ring, &tasks, NULL), 0);
		assert_int_equal(plain, tasks * TURNS);
		assert_int_equal(wq.waiters, 0);
	}
}

static void one_at_a_time(void *arg, u32 index)
{
	if (index == 0) {
		for (u32 i = 0; i < 3 * TURNS; i++) {
			(void)fetch_add(&flag, 1u);
			wake_up_one(&wq);
		}
		return;
	}
	for (u32 i = 0; i < TURNS; i++) {
		u32 have;

		do {
			wait_event(&wq, READ_ONCE(flag) != 0);
			have = READ_ONCE(flag);
		} while (!have || !try_cmpxchg(&flag, &have, have - 1));
	}
}

static void test_wake_one(void **state)
{
	wait_queue_init(&wq);
	WRITE_ONCE(flag, 0u);
	sim_test_run(machine, 4, one_at_a_time);
	assert_int_equal(flag, 0);
}

static void killed(void *arg, u32 index)
{
	if (index == 0) {
		/* No yield: the window is a tenth of a microsecond wide. */
		while (!READ_ONCE(waiting))
			cpu_relax();
		engine_delay_ns(*(u32 *)arg % 100 * 20); /* at any moment of its way to sleep */
		task_kill(machine_task(machine, 1));
		return;
	}
	WRITE_ONCE(waiting, 1u);
	assert_int_equal(wait_event_killable(&wq, READ_ONCE(flag)), -EINTR);
}

static void test_kill_ends_killable_wait(void **state)
{
	wait_queue_init(&wq);
	WRITE_ONCE(flag, 0u);
	for (u32 i = 0; i < 300; i++) {
		WRITE_ONCE(waiting, 0u);
		assert_int_equal(engine_run(machine, 2, killed, &i, NULL), 0);
		assert_int_equal(wq.waiters, 0);
	}
}

static void killed_but_patient(void *arg, u32 index)
{
	if (index == 0) {
		while (!READ_ONCE(waiting))
			engine_yield();
		task_kill(machine_task(machine, 1));
		engine_delay_ns(2000000);
		WRITE_ONCE(turn, 1u);
		WRITE_ONCE(flag, 1u);
		wake_up_all(&wq);
		return;
	}
	WRITE_ONCE(waiting, 1u);
	wait_event(&wq, READ_ONCE(flag));
	assert_int_equal(READ_ONCE(turn), 1);
	assert_true(task_killed());
	/* Killed, but the condition holds: no error. */
	assert_int_equal(wait_event_killable(&wq, READ_ONCE(flag)), 0);
}

static void test_kill_leaves_plain_wait_alone(void **state)
{
	wait_queue_init(&wq);
	WRITE_ONCE(flag, 0u);
	WRITE_ONCE(turn, 0u);
	WRITE_ONCE(waiting, 0u);
	sim_test_run(machine, 2, killed_but_patient);
}

static void parked(void *arg, u32 index)
{
	if (index == 0) {
		for (u32 i = 1; i <= TURNS; i++) {
			plain = i;
			smp_store_release(&turn, i);
			task_unpark(machine_task(machine, 1));
			while (smp_load_acquire(&flag) != i)
				engine_yield();
		}
		return;
	}
	for (u32 i = 1; i <= TURNS; i++) {
		while (smp_load_acquire(&turn) != i)
			task_park();
		assert_int_equal(plain, i);
		smp_store_release(&flag, i);
	}
}

static void wait_for_task_1(void *arg, u32 index)
{
	while (!machine_task(machine, 0) || !machine_task(machine, 1))
		engine_yield();
	parked(arg, index);
}

static void test_park(void **state)
{
	WRITE_ONCE(flag, 0u);
	WRITE_ONCE(turn, 0u);
	sim_test_run(machine, 2, wait_for_task_1);
}

static void sleep_in_reader(void)
{
	machine_enter(sim_test_machine(1));
	rcu_read_lock();
	wait_event(&wq, false);
}

static void test_sleep_in_reader_stops(void **state)
{
	sim_test_expect_bug(sleep_in_reader, "sleeps inside rcu_read_lock()");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_lost_wakeups),
		cmocka_unit_test(test_wake_one),
		cmocka_unit_test(test_kill_ends_killable_wait),
		cmocka_unit_test(test_kill_leaves_plain_wait_alone),
		cmocka_unit_test(test_park),
		cmocka_unit_test(test_sleep_in_reader_stops),
	};
	int failed;

	machine = sim_test_machine(4);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	machine_destroy(machine);
	return failed;
}
