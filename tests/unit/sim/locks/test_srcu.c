/*
 * tests/unit/sim/locks/test_srcu.c - readers that sleep keep what they read; domains are apart
 */
#include "../sim_test.h"

#include <mmsim/rcu.h>

#define READERS 3
#define ROUNDS 300
#define POISON 0xdeadull

struct object {
	u64 value; /* plain: TSan checks that freeing is ordered after the last reader */
};

static struct machine *machine;
static struct srcu_domain *domain, *other;
static struct object *published;
static u32 stop, inside, release;

static struct object *new_object(u64 value)
{
	struct object *o = malloc(sizeof(*o));

	assert_non_null(o);
	o->value = value;
	return o;
}

static void read_and_replace(void *arg, u32 index)
{
	if (index == 0) {
		for (u64 i = 1; i <= ROUNDS; i++) {
			struct object *old = published; /* only this task writes it */

			rcu_assign_pointer(published, new_object(i));
			synchronize_srcu(domain);
			old->value = POISON;
			free(old);
		}
		WRITE_ONCE(stop, 1u);
		return;
	}
	while (!READ_ONCE(stop)) {
		int idx = srcu_read_lock(domain);
		struct object *o = rcu_dereference(published);

		assert_true(o->value <= ROUNDS);
		engine_delay_ns(index * 60000ull); /* sleeps inside */
		assert_true(o->value <= ROUNDS);
		srcu_read_unlock(domain, idx);
	}
}

static void test_reader_never_sees_freed(void **state)
{
	WRITE_ONCE(stop, 0u);
	published = new_object(0);
	sim_test_run(machine, READERS + 1, read_and_replace);
	free(published);
}

static void two_writers(void *arg, u32 index)
{
	for (u32 i = 0; i < 200; i++) {
		if (index < 2) {
			synchronize_srcu(domain);
		} else {
			int outer = srcu_read_lock(domain);
			int inner = srcu_read_lock(domain); /* nests */

			engine_yield();
			srcu_read_unlock(domain, inner);
			srcu_read_unlock(domain, outer);
		}
	}
}

static void test_grace_periods_queue(void **state)
{
	sim_test_run(machine, 4, two_writers);
}

/* A reader inside one domain does not hold up the other. */
static void two_domains(void *arg, u32 index)
{
	if (index == 0) {
		int idx = srcu_read_lock(domain);

		smp_store_release(&inside, 1u);
		while (!smp_load_acquire(&release))
			engine_yield();
		srcu_read_unlock(domain, idx);
	} else {
		while (!smp_load_acquire(&inside))
			engine_yield();
		synchronize_srcu(other);
		smp_store_release(&release, 1u);
		synchronize_srcu(domain);
	}
}

static void test_domains_are_apart(void **state)
{
	sim_test_run(machine, 2, two_domains);
}

/* Objects go by call-back, under readers that sleep; the barrier sees all of them gone. */
struct late {
	struct rcu_head rcu;
	u64 value;
};
static struct late *late_published;
static u64 freed;

static void free_late(struct rcu_head *head)
{
	struct late *l = container_of(head, struct late, rcu);

	l->value = POISON;
	free(l);
	(void)fetch_add(&freed, 1ull);
}

static struct late *new_late(u64 value)
{
	struct late *l = malloc(sizeof(*l));

	assert_non_null(l);
	l->value = value;
	return l;
}

static void call_back_task(void *arg, u32 index)
{
	if (index < 2) {
		for (u64 i = 0; i < ROUNDS; i++) {
			struct late *old = xchg(&late_published, new_late(i));

			call_srcu(domain, &old->rcu, free_late);
			if (i % 64 == 0)
				engine_delay_ns(50000);
			if (index == 1 && i % 100 == 0)
				synchronize_srcu(domain); /* both kinds of grace period in turn */
		}
		srcu_barrier(domain);
		if (fetch_add(&stop, 1u) == 1)
			assert_int_equal(READ_ONCE(freed), 2 * ROUNDS);
		return;
	}
	while (READ_ONCE(stop) < 2) {
		int idx = srcu_read_lock(domain);
		struct late *l = rcu_dereference(late_published);

		assert_true(l->value <= ROUNDS);
		engine_delay_ns(index * 30000ull);
		assert_true(l->value <= ROUNDS);
		srcu_read_unlock(domain, idx);
	}
}

static void test_call_backs_wait_for_readers(void **state)
{
	WRITE_ONCE(stop, 0u);
	late_published = new_late(0);
	sim_test_run(machine, READERS + 1, call_back_task);
	assert_int_equal(freed, 2 * ROUNDS);
	free(late_published);
}

/* No reader inside: one barrier is enough, whatever is queued; nothing queued: nothing to wait for. */
static void test_barrier_without_readers(void **state)
{
	u64 before = freed;

	machine_enter(machine);
	srcu_barrier(other);
	for (u32 i = 0; i < 40000; i++) { /* beyond the throttle */
		struct late *l = new_late(i);

		call_srcu(other, &l->rcu, free_late);
	}
	srcu_barrier(other);
	assert_int_equal(freed - before, 40000);
	machine_leave();
}

static void destroy_inside(void)
{
	struct srcu_domain *d = srcu_domain_create("busy");
	int idx;

	machine_enter(sim_test_machine(1));
	idx = srcu_read_lock(d);
	srcu_domain_destroy(d);
	srcu_read_unlock(d, idx);
}

static void test_destroy_with_reader_stops(void **state)
{
	sim_test_expect_bug(destroy_inside, "srcu domain busy destroyed with 1 readers inside");
}

static int setup(void **state)
{
	machine = sim_test_machine(READERS + 1);
	domain = srcu_domain_create("test");
	other = srcu_domain_create("other");
	return !domain || !other;
}

static int teardown(void **state)
{
	srcu_domain_destroy(other);
	srcu_domain_destroy(domain);
	machine_destroy(machine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_never_sees_freed),
		cmocka_unit_test(test_grace_periods_queue),
		cmocka_unit_test(test_domains_are_apart),
		cmocka_unit_test(test_call_backs_wait_for_readers),
		cmocka_unit_test(test_barrier_without_readers),
		cmocka_unit_test(test_destroy_with_reader_stops),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
