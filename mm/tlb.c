/*
 * mm/tlb.c - the user's memory accesses, by way of the TLB; loading page tables
 *
 * Models       An access that a TLB entry forbids faults without a walk, and the fault drops the
 *              entry (Intel SDM vol. 3A 4.10.4.1), so that an upgrade of permissions needs no
 *              flush: it costs at most one spurious fault per CPU. A write by an entry whose
 *              Dirty was not set walks, to set it.
 *              The TLB is what the machine model says (mm/tlb_model.c). Without a model it is a
 *              simple one: TLB_ENTRIES pages per CPU for data and instructions, direct-mapped, huge
 *              leaves broken into pages, no PCID (loading another page table empties it), no lazy
 *              mode, no paging-structure caches.
 *
 * Why a frame is never used after it was freed
 *   Unmapping is: clear the entry; smp_mb(); read mm->cpus; invalidate here and, by IPI, on the
 *   other CPUs in it; free. A user access is one instruction window (cpu.h): TLB, walk, load or
 *   store.
 *   - A CPU that is in mm->cpus: its handler runs between two windows. The window before is over,
 *     so its access came before the free. The one after finds no TLB entry, walks, and finds the
 *     entry cleared: the clear came before the IPI.
 *   - A CPU that joins mm->cpus at the same time (mmu_switch: set the bit, a full barrier, then
 *     walk): either the flusher's read, after its smp_mb(), sees the bit; or the walk sees the
 *     cleared entry. Not seeing either is what the two barriers together exclude.
 *   - A CPU that left: it dropped its entries, or will ask before it uses them again
 *     (mm/tlb_context.c), then cleared its bit with a full barrier. Who does not see the bit sees
 *     everything that the CPU did before.
 *   Tables are freed in the same order, so a walk never reads a table that became something else.
 *
 * Locks        none; a struct tlb belongs to its CPU, and to who runs an IPI handler in its
 *              stead.
 * See          mm/tlb_flush.c: invalidation
 * Tests        tests/unit/mm/test_tlb.c
 */
#include <stdlib.h>
#include <string.h>

#include "mm/invariants.h"
#include "mm/tlb_internal.h"

/* More fruitless faults on one access than this: the handler says OK and installs nothing. */
#define FAULT_TRIES_MAX (1u << 24)

/* ---- loading a page table ------------------------------------------------------------------- */

/* Preemption is off: the CPU has one page table loaded, whoever comes next on it. */
static void load_page_table(struct mm *mm)
{
	struct cpu *cpu = this_cpu();
	struct tlb *tlb = cpu->tlb;
	struct mm *old = cpu->active_mm;
	u64 bit = 1ull << (cpu->id % 64);

	if (tlb->core) {
		tlb_context_load(cpu, mm);
		return;
	}
	if (old == mm)
		return;
	if (old) {
		cpu_insn_begin(cpu);
		tlb_drop_all(tlb);
		tlb->limit = 0;
		cpu->active_mm = NULL;
		cpu_insn_end(cpu);
		/* Fully ordered: a flusher that misses the bit sees the TLB's last use done. */
		(void)fetch_and(&old->cpus.bits[cpu->id / 64], ~bit);
	}
	if (mm) {
		line_read(mm, arch);
		/* Fully ordered, and before the first walk: see the head of the file. */
		(void)fetch_or(&mm->cpus.bits[cpu->id / 64], bit);
		cpu_insn_begin(cpu);
		cpu->active_mm = mm;
		tlb->regs = arch_default_regs(mm->arch, mm->pgd_pfn);
		tlb->limit = tlb->mmu->invariants ? 0 : mm->arch->task_size;
		cpu_insn_end(cpu);
	}
}

void mmu_switch(struct mm *mm)
{
	preempt_disable();
	current_task()->mm = mm;
	load_page_table(mm);
	preempt_enable();
}

void mmu_unload(struct mm *mm)
{
	preempt_disable();
	if (current_task()->mm == mm)
		current_task()->mm = NULL;
	if (mmu_machine(mm->machine)->cores)
		tlb_context_unload(this_cpu(), mm);
	else if (this_cpu()->active_mm == mm)
		load_page_table(NULL);
	preempt_enable();
}

void mmu_forget(struct mm *mm)
{
	if (mmu_machine(mm->machine)->cores) {
		if (current_task()->mm == mm)
			current_task()->mm = NULL;
		tlb_context_forget(mm);
		return;
	}
	if (this_cpu()->active_mm == mm)
		mmu_switch(NULL);
	for (u32 i = 0; i < ARRAY_SIZE(mm->cpus.bits); i++)
		if (smp_load_acquire(&mm->cpus.bits[i]))
			MMSIM_BUG("a CPU in [%u, %u) has the page table of a dead mm loaded",
				  i * 64, i * 64 + 64);
}

