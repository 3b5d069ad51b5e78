/*
 * tests/unit/workloads/test_workloads.c - every workload does exactly what it says it counts
 *
 * On fresh small machines, with a fixed number of operations: faults, system calls and operations
 * must belong together, under every scheme that claims to be correct, alone and side by side.
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
	struct bench_totals totals;
	u64 samples;
	char error[BENCH_ERROR_BYTES];
	int err;
};

/* "key=value" pairs up to NULL. */
static void set_params(const struct workload *w, u64 *values, const char *const *pairs)
{
	const struct param *p;
	u32 slot;

	for (slot = 0; (p = bench_param_at(w, slot)) != NULL; slot++)
		assert_int_equal(bench_param_parse(p, p->def, &values[slot]), 0);
	for (; *pairs; pairs++) {
		const char *eq = strchr(*pairs, '=');
		char key[32];

		assert_non_null(eq);
		snprintf(key, sizeof(key), "%.*s", (int)(eq - *pairs), *pairs);
		p = bench_param_find(w, key, &slot);
		assert_non_null(p);
		assert_int_equal(bench_param_parse(p, eq + 1, &values[slot]), 0);
	}
}

static struct outcome run_config(struct bench_config *cfg, const char *const *pairs)
{
	struct outcome o = {.err = 0};
	struct bench *b = aligned_alloc(64, ALIGN_UP(sizeof(*b), (size_t)64));
	u64 values[BENCH_PARAMS_MAX] = {0};

	assert_non_null(b);
	set_params(cfg->workload, values, pairs);
	cfg->params = values;
	cfg->arch = &arch_x86_64;
	o.err = bench_init(b, cfg);
	if (!o.err) {
		o.err = bench_run(b);
		bench_totals(b, &o.totals);
		assert_non_null(o.totals.latency);
		o.samples = hist_count(o.totals.latency);
		hist_destroy(o.totals.latency);
		bench_fini(b);
	}
	snprintf(o.error, sizeof(o.error), "%s", b->error);
	free(b);
	return o;
}

static struct outcome run_ops(const char *name, const struct mm_locking *scheme, u32 tasks, u64 ops,
			      const char *const *pairs)
{
	struct bench_config cfg = {.workload = workload_find(name),
				   .locking = scheme,
				   .cpus = tasks,
				   .tasks = tasks,
				   .ops = ops,
				   .seed = 1};

	assert_non_null(cfg.workload);
	return run_config(&cfg, pairs);
}

static const struct mm_locking *const schemes[] = {&mm_locking_mmap_lock, &mm_locking_vma_refcnt};

#define EACH(scheme, tasks)                                                                        \
	for (u32 s_ = 0; s_ < ARRAY_SIZE(schemes); s_++)                                           \
		for (u32 tasks = 1, once_ = 1; tasks <= 3; tasks += 2, once_ = 1)                  \
			for (const struct mm_locking *scheme = schemes[s_]; once_; once_ = 0)

#define COUNT(o, name) ((o).totals.counters[COUNTER_##name])

static void page_faults(void **state)
{
	static const struct {
		const char *name;
		enum counter kind;
	} cases[] = {{"page_fault1", COUNTER_FAULT_ANON},
		     {"page_fault2", COUNTER_FAULT_FILE_COW},
		     {"page_fault3", COUNTER_FAULT_FILE_SHARED}};
	static const char *const params[] = {"size=256K", "sample=1", NULL};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		EACH(scheme, tasks)
		{
			struct outcome o = run_ops(cases[i].name, scheme, tasks, 1000, params);

			assert_int_equal(o.err, 0);
			assert_int_equal(o.totals.ops, 1000);
			assert_int_equal(o.samples, 1000);
			assert_int_equal(COUNT(o, FAULT_TOTAL), 1000);
			assert_int_equal(o.totals.counters[cases[i].kind], 1000);
			assert_true(COUNT(o, SYSCALL_MMAP) >= 1000 / 64 - tasks);
			assert_true(o.totals.elapsed_ns > 0);
		}
}

/* The same, each mapping where it touches no other. */
static void page_faults_apart(void **state)
{
	static const char *const params[] = {"size=64K", "vmas=own", NULL};

	EACH(scheme, tasks)
	{
		struct outcome o = run_ops("page_fault1", scheme, tasks, 1000, params);

		assert_int_equal(o.err, 0);
		assert_int_equal(o.totals.ops, 1000);
		assert_int_equal(COUNT(o, FAULT_ANON), 1000);
		assert_int_equal(COUNT(o, VMA_MERGE), 0);
	}
}

