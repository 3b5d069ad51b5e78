/*
 * mm/tlb_flush.c - TLB invalidation: here, and on the other CPUs that need it
 *
 * Models       by how the machine invalidates (enum tlb_invalidation):
 *   TLBI_BY_IPI      Linux's flush_tlb_mm_range(): count in mm->tlb_gen, flush here, interrupt the CPUs in
 *                    mm->cpus but those that are lazy. A CPU that has missed nothing else drops the
 *                    pages; any other empties the PCID. More than tlb_full_flush_leaves: everything.
 *                    INVLPG empties the paging-structure caches of the PCID too (SDM vol. 3A 4.10.4.1).
 *   TLBI_BROADCAST   one operation per leaf, carried by the fabric; with tlb.range_operations as few as
 *                    cover the range (FEAT_TLBIRANGE: (NUM + 1) << (5 * SCALE + 1) pages each), and then
 *                    no full flush below 2^21 pages. Last-level operations leave walk caches alone unless tables are freed.
 *   TLBI_SERIALISED  the same, one at a time; local (tlbiel) if this CPU alone has used the mm.
 * Size         Who flushes says of which level the smallest leaves are that it has changed (Linux: the stride,
 *              from mmu_gather's cleared_ptes, cleared_pmds...; arm64's level hint): one invalidation for
 *              each, which drops what is of that size or larger. The thresholds count these.
 * Why a frame is never used after it was freed: mm/tlb.c.
 * Tests        tests/unit/mm/test_tlb.c, tests/unit/mm/test_tlb_model.c
 */
#include "mm/invariants.h"
#include "mm/tlb_internal.h"

#define RANGE_OPERATION_PAGES (1ull << 21) /* Linux: MAX_TLBI_RANGE_PAGES */

/* ---- on one CPU: in a window of its own, or while it is held off -------------------------------- */

static void direct_apply(struct tlb *tlb, const struct tlb_flush *f)
{
	if (f->full) {
		tlb_drop_all(tlb);
		return;
	}
	/* Leaves of every size are kept as their pages. */
	if (f->end - f->start > (u64)TLB_ENTRIES << tlb->page_shift) {
		tlb_drop_all(tlb);
		return;
	}
	for (u64 vpn = f->start >> tlb->page_shift; vpn < f->end >> tlb->page_shift; vpn++) {
		struct tlb_entry *ent = &tlb->entries[vpn % TLB_ENTRIES];

		if (ent->tag == (tlb->gen | vpn))
			ent->tag = 0;
	}
}

static void slot_apply(struct tlb *tlb, struct tlb_slot *slot, const struct tlb_flush *f, bool walks)
{
	if (unlikely(tlb->mmu->broken & TLB_BREAK_WALK_CACHE))
		walks = false;
	if (f->full)
		tlb_slot_empty(tlb->core, slot);
	else
		tlb_slot_drop(tlb->core, slot, f->mm->arch, f, walks);
}

/* How many instructions a flush is that each name one leaf. */
static u64 flush_leaves(const struct tlb_flush *f)
{
	return f->full ? 1 : (f->end - f->start) >> level_shift(f->mm->arch, f->level);
}

static void charge_local(const struct tlb_flush *f)
{
	engine_charge_n(f->full ? COST_TLB_FLUSH_ALL : COST_TLB_FLUSH_PAGE, flush_leaves(f));
}

/* By IPI. Flushes of one mm may arrive in any order: what was not seen in turn empties it all. */
static void pcid_apply(struct cpu *cpu, struct tlb *tlb, const struct tlb_flush *f)
{
	struct tlb_slot *slot = tlb->slot;
	struct tlb_flush all = *f;
	u64 gen;

	if (cpu->active_mm != f->mm)
		return;
	if (tlb_context_is_lazy(cpu)) {
		tlb_context_leave(cpu);
		return;
	}
	gen = READ_ONCE(f->mm->tlb_gen);
	if (slot->gen >= gen)
		return;
	if (slot->gen + 1 != f->gen || f->gen != gen)
		all.full = true;
	charge_local(&all);
	slot_apply(tlb, slot, &all, true);
	slot->gen = all.full ? gen : f->gen;
}

/* On a target, by whichever way. A CPU that has switched away meanwhile has nothing of this mm any
 * more, or will ask what it has missed. */
