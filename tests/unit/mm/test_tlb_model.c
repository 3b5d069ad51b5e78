/*
 * tests/unit/mm/test_tlb_model.c - TLBs of a machine model: tags, lazy CPUs, ranges, walk caches, and
 * the same results as without a TLB
 *
 * Natively there is no model: what is counted is then not looked at, what is read and written is.
 */
#include "tests/unit/mm/mmu_world.h"

#include <mmsim/machine_model.h>

#include "mm/tlb_internal.h"

#define BASE 0x7e00000000ull
#define CPUS 4u

static u64 counter(const struct world *w, enum counter c)
{
	return machine_counter(w->m, c);
}

static void model_set(struct machine_model *model, const char *key, const char *value)
{
	struct machine_model_error error;

	if (machine_model_set(model, key, value, &error))
		fail_msg("%s", error.text);
}

/* As world_create(), on a machine of CPUS CPUs with these keys changed: "key=value key=value". */
static struct world model_world(const struct arch_desc *a, struct machine_model *model,
				const char *keys, u64 seed)
{
	struct machine_config cfg = {.tasks = CPUS, .cpus = CPUS, .memory_bytes = 4096ull << a->page_shift,
				     .content_words = 8, .seed = seed};
	struct world w = {.a = a, .page = arch_page_bytes(a)};
	char text[256], *at = text, *pair;
	struct machine_model_error error;

	if (machine_model_load(model, "laptop8", &error))
		fail_msg("%s", error.text);
	model_set(model, "tlb.per_core", "0");
	snprintf(text, sizeof(text), "%s", keys);
	while ((pair = strsep(&at, " ")) != NULL && *pair) {
		char *value = strchr(pair, '=');

		*value = '\0';
		model_set(model, pair, value + 1);
	}
#if defined(MMSIM_ENGINE_VIRTUAL)
	cfg.model = model;
#endif
	w.m = machine_create(&cfg);
	assert_non_null(w.m);
	assert_int_equal(mm_machine_init(w.m, a, NULL), 0);
	tlb_check_invariants(w.m);
	machine_enter(w.m);
	w.mem = memory_of(w.m);
	w.mm = mm_create(w.m, a, &mm_locking_mmap_lock);
	assert_non_null(w.mm);
	return w;
}

static bool modelled(const struct world *w)
{
	return machine_config(w->m)->model != NULL;
}

static u64 map_region(struct world *w, struct mm *mm, u64 pages)
{
	s64 at = mm_mmap(mm, 0, pages * w->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 NULL, 0);

	assert_true(at > 0);
	return (u64)at;
}

/* ---- one CPU ---------------------------------------------------------------------------------- */

/* 64 pages are the L1's, 600 the L2's; one line of table entries serves walks from the walk cache. */
static void two_levels(void **state)
{
	struct machine_model model;
	struct world w = model_world(&arch_x86_64, &model, "tlb.l1_entries=64 tlb.l2_entries=1536", 1);
	u64 at = map_region(&w, w.mm, 600), l2, misses, below;

	mmu_switch(w.mm);
	below = counter(&w, COUNTER_WALK_CACHE_HIT);
	for (u64 i = 0; i < 600; i++)
		assert_int_equal(user_write(at + i * w.page, i), FAULT_OK);
	misses = counter(&w, COUNTER_TLB_MISS);
	l2 = counter(&w, COUNTER_TLB_L2_HIT);
	if (modelled(&w))
		assert_true(counter(&w, COUNTER_WALK_CACHE_HIT) - below > 1100); /* two walks a page */
	for (u64 i = 0; i < 600; i++)
		assert_int_equal(user_read(at + i * w.page, NULL), FAULT_OK);
	if (modelled(&w)) {
		assert_int_equal(counter(&w, COUNTER_TLB_MISS), misses);
		assert_int_equal(counter(&w, COUNTER_TLB_L2_HIT) - l2, 600);
		for (u32 i = 0; i < 10; i++)
			assert_int_equal(user_read(at + 599 * w.page, NULL), FAULT_OK);
		assert_int_equal(counter(&w, COUNTER_TLB_L2_HIT) - l2, 600);
	}
	mmu_switch(NULL);
	world_destroy(&w);
}