static void one_file_for_all(void **state)
{
	static const char *const params[] = {"size=256K", "file=one", "content_words=8", NULL};

	EACH(scheme, tasks)
	{
		struct outcome o = run_ops("page_fault3", scheme, tasks, 500, params);

		assert_int_equal(o.err, 0);
		assert_int_equal(o.totals.ops, 500);
	}
}

static void mmap1_never_faults(void **state)
{
	static const char *const params[] = {NULL};

	EACH(scheme, tasks)
	{
		struct outcome o = run_ops("mmap1", scheme, tasks, 300, params);

		assert_int_equal(o.err, 0);
		assert_int_equal(o.totals.ops, 300);
		assert_int_equal(COUNT(o, FAULT_TOTAL), 0);
		assert_int_equal(COUNT(o, SYSCALL_MMAP), 300);
		assert_int_equal(COUNT(o, SYSCALL_MUNMAP), 300);
	}
}

/* As ebizzy -mTRp: mmap of one page, one write fault, munmap. */
static void ebizzy_as_published(void **state)
{
	static const char *const params[] = {NULL};

	EACH(scheme, tasks)
	{
		struct outcome o = run_ops("ebizzy", scheme, tasks, 300, params);

		assert_int_equal(o.err, 0);
		assert_int_equal(o.totals.ops, 300);
		assert_int_equal(COUNT(o, FAULT_TOTAL), 300);
		assert_int_equal(COUNT(o, SYSCALL_MMAP), 300);
		assert_int_equal(COUNT(o, SYSCALL_MUNMAP), 300);
	}
}

static void ebizzy_variants(void **state)
{
	static const char *const variants[][6] = {
		{"rng=fixed", "touch=0", "chunk_size=64K", NULL},
		{"rng=fixed", "alloc=arena", "chunk_size=256K", NULL},
		{"random_size=0", "alloc=malloc", "chunk_merge=holes", NULL},
		{"processes=1", "rng=fixed", "chunk_merge=allow", "chunks=3", NULL},
	};

	for (u32 v = 0; v < ARRAY_SIZE(variants); v++)
		EACH(scheme, tasks)
		{
			struct outcome o = run_ops("ebizzy", scheme, tasks, 60, variants[v]);

			assert_string_equal(o.error, "");
			assert_int_equal(o.err, 0);
			assert_int_equal(o.totals.ops, 60);
		}
}

/* random_size=0: a whole chunk of 128 pages; an arena that trims faults all of it each time, a heap
 * that does not only the first two times (a mapping, then the arena). */
static void ebizzy_heaps(void **state)
{
	static const char *const arena[] = {"random_size=0", "alloc=arena", NULL};
	static const char *const heap[] = {"random_size=0", "alloc=malloc", NULL};
	struct outcome o = run_ops("ebizzy", &mm_locking_mmap_lock, 1, 10, arena);

	assert_int_equal(COUNT(o, FAULT_TOTAL), 10 * 128);
	assert_int_equal(COUNT(o, SYSCALL_MADVISE), 10);
	assert_int_equal(COUNT(o, SYSCALL_MPROTECT), 1);
	o = run_ops("ebizzy", &mm_locking_mmap_lock, 1, 10, heap);
	assert_int_equal(COUNT(o, FAULT_TOTAL), 2 * 128);
	assert_int_equal(COUNT(o, SYSCALL_MUNMAP), 1);
}

static void pft_counts_pages(void **state)
{
	static const char *const variants[][4] = {
		{"size=1M", NULL},
		{"size=1M", "zero=1", NULL},
		{"size=1M", "processes=1", NULL},
	};

	for (u32 v = 0; v < ARRAY_SIZE(variants); v++)
		EACH(scheme, tasks)
		{
			struct outcome o = run_ops("pft", scheme, tasks, 700, variants[v]);

			assert_int_equal(o.err, 0);
			assert_int_equal(o.totals.ops, 768); /* whole rounds of 256 pages */
			assert_int_equal(COUNT(o, FAULT_TOTAL), 768);
			/* Mapping and unmapping are outside of what is measured. */
			assert_int_equal(COUNT(o, SYSCALL_MMAP), 0);
			assert_true(o.totals.elapsed_ns > 0);
		}
}

