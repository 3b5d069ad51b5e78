/*
 * tests/unit/arch/paper_archs.h - descriptions of MMUs that are not built in (yet)
 *
 * They are here to keep arch.h able to say what other architectures need: each uses what x86-64
 * does not. The formats are the real ones (Arm ARM D8;
 * Power ISA 3.0B Book III); syndromes are made up, which is enough for tests of tables.
 */
#ifndef MMSIM_TEST_PAPER_ARCHS_H
#define MMSIM_TEST_PAPER_ARCHS_H

#include <mmsim/arch.h>

static struct syndrome paper_raise(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				   enum access_kind kind, bool user, const struct mmu_walk *w)
{
	return (struct syndrome){ .code = (u64)w->cause | (u64)kind << 8 | (u64)user << 16 |
					  (u64)w->level << 24,
				  .va = va };
}

static void paper_decode(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f)
{
	f->va = s.va;
	f->cause = (enum mmu_cause)(s.code & 0xff);
	f->kind = (enum access_kind)(s.code >> 8 & 0xff);
	f->user = s.code >> 16 & 1;
}

static const struct arch_ops paper_ops = {
	.walk = arch_walk_tree,
	.walk_traced = arch_walk_tree_traced,
	.descend = arch_descend_tree,
	.raise = paper_raise,
	.decode = paper_decode,
};

/* As Linux lays entries out: DBM (51) is "writable", 55 "dirty", AP[2] (7) read-only, AP[1] (6)
 * user may load, UXN (54), AF (10), 56 special; nG (11), inner shareable (9:8). */
#define ARM_SET                                                                                    \
	{ 1ull << 51, 0, 0, 1ull << 10, 1ull << 55, 1ull << 56, 1ull << 6 }
#define ARM_CLEAR                                                                                  \
	{ 0, 0, 1ull << 54, 0, 0, 0, 0 }
#define ARM_ATTRS (1ull << 11 | 3ull << 8)
#define ARM_PROTNONE (1ull << 58)
#define ARM_PRESENT                                                                                \
	{ 3, 1, 3, 3 }

static const struct arch_desc paper_arm64_16k = {
	.name = "paper: arm64-16k, no HAFDBS",
	.page_shift = 14,
	.levels = 4,
	.idx_bits = { 11, 11, 11, 1 },
	.shift = { 14, 25, 36, 47, 48 },
	.huge_levels = 1 << 1,
	.task_size = 1ull << 48,
	.va_mask = 0xffffull << 48,
	.va_half = { 0, 0xffffull << 48 },
	.upper_root = 1,
	.tlb_full_flush_pages = 64,
	.leaf_base = 3 | ARM_ATTRS,
	.huge_base = 1 | ARM_ATTRS,
	.huge_mask = 2,
	.huge_value = 0,
	.present = 1 | ARM_PROTNONE,
	.hw_present = ARM_PRESENT,
	.hidden_set = ARM_PROTNONE,
	.hidden_clear = 1,
	.set = ARM_SET,
	.clear = ARM_CLEAR,
	.clean_ro = 1ull << 7,
	.pfn_mask = 0x0000ffffffffc000ull,
	.table_base = { 0, 3, 3, 3 },
	.table_pfn_mask = 0x0000ffffffffc000ull,
	.ops = &paper_ops,
};

/* 52-bit physical addresses: bits 51:48 are in 15:12 of the entry. */
static const struct arch_desc paper_arm64_64k = {
	.name = "paper: arm64-64k, 52 bits, HAFDBS",
	.page_shift = 16,
	.levels = 3,
	.idx_bits = { 13, 13, 10 },
	.shift = { 16, 29, 42, 52 },
	.huge_levels = 1 << 1,
	.task_size = 1ull << 52,
	.va_mask = 0xfffull << 52,
	.va_half = { 0, 0xfffull << 52 },
	.upper_root = 1,
	.hw_sets_accessed = true,
	.hw_sets_dirty = true,
	.tlb_full_flush_pages = 64,
	.leaf_base = 3 | ARM_ATTRS,
	.huge_base = 1 | ARM_ATTRS,
	.huge_mask = 2,
	.huge_value = 0,
	.present = 1 | ARM_PROTNONE,
	.hw_present = ARM_PRESENT,
	.hidden_set = ARM_PROTNONE,
	.hidden_clear = 1,
	.set = ARM_SET,
	.clear = ARM_CLEAR,
	.clean_ro = 1ull << 7,
	.pfn_mask = 0x0000ffffffff0000ull,
	.pfn_hi_mask = 0xf000,
	.pfn_hi_shift = 36,
	.table_base = { 0, 3, 3 },
	.table_pfn_mask = 0x0000ffffffff0000ull,
	.ops = &paper_ops,
};

/* Tables are big-endian; an upper entry says how many index bits the next table has (NLS). */
#define BE(x) __builtin_bswap64(x)
#define RADIX_TABLE(nls) BE(1ull << 63 | (nls))
static const struct arch_desc paper_ppc64_radix = {
	.name = "paper: ppc64-radix-64k",
	.page_shift = 16,
	.levels = 4,
	.idx_bits = { 5, 9, 9, 13 },
	.shift = { 16, 21, 30, 39, 52 },
	.huge_levels = 1 << 1 | 1 << 2,
	.task_size = 1ull << 52,
	.va_mask = 0xfffull << 52,
	.va_half = { 0, 0xc00ull << 52 },
	.upper_root = 1,
	.big_endian = true,
	.tlb_full_flush_pages = 33,
	.leaf_base = BE(3ull << 62),
	.huge_base = BE(3ull << 62),
	.huge_mask = BE(1ull << 62),
	.huge_value = BE(1ull << 62),
	.present = BE(1ull << 63),
	.hw_present = { BE(1ull << 63), BE(1ull << 63), BE(1ull << 63), BE(1ull << 63) },
	.set = { BE(2ull), 0, BE(1ull), BE(0x100ull), BE(0x80ull), BE(0x400ull), BE(4ull) },
	.clear = { 0, BE(8ull), 0, 0, 0, 0, 0 },
	.pfn_mask = BE(0x01ffffffffff0000ull),
	.table_base = { 0, RADIX_TABLE(5), RADIX_TABLE(9), RADIX_TABLE(9) },
	.table_pfn_mask = BE(0x0fffffffffff0000ull),
	.ops = &paper_ops,
};

static const struct arch_desc *const paper_archs[] = {
	&paper_arm64_16k, &paper_arm64_64k, &paper_ppc64_radix,
};

/* Every architecture that tests of tables loop over. NULL: no more. */
static inline const struct arch_desc *test_arch(u32 i)
{
	u32 built_in = 0;

	while (arch_all[built_in])
		built_in++;
	if (i < built_in)
		return arch_all[i];
	i -= built_in;
	return i < ARRAY_SIZE(paper_archs) ? paper_archs[i] : NULL;
}

#endif
