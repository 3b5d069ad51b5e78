/*
 * mm/fault_hugetlb.c - a fault in a MAP_HUGETLB mapping: a leaf of the pool's level, and its copy-on-write
 *
 * Models       Linux's hugetlb_fault(), hugetlb_no_page(), hugetlb_wp(), unmap_ref_private().
 *              Nothing here falls back to small pages: what is not a leaf of the mapping's size is nothing
 *              at all. Private mappings never see the file's pages, because it has no other user.
 * Copy         A write copies the whole page unless nobody else maps it. If the pool is empty, the one who
 *              has reserved the memory gets it all the same: it is unmapped from its children, who get SIGBUS
 *              where they miss it. They may be in the middle of a fork themselves: then once more.
 * Locks        hugetlb_fault_mutex of the page, hugetlb_vma_lock for read, then the ptl of the leaf's
 *              table, by the scheme's pte_lock(). Taking back: i_mmap_rwsem for write.
 *              Under a range lock the hold has to cover the leaf; faults that hold nothing (spf) are refused.
 * Counters     FAULT_HUGETLB, FAULT_WP_COPY, FAULT_WP_REUSE, HUGETLB_TAKEN_BACK.
 * Tests        tests/unit/mm/test_hugetlb.c
 */
#include "mm/fault_internal.h"
#include "mm/hugetlb.h"
#include "mm/mmu_internal.h"

/* What a fault is about. */
struct huge_fault {
	struct hugetlb_file *hf;
	u64 va;		/* of the leaf */
	u64 n;		/* page of the file */
	u32 level, pages; /* base pages of the leaf */
};

/* A page for it, dressed and filled. NULL: the pool has none for us. */
static struct page *new_page(struct fault *f, const struct huge_fault *h, bool may_use, struct page *content)
{
	const struct memory *mem = f->mm->memory;
	const struct vma *vma = f->vma;
	bool shared = vma->flags & VM_SHARED, used;
	struct page *head = hugetlb_page_get(f->mm, h->hf, h->n, may_use, &used);
	u32 flags = PAGE_HUGETLB | PAGE_UPTODATE | (shared ? 0 : PAGE_ANON | PAGE_ANON_EXCLUSIVE);

	if (!head)
		return NULL;
	if (content)
		pages_copy_content(mem, head, content, h->pages);
	else
		pages_clear_content(mem, head, h->pages);
	/* Until it is mapped: if it is given up again, its reservation must not be lost. */
	WRITE_ONCE(head->flags, flags | (used ? PAGE_RESTORE_RESERVE : 0));
	line_write(head, mapping);
	head->mapping = &vma->file->inode->mapping;
	head->anon_vma = shared ? NULL : READ_ONCE(vma->anon_vma);
	head->index = h->hf->first_index + (h->n << h->hf->h->order);
	return head;
}

/* ptl held, nothing there: the entry's reference is handed over. */
static void map_page(struct fault *f, const struct huge_fault *h, struct page *head, u32 attrs)
{
	if (page_has(head, PAGE_RESTORE_RESERVE))
		page_clear_flags(head, PAGE_RESTORE_RESERVE);
	atomic_inc(&head->mapcount);
	pte_set(f->mm, f->pte, h->va, huge_make(f->mm->arch, page_to_pfn(f->mm->memory, head), attrs));
}

/* The page of a shared mapping, with a reference; made if need be. NULL: the pool has none. */
static struct page *shared_page(struct fault *f, const struct huge_fault *h)
{
	struct page **slot = &h->hf->cache[h->n];

	line_write_ptr(slot);
	if (!*slot) {
		*slot = new_page(f, h, true, NULL);
		if (!*slot)
			return NULL;
		page_clear_flags(*slot, PAGE_RESTORE_RESERVE); /* it is the file's from now on */
	}
	page_get(*slot);
	return *slot;
}

static enum fault_step no_page(struct fault *f, const struct huge_fault *h)
{
	bool shared = f->vma->flags & VM_SHARED;
	u32 attrs = vma_pte_attrs(f->vma);
	enum fault_step step = STEP_DONE;
	struct page *head;

