/*
 * mm/tlb_internal.h - what a TLB is made of, to mm/tlb*.c and mm/invariants.c alone
 *
 * A machine that is given as a model (machine_config.model; tlb.l1_entries not 0) has the TLBs that
 * the model says: struct tlb_core, one per CPU or per SMT core. Any other machine has the small
 * direct-mapped array in struct tlb, which costs the host least. The fast path of user_access() looks
 * into the array only: where there is a core, `limit` is 0 and every access goes the other way.
 */
#ifndef MMSIM_MM_TLB_INTERNAL_H
#define MMSIM_MM_TLB_INTERNAL_H

#include <string.h>

#include <mmsim/machine_model.h>
#include <mmsim/tlb.h>

#include "mm/mmu_internal.h"

#define TLB_ENTRIES 1024u
#define TLB_ATTR_BITS 8
_Static_assert(PTE_ATTR_COUNT <= TLB_ATTR_BITS, "attributes fit below the pfn");

/* A tag is generation and page number. A new generation empties the TLB; when they run out it is
 * wiped. 45 bits of page number are those of a 57-bit address with 4 KiB pages. */
#define TLB_GEN_SHIFT 45
#define TLB_GEN_ONE (1ull << TLB_GEN_SHIFT)

struct tlb_entry {
	u64 tag;
	u64 data; /* pfn << TLB_ATTR_BITS | enum pte_attr */
};

/* ---- a core's TLBs as the machine model says ------------------------------------------------- */

#define TLB_L1_ARRAYS 3 /* for base pages, leaves of level 1, and larger ones */
#define TLB_SLOTS_MAX 64u

/* Page sizes, smallest first: a leaf of each level, and a group of leaves that say that they are
 * contiguous (arch_desc.group_bits). */
static inline u32 tlb_size(u32 level, bool group)
{
	return level * 2 + group;
}

static inline u32 tlb_size_level(u32 size)
{
	return size / 2;
}

static inline u32 tlb_size_shift(const struct arch_desc *a, u32 size)
{
	u32 level = tlb_size_level(size);

	return level_shift(a, level) + (size & 1 ? a->group_bits[level] : 0);
}

static inline u64 tlb_size_bytes(const struct arch_desc *a, u32 size)
{
	return 1ull << tlb_size_shift(a, size);
}

/* A translation of one leaf or group. Dead when its slot has another tag by now. */
struct tlb_way {
	u64 page;	  /* va >> the size's shift */
	u64 pfn;	  /* its first frame */
	u32 tag;	  /* 0: empty */
	u32 used;	  /* tlb_core.clock when it was used last */
	u32 next, prev;	  /* entries of the same frame, numbered over all cores, plus 1; 0: none */
	u8 slot, size, attrs;
};

struct tlb_array {
	struct tlb_way *ways; /* [set * associativity] */
	u32 sets, associativity;
};

/* Entry of a paging-structure cache: where the table is that serves va >> shift. */
struct walk_way {
	u64 prefix, table;
	u32 tag, used;
};

/*
 * An address space as a TLB knows it: x86: a PCID of one CPU; others: an ASID or PID. Another tag is
 * as good as having dropped every entry.
 */
struct tlb_slot {
	struct mm *mm;	/* whose entries, or NULL */
	u32 key;	/* ASID, PID; x86: unused */
	u32 tag;	/* of live translations */
	u32 walk_tag;	/* of live entries of the paging-structure caches */
	u32 used;
	u64 gen;	/* x86: mm->tlb_gen up to which its flushes have been done */
};

struct tlb_core {
	struct tlb_array l1[TLB_L1_ARRAYS], l2;
	struct walk_way *walks[ARCH_LEVELS_MAX]; /* [n]: leads to a table of level n */
	u32 walk_count[ARCH_LEVELS_MAX];
	u16 sizes_seen;	 /* bit n: a translation of that size has been filled in */
	u8 cpus;	 /* that share it */
	bool watched;	 /* mm/tlb_watch.c */
	u16 slots_each;	 /* x86: PCIDs of each CPU; 0: slots are everybody's */
	u32 slot_count;
	u32 clock;
	u32 last_tag;
	u32 number;
	u32 way_count;	 /* the same in every core */
	struct mmu_machine *mmu;
	struct tlb_way *ways; /* all of the arrays' */
	struct walk_way *walk_ways;
	struct tlb *tlbs[8];  /* of the CPUs, by SMT thread */
	void (*watch)(void *arg, const struct tlb_event *e);
	void *watch_arg;
	struct tlb_slot slots[TLB_SLOTS_MAX];
};

static inline struct tlb_array *tlb_l1(struct tlb_core *core, u32 size)
{
	return &core->l1[min(tlb_size_level(size), TLB_L1_ARRAYS - 1u)];
}

struct walk_path; /* arch/walk.h */

struct tlb_flush {
	struct mm *mm;
	u64 start, end;
	u64 gen;	/* x86: mm->tlb_gen that it brings */
	u8 level;	/* of the leaves that it names, at least */
	u32 key;	/* others: the ASID or PID that it names */
	bool full;
	bool tables;	/* page tables are going to be freed: nothing may walk them */
};

