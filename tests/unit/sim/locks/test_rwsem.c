/*
 * tests/unit/sim/locks/test_rwsem.c - exclusion, order, downgrade, kill, hand-off
 *
 * Tests that need a certain order of arrival wait until rwsem_is_contended() or a queue length says
 * that the other task is there; none depends on how fast anybody is, except where a time is the
 * subject (hand-off), and there only as an upper bound that is generous.
 */
#include "../sim_test.h"

#include <mmsim/rwsem.h>

#define TASKS 6
#define ROUNDS 5000

static struct machine *machine;
static struct rwsem sem;
static u64 plain_a, plain_b; /* (sem) */
static u64 plain_c;          /* (sem W) */
static u32 order_count, order[8], step, result;

static void setup_sem(void)
{
	rwsem_init(&sem, LOCK_RANK_MMAP);
	plain_a = plain_b = plain_c = 0;
	WRITE_ONCE(order_count, 0u);
	WRITE_ONCE(step, 0u);
	WRITE_ONCE(result, 0u);
}

static void wait_step(u32 wanted)
{
	while (smp_load_acquire(&step) < wanted)
		engine_yield();
}

static void next_step(void)
{
	(void)fetch_add(&step, 1u);
}

/* Tasks in the wait list. */
static u32 queue_length(void)
{
	struct rwsem_waiter *w;
	u32 n = 0;

	spin_lock(&sem.wait_lock);
	list_for_each_entry (w, &sem.wait_list, link)
		n++;
	spin_unlock(&sem.wait_lock);
	return n;
}

static void wait_queued(u32 n)
{
	while (queue_length() < n)
		engine_yield();
}

static void assert_free(void)
{
	assert_false(rwsem_is_locked(&sem));
	assert_false(rwsem_is_contended(&sem));
	assert_true(sem.count == 0);
	assert_true(list_empty(&sem.wait_list));
	assert_null(sem.osq_tail);
}

/* ---- everything at once -------------------------------------------------------------------- */

static void write_once_held(void)
{
	plain_a++;
	plain_c++;
	plain_b = plain_a;
}

static void mixed_task(void *arg, u32 index)
{
	u64 seed = *(u64 *)arg + index;

	for (u32 i = 0; i < ROUNDS; i++) {
		switch (sim_test_random(&seed) % 8) {
		case 0:
			down_write(&sem);
			write_once_held();
			up_write(&sem);
			break;
		case 1:
			down_write(&sem);
			write_once_held();
			downgrade_write(&sem);
			assert_true(plain_a == plain_b);
			up_read(&sem);
			break;
		case 2:
			if (down_write_trylock(&sem)) {
				write_once_held();
				up_write(&sem);
			}
			break;
		case 3:
			if (down_read_trylock(&sem)) {
				assert_true(plain_a == plain_b);
				up_read(&sem);
			}
			break;
		case 4:
			if (down_write_killable(&sem) == 0) {
				write_once_held();
				up_write(&sem);
			}
			break;
		default:
			down_read(&sem);
			assert_true(plain_a == plain_b);
			if (i % 64 == 0)
				engine_yield();
			up_read(&sem);
			break;
		}
	}
}

static void test_random_mix_excludes(void **state)
{
	u64 seed = sim_test_seed();

	setup_sem();
	assert_int_equal(engine_run(machine, TASKS, mixed_task, &seed, NULL), 0);
	assert_true(plain_a == plain_b && plain_a == plain_c && plain_c > 0);
	assert_free();
}

/* ---- one case at a time -------------------------------------------------------------------- */

static void test_trylocks_and_queries(void **state)
{
	setup_sem();
	machine_enter(machine);
	assert_true(down_read_trylock(&sem));
	assert_true(rwsem_is_locked(&sem) && !rwsem_is_write_locked(&sem));
	assert_false(down_write_trylock(&sem));
	assert_true(down_read_trylock_non_owner(&sem));
	up_read_non_owner(&sem);
	assert_false(down_write_trylock(&sem));
	up_read(&sem);
	assert_true(down_write_trylock(&sem));
	assert_true(rwsem_is_write_locked(&sem));
	assert_false(down_read_trylock(&sem));
	assert_false(down_write_trylock(&sem));
	downgrade_write(&sem);
	assert_true(rwsem_is_locked(&sem) && !rwsem_is_write_locked(&sem));
	up_read(&sem);
	assert_int_equal(down_write_killable(&sem), 0);
	up_write(&sem);
	assert_int_equal(down_read_killable(&sem), 0);
	up_read(&sem);
	machine_leave();
	assert_free();
}

