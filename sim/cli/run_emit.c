/*
 * sim/cli/run_emit.c - --emit-jobs: a sweep as one command per combination
 *
 * Guarantee    The standard outputs of the commands, one after the other in this order, are the
 *              bytes of the sweep's CSV: the first prints the header, too. Each is what was typed,
 *              with the combination chosen by number, so that nothing else can differ.
 */
#include <string.h>
#include <unistd.h>

#include "sim/cli/beside.h"
#include "sim/cli/run_internal.h"

/* A word of a shell command. */
static void put_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_=+:,./@%";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	putchar('\'');
}

/* The program by which this one was called, where it is installed; or else this one. */
static const char *program_path(const char *name, char *path)
{
	const char *slash = strrchr(name, '/');

	if (path_beside(slash ? slash + 1 : name, path) == 0 && access(path, X_OK) == 0)
		return path;
	return name;
}

static bool is_flag(const char *word, const char *flag)
{
	return strcmp(word, flag) == 0;
}

int run_emit(const struct run_options *jobs, u32 job_count)
{
	u32 total = run_total(jobs, job_count);
	char path[PATH_MAX];
	const char *program;
	char **argv;
	int argc;

	argv = cli_command_argv(&argc);
	program = program_path(argv[0], path);
	for (u32 i = 0; i < total; i++) {
		put_word(program);
		for (int a = 1; a < argc; a++)
			if (!is_flag(argv[a], "--emit-jobs") && !is_flag(argv[a], "--no-header")) {
				putchar(' ');
				put_word(argv[a]);
			}
		printf(" --quiet --output=- --only=%u%s\n", i,
		       i || jobs[0].no_header ? " --no-header" : "");
	}
	return CLI_OK;
}
