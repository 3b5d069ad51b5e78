/*
 * tests/unit/arch/arm64/test_arm64.c - arm64's walks, updates and syndromes against the manual's tables
 *
 * Goal:   each product of a leaf's bits, the restrictions above it, the access and the control bits is
 *         allowed or refused, with ESR_EL1, as the Arm ARM (DDI 0487 D8) says; and an allowed
 *         access changes the descriptor as hardware would.
 * Method: the reference below has the manual's tables as text and uses none of arch.h's data nor
 *         arm64.h's names: bit numbers from the manual. QEMU is asked the same by
 *         tests/oracle/arm64_mmu.c; what QEMU 7.2 does not check is only here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/page.h>

#include "arch/arm64/arm64.h"
#include "tests/unit/test_seed.h"

#define TABLE_BYTES 65536u /* the largest; one table each */
#define TABLES 6u

static const struct arch_desc *const archs[] = {
	&arch_arm64_4k,	   &arch_arm64_16k,    &arch_arm64_64k,
	&arch_arm64_4k_52, &arch_arm64_16k_52, &arch_arm64_64k_52,
};

static u64 tables[TABLES][TABLE_BYTES / 8] __attribute__((aligned(TABLE_BYTES)));
static const u64 some_va = 0x0000123456789abcull;

#define BIT(e, n) ((e) >> (n)&1)

/* ---- a path of tables ------------------------------------------------------------------------- */

/* The entry of `level` on va's way; the tables of a path lie one after another, root first. */
static u64 *path_entry(const struct arch_desc *a, u64 va, u32 level)
{
	return &tables[a->levels - 1 - level][level_index(a, va, level)];
}

static u64 path_table(const struct arch_desc *a, u32 level)
{
	return (u64)(a->levels - level) * TABLE_BYTES;
}

static void make_path(const struct arch_desc *a, u64 va, u32 leaf_level, u64 leaf)
{
	memset(tables, 0, sizeof(tables));
	for (u32 level = a->levels - 1u; level > leaf_level; level--)
		*path_entry(a, va, level) = path_table(a, level) | 3;
	*path_entry(a, va, leaf_level) = leaf;
}

struct outcome {
	bool ok;
	u64 esr, far, pa;
};

static struct outcome walk(const struct arch_desc *a, u64 control, u64 va, enum access_kind kind,
			   bool user)
{
	const struct memory mem = {.direct_map = (char *)tables,
				   .frames = sizeof(tables) >> a->page_shift,
				   .page_shift = a->page_shift};
	const struct mmu_regs regs = {.root = {0, 0}, .control = control};
	struct mmu_walk w;
	struct syndrome s;

	if (a->ops->walk(a, &mem, &regs, va, kind, user, &w))
		return (struct outcome){
			.ok = true, .pa = w.pfn << a->page_shift | (va & ((1u << a->page_shift) - 1))};
	s = a->ops->raise(a, &regs, va, kind, user, &w);
	return (struct outcome){.esr = s.code, .far = s.va};
}

/* ---- the manual ------------------------------------------------------------------------------- */

/* ESR_EL1 of an abort: DDI 0487, ISS encoding for instruction and data aborts. */
static u64 manual_esr(enum access_kind kind, bool user, const char *fault, int level)
{
	static const struct {
		const char *fault;
		u32 base, minus_1;
	} status[] = {
		{"address size", 0x00, 0x29},
		{"translation", 0x04, 0x2b},
		{"access flag", 0x08, 0},
		{"permission", 0x0c, 0},
	};
	u64 esr = kind == ACCESS_EXEC ? 0x82000000 : 0x92000000;

	if (!user)
		esr += 0x04000000;
	if (kind == ACCESS_WRITE)
		esr |= 0x40;
	for (u32 i = 0; i < ARRAY_SIZE(status); i++)
		if (!strcmp(status[i].fault, fault))
			return esr | (level < 0 ? status[i].minus_1 : status[i].base + (u32)level);
	fail_msg("no such fault");
	return 0;
}

struct manual_modes {
	bool ha, hd, wxn, pan, hpd;
};

/*
 * May the access be made? D8.4.1, tables "data access permissions" (AP[2:1]), "hierarchical" (APTable)
 * and the rules for execution; D8.4.6 for DBM; D8.4.5 for PAN.
 */
