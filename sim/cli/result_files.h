/* sim/cli/result_files.h - the command line of a command that reads files of results */
#ifndef MMSIM_CLI_RESULT_FILES_H
#define MMSIM_CLI_RESULT_FILES_H

#include "sim/cli/csv.h"

/*
 * Parse `command`'s options into target and load every FILE.csv that was named into *c, which is zeroed
 * first and csv_free()'s either way. NULL-terminated table of options. --help was answered: true, and no
 * file is loaded (c->file_count is 0).
 */
bool result_files_parse(struct csv *c, const struct cli_command *command,
			const struct cli_option *options, void *target, int argc, char **argv,
			struct cli_error *err);

#endif
