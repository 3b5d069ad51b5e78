/*
 * mm/locking/range_list.c - scheme "range_list": as range, on a list without a lock
 *
 * Models       Kogan, Dice, Issa (EuroSys'20) as address-space lock.
 * Protocol     That of range.c; the lock is sim/locks/range_list.c: a sorted list of held ranges, entered
 *              by a compare-and-swap, left by a mark; waiters spin for a while, then sleep; readers
 *              are preferred; who has waited range_list_patience times shuts later ones out, or a
 *              range over everything would starve behind small ones (-p range_list_patience=1000000).
 * Leaves out   the paper's speculative mprotect (a read lock first, a VMA-sized write lock then): writers
 *              are VMA-sized here from the start.
 * Guarantee    as range.
 * Tests        tests/scheme/conformance.c, tests/unit/sim/locks (the lock itself)
 */
#include "mm/locking/range_common.h"

/* As long as a sleep and a wake-up take: spinning longer costs more than it can save. */
#define SPIN_NS 5000

static inline struct range_hold *list_hold(struct mm_hold *h)
{
	_Static_assert(sizeof(struct range_hold) <= sizeof(h->scheme), "a hold has room for it");
	return (struct range_hold *)h->scheme;
}

static u32 patience(const struct mm *mm)
{
	u32 asked = (u32)mm->mmm->config.params[MM_PARAM_RANGE_LIST_PATIENCE];

	if (asked == RANGE_LIST_PATIENCE_NEVER)
		return RANGE_LIST_PATIENT;
	return asked ? asked : RANGE_LIST_PATIENCE_DEFAULT;
}

static int mm_init(struct mm *mm)
{
	range_list_init(&mm->mmap_range_list, mm->mmm->range_list_pool, LOCK_RANK_MMAP, SPIN_NS,
			patience(mm));
	return 0;
}

static void mm_destroy(struct mm *mm)
{
	range_list_destroy(&mm->mmap_range_list);
}

static int lock_read(struct range_list *list, struct range_hold *hold, enum mmap_lock_how how)
{
	switch (how) {
	case MMAP_TRY:
		return range_list_read_trylock(list, hold) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return range_list_read_lock_killable(list, hold);
	default:
		range_list_read_lock(list, hold);
		return 0;
	}
}

static int lock_write(struct range_list *list, struct range_hold *hold, enum mmap_lock_how how)
{
	switch (how) {
	case MMAP_TRY:
		return range_list_write_trylock(list, hold) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return range_list_write_lock_killable(list, hold);
	case MMAP_NESTED:
		range_list_write_lock_nested(list, hold);
		return 0;
	default:
		range_list_write_lock(list, hold);
		return 0;
	}
}

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	struct range_list *list = &h->mm->mmap_range_list;

	range_hold_init(list_hold(h), h->start, hold_last(h));
	return mode == MMAP_READ ? lock_read(list, list_hold(h), how) :
				   lock_write(list, list_hold(h), how);
}

static void unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_READ)
		range_list_read_unlock(&h->mm->mmap_range_list, list_hold(h));
	else
		range_list_write_unlock(&h->mm->mmap_range_list, list_hold(h));
}

static void downgrade(struct mm_hold *h)
{
	range_list_downgrade_write(&h->mm->mmap_range_list, list_hold(h));
}

static bool is_contended(const struct mm_hold *h)
{
	return range_list_is_contended((const struct range_hold *)h->scheme);
}

const struct mm_locking mm_locking_range_list = {
	.name = "range_list",
	.summary = "list-based range lock without a lock of its own, over what is used (EuroSys'20)",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED | LK_CAP_RCU_WALK | LK_CAP_RANGES,
	.params = MM_PARAM_BIT(RANGE_LIST_PATIENCE),

	.mm_init = mm_init,
	.mm_destroy = mm_destroy,
	LK_VMAS_WITHOUT_LOCK, /* freed at once: type-stable, and a hint is all that others take from one */
	.lock = lock,
	.unlock = unlock,
	.downgrade = downgrade,
	.is_contended = is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
