/*
 * tests/bench/bench_range_lock.c - what the range locks and BRAVO cost natively, next to the rwsem
 *
 * Method       One task, pinned: ROUNDS rounds of OPS lock + unlock pairs of each kind, the kinds in
 *              turn within a round; the median round, per pair. "held" has 16 other ranges held
 *              meanwhile. Then two tasks on two host CPUs, each on a page of its own (range locks) or
 *              on the one lock (the others): ns per pair of both together, and in brackets how that
 *              compares with one task alone (0.5: perfect scaling; above 1: two are slower than one).
 */
#include <mmsim/bravo.h>
#include <mmsim/cpu.h>
#include <mmsim/range_list.h>
#include <mmsim/range_lock.h>
#include <mmsim/rwsem.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define OPS 20000
#define ROUNDS 41
#define CONTENDED_NS 100000000ull
#define CONTENDED_ROUNDS 7
#define HELD 16

static struct machine *machine;
static struct range_lock_tree *tree;
static struct range_lock *ranges; /* one per task, then those that are held */
static struct range_list_pool *pool;
static struct range_list *list;
static struct range_hold held[HELD];
static struct bravo_table *table;
static struct bravo_rwsem *bravo;
static struct rwsem *sem;
static pthread_rwlock_t rwlock __cacheline_aligned = PTHREAD_RWLOCK_INITIALIZER;

static u64 page_of(void)
{
	return (1 + current_task()->id) * 0x100000ull;
}

static struct range_lock *own_range(bool full)
{
	struct range_lock *range = &ranges[current_task()->id];

	if (full)
		range_lock_init_full(range);
	else
		range_lock_init(range, page_of(), page_of() + 4095);
	return range;
}

static struct range_hold own_hold(bool full)
{
	struct range_hold hold;

	if (full)
		range_hold_init_full(&hold);
	else
		range_hold_init(&hold, page_of(), page_of() + 4095);
	return hold;
}

static void tree_read(bool full)
{
	struct range_lock *range = own_range(full);

	range_read_lock(tree, range);
	barrier();
	range_read_unlock(tree, range);
}
static void tree_write(bool full)
{
	struct range_lock *range = own_range(full);

	range_write_lock(tree, range);
	barrier();
	range_write_unlock(tree, range);
}
static void list_read(bool full)
{
	struct range_hold hold = own_hold(full);

	range_list_read_lock(list, &hold);
	barrier();
	range_list_read_unlock(list, &hold);
}
static void list_write(bool full)
{
	struct range_hold hold = own_hold(full);

	range_list_write_lock(list, &hold);
	barrier();
	range_list_write_unlock(list, &hold);
}
static void op_empty(void)
{
	barrier();
}
static void op_tree_read_page(void)
{
	tree_read(false);
}
static void op_tree_write_page(void)
{
	tree_write(false);
}
static void op_tree_read_full(void)
{
	tree_read(true);
}
static void op_tree_write_full(void)
{
	tree_write(true);
}
static void op_list_read_page(void)
{
	list_read(false);
}
static void op_list_write_page(void)
{
	list_write(false);
}
static void op_list_read_full(void)
{
	list_read(true);
}
static void op_list_write_full(void)
{
	list_write(true);
}
static void op_bravo_read(void)
{
	struct bravo_hold hold;

	bravo_down_read(bravo, &hold);
	barrier();
	bravo_up_read(bravo, &hold);
}
static void op_bravo_write(void)
{
	bravo_down_write(bravo);
	barrier();
	bravo_up_write(bravo);
}
/* A writer that finds the bias on each time: what revocation costs. */
static void op_bravo_revoke(void)
{
	WRITE_ONCE(bravo->bias, 1u);
	op_bravo_write();
}
static void op_rwsem_read(void)
{
	down_read(sem);
	barrier();
	up_read(sem);
}
static void op_rwsem_write(void)
{
	down_write(sem);
	barrier();
	up_write(sem);
}
static void op_pthread_read(void)
{
	pthread_rwlock_rdlock(&rwlock);
	barrier();
	pthread_rwlock_unlock(&rwlock);
}
static void op_pthread_write(void)
{
	pthread_rwlock_wrlock(&rwlock);
	barrier();
	pthread_rwlock_unlock(&rwlock);
}

enum { ALONE = 1, AMONG_HELD = 2, TOGETHER = 4 };

static const struct op {
	const char *name;
	void (*fn)(void);
	u32 where;
} ops[] = {
	{"empty call", op_empty, ALONE},
	{"rwsem read", op_rwsem_read, ALONE | TOGETHER},
	{"rwsem write", op_rwsem_write, ALONE | TOGETHER},
	{"pthread_rwlock read", op_pthread_read, ALONE | TOGETHER},
	{"pthread_rwlock write", op_pthread_write, ALONE | TOGETHER},
	{"range_lock read, page", op_tree_read_page, ALONE | AMONG_HELD | TOGETHER},
	{"range_lock write, page", op_tree_write_page, ALONE | AMONG_HELD | TOGETHER},
	{"range_lock read, full", op_tree_read_full, ALONE | TOGETHER},
	{"range_lock write, full", op_tree_write_full, ALONE | TOGETHER},
	{"range_list read, page", op_list_read_page, ALONE | AMONG_HELD | TOGETHER},
	{"range_list write, page", op_list_write_page, ALONE | AMONG_HELD | TOGETHER},
	{"range_list read, full", op_list_read_full, ALONE | TOGETHER},
	{"range_list write, full", op_list_write_full, ALONE | TOGETHER},
	{"bravo read", op_bravo_read, ALONE | TOGETHER},
	{"bravo write, no bias", op_bravo_write, ALONE | TOGETHER},
	{"bravo write, revoking", op_bravo_revoke, ALONE},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, u32 count)
{
	qsort(values, count, sizeof(values[0]), by_value);
	return values[count / 2];
}

