/*
 * sim/native/percpu.c - run-time allocation of per-CPU data
 *
 * One reservation holds an area per CPU; a handle is an offset that is valid in all of them, so
 * this_cpu_ptr() is one addition. Sizes are powers of two (8 bytes .. 32 KiB), each with a list of
 * freed handles that is linked through the freed memory of CPU 0. Host memory is used as touched:
 * a machine of 2048 CPUs costs address space, not memory.
 *
 * Lock order   percpu_lock is a LEAF.
 * Fails        0 when the areas are full.
 */
#include "sim/native/internal.h"

#include <string.h>
#include <sys/mman.h>

#define CLASS_SHIFT_MIN 3

int native_percpu_init(struct machine *m)
{
	size_t bytes = (size_t)m->cpu_count * MMSIM_PERCPU_AREA_BYTES;
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	m->percpu_areas = mem;
	m->percpu_top = MMSIM_CACHE_LINE_BYTES; /* 0 is no handle */
	spin_lock_init(&m->percpu_lock, LOCK_RANK_LEAF);
	return 0;
}

void native_percpu_destroy(struct machine *m)
{
	munmap(m->percpu_areas, (size_t)m->cpu_count * MMSIM_PERCPU_AREA_BYTES);
}

static u32 class_of(u32 size_bytes)
{
	u32 class = 0;

	while ((1u << (class + CLASS_SHIFT_MIN)) < size_bytes)
		class ++;
	return class;
}

static percpu_t *free_link(struct machine *m, percpu_t handle)
{
	return per_cpu_ptr(handle, percpu_t, &m->cpus[0].cpu);
}

/* A handle from fresh, still zero memory; 0 when there is none. percpu_lock is held. */
static percpu_t carve(struct machine *m, u32 bytes)
{
	percpu_t handle = ALIGN_UP(m->percpu_top, min(bytes, (u32)MMSIM_CACHE_LINE_BYTES));

	if (handle > MMSIM_PERCPU_AREA_BYTES - bytes)
		return 0;
	m->percpu_top = handle + bytes;
	return handle;
}

percpu_t percpu_alloc(struct machine *m, u32 size_bytes, u32 align)
{
	u32 class = class_of(size_bytes), bytes = 1u << (class + CLASS_SHIFT_MIN);
	percpu_t handle;
	bool used_before;

	if (size_bytes == 0 || size_bytes > MMSIM_PERCPU_OBJECT_MAX_BYTES ||
	    align > min(bytes, (u32)MMSIM_CACHE_LINE_BYTES))
		MMSIM_BUG("percpu_alloc: %u bytes aligned to %u", size_bytes, align);
	spin_lock(&m->percpu_lock);
	handle = m->percpu_free[class];
	used_before = handle != 0;
	if (used_before)
		m->percpu_free[class] = *free_link(m, handle);
	else
		handle = carve(m, bytes);
	spin_unlock(&m->percpu_lock);
	for (u32 i = 0; used_before && i < m->cpu_count; i++)
		memset(per_cpu_ptr(handle, char, &m->cpus[i].cpu), 0, bytes);
	return handle;
}

void percpu_free(struct machine *m, percpu_t handle, u32 size_bytes)
{
	u32 class = class_of(size_bytes);

	MMSIM_BUG_ON(handle == 0);
	spin_lock(&m->percpu_lock);
	*free_link(m, handle) = m->percpu_free[class];
	m->percpu_free[class] = handle;
	spin_unlock(&m->percpu_lock);
}

int percpu_counter_init(struct machine *m, struct percpu_counter *c, s32 batch)
{
	c->local = percpu_alloc(m, sizeof(s64), sizeof(s64));
	c->batch = batch;
	atomic_set(&c->count, 0);
	return c->local ? 0 : -ENOMEM;
}

void percpu_counter_destroy(struct machine *m, struct percpu_counter *c)
{
	percpu_free(m, c->local, sizeof(s64));
	c->local = 0;
}

void percpu_counter_flush(struct percpu_counter *c, s64 *local)
{
	s64 n = READ_ONCE(*local);

	WRITE_ONCE(*local, (s64)0);
	atomic_add(n, &c->count);
}

s64 percpu_counter_sum(struct machine *m, const struct percpu_counter *c)
{
	s64 sum = atomic_read(&c->count);

	for (u32 i = 0; i < m->cpu_count; i++)
		sum += READ_ONCE(*per_cpu_ptr(c->local, s64, &m->cpus[i].cpu));
	return sum;
}
