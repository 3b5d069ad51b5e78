/*
 * tests/oracle/arm64_mmu.c - arm64: this project's walks against QEMU's processor
 *
 * Goal     Every translation, every fault syndrome and every bit that the MMU writes into a table
 *          is what qemu-system-aarch64 -cpu max says, for each granule and address size.
 * Method   For each configuration: an image of RAM with the tables of random mappings, made
 *          through arch.h; a list of probes (address; load, store, fetch or AT; EL1 or EL0; PAN).
 *          The model makes the probes one after another on its copy of the RAM, QEMU (TCG) on
 *          the other, by way of arm64_stub.S. Then the results and all of the RAM, tables and
 *          data, must be equal.
 * RAM      Each 64 bytes of data are: movz, movk, ret (a fetch returns where it was), nop; their
 *          own address (what a load finds); a word to store to; a spare one.
 * Not asked (each where the manual leaves a choice or where QEMU 7.2 differs from it)
 *          - AT with hardware Accessed: whether AT sets it is a choice. AT is asked without.
 *          - blocks at levels that have none: QEMU 7.2 takes them, the manual says translation
 *            fault (tests/unit/arch/arm64/test_arm64.c has them).
 *          - fetches by EL1 through an entry that hardware Dirty would make writable: see
 *            fetch_is_ambiguous().
 *          - address bits 51:48 (64 KiB) and 51:50 (LPA2) while TCR.IPS says less than 52: the
 *            manual wants an address size fault, QEMU 7.2 does not look.
 * Usage    arm64_mmu [IMAGE]: one configuration only, by its number
 * Exit     0 equal, 1 different (seed, probe, chain and both answers are printed), 77 no QEMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mmsim/page.h>

#include "arch/arm64/arm64.h"
#include "tests/unit/test_seed.h"

#define RAM_PA 0x40000000ull	 /* of -M virt */
#define RAM_BYTES (64ull << 20)
#define STUB_PA 0x40200000ull	 /* QEMU puts a device tree at the start of the RAM */
#define USER_PA (STUB_PA + 0x10000)
#define CONTROL_PA (STUB_PA + 0x20000)
#define PROBES_PA (CONTROL_PA + 0x1000)
#define TABLES_PA 0x40300000ull
#define DATA_PA 0x43000000ull	 /* up to the end */
#define FIXED_BYTES (TABLES_PA - STUB_PA)
#define FIXED_VA (0ull - FIXED_BYTES) /* the end of the half of TTBR1 */

#define LINE_BYTES 64
#define LINE_TAG 16   /* offsets in a line */
#define LINE_STORE 24

#define MAPPINGS 1200
#define PROBES 2000
#define QEMU_SECONDS 60

/* What the stub reads and writes. */
struct arm64_control {
	u64 mair, tcr_off, ttbr[2], sctlr, stub_va, tcr, user_va, control_va, count, probes_va,
		results_va;
};

/* The order is the stub's. */
enum arm64_probe_op {
	OP_LOAD_EL1, OP_STORE_EL1, OP_FETCH_EL1, OP_LOAD_EL0, OP_STORE_EL0, OP_FETCH_EL0,
	OP_AT_S1E1R, OP_AT_S1E1W, OP_AT_S1E0R, OP_AT_S1E0W, OP_AT_S1E1RP, OP_AT_S1E1WP, OPS,
};
static const struct op {
	const char *name;
	enum access_kind kind;
	bool user, at, ignores_pan;
} ops[OPS] = {
	{"load at EL1", ACCESS_READ, false, false, false},
	{"store at EL1", ACCESS_WRITE, false, false, false},
	{"fetch at EL1", ACCESS_EXEC, false, false, false},
	{"load at EL0", ACCESS_READ, true, false, false},
	{"store at EL0", ACCESS_WRITE, true, false, false},
	{"fetch at EL0", ACCESS_EXEC, true, false, false},
	{"AT S1E1R", ACCESS_READ, false, true, true},
	{"AT S1E1W", ACCESS_WRITE, false, true, true},
	{"AT S1E0R", ACCESS_READ, true, true, false},
	{"AT S1E0W", ACCESS_WRITE, true, true, false},
	{"AT S1E1RP", ACCESS_READ, false, true, false},
	{"AT S1E1WP", ACCESS_WRITE, false, true, false},
};

