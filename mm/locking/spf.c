/*
 * mm/locking/spf.c - scheme "spf": speculative page faults, a sequence count per VMA
 *
 * Models       the series of 2017 (RFC v5; after Peter Zijlstra's of 2010 and 2014): a fault works
 *              without any lock of the address space on what it read, and checks under the
 *              page-table lock that it was still true.
 * Reader       (fault_begin LK_TRY)
 *              1. Enter the SRCU domain: VMAs are freed after its grace periods.
 *              2. Walk the rb tree under mm_seq. No VMA: UNMAPPED.
 *              3. Read vm_sequence. A writer inside, or the VMA has left the tree: ODD.
 *              4. Copy the VMA's fields; if the sequence has moved meanwhile: COPY.
 *              5. Outside of it: UNMAPPED; not anonymous: NOTSUP; no anon_vma: NOANON; access
 *                 denied: ACCESS.
 *              6. Walk the page table with interrupts off. An upper level is missing or huge: PMD.
 *              7. To change an entry (pte_lock), interrupts off: walk again; sequence (SEQ1);
 *                 trylock (PTE_LOCK); sequence (SEQ2). What is held then, nobody unmaps underfoot.
 *              Every refusal ends in the classic fault, with mmap_lock for read.
 * Writer       mmap_lock, as ever; and vm_write_begin/end around every change of a VMA, and around
 *              every unmapping of its entries, whoever does it.
 * Sequence     The series has a plain seqcount. But MADV_DONTNEED zaps under mmap_lock for read
 *              and truncation under none, so that two writers meet in one: two plain increments
 *              can be one, the count stays odd for ever or, worse, looks even inside a writer. (The
 *              kernel's tests did not meet it.) Here: one atomic word, the writers that are
 *              inside below, and how many have left above; equal and without writers means that
 *              nobody was inside.
 * Why dead is  asked after the sequence: munmap takes the VMA out of the tree, marks it, then zaps. Who
 *              read the sequence after the zap would find nothing amiss later on; he sees the mark.
 * Guarantee    An entry that is installed belongs to a VMA that allowed it at that moment.
 * Lock order   vm_sequence is begun after i_mmap_rwsem: truncation holds that and then begins it. (A writer
 *              never waits at its beginning, so that a collapse may begin it before the anon_vma's lock.)
 * Tests        tests/scheme/conformance.c, tests/unit/mm/locking/test_spf.c
 */
#include "mm/locking/spf_common.h"

/* vm_sequence: below, the writers inside, nested ones counted; above, how often one has left. */
#define SEQ_WRITER 1ull
#define SEQ_LEFT (1ull << 16)
#define SEQ_WRITERS (SEQ_LEFT - 1)
_Static_assert(SEQ_WRITERS / 8 > MMSIM_TASKS_MAX, "each task may be inside, nested");

/* f->scheme[] */
enum { F_SRCU_IDX, F_SEQUENCE, F_VMA };

static const struct vma *real_vma(const struct fault *f)
{
	return (const struct vma *)(uintptr_t)f->scheme[F_VMA];
}

/* Everything that was read before is checked by this: pairs with vm_write_begin_(). */
static bool vma_changed(const struct fault *f)
{
	smp_rmb();
	return READ_ONCE(real_vma(f)->vm_sequence) != f->scheme[F_SEQUENCE];
}

/* Steps 2 to 5. */
static enum counter look_up(struct fault *f)
{
	const struct vma *vma = vma_tree_load_rcu(&f->mm->vmas, f->va);
	u64 seq;

	if (unlikely(!vma))
		return COUNTER_SPF_ABORT_UNMAPPED;
	/* Acquire: a writer that has left has changed what it wanted to. Pairs with vm_write_end_(). */
	seq = smp_load_acquire(&vma->vm_sequence);
	if (unlikely((seq & SEQ_WRITERS) || vma_is_dead(vma)))
		return COUNTER_SPF_ABORT_ODD;
	f->scheme[F_SEQUENCE] = seq;
	f->scheme[F_VMA] = (uintptr_t)vma;
	spf_copy_vma(f, vma);
	if (unlikely(vma_changed(f)))
		return COUNTER_SPF_ABORT_COPY;
	return spf_check_copy(f, true);
}

static enum lk_status fault_begin(struct fault *f, enum lk_mode mode)
{
	struct srcu_domain *srcu = f->mm->mmm->vma_srcu;
	enum counter why_not;
	int idx;

	if (mode == LK_WAIT)
		return mmap_lock_fault_wait(f);
	idx = srcu_read_lock(srcu);
	why_not = look_up(f);
	if (likely(why_not == SPF_ADMITTED)) {
		f->scheme[F_SRCU_IDX] = (u64)idx;
		return LK_OK;
	}
	srcu_read_unlock(srcu, idx);
	count_event(why_not);
	return LK_CONTENDED;
}

static bool pte_lock(struct fault *f, spinlock_t *ptl)
{
	return f->speculative ? spf_pte_trylock(f, ptl, vma_changed) : pte_lock_blocking(f, ptl);
}

static void fault_end(struct fault *f, bool retry)
{
	if (unlikely(!f->speculative)) {
		mmap_lock_fault_end(f, retry);
		return;
	}
	srcu_read_unlock(f->mm->mmm->vma_srcu, (int)f->scheme[F_SRCU_IDX]);
	spf_count_end(f, retry);
}

/* ---- the writer ------------------------------------------------------------------------------ */

static void vma_init_(struct vma *vma)
{
	WRITE_ONCE(vma->vm_sequence, 0ull); /* a grace period after its last reader */
}

/* Fully ordered: seen before any of the changes. */
static void vm_write_begin_(struct vma *vma)
{
	(void)fetch_add(&vma->vm_sequence, SEQ_WRITER);
}

/* Release: the changes before it. */
static void vm_write_end_(struct vma *vma)
{
	(void)fetch_add_release(&vma->vm_sequence, SEQ_LEFT - SEQ_WRITER);
}

static void vma_free_(struct vma *vma)
{
	call_srcu(vma->mm->mmm->vma_srcu, &vma->rcu, spf_free_vma_rcu);
}

const struct mm_locking mm_locking_spf = {
	.name = "spf",
	.summary = "speculative faults of 2017: SRCU, rb tree, a sequence count per VMA; else mmap_lock",
	.caps = LK_CAP_CORRECT | LK_CAP_TRY | LK_CAP_TRY_UNPINNED | LK_CAP_VM_SEQUENCE,
	/* A walk that mm_seq confirms, and VMAs that can be seen to be dead: no other tree has that. */
	.tree = &vma_tree_rb,
	.tree_needs = VMA_TREE_CAP_DEAD,

	.mm_init = mm_init_rwsem,
	.mm_destroy = mm_hook_nop,

	.vma_init = vma_init_,
	.vma_attached = vma_hook_nop,
	.vma_detached = vma_hook_nop,
	.vma_free = vma_free_,
	.vma_start_write = vma_hook_nop,
	.vm_write_begin = vm_write_begin_,
	.vm_write_end = vm_write_end_,

	.lock = mmap_rwsem_lock,
	.unlock = mmap_rwsem_unlock,
	.downgrade = mmap_rwsem_downgrade,
	.is_contended = mmap_rwsem_is_contended,

	.fault_begin = fault_begin,
	.walk_begin = spf_walk_begin,
	.walk_end = spf_walk_end,
	.pte_lock = pte_lock,
	.fault_end = fault_end,
};
