/*
 * Unit test of workloads/replay_check.c: the bundled recordings, compared with the kernel that they
 * were made on: every result, every VMA, every fault, and what each process read of its own maps. A
 * recording that was tampered with must be noticed.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/locking.h>

#include "workloads/replay.h"

#define TRACE_DIR "tests/data/traces/"

static struct trace *trace;
static struct plan *plan;

static void load(const char *path)
{
	struct trace_error err;

	if (trace_load(path, &trace, &err) || plan_create(trace, &plan, &err))
		fail_msg("%s", err.text);
}

static void unload(void)
{
	plan_free(plan);
	trace_free(trace);
}

/* few: faults that were not needed here may be so many in a thousand. */
static void check_clean(const char *name, const struct mm_locking *scheme, u64 results, u64 low,
			u64 few)
{
	struct replay_check_config cfg = {
		.arch = &arch_x86_64, .locking = scheme, .stop_ns = ~0ull};
	struct replay_report r;
	char path[256];

	snprintf(path, sizeof(path), TRACE_DIR "%s.perf.zst", name);
	load(path);
	cfg.plan = plan;
	assert_int_equal(replay_check(&cfg, &r), 0);
	if (replay_stats_differ(&r.total))
		replay_report_print(&r, plan, 0, stderr);
	assert_false(replay_stats_differ(&r.total));
	assert_int_equal(r.total.results_equal, results);
	assert_int_equal(r.total.other_different, 0);
	assert_int_equal(r.total.faults_low, low);
	assert_int_equal(r.total.faults_inside + r.total.faults_low, plan->fault_count);
	/* Pages that the recorded kernel had to map are missing here too, but for a few races. */
	assert_true(r.total.faults_mapped * 1000 <= r.total.faults_needed * few);
	replay_report_free(&r);
	unload();
}

static void test_clean(void **state)
{
	for (u32 i = 0; mm_locking_all[i]; i++) {
		if (!(mm_locking_all[i]->caps & LK_CAP_CORRECT))
			continue;
		check_clean("gcc", mm_locking_all[i], 211, 0, 1);
		check_clean("pythreads", mm_locking_all[i], 123, 0, 1);
		check_clean("java48", mm_locking_all[i], 984, 1, 1);
		check_clean("mariadb", mm_locking_all[i], 255, 0, 1);
		/* calls that overlap in their effects; sparse files, whose pages were not cached */
		check_clean("overlap", mm_locking_all[i], 985, 0, 999);
	}
}

/* ---- maps -------------------------------------------------------------------------------------
 */

