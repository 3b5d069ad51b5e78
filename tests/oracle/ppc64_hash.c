/*
 * tests/oracle/ppc64_hash.c - hash tables filled here, searched by qemu's POWER8
 *
 * Goal:   for random segments and pages of all sizes, rights, storage keys and class keys, the
 *         MMU's part of arch/ppc64/hpt.c says what an independent implementation does.
 * Method: the table is written into the RAM of a powernv8 machine by hpt_insert(), hpt_update() and
 *         hpt_remove(); half of the pages share a few groups, so that second groups and evictions
 *         are common. The stub fills the SLB and executes each probe; vector, DSISR, DAR, SRR0,
 *         SRR1 and what was loaded, stored or executed are compared with hash_translate() and
 *         ops->raise, and at the end all HPTEs, with Reference and Change, bit by bit.
 * Output: the seed (MMSIM_SEED=N repeats), counts; per difference the probe, the segment, the HPTEs
 *         of its groups, both answers. Exit 77: no qemu.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/page.h>

#include "arch/ppc64/hash_linux.h"
#include "arch/ppc64/ppc64.h"
#include "tests/oracle/ppc64_qemu.h"
#include "tests/unit/test_seed.h"

#define RAM_BYTES (4ull << 30)
#define DATA_START (1ull << 30)
#define MAPPINGS 3000u
#define PROBES 12000u
#define GROUPS 2048u
#define CROWDED 96u /* groups that half of the pages share */

struct mapping {
	u64 ea;
	u64 index;
	struct hash_page page;
};

struct world {
	struct ppc64_qemu q;
	struct hpt hpt;
	struct slb slb;
	u64 amr;
	u64 rng;
	u32 victims;
	struct mapping maps[MAPPINGS];
	u32 map_count;
	struct ppc64_answer answers[PROBES];
	u32 faults, secondary, evicted, wrong;
};

static u64 draw(struct world *w, u64 below)
{
	return test_random(&w->rng) % below;
}

static const u32 sizes[] = {HASH_4K, HASH_64K, HASH_16M};

/* ---- segments and pages ------------------------------------------------------------------------- */

/* Segment 0, with the stub's page, then random ones that do not overlap. */
static void segments_draw(struct world *w)
{
	w->slb.entries[0] = (struct slb_entry){
		.rb = SLB_RB_V, .rs = 0x123456789ull << 12 | SLB_RS_KP | SLB_RS_KS | slb_llp(HASH_64K)};
	for (u32 i = 1; i < SLB_ENTRIES;) {
		bool big = draw(w, 2);
		u64 bytes = 1ull << (big ? SEGMENT_SHIFT_1T : SEGMENT_SHIFT_256M);
		u64 ea = ALIGN_DOWN(test_random(&w->rng), bytes), vsid = test_random(&w->rng);
		struct slb_entry *s = &w->slb.entries[i];
		bool taken = !ea;

		s->rb = ea | SLB_RB_V;
		s->rs = big ? (vsid & ((1ull << 38) - 1)) << 24 | SLB_RS_B_1T
			    : (vsid & ((1ull << 50) - 1)) << 12;
		s->rs |= slb_llp(sizes[draw(w, ARRAY_SIZE(sizes))]) | (draw(w, 2) ? SLB_RS_KP : 0) |
			 (draw(w, 2) ? SLB_RS_KS : 0) | (draw(w, 8) ? 0 : SLB_RS_N);
		for (u32 j = 0; j < i; j++)
			taken |= !((w->slb.entries[j].rb ^ ea) >> SEGMENT_SHIFT_1T);
		i += !taken;
		if (taken)
			s->rb = 0;
	}
}

static u64 flags_draw(struct world *w)
{
	u64 flags = draw(w, 4) | HPTE_R_M;

	if (!draw(w, 4))
		flags |= HPTE_R_PP0;
	if (!draw(w, 3))
		flags |= draw(w, 8) << 9 | draw(w, 4) << 60;
	if (!draw(w, 6))
		flags |= HPTE_R_N;
	if (!draw(w, 8))
		flags |= HPTE_R_G | HPTE_R_I;
	if (draw(w, 2))
		flags |= HPTE_R_R;
	return flags | (draw(w, 2) ? HPTE_R_C : 0);
}

