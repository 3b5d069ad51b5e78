/*
 * sim/virtual/charge_check.c - fails on a plain access to simulated memory that nobody was charged for
 *
 * Only in the checked build (cmake/charges.cmake): mm/, arch/ and the locks and caches of sim/ are
 * compiled with the instrumentation of -fsanitize=thread, and its calls (__tsan_read8() ...) end
 * here, in place of libtsan.
 * Rule         A plain access to a line of the region is paid for if the task has charged the line
 *              (any priced operation does; for a write: a store or a read-modify-write) since its
 *              present system call, fault or RCU call-back began, and either
 *              - it still holds the innermost of the locks (or RCU readers) under which it was charged,
 *                so that the access is part of the same critical section (charged without a lock: it
 *                has not let go of its outermost one since); or
 *              - no other CPU has written the line meanwhile (for a write: nor read it), so that the
 *                access is a hit.
 * Failure      A report (what, where, which task, seed, call stack) on stderr, and exit(1).
 *              MMSIM_CHARGE_REPORTS=N: not before the Nth place; the run is worth nothing then.
 * Not looked   volatile accesses (READ_UNPRICED(), and those of the primitives, which are priced);
 * at           struct cpu (registers) and a task's own struct task (its kernel stack, the counters); memory marked with region_set_unpriced() (TLBs); interrupt handlers, whose
 *              price is one number; everything inside machine_enter().
 * Leaves out   evictions: what a large working set pushed out between the charge and the access.
 * Tests        tests/unit/sim/virtual/test_charge_check.c, tests/charges
 */
#include "sim/virtual/charge_check.h"
#include "sim/virtual/internal.h"
#include "sim/virtual/names.h"
#include "sim/symbols.h"

#ifdef MMSIM_CHECK_CHARGES
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 1024
#define DEPTH_MAX 16

struct charge {
	u64 line;
	u32 section; /* of the task, when it was charged; another one's: the place is free */
	u32 depth;   /* locks held then; none: counts for the next outermost one */
	u32 drops;   /* of the task, when it was charged */
	u32 version; /* of the line, afterwards */
	bool write;
};

/* Of one task: open addressing, by line. */
struct charge_set {
	u32 section;
	u32 depth; /* locks held, RCU readers */
	u32 drops; /* how many have been let go of */
	u32 dropped_to[DEPTH_MAX]; /* by depth: the last drop that led there */
	u32 count, capacity; /* a power of two */
	struct charge charges[];
};

static const void *places[PLACES_MAX]; /* that were reported */
static u32 place_count;

/* ---- what has been charged ----------------------------------------------------------------------- */

static struct charge *slot_of(struct charge_set *set, u64 line)
{
	u32 at = (u32)(line * 0x9e3779b97f4a7c15ull >> 32) & (set->capacity - 1);

	while (set->charges[at].section == set->section && set->charges[at].line != line)
		at = (at + 1) & (set->capacity - 1);
	return &set->charges[at];
}

static struct charge_set *set_create(u32 capacity)
{
	struct charge_set *set = calloc(1, sizeof(*set) + capacity * sizeof(set->charges[0]));

	if (!set)
		MMSIM_BUG("the host has no memory for %u charges", capacity);
	set->capacity = capacity;
	set->section = 1;
	return set;
}

static struct charge_set *set_with_room(struct vtask *t)
{
	struct charge_set *old = t->charges, *set;

	if (!old)
		return t->charges = set_create(256);
	if (old->count * 2 < old->capacity)
		return old;
	set = set_create(old->capacity * 2);
	set->section = old->section;
	set->depth = old->depth;
	set->drops = old->drops;
	memcpy(set->dropped_to, old->dropped_to, sizeof(set->dropped_to));
	set->count = old->count;
	for (u32 i = 0; i < old->capacity; i++)
		if (old->charges[i].section == old->section)
			*slot_of(set, old->charges[i].line) = old->charges[i];
	free(old);
	return t->charges = set;
}

static bool same_critical_section(const struct charge_set *set, const struct charge *charge)
{
	for (u32 depth = 0; depth < charge->depth; depth++)
		if (set->dropped_to[depth] > charge->drops)
			return false;
	return true;
}

