/*
 * mmsim/timeline.h - a run in virtual time as a file for Perfetto or chrome://tracing (--trace)
 *
 * The events are in docs/TRACE.md. natively: nothing, and it costs nothing.
 * Guarantee   the same run writes the same bytes; what is simulated does not depend on being watched.
 */
#ifndef MMSIM_TIMELINE_H
#define MMSIM_TIMELINE_H

#include <stdio.h>

#include <mmsim/counters.h>
#include <mmsim/lock_stat.h>

struct machine;

#define TIMELINE_EVENTS_DEFAULT 1000000ull

/*
 * What the tasks of m do is written to out as it happens, until timeline_stop() or until there are
 * events_max events. One machine at a time. title: what runs, for the file. Any task may call it.
 */
void timeline_start(struct machine *m, FILE *out, u64 events_max, const char *title);
/* The file's end; what goes on is cut off here. False: events_max was too few, and the rest of the run
 * is missing. Any task, or nobody, may call it; without a start it does nothing. */
bool timeline_stop(void);
u64 timeline_event_count(void);

#if defined(MMSIM_ENGINE_VIRTUAL)

static ALWAYS_INLINE bool timeline_on(void)
{
	return unlikely(READ_UNPRICED(mmsim_lock_watch) & LOCK_WATCH_TRACE);
}

void timeline_mmap_lock(const char *event, u64 mm, bool write);
void timeline_mmap_lock_returned(u64 mm, bool write, bool success);
void timeline_fault_begin(void);
void timeline_fault_end(u64 va, const char *access, bool user);
void timeline_syscall_begin(enum counter call);
void timeline_syscall_end(void);

#define timeline_if_on(call)                                                                       \
	do {                                                                                       \
		if (timeline_on())                                                                 \
			call;                                                                      \
	} while (0)
#define trace_mmap_lock_start_locking(mm, write)                                                   \
	timeline_if_on(timeline_mmap_lock("mmap_lock_start_locking", (mm)->context_id, (write)))
#define trace_mmap_lock_acquire_returned(mm, write, success)                                       \
	timeline_if_on(timeline_mmap_lock_returned((mm)->context_id, (write), (success)))
#define trace_mmap_lock_released(mm, write)                                                        \
	timeline_if_on(timeline_mmap_lock("mmap_lock_released", (mm)->context_id, (write)))
/* Around one fault of the calling task; what it did is read off its counters. */
#define trace_fault_begin() timeline_if_on(timeline_fault_begin())
#define trace_fault_end(va, access, user)                                                          \
	timeline_if_on(timeline_fault_end((va), (access), (user)))

/* From here to the end of the enclosing block: a system call. */
static ALWAYS_INLINE void timeline_syscall_cleanup(const char *unused)
{
	(void)unused;
	timeline_if_on(timeline_syscall_end());
}
#define trace_syscall(call)                                                                        \
	const char syscall_scope_ __attribute__((cleanup(timeline_syscall_cleanup))) = 0;          \
	(void)syscall_scope_;                                                                      \
	timeline_if_on(timeline_syscall_begin(call))

#else

#define trace_mmap_lock_start_locking(mm, write) ((void)0)
#define trace_mmap_lock_acquire_returned(mm, write, success) ((void)0)
#define trace_mmap_lock_released(mm, write) ((void)0)
#define trace_fault_begin() ((void)0)
#define trace_fault_end(va, access, user) ((void)0)
#define trace_syscall(call) ((void)0)

#endif

#endif
