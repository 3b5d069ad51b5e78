/*
 * tests/unit/mm/test_huge.c - huge leaves: fault, split, zap, fork, mprotect, mremap, collapse
 *
 * Goal:   a huge leaf comes where it may and nowhere else, each way of changing a part of it splits it, no
 *         way loses or mixes contents, and nothing leaks.
 * Method: each page of a leaf holds a token made of its address; after each change every page is read
 *         and mm_check() looks at entries, pages and counts. Every architecture and every scheme. At last,
 *         tasks fault, write and read while others split, drop, protect, unmap and collapse under them.
 */
#include "tests/unit/mm/huge_world.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct world world_create_with(const struct arch_desc *a, const struct mm_locking *scheme,
				      u32 tasks, u32 leaves, enum thp_mode thp, enum schedule schedule,
				      u64 seed)
{
	const struct machine_config cfg = {.tasks = tasks,
					   .cpus = tasks,
					   .memory_bytes = (leaves + 1) * level_bytes(a, 1) +
							   (1024ull << a->page_shift),
					   .seed = seed,
					   .schedule = schedule};
	const struct mm_config mm_cfg = {.params = {[MM_PARAM_THP] = thp}};

	return world_start(a, 1, scheme, cfg, &mm_cfg);
}

static bool is_huge(struct world *w, u64 va)
{
	pte_t e = pgtable_peek_leaf(w->mm, va);

	return pte_present(w->a, e) && entry_is_leaf(w->a, e, 1);
}

/* w.base: a VMA of three leaves, the middle one faulted in by a write. */
static struct world world_create(const struct arch_desc *a, const struct mm_locking *scheme)
{
	struct world w = world_create_with(a, scheme, 1, 6, THP_MADVISE, SCHEDULE_TIME, 1);
	s64 at = mm_mmap(w.mm, 0, 4 * w.huge, RW, ANON, NULL, 0);

	assert_true(at > 0);
	w.base = ALIGN_UP((u64)at, w.huge);
	assert_int_equal(mm_madvise(w.mm, w.base, 3 * w.huge, MADV_HUGEPAGE), 0);
	w.before = memory_frames_used(w.m);
	assert_int_equal(user_write(w.base + w.huge + 3 * w.page, 1), FAULT_OK);
	assert_true(is_huge(&w, w.base + w.huge));
	assert_int_equal(count_of(&w, COUNTER_THP_FAULT_ALLOC), 1);
	write_tokens(&w, w.base + w.huge, w.base + 2 * w.huge);
	assert_int_equal(percpu_counter_sum(w.m, &w.mm->rss[RSS_ANON]), w.pages);
	mm_check(w.mm);
	return w;
}

/* ---- what happens to a leaf: each of these is called with one, at w->base + w->huge ----------------- */

static void fault_once(struct world *w)
{
	u64 start = w->base + w->huge;

	/* All of it with the one fault, and nothing beside it. */
	read_tokens(w, start, start + w->huge);
	assert_int_equal(user_read(w->base, NULL), FAULT_OK);
	assert_false(is_huge(w, w->base));
	assert_int_equal(count_of(w, COUNTER_THP_FAULT_ALLOC), 1);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 0);
}

static void zap_whole(struct world *w)
{
	u64 start = w->base + w->huge;

	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_DONTNEED), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 0);
	assert_int_equal(percpu_counter_sum(w->m, &w->mm->rss[RSS_ANON]), 0);
	mm_check(w->mm);
	/* The block is whole again: the next fault may have it. */
	write_tokens(w, start, start + w->page);
	assert_true(is_huge(w, start));
	read_zeroes(w, start + w->page, start + w->huge);
}

static void unmap_whole(struct world *w)
{
	assert_int_equal(mm_munmap(w->mm, w->base, 3 * w->huge), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 0);
	pgtable_drain_freed(w->m);
	assert_int_equal(percpu_counter_sum(w->m, &w->mm->rss[RSS_ANON]), 0);
}

