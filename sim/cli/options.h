/*
 * sim/cli/options.h - the command line: one table per group of options, from which parsing,
 *                     --help, the job file and the shell completion come
 *
 * Errors       A function that meets wrong input leaves one line, lower case, in the caller's
 *              struct cli_error and returns false; main() prints "mmsim: LINE" and exits 2.
 */
#ifndef MMSIM_CLI_OPTIONS_H
#define MMSIM_CLI_OPTIONS_H

#include <stdio.h>

#include <mmsim/types.h>

#define CLI_OK 0
#define CLI_FAILED 1 /* a run, a check or the host failed */
#define CLI_USAGE 2  /* the user's input was wrong; nothing was written */

struct cli_error {
	char text[512];
};
/* Format into err; always false, so that a parser can `return cli_fail(err, ...)`. */
bool cli_fail(struct cli_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "mmsim: LINE" on stderr. The name is "mmsim", or that of the workload program. */
void cli_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
void cli_set_program(const char *name);
const char *cli_program(void);
/* What was typed, for records. Set by main(). */
void cli_set_command_line(int argc, char **argv);
const char *cli_command_line(void);
/* The same, word by word (argc may be NULL). */
char **cli_command_argv(int *argc);

/* The name out of names[0..n) nearest to `text` if it is close enough to be a slip, else NULL. */
const char *cli_nearest(const char *text, const char *const *names, u32 n);

/*
 * One option. `set` stores value in target (the struct that the command parses into); flags
 * (arg == NULL) get value NULL. In errors the option is called `--name`.
 */
struct cli_option {
	const char *name;
	char letter;      /* 0: none */
	const char *arg;  /* what --help calls the value; NULL: a flag */
	const char *help; /* one line */
	bool (*set)(void *target, const struct cli_option *o, const char *value,
		    struct cli_error *err);
	bool not_in_job; /* may not stand in a section of a job file */
};

/* One group: a table that ends with name == NULL, and what it writes into. */
struct cli_group {
	const char *title; /* for --help; NULL: none */
	const struct cli_option *options;
	void *target;
};

/* A subcommand. main() finds it by name in cli_commands[]. */
struct cli_command {
	const char *name;
	const char *args;                  /* of the synopsis: "TRACE [OPTIONS]" */
	const char *summary;               /* one line */
	const char *details;               /* more lines for --help, or NULL */
	int (*run)(int argc, char **argv); /* argv[0]: the command's name; gives the exit status */
	/* Groups of options, for help and completion without running (title order). NULL-terminated
	 * tables; targets are not used. */
	const struct cli_option *const *tables;
	const char *without; /* an option of the tables that --help leaves out, as the command refuses it; or NULL */
};
extern const struct cli_command *const cli_commands[]; /* NULL-terminated */
/* h5's: sim/cli/cmd_replay.c, sim/cli/cmd_record.c */
extern const struct cli_command cli_cmd_replay, cli_cmd_record;

/*
 * Parse argv[1..argc): options of the groups go to their targets; other arguments are collected in
 * args[0..*arg_count) (at most args_max; more are an error). "--" ends the options; if stop_at_arg,
 * the first argument does, too (record -- PROGRAM). --help is answered on stdout and *help is set.
 * `only`: if not NULL, the first option given that is none of these goes to *outside, for the caller to judge.
 */
struct cli_parse {
	const struct cli_command *command;
	const struct cli_group *groups;
	u32 group_count;
	bool stop_at_arg;
	const char **args;
	u32 args_max, arg_count;
	bool help;
	const char *const *only; /* names; NULL-terminated */
	const struct cli_option *outside;
	const char *outside_value; /* NULL: a flag */
};
bool cli_parse(struct cli_parse *p, int argc, char **argv, struct cli_error *err);
/* The help of a command, from its tables. */
void cli_help(FILE *out, const struct cli_command *command);

/* ---- values: false and a line that names o, the value and what is allowed ------------------ */

/* Decimal or 0x.., no sign, no rubbish after it. */
bool cli_u64(const struct cli_option *o, const char *value, u64 lo, u64 hi, u64 *out,
	     struct cli_error *err);
bool cli_u32(const struct cli_option *o, const char *value, u32 lo, u32 hi, u32 *out,
	     struct cli_error *err);
/* "2s", "100ms", "50us", "10ns", "1m", fractions too ("1.5s"); a bare number only if it is 0. */
bool cli_duration(const struct cli_option *o, const char *value, u64 lo_ns, u64 hi_ns, u64 *out_ns,
		  struct cli_error *err);
/* "1,2,4-8,16,64:1024*2": ascending, each once. Allocated; at most `hi`. */
bool cli_u32_list(const struct cli_option *o, const char *value, u32 lo, u32 hi,
		  const char *hi_name, u32 **out, u32 *out_count, struct cli_error *err);
/* value must be one of names[0..n): its index. kind: "scheme", for the message. */
bool cli_name(const struct cli_option *o, const char *value, const char *kind,
	      const char *const *names, u32 n, u32 *out, struct cli_error *err);

#endif
