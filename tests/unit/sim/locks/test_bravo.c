/*
 * tests/unit/sim/locks/test_bravo.c - BRAVO: exclusion with and without bias, revocation, downgrade,
 * kill, unlock by others
 */
#include "../sim_test.h"

#include <mmsim/bravo.h>

#define TASKS 5

static struct bravo_table *table;
static struct bravo_rwsem *lock, *other;
static u64 plain_a, plain_b, seed_base; /* (lock) */
static u32 marks; /* (atomic) readers + 0x10000 * writers */
static u32 rounds, step, ended, killed_waits;
static u64 reads_by_mark, revocations;

static void create(struct machine *m)
{
	table = bravo_table_create(m);
	lock = machine_memory_alloc(m, sizeof(*lock), MMSIM_CACHE_LINE_BYTES);
	other = machine_memory_alloc(m, sizeof(*other), MMSIM_CACHE_LINE_BYTES);
	assert_true(table && lock && other);
	bravo_init(lock, table, LOCK_RANK_MMAP);
	bravo_init(other, table, LOCK_RANK_MMAP);
	plain_a = plain_b = 0;
	WRITE_ONCE(marks, 0u);
	WRITE_ONCE(step, 0u);
	WRITE_ONCE(ended, 0u);
}

static void destroy(struct machine *m)
{
	reads_by_mark += machine_counter(m, COUNTER_BRAVO_READ);
	revocations += machine_counter(m, COUNTER_BRAVO_REVOKE);
	assert_false(bravo_is_locked(lock));
	assert_false(bravo_is_contended(lock));
	bravo_table_destroy(m, table);
	machine_memory_free(m, lock, sizeof(*lock));
	machine_memory_free(m, other, sizeof(*other));
}

static void inside(bool write, u64 *seed)
{
	u32 others = fetch_add_relaxed(&marks, write ? 0x10000u : 1u);

	if (write ? others != 0 : others >= 0x10000)
		fail_msg("%s beside marks 0x%x", write ? "writer" : "reader", others);
	assert_true(plain_a == plain_b);
	if (write)
		plain_a++;
	if (sim_test_random(seed) % 4 == 0)
		engine_yield();
	if (write)
		plain_b++;
	(void)fetch_add_relaxed(&marks, write ? -0x10000u : -1u);
}

static bool got(int ret)
{
	if (ret)
		(void)fetch_add_relaxed(&killed_waits, 1u);
	return !ret;
}

static void read_once(struct bravo_hold *hold, u64 *seed)
{
	if (sim_test_random(seed) % 2)
		bravo_down_read(lock, hold);
	else if (!got(bravo_down_read_killable(lock, hold)))
		return;
	inside(false, seed);
	bravo_up_read(lock, hold);
}

static void mixed_task(void *arg, u32 index)
{
	u64 seed = seed_base * 31 + index;
	struct bravo_hold hold, second;

	for (u32 i = 0; i < rounds; i++) {
		/* Without this pause the bias is inhibited all the time. */
		if (sim_test_random(&seed) % 16 == 0)
			engine_delay_ns(20000);
		if (i == rounds / 2 && seed_base % 3 == 0)
			task_kill(machine_task(this_cpu()->machine,
					       (u32)(sim_test_random(&seed) % TASKS)));
		switch (sim_test_random(&seed) % 16) {
		case 0:
			bravo_down_write(lock);
			inside(true, &seed);
			bravo_up_write(lock);
			break;
		case 1:
			if (!got(bravo_down_write_killable(lock)))
				break;
			inside(true, &seed);
			bravo_downgrade_write(lock, &hold);
			inside(false, &seed);
			bravo_up_read(lock, &hold);
			break;
		case 2:
			if (bravo_down_write_trylock(lock)) {
				inside(true, &seed);
				bravo_up_write(lock);
			}
			break;
		case 3:
			bravo_down_read(lock, &hold);
			inside(false, &seed);
			bravo_up_read(lock, &hold);
			break;
		case 4:
			if (bravo_down_read_trylock(lock, &hold)) {
				inside(false, &seed);
				bravo_up_read(lock, &hold);
			}
			break;
		case 5: /* two locks in one table */
			bravo_down_read(lock, &hold);
			if (bravo_down_read_trylock(other, &second)) {
				inside(false, &seed);
				bravo_up_read(other, &second);
			}
			bravo_up_read(lock, &hold);
			break;
		default:
			read_once(&hold, &seed);
			break;
		}
	}
	(void)fetch_add(&ended, 1u);
	while (READ_ONCE(ended) < TASKS) /* nobody ends while somebody may kill it */
		engine_yield();
}

