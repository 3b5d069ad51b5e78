/* tests/unit/sim/cli/test_run.c - what is refused before anything runs, and job files */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/cli/run.h"

static const struct cli_command command = {.name = "run", .args = "", .summary = ""};

/* Parse words up to NULL as `mmsim run` would, and check. */
static bool parse_words(struct run_options *o, struct cli_error *err, va_list ap)
{
	struct cli_group groups[] = {{NULL, run_option_table, o},
				     {NULL, run_workload_table, o},
				     {NULL, run_machine_table, o}};
	struct cli_parse p = {.command = &command, .groups = groups, .group_count = 3};
	char *argv[24] = {(char *)"run"};
	int argc = 1;

	while ((argv[argc] = va_arg(ap, char *)) != NULL)
		argc++;
	return cli_parse(&p, argc, argv, err);
}

/* The error of this command line; "": none. */
static const char *check(const char *first, ...)
{
	static struct cli_error err;
	struct run_options o;
	va_list ap;
	bool ok;

	(void)first;
	err.text[0] = 0;
	run_options_init(&o);
	va_start(ap, first);
	ok = parse_words(&o, &err, ap) && run_check(&o, 1, &err);
	va_end(ap);
	run_options_free(&o);
	assert_int_equal(ok, err.text[0] == 0);
	return err.text;
}

#define CHECK(...) check("", __VA_ARGS__, NULL)

static void good(void **state)
{
	assert_string_equal(CHECK("-w", "page_fault1"), "");
	assert_string_equal(CHECK("-w", "all", "-s", "all", "-c", "1,2", "-d", "2s"), "");
	assert_string_equal(CHECK("-w", "page_fault1,ebizzy", "-p", "size=64M"), "");
	assert_string_equal(CHECK("-w", "ebizzy", "-p", "rng=fixed", "-p", "touch=no"), "");
	assert_string_equal(CHECK("-w", "pft", "-s", "lock_null", "-c", "1", "-t", "1"), "");
	assert_string_equal(
		CHECK("-w", "mmap1", "-e", "native", "--tree", "maple", "--kernel", "6.18"), "");
	assert_string_equal(CHECK("-w", "mmap1", "-p", "sample=1", "-n", "100"), "");
}

