/* workloads/all.h - what the files of workloads/ share and nobody outside needs */
#ifndef MMSIM_WORKLOADS_ALL_H
#define MMSIM_WORKLOADS_ALL_H

#include <mmsim/workload.h>

extern const struct workload workload_page_fault1, workload_page_fault2, workload_page_fault3,
	workload_mmap1, workload_ebizzy, workload_pft, workload_multi_fault, workload_gc_heap;

#define MIB (1024ull * 1024)

/* Each task's own address space instead of one for all. */
#define PARAM_PROCESSES                                                                            \
	{                                                                                          \
		.key = "processes", .type = PARAM_BOOL, .def = "0",                                \
		.meaning = "1: each task is a process with an address space of its own",           \
	}

static inline u64 bench_page_bytes(const struct bench *b)
{
	return arch_page_bytes(b->cfg.arch);
}

/*
 * Simulated memory for pages_bytes of user pages per task: their tables, what per-CPU lists and
 * batches hold back, deferred frees of the region before, and a floor for everything else.
 */
static inline u64 bench_memory_for(const struct bench *b, u64 pages_bytes)
{
	u64 per_task = pages_bytes + pages_bytes / 8 + 8 * MIB;

	return 64 * MIB + per_task * b->tasks;
}

/* Write one byte of each page of [va, va + len): one operation each. False: leave the loop. */
bool bench_touch(struct bench_task *t, u64 va, u64 len);

#endif
