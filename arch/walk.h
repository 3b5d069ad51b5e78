/*
 * arch/walk.h - the ways down a page-table tree: the MMU's and software's
 *
 * Both are written once, for any description. An architecture instantiates them with its own
 * constant description and registers (x86_64.c), so that the compiler folds shifts, masks, checks
 * and whatever the arch does not have: every TLB miss and every fault goes this way.
 * arch_walk_tree() and arch_descend_tree() (walk.c) are the same for a description known only at
 * run time. What an arch checks of its own (SMAP, protection keys) is a function that it passes.
 *
 * Models       one walk from the root: which addresses exist, presence, reserved bits,
 *              permissions taken together over the levels, huge leaves, Accessed in table entries,
 *              Accessed and Dirty in the leaf.
 * Leaves out   paging-structure caches: mm/tlb_model.c has them, and arch_walk_path() begins where
 *              they say.
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

struct walk_query;

/*
 * May the access be made through a leaf e with these attributes (all levels taken together)? e has
 * passed the checks for presence and reserved bits. false: *cause says why not.
 */
typedef bool (*walk_permits_fn)(const struct walk_query *q, pte_t e, u32 attrs,
				enum mmu_cause *cause);

/* What is asked of the walker. Members that an instance knows at compile time cost nothing, as
 * long as no pointer to it leaves the inlined functions: others are handed a copy. */
struct walk_query {
	const struct arch_desc *a;
	const struct memory *mem;
	const struct mmu_regs *regs;
	u64 control; /* regs->control, or the constant that it was compared with */
	u64 va;
	enum access_kind kind;
	bool user;
	pte_t too_wide; /* bits of an output address that is wider than control allows */
	struct walk_trace *trace; /* NULL: nobody watches */
};

/* What the levels above a leaf say about it. */
struct walk_above {
	pte_t all; /* of table_and: what every level left */
	pte_t any; /* of table_or: what some level forced on */
};

/* The rights in an entry and no modes: what data alone can say. */
static ALWAYS_INLINE bool walk_permits(const struct walk_query *q, pte_t e, u32 attrs,
				enum mmu_cause *cause)
{
	static const u8 access_needs[ACCESS_KINDS] = {
		[ACCESS_READ] = PTE_READ,
		[ACCESS_WRITE] = PTE_WRITE,
		[ACCESS_EXEC] = PTE_EXEC,
	};
	u32 need = access_needs[q->kind] | (q->user ? PTE_USER : 0);

	(void)e;
	if (likely((attrs & need) == need))
		return true;
	*cause = MMU_DENIED;
	return false;
}

static inline bool walk_fails(struct mmu_walk *w, u32 level, enum mmu_cause cause)
{
	w->level = (u8)level;
	w->cause = cause;
	return false;
}

static inline bool walk_present(const struct arch_desc *a, pte_t e, u32 level)
{
	return (e & a->hw_present[level]) == a->hw_present[level];
}

/* Reserved bits that a control register would enable. */
static ALWAYS_INLINE pte_t walk_gated(const struct walk_query *q)
{
	return q->control & q->a->gate_control ? 0 : q->a->gated_bits;
}

static ALWAYS_INLINE bool walk_sets_accessed(const struct walk_query *q)
{
	return q->a->control_accessed ? (q->control & q->a->control_accessed) != 0
				      : q->a->hw_sets_accessed;
}

static ALWAYS_INLINE bool walk_sets_dirty(const struct walk_query *q)
{
	return q->a->control_dirty ? (q->control & q->a->control_dirty) != 0
				   : q->a->hw_sets_dirty;
}

static NOINLINE void walk_tell_step(struct walk_query q, const pte_t *p, pte_t e, u32 level)
{
	struct walk_step step = {
		.pa = (u64)((const char *)p - q.mem->direct_map),
		.entry = e,
		.level = (u8)level,
		.leaf = walk_present(q.a, e, level) && entry_is_leaf(q.a, e, level),
	};

	q.trace->step(q.trace, &step);
}

static ALWAYS_INLINE void walk_tell(const struct walk_query *q, const pte_t *p, pte_t e, u32 level)
{
	if (q->trace)
		walk_tell_step(*q, p, e, level);
}

/*
 * Check the leaf *p of `level`, last seen as e, and set what the hardware sets. walk_leaf() does it
 * for an MMU that attributes describe; arm64, whose tables restrict by other bits than a leaf's and
 * which keeps Dirty elsewhere than software, has its own.
 */
