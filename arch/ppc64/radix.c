/*
 * arch/ppc64/radix.c - ppc64 with radix trees (POWER9): 52-bit addresses, pages of 64 KiB or 4 KiB, 2 MiB, 1 GiB
 *
 * Models       entry formats, big-endian; the size of each table in the entry that points to it;
 *              encoded access authority and the guarded attribute; Reference and Change left to
 *              software (a fault when they are clear); data and instruction storage and segment
 *              interrupts with their DSISR or SRR1; the process-table entry. Upper levels restrict
 *              nothing.
 *              Quadrants 0 and 3 (PID of the program, PID 0).
 * Leaves out   AMR and IAMR (0 for users); partition-scoped translation (bare metal: effective
 *              to real in one tree); quadrants 1 and 2, which read another partition's memory.
 * Store rights imply load rights: EAA 0b0010 may be loaded from.
 * Defined in   Power ISA 3.0B Book III 5.7.
 * Tests        tests/unit/arch/ppc64/test_radix.c, tests/oracle/ppc64_radix.c
 */
#include <mmsim/atomic.h>
#include <mmsim/page.h>

#include "arch/ppc64/ppc64.h"

/* ---- the process table's entry ---------------------------------------------------------------- */

u64 radix_process_entry(const struct arch_desc *a, u64 root_pa)
{
	u64 rts = level_shift(a, a->levels) - PRTE_RTS_BIAS;

	return (rts >> 3) << PRTE_RTS_HI_SHIFT | (rts & 7) << PRTE_RTS_LO_SHIFT |
	       (root_pa & PRTE_RPDB) | a->idx_bits[a->levels - 1];
}

void radix_process_entry_read(u64 prte, u32 *bits, u64 *root_pa, u32 *root_bits)
{
	u32 rts = (u32)((prte >> PRTE_RTS_HI_SHIFT & 3) << 3 | (prte >> PRTE_RTS_LO_SHIFT & 7));

	*bits = rts + PRTE_RTS_BIAS;
	*root_pa = prte & PRTE_RPDB;
	*root_bits = (u32)(prte & PRTE_RPDS);
}

/* ---- the MMU -------------------------------------------------------------------------------- */

/* May e be used like this? Before Reference and Change are looked at. */
static bool radix_allows(u64 e, enum access_kind kind, bool user)
{
	if (user && (e & RADIX_EAA_PRIV))
		return false;
	switch (kind) {
	case ACCESS_READ:
		return (e & (RADIX_EAA_READ | RADIX_EAA_WRITE)) != 0;
	case ACCESS_WRITE:
		return (e & RADIX_EAA_WRITE) != 0;
	default:
		return (e & RADIX_EAA_EXEC) && (e & RADIX_ATT) != RADIX_ATT_NON_IDEMPOTENT;
	}
}

static inline bool radix_fails(struct mmu_walk *w, u32 level, enum mmu_cause cause)
{
	w->level = (u8)level;
	w->cause = cause;
	return false;
}

/* Leaves come in four sizes. */
static inline bool radix_page_shift_ok(u32 shift)
{
	return shift == 12 || shift == 16 || shift == 21 || shift == 30;
}

/* The leaf e (host order) of `shift` address bits, found at `level`. */
static bool radix_leaf(const struct arch_desc *a, u64 e, u32 level, u32 shift, u64 va,
		       enum access_kind kind, bool user, struct mmu_walk *w)
{
	u64 in_page = (1ull << shift) - 1;

	if (unlikely(!radix_page_shift_ok(shift)))
		return radix_fails(w, level, MMU_RESERVED);
	if (unlikely(!radix_allows(e, kind, user)))
		return radix_fails(w, level, MMU_DENIED);
	if (unlikely(!(e & RADIX_R)))
		return radix_fails(w, level, MMU_NOT_ACCESSED);
	if (unlikely(kind == ACCESS_WRITE && !(e & RADIX_C)))
		return radix_fails(w, level, MMU_NOT_DIRTY);
	w->level = (u8)level;
	w->attrs = pte_shown_attrs(a, BE(e));
	if (e & RADIX_EAA_WRITE)
		w->attrs |= PTE_READ;
	if ((e & RADIX_ATT) == RADIX_ATT_NON_IDEMPOTENT)
		w->attrs &= ~(u32)PTE_EXEC;
	w->entry = BE(e);
	w->pfn = ((e & RADIX_RPN & ~in_page) | (va & in_page)) >> a->page_shift;
	return true;
}

