/*
 * sim/cli/options.c - the command line, its values, and the help that comes from the tables
 *
 * Own parser rather than getopt_long(): one table serves --help, job files and completion, and an
 * error can name the nearest option.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/options.h"

#define NAME_BYTES_MAX 64

static const char *program = "mmsim";

void cli_set_program(const char *name)
{
	program = name;
}

const char *cli_program(void)
{
	return program;
}

static char command_line[4096];
static char *no_words[] = {NULL};
static char **command_argv = no_words;
static int command_argc;

void cli_set_command_line(int argc, char **argv)
{
	size_t at = 0;

	command_argc = argc;
	command_argv = argv;
	for (int i = 0; i < argc && at < sizeof(command_line); i++)
		at += (size_t)snprintf(command_line + at, sizeof(command_line) - at, "%s%s",
				       i ? " " : "", argv[i]);
}

const char *cli_command_line(void)
{
	return command_line;
}

char **cli_command_argv(int *argc)
{
	if (argc)
		*argc = command_argc;
	return command_argv;
}

bool cli_fail(struct cli_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	for (char *s = err->text; *s; s++) /* whatever was typed: one line */
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	return false;
}

void cli_complain(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- nearest name -------------------------------------------------------------------------- */

/* Edit distance with transpositions (restricted Damerau-Levenshtein). */
static u32 distance(const char *a, const char *b)
{
	u32 la = (u32)strlen(a), lb = (u32)strlen(b);
	u32 row[3][NAME_BYTES_MAX + 1];

	if (la > NAME_BYTES_MAX || lb > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;
	for (u32 j = 0; j <= lb; j++)
		row[0][j] = j;
	for (u32 i = 1; i <= la; i++) {
		u32 *cur = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		cur[0] = i;
		for (u32 j = 1; j <= lb; j++) {
			u32 d = up[j - 1] + (a[i - 1] != b[j - 1]);

			d = min(d, up[j] + 1);
			d = min(d, cur[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = min(d, up2[j - 2] + 1);
			cur[j] = d;
		}
	}
	return row[la % 3][lb];
}

const char *cli_nearest(const char *text, const char *const *names, u32 n)
{
	const char *best = NULL;
	u32 best_distance = (u32)strlen(text) / 3 + 1; /* a slip, not another word */

	for (u32 i = 0; i < n; i++) {
		u32 d = distance(text, names[i]);

		/* A beginning of a name of some length is as good as one slip. */
		if (strlen(text) >= 3 && strncmp(names[i], text, strlen(text)) == 0)
			d = min(d, 1u);
		if (d <= best_distance && (!best || d < best_distance)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

/* ---- values -------------------------------------------------------------------------------- */

static bool fail_value(struct cli_error *err, const struct cli_option *o, const char *value,
		       const char *allowed)
{
	return cli_fail(err, "--%s=%s: %s", o->name, value, allowed);
}

enum number { NUMBER_OK, NUMBER_BAD, NUMBER_HUGE };

/* An unsigned number at *s, which moves behind it. */
static enum number scan_u64(const char **s, u64 *out)
{
	bool hex = (*s)[0] == '0' && ((*s)[1] | 32) == 'x';
	char *end;

	if ((*s)[0] < '0' || (*s)[0] > '9')
		return NUMBER_BAD;
	errno = 0;
	*out = strtoull(*s, &end, hex ? 16 : 10);
	if (end == *s + 1 && hex)
		return NUMBER_BAD;
	*s = end;
	return errno == ERANGE ? NUMBER_HUGE : NUMBER_OK;
}

bool cli_u64(const struct cli_option *o, const char *value, u64 lo, u64 hi, u64 *out,
	     struct cli_error *err)
{
	const char *s = value;
	char allowed[96];
	u64 n = 0;
	enum number res = scan_u64(&s, &n);

	if (hi == ~0ull)
		snprintf(allowed, sizeof(allowed), "a whole number from %llu on is allowed",
			 (unsigned long long)lo);
	else
		snprintf(allowed, sizeof(allowed), "a whole number from %llu to %llu is allowed",
			 (unsigned long long)lo, (unsigned long long)hi);
	if (res != NUMBER_OK || *s || n < lo || n > hi)
		return fail_value(err, o, value, allowed);
	*out = n;
	return true;
}

bool cli_u32(const struct cli_option *o, const char *value, u32 lo, u32 hi, u32 *out,
	     struct cli_error *err)
{
	u64 n = 0;

	if (!cli_u64(o, value, lo, hi, &n, err))
		return false;
	*out = (u32)n;
	return true;
}

static double unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},  {"s", 1e9},
		     {"m", 6e10}, {"min", 6e10}, {"h", 3.6e12}};

	for (u32 i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ns;
	return 0;
}

static void print_duration(char *text, size_t bytes, u64 ns)
{
	if (ns % 1000000000 == 0)
		snprintf(text, bytes, "%llus", (unsigned long long)(ns / 1000000000));
	else if (ns % 1000000 == 0)
		snprintf(text, bytes, "%llums", (unsigned long long)(ns / 1000000));
	else if (ns % 1000 == 0)
		snprintf(text, bytes, "%lluus", (unsigned long long)(ns / 1000));
	else
		snprintf(text, bytes, "%lluns", (unsigned long long)ns);
}

bool cli_duration(const struct cli_option *o, const char *value, u64 lo_ns, u64 hi_ns, u64 *out_ns,
		  struct cli_error *err)
{
	char *unit, lo[32], hi[32];
	double n, ns;

	/* From a digit on: strtod() alone would take signs, blanks and nan, too. */
	n = value[0] >= '0' && value[0] <= '9' ? strtod(value, &unit) : -1;
	if (n < 0 || (value[0] == '0' && (value[1] | 32) == 'x'))
		return fail_value(err, o, value,
				  "a time with its unit is allowed (2s, 100ms, 50us)");
	if (n == 0 && !*unit && lo_ns == 0) {
		*out_ns = 0;
		return true;
	}
	if (!unit_ns(unit))
		return fail_value(err, o, value,
				  "the unit must be ns, us, ms, s, m or h (2s, 100ms)");
	ns = n * unit_ns(unit);
	print_duration(lo, sizeof(lo), lo_ns);
	print_duration(hi, sizeof(hi), hi_ns);
	if (ns < (double)lo_ns)
		return cli_fail(err, "--%s=%s: at least %s", o->name, value, lo);
	if (ns > (double)hi_ns)
		return cli_fail(err, "--%s=%s: at most %s", o->name, value, hi);
	*out_ns = (u64)(ns + 0.5);
	return true;
}

static bool fail_list(struct cli_error *err, const struct cli_option *o, const char *value)
{
	return cli_fail(err,
			"--%s=%s: numbers, ranges and steps are allowed, as in "
			"1,2,4-8,16,64:1024*2",
			o->name, value);
}

/* One element: N, A-B, A-B+STEP, A:B*FACTOR, A:B+STEP. Marks the numbers in seen[]. */
static bool list_element(const struct cli_option *o, const char *value, const char **s, u32 lo,
			 u32 hi, const char *hi_name, bool *seen, struct cli_error *err)
{
	u64 first = 0, last, step = 1;
	char how = '+';
	enum number res = scan_u64(s, &first);

	if (res == NUMBER_BAD)
		return fail_list(err, o, value);
	last = first;
	if (**s == '-' || **s == ':') {
		how = *(*s)++ == ':' ? '*' : '+';
		step = how == '*' ? 2 : 1;
		if (res == NUMBER_OK)
			res = scan_u64(s, &last);
		if (res == NUMBER_BAD)
			return fail_list(err, o, value);
		if (**s == '*' || **s == '+') {
			how = *(*s)++;
			if (res == NUMBER_OK && scan_u64(s, &step) != NUMBER_OK)
				return fail_list(err, o, value);
		}
	}
	if (res == NUMBER_OK && ((**s && **s != ',') || (how == '*' && first == 0)))
		return fail_list(err, o, value);
	if (res == NUMBER_HUGE || last > hi || first > hi)
		return cli_fail(err, "--%s=%s: at most %u%s%s%s", o->name, value, hi,
				hi_name ? " (" : "", hi_name ? hi_name : "", hi_name ? ")" : "");
	if (first < lo)
		return cli_fail(err, "--%s=%s: at least %u", o->name, value, lo);
	if (last < first)
		return cli_fail(err, "--%s=%s: %llu is above %llu", o->name, value,
				(unsigned long long)first, (unsigned long long)last);
	if (step < (how == '*' ? 2u : 1u) || step > hi)
		return cli_fail(err, "--%s=%s: a step from %u to %u is allowed", o->name, value,
				how == '*' ? 2 : 1, hi);
	for (u64 n = first; n <= last; n = how == '*' ? n * step : n + step)
		seen[n] = true;
	return true;
}

bool cli_u32_list(const struct cli_option *o, const char *value, u32 lo, u32 hi,
		  const char *hi_name, u32 **out, u32 *out_count, struct cli_error *err)
{
	bool *seen = calloc((size_t)hi + 1, sizeof(bool));
	u32 *list = calloc((size_t)hi + 1, sizeof(u32));
	const char *s = value;
	u32 n = 0;
	bool ok = seen && list;

	if (!ok)
		cli_fail(err, "--%s: out of memory", o->name);
	while (ok) {
		ok = list_element(o, value, &s, lo, hi, hi_name, seen, err);
		if (!ok || !*s)
			break;
		s++; /* the comma */
	}
	for (u32 i = lo; ok && i <= hi; i++)
		if (seen[i])
			list[n++] = i;
	free(seen);
	if (!ok) {
		free(list);
		return false;
	}
	free(*out);
	*out = list;
	*out_count = n;
	return true;
}

/* "a, b, c": as many as fit. */
static void join(char *text, size_t bytes, const char *const *names, u32 n)
{
	size_t at = 0;

	text[0] = 0;
	for (u32 i = 0; i < n && at + strlen(names[i]) + 8 < bytes; i++)
		at += (size_t)snprintf(text + at, bytes - at, "%s%s", i ? ", " : "", names[i]);
}

bool cli_name(const struct cli_option *o, const char *value, const char *kind,
	      const char *const *names, u32 n, u32 *out, struct cli_error *err)
{
	const char *nearest;
	char allowed[320];

	for (u32 i = 0; i < n; i++)
		if (strcmp(value, names[i]) == 0) {
			*out = i;
			return true;
		}
	nearest = cli_nearest(value, names, n);
	join(allowed, sizeof(allowed), names, n);
	if (nearest)
		return cli_fail(err, "--%s=%s: unknown %s; did you mean %s? (allowed: %s)", o->name,
				value, kind, nearest, allowed);
	return cli_fail(err, "--%s=%s: unknown %s (allowed: %s)", o->name, value, kind, allowed);
}

/* ---- the command line ---------------------------------------------------------------------- */

static const struct cli_option *find_option(const struct cli_parse *p, const char *name,
					    size_t name_len, char letter, void **target)
{
	for (u32 g = 0; g < p->group_count; g++)
		for (const struct cli_option *o = p->groups[g].options; o->name; o++) {
			*target = p->groups[g].target;
			if (name ? strlen(o->name) == name_len &&
					    strncmp(o->name, name, name_len) == 0
				 : o->letter == letter)
				return o;
		}
	return NULL;
}

static bool fail_unknown(const struct cli_parse *p, const char *text, size_t len,
			 struct cli_error *err)
{
	const char *names[128] = {"help"};
	const char *nearest;
	char name[NAME_BYTES_MAX];
	u32 n = 1;

	for (u32 g = 0; g < p->group_count; g++)
		for (const struct cli_option *o = p->groups[g].options; o->name; o++)
			if (n < ARRAY_SIZE(names))
				names[n++] = o->name;
	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	nearest = cli_nearest(name, names, n);
	return cli_fail(err, "--%s: unknown option%s%s%s (%s --help lists them)", name,
			nearest ? "; did you mean --" : "", nearest ? nearest : "",
			nearest ? "?" : "", p->command->name);
}

static bool is_among(const char *name, const char *const *names)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

static bool take(struct cli_parse *p, void *target, const struct cli_option *o, const char *value,
		 struct cli_error *err)
{
	if (p->only && !p->outside && !is_among(o->name, p->only)) {
		p->outside = o;
		p->outside_value = value;
	}
	return o->set(target, o, value, err);
}

static bool parse_long(struct cli_parse *p, int argc, char **argv, int *i, struct cli_error *err)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct cli_option *o;
	void *target;

	if (len == 4 && strncmp(name, "help", 4) == 0) {
		p->help = true;
		return true;
	}
	o = find_option(p, name, len, 0, &target);
	if (!o)
		return fail_unknown(p, name, len, err);
	if (!o->arg)
		return eq ? cli_fail(err, "--%s=%s: takes no value", o->name, eq + 1)
			  : take(p, target, o, NULL, err);
	if (!eq && *i + 1 >= argc)
		return cli_fail(err, "--%s: needs a value (%s)", o->name, o->arg);
	return take(p, target, o, eq ? eq + 1 : argv[++*i], err);
}

/* -qc4, -c 4, -c4 */
static bool parse_short(struct cli_parse *p, int argc, char **argv, int *i, struct cli_error *err)
{
	for (const char *s = argv[*i] + 1; *s; s++) {
		const struct cli_option *o;
		void *target;

		if (*s == 'h') {
			p->help = true;
			continue;
		}
		o = find_option(p, NULL, 0, *s, &target);
		if (!o)
			return cli_fail(err, "-%c: unknown option (%s --help lists them)", *s,
					p->command->name);
		if (!o->arg) {
			if (!take(p, target, o, NULL, err))
				return false;
			continue;
		}
		if (!s[1] && *i + 1 >= argc)
			return cli_fail(err, "--%s: needs a value (%s)", o->name, o->arg);
		return take(p, target, o, s[1] ? s + 1 : argv[++*i], err);
	}
	return true;
}

static bool add_arg(struct cli_parse *p, const char *arg, struct cli_error *err)
{
	if (p->arg_count >= p->args_max)
		return cli_fail(err, "%s: unexpected argument '%s'", p->command->name, arg);
	p->args[p->arg_count++] = arg;
	return true;
}

bool cli_parse(struct cli_parse *p, int argc, char **argv, struct cli_error *err)
{
	bool options = true;

	p->arg_count = 0;
	p->help = false;
	for (int i = 1; i < argc && !p->help; i++) {
		const char *a = argv[i];
		bool ok;

		if (options && strcmp(a, "--") == 0) {
			options = false;
			continue;
		}
		if (options && a[0] == '-' && a[1] == '-') {
			ok = parse_long(p, argc, argv, &i, err);
		} else if (options && a[0] == '-' && a[1]) {
			ok = parse_short(p, argc, argv, &i, err);
		} else {
			ok = add_arg(p, a, err);
			if (p->stop_at_arg)
				options = false;
		}
		if (!ok)
			return false;
	}
	if (p->help)
		cli_help(stdout, p->command);
	return true;
}

static void help_option(FILE *out, const struct cli_option *o)
{
	char left[64];
	int n;

	n = o->letter ? snprintf(left, sizeof(left), "  -%c, --%s", o->letter, o->name)
		      : snprintf(left, sizeof(left), "      --%s", o->name);
	if (o->arg)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->arg);
	if (strlen(left) > 27)
		fprintf(out, "%s\n%-28s%s\n", left, "", o->help);
	else
		fprintf(out, "%-28s%s\n", left, o->help);
}

void cli_help(FILE *out, const struct cli_command *c)
{
	const char *mmsim = strcmp(program, c->name) == 0 ? "" : "mmsim ";

	fprintf(out, "usage: %s%s %s\n\n%s\n", mmsim, c->name, c->args, c->summary);
	if (c->details)
		fprintf(out, "\n%s\n", c->details);
	fputs("\noptions:\n", out);
	for (u32 t = 0; c->tables && c->tables[t]; t++)
		for (const struct cli_option *o = c->tables[t]; o->name; o++)
			if (!c->without || strcmp(o->name, c->without) != 0)
				help_option(out, o);
	fputs("  -h, --help                this text\n", out);
}
