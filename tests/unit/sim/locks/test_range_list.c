/*
 * tests/unit/sim/locks/test_range_list.c - the list-based range lock: exclusion, the fast path,
 * withdrawal, downgrade, kill, the gate, reuse of nodes
 */
#include "range_test.h"

#include <mmsim/range_list.h>

static struct range_list_pool *pool;
static struct range_list *list;
static struct range_hold holds[8][2];
static u32 spin_ns, patience;
static u32 inside, result;

static void create(struct machine *m)
{
	machine_enter(m);
	pool = range_list_pool_create(m);
	machine_leave();
	list = machine_memory_alloc(m, sizeof(*list), MMSIM_CACHE_LINE_BYTES);
	assert_true(pool && list);
	range_list_init(list, pool, LOCK_RANK_MMAP, spin_ns, patience);
	WRITE_ONCE(inside, 0u);
	WRITE_ONCE(result, 0u);
}

/* Stops if a range is held or a node was lost. */
static void destroy(struct machine *m)
{
	machine_enter(m);
	range_list_destroy(list);
	range_list_pool_destroy(pool);
	machine_leave();
	machine_memory_free(m, list, sizeof(*list));
}

static int lock(u32 task, u32 which, u64 start, u64 last, bool write, enum how how)
{
	struct range_hold *hold = &holds[task][which];

	range_hold_init(hold, start, last);
	if (last == ~0ull && start == 0)
		range_hold_init_full(hold);
	if (how == KILLABLE)
		return write ? range_list_write_lock_killable(list, hold) :
			       range_list_read_lock_killable(list, hold);
	if (!write)
		range_list_read_lock(list, hold);
	else if (how == NESTED)
		range_list_write_lock_nested(list, hold);
	else
		range_list_write_lock(list, hold);
	return 0;
}

static bool trylock(u32 task, u32 which, u64 start, u64 last, bool write)
{
	struct range_hold *hold = &holds[task][which];

	range_hold_init(hold, start, last);
	return write ? range_list_write_trylock(list, hold) : range_list_read_trylock(list, hold);
}

static void unlock(u32 task, u32 which, bool write)
{
	(write ? range_list_write_unlock : range_list_read_unlock)(list, &holds[task][which]);
}

static void downgrade(u32 task, u32 which)
{
	range_list_downgrade_write(list, &holds[task][which]);
}

static const struct range_ops ops = {create, destroy, lock, trylock, unlock, downgrade, NULL};

static void mix(u32 spin, u32 patient)
{
	spin_ns = spin;
	patience = patient;
	range_mix_all(&ops);
	spin_ns = 0;
	patience = RANGE_LIST_PATIENT;
}

static void test_mix_sleeping(void **state)
{
	mix(0, RANGE_LIST_PATIENT);
}

static void test_mix_spinning(void **state)
{
	mix(RANGE_LIST_SPIN_FOREVER, RANGE_LIST_PATIENT);
}

static void test_mix_impatient(void **state)
{
	mix(2000, 1);
}

/* ---- one case at a time -------------------------------------------------------------------- */

static void alone_task(void *arg, u32 index)
{
	struct range_hold *hold = &holds[0][0];

	assert_true(trylock(0, 0, 10, 19, true));
	assert_true(list->head & 1); /* the fast path */
	assert_true(range_list_is_locked(list, 19, 30));
	assert_false(range_list_is_locked(list, 20, 30));
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
	assert_false(range_list_is_contended(hold));
	unlock(0, 0, true);
	range_hold_init(hold, 5, 5);
	assert_true(range_list_read_trylock_non_owner(list, hold));
	assert_true(list->head & 1); /* again: what was left of the others is gone */
	range_list_read_unlock_non_owner(list, hold);
	assert_true(list->head == 0);
	for (u32 i = 0; i < 1000; i++) { /* a fast release reuses its node */
		assert_int_equal(lock(0, 0, 0, ~0ull, i % 2, KILLABLE), 0);
		unlock(0, 0, i % 2);
		assert_true(list->head == 0);
	}
}

static void test_trylocks_and_fast_path(void **state)
{
	range_run(&ops, 1, alone_task);
}

/* More nodes than a batch go through the list and come back after grace periods. */
static void reuse_task(void *arg, u32 index)
{
	for (u32 i = 0; i < 5000; i++) {
		assert_int_equal(lock(0, 0, 10, 19, true, PLAIN), 0);
		assert_true(trylock(0, 1, 30, 39, false));
		unlock(0, 0, true);
		unlock(0, 1, false);
	}
}

static void test_nodes_come_back(void **state)
{
	range_run(&ops, 1, reuse_task);
}