static bool manual_allows(u64 leaf, u64 above, const struct manual_modes *m, enum access_kind kind,
			  bool user)
{
	static const struct {
		char el1[3], el0[3];
	} by_ap[4] = {{"rw", "--"}, {"rw", "rw"}, {"r-", "--"}, {"r-", "r-"}};
	u32 ap = leaf >> 6 & 3, aptable = above >> 61 & 3;
	bool uxn = BIT(leaf, 54) || BIT(above, 60), pxn = BIT(leaf, 53) || BIT(above, 59);
	char el1[3], el0[3];

	if (m->ha && m->hd && BIT(leaf, 51))
		ap &= 1; /* the dirty state mechanism: AP[2] has the effective value 0 */
	memcpy(el1, by_ap[ap].el1, 3);
	memcpy(el0, by_ap[ap].el0, 3);
	switch (aptable) {
	case 3:
	case 1: /* no access from EL0 */
		memcpy(el0, "--", 3);
		if (aptable == 1)
			break;
		/* fall through */
	case 2: /* no writes at any level */
		el1[1] = el0[1] = '-';
		break;
	}
	if (kind == ACCESS_EXEC) {
		if (user)
			return !uxn && !(m->wxn && el0[1] == 'w');
		return !pxn && el0[1] != 'w' && !(m->wxn && el1[1] == 'w');
	}
	if (!user && m->pan && (el0[0] == 'r' || el0[1] == 'w'))
		return false;
	return (user ? el0 : el1)[kind == ACCESS_WRITE] != '-';
}

/* ---- every product ----------------------------------------------------------------------------- */

static u64 leaf_address(const struct arch_desc *a, u32 level)
{
	return 5ull << level_shift(a, level);
}

/* One walk: verdict, syndrome, address, and the descriptor afterwards. Returns whether allowed. */
static bool check_one(const struct arch_desc *a, u32 level, u64 leaf, u64 above,
		      const struct manual_modes *m, enum access_kind kind, bool user)
{
	u64 control = a->default_control & 7, *p = path_entry(a, some_va, level), after = leaf;
	struct outcome got;
	const char *fault = NULL;

	control |= m->ha ? ARM64_CTL_HA : 0;
	control |= m->hd ? ARM64_CTL_HD : 0;
	control |= m->wxn ? ARM64_CTL_WXN : 0;
	control |= m->pan ? ARM64_CTL_PAN : 0;
	control |= m->hpd ? ARM64_CTL_HPD0 : ARM64_CTL_HPD1; /* the other half's means nothing */
	if (!BIT(leaf, 10) && !m->ha)
		fault = "access flag";
	else if (!manual_allows(leaf, m->hpd ? 0 : above, m, kind, user))
		fault = "permission";
	*p = leaf;
	got = walk(a, control, some_va, kind, user);
	assert_int_equal(got.ok, !fault);
	if (fault) {
		assert_int_equal(got.esr, manual_esr(kind, user, fault, 3 - (int)level));
		assert_int_equal(got.far, some_va);
		assert_int_equal(*p, leaf);
		return false;
	}
	after |= 1 << 10;
	if (kind == ACCESS_WRITE)
		after &= ~(1ull << 7); /* it was clear, or DBM let it be cleared */
	assert_int_equal(*p, after);
	assert_int_equal(got.pa, leaf_address(a, level) |
					 (some_va & ((1ull << level_shift(a, level)) - 1)));
	return true;
}

static u64 check_accesses(const struct arch_desc *a, u32 level, u64 leaf, u64 above, u64 *walks)
{
	u64 allowed = 0;

	for (u32 modes = 0; modes < 32; modes++) {
		const struct manual_modes m = {.ha = modes & 1, .hd = modes & 2, .wxn = modes & 4,
					       .pan = modes & 8, .hpd = modes & 16};

		if (m.hd && !m.ha)
			continue; /* HD without HA is not a configuration */
		for (u32 kind = 0; kind < ACCESS_KINDS; kind++)
			for (u32 user = 0; user < 2; user++, ++*walks)
				allowed += check_one(a, level, leaf, above, &m, kind, user);
	}
	return allowed;
}

/* AP[2:1], AF, DBM, PXN, UXN of the leaf; APTable, UXNTable, PXNTable above it, from the root, from
 * the table right above or from both in parts. */
