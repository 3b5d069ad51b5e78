/*
 * Unit test of workloads/replay_units.c: the interval map against a page-by-page one, and cases
 *
 *   page  0123456789
 *         AAAAAAAA      set [0, 8) A
 *         AAA..AAA      remove [3, 5)
 *         AABBBBAA      set [2, 6) B
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workloads/replay_units.h"

static const struct step_ref first = {1, 10}, second = {2, 20}, third = {3, 30};

static u32 unit_of(const struct unit_map *m, u64 addr)
{
	const struct unit_entry *e = unit_map_find(m, addr);

	return e ? e->unit : UNIT_NONE;
}

static void test_case(void **state)
{
	static const u32 want[10] = {1, 1, 2, 2, 2, 2, 1, 1, UNIT_NONE, UNIT_NONE};
	struct unit_map m = {0};

	assert_true(unit_map_set(&m, 0, 8, 1, 3, first));
	assert_true(unit_map_remove(&m, 3, 5));
	assert_int_equal(unit_of(&m, 3), UNIT_NONE);
	assert_true(unit_map_set(&m, 2, 6, 2, 1, second));
	for (u64 a = 0; a < 10; a++)
		assert_int_equal(unit_of(&m, a), want[a]);
	assert_int_equal(unit_map_find(&m, 2)->writer.task, 2);
	assert_int_equal(unit_map_find(&m, 7)->writer.task, 1);
	assert_int_equal(unit_map_lower(&m, 8), m.count);
	unit_map_free(&m);
}

static void test_readers(void **state)
{
	struct unit_map m = {0}, copy;
	struct unit_entry *e;

	assert_true(unit_map_set(&m, 0, 8, 1, 3, first));
	assert_true(unit_entry_touch(unit_map_find(&m, 0), second));
	assert_true(unit_entry_touch(unit_map_find(&m, 0), third));
	assert_true(unit_entry_touch(unit_map_find(&m, 0), (struct step_ref){2, 21}));
	assert_int_equal(unit_map_find(&m, 0)->reader_count, 2);
	assert_true(unit_map_split(&m, 4));
	assert_true(unit_entry_touch(unit_map_find(&m, 4), (struct step_ref){9, 1}));
	assert_int_equal(unit_map_find(&m, 0)->reader_count, 2);
	e = unit_map_find(&m, 7);
	assert_int_equal(e->reader_count, 3);
	assert_int_equal(e->readers[1].step, 21); /* the latest touch of task 2 */
	assert_true(unit_map_fork(&copy, &m, third));
	assert_int_equal(copy.count, 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(copy.entries[i].reader_count, 0);
		assert_int_equal(m.entries[i].reader_count, 0);
		assert_int_equal(copy.entries[i].writer.task, 3);
		assert_int_equal(m.entries[i].writer.step, 30);
	}
	unit_map_free(&copy);
	unit_map_free(&m);
}

#define PAGES 200

static void test_random(void **state)
{
	const char *env = getenv("MMSIM_SEED");
	u64 seed = env ? strtoull(env, NULL, 0) : 0x5eed, rng = seed | 1;
	struct unit_map m = {0};
	u32 want[PAGES];

	print_message("seed %#llx\n", (unsigned long long)seed);
	for (u32 i = 0; i < PAGES; i++)
		want[i] = UNIT_NONE;
	for (u32 round = 0; round < 5000; round++) {
		u64 a, b;

		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		a = (rng >> 33) % PAGES;
		b = a + 1 + (rng >> 20) % 16;
		b = min(b, (u64)PAGES);
		if (rng >> 62)
			assert_true(unit_map_set(&m, a, b, round, 0, first));
		else
			assert_true(unit_map_remove(&m, a, b));
		for (u64 i = a; i < b; i++)
			want[i] = rng >> 62 ? round : UNIT_NONE;
		for (u32 i = 0; i + 1 < m.count; i++)
			assert_true(m.entries[i].end <= m.entries[i + 1].start);
		for (u32 i = 0; i < PAGES; i++)
			assert_int_equal(unit_of(&m, i), want[i]);
	}
	unit_map_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
