/*
 * mm/locking/vma_atomic.c - scheme "vma_atomic": a counter per VMA, and one queue of writers per mm
 *
 * Models       the last step of the first per-VMA-lock series (January 2023), which was not merged: the
 *              rwsem of vma_rwsem becomes a count, since its writers are one at a time anyway.
 * States of    0    unlocked
 * count        n    n readers
 *              -1   the writer is about to mark the VMA
 * Reader       (vma_common.h, LK_TRY) Steps 1, 2 and 4 to 6 as vma_rwsem.
 *              3. Count up unless negative. Negative, or at the limit: ABORT.
 *              Unlock: count down; the last one takes the lock of the mm's queue and wakes whoever is in
 *              it. Nothing of the VMA is touched after the count: it may be gone.
 * Writer       (vma_start_write; mmap_lock is held for write, so there is one)
 *              1. Already marked with the current sequence: done.
 *              2. 0 becomes -1, or sleep until a last reader wakes it, and try again. Nothing keeps new
 *                 readers out meanwhile.
 *              3. vm_lock_seq = mm_lock_seq; the count becomes 0 again (release).
 * Guarantee    as vma_rwsem.
 * Progress     A writer starves while readers overlap without a gap: the series' own flaw.
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_vma_atomic.c
 */
#include "mm/locking/vma_common.h"

#define COUNT_WRITER (-1)
#define COUNT_LIMIT 0x7fffffff

/*
 * Linux's wake_up() takes the queue's lock to see whether it is empty: one line of the mm for all
 * VMAs. So does this: it is part of what the scheme costs.
 */
static NOINLINE void wake_writer(struct mm *mm)
{
	spin_lock(&mm->vma_writer_lock);
	wake_up_all(&mm->vma_writer_wait);
	spin_unlock(&mm->vma_writer_lock);
}

static ALWAYS_INLINE void put_read(struct mm *mm, struct vma *vma)
{
	/* Fully ordered: what we did under the lock comes before the writer's turn, and the count
	 * before the look at the queue. Pairs with wait_for_readers(). */
	if (atomic_dec_and_test(&vma_lock_of(mm, vma)->count))
		wake_writer(mm);
}

static ALWAYS_INLINE void end_read(struct mm *mm, struct vma *vma)
{
	vma_read_released(vma);
	put_read(mm, vma);
}

static ALWAYS_INLINE enum start_read start_read(struct mm *mm, struct vma *vma)
{
	atomic_t *readers;
	s32 count;

	if (unlikely(vma_is_write_locked(mm, vma)))
		return READ_REFUSED;
	readers = &vma_lock_of(mm, vma)->count;
	count = atomic_read(readers);
	do {
		if (unlikely(count < 0 || count == COUNT_LIMIT))
			return READ_REFUSED;
		/* Acquire: pairs with the release in start_write(); then its mark is seen below. */
	} while (!atomic_try_cmpxchg_acquire(readers, &count, count + 1));
	if (unlikely(vma_is_write_locked_acquire(mm, vma))) {
		put_read(mm, vma);
		return READ_REFUSED;
	}
	if (unlikely(!vma->attached)) {
		put_read(mm, vma);
		return READ_MISSED;
	}
	vma_read_acquired(vma);
	return READ_LOCKED;
}

static enum lk_status fault_begin(struct fault *f, enum lk_mode mode)
{
	return vma_fault_begin(f, mode, start_read, end_read);
}

static void fault_end(struct fault *f, bool retry)
{
	vma_fault_end(f, retry, end_read);
}

static struct vma *read_lock(struct mm *mm, u64 va)
{
	return lock_vma_under_rcu(mm, va, start_read, end_read);
}

static void read_unlock(struct mm *mm, struct vma *vma)
{
	end_read(mm, vma);
}

static const struct vma_read_lock vma_read = { .lock = read_lock, .unlock = read_unlock };

/* ---- the writer: mmap_lock is held for write ------------------------------------------------- */

/* Acquire: the readers have finished. Pairs with put_read(). */
static bool enter(atomic_t *count)
{
	s32 nobody = 0;

	return atomic_try_cmpxchg_acquire(count, &nobody, COUNT_WRITER);
}

static NOINLINE void wait_for_readers(struct vma *vma, atomic_t *count)
{
	struct wait_queue *wq = &vma->mm->vma_writer_wait;
	bool entered = false;

	/* The debug build's question: may one wait for a VMA here? */
	lock_rank_acquire(&vma->vm_refcnt, LOCK_RANK_VMA, true, false);
	count_event(COUNTER_VMA_WRITE_LOCK_WAIT);
	lock_contended(vma, LOCK_CLASS_VMA, true);
	task_waits_for(count);
	while (!entered) {
		u32 ticket = wait_prepare(wq);

		entered = enter(count);
		if (!entered)
			wait_sleep(wq, ticket);
		wait_finish(wq);
	}
	task_waits_for(NULL);
	lock_rank_release(&vma->vm_refcnt, LOCK_RANK_VMA);
}

static void start_write(struct vma *vma)
{
	u32 current = READ_ONCE(vma->mm->mm_lock_seq);
	atomic_t *count;

	if (READ_ONCE(vma->vm_lock_seq) == current)
		return;
	count = &vma_lock_of(vma->mm, vma)->count;
	if (!enter(count))
		wait_for_readers(vma, count);
	/* Racy readers look at it in step 2. */
	WRITE_ONCE(vma->vm_lock_seq, current);
	atomic_set_release(count, 0);
	lock_counted(vma, LOCK_CLASS_VMA, true);
	count_event(COUNTER_VMA_WRITE_LOCK);
}

static int mm_init(struct mm *mm)
{
	spin_lock_init(&mm->vma_writer_lock, LOCK_RANK_WAIT);
	return mm_init_rwsem(mm);
}

static void init(struct vma *vma)
{
	WRITE_ONCE(vma->vm_lock_seq, VMA_SEQ_NEVER);
	atomic_set(&vma_lock_of(vma->mm, vma)->count, 0);
}

const struct mm_locking mm_locking_vma_atomic = {
	.name = "vma_atomic",
	.summary = "per-VMA counter in an object of its own, writers behind mmap_lock (series of 2023)",
	.caps = LK_CAP_CORRECT | LK_CAP_TRY | LK_CAP_RCU_WALK | LK_CAP_TABLES_PINNED | LK_CAP_VMA_LOCK,
	.params = MM_PARAM_BIT(COVERAGE) | MM_PARAM_BIT(VMA_LOCK_PLACEMENT),
	.vma_read = &vma_read,

	.mm_init = mm_init,
	.mm_destroy = mm_hook_nop,

	.vma_init = init,
	.vma_attached = vma_hook_nop, /* vma->attached is all there is to it */
	.vma_detached = vma_hook_nop,
	.vma_free = vma_free_rcu,
	.vma_start_write = start_write,
	.vm_write_begin = vma_hook_nop, /* no sequence: readers hold the VMA's lock */
	.vm_write_end = vma_hook_nop,

	.lock = vma_mmap_lock,
	.unlock = vma_mmap_unlock,
	.downgrade = vma_mmap_downgrade,
	.is_contended = mmap_rwsem_is_contended,

	.fault_begin = fault_begin,
	.walk_begin = fault_walk_nop,
	.walk_end = fault_walk_nop,
	.pte_lock = pte_lock_blocking,
	.fault_end = fault_end,
};
