/*
 * arch/ppc64/ppc64.h - bits of ppc64 paging entries and of what its storage interrupts report
 *
 * Power ISA 3.0B Book III: radix entries 5.7.10.1 and 5.7.10.2, process and partition table 5.7.6,
 * storage interrupts 6.5.3 to 6.5.6. Constants are given as values of the 64-bit doubleword, bit 0
 * of the manual being 1 << 63; BE() is that doubleword as a little-endian host loads it. Software
 * bits are where Linux keeps the same meaning.
 */
#ifndef MMSIM_ARCH_PPC64_H
#define MMSIM_ARCH_PPC64_H

#include <mmsim/arch.h>

#define BE(x) __builtin_bswap64(x)

/* An entry of a radix tree: leaf or directory. */
#define RADIX_VALID (1ull << 63)
#define RADIX_LEAF (1ull << 62)
/* ... a leaf (PTE) */
#define RADIX_RPN 0x01fffffffffff000ull
#define RADIX_R 0x100ull
#define RADIX_C 0x80ull
#define RADIX_ATT 0x30ull
#define RADIX_ATT_SAO 0x10ull
#define RADIX_ATT_NON_IDEMPOTENT 0x20ull /* guarded: nothing is fetched from it */
#define RADIX_ATT_TOLERANT 0x30ull
#define RADIX_EAA_PRIV 8ull  /* problem state may not */
#define RADIX_EAA_READ 4ull
#define RADIX_EAA_WRITE 2ull /* loads and stores, whatever READ is */
#define RADIX_EAA_EXEC 1ull
#define RADIX_SPECIAL 0x400ull /* software */
/* ... a directory (PDE) */
#define RADIX_NLB 0x0fffffffffffff00ull
#define RADIX_NLS 0x1full

/* Process-table entry, first doubleword. */
#define PRTE_RTS_HI_SHIFT 61 /* RTS bits 4:3 */
#define PRTE_RTS_LO_SHIFT 5  /* RTS bits 2:0 */
#define PRTE_RPDB 0x0fffffffffffff00ull
#define PRTE_RPDS 0x1full
#define PRTE_RTS_BIAS 31     /* RTS 0 is a tree of 31 bits */
/* Partition-table entry: host radix in the first doubleword, process table in the second. */
#define PATE0_HR (1ull << 63)

/* DSISR, and the same causes in SRR1 for an instruction. */
#define DSISR_NO_TRANSLATION 0x40000000u
#define DSISR_PROTECTION 0x08000000u
#define DSISR_STORE 0x02000000u
#define DSISR_KEY 0x00200000u /* the virtual page class key forbids it */
#define DSISR_BAD_CONFIG 0x00080000u
#define DSISR_RC 0x00040000u  /* Reference or Change wants to be set */
#define SRR1_NO_TRANSLATION 0x40000000u
#define SRR1_NO_EXECUTE 0x10000000u /* no-execute or guarded, in radix any refusal */
#define SRR1_PROTECTION 0x08000000u
#define SRR1_BAD_CONFIG 0x00080000u
#define SRR1_RC 0x00040000u

/* Interrupt vectors. */
#define VECTOR_DATA_STORAGE 0x300u
#define VECTOR_DATA_SEGMENT 0x380u
#define VECTOR_INST_STORAGE 0x400u
#define VECTOR_INST_SEGMENT 0x480u

/*
 * struct syndrome of ppc64: vector; code: DSISR (data) or the causes in SRR1 (instruction), with
 * MSR[PR] of the interrupted program beside it, which an interrupt handler finds in SRR1; va: DAR
 * (data) or SRR0 (instruction).
 */
#define PPC64_CODE_CAUSES 0xffffffffull
#define PPC64_CODE_PR (1ull << 32)

extern const struct syndrome_kind ppc64_syndromes[];
#define PPC64_SIGNALS                                                                              \
	{                                                                                          \
		[MMU_BAD_ADDRESS] = "SIGSEGV, SEGV_BNDERR: outside of what a program can have",    \
		[MMU_KEY] = "SIGSEGV, SEGV_PKUERR: the key forbids it",                            \
		[MMU_RESERVED] = "SIGBUS, BUS_OBJERR: the tree is malformed",                      \
	}
extern const char *const ppc64_level_names[], *const ppc64_hash_level_names[];

/* arch_ops.decode of both MMUs. */
void ppc64_decode(const struct arch_desc *a, struct syndrome s, struct mmu_fault *f);
/* Interrupt of an access for which there is no segment, or no such address. */
struct syndrome ppc64_segment_interrupt(u64 va, enum access_kind kind, bool user);
/* Storage interrupt with these causes; a store says so itself. */
struct syndrome ppc64_storage_interrupt(u64 va, enum access_kind kind, bool user, u32 causes);

/* First doubleword of the process-table entry of a tree with this root. */
u64 radix_process_entry(const struct arch_desc *a, u64 root_pa);
/* Its inverse: width of the tree in bits, root, bits of the root's index. */
void radix_process_entry_read(u64 prte, u32 *bits, u64 *root_pa, u32 *root_bits);

#endif