/* Tasks of several address spaces may share a CPU. */
static void task_switch(struct task *next)
{
	load_page_table(next->mm);
}

/* ---- the machine's TLBs ------------------------------------------------------------------- */

static struct tlb *tlb_create(struct mmu_machine *mmu, struct cpu *cpu)
{
	const struct memory *mem = mmu->memory;
	struct tlb *tlb = objcache_alloc(mmu->tlb_cache);

	if (!tlb)
		return NULL;
	region_set_unpriced(mmu->machine, tlb, sizeof(*tlb));
	memset(tlb, 0, sizeof(*tlb));
	tlb->gen = TLB_GEN_ONE;
	tlb->mem = mem;
	tlb->mmu = mmu;
	tlb->cpu = cpu;
	tlb->content = mem->content;
	tlb->content_mask = mem->content_words - 1;
	tlb->content_shift = (u8)__builtin_ctz(mem->content_words);
	tlb->page_shift = mmu->arch->page_shift;
	return tlb;
}

/* One TLB for each CPU there is. */
static int tlbs_create(struct mmu_machine *mmu, struct machine *m)
{
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct cpu *cpu = machine_cpu(m, i);

		cpu->active_mm = NULL;
		cpu->tlb = tlb_create(mmu, cpu);
		if (!cpu->tlb)
			return -ENOMEM;
	}
	if (tlb_model_create(mmu, m))
		return -ENOMEM;
	return mmu->cores || MMU_PARANOID ? invariants_create(mmu) : 0;
}

void tlb_check_invariants(struct machine *m)
{
	struct mmu_machine *mmu = mmu_machine(m);

	if (!mmu->invariants && invariants_create(mmu))
		MMSIM_BUG("the host has no memory for the checker");
}

static void tlbs_destroy(struct mmu_machine *mmu, struct machine *m)
{
	invariants_destroy(mmu);
	tlb_model_destroy(mmu);
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct cpu *cpu = machine_cpu(m, i);

		if (cpu->active_mm)
			MMSIM_BUG("cpu %u still has an mm loaded", i);
		if (cpu->tlb)
			objcache_free(mmu->tlb_cache, cpu->tlb);
		cpu->tlb = NULL;
	}
}

static const struct obj_field tlb_fields[] = {
	OBJ_FROM(0, "tlb"),
	OBJ_FIELD(struct tlb, flush, "tlb->flush_tlb_info"),
	OBJ_FIELD(struct tlb, targets, "tlb->flush_tlb_mask"),
	OBJ_FIELD(struct tlb, lazy, "tlb->is_lazy"),
};
static const struct obj_layout tlb_layout = {
	ALIGN_UP(sizeof(struct tlb), MMSIM_CACHE_LINE_BYTES), ARRAY_SIZE(tlb_fields), tlb_fields
};
static const struct obj_field gather_fields[] = { OBJ_FROM(0, "mmu_gather_batch") };
static const struct obj_layout gather_layout = { MMU_GATHER_BATCH_BYTES, ARRAY_SIZE(gather_fields), gather_fields };

int tlb_machine_init(struct machine *m, const struct arch_desc *arch)
{
	struct mm_machine *mmm = mm_machine(m);
	u32 words = mmm->memory.content_words;
	bool outside = !this_cpu(); /* caches need a CPU to allocate on */
	struct mmu_machine *mmu;
	int err = -ENOMEM;

	MMSIM_BUG_ON(arch->task_size >> arch->page_shift > TLB_GEN_ONE);
	if (words == 0 || (words & (words - 1)) != 0)
		return -EINVAL;
	mmu = calloc(1, sizeof(*mmu));
	if (!mmu)
		return -ENOMEM;
	mmu->machine = m;
	mmu->arch = arch;
	mmu->memory = &mmm->memory;
	mmu->how = (enum tlb_invalidation)max(machine_tlb_invalidation(m), (u32)arch->tlb_invalidation);
	mmu->range_operations = machine_config(m)->model && machine_config(m)->model->tlb_range_operations;
	mmm->tlbs = mmu;
	if (outside)
		machine_enter(m);
	mmu->tlb_cache =
		objcache_create(m, "tlb", sizeof(struct tlb), MMSIM_CACHE_LINE_BYTES, 0, NULL);
	mmu->gather_cache = objcache_create(m, "mmu_gather_batch", MMU_GATHER_BATCH_BYTES,
					    MMSIM_CACHE_LINE_BYTES, 0, NULL);
	if (mmu->tlb_cache && mmu->gather_cache) {
		objcache_set_layout(mmu->tlb_cache, &tlb_layout);
		objcache_set_layout(mmu->gather_cache, &gather_layout);
		err = tlbs_create(mmu, m);
	}
	if (!err && arch->ops->machine_init)
		err = arch->ops->machine_init(arch, m, &mmm->memory);
	machine_set_task_switch(m, task_switch);
	if (outside)
		machine_leave();
	if (err)
		tlb_machine_destroy(m);
	return err;
}