/* Other address spaces' entries stay, as many as there are PCIDs; one more, and they do not. */
static void tags(void **state)
{
	struct machine_model model;
	struct world w = model_world(&arch_x86_64, &model, "tlb.pcids=3", 1);
	struct mm *mms[4];
	u64 at[4], misses;

	for (u32 i = 0; i < 4; i++) {
		mms[i] = mm_create(w.m, w.a, &mm_locking_mmap_lock);
		at[i] = map_region(&w, mms[i], 1);
		mmu_switch(mms[i]);
		assert_int_equal(user_write(at[i], i), FAULT_OK);
	}
	for (u32 count = 3; count <= 4; count++) {
		for (u32 round = 0; round < 4; round++) {
			misses = counter(&w, COUNTER_TLB_MISS);
			for (u32 i = 0; i < count; i++) {
				u64 value = ~0ull;

				mmu_switch(mms[i]);
				assert_int_equal(user_read(at[i], &value), FAULT_OK);
				assert_int_equal(value, i);
			}
		}
		if (modelled(&w))
			assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, count == 3 ? 0 : 4);
	}
	mmu_switch(NULL);
	for (u32 i = 0; i < 4; i++)
		mm_put(mms[i]);
	world_destroy(&w);
}

/* More pages with the same low bits than a bucket's count can say (mm/tlb_model.c): each flush finds its page. */
static void pages_of_one_bucket(void **state)
{
	struct machine_model model;
	struct world w = model_world(&arch_x86_64, &model, "tlb.l1_entries=512 tlb.l1_ways=512 tlb.l2_entries=0", 1);
	u64 stride = 8192 * w.page, at = map_region(&w, w.mm, 300 * 8192), misses, value;

	mmu_switch(w.mm);
	for (u32 round = 0; round < 2; round++) {
		for (u64 i = 0; i < 300; i++)
			assert_int_equal(user_write(at + i * stride, i + 1), FAULT_OK);
		misses = counter(&w, COUNTER_TLB_MISS);
		for (u64 i = 0; i < 300; i++)
			assert_int_equal(user_read(at + i * stride, NULL), FAULT_OK);
		if (modelled(&w)) /* they are all there */
			assert_int_equal(counter(&w, COUNTER_TLB_MISS), misses);
		for (u64 i = 0; i < 300; i++)
			assert_int_equal(mm_madvise(w.mm, at + i * stride, w.page, MADV_DONTNEED), 0);
	}
	for (u64 i = 0; i < 300; i++) {
		assert_int_equal(user_read(at + i * stride, &value), FAULT_OK);
		assert_int_equal(value, 0);
	}
	mmu_switch(NULL);
	world_destroy(&w);
}

/* More address spaces than ASIDs: numbers come round, and nobody sees another's pages. */
static void asids_roll_over(void **state)
{
	struct machine_model model;
	struct world w = model_world(&arch_arm64_4k, &model, "tlb.asid_bits=4", 1);
	struct mm *mms[40];
	u64 at[40], value;

	for (u32 i = 0; i < 40; i++) {
		mms[i] = mm_create(w.m, w.a, &mm_locking_mmap_lock);
		at[i] = map_region(&w, mms[i], 1);
	}
	for (u32 round = 0; round < 5; round++)
		for (u32 i = 0; i < 40; i++) {
			mmu_switch(mms[i]);
			if (round) {
				assert_int_equal(user_read(at[i], &value), FAULT_OK);
				assert_int_equal(value, round * 100 + i);
			}
			assert_int_equal(user_write(at[i], (round + 1) * 100 + i), FAULT_OK);
		}
	if (modelled(&w)) {
		assert_true(counter(&w, COUNTER_TLB_ASID_ROLLOVER) >= 10);
		assert_true(counter(&w, COUNTER_TLB_SWITCH_FLUSH) >= 10);
	}
	mmu_switch(NULL);
	for (u32 i = 0; i < 40; i++)
		mm_put(mms[i]);
	world_destroy(&w);
}

/* ---- page sizes -------------------------------------------------------------------------------- */

#define LEAF_FRAMES 4096u

struct leaf {
	struct world *w;
	u32 level;
	bool group;
	u64 va, bytes; /* of the leaf, or of the group */
	struct page *held[LEAF_FRAMES];
	u32 held_count;
};

/* A leaf of any level over the first frames of memory, or a group of such leaves: mm/ makes neither 1 GiB leaves
 * nor groups. Then take all frames, so that each one that is reached is in use; what lies beyond is not. */
