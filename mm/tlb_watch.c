/*
 * mm/tlb_watch.c - what a modelled TLB does, told to who shows it
 *
 * Guarantee    Watching changes nothing: no price, no entry, no counter. Each event is told by the code
 *              that does it (mm/tlb_model.c), at the point where it does.
 * Context      inside an instruction window of the watched CPU, but for TLB_EVENT_FAULT.
 * Locks        none: only the virtual engine has modelled TLBs.
 * Tests        tests/cli/virtual_walk.sh, by way of mmsim walk --machine
 */
#include "arch/walk.h"
#include "mm/tlb_internal.h"

bool tlb_watch(void (*fn)(void *arg, const struct tlb_event *e), void *arg)
{
	struct tlb_core *core = cpu_tlb(this_cpu())->core;

	if (!core)
		return false;
	core->watch = fn;
	core->watch_arg = arg;
	core->watched = fn != NULL;
	return true;
}

/* Linux counts PCIDs of its programs from 1. */
static u32 context_number(const struct tlb_core *core, const struct tlb_slot *slot)
{
	u32 index = (u32)(slot - core->slots);

	return core->slots_each ? index % core->slots_each + 1 : slot->key;
}

u32 tlb_context_number(void)
{
	const struct tlb *tlb = cpu_tlb(this_cpu());

	return tlb->core && tlb->slot ? context_number(tlb->core, tlb->slot) : 0;
}

void tlb_tell(struct tlb_core *core, struct tlb_event e)
{
	e.now_ps = engine_now_ps();
	core->watch(core->watch_arg, &e);
}

static struct tlb_event array_event(enum tlb_event_kind kind, const struct tlb_core *core,
				    const struct tlb_array *t)
{
	return (struct tlb_event){.kind = kind, .array = t == &core->l2 ? TLB_L2 : (u8)(t - core->l1)};
}

void tlb_tell_way(struct tlb_core *core, enum tlb_event_kind kind, const struct tlb_way *way)
{
	const struct arch_desc *a = core->mmu->arch;
	u32 end = core->l2.sets * core->l2.associativity, index;
	bool level2 = core->l2.ways && way >= core->l2.ways && way < core->l2.ways + end;
	const struct tlb_array *t = level2 ? &core->l2 : tlb_l1(core, way->size);
	struct tlb_event e = array_event(kind, core, t);

	index = (u32)(way - t->ways);
	e.level = (u8)tlb_size_level(way->size);
	e.set = index / t->associativity;
	e.way = index % t->associativity;
	e.context = context_number(core, &core->slots[way->slot]);
	e.va = way->page << tlb_size_shift(a, way->size);
	e.pa = way->pfn << a->page_shift;
	e.w.attrs = way->attrs;
	tlb_tell(core, e);
}

void tlb_tell_miss(struct tlb_core *core, const struct tlb_slot *slot, u64 va)
{
	const struct tlb_array *const looked[] = {&core->l1[0], &core->l2};
	u64 page = va >> core->mmu->arch->page_shift;

	for (u32 i = 0; i < ARRAY_SIZE(looked); i++) {
		struct tlb_event e = array_event(TLB_EVENT_MISS, core, looked[i]);

		if (!looked[i]->sets)
			continue;
		e.set = (u32)(page % looked[i]->sets);
		e.va = va;
		e.context = context_number(core, slot);
		tlb_tell(core, e);
	}
}

void tlb_tell_walk(struct tlb_core *core, enum tlb_event_kind kind, u32 level, const struct walk_way *w)
{
	tlb_tell(core, (struct tlb_event){
			       .kind = kind,
			       .level = (u8)level,
			       .way = (u32)(w - core->walks[level]),
			       .va = w->prefix << level_shift(core->mmu->arch, level + 1),
			       .pa = w->table,
		       });
}

void tlb_tell_path(const struct tlb *tlb, u64 va, const struct walk_path *path)
{
	const struct arch_desc *a = tlb->mmu->arch;

	for (s32 level = path->top; level >= path->lowest; level--) {
		u64 pa = path->table[level] + level_index(a, va, (u32)level) * sizeof(pte_t);

		tlb_tell(tlb->core, (struct tlb_event){
					    .kind = TLB_EVENT_READ,
					    .level = (u8)level,
					    .va = va,
					    .pa = pa,
					    .entry = READ_UNPRICED(*(pte_t *)(tlb->mem->direct_map + pa)),
				    });
	}
}

void tlb_tell_walked(const struct tlb *tlb, u64 va, bool ok, const struct mmu_walk *w)
{
	tlb_tell(tlb->core, (struct tlb_event){.kind = TLB_EVENT_WALKED, .va = va, .refused = !ok, .w = *w});
}

void tlb_tell_slot(struct tlb_core *core, enum tlb_event_kind kind, const struct tlb_slot *slot)
{
	tlb_tell(core, (struct tlb_event){.kind = kind, .context = context_number(core, slot)});
}
