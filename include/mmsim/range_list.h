/*
 * mmsim/range_list.h - reader/writer locks on ranges of numbers, kept in a sorted list without a lock
 *
 * Models       the list-based range locks of Kogan, Dice and Issa (EuroSys'20), reader/writer form. A
 *              range is held by having a node in the list; the node is released by marking it, and
 *              unlinked by whoever passes. A newcomer that meets a conflicting node on its way waits
 *              until that is marked. A reader that is in looks ahead, for writers that it overlaps, and
 *              waits for them; a writer that is in looks from the head, for readers that it
 *              overlaps, and withdraws: readers are preferred. When nobody holds anything the head is
 *              swapped, and swapped back (the fast path). Optional fairness: who has lost `patience`
 *              times shuts a gate to newcomers until it has its range.
 * Differs      Waiting. In the paper waiters spin inside an epoch, on the node. Here they leave the RCU
 *              reader first (a holder may wait for a grace period), watch the node, which is type-stable,
 *              for another life, spin for a while and sleep then, and start at the head again.
 *              The auxiliary lock of fairness is a gate: its holder does not wait for those inside.
 * Guarantee    of two ranges that intersect at most one is held, or both are for reading. Acquire /
 *              release as usual. Progress: no fairness, but for the gate.
 * Context      may sleep, except the trylocks and unlock; not inside an RCU reader.
 * Cost         O(ranges held); uncontended one compare-and-swap each way.
 * Lock order   as range_lock.h: a task that holds a range of a list waits for no other one of it.
 * Fails        stops (MMSIM_BUG) when the host has no memory for a node.
 */
#ifndef MMSIM_RANGE_LIST_H
#define MMSIM_RANGE_LIST_H

#include <mmsim/lock_rank.h>
#include <mmsim/wait.h>

struct machine;
struct range_node;

/* Nodes come from here: one for all lists of a machine. create: NULL when the host has no memory.
 * destroy: after the lists; may sleep. */
struct range_list_pool;
struct range_list_pool *range_list_pool_create(struct machine *m);
void range_list_pool_destroy(struct range_list_pool *pool);

/* No fairness. */
#define RANGE_LIST_PATIENT 0u
/* As the paper: nobody sleeps who could spin (natively bounded: the host may have fewer CPUs). */
#define RANGE_LIST_SPIN_FOREVER (~0u)

struct range_list {
	uintptr_t head; /* (atomic) first node, and 1 while that is on the fast path */
	u32 gate;	/* (atomic) somebody impatient has shut it */
	u32 patience;	/* (c) waits after which a task shuts the gate, or RANGE_LIST_PATIENT */
	u32 spin_ns;	/* (c) how long a waiter spins before it sleeps */
	u16 rank;	/* (c) of the ranges */
	struct range_list_pool *pool; /* (c) */
	struct wait_queue gate_wq;
} __cacheline_aligned;

/* One acquisition; the owner's, no other task looks at it. */
struct range_hold {
	u64 start, last; /* both inclusive */
	struct range_node *node;
};

void range_list_init(struct range_list *list, struct range_list_pool *pool, enum lock_rank rank,
		     u32 spin_ns, u32 patience);
/* Nothing may be held. */
void range_list_destroy(struct range_list *list);

static inline void range_hold_init(struct range_hold *hold, u64 start, u64 last)
{
	hold->start = start;
	hold->last = last;
}

static inline void range_hold_init_full(struct range_hold *hold)
{
	range_hold_init(hold, 0, ~0ull);
}

void range_list_read_lock(struct range_list *list, struct range_hold *hold);
/* 0, or -EINTR if the task was killed while it waited (nothing is held then). */
int MUST_CHECK range_list_read_lock_killable(struct range_list *list, struct range_hold *hold);
bool MUST_CHECK range_list_read_trylock(struct range_list *list, struct range_hold *hold);
void range_list_read_unlock(struct range_list *list, struct range_hold *hold);
/* Taken by another task, or left to another one to drop: outside the books of the lock order. */
bool MUST_CHECK range_list_read_trylock_non_owner(struct range_list *list, struct range_hold *hold);
void range_list_read_unlock_non_owner(struct range_list *list, struct range_hold *hold);

void range_list_write_lock(struct range_list *list, struct range_hold *hold);
/* While a range of another list of the same rank is held. Passes the gate. */
void range_list_write_lock_nested(struct range_list *list, struct range_hold *hold);
int MUST_CHECK range_list_write_lock_killable(struct range_list *list, struct range_hold *hold);
bool MUST_CHECK range_list_write_trylock(struct range_list *list, struct range_hold *hold);
void range_list_write_unlock(struct range_list *list, struct range_hold *hold);

/* Write to read without a gap; readers that waited for this range are let in. */
void range_list_downgrade_write(struct range_list *list, struct range_hold *hold);

/* Advisory, racy. */
bool range_list_is_locked(struct range_list *list, u64 start, u64 last);
/* Does anybody sleep until hold is released? */
bool range_list_is_contended(const struct range_hold *hold);

#endif
