/*
 * sim/cli/run.h - the run framework: every combination of workload, scheme, CPU count and repeat,
 *                 on a machine of its own, one row of results each
 *
 * `run`, `replay` and the workload programs share struct run_options, its table run_option_table,
 * and run_all().
 */
#ifndef MMSIM_CLI_RUN_H
#define MMSIM_CLI_RUN_H

#include <mmsim/locking.h>
#include <mmsim/machine_model.h>
#include <mmsim/workload.h>

#include "sim/cli/options.h"

#define RUN_PARAMS_MAX 64
#define RUN_ONLY_ALL (~0u)

/* What the options of a run say. run_options_init() first; every pointer is owned by it. */
struct run_options {
	const struct workload **workloads; /* NULL-terminated; NULL: not given */
	const struct mm_locking **schemes; /* NULL-terminated */
	const struct arch_desc *arch;
	bool arch_given; /* by --arch, not by the machine */
	const struct vma_tree_type *tree; /* NULL: each scheme's own, or else the era's */
	const struct kernel_era *era;
	const char *engine;
	u32 *cpus, cpu_count; /* not given: run_check() sets them */
	u32 threads;          /* 0: as the workload says */
	bool threads_per_cpu; /* threads is a multiple */
	u64 duration_ns, ops, warmup_ns;
	bool duration_set, ops_set, warmup_set;
	u32 repeats;
	u64 seed;
	const char *output; /* NULL: a table */
	const char *json;
	const char *job;
	const char *params[RUN_PARAMS_MAX]; /* "key=value"; run_check() looks them up */
	u32 param_count;
	u32 param_weak; /* the first so many may be replaced (a job file's, by the command line) */
	bool quiet;

	/* The simulated machine: machine_file is what --machine names, machine what comes of it and
	 * of the machine.* parameters (run_check() puts it together). */
	struct machine_model machine_file, machine;
	enum schedule schedule;
	u32 hot_lines;
	bool host_time;
	bool lock_stat;
	const char *trace; /* NULL: none */
	u64 trace_events;  /* at most */
	bool trace_events_set;
	u32 workers;             /* runs at once; 0: one per host CPU */
	char simulated_only[96]; /* the first option given that only simulated time has; or "" */
	bool emit_jobs, no_header;
	u32 only; /* this combination and no other; RUN_ONLY_ALL: all */

	void *arg; /* for the workload: bench_config.arg (replay) */
	const char
		*extra_params; /* the params column begins with it (replay: its trace); or NULL */
};

void run_options_init(struct run_options *o);
void run_options_free(struct run_options *o);

/* -s --tree --kernel -e -a -c -t ... -q, with struct run_options as the target. --workload and
 * --job are in a table of their own, which replay leaves out. run_machine_table: the simulated
 * machine, and how the runs of a sweep are spread. */
extern const struct cli_option run_option_table[];
extern const struct cli_option run_workload_table[];
extern const struct cli_option run_machine_table[];

/*
 * A job file: options by section, one job per section. Keys of [global] hold for all sections; what
 * `argv` says (the command line, parsed again for each job) holds above both. *jobs and what they
 * point to are jobs_free()'s.
 */
struct run_jobs {
	struct run_options *jobs;
	u32 count;
	char **strings; /* values from the file that options point to */
	u32 string_count;
};
bool run_jobs_load(struct run_jobs *rj, const char *path, struct cli_error *err,
		   bool (*command_line)(struct run_options *o, void *arg, struct cli_error *err),
		   void *arg);
void run_jobs_free(struct run_jobs *rj);

/* The mm subsystem as the options want it, but for the parameters of schemes. */
struct mm_config run_mm_config(const struct run_options *o);

/* Set one workload that is not chosen by name (replay's, or a workload program's). */
bool run_set_workload(struct run_options *o, const struct workload *w, struct cli_error *err);

/* Everything that can be known to be wrong before anything runs: names, parameters, combinations,
 * that the output files can be written. Fills in what follows from the options together: the
 * machine, the CPU counts when none were given. */
bool run_check(struct run_options *jobs, u32 job_count, struct cli_error *err);
/* A scheme may depend on what only some trees can do. Part of run_check(). */
bool run_check_tree(const struct run_options *o, struct cli_error *err);

/*
 * Run all jobs; rows go where jobs[0] says (table, CSV, JSON). run_check() must have agreed.
 * Returns an exit status: CLI_OK, or CLI_FAILED after a run failed (with its seed on stderr; the
 * other combinations are run all the same). On SIGINT and SIGTERM what is finished is kept, and the
 * signal is raised again.
 */
int run_all(const struct run_options *jobs, u32 job_count);

#endif
