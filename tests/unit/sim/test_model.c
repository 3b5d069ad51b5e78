/*
 * Goal:   every preset loads, says where each number is from, and its topology is a bijection; what is
 *         wrong in a file is refused whole, with one line that names it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <mmsim/machine_model.h>

#include "sim/model_presets.h"

static int load_text(const char *text, struct machine_model *model, struct machine_model_error *error)
{
	char path[] = "/tmp/test_modelXXXXXX.ini";
	int fd = mkstemps(path, 4), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	err = machine_model_load(model, path, error);
	unlink(path);
	return err;
}

static void presets_load_and_are_complete(void **state)
{
	static const char *const wanted[] = { "laptop8",    "phone8",	 "ivybridge40", "x86-8vm",
					      "skylake192", "broadwell56", "epyc7742",	"graviton4",
					      "power8-80",  "power8-752",  "power8-1024" };
	struct machine_model model;
	struct machine_model_error error;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_int_equal(machine_model_load(&model, wanted[i], &error), 0);
		assert_string_equal(model.name, wanted[i]);
		assert_true(model.summary[0] != '\0');
	}
	assert_int_equal(machine_model_load(&model, "power8-1024", &error), 0);
	assert_int_equal(machine_model_cpus(&model), 1024);
	assert_int_equal(machine_model_load(&model, "ivybridge40", &error), 0);
	assert_int_equal(machine_model_cpus(&model), 40);
	assert_int_equal(model.fitted_count, 2);
	assert_int_equal(model.latency_smt_sibling, 8900); /* ps */
	assert_string_equal(model.arch, "x86_64");
	assert_int_equal(machine_model_load(&model, "graviton4", &error), 0);
	assert_string_equal(model.arch, "arm64-4k");
	assert_int_equal(machine_model_load(&model, "power8-80", &error), 0);
	assert_string_equal(model.arch, "ppc64-hash");
}

/* "each saying for every number whether it is published, measured, or estimated" */
static void every_number_has_a_source(void **state)
{
	(void)state;
	for (u32 i = 0; machine_presets[i].name; i++) {
		const char *text = machine_presets[i].text;
		u32 numbers = 0, sources = 0;

		for (const char *line = strchr(strstr(text, "[topology]"), '\n'); line;
		     line = strchr(line + 1, '\n')) {
			const char *at = line + 1;

			if (!strncmp(at, "[fitted]", 8))
				break;
			if (!strncmp(at, "source.", 7))
				sources++;
			else if (*at >= 'a' && *at <= 'z')
				numbers++;
		}
		assert_true(numbers > 40);
		assert_int_equal(numbers, sources);
	}
}

static void topology_is_a_bijection(void **state)
{
	struct machine_model model;
	struct machine_model_error error;

	(void)state;
	for (const char *const *name = machine_model_presets(); *name; name++) {
		u32 cpus, cores;
		bool *seen;

		assert_int_equal(machine_model_load(&model, *name, &error), 0);
		cpus = machine_model_cpus(&model);
		cores = cpus / (u32)model.topology_smt;
		seen = calloc(cpus, sizeof(*seen));
		for (u32 i = 0; i < cpus; i++) {
			struct cpu_place p = machine_model_place(&model, i);
			u32 slot = p.core * (u32)model.topology_smt + p.thread;

			assert_true(p.core < cores && p.thread < model.topology_smt);
			assert_false(seen[slot]);
			seen[slot] = true;
			/* cores first: no second thread before every core has one */
			assert_int_equal(p.thread, i / cores);
			assert_int_equal(p.cluster / model.topology_clusters, p.socket);
			assert_int_equal(p.core / model.topology_cores, p.cluster);
		}
		free(seen);
	}
}

static void distance_follows_the_topology(void **state)
{
	struct machine_model model;
	struct machine_model_error error;
	struct cpu_place first;

	(void)state;
	assert_int_equal(machine_model_load(&model, "epyc7742", &error), 0);
	first = machine_model_place(&model, 0);
	assert_int_equal(machine_model_distance(first, first), DIST_SELF);
	assert_int_equal(machine_model_distance(first, machine_model_place(&model, 1)), DIST_REMOTE);
	assert_int_equal(machine_model_distance(first, machine_model_place(&model, 2)), DIST_SOCKET);
	assert_int_equal(machine_model_distance(first, machine_model_place(&model, 32)), DIST_CLUSTER);
	assert_int_equal(machine_model_distance(first, machine_model_place(&model, 128)), DIST_SMT);
}

static void wrong_files_are_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "[latency]\nl1 = 12x\n", "latency.l1=12x" },
		{ "[latency]\nl1 = 1.2345\n", "three decimals" },
		{ "[latency]\nl1 = -1\n", "latency.l1=-1" },
		{ "[latency]\nl1 = 99999\n", "from 0 to 1000" },
		{ "[topology]\nsmt = 1.5\n", "whole number" },
		{ "[topology]\nsockets = 64\ncores = 64\n", "at most 1024" },
		{ "[latency]\nl7 = 1\n", "l7=1" },
		{ "[latency]\nl1 = 1\nl1 = 2\n", "given twice" },
		{ "[latency]\nsource.l9 = x\n", "source of a number that does not exist" },
		{ "[machine]\nkind = guessed\n", "calibrated, published, estimated" },
		{ "[fitted]\ncost.wake = a\ncost.syscall = b\ncost.exception = c\n", "at most two" },
		{ "[fitted]\nwake = a\n", "section.key" },
		{ "latency\n", "line 1" },
	};
	struct machine_model model;
	struct machine_model_error error;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(&error, 0, sizeof(error));
		assert_int_equal(load_text(cases[i].text, &model, &error), i == 3 ? -ERANGE : -EINVAL);
		assert_non_null(strstr(error.text, cases[i].says));
		assert_null(strchr(error.text, '\n'));
	}
	assert_int_equal(machine_model_load(&model, "ivybrige40", &error), -ENOENT);
	assert_non_null(strstr(error.text, "nearest: ivybridge40"));
	assert_int_equal(machine_model_set(&model, "latency.remote", "250.5", &error), 0);
	assert_int_equal(model.latency_remote, 250500);
	assert_int_equal(machine_model_set(&model, "latency.rmote", "1", &error), -EINVAL);
}

/* Two dozen runs of the largest machine are too many for 4 GiB; of a small one they are not. */
static void memory_is_estimated(void **state)
{
	struct machine_model_error error;
	struct machine_model model;
	u64 gib = 1ull << 30;

	assert_int_equal(machine_model_load(&model, "power8-1024", &error), 0);
	assert_true(machine_model_memory(&model, 1024, 2048) > 3 * gib / 10);
	assert_true(machine_model_memory(&model, 1024, 2048) < gib);
	assert_true(machine_model_memory(&model, 1, 1) < gib / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_load_and_are_complete),
		cmocka_unit_test(every_number_has_a_source),
		cmocka_unit_test(topology_is_a_bijection),
		cmocka_unit_test(distance_follows_the_topology),
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(memory_is_estimated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
