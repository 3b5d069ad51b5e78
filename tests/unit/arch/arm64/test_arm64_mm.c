/*
 * tests/unit/arch/arm64/test_arm64_mm.c - the generic mm on arm64: first touches, execute-only, PROT_NONE
 *
 * Goal: what an access costs in faults where hardware keeps the Access flag and dirty state, and where
 * software does; and that permissions which arm64 holds in other bits than x86-64 mean the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mm/internal.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static const struct arch_desc *const archs[] = {
	&arch_arm64_4k,	   &arch_arm64_16k,    &arch_arm64_64k,	  &arch_arm64_4k_52,
	&arch_arm64_16k_52, &arch_arm64_64k_52, &arch_arm64_4k_v80,
};

struct world {
	const struct arch_desc *a;
	u64 page;
	struct machine *m;
	struct mm *mm;
};

static struct world world_create(const struct arch_desc *a)
{
	const struct machine_config cfg = {.tasks = 1,
					   .memory_bytes = 256ull << a->page_shift,
					   .content_words = 8,
					   .seed = 1};
	struct world w = {.a = a, .page = arch_page_bytes(a), .m = machine_create(&cfg)};

	assert_non_null(w.m);
	machine_enter(w.m);
	assert_int_equal(mm_machine_init(w.m, a, NULL), 0);
	w.mm = mm_create(w.m, a, &mm_locking_mmap_lock);
	assert_non_null(w.mm);
	mmu_switch(w.mm);
	return w;
}

static void world_destroy(struct world *w)
{
	mm_check(w->mm);
	mmu_switch(NULL);
	mm_put(w->mm);
	mm_machine_destroy(w->m);
	machine_leave();
	machine_destroy(w->m);
}

static u64 map(struct world *w, u64 pages, u32 prot)
{
	s64 va = mm_mmap(w->mm, 0, pages * w->page, prot, ANON, NULL, 0);

	assert_true(va > 0);
	return (u64)va;
}

static u64 faults(void)
{
	return task_counters()[COUNTER_FAULT_TOTAL];
}

/* A child's entries are not accessed: it faults for each, once, unless hardware sets the flag; both write
 * to what they share, and neither sees the other's. */
static void fork_and_touch(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct world w = world_create(archs[i]);
		u64 va = map(&w, 4, RW), before, value, software = !archs[i]->hw_sets_accessed;
		struct mm *child;
		int error;

		for (u64 n = 0; n < 4; n++)
			assert_int_equal(user_write(va + n * w.page, n), FAULT_OK);
		child = mm_fork(w.mm, &error);
		assert_non_null(child);
		mmu_switch(child);
		before = faults();
		for (u64 n = 0; n < 4; n++) {
			assert_int_equal(user_read(va + n * w.page, &value), FAULT_OK);
			assert_int_equal(value, n);
		}
		assert_int_equal(faults() - before, 4 * software);
		before = faults();
		assert_int_equal(user_write(va, 100), FAULT_OK);
		assert_int_equal(faults() - before, 1); /* copy-on-write */
		mmu_switch(w.mm);
		assert_int_equal(user_read(va, &value), FAULT_OK);
		assert_int_equal(value, 0);
		mm_put(child);
		world_destroy(&w);
	}
}

/* MADV_FREE takes Accessed and Dirty away; the next store must show, by hardware or by a fault. */
static void lazily_freed_then_written(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct world w = world_create(archs[i]);
		u64 va = map(&w, 1, RW), before;
		spinlock_t *ptl;

		assert_int_equal(user_write(va, 1), FAULT_OK);
		assert_int_equal(mm_madvise(w.mm, va, w.page, MADV_FREE), 0);
		assert_false(pte_has(w.a, *pgtable_lookup(w.mm, va, &ptl), PTE_DIRTY));
		before = faults();
		assert_int_equal(user_write(va, 2), FAULT_OK);
		assert_int_equal(faults() - before, !archs[i]->hw_sets_accessed);
		assert_true(pte_has(w.a, *pgtable_lookup(w.mm, va, &ptl), PTE_DIRTY));
		world_destroy(&w);
	}
}

/* mprotect moves between all rights; what hardware marked dirty stays dirty; PROT_NONE keeps the page. */
static void protections(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct world w = world_create(archs[i]);
		u64 va = map(&w, 1, RW), value;
		spinlock_t *ptl;

		assert_int_equal(user_write(va, 7), FAULT_OK);
		assert_int_equal(user_access(va, ACCESS_EXEC, NULL), FAULT_SIGSEGV_ACCERR);
		assert_int_equal(mm_mprotect(w.mm, va, w.page, PROT_READ), 0);
		assert_int_equal(user_write(va, 8), FAULT_SIGSEGV_ACCERR);
		assert_true(pte_has(w.a, *pgtable_lookup(w.mm, va, &ptl), PTE_DIRTY));
		assert_int_equal(mm_mprotect(w.mm, va, w.page, PROT_NONE), 0);
		assert_int_equal(user_read(va, &value), FAULT_SIGSEGV_ACCERR);
		assert_int_equal(*pgtable_lookup(w.mm, va, &ptl) & 1, 0); /* not VALID */
		/* Execute-only: without EPAN what may be executed may be read. */
		assert_int_equal(mm_mprotect(w.mm, va, w.page, PROT_EXEC), 0);
		assert_int_equal(user_access(va, ACCESS_EXEC, NULL), FAULT_OK);
		assert_int_equal(user_read(va, &value), FAULT_OK);
		assert_int_equal(value, 7);
		assert_int_equal(mm_mprotect(w.mm, va, w.page, RW), 0);
		assert_int_equal(user_write(va, 9), FAULT_OK);
		assert_int_equal(user_read(va, &value), FAULT_OK);
		assert_int_equal(value, 9);
		world_destroy(&w);
	}
}

/* Between the halves and in the kernel's there is nothing for a program. */
static void addresses_of_others(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct world w = world_create(archs[i]);
		u64 value;

		assert_int_equal(user_read(w.a->task_size, &value), FAULT_SIGSEGV_MAPERR);
		assert_int_equal(user_read(1ull << 60, &value), FAULT_SIGSEGV_MAPERR);
		assert_int_equal(user_write(~0ull - 7, 1), FAULT_SIGSEGV_MAPERR);
		world_destroy(&w);
	}
}

/* The gap below a stack and the distance of brk are pages, whatever their size. */
static void stack_grows(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		struct world w = world_create(archs[i]);
		s64 va = mm_mmap(w.mm, 0, 2 * w.page, RW, ANON | MAP_GROWSDOWN, NULL, 0);

		assert_true(va > 0);
		assert_int_equal(user_write((u64)va - 8, 1), FAULT_OK);
		assert_int_equal(user_write((u64)va - 3 * w.page, 1), FAULT_OK);
		world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fork_and_touch),
		cmocka_unit_test(lazily_freed_then_written),
		cmocka_unit_test(protections),
		cmocka_unit_test(addresses_of_others),
		cmocka_unit_test(stack_grows),
	};

	return cmocka_run_group_tests_name("arm64_mm", tests, NULL, NULL);
}
