/*
 * sim/cli/results.c - the columns of a result, CSV, and the files that rows go to
 *
 * The columns are one table (CLI.md's order); counters follow from MMSIM_COUNTERS, then hw_*.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/cli/results_internal.h"

static const char *version = "unknown";

void cli_set_version(const char *v)
{
	version = v;
}

const char *cli_version(void)
{
	return version;
}

/* ---- columns ------------------------------------------------------------------------------- */

enum source {
	FROM_TEXT,  /* const char * at offset */
	FROM_ARRAY, /* char[] at offset */
	FROM_U32,
	FROM_U64,
	FROM_PER_SEC, /* u64 at offset, per elapsed second */
	FROM_PER_CPU_SEC,
	FROM_MEAN,
	FROM_QUANTILE,
	FROM_MAX,
	FROM_VERSION,
};

static const struct column {
	const char *name;
	enum source source;
	size_t offset;
	double q;
} columns[] = {
#define COLUMN(name, source)                                                                       \
	{                                                                                          \
#name, source, offsetof(struct result, name), 0                                    \
	}
	COLUMN(workload, FROM_TEXT),
	COLUMN(scheme, FROM_TEXT),
	COLUMN(tree, FROM_TEXT),
	COLUMN(arch, FROM_TEXT),
	COLUMN(engine, FROM_TEXT),
	COLUMN(machine, FROM_TEXT),
	COLUMN(cpus, FROM_U32),
	COLUMN(threads, FROM_U32),
	COLUMN(repeat, FROM_U32),
	COLUMN(seed, FROM_U64),
	COLUMN(elapsed_ns, FROM_U64),
	COLUMN(ops, FROM_U64),
	{"ops_per_sec", FROM_PER_SEC, offsetof(struct result, ops), 0},
	COLUMN(faults, FROM_U64),
	{"faults_per_sec", FROM_PER_SEC, offsetof(struct result, faults), 0},
	{"faults_per_cpu_sec", FROM_PER_CPU_SEC, offsetof(struct result, faults), 0},
	{"op_ns_mean", FROM_MEAN, 0, 0},
	{"op_ns_p50", FROM_QUANTILE, 0, 0.5},
	{"op_ns_p90", FROM_QUANTILE, 0, 0.9},
	{"op_ns_p99", FROM_QUANTILE, 0, 0.99},
	{"op_ns_p999", FROM_QUANTILE, 0, 0.999},
	{"op_ns_max", FROM_MAX, 0, 0},
	COLUMN(lock_wait_ns, FROM_U64),
	COLUMN(user_ns, FROM_U64),
	COLUMN(system_ns, FROM_U64),
	COLUMN(idle_ns, FROM_U64),
	COLUMN(host_wall_ns, FROM_U64),
	COLUMN(params, FROM_ARRAY),
	COLUMN(kernel, FROM_TEXT),
	COLUMN(machine_kind, FROM_TEXT),
	{"version", FROM_VERSION, 0, 0},
	COLUMN(notes, FROM_ARRAY),
#undef COLUMN
};

u32 result_column_count(void)
{
	return ARRAY_SIZE(columns);
}

const char *result_column_name(u32 column)
{
	return columns[column].name;
}

static struct result_cell cell_text(const char *text)
{
	return (struct result_cell){
		.kind = RESULT_TEXT, .empty = !text || !*text, .text = text ? text : ""};
}

static struct result_cell cell_count(u64 n)
{
	return (struct result_cell){.kind = RESULT_COUNT, .count = n};
}

static struct result_cell cell_rate(double n, bool empty)
{
	return (struct result_cell){.kind = RESULT_RATE, .rate = empty ? 0 : n, .empty = empty};
}

static struct result_cell latency_cell(const struct result *r, const struct column *c)
{
	struct result_cell cell;
	bool empty = !r->latency || !hist_count(r->latency);

	if (c->source == FROM_MEAN)
		return cell_rate(empty ? 0 : hist_mean(r->latency), empty);
	cell = cell_count(empty                   ? 0
			  : c->source == FROM_MAX ? hist_max(r->latency)
						  : hist_quantile(r->latency, c->q));
	cell.empty = empty;
	return cell;
}

struct result_cell result_column_get(const struct result *r, u32 column)
{
	const struct column *c = &columns[column];
	const char *at = (const char *)r + c->offset;
	u64 cpu_ns = r->user_ns + r->system_ns;

	switch (c->source) {
	case FROM_TEXT:
		return cell_text(*(const char *const *)at);
	case FROM_ARRAY:
		return cell_text(at);
	case FROM_VERSION:
		return cell_text(version);
	case FROM_U32:
		return cell_count(*(const u32 *)at);
	case FROM_U64:
		return cell_count(*(const u64 *)at);
	case FROM_PER_SEC:
		return cell_rate((double)*(const u64 *)at * 1e9 / (double)r->elapsed_ns,
				 r->elapsed_ns == 0);
	case FROM_PER_CPU_SEC:
		return cell_rate((double)*(const u64 *)at * 1e9 / (double)cpu_ns, cpu_ns == 0);
	default:
		return latency_cell(r, c);
	}
}

