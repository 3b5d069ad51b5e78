/*
 * mm/locking/lock_broken.c - scheme "lock_broken": wrong on purpose
 *
 * Writers take mm->mmap_lock, so that they do not destroy the tree among themselves; readers take
 * nothing and validate nothing. So a fault goes on with a VMA that munmap has just taken away, and
 * installs a page in a hole, or beside a new protection. A concurrency test that is green under
 * this scheme tests nothing: tests/scheme/conformance.c demands that it is caught.
 */
#include "mm/internal.h"

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	h->start = 0;
	h->end = ~0ull;
	return mode == MMAP_READ ? 0 : mmap_rwsem_lock(h, mode, how);
}

static void unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_WRITE)
		mmap_rwsem_unlock(h);
}

static enum lk_status fault_begin(struct fault *f, enum lk_mode mode)
{
	if (mode == LK_TRY)
		return LK_CONTENDED;
	rcu_read_lock();
	f->vma = vma_tree_find(&f->mm->vmas, f->va, ~0ull);
	rcu_read_unlock();
	f->hold->mm = f->mm;
	f->hold->mode = MMAP_READ;
	f->hold->start = 0;
	f->hold->end = ~0ull;
	return LK_OK;
}

static void fault_end(struct fault *f, bool retry)
{
	(void)retry;
	f->hold->mode = MMAP_UNLOCKED;
}

const struct mm_locking mm_locking_lock_broken = {
	.name = "lock_broken",
	.summary = "deliberately wrong: readers take no lock; the tests must fail under it",
	.caps = LK_CAP_RCU_WALK,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = lock,
	.unlock = unlock,
	.downgrade = mmap_rwsem_unlock, /* the mode still says MMAP_WRITE */
	.is_contended = mmap_rwsem_is_contended,

	.fault_begin = fault_begin,
	.walk_begin = fault_walk_nop,
	.walk_end = fault_walk_nop,
	.pte_lock = pte_lock_blocking,
	.fault_end = fault_end,
};
