/*
 * tests/unit/mm/vma/test_maple.c - the maple tree against an array, and under concurrent readers
 *
 * What is stored are numbers, not VMAs: the maple tree never looks inside, and takes any range for
 * any of them. What all trees must do with real VMAs is in test_trees.c.
 */
#include "tree_model.h"

static int set_up(void **state)
{
	*state = fixture_create(&vma_tree_maple);
	return 0;
}

static int tear_down(void **state)
{
	fixture_destroy(*state);
	return 0;
}

/* The tree only keeps these pointers; it never looks inside. */
static struct vma *token(u32 n)
{
	return (struct vma *)(0x100000000ull + n * 256ull);
}

static void store(struct fixture *f, u32 from, u32 to, struct vma *vma)
{
	assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	vma_tree_store(&f->tree, cell_first(from), cell_last(f, to), vma);
	for (u32 i = from; i <= to; i++)
		f->cell[i] = vma;
}

/* ---- single steps -------------------------------------------------------------------------- */

static void test_empty(void **state)
{
	struct fixture *f = *state;
	u64 start;

	check_all(f);
	store(f, 3, 700, NULL);
	check_all(f);
	assert_null(f->tree.root);
	assert_true(vma_tree_gap(&f->tree, 0, ~0ull, ~0ull, true, &start));
	assert_true(start == 0);
	assert_false(vma_tree_gap(&f->tree, 5, 5, 1, true, &start));
	assert_false(vma_tree_gap(&f->tree, 6, 5, 1, true, &start));
	assert_false(vma_tree_gap(&f->tree, 5, 9, 5, true, &start));
	assert_false(vma_tree_gap(&f->tree, 5, 9, 0, true, &start));
	assert_true(vma_tree_gap(&f->tree, 5, 9, 4, true, &start));
	assert_true(start == 5);
}

static void test_ends_of_the_space(void **state)
{
	struct fixture *f = *state;

	store(f, 0, 0, token(1));
	check_all(f);
	store(f, f->cells - 1, f->cells - 1, token(2));
	check_all(f);
	store(f, 0, f->cells - 1, token(3));
	check_all(f);
	check_gap(f, 0, ~0ull, 1, true);
	store(f, 0, f->cells - 1, NULL);
	check_all(f);
	assert_null(f->tree.root);

	/* single addresses at both ends */
	assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	vma_tree_store(&f->tree, 0, 0, token(4));
	vma_tree_store(&f->tree, ~0ull, ~0ull, token(5));
	vma_tree_check(&f->tree);
	assert_ptr_equal(vma_tree_load(&f->tree, 0), token(4));
	assert_null(vma_tree_load(&f->tree, 1));
	assert_ptr_equal(vma_tree_load(&f->tree, ~0ull), token(5));
	assert_ptr_equal(vma_tree_find(&f->tree, 1, ~0ull), token(5));
	assert_null(vma_tree_find(&f->tree, 1, ~0ull - 1));
	assert_ptr_equal(vma_tree_prev(&f->tree, ~0ull), token(4));
	assert_ptr_equal(vma_tree_prev(&f->tree, 1), token(4));
	assert_null(vma_tree_prev(&f->tree, 0));
}

/* The value that is stored is there already, on one side, on both, or everywhere: one slot. */
static void test_same_value_grows(void **state)
{
	struct fixture *f = *state;

	store(f, 10, 19, token(1));
	store(f, 20, 29, token(1));
	store(f, 5, 9, token(1));
	store(f, 12, 14, token(1));
	check_all(f);
	store(f, 15, 17, NULL);
	store(f, 15, 17, token(1));
	check_all(f);
}