typedef bool (*walk_leaf_fn)(const struct walk_query *q, walk_permits_fn permits, pte_t *p,
			     pte_t e, u32 level, struct walk_above above, struct mmu_walk *w);

static ALWAYS_INLINE bool walk_leaf(const struct walk_query *q, walk_permits_fn permits, pte_t *p,
				    pte_t e, u32 level, struct walk_above above,
				    struct mmu_walk *w)
{
	const struct arch_desc *a = q->a;
	u32 update = PTE_ACCESSED | (q->kind == ACCESS_WRITE ? PTE_DIRTY : 0);

	for (;;) {
		enum mmu_cause cause;
		u32 attrs;

		if (unlikely(!walk_present(a, e, level)))
			return walk_fails(w, level, MMU_ABSENT);
		if (unlikely(e & (a->reserved_leaf[level] | walk_gated(q))))
			return walk_fails(w, level, MMU_RESERVED);
		attrs = pte_shown_attrs(a, (e & (above.all | ~a->table_and)) | above.any);
		if (a->accessed_before_rights && unlikely(!(attrs & PTE_ACCESSED)) &&
		    !walk_sets_accessed(q))
			return walk_fails(w, level, MMU_NOT_ACCESSED);
		if (unlikely(!permits(q, e, attrs, &cause)))
			return walk_fails(w, level, cause);
		if (likely((attrs & update) == update)) {
			w->level = (u8)level;
			w->attrs = attrs;
			w->pfn = pte_pfn(a, e);
			w->entry = e;
			return true;
		}
		if (!(attrs & PTE_ACCESSED) && !walk_sets_accessed(q))
			return walk_fails(w, level, MMU_NOT_ACCESSED);
		if ((update & PTE_DIRTY) && !(attrs & PTE_DIRTY) && !walk_sets_dirty(q))
			return walk_fails(w, level, MMU_NOT_DIRTY);
		/* Lost to software or to another MMU: judge what is there now. */
		if (try_cmpxchg(p, &e, pte_set_attrs(a, e, update)))
			e = pte_set_attrs(a, e, update);
	}
}

/* The same above level 0: pfn is va's part of the huge page. Rare: once per architecture. */
static NOINLINE bool walk_huge_leaf(struct walk_query q, walk_leaf_fn check,
				    walk_permits_fn permits, pte_t *p, pte_t e, u32 level,
				    struct walk_above above, struct mmu_walk *w)
{
	u64 pages = 1ull << (level_shift(q.a, level) - q.a->page_shift);

	if (!check(&q, permits, p, e, level, above, w))
		return false;
	w->pfn = ALIGN_DOWN(w->pfn, pages) | (q.va >> q.a->page_shift & (pages - 1));
	return true;
}

/* Nothing to say about e, met on the way down at `level`: present, a table, nothing reserved,
 * Accessed, and it neither takes nor forces a bit of the leaf. One comparison in place of one for
 * each; false is no verdict. */
static ALWAYS_INLINE bool walk_plain_table(const struct walk_query *q, pte_t e, u32 level)
{
	const struct arch_desc *a = q->a;
	pte_t mask = a->hw_present[level] | a->huge_mask | a->reserved_table[level] |
		     a->table_accessed | a->table_and | a->table_or | a->gated_bits | q->too_wide;
	pte_t plain = (a->table_base[level] | a->table_accessed | a->table_and) & ~a->table_or;

	return (e & mask) == (plain & mask);
}

/* The descent, and then one's own check of the leaf; permits is for the latter. */
static ALWAYS_INLINE bool walk_tree_by(const struct walk_query *q, walk_leaf_fn check,
				       walk_permits_fn permits, struct mmu_walk *w)
{
	const struct arch_desc *a = q->a;
	struct walk_above above = {.all = a->table_and};
	char *table;
	pte_t *leaf, e;
	u32 root;

	if (unlikely(!va_root(a, q->va, &root)))
		return walk_fails(w, a->levels - 1u, MMU_BAD_ADDRESS);
	table = q->mem->direct_map + q->regs->root[root];
#pragma GCC unroll 5 /* ARCH_LEVELS_MAX */
	for (u32 level = a->levels - 1u; level > 0; level--) {
		pte_t *p = (pte_t *)table + level_index(a, q->va, level);

		/* Pairs with the release that linked the table (pgtable.c): its entries and the
		 * contents of a page are seen as they were at that point, or newer. Hardware gets
		 * this from the address dependency. */
		e = smp_load_acquire(p);
		walk_tell(q, p, e, level);
		if (unlikely(!walk_plain_table(q, e, level))) {
			if (!walk_present(a, e, level))
				return walk_fails(w, level, MMU_ABSENT);
			if (entry_is_leaf(a, e, level))
				return walk_huge_leaf(*q, check, permits, p, e, level, above, w);
			if (e & (a->reserved_table[level] | walk_gated(q)))
				return walk_fails(w, level, MMU_RESERVED);
			if (e & q->too_wide)
				return walk_fails(w, level, MMU_BAD_OUTPUT);
			if ((e & a->table_accessed) != a->table_accessed)
				(void)fetch_or_relaxed(p, a->table_accessed);
			above.all &= e;
			above.any |= e & a->table_or;
		}
		table = q->mem->direct_map + table_pa(a, e);
	}
	leaf = (pte_t *)table + level_index(a, q->va, 0);
	e = smp_load_acquire(leaf);
	walk_tell(q, leaf, e, 0);
	return check(q, permits, leaf, e, 0, above, w);
}