struct arm64_probe {
	u64 va, op, value, pan; /* pan: as PSTATE.PAN stands in its register */
};
struct arm64_result {
	u64 x0, esr, far, par, vector;
};
#define PSTATE_PAN (1ull << 22)
#define ESR_NONE (~0ull)
#define ESR_SVC 0x56000000ull /* how an access at EL0 comes back */

static const char *const formats[] = {"arm64-4k",    "arm64-16k",	 "arm64-64k",
				      "arm64-4k-52", "arm64-16k-52", "arm64-64k-52"};

struct config {
	u32 format;
	u64 control; /* ARM64_CTL_*, and the output address size */
};

struct image {
	const struct arch_desc *arch;
	u64 control, roots[2];
	char *base; /* of physical address 0: only the RAM is there */
	struct memory mem;
	u64 table_top; /* tables are allocated up to here */
	struct mapping {
		u64 va;
		u32 level;
	} mappings[MAPPINGS];
	u32 mapping_count, groups;
	struct arm64_probe probes[PROBES];
	struct arm64_result expected[PROBES];
	u64 rng;
};

static u64 random_below(struct image *im, u64 n)
{
	return test_random(&im->rng) % n;
}

static bool one_in(struct image *im, u64 n)
{
	return random_below(im, n) == 0;
}

/* ---- tables -------------------------------------------------------------------------------- */

static u64 table_alloc(struct image *im)
{
	u64 bytes = arch_page_bytes(im->arch), pa = im->table_top;

	if (pa + bytes > DATA_PA)
		return 0;
	im->table_top += bytes;
	return pa >> im->arch->page_shift;
}

/* The entry of va at `level`; missing tables are made, with random restrictions. NULL: no room, or a
 * larger leaf is in the way. */
static pte_t *entry_for(struct image *im, u64 va, u32 level, bool restricted)
{
	const struct arch_desc *a = im->arch;
	u64 root = im->roots[va >> 63];
	struct pt_place at;

	while (!arch_descend_tree(a, &im->mem, root, va, level, &at)) {
		u64 pfn = table_alloc(im);
		pte_t e;

		if (!pfn)
			return NULL;
		e = table_make(a, pfn, at.level);
		if (restricted) {
			static const pte_t restricts[] = {ARM64_TABLE_AP0, ARM64_TABLE_AP1,
							  ARM64_TABLE_UXN, ARM64_TABLE_PXN,
							  ARM64_TABLE_NS};

			for (u32 i = 0; i < ARRAY_SIZE(restricts); i++)
				if (one_in(im, 16))
					e |= restricts[i];
		}
		*at.entry = e;
	}
	return at.entry;
}

/* Is there a leaf on the way down to `level`? arch_descend_tree() must not take it for a table. */
static bool leaf_above(struct image *im, u64 va, u32 level)
{
	const struct arch_desc *a = im->arch;
	struct pt_place at;

	for (u32 l = a->levels - 1u; l > level; l--) {
		if (!arch_descend_tree(a, &im->mem, im->roots[va >> 63], va, l, &at))
			return false;
		if (*at.entry && (!pte_present(a, *at.entry) || entry_is_leaf(a, *at.entry, l)))
			return true;
	}
	return false;
}

/* Few values for the upper indices, so that tables are shared; any for the last. */
static u64 random_va(struct image *im)
{
	const struct arch_desc *a = im->arch;
	u64 va = one_in(im, 2) ? ~0ull << level_shift(a, a->levels) : 0;

	for (u32 level = 0; level < a->levels; level++) {
		u64 entries = 1ull << a->idx_bits[level];
		u64 index = random_below(im, entries);

		if (level > 0 && !one_in(im, 16))
			index = (random_below(im, 4) * 0x155 + 7) % entries;
		va |= index << level_shift(a, level);
	}
	return va;
}