static void zap_part(struct world *w)
{
	u64 start = w->base + w->huge, hole = start + 7 * w->page;

	assert_int_equal(mm_madvise(w->mm, hole, 2 * w->page, MADV_DONTNEED), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	assert_false(is_huge(w, start));
	assert_int_equal(percpu_counter_sum(w->m, &w->mm->rss[RSS_ANON]), w->pages - 2);
	read_tokens(w, start, hole);
	read_zeroes(w, hole, hole + 2 * w->page);
	read_tokens(w, hole + 2 * w->page, start + w->huge);
}

static void unmap_part(struct world *w)
{
	u64 start = w->base + w->huge, hole = start + w->huge - w->page;

	assert_int_equal(mm_munmap(w->mm, hole, w->huge), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	read_tokens(w, start, hole);
	assert_int_equal(user_read(hole, NULL), FAULT_SIGSEGV_MAPERR);
}

static void protect_whole(struct world *w)
{
	u64 start = w->base + w->huge, end = start + w->huge;

	assert_int_equal(mm_mprotect(w->mm, start, w->huge, PROT_READ), 0);
	assert_int_equal(user_write(start, 1), FAULT_SIGSEGV_ACCERR);
	read_tokens(w, start, end);
	assert_int_equal(mm_mprotect(w->mm, start, w->huge, PROT_NONE), 0);
	assert_int_equal(user_read(start, NULL), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_mprotect(w->mm, start, w->huge, RW), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 0);
	assert_true(is_huge(w, start));
	read_tokens(w, start, end);
	write_tokens(w, start, end);
}

static void protect_part(struct world *w)
{
	u64 start = w->base + w->huge, end = start + w->huge, part = start + 9 * w->page;

	assert_int_equal(mm_mprotect(w->mm, part, w->page, PROT_READ), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	assert_int_equal(user_write(part, 1), FAULT_SIGSEGV_ACCERR);
	read_tokens(w, start, end);
	assert_int_equal(mm_mprotect(w->mm, start, w->huge, RW), 0);
	write_tokens(w, start, end);
}

/* A boundary between two VMAs, whatever it is for. */
static void divide_vma(struct world *w)
{
	u64 start = w->base + w->huge;

	assert_int_equal(mm_madvise(w->mm, start + w->page, w->page, MADV_DONTDUMP), 0);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	read_tokens(w, start, start + w->huge);
}

static void move_aligned(struct world *w)
{
	u64 start = w->base + w->huge, to;
	s64 at = mm_mmap(w->mm, 0, 2 * w->huge, PROT_NONE, ANON, NULL, 0);

	assert_true(at > 0);
	to = ALIGN_UP((u64)at, w->huge);
	assert_int_equal(mm_mremap(w->mm, start, w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 0);
	assert_true(is_huge(w, to));
	read_tokens_from(w, to, to + w->huge, start);
}

static void move_unaligned(struct world *w)
{
	u64 start = w->base + w->huge, to;
	s64 at = mm_mmap(w->mm, 0, 3 * w->huge, PROT_NONE, ANON, NULL, 0);

	assert_true(at > 0);
	to = ALIGN_UP((u64)at, w->huge) + w->page;
	assert_int_equal(mm_mremap(w->mm, start, w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	read_tokens_from(w, to, to + w->huge, start);
}

static void fork_and_cow(struct world *w)
{
	u64 start = w->base + w->huge, end = start + w->huge, mine = start + 5 * w->page, value;
	struct mm *child;
	int err;

	child = mm_fork(w->mm, &err);
	assert_non_null(child);
	assert_int_equal(count_of(w, COUNTER_THP_SPLIT), 1);
	assert_int_equal(user_write(mine, 42), FAULT_OK);
	mm_check(w->mm);
	mm_check(child);
	mmu_switch(child);
	read_tokens(w, start, end);
	assert_int_equal(user_write(start, 7), FAULT_OK);
	mmu_switch(w->mm);
	mm_put(child);
	assert_int_equal(user_read(mine, &value), FAULT_OK);
	assert_int_equal(value, 42);
	read_tokens(w, start, mine);
	read_tokens(w, mine + w->page, end);
}

static void free_lazily(struct world *w)
{
	u64 start = w->base + w->huge;

	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_FREE), 0);
	write_tokens(w, start, start + w->huge);
	read_tokens(w, start, start + w->huge);
}

static void populate_huge(struct world *w)
{
	assert_int_equal(mm_madvise(w->mm, w->base, 3 * w->huge, MADV_POPULATE_WRITE), 0);
	assert_int_equal(count_of(w, COUNTER_THP_FAULT_ALLOC), 3);
	assert_true(is_huge(w, w->base));
	assert_true(is_huge(w, w->base + 2 * w->huge));
	read_tokens(w, w->base + w->huge, w->base + 2 * w->huge);
	read_zeroes(w, w->base, w->base + w->huge);
}

static void collapse_again(struct world *w)
{
	u64 start = w->base + w->huge, end = start + w->huge, hole = start + 11 * w->page;

	assert_int_equal(mm_madvise(w->mm, hole, w->page, MADV_DONTNEED), 0);
	/* No whole one inside: as Linux counts, that is none of none, or an end below the start. */
	assert_int_equal(mm_madvise(w->mm, start + w->page, w->huge, MADV_COLLAPSE), 0);
	assert_int_equal(mm_madvise(w->mm, start + w->page, w->page, MADV_COLLAPSE), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, w->base, w->huge, MADV_COLLAPSE), -EINVAL);	 /* nothing there */
	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_COLLAPSE), 0);
	assert_int_equal(count_of(w, COUNTER_THP_COLLAPSE), 1);
	assert_true(is_huge(w, start));
	assert_int_equal(percpu_counter_sum(w->m, &w->mm->rss[RSS_ANON]), w->pages);
	mm_check(w->mm);
	read_tokens(w, start, hole);
	read_zeroes(w, hole, hole + w->page);
	read_tokens(w, hole + w->page, end);
	write_tokens(w, start, end);
	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_COLLAPSE), 0); /* is one */
	assert_int_equal(count_of(w, COUNTER_THP_COLLAPSE), 1);
	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_NOHUGEPAGE), 0);
	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_COLLAPSE), -EINVAL);
}

