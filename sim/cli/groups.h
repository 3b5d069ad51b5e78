/*
 * sim/cli/groups.h - rows of results, sorted into what can be compared with what
 *
 * A group is one configuration of one workload (workload, params, arch, engine, machine, ...);
 * within it, columns are what is compared (schemes by default) and points are CPU counts.
 */
#ifndef MMSIM_CLI_GROUPS_H
#define MMSIM_CLI_GROUPS_H

#include "sim/cli/csv.h"
#include "sim/cli/stats.h"

#define GROUP_TEXT_BYTES 512

struct group_point {
	u32 cpus, threads;
};

struct group {
	u32 first_row; /* its configuration stands for all */
	u32 *rows, row_count;
	struct group_point *points; /* ascending */
	u32 point_count;
	bool threads_vary; /* one CPU count has several numbers of tasks: points need both */
	char title[GROUP_TEXT_BYTES];  /* "page_fault1", with params that are not default */
	char config[GROUP_TEXT_BYTES]; /* "native, host, x86_64, maple, Linux 6.18" */
};

struct groups {
	const struct csv *csv;
	struct group *groups;
	u32 count;
	u32 by;               /* CSV column of what is compared; CSV_NONE: the file */
	const char **columns; /* its values, in the order of first appearance */
	u32 column_count;
};

/* by: a column's name, or "file". */
bool groups_make(struct groups *gs, const struct csv *c, const char *by, struct cli_error *err);
void groups_free(struct groups *gs);

/* The metric's values at one point of one column: their number (0: none), and their statistics. */
u32 groups_stats(const struct groups *gs, const struct group *g, const struct group_point *point,
		 u32 column, u32 metric, struct stats *s);
/* "2", or "2/4" (CPUs/tasks) where both are needed. */
void groups_point_name(const struct group *g, const struct group_point *point, char *text,
		       size_t bytes);
/* Make this the first column. */
bool groups_baseline(struct groups *gs, const char *baseline, struct cli_error *err);

#endif
