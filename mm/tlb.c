/*
 * mm/tlb.c - per-CPU TLBs, the user's memory accesses, and TLB invalidation
 *
 * Models       one data-and-instruction TLB of TLB_ENTRIES pages per CPU, direct-mapped; no PCID:
 *              loading another page table empties it. Entries above level 0 are broken into
 *              pages. An access that an entry forbids faults without a walk, and the fault drops
 *              the entry (Intel SDM vol. 3A 4.10.4.1), so that an upgrade of permissions needs no
 *              flush: it costs at most one spurious fault per CPU. A write by an entry whose
 *              Dirty was not set walks, to set it.
 * Leaves out   lazy TLB mode, PCID, paging-structure caches.
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
 *   - A CPU that left: it dropped its entries, then cleared its bit with a full barrier. Who does
 *     not see the bit sees everything that the CPU did before.
 *   Tables are freed in the same order, so a walk never reads a table that became something else.
 *
 * Locks        none; a struct tlb belongs to its CPU, and to who runs an IPI handler in its
 *              stead.
 * Tests        tests/unit/mm/test_tlb.c
 */
#include <stdlib.h>
#include <string.h>

#include "mm/mmu_internal.h"

#define TLB_ENTRIES 1024u
#define TLB_ATTR_BITS 8
_Static_assert(PTE_ATTR_COUNT <= TLB_ATTR_BITS, "attributes fit below the pfn");

/* A tag is generation and page number. A new generation empties the TLB; when they run out it is
 * wiped. 45 bits of page number are those of a 57-bit address with 4 KiB pages. */
#define TLB_GEN_SHIFT 45
#define TLB_GEN_ONE (1ull << TLB_GEN_SHIFT)

/* More fruitless faults on one access than this: the handler says OK and installs nothing. */
#define FAULT_TRIES_MAX (1u << 24)

struct tlb_entry {
	u64 tag;
	u64 data; /* pfn << TLB_ATTR_BITS | enum pte_attr */
};

struct tlb_flush {
	struct mm *mm;
	u64 start, end;
	bool full;
};

/* Written inside instruction windows of its CPU, or by an IPI handler for it. */
struct tlb {
	u64 gen;      /* current generation, shifted */
	u64 limit;    /* addresses at or above it never hit; 0: no page table loaded */
	u64 *content; /* memory->content */
	u32 content_mask;
	u8 content_shift;
	u8 page_shift;
	const struct memory *mem;
	struct mmu_regs regs; /* what the CPU has loaded: constant while active_mm is */
	struct tlb_entry entries[TLB_ENTRIES] __cacheline_aligned;
	/* What this CPU is telling others: not on its stack, because they read it. */
	struct tlb_flush flush __cacheline_aligned;
	struct cpumask targets;
};

/* What an entry must say to let an access through without the walker. */
static const u32 hit_needs[ACCESS_KINDS] = {
	[ACCESS_READ] = PTE_USER | PTE_READ,
	[ACCESS_WRITE] = PTE_USER | PTE_WRITE | PTE_DIRTY,
	[ACCESS_EXEC] = PTE_USER | PTE_EXEC,
};

/* ---- dropping entries: inside a window, or for a CPU that is held off ----------------------- */

static void tlb_drop_all(struct tlb *tlb)
{
	tlb->gen += TLB_GEN_ONE;
	if (unlikely(!tlb->gen)) {
		memset(tlb->entries, 0, sizeof(tlb->entries));
		tlb->gen = TLB_GEN_ONE;
	}
}

static void tlb_drop_range(struct tlb *tlb, u64 start, u64 end)
{
	for (u64 vpn = start >> tlb->page_shift; vpn < end >> tlb->page_shift; vpn++) {
		struct tlb_entry *ent = &tlb->entries[vpn % TLB_ENTRIES];

		if (ent->tag == (tlb->gen | vpn))
			ent->tag = 0;
	}
}

static void tlb_apply(struct tlb *tlb, const struct tlb_flush *f)
{
	if (f->full)
		tlb_drop_all(tlb);
	else
		tlb_drop_range(tlb, f->start, f->end);
}

/* ---- loading a page table ------------------------------------------------------------------- */

