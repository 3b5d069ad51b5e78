/*
 * tests/unit/mm/mmu_world.h - a machine, an mm and pages to map, without system calls or faults
 *
 * VMAs here are bare descriptions, not in any tree: what page-table code looks at and no more.
 */
#ifndef MMSIM_TEST_MMU_WORLD_H
#define MMSIM_TEST_MMU_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/mmsim.h>

#include "tests/unit/arch/every_arch.h"
#include "tests/unit/test_seed.h"

struct world {
	struct machine *m;
	const struct arch_desc *a;
	const struct memory *mem;
	struct mm *mm;
	u64 page;        /* bytes */
	u64 frames_base; /* used by an empty mm */
};

/* The calling thread is a task of the machine until world_destroy(). */
static inline struct world world_create(const struct arch_desc *a, u64 frames, u32 tasks)
{
	const struct machine_config cfg = {
		.tasks = tasks,
		.cpus = tasks,
		.memory_bytes = frames << a->page_shift,
		.content_words = 8,
		.seed = 1,
	};
	struct world w = {.a = a, .page = arch_page_bytes(a), .m = machine_create(&cfg)};

	assert_non_null(w.m);
	assert_int_equal(mm_machine_init(w.m, a, NULL), 0);
	machine_enter(w.m);
	w.mem = memory_of(w.m);
	w.mm = mm_create(w.m, a, &mm_locking_mmap_lock);
	assert_non_null(w.mm);
	w.frames_base = memory_frames_used(w.m);
	return w;
}

/* Everything that was mapped must be unmapped: the machine checks for leaks. */
static inline void world_destroy(struct world *w)
{
	mm_put(w->mm);
	assert_int_equal(machine_counter(w->m, COUNTER_PT_ALLOC),
			 machine_counter(w->m, COUNTER_PT_FREE));
	machine_leave();
	mm_machine_destroy(w->m);
	machine_destroy(w->m);
}

/* Frames in use beyond the empty mm, with every table whose grace period could end freed. */
static inline u64 world_frames(struct world *w)
{
	pgtable_drain_freed(w->m);
	return memory_frames_used(w->m) - w->frames_base;
}

static inline struct vma world_vma(struct world *w, u64 start, u64 end, u64 flags)
{
	return (struct vma){.mm = w->mm, .start = start, .end = end, .flags = flags};
}

#define PRIVATE_RW (VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/* Map a new exclusive anonymous page whose content is its address. */
static inline struct page *world_map(struct world *w, u64 va, u32 attrs)
{
	struct page *page = page_alloc(w->mem, ALLOC_ZERO);
	spinlock_t *ptl;
	pte_t *pte;

	assert_non_null(page);
	*page_content(w->mem, page_to_pfn(w->mem, page)) = va;
	page_set_flags(page, PAGE_ANON | PAGE_ANON_EXCLUSIVE | PAGE_SWAPBACKED);
	atomic_set(&page->mapcount, 1);
	pte = pgtable_alloc(w->mm, va, &ptl);
	assert_non_null(pte);
	spin_lock(ptl);
	assert_int_equal(pte_get(pte), 0);
	pte_set(w->mm, pte, va, pte_make(w->a, page_to_pfn(w->mem, page), attrs));
	spin_unlock(ptl);
	percpu_counter_add(&w->mm->rss[RSS_ANON], 1);
	return page;
}

static inline pte_t world_pte(struct mm *mm, u64 va)
{
	spinlock_t *ptl;
	pte_t *pte = pgtable_lookup(mm, va, &ptl);

	return pte ? pte_get(pte) : 0;
}

/* Zap [start, end) and free the tables that only it used, as munmap and exit do. */
static inline void world_unmap(struct mm *mm, u64 start, u64 end, u64 floor, u64 ceiling)
{
	struct vma vma = {.mm = mm, .start = start, .end = end};
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, mm, false);
	pgtable_zap(&tlb, &vma, start, end);
	pgtable_free_range(&tlb, start, end, floor, ceiling);
	tlb_finish_mmu(&tlb);
}

#define FULL_ATTRS (PTE_USER | PTE_READ | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)

#endif
