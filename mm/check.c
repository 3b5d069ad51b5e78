/*
 * mm/check.c - every invariant of an address space that can be checked at rest
 *
 * Called by tests and between phases; stops the program (MMSIM_BUG) at the first that is broken.
 * Locks        mmap_lock for read; meaningful when no fault runs.
 */
#include <inttypes.h>

#include "mm/hugetlb.h"
#include "mm/internal.h"

struct tally {
	struct mm *mm;
	const struct vma *vma;
	u64 pages[RSS_KINDS], hugetlb_pages;
};

static void check_anon_vma(const struct vma *vma)
{
	const struct anon_vma_chain *avc;
	bool own = false;

	list_for_each_entry (avc, &vma->anon_vma_chain, same_vma) {
		if (avc->vma != vma)
			MMSIM_BUG("vma %" PRIx64 ": a link of another VMA in its chain", vma->start);
		own |= avc->anon_vma == vma->anon_vma;
	}
	if (vma->anon_vma && !own)
		MMSIM_BUG("vma %" PRIx64 ": its anon_vma is not in its chain", vma->start);
	if (!vma->anon_vma && !list_empty(&vma->anon_vma_chain))
		MMSIM_BUG("vma %" PRIx64 ": links without an anon_vma", vma->start);
	if (vma->anon_vma && !vma->anon_vma->num_active_vmas)
		MMSIM_BUG("vma %" PRIx64 ": its anon_vma counts no active VMA", vma->start);
}

/* A huge leaf lies inside one VMA that may have it, and maps a block that nobody else does. */
static void check_leaf(const struct tally *t, u64 va, const struct page *head, u32 level)
{
	const struct vma *vma = t->vma;
	u64 bytes = level_bytes(t->mm->arch, level);

	if ((va & (bytes - 1)) || va < vma->start || va + bytes > vma->end || !vma_is_anonymous(vma))
		MMSIM_BUG("%" PRIx64 ": huge leaf of level %u in VMA [%" PRIx64 ", %" PRIx64 ")", va, level,
			  vma->start, vma->end);
	if (level != 1 || (READ_ONCE(head->flags) & (PAGE_HUGE | PAGE_ANON_EXCLUSIVE)) !=
				  (PAGE_HUGE | PAGE_ANON_EXCLUSIVE))
		MMSIM_BUG("%" PRIx64 ": huge leaf maps a page with flags %#x", va, head->flags);
	for (u32 i = 0; i < 1u << t->mm->memory->huge_order; i++)
		if (atomic_read(&head[i].mapcount) != (i == 0) || atomic_read(&head[i].refcount) < 1 ||
		    (i > 0 && atomic_read(&head[i].refcount) != 1))
			MMSIM_BUG("%" PRIx64 ": frame %u of a huge page: refcount %d, mapcount %d", va, i,
				  atomic_read(&head[i].refcount), atomic_read(&head[i].mapcount));
}

/* One of a hugetlb mapping may be mapped by others too. */
static void check_hugetlb(const struct tally *t, u64 va, const struct page *head, u32 level)
{
	const struct hstate *h = vma_hugetlb(t->vma)->h;

	if (level != h->level || !page_has(head, PAGE_HUGETLB) || head->order != h->order)
		MMSIM_BUG("%" PRIx64 ": entry of level %u maps a page with flags %#x in a hugetlb VMA", va, level,
			  head->flags);
	if (page_has(head, PAGE_ANON_EXCLUSIVE) && atomic_read(&head->mapcount) != 1)
		MMSIM_BUG("%" PRIx64 ": exclusive huge page with mapcount %d", va, atomic_read(&head->mapcount));
}

