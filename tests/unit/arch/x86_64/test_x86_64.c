/*
 * tests/unit/arch/x86_64/test_x86_64.c - entries and error codes bit by bit
 *
 * Goal: the numbers of Intel SDM vol. 3A chapter 4, written out here a second time, without the
 * names of arch/x86_64/x86_64.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <mmsim/arch.h>

static const struct arch_desc *const a = &arch_x86_64;

static void entries(void **state)
{
	const struct {
		u32 attrs;
		u64 entry;
	} rows[] = {
		{0, 0x8000000012345001ull},
		{PTE_WRITE, 0x8000000012345003ull},
		{PTE_USER, 0x8000000012345005ull},
		{PTE_EXEC, 0x0000000012345001ull},
		{PTE_ACCESSED, 0x8000000012345021ull},
		{PTE_DIRTY, 0x8000000012345041ull},
		{PTE_SPECIAL, 0x8000000012345201ull},
		{PTE_READ, 0x8000000012345001ull},
		{PTE_HIDDEN, 0x8000000012345100ull},
		{PTE_HIDDEN | PTE_WRITE | PTE_DIRTY, 0x8000000012345142ull},
		{PTE_ATTR_MASK & ~PTE_HIDDEN, 0x0000000012345267ull},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(pte_make(a, 0x12345, rows[i].attrs), rows[i].entry);
	for (u32 level = 1; level < 4; level++)
		assert_int_equal(table_make(a, 0x12345, level), 0x12345027ull);
	assert_int_equal(huge_make(a, 0x12200, PTE_USER | PTE_WRITE), 0x8000000012200087ull);
}

/* P 1, W 2, U 4, RSVD 8, I 16, PK 32, for every access and every cause. */
static void error_codes(void **state)
{
	for (u32 kind = 0; kind < ACCESS_KINDS; kind++)
		for (u32 user = 0; user < 2; user++) {
			u64 base = (kind == ACCESS_WRITE  ? 2
				    : kind == ACCESS_EXEC ? 16
							  : 0) |
				   (user ? 4 : 0);
			const struct {
				enum mmu_cause cause;
				u64 bits;
			} rows[] = {{MMU_ABSENT, 0},
				    {MMU_DENIED, 1},
				    {MMU_RESERVED, 9},
				    {MMU_KEY, 33}};
			const struct mmu_regs regs = arch_default_regs(a, 0);

			for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
				const struct mmu_walk w = {.cause = rows[i].cause, .level = 2};
				struct syndrome s = a->ops->raise(a, &regs, 0x7fff12345678ull,
								  kind, user, &w);
				struct mmu_fault f;

				assert_int_equal(s.va, 0x7fff12345678ull);
				assert_int_equal(s.code, base | rows[i].bits);
				assert_int_equal(s.vector, 14);
				a->ops->decode(a, s, &f);
				assert_int_equal(f.va, 0x7fff12345678ull);
				assert_int_equal(f.kind, kind);
				assert_int_equal(f.user, user);
				assert_int_equal(f.cause, rows[i].cause);
			}
		}
}

/* Not canonical: #GP, which leaves CR2 alone, so that there is no address to resolve. */
static void general_protection(void **state)
{
	const struct mmu_regs regs = arch_default_regs(a, 0);
	const struct mmu_walk w = {.cause = MMU_BAD_ADDRESS, .level = 3};
	struct syndrome s = a->ops->raise(a, &regs, 1ull << 47, ACCESS_WRITE, true, &w);
	struct mmu_fault f;

	assert_int_equal(s.vector, 13);
	assert_int_equal(s.code, 0);
	a->ops->decode(a, s, &f);
	assert_int_equal(f.cause, MMU_BAD_ADDRESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(error_codes),
		cmocka_unit_test(general_protection),
	};

	return cmocka_run_group_tests_name("x86_64", tests, NULL, NULL);
}
