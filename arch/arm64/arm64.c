/*
 * arch/arm64/arm64.c - arm64 (VMSAv8-64, stage 1 of EL1&0): 4, 16 and 64 KiB granules, 48 and 52 bits
 *
 * Models       descriptors of all levels, blocks where the granule has them, restrictions by
 *              table descriptors (APTable, UXNTable, PXNTable; TCR.HPD), AP, UXN, PXN, WXN, PAN; the
 *              Access flag and dirty state by hardware (TCR.HA, HD) or by fault (arm64-4k-v8.0);
 *              two halves (TTBR0, TTBR1, TBI off); output address size (TCR.IPS); 52-bit
 *              addresses: LVA and LPA with 64 KiB, LPA2 with 4 KiB (a level more: -1) and 16 KiB.
 *              ESR_EL1 and FAR_EL1 of instruction and data aborts.
 * Leaves out   memory types, security states and stage 2 (their bits are there and ignored), MTE,
 *              BTI, permission indirection, a table address wider than TTBR says.
 * Choices      Where the manual leaves one: the Access flag is not set when the access is denied
 *              for its rights, as on QEMU.
 * Entries      are Linux's: DBM is "may be written", bit 55 is Dirty to software, and AP[2] is clear
 *              in an entry that is both. Hardware clears AP[2] alone: pte_gather() (arch.h) reads
 *              that as Dirty. PROT_NONE is VALID off, NG on (PTE_PRESENT_INVALID).
 * Defined in   Arm ARM (DDI 0487) D8.
 * Tests        tests/unit/arch/arm64/test_arm64.c, tests/oracle/arm64_mmu.c
 */
#include "arch/arm64/arm64.h"
#include "arch/walk.h"

/* ---- rights ------------------------------------------------------------------------------------ */

enum arm64_right {
	EL0_READ = 1 << 0,
	EL0_WRITE = 1 << 1,
	EL0_EXEC = 1 << 2,
	EL1_READ = 1 << 3,
	EL1_WRITE = 1 << 4,
	EL1_EXEC = 1 << 5,
};

/* The MMU clears AP[2] by itself: then it counts as clear (D8.4.6). */
static ALWAYS_INLINE bool arm64_store_clears_ap2(u64 control, pte_t e)
{
	const u64 hafdbs = ARM64_CTL_HA | ARM64_CTL_HD;

	return (control & hafdbs) == hafdbs && (e & ARM64_DBM);
}

/* D8.4.1: what a leaf allows. tables: the restrictions of the levels above. */
static ALWAYS_INLINE u32 arm64_rights(u64 control, pte_t e, pte_t tables)
{
	bool el0 = (e & ARM64_AP1) && !(tables & ARM64_TABLE_AP0);
	bool write = (!(e & ARM64_AP2) || arm64_store_clears_ap2(control, e)) &&
		     !(tables & ARM64_TABLE_AP1);
	bool uxn = (e & ARM64_UXN) || (tables & ARM64_TABLE_UXN);
	/* What EL0 may write, EL1 does not execute. */
	bool pxn = (e & ARM64_PXN) || (tables & ARM64_TABLE_PXN) || (el0 && write);
	bool wxn = (control & ARM64_CTL_WXN) != 0;
	u32 rights = 0;

	if (el0)
		rights |= write ? EL0_READ | EL0_WRITE : EL0_READ;
	if (!uxn && !(wxn && el0 && write))
		rights |= EL0_EXEC;
	if (!pxn && !(wxn && write))
		rights |= EL1_EXEC;
	if (!((control & ARM64_CTL_PAN) && el0))
		rights |= write ? EL1_READ | EL1_WRITE : EL1_READ;
	return rights;
}

/* For a TLB: what EL0 may do by this entry as it is. DIRTY: a store changes nothing in it. */
static ALWAYS_INLINE u32 arm64_attrs(u32 rights, pte_t e)
{
	u32 attrs = PTE_USER | PTE_ACCESSED;

	if (rights & EL0_READ)
		attrs |= PTE_READ;
	if (rights & EL0_WRITE)
		attrs |= PTE_WRITE;
	if (rights & EL0_EXEC)
		attrs |= PTE_EXEC;
	if (!(e & ARM64_AP2))
		attrs |= PTE_DIRTY;
	if (e & ARM64_SPECIAL)
		attrs |= PTE_SPECIAL;
	return attrs;
}

