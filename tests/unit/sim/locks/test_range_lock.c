/*
 * tests/unit/sim/locks/test_range_lock.c - the interval-tree range lock: exclusion, the count of
 * blockers, FIFO, downgrade, kill
 */
#include "range_test.h"

#include <mmsim/range_lock.h>

static struct range_lock_tree *tree;
static struct range_lock *ranges; /* two per task */
static u32 order_count, order[8];

static struct range_lock *range_at(u32 task, u32 which)
{
	return &ranges[task * 2 + which];
}

static void create(struct machine *m)
{
	tree = machine_memory_alloc(m, sizeof(*tree), MMSIM_CACHE_LINE_BYTES);
	ranges = machine_memory_alloc(m, 2 * 8 * sizeof(*ranges), MMSIM_CACHE_LINE_BYTES);
	assert_true(tree && ranges);
	range_lock_tree_init(tree, LOCK_RANK_MMAP);
	order_count = 0;
}

static void destroy(struct machine *m)
{
	assert_null(tree->root.node);
	machine_memory_free(m, ranges, 2 * 8 * sizeof(*ranges));
	machine_memory_free(m, tree, sizeof(*tree));
}

static int lock(u32 task, u32 which, u64 start, u64 last, bool write, enum how how)
{
	struct range_lock *range = range_at(task, which);

	range_lock_init(range, start, last);
	if (last == ~0ull && start == 0)
		range_lock_init_full(range);
	if (how == KILLABLE)
		return write ? range_write_lock_killable(tree, range) :
			       range_read_lock_killable(tree, range);
	if (how == NESTED)
		(write ? range_write_lock_nested : range_read_lock_nested)(tree, range);
	else
		(write ? range_write_lock : range_read_lock)(tree, range);
	return 0;
}

static bool trylock(u32 task, u32 which, u64 start, u64 last, bool write)
{
	struct range_lock *range = range_at(task, which);

	range_lock_init(range, start, last);
	return write ? range_write_trylock(tree, range) : range_read_trylock(tree, range);
}

static void unlock(u32 task, u32 which, bool write)
{
	(write ? range_write_unlock : range_read_unlock)(tree, range_at(task, which));
}

static void downgrade(u32 task, u32 which)
{
	range_downgrade_write(tree, range_at(task, which));
}

static struct range_lock *entry(struct rb_node *node)
{
	return rb_entry(node, struct range_lock, rb);
}

static bool conflict(const struct range_lock *a, const struct range_lock *b)
{
	return a->start <= b->last && b->start <= a->last && !(a->arrival & b->arrival & 1);
}

/* blockers is what a count of all pairs says. */
static void check_blockers(void)
{
	struct rb_node *a, *b;

	spin_lock(&tree->lock);
	for (a = rb_first(&tree->root); a; a = rb_next(a)) {
		u32 blockers = 0;

		for (b = rb_first(&tree->root); b; b = rb_next(b))
			blockers += b != a && conflict(entry(a), entry(b)) &&
				    (s32)(entry(b)->arrival - entry(a)->arrival) < 0;
		if (blockers != entry(a)->blockers)
			fail_msg("%u blockers counted, %u there", entry(a)->blockers, blockers);
	}
	spin_unlock(&tree->lock);
}

static const struct range_ops ops = {create, destroy, lock, trylock, unlock, downgrade,
				     check_blockers};

static u32 waiters(void)
{
	struct rb_node *node;
	u32 n = 0;

	spin_lock(&tree->lock);
	for (node = rb_first(&tree->root); node; node = rb_next(node))
		n += entry(node)->blockers != 0;
	spin_unlock(&tree->lock);
	return n;
}

static void wait_queued(u32 n)
{
	while (waiters() < n)
		engine_yield();
}

static void test_mix_against_model(void **state)
{
	range_mix_all(&ops);
}

/* ---- one case at a time -------------------------------------------------------------------- */

