/*
 * tests/unit/mm/test_pgtable.c - the tree: descend, grow, visit, attributes; on every architecture
 */
#include "tests/unit/mm/mmu_world.h"

#include "mm/mmu_internal.h"

static void for_each_arch(void (*fn)(struct world *w), u64 frames)
{
	const struct arch_desc *a;

	for (u32 i = 0; (a = test_arch(i)); i++) {
		struct world w = world_create(a, frames, 4);

		fn(&w);
		world_unmap(w.mm, 0, a->task_size, 0, 0);
		assert_int_equal(world_frames(&w), 0);
		world_destroy(&w);
	}
}

static void lookup_and_alloc_on(struct world *w)
{
	u64 span = level_bytes(w->a, 1), va = w->a->task_size / 3 / span * span;
	spinlock_t *ptl, *same, *other;
	pte_t *pte;

	assert_null(pgtable_lookup(w->mm, va, &ptl));
	pte = pgtable_alloc(w->mm, va, &ptl);
	assert_non_null(pte);
	assert_int_equal(*pte, 0);
	assert_ptr_equal(pgtable_alloc(w->mm, va, &same), pte);
	assert_ptr_equal(pgtable_lookup(w->mm, va, &same), pte);
	assert_ptr_equal(same, ptl);
	/* Neighbours: next entry; last of the table under the same lock; the next table. */
	assert_ptr_equal(pgtable_lookup(w->mm, va + w->page, &same), pte + 1);
	assert_ptr_equal(pgtable_lookup(w->mm, va + span - 1, &same),
			 pte + (1u << w->a->idx_bits[0]) - 1);
	assert_ptr_equal(same, ptl);
	assert_null(pgtable_lookup(w->mm, va + span, &other));
	assert_non_null(pgtable_alloc(w->mm, va + span, &other));
	assert_ptr_not_equal(other, ptl);
	/* The whole user range is reachable. */
	assert_non_null(pgtable_alloc(w->mm, 0, &ptl));
	assert_non_null(pgtable_alloc(w->mm, w->a->task_size - 1, &ptl));
	assert_int_equal(w->mm->table_pages, memory_frames_used(w->m) - w->frames_base + 1);
}

static void lookup_and_alloc(void **state)
{
	for_each_arch(lookup_and_alloc_on, 4096);
}

#define PAGES 300
struct seen {
	const u64 *va;
	u32 count;
	struct world *w;
};

static void see(void *arg, u64 va, pte_t e, u32 level)
{
	struct seen *s = arg;
	struct world *w = s->w;

	assert_int_equal(level, 0);
	assert_true(s->count < PAGES);
	assert_int_equal(va, s->va[s->count++]);
	assert_int_equal(*page_content(w->mem, pte_pfn(w->a, e)), va);
}