/* ---- the walk ---------------------------------------------------------------------------------- */

/* Bits of an address that is wider than the output may be, as an entry holds them. */
static ALWAYS_INLINE pte_t arm64_too_wide(const struct arch_desc *a, u64 control)
{
	static const u8 widths[8] = {32, 36, 40, 42, 44, 48, 52, 52};
	u64 pa = ~0ull << widths[arm64_ips(control)];

	return pfn_bits(a, pa >> a->page_shift);
}

/* walk_leaf_fn. In the manual's order of faults (D8.15): translation, address size, Access flag,
 * permission. */
static ALWAYS_INLINE bool arm64_leaf(const struct walk_query *q, walk_permits_fn permits, pte_t *p,
				     pte_t e, u32 level, struct walk_above above,
				     struct mmu_walk *w)
{
	static const u8 needs[ACCESS_KINDS] = {
		[ACCESS_READ] = EL0_READ,
		[ACCESS_WRITE] = EL0_WRITE,
		[ACCESS_EXEC] = EL0_EXEC,
	};
	const u64 ignores = q->va >> 63 ? ARM64_CTL_HPD1 : ARM64_CTL_HPD0;
	pte_t tables = q->control & ignores ? 0 : above.any;
	u32 need = needs[q->kind] << (q->user ? 0 : 3);

	(void)permits;
	for (;;) {
		pte_t after = e | ARM64_AF;
		u32 rights;

		if (unlikely(!walk_present(q->a, e, level)))
			return walk_fails(w, level, MMU_ABSENT);
		if (unlikely(e & q->too_wide))
			return walk_fails(w, level, MMU_BAD_OUTPUT);
		if (unlikely(!(e & ARM64_AF)) && !(q->control & ARM64_CTL_HA))
			return walk_fails(w, level, MMU_NOT_ACCESSED);
		rights = arm64_rights(q->control, e, tables);
		if (unlikely(!(rights & need)))
			return walk_fails(w, level, MMU_DENIED);
		if (q->kind == ACCESS_WRITE)
			after &= ~ARM64_AP2; /* allowed with AP[2] set: only by DBM */
		/* Lost to software or to another MMU: judge what is there now. */
		if (likely(after == e) || try_cmpxchg(p, &e, after)) {
			w->level = (u8)level;
			w->attrs = arm64_attrs(rights, after);
			w->pfn = pte_pfn(q->a, after);
			w->entry = after;
			return true;
		}
	}
}

static ALWAYS_INLINE bool arm64_walk(const struct arch_desc *a, const struct memory *mem,
				     const struct mmu_regs *regs, u64 control, u64 va,
				     enum access_kind kind, bool user, struct walk_trace *trace,
				     struct mmu_walk *w)
{
	const struct walk_query q = {
		.a = a,
		.mem = mem,
		.regs = regs,
		.control = control,
		.va = va,
		.kind = kind,
		.user = user,
		.too_wide = arm64_too_wide(a, control),
		.trace = trace,
	};

	return walk_tree_by(&q, arm64_leaf, NULL, w);
}

/* For any description and any registers. */
static NOINLINE bool arm64_walk_traced(const struct arch_desc *a, const struct memory *mem,
				       const struct mmu_regs *regs, u64 va, enum access_kind kind,
				       bool user, struct walk_trace *trace, struct mmu_walk *w)
{
	return arm64_walk(a, mem, regs, regs->control, va, kind, user, trace, w);
}

/* ---- syndromes --------------------------------------------------------------------------------- */

