/*
 * arch/ppc64/hpt.c - the hashed page table: search as the MMU does it, insert, update, remove as Linux does
 *
 * Models       segments of 256 MiB and 1 TiB; base pages of 4 KiB, 64 KiB and 16 MiB and the larger
 *              pages that a segment of a smaller base may hold; two groups per page; PP, storage
 *              key, N and G; virtual page class keys (AMR); Reference and Change by hardware.
 * Leaves out   IAMR, 16 GiB pages, VRMA and other guests' matters.
 * Protocol     An entry is changed under its own HPTE_V_LOCK bit, which the hardware ignores. A new
 *              one: lock, second doubleword, then (release) the first with V and without the lock.
 *              One that goes: lock, check its name, first doubleword 0.
 * Guarantee    The MMU reads a first doubleword, then (acquire) the second: an entry that is valid
 *              has the frame that it was inserted with. An entry that is removed and replaced
 *              between the two reads gives the new page's frame under the old name: hardware
 *              forbids that by reading a group as one, here the first doubleword is read again.
 * Locks        HPTE_V_LOCK; nothing is taken inside, holders never wait.
 * Defined in   Power ISA 2.07 Book III-S 5.7.7; LP encodings: POWER8 user's manual.
 * Tests        tests/unit/arch/ppc64/test_hash.c, tests/oracle/ppc64_hash.c
 */
#include <mmsim/atomic.h>
#include <mmsim/spinlock.h>

#include "arch/ppc64/hash.h"
#include "arch/ppc64/ppc64.h"

/* ---- encodings --------------------------------------------------------------------------------- */

#define LLP_4K 0x000ull
#define LLP_16M 0x100ull
#define LLP_64K 0x110ull

/* base, actual, LP value: it stands just above the page's lowest possible frame bit (bit 12). */
static const struct {
	u8 base, actual;
	u16 lp;
} page_sizes[] = {
	{HASH_4K, HASH_4K, 0},	 {HASH_4K, HASH_64K, 7},    {HASH_4K, HASH_16M, 0x38},
	{HASH_64K, HASH_64K, 1}, {HASH_64K, HASH_16M, 8}, {HASH_16M, HASH_16M, 0},
};

u64 slb_llp(u32 base_shift)
{
	return base_shift == HASH_64K ? LLP_64K : base_shift == HASH_16M ? LLP_16M : LLP_4K;
}

u32 slb_base_shift(u64 rs)
{
	switch (rs & SLB_RS_LLP) {
	case LLP_4K:
		return HASH_4K;
	case LLP_64K:
		return HASH_64K;
	case LLP_16M:
		return HASH_16M;
	default:
		return 0;
	}
}

bool hpte_lp(u32 base_shift, u32 shift, u64 *lp)
{
	for (u32 i = 0; i < ARRAY_SIZE(page_sizes); i++)
		if (page_sizes[i].base == base_shift && page_sizes[i].actual == shift) {
			*lp = (u64)page_sizes[i].lp << 12;
			return true;
		}
	return false;
}

/* Size of the page that an HPTE maps in a segment of base_shift; 0: it is not for such a segment. */
static u32 hpte_shift(u32 base_shift, u64 v, u64 r)
{
	if (!(v & HPTE_V_LARGE))
		return base_shift == HASH_4K ? HASH_4K : 0;
	for (u32 i = 0; i < ARRAY_SIZE(page_sizes); i++) {
		u64 low = (1ull << page_sizes[i].actual) - 1;

		if (page_sizes[i].base == base_shift && page_sizes[i].actual != HASH_4K &&
		    (r & HPTE_R_RPN & low) == (u64)page_sizes[i].lp << 12)
			return page_sizes[i].actual;
	}
	return 0;
}

u64 hpt_sdr1(const struct hpt *hpt, u64 pa)
{
	/* HTABSIZE: how many bits of the hash beyond the 11 of the smallest table are used. */
	return pa | (u64)(__builtin_ctzll(hpt_bytes(hpt)) - 18);
}

/* ---- names -------------------------------------------------------------------------------------- */

