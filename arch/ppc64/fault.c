/*
 * arch/ppc64/fault.c - storage and segment interrupts of ppc64: what they report, and what the kernel reads in it
 *
 * Models       vector, DSISR or SRR1, DAR or SRR0 of the data and instruction storage and segment
 *              interrupts.
 * Ambiguous    DSISR_RC does not say which of Reference and Change is missing: a store is taken
 *              to miss Change, and sets both.
 * Defined in   Power ISA 3.0B Book III 6.5.3 to 6.5.6.
 * Tests        tests/unit/arch/ppc64/test_radix.c, test_hash.c
 */
#include "arch/ppc64/ppc64.h"

struct syndrome ppc64_segment_interrupt(u64 va, enum access_kind kind, bool user)
{
	return (struct syndrome){
		.code = user ? PPC64_CODE_PR : 0,
		.va = va,
		.vector = kind == ACCESS_EXEC ? VECTOR_INST_SEGMENT : VECTOR_DATA_SEGMENT,
	};
}

struct syndrome ppc64_storage_interrupt(u64 va, enum access_kind kind, bool user, u32 causes)
{
	if (kind == ACCESS_WRITE)
		causes |= DSISR_STORE;
	return (struct syndrome){
		.code = causes | (user ? PPC64_CODE_PR : 0),
		.va = va,
		.vector = kind == ACCESS_EXEC ? VECTOR_INST_STORAGE : VECTOR_DATA_STORAGE,
	};
}

void ppc64_decode(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f)
{
	bool inst = s.vector == VECTOR_INST_STORAGE || s.vector == VECTOR_INST_SEGMENT;

	(void)a;
	f->va = s.va;
	f->user = (s.code & PPC64_CODE_PR) != 0;
	/* A segment interrupt does not say whether it was a store. */
	f->kind = inst ? ACCESS_EXEC : s.code & DSISR_STORE ? ACCESS_WRITE : ACCESS_READ;
	if (s.vector == VECTOR_DATA_SEGMENT || s.vector == VECTOR_INST_SEGMENT)
		f->cause = MMU_BAD_ADDRESS;
	else if (s.code & DSISR_NO_TRANSLATION)
		f->cause = MMU_ABSENT;
	else if (s.code & DSISR_BAD_CONFIG)
		f->cause = MMU_RESERVED;
	else if (s.code & DSISR_RC)
		f->cause = f->kind == ACCESS_WRITE ? MMU_NOT_DIRTY : MMU_NOT_ACCESSED;
	else if (!inst && (s.code & DSISR_KEY))
		f->cause = MMU_KEY;
	else
		f->cause = MMU_DENIED;
}
