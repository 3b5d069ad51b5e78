/*
 * arch/x86_64/show.c - what #PF and #GP say, by name, for who shows it
 *
 * Defined in   Intel SDM vol. 3A 4.7 and 6.15.
 * Tests        tests/cli/walk.sh
 */
#include "arch/x86_64/x86_64.h"

const char *const x86_level_names[] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

static const struct syndrome_bit pf_bits[] = {
	{X86_PF_P, 0, "P=0", "nothing is mapped there"},
	{X86_PF_P, X86_PF_P, "P", "an entry is there and forbids the access"},
	{X86_PF_W, 0, "W=0", "not a write"},
	{X86_PF_W, X86_PF_W, "W", "a write"},
	{X86_PF_U, 0, "U=0", "from supervisor mode"},
	{X86_PF_U, X86_PF_U, "U", "from user mode"},
	{X86_PF_RSVD, X86_PF_RSVD, "RSVD", "a reserved bit was set"},
	{X86_PF_I, X86_PF_I, "I", "an instruction fetch"},
	{X86_PF_PK, X86_PF_PK, "PK", "the page's protection key forbids it"},
	{0, 0, NULL, NULL},
};

static const struct syndrome_bit no_bits[] = {{0, 0, NULL, NULL}};

const struct syndrome_kind x86_syndromes[] = {
	{X86_VECTOR_PF, "#PF, vector 14: page fault", "error code", "CR2", ~0ull, pf_bits},
	{X86_VECTOR_GP, "#GP, vector 13: the address is not canonical", "error code", NULL, ~0ull, no_bits},
	{0, NULL, NULL, NULL, 0, NULL},
};
