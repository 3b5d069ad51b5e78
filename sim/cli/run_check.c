/*
 * sim/cli/run_check.c - what can be known to be wrong with a run before it starts
 *
 * Nothing has run and nothing has been written when a check here fails.
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/mm.h>

#include "sim/cli/engine.h"
#include "sim/cli/results.h"
#include "sim/cli/run_internal.h"

#define KEYS_MAX 256

u32 run_tasks(const struct run_options *o, const struct workload *w, u32 cpus)
{
	if (!o->threads)
		return w->threads_per_cpu * cpus;
	return o->threads_per_cpu ? o->threads * cpus : o->threads;
}

static void format_value(char *text, size_t bytes, const struct param *p, u64 value)
{
	static const char suffixes[] = "KMGT";
	s32 s = -1;

	while (p->type == PARAM_BYTES && value && value % 1024 == 0 && s < 3) {
		value /= 1024;
		s++;
	}
	if (p->type == PARAM_CHOICE)
		snprintf(text, bytes, "%s", p->choices[value]);
	else if (s >= 0)
		snprintf(text, bytes, "%llu%c", (unsigned long long)value, suffixes[s]);
	else
		snprintf(text, bytes, "%llu", (unsigned long long)value);
}

static void describe_allowed(char *text, size_t bytes, const struct param *p)
{
	char lo[32], hi[32];
	size_t at = 0;

	text[0] = 0;
	switch (p->type) {
	case PARAM_BOOL:
		snprintf(text, bytes, "0 or 1");
		break;
	case PARAM_CHOICE:
		for (u32 i = 0; p->choices[i] && at < bytes; i++)
			at += (size_t)snprintf(text + at, bytes - at, "%s%s", i ? ", " : "",
					       p->choices[i]);
		break;
	default:
		format_value(lo, sizeof(lo), p, p->min);
		format_value(hi, sizeof(hi), p, p->max);
		snprintf(text, bytes, "%sfrom %s to %s",
			 !p->power_of_two ? "" : p->min ? "powers of two " : "0 and powers of two ",
			 p->min || !p->power_of_two ? lo : "1", hi);
	}
}

/* Another piece of the params column. false: it is full. */
static bool add_text(char *text, size_t bytes, const char *key, const char *value,
		     struct cli_error *err)
{
	size_t at = strlen(text);

	if (at + strlen(key) + strlen(value) + 3 > bytes)
		return cli_fail(err, "--param: all of them together are longer than %zu characters",
				bytes);
	snprintf(text + at, bytes - at, "%s%s=%s", at ? " " : "", key, value);
	return true;
}

/* Does the scheme heed the key? *which: enum mm_param. */
static bool scheme_has(const struct mm_locking *scheme, const char *key, u32 *which)
{
	for (*which = 0; *which < MM_PARAM_COUNT; (*which)++)
		if (((scheme->params | MM_PARAMS_OF_ALL) & (1u << *which)) && strcmp(mm_params[*which].key, key) == 0)
			return true;
	return false;
}

/* Is there a workload or a scheme here that has the key? Else an error that names the nearest. */
static bool check_key(const struct run_options *o, const char *key, struct cli_error *err)
{
	const char *names[KEYS_MAX], *nearest;
	u32 n = 0, slot;

	for (u32 i = 0; o->schemes[i]; i++) {
		if (scheme_has(o->schemes[i], key, &slot))
			return true;
		for (slot = 0; slot < MM_PARAM_COUNT; slot++)
			if (((o->schemes[i]->params | MM_PARAMS_OF_ALL) & (1u << slot)) && n < KEYS_MAX)
				names[n++] = mm_params[slot].key;
	}
	for (slot = 0; slot < MM_PARAM_COUNT; slot++)
		if (strcmp(mm_params[slot].key, key) == 0)
			return cli_fail(err, "--param=%s: a parameter of other schemes than %s%s (mmsim list params)",
					key, o->schemes[0]->name, o->schemes[1] ? " and the others" : "");

	for (u32 i = 0; o->workloads[i]; i++) {
		const struct param *p;

		if (bench_param_find(o->workloads[i], key, &slot))
			return true;
		for (slot = 0; (p = bench_param_at(o->workloads[i], slot)) != NULL; slot++)
			if (n < KEYS_MAX)
				names[n++] = p->key;
	}
	nearest = cli_nearest(key, names, n);
	return cli_fail(err, "--param=%s: unknown parameter of %s%s%s%s%s (mmsim list params)", key,
			o->workloads[0]->name, o->workloads[1] ? " and the others" : "",
			nearest ? "; did you mean " : "", nearest ? nearest : "",
			nearest ? "?" : "");
}

