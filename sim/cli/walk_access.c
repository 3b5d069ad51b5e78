/*
 * sim/cli/walk_access.c - mmsim walk: one access, and all that there is to say about it
 *
 * The walk is the architecture's own (ops->walk_traced), so that what is shown is what every TLB miss
 * does. It trusts its tables. Those of a file are anything: an entry that leads out of the memory
 * that is there ends the walk from within its trace, before it is followed.
 */
#include <string.h>

#include <mmsim/cpu.h>

#include "sim/cli/walk.h"

struct tracer {
	struct walk_trace trace; /* first: the walk knows this part */
	struct walk_space *space;
	struct walk_met *met;
	jmp_buf outside;
};

static pte_t entry_at(const struct walk_space *s, u64 pa)
{
	return READ_ONCE(*(const pte_t *)(s->mem.direct_map + pa));
}

static void on_step(struct walk_trace *trace, const struct walk_step *step)
{
	struct tracer *t = (struct tracer *)trace;
	const struct arch_desc *a = t->space->arch;
	u64 next = table_pa(a, step->entry);

	if (t->met->step_count < ARRAY_SIZE(t->met->steps))
		t->met->steps[t->met->step_count++] = *step;
	if (step->leaf || step->level == 0 || !pte_present(a, step->entry))
		return;
	if (next < t->space->tables_lo || next >= t->space->tables_hi)
		longjmp(t->outside, 1);
}

static void count(const struct walk_space *s, struct walk_met *met, bool before)
{
	for (u32 i = 0; i < COUNTER_COUNT; i++) {
		u64 n = machine_counter(s->machine, (enum counter)i);

		met->counters[i] = before ? n : n - met->counters[i];
	}
}

static void finish(struct walk_space *s, const struct walk_access *x, struct walk_met *met)
{
	const struct arch_desc *a = s->arch;

	for (u32 i = 0; i < met->step_count; i++)
		met->after[i] = entry_at(s, met->steps[i].pa);
	if (met->ok) {
		u64 in_page = arch_page_bytes(a) - 1;

		met->pa = met->w.pfn << a->page_shift | (x->va & in_page);
		met->page_bytes = level_bytes(a, met->w.level);
		return;
	}
	met->syndrome = a->ops->raise(a, &s->regs, x->va, x->kind, x->user, &met->w);
	a->ops->decode(a, met->syndrome, &met->fault);
}

bool walk_access(struct walk_space *s, const struct walk_access *x, struct walk_met *met,
		 struct cli_error *err)
{
	const struct arch_desc *a = s->arch;
	struct tracer t = {.trace.step = on_step, .space = s, .met = met};
	struct cpu *cpu = this_cpu();

	memset(met, 0, sizeof(*met));
	count(s, met, true);
	cpu_insn_begin(cpu);
	if (setjmp(t.outside)) {
		const struct walk_step *last = &met->steps[met->step_count - 1];

		cpu_insn_end(cpu);
		return cli_fail(err, "--table: the entry at %#llx leads to a table at %#llx, outside of the file",
				(unsigned long long)last->pa,
				(unsigned long long)table_pa(a, last->entry));
	}
	met->ok = a->ops->walk_traced(a, &s->mem, &s->regs, x->va, x->kind, x->user, &t.trace,
				      &met->w);
	cpu_insn_end(cpu);
	count(s, met, false);
	finish(s, x, met);
	return true;
}
