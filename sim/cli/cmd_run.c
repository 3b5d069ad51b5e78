/* sim/cli/cmd_run.c - mmsim run, and the programs that are named after workloads */
#include <string.h>

#include "sim/cli/cli.h"
#include "sim/cli/engine.h"
#include "sim/cli/run.h"

static const struct cli_option *const tables[] = {run_workload_table, run_option_table,
						  run_machine_table, NULL};
static const struct cli_option *const program_tables[] = {run_option_table, run_machine_table,
							  NULL};

static int run(int argc, char **argv)
{
	return cmd_run_workload(NULL, argc, argv);
}

const struct cli_command cli_cmd_run = {
	.name = "run",
	.args = "-w WORKLOADS [OPTIONS]",
	.summary = "run workloads against schemes: one row of results per combination and repeat",
	.details = "Each row is measured on a fresh machine, after a warm-up. op_ns_* are of "
		   "operations sampled\n"
		   "at random (-p sample=N); op_ns_max is the largest of those sampled.",
	.run = run,
	.tables = tables,
};

struct args {
	int argc;
	char **argv;
	const struct cli_command *command;
	const char *workload; /* fixed, or NULL */
	bool help;
};

/* The command line, into o. For a job file it is applied again above each job. */
static bool apply_args(struct run_options *o, void *arg, struct cli_error *err)
{
	struct args *a = arg;
	struct cli_group groups[] = {{NULL, run_option_table, o},
				     {NULL, run_machine_table, o},
				     {NULL, run_workload_table, o}};
	struct cli_parse p = {
		.command = a->command, .groups = groups, .group_count = a->workload ? 2 : 3};

	if (!cli_parse(&p, a->argc, a->argv, err))
		return false;
	a->help = p.help;
	return !a->workload || run_set_workload(o, workload_find(a->workload), err);
}

static bool any_lock_stat(const struct run_jobs *rj)
{
	for (u32 j = 0; j < rj->count; j++)
		if (rj->jobs[j].lock_stat)
			return true;
	return false;
}

static int run_jobs(struct args *a, const char *path)
{
	struct run_jobs rj;
	struct cli_error err;
	int status;

	if (!run_jobs_load(&rj, path, &err, apply_args, a))
		status = cli_usage(&err);
	else if (!cli_engine_become(rj.jobs[0].engine, any_lock_stat(&rj)))
		status = CLI_FAILED;
	else
		status = run_check(rj.jobs, rj.count, &err) ? run_all(rj.jobs, rj.count)
							    : cli_usage(&err);
	run_jobs_free(&rj);
	return status;
}

int cmd_run_workload(const char *workload, int argc, char **argv)
{
	struct cli_command program = {
		.name = workload,
		.args = "[OPTIONS]",
		.summary = workload ? workload_find(workload)->summary : NULL,
		.tables = program_tables,
	};
	struct args a = {argc, argv, workload ? &program : &cli_cmd_run, workload, false};
	struct run_options o;
	struct cli_error err;
	int status = CLI_OK;

	run_options_init(&o);
	if (!apply_args(&o, &a, &err))
		status = cli_usage(&err);
	else if (!a.help && o.job)
		status = run_jobs(&a, o.job);
	else if (!a.help && !cli_engine_become(o.engine, o.lock_stat))
		status = CLI_FAILED;
	else if (!a.help)
		status = run_check(&o, 1, &err) ? run_all(&o, 1) : cli_usage(&err);
	run_options_free(&o);
	return status;
}
