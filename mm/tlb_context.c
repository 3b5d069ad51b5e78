/*
 * mm/tlb_context.c - whose translations a CPU uses: PCIDs, ASIDs, PIDs, lazy TLBs
 *
 * Models       by how the machine invalidates:
 *   TLBI_BY_IPI      a few PCIDs per CPU (tlb.pcids), given to address spaces in turn. mm->tlb_gen
 *                    counts the flushes of an mm, a slot's gen those that its entries have seen: a
 *                    CPU that was not interrupted compares when it loads the mm (Linux's
 *                    arch/x86/mm/tlb.c). A CPU leaves mm->cpus when it loads another mm.
 *   TLBI_BROADCAST   one ASID for an mm on all CPUs, with a generation (tlb.asid_bits). When they run
 *                    out the generation changes: those that CPUs run on are kept, all others are
 *                    free, and each CPU empties its TLB before it loads the next mm (Linux's
 *                    arch/arm64/mm/context.c). mm->cpus keeps every CPU that may have entries.
 *   TLBI_SERIALISED  a PID of its own for each mm, for life. mm->cpus likewise.
 * Lazy TLBs    A kernel task runs on whatever page table is loaded, and so does an idle CPU. By IPI,
 *              flushes skip such CPUs, unless tables are freed: then the CPU unloads.
 * A dead mm    is unloaded by IPI where it is still loaded lazily, whatever the machine (Linux:
 *              MMU_LAZY_TLB_SHOOTDOWN; arm64 keeps the mm by a reference instead).
 * Leaves out   global ASIDs and INVLPGB; pinned ASIDs; trimming of ppc64's mask.
 * Locks        asid_space.lock (LOCK_RANK_LEAF): the bitmap, and the ASIDs in every struct tlb.
 * Order        bit in mm->cpus, full barrier, mm->tlb_gen; the flusher: mm->tlb_gen, full barrier,
 *              mm->cpus and who is lazy. One of them sees the other.
 * Tests        tests/unit/mm/test_tlb_model.c
 */
#include <stdlib.h>

#include "mm/invariants.h"
#include "mm/tlb_internal.h"

struct asid_space {
	spinlock_t lock; /* of this machine's memory: priced */
	u64 generation;	 /* (atomic) multiples of 1 << bits */
	u32 bits, last;
	u64 used[];	 /* (lock) of this generation */
};

static u64 *cpus_word(struct mm *mm, const struct cpu *cpu)
{
	return &mm->cpus.bits[cpu->id / 64];
}

static u64 cpus_bit(const struct cpu *cpu)
{
	return 1ull << (cpu->id % 64);
}

bool tlb_context_is_lazy(const struct cpu *cpu)
{
	return READ_UNPRICED(cpu_tlb(cpu)->lazy) || cpu_is_idle(cpu);
}

/* ---- slots ------------------------------------------------------------------------------------------ */

void tlb_slot_forget(struct tlb_core *core, struct tlb_slot *slot)
{
	tlb_slot_empty(core, slot);
	slot->mm = NULL;
	slot->key = ~0u;
}

static bool slot_is_loaded(const struct tlb_core *core, const struct tlb_slot *slot)
{
	for (u32 i = 0; i < core->cpus; i++)
		if (core->tlbs[i] && core->tlbs[i]->slot == slot)
			return true;
	return false;
}

/* A roll-over's flush. What a sibling has loaded keeps its number, and loses its entries. */
static void core_forget(struct tlb_core *core)
{
	for (u32 i = 0; i < core->slot_count; i++) {
		if (slot_is_loaded(core, &core->slots[i]))
			tlb_slot_empty(core, &core->slots[i]);
		else
			tlb_slot_forget(core, &core->slots[i]);
	}
}

/* ---- ASIDs: the lock is held --------------------------------------------------------------------- */

static u64 asid_mask(const struct asid_space *s)
{
	return (1ull << s->bits) - 1;
}

