/*
 * tests/unit/sim/locks/test_spinlock.c - exclusion, trylock; the sequence count's readers
 */
#include "../sim_test.h"

#include <mmsim/seqlock.h>
#include <mmsim/spinlock.h>

#define TASKS 4
#define ROUNDS 20000

static spinlock_t lock;
static u64 plain_a, plain_b; /* (lock): TSan sees it if the lock does not exclude */
static u64 tried, seq_a, seq_b;
static seqcount_t seq;
static u32 writers_left;

static void add_under_lock(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		plain_a++;
		plain_b = plain_a;
		spin_unlock(&lock);
	}
}

static void test_exclusion(void **state)
{
	struct machine *m = sim_test_machine(TASKS);

	spin_lock_init(&lock, LOCK_RANK_PTE);
	plain_a = 0;
	sim_test_run(m, TASKS, add_under_lock);
	assert_int_equal(plain_a, TASKS * ROUNDS);
	assert_int_equal(plain_b, plain_a);
	assert_false(spin_is_locked(&lock));
	machine_destroy(m);
}

static void try_under_lock(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if (!spin_trylock(&lock))
			continue;
		plain_a++;
		spin_unlock(&lock);
		(void)fetch_add(&tried, 1ull);
	}
}

static void test_trylock(void **state)
{
	struct machine *m = sim_test_machine(TASKS);

	spin_lock_init(&lock, LOCK_RANK_PTE);
	plain_a = tried = 0;
	sim_test_run(m, TASKS, try_under_lock);
	assert_true(tried > 0);
	assert_int_equal(plain_a, tried);
	machine_enter(m);
	spin_lock(&lock);
	assert_false(spin_trylock(&lock));
	spin_unlock(&lock);
	machine_leave();
	machine_destroy(m);
}

/* Writers keep a == b; a reader that retries as told never sees them differ. */
static void seq_task(void *arg, u32 index)
{
	if (index < 2) {
		for (u32 i = 0; i < ROUNDS; i++) {
			spin_lock(&lock);
			write_seqcount_begin(&seq);
			WRITE_ONCE(seq_a, seq_a + 1);
			WRITE_ONCE(seq_b, seq_b + 1);
			write_seqcount_end(&seq);
			spin_unlock(&lock);
		}
		(void)fetch_add(&writers_left, -1u);
		return;
	}
	while (READ_ONCE(writers_left)) {
		u64 a, b;
		u32 start;

		do {
			start = read_seqcount_begin(&seq);
			a = READ_ONCE(seq_a);
			b = READ_ONCE(seq_b);
		} while (read_seqcount_retry(&seq, start));
		assert_true(a == b);
	}
}

static void test_seqcount(void **state)
{
	struct machine *m = sim_test_machine(TASKS);

	seqcount_init(&seq);
	writers_left = 2;
	sim_test_run(m, TASKS, seq_task);
	assert_int_equal(seq_a, 2 * ROUNDS);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exclusion),
		cmocka_unit_test(test_trylock),
		cmocka_unit_test(test_seqcount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
