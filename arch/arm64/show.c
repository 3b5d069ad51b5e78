/*
 * arch/arm64/show.c - what ESR_EL1 says of an abort, by name, for who shows it
 *
 * Defined in   Arm ARM (DDI 0487) D24.2.40.
 * Tests        tests/cli/walk.sh
 */
#include "arch/arm64/arm64.h"

/* As Arm counts: the last level is 3. */
const char *const arm64_level_names[] = {"level 3", "level 2", "level 1", "level 0", "level -1"};

#define EC(n) (0x3full << ARM64_ESR_EC_SHIFT), ((u64)(n) << ARM64_ESR_EC_SHIFT)
#define FSC(n) ARM64_ESR_FSC, (n)
#define FSC_LEVELS(base, name, meaning)                                                            \
	{FSC((base) + 0), name " 0", meaning ", level 0"},                                         \
		{FSC((base) + 1), name " 1", meaning ", level 1"},                                 \
		{FSC((base) + 2), name " 2", meaning ", level 2"},                                 \
		{FSC((base) + 3), name " 3", meaning ", level 3"}

static const struct syndrome_bit esr_bits[] = {
	{EC(ARM64_EC_INSN_LOWER), "EC 0x20", "instruction abort from EL0"},
	{EC(ARM64_EC_INSN_SAME), "EC 0x21", "instruction abort from EL1"},
	{EC(ARM64_EC_DATA_LOWER), "EC 0x24", "data abort from EL0"},
	{EC(ARM64_EC_DATA_SAME), "EC 0x25", "data abort from EL1"},
	{ARM64_ESR_IL, ARM64_ESR_IL, "IL", "a 32-bit instruction"},
	{ARM64_ESR_WNR, ARM64_ESR_WNR, "WnR", "a write"},
	FSC_LEVELS(ARM64_FSC_ADDRESS_SIZE, "FSC 0x00 +", "address size fault"),
	FSC_LEVELS(ARM64_FSC_TRANSLATION, "FSC 0x04 +", "translation fault"),
	FSC_LEVELS(ARM64_FSC_ACCESS, "FSC 0x08 +", "Access flag fault"),
	FSC_LEVELS(ARM64_FSC_PERMISSION, "FSC 0x0c +", "permission fault"),
	{FSC(ARM64_FSC_ADDRESS_SIZE_L_1), "FSC 0x29", "address size fault, level -1"},
	{FSC(ARM64_FSC_TRANSLATION_L_1), "FSC 0x2b", "translation fault, level -1"},
	{0, 0, NULL, NULL},
};

const struct syndrome_kind arm64_syndromes[] = {
	{0, "synchronous exception", "ESR_EL1", "FAR_EL1", ~0ull, esr_bits},
	{0, NULL, NULL, NULL, 0, NULL},
};
