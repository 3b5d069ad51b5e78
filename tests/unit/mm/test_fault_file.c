/*
 * tests/unit/mm/test_fault_file.c - file mappings: fault-around, private copies, shared writes
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (64ull << 20)

static u32 mapped_pages(struct mm_world *w, u64 va, u32 pages)
{
	u32 n = 0;

	for (u32 i = 0; i < pages; i++)
		n += page_at(w, va + i * PAGE) != NULL;
	return n;
}

/* Only what is cached is mapped, 16 aligned pages at the most, the wanted page in any case. */
static void around(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 64 * PAGE);
	u64 va = map_file(&w, file, 64, PROT_READ, MAP_PRIVATE), first;

	EXPECT_COUNT(&w, FAULT_AROUND_PAGES, 0,
		     assert_int_equal(read_word(va), file_token(file->inode, 0, 0)));
	assert_int_equal(mapped_pages(&w, va, 64), 1);
	assert_int_equal(filemap_populate(w.mem, &file->inode->mapping), 0);

	/* A page in the middle of the second window (by address, not by file offset). */
	first = ALIGN_UP(va + PAGE, 16 * PAGE);
	EXPECT_COUNT(&w, FAULT_AROUND_PAGES, 15,
		     assert_int_equal(read_word(first + 5 * PAGE + 8),
				      file_token(file->inode, (first - va) / PAGE + 5, 1)));
	EXPECT_COUNT(&w, FAULT_TOTAL, 0,
		     for (u32 i = 0; i < 16; i++) read_word(first + i * PAGE));
	assert_int_equal(mapped_pages(&w, first, 16), 16);
	assert_null(page_at(&w, first + 16 * PAGE));
	assert_int_equal(mm_rss_pages(w.mm, RSS_FILE), 17);
	assert_int_equal(mm_munmap(w.mm, va, 64 * PAGE), 0);
	assert_int_equal(mm_rss_pages(w.mm, RSS_FILE), 0);
	file_put(file);
	mm_world_destroy(&w);
}

/* The window stops at the VMA's borders and at the end of the file. */
static void around_is_clipped(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 6 * PAGE + 100);
	u64 va = 0x10000000ull; /* aligned to 16 pages */

	assert_int_equal(filemap_populate(w.mem, &file->inode->mapping), 0);
	assert_int_equal(
		mm_mmap(w.mm, va + 2 * PAGE, 12 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0),
		va + 2 * PAGE);
	assert_int_equal(read_word(va + 4 * PAGE), file_token(file->inode, 2, 0));
	assert_int_equal(mapped_pages(&w, va, 16), 7); /* file pages 0..6 */
	EXPECT_COUNT(&w, FAULT_SIGBUS, 1,
		     assert_int_equal(user_read(va + 9 * PAGE, NULL), FAULT_SIGBUS));
	file_put(file);
	mm_world_destroy(&w);
}

static void private_write(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 8 * PAGE);
	u64 va = map_file(&w, file, 8, RW, MAP_PRIVATE);
	u64 other = map_file(&w, file, 8, PROT_READ, MAP_PRIVATE);

	EXPECT_COUNT(&w, FAULT_FILE_COW, 1, write_word(va, 77));
	assert_int_equal(read_word(va), 77);
	assert_int_equal(read_word(va + 8), file_token(file->inode, 0, 1)); /* the rest is copied */
	assert_int_equal(read_word(other), file_token(file->inode, 0, 0));
	assert_non_null(vma_tree_load(&w.mm->vmas, va)->anon_vma);
	/* Read first, then write: the entry is replaced. */
	(void)read_word(va + PAGE);
	EXPECT_COUNT(&w, FAULT_FILE_COW, 1, write_word(va + PAGE, 78));
	assert_int_equal(read_word(va + PAGE + 16), file_token(file->inode, 1, 2));
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 2);
	EXPECT_COUNT(&w, FAULT_TOTAL, 0, write_word(va + PAGE, 79));
	file_put(file);
	mm_world_destroy(&w);
}

static void shared_write(enum inode_kind kind, u32 writes_noticed)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	struct file *file = new_file(&w, kind, 8 * PAGE);
	u64 va = map_file(&w, file, 8, RW, MAP_SHARED),
	    again = map_file(&w, file, 8, RW, MAP_SHARED);

	EXPECT_COUNT(&w, FAULT_FILE_SHARED, 1, write_word(va, 5));
	assert_int_equal(read_word(again), 5);
	assert_true(page_has(page_at(&w, va), PAGE_DIRTY));
	assert_null(vma_tree_load(&w.mm->vmas, va)->anon_vma);
	/* Read first: a file system must still hear of the write, memory files need not. */
	(void)read_word(va + PAGE);
	EXPECT_COUNT(&w, FAULT_FILE_SHARED, writes_noticed, write_word(va + PAGE, 6));
	assert_int_equal(read_word(again + PAGE), 6);
	assert_int_equal(mm_rss_pages(w.mm, kind == INODE_SHMEM ? RSS_SHMEM : RSS_FILE), 4);
	file_put(file);
	mm_world_destroy(&w);
}

static void shared_write_file(void **state)
{
	shared_write(INODE_REGULAR, 1);
}
static void shared_write_shmem(void **state)
{
	shared_write(INODE_SHMEM, 0);
}

/* A page that is slow to read: the fault lets go of its lock, and is redone under mmap_lock. */
static void slow_read(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, 8 * PAGE);
	u64 va = map_file(&w, file, 8, RW, MAP_PRIVATE);

	file->inode->read_latency_ns = 1000;
	EXPECT_COUNT(&w, VMA_LOCK_RETRY, 1,
		     assert_int_equal(read_word(va), file_token(file->inode, 0, 0)));
	EXPECT_COUNT(&w, FAULT_RETRY, 1, write_word(va + PAGE, 1));
	assert_int_equal(atomic_read(&file->refcount), 2); /* ours and the VMA's */
	file_put(file);
	mm_world_destroy(&w);
}

static void shared_anonymous(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, MEMORY, 1);
	s64 va = mm_mmap(w.mm, 0, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	struct mm *child;
	int error;

	assert_true(va > 0);
	assert_int_equal(read_word((u64)va), 0);
	write_word((u64)va, 3);
	child = mm_fork(w.mm, &error);
	assert_non_null(child);
	write_word((u64)va, 4);
	mmu_switch(child);
	assert_int_equal(read_word((u64)va), 4);
	write_word((u64)va + PAGE, 5);
	mmu_switch(w.mm);
	mm_put(child);
	assert_int_equal(read_word((u64)va + PAGE), 5);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(around),
		cmocka_unit_test(around_is_clipped),
		cmocka_unit_test(private_write),
		cmocka_unit_test(shared_write_file),
		cmocka_unit_test(shared_write_shmem),
		cmocka_unit_test(slow_read),
		cmocka_unit_test(shared_anonymous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
