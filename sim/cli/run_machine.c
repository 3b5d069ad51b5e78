/*
 * sim/cli/run_machine.c - the machine that a run simulates, and how the runs of a sweep are spread
 *
 * The options are known to every engine's program, so that --help and job files are the same; one
 * that the engine cannot honour is refused by run_machine_resolve(), by name.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/engine.h"
#include "sim/cli/run_internal.h"

#define DEFAULT_MACHINE "laptop8"
#define MACHINE_CPUS_MAX 1024
#define MACHINE_PARAM "machine."
#define HOT_LINES_MAX 10000 /* the help says these */
#define TRACE_EVENTS_MAX 1000000000ull
#define WORKERS_MAX 4096

u32 run_host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (u32)CPU_COUNT(&set) : 1;
}

void run_machine_init(struct run_options *o)
{
	struct machine_model_error err;

	if (machine_model_load(&o->machine_file, DEFAULT_MACHINE, &err) != 0)
		MMSIM_BUG("%s", err.text);
}

/* ---- options ------------------------------------------------------------------------------- */

static void note_simulated(struct run_options *ro, const struct cli_option *o, const char *value)
{
	if (!ro->simulated_only[0])
		snprintf(ro->simulated_only, sizeof(ro->simulated_only), "--%s%s%.64s", o->name,
			 value ? "=" : "", value ? value : "");
}

/* A file without a name is called as the file is. */
static void name_machine(struct machine_model *model, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = strlen(base);

	if (model->name[0])
		return;
	if (len > 4 && strcmp(base + len - 4, ".ini") == 0)
		len -= 4;
	snprintf(model->name, sizeof(model->name), "%.*s", (int)min(len, sizeof(model->name) - 1),
		 base);
}

/* The machine says what its CPUs are, unless --arch does, before or after. */
static bool take_arch(struct run_options *ro, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	const struct arch_desc *arch = arch_find(ro->machine_file.arch);

	if (!arch)
		return cli_fail(err, "--%s=%s: [machine] arch=%s: unknown (mmsim list archs)", o->name,
				value, ro->machine_file.arch);
	if (!ro->arch_given)
		ro->arch = arch;
	return true;
}

static bool set_machine(void *target, const struct cli_option *o, const char *value,
			struct cli_error *err)
{
	struct run_options *ro = target;
	struct machine_model_error merr;

	note_simulated(ro, o, value);
	if (!*value)
		return cli_fail(err,
				"--%s=: a machine's name or file is needed (mmsim list machines)",
				o->name);
	if (machine_model_load(&ro->machine_file, value, &merr) != 0)
		return cli_fail(err, "--%s=%s", o->name, merr.text);
	name_machine(&ro->machine_file, value);
	return take_arch(ro, o, value, err);
}

static bool set_schedule(void *target, const struct cli_option *o, const char *value,
			 struct cli_error *err)
{
	static const char *const names[] = {
		[SCHEDULE_TIME] = "time",
		[SCHEDULE_RANDOM] = "random",
	};
	struct run_options *ro = target;
	u32 index;

	note_simulated(ro, o, value);
	if (!cli_name(o, value, "schedule", names, ARRAY_SIZE(names), &index, err))
		return false;
	ro->schedule = (enum schedule)index;
	return true;
}

static bool set_hot_lines(void *target, const struct cli_option *o, const char *value,
			  struct cli_error *err)
{
	struct run_options *ro = target;

	note_simulated(ro, o, value);
	return cli_u32(o, value, 1, HOT_LINES_MAX, &ro->hot_lines, err);
}

static bool set_trace(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	note_simulated(target, o, value);
	((struct run_options *)target)->trace = value;
	return (*value && strcmp(value, "-") != 0) || cli_fail(err, "--%s=%s: a file name is needed", o->name, value);
}

static bool set_trace_events(void *target, const struct cli_option *o, const char *value,
			     struct cli_error *err)
{
	struct run_options *ro = target;

	note_simulated(ro, o, value);
	ro->trace_events_set = true;
	return cli_u64(o, value, 1, TRACE_EVENTS_MAX, &ro->trace_events, err);
}

static bool set_host_time(void *target, const struct cli_option *o, const char *value,
			  struct cli_error *err)
{
	note_simulated(target, o, value);
	((struct run_options *)target)->host_time = true;
	return true;
}

static bool set_jobs(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	struct run_options *ro = target;

	note_simulated(ro, o, value);
	return cli_u32(o, value, 1, WORKERS_MAX, &ro->workers, err);
}

static bool set_emit_jobs(void *target, const struct cli_option *o, const char *value,
			  struct cli_error *err)
{
	((struct run_options *)target)->emit_jobs = true;
	return true;
}

static bool set_only(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	return cli_u32(o, value, 0, RUN_ONLY_ALL - 1, &((struct run_options *)target)->only, err);
}

