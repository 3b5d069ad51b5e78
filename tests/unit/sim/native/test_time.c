/*
 * tests/unit/sim/native/test_time.c - the clock's rate and direction, delays, CPU time
 */
#include "../sim_test.h"

#include <time.h>

static struct machine *machine;

static u64 raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

/* Of several intervals the best agrees to 0.1 %: preemption between two readings spoils some. */
static void test_rate(void **state)
{
	double best = 1.0;

	for (u32 i = 0; i < 10; i++) {
		u64 raw0 = raw_ns(), now0 = engine_now_ns(), raw1, now1;
		double error;

		usleep(20000);
		raw1 = raw_ns();
		now1 = engine_now_ns();
		error = (double)(now1 - now0) / (double)(raw1 - raw0) - 1.0;
		if (error < 0)
			error = -error;
		if (error < best)
			best = error;
	}
	assert_true(best < 0.001);
}

static void never_backwards(void *arg, u32 index)
{
	u64 last = engine_now_ns();

	for (u32 i = 0; i < 300000; i++) {
		u64 now = engine_now_ns();

		assert_true(now >= last);
		last = now;
	}
}

static void test_never_backwards(void **state)
{
	sim_test_run(machine, 4, never_backwards);
}

static void test_delays_are_not_short(void **state)
{
	static const u64 delays_ns[] = {0, 100, 5000, 49000, 51000, 300000, 3000000};

	machine_enter(machine);
	for (u32 i = 0; i < ARRAY_SIZE(delays_ns); i++) {
		u64 start = engine_now_ns();

		engine_delay_ns(delays_ns[i]);
		assert_true(engine_now_ns() - start >= delays_ns[i]);
	}
	machine_leave();
}

static void test_cpu_time(void **state)
{
	u64 user0, system0, user1, system1, start, wall;

	machine_enter(machine);
	engine_cpu_time_ns(&user0, &system0);
	start = engine_now_ns();
	do { /* some of both kinds */
		engine_yield();
		engine_delay_ns(10000);
		engine_cpu_time_ns(&user1, &system1);
	} while (user1 + system1 - user0 - system0 < 20000000ull);
	wall = engine_now_ns() - start;
	/* Never more CPU time than wall time, but for the difference of the two clocks' rates. */
	assert_true(user1 + system1 - user0 - system0 <= wall + wall / 100);
	machine_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_never_backwards),
		cmocka_unit_test(test_delays_are_not_short),
		cmocka_unit_test(test_cpu_time),
	};
	int failed;

	machine = sim_test_machine(4);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	machine_destroy(machine);
	return failed;
}