static void map_one(struct world *w)
{
	const struct slb_entry *s = &w->slb.entries[1 + draw(w, SLB_ENTRIES - 1)];
	u32 base = slb_base_shift(s->rs), shift;
	u64 segment = s->rs & SLB_RS_B_1T ? 1ull << SEGMENT_SHIFT_1T : 1ull << SEGMENT_SHIFT_256M;
	struct mapping *m = &w->maps[w->map_count];
	bool crowd = w->map_count % 2, evicted;
	u64 lp;

	do
		shift = sizes[draw(w, ARRAY_SIZE(sizes))];
	while (!hpte_lp(base, shift, &lp));
	do {
		m->ea = (s->rb & ~(segment - 1)) | (draw(w, segment) & ~((1ull << base) - 1));
		m->page = hash_page_of(s, m->ea, shift);
	} while (crowd && base != HASH_16M && hpt_group(&w->hpt, &m->page, false) >= CROWDED * 8);
	/* Two entries of one page would be a program error. */
	for (u32 i = 0; i < w->map_count; i++)
		if (!((w->maps[i].ea ^ m->ea) >> min((u32)m->page.base_shift, base)))
			return;
	m->index = hpt_insert(&w->hpt, &m->page,
			      DATA_START + ALIGN_DOWN(draw(w, RAM_BYTES - DATA_START), 1ull << shift),
			      flags_draw(w), false, &w->victims, &evicted);
	w->evicted += evicted;
	w->secondary += m->index / 8 * 8 != hpt_group(&w->hpt, &m->page, false);
	w->map_count++;
	/* A few change or go again, if they have not been evicted meanwhile. */
	if (!draw(w, 16)) {
		m = &w->maps[draw(w, w->map_count)];
		(void)hpt_update(&w->hpt, &m->page, m->index, flags_draw(w));
		m = &w->maps[draw(w, w->map_count)];
		(void)hpt_remove(&w->hpt, &m->page, m->index);
	}
}

static void table_build(struct world *w)
{
	struct hash_page stub;
	bool evicted;

	w->hpt = (struct hpt){.entries = (struct hpte *)(w->q.ram + PPC64_FREE),
			      .group_mask = GROUPS - 1};
	segments_draw(w);
	stub = hash_page_of(&w->slb.entries[0], 0, HASH_64K);
	(void)hpt_insert(&w->hpt, &stub, 0, HPTE_PP_READ_ALL | HPTE_R_M | HPTE_R_R | HPTE_R_C, true,
			 &w->victims, &evicted);
	while (w->map_count < MAPPINGS)
		map_one(w);
	w->amr = test_random(&w->rng) & test_random(&w->rng);
}

/* ---- probes ------------------------------------------------------------------------------------- */

static void probe_draw(struct world *w, u32 i)
{
	const struct mapping *m = &w->maps[draw(w, w->map_count)];
	struct ppc64_probe p = {.kind = draw(w, ACCESS_KINDS)};
	u64 r = draw(w, 100);
	struct hash_access x;
	struct slb slb = w->slb;
	bool user = draw(w, 2);

	p.ea = m->ea + draw(w, 1ull << min(m->page.base_shift, m->page.shift));
	if (r < 8)
		p.ea += (1 + draw(w, 4)) << m->page.base_shift;
	else if (r < 12)
		p.ea = test_random(&w->rng); /* mostly without a segment */
	p.ea = ALIGN_DOWN(p.ea, 32ull);
	if (p.ea < PPC64_STUB_BYTES)
		p.ea += PPC64_STUB_BYTES;
	/* Where it goes if anybody may: privileged, key 0, no class keys, a load of a copy. */
	for (u32 s = 0; s < SLB_ENTRIES; s++)
		slb.entries[s].rs &= ~(SLB_RS_KS | SLB_RS_KP);
	for (u32 key = 0; key < 2; key++) {
		struct hpte saved[2 * HPTES_PER_GROUP];
		struct slb_entry *s = slb_find(&slb, p.ea);
		struct hash_page page;

		if (!s)
			break;
		page = hash_page_of(s, p.ea, 0);
		for (u32 g = 0; g < 2; g++)
			memcpy(&saved[g * HPTES_PER_GROUP], &w->hpt.entries[hpt_group(&w->hpt, &page, g)],
			       sizeof(saved) / 2);
		if (hash_translate(&w->hpt, &slb, 0, p.ea, ACCESS_READ, false, &x))
			ppc64_spot_write(&w->q, x.pa);
		for (u32 g = 0; g < 2; g++)
			memcpy(&w->hpt.entries[hpt_group(&w->hpt, &page, g)], &saved[g * HPTES_PER_GROUP],
			       sizeof(saved) / 2);
		for (u32 n = 0; n < SLB_ENTRIES; n++)
			slb.entries[n].rs |= SLB_RS_KS;
	}
	p.ea += ppc64_lane(p.kind);
	p.store = 0x5354000000000000ull | i;
	p.msr = MSR_SF | MSR_HV | MSR_ME;
	if (user)
		p.msr |= MSR_PR | MSR_EE | MSR_IR | MSR_DR;
	else
		p.msr |= p.kind == ACCESS_EXEC ? MSR_IR | MSR_DR : MSR_DR;
	ppc64_probe_put(&w->q, i, &p);
}

/* ---- comparison ----------------------------------------------------------------------------------- */

