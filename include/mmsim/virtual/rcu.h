/*
 * mmsim/virtual/rcu.h - RCU's read side in virtual time. Included by mmsim/rcu.h only.
 *
 * A reader is not preempted, and says so when it leaves while a grace period waits for its CPU. It
 * touches a line of its own CPU: an L1 access.
 */
#ifndef MMSIM_VIRTUAL_RCU_H
#define MMSIM_VIRTUAL_RCU_H

#include <mmsim/preempt.h>

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define rcu_dereference(p) READ_ONCE(p)
#define rcu_assign_pointer(p, v) WRITE_ONCE(p, v)

void vt_rcu_reader_left(void);

static inline void rcu_read_lock(void)
{
	struct engine_cpu *e = mmsim_engine_cpu;

	e->clock_ps += e->l1_ps;
	e->preempt_count++;
	e->rcu_nest++;
	vt_charge_lock_taken();
}

static inline void rcu_read_unlock(void)
{
	struct engine_cpu *e = mmsim_engine_cpu;

	e->clock_ps += e->l1_ps;
	if (--e->rcu_nest == 0 && unlikely(e->rcu_awaited))
		vt_rcu_reader_left();
	vt_charge_lock_dropped();
	e->preempt_count--;
}

static inline bool rcu_read_lock_held(void)
{
	return mmsim_engine_cpu->rcu_nest != 0;
}

#endif
