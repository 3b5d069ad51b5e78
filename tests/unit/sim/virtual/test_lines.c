/*
 * tests/unit/sim/virtual/test_lines.c - what falls out of the cache model
 *
 * Each test has a law that real machines obey, in the model's own numbers: hits, distances, FIFO
 * queueing, scaling of readers and of independent lines, finite caches, false sharing.
 */
#include "virtual_test.h"

#include <mmsim/charge.h>
#include <mmsim/spinlock.h>

#define ROUNDS 2000u

struct line {
	u64 word[8];
};

static struct machine *machine;
static struct line *lines;
static u64 finished_ns[64];
static spinlock_t *lock;

static void start(const struct machine_model *model, u32 cpus, u32 line_count)
{
	machine = vt_machine_of(model, cpus, cpus);
	lines = machine_memory_alloc(machine, line_count * sizeof(*lines), 4096);
	assert_non_null(lines);
}

static void stop(void)
{
	machine_destroy(machine);
}

/* From the common start to the last one's end. */
static double run(u32 tasks, void (*fn)(void *, u32))
{
	u64 start_ns, end_ns = 0;

	machine_enter(machine);
	start_ns = engine_now_ns();
	machine_leave();
	assert_int_equal(engine_run(machine, tasks, fn, NULL, NULL), 0);
	for (u32 i = 0; i < tasks; i++)
		end_ns = max(end_ns, finished_ns[i]);
	return (double)(end_ns - start_ns);
}

/* ---- one CPU --------------------------------------------------------------------------------------- */

static void lock_unlock(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		spin_lock(lock);
		spin_unlock(lock);
	}
	finished_ns[index] = engine_now_ns();
}

static void test_uncontended_lock_costs_its_l1_cost(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);

	start(&model, 1, 1);
	lock = (void *)lines;
	spin_lock_init(lock, LOCK_RANK_PTE);
	/* A read-modify-write and a store, of a line that is here. */
	vt_assert_near(run(1, lock_unlock) / ROUNDS, 5 + 1, 0.02);
	stop();
}

static u32 set_lines;

static void sweep(void *arg, u32 index)
{
	u64 before;

	for (u32 i = 0; i < set_lines; i++)
		line_read_ptr(&lines[i]);
	before = engine_now_ns();
	for (u32 i = 0; i < set_lines; i++)
		line_read_ptr(&lines[i]);
	finished_ns[index] = engine_now_ns() - before;
}

static double second_sweep(u32 kib)
{
	struct machine_model model = VT_MODEL(VT_FLAT);

	set_lines = kib * 1024 / 64;
	start(&model, 1, set_lines);
	assert_int_equal(engine_run(machine, 1, sweep, NULL, NULL), 0);
	stop();
	return (double)finished_ns[0] / set_lines;
}

static void test_caches_are_finite(void **state)
{
	vt_assert_near(second_sweep(16), 1, 0.05);  /* L1 */
	vt_assert_near(second_sweep(128), 4, 0.05); /* L2 */
	vt_assert_near(second_sweep(1024), 20, 0.05);
}

static u64 handed_over;

/* CPU 0 writes the lines; then CPU 1 reads them, and says how long that took. */
static void read_what_was_written(void *arg, u32 index)
{
	u64 before;

	if (index == 0) {
		for (u32 i = 0; i < set_lines; i++)
			line_write_ptr(&lines[i]);
		WRITE_ONCE(handed_over, 1ull);
		return;
	}
	while (!READ_ONCE(handed_over))
		cpu_relax();
	before = engine_now_ns();
	for (u32 i = 0; i < set_lines; i++)
		line_read_ptr(&lines[i]);
	finished_ns[0] = engine_now_ns() - before;
}

static double read_from_the_other(const struct machine_model *model)
{
	set_lines = 64;
	handed_over = 0;
	start(model, 2, set_lines);
	assert_int_equal(engine_run(machine, 2, read_what_was_written, NULL, NULL), 0);
	stop();
	return (double)finished_ns[0] / set_lines;
}

static void test_buddy_line_comes_along(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);

	vt_assert_near(read_from_the_other(&model), 40, 0.02);
	model.cache_prefetch_adjacent = 1;
	vt_assert_near(read_from_the_other(&model), (40 + 4) / 2.0, 0.02);
}

