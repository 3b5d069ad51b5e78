/*
 * tests/scheme/conformance.c - what every locking scheme must guarantee: one body, any scheme
 *
 * Usage   conformance SCHEME [PART]   (PART: this one only)
 * Method  Each part runs in a process of its own with a fresh machine, for a bounded time.
 *         - A scheme with LK_CAP_CORRECT passes all parts, those aside that need what it does not
 *           claim (LK_CAP_RANGES).
 *         - One with LK_CAP_ONE_CPU passes the single-task part; the others are not run.
 *         - Any other (lock_broken) must be *caught* in the parts marked so, or the parts prove
 *           nothing: green there is a bug here. Which: the column `catches` of each family.
 * Parts   lock_parts.c: exclusion, downgrade, trylock, killable; fault_parts.c: faults against munmap,
 *         mprotect, DONTNEED; life_parts.c: fork, exit, files, stacks; order_parts.c: visibility;
 *         linear_parts.c: linearizability; writer_parts.c: writers of neighbouring ranges;
 *         maps_parts.c: reading /proc/PID/maps; kill_parts.c: killed in every call; range_parts.c: who
 *         has nothing to do with each other does not wait. Each file's head says what its parts prove.
 * Contents are tokens: a lost write, or one that lands in a page that is gone, is a wrong number.
 * Seeds   natively one (the host's scheduler is the other source of chance); in virtual time
 *         MMSIM_CONFORMANCE_SEEDS seeds under --schedule random and half as many in time order,
 *         from MMSIM_CONFORMANCE_SEED on. MMSIM_CONFORMANCE_US: how long a part runs. A failure
 *         prints seed and schedule; MMSIM_CONFORMANCE_SCHEDULE (time, random) repeats only one.
 * Models  MMSIM_KERNEL, MMSIM_TREE, MMSIM_PARAM_coverage=v1 and so on for each of mm_params: as the
 *         options of `mmsim run`. cmake/eras.cmake: which are tested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/scheme/conformance.h"
#include "tests/tree_choice.h"

#if defined(MMSIM_ENGINE_VIRTUAL)
#define PART_US 1000
#define SEEDS 8
#define CAUGHT_WITHIN_SEEDS 200
#define CAUGHT_WITHIN_US 2000
#define HANGS_AFTER_SECONDS 120
#define VIRTUAL true
#else
#define PART_US 200000
#define SEEDS 1
#define CAUGHT_WITHIN_SEEDS 1
#define CAUGHT_WITHIN_US 15000000
#define HANGS_AFTER_SECONDS 120
#define VIRTUAL false
#endif
/* A scheme that is wrong may also end in a loop: that, too, is caught. */
#define CAUGHT_WITHIN_SECONDS 20

#define PARTS_MAX 64

static const struct mm_locking *scheme;

