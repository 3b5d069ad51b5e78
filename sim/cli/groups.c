/* sim/cli/groups.c - rows of results, sorted into what can be compared with what */
#include <stdlib.h>
#include <string.h>

#include "sim/cli/groups.h"

/* Rows that differ in one of these are never in one group (unless it is what is compared). */
static const char *const key_columns[] = {"workload", "params", "engine", "machine",
					  "arch",     "tree",   "kernel", "scheme"};

static const char *by_value(const struct groups *gs, u32 row)
{
	if (gs->by == CSV_NONE)
		return gs->csv->files[gs->csv->rows[row].file];
	return csv_cell(gs->csv, row, gs->by);
}

static bool same_group(const struct groups *gs, u32 a, u32 b)
{
	for (u32 k = 0; k < ARRAY_SIZE(key_columns); k++) {
		u32 column = csv_column(gs->csv, key_columns[k]);

		if (column == CSV_NONE || column == gs->by)
			continue;
		if (strcmp(csv_cell(gs->csv, a, column), csv_cell(gs->csv, b, column)) != 0)
			return false;
	}
	return true;
}

static const char *cell_of(const struct groups *gs, u32 row, const char *name)
{
	u32 column = csv_column(gs->csv, name);

	return column == CSV_NONE || column == gs->by ? "" : csv_cell(gs->csv, row, column);
}

static void describe(const struct groups *gs, struct group *g)
{
	static const char *const names[] = {"engine", "machine", "arch", "tree", "kernel"};
	static const char *const before[] = {"", "machine ", "", "", "Linux "};
	static const char *const after[] = {" engine", "", "", " tree", ""};
	const char *params = cell_of(gs, g->first_row, "params");
	const char *scheme = cell_of(gs, g->first_row, "scheme"); /* "" when compared */
	const char *workload = cell_of(gs, g->first_row, "workload");
	size_t at = 0;

	snprintf(g->title, sizeof(g->title), "%s%s%s%s%s", workload, *params ? " " : "", params,
		 *scheme ? ", " : "", scheme);
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = cell_of(gs, g->first_row, names[i]);

		if (*value && at < sizeof(g->config))
			at += (size_t)snprintf(g->config + at, sizeof(g->config) - at, "%s%s%s%s",
					       at ? ", " : "", before[i], value, after[i]);
	}
}

static bool add_to_group(struct groups *gs, u32 row)
{
	struct group *g = NULL, *bigger;
	u32 *rows;

	for (u32 i = 0; i < gs->count && !g; i++)
		if (same_group(gs, gs->groups[i].first_row, row))
			g = &gs->groups[i];
	if (!g) {
		bigger = realloc(gs->groups, (gs->count + 1) * sizeof(*bigger));
		if (!bigger)
			return false;
		gs->groups = bigger;
		g = &gs->groups[gs->count++];
		memset(g, 0, sizeof(*g));
		g->first_row = row;
		describe(gs, g);
	}
	rows = realloc(g->rows, (g->row_count + 1) * sizeof(*rows));
	if (!rows)
		return false;
	g->rows = rows;
	g->rows[g->row_count++] = row;
	return true;
}

static bool add_column(struct groups *gs, const char *value)
{
	const char **columns;

	for (u32 i = 0; i < gs->column_count; i++)
		if (strcmp(gs->columns[i], value) == 0)
			return true;
	columns = realloc(gs->columns, (gs->column_count + 1) * sizeof(*columns));
	if (!columns)
		return false;
	gs->columns = columns;
	gs->columns[gs->column_count++] = value;
	return true;
}

static int compare_points(const void *a, const void *b)
{
	const struct group_point *x = a, *y = b;

	if (x->cpus != y->cpus)
		return x->cpus < y->cpus ? -1 : 1;
	return (x->threads > y->threads) - (x->threads < y->threads);
}

static struct group_point point_of(const struct groups *gs, u32 row)
{
	u32 threads = csv_column(gs->csv, "threads");
	struct group_point p;
	double n = 0;

