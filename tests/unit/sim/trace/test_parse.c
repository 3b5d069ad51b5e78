/*
 * Unit test of sim/trace/parse.c and load.c: lines of perf script to events, and every way in which
 * a recording can be broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/trace/trace.h"

#define HEAD "            prog 100/101   [001]   804.366465585: "
#define TRACE_DIR "tests/data/traces/"

static struct trace_error err;

static struct trace *parse_ok(const char *text)
{
	struct trace *t = NULL;

	err.text[0] = '\0';
	if (trace_parse(text, strlen(text), "test", &t, &err))
		fail_msg("refused: %s", err.text);
	return t;
}

static void parse_fails(const char *text, const char *why)
{
	struct trace *t = NULL;

	assert_int_equal(trace_parse(text, strlen(text), "test", &t, &err), -22);
	assert_null(t);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
	assert_null(strchr(err.text, '\n'));
}

static void test_fault(void **state)
{
	struct trace *t =
		parse_ok(HEAD "exceptions:page_fault_user: address=0x7fa0c1de5e06 "
			      "ip=0x7fa0c1dcd7ad error_code=0x6\n" HEAD
			      " exceptions:page_fault_kernel: address=0x556e7b56f424 ip=elf_load "
			      "error_code=0x2\n");

	assert_int_equal(t->event_count, 2);
	assert_int_equal(t->events[0].kind, TRACE_FAULT);
	assert_int_equal(t->events[0].arg[0], 0x7fa0c1de5e06);
	assert_int_equal(t->events[0].arg[1], 6);
	assert_int_equal(t->events[0].time_ns, 804366465585ull);
	assert_int_equal(t->events[0].flags, 0);
	assert_int_equal(t->events[1].flags, TRACE_FAULT_KERNEL);
	assert_int_equal(t->task_count, 1);
	assert_int_equal(t->tasks[0].pid, 100);
	assert_int_equal(t->tasks[0].tid, 101);
	trace_free(t);
}

static void test_calls(void **state)
{
	struct trace *t = parse_ok(
		HEAD
		"syscalls:sys_enter_mmap: addr: 0x00000000, len: 0x00002000, prot: 0x00000003, "
		"flags: 0x00000022, fd: 0xffffffff, off: 0x00001000\n" HEAD
		"syscalls:sys_exit_mmap: 0x7fa0c1da8000\n" HEAD
		"syscalls:sys_exit_execve: 0xfffffffffffffffe\n" HEAD
		"syscalls:sys_enter_vfork: \n" HEAD
		"syscalls:sys_enter_execve: filename: 0x7ffc7da02ec0, argv: 0x1, envp: 0x2\n");
	const struct trace_event *e = t->events;

	assert_int_equal(e[0].sys, SYS_TRACE_mmap);
	assert_int_equal(trace_arg(t, &e[0], 1), 0x2000);
	assert_int_equal(trace_arg(t, &e[0], 3), 0x22);
	assert_int_equal(trace_arg(t, &e[0], 4), 0xffffffff);
	assert_int_equal(trace_arg(t, &e[0], 5), 0x1000);
	assert_int_equal(e[1].arg[0], 0x7fa0c1da8000);
	assert_int_equal((s64)e[2].arg[0], -2);
	assert_int_equal(e[3].sys, SYS_TRACE_vfork);
	assert_int_equal(e[4].sys, SYS_TRACE_execve);
	trace_free(t);
}

static void test_records(void **state)
{
	struct trace *t = parse_ok(
		HEAD
		"PERF_RECORD_MMAP2 100/101: [0x7fa0c1bb8000(0x1e2000) @ 0x1000 fe:00 332835 7]: "
		"r-xp /usr/lib/a file (deleted)\n" HEAD
		"PERF_RECORD_MMAP2 100/101: [0x1000(0x1000) @ 0 <0badcafe>]: rw-s /x\n" HEAD
		"PERF_RECORD_COMM exec: a:b/c:100/100\n" HEAD
		"PERF_RECORD_FORK(102:102):(100:101)\n" HEAD
		"PERF_RECORD_EXIT(102:102):(100:100)\n" HEAD "PERF_RECORD_LOST lost 15\n");
	const struct trace_event *e = t->events;

	assert_int_equal(trace_map_field(t, &e[0], MAP_PGOFF), 0x1000);
	assert_int_equal(trace_map_field(t, &e[0], MAP_DEV), 0xfeull << 32);
	assert_int_equal(trace_map_field(t, &e[0], MAP_INO), 332835);
	assert_string_equal(trace_name(t, (u32)trace_map_field(t, &e[0], MAP_NAME)),
			    "/usr/lib/a file (deleted)");
	assert_int_equal(e[0].flags, TRACE_MAP_READ | TRACE_MAP_EXEC);
	assert_int_equal(e[1].flags, TRACE_MAP_READ | TRACE_MAP_WRITE | TRACE_MAP_SHARED);
	assert_int_equal(e[2].arg[0], 1);
	assert_string_equal(trace_name(t, e[2].ext), "a:b/c");
	assert_int_equal(trace_tid(e[3].arg[0]), 102);
	assert_int_equal(trace_tid(e[3].arg[1]), 101);
	assert_int_equal(e[4].kind, TRACE_TASK_EXIT);
	assert_int_equal(t->lost, 15);
	trace_free(t);
}

/* The command's name may look like anything. */
static void test_comm(void **state)
{
	static const char *const heads[] = {
		" Signal Dispatch 11909/11920 [000]   794.734174004: ",
		"pool-1-thread-3  11909/11920 [000]   794.734174004: ",
		"       12/34 [0] 11909/11920 [000]   794.734174004: ",
		"   a: [001] 5.0: 11909/11920 [000]   794.734174004: ",
		"           x/y:z 11909/11920 [000]   794.734174004: ",
		"                 11909/11920 [000]   794.734174004: ",
		"x 11909/11920 [000] 794.734174004: ",
		"\xc3\xa9\xc3\xa8 x 11909/11920 [000]   794.734174004: ",
		"            java 11909/11920   794.734174004: ",
	};

	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		char text[256];
		struct trace *t;

		snprintf(text, sizeof(text), "%ssyscalls:sys_exit_brk: 0x5000\n", heads[i]);
		t = parse_ok(text);
		assert_int_equal(t->tasks[t->events[0].task].pid, 11909);
		assert_int_equal(t->tasks[t->events[0].task].tid, 11920);
		assert_int_equal(t->events[0].time_ns, 794734174004ull);
		trace_free(t);
	}
}

