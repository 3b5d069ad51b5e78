/*
 * tests/oracle/ppc64_qemu.h - a ppc64 machine under qemu that executes probes
 *
 * The machine's RAM is a file that this process maps too: tables, page contents and probes are
 * written there before it starts, results are read there afterwards. ppc64_stub.S is its firmware.
 */
#ifndef MMSIM_ORACLE_PPC64_QEMU_H
#define MMSIM_ORACLE_PPC64_QEMU_H

#include <stdbool.h>
#include <mmsim/arch.h>

/* Physical memory: below PPC64_FREE is the stub, its control block and what qemu puts there. */
#define PPC64_STUB_BYTES 0x10000ull /* mapped one to one for users */
#define PPC64_CONTROL 0x8000ull
#define PPC64_SLB 0x9000ull
#define PPC64_PROBES 0x2000000ull
#define PPC64_FREE 0x4000000ull

#define MSR_SF (1ull << 63)
#define MSR_HV (1ull << 60)
#define MSR_EE 0x8000ull
#define MSR_PR 0x4000ull
#define MSR_ME 0x1000ull
#define MSR_IR 0x20ull
#define MSR_DR 0x10ull

#define PPC64_VECTOR_SC 0xc00u

/* One probe and its result; big-endian in RAM, see ppc64_probe_get(). */
struct ppc64_probe {
	u64 ea, kind, msr, store;
	u64 vector, dsisr, dar, srr0, srr1;
	u64 value; /* what was loaded, or the tag that the code at ea has */
	u64 pad[6];
};

struct ppc64_slb_entry {
	u64 rb, rs; /* slbmte's operands */
};

/* What the stub puts into the registers; 0: left alone. */
struct ppc64_setup {
	const char *machine; /* "powernv8", "powernv9" */
	u64 lpcr, ptcr, pid, sdr1, amr;
	const struct ppc64_slb_entry *slb;
	u32 slb_count;
};

struct ppc64_qemu {
	char *ram;
	u64 ram_bytes;
	char path[256];
};

/* Is qemu-system-ppc64 there? */
bool ppc64_qemu_found(void);
/* 0 or -errno. */
int MUST_CHECK ppc64_qemu_open(struct ppc64_qemu *q, u64 ram_bytes);
void ppc64_qemu_close(struct ppc64_qemu *q);

static inline u64 ppc64_get(const struct ppc64_qemu *q, u64 pa)
{
	return __builtin_bswap64(*(const volatile u64 *)(q->ram + pa));
}
static inline void ppc64_put(struct ppc64_qemu *q, u64 pa, u64 v)
{
	*(volatile u64 *)(q->ram + pa) = __builtin_bswap64(v);
}

/* Where an access of `kind` to the spot at pa (32-byte aligned) goes; the spot's three lanes. */
static inline u64 ppc64_lane(u64 kind)
{
	return kind * 8;
}
/* Give the spot something to load, room for a store, and code that says where it is. */
void ppc64_spot_write(struct ppc64_qemu *q, u64 pa);
/* What a load or an execution there leaves in the probe's value. */
u64 ppc64_spot_tag(u64 pa);

void ppc64_probe_put(struct ppc64_qemu *q, u32 i, const struct ppc64_probe *p);
struct ppc64_probe ppc64_probe_get(const struct ppc64_qemu *q, u32 i);

/* Run the first `count` probes; 0, or -errno with a line on stderr. */
int MUST_CHECK ppc64_qemu_run(struct ppc64_qemu *q, const struct ppc64_setup *setup, u32 count);

/* What this project says of a probe. */
struct ppc64_answer {
	bool ok;
	u64 pa;		   /* where it went */
	struct syndrome s; /* or how it was refused */
};

#define SHOWN_MAX 10 /* differences of one kind that are worth printing */

bool ppc64_answer_equal(const struct ppc64_probe *p, const struct ppc64_answer *m);
void ppc64_answer_show(u32 i, const struct ppc64_probe *p, const struct ppc64_answer *m);
/* Did every store go where it should: the last one to each place is there. Returns how many did not. */
u32 ppc64_check_stores(const struct ppc64_qemu *q, const struct ppc64_answer *answers, u32 count);

#endif
