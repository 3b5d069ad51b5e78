/* tests/unit/sim/virtual/test_task.c - more tasks than CPUs: slices, sleeping, waking, CPU time */
#include "virtual_test.h"

#include <mmsim/charge.h>
#include <mmsim/wait.h>

#define MS 1000000ull

static struct machine *machine;
static u64 end_ns[16], user[16], system_time[16];
static u32 order[64], order_count;

static void work_1ms(void *arg, u32 index)
{
	for (u32 i = 0; i < 100; i++) {
		engine_delay_ns(10000);
		if (order_count < ARRAY_SIZE(order) &&
		    (!order_count || order[order_count - 1] != index))
			order[order_count++] = index;
	}
	end_ns[index] = engine_now_ns();
	engine_cpu_time_ns(&user[index], &system_time[index]);
}

static u64 latest(u32 tasks)
{
	u64 ns = 0;

	for (u32 i = 0; i < tasks; i++)
		ns = max(ns, end_ns[i]);
	return ns;
}

static void test_tasks_share_a_cpu_by_slices(void **state)
{
	struct machine_model model =
		VT_MODEL(VT_FLAT, "sched.slice", "100000", "cost.context_switch", "1000");

	machine = vt_machine_of(&model, 8, 2);
	order_count = 0;
	assert_int_equal(engine_run(machine, 8, work_1ms, NULL, NULL), 0);
	/* Four tasks of 1 ms each on each CPU, in slices of 0.1 ms with a switch of 1 us between. */
	vt_assert_near((double)latest(8), 4 * MS * 1.01, 0.01);
	for (u32 i = 0; i < 8; i++)
		vt_assert_near((double)(user[i] + system_time[i]), MS, 0.02);
	/* They took turns. */
	assert_true(order_count == ARRAY_SIZE(order));
	machine_destroy(machine);
}

static void test_siblings_slow_each_other(void **state)
{
	struct machine_model model = VT_MODEL("topology.sockets", "1", "topology.clusters", "1",
					      "topology.cores", "2", "topology.smt", "2",
					      "cpu.smt_slowdown_percent", "60",
					      "cpu.all_core_slowdown_percent", "0");

	/* Cores first: CPUs 0 and 1 are on cores of their own, 2 and 3 are their siblings. */
	machine = vt_machine_of(&model, 4, 4);
	assert_int_equal(engine_run(machine, 2, work_1ms, NULL, NULL), 0);
	vt_assert_near((double)latest(2), MS, 0.01);
	machine_destroy(machine);
	machine = vt_machine_of(&model, 4, 4);
	assert_int_equal(engine_run(machine, 4, work_1ms, NULL, NULL), 0);
	vt_assert_near((double)latest(4), 1.6 * MS, 0.01);
	machine_destroy(machine);
}

/* ---- sleeping ---------------------------------------------------------------------------------------- */

static struct wait_queue *queue;
static u32 *turn;

static void take_turns(void *arg, u32 index)
{
	for (u32 i = 0; i < 100; i++) {
		wait_event(queue, READ_ONCE(*turn) % 2 == index);
		WRITE_ONCE(*turn, i * 2 + index + 1);
		wake_up_all(queue);
	}
	end_ns[index] = engine_now_ns();
}

static void test_wake_up_costs_its_latency(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "cost.wake", "500", "cost.wake_latency", "20000");

	machine = vt_machine_of(&model, 2, 2);
	queue = machine_memory_alloc(machine, 64, 64);
	turn = machine_memory_alloc(machine, 64, 64);
	assert_true(queue && turn);
	assert_int_equal(engine_run(machine, 2, take_turns, NULL, NULL), 0);
	/* 200 hand-overs, each a sleep. */
	vt_assert_near((double)latest(2), 200 * 20000.0, 0.1);
	machine_destroy(machine);
}

static void meet(void *arg, u32 index)
{
	struct sim_barrier *b = arg;

	for (u32 i = 0; i < 20; i++) {
		engine_delay_ns(1000 + 37 * index);
		sim_barrier_wait(b);
	}
	end_ns[index % ARRAY_SIZE(end_ns)] = engine_now_ns();
}

static void test_many_more_tasks_than_cpus(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct sim_barrier barrier;

	machine = vt_machine_of(&model, 300, 3);
	sim_barrier_init(&barrier, 300);
	assert_int_equal(engine_run(machine, 300, meet, &barrier, NULL), 0);
	machine_destroy(machine);
}

static void time_modes(void *arg, u32 index)
{
	engine_delay_ns(10000);
	engine_charge(COST_SYSCALL);
	engine_delay_ns(20000);
	engine_user_mode();
	engine_delay_ns(5000);
	engine_cpu_time_ns(&user[0], &system_time[0]);
}

static void test_user_and_system_time(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "cost.syscall", "100");

	machine = vt_machine_of(&model, 1, 1);
	assert_int_equal(engine_run(machine, 1, time_modes, NULL, NULL), 0);
	vt_assert_near((double)user[0], 15000, 0.01);
	vt_assert_near((double)system_time[0], 20100, 0.01);
	machine_destroy(machine);
}

static void too_many_cpus(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct machine_config cfg = { .tasks = 65, .cpus = 65, .model = &model };

	assert_null(machine_create(&cfg));
	assert_int_equal(errno, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks_share_a_cpu_by_slices),
		cmocka_unit_test(test_siblings_slow_each_other),
		cmocka_unit_test(test_wake_up_costs_its_latency),
		cmocka_unit_test(test_many_more_tasks_than_cpus),
		cmocka_unit_test(test_user_and_system_time),
		cmocka_unit_test(too_many_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
