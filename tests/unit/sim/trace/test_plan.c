/*
 * Unit test of sim/trace/plan*.c: what small recordings mean
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/file.h>

#include "sim/trace/plan.h"

/* A recording is written line by line: who, at which microsecond, what. */
static char text[65536];
static size_t text_len;
static struct trace *trace;
static struct plan *plan;

static void line(int pid, int tid, int us, const char *event)
{
	text_len += (size_t)snprintf(text + text_len, sizeof(text) - text_len,
				     "            prog %5d/%-5d [000]     1.%06d000: %s\n", pid,
				     tid, us, event);
}

static int setup(void **state)
{
	text_len = 0;
	trace = NULL;
	plan = NULL;
	return 0;
}

static int teardown(void **state)
{
	plan_free(plan);
	trace_free(trace);
	return 0;
}

static void make_plan(void)
{
	struct trace_error err;

	if (trace_parse(text, text_len, "test", &trace, &err) || plan_create(trace, &plan, &err))
		fail_msg("%s", err.text);
}

static void exec_image(int pid, int us)
{
	line(pid, pid, us, "PERF_RECORD_COMM exec: prog:1/1");
	/* the record names the process: patch it */
	text_len -= strlen("1/1\n");
	text_len += (size_t)sprintf(text + text_len, "%d/%d\n", pid, pid);
	line(pid, pid, us + 1,
	     "PERF_RECORD_MMAP2 1/1: [0x7ffc7d9e3000(0x21000) @ 0x7ffffffde000 00:00 0 0]: rw-p "
	     "[stack]");
	line(pid, pid, us + 2,
	     "PERF_RECORD_MMAP2 1/1: [0x555500000000(0xd000) @ 0 fe:00 10 0]: r--p /bin/prog");
	line(pid, pid, us + 3,
	     "PERF_RECORD_MMAP2 1/1: [0x555500008000(0x5000) @ 0x2000 fe:00 10 0]: rw-p /bin/prog");
	line(pid, pid, us + 4,
	     "PERF_RECORD_MMAP2 1/1: [0x7fa0c1db2000(0x35000) @ 0 fe:00 11 0]: r--p /lib/ld.so");
	line(pid, pid, us + 5,
	     "PERF_RECORD_MMAP2 1/1: [0x7fa0c1db3000(0x34000) @ 0x1000 fe:00 11 0]: r-xp "
	     "/lib/ld.so");
	line(pid, pid, us + 6,
	     "PERF_RECORD_MMAP2 1/1: [0x7fa0c1db0000(0x2000) @ 0 00:00 0 0]: r-xp [vdso]");
	line(pid, pid, us + 7, "syscalls:sys_exit_execve: 0x0");
	line(pid, pid, us + 8, "syscalls:sys_enter_brk: brk: 0x00000000");
	line(pid, pid, us + 9, "syscalls:sys_exit_brk: 0x555570000000");
}

/* The n-th action of a kind, or NULL. */
static const struct plan_action *nth(enum plan_kind kind, u32 n)
{
	for (u64 i = 0; i < plan->action_count; i++)
		if (plan->actions[i].kind == kind && n-- == 0)
			return &plan->actions[i];
	return NULL;
}

/*
 *   segment 1   r--  [0, 0xd000) as recorded, really [0, 0x3000): offset 0x2000 plus a shared page
 *   hole             [0x3000, 0x8000)
 *   segment 2   rw-  [0x8000, 0xd000)
 */