/*
 * The hardware is told the shape of the tree by the tree: each table's size is in the entry above
 * it. Nothing of `a` but the root's size and the page size enters.
 */
static ALWAYS_INLINE bool radix_descend(const struct arch_desc *a, const struct memory *mem,
					const struct mmu_regs *regs, u64 va, enum access_kind kind,
					bool user, struct walk_trace *trace, struct mmu_walk *w)
{
	u32 level = a->levels - 1u, shift = a->shift[a->levels], bits = a->idx_bits[level], root;
	u64 table_pa;

	if (unlikely(!va_root(a, va, &root)))
		return radix_fails(w, level, MMU_BAD_ADDRESS);
	for (table_pa = regs->root[root];; level--) {
		u64 pa, e;

		shift -= bits;
		pa = table_pa + (va >> shift & ((1ull << bits) - 1)) * sizeof(pte_t);
		/* Pairs with the release that linked the table (pgtable.c). */
		e = BE(smp_load_acquire((const pte_t *)(mem->direct_map + pa)));
		if (trace)
			trace->step(trace, &(struct walk_step){
						   .pa = pa,
						   .entry = BE(e),
						   .level = (u8)level,
						   .leaf = (e & RADIX_VALID) && (e & RADIX_LEAF),
					   });
		if (unlikely(!(e & RADIX_VALID)))
			return radix_fails(w, level, MMU_ABSENT);
		if (e & RADIX_LEAF)
			return radix_leaf(a, e, level, shift, va, kind, user, w);
		bits = (u32)(e & RADIX_NLS);
		if (unlikely(level == 0 || bits < 5 || bits + 12 > shift))
			return radix_fails(w, level, MMU_RESERVED);
		table_pa = e & RADIX_NLB;
	}
}

/* ---- arch_ops ------------------------------------------------------------------------------- */

static bool radix_walk(const struct arch_desc *a, const struct memory *mem,
		       const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		       struct mmu_walk *w)
{
	return radix_descend(a, mem, regs, va, kind, user, NULL, w);
}

static bool radix_walk_traced(const struct arch_desc *a, const struct memory *mem,
			      const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
			      struct walk_trace *trace, struct mmu_walk *w)
{
	return radix_descend(a, mem, regs, va, kind, user, trace, w);
}

static struct syndrome radix_raise(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				   enum access_kind kind, bool user, const struct mmu_walk *w)
{
	u32 causes = 0;

	(void)a, (void)regs;
	switch (w->cause) {
	case MMU_BAD_ADDRESS:
		return ppc64_segment_interrupt(va, kind, user);
	case MMU_ABSENT:
		causes = DSISR_NO_TRANSLATION;
		break;
	case MMU_NOT_ACCESSED:
	case MMU_NOT_DIRTY:
		causes = DSISR_RC;
		break;
	case MMU_RESERVED:
		causes = DSISR_BAD_CONFIG;
		break;
	default:
		causes = kind == ACCESS_EXEC ? SRR1_NO_EXECUTE : DSISR_PROTECTION;
	}
	return ppc64_storage_interrupt(va, kind, user, causes);
}

static const struct arch_ops radix_ops = {
	.walk = radix_walk,
	.walk_traced = radix_walk_traced,
	.descend = arch_descend_tree,
	.raise = radix_raise,
	.decode = ppc64_decode,
};

/* ---- descriptions --------------------------------------------------------------------------- */

