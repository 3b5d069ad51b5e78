/*
 * mm/zap.c - remove mappings: zap a range's entries, free the tables that it alone used
 *
 * Models       zap_pte_range() and free_pgd_range() of Linux's mm/memory.c.
 * Locks        pgtable_zap() takes each level-0 table's ptl in turn. Callers hold what keeps the
 *              tables: the address-space lock over the range, for read at least (MADV_DONTNEED; a
 *              munmap that has downgraded and whose VMAs are out of the tree).
 *              pgtable_free_range() takes none: nobody can reach the tables any more, because no
 *              VMA is left in [floor, ceiling) and those who looked one up have been waited for.
 * Guarantee    An entry is cleared under the ptl; its page goes to the gather, which frees it
 *              after the flush. So a CPU either walks before the clear (and is flushed), or finds
 *              nothing.
 * Tests        tests/unit/mm/test_zap.c
 */
#include "mm/hugetlb.h"
#include "mm/invariants.h"
#include "mm/mmu_internal.h"

/* What a shared file page's entry knew goes to the page. */
static void transfer_bits(const struct arch_desc *a, struct page *page, pte_t e)
{
	u32 attrs = pte_attrs(a, e), flags = READ_ONCE(page->flags), add = 0;

	if (attrs & PTE_DIRTY)
		add |= PAGE_DIRTY;
	if (attrs & PTE_ACCESSED)
		add |= PAGE_REFERENCED;
	if ((flags & add) != add)
		page_set_flags(page, add);
}

/* Clear the entries of [va, end) from *pte on; ptl held. Stops early when the gather is full.
 * Returns where it stopped. */
static u64 zap_entries(struct mmu_gather *tlb, pte_t *pte, u64 va, u64 end, s64 *rss, bool *full)
{
	struct mm *mm = tlb->mm;
	const struct arch_desc *a = mm->arch;
	const struct memory *mem = mm->memory;
	u64 step = arch_page_bytes(a), first = ~0ull, last = 0;

	*full = false;
	for (; va < end && !*full; va += step, pte++) {
		pte_t e = READ_ONCE(*pte);
		struct page *page;
		enum rss_kind kind;

		if (!e)
			continue;
		if (unlikely(tlb->whole_mm && !a->hashed))
			WRITE_ONCE(*pte, 0); /* no MMU uses it: nothing can change meanwhile */
		else
			e = pte_get_and_clear(mm, pte, va);
		if (unlikely(!pte_present(a, e)))
			continue;
		first = min(first, va);
		last = va + step;
		if (unlikely(pte_has(a, e, PTE_SPECIAL)))
			continue;
		page = pfn_to_page(mem, pte_pfn(a, e));
		engine_charge(COST_ZAP_PAGE);
		kind = page_rss_kind(page);
		if (kind != RSS_ANON)
			transfer_bits(a, page, e);
		rss[kind]--;
		page_unmap_one(page);
		*full = gather_page(tlb, page);
	}
	if (first < last)
		gather_range(tlb, first, last, 0);
	return va;
}

/* ptl held: remove the leaf at va. true: the gather is full. */
static bool zap_leaf(struct mmu_gather *tlb, const struct vma *vma, const struct pt_span *s, u64 va, s64 *rss)
{
	struct mm *mm = tlb->mm;
	pte_t e = pte_get_and_clear(mm, s->entry, va);
	struct page *head = pfn_to_page(mm->memory, leaf_pfn(mm->arch, e, s->level));

	gather_range(tlb, va, s->end, s->level);
	if (unlikely(mm->memory->watch) && !tlb->has_leaf) {
		tlb->has_leaf = true;
		invariants_leaf_gathered(mm->memory->watch, 1);
	}
	engine_charge(COST_ZAP_PAGE);
	if (vma->flags & VM_HUGETLB) {
		hugetlb_unmapped(vma, head);
	} else {
		rss[RSS_ANON] -= 1 << mm->memory->huge_order;
		huge_unmapped(mm, head);
	}
	page_unmap_one(head);
	return gather_page(tlb, head);
}