static void mix(u64 seed, enum schedule schedule, u32 n)
{
	struct machine_config cfg = {.tasks = TASKS, .seed = seed, .schedule = schedule};
	struct machine *m;

	cfg.cpus = schedule == SCHEDULE_TIME || seed % 2 ? 0 : 2;
	m = machine_create(&cfg);
	assert_non_null(m);
	seed_base = seed;
	rounds = n;
	create(m);
	assert_int_equal(engine_run(m, TASKS, mixed_task, NULL, NULL), 0);
	assert_true(plain_a == plain_b && plain_a > 0);
	destroy(m);
	machine_destroy(m);
}

static void test_mix_against_model(void **state)
{
	u64 seed = sim_test_seed();

	reads_by_mark = revocations = 0;
#if defined(MMSIM_ENGINE_VIRTUAL)
	mix(seed, SCHEDULE_TIME, 1000);
	for (u32 i = 0; i < 150; i++)
		mix(seed + i, SCHEDULE_RANDOM, 60);
#else
	for (u32 i = 0; i < 6; i++)
		mix(seed + i, SCHEDULE_TIME, 800);
#endif
	print_message("%llu reads by mark, %llu revocations, %u killed while waiting\n",
		      (unsigned long long)reads_by_mark, (unsigned long long)revocations,
		      killed_waits);
	assert_true(reads_by_mark && revocations);
}

/* ---- one case at a time -------------------------------------------------------------------- */

