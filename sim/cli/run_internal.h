/* sim/cli/run_internal.h - the pieces of the run framework */
#ifndef MMSIM_CLI_RUN_INTERNAL_H
#define MMSIM_CLI_RUN_INTERNAL_H

#include "sim/cli/run.h"

/* run_check.c: --param values for one workload: values[] by slot, and in text those that were
 * given ("size=1M sample=4"). */
bool run_params(const struct run_options *o, const struct workload *w, u64 *values, char *text,
		size_t text_bytes, struct cli_error *err);
/* How many tasks `cpus` CPUs run. */
u32 run_tasks(const struct run_options *o, const struct workload *w, u32 cpus);

#endif
