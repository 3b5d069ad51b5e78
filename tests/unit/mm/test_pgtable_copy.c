/*
 * tests/unit/mm/test_pgtable_copy.c - page tables at fork and mremap
 */
#include "tests/unit/mm/mmu_world.h"

#define BASE 0x7f0000000000ull

static struct vma child_of(const struct vma *src, struct mm *mm)
{
	struct vma dst = *src;

	dst.mm = mm;
	return dst;
}

/* vma_needs_copy() only asks whether there is one. */
static struct anon_vma *some_anon_vma(void)
{
	static struct anon_vma av;

	return &av;
}

/* Private pages: shared, write-protected on both sides, no longer exclusive, old in the child. */
static void copy_private_on(struct world *w)
{
	u64 len = 3 * level_bytes(w->a, 1), page = w->page;
	struct vma src = world_vma(w, BASE, BASE + len, PRIVATE_RW), dst;
	struct mm *child = mm_create(w->m, w->a, &mm_locking_mmap_lock);
	struct page *pages[3];
	const u64 at[3] = {0, page, len - page};
	bool flush = false;
	spinlock_t *ptl;
	pte_t *pte;

	assert_non_null(child);
	src.anon_vma = some_anon_vma();
	dst = child_of(&src, child);
	for (u32 i = 0; i < 3; i++)
		pages[i] = world_map(w, BASE + at[i], FULL_ATTRS);
	/* A zero page beside them. */
	pte = pgtable_alloc(w->mm, BASE + 5 * page, &ptl);
	assert_non_null(pte);
	pte_set(w->mm, pte, BASE + 5 * page,
		pte_make(w->a, page_to_pfn(w->mem, w->mem->zero_page),
			 PTE_USER | PTE_READ | PTE_SPECIAL | PTE_ACCESSED));

	assert_int_equal(pgtable_copy(&dst, &src, &flush), 0);
	assert_true(flush);
	for (u32 i = 0; i < 3; i++) {
		u64 pfn = page_to_pfn(w->mem, pages[i]);
		u32 ro = FULL_ATTRS & ~(u32)PTE_WRITE;

		assert_int_equal(world_pte(w->mm, BASE + at[i]), pte_make(w->a, pfn, ro));
		assert_int_equal(world_pte(child, BASE + at[i]),
				 pte_make(w->a, pfn, ro & ~(u32)PTE_ACCESSED));
		assert_int_equal(atomic_read(&pages[i]->mapcount), 2);
		assert_int_equal(atomic_read(&pages[i]->refcount), 2);
		assert_false(page_has(pages[i], PAGE_ANON_EXCLUSIVE));
	}
	assert_true(pte_has(w->a, world_pte(child, BASE + 5 * page), PTE_SPECIAL));
	assert_int_equal(mm_rss_pages(child, RSS_ANON), 3);
	assert_int_equal(mm_rss_pages(w->mm, RSS_ANON), 3);
	/* Only tables that have something under them were made. */
	assert_int_equal(child->table_pages, w->mm->table_pages);

	world_unmap(w->mm, src.start, src.end, 0, 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(atomic_read(&pages[i]->refcount), 1);
	world_unmap(child, src.start, src.end, 0, 0);
	mm_put(child);
	assert_int_equal(world_frames(w), 0);
}

static void copy_private(void **state)
{
	const struct arch_desc *a;

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, 4096, 1);

		copy_private_on(&w);
		world_destroy(&w);
	}
}

