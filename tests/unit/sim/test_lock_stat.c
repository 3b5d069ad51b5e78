/*
 * tests/unit/sim/test_lock_stat.c - lock statistics: counts, contention, wait and hold, sites, both engines
 */
#include "sim_test.h"

#include <mmsim/lock_stat.h>

#define ROUNDS 200
#define TASKS 4

static spinlock_t spin;
static struct rwsem sem;
static struct sim_barrier barrier;
static struct machine *machine;

static const struct lock_stat_row *find_row(const struct lock_stat_row *rows, u32 count, const char *class,
					    bool write, const char *site)
{
	for (u32 i = 0; i < count; i++)
		if (!strcmp(rows[i].class, class) && rows[i].write == write &&
		    (*site ? strstr(rows[i].site, site) != NULL : !rows[i].site[0]))
			return &rows[i];
	fail_msg("no row for %s %s %s", class, write ? "W" : "R", site);
	return NULL;
}

/* Sites of a class add up to the class. */
static void check_sums(const struct lock_stat_row *rows, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		const struct lock_stat_row *r = &rows[i];
		u64 acquisitions = 0, contentions = 0, wait = 0, hold = 0, longest = 0;

		assert_true(r->wait_ns_p99 <= r->wait_ns_max && r->wait_ns_max <= r->wait_ns_total);
		assert_true(r->hold_ns_p99 <= r->hold_ns_max && r->hold_ns_max <= r->hold_ns_total);
		if (r->site[0])
			continue;
		for (u32 s = i + 1; s < count && rows[s].site[0]; s++) {
			assert_string_equal(rows[s].class, r->class);
			acquisitions += rows[s].acquisitions;
			contentions += rows[s].contentions;
			wait += rows[s].wait_ns_total;
			hold += rows[s].hold_ns_total;
			longest = max(longest, rows[s].hold_ns_max);
		}
		assert_int_equal(acquisitions, r->acquisitions);
		assert_int_equal(contentions, r->contentions);
		assert_int_equal(wait, r->wait_ns_total);
		assert_int_equal(hold, r->hold_ns_total);
		assert_int_equal(longest, r->hold_ns_max);
	}
}

static NOINLINE void one_place(u64 hold_ns)
{
	spin_lock(&spin);
	engine_delay_ns(hold_ns);
	spin_unlock(&spin);
}

static NOINLINE void another_place(void)
{
	assert_true(spin_trylock(&spin));
	spin_unlock(&spin);
}

static void alone(void *arg, u32 index)
{
	spin_lock(&spin); /* taken before the beginning: its release is not seen */
	lock_stat_start(machine);
	spin_unlock(&spin);
	for (u32 i = 0; i < ROUNDS; i++)
		one_place(1000);
	another_place();
	down_write(&sem);
	downgrade_write(&sem);
	up_read(&sem);
	down_read(&sem);
	up_read(&sem);
	lock_stat_stop();
	one_place(0);
}

static void one_task_is_counted_by_place(void **state)
{
	const struct lock_stat_row *r;
	struct lock_stat_row *rows;
	u32 count;

	machine = sim_test_machine(1);
	spin_lock_init(&spin, LOCK_RANK_ZONE);
	rwsem_init(&sem, LOCK_RANK_I_MMAP);
	sim_test_run(machine, 1, alone);
	count = lock_stat_take(&rows);
	check_sums(rows, count);
	r = find_row(rows, count, "zone->lock", true, "");
	assert_int_equal(r->acquisitions, ROUNDS + 1);
	assert_int_equal(r->contentions, 0);
	assert_int_equal(r->holds, ROUNDS + 1);
	assert_int_equal(r->wait_ns_total, 0);
	r = find_row(rows, count, "zone->lock", true, "one_place+");
	assert_int_equal(r->acquisitions, ROUNDS);
	assert_true(r->hold_ns_total >= ROUNDS * 1000);
	r = find_row(rows, count, "zone->lock", true, "another_place+");
	assert_int_equal(r->acquisitions, 1);
	/* A downgrade is no acquisition, and a hold of each kind. */
	r = find_row(rows, count, "i_mmap_rwsem", true, "");
	assert_int_equal(r->acquisitions, 1);
	assert_int_equal(r->holds, 1);
	r = find_row(rows, count, "i_mmap_rwsem", false, "");
	assert_int_equal(r->acquisitions, 1);
	assert_int_equal(r->holds, 2);
	free(rows);
	machine_destroy(machine);
}

static void holder_and_waiters(void *arg, u32 index)
{
	if (index == 0) {
		lock_stat_start(machine);
		down_write(&sem);
	}
	sim_barrier_wait(&barrier);
	if (index == 0) {
		engine_delay_ns(5000000);
		up_write(&sem);
	} else {
		down_read(&sem);
		up_read(&sem);
	}
	sim_barrier_wait(&barrier);
	for (u32 i = 0; i < ROUNDS; i++)
		one_place(100);
	sim_barrier_wait(&barrier);
	if (index == 0)
		lock_stat_stop();
}

