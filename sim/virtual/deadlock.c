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

static void print_address(const struct machine *m, const void *p)
{
	char name[64];
	u32 instance;

	names_find(m, p, name, sizeof(name), &instance);
	if (!strcmp(name, "host memory"))
		fprintf(stderr, "host memory %p", p);
	else
		fprintf(stderr, "%s (#%u)", name, instance);
}

/* The innermost frames are the engine's own: the story begins below them. */
static bool is_engine(const char *function)
{
	static const char *const names[] = { "deadlock_", "go", "sched_", "context_", "task_sleep",
					     "channel_", "vt_", "transact", "charge_", "__tsan_",
					     NULL };

	for (u32 i = 0; names[i]; i++)
		if (!strncmp(function, names[i], strlen(names[i])))
			return true;
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
		return t->cpu->relaxing ? "spins" : "runs";
	}
}

static void print_task(struct machine *m, struct vtask *t, struct context *here, struct vtask *caller)
{
	fprintf(stderr, "  task %u on cpu %u %s", t->task->id, t->cpu->id, state_of(t));
	if (t->state == TASK_SLEEPING && t->sleeps_in)
		fprintf(stderr, " in %s", t->sleeps_in);
	if (t->task->waits_for || (t->state == TASK_SLEEPING && t->sleeps_on)) {
		fprintf(stderr, ", waits for ");
		print_address(m, t->task->waits_for ? t->task->waits_for : t->sleeps_on);
	}
	fprintf(stderr, "\n");
#ifdef MMSIM_DEBUG_LOCKS
	lock_rank_dump_task(t->task);
#endif
	fprintf(stderr, "    called from\n");
	stack_of(m, t, here, caller);
}

/*
 *	cpu 0 (task 0)                     cpu 1 (task 1)
 *	waits for A                        waits for B
 */
static void print_picture(const struct machine *m)
{
	const struct vtask *waiting[2];
	char name[64];
	u32 count = 0, instance;

	for (u32 i = 0; i < m->task_count && count < 2; i++)
		if (m->vtasks[i].state != TASK_UNUSED && m->vtasks[i].state != TASK_ENDED &&
		    m->vtasks[i].task->waits_for)
			waiting[count++] = &m->vtasks[i];
	if (count < 2)
		return;
	fprintf(stderr, "\n");
	for (u32 i = 0; i < 2; i++) {
		char head[64];

		snprintf(head, sizeof(head), "cpu %u (task %u)", waiting[i]->cpu->id,
			 waiting[i]->task->id);
		fprintf(stderr, "  %-38s%s", head, i ? "\n" : "");
	}
	for (u32 i = 0; i < 2; i++) {
		char text[128];

		names_find(m, waiting[i]->task->waits_for, name, sizeof(name), &instance);
		snprintf(text, sizeof(text), "waits for %s (#%u)", name, instance);
		fprintf(stderr, "  %-38s%s", text, i ? "\n" : "");
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
	exit(1);
}
