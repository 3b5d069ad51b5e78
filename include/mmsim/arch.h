/*
 * mmsim/arch.h - what an architecture is, to the code that does not know which one it runs on
 *
 * Data first: levels, index bits, page sizes, which attribute is which bit, who sets Accessed and
 * Dirty, how an invalidation travels. Operations only for what data cannot say. Page tables are
 * always a radix tree of the modelled kernel; a hashed MMU (ppc64-hash) keeps its hash table as a
 * cache of that tree: its ops->walk fills it from the tree, TLB invalidations empty it.
 *
 * Table pages live in simulated physical memory (phys_to_virt(), page.h) in the arch's real
 * format: 64-bit entries that hold the physical address of the next table or of the page. A pte_t
 * is an entry as the host loads it from there. For an arch with tables of the other byte order
 * (ppc64 radix) every bit constant of its description is given byte-swapped; only frame numbers
 * are swapped at run time.
 *
 * What the data can say, and for whom it is there:
 *   a permission given by a clear bit (x86 NX, arm64 AP[2] and UXN)     clear[]
 *   an attribute that the arch does not have (x86 READ)       set[] and clear[] 0: always on
 *   a page-table write bit that also depends on Dirty (arm64 without DBM)         clean_ro
 *   frame bits in two places (arm64 52-bit addresses)                     pfn_hi_*
 *   table entries that differ by level (ppc64 radix: size of the next table)  table_base[]
 *   big-endian tables (ppc64 radix)                                       big_endian
 *   software-managed Accessed and Dirty (arm64 before HAFDBS, ppc64)          hw_sets_*
 *   ... that a control register decides (arm64 TCR.HA and HD)                 control_*
 *   an entry that means something to software and nothing to the MMU (PROT_NONE)   hidden_*
 *   which addresses exist, and which root each half has (canonical form, TTBR0/1)  va_*
 *   a bit that is reserved until a control register enables it (x86 NX)       gated_*
 *   protection keys (x86)                                                     key_*
 *
 * What a walk depends on besides memory is in struct mmu_regs: what a CPU's control registers say.
 */
#ifndef MMSIM_ARCH_H
#define MMSIM_ARCH_H

#include <mmsim/types.h>

#define ARCH_LEVELS_MAX 5

struct memory;
struct machine;

typedef u64 pte_t; /* one entry of any level, in the arch's format */

/*
 * Attributes of a leaf entry, as generic code speaks of them. All but HIDDEN are a set and a clear
 * bit in the description. HIDDEN is PROT_NONE: the entry keeps its frame and the other attributes for
 * software, and the MMU finds no entry. An arch that has no such form (hidden_set 0) never shows
 * the attribute: there PROT_NONE is an entry without USER.
 */
enum pte_attr {
	PTE_WRITE = 1 << 0,
	PTE_USER = 1 << 1,
	PTE_EXEC = 1 << 2,
	PTE_ACCESSED = 1 << 3,
	PTE_DIRTY = 1 << 4,
	PTE_SPECIAL = 1 << 5, /* no struct page accounting: the zero page (software bit) */
	PTE_READ = 1 << 6,    /* may be loaded from; always on where every present page may be */
	PTE_BIT_COUNT = 7,    /* those above: one set and one clear bit each */
	PTE_HIDDEN = 1 << 7,
	PTE_ATTR_COUNT = 8,
};
#define PTE_ATTR_MASK ((1u << PTE_ATTR_COUNT) - 1)

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC, ACCESS_KINDS };

/* A fault as the hardware reports it: the arch alone knows what is inside. */
struct syndrome {
	u64 code;   /* x86: error code; arm64: ESR; ppc64: DSISR, or SRR1 of an instruction */
	u64 va;	    /* CR2, FAR, DAR; not set by an exception that leaves the register alone */
	u32 vector; /* x86: 14 #PF, 13 #GP; ppc64: 0x300, 0x400, ...; arm64: 0, ESR has the class */
};

