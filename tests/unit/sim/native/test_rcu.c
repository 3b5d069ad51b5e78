/*
 * tests/unit/sim/native/test_rcu.c - readers never see freed memory; call-backs all run, once
 *
 * The objects are written plainly when they die: under TSan a missing edge between the last reader
 * and the call-back is a report, under ASan a read of freed memory is.
 */
#include "../sim_test.h"

#include <mmsim/rcu.h>

#define TASKS 4
#define ROUNDS 4000
#define POISON 0xdeadull

struct object {
	struct rcu_head rcu;
	u64 value;
};

static struct machine *machine;
static struct object *published;
static u32 stop;
static u64 freed, order_next[TASKS];

static struct object *new_object(u64 value)
{
	struct object *o = malloc(sizeof(*o));

	assert_non_null(o);
	o->value = value;
	return o;
}

static void free_object(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, rcu);

	assert_true(o->value != POISON);
	o->value = POISON;
	free(o);
	(void)fetch_add(&freed, 1ull);
}

static void replace(bool by_callback, u64 value)
{
	struct object *old = published; /* one writer */

	rcu_assign_pointer(published, new_object(value));
	if (by_callback) {
		sim_call_rcu(&old->rcu, free_object);
	} else {
		sim_synchronize_rcu();
		free_object(&old->rcu);
	}
}

static void read_and_replace(void *arg, u32 index)
{
	if (index == 0) {
		for (u64 i = 1; i <= ROUNDS; i++)
			replace(i % 16, i);
		WRITE_ONCE(stop, 1u);
		return;
	}
	while (!READ_ONCE(stop)) {
		struct object *o;

		rcu_read_lock();
		assert_true(rcu_read_lock_held());
		o = rcu_dereference(published);
		rcu_read_lock(); /* nests */
		assert_true(o->value <= ROUNDS);
		rcu_read_unlock();
		for (u32 i = 0; i < index * 50; i++)
			cpu_relax();
		assert_true(o->value <= ROUNDS);
		rcu_read_unlock();
	}
	assert_false(rcu_read_lock_held());
}

static void test_reader_never_sees_freed(void **state)
{
	WRITE_ONCE(freed, 0ull);
	published = new_object(0);
	sim_test_run(machine, TASKS, read_and_replace);
	machine_enter(machine);
	sim_rcu_barrier();
	machine_leave();
	assert_int_equal(READ_ONCE(freed), ROUNDS);
	free(published);
}

/* Call-backs of one task run in the order in which it queued them. */
static void check_order(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, rcu);
	u64 task = o->value >> 32, nr = o->value & 0xffffffff;

	assert_true(order_next[task] == nr); /* the worker's alone until the barrier */
	order_next[task]++;
	free(o);
}

static void queue_many(void *arg, u32 index)
{
	for (u64 i = 0; i < ROUNDS; i++) {
		struct object *o = new_object((u64)index << 32 | i);

		sim_call_rcu(&o->rcu, check_order);
	}
	sim_rcu_barrier();
	assert_true(order_next[index] == ROUNDS); /* plain: the barrier orders it */
}

static void test_callbacks_in_order_and_barrier(void **state)
{
	memset(order_next, 0, sizeof(order_next));
	sim_test_run(machine, TASKS, queue_many);
}

/* A reader that stays inside stops grace periods: the backlog throttles, then gives way. */
static u32 reader_inside, reader_may_leave;

static void stall(void *arg, u32 index)
{
	if (index == 0) {
		rcu_read_lock();
		WRITE_ONCE(reader_inside, 1u);
		while (!READ_ONCE(reader_may_leave))
			engine_yield();
		rcu_read_unlock();
		return;
	}
	while (!READ_ONCE(reader_inside))
		engine_yield();
	for (u64 i = 0; i < 16384 + 20; i++)
		sim_call_rcu(&new_object(i)->rcu, free_object);
	WRITE_ONCE(reader_may_leave, 1u);
}

static void test_backlog_throttles(void **state)
{
	u64 throttled = machine_counter(machine, COUNTER_RCU_THROTTLE);

	WRITE_ONCE(freed, 0ull);
	sim_test_run(machine, 2, stall);
	machine_enter(machine);
	sim_rcu_barrier();
	machine_leave();
	assert_int_equal(READ_ONCE(freed), 16384 + 20);
	assert_true(machine_counter(machine, COUNTER_RCU_THROTTLE) > throttled);
}

/* A machine that goes away runs what is queued, and what that queues. */
static void requeue(struct rcu_head *head)
{
	sim_call_rcu(head, free_object);
}

static void test_destroy_runs_what_is_queued(void **state)
{
	struct machine *m = sim_test_machine(1);

	WRITE_ONCE(freed, 0ull);
	machine_enter(m);
	for (u32 i = 0; i < 100; i++)
		sim_call_rcu(&new_object(i)->rcu, requeue);
	machine_leave();
	machine_destroy(m);
	assert_int_equal(READ_ONCE(freed), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_never_sees_freed),
		cmocka_unit_test(test_callbacks_in_order_and_barrier),
		cmocka_unit_test(test_backlog_throttles),
		cmocka_unit_test(test_destroy_runs_what_is_queued),
	};
	int failed;

	machine = sim_test_machine(TASKS);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	machine_destroy(machine);
	return failed;
}