static void test_image(void **state)
{
	const struct plan_action *a;

	exec_image(1, 0);
	make_plan();
	assert_non_null(nth(PLAN_SPACE_NEW, 0));
	a = nth(PLAN_IMAGE_TRIM, 0);
	assert_non_null(a);
	assert_int_equal(a->a, 0x555500003000);
	assert_int_equal(a->b, 0xa000);
	/* the interpreter has no hole: trimmed to where its second segment begins */
	a = nth(PLAN_IMAGE_TRIM, 1);
	assert_int_equal(a->a, 0x7fa0c1db3000);
	a = nth(PLAN_IMAGE_DONE, 0);
	assert_int_equal(a->a, 0x7fa0c1de7000); /* mmap_base: the interpreter's end */
	assert_int_equal(a->b, 0x555570000000); /* the heap: the first brk's answer */
	a = nth(PLAN_IMAGE_FILE, 0);
	assert_true(plan->calls[a->call].file == plan->calls[nth(PLAN_IMAGE_FILE, 1)->call].file);
	assert_true(plan->calls[a->call].file != plan->calls[nth(PLAN_IMAGE_FILE, 2)->call].file);
}

/* munmap of thread 2 entered before thread 1's mmap took effect: it goes first. */
static void test_order(void **state)
{
	exec_image(1, 0);
	line(1, 2, 20, "syscalls:sys_enter_munmap: addr: 0x7f0000000000, len: 0x1000");
	line(1, 1, 21,
	     "syscalls:sys_enter_mmap: addr: 0x0, len: 0x1000, prot: 0x3, flags: 0x22, fd: "
	     "0xffffffff, off: 0x0");
	line(1, 1, 22,
	     "PERF_RECORD_MMAP2 1/1: [0x7f0000000000(0x1000) @ 0x7f0000000000 00:00 0 0]: rw-p "
	     "//anon");
	line(1, 1, 23, "syscalls:sys_exit_mmap: 0x7f0000000000");
	line(1, 2, 24, "syscalls:sys_exit_munmap: 0x0");
	line(1, 2, 25, "syscalls:sys_enter_munmap: addr: 0x7f0000000000, len: 0x1000");
	line(1, 2, 26, "syscalls:sys_exit_munmap: 0x0");
	make_plan();
	/* call 0 is brk */
	assert_int_equal(plan->calls[nth(PLAN_CALL, 1)->call].sys, SYS_TRACE_munmap);
	assert_int_equal(nth(PLAN_CALL, 1)->time_ns, 1000022000);
	assert_int_equal(plan->calls[nth(PLAN_CALL, 2)->call].sys, SYS_TRACE_mmap);
	assert_int_equal(nth(PLAN_CALL, 2)->time_ns, 1000022000);
	assert_int_equal(nth(PLAN_CALL, 3)->time_ns, 1000026000);
	assert_int_equal(plan->calls[nth(PLAN_CALL, 2)->call].result, 0x7f0000000000);
}

static void fork_lines(const char *call)
{
	char event[128];

	exec_image(1, 0);
	snprintf(event, sizeof(event), "syscalls:sys_enter_%s: clone_flags: 0x1200011, newsp: 0x0",
		 call);
	line(1, 1, 20, event);
	line(1, 1, 21, "PERF_RECORD_FORK(3:3):(1:1)");
}

static void test_fork_copies(void **state)
{
	fork_lines("clone");
	make_plan();
	assert_non_null(nth(PLAN_SPACE_FORK, 0));
	assert_int_equal(plan->procs[plan_find_pid(plan, 3)].space, nth(PLAN_SPACE_FORK, 0)->a);
	assert_int_equal(nth(PLAN_TASK_START, 0)->flags, 0);
}

static void test_vfork_shares(void **state)
{
	fork_lines("vfork");
	line(3, 3, 22, "syscalls:sys_enter_execve: filename: 0x1, argv: 0x2, envp: 0x3");
	line(1, 1, 23, "syscalls:sys_exit_vfork: 0x3");
	exec_image(3, 30);
	line(3, 3, 50, "PERF_RECORD_EXIT(3:3):(1:1)");
	make_plan();
	assert_null(nth(PLAN_SPACE_FORK, 0));
	assert_int_equal(nth(PLAN_TASK_START, 0)->flags, PLAN_START_SHARES);
	assert_non_null(nth(PLAN_SPACE_NEW, 1));
	/* only the child's own space ends */
	assert_int_equal(nth(PLAN_SPACE_PUT, 0)->space, nth(PLAN_SPACE_NEW, 1)->space);
	assert_null(nth(PLAN_SPACE_PUT, 1));
}