/* Why the MMU refuses an access. */
enum mmu_cause {
	MMU_ABSENT,	  /* no entry for the address */
	MMU_DENIED,	  /* an entry is there and forbids it (or a mode does: SMEP, SMAP, PAN) */
	MMU_NOT_ACCESSED, /* software must set Accessed first */
	MMU_NOT_DIRTY,	  /* software must set Dirty first */
	MMU_RESERVED,	  /* a reserved bit is set: the table is corrupt */
	MMU_KEY,	  /* the page's protection key forbids it */
	MMU_BAD_ADDRESS,  /* no such address (x86: not canonical): no table was looked at */
	MMU_BAD_OUTPUT,	  /* an entry's physical address is wider than there is */
	MMU_CAUSES,
};

/* What a walk found. */
struct mmu_walk {
	u64 pfn;	      /* of va's page (inside a huge page: of that part) */
	pte_t entry;	      /* the leaf after the access: protection key, global, memory type */
	u32 attrs;	      /* enum pte_attr, all levels taken together */
	u8 level;	      /* where the walk ended */
	enum mmu_cause cause; /* only when the walk failed */
	u32 detail;	      /* likewise: what more raise() has to know, in the arch's own terms */
};

/* The same as software learns it from the syndrome. */
struct mmu_fault {
	u64 va;
	enum access_kind kind;
	bool user;
	enum mmu_cause cause;
};

/*
 * What a CPU's registers say about translation. root[]: physical address of a top-level table; an
 * arch with one root for both halves of the address space (x86) uses [0] only. The rest in the
 * arch's own meaning, its bits are in the arch's header.
 */
#define ARCH_ROOTS_MAX 2
struct mmu_regs {
	u64 root[ARCH_ROOTS_MAX]; /* x86: CR3; arm64: TTBR0, TTBR1; ppc64 radix: of quadrants 0, 3 */
	u64 control;		  /* x86: bits of CR0, CR4, EFER, EFLAGS; arm64: of TCR, SCTLR, PSTATE */
	u64 keys;		  /* x86: PKRU; ppc64 hash: AMR */
	u64 aux;		  /* one more, if the arch needs it (ppc64 hash: the hash table) */
};

/* One entry met on the way down, for who watches a walk: as it was when it was read. */
struct walk_step {
	u64 pa; /* of the entry */
	pte_t entry;
	u8 level;
	bool leaf; /* it would translate; false: points to a table, or is nothing to the MMU */
};
struct walk_trace {
	void (*step)(struct walk_trace *trace, const struct walk_step *step);
};

/* A field of an entry by name, for who shows one: it is there if (entry & mask) == value. With
 * value 0 and several mask bits it is a number (a frame, a key) to be shown as such. */
enum pte_where {
	IN_LEAF = 1,
	IN_TABLE = 2,
	IN_ANY = 3,
	IN_HASH = 4, /* mmu_walk.entry of a hashed MMU: the entry of its own table */
};
struct pte_field {
	pte_t mask, value; /* in the entry's own byte order, as all of a description's constants */
	const char *name;
	u8 where;  /* enum pte_where */
	u8 levels; /* bit n: entries of level n */
};
/* A bit of mmu_regs.control by name. */
struct control_bit {
	u64 bit;
	const char *name;
};

/* What a syndrome says, by name, for who shows one: of the bits those with (code & mask) == value. */
struct syndrome_bit {
	u64 mask, value;
	const char *name, *meaning;
};
struct syndrome_kind {
	u32 vector;
	const char *name;
	const char *code, *address; /* the registers; NULL: there is none */
	u64 code_mask;		    /* of syndrome.code: what is in that register */
	const struct syndrome_bit *bits; /* ends with a NULL name */
};

/* An entry in its table. */
struct pt_place {
	pte_t *entry;
	u64 table; /* pfn */
	u32 level; /* of both */
};

enum tlb_invalidation {
	TLBI_BY_IPI,	   /* x86: interrupt each CPU of the mm */
	TLBI_BROADCAST,	   /* arm64: the fabric carries it */
	TLBI_SERIALISED,   /* ppc64: broadcast, one at a time */
};

