/*
 * sim/cli/run.c - run every combination, one machine and one row each
 *
 * Order        workload, CPUs, repeat, scheme: the schemes of a comparison are measured side by
 *              side in time, so that a host that slows down slows all of them.
 * Signals      SIGINT, SIGTERM: the run in progress is abandoned, rows that are finished are kept,
 *              the signal is raised again. SIGABRT (a broken invariant): the combination and its
 *              seed are printed, exit 1.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mmsim/pmu.h>

#include "sim/cli/hw.h"
#include "sim/cli/results.h"
#include "sim/cli/run_internal.h"

#define FEW_SAMPLES 1000
#define SHORT_NS 10000000ull

/* One combination. */
struct combination {
	const struct run_options *o;
	const struct workload *w;
	const struct mm_locking *scheme;
	u32 cpus, tasks, repeat;
	u64 seed;
	u32 index, total;
	u64 params[BENCH_PARAMS_MAX];
	char params_text[RESULT_TEXT_BYTES];
};

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

/* ---- progress ------------------------------------------------------------------------------ */

static void progress(const struct combination *c)
{
	if (c->o->quiet || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r[%u/%u] %s %s, %u cpus, repeat %u\033[K", c->index + 1, c->total,
		c->w->name, c->scheme->name, c->cpus, c->repeat);
	fflush(stderr);
}

static void progress_clear(const struct run_options *o)
{
	if (!o->quiet && isatty(STDERR_FILENO)) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

/* ---- one row ------------------------------------------------------------------------------- */

static u32 host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (u32)CPU_COUNT(&set) : 1;
}

static u64 wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* Tasks that have a CPU each and never wait but for the address-space lock should use it all the
 * time; if they did not, something else ran there. */
static void note_busy_host(struct result *r, const struct combination *c, const struct bench *b)
{
	u64 all_ns = r->elapsed_ns * b->tasks;
	u64 got_ns = r->user_ns + r->system_ns + r->lock_wait_ns;

	if (c->w->kind != WORKLOAD_FREE || b->tasks > c->cpus || c->cpus > host_cpus())
		return;
	if (got_ns < all_ns - all_ns / 5)
		result_note(r, "the host was busy: tasks ran %u %% of the time",
			    (u32)(got_ns * 100 / all_ns));
}

/* Why the row is not to be trusted. */
static void notes(struct result *r, const struct combination *c, const struct bench *b)
{
	u64 samples = r->latency ? hist_count(r->latency) : 0;

	if (c->cpus > host_cpus())
		result_note(r, "oversubscribed: %u cpus on %u host cpus", c->cpus, host_cpus());
	else if (b->tasks <= c->cpus && !b->pinned)
		result_note(r, "tasks are not pinned");
	note_busy_host(r, c, b);
	if (!(c->scheme->caps & LK_CAP_CORRECT))
		result_note(r, "%s does not claim to be correct", c->scheme->name);
	if (samples < FEW_SAMPLES)
		result_note(r, "percentiles from %" PRIu64 " operations only", samples);
	if (r->elapsed_ns < SHORT_NS)
		result_note(r, "measured for %" PRIu64 " us only", r->elapsed_ns / 1000);
#ifdef MMSIM_SANITIZED
	result_note(r, "built with sanitizers");
#endif
#if defined(MMSIM_DEBUG_LOCKS) || !defined(__OPTIMIZE__)
	result_note(r, "debug build");
#endif
}

static void fill_row(struct result *r, const struct combination *c, const struct bench *b,
		     const struct bench_totals *t)
{
	u64 cpu_ns = t->user_ns + t->system_ns, all_ns = t->elapsed_ns * c->cpus;

	r->workload = c->w->name;
	r->op = c->w->op;
	r->scheme = c->scheme->name;
	r->tree = "maple";
	r->arch = c->o->arch->name;
	r->engine = "native";
	r->machine = "host";
	r->kernel = "6.18";
	r->machine_kind = "";
	r->cpus = c->cpus;
	r->threads = b->tasks;
	r->repeat = c->repeat;
	r->seed = c->seed;
	r->elapsed_ns = t->elapsed_ns;
	r->ops = t->ops;
	r->faults = t->counters[COUNTER_FAULT_TOTAL];
	r->lock_wait_ns = t->counters[COUNTER_MMAP_LOCK_WAIT_NS];
	r->user_ns = t->user_ns;
	r->system_ns = t->system_ns;
	r->idle_ns = all_ns > cpu_ns ? all_ns - cpu_ns : 0;
	snprintf(r->params, sizeof(r->params), "%s", c->params_text);
	memcpy(r->counters, t->counters, sizeof(r->counters));
	r->latency = t->latency;
	r->latency_sample = b->sample;
	r->clock_read_ns = b->clock_read_ns;
	notes(r, c, b);
}

/* One line, once per process, when hardware events are missing. */
static void say_absent(const struct run_options *o, const struct pmu *p, const char *why)
{
	static bool said;
	const char *reason = p ? pmu_absent_reason(p) : why;

	if (said || !reason || o->quiet)
		return;
	said = true;
	progress_clear(o);
	cli_complain("hw_ columns are empty where the host has no such event: %s", reason);
}

/* What a combination has measured so far: one pass, or several of a workload that is run once. */
struct tally {
	struct bench_totals totals;
	s64 hw[RESULT_HW_MAX];
	u32 passes;
	char note[RESULT_TEXT_BYTES]; /* the workload's, of the last pass */
};

static void tally_add(struct tally *t, const struct bench *b, const struct pmu *pmu)
{
	struct bench_totals more;
	struct result hw;

	bench_totals(b, &more);
	hw_read(pmu, &hw);
	if (b->workload->note)
		b->workload->note(b, t->note, sizeof(t->note));
	t->passes++;
	if (t->passes == 1) {
		t->totals = more;
		memcpy(t->hw, hw.hw, sizeof(t->hw));
		return;
	}
	t->totals.elapsed_ns += more.elapsed_ns;
	t->totals.ops += more.ops;
	t->totals.user_ns += more.user_ns;
	t->totals.system_ns += more.system_ns;
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		t->totals.counters[i] += more.counters[i];
	for (u32 i = 0; i < result_hw_count(); i++)
		t->hw[i] = t->hw[i] < 0 || hw.hw[i] < 0 ? -1 : t->hw[i] + hw.hw[i];
	if (more.latency && t->totals.latency)
		hist_merge(t->totals.latency, more.latency);
	if (more.latency)
		hist_destroy(more.latency);
}

/* A workload that is run once (a replay) is passed through again until the duration, or --ops, is
 * reached: a replay of some milliseconds alone would say little. */
static bool enough(const struct combination *c, const struct tally *t)
{
	if (c->w->kind != WORKLOAD_ONCE)
		return true;
	if (c->o->ops_set)
		return t->totals.ops >= c->o->ops;
	return t->totals.elapsed_ns >= c->o->duration_ns;
}

/* One pass, on a machine of its own, into the tally (NULL: a warm-up). */
static int one_pass(const struct combination *c, const struct bench_config *cfg, struct bench *b,
		    const struct pmu *pmu, struct tally *t)
{
	int err = bench_init(b, cfg);

	if (err)
		return err;
	err = bench_run(b);
	if (!err && t)
		tally_add(t, b, pmu);
	bench_fini(b);
	return err;
}

/* Passes that are not measured: a workload that is run once has no other warm-up. */
static int warm_up(const struct combination *c, const struct bench_config *cfg, struct bench *b,
		   const struct pmu *pmu)
{
	u64 start_ns = wall_ns();
	int err = 0;

	if (c->w->kind != WORKLOAD_ONCE)
		return 0;
	while (!err && wall_ns() - start_ns < cfg->warmup_ns)
		err = one_pass(c, cfg, b, pmu, NULL);
	return err;
}

static int run_passes(const struct combination *c, struct bench *b, struct pmu *pmu,
		      struct tally *t)
{
	struct bench_config cfg = {
		.workload = c->w,
		.locking = c->scheme,
		.arch = c->o->arch,
		.cpus = c->cpus,
		.tasks = c->tasks,
		.duration_ns = c->o->duration_ns,
		.ops = c->o->ops,
		.warmup_ns = c->o->warmup_ns,
		.seed = c->seed,
		.params = c->params,
		.arg = c->o->arg,
		.on_measure = pmu ? hw_on_measure : NULL,
		.on_measure_arg = pmu,
	};
	int err = warm_up(c, &cfg, b, pmu);

	while (!err) {
		err = one_pass(c, &cfg, b, pmu, t);
		if (!err && enough(c, t))
			break;
	}
	return err;
}

/* 0 with *r filled (the caller frees latency), or -errno after a message. */
static int run_one(const struct combination *c, struct result *r, struct hist **latency)
{
	struct bench *b = aligned_alloc(MMSIM_CACHE_LINE_BYTES,
					ALIGN_UP(sizeof(*b), (size_t)MMSIM_CACHE_LINE_BYTES));
	struct tally t = {.passes = 0};
	u64 start_ns = wall_ns();
	char why[256] = "";
	struct pmu *pmu;
	int err;

	memset(r, 0, sizeof(*r));
	if (!b)
		return -ENOMEM;
	pmu = hw_open(why, sizeof(why));
	say_absent(c->o, pmu, why);
	err = run_passes(c, b, pmu, &t);
	*latency = t.totals.latency;
	if (!err) {
		if (t.note[0])
			result_note(r, "%s", t.note);
		fill_row(r, c, b, &t.totals);
		memcpy(r->hw, t.hw, sizeof(r->hw));
	}
	r->host_wall_ns = wall_ns() - start_ns;
	pmu_close(pmu);
	if (err && err != -EINTR) {
		progress_clear(c->o);
		cli_complain("%s, %s, %u cpus, %u tasks, seed %" PRIu64 ": %s", c->w->name,
			     c->scheme->name, c->cpus, b->tasks, c->seed, b->error);
	}
	free(b);
	return err;
}

/* ---- all of them --------------------------------------------------------------------------- */

struct sweep {
	struct results *results;
	u32 index, total;
	bool failed; /* a run failed: the others go on */
	bool broken; /* rows cannot be written: nothing goes on */
};

static void run_combination(struct sweep *s, struct combination *c)
{
	struct hist *latency = NULL;
	struct cli_error err;
	struct result r;
	int ret;

	c->index = s->index++;
	c->total = s->total;
	c->seed = c->o->seed + c->repeat;
	snprintf(abort_text, sizeof(abort_text),
		 "mmsim: that was %s, %s, %u cpus, %u tasks; again with --seed=%" PRIu64 "\n",
		 c->w->name, c->scheme->name, c->cpus, c->tasks, c->seed);
	progress(c);
	ret = run_one(c, &r, &latency);
	progress_clear(c->o);
	if (ret && ret != -EINTR)
		s->failed = true;
	if (!ret && !results_add(s->results, &r, &err)) {
		cli_complain("%s", err.text);
		s->broken = true;
	}
	if (latency)
		hist_destroy(latency);
}

static void run_job(struct sweep *s, const struct run_options *o)
{
	struct combination c = {.o = o};
	struct cli_error err;

	for (u32 w = 0; o->workloads[w]; w++) {
		c.w = o->workloads[w];
		if (!run_params(o, c.w, c.params, c.params_text, sizeof(c.params_text), &err))
			MMSIM_BUG("run_check() should have said: %s", err.text);
		for (u32 cpu = 0; cpu < o->cpu_count; cpu++) {
			c.cpus = o->cpus[cpu];
			c.tasks = run_tasks(o, c.w, c.cpus);
			for (c.repeat = 0; c.repeat < o->repeats; c.repeat++)
				for (u32 l = 0; o->schemes[l]; l++) {
					if (caught_signal || s->broken)
						return;
					c.scheme = o->schemes[l];
					run_combination(s, &c);
				}
		}
	}
}

static void count_job(const struct run_options *o, struct results_config *rc, u32 *total)
{
	u32 schemes = 0, workloads = 0;

	for (; o->schemes[schemes]; schemes++)
		rc->scheme_width = max(rc->scheme_width, (u32)strlen(o->schemes[schemes]->name));
	for (; o->workloads[workloads]; workloads++)
		rc->workload_width =
			max(rc->workload_width, (u32)strlen(o->workloads[workloads]->name));
	*total += schemes * workloads * o->cpu_count * o->repeats;
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

int run_all(const struct run_options *jobs, u32 job_count)
{
	struct results_config rc = {.csv = jobs[0].output,
				    .json = jobs[0].json,
				    .table = jobs[0].output ? NULL : stdout,
				    .workload_width = 8,
				    .scheme_width = 6,
				    .command = cli_command_line()};
	struct sweep s = {0};
	struct cli_error err;
	u32 rows;

	for (u32 j = 0; j < job_count; j++)
		count_job(&jobs[j], &rc, &s.total);
	s.results = results_open(&rc, &err);
	if (!s.results) {
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	catch_signals();
	for (u32 j = 0; j < job_count; j++)
		run_job(&s, &jobs[j]);
	rows = results_count(s.results);
	if (!results_close(s.results, &err)) {
		cli_complain("%s", err.text);
		s.broken = true;
	}
	if (!s.broken)
		say_where(&jobs[0], rows);
	if (caught_signal) {
		cli_complain("interrupted: %u of %u runs are finished", rows, s.total);
		raise(caught_signal); /* SA_RESETHAND: now it ends the program */
	}
	return s.failed || s.broken ? CLI_FAILED : CLI_OK;
}