/* CPU 0 writes more lines than its caches hold; then CPU 1 reads the first of them, and writes them. */
static void write_what_was_evicted(void *arg, u32 index)
{
	u64 before;

	if (index == 0) {
		for (u32 i = 0; i < set_lines; i++)
			line_write_ptr(&lines[i]);
		WRITE_ONCE(handed_over, 1ull);
		return;
	}
	while (!READ_ONCE(handed_over))
		cpu_relax();
	for (u32 i = 0; i < 64; i++)
		line_read_ptr(&lines[i]);
	before = engine_now_ns();
	for (u32 i = 0; i < 64; i++)
		line_write_ptr(&lines[i]);
	finished_ns[0] = engine_now_ns() - before;
}

static double store_after_load(u32 kib)
{
	struct machine_model model = VT_MODEL(VT_FLAT);

	set_lines = kib * 1024 / 64;
	handed_over = 0;
	start(&model, 2, set_lines);
	assert_int_equal(engine_run(machine, 2, write_what_was_evicted, NULL, NULL), 0);
	stop();
	return (double)finished_ns[0] / 64;
}

static void test_load_of_what_nobody_caches_is_exclusive(void **state)
{
	vt_assert_near(store_after_load(64), 40, 0.05);  /* the other copy has to go */
	vt_assert_near(store_after_load(1024), 1, 0.05); /* there is none */
}

static u64 work_ns;

/* CPU 0 writes a line; CPU 1 asks for it early, does something else, and adds to it. */
static void prefetch_and_add(void *arg, u32 index)
{
	u64 before;

	if (index == 0) {
		WRITE_ONCE(lines[0].word[0], 1ull);
		WRITE_ONCE(handed_over, 1ull);
		return;
	}
	while (!READ_ONCE(handed_over))
		cpu_relax();
	before = engine_now_ns();
	prefetch_write(&lines[0]);
	engine_delay_ns(work_ns);
	(void)fetch_add(&lines[0].word[0], 1ull);
	finished_ns[0] = engine_now_ns() - before;
	assert_int_equal(lines[0].word[0], 2);
}

static u64 prefetched_cost_ns; /* of its line, as the report has it */

static double prefetched_add(u64 prefetchw, u64 ns)
{
	static const struct obj_field fields[] = { OBJ_FROM(0, "prefetched") };
	static const struct obj_layout layout = { 64, 1, fields };
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct hot_line top[4];
	u32 count;

	model.cache_prefetchw = prefetchw;
	handed_over = 0;
	work_ns = ns;
	start(&model, 2, 1);
	region_set_layout(machine, lines, sizeof(*lines), &layout);
	assert_int_equal(engine_run(machine, 2, prefetch_and_add, NULL, NULL), 0);
	count = hot_lines_top(machine, top, ARRAY_SIZE(top));
	prefetched_cost_ns = ~0ull;
	for (u32 i = 0; i < min(count, (u32)ARRAY_SIZE(top)); i++)
		if (!strcmp(top[i].name, fields[0].name))
			prefetched_cost_ns = top[i].cost_sim_ns;
	stop();
	return (double)(finished_ns[0] - ns);
}

static void test_prefetch_overlaps_with_work(void **state)
{
	vt_assert_near(prefetched_add(1, 0), 40 + 5, 0.03); /* waits for all of it */
	vt_assert_near((double)prefetched_cost_ns, 40, 0.05);
	vt_assert_near(prefetched_add(1, 30), 10 + 5, 0.1);
	vt_assert_near((double)prefetched_cost_ns, 10, 0.1);
	vt_assert_near(prefetched_add(1, 100), 5, 0.1);
	assert_int_equal(prefetched_cost_ns, 0); /* it came, and nobody has waited for it */
	/* Fetched to be read: the writer's copy is still there. */
	vt_assert_near(prefetched_add(0, 100), 40, 0.15);
}

/* ---- several ------------------------------------------------------------------------------------------ */

static void add_to_shared(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++)
		(void)fetch_add(&lines[0].word[0], 1ull);
	finished_ns[index] = engine_now_ns();
}

static void test_contended_atomic_is_one_per_transfer(void **state)
{
	static const u32 cpus[] = { 2, 4, 16, 64 };

	for (u32 i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct machine_model model = VT_MODEL(VT_FLAT);
		double ns;

		start(&model, cpus[i], 1);
		ns = run(cpus[i], add_to_shared);
		assert_int_equal(lines[0].word[0], cpus[i] * (u64)ROUNDS);
		vt_assert_near(ns / (cpus[i] * (double)ROUNDS), 40, 0.05);
		stop();
	}
}