struct arch_desc {
	const char *name; /* "x86_64", "x86_64-la57", "arm64-4k", ... */
	u8 page_shift;
	u8 levels;			/* of the tree; level 0 holds leaf entries of one page */
	u8 idx_bits[ARCH_LEVELS_MAX];	/* [0] is the leaf level */
	u8 shift[ARCH_LEVELS_MAX + 1];	/* see level_shift(): the sums of the above, written out */
	u8 huge_levels;			/* bit n: level n > 0 may hold a leaf entry */
	u64 task_size;			/* user addresses are below this */
	u64 default_map_window;		/* where a mapping goes whose hint is not above it (Linux:
					 * DEFAULT_MAP_WINDOW): programs may keep data in high bits */
	/* Addresses that exist: (va & va_mask) is va_half[0], and root[0] translates, or va_half[1],
	 * and root[upper_root] does. */
	u64 va_mask, va_half[2];
	u8 upper_root;
	u8 phys_bits;			/* width of a physical address */
	bool hw_sets_accessed;		/* or a hash fault does. false: first touch costs another page fault */
	bool hw_sets_dirty;
	u64 control_accessed;		/* not 0: this bit of control says it, not hw_sets_accessed */
	u64 control_dirty;
	u64 default_control;		/* mmu_regs.control while a user program runs */
	bool accessed_before_rights;	/* not Accessed is reported before a forbidden access */
	bool big_endian;		/* entries are byte-swapped, as are the constants below */
	bool hashed;			/* the MMU reads a table of its own that caches the tree's
					 * entries: they are changed by ops->pte_* only */
	bool entry_prefetches_lock;	/* the OS's fault entry asks early for mmap_lock's line */
	enum tlb_invalidation tlb_invalidation;
	u32 tlb_full_flush_leaves;	/* more pages, or huge leaves, than this are one full flush */
	bool leaf_flush_as_pages;	/* a huge leaf that is split or moved is flushed as a range of pages,
					 * and tables with it: Linux has no flush_pmd_tlb_range() there */

	/* Leaf format: entry = leaf_base | pfn | for each attribute: set[] if on, clear[] if off;
	 * clean_ro too unless both WRITE and DIRTY are on. */
	pte_t leaf_base;
	pte_t huge_base;		/* in place of leaf_base at levels above 0 */
	pte_t huge_mask, huge_value;	/* present entry above 0 is a leaf: (e & mask) == value */
	pte_t present;			/* any of these bits: the entry means something to software */
	pte_t hw_present[ARCH_LEVELS_MAX]; /* all of these bits: it means something to the MMU */
	pte_t hidden_set, hidden_clear;	/* PTE_HIDDEN: these on, those off; shown: vice versa */
	pte_t set[PTE_BIT_COUNT];	/* index: bit number of the attribute */
	pte_t clear[PTE_BIT_COUNT];
	pte_t clean_ro;

	/* Frame: ((e & pfn_mask) | (e & pfn_hi_mask) << pfn_hi_shift) >> page_shift, of a leaf. */
	pte_t pfn_mask;
	pte_t pfn_hi_mask;
	u8 pfn_hi_shift;

	pte_t key_mask;			/* protection key of a leaf */
	u8 key_shift;
	u8 key_register_bits;		/* of mmu_regs.keys; 0: there is no such register */
	pte_t global_mask, global_value; /* a leaf with (e & mask) == value is every address space's */

	/* A leaf with a bit of group_mask is one of 1 << group_bits[level] aligned neighbours that are alike and
	 * lead to aligned neighbouring frames: a TLB may keep one translation for all. group_bits 0: the bit says
	 * nothing at that level. */
	pte_t group_mask;
	u8 group_bits[ARCH_LEVELS_MAX];

	/* Entries that point to a table: [n] is for an entry of level n. Frame as in a leaf. */
	pte_t table_base[ARCH_LEVELS_MAX];
	pte_t table_pfn_mask;
	pte_t table_accessed;		/* the MMU sets this in entries that it walks through */
	pte_t table_and, table_or;	/* bits that upper levels take from, or force on, a leaf */

	/* Bits that must be zero in a present entry of each level. */
	pte_t reserved_leaf[ARCH_LEVELS_MAX];
	pte_t reserved_table[ARCH_LEVELS_MAX];
	pte_t gated_bits;		/* reserved at every level while control lacks gate_control */
	u64 gate_control;

	const struct pte_field *fields;	/* for who shows an entry; ends with a NULL name */
	const struct control_bit *control_bits; /* likewise */
	const struct syndrome_kind *syndromes; /* likewise */
	const char *signals[MMU_CAUSES]; /* likewise: what Linux sends a user whatever is mapped; NULL: the
					  * page-fault handler decides */
	const char *const *level_names;	/* of entries, by level */
	const struct arch_ops *ops;
};

