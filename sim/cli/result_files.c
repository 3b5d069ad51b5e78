/* sim/cli/result_files.c - the command line of compare and plot: options, and at least one FILE.csv */
#include <string.h>

#include "sim/cli/result_files.h"

#define FILES_MAX 1024

bool result_files_parse(struct csv *c, const struct cli_command *command,
			const struct cli_option *options, void *target, int argc, char **argv,
			struct cli_error *err)
{
	struct cli_group group = {NULL, options, target};
	const char *files[FILES_MAX];
	struct cli_parse p = {.command = command,
			      .groups = &group,
			      .group_count = 1,
			      .args = files,
			      .args_max = FILES_MAX};
	bool ok;

	memset(c, 0, sizeof(*c));
	ok = cli_parse(&p, argc, argv, err);
	if (ok && !p.help && !p.arg_count)
		ok = cli_fail(err, "%s: at least one FILE.csv is needed", command->name);
	for (u32 i = 0; ok && !p.help && i < p.arg_count; i++)
		ok = csv_load(c, files[i], err);
	return ok;
}
