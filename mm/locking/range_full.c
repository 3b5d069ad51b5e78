/*
 * mm/locking/range_full.c - scheme "range_full": a range lock that always takes the whole space
 *
 * Models       the range-lock series for Linux (Bueso 2017/18, before any caller names its range): every
 *              mmap_lock user takes [0, max] of an interval tree under one spin lock.
 * Protocol     That of mmap_lock.c; but a wait is a sleep (no spinning on a running owner, no
 *              stealing), the order is strictly first come first served, and a release wakes each of
 *              those that it lets in.
 * Guarantee    as mmap_lock. No concurrency is gained: it measures the price of the lock itself.
 * Lock order   MMAP is the outermost of all.
 * Tests        tests/scheme/conformance.c, tests/unit/sim/locks (the lock itself)
 */
#include "mm/locking/range_common.h"

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	h->start = 0;
	h->end = ~0ull;
	return range_hold_lock(h, mode, how);
}

const struct mm_locking mm_locking_range_full = {
	.name = "range_full",
	.summary = "interval-tree range lock, always over everything: the lock's own price",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED,

	.mm_init = range_mm_init,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = lock,
	.unlock = range_hold_unlock,
	.downgrade = range_hold_downgrade,
	.is_contended = range_hold_is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
