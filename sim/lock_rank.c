/*
 * sim/lock_rank.c - the lock order of lock_rank.h, enforced (debug builds: MMSIM_DEBUG_LOCKS)
 *
 * Each task keeps an array of what it holds; only the task itself touches it. A thread that is not
 * a task of a machine is not watched: it is alone by contract (set-up before machine_enter()).
 *
 * Guarantee    An acquisition that waits (no trylock) below or at a rank that is already held, or
 *              of a lock that is already held, stops before it can deadlock. So does a release of
 *              what is not held.
 * Leaves out   Cycles among locks of one rank: there the `nested` flag is believed.
 */
#include <mmsim/cpu.h>
#include <mmsim/lock_rank.h>
#include <mmsim/preempt.h>

#ifdef MMSIM_DEBUG_LOCKS
#include <stdio.h>
#include <stdlib.h>

struct held_lock {
	const void *lock;
	enum lock_rank rank;
};

struct held_locks {
	u32 count, capacity;
	struct held_lock locks[];
};

static const char *const rank_name[LOCK_RANK_COUNT] = {
	[LOCK_RANK_INODE] = "INODE",
	[LOCK_RANK_MMAP] = "MMAP",
	[LOCK_RANK_VMA] = "VMA",
	[LOCK_RANK_HUGETLB_FAULT] = "HUGETLB_FAULT",
	[LOCK_RANK_HUGETLB_VMA] = "HUGETLB_VMA",
	[LOCK_RANK_I_MMAP] = "I_MMAP",
	[LOCK_RANK_ANON_VMA] = "ANON_VMA",
	[LOCK_RANK_VMA_TREE] = "VMA_TREE",
	[LOCK_RANK_FILE_TREE] = "FILE_TREE",
	[LOCK_RANK_FOLIO] = "FOLIO",
	[LOCK_RANK_PAGE_TABLE] = "PAGE_TABLE",
	[LOCK_RANK_PTE] = "PTE",
	[LOCK_RANK_LRU] = "LRU",
	[LOCK_RANK_HUGETLB] = "HUGETLB",
	[LOCK_RANK_PCP] = "PCP",
	[LOCK_RANK_ZONE] = "ZONE",
	[LOCK_RANK_WAIT] = "WAIT",
	[LOCK_RANK_LEAF] = "LEAF",
};

/* Room for one more. The array moves as it grows (a fork may hold every VMA of its parent). */
static struct held_locks *held_with_room(struct task *task)
{
	struct held_locks *held = task->held;
	u32 capacity = held ? held->capacity : 0;

	if (held && held->count < capacity)
		return held;
	capacity = capacity ? capacity * 2 : 32;
	held = realloc(held, sizeof(*held) + capacity * sizeof(held->locks[0]));
	if (!held)
		MMSIM_BUG("lock_rank: the host has no memory for %u entries", capacity);
	if (!task->held)
		held->count = 0;
	held->capacity = capacity;
	task->held = held;
	return held;
}

static void check_order(const struct held_locks *held, const void *lock, enum lock_rank rank,
			bool nested)
{
	for (u32 i = 0; i < held->count; i++) {
		const struct held_lock *h = &held->locks[i];

		if (h->lock == lock)
			MMSIM_BUG("lock order: %s %p is already held", rank_name[rank], lock);
		if (h->rank > rank || (h->rank == rank && !nested))
			MMSIM_BUG("lock order: %s %p taken while %s %p is held", rank_name[rank],
				  lock, rank_name[h->rank], h->lock);
	}
}

void lock_rank_acquire(const void *lock, enum lock_rank rank, bool nested, bool trylock)
{
	struct held_locks *held;

	if (!mmsim_this_cpu)
		return;
	if (rank == 0 || rank >= LOCK_RANK_COUNT)
		MMSIM_BUG("lock order: lock %p has no rank (%d): was it initialised?", lock, rank);
	held = held_with_room(current_task());
	if (!trylock)
		check_order(held, lock, rank, nested);
	held->locks[held->count].lock = lock;
	held->locks[held->count].rank = rank;
	held->count++;
#ifdef MMSIM_CHECK_CHARGES
	vt_charge_lock_taken();
#endif
}

static struct held_lock *find_held(const void *lock)
{
	struct held_locks *held = current_task()->held;

	for (u32 i = held ? held->count : 0; i-- > 0;) {
		if (held->locks[i].lock == lock)
			return &held->locks[i];
	}
	return NULL;
}

void lock_rank_release(const void *lock, enum lock_rank rank)
{
	struct held_locks *held;
	struct held_lock *h;

	if (!mmsim_this_cpu)
		return;
	held = current_task()->held;
	h = find_held(lock);
	if (!h || h->rank != rank)
		MMSIM_BUG("lock order: %p (rank %d) released but not held", lock, rank);
#ifdef MMSIM_CHECK_CHARGES
	vt_charge_lock_dropped();
#endif
	held->count--;
	for (; h < &held->locks[held->count]; h++)
		h[0] = h[1];
}

bool lock_rank_held(const void *lock)
{
	return mmsim_this_cpu && find_held(lock);
}

void lock_rank_task_exit(void)
{
	struct task *task = current_task();
	struct held_locks *held = task->held;

	if (held && held->count)
		MMSIM_BUG("lock order: a task ends with %u locks held", held->count);
	free(held);
	task->held = NULL;
}

void lock_rank_dump_held(void)
{
	const void *lock;
	const char *rank;

	for (u32 i = 0; mmsim_this_cpu && (lock = lock_rank_of_task(current_task(), i, &rank)); i++)
		fprintf(stderr, "mmsim:   holds %s %p\n", rank, lock);
}

const void *lock_rank_of_task(const struct task *task, u32 i, const char **rank)
{
	const struct held_locks *held = task->held;

	if (!held || i >= held->count)
		return NULL;
	*rank = rank_name[held->locks[i].rank];
	return held->locks[i].lock;
}
#endif
