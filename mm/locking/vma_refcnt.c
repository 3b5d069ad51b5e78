/*
 * mm/locking/vma_refcnt.c - scheme "vma_refcnt": a read lock per VMA in one counter
 *
 * Models       Linux 6.15+ (CONFIG_PER_VMA_LOCK): a fault pins one VMA, not the address space.
 * States of    0                   detached: not in the tree, cannot be locked
 * vm_refcnt    1                   attached, unlocked
 *              1 + n               attached, n readers
 *              + VMA_LOCK_OFFSET   a writer waits for the readers, or is about to mark the VMA;
 *                                  no new reader gets in
 * A VMA is     write-locked iff vma->vm_lock_seq == mm->mm_lock_seq. Dropping or downgrading
 *              mmap_lock bumps mm_lock_seq, which unlocks all VMAs of the mm at once.
 *              What is not about the count: mm/locking/vma_common.h.
 *
 * Reader       (vma_common.h, LK_TRY; never waits, holds nothing on entry)
 *              1. RCU: walk the tree. No VMA there: ABORT.
 *              2. vm_lock_seq == mm_lock_seq: write-locked, ABORT. Only a hint: saves the atomic.
 *              3. Count up unless 0 or a writer's bit is set. 0: the VMA left the tree after the
 *                 walk (MISS): walk again. Writer: ABORT.
 *              4. Is it still a VMA of this mm? VMAs are type-stable: the memory may have been
 *                 freed and have become another mm's VMA. Then put it back, ABORT.
 *              5. Sequences again, now for good (acquire): equal means that a writer marked it
 *                 before step 3. Put it back, ABORT.
 *              6. Does it contain the address, and is it covered (vma_common.h)? Else put it back, ABORT.
 *              Put: count down; if only a waiting writer is left, wake it.
 * Writer       (vma_start_write; mmap_lock is held for write, so there is one)
 *              1. Already marked with the current sequence: done.
 *              2. Add VMA_LOCK_OFFSET; sleep until only that and the attachment remain.
 *              3. vm_lock_seq = mm_lock_seq; take the bit away. Readers that come now see step 5.
 * Detach       (vma_detached; write-locked) Count down to 0. A reader may be between its steps 3
 *              and 5: then add the bit, wait it out, take the bit away.
 *
 * Guarantee    Between fault_begin() and fault_end() the VMA does not change and is not freed,
 *              nor are page tables under it.
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_vma_refcnt.c
 */
#include "mm/locking/vma_common.h"

/* ---- the reader ------------------------------------------------------------------------------ */

/*
 * mm is vma->mm, read while the count was held. Once the count is down nothing keeps a *foreign* mm
 * alive (CVE-2025-38554); so that caller stays inside the RCU reader that it found the VMA in: the
 * memory of an mm stays an mm until a grace period has passed, and to wake its queue for nothing
 * does no harm.
 */
static void vma_put_read(struct mm *mm, struct vma *vma)
{
	/* Fully ordered: what we did under the lock comes before the writer's turn, and the count
	 * before the look at the queue. Pairs with vma_wait_for_readers(). */
	s32 now = atomic_dec_return(&vma->vm_refcnt);

	if (unlikely((now & VMA_LOCK_OFFSET) && now <= VMA_LOCK_OFFSET + 1))
		wake_up_all(&mm->vma_writer_wait);
}

static ALWAYS_INLINE void end_read(struct mm *mm, struct vma *vma)
{
	vma_read_released(vma);
	vma_put_read(mm, vma);
}

