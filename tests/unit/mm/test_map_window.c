/*
 * tests/unit/mm/test_map_window.c - mappings stay below DEFAULT_MAP_WINDOW unless the hint lies above it
 *
 * Goal:   on architectures with more user addresses than programs expect (x86_64-la57, arm64 with 52
 *         bits, ppc64) a program that does not ask never gets an address above the window.
 * Method: every architecture; the same calls, with what Linux answers written out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mm/internal.h"
#include "tests/unit/arch/every_arch.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static u64 window_of(const struct arch_desc *a)
{
	return strncmp(a->name, "arm64", 5) == 0 ? 1ull << 48
	       : strncmp(a->name, "ppc64", 5) == 0 ? 1ull << 47
						  : (1ull << 47) - 4096;
}

static void map_and_see(struct mm *mm, u64 window, bool wide)
{
	u64 page = arch_page_bytes(mm->arch), len = 3 * page, above = window + (1ull << 32);
	s64 at;

	at = mm_mmap(mm, 0, len, RW, ANON, NULL, 0);
	assert_true(at > 0);
	assert_in_range((u64)at, window - (1ull << 30), window - len);
	/* At the end of the window a hint is good; across it is none. */
	assert_int_equal(mm_mmap(mm, window - len, len, RW, ANON, NULL, 0), window - len);
	at = mm_mmap(mm, window - page, len, RW, ANON, NULL, 0);
	assert_in_range((u64)at, 1, window - len);
	/* Above: only there, and only where there is something. */
	at = mm_mmap(mm, above, len, RW, ANON, NULL, 0);
	if (!wide) {
		assert_in_range((u64)at, 1, window - len);
		return;
	}
	assert_int_equal(at, above);
	/* Taken: the search begins at the top of all addresses. */
	at = mm_mmap(mm, above, len, RW, ANON, NULL, 0);
	assert_in_range((u64)at, mm->task_size - (1ull << 30), mm->task_size - len);
	at = mm_mmap(mm, 0, len, RW, ANON, NULL, 0);
	assert_in_range((u64)at, 1, window - len);
	/* MAP_FIXED asks for what it says. */
	assert_int_equal(mm_mmap(mm, window - page, len, RW, ANON | MAP_FIXED, NULL, 0), window - page);
	/* mremap has no hint. */
	at = mm_mremap(mm, above, len, 2ull << 32, MREMAP_MAYMOVE, 0);
	assert_int_equal(at, above);
	assert_true(mm_mmap(mm, above + (2ull << 32), page, RW, ANON | MAP_FIXED, NULL, 0) > 0);
	at = mm_mremap(mm, above, 2ull << 32, 4ull << 32, MREMAP_MAYMOVE, 0);
	assert_in_range((u64)at, 1, window - (4ull << 32));
}

static void window_holds(void **state)
{
	u32 wide_archs = 0;

	for (u32 i = 0; test_arch(i); i++) {
		const struct arch_desc *a = test_arch(i);
		const struct machine_config cfg = {.tasks = 1, .memory_bytes = 1024ull << a->page_shift, .seed = 1};
		struct machine *m = machine_create(&cfg);
		u64 window = window_of(a);
		struct mm *mm;

		assert_non_null(m);
		machine_enter(m);
		assert_int_equal(mm_machine_init(m, a, NULL), 0);
		mm = mm_create(m, a, &mm_locking_mmap_lock);
		assert_non_null(mm);
		assert_int_equal(a->default_map_window, window);
		map_and_see(mm, window, a->task_size > window);
		wide_archs += a->task_size > window;
		mm_check(mm);
		mm_put(mm);
		machine_leave();
		mm_machine_destroy(m);
		machine_destroy(m);
	}
	assert_int_equal(wide_archs, 6);
}

/* The window full: bottom-up from a third of it, never above. */
static void window_full(void **state)
{
	const struct arch_desc *a = &arch_x86_64_la57;
	const struct machine_config cfg = {.tasks = 1, .memory_bytes = 4ull << 20, .seed = 1};
	struct machine *m = machine_create(&cfg);
	u64 window = a->default_map_window;
	struct mm *mm;

	assert_non_null(m);
	machine_enter(m);
	assert_int_equal(mm_machine_init(m, a, NULL), 0);
	mm = mm_create(m, a, &mm_locking_mmap_lock);
	assert_non_null(mm);
	assert_true(mm_mmap(mm, 65536, mm->mmap_base - 65536, PROT_NONE,
			    ANON | MAP_FIXED | MAP_NORESERVE, NULL, 0) > 0);
	assert_in_range((u64)mm_mmap(mm, 0, 1 << 20, RW, ANON, NULL, 0), mm->mmap_base, window - (1 << 20));
	assert_int_equal(mm_mmap(mm, 0, 1ull << 40, RW, ANON | MAP_NORESERVE, NULL, 0), -ENOMEM);
	assert_true(mm_mmap(mm, window + 4096, 1ull << 40, RW, ANON | MAP_NORESERVE, NULL, 0) > 0);
	mm_put(mm);
	machine_leave();
	mm_machine_destroy(m);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(window_holds), cmocka_unit_test(window_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