static bool set_value(const struct param *p, const char *key_value, const char *value, u64 *out,
		      struct cli_error *err)
{
	char allowed[256];

	if (bench_param_parse(p, value, out) == 0)
		return true;
	describe_allowed(allowed, sizeof(allowed), p);
	return cli_fail(err, "--param=%s: allowed: %s", key_value, allowed);
}

struct mm_config run_mm_config(const struct run_options *o)
{
	return (struct mm_config){ .era = o->era, .tree = o->tree };
}

/* The workload's or the scheme's parameter of that name, and where its value goes; NULL: neither's. */
static const struct param *find_param(const struct workload *w, const struct mm_locking *scheme,
				      const char *key, u64 *values, struct mm_config *mm, u64 **value)
{
	const struct param *p;
	u32 slot;

	if (scheme_has(scheme, key, &slot)) {
		*value = &mm->params[slot];
		return &mm_params[slot];
	}
	p = bench_param_find(w, key, &slot);
	*value = &values[slot];
	return p;
}

bool run_params(const struct run_options *o, const struct workload *w, const struct mm_locking *scheme,
		u64 *values, struct mm_config *mm, char *text, size_t text_bytes, struct cli_error *err)
{
	const struct param *p;
	u64 *to;
	u32 slot;

	*mm = run_mm_config(o);
	snprintf(text, text_bytes, "%s", o->extra_params ? o->extra_params : "");
	if (o->schedule == SCHEDULE_RANDOM &&
	    !add_text(text, text_bytes, "schedule", "random", err))
		return false;
	for (slot = 0; (p = bench_param_at(w, slot)) != NULL; slot++)
		if (bench_param_parse(p, p->def, &values[slot]) != 0)
			MMSIM_BUG("%s: the default of %s is not allowed", w->name, p->key);
	for (u32 i = 0; i < o->param_count; i++) {
		const char *eq = strchr(o->params[i], '=');
		char key[64], value[32];

		snprintf(key, sizeof(key), "%.*s", (int)(eq - o->params[i]), o->params[i]);
		if (run_param_is_machine(key)) {
			if (!add_text(text, text_bytes, key, eq + 1, err))
				return false;
			continue;
		}
		if (!check_key(o, key, err))
			return false;
		p = find_param(w, scheme, key, values, mm, &to);
		if (!p)
			continue; /* another workload's or scheme's */
		if (!set_value(p, o->params[i], eq + 1, to, err))
			return false;
		format_value(value, sizeof(value), p, *to);
		if (!add_text(text, text_bytes, key, value, err))
			return false;
	}
	return true;
}

static bool check_twice(const struct run_options *o, struct cli_error *err)
{
	for (u32 i = 0; i < o->param_count; i++)
		for (u32 j = i + 1; j < o->param_count; j++) {
			size_t len = strcspn(o->params[i], "=") + 1;

			if (strncmp(o->params[i], o->params[j], len) == 0)
				return cli_fail(err, "--param=%s: %.*s is given twice",
						o->params[j], (int)len - 1, o->params[j]);
		}
	return true;
}

/* How many tasks there will be: the workload may say so itself. b is good for its hooks. */
static u64 tasks_of(const struct run_options *o, const struct bench *b)
{
	const struct workload *w = b->workload;

	if (w->task_count) /* --threads does not apply */
		return w->task_count(b);
	return (u64)(o->threads ? o->threads : w->threads_per_cpu) *
	       (!o->threads || o->threads_per_cpu ? b->cpus : 1);
}

