/*
 * tests/unit/workloads/test_archs.c - every workload on every architecture of the build
 *
 * Goal: generic code and workloads hold on every page size, tree depth and rule of Accessed and
 * Dirty: each counts what it says it does, and no frame, table or VMA is left at the end
 * (memory_destroy() stops the run otherwise).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/locking.h>
#include <mmsim/workload.h>

struct outcome {
	u64 counters[COUNTER_COUNT];
	u64 ops;
};

static void set_params(const struct workload *w, u64 *values, const char *const *pairs)
{
	const struct param *p;
	u32 slot;

	for (slot = 0; (p = bench_param_at(w, slot)) != NULL; slot++)
		assert_int_equal(bench_param_parse(p, p->def, &values[slot]), 0);
	for (; *pairs; pairs += 2) {
		p = bench_param_find(w, pairs[0], &slot);
		if (p) /* not every workload has every one */
			assert_int_equal(bench_param_parse(p, pairs[1], &values[slot]), 0);
	}
}

static struct outcome run(const struct arch_desc *arch, const char *workload,
			  const struct mm_locking *scheme, u32 tasks, u64 ops,
			  const char *const *pairs)
{
	struct bench_config cfg = {.workload = workload_find(workload),
				   .locking = scheme,
				   .arch = arch,
				   .cpus = tasks,
				   .tasks = tasks,
				   .ops = ops,
				   .seed = 1};
	struct bench *b = aligned_alloc(64, ALIGN_UP(sizeof(*b), (size_t)64));
	u64 values[BENCH_PARAMS_MAX] = {0};
	struct bench_totals totals;
	struct outcome o;
	int err;

	assert_non_null(b);
	assert_non_null(cfg.workload);
	set_params(cfg.workload, values, pairs);
	cfg.params = values;
	err = bench_init(b, &cfg);
	if (!err)
		err = bench_run(b);
	if (err)
		fail_msg("%s on %s: %s", workload, arch->name, b->error);
	bench_totals(b, &totals);
	hist_destroy(totals.latency);
	memcpy(o.counters, totals.counters, sizeof(o.counters));
	o.ops = totals.ops;
	bench_fini(b);
	free(b);
	return o;
}

static const struct mm_locking *const schemes[] = {&mm_locking_mmap_lock, &mm_locking_vma_refcnt};
static const char *const no_params[] = {NULL};

/* page_fault1 writes 64 pages a turn, whatever a page is. */
static void one_fault_per_page(void **state)
{
	for (u32 i = 0; arch_all[i]; i++)
		for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
			const struct arch_desc *a = arch_all[i];
			char size[16];
			const char *const params[] = {"size", size, NULL};
			struct outcome o;

			snprintf(size, sizeof(size), "%u", 64u << a->page_shift);
			o = run(a, "page_fault1", schemes[s], 1, 640, params);
			assert_int_equal(o.ops, 640);
			assert_int_equal(o.counters[COUNTER_FAULT_ANON], 640);
			/* Linux installs an entry for a write accessed and dirty: no second fault. */
			assert_int_equal(o.counters[COUNTER_FAULT_TOTAL], 640);
		}
}

static void every_workload(void **state)
{
	static const char *const names[] = {"page_fault1", "page_fault2", "page_fault3", "mmap1",
					    "ebizzy",	   "pft",	  "multi_fault", "gc_heap"};

	for (u32 i = 0; arch_all[i]; i++)
		for (u32 n = 0; n < ARRAY_SIZE(names); n++)
			for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
				char size[16];
				const char *const params[] = {"size", size, "bytes", size, NULL};
				struct outcome o;

				snprintf(size, sizeof(size), "%u", 64u << arch_all[i]->page_shift);
				o = run(arch_all[i], names[n], schemes[s], 2, 150, params);
				assert_true(o.ops >= 150);
				if (strcmp(names[n], "mmap1"))
					assert_true(o.counters[COUNTER_FAULT_TOTAL] > 0);
			}
}

/* What the C library's heap does (brk by mprotect, MADV_DONTNEED) and chunks that merge. */
static void heaps(void **state)
{
	static const char *const arena[] = {"alloc", "arena", "rng", "fixed", NULL};
	static const char *const heap[] = {"alloc", "malloc", "chunk_merge", "holes", NULL};

	for (u32 i = 0; arch_all[i]; i++) {
		run(arch_all[i], "ebizzy", schemes[1], 2, 60, arena);
		run(arch_all[i], "ebizzy", schemes[1], 2, 60, heap);
		run(arch_all[i], "ebizzy", schemes[0], 1, 60, no_params);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_fault_per_page),
		cmocka_unit_test(every_workload),
		cmocka_unit_test(heaps),
	};

	return cmocka_run_group_tests_name("archs", tests, NULL, NULL);
}
