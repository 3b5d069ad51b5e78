/*
 * tests/unit/sim/locks/range_test.h - range locks against an obvious model
 *
 * The model is an array of cells. Who holds a range marks each cell of it, with a number that tells
 * readers from writers, and finds there at once whoever else is inside. Beside each mark is a
 * plain word that writers change and readers look at, for TSan and for what a lock must make
 * visible. Natively, and in virtual time with many seeds of random schedules.
 */
#ifndef MMSIM_RANGE_TEST_H
#define MMSIM_RANGE_TEST_H

#include "../sim_test.h"

#define CELLS 64
#define WRITER_MARK (1u << 16)
#define RANGE_TASKS 5

enum how { PLAIN, NESTED, KILLABLE };

/* A task has two ranges, `which` is 0 or 1. */
struct range_ops {
	void (*create)(struct machine *m);
	void (*destroy)(struct machine *m); /* fails the test if anything is held */
	int (*lock)(u32 task, u32 which, u64 start, u64 last, bool write, enum how how);
	bool (*trylock)(u32 task, u32 which, u64 start, u64 last, bool write);
	void (*unlock)(u32 task, u32 which, bool write);
	void (*downgrade)(u32 task, u32 which);
	void (*check)(void); /* the lock's own invariants, while others run */
};

static struct {
	u32 mark; /* (atomic) readers + WRITER_MARK * writers */
	u64 plain, twice; /* (the lock) twice == 2 * plain */
} cells[CELLS];

static const struct range_ops *range_ops;
static u64 range_seed;
static u32 range_rounds, range_ended;
static bool range_kills;
static u64 range_locked, range_tried, range_killed;

static inline void cells_enter(u64 start, u64 last, bool write)
{
	for (u64 i = start; i <= min(last, CELLS - 1ull); i++) {
		u32 others = fetch_add_relaxed(&cells[i].mark, write ? WRITER_MARK : 1);

		if (write ? others != 0 : others >= WRITER_MARK)
			fail_msg("cell %u: taken for %s beside marks 0x%x", (u32)i,
				 write ? "writing" : "reading", others);
	}
}

static inline void cells_leave(u64 start, u64 last, bool write)
{
	for (u64 i = start; i <= min(last, CELLS - 1ull); i++)
		(void)fetch_add_relaxed(&cells[i].mark, write ? -WRITER_MARK : -1u);
}

static inline void cells_use(u64 start, u64 last, bool write)
{
	for (u64 i = start; i <= min(last, CELLS - 1ull); i++) {
		assert_true(cells[i].twice == 2 * cells[i].plain);
		if (write) {
			cells[i].plain++;
			cells[i].twice += 2;
		}
	}
}

/* Hold it for a moment, in which others get their chance to be wrong. */
static inline void range_inside(u64 start, u64 last, bool write, u64 *seed)
{
	cells_enter(start, last, write);
	cells_use(start, last, write);
	if (sim_test_random(seed) % 4 == 0)
		engine_yield();
	cells_leave(start, last, write);
}

/* After a killable wait that may have failed. */
static inline bool range_got(int ret)
{
	if (ret)
		(void)fetch_add_relaxed(&range_killed, 1ull);
	return ret == 0;
}

/* A second range may only be tried for: somebody may wait for one that spans both. */
static inline void range_two(u32 task, u64 start, u64 last, u64 *seed)
{
	u64 second = last + 1 + sim_test_random(seed) % 8;

	if (last >= CELLS || !range_got(range_ops->lock(task, 0, start, last, true, KILLABLE)))
		return;
	if (range_ops->trylock(task, 1, second, second + 5, true)) {
		range_inside(second, second + 5, true, seed);
		range_ops->unlock(task, 1, true);
	}
	range_inside(start, last, true, seed);
	range_ops->unlock(task, 0, true);
}