static void leaf_install(struct leaf *l)
{
	struct mm *mm = l->w->mm;
	const struct arch_desc *a = mm->arch;
	u64 one = level_bytes(a, l->level), pages = one / l->w->page;
	u32 count = l->group ? 1u << a->group_bits[l->level] : 1;

	l->bytes = one * count;
	l->va = max(l->bytes, 1ull << 42);
	for (u32 i = 0; i < count; i++) {
		spinlock_t *ptl;
		pte_t *p = pgtable_entry(mm, l->va + i * one, l->level, true, &ptl);
		pte_t e = l->level ? huge_make(a, i * pages, FULL_ATTRS) : pte_make(a, i * pages, FULL_ATTRS);

		assert_non_null(p);
		pte_set(mm, p, l->va + i * one, l->group ? e | a->group_mask : e);
	}
	for (l->held_count = 0; l->held_count < LEAF_FRAMES; l->held_count++) {
		l->held[l->held_count] = page_alloc(l->w->mem, 0);
		if (!l->held[l->held_count])
			break;
	}
	for (u64 pfn = 0; pfn < LEAF_FRAMES; pfn++)
		if (!page_has(pfn_to_page(l->w->mem, pfn), PAGE_TABLE))
			*page_content(l->w->mem, pfn) = pfn + 1;
}

static void leaf_remove(struct leaf *l)
{
	const struct arch_desc *a = l->w->a;

	for (u64 va = l->va; va < l->va + l->bytes; va += level_bytes(a, l->level)) {
		spinlock_t *ptl;
		pte_t *p = pgtable_entry(l->w->mm, va, l->level, false, &ptl);

		assert_non_null(p);
		(void)pte_get_and_clear(l->w->mm, p, va);
	}
}

static u64 misses_of_read(struct leaf *l, u64 page)
{
	u64 before = counter(l->w, COUNTER_TLB_MISS), value;

	assert_int_equal(user_read(l->va + page * l->w->page, &value), FAULT_OK);
	if (!page_has(pfn_to_page(l->w->mem, page), PAGE_TABLE))
		assert_int_equal(value, page + 1);
	return counter(l->w, COUNTER_TLB_MISS) - before;
}

/* Live translations of l's size in an array, and none of any other size. */
static u32 live_in(const struct leaf *l, const struct tlb_array *t)
{
	const struct tlb *tlb = cpu_tlb(this_cpu());
	u32 n = 0;

	for (u32 i = 0; i < t->sets * t->associativity; i++)
		if (t->ways[i].tag == tlb->slot->tag) {
			assert_int_equal(t->ways[i].size, tlb_size(l->level, l->group));
			n++;
		}
	return n;
}

/* Goal: one translation serves all of a leaf or group, from the right L1, and goes with any page of it. */
static void one_size(struct leaf *l)
{
	const struct tlb_core *core = cpu_tlb(this_cpu())->core;
	u64 pages = l->bytes / l->w->page, l2 = counter(l->w, COUNTER_TLB_L2_HIT);
	u64 reach = min(pages, (u64)LEAF_FRAMES); /* what there is memory for */

	assert_int_equal(misses_of_read(l, reach / 2), 1);
	for (u64 page = 0; page < reach; page += max(reach / 50, 1ull))
		assert_int_equal(misses_of_read(l, page), 0);
	assert_int_equal(counter(l->w, COUNTER_TLB_L2_HIT), l2);
	for (u32 i = 0; i < TLB_L1_ARRAYS; i++)
		assert_int_equal(live_in(l, &core->l1[i]), i == min(l->level, 2u));
	assert_int_equal(live_in(l, &core->l2), 1);
	/* A page beside it, on either side; then its last one. */
	tlb_flush_page(l->w->mm, l->va - l->w->page);
	tlb_flush_page(l->w->mm, l->va + l->bytes);
	assert_int_equal(misses_of_read(l, 0), 0);
	tlb_flush_page(l->w->mm, l->va + l->bytes - l->w->page);
	assert_int_equal(misses_of_read(l, 0), 1);
	/* As a range longer than the TLB is large. */
	tlb_flush_range(l->w->mm, l->va + l->bytes - l->w->page, l->va + l->bytes + 400 * l->w->page, 0, false);
	assert_int_equal(misses_of_read(l, 0), 1);
	leaf_remove(l);
	tlb_flush_page(l->w->mm, l->va + pages / 3 * l->w->page);
	assert_int_equal(user_read(l->va, NULL), FAULT_SIGSEGV_MAPERR);
}

