/*
 * tests/unit/mm/test_tlb.c - accesses through the TLB, and shootdown
 */
#include "tests/unit/mm/mmu_world.h"

#define BASE 0x7e0000000000ull

static u64 counter(const struct world *w, enum counter c)
{
	return machine_counter(w->m, c);
}

/* ---- one CPU ------------------------------------------------------------------------------- */

static void hits_and_misses(void **state)
{
	struct world w = world_create(&arch_x86_64, 8192, 1);
	u64 misses, hits, value = 0;

	for (u64 i = 0; i < 2048; i++)
		world_map(&w, BASE + i * 4096, FULL_ATTRS);
	mmu_switch(w.mm);
	misses = counter(&w, COUNTER_TLB_MISS);
	hits = counter(&w, COUNTER_TLB_HIT);
	for (u64 round = 0; round < 3; round++)
		for (u64 i = 0; i < 1024; i++) {
			assert_int_equal(user_read(BASE + i * 4096, &value), FAULT_OK);
			assert_int_equal(value, BASE + i * 4096);
		}
	assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, 1024);
	assert_int_equal(counter(&w, COUNTER_TLB_HIT) - hits, 2 * 1024);
	/* Words of a page are distinct; a write is read back by another access. */
	for (u64 word = 0; word < 8; word++)
		assert_int_equal(user_write(BASE + 8 * word, 1000 + word), FAULT_OK);
	for (u64 word = 0; word < 8; word++) {
		assert_int_equal(user_read(BASE + 8 * word, &value), FAULT_OK);
		assert_int_equal(value, 1000 + word);
	}
	/* The simple TLB: page 1024 evicts page 0. Modelled ones: test_tlb_model.c. */
	misses = counter(&w, COUNTER_TLB_MISS);
	assert_int_equal(user_read(BASE + 1024 * 4096, NULL), FAULT_OK);
	assert_int_equal(user_read(BASE, NULL), FAULT_OK);
	assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, machine_config(w.m)->model ? 1 : 2);
	mmu_switch(NULL);
	world_unmap(w.mm, BASE, BASE + 2048 * 4096, 0, 0);
	world_destroy(&w);
}

/* A read leaves Dirty alone and caches a translation that may not write: the first write walks. */
static void accessed_and_dirty(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	u64 misses;

	world_map(&w, BASE, PTE_USER | PTE_READ | PTE_WRITE);
	mmu_switch(w.mm);
	misses = counter(&w, COUNTER_TLB_MISS);
	assert_int_equal(user_read(BASE, NULL), FAULT_OK);
	assert_int_equal(pte_attrs(w.a, world_pte(w.mm, BASE)) & (PTE_ACCESSED | PTE_DIRTY),
			 PTE_ACCESSED);
	assert_int_equal(user_write(BASE, 1), FAULT_OK);
	assert_int_equal(pte_attrs(w.a, world_pte(w.mm, BASE)) & (PTE_ACCESSED | PTE_DIRTY),
			 PTE_ACCESSED | PTE_DIRTY);
	assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, 2);
	assert_int_equal(user_write(BASE, 2), FAULT_OK);
	assert_int_equal(user_read(BASE, NULL), FAULT_OK);
	assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, 2);
	assert_int_equal(counter(&w, COUNTER_FAULT_TOTAL), 0);
	mmu_switch(NULL);
	world_unmap(w.mm, BASE, BASE + 4096, 0, 0);
	world_destroy(&w);
}

/* Entries are the loaded mm's only, however often page tables change (generations wrap at 2^19). */
static void switching(void **state)
{
	struct world w = world_create(&arch_x86_64, 4096, 1);
	struct mm *first = w.mm, *second = mm_create(w.m, w.a, &mm_locking_mmap_lock);
	u64 value;

	assert_non_null(second);
	world_map(&w, BASE, FULL_ATTRS);
	w.mm = second;
	*page_content(w.mem, page_to_pfn(w.mem, world_map(&w, BASE, FULL_ATTRS))) = 42;
	w.mm = first;
	for (u32 i = 0; i < 600000; i++) {
		bool even = i % 2 == 0;

		mmu_switch(even ? first : second);
		if (i % 1000 < 4) {
			assert_int_equal(user_read(BASE, &value), FAULT_OK);
			assert_int_equal(value, even ? BASE : 42);
		}
	}
	mmu_switch(NULL);
	world_unmap(first, BASE, BASE + 4096, 0, 0);
	world_unmap(second, BASE, BASE + 4096, 0, 0);
	mm_put(second);
	world_destroy(&w);
}

