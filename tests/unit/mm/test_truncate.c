/*
 * tests/unit/mm/test_truncate.c - a file's mappings by page; truncation, alone and against faults
 */
#include "tests/unit/mm/mm_world.h"
#include "tests/unit/test_seed.h"

#define MEMORY (32ull << 20)
#define PAGES 16

/* ---- the interval tree against a list ---------------------------------------------------------- */

#define VMAS 40
#define SPAN 64

static bool intersects(const struct vma *vma, u64 first, u64 last)
{
	return vma->pgoff <= last && vma->pgoff + vma_pages(vma, 12) - 1 >= first;
}

/* Every VMA that should be found is, once, by rising first page. */
static void check_query(const struct mapping *mapping, struct vma *const *in, u32 n, u64 first, u64 last)
{
	u32 expected = 0, found = 0;
	u64 before = 0;

	for (u32 i = 0; i < n; i++)
		expected += in[i] && intersects(in[i], first, last);
	for (struct vma *vma = i_mmap_first(mapping, first, last); vma;
	     vma = i_mmap_next(vma, first, last)) {
		assert_true(intersects(vma, first, last));
		assert_true(vma->pgoff >= before);
		before = vma->pgoff;
		found++;
	}
	assert_int_equal(found, expected);
}

static void tree_against_list(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct vma *all = machine_memory_alloc(w.m, VMAS * sizeof(*all), MMSIM_CACHE_LINE_BYTES);
	struct mapping *mapping = machine_memory_alloc(w.m, sizeof(*mapping), MMSIM_CACHE_LINE_BYTES);
	struct vma *in[VMAS] = {NULL};
	u64 seed = test_seed("tree_against_list");

	assert_non_null(all);
	rb_root_init(&mapping->i_mmap);
	for (u32 round = 0; round < 4000; round++) {
		u32 i = (u32)(test_random(&seed) % VMAS);
		u64 first = test_random(&seed) % (SPAN + 8);

		if (in[i]) {
			i_mmap_remove(mapping, in[i]);
			in[i] = NULL;
		} else {
			in[i] = &all[i];
			in[i]->pgoff = test_random(&seed) % SPAN;
			in[i]->start = PAGE;
			in[i]->end = PAGE + (1 + test_random(&seed) % 12) * PAGE;
			i_mmap_insert(mapping, in[i]);
		}
		check_query(mapping, in, VMAS, first, first + test_random(&seed) % 8);
		if (round % 16 == 0)
			check_query(mapping, in, VMAS, 0, ~0ull);
	}
	machine_memory_free(w.m, mapping, sizeof(*mapping));
	machine_memory_free(w.m, all, VMAS * sizeof(*all));
	mm_world_destroy(&w);
}

/* Of equals the later one comes later: what fork relies on. */
static void equals_keep_their_order(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct vma *all = machine_memory_alloc(w.m, VMAS * sizeof(*all), MMSIM_CACHE_LINE_BYTES);
	struct mapping *mapping = machine_memory_alloc(w.m, sizeof(*mapping), MMSIM_CACHE_LINE_BYTES);
	u32 n = 0;

	rb_root_init(&mapping->i_mmap);
	for (u32 i = 0; i < VMAS; i++) {
		all[i].start = 0;
		all[i].end = PAGE;
		all[i].pgoff = 7;
		i_mmap_insert(mapping, &all[i]);
	}
	for (struct vma *vma = i_mmap_first(mapping, 0, ~0ull); vma; vma = i_mmap_next(vma, 0, ~0ull))
		assert_ptr_equal(vma, &all[n++]);
	assert_int_equal(n, VMAS);
	machine_memory_free(w.m, mapping, sizeof(*mapping));
	machine_memory_free(w.m, all, VMAS * sizeof(*all));
	mm_world_destroy(&w);
}

/* ---- one task ---------------------------------------------------------------------------------- */

/* Shared and private mappings lose what lies beyond the end, copies too; the rest stays; what a file
 * grows by reads as zeroes, even where there was something before. */
