/*
 * tests/unit/arch/test_arch.c - every architecture description says what it means
 *
 * Goal: entries survive encoding and decoding for every combination of attributes, on every
 * architecture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/arch/every_arch.h"

#define for_each_arch(a) for (u32 i_ = 0; (a = test_arch(i_)); i_++)

static u64 some_pfn(const struct arch_desc *a, u32 n)
{
	u64 widest = pte_pfn(a, (a->pfn_mask | a->pfn_hi_mask) & ~a->reserved_leaf[0]);
	const u64 pfns[] = {
		0, 1, 2, 0x12345, widest, widest & ~1ull, widest & 0x5555555555555555ull};

	return n < ARRAY_SIZE(pfns) ? pfns[n] & widest : ~0ull;
}

/* What pte_attrs() must say of an entry made with attrs: attributes without bits are always on. */
static u32 expected_attrs(const struct arch_desc *a, u32 attrs)
{
	for (u32 i = 0; i < PTE_BIT_COUNT; i++)
		if (!(a->set[i] | a->clear[i]))
			attrs |= 1u << i;
	return a->hidden_set ? attrs : attrs & ~(u32)PTE_HIDDEN;
}

static void geometry(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a)
	{
		u32 shift = a->page_shift;

		assert_in_range(a->levels, 1, ARCH_LEVELS_MAX);
		for (u32 level = 0; level < a->levels; level++) {
			assert_int_equal(level_shift(a, level), shift);
			shift += a->idx_bits[level];
		}
		assert_int_equal(level_shift(a, a->levels), shift);
		assert_true(a->task_size <= 1ull << shift);
		assert_int_equal(a->task_size % arch_page_bytes(a), 0);
		assert_int_equal(a->huge_levels & 1, 0);
		assert_int_equal(a->huge_levels >> a->levels, 0);
	}
}

static void find_by_name(void **state)
{
	for (u32 i = 0; arch_all[i]; i++)
		assert_ptr_equal(arch_find(arch_all[i]->name), arch_all[i]);
	assert_ptr_equal(arch_find("x86_64"), &arch_x86_64);
	assert_ptr_equal(arch_find("x86_64-la57"), &arch_x86_64_la57);
	assert_null(arch_find("vax"));
	assert_null(arch_find(""));
}

static void leaf_round_trip(void **state)
{
	const struct arch_desc *a;
	u64 pfn;

	for_each_arch(a) for (u32 n = 0; (pfn = some_pfn(a, n)) != ~0ull;
			      n++) for (u32 attrs = 0; attrs <= PTE_ATTR_MASK; attrs++)
	{
		pte_t e = pte_make(a, pfn, attrs);

		assert_true(pte_present(a, e));
		assert_true(entry_is_leaf(a, e, 0));
		assert_int_equal(pte_pfn(a, e), pfn);
		assert_int_equal(pte_attrs(a, e), expected_attrs(a, attrs));
		assert_int_equal(e & a->reserved_leaf[0], 0);
		for (u32 ask = 0; ask <= PTE_ATTR_MASK; ask++)
			assert_int_equal(pte_has(a, e, ask),
					 (expected_attrs(a, attrs) & ask) == ask);
	}
}

/* A PROT_NONE entry is there for software and not for the MMU, at any level, and comes back. */
static void hidden_entries(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a) for (u32 attrs = 0; attrs < PTE_HIDDEN; attrs++)
		for (u32 level = 0; level < a->levels; level++)
		{
			pte_t shown = pte_make(a, 0, attrs), hidden;

			if (level > 0 && !(a->huge_levels >> level & 1))
				continue;
			if (level > 0)
				shown = huge_make(a, 0, attrs);
			assert_int_equal(shown & a->hw_present[level], a->hw_present[level]);
			hidden = pte_set_attrs(a, shown, PTE_HIDDEN);
			assert_true(pte_present(a, hidden));
			assert_true(entry_is_leaf(a, hidden, level));
			assert_true(!a->hidden_set || (hidden & a->hw_present[level]) !=
							      a->hw_present[level]);
			assert_int_equal(pte_clear_attrs(a, hidden, PTE_HIDDEN), shown);
			assert_int_equal(pte_clear_attrs(a, shown, PTE_HIDDEN), shown);
		}
}

/* Which addresses exist, and whose root translates them. */
static void halves(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a)
	{
		u64 width = level_shift(a, a->levels);
		u32 root;

		assert_true(va_root(a, 0, &root));
		assert_int_equal(root, 0);
		assert_true(va_root(a, a->task_size - 1, &root));
		assert_int_equal(root, 0);
		assert_true(va_root(a, a->va_half[1], &root));
		assert_int_equal(root, a->upper_root);
		assert_true(va_root(a, a->va_half[1] | ~a->va_mask, &root));
		assert_false(va_root(a, 1ull << width, &root));
		assert_false(va_root(a, 1ull << 63 | 1ull << (width - 1), &root) &&
			     a->va_half[1] >> 62 != 2);
		assert_true(a->upper_root < ARCH_ROOTS_MAX);
	}
}