/* Bits of a leaf that any value is legal for. */
static pte_t random_leaf_bits(struct image *im, pte_t e, u32 level)
{
	pte_t bits = ARM64_AP1 | ARM64_AP2 | ARM64_AF | ARM64_NG | ARM64_DBM | ARM64_PXN |
		     ARM64_UXN | ARM64_ATTRINDX | ARM64_DIRTY | ARM64_SPECIAL | 3ull << 57;

	if (!(im->arch->pfn_hi_mask & ARM64_SH))
		bits |= ARM64_SH;
	e = (e & ~bits) | (test_random(&im->rng) & bits);
	if (!one_in(im, 4))
		e |= ARM64_AF;
	if (one_in(im, 24))
		e &= ~ARM64_VALID;
	else if (level == 0 && one_in(im, 24))
		e &= ~ARM64_TABLE; /* bits 1:0 = 01 at the last level: reserved */
	return e;
}

/*
 * Make the new leaf e of va one of a contiguous group, all alike but for their frames, if nothing is there.
 * The mapping's va becomes any one of them.
 */
static u64 add_group(struct image *im, pte_t *p, u64 va, u32 level, pte_t e)
{
	const struct arch_desc *a = im->arch;
	u32 count = 1u << a->group_bits[level], own = level_index(a, va, level) % count;
	u64 pages = level_bytes(a, level) >> a->page_shift, first;

	p -= own;
	va -= own * level_bytes(a, level);
	if (va + count * level_bytes(a, level) > ALIGN_DOWN(FIXED_VA, level_bytes(a, level)))
		return va + own * level_bytes(a, level);
	for (u32 i = 0; i < count; i++)
		if (i != own && p[i])
			return va + own * level_bytes(a, level);
	first = ALIGN_DOWN(leaf_pfn(a, e, level), pages * count);
	e &= ~pfn_bits(a, ~0ull >> a->page_shift);
	for (u32 i = 0; i < count; i++) {
		p[i] = e | a->group_mask | pfn_bits(a, first + i * pages);
		/* The MMU keeps these for each. */
		if (one_in(im, 4))
			p[i] ^= ARM64_AF;
	}
	im->groups++;
	return va + random_below(im, count) * level_bytes(a, level);
}

static void add_mapping(struct image *im)
{
	const struct arch_desc *a = im->arch;
	u32 level = 0, attrs = one_in(im, 2) ? (u32)random_below(im, PTE_ATTR_MASK + 1)
					      : PTE_ATTR_MASK & ~(u32)PTE_HIDDEN;
	u64 va = random_va(im), pa, bytes;
	pte_t *p;

	if (one_in(im, 3))
		level = (u32)random_below(im, a->levels);
	if (level && !(a->huge_levels >> level & 1))
		return;
	if (va >= ALIGN_DOWN(FIXED_VA, level_bytes(a, level)) || leaf_above(im, va, level))
		return;
	/* Of the 16 entries of level -1 some stay empty: one bit away from what random_va() likes. */
	if (a->levels == 5 && (1u << level_index(a, va, 4) & 0x4038))
		return;
	p = entry_for(im, va, level, true);
	if (!p || *p)
		return;
	bytes = level_bytes(a, level);
	pa = DATA_PA + random_below(im, RAM_PA + RAM_BYTES - DATA_PA);
	if (one_in(im, 8)) /* any address that the format holds */
		pa = test_random(&im->rng);
	pa = ALIGN_DOWN(pa, bytes);
	if (level)
		*p = huge_make(a, pa >> a->page_shift, attrs);
	else
		*p = pte_make(a, pa >> a->page_shift, attrs);
	if (one_in(im, 2))
		*p = random_leaf_bits(im, *p, level);
	/* QEMU 7.2 looks at these only if the output may be 52 bits wide. */
	if (arm64_ips(im->control) < ARM64_IPS_52)
		*p &= ~a->pfn_hi_mask;
	if (a->group_bits[level] && one_in(im, 3))
		va = add_group(im, p, va, level, *p);
	im->mappings[im->mapping_count++] = (struct mapping){.va = va, .level = level};
}

/* The stub's own pages. */
static void map_fixed(struct image *im)
{
	const struct arch_desc *a = im->arch;

	for (u64 off = 0; off < FIXED_BYTES; off += arch_page_bytes(a)) {
		u64 pa = STUB_PA + off;
		pte_t *p = entry_for(im, FIXED_VA + off, 0, false), e;

		e = pte_make(a, pa >> a->page_shift, PTE_ACCESSED | PTE_DIRTY | PTE_WRITE);
		e &= ~(ARM64_AP1 | ARM64_AP2 | ARM64_DBM | ARM64_PXN);
		e |= ARM64_UXN | ARM64_PXN | ARM64_AF;
		if (pa < USER_PA)
			e = (e & ~ARM64_PXN) | ARM64_AP2;
		else if (pa < CONTROL_PA)
			e = (e & ~ARM64_UXN) | ARM64_AP1 | ARM64_AP2;
		*p = e;
	}
}