/* Preemption is off: the CPU has one page table loaded, whoever comes next on it. */
static void load_page_table(struct mm *mm)
{
	struct cpu *cpu = this_cpu();
	struct tlb *tlb = cpu->tlb;
	struct mm *old = cpu->active_mm;
	u64 bit = 1ull << (cpu->id % 64);

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
		tlb->limit = mm->arch->task_size;
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

/* Tasks of several address spaces may share a CPU. */
static void task_switch(struct task *next)
{
	load_page_table(next->mm);
}

/* ---- the machine's TLBs ------------------------------------------------------------------- */

static struct tlb *tlb_create(struct mmu_machine *mmu)
{
	const struct memory *mem = mmu->memory;
	struct tlb *tlb = objcache_alloc(mmu->tlb_cache);

	if (!tlb)
		return NULL;
	region_set_unpriced(mmu->machine, tlb, sizeof(*tlb));
	memset(tlb, 0, sizeof(*tlb));
	tlb->gen = TLB_GEN_ONE;
	tlb->mem = mem;
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
		cpu->tlb = tlb_create(mmu);
		if (!cpu->tlb)
			return -ENOMEM;
	}
	return 0;
}

static void tlbs_destroy(struct mmu_machine *mmu, struct machine *m)
{
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct cpu *cpu = machine_cpu(m, i);

		if (cpu->active_mm)
			MMSIM_BUG("cpu %u still has an mm loaded", i);
		if (cpu->tlb)
			objcache_free(mmu->tlb_cache, cpu->tlb);
		cpu->tlb = NULL;
	}
}

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
	mmm->tlbs = mmu;
	if (outside)
		machine_enter(m);
	mmu->tlb_cache =
		objcache_create(m, "tlb", sizeof(struct tlb), MMSIM_CACHE_LINE_BYTES, 0, NULL);
	mmu->gather_cache = objcache_create(m, "mmu_gather_batch", MMU_GATHER_BATCH_BYTES,
					    MMSIM_CACHE_LINE_BYTES, 0, NULL);
	if (mmu->tlb_cache && mmu->gather_cache)
		err = tlbs_create(mmu, m);
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

/* What is not a plain hit, inside the window: let the TLB itself refuse the access (then its entry
 * goes with the fault), or walk and fill it. false: w says why. */
static inline bool tlb_translate(struct tlb *tlb, const struct mm *mm, u64 va,
				 enum access_kind kind, struct mmu_walk *w)
{
	const struct arch_desc *a = mm->arch;
	u64 vpn = va >> tlb->page_shift, tag = tlb->gen | vpn;
	struct tlb_entry *ent = &tlb->entries[vpn % TLB_ENTRIES];
	u32 need = hit_needs[kind] & ~(u32)PTE_DIRTY;

	if (unlikely(ent->tag == tag && (ent->data & need) != need && va < tlb->limit)) {
		ent->tag = 0;
		w->cause = MMU_DENIED;
		w->level = 0;
		return false;
	}
	count_event(COUNTER_TLB_MISS);
	if (!a->ops->walk(a, mm->memory, &tlb->regs, va, kind, true, w))
		return false;
	ent->tag = tag;
	ent->data = w->pfn << TLB_ATTR_BITS | w->attrs;
	return true;
}

/* From the MMU's refusal to the handler's answer, as the CPU does it: by way of the syndrome. */
static enum fault_result take_fault(const struct tlb *tlb, struct mm *mm, u64 va,
				    enum access_kind kind, const struct mmu_walk *w)
{
	const struct arch_desc *a = mm->arch;
	struct syndrome s = a->ops->raise(a, &tlb->regs, va, kind, true, w);
	struct mmu_fault f;

	engine_charge(COST_EXCEPTION);
	if (a->entry_prefetches_lock)
		prefetch_write(&mm->mmap_lock.count);
	a->ops->decode(a, s, &f);
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
		if (unlikely(mm->arch->hashed))
			mm->arch->ops->preload(mm->arch, mm->memory,
					       &((struct tlb *)cpu->tlb)->regs, va, kind, true);
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
	need = hit_needs[kind];
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
	const u32 need = hit_needs[kind] & ~(u32)PTE_DIRTY;
	spinlock_t *ptl;
	pte_t *pte, e;

	if (va >= mm->arch->task_size)
		return false;
	pte = pgtable_lookup(mm, va, &ptl);
	if (!pte)
		return false;
	e = pte_get(pte);
	return pte_present(mm->arch, e) && (pte_attrs(mm->arch, e) & (need | PTE_HIDDEN)) == need;
}