/* The call through a pointer keeps every loop the same; "empty call" has its cost. */
static double time_ops(void (*fn)(void))
{
	u64 start_ns = engine_now_ns();

	for (u32 i = 0; i < OPS; i++)
		fn();
	return (double)(engine_now_ns() - start_ns) / OPS;
}

static void measure(u32 where, const char *suffix)
{
	static double ns[ARRAY_SIZE(ops)][ROUNDS];

	for (u32 r = 0; r < ROUNDS; r++) {
		for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
			if (ops[i].where & where)
				ns[i][r] = time_ops(ops[i].fn);
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		if (ops[i].where & where)
			printf("%-24s%-12s %8.2f ns\n", ops[i].name, suffix, median(ns[i], ROUNDS));
	}
}

static void run_alone(void *arg, u32 index)
{
	measure(ALONE, "");
	for (u32 i = 0; i < HELD; i++) {
		u64 start = i * 0x1000000ull + 0x20000000ull * (i % 2);

		range_lock_init(&ranges[2 + i], start, start + 4095);
		range_hold_init(&held[i], start, start + 4095);
		if (!range_read_trylock_non_owner(tree, &ranges[2 + i]) ||
		    !range_list_read_trylock_non_owner(list, &held[i]))
			MMSIM_BUG("a range that nobody holds is not free");
	}
	measure(AMONG_HELD, ", 16 held");
	for (u32 i = 0; i < HELD; i++) {
		range_read_unlock_non_owner(tree, &ranges[2 + i]);
		range_list_read_unlock_non_owner(list, &held[i]);
	}
}

static void (*contended_fn)(void);
static u64 contended_ops;

static void run_contended(void *arg, u32 index)
{
	u64 end_ns = engine_now_ns() + CONTENDED_NS, n = 0;

	while (engine_now_ns() < end_ns) {
		for (u32 i = 0; i < 64; i++)
			contended_fn();
		n += 64;
	}
	(void)fetch_add(&contended_ops, n);
}

static void run(u32 tasks, void (*fn)(void *, u32))
{
	int ret = engine_run(machine, tasks, fn, NULL, NULL);

	if (ret) {
		fprintf(stderr, "engine_run: errno %d\n", -ret);
		exit(1);
	}
}

static double pair_ns(u32 tasks)
{
	WRITE_ONCE(contended_ops, 0ull);
	run(tasks, run_contended);
	return (double)CONTENDED_NS / (double)contended_ops;
}

static void measure_together(const struct op *op)
{
	double one[CONTENDED_ROUNDS], two[CONTENDED_ROUNDS], alone, both;

	contended_fn = op->fn;
	for (u32 r = 0; r < CONTENDED_ROUNDS; r++) {
		one[r] = pair_ns(1);
		two[r] = pair_ns(2);
	}
	alone = median(one, CONTENDED_ROUNDS);
	both = median(two, CONTENDED_ROUNDS);
	printf("%-36s %8.2f ns  (%.2f)\n", op->name, both, both / alone);
}

static bool set_up(void)
{
	struct machine_config cfg = {.tasks = 2};

	machine = machine_create(&cfg);
	if (!machine)
		return false;
	machine_enter(machine);
	tree = machine_memory_alloc(machine, sizeof(*tree), MMSIM_CACHE_LINE_BYTES);
	ranges = machine_memory_alloc(machine, (2 + HELD) * sizeof(*ranges), MMSIM_CACHE_LINE_BYTES);
	list = machine_memory_alloc(machine, sizeof(*list), MMSIM_CACHE_LINE_BYTES);
	pool = range_list_pool_create(machine);
	table = bravo_table_create(machine);
	bravo = machine_memory_alloc(machine, sizeof(*bravo), MMSIM_CACHE_LINE_BYTES);
	sem = machine_memory_alloc(machine, sizeof(*sem), MMSIM_CACHE_LINE_BYTES);
	if (!tree || !ranges || !list || !pool || !table || !bravo || !sem)
		return false;
	range_lock_tree_init(tree, LOCK_RANK_MMAP);
	range_list_init(list, pool, LOCK_RANK_MMAP, RANGE_LIST_SPIN_FOREVER, RANGE_LIST_PATIENT);
	bravo_init(bravo, table, LOCK_RANK_MMAP);
	rwsem_init(sem, LOCK_RANK_MMAP);
	machine_leave();
	return true;
}

int main(void)
{
	if (!set_up()) {
		perror("machine_create");
		return 1;
	}
	printf("one task, lock + unlock, median of %d rounds of %d\n", ROUNDS, OPS);
	run(1, run_alone);
	printf("\ntwo tasks, median of %d\n", CONTENDED_ROUNDS);
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		if (ops[i].where & TOGETHER)
			measure_together(&ops[i]);
	}
	machine_enter(machine);
	range_list_destroy(list);
	range_list_pool_destroy(pool);
	bravo_table_destroy(machine, table);
	machine_leave();
	machine_destroy(machine);
	return 0;
}
