/*
 * sim/cli/results.h - one row of results, and the files it goes to
 *
 * Guarantee    A CSV or JSON file appears under its name only with whole rows in it: the first row
 *              is written beside it and renamed, each further row is one write(2) that is taken
 *              back if it was short. What a killed run leaves behind can be read.
 */
#ifndef MMSIM_CLI_RESULTS_H
#define MMSIM_CLI_RESULTS_H

#include <stdio.h>

#include <mmsim/counters.h>
#include <mmsim/hist.h>
#include <mmsim/hotlines.h>
#include <mmsim/lock_stat.h>
#include <mmsim/types.h>

#include "sim/cli/options.h"

struct machine_model;

#define RESULT_HW_MAX 16
#define RESULT_TEXT_BYTES 512

struct result {
	const char *workload, *scheme, *tree, *arch, *engine, *machine, *kernel, *machine_kind;
	const char *op; /* what is counted; for the table and JSON */
	u32 cpus, threads, repeat;
	u64 seed;
	u64 elapsed_ns, ops;
	u64 windows_ns; /* of all tasks together: in it they waited for lock_wait_ns. Not in the CSV */
	u64 faults;
	u64 lock_wait_ns, user_ns, system_ns, idle_ns, host_wall_ns;
	char params[RESULT_TEXT_BYTES];
	char notes[RESULT_TEXT_BYTES];
	u64 counters[COUNTER_COUNT];
	s64 hw[RESULT_HW_MAX];      /* < 0: the machine has none: an empty cell */
	const struct hist *latency; /* may be NULL or empty: empty cells */
	u64 latency_sample;         /* one operation in so many was timed */
	u64 clock_read_ns;
	const struct hot_line *hot; /* NULL: none were asked for; JSON only */
	u32 hot_count;
	const struct lock_stat_row *locks; /* likewise */
	u32 lock_count;
};

/* Names of the hw_ columns, without the prefix; at most RESULT_HW_MAX. sim/cli/hw.c */
u32 result_hw_count(void);
const char *result_hw_name(u32 i);

/* Append a reason why the row is not to be trusted ("; " between them; cut when full). */
void result_note(struct result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The columns before the counters: what a cell holds, for CSV, JSON and the table alike. */
enum result_kind { RESULT_TEXT, RESULT_COUNT, RESULT_RATE };
struct result_cell {
	enum result_kind kind;
	bool empty;
	const char *text;
	u64 count;
	double rate;
};
u32 result_column_count(void);
const char *result_column_name(u32 column);
struct result_cell result_column_get(const struct result *r, u32 column);

/* The CSV header and one row, with the newline, into out. */
void result_csv_header(FILE *out);
void result_csv_row(FILE *out, const struct result *r);

/* Where rows go. */
struct results;
struct results_config {
	const char *csv;                       /* path, "-" for stdout, NULL: none */
	bool no_header;                        /* of the CSV */
	const char *json;                      /* path, or NULL */
	FILE *table;                           /* a table for people, or NULL */
	const char *command;                   /* for JSON: what was typed */
	const struct machine_model **machines; /* for JSON: NULL-terminated, or NULL */
	u32 workload_width, scheme_width;      /* of the table's columns; 0: guess */
};
/* Can the files be written? false: a line in err (names option and path); nothing was created. */
bool results_check_paths(const struct results_config *cfg, struct cli_error *err);
/* The same for one file of any option. */
bool results_check_path(const char *option, const char *path, struct cli_error *err);
/* A file that is written piece by piece beside `path`, and is there under its name when it is whole.
 * end(): keep it, or not; false: it cannot be had. Either way f is closed. */
struct results_file {
	char *path, *temp;
	FILE *f;
};
bool results_file_begin(struct results_file *rf, const char *path, struct cli_error *err);
bool results_file_end(struct results_file *rf, bool keep, struct cli_error *err);
/* A whole file at once, where results_check_paths() agreed: beside it, then renamed. */
bool results_write_file(const char *path, const char *text, size_t len, struct cli_error *err);
struct results *results_open(const struct results_config *cfg, struct cli_error *err);
bool results_add(struct results *rs, const struct result *r, struct cli_error *err);
/* Writes the JSON. Frees rs whatever happens. */
bool results_close(struct results *rs, struct cli_error *err);
u32 results_count(const struct results *rs);

/* mmsim's version with the commit, as in the version column. Set by main(). */
void cli_set_version(const char *version);
const char *cli_version(void);

#endif
