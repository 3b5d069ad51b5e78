/*
 * mm/mmap_lock.c - the mmap locking API: counts, and hands over to the scheme
 *
 * Every acquisition is first tried without waiting, as Linux's fault path does (and as down_write's
 * fast path is); only one that has to wait reads the clock. So the uncontended path costs the
 * scheme's own operations and one counter.
 * Ranges    A lock that is widened to VMAs is taken in three steps: look them up without a lock, lock,
 *           look again; VMAs may have changed in between. Who holds all of a VMA for write is the
 *           only one who changes it, and to change it one must; so what the second look finds stays.
 * Counters  MMAP_LOCK_READ, MMAP_LOCK_WRITE (acquired), *_CONTENDED (of these, or given up when
 *           killed: had to wait), MMAP_LOCK_WAIT_NS.
 * Reports   to the lock statistics, for every scheme, with the caller as the site; and the three trace
 *           points of Linux's trace/events/mmap_lock.h to the timeline.
 * Tests     tests/unit/mm/test_mmap_lock.c
 */
#include "mm/internal.h"

#include <mmsim/lock_stat.h>
#include <mmsim/timeline.h>

static NOINLINE int take_contended(struct mm_hold *h, enum mmap_lock_mode mode,
				   enum mmap_lock_how how, const void *site)
{
	u64 since_ns = engine_now_ns();
	int err;

	lock_contended_at(&h->mm->mmap_lock, LOCK_CLASS_MMAP, mode == MMAP_WRITE, site);
	err = h->mm->locking->lock(h, mode, how);
	count_event(mode == MMAP_READ ? COUNTER_MMAP_LOCK_READ_CONTENDED
				      : COUNTER_MMAP_LOCK_WRITE_CONTENDED);
	count_events(COUNTER_MMAP_LOCK_WAIT_NS, engine_now_ns() - since_ns);
	return err;
}

/* 0, -EAGAIN (TRY), -EINTR (KILLABLE). */
static ALWAYS_INLINE int take(struct mm *mm, struct mm_hold *h, u64 start, u64 end,
			      enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	int err;

	MMSIM_BUG_ON(h->mode != MMAP_UNLOCKED);
	h->mm = mm;
	h->start = start;
	h->end = end;
	if (how != MMAP_TRY)
		trace_mmap_lock_start_locking(mm, mode == MMAP_WRITE);
	err = mm->locking->lock(h, mode, MMAP_TRY);
	if (unlikely(err) && how != MMAP_TRY)
		err = take_contended(h, mode, how, lock_caller());
	trace_mmap_lock_acquire_returned(mm, mode == MMAP_WRITE, !err);
	if (unlikely(err)) {
		if (how != MMAP_TRY)
			lock_abandoned(&mm->mmap_lock);
		return err;
	}
	/* The line of mm's constants, which everything under the lock reads, can be gone after the wait for the lock's. */
	line_read(mm, locking);
	lock_acquired(&mm->mmap_lock, LOCK_CLASS_MMAP, mode == MMAP_WRITE);
	h->mode = mode;
	count_event(mode == MMAP_READ ? COUNTER_MMAP_LOCK_READ : COUNTER_MMAP_LOCK_WRITE);
	return 0;
}

static ALWAYS_INLINE void take_or_die(struct mm *mm, struct mm_hold *h, u64 start, u64 end,
				      enum mmap_lock_mode mode)
{
	int err = take(mm, h, start, end, mode, MMAP_WAIT);

	MMSIM_BUG_ON(err);
}

void mmap_read_lock(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	take_or_die(mm, h, start, end, MMAP_READ);
}

int mmap_read_lock_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take(mm, h, start, end, MMAP_READ, MMAP_KILLABLE);
}

bool mmap_read_trylock(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take(mm, h, start, end, MMAP_READ, MMAP_TRY) == 0;
}

void mmap_read_unlock(struct mm_hold *h)
{
	MMSIM_BUG_ON(h->mode != MMAP_READ);
	trace_mmap_lock_released(h->mm, false);
	lock_released(&h->mm->mmap_lock);
	h->mm->locking->unlock(h);
	h->mode = MMAP_UNLOCKED;
}

bool mmap_read_trylock_non_owner(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	if (take(mm, h, start, end, MMAP_READ, MMAP_TRY))
		return false;
	lock_forget(&mm->mmap_lock);
#ifdef MMSIM_DEBUG_LOCKS
	h->disowned = lock_rank_held(&mm->mmap_lock);
	if (h->disowned)
		lock_rank_release(&mm->mmap_lock, LOCK_RANK_MMAP);
#endif
	return true;
}

void mmap_read_unlock_non_owner(struct mm_hold *h)
{
#ifdef MMSIM_DEBUG_LOCKS
	if (h->disowned)
		lock_rank_acquire(&h->mm->mmap_lock, LOCK_RANK_MMAP, true, true);
	h->disowned = false;
#endif
	mmap_read_unlock(h);
}