static void cas_to_shared(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		u64 old = READ_ONCE(lines[0].word[0]);

		while (!try_cmpxchg(&lines[0].word[0], &old, old + 1))
			;
	}
	finished_ns[index] = engine_now_ns();
}

/* A load, and a compare-and-swap that may need a second try: two to three transfers, at any number. */
static void test_compare_and_swap_does_not_melt_down(void **state)
{
	static const u32 cpus[] = { 2, 8, 64 };

	for (u32 i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct machine_model model = VT_MODEL(VT_FLAT);
		double each;

		start(&model, cpus[i], 1);
		each = run(cpus[i], cas_to_shared) / (cpus[i] * (double)ROUNDS);
		assert_int_equal(lines[0].word[0], cpus[i] * (u64)ROUNDS);
		print_message("compare-and-swap on %u CPUs: %.1f ns\n", cpus[i], each);
		assert_true(each >= 40 && each < 40 * 3.5);
		stop();
	}
}

static void add_to_own(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++)
		(void)fetch_add(&lines[index].word[0], 1ull);
	finished_ns[index] = engine_now_ns();
}

static void add_to_own_word(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++)
		(void)fetch_add(&lines[0].word[index], 1ull);
	finished_ns[index] = engine_now_ns();
}

static void test_independent_lines_scale(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	double one, all;

	start(&model, 64, 64);
	one = run(1, add_to_own);
	stop();
	start(&model, 64, 64);
	all = run(64, add_to_own);
	stop();
	vt_assert_near(all, one, 0.001);
	vt_assert_near(one / ROUNDS, 5, 0.02);
}

static void test_false_sharing(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);

	start(&model, 8, 1);
	vt_assert_near(run(8, add_to_own_word) / (8.0 * ROUNDS), 40, 0.05);
	stop();
}

static void read_shared(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++)
		(void)READ_ONCE(lines[0].word[0]);
	finished_ns[index] = engine_now_ns();
}

static void test_readers_of_an_unmodified_line_scale(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	double one, all;

	start(&model, 64, 1);
	one = run(1, read_shared);
	stop();
	start(&model, 64, 1);
	all = run(64, read_shared);
	stop();
	/* The copies are made one after the other, once. */
	assert_true(all <= one + 64 * 10 + 100);
}

/* ---- distances --------------------------------------------------------------------------------------------- */

static u32 player[2]; /* CPUs */

static void ping_pong(void *arg, u32 index)
{
	u64 me = index == player[0] ? 0 : 1;

	if (index != player[0] && index != player[1])
		return;
	for (u64 i = 0; i < 500; i++) {
		while (READ_ONCE(lines[0].word[0]) % 2 != me)
			cpu_relax();
		WRITE_ONCE(lines[0].word[0], i * 2 + me + 1);
	}
	finished_ns[index] = engine_now_ns();
}

/* Half of a round trip: the line comes to be read, and its copies go to be written. */
static double hand_over_ns(u32 a, u32 b)
{
	struct machine_model model = VT_MODEL(
		"topology.sockets", "2", "topology.clusters", "2", "topology.cores", "4", "topology.smt",
		"2", "latency.l1", "0", "latency.smt_sibling", "10", "latency.cluster", "30",
		"latency.socket", "100", "latency.remote", "300", "latency.serve", "0");
	double ns;

	player[0] = a;
	player[1] = b;
	memset(finished_ns, 0, sizeof(finished_ns));
	start(&model, 32, 1);
	ns = run(32, ping_pong);
	stop();
	return ns / 1000;
}

static u32 cpu_at(enum cpu_distance d)
{
	struct machine_model model = VT_MODEL("topology.sockets", "2", "topology.clusters", "2",
					      "topology.cores", "4", "topology.smt", "2");

	for (u32 i = 1; i < 32; i++)
		if (machine_model_distance(machine_model_place(&model, 0),
					   machine_model_place(&model, i)) == d)
			return i;
	fail();
	return 0;
}

static void test_distance_decides(void **state)
{
	double near = hand_over_ns(0, cpu_at(DIST_CLUSTER)), far = hand_over_ns(0, cpu_at(DIST_SOCKET)),
	       remote = hand_over_ns(0, cpu_at(DIST_REMOTE));

	print_message("hand-over: cluster %.1f, socket %.1f, remote %.1f ns\n", near, far, remote);
	vt_assert_near(near, 60, 0.1);
	vt_assert_near(far, 200, 0.1);
	vt_assert_near(remote, 600, 0.1);
}

