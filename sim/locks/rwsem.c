/*
 * sim/locks/rwsem.c - the sleeping reader/writer lock, after Linux's protocol (6.x)
 *
 * Models       see rwsem.h. A writer queued behind readers, a reader queued behind a writer, and
 *              who may overtake whom, are as in Linux: that is what lock convoys are made of.
 * Leaves out   PREEMPT_RT; real-time tasks; lock-event details beyond the RWSEM_* counters.
 * Guarantee    One writer or many readers. Acquire on lock, release on unlock.
 * Lock order   sem->wait_lock (rank WAIT) is inside everything; wake-ups are outside of it.
 * Progress     The list is FIFO. The lock may be stolen by newcomers until the first waiter has
 *              waited RWSEM_HANDOFF_NS and sets HANDOFF: from then on it is next. Before Linux 5.3
 *              (classic(), looked at in slow paths only) there was no such bound.
 *
 * The count word
 *   bit 0   a writer holds it
 *   bit 1   the wait list is not empty           } changed only under wait_lock
 *   bit 2   handoff: only the first waiter may take it   }
 *   8..     readers that hold it, plus those that are just finding out that they do not
 *
 * The owner word: the writing task, or 0, or NONSPINNABLE when a spinner lost patience with the
 * readers (the next writer, or a moment without holders, clears it). Only a hint.
 */
#include "sim/locks/locks.h"

#include <mmsim/charge.h>
#include <mmsim/lock_stat.h>

#define WRITER_LOCKED 1ll
#define FLAG_WAITERS 2ll
#define FLAG_HANDOFF 4ll
#define READER_BIAS 256ll
#define READER_MASK (~(READER_BIAS - 1))
#define LOCK_MASK (WRITER_LOCKED | READER_MASK)
#define READ_FAILED_MASK (WRITER_LOCKED | FLAG_WAITERS | FLAG_HANDOFF)

#define OWNER_NONSPINNABLE 1ull

#define RWSEM_HANDOFF_NS 4000000ull
#define RWSEM_WAKE_READERS_MAX 256
#define RWSEM_SPIN_READERS_NS_MAX 25000ull
#if defined(MMSIM_ENGINE_NATIVE)
/* Natively an owner that the host has preempted looks as if it ran: nobody watches it for longer.
 */
#define RWSEM_SPIN_NS_MAX 100000ull
#define RWSEM_SPINS_PER_CLOCK 32
#else
/* On a real CPU something wants to run sooner or later: a tick's work, a daemon. */
#define RWSEM_SPIN_NS_MAX 4000000ull
#define RWSEM_SPINS_PER_CLOCK 1
#endif

enum wake_mode {
	WAKE_ANY,        /* nobody holds the lock, or only readers: whoever is first */
	WAKE_READERS,    /* readers hold it: readers only */
	WAKE_READ_OWNED, /* the caller itself holds it for read: it cannot be taken away */
};

/* Whom to wake once wait_lock is dropped. Readers own their lock by then and wait to be told; a
 * writer only competes, and may be gone before it is woken, so its node is not looked at again. */
struct wakeups {
	struct rwsem_waiter *readers; /* chain by wake_next */
	struct task *writer;
};

void rwsem_init(struct rwsem *sem, enum lock_rank rank)
{
	lines_write(sem, sizeof(*sem));
	WRITE_UNPRICED(sem->count, 0ll);
	WRITE_UNPRICED(sem->owner, 0ull);
	WRITE_UNPRICED(sem->osq_tail, NULL);
	spin_lock_init(&sem->wait_lock, LOCK_RANK_WAIT);
	list_init(&sem->wait_list);
	sem->rank = (u16)rank;
}

static bool classic(void)
{
	return machine_classic_rwsem(this_cpu()->machine);
}

static void set_writer(struct rwsem *sem)
{
	WRITE_ONCE(sem->owner, (u64)(uintptr_t)current_task());
}

static void clear_nonspinnable(struct rwsem *sem)
{
	u64 expected = OWNER_NONSPINNABLE;

	if (READ_ONCE(sem->owner) == OWNER_NONSPINNABLE)
		(void)try_cmpxchg_relaxed(&sem->owner, &expected, 0ull);
}

static struct rwsem_waiter *first_waiter(struct rwsem *sem)
{
	return list_first_entry(&sem->wait_list, struct rwsem_waiter, link);
}

