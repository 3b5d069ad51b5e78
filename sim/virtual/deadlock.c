/*
 * sim/virtual/deadlock.c - when nothing can run: who holds what, who waits for what, where
 *
 * For each task that has not ended: its state and CPU, what it waits for (by name where there is one),
 * what it holds (debug builds), and its call stack, which it prints itself: we switch to its context,
 * it prints and switches back. The seed and schedule that repeat the run come first, the picture of
 * who waits for whom last. Then exit(1): the model is at fault, not the program.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/names.h"
#include "sim/symbols.h"

#include <mmsim/lock_rank.h>

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_SHOWN 16
#define FRAMES_MAX 48

static void name_address(const struct machine *m, const void *p, char *text, size_t bytes)
{
	char name[64];
	u32 instance;

	names_find(m, p, name, sizeof(name), &instance);
	if (!strcmp(name, "host memory"))
		snprintf(text, bytes, "host memory %p", p);
	else
		snprintf(text, bytes, "%s (#%u)", name, instance);
}

static bool waits(const struct vtask *t)
{
	return t->state != TASK_UNUSED && t->state != TASK_ENDED && t->task->waits_for;
}

#ifdef MMSIM_DEBUG_LOCKS
/*
 * Books are kept before the wait: what it waits for is in them. Under the schemes with locks of their own the
 * books have the address space's or the VMA's name for it.
 */
static bool only_wanted(const struct machine *m, const struct vtask *t, const void *lock, const char *rank)
{
	char name[80];

	if (!t->task->waits_for)
		return false;
	if (lock == t->task->waits_for || lock == t->waited)
		return true;
	name_address(m, t->waited, name, sizeof(name));
	return (!strcmp(rank, "MMAP") && !strncmp(name, "mm->mmap_", strlen("mm->mmap_"))) ||
	       (!strcmp(rank, "VMA") && !strncmp(name, "vm", strlen("vm")));
}

/* The i-th lock that a task has; *i goes on to the next. NULL: no more. */
static const void *held_by(const struct machine *m, const struct vtask *t, u32 *i, const char **rank)
{
	const void *lock;

	while ((lock = lock_rank_of_task(t->task, (*i)++, rank)))
		if (!only_wanted(m, t, lock, *rank))
			return lock;
	return NULL;
}
#else
static const void *held_by(const struct machine *m, const struct vtask *t, u32 *i, const char **rank)
{
	(void)m, (void)t, (void)i, (void)rank;
	return NULL;
}
#endif

/* The innermost frames are the engine's own: the story begins below them. With '_' at its end a name stands for
 * all that begin so; what the compiler appends to the name of a copy does not count. */
static bool is_engine(const char *function)
{
	static const char *const names[] = { "deadlock_",  "go",	 "pick",	 "sched_",   "context_",
					     "task_sleep", "channel_", "vt_",	 "transact", "charge_",
					     "stack_of",   "print_task", "__tsan_", NULL };
	size_t function_len = strcspn(function, ".");

	for (u32 i = 0; names[i]; i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(function, names[i], len) && (names[i][len - 1] == '_' || len == function_len))
			return true;
	}
	return false;
}

void deadlock_print_stack(void)
{
	void *frames[FRAMES_MAX];
	int count = backtrace(frames, FRAMES_MAX);
	bool inner = true;

	for (int i = 0; i < count; i++) {
		u64 offset;
		const char *function = symbol_of((char *)frames[i] - 1, &offset);

		if (function && !strcmp(function, "task_main"))
			break;
		if (inner && function && is_engine(function))
			continue;
		inner = false;
		if (function)
			fprintf(stderr, "      %s+%#llx\n", function, (unsigned long long)offset);
		else
			fprintf(stderr, "      %p\n", frames[i]);
	}
}

void deadlock_print_own_stack(struct machine *m)
{
	struct context *back = m->dump_back;

	m->dump_back = NULL;
	deadlock_print_stack();
	context_switch(&m->dumped->context, back, true);
}

static void stack_of(struct machine *m, struct vtask *t, struct context *here, struct vtask *caller)
{
	if (t == caller) {
		deadlock_print_stack();
		return;
	}
	m->dump_back = here;
	m->dumped = t;
	context_switch(here, &t->context, false);
}

static const char *state_of(const struct vtask *t)
{
	switch (t->state) {
	case TASK_SLEEPING:
		return "sleeps";
	case TASK_READY:
		return "ready";
	default:
		return t->cpu->relaxing || t->task->waits_for ? "spins" : "runs";
	}
}

