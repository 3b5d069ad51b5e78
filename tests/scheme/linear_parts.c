/*
 * tests/scheme/linear_parts.c - conformance: linearizability of faults and accesses against map changes
 *
 * linear  In rounds: two tasks make a few map changes on two pages, two others fault on them and access
 *         them; each operation notes a ticket before and after. Then a search over all orders
 *         (Wing and Gong, with a memory of what was tried) must find one that respects the tickets
 *         and explains every result. None: violation, with the history.
 * Model   A page is unmapped, read-only or writable. A change is two events, in this order: the VMAs
 *         change; the old translations are gone. A call that takes rights away returns after the
 *         second. A fault is one event and sees the VMAs alone. An access succeeds if the VMA, or a
 *         translation of a change between its two events, allows it: this is what processors
 *         do, and all that they may do. Every other order is real time's.
 * Catches what an unlocked reader does: it installs an entry from a VMA that is no more, and an access
 *         that begins after munmap() or mprotect() has returned goes through it.
 */
#include "tests/scheme/conformance.h"

#define PAGES 2
#define CHANGERS 2
#define TASK_OPS 4

enum kind { OP_MAP, OP_UNMAP, OP_PROTECT_R, OP_PROTECT_RW, OP_FAULT_R, OP_FAULT_W, OP_READ, OP_WRITE };
enum rights { NONE, READABLE, WRITABLE };

static const char *const kind_name[] = { "map",	    "unmap",   "protect r", "protect rw",
					 "fault r", "fault w", "read",	    "write" };

struct op {
	u64 before, after; /* tickets */
	u32 kind, first, pages;
	s64 result; /* of a call, or enum fault_result */
};

struct history {
	struct op op[TASKS][TASK_OPS];
	u64 done;
	bool last;
};

/* ---- the search ------------------------------------------------------------------------------- */

/* The model's state, and how far each task is: changers make two events of an operation. */
struct state {
	u8 rights[PAGES];
	u8 old[CHANGERS][PAGES]; /* what a change in progress may leave in TLBs */
	u8 at[TASKS];
};

#define AT_MAX (2 * TASK_OPS + 1)
#define STATES (9 * 81 * AT_MAX * AT_MAX * (TASK_OPS + 1) * (TASK_OPS + 1))

static u64 tried[STATES / 64 + 1]; /* of one round; one task searches at a time */

static u64 state_number(const struct state *s)
{
	u64 n = 0;

	for (u32 i = 0; i < PAGES; i++)
		n = n * 3 + s->rights[i];
	for (u32 t = 0; t < CHANGERS; t++)
		for (u32 i = 0; i < PAGES; i++)
			n = n * 3 + s->old[t][i];
	for (u32 t = 0; t < TASKS; t++)
		n = n * (t < CHANGERS ? AT_MAX : TASK_OPS + 1) + s->at[t];
	return n;
}

static const struct op *next_op(const struct history *h, const struct state *s, u32 task)
{
	u32 i = task < CHANGERS ? s->at[task] / 2 : s->at[task];

	return i < TASK_OPS ? &h->op[task][i] : NULL;
}

/* Had another operation returned before this one began? Then that one's events come first. */
static bool may_come_next(const struct history *h, const struct state *s, const struct op *op)
{
	for (u32 t = 0; t < TASKS; t++) {
		const struct op *other = next_op(h, s, t);

		if (other && other != op && other->after < op->before)
			return false;
	}
	return true;
}

/* The first event of a change. False: it could not have returned what it did. */
static bool apply_change(struct state *s, u32 task, const struct op *op)
{
	s64 expected = 0;

	for (u32 i = op->first; i < op->first + op->pages; i++) {
		u8 old = s->rights[i], next = READABLE;

		if (op->kind == OP_MAP || op->kind == OP_PROTECT_RW)
			next = WRITABLE;
		else if (op->kind == OP_UNMAP)
			next = NONE;
		else if (op->kind == OP_PROTECT_R && old == NONE)
			expected = -ENOMEM;
		if (op->kind == OP_PROTECT_RW && old == NONE)
			expected = -ENOMEM;
		if (expected)
			break; /* what came before stays changed */
		s->rights[i] = next;
		s->old[task][i] = old;
	}
	return op->result == expected;
}

static bool explains(const struct state *s, const struct op *op)
{
	u32 page = op->first, rights = s->rights[page], allowed = rights;
	u32 want = op->kind == OP_FAULT_W || op->kind == OP_WRITE ? WRITABLE : READABLE;

	if (op->kind == OP_READ || op->kind == OP_WRITE)
		for (u32 t = 0; t < CHANGERS; t++)
			allowed = max(allowed, (u32)s->old[t][page]);
	switch (op->result) {
	case FAULT_OK:
		return allowed >= want;
	case FAULT_SIGSEGV_MAPERR:
		return rights == NONE;
	case FAULT_SIGSEGV_ACCERR:
		return rights == READABLE && want == WRITABLE;
	default:
		return false;
	}
}

