/* tests/unit/sim/cli/test_groups.c - which rows of results are compared with which, and the figures' data */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/cli/groups.h"
#include "sim/cli/hw.h"
#include "sim/cli/plot_figures.h"

static char dir[] = "/tmp/mmsim-test-groups-XXXXXX";
static char path[sizeof(dir) + 8];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/in.csv", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void load(struct csv *c, struct groups *gs, const char *text, const char *by)
{
	FILE *f = fopen(path, "w");
	struct cli_error err = {""};

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	memset(c, 0, sizeof(*c));
	assert_true(csv_load(c, path, &err));
	if (!groups_make(gs, c, by, &err))
		fail_msg("%s", err.text);
}

static void unload(struct csv *c, struct groups *gs)
{
	groups_free(gs);
	csv_free(c);
}

/* Goal: repeats meet, configurations do not, whatever the order of the rows. */
static void sorts(void **state)
{
	struct csv c;
	struct groups gs;
	struct stats s;

	load(&c, &gs,
	     "workload,params,scheme,cpus,threads,ops_per_sec\n"
	     "pft,,s1,4,4,40\n"
	     "pft,size=1M,s1,1,1,7\n"
	     "pft,,s2,4,4,80\n"
	     "pft,,s1,1,1,10\n"
	     "pft,,s1,4,4,60\n"
	     "mmap1,,s1,1,1,5\n",
	     "scheme");
	assert_int_equal(gs.count, 3);
	assert_string_equal(gs.groups[0].title, "pft");
	assert_string_equal(gs.groups[1].title, "pft size=1M");
	assert_string_equal(gs.groups[2].title, "mmap1");
	assert_int_equal(gs.groups[0].row_count, 4);
	assert_int_equal(gs.groups[0].point_count, 2);
	assert_int_equal(gs.groups[0].points[0].cpus, 1);
	assert_int_equal(gs.groups[0].points[1].cpus, 4);
	assert_false(gs.groups[0].threads_vary);
	assert_int_equal(gs.column_count, 2);
	assert_int_equal(groups_stats(&gs, &gs.groups[0], &gs.groups[0].points[1], 0, 5, &s), 2);
	assert_true(s.min == 40 && s.max == 60);
	assert_int_equal(groups_stats(&gs, &gs.groups[0], &gs.groups[0].points[0], 1, 5, &s), 0);
	unload(&c, &gs);
}

/* Goal: one CPU count with several numbers of tasks is several points, and says so. */
static void tasks_vary(void **state)
{
	struct csv c;
	struct groups gs;
	char name[32];

	load(&c, &gs, "workload,scheme,cpus,threads\nw,s,2,4\nw,s,2,2\nw,s,1,1\n", "scheme");
	assert_int_equal(gs.groups[0].point_count, 3);
	assert_true(gs.groups[0].threads_vary);
	groups_point_name(&gs.groups[0], &gs.groups[0].points[2], name, sizeof(name));
	assert_string_equal(name, "2/4");
	unload(&c, &gs);
}

/* Goal: what is compared does not part the rows, and a scheme does when it is not compared. */
static void by_another_column(void **state)
{
	struct csv c;
	struct groups gs;
	struct cli_error err;

	load(&c, &gs, "workload,scheme,cpus,kernel\nw,s,1,6.4\nw,s,1,6.18\nw,t,1,6.4\n", "kernel");
	assert_int_equal(gs.count, 2);
	assert_string_equal(gs.groups[1].title, "w, t");
	assert_int_equal(gs.column_count, 2);
	assert_false(groups_baseline(&gs, "6.1", &err));
	assert_true(groups_baseline(&gs, "6.18", &err));
	assert_string_equal(gs.columns[0], "6.18");
	assert_string_equal(gs.columns[1], "6.4");
	unload(&c, &gs);
	load(&c, &gs, "workload,scheme,cpus\nw,s,1\nw,t,1\n", "file");
	assert_int_equal(gs.count, 2);
	assert_int_equal(gs.column_count, 1);
	assert_string_equal(gs.columns[0], path);
	unload(&c, &gs);
}

/* All of DIR/NAME, which is removed. */
static char *take_file(const char *name, const char *suffix)
{
	char file[256], *text = calloc(1, 16384);
	FILE *f;

	snprintf(file, sizeof(file), "%s/%s%s", dir, name, suffix);
	f = fopen(file, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, 16383, f) < 16383);
	fclose(f);
	unlink(file);
	return text;
}

/* Goal: a scheme without values keeps its block, so that the next one's index is right, and is not drawn.
 * The speed-up of each is over its own first point, per CPU. */
static void figures(void **state)
{
	struct csv c;
	struct groups gs;
	struct figures f = {.dir = dir};
	struct cli_error err;
	char *gp, *dat;

	load(&c, &gs,
	     "workload,scheme,cpus,ops_per_sec\n"
	     "w,none,1,\nw,some,2,100\nw,some,4,150\nw,it's,2,10\nw,it's,4,10\n",
	     "scheme");
	assert_true(figures_write(&f, &gs, &gs.groups[0], "w", &err));
	assert_int_equal(f.count, 2);
	assert_string_equal(f.names[0], "w-throughput");
	assert_string_equal(f.names[1], "w-speedup");
	gp = take_file("w-throughput", ".gp");
	dat = take_file("w-throughput", ".dat");
	assert_null(strstr(gp, "index 0"));
	assert_null(strstr(gp, "'none'"));
	assert_non_null(strstr(gp, "index 1 using 1:2:3:4 with yerrorlines linetype 2 title 'some'"));
	assert_non_null(strstr(gp, "linetype 3 title 'it''s'"));
	assert_non_null(strstr(dat, "0 NaN NaN NaN 0\n\n\n# some\n"));
	assert_non_null(strstr(dat, "\n2 100 100 100 2\n4 150 150 150 4\n"));
	free(gp);
	free(dat);
	free(take_file("w-speedup", ".gp"));
	dat = take_file("w-speedup", ".dat");
	assert_non_null(strstr(dat, "# some\n# cpus median min max tasks\n2 2 2 2 2\n4 3 3 3 4\n"));
	free(dat);
	unload(&c, &gs);
}

/* Goal: where nothing is counted, the hw_ cells are empty, not 0. */
static void hardware_absent(void **state)
{
	struct result r;

	memset(&r, 0, sizeof(r));
	hw_read(NULL, &r);
	for (u32 i = 0; i < result_hw_count(); i++) {
		assert_int_equal(r.hw[i], -1);
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(result_hw_name(i), result_hw_name(j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts),
		cmocka_unit_test(tasks_vary),
		cmocka_unit_test(by_another_column),
		cmocka_unit_test(figures),
		cmocka_unit_test(hardware_absent),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
