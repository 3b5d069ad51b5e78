/*
 * mm/fault_file.c - first touch of a mapped file: read with fault-around, private and shared write
 *
 * Models       Linux do_read_fault, do_cow_fault, do_shared_fault, filemap_map_pages,
 *              filemap_fault, and the mappings that the kernel makes itself.
 * Locks        Page lock (FOLIO) before the page-table lock, held until the entry is installed, so that
 *              truncation finds it; fault-around only tries page locks,
 *              under the page-table lock. A page that must be read in slowly is waited for without
 *              any lock (STEP_IO), as FAULT_FLAG_ALLOW_RETRY does.
 * VMA lock     Covers everything here but special mappings, whose drivers have no map_pages: those
 *              are redone under mmap_lock.
 * Counters     FAULT_FILE_READ, _COW, _SHARED, FAULT_AROUND_PAGES, FAULT_SPECIAL.
 * Tests        tests/unit/mm/test_fault_file.c
 */
#include "mm/internal.h"
#include "mm/fault_internal.h"
#include "mm/filemap_internal.h"

#define FAULT_AROUND_BYTES 65536u /* Linux's fault_around_bytes; one page: no fault-around */

static void file_page_put(const struct fault *f, struct page *page)
{
	page_unlock(f->mm->memory, page);
	page_put(f->mm->memory, page);
}

/* The page under f->va, up to date, with a reference. CONTINUE, SIGBUS, OOM, IO. */
static enum fault_step file_page_get(struct fault *f, struct page **page)
{
	const struct memory *mem = f->mm->memory;
	struct file *file = f->vma->file;
	struct mapping *mapping;
	u64 index = fault_pgoff(f);

	line_read(file, inode);
	mapping = &file->inode->mapping;
	if (unlikely(filemap_beyond_end(mem, file->inode, index)))
		return STEP_SIGBUS;
	if (file->inode->read_latency_ns && !f->must_not_drop && !f->tries) {
		*page = filemap_get(mem, mapping, index);
		if (*page && page_has(*page, PAGE_UPTODATE))
			return STEP_CONTINUE;
		if (*page)
			page_put(mem, *page);
		file_get(file);
		f->io_file = file;
		f->io_index = index;
		return STEP_IO;
	}
	*page = filemap_read(mem, mapping, index);
	return *page ? STEP_CONTINUE : STEP_OOM;
}

/* The same, and locked: until it is unlocked again it is the file's, and truncation waits with it. */
static enum fault_step file_page(struct fault *f, struct page **page)
{
	const struct memory *mem = f->mm->memory;

	for (;;) {
		enum fault_step step = file_page_get(f, page);
		const struct inode *inode = f->vma->file->inode;

		if (unlikely(step != STEP_CONTINUE))
			return step;
		page_lock(mem, *page);
		line_read(*page, mapping);
		if (likely((*page)->mapping == &inode->mapping &&
			   !filemap_beyond_end(mem, inode, fault_pgoff(f))))
			return STEP_CONTINUE;
		file_page_put(f, *page);
	}
}

/* The window of fault-around, as page numbers of the address space: [*first, *end) is aligned,
 * inside the VMA, inside one page table. */
static void around_window(const struct fault *f, u64 *first, u64 *end)
{
	const struct arch_desc *arch = f->mm->arch;
	const struct vma *vma = f->vma;
	u64 table = level_bytes(arch, 1) >> arch->page_shift;
	u64 page = f->va >> arch->page_shift, pages = FAULT_AROUND_BYTES >> arch->page_shift;

	*first = ALIGN_DOWN(page, pages);
	*end = *first + pages;
	*first = max(*first, vma->start >> arch->page_shift);
	*end = min(*end, vma->end >> arch->page_shift);
	*first = max(*first, ALIGN_DOWN(page, table));
	*end = min(*end, ALIGN_DOWN(page, table) + table);
}

/* One page of the window: page is locked and referenced; its reference goes to the entry. */
static void around_map(struct fault *f, pte_t *pte, u64 va, struct page *page, u32 attrs)
{
	atomic_inc(&page->mapcount);
	pte_set(f->mm, pte, va, pte_make(f->mm->arch, page_to_pfn(f->mm->memory, page), attrs));
	page_unlock(f->mm->memory, page);
}

/*
 * Map what is cached around f->va. CONTINUE: f->va itself is not mapped by that, f->orig is still
 * what is there. DONE, RETRY, OOM.
 */
static enum fault_step fault_around(struct fault *f)
{
	struct mm *mm = f->mm;
	struct vma *vma = f->vma;
	u8 shift = mm->arch->page_shift;
	struct filemap_cursor cursor = {.mem = mm->memory};
	u32 attrs = vma_pte_attrs(vma), mapped = 0;
	u64 wanted = f->va >> shift, first, end;
	enum rss_kind kind = RSS_FILE;
	bool wanted_mapped = false;
	enum fault_step step = fault_pte_lock(f);

