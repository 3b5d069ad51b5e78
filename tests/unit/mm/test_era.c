/*
 * tests/unit/mm/test_era.c - what kernel versions and coverage change, seen from a fault and a call
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (32ull << 20)

static struct mm_world world(const struct mm_locking *scheme, const char *version, u64 coverage, u32 tasks)
{
	const struct mm_config cfg = { .era = kernel_era_find(version),
				       .params[MM_PARAM_COVERAGE] = coverage };

	assert_non_null(cfg.era);
	return mm_world_create_with(scheme, MEMORY, tasks, &cfg);
}

static const struct mm_locking *const vma_schemes[] = {
	&mm_locking_vma_rwsem, &mm_locking_vma_atomic, &mm_locking_vma_refcnt };

static void the_table(void **state)
{
	static const char *const wanted[] = { "4.12", "4.15", "6.4", "6.18" };

	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_string_equal(kernel_eras[i].version, wanted[i]);
	assert_null(kernel_eras[ARRAY_SIZE(wanted)].version);
	assert_ptr_equal(kernel_era_newest(), kernel_era_find("6.18"));
	assert_null(kernel_era_find("6.1"));
	for (u32 p = 0; p < MM_PARAM_COUNT; p++)
		assert_non_null(mm_params[p].key);
}

static void default_tree(void **state)
{
	struct mm_config cfg = { .era = kernel_era_find("4.15") };

	assert_ptr_equal(mm_config_tree(&cfg, &mm_locking_mmap_lock), &vma_tree_rb);
	cfg.era = kernel_era_find("6.4");
	assert_ptr_equal(mm_config_tree(&cfg, &mm_locking_mmap_lock), &vma_tree_maple);
	cfg.tree = &vma_tree_rb;
	assert_ptr_equal(mm_config_tree(&cfg, &mm_locking_mmap_lock), &vma_tree_rb);
}

/* What coverage names, by what a fault of each kind then is. S: under the VMA lock. A, R: refused. */
struct faults {
	const char *coverage;
	char first_anon, anon, file_read, first_cow, cow;
};
/* v1, 6.4: no file at all. 6.7: an anonymous VMA without anon_vma is refused at the lock, a file's
 * only when its copy needs one. */
static const struct faults table[] = {
	{ "v1", 'A', 'S', 'A', 'A', 'A' },
	{ "6.4", 'A', 'S', 'A', 'A', 'A' },
	{ "6.7", 'A', 'S', 'S', 'R', 'S' },
	{ "6.15", 'S', 'S', 'S', 'S', 'S' },
};

static void touch(struct mm_world *w, u64 va, bool write, char wanted)
{
	u64 s = COUNT(w, VMA_LOCK_SUCCESS), a = COUNT(w, VMA_LOCK_ABORT), r = COUNT(w, VMA_LOCK_RETRY), v;

	assert_int_equal(write ? user_write(va, 1) : user_read(va, &v), FAULT_OK);
	assert_int_equal(COUNT(w, VMA_LOCK_SUCCESS) - s, wanted == 'S');
	assert_int_equal(COUNT(w, VMA_LOCK_ABORT) - a, wanted == 'A');
	assert_int_equal(COUNT(w, VMA_LOCK_RETRY) - r, wanted == 'R');
}

static void check_coverage(const struct mm_locking *scheme, const struct faults *f)
{
	u64 choice = 0;
	struct mm_world w;
	struct file *file;
	u64 anon, read, copied;

	while (strcmp(mm_params[MM_PARAM_COVERAGE].choices[choice], f->coverage))
		choice++;
	w = world(scheme, "6.18", choice, 1);
	anon = map_anon(&w, 4, RW);
	touch(&w, anon, true, f->first_anon);
	touch(&w, anon + PAGE, true, f->anon);
	touch(&w, anon + 2 * PAGE, false, f->anon);
	file = new_file(&w, INODE_REGULAR, 64 * PAGE);
	read = map_file(&w, file, 32, PROT_READ, MAP_SHARED);
	copied = map_file(&w, file, 32, RW, MAP_PRIVATE);
	touch(&w, read, false, f->file_read);
	touch(&w, copied, true, f->first_cow);
	touch(&w, copied + PAGE, true, f->cow);
	file_put(file);
	mm_world_destroy(&w);
}

static void coverage(void **state)
{
	for (u32 s = 0; s < ARRAY_SIZE(vma_schemes); s++)
		for (u32 i = 0; i < ARRAY_SIZE(table); i++)
			check_coverage(vma_schemes[s], &table[i]);
}

/* An era's own coverage. */
static void coverage_of_eras(void **state)
{
	struct mm_config cfg = { .era = kernel_era_find("6.4") };

	assert_int_equal(mm_config_coverage(&cfg), 0);
	cfg.params[MM_PARAM_COVERAGE] = 4;
	assert_int_equal(mm_config_coverage(&cfg), COVER_ALL);
	cfg = (struct mm_config){ .era = NULL };
	assert_int_equal(mm_config_coverage(&cfg), COVER_ALL);
}

