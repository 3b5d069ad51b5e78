/*
 * mmsim/rwsem.h - the sleeping reader/writer lock of Linux (kernel/locking/rwsem.c's protocol)
 *
 * Models       count word (writer bit, waiters bit, handoff bit, reader bias), reader fast path of
 *              one atomic add, FIFO waiters, hand-off after RWSEM_HANDOFF_NS or so of waiting,
 *              optimistic spinning of writers on a running owner (queued), a wake-up of a reader
 *              wakes all readers up to RWSEM_WAKE_READERS_MAX queued behind it, downgrade.
 * Classic      machine_set_classic_rwsem(), Linux before 5.3: no hand-off, so that newcomers may overtake
 *              a waiter without end; a wake-up of a reader takes along only the readers next to it in
 *              the queue; a reader never overtakes a queue; writers do not spin while readers hold it.
 * Leaves out   PREEMPT_RT, lock stealing by real-time tasks.
 * Guarantee    mutual exclusion of writers against all; acquire / release as usual.
 * Context      may sleep, except the trylocks.
 * Progress     FIFO with bounded stealing: a waiter that got the hand-off is next. Classic: none.
 */
#ifndef MMSIM_RWSEM_H
#define MMSIM_RWSEM_H

#include <mmsim/atomic.h>
#include <mmsim/list.h>
#include <mmsim/lock_rank.h>
#include <mmsim/spinlock.h>

struct task;

/* A task's place in the queue of optimistic spinners (sim/locks/osq.c). Lives in struct task. */
struct osq_node {
	struct osq_node *next, *prev; /* (atomic) */
	u32 locked;		      /* (atomic) the turn is ours */
};

/* A task's place in an rwsem's wait list. Lives in struct task. */
struct rwsem_waiter {
	struct list_head link;		/* (wait_lock) empty when not queued */
	struct rwsem_waiter *wake_next; /* chain of those that a waker has taken off the list */
	struct task *task;
	u64 handoff_ns;	  /* engine time from when it may demand to be next */
	u32 granted;	  /* (atomic) a reader's lock was taken for it */
	bool wants_write;
	bool handoff_set; /* (wait_lock) the handoff bit was set for this waiter */
};

struct rwsem {
	s64 count;		   /* (atomic) see rwsem.c for the bits */
	u64 owner;		   /* (atomic) the writing task, a hint for spinners; see rwsem.c */
	struct osq_node *osq_tail; /* (atomic) queue of optimistic spinners; see osq.c */
	spinlock_t wait_lock;
	struct list_head wait_list; /* (wait_lock) struct rwsem_waiter, FIFO */
	u16 rank;
};

void rwsem_init(struct rwsem *sem, enum lock_rank rank);

void down_read(struct rwsem *sem);
/* 0, or -EINTR if the task was killed while it waited (nothing is held then). */
int MUST_CHECK down_read_killable(struct rwsem *sem);
bool MUST_CHECK down_read_trylock(struct rwsem *sem);
void up_read(struct rwsem *sem);
/* The read lock was taken by another task, or is left to another one to drop: as the plain ones,
 * but outside the books of the debug build's lock order. */
bool MUST_CHECK down_read_trylock_non_owner(struct rwsem *sem);
void up_read_non_owner(struct rwsem *sem);

void down_write(struct rwsem *sem);
/* A second rwsem of the same rank (fork: the child's mmap_lock under the parent's). */
void down_write_nested(struct rwsem *sem);
int MUST_CHECK down_write_killable(struct rwsem *sem);
bool MUST_CHECK down_write_trylock(struct rwsem *sem);
/* Of the three above, what comes after the first try: for a caller whose own has just failed. -EINTR if killable. */
int MUST_CHECK down_write_contended(struct rwsem *sem, bool nested, bool killable);
void up_write(struct rwsem *sem);

/* Write to read without a gap; queued readers are let in. */
void downgrade_write(struct rwsem *sem);

/* Advisory, racy: for assertions and back-off. */
bool rwsem_is_locked(const struct rwsem *sem);
bool rwsem_is_write_locked(const struct rwsem *sem);
bool rwsem_is_contended(const struct rwsem *sem);

#endif
