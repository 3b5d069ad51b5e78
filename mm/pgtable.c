/*
 * mm/pgtable.c - the page-table tree: create, descend, grow, visit; entry attributes of a VMA
 *
 * Models       pgd_alloc(), pte_alloc() and their like. A table is one frame; its lock (ptl) is
 *              in its struct page.
 * Guarantee    A table is linked with release after it was zeroed and its ptl initialised:
 *              whoever follows the link (with acquire) sees an empty, lockable table.
 * Lock order   page_table_lock, or the ptl of a level-1 table, alone: pgtable_alloc() must be
 *              called with neither held, nor a level-0 ptl.
 * Fails        no frame: ~0 or NULL. A table that a dead process left to its grace period is
 *              taken back first.
 * Tests        tests/unit/mm/test_pgtable.c
 */
#include <string.h>

#include "mm/invariants.h"
#include "mm/mmu_internal.h"

/* ---- table pages ------------------------------------------------------------------------ */

static struct page *table_page_alloc(struct mm *mm)
{
	const struct memory *mem = mm->memory;
	struct page *page = page_alloc(mem, 0);
	void *table;

	if (unlikely(!page)) {
		tables_reap(mmu_machine(mm->machine));
		page = page_alloc(mem, 0);
		if (!page)
			return NULL;
	}
	table = phys_to_virt(mem, page_to_pfn(mem, page));
	engine_charge_n(COST_PAGE_ZERO, page_cost_units(mem));
	engine_zeroed(table, 1u << mem->page_shift);
	memset(table, 0, 1u << mem->page_shift);
	spin_lock_init(&page->ptl, LOCK_RANK_PTE);
	WRITE_ONCE(page->flags, PAGE_TABLE);
	return page;
}

void table_page_free(const struct memory *mem, struct page *page)
{
	if (unlikely(mem->watch))
		invariants_table_freed(mem->watch, page_to_pfn(mem, page));
	WRITE_ONCE(page->flags, 0u);
	list_init(&page->lru);
	page->mapping = NULL; /* lies over ptl and pt_rcu */
	page->anon_vma = NULL;
	page->index = 0;
	page_put(mem, page);
}

struct page *pgtable_page_alloc(struct mm *mm)
{
	struct page *page = table_page_alloc(mm);

	if (!page)
		return NULL;
	count_event(COUNTER_PT_ALLOC);
	(void)fetch_add_relaxed(&mm->table_pages, 1);
	return page;
}

void pgtable_page_free(struct mm *mm, struct page *page)
{
	table_page_free(mm->memory, page);
	(void)fetch_add_relaxed(&mm->table_pages, -1);
	count_event(COUNTER_PT_FREE);
}

u64 pgtable_create(struct mm *mm)
{
	const struct arch_desc *a = mm->arch;
	struct page *page;

	/* A table is one frame: a ppc64 radix root with 4 KiB pages would not fit. */
	MMSIM_BUG_ON(8u << a->idx_bits[a->levels - 1] > arch_page_bytes(a));
	page = table_page_alloc(mm);
	if (!page)
		return ~0ull;
	count_event(COUNTER_PT_ALLOC);
	(void)fetch_add_relaxed(&mm->table_pages, 1);
	return page_to_pfn(mm->memory, page);
}

void pgtable_destroy(struct mm *mm)
{
	const struct arch_desc *a = mm->arch;
	pte_t *table = phys_to_virt(mm->memory, mm->pgd_pfn);

	mmu_forget(mm);
	for (u32 i = 0; i < 1u << a->idx_bits[a->levels - 1]; i++)
		if (unlikely(READ_ONCE(table[i])))
			MMSIM_BUG("page table of a dead mm not empty: top-level entry %u", i);
	/* No CPU has it loaded and no task is in it: nobody can be walking. */
	table_page_free(mm->memory, pfn_to_page(mm->memory, mm->pgd_pfn));
	(void)fetch_add_relaxed(&mm->table_pages, -1);
	count_event(COUNTER_PT_FREE);
}

/* ---- descent ---------------------------------------------------------------------------- */

/* Down to va's entry of level `lowest`: see arch_ops. */
static inline bool descend(const struct mm *mm, u64 va, u32 lowest, struct pt_place *at)
{
	return mm->arch->ops->descend(mm->arch, mm->memory, mm->pgd_pfn, va, lowest, at);
}

/* The lock of the table that the entry is in. */
static inline spinlock_t *place_ptl(const struct mm *mm, const struct pt_place *at)
{
	return &pfn_to_page(mm->memory, at->table)->ptl;
}

/* Link a new table under the empty entry `at`; or another CPU has done so meanwhile.
 * False: no memory. */
static NOINLINE bool table_link(struct mm *mm, const struct pt_place *at)
{
	spinlock_t *lock = at->level == 1 ? place_ptl(mm, at) : &mm->page_table_lock;
	struct page *page = table_page_alloc(mm);

	if (!page)
		return false;
	spin_lock(lock);
	if (likely(!pte_present(mm->arch, READ_ONCE(*at->entry)))) {
		pte_t e = table_make(mm->arch, page_to_pfn(mm->memory, page), at->level);

		/* Pairs with the acquire of whoever descends: see the file's head. */
		smp_store_release(at->entry, e);
		page = NULL;
	}
	spin_unlock(lock);
	if (unlikely(page)) {
		table_page_free(mm->memory, page);
		return true;
	}
	count_event(COUNTER_PT_ALLOC);
	(void)fetch_add_relaxed(&mm->table_pages, 1);
	return true;
}

