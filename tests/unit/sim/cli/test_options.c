/* tests/unit/sim/cli/test_options.c - values, nearest names and the parser of the command line */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cli/options.h"

static const struct cli_option cpus = {.name = "cpus", .letter = 'c', .arg = "LIST"};

/* The list as text, or the error. */
static const char *list(const char *value)
{
	static char text[512];
	struct cli_error err;
	u32 *out = NULL, n = 0;
	size_t at = 0;

	if (!cli_u32_list(&cpus, value, 1, 2048, "MMSIM_CPUS_MAX", &out, &n, &err)) {
		snprintf(text, sizeof(text), "%s", err.text);
		return text;
	}
	text[0] = 0;
	for (u32 i = 0; i < n && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", i ? " " : "", out[i]);
	free(out);
	return text;
}

static void cpu_lists(void **state)
{
	assert_string_equal(list("1"), "1");
	assert_string_equal(list("1,2,4-8,16,64:1024*2"), "1 2 4 5 6 7 8 16 64 128 256 512 1024");
	assert_string_equal(list("8,1,2,2,1-3"), "1 2 3 8");
	assert_string_equal(list("1-9+4"), "1 5 9");
	assert_string_equal(list("10:40+10"), "10 20 30 40");
	assert_string_equal(list("1:100*10"), "1 10 100");
	assert_string_equal(list("1:8"), "1 2 4 8");
	assert_string_equal(list("2048"), "2048");
}

static void bad_cpu_lists(void **state)
{
	static const char *const grammar[] = {
		"",   ",",  "1,", ",1",  "1,,2", "x",     "1x",  "-1", "+1",
		" 1", "1-", "1:", "4*2", "1:8*", "1:8*x", "1.5", "0x", "1;2"};

	for (u32 i = 0; i < ARRAY_SIZE(grammar); i++)
		assert_non_null(strstr(list(grammar[i]), "numbers, ranges and steps are allowed"));
	assert_string_equal(list("3000"), "--cpus=3000: at most 2048 (MMSIM_CPUS_MAX)");
	assert_string_equal(list("1-3000"), "--cpus=1-3000: at most 2048 (MMSIM_CPUS_MAX)");
	assert_string_equal(list("99999999999999999999999"),
			    "--cpus=99999999999999999999999: at most 2048 (MMSIM_CPUS_MAX)");
	assert_string_equal(list("0"), "--cpus=0: at least 1");
	assert_string_equal(list("0-4"), "--cpus=0-4: at least 1");
	assert_string_equal(list("8-4"), "--cpus=8-4: 8 is above 4");
	assert_non_null(strstr(list("1:8*1"), "a step from 2 to 2048"));
	assert_non_null(strstr(list("1:8*0"), "a step from 2 to 2048"));
	assert_non_null(strstr(list("1-8+0"), "a step from 1 to 2048"));
}

static void durations(void **state)
{
	static const struct cli_option o = {.name = "duration"};
	static const struct {
		const char *text;
		u64 ns;
	} good[] = {{"2s", 2000000000},
		    {"100ms", 100000000},
		    {"50us", 50000},
		    {"1.5s", 1500000000},
		    {"1m", 60000000000ull},
		    {"0", 0},
		    {"7ns", 7}};
	static const char *const bad[] = {"",    "2",    "s",    "-1s", "2x",    "1s2",
					  "nan", "infs", "0x1s", " 1s", "1e99s", "100000h"};
	struct cli_error err;
	u64 ns;

	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(cli_duration(&o, good[i].text, 0, 86400000000000ull, &ns, &err));
		assert_int_equal(ns, good[i].ns);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(cli_duration(&o, bad[i], 0, 86400000000000ull, &ns, &err));
		assert_int_equal(strncmp(err.text, "--duration=", 11), 0);
	}
	assert_false(cli_duration(&o, "1ns", 1000, 86400000000000ull, &ns, &err));
	assert_string_equal(err.text, "--duration=1ns: at least 1us");
}

static void numbers(void **state)
{
	static const struct cli_option o = {.name = "seed"};
	static const char *const bad[] = {"", "-1", "x", "1x", "0x", "18446744073709551616", " 1"};
	struct cli_error err;
	u64 n;

	assert_true(cli_u64(&o, "0x5eed", 0, ~0ull, &n, &err));
	assert_int_equal(n, 0x5eed);
	assert_true(cli_u64(&o, "18446744073709551615", 0, ~0ull, &n, &err));
	assert_true(n == ~0ull);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(cli_u64(&o, bad[i], 0, ~0ull, &n, &err));
	assert_false(cli_u64(&o, "11", 1, 10, &n, &err));
	assert_string_equal(err.text, "--seed=11: a whole number from 1 to 10 is allowed");
}

