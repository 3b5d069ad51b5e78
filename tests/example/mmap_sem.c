/*
 * tests/example/mmap_sem.c - the scheme that docs/adding-a-scheme.md adds: "mmap_sem", a mutex
 *
 * Models       Linux before 2.4.3: mm->mmap_sem was a plain semaphore, so that of all faults and calls
 *              of an address space one ran at a time.
 * Protocol     1. A fault takes mmap_sem, finds its VMA, resolves the fault, gives it back.
 *              2. So does every call.
 * Guarantee    Between fault_begin() and fault_end() nothing else happens in the address space.
 * Lock order   MMAP is the outermost of all.
 * Progress     That of the rwsem, of which only the writing side is used.
 * Tests        conformance, as example.conformance.mmap_sem
 */
#include <mmsim/mmap_lock.h>

/* Readers and writers alike. */
static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	(void)mode;
	return mmap_rwsem_lock(h, MMAP_WRITE, how);
}

static void unlock(struct mm_hold *h)
{
	up_write(&h->mm->mmap_lock);
}

/* To be alone is more than a reader asks for: nothing to do. */
static void downgrade(struct mm_hold *h)
{
	(void)h;
}

const struct mm_locking mm_locking_mmap_sem = {
	.name = "mmap_sem",
	.summary = "one mutex per address space, for faults too (Linux before 2.4.3)",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED | LK_CAP_READERS_ALONE,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = lock,
	.unlock = unlock,
	.downgrade = downgrade,
	.is_contended = mmap_rwsem_is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
