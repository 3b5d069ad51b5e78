/* tests/unit/sim/virtual/virtual_test.h - machines with numbers that a test can calculate with */
#ifndef MMSIM_VIRTUAL_TEST_H
#define MMSIM_VIRTUAL_TEST_H

#include "../sim_test.h"

#include <mmsim/hotlines.h>
#include <mmsim/machine_model.h>

/* A preset whose numbers are overwritten: NAME, VALUE, ..., NULL. */
static inline struct machine_model vt_model(const char *const *settings)
{
	struct machine_model_error error;
	struct machine_model model;

	assert_int_equal(machine_model_load(&model, "skylake192", &error), 0);
	for (; settings && *settings; settings += 2)
		if (machine_model_set(&model, settings[0], settings[1], &error))
			fail_msg("%s", error.text);
	return model;
}

#define VT_MODEL(...) vt_model((const char *const[]){ __VA_ARGS__, NULL })

/* One socket of 64 cores, round numbers. */
#define VT_FLAT                                                                                    \
	"topology.sockets", "1", "topology.clusters", "1", "topology.cores", "64", "topology.smt", "1", \
		"cache.l1_kib", "32", "cache.l2_kib", "256", "cache.prefetch_adjacent", "0",            \
		"cache.home_on_path", "0", "latency.l1", "1", "latency.l2", "4", "latency.rmw", "5",    \
		"latency.llc", "20", "latency.cluster", "40", "latency.socket", "40", "latency.memory", \
		"80", "latency.serve", "10", "cpu.all_core_slowdown_percent", "0"

static inline struct machine *vt_machine_of(const struct machine_model *model, u32 tasks, u32 cpus)
{
	struct machine_config cfg = { .tasks = tasks, .cpus = cpus, .model = model, .seed = 1 };
	struct machine *m = machine_create(&cfg);

	assert_non_null(m);
	return m;
}

static inline void vt_assert_near(double value, double expected, double tolerance)
{
	if (value < expected * (1 - tolerance) || value > expected * (1 + tolerance))
		fail_msg("%f is not within %.1f %% of %f", value, tolerance * 100, expected);
}

/* fn must end in exit(1), with each of the texts (NULL-terminated) on stderr. It runs in a child. */
static inline void vt_expect_report(void (*fn)(void), const char *const *texts)
{
	static char text[65536];
	size_t len = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
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
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		fail_msg("expected exit(1), got status 0x%x and '%s'", status, text);
	for (; *texts; texts++)
		if (!strstr(text, *texts))
			fail_msg("expected '%s' in '%s'", *texts, text);
}

#endif
