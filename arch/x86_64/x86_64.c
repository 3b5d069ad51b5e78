/*
 * arch/x86_64/x86_64.c - x86-64 with 4-level tables: 48-bit addresses, 4 KiB, 2 MiB and 1 GiB pages
 *
 * Models       entry formats, NX, reserved bits, hardware Accessed and Dirty, #PF error codes P W
 *              U RSVD I, CR2; CR0.WP and EFER.NXE on.
 * Leaves out   PAT and cache attributes (the bits are there and ignored), protection keys, SMEP
 *              and SMAP: accesses here are a user program's. A non-canonical address raises #PF
 *              like any other without translation, where hardware raises #GP: both become
 *              SIGSEGV.
 * PROT_NONE    is an entry without US: it keeps frame, Dirty and the rest in their places, and
 *              the fault that follows is the same SIGSEGV (Linux clears P and sets a software
 *              bit).
 * Defined in   Intel SDM vol. 3A chapter 4.
 * Tests        tests/unit/arch/x86_64/test_x86_64.c
 */
#include "arch/walk.h"
#include "arch/x86_64/x86_64.h"

/* Linux's _PAGE_TABLE: upper levels restrict nothing; Accessed is preset so that a walk is
 * not followed by a locked write to each level. */
#define X86_TABLE (X86_P | X86_RW | X86_US | X86_A)

static struct syndrome x86_raise(const struct arch_desc *a, u64 va, enum access_kind kind,
				 bool user, enum mmu_cause cause, u32 level)
{
	u64 code = 0;

	(void)a, (void)level;
	if (cause != MMU_ABSENT)
		code |= X86_PF_P;
	if (cause == MMU_RESERVED)
		code |= X86_PF_RSVD;
	if (kind == ACCESS_WRITE)
		code |= X86_PF_W;
	if (kind == ACCESS_EXEC)
		code |= X86_PF_I;
	if (user)
		code |= X86_PF_U;
	return (struct syndrome){.code = code, .va = va};
}

static void x86_decode(const struct arch_desc *a, struct syndrome s, enum access_kind *kind,
		       bool *user, enum mmu_cause *cause)
{
	(void)a;
	*kind = s.code & X86_PF_I ? ACCESS_EXEC : s.code & X86_PF_W ? ACCESS_WRITE : ACCESS_READ;
	*user = (s.code & X86_PF_U) != 0;
	*cause = !(s.code & X86_PF_P)   ? MMU_ABSENT
		 : s.code & X86_PF_RSVD ? MMU_RESERVED
					: MMU_DENIED;
}

static bool x86_walk(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		     enum access_kind kind, bool user, struct mmu_walk *w)
{
	(void)a;
	return walk_tree(&arch_x86_64, mem, root_pfn, va, kind, user, w);
}

static bool x86_descend(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
			u32 lowest, struct pt_place *at)
{
	(void)a;
	return descend_tree(&arch_x86_64, mem, root_pfn, va, lowest, at);
}

static const struct arch_ops x86_ops = {
	.walk = x86_walk,
	.descend = x86_descend,
	.raise = x86_raise,
	.decode = x86_decode,
};

/* By bit number of enum pte_attr: WRITE, USER, EXEC, ACCESSED, DIRTY, SPECIAL, READ. */
const struct arch_desc arch_x86_64 = {
	.name = "x86_64",
	.page_shift = 12,
	.levels = 4,
	.idx_bits = {9, 9, 9, 9},
	.shift = {12, 21, 30, 39, 48},
	.huge_levels = 1 << 1 | 1 << 2,
	.task_size = 0x7ffffffff000ull, /* one page short of 2^47: Linux's TASK_SIZE_MAX */
	.hw_sets_accessed = true,
	.hw_sets_dirty = true,
	.tlb_invalidation = TLBI_BY_IPI,
	.tlb_full_flush_pages = 33, /* Linux's tlb_single_page_flush_ceiling */

	.leaf_base = X86_P,
	.huge_base = X86_P | X86_PS,
	.huge_mask = X86_PS,
	.huge_value = X86_PS,
	.present = X86_P,
	.set = {X86_RW, X86_US, 0, X86_A, X86_D, X86_SPECIAL, 0},
	.clear = {0, 0, X86_NX, 0, 0, 0, 0},
	.pfn_mask = X86_ADDR_MASK,

	.table_base = {0, X86_TABLE, X86_TABLE, X86_TABLE},
	.table_pfn_mask = X86_ADDR_MASK,
	.table_accessed = X86_A,
	.table_and = X86_RW | X86_US,
	.table_or = X86_NX,

	.reserved_leaf = {X86_RSVD_ADDR, X86_RSVD_2M, X86_RSVD_1G},
	.reserved_table = {0, X86_RSVD_ADDR, X86_RSVD_ADDR, X86_RSVD_ADDR | X86_PS},

	.ops = &x86_ops,
};
