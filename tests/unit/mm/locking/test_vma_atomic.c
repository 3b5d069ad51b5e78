/* tests/unit/mm/locking/test_vma_atomic.c - the states of the count, wherever it lies */
#define SCHEME (&mm_locking_vma_atomic)
#include "tests/unit/mm/locking/vma_lock_cases.h"

static void states_of_the_count(void **state)
{
	struct mm_world w = world(VMA_LOCK_EMBEDDED, 1);
	struct vma *vma = vma_at(w.mm, map_anon(&w, 2, RW));
	struct fault f = fault_at(w.mm, vma->start), g = fault_at(w.mm, vma->start + PAGE);

	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK);
	assert_int_equal(atomic_read(&vma->lock.count), 1);
#ifndef MMSIM_DEBUG_LOCKS /* one task does not hold two VMA locks for read */
	assert_int_equal(SCHEME->fault_begin(&g, LK_TRY), LK_OK);
	assert_int_equal(atomic_read(&vma->lock.count), 2);
	SCHEME->fault_end(&g, false);
#endif
	(void)g;
	SCHEME->fault_end(&f, false);
	assert_int_equal(atomic_read(&vma->lock.count), 0);
	mm_world_destroy(&w);
}

/* A writer about to mark it, or a count at its limit, refuses without waiting. */
static void refuses_writer_and_limit(void **state)
{
	struct mm_world w = world(VMA_LOCK_EMBEDDED, 1);
	u64 va = map_anon(&w, 1, RW);
	struct vma *vma = vma_at(w.mm, va);

	atomic_set(&vma->lock.count, -1);
	expect_abort(&w, va);
	assert_int_equal(atomic_read(&vma->lock.count), -1);
	atomic_set(&vma->lock.count, 0x7fffffff);
	expect_abort(&w, va);
	assert_int_equal(atomic_read(&vma->lock.count), 0x7fffffff);
	atomic_set(&vma->lock.count, 0);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { VMA_LOCK_CASES, cmocka_unit_test(states_of_the_count),
					    cmocka_unit_test(refuses_writer_and_limit) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
