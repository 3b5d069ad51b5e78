/*
 * tests/unit/mm/test_fault_cow.c - after fork: who copies, who may keep the page
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (64ull << 20)

static struct mm *fork_mm(struct mm_world *w)
{
	int error;
	struct mm *child = mm_fork(w->mm, &error);

	assert_non_null(child);
	return child;
}

/* The first to write copies; the other is then the sole owner and writes in place. */
static void first_copies_second_reuses(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	u64 va = map_anon(&w, 4, RW);
	struct page *page;
	struct mm *child;

	for (u32 i = 0; i < WORDS; i++)
		write_word(va + i * 8, 10 + i);
	lru_drain(w.mem); /* else the batch's reference forbids reuse; see below */
	page = page_at(&w, va);
	child = fork_mm(&w);
	assert_false(page_has(page, PAGE_ANON_EXCLUSIVE));

	EXPECT_COUNT(&w, FAULT_WP_COPY, 1, write_word(va, 20));
	assert_ptr_not_equal(page_at(&w, va), page);
	for (u32 i = 1; i < WORDS; i++) /* the whole page was copied */
		assert_int_equal(read_word(va + i * 8), 10 + i);
	mmu_switch(child);
	assert_int_equal(read_word(va), 10);
	EXPECT_COUNT(&w, FAULT_WP_REUSE, 1, write_word(va, 30));
	assert_true(page_has(page, PAGE_ANON_EXCLUSIVE));
	mmu_switch(w.mm);
	assert_int_equal(read_word(va), 20);
	mm_put(child);
	mm_world_destroy(&w);
}

/* The child exits without a write: the parent may keep its page. */
static void reuse_after_exit(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW);
	struct page *page;

	write_word(va, 1);
	page = page_at(&w, va);
	mm_put(fork_mm(&w));
	/* This CPU's LRU batch may hold the page still: the fault drains it and looks again. */
	EXPECT_COUNT(&w, FAULT_WP_REUSE, 1, write_word(va, 2));
	assert_ptr_equal(page_at(&w, va), page);
	mm_world_destroy(&w);
}

/* A third reference (a pin) forbids reuse for good. */
static void pinned_page_is_copied(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW);
	struct page *page;

	write_word(va, 1);
	lru_drain(w.mem);
	page = page_at(&w, va);
	mm_put(fork_mm(&w));
	page_get(page);
	EXPECT_COUNT(&w, FAULT_WP_COPY, 1, write_word(va, 2));
	assert_int_equal(page_content(w.mem, page_to_pfn(w.mem, page))[0], 1);
	page_put(w.mem, page);
	mm_world_destroy(&w);
}

/* mprotect to read-only and back: the page stays exclusive, nothing is copied. */
static void mprotect_round_trip(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW);

	write_word(va, 1);
	assert_int_equal(mm_mprotect(w.mm, va, PAGE, PROT_READ), 0);
	assert_int_equal(user_write(va, 2), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_mprotect(w.mm, va, PAGE, RW), 0);
	EXPECT_COUNT(&w, FAULT_WP_COPY, 0, write_word(va, 3));
	assert_int_equal(read_word(va), 3);
	mm_world_destroy(&w);
}

/* Generations: each keeps what it had at its fork. */
static void chain_of_forks(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW), depth = 8;
	struct mm *line[8];

	line[0] = w.mm;
	write_word(va, 100);
	for (u64 i = 1; i < depth; i++) {
		int error;

		line[i] = mm_fork(line[i - 1], &error);
		assert_non_null(line[i]);
		mmu_switch(line[i]);
		assert_int_equal(read_word(va), 100 + i - 1);
		write_word(va, 100 + i);
	}
	for (u64 i = 0; i < depth; i++) {
		mmu_switch(line[i]);
		assert_int_equal(read_word(va), 100 + i);
		assert_int_equal(mm_rss_pages(line[i], RSS_ANON), 1);
	}
	mmu_switch(w.mm);
	for (u64 i = 1; i < depth; i++)
		mm_put(line[i]);
	mm_world_destroy(&w);
}

/* All tasks of a forked process write the same page at once: one copy survives, with all writes. */
struct storm {
	struct mm *mm;
	u64 va;
	struct sim_barrier barrier;
};

static void storm_task(void *arg, u32 index)
{
	struct storm *s = arg;

	mmu_switch(s->mm);
	sim_barrier_wait(&s->barrier);
	for (u32 i = 0; i < 64; i++)
		if (user_write(s->va + i * PAGE + index * 8, 1000 + index) != FAULT_OK)
			MMSIM_BUG("fault failed");
	mmu_switch(NULL);
}

static void concurrent_copies(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 4);
	u64 va = map_anon(&w, 64, RW);
	struct storm s = {.mm = w.mm, .va = va};

	for (u32 round = 0; round < 50; round++) {
		struct mm *child;

		for (u32 i = 0; i < 64; i++)
			write_word(va + i * PAGE, i);
		child = fork_mm(&w);
		sim_barrier_init(&s.barrier, 4);
		mm_world_run(&w, 4, storm_task, &s);
		for (u32 i = 0; i < 64; i++)
			for (u32 t = 0; t < 4; t++)
				assert_int_equal(read_word(va + i * PAGE + t * 8), 1000 + t);
		mmu_switch(child);
		for (u32 i = 0; i < 64; i++)
			assert_int_equal(read_word(va + i * PAGE), i);
		mmu_switch(w.mm);
		mm_put(child);
	}
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_copies_second_reuses),
		cmocka_unit_test(reuse_after_exit),
		cmocka_unit_test(pinned_page_is_copied),
		cmocka_unit_test(mprotect_round_trip),
		cmocka_unit_test(chain_of_forks),
		cmocka_unit_test(concurrent_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
