/*
 * sim/native/memory.c - where the native machine's memory comes from
 *
 * Per-CPU areas    one reservation, an area per CPU; host memory is used as touched: a machine of 2048
 *                  CPUs costs address space, not memory.
 * Slabs            a jemalloc arena per cache; under a sanitizer malloc, and objects of their own.
 * Machine memory   small pieces from malloc, large ones mapped.
 */
#include "sim/native/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifndef MMSIM_SANITIZED
#include <jemalloc/jemalloc.h>
#endif

#define MAPPED_BYTES_MIN (1ull << 20)
#define HOST_HUGE_BYTES (2ull << 20)

static void *map_zeroed(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* ---- per-CPU areas --------------------------------------------------------------------------- */

int native_percpu_init(struct machine *m)
{
	m->percpu_areas = map_zeroed((size_t)m->cpu_count * MMSIM_PERCPU_AREA_BYTES);
	if (!m->percpu_areas)
		return -ENOMEM;
	percpu_books_init(&m->percpu);
	return 0;
}

void native_percpu_destroy(struct machine *m)
{
	munmap(m->percpu_areas, (size_t)m->cpu_count * MMSIM_PERCPU_AREA_BYTES);
}

struct percpu_books *machine_percpu_books(struct machine *m)
{
	return &m->percpu;
}

/* ---- slabs ------------------------------------------------------------------------------------ */

#ifdef MMSIM_SANITIZED
int slab_source_create(struct slab_source *s)
{
	return 0;
}

char *slab_alloc(struct slab_source *s)
{
	return aligned_alloc(SLAB_ALIGN_BYTES, s->slab_bytes);
}

void slab_free(struct slab_source *s, char *slab)
{
	free(slab);
}

void slab_source_destroy(struct slab_source *s)
{
}
#else
int slab_source_create(struct slab_source *s)
{
	size_t len = sizeof(s->arena);

	return -mallctl("arenas.create", &s->arena, &len, NULL, 0);
}

static int arena_flags(const struct slab_source *s)
{
	return MALLOCX_ARENA(s->arena) | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(SLAB_ALIGN_BYTES);
}

char *slab_alloc(struct slab_source *s)
{
	return mallocx(s->slab_bytes, arena_flags(s));
}

void slab_free(struct slab_source *s, char *slab)
{
	dallocx(slab, arena_flags(s));
}

void slab_source_destroy(struct slab_source *s)
{
	size_t mib[3], len = 3;

	if (mallctlnametomib("arena.0.destroy", mib, &len))
		return;
	mib[1] = s->arena;
	(void)mallctlbymib(mib, len, NULL, NULL, NULL, 0);
}
#endif

/* ---- machine memory ----------------------------------------------------------------------------- */

void *machine_memory_alloc(struct machine *m, u64 bytes, u64 align)
{
	u64 align_up = max(align, (u64)MMSIM_CACHE_LINE_BYTES);
	char *base, *start;
	void *p;

	MMSIM_BUG_ON(align & (align - 1) || align > HOST_HUGE_BYTES);
	if (bytes < MAPPED_BYTES_MIN) {
		p = aligned_alloc(align_up, ALIGN_UP(bytes, align_up));
		return p ? memset(p, 0, bytes) : NULL;
	}
	/* A huge page more than asked for; what is left over on either side is given back. */
	bytes = ALIGN_UP(bytes, HOST_HUGE_BYTES);
	base = map_zeroed(bytes + HOST_HUGE_BYTES);
	if (!base)
		return NULL;
	start = (char *)ALIGN_UP((uintptr_t)base, HOST_HUGE_BYTES);
	if (start > base)
		munmap(base, (size_t)(start - base));
	if (start < base + HOST_HUGE_BYTES)
		munmap(start + bytes, (size_t)(base + HOST_HUGE_BYTES - start));
	return start;
}

void machine_memory_free(struct machine *m, void *p, u64 bytes)
{
	if (bytes < MAPPED_BYTES_MIN)
		free(p);
	else
		munmap(p, ALIGN_UP(bytes, HOST_HUGE_BYTES));
}