/* Up and down and from the middle out, to many levels, and back to nothing. */
static void test_grow_and_shrink_in_order(void **state)
{
	struct fixture *f = *state;
	u32 n = f->cells;

	for (u32 i = 0; i < n; i += 2)
		store(f, i, i, token(i));
	check_all(f);
	for (u32 i = 0; i < n; i += 2)
		store(f, i, i, NULL);
	check_all(f);
	assert_null(f->tree.root);

	for (u32 i = n; i-- > 0;)
		store(f, i, i, token(i));
	check_all(f);
	check_gap(f, 0, ~0ull, 1, false);
	for (u32 i = 0; i < n / 2; i++) {
		store(f, n / 2 - 1 - i, n / 2 - 1 - i, NULL);
		store(f, n / 2 + i, n / 2 + i, NULL);
		if (i % 64 == 0)
			vma_tree_check(&f->tree);
	}
	check_all(f);
	assert_null(f->tree.root);
}

/* One store over every pair of ends, over a tree of several levels. */
static void test_spans(void **state)
{
	struct fixture *f = *state;

	f->cells = 400;
	for (u32 from = 0; from < f->cells; from += 7) {
		for (u32 to = from; to < f->cells; to += 13) {
			struct vma *vma = (from + to) % 2 ? token(9999) : NULL;

			for (u32 i = 0; i < f->cells; i++)
				store(f, i, i, i % 3 ? token(i) : NULL);
			store(f, from, to, vma);
			vma_tree_check(&f->tree);
			check_find(f, cell_first(from), ~0ull);
			check_prev(f, cell_first(to));
			check_gap(f, 0, ~0ull, 2 * CELL_BYTES, true);
		}
	}
	check_all(f);
}

static void test_prealloc_is_kept(void **state)
{
	struct fixture *f = *state;
	u64 live;

	for (u32 i = 0; i < f->cells; i += 2)
		store(f, i, i, token(i));
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	sim_rcu_barrier(); /* what the stores replaced */
	live = objcache_live(f->nodes);
	vma_tree_prealloc_drop(&f->tree);
	assert_true(objcache_live(f->nodes) < live);
	vma_tree_check(&f->tree);

	/* The next one is free of charge. */
	live = objcache_live(f->nodes);
	assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	assert_int_equal(objcache_live(f->nodes), live);
	vma_tree_prealloc_drop(&f->tree);
	assert_int_equal(objcache_live(f->nodes), live);
}

/* n calls are enough for n stores, even where each adds to the height. */
static void test_prealloc_of_many(void **state)
{
	struct fixture *f = *state;

	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	for (u32 i = 0; i < 1000; i++) {
		vma_tree_store(&f->tree, cell_first(2 * i), cell_last(f, 2 * i), token(i));
		f->cell[2 * i] = token(i);
	}
	check_all(f);
	vma_tree_prealloc_drop(&f->tree);
	vma_tree_check(&f->tree);
}

/* The iterators go by the VMAs' own borders. */
static void test_for_each(void **state)
{
	struct fixture *f = *state;
	struct vma *vmas = calloc(300, sizeof(*vmas)), *vma;
	u32 n = 0;

	assert_non_null(vmas);
	for (u32 i = 0; i < 300; i++) {
		vmas[i].start = (3 * i + 1) * CELL_BYTES;
		vmas[i].end = vmas[i].start + (1 + i % 3) * CELL_BYTES; /* every third touches */
		assert_int_equal(vma_tree_prealloc(&f->tree), 0);
		vma_tree_store(&f->tree, vmas[i].start, vmas[i].end - 1, &vmas[i]);
	}
	vma_tree_for_each (&f->tree, vma)
		assert_ptr_equal(vma, &vmas[n++]);
	assert_int_equal(n, 300);

	for (u32 a = 0; a < 920; a += 5) {
		for (u32 b = a + 1; b < 920; b += 11) {
			u64 first = a * CELL_BYTES, end = b * CELL_BYTES;

			for (n = 0; n < 300 && vmas[n].end <= first; n++)
				;
			vma_tree_for_each_range (&f->tree, vma, first, end)
				assert_ptr_equal(vma, &vmas[n++]);
			assert_true(n == 300 || vmas[n].start >= end);
		}
	}
	free(vmas);
}

