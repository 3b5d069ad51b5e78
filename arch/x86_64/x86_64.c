/*
 * arch/x86_64/x86_64.c - x86-64 with 4-level (48-bit) and 5-level (57-bit) tables
 *
 * Models       entry formats, 4 KiB, 2 MiB and 1 GiB pages, both canonical halves, NX, reserved bits,
 *              hardware Accessed and Dirty, protection keys of user pages, WP, SMEP, SMAP; #PF
 *              error codes P W U RSVD I PK with CR2; #GP for an address that is not canonical.
 * Leaves out   what PAT, PWT and PCD mean (the bits are there and ignored); supervisor keys (PKS);
 *              shadow stacks; SGX. An access that the CPU makes by itself (descriptor tables) is
 *              not told from one of an instruction, so AC lifts SMAP for every access.
 * PROT_NONE    is an entry without P, marked by PROTNONE (the bit that is G elsewhere): Linux's
 *              form. The inversion of frame bits against L1TF is left out.
 * Defined in   Intel SDM vol. 3A chapter 4.
 * Tests        tests/unit/arch/x86_64/, tests/oracle/x86 (QEMU and, where there is KVM, this CPU)
 */
#include "arch/walk.h"
#include "arch/x86_64/x86_64.h"

/* Linux's _PAGE_TABLE: upper levels restrict nothing; Accessed is preset so that a walk is
 * not followed by a locked write to each level. */
#define X86_TABLE (X86_P | X86_RW | X86_US | X86_A)

/* ---- syndromes -------------------------------------------------------------------------------- */

static struct syndrome x86_raise(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				 enum access_kind kind, bool user, const struct mmu_walk *w)
{
	u64 code = 0;

	(void)a;
	/* A stack access would raise #SS instead; here no access is one. CR2 keeps its value. */
	if (w->cause == MMU_BAD_ADDRESS)
		return (struct syndrome){.vector = X86_VECTOR_GP};
	if (w->cause != MMU_ABSENT)
		code |= X86_PF_P;
	if (w->cause == MMU_RESERVED)
		code |= X86_PF_RSVD;
	if (w->cause == MMU_KEY)
		code |= X86_PF_PK;
	if (kind == ACCESS_WRITE)
		code |= X86_PF_W;
	if (kind == ACCESS_EXEC && (regs->control & (X86_CTL_NXE | X86_CTL_SMEP)))
		code |= X86_PF_I;
	if (user)
		code |= X86_PF_U;
	return (struct syndrome){.code = code, .va = va, .vector = X86_VECTOR_PF};
}

static void x86_decode(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f)
{
	(void)a;
	f->va = s.va;
	f->kind = s.code & X86_PF_I   ? ACCESS_EXEC
		  : s.code & X86_PF_W ? ACCESS_WRITE
				      : ACCESS_READ;
	f->user = (s.code & X86_PF_U) != 0;
	f->cause = s.vector == X86_VECTOR_GP ? MMU_BAD_ADDRESS
		   : !(s.code & X86_PF_P)    ? MMU_ABSENT
		   : s.code & X86_PF_RSVD    ? MMU_RESERVED
		   : s.code & X86_PF_PK	     ? MMU_KEY
					     : MMU_DENIED;
}

/* ---- walks ------------------------------------------------------------------------------------ */

/* May a data access be made to a page with e's key? Keys are those of user pages. */
static inline bool x86_key_permits(const struct walk_query *q, pte_t e)
{
	u32 rights = (u32)(q->regs->keys >> 2 * pte_key(q->a, e));

	if (rights & X86_PKRU_AD)
		return false;
	return q->kind != ACCESS_WRITE || !(rights & X86_PKRU_WD) ||
	       !(q->user || (q->control & X86_CTL_WP));
}

/* SDM 4.6.1 and 4.6.2. A key that forbids is reported even where the entry forbids too. */
static inline bool x86_permits(const struct walk_query *q, pte_t e, u32 attrs,
			       enum mmu_cause *cause)
{
	bool user_page = attrs & PTE_USER, data = q->kind != ACCESS_EXEC;

	*cause = MMU_DENIED;
	if (q->user && !user_page)
		return false;
	if (data && user_page && (q->control & X86_CTL_PKE) && !x86_key_permits(q, e)) {
		*cause = MMU_KEY;
		return false;
	}
	if (!q->user && user_page) {
		u64 guards = q->control & (X86_CTL_SMEP | X86_CTL_SMAP | X86_CTL_AC);

		if (data && (guards & (X86_CTL_SMAP | X86_CTL_AC)) == X86_CTL_SMAP)
			return false;
		if (!data && (guards & X86_CTL_SMEP))
			return false;
	}
	if (!data)
		return attrs & PTE_EXEC;
	return q->kind == ACCESS_READ || (attrs & PTE_WRITE) ||
	       !(q->user || (q->control & X86_CTL_WP));
}