static void keys(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a) for (u32 key = 0; key < 16 && a->key_mask; key++)
	{
		pte_t e = pte_set_key(a, pte_make(a, 0x123, PTE_USER | PTE_READ), key);

		assert_int_equal(pte_key(a, e), key);
		assert_int_equal(pte_set_key(a, e, 0), pte_make(a, 0x123, PTE_USER | PTE_READ));
		assert_int_equal(pte_attrs(a, e), pte_attrs(a, pte_set_key(a, e, 0)));
	}
}

/* Every bit that an entry can be made of has a name where it occurs. */
static void field_names(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a)
	{
		u64 named = a->pfn_mask | a->pfn_hi_mask;

		for (const struct pte_field *f = a->fields; f && f->name; f++) {
			assert_int_equal(f->value & ~f->mask, 0);
			assert_true(f->levels != 0 && f->where != 0);
			assert_int_equal(f->levels >> ARCH_LEVELS_MAX, 0);
			if ((f->where & IN_LEAF) && (f->levels & 1))
				named |= f->mask;
		}
		if (a->fields)
			assert_int_equal(pte_make(a, 0, PTE_ATTR_MASK) & ~named, 0);
	}
}

/* Changing attributes one set at a time ends in the very entry that making it at once gives. */
static void attribute_changes(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a) for (u32 from = 0; from <= PTE_ATTR_MASK;
			      from++) for (u32 change = 0; change <= PTE_ATTR_MASK; change++)
	{
		pte_t e = pte_make(a, 0x123, from);

		assert_int_equal(pte_set_attrs(a, e, change), pte_make(a, 0x123, from | change));
		assert_int_equal(pte_clear_attrs(a, e, change), pte_make(a, 0x123, from & ~change));
	}
}

static void tables_and_huge_leaves(void **state)
{
	const struct arch_desc *a;
	u64 pfn;

	for_each_arch(a) for (u32 level = 1; level < a->levels; level++)
	{
		for (u32 n = 0; (pfn = some_pfn(a, n)) != ~0ull; n++) {
			pte_t e = table_make(a, pfn, level);

			assert_true(pte_present(a, e));
			assert_false(entry_is_leaf(a, e, level));
			assert_int_equal(table_pfn(a, e), pfn);
			assert_int_equal(e & a->reserved_table[level], 0);
			assert_int_equal(e & a->table_accessed, a->table_accessed);
		}
		if (!(a->huge_levels >> level & 1))
			continue;
		for (u32 attrs = 0; attrs <= PTE_ATTR_MASK; attrs++) {
			u64 aligned = 3ull << (level_shift(a, level) - a->page_shift);
			pte_t e = huge_make(a, aligned, attrs);

			assert_true(entry_is_leaf(a, e, level));
			assert_int_equal(pte_pfn(a, e), aligned);
			assert_int_equal(pte_attrs(a, e), expected_attrs(a, attrs));
			assert_int_equal(e & a->reserved_leaf[level], 0);
		}
	}
}

/* An empty entry and one that merely holds software data mean nothing to the MMU. */
static void absent_entries(void **state)
{
	const struct arch_desc *a;

	for_each_arch(a)
	{
		assert_false(pte_present(a, 0));
		assert_false(pte_present(a, pte_make(a, 0x123, PTE_ATTR_MASK) & ~a->present));
	}
}

/* arm64: the MMU's write permission must be off until an entry is both writable and dirty. */
static void clean_entries_are_read_only(void **state)
{
	const struct arch_desc *a = arch_find("arm64-16k");
	const pte_t ap2 = 1ull << 7;

	assert_int_equal(pte_make(a, 1, PTE_WRITE | PTE_DIRTY) & ap2, 0);
	assert_int_equal(pte_make(a, 1, PTE_WRITE) & ap2, ap2);
	assert_int_equal(pte_make(a, 1, PTE_DIRTY) & ap2, ap2);
	assert_int_equal(pte_make(a, 1, 0) & ap2, ap2);
}

/* Bits in two places and in the other byte order, against numbers worked out by hand. */
static void odd_formats(void **state)
{
	/* PA 0xa_1234_5678_0000: 51:48 = 0xa goes to 15:12. */
	pte_t e = pte_make(arch_find("arm64-64k-52"), 0xa123456780000ull >> 16, 0);

	assert_int_equal(e & 0x0000fffffffff000ull, 0x000012345678a000ull);
	e = table_make(&arch_ppc64_radix, 0x7, 2);
	assert_int_equal(e, __builtin_bswap64(0x8000000000070009ull));
	e = pte_make(&arch_ppc64_radix, 0x7, PTE_USER | PTE_READ | PTE_ACCESSED);
	assert_int_equal(e, __builtin_bswap64(0xc000000000070104ull));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(geometry),
		cmocka_unit_test(find_by_name),
		cmocka_unit_test(leaf_round_trip),
		cmocka_unit_test(hidden_entries),
		cmocka_unit_test(halves),
		cmocka_unit_test(keys),
		cmocka_unit_test(field_names),
		cmocka_unit_test(attribute_changes),
		cmocka_unit_test(tables_and_huge_leaves),
		cmocka_unit_test(absent_entries),
		cmocka_unit_test(clean_entries_are_read_only),
		cmocka_unit_test(odd_formats),
	};

	return cmocka_run_group_tests_name("arch", tests, NULL, NULL);
}