static void multi_fault_counts_pages(void **state)
{
	static const char *const variants[][6] = {
		{"slot=256K", "part=128K", NULL},
		{"slot=256K", "part=128K", "drop=own", NULL},
		{"slot=256K", "part=128K", "vmas=own", NULL},
		{"slot=256K", "part=256K", "processes=1", NULL},
	};

	for (u32 v = 0; v < ARRAY_SIZE(variants); v++)
		EACH(scheme, tasks)
		{
			struct outcome o = run_ops("multi_fault", scheme, tasks, 500, variants[v]);
			u64 per_round = tasks * (v == 3 ? 64 : 32);

			assert_int_equal(o.err, 0);
			assert_int_equal(o.totals.ops,
					 (500 + per_round - 1) / per_round * per_round);
			assert_int_equal(COUNT(o, FAULT_TOTAL), o.totals.ops);
			/* The last round's drop is inside, too. */
			assert_int_equal(COUNT(o, SYSCALL_MADVISE),
					 o.totals.ops / per_round * tasks);
		}
}

/* Goal:   what is to be a VMA per task, or per region, is one: nothing merges. */
static void vmas_of_their_own(void **state)
{
	static const struct {
		const char *name;
		const char *const params[2];
		int vmas;
	} variants[] = {
		{"multi_fault", {"vmas=one", NULL}, 1},
		{"multi_fault", {"vmas=own", NULL}, 4},
		{"gc_heap", {"guard=0", NULL}, 1},
		{"gc_heap", {NULL}, 4 * 8},
	};

	for (u32 i = 0; i < ARRAY_SIZE(variants); i++) {
		struct bench_config cfg = {.workload = workload_find(variants[i].name),
					   .locking = &mm_locking_mmap_lock,
					   .arch = &arch_x86_64,
					   .cpus = 4,
					   .tasks = 4,
					   .ops = 1};
		struct bench *b = aligned_alloc(64, ALIGN_UP(sizeof(*b), (size_t)64));
		u64 values[BENCH_PARAMS_MAX] = {0};

		assert_non_null(b);
		set_params(cfg.workload, values, variants[i].params);
		cfg.params = values;
		assert_int_equal(bench_init(b, &cfg), 0);
		assert_int_equal(b->mm->map_count, variants[i].vmas);
		bench_fini(b);
		free(b);
	}
}

/* Regions that are VMAs of their own are neither split nor merged; those that adjoin are. */
static void gc_heap_counts_collections(void **state)
{
	static const struct {
		const char *const params[7];
		u32 mprotects, faults; /* per collection; 0: not fixed */
		bool splits;
	} variants[] = {
		{{"regions=3", "region=64K", "used=32K", "garbage=16K", NULL}, 6, 15, false},
		{{"regions=3", "region=64K", "used=32K", "garbage=0", NULL}, 6, 3, false},
		{{"regions=3", "region=64K", "used=32K", "garbage=16K", "guard=0", NULL}, 6, 15, true},
		{{"regions=3", "region=64K", "used=32K", "garbage=16K", "barrier=page", NULL}, 27, 36, true},
		{{"regions=3", "region=64K", "used=32K", "garbage=16K", "processes=1", NULL}, 6, 15, false},
		{{"regions=3", "region=64K", "used=32K", "garbage=16K", "heap=shared", NULL}, 0, 0, false},
	};

	for (u32 v = 0; v < ARRAY_SIZE(variants); v++)
		EACH(scheme, tasks)
		{
			struct outcome o = run_ops("gc_heap", scheme, tasks, 60, variants[v].params);

			assert_int_equal(o.err, 0);
			assert_int_equal(o.totals.ops, 60);
			assert_int_equal(o.samples, 60);
			if (v != 1)
				assert_int_equal(COUNT(o, SYSCALL_MADVISE), 60 * 3);
			assert_int_equal(COUNT(o, VMA_SPLIT) > 0, variants[v].splits);
			if (!variants[v].mprotects) {
				assert_true(COUNT(o, FAULT_SIGSEGV) > 0);
				continue;
			}
			assert_int_equal(COUNT(o, SYSCALL_MPROTECT), 60 * variants[v].mprotects);
			assert_int_equal(COUNT(o, FAULT_TOTAL), 60 * variants[v].faults);
			assert_int_equal(COUNT(o, FAULT_SIGSEGV), 60 * (variants[v].mprotects - 3));
		}
}

