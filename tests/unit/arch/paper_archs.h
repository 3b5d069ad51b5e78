/*
 * tests/unit/arch/paper_archs.h - descriptions of MMUs that are not built in (yet)
 *
 * They are here to keep arch.h able to say what other architectures need: each uses what those built
 * in do not. The formats are the real ones (Power ISA 3.0B Book III); syndromes are made up, which is
 * enough for tests of tables.
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
	&paper_ppc64_radix,
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