/* clone3 hides its flags: a parent that returns after the child's execve was in vfork. */
static void test_clone3(void **state)
{
	fork_lines("clone3");
	line(3, 3, 22, "syscalls:sys_enter_execve: filename: 0x1, argv: 0x2, envp: 0x3");
	line(1, 1, 23, "syscalls:sys_exit_clone3: 0x3");
	make_plan();
	assert_null(nth(PLAN_SPACE_FORK, 0));
	plan_free(plan);
	trace_free(trace);
	text_len = 0;
	fork_lines("clone3");
	line(1, 1, 22, "syscalls:sys_exit_clone3: 0x3");
	line(3, 3, 23, "syscalls:sys_enter_execve: filename: 0x1, argv: 0x2, envp: 0x3");
	make_plan();
	assert_non_null(nth(PLAN_SPACE_FORK, 0));
	plan_free(plan);
	trace_free(trace);
	text_len = 0;
	fork_lines("clone3");
	line(1, 1, 22, "task:task_newtask: pid=3 comm=prog clone_flags=4111 oom_score_adj=0");
	line(1, 1, 23, "syscalls:sys_exit_clone3: 0x3");
	make_plan();
	assert_null(nth(PLAN_SPACE_FORK, 0));
}

static void map_file(int us, u64 addr, u32 fd, u32 ino, u64 offset, u64 len)
{
	char event[256];

	snprintf(event, sizeof(event),
		 "syscalls:sys_enter_mmap: addr: 0x0, len: %#llx, prot: 0x1, flags: 0x2, fd: 0x%x, "
		 "off: %#llx",
		 (unsigned long long)len, fd, (unsigned long long)offset);
	line(1, 1, us, event);
	snprintf(event, sizeof(event),
		 "PERF_RECORD_MMAP2 1/1: [%#llx(%#llx) @ %#llx 00:2a %u 0]: r--p /lib/%u",
		 (unsigned long long)addr, (unsigned long long)len, (unsigned long long)offset, ino,
		 ino);
	line(1, 1, us + 1, event);
	snprintf(event, sizeof(event), "syscalls:sys_exit_mmap: %#llx", (unsigned long long)addr);
	line(1, 1, us + 2, event);
}

static u32 file_of_call(u32 n)
{
	return plan->calls[nth(PLAN_CALL, n)->call].file;
}

static void test_open_files(void **state)
{
	exec_image(1, 0);
	map_file(20, 0x7f0000000000, 3, 77, 0, 0x1000);
	map_file(30, 0x7f0000001000, 3, 77, 0x1000, 0x1000); /* the same */
	map_file(40, 0x7f0000010000, 4, 77, 0, 0x1000);      /* another descriptor */
	map_file(50, 0x7f0000020000, 3, 78, 0, 0x1000);      /* 3 is another file now */
	map_file(60, 0x7f0000030000, 3, 77, 0, 0x1000);      /* and was opened again */
	make_plan();
	assert_int_equal(file_of_call(1), file_of_call(2));
	assert_int_not_equal(file_of_call(1), file_of_call(3));
	assert_int_not_equal(file_of_call(1), file_of_call(4));
	assert_int_not_equal(file_of_call(1), file_of_call(5));
	assert_int_equal(plan->files[file_of_call(1)].inode, plan->files[file_of_call(5)].inode);
	assert_int_equal(plan->inodes[plan->files[file_of_call(1)].inode].size_bytes, 0x2000);
	/* no major number and no evidence of 2 MiB alignment */
	assert_int_equal(plan->inodes[plan->files[file_of_call(1)].inode].kind, INODE_NO_HUGE);
}

static void test_device_by_evidence(void **state)
{
	exec_image(1, 0);
	map_file(20, 0x7f0000200000, 3, 77, 0, 0x400000);
	make_plan();
	assert_int_equal(plan->inodes[plan->files[file_of_call(1)].inode].kind, INODE_REGULAR);
}

