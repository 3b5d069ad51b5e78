/* sim/cli/run_internal.h - the pieces of the run framework */
#ifndef MMSIM_CLI_RUN_INTERNAL_H
#define MMSIM_CLI_RUN_INTERNAL_H

#include <signal.h>

#include "sim/cli/results.h"
#include "sim/cli/run.h"

struct combination;

/* ---- run_check.c --------------------------------------------------------------------------- */

/* --param values for one workload under one scheme: values[] by slot, the scheme's in mm, and in text
 * those that were given ("size=1M machine.cost.syscall=90"), after whatever else the row does not say. */
bool run_params(const struct run_options *o, const struct workload *w, const struct mm_locking *scheme,
		u64 *values, struct mm_config *mm, char *text, size_t text_bytes, struct cli_error *err);
/* How many tasks `cpus` CPUs run. */
u32 run_tasks(const struct run_options *o, const struct workload *w, u32 cpus);

/* ---- run.c --------------------------------------------------------------------------------- */

/* Take the progress line off the terminal, before anything else is said. */
void run_progress_clear(const struct run_options *o);
/* What is said when a broken invariant aborts a run: which one that was, and its seed. */
void run_set_abort_text(const struct combination *c);
const char *run_abort_text(void);

/* ---- run_machine.c ------------------------------------------------------------------------- */

u32 run_host_cpus(void);
void run_machine_init(struct run_options *o); /* the default machine */
bool run_param_is_machine(const char *param);
/* Put o->machine together, check the CPU counts against it or make them. */
bool run_machine_resolve(struct run_options *o, struct cli_error *err);

/* ---- run_order.c: the combinations of a sweep, one by one ---------------------------------- */

struct combination {
	const struct run_options *o;
	const struct workload *w;
	const struct mm_locking *scheme;
	u32 cpus, tasks, repeat;
	u64 seed;
	u32 index; /* in the sweep, from 0 */
	u64 params[BENCH_PARAMS_MAX];
	struct mm_config mm;
	char params_text[RESULT_TEXT_BYTES];
};

/* Zero but for jobs and job_count at the beginning. */
struct run_cursor {
	const struct run_options *jobs;
	u32 job_count;
	u32 job, workload, cpu, repeat, scheme, index;
};
/* The next one; false: that was all. --only is heeded. */
bool run_next(struct run_cursor *cursor, struct combination *c);
/* How many there are, without heeding --only. */
u32 run_total(const struct run_options *jobs, u32 job_count);
/* "pft, mmap_lock, 2 cpus, 4 tasks" */
void run_describe(const struct combination *c, char *text, size_t bytes);

/* ---- run_one.c ----------------------------------------------------------------------------- */

/* A row, and what it points to: run_row_free(). */
struct run_row {
	struct result r;
	struct hist *latency;
	struct hot_line *hot;
	char *hot_text; /* hot lines as a table, or NULL */
	struct lock_stat_row *locks;
};
/* 0 with *row filled, or -errno after a message (none for -EINTR). Free the row either way. */
int run_one(const struct combination *c, struct run_row *row);
void run_row_free(struct run_row *row);

/* ---- run_workers.c ------------------------------------------------------------------------- */

struct run_sink {
	/* In the order of the sweep. Takes over what the row points to. false: nothing can go on.
	 */
	bool (*row)(void *arg, const struct combination *c, struct run_row *row);
	void (*failed)(void *arg, const struct combination *c); /* there was a message */
	void (*progress)(void *arg, const struct combination *c, u32 finished);
	void *arg;
};
/*
 * All combinations, `workers` processes at a time. Returns when none is left, after the sink
 * refused a row, or soon after *caught (set by a handler of SIGINT and SIGTERM) is not 0: then what
 * was finished goes to the sink, and the other processes are ended.
 */
void run_workers(struct run_cursor *cursor, u32 workers, const struct run_sink *sink,
		 const volatile sig_atomic_t *caught);

/* ---- run_emit.c ---------------------------------------------------------------------------- */

/* --emit-jobs: a command per combination on stdout. */
int run_emit(const struct run_options *jobs, u32 job_count);

#endif
