/*
 * arch/walk.h - the ways down a page-table tree: the MMU's and software's
 *
 * Both are written once, for any description. An architecture instantiates them with its own
 * constant description (x86_64.c), so that the compiler folds shifts, masks and whatever the arch
 * does not have: every TLB miss and every fault goes this way. arch_walk_tree() and
 * arch_descend_tree() (walk.c) are the same for a description known only at run time.
 *
 * Models       one walk from the root: presence, reserved bits, permissions taken together over
 *              the levels, huge leaves, Accessed in table entries, Accessed and Dirty in the
 *              leaf.
 * Leaves out   paging-structure caches: every walk starts at the root.
 * Guarantee    Accessed and Dirty are set by a compare-and-exchange against the very entry whose
 *              permissions were checked, so that a bit never lands in an entry that software has
 *              cleared or replaced meanwhile (Intel SDM vol. 3A, 4.8: locked update).
 * Locks        none. The walker's caller is inside an instruction window: tables that it can
 *              reach are not freed before it leaves (mm/tlb.c). Software's: see pgtable_lookup().
 * Tests        tests/unit/arch/test_walk.c, tests/unit/mm/test_pgtable.c
 */
#ifndef MMSIM_ARCH_WALK_H
#define MMSIM_ARCH_WALK_H

#include <mmsim/arch.h>
#include <mmsim/atomic.h>
#include <mmsim/page.h>

static inline bool walk_fails(struct mmu_walk *w, u32 level, enum mmu_cause cause)
{
	w->level = (u8)level;
	w->cause = cause;
	return false;
}

/* What the levels above a leaf say about it. */
struct walk_above {
	pte_t all; /* of table_and: what every level left */
	pte_t any; /* of table_or: what some level forced on */
};

/* Check the leaf *p of `level`, last seen as e, and set what the hardware sets. */
static ALWAYS_INLINE bool walk_leaf(const struct arch_desc *a, pte_t *p, pte_t e, u32 level,
				    struct walk_above above, enum access_kind kind, bool user,
				    struct mmu_walk *w)
{
	static const u8 access_needs[ACCESS_KINDS] = {
		[ACCESS_READ] = PTE_READ,
		[ACCESS_WRITE] = PTE_WRITE,
		[ACCESS_EXEC] = PTE_EXEC,
	};
	u32 need = access_needs[kind] | (user ? PTE_USER : 0);
	u32 update = PTE_ACCESSED | (kind == ACCESS_WRITE ? PTE_DIRTY : 0);

	for (;;) {
		u32 attrs;

		if (unlikely(!pte_present(a, e)))
			return walk_fails(w, level, MMU_ABSENT);
		if (unlikely(e & a->reserved_leaf[level]))
			return walk_fails(w, level, MMU_RESERVED);
		attrs = pte_attrs(a, (e & (above.all | ~a->table_and)) | above.any);
		if (unlikely((attrs & need) != need))
			return walk_fails(w, level, MMU_DENIED);
		if (likely((attrs & update) == update)) {
			w->level = (u8)level;
			w->attrs = attrs;
			w->pfn = pte_pfn(a, e);
			return true;
		}
		if (!(attrs & PTE_ACCESSED) && !a->hw_sets_accessed)
			return walk_fails(w, level, MMU_NOT_ACCESSED);
		if ((update & PTE_DIRTY) && !(attrs & PTE_DIRTY) && !a->hw_sets_dirty)
			return walk_fails(w, level, MMU_NOT_DIRTY);
		/* Lost to software or to another MMU: judge what is there now. */
		if (try_cmpxchg(p, &e, pte_set_attrs(a, e, update)))
			e = pte_set_attrs(a, e, update);
	}
}

/* The same above level 0: pfn is va's part of the huge page. Rare: once per architecture. */
static NOINLINE bool walk_huge_leaf(const struct arch_desc *a, pte_t *p, pte_t e, u32 level,
				    struct walk_above above, u64 va, enum access_kind kind,
				    bool user, struct mmu_walk *w)
{
	u64 pages = 1ull << (level_shift(a, level) - a->page_shift);

	if (!walk_leaf(a, p, e, level, above, kind, user, w))
		return false;
	w->pfn = ALIGN_DOWN(w->pfn, pages) | (va >> a->page_shift & (pages - 1));
	return true;
}

/* Nothing to say about e, met on the way down at `level`: present, a table, nothing reserved,
 * Accessed, and it neither takes nor forces a bit of the leaf. One comparison in place of one for
 * each; false is no verdict. */
static ALWAYS_INLINE bool walk_plain_table(const struct arch_desc *a, pte_t e, u32 level)
{
	pte_t mask = a->present | a->huge_mask | a->reserved_table[level] | a->table_accessed |
		     a->table_and | a->table_or;
	pte_t plain = (a->table_base[level] | a->table_accessed | a->table_and) & ~a->table_or;

	return (e & mask) == (plain & mask);
}

/* arch_ops.walk */
static ALWAYS_INLINE bool walk_tree(const struct arch_desc *a, const struct memory *mem,
				    u64 root_pfn, u64 va, enum access_kind kind, bool user,
				    struct mmu_walk *w)
{
	struct walk_above above = {.all = a->table_and};
	char *table = mem->direct_map + (root_pfn << a->page_shift);
	pte_t *leaf;

	if (unlikely(va >= a->task_size))
		return walk_fails(w, a->levels - 1u, MMU_ABSENT);
#pragma GCC unroll 5 /* ARCH_LEVELS_MAX */
	for (u32 level = a->levels - 1u; level > 0; level--) {
		pte_t *p = (pte_t *)table + level_index(a, va, level);
		/* Pairs with the release that linked the table (pgtable.c): its entries and the
		 * contents of a page are seen as they were at that point, or newer. Hardware gets
		 * this from the address dependency. */
		pte_t e = smp_load_acquire(p);

		if (unlikely(!walk_plain_table(a, e, level))) {
			if (!pte_present(a, e))
				return walk_fails(w, level, MMU_ABSENT);
			if (entry_is_leaf(a, e, level))
				return walk_huge_leaf(a, p, e, level, above, va, kind, user, w);
			if (e & a->reserved_table[level])
				return walk_fails(w, level, MMU_RESERVED);
			if ((e & a->table_accessed) != a->table_accessed)
				(void)fetch_or_relaxed(p, a->table_accessed);
			above.all &= e;
			above.any |= e & a->table_or;
		}
		table = mem->direct_map + table_pa(a, e);
	}
	leaf = (pte_t *)table + level_index(a, va, 0);
	return walk_leaf(a, leaf, smp_load_acquire(leaf), 0, above, kind, user, w);
}

/* arch_ops.descend */
static ALWAYS_INLINE bool descend_tree(const struct arch_desc *a, const struct memory *mem,
				       u64 root_pfn, u64 va, u32 lowest, struct pt_place *at)
{
	u64 pa = root_pfn << a->page_shift;
	u32 level = a->levels - 1u;
	pte_t *p = (pte_t *)(mem->direct_map + pa) + level_index(a, va, level);

#pragma GCC unroll 5 /* ARCH_LEVELS_MAX */
	for (; level > lowest; level--) {
		/* Pairs with the release in table_link(). */
		pte_t e = smp_load_acquire(p);

		if (unlikely(!pte_present(a, e)))
			break;
		pa = table_pa(a, e);
		p = (pte_t *)(mem->direct_map + pa) + level_index(a, va, level - 1);
	}
	at->entry = p;
	at->table = pa >> a->page_shift;
	at->level = level;
	return level == lowest;
}

#endif