static bool check_tasks(const struct run_options *o, const struct bench *b, u64 tasks,
			struct cli_error *err)
{
	if (tasks > MMSIM_TASKS_MAX)
		return cli_fail(
			err,
			"--cpus=%u: %s would have %llu tasks, at most %u (MMSIM_TASKS_MAX); "
			"--threads chooses fewer",
			b->cpus, b->workload->name, (unsigned long long)tasks, MMSIM_TASKS_MAX);
	for (u32 s = 0; o->schemes[s]; s++)
		if ((o->schemes[s]->caps & LK_CAP_ONE_CPU) && tasks > 1)
			return cli_fail(err, "--scheme=%s: is for one task, and %s has %llu%s",
					o->schemes[s]->name, b->workload->name,
					(unsigned long long)tasks,
					b->workload->task_count ? "" : " (use --threads=1)");
	return true;
}

/* -p memory: less than this is no machine. */
static bool check_memory(const struct run_options *o, u64 bytes, struct cli_error *err)
{
	u64 page_bytes = arch_page_bytes(o->arch), least = MEMORY_FRAMES_MIN * page_bytes;

	return !bytes || bytes >= least ||
	       cli_fail(err, "--param=memory=%llu: allowed: 0, or from %lluK (%u pages of %lluK)",
			(unsigned long long)bytes, (unsigned long long)(least / 1024),
			MEMORY_FRAMES_MIN, (unsigned long long)(page_bytes / 1024));
}

/* Pools of huge pages: of sizes that the architecture has, and with something of the memory left. */
static bool check_pools(const struct run_options *o, const struct bench *b, struct cli_error *err)
{
	static const enum mm_param pools[] = {MM_PARAM_HUGEPAGES, MM_PARAM_HUGEPAGES_1G};
	u64 memory = bench_param(b, "memory"), bytes;
	char given[32];
	u32 slot;

	for (u32 i = 0; i < ARRAY_SIZE(pools); i++) {
		u64 count = b->cfg.mm.params[pools[i]];
		struct mm_config one = {0};

		one.params[pools[i]] = count;
		if (hugetlb_memory_bytes(o->arch, &one, 0) == ~0ull)
			return cli_fail(err, "--param=%s=%llu: %s has no huge pages of that size (allowed: 0)",
					mm_params[pools[i]].key, (unsigned long long)count, o->arch->name);
	}
	bytes = hugetlb_memory_bytes(o->arch, &b->cfg.mm, 0);
	if (!memory || bytes < memory)
		return true;
	format_value(given, sizeof(given), bench_param_find(b->workload, "memory", &slot), memory);
	return cli_fail(err, "--param=memory=%s: hugepages=%llu and hugepages_1g=%llu take %lluM of it (allowed: 0, or more)",
			given, (unsigned long long)b->cfg.mm.params[MM_PARAM_HUGEPAGES],
			(unsigned long long)b->cfg.mm.params[MM_PARAM_HUGEPAGES_1G],
			(unsigned long long)(bytes >> 20));
}

/* At one CPU count: tasks, and the workload's own check of its parameters. */
static bool check_workload(const struct run_options *o, const struct workload *w, u32 cpus,
			   const u64 *values, const struct mm_config *mm, struct cli_error *err)
{
	struct bench *b = calloc(1, sizeof(*b));
	u64 tasks;
	bool ok;

	if (!b)
		return cli_fail(err, "out of memory");
	b->workload = b->cfg.workload = w;
	b->cfg.arch = o->arch;
	b->cfg.mm = *mm;
	b->arg = b->cfg.arg = o->arg;
	b->cpus = cpus;
	memcpy(b->params, values, sizeof(b->params));
	tasks = tasks_of(o, b);
	ok = check_tasks(o, b, tasks, err) && check_memory(o, bench_param(b, "memory"), err) &&
	     check_pools(o, b, err);
	b->tasks = b->cfg.tasks = (u32)tasks;
	if (ok && w->check && w->check(b) != 0)
		ok = cli_fail(err, "--param: %s: %s", w->name, b->error);
	free(b);
	return ok;
}

bool run_check_tree(const struct run_options *o, struct cli_error *err)
{
	for (u32 s = 0; o->tree && o->schemes[s]; s++)
		if (!mm_locking_takes_tree(o->schemes[s], o->tree))
			return cli_fail(err, "--tree=%s: not with scheme %s (its own is %s)",
					o->tree->name, o->schemes[s]->name,
					mm_locking_tree(o->schemes[s])->name);
	return true;
}