static struct ppc64_answer model_answer(struct world *w, const struct ppc64_probe *p)
{
	const struct arch_desc *a = &arch_ppc64_hash;
	bool user = p->msr & MSR_PR;
	struct mmu_regs regs = {.keys = w->amr};
	struct hash_access x;
	struct mmu_walk walk;

	if (hash_translate(&w->hpt, &w->slb, w->amr, p->ea, (enum access_kind)p->kind, user, &x))
		return (struct ppc64_answer){.ok = true, .pa = x.pa};
	hash_walk_refused(&x, &walk);
	return (struct ppc64_answer){
		.s = a->ops->raise(a, &regs, p->ea, (enum access_kind)p->kind, user, &walk)};
}

static void show(struct world *w, u32 i, const struct ppc64_probe *p, const struct ppc64_answer *m)
{
	const struct slb_entry *s = slb_find(&w->slb, p->ea);
	struct hash_page page;

	ppc64_answer_show(i, p, m);
	if (!s)
		return;
	page = hash_page_of(s, p->ea, 0);
	printf("    slb %016llx %016llx amr %016llx\n", (unsigned long long)s->rb,
	       (unsigned long long)s->rs, (unsigned long long)w->amr);
	for (u32 n = 0; n < 2 * HPTES_PER_GROUP; n++) {
		u64 index = hpt_group(&w->hpt, &page, n >= HPTES_PER_GROUP) + n % HPTES_PER_GROUP;
		const struct hpte *e = &w->hpt.entries[index];

		if (e->v)
			printf("    hpte %llu: %016llx %016llx\n", (unsigned long long)index,
			       (unsigned long long)BE(e->v), (unsigned long long)BE(e->r));
	}
}

static void compare_all(struct world *w, const struct hpte *before)
{
	u64 count = (u64)GROUPS * HPTES_PER_GROUP;
	struct hpte *after = malloc(count * sizeof(*after));

	memcpy(after, w->hpt.entries, count * sizeof(*after));
	memcpy(w->hpt.entries, before, count * sizeof(*before));
	for (u32 i = 0; i < PROBES; i++) {
		struct ppc64_probe p = ppc64_probe_get(&w->q, i);

		w->answers[i] = model_answer(w, &p);
		w->faults += !w->answers[i].ok;
		if (!ppc64_answer_equal(&p, &w->answers[i]) && w->wrong++ < SHOWN_MAX)
			show(w, i, &p, &w->answers[i]);
	}
	w->wrong += ppc64_check_stores(&w->q, w->answers, PROBES);
	for (u64 i = 0; i < count; i++)
		if (memcmp(&after[i], &w->hpt.entries[i], sizeof(*after)) && w->wrong++ < SHOWN_MAX)
			printf("hpte %llu: model %016llx %016llx, qemu %016llx %016llx\n",
			       (unsigned long long)i, (unsigned long long)BE(w->hpt.entries[i].v),
			       (unsigned long long)BE(w->hpt.entries[i].r),
			       (unsigned long long)BE(after[i].v), (unsigned long long)BE(after[i].r));
	free(after);
}

int main(void)
{
	static struct world w;
	struct ppc64_slb_entry slb[SLB_ENTRIES];
	struct ppc64_setup setup = {.machine = "powernv8", .slb = slb, .slb_count = SLB_ENTRIES};
	struct hpte *before;
	int err;

	w.rng = test_seed("oracle.ppc64_hash");
	if (!ppc64_qemu_found()) {
		printf("no qemu-system-ppc64: skipped\n");
		return 77;
	}
	err = ppc64_qemu_open(&w.q, RAM_BYTES);
	if (err) {
		fprintf(stderr, "ram file: %s\n", strerror(-err));
		return 1;
	}
	table_build(&w);
	for (u32 i = 0; i < PROBES; i++)
		probe_draw(&w, i);
	for (u32 i = 0; i < SLB_ENTRIES; i++)
		slb[i] = (struct ppc64_slb_entry){.rb = w.slb.entries[i].rb | i, .rs = w.slb.entries[i].rs};
	setup.sdr1 = hpt_sdr1(&w.hpt, PPC64_FREE);
	setup.amr = w.amr;
	before = malloc(hpt_bytes(&w.hpt));
	memcpy(before, w.hpt.entries, hpt_bytes(&w.hpt));
	err = ppc64_qemu_run(&w.q, &setup, PROBES);
	if (!err) {
		compare_all(&w, before);
		printf("ppc64-hash: %u pages (%u in second groups, %u evictions), %u probes, %u fault, "
		       "%u differ\n",
		       w.map_count, w.secondary, w.evicted, PROBES, w.faults, w.wrong);
	}
	ppc64_qemu_close(&w.q);
	free(before);
	return err || w.wrong ? 1 : 0;
}
