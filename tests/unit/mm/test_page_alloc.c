/*
 * tests/unit/mm/test_page_alloc.c - frames: none lost, none twice; references and contents
 */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/mm/mm_world.h"
#include "tests/unit/test_seed.h"

#define FRAMES 3000 /* not a multiple of any block: the end of memory is ragged */

static struct mm_world small_world(u32 tasks)
{
	return mm_world_create(&mm_locking_mmap_lock, FRAMES * PAGE, tasks);
}

/* Every frame comes out exactly once, then none; everything comes back. */
static void all_frames_once(void **state)
{
	struct mm_world w = small_world(1);
	static struct page *got[FRAMES];
	static bool seen[FRAMES];
	u64 used = memory_frames_used(w.m), n = 0;
	struct page *page;

	for (u32 round = 0; round < 3; round++) {
		memset(seen, 0, sizeof(seen));
		for (n = 0; (page = page_alloc(w.mem, 0)); n++) {
			u64 pfn = page_to_pfn(w.mem, page);

			assert_in_range(pfn, 1, FRAMES - 1);
			assert_false(seen[pfn]);
			seen[pfn] = true;
			got[n] = page;
		}
		assert_int_equal(n, FRAMES - used);
		assert_int_equal(memory_frames_used(w.m), FRAMES);
		page_put_batch(w.mem, got, (u32)n);
		assert_int_equal(memory_frames_used(w.m), used);
	}
	assert_int_equal(COUNT(&w, PGALLOC_FAIL), 3);
	mm_world_destroy(&w);
}

/* Random allocation and freeing against a set; small frees reach the zone through drains. */
static void random_alloc_free(void **state)
{
	struct mm_world w = small_world(1);
	static struct page *held[FRAMES];
	u64 seed = test_seed("random_alloc_free"), used = memory_frames_used(w.m), n = 0;

	for (u32 i = 0; i < 200000; i++) {
		u64 r = test_random(&seed);
		/* Waves, so that the lists fill and empty. */
		bool alloc = r % 16 < (i / 4096 % 2 ? 11 : 5);

		if (alloc && n < FRAMES) {
			held[n] = page_alloc(w.mem, 0);
			if (held[n])
				page_set_flags(held[n++], PAGE_DIRTY);
		} else if (!alloc && n) {
			u64 victim = (r >> 16) % n;

			assert_true(page_has(held[victim], PAGE_DIRTY));
			page_put(w.mem, held[victim]);
			held[victim] = held[--n];
		}
	}
	assert_int_equal(memory_frames_used(w.m), used + n);
	assert_true(COUNT(&w, PGALLOC_PCP_REFILL) > 0);
	assert_true(COUNT(&w, PGALLOC_PCP_DRAIN) > 0);
	page_put_batch(w.mem, held, (u32)n);
	mm_world_destroy(&w);
}

/* Freed in random order, the buddies must have merged again: then frames come out in runs. Without
 * merging next to none follows its predecessor. */
static void buddies_merge(void **state)
{
	struct mm_world w = small_world(1);
	static struct page *got[FRAMES];
	u64 seed = test_seed("buddies_merge"), n = 0, total, in_order = 0;
	struct page *page, *prev = NULL;

	while ((page = page_alloc(w.mem, 0)))
		got[n++] = page;
	for (total = n; n; n--) {
		u64 victim = test_random(&seed) % n;

		page_put(w.mem, got[victim]);
		got[victim] = got[n - 1];
	}
	while ((page = page_alloc(w.mem, 0))) {
		in_order += prev && page == prev + 1;
		got[n++] = prev = page;
	}
	assert_int_equal(n, total);
	assert_in_range(in_order, total / 2, total);
	page_put_batch(w.mem, got, (u32)n);
	mm_world_destroy(&w);
}