void tlb_machine_destroy(struct machine *m)
{
	struct mmu_machine *mmu = mmu_machine(m);
	bool outside = !this_cpu();

	if (!mmu)
		return;
	if (outside)
		machine_enter(m);
	machine_set_task_switch(m, NULL);
	pgtable_drain_freed(m);
	if (mmu->arch->ops->machine_destroy)
		mmu->arch->ops->machine_destroy(m, &mm_machine(m)->memory);
	tlbs_destroy(mmu, m);
	if (mmu->tlb_cache)
		objcache_destroy(mmu->tlb_cache);
	if (mmu->gather_cache)
		objcache_destroy(mmu->gather_cache);
	if (outside)
		machine_leave();
	mm_machine(m)->tlbs = NULL;
	free(mmu);
}

/* ---- one access ----------------------------------------------------------------------------- */

/* Load or store the content word of va in page pfn. Inside the window. */
static ALWAYS_INLINE void access_content(const struct tlb *tlb, u64 pfn, u64 va,
					 enum access_kind kind, u64 *value)
{
	u64 *word = &tlb->content[(pfn << tlb->content_shift) | (va / 8 & tlb->content_mask)];

	if (MMU_PARANOID && READ_UNPRICED(pfn_to_page(tlb->mem, pfn)->refcount.counter) <= 0)
		MMSIM_BUG("cpu %u reaches freed frame %#llx at %#llx", this_cpu()->id,
			  (unsigned long long)pfn, (unsigned long long)va);
	if (kind == ACCESS_WRITE) {
		WRITE_ONCE(*word, *value);
	} else {
		u64 loaded = READ_ONCE(*word);

		if (value)
			*value = loaded;
	}
}

/* With the checker on, no access is made on the fast path. */
static NOINLINE bool checked_hit(struct tlb *tlb, const struct mm *mm, u64 va, enum access_kind kind,
				 const struct tlb_entry *ent, u64 tag, struct mmu_walk *w)
{
	u32 need = tlb_hit_needs[kind];

	if (ent->tag != tag || (ent->data & need) != need || va >= mm->arch->task_size)
		return false;
	count_event(COUNTER_TLB_HIT);
	w->pfn = ent->data >> TLB_ATTR_BITS;
	invariants_used(tlb->mmu, mm, va, w->pfn);
	return true;
}

/* What is not a plain hit, inside the window: let the TLB itself refuse the access (then its entry
 * goes with the fault), or walk and fill it. false: w says why. */
static inline bool tlb_translate(struct tlb *tlb, struct mm *mm, u64 va,
				 enum access_kind kind, struct mmu_walk *w)
{
	const struct arch_desc *a = mmu_arch(mm);
	u64 vpn = va >> tlb->page_shift, tag = tlb->gen | vpn;
	struct tlb_entry *ent = &tlb->entries[vpn % TLB_ENTRIES];
	u32 need = tlb_hit_needs[kind] & ~(u32)PTE_DIRTY;

	if (tlb->core)
		return tlb_model_translate(tlb, mm, va, kind, w);
	if (unlikely(ent->tag == tag && (ent->data & need) != need && va < a->task_size)) {
		ent->tag = 0;
		*w = (struct mmu_walk){.cause = MMU_DENIED};
		return false;
	}
	if (unlikely(!tlb->limit) && checked_hit(tlb, mm, va, kind, ent, tag, w))
		return true;
	count_event(COUNTER_TLB_MISS);
	if (!a->ops->walk(a, tlb->mem, &tlb->regs, va, kind, true, w))
		return false;
	ent->tag = tag;
	ent->data = w->pfn << TLB_ATTR_BITS | w->attrs;
	if (unlikely(!tlb->limit))
		invariants_filled(tlb->mmu, mm, va, w->pfn);
	return true;
}

