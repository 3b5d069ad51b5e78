/*
 * sim/cli/run_one.c - one combination, on a machine of its own: one row
 *
 * Where CPUs and time are the host's, a row says what of the host may have spoilt it, has hardware
 * events and the host's time. Where they are simulated, nothing of the host may get into a row:
 * the same arguments give the same bytes, with any build, anywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mmsim/pmu.h>

#include "sim/cli/engine.h"
#include "sim/cli/hw.h"
#include "sim/cli/run_internal.h"

#define FEW_SAMPLES 1000

static u64 wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* ---- why the row is not to be trusted ------------------------------------------------------ */

/* Tasks that have a CPU each and never wait but for the address-space lock should use it all the
 * time; if they did not, something else ran there. */
static void note_busy_host(struct result *r, const struct combination *c, const struct bench *b)
{
	u64 all_ns = r->elapsed_ns * b->tasks;
	u64 got_ns = r->user_ns + r->system_ns + r->lock_wait_ns;

	if (c->w->kind != WORKLOAD_FREE || b->tasks > c->cpus || c->cpus > run_host_cpus())
		return;
	if (got_ns < all_ns - all_ns / 5)
		result_note(r, "the host was busy: tasks ran %u %% of the time",
			    (u32)(got_ns * 100 / all_ns));
}

static void note_host(struct result *r, const struct combination *c, const struct bench *b)
{
	if (c->cpus > run_host_cpus())
		result_note(r, "oversubscribed: %u cpus on %u host cpus", c->cpus, run_host_cpus());
	else if (b->tasks <= c->cpus && !b->pinned)
		result_note(r, "tasks are not pinned");
	note_busy_host(r, c, b);
}

static void note_build(struct result *r)
{
#ifdef MMSIM_SANITIZED
	result_note(r, "built with sanitizers");
#endif
#if defined(MMSIM_DEBUG_LOCKS) || !defined(__OPTIMIZE__)
	result_note(r, "debug build");
#endif
}

#define NO_OPERATIONS "no operation began and ended in the window: a longer --duration"

static void notes(struct result *r, const struct combination *c, const struct bench *b)
{
	u64 samples = r->latency ? hist_count(r->latency) : 0;

	if (!cli_engine.simulated)
		note_host(r, c, b);
	if (!(c->scheme->caps & LK_CAP_CORRECT))
		result_note(r, "%s does not claim to be correct", c->scheme->name);
	if (!r->ops)
		result_note(r, NO_OPERATIONS);
	else if (samples < FEW_SAMPLES)
		result_note(r, "percentiles from %" PRIu64 " operations only", samples);
	if (r->elapsed_ns < cli_engine.short_ns)
		result_note(r, "measured for %" PRIu64 " us only", r->elapsed_ns / 1000);
	if (!cli_engine.simulated && c->o->lock_stat)
		result_note(r, "lock statistics were taken: they cost time");
	if (!cli_engine.simulated)
		note_build(r);
}