static inline u32 slb_segment_shift(u64 rs)
{
	return rs & SLB_RS_B_1T ? SEGMENT_SHIFT_1T : SEGMENT_SHIFT_256M;
}

struct hash_page hash_page_of(const struct slb_entry *s, u64 ea, u32 shift)
{
	u32 segment_shift = slb_segment_shift(s->rs);

	return (struct hash_page){
		.vsid = (s->rs & SLB_RS_VSID) >> (segment_shift == SEGMENT_SHIFT_1T ? 24 : 12),
		.offset = ea & ((1ull << segment_shift) - 1),
		.segment_shift = (u8)segment_shift,
		.base_shift = (u8)slb_base_shift(s->rs),
		.shift = (u8)shift,
	};
}

u64 hpt_group(const struct hpt *hpt, const struct hash_page *page, bool secondary)
{
	u64 hash = page->vsid ^ page->offset >> page->base_shift;

	if (page->segment_shift == SEGMENT_SHIFT_1T)
		hash ^= page->vsid << 25;
	return ((secondary ? ~hash : hash) & hpt->group_mask) * HPTES_PER_GROUP;
}

/* First doubleword of the page's entry without V, L and software's bits. The bits of the address
 * that are inside of a base page are no part of the name. */
static u64 hpte_name(const struct hash_page *page)
{
	u64 inside = (1ull << page->base_shift) - 1;
	/* Bits of the virtual address from 2^16 on, so that all of them fit. */
	u64 name = page->vsid << (page->segment_shift - 16) | (page->offset & ~inside) >> 16;

	return (name & HPTE_V_AVPN) | (page->segment_shift == SEGMENT_SHIFT_1T ? HPTE_V_1T : 0);
}

#define HPTE_V_NAME (3ull << 62 | HPTE_V_AVPN)

/* ---- hardware ----------------------------------------------------------------------------------- */

struct slb_entry *slb_find(struct slb *slb, u64 ea)
{
	for (u32 i = 0; i < SLB_ENTRIES; i++) {
		struct slb_entry *s = &slb->entries[i];
		u64 mask = ~((1ull << slb_segment_shift(s->rs)) - 1);

		if ((s->rb & SLB_RB_V) && !((s->rb ^ ea) & mask))
			return s;
	}
	return NULL;
}

/* The group's entry for the page: its index or HPT_NOWHERE; *v, *r as read. */
static u64 group_search(const struct hpt *hpt, const struct hash_page *page, bool secondary, u64 *r,
			u32 *shift)
{
	u64 want = hpte_name(page) | HPTE_V_VALID | (secondary ? HPTE_V_SECONDARY : 0);
	u64 base = hpt_group(hpt, page, secondary);

	for (u32 i = 0; i < HPTES_PER_GROUP; i++) {
		const struct hpte *e = &hpt->entries[base + i];
		u64 v;

		for (;;) {
			/* Pairs with the release in hpte_publish(): r is that of this v, or newer. */
			u64 raw = smp_load_acquire(&e->v);

			v = BE(raw);
			if ((v & (HPTE_V_NAME | HPTE_V_VALID | HPTE_V_SECONDARY)) != want)
				break;
			*r = BE(smp_load_acquire(&e->r));
			if (READ_ONCE(e->v) != raw)
				continue;
			*shift = hpte_shift(page->base_shift, v, *r);
			if (*shift)
				return base + i;
			break;
		}
	}
	return HPT_NOWHERE;
}

/* What PP and the storage key let through: Power ISA 2.07, figure 32. */
static void pp_rights(u64 r, bool key, bool *read, bool *write)
{
	u32 pp = (u32)(r >> 61 & 4) | (u32)(r & HPTE_R_PP);

	switch (pp) {
	case 0:
		*read = *write = !key;
		break;
	case 1:
		*read = true;
		*write = !key;
		break;
	case 2:
		*read = *write = true;
		break;
	case 3:
		*read = true;
		*write = false;
		break;
	case 6:
		*read = !key;
		*write = false;
		break;
	default:
		*read = *write = false; /* reserved */
	}
}

