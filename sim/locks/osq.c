/*
 * sim/locks/osq.c - a queue of spinners that may leave it (an MCS lock with withdrawal)
 *
 * Each spinner spins on its own node, so that only the head reads the lock that all of them want.
 * A spinner that has waited long enough withdraws: it unlinks its node from the middle and sleeps
 * instead.
 *
 * Guarantee    one head at a time; a node is referenced by nobody once lock failed or unlock
 *              returned. Nodes live in struct task: they outlive every stack.
 * Progress     FIFO among those that stay.
 *
 * Links: `tail` is the last node. node->next is set by the successor, and taken (set to NULL) by
 * whoever unlinks: taking it makes the successor's own withdrawal wait until its prev is current.
 */
#include "sim/locks/locks.h"

/* Natively nobody says when another task wants the CPU; and on a real one something does, sometimes. */
#define OSQ_SPINS_MAX 4096
#define OSQ_SPINS_PER_YIELD 256

static void osq_relax(u32 *spins)
{
	cpu_relax();
	if (++*spins % OSQ_SPINS_PER_YIELD == 0)
		engine_yield();
}

/*
 * Node leaves the queue; find its successor, or make prev (NULL: nobody) the tail if it has none.
 * Waits for a successor that swapped the tail but has not linked itself yet.
 */
static struct osq_node *osq_detach_next(struct osq_node **tail, struct osq_node *node,
					struct osq_node *prev)
{
	u32 spins = 0;

	for (;;) {
		struct osq_node *expected = node;
		struct osq_node *next;

		if (READ_ONCE(*tail) == node && try_cmpxchg(tail, &expected, prev))
			return NULL;
		/* Taken by exchange: the successor may be withdrawing, and empties it itself. */
		if (READ_ONCE(node->next)) {
			next = xchg(&node->next, NULL);
			if (next)
				return next;
		}
		osq_relax(&spins);
	}
}

/* Leave from the middle. False: too late, the turn came; the node is still queued. */
static bool osq_withdraw(struct osq_node **tail, struct osq_node *node)
{
	struct osq_node *prev = READ_ONCE(node->prev);
	struct osq_node *next;
	u32 spins = 0;

	/* 1. prev must not pass the turn to us any more: take its link to us. */
	for (;;) {
		struct osq_node *expected = node;

		if (READ_ONCE(prev->next) == node) {
			if (try_cmpxchg(&prev->next, &expected, NULL))
				break;
		}
		/* prev is passing the turn (it took its link), or is withdrawing itself and will
		 * give us another prev. */
		if (smp_load_acquire(&node->locked))
			return false;
		osq_relax(&spins);
		prev = READ_ONCE(node->prev);
	}
	/* 2. Our successor cannot leave now: we take our link to it. 3. Join the two. */
	next = osq_detach_next(tail, node, prev);
	if (next) {
		WRITE_ONCE(next->prev, prev);
		smp_store_release(&prev->next, next);
	}
	return true;
}

bool osq_lock(struct osq_node **tail)
{
	struct osq_node *node = &current_task()->osq;
	struct osq_node *prev;

	WRITE_ONCE(node->locked, 0u);
	WRITE_ONCE(node->next, NULL);
	prev = xchg(tail, node);
	if (!prev)
		return true;
	WRITE_ONCE(node->prev, prev);
	/* Pairs with the exchanges that take the link: prev is set before we can be reached. */
	smp_store_release(&prev->next, node);
	for (u32 spins = 0; spins < OSQ_SPINS_MAX && !need_resched(); spins++) {
		if (smp_load_acquire(&node->locked))
			return true;
		cpu_relax();
	}
	return !osq_withdraw(tail, node);
}

void osq_unlock(struct osq_node **tail)
{
	struct osq_node *node = &current_task()->osq;
	struct osq_node *next = osq_detach_next(tail, node, NULL);

	if (next)
		smp_store_release(&next->locked, 1u); /* pairs with the acquires in osq_lock() */
}