/* Goal:   a measured time is kept, and every task has a whole window. */
static void durations(void **state)
{
	static const char *const params[] = {"size=256K", NULL};
	static const char *const names[] = {"page_fault1", "multi_fault", "pft"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		static const char *const none[] = {NULL};
		struct bench_config cfg = {.workload = workload_find(names[i]),
					   .locking = &mm_locking_vma_refcnt,
					   .cpus = 2,
					   .tasks = 2,
					   .duration_ns = 20000000,
					   .warmup_ns = 5000000,
					   .seed = 3};
		struct outcome o = run_config(&cfg, i == 0 ? params : none);

		assert_int_equal(o.err, 0);
		assert_true(o.totals.elapsed_ns >= 20000000);
		assert_int_equal(COUNT(o, FAULT_TOTAL), o.totals.ops);
		assert_true(o.totals.user_ns + o.totals.system_ns > 0);
	}
}

static void fewer_operations_than_tasks(void **state)
{
	static const char *const params[] = {"size=256K", NULL};
	struct outcome o = run_ops("page_fault1", &mm_locking_mmap_lock, 4, 2, params);

	assert_int_equal(o.err, 0);
	assert_int_equal(o.totals.ops, 2);
	assert_int_equal(COUNT(o, FAULT_TOTAL), 2);
}

/* Goal: a run that cannot go on ends with a reason, and leaves nothing behind. */
static void out_of_memory_is_a_reason(void **state)
{
	static const char *const params[] = {"size=128M", "memory=32M", NULL};

	EACH(scheme, tasks)
	{
		struct outcome o = run_ops("page_fault1", scheme, tasks, 100000, params);

		assert_int_not_equal(o.err, 0);
		assert_non_null(strstr(o.error, "out of simulated memory"));
	}
}

/* ENOMEM of a call says which limit it was. */
static void limit_is_named(void **state)
{
	static const char *const params[] = {"regions=4096", "region=4K", "used=4K", "garbage=4K", "guard=4K", NULL};
	struct outcome o = run_ops("gc_heap", &mm_locking_mmap_lock, 16, 16, params);

	assert_true(o.err < 0);
	assert_non_null(strstr(o.error, "Cannot allocate memory: the limit of 65530 mappings (max_map_count)"));
}

static void lock_null_is_for_one(void **state)
{
	static const char *const params[] = {"size=256K", NULL};
	struct outcome o = run_ops("page_fault1", &mm_locking_lock_null, 2, 100, params);

	assert_int_not_equal(o.err, 0);
	assert_non_null(strstr(o.error, "is for one task"));
	o = run_ops("page_fault1", &mm_locking_lock_null, 1, 100, params);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.totals.ops, 100);
}

static void interrupted_runs_end(void **state)
{
	static const char *const params[] = {NULL};
	static const char *const names[] = {"page_fault1", "multi_fault"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		struct bench_config cfg = {.workload = workload_find(names[i]),
					   .locking = &mm_locking_mmap_lock,
					   .cpus = 1,
					   .tasks = 2,
					   .duration_ns = 3600000000000ull,
					   .seed = 1};
		struct outcome o;

		bench_interrupt();
		o = run_config(&cfg, params);
		bench_interrupt_clear();
		assert_int_equal(o.err, -EINTR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_faults),
		cmocka_unit_test(page_faults_apart),
		cmocka_unit_test(one_file_for_all),
		cmocka_unit_test(mmap1_never_faults),
		cmocka_unit_test(limit_is_named),
		cmocka_unit_test(ebizzy_as_published),
		cmocka_unit_test(ebizzy_variants),
		cmocka_unit_test(ebizzy_heaps),
		cmocka_unit_test(pft_counts_pages),
		cmocka_unit_test(multi_fault_counts_pages),
		cmocka_unit_test(vmas_of_their_own),
		cmocka_unit_test(gc_heap_counts_collections),
		cmocka_unit_test(durations),
		cmocka_unit_test(fewer_operations_than_tasks),
		cmocka_unit_test(out_of_memory_is_a_reason),
		cmocka_unit_test(lock_null_is_for_one),
		cmocka_unit_test(interrupted_runs_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
