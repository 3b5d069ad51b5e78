/*
 * sim/trace/load.c - bytes of a recording: files, standard input, decompression
 *
 * Compression is recognised by content (libarchive's filters around its "raw" format), so a
 * renamed file and a pipe work alike. A stream that ends inside a compressed frame is an error.
 */
#include <archive.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/trace/parser.h"

#define READ_BYTES (1u << 20)
/* perf prints at most a path (4096) and some numbers; more than this is not a line of text. */
#define LINE_BYTES_MAX (1u << 16)

static int fail(struct trace_error *err, const char *path, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%s: %s", path, why);
	return -EINVAL;
}

static struct archive *open_stream(const char *path, const char *shown, struct trace_error *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	bool is_stdin = strcmp(path, "-") == 0;
	int ret;

	if (!a) {
		fail(err, shown, "no memory");
		return NULL;
	}
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	ret = is_stdin ? archive_read_open_fd(a, 0, READ_BYTES)
		       : archive_read_open_filename(a, path, READ_BYTES);
	if (ret == ARCHIVE_OK)
		ret = archive_read_next_header(a, &entry);
	if (ret == ARCHIVE_OK)
		return a;
	fail(err, shown,
	     ret == ARCHIVE_EOF        ? "is empty"
	     : archive_error_string(a) ? archive_error_string(a)
				       : "cannot be read");
	archive_read_free(a);
	return NULL;
}

static int check_path(const char *path, struct trace_error *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return 0;
	if (stat(path, &st))
		return fail(err, path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail(err, path, "is a directory, not a recording");
	return 0;
}

static int fail_data(struct trace_error *err, const char *path, struct archive *a)
{
	const char *why = archive_error_string(a);

	if (why && strstr(why, "No progress is possible")) /* what liblzma says at a sudden end */
		why = "truncated xz input";
	snprintf(err->text, sizeof(err->text), "%s: cannot be read to its end: %s", path,
		 why ? why : "damaged");
	return -EINVAL;
}

static int feed_stream(struct archive *a, struct trace_parser *p, char *buf, size_t *left,
		       const char *path, struct trace_error *err)
{
	size_t held = 0, used;

	for (;;) {
		la_ssize_t got = archive_read_data(a, buf + held, READ_BYTES);
		int ret;

		if (got < 0)
			return fail_data(err, path, a);
		if (got == 0)
			break;
		held += (size_t)got;
		ret = trace_parser_feed(p, buf, held, &used);
		if (ret)
			return ret;
		held -= used;
		if (held > LINE_BYTES_MAX)
			return fail(err, path,
				    "has a line of more than 64 KiB: not the text of perf script");
		memmove(buf, buf + used, held);
	}
	*left = held;
	return 0;
}

int trace_load(const char *path, struct trace **out, struct trace_error *err)
{
	const char *shown = strcmp(path, "-") == 0 ? "standard input" : path;
	struct trace_parser *p = NULL;
	struct archive *a;
	char *buf = NULL;
	size_t left = 0;
	int ret;

	ret = check_path(path, err);
	if (ret)
		return ret;
	a = open_stream(path, shown, err);
	if (!a)
		return -EINVAL;
	buf = malloc(READ_BYTES + LINE_BYTES_MAX);
	p = trace_parser_create(shown, err);
	if (!buf || !p) {
		fail(err, shown, "no memory");
		ret = -ENOMEM;
	}
	if (!ret)
		ret = feed_stream(a, p, buf, &left, shown, err);
	if (!ret)
		ret = trace_parser_finish(p, left, out);
	trace_parser_destroy(p);
	free(buf);
	archive_read_free(a);
	return ret;
}

int trace_parse(const char *text, size_t bytes, const char *name, struct trace **out,
		struct trace_error *err)
{
	struct trace_parser *p = trace_parser_create(name, err);
	size_t used = 0;
	int ret;

	if (!p) {
		fail(err, name, "no memory");
		return -ENOMEM;
	}
	ret = trace_parser_feed(p, text, bytes, &used);
	if (!ret)
		ret = trace_parser_finish(p, bytes - used, out);
	trace_parser_destroy(p);
	return ret;
}