static bool asid_take(struct asid_space *s, u32 asid)
{
	u64 bit = 1ull << (asid % 64);
	bool free = !(s->used[asid / 64] & bit);

	s->used[asid / 64] |= bit;
	return free;
}

/* What CPUs run on stays taken; so does what they ran on at the last change, if they have not switched. */
static void asid_new_generation(struct asid_space *s, struct machine *m)
{
	count_event(COUNTER_TLB_ASID_ROLLOVER);
	WRITE_ONCE(s->generation, s->generation + (1ull << s->bits));
	for (u64 i = 0; i < ((1ull << s->bits) + 63) / 64; i++)
		s->used[i] = 0;
	(void)asid_take(s, 0);
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct tlb *tlb = cpu_tlb(machine_cpu(m, i));

		if (tlb->active_asid)
			tlb->reserved_asid = tlb->active_asid;
		tlb->active_asid = 0;
		tlb->asid_flush_pending = true;
		if (tlb->reserved_asid)
			(void)asid_take(s, (u32)(tlb->reserved_asid & asid_mask(s)));
	}
}

/* An mm that some CPU has kept over a change of generations keeps its number everywhere. */
static bool asid_update_reserved(const struct asid_space *s, struct machine *m, u64 old, u64 renewed)
{
	bool found = false;

	(void)s;
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct tlb *tlb = cpu_tlb(machine_cpu(m, i));

		if (tlb->reserved_asid == old) {
			tlb->reserved_asid = renewed;
			found = true;
		}
	}
	return found;
}

static u64 asid_allocate(struct asid_space *s, struct machine *m, u64 old)
{
	const u32 count = 1u << s->bits;

	if (old) {
		u64 renewed = s->generation | (old & asid_mask(s));

		if (asid_update_reserved(s, m, old, renewed))
			return renewed;
		if (asid_take(s, (u32)(old & asid_mask(s))))
			return renewed;
	}
	for (u32 turn = 0; turn < 2; turn++) {
		for (u32 n = 0; n < count; n++) {
			u32 asid = (s->last + 1 + n) % count;

			if (asid_take(s, asid)) {
				s->last = asid;
				return s->generation | asid;
			}
		}
		asid_new_generation(s, m);
	}
	MMSIM_BUG("more CPUs than ASIDs: %u bits are too few", s->bits);
}

/* Preemption is off. The mm's ASID in the current generation, and the TLB fit for it. */
static u32 asid_load(struct asid_space *s, struct cpu *cpu, struct mm *mm)
{
	struct tlb *tlb = cpu_tlb(cpu);
	u64 asid;

	spin_lock(&s->lock);
	asid = READ_ONCE(mm->asid);
	if (!asid || ((asid ^ s->generation) & ~asid_mask(s))) {
		asid = asid_allocate(s, cpu->machine, asid);
		WRITE_ONCE(mm->asid, asid);
	}
	if (tlb->asid_flush_pending) {
		tlb->asid_flush_pending = false;
		count_event(COUNTER_TLB_SWITCH_FLUSH);
		engine_charge(COST_TLB_FLUSH_ALL);
		if (!(tlb->mmu->broken & TLB_BREAK_ROLLOVER))
			core_forget(tlb->core);
	}
	tlb->active_asid = asid;
	spin_unlock(&s->lock);
	return (u32)(asid & asid_mask(s));
}

/* ---- who has which slot ----------------------------------------------------------------------------- */

/* By ASID or PID, as the hardware has it: whose it is does not count. */
static struct tlb_slot *slot_by_key(struct tlb_core *core, struct mm *mm, u32 key)
{
	struct tlb_slot *oldest = NULL;

	for (u32 i = 0; i < core->slot_count; i++) {
		struct tlb_slot *slot = &core->slots[i];

		if (slot->mm && slot->key == key) {
			if (slot->mm != mm)
				invariants_foreign(core, slot);
			slot->mm = mm;
			return slot;
		}
		if (!slot_is_loaded(core, slot) &&
		    (!oldest || (oldest->mm && (!slot->mm || slot->used < oldest->used))))
			oldest = slot;
	}
	tlb_slot_forget(core, oldest);
	oldest->mm = mm;
	oldest->key = key;
	return oldest;
}

