/*
 * sim/cli/cmd_calibrate.c - mmsim calibrate: measure this host and write its machine file
 *
 * The file appears under its name only whole, after everything was measured; it is then read back
 * as any machine file.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mmsim/calibrate.h>

#include "sim/cli/cli.h"
#include "sim/cli/results.h"

#define NS_PER_S 1000000000ull
#define SECONDS 20
#define SECONDS_QUICK 5
#define SECONDS_MAX 600
/* Of the time that is allowed: set-up, threads and slow hosts take the rest. */
#define BUDGET_PERCENT 60

struct calibrate_command {
	const char *output;
	bool quick, quiet;
	u32 seconds; /* 0: not given */
};

static bool set_output(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	((struct calibrate_command *)target)->output = value;
	return true;
}

static bool set_quick(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	((struct calibrate_command *)target)->quick = true;
	return true;
}

static bool set_quiet(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	((struct calibrate_command *)target)->quiet = true;
	return true;
}

static bool set_seconds(void *target, const struct cli_option *o, const char *value,
			struct cli_error *err)
{
	return cli_u32(o, value, 1, SECONDS_MAX, &((struct calibrate_command *)target)->seconds,
		       err);
}

static const struct cli_option calibrate_table[] = {
	{"output", 'o', "FILE", "the machine file; \"-\" is standard output (host.ini)", set_output,
	 true},
	{"quick", 0, NULL, "in 5 seconds, with wider spreads", set_quick, true},
	{"seconds", 0, "N", "take at most about so long (20)", set_seconds, true},
	{"quiet", 'q', NULL, "no table, no progress", set_quiet, true},
	{NULL, 0, NULL, NULL, NULL, false},
};
static const struct cli_option *const tables[] = {calibrate_table, NULL};

/* ---- what is shown -------------------------------------------------------------------------- */

static void show_progress(void *arg, const char *what, u32 step, u32 steps)
{
	fprintf(stderr, "\r\033[K%u/%u %s", step + 1, steps, what);
	fflush(stderr);
}

static void print_measured(const struct calibration *c)
{
	printf("%-30s %12s  %-21s %s\n", "number", "value", "quartiles", "how");
	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
		const struct calibrate_number *n = &c->numbers[i];
		const struct calibrate_key *k = &calibrate_keys[i];
		char name[64], value[48], low[CALIBRATE_VALUE_BYTES], high[CALIBRATE_VALUE_BYTES];
		char spread[80] = "";

		if (!n->measured)
			continue;
		snprintf(name, sizeof(name), "%s.%s", k->section, k->key);
		calibrate_print_value(value, n->milli);
		if (k->ns)
			strcat(value, " ns");
		calibrate_print_value(low, n->low_milli);
		calibrate_print_value(high, n->high_milli);
		if (n->rounds > 1)
			snprintf(spread, sizeof(spread), "%s - %s", low, high);
		printf("%-30s %12s  %-21s %s\n", name, value, spread, n->how);
	}
}

static void print_estimated(const struct calibration *c)
{
	printf("\nestimated, not measured:\n");
	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
		const struct calibrate_number *n = &c->numbers[i];
		const struct calibrate_key *k = &calibrate_keys[i];
		char name[64], value[48];

		if (n->measured)
			continue;
		snprintf(name, sizeof(name), "%s.%s", k->section, k->key);
		calibrate_print_value(value, n->milli);
		if (k->ns)
			strcat(value, " ns");
		printf("%-30s %12s  %s\n", name, value, n->how);
	}
}

static void print_table(const struct calibration *c)
{
	printf("%s, Linux %s, %s: %u CPU%s\n", c->cpu, c->kernel, c->date, c->cpus,
	       c->cpus > 1 ? "s" : "");
	if (c->cpus > 1)
		printf("private lines on all CPUs at once: each does %u %% of what one does "
		       "alone\n",
		       c->parallel_percent);
	putchar('\n');
	print_measured(c);
	print_estimated(c);
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool ends_in_ini(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, ".ini");
}

/* "dir/big.ini" is the machine "big". */
static void machine_name(char *name, size_t bytes, const char *output)
{
	const char *slash = strrchr(output, '/'), *base = slash ? slash + 1 : output;
	int len = (int)(strlen(base) - (ends_in_ini(base) ? 4 : 0));

	if (!strcmp(output, "-"))
		snprintf(name, bytes, "host");
	else
		snprintf(name, bytes, "%.*s", len, base);
	for (char *s = name; *s; s++) /* what an INI value cannot hold */
		if ((unsigned char)*s <= ' ' || strchr(";#=", *s))
			*s = '_';
}

