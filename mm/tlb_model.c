/*
 * mm/tlb_model.c - TLBs as a machine model describes them
 *
 * Models       per CPU, or per SMT core (tlb.per_core): a set-associative L1 for each page size, a
 *              unified L2, and fully associative paging-structure caches, one for each level that a
 *              table can have; all least recently used first. A translation that is found costs
 *              nothing in L1 and tlb.l2_hit in L2; a walk costs cost.walk_level and a priced load per
 *              entry that it reads, and begins at the lowest table that a paging-structure cache knows.
 *              An L2 entry that is used is put into L1 too; a walk fills both.
 * Tags         see mm/tlb_context.c. Entries of other tags stay until their place is needed.
 * Huge leaves  are kept as such, with the page size of their level; so are groups of leaves that say that
 *              they are contiguous (arm64): one entry, made of whichever leaf of the group was walked to.
 *              Leaves of level 2 and more share an L1.
 * Leaves out   separate instruction TLBs, prefetches, speculative walks, page-walk width; entries in
 *              L2 for some page sizes only; coalescing of neighbours that say nothing.
 * Hashed MMUs  keep no table addresses, so they have no paging-structure caches.
 * Context      inside an instruction window of a CPU of the core, or in an IPI handler for it.
 * Locks        none: only the virtual engine has machine models, one CPU at a time executes.
 * Tests        tests/unit/mm/test_tlb_model.c
 */
#include <stdlib.h>
#include <string.h>

#include "arch/walk.h"
#include "mm/invariants.h"
#include "mm/tlb_internal.h"

#define PAGES_ASKED_FOR 64 /* of more, each core looks for itself */

/* ---- translations ----------------------------------------------------------------------------- */

static bool way_is_live(const struct tlb_core *core, const struct tlb_way *way)
{
	return way->tag && core->slots[way->slot].tag == way->tag;
}

/*
 * How many entries of the core, of whatever tag and level, are of pages in this page's bucket; all
 * cores' counts of a bucket lie together. A flush of one page visits a thousand CPUs and finds it in
 * one: it must not look for it in each core's arrays. A count that has reached 255 stays there.
 */
static u8 *page_count(const struct mmu_machine *mmu, u32 core, u64 page)
{
	return &mmu->page_counts[(page & (mmu->page_buckets - 1)) * mmu->core_count + core];
}

bool tlb_core_may_have(const struct mmu_machine *mmu, const struct tlb_core *core, const struct tlb_flush *f)
{
	const struct arch_desc *a = mmu->arch;
	u64 stride = level_bytes(a, f->level);
	u32 number = (u32)(core - mmu->cores); /* the core itself is not looked at */
	u32 first = tlb_size(f->level, false);

	if ((f->end - f->start) / stride > PAGES_ASKED_FOR)
		return true;
	for (u64 va = f->start; va < f->end; va += stride)
		for (u32 seen = mmu->sizes_seen >> first << first; seen; seen &= seen - 1)
			if (*page_count(mmu, number, va >> tlb_size_shift(a, (u32)__builtin_ctz(seen))))
				return true;
	return false;
}

void tlb_way_drop(struct tlb_core *core, struct tlb_way *way)
{
	u8 *count;

	if (!way->tag)
		return;
	count = page_count(core->mmu, core->number, way->page);
	*count -= *count < UINT8_MAX;
	if (unlikely(core->watched) && way_is_live(core, way))
		tlb_tell_way(core, TLB_EVENT_DROP, way);
	invariants_unmap(core, way);
	way->tag = 0;
}

static struct tlb_way *array_find(const struct tlb_array *t, u64 page, u32 size, u32 tag)
{
	struct tlb_way *set;

	if (!t->sets)
		return NULL;
	set = &t->ways[page % t->sets * t->associativity];
	for (u32 i = 0; i < t->associativity; i++)
		if (set[i].tag == tag && set[i].page == page && set[i].size == size)
			return &set[i];
	return NULL;
}