/* ---- waking: pick under wait_lock, wake after it ------------------------------------------- */

/* Take up to a batch of readers off the list, wherever they are in it; classic: those at its head.
 * Returns their number. */
static s64 collect_readers(struct rwsem *sem, struct rwsem_waiter **chain)
{
	struct rwsem_waiter **last = chain;
	struct rwsem_waiter *w, *tmp;
	bool head_only = classic();
	s64 readers = 0;

	list_for_each_entry_safe (w, tmp, &sem->wait_list, link) {
		line_write_ptr(w->link.next);
		if (w->wants_write) {
			if (head_only)
				break;
			continue;
		}
		line_write_neighbours(&w->link);
		list_del_init(&w->link);
		w->wake_next = NULL;
		*last = w;
		last = &w->wake_next;
		if (++readers == RWSEM_WAKE_READERS_MAX)
			break;
	}
	return readers;
}

/*
 * The first waiter is a reader: take the lock for it, unless a writer was quicker. A reader that
 * has waited for too long then asks for the handoff.
 */
static bool grab_for_first_reader(struct rwsem *sem, struct rwsem_waiter *first)
{
	s64 old = fetch_add(&sem->count, READER_BIAS);
	s64 undo = -READER_BIAS;

	if (!(old & WRITER_LOCKED))
		return true;
	if (!(old & FLAG_HANDOFF) && !classic() && engine_now_ns() >= first->handoff_ns) {
		undo += FLAG_HANDOFF;
		first->handoff_set = true;
	}
	(void)fetch_add(&sem->count, undo);
	return false;
}

/*
 * Choose who is woken, and give readers the lock. wait_lock is held, the list is not empty.
 */
static struct wakeups choose_wakeups(struct rwsem *sem, enum wake_mode mode)
{
	struct rwsem_waiter *first = first_waiter(sem);
	struct wakeups wake = {NULL, NULL};
	s64 delta, readers;

	line_write(first, link);

	if (first->wants_write) {
		if (mode == WAKE_ANY)
			wake.writer = first->task;
		return wake;
	}
	if (mode != WAKE_READ_OWNED && !grab_for_first_reader(sem, first))
		return wake;
	readers = collect_readers(sem, &wake.readers);
	count_events(COUNTER_RWSEM_WAKE_READERS, (u64)readers);
	delta = readers * READER_BIAS - (mode != WAKE_READ_OWNED ? READER_BIAS : 0);
	if (list_empty(&sem->wait_list))
		delta -= FLAG_WAITERS;
	/* Stable: it changes under wait_lock only. Whoever asked for it, readers got their turn. */
	if (READ_ONCE(sem->count) & FLAG_HANDOFF) {
		delta -= FLAG_HANDOFF;
		count_event(COUNTER_RWSEM_HANDOFF);
	}
	if (delta)
		(void)fetch_add(&sem->count, delta);
	return wake;
}

/* wait_lock is not held. A granted reader may run and reuse its node at once: look ahead first. */
static void do_wakeups(struct wakeups wake)
{
	struct rwsem_waiter *w = wake.readers;

	if (wake.writer)
		task_unpark(wake.writer);
	while (w) {
		struct rwsem_waiter *next = w->wake_next;
		struct task *task = w->task;

		smp_store_release(&w->granted, 1u); /* pairs with wait_granted() */
		task_unpark(task);
		w = next;
	}
}

static NOINLINE void wake_waiters(struct rwsem *sem, enum wake_mode mode)
{
	struct wakeups wake = {NULL, NULL};

	spin_lock(&sem->wait_lock);
	if (!list_empty(&sem->wait_list))
		wake = choose_wakeups(sem, mode);
	spin_unlock(&sem->wait_lock);
	do_wakeups(wake);
}

/* After the list changed: the holder that would have woken the first waiter may be gone already.
 * wait_lock is held, the list is not empty. */
static struct wakeups wakeups_if_free(struct rwsem *sem, s64 count)
{
	struct wakeups none = {NULL, NULL};

	if (count & WRITER_LOCKED)
		return none;
	if (count & READER_MASK)
		return choose_wakeups(sem, WAKE_READERS);
	clear_nonspinnable(sem);
	return choose_wakeups(sem, WAKE_ANY);
}

