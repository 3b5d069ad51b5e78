/*
 * tests/scheme/conformance.h - what the files of the conformance suite share
 *
 * A part is a few tasks on one fresh machine and one address space, for a bounded time. It ends by
 * finding a violation (exit 3, or a broken invariant's abort) or not.
 */
#ifndef MMSIM_TEST_CONFORMANCE_H
#define MMSIM_TEST_CONFORMANCE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mmsim/charge.h>
#include <mmsim/mmsim.h>

#define TASKS 4
#define PAGE 4096ull
#define EXIT_VIOLATION 3
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define REGION 0x10000000ull
#define HUGEPAGES 4 /* of 2 MiB, in the machine's pool */

/* What the tasks of a part share. Everything in it is accessed through the primitives. */
struct world {
	struct machine *m;
	struct mm *mm;
	u64 seed;
	u64 end_ns;
	u32 stop;
	u32 phase;   /* hand-shake of two-task parts */
	u64 arrived; /* tasks that have got to some place */
	u64 ticket;  /* an order of events that all tasks agree on */
	u64 pair[2]; /* equal whenever no writer is inside */
	u64 writes;
	struct file *file;
	void *own; /* of the part: from its begin() to its end() */
};

struct part {
	const char *name;
	void (*begin)(struct world *w);
	void (*run)(struct world *w, u32 task);
	void (*end)(struct world *w); /* after mm_check(), before the address space goes */
	u32 tasks;
	bool catches; /* must find something wrong in an incorrect scheme */
	u32 needs;    /* enum mm_locking_caps: not run without */
};

#define PARTS_DECLARE(family) extern const struct part family##_parts[];
#define PART_FAMILIES(X) X(lock) X(fault) X(life) X(order) X(linear) X(writer) X(maps) X(kill) X(range) X(hugetlb)
PART_FAMILIES(PARTS_DECLARE) /* each ends with a part without a name */

#define VIOLATION(...)                                                                             \
	do {                                                                                       \
		fprintf(stderr, "violation: " __VA_ARGS__);                                        \
		fputc('\n', stderr);                                                               \
		_exit(EXIT_VIOLATION);                                                             \
	} while (0)
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			VIOLATION("%s:%d: %s", __func__, __LINE__, #cond);                         \
	} while (0)

static inline bool time_left(struct world *w)
{
	if (engine_now_ns() < w->end_ns)
		return !READ_ONCE(w->stop);
	WRITE_ONCE(w->stop, 1u);
	return false;
}

/* A minute: a deadlock is reported, and a slow machine under a sanitizer is not one. */
#define WAIT_LIMIT_NS 60000000000ull

static inline void wait_phase(struct world *w, u32 phase)
{
	u64 limit = engine_now_ns() + WAIT_LIMIT_NS;

	while (smp_load_acquire(&w->phase) < phase) {
		if (engine_now_ns() > limit)
			VIOLATION("the other task never got to phase %u", phase);
		engine_yield();
	}
}

static inline void set_phase(struct world *w, u32 phase)
{
	smp_store_release(&w->phase, phase);
}

static inline void arrive(struct world *w)
{
	(void)fetch_add(&w->arrived, 1);
}

static inline void wait_arrived(struct world *w, u64 count)
{
	u64 limit = engine_now_ns() + WAIT_LIMIT_NS;

	while (smp_load_acquire(&w->arrived) < count) {
		if (engine_now_ns() > limit)
			VIOLATION("only %llu of %llu tasks arrived",
				  (unsigned long long)READ_ONCE(w->arrived), (unsigned long long)count);
		engine_yield();
	}
}

/* Long enough for the others to get as far as they can, whatever the schedule. */
static inline void let_others_run(u64 ns)
{
	for (u32 i = 0; i < 200; i++) {
		engine_delay_ns(ns / 200);
		engine_yield();
	}
}

/* Before each lock that a part takes itself: as every call of mm/ does, for the charge checker. */
static inline struct mm *charged_mm(struct world *w)
{
	line_read(w->mm, locking);
	return w->mm;
}

static inline void map_at(struct world *w, u64 va, u64 len, u32 prot)
{
	MUST(mm_mmap(w->mm, va, len, prot, ANON | MAP_FIXED, NULL, 0) == (s64)va);
}

/* xorshift64*; any state but 0. */
static inline u64 draw(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull >> 16;
}

static inline u64 draw_seed(const struct world *w, u32 task)
{
	u64 state = (w->seed + 1) * 0x9e3779b97f4a7c15ull ^ (task + 1) * 0xbf58476d1ce4e5b9ull;

	state = state ? state : 1;
	for (u32 i = 0; i < 4; i++)
		(void)draw(&state);
	return state;
}

#endif
