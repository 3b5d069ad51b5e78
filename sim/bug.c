/*
 * sim/bug.c - what happens when an invariant of the model is broken
 *
 * Guarantee    One line on stderr that names the place, the message and the task, then (debug
 *              builds) the locks that the task holds; then abort(), so that a debugger or a core
 *              has the whole state. Nothing is freed or flushed: state is not trusted any more.
 * Callers      any thread, entered or not, with any locks held.
 */
#include <mmsim/cpu.h>
#include <mmsim/lock_rank.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mmsim_bug(const char *file, int line, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (mmsim_this_cpu)
		fprintf(stderr, "mmsim: BUG: %s:%d: %s (task %u, cpu %u)\n", file, line, message,
			current_task()->id, this_cpu()->id);
	else
		fprintf(stderr, "mmsim: BUG: %s:%d: %s (no task)\n", file, line, message);
#ifdef MMSIM_DEBUG_LOCKS
	lock_rank_dump_held();
#endif
	abort();
}
