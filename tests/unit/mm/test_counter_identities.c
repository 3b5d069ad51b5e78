/*
 * tests/unit/mm/test_counter_identities.c - no fault is lost or counted twice: every workload under every
 *                                           scheme, on either engine
 *
 * Method  A short run; then the sums over its measured windows and those of the whole machine.
 *   FAULT_TOTAL = FAULT_USER + FAULT_KERNEL + FAULT_POPULATE
 *               = what became of them: a page of some kind, nothing to do, an error
 *   FAULT_USER  = attempts under LK_TRY (schemes with LK_CAP_TRY)
 *               = SUCCESS + ABORT (each reason) + RETRY of the scheme's family: VMA_LOCK_* or SPF_*
 * A scheme that is new takes part by its caps, a family by its prefix.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/locking.h>
#include <mmsim/lock_stat.h>
#include <mmsim/workload.h>

#define TASKS 3

static u64 sum_of_attempts(const u64 *counters)
{
	static const char *const families[] = {"VMA_LOCK_", "SPF_"};
	static const char *const ends[] = {"SUCCESS", "ABORT", "RETRY"};
	u64 sum = 0;

	for (u32 c = 0; c < COUNTER_COUNT; c++)
		for (u32 f = 0; f < ARRAY_SIZE(families); f++) {
			const char *name = counter_info[c].name;
			size_t len = strlen(families[f]);

			if (strncmp(name, families[f], len))
				continue;
			for (u32 e = 0; e < ARRAY_SIZE(ends); e++)
				if (!strncmp(name + len, ends[e], strlen(ends[e])))
					sum += counters[c];
		}
	return sum;
}

static u64 sum_of_outcomes(const u64 *c)
{
	return c[COUNTER_FAULT_ANON] + c[COUNTER_FAULT_ZERO_PAGE] + c[COUNTER_FAULT_FILE_READ] +
	       c[COUNTER_FAULT_FILE_COW] + c[COUNTER_FAULT_FILE_SHARED] + c[COUNTER_FAULT_SPECIAL] +
	       c[COUNTER_FAULT_HUGETLB] +
	       c[COUNTER_FAULT_WP_COPY] + c[COUNTER_FAULT_WP_REUSE] + c[COUNTER_FAULT_SPURIOUS] +
	       c[COUNTER_FAULT_SIGSEGV] + c[COUNTER_FAULT_SIGBUS] + c[COUNTER_FAULT_OOM];
}

static void check(const char *what, const struct bench_config *cfg, const u64 *c)
{
	u64 attempts = sum_of_attempts(c);
	u64 wanted = cfg->locking->caps & LK_CAP_TRY ? c[COUNTER_FAULT_USER] : 0;
	u64 parts = c[COUNTER_FAULT_USER] + c[COUNTER_FAULT_KERNEL] + c[COUNTER_FAULT_POPULATE];

	if (attempts != wanted)
		fail_msg("%s, %s, %s: %llu attempts counted, %llu made", cfg->workload->name,
			 cfg->locking->name, what, (unsigned long long)attempts,
			 (unsigned long long)wanted);
	if (c[COUNTER_FAULT_TOTAL] != parts)
		fail_msg("%s, %s, %s: FAULT_TOTAL %llu, by who made them %llu", cfg->workload->name,
			 cfg->locking->name, what, (unsigned long long)c[COUNTER_FAULT_TOTAL],
			 (unsigned long long)parts);
	if (c[COUNTER_FAULT_TOTAL] != sum_of_outcomes(c))
		fail_msg("%s, %s, %s: FAULT_TOTAL %llu, by what became of them %llu",
			 cfg->workload->name, cfg->locking->name, what,
			 (unsigned long long)c[COUNTER_FAULT_TOTAL],
			 (unsigned long long)sum_of_outcomes(c));
}

/* What mm/mmap_lock.c counts and what it reports are the same. */
static void check_lock_stat(const struct bench_config *cfg, const u64 *c)
{
	u64 taken[2] = {0, 0}, waited[2] = {0, 0};
	struct lock_stat_row *rows;
	u32 count;

	if (!lock_stat_available())
		return;
	count = lock_stat_take(&rows);
	for (u32 i = 0; i < count; i++)
		if (!rows[i].site[0] && !strcmp(rows[i].class, LOCK_CLASS_MMAP)) {
			taken[rows[i].write] = rows[i].acquisitions;
			waited[rows[i].write] = rows[i].contentions;
		}
	free(rows);
	if (taken[0] != c[COUNTER_MMAP_LOCK_READ] || taken[1] != c[COUNTER_MMAP_LOCK_WRITE] ||
	    waited[0] != c[COUNTER_MMAP_LOCK_READ_CONTENDED] ||
	    waited[1] != c[COUNTER_MMAP_LOCK_WRITE_CONTENDED])
		fail_msg("%s, %s: mmap_lock R %llu (%llu contended) W %llu (%llu) in lock statistics, "
			 "counted R %llu (%llu) W %llu (%llu)",
			 cfg->workload->name, cfg->locking->name, (unsigned long long)taken[0],
			 (unsigned long long)waited[0], (unsigned long long)taken[1],
			 (unsigned long long)waited[1], (unsigned long long)c[COUNTER_MMAP_LOCK_READ],
			 (unsigned long long)c[COUNTER_MMAP_LOCK_READ_CONTENDED],
			 (unsigned long long)c[COUNTER_MMAP_LOCK_WRITE],
			 (unsigned long long)c[COUNTER_MMAP_LOCK_WRITE_CONTENDED]);
}

static void run(const struct workload *w, const struct mm_locking *scheme)
{
	static struct bench b;
	u64 params[BENCH_PARAMS_MAX] = {0}, machine[COUNTER_COUNT], before[COUNTER_COUNT];
	struct bench_config cfg = {
		.workload = w,
		.locking = scheme,
		.arch = &arch_x86_64,
		.params = params,
		.duration_ns = 300000,
		.warmup_ns = 30000,
		.seed = 1,
	};
	struct bench_totals totals;
	const struct param *p;
	u32 slot;

	cfg.cpus = cfg.tasks = scheme->caps & LK_CAP_ONE_CPU ? 1 : TASKS;
	for (slot = 0; (p = bench_param_at(w, slot)) != NULL; slot++)
		assert_int_equal(bench_param_parse(p, strcmp(p->key, "size") ? p->def : "384K",
						   &params[slot]),
				 0);
	if (bench_init(&b, &cfg) != 0)
		fail_msg("%s: %s", w->name, b.error);
	for (u32 c = 0; c < COUNTER_COUNT; c++)
		before[c] = machine_counter(b.machine, c);
	lock_stat_start(b.machine);
	if (bench_run(&b) != 0)
		fail_msg("%s: %s", w->name, b.error);
	lock_stat_stop();
	bench_totals(&b, &totals);
	for (u32 c = 0; c < COUNTER_COUNT; c++)
		machine[c] = machine_counter(b.machine, c) - before[c];
	assert_true(machine[COUNTER_FAULT_USER] > 0 || w == workload_find("mmap1"));
	check("measured", &cfg, totals.counters);
	check("whole run", &cfg, machine);
	check_lock_stat(&cfg, machine);
	hist_destroy(totals.latency);
	bench_fini(&b);
}

static void counters_add_up(void **state)
{
	for (u32 s = 0; mm_locking_all[s]; s++) {
		if (!(mm_locking_all[s]->caps & (LK_CAP_CORRECT | LK_CAP_ONE_CPU)))
			continue;
		for (u32 w = 0; workload_all[w]; w++)
			run(workload_all[w], mm_locking_all[s]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counters_add_up)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
