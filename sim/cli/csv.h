/*
 * sim/cli/csv.h - result files, read back: any number of them as one table
 *
 * Columns are found by name, so files of different versions can be read together; a cell that a
 * file does not have, or that is empty, is NULL. Lines may end with CR LF; cells may be quoted.
 */
#ifndef MMSIM_CLI_CSV_H
#define MMSIM_CLI_CSV_H

#include "sim/cli/options.h"

struct csv_row {
	char **cells;   /* [column of the table]; NULL: none */
	u32 cell_count; /* columns that existed when it was read; beyond: none */
	u32 file;
};

struct csv {
	char **columns;
	u32 column_count;
	struct csv_row *rows;
	u32 row_count;
	const char **files;
	u32 file_count;
};

/* Add a file's rows; "-": standard input. Start from a zeroed struct csv. */
bool csv_load(struct csv *c, const char *path, struct cli_error *err);
void csv_free(struct csv *c);

#define CSV_NONE (~0u)
u32 csv_column(const struct csv *c, const char *name); /* CSV_NONE */
/* As csv_column(), with an error that names the nearest. */
bool csv_need_column(const struct csv *c, const char *option, const char *name, u32 *column,
		     struct cli_error *err);
const char *csv_cell(const struct csv *c, u32 row, u32 column); /* "" when there is none */
/* false: empty, or not a number. */
bool csv_number(const struct csv *c, u32 row, u32 column, double *out);

#endif