void mmap_write_lock(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	take_or_die(mm, h, start, end, MMAP_WRITE);
}

void mmap_write_lock_nested(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	int err = take(mm, h, start, end, MMAP_WRITE, MMAP_NESTED);

	MMSIM_BUG_ON(err);
}

int mmap_write_lock_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take(mm, h, start, end, MMAP_WRITE, MMAP_KILLABLE);
}

bool mmap_write_trylock(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take(mm, h, start, end, MMAP_WRITE, MMAP_TRY) == 0;
}

void mmap_write_unlock(struct mm_hold *h)
{
	MMSIM_BUG_ON(h->mode != MMAP_WRITE);
	trace_mmap_lock_released(h->mm, true);
	lock_released(&h->mm->mmap_lock);
	h->mm->locking->unlock(h);
	h->mode = MMAP_UNLOCKED;
}

void mmap_write_downgrade(struct mm_hold *h)
{
	MMSIM_BUG_ON(h->mode != MMAP_WRITE);
	trace_mmap_lock_acquire_returned(h->mm, false, true);
	lock_downgraded(&h->mm->mmap_lock);
	h->mm->locking->downgrade(h);
	h->mode = MMAP_READ;
}

/* ---- widened to VMAs ------------------------------------------------------------------------- */

/* After so many lost races, lock everything. */
#define WIDEN_TRIES 3

enum widen { WIDEN_VMAS, WIDEN_TABLES };

struct range {
	u64 start, end;
};

static struct range widened(struct mm *mm, u64 start, u64 end, enum widen how)
{
	u64 page_bytes = arch_page_bytes(mm->arch);
	const struct vma *below = start ? vma_lookup(mm, start - 1) : NULL;
	const struct vma *above = vma_lookup(mm, end);
	/* Not our VMAs yet: READ_ONCE, and a guess. */
	struct range r = { .start = below ? min(start, READ_ONCE(below->start)) : start,
			   .end = above ? max(end, READ_ONCE(above->end)) : end };

	r.start -= min(r.start, page_bytes);
	r.end += min(~0ull - r.end, page_bytes);
	if (how == WIDEN_TABLES) {
		u64 span = level_bytes(mm->arch, 1), low = ALIGN_DOWN(r.start, span),
		    high = ALIGN_UP(r.end, span);

		if (low < r.start && !find_vma_intersection(mm, low, r.start))
			r.start = low;
		if (high > r.end && !find_vma_intersection(mm, r.end, high))
			r.end = high;
	}
	return r;
}

static ALWAYS_INLINE int take_vmas(struct mm *mm, struct mm_hold *h, u64 start, u64 end,
		     enum mmap_lock_mode mode, enum mmap_lock_how how, enum widen widen)
{
	struct range r;
	int err;

	if (!mm_has_ranges(mm))
		return take(mm, h, start, end, mode, how);
	for (u32 tries = 0; tries < WIDEN_TRIES; tries++) {
		r = widened(mm, start, end, widen);
		err = take(mm, h, r.start, r.end, mode, how);
		if (err)
			return err;
		if (hold_covers(h, 0, ~0ull))
			return 0;
		r = widened(mm, start, end, WIDEN_VMAS);
		if (hold_covers(h, r.start, r.end))
			return 0;
		if (mode == MMAP_READ)
			mmap_read_unlock(h);
		else
			mmap_write_unlock(h);
		count_event(COUNTER_RANGE_REWIDENED);
	}
	return take(mm, h, 0, ~0ull, mode, how);
}

int mmap_write_lock_vmas_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take_vmas(mm, h, start, end, MMAP_WRITE, MMAP_KILLABLE, WIDEN_VMAS);
}

int mmap_write_lock_tables_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take_vmas(mm, h, start, end, MMAP_WRITE, MMAP_KILLABLE, WIDEN_TABLES);
}

int mmap_read_lock_vmas_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	return take_vmas(mm, h, start, end, MMAP_READ, MMAP_KILLABLE, WIDEN_VMAS);
}

void mmap_read_lock_vmas(struct mm *mm, struct mm_hold *h, u64 start, u64 end)
{
	int err = take_vmas(mm, h, start, end, MMAP_READ, MMAP_WAIT, WIDEN_VMAS);

	MMSIM_BUG_ON(err);
}

bool mmap_lock_is_contended(const struct mm_hold *h)
{
	return h->mm->locking->is_contended(h);
}

void mmap_assert_locked(const struct mm_hold *h)
{
	MMSIM_BUG_ON(h->mode == MMAP_UNLOCKED);
}

void mmap_assert_write_locked(const struct mm_hold *h)
{
	MMSIM_BUG_ON(h->mode != MMAP_WRITE);
}
