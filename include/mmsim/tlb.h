/*
 * mmsim/tlb.h - what a user instruction does: TLB, walk, fault, access; and TLB invalidation
 */
#ifndef MMSIM_TLB_H
#define MMSIM_TLB_H

#include <mmsim/fault.h>
#include <mmsim/mm.h>

/* Per-CPU TLBs of a machine: part of mm_machine_init(), after memory_init(). 0, -ENOMEM, or
 * -EINVAL: content_words is not a power of two. */
int MUST_CHECK tlb_machine_init(struct machine *m, const struct arch_desc *arch);
/* No mm may be left. Waits for all RCU call-backs of the machine, so that tables, VMAs and tree
 * nodes on their way out are back in their caches. Caller entered or not. */
void tlb_machine_destroy(struct machine *m);

/* Watch the TLBs of this machine (mm/invariants.c), at a cost natively. After mm_machine_init(),
 * before the first mm. On already where TLBs are modelled and in debug builds. */
void tlb_check_invariants(struct machine *m);

/* Load mm's page table into the calling task's CPU (CR3 write): accesses go to it from now on.
 * NULL: none, as a kernel task: what is loaded may stay, unused. Maintains mm->cpus. The mm must stay
 * alive while loaded: a task ends with mmu_switch(NULL), or it is the one that drops the last
 * reference. */
void mmu_switch(struct mm *mm);
/* The calling task has done with mm, and its CPU with it: nothing of mm stays in the CPU's TLB, lazily or under a
 * tag, and no flush is sent there until it loads mm again. (Linux keeps the bit in mm_cpumask() where flushes go
 * by the fabric: this is for tasks that are none of the modelled program's.) */
void mmu_unload(struct mm *mm);

/*
 * One access by the current task at va in the loaded mm, as user code: look up, walk, fault and
 * try again until it succeeds or is a signal. write: *value is stored in the page's content word
 * (va / 8) % content_words; read: loaded into *value (may be NULL). Sets Accessed and Dirty.
 * Context: task, no locks. May sleep in the fault.
 */
enum fault_result user_access(u64 va, enum access_kind kind, u64 *value);

static inline enum fault_result user_write(u64 va, u64 value)
{
	return user_access(va, ACCESS_WRITE, &value);
}
static inline enum fault_result user_read(u64 va, u64 *value)
{
	return user_access(va, ACCESS_READ, value);
}

/*
 * Translate by the page table, not the TLB: would the access succeed without a fault? (Sets A/D as
 * the MMU would.) Returns true and the pfn, or false and the syndrome. The mm is loaded on this
 * CPU, or nobody unmaps.
 */
bool mmu_translate(struct mm *mm, u64 va, enum access_kind kind, bool user, u64 *pfn,
		   struct syndrome *s);

/* Is va mapped, by the page table, in a way that allows a user kind? Changes nothing. For tests and
 * replay; the answer means something only while nobody unmaps. */
bool mmu_probe(struct mm *mm, u64 va, enum access_kind kind);

/* ---- invalidation: on return no CPU translates [start, end) of mm with an older entry -------- */
/* level: of the smallest leaves that were changed there (Linux: stride). One invalidation for each; smaller
 * translations may survive. The range is rounded out to such leaves. */
void tlb_flush_range(struct mm *mm, u64 start, u64 end, u32 level, bool freed_tables);
/* The leaf of level 1 at va, which is or was there (Linux: flush_pmd_tlb_range()). */
void tlb_flush_leaf(struct mm *mm, u64 va);
void tlb_flush_page(struct mm *mm, u64 va);
void tlb_flush_mm(struct mm *mm);

/* ---- watching: for who shows what a TLB does (mmsim walk) --------------------------------------- */

#define TLB_L2 3 /* tlb_event.array; below it the L1 of leaves of that level */

enum tlb_event_kind {
	TLB_EVENT_MISS,	       /* array, set: no entry for the base page at va there */
	TLB_EVENT_HIT,	       /* an entry of array, set and way translates */
	TLB_EVENT_FORBIDS,     /* likewise, but it refuses: a fault, and the entry goes */
	TLB_EVENT_CLEAN,       /* likewise, but not for a first store: the walk sets Dirty */
	TLB_EVENT_WALK_CACHED, /* the walk begins at the table pa, of level, by the walk cache's entry `way` */
	TLB_EVENT_WALK_ROOT,   /* ... at the root */
	TLB_EVENT_READ,	       /* the walk has read `entry` at pa, of level */
	TLB_EVENT_WALKED,      /* the walk is over: w, if !refused the translation */
	TLB_EVENT_FILL,	       /* va -> pa is put into array, set, way */
	TLB_EVENT_WALK_FILL,   /* the table pa of level is put into the walk cache */
	TLB_EVENT_DROP,	       /* what array, set, way had for va goes */
	TLB_EVENT_EMPTY,       /* all translations and walk-cache entries of the context */
	TLB_EVENT_WALK_EMPTY,  /* its walk-cache entries */
	TLB_EVENT_FAULT,       /* the CPU raises `syndrome`, of which the kernel's entry makes `fault` */
	TLB_EVENT_KINDS,
};

struct tlb_event {
	enum tlb_event_kind kind;
	u8 array, level;
	u32 set, way;
	u32 context; /* whose: PCID, ASID or PID */
	u64 va;	     /* first address of the page, or of what the table serves */
	u64 pa;
	pte_t entry;
	bool refused;
	struct mmu_walk w;
	struct syndrome syndrome;
	struct mmu_fault fault;
	u64 now_ps;
};

/* fn sees what the modelled TLBs of the calling task's CPU do, inside its instruction windows; NULL:
 * no longer. It must not touch simulated memory by the primitives. false: no model, nothing to see. */
bool tlb_watch(void (*fn)(void *arg, const struct tlb_event *e), void *arg);
/* What the loaded address space is called in this CPU's TLB. */
u32 tlb_context_number(void);

#endif
