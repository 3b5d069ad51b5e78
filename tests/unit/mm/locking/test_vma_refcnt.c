/*
 * tests/unit/mm/locking/test_vma_refcnt.c - the states of vm_refcnt; each way a reader gives up
 *
 * The fault hooks are called by hand, so that a reader can be stopped between begin and end.
 */
#include "tests/unit/mm/mm_world.h"

#define MEMORY (32ull << 20)
#define SCHEME (&mm_locking_vma_refcnt)

static struct vma *vma_at(struct mm_world *w, u64 va)
{
	return vma_tree_load(&w->mm->vmas, va);
}

static struct fault fault_at(struct mm *mm, u64 va)
{
	return (struct fault){
		.mm = mm, .va = va, .user = true, .speculative = true, .hold = mm_hold(HOLD_FAULT)};
}

static void states_of_the_count(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	u64 va = map_anon(&w, 4, RW);
	struct vma *vma = vma_at(&w, va);
	struct fault f = fault_at(w.mm, va), g = fault_at(w.mm, va + PAGE);

	assert_int_equal(atomic_read(&vma->vm_refcnt), 1);
	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK);
	assert_ptr_equal(f.vma, vma);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 2);
#ifndef MMSIM_DEBUG_LOCKS /* one task does not hold two VMA locks for read */
	assert_int_equal(SCHEME->fault_begin(&g, LK_TRY), LK_OK);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 3);
	SCHEME->fault_end(&g, false);
#endif
	(void)g;
	SCHEME->fault_end(&f, false);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 1);
	assert_int_equal(mm_munmap(w.mm, va, 4 * PAGE), 0);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 0); /* type-stable: may be looked at */
	mm_world_destroy(&w);
}

static void expect_abort(struct mm_world *w, u64 va)
{
	struct fault f = fault_at(w->mm, va);

	EXPECT_COUNT(w, VMA_LOCK_ABORT, 1,
		     assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_CONTENDED));
}

static void gives_up_on_writers_and_holes(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	u64 va = map_anon(&w, 4, RW), other;
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	struct fault f = fault_at(w.mm, va);

	assert_int_equal(mm_mprotect(w.mm, va, PAGE, PROT_READ), 0); /* two VMAs */
	other = va + PAGE;
	expect_abort(&w, va - PAGE);

	/* Marked: refused until the write lock is dropped; the neighbour is not. */
	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	EXPECT_COUNT(&w, VMA_WRITE_LOCK, 1, vma_start_write(vma_at(&w, va)));
	EXPECT_COUNT(&w, VMA_WRITE_LOCK, 0, vma_start_write(vma_at(&w, va))); /* idempotent */
	expect_abort(&w, va);
	f.va = other;
	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK);
	SCHEME->fault_end(&f, false);
	mmap_write_downgrade(h);
	f.va = va;
	assert_int_equal(SCHEME->fault_begin(&f, LK_TRY), LK_OK); /* unlocked by the downgrade */
	SCHEME->fault_end(&f, true);
	mmap_read_unlock(h);
	assert_int_equal(COUNT(&w, VMA_LOCK_RETRY), 1);
	mm_world_destroy(&w);
}

/* A writer's bit, or a count at the limit, refuses without waiting. */
static void refuses_bit_and_limit(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW);
	struct vma *vma = vma_at(&w, va);

	atomic_set(&vma->vm_refcnt, 1 + VMA_LOCK_OFFSET);
	expect_abort(&w, va);
	atomic_set(&vma->vm_refcnt, VMA_REF_LIMIT);
	expect_abort(&w, va);
	assert_int_equal(atomic_read(&vma->vm_refcnt), VMA_REF_LIMIT);
	atomic_set(&vma->vm_refcnt, 1);
	mm_world_destroy(&w);
}

/* The tree still leads to a VMA that is detached: the reader walks again, then gives up. */
static void detached_is_a_miss(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	u64 va = map_anon(&w, 1, RW);
	struct vma *vma = vma_at(&w, va);
	u64 misses = COUNT(&w, VMA_LOCK_MISS);

	atomic_set(&vma->vm_refcnt, 0);
	expect_abort(&w, va);
	assert_true(COUNT(&w, VMA_LOCK_MISS) > misses);
	atomic_set(&vma->vm_refcnt, 1);
	mm_world_destroy(&w);
}