static void test_tolerated(void **state)
{
	struct trace *t = parse_ok(
		"# a comment\n\n" HEAD "sched:sched_switch: prev_comm=x ==> next_comm=y\n" HEAD
		"syscalls:sys_enter_read: fd: 0x3\n" HEAD "PERF_RECORD_KSYMBOL addr 1\n" HEAD
		"sched:sched_switch: again\n" HEAD "syscalls:sys_exit_brk: 0x1000\n" HEAD
		"exceptions:page_fault_kernel: address=init_task ip=x error_code=0x0\n" HEAD
		"PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x120bb08) @ 0xffffffff81000000]: x "
		"[k]\n");

	assert_int_equal(t->event_count, 1);
	assert_int_equal(t->unknown_count, 3);
	assert_string_equal(trace_name(t, t->unknown[0].name), "sched:sched_switch");
	assert_int_equal(t->unknown[0].count, 2);
	trace_free(t);
}

static void test_errors(void **state)
{
	parse_fails("", "is empty");
	parse_fails("# only a comment\n", "no event");
	parse_fails("hello world\n", "test:1: not a line of perf script: 'hello world'");
	parse_fails("\x7f"
		    "ELF\x02\x01\n",
		    "not a line of perf script");
	parse_fails("PERFILE2h\n", "perf.data itself");
	parse_fails(HEAD "syscalls:sys_exit_brk: 0x1000\n" HEAD "syscalls:sys_exit_b",
		    "test:2: the last line is cut off");
	parse_fails(HEAD "syscalls:sys_exit_brk: \n", "sys_exit_brk: the result");
	parse_fails(HEAD "syscalls:sys_enter_munmap: addr: 0x1000\n", "argument 2");
	parse_fails(HEAD "exceptions:page_fault_user: ip=0 error_code=0\n", "without an address");
	parse_fails(HEAD "exceptions:page_fault_user: address=0x1 ip=0\n", "error code");
	parse_fails(HEAD "PERF_RECORD_MMAP2 1/1: [0x1000(0x1001) @ 0 00:00 0 0]: rw-p x\n",
		    "impossible range");
	parse_fails(HEAD "PERF_RECORD_MMAP2 1/1: [0x1000(0x1000) @ 0 00:00 0]: rw-p x\n", "inode");
	parse_fails(HEAD "PERF_RECORD_FORK(1:1):(2\n", "FORK");
	parse_fails(HEAD "PERF_RECORD_COMM exec: x\n", "COMM");
	parse_fails(HEAD "nonsense\n", "no event");
	parse_fails("            prog 100/101   [001]   804: syscalls:sys_exit_brk: 0x1000\n",
		    "not a line");
}