static bool write_file(const struct calibration *c, const char *output, struct cli_error *err)
{
	char name[64], *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool ok;

	machine_name(name, sizeof(name), output);
	ok = f && calibrate_write(c, name, f);
	if ((f && fclose(f) != 0) || !ok) {
		free(text);
		return cli_fail(err, "out of memory");
	}
	if (!strcmp(output, "-"))
		ok = fwrite(text, 1, len, stdout) == len ||
		     cli_fail(err, "standard output: cannot be written");
	else
		ok = results_write_file(output, text, len, err);
	free(text);
	return ok;
}

/* As -m would take it. */
static void machine_argument(char *text, size_t bytes, const char *output)
{
	snprintf(text, bytes, "%s%s", strchr(output, '/') || ends_in_ini(output) ? "" : "./",
		 output);
}

static bool read_back(const char *output, struct cli_error *err)
{
	struct machine_model_error why;
	struct machine_model model;
	char path[4200];

	if (access(output, R_OK) != 0 || !strncmp(output, "/dev/", 5))
		return true; /* a pipe or a device: gone already */
	machine_argument(path, sizeof(path), output);
	return machine_model_load(&model, path, &why) == 0 ||
	       cli_fail(err, "calibrate: the file was written, but is not accepted: %s", why.text);
}

/* ---- the command ---------------------------------------------------------------------------- */

static int measure_and_write(const struct calibrate_command *o, struct cli_error *err)
{
	u64 seconds = o->seconds ? o->seconds : o->quick ? SECONDS_QUICK : SECONDS;
	bool progress = !o->quiet && isatty(STDERR_FILENO), to_stdout = !strcmp(o->output, "-");
	struct calibrate_options options = {.budget_ns = seconds * NS_PER_S / 100 * BUDGET_PERCENT,
					    .progress = progress ? show_progress : NULL};
	struct calibration *c = calloc(1, sizeof(*c));
	char argument[4200];
	bool ok = c != NULL;

	if (!ok)
		cli_fail(err, "out of memory");
	else if (calibrate_run(&options, c))
		ok = cli_fail(err, "calibrate: %s", c->error);
	if (progress)
		fputs("\r\033[K", stderr);
	ok = ok && write_file(c, o->output, err) && (to_stdout || read_back(o->output, err));
	for (u32 i = 0; ok && i < c->note_count; i++)
		cli_complain("calibrate: note: %s", c->notes[i]);
	if (ok && !o->quiet && !to_stdout) {
		print_table(c);
		machine_argument(argument, sizeof(argument), o->output);
		printf("\n%s written\ntry: mmsim run -e virtual -m %s -w pft -c 1,2,4\n", o->output,
		       argument);
	}
	if (c)
		calibrate_free(c);
	free(c);
	return ok ? CLI_OK : CLI_FAILED;
}

static int run(int argc, char **argv)
{
	struct calibrate_command o = {.output = "host.ini"};
	struct cli_group group = {NULL, calibrate_table, &o};
	struct cli_parse p = {.command = &cli_cmd_calibrate, .groups = &group, .group_count = 1};
	struct results_config paths = {0};
	struct cli_error err;
	int status;

	if (!cli_parse(&p, argc, argv, &err))
		return cli_usage(&err);
	if (p.help)
		return CLI_OK;
	if (o.quick && o.seconds) {
		cli_fail(&err, "--quick: instead of --seconds, not both");
		return cli_usage(&err);
	}
	paths.csv = o.output;
	if (!results_check_paths(&paths, &err))
		return cli_usage(&err);
	status = measure_and_write(&o, &err);
	if (status != CLI_OK)
		cli_complain("%s", err.text);
	return status;
}

const struct cli_command cli_cmd_calibrate = {
	.name = "calibrate",
	.args = "[-o FILE.ini] [--quick | --seconds N] [-q]",
	.summary = "measure this host and write its machine file, for virtual time",
	.details = "Measures cache, memory and transfer latencies, exceptions, faults, context "
		   "switches, wake-ups\n"
		   "and interrupts. Let nothing else run meanwhile. Each number says in the file "
		   "how it was\n"
		   "measured, or that it is an estimate, and why.",
	.run = run,
	.tables = tables,
};