/* Where a new translation goes: its own place, a dead one, or what was not used for longest. */
static struct tlb_way *array_victim(const struct tlb_core *core, const struct tlb_array *t, u64 page,
				    u32 size, u32 tag)
{
	struct tlb_way *set = &t->ways[page % t->sets * t->associativity], *oldest = set;

	for (u32 i = 0; i < t->associativity; i++) {
		if (set[i].tag == tag && set[i].page == page && set[i].size == size)
			return &set[i];
		if (way_is_live(core, oldest) &&
		    (!way_is_live(core, &set[i]) || set[i].used < oldest->used))
			oldest = &set[i];
	}
	return oldest;
}

static void array_fill(struct tlb_core *core, const struct tlb_array *t, const struct tlb_way *from)
{
	struct tlb_way *way;
	u8 *count;

	if (!t->sets)
		return;
	way = array_victim(core, t, from->page, from->size, from->tag);
	tlb_way_drop(core, way);
	*way = *from;
	count = page_count(core->mmu, core->number, way->page);
	*count += *count < UINT8_MAX;
	way->used = ++core->clock;
	if (unlikely(core->watched))
		tlb_tell_way(core, TLB_EVENT_FILL, way);
	invariants_map(core, way);
}

/* `found` translates va: no translation of another size may. arm64 may answer with a TLB conflict abort or
 * with either, x86 with either. larger: the sizes to look at. */
static NOINLINE void check_one_size(struct tlb_core *core, const struct arch_desc *a, u32 tag, u64 va,
				    const struct tlb_way *found, u32 larger)
{
	for (; larger; larger &= larger - 1) {
		u32 size = (u32)__builtin_ctz(larger);
		u64 page = va >> tlb_size_shift(a, size);
		const struct tlb_way *other = array_find(tlb_l1(core, size), page, size, tag);

		if (!other)
			other = array_find(&core->l2, page, size, tag);
		if (unlikely(other))
			invariants_two_sizes(core, found, other, va);
	}
}

/* The translation of va; *level2: it was only in the L2. */
static struct tlb_way *core_find(struct tlb_core *core, const struct arch_desc *a, u32 tag, u64 va,
				 bool *level2)
{
	*level2 = false;
	for (u32 seen = core->sizes_seen; seen; seen &= seen - 1) {
		u32 size = (u32)__builtin_ctz(seen);
		u64 page = va >> tlb_size_shift(a, size);
		struct tlb_way *way = array_find(tlb_l1(core, size), page, size, tag);

		if (!way) {
			way = array_find(&core->l2, page, size, tag);
			*level2 = way != NULL;
		}
		if (way) {
			if (unlikely(seen & (seen - 1)))
				check_one_size(core, a, tag, va, way, seen & (seen - 1));
			return way;
		}
	}
	return NULL;
}

/* What translates va by a leaf of `level` or above. */
static void core_drop(struct tlb_core *core, const struct arch_desc *a, u32 tag, u64 va, u32 level)
{
	u32 first = tlb_size(level, false);

	for (u32 seen = core->sizes_seen >> first << first; seen; seen &= seen - 1) {
		u32 size = (u32)__builtin_ctz(seen);
		u64 page = va >> tlb_size_shift(a, size);
		struct tlb_way *way;

		if (!*page_count(core->mmu, core->number, page))
			continue;
		way = array_find(tlb_l1(core, size), page, size, tag);
		if (way)
			tlb_way_drop(core, way);
		way = array_find(&core->l2, page, size, tag);
		if (way)
			tlb_way_drop(core, way);
	}
}

/* ---- paging-structure caches ---------------------------------------------------------------------- */

static struct walk_way *walk_find(struct tlb_core *core, u32 level, u64 prefix, u32 tag)
{
	for (u32 i = 0; i < core->walk_count[level]; i++) {
		struct walk_way *w = &core->walks[level][i];

		if (w->tag == tag && w->prefix == prefix)
			return w;
	}
	return NULL;
}

