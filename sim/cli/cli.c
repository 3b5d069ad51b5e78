/*
 * sim/cli/cli.c - subcommands, help, --version
 *
 * The synopsis comes from cli_commands[]; each command's help from its tables of options.
 */
#include <string.h>

#include <mmsim/workload.h>

#include "sim/cli/cli.h"
#include "sim/cli/results.h"

#define COMMANDS_MAX 32

const struct cli_command *const cli_commands[] = {
	&cli_cmd_run,  &cli_cmd_replay, &cli_cmd_compare,
	&cli_cmd_plot, &cli_cmd_record, &cli_cmd_list,
#if defined(MMSIM_ENGINE_NATIVE)
	&cli_cmd_calibrate, /* measures this host */
#endif
	&cli_cmd_walk,
	NULL,
};

int cli_usage(const struct cli_error *err)
{
	cli_complain("%s", err->text);
	return CLI_USAGE;
}

static void print_help(FILE *out)
{
	fputs("usage: mmsim COMMAND [OPTIONS]\n\n"
	      "What does an address-space locking scheme do to a workload? mmsim runs workloads, "
	      "and\n"
	      "recorded programs, on a model of Linux's memory management under several "
	      "schemes.\n\n"
	      "commands:\n",
	      out);
	for (u32 i = 0; cli_commands[i]; i++)
		fprintf(out, "  %-9s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
	fputs("\nmmsim COMMAND --help (or mmsim help COMMAND) shows a command's options; man mmsim "
	      "all.\n"
	      "try: mmsim run -w page_fault1,mmap1 -c 1,2 -d 200ms\n",
	      out);
}

static const struct cli_command *find_command(const char *name)
{
	for (u32 i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[COMMANDS_MAX] = {"help"};
	const char *nearest;
	char all[256] = "";
	struct cli_error err;
	u32 n = 1;

	for (u32 i = 0; cli_commands[i] && n < COMMANDS_MAX; i++) {
		names[n++] = cli_commands[i]->name;
		strcat(strcat(all, i ? ", " : ""), cli_commands[i]->name);
	}
	nearest = cli_nearest(name, names, n);
	cli_fail(&err, "%s: unknown command%s%s%s (allowed: %s)", name,
		 nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", all);
	return cli_usage(&err);
}

static int help(int argc, char **argv)
{
	const struct cli_command *c;

	if (argc < 2) {
		print_help(stdout);
		return CLI_OK;
	}
	c = find_command(argv[1]);
	if (!c)
		return unknown_command(argv[1]);
	cli_help(stdout, c);
	return CLI_OK;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Results that could not be printed are a failure, not a success. */
static int finish(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK) {
		cli_complain("standard output: cannot be written");
		return CLI_FAILED;
	}
	return status;
}

int cli_main(int argc, char **argv, const char *version)
{
	const struct cli_command *c;
	const char *name;

	cli_set_version(version);
	cli_set_command_line(argc, argv);
	name = argc > 0 ? base_name(argv[0]) : "mmsim";
	if (workload_find(name)) {
		cli_set_program(name);
		return finish(cmd_run_workload(name, argc, argv));
	}
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("mmsim %s\n", version);
		return finish(CLI_OK);
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return finish(help(argc - 1, argv + 1));
	c = find_command(argv[1]);
	return c ? finish(c->run(argc - 1, argv + 1)) : unknown_command(argv[1]);
}