/* ---- waiting ------------------------------------------------------------------------------- */

static struct rwsem_waiter *enqueue(struct rwsem *sem, bool wants_write)
{
	struct task *task = current_task();
	struct rwsem_waiter *w = &task->rwsem_waiter;

	w->task = task;
	w->wants_write = wants_write;
	w->handoff_set = false;
	w->handoff_ns = engine_now_ns() + RWSEM_HANDOFF_NS;
	WRITE_ONCE(w->granted, 0u);
	line_write_ptr(sem->wait_list.prev);
	list_add_tail(&w->link, &sem->wait_list);
	return w;
}

/* A killed waiter leaves. wait_lock is held; who may be able to run in its stead is returned. */
static struct wakeups dequeue_killed(struct rwsem *sem, struct rwsem_waiter *w)
{
	struct wakeups none = {NULL, NULL};
	bool was_first = first_waiter(sem) == w;
	s64 flags = 0;

	line_write_neighbours(&w->link);
	list_del_init(&w->link);
	if (list_empty(&sem->wait_list))
		flags = FLAG_WAITERS | FLAG_HANDOFF;
	else if (w->handoff_set)
		flags = FLAG_HANDOFF;
	if (flags)
		(void)fetch_and(&sem->count, ~flags);
	if (list_empty(&sem->wait_list) || !was_first)
		return none;
	return wakeups_if_free(sem, READ_ONCE(sem->count));
}

/* Sleep until a waker has given us the read lock. -EINTR: killed first, and not queued any more. */
static int wait_granted(struct rwsem *sem, struct rwsem_waiter *w, bool killable)
{
	struct wakeups wake;

	count_event(COUNTER_RWSEM_RLOCK_SLEEP);
	/* Pairs with do_wakeups(): the last writer's changes are visible, the node is ours again.
	 */
	while (!smp_load_acquire(&w->granted)) {
		if (killable && task_killed()) {
			spin_lock(&sem->wait_lock);
			if (!list_empty(&w->link)) {
				wake = dequeue_killed(sem, w);
				spin_unlock(&sem->wait_lock);
				do_wakeups(wake);
				return -EINTR;
			}
			spin_unlock(&sem->wait_lock);
			killable = false; /* the grant is under way: take it */
		}
		task_park();
	}
	return 0;
}

/* Our bias is in the count. */
static int down_read_queued(struct rwsem *sem, bool killable)
{
	struct rwsem_waiter *w;
	struct wakeups wake;
	s64 delta = -READER_BIAS, count;

	spin_lock(&sem->wait_lock);
	if (list_empty(&sem->wait_list)) {
		/* Whoever stood in the way is gone, and our bias has been in the count all along.
		 * Acquire: pairs with the release in up_write(). */
		if (!(smp_load_acquire(&sem->count) & (WRITER_LOCKED | FLAG_HANDOFF))) {
			spin_unlock(&sem->wait_lock);
			return 0;
		}
		delta += FLAG_WAITERS;
	}
	w = enqueue(sem, false);
	count = fetch_add(&sem->count, delta) + delta;
	wake = wakeups_if_free(sem, count);
	spin_unlock(&sem->wait_lock);
	do_wakeups(wake);
	return wait_granted(sem, w, killable);
}

/* The fast path added our bias and found `count` (bias included) not free for readers. */
static NOINLINE int down_read_slow(struct rwsem *sem, s64 count, bool killable)
{
	int ret;

	/* Steal from queued waiters, but not while other readers hold it: writers would starve. */
	if (count / READER_BIAS == 1 && !(count & (WRITER_LOCKED | FLAG_HANDOFF)) &&
	    !((count & FLAG_WAITERS) && classic())) {
		if (count & FLAG_WAITERS)
			wake_waiters(sem, WAKE_READ_OWNED);
		return 0;
	}
	task_waits_for(sem);
	ret = down_read_queued(sem, killable);
	task_waits_for(NULL);
	return ret;
}

/*
 * A queued writer tries; wait_lock is held. True: it has the lock and is off the list. Only the
 * first in the list may: whoever frees the lock wakes that one, so nobody else need be awake.
 */