	(void)csv_number(gs->csv, row, csv_column(gs->csv, "cpus"), &n);
	p.cpus = n >= 0 && n < 1e9 ? (u32)n : 0;
	p.threads =
		threads != CSV_NONE && csv_number(gs->csv, row, threads, &n) && n >= 0 && n < 1e9
			? (u32)n
			: p.cpus;
	return p;
}

static bool find_points(const struct groups *gs, struct group *g)
{
	u32 n = 0;

	g->points = calloc(g->row_count, sizeof(*g->points));
	if (!g->points)
		return false;
	for (u32 i = 0; i < g->row_count; i++)
		g->points[i] = point_of(gs, g->rows[i]);
	qsort(g->points, g->row_count, sizeof(*g->points), compare_points);
	for (u32 i = 0; i < g->row_count; i++)
		if (n == 0 || compare_points(&g->points[n - 1], &g->points[i]) != 0)
			g->points[n++] = g->points[i];
	g->point_count = n;
	for (u32 i = 1; i < n; i++)
		if (g->points[i].cpus == g->points[i - 1].cpus)
			g->threads_vary = true;
	return true;
}

bool groups_make(struct groups *gs, const struct csv *c, const char *by, struct cli_error *err)
{
	static const char *const needed[] = {"workload", "scheme", "cpus"};
	u32 ignored;

	memset(gs, 0, sizeof(*gs));
	gs->csv = c;
	gs->by = CSV_NONE;
	for (u32 i = 0; i < ARRAY_SIZE(needed); i++)
		if (!csv_need_column(c, NULL, needed[i], &ignored, err))
			return false;
	if (strcmp(by, "file") != 0 && !csv_need_column(c, "by", by, &gs->by, err))
		return false;
	for (u32 row = 0; row < c->row_count; row++) {
		double cpus;

		if (!csv_number(c, row, csv_column(c, "cpus"), &cpus) || cpus < 1)
			return cli_fail(err, "%s: a row without a number of cpus ('%.32s')",
					c->files[c->rows[row].file],
					csv_cell(c, row, csv_column(c, "cpus")));
		if (!add_to_group(gs, row) || !add_column(gs, by_value(gs, row)))
			return cli_fail(err, "out of memory");
	}
	for (u32 i = 0; i < gs->count; i++)
		if (!find_points(gs, &gs->groups[i]))
			return cli_fail(err, "out of memory");
	return true;
}

void groups_free(struct groups *gs)
{
	for (u32 i = 0; i < gs->count; i++) {
		free(gs->groups[i].rows);
		free(gs->groups[i].points);
	}
	free(gs->groups);
	free(gs->columns);
	memset(gs, 0, sizeof(*gs));
}

u32 groups_stats(const struct groups *gs, const struct group *g, const struct group_point *point,
		 u32 column, u32 metric, struct stats *s)
{
	double *values = malloc(g->row_count * sizeof(double));
	u32 n = 0;

	memset(s, 0, sizeof(*s));
	for (u32 i = 0; values && i < g->row_count; i++) {
		struct group_point p = point_of(gs, g->rows[i]);

		if (compare_points(&p, point) == 0 &&
		    strcmp(by_value(gs, g->rows[i]), gs->columns[column]) == 0 &&
		    csv_number(gs->csv, g->rows[i], metric, &values[n]))
			n++;
	}
	if (n)
		stats_compute(s, values, n);
	free(values);
	return n;
}

void groups_point_name(const struct group *g, const struct group_point *point, char *text,
		       size_t bytes)
{
	if (g->threads_vary)
		snprintf(text, bytes, "%u/%u", point->cpus, point->threads);
	else
		snprintf(text, bytes, "%u", point->cpus);
}

bool groups_baseline(struct groups *gs, const char *baseline, struct cli_error *err)
{
	const struct cli_option o = {.name = "baseline"};
	u32 index;

	if (!cli_name(&o, baseline, "column", gs->columns, gs->column_count, &index, err))
		return false;
	memmove(&gs->columns[1], &gs->columns[0], index * sizeof(*gs->columns));
	gs->columns[0] = baseline;
	return true;
}
