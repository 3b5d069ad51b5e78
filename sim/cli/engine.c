/* sim/cli/engine.c - which engine this is, and how to get to the others */
#include <errno.h>

#include "sim/cli/beside.h"
#include "sim/cli/engine.h"
#include "sim/cli/options.h"

const char *const cli_engine_names[] = {"native", "virtual", NULL};

#if defined(MMSIM_ENGINE_VIRTUAL)
const struct cli_engine cli_engine = {
	.name = "virtual",
	.simulated = true,
	.duration_ns = 20000000,
	.warmup_ns = 2000000,
	.short_ns = 1000000,
	.hot_lines_reset = hot_lines_reset,
	.hot_lines_top = hot_lines_top,
	.hot_lines_print = hot_lines_print,
};
#else
const struct cli_engine cli_engine = {
	.name = "native",
	.duration_ns = 1000000000,
	.warmup_ns = 200000000,
	.short_ns = 10000000,
};
#endif

bool cli_engine_become(const char *name)
{
	char program[32];
	char **argv = cli_command_argv(NULL);

	if (strcmp(name, cli_engine.name) == 0)
		return true;
	snprintf(program, sizeof(program), "mmsim-%s", name);
	exec_beside(program, argv);
	cli_complain("--engine=%s: %s: %s (it belongs beside this program)", name, program,
		     strerror(errno));
	return false;
}