static void every_size(void **state)
{
	static struct leaf l;
	u32 n = 0;

	for (u32 i = 0; arch_all[i]; i++)
		for (u32 level = 0; level < arch_all[i]->levels; level++)
			for (u32 group = 0; group < 2; group++) {
				const struct arch_desc *a = arch_all[i];
				struct machine_model model;
				struct world w;

				if (a->hashed || (level && !(a->huge_levels >> level & 1)) ||
				    (group && !a->group_bits[level]))
					continue;
				w = model_world(a, &model, "tlb.l1_entries=16 tlb.l1_ways=16 tlb.l2_entries=64 tlb.l2_ways=64", 1);
				l = (struct leaf){.w = &w, .level = level, .group = group};
				mmu_switch(w.mm);
				leaf_install(&l);
				if (modelled(&w))
					one_size(&l);
				else
					leaf_remove(&l);
				tlb_flush_mm(w.mm);
				while (l.held_count--)
					page_put(w.mem, l.held[l.held_count]);
				mmu_switch(NULL);
				world_destroy(&w);
				n++;
			}
	printf("%u sizes\n", n);
	assert_in_range(n, 35, 60);
}

/* ---- a leaf that mm/ makes: changed in part, and made whole again ---------------------------------- */

/* Live translations of [start, end) by size: base pages, leaves of level 1. */
static void live_sizes(const struct world *w, u64 start, u64 end, u32 *small, u32 *large)
{
	const struct tlb *tlb = cpu_tlb(this_cpu());

	*small = *large = 0;
	for (u32 i = 0; i < tlb->core->way_count; i++) {
		const struct tlb_way *way = &tlb->core->ways[i];
		u64 va = way->page << tlb_size_shift(w->a, way->size);

		if (way->tag != tlb->slot->tag || va < start || va >= end)
			continue;
		if (way->size)
			++*large;
		else
			++*small;
	}
}

static void split_and_collapse(void **state)
{
	static const struct arch_desc *const archs[] = {&arch_x86_64, &arch_arm64_4k, &arch_ppc64_radix};

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct machine_model model;
		struct world w = model_world(archs[i], &model, "", 1);
		u64 huge = level_bytes(w.a, 1), at = ALIGN_UP(map_region(&w, w.mm, 3 * huge / w.page), huge);
		u32 small = 0, large = 0;
		u64 value;

		assert_int_equal(mm_madvise(w.mm, at, huge, MADV_HUGEPAGE), 0);
		mmu_switch(w.mm);
		for (u32 page = 0; page < 8; page++)
			assert_int_equal(user_write(at + page * w.page, page + 1), FAULT_OK);
		if (modelled(&w)) {
			live_sizes(&w, at, at + huge, &small, &large);
			assert_int_equal(small, 0);
			assert_int_equal(large, 2); /* L1 and L2 */
		}
		assert_int_equal(mm_mprotect(w.mm, at + w.page, w.page, PROT_READ), 0);
		if (modelled(&w)) {
			live_sizes(&w, at, at + huge, &small, &large);
			assert_int_equal(large, 0);
		}
		assert_int_equal(user_write(at + w.page, 9), FAULT_SIGSEGV_ACCERR);
		for (u32 page = 0; page < 8; page++) {
			assert_int_equal(user_read(at + page * w.page, &value), FAULT_OK);
			assert_int_equal(value, page + 1);
		}
		assert_int_equal(mm_mprotect(w.mm, at + w.page, w.page, PROT_READ | PROT_WRITE), 0);
		assert_int_equal(mm_madvise(w.mm, at, huge, MADV_COLLAPSE), 0);
		if (modelled(&w)) {
			live_sizes(&w, at, at + huge, &small, &large);
			assert_int_equal(small, 0);
		}
		for (u32 page = 0; page < 8; page++) {
			assert_int_equal(user_read(at + page * w.page, &value), FAULT_OK);
			assert_int_equal(value, page + 1);
			assert_int_equal(user_write(at + page * w.page, 7), FAULT_OK);
		}
		if (modelled(&w)) {
			live_sizes(&w, at, at + huge, &small, &large);
			assert_int_equal(small, 0);
			assert_int_equal(large, 2);
		}
		assert_int_equal(machine_counter(w.m, COUNTER_THP_SPLIT), 1);
		assert_int_equal(machine_counter(w.m, COUNTER_THP_COLLAPSE), 1);
		mmu_switch(NULL); /* lazily loaded still: the end of the mm unloads it */
		world_destroy(&w);
	}
}

/* ---- several CPUs ------------------------------------------------------------------------------ */

struct shared {
	struct world *w;
	u64 at, pages, seed;
	bool tables; /* unmap the page and the tables that lead there, not the page alone */
	u32 stage; /* (atomic) */
};