/* Recycled into another mm between the walk and the count: put back, its writer is not left
 * waiting. */
static void foreign_vma_is_put_back(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	struct mm *other = mm_create(w.m, &arch_x86_64, SCHEME);
	u64 va = map_anon(&w, 1, RW);
	struct vma *vma = vma_at(&w, va);

	WRITE_ONCE(vma->mm, other);
	expect_abort(&w, va);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 1);
	WRITE_ONCE(vma->mm, w.mm);
	mm_put(other);
	mm_world_destroy(&w);
}

/* It shrank after the walk: the address is no longer inside. */
static void moved_boundary_is_noticed(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	u64 va = map_anon(&w, 2, RW);
	struct vma *vma = vma_at(&w, va);

	vma->start += PAGE;
	expect_abort(&w, va);
	assert_int_equal(atomic_read(&vma->vm_refcnt), 1);
	vma->start -= PAGE;
	mm_world_destroy(&w);
}

/* The value of a VMA that was never marked is skipped by the mm's sequence. */
static void sequence_wraps(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 1);
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	WRITE_ONCE(w.mm->mm_lock_seq, ~0u - 1);
	mmap_write_lock(w.mm, h, MM_RANGE_ALL);
	assert_int_equal(w.mm->mm_lock_seq, 1); /* odd: inside */
	mmap_write_unlock(h);
	assert_int_equal(w.mm->mm_lock_seq, 2);
	mm_world_destroy(&w);
}

/* A writer waits for the reader inside, and the last reader wakes it. */
struct meeting {
	struct mm *mm;
	u64 va;
	u32 phase;
	u64 shared; /* guarded by the VMA's lock */
	u64 writer_waits;
};

static void meeting_task(void *arg, u32 index)
{
	struct meeting *s = arg;
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	struct fault f = fault_at(s->mm, s->va);

	if (index == 0) {
		if (SCHEME->fault_begin(&f, LK_TRY) != LK_OK)
			MMSIM_BUG("nobody else is there");
		smp_store_release(&s->phase, 1u);
		/* Until the writer has announced itself: from then on it must wait for us. */
		while (!(atomic_read(&f.vma->vm_refcnt) & VMA_LOCK_OFFSET))
			engine_yield();
		engine_delay_ns(1000000);
		s->shared = 1; /* plain on purpose: TSan sees whether the lock orders it */
		SCHEME->fault_end(&f, false);
		return;
	}
	while (!smp_load_acquire(&s->phase))
		engine_yield();
	mmap_write_lock(s->mm, h, MM_RANGE_ALL);
	vma_start_write(vma_tree_load(&s->mm->vmas, s->va));
	if (s->shared != 1)
		MMSIM_BUG("the writer did not wait for the reader");
	s->shared = 2;
	mmap_write_unlock(h);
}

static void writer_waits_for_reader(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 2);
	struct meeting s = {.mm = w.mm, .va = map_anon(&w, 1, RW)};

	EXPECT_COUNT(&w, VMA_WRITE_LOCK_WAIT, 1, mm_world_run(&w, 2, meeting_task, &s));
	assert_int_equal(s.shared, 2);
	mm_world_destroy(&w);
}

/* The two checks of the sequence at work: between a reader's first one and its count a writer may
 * come and mark the VMA; only the second check tells. */
#define MEETINGS_MIN 500
struct pair {
	struct mm *mm;
	u64 va, end_ns, reads;
	u64 pair[2]; /* equal unless a writer is inside */
};

static void pair_write(struct pair *s)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u64 next;

	mmap_write_lock(s->mm, h, MM_RANGE_ALL);
	vma_start_write(vma_tree_load(&s->mm->vmas, s->va));
	next = READ_ONCE(s->pair[0]) + 1;
	WRITE_ONCE(s->pair[0], next);
	for (u32 i = 0; i < 10; i++)
		cpu_relax();
	WRITE_ONCE(s->pair[1], next);
	mmap_write_unlock(h);
}

