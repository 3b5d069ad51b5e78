/*
 * mmsim/rcu.h - read-copy-update
 *
 * native: liburcu (the flavour, and why, is in sim/native/rcu.c). Readers: rcu_read_lock() ..
 * rcu_read_unlock(), nestable, never sleep inside. Every task that the engine starts is registered.
 */
#ifndef MMSIM_RCU_H
#define MMSIM_RCU_H

#include <mmsim/atomic.h>

#if defined(MMSIM_ENGINE_NATIVE)
#include <mmsim/native/rcu.h>
#else
#include <mmsim/virtual/rcu.h>
#endif

/*
 * Supplied by the engine's header (native: inline):
 *   struct rcu_head                        embed in an object that call_rcu() frees
 *   void rcu_read_lock(void), rcu_read_unlock(void)
 *   bool rcu_read_lock_held(void)          the caller is inside a reader (for assertions)
 *   rcu_dereference(p)                     load a pointer that a writer may replace (consume/acquire)
 *   rcu_assign_pointer(p, v)               publish (release)
 */

/* Run func(head) after every reader that is now inside has left, on a CPU of the engine's own. func
 * takes no lock under which anybody calls sim_synchronize_rcu(), and does not sleep. May be called
 * with locks held, or inside a reader. Throttled: past a backlog a caller that is not in a reader is
 * held back, for a bounded time per call, so that a munmap storm stays bounded. */
void sim_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
/* Wait for all readers / for all call-backs queued so far. May sleep; not inside a reader. */
void sim_synchronize_rcu(void);
void sim_rcu_barrier(void);

/*
 * SRCU: readers may sleep; each domain has grace periods of its own.
 * srcu_read_lock() returns the index that srcu_read_unlock() takes; a section may end on another task.
 * A domain is used by the tasks of one machine. create: NULL when the host has no memory.
 */
struct srcu_domain;
struct srcu_domain *srcu_domain_create(const char *name);
void srcu_domain_destroy(struct srcu_domain *d);
int MUST_CHECK srcu_read_lock(struct srcu_domain *d);
void srcu_read_unlock(struct srcu_domain *d, int idx);
void synchronize_srcu(struct srcu_domain *d);
/* Run func(head) after every reader of the domain that is now inside has left; func as for
 * sim_call_rcu(). May sleep (throttled, for a bounded time per call). */
void call_srcu(struct srcu_domain *d, struct rcu_head *head, void (*func)(struct rcu_head *head));
/* Wait for all call-backs of the domain queued so far. May sleep; not inside a reader. */
void srcu_barrier(struct srcu_domain *d);

#endif
