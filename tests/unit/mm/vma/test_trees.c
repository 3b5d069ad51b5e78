/*
 * tests/unit/mm/vma/test_trees.c - every VMA tree, as mm/ uses it: real VMAs, one range each
 *
 * Random stores against the model of tree_model.h: VMAs come, go, grow, are cut and split, and are
 * used again at once. Then readers without a lock beside a writer: natively in parallel; in virtual time
 * in orders drawn by seed.
 */
#include "tree_model.h"

#define POOL (CELLS_MAX + 64)

struct vma_pool {
	struct vma *vmas;
	u32 cells[POOL]; /* how many each has */
	struct vma *free[POOL];
	u32 free_count;
};

static struct vma *vmas_create(u32 n)
{
	struct vma *vmas = aligned_alloc(MMSIM_CACHE_LINE_BYTES, n * sizeof(*vmas));

	assert_non_null(vmas);
	memset(vmas, 0, n * sizeof(*vmas));
	return vmas;
}

static void pool_init(struct vma_pool *p)
{
	memset(p, 0, sizeof(*p));
	p->vmas = vmas_create(POOL);
	for (u32 i = 0; i < POOL; i++)
		p->free[p->free_count++] = &p->vmas[i];
}

static struct vma *pool_take(struct vma_pool *p)
{
	assert_true(p->free_count > 0);
	return p->free[--p->free_count];
}

static void cell_set(struct fixture *f, struct vma_pool *p, u32 cell, struct vma *vma)
{
	struct vma *old = f->cell[cell];

	f->cell[cell] = vma;
	if (vma)
		p->cells[vma - p->vmas]++;
	if (old && --p->cells[old - p->vmas] == 0)
		p->free[p->free_count++] = old;
}

/* start and end as the model says. */
static void vma_settle(struct fixture *f, struct vma *vma, u32 cell)
{
	u32 first = cell, last = cell;

	while (first > 0 && f->cell[first - 1] == vma)
		first--;
	while (last + 1 < f->cells && f->cell[last + 1] == vma)
		last++;
	vma->start = cell_first(first);
	vma->end = cell_last(f, last) + 1;
}

static void store(struct fixture *f, struct vma_pool *p, u32 from, u32 to, struct vma *vma)
{
	assert_int_equal(vma_tree_prealloc(&f->tree), 0);
	vma_tree_store(&f->tree, cell_first(from), cell_last(f, to), vma);
	for (u32 i = from; i <= to; i++)
		cell_set(f, p, i, vma);
	if (vma)
		vma_settle(f, vma, from);
	if (from > 0 && f->cell[from - 1])
		vma_settle(f, f->cell[from - 1], from - 1);
	if (to + 1 < f->cells && f->cell[to + 1])
		vma_settle(f, f->cell[to + 1], to + 1);
}

/* What mm/ does before a store: a VMA that reaches out on both sides is split. */
static void split_around(struct fixture *f, struct vma_pool *p, u32 from, u32 to, const struct vma *keep)
{
	struct vma *vma = f->cell[from];
	u32 last = to + 1;

	if (!vma || vma == keep || !from || f->cell[from - 1] != vma || last == f->cells ||
	    f->cell[last] != vma)
		return;
	while (last + 1 < f->cells && f->cell[last + 1] == vma)
		last++;
	store(f, p, to + 1, last, pool_take(p));
}

/* Neighbours of the VMA, and vma_is_dead() of the ones that are out. */
static void check_vma(struct fixture *f, struct vma_pool *p, struct vma *vma)
{
	bool in_tree = p->cells[vma - p->vmas] != 0;
	u32 first, last;

	if (f->type->caps & VMA_TREE_CAP_DEAD)
		assert_int_equal(vma_is_dead(vma), !in_tree);
	if (!in_tree)
		return;
	first = cell_of(f, vma->start);
	last = cell_of(f, vma->end - 1);
	while (first > 0 && !f->cell[first - 1])
		first--;
	assert_ptr_equal(vma_tree_before(&f->tree, vma), first ? f->cell[first - 1] : NULL);
	while (last + 1 < f->cells && !f->cell[last + 1])
		last++;
	assert_ptr_equal(vma_tree_next(&f->tree, vma, ~0ull),
			 last + 1 < f->cells ? f->cell[last + 1] : NULL);
	if (last + 1 < f->cells)
		assert_null(vma_tree_next(&f->tree, vma, cell_last(f, last)));
}