/* One CPU writes it; another reads it later, and writes it. */
static void read_and_write(void *arg, u32 index)
{
	u64 before;

	if (index == player[0])
		WRITE_ONCE(lines[0].word[0], 1ull);
	if (index != player[1])
		return;
	engine_delay_ns(10000);
	before = engine_now_ns();
	assert_int_equal(READ_ONCE(lines[0].word[0]), 1);
	WRITE_ONCE(lines[0].word[0], 2ull);
	finished_ns[0] = engine_now_ns() - before;
}

static double read_and_write_ns(enum cpu_distance d, u64 migratory)
{
	struct machine_model model =
		VT_MODEL("topology.sockets", "2", "topology.clusters", "2", "topology.cores", "4", "topology.smt", "2",
			 "latency.l1", "0", "latency.cluster", "30", "latency.socket", "100", "latency.remote", "300");

	model.cache_migratory = migratory;
	player[0] = 0;
	player[1] = cpu_at(d);
	start(&model, 32, 1);
	assert_int_equal(engine_run(machine, 32, read_and_write, NULL, NULL), 0);
	stop();
	return (double)finished_ns[0];
}

static void test_modified_line_migrates_between_sockets(void **state)
{
	vt_assert_near(read_and_write_ns(DIST_REMOTE, 0), 600, 0.05);
	vt_assert_near(read_and_write_ns(DIST_REMOTE, 1), 300, 0.05);
	vt_assert_near(read_and_write_ns(DIST_SOCKET, 1), 200, 0.05);
}

/* CPU 0 writes it once; then two sockets only read it. */
static void read_in_turns(void *arg, u32 index)
{
	if (index != player[0] && index != player[1])
		return;
	if (index == 0)
		WRITE_ONCE(lines[0].word[0], 1ull);
	for (u32 i = 0; i < ROUNDS; i++) {
		(void)READ_ONCE(lines[0].word[0]);
		engine_delay_ns(1000);
	}
	finished_ns[index] = engine_now_ns();
}

static void test_what_is_only_read_does_not_wander(void **state)
{
	struct machine_model model = VT_MODEL("topology.sockets", "2", "cache.migratory", "1", "latency.remote",
					      "300", "cpu.all_core_slowdown_percent", "0");

	player[0] = 0;
	player[1] = cpu_at(DIST_REMOTE);
	memset(finished_ns, 0, sizeof(finished_ns));
	start(&model, 8, 1);
	vt_assert_near(run(8, read_in_turns), ROUNDS * 1001.0, 0.002);
	stop();
}

/* ---- locks ----------------------------------------------------------------------------------------------------- */

#define LOCK_ROUNDS 200u

static void ticket_rounds(void *arg, u32 index)
{
	u64 *next = &lines[0].word[0], *serving = &lines[1].word[0];

	for (u32 i = 0; i < LOCK_ROUNDS; i++) {
		u64 mine = fetch_add(next, 1ull);

		while (READ_ONCE(*serving) != mine)
			cpu_relax();
		lines[2].word[0]++;
		smp_store_release(serving, mine + 1);
	}
	finished_ns[index] = engine_now_ns();
}

static void queue_rounds(void *arg, u32 index)
{
	for (u32 i = 0; i < LOCK_ROUNDS; i++) {
		spin_lock(lock);
		lines[2].word[0]++;
		spin_unlock(lock);
	}
	finished_ns[index] = engine_now_ns();
}

static double per_section(u32 cpus, void (*fn)(void *, u32))
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	double ns;

	start(&model, cpus, 3);
	lock = (void *)&lines[0];
	if (fn == queue_rounds)
		spin_lock_init(lock, LOCK_RANK_PTE);
	ns = run(cpus, fn) / (cpus * (double)LOCK_ROUNDS);
	assert_int_equal(lines[2].word[0], cpus * (u64)LOCK_ROUNDS);
	stop();
	return ns;
}

/* A line on a node that was named costs what that node's memory costs, whoever touches it first. */
static void touch_cold(void *arg, u32 index)
{
	u64 start_ns = engine_now_ns();

	(void)READ_ONCE(lines[index].word[0]);
	finished_ns[index] = engine_now_ns() - start_ns;
}

