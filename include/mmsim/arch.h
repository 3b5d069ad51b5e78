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
 */
#ifndef MMSIM_ARCH_H
#define MMSIM_ARCH_H

#include <mmsim/types.h>

#define ARCH_LEVELS_MAX 5

struct memory;

typedef u64 pte_t; /* one entry of any level, in the arch's format */

/* Attributes of a leaf entry, as generic code speaks of them. */
enum pte_attr {
	PTE_WRITE = 1 << 0,
	PTE_USER = 1 << 1,
	PTE_EXEC = 1 << 2,
	PTE_ACCESSED = 1 << 3,
	PTE_DIRTY = 1 << 4,
	PTE_SPECIAL = 1 << 5, /* no struct page accounting: the zero page (software bit) */
	PTE_READ = 1 << 6,    /* may be loaded from; always on where every present page may be */
	PTE_ATTR_COUNT = 7,
};
#define PTE_ATTR_MASK ((1u << PTE_ATTR_COUNT) - 1)

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC, ACCESS_KINDS };

/* A fault as the hardware reports it: the arch alone knows what is inside. */
struct syndrome {
	u64 code; /* x86: error code; arm64: ESR; ppc64: DSISR or SRR1 */
	u64 va;	  /* CR2, FAR, DAR */
};

/* Why the MMU refuses an access. */
enum mmu_cause {
	MMU_ABSENT,	  /* no entry for the address */
	MMU_DENIED,	  /* an entry is there and forbids it */
	MMU_NOT_ACCESSED, /* software must set Accessed first */
	MMU_NOT_DIRTY,	  /* software must set Dirty first */
	MMU_RESERVED,	  /* a reserved bit is set: the table is corrupt */
};

/* What a walk found. */
struct mmu_walk {
	u64 pfn;	      /* of va's page (inside a huge page: of that part) */
	u32 attrs;	      /* enum pte_attr, all levels taken together */
	u8 level;	      /* where the walk ended */
	enum mmu_cause cause; /* only when the walk failed */
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
	bool hw_sets_accessed;		/* false: first touch costs another fault */
	bool hw_sets_dirty;
	bool big_endian;		/* entries are byte-swapped, as are the constants below */
	enum tlb_invalidation tlb_invalidation;
	u32 tlb_full_flush_pages;	/* more pages than this are one full flush */

	/* Leaf format: entry = leaf_base | pfn | for each attribute: set[] if on, clear[] if off;
	 * clean_ro too unless both WRITE and DIRTY are on. */
	pte_t leaf_base;
	pte_t huge_base;		/* in place of leaf_base at levels above 0 */
	pte_t huge_mask, huge_value;	/* present entry above 0 is a leaf: (e & mask) == value */
	pte_t present;			/* any of these bits: the entry means something to it */
	pte_t set[PTE_ATTR_COUNT];	/* index: bit number of the attribute */
	pte_t clear[PTE_ATTR_COUNT];
	pte_t clean_ro;

	/* Frame: ((e & pfn_mask) | (e & pfn_hi_mask) << pfn_hi_shift) >> page_shift, of a leaf. */
	pte_t pfn_mask;
	pte_t pfn_hi_mask;
	u8 pfn_hi_shift;

	/* Entries that point to a table: [n] is for an entry of level n. Frame as in a leaf. */
	pte_t table_base[ARCH_LEVELS_MAX];
	pte_t table_pfn_mask;
	pte_t table_accessed;		/* the MMU sets this in entries that it walks through */
	pte_t table_and, table_or;	/* bits that upper levels take from, or force on, a leaf */

	/* Bits that must be zero in a present entry of each level. */
	pte_t reserved_leaf[ARCH_LEVELS_MAX];
	pte_t reserved_table[ARCH_LEVELS_MAX];

	const struct arch_ops *ops;
};

struct arch_ops {
	/* What the MMU does on a TLB miss: translate va by the table at root_pfn, update Accessed
	 * and Dirty (atomically) where the hardware does, check the access. false: w->cause and
	 * w->level say why. Context: inside an instruction window; takes no lock.
	 * arch_walk_tree() does it for every MMU that walks the tree itself (arch/walk.h). */
	bool (*walk)(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		     enum access_kind kind, bool user, struct mmu_walk *w);
	/* Software's way down to va's entry of level `lowest`, which sets nothing. false: a table
	 * is missing on the way, and *at is where it should be linked. Context: see
	 * pgtable_lookup(). arch_descend_tree() does it for every arch. */
	bool (*descend)(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
			u32 lowest, struct pt_place *at);
	/* The syndrome that the MMU raises for this access; level: where the walk ended. */
	struct syndrome (*raise)(const struct arch_desc *a, u64 va, enum access_kind kind,
				 bool user, enum mmu_cause cause, u32 level);
	/* The arch's fault entry: the syndrome and nothing else becomes what happened. */
	void (*decode)(const struct arch_desc *a, struct syndrome s, enum access_kind *kind,
		       bool *user, enum mmu_cause *cause);
};

extern const struct arch_desc arch_x86_64;
/* All architectures of this build, NULL-terminated. */
extern const struct arch_desc *const arch_all[];
const struct arch_desc *arch_find(const char *name); /* NULL: unknown */

bool arch_walk_tree(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		    enum access_kind kind, bool user, struct mmu_walk *w);
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

/* True iff every attribute in attrs is on. */
static inline bool pte_has(const struct arch_desc *a, pte_t e, u32 attrs)
{
	pte_t set = 0, clear = 0;

#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i)) {
			set |= a->set[i];
			clear |= a->clear[i];
		}
	return (e & (set | clear)) == set;
}

/* Give clean_ro the value that goes with WRITE and DIRTY. */
static inline pte_t pte_settle(const struct arch_desc *a, pte_t e)
{
	if (likely(!a->clean_ro))
		return e;
	return pte_has(a, e, PTE_WRITE | PTE_DIRTY) ? e & ~a->clean_ro : e | a->clean_ro;
}

static inline pte_t pte_set_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i))
			e = (e | a->set[i]) & ~a->clear[i];
	return pte_settle(a, e);
}

static inline pte_t pte_clear_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i))
			e = (e & ~a->set[i]) | a->clear[i];
	return pte_settle(a, e);
}

/* Attributes of a present leaf. */
static inline u32 pte_attrs(const struct arch_desc *a, pte_t e)
{
	u32 attrs = 0;

#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		attrs |= (u32)((e & (a->set[i] | a->clear[i])) == a->set[i]) << i;
	return attrs;
}

static inline pte_t leaf_make(const struct arch_desc *a, pte_t base, u64 pfn, u32 attrs)
{
	pte_t e = base | pfn_bits(a, pfn);

#pragma GCC unroll 8
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		e |= attrs & (1u << i) ? a->set[i] : a->clear[i];
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
