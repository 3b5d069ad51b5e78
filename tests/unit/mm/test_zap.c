/*
 * tests/unit/mm/test_zap.c - unmapping: what is freed, what stays, and when
 */
#include "tests/unit/mm/mmu_world.h"

#define VMAS 24
#define PAGES_PER_VMA 12
#define TABLES_MAX 1200

/* ---- the contract, on every architecture ---------------------------------------------------- */

/*
 * Goal:   after any sequence of munmaps no frame is lost, and a table is freed exactly when no VMA
 *         is left under it.
 * Method: random VMAs with random pages; unmap them in random order with the floor and ceiling
 *         that their neighbours give. The model is a list of tables that must exist.
 */
struct model_table {
	u64 start, last;
	u32 level;
};

struct model {
	struct world *w;
	u64 start[VMAS], end[VMAS];
	bool alive[VMAS];
	u32 pages[VMAS];
	struct model_table tables[TABLES_MAX];
	u32 table_count;
};

static void model_touch(struct model *m, u64 va)
{
	const struct arch_desc *a = m->w->a;

	for (u32 level = 0; level + 1u < a->levels; level++) {
		u64 span = level_bytes(a, level + 1), start = ALIGN_DOWN(va, span);
		u32 i;

		for (i = 0; i < m->table_count; i++)
			if (m->tables[i].level == level && m->tables[i].start == start)
				break;
		assert_true(i < TABLES_MAX);
		if (i == m->table_count)
			m->tables[m->table_count++] =
				(struct model_table){start, start + (span - 1), level};
	}
}

/* Tables under [start, end) with no living VMA in what they cover are gone. */
static void model_unmap(struct model *m, u64 start, u64 end)
{
	for (u32 i = 0; i < m->table_count;) {
		struct model_table *t = &m->tables[i];
		bool needed = t->last < start || t->start >= end;

		for (u32 v = 0; v < VMAS && !needed; v++)
			needed = m->alive[v] && m->start[v] <= t->last && m->end[v] > t->start;
		if (needed)
			i++;
		else
			*t = m->tables[--m->table_count];
	}
}

/* VMAs in ascending order: near each other, far apart, some sharing tables. */
static void model_layout(struct model *m, u64 *rng)
{
	const struct arch_desc *a = m->w->a;
	u64 page = m->w->page, at = 0;

	for (u32 v = 0; v < VMAS; v++) {
		u32 level = test_random(rng) % a->levels;
		u64 gap = test_random(rng) % (2 * level_bytes(a, level)), len;

		if (gap > a->task_size / (VMAS + 2))
			gap = a->task_size / (VMAS + 2);
		len = (1 + test_random(rng) % 1500) * page;
		m->start[v] = ALIGN_DOWN(at + gap, page);
		m->end[v] = m->start[v] + len;
		at = m->end[v];
		m->alive[v] = true;
		m->pages[v] = 0;
	}
	assert_true(at < a->task_size);
}

static void model_check(struct model *m, u64 pages)
{
	assert_int_equal(m->w->mm->table_pages, m->table_count + 1u);
	assert_int_equal(world_frames(m->w), pages + m->table_count);
	assert_int_equal(mm_rss_pages(m->w->mm, RSS_ANON), pages);
}

static void unmap_in_random_order_on(struct world *w, u64 *rng)
{
	static struct model model;
	struct model *m = &model;
	u64 pages = 0;
	u32 order[VMAS];

	*m = (struct model){.w = w};
	model_layout(m, rng);
	for (u32 v = 0; v < VMAS; v++) {
		for (u32 i = 0; i < PAGES_PER_VMA; i++) {
			u64 va = m->start[v] +
				 test_random(rng) % ((m->end[v] - m->start[v]) / w->page) * w->page;

			if (world_pte(w->mm, va))
				continue;
			world_map(w, va, FULL_ATTRS);
			model_touch(m, va);
			m->pages[v]++;
			pages++;
		}
		order[v] = v;
	}
	model_check(m, pages);
	for (u32 i = VMAS - 1; i > 0; i--) {
		u32 j = test_random(rng) % (i + 1), tmp = order[i];

		order[i] = order[j];
		order[j] = tmp;
	}
	for (u32 i = 0; i < VMAS; i++) {
		u32 v = order[i];
		u64 floor = 0, ceiling = 0;

		m->alive[v] = false;
		for (u32 k = 0; k < v; k++)
			if (m->alive[k])
				floor = m->end[k];
		for (u32 k = VMAS - 1; k > v; k--)
			if (m->alive[k])
				ceiling = m->start[k];
		world_unmap(w->mm, m->start[v], m->end[v], floor, ceiling);
		model_unmap(m, m->start[v], m->end[v]);
		pages -= m->pages[v];
		model_check(m, pages);
	}
	assert_int_equal(m->table_count, 0);
	assert_int_equal(pages, 0);
}

static void unmap_in_random_order(void **state)
{
	const struct arch_desc *a;
	u64 rng = test_seed("unmap_in_random_order");

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, 8192, 1);

		for (u32 round = 0; round < 10; round++)
			unmap_in_random_order_on(&w, &rng);
		world_destroy(&w);
	}
}

/* ---- what a zap does to pages -----------------------------------------------------------------
 */

