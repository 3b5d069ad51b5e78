/* tests/unit/mm/locking/test_vma_rwsem.c - the rwsem in a VMA, wherever it lies */
#define SCHEME (&mm_locking_vma_rwsem)
#include "tests/unit/mm/locking/vma_lock_cases.h"

/* Held for read while a reader is inside, never while a VMA is merely marked. */
static void states_of_the_rwsem(void **state)
{
	struct mm_world w = world(VMA_LOCK_EMBEDDED, 1);
	struct vma *vma = vma_at(w.mm, map_anon(&w, 1, RW));
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	struct fault f = fault_at(w.mm, vma->start);

	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK);
	assert_true(rwsem_is_locked(&vma->lock.rwsem));
	SCHEME->fault_end(&f, false);
	assert_false(rwsem_is_locked(&vma->lock.rwsem));
	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	vma_start_write(vma);
	assert_false(rwsem_is_locked(&vma->lock.rwsem));
	mmap_write_unlock(h);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { VMA_LOCK_CASES, cmocka_unit_test(states_of_the_rwsem) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
