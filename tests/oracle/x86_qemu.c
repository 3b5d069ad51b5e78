/*
 * tests/oracle/x86_qemu.c - x86-64: this project's walks against QEMU's processor and a real one
 *
 * Goal     Every translation, every exception with its error code and CR2, and every Accessed and
 *          Dirty bit is what the other implementation makes of the same tables.
 * Method   Tables of random mappings (all page sizes, rights of every level, keys, missing and
 *          reserved bits), made through arch.h, lie in a file that is QEMU's RAM. The guest
 *          (x86_stub.S) makes a list of probes, each a load, store or fetch in ring 0 or 3 under
 *          some CR0, CR4, EFER, EFLAGS.AC and PKRU, after a CR3 write. The model makes the same
 *          probes in the same order on a copy of the tables. Then the answers, the words that
 *          stores left, and the tables must be equal.
 * RAM      16 bytes at the address of a probe that is expected to translate say where they are:
 *          "mov $pfn, %eax; jmp *%rbx; nop", which a load and a fetch report, and a word for stores.
 * KVM      The same guest on the real processor, as its CPUID describes it.
 *          Where KVM is PVM (guests in ring 3 on shadow tables that KVM makes), the answers are the
 *          real processor's under tables that KVM's own walker filled. PVM keeps parts of the upper
 *          half from user mode and lets translations survive that were made with another
 *          EFER.NXE: there, probes are in the lower half, with NXE.
 * Allowed  What QEMU 7.2 makes differently from the manual: the error code of a reserved bit has no
 *          P; and what the manual leaves open: judge_accessed(). Nothing else.
 * Usage    x86_qemu [--arch NAME] [--accel tcg|kvm] [--probes N] [--mappings N]; MMSIM_SEED
 * Exit     0 equal, 1 different (seed, probe, chain and both answers are printed), 77 no QEMU, no
 *          KVM, or a processor without such tables.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mmsim/page.h>

#include "arch/x86_64/x86_64.h"
#include "tests/oracle/x86_stub.h"
#include "tests/unit/test_seed.h"

#define SKIP 77
#define RAM_BYTES (3ull << 30)
#define TABLES_PA 0x1000000ull /* up to TABLES_END: what the model has a copy of */
#define TABLES_END 0x8000000ull
#define DATA_4K_PA 0x8000000ull	 /* 4 KiB pages */
#define DATA_2M_PA 0x10000000ull /* 2 MiB pages; 1 GiB pages are at 1 and 2 GiB */
#define DATA_2M_COUNT ((0x40000000ull - DATA_2M_PA) >> 21)
#define ROOTS 4
#define PROBES_MAX ((STUB_RESULTS - STUB_PROBES) / PROBE_BYTES)
#define SAME_CONTROL 16 /* probes in a row: writing CR4 is slow under KVM */
#define RUN_SECONDS 120
#define FAILURES_SHOWN 10

enum { A_SETTLED = 1, A_REFUSED_1G = 2 };

struct entry_ref {
	u64 pa;
	u32 level;
	bool leaf;
};

struct mapping {
	u64 va, root;
	u32 level;
};

struct test {
	struct arch_desc a;
	bool kvm;
	bool pvm; /* KVM without the processor's virtualisation: see the head of the file */
	u64 features; /* control bits that the processor has */
	u64 rng, seed;
	char *ram;
	int ram_fd;
	struct memory model; /* the model's copy of the tables */
	char *pristine;	     /* the tables before the first probe */
	u64 next_table;
	u64 boot_root, root[ROOTS];
	struct entry_ref *entries;
	u32 entry_count;
	struct mapping *mappings;
	u32 mapping_count, probe_count;
	u8 *accessed;	  /* by entry: judge_accessed() */
	u64 *stored_at;	  /* by probe: pa of the word that it stored to, or 0 */
	u64 causes[MMU_CAUSES], translated;
};

static u64 rnd(struct test *t, u64 n)
{
	return test_random(&t->rng) % n;
}

