/* sim/cli/csv.c - reading result files */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/csv.h"

#define CELLS_MAX 1024
#define FILE_BYTES_MAX (1ull << 30)

/* ---- the text ------------------------------------------------------------------------------ */

static char *read_stream(FILE *f, size_t *len)
{
	size_t size = 1 << 16;
	char *text = malloc(size);

	*len = 0;
	while (text) {
		size_t n = fread(text + *len, 1, size - *len - 1, f);
		char *bigger;

		*len += n;
		if (n == 0)
			break;
		if (size - *len > 1)
			continue;
		bigger = *len < FILE_BYTES_MAX ? realloc(text, size * 2) : NULL;
		if (!bigger) {
			free(text);
			return NULL;
		}
		text = bigger;
		size *= 2;
	}
	if (text)
		text[*len] = 0;
	return text;
}

static char *read_file(const char *path, size_t *len, struct cli_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(path, "rb");
	char *text;

	if (!f) {
		cli_fail(err, "%s: %s", path, strerror(errno));
		return NULL;
	}
	errno = 0;
	text = read_stream(f, len);
	if (!text)
		cli_fail(err, "%s: too large, or out of memory", path);
	if (text && ferror(f)) {
		cli_fail(err, "%s: %s", path, strerror(errno ? errno : EIO));
		free(text);
		text = NULL;
	}
	if (!is_stdin)
		fclose(f);
	return text;
}

/*
 * One record: cells[] point into the text, which is unquoted in place. Returns the rest, or NULL:
 * too many cells or an open quote. *lines: newlines that it spans.
 */
static char *next_record(char *s, char **cells, u32 *count, u32 *lines)
{
	*count = 0;
	*lines = 0;
	for (;;) {
		char *to = s;
		bool quoted = *s == '"';

		if (*count == CELLS_MAX)
			return NULL;
		cells[(*count)++] = s;
		if (quoted)
			s++;
		while (*s && (quoted || !strchr(",\r\n", *s))) {
			if (quoted && *s == '"' && *++s != '"') {
				quoted = false;
				continue;
			}
			*lines += *s == '\n';
			*to++ = *s++;
		}
		if (quoted)
			return NULL;
		if (*s == ',') {
			*to = 0;
			s++;
			continue;
		}
		if (*s == '\r' && s[1] == '\n')
			s++;
		*lines += *s == '\n';
		s += *s != 0;
		*to = 0;
		return s;
	}
}

/* ---- the table ----------------------------------------------------------------------------- */

u32 csv_column(const struct csv *c, const char *name)
{
	for (u32 i = 0; i < c->column_count; i++)
		if (strcmp(c->columns[i], name) == 0)
			return i;
	return CSV_NONE;
}

static u32 add_column(struct csv *c, const char *name)
{
	u32 column = csv_column(c, name);
	char **columns;

	if (column != CSV_NONE)
		return column;
	columns = realloc(c->columns, (c->column_count + 1) * sizeof(*columns));
	if (!columns)
		return CSV_NONE;
	c->columns = columns;
	c->columns[c->column_count] = strdup(name);
	return c->columns[c->column_count] ? c->column_count++ : CSV_NONE;
}