void pgtable_zap(struct mmu_gather *tlb, struct vma *vma, u64 start, u64 end)
{
	struct mm *mm = tlb->mm;
	s64 rss[RSS_KINDS] = {0};
	u64 va = start;

	vm_write_begin(vma);
	while (va < end) {
		struct pt_span s;
		bool full = false;

		pgtable_span_leaf(mm, va, end, &s);
		if (!s.entry) {
			va = s.end;
			continue;
		}
		spin_lock(s.ptl);
		if (!s.level) {
			va = zap_entries(tlb, s.entry, va, s.end, rss, &full);
		} else if (pgtable_is_leaf(mm, pte_get(s.entry), s.level)) {
			if (span_is_whole(mm, &s, va)) {
				full = zap_leaf(tlb, vma, &s, va, rss);
				va = s.end;
			} else {
				pgtable_split_locked(mm, s.entry, ALIGN_DOWN(va, level_bytes(mm->arch, s.level)));
			}
		}
		spin_unlock(s.ptl);
		for (u32 kind = 0; kind < RSS_KINDS; kind++)
			if (rss[kind]) {
				percpu_counter_add(&mm->rss[kind], rss[kind]);
				rss[kind] = 0;
			}
		if (unlikely(full))
			gather_flush(tlb);
	}
	vm_write_end(vma);
}

/* ---- tables ----------------------------------------------------------------------------- */

struct free_range {
	struct mmu_gather *tlb;
	u64 floor, ceiling_last; /* inclusive: a table may cover no more than this */
};

static void check_table_empty(const struct mm *mm, u64 pfn, u32 level, u64 va)
{
	const pte_t *table = phys_to_virt(mm->memory, pfn);

	for (u32 i = 0; i < 1u << mm->arch->idx_bits[level]; i++)
		if (READ_UNPRICED(table[i]))
			MMSIM_BUG("freeing a level-%u table with entry %u in use (of va %#llx)",
				  level, i, (unsigned long long)va);
}

/* The entries of `level` in the table at pfn that [start, last] touches: free what hangs below. */
static void free_below(const struct free_range *f, u64 pfn, u32 level, u64 start, u64 last)
{
	const struct mm *mm = f->tlb->mm;
	const struct arch_desc *a = mm->arch;
	pte_t *table = phys_to_virt(mm->memory, pfn);
	u64 span = level_bytes(a, level);

	for (u64 va = start;; va = ALIGN_DOWN(va, span) + span) {
		pte_t *p = &table[level_index(a, va, level)];
		pte_t e = smp_load_acquire(p);
		u64 base = ALIGN_DOWN(va, span), top = base + (span - 1);

		if (pte_present(a, e) && !entry_is_leaf(a, e, level)) {
			u64 child = table_pfn(a, e);

			if (level > 1)
				free_below(f, child, level - 1, va, min(top, last));
			if (base >= f->floor && top <= f->ceiling_last) {
				if (MMU_PARANOID)
					check_table_empty(mm, child, level - 1, base);
				WRITE_ONCE(*p, 0);
				gather_table(f->tlb, child);
				/* Any address of the table will do, as in Linux: it is the
				 * flush as such that counts, not its length. */
				gather_range(f->tlb, va, va + arch_page_bytes(a), level);
			}
		}
		if (top >= last)
			return;
	}
}

void pgtable_free_empty(struct mm *mm, u64 start, u64 end)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, mm, false);
	pgtable_free_range(&tlb, start, end, start, end);
	tlb_finish_mmu(&tlb);
}

void pgtable_free_range(struct mmu_gather *tlb, u64 start, u64 end, u64 floor, u64 ceiling)
{
	struct free_range f = {.tlb = tlb, .floor = floor, .ceiling_last = ceiling - 1};

	if (start < end)
		free_below(&f, tlb->mm->pgd_pfn, tlb->mm->arch->levels - 1u, start, end - 1);
}
