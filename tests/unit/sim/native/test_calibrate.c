/*
 * tests/unit/sim/native/test_calibrate.c - calibrate's numbers and its machine file
 *
 * Goal:   a short calibration gives a file that machine_model_load() reads to the same numbers,
 * every one with its origin, none measured that cannot be; in orders of magnitude that only a
 * wrong method would miss (the host may be busy: nothing here depends on its speed); and the file
 * of a large host, made up, is read too.
 */
#include "../sim_test.h"

#include <mmsim/calibrate.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/native/internal.h"

#define BUDGET_NS 400000000ull
#define INI_LINE_MAX 198 /* libinih's */

static u64 milli(const struct calibration *c, enum calibrate_id id)
{
	return c->numbers[id].milli;
}

/* The file's text; loaded into model. */
static char *write_and_load(const struct calibration *c, struct machine_model *model)
{
	char path[] = "/tmp/test_calibrateXXXXXX.ini", *text = NULL;
	struct machine_model_error error = {""};
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int fd = mkstemps(path, 4);

	assert_non_null(f);
	assert_true(fd >= 0);
	assert_true(calibrate_write(c, "host", f));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	if (machine_model_load(model, path, &error))
		fail_msg("%s", error.text);
	unlink(path);
	return text;
}

static void check_lines(const char *text)
{
	u32 numbers = 0, sources = 0;

	for (const char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_true(end - line <= INI_LINE_MAX);
		if (!strncmp(line, "source.", 7)) {
			const char *value = strstr(line, " = ");

			sources++;
			assert_non_null(value);
			assert_true(!strncmp(value, " = measured: ", 13) ||
				    !strncmp(value, " = estimated: ", 14));
			assert_true(end - value > 14);
		} else if (*line >= 'a' && *line <= 'z' && strncmp(line, "name", 4) &&
			   strncmp(line, "summary", 7) && strncmp(line, "kind", 4)) {
			numbers++;
		}
	}
	assert_int_equal(numbers, CALIBRATE_NUMBERS);
	assert_int_equal(sources, CALIBRATE_NUMBERS);
}

/* The model has what was measured, number by number. */
static void check_model(const struct calibration *c, const struct machine_model *model)
{
#define MEMBER(section, key, unit, def, min_, max_, meaning) model->section##_##key,
	const u64 loaded[] = {MACHINE_MODEL_FIELDS(MEMBER)};

	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++)
		assert_int_equal(loaded[i],
				 calibrate_keys[i].ns ? milli(c, i) : milli(c, i) / 1000);
	assert_int_equal(model->kind, MACHINE_CALIBRATED);
	assert_string_equal(model->name, "host");
}

static void check_numbers(const struct calibration *c)
{
	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
		const struct calibrate_number *n = &c->numbers[i];

		assert_true(n->how[0]);
		assert_true(n->low_milli <= n->milli && n->milli <= n->high_milli);
		assert_true(n->measured ? n->rounds > 0 : n->rounds == 0);
		assert_true(n->milli >= calibrate_keys[i].min * 1000);
		assert_true(n->milli <= calibrate_keys[i].max * 1000);
	}
	/* Nobody measures nothing. */
	assert_true(milli(c, CALIBRATE_latency_l1) >= 100);
	assert_true(milli(c, CALIBRATE_latency_l1) < milli(c, CALIBRATE_latency_memory));
	assert_true(milli(c, CALIBRATE_latency_rmw) >= 200);
	assert_true(milli(c, CALIBRATE_cost_syscall) >= 10000);
	assert_true(milli(c, CALIBRATE_cost_exception) >= 10000);
	assert_true(milli(c, CALIBRATE_cost_page_zero) >= 5000);
	assert_true(c->numbers[CALIBRATE_latency_l1].measured);
	assert_true(c->numbers[CALIBRATE_cost_exception].measured);
	assert_false(c->numbers[CALIBRATE_sched_relax_max].measured);
}

static void run_short(u32 cpus, struct calibration *c)
{
	const struct calibrate_options o = {.budget_ns = BUDGET_NS, .cpus = cpus};

	if (calibrate_run(&o, c))
		fail_msg("%s", c->error);
}

