/*
 * tests/unit/sim/locks/test_barrier.c - nobody passes before all have come, over and over
 */
#include "../sim_test.h"

#define TASKS 5
#define ROUNDS 500

static struct sim_barrier barrier_all;
static u64 arrived[TASKS]; /* written by its task before the barrier, read by all after it */

static void meet(void *arg, u32 index)
{
	for (u64 round = 1; round <= ROUNDS; round++) {
		arrived[index] = round;
		sim_barrier_wait(&barrier_all);
		for (u32 i = 0; i < TASKS; i++)
			assert_true(arrived[i] == round); /* plain: TSan checks the ordering */
		sim_barrier_wait(&barrier_all);
	}
}

static void test_rounds(void **state)
{
	struct machine *m = sim_test_machine(TASKS);

	sim_barrier_init(&barrier_all, TASKS);
	sim_test_run(m, TASKS, meet);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
