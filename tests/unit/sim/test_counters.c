/*
 * tests/unit/sim/test_counters.c - the list is complete and unique; sums over CPUs are exact
 */
#include "sim_test.h"

static void test_every_counter_is_described_once(void **state)
{
	for (u32 i = 0; i < COUNTER_COUNT; i++) {
		assert_non_null(counter_info[i].name);
		assert_true(counter_info[i].unit[0] && counter_info[i].meaning[0]);
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(counter_info[i].name, counter_info[j].name);
	}
	assert_string_equal(counter_info[COUNTER_IPI_SENT].name, "IPI_SENT");
}

static void count_to_1000(void *arg, u32 index)
{
	for (u32 i = 0; i < 1000; i++) {
		count_event(COUNTER_VMA_SPLIT);
		count_events(COUNTER_VMA_MERGE, index);
	}
}

static void test_sums_and_reset(void **state)
{
	struct machine *m = sim_test_machine(4);

	sim_test_run(m, 4, count_to_1000);
	assert_int_equal(machine_counter(m, COUNTER_VMA_SPLIT), 4000);
	assert_int_equal(machine_counter(m, COUNTER_VMA_MERGE), 6000);
	machine_counters_reset(m);
	assert_int_equal(machine_counter(m, COUNTER_VMA_SPLIT), 0);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_counter_is_described_once),
		cmocka_unit_test(test_sums_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