static struct tlb_slot *slot_by_pcid(struct tlb *tlb, struct mm *mm, u64 gen)
{
	struct tlb_slot *first = &tlb->core->slots[tlb->thread * tlb->core->slots_each];

	for (u32 i = 0; i < tlb->core->slots_each; i++)
		if (first[i].mm == mm)
			return &first[i];
	tlb->next_pcid = (u8)((tlb->next_pcid + 1) % tlb->core->slots_each);
	first += tlb->next_pcid;
	tlb_slot_forget(tlb->core, first);
	first->mm = mm;
	first->gen = gen;
	return first;
}

u32 tlb_context_key(const struct mmu_machine *mmu, const struct mm *mm)
{
	if (mmu->asids)
		return (u32)(READ_ONCE(mm->asid) & asid_mask(mmu->asids));
	return (u32)mm->context_id;
}

struct tlb_slot *tlb_context_slot(const struct tlb *tlb, u32 key)
{
	for (u32 i = 0; i < tlb->core->slot_count; i++)
		if (tlb->core->slots[i].mm && tlb->core->slots[i].key == key)
			return &tlb->core->slots[i];
	return NULL;
}

/* What it has missed while nobody told it. */
static void catch_up(struct tlb *tlb, struct tlb_slot *slot, u64 gen)
{
	if (tlb->mmu->broken & TLB_BREAK_LAZY)
		return;
	tlb->missed = false;
	if (slot->gen >= gen)
		return;
	count_event(COUNTER_TLB_SWITCH_FLUSH);
	engine_charge(COST_TLB_FLUSH_ALL);
	tlb_slot_empty(tlb->core, slot);
	slot->gen = gen;
}

/* ---- loading a page table --------------------------------------------------------------------------- */

void tlb_context_leave(struct cpu *cpu)
{
	struct tlb *tlb = cpu_tlb(cpu);
	struct mm *old = cpu->active_mm;

	cpu->active_mm = NULL;
	tlb->slot = NULL;
	if (READ_UNPRICED(tlb->lazy))
		WRITE_ONCE(tlb->lazy, 0u);
	/* Fully ordered: a flusher that misses the bit sees the TLB's last use done; and what is left
	 * in the TLB is looked at again by catch_up(). */
	if (tlb->mmu->how == TLBI_BY_IPI)
		(void)fetch_and(cpus_word(old, cpu), ~cpus_bit(cpu));
}

static void enter(struct cpu *cpu, struct mm *mm)
{
	struct tlb *tlb = cpu_tlb(cpu);
	struct tlb_slot *slot;

	line_read(mm, arch);
	/* Fully ordered, and before the first walk: see the head of mm/tlb.c. */
	if (tlb->mmu->how == TLBI_BY_IPI || !(READ_ONCE(*cpus_word(mm, cpu)) & cpus_bit(cpu)))
		(void)fetch_or(cpus_word(mm, cpu), cpus_bit(cpu));
	if (tlb->mmu->how == TLBI_BY_IPI) {
		u64 gen = READ_ONCE(mm->tlb_gen);

		slot = slot_by_pcid(tlb, mm, gen);
		catch_up(tlb, slot, gen);
	} else {
		u32 key = tlb->mmu->asids ? asid_load(tlb->mmu->asids, cpu, mm) : (u32)mm->context_id;

		slot = slot_by_key(tlb->core, mm, key);
	}
	slot->used = ++tlb->core->clock;
	tlb->slot = slot;
	tlb->regs = arch_default_regs(mm->arch, mm->pgd_pfn);
	cpu->active_mm = mm;
}

