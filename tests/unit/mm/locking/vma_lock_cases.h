/*
 * tests/unit/mm/locking/vma_lock_cases.h - what vma_rwsem and vma_atomic have in common, for both places
 *                                          of the lock: SCHEME is defined by who includes it
 *
 * The fault hooks are called by hand, so that a reader can be stopped between begin and end.
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (32ull << 20)

static const enum vma_lock_placement placements[] = { VMA_LOCK_SEPARATE, VMA_LOCK_EMBEDDED };

static struct mm_world world(enum vma_lock_placement placement, u32 tasks)
{
	const struct mm_config cfg = { .tree = tree_choice(),
				       .params[MM_PARAM_VMA_LOCK_PLACEMENT] = placement };

	return mm_world_create_with(SCHEME, MEMORY, tasks, &cfg);
}

static struct vma *vma_at(struct mm *mm, u64 va)
{
	return vma_tree_load(&mm->vmas, va);
}

static struct fault fault_at(struct mm *mm, u64 va)
{
	return (struct fault){
		.mm = mm, .va = va, .user = true, .speculative = true, .hold = mm_hold(HOLD_FAULT) };
}

static void expect_abort(struct mm_world *w, u64 va)
{
	struct fault f = fault_at(w->mm, va);

	EXPECT_COUNT(w, VMA_LOCK_ABORT, 1,
		     assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_CONTENDED));
}

static void expect_locked(struct mm_world *w, u64 va)
{
	struct fault f = fault_at(w->mm, va);

	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK);
	assert_ptr_equal(f.vma, vma_at(w->mm, va));
	SCHEME->fault_end(&f, false);
}

/* separate: on no line of the VMA; embedded: its first word on the VMA's first line. */
static void lies_where_it_should(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(placements); i++) {
		struct mm_world w = world(placements[i], 1);
		struct vma *vma = vma_at(w.mm, map_anon(&w, 1, RW));
		struct vma_lock *lock = w.mm->mmm->vma_lock_embedded ? &vma->lock : vma->vm_lock;

		assert_int_equal((char *)lock < (char *)(vma + 1) && (char *)lock >= (char *)vma,
				 placements[i] == VMA_LOCK_EMBEDDED);
		assert_int_equal(objcache_live(w.mm->mmm->vma_lock_cache),
				 placements[i] == VMA_LOCK_SEPARATE);
		if (placements[i] == VMA_LOCK_SEPARATE)
			assert_int_equal((uintptr_t)lock % MMSIM_CACHE_LINE_BYTES, 0);
		expect_locked(&w, vma->start);
		mm_world_destroy(&w);
	}
}

static void gives_up_on_writers_and_holes(void **state)
{
	struct mm_world w = world(VMA_LOCK_SEPARATE, 1);
	u64 va = map_anon(&w, 4, RW), other = va + PAGE;
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	struct fault f = fault_at(w.mm, va);

	assert_int_equal(mm_mprotect(w.mm, va, PAGE, PROT_READ), 0); /* two VMAs */
	expect_abort(&w, va - PAGE);
	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	EXPECT_COUNT(&w, VMA_WRITE_LOCK, 1, vma_start_write(vma_at(w.mm, va)));
	EXPECT_COUNT(&w, VMA_WRITE_LOCK, 0, vma_start_write(vma_at(w.mm, va))); /* idempotent */
	expect_abort(&w, va);
	expect_locked(&w, other);
	mmap_write_downgrade(h);
	f.va = va;
	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK); /* unlocked by the downgrade */
	SCHEME->fault_end(&f, true);
	mmap_read_unlock(h);
	assert_int_equal(COUNT(&w, VMA_LOCK_RETRY), 1);
	mm_world_destroy(&w);
}

/* The tree still leads to a VMA that is detached: the reader walks again, then gives up; and has let go of
 * it, or the writer at the end would wait for ever. */
static void detached_is_a_miss(void **state)
{
	struct mm_world w = world(VMA_LOCK_SEPARATE, 1);
	u64 va = map_anon(&w, 1, RW), misses = COUNT(&w, VMA_LOCK_MISS);
	struct vma *vma = vma_at(w.mm, va);

	vma->attached = false;
	expect_abort(&w, va);
	assert_true(COUNT(&w, VMA_LOCK_MISS) > misses);
	vma->attached = true;
	assert_int_equal(mm_munmap(w.mm, va, PAGE), 0);
	mm_world_destroy(&w);
}

static void moved_boundary_is_noticed(void **state)
{
	struct mm_world w = world(VMA_LOCK_SEPARATE, 1);
	u64 va = map_anon(&w, 2, RW);
	struct vma *vma = vma_at(w.mm, va);

	vma->start += PAGE;
	expect_abort(&w, va);
	vma->start -= PAGE;
	expect_locked(&w, va);
	mm_world_destroy(&w);
}

