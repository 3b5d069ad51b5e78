/*
 * sim/cli/cmd_replay.c - mmsim replay: a recorded program as the workload
 *
 * --order trace replays event by event and compares (workloads/replay_check.c); --order program
 * is a run like any other (workloads/replay_program.c, sim/cli/run.c).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cli.h"
#include "sim/cli/engine.h"
#include "sim/cli/run.h"
#include "workloads/replay.h"
#include "workloads/replay_program.h"

#define RECORDED_PAGE_BYTES 4096u /* x86: the only kind of recording that is understood */

enum order { ORDER_DEFAULT, ORDER_TRACE, ORDER_PROGRAM };

struct replay_options {
	s32 pid; /* 0: all */
	u32 order;
	double think;
	const char *think_text;
	bool check, maps;
	const char *maps_text;
	u64 maps_ns;
};

/* ---- options -----------------------------------------------------------------------------------
 */

static bool set_pid(void *target, const struct cli_option *o, const char *value,
		    struct cli_error *err)
{
	u32 pid;

	if (!cli_u32(o, value, 1, INT32_MAX, &pid, err))
		return false;
	((struct replay_options *)target)->pid = (s32)pid;
	return true;
}

static bool set_order(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	static const char *const names[] = {"trace", "program"};
	u32 index;

	if (!cli_name(o, value, "order", names, ARRAY_SIZE(names), &index, err))
		return false;
	((struct replay_options *)target)->order = index ? ORDER_PROGRAM : ORDER_TRACE;
	return true;
}

static bool set_think(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	struct replay_options *r = target;
	char *end;

	r->think_text = value;
	if (strcmp(value, "none") == 0) {
		r->think = 0;
		return true;
	}
	if (strcmp(value, "recorded") == 0) {
		r->think = 1;
		return true;
	}
	if (value[0] == 'x' && ((value[1] >= '0' && value[1] <= '9') || value[1] == '.')) {
		r->think = strtod(value + 1, &end);
		if (!*end && r->think >= 0 && r->think <= 1000)
			return true;
	}
	return cli_fail(err,
			"--%s=%s: none, recorded, or a multiple of it from x0 to x1000 is allowed",
			o->name, value);
}

static bool set_check(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	((struct replay_options *)target)->check = true;
	return true;
}

/* "809.349180998": digits beyond the ninth are not kept. */
static bool set_maps_at(void *target, const struct cli_option *o, const char *value,
			struct cli_error *err)
{
	struct replay_options *r = target;
	u64 seconds = 0, fraction = 0, unit = 100000000;
	const char *p = value;

	r->maps = true;
	r->maps_text = value;
	for (; *p >= '0' && *p <= '9' && seconds < 1000000000ull; p++)
		seconds = seconds * 10 + (u64)(*p - '0');
	if (p > value && *p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			fraction += (u64)(*p - '0') * unit;
	if (p == value || *p)
		return cli_fail(err, "--%s=%s: a time of the recording, in seconds, is needed",
				o->name, value);
	r->maps_ns = seconds * 1000000000ull + fraction;
	return true;
}

static const struct cli_option replay_table[] = {
	{"pid", 0, "PID", "only this process (and what it was copied from)", set_pid, true},
	{"order", 0, "ORDER", "trace: one by one; program: each task's own order (program)",
	 set_order, true},
	{"think", 0, "TIME", "between events: none, recorded, or xF times that (none)", set_think,
	 true},
	{"check", 0, NULL, "compare with what the recorded kernel did; exit 1 if it differs",
	 set_check, true},
	{"maps-at", 0, "SECONDS", "print the mappings of --pid at this time of the recording",
	 set_maps_at, true},
	{NULL, 0, NULL, NULL, NULL, false},
};

static const struct cli_option *const tables[] = {replay_table, run_option_table, run_machine_table,
						  NULL};

/* A page is the unit of nearly every call of a recording. */
static bool check_page_size(const struct run_options *o, struct cli_error *err)
{
	u64 page_bytes = arch_page_bytes(o->arch);

	return page_bytes == RECORDED_PAGE_BYTES ||
	       cli_fail(err,
			"--%s=%s: recordings are of %u KiB pages, and these are of %llu KiB%s",
			o->arch_given ? "arch" : "machine",
			o->arch_given ? o->arch->name : o->machine_file.name,
			RECORDED_PAGE_BYTES / 1024, (unsigned long long)(page_bytes / 1024),
			o->arch_given ? "" : " (--arch chooses another)");
}

/* What goes with --check, --maps-at and --order=trace, which run no benchmark. */
static const char *const one_by_one_options[] = {"check", "pid",    "maps-at", "order", "think",
						 "scheme", "tree",  "kernel",  "engine", "arch",
						 "seed",   "quiet", NULL};

static bool fail_outside(const struct cli_parse *p, const char *what, struct cli_error *err)
{
	char allowed[256] = "";

	for (const char *const *name = one_by_one_options; *name; name++)
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s--%s",
			 *allowed ? ", " : "", *name);
	return cli_fail(err, "--%s%s%.64s: %s goes event by event and measures nothing (allowed: %s)",
			p->outside->name, p->outside_value ? "=" : "",
			p->outside_value ? p->outside_value : "", what, allowed);
}

