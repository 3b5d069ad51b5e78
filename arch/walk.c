/*
 * arch/walk.c - the hardware page-table walker, for every MMU that descends the tree itself
 *
 * Models       one walk from the root: presence, reserved bits, permissions taken together over
 *              the levels, huge leaves, Accessed in table entries, Accessed and Dirty in the
 *              leaf.
 * Leaves out   paging-structure caches: every walk starts at the root.
 * Guarantee    Accessed and Dirty are set by a compare-and-exchange against the very entry whose
 *              permissions were checked, so that a bit never lands in an entry that software has
 *              cleared or replaced meanwhile (Intel SDM vol. 3A, 4.8: locked update).
 * Locks        none. The caller is inside an instruction window: tables that it can reach are not
 *              freed before it leaves (mm/tlb.c).
 * Tests        tests/unit/arch/test_walk.c
 */
#include <mmsim/arch.h>
#include <mmsim/atomic.h>
#include <mmsim/page.h>

static const u32 access_needs[ACCESS_KINDS] = {
	[ACCESS_READ] = PTE_READ,
	[ACCESS_WRITE] = PTE_WRITE,
	[ACCESS_EXEC] = PTE_EXEC,
};

static bool walk_fails(struct mmu_walk *w, enum mmu_cause cause)
{
	w->cause = cause;
	return false;
}

/* Check the leaf *p, last seen as e, and set what the hardware sets. `all` and `any` carry what
 * the levels above took away and forced on. */
static bool walk_leaf(const struct arch_desc *a, pte_t *p, pte_t e, pte_t all, pte_t any,
		      enum access_kind kind, bool user, struct mmu_walk *w)
{
	u32 need = access_needs[kind] | (user ? PTE_USER : 0);
	u32 update = PTE_ACCESSED | (kind == ACCESS_WRITE ? PTE_DIRTY : 0);

	for (;;) {
		u32 attrs;

		if (unlikely(!pte_present(a, e)))
			return walk_fails(w, MMU_ABSENT);
		if (unlikely(e & a->reserved_leaf[w->level]))
			return walk_fails(w, MMU_RESERVED);
		attrs = pte_attrs(a, (e & (all | ~a->table_and)) | any);
		if (unlikely((attrs & need) != need))
			return walk_fails(w, MMU_DENIED);
		if (likely((attrs & update) == update)) {
			w->attrs = attrs;
			w->pfn = pte_pfn(a, e);
			return true;
		}
		if (!(attrs & PTE_ACCESSED) && !a->hw_sets_accessed)
			return walk_fails(w, MMU_NOT_ACCESSED);
		if ((update & PTE_DIRTY) && !(attrs & PTE_DIRTY) && !a->hw_sets_dirty)
			return walk_fails(w, MMU_NOT_DIRTY);
		/* Lost to software or to another MMU: judge what is there now. */
		if (try_cmpxchg(p, &e, pte_set_attrs(a, e, update)))
			e = pte_set_attrs(a, e, update);
	}
}

bool arch_walk_tree(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		    enum access_kind kind, bool user, struct mmu_walk *w)
{
	pte_t all = a->table_and, any = 0;
	char *table = phys_to_virt(mem, root_pfn);
	u32 level = a->levels;
	pte_t *p, e;

	w->level = (u8)(level - 1);
	if (unlikely(va >= a->task_size))
		return walk_fails(w, MMU_ABSENT);
	for (;;) {
		w->level = (u8)--level;
		p = (pte_t *)table + level_index(a, va, level);
		/* Pairs with the release that linked the table (pgtable.c): its entries and the
		 * contents of a page are seen as they were at that point, or newer. Hardware gets
		 * this from the address dependency. */
		e = smp_load_acquire(p);
		if (!pte_present(a, e))
			return walk_fails(w, MMU_ABSENT);
		if (entry_is_leaf(a, e, level))
			break;
		if (unlikely(e & a->reserved_table[level]))
			return walk_fails(w, MMU_RESERVED);
		if (unlikely((e & a->table_accessed) != a->table_accessed))
			(void)fetch_or_relaxed(p, a->table_accessed);
		all &= e;
		any |= e & a->table_or;
		table = mem->direct_map + table_pa(a, e);
	}
	if (!walk_leaf(a, p, e, all, any, kind, user, w))
		return false;
	if (level) {
		u64 pages = 1ull << (a->shift[level] - a->page_shift);

		w->pfn = ALIGN_DOWN(w->pfn, pages) | (va >> a->page_shift & (pages - 1));
	}
	return true;
}