static int by_value(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

/* Sorted, distinct, some of them neighbours. */
static void random_addresses(struct world *w, u64 *rng, u64 *va, u32 n)
{
	for (u32 i = 0; i < n;) {
		u64 at = test_random(rng) % w->a->task_size;
		u32 run = 1 + test_random(rng) % 20;

		for (at = ALIGN_DOWN(at, w->page); run && i < n && at < w->a->task_size; run--) {
			bool taken = false;

			for (u32 j = 0; j < i; j++)
				taken |= va[j] == at;
			if (!taken)
				va[i++] = at;
			at += w->page;
		}
	}
	qsort(va, n, sizeof(*va), by_value);
}

static u64 seed;

static void map_and_visit_on(struct world *w)
{
	u64 va[PAGES], rng = seed, at = 0, found = 0;
	struct seen s = {.va = va, .w = w};

	random_addresses(w, &rng, va, PAGES);
	for (u32 i = 0; i < PAGES; i++)
		world_map(w, va[i * 7 % PAGES], FULL_ATTRS); /* 7 and 300 have no common factor */
	pgtable_visit(w->mm, 0, w->a->task_size, see, &s);
	assert_int_equal(s.count, PAGES);
	/* A part, whose ends are entries. */
	s.count = 100;
	pgtable_visit(w->mm, va[100], va[200], see, &s);
	assert_int_equal(s.count, 200);
	s.count = 42;
	pgtable_visit(w->mm, va[42], va[42], see, &s);
	assert_int_equal(s.count, 42);
	/* Spans agree with look-ups and miss nothing. */
	while (at < w->a->task_size) {
		spinlock_t *ptl, *ptl2;
		pte_t *pte;
		u64 stop = pgtable_span(w->mm, at, w->a->task_size, &pte, &ptl);

		assert_true(stop > at);
		assert_ptr_equal(pgtable_lookup(w->mm, at, &ptl2), pte);
		for (; at < stop && pte; at += w->page, pte++)
			found += *pte != 0;
		at = stop;
	}
	assert_int_equal(found, PAGES);
}

static void map_and_visit(void **state)
{
	seed = test_seed("map_and_visit");
	for_each_arch(map_and_visit_on, 8192);
}

/* Translation by the MMU agrees with what was mapped; so does the probe. */
static void translate_on(struct world *w)
{
	u64 va[PAGES], rng = seed, pfn;
	struct syndrome s;

	random_addresses(w, &rng, va, PAGES);
	for (u32 i = 0; i < PAGES; i++) {
		u32 attrs = (i & 1 ? PTE_WRITE : 0) | (i & 2 ? PTE_EXEC : 0) | PTE_USER | PTE_READ;

		world_map(w, va[i], attrs | PTE_ACCESSED | PTE_DIRTY);
	}
	for (u32 i = 0; i < PAGES; i++)
		for (u32 kind = 0; kind < ACCESS_KINDS; kind++) {
			bool want = kind == ACCESS_READ || (kind == ACCESS_WRITE && (i & 1)) ||
				    (kind == ACCESS_EXEC && (i & 2));

			assert_int_equal(mmu_probe(w->mm, va[i] + 17, kind), want);
			assert_int_equal(mmu_translate(w->mm, va[i] + 17, kind, true, &pfn, &s),
					 want);
			if (want)
				assert_int_equal(*page_content(w->mem, pfn), va[i]);
			else
				assert_int_equal(s.va, va[i] + 17);
		}
	assert_false(mmu_probe(w->mm, w->a->task_size, ACCESS_READ));
	assert_false(mmu_probe(w->mm, ~0ull, ACCESS_READ));
}

static void translate(void **state)
{
	seed = test_seed("translate");
	for_each_arch(translate_on, 8192);
}

/* Out of memory in the middle of a descent: NULL, nothing lost, and what there is works on. */
static void no_memory(void **state)
{
	struct world w = world_create(&arch_x86_64, 128, 1);
	u64 tables = 0, va = 0;
	spinlock_t *ptl;

	for (; pgtable_alloc(w.mm, va, &ptl); va += 1ull << 39)
		tables++;
	assert_in_range(tables, 10, 128 / 3);
	assert_null(pgtable_alloc(w.mm, va, &ptl));
	assert_non_null(pgtable_alloc(w.mm, 4096, &ptl));
	world_unmap(w.mm, 0, w.a->task_size, 0, 0);
	/* What waits for its grace period is taken back when it is needed, or by now. */
	sim_rcu_barrier();
	assert_non_null(pgtable_alloc(w.mm, va, &ptl));
	world_unmap(w.mm, 0, w.a->task_size, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

#define RACERS 4
#define RACE_TABLES 200
struct race {
	struct world *w;
	pte_t *got[RACERS][RACE_TABLES];
};

static void race_alloc(void *arg, u32 index)
{
	struct race *r = arg;

	for (u32 i = 0; i < RACE_TABLES; i++) {
		/* Every 8th opens new upper levels. */
		u64 va = (u64)(i % 8) << 21 | (u64)(i / 8) << 33;
		spinlock_t *ptl;

		r->got[index][i] = pgtable_alloc(r->w->mm, va, &ptl);
	}
}

/* Tasks that allocate the same tables at once get the same tables, and none is lost. */
static void racing_allocations(void **state)
{
	static struct race r;
	struct world w = world_create(&arch_x86_64, 8192, RACERS);

	r.w = &w;
	machine_leave();
	assert_int_equal(engine_run(w.m, RACERS, race_alloc, &r, NULL), 0);
	machine_enter(w.m);
	for (u32 i = 0; i < RACE_TABLES; i++)
		for (u32 t = 0; t < RACERS; t++) {
			assert_non_null(r.got[t][i]);
			assert_ptr_equal(r.got[t][i], r.got[0][i]);
		}
	assert_int_equal(w.mm->table_pages, memory_frames_used(w.m) - w.frames_base + 1);
	world_unmap(w.mm, 0, w.a->task_size, 0, 0);
	assert_int_equal(world_frames(&w), 0);
	world_destroy(&w);
}

static void attributes_of_vmas(void **state)
{
	struct inode regular = {.kind = INODE_REGULAR}, shmem = {.kind = INODE_SHMEM},
		     device = {.kind = INODE_DEVICE};
	struct file f_regular = {.inode = &regular}, f_shmem = {.inode = &shmem},
		    f_device = {.inode = &device};
	const u32 base = PTE_ACCESSED, r = PTE_USER | PTE_READ;
	struct {
		u64 flags;
		struct file *file;
		u32 attrs;
	} rows[] = {
		{0, NULL, base | PTE_HIDDEN},
		{VM_READ, NULL, base | r},
		{VM_WRITE, NULL, base | r},
		{VM_EXEC, NULL, base | r | PTE_EXEC},
		{VM_READ | VM_WRITE | VM_EXEC, NULL, base | r | PTE_EXEC},
		{VM_READ | VM_WRITE, &f_regular, base | r},
		{VM_READ | VM_WRITE | VM_SHARED, &f_regular, base | r},
		{VM_READ | VM_WRITE | VM_SHARED, &f_shmem, base | r | PTE_WRITE},
		{VM_READ | VM_SHARED, &f_shmem, base | r},
		{VM_READ | VM_WRITE, &f_shmem, base | r},
		{VM_READ | VM_WRITE | VM_SHARED | VM_PFNMAP, &f_device, base | r | PTE_WRITE},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vma vma = {.flags = rows[i].flags, .file = rows[i].file};

		assert_int_equal(vma_pte_attrs(&vma), rows[i].attrs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_and_alloc),   cmocka_unit_test(map_and_visit),
		cmocka_unit_test(translate),          cmocka_unit_test(no_memory),
		cmocka_unit_test(racing_allocations), cmocka_unit_test(attributes_of_vmas),
	};

	return cmocka_run_group_tests_name("pgtable", tests, NULL, NULL);
}