static u64 arm64_fsc(const struct mmu_walk *w)
{
	static const u8 kinds[MMU_CAUSES] = {
		[MMU_ABSENT] = ARM64_FSC_TRANSLATION,
		[MMU_DENIED] = ARM64_FSC_PERMISSION,
		[MMU_NOT_DIRTY] = ARM64_FSC_PERMISSION,
		[MMU_NOT_ACCESSED] = ARM64_FSC_ACCESS,
		[MMU_BAD_OUTPUT] = ARM64_FSC_ADDRESS_SIZE,
		[MMU_BAD_ADDRESS] = ARM64_FSC_TRANSLATION,
	};
	s32 level = 3 - w->level; /* the manual counts from the root, and the last level is 3 */

	if (w->cause == MMU_BAD_ADDRESS)
		level = 0;
	if (level < 0)
		return w->cause == MMU_ABSENT ? ARM64_FSC_TRANSLATION_L_1
					      : ARM64_FSC_ADDRESS_SIZE_L_1;
	return kinds[w->cause] | (u32)level;
}

static struct syndrome arm64_raise(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				   enum access_kind kind, bool user, const struct mmu_walk *w)
{
	u64 ec = kind == ACCESS_EXEC ? ARM64_EC_INSN_LOWER : ARM64_EC_DATA_LOWER;
	u64 esr = ARM64_ESR_IL | arm64_fsc(w);

	(void)a, (void)regs;
	if (!user)
		ec++; /* ARM64_EC_INSN_SAME, ARM64_EC_DATA_SAME */
	if (kind == ACCESS_WRITE)
		esr |= ARM64_ESR_WNR;
	return (struct syndrome){.code = esr | ec << ARM64_ESR_EC_SHIFT, .va = va};
}

static enum mmu_cause arm64_cause(u32 fsc)
{
	if (fsc == ARM64_FSC_TRANSLATION_L_1)
		return MMU_ABSENT;
	if (fsc == ARM64_FSC_ADDRESS_SIZE_L_1)
		return MMU_BAD_OUTPUT;
	switch (fsc & ~3u) {
	case ARM64_FSC_TRANSLATION:
		return MMU_ABSENT;
	case ARM64_FSC_ACCESS:
		return MMU_NOT_ACCESSED;
	case ARM64_FSC_PERMISSION:
		return MMU_DENIED;
	case ARM64_FSC_ADDRESS_SIZE:
		return MMU_BAD_OUTPUT;
	default:
		return MMU_RESERVED; /* nothing that this MMU raises */
	}
}

static void arm64_decode(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f)
{
	u32 ec = (u32)(s.code >> ARM64_ESR_EC_SHIFT) & 0x3f;

	(void)a;
	f->va = s.va;
	f->user = ec == ARM64_EC_INSN_LOWER || ec == ARM64_EC_DATA_LOWER;
	if (ec == ARM64_EC_INSN_LOWER || ec == ARM64_EC_INSN_SAME)
		f->kind = ACCESS_EXEC;
	else
		f->kind = s.code & ARM64_ESR_WNR ? ACCESS_WRITE : ACCESS_READ;
	f->cause = arm64_cause((u32)(s.code & ARM64_ESR_FSC));
}

/* ---- names of bits ----------------------------------------------------------------------------- */

#define LEVEL_0 1
#define LEVELS_ABOVE 0x1e
#define LEVELS_ALL 0x1f
#define FIELD(bit, name, where, levels) {bit, bit, name, where, levels}
#define NUMBER(mask, name, where, levels) {mask, 0, name, where, levels}

