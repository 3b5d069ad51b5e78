/*
 * tests/unit/sim/native/test_percpu.c - per-CPU memory: zeroed, apart, reused; counters in batches
 */
#include "../sim_test.h"

#include <mmsim/percpu.h>

static struct machine *machine;
static struct percpu_counter counter;

static void test_zeroed_and_reused(void **state)
{
	percpu_t a = percpu_alloc(machine, 24, 8), b = percpu_alloc(machine, 24, 8), again;

	assert_true(a && b && a != b);
	for (u32 i = 0; i < machine_cpu_count(machine); i++)
		memset(per_cpu_ptr(a, char, machine_cpu(machine, i)), 0xff, 24);
	for (u32 i = 0; i < machine_cpu_count(machine); i++)
		assert_int_equal(*per_cpu_ptr(b, u64, machine_cpu(machine, i)), 0);
	percpu_free(machine, a, 24);
	again = percpu_alloc(machine, 32, 8); /* the same class */
	assert_int_equal(again, a);
	for (u32 i = 0; i < machine_cpu_count(machine); i++) {
		u64 *p = per_cpu_ptr(again, u64, machine_cpu(machine, i));

		assert_true(!p[0] && !p[1] && !p[2] && !p[3]);
	}
	percpu_free(machine, again, 32);
	percpu_free(machine, b, 24);
}

static void test_alignment_and_exhaustion(void **state)
{
	static percpu_t handles[MMSIM_PERCPU_AREA_BYTES / MMSIM_PERCPU_OBJECT_MAX_BYTES + 1];
	percpu_t small = percpu_alloc(machine, 8, 8), line = percpu_alloc(machine, 40, 64);
	u32 n = 0;

	assert_true(small && line);
	assert_int_equal(line % 64, 0);
	while ((handles[n] = percpu_alloc(machine, MMSIM_PERCPU_OBJECT_MAX_BYTES, 64)))
		n++;
	assert_in_range(n, 25, 32);
	while (n--)
		percpu_free(machine, handles[n], MMSIM_PERCPU_OBJECT_MAX_BYTES);
	percpu_free(machine, small, 8);
	percpu_free(machine, line, 40);
}

static void add(void *arg, u32 index)
{
	for (s64 i = 0; i < 10000; i++) {
		percpu_counter_add(&counter, index == 0 ? -2 : 3);
		if (index == 1 && i % 100 == 0) {
			/* Racing readers: never further off than batch x CPUs. */
			s64 sum = percpu_counter_sum(machine, &counter);

			assert_true(sum > -30000 && sum < 100000);
		}
	}
}

static void test_counter(void **state)
{
	s64 off;

	assert_int_equal(percpu_counter_init(machine, &counter, 32), 0);
	sim_test_run(machine, 4, add);
	assert_int_equal(percpu_counter_sum(machine, &counter), 3 * 30000 - 20000);
	off = percpu_counter_read(&counter) - (3 * 30000 - 20000);
	assert_true(off > -32 * 4 && off < 32 * 4);
	percpu_counter_destroy(machine, &counter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_reused),
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_alignment_and_exhaustion),
	};
	int failed;

	machine = sim_test_machine(4);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	machine_destroy(machine);
	return failed;
}
