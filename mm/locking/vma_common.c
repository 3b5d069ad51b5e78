/*
 * mm/locking/vma_common.c - the slower parts of what schemes with a lock per VMA share
 *
 * Locks        mm_lock_seq changes while mmap_lock is held for write only.
 * Tests        tests/unit/mm/locking/test_vma_rwsem.c, test_vma_atomic.c, test_vma_refcnt.c
 */
#include "mm/locking/vma_common.h"

static u32 next_seq(u32 seq, bool is_count)
{
	u32 next = seq + 1;

	/* A sequence count keeps its parity. */
	return next == VMA_SEQ_NEVER ? (is_count ? 1 : 0) : next;
}

/* The write lock was taken. Before anything is changed: who finds it odd, or other than before, knows. */
static void vma_begin_write(struct mm *mm)
{
	u32 seq;

	if (!mm_era(mm)->mm_lock_seqcount)
		return;
	seq = READ_ONCE(mm->mm_lock_seq);
	WRITE_ONCE(mm->mm_lock_seq, next_seq(seq, true));
	smp_wmb(); /* pairs with the acquire of who reads it first */
}

/* All write-locked VMAs become readable. Release: after the writer's changes; pairs with
 * vma_is_write_locked_acquire(). */
static void vma_end_write_all(struct mm *mm)
{
	u32 seq = READ_ONCE(mm->mm_lock_seq);

	smp_store_release(&mm->mm_lock_seq, next_seq(seq, mm_era(mm)->mm_lock_seqcount));
}

int vma_mmap_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	int err = mmap_rwsem_lock(h, mode, how);

	if (mode == MMAP_WRITE && !err)
		vma_begin_write(h->mm);
	return err;
}

void vma_mmap_unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_WRITE)
		vma_end_write_all(h->mm);
	mmap_rwsem_unlock(h);
}

void vma_mmap_downgrade(struct mm_hold *h)
{
	vma_end_write_all(h->mm);
	mmap_rwsem_downgrade(h);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The mm may be gone by now: its own call-back can run first. */
static void free_rcu(struct rcu_head *head)
{
	struct vma *vma = container_of(head, struct vma, rcu);
	struct mm_machine *mmm;

	line_read(vma, freed_to);
	mmm = vma->freed_to;
	if (!mmm->vma_lock_embedded) {
		line_read(vma, vm_lock);
		objcache_free(mmm->vma_lock_cache, vma->vm_lock);
	}
	objcache_free(mmm->vma_cache, vma);
}

/* sim_call_rcu() holds back who frees faster than grace periods pass. */
void vma_free_rcu(struct vma *vma)
{
	line_write(vma, freed_to);
	vma->freed_to = vma->mm->mmm;
	sim_call_rcu(&vma->rcu, free_rcu);
}