	if (!shared) {
		step = fault_anon_prepare(f);
		if (step != STEP_CONTINUE)
			return step;
	}
	head = shared ? shared_page(f, h) : new_page(f, h, f->vma->reserve_owner, NULL);
	if (!head)
		return STEP_SIGBUS;
	if (shared ? attrs & PTE_WRITE : f->access == ACCESS_WRITE)
		attrs |= PTE_WRITE | PTE_DIRTY;
	if (!f->mm->locking->pte_lock(f, f->ptl)) {
		page_put(f->mm->memory, head);
		return STEP_RETRY;
	}
	if (unlikely(READ_ONCE(f->vma->reserve_lost))) {
		step = STEP_SIGBUS; /* it was not zeroes that were here */
	} else if (unlikely(pte_get(f->pte))) {
		count_event(COUNTER_FAULT_SPURIOUS);
		step = STEP_DONE;
	} else {
		map_page(f, h, head, attrs);
		(void)fetch_add_relaxed(&f->mm->hugetlb_pages, h->pages);
		count_event(COUNTER_FAULT_HUGETLB);
		head = NULL;
		step = STEP_DONE;
	}
	fault_pte_unlock(f);
	if (unlikely(head))
		page_put(f->mm->memory, head);
	return step;
}

/* ---- copy-on-write ---------------------------------------------------------------------------------- */

/* Who has a copy of its own by now keeps it. The page's fault mutex is held: nobody comes to map it. */
static bool maps_page(const struct vma *vma, const struct huge_fault *h, u64 va, const struct page *old)
{
	const struct memory *mem = vma->mm->memory;
	spinlock_t *ptl;
	pte_t *entry = pgtable_entry(vma->mm, va, h->level, false, &ptl);
	bool maps;
	pte_t e;

	if (!entry)
		return false;
	spin_lock(ptl);
	e = pte_get(entry);
	maps = pgtable_is_leaf(vma->mm, e, h->level) && pfn_to_page(mem, leaf_pfn(vma->mm->arch, e, h->level)) == old;
	spin_unlock(ptl);
	return maps;
}

/* Unmap the page from all but its owner. */
static void take_back(const struct fault *f, const struct huge_fault *h, const struct page *old)
{
	struct mapping *mapping = &f->vma->file->inode->mapping;
	u64 index = h->hf->first_index + (h->n << h->hf->h->order);
	u8 shift = f->mm->arch->page_shift;

	down_write(&mapping->i_mmap_rwsem);
	for (struct vma *vma = i_mmap_first(mapping, index, index); vma; vma = i_mmap_next(vma, index, index)) {
		line_read(vma, start);
		if (vma == f->vma || vma->reserve_owner)
			continue;
		line_read(vma->mm, locking);
		if (!maps_page(vma, h, vma->start + ((index - vma->pgoff) << shift), old))
			continue;
		/* Before the entry goes, whose lock orders the two: see no_page(). */
		line_write(vma, reserve_lost);
		WRITE_ONCE(vma->reserve_lost, true);
		hugetlb_zap_page(vma, index, level_bytes(f->mm->arch, h->level));
		count_event(COUNTER_HUGETLB_TAKEN_BACK);
	}
	up_write(&mapping->i_mmap_rwsem);
}

/*
 * ptl held. Where this is the only mapping, the page is ours. As in Linux the mappings count, not the references:
 * a TLB of another process, whose drop is about to flush it, may show what we write for that long.
 */
static bool make_writable(struct fault *f, const struct huge_fault *h, pte_t e, struct page *head)
{
	bool shared = f->vma->flags & VM_SHARED;

	/* Acquire: who unmapped it before has finished with it. */
	if (!shared && atomic_read_acquire(&head->mapcount) != 1)
		return false;
	if (!shared && !page_has(head, PAGE_ANON_EXCLUSIVE))
		page_set_flags(head, PAGE_ANON_EXCLUSIVE);
	while (!pte_try_change(f->mm, f->pte, h->va, &e,
			       pte_set_attrs(f->mm->arch, e, PTE_WRITE | PTE_DIRTY | PTE_ACCESSED)))
		;
	count_event(COUNTER_FAULT_WP_REUSE);
	return true;
}

/* *f->pte was e, which maps old: put copy there. CONTINUE: it is another by now. */
static enum fault_step replace_page(struct fault *f, const struct huge_fault *h, pte_t e, struct page *old,
				    struct page *copy)
{
	struct mm *mm = f->mm;

	if (!mm->locking->pte_lock(f, f->ptl))
		return STEP_RETRY;
	if (pte_get(f->pte) != e) {
		fault_pte_unlock(f);
		return STEP_CONTINUE;
	}
	(void)pte_get_and_clear(mm, f->pte, h->va);
	tlb_flush_range(mm, h->va, h->va + level_bytes(mm->arch, h->level), h->level, false);
	atomic_dec(&old->mapcount);
	map_page(f, h, copy, vma_pte_attrs(f->vma) | PTE_WRITE | PTE_DIRTY);
	fault_pte_unlock(f);
	page_put(mm->memory, old); /* the entry's */
	count_event(COUNTER_FAULT_WP_COPY);
	return STEP_DONE;
}

