/*
 * tests/unit/mm/test_nodes.c - memory nodes: whose frames one gets, and to whom they go back
 *
 * Natively there is one node: then this is about that.
 */
#include <mmsim/machine_model.h>

#include "tests/unit/mm/mm_world.h"
#include "tests/unit/test_seed.h"

#define CPUS 4 /* sockets round-robin: node 0 has CPUs 0 and 2 */
#define FRAMES 4096
#define SOME 300 /* more than a CPU's list is refilled with at once */

struct nodes_world {
	struct mm_world w;
	u32 nodes;
	struct page *held[CPUS][FRAMES];
	u32 count[CPUS];
};

static struct nodes_world world;

static void create(void)
{
	struct machine_model_error error;
	struct machine_model model;
	struct machine_config cfg = { .tasks = CPUS, .cpus = CPUS, .content_words = 1, .seed = 1,
				      .memory_bytes = FRAMES * PAGE, .model = &model };

	memset(&world, 0, sizeof(world));
	assert_int_equal(machine_model_load(&model, "ivybridge40", &error), 0);
	world.w.m = machine_create(&cfg);
	assert_non_null(world.w.m);
	machine_enter(world.w.m);
	assert_int_equal(mm_machine_init(world.w.m, &arch_x86_64, NULL), 0);
	world.w.mem = memory_of(world.w.m);
	world.nodes = machine_node_count(world.w.m);
}

static void run(void (*fn)(void *arg, u32 index))
{
	machine_leave();
	assert_int_equal(engine_run(world.w.m, CPUS, fn, NULL, NULL), 0);
	machine_enter(world.w.m);
}

static void destroy(void)
{
	mm_machine_destroy(world.w.m); /* no frame is lost */
	machine_leave();
	machine_destroy(world.w.m);
}

static void take_some(void *arg, u32 index)
{
	for (u32 i = 0; i < SOME; i++)
		world.held[index][i] = page_alloc(world.w.mem, 0);
	world.count[index] = SOME;
}

/* The others' frames: what a CPU frees goes to its lists of that node, and to that zone. */
static void put_others(void *arg, u32 index)
{
	u32 whose = (index + 1) % CPUS;

	page_put_batch(world.w.mem, world.held[whose], world.count[whose]);
}

static void expect_local(void)
{
	for (u32 cpu = 0; cpu < CPUS; cpu++)
		for (u32 i = 0; i < SOME; i++) {
			assert_non_null(world.held[cpu][i]);
			assert_int_equal(page_node(world.w.mem, world.held[cpu][i]), cpu % world.nodes);
		}
}

static void local_first(void **state)
{
	create();
	assert_in_range(world.nodes, 1, 2);
	for (u32 round = 0; round < 3; round++) {
		run(take_some);
		expect_local();
		run(put_others);
	}
	destroy();
}

/* One CPU takes all: its own node's frames come first, then the other's. */
static void take_all(void *arg, u32 index)
{
	struct page *page;

	if (index != 1)
		return;
	while ((page = page_alloc(world.w.mem, 0)))
		world.held[1][world.count[1]++] = page;
}

static void falls_back(void **state)
{
	u64 used;
	u32 local = 0;

	create();
	used = memory_frames_used(world.w.m);
	run(take_all);
	assert_int_equal(world.count[1], FRAMES - used);
	for (u32 i = 0; i < world.count[1]; i++) {
		bool is_local = page_node(world.w.mem, world.held[1][i]) == 1 % world.nodes;

		assert_true(!is_local || local == i); /* none after the first of another node */
		local += is_local;
	}
	assert_int_equal(local, world.nodes == 1 ? world.count[1] : FRAMES / world.nodes);
	/* What comes back is found again, by those who are near and those who are not. */
	page_put_batch(world.w.mem, world.held[1], world.count[1]);
	run(take_some);
	expect_local();
	run(put_others);
	destroy();
}

static void add_some(void *arg, u32 index)
{
	for (u32 i = 0; i < SOME; i++) {
		struct page *page = page_alloc(world.w.mem, 0);

		WRITE_ONCE(page->flags, (u32)(PAGE_ANON | PAGE_SWAPBACKED));
		lru_add(world.w.mem, page);
		world.held[index][i] = page;
	}
	world.count[index] = SOME;
}

/* Batches of pages of both nodes, in and out. */
static void lru_of_both(void **state)
{
	u64 seed = test_seed("lru_of_both");

	create();
	run(add_some);
	lru_drain_all(world.w.m);
	assert_int_equal(lru_pages(world.w.mem), CPUS * SOME);
	for (u32 i = 0; i < CPUS * SOME; i++) { /* mixed, so that each batch changes locks */
		u32 a = i % CPUS, b = (u32)(test_random(&seed) % CPUS), k = i / CPUS;
		struct page *page = world.held[a][k];

		world.held[a][k] = world.held[b][k];
		world.held[b][k] = page;
	}
	for (u32 k = 0; k < SOME; k++) {
		struct page *mixed[CPUS];

		for (u32 cpu = 0; cpu < CPUS; cpu++)
			mixed[cpu] = world.held[cpu][k];
		page_put_batch(world.w.mem, mixed, CPUS);
	}
	assert_int_equal(lru_pages(world.w.mem), 0);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_first),
		cmocka_unit_test(falls_back),
		cmocka_unit_test(lru_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
