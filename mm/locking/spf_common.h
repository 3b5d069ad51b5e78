/*
 * mm/locking/spf_common.h - what the speculative page faults of 2017 and of 2021 share
 */
#ifndef MMSIM_MM_LOCKING_SPF_COMMON_H
#define MMSIM_MM_LOCKING_SPF_COMMON_H

#include "mm/internal.h"

/* No reason: nothing speaks against going on. */
#define SPF_ADMITTED COUNTER_COUNT

/* Copy what a fault reads of a VMA to the task's own, and make that f->vma. The fields may be torn: the
 * caller's sequence tells. Something keeps the VMA's memory. */
void spf_copy_vma(struct fault *f, const struct vma *vma);

/* Does the copy contain the address, and may anonymous memory be touched so? SPF_ADMITTED, or the
 * counter of why not. The copy may be torn: a reason given is a reason to give up, no more. */
enum counter spf_check_copy(const struct fault *f, bool needs_anon_vma);

/* Page tables are freed after the flush that an interrupt delivers, and after a grace period. */
void spf_walk_begin(struct fault *f);
void spf_walk_end(struct fault *f);

/* Count what became of an attempt that had begun. */
void spf_count_end(const struct fault *f, bool retry);

/*
 * pte_lock in LK_TRY: check, try, check. Only try: an unmapper may hold the lock and wait for this CPU to
 * take its interrupt. The first check keeps out those who would only be in its way; the second one,
 * under the lock, is what counts: a writer that comes later takes this lock before it
 * touches the entries, and finds what is installed now.
 */
static ALWAYS_INLINE bool spf_pte_trylock(struct fault *f, spinlock_t *ptl,
					  bool (*vma_changed)(const struct fault *f))
{
	if (unlikely(vma_changed(f))) {
		f->refusal = REFUSED_VMA_CHANGED;
		return false;
	}
	if (unlikely(!spin_trylock(ptl))) {
		f->refusal = REFUSED_PTL_BUSY;
		return false;
	}
	if (unlikely(vma_changed(f))) {
		spin_unlock(ptl);
		f->refusal = REFUSED_VMA_CHANGED_PTL;
		return false;
	}
	return true;
}

/* RCU's and SRCU's call-back: nobody looks at the VMA any more. */
void spf_free_vma_rcu(struct rcu_head *head);

#endif