/* Any registers, either mode, any description of this folder. */
static NOINLINE bool x86_walk_traced(const struct arch_desc *a, const struct memory *mem,
				     const struct mmu_regs *regs, u64 va, enum access_kind kind,
				     bool user, struct walk_trace *trace, struct mmu_walk *w)
{
	const struct walk_query q = {
		.a = a,
		.mem = mem,
		.regs = regs,
		.control = regs->control,
		.va = va,
		.kind = kind,
		.user = user,
		.trace = trace,
	};

	return walk_tree(&q, x86_permits, w);
}

static bool x86_walk(const struct arch_desc *a, const struct memory *mem,
		     const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		     struct mmu_walk *w)
{
	return x86_walk_traced(a, mem, regs, va, kind, user, NULL, w);
}

/* A user program's access under the registers that the kernel runs it with, and no surprise on the
 * way: nothing but the entries matters, and everything else is known at compile time. */
static ALWAYS_INLINE bool x86_walk_user(const struct arch_desc *a, const struct memory *mem,
					const struct mmu_regs *regs, u64 va,
					enum access_kind kind, bool user, struct mmu_walk *w)
{
	const struct walk_query q = {
		.a = a,
		.mem = mem,
		.regs = regs,
		.control = X86_CTL_DEFAULT,
		.va = va,
		.kind = kind,
		.user = true,
	};

	if (likely(user && regs->control == X86_CTL_DEFAULT)) {
		enum walk_verdict verdict = walk_plain(&q, w);

		if (likely(verdict != WALK_UNDECIDED))
			return verdict == WALK_OK;
	}
	return x86_walk_traced(a, mem, regs, va, kind, user, NULL, w);
}

#define X86_INSTANCES(name, desc)                                                                  \
	static bool name##_walk(const struct arch_desc *a, const struct memory *mem,               \
				const struct mmu_regs *regs, u64 va, enum access_kind kind,        \
				bool user, struct mmu_walk *w)                                     \
	{                                                                                          \
		(void)a;                                                                           \
		return x86_walk_user(&desc, mem, regs, va, kind, user, w);                         \
	}                                                                                          \
	static bool name##_descend(const struct arch_desc *a, const struct memory *mem,            \
				   u64 root_pfn, u64 va, u32 lowest, struct pt_place *at)          \
	{                                                                                          \
		(void)a;                                                                           \
		return descend_tree(&desc, mem, root_pfn, va, lowest, at);                         \
	}                                                                                          \
	static const struct arch_ops name##_ops = {                                                \
		.walk = name##_walk,                                                               \
		.walk_traced = x86_walk_traced,                                                    \
		.descend = name##_descend,                                                         \
		.raise = x86_raise,                                                                \
		.decode = x86_decode,                                                              \
	}

X86_INSTANCES(x86_64, arch_x86_64);
X86_INSTANCES(x86_64_la57, arch_x86_64_la57);

/* For a description that only run time knows. */
static const struct arch_ops x86_ops = {
	.walk = x86_walk,
	.walk_traced = x86_walk_traced,
	.descend = arch_descend_tree,
	.raise = x86_raise,
	.decode = x86_decode,
};

/* ---- descriptions ------------------------------------------------------------------------------- */

/* What shows an entry: SDM figure 4-11. */
static const struct pte_field x86_fields[] = {
	{X86_P, X86_P, "P", IN_ANY, 0x1f},
	{X86_RW, X86_RW, "RW", IN_ANY, 0x1f},
	{X86_US, X86_US, "US", IN_ANY, 0x1f},
	{X86_PWT, X86_PWT, "PWT", IN_ANY, 0x1f},
	{X86_PCD, X86_PCD, "PCD", IN_ANY, 0x1f},
	{X86_A, X86_A, "A", IN_ANY, 0x1f},
	{X86_D, X86_D, "D", IN_LEAF, 0x07},
	{X86_PAT, X86_PAT, "PAT", IN_LEAF, 0x01},
	{X86_PS, X86_PS, "PS", IN_ANY, 0x1e},
	{X86_PAT_LARGE, X86_PAT_LARGE, "PAT", IN_LEAF, 0x06},
	{X86_P | X86_G, X86_P | X86_G, "G", IN_LEAF, 0x07},
	{X86_P | X86_PROTNONE, X86_PROTNONE, "PROTNONE", IN_ANY, 0x07},
	{X86_SPECIAL, X86_SPECIAL, "SPECIAL", IN_ANY, 0x07},
	{X86_KEY_MASK, 0, "key", IN_LEAF, 0x07},
	{X86_NX, X86_NX, "NX", IN_ANY, 0x1f},
	{0, 0, NULL, 0, 0},
};

static const struct control_bit x86_control_bits[] = {
	{X86_CTL_WP, "WP"}, {X86_CTL_SMEP, "SMEP"}, {X86_CTL_SMAP, "SMAP"}, {X86_CTL_AC, "AC"},
	{X86_CTL_PKE, "PKE"}, {X86_CTL_NXE, "NXE"}, {0, NULL},
};

#define X86_RSVD X86_RSVD_ADDR(X86_PHYS_BITS)