static void waiters_wait_as_long_as_it_is_held(void **state)
{
	const struct lock_stat_row *r, *w;
	struct lock_stat_row *rows;
	u32 count;

	machine = sim_test_machine(TASKS);
	spin_lock_init(&spin, LOCK_RANK_ZONE);
	rwsem_init(&sem, LOCK_RANK_ANON_VMA);
	sim_barrier_init(&barrier, TASKS);
	sim_test_run(machine, TASKS, holder_and_waiters);
	count = lock_stat_take(&rows);
	check_sums(rows, count);
	w = find_row(rows, count, "anon_vma->rwsem", true, "");
	assert_int_equal(w->acquisitions, 1);
	assert_int_equal(w->contentions, 0);
	assert_true(w->hold_ns_max >= 5000000);
	r = find_row(rows, count, "anon_vma->rwsem", false, "holder_and_waiters+");
	assert_int_equal(r->acquisitions, TASKS - 1);
	assert_true(r->contentions <= TASKS - 1);
#if defined(MMSIM_ENGINE_VIRTUAL)
	/* Natively the host may run a waiter after the release. */
	assert_int_equal(r->contentions, TASKS - 1);
	assert_in_range(r->wait_ns_max, 4900000, 5100000);
	assert_in_range(r->wait_ns_total, (TASKS - 1) * 4900000, (TASKS - 1) * 5100000);
#endif
	r = find_row(rows, count, "zone->lock", true, "one_place+");
	assert_int_equal(r->acquisitions, TASKS * ROUNDS);
	assert_int_equal(r->holds, TASKS * ROUNDS);
#if defined(MMSIM_ENGINE_VIRTUAL)
	assert_true(r->contentions > 0);
#endif
	free(rows);
	machine_destroy(machine);
}

static void killed_waiter(void *arg, u32 index)
{
	if (index == 0) {
		lock_stat_start(machine);
		down_write(&sem);
		sim_barrier_wait(&barrier);
		engine_delay_ns(2000000);
		task_kill(machine_task(machine, 1));
		sim_barrier_wait(&barrier);
		up_write(&sem);
		lock_stat_stop();
	} else {
		sim_barrier_wait(&barrier);
		assert_int_equal(down_read_killable(&sem), -EINTR);
		sim_barrier_wait(&barrier);
	}
}

static void a_killed_waiter_acquires_nothing(void **state)
{
	const struct lock_stat_row *r;
	struct lock_stat_row *rows;
	u32 count;

	machine = sim_test_machine(2);
	rwsem_init(&sem, LOCK_RANK_I_MMAP);
	sim_barrier_init(&barrier, 2);
	sim_test_run(machine, 2, killed_waiter);
	count = lock_stat_take(&rows);
	r = find_row(rows, count, "i_mmap_rwsem", false, "");
	assert_int_equal(r->acquisitions, 0);
	assert_int_equal(r->contentions, 1);
	assert_int_equal(r->holds, 0);
	free(rows);
	machine_destroy(machine);
}

static void nothing_without_a_start(void **state)
{
	struct lock_stat_row *rows;

	assert_true(lock_stat_available());
	machine = sim_test_machine(1);
	machine_enter(machine);
	spin_lock_init(&spin, LOCK_RANK_ZONE);
	one_place(0);
	machine_leave();
	assert_int_equal(lock_stat_take(&rows), 0);
	free(rows);
	machine_destroy(machine);
}

static void the_table_names_all(void **state)
{
	static const struct lock_stat_row rows[] = {
		{.class = "mmap_lock", .write = true, .acquisitions = 7, .contentions = 3,
		 .wait_ns_total = 300, .wait_ns_p99 = 200, .wait_ns_max = 201, .holds = 7,
		 .hold_ns_total = 700, .hold_ns_p99 = 150, .hold_ns_max = 151},
		{.class = "mmap_lock", .site = "mm_mmap+0x1f", .write = true, .acquisitions = 7},
	};
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	lock_stat_print(rows, 2, f);
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(text, "\nmmap_lock W "));
	assert_non_null(strstr(text, "\n    mm_mmap+0x1f "));
	assert_non_null(strstr(text, " 300        100        200         201 "));
	assert_non_null(strstr(text, " 700        100        150         151\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_without_a_start),
		cmocka_unit_test(one_task_is_counted_by_place),
		cmocka_unit_test(waiters_wait_as_long_as_it_is_held),
		cmocka_unit_test(a_killed_waiter_acquires_nothing),
		cmocka_unit_test(the_table_names_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
