/*
 * sim/cli/run_options.c - the options that run, replay and the workload programs share
 *
 * Every setter checks its value as far as it can alone; run_check() checks combinations.
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/timeline.h>

#include "sim/cli/engine.h"
#include "sim/cli/run_internal.h"

#define DURATION_NS_MAX (24 * 3600 * 1000000000ull)
#define NAMES_MAX 64

/* ---- names --------------------------------------------------------------------------------- */

static u32 workload_names(const char **names)
{
	u32 n = 0;

	while (workload_all[n] && n < NAMES_MAX) {
		names[n] = workload_all[n]->name;
		n++;
	}
	return n;
}

static u32 scheme_names(const char **names)
{
	u32 n = 0;

	while (mm_locking_all[n] && n < NAMES_MAX) {
		names[n] = mm_locking_all[n]->name;
		n++;
	}
	return n;
}

/*
 * "a,b,c" into chosen[] (indices of names[], in the order given). "all" is index ~0 at chosen[0].
 * Each name once.
 */
static bool parse_names(const struct cli_option *o, const char *value, const char *kind,
			const char *const *names, u32 n, u32 *chosen, u32 *count,
			struct cli_error *err)
{
	char copy[1024], *rest = copy, *name;
	bool used[NAMES_MAX] = {false};
	u32 index;

	*count = 0;
	if (strlen(value) >= sizeof(copy))
		return cli_fail(err, "--%s: the list is too long", o->name);
	strcpy(copy, value);
	if (strcmp(value, "all") == 0) {
		chosen[(*count)++] = ~0u;
		return true;
	}
	while ((name = strsep(&rest, ",")) != NULL) {
		if (!*name)
			return cli_fail(err, "--%s=%s: an empty name in the list", o->name, value);
		if (!cli_name(o, name, kind, names, n, &index, err))
			return false;
		if (used[index])
			return cli_fail(err, "--%s=%s: %s is named twice", o->name, value, name);
		used[index] = true;
		chosen[(*count)++] = index;
	}
	return true;
}

static bool set_workload(void *target, const struct cli_option *o, const char *value,
			 struct cli_error *err)
{
	struct run_options *ro = target;
	const char *names[NAMES_MAX];
	u32 n = workload_names(names), chosen[NAMES_MAX], count;
	bool all;

	if (!parse_names(o, value, "workload", names, n, chosen, &count, err))
		return false;
	all = chosen[0] == ~0u;
	free(ro->workloads);
	ro->workloads = calloc((all ? n : count) + 1, sizeof(*ro->workloads));
	if (!ro->workloads)
		return cli_fail(err, "out of memory");
	for (u32 i = 0; i < (all ? n : count); i++)
		ro->workloads[i] = workload_all[all ? i : chosen[i]];
	return true;
}

bool run_set_workload(struct run_options *o, const struct workload *w, struct cli_error *err)
{
	free(o->workloads);
	o->workloads = calloc(2, sizeof(*o->workloads));
	if (!o->workloads)
		return cli_fail(err, "out of memory");
	o->workloads[0] = w;
	return true;
}

static bool set_scheme(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	struct run_options *ro = target;
	const char *names[NAMES_MAX];
	u32 n = scheme_names(names), chosen[NAMES_MAX], count, out = 0;
	bool all;

	if (!parse_names(o, value, "scheme", names, n, chosen, &count, err))
		return false;
	all = chosen[0] == ~0u;
	free(ro->schemes);
	ro->schemes = calloc((all ? n : count) + 1, sizeof(*ro->schemes));
	if (!ro->schemes)
		return cli_fail(err, "out of memory");
	for (u32 i = 0; i < (all ? n : count); i++) {
		const struct mm_locking *l = mm_locking_all[all ? i : chosen[i]];

		if (!all || (l->caps & LK_CAP_CORRECT))
			ro->schemes[out++] = l;
	}
	return true;
}

static bool set_arch(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	struct run_options *ro = target;
	const char *names[NAMES_MAX];
	u32 n = 0, index;

	while (arch_all[n] && n < NAMES_MAX) {
		names[n] = arch_all[n]->name;
		n++;
	}
	if (!cli_name(o, value, "architecture", names, n, &index, err))
		return false;
	ro->arch = arch_all[index];
	ro->arch_given = true;
	return true;
}