struct arch_ops {
	/*
	 * What the MMU does on a TLB miss: translate va as the registers say, update Accessed and
	 * Dirty (atomically) where the hardware does, check the access. false: w->cause and
	 * w->level say why. trace is NULL, or is told of every entry on the way.
	 * Context: inside an instruction window; takes no lock. Every table that can be reached lies
	 * in mem. arch_walk_tree() does it for an MMU that walks the tree itself and whose checks
	 * the data says in full; arch/walk.h for others.
	 */
	bool (*walk)(const struct arch_desc *a, const struct memory *mem,
		     const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		     struct mmu_walk *w);
	bool (*walk_traced)(const struct arch_desc *a, const struct memory *mem,
			    const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
			    struct walk_trace *trace, struct mmu_walk *w);
	/* Software's way down to va's entry of level `lowest`, which sets nothing. false: a table
	 * is missing on the way, and *at is where it should be linked, or a leaf is there. Context: see
	 * pgtable_lookup(). arch_descend_tree() does it for every arch. */
	bool (*descend)(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
			u32 lowest, struct pt_place *at);
	/* The syndrome that the MMU raises for the access that w refused. */
	struct syndrome (*raise)(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				 enum access_kind kind, bool user, const struct mmu_walk *w);
	/* The arch's fault entry: the syndrome and nothing else becomes what happened.
	 * MMU_BAD_ADDRESS: there is no address in it, and nothing to resolve. */
	void (*decode)(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f);

	/*
	 * `hashed` only, else NULL. Replace whatever is in *pte, level 0's entry of va in the tree
	 * at root_pfn, by e; returns what it was. And: replace *old by e unless *pte is another by
	 * now: false, and *old is what is there. When they return (true) the MMU's own table has
	 * nothing of the old entry; TLBs may. Bits of old values and of e that say where the MMU's
	 * table has an entry are ignored: an entry's copy is an entry's copy of the tree only.
	 */
	pte_t (*pte_exchange)(const struct arch_desc *a, const struct memory *mem, u64 root_pfn,
			      u64 va, pte_t *pte, pte_t e);
	bool (*pte_try_change)(const struct arch_desc *a, const struct memory *mem, u64 root_pfn,
			       u64 va, pte_t *pte, pte_t *old, pte_t e);
	/* A fault on va has been resolved and the instruction is about to be tried again: tell the
	 * MMU's table of the entry at once (Linux: update_mmu_cache()). In the instruction window. */
	void (*preload)(const struct arch_desc *a, const struct memory *mem,
			const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user);
	/* What the MMU needs beside tables and registers: mem->mmu_state. NULL: nothing. Once per
	 * machine, before the first mm and after the last. init: 0 or -ENOMEM. */
	int (*machine_init)(const struct arch_desc *a, struct machine *m, struct memory *mem);
	void (*machine_destroy)(struct machine *m, struct memory *mem);
};

extern const struct arch_desc arch_x86_64, arch_x86_64_la57;
extern const struct arch_desc arch_arm64_4k, arch_arm64_16k, arch_arm64_64k;
extern const struct arch_desc arch_arm64_4k_52, arch_arm64_16k_52, arch_arm64_64k_52;
extern const struct arch_desc arch_arm64_4k_v80;
extern const struct arch_desc arch_ppc64_radix, arch_ppc64_radix_4k, arch_ppc64_hash;
/* All architectures of this build, NULL-terminated. */
extern const struct arch_desc *const arch_all[];
const struct arch_desc *arch_find(const char *name); /* NULL: unknown */

bool arch_walk_tree(const struct arch_desc *a, const struct memory *mem,
		    const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		    struct mmu_walk *w);
bool arch_walk_tree_traced(const struct arch_desc *a, const struct memory *mem,
			   const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
			   struct walk_trace *trace, struct mmu_walk *w);
bool arch_descend_tree(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		       u32 lowest, struct pt_place *at);

static inline u64 arch_page_bytes(const struct arch_desc *a)
{
	return 1ull << a->page_shift;
}

