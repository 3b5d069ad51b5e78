/*
 * sim/percpu.c - run-time allocation of per-CPU data
 *
 * One reservation holds an area per CPU; a handle is an offset that is valid in all of them, so
 * this_cpu_ptr() is one addition. Sizes are powers of two (8 bytes .. 32 KiB), each with a list of
 * freed handles that is linked through the freed memory of CPU 0. Host memory is used as touched:
 * a machine of 2048 CPUs costs address space, not memory.
 *
 * Lock order   the books' lock is a LEAF.
 * Fails        0 when the areas are full.
 */
#include "sim/engine.h"

#include <mmsim/charge.h>

#include <string.h>

#define CLASS_SHIFT_MIN 3

void percpu_books_init(struct percpu_books *b)
{
	b->top = MMSIM_CACHE_LINE_BYTES; /* 0 is no handle */
	spin_lock_init(&b->lock, LOCK_RANK_LEAF);
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
	return per_cpu_ptr(handle, percpu_t, machine_cpu(m, 0));
}

/* A handle from fresh, still zero memory; 0 when there is none. b->lock is held. */
static percpu_t carve(struct percpu_books *b, u32 bytes)
{
	percpu_t handle = ALIGN_UP(b->top, min(bytes, (u32)MMSIM_CACHE_LINE_BYTES));

	if (handle > MMSIM_PERCPU_AREA_BYTES - bytes)
		return 0;
	b->top = handle + bytes;
	return handle;
}

percpu_t percpu_alloc(struct machine *m, u32 size_bytes, u32 align)
{
	struct percpu_books *b = machine_percpu_books(m);
	u32 class = class_of(size_bytes), bytes = 1u << (class + CLASS_SHIFT_MIN);
	percpu_t handle;
	bool used_before;

	if (size_bytes == 0 || size_bytes > MMSIM_PERCPU_OBJECT_MAX_BYTES ||
	    align > min(bytes, (u32)MMSIM_CACHE_LINE_BYTES))
		MMSIM_BUG("percpu_alloc: %u bytes aligned to %u", size_bytes, align);
	spin_lock(&b->lock);
	handle = b->free[class];
	used_before = handle != 0;
	if (used_before) {
		line_read_ptr(free_link(m, handle));
		b->free[class] = *free_link(m, handle);
	}
	if (!used_before)
		handle = carve(b, bytes);
	spin_unlock(&b->lock);
	for (u32 i = 0; used_before && i < machine_cpu_count(m); i++) {
		lines_write(per_cpu_ptr(handle, char, machine_cpu(m, i)), bytes);
		memset(per_cpu_ptr(handle, char, machine_cpu(m, i)), 0, bytes);
	}
	return handle;
}

void percpu_free(struct machine *m, percpu_t handle, u32 size_bytes)
{
	struct percpu_books *b = machine_percpu_books(m);
	u32 class = class_of(size_bytes);

	MMSIM_BUG_ON(handle == 0);
	spin_lock(&b->lock);
	line_write_ptr(free_link(m, handle));
	*free_link(m, handle) = b->free[class];
	b->free[class] = handle;
	spin_unlock(&b->lock);
}

int percpu_counter_init(struct machine *m, struct percpu_counter *c, s32 batch)
{
	percpu_t local = percpu_alloc(m, sizeof(s64), sizeof(s64));

	line_write(c, local);
	c->local = local;
	c->batch = batch;
	atomic_set(&c->count, 0);
	return c->local ? 0 : -ENOMEM;
}

void percpu_counter_destroy(struct machine *m, struct percpu_counter *c)
{
	line_write(c, local);
	percpu_free(m, c->local, sizeof(s64));
	line_write(c, local);
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
	s64 sum = atomic_read(&c->count); /* on the handle's line */

	for (u32 i = 0; i < machine_cpu_count(m); i++)
		sum += READ_ONCE(*per_cpu_ptr(c->local, s64, machine_cpu(m, i)));
	return sum;
}
