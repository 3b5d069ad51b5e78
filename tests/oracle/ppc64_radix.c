/*
 * tests/oracle/ppc64_radix.c - radix trees built here, walked by qemu's POWER9
 *
 * Goal:   for random mappings of all page sizes and rights, the walker and the syndromes of
 *         arch/ppc64 say what an independent implementation does.
 * Method: tables, process and partition table are written into the RAM of a powernv9 machine with
 *         this project's encoders. The stub executes each probe; vector, DSISR, DAR, SRR0, SRR1 and
 *         what was loaded, stored or executed are compared with ops->walk and ops->raise, and at
 *         the end all tables, bit by bit.
 * Differs: qemu before 8.1 sets Reference and Change itself, which the ISA allows and no POWER9
 *         does. The first probe finds out; if so the model's software sets them at once and tries
 *         again, so that what those versions cannot show is only the fault itself.
 * Output: the seed (MMSIM_SEED=N repeats), counts; per difference the probe, the entries, both
 *         answers. Exit 77: no qemu.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/page.h>

#include "arch/ppc64/ppc64.h"
#include "tests/oracle/ppc64_qemu.h"
#include "tests/unit/test_seed.h"

#define RAM_BYTES (4ull << 30)
#define DATA_START (1ull << 30)
#define MAPPINGS 1500u
#define PROBES 12000u
#define LPCR_HR (1ull << 20)   /* host radix */
#define LPCR_UPRT (1ull << 22) /* process table in use */

struct mapping {
	u64 va, bytes;
};

struct world {
	const struct arch_desc *a;
	struct ppc64_qemu q;
	struct memory mem;
	struct mmu_regs regs;
	u64 root_pa, next_pa; /* tables are taken from here upwards */
	u64 rng;
	struct mapping maps[MAPPINGS];
	u32 map_count;
	struct ppc64_probe probes[PROBES];
	bool qemu_sets_rc;
	u32 rc_updates, faults, wrong;
};

static u64 draw(struct world *w, u64 below)
{
	return test_random(&w->rng) % below;
}

/* ---- tables ----------------------------------------------------------------------------------- */

static u64 table_new(struct world *w, u64 bytes)
{
	u64 pa = ALIGN_UP(w->next_pa, max(bytes, arch_page_bytes(w->a)));

	w->next_pa = pa + max(bytes, arch_page_bytes(w->a));
	MMSIM_BUG_ON(w->next_pa > DATA_START);
	return pa;
}

/* va's entry of `level` in the tree at `root`, with tables made on the way; NULL: a leaf is in the
 * way. */
static pte_t *entry_of(struct world *w, u64 root, u64 va, u32 level)
{
	const struct arch_desc *a = w->a;
	u64 table = root;

	for (u32 l = a->levels - 1u;; l--) {
		pte_t *p = (pte_t *)(w->q.ram + table) + level_index(a, va, l);

		if (l == level)
			return p;
		if (!*p)
			*p = table_make(a, table_new(w, 8ull << a->idx_bits[l - 1]) >> a->page_shift, l);
		else if (entry_is_leaf(a, *p, l))
			return NULL;
		table = table_pa(a, *p);
	}
}

static u32 random_attrs(struct world *w)
{
	u32 attrs = (u32)draw(w, 1u << PTE_BIT_COUNT);

	/* Mostly useful ones, or hardly any access gets past Reference. */
	if (draw(w, 4))
		attrs |= PTE_ACCESSED | PTE_DIRTY;
	if (draw(w, 3))
		attrs |= PTE_USER;
	return attrs;
}