void charge_noted(struct vcpu *c, u64 line, bool write)
{
	struct charge_set *set;
	struct charge *charge;
	bool fresh = false;

	if (!c->curr || c->nosched)
		return;
	set = set_with_room(c->curr);
	charge = slot_of(set, line);
	if (charge->section != set->section) {
		*charge = (struct charge){ .line = line, .section = set->section };
		set->count++;
		fresh = true;
	}
	/* Within an outer section's charge nothing new begins. */
	if (fresh || !same_critical_section(set, charge)) {
		charge->depth = min(max(set->depth, 1u), DEPTH_MAX - 1u);
		charge->drops = set->drops;
	}
	charge->version = c->lines[line].version;
	charge->write |= write;
}

void charge_section_begins(struct vcpu *c)
{
	struct charge_set *set = c->curr ? c->curr->charges : NULL;

	if (!set)
		return;
	set->section++;
	set->count = 0;
}

static struct charge_set *current_set(void)
{
	struct vcpu *c = vt_cpu();

	return c->m && c->curr && !c->nosched ? set_with_room(c->curr) : NULL;
}

void vt_charge_lock_taken(void)
{
	struct charge_set *set = current_set();

	if (set)
		set->depth++;
}

void vt_charge_lock_dropped(void)
{
	struct charge_set *set = current_set();

	if (!set || !set->depth)
		return;
	set->depth--;
	set->dropped_to[min(set->depth, DEPTH_MAX - 1u)] = ++set->drops;
}

void vt_unpriced(bool begins)
{
	vt_cpu()->unpriced += begins ? 1 : -1;
}

void charge_forget_task(struct vtask *t)
{
	free(t->charges);
	t->charges = NULL;
}

void region_set_unpriced(struct machine *m, const void *p, u64 bytes)
{
	u64 first = (u64)((const char *)p - m->region) >> LINE_SHIFT;

	for (u64 line = first; line < first + (bytes >> LINE_SHIFT); line++)
		m->lines[line].unpriced = true;
}

void charge_forget_machine(struct machine *m)
{
	for (u32 i = 0; m->vtasks && i < m->task_count + 1 + m->cpu_count; i++)
		charge_forget_task(&m->vtasks[i]);
	if (place_count)
		exit(1);
}

/* ---- the report ------------------------------------------------------------------------------------ */

static u32 reports_wanted(void)
{
	const char *text = getenv("MMSIM_CHARGE_REPORTS");
	int n = text ? atoi(text) : 1;

	return n > 0 ? min((u32)n, (u32)PLACES_MAX) : 1;
}

static bool place_is_new(const void *place)
{
	for (u32 i = 0; i < place_count; i++)
		if (places[i] == place)
			return false;
	places[place_count++] = place;
	return true;
}

static void charge_report(struct vcpu *c, u64 offset, bool write, const char *why, const void *place)
{
	const struct machine *m = c->m;
	const char *function;
	char name[64];
	u32 instance;
	u64 at = 0;

	/* It goes on as if it had been charged: one report per place. */
	charge_noted(c, offset >> LINE_SHIFT, write);
	if (!place_is_new(place))
		return;
	names_find(m, m->region + offset, name, sizeof(name), &instance);
	function = symbol_of((const char *)place - 1, &at);
	fflush(stdout);
	fprintf(stderr,
		"mmsim: %s of %s (#%u) in %s+%#llx: %s\n"
		"mmsim: task %u on cpu %u, seed %#llx, schedule %s, sim time %llu ns\n"
		"    called from\n",
		write ? "write" : "read", name, instance, function ? function : "?",
		(unsigned long long)at, why, c->curr->task->id, c->id, (unsigned long long)m->cfg.seed,
		m->cfg.schedule == SCHEDULE_RANDOM ? "random" : "time",
		(unsigned long long)(c->e.clock_ps / PS_PER_NS));
	deadlock_print_stack();
	if (place_count >= reports_wanted())
		exit(1);
}

/* ---- the check --------------------------------------------------------------------------------------- */

/* In life not memory at all, or a stack. */
static bool is_own(const struct vcpu *c, u64 offset)
{
	const char *p = c->m->region + offset;

	return (u64)(p - (const char *)c->m->cpus) < c->m->cpu_count * sizeof(*c->cpu) ||
	       (u64)(p - (const char *)c->curr->task) < sizeof(*c->curr->task);
}

