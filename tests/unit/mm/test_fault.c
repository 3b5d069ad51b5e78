/*
 * tests/unit/mm/test_fault.c - anonymous memory, access checks, stacks, who gets an anon_vma
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (64ull << 20)

static struct mm_world world(const struct mm_locking *scheme)
{
	return mm_world_create(scheme, MEMORY, 2);
}

static void anonymous(const struct mm_locking *scheme)
{
	struct mm_world w = world(scheme);
	u64 va = map_anon(&w, 8, RW);

	EXPECT_COUNT(&w, FAULT_ZERO_PAGE, 1, assert_int_equal(read_word(va), 0));
	assert_ptr_equal(page_at(&w, va), w.mem->zero_page);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 0);
	/* The zero page is left at the first write, for a page that is counted. */
	EXPECT_COUNT(&w, FAULT_ANON, 1, write_word(va, 5));
	assert_ptr_not_equal(page_at(&w, va), w.mem->zero_page);
	assert_int_equal(read_word(va), 5);
	assert_int_equal(read_word(va + 8), 0);
	EXPECT_COUNT(&w, FAULT_ANON, 1, write_word(va + PAGE, 6));
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 2);
	EXPECT_COUNT(&w, FAULT_TOTAL, 0, write_word(va + PAGE, 7));
	assert_int_equal(mm_munmap(w.mm, va, 8 * PAGE), 0);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 0);
	mm_world_destroy(&w);
}

static void anonymous_mmap_lock(void **state)
{
	anonymous(&mm_locking_mmap_lock);
}
static void anonymous_vma_refcnt(void **state)
{
	anonymous(&mm_locking_vma_refcnt);
}
static void anonymous_lock_null(void **state)
{
	anonymous(&mm_locking_lock_null);
}

static void expect(struct mm_world *w, u64 va, enum access_kind kind, enum fault_result result)
{
	u64 value = 1, bad = result == FAULT_SIGSEGV_ACCERR || result == FAULT_SIGSEGV_MAPERR;

	EXPECT_COUNT(w, FAULT_SIGSEGV, bad,
		     assert_int_equal(user_access(va, kind, &value), result));
}

static void access_checks(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	u64 none = map_anon(&w, 1, PROT_NONE), r = map_anon(&w, 1, PROT_READ);
	u64 wo = map_anon(&w, 1, PROT_WRITE), x = map_anon(&w, 1, PROT_EXEC);

	expect(&w, none, ACCESS_READ, FAULT_SIGSEGV_ACCERR);
	expect(&w, none, ACCESS_WRITE, FAULT_SIGSEGV_ACCERR);
	expect(&w, r, ACCESS_WRITE, FAULT_SIGSEGV_ACCERR);
	expect(&w, r, ACCESS_READ, FAULT_OK);
	expect(&w, r, ACCESS_WRITE, FAULT_SIGSEGV_ACCERR); /* now with an entry there */
	expect(&w, r, ACCESS_EXEC, FAULT_SIGSEGV_ACCERR);
	expect(&w, wo, ACCESS_READ, FAULT_OK); /* x86: writable is readable */
	expect(&w, wo, ACCESS_WRITE, FAULT_OK);
	expect(&w, x, ACCESS_EXEC, FAULT_OK);
	expect(&w, x, ACCESS_READ, FAULT_OK); /* no protection keys */
	expect(&w, x, ACCESS_WRITE, FAULT_SIGSEGV_ACCERR);
	expect(&w, 0, ACCESS_READ, FAULT_SIGSEGV_MAPERR);
	expect(&w, w.mm->task_size, ACCESS_READ, FAULT_SIGSEGV_MAPERR);
	expect(&w, ~0ull - 7, ACCESS_WRITE, FAULT_SIGSEGV_MAPERR);
	mm_world_destroy(&w);
}

