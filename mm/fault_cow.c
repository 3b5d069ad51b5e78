/*
 * mm/fault_cow.c - a write meets an entry that forbids it: reuse the page, or copy it
 *
 * Models       Linux do_wp_page: wp_page_shared, wp_can_reuse_anon_folio, wp_page_copy.
 *              A private page is reused in place when this mm is its only owner: it is marked
 *              exclusive, or its last reference but the entry's is gone (fork's other side wrote or
 *              exited, and no per-CPU LRU batch holds it). Everything else is copied.
 * Guarantee    A copy shows the source as it was under a read-only entry: between the copy and its
 *              installation the entry is compared under the page-table lock, and the old
 *              translation is flushed on all CPUs before the new one becomes visible.
 * Locks        The page-table lock is dropped to allocate and copy; a reference keeps the source.
 * Counters     FAULT_WP_REUSE, FAULT_WP_COPY (anonymous source), FAULT_FILE_COW (page cache),
 *              FAULT_ANON (zero page), FAULT_FILE_SHARED.
 * Tests        tests/unit/mm/test_fault_cow.c
 */
#include "mm/internal.h"
#include "mm/fault_internal.h"

static struct page *orig_page(const struct fault *f)
{
	return pfn_to_page(f->mm->memory, pte_pfn(f->mm->arch, f->orig));
}

static bool orig_is_special(const struct fault *f)
{
	return pte_has(f->mm->arch, f->orig, PTE_SPECIAL);
}

/* ptl held. In Linux's order: cheap refusals first, the page lock last. */
static bool can_reuse(const struct fault *f, struct page *page)
{
	const struct memory *mem = f->mm->memory;

	if (!page_has(page, PAGE_ANON))
		return false;
	if (page_has(page, PAGE_ANON_EXCLUSIVE))
		return true;
	if (atomic_read(&page->refcount) > 2)
		return false;
	if (!page_has(page, PAGE_LRU))
		lru_drain(mem); /* the second reference may be this CPU's LRU batch */
	if (atomic_read(&page->refcount) > 1)
		return false;
	if (!page_trylock(page))
		return false;
	/* Acquire: whoever dropped the other reference has finished with the content. */
	if (atomic_read_acquire(&page->refcount) > 1) {
		page_unlock(mem, page);
		return false;
	}
	page->anon_vma = READ_ONCE(f->vma->anon_vma);
	page_set_flags(page, PAGE_ANON_EXCLUSIVE);
	page_unlock(mem, page);
	return true;
}

/* ptl held, *f->pte is f->orig. Put copy in the place of old (NULL: an uncounted page). */
static void replace_page(struct fault *f, struct page *old, struct page *copy)
{
	struct mm *mm = f->mm;
	u64 va = fault_page_va(f);

	(void)pte_get_and_clear(mm, f->pte, va);
	/* No CPU may go on reading the old page once another can write to the new one. */
	tlb_flush_page(mm, va);
	if (old) {
		atomic_dec(&old->mapcount);
		percpu_counter_add(&mm->rss[page_rss_kind(old)], -1);
	}
	fault_map_anon(f, copy);
}

/* No lock held; old has a reference of ours, which this drops; NULL: nothing that is counted. */
static enum fault_step copy_page(struct fault *f, struct page *old)
{
	const struct memory *mem = f->mm->memory;
	struct page *source = orig_page(f), *copy = NULL;
	bool zero = source == mem->zero_page;
	enum fault_step step = fault_anon_prepare(f);

	if (step == STEP_CONTINUE) {
		copy = fault_anon_page(f, zero ? ALLOC_ZERO : 0);
		if (!copy)
			step = STEP_OOM;
	}
	if (step == STEP_CONTINUE) {
		if (!zero)
			page_copy_content(mem, copy, source);
		step = fault_pte_lock(f);
	}
	if (step == STEP_CONTINUE) {
		if (zero)
			count_event(COUNTER_FAULT_ANON);
		else if (!old)
			count_event(COUNTER_FAULT_SPECIAL);
		else
			count_event(page_has(old, PAGE_ANON) ? COUNTER_FAULT_WP_COPY
							     : COUNTER_FAULT_FILE_COW);
		replace_page(f, old, copy);
		fault_pte_unlock(f);
		if (old)
			page_put(mem, old); /* the entry's */
		step = STEP_DONE;
	} else if (copy) {
		page_put(mem, copy);
	}
	if (old)
		page_put(mem, old); /* ours */
	return step;
}

enum fault_step fault_wp_private(struct fault *f)
{
	struct page *old = NULL;
	enum fault_step step;

	if (!orig_is_special(f)) {
		step = fault_pte_lock(f);
		if (step != STEP_CONTINUE)
			return step;
		old = orig_page(f);
		if (can_reuse(f, old)) {
			fault_make_writable(f);
			fault_pte_unlock(f);
			count_event(COUNTER_FAULT_WP_REUSE);
			return STEP_DONE;
		}
		page_get(old);
		fault_pte_unlock(f);
	}
	return copy_page(f, old);
}

enum fault_step fault_wp_shared(struct fault *f)
{
	const struct memory *mem = f->mm->memory;
	bool special = orig_is_special(f);
	struct page *page = NULL;
	enum fault_step step;

	if (special && f->speculative)
		return fault_refuse(f, REFUSED_KIND);
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE)
		return step;
	if (special) {
		fault_make_writable(f);
		fault_pte_unlock(f);
		count_event(COUNTER_FAULT_SPECIAL);
		return STEP_DONE;
	}
	page = orig_page(f);
	page_get(page);
	fault_pte_unlock(f);

	page_lock(mem, page);
	step = fault_pte_lock(f);
	if (step == STEP_CONTINUE) {
		fault_make_writable(f);
		fault_pte_unlock(f);
		if (!page_has(page, PAGE_DIRTY))
			page_set_flags(page, PAGE_DIRTY);
		count_event(COUNTER_FAULT_FILE_SHARED);
		step = STEP_DONE;
	}
	page_unlock(mem, page);
	page_put(mem, page);
	return step;
}
