/*
 * tests/unit/arch/x86_64/test_permissions.c - every access check, and every reserved bit
 *
 * Goal:   what an access does under any rights, modes and keys is what Intel SDM vol. 3A 4.6 and 4.7
 *         say: allowed or not, the error code, the entries afterwards.
 * Method: all products of the bits of a leaf, of one table entry above it, of CR0.WP, CR4.SMEP,
 *         SMAP, PKE, EFLAGS.AC, EFER.NXE and of the rights of the page's key, for every access,
 *         each leaf size, both descriptions. (All products over all levels, in one mode, are
 *         test_walk.c's.) The reference is a list of what forbids an access, one row per sentence
 *         of the manual; it shares nothing with the walker, and has its own names for the bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/page.h>

#include "arch/x86_64/x86_64.h"

/* Physical memory: one table per level, the top one first. */
static u64 frames[ARCH_LEVELS_MAX][512] __attribute__((aligned(4096)));
static const struct memory memory = {
	.direct_map = (char *)frames, .frames = ARCH_LEVELS_MAX, .page_shift = 12};

static const u64 va = 0x5a5a5a5a5a50ull;

/* ---- the manual ------------------------------------------------------------------------------- */

enum {
	USER_MODE = 1 << 0, /* the access is made in ring 3 */
	WRITE = 1 << 1,
	FETCH = 1 << 2,
	USER_PAGE = 1 << 3, /* U/S is 1 at every level */
	WRITABLE = 1 << 4,  /* R/W is 1 at every level */
	XD = 1 << 5,	    /* XD is 1 at some level */
	WP = 1 << 6,
	SMEP = 1 << 7,
	SMAP = 1 << 8,
	AC = 1 << 9,
	NXE = 1 << 10,
	PKE = 1 << 11,
	KEY_AD = 1 << 12, /* PKRU's bits for the page's key */
	KEY_WD = 1 << 13,
};

/* An access for which all of `with` and none of `without` hold is forbidden. */
struct rule {
	u32 with, without;
	bool key;
	const char *sentence;
};

static const struct rule rules[] = {
	{SMAP | USER_PAGE, USER_MODE | FETCH | AC, false,
	 "data may not be accessed from user-mode addresses with supervisor access, SMAP 1, AC 0"},
	{WRITE | WP, USER_MODE | WRITABLE, false,
	 "supervisor write, WP 1: only to where R/W is 1 in every entry"},
	{FETCH | USER_PAGE | SMEP, USER_MODE, false,
	 "supervisor fetch, SMEP 1: not from a user-mode address"},
	{FETCH | NXE | XD, 0, false, "fetch, NXE 1: not where XD is 1 in some entry"},
	{USER_MODE, USER_PAGE, false, "user access: only to user-mode addresses"},
	{USER_MODE | WRITE, WRITABLE, false, "user write: only to where R/W is 1 in every entry"},
	{PKE | USER_PAGE | KEY_AD, FETCH, true, "no data access if AD of the key is 1"},
	{PKE | USER_PAGE | KEY_WD | WRITE | USER_MODE, 0, true, "no user write if WD is 1"},
	{PKE | USER_PAGE | KEY_WD | WRITE | WP, 0, true, "no write with WP 1 if WD is 1"},
};

/* The error code for a translation that is there, or 0. */
static u32 forbidden(u32 access)
{
	u32 code = 0;

	for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
		if ((access & rules[i].with) == rules[i].with && !(access & rules[i].without))
			code |= 1 | (rules[i].key ? 32 : 0);
	return code;
}

/* W/R, U/S, I/D of the error code. */
static u32 code_of_access(u32 access)
{
	return (access & WRITE ? 2 : 0) | (access & USER_MODE ? 4 : 0) |
	       (access & FETCH && access & (NXE | SMEP) ? 16 : 0);
}

struct expected {
	bool ok;
	u32 code;
	u64 table, leaf; /* entries afterwards */
};

#define BIT(e, n) ((e) >> (n) & 1)

/* Entry by entry: is it there, is it well formed? */
static bool bad_entry(u64 e, u64 reserved, bool nxe, u32 *code)
{
	*code = 0;
	if (!BIT(e, 0))
		return true;
	*code = 1 | 8;
	return (e & reserved) || (!nxe && BIT(e, 63));
}

static struct expected manual(u64 table, u64 leaf, u64 reserved, u32 access)
{
	struct expected x = {.table = table, .leaf = leaf};

	if (bad_entry(table, reserved, access & NXE, &x.code)) {
		x.code |= code_of_access(access);
		return x;
	}
	x.table |= 1 << 5;
	if (bad_entry(leaf, reserved, access & NXE, &x.code)) {
		x.code |= code_of_access(access);
		return x;
	}
	access |= BIT(table & leaf, 1) ? WRITABLE : 0;
	access |= BIT(table & leaf, 2) ? USER_PAGE : 0;
	access |= BIT(table | leaf, 63) ? XD : 0;
	x.code = forbidden(access);
	x.ok = !x.code;
	if (x.ok)
		x.leaf |= 1 << 5 | (access & WRITE ? 1 << 6 : 0);
	else
		x.code |= code_of_access(access);
	return x;
}