/* The page table must not allow more than the VMA. */
static void check_entry(void *arg, u64 va, pte_t e, u32 level)
{
	struct tally *t = arg;
	const struct mm *mm = t->mm;
	const struct vma *vma = t->vma;
	struct page *page = pfn_to_page(mm->memory, leaf_pfn(mm->arch, e, level));
	u64 *pages;

	if (vma->flags & VM_HUGETLB)
		check_hugetlb(t, va, page, level);
	else if (level)
		check_leaf(t, va, page, level);
	if (pte_has(mm->arch, e, PTE_WRITE) && !(vma->flags & VM_WRITE))
		MMSIM_BUG("%" PRIx64 ": writable entry in a VMA that is not", va);
	if (pte_has(mm->arch, e, PTE_EXEC) && !(vma->flags & VM_EXEC))
		MMSIM_BUG("%" PRIx64 ": executable entry in a VMA that is not", va);
	if (pte_has(mm->arch, e, PTE_SPECIAL))
		return;
	if (atomic_read(&page->refcount) < 1 || atomic_read(&page->mapcount) < 1)
		MMSIM_BUG("%" PRIx64 ": maps a page with refcount %d, mapcount %d", va,
			  atomic_read(&page->refcount), atomic_read(&page->mapcount));
	if (pte_has(mm->arch, e, PTE_WRITE) && !(vma->flags & VM_SHARED) &&
	    !(READ_ONCE(page->flags) & PAGE_ANON))
		MMSIM_BUG("%" PRIx64 ": private mapping writes into the page cache", va);
	pages = vma->flags & VM_HUGETLB ? &t->hugetlb_pages : &t->pages[page_rss_kind(page)];
	*pages += level_bytes(mm->arch, level) >> mm->arch->page_shift;
}

static void check_hole(void *arg, u64 va, pte_t e, u32 level)
{
	MMSIM_BUG("%" PRIx64 ": entry %" PRIx64 " where no VMA is", va, e);
}

void mm_check(struct mm *mm)
{
	u64 page_mask = arch_page_bytes(mm->arch) - 1, at = 0, locked = 0, total = 0;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct tally tally = { .mm = mm };
	const struct vma *vma;
	u32 count = 0;

	mmap_read_lock(mm, hold, MM_RANGE_ALL);
	unpriced_begin();
	vma_tree_check(&mm->vmas);
	vma_tree_for_each (&mm->vmas, vma) {
		if (vma->start < at || vma->end <= vma->start || ((vma->start | vma->end) & page_mask))
			MMSIM_BUG("vma [%" PRIx64 ", %" PRIx64 ") out of order or unaligned",
				  vma->start, vma->end);
		if (vma->mm != mm || !vma->attached)
			MMSIM_BUG("vma %" PRIx64 ": in the tree, but not attached here", vma->start);
		check_anon_vma(vma);
		pgtable_visit(mm, at, vma->start, check_hole, NULL);
		tally.vma = vma;
		pgtable_visit(mm, vma->start, vma->end, check_entry, &tally);
		at = vma->end;
		count++;
		total += vma_pages(vma, mm->arch->page_shift);
		if (vma->flags & VM_LOCKED)
			locked += vma_pages(vma, mm->arch->page_shift);
	}
	pgtable_visit(mm, at, mm->task_size, check_hole, NULL);
	if (count != mm->map_count)
		MMSIM_BUG("map_count is %u, but there are %u VMAs", mm->map_count, count);
	if (total != mm->total_vm_pages)
		MMSIM_BUG("total_vm is %" PRIu64 " pages, but VMAs have %" PRIu64, mm->total_vm_pages,
			  total);
	if (locked + mm->locked_vm_excess_pages != mm->locked_vm_pages)
		MMSIM_BUG("locked_vm is %" PRIu64 " pages, but VMAs have %" PRIu64 " (and %" PRIu64
			  " in excess)",
			  mm->locked_vm_pages, locked, mm->locked_vm_excess_pages);
	if (tally.hugetlb_pages != mm->hugetlb_pages)
		MMSIM_BUG("hugetlb_pages is %" PRIu64 ", but %" PRIu64 " are mapped", mm->hugetlb_pages,
			  tally.hugetlb_pages);
	for (u32 i = 0; i < RSS_KINDS; i++)
		if ((s64)tally.pages[i] != percpu_counter_sum(mm->machine, &mm->rss[i]))
			MMSIM_BUG("rss counter %u is %lld, but %" PRIu64 " pages are mapped", i,
				  (long long)percpu_counter_sum(mm->machine, &mm->rss[i]),
				  tally.pages[i]);
	unpriced_end();
	mmap_read_unlock(hold);
}