/* Shared with a child: the parent's pages are copied, the child keeps what it has. */
static void collapse_after_fork(struct world *w)
{
	u64 start = w->base + w->huge, end = start + w->huge;
	struct mm *child;
	int err;

	child = mm_fork(w->mm, &err);
	assert_non_null(child);
	assert_int_equal(mm_madvise(w->mm, start, w->huge, MADV_COLLAPSE), 0);
	mm_check(w->mm);
	mm_check(child);
	for (u64 va = start; va < end; va += w->page)
		assert_int_equal(user_write(va, 5), FAULT_OK);
	mmu_switch(child);
	read_tokens(w, start, end);
	mmu_switch(w->mm);
	mm_put(child);
}

/* No block is left: small pages, and a collapse says so. */
static void no_block(struct world *w)
{
	struct page *taken[64];
	const struct memory *mem = memory_of(w->m);
	u32 n = 0;

	while (n < ARRAY_SIZE(taken) && (taken[n] = page_alloc_huge(mem, 0)))
		n++;
	assert_in_range(n, 1, ARRAY_SIZE(taken) - 1);
	write_tokens(w, w->base, w->base + w->page);
	assert_false(is_huge(w, w->base));
	assert_int_equal(count_of(w, COUNTER_THP_FAULT_FALLBACK), 1);
	assert_int_equal(mm_madvise(w->mm, w->base, w->huge, MADV_COLLAPSE), -ENOMEM);
	while (n-- > 0) {
		page_set_flags(taken[n], PAGE_HUGE);
		page_put(mem, taken[n]);
	}
	assert_int_equal(mm_madvise(w->mm, w->base, w->huge, MADV_COLLAPSE), 0);
	read_tokens(w, w->base, w->base + w->page);
	read_zeroes(w, w->base + w->page, w->base + w->huge);
}

static const struct {
	const char *name;
	void (*fn)(struct world *w);
} cases[] = {
	{"fault_once", fault_once},	  {"zap_whole", zap_whole},
	{"unmap_whole", unmap_whole},	  {"zap_part", zap_part},
	{"unmap_part", unmap_part},	  {"protect_whole", protect_whole},
	{"protect_part", protect_part},	  {"divide_vma", divide_vma},
	{"move_aligned", move_aligned},	  {"move_unaligned", move_unaligned},
	{"fork_and_cow", fork_and_cow},	  {"free_lazily", free_lazily},
	{"populate_huge", populate_huge}, {"collapse_again", collapse_again},
	{"collapse_after_fork", collapse_after_fork}, {"no_block", no_block},
};

