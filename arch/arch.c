/*
 * arch/arch.c - the architectures of this build
 *
 * Generic code never names one: it is handed an arch_desc, found here by the name that users give.
 * Tests loop over arch_all, so that a new entry is tested by being listed.
 *
 * Tests: tests/unit/arch/test_arch.c
 */
#include <string.h>

#include <mmsim/arch.h>

const struct arch_desc *const arch_all[] = {
	&arch_x86_64,
	&arch_x86_64_la57,
	&arch_arm64_4k,
	&arch_arm64_16k,
	&arch_arm64_64k,
	&arch_arm64_4k_52,
	&arch_arm64_16k_52,
	&arch_arm64_64k_52,
	&arch_arm64_4k_v80,
	&arch_ppc64_radix,
	&arch_ppc64_hash,
	NULL,
};

const struct arch_desc *arch_find(const char *name)
{
	for (u32 i = 0; arch_all[i]; i++)
		if (!strcmp(arch_all[i]->name, name))
			return arch_all[i];
	return NULL;
}