static void walk_fill(struct tlb_core *core, u32 level, u64 prefix, u64 table, u32 tag)
{
	struct walk_way *ways = core->walks[level], *victim = ways;
	bool known = false;

	if (!core->walk_count[level])
		return;
	for (u32 i = 0; i < core->walk_count[level]; i++) {
		if (ways[i].tag == tag && ways[i].prefix == prefix) {
			victim = &ways[i];
			known = true;
			break;
		}
		if (ways[i].used < victim->used)
			victim = &ways[i];
	}
	invariants_walk(core, victim->table, table);
	*victim = (struct walk_way){.prefix = prefix, .table = table, .tag = tag, .used = ++core->clock};
	if (unlikely(core->watched) && !known)
		tlb_tell_walk(core, TLB_EVENT_WALK_FILL, level, victim);
}

/* From the lowest table that is known for va, else from the root. */
static void walk_start(struct tlb_core *core, const struct arch_desc *a, const struct tlb *tlb,
		       u64 va, struct walk_path *path)
{
	for (u32 level = 0; level < a->levels - 1u; level++) {
		struct walk_way *w = walk_find(core, level, va >> level_shift(a, level + 1),
					       tlb->slot->walk_tag);

		if (!w)
			continue;
		w->used = ++core->clock;
		path->top = (u8)level;
		path->table[level] = w->table;
		count_event(COUNTER_WALK_CACHE_HIT);
		if (unlikely(core->watched))
			tlb_tell_walk(core, TLB_EVENT_WALK_CACHED, level, w);
		return;
	}
	path->top = a->levels - 1u;
	path->table[path->top] = tlb->regs.root[0];
	if (unlikely(core->watched))
		tlb_tell(core, (struct tlb_event){.kind = TLB_EVENT_WALK_ROOT, .level = path->top, .va = va,
						  .pa = tlb->regs.root[0]});
}

static bool model_walk(struct tlb *tlb, struct mm *mm, u64 va, enum access_kind kind,
		       struct mmu_walk *w)
{
	const struct arch_desc *a = mmu_arch(mm);
	struct tlb_core *core = tlb->core;
	struct walk_path path;
	enum walk_verdict verdict = WALK_UNDECIDED;

	if (a->hashed || va >= a->task_size)
		return a->ops->walk(a, tlb->mem, &tlb->regs, va, kind, true, w);
	walk_start(core, a, tlb, va, &path);
	verdict = arch_walk_path(a, tlb->mem, va, kind, &path, w);
	if (unlikely(core->watched))
		tlb_tell_path(tlb, va, &path);
	for (u32 level = path.lowest; level < path.top; level++)
		walk_fill(core, level, va >> level_shift(a, level + 1), path.table[level],
			  tlb->slot->walk_tag);
	count_events(COUNTER_TLB_WALK_READ, path.top - path.lowest + 1u);
	engine_charge_n(COST_WALK_LEVEL, path.top - path.lowest + 1u);
	if (likely(verdict != WALK_UNDECIDED))
		return verdict == WALK_OK;
	/* What is not plain the architecture judges, from the root; the lines are at hand. */
	return a->ops->walk(a, tlb->mem, &tlb->regs, va, kind, true, w);
}

/* ---- one access ------------------------------------------------------------------------------------- */

static void model_fill(struct tlb *tlb, const struct arch_desc *a, u64 va, const struct mmu_walk *w)
{
	struct tlb_core *core = tlb->core;
	u32 size = tlb_size(w->level, (w->entry & a->group_mask) && a->group_bits[w->level]);
	u64 pages = tlb_size_bytes(a, size) >> a->page_shift;
	struct tlb_way way = {
		.page = va >> tlb_size_shift(a, size),
		.pfn = ALIGN_DOWN(w->pfn, pages),
		.tag = tlb->slot->tag,
		.slot = (u8)(tlb->slot - core->slots),
		.size = (u8)size,
		.attrs = (u8)w->attrs,
	};

	core->sizes_seen |= (u16)(1u << size);
	core->mmu->sizes_seen |= core->sizes_seen;
	array_fill(core, tlb_l1(core, size), &way);
	array_fill(core, &core->l2, &way);
	invariants_filled(core->mmu, tlb->slot->mm, va, w->pfn);
	if (unlikely(size & 1))
		invariants_group(tlb, tlb->slot->mm, va, w->level);
}