/* Of all formats. Addresses differ: they are at the end, after what is common. */
#define ARM64_FIELDS                                                                               \
	FIELD(ARM64_VALID, "VALID", IN_ANY, LEVELS_ALL),                                           \
	FIELD(ARM64_TABLE, "PAGE", IN_LEAF, LEVEL_0),                                              \
	FIELD(ARM64_TABLE, "TABLE", IN_TABLE, LEVELS_ABOVE),                                       \
	NUMBER(ARM64_ATTRINDX, "AttrIndx", IN_LEAF, LEVELS_ALL),                                   \
	FIELD(ARM64_NS, "NS", IN_LEAF, LEVELS_ALL),                                                \
	FIELD(ARM64_AP1, "AP[1]:EL0", IN_LEAF, LEVELS_ALL),                                        \
	FIELD(ARM64_AP2, "AP[2]:RO", IN_LEAF, LEVELS_ALL),                                         \
	FIELD(ARM64_AF, "AF", IN_LEAF, LEVELS_ALL), FIELD(ARM64_NG, "nG", IN_LEAF, LEVELS_ALL),    \
	FIELD(ARM64_GP, "GP", IN_LEAF, LEVELS_ALL), FIELD(ARM64_DBM, "DBM", IN_LEAF, LEVELS_ALL),  \
	FIELD(ARM64_CONT, "Contiguous", IN_LEAF, LEVELS_ALL),                                      \
	FIELD(ARM64_PXN, "PXN", IN_LEAF, LEVELS_ALL), FIELD(ARM64_UXN, "UXN", IN_LEAF, LEVELS_ALL),\
	FIELD(ARM64_DIRTY, "sw:dirty", IN_LEAF, LEVELS_ALL),                                       \
	FIELD(ARM64_SPECIAL, "sw:special", IN_LEAF, LEVELS_ALL),                                   \
	FIELD(ARM64_TABLE_PXN, "PXNTable", IN_TABLE, LEVELS_ABOVE),                                \
	FIELD(ARM64_TABLE_UXN, "UXNTable", IN_TABLE, LEVELS_ABOVE),                                \
	FIELD(ARM64_TABLE_AP0, "APTable[0]:noEL0", IN_TABLE, LEVELS_ABOVE),                        \
	FIELD(ARM64_TABLE_AP1, "APTable[1]:RO", IN_TABLE, LEVELS_ABOVE),                           \
	FIELD(ARM64_TABLE_NS, "NSTable", IN_TABLE, LEVELS_ABOVE)
#define SH_FIELD NUMBER(ARM64_SH, "SH", IN_LEAF, LEVELS_ALL)

static const struct control_bit arm64_control_bits[] = {
	{ARM64_CTL_HA, "TCR.HA"},     {ARM64_CTL_HD, "TCR.HD"},	  {ARM64_CTL_HPD0, "TCR.HPD0"},
	{ARM64_CTL_HPD1, "TCR.HPD1"}, {ARM64_CTL_WXN, "SCTLR.WXN"}, {ARM64_CTL_PAN, "PSTATE.PAN"},
	{0, NULL},
};

/* ---- descriptions ------------------------------------------------------------------------------ */

/* The registers of a user program, with hardware Access flag and dirty state. */
#define ARM64_HAFDBS(ips)                                                                          \
	.hw_sets_accessed = true, .hw_sets_dirty = true,                                           \
	.default_control = ARM64_CTL_IPS(ips) | ARM64_CTL_HA | ARM64_CTL_HD | ARM64_CTL_PAN

/* Linux's user mappings: normal memory, inner shareable, not global, not for EL1 to execute. */
#define ARM64_USER_LEAF(sh) (ARM64_VALID | ARM64_NG | ARM64_PXN | (sh))
#define ARM64_TABLE_ENTRY (ARM64_VALID | ARM64_TABLE)
/* Restrictions are ORed together over the levels (walk_above.any). */
#define ARM64_RESTRICTS                                                                            \
	(ARM64_TABLE_PXN | ARM64_TABLE_UXN | ARM64_TABLE_AP0 | ARM64_TABLE_AP1)

/* What is the same for every format. sh: shareability in the entry (LPA2 has it in TCR). set and
 * clear by bit number of enum pte_attr: WRITE, USER, EXEC, ACCESSED, DIRTY, SPECIAL, READ. */
#define ARM64_COMMON(sh)                                                                           \
	.upper_root = 1, .control_accessed = ARM64_CTL_HA, .control_dirty = ARM64_CTL_HD,          \
	.accessed_before_rights = true,                                                            \
	.tlb_invalidation = TLBI_BROADCAST,                                                        \
	.leaf_base = ARM64_USER_LEAF(sh) | ARM64_TABLE, .huge_base = ARM64_USER_LEAF(sh),          \
	.huge_mask = ARM64_TABLE, .huge_value = 0, .present = ARM64_VALID | ARM64_NG,              \
	.hidden_set = ARM64_NG, .hidden_clear = ARM64_VALID,                                       \
	.set = {ARM64_DBM, 0, 0, ARM64_AF, ARM64_DIRTY, ARM64_SPECIAL, ARM64_AP1},                 \
	.clear = {0, 0, ARM64_UXN, 0, 0, 0, 0}, .clean_ro = ARM64_AP2, .global_mask = ARM64_NG,    \
	.global_value = 0, .group_mask = ARM64_CONT, .table_or = ARM64_RESTRICTS, .control_bits = arm64_control_bits, \
	.syndromes = arm64_syndromes, .level_names = arm64_level_names,                            \
	.signals = {[MMU_BAD_OUTPUT] = "SIGKILL, SI_KERNEL: address size fault"}

