/* tests/unit/sim/cli/test_stats.c - means and intervals against values worked out by hand */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/cli/stats.h"

#define NEAR(a, b) assert_float_equal((a), (b), 1e-4)

static void one_value(void **state)
{
	double v[] = {7};
	struct stats s;

	stats_compute(&s, v, 1);
	NEAR(s.min, 7);
	NEAR(s.max, 7);
	NEAR(s.amean, 7);
	NEAR(s.hmean, 7);
	NEAR(s.median, 7);
	NEAR(s.stddev, 0);
	NEAR(s.ci95, 0);
}

static void several(void **state)
{
	double v[] = {4, 1, 2};
	struct stats s;

	stats_compute(&s, v, 3);
	NEAR(s.min, 1);
	NEAR(s.max, 4);
	NEAR(s.median, 2);
	NEAR(s.amean, 7.0 / 3);
	NEAR(s.hmean, 3 / (1 + 0.5 + 0.25));
	NEAR(s.stddev, 1.5275252);
	NEAR(s.coeff_var, 65.465367);
	NEAR(s.ci95, 4.303 * 1.5275252 / 1.7320508);
}

static void even_median_and_zero(void **state)
{
	double v[] = {0, 10, 20, 30};
	struct stats s;

	stats_compute(&s, v, 4);
	NEAR(s.median, 15);
	NEAR(s.hmean, 0); /* undefined with a zero */
}

static void intervals(void **state)
{
	double a[] = {100, 101, 102}, b[] = {110, 111, 112}, c[] = {90, 101, 119}, d[] = {200};
	struct stats sa, sb, sc, sd;

	stats_compute(&sa, a, 3);
	stats_compute(&sb, b, 3);
	stats_compute(&sc, c, 3);
	stats_compute(&sd, d, 1);
	assert_true(stats_differ(&sa, &sb));
	assert_false(stats_differ(&sa, &sc));
	assert_false(stats_differ(&sa, &sd)); /* one value says nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_value),
		cmocka_unit_test(several),
		cmocka_unit_test(even_median_and_zero),
		cmocka_unit_test(intervals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