/* ---- the model's side ----------------------------------------------------------------------- */

static void *at_pa(struct image *im, u64 pa)
{
	return im->base + pa;
}

static bool model_walk(struct image *im, const struct arm64_probe *probe, u64 *pa, u64 *esr)
{
	const struct op *op = &ops[probe->op];
	const struct arch_desc *a = im->arch;
	const struct mmu_regs regs = {
		.root = {im->roots[0] << a->page_shift, im->roots[1] << a->page_shift},
		.control = im->control | (probe->pan && !op->ignores_pan ? ARM64_CTL_PAN : 0),
	};
	struct mmu_walk w;

	if (a->ops->walk(a, &im->mem, &regs, probe->va, op->kind, op->user, &w)) {
		*pa = w.pfn << a->page_shift | (probe->va & (arch_page_bytes(a) - 1));
		return true;
	}
	*esr = a->ops->raise(a, &regs, probe->va, op->kind, op->user, &w).code;
	return false;
}

/* The leaf that translates va, or NULL: read only. */
static pte_t *find_leaf(struct image *im, u64 va)
{
	const struct arch_desc *a = im->arch;
	struct pt_place at;
	u32 root;

	if (!va_root(a, va, &root))
		return NULL;
	for (u32 level = a->levels; level-- > 0;) {
		if (!arch_descend_tree(a, &im->mem, im->roots[root], va, level, &at) ||
		    !pte_present(a, *at.entry))
			return NULL;
		if (entry_is_leaf(a, *at.entry, level))
			return at.entry;
		if (table_pa(a, *at.entry) < TABLES_PA || table_pa(a, *at.entry) >= DATA_PA)
			return NULL;
	}
	return NULL;
}

/*
 * With hardware Dirty, an entry with DBM counts as writable (AP[2] as 0) for every access, says the
 * manual (D8.4.6): EL1 may then not fetch from it if EL0 may write, nor anybody under WXN. QEMU
 * 7.2 looks at DBM when it stores only.
 */
static bool fetch_is_ambiguous(const struct image *im, const pte_t *leaf, const struct op *op)
{
	return op->kind == ACCESS_EXEC && (im->control & ARM64_CTL_HD) && leaf &&
	       (*leaf & ARM64_DBM) && (*leaf & ARM64_AP2);
}

/* Make the probe on the model's memory. false: this probe cannot be made. */
static bool model_probe(struct image *im, struct arm64_probe *probe, struct arm64_result *want)
{
	const struct op *op = &ops[probe->op];
	pte_t *leaf = find_leaf(im, probe->va), was = leaf ? *leaf : 0;
	u64 pa, esr;

	*want = (struct arm64_result){.esr = op->user && !op->at ? ESR_SVC : ESR_NONE};
	if (fetch_is_ambiguous(im, leaf, op))
		return false;
	if (!model_walk(im, probe, &pa, &esr)) {
		want->esr = esr;
		want->far = probe->va;
		if (op->at) { /* F, and the fault status where PAR has it */
			want->esr = ESR_NONE;
			want->par = 1 | (esr & 0x3f) << 1;
		}
		return true;
	}
	if (op->at) {
		want->par = pa & 0x000ffffffffff000ull;
		return true;
	}
	if (pa < DATA_PA || pa >= RAM_PA + RAM_BYTES) {
		if (leaf)
			*leaf = was;
		return false;
	}
	if (op->kind == ACCESS_WRITE)
		*(u64 *)at_pa(im, pa) = probe->value;
	else if (op->kind == ACCESS_READ)
		want->x0 = *(u64 *)at_pa(im, pa);
	else
		want->x0 = pa & 0xffffffff;
	return true;
}

/* ---- probes ------------------------------------------------------------------------------------ */

