/*
 * mm/locking/mmap_lock.c - scheme "mmap_lock": one reader/writer semaphore per address space
 *
 * Models       Linux without per-VMA locks (before 6.4, or CONFIG_PER_VMA_LOCK=n).
 * Protocol     1. A fault takes mm->mmap_lock for read: tried first, then killable.
 *              2. It finds its VMA; nothing about any VMA can change until it lets go.
 *              3. mmap, munmap, mprotect, ... take it for write, all of it, whatever the range.
 *              4. munmap downgrades to read once the VMAs are out of the tree, so that faults
 *                 elsewhere go on while it zaps.
 * Guarantee    Between fault_begin() and fault_end() no VMA changes and no page table is freed
 *              under one, so nothing has to be validated under the page-table lock.
 * Lock order   MMAP is the outermost of all.
 * Progress     That of the rwsem: FIFO, handed off to a waiter after a while.
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_schemes.c
 */
#include <mmsim/mmap_lock.h>

const struct mm_locking mm_locking_mmap_lock = {
	.name = "mmap_lock",
	.summary = "one reader/writer semaphore per address space (Linux before 6.4)",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = mmap_rwsem_lock,
	.unlock = mmap_rwsem_unlock,
	.downgrade = mmap_rwsem_downgrade,
	.is_contended = mmap_rwsem_is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