/* By bit number of enum pte_attr: WRITE, USER, EXEC, ACCESSED, DIRTY, SPECIAL, READ. Level 0 to 2
 * may hold leaves; PS is reserved where it cannot make one. */
#define X86_FORMAT                                                                                 \
	.page_shift = 12, .huge_levels = 1 << 1 | 1 << 2, .phys_bits = X86_PHYS_BITS,              \
	.hw_sets_accessed = true, .hw_sets_dirty = true, .default_control = X86_CTL_DEFAULT,       \
	.entry_prefetches_lock = true, /* Linux: prefetchw() in exc_page_fault() */                \
	.tlb_invalidation = TLBI_BY_IPI,                                                           \
	.tlb_full_flush_leaves = 33, /* Linux's tlb_single_page_flush_ceiling */                   \
	.leaf_flush_as_pages = true,                                                               \
	.leaf_base = X86_P, .huge_base = X86_P | X86_PS, .huge_mask = X86_PS,                      \
	.huge_value = X86_PS, .present = X86_P | X86_PROTNONE,                                     \
	.hw_present = {X86_P, X86_P, X86_P, X86_P, X86_P}, .hidden_set = X86_PROTNONE,             \
	.hidden_clear = X86_P, .set = {X86_RW, X86_US, 0, X86_A, X86_D, X86_SPECIAL, 0},           \
	.clear = {0, 0, X86_NX, 0, 0, 0, 0}, .pfn_mask = X86_ADDR_MASK, .key_mask = X86_KEY_MASK,  \
	.key_shift = X86_KEY_SHIFT, .key_register_bits = 32,                                       \
	.global_mask = X86_G, .global_value = X86_G,                                               \
	.table_pfn_mask = X86_ADDR_MASK, .table_accessed = X86_A, .table_and = X86_RW | X86_US,    \
	.table_or = X86_NX, .gated_bits = X86_NX, .gate_control = X86_CTL_NXE,                     \
	.reserved_leaf = {X86_RSVD, X86_RSVD | X86_RSVD_2M, X86_RSVD | X86_RSVD_1G},               \
	.reserved_table = {0, X86_RSVD, X86_RSVD, X86_RSVD | X86_PS, X86_RSVD | X86_PS},           \
	.fields = x86_fields, .control_bits = x86_control_bits, .syndromes = x86_syndromes,        \
	.level_names = x86_level_names, .signals = {                                               \
		[MMU_BAD_ADDRESS] = "SIGSEGV, SI_KERNEL: without an address",                      \
		[MMU_KEY] = "SIGSEGV, SEGV_PKUERR: the key forbids it",                            \
		[MMU_RESERVED] = "SIGKILL: \"Corrupted page table\" in the log",                   \
	}

const struct arch_desc arch_x86_64 = {
	.name = "x86_64",
	X86_FORMAT,
	.levels = 4,
	.idx_bits = {9, 9, 9, 9},
	.shift = {12, 21, 30, 39, 48},
	.task_size = 0x7ffffffff000ull, /* one page short of 2^47: Linux's TASK_SIZE_MAX */
	.default_map_window = 0x7ffffffff000ull,
	.va_mask = 0xffff800000000000ull,
	.va_half = {0, 0xffff800000000000ull},
	.table_base = {0, X86_TABLE, X86_TABLE, X86_TABLE},
	.ops = &x86_64_ops,
};

const struct arch_desc arch_x86_64_la57 = {
	.name = "x86_64-la57",
	X86_FORMAT,
	.levels = 5,
	.idx_bits = {9, 9, 9, 9, 9},
	.shift = {12, 21, 30, 39, 48, 57},
	.task_size = 0xfffffffffff000ull, /* one page short of 2^56 */
	.default_map_window = 0x7ffffffff000ull,
	.va_mask = 0xff00000000000000ull,
	.va_half = {0, 0xff00000000000000ull},
	.table_base = {0, X86_TABLE, X86_TABLE, X86_TABLE, X86_TABLE},
	.ops = &x86_64_la57_ops,
};

void x86_describe(struct arch_desc *out, const struct arch_desc *base, const struct x86_part *part)
{
	u64 old = X86_RSVD_ADDR(base->phys_bits), rsvd = X86_RSVD_ADDR(part->phys_bits);

	*out = *base;
	out->phys_bits = part->phys_bits;
	out->ops = &x86_ops;
	for (u32 level = 0; level < base->levels; level++) {
		if (level == 0 || (base->huge_levels >> level & 1))
			out->reserved_leaf[level] = (base->reserved_leaf[level] & ~old) | rsvd;
		if (level > 0)
			out->reserved_table[level] = (base->reserved_table[level] & ~old) | rsvd;
		if (level > 2 && part->amd)
			out->reserved_table[level] |= X86_G;
	}
	if (!part->gigabyte_pages) {
		out->huge_levels &= (u8)~(1u << 2);
		out->reserved_table[2] |= X86_PS;
	}
}