static inline void range_one(u32 task, u64 start, u64 last, u64 *seed)
{
	bool write = sim_test_random(seed) % 3 == 0;
	enum how how = (enum how)(sim_test_random(seed) % 3);

	switch (sim_test_random(seed) % 8) {
	case 0:
		if (!range_ops->trylock(task, 0, start, last, write))
			return;
		(void)fetch_add_relaxed(&range_tried, 1ull);
		break;
	case 1:
		if (!range_got(range_ops->lock(task, 0, start, last, true, how)))
			return;
		range_inside(start, last, true, seed);
		range_ops->downgrade(task, 0);
		write = false;
		break;
	case 2:
		range_two(task, start, last, seed);
		return;
	default:
		if (!range_got(range_ops->lock(task, 0, start, last, write, how)))
			return;
		break;
	}
	(void)fetch_add_relaxed(&range_locked, 1ull);
	range_inside(start, last, write, seed);
	range_ops->unlock(task, 0, write);
}

static void range_mixed_task(void *arg, u32 index)
{
	u64 seed = range_seed * 31 + index;

	for (u32 i = 0; i < range_rounds; i++) {
		u64 start = sim_test_random(&seed) % CELLS;
		u64 last = start + sim_test_random(&seed) % 12;

		if (sim_test_random(&seed) % 16 == 0) {
			start = 0;
			last = ~0ull;
		}
		if (range_kills && i == range_rounds / 2)
			task_kill(machine_task(this_cpu()->machine,
					       (u32)(sim_test_random(&seed) % RANGE_TASKS)));
		range_one(index, start, last, &seed);
		if (range_ops->check && i % 8 == 0)
			range_ops->check();
	}
	/* Nobody ends while somebody may still kill it. */
	(void)fetch_add(&range_ended, 1u);
	while (READ_ONCE(range_ended) < RANGE_TASKS)
		engine_yield();
}

static inline void range_mix(const struct range_ops *ops, u64 seed, enum schedule schedule, u32 rounds)
{
	struct machine_config cfg = {.tasks = RANGE_TASKS, .seed = seed, .schedule = schedule};
	struct machine *m;

	/* In virtual time: also more tasks than CPUs. */
	cfg.cpus = schedule == SCHEDULE_TIME || seed % 2 ? 0 : 2;
	m = machine_create(&cfg);
	assert_non_null(m);
	range_ops = ops;
	range_seed = seed;
	range_rounds = rounds;
	range_kills = seed % 3 == 0;
	memset(cells, 0, sizeof(cells));
	WRITE_ONCE(range_ended, 0u);
	ops->create(m);
	assert_int_equal(engine_run(m, RANGE_TASKS, range_mixed_task, NULL, NULL), 0);
	ops->destroy(m);
	machine_destroy(m);
}

static inline void range_mix_all(const struct range_ops *ops)
{
	u64 seed = sim_test_seed();

#if defined(MMSIM_ENGINE_VIRTUAL)
	range_mix(ops, seed, SCHEDULE_TIME, 2000);
	for (u32 i = 0; i < 300; i++)
		range_mix(ops, seed + i, SCHEDULE_RANDOM, 40);
#else
	for (u32 i = 0; i < 6; i++)
		range_mix(ops, seed + i, SCHEDULE_TIME, 800);
#endif
	print_message("%llu locked, %llu by trylock, %llu killed while waiting\n",
		      (unsigned long long)range_locked, (unsigned long long)range_tried,
		      (unsigned long long)range_killed);
	assert_true(range_locked && range_tried && range_killed);
}

/* ---- steps: orders of arrival that a test decides -------------------------------------------- */

static u32 range_step;

static inline void wait_step(u32 wanted)
{
	while (smp_load_acquire(&range_step) < wanted)
		engine_yield();
}

static inline void next_step(void)
{
	(void)fetch_add(&range_step, 1u);
}

static inline void range_run(const struct range_ops *ops, u32 tasks, void (*fn)(void *arg, u32 index))
{
	struct machine *m = sim_test_machine(tasks);

	WRITE_ONCE(range_step, 0u);
	ops->create(m);
	sim_test_run(m, tasks, fn);
	ops->destroy(m);
	machine_destroy(m);
}

#endif