/* One leaf at a random place; false: the place is taken. */
static bool map_one(struct world *w, u64 va, u32 level)
{
	static const u64 att[] = {0, RADIX_ATT_SAO, RADIX_ATT_NON_IDEMPOTENT, RADIX_ATT_TOLERANT};
	const struct arch_desc *a = w->a;
	u64 bytes = level_bytes(a, level);
	u64 pa = DATA_START + ALIGN_DOWN(draw(w, RAM_BYTES - DATA_START), bytes);
	u32 attrs = random_attrs(w);
	pte_t *p;

	va = ALIGN_DOWN(va, bytes);
	p = entry_of(w, w->root_pa, va, level);
	if (!p || *p)
		return false;
	*p = level ? huge_make(a, pa >> a->page_shift, attrs) : pte_make(a, pa >> a->page_shift, attrs);
	if (!draw(w, 4))
		*p |= BE(att[draw(w, ARRAY_SIZE(att))]);
	w->maps[w->map_count++] = (struct mapping){.va = va, .bytes = bytes};
	return true;
}

/* A random address, now and then near an earlier mapping so that tables are shared. */
static u64 random_va(struct world *w)
{
	u64 va = test_random(&w->rng) & ((1ull << 52) - 1);

	if (w->map_count && draw(w, 4)) {
		u32 near = (u32)draw(w, 4);
		u64 keep = ~((1ull << level_shift(w->a, 1 + min(near, 2u))) - 1);

		va = (w->maps[draw(w, w->map_count)].va & keep) | (va & ~keep);
	}
	return va < PPC64_STUB_BYTES ? va + PPC64_STUB_BYTES : va;
}

