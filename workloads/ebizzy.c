/*
 * workloads/ebizzy.c - ebizzy: allocate, touch or copy and search, free, on 2 threads per CPU
 *
 * One operation is one record. Set-up: `chunks` chunks of `chunk_size` bytes, filled, kept from
 * merging with each other (-p: every other one read-only; -P: holes between them). Loop: allocate
 * copy_size bytes; write one byte per page (-T), or copy a chunk into it and search it; free.
 * The published program's generator of random numbers is stuck at 0 in every thread, so that -R
 * always copies one record of 8 bytes: `ebizzy -mTRp`, the habit of these benchmarks and the
 * default here, is mmap of one page, one write fault, munmap. rng=fixed is a generator that works.
 *
 * Models       alloc=mmap (-m): every allocation is a mapping. alloc=arena (-M): a heap of the
 *              thread as the C library keeps it, grown by mprotect, its top given back by
 *              MADV_DONTNEED from 128 KiB on. alloc=malloc (neither): the first allocation is a
 *              mapping; freeing it moves the C library's threshold, and from then on the heap is
 *              reused untrimmed.
 * Leaves out   The data: one access per page stands for a page of memcpy; -z, -l.
 */
#include <stdlib.h>
#include <string.h>

#include "workloads/all.h"

#define RECORD_BYTES 8
#define TRIM_BYTES (128 * 1024ull)
#define HOLE_BYTES 4096

static const char *const alloc_choices[] = {"mmap", "arena", "malloc", NULL};
static const char *const merge_choices[] = {"mprotect", "holes", "allow", NULL};
static const char *const rng_choices[] = {"published", "fixed", NULL};
enum { ALLOC_MMAP, ALLOC_ARENA, ALLOC_MALLOC };
enum { MERGE_MPROTECT, MERGE_HOLES };
enum { RNG_PUBLISHED };

static const struct param params[] = {
	{.key = "alloc",
	 .type = PARAM_CHOICE,
	 .def = "mmap",
	 .choices = alloc_choices,
	 .meaning = "ebizzy -m: mmap; -M: arena; neither: malloc"},
	{.key = "touch",
	 .type = PARAM_BOOL,
	 .def = "1",
	 .meaning = "ebizzy -T: write one byte per page; 0: copy a chunk and search it"},
	{.key = "random_size",
	 .type = PARAM_BOOL,
	 .def = "1",
	 .meaning = "ebizzy -R: a random number of records; 0: always a whole chunk"},
	{.key = "chunk_merge",
	 .type = PARAM_CHOICE,
	 .def = "mprotect",
	 .choices = merge_choices,
	 .meaning = "how chunks are kept from merging: ebizzy -p: mprotect; -P: holes"},
	{.key = "rng",
	 .type = PARAM_CHOICE,
	 .def = "published",
	 .choices = rng_choices,
	 .meaning = "published: the program's generator, always 0; fixed: one that works"},
	{.key = "chunks",
	 .type = PARAM_UINT,
	 .def = "10",
	 .min = 1,
	 .max = 65536,
	 .meaning = "ebizzy -n: how many chunks"},
	{.key = "chunk_size",
	 .type = PARAM_BYTES,
	 .def = "512K",
	 .min = RECORD_BYTES,
	 .max = 1ull << 30,
	 .meaning = "ebizzy -s: bytes per chunk"},
	PARAM_PROCESSES,
	{.key = NULL},
};

struct ebizzy {
	u64 chunk_bytes, page_bytes;
	u32 chunks, alloc;
	bool touch, random_size, works;
	u64 *chunk; /* [mm][chunk] */
};

/* What one thread's heap looks like. */
struct arena {
	u64 base;    /* reserved, as large as a chunk */
	u64 usable;  /* bytes that mprotect has made writable */
	bool mapped; /* malloc: the first allocation has been a mapping */
};

static u64 memory(const struct bench *b)
{
	u64 chunk = bench_param(b, "chunk_size"), chunks = chunk * bench_param(b, "chunks");

	return bench_memory_for(b, 2 * chunk) +
	       2 * chunks * (bench_param(b, "processes") ? b->tasks : 1);
}

/* ---- set-up -------------------------------------------------------------------------------- */

static int fill(struct ebizzy *e, u64 va)
{
	for (u64 off = 0; off < e->chunk_bytes; off += e->page_bytes)
		if (user_write(va + off, off) != FAULT_OK)
			return -ENOMEM;
	return 0;
}

/* Chunks of one address space. The caller has loaded it. */
static int make_chunks(struct bench *b, struct ebizzy *e, struct mm *mm, u64 *chunk)
{
	u64 merge = bench_param(b, "chunk_merge");
	u64 hole = merge == MERGE_HOLES ? ALIGN_UP((u64)HOLE_BYTES, e->page_bytes) : 0;
	int err = 0;

	for (u32 i = 0; i < e->chunks && !err; i++) {
		s64 va = mm_mmap(mm, 0, e->chunk_bytes + hole, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);

		if (va < 0)
			return (int)va;
		chunk[i] = (u64)va + hole;
		err = fill(e, chunk[i]);
		if (!err && hole)
			err = mm_munmap(mm, (u64)va, hole);
		if (!err && merge == MERGE_MPROTECT && i % 2)
			err = mm_mprotect(mm, chunk[i], e->chunk_bytes, PROT_READ);
	}
	return err;
}

