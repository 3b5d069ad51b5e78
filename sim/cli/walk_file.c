/*
 * sim/cli/walk_file.c - mmsim walk: page tables in files
 *
 * Text         lines of "PA ENTRY", both hexadecimal, an entry as the number that manuals give; before
 *              them "arch NAME" and "root PA [PA of the upper half's]"; # starts a comment. This is
 *              what --dump writes.
 * Image        anything else: bytes of physical memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/results.h"
#include "sim/cli/walk.h"

#define FILE_BYTES_MAX (1ull << 30)

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_all(struct walk_file *f, FILE *in, const char *path, struct cli_error *err)
{
	size_t room = 0;

	for (;;) {
		size_t n;

		if (f->bytes + 1 >= room) {
			char *more = realloc(f->text, room = room ? room * 2 : 1 << 16);

			if (!more)
				return cli_fail(err, "--table=%s: out of memory", path);
			f->text = more;
		}
		n = fread(f->text + f->bytes, 1, room - f->bytes - 1, in);
		f->bytes += n;
		if (f->bytes > FILE_BYTES_MAX)
			return cli_fail(err, "--table=%s: at most 1 GiB", path);
		if (n == 0)
			break;
	}
	if (ferror(in))
		return cli_fail(err, "--table=%s: cannot be read: %s", path, strerror(errno));
	f->text[f->bytes] = 0;
	return f->bytes ? true : cli_fail(err, "--table=%s: the file is empty", path);
}

static bool is_text(const struct walk_file *f)
{
	for (u64 i = 0; i < min(f->bytes, 4096ull); i++) {
		unsigned char c = (unsigned char)f->text[i];

		if (c < ' ' && c != '\n' && c != '\t' && c != '\r')
			return false;
		if (c >= 0x7f)
			return false;
	}
	return true;
}

/* The next line of text from *at on, without comment and blanks around it. NULL: no more. The line
 * is copied: the file's text stays as it is. */
static const char *next_line(const struct walk_file *f, u64 *at, u32 *number, char *line, size_t bytes)
{
	const char *start = f->text + *at, *end;
	size_t len;

	if (*at >= f->bytes)
		return NULL;
	end = memchr(start, '\n', f->bytes - *at);
	len = end ? (size_t)(end - start) : (size_t)(f->bytes - *at);
	*at += len + 1;
	++*number;
	len = min(len, bytes - 1);
	memcpy(line, start, len);
	line[len] = 0;
	line[strcspn(line, "#\r")] = 0;
	line += strspn(line, " \t");
	for (len = strlen(line); len && (line[len - 1] == ' ' || line[len - 1] == '\t'); len--)
		line[len - 1] = 0;
	return line;
}

/* Two hexadecimal numbers, or one if `optional`: how many, 0 for anything else. */
static u32 two_numbers(const char *s, u64 *a, u64 *b, bool optional)
{
	char *end;

	errno = 0;
	if (!strchr("0123456789abcdefABCDEF", *s) || !*s)
		return 0;
	*a = strtoull(s, &end, 16);
	if (!*end && !errno)
		return optional ? 1 : 0;
	if (errno || (*end != ' ' && *end != '\t'))
		return 0;
	s = end + strspn(end, " \t:");
	if (!strchr("0123456789abcdefABCDEF", *s) || !*s)
		return 0;
	*b = strtoull(s, &end, 16);
	return !*end && !errno ? 2 : 0;
}

static bool fail_line(struct cli_error *err, const char *path, u32 line, const char *why)
{
	return cli_fail(err, "--table=%s: line %u: %s", path, line, why);
}

static bool read_heading(struct walk_file *f, const char *path, struct cli_error *err)
{
	char buffer[256];
	const char *line;
	u32 number = 0;
	u64 at = 0;

	while ((line = next_line(f, &at, &number, buffer, sizeof(buffer)))) {
		if (!strncmp(line, "arch ", 5)) {
			f->arch = arch_find(line + 5);
			if (!f->arch)
				return fail_line(err, path, number, "unknown architecture");
		} else if (!strncmp(line, "root ", 5)) {
			f->root_count = two_numbers(line + 5, &f->root[0], &f->root[1], true);
			if (!f->root_count)
				return fail_line(err, path, number, "root: an address is needed");
		}
	}
	return true;
}