/* Linux: fewer than MAX_DVM_OPS, which is the number of entries of a table. */
#define ARM64_FLUSH_LEAVES(idx_bits) ((1u << (idx_bits)) - 1)

/* The Contiguous bit: how many neighbours, by level. Of the largest blocks that LPA and LPA2 add, and of
 * 64 GiB and 4 TiB ones, nothing is said here. */
#define ARM64_GROUPS_4K {4, 4, 4}
#define ARM64_GROUPS_16K {7, 5}
#define ARM64_GROUPS_64K {5, 5}

#define ARM64_TABLES_3 {0, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY}
#define ARM64_TABLES_4 {0, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY}
#define ARM64_TABLES_5                                                                             \
	{0, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY, ARM64_TABLE_ENTRY}

/* The MMU wants bit 1 where it can only be a page or a table. */
#define LEAF_OR_TABLE ARM64_VALID
#define NO_BLOCK (ARM64_VALID | ARM64_TABLE)

/* Each with its own instance of the walk for the default registers. */
#define ARM64_OPS(id)                                                                              \
	static bool id##_walk(const struct arch_desc *a, const struct memory *mem,                 \
			      const struct mmu_regs *regs, u64 va, enum access_kind kind,          \
			      bool user, struct mmu_walk *w)                                       \
	{                                                                                          \
		if (likely(regs->control == arch_##id.default_control))                            \
			return arm64_walk(&arch_##id, mem, regs, arch_##id.default_control, va,    \
					  kind, user, NULL, w);                                    \
		return arm64_walk_traced(a, mem, regs, va, kind, user, NULL, w);                   \
	}                                                                                          \
                                                                                                   \
	static bool id##_descend(const struct arch_desc *a, const struct memory *mem,              \
				 u64 root_pfn, u64 va, u32 lowest, struct pt_place *at)            \
	{                                                                                          \
		(void)a;                                                                           \
		return descend_tree(&arch_##id, mem, root_pfn, va, lowest, at);                    \
	}                                                                                          \
                                                                                                   \
	static const struct arch_ops id##_ops = {                                                  \
		.walk = id##_walk,                                                                 \
		.walk_traced = arm64_walk_traced,                                                  \
		.descend = id##_descend,                                                           \
		.raise = arm64_raise,                                                              \
		.decode = arm64_decode,                                                            \
	}

ARM64_OPS(arm64_4k);
ARM64_OPS(arm64_16k);
ARM64_OPS(arm64_64k);
ARM64_OPS(arm64_4k_52);
ARM64_OPS(arm64_16k_52);
ARM64_OPS(arm64_64k_52);
ARM64_OPS(arm64_4k_v80);

#define VA_MASK(bits) (~0ull << (bits))
#define OA_4K 0x0000fffffffff000ull  /* 47:12 */
#define OA_16K 0x0000ffffffffc000ull /* 47:14 */
#define OA_64K 0x0000ffffffff0000ull /* 47:16 */
#define OA_4K_52 0x0003fffffffff000ull	/* 49:12, and 51:50 in 9:8 */
#define OA_16K_52 0x0003ffffffffc000ull /* 49:14, likewise */
#define OA_HI_LPA2 0x300ull
#define OA_HI_LPA 0xf000ull /* 51:48 in 15:12 */

static const struct pte_field arm64_4k_fields[] = {
	ARM64_FIELDS, SH_FIELD, NUMBER(OA_4K, "OA[47:12]", IN_ANY, LEVELS_ALL), {0}};
static const struct pte_field arm64_16k_fields[] = {
	ARM64_FIELDS, SH_FIELD, NUMBER(OA_16K, "OA[47:14]", IN_ANY, LEVELS_ALL), {0}};
static const struct pte_field arm64_64k_fields[] = {
	ARM64_FIELDS, SH_FIELD, NUMBER(OA_64K, "OA[47:16]", IN_ANY, LEVELS_ALL), {0}};
static const struct pte_field arm64_4k_52_fields[] = {
	ARM64_FIELDS, NUMBER(OA_4K_52, "OA[49:12]", IN_ANY, LEVELS_ALL),
	NUMBER(OA_HI_LPA2, "OA[51:50]", IN_ANY, LEVELS_ALL), {0}};
static const struct pte_field arm64_16k_52_fields[] = {
	ARM64_FIELDS, NUMBER(OA_16K_52, "OA[49:14]", IN_ANY, LEVELS_ALL),
	NUMBER(OA_HI_LPA2, "OA[51:50]", IN_ANY, LEVELS_ALL), {0}};
static const struct pte_field arm64_64k_52_fields[] = {
	ARM64_FIELDS, SH_FIELD, NUMBER(OA_64K, "OA[47:16]", IN_ANY, LEVELS_ALL),
	NUMBER(OA_HI_LPA, "OA[51:48]", IN_ANY, LEVELS_ALL), {0}};

#define ARM64_4K                                                                                   \
	.page_shift = 12, .levels = 4, .idx_bits = {9, 9, 9, 9},                                   \
	.shift = {12, 21, 30, 39, 48}, .huge_levels = 1 << 1 | 1 << 2, /* 2 MiB, 1 GiB */          \
	.task_size = 1ull << 48, .default_map_window = 1ull << 48, .va_mask = VA_MASK(48), .va_half = {0, VA_MASK(48)},              \
	.phys_bits = 48, ARM64_COMMON(ARM64_SH_INNER),                                             \
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, LEAF_OR_TABLE, NO_BLOCK}, .pfn_mask = OA_4K,       \
	.group_bits = ARM64_GROUPS_4K, .tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(9),             \
	.table_base = ARM64_TABLES_4, .table_pfn_mask = OA_4K, .fields = arm64_4k_fields