/* From the MMU's refusal to the handler's answer, as the CPU does it: by way of the syndrome. */
static enum fault_result take_fault(const struct tlb *tlb, struct mm *mm, u64 va,
				    enum access_kind kind, const struct mmu_walk *w)
{
	const struct arch_desc *a = mmu_arch(mm);
	struct syndrome s = a->ops->raise(a, &tlb->regs, va, kind, true, w);
	struct mmu_fault f;

	a->ops->decode(a, s, &f);
	if (tlb->core && unlikely(tlb->core->watched))
		tlb_tell(tlb->core, (struct tlb_event){.kind = TLB_EVENT_FAULT, .va = va, .w = *w,
						       .syndrome = s, .fault = f});
	engine_charge(COST_EXCEPTION);
	if (a->entry_prefetches_lock)
		prefetch_write(&mm->mmap_lock.count);
	if (unlikely(f.cause == MMU_RESERVED || f.cause == MMU_BAD_OUTPUT))
		MMSIM_BUG("corrupt page table at %#llx: syndrome %#llx", (unsigned long long)va,
			  (unsigned long long)s.code);
	/* No page fault: a signal, and no mapping could help. */
	if (unlikely(f.cause == MMU_BAD_ADDRESS))
		return FAULT_SIGSEGV_MAPERR;
	if (unlikely(f.cause == MMU_KEY))
		return FAULT_SIGSEGV_ACCERR;
	return fault_handle(mm, f.va, f.kind, f.user);
}

/* Not a plain hit. Entered inside the window, left outside. */
static NOINLINE enum fault_result access_slow(struct cpu *cpu, u64 va, enum access_kind kind,
					      u64 *value)
{
	for (u32 tries = 0; tries < FAULT_TRIES_MAX; tries++) {
		struct tlb *tlb = cpu->tlb;
		struct mm *mm = cpu->active_mm;
		struct mmu_walk w;
		enum fault_result result;

		MMSIM_BUG_ON(!mm);
		if (tlb_translate(tlb, mm, va, kind, &w)) {
			access_content(tlb, w.pfn, va, kind, value);
			cpu_insn_end(cpu);
			return FAULT_OK;
		}
		cpu_insn_end(cpu);
		result = take_fault(tlb, mm, va, kind, &w);
		if (result != FAULT_OK)
			return result;
		cpu = this_cpu();
		cpu_insn_begin(cpu);
		tlb = cpu->tlb;
		if (unlikely(mmu_arch(mm)->hashed))
			mmu_arch(mm)->ops->preload(mmu_arch(mm), tlb->mem, &tlb->regs, va, kind,
						   true);
	}
	MMSIM_BUG("fault at %#llx (access %d) is said to be resolved and comes back for ever",
		  (unsigned long long)va, (int)kind);
}

enum fault_result user_access(u64 va, enum access_kind kind, u64 *value)
{
	struct cpu *cpu = this_cpu();
	const struct tlb_entry *ent;
	struct tlb *tlb;
	u32 need;
	u64 vpn;

	engine_user_mode();
	cpu_insn_begin(cpu);
	tlb = cpu->tlb;
	vpn = va >> tlb->page_shift;
	ent = &tlb->entries[vpn % TLB_ENTRIES];
	need = tlb_hit_needs[kind];
	if (unlikely(ent->tag != (tlb->gen | vpn) || (ent->data & need) != need ||
		     va >= tlb->limit))
		return access_slow(cpu, va, kind, value);
	count_event(COUNTER_TLB_HIT);
	access_content(tlb, ent->data >> TLB_ATTR_BITS, va, kind, value);
	cpu_insn_end(cpu);
	return FAULT_OK;
}

bool mmu_translate(struct mm *mm, u64 va, enum access_kind kind, bool user, u64 *pfn,
		   struct syndrome *s)
{
	const struct arch_desc *a = mm->arch;
	const struct mmu_regs regs = arch_default_regs(a, mm->pgd_pfn);
	struct cpu *cpu = this_cpu();
	struct mmu_walk w;
	bool ok;

	cpu_insn_begin(cpu);
	ok = a->ops->walk(a, mm->memory, &regs, va, kind, user, &w);
	cpu_insn_end(cpu);
	if (ok)
		*pfn = w.pfn;
	else
		*s = a->ops->raise(a, &regs, va, kind, user, &w);
	return ok;
}

bool mmu_probe(struct mm *mm, u64 va, enum access_kind kind)
{
	const u32 need = tlb_hit_needs[kind] & ~(u32)PTE_DIRTY;
	pte_t e;

	if (va >= mm->arch->task_size)
		return false;
	e = pgtable_translation(mm, va);
	return pte_present(mm->arch, e) && (pte_attrs(mm->arch, e) & (need | PTE_HIDDEN)) == need;
}