static void test_this_host(void **state)
{
	struct calibration *c = calloc(1, sizeof(*c));
	struct machine_model model;
	cpu_set_t before, after;
	char *text;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	run_short(0, c);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after)); /* the caller is not left bound */
	assert_int_equal(c->cpus, native_host_cpus());
	check_numbers(c);
	text = write_and_load(c, &model);
	check_lines(text);
	check_model(c, &model);
	assert_true(machine_model_cpus(&model) >= c->cpus);
	for (u32 i = 0; i < c->cpus; i++)
		for (u32 j = 0; j < c->cpus; j++)
			assert_int_equal(c->pair_milli[i * c->cpus + j],
					 c->pair_milli[j * c->cpus + i]);
	if (c->cpus == 2)
		assert_true(c->pair_milli[1] > 0);
	free(text);
	calibrate_free(c);
	free(c);
}

/* With one CPU, what needs two is estimated, and says why. */
static void test_one_cpu(void **state)
{
	static const enum calibrate_id needs_two[] = {
		CALIBRATE_latency_smt_sibling,      CALIBRATE_latency_cluster,
		CALIBRATE_latency_socket,           CALIBRATE_latency_remote,
		CALIBRATE_cpu_smt_slowdown_percent, CALIBRATE_cpu_all_core_slowdown_percent,
		CALIBRATE_cost_wake_latency,        CALIBRATE_cost_ipi_send,
		CALIBRATE_cost_ipi_latency,         CALIBRATE_cost_ipi_handler,
	};
	struct calibration *c = calloc(1, sizeof(*c));
	struct machine_model model;
	char *text;

	run_short(1, c);
	for (u32 i = 0; i < ARRAY_SIZE(needs_two); i++)
		assert_false(c->numbers[needs_two[i]].measured);
	assert_true(c->numbers[CALIBRATE_cost_wake].measured);
	check_numbers(c);
	text = write_and_load(c, &model);
	check_lines(text);
	assert_int_equal(machine_model_cpus(&model), 1);
	free(text);
	calibrate_free(c);
	free(c);
}

/* 300 CPUs (no matrix) and 200 (a wrapped one), the longest names and notes. */
static void test_large_host(void **state)
{
	for (u32 cpus = 200; cpus <= 300; cpus += 100) {
		struct calibration *c = calloc(1, sizeof(*c));
		struct machine_model model;
		char *text;

		c->cpus = cpus;
		c->os_index = calloc(cpus, sizeof(*c->os_index));
		c->pair_milli = calloc((size_t)cpus * cpus, sizeof(*c->pair_milli));
		memset(c->cpu, 'C', sizeof(c->cpu) - 1);
		memset(c->kernel, 'k', sizeof(c->kernel) - 1);
		memset(c->date, '9', sizeof(c->date) - 1);
		for (; c->note_count < CALIBRATE_NOTES_MAX; c->note_count++)
			memset(c->notes[c->note_count], 'n', sizeof(c->notes[0]) - 1);
		for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
			struct calibrate_number *n = &c->numbers[i];

			n->measured = true;
			n->rounds = 2;
			n->milli = n->low_milli = n->high_milli =
				calibrate_keys[i].max * 1000 - (calibrate_keys[i].ns ? 1 : 0);
			memset(n->how, 'h', sizeof(n->how) - 1);
		}
		for (u32 i = 0; i < 4; i++)
			c->numbers[CALIBRATE_topology_sockets + i].milli =
				(i == 2 ? cpus : 1) * 1000;
		for (u32 i = 0; i < cpus * cpus; i++)
			c->pair_milli[i] = 9999900;
		text = write_and_load(c, &model);
		check_lines(text);
		check_model(c, &model);
		assert_int_equal(machine_model_cpus(&model), cpus);
		assert_true((strstr(text, "wrapped") != NULL) == (cpus == 200));
		free(text);
		calibrate_free(c);
		free(c);
	}
}

static void test_values(void **state)
{
	static const struct {
		u64 milli;
		const char *text;
	} cases[] = {{0, "0"}, {1, "0.001"}, {1500, "1.5"}, {100000, "100"}, {12340, "12.34"}};
	char text[CALIBRATE_VALUE_BYTES];

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		calibrate_print_value(text, cases[i].milli);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_large_host),
		cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
