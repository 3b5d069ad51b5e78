/*
 * tests/unit/mm/test_mmap_lock.c - the mmap locking API: modes and counters
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (16ull << 20)

static void modes_and_counts(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct mm_hold *h = mm_hold(HOLD_SYSCALL), *second = mm_hold(HOLD_SECOND), *third = mm_hold(HOLD_FAULT);

	assert_ptr_not_equal(h, second);
	EXPECT_COUNT(&w, MMAP_LOCK_READ, 1, mmap_read_lock(w.mm, h, 0, PAGE));
	assert_int_equal(h->mode, MMAP_READ);
	assert_ptr_equal(h->mm, w.mm);
	assert_true(mmap_read_trylock(w.mm, second, MM_RANGE_ALL));
	EXPECT_COUNT(&w, MMAP_LOCK_WRITE, 0, assert_false(mmap_write_trylock(w.mm, third, MM_RANGE_ALL)));
	mmap_read_unlock(second);
	mmap_read_unlock(h);
	EXPECT_COUNT(&w, MMAP_LOCK_WRITE, 1, mmap_write_lock(w.mm, h, MM_RANGE_ALL));
	assert_int_equal(h->mode, MMAP_WRITE);
	assert_false(mmap_read_trylock(w.mm, second, MM_RANGE_ALL));
	assert_false(mmap_write_trylock(w.mm, second, MM_RANGE_ALL));
	assert_int_equal(second->mode, MMAP_UNLOCKED);
	mmap_write_downgrade(h);
	assert_int_equal(h->mode, MMAP_READ);
	assert_true(mmap_read_trylock(w.mm, second, MM_RANGE_ALL));
	mmap_read_unlock(second);
	mmap_read_unlock(h);
	assert_int_equal(mmap_write_lock_killable(w.mm, h, MM_RANGE_ALL), 0);
	assert_false(mmap_lock_is_contended(h));
	mmap_write_unlock(h);
	assert_int_equal(COUNT(&w, MMAP_LOCK_READ_CONTENDED), 0);
	assert_int_equal(COUNT(&w, MMAP_LOCK_WRITE_CONTENDED), 0);
	assert_int_equal(COUNT(&w, MMAP_LOCK_WAIT_NS), 0); /* no clock was read */
	mm_world_destroy(&w);
}

/* One holds it until the other is seen to wait, in the list or on its way to it. */
#define HELD_NS 2000000
struct wait {
	struct mm *mm;
	enum mmap_lock_mode mode;
	u32 held;
};

static void wait_task(void *arg, u32 index)
{
	struct wait *s = arg;
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	const struct rwsem *sem = &s->mm->mmap_lock;

	if (index == 0) {
		mmap_write_lock(s->mm, h, MM_RANGE_ALL);
		smp_store_release(&s->held, 1u);
		while (!rwsem_is_contended(sem) && !READ_ONCE(sem->osq_tail))
			engine_yield();
		engine_delay_ns(HELD_NS);
		mmap_write_unlock(h);
		return;
	}
	while (!smp_load_acquire(&s->held))
		engine_yield();
	if (s->mode == MMAP_READ) {
		mmap_read_lock(s->mm, h, MM_RANGE_ALL);
		mmap_read_unlock(h);
	} else {
		mmap_write_lock(s->mm, h, MM_RANGE_ALL);
		mmap_write_unlock(h);
	}
}

static void contention_is_counted(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 2);
	struct wait s = {.mm = w.mm, .mode = MMAP_READ};

	EXPECT_COUNT(&w, MMAP_LOCK_READ_CONTENDED, 1, mm_world_run(&w, 2, wait_task, &s));
	assert_int_equal(COUNT(&w, MMAP_LOCK_READ), 1);
	assert_int_equal(COUNT(&w, MMAP_LOCK_WRITE), 1);
	assert_int_equal(COUNT(&w, MMAP_LOCK_WRITE_CONTENDED), 0);
	assert_true(COUNT(&w, MMAP_LOCK_WAIT_NS) >= HELD_NS);

	s = (struct wait){.mm = w.mm, .mode = MMAP_WRITE};
	EXPECT_COUNT(&w, MMAP_LOCK_WRITE_CONTENDED, 1, mm_world_run(&w, 2, wait_task, &s));
	assert_int_equal(COUNT(&w, MMAP_LOCK_READ_CONTENDED), 1);
	assert_int_equal(COUNT(&w, MMAP_LOCK_WRITE), 3);
	assert_true(COUNT(&w, MMAP_LOCK_WAIT_NS) >= 2 * HELD_NS);
	mm_world_destroy(&w);
}

/* One task takes it, another lets it go. */
struct handover {
	struct mm *mm;
	struct mm_hold hold;
	u32 taken;
};

static void handover_task(void *arg, u32 index)
{
	struct handover *s = arg;

	if (index == 0) {
		if (!mmap_read_trylock_non_owner(s->mm, &s->hold, MM_RANGE_ALL))
			MMSIM_BUG("nobody holds it");
		smp_store_release(&s->taken, 1u);
		return;
	}
	while (!smp_load_acquire(&s->taken))
		engine_yield();
	mmap_read_unlock_non_owner(&s->hold);
}

static void non_owner(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 2);
	struct handover s = {.mm = w.mm};
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	mm_world_run(&w, 2, handover_task, &s);
	assert_true(mmap_write_trylock(w.mm, h, MM_RANGE_ALL));
	mmap_write_unlock(h);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_and_counts),
		cmocka_unit_test(contention_is_counted),
		cmocka_unit_test(non_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
