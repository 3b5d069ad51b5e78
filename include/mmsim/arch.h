/*
 * mmsim/arch.h - what an architecture is, to the code that does not know which one it runs on
 *
 * Data first: levels, index bits, page sizes, which attribute is which bit, who sets Accessed and
 * Dirty, how an invalidation travels. Operations only for what data cannot say. Page tables are
 * always a radix tree of the modelled kernel; a hashed MMU (ppc64-hash) keeps its hash table as a
 * cache of that tree behind pt_changed().
 *
 * Table pages live in simulated physical memory (phys_to_virt(), page.h) in the arch's real
 * format: 64-bit entries that hold the physical address of the next table or of the page.
 */
#ifndef MMSIM_ARCH_H
#define MMSIM_ARCH_H

#include <mmsim/types.h>

#define ARCH_LEVELS_MAX 5

typedef u64 pte_t; /* one entry of any level, in the arch's format */

/* Attributes of a leaf entry, as generic code speaks of them. */
enum pte_attr {
	PTE_WRITE = 1 << 0,
	PTE_USER = 1 << 1,
	PTE_EXEC = 1 << 2,
	PTE_ACCESSED = 1 << 3,
	PTE_DIRTY = 1 << 4,
	PTE_SPECIAL = 1 << 5, /* no struct page accounting: the zero page (software bit) */
	PTE_ATTR_COUNT = 6,
};

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

/* A fault as the hardware reports it: the arch alone knows what is inside. */
struct syndrome {
	u64 code; /* x86: error code; arm64: ESR; ppc64: DSISR or SRR1 */
	u64 va;	  /* CR2, FAR, DAR */
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
	u8 huge_levels;			/* bit n: level n may hold a leaf entry */
	u64 task_size;			/* user addresses are below this */
	bool hw_sets_accessed;		/* false: first touch costs another fault */
	bool hw_sets_dirty;
	enum tlb_invalidation tlb_invalidation;
	u32 tlb_full_flush_pages;	/* more pages than this are one full flush */

	/* Leaf format: entry = leaf_base | pfn | for each attribute: set[] if on, clear[] if off. */
	pte_t leaf_base;
	pte_t huge_base;		/* in place of leaf_base at levels above 0 */
	pte_t present;			/* any of these bits: the entry means something to the MMU */
	pte_t pfn_mask;			/* physical address bits of an entry */
	pte_t set[PTE_ATTR_COUNT];	/* index: bit number of the attribute */
	pte_t clear[PTE_ATTR_COUNT];
	pte_t table_base;		/* entry that points to a next-level table */

	const struct arch_ops *ops;
};

struct arch_ops {
	/* Is this present entry of `level` a leaf? */
	bool (*entry_is_leaf)(const struct arch_desc *a, pte_t e, u32 level);
	/* The syndrome that the MMU raises for this access (present: an entry forbade it). */
	struct syndrome (*raise)(const struct arch_desc *a, u64 va, enum access_kind kind, bool user,
				 bool present);
	/* The arch's fault entry: the syndrome and nothing else becomes what happened. */
	void (*decode)(const struct arch_desc *a, struct syndrome s, enum access_kind *kind,
		       bool *user, bool *present);
};

extern const struct arch_desc arch_x86_64;
/* All architectures of this build, NULL-terminated. */
extern const struct arch_desc *const arch_all[];
const struct arch_desc *arch_find(const char *name); /* NULL: unknown */

static inline u64 arch_page_bytes(const struct arch_desc *a)
{
	return 1ull << a->page_shift;
}

/* First address bit that level's index covers; level_shift(a, levels) is the width of an address. */
static inline u32 level_shift(const struct arch_desc *a, u32 level)
{
	u32 shift = a->page_shift;

	for (u32 i = 0; i < level; i++)
		shift += a->idx_bits[i];
	return shift;
}

static inline bool pte_present(const struct arch_desc *a, pte_t e)
{
	return (e & a->present) != 0;
}

static inline u64 pte_pfn(const struct arch_desc *a, pte_t e)
{
	return (e & a->pfn_mask) >> a->page_shift;
}

/* True iff every attribute in attrs is on. */
static inline bool pte_has(const struct arch_desc *a, pte_t e, u32 attrs)
{
	pte_t set = 0, clear = 0;

	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i)) {
			set |= a->set[i];
			clear |= a->clear[i];
		}
	return (e & (set | clear)) == set;
}

static inline pte_t pte_set_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i))
			e = (e | a->set[i]) & ~a->clear[i];
	return e;
}

static inline pte_t pte_clear_attrs(const struct arch_desc *a, pte_t e, u32 attrs)
{
	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		if (attrs & (1u << i))
			e = (e & ~a->set[i]) | a->clear[i];
	return e;
}

static inline pte_t pte_make(const struct arch_desc *a, u64 pfn, u32 attrs)
{
	pte_t e = a->leaf_base | ((pfn << a->page_shift) & a->pfn_mask);

	for (u32 i = 0; i < PTE_ATTR_COUNT; i++)
		e |= attrs & (1u << i) ? a->set[i] : a->clear[i];
	return e;
}

static inline pte_t table_make(const struct arch_desc *a, u64 pfn)
{
	return a->table_base | ((pfn << a->page_shift) & a->pfn_mask);
}

#endif