/* Where in a mapping: if it is large, mostly where its output lies in the data. */
static u64 offset_in(struct image *im, const struct mapping *m)
{
	const struct arch_desc *a = im->arch;
	u64 bytes = level_bytes(a, m->level), offset = test_random(&im->rng);
	const pte_t *leaf = find_leaf(im, m->va);

	if (m->level && leaf && !one_in(im, 8)) {
		u64 pa = leaf_pfn(a, *leaf, m->level) << a->page_shift;

		offset = DATA_PA + random_below(im, RAM_PA + RAM_BYTES - DATA_PA) - pa;
	}
	return offset & (bytes - 1);
}

static void draw_probe(struct image *im, struct arm64_probe *probe)
{
	static const u64 line_offset[ACCESS_KINDS] = {
		[ACCESS_READ] = LINE_TAG, [ACCESS_WRITE] = LINE_STORE, [ACCESS_EXEC] = 0};
	const struct mapping *m = &im->mappings[random_below(im, im->mapping_count)];
	/* AT is not asked about entries that the MMU would change. */
	u64 n = im->control & ARM64_CTL_HA ? OP_AT_S1E1R : OPS;
	u64 va = m->va;

	probe->op = random_below(im, n);
	va += offset_in(im, m);
	switch (random_below(im, 32)) {
	case 0: /* its neighbour */
	case 1:
		va += level_bytes(im->arch, m->level) * (one_in(im, 2) ? 1 : -1ull);
		break;
	case 2: /* the other half */
		va ^= ~0ull << level_shift(im->arch, im->arch->levels);
		break;
	case 3: /* no address */
		va ^= 1ull << (52 + random_below(im, 12));
		break;
	case 4:
		va ^= 1ull << random_below(im, 64);
		break;
	case 5:
		va = random_va(im);
		break;
	}
	va = ALIGN_DOWN(va, LINE_BYTES) + line_offset[ops[probe->op].kind];
	probe->va = va;
	probe->value = test_random(&im->rng);
	probe->pan = one_in(im, 3) ? PSTATE_PAN : 0;
}

/* The stub's own pages are not under test. */
static bool is_fixed(const struct image *im, u64 va)
{
	return va >= ALIGN_DOWN(FIXED_VA, arch_page_bytes(im->arch));
}

/* ---- one image ----------------------------------------------------------------------------------- */

static u64 movz_movk(u64 pa)
{
	return (0x52800000u | (pa & 0xffff) << 5) | (0x72a00000u | (pa >> 16 & 0xffff) << 5) << 32;
}

static void fill_data(struct image *im)
{
	for (u64 pa = DATA_PA; pa < RAM_PA + RAM_BYTES; pa += LINE_BYTES) {
		u64 *line = at_pa(im, pa);

		line[0] = movz_movk(pa);
		line[1] = 0xd503201fd65f03c0ull; /* ret; nop */
		line[LINE_TAG / 8] = pa;
	}
}

static u64 tcr(const struct image *im)
{
	const struct arch_desc *a = im->arch;
	u64 bits = level_shift(a, a->levels), tsz = 64 - bits;
	u64 tg0 = a->page_shift == 12 ? 0 : a->page_shift == 14 ? 2 : 1;
	u64 tg1 = a->page_shift == 12 ? 2 : a->page_shift == 14 ? 1 : 3;
	u64 v = tsz | tsz << 16 | tg0 << 14 | tg1 << 30;

	v |= arm64_ips(im->control) << 32;
	if (im->control & ARM64_CTL_HPD0)
		v |= 1ull << 41;
	if (im->control & ARM64_CTL_HPD1)
		v |= 1ull << 42;
	if (im->control & ARM64_CTL_HA)
		v |= 1ull << 39;
	if (im->control & ARM64_CTL_HD)
		v |= 1ull << 40;
	if (a->pfn_hi_mask & ARM64_SH) /* 51:50 where shareability was: LPA2 */
		v |= 1ull << 59;
	return v;
}

