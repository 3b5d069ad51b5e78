/*
 * workloads/mmap1.c - mmap1 (will-it-scale): map and unmap memory that nobody touches
 *
 * One operation is one mmap and one munmap of `size` bytes of private anonymous memory. No faults:
 * what is measured is the write side of the address-space lock.
 */
#include "workloads/all.h"

static const struct param params[] = {
	{.key = "size",
	 .type = PARAM_BYTES,
	 .def = "128M",
	 .min = 4096,
	 .max = 1ull << 36,
	 .meaning = "bytes per mapping"},
	PARAM_PROCESSES,
	{.key = NULL},
};

static u64 memory(const struct bench *b)
{
	return bench_memory_for(b, 0);
}

static void run(struct bench_task *t)
{
	u64 size = bench_param(t->bench, "size");

	while (bench_running(t)) {
		u64 va;

		bench_op_begin(t);
		va = bench_mmap(t, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
				0);
		if (!va || !bench_munmap(t, va, size))
			break;
		bench_op_end(t);
	}
}

const struct workload workload_mmap1 = {
	.name = "mmap1",
	.summary = "map and unmap 128 MiB that nobody touches (will-it-scale)",
	.op = "mmap and munmap",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 1,
	.sample = 8,
	.params = params,
	.memory_bytes = memory,
	.run_task = run,
};