static bool try_write_queued(struct rwsem *sem, struct rwsem_waiter *w)
{
	s64 count = READ_ONCE(sem->count), new;

	if (first_waiter(sem) != w)
		return false;
	do {
		new = count;
		if (count & LOCK_MASK) {
			if ((count & FLAG_HANDOFF) || classic() || engine_now_ns() < w->handoff_ns)
				return false;
			new |= FLAG_HANDOFF;
		} else {
			new |= WRITER_LOCKED;
			new &= ~FLAG_HANDOFF;
			if (list_is_singular(&sem->wait_list))
				new &= ~FLAG_WAITERS;
		}
	} while (!try_cmpxchg_acquire(&sem->count, &count, new));
	if (new &FLAG_HANDOFF) {
		w->handoff_set = true;
		return false;
	}
	line_write_neighbours(&w->link);
	list_del_init(&w->link);
	set_writer(sem);
	if (w->handoff_set)
		count_event(COUNTER_RWSEM_HANDOFF);
	return true;
}

/* ---- optimistic spinning of writers -------------------------------------------------------- */

static bool try_write_unqueued(struct rwsem *sem)
{
	s64 count = READ_ONCE(sem->count);

	while (!(count & (LOCK_MASK | FLAG_HANDOFF))) {
		if (try_cmpxchg_acquire(&sem->count, &count, count | WRITER_LOCKED)) {
			set_writer(sem);
			return true;
		}
	}
	return false;
}

/* Is spinning any good? Not if the writer sleeps, or the readers have taken too long before. */
static bool owner_may_spin(const struct rwsem *sem)
{
	u64 owner = READ_ONCE(sem->owner);

	if (owner == OWNER_NONSPINNABLE)
		return false;
	/* Tasks outlive every lock of their machine: reading through a stale hint is safe. */
	return !owner || READ_ONCE(((struct task *)(uintptr_t)owner)->on_cpu);
}

/* How long the readers that hold it may be waited for by spinning. */
static u64 readers_patience_ns(s64 count)
{
	u64 ns = 10000 + (u64)(count / READER_BIAS) * 500;

	return min(ns, (u64)RWSEM_SPIN_READERS_NS_MAX);
}

static void give_up_on_readers(struct rwsem *sem)
{
	u64 expected = 0;

	(void)try_cmpxchg_relaxed(&sem->owner, &expected, OWNER_NONSPINNABLE);
}

/* Watch the lock from the head of the queue of spinners. True: taken. */
static bool spin_as_head(struct rwsem *sem)
{
	u64 start_ns = engine_now_ns(), readers_until_ns = 0;
	u32 spins = 0;

	while (!need_resched() && owner_may_spin(sem)) {
		s64 count;
		u64 now_ns;

		if (try_write_unqueued(sem))
			return true;
		cpu_relax();
		if (++spins % RWSEM_SPINS_PER_CLOCK)
			continue;
		now_ns = engine_now_ns();
		if (now_ns - start_ns > RWSEM_SPIN_NS_MAX)
			return false;
		count = READ_ONCE(sem->count);
		if ((count & READER_MASK) && classic())
			return false;
		if (!(count & READER_MASK)) {
			readers_until_ns = 0;
		} else if (!readers_until_ns) {
			readers_until_ns = now_ns + readers_patience_ns(count);
		} else if (now_ns > readers_until_ns) {
			give_up_on_readers(sem);
			return false;
		}
	}
	return false;
}

static bool optimistic_spin(struct rwsem *sem)
{
	bool taken;

	if (!owner_may_spin(sem))
		return false;
	preempt_disable();
	taken = osq_lock(&sem->osq_tail);
	if (taken) {
		taken = spin_as_head(sem);
		osq_unlock(&sem->osq_tail);
	}
	preempt_enable();
	if (taken)
		count_event(COUNTER_RWSEM_OPT_LOCK);
	return taken;
}

/* ---- the writer's slow path ---------------------------------------------------------------- */

static struct wakeups enqueue_writer(struct rwsem *sem, struct rwsem_waiter **w)
{
	struct wakeups none = {NULL, NULL};
	bool was_empty = list_empty(&sem->wait_list);
	s64 count;

	*w = enqueue(sem, true);
	if (was_empty) {
		(void)fetch_or(&sem->count, FLAG_WAITERS);
		return none; /* we are first: our own try comes next */
	}
	count = READ_ONCE(sem->count);
	return wakeups_if_free(sem, count);
}

