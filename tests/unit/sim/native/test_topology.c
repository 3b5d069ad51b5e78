/*
 * tests/unit/sim/native/test_topology.c - host CPUs are distinct, and binding binds
 */
#include "../sim_test.h"

#include "sim/native/internal.h"

#include <sched.h>

static void test_binding(void **state)
{
	u32 count = native_host_cpus();
	cpu_set_t before, now, seen;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(count, CPU_COUNT(&before));
	CPU_ZERO(&seen);
	for (u32 i = 0; i < count; i++) {
		assert_true(native_bind_thread(i));
		assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
		assert_int_equal(CPU_COUNT(&now), 1);
		CPU_OR(&seen, &seen, &now);
	}
	assert_true(CPU_EQUAL(&seen, &before)); /* each once, and only those we may use */
	assert_false(native_bind_thread(count));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_binding)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