/* On return from a flush the old translation is not used; before it, it may be. */
static void flushes(void **state)
{
	struct world w = world_create(&arch_x86_64, 8192, 1);
	const u64 pages = 100;
	u64 misses;

	for (u64 i = 0; i < pages; i++)
		world_map(&w, BASE + i * 4096, FULL_ATTRS);
	mmu_switch(w.mm);
	for (u32 how = 0; how < 4; how++) {
		const u64 dropped[] = {1, 33, 100, 100};
		u64 full = counter(&w, COUNTER_TLB_FLUSH_FULL);

		for (u64 i = 0; i < pages; i++)
			assert_int_equal(user_read(BASE + i * 4096, NULL), FAULT_OK);
		misses = counter(&w, COUNTER_TLB_MISS);
		if (how == 0)
			tlb_flush_page(w.mm, BASE + 50 * 4096 + 123);
		else if (how == 1)
			tlb_flush_range(w.mm, BASE, BASE + 33 * 4096, 0, false);
		else if (how == 2)
			tlb_flush_range(w.mm, BASE, BASE + 34 * 4096, 0, false); /* one too many */
		else
			tlb_flush_mm(w.mm);
		for (u64 i = 0; i < pages; i++)
			assert_int_equal(user_read(BASE + i * 4096, NULL), FAULT_OK);
		assert_int_equal(counter(&w, COUNTER_TLB_MISS) - misses, dropped[how]);
		assert_int_equal(counter(&w, COUNTER_TLB_FLUSH_FULL) - full, how >= 2);
	}
	assert_int_equal(counter(&w, COUNTER_TLB_SHOOTDOWN), 0);
	mmu_switch(NULL);
	world_unmap(w.mm, BASE, BASE + pages * 4096, 0, 0);
	world_destroy(&w);
}

/* ---- with the fault handler ------------------------------------------------------------------ */

static u64 map_region(struct world *w, u64 len)
{
	s64 at = mm_mmap(w->mm, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
			 0);

	assert_true(at > 0);
	return (u64)at;
}