static void run_cases(const struct arch_desc *a, const struct mm_locking *scheme)
{
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w = world_create(a, scheme);

		cases[i].fn(&w);
		world_destroy(&w);
	}
}

/* Leaves of up to 32 MiB: that of 64 KiB pages differs in nothing but the time it takes. */
static void every_arch(void **state)
{
	u32 n = 0;

	for (u32 i = 0; test_arch(i); i++) {
		const struct arch_desc *a = test_arch(i);

		if (!(a->huge_levels & 2) || level_bytes(a, 1) > 32ull << 20)
			continue;
		run_cases(a, &mm_locking_mmap_lock);
		n++;
	}
	assert_in_range(n, 5, 20);
}

static void every_scheme(void **state)
{
	for (u32 i = 0; mm_locking_all[i]; i++)
		if (mm_locking_all[i]->caps & LK_CAP_CORRECT)
			run_cases(&arch_x86_64, mm_locking_all[i]);
}

static void modes(void **state)
{
	for (enum thp_mode thp = THP_MADVISE; thp <= THP_ALWAYS; thp++)
		for (u32 advice = 0; advice < 3; advice++) {
			static const int advices[] = {MADV_NORMAL, MADV_HUGEPAGE, MADV_NOHUGEPAGE};
			struct world w = world_create_with(&arch_x86_64, &mm_locking_mmap_lock, 1, 2, thp,
							   SCHEDULE_TIME, 1);
			u64 va = ALIGN_UP((u64)mm_mmap(w.mm, 0, 2 * w.huge, RW, ANON, NULL, 0), w.huge);
			bool want = advice == 1 ? thp != THP_NEVER : advice == 0 && thp == THP_ALWAYS;

			assert_int_equal(mm_madvise(w.mm, va, w.huge, advices[advice]), 0);
			assert_int_equal(user_write(va, 1), FAULT_OK);
			assert_int_equal(is_huge(&w, va), want);
			world_destroy(&w);
		}
}

/* ---- under load --------------------------------------------------------------------------------------- */

#define LEAVES 3u
#define WRITERS 2u
#define CHANGERS 2u

struct load {
	struct world *w;
	u64 base, seed;
	u32 rounds; /* of each changer; writers go on until they have done */
	atomic_t changing;
};

/* Each writer has pages of its own (by index modulo WRITERS): it must find there what it wrote, or zero
 * since somebody dropped it; a hole or a protection may be in the way. */
static void load_write(struct load *l, u32 index, u64 *rng)
{
	struct world *w = l->w;
	u64 n = LEAVES * w->pages / WRITERS;
	u64 va = l->base + (test_random(rng) % n * WRITERS + index) * w->page, value;
	enum fault_result result;

	if (test_random(rng) & 1) {
		result = user_write(va, token(va));
	} else {
		result = user_read(va, &value);
		if (result == FAULT_OK && value && value != token(va))
			MMSIM_BUG("%llx at %llx", (unsigned long long)value, (unsigned long long)va);
	}
	if (result != FAULT_OK && result != FAULT_SIGSEGV_ACCERR && result != FAULT_SIGSEGV_MAPERR &&
	    result != FAULT_OOM)
		MMSIM_BUG("result %d at %llx", result, (unsigned long long)va);
}

