/*
 * mmsim/spinlock.h - the spin lock of the engine (native: test-and-test-and-set; virtual: a queue)
 *
 * Guarantee   mutual exclusion; acquire on lock, release on unlock.
 * Context     any; never blocks. May not be held across anything that sleeps.
 */
#ifndef MMSIM_SPINLOCK_H
#define MMSIM_SPINLOCK_H

#include <mmsim/atomic.h>
#include <mmsim/lock_rank.h>
#include <mmsim/lock_stat.h>
#include <mmsim/preempt.h>

typedef struct spinlock {
	u32 locked; /* virtual: its high half is the queue of waiters */
	u16 rank;   /* enum lock_rank */
	u16 unused;
} spinlock_t;

#if defined(MMSIM_ENGINE_VIRTUAL)
#include <mmsim/virtual/spinlock.h>
#endif

static inline void spin_lock_init(spinlock_t *lock, enum lock_rank rank)
{
	lock->rank = (u16)rank;
	lock->unused = 0;
	WRITE_ONCE(lock->locked, 0);
}

void spin_lock_slow(spinlock_t *lock);
/* spin_word_lock(), reported to the lock statistics as the caller's. */
void spin_word_lock_watched(spinlock_t *lock);
void spin_acquired_watched(spinlock_t *lock);

static ALWAYS_INLINE bool spin_word_lock_fast(spinlock_t *lock)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	u32 free = 0;

	return try_cmpxchg_acquire(&lock->locked, &free, 1u);
#else
	return !xchg_acquire(&lock->locked, 1u);
#endif
}

/* The lock word and what the engine adds to it. preempt_disable() is nothing natively. */
static ALWAYS_INLINE void spin_word_lock(spinlock_t *lock)
{
	if (lock_watched()) {
		spin_word_lock_watched(lock);
		return;
	}
	preempt_disable();
	if (unlikely(!spin_word_lock_fast(lock)))
		spin_lock_slow(lock);
}

static inline bool spin_word_trylock(spinlock_t *lock)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	u32 free = 0;

	preempt_disable();
	if (READ_ONCE(lock->locked) == 0 && try_cmpxchg_acquire(&lock->locked, &free, 1u))
		return true;
	preempt_enable();
	return false;
#else
	return !(READ_ONCE(lock->locked) || xchg_acquire(&lock->locked, 1u));
#endif
}

static inline void spin_word_unlock(spinlock_t *lock)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	u16 *half = (u16 *)&lock->locked + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);

	smp_store_release(half, (u16)0);
#else
	smp_store_release(&lock->locked, 0u);
#endif
	preempt_enable();
}

static ALWAYS_INLINE void spin_lock(spinlock_t *lock)
{
	lock_rank_acquire(lock, lock_rank_of(lock), false, false);
	spin_word_lock(lock);
}

/* A second lock of the same rank, in the order that lock_rank.h gives for that rank. */
static ALWAYS_INLINE void spin_lock_nested(spinlock_t *lock)
{
	lock_rank_acquire(lock, lock_rank_of(lock), true, false);
	spin_word_lock(lock);
}

static ALWAYS_INLINE bool spin_trylock(spinlock_t *lock)
{
	if (!spin_word_trylock(lock))
		return false;
	lock_rank_acquire(lock, lock_rank_of(lock), true, true);
	if (lock_watched())
		spin_acquired_watched(lock);
	return true;
}

static inline void spin_unlock(spinlock_t *lock)
{
	lock_rank_release(lock, lock_rank_of(lock));
	lock_released(lock);
	spin_word_unlock(lock);
}

static inline bool spin_is_locked(const spinlock_t *lock)
{
	return READ_ONCE(lock->locked) != 0;
}

#endif
