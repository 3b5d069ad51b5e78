/*
 * mm/pgtable_change.c - entries that stay where they are and change: mprotect, MADV_FREE
 *
 * Models       change_protection() and madvise_free_pte_range() of Linux.
 * Locks        the ptl of each level-0 table, or of a leaf's table, in turn. Callers: mprotect holds the address-space lock
 *              for write and has write-started the VMA; MADV_FREE holds it for read at least.
 * Guarantee    On return no CPU translates by an older entry.
 * Tests        tests/unit/mm/test_pgtable_change.c
 */
#include "mm/invariants.h"
#include "mm/mmu_internal.h"

/* What mprotect rules; the rest of an entry is kept. */
#define PROT_ATTRS (PTE_WRITE | PTE_USER | PTE_EXEC | PTE_READ | PTE_HIDDEN)

/* Linux's can_change_pte_writable(): has what a write fault would do already been done? */
static bool write_needs_no_fault(const struct vma *vma, const struct page *page, u32 attrs)
{
	if (!(vma->flags & VM_WRITE) || (vma->flags & VM_HUGETLB)) /* hugetlb: Linux does not look */
		return false;
	if (vma->flags & VM_SHARED)
		return (attrs & PTE_DIRTY) != 0;
	return page && (READ_ONCE(page->flags) & PAGE_ANON_EXCLUSIVE);
}

/* ptl held. True: a flush is due. As Linux does on x86 (pte_needs_flush()): for any change of
 * rights of an entry that can be cached; one that only gives rights would cost a spurious fault
 * on each CPU otherwise. */
static bool protect_entry(struct vma *vma, pte_t *pte, u32 level, u64 va, u32 prot)
{
	struct mm *mm = vma->mm;
	const struct arch_desc *a = mm->arch;
	const struct page *page = NULL;
	pte_t e = READ_ONCE(*pte), new_e;
	u32 old, now;

	if (!pte_present(a, e))
		return false;
	/* Taken out while it changes, as ptep_modify_prot_start() does: the MMU cannot write to it,
	 * and whoever faults on the hole waits for our locks. */
	e = pte_get_and_clear(mm, pte, va);
	old = pte_attrs(a, e);
	if (!(old & PTE_SPECIAL))
		page = pfn_to_page(mm->memory, leaf_pfn(a, e, level));
	if (write_needs_no_fault(vma, page, old))
		prot |= PTE_WRITE;
	new_e = pte_set_attrs(a, pte_clear_attrs(a, e, PROT_ATTRS & ~prot), prot);
	pte_set(mm, pte, va, new_e);
	now = pte_attrs(a, new_e);
	return (old & PTE_USER) && ((old ^ now) & PROT_ATTRS);
}

/* ptl held: is there a leaf, of which nothing is left out? A part of one is made a table; so does whoever
 * needs a boundary elsewhere in it meanwhile. */
static bool whole_leaf(struct mm *mm, const struct pt_span *s, u64 va)
{
	if (!pgtable_is_leaf(mm, pte_get(s->entry), s->level))
		return false;
	if (span_is_whole(mm, s, va))
		return true;
	pgtable_split_locked(mm, s->entry, ALIGN_DOWN(va, level_bytes(mm->arch, s->level)));
	return false;
}

/*
 * Truncation takes entries out without a lock of the address space, and flushes later; here they are absent then,
 * and nothing is left to flush, but TLBs may still have them. It holds i_mmap_rwsem until it has flushed. (Linux
 * counts all that is between the two in mm->tlb_flush_pending, and flushes if it finds it raised.)
 */
static bool truncation_may_flush(const struct vma *vma)
{
	const struct file *file;

	line_read(vma, file);
	file = vma->file;
	if (!file)
		return false;
	line_read(file, inode);
	return rwsem_is_locked(&file->inode->mapping.i_mmap_rwsem);
}

void pgtable_protect(struct vma *vma, u64 start, u64 end)
{
	struct mm *mm = vma->mm;
	u32 prot = vma_pte_attrs(vma) & PROT_ATTRS, lowest = ARCH_LEVELS_MAX;
	u64 first = ~0ull, last = 0, stop;

	for (u64 va = start; va < end; va = stop) {
		struct pt_span s;
		u64 step;

		pgtable_span_leaf(mm, va, end, &s);
		stop = s.end;
		if (!s.entry)
			continue;
		spin_lock(s.ptl);
		if (unlikely(s.level) && !whole_leaf(mm, &s, va)) {
			spin_unlock(s.ptl);
			stop = va; /* once more, by what is there now */
			continue;
		}
		step = level_bytes(mm->arch, s.level);
		for (; va < stop; va += step, s.entry++)
			if (protect_entry(vma, s.entry, s.level, va, prot)) {
				first = min(first, va);
				last = va + step;
				lowest = min(lowest, s.level);
			}
		spin_unlock(s.ptl);
	}
	/* After the ptl: the address-space lock keeps everybody who could use the difference out
	 * (Linux flushes a whole mprotect at its end too). */
	if (unlikely(truncation_may_flush(vma)))
		tlb_flush_range(mm, start, end, 0, false);
	else if (first < last)
		tlb_flush_range(mm, first, last, lowest, false);
	if (unlikely(mm->memory->watch))
		invariants_protected(vma, start, end);
}

/* ---- MADV_FREE ------------------------------------------------------------------------------ */

/* ptl held. True: the entry was cleaned, and must be flushed so that the next write shows. */
static bool free_entry(struct mm *mm, pte_t *pte, u64 va)
{
	const struct arch_desc *a = mm->arch;
	pte_t e = READ_ONCE(*pte), new_e;
	struct page *page;

	if (!pte_present(a, e) || pte_has(a, e, PTE_SPECIAL))
		return false;
	page = pfn_to_page(mm->memory, pte_pfn(a, e));
	if (!page_has(page, PAGE_ANON))
		return false;
	/* Somebody else's memory too: not ours to drop. */
	if (atomic_read(&page->mapcount) != 1)
		return false;
	/* Lazily freeable: a clean anonymous page that is not backed by swap. A write before
	 * reclaim finds it sets Dirty in the entry, and it stays. */
	page_clear_flags(page, PAGE_SWAPBACKED | PAGE_DIRTY | PAGE_REFERENCED);
	if (!(pte_attrs(a, e) & (PTE_ACCESSED | PTE_DIRTY)))
		return false;
	do {
		new_e = pte_clear_attrs(a, e, PTE_ACCESSED | PTE_DIRTY);
	} while (!pte_try_change(mm, pte, va, &e, new_e));
	return true;
}

void pgtable_madvise_free(struct vma *vma, u64 start, u64 end)
{
	struct mm *mm = vma->mm;
	u64 step = arch_page_bytes(mm->arch), first = ~0ull, last = 0, stop;

	for (u64 va = start; va < end; va = stop) {
		spinlock_t *ptl;
		pte_t *pte;

		stop = pgtable_span(mm, va, end, &pte, &ptl);
		if (!pte)
			continue;
		spin_lock(ptl);
		for (; va < stop; va += step, pte++)
			if (free_entry(mm, pte, va)) {
				first = min(first, va);
				last = va + step;
			}
		spin_unlock(ptl);
	}
	if (first < last)
		tlb_flush_range(mm, first, last, 0, false);
}