static void tables_build(struct world *w)
{
	const struct arch_desc *a = w->a;
	u64 prtb, patb, partition_root;

	w->next_pa = PPC64_FREE;
	prtb = table_new(w, 0x10000);
	patb = table_new(w, 0x10000);
	w->root_pa = table_new(w, 8ull << a->idx_bits[a->levels - 1]);
	/* PID 0, which quadrant 3 uses, and PID 1 share the tree. */
	for (u32 pid = 0; pid < 2; pid++)
		ppc64_put(&w->q, prtb + 16 * pid, radix_process_entry(a, w->root_pa));
	/* Of partition 0 the partition-scoped tree translates nothing but the process table's address:
	 * one gigabyte leaf, everything where it is. */
	partition_root = table_new(w, 8ull << a->idx_bits[a->levels - 1]);
	*entry_of(w, partition_root, 0, 2) =
		huge_make(a, 0, PTE_USER | PTE_READ | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	ppc64_put(&w->q, patb, PATE0_HR | radix_process_entry(a, partition_root));
	ppc64_put(&w->q, patb + 8, prtb); /* PRTS 0: 4 KiB */
	w->regs = (struct mmu_regs){.root = {w->root_pa, w->root_pa}};
	for (u64 va = 0; va < PPC64_STUB_BYTES; va += arch_page_bytes(a))
		*entry_of(w, w->root_pa, va, 0) = pte_make(a, va >> a->page_shift,
					       PTE_USER | PTE_READ | PTE_EXEC | PTE_ACCESSED);
	while (w->map_count < MAPPINGS) {
		u64 r = draw(w, 16);

		(void)map_one(w, random_va(w), r < 12 ? 0 : r < 15 ? 1 : 2);
	}
}

/* ---- probes ----------------------------------------------------------------------------------- */

/* The leaf's physical address for va, whatever its rights; false: nothing is mapped. */
static bool slow_pa(const struct world *w, u64 va, u64 *pa)
{
	const struct arch_desc *a = w->a;
	u64 table = w->root_pa;

	for (u32 l = a->levels - 1u;; l--) {
		pte_t e = ((const pte_t *)(w->q.ram + table))[level_index(a, va, l)];

		if (!e)
			return false;
		if (entry_is_leaf(a, e, l)) {
			*pa = (BE(e) & RADIX_RPN & ~(level_bytes(a, l) - 1)) |
			      (va & (level_bytes(a, l) - 1));
			return true;
		}
		table = table_pa(a, e);
	}
}

static void probe_draw(struct world *w, u32 i)
{
	struct ppc64_probe *p = &w->probes[i];
	const struct mapping *m = &w->maps[draw(w, w->map_count)];
	u64 va = m->va + draw(w, m->bytes), r = draw(w, 100), pa;
	bool user = draw(w, 2);

	if (r < 10)
		va = m->va + m->bytes + draw(w, 4) * m->bytes;
	else if (r < 15)
		va = random_va(w);
	va = ALIGN_DOWN(va & ((1ull << 52) - 1), 32ull);
	if (va < PPC64_STUB_BYTES)
		va += PPC64_STUB_BYTES;
	if (slow_pa(w, va, &pa))
		ppc64_spot_write(&w->q, pa);
	if (r >= 94 && r < 97)
		va |= 1ull << (52 + draw(w, 10));
	else if (r >= 97)
		va |= 3ull << 62;
	p->kind = draw(w, ACCESS_KINDS);
	p->ea = va + ppc64_lane(p->kind);
	p->store = 0x5354000000000000ull | i;
	p->msr = MSR_SF | MSR_HV | MSR_ME;
	if (user)
		p->msr |= MSR_PR | MSR_EE | MSR_IR | MSR_DR;
	else
		p->msr |= p->kind == ACCESS_EXEC ? MSR_IR | MSR_DR : MSR_DR;
	ppc64_probe_put(&w->q, i, p);
}

/* ---- the model's answer ----------------------------------------------------------------------- */

static pte_t *leaf_entry(const struct world *w, u64 va)
{
	const struct arch_desc *a = w->a;
	u64 table = w->root_pa;

	for (u32 l = a->levels - 1u;; l--) {
		pte_t *p = (pte_t *)(w->q.ram + table) + level_index(a, va, l);

		if (entry_is_leaf(a, *p, l))
			return p;
		table = table_pa(a, *p);
	}
}

static struct ppc64_answer model_answer(struct world *w, const struct ppc64_probe *p)
{
	const struct arch_desc *a = w->a;
	bool user = p->msr & MSR_PR;
	struct mmu_walk walk;

	for (;;) {
		if (a->ops->walk(a, &w->mem, &w->regs, p->ea, (enum access_kind)p->kind, user, &walk))
			return (struct ppc64_answer){
				.ok = true,
				.pa = walk.pfn << a->page_shift | (p->ea & (arch_page_bytes(a) - 1)),
			};
		if (!w->qemu_sets_rc ||
		    (walk.cause != MMU_NOT_ACCESSED && walk.cause != MMU_NOT_DIRTY))
			return (struct ppc64_answer){
				.s = a->ops->raise(a, &w->regs, p->ea, (enum access_kind)p->kind,
						   user, &walk),
			};
		w->rc_updates++;
		*leaf_entry(w, p->ea & ((1ull << 52) - 1)) |=
			walk.cause == MMU_NOT_ACCESSED ? BE(RADIX_R) : BE(RADIX_C);
	}
}

/* ---- comparison ------------------------------------------------------------------------------- */

static void show_step(struct walk_trace *trace, const struct walk_step *step)
{
	(void)trace;
	printf("    level %u at %#llx: %016llx\n", step->level, (unsigned long long)step->pa,
	       (unsigned long long)BE(step->entry));
}

static void show(const struct world *w, u32 i, const struct ppc64_probe *p,
		 const struct ppc64_answer *m)
{
	struct walk_trace trace = {.step = show_step};
	struct mmu_walk walk;

	ppc64_answer_show(i, p, m);
	(void)w->a->ops->walk_traced(w->a, &w->mem, &w->regs, p->ea, (enum access_kind)p->kind,
				     p->msr & MSR_PR, &trace, &walk);
}

static void compare_all(struct world *w, const char *before)
{
	u64 table_bytes = w->next_pa - PPC64_FREE;
	char *tables = w->q.ram + PPC64_FREE;
	char *after = malloc(table_bytes);
	static struct ppc64_answer answers[PROBES];

	memcpy(after, tables, table_bytes);
	memcpy(tables, before, table_bytes);
	for (u32 i = 0; i < PROBES; i++) {
		struct ppc64_probe p = ppc64_probe_get(&w->q, i);

		answers[i] = model_answer(w, &p);
		w->faults += !answers[i].ok;
		if (!ppc64_answer_equal(&p, &answers[i]) && w->wrong++ < SHOWN_MAX)
			show(w, i, &p, &answers[i]);
	}
	w->wrong += ppc64_check_stores(&w->q, answers, PROBES);
	for (u64 i = 0; i < table_bytes; i += 8)
		if (memcmp(after + i, tables + i, 8) && w->wrong++ < SHOWN_MAX)
			printf("entry at %#llx: model %016llx, qemu %016llx\n",
			       (unsigned long long)(PPC64_FREE + i),
			       (unsigned long long)BE(*(u64 *)(tables + i)),
			       (unsigned long long)BE(*(u64 *)(after + i)));
	free(after);
}

/* Returns whether all was equal. */
static bool oracle(const struct arch_desc *a, u64 seed)
{
	static struct world w;
	struct ppc64_setup setup = {.machine = "powernv9", .lpcr = LPCR_HR | LPCR_UPRT, .pid = 1};
	u64 table_bytes;
	char *before;
	pte_t first;
	int err;

	memset(&w, 0, sizeof(w));
	w.a = a;
	w.rng = seed;
	err = ppc64_qemu_open(&w.q, RAM_BYTES);
	if (err) {
		fprintf(stderr, "ram file: %s\n", strerror(-err));
		return false;
	}
	w.mem = (struct memory){.direct_map = w.q.ram,
				.frames = RAM_BYTES >> a->page_shift,
				.page_shift = a->page_shift};
	tables_build(&w);
	for (u32 i = 0; i < PROBES; i++)
		probe_draw(&w, i);
	/* Who sets Reference: a load by an entry that lacks it and nothing else. */
	w.probes[0] = (struct ppc64_probe){.ea = w.maps[0].va, .msr = MSR_SF | MSR_HV | MSR_ME | MSR_DR};
	first = *leaf_entry(&w, w.maps[0].va);
	*leaf_entry(&w, w.maps[0].va) =
		pte_clear_attrs(a, pte_set_attrs(a, first, PTE_READ), PTE_ACCESSED);
	ppc64_spot_write(&w.q, BE(first) & RADIX_RPN & ~(w.maps[0].bytes - 1));
	ppc64_probe_put(&w.q, 0, &w.probes[0]);

	table_bytes = w.next_pa - PPC64_FREE;
	before = malloc(table_bytes);
	memcpy(before, w.q.ram + PPC64_FREE, table_bytes);
	setup.ptcr = PPC64_FREE + 0x10000; /* PATS 0: 4 KiB */
	err = ppc64_qemu_run(&w.q, &setup, PROBES);
	if (!err) {
		w.qemu_sets_rc = ppc64_probe_get(&w.q, 0).vector == PPC64_VECTOR_SC;
		compare_all(&w, before);
		printf("%s: %u mappings, %u probes, %u fault, %u updates of R or C (by %s), %u differ\n",
		       a->name, w.map_count, PROBES, w.faults, w.rc_updates,
		       w.qemu_sets_rc ? "qemu" : "software", w.wrong);
	}
	ppc64_qemu_close(&w.q);
	free(before);
	return !err && !w.wrong;
}

int main(void)
{
	u64 seed = test_seed("oracle.ppc64_radix");
	bool ok;

	if (!ppc64_qemu_found()) {
		printf("no qemu-system-ppc64: skipped\n");
		return 77;
	}
	ok = oracle(&arch_ppc64_radix, seed);
	ok &= oracle(&arch_ppc64_radix_4k, seed + 1);
	return ok ? 0 : 1;
}