/* A multi-threaded exec: the caller becomes the leader, the others are gone. */
static void test_exec_of_thread(void **state)
{
	exec_image(1, 0);
	line(1, 1, 20, "syscalls:sys_enter_clone3: ");
	line(1, 1, 21, "PERF_RECORD_FORK(1:2):(1:1)");
	line(1, 2, 22, "syscalls:sys_enter_execve: filename: 0x1, argv: 0x2, envp: 0x3");
	line(1, 2, 23,
	     "PERF_RECORD_MMAP2 1/2: [0x7ffffffde000(0x1000) @ 0x7ffffffde000 00:00 0 0]: rw-p "
	     "[stack]");
	line(1, 1, 24, "PERF_RECORD_EXIT(1:1):(0:0)");
	exec_image(1, 30);
	make_plan();
	assert_null(nth(PLAN_ORPHAN, 0)); /* the temporary stack is not the old image's */
	assert_non_null(nth(PLAN_SPACE_NEW, 1));
	assert_int_equal(nth(PLAN_SPACE_PUT, 0)->space, nth(PLAN_SPACE_NEW, 0)->space);
	assert_int_equal(plan->procs[0].live, 1);
}

static void test_stack_growth(void **state)
{
	exec_image(1, 0);
	line(1, 1, 20, "exceptions:page_fault_user: address=0x7ffc7d9e2ff8 ip=0x1 error_code=0x6");
	line(1, 1, 21,
	     "PERF_RECORD_MMAP2 1/1: [0x7ffc7d9e2000(0x22000) @ 0x7ffffffdd000 00:00 0 0]: rw-p "
	     "[stack]");
	line(1, 1, 22,
	     "PERF_RECORD_MMAP2 1/1: [0x7f0000000000(0x1000) @ 0 00:01 5 0]: rw-s /SYSV00000000 "
	     "(deleted)");
	make_plan();
	assert_non_null(nth(PLAN_RECORD, 0));
	/* and shmat, which is no recorded call */
	assert_int_equal(plan->calls[nth(PLAN_ORPHAN, 0)->call].arg[0], 0x7f0000000000);
	assert_null(nth(PLAN_ORPHAN, 1));
}

/* perf tells what a process had mapped when the recording began, at time 0 and in nobody's name. */
static void test_attached(void **state)
{
	static const char *const early[] = {
		"[0x7f0000000000(0x2000) @ 0 fe:00 11 0]: r-xp /lib/x.so",
		"[0x7f0000010000(0x1000) @ 0x7f0000010000 00:00 0 0]: rw-p //anon",
		"[0x7ffc7d9e3000(0x21000) @ 0 00:00 0 0]: rw-p [stack]",
		"[0xffffffffff600000(0x1000) @ 0 00:00 0 0]: --xp [vsyscall]",
	};

	for (u32 i = 0; i < ARRAY_SIZE(early); i++)
		text_len += (size_t)sprintf(text + text_len,
					    "            prog     0/0     [000]     "
					    "0.000000000: PERF_RECORD_MMAP2 7/7: %s\n",
					    early[i]);
	line(7, 7, 1, "exceptions:page_fault_user: address=0x7f0000010008 ip=0x1 error_code=0x6");
	make_plan();
	assert_int_equal(plan->proc_count, 1);
	assert_true(plan->procs[0].was_running);
	assert_non_null(nth(PLAN_ORPHAN, 1));
	assert_null(nth(PLAN_ORPHAN, 2));
	assert_non_null(nth(PLAN_IMAGE_STACK, 0));
	assert_int_equal(nth(PLAN_IMAGE_DONE, 0)->a, 0x7f0000011000);
	assert_true(nth(PLAN_FAULT, 0) > nth(PLAN_IMAGE_DONE, 0));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_image),
		T(test_order),
		T(test_fork_copies),
		T(test_vfork_shares),
		T(test_clone3),
		T(test_open_files),
		T(test_device_by_evidence),
		T(test_exec_of_thread),
		T(test_stack_growth),
		T(test_attached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