void result_note(struct result *r, const char *fmt, ...)
{
	size_t at = strlen(r->notes);
	va_list ap;

	if (at && at + 3 < sizeof(r->notes))
		at += (size_t)snprintf(r->notes + at, sizeof(r->notes) - at, "; ");
	va_start(ap, fmt);
	vsnprintf(r->notes + at, sizeof(r->notes) - at, fmt, ap);
	va_end(ap);
}

/* ---- CSV ----------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *s)
{
	if (!s[strcspn(s, ",\"\r\n")]) {
		fputs(s, out);
		return;
	}
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', out);
		fputc(*s == '\n' || *s == '\r' ? ' ' : *s, out);
	}
	fputc('"', out);
}

void result_csv_header(FILE *out)
{
	for (u32 i = 0; i < ARRAY_SIZE(columns); i++)
		fprintf(out, "%s%s", i ? "," : "", columns[i].name);
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, ",%s", counter_info[i].name);
	for (u32 i = 0; i < result_hw_count(); i++)
		fprintf(out, ",hw_%s", result_hw_name(i));
	fputc('\n', out);
}

void result_csv_row(FILE *out, const struct result *r)
{
	for (u32 i = 0; i < ARRAY_SIZE(columns); i++) {
		struct result_cell c = result_column_get(r, i);

		if (i)
			fputc(',', out);
		if (c.empty)
			continue;
		if (c.kind == RESULT_TEXT)
			put_text(out, c.text);
		else if (c.kind == RESULT_COUNT)
			fprintf(out, "%" PRIu64, c.count);
		else
			fprintf(out, "%.1f", c.rate);
	}
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, ",%" PRIu64, r->counters[i]);
	for (u32 i = 0; i < result_hw_count(); i++) {
		fputc(',', out);
		if (r->hw[i] >= 0)
			fprintf(out, "%" PRId64, r->hw[i]);
	}
	fputc('\n', out);
}

/* ---- files --------------------------------------------------------------------------------- */

struct results {
	struct results_config cfg;
	u32 rows;
	int csv_fd;                 /* -1: not yet (the first row makes it), or stdout */
	char *csv_path, *json_path; /* where a symbolic link leads; NULL: none */
	struct json_sink *json;
};

static char *temp_name(const char *path)
{
	char *temp;

	return asprintf(&temp, "%s.tmp.%ld", path, (long)getpid()) < 0 ? NULL : temp;
}

/* Not a regular file (a terminal, /dev/null, a pipe): written to, never replaced. */
static bool is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool results_check_path(const char *option, const char *path, struct cli_error *err)
{
	struct stat st;
	char *real, *temp;
	int fd, saved;

	if (!*path)
		return cli_fail(err, "--%s=: a file name is needed", option);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return cli_fail(err, "--%s=%s: is a directory, a file name is needed", option,
				path);
	if (is_special(path))
		return access(path, W_OK) == 0 || cli_fail(err, "--%s=%s: cannot be written: %s",
							   option, path, strerror(errno));
	real = realpath(path, NULL);
	temp = temp_name(real ? real : path);
	free(real);
	fd = temp ? open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
	saved = errno;
	if (fd >= 0) {
		close(fd);
		unlink(temp);
	}
	free(temp);
	return fd >= 0 ||
	       cli_fail(err, "--%s=%s: cannot be written: %s", option, path, strerror(saved));
}

bool results_check_paths(const struct results_config *cfg, struct cli_error *err)
{
	if (cfg->csv && strcmp(cfg->csv, "-") != 0 && !results_check_path("output", cfg->csv, err))
		return false;
	if (cfg->json && strcmp(cfg->json, "-") == 0)
		return cli_fail(err, "--json=-: a file name is needed");
	if (cfg->json && !results_check_path("json", cfg->json, err))
		return false;
	if (cfg->json && cfg->csv && strcmp(cfg->csv, cfg->json) == 0 && !is_special(cfg->csv))
		return cli_fail(err, "--json=%s: is the same file as --output", cfg->json);
	return true;
}

