/*
 * tests/unit/sim/virtual/test_timeline.c - a trace is JSON, its slices nest, and they add up to the run
 *
 * Method  ebizzy by six tasks on two CPUs (so that they sleep, wait for locks and for a CPU, and send
 *         interrupts), watched from its beginning to its end; read back with jansson.
 */
#include "virtual_test.h"

#include <mmsim/locking.h>
#include <mmsim/timeline.h>
#include <mmsim/workload.h>

#include <jansson.h>

#define TASKS 6
#define TID_TASK 300001

struct slice {
	s64 tid, start_ns, end_ns;
	const char *name, *cat;
	u32 number; /* in the file: what ends first is written first */
};

static struct bench bench;
static u64 counters[COUNTER_COUNT];

/* The trace of a run under scheme, as text. */
static char *record(const struct mm_locking *scheme, u64 events_max, bool *whole)
{
	static struct machine_model model;
	struct bench_config cfg = {.workload = workload_find("ebizzy"),
				   .locking = scheme,
				   .arch = &arch_x86_64,
				   .cpus = 2,
				   .tasks = TASKS,
				   .duration_ns = 50000,
				   .warmup_ns = 5000,
				   .seed = 1};
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	model = VT_MODEL(VT_FLAT);
	cfg.model = &model;
	assert_int_equal(bench_init(&bench, &cfg), 0);
	machine_counters_reset(bench.machine);
	timeline_start(bench.machine, f, events_max, "a \"test\"");
	assert_int_equal(bench_run(&bench), 0);
	*whole = timeline_stop();
	for (u32 c = 0; c < COUNTER_COUNT; c++)
		counters[c] = machine_counter(bench.machine, c);
	bench_fini(&bench);
	assert_int_equal(fclose(f), 0);
	return text;
}

static s64 ns_of(const json_t *event, const char *key)
{
	return (s64)(json_number_value(json_object_get(event, key)) * 1000 + 0.5);
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!doc)
		fail_msg("not JSON, line %d: %s", error.line, error.text);
	return doc;
}

/* By track; then the outer before the inner. */
static int by_place(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	if (x->end_ns != y->end_ns)
		return x->end_ns > y->end_ns ? -1 : 1;
	return x->number > y->number ? -1 : 1;
}

static size_t slices_of(const json_t *events, struct slice *slices)
{
	size_t i, count = 0;
	json_t *e;

	json_array_foreach(events, i, e) {
		if (strcmp(text_of(e, "ph"), "X"))
			continue;
		slices[count] = (struct slice){
			.tid = json_integer_value(json_object_get(e, "tid")),
			.start_ns = ns_of(e, "ts"),
			.name = text_of(e, "name"),
			.cat = text_of(e, "cat"),
			.number = (u32)i,
		};
		slices[count].end_ns = slices[count].start_ns + ns_of(e, "dur");
		count++;
	}
	qsort(slices, count, sizeof(*slices), by_place);
	return count;
}

static void check_nesting(const struct slice *s, size_t count)
{
	const struct slice *open[16];
	u32 depth = 0;

	for (size_t i = 0; i < count; i++) {
		while (depth && (open[depth - 1]->tid != s[i].tid ||
				 open[depth - 1]->end_ns <= s[i].start_ns))
			depth--;
		if (depth && s[i].end_ns > open[depth - 1]->end_ns)
			fail_msg("track %lld: %s [%lld, %lld) is half in %s [%lld, %lld)",
				 (long long)s[i].tid, s[i].name, (long long)s[i].start_ns,
				 (long long)s[i].end_ns, open[depth - 1]->name,
				 (long long)open[depth - 1]->start_ns,
				 (long long)open[depth - 1]->end_ns);
		assert_true(depth < ARRAY_SIZE(open));
		open[depth++] = &s[i];
	}
}

static u64 count_of(const struct slice *s, size_t count, const char *cat, const char *name)
{
	u64 n = 0;

	for (size_t i = 0; i < count; i++)
		n += !strcmp(s[i].cat, cat) && !strncmp(s[i].name, name, strlen(name));
	return n;
}

/* From its first run to its end each task runs, sleeps or waits for a CPU: that is all of its time. */
static void check_time(const struct slice *s, size_t count)
{
	for (s64 task = 0; task < TASKS; task++) {
		s64 first = INT64_MAX, last = 0, sum = 0;
		char name[32];

		snprintf(name, sizeof(name), "task %lld", (long long)task);
		for (size_t i = 0; i < count; i++)
			if (!strcmp(s[i].cat, "cpu") ? !strcmp(s[i].name, name)
						     : !strcmp(s[i].cat, "sleep") &&
							       s[i].tid == TID_TASK + task) {
				first = min(first, s[i].start_ns);
				last = max(last, s[i].end_ns);
				sum += s[i].end_ns - s[i].start_ns;
			}
		assert_true(sum > 50000);
		assert_int_equal(sum, last - first);
	}
}

