/*
 * tests/unit/arch/test_walk.c - the walker against a slow, obvious decode of the same tables
 *
 * Goal:   arch_walk_tree() translates, refuses, and sets Accessed and Dirty as the manual says.
 * Method: the reference below is x86-64 only and works on bit numbers from Intel SDM vol. 3A
 * chapter 4, none of arch.h's data. It judges every product of the permission bits of all levels,
 * and random tables. It predicts the entries after the access too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <mmsim/page.h>

#include "arch/x86_64/x86_64.h"
#include "tests/unit/arch/every_arch.h"
#include "tests/unit/test_seed.h"

#define FRAMES 8u

/* Physical memory: frame 0 is the root, then one table per level. */
static u64 frames[FRAMES][8192] __attribute__((aligned(65536)));
static const struct memory memory_4k = {
	.direct_map = (char *)frames, .frames = FRAMES, .page_shift = 12};

#define BIT(e, n) ((e) >> (n)&1)

struct verdict {
	bool ok;
	u64 code, pa;
	u64 after[4]; /* entries of levels 0..3 on the path */
};

/* The entry of `level` (4: PML4E .. 1: PTE) on the path of va. */
static u64 *slow_entry(u64 table, u64 va, int level)
{
	return (u64 *)((char *)frames + table) + (va >> (3 + 9 * level) & 511);
}

/* SDM 4.5: walk, collect permissions, then judge (4.6, 4.7, 4.8). */
static struct verdict slow_walk(u64 va, bool write, bool fetch, bool user)
{
	struct verdict v = {.ok = false};
	u64 table = 0, rw = 1, us = 1, nx = 0, e = 0, *p = NULL;
	u64 code = (u64)write << 1 | (u64)user << 2 | (u64)fetch << 4;
	int level;

	for (level = 4; level > 0; level--) {
		u64 reserved = 0x000fc00000000000ull; /* 51:46 for MAXPHYADDR 46 */
		bool leaf;

		p = slow_entry(table, va, level);
		e = *p;
		v.after[level - 1] = e;
		if (!BIT(e, 0)) {
			v.code = code;
			return v;
		}
		leaf = level == 1 || (level <= 3 && BIT(e, 7));
		if (level == 4)
			reserved |= 1 << 7;
		if (level == 2 && leaf)
			reserved |= 0x1fe000;
		if (level == 3 && leaf)
			reserved |= 0x3fffe000;
		if (e & reserved) {
			v.code = code | 1 | 8;
			return v;
		}
		rw &= BIT(e, 1);
		us &= BIT(e, 2);
		nx |= BIT(e, 63);
		if (leaf)
			break;
		v.after[level - 1] = e | 1 << 5;
		table = e & 0x000ffffffffff000ull;
	}
	if ((user && !us) || (write && !rw) || (fetch && nx)) {
		v.code = code | 1;
		return v;
	}
	v.ok = true;
	v.after[level - 1] = e | 1 << 5 | (u64)write << 6;
	v.pa = (e & 0x000ffffffffff000ull) & ~((1ull << (3 + 9 * level)) - 1);
	v.pa |= va & ((1ull << (3 + 9 * level)) - 1);
	return v;
}

/* Returns whether the access is allowed. */
static bool compare(u64 va, enum access_kind kind, bool user)
{
	const struct arch_desc *a = &arch_x86_64;
	/* For users, SMEP and SMAP change nothing but the way: see walk_plain(). */
	const struct mmu_regs regs = {.control = user ? X86_CTL_DEFAULT
						      : X86_CTL_WP | X86_CTL_NXE};
	struct verdict want = slow_walk(va, kind == ACCESS_WRITE, kind == ACCESS_EXEC, user);
	u64 path[4] = {0};
	u64 *entry[4] = {NULL};
	u64 table = 0;
	struct mmu_walk w;
	bool ok;

	for (int level = 4; level > 0; level--) {
		entry[level - 1] = slow_entry(table, va, level);
		path[level - 1] = *entry[level - 1];
		if (!BIT(path[level - 1], 0) || level == 1 ||
		    (level < 4 && BIT(path[level - 1], 7)) ||
		    (path[level - 1] & 0x000fffffffff8000ull) >> 12 >= FRAMES)
			break;
		table = path[level - 1] & 0x000ffffffffff000ull;
	}
	ok = a->ops->walk(a, &memory_4k, &regs, va, kind, user, &w);
	assert_int_equal(ok, want.ok);
	if (ok)
		assert_int_equal(w.pfn << 12 | (va & 0xfff), want.pa);
	else
		assert_int_equal(a->ops->raise(a, &regs, va, kind, user, &w).code, want.code);
	/* Random tables may point to themselves: an entry that is met twice is not predicted. */
	for (u32 i = 0; i < 4; i++) {
		bool twice = false;

		for (u32 j = 0; j < 4; j++)
			twice |= j != i && entry[j] == entry[i];
		if (want.after[i] && entry[i] && !twice)
			assert_int_equal(*entry[i], want.after[i]);
	}
	for (u32 i = 0; i < 4; i++)
		if (entry[i])
			*entry[i] = path[i];
	return ok;
}