static u64 check_leaf_level(const struct arch_desc *a, u32 level, u64 *walks)
{
	u64 type = level ? 1 : 3, allowed = 0;

	make_path(a, some_va, level, 0);
	for (u32 bits = 0; bits < 64; bits++) {
		u64 leaf = leaf_address(a, level) | type | (u64)(bits & 3) << 6 |
			   (u64)(bits >> 2 & 1) << 10 | (u64)(bits >> 3 & 1) << 51 |
			   (u64)(bits >> 4) << 53;

		for (u32 above = 0; above < 16; above++) {
			u32 top = a->levels - 1u, low = level + 1, split = (bits ^ above) & 3;
			u64 from_top = above, from_low = above;

			if (split == 0)
				from_low &= 5, from_top &= 10;
			if (split == 1)
				from_low = 0;
			if (split == 2)
				from_top = 0;
			if (low == top)
				from_top = above;
			*path_entry(a, some_va, low) = path_table(a, low) | 3 | from_low << 59;
			*path_entry(a, some_va, top) = path_table(a, top) | 3 | from_top << 59;
			allowed += check_accesses(a, level, leaf, (u64)above << 59, walks);
		}
	}
	return allowed;
}

static void every_product_of_bits(void **state)
{
	u64 walks = 0, allowed = 0;

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++)
		for (u32 level = 0; level < archs[i]->levels - 1u; level++)
			if (level == 0 || (archs[i]->huge_levels >> level & 1))
				allowed += check_leaf_level(archs[i], level, &walks);
	printf("%llu walks, %llu allowed\n", (unsigned long long)walks,
	       (unsigned long long)allowed);
	assert_true(allowed > walks / 8 && allowed < walks / 2);
}

/* ---- types of descriptors ------------------------------------------------------------------------ */

/* Bytes that a block of the manual's `level` maps; 0: there are no blocks (table D8-...: block
 * descriptors by granule; the last row needs 52-bit outputs). */
static bool manual_has_block(u32 page_shift, bool wide, int level)
{
	switch (page_shift) {
	case 12:
		return level == 1 || level == 2 || (wide && level == 0);
	case 14:
		return level == 2 || (wide && level == 1);
	default:
		return level == 2 || (wide && level == 1);
	}
}

static void types_of_descriptors(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct arch_desc *a = archs[i];
		bool wide = a->phys_bits == 52;

		for (u32 level = 0; level < a->levels; level++)
			for (u64 type = 0; type < 4; type++) {
				int manual_level = 3 - (int)level;
				bool leaf = level == 0 ? type == 3
						       : type == 1 && manual_has_block(
									      a->page_shift, wide,
									      manual_level);
				struct outcome got;

				if (level && type == 3)
					continue; /* a table: the level below has its turn */
				make_path(a, some_va, level, 1 << 10 | 1 << 6 | type);
				got = walk(a, a->default_control, some_va, ACCESS_READ, true);
				assert_int_equal(got.ok, leaf);
				if (!leaf)
					assert_int_equal(got.esr, manual_esr(ACCESS_READ, true,
									     "translation",
									     manual_level));
			}
	}
}

/* ---- widths of addresses ------------------------------------------------------------------------- */

/* Where bit n of an output address is in a descriptor; -1: nowhere. */
static int address_bit(const struct arch_desc *a, u32 n)
{
	bool wide = a->phys_bits == 52;

	if (n < a->page_shift)
		return -1;
	if (a->page_shift == 16)
		return n < 48 ? (int)n : wide ? (int)n - 48 + 12 : -1;
	if (!wide)
		return n < 48 ? (int)n : -1;
	return n < 50 ? (int)n : (int)n - 50 + 8;
}

static void output_address_size(void **state)
{
	static const u32 widths[] = {32, 36, 40, 42, 44, 48, 52};

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++)
		for (u32 ips = 0; ips < ARRAY_SIZE(widths); ips++)
			for (u32 n = 12; n < 52; n++)
				for (u32 level = 0; level < archs[i]->levels; level++) {
					const struct arch_desc *a = archs[i];
					int bit = address_bit(a, n);
					bool small = n >= widths[ips], table;
					struct outcome got;
					u64 e;

					if (bit < 0 || n < level_shift(a, level))
						continue;
					table = level && !(a->huge_levels >> level & 1);
					/* A table that is not too far away must be there. */
					if (table && !small)
						continue;
					e = 1ull << bit | 1 << 10 | 1 << 6 | (level && !table ? 1 : 3);
					make_path(a, some_va, level, e);
					got = walk(a, ips, some_va, ACCESS_WRITE, true);
					assert_int_equal(got.ok, !small);
					if (small)
						assert_int_equal(got.esr,
								 manual_esr(ACCESS_WRITE, true,
									    "address size",
									    3 - (int)level));
					else
						assert_int_equal(got.pa >> level_shift(a, level),
								 1ull << (n - level_shift(a, level)));
				}
}