	if (step != STEP_CONTINUE)
		return step;
	line_read(vma->file, inode);
	cursor.mapping = &vma->file->inode->mapping;
	around_window(f, &first, &end);
	rcu_read_lock();
	for (u64 n = first; n < end; n++) {
		u64 index = vma->pgoff + n - (vma->start >> shift);
		pte_t *pte = f->pte + ((s64)n - (s64)wanted);
		struct page *page;

		if (pte_get(pte))
			continue;
		if (filemap_beyond_end(mm->memory, vma->file->inode, index))
			break;
		page = filemap_next_mappable(&cursor, index);
		if (!page)
			continue;
		kind = page_rss_kind(page);
		around_map(f, pte, n << shift, page, attrs);
		mapped++;
		wanted_mapped |= n == wanted;
	}
	rcu_read_unlock();
	if (mapped)
		percpu_counter_add(&mm->rss[kind], mapped);
	fault_pte_unlock(f);
	count_events(COUNTER_FAULT_AROUND_PAGES, mapped - wanted_mapped);
	if (!wanted_mapped)
		return STEP_CONTINUE;
	count_event(COUNTER_FAULT_FILE_READ);
	return STEP_DONE;
}

enum fault_step fault_file_read(struct fault *f)
{
	bool around = arch_page_bytes(f->mm->arch) < FAULT_AROUND_BYTES;
	enum fault_step step = around ? fault_around(f) : STEP_CONTINUE;
	struct page *page;

	if (step == STEP_CONTINUE)
		step = file_page(f, &page);
	if (step != STEP_CONTINUE)
		return step;
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE) {
		file_page_put(f, page);
		return step;
	}
	fault_map_page(f, page, vma_pte_attrs(f->vma));
	fault_pte_unlock(f);
	page_unlock(f->mm->memory, page);
	count_event(COUNTER_FAULT_FILE_READ);
	return STEP_DONE;
}

enum fault_step fault_file_cow(struct fault *f)
{
	const struct memory *mem = f->mm->memory;
	enum fault_step step = fault_anon_prepare(f);
	struct page *source, *copy;

	if (step == STEP_CONTINUE)
		step = file_page(f, &source);
	if (step != STEP_CONTINUE)
		return step;
	copy = fault_anon_page(f, 0);
	if (!copy) {
		file_page_put(f, source);
		return STEP_OOM;
	}
	page_copy_content(mem, copy, source);
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE) {
		file_page_put(f, source);
		page_put(mem, copy);
		return step;
	}
	fault_map_anon(f, copy);
	fault_pte_unlock(f);
	file_page_put(f, source);
	count_event(COUNTER_FAULT_FILE_COW);
	return STEP_DONE;
}

enum fault_step fault_file_shared(struct fault *f)
{
	const struct memory *mem = f->mm->memory;
	struct page *page;
	enum fault_step step = file_page(f, &page);

	if (step != STEP_CONTINUE)
		return step;
	/* The file system hears of the write before it can happen (page_mkwrite). */
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE) {
		file_page_put(f, page);
		return step;
	}
	fault_map_page(f, page, vma_pte_attrs(f->vma) | PTE_WRITE | PTE_DIRTY);
	fault_pte_unlock(f);
	if (!page_has(page, PAGE_DIRTY))
		page_set_flags(page, PAGE_DIRTY);
	page_unlock(mem, page);
	count_event(COUNTER_FAULT_FILE_SHARED);
	return STEP_DONE;
}

/* ---- special and device mappings ------------------------------------------------------------- */

static enum fault_step special_cow(struct fault *f)
{
	const struct memory *mem = f->mm->memory;
	enum fault_step step = fault_anon_prepare(f);
	struct page *copy;

	if (step != STEP_CONTINUE)
		return step;
	copy = fault_anon_page(f, 0);
	if (!copy)
		return STEP_OOM;
	page_copy_content(mem, copy, mem->special_page);
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE) {
		page_put(mem, copy);
		return step;
	}
	fault_map_anon(f, copy);
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_SPECIAL);
	return STEP_DONE;
}

enum fault_step fault_special(struct fault *f)
{
	const struct vma *vma = f->vma;
	const struct memory *mem = f->mm->memory;
	u32 attrs = vma_pte_attrs(vma) | PTE_SPECIAL;
	enum fault_step step;

	if (f->speculative)
		return fault_refuse(f, REFUSED_KIND); /* no map_pages: not under a VMA lock */
	if (f->access == ACCESS_WRITE && !(vma->flags & VM_SHARED))
		return special_cow(f);
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE)
		return step;
	if (f->access == ACCESS_WRITE)
		attrs |= PTE_WRITE | PTE_DIRTY;
	pte_set(f->mm, f->pte, fault_page_va(f),
		pte_make(f->mm->arch, page_to_pfn(mem, mem->special_page), attrs));
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_SPECIAL);
	return STEP_DONE;
}
