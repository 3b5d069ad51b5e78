/*
 * sim/cli/run_order.c - the combinations of a sweep, in their order
 *
 * Order        workload, CPUs, repeat, scheme: the schemes of a comparison are measured side by
 *              side in time, so that a host that slows down slows all of them.
 */
#include <inttypes.h>

#include "sim/cli/run_internal.h"

/* Carry what has reached its end. false: the last job has. */
static bool carry(struct run_cursor *at)
{
	while (at->job < at->job_count) {
		const struct run_options *o = &at->jobs[at->job];

		if (!o->workloads[at->workload]) {
			at->job++;
			at->workload = 0;
		} else if (at->cpu == o->cpu_count) {
			at->workload++;
			at->cpu = 0;
		} else if (at->repeat == o->repeats) {
			at->cpu++;
			at->repeat = 0;
		} else if (!o->schemes[at->scheme]) {
			at->repeat++;
			at->scheme = 0;
		} else {
			return true;
		}
	}
	return false;
}

static void fill(const struct run_cursor *at, struct combination *c)
{
	const struct run_options *o = &at->jobs[at->job];
	struct cli_error err;

	c->o = o;
	c->w = o->workloads[at->workload];
	c->scheme = o->schemes[at->scheme];
	c->cpus = o->cpus[at->cpu];
	c->tasks = run_tasks(o, c->w, c->cpus);
	c->repeat = at->repeat;
	c->seed = o->seed + at->repeat;
	c->index = at->index;
	if (!run_params(o, c->w, c->scheme, c->params, &c->mm, c->params_text,
			sizeof(c->params_text), &err))
		MMSIM_BUG("run_check() should have said: %s", err.text);
}

bool run_next(struct run_cursor *at, struct combination *c)
{
	while (carry(at)) {
		u32 only = at->jobs[0].only;
		bool wanted = only == RUN_ONLY_ALL || only == at->index;

		if (wanted)
			fill(at, c);
		at->scheme++;
		at->index++;
		if (wanted)
			return true;
	}
	return false;
}

u32 run_total(const struct run_options *jobs, u32 job_count)
{
	u32 total = 0;

	for (u32 j = 0; j < job_count; j++) {
		u32 schemes = 0, workloads = 0;

		while (jobs[j].schemes[schemes])
			schemes++;
		while (jobs[j].workloads[workloads])
			workloads++;
		total += schemes * workloads * jobs[j].cpu_count * jobs[j].repeats;
	}
	return total;
}

void run_describe(const struct combination *c, char *text, size_t bytes)
{
	snprintf(text, bytes, "%s, %s, %u cpus, %u tasks", c->w->name, c->scheme->name, c->cpus,
		 c->tasks);
}
