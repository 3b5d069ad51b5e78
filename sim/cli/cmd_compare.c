/*
 * sim/cli/cmd_compare.c - mmsim compare: schemes side by side, in the form of mmtests' tables
 *
 * Positive always means better. Min, Max and the mean follow the metric's direction (higher or
 * lower is better); Stddev and CoeffVar are better when lower. The mean is harmonic where higher is
 * better (rates), arithmetic where lower is. Stars instead of parentheses: the 95 % confidence
 * intervals of the two means do not overlap.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cli.h"
#include "sim/cli/groups.h"
#include "sim/cli/result_files.h"

#define METRICS_MAX 64
#define CELL_WIDTH 23 /* of "%12.2f (%7.2f%%)" */

struct compare_options {
	const char *metrics;
	const char *baseline;
	const char *by;
	const char *better; /* NULL: by the metric's name */
};

static bool set_metric(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	((struct compare_options *)target)->metrics = value;
	return true;
}

static bool set_baseline(void *target, const struct cli_option *o, const char *value,
			 struct cli_error *err)
{
	((struct compare_options *)target)->baseline = value;
	return true;
}

static bool set_by(void *target, const struct cli_option *o, const char *value,
		   struct cli_error *err)
{
	((struct compare_options *)target)->by = value;
	return true;
}

static bool set_better(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	static const char *const names[] = {"higher", "lower"};
	u32 index;

	((struct compare_options *)target)->better = value;
	return cli_name(o, value, "direction", names, ARRAY_SIZE(names), &index, err);
}

static const struct cli_option compare_table[] = {
	{"metric", 0, "LIST", "columns to compare (ops_per_sec)", set_metric, false},
	{"baseline", 0, "NAME", "what the others are compared with (the first in the file)",
	 set_baseline, false},
	{"by", 0, "COLUMN", "what is compared: scheme, version, kernel, ..., or file (scheme)",
	 set_by, false},
	{"better", 0, "DIRECTION", "higher or lower (by the metric: rates higher, the rest lower)",
	 set_better, false},
	{NULL, 0, NULL, NULL, NULL, false},
};

/* ---- the table ----------------------------------------------------------------------------- */

enum row_kind { ROW_MIN, ROW_MEAN, ROW_STDDEV, ROW_COEFFVAR, ROW_MAX, ROW_KINDS };

struct table {
	const struct groups *gs;
	const struct group *g;
	u32 metric;
	bool higher;
	struct stats *stats; /* [point][column] */
};

static bool higher_is_better(const struct compare_options *o, const char *metric)
{
	size_t len = strlen(metric);

	if (o->better)
		return strcmp(o->better, "higher") == 0;
	return strcmp(metric, "ops") == 0 || strcmp(metric, "faults") == 0 ||
	       (len > 4 && strcmp(metric + len - 4, "_sec") == 0) ||
	       strcmp(metric, "VMA_LOCK_SUCCESS") == 0 || strcmp(metric, "TLB_HIT") == 0;
}

static double row_value(const struct table *t, enum row_kind kind, const struct stats *s)
{
	switch (kind) {
	case ROW_MIN:
		return s->min;
	case ROW_MEAN:
		return t->higher ? s->hmean : s->amean;
	case ROW_STDDEV:
		return s->stddev;
	case ROW_COEFFVAR:
		return s->coeff_var;
	default:
		return s->max;
	}
}

static void print_cell(const struct table *t, enum row_kind kind, const struct stats *base,
		       const struct stats *s)
{
	bool higher = t->higher && kind != ROW_STDDEV && kind != ROW_COEFFVAR;
	bool star = kind == ROW_MEAN && base != s && stats_differ(base, s);
	double value, from, percent;

	if (!s->n) {
		printf(" %*s", CELL_WIDTH, "-");
		return;
	}
	value = row_value(t, kind, s);
	from = base->n ? row_value(t, kind, base) : 0;
	printf(" %12.2f ", value);
	if (!base->n || (from == 0 && value != 0)) {
		printf("(%7s )", "-");
		return;
	}
	percent = from == 0 ? 0 : higher ? value * 100 / from - 100 : 100 - value * 100 / from;
	printf(star ? "*%7.2f%%*" : "(%7.2f%%)", fabs(percent) < 0.005 ? 0 : percent);
}

static void print_rows(const struct table *t)
{
	static const char *const names[ROW_KINDS] = {"Min", "Amean", "Stddev", "CoeffVar", "Max"};
	u32 columns = t->gs->column_count;

	for (u32 kind = 0; kind < ROW_KINDS; kind++)
		for (u32 p = 0; p < t->g->point_count; p++) {
			const struct stats *row = &t->stats[p * columns];
			char point[32];

			groups_point_name(t->g, &t->g->points[p], point, sizeof(point));
			printf("%-9s %7s", kind == ROW_MEAN && t->higher ? "Hmean" : names[kind],
			       point);
			for (u32 c = 0; c < columns; c++)
				print_cell(t, kind, &row[0], &row[c]);
			putchar('\n');
		}
}