static void test_memory_is_of_its_node(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "topology.sockets", "2", "topology.cores", "4",
					      "latency.memory", "80", "latency.memory_remote", "150");
	static const struct {
		u32 first, count, node; /* lines that are said to be there */
		u64 ns[4];		/* CPUs 0 to 3, of nodes 0, 1, 0, 1, each touch their line */
	} cases[] = {
		{ 0, 0, 0, { 80, 80, 80, 80 } },
		{ 0, 4, 0, { 80, 150, 80, 150 } },
		{ 0, 4, 1, { 150, 80, 150, 80 } },
		{ 2, 1, 1, { 80, 80, 150, 80 } },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		start(&model, 4, 4);
		assert_int_equal(machine_node_count(machine), 2);
		if (cases[i].count)
			machine_memory_on_node(machine, &lines[cases[i].first],
					       cases[i].count * sizeof(*lines), cases[i].node);
		(void)run(4, touch_cold);
		for (u32 cpu = 0; cpu < 4; cpu++)
			assert_int_equal(finished_ns[cpu], cases[i].ns[cpu]);
		/* Freed, it is nobody's again. */
		machine_memory_free(machine, lines, 4 * sizeof(*lines));
		lines = machine_memory_alloc(machine, 4 * sizeof(*lines), 4096);
		stop();
	}
}

static void test_ticket_lock_collapses_where_queue_does_not(void **state)
{
	double ticket4 = per_section(4, ticket_rounds), ticket64 = per_section(64, ticket_rounds);
	double queue4 = per_section(4, queue_rounds), queue64 = per_section(64, queue_rounds);

	print_message("ns per critical section, 4 and 64 CPUs: ticket %.0f %.0f, queue %.0f %.0f\n",
		      ticket4, ticket64, queue4, queue64);
	assert_true(ticket64 > 3 * ticket4);
	assert_true(queue64 < 1.3 * queue4);
}

static void test_hot_line_is_found(void **state)
{
	static const struct obj_field fields[] = { OBJ_FROM(0, "table->count"), OBJ_FROM(64, "table->other") };
	static const struct obj_layout layout = { 128, 2, fields };
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct hot_line top[4];

	start(&model, 4, 2);
	region_set_layout(machine, lines, 2 * sizeof(*lines), &layout);
	(void)run(4, add_to_shared);
	assert_true(hot_lines_top(machine, top, 4) >= 1);
	assert_string_equal(top[0].name, "table->count");
	/* Every addition but those that find the line here, at the start and when the others are done. */
	assert_true(top[0].transfers <= 4 * ROUNDS && top[0].transfers > 4 * ROUNDS * 0.95);
	assert_int_equal(top[0].transfers, top[0].owner_changes);
	vt_assert_near((double)(top[0].cost_sim_ns - top[0].queue_sim_ns), 40.0 * (double)top[0].transfers,
		       0.01);
	assert_true(top[0].time_share > 0.9);
	hot_lines_reset(machine);
	assert_int_equal(hot_lines_top(machine, top, 4), 0);
	stop();
}

/* CPU 0 writes one word of a line, the others read another: the line is the writer's, whoever waits for it. */
static void write_one_read_another(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if (index == 0)
			WRITE_ONCE(lines[0].word[5], (u64)i);
		else
			(void)READ_ONCE(lines[0].word[2]);
		vt_charge(COST_FAULT_ENTRY, 1); /* time for the others */
	}
	finished_ns[index] = engine_now_ns();
}

static const struct obj_field object_fields[] = { OBJ_FROM(0, "object->name"),  OBJ_FROM(16, "object->flags"),
						  OBJ_FROM(40, "object->count"), OBJ_FROM(64, "object->lock"),
						  OBJ_FROM(72, "object->list"),  OBJ_FROM(128, "object->data") };
static const struct obj_layout object_layout = { 256, 6, object_fields };

static void test_line_is_named_by_who_writes_it(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct hot_line top[2];

	start(&model, 4, 4);
	region_set_layout(machine, lines, 4 * sizeof(*lines), &object_layout);
	(void)run(4, write_one_read_another);
	assert_true(hot_lines_top(machine, top, 2) >= 1);
	assert_true(top[0].transfers > 2 * top[0].owner_changes); /* most of them are for the word that is read */
	assert_string_equal(top[0].name, "object->count");
	assert_string_equal(top[0].written, "object->count");
	assert_string_equal(top[0].read, "object->flags");
	assert_string_equal(top[0].along, "");
	stop();
}