static bool set_no_header(void *target, const struct cli_option *o, const char *value,
			  struct cli_error *err)
{
	((struct run_options *)target)->no_header = true;
	return true;
}

const struct cli_option run_machine_table[] = {
	{"machine", 'm', "NAME|FILE",
	 "virtual: the machine (" DEFAULT_MACHINE "; mmsim list machines)", set_machine, false},
	{"schedule", 0, "POLICY",
	 "virtual: time, or random: any runnable task, drawn from the seed (time)", set_schedule,
	 false},
	{"hot-lines", 0, "N", "virtual: the N (1 to 10000) cache lines that cost most, by lock or field name",
	 set_hot_lines, false},
	{"trace", 0, "FILE",
	 "virtual: what each task and CPU did when, for Perfetto or chrome://tracing", set_trace,
	 false},
	{"trace-events", 0, "N", "virtual: at most so many events in --trace, up to 1000000000 (1000000)",
	 set_trace_events, false},
	{"host-time", 0, NULL, "virtual: host_wall_ns is what the run took on the host, not 0",
	 set_host_time, false},
	{"jobs", 'j', "N", "virtual: run N (1 to 4096) combinations at once (one per host CPU)", set_jobs,
	 true},
	{"emit-jobs", 0, NULL,
	 "print a command per combination instead (parallel, Slurm arrays, xargs)", set_emit_jobs,
	 true},
	{"only", 0, "K", "combination K of the sweep alone, counted from 0 (--emit-jobs)", set_only,
	 true},
	{"no-header", 0, NULL, "CSV without its first line (--emit-jobs)", set_no_header, true},
	{NULL, 0, NULL, NULL, NULL, false},
};

/* ---- what follows from them ---------------------------------------------------------------- */

bool run_param_is_machine(const char *param)
{
	return strncmp(param, MACHINE_PARAM, strlen(MACHINE_PARAM)) == 0;
}

static bool apply_param(struct run_options *o, const char *param, struct cli_error *err)
{
	const char *eq = strchr(param, '=');
	struct machine_model_error merr;
	char key[64];

	snprintf(key, sizeof(key), "%.*s", (int)(eq - param - strlen(MACHINE_PARAM)),
		 param + strlen(MACHINE_PARAM));
	if (machine_model_set(&o->machine, key, eq + 1, &merr) != 0)
		return cli_fail(err, "--param=" MACHINE_PARAM "%s", merr.text);
	return true;
}

static bool put_together(struct run_options *o, struct cli_error *err)
{
	u64 cpus;

	o->machine = o->machine_file;
	for (u32 i = 0; i < o->param_count; i++)
		if (run_param_is_machine(o->params[i]) && !apply_param(o, o->params[i], err))
			return false;
	cpus = o->machine.topology_sockets * o->machine.topology_clusters *
	       o->machine.topology_cores * o->machine.topology_smt;
	return cpus <= MACHINE_CPUS_MAX ||
	       cli_fail(err,
			"--param=" MACHINE_PARAM "topology: makes %llu CPUs, at most %d are "
			"possible",
			(unsigned long long)cpus, MACHINE_CPUS_MAX);
}

/* All of the host; or 1, 2, 4 .. all of the machine. */
static bool default_cpus(struct run_options *o, u32 limit, struct cli_error *err)
{
	o->cpus = calloc(33, sizeof(u32));
	if (!o->cpus)
		return cli_fail(err, "out of memory");
	o->cpu_count = 0;
	for (u32 n = 1; cli_engine.simulated && n < limit; n *= 2)
		o->cpus[o->cpu_count++] = n;
	o->cpus[o->cpu_count++] = limit;
	return true;
}

bool run_machine_resolve(struct run_options *o, struct cli_error *err)
{
	u32 limit = min(run_host_cpus(), (u32)MMSIM_CPUS_MAX);

	for (u32 i = 0; i < o->param_count && !o->simulated_only[0]; i++)
		if (run_param_is_machine(o->params[i]))
			snprintf(o->simulated_only, sizeof(o->simulated_only), "--param=%.64s",
				 o->params[i]);
	if (!cli_engine.simulated && o->simulated_only[0])
		return cli_fail(err, "%s: only in virtual time (--engine=virtual)",
				o->simulated_only);
	if (cli_engine.simulated) {
		if (!put_together(o, err))
			return false;
		limit = machine_model_cpus(&o->machine);
		for (u32 i = 0; i < o->cpu_count; i++)
			if (o->cpus[i] > limit)
				return cli_fail(err,
						"--cpus=%u: machine %s has %u (--threads may "
						"be more)",
						o->cpus[i], o->machine.name, limit);
	}
	return o->cpu_count || default_cpus(o, limit, err);
}