static void pair_read(struct pair *s)
{
	struct fault f = fault_at(s->mm, s->va);
	u64 a, b;

	if (SCHEME->fault_begin(&f, LK_TRY) != LK_OK)
		return;
	a = READ_ONCE(s->pair[0]);
	b = READ_ONCE(s->pair[1]);
	if (a != b)
		MMSIM_BUG("a reader is inside together with a writer");
	SCHEME->fault_end(&f, false);
	(void)fetch_add(&s->reads, 1);
}

static void pair_task(void *arg, u32 index)
{
	struct pair *s = arg;

	/* Long enough for many meetings, however busy the host is; bounded all the same. */
	while (engine_now_ns() < s->end_ns ||
	       (engine_now_ns() < s->end_ns + 20000000000ull &&
		(READ_ONCE(s->reads) <= MEETINGS_MIN || READ_ONCE(s->pair[0]) <= MEETINGS_MIN)))
		for (u32 i = 0; i < 64; i++) {
			if (index == 0)
				pair_write(s);
			else
				pair_read(s);
		}
}

static void readers_exclude_writers(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 3);
	struct pair s = {.mm = w.mm, .va = map_anon(&w, 1, RW)};

	s.end_ns = engine_now_ns() + 500000000;
	mm_world_run(&w, 3, pair_task, &s);
	assert_true(s.reads > MEETINGS_MIN && s.pair[0] > MEETINGS_MIN);
	mm_world_destroy(&w);
}

/* munmap detaches while readers come and go; VMA memory is recycled across two mms all the time. */
struct churn {
	struct mm *mm[2];
	u32 stop;
};
#define CHURN_VA 0x20000000ull

static void churn_task(void *arg, u32 index)
{
	struct churn *s = arg;
	struct mm *mm = s->mm[index % 2];
	u64 value;

	mmu_switch(mm);
	if (index < 2) {
		for (u32 i = 0; i < 3000; i++) {
			s64 va = mm_mmap(mm, CHURN_VA, 4 * PAGE, RW, ANON | MAP_FIXED, NULL, 0);

			if (va != (s64)CHURN_VA || user_write(CHURN_VA, i + 1) != FAULT_OK ||
			    user_read(CHURN_VA, &value) != FAULT_OK || value != i + 1 ||
			    mm_munmap(mm, CHURN_VA, 4 * PAGE))
				MMSIM_BUG("round %u of task %u", i, index);
		}
		(void)fetch_add(&s->stop, 1u);
	} else {
		while (READ_ONCE(s->stop) < 2)
			if (user_read(CHURN_VA + 2 * PAGE, &value) == FAULT_OK && value)
				MMSIM_BUG("a page nobody wrote contains %llu",
					  (unsigned long long)value);
	}
	mmu_switch(NULL);
}

static void recycling_between_two_mms(void **state)
{
	struct mm_world w = mm_world_create(SCHEME, MEMORY, 4);
	struct churn s = {.mm = {w.mm, mm_create(w.m, &arch_x86_64, SCHEME)}};

	mm_world_run(&w, 4, churn_task, &s);
	mm_check(s.mm[1]);
	mm_put(s.mm[1]);
	assert_int_equal(COUNT(&w, FAULT_TOTAL), COUNT(&w, VMA_LOCK_SUCCESS) +
							 COUNT(&w, VMA_LOCK_ABORT) +
							 COUNT(&w, VMA_LOCK_RETRY));
	mm_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_of_the_count),
		cmocka_unit_test(gives_up_on_writers_and_holes),
		cmocka_unit_test(refuses_bit_and_limit),
		cmocka_unit_test(detached_is_a_miss),
		cmocka_unit_test(foreign_vma_is_put_back),
		cmocka_unit_test(moved_boundary_is_noticed),
		cmocka_unit_test(sequence_wraps),
		cmocka_unit_test(writer_waits_for_reader),
		cmocka_unit_test(readers_exclude_writers),
		cmocka_unit_test(recycling_between_two_mms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