/* The two halves; everything between them is a translation fault of level 0, whatever the level
 * where walks start. */
static void input_address_size(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct arch_desc *a = archs[i];
		u32 bits = level_shift(a, a->levels);
		u64 low = some_va, high = some_va | ~0ull << bits;

		make_path(a, some_va, 0, 1 << 10 | 1 << 6 | 0x30000 | 3);
		assert_true(walk(a, a->default_control, low, ACCESS_READ, true).ok);
		assert_true(walk(a, a->default_control, high, ACCESS_READ, true).ok);
		for (u32 n = bits; n < 64; n++) {
			struct outcome got;

			got = walk(a, a->default_control, low ^ 1ull << n, ACCESS_READ, false);
			assert_int_equal(got.esr, manual_esr(ACCESS_READ, false, "translation", 0));
			got = walk(a, a->default_control, high ^ 1ull << n, ACCESS_READ, false);
			assert_int_equal(got.esr, manual_esr(ACCESS_READ, false, "translation", 0));
			assert_int_equal(got.far, high ^ 1ull << n);
		}
	}
}

/* ---- the kernel's entry --------------------------------------------------------------------------- */

/* Syndromes as they are seen in dumps, and what they say. */
static void syndromes_by_hand(void **state)
{
	static const struct {
		u64 esr;
		struct mmu_fault f;
	} cases[] = {
		{0x92000047, {0, ACCESS_WRITE, true, MMU_ABSENT}},
		{0x92000006, {0, ACCESS_READ, true, MMU_ABSENT}},
		{0x9200002b, {0, ACCESS_READ, true, MMU_ABSENT}},
		{0x9600000f, {0, ACCESS_READ, false, MMU_DENIED}},
		{0x9600004f, {0, ACCESS_WRITE, false, MMU_DENIED}},
		{0x8200000b, {0, ACCESS_EXEC, true, MMU_NOT_ACCESSED}},
		{0x8600000f, {0, ACCESS_EXEC, false, MMU_DENIED}},
		{0x86000029, {0, ACCESS_EXEC, false, MMU_BAD_OUTPUT}},
		{0x92000001, {0, ACCESS_READ, true, MMU_BAD_OUTPUT}},
		{0x92000050, {0, ACCESS_WRITE, true, MMU_RESERVED}}, /* an external abort */
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct syndrome s = {.code = cases[i].esr, .va = 0x123000 + i};
		struct mmu_fault f;

		arch_arm64_4k.ops->decode(&arch_arm64_4k, s, &f);
		assert_int_equal(f.va, s.va);
		assert_int_equal(f.kind, cases[i].f.kind);
		assert_int_equal(f.user, cases[i].f.user);
		assert_int_equal(f.cause, cases[i].f.cause);
	}
}

static void decode_undoes_raise(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++)
		for (u32 cause = 0; cause < MMU_CAUSES; cause++)
			for (u32 level = 0; level < archs[i]->levels; level++)
				for (u32 access = 0; access < 2 * ACCESS_KINDS; access++) {
					const struct arch_desc *a = archs[i];
					const struct mmu_walk w = {.level = (u8)level,
								   .cause = cause};
					const struct mmu_regs regs = {.control = a->default_control};
					enum mmu_cause want = cause;
					struct mmu_fault f;
					struct syndrome s;

					/* Causes that this MMU does not have. */
					if (cause == MMU_RESERVED || cause == MMU_KEY)
						continue;
					/* There is no leaf at level -1. */
					if (level == 4 && (cause == MMU_DENIED ||
							   cause == MMU_NOT_ACCESSED ||
							   cause == MMU_NOT_DIRTY))
						continue;
					if (cause == MMU_NOT_DIRTY)
						want = MMU_DENIED; /* the kernel sees no more */
					if (cause == MMU_BAD_ADDRESS)
						want = MMU_ABSENT;
					s = a->ops->raise(a, &regs, some_va, access / 2, access % 2,
							  &w);
					a->ops->decode(a, s, &f);
					assert_int_equal(f.va, some_va);
					assert_int_equal(f.kind, access / 2);
					assert_int_equal(f.user, access % 2);
					assert_int_equal(f.cause, want);
				}
}

/* ---- Linux's use of the bits ---------------------------------------------------------------------- */

