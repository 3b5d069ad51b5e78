/*
 * mmsim/range_lock.h - reader/writer locks on ranges of numbers, kept in an interval tree
 *
 * Models       the range lock that was proposed for Linux (Kara 2013, Bueso 2017/18): one tree of the
 *              ranges that are held or waited for, under one spin lock. A newcomer counts the ranges
 *              before it that conflict with its own; it has the lock when that count is zero, and
 *              sleeps until then. Whoever leaves counts down those behind it.
 * Leaves out   spinning on a running owner, lock stealing: the originals have neither, so each wait
 *              is a context switch and a wake-up.
 * Guarantee    of two ranges that intersect at most one is held, or both are for reading. Acquire /
 *              release as usual. FIFO among those that conflict: nobody overtakes a waiter.
 * Nodes        a struct range_lock is the caller's, one cache line, in memory that other CPUs may look
 *              at (a task's scratch, an object cache: never a stack); it may be reused after unlock.
 * Context      may sleep, except the trylocks, the queries and unlock.
 * Cost         O((1 + conflicts) log ranges) under the spin lock.
 * Lock order   a task that holds a range of a tree waits for no other one of the same tree, in whatever
 *              order: A holds [0, 9], B waits for [0, 99], A asks for [20, 29] and waits for B. Who needs
 *              two takes a range that spans them, or tries (trylock) for the second. _nested: a range
 *              of another tree of the same rank (fork: the parent's, then the child's).
 */
#ifndef MMSIM_RANGE_LOCK_H
#define MMSIM_RANGE_LOCK_H

#include <mmsim/lock_rank.h>
#include <mmsim/rbtree.h>
#include <mmsim/spinlock.h>

struct task;

/* Key: (t) the tree's lock  (c) constant while it is in the tree */
struct range_lock {
	struct rb_node rb;  /* (t) by start */
	u64 start, last;    /* (c) both inclusive */
	u64 subtree_last;   /* (t) the largest last at or below */
	struct task *task;  /* (c) who waits */
	u32 arrival;	    /* (t) twice the number of its arrival, and 1 for a reader */
	u32 blockers;	    /* (t) conflicting ranges that came before and are still there */
} __cacheline_aligned;

struct range_lock_tree {
	spinlock_t lock;
	struct rb_root root;
	u32 arrivals; /* (lock) */
	u16 rank;     /* (c) of the ranges */
} __cacheline_aligned;

void range_lock_tree_init(struct range_lock_tree *tree, enum lock_rank rank);

/* Before each acquisition. */
static inline void range_lock_init(struct range_lock *range, u64 start, u64 last)
{
	range->start = start;
	range->last = last;
}

static inline void range_lock_init_full(struct range_lock *range)
{
	range_lock_init(range, 0, ~0ull);
}

void range_read_lock(struct range_lock_tree *tree, struct range_lock *range);
void range_read_lock_nested(struct range_lock_tree *tree, struct range_lock *range);
/* 0, or -EINTR if the task was killed while it waited (nothing is held then). */
int MUST_CHECK range_read_lock_killable(struct range_lock_tree *tree, struct range_lock *range);
/* False also if it would have to wait for somebody who waits. */
bool MUST_CHECK range_read_trylock(struct range_lock_tree *tree, struct range_lock *range);
void range_read_unlock(struct range_lock_tree *tree, struct range_lock *range);
/* Taken by another task, or left to another one to drop: outside the books of the lock order. */
bool MUST_CHECK range_read_trylock_non_owner(struct range_lock_tree *tree, struct range_lock *range);
void range_read_unlock_non_owner(struct range_lock_tree *tree, struct range_lock *range);

void range_write_lock(struct range_lock_tree *tree, struct range_lock *range);
void range_write_lock_nested(struct range_lock_tree *tree, struct range_lock *range);
int MUST_CHECK range_write_lock_killable(struct range_lock_tree *tree, struct range_lock *range);
int MUST_CHECK range_write_lock_nested_killable(struct range_lock_tree *tree,
						struct range_lock *range);
bool MUST_CHECK range_write_trylock(struct range_lock_tree *tree, struct range_lock *range);
void range_write_unlock(struct range_lock_tree *tree, struct range_lock *range);

/* Write to read without a gap; readers that waited for this range alone are let in. */
void range_downgrade_write(struct range_lock_tree *tree, struct range_lock *range);

/* Advisory, racy. Does anybody hold, or wait for, a part of [start, last]? */
bool range_is_locked(struct range_lock_tree *tree, u64 start, u64 last);
/* The caller holds range: does anybody wait for a part of it? */
bool range_is_contended(struct range_lock_tree *tree, const struct range_lock *range);

#endif