/* First address bit that level's index covers; level_shift(a, levels): the width of an address. */
static inline u32 level_shift(const struct arch_desc *a, u32 level)
{
	return a->shift[level];
}

static inline u64 level_bytes(const struct arch_desc *a, u32 level)
{
	return 1ull << a->shift[level];
}

static inline u32 level_index(const struct arch_desc *a, u64 va, u32 level)
{
	return (u32)(va >> a->shift[level]) & ((1u << a->idx_bits[level]) - 1);
}

/* Is there such an address? Then *root is which of the roots translates it. */
static ALWAYS_INLINE bool va_root(const struct arch_desc *a, u64 va, u32 *root)
{
	*root = 0;
	if (likely((va & a->va_mask) == a->va_half[0]))
		return true;
	*root = a->upper_root;
	return (va & a->va_mask) == a->va_half[1];
}

/* The registers of a user program whose tables are at root_pfn, in either half. */
static inline struct mmu_regs arch_default_regs(const struct arch_desc *a, u64 root_pfn)
{
	u64 pa = root_pfn << a->page_shift;

	return (struct mmu_regs){.root = {pa, pa}, .control = a->default_control};
}

/* To software. What the MMU makes of it: hw_present. */
static inline bool pte_present(const struct arch_desc *a, pte_t e)
{
	return (e & a->present) != 0;
}

/* Is this present entry of `level` a leaf? */
static inline bool entry_is_leaf(const struct arch_desc *a, pte_t e, u32 level)
{
	return level == 0 ||
	       ((a->huge_levels >> level & 1) && (e & a->huge_mask) == a->huge_value);
}

/* An entry in the host's byte order, or back. */
static inline u64 pte_swap(const struct arch_desc *a, u64 e)
{
	return unlikely(a->big_endian) ? __builtin_bswap64(e) : e;
}

/* The physical address in an entry: what most architectures do not have costs one branch. */
static inline u64 entry_pa(const struct arch_desc *a, pte_t e, pte_t mask)
{
	u64 pa = pte_swap(a, e & mask);

	if (unlikely(a->pfn_hi_mask))
		pa |= pte_swap(a, e & a->pfn_hi_mask) << a->pfn_hi_shift;
	return pa;
}

static inline u64 pte_pfn(const struct arch_desc *a, pte_t e)
{
	return entry_pa(a, e, a->pfn_mask) >> a->page_shift;
}

/* The first frame of a leaf of `level`: what a huge leaf keeps below its size is not address. */
static inline u64 leaf_pfn(const struct arch_desc *a, pte_t e, u32 level)
{
	return pte_pfn(a, e) & ~((1ull << (level_shift(a, level) - a->page_shift)) - 1);
}

/* Where the table is that a table entry points to. */
static inline u64 table_pa(const struct arch_desc *a, pte_t e)
{
	return entry_pa(a, e, a->table_pfn_mask);
}

static inline u64 table_pfn(const struct arch_desc *a, pte_t e)
{
	return table_pa(a, e) >> a->page_shift;
}

static inline pte_t pfn_bits(const struct arch_desc *a, u64 pfn)
{
	u64 pa = pfn << a->page_shift;
	pte_t bits = pte_swap(a, pa) & a->pfn_mask;

	if (unlikely(a->pfn_hi_mask))
		bits |= pte_swap(a, pa >> a->pfn_hi_shift) & a->pfn_hi_mask;
	return bits;
}

static inline bool pte_hidden(const struct arch_desc *a, pte_t e)
{
	return a->hidden_set && !(e & a->hidden_clear);
}

static inline pte_t pte_hide(const struct arch_desc *a, pte_t e)
{
	return (e & ~a->hidden_clear) | a->hidden_set;
}

static inline pte_t pte_show(const struct arch_desc *a, pte_t e)
{
	pte_t only_hidden = a->hidden_set & ~a->leaf_base;

	return pte_hidden(a, e) ? (e & ~only_hidden) | a->hidden_clear : e;
}

/* An MMU that keeps Dirty where clean_ro is has taken clean_ro out of a writable entry: that entry is
 * dirty. Software's own bit for it is put on, so that every function below sees one thing. */