static void flush_there(struct cpu *target, void *arg)
{
	const struct tlb_flush *f = arg;
	struct tlb *tlb = cpu_tlb(target);
	struct tlb_slot *slot;

	if (!tlb->core) {
		if (target->active_mm == f->mm)
			direct_apply(tlb, f);
	} else if (tlb->mmu->how == TLBI_BY_IPI) {
		pcid_apply(target, tlb, f);
	} else if (f->full || f->tables || tlb_core_may_have(tlb->mmu, tlb->core, f)) {
		slot = tlb_context_slot(tlb, f->key);
		if (slot)
			slot_apply(tlb, slot, f, f->tables);
	}
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* The CPUs besides this one that may translate for mm. How many. */
static u32 flush_targets(struct mm *mm, const struct cpu *cpu, const struct tlb_flush *f,
			 struct cpumask *targets)
{
	const struct mmu_machine *mmu = cpu_tlb(cpu)->mmu;
	bool skip_lazy = mmu->cores && mmu->how == TLBI_BY_IPI && !f->tables;
	u32 words = (machine_cpu_count(cpu->machine) + 63) / 64, count = 0;

	for (u32 i = 0; i < words; i++) {
		u64 bits = smp_load_acquire(&mm->cpus.bits[i]);

		if (i == cpu->id / 64)
			bits &= ~(1ull << (cpu->id % 64));
		for (u64 rest = skip_lazy ? bits : 0; rest; rest &= rest - 1) {
			const struct cpu *c =
				machine_cpu(cpu->machine, i * 64 + (u32)__builtin_ctzll(rest));

			if (!READ_ONCE(cpu_tlb(c)->lazy) && !cpu_is_idle(c))
				continue;
			cpu_tlb(c)->missed = true;
			count_event(COUNTER_TLB_LAZY_SKIP);
			bits &= ~(rest & -rest);
		}
		targets->bits[i] = bits;
		if (bits)
			count += (u32)__builtin_popcountll(bits);
	}
	return count;
}

/* Operations of which each reaches all CPUs. With ranges: an odd page by itself, then one for each
 * five bits of what is left, which counts pairs of pages. */
static u64 broadcast_operations(const struct mmu_machine *mmu, const struct tlb_flush *f)
{
	u64 pages = (f->end - f->start) >> f->mm->arch->page_shift, count = pages & 1;

	if (f->full || !mmu->range_operations)
		return flush_leaves(f);
	for (pages >>= 1; pages; pages >>= 5)
		count += (pages & 31) != 0;
	return count;
}

static void break_targets(const struct mmu_machine *mmu, struct cpumask *targets, u32 *others)
{
	if (mmu->broken & TLB_BREAK_ONE_CPU)
		for (u32 i = 0; i < ARRAY_SIZE(targets->bits); i++)
			if (targets->bits[i]) {
				targets->bits[i] &= targets->bits[i] - 1;
				--*others;
				return;
			}
}

static void tlb_flush(struct mm *mm, u64 start, u64 end, u32 level, bool full, bool tables)
{
	struct cpu *cpu = this_cpu();
	struct tlb *tlb = cpu_tlb(cpu);
	struct mmu_machine *mmu = tlb->mmu;
	struct tlb_flush *f = &tlb->flush;
	bool carried;
	u32 others;

	if (unlikely(mmu->broken & TLB_BREAK_FLUSH))
		return;
	preempt_disable();
	*f = (struct tlb_flush){
		.mm = mm,
		.start = start,
		.end = end,
		.level = (u8)level,
		.full = full,
		.tables = tables,
	};
	/* The change of the entries before the look at who uses them; pairs with the fetch_or of who
	 * loads the page table. */
	if (mmu->cores && mmu->how == TLBI_BY_IPI)
		f->gen = fetch_add(&mm->tlb_gen, 1) + 1;
	else
		smp_mb();
	if (mmu->cores && mmu->how != TLBI_BY_IPI)
		f->key = tlb_context_key(mmu, mm);
	count_event(full ? COUNTER_TLB_FLUSH_FULL : COUNTER_TLB_FLUSH_PAGED);
	if (!full)
		count_events(COUNTER_TLB_FLUSH_PAGES, flush_leaves(f));
	if (unlikely(mmu->invariants))
		invariants_flush(mmu, mm, start, end, full);
	others = flush_targets(mm, cpu, f, &tlb->targets);
	if (unlikely(mmu->broken))
		break_targets(mmu, &tlb->targets, &others);
	carried = mmu->how == TLBI_BROADCAST || (mmu->how == TLBI_SERIALISED && others);
	if (cpu->active_mm == mm || (mmu->cores && mmu->how != TLBI_BY_IPI)) {
		count_event(COUNTER_TLB_FLUSH_LOCAL);
		if (!carried && (!mmu->cores || mmu->how != TLBI_BY_IPI))
			charge_local(f);
		/* A window, because another CPU may be flushing this TLB in our stead. */
		cpu_insn_begin(cpu);
		flush_there(cpu, f);
		cpu_insn_end(cpu);
	}
	if (others) {
		count_event(COUNTER_TLB_SHOOTDOWN);
		count_events(COUNTER_TLB_SHOOTDOWN_TARGET, others);
	}
	if (carried) {
		count_event(COUNTER_TLB_BROADCAST);
		(void)tlbi_broadcast(&tlb->targets, flush_there, f, broadcast_operations(mmu, f),
				     mmu->how == TLBI_SERIALISED);
	} else if (others) {
		(void)ipi_call_mask(&tlb->targets, flush_there, f);
	}
	if (unlikely(mmu->invariants))
		invariants_flushed(mmu, mm, start, end, full);
	preempt_enable();
}

void tlb_flush_range(struct mm *mm, u64 start, u64 end, u32 level, bool freed_tables)
{
	const struct mmu_machine *mmu = cpu_tlb(this_cpu())->mmu;
	const struct arch_desc *a = mm->arch;
	bool full;

	start = ALIGN_DOWN(start, level_bytes(a, level));
	end = ALIGN_UP(end, level_bytes(a, level));
	if (mmu->range_operations)
		full = (end - start) >> a->page_shift > RANGE_OPERATION_PAGES;
	else
		full = (end - start) >> level_shift(a, level) > a->tlb_full_flush_leaves;
	tlb_flush(mm, start, end, level, full, freed_tables);
}

void tlb_flush_leaf(struct mm *mm, u64 va)
{
	bool as_pages = mm->arch->leaf_flush_as_pages;

	tlb_flush_range(mm, va, va + level_bytes(mm->arch, 1), as_pages ? 0 : 1, as_pages);
}

void tlb_flush_page(struct mm *mm, u64 va)
{
	u64 page = arch_page_bytes(mm->arch);

	va = ALIGN_DOWN(va, page);
	tlb_flush(mm, va, va + page, 0, false, false);
}

void tlb_flush_mm(struct mm *mm)
{
	tlb_flush(mm, 0, 0, 0, true, false);
}