/* Task 0 holds W; 1 (W), 2 (W), 3 (W) queue in this order, and get it in this order. */
static void fifo_task(void *arg, u32 index)
{
	if (index == 0) {
		down_write(&sem);
		for (u32 i = 1; i <= 3; i++) {
			next_step();
			wait_queued(i);
		}
		up_write(&sem);
		return;
	}
	wait_step(index);
	down_write(&sem);
	order[order_count++] = index; /* (sem W) */
	up_write(&sem);
}

static void test_writers_are_fifo(void **state)
{
	setup_sem();
	sim_test_run(machine, 4, fifo_task);
	assert_int_equal(order_count, 3);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(order[i], i + 1);
	assert_free();
}

/* R held; a writer queues; a reader that comes later must not overtake it. */
static void no_overtaking_task(void *arg, u32 index)
{
	if (index == 0) {
		down_read(&sem);
		next_step();
		wait_queued(1);
		assert_false(down_read_trylock(&sem));
		next_step();
		wait_queued(2);
		up_read(&sem);
	} else if (index == 1) {
		wait_step(1);
		down_write(&sem);
		order[order_count++] = 1; /* (sem W) */
		up_write(&sem);
	} else {
		wait_step(2);
		down_read(&sem);
		order[order_count++] = 2; /* alone: the writer was let in first */
		up_read(&sem);
	}
}

