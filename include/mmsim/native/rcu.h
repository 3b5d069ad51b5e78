/*
 * mmsim/native/rcu.h - RCU read side by liburcu's memb flavour. Included by mmsim/rcu.h only.
 *
 * Only the inline read side of liburcu is included (its authors allow these few lines in code of
 * any licence); call-backs and grace periods are behind mmsim/rcu.h, so that no second
 * `struct rcu_head` or `call_rcu` is in sight.
 */
#ifndef MMSIM_NATIVE_RCU_H
#define MMSIM_NATIVE_RCU_H

#include <urcu/static/urcu-memb.h>

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_assign_pointer(p, v) smp_store_release(&(p), (v))

#if MMSIM_TSAN
/* liburcu is not instrumented. The one edge that a grace period gives, "what a reader did happens
 * before what runs after it", is told to TSan through this word's address (sim/native/rcu.c). */
extern char mmsim_rcu_tsan_edge;
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define MMSIM_RCU_TSAN_RELEASE() __tsan_release(&mmsim_rcu_tsan_edge)
/* The library's own copy, not the inline one: two readers that leave may both write 0 to the futex
 * that the grace period sleeps on, which is harmless, but inlined it would be instrumented. */
void urcu_memb_read_lock(void);
void urcu_memb_read_unlock(void);
int urcu_memb_read_ongoing(void);
#define _urcu_memb_read_lock urcu_memb_read_lock
#define _urcu_memb_read_unlock urcu_memb_read_unlock
#define _urcu_memb_read_ongoing urcu_memb_read_ongoing
#else
#define MMSIM_RCU_TSAN_RELEASE() ((void)0)
#endif

static inline void rcu_read_lock(void)
{
	_urcu_memb_read_lock();
}

static inline void rcu_read_unlock(void)
{
	MMSIM_RCU_TSAN_RELEASE();
	_urcu_memb_read_unlock();
}

static inline bool rcu_read_lock_held(void)
{
	return _urcu_memb_read_ongoing() != 0;
}

#endif
