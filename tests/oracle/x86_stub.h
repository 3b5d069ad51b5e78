/*
 * tests/oracle/x86_stub.h - what x86_qemu.c and the guest code in x86_stub.S agree on
 *
 * Read by the assembler too: numbers only, outside of the part for C.
 */
#ifndef MMSIM_ORACLE_X86_STUB_H
#define MMSIM_ORACLE_X86_STUB_H

/* Physical memory. The stub sees all below STUB_MAPPED at STUB_VA + pa, for supervisors. */
#define STUB_CONFIG 0x100000
#define STUB_CODE 0x200000  /* a copy of the ROM image */
#define STUB_STACK 0x300000 /* top; grows down */
#define STUB_PROBES 0x400000
#define STUB_RESULTS 0x800000
#define STUB_MAPPED 0x1000000
#define STUB_VA 0xffffffff80000000
#define STUB_USER_VA 0xffffffff81000000 /* STUB_CODE once more, for user mode, read-only */
#define STUB_ROM_BYTES 0x10000

/* Offsets in the config page: 64-bit words. */
#define CONFIG_CR3 0x00
#define CONFIG_CR4 0x08
#define CONFIG_COUNT 0x10
/* Filled in by the guest. */
#define CONFIG_VENDOR 0x18     /* CPUID 0: EBX */
#define CONFIG_FEATURES_B 0x20 /* CPUID 7: EBX, ECX */
#define CONFIG_FEATURES_C 0x28
#define CONFIG_EXTENDED_D 0x30 /* CPUID 0x80000001: EDX */
#define CONFIG_ADDRESSES 0x38  /* CPUID 0x80000008: EAX */

/* A probe, 64 bytes, and its result, 32 bytes. */
#define PROBE_VA 0x00
#define PROBE_CR3 0x08
#define PROBE_CR0 0x10
#define PROBE_CR4 0x18
#define PROBE_EFER 0x20
#define PROBE_RFLAGS 0x28
#define PROBE_VALUE 0x30
#define PROBE_PKRU 0x38
#define PROBE_KIND 0x3c
#define PROBE_USER 0x3d
#define PROBE_BYTES 0x40

#define RESULT_VALUE 0x00
#define RESULT_CR2 0x08
#define RESULT_ERROR 0x10
#define RESULT_VECTOR 0x18
#define RESULT_BYTES 0x20

#define STUB_DONE 0x80	  /* "vector" of an access that succeeded; ring 3 says so by ud2 */
#define STUB_CR2 0x5a5a50 /* CR2 before each probe */
#define STUB_EXIT_PORT 0xf4
#define STUB_EXIT_OK 0x31

#ifndef __ASSEMBLER__
#include <mmsim/types.h>

struct stub_probe {
	u64 va, cr3, cr0, cr4, efer, rflags, value;
	u32 pkru;
	u8 kind, user, pad[2];
};
_Static_assert(sizeof(struct stub_probe) == PROBE_BYTES, "layout");

struct stub_result {
	u64 value, cr2, error, vector;
};
_Static_assert(sizeof(struct stub_result) == RESULT_BYTES, "layout");
#endif

#endif