static void wait_for(struct shared *s, u32 stage)
{
	while (READ_ONCE(s->stage) < stage)
		engine_delay_ns(1000);
}

/* CPU 1 has the page in its TLB and goes to a kernel task; CPU 0 unmaps it; CPU 1 comes back. */
static void lazy_task(void *arg, u32 index)
{
	struct shared *s = arg;
	u64 value = 0;

	if (index > 1)
		return;
	mmu_switch(s->w->mm);
	if (index == 1) {
		if (user_write(s->at, 7) != FAULT_OK)
			MMSIM_BUG("write failed");
		mmu_switch(NULL);
		WRITE_ONCE(s->stage, 1u);
		wait_for(s, 2);
		mmu_switch(s->w->mm);
		if (user_read(s->at, &value) != (s->tables ? FAULT_SIGSEGV_MAPERR : FAULT_OK) || value)
			MMSIM_BUG("found %llu", (unsigned long long)value);
	} else {
		wait_for(s, 1);
		if (s->tables ? mm_munmap(s->w->mm, s->at, s->w->page)
			      : mm_madvise(s->w->mm, s->at, s->w->page, MADV_DONTNEED))
			MMSIM_BUG("the page stays");
		WRITE_ONCE(s->stage, 2u);
	}
	mmu_switch(NULL);
}

/* Not where tables are freed: a walk might go on through them. */
static void lazy_cpus_are_skipped(void **state)
{
	for (u32 tables = 0; tables < 2; tables++) {
		struct machine_model model;
		struct world w = model_world(&arch_x86_64, &model, "", 1);
		struct shared s = {.w = &w, .at = map_region(&w, w.mm, 1), .tables = tables};
		u64 skipped = counter(&w, COUNTER_TLB_LAZY_SKIP), sent = counter(&w, COUNTER_IPI_SENT);
		u64 freed = counter(&w, COUNTER_PT_FREE);

		machine_leave();
		assert_int_equal(engine_run(w.m, CPUS, lazy_task, &s, NULL), 0);
		machine_enter(w.m);
		assert_int_equal(counter(&w, COUNTER_PT_FREE) > freed, tables);
		if (modelled(&w)) {
			assert_int_equal(counter(&w, COUNTER_TLB_LAZY_SKIP) - skipped, !tables);
			assert_int_equal(counter(&w, COUNTER_IPI_SENT) - sent, tables);
			assert_true(tables || counter(&w, COUNTER_TLB_SWITCH_FLUSH) >= 1);
		}
		world_destroy(&w);
	}
}

/*
 * Goal:   whatever the TLB is, programs see the same.
 * Method: each task works at random in a region of its own, mapped, unmapped, protected and thrown
 *         away at random, and knows what it must read; the tasks share the address space, so flushes
 *         reach all of them. TLBs of one entry and of thousands, alone and shared by SMT siblings.
 */
static void random_task(void *arg, u32 index)
{
	struct shared *s = arg;
	struct mm *mm = s->w->mm;
	u64 rng = s->seed + index * 77, page = s->w->page, own = s->at + index * s->pages * page;
	u64 token[64] = {0};
	bool writable[64];

	for (u32 i = 0; i < s->pages; i++)
		writable[i] = true;
	mmu_switch(mm);
	for (u32 step = 0; step < 600; step++) {
		u32 i = test_random(&rng) % s->pages, what = test_random(&rng) % 16;
		u64 va = own + i * page, value = 0;

		if (what < 6) {
			if (user_read(va, &value) != FAULT_OK || value != token[i])
				MMSIM_BUG("step %u: %#llx has %#llx, not %#llx", step,
					  (unsigned long long)va, (unsigned long long)value,
					  (unsigned long long)token[i]);
		} else if (what < 12) {
			value = (u64)index << 32 | step;
			if ((user_write(va, value) == FAULT_OK) != writable[i])
				MMSIM_BUG("step %u: a write where %d is right", step, writable[i]);
			token[i] = writable[i] ? value : token[i];
		} else if (what < 14) {
			writable[i] = test_random(&rng) % 2;
			if (mm_mprotect(mm, va, page, PROT_READ | (writable[i] ? PROT_WRITE : 0)))
				MMSIM_BUG("mprotect failed");
		} else if (what == 14) {
			if (mm_madvise(mm, own, s->pages * page, MADV_DONTNEED))
				MMSIM_BUG("madvise failed");
			memset(token, 0, sizeof(token));
		} else {
			mmu_switch(NULL);
			engine_delay_ns(test_random(&rng) % 3000);
			mmu_switch(mm);
		}
	}
	mmu_switch(NULL);
}

