/*
 * tests/unit/sim/locks/test_osq.c - the spinners' queue: one head, and leaving from anywhere
 *
 * More tasks than CPUs, and heads that dawdle, so that many give up and withdraw from the middle.
 */
#include "../sim_test.h"

#include "sim/locks/locks.h"

#define TASKS 4
#define ROUNDS 2000

static struct osq_node *tail;
static u64 plain, heads, withdrawn; /* plain: the head's */

static void queue_up(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if (!osq_lock(&tail)) {
			(void)fetch_add(&withdrawn, 1ull);
			continue;
		}
		plain++;
		if (i % 256 == 0)
			engine_yield();
		else if (i % 8 == 0)
			engine_delay_ns(3000);
		(void)fetch_add(&heads, 1ull);
		osq_unlock(&tail);
	}
}

static void test_one_head_and_withdrawal(void **state)
{
	struct machine_config cfg = { .tasks = TASKS, .cpus = 2 };
	struct machine *m = machine_create(&cfg);

	assert_non_null(m);

	sim_test_run(m, TASKS, queue_up);
	assert_int_equal(plain, heads);
	assert_int_equal(heads + withdrawn, TASKS * ROUNDS);
	assert_null(tail);
	print_message("%llu heads, %llu withdrew\n", (unsigned long long)heads,
		      (unsigned long long)withdrawn);
	assert_true(heads > 0 && withdrawn > 0);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_head_and_withdrawal)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