/* ---- the product ---------------------------------------------------------------------------------- */

static u64 *entry(const struct arch_desc *a, u32 level)
{
	return &frames[a->levels - 1u - level][va >> (12 + 9 * level) & 511];
}

/* A way down to the leaf that forbids nothing. */
static void plain_path(const struct arch_desc *a, u32 leaf_level)
{
	memset(frames, 0, sizeof(frames));
	for (u32 level = a->levels - 1u; level > leaf_level; level--)
		*entry(a, level) = (u64)(a->levels - level) << 12 | 0x27;
}

static const struct {
	u64 control;
	u32 access;
} modes[] = {
	{X86_CTL_WP, WP}, {X86_CTL_SMEP, SMEP}, {X86_CTL_SMAP, SMAP},
	{X86_CTL_AC, AC}, {X86_CTL_NXE, NXE},
};

/* Modes by the bits of `set`; rights of the page's key 9 by `key`: 0 to 3 with PKE, 4 without. */
static struct mmu_regs regs_for(u32 set, u32 key, u32 *access)
{
	struct mmu_regs regs = {.root = {0}};

	*access = 0;
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
		if (BIT(set, i)) {
			regs.control |= modes[i].control;
			*access |= modes[i].access;
		}
	/* All rights for other keys off, so that taking another's would show. */
	regs.keys = (0xffffffffu & ~(3u << 18)) | (key & 3) << 18;
	*access |= (key & 1 ? KEY_AD : 0) | (key & 2 ? KEY_WD : 0);
	if (key < 4) {
		regs.control |= X86_CTL_PKE;
		*access |= PKE;
	} else {
		regs.keys = 0xffffffff;
		*access |= KEY_AD | KEY_WD;
	}
	return regs;
}

static u64 walks, allowed;

static void check(const struct arch_desc *a, const struct mmu_regs *regs, u32 access, u64 *table,
		  u64 *leaf, u64 table_e, u64 leaf_e, u64 reserved)
{
	static const u32 bits[ACCESS_KINDS] = {
		[ACCESS_READ] = 0, [ACCESS_WRITE] = WRITE, [ACCESS_EXEC] = FETCH};

	for (u32 kind = 0; kind < ACCESS_KINDS; kind++)
		for (u32 user = 0; user < 2; user++) {
			u32 all = access | bits[kind] | (user ? USER_MODE : 0);
			struct expected x = manual(table_e, leaf_e, reserved, all);
			struct syndrome s = {.vector = 0};
			struct mmu_walk w;
			bool ok;

			*table = table_e;
			*leaf = leaf_e;
			ok = a->ops->walk(a, &memory, regs, va, kind, user, &w);
			if (!ok)
				s = a->ops->raise(a, regs, va, kind, user, &w);
			walks++;
			allowed += ok;
			if (ok == x.ok && *table == x.table && *leaf == x.leaf &&
			    (ok || (s.code == x.code && s.va == va && s.vector == 14)))
				continue;
			fail_msg("%s: access %#x, table %#llx, leaf %#llx: %d, code %#llx, after %#llx "
				 "%#llx; manual: %d, %#x, %#llx %#llx",
				 a->name, all, (unsigned long long)table_e,
				 (unsigned long long)leaf_e, ok, (unsigned long long)s.code,
				 (unsigned long long)*table, (unsigned long long)*leaf, x.ok,
				 x.code, (unsigned long long)x.table, (unsigned long long)x.leaf);
		}
}

/* P, RW, US, XD, a reserved bit and A of the table entry; the same and D of the leaf. */
static void product(const struct arch_desc *a, u32 table_level, u32 leaf_level)
{
	const u64 reserved = 1ull << 51;
	u64 *table = entry(a, table_level), *leaf = entry(a, leaf_level), below;

	plain_path(a, leaf_level);
	below = *table & ~0xfffull;
	for (u32 set = 0; set < 1u << ARRAY_SIZE(modes); set++)
		for (u32 key = 0; key < 5; key++) {
			u32 access;
			struct mmu_regs regs = regs_for(set, key, &access);

			for (u32 t = 0; t < 64; t++)
				for (u32 l = 0; l < 128; l++) {
					u64 te = below | (t & 7) | (u64)BIT(t, 3) << 63 |
						 (BIT(t, 4) ? reserved : 0) | BIT(t, 5) << 5;
					u64 le = (l & 7) | (u64)BIT(l, 3) << 63 |
						 (BIT(l, 4) ? reserved : 0) |
						 (u64)(l >> 5) << 5 | 9ull << 59 |
						 (leaf_level ? 0x80 : 0);

					/* What the manual does not look at any more. */
					if ((!BIT(t, 0) || BIT(t, 4)) && (l != 0x27 || t & 0x2e))
						continue;
					check(a, &regs, access, table, leaf, te, le, reserved);
				}
		}
}

