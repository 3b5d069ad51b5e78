/*
 * tests/unit/mm/test_lru.c - batches hold a reference until they drain; the page lock excludes
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (16ull << 20)

static struct page *new_page(struct mm_world *w)
{
	struct page *page = page_alloc(w->mem, 0);

	assert_non_null(page);
	page_set_flags(page, PAGE_SWAPBACKED);
	lru_add(w->mem, page);
	return page;
}

static void batch_of_31(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct page *pages[LRU_BATCH_PAGES];
	u64 batches = COUNT(&w, LRU_BATCH);

	for (u32 i = 0; i < LRU_BATCH_PAGES - 1; i++) {
		pages[i] = new_page(&w);
		assert_int_equal(atomic_read(&pages[i]->refcount), 2);
		assert_false(page_has(pages[i], PAGE_LRU));
	}
	assert_int_equal(lru_pages(w.mem), 0);
	pages[LRU_BATCH_PAGES - 1] = new_page(&w); /* the last one drains them all */
	assert_int_equal(COUNT(&w, LRU_BATCH) - batches, 1);
	assert_int_equal(lru_pages(w.mem), LRU_BATCH_PAGES);
	for (u32 i = 0; i < LRU_BATCH_PAGES; i++) {
		assert_int_equal(atomic_read(&pages[i]->refcount), 1);
		assert_true(page_has(pages[i], PAGE_LRU));
	}
	page_put_batch(w.mem, pages, LRU_BATCH_PAGES);
	assert_int_equal(lru_pages(w.mem), 0);
	mm_world_destroy(&w);
}

/* A page whose owner lets go while it waits in a batch lives until the batch drains. */
static void freed_in_the_batch(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	u64 used = memory_frames_used(w.m);
	struct page *page = new_page(&w);

	page_put(w.mem, page);
	assert_int_equal(memory_frames_used(w.m), used + 1);
	lru_drain(w.mem);
	assert_int_equal(memory_frames_used(w.m), used);
	assert_int_equal(lru_pages(w.mem), 0);
	lru_drain(w.mem); /* nothing to do is fine */
	mm_world_destroy(&w);
}

static void add_one_task(void *arg, u32 index)
{
	struct page **pages = arg;
	struct memory *mem = memory_of(this_cpu()->machine);

	pages[index] = page_alloc(mem, 0);
	lru_add(mem, pages[index]);
}

static void drain_all(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 4);
	struct page *pages[4];

	mm_world_run(&w, 4, add_one_task, pages);
	lru_drain(w.mem); /* our own batch is empty: theirs are not touched */
	assert_int_equal(lru_pages(w.mem), 0);
	lru_drain_all(w.m);
	assert_int_equal(lru_pages(w.mem), 4);
	page_put_batch(w.mem, pages, 4);
	mm_world_destroy(&w);
}

struct locked {
	struct page *page;
	struct memory *mem;
	u64 counter; /* guarded by the page lock */
};

static void lock_task(void *arg, u32 index)
{
	struct locked *l = arg;

	for (u32 i = 0; i < 3000; i++) {
		u64 value;

		page_lock(l->mem, l->page);
		value = READ_ONCE(l->counter);
		if (i % 64 == 0)
			engine_yield();
		WRITE_ONCE(l->counter, value + 1);
		page_unlock(l->mem, l->page);
	}
}

static void page_lock_excludes(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 4);
	struct locked l = {.page = page_alloc(w.mem, 0), .mem = w.mem};

	assert_true(page_trylock(l.page));
	assert_false(page_trylock(l.page));
	page_unlock(w.mem, l.page);
	mm_world_run(&w, 4, lock_task, &l);
	assert_int_equal(l.counter, 4 * 3000);
	page_put(w.mem, l.page);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_of_31),
		cmocka_unit_test(freed_in_the_batch),
		cmocka_unit_test(drain_all),
		cmocka_unit_test(page_lock_excludes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
