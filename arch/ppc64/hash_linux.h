/*
 * arch/ppc64/hash_linux.h - entries of Linux's tree over a hashed page table, and how it names segments
 *
 * The hardware never reads these entries. Most bits are where Linux has them for radix too; those
 * that speak of the HPTE are this tree's own.
 */
#ifndef MMSIM_ARCH_PPC64_HASH_LINUX_H
#define MMSIM_ARCH_PPC64_HASH_LINUX_H

#include "arch/ppc64/hash.h"

#define HPAGE_PRESENT (1ull << 63)
#define HPAGE_LEAF (1ull << 62)
#define H_PAGE_HASHPTE (1ull << 61) /* has, or had, an HPTE */
#define H_PAGE_SECOND (1ull << 60)  /* ... in the second group */
#define H_PAGE_SLOT_SHIFT 57	    /* ... at this place in it */
#define HPAGE_RPN 0x01ffffffffff0000ull
#define HPAGE_TABLE 0x0fffffffffff0000ull
#define H_PAGE_BUSY 0x800ull /* being inserted or changed: wait */
#define HPAGE_SPECIAL 0x400ull
#define HPAGE_ACCESSED 0x100ull
#define HPAGE_DIRTY 0x80ull
#define HPAGE_PRIVILEGED 0x8ull
#define HPAGE_READ 0x4ull
#define HPAGE_WRITE 0x2ull
#define HPAGE_EXEC 0x1ull
#define H_PAGE_FLAGS (H_PAGE_HASHPTE | H_PAGE_SECOND | 7ull << H_PAGE_SLOT_SHIFT | H_PAGE_BUSY)

/* Virtual addresses of 68 bits, as POWER8 has: 19 of context, 49 of effective address. Contexts are
 * numbers of frames: a machine with more of them than that has 8 bits more (the ISA allows 78). */
#define HASH_EA_BITS 49
#define HASH_CONTEXT_BITS 19
#define HASH_CONTEXT_BITS_MAX 27

/* A failed access as arch_ops.raise wants it. Returns false. */
bool hash_walk_refused(const struct hash_access *x, struct mmu_walk *w);

/* A machine's table, for tests: it may be made smaller before the first access, but not below 2048
 * groups: an HPTE's name lacks the 11 bits of the page number that its group has. */
struct hpt *hash_table_of(const struct memory *mem);

/* What the mm with this root uses. */
u64 hash_context(const struct arch_desc *a, u64 root_pa);
/* The SLB entry for ea in that context. */
struct slb_entry hash_segment(u64 context, u64 ea);

#endif