static void read_only(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		(void)READ_ONCE(lines[0].word[2]);
		for (u32 line = 1; line < 1024; line++)
			line_read_ptr(&lines[line]); /* it leaves the caches */
	}
	finished_ns[index] = engine_now_ns();
}

static void test_line_that_nobody_writes(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "cache.l1_kib", "4", "cache.l2_kib", "8");
	struct hot_line top[1024];
	u32 count, i;

	start(&model, 2, 1024);
	region_set_layout(machine, lines, 4 * sizeof(*lines), &object_layout);
	(void)run(2, read_only);
	count = hot_lines_top(machine, top, ARRAY_SIZE(top));
	for (i = 0; i < count && strcmp(top[i].name, "object->flags"); i++)
		;
	assert_true(i < count);
	assert_string_equal(top[i].written, "");
	assert_string_equal(top[i].read, "object->flags");
	stop();
}

/* Two CPUs write one line, two read its neighbour, which each write fetches along. */
static void write_one_read_neighbour(void *arg, u32 index)
{
	for (u32 i = 0; i < ROUNDS; i++) {
		if (index < 2)
			(void)fetch_add(&lines[0].word[5], 1ull);
		else
			(void)READ_ONCE(lines[1].word[0]);
		vt_charge(COST_FAULT_ENTRY, 1);
	}
	finished_ns[index] = engine_now_ns();
}

static void test_line_that_is_fetched_along(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "cache.prefetch_adjacent", "1");
	struct hot_line top[2];
	u32 i = 0;

	start(&model, 4, 4);
	region_set_layout(machine, lines, 4 * sizeof(*lines), &object_layout);
	(void)run(4, write_one_read_neighbour);
	assert_int_equal(hot_lines_top(machine, top, 2), 2);
	i = strcmp(top[0].name, "object->lock") ? 1 : 0;
	assert_string_equal(top[i].name, "object->lock");
	assert_string_equal(top[i].written, "");
	assert_string_equal(top[i].along, "object->count");
	assert_string_equal(top[1 - i].along, "");
	stop();
}

static u64 waited_ns[8]; /* by the tasks' own clocks */

/* Taking a lock at once costs less than this. */
#define AT_ONCE_NS 60

static void take_turns(void *arg, u32 index)
{
	for (u32 i = 0; i < LOCK_ROUNDS; i++) {
		u64 before = engine_now_ns(), ns;

		spin_lock(lock);
		ns = engine_now_ns() - before;
		waited_ns[index] += ns > AT_ONCE_NS ? ns : 0;
		vt_charge(COST_FAULT_ENTRY, 1);
		spin_unlock(lock);
	}
	finished_ns[index] = engine_now_ns();
}

/* Waiting is the lock's, by its name, and not of the queue's nodes; and it is as long as the tasks think. */
static void test_waiting_for_a_spin_lock_is_the_locks(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	double total_ns = 0, ns;
	struct hot_line top[16];
	u32 count;

	memset(waited_ns, 0, sizeof(waited_ns));
	start(&model, 8, 4);
	region_set_layout(machine, lines, 4 * sizeof(*lines), &object_layout);
	lock = (void *)&lines[1];
	spin_lock_init(lock, LOCK_RANK_PTE);
	ns = run(8, take_turns);
	for (u32 i = 0; i < 8; i++)
		total_ns += (double)waited_ns[i];
	count = hot_lines_top(machine, top, ARRAY_SIZE(top));
	assert_string_equal(top[0].name, "object->lock");
	assert_int_equal(top[0].wait_count, 1);
	assert_string_equal(top[0].waits[0].name, "object->lock");
	assert_true(top[0].waits[0].waits > 7 * LOCK_ROUNDS && top[0].waits[0].waits <= 8 * LOCK_ROUNDS);
	vt_assert_near((double)top[0].lock_wait_sim_ns, total_ns, 0.05);
	vt_assert_near(top[0].time_share * 8 * ns, (double)(top[0].cost_sim_ns + top[0].lock_wait_sim_ns), 0.01);
	assert_true(top[0].time_share > 0.8 && top[0].time_share < 1);
	for (u32 i = 1; i < count; i++)
		if (strstr(top[i].name, "queue node"))
			assert_true(top[i].cost_sim_ns < top[0].lock_wait_sim_ns / 1000);
	stop();
}

