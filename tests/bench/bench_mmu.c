/*
 * tests/bench/bench_mmu.c - what the modelled MMU costs the host, per operation
 *
 * One CPU, steady state, ns per operation; each figure is the best of several rounds. Targets are
 * those of a run on a current x86: hit 5 ns, walk 25 ns; a fault with its share of munmap 150 ns.
 */
#include <stdio.h>
#include <stdlib.h>

#include <mmsim/mmsim.h>

#define ROUNDS 9
#define PAGES 16384ull /* 64 MiB */
#define BASE 0x100000000ull

struct bench {
	struct machine *m;
	struct mm *mm;
};

static double best_ns(struct bench *b, void (*fn)(struct bench *b), double ops)
{
	double best = 1e30;

	for (u32 i = 0; i < ROUNDS; i++) {
		u64 start = engine_now_ns(), ns;

		fn(b);
		ns = engine_now_ns() - start;
		if ((double)ns / ops < best)
			best = (double)ns / ops;
	}
	return best;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_mmu: %s\n", what);
	exit(1);
}

static void map(struct bench *b)
{
	must(mm_mmap(b->mm, BASE, PAGES * 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) == (s64)BASE,
	     "mmap failed");
}

static void touch(u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		must(user_write(BASE + i * 4096, i) == FAULT_OK, "touch failed");
}

/* 64 pages over and over. */
static void hits(struct bench *b)
{
	u64 value;

	for (u32 i = 0; i < 1000000; i++)
		if (user_read(BASE + (i % 64) * 4096, &value) != FAULT_OK)
			abort();
}

static void write_hits(struct bench *b)
{
	for (u32 i = 0; i < 1000000; i++)
		if (user_write(BASE + (i % 64) * 4096, i) != FAULT_OK)
			abort();
}

/* Four pages that compete for one TLB entry: every access walks, all entries are in the L1. */
static void warm_walks(struct bench *b)
{
	u64 value;

	for (u32 i = 0; i < 1000000; i++)
		if (user_read(BASE + (i % 4) * 1024 * 4096, &value) != FAULT_OK)
			abort();
}

/* All 16384 pages in a row: every access walks, leaf entries and contents stream in. */
static void streaming_walks(struct bench *b)
{
	u64 value;

	for (u64 i = 0; i < PAGES; i++)
		if (user_read(BASE + i * 4096, &value) != FAULT_OK)
			abort();
}

static void flush_page(struct bench *b)
{
	for (u32 i = 0; i < 100000; i++)
		tlb_flush_page(b->mm, BASE + (i % 64) * 4096);
}

static void flush_mm(struct bench *b)
{
	for (u32 i = 0; i < 100000; i++)
		tlb_flush_mm(b->mm);
}

/* page_fault1: touch it all, unmap it all. */
static void fault_and_unmap(struct bench *b)
{
	touch(PAGES);
	must(mm_munmap(b->mm, BASE, PAGES * 4096) == 0, "munmap failed");
	map(b);
}

static void unmap_only(struct bench *b, double *touch_ns, double *unmap_ns)
{
	*touch_ns = *unmap_ns = 1e30;
	for (u32 i = 0; i < ROUNDS; i++) {
		u64 t0 = engine_now_ns(), t1, t2;

		touch(PAGES);
		t1 = engine_now_ns();
		must(mm_munmap(b->mm, BASE, PAGES * 4096) == 0, "munmap failed");
		t2 = engine_now_ns();
		map(b);
		*touch_ns = min(*touch_ns, (double)(t1 - t0) / PAGES);
		*unmap_ns = min(*unmap_ns, (double)(t2 - t1) / PAGES);
	}
}

static void protect(struct bench *b)
{
	must(mm_mprotect(b->mm, BASE, PAGES * 4096, PROT_READ) == 0, "mprotect failed");
	must(mm_mprotect(b->mm, BASE, PAGES * 4096, PROT_READ | PROT_WRITE) == 0,
	     "mprotect failed");
}

static void bench_scheme(struct machine *m, const struct mm_locking *scheme)
{
	struct bench b = {.m = m, .mm = mm_create(m, &arch_x86_64, scheme)};
	double touch_ns, unmap_ns;

	must(b.mm != NULL, "out of memory");
	mmu_switch(b.mm);
	map(&b);
	printf("%s\n", scheme->name);
	printf("  %-44s %7.1f ns\n", "page_fault1: touch, munmap, mmap; per page",
	       best_ns(&b, fault_and_unmap, PAGES));
	unmap_only(&b, &touch_ns, &unmap_ns);
	printf("  %-44s %7.1f ns\n", "  of it: first touch", touch_ns);
	printf("  %-44s %7.1f ns\n", "  of it: munmap", unmap_ns);
	touch(PAGES);
	printf("  %-44s %7.1f ns\n", "TLB hit, read", best_ns(&b, hits, 1e6));
	printf("  %-44s %7.1f ns\n", "TLB hit, write", best_ns(&b, write_hits, 1e6));
	printf("  %-44s %7.1f ns\n", "TLB miss, 4-level walk, warm", best_ns(&b, warm_walks, 1e6));
	printf("  %-44s %7.1f ns\n", "TLB miss, 64 MiB in a row",
	       best_ns(&b, streaming_walks, PAGES));
	printf("  %-44s %7.1f ns\n", "flush of a page, alone", best_ns(&b, flush_page, 1e5));
	printf("  %-44s %7.1f ns\n", "flush of everything, alone", best_ns(&b, flush_mm, 1e5));
	printf("  %-44s %7.1f ns\n", "mprotect there and back, per page",
	       best_ns(&b, protect, PAGES));
	mm_put(b.mm);
}

int main(void)
{
	const struct machine_config cfg = {
		.tasks = 1,
		.cpus = 1,
		.memory_bytes = 512ull << 20,
		.content_words = 1,
		.seed = 1,
	};
	struct machine *m = machine_create(&cfg);

	must(m != NULL, "no machine");
	must(mm_machine_init(m, &arch_x86_64, NULL) == 0, "no memory");
	machine_enter(m);
	bench_scheme(m, &mm_locking_mmap_lock);
	bench_scheme(m, &mm_locking_vma_refcnt);
	machine_leave();
	mm_machine_destroy(m);
	machine_destroy(m);
	return 0;
}