/* What the child can fault in again is left out; what it cannot is not. */
static void copy_needed(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	const struct {
		u64 flags;
		bool anon_vma, copied, protects;
	} rows[] = {
		{PRIVATE_RW, false, false, false}, /* never written: zero pages, file pages */
		{PRIVATE_RW, true, true, true},
		{PRIVATE_RW & ~(u64)VM_WRITE, true, true, true}, /* mprotected meanwhile */
		{VM_READ | VM_WRITE | VM_SHARED | VM_MAYWRITE, false, false, false},
		{VM_READ | VM_WRITE | VM_SHARED | VM_MAYWRITE | VM_PFNMAP, false, true, false},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mm *child = mm_create(w.m, w.a, &mm_locking_mmap_lock);
		struct vma src = world_vma(&w, BASE, BASE + 4096, rows[i].flags), dst;
		bool flush = false;
		pte_t e;

		assert_non_null(child);
		src.anon_vma = rows[i].anon_vma ? some_anon_vma() : NULL;
		dst = child_of(&src, child);
		world_map(&w, BASE, FULL_ATTRS);
		assert_int_equal(pgtable_copy(&dst, &src, &flush), 0);
		e = world_pte(child, BASE);
		assert_int_equal(e != 0, rows[i].copied);
		assert_int_equal(flush, rows[i].protects);
		assert_int_equal(pte_has(w.a, world_pte(w.mm, BASE), PTE_WRITE), !rows[i].protects);
		if (rows[i].flags & VM_SHARED && e) {
			assert_true(pte_has(w.a, e, PTE_WRITE));
			assert_false(pte_has(w.a, e, PTE_DIRTY));
		}
		world_unmap(child, BASE, BASE + 4096, 0, 0);
		world_unmap(w.mm, BASE, BASE + 4096, 0, 0);
		mm_put(child);
	}
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

/* No memory for the child's tables: -ENOMEM, and what was copied can be unmapped. */
static void copy_without_memory(void **state)
{
	struct world w = world_create(&arch_x86_64, 128, 1);
	const u64 step = 2ull << 20;
	struct vma src = world_vma(&w, BASE, BASE + 40 * step, PRIVATE_RW), dst;
	struct mm *child = mm_create(w.m, w.a, &mm_locking_mmap_lock);
	bool flush = false;

	assert_non_null(child);
	src.anon_vma = some_anon_vma();
	dst = child_of(&src, child);
	for (u32 i = 0; i < 40; i++)
		world_map(&w, BASE + i * step, FULL_ATTRS);
	assert_int_equal(pgtable_copy(&dst, &src, &flush), -ENOMEM);
	world_unmap(child, src.start, src.end, 0, 0);
	mm_put(child);
	world_unmap(w.mm, src.start, src.end, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

/* ---- mremap --------------------------------------------------------------------------------- */

static void move_on(struct world *w, u64 old, u64 new_va, u64 pages, u64 *rng)
{
	u64 len = pages * w->page, mapped = 0;
	struct vma from = world_vma(w, old, old + len, PRIVATE_RW);
	struct vma to = world_vma(w, new_va, new_va + len, PRIVATE_RW);
	static pte_t was[8192];

	assert_true(pages <= ARRAY_SIZE(was));
	for (u64 i = 0; i < pages; i++) {
		was[i] = 0;
		if (test_random(rng) % 8)
			continue;
		world_map(w, old + i * w->page, FULL_ATTRS);
		was[i] = world_pte(w->mm, old + i * w->page);
		mapped++;
	}
	assert_int_equal(pgtable_move(&from, old, &to, new_va, len), len);
	for (u64 i = 0; i < pages; i++) {
		assert_int_equal(world_pte(w->mm, old + i * w->page), 0);
		assert_int_equal(world_pte(w->mm, new_va + i * w->page), was[i]);
	}
	assert_int_equal(mm_rss_pages(w->mm, RSS_ANON), mapped);
	world_unmap(w->mm, old, old + len, 0, new_va); /* the target is always the higher one */
	world_unmap(w->mm, new_va, new_va + len, 0, 0);
	assert_int_equal(world_frames(w), 0);
}

static void move(void **state)
{
	const struct arch_desc *a;
	u64 rng = test_seed("move");

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, 16384, 1);
		u64 table = level_bytes(a, 1), high = ALIGN_DOWN(a->task_size / 4 * 3, table);
		u64 per_table = 1u << a->idx_bits[0], some = min(per_table * 2 + 3, (u64)8192);

		move_on(&w, table, high, per_table, &rng);     /* a whole table */
		move_on(&w, table, high, some, &rng);          /* and a bit */
		move_on(&w, table, high + w.page, some, &rng); /* out of step */
		move_on(&w, table + 3 * w.page, high, some, &rng);
		move_on(&w, table + 3 * w.page, high + 3 * w.page, some, &rng);
		move_on(&w, table, table + (some + 1) * w.page, some, &rng);
		world_destroy(&w);
	}
}

/* A whole table moves as one entry: its pages' entries are not touched, its lock goes along. */
static void move_of_a_table(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	const u64 len = 2ull << 20, old = BASE, new_va = BASE + (64ull << 30);
	struct vma from = world_vma(&w, old, old + len, PRIVATE_RW);
	struct vma to = world_vma(&w, new_va, new_va + len, PRIVATE_RW);
	spinlock_t *ptl, *moved;
	pte_t *pte;

	world_map(&w, old, FULL_ATTRS);
	pte = pgtable_lookup(w.mm, old, &ptl);
	assert_int_equal(pgtable_move(&from, old, &to, new_va, len), len);
	assert_null(pgtable_lookup(w.mm, old, &moved));
	assert_ptr_equal(pgtable_lookup(w.mm, new_va, &moved), pte);
	assert_ptr_equal(moved, ptl);
	world_unmap(w.mm, new_va, new_va + len, old + len, 0);
	world_unmap(w.mm, old, old + len, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

/* No memory half way: says how far it came, and moving that back works. */
static void move_without_memory(void **state)
{
	struct world w = world_create(&arch_x86_64, 128, 1);
	const u64 step = 2ull << 20, len = 45 * step, new_va = 0x100001000ull;
	struct vma from = world_vma(&w, BASE, BASE + len, PRIVATE_RW);
	struct vma to = world_vma(&w, new_va, new_va + len, PRIVATE_RW);
	u64 done;

	for (u32 i = 0; i < 45; i++)
		world_map(&w, BASE + i * step, FULL_ATTRS);
	done = pgtable_move(&from, BASE, &to, new_va, len);
	assert_in_range(done, 1, len - 1);
	assert_int_equal(pgtable_move(&to, new_va, &from, BASE, done), done);
	for (u32 i = 0; i < 45; i++)
		assert_int_equal(
			*page_content(w.mem, pte_pfn(w.a, world_pte(w.mm, BASE + i * step))),
			BASE + i * step);
	world_unmap(w.mm, new_va, new_va + len, 0, BASE);
	world_unmap(w.mm, BASE, BASE + len, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_private),        cmocka_unit_test(copy_needed),
		cmocka_unit_test(copy_without_memory), cmocka_unit_test(move),
		cmocka_unit_test(move_of_a_table),     cmocka_unit_test(move_without_memory),
	};

	return cmocka_run_group_tests_name("pgtable_copy", tests, NULL, NULL);
}