/* Steps 2 to 5. RCU. */
static ALWAYS_INLINE enum start_read start_read(struct mm *mm, struct vma *vma)
{
	struct mm *owner;
	s32 count;

	if (unlikely(vma_is_write_locked(mm, vma)))
		return READ_REFUSED;

	count = atomic_read(&vma->vm_refcnt);
	do {
		if (unlikely(count == 0))
			return READ_MISSED;
		if (unlikely(count >= VMA_REF_LIMIT))
			return READ_REFUSED;
		/* Acquire. Pairs with vma_attached(): the VMA is as it was attached, or newer; and
		 * with the release of the writer's bit: then step 5 sees its mark. */
	} while (!atomic_try_cmpxchg_acquire(&vma->vm_refcnt, &count, count + 1));

	owner = READ_ONCE(vma->mm);
	if (unlikely(owner != mm)) {
		vma_put_read(owner, vma);
		return READ_REFUSED;
	}
	if (unlikely(vma_is_write_locked_acquire(mm, vma))) {
		vma_put_read(mm, vma);
		return READ_REFUSED;
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

/* Keep new readers out and wait until only `own` (the attachment: 1, or 0 when detaching) is left.
 * False: the count was 0, so that there is nobody to wait for and no bit was set. */
static bool vma_enter_locked(struct vma *vma, s32 own)
{
	s32 count = atomic_read(&vma->vm_refcnt);

	do {
		if (!count)
			return false;
	} while (!atomic_try_cmpxchg_acquire(&vma->vm_refcnt, &count, count + VMA_LOCK_OFFSET));
	if (likely(count == own))
		return true;

	/* The debug build's question: may one wait for a VMA here? */
	lock_rank_acquire(&vma->vm_refcnt, LOCK_RANK_VMA, true, false);
	count_event(COUNTER_VMA_WRITE_LOCK_WAIT);
	lock_contended(vma, LOCK_CLASS_VMA, true);
	/* Acquire: the readers have finished. Pairs with vma_put_read(). */
	task_waits_for(&vma->vm_refcnt);
	wait_event(&vma->mm->vma_writer_wait,
		   atomic_read_acquire(&vma->vm_refcnt) == VMA_LOCK_OFFSET + own);
	task_waits_for(NULL);
	lock_rank_release(&vma->vm_refcnt, LOCK_RANK_VMA);
	return true;
}

/* Returns what is left. Release: pairs with the acquire of step 3. */
static s32 vma_exit_locked(struct vma *vma)
{
	return atomic_sub_return_release(VMA_LOCK_OFFSET, &vma->vm_refcnt);
}

static void vma_start_write_(struct vma *vma)
{
	u32 current = READ_ONCE(vma->mm->mm_lock_seq);
	s32 left;
	bool entered;

	if (READ_ONCE(vma->vm_lock_seq) == current)
		return;
	entered = vma_enter_locked(vma, 1);
	/* Racy readers look at it in step 2. */
	WRITE_ONCE(vma->vm_lock_seq, current);
	if (entered) {
		left = vma_exit_locked(vma);
		MMSIM_BUG_ON(left <= 0); /* still attached */
	}
	lock_counted(vma, LOCK_CLASS_VMA, true);
	count_event(COUNTER_VMA_WRITE_LOCK);
}

static void vma_init_(struct vma *vma)
{
	WRITE_ONCE(vma->vm_lock_seq, VMA_SEQ_NEVER);
	/* It is 0 already unless the memory is new. No reader can raise a 0. */
	atomic_set(&vma->vm_refcnt, 0);
}

static void vma_attached_(struct vma *vma)
{
	MMSIM_BUG_ON(atomic_read(&vma->vm_refcnt));
	/* Release: who counts it up sees it whole. Pairs with step 3. */
	atomic_set_release(&vma->vm_refcnt, 1);
}

static void vma_detached_(struct vma *vma)
{
	u32 current = READ_ONCE(vma->mm->mm_lock_seq);
	s32 left;

	MMSIM_BUG_ON(READ_ONCE(vma->vm_lock_seq) != current);
	if (likely(atomic_dec_and_test(&vma->vm_refcnt)))
		return;
	/* A straggler has counted up and will see the mark. */
	if (!vma_enter_locked(vma, 0))
		return; /* it has, and has gone */
	lock_counted(vma, LOCK_CLASS_VMA, true);
	left = vma_exit_locked(vma);
	MMSIM_BUG_ON(left);
}

const struct mm_locking mm_locking_vma_refcnt = {
	.name = "vma_refcnt",
	.summary = "per-VMA read lock in a reference count, writers behind mmap_lock (Linux 6.15+)",
	.caps = LK_CAP_CORRECT | LK_CAP_TRY | LK_CAP_RCU_WALK | LK_CAP_TABLES_PINNED,
	.params = MM_PARAM_BIT(COVERAGE),
	.vma_read = &vma_read,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,

	.vma_init = vma_init_,
	.vma_attached = vma_attached_,
	.vma_detached = vma_detached_,
	.vma_free = vma_free_now, /* type-stable: steps 3 and 4 find out */
	.vma_start_write = vma_start_write_,
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
