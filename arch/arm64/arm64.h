/*
 * arch/arm64/arm64.h - bits of VMSAv8-64 stage-1 descriptors, of the modelled control registers and
 * of ESR_EL1
 *
 * Arm ARM (DDI 0487) D8.3 (descriptor formats), D8.4 (rights, Access flag, dirty state), D24.2.40
 * (ESR_EL1). Software bits are where Linux keeps the same meaning.
 */
#ifndef MMSIM_ARCH_ARM64_H
#define MMSIM_ARCH_ARM64_H

#include <mmsim/arch.h>

/* Descriptors of every level */
#define ARM64_VALID (1ull << 0)
#define ARM64_TABLE (1ull << 1) /* table; at the last level: page, and 0 is reserved */

/* Block and page descriptors */
#define ARM64_ATTRINDX (7ull << 2)
#define ARM64_NS (1ull << 5)
#define ARM64_AP1 (1ull << 6) /* EL0 may load (and store, if anybody may) */
#define ARM64_AP2 (1ull << 7) /* nobody may store */
#define ARM64_SH (3ull << 8)  /* with LPA2: bits 51:50 of the address */
#define ARM64_SH_INNER (3ull << 8)
#define ARM64_AF (1ull << 10)
#define ARM64_NG (1ull << 11)
#define ARM64_GP (1ull << 50)
#define ARM64_DBM (1ull << 51)
#define ARM64_CONT (1ull << 52)
#define ARM64_PXN (1ull << 53)
#define ARM64_UXN (1ull << 54)
#define ARM64_DIRTY (1ull << 55)   /* software */
#define ARM64_SPECIAL (1ull << 56) /* software */

/* Table descriptors: restrictions on all that is below */
#define ARM64_TABLE_PXN (1ull << 59)
#define ARM64_TABLE_UXN (1ull << 60)
#define ARM64_TABLE_AP0 (1ull << 61) /* no access from EL0 */
#define ARM64_TABLE_AP1 (1ull << 62) /* no stores */
#define ARM64_TABLE_NS (1ull << 63)

/* mmu_regs.control. Granule, address size and LPA2 are the description's. */
#define ARM64_CTL_IPS(n) ((u64)(n)) /* TCR.IPS, bits 2:0 */
#define ARM64_IPS_48 5u
#define ARM64_IPS_52 6u
#define ARM64_CTL_HA (1ull << 3)   /* TCR.HA: the MMU sets the Access flag */
#define ARM64_CTL_HD (1ull << 4)   /* TCR.HD: with DBM a store clears AP[2]; needs HA */
#define ARM64_CTL_HPD0 (1ull << 5) /* TCR.HPD0: restrictions of tables are ignored, lower half */
#define ARM64_CTL_HPD1 (1ull << 6)
#define ARM64_CTL_WXN (1ull << 7) /* SCTLR.WXN: what may be stored to cannot be executed */
#define ARM64_CTL_PAN (1ull << 8) /* PSTATE.PAN: EL1 does not load or store where EL0 may */

/* TCR.IPS as a number. */
static inline u64 arm64_ips(u64 control)
{
	return control & 7;
}

/* ESR_EL1 */
#define ARM64_ESR_EC_SHIFT 26
#define ARM64_EC_INSN_LOWER 0x20u /* instruction abort from EL0 */
#define ARM64_EC_INSN_SAME 0x21u
#define ARM64_EC_DATA_LOWER 0x24u /* data abort from EL0 */
#define ARM64_EC_DATA_SAME 0x25u
#define ARM64_ESR_IL (1ull << 25)  /* a 32-bit instruction; always so for aborts */
#define ARM64_ESR_WNR (1ull << 6)
#define ARM64_ESR_FSC 0x3full
/* Fault status: kind | level, but at level -1 a code of its own */
#define ARM64_FSC_ADDRESS_SIZE 0x00u
#define ARM64_FSC_TRANSLATION 0x04u
#define ARM64_FSC_ACCESS 0x08u
#define ARM64_FSC_PERMISSION 0x0cu
#define ARM64_FSC_ADDRESS_SIZE_L_1 0x29u
#define ARM64_FSC_TRANSLATION_L_1 0x2bu

extern const struct syndrome_kind arm64_syndromes[];
extern const char *const arm64_level_names[];

#endif
