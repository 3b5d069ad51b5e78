/*
 * mmsim/lock_stat.h - who took which lock, how long it waited and held: Linux's lock_stat
 *
 * A lock that reports calls, in this order and all by the task that locks:
 *   lock_contended()   before it waits
 *   lock_acquired()    when it has it, waited for or not
 *   lock_abandoned()   instead, when it gave up waiting (killed)
 *   lock_released()    before it lets go; or lock_downgraded()
 * Spin locks, rwsems and the address-space lock (mm/mmap_lock.c, whatever the scheme) do so already. A
 * scheme's own locks report with these lines; docs/LOCKSTAT.md shows how.
 *
 *   lock    its address: tells apart what one task holds, and finds a holder for the timeline
 *   class   what a kernel developer calls it; read and write are kept apart
 *   site    an address in the function to which the acquisition is charged
 *
 * Cost     natively nothing: the hooks are not compiled, but for the program that --lock-stat runs
 *          (MMSIM_LOCK_STAT, as CONFIG_LOCK_STAT). In virtual time one branch of host time and never
 *          any simulated time.
 * Context  any task, whatever it holds. Interrupt handlers take no locks.
 */
#ifndef MMSIM_LOCK_STAT_H
#define MMSIM_LOCK_STAT_H

#include <stdio.h>

#include <mmsim/atomic.h>

struct machine;

/* Who wants to know. */
#define LOCK_WATCH_STAT 1u  /* statistics */
#define LOCK_WATCH_TRACE 2u /* the timeline (virtual) */

#define LOCK_CLASS_MMAP "mmap_lock"
#define LOCK_CLASS_VMA "vma lock"

#if defined(MMSIM_ENGINE_VIRTUAL) || defined(MMSIM_LOCK_STAT)
extern u32 mmsim_lock_watch; /* (host flag: unpriced) */
static ALWAYS_INLINE bool lock_watched(void)
{
	return unlikely(READ_UNPRICED(mmsim_lock_watch) != 0);
}
#else
/* A constant: a build without optimisation leaves the calls out, too. */
#define lock_watched() false
#endif

void lock_stat_contended(const void *lock, const char *class, bool write, const void *site);
void lock_stat_acquired(const void *lock, const char *class, bool write, const void *site);
void lock_stat_counted(const void *lock, const char *class, bool write, const void *site);
void lock_stat_abandoned(const void *lock);
void lock_stat_released(const void *lock);
void lock_stat_downgraded(const void *lock);
void lock_stat_forget(const void *lock);
/* The class of a lock that knows its rank only; rank: enum lock_rank. */
const char *lock_stat_class(u32 rank);

/* The function that called the one in which this stands. */
#define lock_caller() __builtin_return_address(0)

#define lock_contended_at(lock, class, write, site)                                                \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_contended((lock), (class), (write), (site));                     \
	} while (0)
#define lock_acquired_at(lock, class, write, site)                                                 \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_acquired((lock), (class), (write), (site));                      \
	} while (0)
/* Acquired, and let go by something else than a release of its own (all VMAs at once): no hold. */
#define lock_counted_at(lock, class, write, site)                                                  \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_counted((lock), (class), (write), (site));                       \
	} while (0)
#define lock_contended(lock, class, write) lock_contended_at(lock, class, write, lock_caller())
#define lock_acquired(lock, class, write) lock_acquired_at(lock, class, write, lock_caller())
#define lock_counted(lock, class, write) lock_counted_at(lock, class, write, lock_caller())
#define lock_abandoned(lock)                                                                       \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_abandoned(lock);                                                 \
	} while (0)
#define lock_released(lock)                                                                        \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_released(lock);                                                  \
	} while (0)
#define lock_downgraded(lock)                                                                      \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_downgraded(lock);                                                \
	} while (0)

/* Another task will release it: how long it is held is not known. */
#define lock_forget(lock)                                                                          \
	do {                                                                                       \
		if (lock_watched())                                                                \
			lock_stat_forget(lock);                                                    \
	} while (0)

/* ---- collecting ------------------------------------------------------------------------------ */

/* False: this program was built without the hooks (above: Cost). */
bool lock_stat_available(void);
/*
 * Statistics of m's tasks begin anew, for one machine at a time; and end. Any task, or nobody, may
 * call them while others run. What is held at the beginning is not seen to be released, and what is
 * held at the end is not counted as held.
 */
void lock_stat_start(struct machine *m);
void lock_stat_stop(void);

/* A class in one mode (site empty), or one call site of it. */
struct lock_stat_row {
	char class[32], site[64];
	bool write;
	u64 acquisitions; /* not counting those that gave up waiting */
	u64 contentions;  /* had to wait */
	u64 wait_ns_total, wait_ns_p99, wait_ns_max;
	u64 holds; /* of which the hold time is known */
	u64 hold_ns_total, hold_ns_p99, hold_ns_max;
};

/* Classes by waiting time, the sites of each behind it, likewise. No task may run, the machine still
 * exists, and the caller is not inside machine_enter(). *rows is the caller's to free. Returns how
 * many; the statistics are gone. */
u32 lock_stat_take(struct lock_stat_row **rows);
/* As a table. */
void lock_stat_print(const struct lock_stat_row *rows, u32 count, FILE *out);

/* ---- for the timeline ---------------------------------------------------------------------- */

/* What a task waits for, as it is told to the timeline when the wait is over. */
struct lock_wait {
	const char *class, *site; /* site: a function's name */
	bool write, acquired;
	u64 since_ns;
	s64 holder;   /* task, or -1: not known */
	u64 holders;  /* how many (readers) */
};
/* Watch for the timeline, too; or not. */
void lock_watch_trace(struct machine *m, void (*waited)(const struct lock_wait *wait));

#endif