bool tlb_model_translate(struct tlb *tlb, struct mm *mm, u64 va, enum access_kind kind,
			 struct mmu_walk *w)
{
	const struct arch_desc *a = mmu_arch(mm);
	struct tlb_core *core = tlb->core;
	u32 need = tlb_hit_needs[kind];
	struct tlb_way *way;
	bool level2, ok;
	u32 root;

	if (unlikely(tlb->missed))
		invariants_not_asked(tlb, mm, va);
	/* No address: refused before a TLB is asked. */
	if (unlikely(va >= a->task_size) && !va_root(a, va, &root))
		return a->ops->walk(a, tlb->mem, &tlb->regs, va, kind, true, w);
	way = core_find(core, a, tlb->slot->tag, va, &level2);
	if (way && (way->attrs & need & ~(u32)PTE_DIRTY) != (need & ~(u32)PTE_DIRTY)) {
		if (unlikely(core->watched))
			tlb_tell_way(core, TLB_EVENT_FORBIDS, way);
		*w = (struct mmu_walk){.cause = MMU_DENIED, .level = (u8)tlb_size_level(way->size)};
		core_drop(core, a, tlb->slot->tag, va, 0);
		return false;
	}
	if (way && (way->attrs & need) == need) {
		u64 pages = tlb_size_bytes(a, way->size) >> a->page_shift;

		if (unlikely(core->watched))
			tlb_tell_way(core, TLB_EVENT_HIT, way);
		count_event(COUNTER_TLB_HIT);
		way->used = ++core->clock;
		w->pfn = way->pfn | (va >> a->page_shift & (pages - 1));
		w->attrs = way->attrs;
		if (level2) {
			count_event(COUNTER_TLB_L2_HIT);
			engine_charge(COST_TLB_L2_HIT);
			array_fill(core, tlb_l1(core, way->size), way);
		}
		invariants_used(tlb->mmu, mm, va, w->pfn);
		return true;
	}
	if (unlikely(core->watched)) {
		if (way)
			tlb_tell_way(core, TLB_EVENT_CLEAN, way);
		else
			tlb_tell_miss(core, tlb->slot, va);
	}
	count_event(COUNTER_TLB_MISS);
	ok = model_walk(tlb, mm, va, kind, w);
	if (unlikely(core->watched))
		tlb_tell_walked(tlb, va, ok, w);
	if (!ok)
		return false;
	model_fill(tlb, a, va, w);
	return true;
}

/* ---- invalidation ----------------------------------------------------------------------------------- */

static u32 new_tag(struct tlb_core *core)
{
	/* Before a tag comes back, nothing with a tag may be left. */
	if (unlikely(core->last_tag == ~0u)) {
		for (u32 i = 0; i < core->way_count; i++)
			tlb_way_drop(core, &core->ways[i]);
		for (u32 level = 0; level < ARCH_LEVELS_MAX; level++)
			for (u32 i = 0; i < core->walk_count[level]; i++)
				core->walks[level][i].tag = 0; /* table stays: for the books */
		core->last_tag = 0;
		for (u32 i = 0; i < core->slot_count; i++) {
			core->slots[i].tag = ++core->last_tag;
			core->slots[i].walk_tag = core->slots[i].tag;
		}
	}
	return ++core->last_tag;
}

