/*
 * tests/unit/arch/ppc64/test_radix.c - ppc64 radix: every access check, every field, every syndrome
 *
 * Goal:   the walker decides as Power ISA 3.0B Book III 5.7.10 to 5.7.12 say, for the whole product
 *         of what a leaf's bits, an access and a state can be; the interrupts report what 6.5 says.
 * Method: the reference writes rights as strings, from the manual's tables, and knows nothing of
 *         arch.h's data. Constants worked out by hand check it and the encodings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/page.h>

#include "arch/ppc64/ppc64.h"

#define FRAMES 8u

static u64 frames[FRAMES][8192] __attribute__((aligned(65536)));
static const struct memory memory = {
	.direct_map = (char *)frames, .frames = FRAMES, .page_shift = 16};
static const struct mmu_regs regs = {.root = {0, 0}};

static const char kind_letter[] = "rwx";

/* The manual's way: which letters does a leaf grant to the state, then Reference and Change.
 * Returns DSISR or SRR1's causes; 0: the access is made. */
static u32 reference(u64 pte, char kind, bool problem_state)
{
	static const char *const granted[8] = {
		/* EAA bits 1:3, read, read/write, execute */
		"", "x", "rw", "rwx", "r", "rx", "rw", "rwx",
	};
	char rights[4] = "";
	bool guarded = (pte >> 4 & 3) == 2;

	if (!(pte >> 3 & 1) || !problem_state)
		strcpy(rights, granted[pte & 7]);
	if (!strchr(rights, kind) || (kind == 'x' && guarded))
		return kind == 'x' ? 0x10000000 : kind == 'w' ? 0x0a000000 : 0x08000000;
	if (!(pte >> 8 & 1) || (kind == 'w' && !(pte >> 7 & 1)))
		return kind == 'w' ? 0x02040000 : 0x00040000;
	return 0;
}

/* One leaf at `level` for va, in tables at frames 0.. on the way. */
static u64 *leaf_at(u64 va, u32 level)
{
	const struct arch_desc *a = &arch_ppc64_radix;
	u32 frame = 0;

	for (u32 l = a->levels - 1u;; l--) {
		u64 *p = &frames[frame][level_index(a, va, l)];

		if (l == level)
			return p;
		*p = table_make(a, ++frame, l);
	}
}

static void product_of_bits(void **state)
{
	const struct arch_desc *a = &arch_ppc64_radix;
	const u64 va = 0x7123456789abcull;
	const u64 rpn[] = {0x12345670000ull, 0x12345600000ull, 0x140000000ull};
	u32 cases = 0, made = 0;

	for (u32 level = 0; level < 3; level++) {
		u64 *p = leaf_at(va, level), inside = level_bytes(a, level) - 1;

		/* R, C, two software bits' worth that must not matter, ATT, EAA. */
		for (u64 bits = 0; bits < 0x200; bits++)
			for (u32 kind = 0; kind < ACCESS_KINDS; kind++)
				for (u32 user = 0; user < 2; user++, cases++) {
					u64 pte = 3ull << 62 | rpn[level] | bits | (bits & 0x40 ? 0x400 : 0);
					u32 want = reference(pte, kind_letter[kind], user);
					struct mmu_walk w;
					struct syndrome s;

					*p = BE(pte);
					assert_int_equal(a->ops->walk(a, &memory, &regs, va,
								      (enum access_kind)kind, user, &w),
							 !want);
					assert_int_equal(BE(*p), pte); /* software's, all of it */
					assert_int_equal(w.level, level);
					if (!want) {
						assert_int_equal(w.pfn, (rpn[level] | (va & inside)) >> 16);
						made++;
						continue;
					}
					s = a->ops->raise(a, &regs, va, (enum access_kind)kind, user, &w);
					assert_int_equal(s.vector, kind == ACCESS_EXEC ? 0x400 : 0x300);
					assert_int_equal(s.code & PPC64_CODE_CAUSES, want);
					assert_int_equal(s.va, va);
				}
		memset(frames, 0, sizeof(frames));
	}
	/*
	 * Made, of 2^9 bits: EAA and state allow 12 of 16 x 2 a load (user 6, privileged 12: read
	 * or write), a store 4 + 8, a fetch 4 + 8 in 3 of 4 ATT; R on half; C on half of stores.
	 */
	assert_int_equal(made, 3 * 2 /* bit 6 */ * (4 * 2 * (6 + 12) + 4 * (4 + 8) + 3 * 2 * (4 + 8)));
	assert_int_equal(cases, 3 * 512 * 6);
}

