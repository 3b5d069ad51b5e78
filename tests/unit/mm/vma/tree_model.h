/*
 * tests/unit/mm/vma/tree_model.h - a VMA tree beside an array that says what it must hold
 *
 * The model: one array element per cell of the address space, which says what the cell maps to.
 * Cell 0 begins at address 0 and the last cell ends at ~0, so that the ends are always in play.
 * Random runs print their seed; MMSIM_SEED=n repeats one.
 */
#ifndef MMSIM_TEST_TREE_MODEL_H
#define MMSIM_TEST_TREE_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/objcache.h>
#include <mmsim/vma.h>

#define CELLS_MAX 4096
#define CELL_BYTES 4096ull

struct fixture {
	struct machine *machine;
	const struct vma_tree_type *type;
	struct objcache *nodes;
	struct vma_tree tree;
	u32 cells;
	struct vma *cell[CELLS_MAX];
	u64 rng;
};

static inline u64 seed_base(void)
{
	const char *s = getenv("MMSIM_SEED");

	return s ? strtoull(s, NULL, 0) : 0x5eed;
}

static inline u64 rnd(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline u32 below(struct fixture *f, u32 n)
{
	return rnd(&f->rng) % n;
}

static inline struct fixture *fixture_create(const struct vma_tree_type *type)
{
	struct machine_config cfg = {
		.tasks = 8, .cpus = 2, .memory_bytes = 1 << 20, .content_words = 1, .seed = 1};
	struct fixture *f = aligned_alloc(MMSIM_CACHE_LINE_BYTES, sizeof(*f));

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	f->machine = machine_create(&cfg);
	assert_non_null(f->machine);
	machine_enter(f->machine);
	f->type = type;
	f->nodes = vma_tree_cache_create(f->machine, type);
	assert_int_equal(f->nodes != NULL, type->node_bytes != 0);
	vma_tree_init(&f->tree, type, f->machine, f->nodes);
	f->cells = CELLS_MAX;
	return f;
}

static inline void fixture_destroy(struct fixture *f)
{
	vma_tree_destroy(&f->tree);
	sim_rcu_barrier();
	if (f->nodes) {
		assert_int_equal(objcache_live(f->nodes), 0);
		objcache_destroy(f->nodes);
	}
	machine_leave();
	machine_destroy(f->machine);
	free(f);
}

/* Cells are spread so that the last one reaches ~0. */
static inline u64 cell_first(u32 cell)
{
	return cell * CELL_BYTES;
}
static inline u64 cell_last(const struct fixture *f, u32 cell)
{
	return cell == f->cells - 1 ? ~0ull : (cell + 1) * CELL_BYTES - 1;
}
static inline u32 cell_of(const struct fixture *f, u64 addr)
{
	u64 c = addr / CELL_BYTES;

	return c < f->cells ? c : f->cells - 1;
}

static inline void check_find(struct fixture *f, u64 addr, u64 last)
{
	struct vma *want = NULL;

	for (u32 i = cell_of(f, addr); addr <= last && i <= cell_of(f, last) && !want; i++)
		want = f->cell[i];
	assert_ptr_equal(vma_tree_find(&f->tree, addr, last), want);
	assert_ptr_equal(vma_tree_find_rcu(&f->tree, addr, last), want);
}

static inline void check_prev(struct fixture *f, u64 addr)
{
	u32 c;

	if (addr == 0) {
		assert_null(vma_tree_prev(&f->tree, addr));
		return;
	}
	c = cell_of(f, addr - 1);
	/* What reaches beyond addr does not count, in all its length. */
	if (cell_last(f, c) > addr - 1 || (c + 1 < f->cells && f->cell[c + 1] == f->cell[c]))
		while (c > 0 && f->cell[c - 1] == f->cell[c])
			c--;
	else
		c++;
	while (c > 0 && !f->cell[c - 1])
		c--;
	assert_ptr_equal(vma_tree_prev(&f->tree, addr), c > 0 ? f->cell[c - 1] : NULL);
}

static inline bool model_gap(struct fixture *f, u64 low, u64 high, u64 len, bool top_down, u64 *start)
{
	bool found = false;

	for (u32 i = cell_of(f, low); i < f->cells && cell_first(i) < high;) {
		u32 j = i;
		u64 a, b;

		if (f->cell[i]) {
			i++;
			continue;
		}
		while (j + 1 < f->cells && !f->cell[j + 1])
			j++;
		a = cell_first(i);
		while (a && !f->cell[cell_of(f, a - 1)])
			a = cell_first(cell_of(f, a - 1));
		a = max(a, low);
		b = min(cell_last(f, j), high - 1);
		if (a <= b && b - a >= len - 1) {
			found = true;
			*start = top_down ? b - len + 1 : a;
			if (!top_down)
				return true;
		}
		i = j + 1;
	}
	return found;
}

static inline void check_gap(struct fixture *f, u64 low, u64 high, u64 len, bool top_down)
{
	u64 want = 0, got = 0;
	bool any = low < high && len && model_gap(f, low, high, len, top_down, &want);

	assert_int_equal(vma_tree_gap(&f->tree, low, high, len, top_down, &got), any);
	if (any)
		assert_true(got == want);
}

static inline u64 random_addr(struct fixture *f)
{
	u32 c = below(f, f->cells);

	switch (below(f, 8)) {
	case 0:
		return cell_last(f, c);
	case 1:
		return cell_first(c) + below(f, CELL_BYTES);
	case 2:
		return below(f, 16) ? cell_first(c) : ~0ull;
	default:
		return cell_first(c);
	}
}

static inline void check_queries(struct fixture *f)
{
	u64 a = random_addr(f), b = random_addr(f);

	assert_ptr_equal(vma_tree_load(&f->tree, a), f->cell[cell_of(f, a)]);
	assert_ptr_equal(vma_tree_load_rcu(&f->tree, a), f->cell[cell_of(f, a)]);
	check_find(f, a, ~0ull);
	check_find(f, a, b);
	check_prev(f, a);
	check_gap(f, a, b, 1 + below(f, 64) * CELL_BYTES / 2, below(f, 2));
	check_gap(f, 0, ~0ull, (1 + below(f, f->cells)) * CELL_BYTES, below(f, 2));
}

static inline void check_all(struct fixture *f)
{
	for (u32 i = 0; i < f->cells; i++) {
		u64 addr = cell_first(i);

		assert_ptr_equal(vma_tree_load(&f->tree, addr), f->cell[i]);
		assert_ptr_equal(vma_tree_load(&f->tree, cell_last(f, i)), f->cell[i]);
		check_find(f, addr, ~0ull);
		check_prev(f, addr);
	}
	vma_tree_check(&f->tree);
}

#endif