static struct rwsem *sem;

static void take_turns_asleep(void *arg, u32 index)
{
	for (u32 i = 0; i < 50; i++) {
		u64 before = engine_now_ns(), ns;

		if (index & 1)
			down_read(sem);
		else
			down_write(sem);
		ns = engine_now_ns() - before;
		waited_ns[index] += ns > AT_ONCE_NS ? ns : 0;
		vt_charge(COST_FAULT_ENTRY, 20);
		if (index & 1)
			up_read(sem);
		else
			up_write(sem);
	}
	finished_ns[index] = engine_now_ns();
}

static void test_waiting_for_a_rwsem_is_the_rwsems(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT);
	struct hot_line top[1];
	double total_ns = 0;

	memset(waited_ns, 0, sizeof(waited_ns));
	start(&model, 8, 4);
	region_set_layout(machine, lines, 4 * sizeof(*lines), &object_layout);
	sem = (void *)&lines[1];
	machine_enter(machine);
	rwsem_init(sem, LOCK_RANK_MMAP);
	machine_leave();
	(void)run(8, take_turns_asleep);
	for (u32 i = 0; i < 8; i++)
		total_ns += (double)waited_ns[i];
	assert_int_equal(hot_lines_top(machine, top, 1), 1);
	assert_string_equal(top[0].name, "object->lock");
	vt_assert_near((double)top[0].lock_wait_sim_ns, total_ns, 0.05);
	stop();
}

/* Only what happens between reset and stop counts, waits that go on at either end by the part inside. */
static void wait_across(void *arg, u32 index)
{
	if (index == 0) {
		spin_lock(lock);
		for (u32 part = 0; part < 3; part++) {
			for (u32 i = 0; i < 100; i++)
				vt_charge(COST_FAULT_ENTRY, 1);
			if (part == 0)
				hot_lines_reset(machine);
			if (part == 1)
				hot_lines_stop(machine);
		}
		spin_unlock(lock);
	} else {
		vt_charge(COST_FAULT_ENTRY, 1);
		spin_lock(lock);
		spin_unlock(lock);
	}
	finished_ns[index] = engine_now_ns();
}

static void test_only_the_measurement_counts(void **state)
{
	struct machine_model model = VT_MODEL(VT_FLAT, "cost.fault_entry", "1000");
	struct hot_line top[1];

	start(&model, 2, 4);
	lock = (void *)&lines[1];
	spin_lock_init(lock, LOCK_RANK_PTE);
	(void)run(2, wait_across);
	assert_int_equal(hot_lines_top(machine, top, 1), 1);
	vt_assert_near((double)top[0].lock_wait_sim_ns, 100 * 1000, 0.01);
	vt_assert_near(top[0].time_share, 0.5, 0.01);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uncontended_lock_costs_its_l1_cost),
		cmocka_unit_test(test_caches_are_finite),
		cmocka_unit_test(test_buddy_line_comes_along),
		cmocka_unit_test(test_load_of_what_nobody_caches_is_exclusive),
		cmocka_unit_test(test_prefetch_overlaps_with_work),
		cmocka_unit_test(test_contended_atomic_is_one_per_transfer),
		cmocka_unit_test(test_compare_and_swap_does_not_melt_down),
		cmocka_unit_test(test_independent_lines_scale),
		cmocka_unit_test(test_false_sharing),
		cmocka_unit_test(test_readers_of_an_unmodified_line_scale),
		cmocka_unit_test(test_distance_decides),
		cmocka_unit_test(test_modified_line_migrates_between_sockets),
		cmocka_unit_test(test_what_is_only_read_does_not_wander),
		cmocka_unit_test(test_memory_is_of_its_node),
		cmocka_unit_test(test_ticket_lock_collapses_where_queue_does_not),
		cmocka_unit_test(test_hot_line_is_found),
		cmocka_unit_test(test_line_is_named_by_who_writes_it),
		cmocka_unit_test(test_line_that_nobody_writes),
		cmocka_unit_test(test_line_that_is_fetched_along),
		cmocka_unit_test(test_waiting_for_a_spin_lock_is_the_locks),
		cmocka_unit_test(test_waiting_for_a_rwsem_is_the_rwsems),
		cmocka_unit_test(test_only_the_measurement_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
