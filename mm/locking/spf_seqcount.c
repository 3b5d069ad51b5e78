/*
 * mm/locking/spf_seqcount.c - scheme "spf_seqcount": speculative page faults, one sequence per mm
 *
 * Models       the rewrite of 2021/22: no sequence count in VMAs, no SRCU. Any change of the address
 *              space, wherever, makes a speculation fail.
 * Reader       (fault_begin LK_TRY)
 *              1. Read mmap_seq. Odd: ODD.
 *              2. Under RCU: walk the tree (no VMA: UNMAPPED), copy the VMA. mmap_seq has moved: COPY.
 *                 From here on the VMA is not looked at any more.
 *              3. Outside of the copy: UNMAPPED; not anonymous: NOTSUP; access denied: ACCESS. A
 *                 write to a VMA without anon_vma: NOANON, when the handler finds it out.
 *              4. Walk the page table with interrupts off. An upper level is missing or huge: PMD.
 *              5. To change an entry (pte_lock), interrupts off: walk again; mmap_seq (SEQ1); trylock
 *                 (PTE_LOCK); mmap_seq (SEQ2).
 *              Every refusal ends in the classic fault, with mmap_lock for read.
 * Writer       mmap_seq becomes odd when mmap_lock has been taken for write, and even when it is about
 *              to be dropped or downgraded. vm_write_begin/end do nothing: who unmaps under the
 *              lock for read (MADV_DONTNEED, munmap's second half) is ordered by the page-table lock,
 *              and munmap's VMAs are out of the tree by then.
 * Freeing      VMAs by RCU; page tables after the flush and an RCU grace period.
 * Leaves out   Read faults on files by map_pages, which the later versions of the series cover.
 * Guarantee    An entry that is installed belongs to a VMA that allowed it at that moment.
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_spf.c
 */
#include "mm/locking/spf_common.h"

/* f->scheme[] */
enum { F_SEQUENCE };

/* Pairs with seq_begin(). */
static bool mm_changed(const struct fault *f)
{
	smp_rmb();
	return READ_ONCE(f->mm->mmap_seq) != f->scheme[F_SEQUENCE];
}

/* Step 2. */
static enum counter copy_under_rcu(struct fault *f)
{
	enum counter why_not = SPF_ADMITTED;
	const struct vma *vma;

	rcu_read_lock();
	vma = vma_tree_load_rcu(&f->mm->vmas, f->va);
	if (likely(vma))
		spf_copy_vma(f, vma);
	else
		why_not = COUNTER_SPF_ABORT_UNMAPPED;
	rcu_read_unlock();
	return why_not;
}

static enum counter look_up(struct fault *f)
{
	/* Acquire: what the last writer did is done. Pairs with seq_end(). */
	u64 seq = smp_load_acquire(&f->mm->mmap_seq);
	enum counter why_not;

	if (unlikely(seq & 1))
		return COUNTER_SPF_ABORT_ODD;
	f->scheme[F_SEQUENCE] = seq;
	why_not = copy_under_rcu(f);
	if (unlikely(why_not != SPF_ADMITTED))
		return why_not;
	return unlikely(mm_changed(f)) ? COUNTER_SPF_ABORT_COPY : spf_check_copy(f, false);
}

static enum lk_status fault_begin(struct fault *f, enum lk_mode mode)
{
	enum counter why_not;

	if (mode == LK_WAIT)
		return mmap_lock_fault_wait(f);
	why_not = look_up(f);
	if (likely(why_not == SPF_ADMITTED))
		return LK_OK;
	count_event(why_not);
	return LK_CONTENDED;
}

static bool pte_lock(struct fault *f, spinlock_t *ptl)
{
	return f->speculative ? spf_pte_trylock(f, ptl, mm_changed) : pte_lock_blocking(f, ptl);
}

static void fault_end(struct fault *f, bool retry)
{
	if (unlikely(!f->speculative)) {
		mmap_lock_fault_end(f, retry);
		return;
	}
	spf_count_end(f, retry);
}

/* ---- the writer: mmap_lock is held for write ------------------------------------------------- */

static void seq_begin(struct mm *mm)
{
	u64 seq = READ_ONCE(mm->mmap_seq);

	WRITE_ONCE(mm->mmap_seq, seq + 1);
	smp_mb(); /* odd before the changes: pairs with mm_changed() */
}

/* Release: the changes before even. */
static void seq_end(struct mm *mm)
{
	smp_store_release(&mm->mmap_seq, mm->mmap_seq + 1);
}

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	int err = mmap_rwsem_lock(h, mode, how);

	if (!err && mode == MMAP_WRITE)
		seq_begin(h->mm);
	return err;
}

static void unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_WRITE)
		seq_end(h->mm);
	mmap_rwsem_unlock(h);
}

static void downgrade(struct mm_hold *h)
{
	seq_end(h->mm);
	mmap_rwsem_downgrade(h);
}

static void vma_free_(struct vma *vma)
{
	sim_call_rcu(&vma->rcu, spf_free_vma_rcu);
}

const struct mm_locking mm_locking_spf_seqcount = {
	.name = "spf_seqcount",
	.summary = "speculative faults of 2021: RCU, a copy of the VMA, a sequence count per mm; else mmap_lock",
	.caps = LK_CAP_CORRECT | LK_CAP_TRY | LK_CAP_RCU_WALK | LK_CAP_TRY_UNPINNED,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,

	.vma_init = vma_hook_nop,
	.vma_attached = vma_hook_nop,
	.vma_detached = vma_hook_nop,
	.vma_free = vma_free_,
	.vma_start_write = vma_hook_nop,
	.vm_write_begin = vma_hook_nop,
	.vm_write_end = vma_hook_nop,

	.lock = lock,
	.unlock = unlock,
	.downgrade = downgrade,
	.is_contended = mmap_rwsem_is_contended,

	.fault_begin = fault_begin,
	.walk_begin = spf_walk_begin,
	.walk_end = spf_walk_end,
	.pte_lock = pte_lock,
	.fault_end = fault_end,
};