static bool set_tree(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	struct run_options *ro = target;
	const char *names[NAMES_MAX];
	u32 n = 0, index;

	while (vma_tree_all[n] && n < NAMES_MAX) {
		names[n] = vma_tree_all[n]->name;
		n++;
	}
	if (!cli_name(o, value, "tree", names, n, &index, err))
		return false;
	ro->tree = vma_tree_all[index];
	return true;
}

static bool set_kernel(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	struct run_options *ro = target;
	const char *names[NAMES_MAX];
	u32 n = 0, index;

	while (kernel_eras[n].version && n < NAMES_MAX) {
		names[n] = kernel_eras[n].version;
		n++;
	}
	if (!cli_name(o, value, "kernel era", names, n, &index, err))
		return false;
	ro->era = &kernel_eras[index];
	return true;
}

static bool set_engine(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	u32 n = 0, index;

	while (cli_engine_names[n])
		n++;
	if (!cli_name(o, value, "engine", cli_engine_names, n, &index, err))
		return false;
	((struct run_options *)target)->engine = cli_engine_names[index];
	return true;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static bool set_cpus(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	struct run_options *ro = target;

	return cli_u32_list(o, value, 1, MMSIM_CPUS_MAX, "MMSIM_CPUS_MAX", &ro->cpus,
			    &ro->cpu_count, err);
}

/* N or Nx */
static bool set_threads(void *target, const struct cli_option *o, const char *value,
			struct cli_error *err)
{
	struct run_options *ro = target;
	size_t len = strlen(value);
	char digits[32];
	bool per_cpu = len > 1 && (value[len - 1] == 'x' || value[len - 1] == 'X');
	struct cli_error plain;
	u32 n;

	snprintf(digits, sizeof(digits), "%.*s", (int)(per_cpu ? len - 1 : len), value);
	if (len >= sizeof(digits) || !cli_u32(o, digits, 1, MMSIM_TASKS_MAX, &n, &plain))
		return cli_fail(err,
				"--%s=%s: a number from 1 to %u, or a multiple of the CPUs as "
				"in 2x, is allowed",
				o->name, value, MMSIM_TASKS_MAX);
	ro->threads = n;
	ro->threads_per_cpu = per_cpu;
	return true;
}

static bool set_duration(void *target, const struct cli_option *o, const char *value,
			 struct cli_error *err)
{
	struct run_options *ro = target;

	ro->duration_set = true;
	return cli_duration(o, value, 1000, DURATION_NS_MAX, &ro->duration_ns, err);
}

static bool set_ops(void *target, const struct cli_option *o, const char *value,
		    struct cli_error *err)
{
	struct run_options *ro = target;

	ro->ops_set = true;
	return cli_u64(o, value, 1, 1ull << 60, &ro->ops, err);
}

static bool set_warmup(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	struct run_options *ro = target;

	ro->warmup_set = true;
	return cli_duration(o, value, 0, DURATION_NS_MAX, &ro->warmup_ns, err);
}

static bool set_repeats(void *target, const struct cli_option *o, const char *value,
			struct cli_error *err)
{
	return cli_u32(o, value, 1, 1000000, &((struct run_options *)target)->repeats, err);
}

static bool set_seed(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	return cli_u64(o, value, 0, ~0ull, &((struct run_options *)target)->seed, err);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static bool set_output(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	((struct run_options *)target)->output = value;
	return true;
}

static bool set_json(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	((struct run_options *)target)->json = value;
	return true;
}

static bool set_job(void *target, const struct cli_option *o, const char *value,
		    struct cli_error *err)
{
	((struct run_options *)target)->job = value;
	return true;
}

static bool set_param(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	struct run_options *ro = target;
	const char *eq = strchr(value, '=');

	if (!eq || eq == value)
		return cli_fail(err, "--%s=%s: key=value is needed", o->name, value);
	for (u32 i = 0; i < ro->param_weak; i++)
		if (strncmp(ro->params[i], value, (size_t)(eq - value) + 1) == 0) {
			ro->params[i] = value;
			return true;
		}
	if (ro->param_count == RUN_PARAMS_MAX)
		return cli_fail(err, "--%s=%s: at most %d parameters", o->name, value,
				RUN_PARAMS_MAX);
	ro->params[ro->param_count++] = value;
	return true;
}

static bool set_quiet(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	((struct run_options *)target)->quiet = true;
	return true;
}

static bool set_lock_stat(void *target, const struct cli_option *o, const char *value,
			  struct cli_error *err)
{
	((struct run_options *)target)->lock_stat = true;
	return true;
}

const struct cli_option run_workload_table[] = {
	{"workload", 'w', "LIST", "names, comma separated, or all (mmsim list workloads)",
	 set_workload, false},
	{"job", 0, "FILE", "an INI job file: these options by section", set_job, true},
	{NULL, 0, NULL, NULL, NULL, false},
};

const struct cli_option run_option_table[] = {
	{"scheme", 's', "LIST", "names, or all that claim to be correct (mmap_lock,vma_refcnt)",
	 set_scheme, false},
	{"tree", 0, "TREE", "VMA tree: maple or rb (default: the scheme's own, or the era's)", set_tree, false},
	{"kernel", 0, "VERSION", "era of the modelled kernel: 4.12, 4.15, 6.4 or 6.18 (6.18)", set_kernel,
	 false},
	{"engine", 'e', "ENGINE", "native: this host; virtual: simulated time (native)", set_engine,
	 true},
	{"arch", 'a', "ARCH", "architecture (default: the machine's, natively x86_64; mmsim list archs)", set_arch, false},
	{"cpus", 'c', "LIST",
	 "as in 1,2,4-8,16,64:1024*2 (all of this host; virtual: 1, 2, 4 .. all)", set_cpus, false},
	{"threads", 't', "N|Nx", "tasks, or tasks per CPU (1x; ebizzy 2x)", set_threads, false},
	{"duration", 'd', "TIME", "measured time, as in 2s or 100ms (1s; virtual: 20ms)",
	 set_duration, false},
	{"ops", 'n', "N", "measured operations, all tasks together, instead of a duration", set_ops,
	 false},
	{"warmup", 0, "TIME", "before anything is measured (200ms; virtual: 2ms)", set_warmup,
	 false},
	{"repeats", 'r', "N", "of each combination (1)", set_repeats, false},
	{"seed", 0, "N", "of random numbers; repeat r uses seed + r (1)", set_seed, false},
	{"output", 'o', "FILE.csv", "results as CSV, - for stdout (a table on the terminal)",
	 set_output, true},
	{"json", 0, "FILE", "the same with all histograms and the full configuration", set_json,
	 true},
	{"param", 'p', "KEY=VALUE",
	 "of the workload, the scheme, or machine.SECTION.KEY; repeatable (mmsim list params)",
	 set_param, false},
	{"lock-stat", 0, NULL,
	 "who took which lock, and how long it waited and held: a table after the results",
	 set_lock_stat, false},
	{"quiet", 'q', NULL, "no progress on stderr", set_quiet, true},
	{NULL, 0, NULL, NULL, NULL, false},
};

void run_options_init(struct run_options *o)
{
	memset(o, 0, sizeof(*o));
	o->arch = &arch_x86_64;
	o->era = kernel_era_newest();
	o->engine = cli_engine.name;
	o->duration_ns = cli_engine.duration_ns;
	o->warmup_ns = cli_engine.warmup_ns;
	o->only = RUN_ONLY_ALL;
	o->trace_events = TIMELINE_EVENTS_DEFAULT;
	run_machine_init(o);
	o->repeats = 1;
	o->seed = 1;
	o->schemes = calloc(3, sizeof(*o->schemes));
	if (!o->schemes)
		MMSIM_BUG("out of memory");
	o->schemes[0] = &mm_locking_mmap_lock;
	o->schemes[1] = &mm_locking_vma_refcnt;
}

void run_options_free(struct run_options *o)
{
	free(o->workloads);
	free(o->schemes);
	free(o->cpus);
	memset(o, 0, sizeof(*o));
}