/* A VMA that is unmapped stays what it was until a grace period has passed. */
static void freed_after_a_grace_period(void **state)
{
	struct mm_world w = world(VMA_LOCK_SEPARATE, 1);
	u64 va = map_anon(&w, 2, RW);
	struct vma *vma;

	rcu_read_lock();
	vma = vma_tree_load_rcu(&w.mm->vmas, va);
	assert_int_equal(mm_munmap(w.mm, va, 2 * PAGE), 0);
	assert_ptr_equal(vma->mm, w.mm);
	assert_int_equal(vma->start, va);
	assert_false(vma->attached);
	assert_int_equal(objcache_live(w.mm->mmm->vma_lock_cache), 1);
	rcu_read_unlock();
	sim_rcu_barrier();
	assert_int_equal(objcache_live(w.mm->mmm->vma_cache), 0);
	assert_int_equal(objcache_live(w.mm->mmm->vma_lock_cache), 0);
	mm_world_destroy(&w);
}

/* Frees wait for grace periods, and mappers wait for frees: memory is bounded in a storm. */
#define STORM 60000u
#define STORM_LEFT_MAX 40000u
static void storm_is_throttled(void **state)
{
	struct mm_world w = world(VMA_LOCK_SEPARATE, 1);

	for (u32 i = 0; i < STORM; i++) {
		u64 va = map_anon(&w, 1, RW);

		assert_int_equal(mm_munmap(w.mm, va, PAGE), 0);
		assert_true(objcache_live(w.mm->mmm->vma_cache) < STORM_LEFT_MAX);
	}
	mm_world_destroy(&w);
}

/* A writer waits for the reader inside, and the last reader wakes it. */
struct meeting {
	struct mm_world *w;
	struct mm *mm;
	u64 va;
	u32 phase;
	u64 shared; /* guarded by the VMA's lock */
};

static void meeting_task(void *arg, u32 index)
{
	struct meeting *s = arg;
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	struct fault f = fault_at(s->mm, s->va);
	u64 waits = COUNT(s->w, VMA_WRITE_LOCK_WAIT);

	if (index == 0) {
		if (SCHEME->fault_begin(&f, LK_TRY) != LK_OK)
			MMSIM_BUG("nobody else is there");
		smp_store_release(&s->phase, 1u);
		while (COUNT(s->w, VMA_WRITE_LOCK_WAIT) == waits)
			engine_yield();
		engine_delay_ns(100000); /* on its way from counting itself to sleep */
		s->shared = 1; /* plain on purpose: TSan sees whether the lock orders it */
		SCHEME->fault_end(&f, false);
		return;
	}
	while (!smp_load_acquire(&s->phase))
		engine_yield();
	mmap_write_lock(s->mm, h, MM_RANGE_ALL);
	vma_start_write(vma_at(s->mm, s->va));
	if (s->shared != 1)
		MMSIM_BUG("the writer did not wait for the reader");
	s->shared = 2;
	mmap_write_unlock(h);
}

static void writer_waits_for_reader(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(placements); i++) {
		struct mm_world w = world(placements[i], 2);
		struct meeting s = { .w = &w, .mm = w.mm, .va = map_anon(&w, 1, RW) };

		EXPECT_COUNT(&w, VMA_WRITE_LOCK_WAIT, 1, mm_world_run(&w, 2, meeting_task, &s));
		assert_int_equal(s.shared, 2);
		mm_world_destroy(&w);
	}
}

/* Map, touch, unmap beside readers of the same address: no page survives, no count is lost. */
#define CHURN_VA 0x20000000ull
#define CHURN_ROUNDS 2000u
struct churn {
	struct mm *mm;
	u32 stop;
};

static void churn_task(void *arg, u32 index)
{
	struct churn *s = arg;
	u64 value;

	mmu_switch(s->mm);
	for (u32 i = 0; index == 0 && i < CHURN_ROUNDS; i++) {
		s64 va = mm_mmap(s->mm, CHURN_VA, 4 * PAGE, RW, ANON | MAP_FIXED, NULL, 0);

		if (va != (s64)CHURN_VA || user_write(CHURN_VA, i + 1) != FAULT_OK ||
		    user_read(CHURN_VA, &value) != FAULT_OK || value != i + 1 ||
		    mm_munmap(s->mm, CHURN_VA, 4 * PAGE))
			MMSIM_BUG("round %u", i);
	}
	if (index == 0)
		WRITE_ONCE(s->stop, 1u);
	while (index && !READ_ONCE(s->stop))
		if (user_read(CHURN_VA + 2 * PAGE, &value) == FAULT_OK && value)
			MMSIM_BUG("a page nobody wrote contains %llu", (unsigned long long)value);
	mmu_switch(NULL);
}

static void unmapped_beside_readers(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(placements); i++) {
		struct mm_world w = world(placements[i], 3);
		struct churn s = { .mm = w.mm };

		mm_world_run(&w, 3, churn_task, &s);
		assert_int_equal(COUNT(&w, FAULT_TOTAL), COUNT(&w, VMA_LOCK_SUCCESS) +
								 COUNT(&w, VMA_LOCK_ABORT) +
								 COUNT(&w, VMA_LOCK_RETRY));
		mm_world_destroy(&w);
	}
}

#define VMA_LOCK_CASES                                                                             \
	cmocka_unit_test(lies_where_it_should), cmocka_unit_test(gives_up_on_writers_and_holes),   \
		cmocka_unit_test(detached_is_a_miss), cmocka_unit_test(moved_boundary_is_noticed), \
		cmocka_unit_test(freed_after_a_grace_period), cmocka_unit_test(storm_is_throttled),\
		cmocka_unit_test(writer_waits_for_reader), cmocka_unit_test(unmapped_beside_readers)
