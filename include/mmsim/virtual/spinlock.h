/*
 * mmsim/virtual/spinlock.h - the spin lock's word in virtual time. Included by mmsim/spinlock.h only.
 *
 * Linux's qspinlock without the pending bit: the low half of the word says that the lock is taken,
 * the high half is the tail of the queue of waiters (CPU + 1), so that nobody overtakes the queue.
 * The slow path is in sim/virtual/spinlock.c.
 */
#ifndef MMSIM_VIRTUAL_SPINLOCK_H
#define MMSIM_VIRTUAL_SPINLOCK_H

#define SPIN_TAIL_SHIFT 16

struct spinlock;
void spin_lock_slow(struct spinlock *lock);

#endif