/* ---- random -------------------------------------------------------------------------------- */

/*
 * The address space's density wanders: phases in which stores are mostly VMAs and phases in which
 * they are mostly holes; lengths from one cell to all of it.
 */
static void random_run(struct fixture *f, u64 seed, u32 cells, u32 ops, u32 check_every)
{
	u32 holes = 50, long_cells = 8;

	f->rng = seed;
	f->cells = cells;
	for (u32 op = 0; op < ops; op++) {
		u32 from = below(f, cells), to;
		struct vma *vma;

		if (op % 1024 == 0) {
			holes = 5 + below(f, 90);
			long_cells = below(f, 4) ? 4 : 1 + below(f, cells / 4 + 1);
		}
		to = from + (below(f, 400) ? below(f, long_cells) : below(f, cells));
		to = min(to, cells - 1);
		vma = below(f, 100) < holes ? NULL : token(op + 1);
		if (below(f, 50) == 0)
			vma = f->cell[below(f, cells)]; /* a value that is there */
		store(f, from, to, vma);
		if (below(f, 16) == 0)
			vma_tree_prealloc_drop(&f->tree);
		check_queries(f);
		if (op % check_every == 0)
			vma_tree_check(&f->tree);
	}
	check_all(f);
	store(f, 0, cells - 1, NULL);
	assert_null(f->tree.root);
}

static void test_random(void **state)
{
	static const struct {
		u32 cells, ops, check_every;
	} runs[] = {
		{3, 2000, 1},    {20, 20000, 1},   {60, 20000, 1},
		{200, 20000, 1}, {1000, 40000, 8}, {4096, 60000, 64},
	};

	for (u32 s = 0; s < 3; s++) {
		u64 seed = seed_base() + s;

		print_message("seed %#llx\n", (unsigned long long)seed);
		for (u32 i = 0; i < ARRAY_SIZE(runs); i++)
			random_run(*state, seed * 64 + i, runs[i].cells, runs[i].ops,
				   runs[i].check_every);
	}
}

/* ---- RCU readers beside a writer ----------------------------------------------------------- */

/*
 *   cells  0 1 2 3 ...               N-1
 *          P . P . P .               permanent tokens on even cells of the first part, the odd ones
 *                                    come and go: the tree splits and joins around them
 *          F F F F F F F F F F F     flipped: one VMA over all, then one per cell, never a hole
 *
 * A VMA of the flipped part carries in `pgoff` the number of the whole-range store that it came
 * with or after: since such a store is one publication, no reader may ever see an older one again.
 */
#define PERMANENT_CELLS 600
#define FLIP_FIRST 1000
#define FLIP_CELLS 150
#define READERS 3

struct rcu_run {
	struct fixture *f;
	u32 rounds;
	u32 stop; /* (atomic) */
	struct vma *pool;
	u64 reads[READERS];
	u64 errors[READERS];
};

static void flip(struct rcu_run *r, u32 from, u32 n, struct vma *vma, u64 generation)
{
	struct vma_tree *t = &r->f->tree;

	vma->start = cell_first(FLIP_FIRST + from);
	vma->end = cell_first(FLIP_FIRST + from + n);
	vma->pgoff = generation;
	MMSIM_BUG_ON(vma_tree_prealloc(t));
	vma_tree_store(t, vma->start, vma->end - 1, vma);
}

static void rcu_writer(struct rcu_run *r)
{
	struct vma_tree *t = &r->f->tree;
	struct vma *vma = r->pool;
	u64 rng = seed_base();

	for (u32 round = 1; round <= r->rounds; round++) {
		flip(r, 0, FLIP_CELLS, vma++, round);
		for (u32 i = 0; i < FLIP_CELLS; i++) {
			u32 odd = rnd(&rng) % (PERMANENT_CELLS / 2) * 2 + 1;

			flip(r, round % 2 ? i : FLIP_CELLS - 1 - i, 1, vma++, round);
			MMSIM_BUG_ON(vma_tree_prealloc(t));
			vma_tree_store(t, cell_first(odd), cell_first(odd + 1) - 1,
				       rnd(&rng) % 2 ? token(odd) : NULL);
		}
		if (round % 16 == 0)
			vma_tree_check(t);
	}
	WRITE_ONCE(r->stop, 1);
}