static void run(u32 tasks, void (*fn)(void *arg, u32 index))
{
	struct machine *m = sim_test_machine(tasks);

	create(m);
	sim_test_run(m, tasks, fn);
	destroy(m);
	machine_destroy(m);
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

/* The first reader turns the bias on, the second is marked. */
static void alone_task(void *arg, u32 index)
{
	struct bravo_hold first, second, third;

	bravo_down_read(lock, &first);
	assert_null(first.slot);
	assert_true(lock->bias);
	assert_true(bravo_down_read_trylock(lock, &second));
	assert_non_null(second.slot);
	assert_true(*second.slot == lock->name);
	assert_true(bravo_down_read_trylock_non_owner(lock, &third)); /* the slot is taken */
	assert_null(third.slot);
	bravo_up_read_non_owner(lock, &third);
	bravo_up_read(lock, &first);
	assert_false(rwsem_is_locked(&lock->sem));
	assert_true(bravo_is_locked(lock) && !bravo_is_write_locked(lock));
	assert_false(bravo_down_write_trylock(lock));
	assert_true(lock->bias); /* given up: the next writer must look at the table again */
	assert_false(bravo_down_write_trylock(lock));
	bravo_up_read(lock, &second);
	assert_true(bravo_down_write_trylock(lock));
	assert_true(bravo_is_write_locked(lock) && !lock->bias);
	assert_false(bravo_down_read_trylock(lock, &first));
	bravo_downgrade_write(lock, &first);
	assert_false(bravo_is_write_locked(lock));
	bravo_up_read(lock, &first);
	assert_true(lock->inhibit_until_ns > 0);
	engine_delay_ns(lock->inhibit_until_ns - min(lock->inhibit_until_ns, engine_now_ns()) + 1000);
	bravo_down_read(lock, &first);
	assert_true(lock->bias);
	bravo_up_read(lock, &first);
	bravo_down_write_nested(other);
	bravo_up_write(other);
}

static void test_bias_and_trylocks(void **state)
{
	run(1, alone_task);
}

/* 0 is marked; 1 (W) waits for its slot; 2 unlocks in 0's stead. */
static struct bravo_hold handed_over;

static void hand_over_task(void *arg, u32 index)
{
	struct bravo_hold hold;

	if (index == 0) {
		bravo_down_read(lock, &hold);
		bravo_up_read(lock, &hold);
		assert_true(bravo_down_read_trylock_non_owner(lock, &handed_over));
		assert_non_null(handed_over.slot);
		next_step();
	} else if (index == 1) {
		wait_step(1);
		bravo_down_write(lock);
		assert_int_equal(READ_ONCE(step), 2);
		bravo_up_write(lock);
	} else {
		wait_step(1);
		while (!bravo_is_write_locked(lock) || READ_ONCE(lock->bias))
			engine_yield();
		assert_false(bravo_down_read_trylock(lock, &hold));
		next_step();
		bravo_up_read_non_owner(lock, &handed_over);
	}
}

static void test_writer_waits_for_marks(void **state)
{
	for (u32 i = 0; i < 20; i++)
		run(3, hand_over_task);
}

/* 0 is marked; 1 waits for its slot and is killed; 2 must still find 0's mark. */
static void kill_task(void *arg, u32 index)
{
	struct bravo_hold hold;

	if (index == 0) {
		bravo_down_read(lock, &hold);
		bravo_up_read(lock, &hold);
		bravo_down_read(lock, &hold);
		assert_non_null(hold.slot);
		next_step();
		while (!bravo_is_write_locked(lock) || READ_ONCE(lock->bias))
			engine_yield();
		task_kill(machine_task(this_cpu()->machine, 1));
		wait_step(2);
		assert_false(bravo_is_write_locked(lock));
		assert_false(bravo_down_write_trylock(lock));
		bravo_up_read(lock, &hold);
	} else {
		wait_step(1);
		assert_int_equal(bravo_down_write_killable(lock), -EINTR);
		next_step();
	}
}

static void test_killed_writer_leaves_the_marks(void **state)
{
	for (u32 i = 0; i < 20; i++)
		run(2, kill_task);
}

/* Readers look at the bias again once they are marked: a writer may have ended it, and passed their
 * slot, in between. The lock's name is chosen so that task 1's slot is the first of the table or nearly
 * so, where the writer passes at once. */
#define EARLY_SLOTS 2

static u32 early_name;

static void find_early_name(void)
{
	struct bravo_hold slow, marked;

	do {
		bravo_init(lock, table, LOCK_RANK_MMAP);
		bravo_down_read(lock, &slow);
		assert_true(bravo_down_read_trylock_non_owner(lock, &marked));
		early_name = marked.slot - table->slots < EARLY_SLOTS ? lock->name : 0;
		bravo_up_read_non_owner(lock, &marked);
		bravo_up_read(lock, &slow);
	} while (!early_name);
}

static void find_task(void *arg, u32 index)
{
	if (index == 1)
		find_early_name();
}

static void early_task(void *arg, u32 index)
{
	u64 seed = seed_base + index;
	struct bravo_hold hold;

	for (u32 i = 0; i < 10; i++) {
		if (index == 0) {
			bravo_down_write(lock);
			inside(true, &seed);
			bravo_up_write(lock);
			continue;
		}
		for (u32 j = 0; j < 4; j++) {
			WRITE_ONCE(lock->inhibit_until_ns, 0ull);
			bravo_down_read(lock, &hold);
			inside(false, &seed);
			bravo_up_read(lock, &hold);
		}
	}
}

static void test_marked_reader_looks_again(void **state)
{
	u64 seed = sim_test_seed();

	run(2, find_task);
	for (u32 i = 0; i < 100; i++) {
		struct machine_config cfg = {.tasks = 2, .seed = seed + i, .schedule = SCHEDULE_RANDOM};
		struct machine *m = machine_create(&cfg);

		assert_non_null(m);
		seed_base = seed + i;
		create(m);
		table->names = early_name - 1;
		bravo_init(lock, table, LOCK_RANK_MMAP);
		assert_int_equal(engine_run(m, 2, early_task, NULL, NULL), 0);
		destroy(m);
		machine_destroy(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bias_and_trylocks),
		cmocka_unit_test(test_mix_against_model),
		cmocka_unit_test(test_marked_reader_looks_again),
		cmocka_unit_test(test_writer_waits_for_marks),
		cmocka_unit_test(test_killed_writer_leaves_the_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
