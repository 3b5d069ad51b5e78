/*
 * workloads/gc_heap.c - gc_heap: collectors flip the protection of a heap while mutators fault in it
 *
 * One operation is one collection. The heap is `regions` mappings of `region` bytes per task, with
 * `guard` bytes between them, so that they are VMAs of their own (guard=0: they merge into one). Each
 * task, for ever:
 *   flip      mprotect(PROT_READ) on each of its regions: from now on the first write is noticed;
 *   sweep     MADV_DONTNEED on `garbage` bytes of each;
 *   mutate    write `used` bytes of `regions` regions, a byte per page. The first write to a region
 *             that was flipped is a SIGSEGV; its handler notes it and makes the region writable
 *             again (barrier=page: the page alone, which splits the VMA). Then garbage is faulted in.
 * So a collection is 2 * regions mprotect, regions madvise, and regions * (1 + garbage / page) faults.
 * With heap=own a task writes its own regions: a thread with a collector of its own, as isolates of
 * script engines have. With heap=shared it writes regions drawn from everybody's, so that mutators
 * run into the flips of other tasks' collections: the numbers above then hold no more.
 *
 * Models       the write barrier by page protection of incremental and generational collectors.
 * Leaves out   marking and copying; delivery of the signal and the return from it, which cost nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "workloads/all.h"

static const char *const heap_choices[] = {"own", "shared", NULL};
static const char *const barrier_choices[] = {"region", "page", NULL};
enum { HEAP_OWN, HEAP_SHARED };
enum { BARRIER_REGION, BARRIER_PAGE };

static const struct param params[] = {
	{.key = "regions",
	 .type = PARAM_UINT,
	 .def = "8",
	 .min = 1,
	 .max = 4096,
	 .meaning = "regions of the heap per task"},
	{.key = "region",
	 .type = PARAM_BYTES,
	 .def = "256K",
	 .min = 4096,
	 .max = 1ull << 32,
	 .meaning = "bytes of a region"},
	{.key = "used",
	 .type = PARAM_BYTES,
	 .def = "256K",
	 .min = 4096,
	 .max = 1ull << 32,
	 .meaning = "bytes at the beginning of a region that are in use: written between collections"},
	{.key = "garbage",
	 .type = PARAM_BYTES,
	 .def = "32K",
	 .max = 1ull << 32,
	 .meaning = "bytes of these that a collection gives back, to be faulted in again; 0: flips only"},
	{.key = "guard",
	 .type = PARAM_BYTES,
	 .def = "128K",
	 .max = 1ull << 32,
	 .meaning = "unmapped bytes between regions; 0: regions of all tasks adjoin and merge"},
	{.key = "heap",
	 .type = PARAM_CHOICE,
	 .def = "own",
	 .choices = heap_choices,
	 .meaning = "what a task writes: own, its own regions; shared, anybody's"},
	{.key = "barrier",
	 .type = PARAM_CHOICE,
	 .def = "region",
	 .choices = barrier_choices,
	 .meaning = "what the first write to a flipped region makes writable: region, page"},
	PARAM_PROCESSES,
	{.key = NULL},
};

struct gc_heap {
	u64 region_bytes, used_bytes, garbage_bytes, page_bytes;
	u32 regions, total; /* per task; of all tasks */
	bool shared, barrier_page;
	u64 *base; /* [task * regions + i] */
};

static u64 in_pages(const struct bench *b, const char *key)
{
	return ALIGN_UP(bench_param(b, key), bench_page_bytes(b));
}

static int check(struct bench *b)
{
	u64 used = in_pages(b, "used"), garbage = in_pages(b, "garbage");

	if (used > in_pages(b, "region"))
		return bench_fail(b, "used=%llu does not fit into region=%llu",
				  (unsigned long long)used,
				  (unsigned long long)in_pages(b, "region"));
	if (garbage > used)
		return bench_fail(b, "garbage=%llu is more than used=%llu",
				  (unsigned long long)garbage, (unsigned long long)used);
	if (bench_param(b, "heap") == HEAP_SHARED && bench_param(b, "processes"))
		return bench_fail(b, "heap=shared: processes=1 share nothing");
	return 0;
}

static u64 memory(const struct bench *b)
{
	return bench_memory_for(b, bench_param(b, "regions") * in_pages(b, "used"));
}

static void teardown(struct bench *b)
{
	struct gc_heap *gc = b->priv;

	free(gc->base);
	free(gc);
	b->priv = NULL;
}