static inline pte_t pte_gather(const struct arch_desc *a, pte_t e)
{
	const u32 write = __builtin_ctz(PTE_WRITE), dirty = __builtin_ctz(PTE_DIRTY);

	if (likely(!a->clean_ro))
		return e;
	if ((e & (a->set[write] | a->clear[write] | a->clean_ro)) != a->set[write])
		return e;
	return (e | a->set[dirty]) & ~a->clear[dirty];
}

/* True iff every attribute in attrs is on. */
static inline bool pte_has(const struct arch_desc *a, pte_t e, u32 attrs)
{
	pte_t set = 0, clear = 0;

#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		if (attrs & (1u << i)) {
			set |= a->set[i];
			clear |= a->clear[i];
		}
	if ((attrs & PTE_HIDDEN) && !pte_hidden(a, e))
		return false;
	e = pte_gather(a, e);
	return (e & (set | clear)) == set;
}

/* Give clean_ro the value that goes with WRITE and DIRTY. */
static inline pte_t pte_settle(const struct arch_desc *a, pte_t e)
{
	const u32 write = __builtin_ctz(PTE_WRITE), dirty = __builtin_ctz(PTE_DIRTY);
	pte_t on = a->set[write] | a->set[dirty], off = a->clear[write] | a->clear[dirty];

	if (likely(!a->clean_ro))
		return e;
	return (e & (on | off)) == on ? e & ~a->clean_ro : e | a->clean_ro;
}

static inline pte_t pte_set_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
	e = pte_gather(a, e);
#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		if (attrs & (1u << i))
			e = (e | a->set[i]) & ~a->clear[i];
	if (attrs & PTE_HIDDEN)
		e = pte_hide(a, e);
	return pte_settle(a, e);
}

static inline pte_t pte_clear_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
	e = pte_gather(a, e);
#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		if (attrs & (1u << i))
			e = (e & ~a->set[i]) | a->clear[i];
	if (attrs & PTE_HIDDEN)
		e = pte_show(a, e);
	return pte_settle(a, e);
}

/* Attributes of a leaf that is present to the MMU. */
static inline u32 pte_shown_attrs(const struct arch_desc *a, pte_t e)
{
	u32 attrs = 0;

	e = pte_gather(a, e);
#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		attrs |= (u32)((e & (a->set[i] | a->clear[i])) == a->set[i]) << i;
	return attrs;
}

/* Attributes of a leaf that is present to software. */
static inline u32 pte_attrs(const struct arch_desc *a, pte_t e)
{
	return pte_shown_attrs(a, e) | (pte_hidden(a, e) ? PTE_HIDDEN : 0);
}

static inline u32 pte_key(const struct arch_desc *a, pte_t e)
{
	return (u32)((e & a->key_mask) >> a->key_shift);
}

static inline pte_t pte_set_key(const struct arch_desc *a, pte_t e, u32 key)
{
	return (e & ~a->key_mask) | ((pte_t)key << a->key_shift & a->key_mask);
}

static inline bool pte_global(const struct arch_desc *a, pte_t e)
{
	return a->global_mask && (e & a->global_mask) == a->global_value;
}

static inline pte_t leaf_make(const struct arch_desc *a, pte_t base, u64 pfn, u32 attrs)
{
	pte_t e = base | pfn_bits(a, pfn);

#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		e |= attrs & (1u << i) ? a->set[i] : a->clear[i];
	if (attrs & PTE_HIDDEN)
		e = pte_hide(a, e);
	return pte_settle(a, e);
}

static inline pte_t pte_make(const struct arch_desc *a, u64 pfn, u32 attrs)
{
	return leaf_make(a, a->leaf_base, pfn, attrs);
}

/* A leaf above level 0; pfn is aligned to what it maps. */
static inline pte_t huge_make(const struct arch_desc *a, u64 pfn, u32 attrs)
{
	return leaf_make(a, a->huge_base, pfn, attrs);
}

/* An entry of `level` that points to the table of the level below at pfn. */
static inline pte_t table_make(const struct arch_desc *a, u64 pfn, u32 level)
{
	u64 pa = pfn << a->page_shift;

	return a->table_base[level] | (pte_swap(a, pa) & a->table_pfn_mask) |
	       (pte_swap(a, pa >> a->pfn_hi_shift) & a->pfn_hi_mask);
}

#endif