static void stack(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	u64 top = 0x7ffff0000000ull, guard = STACK_GUARD_GAP_PAGES * PAGE;
	s64 below;

	assert_int_equal(mm_install_stack(w.mm, top - 2 * PAGE, top, top - 64, 0), 0);
	EXPECT_COUNT(&w, FAULT_STACK_GROWN, 1, write_word(top - 100 * PAGE, 9));
	assert_int_equal(vma_tree_load(&w.mm->vmas, top - PAGE)->start, top - 100 * PAGE);
	EXPECT_COUNT(&w, FAULT_STACK_GROWN, 0, write_word(top - 50 * PAGE, 9));
	/* Not into the guard gap of what lies below. */
	below = mm_mmap(w.mm, top - 100 * PAGE - guard - 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, NULL,
			0);
	assert_true(below > 0);
	expect(&w, top - 101 * PAGE, ACCESS_WRITE, FAULT_OK);
	expect(&w, top - 102 * PAGE, ACCESS_WRITE, FAULT_SIGSEGV_MAPERR);
	expect(&w, top - w.mm->limits.stack_bytes - PAGE, ACCESS_WRITE, FAULT_SIGSEGV_MAPERR);
	mm_world_destroy(&w);
}

/* As Linux has it: a read lock is never turned into a write lock, it is dropped. Counted by how often one is. */
static u32 unlocks;
static const struct mm_locking *inner;

static void counting_unlock(struct mm_hold *h)
{
	unlocks++;
	inner->unlock(h);
}

static void stack_growth_drops_the_lock(void **state)
{
	u64 top = 0x7ffff0000000ull;

	for (u32 i = 0; mm_locking_all[i]; i++) {
		struct mm_locking watched = *mm_locking_all[i];
		struct mm_world w;
		u64 reads;

		if (!(watched.caps & LK_CAP_CORRECT))
			continue;
		inner = mm_locking_all[i];
		watched.unlock = counting_unlock;
		w = world(&watched);
		assert_int_equal(mm_install_stack(w.mm, top - 2 * PAGE, top, top - 64, 0), 0);
		unlocks = 0;
		reads = COUNT(&w, MMAP_LOCK_READ);
		EXPECT_COUNT(&w, MMAP_LOCK_WRITE, 1, write_word(top - 100 * PAGE, 9));
		assert_int_equal(COUNT(&w, MMAP_LOCK_READ) - reads, 1);
		assert_int_equal(unlocks, 2); /* for read, and, downgraded, at the end */
		assert_int_equal(COUNT(&w, FAULT_STACK_GROWN), 1);
		mm_world_destroy(&w);
	}
}

/* Rule 14 of docs/SEMANTICS.md. */
static void who_gives_an_anon_vma(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	u64 huge = 2ull << 20;
	u64 a = map_anon(&w, 1, RW), b = map_anon(&w, 3 * huge / PAGE, RW);
	struct vma *vma = vma_tree_load(&w.mm->vmas, b);

	(void)read_word(a);
	assert_null(vma_tree_load(&w.mm->vmas, a)->anon_vma);
	write_word(a, 1);
	assert_non_null(vma_tree_load(&w.mm->vmas, a)->anon_vma);

	/* A read gives one only with MADV_HUGEPAGE, and only where a whole aligned block fits. */
	(void)read_word(b + huge);
	assert_null(vma->anon_vma);
	assert_int_equal(mm_munmap(w.mm, b, 3 * huge), 0);
	b = map_anon(&w, 3 * huge / PAGE, RW);
	assert_int_equal(b % huge, 0);
	assert_int_equal(mm_munmap(w.mm, b, PAGE), 0);
	assert_int_equal(mm_munmap(w.mm, b + 3 * huge - PAGE, PAGE), 0);
	assert_int_equal(mm_madvise(w.mm, b + PAGE, 3 * huge - 2 * PAGE, MADV_HUGEPAGE), 0);
	vma = vma_tree_load(&w.mm->vmas, b + huge);
	(void)read_word(b + PAGE);
	(void)read_word(b + 3 * huge - 2 * PAGE);
	assert_null(vma->anon_vma);
	(void)read_word(b + huge + 5 * PAGE);
	assert_non_null(vma->anon_vma);
	mm_world_destroy(&w);
}

static void out_of_memory(void **state)
{
	struct mm_world w = mm_world_create(&mm_locking_vma_refcnt, 200 * PAGE, 1);
	u64 va = map_anon(&w, 400, RW), n = 0;
	enum fault_result r = FAULT_OK;

	while (r == FAULT_OK)
		r = user_write(va + n++ * PAGE, 1);
	assert_int_equal(r, FAULT_OOM);
	assert_int_equal(COUNT(&w, FAULT_OOM), 1);
	assert_in_range(n, 150, 200);
	/* What was freed can be had again. */
	assert_int_equal(mm_munmap(w.mm, va, 10 * PAGE), 0);
	write_word(va + 300 * PAGE, 1);
	mm_world_destroy(&w);
}