const struct arch_desc arch_arm64_4k = {
	.name = "arm64-4k",
	ARM64_4K,
	ARM64_HAFDBS(ARM64_IPS_48),
	.ops = &arm64_4k_ops,
};

/* A part of before v8.1 (Cortex-A53, A57, A72): the first touch and the first store fault; no PAN. */
const struct arch_desc arch_arm64_4k_v80 = {
	.name = "arm64-4k-v8.0",
	ARM64_4K,
	.default_control = ARM64_CTL_IPS(ARM64_IPS_48),
	.ops = &arm64_4k_v80_ops,
};

const struct arch_desc arch_arm64_16k = {
	.name = "arm64-16k",
	.page_shift = 14,
	.levels = 4,
	.idx_bits = {11, 11, 11, 1},
	.shift = {14, 25, 36, 47, 48},
	.huge_levels = 1 << 1, /* 32 MiB */
	.task_size = 1ull << 48,
	.default_map_window = 1ull << 48,
	.va_mask = VA_MASK(48),
	.va_half = {0, VA_MASK(48)},
	.phys_bits = 48,
	ARM64_HAFDBS(ARM64_IPS_48),
	ARM64_COMMON(ARM64_SH_INNER),
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, NO_BLOCK, NO_BLOCK},
	.pfn_mask = OA_16K,
	.group_bits = ARM64_GROUPS_16K,
	.tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(11),
	.table_base = ARM64_TABLES_4,
	.table_pfn_mask = OA_16K,
	.fields = arm64_16k_fields,
	.ops = &arm64_16k_ops,
};

const struct arch_desc arch_arm64_64k = {
	.name = "arm64-64k",
	.page_shift = 16,
	.levels = 3,
	.idx_bits = {13, 13, 6},
	.shift = {16, 29, 42, 48},
	.huge_levels = 1 << 1, /* 512 MiB */
	.task_size = 1ull << 48,
	.default_map_window = 1ull << 48,
	.va_mask = VA_MASK(48),
	.va_half = {0, VA_MASK(48)},
	.phys_bits = 48,
	ARM64_HAFDBS(ARM64_IPS_48),
	ARM64_COMMON(ARM64_SH_INNER),
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, NO_BLOCK},
	.pfn_mask = OA_64K,
	.group_bits = ARM64_GROUPS_64K,
	.tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(13),
	.table_base = ARM64_TABLES_3,
	.table_pfn_mask = OA_64K,
	.fields = arm64_64k_fields,
	.ops = &arm64_64k_ops,
};