/* AP[2] off means dirty, whoever took it off; taking the right to write away must not lose that. */
static void dirty_by_hardware(void **state)
{
	const u64 ap2 = 1ull << 7, dbm = 1ull << 51, sw_dirty = 1ull << 55;

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct arch_desc *a = archs[i];
		pte_t clean = pte_make(a, 1, PTE_WRITE | PTE_READ | PTE_ACCESSED), dirty;

		assert_int_equal(clean & (ap2 | dbm | sw_dirty), ap2 | dbm);
		assert_false(pte_has(a, clean, PTE_DIRTY));
		dirty = clean & ~ap2; /* a store */
		assert_true(pte_has(a, dirty, PTE_WRITE | PTE_DIRTY));
		assert_true(pte_attrs(a, dirty) & PTE_DIRTY);
		assert_int_equal(pte_clear_attrs(a, dirty, PTE_WRITE) & (ap2 | dbm | sw_dirty),
				 ap2 | sw_dirty);
		assert_int_equal(pte_clear_attrs(a, dirty, PTE_DIRTY), clean);
		assert_int_equal(pte_clear_attrs(a, dirty, PTE_ACCESSED) & sw_dirty, sw_dirty);
		/* By software: as Linux's pte_mkdirty(). */
		assert_int_equal(pte_set_attrs(a, clean, PTE_DIRTY) & (ap2 | dbm | sw_dirty),
				 dbm | sw_dirty);
		/* Dirty and read-only, then writable again: no fault for the next store. */
		dirty = pte_set_attrs(a, pte_clear_attrs(a, dirty, PTE_WRITE), PTE_WRITE);
		assert_int_equal(dirty & ap2, 0);
	}
}

static void prot_none(void **state)
{
	const u64 valid = 1, ng = 1 << 11;

	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct arch_desc *a = archs[i];
		u64 pa = 3ull << a->page_shift;
		pte_t shown = pte_make(a, 3, PTE_READ | PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);
		pte_t hidden = pte_set_attrs(a, shown, PTE_HIDDEN);

		assert_int_equal(shown & (valid | ng), valid | ng);
		assert_int_equal(hidden & (valid | ng), ng);
		assert_true(pte_present(a, hidden));
		assert_true(pte_has(a, hidden, PTE_HIDDEN | PTE_DIRTY));
		assert_int_equal(pte_pfn(a, hidden), pa >> a->page_shift);
		assert_int_equal(pte_clear_attrs(a, hidden, PTE_HIDDEN), shown);
		make_path(a, some_va, 0, hidden);
		assert_int_equal(walk(a, a->default_control, some_va, ACCESS_READ, true).esr,
				 manual_esr(ACCESS_READ, true, "translation", 3));
	}
}

/* A user's page as generic code makes it, without hardware Accessed and Dirty: the first touch and
 * the first store fault, and each is put right by the attribute that the fault asks for. */
static void first_touch_without_hafdbs(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct arch_desc *a = archs[i];
		u64 control = a->default_control & ~(ARM64_CTL_HA | ARM64_CTL_HD), *p;
		pte_t e = pte_make(a, 3, PTE_USER | PTE_READ | PTE_WRITE);

		make_path(a, some_va, 0, e);
		p = path_entry(a, some_va, 0);
		assert_int_equal(walk(a, control, some_va, ACCESS_READ, true).esr,
				 manual_esr(ACCESS_READ, true, "access flag", 3));
		assert_int_equal(*p, e);
		*p = pte_set_attrs(a, *p, PTE_ACCESSED);
		assert_true(walk(a, control, some_va, ACCESS_READ, true).ok);
		assert_int_equal(walk(a, control, some_va, ACCESS_WRITE, true).esr,
				 manual_esr(ACCESS_WRITE, true, "permission", 3));
		*p = pte_set_attrs(a, *p, PTE_DIRTY);
		assert_true(walk(a, control, some_va, ACCESS_WRITE, true).ok);
		/* With it, neither. */
		*p = e;
		assert_true(walk(a, a->default_control, some_va, ACCESS_WRITE, true).ok);
		assert_true(pte_has(a, *p, PTE_ACCESSED | PTE_DIRTY));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_product_of_bits),
		cmocka_unit_test(types_of_descriptors),
		cmocka_unit_test(output_address_size),
		cmocka_unit_test(input_address_size),
		cmocka_unit_test(syndromes_by_hand),
		cmocka_unit_test(decode_undoes_raise),
		cmocka_unit_test(dirty_by_hardware),
		cmocka_unit_test(prot_none),
		cmocka_unit_test(first_touch_without_hafdbs),
	};

	return cmocka_run_group_tests_name("arm64", tests, NULL, NULL);
}