static char *real_name(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

struct results *results_open(const struct results_config *cfg, struct cli_error *err)
{
	struct results *rs = calloc(1, sizeof(*rs));

	if (!rs)
		goto no_memory;
	rs->cfg = *cfg;
	rs->csv_fd = -1;
	if (cfg->csv && strcmp(cfg->csv, "-") != 0) {
		rs->csv_path = real_name(cfg->csv);
		if (!rs->csv_path)
			goto no_memory;
	}
	if (cfg->json) {
		rs->json_path = real_name(cfg->json);
		rs->json = json_sink_open(cfg);
		if (!rs->json_path || !rs->json)
			goto no_memory;
	}
	return rs;
no_memory:
	if (rs) {
		json_sink_free(rs->json);
		free(rs->csv_path);
		free(rs->json_path);
	}
	free(rs);
	cli_fail(err, "out of memory");
	return NULL;
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* A whole new file under its name, at once. *fd: left open for more; NULL: closed. */
static bool write_new(const char *path, const char *text, size_t len, int *fd_out,
		      struct cli_error *err)
{
	bool special = is_special(path), ok;
	char *temp = special ? strdup(path) : temp_name(path);
	int fd = -1, saved;

	if (temp)
		fd = open(temp, O_WRONLY | O_CLOEXEC | (special ? 0 : O_CREAT | O_TRUNC), 0666);
	ok = fd >= 0 && write_all(fd, text, len) && (special || rename(temp, path) == 0);
	saved = errno;
	if (fd >= 0 && (!ok || !fd_out))
		close(fd);
	if (!ok && fd >= 0 && !special)
		unlink(temp);
	if (ok && fd_out)
		*fd_out = fd;
	free(temp);
	return ok || cli_fail(err, "%s: cannot be written: %s", path, strerror(saved));
}

bool results_write_file(const char *path, const char *text, size_t len, struct cli_error *err)
{
	char *real = real_name(path);
	bool ok = real ? write_new(real, text, len, NULL, err) : cli_fail(err, "out of memory");

	free(real);
	return ok;
}

bool results_file_begin(struct results_file *rf, const char *path, struct cli_error *err)
{
	rf->path = real_name(path);
	rf->temp = !rf->path ? NULL : is_special(rf->path) ? strdup(rf->path) : temp_name(rf->path);
	rf->f = rf->temp ? fopen(rf->temp, "we") : NULL;
	if (rf->f)
		return true;
	cli_fail(err, "%s: cannot be written: %s", path, strerror(errno));
	free(rf->temp);
	free(rf->path);
	return false;
}

bool results_file_end(struct results_file *rf, bool keep, struct cli_error *err)
{
	bool special = strcmp(rf->path, rf->temp) == 0, ok = !ferror(rf->f);

	errno = ok ? 0 : EIO;
	ok = fclose(rf->f) == 0 && ok;
	if (ok && keep && !special)
		ok = rename(rf->temp, rf->path) == 0;
	if (!ok)
		cli_fail(err, "%s: cannot be written: %s", rf->path, strerror(errno ? errno : EIO));
	if ((!ok || !keep) && !special)
		unlink(rf->temp);
	free(rf->temp);
	free(rf->path);
	return ok;
}

/* Add text to what is there, or leave it as it was. */
static bool append(struct results *rs, const char *text, size_t len, struct cli_error *err)
{
	off_t end = lseek(rs->csv_fd, 0, SEEK_END);
	int saved;

	if (write_all(rs->csv_fd, text, len))
		return true;
	saved = errno;
	if (end >= 0 && ftruncate(rs->csv_fd, end) != 0)
		return cli_fail(err, "%s: ends with half a row: %s", rs->csv_path, strerror(errno));
	return cli_fail(err, "%s: cannot be written: %s", rs->csv_path, strerror(saved));
}

static bool add_csv(struct results *rs, const struct result *r, struct cli_error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool first = rs->rows == 0, ok;

	if (!f)
		return cli_fail(err, "out of memory");
	if (first && !rs->cfg.no_header)
		result_csv_header(f);
	result_csv_row(f, r);
	if (fclose(f) != 0)
		ok = cli_fail(err, "out of memory");
	else if (!rs->csv_path)
		ok = write_all(STDOUT_FILENO, text, len) ||
		     cli_fail(err, "standard output: cannot be written: %s", strerror(errno));
	else if (first)
		ok = write_new(rs->csv_path, text, len, &rs->csv_fd, err);
	else
		ok = append(rs, text, len, err);
	free(text);
	return ok;
}

bool results_add(struct results *rs, const struct result *r, struct cli_error *err)
{
	if (rs->cfg.csv && !add_csv(rs, r, err))
		return false;
	if (rs->json && !json_sink_add(rs->json, r))
		return cli_fail(err, "out of memory");
	if (rs->cfg.table) {
		if (rs->rows == 0)
			table_header(rs->cfg.table, rs->cfg.workload_width, rs->cfg.scheme_width);
		table_row(rs->cfg.table, rs->cfg.workload_width, rs->cfg.scheme_width, r);
		fflush(rs->cfg.table);
	}
	rs->rows++;
	return true;
}

u32 results_count(const struct results *rs)
{
	return rs->rows;
}

bool results_close(struct results *rs, struct cli_error *err)
{
	bool ok = true;

	if (rs->csv_fd >= 0 && close(rs->csv_fd) != 0)
		ok = cli_fail(err, "%s: cannot be written: %s", rs->csv_path, strerror(errno));
	if (rs->json && rs->rows) {
		char *text = json_sink_text(rs->json);

		if (!text)
			ok = cli_fail(err, "%s: out of memory", rs->json_path);
		else if (!write_new(rs->json_path, text, strlen(text), NULL, err))
			ok = false;
		free(text);
	}
	json_sink_free(rs->json);
	free(rs->csv_path);
	free(rs->json_path);
	free(rs);
	return ok;
}