void tlb_slot_empty(struct tlb_core *core, struct tlb_slot *slot)
{
	if (unlikely(core->watched) && slot->mm)
		tlb_tell_slot(core, TLB_EVENT_EMPTY, slot);
	slot->tag = new_tag(core);
	slot->walk_tag = slot->tag;
}

void tlb_slot_drop(struct tlb_core *core, struct tlb_slot *slot, const struct arch_desc *a,
		   const struct tlb_flush *f, bool walks)
{
	u64 stride = level_bytes(a, f->level);

	if (walks) {
		if (unlikely(core->watched))
			tlb_tell_slot(core, TLB_EVENT_WALK_EMPTY, slot);
		slot->walk_tag = new_tag(core);
	}
	if ((f->end - f->start) / stride < core->way_count) {
		for (u64 va = f->start; va < f->end; va += stride)
			core_drop(core, a, slot->tag, va, f->level);
		return;
	}
	for (u32 i = 0; i < core->way_count; i++) {
		struct tlb_way *way = &core->ways[i];
		u64 va = way->page << tlb_size_shift(a, way->size);

		if (way->tag == slot->tag && tlb_size_level(way->size) >= f->level && va < f->end &&
		    va + tlb_size_bytes(a, way->size) > f->start)
			tlb_way_drop(core, way);
	}
}

static bool slot_is_usable(const struct tlb_core *core, const struct tlb_slot *slot)
{
	bool pending = true;

	for (u32 i = 0; i < core->cpus; i++) {
		const struct tlb *tlb = core->tlbs[i];

		if (!tlb)
			continue;
		/* Who is away, or on its way back, looks what it has missed before it uses it:
		 * tlb_model_translate() stops who does not. */
		if (tlb->slot == slot && !tlb_context_is_lazy(tlb->cpu) &&
		    !(tlb->missed && slot->gen < READ_UNPRICED(slot->mm->tlb_gen)))
			return true;
		pending &= tlb->asid_flush_pending;
	}
	if (core->slots_each)
		return slot->mm && slot->gen >= READ_UNPRICED(slot->mm->tlb_gen);
	return !pending;
}

bool tlb_way_is_usable(const struct tlb_core *core, const struct tlb_way *way)
{
	return way_is_live(core, way) && slot_is_usable(core, &core->slots[way->slot]);
}

const struct tlb_slot *tlb_walks_through(const struct tlb_core *core, u64 pa, u64 *va)
{
	for (u32 level = 0; level < ARCH_LEVELS_MAX; level++)
		for (u32 i = 0; i < core->walk_count[level]; i++) {
			const struct walk_way *w = &core->walks[level][i];

			if (!w->tag || w->table != pa)
				continue;
			*va = w->prefix << level_shift(core->mmu->arch, level + 1);
			for (u32 n = 0; n < core->slot_count; n++)
				if (core->slots[n].walk_tag == w->tag && core->slots[n].mm &&
				    slot_is_usable(core, &core->slots[n]))
					return &core->slots[n];
		}
	return NULL;
}

/* ---- the machine's ------------------------------------------------------------------------------------ */

static u32 array_layout(struct tlb_array *t, u64 entries, u64 ways)
{
	t->associativity = (u32)min(ways, entries);
	t->sets = t->associativity ? (u32)entries / t->associativity : 0;
	return t->sets * t->associativity;
}

static struct tlb_way *array_place(struct tlb_array *t, struct tlb_way *at)
{
	t->ways = at;
	return at + t->sets * t->associativity;
}