static void beyond_the_end_is_sigbus(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct file *file = new_file(&w, INODE_REGULAR, PAGES * PAGE);
	u64 shared = map_file(&w, file, PAGES, RW, MAP_SHARED), used;
	u64 private = map_file(&w, file, PAGES, RW, MAP_PRIVATE);

	used = memory_frames_used(w.m);
	for (u64 i = 0; i < PAGES; i++) {
		write_word(shared + i * PAGE, 100 + i);
		assert_int_equal(read_word(private + i * PAGE), 100 + i);
		if (i % 2)
			write_word(private + i * PAGE, 200 + i);
	}
	assert_int_equal(file_truncate(file, 5 * PAGE + 1), 0); /* six pages */
	for (u64 i = 0; i < PAGES; i++) {
		if (i < 6) {
			assert_int_equal(read_word(shared + i * PAGE), 100 + i);
			assert_int_equal(read_word(private + i * PAGE), i % 2 ? 200 + i : 100 + i);
			continue;
		}
		assert_null(page_at(&w, shared + i * PAGE));
		assert_null(page_at(&w, private + i * PAGE));
		assert_int_equal(user_read(shared + i * PAGE, NULL), FAULT_SIGBUS);
		assert_int_equal(user_write(private + i * PAGE, 1), FAULT_SIGBUS);
	}
	assert_int_equal(file->inode->mapping.cached_pages, 6);
	/* Six cached pages, three copies; tables, which stay, are left out of account: two at the most. */
	assert_true(memory_frames_used(w.m) - used <= 6 + 3 + 6);

	assert_int_equal(file_truncate(file, PAGES * PAGE), 0);
	for (u64 i = 6; i < PAGES; i++) {
		assert_int_equal(read_word(shared + i * PAGE), 0);
		assert_int_equal(read_word(private + i * PAGE), 0);
	}
	assert_int_equal(file_truncate(file, 0), 0);
	assert_int_equal(user_read(shared, NULL), FAULT_SIGBUS);
	assert_int_equal(file->inode->mapping.cached_pages, 0);
	file_put(file);
	mm_world_destroy(&w);
}

static void refused_without_write(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_mmap_lock, MEMORY, 1);
	struct inode *inode = inode_create(w.m, INODE_REGULAR, "/ro", 8, 1, 9, PAGE);
	struct file *file = file_open(inode, true, false);

	inode_put(inode);
	assert_int_equal(file_truncate(file, 0), -EINVAL);
	file_put(file);
	mm_world_destroy(&w);
}

/* However a mapping has been cut, merged, moved and copied by fork, truncation finds all of it. */
static void finds_what_became_of_a_mapping(void **state)
{
	for (u32 s = 0; mm_locking_all[s]; s++) {
		const struct mm_locking *scheme = mm_locking_all[s];
		struct mm_world w;
		struct file *file;
		struct mm *child;
		u64 va, to;
		int error;

		if (!(scheme->caps & LK_CAP_CORRECT))
			continue;
		w = mm_world_create(scheme, MEMORY, 1);
		file = new_file(&w, INODE_REGULAR, PAGES * PAGE);
		va = map_file(&w, file, PAGES, RW, MAP_SHARED);
		for (u64 i = 0; i < PAGES; i++)
			write_word(va + i * PAGE, i);
		assert_int_equal(mm_mprotect(w.mm, va + 4 * PAGE, 4 * PAGE, PROT_READ), 0);
		assert_int_equal(mm_mprotect(w.mm, va + 4 * PAGE, 2 * PAGE, RW), 0);
		assert_int_equal(mm_munmap(w.mm, va + 2 * PAGE, PAGE), 0);
		to = map_anon(&w, 8, RW);
		assert_int_equal(mm_mremap(w.mm, va + 10 * PAGE, 4 * PAGE, 4 * PAGE,
					   MREMAP_MAYMOVE | MREMAP_FIXED, to + 2 * PAGE),
				 (s64)(to + 2 * PAGE));
		child = mm_fork(w.mm, &error);
		assert_non_null(child);
		mmu_switch(child);
		for (u64 i = 0; i < 4; i++)
			assert_int_equal(read_word(to + (2 + i) * PAGE), 10 + i);
		mmu_switch(w.mm);
		assert_int_equal(file_truncate(file, PAGE), 0);
		for (struct mm *mm = w.mm;; mm = child) {
			mmu_switch(mm);
			assert_int_equal(read_word(va), 0);
			for (u64 i = 1; i < PAGES; i++)
				assert_false(mmu_probe(mm, va + i * PAGE, ACCESS_READ));
			for (u64 i = 2; i < 6; i++)
				assert_false(mmu_probe(mm, to + i * PAGE, ACCESS_READ));
			assert_int_equal(user_read(va + 7 * PAGE, NULL), FAULT_SIGBUS);
			assert_int_equal(user_read(to + 3 * PAGE, NULL), FAULT_SIGBUS);
			mm_check(mm);
			if (mm == child)
				break;
		}
		mmu_switch(w.mm);
		mm_put(child);
		file_put(file);
		mm_world_destroy(&w);
	}
}

/* ---- faults against truncation ----------------------------------------------------------------- */

#define TASKS 4
#define KEPT (PAGES / 2)