/* With the handoff bit ours, the lock is next: a short spin on a writer saves the sleep. Readers are slept on. */
static bool spin_for_handoff(struct rwsem *sem)
{
	u64 start_ns = engine_now_ns();
	u32 spins = 0;
	s64 count;

	while ((count = READ_ONCE(sem->count)) & LOCK_MASK) {
		if ((count & READER_MASK) || need_resched() || !owner_may_spin(sem))
			return false;
		cpu_relax();
		if (++spins % RWSEM_SPINS_PER_CLOCK == 0 && engine_now_ns() - start_ns > RWSEM_SPIN_NS_MAX)
			return false;
	}
	return true;
}

static int down_write_queued(struct rwsem *sem, bool killable)
{
	struct rwsem_waiter *w;
	struct wakeups wake;
	bool slept = false, handoff;

	spin_lock(&sem->wait_lock);
	wake = enqueue_writer(sem, &w);
	if (wake.readers || wake.writer) {
		spin_unlock(&sem->wait_lock);
		do_wakeups(wake);
		spin_lock(&sem->wait_lock);
	}
	while (!try_write_queued(sem, w)) {
		if (killable && task_killed()) {
			wake = dequeue_killed(sem, w);
			spin_unlock(&sem->wait_lock);
			do_wakeups(wake);
			return -EINTR;
		}
		handoff = w->handoff_set;
		spin_unlock(&sem->wait_lock);
		if (!handoff || !spin_for_handoff(sem)) {
			slept = true;
			task_park();
		}
		spin_lock(&sem->wait_lock);
	}
	spin_unlock(&sem->wait_lock);
	if (slept)
		count_event(COUNTER_RWSEM_WLOCK_SLEEP);
	return 0;
}

static NOINLINE int down_write_slow(struct rwsem *sem, bool killable)
{
	int ret = 0;

	task_waits_for(sem);
	if (!optimistic_spin(sem))
		ret = down_write_queued(sem, killable);
	task_waits_for(NULL);
	return ret;
}

/* ---- the interface ------------------------------------------------------------------------- */

/* mm/mmap_lock.c reports the address-space lock, under every scheme. */
#define reports(sem) (lock_watched() && (sem)->rank != LOCK_RANK_MMAP)

static void report_contended(const struct rwsem *sem, bool write, const void *site)
{
	if (reports(sem))
		lock_stat_contended(sem, lock_stat_class(sem->rank), write, site);
}

static void report_taken(const struct rwsem *sem, bool write, int err, const void *site)
{
	if (!reports(sem))
		return;
	if (err)
		lock_stat_abandoned(sem);
	else
		lock_stat_acquired(sem, lock_stat_class(sem->rank), write, site);
}

static void report_released(const struct rwsem *sem)
{
	if (reports(sem))
		lock_stat_released(sem);
}

static ALWAYS_INLINE int read_lock(struct rwsem *sem, bool killable, const void *site)
{
	s64 count = fetch_add_acquire(&sem->count, READER_BIAS) + READER_BIAS;
	int err = 0;

	if (unlikely(count & READ_FAILED_MASK)) {
		report_contended(sem, false, site);
		err = down_read_slow(sem, count, killable);
	}
	report_taken(sem, false, err, site);
	return err;
}

static ALWAYS_INLINE int write_lock(struct rwsem *sem, bool killable, const void *site)
{
	s64 free = 0;
	int err = 0;

	if (likely(try_cmpxchg_acquire(&sem->count, &free, WRITER_LOCKED))) {
		set_writer(sem);
	} else {
		report_contended(sem, true, site);
		err = down_write_slow(sem, killable);
	}
	report_taken(sem, true, err, site);
	return err;
}

void down_read(struct rwsem *sem)
{
	lock_rank_acquire(sem, lock_rank_of(sem), false, false);
	(void)read_lock(sem, false, lock_caller());
}

int down_read_killable(struct rwsem *sem)
{
	int ret;

	lock_rank_acquire(sem, lock_rank_of(sem), false, false);
	ret = read_lock(sem, true, lock_caller());
	if (ret)
		lock_rank_release(sem, lock_rank_of(sem));
	return ret;
}