/* Every cut and many changes of real lines: an error or a trace, never worse (run it with ASan). */
static void test_mutations(void **state)
{
	static const char text[] = HEAD
		"PERF_RECORD_COMM exec: prog:100/100\n" HEAD
		"PERF_RECORD_MMAP2 100/101: [0x1000(0x2000) @ 0x1000 fe:00 332 7]: r-xp /x\n" HEAD
		"syscalls:sys_enter_mmap: addr: 0x0, len: 0x2000, prot: 0x3, flags: 0x22, fd: "
		"0xffffffff, off: 0x0\n" HEAD "syscalls:sys_exit_mmap: 0x7fa0c1da8000\n" HEAD
		"exceptions:page_fault_user: address=0x7fa ip=0x7fa error_code=0x6\n" HEAD
		"task:task_newtask: pid=3 comm=x clone_flags=3d0f00 oom_score_adj=0\n" HEAD
		"signal:signal_generate: sig=11 errno=0 code=1 comm=x pid=1 grp=0 res=0\n" HEAD
		"PERF_RECORD_FORK(102:102):(100:101)\n";
	const char *env = getenv("MMSIM_SEED");
	u64 seed = env ? strtoull(env, NULL, 0) : 0x5eed, rng = seed | 1;
	size_t len = sizeof(text) - 1;
	u32 ok = 0, refused = 0;
	char *copy = malloc(len);

	assert_non_null(copy);
	print_message("seed %#llx\n", (unsigned long long)seed);
	for (u32 round = 0; round < 20000; round++) {
		size_t cut = round < len ? round : len;
		struct trace *t = NULL;

		memcpy(copy, text, len);
		for (u32 i = 0; round >= len && i < 1 + round % 4; i++) {
			rng = rng * 6364136223846793005ull + 1442695040888963407ull;
			copy[(rng >> 33) % len] = (char)(rng >> 20);
		}
		if (trace_parse(copy, cut, "test", &t, &err) == 0) {
			ok++;
			trace_free(t);
		} else {
			refused++;
			assert_true(strlen(err.text) > 5);
			assert_null(strchr(err.text, '\n'));
		}
	}
	assert_true(ok > 0);
	assert_true(refused > 0);
	free(copy);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void load_fails(const char *path, const char *why)
{
	struct trace *t = NULL;

	assert_int_equal(trace_load(path, &t, &err), -22);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
}

static void write_file(const char *path, const char *from, size_t bytes)
{
	char *buf = malloc(bytes + 1);
	FILE *in = fopen(from, "r"), *out = fopen(path, "w");

	assert_non_null(buf);
	assert_non_null(in);
	assert_non_null(out);
	bytes = fread(buf, 1, bytes, in);
	assert_int_equal(fwrite(buf, 1, bytes, out), bytes);
	fclose(in);
	fclose(out);
	free(buf);
}

static void test_files(void **state)
{
	char path[] = "/tmp/mmsim-test-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	load_fails(path, "is empty");
	write_file(path, TRACE_DIR "gcc.perf.zst", 100000);
	load_fails(path, "cannot be read to its end");
	load_fails("/", "is a directory");
	load_fails("no/such/file", "No such file");
	load_fails(TRACE_DIR "gcc.12090.maps", "not a line of perf script");
	unlink(path);
}

/* Goal: lines that are of an earlier time than one before them are counted, and the first is known. */
static void test_backwards(void **state)
{
#define AT(time) "prog 1/1 [000] " time ": exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x4\n"
	struct trace *t = parse_ok(AT("5.000000001") AT("5.000000001") AT("6.0") AT("4.0") AT("5.5") AT("7.0"));

	assert_int_equal(t->backwards, 2);
	assert_int_equal(t->backwards_line, 4);
	assert_int_equal(t->last_ns, 7000000000ull);
	trace_free(t);
#undef AT
}

static void test_nul(void **state)
{
	static const char text[] = HEAD "exceptions:page_fault_user: address=0x1000 ip=0\0x1 error_code=0x4\n";
	struct trace *t = NULL;

	assert_int_equal(trace_parse(text, sizeof(text) - 1, "test", &t, &err), -22);
	assert_string_equal(err.text, "test:1: holds a NUL byte: not the text of perf script");
}

static void test_bundled(void **state)
{
	static const struct {
		const char *path;
		u64 lines;
	} bundled[] = {{TRACE_DIR "gcc.perf.zst", 39561},
		       {TRACE_DIR "java48.perf.zst", 79513},
		       {TRACE_DIR "mariadb.perf.zst", 39711},
		       {TRACE_DIR "pythreads.perf.zst", 30527}};

	for (u32 i = 0; i < ARRAY_SIZE(bundled); i++) {
		struct trace *t;

		assert_int_equal(trace_load(bundled[i].path, &t, &err), 0);
		assert_int_equal(t->line_count, bundled[i].lines);
		assert_int_equal(t->event_count, bundled[i].lines);
		assert_int_equal(t->unknown_count, 0);
		assert_int_equal(t->lost, 0);
		assert_int_equal(t->backwards, 0);
		trace_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault),     cmocka_unit_test(test_calls),
		cmocka_unit_test(test_records),   cmocka_unit_test(test_comm),
		cmocka_unit_test(test_tolerated), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_mutations), cmocka_unit_test(test_files),
		cmocka_unit_test(test_bundled),   cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
