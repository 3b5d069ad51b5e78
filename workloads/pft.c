/*
 * workloads/pft.c - pft, the page-fault test: one region, split evenly over the threads
 *
 * One operation is one page faulted. Each round: task 0 maps `size` bytes of private anonymous
 * memory; barrier; each task writes one cache line of every page of its part (zero=1: every line);
 * barrier; task 0 unmaps. Only the writing is measured: elapsed is, summed over the rounds, from
 * the earliest start to the latest end. pft's two figures are faults_per_sec, faults_per_cpu_sec.
 * With processes=1 each task maps its part in an address space of its own.
 */
#include <stdlib.h>

#include "workloads/all.h"

static const struct param params[] = {
	{.key = "size",
	 .type = PARAM_BYTES,
	 .def = "512M",
	 .min = 4096,
	 .max = 1ull << 40,
	 .meaning = "bytes of the region, split over the tasks"},
	{.key = "zero",
	 .type = PARAM_BOOL,
	 .def = "0",
	 .meaning = "1: write all cache lines of each page, not one"},
	PARAM_PROCESSES,
	{.key = NULL},
};

struct pft {
	u64 base; /* (written by task 0 between barriers) */
};

static int check(struct bench *b)
{
	u64 pages = bench_param(b, "size") / bench_page_bytes(b);

	if (pages >= b->tasks)
		return 0;
	return bench_fail(b, "size=%llu is less than a page for each of %u tasks",
			  (unsigned long long)bench_param(b, "size"), b->tasks);
}

static u64 memory(const struct bench *b)
{
	return bench_memory_for(b, bench_param(b, "size") / b->tasks + bench_page_bytes(b));
}

static int setup(struct bench *b)
{
	b->priv = calloc(1, sizeof(struct pft));
	return b->priv ? 0 : -ENOMEM;
}

static void teardown(struct bench *b)
{
	free(b->priv);
	b->priv = NULL;
}

static bool zero_pages(struct bench_task *t, u64 va, u64 len)
{
	u64 page = bench_page_bytes(t->bench), end = va + len;

	for (; va < end; va += page) {
		bench_op_begin(t);
		for (u64 off = 0; off < page; off += MMSIM_CACHE_LINE_BYTES)
			if (unlikely(!bench_write(t, va + off, 0)))
				return false;
		bench_op_end(t);
	}
	return true;
}

static void run(struct bench_task *t)
{
	struct bench *b = t->bench;
	struct pft *p = b->priv;
	u64 page = bench_page_bytes(b), pages = bench_param(b, "size") / page;
	u64 first = pages * t->index / b->tasks * page;
	u64 len = pages * (t->index + 1) / b->tasks * page - first;
	bool processes = b->mm_count > 1, zero = bench_param(b, "zero") != 0;
	u32 prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	while (bench_round(t)) {
		u64 va = 0;

		if (processes)
			va = bench_mmap(t, len, prot, flags, NULL, 0);
		else if (t->index == 0)
			WRITE_ONCE(p->base, bench_mmap(t, pages * page, prot, flags, NULL, 0));
		sim_barrier_wait(&b->barrier);
		if (!processes && READ_ONCE(p->base))
			va = READ_ONCE(p->base) + first;
		bench_section_begin(t);
		if (va && zero)
			zero_pages(t, va, len);
		else if (va)
			bench_touch(t, va, len);
		bench_section_end(t);
		sim_barrier_wait(&b->barrier);
		if (processes && va)
			bench_munmap(t, va, len);
		else if (t->index == 0 && va)
			bench_munmap(t, va, pages * page);
	}
}

const struct workload workload_pft = {
	.name = "pft",
	.summary = "page-fault test: one anonymous region split over the threads, a line per page",
	.op = "page faulted",
	.kind = WORKLOAD_LOCKSTEP,
	.sections = true,
	.threads_per_cpu = 1,
	.sample = 16,
	.params = params,
	.check = check,
	.memory_bytes = memory,
	.setup = setup,
	.run_task = run,
	.teardown = teardown,
};