void tlb_context_load(struct cpu *cpu, struct mm *mm)
{
	struct tlb *tlb = cpu_tlb(cpu);

	if (!mm) {
		if (cpu->active_mm && !READ_UNPRICED(tlb->lazy))
			WRITE_ONCE(tlb->lazy, 1u);
		return;
	}
	/* A window: no flush comes between the steps, and each sees all of them or none. */
	cpu_insn_begin(cpu);
	if (cpu->active_mm != mm) {
		if (cpu->active_mm)
			tlb_context_leave(cpu);
		enter(cpu, mm);
	} else {
		if (READ_UNPRICED(tlb->lazy))
			(void)xchg(&tlb->lazy, 0u);
		if (tlb->mmu->how == TLBI_BY_IPI)
			catch_up(tlb, tlb->slot, READ_ONCE(mm->tlb_gen));
	}
	cpu_insn_end(cpu);
}

void tlb_context_unload(struct cpu *cpu, struct mm *mm)
{
	struct tlb_core *core = cpu_tlb(cpu)->core;

	cpu_insn_begin(cpu);
	if (cpu->active_mm == mm)
		tlb_context_leave(cpu);
	/* A sibling that has it loaded is in mm->cpus itself. */
	for (u32 i = 0; i < core->slot_count; i++)
		if (core->slots[i].mm == mm && !slot_is_loaded(core, &core->slots[i]))
			tlb_slot_forget(core, &core->slots[i]);
	cpu_insn_end(cpu);
	(void)fetch_and(cpus_word(mm, cpu), ~cpus_bit(cpu));
}

/* ---- the end of an mm ------------------------------------------------------------------------------- */

static void forget_there(struct cpu *target, void *arg)
{
	if (target->active_mm == arg)
		tlb_context_leave(target);
}

void tlb_context_forget(struct mm *mm)
{
	struct mmu_machine *mmu = mmu_machine(mm->machine);
	struct cpu *self = this_cpu();
	struct cpumask loaded = {{0}};
	bool any = false;

	preempt_disable();
	for (u32 id = 0; id < machine_cpu_count(mm->machine); id++) {
		struct cpu *cpu = machine_cpu(mm->machine, id);

		if (cpu->active_mm != mm)
			continue;
		if (cpu == self) {
			tlb_context_leave(cpu);
			continue;
		}
		if (!tlb_context_is_lazy(cpu))
			MMSIM_BUG("cpu %u has the page table of a dead mm loaded", id);
		loaded.bits[id / 64] |= cpus_bit(cpu);
		any = true;
	}
	if (any)
		(void)ipi_call_mask(&loaded, forget_there, mm);
	/* Frees the number; no TLB looks for it any more. */
	for (u32 c = 0; c < mmu->core_count; c++)
		for (u32 i = 0; i < mmu->cores[c].slot_count; i++)
			if (mmu->cores[c].slots[i].mm == mm)
				tlb_slot_forget(&mmu->cores[c], &mmu->cores[c].slots[i]);
	preempt_enable();
}

/* ---- the machine's ---------------------------------------------------------------------------------- */

static u64 asid_bytes(u32 bits)
{
	return sizeof(struct asid_space) + ((1ull << bits) + 63) / 64 * sizeof(u64);
}

int tlb_context_init(struct mmu_machine *mmu)
{
	const struct machine_model *model = machine_config(mmu->machine)->model;
	u32 bits = (u32)model->tlb_asid_bits;
	struct asid_space *s;

	if (mmu->how != TLBI_BROADCAST)
		return 0;
	/* A roll-over frees what no CPU runs on. */
	while (1u << bits < 2 * machine_cpu_count(mmu->machine))
		bits++;
	s = machine_memory_alloc(mmu->machine, asid_bytes(bits), MMSIM_CACHE_LINE_BYTES);
	if (!s)
		return -ENOMEM;
	region_set_unpriced(mmu->machine, s, asid_bytes(bits));
	spin_lock_init(&s->lock, LOCK_RANK_LEAF);
	s->bits = bits;
	s->generation = 1ull << bits;
	(void)asid_take(s, 0);
	mmu->asids = s;
	return 0;
}

void tlb_context_destroy(struct mmu_machine *mmu)
{
	if (mmu->asids)
		machine_memory_free(mmu->machine, mmu->asids, asid_bytes(mmu->asids->bits));
	mmu->asids = NULL;
}
