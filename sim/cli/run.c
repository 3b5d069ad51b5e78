/*
 * sim/cli/run.c - run every combination, one machine and one row each
 *
 * Signals      SIGINT, SIGTERM: the run in progress is abandoned, rows that are finished are kept,
 *              the signal is raised again. SIGABRT (a broken invariant): the combination and its
 *              seed are printed, exit 1.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/engine.h"
#include "sim/cli/run_internal.h"

#define MEMORY_MAX (4ull << 30) /* of the host's, for combinations at once */

/* ---- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught_signal;
static char abort_text[512]; /* what the SIGABRT handler says; set before each run */

static void on_signal(int sig)
{
	caught_signal = sig;
	bench_interrupt();
}

static void on_abort(int sig)
{
	ssize_t ignored = write(STDERR_FILENO, abort_text, strlen(abort_text));

	(void)ignored;
	_exit(CLI_FAILED);
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = on_abort;
	sigaction(SIGABRT, &sa, NULL);
}

void run_set_abort_text(const struct combination *c)
{
	char what[128];

	run_describe(c, what, sizeof(what));
	snprintf(abort_text, sizeof(abort_text),
		 "mmsim: that was %s; again with --seed=%" PRIu64 "\n", what, c->seed);
}

const char *run_abort_text(void)
{
	return abort_text;
}

/* ---- progress ------------------------------------------------------------------------------ */

static bool shows_progress(const struct run_options *o)
{
	return !o->quiet && isatty(STDERR_FILENO);
}

