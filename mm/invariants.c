/*
 * mm/invariants.c - the checker: no TLB may know better than the page table
 *
 * Checks       (a) a frame that is freed while a TLB can still translate to it, or a table while a
 *                  paging-structure cache can still lead there; an access to a freed frame;
 *              (b) after fork: a translation that allows a write where the entry does not;
 *              (c) after mprotect: a translation that allows what the VMA forbids;
 *              (d) a translation of one address space found by another;
 *              (e) a CPU that comes back from a kernel task or from idle and uses its TLB before it has
 *                  asked for the flushes that left it out;
 *              (f) a leaf of another size that takes a leaf's place while a TLB translates by the old one (no
 *                  break, or no flush after it); entries of two sizes that translate one address; a
 *                  contiguous group whose entries are not alike. With modelled TLBs only.
 *              The first one stops the run: what, the seed, and what happened to that page last.
 * How          Where TLBs are modelled (mm/tlb_model.c), each frame has a list of the entries that
 *              translate to it, so that (a) looks at those, and (b) and (c) at those of the frames that
 *              are mapped in the range. It is not priced and changes nothing that is. With simple TLBs
 *              (natively) (a) is looked for at each use, and (b) and (c) in every CPU's TLB while that
 *              CPU is held off its next instruction.
 * Entries      that can never be used again do not count: of a tag that is over, of a PCID that is
 *              behind and will be emptied when its mm is loaded (that it is: (e)), of an ASID before a
 *              roll-over's flush.
 * Always on    where TLBs are modelled, and in debug and sanitizer builds; else tlb_check_invariants().
 * Context      any. Books of modelled TLBs: one host thread. History: each CPU's own.
 * Tests        tests/unit/mm/test_invariants.c
 */
#include <stdio.h>
#include <stdlib.h>

#include "mm/invariants.h"

#define EVENTS_EACH 256u /* kept per CPU */
#define EVENTS_SHOWN 24u

enum event_kind { EVENT_FILL, EVENT_FLUSH, EVENT_FLUSHED, EVENT_PROTECT, EVENT_FORK, EVENT_FREE };
static const char *const event_name[] = {
	[EVENT_FILL] = "translated",	[EVENT_FLUSH] = "flush begins", [EVENT_FLUSHED] = "flush done",
	[EVENT_PROTECT] = "protected", [EVENT_FORK] = "forked",	     [EVENT_FREE] = "freed",
};

struct event {
	u64 ns, context_id, start, end, pfn; /* pfn ~0: of no single frame */
	enum event_kind kind;
	u32 cpu;
};

struct ring {
	u64 count;
	struct event events[EVENTS_EACH];
};

struct invariants {
	struct mmu_machine *mmu;
	struct ring *rings;  /* [CPU] */
	u32 *first;	     /* [pfn]: entry that translates to it, plus 1 */
	u32 *walks;	     /* [pfn]: entries of paging-structure caches */
	u16 sizes_seen;
	s32 leaves_gathered; /* mmu_gathers that hold huge leaves which are not flushed yet */
};

/* ---- history ------------------------------------------------------------------------------------ */

/* mm NULL: of whichever address space. */
static void record(struct invariants *inv, enum event_kind kind, const struct mm *mm, u64 start, u64 end, u64 pfn)
{
	const struct cpu *cpu = this_cpu();
	struct ring *ring = &inv->rings[cpu->id];

	ring->events[ring->count++ % EVENTS_EACH] = (struct event){
		.ns = engine_now_unpriced_ns(),
		.context_id = mm ? READ_UNPRICED(mm->context_id) : 0,
		.start = start,
		.end = end,
		.pfn = pfn,
		.kind = kind,
		.cpu = cpu->id,
	};
}

static bool concerns(const struct event *e, u64 context_id, u64 va, u64 pfn)
{
	if (e->pfn == pfn)
		return true;
	return e->context_id == context_id && e->start <= va && va < e->end;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->ns != y->ns ? (x->ns > y->ns) - (x->ns < y->ns) : (x > y) - (x < y);
}

