/*
 * workloads/multi_fault.c - multi_fault (2010): threads fault side by side, then one drops it all
 *
 * One operation is one page faulted. One private anonymous mapping of a slot of 8 MiB per task.
 * Each round: every task writes one byte per page over the first 2 MiB of its slot; barrier; task 0
 * does MADV_DONTNEED on what every task touched; barrier. Variants: drop=own, each task drops its
 * own; vmas=own, the slots are mappings of their own that cannot merge; processes=1.
 */
#include <stdlib.h>
#include <string.h>

#include "workloads/all.h"

static const char *const drop_choices[] = {"first", "own", NULL};
static const char *const vmas_choices[] = {"one", "own", NULL};
enum { DROP_FIRST, DROP_OWN };
enum { VMAS_ONE, VMAS_OWN };

static const struct param params[] = {
	{.key = "slot",
	 .type = PARAM_BYTES,
	 .def = "8M",
	 .min = 4096,
	 .max = 1ull << 32,
	 .meaning = "bytes between the beginnings of two tasks' parts"},
	{.key = "part",
	 .type = PARAM_BYTES,
	 .def = "2M",
	 .min = 4096,
	 .max = 1ull << 32,
	 .meaning = "bytes that each task touches at the beginning of its slot"},
	{.key = "drop",
	 .type = PARAM_CHOICE,
	 .def = "first",
	 .choices = drop_choices,
	 .meaning = "who does MADV_DONTNEED: first, task 0 for all; own, each for itself"},
	{.key = "vmas",
	 .type = PARAM_CHOICE,
	 .def = "one",
	 .choices = vmas_choices,
	 .meaning = "one: one mapping for all slots; own: a mapping per slot"},
	PARAM_PROCESSES,
	{.key = NULL},
};

struct multi_fault {
	u64 slot, touch;
	u64 *base; /* [task] */
};

static int check(struct bench *b)
{
	if (bench_param(b, "part") <= bench_param(b, "slot"))
		return 0;
	return bench_fail(b, "part=%llu does not fit into slot=%llu",
			  (unsigned long long)bench_param(b, "part"),
			  (unsigned long long)bench_param(b, "slot"));
}

static u64 memory(const struct bench *b)
{
	return bench_memory_for(b, bench_param(b, "part"));
}

static void teardown(struct bench *b)
{
	struct multi_fault *mf = b->priv;

	free(mf->base);
	free(mf);
	b->priv = NULL;
}

static int map_all(struct bench *b, struct multi_fault *mf)
{
	/* Two pages: a range lock takes one on either side along. */
	u64 gap = bench_param(b, "vmas") == VMAS_OWN ? 2 * bench_page_bytes(b) : 0;
	int err = 0;

	if (b->mm_count == 1)
		return bench_map_apart(b, b->mm, mf->slot, gap, mf->base, b->tasks);
	for (u32 i = 0; i < b->tasks && !err; i++)
		err = bench_map_apart(b, b->mms[i], mf->slot, 0, &mf->base[i], 1);
	return err;
}

static int setup(struct bench *b)
{
	struct multi_fault *mf = calloc(1, sizeof(*mf));
	u64 page = bench_page_bytes(b);

	if (!mf)
		return -ENOMEM;
	b->priv = mf;
	mf->slot = ALIGN_UP(bench_param(b, "slot"), page);
	mf->touch = ALIGN_UP(bench_param(b, "part"), page);
	mf->base = calloc(b->tasks, sizeof(u64));
	return mf->base ? map_all(b, mf) : -ENOMEM;
}

static void drop(struct bench_task *t, u32 whose)
{
	const struct multi_fault *mf = t->bench->priv;

	bench_worked(t, "madvise", mm_madvise(t->mm, mf->base[whose], mf->touch, MADV_DONTNEED));
}

static void run(struct bench_task *t)
{
	struct bench *b = t->bench;
	const struct multi_fault *mf = b->priv;
	bool own = bench_param(b, "drop") == DROP_OWN || b->mm_count > 1;

	while (bench_round(t)) {
		bench_touch(t, mf->base[t->index], mf->touch);
		sim_barrier_wait(&b->barrier);
		if (own)
			drop(t, t->index);
		for (u32 i = 0; !own && t->index == 0 && i < b->tasks; i++)
			drop(t, i);
	}
}

const struct workload workload_multi_fault = {
	.name = "multi_fault",
	.summary = "threads fault their slots side by side, then task 0 drops all of them (2010)",
	.op = "page faulted",
	.kind = WORKLOAD_LOCKSTEP,
	.threads_per_cpu = 1,
	.sample = 16,
	.params = params,
	.check = check,
	.memory_bytes = memory,
	.setup = setup,
	.run_task = run,
	.teardown = teardown,
};