static void load_change(struct load *l, u64 *rng)
{
	struct world *w = l->w;
	u64 leaf = l->base + test_random(rng) % LEAVES * w->huge;
	u64 first = test_random(rng) % w->pages, count = 1 + test_random(rng) % (w->pages - first);
	u64 part = leaf + first * w->page;

	switch (test_random(rng) % 9) {
	case 0:
		(void)mm_madvise(w->mm, leaf, w->huge, MADV_DONTNEED);
		break;
	case 1:
		(void)mm_madvise(w->mm, part, count * w->page, MADV_DONTNEED);
		break;
	case 2:
		(void)mm_mprotect(w->mm, part, count * w->page, PROT_READ);
		(void)mm_mprotect(w->mm, l->base, LEAVES * w->huge, RW);
		break;
	case 3:
		(void)mm_mprotect(w->mm, leaf, w->huge, PROT_NONE);
		(void)mm_mprotect(w->mm, leaf, w->huge, RW);
		break;
	case 4:
		(void)mm_munmap(w->mm, part, count * w->page);
		/* fall through */
	case 5:
		/* All anew: pieces with anon_vmas of their own would never be one VMA again. */
		(void)mm_mmap(w->mm, l->base, LEAVES * w->huge, RW, ANON | MAP_FIXED, NULL, 0);
		(void)mm_madvise(w->mm, l->base, LEAVES * w->huge, MADV_HUGEPAGE);
		break;
	case 6:
		(void)mm_madvise(w->mm, part, count * w->page, MADV_FREE);
		break;
	default:
		(void)mm_madvise(w->mm, leaf, w->huge, MADV_COLLAPSE);
	}
}

static void load_task(void *arg, u32 index)
{
	struct load *l = arg;
	u64 rng = l->seed * 1000 + index;

	mmu_switch(l->w->mm);
	if (index >= WRITERS) {
		for (u32 i = 0; i < l->rounds; i++)
			load_change(l, &rng);
		atomic_dec(&l->changing);
	} else {
		while (atomic_read(&l->changing))
			load_write(l, index, &rng);
	}
	mmu_switch(NULL);
}

static u64 leaves_seen, splits_seen, collapses_seen;

static void run_load(const struct arch_desc *a, const struct mm_locking *scheme, enum schedule schedule,
		     u32 rounds, u64 seed)
{
	struct world w = world_create_with(a, scheme, WRITERS + CHANGERS, LEAVES + 3, THP_MADVISE, schedule,
					   seed);
	s64 at = mm_mmap(w.mm, 0, (LEAVES + 1) * w.huge, RW, ANON, NULL, 0);
	struct load l = {.w = &w, .base = ALIGN_UP((u64)at, w.huge), .seed = seed, .rounds = rounds,
			 .changing = {CHANGERS}};

	assert_true(at > 0);
	assert_int_equal(mm_madvise(w.mm, l.base, LEAVES * w.huge, MADV_HUGEPAGE), 0);
	assert_int_equal(user_write(l.base, token(l.base)), FAULT_OK);
	world_run(&w, WRITERS + CHANGERS, load_task, &l);
	leaves_seen += count_of(&w, COUNTER_THP_FAULT_ALLOC);
	splits_seen += count_of(&w, COUNTER_THP_SPLIT);
	collapses_seen += count_of(&w, COUNTER_THP_COLLAPSE);
	world_destroy(&w);
}

static void under_load(void **state)
{
	u64 seed = test_seed("under_load");
	u32 rounds = 100;
	const char *more = getenv("MMSIM_HUGE_ROUNDS");

	if (more)
		rounds = (u32)atoi(more);
	for (u32 i = 0; mm_locking_all[i]; i++) {
		if (!(mm_locking_all[i]->caps & LK_CAP_CORRECT))
			continue;
		run_load(&arch_x86_64, mm_locking_all[i], SCHEDULE_TIME, rounds, seed + i);
#ifdef MMSIM_ENGINE_VIRTUAL
		run_load(&arch_x86_64, mm_locking_all[i], SCHEDULE_RANDOM, rounds, seed + i);
#endif
	}
	run_load(&arch_arm64_4k, &mm_locking_vma_refcnt, SCHEDULE_TIME, rounds, seed);
	run_load(&arch_arm64_4k_v80, &mm_locking_vma_refcnt, SCHEDULE_TIME, rounds, seed);
	run_load(&arch_ppc64_radix, &mm_locking_vma_refcnt, SCHEDULE_TIME, rounds, seed);
	printf("%llu leaves, %llu splits, %llu collapses\n", (unsigned long long)leaves_seen,
	       (unsigned long long)splits_seen, (unsigned long long)collapses_seen);
	assert_true(leaves_seen > 30 && splits_seen > 10 && collapses_seen > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_arch),
		cmocka_unit_test(every_scheme),
		cmocka_unit_test(modes),
		cmocka_unit_test(under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