void run_progress_clear(const struct run_options *o)
{
	if (shows_progress(o)) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

/* ---- all of them --------------------------------------------------------------------------- */

struct sweep {
	const struct run_options *jobs;
	struct results *results;
	u32 total;
	bool failed;    /* a run failed: the others go on */
	bool broken;    /* rows cannot be written: nothing goes on */
	char *hot_text; /* hot lines of all rows, for the end */
	size_t hot_len;
	FILE *hot;
};

static void progress(void *arg, const struct combination *c, u32 n)
{
	const struct sweep *s = arg;

	if (!shows_progress(c->o))
		return;
	fprintf(stderr, "\r[%u/%u] %s %s, %u cpus, repeat %u\033[K", n, s->total, c->w->name,
		c->scheme->name, c->cpus, c->repeat);
	fflush(stderr);
}

static void add_hot_lines(struct sweep *s, const struct combination *c, const struct run_row *row)
{
	if (row->hot_text && s->hot)
		fprintf(s->hot, "\nhot lines of %s, %s, %u cpus, %u tasks, repeat %u\n%s",
			c->w->name, c->scheme->name, c->cpus, row->r.threads, c->repeat,
			row->hot_text);
}

static void add_lock_stat(struct sweep *s, const struct combination *c, const struct run_row *row)
{
	if (!row->locks || !s->hot)
		return;
	fprintf(s->hot, "\nlock statistics of %s, %s, %u cpus, %u tasks, repeat %u\n", c->w->name,
		c->scheme->name, c->cpus, row->r.threads, c->repeat);
	lock_stat_print(row->locks, row->r.lock_count, s->hot);
}

static bool add_row(void *arg, const struct combination *c, struct run_row *row)
{
	struct sweep *s = arg;
	struct cli_error err;

	run_progress_clear(c->o);
	if (!results_add(s->results, &row->r, &err)) {
		cli_complain("%s", err.text);
		s->broken = true;
	}
	add_hot_lines(s, c, row);
	add_lock_stat(s, c, row);
	return !s->broken;
}

static void run_failed(void *arg, const struct combination *c)
{
	((struct sweep *)arg)->failed = true;
}

/* One after the other, in this process. */
static void run_in_turn(struct sweep *s, struct run_cursor *cursor)
{
	struct combination c;

	while (!caught_signal && !s->broken && run_next(cursor, &c)) {
		struct run_row row;
		int ret;

		run_set_abort_text(&c);
		progress(s, &c, c.index + 1);
		ret = run_one(&c, &row);
		run_progress_clear(c.o);
		if (!ret)
			add_row(s, &c, &row);
		else if (ret != -EINTR)
			s->failed = true;
		run_row_free(&row);
	}
}

/* The largest of the sweep. */
static u64 memory_estimate(const struct run_options *jobs, u32 job_count)
{
	struct run_cursor cursor = {.jobs = jobs, .job_count = job_count};
	struct combination c;
	u64 most = 0;

	while (run_next(&cursor, &c))
		most = max(most, machine_model_memory(&c.o->machine, c.cpus, c.tasks));
	return most;
}

/* Where time is the host's, runs at once would disturb each other. By default they stay within
 * MEMORY_MAX; who says --jobs knows better. */
static u32 worker_count(const struct run_options *jobs, u32 job_count, u32 total)
{
	const struct run_options *o = &jobs[0];
	u32 n = o->workers;

	if (!cli_engine.simulated || o->only != RUN_ONLY_ALL)
		return 1;
	if (!n)
		n = min(run_host_cpus(), (u32)(MEMORY_MAX / memory_estimate(jobs, job_count)));
	return max(1u, min(n, total));
}

static void run_rows(struct sweep *s, u32 job_count)
{
	struct run_cursor cursor = {.jobs = s->jobs, .job_count = job_count};
	const struct run_sink sink = {add_row, run_failed, progress, s};
	u32 workers = worker_count(s->jobs, job_count, s->total);

	catch_signals();
	if (workers > 1)
		run_workers(&cursor, workers, &sink, &caught_signal);
	else
		run_in_turn(s, &cursor);
}

/* ---- before and after ---------------------------------------------------------------------- */

static void table_widths(const struct run_options *o, struct results_config *rc)
{
	for (u32 i = 0; o->schemes[i]; i++)
		rc->scheme_width = max(rc->scheme_width, (u32)strlen(o->schemes[i]->name));
	for (u32 i = 0; o->workloads[i]; i++)
		rc->workload_width = max(rc->workload_width, (u32)strlen(o->workloads[i]->name));
}

static struct results *open_results(const struct run_options *jobs, u32 job_count,
				    struct cli_error *err)
{
	struct results_config rc = {.csv = jobs[0].output,
				    .no_header = jobs[0].no_header,
				    .json = jobs[0].json,
				    .table = jobs[0].output ? NULL : stdout,
				    .workload_width = 8,
				    .scheme_width = 6,
				    .command = cli_command_line()};
	const struct machine_model **machines = calloc(job_count + 1, sizeof(*machines));
	struct results *rs = NULL;

	if (!machines) {
		cli_fail(err, "out of memory");
		return NULL;
	}
	for (u32 j = 0; j < job_count; j++) {
		table_widths(&jobs[j], &rc);
		machines[j] = &jobs[j].machine;
	}
	if (cli_engine.simulated)
		rc.machines = machines;
	rs = results_open(&rc, err);
	free(machines);
	return rs;
}

static void say_machine(const struct run_options *jobs, u32 job_count)
{
	if (cli_engine.simulated && !jobs[0].output)
		printf("simulated time on %s%s: %s\n", jobs[0].machine.name,
		       job_count > 1 ? " (the first job's machine)" : "", jobs[0].machine.summary);
}

static void say_where(const struct run_options *o, u32 rows)
{
	bool file = o->output && strcmp(o->output, "-") != 0;

	if (o->quiet || !rows)
		return;
	if (file)
		cli_complain("%u row%s in %s", rows, rows == 1 ? "" : "s", o->output);
	if (o->json)
		cli_complain("%u row%s with histograms in %s", rows, rows == 1 ? "" : "s", o->json);
}

/* After the rows; beside them when they are on stdout as CSV. */
static void print_hot_lines(struct sweep *s)
{
	bool csv = s->jobs[0].output && strcmp(s->jobs[0].output, "-") == 0;

	if (!s->hot)
		return;
	if (fclose(s->hot) == 0)
		fputs(s->hot_text, csv ? stderr : stdout);
	free(s->hot_text);
}

int run_all(const struct run_options *jobs, u32 job_count)
{
	struct sweep s = {.jobs = jobs};
	struct cli_error err;
	u32 rows;

	if (jobs[0].emit_jobs)
		return run_emit(jobs, job_count);
	s.total = run_total(jobs, job_count);
	s.results = open_results(jobs, job_count, &err);
	if (!s.results) {
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	s.hot = open_memstream(&s.hot_text, &s.hot_len);
	say_machine(jobs, job_count);
	run_rows(&s, job_count);
	rows = results_count(s.results);
	if (!results_close(s.results, &err)) {
		cli_complain("%s", err.text);
		s.broken = true;
	}
	print_hot_lines(&s);
	if (!s.broken)
		say_where(&jobs[0], rows);
	if (caught_signal) {
		fflush(stdout);
		cli_complain("interrupted: %u of %u runs are finished", rows, s.total);
		raise(caught_signal); /* SA_RESETHAND: now it ends the program */
	}
	return s.failed || s.broken ? CLI_FAILED : CLI_OK;
}