static void each_fault_counts_once(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	u64 va = map_anon(&w, 64, RW), value;
	u64 kinds, locks;

	for (u32 i = 0; i < 64; i++) {
		(void)user_access(va + i * PAGE, i % 2 ? ACCESS_WRITE : ACCESS_READ, &value);
		(void)user_access(va + i * PAGE, ACCESS_WRITE, &value);
	}
	(void)user_read(0x1000, &value);
	kinds = COUNT(&w, FAULT_ANON) + COUNT(&w, FAULT_ZERO_PAGE) + COUNT(&w, FAULT_SIGSEGV) +
		COUNT(&w, FAULT_SPURIOUS);
	locks = COUNT(&w, VMA_LOCK_SUCCESS) + COUNT(&w, VMA_LOCK_ABORT) + COUNT(&w, VMA_LOCK_RETRY);
	assert_int_equal(COUNT(&w, FAULT_TOTAL), kinds);
	assert_int_equal(COUNT(&w, FAULT_TOTAL), locks);
	assert_int_equal(COUNT(&w, FAULT_TOTAL), 64 + 32 + 1);
	assert_int_equal(COUNT(&w, VMA_LOCK_ABORT), 1);
	mm_world_destroy(&w);
}

static void special_mapping(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	u64 va = 0x7ffff7fc0000ull;

	assert_int_equal(
		mm_install_special(w.mm, va, 2 * PAGE,
				   VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
				   "[vdso]"),
		0);
	/* No map_pages: redone under mmap_lock. */
	EXPECT_COUNT(&w, VMA_LOCK_RETRY, 1, assert_int_equal(read_word(va), 0));
	EXPECT_COUNT(&w, FAULT_SPECIAL, 1, expect(&w, va + PAGE, ACCESS_EXEC, FAULT_OK));
	assert_ptr_equal(page_at(&w, va), w.mem->special_page);
	expect(&w, va, ACCESS_WRITE, FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_rss_pages(w.mm, RSS_FILE), 0);
	/* Made writable (as a whole: special mappings are never split), a write copies it. */
	assert_int_equal(mm_mprotect(w.mm, va, PAGE, RW), -EINVAL);
	assert_int_equal(mm_mprotect(w.mm, va, 2 * PAGE, RW), 0);
	write_word(va, 3);
	assert_int_equal(read_word(va), 3);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), 1);
	mm_world_destroy(&w);
}

/* Two CPUs fault the same page: one installs it, the other finds that done. */
struct same_page {
	struct mm *mm;
	u64 va;
	u32 pages;
	struct sim_barrier barrier;
};

static void same_page_task(void *arg, u32 index)
{
	struct same_page *s = arg;

	mmu_switch(s->mm);
	for (u32 i = 0; i < s->pages; i++) {
		sim_barrier_wait(&s->barrier);
		if (user_write(s->va + i * PAGE + index * 8, index + 1) != FAULT_OK)
			MMSIM_BUG("fault failed");
	}
	mmu_switch(NULL);
}

static void two_cpus_one_page(void **state)
{
	struct mm_world w = world(&mm_locking_vma_refcnt);
	struct same_page s = {.mm = w.mm, .pages = 500};

	s.va = map_anon(&w, s.pages, RW);
	sim_barrier_init(&s.barrier, 2);
	mm_world_run(&w, 2, same_page_task, &s);
	for (u32 i = 0; i < s.pages; i++) {
		assert_int_equal(read_word(s.va + i * PAGE), 1);
		assert_int_equal(read_word(s.va + i * PAGE + 8), 2);
	}
	assert_int_equal(COUNT(&w, FAULT_ANON), s.pages);
	assert_int_equal(mm_rss_pages(w.mm, RSS_ANON), s.pages);
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_mmap_lock),
		cmocka_unit_test(anonymous_vma_refcnt),
		cmocka_unit_test(anonymous_lock_null),
		cmocka_unit_test(access_checks),
		cmocka_unit_test(stack),
		cmocka_unit_test(stack_growth_drops_the_lock),
		cmocka_unit_test(who_gives_an_anon_vma),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(each_fault_counts_once),
		cmocka_unit_test(special_mapping),
		cmocka_unit_test(two_cpus_one_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
