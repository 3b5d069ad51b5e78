/*
 * tests/unit/sim/test_bug.c - a broken invariant stops the process and says where and who
 */
#include "sim_test.h"

static void plain_bug(void)
{
	MMSIM_BUG("frame %d is %s", 7, "lost");
}

static void condition_bug(void)
{
	int frames = 1;

	MMSIM_BUG_ON(frames != 2);
}

static void task_bug(void)
{
	struct machine *m = sim_test_machine(3);

	machine_enter(m);
	MMSIM_BUG("inside");
}

static void test_message_and_place(void **state)
{
	sim_test_expect_bug(plain_bug, "test_bug.c");
	sim_test_expect_bug(plain_bug, "frame 7 is lost (no task)");
	sim_test_expect_bug(condition_bug, "frames != 2");
}

static void test_task_is_named(void **state)
{
	sim_test_expect_bug(task_bug, "inside (task 3, cpu 3)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_and_place),
		cmocka_unit_test(test_task_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