static void random_store(struct fixture *f, struct vma_pool *p, u32 holes, u32 long_cells)
{
	u32 from = below(f, f->cells), to = from + below(f, below(f, 400) ? long_cells : f->cells);
	struct vma *vma = NULL;

	to = min(to, f->cells - 1);
	if (below(f, 100) >= holes) {
		/* one that is there already grows, or a new one */
		u32 beside = below(f, 2) ? from - (from > 0) : to + (to + 1 < f->cells);

		vma = below(f, 3) ? NULL : f->cell[beside];
		if (!vma) {
			split_around(f, p, from, to, NULL);
			vma = pool_take(p);
		}
	}
	split_around(f, p, from, to, vma);
	store(f, p, from, to, vma);
}

static void random_run(struct fixture *f, struct vma_pool *p, u64 seed, u32 cells, u32 ops,
		       u32 check_every)
{
	u32 holes = 50, long_cells = 8, at;

	f->rng = seed;
	f->cells = cells;
	for (u32 op = 0; op < ops; op++) {
		if (op % 1024 == 0) {
			holes = 5 + below(f, 90);
			long_cells = below(f, 4) ? 4 : 1 + below(f, cells / 4 + 1);
		}
		random_store(f, p, holes, long_cells);
		if (below(f, 16) == 0)
			vma_tree_prealloc_drop(&f->tree);
		check_queries(f);
		check_vma(f, p, &p->vmas[below(f, POOL)]);
		at = below(f, cells);
		if (f->cell[at])
			check_vma(f, p, f->cell[at]);
		if (op % check_every == 0)
			vma_tree_check(&f->tree);
	}
	check_all(f);
	for (u32 i = 0; i < POOL; i++)
		check_vma(f, p, &p->vmas[i]);
	store(f, p, 0, cells - 1, NULL);
	assert_null(vma_tree_find(&f->tree, 0, ~0ull));
	vma_tree_check(&f->tree);
}

static void test_random(void **state)
{
	static const struct {
		u32 cells, ops, check_every;
	} runs[] = {
		{ 3, 2000, 1 },	   { 20, 20000, 1 },   { 60, 20000, 1 },
		{ 200, 20000, 1 }, { 1000, 40000, 8 }, { 4096, 40000, 64 },
	};
	struct fixture *f = fixture_create(*state);
	struct vma_pool p;

	pool_init(&p);
	for (u32 s = 0; s < 2; s++) {
		u64 seed = seed_base() + s;

		print_message("seed %#llx\n", (unsigned long long)seed);
		for (u32 i = 0; i < ARRAY_SIZE(runs); i++)
			random_run(f, &p, seed * 64 + i, runs[i].cells, runs[i].ops,
				   runs[i].check_every);
	}
	fixture_destroy(f);
	free(p.vmas);
}

static void test_iterators(void **state)
{
	struct fixture *f = fixture_create(*state);
	struct vma *vmas = vmas_create(300), *vma;
	u32 n = 0;

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
	fixture_destroy(f);
	free(vmas);
}

/* The last of the trees that VMAs were in is told; what is left in an emptied tree as well. */
static void test_destroy_lets_go(void **state)
{
	struct fixture *f = fixture_create(*state);
	struct vma *vmas = vmas_create(100);

	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < 100; i++) {
			assert_int_equal(vma_tree_prealloc(&f->tree), 0);
			vma_tree_store(&f->tree, cell_first(i), cell_first(i + 1) - 1, &vmas[i]);
		}
		vma_tree_check(&f->tree);
		vma_tree_destroy(&f->tree);
		assert_null(vma_tree_find(&f->tree, 0, ~0ull));
		assert_int_equal(vma_tree_height(&f->tree), 0);
	}
	fixture_destroy(f);
	free(vmas);
}

/* ---- readers without a lock beside a writer ------------------------------------------------ */

/*
 *   cells  0 1 2 3 ...               N-1
 *          P . P . P .               permanent VMAs on even cells; on odd ones, VMAs that come and go,
 *                                    each time somewhere else, or in another tree: the tree turns
 *          F F F F F F F F F F F     flipped: one VMA over all, then one per cell, never a hole
 *
 * A VMA of the flipped part carries in `pgoff` the number of the whole-range store that it came
 * with or after. No reader may ever see an older one again.
 */
