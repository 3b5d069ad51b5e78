/*
 * tests/unit/mm/test_populate.c - which pages, which kind of fault, which error number
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (64ull << 20)

static u32 present(struct mm_world *w, u64 va, u32 pages)
{
	u32 n = 0;

	for (u32 i = 0; i < pages; i++)
		n += page_at(w, va + i * PAGE) != NULL;
	return n;
}

static void map_populate(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	s64 va;

	EXPECT_COUNT(&w, FAULT_ANON, 8,
		     va = mm_mmap(w.mm, 0, 8 * PAGE, RW, ANON | MAP_POPULATE, NULL, 0));
	assert_int_equal(present(&w, (u64)va, 8), 8);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 8);
	EXPECT_COUNT(&w, FAULT_TOTAL, 0, write_word((u64)va, 1));
	/* Read-only memory gets the zero page. */
	EXPECT_COUNT(&w, FAULT_ZERO_PAGE, 4,
		     va = mm_mmap(w.mm, 0, 4 * PAGE, PROT_READ, ANON | MAP_POPULATE, NULL, 0));
	mm_world_destroy(&w);
}

static void populate_errors(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	u64 va = map_anon(&w, 6, RW);

	assert_int_equal(mm_mprotect(w.mm, va + 2 * PAGE, PAGE, PROT_NONE), 0);
	assert_int_equal(mm_populate(w.mm, va, 6 * PAGE, false), -EFAULT);
	assert_int_equal(present(&w, va, 6), 2);
	assert_int_equal(mm_populate(w.mm, va, 6 * PAGE, true), 0);
	assert_int_equal(present(&w, va, 6), 5);
	mm_world_destroy(&w);
}

static void beyond_the_file(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 2 * PAGE);
	u64 va = map_file(&w, file, 4, PROT_READ, MAP_SHARED);

	assert_int_equal(mm_populate(w.mm, va, 4 * PAGE, false), -EFAULT);
	assert_int_equal(present(&w, va, 4), 2);
	assert_int_equal(mm_populate_rw(w.mm, va, 4 * PAGE, false), -EFAULT);
	file_put(file);
	mm_world_destroy(&w);
}

/* A shared file is only read-faulted; a private one is copied when it is writable. */
static void kinds(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 4 * PAGE);
	u64 shared = map_file(&w, file, 4, RW, MAP_SHARED);
	u64 private = map_file(&w, file, 4, RW, MAP_PRIVATE);

	EXPECT_COUNT(&w, FAULT_FILE_SHARED, 0,
		     assert_int_equal(mm_populate(w.mm, shared, 4 * PAGE, false), 0));
	assert_int_equal(mm_rss_pages(w.mm, RSS_FILE), 4);
	EXPECT_COUNT(&w, FAULT_FILE_COW, 4,
		     assert_int_equal(mm_populate(w.mm, private, 4 * PAGE, false), 0));
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 4);
	assert_int_equal(read_word(private), file_token(file->inode, 0, 0));
	file_put(file);
	mm_world_destroy(&w);
}

static void madvise_populate(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	u64 va = map_anon(&w, 4, RW), ro = map_anon(&w, 2, PROT_READ);
	u64 wo = map_anon(&w, 2, PROT_WRITE);

	EXPECT_COUNT(&w, FAULT_ZERO_PAGE, 4,
		     assert_int_equal(mm_populate_rw(w.mm, va, 4 * PAGE, false), 0));
	EXPECT_COUNT(&w, FAULT_ANON, 4,
		     assert_int_equal(mm_populate_rw(w.mm, va, 4 * PAGE, true), 0));
	EXPECT_COUNT(&w, FAULT_TOTAL, 0,
		     assert_int_equal(mm_populate_rw(w.mm, va, 4 * PAGE, true), 0));
	assert_int_equal(mm_populate_rw(w.mm, ro, 2 * PAGE, true), -EINVAL);
	assert_int_equal(mm_populate_rw(w.mm, wo, 2 * PAGE, false), -EINVAL);
	assert_int_equal(mm_munmap(w.mm, va + PAGE, PAGE), 0);
	assert_int_equal(mm_populate_rw(w.mm, va, 4 * PAGE, false), -ENOMEM);
	mm_world_destroy(&w);
}

static void out_of_memory(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, 150 * PAGE, 1);
	u64 va = map_anon(&w, 300, RW);

	assert_int_equal(mm_populate(w.mm, va, 300 * PAGE, false), -ENOMEM);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_populate),     cmocka_unit_test(populate_errors),
		cmocka_unit_test(beyond_the_file),  cmocka_unit_test(kinds),
		cmocka_unit_test(madvise_populate), cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
