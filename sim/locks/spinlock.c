/*
 * sim/locks/spinlock.c - the contended side of spin_lock()
 *
 * Test-and-test-and-set: waiters read their copy of the line until it changes, so a holder is not
 * slowed by them until it unlocks. Hosts are oversubscribed (tests on two cores, CI): a waiter
 * that has spun for long lets others run, since the holder may be waiting for this very core.
 *
 * Progress     no fairness among waiters.
 */
#if defined(MMSIM_ENGINE_NATIVE) /* virtual: sim/virtual/spinlock.c */
#include <mmsim/cpu.h>
#include <mmsim/spinlock.h>

#define SPINS_BEFORE_YIELD 512

void spin_lock_slow(spinlock_t *lock)
{
	u32 spins = 0;

	do {
		while (READ_ONCE(lock->locked)) {
			cpu_relax();
			if (++spins % SPINS_BEFORE_YIELD == 0)
				engine_yield();
		}
	} while (xchg_acquire(&lock->locked, 1u));
}
#endif
