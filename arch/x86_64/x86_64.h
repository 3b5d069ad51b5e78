/*
 * arch/x86_64/x86_64.h - bits of x86-64 paging entries, of the registers that bear on paging, and of
 * the #PF error code
 *
 * Intel SDM vol. 3A, tables 4-14 to 4-20 (entries) and figure 4-12 (error code); the software bits
 * are where Linux keeps the same meaning.
 */
#ifndef MMSIM_ARCH_X86_64_H
#define MMSIM_ARCH_X86_64_H

#include <mmsim/arch.h>

#define X86_P (1ull << 0)   /* present */
#define X86_RW (1ull << 1)  /* writable */
#define X86_US (1ull << 2)  /* user */
#define X86_PWT (1ull << 3) /* write-through */
#define X86_PCD (1ull << 4) /* cache disable */
#define X86_A (1ull << 5)   /* accessed */
#define X86_D (1ull << 6)   /* dirty; leaf only */
#define X86_PS (1ull << 7)  /* leaf, at levels 1 and 2; PAT at level 0; reserved above */
#define X86_PAT X86_PS
#define X86_G (1ull << 8)	/* global; leaf only */
#define X86_PROTNONE X86_G	/* software, where P is clear: a PROT_NONE page */
#define X86_SPECIAL (1ull << 9) /* software */
#define X86_PAT_LARGE (1ull << 12)
#define X86_KEY_SHIFT 59
#define X86_KEY_MASK (15ull << X86_KEY_SHIFT) /* protection key; leaf only */
#define X86_NX (1ull << 63)

#define X86_PHYS_BITS 46 /* MAXPHYADDR of the modelled part: bits above it are reserved */
#define X86_ADDR_MASK 0x000ffffffffff000ull
#define X86_RSVD_ADDR(phys_bits) (X86_ADDR_MASK & ~((1ull << (phys_bits)) - 1))
#define X86_RSVD_2M 0x1fe000ull	  /* bits 20:13 of a 2 MiB leaf; 12 is PAT */
#define X86_RSVD_1G 0x3fffe000ull /* bits 29:13 of a 1 GiB leaf */

/* mmu_regs.control */
#define X86_CTL_WP (1ull << 0)	 /* CR0.WP: supervisor writes need RW too */
#define X86_CTL_SMEP (1ull << 1) /* CR4.SMEP: no supervisor fetch from user pages */
#define X86_CTL_SMAP (1ull << 2) /* CR4.SMAP: no supervisor data access to user pages ... */
#define X86_CTL_AC (1ull << 3)	 /* EFLAGS.AC: ... unless this is set */
#define X86_CTL_PKE (1ull << 4)	 /* CR4.PKE: mmu_regs.keys is PKRU */
#define X86_CTL_NXE (1ull << 5)	 /* EFER.NXE: NX is no reserved bit */
#define X86_CTL_ALL 0x3full
#define X86_CTL_DEFAULT (X86_CTL_WP | X86_CTL_SMEP | X86_CTL_SMAP | X86_CTL_NXE)

/* PKRU, bits of key k at 2k */
#define X86_PKRU_AD 1u /* no data access */
#define X86_PKRU_WD 2u /* no write */

/* #PF error code */
#define X86_PF_P (1u << 0)    /* 0: no translation; 1: an entry forbade it */
#define X86_PF_W (1u << 1)    /* write */
#define X86_PF_U (1u << 2)    /* from user mode */
#define X86_PF_RSVD (1u << 3) /* a reserved bit was set */
#define X86_PF_I (1u << 4)    /* instruction fetch, if NXE or SMEP is on */
#define X86_PF_PK (1u << 5)   /* protection key */

extern const struct syndrome_kind x86_syndromes[];
extern const char *const x86_level_names[];

#define X86_VECTOR_GP 13
#define X86_VECTOR_PF 14

/* What processors differ in. */
struct x86_part {
	u8 phys_bits;	     /* MAXPHYADDR, 32..52: address bits above it are reserved */
	bool gigabyte_pages; /* false: PS is reserved at level 2 */
	bool amd;	     /* bit 8 is reserved at levels 3 and 4 (AMD APM vol. 2, 5.4.1) */
};
/* base (one of this folder's) for such a processor. */
void x86_describe(struct arch_desc *out, const struct arch_desc *base, const struct x86_part *part);

#endif