bool down_read_trylock_non_owner(struct rwsem *sem)
{
	s64 count = READ_ONCE(sem->count);

	while (!(count & READ_FAILED_MASK)) {
		if (try_cmpxchg_acquire(&sem->count, &count, count + READER_BIAS))
			return true;
	}
	return false;
}

bool down_read_trylock(struct rwsem *sem)
{
	if (!down_read_trylock_non_owner(sem))
		return false;
	lock_rank_acquire(sem, lock_rank_of(sem), false, true);
	report_taken(sem, false, 0, lock_caller());
	return true;
}

void up_read_non_owner(struct rwsem *sem)
{
	s64 count = fetch_add_release(&sem->count, -READER_BIAS) - READER_BIAS;

	if (unlikely(count < 0))
		MMSIM_BUG("rwsem: read-unlocked but not read-locked (count %lld)",
			  (long long)count);
	if (unlikely((count & (LOCK_MASK | FLAG_WAITERS)) == FLAG_WAITERS)) {
		clear_nonspinnable(sem);
		wake_waiters(sem, WAKE_ANY);
	}
}

void up_read(struct rwsem *sem)
{
	lock_rank_release(sem, lock_rank_of(sem));
	report_released(sem);
	up_read_non_owner(sem);
}

void down_write(struct rwsem *sem)
{
	lock_rank_acquire(sem, lock_rank_of(sem), false, false);
	(void)write_lock(sem, false, lock_caller());
}

void down_write_nested(struct rwsem *sem)
{
	lock_rank_acquire(sem, lock_rank_of(sem), true, false);
	(void)write_lock(sem, false, lock_caller());
}

int down_write_killable(struct rwsem *sem)
{
	int ret;

	lock_rank_acquire(sem, lock_rank_of(sem), false, false);
	ret = write_lock(sem, true, lock_caller());
	if (ret)
		lock_rank_release(sem, lock_rank_of(sem));
	return ret;
}

int down_write_contended(struct rwsem *sem, bool nested, bool killable)
{
	int ret;

	lock_rank_acquire(sem, lock_rank_of(sem), nested, false);
	report_contended(sem, true, lock_caller());
	ret = down_write_slow(sem, killable);
	report_taken(sem, true, ret, lock_caller());
	if (ret)
		lock_rank_release(sem, lock_rank_of(sem));
	return ret;
}

bool down_write_trylock(struct rwsem *sem)
{
	s64 free = 0;

	if (!try_cmpxchg_acquire(&sem->count, &free, WRITER_LOCKED))
		return false;
	set_writer(sem);
	lock_rank_acquire(sem, lock_rank_of(sem), true, true);
	report_taken(sem, true, 0, lock_caller());
	return true;
}

void up_write(struct rwsem *sem)
{
	s64 count;

	lock_rank_release(sem, lock_rank_of(sem));
	report_released(sem);
	/* The hint goes first: after the count is free another writer's hint may be there. */
	WRITE_ONCE(sem->owner, 0ull);
	count = fetch_add_release(&sem->count, -WRITER_LOCKED);
	if (unlikely(!(count & WRITER_LOCKED)))
		MMSIM_BUG("rwsem: write-unlocked but not write-locked (count %lld)",
			  (long long)count);
	if (unlikely(count & FLAG_WAITERS))
		wake_waiters(sem, WAKE_ANY);
}

void downgrade_write(struct rwsem *sem)
{
	s64 count;

	if (reports(sem))
		lock_stat_downgraded(sem);
	WRITE_ONCE(sem->owner, 0ull);
	/* Release: readers that get in now see what we wrote. */
	count = fetch_add_release(&sem->count, READER_BIAS - WRITER_LOCKED);
	if (unlikely(!(count & WRITER_LOCKED)))
		MMSIM_BUG("rwsem: downgraded but not write-locked (count %lld)", (long long)count);
	if (unlikely(count & FLAG_WAITERS))
		wake_waiters(sem, WAKE_READ_OWNED);
}

bool rwsem_is_locked(const struct rwsem *sem)
{
	return (READ_ONCE(sem->count) & LOCK_MASK) != 0;
}

bool rwsem_is_write_locked(const struct rwsem *sem)
{
	return (READ_ONCE(sem->count) & WRITER_LOCKED) != 0;
}

bool rwsem_is_contended(const struct rwsem *sem)
{
	return (READ_ONCE(sem->count) & FLAG_WAITERS) != 0;
}