static void print_held(const struct machine *m, const struct vtask *t)
{
	const char *rank = NULL;
	const void *lock;
	char name[80];
	u32 i = 0;

	while ((lock = held_by(m, t, &i, &rank))) {
		name_address(m, lock, name, sizeof(name));
		fprintf(stderr, "    holds %s (%s)\n", name, rank);
	}
}

static void print_task(struct machine *m, struct vtask *t, struct context *here, struct vtask *caller)
{
	const void *on = t->task->waits_for ? t->task->waits_for : t->state == TASK_SLEEPING ? t->sleeps_on : NULL;
	char name[80];

	fprintf(stderr, "  task %u on cpu %u %s", t->task->id, t->cpu->id, state_of(t));
	if (t->state == TASK_SLEEPING && t->sleeps_in)
		fprintf(stderr, " in %s", t->sleeps_in);
	if (on) {
		name_address(m, on, name, sizeof(name));
		fprintf(stderr, ", waits for %s", name);
	}
	fprintf(stderr, "\n");
	print_held(m, t);
	fprintf(stderr, "    called from\n");
	stack_of(m, t, here, caller);
}

/* Who has the lock that t waits for; NULL: not known. */
static const struct vtask *holder_of_wanted(const struct machine *m, const struct vtask *t)
{
	for (u32 i = 0; i < m->task_count; i++) {
		const struct vtask *other = &m->vtasks[i];
		const char *rank = NULL;
		const void *lock;
		u32 at = 0;

		if (other == t || other->state == TASK_UNUSED || other->state == TASK_ENDED)
			continue;
		while ((lock = held_by(m, other, &at, &rank)))
			if (lock == t->task->waits_for || lock == t->waited)
				return other;
	}
	return NULL;
}

/* Two who wait: each for the other, where that is known; else the first. How many there are. */
static u32 find_pair(const struct machine *m, const struct vtask *pair[2])
{
	u32 count = 0;

	for (u32 i = 0; i < m->task_count; i++) {
		const struct vtask *t = &m->vtasks[i], *holder = waits(t) ? holder_of_wanted(m, t) : NULL;

		if (holder && waits(holder) && holder_of_wanted(m, holder) == t) {
			pair[0] = t;
			pair[1] = holder;
			return 2;
		}
		if (waits(t) && count < 2)
			pair[count++] = t;
	}
	return count;
}

static void print_column(const char *text, u32 i)
{
	fprintf(stderr, i ? "  %s\n" : "  %-46s", text);
}

/*
 *	cpu 0 (task 0)                     cpu 1 (task 1)
 *	holds B                            holds A
 *	waits for A                        waits for B
 */
static void print_picture(const struct machine *m)
{
	const struct vtask *pair[2];
	char name[80], text[128];

	if (find_pair(m, pair) < 2)
		return;
	fprintf(stderr, "\n");
	for (u32 i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "cpu %u (task %u)", pair[i]->cpu->id, pair[i]->task->id);
		print_column(text, i);
	}
	if (holder_of_wanted(m, pair[0]) == pair[1])
		for (u32 i = 0; i < 2; i++) {
			name_address(m, pair[!i]->task->waits_for, name, sizeof(name));
			snprintf(text, sizeof(text), "holds %s", name);
			print_column(text, i);
		}
	for (u32 i = 0; i < 2; i++) {
		name_address(m, pair[i]->task->waits_for, name, sizeof(name));
		snprintf(text, sizeof(text), "waits for %s", name);
		print_column(text, i);
	}
}

void deadlock_report(struct machine *m, const char *what)
{
	struct context here = { 0 };
	struct vtask *caller = m->current;
	u32 tasks = m->task_count + 1, shown = 0, alive = 0;

	fflush(stdout);
	fprintf(stderr, "mmsim: %s (seed %#llx, schedule %s, sim time %llu ns)\n", what,
		(unsigned long long)m->cfg.seed,
		m->cfg.schedule == SCHEDULE_RANDOM ? "random" : "time",
		(unsigned long long)(mmsim_engine_cpu->clock_ps / PS_PER_NS));
	for (u32 i = 0; i < tasks; i++) {
		struct vtask *t = &m->vtasks[i];

		if (t->state == TASK_UNUSED || t->state == TASK_ENDED)
			continue;
		alive++;
		if (shown == TASKS_SHOWN)
			continue;
		shown++;
		print_task(m, t, caller ? &caller->context : &here, caller);
	}
	if (alive > shown)
		fprintf(stderr, "  ... and %u more tasks\n", alive - shown);
	print_picture(m);
#ifndef MMSIM_DEBUG_LOCKS
	fprintf(stderr, "What each task holds is known to a debug build (-DMMSIM_DEBUG_LOCKS=ON): the same arguments, the same run.\n");
#endif
	exit(1);
}
