/*
 * mm/locking/lock_null.c - scheme "lock_null": no locking at all, for one task
 *
 * What a fault costs under it is what the harness costs: the difference to another scheme on one
 * CPU is that scheme's own price. With more than one task it is wrong, so it says LK_CAP_ONE_CPU
 * and the command line refuses.
 * Tests  tests/scheme/conformance.c (its single-task part)
 */
#include "mm/internal.h"

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	(void)mode, (void)how;
	h->start = 0;
	h->end = ~0ull;
	return 0;
}

static void hold_nop(struct mm_hold *h)
{
	(void)h;
}

static bool is_contended(const struct mm_hold *h)
{
	(void)h;
	return false;
}

static enum lk_status fault_begin(struct fault *f, enum lk_mode mode)
{
	if (mode == LK_TRY)
		return LK_CONTENDED;
	f->hold->mm = f->mm;
	f->hold->mode = MMAP_READ;
	f->hold->start = 0;
	f->hold->end = ~0ull;
	f->vma = vma_tree_find(&f->mm->vmas, f->va, ~0ull);
	return LK_OK;
}

static void fault_end(struct fault *f, bool retry)
{
	(void)retry;
	f->hold->mode = MMAP_UNLOCKED;
}

static bool pte_lock(struct fault *f, spinlock_t *ptl)
{
	/* The page-table lock belongs to the page tables, not to the scheme: others unlock it. */
	(void)f;
	spin_lock(ptl);
	return true;
}

const struct mm_locking mm_locking_lock_null = {
	.name = "lock_null",
	.summary = "no address-space locking; one task only: measures the harness",
	.caps = LK_CAP_ONE_CPU | LK_CAP_TABLES_PINNED,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = lock,
	.unlock = hold_nop,
	.downgrade = hold_nop,
	.is_contended = is_contended,

	.fault_begin = fault_begin,
	.walk_begin = fault_walk_nop,
	.walk_end = fault_walk_nop,
	.pte_lock = pte_lock,
	.fault_end = fault_end,
};