static void alone_task(void *arg, u32 index)
{
	assert_false(range_is_locked(tree, 0, ~0ull));
	assert_true(trylock(0, 0, 10, 19, true));
	assert_true(range_is_locked(tree, 19, 30));
	assert_false(range_is_locked(tree, 20, 30));
	assert_false(trylock(0, 1, 0, 10, false));
	assert_true(trylock(0, 1, 0, 9, true));
	unlock(0, 1, true);
	downgrade(0, 0);
	assert_false(trylock(0, 1, 15, 15, true));
	assert_true(trylock(0, 1, 15, 15, false));
	unlock(0, 1, false);
	unlock(0, 0, false);
	assert_true(trylock(0, 0, 10, 19, true));
	assert_false(trylock(0, 1, 15, 15, false));
	assert_false(range_is_contended(tree, range_at(0, 0)));
	unlock(0, 0, true);
	range_lock_init(range_at(0, 0), 5, 5);
	assert_true(range_read_trylock_non_owner(tree, range_at(0, 0)));
	range_read_unlock_non_owner(tree, range_at(0, 0));
	assert_int_equal(lock(0, 0, 0, ~0ull, true, KILLABLE), 0);
	unlock(0, 0, true);
}

static void test_trylocks_and_queries(void **state)
{
	range_run(&ops, 1, alone_task);
}

/* 0 holds [0, 9] W. 1: [5, 14] W, 2: [10, 19] R, 3: [12, 30] R, 4: [0, 30] W queue in this order.
 * 2 and 3 conflict with 1 only: when 0 leaves, 1 goes, then 2 and 3 beside each other, then 4. */
static const struct {
	u64 start, last;
	bool write;
} fifo_ranges[] = {{0, 9, true}, {5, 14, true}, {10, 19, false}, {12, 30, false}, {0, 30, true}};

static u32 readers_inside;

static void fifo_task(void *arg, u32 index)
{
	u64 start = fifo_ranges[index].start, last = fifo_ranges[index].last;
	bool write = fifo_ranges[index].write;

	wait_step(index);
	if (index > 1)
		wait_queued(index - 1);
	(void)lock(index, 0, start, last, write, PLAIN);
	if (index == 0) {
		for (u32 i = 1; i < ARRAY_SIZE(fifo_ranges); i++) {
			next_step();
			wait_queued(i);
		}
		assert_true(range_is_contended(tree, range_at(0, 0)));
		assert_false(trylock(0, 1, 31, 31, true) && (unlock(0, 1, true), false));
		assert_false(trylock(0, 1, 25, 40, false)); /* 4 waits for it: no overtaking */
	}
	if (!write) {
		(void)fetch_add(&readers_inside, 1u);
		while (READ_ONCE(readers_inside) < 2)
			engine_yield();
	}
	spin_lock(&tree->lock);
	order[order_count++] = index;
	spin_unlock(&tree->lock);
	unlock(index, 0, write);
}

static void test_fifo_among_conflicting(void **state)
{
	for (u32 i = 0; i < 20; i++) {
		WRITE_ONCE(readers_inside, 0u);
		range_run(&ops, ARRAY_SIZE(fifo_ranges), fifo_task);
		assert_int_equal(order_count, 5);
		assert_int_equal(order[0], 0);
		assert_int_equal(order[1], 1);
		assert_int_equal(order[2] + order[3], 5);
		assert_int_equal(order[4], 4);
	}
}

/* 0 holds W; 1 and 2 queue for reading; the downgrade lets both in. 3, a writer, stays out. */
static void downgrade_task(void *arg, u32 index)
{
	if (index == 0) {
		(void)lock(0, 0, 0, 20, true, PLAIN);
		for (u32 i = 1; i <= 3; i++) {
			next_step();
			wait_queued(i);
		}
		downgrade(0, 0);
		while (READ_ONCE(readers_inside) < 2)
			engine_yield();
		assert_int_equal(waiters(), 1);
		unlock(0, 0, false);
	} else if (index == 3) {
		wait_step(3);
		(void)lock(3, 0, 0, 20, true, PLAIN);
		assert_int_equal(READ_ONCE(readers_inside), 2);
		unlock(3, 0, true);
	} else {
		wait_step(index);
		(void)lock(index, 0, 5, 9 + index, false, PLAIN);
		(void)fetch_add(&readers_inside, 1u);
		while (READ_ONCE(readers_inside) < 2)
			engine_yield();
		unlock(index, 0, false);
	}
}