static bool check_options(const struct replay_options *r, const struct run_options *o,
			  const struct cli_parse *p, struct cli_error *err)
{
	const char *what = r->maps ? "--maps-at" : r->check ? "--check" : "--order=trace";
	bool one_by_one = r->maps || r->check || r->order == ORDER_TRACE;

	if (r->maps && !r->pid)
		return cli_fail(err, "--maps-at=%s: needs --pid", r->maps_text);
	if (r->order == ORDER_PROGRAM && one_by_one)
		return cli_fail(err, "--order=program: %s replays in the order of the trace", what);
	if (one_by_one && p->outside)
		return fail_outside(p, what, err);
	if (one_by_one && r->think > 0)
		return cli_fail(err, "--think=%s: %s takes no time", r->think_text, what);
	if (o->threads)
		return cli_fail(err, "--threads=%u%s: a replay has the tasks of its recording",
				o->threads, o->threads_per_cpu ? "x" : "");
	return check_page_size(o, err) && run_check_tree(o, err);
}

/* ---- what is known of the trace before it runs --------------------------------------------------
 */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool check_pid(const struct plan *p, const struct replay_options *r, const char *path,
		      struct cli_error *err)
{
	char known[160] = "";
	size_t at = 0;

	if (!r->pid || plan_find_pid(p, r->pid) != PLAN_NONE)
		return true;
	for (u32 i = 0; i < p->proc_count && at < sizeof(known) - 16; i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%d", i ? ", " : "",
				       p->procs[i].pid);
	return cli_fail(err, "--pid=%d: no such process in %s (it has %s%s)", r->pid, path, known,
			at >= sizeof(known) - 16 ? ", ..." : "");
}

/* What the user should know about the recording: on stderr, a line each. */
static void complain_about(const struct trace *t, const struct plan *p, const char *path,
			   bool quiet)
{
	u64 unknown = 0;

	if (t->lost)
		cli_complain("%s: perf lost %" PRIu64 " records: differences may come from that",
			     path, t->lost);
	if (t->backwards)
		cli_complain("%s:%" PRIu64 ": the time goes backwards (%" PRIu64 " lines): it is "
			     "not in the order in which things happened",
			     path, t->backwards_line, t->backwards);
	for (u32 i = 0; i < p->proc_count; i++)
		if (p->procs[i].was_running)
			cli_complain(
				"%s: pid %d began before the recording: its first mappings are not "
				"known",
				path, p->procs[i].pid);
	for (u32 i = 0; i < t->unknown_count; i++)
		unknown += t->unknown[i].count;
	if (unknown && !quiet)
		cli_complain("%s: %" PRIu64 " events of %u kinds are not used (%s%s)", path,
			     unknown, t->unknown_count, trace_name(t, t->unknown[0].name),
			     t->unknown_count > 1 ? ", ..." : "");
}

/* ---- the two orders
 * ------------------------------------------------------------------------------- */

static int check_one(const struct replay_options *r, const struct run_options *o,
		     const struct plan *p, const struct mm_locking *scheme, const char *path)
{
	struct replay_check_config cfg = {.plan = p,
					  .arch = o->arch,
					  .locking = scheme,
					  .mm = run_mm_config(o),
					  .seed = o->seed,
					  .stop_ns = r->maps ? r->maps_ns : ~0ull,
					  .maps_pid = r->maps ? r->pid : 0,
					  .maps = stdout};
	struct replay_report report;
	const struct replay_stats *s;
	bool differ;
	int err = replay_check(&cfg, &report);

	if (err == -ESRCH) {
		cli_complain("--maps-at=%s: pid %d of %s has no mappings at that time",
			     r->maps_text, r->pid, path);
		return CLI_USAGE;
	}
	if (err) {
		cli_complain("%s: %s", path, strerror(-err));
		return CLI_FAILED;
	}
	s = r->pid ? &report.procs[plan_find_pid(p, r->pid)] : &report.total;
	differ = replay_stats_differ(s);
	if (!r->maps)
		replay_report_print(&report, p, r->pid, stdout);
	replay_report_free(&report);
	return differ && !r->maps ? CLI_FAILED : CLI_OK;
}