static bool check_job(struct run_options *o, struct cli_error *err)
{
	u64 values[BENCH_PARAMS_MAX] = {0};
	char text[RESULT_TEXT_BYTES];
	struct mm_config mm;

	if (!o->workloads)
		return cli_fail(err, "--workload: is needed (mmsim list workloads shows them)");
	if (o->repeats - 1 > ~0ull - o->seed)
		return cli_fail(err, "--seed=%llu: at most %llu with --repeats=%u (repeat r uses seed + r)",
				(unsigned long long)o->seed, ~0ull - (o->repeats - 1), o->repeats);
	if (o->ops_set && o->duration_set)
		return cli_fail(err, "--ops=%llu: instead of --duration, not both",
				(unsigned long long)o->ops);
	if (!check_twice(o, err) || !run_check_tree(o, err) || !run_machine_resolve(o, err))
		return false;
	for (u32 i = 0; o->workloads[i]; i++) {
		const struct workload *w = o->workloads[i];

		for (u32 s = 0; o->schemes[s]; s++)
			if (!run_params(o, w, o->schemes[s], values, &mm, text, sizeof(text), err))
				return false;
		for (u32 c = 0; c < o->cpu_count; c++)
			if (!check_workload(o, w, o->cpus[c], values, &mm, err))
				return false;
	}
	return true;
}

/* A trace is of one run. */
static bool check_trace(const struct run_options *jobs, u32 job_count, u32 total,
			struct cli_error *err)
{
	const struct run_options *limited = NULL;
	const char *trace = NULL;

	for (u32 j = 0; j < job_count && !trace; j++) {
		trace = jobs[j].trace;
		limited = jobs[j].trace_events_set ? &jobs[j] : limited;
	}
	if (!trace && limited)
		return cli_fail(err, "--trace-events=%llu: is for --trace",
				(unsigned long long)limited->trace_events);
	if (!trace)
		return true;
	if (jobs[0].emit_jobs)
		return cli_fail(err, "--trace=%s: not with --emit-jobs, whose runs would share it",
				trace);
	if (total > 1 && jobs[0].only == RUN_ONLY_ALL)
		return cli_fail(err,
				"--trace=%s: is of one run, and this is a sweep of %u (choose with "
				"--workload, --scheme, --cpus and --repeats, or with --only)",
				trace, total);
	if (jobs[0].output && strcmp(jobs[0].output, trace) == 0)
		return cli_fail(err, "--trace=%s: is the same file as --output", trace);
	if (jobs[0].json && strcmp(jobs[0].json, trace) == 0)
		return cli_fail(err, "--trace=%s: is the same file as --json", trace);
	return results_check_path("trace", trace, err);
}

/* What concerns the sweep as a whole. */
static bool check_sweep(const struct run_options *jobs, u32 job_count, struct cli_error *err)
{
	const struct run_options *o = &jobs[0];
	u32 total = run_total(jobs, job_count);

	if (o->only != RUN_ONLY_ALL && o->only >= total)
		return cli_fail(err, "--only=%u: the sweep has %u combinations, 0 to %u", o->only,
				total, total - 1);
	if (o->emit_jobs && o->json)
		return cli_fail(err,
				"--json=%s: not with --emit-jobs, whose rows come from a "
				"process each",
				o->json);
	if (o->emit_jobs && o->output)
		return cli_fail(err,
				"--output=%s: not with --emit-jobs, whose commands write their rows to "
				"standard output",
				o->output);
	if (!check_trace(jobs, job_count, total, err))
		return false;
	if (o->emit_jobs && o->only != RUN_ONLY_ALL)
		return cli_fail(err, "--only=%u: not with --emit-jobs", o->only);
	if (o->no_header && !o->output && !o->emit_jobs)
		return cli_fail(err, "--no-header: is for CSV (--output)");
	return true;
}

bool run_check(struct run_options *jobs, u32 job_count, struct cli_error *err)
{
	struct results_config rc = {.csv = jobs[0].output, .json = jobs[0].json};

	for (u32 j = 0; j < job_count; j++)
		if (!check_job(&jobs[j], err))
			return false;
	return check_sweep(jobs, job_count, err) &&
	       (jobs[0].emit_jobs || results_check_paths(&rc, err));
}
