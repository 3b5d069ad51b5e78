/*
 * tests/unit/sim/virtual/test_charge_check.c - the checker of charges finds what it must, and only that
 *
 * Built a second time, instrumented, as checked.unit.sim.virtual.charge_check (cmake/charges.cmake).
 */
#include "virtual_test.h"

#include <mmsim/charge.h>
#include <mmsim/objcache.h>
#include <mmsim/rcu.h>
#include <mmsim/spinlock.h>

#ifdef MMSIM_CHECK_CHARGES
#include <string.h>

struct thing {
	u64 field, other; /* one line */
	u64 far __cacheline_aligned;
	char bytes[256];
};
static const struct obj_field thing_fields[] = {
	OBJ_FIELD(struct thing, field, "thing->field"),
	OBJ_FIELD(struct thing, far, "thing->far"),
	OBJ_FIELD(struct thing, bytes, "thing->bytes"),
};
static const struct obj_layout thing_layout = { sizeof(struct thing), ARRAY_SIZE(thing_fields), thing_fields };

static struct machine *m;
static struct thing *thing;
static spinlock_t *locks[2];
static struct sim_barrier *barrier;
static void (*body)(u32 index);
static u64 sink;

static void task(void *arg, u32 index)
{
	body(index);
}

static void run_tasks(u32 tasks)
{
	struct machine_config cfg = { .tasks = 2, .seed = 0x5eed };

	m = machine_create(&cfg);
	thing = machine_memory_alloc(m, sizeof(*thing), 64);
	region_set_layout(m, thing, sizeof(*thing), &thing_layout);
	for (u32 i = 0; i < 2; i++) {
		locks[i] = machine_memory_alloc(m, sizeof(spinlock_t), 64);
		spin_lock_init(locks[i], LOCK_RANK_MMAP + i);
	}
	barrier = machine_memory_alloc(m, sizeof(*barrier), 64);
	sim_barrier_init(barrier, 2);
	(void)!engine_run(m, tasks, task, NULL, NULL);
	machine_destroy(m);
}

static void run_one(void)
{
	run_tasks(1);
}

static void run_two(void)
{
	run_tasks(2);
}

/* ---- what must be reported ------------------------------------------------------------------------- */

static NOINLINE void uncharged_read(u32 index)
{
	sink += thing->field;
}

static NOINLINE void read_charge_for_a_write(u32 index)
{
	line_read(thing, field);
	thing->other = 1;
}

static NOINLINE void wrong_line(u32 index)
{
	line_write(thing, field);
	thing->far = 1;
}

/* The last system call's charges are gone. */
static NOINLINE void charge_of_an_earlier_call(u32 index)
{
	engine_charge(COST_SYSCALL);
	line_read(thing, field);
	engine_charge(COST_SYSCALL);
	sink += thing->field;
}

static NOINLINE void uncharged_memset(u32 index)
{
	line_write_ptr(thing->bytes);
	memset(thing->bytes, 0, sizeof(thing->bytes));
}

/* Task 0 charges it under a lock; task 1 writes it; task 0 goes on under the next lock. */
static NOINLINE void charge_of_an_earlier_section(u32 index)
{
	if (index == 0) {
		spin_lock(locks[0]);
		line_read(thing, field);
		sink += thing->field;
		spin_unlock(locks[0]);
	}
	sim_barrier_wait(barrier);
	if (index == 1)
		WRITE_ONCE(thing->field, 1ull);
	sim_barrier_wait(barrier);
	if (index == 0) {
		spin_lock(locks[1]);
		sink += thing->field;
		spin_unlock(locks[1]);
	}
}

#define REPORTED(name, tasks, ...)                                                             \
	static void test_##name(void **state)                                                  \
	{                                                                                      \
		static const char *const texts[] = { #name, "seed 0x5eed", __VA_ARGS__, NULL }; \
                                                                                               \
		body = name;                                                                   \
		vt_expect_report(tasks, texts);                                                \
	}
REPORTED(uncharged_read, run_one, "read of thing->field (#0)", "task 0 on cpu 0", "was not charged")
REPORTED(read_charge_for_a_write, run_one, "write of thing->field", "for reading only")
REPORTED(wrong_line, run_one, "write of thing->far", "was not charged")
REPORTED(charge_of_an_earlier_call, run_one, "read of thing->field", "was not charged")
REPORTED(uncharged_memset, run_one, "write of thing->bytes", "was not charged")
REPORTED(charge_of_an_earlier_section, run_two, "read of thing->field", "has gone to another CPU")

/* ---- what must not be ------------------------------------------------------------------------------- */

static void in_order(u32 index)
{
	engine_charge(COST_SYSCALL);
	line_write(thing, field);
	thing->field = thing->other;
	sink += READ_ONCE(thing->far);
	sink += thing->far; /* a priced load is a charge */
	(void)fetch_add(&thing->far, 1ull);
	thing->far++;
	lines_write(thing->bytes, sizeof(thing->bytes));
	memset(thing->bytes, 0, sizeof(thing->bytes));
	sink += READ_UNPRICED(thing->bytes[0]);
	count_event(COUNTER_SYSCALL_MMAP);
}

/* A charge is for the section of the lock that it was made under, whatever is taken inside it. */
static void nested_sections(u32 index)
{
	if (index == 0) {
		spin_lock(locks[0]);
		line_read(thing, field);
		spin_lock(locks[1]);
		spin_unlock(locks[1]);
	}
	if (index == 1) {
		engine_delay_ns(100);
		WRITE_ONCE(thing->other, 1ull); /* false sharing */
	} else {
		engine_delay_ns(10000);
		sink += thing->field;
		spin_unlock(locks[0]);
		sink += READ_ONCE(thing->field);
	}
}

/* A lock was dropped, but the line is still here: a hit. */
static void still_here(u32 index)
{
	spin_lock(locks[0]);
	line_write(thing, field);
	spin_unlock(locks[0]);
	rcu_read_lock();
	thing->field++;
	rcu_read_unlock();
}

static void test_in_order(void **state)
{
	body = in_order;
	run_one();
	body = nested_sections;
	run_two();
	body = still_here;
	run_one();
	/* Set-up is not priced. */
	machine_enter(m = machine_create(&(struct machine_config){ .tasks = 1 }));
	thing = machine_memory_alloc(m, sizeof(*thing), 64);
	thing->field = 1;
	machine_leave();
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uncharged_read),
		cmocka_unit_test(test_read_charge_for_a_write),
		cmocka_unit_test(test_wrong_line),
		cmocka_unit_test(test_charge_of_an_earlier_call),
		cmocka_unit_test(test_uncharged_memset),
		cmocka_unit_test(test_charge_of_an_earlier_section),
		cmocka_unit_test(test_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	print_message("skipped: not built with MMSIM_CHECK_CHARGES\n");
	return 0;
}
#endif
