/*
 * tests/oracle/cases.c - see cases.h
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/locking.h>

#include "cases.h"

/* The kernel's text of so many VMAs is some 80 MB. */
#define LIVE_MAP_COUNT_MAX 100000

/* Where the cases run, set before each group: the model under this scheme, or (NULL) live. */
static const struct mm_locking *scheme;

static void apply_limits(struct image *image, const struct start_config *cfg)
{
	struct mm_limits *l = &image->limits;

	l->address_space_bytes =
		cfg->address_space_bytes ? cfg->address_space_bytes : l->address_space_bytes;
	l->data_bytes = cfg->data_bytes ? cfg->data_bytes : l->data_bytes;
	l->stack_bytes = cfg->stack_bytes ? cfg->stack_bytes : l->stack_bytes;
	l->memlock_bytes = cfg->memlock_bytes ? cfg->memlock_bytes : l->memlock_bytes;
	l->can_ipc_lock = !cfg->drop_ipc_lock;
}

static struct world *start(const struct oracle_case *c, struct image *image)
{
	struct start_config cfg = c->config;

	if (!cfg.stack_bytes)
		cfg.stack_bytes =
			8ull << 20; /* it decides mmap_base, and so the addresses in the cases */
	if (!scheme)
		return live_start(&cfg, image);
	if (image_default(image))
		return NULL;
	apply_limits(image, &cfg);
	return model_start(image, scheme);
}

static void run_case(void **state)
{
	const struct oracle_case *c = *state;
	struct image image;
	struct world *w = start(c, &image);
	char *said = NULL;
	size_t bytes;
	FILE *out = open_memstream(&said, &bytes);
	bool ok;

	assert_non_null(w);
	if (!scheme && c->prepare && image.limits.max_map_count > LIVE_MAP_COUNT_MAX) {
		w->ops->stop(w);
		image_free(&image);
		printf("vm.max_map_count is too large to be filled here\n");
		skip();
	}
	assert_non_null(out);
	ok = (!c->prepare || c->prepare(w, &image)) && script_run(w, &image, c->lines, out);
	fclose(out);
	w->ops->stop(w);
	image_free(&image);
	if (!ok) {
		print_error("%s", said);
		free(said);
		fail_msg("%s", c->name);
	}
	free(said);
}

static int run_group(const char *group, const char *world, const struct oracle_case *cases,
		     size_t count)
{
	struct CMUnitTest *tests = calloc(count, sizeof(*tests));
	char name[128];
	int failed;

	if (!tests)
		return 1;
	for (size_t i = 0; i < count; i++) {
		tests[i].name = cases[i].name;
		tests[i].test_func = run_case;
		tests[i].initial_state = (void *)&cases[i];
	}
	snprintf(name, sizeof(name), "%s.%s", group, world);
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	free(tests);
	return failed;
}

int cases_main(const char *group, const struct oracle_case *cases, size_t count, int argc,
	       char **argv)
{
	struct oracle_case *chosen = calloc(count, sizeof(*chosen));
	const char *why = live_unusable();
	size_t n = 0;
	int failed = 0;

	if (!chosen)
		return 1;
	for (size_t i = 0; i < count; i++)
		if (argc < 2 || strstr(cases[i].name, argv[1]))
			chosen[n++] = cases[i];
	if (!why) {
		scheme = NULL;
		failed += run_group(group, "live", chosen, n);
	} else {
		printf("the cases are not run on the live kernel: %s\n", why);
	}
	for (size_t i = 0; mm_locking_all[i]; i++) {
		scheme = mm_locking_all[i];
		if (scheme->caps & LK_CAP_CORRECT)
			failed += run_group(group, scheme->name, chosen, n);
	}
	free(chosen);
	return failed;
}