static void teardown(struct bench *b)
{
	struct ebizzy *e = b->priv;

	free(e->chunk);
	free(e);
	b->priv = NULL;
}

static int setup(struct bench *b)
{
	struct ebizzy *e = calloc(1, sizeof(*e));
	int err = 0;

	if (!e)
		return -ENOMEM;
	b->priv = e;
	e->page_bytes = bench_page_bytes(b);
	e->chunk_bytes = ALIGN_UP(bench_param(b, "chunk_size"), e->page_bytes);
	e->chunks = (u32)bench_param(b, "chunks");
	e->alloc = (u32)bench_param(b, "alloc");
	e->touch = bench_param(b, "touch") != 0;
	e->random_size = bench_param(b, "random_size") != 0;
	e->works = bench_param(b, "rng") != RNG_PUBLISHED;
	e->chunk = calloc((size_t)e->chunks * b->mm_count, sizeof(u64));
	if (!e->chunk)
		return -ENOMEM;
	for (u32 i = 0; i < b->mm_count && !err; i++) {
		mmu_switch(b->mms[i]);
		err = make_chunks(b, e, b->mms[i], &e->chunk[(size_t)i * e->chunks]);
	}
	return err;
}

/* ---- allocate and free --------------------------------------------------------------------- */

static bool arena_grow(struct bench_task *t, struct arena *a, u64 bytes, u64 reserve)
{
	if (!a->base)
		a->base = bench_mmap(t, reserve, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, NULL, 0);
	if (!a->base)
		return false;
	if (bytes <= a->usable)
		return true;
	if (!bench_worked(t, "mprotect", mm_mprotect(t->mm, a->base + a->usable, bytes - a->usable,
						     PROT_READ | PROT_WRITE)))
		return false;
	a->usable = bytes;
	return true;
}

static u64 record_alloc(struct bench_task *t, const struct ebizzy *e, struct arena *a, u64 bytes)
{
	bytes = ALIGN_UP(bytes, e->page_bytes);
	if (e->alloc == ALLOC_MMAP || (e->alloc == ALLOC_MALLOC && !a->mapped))
		return bench_mmap(t, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  NULL, 0);
	return arena_grow(t, a, bytes, e->chunk_bytes) ? a->base : 0;
}

static bool record_free(struct bench_task *t, const struct ebizzy *e, struct arena *a, u64 va,
			u64 bytes)
{
	bytes = ALIGN_UP(bytes, e->page_bytes);
	if (va != a->base) {
		a->mapped = true;
		return bench_munmap(t, va, bytes);
	}
	return e->alloc != ALLOC_ARENA || bytes < TRIM_BYTES ||
	       bench_worked(t, "madvise", mm_madvise(t->mm, va, bytes, MADV_DONTNEED));
}

/* ---- the loop ------------------------------------------------------------------------------ */

static u64 random_below(struct bench_task *t, const struct ebizzy *e, u64 below)
{
	return e->works ? bench_random(t) % below : 0;
}

static bool touch_record(struct bench_task *t, const struct ebizzy *e, u64 va, u64 bytes)
{
	for (u64 off = 0; off < bytes; off += e->page_bytes)
		if (!bench_write(t, va + off, off))
			return false;
	return true;
}

/* memcpy page by page, then a binary search for a random key. */
static bool copy_and_search(struct bench_task *t, const struct ebizzy *e, u64 src, u64 va,
			    u64 bytes)
{
	u64 lo = 0, hi = bytes / RECORD_BYTES, key = random_below(t, e, hi), word;

	for (u64 off = 0; off < bytes; off += e->page_bytes)
		if (!bench_read(t, src + off, &word) || !bench_write(t, va + off, word))
			return false;
	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;

		if (!bench_read(t, va + mid * RECORD_BYTES, &word))
			return false;
		if (mid < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return true;
}

static bool one_record(struct bench_task *t, const struct ebizzy *e, const u64 *chunk,
		       struct arena *a)
{
	u64 src = chunk[random_below(t, e, e->chunks)], bytes = e->chunk_bytes, va;

	if (e->random_size)
		bytes = (random_below(t, e, e->chunk_bytes / RECORD_BYTES) + 1) * RECORD_BYTES;
	va = record_alloc(t, e, a, bytes);
	if (!va)
		return false;
	if (e->touch ? !touch_record(t, e, va, bytes) : !copy_and_search(t, e, src, va, bytes))
		return false;
	return record_free(t, e, a, va, bytes);
}

static void run(struct bench_task *t)
{
	const struct ebizzy *e = t->bench->priv;
	const u64 *chunk = &e->chunk[t->bench->mm_count > 1 ? (size_t)t->index * e->chunks : 0];
	struct arena a = {0};

	while (bench_running(t)) {
		bench_op_begin(t);
		if (!one_record(t, e, chunk, &a))
			break;
		bench_op_end(t);
	}
	if (a.base)
		bench_munmap(t, a.base, e->chunk_bytes);
}

const struct workload workload_ebizzy = {
	.name = "ebizzy",
	.summary = "web-server like: allocate, touch, free; as ebizzy -mTRp by default",
	.op = "record",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 2,
	.sample = 8,
	.params = params,
	.memory_bytes = memory,
	.setup = setup,
	.run_task = run,
	.teardown = teardown,
};