static void fill_row(struct result *r, const struct combination *c, const struct bench *b,
		     const struct bench_totals *t)
{
	static const char *const kinds[] = {
		[MACHINE_CALIBRATED] = "calibrated",
		[MACHINE_PUBLISHED] = "published",
		[MACHINE_ESTIMATED] = "estimated",
	};
	u64 cpu_ns = t->user_ns + t->system_ns, all_ns = t->elapsed_ns * c->cpus;

	r->workload = c->w->name;
	r->op = c->w->op;
	r->scheme = c->scheme->name;
	r->tree = mm_config_tree(&c->mm, c->scheme)->name;
	r->arch = c->o->arch->name;
	r->engine = cli_engine.name;
	r->machine = cli_engine.simulated ? c->o->machine.name : "host";
	r->kernel = c->o->era->version;
	r->machine_kind = cli_engine.simulated ? kinds[c->o->machine.kind] : "";
	r->cpus = c->cpus;
	r->threads = b->tasks;
	r->repeat = c->repeat;
	r->seed = c->seed;
	r->elapsed_ns = t->elapsed_ns;
	r->windows_ns = t->windows_ns;
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

/* One line, once per process, when hardware events are missing from a file that has their columns. */
static void say_absent(const struct run_options *o, const struct pmu *p, const char *why)
{
	static bool said;
	const char *reason = p ? pmu_absent_reason(p) : why;

	if (said || !reason || o->quiet || (!o->output && !o->json))
		return;
	said = true;
	run_progress_clear(o);
	cli_complain("hw_ columns are empty where the host has no such event: %s", reason);
}

/* ---- passes -------------------------------------------------------------------------------- */

/* What a combination is measured with, and what it has measured so far: one pass, or several of a
 * workload that is run once. */
struct tally {
	const struct combination *c;
	struct bench *bench;
	struct pmu *pmu;     /* NULL: none */
	struct run_row *row; /* hot lines, of the last pass */
	struct results_file trace; /* f is NULL: none */
	bool trace_cut;
	struct bench_totals totals;
	s64 hw[RESULT_HW_MAX];
	u32 passes;
	char note[RESULT_TEXT_BYTES]; /* the workload's, of the last pass */
};

static void trace_begin(struct tally *t)
{
	char title[256], what[128];

	run_describe(t->c, what, sizeof(what));
	snprintf(title, sizeof(title), "%s on %s, seed %" PRIu64, what, t->c->o->machine.name,
		 t->c->seed);
	cli_engine.timeline_start(t->bench->machine, t->trace.f, t->c->o->trace_events, title);
}

/* Also after a run that has failed before its measurement was over. */
static void watch_end(struct tally *t)
{
	if (t->c->o->lock_stat)
		lock_stat_stop();
	if (t->trace.f && !cli_engine.timeline_stop())
		t->trace_cut = true;
}

static void on_measure(void *arg, bool begin)
{
	struct tally *t = arg;

	if (t->pmu)
		hw_on_measure(t->pmu, begin);
	if (begin && t->c->o->hot_lines)
		cli_engine.hot_lines_reset(t->bench->machine);
	if (begin && t->c->o->lock_stat)
		lock_stat_start(t->bench->machine);
	if (begin && t->trace.f)
		trace_begin(t);
	if (!begin && t->c->o->hot_lines)
		cli_engine.hot_lines_stop(t->bench->machine);
	if (!begin)
		watch_end(t);
}

/* The machine is still there. */
static int keep_hot_lines(struct tally *t)
{
	u32 n = t->c->o->hot_lines;
	size_t len = 0;
	FILE *f;

	if (!n)
		return 0;
	free(t->row->hot);
	free(t->row->hot_text);
	t->row->hot_text = NULL;
	t->row->hot = calloc(n, sizeof(*t->row->hot));
	f = open_memstream(&t->row->hot_text, &len);
	if (f && !t->totals.ops)
		fputs(NO_OPERATIONS "\n", f);
	else if (f)
		cli_engine.hot_lines_print(t->bench->machine, n, f);
	if (!f || fclose(f) != 0 || !t->row->hot)
		return -ENOMEM;
	if (!t->totals.ops)
		return 0; /* shares of next to nothing */
	t->row->r.hot_count = cli_engine.hot_lines_top(t->bench->machine, t->row->hot, n);
	return 0;
}

static void keep_lock_stat(struct tally *t)
{
	struct run_row *row = t->row;

	if (!t->c->o->lock_stat)
		return;
	free(row->locks);
	row->r.lock_count = lock_stat_take(&row->locks);
}

/* The trace file appears, if the run was good. */
static int keep_trace(struct tally *t, bool good)
{
	struct cli_error err;

	if (!t->trace.f)
		return 0;
	if (!results_file_end(&t->trace, good, &err)) {
		run_progress_clear(t->c->o);
		cli_complain("--trace=%s", err.text);
		return -EIO;
	}
	if (good && t->trace_cut)
		cli_complain("--trace=%s: ends after %" PRIu64 " events, before the measurement did "
			     "(--trace-events=N allows more; a shorter --duration needs fewer)",
			     t->c->o->trace, t->c->o->trace_events);
	return 0;
}

static void tally_add(struct tally *t)
{
	const struct bench *b = t->bench;
	struct bench_totals more;
	struct result hw;

	bench_totals(b, &more);
	hw_read(t->pmu, &hw);
	if (b->workload->note)
		b->workload->note(b, t->note, sizeof(t->note));
	t->passes++;
	if (t->passes == 1) {
		t->totals = more;
		memcpy(t->hw, hw.hw, sizeof(t->hw));
		return;
	}
	t->totals.elapsed_ns += more.elapsed_ns;
	t->totals.windows_ns += more.windows_ns;
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
 * reached: a replay of some milliseconds alone would say little. Simulated, a second pass would say
 * the same as the first. */
static bool enough(const struct combination *c, const struct tally *t)
{
	if (c->w->kind != WORKLOAD_ONCE || cli_engine.simulated)
		return true;
	if (c->o->ops_set)
		return t->totals.ops >= c->o->ops;
	return t->totals.elapsed_ns >= c->o->duration_ns;
}

/* One pass, on a machine of its own; measured: into the tally. */
static int one_pass(struct tally *t, const struct bench_config *cfg, bool measured)
{
	int err = bench_init(t->bench, cfg);

	if (err)
		return err;
	err = bench_run(t->bench);
	watch_end(t);
	if (!err && measured) {
		tally_add(t);
		err = keep_hot_lines(t);
		keep_lock_stat(t);
	}
	bench_fini(t->bench);
	return err;
}

/* Passes that are not measured: a workload that is run once has no other warm-up. It is the host
 * that gets warm; a simulated machine is a new one each time. */
static int warm_up(struct tally *t, const struct bench_config *cfg)
{
	u64 start_ns = wall_ns();
	int err = 0;

	if (t->c->w->kind != WORKLOAD_ONCE || cli_engine.simulated)
		return 0;
	while (!err && wall_ns() - start_ns < cfg->warmup_ns)
		err = one_pass(t, cfg, false);
	return err;
}

static int run_passes(struct tally *t)
{
	const struct combination *c = t->c;
	struct bench_config cfg = {
		.workload = c->w,
		.locking = c->scheme,
		.mm = c->mm,
		.arch = c->o->arch,
		.cpus = c->cpus,
		.tasks = c->tasks,
		.duration_ns = c->o->duration_ns,
		.ops = c->o->ops,
		.warmup_ns = c->o->warmup_ns,
		.seed = c->seed,
		.params = c->params,
		.arg = c->o->arg,
		.model = cli_engine.simulated ? &c->o->machine : NULL,
		.schedule = c->o->schedule,
		.on_measure = on_measure,
		.on_measure_arg = t,
	};
	int err = warm_up(t, &cfg);

	while (!err) {
		err = one_pass(t, &cfg, true);
		if (!err && enough(c, t))
			break;
	}
	return err;
}

static struct pmu *open_pmu(const struct run_options *o)
{
	char why[256] = "";
	struct pmu *pmu;

	if (cli_engine.simulated)
		return NULL;
	pmu = hw_open(why, sizeof(why));
	say_absent(o, pmu, why);
	return pmu;
}

int run_one(const struct combination *c, struct run_row *row)
{
	struct bench *b = aligned_alloc(MMSIM_CACHE_LINE_BYTES,
					ALIGN_UP(sizeof(*b), (size_t)MMSIM_CACHE_LINE_BYTES));
	struct tally t = {.c = c, .bench = b, .row = row};
	u64 start_ns = wall_ns();
	struct cli_error cerr;
	char what[128];
	int err, trace_err;

	memset(row, 0, sizeof(*row));
	if (!b)
		return -ENOMEM;
	if (c->o->trace && !results_file_begin(&t.trace, c->o->trace, &cerr)) {
		cli_complain("--trace=%s", cerr.text);
		free(b);
		return -EIO;
	}
	t.pmu = open_pmu(c->o);
	err = run_passes(&t);
	trace_err = keep_trace(&t, !err);
	row->latency = t.totals.latency;
	if (!err) {
		if (t.note[0])
			result_note(&row->r, "%s", t.note);
		fill_row(&row->r, c, b, &t.totals);
		memcpy(row->r.hw, t.hw, sizeof(row->r.hw));
		row->r.hot = row->hot;
		row->r.locks = row->locks;
	}
	if (!cli_engine.simulated || c->o->host_time)
		row->r.host_wall_ns = wall_ns() - start_ns;
	pmu_close(t.pmu);
	if (err && err != -EINTR) {
		run_progress_clear(c->o);
		run_describe(c, what, sizeof(what));
		cli_complain("%s, seed %" PRIu64 ": %s", what, c->seed,
			     b->error[0] ? b->error : strerror(-err));
	}
	free(b);
	return err ? err : trace_err;
}

void run_row_free(struct run_row *row)
{
	if (row->latency)
		hist_destroy(row->latency);
	free(row->hot);
	free(row->hot_text);
	free(row->locks);
}