struct race {
	struct mm *mm;
	struct file *file;
	u64 shared, private;
	u32 rounds, done;
};

static void truncate_rounds(struct race *r)
{
	for (u32 n = 0; n < r->rounds; n++) {
		if (file_truncate(r->file, KEPT * PAGE))
			MMSIM_BUG("truncation failed");
		for (u64 i = KEPT; i < PAGES; i++)
			if (mmu_probe(r->mm, r->shared + i * PAGE, ACCESS_READ) ||
			    mmu_probe(r->mm, r->private + i * PAGE, ACCESS_READ))
				MMSIM_BUG("round %u: page %llu beyond the end is mapped", n,
					  (unsigned long long)i);
		if (READ_ONCE(r->file->inode->mapping.cached_pages) > KEPT + TASKS)
			MMSIM_BUG("round %u: pages beyond the end are cached", n);
		if (file_truncate(r->file, PAGES * PAGE))
			MMSIM_BUG("growing failed");
		engine_delay_ns(2000);
	}
	WRITE_ONCE(r->done, 1u);
}

/* What has been cut off once reads as zeroes, or as what was written since. */
static void touch(struct race *r, u32 index, u64 n)
{
	u64 page = n * 7 % PAGES, value = 0, va = (n & 1 ? r->shared : r->private) + page * PAGE;
	enum fault_result result = n & 2 ? user_write(va, index) : user_read(va, &value);

	if (result != FAULT_OK && (result != FAULT_SIGBUS || page < KEPT))
		MMSIM_BUG("page %llu: %d", (unsigned long long)page, (int)result);
	if (value >= TASKS && page >= KEPT)
		MMSIM_BUG("page %llu contains %#llx", (unsigned long long)page,
			  (unsigned long long)value);
}

static void race_task(void *arg, u32 index)
{
	struct race *r = arg;

	mmu_switch(r->mm);
	if (index == 0)
		truncate_rounds(r);
	for (u64 n = index; !READ_ONCE(r->done); n++) {
		touch(r, index, n);
		if (index == 1 && n % 8 == 0) /* and VMAs come, go and split meanwhile */
			(void)mm_mprotect(r->mm, r->private + n % PAGES * PAGE, PAGE,
					  n & 16 ? RW : PROT_READ | PROT_WRITE | PROT_EXEC);
		if (index == 2 && n % 64 == 0) {
			int error;
			struct mm *child = mm_fork(r->mm, &error);

			if (child)
				mm_put(child);
		}
	}
	mmu_switch(NULL);
}

static void race(const struct mm_locking *scheme, u32 rounds, enum schedule schedule, u64 seed)
{
	const struct machine_config cfg = {.tasks = TASKS,
					   .memory_bytes = MEMORY,
					   .content_words = WORDS,
					   .seed = seed,
					   .schedule = schedule};
	struct mm_world w = {.m = machine_create(&cfg)};
	struct race r = {.rounds = rounds};

	assert_non_null(w.m);
	machine_enter(w.m);
	assert_int_equal(mm_machine_init(w.m, &arch_x86_64, NULL), 0);
	w.mm = r.mm = mm_create(w.m, &arch_x86_64, scheme);
	mmu_switch(w.mm);
	r.file = new_file(&w, INODE_REGULAR, PAGES * PAGE);
	r.shared = map_file(&w, r.file, PAGES, RW, MAP_SHARED);
	r.private = map_file(&w, r.file, PAGES, RW, MAP_PRIVATE);
	assert_int_equal(file_truncate(r.file, KEPT * PAGE), 0);
	mm_world_run(&w, TASKS, race_task, &r);
	file_put(r.file);
	mm_world_destroy(&w);
}

static void faults_against_truncation(void **state)
{
	u64 seed = test_seed("faults_against_truncation");

	for (u32 s = 0; mm_locking_all[s]; s++) {
		const struct mm_locking *scheme = mm_locking_all[s];

		if (!(scheme->caps & LK_CAP_CORRECT))
			continue;
#if defined(MMSIM_ENGINE_VIRTUAL)
		for (u32 i = 0; i < 6; i++) {
			race(scheme, 12, SCHEDULE_RANDOM, seed + i);
			race(scheme, 12, SCHEDULE_TIME, seed + i);
		}
#else
		race(scheme, 500, SCHEDULE_TIME, seed);
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_against_list),
		cmocka_unit_test(equals_keep_their_order),
		cmocka_unit_test(beyond_the_end_is_sigbus),
		cmocka_unit_test(refused_without_write),
		cmocka_unit_test(finds_what_became_of_a_mapping),
		cmocka_unit_test(faults_against_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