static void product_of_everything(void **state)
{
	walks = allowed = 0;
	product(&arch_x86_64, 1, 0);
#ifndef MMSIM_SANITIZED /* ten times slower there, and nothing more to find */
	product(&arch_x86_64, 2, 1);
	product(&arch_x86_64, 3, 2);
	product(&arch_x86_64, 3, 0);
	product(&arch_x86_64_la57, 4, 0);
	product(&arch_x86_64_la57, 3, 2);
#endif
	printf("%llu walks, %llu allowed\n", (unsigned long long)walks,
	       (unsigned long long)allowed);
	assert_in_range(allowed, walks / 32, walks / 4);
}

/* ---- reserved bits ----------------------------------------------------------------------------------- */

/* Is bit n of an entry reserved? SDM tables 4-14 to 4-20, bit by bit. */
static bool is_reserved(u32 level, bool leaf, u32 n, const struct x86_part *part, bool nxe)
{
	if (n == 63)
		return !nxe;
	if (n >= part->phys_bits && n < 52)
		return true;
	if (leaf && level == 1)
		return n >= 13 && n < 21;
	if (leaf && level == 2)
		return n >= 13 && n < 30;
	return level >= 3 && (n == 7 || (n == 8 && part->amd));
}

static enum mmu_cause cause_of(const struct arch_desc *a, u64 control)
{
	const struct mmu_regs regs = {.control = control};
	struct mmu_walk w = {.cause = MMU_CAUSES};

	(void)a->ops->walk(a, &memory, &regs, va, ACCESS_READ, true, &w);
	return w.cause;
}

static void each_bit(const struct arch_desc *a, const struct x86_part *part, u32 leaf_level)
{
	for (u32 level = leaf_level; level < a->levels; level++)
		for (u32 n = 1; n < 64; n++)
			for (u32 nxe = 0; nxe < 2; nxe++) {
				bool leaf = level == leaf_level;
				u64 control = X86_CTL_WP | (nxe ? X86_CTL_NXE : 0);

				plain_path(a, leaf_level);
				*entry(a, leaf_level) = leaf_level ? 0x87 : 7;
				/* A table elsewhere is outside of this test's memory. */
				if (!leaf && n >= 12 && n < part->phys_bits)
					continue;
				/* This makes a leaf of a table entry. */
				if (!leaf && n == 7 && level < 3)
					continue;
				*entry(a, level) |= 1ull << n;
				assert_int_equal(cause_of(a, control) == MMU_RESERVED,
						 is_reserved(level, leaf, n, part, nxe));
			}
}

static void reserved_bits(void **state)
{
	const struct arch_desc *const bases[] = {&arch_x86_64, &arch_x86_64_la57};
	const struct x86_part plain = {.phys_bits = X86_PHYS_BITS, .gigabyte_pages = true};

	for (u32 i = 0; i < ARRAY_SIZE(bases); i++) {
		for (u32 leaf = 0; leaf < 3; leaf++)
			each_bit(bases[i], &plain, leaf);
		for (u32 bits = 32; bits <= 52; bits++)
			for (u32 amd = 0; amd < 2; amd++) {
				const struct x86_part part = {
					.phys_bits = (u8)bits, .gigabyte_pages = true, .amd = amd};
				struct arch_desc a;

				x86_describe(&a, bases[i], &part);
				assert_int_equal(a.phys_bits, bits);
				for (u32 leaf = 0; leaf < 3; leaf++)
					each_bit(&a, &part, leaf);
			}
	}
}

static void no_gigabyte_pages(void **state)
{
	const struct x86_part part = {.phys_bits = 40};
	struct arch_desc a;

	x86_describe(&a, &arch_x86_64, &part);
	plain_path(&a, 2);
	*entry(&a, 2) = 0x87;
	assert_int_equal(cause_of(&a, X86_CTL_DEFAULT), MMU_RESERVED);
	assert_int_equal(cause_of(&arch_x86_64, X86_CTL_DEFAULT), MMU_CAUSES);
	plain_path(&a, 1);
	*entry(&a, 1) = 0x87;
	assert_int_equal(cause_of(&a, X86_CTL_DEFAULT), MMU_CAUSES);
}

/* Where each size's frame number begins and ends; PAT is no part of it. */
static void frame_numbers(void **state)
{
	for (u32 level = 0; level < 3; level++) {
		const struct mmu_regs regs = arch_default_regs(&arch_x86_64, 0);
		u64 size = 1ull << (12 + 9 * level), base = 0x2aaa40000000ull;
		struct mmu_walk w;

		plain_path(&arch_x86_64, level);
		*entry(&arch_x86_64, level) =
			base | (level ? 1ull << 12 | 0x80 : 0x80) | 7 | 0xe00 | 9ull << 59;
		assert_true(arch_x86_64.ops->walk(&arch_x86_64, &memory, &regs, va, ACCESS_READ,
						  true, &w));
		assert_int_equal(w.pfn, (base | (va & (size - 1))) >> 12);
		assert_int_equal(w.level, level);
		assert_int_equal(pte_key(&arch_x86_64, w.entry), 9);
		assert_int_equal(leaf_pfn(&arch_x86_64, w.entry, level), base >> 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_of_everything),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(no_gigabyte_pages),
		cmocka_unit_test(frame_numbers),
	};

	return cmocka_run_group_tests_name("x86_64 permissions", tests, NULL, NULL);
}