/* The two bits of AMR for the entry's key: stores forbidden, loads forbidden. */
static u32 amr_bits(u64 amr, u64 r)
{
	u32 key = (u32)(r >> 57 & 0x18) | (u32)(r >> 9 & 7);

	return (u32)(amr >> 2 * (31 - key)) & 3;
}

static u32 judge(const struct slb_entry *s, u64 amr, enum access_kind kind, bool user,
		 struct hash_access *out)
{
	bool key = (s->rs & (user ? SLB_RS_KP : SLB_RS_KS)) != 0;
	bool no_exec = (out->r & (HPTE_R_N | HPTE_R_G)) != 0;
	u32 class_key = amr_bits(amr, out->r), causes = 0;
	bool read, write, write_any;

	pp_rights(out->r, key, &read, &write);
	out->may_read = read && !(class_key & 1);
	out->may_write = write && !(class_key & 2);
	out->may_execute = read && !no_exec;
	pp_rights(out->r, s->rs & SLB_RS_KP, &out->by_users, &write_any);
	switch (kind) {
	case ACCESS_EXEC:
		return no_exec ? SRR1_NO_EXECUTE : !read ? SRR1_PROTECTION : 0;
	case ACCESS_WRITE:
		if (!write)
			causes |= DSISR_PROTECTION;
		if (class_key & 2)
			causes |= DSISR_KEY;
		return causes;
	default:
		if (!read)
			causes |= DSISR_PROTECTION;
		if (class_key & 1)
			causes |= DSISR_KEY;
		return causes;
	}
}

/* Reference, and Change of a store. False: the entry is another one meanwhile. */
static bool set_rc(const struct hpt *hpt, struct hash_access *out, enum access_kind kind)
{
	u64 update = HPTE_R_R | (kind == ACCESS_WRITE ? HPTE_R_C : 0);
	u64 raw = BE(out->r);

	if (likely((out->r & update) == update))
		return true;
	out->r |= update;
	return try_cmpxchg(&hpt->entries[out->index].r, &raw, BE(out->r));
}

bool hash_translate(const struct hpt *hpt, struct slb *slb, u64 amr, u64 ea, enum access_kind kind,
		    bool user, struct hash_access *out)
{
	const struct slb_entry *s = slb_find(slb, ea);
	struct hash_page page;
	u32 shift;

	*out = (struct hash_access){.index = HPT_NOWHERE, .segment = s != NULL};
	if (!s)
		return false;
	if (kind == ACCESS_EXEC && (s->rs & SLB_RS_N)) {
		out->causes = SRR1_NO_EXECUTE;
		return false;
	}
	page = hash_page_of(s, ea, 0);
	do {
		out->index = group_search(hpt, &page, false, &out->r, &shift);
		if (out->index == HPT_NOWHERE)
			out->index = group_search(hpt, &page, true, &out->r, &shift);
		if (out->index == HPT_NOWHERE) {
			out->causes = DSISR_NO_TRANSLATION;
			return false;
		}
		out->causes = judge(s, amr, kind, user, out);
		if (out->causes)
			return false;
	} while (!set_rc(hpt, out, kind));
	if (s->rs & SLB_RS_N)
		out->may_execute = false;
	out->pa = (out->r & HPTE_R_RPN & ~((1ull << shift) - 1)) | (ea & ((1ull << shift) - 1));
	return true;
}

/* ---- software ------------------------------------------------------------------------------------ */

/* Nobody waits inside: whoever holds the bit is a few instructions away from letting go. */
static u64 hpte_lock(struct hpte *e)
{
	for (;;) {
		u64 old = fetch_or(&e->v, BE(HPTE_V_LOCK));

		if (likely(!(BE(old) & HPTE_V_LOCK)))
			return BE(old);
		while (BE(READ_ONCE(e->v)) & HPTE_V_LOCK)
			cpu_relax();
	}
}

/* Also lets go of the lock: v has it clear. */
static void hpte_publish(struct hpte *e, u64 v)
{
	smp_store_release(&e->v, BE(v));
}