/* P, RW, US, NX of each level of the path; A, D and a reserved bit of the leaf; leaf at each level.
 */
static void product_of_bits(void **state)
{
	const u64 va = 0x123456789abull;
	u64 cases = 0, allowed = 0, expected = 0;

	for (int leaf = 1; leaf <= 3; leaf++)
		for (u32 bits = 0; bits < 1u << 16; bits++)
			for (u32 ad = 0; ad < 8; ad++) {
				u64 table = 0;

				/* Levels below the leaf do not vary. */
				if (leaf > 1 && bits >> (4 * (5 - leaf)))
					break;
				for (int level = 4; level >= leaf; level--) {
					u32 b = bits >> (4 * (4 - level)) & 15;
					u64 e = (u64)(b & 1) | (u64)(b >> 1 & 1) << 1 |
						(u64)(b >> 2 & 1) << 2 | (u64)(b >> 3 & 1) << 63;

					if (level > leaf) {
						table += 4096;
						e |= table | (u64)(ad & 1) << 5;
					} else {
						e |= leaf > 1 ? 5ull << 30 | 1 << 7 : 0x5000;
						e |= (u64)(ad & 1) << 5 | (u64)(ad >> 1 & 1) << 6 |
						     (u64)(ad >> 2 & 1) << 50;
					}
					*slow_entry(level == 4 ? 0
							       : table - (level > leaf ? 4096 : 0),
						    va, level) = e;
				}
				for (u32 kind = 0; kind < ACCESS_KINDS; kind++) {
					allowed += compare(va, kind, true);
					allowed += compare(va, kind, false);
					cases += 2;
				}
			}
	/*
	 * Allowed, with n levels, all P: reads 4^n (user: US everywhere) + 8^n; writes (RW too)
	 * 2^n + 4^n; fetches (NX nowhere) 2^n + 4^n; times 4 for A and D.
	 */
	for (u32 n = 2; n <= 4; n++)
		expected +=
			4ull * ((1u << 2 * n) + (1u << 3 * n) + 2 * ((1u << n) + (1u << 2 * n)));
	assert_int_equal(allowed, expected);
	printf("%llu walks, %llu allowed\n", (unsigned long long)cases,
	       (unsigned long long)allowed);
}

static void random_tables(void **state)
{
	u64 rng = test_seed("random_tables"), walks = 0, hits = 0;

	for (u32 round = 0; round < 200; round++) {
		for (u32 f = 0; f < FRAMES; f++)
			for (u32 i = 0; i < 512; i++) {
				u64 r = test_random(&rng);
				u64 e = (r & 0x80000000000000e7ull) | (r >> 8 & 7) << 12;

				if (r >> 20 & 7)
					e |= 7; /* or hardly anything is reached */
				if (r >> 24 & 7)
					e &= ~(1ull << 63 | 1 << 7);
				if (!(r >> 28 & 63))
					e |= 1ull << (12 + (r >> 40) % 51 % 40);
				/* What is not a leaf must point to memory that there is. */
				if (!(e & 1 << 7) && (e & 0x000ffffffffff000ull) >> 12 >= FRAMES)
					e &= ~0x000ffffffffff000ull;
				((u64 *)frames)[f * 512 + i] = e;
			}
		for (u32 i = 0; i < 5000; i++, walks++) {
			u64 va = test_random(&rng) % arch_x86_64.task_size;
			enum access_kind kind = test_random(&rng) % ACCESS_KINDS;
			bool user = test_random(&rng) % 4 != 0;

			hits += compare(va, kind, user);
		}
	}
	printf("%llu walks, %llu translate\n", (unsigned long long)walks, (unsigned long long)hits);
	assert_true(hits > walks / 10);
}

/* Addresses that do not exist are refused before any table is read. */
static void addresses_that_do_not_exist(void **state)
{
	const struct mmu_regs regs = {.control = X86_CTL_DEFAULT};
	const u64 none[] = {1ull << 47, 1ull << 48, 0xffff000000000000ull, 1ull << 63,
			    0xffff7fffffffffffull};
	struct mmu_walk w;

	memset(frames, 0xff, sizeof(frames));
	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		assert_false(arch_walk_tree(&arch_x86_64, &memory_4k, &regs, none[i], ACCESS_READ,
					    true, &w));
		assert_int_equal(w.cause, MMU_BAD_ADDRESS);
	}
}

