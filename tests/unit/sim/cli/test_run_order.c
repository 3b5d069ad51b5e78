/* tests/unit/sim/cli/test_run_order.c - the combinations of a sweep, and their rows from workers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cli/run_internal.h"

static const struct cli_command command = {.name = "run", .args = "", .summary = ""};

/* As `mmsim run WORD...` would be, with run_check(). words: up to NULL. */
static void options(struct run_options *o, const char *const *words)
{
	struct cli_group groups[] = {{NULL, run_option_table, o},
				     {NULL, run_workload_table, o},
				     {NULL, run_machine_table, o}};
	struct cli_parse p = {.command = &command, .groups = groups, .group_count = 3};
	struct cli_error err = {""};
	char *argv[24] = {(char *)"run"};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	run_options_init(o);
	if (!cli_parse(&p, argc, argv, &err) || !run_check(o, 1, &err))
		fail_msg("%s", err.text);
}
#define OPTIONS(o, ...) options(o, (const char *const[]){__VA_ARGS__, NULL})

static void workload_cpus_repeat_scheme(void **state)
{
	static const char *const want[] = {
		"mmap1, mmap_lock, 1 cpus, 1 tasks 1", "mmap1, vma_refcnt, 1 cpus, 1 tasks 1",
		"mmap1, mmap_lock, 1 cpus, 1 tasks 2", "mmap1, vma_refcnt, 1 cpus, 1 tasks 2",
		"mmap1, mmap_lock, 2 cpus, 2 tasks 1", "mmap1, vma_refcnt, 2 cpus, 2 tasks 1",
		"mmap1, mmap_lock, 2 cpus, 2 tasks 2", "mmap1, vma_refcnt, 2 cpus, 2 tasks 2",
		"pft, mmap_lock, 1 cpus, 1 tasks 1",   "pft, vma_refcnt, 1 cpus, 1 tasks 1",
	};
	struct run_options o;
	struct run_cursor at = {.jobs = &o, .job_count = 1};
	struct combination c;

	OPTIONS(&o, "-w", "mmap1,pft", "-c", "1,2", "-r", "2");
	assert_int_equal(run_total(&o, 1), 16);
	for (u32 i = 0; i < 16; i++) {
		char text[128];
		size_t len;

		assert_true(run_next(&at, &c));
		assert_int_equal(c.index, i);
		run_describe(&c, text, sizeof(text));
		len = strlen(text);
		snprintf(text + len, sizeof(text) - len, " %u", (u32)c.seed);
		if (i < ARRAY_SIZE(want))
			assert_string_equal(text, want[i]);
	}
	assert_false(run_next(&at, &c));
	assert_false(run_next(&at, &c));
	run_options_free(&o);
}

static void only_one(void **state)
{
	struct run_options o;
	struct run_cursor at = {.jobs = &o, .job_count = 1};
	struct combination c;

	OPTIONS(&o, "-w", "mmap1", "-c", "1,2", "--only", "3");
	assert_true(run_next(&at, &c));
	assert_int_equal(c.index, 3);
	assert_int_equal(c.cpus, 2);
	assert_string_equal(c.scheme->name, "vma_refcnt");
	assert_false(run_next(&at, &c));
	run_options_free(&o);
}

static void jobs_follow_each_other(void **state)
{
	struct run_options o[2];
	struct run_cursor at = {.jobs = o, .job_count = 2};
	struct combination c;

	OPTIONS(&o[0], "-w", "mmap1", "-c", "1", "-s", "mmap_lock");
	OPTIONS(&o[1], "-w", "pft", "-c", "2", "-s", "vma_refcnt");
	assert_int_equal(run_total(o, 2), 2);
	assert_true(run_next(&at, &c));
	assert_ptr_equal(c.o, &o[0]);
	assert_true(run_next(&at, &c));
	assert_ptr_equal(c.o, &o[1]);
	assert_int_equal(c.index, 1);
	assert_false(run_next(&at, &c));
	run_options_free(&o[0]);
	run_options_free(&o[1]);
}

/* ---- workers ------------------------------------------------------------------------------- */

struct seen {
	u32 rows, failures, stop_after;
	volatile sig_atomic_t *caught; /* set with the first row, or NULL */
};

static bool on_row(void *arg, const struct combination *c, struct run_row *row)
{
	struct seen *s = arg;

	assert_int_equal(c->index, s->rows);
	assert_string_equal(row->r.workload, c->w->name);
	assert_string_equal(row->r.scheme, c->scheme->name);
	assert_int_equal(row->r.ops, 64);
	assert_int_equal(row->r.repeat, c->repeat);
	assert_non_null(row->latency);
	assert_ptr_equal(row->r.latency, row->latency);
	assert_int_equal(hist_count(row->latency), 64); /* sample=1 */
	s->rows++;
	if (s->caught)
		*s->caught = SIGTERM;
	return s->rows != s->stop_after;
}

static void on_failed(void *arg, const struct combination *c)
{
	((struct seen *)arg)->failures++;
}

static struct seen run_with(u32 workers, u32 stop_after, bool interrupt)
{
	static volatile sig_atomic_t caught;
	struct seen s = {.stop_after = stop_after, .caught = interrupt ? &caught : NULL};
	const struct run_sink sink = {on_row, on_failed, NULL, &s};
	struct run_options o;
	struct run_cursor at = {.jobs = &o, .job_count = 1};

	caught = 0;
	OPTIONS(&o, "-q", "-w", "mmap1", "-c", "1", "-r", "20", "-n", "64", "-p", "sample=1",
		"--warmup", "0");
	run_workers(&at, workers, &sink, &caught);
	run_options_free(&o);
	return s;
}

static void rows_come_in_order(void **state)
{
	for (u32 workers = 1; workers <= 8; workers += 7) {
		struct seen s = run_with(workers, 0, false);

		assert_int_equal(s.rows, 40);
		assert_int_equal(s.failures, 0);
	}
}

static void a_refused_row_is_the_last(void **state)
{
	assert_int_equal(run_with(4, 3, false).rows, 3);
}

/* What was finished comes; nothing is begun any more. Fewer than are under way at a time. */
static void an_interrupt_ends_it(void **state)
{
	struct seen s = run_with(1, 0, true);

	assert_in_range(s.rows, 1, 39);
	assert_int_equal(s.failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workload_cpus_repeat_scheme),
		cmocka_unit_test(only_one),
		cmocka_unit_test(jobs_follow_each_other),
		cmocka_unit_test(rows_come_in_order),
		cmocka_unit_test(a_refused_row_is_the_last),
		cmocka_unit_test(an_interrupt_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
