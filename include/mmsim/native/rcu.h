/* mmsim/native/rcu.h - RCU by liburcu. Included by mmsim/rcu.h only. */
#ifndef MMSIM_NATIVE_RCU_H
#define MMSIM_NATIVE_RCU_H

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-memb.h>

#undef rcu_dereference
#undef rcu_assign_pointer
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_assign_pointer(p, v) smp_store_release(&(p), (v))

static inline void rcu_read_lock(void)
{
	urcu_memb_read_lock();
}

static inline void rcu_read_unlock(void)
{
	urcu_memb_read_unlock();
}

#endif