#define PERMANENT_CELLS 600
#define WANDERERS 100
#define FLIP_FIRST 1000
#define FLIP_CELLS 60
#define READERS 3

struct rcu_run {
	struct machine *m;
	struct vma_tree *tree, *other;
	u32 rounds;
	u64 seed;
	u32 stop; /* (atomic) */
	struct vma *permanent, *wanderer, *flipped;
	u32 wanderer_cell[WANDERERS]; /* + 1; 0: nowhere */
	bool cell_taken[2][PERMANENT_CELLS];
	u64 reads[READERS];
	u64 errors[READERS];
};

static void store_cell(struct vma_tree *t, u32 cell, struct vma *vma)
{
	MMSIM_BUG_ON(vma_tree_prealloc(t));
	vma_tree_store(t, cell_first(cell), cell_first(cell + 1) - 1, vma);
}

static void flip(struct rcu_run *r, u32 from, u32 n, struct vma *vma, u64 generation)
{
	vma->start = cell_first(FLIP_FIRST + from);
	vma->end = cell_first(FLIP_FIRST + from + n);
	vma->pgoff = generation;
	MMSIM_BUG_ON(vma_tree_prealloc(r->tree));
	vma_tree_store(r->tree, vma->start, vma->end - 1, vma);
}

/* One VMA leaves where it is, and enters somewhere: readers that stand on it are led astray. */
static void wander(struct rcu_run *r, u64 x)
{
	u32 w = x % WANDERERS, to = (u32)(x >> 8) % (PERMANENT_CELLS / 2) * 2 + 1, in = (x >> 40) & 1;
	u32 at = r->wanderer_cell[w];

	if (at) {
		u32 was_in = (at - 1) / PERMANENT_CELLS, cell = (at - 1) % PERMANENT_CELLS;

		store_cell(was_in ? r->other : r->tree, cell, NULL);
		r->cell_taken[was_in][cell] = false;
		r->wanderer_cell[w] = 0;
	}
	if (r->cell_taken[in][to])
		return;
	r->cell_taken[in][to] = true;
	store_cell(in ? r->other : r->tree, to, &r->wanderer[w]);
	r->wanderer_cell[w] = 1 + in * PERMANENT_CELLS + to;
}

static void rcu_writer(struct rcu_run *r)
{
	struct vma *vma = r->flipped;
	u64 rng = r->seed;

	for (u32 round = 1; round <= r->rounds; round++) {
		flip(r, 0, FLIP_CELLS, vma++, round);
		for (u32 i = 0; i < FLIP_CELLS; i++) {
			flip(r, round % 2 ? i : FLIP_CELLS - 1 - i, 1, vma++, round);
			wander(r, rnd(&rng));
			wander(r, rnd(&rng));
		}
		if (round % 16 == 0) {
			vma_tree_check(r->tree);
			vma_tree_check(r->other);
		}
	}
	WRITE_ONCE(r->stop, 1);
}

static bool flipped_is_sane(struct rcu_run *r, u64 addr, u64 *generation, bool by_find)
{
	struct vma *vma = by_find ? vma_tree_find_rcu(r->tree, addr, ~0ull)
				  : vma_tree_load_rcu(r->tree, addr);

	if (!vma || addr < vma->start || addr >= vma->end || vma->pgoff < *generation)
		return false;
	*generation = vma->pgoff;
	return true;
}

static bool is_wanderer(const struct rcu_run *r, const struct vma *vma)
{
	return vma >= r->wanderer && vma < r->wanderer + WANDERERS;
}

static bool permanent_is_sane(struct rcu_run *r, u32 cell)
{
	struct vma *vma = &r->permanent[cell / 2], *next;
	u64 addr = cell_first(cell);

	if (vma_tree_load_rcu(r->tree, addr) != vma || vma_tree_find_rcu(r->tree, addr, ~0ull) != vma)
		return false;
	if (cell + 2 == PERMANENT_CELLS)
		return true;
	next = vma_tree_find_rcu(r->tree, addr + CELL_BYTES, ~0ull);
	return next == vma + 1 || is_wanderer(r, next);
}

