/*
 * mm/locking/mmap_lock_bravo.c - scheme "mmap_lock_bravo": mmap_lock with BRAVO in front
 *
 * Models       Dice and Kogan (ATC'19) on the address-space lock: readers, that is faults, mark
 *              themselves in a table of the machine instead of counting in mmap_lock's word.
 * Protocol     That of mmap_lock.c, with the lock of sim/locks/bravo.c:
 *              1. A fault writes the lock's name into its slot of the table and looks at the bias
 *                 again; it has the lock without a shared write. Slot taken or bias off: the rwsem.
 *              2. A writer takes the rwsem, ends the bias, and waits for each slot with the name.
 *              3. Readers turn the bias on again when nine times the time of the last revocation
 *                 has passed.
 * Guarantee    as mmap_lock.
 * Lock order   MMAP is the outermost of all.
 * Tests        tests/scheme/conformance.c, tests/unit/sim/locks (the lock itself)
 */
#include "mm/internal.h"

static inline struct bravo_hold *bravo_hold(struct mm_hold *h)
{
	_Static_assert(sizeof(struct bravo_hold) <= sizeof(h->scheme), "a hold has room for it");
	return (struct bravo_hold *)h->scheme;
}

static int mm_init(struct mm *mm)
{
	bravo_init(&mm->mmap_bravo, mm->mmm->bravo_table, LOCK_RANK_MMAP);
	return 0;
}

static int lock_read(struct mm_hold *h, enum mmap_lock_how how)
{
	struct bravo_rwsem *b = &h->mm->mmap_bravo;

	switch (how) {
	case MMAP_TRY:
		return bravo_down_read_trylock(b, bravo_hold(h)) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return bravo_down_read_killable(b, bravo_hold(h));
	default:
		bravo_down_read(b, bravo_hold(h));
		return 0;
	}
}

static int lock_write(struct mm_hold *h, enum mmap_lock_how how)
{
	struct bravo_rwsem *b = &h->mm->mmap_bravo;

	switch (how) {
	case MMAP_TRY:
		return bravo_down_write_trylock(b) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return bravo_down_write_killable(b);
	case MMAP_NESTED:
		bravo_down_write_nested(b);
		return 0;
	default:
		bravo_down_write(b);
		return 0;
	}
}

static int lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	h->start = 0;
	h->end = ~0ull;
	return mode == MMAP_READ ? lock_read(h, how) : lock_write(h, how);
}

static void unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_READ)
		bravo_up_read(&h->mm->mmap_bravo, bravo_hold(h));
	else
		bravo_up_write(&h->mm->mmap_bravo);
}

static void downgrade(struct mm_hold *h)
{
	bravo_downgrade_write(&h->mm->mmap_bravo, bravo_hold(h));
}

static bool is_contended(const struct mm_hold *h)
{
	return bravo_is_contended(&h->mm->mmap_bravo);
}

const struct mm_locking mm_locking_mmap_lock_bravo = {
	.name = "mmap_lock_bravo",
	.summary = "mmap_lock with BRAVO: readers mark themselves in a table instead of counting",
	.caps = LK_CAP_CORRECT | LK_CAP_TABLES_PINNED,

	.mm_init = mm_init,
	.mm_destroy = mm_hook_nop,
	LK_VMAS_WITHOUT_LOCK,
	.lock = lock,
	.unlock = unlock,
	.downgrade = downgrade,
	.is_contended = is_contended,
	LK_FAULTS_UNDER_MMAP_LOCK,
};
