/* sim/cli/engine.c - which engine this is, and how to get to the others */
#include <errno.h>

#include "sim/cli/beside.h"
#include "sim/cli/engine.h"
#include "sim/cli/options.h"

#include <mmsim/timeline.h>

const char *const cli_engine_names[] = {"native", "virtual", NULL};

#if defined(MMSIM_ENGINE_VIRTUAL)
const struct cli_engine cli_engine = {
	.name = "virtual",
	.simulated = true,
	.duration_ns = 20000000,
	.warmup_ns = 2000000,
	.short_ns = 1000000,
	.hot_lines_reset = hot_lines_reset,
	.hot_lines_stop = hot_lines_stop,
	.hot_lines_top = hot_lines_top,
	.hot_lines_print = hot_lines_print,
	.timeline_start = timeline_start,
	.timeline_stop = timeline_stop,
};
#else
const struct cli_engine cli_engine = {
	.name = "native",
	.duration_ns = 1000000000,
	.warmup_ns = 200000000,
	.short_ns = 10000000,
};
#endif

bool cli_engine_become(const char *name, bool lock_stat)
{
	char program[32];
	char **argv = cli_command_argv(NULL);
	bool this_engine = strcmp(name, cli_engine.name) == 0;

	if (this_engine && (!lock_stat || lock_stat_available()))
		return true;
	/* Only for this engine: another one's program knows whether it has the hooks. */
	snprintf(program, sizeof(program), "mmsim-%s%s", name, this_engine ? "-lockstat" : "");
	exec_beside(program, argv);
	cli_complain("--engine=%s: %s: %s (it belongs beside this program)", name, program,
		     strerror(errno));
	return false;
}