static bool someone_sleeps(u32 task)
{
	return range_list_is_contended(&holds[task][0]);
}

/* 0 holds W; 1 and 2 wait for reading; the downgrade lets both in. 3, a writer, stays out. */
static void downgrade_task(void *arg, u32 index)
{
	if (index == 0) {
		(void)lock(0, 0, 0, 20, true, PLAIN);
		next_step();
		while (!someone_sleeps(0))
			engine_yield();
		downgrade(0, 0);
		while (READ_ONCE(inside) < 2)
			engine_yield();
		assert_int_equal(READ_ONCE(result), 0);
		next_step();
		unlock(0, 0, false);
		return;
	}
	wait_step(1);
	(void)lock(index, 0, index == 3 ? 0 : 5, 20, index == 3, PLAIN);
	if (index == 3) {
		assert_int_equal(READ_ONCE(range_step), 2);
		WRITE_ONCE(result, 1u);
	} else {
		(void)fetch_add(&inside, 1u);
		while (READ_ONCE(inside) < 2)
			engine_yield();
	}
	unlock(index, 0, index == 3);
}

static void test_downgrade_lets_readers_in(void **state)
{
	for (u32 i = 0; i < 50; i++)
		range_run(&ops, 4, downgrade_task);
}

/* 0 holds; 1 waits, and is killed; what it asked for is free to others once 0 is gone. */
static bool kill_writes;

static void kill_task(void *arg, u32 index)
{
	if (index == 0) {
		(void)lock(0, 0, 0, 9, true, PLAIN);
		next_step();
		while (!someone_sleeps(0))
			engine_yield();
		task_kill(machine_task(this_cpu()->machine, 1));
		wait_step(2);
		unlock(0, 0, true);
		assert_true(trylock(0, 0, 0, 30, true));
		unlock(0, 0, true);
	} else {
		wait_step(1);
		assert_int_equal(lock(1, 0, 5, 15, kill_writes, KILLABLE), -EINTR);
		next_step();
	}
}

static void test_killed_waiters_leave(void **state)
{
	for (u32 i = 0; i < 50; i++) {
		kill_writes = i % 2;
		range_run(&ops, 2, kill_task);
	}
}

/* Two readers pass a range between them without a gap, for as long as the writer has not got it: it
 * never would but for the gate. */
static void relay_task(void *arg, u32 index)
{
	if (index == 2) {
		while (READ_ONCE(inside) == 0)
			engine_yield();
		(void)lock(2, 0, 0, 9, true, PLAIN);
		WRITE_ONCE(result, 1u);
		unlock(2, 0, true);
		return;
	}
	while (!READ_ONCE(result)) {
		u32 rounds = 0;

		(void)lock(index, 0, 0, 9, false, PLAIN);
		(void)fetch_add(&inside, 1u);
		/* Wait for the other one to be in, too; if it does not come it is before the gate. */
		while (READ_ONCE(inside) < 2 && !READ_ONCE(result) && ++rounds < 2000)
			engine_yield();
		(void)fetch_add(&inside, -1u);
		unlock(index, 0, false);
	}
}

static void test_gate_ends_starvation(void **state)
{
	struct machine *m = sim_test_machine(3);

	patience = 3;
	spin_ns = 0;
	WRITE_ONCE(range_step, 0u);
	create(m);
	sim_test_run(m, 3, relay_task);
	print_message("%llu waits, gate shut %llu times\n",
		      (unsigned long long)machine_counter(m, COUNTER_RANGE_LIST_WAIT),
		      (unsigned long long)machine_counter(m, COUNTER_RANGE_LIST_GATE));
	assert_true(list->gate == 0);
	destroy(m);
	machine_destroy(m);
	patience = RANGE_LIST_PATIENT;
}

static void unlock_wrong(void)
{
	struct machine *m = sim_test_machine(1);

	create(m);
	machine_enter(m);
	range_hold_init_full(&holds[0][0]);
	assert_true(range_list_read_trylock_non_owner(list, &holds[0][0]));
	range_list_downgrade_write(list, &holds[0][0]);
}

static void test_wrong_mode_stops(void **state)
{
	sim_test_expect_bug(unlock_wrong, "downgraded but not write-locked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trylocks_and_fast_path),
		cmocka_unit_test(test_nodes_come_back),
		cmocka_unit_test(test_mix_sleeping),
		cmocka_unit_test(test_mix_spinning),
		cmocka_unit_test(test_mix_impatient),
		cmocka_unit_test(test_downgrade_lets_readers_in),
		cmocka_unit_test(test_killed_waiters_leave),
		cmocka_unit_test(test_gate_ends_starvation),
		cmocka_unit_test(test_wrong_mode_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