static void test_reader_does_not_overtake_queued_writer(void **state)
{
	setup_sem();
	sim_test_run(machine, 3, no_overtaking_task);
	assert_int_equal(order_count, 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_free();
}

/* W held; readers queue, one behind a writer: the downgrade lets all of them in at once. */
static void downgrade_task(void *arg, u32 index)
{
	if (index == 0) {
		down_write(&sem);
		next_step();
		wait_queued(1);
		next_step();
		wait_queued(2);
		next_step();
		wait_queued(3);
		plain_a = 1;
		downgrade_write(&sem);
		/* We still hold it for read: they must get in beside us. */
		while (READ_ONCE(result) < 2)
			engine_yield();
		up_read(&sem);
	} else if (index == 2) {
		wait_step(2);
		down_write(&sem);
		plain_a = 2;
		up_write(&sem);
	} else {
		wait_step(index);
		down_read(&sem);
		assert_int_equal(plain_a, 1);
		(void)fetch_add(&result, 1u);
		while (READ_ONCE(result) < 2) /* both inside at once */
			engine_yield();
		up_read(&sem);
	}
}

static void test_downgrade_wakes_all_readers(void **state)
{
	u64 woken = machine_counter(machine, COUNTER_RWSEM_WAKE_READERS);

	setup_sem();
	sim_test_run(machine, 4, downgrade_task);
	assert_int_equal(plain_a, 2);
	assert_int_equal(machine_counter(machine, COUNTER_RWSEM_WAKE_READERS) - woken, 2);
	assert_free();
}

/* Classic: W held; a reader, a writer, a reader queue. A downgrade lets in the readers at the head, not
 * the one behind the writer. */
static void classic_downgrade_task(void *arg, u32 index)
{
	if (index == 0) {
		down_write(&sem);
		for (u32 i = 1; i <= 3; i++) {
			next_step();
			wait_queued(i);
		}
		downgrade_write(&sem);
		while (READ_ONCE(result) < 1)
			engine_yield();
		assert_int_equal(queue_length(), 2);
		up_read(&sem);
		return;
	}
	wait_step(index);
	if (index == 2)
		down_write(&sem);
	else
		down_read(&sem);
	order[order_count++] = index; /* alone in each case: the order is that of the queue */
	(void)fetch_add(&result, 1u);
	if (index == 2)
		up_write(&sem);
	else
		up_read(&sem);
}

static void test_classic_wakes_the_head_only(void **state)
{
	u64 handoffs = machine_counter(machine, COUNTER_RWSEM_HANDOFF), seed = sim_test_seed();

	machine_set_classic_rwsem(machine, true);
	setup_sem();
	sim_test_run(machine, 4, classic_downgrade_task);
	assert_int_equal(order_count, 3);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(order[i], i + 1);
	assert_free();
	/* Exclusion and order hold all the same; nobody is handed anything. */
	setup_sem();
	assert_int_equal(engine_run(machine, TASKS, mixed_task, &seed, NULL), 0);
	assert_true(plain_a == plain_b && plain_a == plain_c && plain_c > 0);
	assert_free();
	setup_sem();
	sim_test_run(machine, 3, no_overtaking_task);
	assert_int_equal(order[0], 1);
	assert_int_equal(machine_counter(machine, COUNTER_RWSEM_HANDOFF), handoffs);
	machine_set_classic_rwsem(machine, false);
}

/* ---- kill ---------------------------------------------------------------------------------- */

static bool kill_writes;

static void kill_task(void *arg, u32 index)
{
	if (index == 0) {
		down_write(&sem);
		next_step();
		wait_queued(1);
		task_kill(machine_task(machine, 1));
		wait_step(2); /* it came back although we still hold the lock */
		assert_int_equal(queue_length(), 0);
		up_write(&sem);
		return;
	}
	wait_step(1);
	assert_int_equal(kill_writes ? down_write_killable(&sem) : down_read_killable(&sem),
			 -EINTR);
	assert_true(task_killed());
	next_step();
}

static void test_killed_waiters_leave(void **state)
{
	for (u32 i = 0; i < 100; i++) {
		kill_writes = i % 2;
		setup_sem();
		sim_test_run(machine, 2, kill_task);
		assert_free();
	}
}

/* R held; a killable writer is first, a reader behind it: once the writer is killed the reader must
 * be let in, although nobody unlocks. */
static void kill_first_task(void *arg, u32 index)
{
	if (index == 0) {
		down_read(&sem);
		next_step();
		wait_queued(1);
		next_step();
		wait_queued(2);
		task_kill(machine_task(machine, 1));
		wait_step(4); /* both are through */
		up_read(&sem);
	} else if (index == 1) {
		wait_step(1);
		assert_int_equal(down_write_killable(&sem), -EINTR);
		next_step();
	} else {
		wait_step(2);
		down_read(&sem);
		next_step();
		up_read(&sem);
	}
}

static void test_killed_first_waiter_lets_readers_in(void **state)
{
	for (u32 i = 0; i < 50; i++) {
		setup_sem();
		sim_test_run(machine, 3, kill_first_task);
		assert_free();
	}
}

/* ---- hand-off ------------------------------------------------------------------------------ */

/* Two tasks pass the read lock between them without a gap; two others retake the write lock as fast
 * as they can. A waiting writer and a waiting reader must each get their turn. */
static void handoff_task(void *arg, u32 index)
{
	u64 end_ns = engine_now_ns() + 300000000ull;
	u32 mine = 0;

	while (engine_now_ns() < end_ns) {
		if (index % 2) {
			down_write(&sem);
			plain_c++;
			up_write(&sem);
		} else {
			down_read(&sem);
			engine_delay_ns(2000);
			up_read(&sem);
		}
		mine++;
	}
	WRITE_ONCE(order[index], mine);
}

static void test_nobody_starves(void **state)
{
	setup_sem();
	sim_test_run(machine, 4, handoff_task);
	for (u32 i = 0; i < 4; i++)
		assert_true(order[i] > 0);
	assert_free();
}

static void unlock_unlocked(void)
{
	machine = sim_test_machine(1);
	rwsem_init(&sem, LOCK_RANK_MMAP);
	machine_enter(machine);
	up_read_non_owner(&sem);
}

static void test_unbalanced_unlock_stops(void **state)
{
	sim_test_expect_bug(unlock_unlocked, "read-unlocked but not read-locked");
}

static int setup(void **state)
{
	machine = sim_test_machine(TASKS);
	return 0;
}

static int teardown(void **state)
{
	machine_destroy(machine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trylocks_and_queries),
		cmocka_unit_test(test_random_mix_excludes),
		cmocka_unit_test(test_writers_are_fifo),
		cmocka_unit_test(test_reader_does_not_overtake_queued_writer),
		cmocka_unit_test(test_downgrade_wakes_all_readers),
		cmocka_unit_test(test_classic_wakes_the_head_only),
		cmocka_unit_test(test_killed_waiters_leave),
		cmocka_unit_test(test_killed_first_waiter_lets_readers_in),
		cmocka_unit_test(test_nobody_starves),
		cmocka_unit_test(test_unbalanced_unlock_stops),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