static void show_history(const struct invariants *inv, u64 context_id, u64 va, u64 pfn)
{
	u32 cpus = machine_cpu_count(inv->mmu->machine), n = 0;
	struct event *found = calloc(cpus, sizeof(inv->rings[0].events));

	for (u32 i = 0; found && i < cpus; i++) {
		const struct ring *ring = &inv->rings[i];
		u64 from = ring->count > EVENTS_EACH ? ring->count - EVENTS_EACH : 0;

		for (u64 k = from; k < ring->count; k++)
			if (concerns(&ring->events[k % EVENTS_EACH], context_id, va, pfn))
				found[n++] = ring->events[k % EVENTS_EACH];
	}
	if (n)
		qsort(found, n, sizeof(*found), by_time);
	for (u32 i = n > EVENTS_SHOWN ? n - EVENTS_SHOWN : 0; i < n; i++) {
		const struct event *e = &found[i];

		fprintf(stderr, "mmsim:   %12llu ns cpu %-4u %-12s", (unsigned long long)e->ns, e->cpu,
			event_name[e->kind]);
		if (e->kind != EVENT_FREE)
			fprintf(stderr, " mm %llu", (unsigned long long)e->context_id);
		if (e->end == ~0ull)
			fprintf(stderr, " everything");
		else if (e->end)
			fprintf(stderr, " %#llx-%#llx", (unsigned long long)e->start,
				(unsigned long long)e->end);
		if (e->pfn != ~0ull)
			fprintf(stderr, " frame %#llx", (unsigned long long)e->pfn);
		fprintf(stderr, "\n");
	}
	free(found);
}

/* cpu: whose TLB it is. */
static void broken(const struct invariants *inv, const char *what, u32 cpu, u64 context_id, u64 va,
		   u64 pfn)
{
	fprintf(stderr, "mmsim: invariant: %s: cpu %u, mm %llu, page %#llx, frame %#llx; last of it:\n",
		what, cpu, (unsigned long long)context_id, (unsigned long long)va,
		(unsigned long long)pfn);
	show_history(inv, context_id, va, pfn);
	MMSIM_BUG("invariant: %s, seed %llu", what,
		  (unsigned long long)machine_config(inv->mmu->machine)->seed);
}

void invariants_filled(struct mmu_machine *mmu, const struct mm *mm, u64 va, u64 pfn)
{
	va = ALIGN_DOWN(va, arch_page_bytes(mmu->arch));
	record(mmu->invariants, EVENT_FILL, mm, va, va + arch_page_bytes(mmu->arch), pfn);
}

void invariants_flush(struct mmu_machine *mmu, const struct mm *mm, u64 start, u64 end, bool full)
{
	record(mmu->invariants, EVENT_FLUSH, mm, full ? 0 : start, full ? ~0ull : end, ~0ull);
}

void invariants_flushed(struct mmu_machine *mmu, const struct mm *mm, u64 start, u64 end, bool full)
{
	record(mmu->invariants, EVENT_FLUSHED, mm, full ? 0 : start, full ? ~0ull : end,
	       ~0ull);
}

/* ---- who translates to a frame: modelled TLBs --------------------------------------------------- */

static struct tlb_way *way_at(const struct mmu_machine *mmu, u32 number, struct tlb_core **core)
{
	const u32 each = mmu->cores[0].way_count; /* there is always a CPU 0 */

	*core = &mmu->cores[(number - 1) / each];
	return &(*core)->ways[(number - 1) % each];
}

void invariants_map(struct tlb_core *core, struct tlb_way *way)
{
	struct invariants *inv = core->mmu->invariants;
	struct tlb_core *other;
	u32 number = core->number * core->way_count + (u32)(way - core->ways) + 1;

	inv->sizes_seen |= core->sizes_seen;
	way->prev = 0;
	way->next = inv->first[way->pfn];
	inv->first[way->pfn] = number;
	if (way->next)
		way_at(core->mmu, way->next, &other)->prev = number;
}

void invariants_unmap(struct tlb_core *core, struct tlb_way *way)
{
	struct invariants *inv = core->mmu->invariants;
	struct tlb_core *other;

	if (way->prev)
		way_at(core->mmu, way->prev, &other)->next = way->next;
	else
		inv->first[way->pfn] = way->next;
	if (way->next)
		way_at(core->mmu, way->next, &other)->prev = way->prev;
}

void invariants_walk(struct tlb_core *core, u64 old_table, u64 table)
{
	struct invariants *inv = core->mmu->invariants;
	u8 shift = inv->mmu->arch->page_shift;

	if (old_table)
		inv->walks[old_table >> shift]--;
	if (table)
		inv->walks[table >> shift]++;
}

/* ---- (a), (d) ------------------------------------------------------------------------------------ */

void invariants_used(const struct mmu_machine *mmu, const struct mm *mm, u64 va, u64 pfn)
{
	if (unlikely(READ_UNPRICED(pfn_to_page(mmu->memory, pfn)->refcount.counter) <= 0))
		broken(mmu->invariants, "a freed frame is reached through a TLB", this_cpu()->id,
		       mm->context_id, ALIGN_DOWN(va, arch_page_bytes(mmu->arch)), pfn);
}