bool walk_file_read(struct walk_file *f, const char *path, struct cli_error *err)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	bool ok;

	*f = (struct walk_file){0};
	if (!in)
		return cli_fail(err, "--table=%s: cannot be read: %s", path, strerror(errno));
	ok = read_all(f, in, path, err);
	if (in != stdin)
		fclose(in);
	if (!ok)
		return false;
	f->raw = !is_text(f);
	return f->raw || read_heading(f, path, err);
}

void walk_file_free(struct walk_file *f)
{
	free(f->text);
	f->text = NULL;
}

static bool load_image(const struct walk_file *f, const char *path, struct walk_space *s, u64 base,
		       struct cli_error *err)
{
	if (base % sizeof(pte_t) || base > WALK_FILE_END || f->bytes > WALK_FILE_END - base)
		return cli_fail(err, "--base=%#llx: a multiple of 8 is allowed, and %s must end below %#llx",
				(unsigned long long)base, path, (unsigned long long)WALK_FILE_END);
	memcpy(s->mem.direct_map + base, f->text, f->bytes);
	s->tables_lo = base;
	s->tables_hi = base + f->bytes;
	return true;
}

bool walk_file_load(const struct walk_file *f, const char *path, struct walk_space *s, u64 base,
		    struct cli_error *err)
{
	char buffer[256];
	const char *line;
	u32 number = 0;
	u64 at = 0, pa, value;

	if (f->raw)
		return load_image(f, path, s, base, err);
	while ((line = next_line(f, &at, &number, buffer, sizeof(buffer)))) {
		if (!*line || !strncmp(line, "arch ", 5) || !strncmp(line, "root ", 5))
			continue;
		if (two_numbers(line, &pa, &value, false) != 2)
			return fail_line(err, path, number, "an address and an entry are needed, as in 0x1000 0x2067");
		if (pa % sizeof(pte_t) || pa >= s->tables_hi)
			return fail_line(err, path, number, "the address must be a multiple of 8, below 0x1000000000");
		*(pte_t *)(s->mem.direct_map + pa) = pte_swap(s->arch, value);
	}
	return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct dump {
	const struct walk_space *space;
	FILE *out;
};

static void dump_table(void *arg, u64 pa, u32 level)
{
	const struct dump *d = arg;
	const struct arch_desc *a = d->space->arch;

	fprintf(d->out, "# table of %ss\n", a->level_names[level]);
	for (u32 i = 0; i < 1u << a->idx_bits[level]; i++) {
		u64 at = pa + i * sizeof(pte_t);
		pte_t e = *(const pte_t *)(d->space->mem.direct_map + at);

		if (e)
			fprintf(d->out, "%#llx %#llx\n", (unsigned long long)at,
				(unsigned long long)walk_entry_value(a, e));
	}
}

bool walk_file_write(const struct walk_space *s, const char *path, struct cli_error *err)
{
	struct dump d = {.space = s};
	char *text = NULL;
	size_t len = 0;
	bool ok;

	d.out = open_memstream(&text, &len);
	if (!d.out)
		return cli_fail(err, "out of memory");
	fprintf(d.out, "# page tables, as mmsim walk --table reads them: address and entry\narch %s\nroot %#llx",
		s->arch->name, (unsigned long long)s->regs.root[0]);
	if (s->regs.root[1] != s->regs.root[0])
		fprintf(d.out, " %#llx", (unsigned long long)s->regs.root[1]);
	fputc('\n', d.out);
	walk_each_table(s, dump_table, &d);
	ok = fclose(d.out) == 0 || cli_fail(err, "out of memory");
	if (ok && !strcmp(path, "-"))
		ok = fwrite(text, 1, len, stdout) == len ||
		     cli_fail(err, "standard output: cannot be written");
	else if (ok)
		ok = results_write_file(path, text, len, err);
	free(text);
	return ok;
}