/* A column's name, its end if it is long (paths differ at the end). */
static const char *short_name(const char *name)
{
	size_t len = strlen(name);

	return len > CELL_WIDTH ? name + len - CELL_WIDTH : name;
}

/* Notes of the rows, each once with how often. */
static void print_notes(const struct groups *gs, const struct group *g)
{
	u32 column = csv_column(gs->csv, "notes"), noted = 0;
	const char *first = NULL;
	bool same = true;

	for (u32 i = 0; column != CSV_NONE && i < g->row_count; i++) {
		const char *note = csv_cell(gs->csv, g->rows[i], column);

		if (!*note)
			continue;
		noted++;
		same = same && (!first || strcmp(first, note) == 0);
		first = first ? first : note;
	}
	if (noted)
		printf("note: %u of %u rows: %s%s\n", noted, g->row_count, first,
		       same ? "" : " (and others)");
}

static bool print_table(struct table *t, struct cli_error *err)
{
	const struct groups *gs = t->gs;
	u32 values = 0;

	t->stats = calloc((size_t)t->g->point_count * gs->column_count, sizeof(struct stats));
	if (!t->stats)
		return cli_fail(err, "out of memory");
	for (u32 p = 0; p < t->g->point_count; p++)
		for (u32 c = 0; c < gs->column_count; c++)
			values += groups_stats(gs, t->g, &t->g->points[p], c, t->metric,
					       &t->stats[p * gs->column_count + c]);
	printf("%s: %s, %s is better  (%s)\n", t->g->title, gs->csv->columns[t->metric],
	       t->higher ? "higher" : "lower", t->g->config);
	if (!values) {
		puts("no values: the column is empty for these rows");
	} else {
		printf("%-9s %7s", "", t->g->threads_vary ? "cpus/t" : "cpus");
		for (u32 c = 0; c < gs->column_count; c++)
			printf(" %*s", CELL_WIDTH, short_name(gs->columns[c]));
		putchar('\n');
		print_rows(t);
	}
	print_notes(gs, t->g);
	free(t->stats);
	return true;
}

/* ---- the command --------------------------------------------------------------------------- */

static void warn_versions(const struct csv *c)
{
	u32 column = csv_column(c, "version");

	for (u32 row = 1; column != CSV_NONE && row < c->row_count; row++)
		if (strcmp(csv_cell(c, 0, column), csv_cell(c, row, column)) != 0) {
			cli_complain("rows come from several versions (%s, %s, ...): --by=version "
				     "sets them side by side",
				     csv_cell(c, 0, column), csv_cell(c, row, column));
			return;
		}
}

static bool compare(const struct csv *c, const struct compare_options *o, struct cli_error *err)
{
	char metrics[1024], *rest = metrics, *name;
	u32 columns[METRICS_MAX], n = 0;
	struct groups gs = {0};
	bool ok;

	snprintf(metrics, sizeof(metrics), "%s", o->metrics);
	ok = groups_make(&gs, c, o->by, err);
	while (ok && (name = strsep(&rest, ",")) != NULL) {
		ok = n < METRICS_MAX && *name
			     ? csv_need_column(c, "metric", name, &columns[n++], err)
			     : cli_fail(err, "--metric=%s: an empty name, or too many", o->metrics);
	}
	if (ok && o->baseline)
		ok = groups_baseline(&gs, o->baseline, err);
	if (ok && strcmp(o->by, "version") != 0)
		warn_versions(c);
	for (u32 i = 0; ok && i < gs.count; i++)
		for (u32 m = 0; ok && m < n; m++) {
			struct table t = {.gs = &gs,
					  .g = &gs.groups[i],
					  .metric = columns[m],
					  .higher = higher_is_better(o, c->columns[columns[m]])};

			if (i || m)
				putchar('\n');
			ok = print_table(&t, err);
		}
	groups_free(&gs);
	return ok;
}

static int run(int argc, char **argv)
{
	struct compare_options o = {.metrics = "ops_per_sec", .by = "scheme"};
	struct csv c;
	struct cli_error err;
	bool ok = result_files_parse(&c, &cli_cmd_compare, compare_table, &o, argc, argv, &err);

	if (ok && c.file_count)
		ok = compare(&c, &o, &err);
	csv_free(&c);
	return ok ? CLI_OK : cli_usage(&err);
}

static const struct cli_option *const tables[] = {compare_table, NULL};

const struct cli_command cli_cmd_compare = {
	.name = "compare",
	.args = "FILE.csv... [OPTIONS]",
	.summary = "tables of schemes side by side",
	.details = "Positive is better. Stars around a percentage: the 95 % confidence intervals "
		   "do not overlap.\n"
		   "Other metrics: op_ns_p99, faults_per_cpu_sec, lock_wait_ns, any counter.",
	.run = run,
	.tables = tables,
};
