/*
 * arch/walk.c - the ways down a page table for a description that only run time knows
 *
 * What they do is in walk.h. An architecture that is built in has its own instances.
 * Tests: tests/unit/arch/test_walk.c
 */
#include "arch/walk.h"

bool arch_walk_tree_traced(const struct arch_desc *a, const struct memory *mem,
			   const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
			   struct walk_trace *trace, struct mmu_walk *w)
{
	const struct walk_query q = {
		.a = a,
		.mem = mem,
		.regs = regs,
		.control = regs->control,
		.va = va,
		.kind = kind,
		.user = user,
		.trace = trace,
	};

	return walk_tree(&q, walk_permits, w);
}

bool arch_walk_tree(const struct arch_desc *a, const struct memory *mem,
		    const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		    struct mmu_walk *w)
{
	return arch_walk_tree_traced(a, mem, regs, va, kind, user, NULL, w);
}

bool arch_descend_tree(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		       u32 lowest, struct pt_place *at)
{
	return descend_tree(a, mem, root_pfn, va, lowest, at);
}

enum walk_verdict arch_walk_path(const struct arch_desc *a, const struct memory *mem, u64 va,
				 enum access_kind kind, struct walk_path *path, struct mmu_walk *w)
{
	const struct walk_query q = {
		.a = a,
		.mem = mem,
		.control = a->default_control,
		.va = va,
		.kind = kind,
		.user = true,
	};
	u32 level = path->top;

	for (;; level--) {
		const pte_t *table = (const pte_t *)(mem->direct_map + path->table[level]);
		/* Pairs as in walk_tree(). */
		pte_t e = smp_load_acquire(&table[level_index(a, va, level)]);

		path->lowest = (u8)level;
		if (unlikely(!walk_present(a, e, level))) {
			(void)walk_fails(w, level, MMU_ABSENT);
			return WALK_REFUSED;
		}
		if (level == 0)
			return walk_plain_leaf(&q, e, w);
		if (unlikely(!walk_plain_table(&q, e, level)))
			return WALK_UNDECIDED;
		path->table[level - 1] = table_pa(a, e);
	}
}
