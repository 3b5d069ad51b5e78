/*
 * sim/cli/walk_run_show.c - mmsim walk --machine: each step as text, in the order in which it happened
 */
#include <string.h>

#include <mmsim/fault.h>

#include "sim/cli/walk.h"

#define PS_PER_NS 1000.0

/* Counters that a step is told by; locks and allocators have other tools. */
static bool counter_is_shown(const char *name)
{
	static const char *const starts[] = {"TLB_", "WALK_", "FAULT_", "HASH_", "SLB_", "PT_", "THP_", "IPI_"};

	for (u32 i = 0; i < ARRAY_SIZE(starts); i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* ---- the machine ---------------------------------------------------------------------------------- */

static void show_machine(FILE *out, const struct walk_run *r)
{
	const struct machine_model *m = &r->model;
	const struct arch_desc *a = r->arch;
	const u64 l1[] = {m->tlb_l1_entries, m->tlb_l1_large_entries, m->tlb_l1_giant_entries};
	const u64 ways[] = {m->tlb_l1_ways, m->tlb_l1_large_ways, m->tlb_l1_giant_ways};
	const u64 walks[] = {m->tlb_walk_entries_1, m->tlb_walk_entries_2, m->tlb_walk_entries_3};
	const char *sep = "";
	char size[32];

	fprintf(out, "%s on one CPU of %s\n%-11s ", a->name, m->name, "L1 TLB");
	for (u32 level = 0; level < ARRAY_SIZE(l1) && level < a->levels; level++) {
		if (!l1[level] || (level && !(a->huge_levels >> level & 1)))
			continue;
		walk_size(level_bytes(a, level), size);
		fprintf(out, "%s%s: %llu entries, %llu ways", sep, size, (unsigned long long)l1[level],
			(unsigned long long)min(ways[level], l1[level]));
		sep = "; ";
	}
	fputc('\n', out);
	if (m->tlb_l2_entries)
		fprintf(out, "%-11s %llu entries, %llu ways; a hit costs %.1f ns\n", "L2 TLB",
			(unsigned long long)m->tlb_l2_entries,
			(unsigned long long)min(m->tlb_l2_ways, m->tlb_l2_entries),
			(double)m->tlb_l2_hit / PS_PER_NS);
	fprintf(out, "%-11s ", "walk caches");
	sep = "";
	for (u32 level = 0; !a->hashed && level + 1 < a->levels && level < ARRAY_SIZE(walks); level++) {
		if (!walks[level])
			continue;
		fprintf(out, "%s%s: %llu", sep, a->level_names[level + 1], (unsigned long long)walks[level]);
		sep = ", ";
	}
	fprintf(out, "%s\n", *sep ? "" : a->hashed ? "none: the MMU has no tree to walk" : "none");
}

/* ---- one event ------------------------------------------------------------------------------------ */

static void array_name(const struct arch_desc *a, const struct tlb_event *e, char text[64])
{
	char size[32];

	if (e->array == TLB_L2) {
		snprintf(text, 64, "L2 set %u", e->set);
		return;
	}
	walk_size(level_bytes(a, e->array), size);
	snprintf(text, 64, "L1 (%s) set %u", size, e->set);
}

/* An entry of a TLB, with its tag. */
static void show_entry(FILE *out, const struct walk_run *r, const char *label, const struct tlb_event *e)
{
	char where[64], rights[4];

	array_name(r->arch, e, where);
	walk_rights(r->arch, e->w.attrs, rights);
	fprintf(out, "%-11s %s way %u: %s %u, %#llx is %#llx, %s%s\n", label, where, e->way,
		walk_context_name(r), e->context, (unsigned long long)e->va, (unsigned long long)e->pa,
		rights, e->w.attrs & PTE_DIRTY ? ", dirty" : "");
}

static void show_walk_cache(FILE *out, const struct walk_run *r, const char *label, const struct tlb_event *e)
{
	const struct arch_desc *a = r->arch;

	fprintf(out, "%-11s walk cache (%s) entry %u: %#llx to %#llx by the table at %#llx\n", label,
		a->level_names[e->level + 1], e->way, (unsigned long long)e->va,
		(unsigned long long)(e->va + level_bytes(a, e->level + 1u) - 1), (unsigned long long)e->pa);
}

static struct walk_step step_of(const struct arch_desc *a, const struct walk_event *w)
{
	struct walk_step step = {.pa = w->e.pa, .entry = w->e.entry, .level = w->e.level};

	step.leaf = walk_step_present(a, &step) &&
		    (step.level == 0 || entry_is_leaf(a, step.entry, step.level));
	return step;
}

static void show_read(FILE *out, const struct walk_run *r, const struct walk_event *w, bool first)
{
	const struct walk_step step = step_of(r->arch, w);

	if (first) {
		if (r->arch->hashed)
			fprintf(out, "%-11s the kernel's, whose entries the hash table caches\n", "tree");
		walk_show_steps_title(out);
	}
	walk_show_step(out, r->arch, &step, w->e.va);
}

static void show_walked(FILE *out, const struct walk_run *r, const struct walk_event *w)
{
	const struct arch_desc *a = r->arch;
	char bits[256];

	/* What its reads have become: those behind the walk's start. */
	for (const struct walk_event *p = w; p > r->events && p[-1].e.kind == TLB_EVENT_READ; p--) {
		const struct walk_step step = step_of(a, &p[-1]);

		walk_show_written(out, a, &step, p[-1].after);
	}
	if (w->e.refused || !a->hashed)
		return;
	walk_hash_bits(a, w->e.w.entry, bits, sizeof(bits));
	fprintf(out, "hash table  %016llx, second doubleword:%s\n",
		(unsigned long long)walk_entry_value(a, w->e.w.entry), bits);
}

static void show_event(FILE *out, const struct walk_run *r, const struct walk_event *w)
{
	const struct tlb_event *e = &w->e;
	char where[64];

	switch (e->kind) {
	case TLB_EVENT_MISS:
		array_name(r->arch, e, where);
		fprintf(out, "%-11s %s has no entry of %s %u for it\n", "miss", where, walk_context_name(r),
			e->context);
		break;
	case TLB_EVENT_HIT:
		show_entry(out, r, "hit", e);
		break;
	case TLB_EVENT_FORBIDS:
		show_entry(out, r, "refuses", e);
		break;
	case TLB_EVENT_CLEAN:
		show_entry(out, r, "not dirty", e);
		break;
	case TLB_EVENT_WALK_CACHED:
		show_walk_cache(out, r, "walk from", e);
		break;
	case TLB_EVENT_WALK_ROOT:
		fprintf(out, "%-11s the root, %#llx: no walk cache knows more\n", "walk from",
			(unsigned long long)e->pa);
		break;
	case TLB_EVENT_READ:
		show_read(out, r, w, w == r->events || w[-1].e.kind != TLB_EVENT_READ);
		break;
	case TLB_EVENT_WALKED:
		show_walked(out, r, w);
		break;
	case TLB_EVENT_FILL:
		show_entry(out, r, "filled", e);
		break;
	case TLB_EVENT_WALK_FILL:
		show_walk_cache(out, r, "filled", e);
		break;
	case TLB_EVENT_DROP:
		show_entry(out, r, "dropped", e);
		break;
	case TLB_EVENT_EMPTY:
		fprintf(out, "%-11s every entry of %s %u, in TLBs and walk caches\n", "dropped",
			walk_context_name(r), e->context);
		break;
	case TLB_EVENT_WALK_EMPTY:
		fprintf(out, "%-11s every walk-cache entry of %s %u\n", "dropped", walk_context_name(r),
			e->context);
		break;
	case TLB_EVENT_FAULT:
		walk_show_fault(out, r->arch, "refused", &e->w, &e->syndrome, &e->fault, true);
		break;
	case TLB_EVENT_KINDS:
		break;
	}
}

/* ---- one step --------------------------------------------------------------------------------------- */

static void show_title(FILE *out, const struct walk_run *r, const struct walk_step_done *d)
{
	static const char *const calls[] = {
		[WALK_MMAP] = "mmap", [WALK_MUNMAP] = "munmap", [WALK_MPROTECT] = "mprotect"};
	char rights[4];

	if (d->what == WALK_ACCESS) {
		fprintf(out, "%s of %#llx", walk_kind_names[d->access.kind], (unsigned long long)d->access.va);
	} else if (d->what == WALK_SWITCH) {
		fprintf(out, "switch to address space %u, %s %u\n", d->space, walk_context_name(r), d->context);
		return;
	} else {
		walk_rights(r->arch, d->map.attrs, rights);
		fprintf(out, "%s of %#llx to %#llx%s%s", calls[d->what], (unsigned long long)d->map.va,
			(unsigned long long)(d->map.va + d->map.len - 1), d->what == WALK_MUNMAP ? "" : ", ",
			d->what == WALK_MUNMAP ? "" : rights);
	}
	fprintf(out, " in address space %u, %s %u\n", d->space, walk_context_name(r), d->context);
}

static const struct mmu_fault *last_fault(const struct walk_run *r, const struct walk_step_done *d)
{
	for (u32 i = d->first_event + d->event_count; i > d->first_event; i--)
		if (r->events[i - 1].e.kind == TLB_EVENT_FAULT)
			return &r->events[i - 1].e.fault;
	return NULL;
}

const char *walk_run_signal(const struct walk_run *r, const struct walk_step_done *d)
{
	static const char *const signals[] = {
		[FAULT_SIGSEGV_MAPERR] = "SIGSEGV, SEGV_MAPERR: no mapping there",
		[FAULT_SIGSEGV_ACCERR] = "SIGSEGV, SEGV_ACCERR: the mapping forbids it",
		[FAULT_SIGBUS] = "SIGBUS",
		[FAULT_OOM] = "out of memory",
		[FAULT_KILLED] = "killed",
	};
	const struct mmu_fault *f = last_fault(r, d);

	if (d->what != WALK_ACCESS || d->result == FAULT_OK)
		return NULL;
	return f && r->arch->signals[f->cause] ? r->arch->signals[f->cause] : signals[d->result];
}

static void show_outcome(FILE *out, const struct walk_run *r, const struct walk_step_done *d)
{
	const char *signal = walk_run_signal(r, d);

	if (d->what == WALK_ACCESS && !signal)
		fprintf(out, "result      physical %#llx\n", (unsigned long long)walk_run_pa(r, d));
	else if (signal && !r->arch->signals[last_fault(r, d)->cause])
		fprintf(out, "kernel      gives up: %s\n", signal);
	else if (!signal && d->result)
		fprintf(out, "result      %s\n", strerror((int)-d->result));
}

/* What each fault took, from its exception to the access's next try. */
static u64 fault_ps(const struct walk_run *r, const struct walk_step_done *d)
{
	u64 ps = 0, since = 0;

	for (u32 i = 0; i < d->event_count; i++) {
		const struct tlb_event *e = &r->events[d->first_event + i].e;

		if (since && (e->kind == TLB_EVENT_MISS || e->kind == TLB_EVENT_HIT || e->kind == TLB_EVENT_CLEAN)) {
			ps += e->now_ps - since;
			since = 0;
		}
		if (e->kind == TLB_EVENT_FAULT)
			since = e->now_ps;
	}
	return ps + (since ? d->end_ps - since : 0);
}

static void show_cost(FILE *out, const struct walk_run *r, const struct walk_step_done *d)
{
	u64 faults = fault_ps(r, d);
	const char *sep = "counted     ";

	for (u32 i = 0; i < COUNTER_COUNT; i++) {
		if (!d->counters[i] || !counter_is_shown(counter_info[i].name))
			continue;
		fprintf(out, "%s%s %llu", sep, counter_info[i].name, (unsigned long long)d->counters[i]);
		sep = ", ";
	}
	if (*sep == ',')
		fputc('\n', out);
	fprintf(out, "cost        %.1f ns", (double)(d->end_ps - d->start_ps) / PS_PER_NS);
	if (faults)
		fprintf(out, ", of which the fault %.1f", (double)faults / PS_PER_NS);
	fputc('\n', out);
}

void walk_run_show(FILE *out, const struct walk_run *r)
{
	show_machine(out, r);
	for (u32 i = 0; i < r->step_count; i++) {
		const struct walk_step_done *d = &r->steps[i];

		fprintf(out, "\n%u. ", i + 1);
		show_title(out, r, d);
		for (u32 n = 0; n < d->event_count; n++)
			show_event(out, r, &r->events[d->first_event + n]);
		show_outcome(out, r, d);
		show_cost(out, r, d);
	}
}
