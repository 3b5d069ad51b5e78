/*
 * tests/unit/sim/test_hist.c - histograms against exact order statistics
 */
#include "sim_test.h"

#include <mmsim/hist.h>

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static void assert_within_1_percent(u64 got, u64 exact)
{
	u64 error = got > exact ? got - exact : exact - got;

	if (error > exact / 100)
		fail_msg("%llu is not within 1 %% of %llu", (unsigned long long)got,
			 (unsigned long long)exact);
}

static void test_empty(void **state)
{
	struct hist *h = hist_create();

	assert_non_null(h);
	assert_int_equal(hist_count(h), 0);
	assert_int_equal(hist_max(h), 0);
	assert_true(hist_mean(h) == 0.0);
	assert_int_equal(hist_quantile(h, 0.5), 0);
	hist_destroy(h);
}

/* Every bucket boundary, and its neighbours, lands in a bucket that contains it. */
static void contains(void *arg, u64 low, u64 high, u64 count)
{
	u64 value = *(u64 *)arg;

	assert_true(low <= value && value <= high);
	assert_int_equal(count, 1);
	assert_true(high - low <= low / 128);
}

static void test_buckets_contain_their_values(void **state)
{
	struct hist *h = hist_create();

	assert_non_null(h);
	for (u32 bit = 0; bit < 64; bit++) {
		for (int d = -1; d <= 1; d++) {
			u64 value = (1ull << bit) + (u64)(s64)d;

			hist_reset(h);
			hist_record(h, value);
			hist_visit(h, contains, &value);
			assert_int_equal(hist_max(h), value);
		}
	}
	hist_destroy(h);
}

static void test_quantiles_within_1_percent(void **state)
{
	static const double qs[] = {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0};
	enum { N = 50000 };
	static u64 values[N];
	u64 seed = sim_test_seed();
	struct hist *h = hist_create(), *half = hist_create();
	unsigned __int128 sum = 0;

	assert_non_null(h);
	assert_non_null(half);
	for (u32 i = 0; i < N; i++) {
		/* All magnitudes: a random number of random bits. */
		values[i] = sim_test_random(&seed) >> (sim_test_random(&seed) % 64);
		hist_record(i % 2 ? h : half, values[i]);
		sum += values[i];
	}
	hist_merge(h, half);
	qsort(values, N, sizeof(values[0]), by_value);
	assert_int_equal(hist_count(h), N);
	assert_int_equal(hist_max(h), values[N - 1]);
	assert_true(hist_mean(h) == (double)sum / N);
	for (u32 i = 0; i < ARRAY_SIZE(qs); i++) {
		u32 rank = (u32)(qs[i] * N + 0.999999);

		assert_within_1_percent(hist_quantile(h, qs[i]), values[rank ? rank - 1 : 0]);
	}
	assert_int_equal(hist_quantile(h, 1.0), values[N - 1]);
	hist_destroy(half);
	hist_destroy(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_buckets_contain_their_values),
		cmocka_unit_test(test_quantiles_within_1_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
