/*
 * mm/locking/range_common.c - mm->mmap_ranges, the interval-tree range lock, as an address-space lock
 *
 * The node of the lock lives in the hold, which lives in the task: other CPUs look at it.
 */
#include "mm/locking/range_common.h"

static inline struct range_lock *hold_range(struct mm_hold *h)
{
	_Static_assert(sizeof(struct range_lock) <= sizeof(h->scheme), "a hold has room for it");
	_Static_assert(_Alignof(struct range_lock) <= MMSIM_CACHE_LINE_BYTES, "as aligned as a hold");
	return (struct range_lock *)h->scheme;
}

int range_mm_init(struct mm *mm)
{
	range_lock_tree_init(&mm->mmap_ranges, LOCK_RANK_MMAP);
	return 0;
}

static int lock_read(struct range_lock_tree *tree, struct range_lock *range, enum mmap_lock_how how)
{
	switch (how) {
	case MMAP_TRY:
		return range_read_trylock(tree, range) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return range_read_lock_killable(tree, range);
	default:
		range_read_lock(tree, range);
		return 0;
	}
}

static int lock_write(struct range_lock_tree *tree, struct range_lock *range, enum mmap_lock_how how)
{
	switch (how) {
	case MMAP_TRY:
		return range_write_trylock(tree, range) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return range_write_lock_killable(tree, range);
	case MMAP_NESTED:
		range_write_lock_nested(tree, range);
		return 0;
	default:
		range_write_lock(tree, range);
		return 0;
	}
}

int range_hold_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	struct range_lock_tree *tree = &h->mm->mmap_ranges;
	struct range_lock *range = hold_range(h);

	range_lock_init(range, h->start, hold_last(h));
	return mode == MMAP_READ ? lock_read(tree, range, how) : lock_write(tree, range, how);
}

void range_hold_unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_READ)
		range_read_unlock(&h->mm->mmap_ranges, hold_range(h));
	else
		range_write_unlock(&h->mm->mmap_ranges, hold_range(h));
}

void range_hold_downgrade(struct mm_hold *h)
{
	range_downgrade_write(&h->mm->mmap_ranges, hold_range(h));
}

bool range_hold_is_contended(const struct mm_hold *h)
{
	return range_is_contended(&h->mm->mmap_ranges, (const struct range_lock *)h->scheme);
}
