/*
 * mmsim/spinlock.h - the spin lock of the engine (native: test-and-test-and-set)
 *
 * Guarantee   mutual exclusion; acquire on lock, release on unlock.
 * Context     any; never blocks. May not be held across anything that sleeps.
 */
#ifndef MMSIM_SPINLOCK_H
#define MMSIM_SPINLOCK_H

#include <mmsim/atomic.h>
#include <mmsim/lock_rank.h>

typedef struct spinlock {
	u32 locked;
	u16 rank; /* enum lock_rank */
	u16 unused;
} spinlock_t;

static inline void spin_lock_init(spinlock_t *lock, enum lock_rank rank)
{
	lock->rank = (u16)rank;
	lock->unused = 0;
	WRITE_ONCE(lock->locked, 0);
}

void spin_lock_slow(spinlock_t *lock);

static inline void spin_lock(spinlock_t *lock)
{
	lock_rank_acquire(lock, (enum lock_rank)lock->rank, false, false);
	if (unlikely(xchg_acquire(&lock->locked, 1u)))
		spin_lock_slow(lock);
}

/* A second lock of the same rank, in the order that lock_rank.h gives for that rank. */
static inline void spin_lock_nested(spinlock_t *lock)
{
	lock_rank_acquire(lock, (enum lock_rank)lock->rank, true, false);
	if (unlikely(xchg_acquire(&lock->locked, 1u)))
		spin_lock_slow(lock);
}

static inline bool spin_trylock(spinlock_t *lock)
{
	if (READ_ONCE(lock->locked) || xchg_acquire(&lock->locked, 1u))
		return false;
	lock_rank_acquire(lock, (enum lock_rank)lock->rank, true, true);
	return true;
}

static inline void spin_unlock(spinlock_t *lock)
{
	lock_rank_release(lock, (enum lock_rank)lock->rank);
	smp_store_release(&lock->locked, 0u);
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
	return READ_ONCE(lock->locked) != 0;
}

#endif