static bool advance(struct state *s, u32 task, const struct op *op)
{
	if (task >= CHANGERS) {
		s->at[task]++;
		return explains(s, op);
	}
	if (s->at[task]++ % 2 == 0)
		return apply_change(s, task, op);
	memset(s->old[task], 0, sizeof(s->old[task]));
	return true;
}

static bool search(const struct history *h, const struct state *s)
{
	u64 number = state_number(s);
	bool finished = true;

	if (tried[number / 64] & 1ull << number % 64)
		return false;
	tried[number / 64] |= 1ull << number % 64;
	for (u32 t = 0; t < TASKS; t++) {
		const struct op *op = next_op(h, s, t);
		struct state next = *s;

		if (!op)
			continue;
		finished = false;
		if (may_come_next(h, s, op) && advance(&next, t, op) && search(h, &next))
			return true;
	}
	return finished;
}

static void check_history(const struct history *h)
{
	struct state s = { .rights = { NONE } };

	memset(tried, 0, sizeof(tried));
	if (search(h, &s))
		return;
	for (u32 t = 0; t < TASKS; t++)
		for (u32 i = 0; i < TASK_OPS; i++) {
			const struct op *op = &h->op[t][i];

			fprintf(stderr, "  task %u [%3llu, %3llu] %-10s page %u, %u: %lld\n", t,
				(unsigned long long)op->before, (unsigned long long)op->after,
				kind_name[op->kind], op->first, op->pages, (long long)op->result);
		}
	VIOLATION("no order of these operations explains their results");
}

/* ---- the histories ------------------------------------------------------------------------------ */

static s64 carry_out(struct world *w, const struct op *op)
{
	u64 va = REGION + op->first * PAGE, len = op->pages * PAGE, value;

	switch ((enum kind)op->kind) {
	case OP_MAP: {
		s64 at = mm_mmap(w->mm, va, len, RW, ANON | MAP_FIXED, NULL, 0);

		return at == (s64)va ? 0 : at;
	}
	case OP_UNMAP:
		return mm_munmap(w->mm, va, len);
	case OP_PROTECT_R:
		return mm_mprotect(w->mm, va, len, PROT_READ);
	case OP_PROTECT_RW:
		return mm_mprotect(w->mm, va, len, RW);
	case OP_FAULT_R:
		return (s64)fault_handle(w->mm, va, ACCESS_READ, true);
	case OP_FAULT_W:
		return (s64)fault_handle(w->mm, va, ACCESS_WRITE, true);
	case OP_READ:
		return (s64)user_read(va, &value);
	default:
		return (s64)user_write(va, 1);
	}
}

static void make_history(struct world *w, struct op *ops, u32 task, u64 *random)
{
	for (u32 i = 0; i < TASK_OPS; i++) {
		struct op *op = &ops[i];

		if (task < CHANGERS) {
			/* Something must be there to be taken away. */
			op->kind = task == 0 && i == 0 ? OP_MAP : (u32)(draw(random) % 4);
			op->first = (u32)(draw(random) % PAGES);
			op->pages = 1 + (u32)(draw(random) % (PAGES - op->first));
			if (i == 0)
				op->first = 0, op->pages = PAGES;
		} else {
			u32 r = (u32)(draw(random) % 8);

			op->kind = r < 1 ? OP_FAULT_R : r < 2 ? OP_FAULT_W : r < 4 ? OP_READ : OP_WRITE;
			op->first = (u32)(draw(random) % PAGES);
			op->pages = 1;
		}
		op->before = fetch_add(&w->ticket, 1);
		op->result = carry_out(w, op);
		op->after = fetch_add(&w->ticket, 1);
	}
}

static void wait_done(struct history *h, u64 count)
{
	while (smp_load_acquire(&h->done) < count)
		engine_yield();
}

static void linear(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task);
	struct history *h = w->own;
	bool last = false;

	mmu_switch(w->mm);
	for (u32 round = 1; !last; round++) {
		if (task == 0) {
			wait_done(h, (TASKS - 1ull) * (round - 1));
			MUST(mm_munmap(w->mm, REGION, PAGES * PAGE) == 0);
			h->last = !time_left(w);
			WRITE_ONCE(w->ticket, 0);
			set_phase(w, round);
		} else {
			wait_phase(w, round);
		}
		last = h->last;
		make_history(w, h->op[task], task, &random);
		if (task) {
			(void)fetch_add(&h->done, 1);
			continue;
		}
		wait_done(h, (TASKS - 1ull) * round);
		check_history(h);
	}
	mmu_switch(NULL);
}

static void linear_begin(struct world *w)
{
	w->own = calloc(1, sizeof(struct history));
	MUST(w->own);
}

static void linear_end(struct world *w)
{
	free(w->own);
}

const struct part linear_parts[] = {
	{ "linear", linear_begin, linear, linear_end, TASKS, true, 0 },
	{ .name = NULL },
};
