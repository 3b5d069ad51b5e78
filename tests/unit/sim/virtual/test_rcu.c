/* tests/unit/sim/virtual/test_rcu.c - grace periods and call-backs in virtual time */
#include "virtual_test.h"

static struct machine *machine;
static u64 reader_left_ns, sync_ns, callback_ns;
static u32 callback_cpu, callbacks;
static struct rcu_head heads[64];

static struct machine_model model(void)
{
	return VT_MODEL(VT_FLAT, "rcu.gp_min", "50000", "rcu.callback", "40");
}

static void setup(u32 tasks, u32 cpus)
{
	struct machine_model m = model();

	machine = vt_machine_of(&m, tasks, cpus);
	callbacks = 0;
	callback_ns = 0;
}

static void note(struct rcu_head *head)
{
	callback_ns = engine_now_ns();
	callback_cpu = this_cpu()->id;
	callbacks++;
}

static void long_reader(void *arg, u32 index)
{
	if (index == 0) {
		rcu_read_lock();
		engine_delay_ns(300000);
		rcu_read_lock();
		rcu_read_unlock();
		reader_left_ns = engine_now_ns();
		rcu_read_unlock();
	} else if (index == 1) {
		engine_delay_ns(1000);
		sim_synchronize_rcu();
		sync_ns = engine_now_ns();
	} else {
		engine_delay_ns(1000);
		sim_call_rcu(&heads[0], note);
		engine_delay_ns(1000000);
	}
}

static void test_waits_for_readers(void **state)
{
	setup(3, 3);
	assert_int_equal(engine_run(machine, 3, long_reader, NULL, NULL), 0);
	assert_true(sync_ns >= reader_left_ns && sync_ns < reader_left_ns + 100000);
	assert_int_equal(callbacks, 1);
	assert_true(callback_ns >= reader_left_ns && callback_ns < reader_left_ns + 100000);
	assert_int_equal(callback_cpu, 2); /* who queued it */
	machine_destroy(machine);
}

static void queue_and_leave(void *arg, u32 index)
{
	sim_call_rcu(&heads[index], note);
	if (index == 0) {
		engine_delay_ns(1000);
		sim_rcu_barrier();
		assert_int_equal(callbacks, 4);
		sync_ns = engine_now_ns();
	}
}

static void test_idle_cpus_run_their_callbacks(void **state)
{
	setup(4, 4);
	assert_int_equal(engine_run(machine, 4, queue_and_leave, NULL, NULL), 0);
	assert_true(sync_ns >= 50000 && sync_ns < 200000);
	machine_destroy(machine);
}

static void reader_is_not_preempted(void *arg, u32 index)
{
	if (index == 0) {
		rcu_read_lock();
		engine_delay_ns(10000000); /* several slices */
		reader_left_ns = engine_now_ns();
		rcu_read_unlock();
	} else {
		sync_ns = engine_now_ns();
	}
}

static void test_readers_keep_their_cpu(void **state)
{
	setup(2, 1);
	assert_int_equal(engine_run(machine, 2, reader_is_not_preempted, NULL, NULL), 0);
	assert_true(sync_ns >= reader_left_ns);
	machine_destroy(machine);
}

static void test_inside_machine_enter(void **state)
{
	setup(1, 1);
	machine_enter(machine);
	rcu_read_lock();
	sim_call_rcu(&heads[0], note);
	assert_int_equal(callbacks, 0);
	rcu_read_unlock();
	sim_synchronize_rcu();
	sim_rcu_barrier();
	assert_int_equal(callbacks, 1);
	sim_call_rcu(&heads[1], note);
	machine_leave();
	machine_destroy(machine);
	assert_int_equal(callbacks, 2);
}

static void sleeps_inside(void)
{
	struct machine_model m = model();
	struct wait_queue wq = { 0 };

	machine = vt_machine_of(&m, 1, 1);
	machine_enter(machine);
	rcu_read_lock();
	wait_sleep(&wq, wait_prepare(&wq));
}

static void test_sleeping_reader_stops(void **state)
{
	sim_test_expect_bug(sleeps_inside, "sleeps inside rcu_read_lock()");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_readers),
		cmocka_unit_test(test_idle_cpus_run_their_callbacks),
		cmocka_unit_test(test_readers_keep_their_cpu),
		cmocka_unit_test(test_inside_machine_enter),
		cmocka_unit_test(test_sleeping_reader_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