static void same_results(void **state)
{
	static const char *const shapes[] = {
		"tlb.l1_entries=1 tlb.l1_ways=1 tlb.l2_entries=0 tlb.walk_entries_1=0 tlb.walk_entries_2=0 tlb.walk_entries_3=0",
		"tlb.l1_entries=16 tlb.l1_ways=2 tlb.l2_entries=24 tlb.l2_ways=3 tlb.pcids=1",
		"topology.cores=1 topology.smt=4 tlb.per_core=1 tlb.l1_entries=64 tlb.asid_bits=4",
		"tlb.l1_entries=0",
	};

	for (u32 a = 0; arch_all[a]; a++)
		for (u32 shape = 0; shape < ARRAY_SIZE(shapes); shape++) {
			struct machine_model model;
			u64 seed = test_seed("same_results");
			struct world w = model_world(arch_all[a], &model, shapes[shape], seed);
			struct shared s = {.w = &w, .pages = 12, .seed = seed};

			s.at = map_region(&w, w.mm, s.pages * CPUS);
			machine_leave();
			assert_int_equal(engine_run(w.m, CPUS, random_task, &s, NULL), 0);
			machine_enter(w.m);
			mm_check(w.mm);
			world_destroy(&w);
		}
}

/*
 * Goal:   numbers of address spaces (ASID, PCID, PID) that come round, change hands and outlive their
 *         owner let nobody meet another's page, nor a page of its own that is gone.
 * Method: more address spaces than numbers, all with the same addresses. A task takes one that nobody
 *         uses, works in it at random, and leaves it lazily loaded; the next one may take it on another
 *         CPU, throw its pages away, or end it and put a new one in its place. What each page must hold
 *         is written beside it.
 */
#define SPACES 160u /* and more than a TLB has slots */
#define SPACE_PAGES 6u
#ifdef MMSIM_SANITIZED
#define TURNS 60u
#else
#define TURNS 250u
#endif

struct space {
	struct mm *mm;
	u64 token[SPACE_PAGES];
	u32 taken; /* (atomic) */
};

struct spaces {
	struct world *w;
	u64 seed;
	struct space space[SPACES];
};

static void space_new(struct spaces *s, struct space *sp)
{
	sp->mm = mm_create(s->w->m, s->w->a, &mm_locking_mmap_lock);
	memset(sp->token, 0, sizeof(sp->token));
	if (!sp->mm || mm_mmap(sp->mm, BASE, SPACE_PAGES * s->w->page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) != (s64)BASE)
		MMSIM_BUG("no address space");
}

static void space_use(struct spaces *s, struct space *sp, u32 turn, u64 *rng)
{
	u32 i = test_random(rng) % SPACE_PAGES, what = test_random(rng) % 8;
	u64 va = BASE + i * s->w->page, value = 0;

	if (what < 4) {
		if (user_read(va, &value) != FAULT_OK || value != sp->token[i])
			MMSIM_BUG("turn %u, space %u, page %u: found %#llx, not %#llx", turn,
				  (u32)(sp - s->space), i, (unsigned long long)value,
				  (unsigned long long)sp->token[i]);
	} else if (what < 7) {
		sp->token[i] = test_random(rng);
		if (user_write(va, sp->token[i]) != FAULT_OK)
			MMSIM_BUG("write failed");
	} else {
		if (mm_madvise(sp->mm, va, s->w->page, MADV_DONTNEED))
			MMSIM_BUG("madvise failed");
		sp->token[i] = 0;
	}
}

static void spaces_task(void *arg, u32 index)
{
	struct spaces *s = arg;
	u64 rng = s->seed + index * 77;

	for (u32 turn = 0; turn < TURNS; turn++) {
		struct space *sp = &s->space[test_random(&rng) % SPACES];
		u32 steps = test_random(&rng) % 12;

		if (xchg(&sp->taken, 1u))
			continue;
		if (test_random(&rng) % 8 == 0) {
			mm_put(sp->mm);
			space_new(s, sp);
		}
		mmu_switch(sp->mm);
		while (steps--)
			space_use(s, sp, turn, &rng);
		if (test_random(&rng) % 2)
			engine_delay_ns(test_random(&rng) % 3000); /* idle, and flushed as such */
		mmu_switch(NULL);
		smp_store_release(&sp->taken, 0u);
	}
}

