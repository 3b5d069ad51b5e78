/* tests/unit/sim/cli/test_csv.c - result files as they come: quoted, CR LF, cut, binary, several */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/cli/csv.h"

static char path[] = "/tmp/mmsim-test-csv-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int remove_file(void **state)
{
	return unlink(path);
}

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* The error of loading this text; NULL: none. */
static const char *error_of(const char *text, size_t len)
{
	static struct cli_error err;
	struct csv c = {0};
	bool ok;

	write_file(text, len);
	ok = csv_load(&c, path, &err);
	csv_free(&c);
	return ok ? NULL : err.text;
}

static void reads(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a,b,c\r\n1,\"x, \"\"y\"\"\",\r\n2,,3.5\n\n,z,-1e3";
	struct csv c = {0};
	struct cli_error err;
	double n;

	write_file(text, sizeof(text) - 1);
	assert_true(csv_load(&c, path, &err));
	assert_int_equal(c.row_count, 3);
	assert_int_equal(c.column_count, 3);
	assert_string_equal(csv_cell(&c, 0, csv_column(&c, "b")), "x, \"y\"");
	assert_string_equal(csv_cell(&c, 1, csv_column(&c, "b")), "");
	assert_true(csv_number(&c, 1, csv_column(&c, "c"), &n) && n == 3.5);
	assert_true(csv_number(&c, 2, csv_column(&c, "c"), &n) && n == -1000);
	assert_false(csv_number(&c, 0, csv_column(&c, "c"), &n)); /* empty */
	assert_false(csv_number(&c, 0, csv_column(&c, "b"), &n)); /* text */
	assert_int_equal(csv_column(&c, "d"), CSV_NONE);
	csv_free(&c);
}

/* Goal: files of different versions make one table; what one lacks is empty. */
static void merges(void **state)
{
	struct csv c = {0};
	struct cli_error err;

	write_file("a,b\n1,2\n", 8);
	assert_true(csv_load(&c, path, &err));
	write_file("b,x\n3,4\n5,6\n", 12);
	assert_true(csv_load(&c, path, &err));
	assert_int_equal(c.row_count, 3);
	assert_int_equal(c.column_count, 3);
	assert_string_equal(csv_cell(&c, 0, csv_column(&c, "b")), "2");
	assert_string_equal(csv_cell(&c, 0, csv_column(&c, "x")), "");
	assert_string_equal(csv_cell(&c, 2, csv_column(&c, "a")), "");
	assert_string_equal(csv_cell(&c, 2, csv_column(&c, "b")), "5");
	assert_int_equal(c.rows[2].file, 1);
	csv_free(&c);
}

#define ERROR_OF(text) error_of((text), sizeof(text) - 1)

static void refuses(void **state)
{
	struct csv c = {0};
	struct cli_error err;

	assert_non_null(strstr(ERROR_OF(""), "is empty"));
	assert_non_null(strstr(ERROR_OF("a,b\n"), "has no rows"));
	assert_non_null(strstr(ERROR_OF("a,b\n1,2\n3\n"), ":3: 1 cells where the header has 2"));
	assert_non_null(strstr(ERROR_OF("a,a\n1,2\n"), ":1: column a stands twice"));
	assert_non_null(strstr(ERROR_OF("a,\n1,2\n"), ":1: column 2 has no name"));
	assert_non_null(strstr(ERROR_OF("a,b\n1,\"2\n"), ":2: not a CSV file"));
	assert_non_null(strstr(ERROR_OF("a,b\n1,\0\n"), "it is binary"));
	assert_null(ERROR_OF("a\n1\n"));
	assert_false(csv_load(&c, "/no/such/file.csv", &err));
	assert_string_equal(err.text, "/no/such/file.csv: No such file or directory");
	assert_false(csv_load(&c, "/", &err));
	csv_free(&c);
}

static void needs_columns(void **state)
{
	struct csv c = {0};
	struct cli_error err;
	u32 column;

	write_file("ops_per_sec,b\n1,2\n", 18);
	assert_true(csv_load(&c, path, &err));
	assert_true(csv_need_column(&c, "metric", "b", &column, &err));
	assert_int_equal(column, 1);
	assert_false(csv_need_column(&c, "metric", "ops_per_sek", &column, &err));
	assert_non_null(strstr(err.text, "did you mean ops_per_sec?"));
	csv_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(merges),
		cmocka_unit_test(refuses),
		cmocka_unit_test(needs_columns),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
