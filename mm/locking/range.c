/*
 * mm/locking/range.c - scheme "range": readers and writers lock the part of the space that they use
 *
 * Models       an interval-tree range lock as address-space lock, with the ranges that callers need.
 * Protocol     1. A fault read-locks its page, looks its VMA up without a lock (under RCU), and has it: who
 *                 changes a VMA locks all of it. To share a neighbour's anon_vma it locks the VMA and a
 *                 page on either side.
 *              2. mprotect, madvise, mlock, munmap, MAP_FIXED write-lock their range, widened to the
 *                 VMAs that it cuts or touches: what a split or a merge may change. The VMAs are
 *                 looked up first and again under the lock; if they moved, once more.
 *              3. mmap without an address chooses a gap and reserves it under mm->tree_lock, then
 *                 write-locks it in the same way.
 *              4. Stores into the VMA tree, the gap search and the mm's counts are short and under
 *                 mm->tree_lock: a range says nothing about the tree.
 *              5. munmap downgrades for the zap; it frees a page table only if its range covers the
 *                 table's whole span, and takes that along when nothing else is mapped there.
 *              6. brk, mremap, fork, mlockall, stack growth and reading maps lock everything.
 * Guarantee    Between fault_begin() and fault_end() the VMA at the address does not change and no
 *              page table over it is freed.
 * Lock order   MMAP (a task holds one range of an mm at a time), then mm->tree_lock.
 * Progress     FIFO among those that conflict; a range that loses its VMAs three times takes all.
 * Counters     RANGE_REWIDENED, RANGE_GAP_RETRY.
 * Tests        tests/scheme/conformance.c, tests/unit/sim/locks (the lock itself)
 */
#include "mm/locking/range_common.h"

const struct mm_locking mm_locking_range = {
	.name = "range",
	.summary = "interval-tree range lock over the pages or VMAs that are used",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED | LK_CAP_RCU_WALK | LK_CAP_RANGES,

	.mm_init = range_mm_init,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK, /* freed at once: type-stable, and a hint is all that others take from one */
	.lock = range_hold_lock,
	.unlock = range_hold_unlock,
	.downgrade = range_hold_downgrade,
	.is_contended = range_hold_is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