#define LEVELS_ALL 0xf
static const struct pte_field radix_fields[] = {
	{BE(RADIX_VALID), BE(RADIX_VALID), "V", IN_ANY, LEVELS_ALL},
	{BE(RADIX_LEAF), BE(RADIX_LEAF), "L", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_RPN), 0, "RPN", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_NLB), 0, "NLB", IN_TABLE, LEVELS_ALL},
	{BE(RADIX_NLS), 0, "NLS", IN_TABLE, LEVELS_ALL},
	{BE(RADIX_SPECIAL), BE(RADIX_SPECIAL), "special", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_R), BE(RADIX_R), "R", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_C), BE(RADIX_C), "C", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_ATT), BE(RADIX_ATT_SAO), "SAO", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_ATT), BE(RADIX_ATT_NON_IDEMPOTENT), "non-idempotent", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_ATT), BE(RADIX_ATT_TOLERANT), "tolerant", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_EAA_PRIV), BE(RADIX_EAA_PRIV), "priv", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_EAA_READ), BE(RADIX_EAA_READ), "r", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_EAA_WRITE), BE(RADIX_EAA_WRITE), "w", IN_LEAF, LEVELS_ALL},
	{BE(RADIX_EAA_EXEC), BE(RADIX_EAA_EXEC), "x", IN_LEAF, LEVELS_ALL},
	{0, 0, NULL, 0, 0},
};

#define RADIX_TABLE(bits) BE(RADIX_VALID | (bits))
#define RADIX_PHYS_BITS 57

/* set and clear by bit number of enum pte_attr: WRITE USER EXEC ACCESSED DIRTY SPECIAL READ. */
#define RADIX_COMMON                                                                               	.levels = 4, .huge_levels = 1 << 1 | 1 << 2, .task_size = 1ull << 52, .default_map_window = 1ull << 47,                      	.va_mask = 0xfff0000000000000ull, .va_half = {0, 0xc000000000000000ull}, .upper_root = 1,  	.phys_bits = RADIX_PHYS_BITS, .big_endian = true, .tlb_invalidation = TLBI_SERIALISED,     	.tlb_full_flush_leaves = 33, .leaf_base = BE(RADIX_VALID | RADIX_LEAF),                     	.huge_base = BE(RADIX_VALID | RADIX_LEAF), .huge_mask = BE(RADIX_LEAF),                    	.huge_value = BE(RADIX_LEAF), .present = BE(RADIX_VALID),                                  	.hw_present = {BE(RADIX_VALID), BE(RADIX_VALID), BE(RADIX_VALID), BE(RADIX_VALID)},        	.set = {BE(RADIX_EAA_WRITE), 0, BE(RADIX_EAA_EXEC), BE(RADIX_R), BE(RADIX_C),              		BE(RADIX_SPECIAL), BE(RADIX_EAA_READ)},                                            	.clear = {0, BE(RADIX_EAA_PRIV), 0, 0, 0, 0, 0}, .fields = radix_fields, .syndromes = ppc64_syndromes, .signals = PPC64_SIGNALS, .level_names = ppc64_level_names,                   	.ops = &radix_ops

const struct arch_desc arch_ppc64_radix = {
	.name = "ppc64-radix",
	.page_shift = 16,
	.idx_bits = {5, 9, 9, 13},
	.shift = {16, 21, 30, 39, 52},
	.pfn_mask = BE(RADIX_RPN & ~0xffffull),
	.table_base = {0, RADIX_TABLE(5), RADIX_TABLE(9), RADIX_TABLE(9)},
	.table_pfn_mask = BE(RADIX_NLB & ~0xffffull),
	RADIX_COMMON,
};

const struct arch_desc arch_ppc64_radix_4k = {
	.name = "ppc64-radix-4k",
	.page_shift = 12,
	.idx_bits = {9, 9, 9, 13},
	.shift = {12, 21, 30, 39, 52},
	.pfn_mask = BE(RADIX_RPN),
	.table_base = {0, RADIX_TABLE(9), RADIX_TABLE(9), RADIX_TABLE(9)},
	.table_pfn_mask = BE(RADIX_NLB & ~0xfffull),
	RADIX_COMMON,
};