static void rcu_task(void *arg, u32 index)
{
	struct rcu_run *r = arg;
	u64 rng = r->seed + index, generation = 0, reads = 0, errors = 0;

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

static void run_readers(const struct vma_tree_type *type, u64 seed, u32 rounds, u32 schedule)
{
	const struct machine_config cfg = { .tasks = 1 + READERS,
					    .cpus = 1 + READERS,
					    .memory_bytes = 1 << 20,
					    .content_words = 1,
					    .seed = seed,
					    .schedule = schedule };
	struct rcu_run r = { .m = machine_create(&cfg), .rounds = rounds, .seed = seed };
	struct objcache *nodes, *trees, *vmas;
	u32 permanents = PERMANENT_CELLS / 2, flips = (rounds + 1) * (FLIP_CELLS + 1);
	struct vma *all;

	assert_non_null(r.m);
	machine_enter(r.m);
	nodes = vma_tree_cache_create(r.m, type);
	/* From caches: where simulated objects lie, so that reads of them are priced and scheduled. */
	trees = objcache_create(r.m, "trees", 2 * sizeof(struct vma_tree), MMSIM_CACHE_LINE_BYTES, 0, NULL);
	vmas = objcache_create(r.m, "vmas", (permanents + WANDERERS + flips) * sizeof(struct vma),
			       MMSIM_CACHE_LINE_BYTES, 0, NULL);
	r.tree = objcache_alloc(trees);
	all = objcache_alloc(vmas);
	assert_true(r.tree && all);
	r.other = r.tree + 1;
	vma_tree_init(r.tree, type, r.m, nodes);
	vma_tree_init(r.other, type, r.m, nodes);
	memset(all, 0, (permanents + WANDERERS + flips) * sizeof(struct vma));
	r.permanent = all;
	r.wanderer = all + permanents;
	r.flipped = r.wanderer + WANDERERS;
	for (u32 i = 0; i < permanents; i++)
		store_cell(r.tree, 2 * i, &r.permanent[i]);
	flip(&r, 0, FLIP_CELLS, &r.flipped[flips - 1], 0);

	machine_leave();
	assert_int_equal(engine_run(r.m, 1 + READERS, rcu_task, &r, NULL), 0);
	machine_enter(r.m);
	for (u32 i = 0; i < READERS; i++) {
		if (r.errors[i])
			print_message("seed %#llx, reader %u: %llu errors in %llu reads\n",
				      (unsigned long long)seed, i, (unsigned long long)r.errors[i],
				      (unsigned long long)r.reads[i]);
		assert_int_equal(r.errors[i], 0);
		assert_true(r.reads[i] > 0);
	}
	vma_tree_check(r.tree);
	vma_tree_check(r.other);
	vma_tree_destroy(r.tree);
	vma_tree_destroy(r.other);
	sim_rcu_barrier();
	objcache_free(trees, r.tree);
	objcache_free(vmas, all);
	objcache_destroy(trees);
	objcache_destroy(vmas);
	if (nodes)
		objcache_destroy(nodes);
	machine_leave();
	machine_destroy(r.m);
}

static void test_readers(void **state)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	for (u32 i = 0; i < 12; i++) {
		run_readers(*state, seed_base() + i, 3, SCHEDULE_RANDOM);
		run_readers(*state, seed_base() + i, 3, SCHEDULE_TIME);
	}
#elif defined(MMSIM_SANITIZED)
	run_readers(*state, seed_base(), 300, 0);
#else
	run_readers(*state, seed_base(), 2000, 0);
#endif
}

int main(void)
{
	struct CMUnitTest tests[32];
	static char names[32][64];
	static const struct {
		const char *name;
		void (*fn)(void **state);
	} all[] = {
		{ "random", test_random },
		{ "iterators", test_iterators },
		{ "destroy", test_destroy_lets_go },
		{ "readers", test_readers },
	};
	u32 n = 0;

	for (u32 t = 0; vma_tree_all[t]; t++) {
		for (u32 i = 0; i < ARRAY_SIZE(all); i++, n++) {
			snprintf(names[n], sizeof(names[n]), "%s.%s", vma_tree_all[t]->name,
				 all[i].name);
			tests[n] = (struct CMUnitTest){ .name = names[n],
							.test_func = all[i].fn,
							.initial_state = (void *)vma_tree_all[t] };
		}
	}
	return _cmocka_run_group_tests("vma trees", tests, n, NULL, NULL);
}
