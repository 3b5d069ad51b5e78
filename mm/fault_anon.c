/*
 * mm/fault_anon.c - first touch of anonymous memory: a zeroed page, or the zero page for a read
 *
 * Models       Linux do_anonymous_page, vmf_anon_prepare, and of do_huge_pmd_anonymous_page that a
 *              read where a huge page could stand gives the VMA an anon_vma (writes: huge.c).
 * Locks        A VMA lock alone does not let an anon_vma be given, because that looks at the
 *              neighbours: mmap_lock is tried for read, and if that fails the fault is redone.
 * Counters     FAULT_ANON, FAULT_ZERO_PAGE.
 * Tests        tests/unit/mm/test_fault.c
 */
#include "mm/internal.h"
#include "mm/fault_internal.h"

static NOINLINE enum fault_step anon_prepare_slow(struct fault *f)
{
	struct vma *vma = f->vma;
	u64 page_bytes = arch_page_bytes(f->mm->arch);
	/* The neighbours are looked at too. */
	u64 start = vma->start - min(vma->start, page_bytes), end = vma->end + page_bytes;
	int err;

	if (fault_unpinned(f))
		return fault_refuse(f, REFUSED_NO_ANON_VMA);
	if (f->speculative) {
		if (!(f->mm->mmm->vma_coverage & COVER_FIRST_ANON) ||
		    !mmap_read_trylock(f->mm, f->hold, start, end))
			return STEP_RETRY;
	} else if (unlikely(!hold_covers(f->hold, start, end))) {
		f->needs_neighbours = true;
		return STEP_RETRY;
	}
	err = anon_vma_prepare(vma);
	if (f->speculative)
		mmap_read_unlock(f->hold);
	return err ? STEP_OOM : STEP_CONTINUE;
}

enum fault_step fault_anon_prepare(struct fault *f)
{
	if (likely(READ_ONCE(f->vma->anon_vma)))
		return STEP_CONTINUE;
	return anon_prepare_slow(f);
}

bool fault_wants_huge(const struct fault *f)
{
	const struct vma *vma = f->vma;
	u64 thp = f->mm->mmm->config.params[MM_PARAM_THP];
	u64 bytes, start;

	if (likely(!(vma->flags & VM_HUGEPAGE) && thp != THP_ALWAYS) || f->pte)
		return false;
	if ((vma->flags & VM_NOHUGEPAGE) || thp == THP_NEVER || !f->mm->memory->huge_order)
		return false;
	bytes = level_bytes(f->mm->arch, 1);
	start = ALIGN_DOWN(f->va, bytes);
	return start >= vma->start && start + bytes <= vma->end;
}

struct page *fault_anon_page(struct fault *f, u32 alloc_flags)
{
	const struct vma *vma = f->vma;
	struct page *page = page_alloc(f->mm->memory, alloc_flags);
	u32 flags = PAGE_ANON | PAGE_ANON_EXCLUSIVE | PAGE_SWAPBACKED | PAGE_UPTODATE;

	if (unlikely(!page))
		return NULL;
	if (unlikely((vma->flags & VM_LOCKED) && !(vma->flags & VM_SPECIAL)))
		flags |= PAGE_UNEVICTABLE;
	WRITE_ONCE(page->flags, flags);
	page->anon_vma = READ_ONCE(vma->anon_vma);
	page->index = fault_pgoff(f);
	return page;
}

void fault_map_anon(struct fault *f, struct page *page)
{
	const struct vma *vma = f->vma;
	struct mm *mm = f->mm;
	u32 attrs = vma_pte_attrs(vma);

	if (likely(vma->flags & VM_WRITE))
		attrs |= PTE_WRITE | PTE_DIRTY;
	lru_add(mm->memory, page);
	atomic_set(&page->mapcount, 1); /* nobody else can see it yet */
	percpu_counter_add(&mm->rss[RSS_ANON], 1);
	pte_set(mm, f->pte, fault_page_va(f),
		mm_pte_make(mm, page_to_pfn(mm->memory, page), attrs));
}

enum fault_step fault_anon_write(struct fault *f)
{
	enum fault_step step = STEP_CONTINUE;
	struct page *page;

	if (unlikely(fault_wants_huge(f)))
		step = fault_anon_huge(f);
	if (likely(step == STEP_CONTINUE))
		step = fault_anon_prepare(f);
	if (unlikely(step != STEP_CONTINUE))
		return step;
	page = fault_anon_page(f, ALLOC_ZERO);
	if (unlikely(!page))
		return STEP_OOM;
	step = fault_pte_lock(f);
	if (unlikely(step != STEP_CONTINUE)) {
		page_put(f->mm->memory, page);
		return step;
	}
	fault_map_anon(f, page);
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_ANON);
	return STEP_DONE;
}

enum fault_step fault_anon_read(struct fault *f)
{
	struct mm *mm = f->mm;
	u64 zero_pfn = page_to_pfn(mm->memory, mm->memory->zero_page);
	enum fault_step step;

	if (unlikely(fault_wants_huge(f))) {
		step = fault_anon_prepare(f);
		if (step != STEP_CONTINUE)
			return step;
	}
	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE)
		return step;
	pte_set(mm, f->pte, fault_page_va(f),
		mm_pte_make(mm, zero_pfn, vma_pte_attrs(f->vma) | PTE_SPECIAL));
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_ZERO_PAGE);
	return STEP_DONE;
}