static void names(void **state)
{
	assert_non_null(
		strstr(CHECK("-w", "page_falt1"),
		       "--workload=page_falt1: unknown workload; did you mean page_fault1?"));
	assert_non_null(strstr(CHECK("-w", "mmap1,"), "an empty name in the list"));
	assert_non_null(strstr(CHECK("-w", ""), "an empty name in the list"));
	assert_string_equal(CHECK("-w", "mmap1,mmap1"),
			    "--workload=mmap1,mmap1: mmap1 is named twice");
	assert_non_null(strstr(CHECK("-w", "mmap1", "-s", "vma_refcount"),
			       "did you mean vma_refcnt? (allowed: mmap_lock"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-a", "arm"), "unknown architecture"));
	assert_string_equal(CHECK("-w", "mmap1", "-e", "host"),
			    "--engine=host: unknown engine (allowed: native, virtual)");
	assert_string_equal(CHECK("-w", "mmap1", "--tree=bst"),
			    "--tree=bst: unknown tree (allowed: maple, rb)");
	assert_string_equal(CHECK("-w", "mmap1", "-s", "vma_refcnt", "--tree=rb"), "");
	assert_string_equal(CHECK("-w", "mmap1", "--kernel", "4.12"), "");
	assert_string_equal(CHECK("-w", "mmap1", "--kernel", "3.10"),
			    "--kernel=3.10: unknown kernel era; did you mean 4.12? (allowed: 4.12, 4.15, 6.4, 6.18)");
	assert_non_null(strstr(CHECK("-c", "1"), "--workload: is needed"));
}

static void combinations(void **state)
{
	assert_non_null(strstr(CHECK("-w", "mmap1", "-n", "5", "-d", "1s"), "not both"));
	assert_non_null(
		strstr(CHECK("-w", "mmap1", "-s", "lock_null", "-c", "2"), "is for one task"));
	assert_non_null(
		strstr(CHECK("-w", "ebizzy", "-s", "lock_null", "-c", "1"), "is for one task"));
	assert_non_null(strstr(CHECK("-w", "ebizzy", "-c", "2048"), "would have 4096 tasks"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-t", "0"), "a number from 1"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-t", "x"), "a number from 1"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-t", "99999999x"), "a number from 1"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-r", "0"), "--repeats=0"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-n", "0"), "--ops=0"));
	assert_non_null(strstr(CHECK("-w", "mmap1", "-d", "0s"), "--duration=0s: at least"));
}

static void params(void **state)
{
	assert_non_null(strstr(CHECK("-w", "page_fault1", "-p", "sise=1M"), "did you mean size?"));
	assert_non_null(
		strstr(CHECK("-w", "page_fault1", "-p", "rng=fixed"), "unknown parameter of"));
	assert_non_null(strstr(CHECK("-w", "page_fault1", "-p", "size"), "key=value is needed"));
	assert_non_null(strstr(CHECK("-w", "page_fault1", "-p", "=1"), "key=value is needed"));
	assert_non_null(
		strstr(CHECK("-w", "page_fault1", "-p", "size="), "allowed: from 64K to 64G"));
	assert_non_null(
		strstr(CHECK("-w", "page_fault1", "-p", "size=1"), "allowed: from 64K to 64G"));
	assert_non_null(strstr(CHECK("-w", "page_fault1", "-p", "size=-1"), "allowed: from"));
	assert_non_null(
		strstr(CHECK("-w", "page_fault1", "-p", "size=99999999999T"), "allowed: from"));
	assert_non_null(strstr(CHECK("-w", "ebizzy", "-p", "rng=x"), "allowed: published, fixed"));
	assert_non_null(strstr(CHECK("-w", "ebizzy", "-p", "touch=2"), "allowed: 0 or 1"));
	assert_non_null(strstr(CHECK("-w", "ebizzy", "-p", "rng=fixed", "-p", "rng=published"),
			       "rng is given twice"));
	assert_string_equal(CHECK("-w", "multi_fault", "-p", "part=16M"),
			    "--param: multi_fault: part=16777216 does not fit into slot=8388608");
	assert_non_null(strstr(CHECK("-w", "pft", "-p", "size=4K", "-c", "2"), "less than a page"));
	assert_string_equal(CHECK("-w", "mmap1", "-p", "memory=1"),
			    "--param=memory=1: allowed: 0, or from 256K (64 pages of 4K)");
	assert_string_equal(CHECK("-w", "mmap1", "-a", "arm64-64k", "-p", "memory=256K"),
			    "--param=memory=262144: allowed: 0, or from 4096K (64 pages of 64K)");
	assert_string_equal(CHECK("-w", "mmap1", "-p", "memory=256K"), "");
	assert_string_equal(CHECK("-w", "mmap1", "-p", "content_words=3"),
			    "--param=content_words=3: allowed: 0 and powers of two from 1 to 8");
	assert_string_equal(CHECK("-w", "mmap1", "-p", "content_words=0"), "");
	assert_string_equal(CHECK("-w", "mmap1", "-p", "content_words=8"), "");
}

/* ---- job files ----------------------------------------------------------------------------- */

static bool override_repeats(struct run_options *o, void *arg, struct cli_error *err)
{
	if (arg)
		o->repeats = *(u32 *)arg;
	return true;
}

/* Load these bytes as a job file; false: err. */
static bool load_bytes(struct run_jobs *rj, const char *text, size_t bytes, u32 *repeats,
		       struct cli_error *err)
{
	char path[] = "/tmp/mmsim-test-job-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), bytes);
	close(fd);
	ok = run_jobs_load(rj, path, err, override_repeats, repeats);
	unlink(path);
	return ok;
}

static bool load(struct run_jobs *rj, const char *text, u32 *repeats, struct cli_error *err)
{
	return load_bytes(rj, text, strlen(text), repeats, err);
}

static const char *job_error(const char *text)
{
	static struct cli_error err;
	struct run_jobs rj;

	err.text[0] = 0;
	(void)load(&rj, text, NULL, &err);
	run_jobs_free(&rj);
	return err.text;
}

static void jobs_by_section(void **state)
{
	struct run_jobs rj;
	struct cli_error err;
	u32 repeats = 5;

	assert_true(load(&rj,
			 "[global]\ncpus = 1,2\nparam = size=1M\noutput = x.csv\n"
			 "[a]\nworkload = page_fault1\nrepeats = 2\n"
			 "[b]\nworkload = mmap1\ncpus = 4\nparam = size=2M\n",
			 NULL, &err));
	assert_int_equal(rj.count, 2);
	assert_string_equal(rj.jobs[0].workloads[0]->name, "page_fault1");
	assert_string_equal(rj.jobs[1].workloads[0]->name, "mmap1");
	assert_int_equal(rj.jobs[0].cpu_count, 2);
	assert_int_equal(rj.jobs[1].cpu_count, 1);
	assert_int_equal(rj.jobs[0].repeats, 2);
	assert_string_equal(rj.jobs[0].params[0], "size=1M");
	assert_int_equal(rj.jobs[1].param_count, 1); /* the section's replaces the global one */
	assert_string_equal(rj.jobs[1].params[0], "size=2M");
	assert_string_equal(rj.jobs[1].output, "x.csv");
	run_jobs_free(&rj);

	assert_true(load(&rj, "[a]\nworkload = mmap1\nrepeats = 2\n", &repeats, &err));
	assert_int_equal(rj.jobs[0].repeats, 5); /* the command line is above all */
	run_jobs_free(&rj);
	assert_true(load(&rj, "[global]\nworkload = mmap1\n", NULL, &err));
	assert_int_equal(rj.count, 1);
	run_jobs_free(&rj);
}

/* Goal: comments, blanks, a byte order mark, no newline at the end, lines of any length. */
static void jobs_as_people_write_them(void **state)
{
	char text[1024];
	struct run_jobs rj;
	struct cli_error err = {""};

	snprintf(text, sizeof(text),
		 "\xef\xbb\xbf# %0400d\r\n[ a ] ; one\r\n  workload:mmap1\t# two\n"
		 "repeats = 0x%0300d ; three\n\n;four\n[b]#five\nworkload = pft\nparam = size=1M",
		 0, 7);
	if (!load(&rj, text, NULL, &err))
		fail_msg("%s", err.text);
	assert_int_equal(rj.count, 2);
	assert_string_equal(rj.jobs[0].workloads[0]->name, "mmap1");
	assert_int_equal(rj.jobs[0].repeats, 7);
	assert_string_equal(rj.jobs[1].params[0], "size=1M");
	run_jobs_free(&rj);
}

static void bad_jobs(void **state)
{
	struct run_jobs rj;
	struct cli_error err;

	assert_non_null(strstr(job_error("[a]\ncpus = 0\n"), ":2: --cpus=0: at least 1"));
	assert_non_null(strstr(job_error("[a]\ncpsu = 1\n"),
			       ":2: cpsu: unknown option; did you mean cpus?"));
	assert_non_null(strstr(job_error("cpus = 1\n"), "before the first [section]"));
	assert_non_null(strstr(job_error("[a]\nrubbish\n"), ":2: neither a [section] nor key"));
	assert_non_null(strstr(job_error("[a]\noutput = x\n"), "belongs in [global]"));
	assert_non_null(
		strstr(job_error("[a]\nworkload=mmap1\n[global]\ncpus=1\n"), "must come first"));
	assert_non_null(strstr(job_error("[a]\njob = x\n"), "cannot name another"));
	assert_non_null(strstr(job_error("[global\ncpus = 1\n"), ":1: [global: the ] is missing"));
	assert_non_null(strstr(job_error("[a] cpus = 1\n"), ":1: [a]: cpus = 1: nothing may"));
	assert_non_null(strstr(job_error("[]\ncpus = 1\n"), ":1: []: a name is missing"));
	assert_non_null(strstr(job_error("[a]\n= 1\n"), ":2: neither a [section] nor key"));
	assert_false(load_bytes(&rj, "[a]\ncp\0us = 1\n", 15, NULL, &err));
	assert_non_null(strstr(err.text, ":2: holds a NUL byte: not a job file"));
	run_jobs_free(&rj);
	assert_false(run_jobs_load(&rj, "/tmp", &err, override_repeats, NULL));
	assert_string_equal(err.text, "--job=/tmp: Is a directory");
	run_jobs_free(&rj);
	assert_false(run_jobs_load(&rj, "/no/such.ini", &err, override_repeats, NULL));
	assert_string_equal(err.text, "--job=/no/such.ini: No such file or directory");
	run_jobs_free(&rj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(names),
		cmocka_unit_test(combinations),
		cmocka_unit_test(params),
		cmocka_unit_test(jobs_by_section),
		cmocka_unit_test(jobs_as_people_write_them),
		cmocka_unit_test(bad_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
