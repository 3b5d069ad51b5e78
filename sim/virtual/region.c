/*
 * sim/virtual/region.c - the memory that has cache lines
 *
 * One reservation per machine, used from the bottom up in the order of the program, so that a piece
 * of memory has the same offset, and a line the same number, in every run. Beside it the directory
 * of its lines (lines.c). Host memory is used as touched.
 * What is freed is kept by size and given out again, last in, first out. Large pieces give their
 * host memory back at once.
 * Fails        NULL when the region is full (it has slack for SLAB_ROOM_BYTES of objects).
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_ALIGN_BYTES (2ull << 20)
#define SLAB_ROOM_BYTES (64ull << 30)
#define LARGE_BYTES (1ull << 20)
/* CPUs' areas must not be a power of two apart: the host's caches would see them as one set. */
#define PERCPU_STRIDE_BYTES (MMSIM_PERCPU_AREA_BYTES + 65 * MMSIM_CACHE_LINE_BYTES)

/* Lines. */
struct node_range {
	u64 start, end;
	u32 node;
};

struct region_free {
	struct region_free *next;
	u64 offset, bytes;
};

static void *reserve(u64 bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* Fresh, zero, from the top. NULL: full. */
static char *region_carve(struct machine *m, u64 bytes, u64 align)
{
	u64 offset = ALIGN_UP(m->region_top, align);

	if (offset > m->region_bytes || bytes > m->region_bytes - offset)
		return NULL;
	m->region_top = offset + bytes;
	return m->region + offset;
}

static int carve_fixed_parts(struct machine *m)
{
	u64 tasks = m->task_count + 1 + m->cpu_count;

	m->cpus = (void *)region_carve(m, m->cpu_count * sizeof(m->cpus[0]), 4096);
	m->tasks = (void *)region_carve(m, tasks * sizeof(m->tasks[0]), 4096);
	m->percpu_areas = region_carve(m, m->cpu_count * PERCPU_STRIDE_BYTES, 4096);
	if (!m->cpus || !m->tasks || !m->percpu_areas)
		return -ENOMEM;
	for (u32 i = 0; i < m->cpu_count; i++)
		m->cpus[i].percpu_base = m->percpu_areas + i * PERCPU_STRIDE_BYTES;
	return 0;
}

/* A reservation of whole REGION_ALIGN_BYTES that starts on such a border. */
static char *reserve_aligned(u64 bytes)
{
	char *base = reserve(bytes + REGION_ALIGN_BYTES), *start;

	if (!base)
		return NULL;
	start = (char *)ALIGN_UP((uintptr_t)base, REGION_ALIGN_BYTES);
	if (start > base)
		munmap(base, (size_t)(start - base));
	if (start < base + REGION_ALIGN_BYTES)
		munmap(start + bytes, (size_t)(base + REGION_ALIGN_BYTES - start));
	return start;
}

int region_create(struct machine *m)
{
	u64 memory = m->cfg.memory_bytes;

	m->region_bytes = ALIGN_UP(m->cpu_count * PERCPU_STRIDE_BYTES + memory + memory / 16 +
					   SLAB_ROOM_BYTES,
				   REGION_ALIGN_BYTES);
	m->region = reserve_aligned(m->region_bytes);
	m->lines = reserve(m->region_bytes);
	return m->region && m->lines ? carve_fixed_parts(m) : -ENOMEM;
}

void region_destroy(struct machine *m)
{
	while (m->region_free) {
		struct region_free *f = m->region_free;

		m->region_free = f->next;
		free(f);
	}
	free(m->node_ranges);
	if (m->region)
		munmap(m->region, m->region_bytes);
	if (m->lines)
		munmap(m->lines, m->region_bytes);
}

static u64 rounded(u64 bytes)
{
	return ALIGN_UP(bytes, (u64)(bytes >= LARGE_BYTES ? 4096 : MMSIM_CACHE_LINE_BYTES));
}

static char *take_freed(struct machine *m, u64 bytes, u64 align)
{
	for (struct region_free **p = &m->region_free; *p; p = &(*p)->next) {
		struct region_free *f = *p;
		char *mem = m->region + f->offset;

		if (f->bytes != bytes || f->offset & (align - 1))
			continue;
		*p = f->next;
		free(f);
		if (bytes < LARGE_BYTES)
			memset(mem, 0, bytes);
		return mem;
	}
	return NULL;
}

void *machine_memory_alloc(struct machine *m, u64 bytes, u64 align)
{
	char *mem;

	align = max(align, (u64)MMSIM_CACHE_LINE_BYTES);
	MMSIM_BUG_ON(align & (align - 1) || align > REGION_ALIGN_BYTES);
	bytes = rounded(bytes);
	if (bytes >= LARGE_BYTES)
		align = max(align, 4096ull);
	mem = take_freed(m, bytes, align);
	return mem ? mem : region_carve(m, bytes, align);
}

/* ---- which memory is of which node ----------------------------------------------------------------- */

u32 machine_node_count(const struct machine *m)
{
	return (u32)m->model.topology_sockets;
}

u32 cpu_node(const struct cpu *cpu)
{
	return vcpu_of(cpu)->place.socket;
}

/* The first range that ends behind the line; node_range_count: none. */
static u32 node_range_after(const struct machine *m, u64 line)
{
	u32 low = 0, high = m->node_range_count;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (m->node_ranges[mid].end <= line)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

u32 region_node(const struct machine *m, u64 line, u32 other)
{
	u32 i = node_range_after(m, line);

	return i < m->node_range_count && m->node_ranges[i].start <= line ? m->node_ranges[i].node : other;
}

void machine_memory_on_node(struct machine *m, const void *p, u64 bytes, u32 node)
{
	u64 offset = (u64)((const char *)p - m->region);
	struct node_range r = { .start = offset >> LINE_SHIFT,
				.end = (offset + bytes + MMSIM_CACHE_LINE_BYTES - 1) >> LINE_SHIFT,
				.node = node };
	u32 at = node_range_after(m, r.start);

	MMSIM_BUG_ON(offset >= m->region_bytes || offset % MMSIM_CACHE_LINE_BYTES);
	if (m->node_range_count == m->node_range_capacity) {
		u32 capacity = m->node_range_capacity ? m->node_range_capacity * 2 : 16;
		struct node_range *grown = realloc(m->node_ranges, capacity * sizeof(*grown));

		if (!grown)
			MMSIM_BUG("the host has no memory for the ranges of nodes");
		m->node_ranges = grown;
		m->node_range_capacity = capacity;
	}
	memmove(&m->node_ranges[at + 1], &m->node_ranges[at],
		(m->node_range_count - at) * sizeof(r));
	m->node_ranges[at] = r;
	m->node_range_count++;
}

static void forget_nodes(struct machine *m, u64 line, u64 lines)
{
	u32 first = node_range_after(m, line), end = first;

	while (end < m->node_range_count && m->node_ranges[end].start < line + lines)
		end++;
	if (end == first)
		return;
	memmove(&m->node_ranges[first], &m->node_ranges[end],
		(m->node_range_count - end) * sizeof(m->node_ranges[0]));
	m->node_range_count -= end - first;
}

void machine_memory_free(struct machine *m, void *p, u64 bytes)
{
	struct region_free *f = malloc(sizeof(*f));

	names_remove(m, p);
	bytes = rounded(bytes);
	forget_nodes(m, (u64)((char *)p - m->region) >> LINE_SHIFT, bytes >> LINE_SHIFT);
	if (bytes >= LARGE_BYTES)
		(void)madvise(p, bytes, MADV_DONTNEED);
	if (!f)
		return; /* not reused */
	f->offset = (u64)((char *)p - m->region);
	f->bytes = bytes;
	f->next = m->region_free;
	m->region_free = f;
}

struct percpu_books *machine_percpu_books(struct machine *m)
{
	return &m->percpu;
}

/* ---- slabs --------------------------------------------------------------------------------------- */

#if defined(MMSIM_SANITIZED)
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define slab_show(p, bytes) __asan_unpoison_memory_region((p), (bytes))
#else
#define slab_show(p, bytes) ((void)0)
#endif

int slab_source_create(struct slab_source *s)
{
	return 0;
}

char *slab_alloc(struct slab_source *s)
{
	return machine_memory_alloc(s->machine, s->slab_bytes, SLAB_ALIGN_BYTES);
}

void slab_free(struct slab_source *s, char *slab)
{
	slab_show(slab, s->slab_bytes);
	machine_memory_free(s->machine, slab, s->slab_bytes);
}

void slab_source_destroy(struct slab_source *s)
{
}