static void nearest_names(void **state)
{
	static const char *const names[] = {"page_fault1", "mmap1", "ebizzy", "pft"};

	assert_string_equal(cli_nearest("page_falt1", names, 4), "page_fault1");
	assert_string_equal(cli_nearest("ebzizy", names, 4), "ebizzy");
	assert_string_equal(cli_nearest("mmap", names, 4), "mmap1");
	assert_string_equal(cli_nearest("page", names, 4), "page_fault1");
	assert_null(cli_nearest("kernbench", names, 4));
	assert_null(cli_nearest("", names, 4));
}

/* ---- the parser ---------------------------------------------------------------------------- */

struct target {
	u32 n;
	bool quiet;
	const char *output;
};

static bool set_n(void *t, const struct cli_option *o, const char *value, struct cli_error *err)
{
	return cli_u32(o, value, 1, 9, &((struct target *)t)->n, err);
}

static bool set_quiet(void *t, const struct cli_option *o, const char *value, struct cli_error *err)
{
	assert_null(value);
	((struct target *)t)->quiet = true;
	return true;
}

static bool set_output(void *t, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	((struct target *)t)->output = value;
	return true;
}

static const struct cli_option table[] = {
	{"number", 'n', "N", "a number", set_n, false},
	{"quiet", 'q', NULL, "be quiet", set_quiet, false},
	{"output", 'o', "FILE", "a file", set_output, false},
	{NULL, 0, NULL, NULL, NULL, false},
};
static const struct cli_command command = {.name = "test", .args = "", .summary = ""};

/* argv from words up to NULL, after the command's name. True: parsed into *t. */
static bool parse(struct target *t, u32 args_max, const char **args, u32 *arg_count, bool stop,
		  struct cli_error *err, ...)
{
	struct cli_group group = {NULL, table, t};
	struct cli_parse p = {.command = &command,
			      .groups = &group,
			      .group_count = 1,
			      .args = args,
			      .args_max = args_max,
			      .stop_at_arg = stop};
	char *argv[16] = {(char *)"test"};
	int argc = 1;
	va_list ap;
	bool ok;

	va_start(ap, err);
	while ((argv[argc] = va_arg(ap, char *)) != NULL)
		argc++;
	va_end(ap);
	memset(t, 0, sizeof(*t));
	ok = cli_parse(&p, argc, argv, err);
	if (arg_count)
		*arg_count = p.arg_count;
	return ok;
}

static void parses(void **state)
{
	const char *args[4];
	struct cli_error err;
	struct target t;
	u32 n;

	assert_true(parse(&t, 0, NULL, NULL, false, &err, "-n", "3", "-q", NULL));
	assert_true(t.n == 3 && t.quiet);
	assert_true(parse(&t, 0, NULL, NULL, false, &err, "-qn3", NULL));
	assert_true(t.n == 3 && t.quiet);
	assert_true(
		parse(&t, 0, NULL, NULL, false, &err, "--number=4", "--output", "--quiet", NULL));
	assert_true(t.n == 4 && !t.quiet);
	assert_string_equal(t.output, "--quiet"); /* a value may look like an option */
	assert_true(parse(&t, 4, args, &n, false, &err, "a", "-n1", "-", "--", "-q", NULL));
	assert_true(n == 3 && t.n == 1 && !t.quiet);
	assert_string_equal(args[1], "-");
	assert_string_equal(args[2], "-q");
	assert_true(parse(&t, 4, args, &n, true, &err, "-n1", "prog", "-q", NULL));
	assert_true(n == 2 && !t.quiet);
}

static void parse_errors(void **state)
{
	struct cli_error err;
	struct target t;

	assert_false(parse(&t, 0, NULL, NULL, false, &err, "--nubmer=1", NULL));
	assert_string_equal(err.text, "--nubmer: unknown option; did you mean --number? "
				      "(test --help lists them)");
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "-x", NULL));
	assert_string_equal(err.text, "-x: unknown option (test --help lists them)");
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "-n", NULL));
	assert_string_equal(err.text, "--number: needs a value (N)");
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "--number", NULL));
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "--quiet=1", NULL));
	assert_string_equal(err.text, "--quiet=1: takes no value");
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "rubbish", NULL));
	assert_string_equal(err.text, "test: unexpected argument 'rubbish'");
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "-n", "10", NULL));
	/* One line, whatever was typed. */
	assert_false(parse(&t, 0, NULL, NULL, false, &err, "--a\nb\x1b", NULL));
	assert_null(strchr(err.text, '\n'));
	assert_null(strchr(err.text, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_lists),     cmocka_unit_test(bad_cpu_lists),
		cmocka_unit_test(durations),     cmocka_unit_test(numbers),
		cmocka_unit_test(nearest_names), cmocka_unit_test(parses),
		cmocka_unit_test(parse_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