static void faults_through_the_syndrome(void **state)
{
	struct world w = world_create(&arch_x86_64, 8192, 1);
	u64 at = map_region(&w, 16 * 4096), value = 1;

	mmu_switch(w.mm);
	assert_int_equal(user_read(at, &value), FAULT_OK);
	assert_int_equal(value, 0);
	assert_int_equal(user_write(at + 8, 7), FAULT_OK); /* zero page, then a page of its own */
	assert_int_equal(user_read(at + 8, &value), FAULT_OK);
	assert_int_equal(value, 7);
	assert_int_equal(counter(&w, COUNTER_FAULT_TOTAL), 2);
	assert_int_equal(user_access(at, ACCESS_EXEC, NULL), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(user_read(at - 4096, NULL), FAULT_SIGSEGV_MAPERR);
	assert_int_equal(user_read(w.a->task_size, NULL), FAULT_SIGSEGV_MAPERR);
	assert_int_equal(user_read(0xffff800000000000ull, NULL), FAULT_SIGSEGV_MAPERR);
	assert_int_equal(user_write(~7ull, 1), FAULT_SIGSEGV_MAPERR);
	/* Taken away and given back: the TLB never remembers more than the entry allows. */
	assert_int_equal(mm_mprotect(w.mm, at, 4096, PROT_READ), 0);
	assert_int_equal(user_write(at, 1), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(user_read(at + 8, &value), FAULT_OK);
	assert_int_equal(mm_mprotect(w.mm, at, 4096, PROT_NONE), 0);
	assert_int_equal(user_read(at, &value), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_mprotect(w.mm, at, 4096, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(user_write(at, 9), FAULT_OK);
	assert_int_equal(user_read(at + 8, &value), FAULT_OK);
	assert_int_equal(value, 7);
	assert_int_equal(mm_munmap(w.mm, at, 16 * 4096), 0);
	assert_int_equal(user_read(at, NULL), FAULT_SIGSEGV_MAPERR);
	mmu_switch(NULL);
	world_destroy(&w);
}

/* An upgrade that was not flushed, such as another CPU's write fault makes: the stale entry costs
 * one fault, which finds nothing to do. */
static void upgrade_is_spurious(void **state)
{
	struct world w = world_create(&arch_x86_64, 8192, 1);
	u64 at = map_region(&w, 4096), before;
	spinlock_t *ptl;
	pte_t *pte, e;

	mmu_switch(w.mm);
	assert_int_equal(user_write(at, 1), FAULT_OK);
	pte = pgtable_lookup(w.mm, at, &ptl);
	assert_non_null(pte);
	e = pte_get(pte);
	pte_set(w.mm, pte, at, pte_clear_attrs(w.a, e, PTE_WRITE));
	tlb_flush_page(w.mm, at);
	assert_int_equal(user_read(at, NULL), FAULT_OK); /* cached, read-only */
	pte_set(w.mm, pte, at, e);
	before = counter(&w, COUNTER_FAULT_SPURIOUS);
	assert_int_equal(user_write(at, 2), FAULT_OK);
	assert_int_equal(counter(&w, COUNTER_FAULT_SPURIOUS) - before, 1);
	assert_int_equal(user_write(at, 3), FAULT_OK);
	assert_int_equal(counter(&w, COUNTER_FAULT_SPURIOUS) - before, 1);
	mmu_switch(NULL);
	world_destroy(&w);
}

/* MADV_FREE makes a page clean; a write after it makes it dirty again, TLB or no TLB. */
static void dirty_again_after_madv_free(void **state)
{
	struct world w = world_create(&arch_x86_64, 8192, 1);
	u64 at = map_region(&w, 4096);

	mmu_switch(w.mm);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(user_write(at, i), FAULT_OK);
		assert_true(pte_has(w.a, world_pte(w.mm, at), PTE_DIRTY));
		assert_int_equal(mm_madvise(w.mm, at, 4096, MADV_FREE), 0);
		assert_false(pte_has(w.a, world_pte(w.mm, at), PTE_DIRTY));
		if (i == 1)
			assert_int_equal(user_read(at, NULL), FAULT_OK);
	}
	mmu_switch(NULL);
	world_destroy(&w);
}

/* ---- shootdown ------------------------------------------------------------------------------ */

/*
 * Goal:   a frame that was freed is never reached through a TLB.
 * Method: toucher tasks write tokens of their own into pages of their own and read them back, while
 *         other tasks throw the same pages away. A toucher may find its last token, or 0 in a new
 *         page; anything else was written through a translation that should have been gone, into
 *         a frame that now is somebody else's. Those who throw away fill pages of their own with
 *         the frames that have just come free, and check them too.
 *         (Debug and sanitizer builds also look at the frame on every access: mm/tlb.c.)
 */
#define TOUCHERS 3
#define ZAPPERS 2
#define PAGES_EACH 100u /* several LRU batches: a page that waits in one is not free yet */
#ifdef MMSIM_SANITIZED
#define ROUNDS 60
#else
#define ROUNDS 200
#endif
#define REGION_PAGES ((TOUCHERS + ZAPPERS) * PAGES_EACH)

struct shootdown {
	struct world *w;
	u64 at, seed, rounds;
	u32 done; /* (atomic) zappers that have finished */
	enum { BY_DONTNEED, BY_REMAP, BY_PROTECT } how;
};

static void toucher(struct shootdown *s, u32 index, u64 *rng)
{
	u64 token[PAGES_EACH] = {0}, own = s->at + (u64)index * PAGES_EACH * 4096;

	for (u64 i = 0; READ_ONCE(s->done) < ZAPPERS; i++) {
		u32 page = test_random(rng) % PAGES_EACH;
		u64 va = own + page * 4096ull, value = 0;
		enum fault_result r = user_read(va, &value);

		if (r == FAULT_OK && value != 0 && value != token[page])
			MMSIM_BUG("toucher %u, page %u, round %llu: found token %#llx, wrote %#llx",
				  index, page, (unsigned long long)i, (unsigned long long)value,
				  (unsigned long long)token[page]);
		value = (u64)(index + 1) << 56 | (u64)page << 40 | (i + 1);
		r = user_write(va, value);
		if (r == FAULT_OK)
			token[page] = value;
		else if (s->how == BY_DONTNEED)
			MMSIM_BUG("toucher %u: write at %#llx: result %d", index,
				  (unsigned long long)va, (int)r);
	}
}

/* Take the frames that have just been freed here, and see that nobody else writes to them. */
static void reuse_frames(struct shootdown *s, u32 index, u64 round)
{
	u64 own = s->at + (u64)index * PAGES_EACH * 4096, mine = (u64)(index + 1) << 56 | round;
	u64 value;

	for (u32 page = 0; page < PAGES_EACH; page++)
		if (user_write(own + page * 4096, mine) != FAULT_OK)
			MMSIM_BUG("write failed");
	for (u32 page = 0; page < PAGES_EACH; page++)
		if (user_read(own + page * 4096, &value) != FAULT_OK || value != mine)
			MMSIM_BUG("zapper %u, page %u: found %#llx, wrote %#llx", index, page,
				  (unsigned long long)value, (unsigned long long)mine);
}

static void zapper(struct shootdown *s, u32 index, u64 *rng)
{
	struct mm *mm = s->w->mm;
	const u32 all = TOUCHERS * PAGES_EACH;

	for (u64 round = 1; round <= s->rounds; round++) {
		u32 first = test_random(rng) % all;
		u32 n = 1 + test_random(rng) % min(all - first, 150u);
		u64 start = s->at + first * 4096ull, len = n * 4096ull;
		u64 own = s->at + (u64)index * PAGES_EACH * 4096;
		s64 r = 0;

		/* Before the others': the frames that are freed last are taken first. */
		if (mm_madvise(mm, own, PAGES_EACH * 4096, MADV_DONTNEED))
			MMSIM_BUG("madvise failed");
		if (s->how == BY_DONTNEED) {
			r = mm_madvise(mm, start, len, MADV_DONTNEED);
		} else if (s->how == BY_REMAP) {
			r = mm_munmap(mm, start, len);
			if (!r)
				r = mm_mmap(mm, start, len, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
			r = r < 0 ? r : 0;
		} else {
			r = mm_mprotect(mm, start, len, PROT_READ);
			if (!r)
				r = mm_mprotect(mm, start, len, PROT_READ | PROT_WRITE);
		}
		if (r)
			MMSIM_BUG("zapper: %lld", (long long)r);
		reuse_frames(s, index, round);
	}
	(void)fetch_add(&s->done, 1u);
}

static void shootdown_task(void *arg, u32 index)
{
	struct shootdown *s = arg;
	u64 rng = s->seed + index;

	mmu_switch(s->w->mm);
	if (index < TOUCHERS)
		toucher(s, index, &rng);
	else
		zapper(s, index, &rng);
	mmu_switch(NULL);
}

static void shootdown_by(u32 how, const struct mm_locking *scheme)
{
	struct world w = world_create(&arch_x86_64, 2048, TOUCHERS + ZAPPERS);
	struct shootdown s = {
		.w = &w,
		.seed = test_seed("shootdown"),
		.rounds = ROUNDS,
		.how = how,
	};

	mm_put(w.mm);
	w.mm = mm_create(w.m, w.a, scheme);
	assert_non_null(w.mm);
	s.at = map_region(&w, REGION_PAGES * 4096ull);
	machine_leave();
	assert_int_equal(engine_run(w.m, TOUCHERS + ZAPPERS, shootdown_task, &s, NULL), 0);
	machine_enter(w.m);
	printf("%s: %llu faults, %llu shootdowns, %llu IPIs\n", scheme->name,
	       (unsigned long long)counter(&w, COUNTER_FAULT_TOTAL),
	       (unsigned long long)counter(&w, COUNTER_TLB_SHOOTDOWN),
	       (unsigned long long)counter(&w, COUNTER_IPI_SENT));
	assert_true(counter(&w, COUNTER_TLB_SHOOTDOWN) > 0);
	mm_check(w.mm);
	world_destroy(&w);
}

static void shootdown(void **state)
{
	for (u32 how = BY_DONTNEED; how <= BY_PROTECT; how++) {
		shootdown_by(how, &mm_locking_mmap_lock);
		shootdown_by(how, &mm_locking_vma_refcnt);
	}
}

/* CPUs that load and unload the page table while others flush: the cpumask races. */
static void switcher_task(void *arg, u32 index)
{
	struct shootdown *s = arg;
	u64 rng = s->seed + index;

	if (index >= TOUCHERS) {
		mmu_switch(s->w->mm);
		zapper(s, index, &rng);
		mmu_switch(NULL);
		return;
	}
	for (u64 i = 1; READ_ONCE(s->done) < ZAPPERS; i++) {
		u64 own = s->at + (u64)index * PAGES_EACH * 4096;
		u64 value;

		mmu_switch(s->w->mm);
		for (u32 page = 0; page < PAGES_EACH; page++) {
			u64 mine = (u64)(index + 1) << 56 | i << 8 | page;

			if (user_write(own + page * 4096, mine) != FAULT_OK)
				MMSIM_BUG("write failed");
			if (user_read(own + page * 4096, &value) != FAULT_OK)
				MMSIM_BUG("read failed");
			if (value != 0 && value != mine)
				MMSIM_BUG("cpu %u found %#llx", index, (unsigned long long)value);
		}
		mmu_switch(NULL);
	}
}

static void switching_against_flushes(void **state)
{
	struct world w = world_create(&arch_x86_64, 2048, TOUCHERS + ZAPPERS);
	struct shootdown s = {
		.w = &w,
		.seed = test_seed("switching"),
		.rounds = ROUNDS,
		.how = BY_DONTNEED,
	};

	s.at = map_region(&w, REGION_PAGES * 4096ull);
	machine_leave();
	assert_int_equal(engine_run(w.m, TOUCHERS + ZAPPERS, switcher_task, &s, NULL), 0);
	machine_enter(w.m);
	for (u32 i = 0; i < ARRAY_SIZE(w.mm->cpus.bits) && !machine_config(w.m)->model; i++)
		assert_int_equal(w.mm->cpus.bits[i], 0); /* otherwise CPUs are left lazy */
	world_destroy(&w);
}

/*
 * Goal:   Dirty is never lost between the MMU that sets it and software that clears it.
 * Method: one task writes ever new values; the other cleans the page with MADV_FREE, then reads the
 *         value twice. If it changed, a write came after the cleaning, so the entry is dirty.
 */
static void dirty_task(void *arg, u32 index)
{
	struct shootdown *s = arg;
	struct mm *mm = s->w->mm;
	u64 v1, v2, changed = 0;

	mmu_switch(mm);
	for (u64 i = 1; index == 1 && !READ_ONCE(s->done); i++)
		if (user_write(s->at, i) != FAULT_OK)
			MMSIM_BUG("write failed");
	for (u64 i = 0; index == 0 && (i < s->rounds || changed < 100); i++) {
		if (i >= s->rounds)
			engine_yield(); /* a busy host: let the writer run */
		if (mm_madvise(mm, s->at, 4096, MADV_FREE))
			MMSIM_BUG("madvise failed");
		if (user_read(s->at, &v1) != FAULT_OK)
			MMSIM_BUG("read failed");
		for (u32 k = 0; k < 20; k++) {
			pte_t e;

			if (user_read(s->at, &v2) != FAULT_OK)
				MMSIM_BUG("read failed");
			e = world_pte(mm, s->at);
			if (v1 == v2)
				continue;
			changed++;
			if (!pte_has(mm->arch, e, PTE_DIRTY))
				MMSIM_BUG("round %llu: %llu became %llu, and the entry %#llx is "
					  "clean",
					  (unsigned long long)i, (unsigned long long)v1,
					  (unsigned long long)v2, (unsigned long long)e);
		}
	}
	if (index == 0) {
		(void)fetch_add(&s->done, 1u);
		s->rounds = changed;
	}
	mmu_switch(NULL);
}

static void dirty_is_never_lost(void **state)
{
	struct world w = world_create(&arch_x86_64, 1024, 2);
	struct shootdown s = {.w = &w, .rounds = ROUNDS * 5};

	s.at = map_region(&w, 4096);
	machine_leave();
	assert_int_equal(engine_run(w.m, 2, dirty_task, &s, NULL), 0);
	machine_enter(w.m);
	printf("%llu changes seen\n", (unsigned long long)s.rounds);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_and_misses),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(switching),
		cmocka_unit_test(flushes),
		cmocka_unit_test(faults_through_the_syndrome),
		cmocka_unit_test(upgrade_is_spurious),
		cmocka_unit_test(dirty_again_after_madv_free),
		cmocka_unit_test(shootdown),
		cmocka_unit_test(switching_against_flushes),
		cmocka_unit_test(dirty_is_never_lost),
	};

	return cmocka_run_group_tests_name("tlb", tests, NULL, NULL);
}