static void numbers_come_round(void **state)
{
	static const char *const shapes[] = {
		"tlb.asid_bits=4 tlb.pcids=2 tlb.l2_entries=1024 tlb.l2_ways=1024", /* forgets nothing */
		"tlb.asid_bits=4 tlb.pcids=1 tlb.l1_entries=4 tlb.l1_ways=4 tlb.l2_entries=8 tlb.l2_ways=8",
		"topology.cores=1 topology.smt=4 tlb.per_core=1 tlb.asid_bits=4 tlb.pcids=2",
		"topology.cores=2 topology.smt=2 tlb.per_core=1 tlb.asid_bits=4 tlb.pcids=3",
	};

	for (u32 a = 0; arch_all[a]; a++)
		for (u32 shape = 0; shape < ARRAY_SIZE(shapes); shape++) {
			struct machine_model model;
			u64 seed = test_seed("numbers_come_round");
			struct world w = model_world(arch_all[a], &model, shapes[shape], seed);
			struct spaces s = {.w = &w, .seed = seed};

			for (u32 i = 0; i < SPACES; i++)
				space_new(&s, &s.space[i]);
			machine_leave();
			assert_int_equal(engine_run(w.m, CPUS, spaces_task, &s, NULL), 0);
			machine_enter(w.m);
			if (modelled(&w) && w.a->tlb_invalidation == TLBI_BROADCAST)
				assert_true(counter(&w, COUNTER_TLB_ASID_ROLLOVER) >= 3);
			for (u32 i = 0; i < SPACES; i++)
				mm_put(s.space[i].mm);
			world_destroy(&w);
		}
}

/* How many flushes of everything, and leaves named by the others, since the last call. */
static void flushes_since(const struct world *w, u64 *full, u64 *leaves)
{
	static u64 last_full, last_leaves;

	*full = counter(w, COUNTER_TLB_FLUSH_FULL) - last_full;
	*leaves = counter(w, COUNTER_TLB_FLUSH_PAGES) - last_leaves;
	last_full += *full;
	last_leaves += *leaves;
}

static void expect_flushes(const struct world *w, u64 full, u64 leaves)
{
	u64 was_full, was_leaves;

	flushes_since(w, &was_full, &was_leaves);
	assert_int_equal(was_full, full);
	assert_int_equal(was_leaves, leaves);
}

/* Thresholds count leaves, of whatever size they are; with range operations, pages, and many more. */
static void thresholds(void **state)
{
	struct machine_model model;
	u64 full, leaves;

	for (u32 i = 0; arch_all[i]; i++)
		for (u32 ranges = 0; ranges < 2; ranges++) {
			const struct arch_desc *a = arch_all[i];
			struct world w = model_world(a, &model,
						     ranges ? "tlb.range_operations=1" : "tlb.range_operations=0", 1);
			bool by_range = ranges && modelled(&w);
			u64 most = a->tlb_invalidation == TLBI_BROADCAST ? 1ull << a->idx_bits[0] : 34;

			mmu_switch(w.mm);
			for (u32 level = 0; level < 2; level++) {
				u64 bytes = level_bytes(a, level);

				if (level && !(a->huge_levels & 2))
					continue;
				for (u64 n = most - 2; n <= most; n++) {
					bool all = n == most && !by_range;
					bool too_many = by_range && n * bytes / w.page > 1u << 21;

					flushes_since(&w, &full, &leaves);
					tlb_flush_range(w.mm, 0, n * bytes, level, false);
					expect_flushes(&w, all || too_many, all || too_many ? 0 : n);
				}
				/* Rounded out. */
				tlb_flush_range(w.mm, bytes - w.page, bytes + w.page, level, false);
				expect_flushes(&w, 0, 2);
			}
			mmu_switch(NULL);
			world_destroy(&w);
		}
}

/* Arm ARM, TLBI RVAE1IS: one names (NUM + 1) << (5 * SCALE + 1) pages, NUM < 32, SCALE < 4; so the largest
 * first, and an odd page by itself. */
static u64 range_operations(u64 pages)
{
	u64 count = pages & 1;

	for (s32 scale = 3; scale >= 0; scale--) {
		u64 unit = 2ull << 5 * scale, units = min(pages / unit, 32ull);

		count += units > 0;
		pages -= units * unit;
	}
	return count;
}

static u64 flush_ps(struct world *w, u64 pages)
{
	u64 start = engine_now_ps();

	tlb_flush_range(w->mm, 0, pages * w->page, 0, false);
	return engine_now_ps() - start;
}

