/*
 * tests/unit/mm/locking/test_schemes.c - the registry; fault hooks of mmap_lock and lock_null
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (16ull << 20)

static void registry(void **state)
{
	assert_ptr_equal(mm_locking_find("mmap_lock"), &mm_locking_mmap_lock);
	assert_ptr_equal(mm_locking_find("vma_refcnt"), &mm_locking_vma_refcnt);
	assert_null(mm_locking_find("mmap_loc"));
	assert_null(mm_locking_find(""));
}

/* A hook that is missing is a crash in the one place that calls it. */
static void no_hook_is_empty(void **state)
{
	for (u32 i = 0; mm_locking_all[i]; i++) {
		const struct mm_locking *s = mm_locking_all[i];

		assert_true(s->name && s->summary);
		assert_ptr_equal(mm_locking_find(s->name), s);
		assert_true(s->vma_init && s->vma_attached && s->vma_detached && s->vma_free);
		assert_true(s->vma_start_write && s->vm_write_begin && s->vm_write_end);
		assert_true(s->lock && s->unlock && s->downgrade &&
			    s->is_contended);
		assert_true(s->fault_begin && s->walk_begin && s->walk_end && s->pte_lock &&
			    s->fault_end);
	}
}

/* LK_WAIT: f->vma is what find_vma() says, and the hold is held for read. */
static void fault_hooks(const struct mm_locking *scheme, bool rwsem)
{
	struct mm_world w = mm_world_create(scheme, MEMORY, 1);
	u64 va = map_anon(&w, 2, RW);
	struct fault f = {.mm = w.mm, .va = va + PAGE, .hold = mm_hold(HOLD_FAULT)};

	assert_int_equal(scheme->fault_begin(&f, LK_TRY), LK_CONTENDED);
	assert_int_equal(f.hold->mode, MMAP_UNLOCKED);
	assert_int_equal(scheme->fault_begin(&f, LK_WAIT), LK_OK);
	assert_ptr_equal(f.vma, vma_tree_load(&w.mm->vmas, va));
	assert_int_equal(f.hold->mode, MMAP_READ);
	assert_int_equal(rwsem_is_locked(&w.mm->mmap_lock), rwsem);
	scheme->fault_end(&f, false);
	assert_int_equal(f.hold->mode, MMAP_UNLOCKED);
	assert_false(rwsem_is_locked(&w.mm->mmap_lock));

	f.va = va - PAGE; /* below it: the VMA above */
	assert_int_equal(scheme->fault_begin(&f, LK_WAIT), LK_OK);
	assert_ptr_equal(f.vma, vma_tree_load(&w.mm->vmas, va));
	scheme->fault_end(&f, false);
	f.va = va + 2 * PAGE; /* above everything */
	assert_int_equal(scheme->fault_begin(&f, LK_WAIT), LK_OK);
	assert_null(f.vma);
	scheme->fault_end(&f, false);
	mm_world_destroy(&w);
}

static void fault_hooks_mmap_lock(void **state)
{
	fault_hooks(&mm_locking_mmap_lock, true);
}
static void fault_hooks_lock_null(void **state)
{
	fault_hooks(&mm_locking_lock_null, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry),
		cmocka_unit_test(no_hook_is_empty),
		cmocka_unit_test(fault_hooks_mmap_lock),
		cmocka_unit_test(fault_hooks_lock_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