/* arch_ops.walk */
static ALWAYS_INLINE bool walk_tree(const struct walk_query *q, walk_permits_fn permits,
				    struct mmu_walk *w)
{
	return walk_tree_by(q, walk_leaf, permits, w);
}

/*
 * The walk that nearly every walk is, for a user access under registers that add nothing to what the
 * entries say: plain tables down to a leaf of level 0 that allows the access and has nothing to be
 * set, or down to an absent entry. Anything else is WALK_UNDECIDED: nothing was changed, and
 * walk_tree() finds out. It calls nothing, so that a query lives in registers.
 */
enum walk_verdict { WALK_OK, WALK_REFUSED, WALK_UNDECIDED };

/* Its end: e is a present entry of level 0. */
static ALWAYS_INLINE enum walk_verdict walk_plain_leaf(const struct walk_query *q, pte_t e,
						       struct mmu_walk *w)
{
	static const u8 needs[ACCESS_KINDS] = {
		[ACCESS_READ] = PTE_USER | PTE_ACCESSED | PTE_READ,
		[ACCESS_WRITE] = PTE_USER | PTE_ACCESSED | PTE_WRITE | PTE_DIRTY,
		[ACCESS_EXEC] = PTE_USER | PTE_ACCESSED | PTE_EXEC,
	};
	const struct arch_desc *a = q->a;
	u32 attrs = pte_shown_attrs(a, e), need = needs[q->kind];

	if (unlikely((e & a->reserved_leaf[0]) || (attrs & need) != need))
		return WALK_UNDECIDED;
	w->level = 0;
	w->attrs = attrs;
	w->pfn = pte_pfn(a, e);
	w->entry = e;
	return WALK_OK;
}

static ALWAYS_INLINE enum walk_verdict walk_plain(const struct walk_query *q, struct mmu_walk *w)
{
	const struct arch_desc *a = q->a;
	u32 level = a->levels - 1u, root;
	char *table;
	pte_t e;

	if (unlikely(!va_root(a, q->va, &root)))
		return WALK_UNDECIDED;
	table = q->mem->direct_map + q->regs->root[root];
#pragma GCC unroll 5 /* ARCH_LEVELS_MAX */
	for (; level > 0; level--) {
		/* Pairs as in walk_tree(). */
		e = smp_load_acquire((pte_t *)table + level_index(a, q->va, level));
		if (unlikely(!walk_plain_table(q, e, level)))
			goto not_plain;
		table = q->mem->direct_map + table_pa(a, e);
	}
	e = smp_load_acquire((pte_t *)table + level_index(a, q->va, 0));
	if (unlikely(!walk_present(a, e, 0)))
		goto not_plain;
	return walk_plain_leaf(q, e, w);
not_plain:
	if (walk_present(a, e, level))
		return WALK_UNDECIDED;
	(void)walk_fails(w, level, MMU_ABSENT);
	return WALK_REFUSED;
}

/*
 * The same for a description that only run time knows, from the middle of the way: `top` and
 * table[top] say where it begins, which is what a paging-structure cache remembers of plain entries
 * above. On return table[] is known down to `lowest`, whatever the verdict.
 */
struct walk_path {
	u64 table[ARCH_LEVELS_MAX]; /* physical address of the table of level n */
	u8 top, lowest;
};
enum walk_verdict arch_walk_path(const struct arch_desc *a, const struct memory *mem, u64 va,
				 enum access_kind kind, struct walk_path *path, struct mmu_walk *w);

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

		if (unlikely(!pte_present(a, e) || entry_is_leaf(a, e, level)))
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