void invariants_not_asked(const struct tlb *tlb, const struct mm *mm, u64 va)
{
	broken(tlb->mmu->invariants, "a CPU is back and has not asked what it missed", tlb->cpu->id,
	       mm->context_id, ALIGN_DOWN(va, arch_page_bytes(mm->arch)), ~0ull);
}

static u32 core_cpu(const struct tlb_core *core, const struct tlb_slot *slot)
{
	u32 thread = core->slots_each ? (u32)(slot - core->slots) / core->slots_each : 0;

	return core->tlbs[thread] ? core->tlbs[thread]->cpu->id : 0;
}

void invariants_foreign(struct tlb_core *core, const struct tlb_slot *slot)
{
	for (u32 i = 0; i < core->way_count; i++) {
		const struct tlb_way *way = &core->ways[i];

		if (way->tag != slot->tag)
			continue;
		broken(core->mmu->invariants, "an ASID is used again while a TLB has entries of it",
		       core_cpu(core, slot), slot->mm->context_id,
		       way->page << tlb_size_shift(core->mmu->arch, way->size), way->pfn);
	}
}

static void frame_freed_at(struct invariants *inv, u64 base, u64 pfn, u32 size)
{
	u32 number = inv->first[base];

	while (number) {
		struct tlb_core *core;
		struct tlb_way *way = way_at(inv->mmu, number, &core);
		const struct tlb_slot *slot = &core->slots[way->slot];

		number = way->next;
		if (slot->tag != way->tag) {
			tlb_way_drop(core, way);
			continue;
		}
		if (way->size == size && tlb_way_is_usable(core, way))
			broken(inv, "a frame is freed while a TLB translates to it", core_cpu(core, slot),
			       slot->mm->context_id,
			       (way->page << tlb_size_shift(inv->mmu->arch, size)) +
				       ((pfn - base) << inv->mmu->arch->page_shift),
			       pfn);
	}
}

void invariants_frame_freed(struct invariants *inv, u64 pfn)
{
	const struct arch_desc *a = inv->mmu->arch;

	record(inv, EVENT_FREE, NULL, 0, 0, pfn);
	if (!inv->first)
		return;
	unpriced_begin();
	for (u32 seen = inv->sizes_seen; seen; seen &= seen - 1) {
		u32 size = (u32)__builtin_ctz(seen);

		frame_freed_at(inv, ALIGN_DOWN(pfn, tlb_size_bytes(a, size) >> a->page_shift), pfn, size);
	}
	unpriced_end();
}

void invariants_table_freed(struct invariants *inv, u64 pfn)
{
	const struct mmu_machine *mmu = inv->mmu;

	if (!inv->walks || !inv->walks[pfn])
		return;
	for (u32 c = 0; c < mmu->core_count; c++) {
		const struct tlb_core *core = &mmu->cores[c];
		u64 va;
		const struct tlb_slot *slot = tlb_walks_through(core, pfn << mmu->arch->page_shift, &va);

		if (slot)
			broken(inv, "a page table is freed while a walk cache leads to it",
			       core_cpu(core, slot), slot->mm->context_id, va, pfn);
	}
}

/* mm's leaf for va, of *level, or 0; *span: the bytes that are alike. Unpriced. */
static pte_t peek_entry(const struct mm *mm, u64 va, u32 *at_level, u64 *span)
{
	const struct arch_desc *a = mm->arch;
	u64 table = mm->pgd_pfn;

	for (u32 level = a->levels - 1u;; level--) {
		const pte_t *p = (const pte_t *)phys_to_virt(mm->memory, table) + level_index(a, va, level);
		pte_t e = READ_UNPRICED(*p);

		*at_level = level;
		*span = level_bytes(a, level);
		if (!pte_present(a, e))
			return 0;
		if (entry_is_leaf(a, e, level))
			return e;
		table = table_pfn(a, e);
	}
}

/* ---- (f) ------------------------------------------------------------------------------------------ */

/* Who drops a huge leaf flushes after the table's lock (mm/zap.c), and another thread may fault a small page
 * in before that: then a TLB may have both for a moment, in Linux as here. */
void invariants_two_sizes(const struct tlb_core *core, const struct tlb_way *one, const struct tlb_way *other,
			  u64 va)
{
	const struct tlb_slot *slot = &core->slots[one->slot];

	if (core->mmu->invariants->leaves_gathered)
		return;
	fprintf(stderr, "mmsim: sizes of %llu and %llu bytes, frames %#llx and %#llx\n",
		(unsigned long long)tlb_size_bytes(core->mmu->arch, one->size),
		(unsigned long long)tlb_size_bytes(core->mmu->arch, other->size), (unsigned long long)one->pfn,
		(unsigned long long)other->pfn);
	broken(core->mmu->invariants, "a TLB translates an address by entries of two sizes",
	       core_cpu(core, slot), slot->mm->context_id, ALIGN_DOWN(va, arch_page_bytes(core->mmu->arch)),
	       one->pfn);
}

