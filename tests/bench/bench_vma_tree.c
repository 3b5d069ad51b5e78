/*
 * tests/bench/bench_vma_tree.c - what one operation of each VMA tree costs, by the number of VMAs
 *
 * usage: bench_vma_tree [maple | rb] [vmas ...]        default: both, 10 100 1000 10000 60000
 *
 * One task, addresses at random (an LCG, whose own cost is in every figure: about 2 ns). VMAs are
 * laid out in pairs: two touch, then a hole, as the libraries of a program lie. ns per operation.
 *   rcu    look-up of an address inside a VMA, under RCU (load_rcu)
 *   load   the same under a lock (whose price is not in it)
 *   miss   find() of an address in a hole: the next VMA
 *   prev   the VMA before a VMA
 *   iter   a step of vma_tree_for_each
 *   store  a VMA's range emptied and filled again: two stores with their prealloc
 *   gap    top-down search for a hole that only one place in the lower half has
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/objcache.h>
#include <mmsim/vma.h>

#define PAGE_BYTES 4096ull
#define VMA_BYTES (4 * PAGE_BYTES)
#define PAIR_BYTES (3 * VMA_BYTES) /* VMA, VMA, hole */
#define BASE 0x7f0000000000ull

struct bench {
	struct vma_tree tree;
	struct vma *vmas, *at;
	u32 count;
	u64 rng;
	u64 sink;
};

static u64 vma_start(u32 i)
{
	return BASE + i / 2 * PAIR_BYTES + i % 2 * VMA_BYTES;
}

static u32 random_vma(struct bench *b)
{
	b->rng = b->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (b->rng >> 32) * b->count >> 32;
}

static void store(struct bench *b, u64 start, u64 end, struct vma *vma)
{
	if (vma_tree_prealloc(&b->tree)) {
		fprintf(stderr, "bench_vma_tree: out of memory\n");
		exit(1);
	}
	vma_tree_store(&b->tree, start, end - 1, vma);
}

static void op_load_rcu(struct bench *b)
{
	u64 addr = vma_start(random_vma(b)) + PAGE_BYTES;

	rcu_read_lock();
	b->sink += (uintptr_t)vma_tree_load_rcu(&b->tree, addr);
	rcu_read_unlock();
}

static void op_load(struct bench *b)
{
	b->sink += (uintptr_t)vma_tree_load(&b->tree, vma_start(random_vma(b)) + PAGE_BYTES);
}

static void op_miss(struct bench *b)
{
	u64 addr = vma_start(random_vma(b) | 1) + VMA_BYTES + PAGE_BYTES;

	b->sink += (uintptr_t)vma_tree_find(&b->tree, addr, ~0ull);
}

static void op_prev(struct bench *b)
{
	b->sink += (uintptr_t)vma_tree_prev(&b->tree, vma_start(random_vma(b)));
}

static void op_iter(struct bench *b)
{
	b->at = b->at ? vma_tree_next(&b->tree, b->at, ~0ull) : vma_tree_find(&b->tree, 0, ~0ull);
}

static void op_store(struct bench *b)
{
	struct vma *vma = &b->vmas[random_vma(b)];

	store(b, vma->start, vma->end, NULL);
	store(b, vma->start, vma->end, vma);
}

static void op_gap(struct bench *b)
{
	u64 start;

	if (!vma_tree_gap(&b->tree, BASE, BASE + b->count / 2 * PAIR_BYTES, VMA_BYTES + PAGE_BYTES,
			  true, &start)) {
		fprintf(stderr, "bench_vma_tree: the hole is not found\n");
		exit(1);
	}
	b->sink += start;
}

static double measure(struct bench *b, void (*op)(struct bench *b))
{
	u64 ops = 0, begin, ns, batch = 1000;

	for (u32 i = 0; i < 2000; i++)
		op(b);
	begin = engine_now_ns();
	do {
		for (u64 i = 0; i < batch; i++)
			op(b);
		ops += batch;
		ns = engine_now_ns() - begin;
	} while (ns < 200000000ull);
	return (double)ns / ops;
}

static void run(struct machine *m, const struct vma_tree_type *type, struct objcache *nodes,
		u32 count)
{
	struct bench b = {.count = count, .rng = 1};

	b.vmas = aligned_alloc(MMSIM_CACHE_LINE_BYTES, count * sizeof(*b.vmas));
	if (!b.vmas) {
		fprintf(stderr, "bench_vma_tree: out of memory\n");
		exit(1);
	}
	memset(b.vmas, 0, count * sizeof(*b.vmas));
	vma_tree_init(&b.tree, type, m, nodes);
	for (u32 i = 0; i < count; i++) {
		struct vma *vma = &b.vmas[i];

		vma->start = vma_start(i);
		vma->end = vma->start + VMA_BYTES;
		/* one larger hole, a quarter up: the VMA before a hole is the second of its pair */
		if (i == (count / 4 | 1))
			vma->end -= 2 * PAGE_BYTES;
		store(&b, vma->start, vma->end, vma);
	}
	printf("%-6s %8u %6u %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f %8.1f\n", type->name, count,
	       vma_tree_height(&b.tree), measure(&b, op_load_rcu), measure(&b, op_load), measure(&b, op_miss), measure(&b, op_prev),
	       measure(&b, op_iter), measure(&b, op_store), measure(&b, op_gap));
	fflush(stdout);
	vma_tree_check(&b.tree);
	vma_tree_destroy(&b.tree);
	sim_rcu_barrier();
	free(b.vmas);
}

int main(int argc, char **argv)
{
	static const u32 counts[] = {10, 100, 1000, 10000, 60000};
	struct machine_config cfg = {
		.tasks = 1, .cpus = 1, .memory_bytes = 1 << 20, .content_words = 1, .seed = 1};
	struct machine *m = machine_create(&cfg);
	const struct vma_tree_type *chosen = NULL;
	int arg = 1;

	if (!m) {
		perror("bench_vma_tree: machine_create");
		return 1;
	}
	machine_enter(m);
	if (argc > 1)
		chosen = vma_tree_type_find(argv[1]);
	arg += chosen != NULL;
	printf("%-6s %8s %6s %8s %8s %8s %8s %8s %8s %8s\n", "tree", "vmas", "levels", "rcu", "load",
	       "miss", "prev", "iter", "store", "gap");
	for (u32 t = 0; vma_tree_all[t]; t++) {
		const struct vma_tree_type *type = vma_tree_all[t];
		struct objcache *nodes = vma_tree_cache_create(m, type);

		if (type->node_bytes && !nodes) {
			perror("bench_vma_tree: vma_tree_cache_create");
			return 1;
		}
		if (!chosen || type == chosen) {
			for (int i = arg; i < argc; i++)
				run(m, type, nodes, max(strtoul(argv[i], NULL, 0), 4ul));
			for (u32 i = 0; arg == argc && i < ARRAY_SIZE(counts); i++)
				run(m, type, nodes, counts[i]);
		}
		if (nodes)
			objcache_destroy(nodes);
	}
	machine_leave();
	machine_destroy(m);
	return 0;
}