/* One CPU's. Written inside instruction windows of its CPU, or by an IPI handler for it. */
struct tlb {
	u64 gen;      /* current generation, shifted */
	u64 limit;    /* addresses at or above it never hit; 0: no page table loaded, or see above */
	u64 *content; /* memory->content */
	u32 content_mask;
	u8 content_shift;
	u8 page_shift;
	const struct memory *mem;
	struct mmu_regs regs; /* what the CPU has loaded: constant while active_mm is */
	struct tlb_core *core; /* NULL: entries[] is all there is */
	struct tlb_slot *slot; /* of active_mm; in core */
	struct cpu *cpu;
	struct mmu_machine *mmu;
	u8 thread;	       /* in the core */
	u8 next_pcid;
	bool asid_flush_pending;
	/* A flush left it out while it was away, and it has not looked yet. To the checker alone: what it
	 * would look at does not count as usable, because a use before the look stops the run. */
	bool missed;
	u64 active_asid, reserved_asid; /* (asid_lock) generation and ASID; 0: none */
	struct tlb_entry entries[TLB_ENTRIES] __cacheline_aligned;
	/* What this CPU is telling others: not on its stack, because they read it. */
	struct tlb_flush flush __cacheline_aligned;
	struct cpumask targets;
	/* (atomic) it runs a kernel task with a user's page table: others' flushes read it. */
	u32 lazy __cacheline_aligned;
};

/* What an entry must say to let an access through without the walker. */
static const u32 tlb_hit_needs[ACCESS_KINDS] __attribute__((unused)) = {
	[ACCESS_READ] = PTE_USER | PTE_READ,
	[ACCESS_WRITE] = PTE_USER | PTE_WRITE | PTE_DIRTY,
	[ACCESS_EXEC] = PTE_USER | PTE_EXEC,
};

static inline struct tlb *cpu_tlb(const struct cpu *cpu)
{
	return cpu->tlb;
}

/* Inside an instruction window, or for a CPU that is held off: empty entries[]. */
static inline void tlb_drop_all(struct tlb *tlb)
{
	tlb->gen += TLB_GEN_ONE;
	if (unlikely(!tlb->gen)) {
		memset(tlb->entries, 0, sizeof(tlb->entries));
		tlb->gen = TLB_GEN_ONE;
	}
}

/* ---- mm/tlb_model.c: a core's TLBs. Inside the window of a CPU of the core ------------------- */

int tlb_model_create(struct mmu_machine *mmu, struct machine *m);
void tlb_model_destroy(struct mmu_machine *mmu);
/* As tlb_translate() in mm/tlb.c. */
bool tlb_model_translate(struct tlb *tlb, struct mm *mm, u64 va, enum access_kind kind,
			 struct mmu_walk *w);
/* Nothing that the slot has translated so far is ever used again. */
void tlb_slot_empty(struct tlb_core *core, struct tlb_slot *slot);
/* The same, and it is nobody's. */
void tlb_slot_forget(struct tlb_core *core, struct tlb_slot *slot);
/* Drop what f names; the walk caches with it if `walks`. */
void tlb_slot_drop(struct tlb_core *core, struct tlb_slot *slot, const struct arch_desc *a,
		   const struct tlb_flush *f, bool walks);
/* Whose entry of a paging-structure cache, if any that can still be used, leads to the table at pa;
 * and one of the addresses that it is for. */
const struct tlb_slot *tlb_walks_through(const struct tlb_core *core, u64 pa, u64 *va);
/* False: the core has no entry, of any address space, that f names. */
bool tlb_core_may_have(const struct mmu_machine *mmu, const struct tlb_core *core, const struct tlb_flush *f);
/* The entry is over: its place is empty. */
void tlb_way_drop(struct tlb_core *core, struct tlb_way *way);
/* May the entry still translate for its CPUs, at once or after a switch of address spaces? */
bool tlb_way_is_usable(const struct tlb_core *core, const struct tlb_way *way);

/* ---- mm/tlb_watch.c: if core->watched ------------------------------------------------------------ */

void tlb_tell(struct tlb_core *core, struct tlb_event e);
void tlb_tell_way(struct tlb_core *core, enum tlb_event_kind kind, const struct tlb_way *way);
void tlb_tell_miss(struct tlb_core *core, const struct tlb_slot *slot, u64 va);
void tlb_tell_walk(struct tlb_core *core, enum tlb_event_kind kind, u32 level, const struct walk_way *w);
/* The entries that a walk has read, before anything is written to them. */
void tlb_tell_path(const struct tlb *tlb, u64 va, const struct walk_path *path);
void tlb_tell_walked(const struct tlb *tlb, u64 va, bool ok, const struct mmu_walk *w);
void tlb_tell_slot(struct tlb_core *core, enum tlb_event_kind kind, const struct tlb_slot *slot);

/* ---- mm/tlb_context.c: whose entries a CPU uses ------------------------------------------------ */

/* tlb_core only: load_page_table(). mm NULL: a kernel task, which leaves what is loaded. */
void tlb_context_load(struct cpu *cpu, struct mm *mm);
/* The CPU unloads its page table. In or outside of a window of its own. */
void tlb_context_leave(struct cpu *cpu);
/* ASID or PID: the name by which others invalidate mm's entries; 0: it has none yet. */
u32 tlb_context_key(const struct mmu_machine *mmu, const struct mm *mm);
/* The entries of that name in the CPU's TLB, whosever they are, or NULL. */
struct tlb_slot *tlb_context_slot(const struct tlb *tlb, u32 key);
/* Is it away from user programs, so that a flush need not interrupt it? */
bool tlb_context_is_lazy(const struct cpu *cpu);
/* mmu_unload() */
void tlb_context_unload(struct cpu *cpu, struct mm *mm);
/* mm dies: nobody has it loaded afterwards, and no TLB knows it. */
void tlb_context_forget(struct mm *mm);
int tlb_context_init(struct mmu_machine *mmu);
void tlb_context_destroy(struct mmu_machine *mmu);

/* In life the MMU has this in registers: it is not a read of the mm. */
static inline const struct arch_desc *mmu_arch(const struct mm *mm)
{
	const struct arch_desc *a;

	unpriced_begin();
	a = mm->arch;
	unpriced_end();
	return a;
}

#endif