/* One look at the flipped part; false: something that never was. */
static bool flipped_is_sane(struct rcu_run *r, u64 addr, u64 *generation, bool by_find)
{
	struct vma *vma = by_find ? vma_tree_find(&r->f->tree, addr, ~0ull)
				  : vma_tree_load(&r->f->tree, addr);

	if (!vma || addr < vma->start || addr >= vma->end || vma->pgoff < *generation)
		return false;
	*generation = vma->pgoff;
	return true;
}

static bool permanent_is_sane(struct rcu_run *r, u32 cell)
{
	const struct vma_tree *t = &r->f->tree;
	u64 addr = cell_first(cell);
	struct vma *next, *prev;

	if (vma_tree_load(t, addr) != token(cell) || vma_tree_find(t, addr, ~0ull) != token(cell))
		return false;
	next = vma_tree_find(t, addr + CELL_BYTES, ~0ull);
	prev = cell ? vma_tree_prev(t, addr) : NULL;
	if (cell + 2 < PERMANENT_CELLS && next != token(cell + 1) && next != token(cell + 2))
		return false;
	return cell == 0 || prev == token(cell - 1) || prev == token(cell - 2);
}

static void rcu_task(void *arg, u32 index)
{
	struct rcu_run *r = arg;
	u64 rng = seed_base() + index, generation = 0, reads = 0, errors = 0;

	if (index == 0) {
		rcu_writer(r);
		return;
	}
	while (!READ_ONCE(r->stop)) {
		u64 x = rnd(&rng);
		u32 cell = x % (PERMANENT_CELLS / 2) * 2;
		u64 addr = cell_first(FLIP_FIRST) + (x >> 20) % (FLIP_CELLS * CELL_BYTES);

		rcu_read_lock();
		errors += !permanent_is_sane(r, cell);
		errors += !flipped_is_sane(r, addr, &generation, x >> 63);
		rcu_read_unlock();
		reads++;
	}
	r->reads[index - 1] = reads;
	r->errors[index - 1] = errors;
}

static void test_rcu_readers(void **state)
{
	struct fixture *f = *state;
#ifdef MMSIM_SANITIZED
	struct rcu_run r = {.f = f, .rounds = 150};
#else
	struct rcu_run r = {.f = f, .rounds = 1000};
#endif

	r.pool = calloc((r.rounds + 1) * (FLIP_CELLS + 1), sizeof(*r.pool));
	assert_non_null(r.pool);
	for (u32 i = 0; i < PERMANENT_CELLS; i += 2)
		store(f, i, i, token(i));
	flip(&r, 0, FLIP_CELLS, &r.pool[r.rounds * (FLIP_CELLS + 1)], 0);

	machine_leave();
	assert_int_equal(engine_run(f->machine, 1 + READERS, rcu_task, &r, NULL), 0);
	machine_enter(f->machine);
	for (u32 i = 0; i < READERS; i++) {
		print_message("reader %u: %llu reads\n", i, (unsigned long long)r.reads[i]);
		assert_int_equal(r.errors[i], 0);
	}
	vma_tree_check(&f->tree);
	free(r.pool);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_empty),
		CASE(test_ends_of_the_space),
		CASE(test_same_value_grows),
		CASE(test_grow_and_shrink_in_order),
		CASE(test_spans),
		CASE(test_prealloc_is_kept),
		CASE(test_prealloc_of_many),
		CASE(test_for_each),
		CASE(test_random),
		CASE(test_rcu_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