/* Each arrow has a beginning and a later end. */
static void check_arrows(const json_t *events)
{
	s64 *starts = calloc(json_array_size(events) + 1, sizeof(*starts));
	size_t i, arrows = 0;
	json_t *e;

	json_array_foreach(events, i, e)
		if (!strcmp(text_of(e, "ph"), "s"))
			starts[json_integer_value(json_object_get(e, "id"))] = ns_of(e, "ts");
	json_array_foreach(events, i, e) {
		if (strcmp(text_of(e, "ph"), "f"))
			continue;
		arrows++;
		assert_true(starts[json_integer_value(json_object_get(e, "id"))] > 0);
		assert_true(ns_of(e, "ts") >= starts[json_integer_value(json_object_get(e, "id"))]);
	}
	assert_int_equal(arrows, counters[COUNTER_IPI_SENT]);
	free(starts);
}

/* Per task: start_locking, acquire_returned, released, as Linux's trace points come. */
static void check_mmap_lock(const json_t *events)
{
	s64 held[TASKS] = {0};
	u64 acquired[2] = {0, 0};
	size_t i;
	json_t *e;

	json_array_foreach(events, i, e) {
		const json_t *args = json_object_get(e, "args");
		bool write = json_is_true(json_object_get(args, "write"));
		s64 task = json_integer_value(json_object_get(e, "tid")) - TID_TASK;

		if (strcmp(text_of(e, "cat"), "mmap_lock"))
			continue;
		assert_in_range(task, 0, TASKS - 1);
		assert_true(json_integer_value(json_object_get(args, "mm")) > 0);
		if (!strcmp(text_of(e, "name"), "mmap_lock_acquire_returned") &&
		    json_is_true(json_object_get(args, "success"))) {
			/* A downgrade returns, too: the lock is held already. */
			acquired[write] += !held[task];
			held[task] = 1;
		} else if (!strcmp(text_of(e, "name"), "mmap_lock_released")) {
			assert_int_equal(held[task], 1);
			held[task] = 0;
		}
	}
	assert_int_equal(acquired[0], counters[COUNTER_MMAP_LOCK_READ]);
	assert_int_equal(acquired[1], counters[COUNTER_MMAP_LOCK_WRITE]);
}

static void check_trace(const struct mm_locking *scheme)
{
	bool whole;
	char *text = record(scheme, ~0ull, &whole), *again;
	json_t *doc = parse(text), *events = json_object_get(doc, "traceEvents");
	struct slice *slices = calloc(json_array_size(events) + 1, sizeof(*slices));
	size_t count = slices_of(events, slices);

	assert_true(whole);
	check_nesting(slices, count);
	check_time(slices, count);
	check_arrows(events);
	check_mmap_lock(events);
	assert_int_equal(count_of(slices, count, "fault", "fault"), counters[COUNTER_FAULT_TOTAL]);
	assert_int_equal(count_of(slices, count, "fault", "fault anon"),
			 counters[COUNTER_FAULT_ANON]);
	assert_int_equal(count_of(slices, count, "syscall", "mmap"), counters[COUNTER_SYSCALL_MMAP]);
	assert_int_equal(count_of(slices, count, "syscall", "munmap"),
			 counters[COUNTER_SYSCALL_MUNMAP]);
	assert_int_equal(count_of(slices, count, "ipi", "IPI handler"), counters[COUNTER_IPI_SENT]);
	assert_int_equal(count_of(slices, count, "lock", "wait mmap_lock W"),
			 counters[COUNTER_MMAP_LOCK_WRITE_CONTENDED]);
	assert_true(counters[COUNTER_MMAP_LOCK_WRITE_CONTENDED] > 0);
	free(slices);
	json_decref(doc);
	again = record(scheme, ~0ull, &whole);
	assert_string_equal(text, again);
	free(again);
	free(text);
}

static void mmap_lock_adds_up(void **state)
{
	check_trace(&mm_locking_mmap_lock);
}

static void vma_refcnt_adds_up(void **state)
{
	check_trace(&mm_locking_vma_refcnt);
}

static void a_full_trace_is_still_json(void **state)
{
	bool whole;
	char *text = record(&mm_locking_mmap_lock, 100, &whole);
	json_t *doc = parse(text), *other = json_object_get(doc, "otherData"), *e;
	u32 events = 0;
	size_t i;

	json_array_foreach(json_object_get(doc, "traceEvents"), i, e)
		events += strcmp(text_of(e, "ph"), "M") != 0;
	assert_int_equal(events, 100);
	assert_false(whole);
	assert_false(json_is_true(json_object_get(other, "whole")));
	json_decref(doc);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mmap_lock_adds_up),
		cmocka_unit_test(vma_refcnt_adds_up),
		cmocka_unit_test(a_full_trace_is_still_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
