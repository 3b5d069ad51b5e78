/*
 * tests/bench/bench_fault.c - what one write fault costs natively, everything included
 *
 * Measures     page_fault1 by one task: mmap 128 MiB, write one word to each page, munmap; per
 *              scheme the best and the median of ROUNDS rounds, ns per fault; and the parts: frames
 *              alone (allocate, put back), a TLB hit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mm/internal.h"

#define REGION_BYTES (128ull << 20)
#define PAGES (REGION_BYTES >> 12)
#define ROUNDS 41

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *what, double *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	printf("%-28s %8.1f %8.1f\n", what, ns[0], ns[ROUNDS / 2]);
}

static void bench_scheme(struct machine *m, const struct mm_locking *scheme)
{
	struct mm *mm = mm_create(m, &arch_x86_64, scheme);
	double all[ROUNDS], touch[ROUNDS];
	char name[64];

	mmu_switch(mm);
	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t0 = engine_now_ns(), t1, t2;
		s64 va = mm_mmap(mm, 0, REGION_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);

		for (u64 i = 0; i < PAGES; i++)
			if (user_write((u64)va + (i << 12), i) != FAULT_OK)
				exit(1);
		t1 = engine_now_ns();
		if (mm_munmap(mm, (u64)va, REGION_BYTES))
			exit(1);
		t2 = engine_now_ns();
		touch[r] = (double)(t1 - t0) / PAGES;
		all[r] = (double)(t2 - t0) / PAGES;
	}
	report(scheme->name, all);
	snprintf(name, sizeof(name), "  %s, without munmap", scheme->name);
	report(name, touch);
	mmu_switch(NULL);
	mm_put(mm);
}

static void bench_frames(const struct memory *mem)
{
	static struct page *pages[PAGES];
	double ns[ROUNDS];

	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t0 = engine_now_ns();

		for (u64 i = 0; i < PAGES; i++) {
			pages[i] = page_alloc(mem, ALLOC_ZERO);
			lru_add(mem, pages[i]);
		}
		page_put_batch(mem, pages, PAGES);
		ns[r] = (double)(engine_now_ns() - t0) / PAGES;
	}
	report("frame: alloc, LRU, put", ns);
}

static void bench_hit(struct machine *m)
{
	struct mm *mm = mm_create(m, &arch_x86_64, &mm_locking_mmap_lock);
	s64 va = mm_mmap(mm, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	double ns[ROUNDS];

	mmu_switch(mm);
	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t0 = engine_now_ns();

		for (u64 i = 0; i < PAGES; i++)
			if (user_write((u64)va, i) != FAULT_OK)
				exit(1);
		ns[r] = (double)(engine_now_ns() - t0) / PAGES;
	}
	report("TLB hit", ns);
	mmu_switch(NULL);
	mm_put(mm);
}

int main(void)
{
	struct machine_config cfg = {
		.tasks = 1, .cpus = 1, .memory_bytes = 1ull << 30, .content_words = 1, .seed = 1};
	struct machine *m = machine_create(&cfg);

	if (!m)
		return 1;
	machine_enter(m);
	if (mm_machine_init(m, &arch_x86_64, NULL))
		return 1;
	printf("%-28s %8s %8s  (ns per page)\n", "", "best", "median");
	for (u32 i = 0; mm_locking_all[i]; i++)
		if (mm_locking_all[i] != &mm_locking_lock_broken)
			bench_scheme(m, mm_locking_all[i]);
	bench_frames(memory_of(m));
	bench_hit(m);
	mm_machine_destroy(m);
	machine_leave();
	machine_destroy(m);
	return 0;
}