static bool still_held_by(const struct vcpu *c, const struct charge *charge, bool write)
{
	const struct vline *vl = &c->lines[charge->line];

	if (vl->version != charge->version)
		return false;
	return !write || vl->state == c->id + 1u;
}

static void charge_check_line(struct vcpu *c, u64 offset, bool write, const void *place)
{
	struct charge_set *set = set_with_room(c->curr);
	u64 line = offset >> LINE_SHIFT;
	const struct charge *charge = slot_of(set, line);

	if (c->lines[line].unpriced)
		return;
	if (charge->section != set->section)
		charge_report(c, offset, write, "the line was not charged", place);
	else if (write && !charge->write)
		charge_report(c, offset, write, "the line was charged for reading only", place);
	else if (!same_critical_section(set, charge) && !still_held_by(c, charge, write))
		charge_report(c, offset, write,
		       "the line was charged in another critical section, and has gone to another CPU since", place);
}

static ALWAYS_INLINE void charge_check(const volatile void *p, u64 bytes, bool write, const void *place)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region, end = offset + bytes;

	if (likely(offset >= c->region_bytes) || !c->curr || c->nosched || c->unpriced || is_own(c, offset))
		return;
	for (; offset < end; offset = (offset | (MMSIM_CACHE_LINE_BYTES - 1)) + 1)
		charge_check_line(c, offset, write, place);
}

/* ---- what the compiler calls -------------------------------------------------------------------------- */

#define HERE __builtin_return_address(0)
#define HOOK(name, bytes, write)                                                                       \
	void name(void *p);                                                                            \
	void name(void *p)                                                                             \
	{                                                                                              \
		charge_check(p, bytes, write, HERE);                                                          \
	}
#define HOOKS(bytes)                                                                                   \
	HOOK(__tsan_read##bytes, bytes, false)                                                         \
	HOOK(__tsan_write##bytes, bytes, true)                                                         \
	HOOK(__tsan_unaligned_read##bytes, bytes, false)                                               \
	HOOK(__tsan_unaligned_write##bytes, bytes, true)                                               \
	HOOK(__tsan_read_write##bytes, bytes, true)                                                    \
	HOOK(__tsan_unaligned_read_write##bytes, bytes, true)
#define HOOK_VOLATILE(name)                                                                            \
	void name(void *p);                                                                            \
	void name(void *p)                                                                             \
	{                                                                                              \
		(void)p;                                                                               \
	}
#define HOOKS_VOLATILE(bytes)                                                                          \
	HOOK_VOLATILE(__tsan_volatile_read##bytes)                                                     \
	HOOK_VOLATILE(__tsan_volatile_write##bytes)                                                    \
	HOOK_VOLATILE(__tsan_unaligned_volatile_read##bytes)                                           \
	HOOK_VOLATILE(__tsan_unaligned_volatile_write##bytes)

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
HOOKS_VOLATILE(1)
HOOKS_VOLATILE(2)
HOOKS_VOLATILE(4)
HOOKS_VOLATILE(8)
HOOKS_VOLATILE(16)

#define HOOK_RANGE(name, write)                                                                        \
	void name(void *p, unsigned long bytes);                                                       \
	void name(void *p, unsigned long bytes)                                                        \
	{                                                                                              \
		charge_check(p, bytes, write, HERE);                                                          \
	}
HOOK_RANGE(__tsan_read_range, false)
HOOK_RANGE(__tsan_write_range, true)

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *place);
void __tsan_func_entry(void *place)
{
	(void)place;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

/* The instrumented sources see memset() by this name: cmake/charges.cmake. */
void *__tsan_memset(void *p, int byte, size_t bytes);
void *__tsan_memset(void *p, int byte, size_t bytes)
{
	charge_check(p, bytes, true, HERE);
	return memset(p, byte, bytes);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
	charge_check(from, bytes, false, HERE);
	charge_check(to, bytes, true, HERE);
	return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
	charge_check(from, bytes, false, HERE);
	charge_check(to, bytes, true, HERE);
	return memmove(to, from, bytes);
}
#endif