static void contents(void **state)
{
	struct mm_world w = small_world(1);
	struct page *a = page_alloc(w.mem, ALLOC_ZERO), *b = page_alloc(w.mem, 0);
	u64 *wa = page_content(w.mem, page_to_pfn(w.mem, a));
	u64 *wb = page_content(w.mem, page_to_pfn(w.mem, b));

	for (u32 i = 0; i < WORDS; i++) {
		assert_int_equal(wa[i], 0);
		wb[i] = 100 + i;
	}
	page_copy_content(w.mem, a, b);
	assert_memory_equal(wa, wb, WORDS * 8);
	page_clear_content(w.mem, b);
	assert_int_equal(wb[WORDS - 1], 0);
	assert_int_equal(wa[WORDS - 1], 100 + WORDS - 1);
	page_get(a);
	page_put(w.mem, a);
	assert_int_equal(atomic_read(&a->refcount), 1);
	assert_true(page_try_get(a));
	page_put(w.mem, a);
	page_put(w.mem, a);
	assert_false(page_try_get(a));
	page_put(w.mem, b);
	mm_world_destroy(&w);
}

struct shared {
	struct mm_world *w;
	u64 failed;
};

/* Everybody takes nearly everything in turn: frames on other CPUs' lists must be found. */
static void greedy_task(void *arg, u32 index)
{
	struct shared *s = arg;
	struct page *got[FRAMES / 8];

	for (u32 round = 0; round < 200; round++) {
		u32 n = 0;

		while (n < ARRAY_SIZE(got)) {
			struct page *page = page_alloc(s->w->mem, 0);

			if (!page) {
				(void)fetch_add(&s->failed, 1);
				break;
			}
			if (fetch_or(&page->flags, (u32)PAGE_DIRTY) & PAGE_DIRTY)
				MMSIM_BUG("task %u got a frame that another has", index);
			got[n++] = page;
		}
		for (u32 i = 0; i < n; i++)
			page_clear_flags(got[i], PAGE_DIRTY);
		page_put_batch(s->w->mem, got, n);
	}
}

static void many_cpus(void **state)
{
	struct mm_world w = small_world(6);
	struct shared s = {.w = &w};
	u64 used = memory_frames_used(w.m);

	/* 6 x 375 frames fit into 3000, but not beside 6 full per-CPU lists. */
	mm_world_run(&w, 6, greedy_task, &s);
	assert_int_equal(memory_frames_used(w.m), used);
	mm_world_destroy(&w);
}

/* The misuse must stop the program: in a child. */
static void expect_stop(void (*misuse)(struct mm_world *w))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct mm_world w;

		(void)!freopen("/dev/null", "w", stderr);
		w = small_world(1);
		misuse(&w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_not_equal(status, 0);
}

static void free_twice(struct mm_world *w)
{
	struct page *page = page_alloc(w->mem, 0);

	page_put(w->mem, page);
	page_put(w->mem, page);
}

static void get_free(struct mm_world *w)
{
	struct page *page = page_alloc(w->mem, 0);

	page_put(w->mem, page);
	page_get(page);
}

static void free_mapped(struct mm_world *w)
{
	struct page *page = page_alloc(w->mem, 0);

	atomic_set(&page->mapcount, 1);
	page_put(w->mem, page);
}

static void leak(struct mm_world *w)
{
	(void)!page_alloc(w->mem, 0);
	mm_world_destroy(w);
}

static void misuse_stops(void **state)
{
	expect_stop(free_twice);
	expect_stop(get_free);
	expect_stop(free_mapped);
	expect_stop(leak);
}

static void impossible_memory(void **state)
{
	struct machine_config cfg = {.tasks = 1, .memory_bytes = PAGE, .content_words = 1};
	struct machine *m = machine_create(&cfg);

	machine_enter(m);
	assert_int_equal(mm_machine_init(m, &arch_x86_64, NULL), -EINVAL);
	machine_leave();
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_frames_once),   cmocka_unit_test(random_alloc_free),
		cmocka_unit_test(buddies_merge),     cmocka_unit_test(contents),
		cmocka_unit_test(many_cpus),         cmocka_unit_test(misuse_stops),
		cmocka_unit_test(impossible_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