/* The entry forbids the write. CONTINUE: look again. */
static enum fault_step write_protected(struct fault *f, const struct huge_fault *h)
{
	const struct memory *mem = f->mm->memory;
	enum fault_step step = STEP_CONTINUE;
	struct page *old, *copy;
	pte_t e;

	if (!f->mm->locking->pte_lock(f, f->ptl))
		return STEP_RETRY;
	e = pte_get(f->pte);
	if (!pgtable_is_leaf(f->mm, e, h->level) || pte_has(f->mm->arch, e, PTE_WRITE)) {
		fault_pte_unlock(f);
		return STEP_CONTINUE;
	}
	old = pfn_to_page(mem, leaf_pfn(f->mm->arch, e, h->level));
	if (make_writable(f, h, e, old)) {
		fault_pte_unlock(f);
		return STEP_DONE;
	}
	page_get(old);
	fault_pte_unlock(f);
	/* Not out of the reservation: this page has used it up already. */
	copy = new_page(f, h, false, old);
	if (copy)
		step = replace_page(f, h, e, old, copy);
	else if (f->vma->reserve_owner)
		take_back(f, h, old);
	else
		step = STEP_SIGBUS;
	if (copy && step != STEP_DONE)
		page_put(mem, copy);
	page_put(mem, old);
	return step;
}

/* ---- the fault ---------------------------------------------------------------------------------------- */

/* The entry allows the access already, or will once software has set the bits. */
static enum fault_step nothing_to_do(struct fault *f, const struct huge_fault *h)
{
	u32 want = PTE_ACCESSED | (f->access == ACCESS_WRITE ? PTE_DIRTY : 0);
	pte_t e;

	if (!f->mm->locking->pte_lock(f, f->ptl))
		return STEP_RETRY;
	e = pte_get(f->pte);
	while (pte_present(f->mm->arch, e) && !pte_has(f->mm->arch, e, want))
		if (pte_try_change(f->mm, f->pte, h->va, &e, pte_set_attrs(f->mm->arch, e, want)))
			break;
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_SPURIOUS);
	return STEP_DONE;
}

/* All that others could do to the page's entries but zapping and protecting them is locked out. */
static enum fault_step resolve(struct fault *f, const struct huge_fault *h)
{
	enum fault_step step = STEP_CONTINUE;

	while (step == STEP_CONTINUE) {
		pte_t e;

		f->pte = pgtable_entry(f->mm, h->va, h->level, true, &f->ptl);
		if (!f->pte)
			return STEP_OOM;
		e = pte_get(f->pte);
		/* mmap() and mremap() leave no table where such a mapping comes. */
		MMSIM_BUG_ON(pte_present(f->mm->arch, e) && !pgtable_is_leaf(f->mm, e, h->level));
		if (!pte_present(f->mm->arch, e)) {
			step = no_page(f, h);
		} else if (f->access == ACCESS_WRITE && !pte_has(f->mm->arch, e, PTE_WRITE)) {
			step = write_protected(f, h);
		} else {
			step = nothing_to_do(f, h);
		}
	}
	return step;
}

enum fault_step fault_hugetlb(struct fault *f)
{
	struct hugetlb_file *hf;
	struct huge_fault h;
	struct rwsem *mutex, *vma_lock;
	enum fault_step step;

	if (fault_unpinned(f))
		return fault_refuse(f, REFUSED_KIND);
	hf = vma_hugetlb(f->vma);
	h = (struct huge_fault){
		.hf = hf,
		.va = ALIGN_DOWN(f->va, hf->h->bytes),
		.n = hugetlb_page_of(f->vma, hf, f->va),
		.level = hf->h->level,
		.pages = 1u << hf->h->order,
	};
	if (!f->speculative && unlikely(!hold_covers(f->hold, h.va, h.va + hf->h->bytes))) {
		f->needs_neighbours = true;
		return STEP_RETRY;
	}
	mutex = hugetlb_fault_mutex(f->mm, f->vma->file->inode, h.n);
	vma_lock = hugetlb_vma_lock(f->vma);
	down_write(mutex);
	if (vma_lock)
		down_read(vma_lock);
	step = resolve(f, &h);
	if (vma_lock)
		up_read(vma_lock);
	up_write(mutex);
	return step;
}
