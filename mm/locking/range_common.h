/*
 * mm/locking/range_common.h - the hooks that the schemes on sim/locks/range_lock.c share
 */
#ifndef MMSIM_MM_LOCKING_RANGE_COMMON_H
#define MMSIM_MM_LOCKING_RANGE_COMMON_H

#include "mm/internal.h"

/* The last address of a hold; an empty range (mlock of nothing) locks one address. */
static inline u64 hold_last(const struct mm_hold *h)
{
	return h->end == ~0ull ? ~0ull : max(h->end, h->start + 1) - 1;
}

/* mm_locking hooks on mm->mmap_ranges. lock: over [h->start, h->end). */
int range_mm_init(struct mm *mm);
int range_hold_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how);
void range_hold_unlock(struct mm_hold *h);
void range_hold_downgrade(struct mm_hold *h);
bool range_hold_is_contended(const struct mm_hold *h);

#endif
