/*
 * tests/unit/sim/test_lock_rank.c - debug builds stop at violations of the lock order
 */
#include "sim_test.h"

#include <mmsim/rwsem.h>
#include <mmsim/spinlock.h>

#ifdef MMSIM_DEBUG_LOCKS
static spinlock_t pte, pte2, zone;
static struct rwsem mmap_sem;

static void enter(void)
{
	machine_enter(sim_test_machine(1));
	spin_lock_init(&pte, LOCK_RANK_PTE);
	spin_lock_init(&pte2, LOCK_RANK_PTE);
	spin_lock_init(&zone, LOCK_RANK_ZONE);
	rwsem_init(&mmap_sem, LOCK_RANK_MMAP);
}

static void wrong_order(void)
{
	enter();
	spin_lock(&zone);
	spin_lock(&pte);
}

static void sleeping_lock_inside(void)
{
	enter();
	spin_lock(&pte);
	down_read(&mmap_sem);
}

static void same_rank(void)
{
	enter();
	spin_lock(&pte);
	spin_lock(&pte2);
}

static void twice(void)
{
	enter();
	down_read(&mmap_sem);
	down_read(&mmap_sem);
}

static void not_held(void)
{
	enter();
	spin_unlock(&pte);
}

static void left_held(void)
{
	enter();
	spin_lock(&pte);
	machine_leave();
}

static void test_violations_stop(void **state)
{
	sim_test_expect_bug(wrong_order, "lock order: PTE");
	sim_test_expect_bug(wrong_order, "holds ZONE");
	sim_test_expect_bug(sleeping_lock_inside, "lock order: MMAP");
	sim_test_expect_bug(same_rank, "lock order: PTE");
	sim_test_expect_bug(twice, "is already held");
	sim_test_expect_bug(not_held, "released but not held");
	sim_test_expect_bug(left_held, "ends with 1 locks held");
}

static void test_right_order_passes(void **state)
{
	struct machine *m = sim_test_machine(1);

	machine_enter(m);
	spin_lock_init(&pte, LOCK_RANK_PTE);
	spin_lock_init(&pte2, LOCK_RANK_PTE);
	spin_lock_init(&zone, LOCK_RANK_ZONE);
	rwsem_init(&mmap_sem, LOCK_RANK_MMAP);
	down_write(&mmap_sem);
	spin_lock(&pte);
	spin_lock_nested(&pte2);
	spin_lock(&zone);
	assert_true(lock_rank_held(&pte));
	spin_unlock(&pte); /* any order of release */
	assert_false(lock_rank_held(&pte));
	assert_true(spin_trylock(&pte)); /* out of order: fine for a trylock */
	spin_unlock(&pte);
	spin_unlock(&zone);
	spin_unlock(&pte2);
	downgrade_write(&mmap_sem);
	up_read(&mmap_sem);
	assert_false(lock_rank_held(&mmap_sem));
	for (u32 i = 0; i < 100; i++) /* the books grow */
		lock_rank_acquire((char *)state + i, LOCK_RANK_VMA, true, false);
	for (u32 i = 0; i < 100; i++)
		lock_rank_release((char *)state + i, LOCK_RANK_VMA);
	machine_leave();
	machine_destroy(m);
}
#else
static void test_violations_stop(void **state)
{
	print_message("skipped: not built with MMSIM_DEBUG_LOCKS\n");
	skip();
}

static void test_right_order_passes(void **state)
{
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_violations_stop),
		cmocka_unit_test(test_right_order_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
