/*
 * tests/unit/mm/test_filemap.c - the page cache: contents, one page per index, concurrent readers
 */
#include "mm/filemap_internal.h"
#include "tests/unit/mm/mm_world.h"
#include "tests/unit/test_seed.h"

#define MEMORY (64ull << 20)

static void contents_are_tokens(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 10 * PAGE + 1);
	struct mapping *mapping = &file->inode->mapping;
	struct page *page;

	assert_null(filemap_get(w.mem, mapping, 3));
	page = filemap_read(w.mem, mapping, 3);
	assert_non_null(page);
	assert_true(page_has(page, PAGE_UPTODATE));
	assert_false(page_has(page, PAGE_LOCKED));
	for (u32 i = 0; i < WORDS; i++)
		assert_int_equal(page_content(w.mem, page_to_pfn(w.mem, page))[i],
				 file_token(file->inode, 3, i));
	assert_int_not_equal(file_token(file->inode, 3, 0), file_token(file->inode, 3, 1));
	assert_int_not_equal(file_token(file->inode, 3, 0), file_token(file->inode, 4, 0));
	assert_ptr_equal(filemap_get(w.mem, mapping, 3), page);
	assert_int_equal(mapping->cached_pages, 1);
	page_put(w.mem, page);
	page_put(w.mem, page);

	assert_false(filemap_beyond_end(w.mem, file->inode, 10));
	assert_true(filemap_beyond_end(w.mem, file->inode, 11));
	assert_int_equal(filemap_populate(w.mem, mapping), 0);
	assert_int_equal(mapping->cached_pages, 11);
	file_put(file);
	mm_world_destroy(&w);
}

static void shmem_is_zero(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_SHMEM, 4 * PAGE);
	struct page *page = filemap_read(w.mem, &file->inode->mapping, 0);

	assert_int_equal(page_content(w.mem, page_to_pfn(w.mem, page))[0], 0);
	assert_int_equal(page_rss_kind(page), RSS_SHMEM);
	page_put(w.mem, page);
	file_put(file);
	mm_world_destroy(&w);
}

/* Indices far apart make the tree grow upwards; each is found again and its neighbours are not. */
static void sparse_indices(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, ~0ull);
	struct mapping *mapping = &file->inode->mapping;
	u64 seed = test_seed("sparse_indices"), indices[400];

	for (u32 i = 0; i < ARRAY_SIZE(indices); i++) {
		struct page *page;

		indices[i] = test_random(&seed) >> (12 + test_random(&seed) % 48);
		page = filemap_read(w.mem, mapping, indices[i]);
		assert_non_null(page);
		assert_int_equal(page->index, indices[i]);
		page_put(w.mem, page);
	}
	for (u32 i = 0; i < ARRAY_SIZE(indices); i++) {
		struct page *page = filemap_get(w.mem, mapping, indices[i]);

		assert_non_null(page);
		assert_int_equal(page->index, indices[i]);
		page_put(w.mem, page);
		page = filemap_get(w.mem, mapping, indices[i] ^ (1ull << 51));
		assert_null(page);
	}
	file_put(file);
	mm_world_destroy(&w);
}

static void no_memory(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, 100 * PAGE, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 1000 * PAGE);

	assert_int_equal(filemap_populate(w.mem, &file->inode->mapping), -ENOMEM);
	file_put(file);
	mm_world_destroy(&w);
}

struct race {
	struct mm_world *w;
	struct file *file;
};

#define RACE_PAGES 4000

/* All read the same pages in, each from another end; every one must see filled pages only. */
static void read_task(void *arg, u32 index)
{
	struct race *r = arg;
	const struct memory *mem = r->w->mem;

	for (u64 i = 0; i < RACE_PAGES; i++) {
		u64 n = index % 2 ? RACE_PAGES - 1 - i : i;
		struct page *page = filemap_read(mem, &r->file->inode->mapping, n);
		u64 *word = page_content(mem, page_to_pfn(mem, page));

		for (u32 k = 0; k < WORDS; k++) {
			u64 value = READ_ONCE(word[k]);

			if (value != file_token(r->file->inode, n, k))
				MMSIM_BUG("page %llu is not filled", (unsigned long long)n);
		}
		page_put(mem, page);
	}
}

static void concurrent_readers(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 4);
	struct race r = {.w = &w, .file = new_file(&w, INODE_REGULAR, RACE_PAGES * PAGE)};
	u64 used = memory_frames_used(w.m);

	mm_world_run(&w, 4, read_task, &r);
	assert_int_equal(r.file->inode->mapping.cached_pages, RACE_PAGES);
	lru_drain_all(w.m); /* losers of an insertion wait in batches */
	assert_int_equal(memory_frames_used(w.m), used + RACE_PAGES);
	file_put(r.file);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_are_tokens), cmocka_unit_test(shmem_is_zero),
		cmocka_unit_test(sparse_indices),      cmocka_unit_test(no_memory),
		cmocka_unit_test(concurrent_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