/* The first collection finds a heap in use, as all others do. The caller has loaded mm. */
static int fill(const struct gc_heap *gc, u64 region)
{
	for (u64 off = 0; off < gc->used_bytes; off += gc->page_bytes)
		if (user_write(region + off, off) != FAULT_OK)
			return -ENOMEM;
	return 0;
}

static int map_regions(struct bench *b, struct gc_heap *gc, struct mm *mm, u64 *base, u32 count)
{
	int err = bench_map_apart(b, mm, gc->region_bytes, in_pages(b, "guard"), base, count);

	for (u32 i = 0; i < count && !err; i++)
		err = fill(gc, base[i]);
	return err;
}

static int map_heaps(struct bench *b, struct gc_heap *gc)
{
	int err = 0;

	if (b->mm_count == 1)
		return map_regions(b, gc, b->mm, gc->base, gc->total);
	for (u32 i = 0; i < b->mm_count && !err; i++) {
		mmu_switch(b->mms[i]);
		err = map_regions(b, gc, b->mms[i], gc->base + (u64)i * gc->regions, gc->regions);
	}
	mmu_switch(b->mm);
	return err;
}

static int setup(struct bench *b)
{
	struct gc_heap *gc = calloc(1, sizeof(*gc));

	if (!gc)
		return -ENOMEM;
	b->priv = gc;
	gc->page_bytes = bench_page_bytes(b);
	gc->region_bytes = in_pages(b, "region");
	gc->used_bytes = in_pages(b, "used");
	gc->garbage_bytes = in_pages(b, "garbage");
	gc->regions = (u32)bench_param(b, "regions");
	gc->total = gc->regions * b->tasks;
	gc->shared = bench_param(b, "heap") == HEAP_SHARED;
	gc->barrier_page = bench_param(b, "barrier") == BARRIER_PAGE;
	gc->base = calloc(gc->total, sizeof(u64));
	return gc->base ? map_heaps(b, gc) : -ENOMEM;
}

static bool flip(struct bench_task *t, u64 va, u64 len, u32 prot)
{
	return bench_worked(t, "mprotect", mm_mprotect(t->mm, va, len, prot));
}

static bool collect(struct bench_task *t, const struct gc_heap *gc)
{
	const u64 *mine = gc->base + (u64)t->index * gc->regions;

	for (u32 i = 0; i < gc->regions; i++)
		if (!flip(t, mine[i], gc->region_bytes, PROT_READ))
			return false;
	for (u32 i = 0; i < gc->regions && gc->garbage_bytes; i++)
		if (!bench_worked(t, "madvise", mm_madvise(t->mm, mine[i], gc->garbage_bytes, MADV_DONTNEED)))
			return false;
	return true;
}

/* The write, and what the handler of its SIGSEGV does. A flip by another task may come in between. */
static bool write_barrier(struct bench_task *t, const struct gc_heap *gc, u64 region, u64 va)
{
	enum fault_result res;

	while ((res = user_write(va, va)) == FAULT_SIGSEGV_ACCERR) {
		u64 start = gc->barrier_page ? va : region;
		u64 len = gc->barrier_page ? gc->page_bytes : gc->region_bytes;

		if (!flip(t, start, len, PROT_READ | PROT_WRITE))
			return false;
	}
	return likely(res == FAULT_OK) || bench_access_failed(t, va, res);
}

static bool mutate(struct bench_task *t, const struct gc_heap *gc)
{
	for (u32 i = 0; i < gc->regions; i++) {
		u64 which = gc->shared ? bench_random(t) % gc->total :
					 (u64)t->index * gc->regions + i;
		u64 region = gc->base[which];

		for (u64 off = 0; off < gc->used_bytes; off += gc->page_bytes)
			if (!write_barrier(t, gc, region, region + off))
				return false;
	}
	return true;
}

static void run(struct bench_task *t)
{
	const struct gc_heap *gc = t->bench->priv;

	while (bench_running(t)) {
		bench_op_begin(t);
		if (!collect(t, gc) || !mutate(t, gc))
			break;
		bench_op_end(t);
	}
}

const struct workload workload_gc_heap = {
	.name = "gc_heap",
	.summary = "collectors flip their heaps' protection by mprotect, mutators fault them in again",
	.op = "collection",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 1,
	.sample = 1,
	.params = params,
	.check = check,
	.memory_bytes = memory,
	.setup = setup,
	.run_task = run,
	.teardown = teardown,
};
