/*
 * mm/locking/vma_rwsem.c - scheme "vma_rwsem": a reader/writer semaphore per VMA
 *
 * Models       Linux 6.4 to 6.14 (CONFIG_PER_VMA_LOCK); vma_lock_placement=embedded: its first series (2023).
 * Reader       (vma_common.h, LK_TRY; never waits, holds nothing on entry)
 *              1. RCU: walk the tree. No VMA there: ABORT.
 *              2. Marked with the mm's sequence: write-locked, ABORT. Only a hint: saves the atomic.
 *              3. down_read_trylock() of the VMA's rwsem. No: ABORT.
 *              4. Sequences again (acquire), now for good. Equal: unlock, ABORT.
 *              5. Has it left the tree since the walk? Unlock, MISS: walk again.
 *              6. Does it contain the address, and is it covered? Else unlock, ABORT.
 *              Unlock: up_read() inside RCU: it may still look for waiters when the writer that it let
 *              in has unmapped the VMA.
 * Writer       (vma_start_write; mmap_lock is held for write, so there is one)
 *              1. Already marked with the current sequence: done.
 *              2. Take the rwsem for write: waits for the readers, as the rwsem does.
 *              3. vm_lock_seq = mm_lock_seq; drop the rwsem. Readers that come now see step 4.
 * Detach       vma->attached = false, write-locked.
 * Guarantee    Between fault_begin() and fault_end() the VMA does not change and is not freed, nor are
 *              page tables under it. VMA and lock are freed after a grace period.
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_vma_rwsem.c
 */
#include "mm/locking/vma_common.h"

static ALWAYS_INLINE void end_read(struct mm *mm, struct vma *vma)
{
	rcu_read_lock();
	up_read(&vma_lock_of(mm, vma)->rwsem);
	rcu_read_unlock();
}

static ALWAYS_INLINE enum start_read start_read(struct mm *mm, struct vma *vma)
{
	if (unlikely(vma_is_write_locked(mm, vma)))
		return READ_REFUSED;
	if (unlikely(!down_read_trylock(&vma_lock_of(mm, vma)->rwsem)))
		return READ_REFUSED;
	if (unlikely(vma_is_write_locked_acquire(mm, vma))) {
		end_read(mm, vma);
		return READ_REFUSED;
	}
	if (unlikely(!vma->attached)) {
		end_read(mm, vma);
		return READ_MISSED;
	}
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

static void start_write(struct vma *vma)
{
	u32 current = READ_ONCE(vma->mm->mm_lock_seq);
	struct rwsem *sem;

	if (READ_ONCE(vma->vm_lock_seq) == current)
		return;
	sem = &vma_lock_of(vma->mm, vma)->rwsem;
	if (!down_write_trylock(sem)) {
		count_event(COUNTER_VMA_WRITE_LOCK_WAIT);
		down_write(sem);
	}
	/* Racy readers look at it in step 2. */
	WRITE_ONCE(vma->vm_lock_seq, current);
	up_write(sem);
	count_event(COUNTER_VMA_WRITE_LOCK);
}

static void init(struct vma *vma)
{
	WRITE_ONCE(vma->vm_lock_seq, VMA_SEQ_NEVER);
	rwsem_init(&vma_lock_of(vma->mm, vma)->rwsem, LOCK_RANK_VMA);
}

const struct mm_locking mm_locking_vma_rwsem = {
	.name = "vma_rwsem",
	.summary = "per-VMA rwsem in an object of its own, writers behind mmap_lock (Linux 6.4)",
	.caps = LK_CAP_CORRECT | LK_CAP_TRY | LK_CAP_RCU_WALK | LK_CAP_TABLES_PINNED | LK_CAP_VMA_LOCK,
	.params = MM_PARAM_BIT(COVERAGE) | MM_PARAM_BIT(VMA_LOCK_PLACEMENT),
	.vma_read = &vma_read,

	.mm_init = mm_init_rwsem,
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