void invariants_resized(const struct mm *mm, u64 va, u64 pfn, u32 level)
{
	const struct mmu_machine *mmu = mmu_machine(mm->machine);
	const struct arch_desc *a = mmu->arch;
	struct invariants *inv = mmu->invariants;
	struct tlb_core *core;

	if (!inv->first)
		return;
	unpriced_begin();
	for (u32 group = 0; group < 2; group++) {
		u32 size = tlb_size(level, group);
		u32 number = inv->first[ALIGN_DOWN(pfn, tlb_size_bytes(a, size) >> a->page_shift)];

		while (number) {
			struct tlb_way *way = way_at(mmu, number, &core);

			number = way->next;
			if (way->size == size && way->page == va >> tlb_size_shift(a, size) &&
			    core->slots[way->slot].mm == mm && tlb_way_is_usable(core, way))
				broken(inv, "a leaf changes its size while a TLB has it",
				       core_cpu(core, &core->slots[way->slot]), mm->context_id, va, pfn);
		}
	}
	unpriced_end();
}

void invariants_group(const struct tlb *tlb, const struct mm *mm, u64 va, u32 level)
{
	const struct arch_desc *a = mm->arch;
	const u32 own = PTE_ACCESSED | PTE_DIRTY; /* the MMU sets them in any one entry */
	u64 one = level_bytes(a, level), start = ALIGN_DOWN(va, tlb_size_bytes(a, tlb_size(level, true)));
	u32 count = 1u << a->group_bits[level], at_level = level;
	pte_t first, e;
	u64 span;

	unpriced_begin();
	first = e = peek_entry(mm, start, &at_level, &span);
	for (u32 i = 0; i < count && at_level == level; i++) {
		if (!(e & a->group_mask) ||
		    leaf_pfn(a, e, level) != leaf_pfn(a, first, level) + i * (one >> a->page_shift) ||
		    ((pte_attrs(a, e) ^ pte_attrs(a, first)) & ~own))
			break;
		if (i == count - 1) {
			unpriced_end();
			return;
		}
		e = peek_entry(mm, start + (i + 1) * one, &at_level, &span);
	}
	broken(tlb->mmu->invariants, "entries of a contiguous group are not alike", tlb->cpu->id, mm->context_id,
	       start, leaf_pfn(a, first, level));
}

void invariants_leaf_gathered(struct invariants *inv, s32 n)
{
	if (inv->first)
		inv->leaves_gathered += n;
}

/* ---- (b), (c) ------------------------------------------------------------------------------------ */

struct rights {
	struct mm *mm;
	u64 start, end;
	bool by_vma;   /* else by entry: writes only */
	u32 vma_attrs; /* what the VMA allows */
	u64 bad_va, bad_pfn;
	u32 bad_cpu;
	bool bad;
};

/* Does a translation of va with these attributes allow what it must not, given va's entry e? */
static bool exceeds(const struct rights *r, pte_t e, u32 attrs)
{
	const struct arch_desc *a = r->mm->arch;
	u32 allowed = r->by_vma ? r->vma_attrs : pte_attrs(a, e);
	u32 compared = r->by_vma ? PTE_WRITE | PTE_EXEC : PTE_WRITE;

	if (!(allowed & PTE_USER) || (allowed & PTE_HIDDEN))
		return true;
	return (attrs & compared & ~allowed) != 0;
}

/* The translations of `size` that are made of va's leaf e of `level`. */
static void check_modelled_leaf(struct invariants *inv, struct rights *r, u64 va, pte_t e, u32 level, u32 size)
{
	const struct arch_desc *a = r->mm->arch;
	u64 pfn = leaf_pfn(a, e, level);
	u32 number = inv->first[ALIGN_DOWN(pfn, tlb_size_bytes(a, size) >> a->page_shift)];

	while (number) {
		struct tlb_core *core;
		struct tlb_way *way = way_at(inv->mmu, number, &core);

		number = way->next;
		if (way->size != size || way->page != va >> tlb_size_shift(a, size) ||
		    core->slots[way->slot].mm != r->mm || !exceeds(r, e, way->attrs) ||
		    !tlb_way_is_usable(core, way))
			continue;
		r->bad = true;
		r->bad_va = va;
		r->bad_pfn = pfn;
		r->bad_cpu = core_cpu(core, &core->slots[way->slot]);
	}
}