/* madvise inside one VMA: its lock is enough since 6.17. Across two, or before, mmap_lock. */
static void madvise_locks(void **state)
{
	static const int advice[] = { MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE };
	u64 v;

	for (u32 s = 0; s < ARRAY_SIZE(vma_schemes); s++)
		for (u32 i = 0; i < ARRAY_SIZE(advice); i++) {
			struct mm_world w = world(vma_schemes[s], "6.18", 0, 1);
			u64 va = map_anon(&w, 8, RW);

			assert_int_equal(user_write(va, 7), FAULT_OK);
			EXPECT_COUNT(&w, MMAP_LOCK_READ, 0,
				     assert_int_equal(mm_madvise(w.mm, va, 2 * PAGE, advice[i]), 0));
			assert_int_equal(COUNT(&w, VMA_READ_LOCK), 1);
			if (advice[i] != MADV_FREE) {
				assert_int_equal(user_read(va, &v), FAULT_OK);
				assert_int_equal(v, 0);
			}
			assert_int_equal(mm_mprotect(w.mm, va, 4 * PAGE, PROT_READ), 0);
			EXPECT_COUNT(&w, MMAP_LOCK_READ, 1,
				     assert_int_equal(mm_madvise(w.mm, va, 8 * PAGE, advice[i]), 0));
			assert_int_equal(COUNT(&w, VMA_READ_LOCK_ABORT), 1);
			/* A hole: mmap_lock says what is wrong. */
			assert_int_equal(mm_madvise(w.mm, va + 8 * PAGE, PAGE, advice[i]), -ENOMEM);
			mm_world_destroy(&w);

			w = world(vma_schemes[s], "6.4", 4, 1);
			va = map_anon(&w, 8, RW);
			EXPECT_COUNT(&w, MMAP_LOCK_READ, 1,
				     assert_int_equal(mm_madvise(w.mm, va, 2 * PAGE, advice[i]), 0));
			mm_world_destroy(&w);
		}
}

/* The same text by either way, VMA by VMA without mmap_lock but for the end. */
static void maps_locks(void **state)
{
	static const char *const versions[] = { "6.4", "6.18" };
	char *text[2];
	size_t len;

	for (u32 i = 0; i < 2; i++) {
		struct mm_world w = world(&mm_locking_vma_refcnt, versions[i], 0, 1);
		u64 va = map_anon(&w, 8, RW);
		FILE *out = open_memstream(&text[i], &len);

		assert_int_equal(mm_mprotect(w.mm, va + PAGE, PAGE, PROT_READ), 0);
		assert_int_equal(mm_munmap(w.mm, va + 4 * PAGE, PAGE), 0);
		EXPECT_COUNT(&w, VMA_READ_LOCK, i ? 4 : 0, mm_print_maps(w.mm, out));
		fclose(out);
		mm_world_destroy(&w);
	}
	assert_string_equal(text[0], text[1]);
	assert_non_null(strstr(text[0], "r--p"));
	free(text[0]);
	free(text[1]);
}

/* mm_lock_seq is odd while the write lock is held: since 6.14. */
static void sequence(void **state)
{
	struct mm_world w = world(&mm_locking_vma_rwsem, "6.4", 0, 1);
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u32 before = w.mm->mm_lock_seq;

	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	assert_int_equal(w.mm->mm_lock_seq, before);
	mmap_write_unlock(h);
	assert_int_equal(w.mm->mm_lock_seq, before + 1);
	mm_world_destroy(&w);
	w = world(&mm_locking_vma_rwsem, "6.18", 0, 1);
	h = mm_hold(HOLD_SYSCALL);
	assert_int_equal(w.mm->mm_lock_seq % 2, 0);
	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	assert_int_equal(w.mm->mm_lock_seq % 2, 1);
	mmap_write_downgrade(h);
	assert_int_equal(w.mm->mm_lock_seq % 2, 0);
	mmap_read_unlock(h);
	assert_true(mmap_write_trylock(w.mm, h, MM_RANGE_ALL));
	assert_int_equal(w.mm->mm_lock_seq % 2, 1);
	mmap_write_unlock(h);
	assert_int_equal(w.mm->mm_lock_seq % 2, 0);
	mm_world_destroy(&w);
}

/* munmap zaps under the write lock before 4.20: it does not downgrade. */
static u32 downgrades;
static const struct mm_locking *inner;
static struct mm_locking watched;

static void counting_downgrade(struct mm_hold *h)
{
	downgrades++;
	inner->downgrade(h);
}

static void munmap_downgrades(void **state)
{
	static const char *const versions[] = { "4.12", "6.4" };

	inner = &mm_locking_mmap_lock;
	watched = mm_locking_mmap_lock;
	watched.downgrade = counting_downgrade;
	for (u32 i = 0; i < 2; i++) {
		struct mm_world w = world(&watched, versions[i], 0, 1);
		u64 va = map_anon(&w, 4, RW);

		downgrades = 0;
		assert_int_equal(user_write(va, 1), FAULT_OK);
		assert_int_equal(mm_munmap(w.mm, va, 4 * PAGE), 0);
		assert_int_equal(downgrades, i);
		assert_int_equal(user_write(va, 1), FAULT_SIGSEGV_MAPERR);
		assert_int_equal(machine_classic_rwsem(w.m), i == 0);
		mm_world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),	    cmocka_unit_test(default_tree),
		cmocka_unit_test(coverage),	    cmocka_unit_test(coverage_of_eras),
		cmocka_unit_test(madvise_locks),    cmocka_unit_test(maps_locks),
		cmocka_unit_test(sequence),	    cmocka_unit_test(munmap_downgrades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