/* True n times in a hundred. */
static bool chance(struct test *t, u32 n)
{
	return rnd(t, 100) < n;
}

static void die(const char *what)
{
	fprintf(stderr, "x86_qemu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *map_or_die(u64 bytes, int fd)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* ---- tables ----------------------------------------------------------------------------------- */

static pte_t *entry_at(struct test *t, u64 pa)
{
	return (pte_t *)(t->ram + pa);
}

static u64 table_new(struct test *t)
{
	u64 pa = t->next_table;

	t->next_table += 4096;
	if (t->next_table > TABLES_END) {
		fprintf(stderr, "x86_qemu: too many mappings for the space of tables\n");
		exit(2);
	}
	return pa;
}

/* pa of va's entry in the table at pa `table` of `level`. */
static u64 entry_pa_of(const struct test *t, u64 table, u64 va, u32 level)
{
	return table + 8 * level_index(&t->a, va, level);
}

/* The table below va's entry, made if it is not there. */
static u64 table_below(struct test *t, u64 table, u64 va, u32 level, bool random)
{
	pte_t *p = entry_at(t, entry_pa_of(t, table, va, level));

	if (!*p) {
		*p = table_make(&t->a, table_new(t) >> 12, level);
		if (random)
			t->entries[t->entry_count++] = (struct entry_ref){
				entry_pa_of(t, table, va, level), level, false};
	}
	return table_pa(&t->a, *p);
}

static u64 canonical(const struct test *t, u64 va)
{
	u32 unused = 64 - level_shift(&t->a, t->a.levels);

	if (t->pvm)
		va &= ~(1ull << (63 - unused));

	return (u64)((s64)(va << unused) >> unused);
}

/* Map a 2 MiB page of what the stub needs. */
static void map_fixed(struct test *t, u64 root, u64 va, u64 pa, u32 attrs)
{
	u64 table = root;

	for (u32 level = t->a.levels - 1u; level > 1; level--)
		table = table_below(t, table, va, level, false);
	*entry_at(t, entry_pa_of(t, table, va, 1)) =
		huge_make(&t->a, pa >> 12, attrs | PTE_EXEC | PTE_ACCESSED | PTE_DIRTY);
}

static void map_stub(struct test *t)
{
	u32 top = t->a.levels - 1u;
	u64 slot = entry_pa_of(t, 0, STUB_VA, top);

	t->boot_root = table_new(t);
	map_fixed(t, t->boot_root, 0, 0, PTE_WRITE);
	for (u64 pa = 0; pa < STUB_MAPPED; pa += 2 << 20)
		map_fixed(t, t->boot_root, STUB_VA + pa, pa, PTE_WRITE);
	map_fixed(t, t->boot_root, STUB_USER_VA, STUB_CODE, PTE_USER);
	for (u32 i = 0; i < ROOTS; i++) {
		t->root[i] = table_new(t);
		*entry_at(t, t->root[i] + slot) = *entry_at(t, t->boot_root + slot);
	}
}

/* Near an earlier mapping of the same root, so that tables are shared, or anywhere. */
static u64 random_va(struct test *t, u64 root)
{
	u64 va = test_random(&t->rng), keep;

	for (u32 tries = 0; tries < 4 && t->mapping_count && !chance(t, 10); tries++) {
		const struct mapping *m = &t->mappings[rnd(t, t->mapping_count)];

		if (m->root != root)
			continue;
		keep = level_shift(&t->a, 1 + (u32)rnd(t, t->a.levels - 1u));
		va = (m->va & ~((1ull << keep) - 1)) | (va & ((1ull << keep) - 1));
		break;
	}
	return canonical(t, va);
}

static u64 random_frame(struct test *t, u32 level)
{
	if (level == 0)
		return (DATA_4K_PA >> 12) + rnd(t, (DATA_2M_PA - DATA_4K_PA) >> 12);
	if (level == 1)
		return (DATA_2M_PA >> 12) + (rnd(t, DATA_2M_COUNT) << 9);
	return (1 + rnd(t, 2)) << 18; /* level 2 */
}

static bool map_random(struct test *t)
{
	u64 root = t->root[rnd(t, ROOTS)], va = random_va(t, root), table = root, pa;
	u32 level = chance(t, 60) ? 0 : chance(t, 60) ? 1 : 2, top = t->a.levels - 1u;
	bool no_such_size = level && !(t->a.huge_levels >> level & 1);
	u32 attrs = (u32)rnd(t, PTE_HIDDEN);
	pte_t e;

	if (level_index(&t->a, va, top) == level_index(&t->a, STUB_VA, top))
		return false;
	for (u32 l = top; l > level; l--) {
		e = *entry_at(t, entry_pa_of(t, table, va, l));
		if (e && entry_is_leaf(&t->a, e, l))
			return false;
		table = table_below(t, table, va, l, true);
	}
	pa = entry_pa_of(t, table, va, level);
	if (*entry_at(t, pa) || (no_such_size && !chance(t, 5)))
		return false;
	if (chance(t, 70))
		attrs |= PTE_USER;
	if (chance(t, 50))
		attrs |= PTE_WRITE;
	if (chance(t, 50))
		attrs |= PTE_EXEC;
	e = level ? huge_make(&t->a, random_frame(t, level), attrs)
		  : pte_make(&t->a, random_frame(t, 0), attrs);
	*entry_at(t, pa) = e;
	t->entries[t->entry_count++] = (struct entry_ref){pa, level, true};
	t->mappings[t->mapping_count++] = (struct mapping){va, root, level};
	return true;
}

/* One of the address bits that this processor does not have. */
static u64 reserved_bit(struct test *t)
{
	return t->a.phys_bits < 52 ? 1ull << (t->a.phys_bits + rnd(t, 52u - t->a.phys_bits)) : 0;
}

/* Bits that mean nothing to the MMU, or only to caches. */
static u64 noise(struct test *t)
{
	return test_random(&t->rng) & (0x07f0000000000e00ull | X86_PWT | X86_PCD);
}

/* What a correct kernel does and what it never does, on top of a plain entry. */
static void disturb(struct test *t, const struct entry_ref *r)
{
	pte_t *p = entry_at(t, r->pa), e = *p;

	if (chance(t, 50))
		e |= noise(t);
	if (r->leaf) {
		if (chance(t, 50))
			e = pte_set_key(&t->a, e, (u32)rnd(t, 16));
		if (chance(t, 25))
			e |= X86_G;
		if (chance(t, 25))
			e |= r->level ? X86_PAT_LARGE : X86_PAT;
		if (r->level && chance(t, 4))
			e |= 1ull << (13 + rnd(t, r->level == 1 ? 8 : 17));
		if (chance(t, 3))
			e = pte_hide(&t->a, e);
	} else {
		if (chance(t, 50))
			e &= ~X86_A;
		if (chance(t, 50))
			e |= test_random(&t->rng) & (X86_KEY_MASK | X86_G | X86_D);
		if (chance(t, 10))
			e &= ~X86_RW;
		if (chance(t, 10))
			e &= ~X86_US;
		if (chance(t, 8))
			e |= X86_NX;
		if (r->level >= 3 && chance(t, 3))
			e |= X86_PS;
		if (r->level >= 3 && !chance(t, 5))
			e &= ~X86_G; /* reserved there on some */
	}
	if (chance(t, r->leaf ? 4 : 1))
		e |= reserved_bit(t);
	if (chance(t, r->leaf ? 4 : 2))
		e &= ~X86_P;
	*p = e;
}

static void build_tables(struct test *t, u32 mappings)
{
	map_stub(t);
	for (u32 tries = 0; t->mapping_count < mappings && tries < 100 * mappings; tries++)
		(void)map_random(t);
	for (u32 i = 0; i < t->entry_count; i++)
		disturb(t, &t->entries[i]);
	memcpy(t->model.direct_map + TABLES_PA, t->ram + TABLES_PA, t->next_table - TABLES_PA);
	memcpy(t->pristine + TABLES_PA, t->ram + TABLES_PA, t->next_table - TABLES_PA);
}

/* ---- probes ------------------------------------------------------------------------------------- */

static struct stub_probe *probes(struct test *t)
{
	return (struct stub_probe *)(t->ram + STUB_PROBES);
}

static struct stub_result *results(struct test *t)
{
	return (struct stub_result *)(t->ram + STUB_RESULTS);
}

/* Canonical, aligned to a probe's 16 bytes; mostly inside a mapping. */
static void random_target(struct test *t, struct stub_probe *p)
{
	const struct mapping *m = &t->mappings[rnd(t, t->mapping_count)];
	u64 page = level_bytes(&t->a, m->level), width = level_shift(&t->a, t->a.levels);

	p->cr3 = m->root;
	p->va = (m->va & ~(page - 1)) + (test_random(&t->rng) & (page - 1));
	if (chance(t, 5))
		p->va ^= 1ull << (12 + rnd(t, width - 12)); /* a neighbour at some level */
	if (chance(t, 2))
		p->va = test_random(&t->rng);
	p->va = canonical(t, p->va) & ~15ull;
	if (chance(t, 3))
		p->va ^= 1ull << (width - 1 + rnd(t, 65 - width)); /* not canonical (bit by bit) */
	if (level_index(&t->a, p->va, t->a.levels - 1u) ==
	    level_index(&t->a, STUB_VA, t->a.levels - 1u))
		p->va = canonical(t, m->va & ~15ull);
}

static u32 random_pkru(struct test *t)
{
	u32 pkru = (u32)test_random(&t->rng);

	return chance(t, 60) ? pkru & (u32)test_random(&t->rng) : pkru;
}

static void set_control(const struct test *t, struct stub_probe *p, u64 control, u32 pkru)
{
	p->cr0 = 0x80000011 | (control & X86_CTL_WP ? 1 << 16 : 0);
	p->cr4 = 0x20 | (t->a.levels == 5 ? 1 << 12 : 0) | (control & X86_CTL_SMEP ? 1 << 20 : 0) |
		 (control & X86_CTL_SMAP ? 1 << 21 : 0) | (control & X86_CTL_PKE ? 1 << 22 : 0);
	p->efer = 0x500 | (control & X86_CTL_NXE ? 0x800 : 0);
	p->rflags = 2 | (control & X86_CTL_AC ? 1 << 18 : 0);
	p->pkru = pkru;
}

/* The model's registers for a probe. */
static struct mmu_regs regs_of(const struct stub_probe *p)
{
	return (struct mmu_regs){
		.root = {p->cr3},
		.keys = p->pkru,
		.control = (p->cr0 >> 16 & 1 ? X86_CTL_WP : 0) |
			   (p->cr4 >> 20 & 1 ? X86_CTL_SMEP : 0) |
			   (p->cr4 >> 21 & 1 ? X86_CTL_SMAP : 0) |
			   (p->cr4 >> 22 & 1 ? X86_CTL_PKE : 0) |
			   (p->efer & 0x800 ? X86_CTL_NXE : 0) |
			   (p->rflags >> 18 & 1 ? X86_CTL_AC : 0),
	};
}

static void make_probes(struct test *t)
{
	u64 control = 0;

	for (u32 i = 0; i < t->probe_count; i++) {
		struct stub_probe *p = &probes(t)[i];

		if (i % SAME_CONTROL == 0)
			control = test_random(&t->rng) & t->features;
		if (t->pvm)
			control |= X86_CTL_NXE;
		memset(p, 0, sizeof(*p));
		random_target(t, p);
		set_control(t, p, control, random_pkru(t));
		p->kind = (u8)rnd(t, ACCESS_KINDS);
		if (p->kind == ACCESS_WRITE)
			p->va |= 8;
		p->user = (u8)rnd(t, 2);
		p->value = 0x5700000000000000ull | i;
	}
}

/* What is at the 16 bytes of pa: see the head of the file. */
static u64 unit_of(u64 pa)
{
	return 0x90e3ff0000000000ull | (pa >> 12 & 0xffffffff) << 8 | 0xb8;
}

struct path {
	struct walk_trace trace;
	u32 count;
	struct walk_step steps[ARCH_LEVELS_MAX];
};

static void note_step(struct walk_trace *trace, const struct walk_step *step)
{
	struct path *path = container_of(trace, struct path, trace);

	path->steps[path->count++] = *step;
}

/*
 * Who must agree with the model about Accessed: for an access that is made, everybody. For one that
 * is refused the manual leaves it open: QEMU sets it like the model in entries that point to a table,
 * and before all checks in a 1 GiB leaf; KVM's own walker does not set it; a real processor may, and
 * where it speculates too.
 */
static void judge_accessed(struct test *t, const struct path *path, bool ok)
{
	for (u32 i = 0; i < path->count; i++) {
		u8 *judged = &t->accessed[(path->steps[i].pa - TABLES_PA) / 8];

		if (ok)
			*judged |= A_SETTLED;
		else if (path->steps[i].leaf && path->steps[i].level == 2)
			*judged |= A_REFUSED_1G;
	}
}

static bool accessed_is_free(const struct test *t, u64 pa)
{
	u8 judged = t->accessed[(pa - TABLES_PA) / 8];

	return !(judged & A_SETTLED) && (t->kvm || (judged & A_REFUSED_1G));
}

/* The model makes the probes. What translates gets the code that says so. */
static void expect(struct test *t, struct stub_result *want)
{
	for (u32 i = 0; i < t->probe_count; i++, want++) {
		const struct stub_probe *p = &probes(t)[i];
		const struct mmu_regs regs = regs_of(p);
		struct path path = {.trace = {.step = note_step}};
		struct mmu_walk w;
		bool ok;
		u64 pa;

		*want = (struct stub_result){.vector = STUB_DONE, .cr2 = STUB_CR2};
		ok = t->a.ops->walk_traced(&t->a, &t->model, &regs, p->va, p->kind, p->user,
					   &path.trace, &w);
		judge_accessed(t, &path, ok);
		if (!ok) {
			struct syndrome s =
				t->a.ops->raise(&t->a, &regs, p->va, p->kind, p->user, &w);

			t->causes[w.cause]++;
			want->vector = s.vector;
			want->error = s.code;
			if (s.vector == X86_VECTOR_PF)
				want->cr2 = s.va;
			continue;
		}
		t->translated++;
		pa = w.pfn << 12 | (p->va & 0xfff);
		*(u64 *)(t->ram + (pa & ~15ull)) = unit_of(pa);
		if (p->kind == ACCESS_WRITE)
			t->stored_at[i] = pa;
		else
			want->value = p->kind == ACCESS_READ ? unit_of(pa) : w.pfn & 0xffffffff;
	}
}

/* ---- the other implementation ---------------------------------------------------------------------- */

static void load_guest(struct test *t, u32 probe_count)
{
	u64 *config = (u64 *)(t->ram + STUB_CONFIG);
	FILE *f = fopen(X86_STUB_PATH, "rb");

	if (!f || fread(t->ram + STUB_CODE, 1, STUB_ROM_BYTES, f) != STUB_ROM_BYTES)
		die(X86_STUB_PATH);
	fclose(f);
	config[CONFIG_CR3 / 8] = t->boot_root;
	config[CONFIG_CR4 / 8] = 0x20 | (t->a.levels == 5 ? 1 << 12 : 0);
	config[CONFIG_COUNT / 8] = probe_count;
}

static int exec_qemu(const struct test *t)
{
	char backend[160], *cpu = t->kvm ? "host,host-phys-bits=on,arch-capabilities=off" : "max";

	/* By the descriptor, which it inherits: the file has no name any more. */
	snprintf(backend, sizeof(backend),
		 "memory-backend-file,id=ram,size=3072M,mem-path=/proc/self/fd/%d,share=on",
		 t->ram_fd);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-machine", "pc,memory-backend=ram",
	       "-accel", t->kvm ? "kvm" : "tcg", "-cpu", cpu, "-m", "3072M", "-object", backend,
	       "-bios", X86_STUB_PATH, "-nodefaults", "-display", "none", "-no-reboot", "-device",
	       "isa-debug-exit,iobase=0xf4,iosize=4", NULL);
	_exit(127);
}

static pid_t qemu_pid;

static void too_long(int sig)
{
	(void)sig;
	kill(qemu_pid, SIGKILL);
}

/* False: it did not run to the end. */
static bool run_guest(struct test *t)
{
	int status = 0;

	fflush(stdout);
	qemu_pid = fork();
	if (qemu_pid < 0)
		die("fork");
	if (!qemu_pid)
		exec_qemu(t);
	signal(SIGALRM, too_long);
	alarm(RUN_SECONDS);
	while (waitpid(qemu_pid, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		printf("no qemu-system-x86_64\n");
		exit(SKIP);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == (STUB_EXIT_OK << 1 | 1);
}

/* ---- verdict ------------------------------------------------------------------------------------- */

static void show_step(struct walk_trace *trace, const struct walk_step *s)
{
	(void)trace;
	printf("    level %u, %#10llx: %016llx%s\n", s->level, (unsigned long long)s->pa,
	       (unsigned long long)s->entry, s->leaf ? " leaf" : "");
}

static void show_answer(const char *who, const struct stub_result *r)
{
	printf("  %s: vector %#llx error %#llx cr2 %#llx value %#llx\n", who,
	       (unsigned long long)r->vector, (unsigned long long)r->error,
	       (unsigned long long)r->cr2, (unsigned long long)r->value);
}

static void show_probe(struct test *t, u32 i, const struct stub_result *want)
{
	static const char *const kinds[] = {"load", "store", "fetch"};
	const struct stub_probe *p = &probes(t)[i];
	const struct mmu_regs regs = regs_of(p);
	struct memory mem = t->model;
	struct walk_trace trace = {.step = show_step};
	struct mmu_walk w;

	printf("probe %u: %s at %#llx, ring %d, pkru %#x, control:", i, kinds[p->kind],
	       (unsigned long long)p->va, p->user ? 3 : 0, p->pkru);
	for (const struct control_bit *c = t->a.control_bits; c->name; c++)
		if (regs.control & c->bit)
			printf(" %s", c->name);
	printf("\n  entries before the first probe:\n");
	mem.direct_map = t->pristine;
	(void)t->a.ops->walk_traced(&t->a, &mem, &regs, p->va, p->kind, p->user, &trace, &w);
	show_answer("model", want);
	show_answer(t->kvm ? "kvm  " : "qemu ", &results(t)[i]);
}

static u32 compare_answers(struct test *t, const struct stub_result *want)
{
	u32 failures = 0;

	for (u32 i = 0; i < t->probe_count; i++) {
		struct stub_result w = want[i];

		/* QEMU reports a reserved bit without P, against the manual (and real processors). */
		if (!t->kvm && (w.error & X86_PF_RSVD))
			w.error &= ~(u64)X86_PF_P;
		if (memcmp(&w, &results(t)[i], sizeof(w)) && failures++ < FAILURES_SHOWN)
			show_probe(t, i, &want[i]);
	}
	return failures;
}

/* Each stored word is what its last store left. */
static u32 compare_stores(struct test *t)
{
	u32 failures = 0;

	for (u32 i = 0; i < t->probe_count; i++) {
		u64 found = t->stored_at[i] ? *(u64 *)(t->ram + t->stored_at[i]) : 0;
		u64 last = found & 0xffffff;

		/* i's own, or a later one's at the same place. */
		if (t->stored_at[i] && (found >> 56 != 0x57 || last < i || last >= t->probe_count ||
					t->stored_at[last] != t->stored_at[i])) {
			printf("probe %u stored at %#llx: found %#llx\n", i,
			       (unsigned long long)t->stored_at[i], (unsigned long long)found);
			failures++;
		}
	}
	return failures;
}

static u32 compare_tables(struct test *t)
{
	u32 failures = 0, changed = 0;

	for (u64 pa = TABLES_PA; pa < t->next_table; pa += 8) {
		u64 was = *(u64 *)(t->pristine + pa), model = *(u64 *)(t->model.direct_map + pa);
		u64 other = *(u64 *)(t->ram + pa);
		u64 free = accessed_is_free(t, pa) ? X86_A : 0;

		changed += model != was;
		if ((model ^ other) & ~free) {
			if (failures++ < FAILURES_SHOWN)
				printf("table entry at %#llx: before %016llx, model %016llx, other "
				       "%016llx\n",
				       (unsigned long long)pa, (unsigned long long)was,
				       (unsigned long long)model, (unsigned long long)other);
		}
	}
	printf("%u entries changed (Accessed, Dirty)\n", changed);
	return failures;
}

/* A test in which little translates, or some cause never comes up, shows nothing. */
static bool broad_enough(const struct test *t)
{
	bool broad = t->translated > t->probe_count / 8 && t->causes[MMU_ABSENT] &&
		     t->causes[MMU_DENIED] && t->causes[MMU_BAD_ADDRESS] &&
		     (t->causes[MMU_RESERVED] || t->probe_count < 1000) &&
		     (t->causes[MMU_KEY] || !(t->features & X86_CTL_PKE));

	printf("%u mappings, %u probes: %llu translate; %llu absent, %llu denied, %llu reserved, "
	       "%llu key, %llu not canonical\n",
	       t->mapping_count, t->probe_count, (unsigned long long)t->translated,
	       (unsigned long long)t->causes[MMU_ABSENT],
	       (unsigned long long)t->causes[MMU_DENIED],
	       (unsigned long long)t->causes[MMU_RESERVED], (unsigned long long)t->causes[MMU_KEY],
	       (unsigned long long)t->causes[MMU_BAD_ADDRESS]);
	return broad;
}

/* ---- set-up ------------------------------------------------------------------------------------ */

static void create_ram(struct test *t)
{
	char name[64];

	/* In memory if possible: a file system on a disk takes its time over sparse files. */
	snprintf(name, sizeof(name), "%s/mmsim-x86-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	t->ram_fd = mkstemp(name);
	if (t->ram_fd < 0 || unlink(name) || ftruncate(t->ram_fd, (off_t)RAM_BYTES))
		die(name);
	t->ram = map_or_die(RAM_BYTES, t->ram_fd);
	t->model = (struct memory){.direct_map = map_or_die(TABLES_END, -1), .page_shift = 12};
	t->pristine = map_or_die(TABLES_END, -1);
	t->next_table = TABLES_PA;
}

/* Let the guest run with no probes, and with 4-level tables, which every processor has. */
static void ask_processor(struct test *t)
{
	const struct x86_part plain = {.phys_bits = 36, .gigabyte_pages = true};

	x86_describe(&t->a, &arch_x86_64, &plain);
	map_stub(t);
	load_guest(t, 0);
	if (!run_guest(t)) {
		printf("the guest did not start\n");
		exit(t->kvm ? SKIP : 1);
	}
	memset(t->ram + TABLES_PA, 0, t->next_table - TABLES_PA);
	t->next_table = TABLES_PA;
}

/* Describe the processor that is asked, as its CPUID says. */
static void learn_processor(struct test *t, const struct arch_desc *base)
{
	const u64 *config = (const u64 *)(t->ram + STUB_CONFIG);
	u64 ebx, ecx;
	struct x86_part part;

	ask_processor(t);
	ebx = config[CONFIG_FEATURES_B / 8];
	ecx = config[CONFIG_FEATURES_C / 8];
	part = (struct x86_part){
		.phys_bits = (u8)config[CONFIG_ADDRESSES / 8],
		.gigabyte_pages = config[CONFIG_EXTENDED_D / 8] >> 26 & 1,
		/* "Auth", but QEMU's own checks are Intel's, whatever its processor is called. */
		.amd = t->kvm && config[CONFIG_VENDOR / 8] == 0x68747541,
	};
	if (base->levels == 5 && !(ecx >> 16 & 1)) {
		printf("this processor has no 5-level tables\n");
		exit(SKIP);
	}
	t->features = X86_CTL_WP | X86_CTL_NXE | (ebx >> 7 & 1 ? X86_CTL_SMEP : 0) |
		      (ebx >> 20 & 1 ? X86_CTL_SMAP | X86_CTL_AC : 0) |
		      (ecx >> 3 & 1 ? X86_CTL_PKE : 0);
	printf("%s: %u address bits,%s%s%s%s%s\n", t->pvm ? "kvm (pvm)" : t->kvm ? "kvm" : "tcg", part.phys_bits,
	       part.amd ? " AMD's format," : "", part.gigabyte_pages ? "" : " no 1 GiB pages,",
	       t->features & X86_CTL_SMEP ? " SMEP" : "", t->features & X86_CTL_SMAP ? " SMAP" : "",
	       t->features & X86_CTL_PKE ? " PKE" : "");
	x86_describe(&t->a, base, &part);
}

static bool run(struct test *t, u32 mappings)
{
	struct stub_result *want = calloc(t->probe_count, sizeof(*want));
	u32 failures;

	t->seed = t->rng = test_seed("x86_qemu");
	t->entries = calloc((u64)mappings * (ARCH_LEVELS_MAX + 1), sizeof(*t->entries));
	t->mappings = calloc(mappings, sizeof(*t->mappings));
	t->stored_at = calloc(t->probe_count, sizeof(*t->stored_at));
	t->accessed = calloc((TABLES_END - TABLES_PA) / 8, 1);
	if (!want || !t->entries || !t->mappings || !t->stored_at || !t->accessed)
		die("memory");
	build_tables(t, mappings);
	make_probes(t);
	expect(t, want);
	load_guest(t, t->probe_count);
	if (!run_guest(t)) {
		printf("the guest did not run to its end\n");
		return false;
	}
	failures = compare_answers(t, want) + compare_stores(t) + compare_tables(t);
	printf("%s by %s: %u differences\n", t->a.name, t->kvm ? "kvm" : "tcg", failures);
	free(want);
	return broad_enough(t) && !failures;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"arch", 1, NULL, 'a'},	    {"accel", 1, NULL, 'x'}, {"probes", 1, NULL, 'p'},
		{"mappings", 1, NULL, 'm'}, {NULL, 0, NULL, 0},
	};
	const struct arch_desc *base = &arch_x86_64;
	struct test t = {.probe_count = 24000};
	u32 mappings = 2000;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a')
			base = arch_find(optarg);
		else if (c == 'x')
			t.kvm = !strcmp(optarg, "kvm");
		else if (c == 'p')
			t.probe_count = (u32)atoi(optarg);
		else if (c == 'm')
			mappings = (u32)atoi(optarg);
		else
			return 2;
	}
	if ((base != &arch_x86_64 && base != &arch_x86_64_la57) || t.probe_count == 0 ||
	    t.probe_count > PROBES_MAX || mappings == 0) {
		fprintf(stderr, "x86_qemu: an x86 arch, 1..%u probes, 1.. mappings\n",
			(u32)PROBES_MAX);
		return 2;
	}
	t.pvm = t.kvm && !access("/sys/module/kvm_pvm", F_OK);
	if (t.kvm && access("/dev/kvm", R_OK | W_OK)) {
		printf("no /dev/kvm to use\n");
		return SKIP;
	}
	create_ram(&t);
	learn_processor(&t, base);
	ok = run(&t, mappings);
	free(t.entries);
	free(t.mappings);
	free(t.stored_at);
	free(t.accessed);
	return ok ? 0 : 1;
}