/* What a program on bare metal is told, with the values that a processor gives. */
static void interrupts(void **state)
{
	const struct arch_desc *a = &arch_ppc64_radix;
	static const struct {
		u64 pte;
		u32 kind;
		bool user;
		u32 vector, causes;
	} cases[] = {
		{0, ACCESS_READ, true, 0x300, 0x40000000},
		{0, ACCESS_WRITE, true, 0x300, 0x42000000},
		{0, ACCESS_EXEC, true, 0x400, 0x40000000},
		{0xc000000000000006ull, ACCESS_READ, false, 0x300, 0x00040000}, /* neither R nor C */
		{0xc000000000000006ull, ACCESS_WRITE, false, 0x300, 0x02040000},
		{0xc000000000000106ull, ACCESS_WRITE, false, 0x300, 0x02040000}, /* R, no C */
		{0xc000000000000100ull, ACCESS_READ, false, 0x300, 0x08000000},
		{0xc000000000000100ull, ACCESS_WRITE, false, 0x300, 0x0a000000},
		{0xc000000000000104ull, ACCESS_WRITE, false, 0x300, 0x0a000000},
		{0xc000000000000186ull, ACCESS_EXEC, false, 0x400, 0x10000000},
		{0xc000000000000001ull, ACCESS_EXEC, false, 0x400, 0x00040000},
		{0xc000000000000000ull, ACCESS_EXEC, false, 0x400, 0x10000000}, /* not RC too */
		{0xc00000000000018full, ACCESS_READ, true, 0x300, 0x08000000},  /* privileged */
		{0xc000000000000121ull, ACCESS_EXEC, true, 0x400, 0x10000000},  /* guarded */
	};
	const u64 va = 0x1234500000ull;
	u64 *p = leaf_at(va, 0);

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mmu_walk w;
		struct mmu_fault f;
		struct syndrome s;
		enum access_kind kind = (enum access_kind)cases[i].kind;

		*p = BE(cases[i].pte);
		assert_false(a->ops->walk(a, &memory, &regs, va, kind, cases[i].user, &w));
		s = a->ops->raise(a, &regs, va, kind, cases[i].user, &w);
		assert_int_equal(s.vector, cases[i].vector);
		assert_int_equal(s.code & PPC64_CODE_CAUSES, cases[i].causes);
		a->ops->decode(a, s, &f);
		assert_int_equal(f.va, va);
		assert_int_equal(f.kind, kind);
		assert_int_equal(f.user, cases[i].user);
		/* A store that lacks both R and C cannot say so. */
		if (w.cause == MMU_NOT_ACCESSED && kind == ACCESS_WRITE)
			w.cause = MMU_NOT_DIRTY;
		assert_int_equal(f.cause, w.cause);
	}
}

/* Addresses beyond the tree, malformed tables. */
static void no_address_and_no_table(void **state)
{
	const struct arch_desc *a = &arch_ppc64_radix;
	struct mmu_walk w;
	struct mmu_fault f;
	struct syndrome s;
	const u64 va = 0x7123456789abcull;
	u64 *p = leaf_at(va, 1);

	for (u32 bit = 52; bit < 64; bit++) {
		u64 bad = va | 1ull << bit; /* quadrants 1 and 2 among them */

		assert_false(a->ops->walk(a, &memory, &regs, bad, ACCESS_READ, true, &w));
		assert_int_equal(w.cause, MMU_BAD_ADDRESS);
		s = a->ops->raise(a, &regs, bad, ACCESS_READ, true, &w);
		assert_int_equal(s.vector, 0x380);
		s = a->ops->raise(a, &regs, bad, ACCESS_EXEC, true, &w);
		assert_int_equal(s.vector, 0x480);
		a->ops->decode(a, s, &f);
		assert_int_equal(f.cause, MMU_BAD_ADDRESS);
	}
	/* Quadrant 3 is translated by the other root. */
	*p = BE(0xc000000000200184ull);
	assert_true(a->ops->walk(a, &memory, &regs, va | 3ull << 62, ACCESS_READ, true, &w));
	assert_int_equal(w.pfn, 0x20 + 0x18); /* 2 MiB at 0x200000, and va in it */
}

static void fields(void **state)
{
	const struct arch_desc *a[] = {&arch_ppc64_radix, &arch_ppc64_radix_4k};

	for (u32 i = 0; i < ARRAY_SIZE(a); i++) {
		for (u32 bit = a[i]->page_shift; bit < 57; bit++) {
			u64 pfn = 1ull << (bit - a[i]->page_shift);

			assert_int_equal(BE(pte_make(a[i], pfn, 0)), 0xc000000000000008ull | 1ull << bit);
			assert_int_equal(pte_pfn(a[i], pte_make(a[i], pfn, PTE_ATTR_MASK)), pfn);
		}
		for (u32 level = 1; level < a[i]->levels; level++)
			for (u32 bit = a[i]->page_shift; bit < 60; bit++) {
				u64 pfn = 1ull << (bit - a[i]->page_shift);

				assert_int_equal(BE(table_make(a[i], pfn, level)),
						 1ull << 63 | 1ull << bit | a[i]->idx_bits[level - 1]);
			}
	}
	assert_int_equal(BE(pte_make(a[0], 7, PTE_WRITE | PTE_READ | PTE_USER | PTE_EXEC | PTE_ACCESSED |
						      PTE_DIRTY | PTE_SPECIAL)),
			 0xc000000000070587ull);
}

static void process_entries(void **state)
{
	u32 bits, root_bits;
	u64 root;

	/* RTS 21 is 0b10 | 0b101. */
	assert_int_equal(radix_process_entry(&arch_ppc64_radix, 0x4560000), 0x40000000045600adull);
	for (u32 rts = 0; rts < 32; rts++)
		for (u32 bit = 8; bit < 60; bit++) {
			u64 prte = (u64)(rts >> 3) << 61 | (rts & 7) << 5 | 1ull << bit | (rts ^ 21);

			radix_process_entry_read(prte, &bits, &root, &root_bits);
			assert_int_equal(bits, 31 + rts);
			assert_int_equal(root, 1ull << bit);
			assert_int_equal(root_bits, rts ^ 21);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_of_bits),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(no_address_and_no_table),
		cmocka_unit_test(fields),
		cmocka_unit_test(process_entries),
	};

	return cmocka_run_group_tests_name("ppc64 radix", tests, NULL, NULL);
}