static void check_modelled(struct invariants *inv, struct rights *r)
{
	u32 level;
	u64 span;

	for (u64 va = r->start; va < r->end; va = ALIGN_DOWN(va, span) + span) {
		pte_t e = peek_entry(r->mm, va, &level, &span);

		for (u32 group = 0; e && group < 2; group++)
			if (inv->sizes_seen >> tlb_size(level, group) & 1)
				check_modelled_leaf(inv, r, va, e, level, tlb_size(level, group));
	}
}

/* Simple TLBs. The CPU is held off, or it is this one, in a window. */
static void check_simple_there(struct cpu *target, void *arg)
{
	struct rights *r = arg;
	const struct tlb *tlb = cpu_tlb(target);

	if (target->active_mm != r->mm)
		return;
	for (u32 i = 0; i < TLB_ENTRIES; i++) {
		const struct tlb_entry *ent = &tlb->entries[i];
		u64 va = (ent->tag & (TLB_GEN_ONE - 1)) << tlb->page_shift, span;
		u32 attrs = ent->data & PTE_ATTR_MASK, level;
		pte_t e;

		if ((ent->tag & ~(TLB_GEN_ONE - 1)) != tlb->gen || va < r->start || va >= r->end)
			continue;
		e = peek_entry(r->mm, va, &level, &span);
		if ((e || r->by_vma) && exceeds(r, e, attrs)) {
			r->bad = true;
			r->bad_va = va;
			r->bad_pfn = ent->data >> TLB_ATTR_BITS;
			r->bad_cpu = target->id;
		}
	}
}

static void check_rights(struct invariants *inv, struct rights *r, const char *what)
{
	struct cpu *cpu;

	if (inv->first) {
		unpriced_begin();
		check_modelled(inv, r);
		unpriced_end();
	} else {
		preempt_disable();
		cpu = this_cpu();
		/* Not counted as what the workload did. */
		(void)tlbi_broadcast(&r->mm->cpus, check_simple_there, r, 0, false);
		cpu_insn_begin(cpu);
		check_simple_there(cpu, r);
		cpu_insn_end(cpu);
		preempt_enable();
	}
	if (r->bad)
		broken(inv, what, r->bad_cpu, r->mm->context_id, r->bad_va, r->bad_pfn);
}

void invariants_protected(struct vma *vma, u64 start, u64 end)
{
	struct invariants *inv = mmu_machine(vma->mm->machine)->invariants;
	struct rights r = {.mm = vma->mm, .start = start, .end = end, .by_vma = true};
	u64 flags = READ_UNPRICED(vma->flags);

	if (flags & (VM_READ | VM_WRITE | VM_EXEC))
		r.vma_attrs = PTE_USER | (flags & VM_WRITE ? PTE_WRITE : 0) |
			      (flags & VM_EXEC ? PTE_EXEC : 0);
	record(inv, EVENT_PROTECT, vma->mm, start, end, ~0ull);
	check_rights(inv, &r, "a TLB allows what mprotect has taken away");
}

void invariants_forked(struct mm *mm)
{
	struct invariants *inv = mmu_machine(mm->machine)->invariants;
	struct rights r = {.mm = mm, .end = mm->arch->task_size};

	record(inv, EVENT_FORK, mm, 0, ~0ull, ~0ull);
	check_rights(inv, &r, "a TLB allows writes that fork has taken away");
}

/* ---- the machine's -------------------------------------------------------------------------------- */

int invariants_create(struct mmu_machine *mmu)
{
	struct invariants *inv = calloc(1, sizeof(*inv));
	u32 cpus = machine_cpu_count(mmu->machine);

	if (!inv)
		return -ENOMEM;
	inv->mmu = mmu;
	inv->rings = calloc(cpus, sizeof(inv->rings[0]));
	mmu->invariants = inv;
	if (mmu->cores) {
		inv->first = calloc(mmu->memory->frames, sizeof(inv->first[0]));
		inv->walks = calloc(mmu->memory->frames, sizeof(inv->walks[0]));
	}
	if (!inv->rings || (mmu->cores && (!inv->first || !inv->walks))) {
		invariants_destroy(mmu);
		return -ENOMEM;
	}
	memory_of(mmu->machine)->watch = inv;
	return 0;
}

void invariants_destroy(struct mmu_machine *mmu)
{
	struct invariants *inv = mmu->invariants;

	if (!inv)
		return;
	memory_of(mmu->machine)->watch = NULL;
	mmu->invariants = NULL;
	free(inv->rings);
	free(inv->first);
	free(inv->walks);
	free(inv);
}