/* LPA2: a level -1 with 16 entries. */
const struct arch_desc arch_arm64_4k_52 = {
	.name = "arm64-4k-52",
	.page_shift = 12,
	.levels = 5,
	.idx_bits = {9, 9, 9, 9, 4},
	.shift = {12, 21, 30, 39, 48, 52},
	.huge_levels = 1 << 1 | 1 << 2 | 1 << 3, /* 2 MiB, 1 GiB, 512 GiB */
	.task_size = 1ull << 52,
	.default_map_window = 1ull << 48,
	.va_mask = VA_MASK(52),
	.va_half = {0, VA_MASK(52)},
	.phys_bits = 52,
	ARM64_HAFDBS(ARM64_IPS_52),
	ARM64_COMMON(0),
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, LEAF_OR_TABLE, LEAF_OR_TABLE, NO_BLOCK},
	.pfn_mask = OA_4K_52,
	.group_bits = ARM64_GROUPS_4K,
	.tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(9),
	.pfn_hi_mask = OA_HI_LPA2,
	.pfn_hi_shift = 42,
	.table_base = ARM64_TABLES_5,
	.table_pfn_mask = OA_4K_52,
	.fields = arm64_4k_52_fields,
	.ops = &arm64_4k_52_ops,
};

/* LPA2: the top level has 32 entries. */
const struct arch_desc arch_arm64_16k_52 = {
	.name = "arm64-16k-52",
	.page_shift = 14,
	.levels = 4,
	.idx_bits = {11, 11, 11, 5},
	.shift = {14, 25, 36, 47, 52},
	.huge_levels = 1 << 1 | 1 << 2, /* 32 MiB, 64 GiB */
	.task_size = 1ull << 52,
	.default_map_window = 1ull << 48,
	.va_mask = VA_MASK(52),
	.va_half = {0, VA_MASK(52)},
	.phys_bits = 52,
	ARM64_HAFDBS(ARM64_IPS_52),
	ARM64_COMMON(0),
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, LEAF_OR_TABLE, NO_BLOCK},
	.pfn_mask = OA_16K_52,
	.group_bits = ARM64_GROUPS_16K,
	.tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(11),
	.pfn_hi_mask = OA_HI_LPA2,
	.pfn_hi_shift = 42,
	.table_base = ARM64_TABLES_4,
	.table_pfn_mask = OA_16K_52,
	.fields = arm64_16k_52_fields,
	.ops = &arm64_16k_52_ops,
};

/* LVA and LPA: the top level has 1024 entries. */
const struct arch_desc arch_arm64_64k_52 = {
	.name = "arm64-64k-52",
	.page_shift = 16,
	.levels = 3,
	.idx_bits = {13, 13, 10},
	.shift = {16, 29, 42, 52},
	.huge_levels = 1 << 1 | 1 << 2, /* 512 MiB, 4 TiB */
	.task_size = 1ull << 52,
	.default_map_window = 1ull << 48,
	.va_mask = VA_MASK(52),
	.va_half = {0, VA_MASK(52)},
	.phys_bits = 52,
	ARM64_HAFDBS(ARM64_IPS_52),
	ARM64_COMMON(ARM64_SH_INNER),
	.hw_present = {NO_BLOCK, LEAF_OR_TABLE, LEAF_OR_TABLE},
	.pfn_mask = OA_64K,
	.group_bits = ARM64_GROUPS_64K,
	.tlb_full_flush_leaves = ARM64_FLUSH_LEAVES(13),
	.pfn_hi_mask = OA_HI_LPA,
	.pfn_hi_shift = 36,
	.table_base = ARM64_TABLES_3,
	.table_pfn_mask = OA_64K,
	.fields = arm64_64k_52_fields,
	.ops = &arm64_64k_52_ops,
};