static int check_all(const struct replay_options *r, const struct run_options *o,
		     const struct plan *p, const char *path, bool scheme_given)
{
	int status = CLI_OK;

	/* What the calls do is the same under every scheme; one is enough unless asked for. */
	for (u32 i = 0; o->schemes[i] && (i == 0 || (scheme_given && !r->maps)); i++) {
		int one;

		if (scheme_given && !r->maps && o->schemes[1])
			printf("%sscheme %s\n", i ? "\n" : "", o->schemes[i]->name);
		one = check_one(r, o, p, o->schemes[i], path);
		status = max(status, one);
	}
	return status;
}

static int run_program(const struct replay_options *r, struct run_options *o, const struct plan *p,
		       const char *path)
{
	struct replay_job job = {.think = r->think};
	struct replay_program *program;
	char text[256];
	struct cli_error err;
	int status, ret;

	ret = replay_program_create(p, r->pid, MMSIM_TASKS_MAX, &program);
	if (ret) {
		cli_complain("%s: %s", path,
			     ret == -ESRCH ? "nothing in it to replay" : strerror(-ret));
		return ret == -ESRCH ? CLI_USAGE : CLI_FAILED;
	}
	job.program = program;
	snprintf(text, sizeof(text), "trace=%s think=%s", base_name(path),
		 r->think_text ? r->think_text : "none");
	o->arg = &job;
	o->extra_params = text;
	if (run_set_workload(o, &workload_replay, &err) && run_check(o, 1, &err))
		status = run_all(o, 1);
	else
		status = cli_usage(&err);
	replay_program_free(program);
	return status;
}

static int replay_trace(const struct replay_options *r, struct run_options *o, const char *path,
			bool scheme_given)
{
	struct trace_error terr;
	struct cli_error err;
	struct trace *t;
	struct plan *p;
	int status, ret;

	ret = trace_load(path, &t, &terr);
	if (ret) {
		cli_complain("%s", terr.text);
		return ret == -ENOMEM ? CLI_FAILED : CLI_USAGE;
	}
	ret = plan_create(t, &p, &terr);
	if (ret) {
		cli_complain("%s: %s", path, terr.text);
		trace_free(t);
		return CLI_FAILED;
	}
	if (!p->action_count) {
		cli_fail(&err, "%s: nothing in it to replay", path);
		status = cli_usage(&err);
	} else if (!check_pid(p, r, path, &err)) {
		status = cli_usage(&err);
	} else {
		complain_about(t, p, path, o->quiet);
		if (r->maps || r->check || r->order == ORDER_TRACE)
			status = check_all(r, o, p, path, scheme_given);
		else
			status = run_program(r, o, p, path);
	}
	plan_free(p);
	trace_free(t);
	return status;
}

static int replay(int argc, char **argv)
{
	struct replay_options r = {0};
	struct run_options o;
	struct cli_group groups[] = {{NULL, replay_table, &r},
				     {NULL, run_option_table, &o},
				     {NULL, run_machine_table, &o}};
	const char *path[1];
	struct cli_parse parse = {.command = &cli_cmd_replay,
				  .groups = groups,
				  .group_count = ARRAY_SIZE(groups),
				  .args = path,
				  .args_max = 1,
				  .only = one_by_one_options};
	const struct mm_locking **default_schemes;
	bool scheme_given, ok;
	struct cli_error err;
	int status;

	run_options_init(&o);
	default_schemes = o.schemes;
	o.schemes = NULL; /* to see whether any were named */
	ok = cli_parse(&parse, argc, argv, &err);
	scheme_given = o.schemes != NULL;
	if (scheme_given)
		free(default_schemes);
	else
		o.schemes = default_schemes;
	if (!ok) {
		status = cli_usage(&err);
	} else if (parse.help) {
		status = CLI_OK;
	} else if (!parse.arg_count) {
		cli_fail(&err, "replay: a recording is needed: the text of perf script, plain or "
			       "compressed, or - (mmsim record makes one)");
		status = cli_usage(&err);
	} else if (!check_options(&r, &o, &parse, &err)) {
		status = cli_usage(&err);
	} else if (!cli_engine_become(o.engine, o.lock_stat)) {
		status = CLI_FAILED;
	} else {
		status = replay_trace(&r, &o, path[0], scheme_given);
	}
	run_options_free(&o);
	return status;
}

const struct cli_command cli_cmd_replay = {
	.name = "replay",
	.args = "TRACE [OPTIONS]",
	.summary = "a recorded program as the workload; checks itself against the real kernel",
	.details = "TRACE is the text of perf script, plain or compressed (.gz .xz .zst), or - for "
		   "standard\n"
		   "input; mmsim record makes one. With --check the replay goes event by event and "
		   "compares\n"
		   "every result, mapping and fault with what the recorded kernel did.",
	.run = replay,
	.tables = tables,
	.without = "threads",
};