/* The next line that is compared, without " (deleted)": unlink was not recorded. NULL: none. */
static char *next_line(char **text)
{
	char *line, *end;

	while ((line = strsep(text, "\n")) && (strstr(line, "[vsyscall]") || *line == '#'))
		;
	if (!line || !*line)
		return NULL;
	end = strstr(line, " (deleted)");
	if (end)
		*end = '\0';
	return line;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

/* "gcc.12090.maps" */
static void compare_maps(const char *file)
{
	struct replay_check_config cfg = {.arch = &arch_x86_64, .locking = &mm_locking_mmap_lock};
	char path[300], name[256], *recorded, *replayed = NULL, *a, *b, *x, *y, *dot;
	u64 sec, ns;
	struct replay_report r;
	size_t bytes;
	u32 lines = 0;

	snprintf(name, sizeof(name), "%s", file);
	dot = strchr(name, '.');
	*dot = '\0';
	snprintf(path, sizeof(path), TRACE_DIR "%s", file);
	recorded = read_all(path);
	snprintf(path, sizeof(path), TRACE_DIR "%s.perf.zst", name);
	load(path);
	assert_int_equal(sscanf(recorded, "# %lu.%lu", &sec, &ns), 2);
	cfg.plan = plan;
	cfg.stop_ns = sec * 1000000000 + ns;
	cfg.maps_pid = atoi(dot + 1);
	cfg.maps = open_memstream(&replayed, &bytes);
	assert_non_null(cfg.maps);
	assert_int_equal(replay_check(&cfg, &r), 0);
	fclose(cfg.maps);
	a = recorded;
	b = replayed;
	do {
		x = next_line(&a);
		y = next_line(&b);
		if (x && y)
			assert_string_equal(x, y);
		lines++;
	} while (x && y);
	assert_ptr_equal(x, y); /* both at their end */
	assert_true(lines > 30);
	replay_report_free(&r);
	unload();
	free(recorded);
	free(replayed);
}

static void test_maps(void **state)
{
	DIR *dir = opendir(TRACE_DIR);
	struct dirent *e;
	u32 files = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		if (strstr(e->d_name, ".maps")) {
			compare_maps(e->d_name);
			files++;
		}
	closedir(dir);
	assert_true(files >= 8);
}

/* ---- differences are found ----------------------------------------------------------------------
 */

static void check_changed(const struct replay_check_config *cfg, struct replay_report *r)
{
	assert_int_equal(replay_check(cfg, r), 0);
	assert_true(replay_stats_differ(&r->total));
	assert_true(r->differences[0][0] != '\0');
}

static void test_differences(void **state)
{
	struct replay_check_config cfg = {
		.arch = &arch_x86_64, .locking = &mm_locking_mmap_lock, .stop_ns = ~0ull};
	struct replay_report r;
	struct plan_call *mmap_call = NULL;
	struct plan_action *fault = NULL;

	load(TRACE_DIR "pythreads.perf.zst");
	cfg.plan = plan;
	for (u32 i = 0; i < plan->call_count && !mmap_call; i++)
		if (plan->calls[i].sys == SYS_TRACE_mmap && plan->calls[i].has_result &&
		    !plan->calls[i].arg[0])
			mmap_call = &plan->calls[i];
	assert_non_null(mmap_call);
	mmap_call->result -= 4096;
	check_changed(&cfg, &r);
	assert_true(r.total.results_different >= 1);
	assert_true(r.total.extents_different >= 1);
	replay_report_free(&r);
	mmap_call->result += 4096;

	for (u64 i = 0; i < plan->action_count && !fault; i++)
		if (plan->actions[i].kind == PLAN_FAULT)
			fault = &plan->actions[i];
	fault->a = 0x10000000000;
	check_changed(&cfg, &r);
	assert_int_equal(r.total.faults_outside, 1);
	assert_int_equal(r.total.results_different, 0);
	replay_report_free(&r);
	/* The recorded kernel sent SIGSEGV: then it is none. */
	fault->flags |= PLAN_FAULT_SIGNAL;
	assert_int_equal(replay_check(&cfg, &r), 0);
	assert_false(replay_stats_differ(&r.total));
	assert_int_equal(r.total.faults_signalled, 1);
	replay_report_free(&r);
	unload();
}

#define BY(task, us) "            prog     7/" task "     [000]     1.0000" us ": "
#define MMAP_NONE                                                                                  \
	BY("7", "10") "syscalls:sys_enter_mmap: addr: 0x10000000, len: 0x1000, prot: 0x0, flags: 0x32, " \
		      "fd: 0xffffffff, off: 0x0\n"                                                 \
	BY("7", "11") "PERF_RECORD_MMAP2 7/7: [0x10000000(0x1000) @ 0x10000000 00:00 0 0]: ---p //anon\n" \
	BY("7", "12") "syscalls:sys_exit_mmap: 0x10000000\n"
#define ALLOW BY("7", "20") "syscalls:sys_enter_mprotect: start: 0x10000000, len: 0x1000, prot: 0x3\n"
#define ALLOWED                                                                                    \
	BY("7", "22") "PERF_RECORD_MMAP2 7/7: [0x10000000(0x1000) @ 0x10000000 00:00 0 0]: rw-p //anon\n" \
	BY("7", "23") "syscalls:sys_exit_mprotect: 0x0\n"
#define TOUCH(us)                                                                                  \
	BY("8", us) "exceptions:page_fault_user: address=0x10000010 ip=0x1 error_code=0x6\n"

static struct replay_stats check_text(const char *text)
{
	struct replay_check_config cfg = { .arch = &arch_x86_64, .locking = &mm_locking_mmap_lock,
					   .stop_ns = ~0ull };
	struct replay_stats total;
	struct replay_report r;
	struct trace_error err;

	if (trace_parse(text, strlen(text), "test", &trace, &err) || plan_create(trace, &plan, &err))
		fail_msg("%s", err.text);
	cfg.plan = plan;
	assert_int_equal(replay_check(&cfg, &r), 0);
	total = r.total;
	replay_report_free(&r);
	unload();
	return total;
}

/* A fault is an event before it waits for the lock: what an mprotect under way allows, it may do. */
static void test_fault_waits(void **state)
{
	struct replay_stats s = check_text(MMAP_NONE ALLOW TOUCH("21") ALLOWED TOUCH("24"));

	assert_int_equal(s.faults_inside, 2);
	assert_int_equal(s.faults_denied, 0);
	assert_int_equal(s.faults_needed, 1);
	assert_int_equal(s.faults_mapped, 1);
	/* but not what comes after the task's next event */
	s = check_text(MMAP_NONE TOUCH("15") TOUCH("16") ALLOW ALLOWED);
	assert_int_equal(s.faults_denied, 1);
	assert_int_equal(s.faults_inside, 2);
}

/* What the recorded kernel refused for a limit is undone, and no difference. */
static void test_limits(void **state)
{
	struct replay_stats s = check_text(
		BY("7", "10") "syscalls:sys_enter_mmap: addr: 0x0, len: 0x1000, prot: 0x3, flags: 0x22, "
			      "fd: 0xffffffff, off: 0x0\n" BY("7", "11")
		"syscalls:sys_exit_mmap: 0xfffffffffffffff4\n" BY("7", "12")
		"syscalls:sys_enter_mmap: addr: 0x0, len: 0x0, prot: 0x3, flags: 0x22, fd: 0xffffffff, "
		"off: 0x0\n" BY("7", "13") "syscalls:sys_exit_mmap: 0xffffffffffffffea\n");

	assert_int_equal(s.limited, 1);
	assert_int_equal(s.results_equal, 1); /* EINVAL */
	assert_false(replay_stats_differ(&s));
}

static void test_no_such_time(void **state)
{
	struct replay_check_config cfg = {.arch = &arch_x86_64,
					  .locking = &mm_locking_mmap_lock,
					  .stop_ns = 1,
					  .maps_pid = 12093,
					  .maps = stderr};
	struct replay_report r;

	load(TRACE_DIR "gcc.perf.zst");
	cfg.plan = plan;
	assert_int_equal(replay_check(&cfg, &r), -3); /* ESRCH */
	unload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_fault_waits),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_no_such_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
