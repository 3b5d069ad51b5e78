/*
 * arch/x86_64/x86_64.h - bits of x86-64 paging entries and of the #PF error code
 *
 * Intel SDM vol. 3A, tables 4-15 to 4-20 (entries) and figure 4-12 (error code); the software bit
 * is where Linux keeps the same meaning.
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
#define X86_PS (1ull << 7)  /* leaf, at levels 1 and 2; PAT at level 0 */
#define X86_G (1ull << 8)   /* global; leaf only */
#define X86_SPECIAL (1ull << 9) /* software */
#define X86_PAT_LARGE (1ull << 12)
#define X86_NX (1ull << 63)

#define X86_PHYS_BITS 46 /* MAXPHYADDR of the modelled part: bits above it are reserved */
#define X86_ADDR_MASK 0x000ffffffffff000ull
#define X86_RSVD_ADDR (X86_ADDR_MASK & ~((1ull << X86_PHYS_BITS) - 1))
#define X86_RSVD_2M (X86_RSVD_ADDR | 0x1fe000ull)     /* bits 20:13; 12 is PAT */
#define X86_RSVD_1G (X86_RSVD_ADDR | 0x3fffe000ull)   /* bits 29:13 */

/* #PF error code */
#define X86_PF_P (1u << 0)    /* 0: no translation; 1: an entry forbade it */
#define X86_PF_W (1u << 1)    /* write */
#define X86_PF_U (1u << 2)    /* from user mode */
#define X86_PF_RSVD (1u << 3) /* a reserved bit was set */
#define X86_PF_I (1u << 4)    /* instruction fetch (EFER.NXE is on) */

#endif