pte_t *pgtable_entry(struct mm *mm, u64 va, u32 level, bool alloc, spinlock_t **ptl)
{
	struct pt_place at;

	/* Each further turn has made one table. The way down to it is short and warm. */
	while (unlikely(!descend(mm, va, level, &at))) {
		if (pgtable_is_leaf(mm, READ_ONCE(*at.entry), at.level))
			return alloc ? PGTABLE_LEAF : NULL;
		if (!alloc || !table_link(mm, &at))
			return NULL;
	}
	*ptl = place_ptl(mm, &at);
	return at.entry;
}

pte_t *pgtable_lookup(struct mm *mm, u64 va, spinlock_t **ptl)
{
	struct pt_place at;

	if (unlikely(!descend(mm, va, 0, &at)))
		return NULL;
	*ptl = place_ptl(mm, &at);
	return at.entry;
}

pte_t *pgtable_alloc(struct mm *mm, u64 va, spinlock_t **ptl)
{
	return pgtable_entry(mm, va, 0, true, ptl);
}

pte_t pgtable_peek_leaf(struct mm *mm, u64 va)
{
	struct pt_place at;

	return descend(mm, va, 1, &at) ? READ_ONCE(*at.entry) : 0;
}

pte_t pgtable_translation(struct mm *mm, u64 va)
{
	struct pt_place at;
	pte_t e;

	if (descend(mm, va, 0, &at))
		return READ_ONCE(*at.entry);
	e = READ_ONCE(*at.entry);
	return pgtable_is_leaf(mm, e, at.level) ? e : 0;
}

u64 pgtable_span(struct mm *mm, u64 va, u64 end, pte_t **pte, spinlock_t **ptl)
{
	struct pt_span s;

	pgtable_span_leaf(mm, va, end, &s);
	while (unlikely(s.entry && s.level)) {
		pgtable_split(mm, va);
		pgtable_span_leaf(mm, va, end, &s);
	}
	*pte = s.entry;
	*ptl = s.ptl;
	return s.end;
}

void pgtable_span_leaf(struct mm *mm, u64 va, u64 end, struct pt_span *s)
{
	struct pt_place at;
	bool found = descend(mm, va, 0, &at) || pgtable_is_leaf(mm, READ_ONCE(*at.entry), at.level);

	s->entry = found ? at.entry : NULL;
	s->ptl = place_ptl(mm, &at);
	s->level = at.level;
	/* Up to the end of va's level-0 table, or of what the entry covers that has no table. */
	va |= level_bytes(mm->arch, max(at.level, 1u)) - 1;
	s->end = va < end - 1 ? va + 1 : end;
}

/* ---- what a VMA's entries look like -------------------------------------------------------- */

bool vma_wants_writenotify(const struct vma *vma)
{
	if ((vma->flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return false;
	line_read(vma, file);
	if (vma->flags & (VM_PFNMAP | VM_IO) || !vma->file)
		return false;
	line_read(vma->file, inode);
	line_read(vma->file->inode, kind);
	/* A file system must know of the first write since the last write-back. Memory files
	 * have no write-back: their first touch may map them writable at once. */
	return vma->file->inode->kind == INODE_REGULAR || vma->file->inode->kind == INODE_NO_HUGE;
}

u32 vma_pte_attrs(const struct vma *vma)
{
	u32 attrs = PTE_ACCESSED;

	if (!(vma->flags & (VM_READ | VM_WRITE | VM_EXEC)))
		attrs |= PTE_HIDDEN;
	/* What may be written or executed may be read: as vma_allows() has it. */
	if (vma->flags & (VM_READ | VM_WRITE | VM_EXEC))
		attrs |= PTE_USER | PTE_READ;
	if (vma->flags & VM_EXEC)
		attrs |= PTE_EXEC;
	if ((vma->flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE) &&
	    !vma_wants_writenotify(vma))
		attrs |= PTE_WRITE;
	return attrs;
}

/* ---- visiting --------------------------------------------------------------------------- */

struct visit {
	const struct arch_desc *arch;
	const struct memory *mem;
	void (*fn)(void *arg, u64 va, pte_t e, u32 level);
	void *arg;
};

static void visit_table(const struct visit *v, u64 pfn, u32 level, u64 start, u64 last)
{
	const pte_t *table = phys_to_virt(v->mem, pfn);
	u64 span = level_bytes(v->arch, level);

	for (u64 va = start;; va = ALIGN_DOWN(va, span) + span) {
		pte_t e = smp_load_acquire(&table[level_index(v->arch, va, level)]);
		u64 stop = va | (span - 1);

		if (pte_present(v->arch, e)) {
			if (entry_is_leaf(v->arch, e, level))
				v->fn(v->arg, ALIGN_DOWN(va, span), e, level);
			else
				visit_table(v, table_pfn(v->arch, e), level - 1, va,
					    min(stop, last));
		}
		if (stop >= last)
			return;
	}
}

void pgtable_visit(struct mm *mm, u64 start, u64 end,
		   void (*fn)(void *arg, u64 va, pte_t e, u32 level), void *arg)
{
	struct visit v = {.arch = mm->arch, .mem = mm->memory, .fn = fn, .arg = arg};

	end = min(end, mm->arch->task_size);
	if (start < end)
		visit_table(&v, mm->pgd_pfn, mm->arch->levels - 1u, start, end - 1);
}