/* MADV_DONTNEED: entries go, tables stay. */
static void zap_keeps_tables(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	const u64 base = 0x700000000000ull;
	struct vma vma = world_vma(&w, base, base + 8 * 4096, PRIVATE_RW);
	struct mmu_gather tlb;

	for (u32 i = 0; i < 8; i++)
		world_map(&w, base + i * 4096, FULL_ATTRS);
	tlb_gather_mmu(&tlb, w.mm, false);
	pgtable_zap(&tlb, &vma, base + 4096, base + 5 * 4096);
	tlb_finish_mmu(&tlb);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(world_pte(w.mm, base + i * 4096) != 0, i < 1 || i >= 5);
	assert_int_equal(world_frames(&w), 4 + 3);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 4);
	world_unmap(w.mm, vma.start, vma.end, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

static void map_other(struct world *w, struct page *page, u64 va, u32 attrs)
{
	spinlock_t *ptl;
	pte_t *pte = pgtable_alloc(w->mm, va, &ptl);

	assert_non_null(pte);
	pte_set(w->mm, pte, va, pte_make(w->a, page_to_pfn(w->mem, page), attrs));
}

/* Pages that somebody else uses lose a mapping and a reference, and no more. */
static void zap_by_kind_of_page(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	const u64 base = 0x10000000;
	struct page *file = page_alloc(w.mem, 0), *shmem = page_alloc(w.mem, 0),
		    *anon = page_alloc(w.mem, 0), *zero = w.mem->zero_page;
	s32 zero_refs = atomic_read(&zero->refcount);
	struct page *const pages[] = {file, shmem, anon};

	assert_non_null(file);
	assert_non_null(shmem);
	assert_non_null(anon);
	page_set_flags(shmem, PAGE_SWAPBACKED);
	page_set_flags(anon, PAGE_ANON | PAGE_SWAPBACKED);
	for (u32 i = 0; i < 3; i++) {
		enum rss_kind kind = page_rss_kind(pages[i]);

		page_get(pages[i]);
		atomic_set(&pages[i]->mapcount, 2); /* another mm maps it too */
		map_other(&w, pages[i], base + i * 4096,
			  PTE_USER | PTE_READ | PTE_ACCESSED | (i < 2 ? PTE_DIRTY : 0));
		percpu_counter_add(&w.mm->rss[kind], 1);
		assert_int_equal(mm_rss_pages(w.mm, kind), 1);
	}
	map_other(&w, zero, base + 3 * 4096, PTE_USER | PTE_READ | PTE_SPECIAL);
	world_unmap(w.mm, base, base + 4 * 4096, 0, 0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(atomic_read(&pages[i]->mapcount), 1);
		assert_int_equal(atomic_read(&pages[i]->refcount), 1);
		assert_int_equal(mm_rss_pages(w.mm, page_rss_kind(pages[i])), 0);
		assert_int_equal(page_has(pages[i], PAGE_DIRTY), i < 2);
		assert_int_equal(page_has(pages[i], PAGE_REFERENCED), i < 2);
	}
	assert_int_equal(atomic_read(&zero->refcount), zero_refs);
	for (u32 i = 0; i < 3; i++) {
		atomic_set(&pages[i]->mapcount, 0);
		page_clear_flags(pages[i], ~0u);
		page_put(w.mem, pages[i]);
	}
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

/* More pages than a gather holds: it flushes in the middle, and every page is freed once. */
static void large_zap(void **state)
{
	const u64 count = 25000, base = 0x40000000;
	struct world w = world_create(&arch_x86_64, 32768, 1);
	u64 flushes;

	for (u64 i = 0; i < count; i++)
		world_map(&w, base + i * 4096, FULL_ATTRS);
	mmu_switch(w.mm);
	flushes = machine_counter(w.m, COUNTER_TLB_FLUSH_LOCAL);
	world_unmap(w.mm, base, base + count * 4096, 0, 0);
	/* 19 batches of about 500, as Linux: two flushes in the middle, one at the end. */
	assert_int_equal(machine_counter(w.m, COUNTER_TLB_FLUSH_LOCAL) - flushes, 3);
	assert_int_equal(machine_counter(w.m, COUNTER_TLB_FLUSH_FULL), 3);
	assert_int_equal(world_frames(&w), 0);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 0);
	world_destroy(&w);
}

/* An mm that dies: the same result by the cheaper way. */
static void whole_mm(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	struct vma vma = world_vma(&w, 0, w.a->task_size, PRIVATE_RW);
	struct mmu_gather tlb;

	for (u64 i = 0; i < 1000; i++)
		world_map(&w, i << 30 | i << 12, FULL_ATTRS);
	tlb_gather_mmu(&tlb, w.mm, true);
	pgtable_zap(&tlb, &vma, 0, w.a->task_size);
	pgtable_free_range(&tlb, 0, w.a->task_size, 0, 0);
	tlb_finish_mmu(&tlb);
	assert_int_equal(world_frames(&w), 0);
	assert_int_equal(w.mm->table_pages, 1);
	world_destroy(&w);
}

/* A reader that walks under RCU keeps the tables that it can reach. */
static void tables_outlive_rcu_readers(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	const u64 va = 0x123456789000ull;
	spinlock_t *ptl;
	pte_t *pte;
	u64 frames;

	world_map(&w, va, FULL_ATTRS);
	frames = memory_frames_used(w.m);
	rcu_read_lock();
	pte = pgtable_lookup(w.mm, va, &ptl);
	world_unmap(w.mm, va, va + 4096, 0, 0);
	/* The page has gone, the three tables have not. */
	assert_int_equal(memory_frames_used(w.m), frames - 1);
	spin_lock(ptl);
	assert_int_equal(pte_get(pte), 0);
	spin_unlock(ptl);
	rcu_read_unlock();
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unmap_in_random_order),
		cmocka_unit_test(zap_keeps_tables),
		cmocka_unit_test(zap_by_kind_of_page),
		cmocka_unit_test(large_zap),
		cmocka_unit_test(whole_mm),
		cmocka_unit_test(tables_outlive_rcu_readers),
	};

	return cmocka_run_group_tests_name("zap", tests, NULL, NULL);
}
