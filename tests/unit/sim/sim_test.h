/* tests/unit/sim/sim_test.h - a machine, its tasks, seeds and expected aborts, for the tests of
 * sim/ */
#ifndef MMSIM_SIM_TEST_H
#define MMSIM_SIM_TEST_H

#include <mmsim/cpu.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if MMSIM_TSAN
/* The children of sim_test_expect_bug() start threads of their own; TSan would not have that. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

static inline u64 sim_test_seed(void)
{
	const char *text = getenv("MMSIM_SEED");
	u64 seed = text ? strtoull(text, NULL, 0) : (u64)getpid() * 0x9e3779b97f4a7c15ull;

	print_message("MMSIM_SEED=0x%llx\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
static inline u64 sim_test_random(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline struct machine *sim_test_machine(u32 tasks)
{
	struct machine_config cfg = {.tasks = tasks};
	struct machine *m = machine_create(&cfg);

	assert_non_null(m);
	return m;
}

static inline void sim_test_run(struct machine *m, u32 tasks, void (*fn)(void *arg, u32 index))
{
	assert_int_equal(engine_run(m, tasks, fn, NULL, NULL), 0);
}

/* fn must end in abort(), with `message` on stderr. It runs in a child. */
static inline void sim_test_expect_bug(void (*fn)(void), const char *message)
{
	char text[4096];
	size_t len = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], 2);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (len < sizeof(text) - 1 &&
	       (got = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, message))
		fail_msg("expected an abort saying '%s', got status 0x%x and '%s'", message, status,
			 text);
}

#endif
