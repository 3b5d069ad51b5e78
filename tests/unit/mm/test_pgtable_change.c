/*
 * tests/unit/mm/test_pgtable_change.c - mprotect and MADV_FREE on entries
 */
#include "tests/unit/mm/mmu_world.h"

#define BASE 0x7f0000000000ull

/* mprotect of one private anonymous page, by what the page and the entry were. */
static void protect_private_on(struct world *w)
{
	const u32 urw = PTE_USER | PTE_READ | PTE_WRITE, ur = PTE_USER | PTE_READ;
	const struct {
		u32 before;   /* protection attributes */
		u64 vm_flags; /* of the VMA now */
		bool exclusive;
		u32 after;
	} rows[] = {
		{urw, VM_READ, true, ur},
		{urw, 0, true, PTE_HIDDEN},
		{urw, VM_READ | VM_EXEC, true, ur | PTE_EXEC},
		{ur, VM_READ | VM_WRITE, true, urw}, /* writable again without a fault */
		{ur, VM_READ | VM_WRITE, false, ur}, /* shared with a child: copy first */
		{PTE_HIDDEN, VM_READ | VM_WRITE, true, urw},
		{PTE_HIDDEN, VM_READ, true, ur},
		{urw, VM_READ | VM_WRITE, true, urw},
		{ur | PTE_EXEC, VM_READ | VM_WRITE, true, urw},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vma vma = world_vma(w, BASE, BASE + w->page, rows[i].vm_flags | VM_MAYWRITE);
		const u32 keep = PTE_ACCESSED | PTE_DIRTY;
		struct page *page = world_map(w, BASE, rows[i].before | keep);
		u64 flushes;

		if (!rows[i].exclusive)
			page_clear_flags(page, PAGE_ANON_EXCLUSIVE);
		mmu_switch(w->mm);
		flushes = machine_counter(w->m, COUNTER_TLB_FLUSH_LOCAL);
		pgtable_protect(&vma, BASE, BASE + w->page);
		assert_int_equal(world_pte(w->mm, BASE),
				 pte_make(w->a, page_to_pfn(w->mem, page), rows[i].after | keep));
		flushes = machine_counter(w->m, COUNTER_TLB_FLUSH_LOCAL) - flushes;
		/* The MMU caches nothing of PROT_NONE (arm64: of what it may not load). */
		if (rows[i].before == rows[i].after)
			assert_int_equal(flushes, 0);
		else if (rows[i].before != PTE_HIDDEN)
			assert_int_equal(flushes, 1);
		mmu_switch(NULL);
		world_unmap(w->mm, BASE, BASE + w->page, 0, 0);
	}
	assert_int_equal(world_frames(w), 0);
}

static void protect_private(void **state)
{
	const struct arch_desc *a;

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, 4096, 1);

		protect_private_on(&w);
		world_destroy(&w);
	}
}

/* Shared file pages: writable only where the file system already knows that they are dirty. */
static void protect_shared_file(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	struct inode inode = {.kind = INODE_REGULAR};
	struct file file = {.inode = &inode};

	for (u32 dirty = 0; dirty < 2; dirty++) {
		struct vma vma = world_vma(&w, BASE, BASE + 4096,
					   VM_READ | VM_WRITE | VM_MAYWRITE | VM_SHARED);
		u32 attrs = PTE_USER | PTE_READ | PTE_ACCESSED | (dirty ? PTE_DIRTY : 0);

		vma.file = &file;
		world_map(&w, BASE, attrs);
		pgtable_protect(&vma, BASE, BASE + 4096);
		assert_int_equal(pte_has(w.a, world_pte(w.mm, BASE), PTE_WRITE), dirty);
		world_unmap(w.mm, BASE, BASE + 4096, 0, 0);
	}
	world_destroy(&w);
}

/* The zero page stays read-only; holes stay holes; neighbours are not touched. */
static void protect_range(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	struct vma vma = world_vma(&w, BASE, BASE + (8ull << 21), PRIVATE_RW);
	spinlock_t *ptl;
	pte_t *pte, hole;

	for (u32 i = 0; i < 8; i++)
		world_map(&w, BASE + ((u64)i << 21), FULL_ATTRS & ~(u32)PTE_WRITE);
	pte = pgtable_alloc(w.mm, BASE + (2ull << 21) + 4096, &ptl);
	assert_non_null(pte);
	pte_set(w.mm, pte, 0,
		pte_make(w.a, page_to_pfn(w.mem, w.mem->zero_page),
			 PTE_USER | PTE_READ | PTE_SPECIAL));
	pgtable_protect(&vma, BASE + (2ull << 21), BASE + (6ull << 21));
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(pte_has(w.a, world_pte(w.mm, BASE + ((u64)i << 21)), PTE_WRITE),
				 i >= 2 && i < 6);
	assert_false(pte_has(w.a, pte_get(pte), PTE_WRITE));
	hole = world_pte(w.mm, BASE + (2ull << 21) + 2 * 4096);
	assert_int_equal(hole, 0);
	world_unmap(w.mm, vma.start, vma.end, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

static void madvise_free_on(struct world *w)
{
	struct vma vma = world_vma(w, BASE, BASE + 4 * w->page, PRIVATE_RW);
	struct page *page[4];

	for (u32 i = 0; i < 4; i++)
		page[i] = world_map(w, BASE + i * w->page, FULL_ATTRS);
	atomic_set(&page[1]->mapcount, 2); /* shared with a child */
	mmu_switch(w->mm);
	pgtable_madvise_free(&vma, BASE, BASE + 3 * w->page);
	for (u32 i = 0; i < 4; i++) {
		bool freed = i == 0 || i == 2;
		pte_t e = world_pte(w->mm, BASE + i * w->page);

		assert_int_equal(pte_attrs(w->a, e) & (PTE_DIRTY | PTE_ACCESSED),
				 freed ? 0 : PTE_DIRTY | PTE_ACCESSED);
		assert_true(pte_has(w->a, e, PTE_WRITE));
		assert_int_equal(page_has(page[i], PAGE_SWAPBACKED), !freed);
	}
	assert_int_equal(machine_counter(w->m, COUNTER_TLB_FLUSH_LOCAL), 1);
	/* Already clean: nothing to flush. */
	pgtable_madvise_free(&vma, BASE, BASE + w->page);
	assert_int_equal(machine_counter(w->m, COUNTER_TLB_FLUSH_LOCAL), 1);
	atomic_set(&page[1]->mapcount, 1);
	mmu_switch(NULL);
	world_unmap(w->mm, vma.start, vma.end, 0, 0);
	assert_int_equal(world_frames(w), 0);
}

static void madvise_free(void **state)
{
	const struct arch_desc *a;

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, 4096, 1);

		madvise_free_on(&w);
		world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protect_private),
		cmocka_unit_test(protect_shared_file),
		cmocka_unit_test(protect_range),
		cmocka_unit_test(madvise_free),
	};

	return cmocka_run_group_tests_name("pgtable_change", tests, NULL, NULL);
}
