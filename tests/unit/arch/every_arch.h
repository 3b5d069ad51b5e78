/*
 * tests/unit/arch/every_arch.h - the architectures that tests of tables loop over
 */
#ifndef MMSIM_TEST_EVERY_ARCH_H
#define MMSIM_TEST_EVERY_ARCH_H

#include <mmsim/arch.h>

/* NULL: no more. */
static inline const struct arch_desc *test_arch(u32 i)
{
	return arch_all[i];
}

#endif