static void fill_control(struct image *im)
{
	struct arm64_control *c = at_pa(im, CONTROL_PA);
	u64 delta = FIXED_VA - STUB_PA;

	*c = (struct arm64_control){
		.mair = 0xffffffffffffffffull, /* normal memory, write-back, whatever the index */
		.tcr = tcr(im),
		.tcr_off = tcr(im) | 1 << 7, /* EPD0 */
		.ttbr = {im->roots[0] << im->arch->page_shift, im->roots[1] << im->arch->page_shift},
		/* M, C, I and the bits that are one; SPAN is 0, so that an exception sets PAN. */
		.sctlr = 1 | 1 << 2 | 1 << 12 | 1 << 11 | 1 << 20 | 1 << 22 | 1 << 28 | 1 << 29,
		.stub_va = STUB_PA + delta,
		.user_va = USER_PA + delta,
		.control_va = CONTROL_PA + delta,
		.count = PROBES,
		.probes_va = PROBES_PA + delta,
		.results_va = PROBES_PA + sizeof(im->probes) + delta,
	};
	if (im->control & ARM64_CTL_WXN)
		c->sctlr |= 1 << 19;
	memcpy(at_pa(im, PROBES_PA), im->probes, sizeof(im->probes));
}

static void load_stub(struct image *im)
{
	FILE *f = fopen(ARM64_STUB_PATH, "rb");

	if (!f || fread(at_pa(im, STUB_PA), 1, CONTROL_PA - STUB_PA, f) < USER_PA - STUB_PA) {
		fprintf(stderr, "arm64_mmu: %s: %s\n", ARM64_STUB_PATH, strerror(errno));
		exit(1);
	}
	fclose(f);
}

/* Tables first, as QEMU is to find them; then the probes, which change the model's. */
static void build_image(struct image *im, const struct config *config, u64 seed)
{
	im->arch = arch_find(formats[config->format]);
	im->control = config->control;
	im->rng = seed;
	im->table_top = ALIGN_UP(TABLES_PA, arch_page_bytes(im->arch));
	im->mem = (struct memory){.direct_map = im->base,
				  .frames = (RAM_PA + RAM_BYTES) >> im->arch->page_shift,
				  .page_shift = im->arch->page_shift};
	im->roots[0] = table_alloc(im);
	im->roots[1] = table_alloc(im);
	load_stub(im);
	fill_data(im);
	map_fixed(im);
	for (u32 tries = 0; im->mapping_count < MAPPINGS && tries < 100 * MAPPINGS; tries++)
		add_mapping(im);
	if (im->mapping_count < 1000) {
		fprintf(stderr, "arm64_mmu: only %u mappings fit\n", im->mapping_count);
		exit(1);
	}
}

static void make_probes(struct image *im)
{
	for (u32 i = 0; i < PROBES;) {
		draw_probe(im, &im->probes[i]);
		if (!is_fixed(im, im->probes[i].va) &&
		    model_probe(im, &im->probes[i], &im->expected[i]))
			i++;
	}
}

/* ---- QEMU ------------------------------------------------------------------------------------------ */

