/* tests/unit/sim/cli/test_results.c - columns, and files that only ever hold whole rows */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "sim/cli/csv.h"
#include "sim/cli/results.h"

/* CLI.md's order: scripts rely on it. */
static const char header[] =
	"workload,scheme,tree,arch,engine,machine,cpus,threads,repeat,seed,elapsed_ns,ops,ops_per_"
	"sec,"
	"faults,faults_per_sec,faults_per_cpu_sec,op_ns_mean,op_ns_p50,op_ns_p90,op_ns_p99,op_ns_"
	"p999,"
	"op_ns_max,lock_wait_ns,user_ns,system_ns,idle_ns,host_wall_ns,params,kernel,machine_kind,"
	"version,notes,FAULT_TOTAL,";

static char dir[] = "/tmp/mmsim-test-results-XXXXXX";
static char csv_path[64], json_path[64];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(csv_path, sizeof(csv_path), "%s/r.csv", dir);
	snprintf(json_path, sizeof(json_path), "%s/r.json", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(csv_path);
	unlink(json_path);
	return rmdir(dir); /* fails if something else was left behind */
}

static struct result sample(struct hist *h)
{
	struct result r = {.workload = "page_fault1",
			   .scheme = "mmap_lock",
			   .tree = "maple",
			   .arch = "x86_64",
			   .engine = "native",
			   .machine = "host",
			   .kernel = "6.18",
			   .machine_kind = "",
			   .op = "page written",
			   .cpus = 2,
			   .threads = 4,
			   .repeat = 1,
			   .seed = 7,
			   .elapsed_ns = 2000000000,
			   .ops = 1000,
			   .faults = 500,
			   .user_ns = 900000000,
			   .system_ns = 100000000,
			   .latency = h};

	snprintf(r.params, sizeof(r.params), "size=1M");
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		r.counters[i] = i;
	for (u32 i = 0; i < RESULT_HW_MAX; i++)
		r.hw[i] = -1;
	return r;
}

static void header_is_the_contract(void **state)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	result_csv_header(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(strncmp(text, header, sizeof(header) - 1), 0);
	assert_non_null(strstr(text, ",VMA_LOCK_SUCCESS,"));
	assert_non_null(strstr(text, ",hw_page_faults"));
	free(text);
}

static void expect(const struct csv *c, u32 row, const char *column, const char *value)
{
	assert_string_equal(csv_cell(c, row, csv_column(c, column)), value);
}

/* Goal: what is written can be read back, cell by cell; what is not known is empty. */
static void rows_round_trip(void **state)
{
	struct results_config cfg = {.csv = csv_path};
	struct hist *h = hist_create();
	struct result r = sample(h);
	struct csv c = {0};
	struct cli_error err;
	struct results *rs;

	unlink(csv_path);
	assert_non_null(h);
	result_note(&r, "a \"quoted\", note");
	result_note(&r, "and %d more", 1);
	rs = results_open(&cfg, &err);
	assert_non_null(rs);
	assert_int_equal(access(csv_path, F_OK), -1); /* nothing before the first row */
	assert_true(results_add(rs, &r, &err));
	for (u32 i = 1; i <= 100; i++)
		hist_record(h, i);
	r.hw[0] = 42;
	assert_true(results_add(rs, &r, &err));
	assert_true(csv_load(&c, csv_path, &err)); /* readable before it is closed */
	assert_int_equal(c.row_count, 2);
	assert_true(results_close(rs, &err));
	expect(&c, 0, "ops_per_sec", "500.0");
	expect(&c, 0, "faults_per_sec", "250.0");
	expect(&c, 0, "faults_per_cpu_sec", "500.0");
	expect(&c, 0, "op_ns_p50", "");
	expect(&c, 0, "op_ns_mean", "");
	expect(&c, 0, "params", "size=1M");
	expect(&c, 0, "notes", "a \"quoted\", note; and 1 more");
	expect(&c, 0, "FAULT_USER", "1");
	expect(&c, 0, "hw_cycles", "");
	expect(&c, 1, "op_ns_p50", "50");
	expect(&c, 1, "op_ns_mean", "50.5");
	expect(&c, 1, "op_ns_max", "100");
	expect(&c, 1, "hw_cycles", "42");
	csv_free(&c);
	hist_destroy(h);
}

