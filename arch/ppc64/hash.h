/*
 * arch/ppc64/hash.h - the hashed page table and the segment look-aside buffer of ppc64 (POWER8)
 *
 * Power ISA 2.07 Book III-S 5.7: SLB entries (5.7.6.1, slbmte), hashed page table (5.7.7),
 * storage protection (5.7.9). Software bits of an HPTE are where Linux has them.
 *
 * An effective address becomes a virtual one through its segment (SLB), the virtual page is hashed
 * to one of two groups of eight entries (HPTEs), and the entry that bears its name has the frame.
 */
#ifndef MMSIM_ARCH_PPC64_HASH_H
#define MMSIM_ARCH_PPC64_HASH_H

#include <mmsim/arch.h>

/* SLB entry as slbmte takes it: RB (ESID) and RS (VSID). */
#define SLB_ENTRIES 32u
#define SLB_RB_V 0x08000000ull
#define SLB_RB_INDEX 0xfffull
#define SLB_RS_B_1T (1ull << 62)
#define SLB_RS_VSID 0x3ffffffffffff000ull
#define SLB_RS_KS 0x800ull /* storage key in privileged state */
#define SLB_RS_KP 0x400ull /* ... in problem state */
#define SLB_RS_N 0x200ull  /* nothing is fetched from the segment */
#define SLB_RS_C 0x80ull
#define SLB_RS_LLP 0x130ull /* base page size: L, LP */
#define SEGMENT_SHIFT_256M 28
#define SEGMENT_SHIFT_1T 40

/* HPTE, first doubleword. */
#define HPTE_V_1T (1ull << 62)
#define HPTE_V_AVPN 0x3fffffffffffff80ull
#define HPTE_V_BOLTED 0x10ull /* software: never evicted */
#define HPTE_V_LOCK 0x08ull   /* software: being changed */
#define HPTE_V_LARGE 0x04ull
#define HPTE_V_SECONDARY 0x02ull
#define HPTE_V_VALID 0x01ull
/* Second doubleword. */
#define HPTE_R_PP0 (1ull << 63)
#define HPTE_R_KEY_HI (3ull << 60)
#define HPTE_R_RPN 0x0ffffffffffff000ull
#define HPTE_R_KEY_LO 0xe00ull
#define HPTE_R_R 0x100ull
#define HPTE_R_C 0x80ull
#define HPTE_R_W 0x40ull
#define HPTE_R_I 0x20ull
#define HPTE_R_M 0x10ull
#define HPTE_R_G 0x08ull
#define HPTE_R_N 0x04ull
#define HPTE_R_PP 0x03ull
#define HPTE_R_PP_ALL (HPTE_R_PP0 | HPTE_R_PP)
/* PP values, with storage key 1 (users, under Linux): */
#define HPTE_PP_NONE 0ull    /* key 0: read and write */
#define HPTE_PP_READ 1ull    /* key 0: read and write */
#define HPTE_PP_WRITE 2ull   /* either key */
#define HPTE_PP_READ_ALL 3ull /* either key: read */

#define HPTES_PER_GROUP 8u

struct hpte {
	u64 v, r; /* big-endian */
};

/* The table: a power of two of groups, at least 2048. Constant but for the entries. */
struct hpt {
	struct hpte *entries;
	u64 group_mask;
};

static inline u64 hpt_bytes(const struct hpt *hpt)
{
	return (hpt->group_mask + 1) * HPTES_PER_GROUP * sizeof(struct hpte);
}
/* SDR1 for a table at physical address pa. */
u64 hpt_sdr1(const struct hpt *hpt, u64 pa);

struct slb_entry {
	u64 rb, rs; /* rb without its index; SLB_RB_V clear: empty */
};
struct slb {
	struct slb_entry entries[SLB_ENTRIES];
	u32 next; /* Linux fills round robin */
};

/* Page sizes by log2. */
enum { HASH_4K = 12, HASH_64K = 16, HASH_16M = 24 };
/* SLB_RS_LLP of a base page size, and the reverse; 0: no such. */
u64 slb_llp(u32 base_shift);
u32 slb_base_shift(u64 rs);
/* What HPTE_R_RPN's low bits say for a page of `shift` in a segment of base_shift; false: no such
 * combination. An HPTE of it has HPTE_V_LARGE unless both are 4 KiB. */
bool hpte_lp(u32 base_shift, u32 shift, u64 *lp);

/* A page's virtual name. */
struct hash_page {
	u64 vsid;
	u64 offset; /* of the page in its segment */
	u8 segment_shift;
	u8 base_shift; /* of the segment: what is hashed */
	u8 shift;      /* of this page */
};
/* Of ea in the segment that an SLB entry describes. */
struct hash_page hash_page_of(const struct slb_entry *s, u64 ea, u32 shift);

/* An HPTE's place in the table: group * 8 + slot. */
u64 hpt_group(const struct hpt *hpt, const struct hash_page *page, bool secondary);

/* ---- what the hardware does ------------------------------------------------------------------ */

struct slb_entry *slb_find(struct slb *slb, u64 ea); /* NULL: segment interrupt */

/* How an access through SLB and table ended. causes: DSISR, or SRR1 of a fetch; 0 and no segment:
 * segment interrupt. */
struct hash_access {
	bool segment;
	u32 causes;
	u64 pa;
	u64 r;	   /* second doubleword of the HPTE, host order, after the access */
	u64 index; /* of the HPTE; ~0: none */
	bool may_write, may_read, may_execute; /* by this entry, for this state */
	bool by_users;			       /* problem state may read it */
};
/* Sets Reference and Change. True: translated. Context: inside an instruction window. */
bool hash_translate(const struct hpt *hpt, struct slb *slb, u64 amr, u64 ea, enum access_kind kind,
		    bool user, struct hash_access *out);

/* ---- what the kernel does -------------------------------------------------------------------- */

#define HPT_NOWHERE (~0ull)

/* Put the page into the table, pa and flags (PP, N, WIMG, R, C, key) as its second doubleword;
 * bolted: never to be evicted. *random chooses a victim when both groups are full, and is
 * advanced. Returns the index; *evicted says whether somebody had to go. */
u64 hpt_insert(const struct hpt *hpt, const struct hash_page *page, u64 pa, u64 flags, bool bolted,
	       u32 *random, bool *evicted);
/* Change the flags of the page's entry at index; false: it is not there (any more). */
bool hpt_update(const struct hpt *hpt, const struct hash_page *page, u64 index, u64 flags);
/* Take the page out, if index still has it. */
bool hpt_remove(const struct hpt *hpt, const struct hash_page *page, u64 index);

#endif