/* Runs until the stub has switched the machine off. 77: there is no QEMU. */
static int run_qemu(const char *ram_path)
{
	char backend[400];
	int status = 0;
	pid_t pid;

	snprintf(backend, sizeof(backend), "memory-backend-file,id=ram,share=on,size=%llu,mem-path=%s",
		 RAM_BYTES, ram_path);
	pid = fork();
	if (pid == 0) {
		execlp("qemu-system-aarch64", "qemu-system-aarch64", "-M", "virt,memory-backend=ram",
		       "-cpu", "max", "-accel", "tcg", "-object", backend, "-m",
		       "64M", "-device", "loader,addr=0x40200000,cpu-num=0", "-nodefaults", "-display",
		       "none", "-serial", "none", "-monitor", "none", (char *)NULL);
		_exit(errno == ENOENT ? 77 : 126);
	}
	for (u32 ms = 0; waitpid(pid, &status, WNOHANG) == 0; ms += 10) {
		if (ms > QEMU_SECONDS * 1000) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			fprintf(stderr, "arm64_mmu: QEMU did not end within %d s\n", QEMU_SECONDS);
			return 1;
		}
		usleep(10000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- comparison -------------------------------------------------------------------------------------- */

static void print_result(const char *who, const struct arm64_result *r)
{
	fprintf(stderr, "    %-5s x0 %#llx  ESR %#llx  FAR %#llx  PAR %#llx  vector %lld\n", who,
		(unsigned long long)r->x0, (unsigned long long)r->esr, (unsigned long long)r->far,
		(unsigned long long)r->par, (long long)r->vector);
}

static void print_chain(struct image *im, u64 va)
{
	const struct arch_desc *a = im->arch;
	struct pt_place at;
	u32 root;

	if (!va_root(a, va, &root))
		return;
	for (u32 level = a->levels; level-- > 0;) {
		if (!arch_descend_tree(a, &im->mem, im->roots[root], va, level, &at))
			return;
		fprintf(stderr, "    level %d: %#018llx at %#llx\n", 3 - (int)level,
			(unsigned long long)*at.entry,
			(unsigned long long)((char *)at.entry - im->base));
		if (!pte_present(a, *at.entry) || entry_is_leaf(a, *at.entry, level))
			return;
	}
}

/* What is compared of a result: FAR only of a fault, PAR without memory attributes. */
static struct arm64_result seen(const struct op *op, struct arm64_result r)
{
	if (op->at)
		r.par &= r.par & 1 ? 0x7f : 0x000ffffffffff000ull;
	if (r.esr == ESR_NONE || r.esr == ESR_SVC)
		r.far = 0;
	else
		r.x0 = 0;
	if (op->kind == ACCESS_WRITE)
		r.x0 = 0;
	r.vector = 0;
	return r;
}

static u32 compare_probes(struct image *im, const struct arm64_result *got)
{
	u32 different = 0;

	for (u32 i = 0; i < PROBES; i++) {
		const struct arm64_probe *probe = &im->probes[i];
		struct arm64_result g = seen(&ops[probe->op], got[i]);
		struct arm64_result w = seen(&ops[probe->op], im->expected[i]);

		if (!memcmp(&g, &w, sizeof(g)) || ++different > 10)
			continue;
		fprintf(stderr, "  probe %u: %s, address %#llx, PAN %u\n", i, ops[probe->op].name,
			(unsigned long long)probe->va, probe->pan != 0);
		print_chain(im, probe->va);
		print_result("mmsim", &im->expected[i]);
		print_result("QEMU", &got[i]);
	}
	return different;
}

/* Tables with what the MMU set, data with what the probes stored. */
static u32 compare_memory(const struct image *im, const char *ram)
{
	u32 different = 0;

	for (u64 pa = TABLES_PA; pa < RAM_PA + RAM_BYTES; pa += 8) {
		u64 want = *(const u64 *)(im->base + pa), got = *(const u64 *)(ram + (pa - RAM_PA));

		if (want == got || ++different > 10)
			continue;
		fprintf(stderr, "  memory at %#llx: mmsim %#llx, QEMU %#llx\n",
			(unsigned long long)pa, (unsigned long long)want, (unsigned long long)got);
	}
	return different;
}

/* Fault status codes that the probes of a format met: what is not asked is not proved. */
static u64 met[ARRAY_SIZE(formats)]; /* bit n: fault status n */

static void note_faults(const struct image *im, u32 format)
{
	for (u32 i = 0; i < PROBES; i++) {
		const struct arm64_result *r = &im->expected[i];

		if (r->esr != ESR_NONE && r->esr != ESR_SVC)
			met[format] |= 1ull << (r->esr & 0x3f);
		else if (r->par & 1)
			met[format] |= 1ull << (r->par >> 1 & 0x3f);
	}
}

/* Each format must have met a translation fault of every level, and each kind of fault of the last;
 * the others depend on a seed's luck. */
static bool all_met(u32 format)
{
	const struct arch_desc *a = arch_find(formats[format]);
	u64 want = 1ull << 0x03 | 1ull << 0x04 | 1ull << 0x0b | 1ull << 0x0f;

	for (u32 level = 0; level < a->levels; level++)
		want |= level == 4 ? 1ull << 0x2b : 1ull << (0x04 + 3 - level);
	printf("%-14s fault status codes met: %#llx\n", a->name, (unsigned long long)met[format]);
	if ((met[format] & want) == want)
		return true;
	fprintf(stderr, "arm64_mmu: %s: fault status codes never met: %#llx\n", a->name,
		(unsigned long long)(want & ~met[format]));
	return false;
}

/* What the probes came to, so that a run that asks nothing shows. */
static u32 allowed_count(const struct image *im)
{
	u32 n = 0;

	for (u32 i = 0; i < PROBES; i++) {
		const struct arm64_result *r = &im->expected[i];

		n += (r->esr == ESR_NONE || r->esr == ESR_SVC) && !(r->par & 1);
	}
	return n;
}

/* ---- main -------------------------------------------------------------------------------------------- */

static char *map_ram(int fd, char *at)
{
	int flags = MAP_SHARED | (at ? MAP_FIXED : 0);
	char *ram = mmap(at, RAM_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (ram == MAP_FAILED) {
		perror("arm64_mmu: mmap");
		exit(1);
	}
	return ram;
}

static int temporary_ram(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/mmsim-arm64-XXXXXX", getenv("TMPDIR") ?: "/tmp");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, RAM_BYTES)) {
		perror("arm64_mmu: mkstemp");
		exit(1);
	}
	return fd;
}

/* The model's RAM where its physical address is the offset from a base. */
static void map_model_ram(struct image *im)
{
	im->base = mmap(NULL, RAM_PA + RAM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (im->base == MAP_FAILED ||
	    mmap(im->base + RAM_PA, RAM_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		perror("arm64_mmu: mmap");
		exit(1);
	}
}

/* 0: equal; 1: different; 77: no QEMU. */
static int run_config(const struct config *config, u32 image, u64 seed)
{
	struct image *im = calloc(1, sizeof(*im));
	char path[256], *ram;
	int fd = temporary_ram(path, sizeof(path)), status;
	u32 different;

	map_model_ram(im);
	build_image(im, config, seed);
	ram = map_ram(fd, NULL);
	memcpy(ram + (STUB_PA - RAM_PA), im->base + STUB_PA, RAM_PA + RAM_BYTES - STUB_PA);
	make_probes(im);
	fill_control(im);
	memcpy(ram + (CONTROL_PA - RAM_PA), at_pa(im, CONTROL_PA), TABLES_PA - CONTROL_PA);
	status = run_qemu(path);
	unlink(path);
	close(fd);
	if (status == 0) {
		different = compare_probes(im, (void *)(ram + (PROBES_PA - RAM_PA) + sizeof(im->probes)));
		different += compare_memory(im, ram);
		printf("%-14s control %#06llx: %u mappings (%u of groups), %u probes, %u translate, %u different\n",
		       im->arch->name, (unsigned long long)config->control, im->mapping_count, im->groups, PROBES,
		       allowed_count(im), different);
		note_faults(im, config->format);
		status = different != 0;
		if (status)
			fprintf(stderr, "arm64_mmu: to repeat the image alone: MMSIM_SEED=%#llx arm64_mmu %u\n",
				(unsigned long long)(seed - image), image);
	} else if (status != 77) {
		fprintf(stderr, "arm64_mmu: QEMU: exit status %d\n", status);
		status = 1;
	}
	munmap(ram, RAM_BYTES);
	munmap(im->base, RAM_PA + RAM_BYTES);
	free(im);
	return status;
}

#define BOTH (ARM64_CTL_HA | ARM64_CTL_HD)
#define CONFIGS_OF(format, ips)                                                                      \
	{format, ARM64_CTL_IPS(ips)}, {format, ARM64_CTL_IPS(ips) | BOTH},                             \
		{format, ARM64_CTL_IPS(ips) | ARM64_CTL_HA | ARM64_CTL_HPD0},                        \
		{format, ARM64_CTL_IPS(2) | ARM64_CTL_WXN},                                          \
		{format, ARM64_CTL_IPS(2) | BOTH | ARM64_CTL_WXN}
static const struct config configs[] = {
	CONFIGS_OF(0, 5), CONFIGS_OF(1, 5), CONFIGS_OF(2, 5),
	CONFIGS_OF(3, 6), CONFIGS_OF(4, 6), CONFIGS_OF(5, 6),
};

int main(int argc, char **argv)
{
	u64 seed = test_seed("arm64_mmu");
	int status = 0;

	if (argc > 1) {
		u32 image = (u32)strtoul(argv[1], NULL, 0) % ARRAY_SIZE(configs);

		return run_config(&configs[image], image, seed + image);
	}
	for (u32 i = 0; i < ARRAY_SIZE(configs) && status != 77; i++)
		status |= run_config(&configs[i], i, seed + i);
	for (u32 i = 0; i < ARRAY_SIZE(formats) && status == 0; i++)
		status |= !all_met(i);
	if (status == 77)
		fprintf(stderr, "arm64_mmu: skipped: qemu-system-aarch64 is not installed\n");
	return status;
}