static void no_rates_without_time(void **state)
{
	struct results_config cfg = {.csv = csv_path};
	struct result r = sample(NULL);
	struct csv c = {0};
	struct cli_error err;
	struct results *rs = results_open(&cfg, &err);

	r.elapsed_ns = r.user_ns = r.system_ns = 0;
	assert_true(results_add(rs, &r, &err));
	assert_true(results_close(rs, &err));
	assert_true(csv_load(&c, csv_path, &err));
	expect(&c, 0, "ops_per_sec", "");
	expect(&c, 0, "faults_per_cpu_sec", "");
	csv_free(&c);
}

static void old_file_stays_until_the_first_row(void **state)
{
	struct results_config cfg = {.csv = csv_path, .json = json_path};
	struct cli_error err;
	struct results *rs;
	struct stat st;
	FILE *f = fopen(csv_path, "w");

	fputs("precious\n", f);
	assert_int_equal(fclose(f), 0);
	assert_true(results_check_paths(&cfg, &err));
	rs = results_open(&cfg, &err);
	assert_non_null(rs);
	assert_true(results_close(rs, &err));
	assert_int_equal(stat(csv_path, &st), 0);
	assert_int_equal(st.st_size, 9);
	assert_int_equal(access(json_path, F_OK), -1);
}

static void json_has_histograms(void **state)
{
	struct results_config cfg = {.json = json_path, .command = "mmsim run"};
	struct hist *h = hist_create();
	struct result r = sample(h);
	struct cli_error err;
	struct results *rs = results_open(&cfg, &err);
	json_t *doc, *row;

	hist_record(h, 5);
	hist_record(h, 5);
	assert_true(results_add(rs, &r, &err));
	assert_true(results_close(rs, &err));
	doc = json_load_file(json_path, 0, NULL);
	assert_non_null(doc);
	row = json_array_get(json_object_get(doc, "results"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "workload")), "page_fault1");
	assert_int_equal(json_integer_value(json_object_get(row, "cpus")), 2);
	assert_true(json_is_null(json_object_get(json_object_get(row, "hw"), "cycles")));
	assert_int_equal(json_array_size(json_object_get(row, "latency_buckets")), 1);
	assert_int_equal(json_integer_value(json_array_get(
				 json_array_get(json_object_get(row, "latency_buckets"), 0), 2)),
			 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(row, "counters"), "FAULT_USER")),
		1);
	json_decref(doc);
	hist_destroy(h);
}

static const char *path_error(const char *csv, const char *json)
{
	struct results_config cfg = {.csv = csv, .json = json};
	static struct cli_error err;

	return results_check_paths(&cfg, &err) ? "" : err.text;
}

static void bad_paths(void **state)
{
	assert_string_equal(
		path_error("/no/such/dir/x.csv", NULL),
		"--output=/no/such/dir/x.csv: cannot be written: No such file or directory");
	assert_non_null(strstr(path_error("/tmp", NULL), "is a directory"));
	assert_non_null(strstr(path_error("", NULL), "a file name is needed"));
	assert_non_null(strstr(path_error(NULL, "-"), "a file name is needed"));
	assert_non_null(strstr(path_error(csv_path, csv_path), "is the same file as --output"));
	assert_string_equal(path_error("-", NULL), "");
	assert_string_equal(path_error("/dev/null", "/dev/null"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_the_contract),
		cmocka_unit_test(rows_round_trip),
		cmocka_unit_test(no_rates_without_time),
		cmocka_unit_test(old_file_stays_until_the_first_row),
		cmocka_unit_test(json_has_histograms),
		cmocka_unit_test(bad_paths),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
