/*
 * sim/cli/cmd_plot.c - mmsim plot: figures by gnuplot, with the scripts and data that made them
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cli/cli.h"
#include "sim/cli/plot_figures.h"
#include "sim/cli/result_files.h"

#define SLUG_BYTES 128
#define EXIT_NO_GNUPLOT 127

struct plot_options {
	const char *dir;
	const char *by;
	bool quiet;
};

static bool set_dir(void *target, const struct cli_option *o, const char *value,
		    struct cli_error *err)
{
	((struct plot_options *)target)->dir = value;
	return *value || cli_fail(err, "--output=: a folder is needed");
}

static bool set_by(void *target, const struct cli_option *o, const char *value,
		   struct cli_error *err)
{
	((struct plot_options *)target)->by = value;
	return true;
}

static bool set_quiet(void *target, const struct cli_option *o, const char *value,
		      struct cli_error *err)
{
	((struct plot_options *)target)->quiet = true;
	return true;
}

static const struct cli_option plot_table[] = {
	{"output", 'o', "DIR", "folder for figures, scripts and data; made if need be", set_dir,
	 false},
	{"by", 0, "COLUMN", "a line per: scheme, version, kernel, ..., or file (scheme)", set_by,
	 false},
	{"quiet", 'q', NULL, "do not print the names of the figures", set_quiet, false},
	{NULL, 0, NULL, NULL, NULL, false},
};

/* mkdir -p, and can files be made there? */
static bool make_dir(const char *dir, struct cli_error *err)
{
	char *path = strdup(dir);
	struct stat st;
	bool ok;

	if (!path)
		return cli_fail(err, "out of memory");
	for (char *s = path + 1; *s; s++)
		if (*s == '/') {
			*s = 0;
			(void)mkdir(path, 0777);
			*s = '/';
		}
	ok = mkdir(path, 0777) == 0 || errno == EEXIST;
	free(path);
	if (!ok)
		return cli_fail(err, "--output=%s: cannot be made: %s", dir, strerror(errno));
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return cli_fail(err, "--output=%s: is not a folder", dir);
	return access(dir, W_OK | X_OK) == 0 ||
	       cli_fail(err, "--output=%s: cannot be written: %s", dir, strerror(errno));
}

/* A file name's beginning from a title: "page_fault1 size=64M" as "page_fault1-size=64M". */
static void make_slug(char *slug, const char *title)
{
	u32 n = 0;

	for (; *title && n < SLUG_BYTES - 8; title++)
		if (isalnum((unsigned char)*title) || strchr("_=.", *title))
			slug[n++] = *title;
		else if (n && slug[n - 1] != '-')
			slug[n++] = '-';
	if (!n || slug[0] == '.')
		slug[n ? 0 : n++] = '_';
	slug[n] = 0;
}

/* The i-th group's slug, with a number if an earlier group has the same title. */
static void slug_of(const struct groups *gs, u32 i, char *slug)
{
	char other[SLUG_BYTES];
	u16 same = 1;

	make_slug(slug, gs->groups[i].title);
	for (u32 j = 0; j < i; j++) {
		make_slug(other, gs->groups[j].title);
		same = (u16)(same + (strcmp(other, slug) == 0));
	}
	if (same > 1)
		snprintf(slug + strlen(slug), 8, "-%u", same);
}

static int gnuplot(const char *dir, const char *name)
{
	char script[FIGURE_NAME_BYTES + 4];
	int status;
	pid_t pid;

	snprintf(script, sizeof(script), "%s.gp", name);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (chdir(dir) == 0)
			execlp("gnuplot", "gnuplot", script, (char *)NULL);
		_exit(EXIT_NO_GNUPLOT);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int draw(const struct plot_options *o, const struct figures *f)
{
	for (u32 i = 0; i < f->count; i++) {
		int status = gnuplot(o->dir, f->names[i]);

		if (status == EXIT_NO_GNUPLOT) {
			cli_complain(
				"gnuplot cannot be started (is it installed?); its scripts and "
				"data are in %s",
				o->dir);
			return CLI_FAILED;
		}
		if (status != 0) {
			cli_complain("gnuplot failed on %s/%s.gp", o->dir, f->names[i]);
			return CLI_FAILED;
		}
		if (!o->quiet)
			printf("%s/%s.png\n", o->dir, f->names[i]);
	}
	return CLI_OK;
}

/* Write everything first: without gnuplot, scripts and data are still there. */
static int plot(const struct csv *c, const struct plot_options *o)
{
	struct groups gs = {0};
	struct figures *f = NULL;
	struct cli_error err;
	int status = CLI_OK;
	u32 figures = 0;
	bool ok = groups_make(&gs, c, o->by, &err) && make_dir(o->dir, &err);

	f = ok ? calloc(gs.count, sizeof(*f)) : NULL;
	if (ok && !f)
		ok = cli_fail(&err, "out of memory");
	for (u32 i = 0; ok && i < gs.count; i++) {
		char slug[SLUG_BYTES];

		slug_of(&gs, i, slug);
		f[i].dir = o->dir;
		ok = figures_write(&f[i], &gs, &gs.groups[i], slug, &err);
		figures += f[i].count;
	}
	if (ok && !figures)
		ok = cli_fail(&err,
			      "%s: nothing to plot (no ops_per_sec, op_ns_p50 or lock counters)",
			      c->files[0]);
	if (!ok)
		status = cli_usage(&err);
	for (u32 i = 0; ok && status == CLI_OK && i < gs.count; i++)
		status = draw(o, &f[i]);
	free(f);
	groups_free(&gs);
	return status;
}

static int run(int argc, char **argv)
{
	struct plot_options o = {.by = "scheme"};
	struct csv c;
	struct cli_error err;
	int status = CLI_OK;
	bool ok = result_files_parse(&c, &cli_cmd_plot, plot_table, &o, argc, argv, &err);

	if (ok && c.file_count && !o.dir)
		ok = cli_fail(&err, "plot: --output DIR is needed");
	if (!ok)
		status = cli_usage(&err);
	else if (c.file_count)
		status = plot(&c, &o);
	csv_free(&c);
	return status;
}

static const struct cli_option *const tables[] = {plot_table, NULL};

const struct cli_command cli_cmd_plot = {
	.name = "plot",
	.args = "FILE.csv... -o DIR",
	.summary = "gnuplot figures (PNG and SVG) and the scripts and data that made them",
	.details = "Per workload: throughput and speed-up over CPUs, latency percentiles and lock "
		   "counters.\n"
		   "To change one, edit its .gp and run gnuplot on it in DIR.",
	.run = run,
	.tables = tables,
};