/* An arch with a root per half: each address by its own. */
static void two_roots(void **state)
{
	const struct arch_desc *a = arch_find("arm64-16k");
	const struct memory mem = {
		.direct_map = (char *)frames, .frames = FRAMES * 4, .page_shift = 14};
	const u64 va = 0x123456789abcull, upper = va | 0xffffull << 48;
	struct mmu_regs regs = arch_default_regs(a, 0);
	struct mmu_walk w;

	regs.root[1] = 4 << 14;
	memset(frames, 0, sizeof(frames));
	for (u32 half = 0; half < 2; half++) {
		u64 pfn = half * 4;

		for (u32 level = 3; level > 0; level--, pfn++)
			((pte_t *)frames)[(pfn << 11) + level_index(a, va, level)] =
				table_make(a, pfn + 1, level);
		((pte_t *)frames)[(pfn << 11) + level_index(a, va, 0)] =
			pte_make(a, 100 + half, PTE_USER | PTE_READ | PTE_ACCESSED);
	}
	assert_true(arch_walk_tree(a, &mem, &regs, va, ACCESS_READ, true, &w));
	assert_int_equal(w.pfn, 100);
	assert_true(arch_walk_tree(a, &mem, &regs, upper, ACCESS_READ, true, &w));
	assert_int_equal(w.pfn, 101);
}

struct told {
	struct walk_trace trace;
	u32 count;
	struct walk_step steps[ARCH_LEVELS_MAX];
};

static void tell(struct walk_trace *trace, const struct walk_step *step)
{
	struct told *t = container_of(trace, struct told, trace);

	assert_in_range(t->count, 0, ARCH_LEVELS_MAX - 1);
	t->steps[t->count++] = *step;
}

/* Who watches sees every entry that was read, as it was read, down to where the walk ended. */
static void traced(void **state)
{
	const struct arch_desc *a = &arch_x86_64;
	const struct mmu_regs regs = arch_default_regs(a, 0);
	const u64 va = 0x123456789abcull;
	struct told t = {.trace = {.step = tell}};
	struct mmu_walk w;

	memset(frames, 0, sizeof(frames));
	for (u32 level = 3; level > 1; level--)
		*slow_entry((3 - level) << 12, va, (int)level + 1) = table_make(a, 4 - level, level);
	*slow_entry(2 << 12, va, 2) = huge_make(a, 512, PTE_USER);
	assert_true(a->ops->walk_traced(a, &memory_4k, &regs, va, ACCESS_READ, true, &t.trace, &w));
	assert_int_equal(t.count, 3);
	for (u32 i = 0; i < t.count; i++) {
		assert_int_equal(t.steps[i].level, 3 - i);
		assert_int_equal(t.steps[i].pa, i << 12 | (va >> (39 - 9 * i) & 511) * 8);
		assert_int_equal(t.steps[i].leaf, i == 2);
	}
	assert_int_equal(t.steps[2].entry, huge_make(a, 512, PTE_USER));
	assert_int_equal(w.entry, huge_make(a, 512, PTE_USER | PTE_ACCESSED));
}

/* Where software keeps Accessed and Dirty the walker only asks for them. */
static void software_accessed_and_dirty(void **state)
{
	const struct arch_desc *a = &arch_ppc64_radix;
	const struct memory mem = {
		.direct_map = (char *)frames, .frames = FRAMES, .page_shift = 16};
	const u64 va = 0x123456789abcull;
	struct mmu_walk w;
	const struct mmu_regs regs = arch_default_regs(a, 0);
	pte_t *pte = NULL;
	u32 full = PTE_USER | PTE_READ | PTE_WRITE;

	memset(frames, 0, sizeof(frames));
	for (u32 level = 3; level > 0; level--)
		frames[3 - level][level_index(a, va, level)] = table_make(a, 4 - level, level);
	pte = &frames[3][level_index(a, va, 0)];
	*pte = pte_make(a, 7, full);
	assert_false(arch_walk_tree(a, &mem, &regs, va, ACCESS_READ, true, &w));
	assert_int_equal(w.cause, MMU_NOT_ACCESSED);
	*pte = pte_set_attrs(a, *pte, PTE_ACCESSED);
	assert_true(arch_walk_tree(a, &mem, &regs, va, ACCESS_READ, true, &w));
	assert_int_equal(w.pfn, 7);
	assert_false(arch_walk_tree(a, &mem, &regs, va, ACCESS_WRITE, true, &w));
	assert_int_equal(w.cause, MMU_NOT_DIRTY);
	*pte = pte_set_attrs(a, *pte, PTE_DIRTY);
	assert_true(arch_walk_tree(a, &mem, &regs, va, ACCESS_WRITE, true, &w));
	*pte = pte_make(a, 7, full & ~(u32)PTE_USER);
	assert_false(arch_walk_tree(a, &mem, &regs, va, ACCESS_READ, true, &w));
	assert_int_equal(w.cause, MMU_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_of_bits),
		cmocka_unit_test(random_tables),
		cmocka_unit_test(addresses_that_do_not_exist),
		cmocka_unit_test(two_roots),
		cmocka_unit_test(traced),
		cmocka_unit_test(software_accessed_and_dirty),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
