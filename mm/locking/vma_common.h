/*
 * mm/locking/vma_common.h - what the schemes with a lock per VMA share: everything around that lock
 *
 * Protocol     (numbers as in the schemes' files)
 *              1. A fault walks the tree under RCU and asks the scheme to read-lock what it found, which
 *                 never waits. REFUSED (a writer): give up. MISSED (it has left the tree): walk again.
 *              2. Under the lock: does the VMA contain the address? Is such a VMA covered (era.h)? Only
 *                 here: before, anon_vma and file may change (Linux 657b5146955e). Else unlock, give up.
 *              3. A VMA is write-locked iff vma->vm_lock_seq == mm->mm_lock_seq: what vma_start_write() of
 *                 the scheme makes of it. Dropping or downgrading mmap_lock bumps mm_lock_seq, which
 *                 unlocks all VMAs of the mm at once. Since Linux 6.14 it is a sequence count: taking
 *                 mmap_lock for write makes it odd, dropping it even.
 * Falls back   to mmap_lock for read: stack growth (no VMA there yet), kernel-mode faults, special
 *              mappings, what coverage does not include.
 * Lock order   MMAP before VMA for writers. A reader holds VMA and may only *try* MMAP.
 * Counters     VMA_LOCK_SUCCESS + _ABORT + _RETRY = user-mode faults; VMA_LOCK_MISS, VMA_WRITE_LOCK,
 *              VMA_WRITE_LOCK_WAIT; VMA_READ_LOCK, _ABORT: of others than faults.
 *
 * The scheme's two operations are passed as constants to inline functions, so that no call is left.
 */
#ifndef MMSIM_MM_LOCKING_VMA_COMMON_H
#define MMSIM_MM_LOCKING_VMA_COMMON_H

#include "mm/internal.h"

#include <mmsim/lock_stat.h>

/* A VMA is attached right around its store into the tree: a reader in between sees a miss. It is not
 * worth waiting for a writer that lost its CPU there. */
#define VMA_MISSES_MAX 64

/* What a VMA that was never marked has in vm_lock_seq; mm_lock_seq never takes this value. */
#define VMA_SEQ_NEVER (~0u)

enum start_read { READ_LOCKED, READ_REFUSED, READ_MISSED };

/* RCU. Lock vma, found in mm's tree, if that needs no waiting. */
typedef enum start_read (*vma_start_read_fn)(struct mm *mm, struct vma *vma);
typedef void (*vma_end_read_fn)(struct mm *mm, struct vma *vma);

/* ---- the address space, of the rwsem and mm_lock_seq (vma_common.c) --------------------------- */

int vma_mmap_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how);
void vma_mmap_unlock(struct mm_hold *h);
void vma_mmap_downgrade(struct mm_hold *h);

/* ---- where the lock lies, and when its memory goes back (vma_common.c) ------------------------- */

static inline struct vma_lock *vma_lock_of(const struct mm *mm, struct vma *vma)
{
	return mm->mmm->vma_lock_embedded ? &vma->lock : READ_ONCE(vma->vm_lock);
}
/* After a grace period, with its lock: who found it under RCU may still try to lock it. */
void vma_free_rcu(struct vma *vma);

/* ---- reading --------------------------------------------------------------------------------- */

/* The debug build's books, and the lock statistics, of a lock that does not report itself. */
static ALWAYS_INLINE void vma_read_acquired(struct vma *vma)
{
	lock_rank_acquire(&vma->vm_refcnt, LOCK_RANK_VMA, false, true);
	lock_acquired(vma, LOCK_CLASS_VMA, false);
}
static ALWAYS_INLINE void vma_read_released(struct vma *vma)
{
	lock_rank_release(&vma->vm_refcnt, LOCK_RANK_VMA);
	lock_released(vma);
}

static inline bool vma_is_write_locked(const struct mm *mm, const struct vma *vma)
{
	u32 marked = READ_ONCE(vma->vm_lock_seq);

	return marked == READ_ONCE(mm->mm_lock_seq);
}

/* The same once the lock is held, for good. Acquire on the mm's sequence: unequal because it moved on
 * means that its writer has let go, and then its changes are visible. Pairs with vma_end_write_all(). */
static inline bool vma_is_write_locked_acquire(const struct mm *mm, const struct vma *vma)
{
	u32 current = smp_load_acquire(&mm->mm_lock_seq);

	return READ_ONCE(vma->vm_lock_seq) == current;
}

static ALWAYS_INLINE struct vma *lock_vma_under_rcu(struct mm *mm, u64 va, vma_start_read_fn start_read,
						    vma_end_read_fn end_read)
{
	enum start_read got = READ_MISSED;
	struct vma *vma = NULL;

	rcu_read_lock();
	for (u32 misses = 0; got == READ_MISSED && misses < VMA_MISSES_MAX; misses++) {
		vma = vma_tree_load_rcu(&mm->vmas, va);
		if (unlikely(!vma))
			break;
		got = start_read(mm, vma);
		if (unlikely(got == READ_MISSED)) {
			count_event(COUNTER_VMA_LOCK_MISS);
			cpu_relax();
		}
	}
	rcu_read_unlock();
	if (unlikely(got != READ_LOCKED))
		return NULL;
	/* It may have shrunk after the walk. */
	if (likely(va >= vma->start && va < vma->end))
		return vma;
	end_read(mm, vma);
	return NULL;
}

/* May a fault in this VMA, which is locked, be handled under its lock alone? */
static inline bool vma_is_covered(const struct mm *mm, const struct vma *vma)
{
	u32 coverage = mm->mmm->vma_coverage;

	if (likely(coverage == COVER_ALL))
		return true;
	line_read(vma, file);
	if (unlikely(vma->flags & VM_HUGETLB))
		return (coverage & COVER_HUGETLB) != 0;
	if (!vma_is_anonymous(vma))
		return (coverage & COVER_FILE) != 0;
	return (coverage & COVER_FIRST_ANON) || READ_ONCE(vma->anon_vma);
}

static ALWAYS_INLINE enum lk_status vma_fault_begin(struct fault *f, enum lk_mode mode,
						    vma_start_read_fn start_read,
						    vma_end_read_fn end_read)
{
	struct mm *mm = f->mm;
	struct vma *vma;

	if (mode == LK_WAIT)
		return mmap_lock_fault_wait(f);
	vma = lock_vma_under_rcu(mm, f->va, start_read, end_read);
	if (likely(vma)) {
		if (likely(vma_is_covered(mm, vma))) {
			f->vma = vma;
			return LK_OK;
		}
		end_read(mm, vma);
	}
	count_event(COUNTER_VMA_LOCK_ABORT);
	return LK_CONTENDED;
}

static ALWAYS_INLINE void vma_fault_end(struct fault *f, bool retry, vma_end_read_fn end_read)
{
	if (unlikely(!f->speculative)) {
		mmap_lock_fault_end(f, retry);
		return;
	}
	end_read(f->mm, f->vma);
	count_event(retry ? COUNTER_VMA_LOCK_RETRY : COUNTER_VMA_LOCK_SUCCESS);
}

#endif
