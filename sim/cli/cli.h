/* sim/cli/cli.h - the program: which command, and what the programs in bin/ call */
#ifndef MMSIM_CLI_CLI_H
#define MMSIM_CLI_CLI_H

#include "sim/cli/options.h"

/* Everything main() does: subcommands, help, --version. If argv[0] is named after a workload, it is
 * `mmsim run` with that workload. Returns the exit status. */
int cli_main(int argc, char **argv, const char *version);

extern const struct cli_command cli_cmd_run, cli_cmd_list, cli_cmd_compare, cli_cmd_plot,
	cli_cmd_calibrate, cli_cmd_walk; /* native only */

/* Print err and give CLI_USAGE. */
int cli_usage(const struct cli_error *err);

/* `mmsim run`, with the workload given (NULL: by --workload). argv[0] is the program's name. */
int cmd_run_workload(const char *workload, int argc, char **argv);

#endif