static int core_init(struct mmu_machine *mmu, struct tlb_core *core, const struct machine_model *model)
{
	u32 walks = 0;

	core->mmu = mmu;
	core->number = (u32)(core - mmu->cores);
	core->way_count = array_layout(&core->l1[0], model->tlb_l1_entries, model->tlb_l1_ways) +
			  array_layout(&core->l1[1], model->tlb_l1_large_entries, model->tlb_l1_large_ways) +
			  array_layout(&core->l1[2], model->tlb_l1_giant_entries, model->tlb_l1_giant_ways) +
			  array_layout(&core->l2, model->tlb_l2_entries, model->tlb_l2_ways);
	core->walk_count[0] = (u32)model->tlb_walk_entries_1;
	core->walk_count[1] = (u32)model->tlb_walk_entries_2;
	core->walk_count[2] = (u32)model->tlb_walk_entries_3;
	for (u32 level = 0; level < ARCH_LEVELS_MAX; level++)
		walks += core->walk_count[level];
	core->ways = calloc(core->way_count, sizeof(core->ways[0]));
	core->walk_ways = calloc(walks + 1, sizeof(core->walk_ways[0]));
	if (!core->ways || !core->walk_ways)
		return -ENOMEM;
	(void)array_place(&core->l2,
			  array_place(&core->l1[2],
				      array_place(&core->l1[1], array_place(&core->l1[0], core->ways))));
	for (u32 level = 0, at = 0; level < ARCH_LEVELS_MAX; at += core->walk_count[level++])
		core->walks[level] = core->walk_ways + at;
	if (mmu->how == TLBI_BY_IPI)
		core->slots_each = (u16)model->tlb_pcids;
	core->slot_count = core->slots_each ? core->slots_each * ARRAY_SIZE(core->tlbs) : TLB_SLOTS_MAX;
	MMSIM_BUG_ON(core->slot_count > TLB_SLOTS_MAX);
	for (u32 i = 0; i < core->slot_count; i++)
		tlb_slot_empty(core, &core->slots[i]);
	return 0;
}

/* Which core a CPU's TLB is in; the CPU of machine_enter() has one of its own. */
static u32 core_of(const struct machine *m, const struct machine_model *model, u32 id, u8 *thread)
{
	struct cpu_place place;

	*thread = 0;
	if (!model->tlb_per_core || id == machine_cpu_count(m) - 1)
		return id;
	/* The number of the core's first CPU: cores are filled before their threads. */
	place = machine_model_place(model, id);
	*thread = (u8)place.thread;
	return id % (u32)(model->topology_sockets * model->topology_clusters * model->topology_cores);
}

int tlb_model_create(struct mmu_machine *mmu, struct machine *m)
{
	const struct machine_model *model = machine_config(m)->model;
	int err = 0;

	if (!model || !model->tlb_l1_entries)
		return 0;
	mmu->core_count = machine_cpu_count(m);
	mmu->cores = calloc(mmu->core_count, sizeof(mmu->cores[0]));
	if (!mmu->cores)
		return -ENOMEM;
	for (u32 i = 0; i < machine_cpu_count(m) && !err; i++) {
		struct tlb *tlb = cpu_tlb(machine_cpu(m, i));

		tlb->core = &mmu->cores[core_of(m, model, i, &tlb->thread)];
		if (!tlb->core->ways)
			err = core_init(mmu, tlb->core, model);
		tlb->core->tlbs[tlb->thread] = tlb;
		tlb->core->cpus = max(tlb->core->cpus, (u8)(tlb->thread + 1));
	}
	if (err)
		return err;
	/* Few entries share a bucket. */
	mmu->page_buckets = 1;
	while (mmu->page_buckets < 2 * mmu->cores[0].way_count)
		mmu->page_buckets *= 2;
	mmu->page_counts = calloc((u64)mmu->page_buckets * mmu->core_count, sizeof(mmu->page_counts[0]));
	if (!mmu->page_counts)
		return -ENOMEM;
	return tlb_context_init(mmu);
}

void tlb_model_destroy(struct mmu_machine *mmu)
{
	for (u32 i = 0; i < mmu->core_count; i++) {
		free(mmu->cores[i].ways);
		free(mmu->cores[i].walk_ways);
	}
	free(mmu->cores);
	free(mmu->page_counts);
	mmu->cores = NULL;
	mmu->page_counts = NULL;
	tlb_context_destroy(mmu);
}