static bool add_row(struct csv *c, char **cells, u32 count, const u32 *map)
{
	struct csv_row *rows;
	struct csv_row *row;

	if ((c->row_count & (c->row_count - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
		rows = realloc(c->rows, (c->row_count ? 2 * c->row_count : 1) * sizeof(*rows));
		if (!rows)
			return false;
		c->rows = rows;
	}
	row = &c->rows[c->row_count];
	row->file = c->file_count - 1;
	row->cell_count = c->column_count;
	row->cells = calloc(c->column_count, sizeof(char *));
	if (!row->cells)
		return false;
	c->row_count++;
	for (u32 i = 0; i < count; i++)
		if (*cells[i]) {
			row->cells[map[i]] = strdup(cells[i]);
			if (!row->cells[map[i]])
				return false;
		}
	return true;
}

static bool read_header(struct csv *c, const char *path, char **cells, u32 count, u32 *map,
			struct cli_error *err)
{
	for (u32 i = 0; i < count; i++) {
		if (!*cells[i])
			return cli_fail(err, "%s:1: column %u has no name", path, i + 1);
		for (u32 j = 0; j < i; j++)
			if (strcmp(cells[i], cells[j]) == 0)
				return cli_fail(err, "%s:1: column %.64s stands twice", path,
						cells[i]);
	}
	for (u32 i = 0; i < count; i++) {
		map[i] = add_column(c, cells[i]);
		if (map[i] == CSV_NONE)
			return cli_fail(err, "out of memory");
	}
	return true;
}

static bool parse(struct csv *c, const char *path, char *text, struct cli_error *err)
{
	char *cells[CELLS_MAX], *s = text;
	u32 map[CELLS_MAX], count, header_count = 0, line = 1, lines, rows = c->row_count;

	if (strncmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3; /* a byte-order mark */
	while (*s) {
		s = next_record(s, cells, &count, &lines);
		if (!s)
			return cli_fail(err,
					"%s:%u: not a CSV file (a quote that does not end, or "
					"too many cells)",
					path, line);
		if (!header_count) {
			if (!read_header(c, path, cells, count, map, err))
				return false;
			header_count = count;
		} else if (count == 1 && !*cells[0]) {
			; /* an empty line */
		} else if (count != header_count) {
			return cli_fail(err, "%s:%u: %u cells where the header has %u", path, line,
					count, header_count);
		} else if (!add_row(c, cells, count, map)) {
			return cli_fail(err, "out of memory");
		}
		line += lines;
	}
	return c->row_count > rows || cli_fail(err, "%s: has no rows", path);
}

bool csv_load(struct csv *c, const char *path, struct cli_error *err)
{
	const char **files;
	size_t len;
	char *text = read_file(path, &len, err);
	bool ok;

	if (!text)
		return false;
	files = realloc(c->files, (c->file_count + 1) * sizeof(*files));
	if (!files) {
		free(text);
		return cli_fail(err, "out of memory");
	}
	c->files = files;
	c->files[c->file_count++] = path;
	if (!len)
		ok = cli_fail(err, "%s: is empty", path);
	else if (memchr(text, 0, len))
		ok = cli_fail(err, "%s: not a CSV file (it is binary)", path);
	else
		ok = parse(c, path, text, err);
	free(text);
	return ok;
}

void csv_free(struct csv *c)
{
	for (u32 r = 0; r < c->row_count; r++) {
		for (u32 i = 0; i < c->rows[r].cell_count; i++)
			free(c->rows[r].cells[i]);
		free(c->rows[r].cells);
	}
	for (u32 i = 0; i < c->column_count; i++)
		free(c->columns[i]);
	free(c->rows);
	free(c->columns);
	free(c->files);
	memset(c, 0, sizeof(*c));
}

bool csv_need_column(const struct csv *c, const char *option, const char *name, u32 *column,
		     struct cli_error *err)
{
	const char *nearest;

	*column = csv_column(c, name);
	if (*column != CSV_NONE)
		return true;
	nearest = cli_nearest(name, (const char *const *)c->columns, c->column_count);
	if (option)
		return cli_fail(err, "--%s=%s: no such column in %s%s%s%s%s", option, name,
				c->files[0], c->file_count > 1 ? " and the others" : "",
				nearest ? "; did you mean " : "", nearest ? nearest : "",
				nearest ? "?" : "");
	return cli_fail(err, "%s: has no column %s: not a file of results", c->files[0], name);
}

const char *csv_cell(const struct csv *c, u32 row, u32 column)
{
	const struct csv_row *r = &c->rows[row];

	if (column >= r->cell_count || !r->cells[column])
		return "";
	return r->cells[column];
}

bool csv_number(const struct csv *c, u32 row, u32 column, double *out)
{
	const char *text = csv_cell(c, row, column);
	char *end;

	if (!*text)
		return false;
	*out = strtod(text, &end);
	return !*end && isfinite(*out);
}