/* ---- invalidation --------------------------------------------------------------------------- */

/* On a target, by whichever way. A CPU that has switched away meanwhile has nothing of this mm any more. */
static void tlb_flush_there(struct cpu *target, void *arg)
{
	const struct tlb_flush *f = arg;

	if (target->active_mm == f->mm)
		tlb_apply(target->tlb, f);
}

/* The CPUs besides this one that may translate for mm. False: none. */
static bool flush_targets(struct mm *mm, const struct cpu *cpu, struct cpumask *targets)
{
	u32 words = (machine_cpu_count(cpu->machine) + 63) / 64;
	u64 any = 0;

	for (u32 i = 0; i < words; i++) {
		u64 bits = smp_load_acquire(&mm->cpus.bits[i]);

		if (i == cpu->id / 64)
			bits &= ~(1ull << (cpu->id % 64));
		targets->bits[i] = bits;
		any |= bits;
	}
	return any != 0;
}

static enum tlb_invalidation invalidation(const struct mm *mm, const struct cpu *cpu)
{
	u32 machine = machine_tlb_invalidation(cpu->machine);

	return (enum tlb_invalidation)max(machine, (u32)mm->arch->tlb_invalidation);
}

/* How many local instructions, or broadcast ones, that is. */
static u64 flush_operations(const struct mm *mm, const struct tlb_flush *f)
{
	return f->full ? 1 : (f->end - f->start) >> mm->arch->page_shift;
}

static void flush_own(const struct mm *mm, struct cpu *cpu, struct tlb_flush *f, bool carried)
{
	count_event(COUNTER_TLB_FLUSH_LOCAL);
	if (!carried)
		engine_charge_n(f->full ? COST_TLB_FLUSH_ALL : COST_TLB_FLUSH_PAGE,
				flush_operations(mm, f));
	/* A window, because another CPU may be flushing this TLB in our stead. */
	cpu_insn_begin(cpu);
	tlb_apply(cpu->tlb, f);
	cpu_insn_end(cpu);
}

/*
 * By IPI: to whom it may concern. Broadcast: to all, and to the own TLB with it. arm64 has it so
 * even if no other CPU is concerned; ppc64 then keeps it local (tlbiel), as Linux does for an mm
 * that one CPU alone has used.
 */
static void tlb_flush(struct mm *mm, u64 start, u64 end, bool full)
{
	struct cpu *cpu = this_cpu();
	enum tlb_invalidation how = invalidation(mm, cpu);
	struct tlb *tlb;
	struct tlb_flush *f;
	bool others, carried;

	preempt_disable();
	tlb = cpu->tlb;
	f = &tlb->flush;
	*f = (struct tlb_flush){.mm = mm, .start = start, .end = end, .full = full};
	/* The change of the entries before the look at who uses them; pairs with the fetch_or in
	 * mmu_switch(). */
	smp_mb();
	if (full)
		count_event(COUNTER_TLB_FLUSH_FULL);
	others = flush_targets(mm, cpu, &tlb->targets);
	carried = how == TLBI_BROADCAST || (how == TLBI_SERIALISED && others);
	if (cpu->active_mm == mm)
		flush_own(mm, cpu, f, carried);
	if (others)
		count_event(COUNTER_TLB_SHOOTDOWN);
	if (carried) {
		count_event(COUNTER_TLB_BROADCAST);
		(void)tlbi_broadcast(&tlb->targets, tlb_flush_there, f, flush_operations(mm, f),
				     how == TLBI_SERIALISED);
	} else if (others) {
		(void)ipi_call_mask(&tlb->targets, tlb_flush_there, f);
	}
	preempt_enable();
}

void tlb_flush_range(struct mm *mm, u64 start, u64 end, bool freed_tables)
{
	u64 pages = start < end ? (end - start) >> mm->arch->page_shift : 0;

	/* Freed tables: a walk in flight is waited for by the IPI as such; there are no
	 * paging-structure caches to empty. */
	(void)freed_tables;
	tlb_flush(mm, start, end, pages > mm->arch->tlb_full_flush_pages);
}

void tlb_flush_page(struct mm *mm, u64 va)
{
	u64 page = arch_page_bytes(mm->arch);

	va = ALIGN_DOWN(va, page);
	tlb_flush(mm, va, va + page, false);
}

void tlb_flush_mm(struct mm *mm)
{
	tlb_flush(mm, 0, 0, true);
}