static void test_downgrade_lets_readers_in(void **state)
{
	WRITE_ONCE(readers_inside, 0u);
	range_run(&ops, 4, downgrade_task);
}

/* 0 holds [0, 9] R; 1 waits for [5, 15] W, killable; 2 waits behind it for [10, 20] R. When 1 is
 * killed 2 must be let in, although nobody unlocks. */
static void kill_task(void *arg, u32 index)
{
	if (index == 0) {
		(void)lock(0, 0, 0, 9, false, PLAIN);
		next_step();
		wait_queued(1);
		next_step();
		wait_queued(2);
		task_kill(machine_task(this_cpu()->machine, 1));
		wait_step(4); /* both are through */
		assert_int_equal(waiters(), 0);
		unlock(0, 0, false);
	} else if (index == 1) {
		wait_step(1);
		assert_int_equal(lock(1, 0, 5, 15, true, KILLABLE), -EINTR);
		next_step();
	} else {
		wait_step(2);
		(void)lock(2, 0, 10, 20, false, PLAIN);
		next_step();
		unlock(2, 0, false);
	}
}

static void test_killed_waiter_unblocks_later_ones(void **state)
{
	for (u32 i = 0; i < 50; i++)
		range_run(&ops, 3, kill_task);
}

/* 0 kills the waiter 1 and unlocks at the same time: 1 has the range or it has not, and 2, behind it,
 * gets its turn. */
static void kill_and_unlock_task(void *arg, u32 index)
{
	if (index == 0) {
		(void)lock(0, 0, 0, 9, true, PLAIN);
		next_step();
		wait_queued(2);
		next_step();
		engine_delay_ns(sim_test_random(&range_seed) % 4000); /* about what a wake-up takes */
		unlock(0, 0, true);
	} else if (index == 3) {
		wait_step(2);
		task_kill(machine_task(this_cpu()->machine, 1));
		next_step();
	} else {
		wait_step(1);
		if (!lock(index, 0, 5, 15, true, index == 1 ? KILLABLE : PLAIN)) {
			cells_enter(5, 15, true);
			engine_yield();
			cells_leave(5, 15, true);
			unlock(index, 0, true);
		}
		wait_step(3); /* not gone before it is killed */
	}
}

#if defined(MMSIM_ENGINE_VIRTUAL)
#define KILL_RUNS 500
#else
#define KILL_RUNS 20
#endif

static void test_killed_while_it_is_let_in(void **state)
{
	u64 seed = sim_test_seed();

	range_seed = seed;
	memset(cells, 0, sizeof(cells));
	for (u32 i = 0; i < KILL_RUNS; i++) {
		struct machine_config cfg = {.tasks = 4, .seed = seed + i, .schedule = SCHEDULE_RANDOM};
		struct machine *m = machine_create(&cfg);

		assert_non_null(m);
		WRITE_ONCE(range_step, 0u);
		create(m);
		assert_int_equal(engine_run(m, 4, kill_and_unlock_task, NULL, NULL), 0);
		destroy(m);
		machine_destroy(m);
	}
}

static void unlock_twice(void)
{
	struct machine *m = sim_test_machine(1);

	create(m);
	machine_enter(m);
	range_lock_init_full(range_at(0, 0));
	assert_true(range_read_trylock_non_owner(tree, range_at(0, 0)));
	range_downgrade_write(tree, range_at(0, 0));
}

static void test_wrong_mode_stops(void **state)
{
	sim_test_expect_bug(unlock_twice, "downgraded but not write-locked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trylocks_and_queries),
		cmocka_unit_test(test_mix_against_model),
		cmocka_unit_test(test_fifo_among_conflicting),
		cmocka_unit_test(test_downgrade_lets_readers_in),
		cmocka_unit_test(test_killed_waiter_unblocks_later_ones),
		cmocka_unit_test(test_killed_while_it_is_let_in),
		cmocka_unit_test(test_wrong_mode_stops),
	};

	_Static_assert(sizeof(struct range_lock) == MMSIM_CACHE_LINE_BYTES, "a range is one line");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
