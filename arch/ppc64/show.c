/*
 * arch/ppc64/show.c - what storage and segment interrupts say, by name, for who shows it
 *
 * Defined in   Power ISA 3.0B Book III 6.5.3 to 6.5.6.
 * Tests        tests/cli/walk.sh
 */
#include "arch/ppc64/ppc64.h"

const char *const ppc64_level_names[] = {"PTE", "PDE 1", "PDE 2", "PDE 3"};
const char *const ppc64_hash_level_names[] = {"pte", "pmd", "pud", "pgd"};

#define BIT(bit, name, meaning) {bit, bit, name, meaning}
#define STATE                                                                                      \
	BIT(PPC64_CODE_PR, "SRR1[PR]", "from problem state"),                                      \
		{PPC64_CODE_PR, 0, "SRR1[PR]=0", "from privileged state"}

static const struct syndrome_bit data_bits[] = {
	BIT(DSISR_NO_TRANSLATION, "0x40000000", "no translation"),
	BIT(DSISR_PROTECTION, "0x08000000", "protection"),
	BIT(DSISR_STORE, "0x02000000", "a store"),
	BIT(DSISR_KEY, "0x00200000", "the page's class key forbids it"),
	BIT(DSISR_BAD_CONFIG, "0x00080000", "a malformed tree"),
	BIT(DSISR_RC, "0x00040000", "Reference or Change is to be set"),
	STATE,
	{0, 0, NULL, NULL},
};

static const struct syndrome_bit inst_bits[] = {
	BIT(SRR1_NO_TRANSLATION, "0x40000000", "no translation"),
	BIT(SRR1_NO_EXECUTE, "0x10000000", "no-execute or guarded"),
	BIT(SRR1_PROTECTION, "0x08000000", "protection"),
	BIT(SRR1_BAD_CONFIG, "0x00080000", "a malformed tree"),
	BIT(SRR1_RC, "0x00040000", "Reference is to be set"),
	STATE,
	{0, 0, NULL, NULL},
};

static const struct syndrome_bit segment_bits[] = {STATE, {0, 0, NULL, NULL}};

const struct syndrome_kind ppc64_syndromes[] = {
	{VECTOR_DATA_STORAGE, "data storage interrupt, vector 0x300", "DSISR", "DAR", PPC64_CODE_CAUSES,
	 data_bits},
	{VECTOR_INST_STORAGE, "instruction storage interrupt, vector 0x400", "SRR1", "SRR0", PPC64_CODE_CAUSES,
	 inst_bits},
	{VECTOR_DATA_SEGMENT, "data segment interrupt, vector 0x380", NULL, "DAR", 0, segment_bits},
	{VECTOR_INST_SEGMENT, "instruction segment interrupt, vector 0x480", NULL, "SRR0", 0,
	 segment_bits},
	{0, NULL, NULL, NULL, 0, NULL},
};