static u64 setting(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* The parameter's value as the environment says, or its default. */
static u64 param_choice(const struct param *p)
{
	char name[64];
	const char *text;
	u64 choice = 0;

	snprintf(name, sizeof(name), "MMSIM_PARAM_%s", p->key);
	text = getenv(name);
	if (!text || p->type != PARAM_CHOICE)
		return text ? strtoull(text, NULL, 0) : 0;
	while (p->choices[choice] && strcmp(p->choices[choice], text))
		choice++;
	if (!p->choices[choice])
		MMSIM_BUG("%s=%s: no such choice", name, text);
	return choice;
}

static struct mm_config config_choice(void)
{
	const char *kernel = getenv("MMSIM_KERNEL");
	struct mm_config cfg = { .tree = tree_choice(), .era = kernel ? kernel_era_find(kernel) : NULL };

	if (kernel && !cfg.era)
		MMSIM_BUG("MMSIM_KERNEL=%s: no such kernel", kernel);
	for (u32 i = 0; i < MM_PARAM_COUNT; i++)
		cfg.params[i] = param_choice(&mm_params[i]);
	cfg.params[MM_PARAM_HUGEPAGES] = HUGEPAGES;
	return cfg;
}

struct run {
	struct world *w;
	const struct part *part;
};

static void run_task(void *arg, u32 index)
{
	struct run *run = arg;

	run->part->run(run->w, index);
}

/* In a process of its own. Leaks and broken invariants stop it in the teardown. */
static void run_part(const struct part *part, u64 us, u64 seed, enum schedule schedule)
{
	const struct machine_config cfg = { .tasks = max(part->tasks, (u32)TASKS),
					    .memory_bytes = (64ull + 2 * HUGEPAGES) << 20,
					    .content_words = 8,
					    .seed = seed,
					    .schedule = schedule };
	const struct mm_config mm_cfg = config_choice();
	struct world w = { .m = machine_create(&cfg), .seed = seed };
	struct run run = { .w = &w, .part = part };

	MUST(w.m && mm_machine_init(w.m, &arch_x86_64, &mm_cfg) == 0);
	machine_enter(w.m);
	w.mm = mm_create(w.m, &arch_x86_64, scheme);
	MUST(w.mm);
	if (part->begin)
		part->begin(&w);
	machine_leave();
	w.end_ns = engine_now_ns() + us * 1000;
	MUST(engine_run(w.m, part->tasks, run_task, &run, NULL) == 0);
	machine_enter(w.m);
	mm_check(w.mm);
	if (part->end)
		part->end(&w);
	mm_put(w.mm);
	machine_leave();
	mm_machine_destroy(w.m);
	machine_destroy(w.m);
}

/* The process's status. */
static int run_apart(const struct part *part, u64 us, u64 seed, enum schedule schedule, u32 seconds)
{
	pid_t pid;
	int status = -1;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(seconds); /* a deadlock is a failure, not a hang */
		run_part(part, us, seed, schedule);
		exit(0); /* not _exit(): a sanitizer has its say */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static const char *const schedule_name[] = { [SCHEDULE_TIME] = "time", [SCHEDULE_RANDOM] = "random" };

static void expect_clean(const struct part *part, u64 seed, enum schedule schedule)
{
	const char *only = getenv("MMSIM_CONFORMANCE_SCHEDULE");
	int status;

	if (VIRTUAL && only && strcmp(only, schedule_name[schedule]))
		return;
	status = run_apart(part, setting("MMSIM_CONFORMANCE_US", PART_US), seed, schedule,
			   HANGS_AFTER_SECONDS);
	if (status)
		fail_msg("%s, part %s: status %#x; MMSIM_CONFORMANCE_SEED=%llu "
			 "MMSIM_CONFORMANCE_SCHEDULE=%s repeats it in virtual time",
			 scheme->name, part->name, (u32)status, (unsigned long long)seed,
			 schedule_name[schedule]);
}

/* Green here is a bug in the part. */
static void expect_caught(const struct part *part)
{
	u64 first = setting("MMSIM_CONFORMANCE_SEED", 1);

	for (u64 i = 0; i < CAUGHT_WITHIN_SEEDS; i++)
		if (run_apart(part, CAUGHT_WITHIN_US, first + i, SCHEDULE_RANDOM, CAUGHT_WITHIN_SECONDS)) {
			print_message("caught with seed %llu\n", (unsigned long long)(first + i));
			return;
		}
	fail_msg("part %s did not catch %s with seeds %llu to %llu", part->name, scheme->name,
		 (unsigned long long)first, (unsigned long long)(first + CAUGHT_WITHIN_SEEDS - 1));
}

static void part_test(void **state)
{
	const struct part *part = *state;
	u64 first = setting("MMSIM_CONFORMANCE_SEED", 1), n = setting("MMSIM_CONFORMANCE_SEEDS", SEEDS);

	if (part->tasks > 1 && ((scheme->caps & LK_CAP_ONE_CPU) || (part->needs & ~scheme->caps))) {
		skip();
	} else if (part->tasks > 1 && !(scheme->caps & LK_CAP_CORRECT)) {
		if (!part->catches)
			skip();
		expect_caught(part);
	} else {
		for (u64 i = 0; i < n; i++) {
			expect_clean(part, first + i, SCHEDULE_RANDOM);
			if (VIRTUAL && i % 2 == 0)
				expect_clean(part, first + i, SCHEDULE_TIME);
		}
	}
}

int main(int argc, char **argv)
{
#define FAMILY_NAME(family) family##_parts,
	static const struct part *const families[] = { PART_FAMILIES(FAMILY_NAME) };
	struct CMUnitTest tests[PARTS_MAX];
	const char *only = argc == 3 ? argv[2] : NULL;
	size_t n = 0;

	scheme = argc == 2 || argc == 3 ? mm_locking_find(argv[1]) : NULL;
	for (u32 i = 0; i < ARRAY_SIZE(families); i++)
		for (const struct part *part = families[i]; part->name; part++)
			if (n < PARTS_MAX && (!only || !strcmp(only, part->name)))
				tests[n++] = (struct CMUnitTest){ .name = part->name,
								  .test_func = part_test,
								  .initial_state = (void *)part };
	if (!scheme || !n) {
		fprintf(stderr, "usage: conformance SCHEME [PART] (see include/mmsim/schemes.h)\n");
		return 2;
	}
	return _cmocka_run_group_tests(scheme->name, tests, n, NULL, NULL);
}