/* A free entry of the group, locked; HPT_NOWHERE: none. */
static u64 group_take_free(const struct hpt *hpt, u64 base)
{
	for (u32 i = 0; i < HPTES_PER_GROUP; i++) {
		struct hpte *e = &hpt->entries[base + i];
		u64 v;

		if (BE(READ_ONCE(e->v)) & HPTE_V_VALID)
			continue;
		v = hpte_lock(e);
		if (!(v & HPTE_V_VALID))
			return base + i;
		hpte_publish(e, v);
	}
	return HPT_NOWHERE;
}

/* Somebody's entry, locked: the first that may go from a slot that `random` chooses on. */
static u64 group_take_victim(const struct hpt *hpt, u64 base, u32 random)
{
	for (u32 n = 0; n < HPTES_PER_GROUP; n++) {
		u64 index = base + (random + n) % HPTES_PER_GROUP;
		struct hpte *e = &hpt->entries[index];
		u64 v = BE(READ_ONCE(e->v));

		if ((v & HPTE_V_VALID) && (v & HPTE_V_BOLTED))
			continue;
		v = hpte_lock(e);
		if (!(v & HPTE_V_VALID) || !(v & HPTE_V_BOLTED))
			return index;
		hpte_publish(e, v);
	}
	return HPT_NOWHERE;
}

u64 hpt_insert(const struct hpt *hpt, const struct hash_page *page, u64 pa, u64 flags, bool bolted,
	       u32 *random, bool *evicted)
{
	bool secondary = false;
	u64 v = hpte_name(page) | HPTE_V_VALID, index, lp;

	MMSIM_BUG_ON(!hpte_lp(page->base_shift, page->shift, &lp));
	*evicted = false;
	index = group_take_free(hpt, hpt_group(hpt, page, false));
	if (index == HPT_NOWHERE) {
		secondary = true;
		index = group_take_free(hpt, hpt_group(hpt, page, true));
	}
	while (unlikely(index == HPT_NOWHERE)) {
		*evicted = true;
		*random = *random * 1664525u + 1013904223u;
		secondary = *random >> 31;
		index = group_take_victim(hpt, hpt_group(hpt, page, secondary), *random >> 24);
	}
	if (page->base_shift != HASH_4K || page->shift != HASH_4K)
		v |= HPTE_V_LARGE;
	if (secondary)
		v |= HPTE_V_SECONDARY;
	if (bolted)
		v |= HPTE_V_BOLTED;
	if (*evicted) /* the old name goes before the new frame comes */
		WRITE_ONCE(hpt->entries[index].v, BE(HPTE_V_LOCK));
	smp_store_release(&hpt->entries[index].r,
			  BE((pa & HPTE_R_RPN & ~((1ull << page->shift) - 1)) | lp | flags));
	hpte_publish(&hpt->entries[index], v);
	return index;
}

/* Lock index if it has the page: then *v is its first doubleword. */
static bool hpte_lock_page(const struct hpt *hpt, const struct hash_page *page, u64 index, u64 *v)
{
	u64 want = hpte_name(page) | HPTE_V_VALID, mask = HPTE_V_NAME | HPTE_V_VALID;
	struct hpte *e = &hpt->entries[index];

	if ((BE(READ_ONCE(e->v)) & mask) != want)
		return false;
	*v = hpte_lock(e);
	if (likely((*v & mask) == want))
		return true;
	hpte_publish(e, *v);
	return false;
}

bool hpt_update(const struct hpt *hpt, const struct hash_page *page, u64 index, u64 flags)
{
	struct hpte *e = &hpt->entries[index];
	u64 v, r;

	if (!hpte_lock_page(hpt, page, index, &v))
		return false;
	/* The hardware may set Reference or Change meanwhile: flags have them already. */
	r = READ_ONCE(e->r);
	WRITE_ONCE(e->r, (r & BE(HPTE_R_RPN)) | BE(flags));
	hpte_publish(e, v);
	return true;
}

bool hpt_remove(const struct hpt *hpt, const struct hash_page *page, u64 index)
{
	u64 v;

	if (!hpte_lock_page(hpt, page, index, &v))
		return false;
	hpte_publish(&hpt->entries[index], 0);
	return true;
}