static void flush_ranges(void *arg, u32 index)
{
	static const u64 pages[] = {1, 2, 3, 32, 63, 64, 65, 66, 1000, 2047, 2048, 2050, 65535, 65536, 2097151, 2097152};
	struct world *w = arg;
	u64 each = machine_config(w->m)->model ? machine_config(w->m)->model->cost_tlbi_broadcast : 0, one;

	if (index)
		return;
	mmu_switch(w->mm);
	one = flush_ps(w, 1);
	for (u32 i = 0; modelled(w) && i < ARRAY_SIZE(pages); i++) {
		u64 ps = flush_ps(w, pages[i]);

		if (ps != one + (range_operations(pages[i]) - 1) * each)
			MMSIM_BUG("%llu pages: %llu ps; 1 page: %llu, each operation %llu",
				  (unsigned long long)pages[i], (unsigned long long)ps, (unsigned long long)one,
				  (unsigned long long)each);
	}
	mmu_switch(NULL);
}

/* A broadcast costs by its operations, not by its pages. */
static void ranges_are_few_operations(void **state)
{
	struct machine_model model;
	struct world w = model_world(&arch_arm64_4k, &model, "tlb.range_operations=1", 1);

	machine_leave();
	assert_int_equal(engine_run(w.m, 1, flush_ranges, &w, NULL), 0);
	machine_enter(w.m);
	world_destroy(&w);
}

/* What mm/ flushes of huge leaves: dropped, protected, split, collapsed, moved. */
static void leaves_are_flushed_as_such(void **state)
{
	static const struct arch_desc *const archs[] = {&arch_x86_64, &arch_arm64_4k, &arch_ppc64_radix};

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct machine_model model;
		struct world w = model_world(archs[i], &model, "tlb.range_operations=0", 1);
		bool as_pages = w.a == &arch_x86_64;
		u64 huge = level_bytes(w.a, 1), at = ALIGN_UP(map_region(&w, w.mm, 9 * huge / w.page), huge);
		u64 full, leaves, pages = huge / w.page;

		assert_int_equal(mm_madvise(w.mm, at, 8 * huge, MADV_HUGEPAGE), 0);
		mmu_switch(w.mm);
		for (u32 n = 0; n < 3; n++)
			assert_int_equal(user_write(at + n * huge, n), FAULT_OK);
		flushes_since(&w, &full, &leaves);
		assert_int_equal(mm_mprotect(w.mm, at, 3 * huge, PROT_READ), 0);
		expect_flushes(&w, 0, 3);
		assert_int_equal(mm_mprotect(w.mm, at, 3 * huge, PROT_READ | PROT_WRITE), 0);
		expect_flushes(&w, 0, 3);
		assert_int_equal(mm_madvise(w.mm, at, 2 * huge, MADV_DONTNEED), 0);
		expect_flushes(&w, 0, 2);
		/* A split, and then the page. */
		assert_int_equal(mm_madvise(w.mm, at + 2 * huge, w.page, MADV_DONTNEED), 0);
		expect_flushes(&w, as_pages, as_pages ? 1 : 2);
		/* Small pages and a leaf: by pages, over all of it. */
		assert_int_equal(user_write(at + huge, 1), FAULT_OK);
		assert_int_equal(mm_madvise(w.mm, at + huge, 2 * huge, MADV_DONTNEED), 0);
		if (2 * pages > w.a->tlb_full_flush_leaves)
			expect_flushes(&w, 1, 0);
		else
			expect_flushes(&w, 0, 2 * pages);
		/* The table that the split left, and a leaf in front of it. */
		assert_int_equal(user_write(at + huge, 1), FAULT_OK);
		assert_int_equal(mm_munmap(w.mm, at, 8 * huge), 0);
		flushes_since(&w, &full, &leaves);
		assert_int_equal(full, 0);
		assert_in_range(leaves, 1, 8);
		mmu_switch(NULL);
		world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_levels),
		cmocka_unit_test(tags),
		cmocka_unit_test(pages_of_one_bucket),
		cmocka_unit_test(asids_roll_over),
		cmocka_unit_test(every_size),
		cmocka_unit_test(split_and_collapse),
		cmocka_unit_test(lazy_cpus_are_skipped),
		cmocka_unit_test(thresholds),
		cmocka_unit_test(ranges_are_few_operations),
		cmocka_unit_test(leaves_are_flushed_as_such),
		cmocka_unit_test(same_results),
		cmocka_unit_test(numbers_come_round),
	};

	return cmocka_run_group_tests_name("tlb_model", tests, NULL, NULL);
}
