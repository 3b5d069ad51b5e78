/*
 * mmsim/percpu.h - per-CPU data, allocated at run time
 *
 * A handle is an offset that is the same in every CPU's area. Memory comes zeroed on every CPU.
 * Access to one's own copy needs preempt_disable() (see cpu.h); another CPU's copy only through
 * the atomics.
 */
#ifndef MMSIM_PERCPU_H
#define MMSIM_PERCPU_H

#include <mmsim/charge.h>
#include <mmsim/cpu.h>

typedef u32 percpu_t; /* 0 is never a valid handle */

/* Address space reserved for each CPU's copy; host memory is used as it is touched. */
#define MMSIM_PERCPU_AREA_BYTES (1u << 20)
#define MMSIM_PERCPU_OBJECT_MAX_BYTES (32u << 10)

/* size_bytes up to 32 KiB; align up to 64, and not above the size rounded up to a power of two. Returns 0 when the area (MMSIM_PERCPU_AREA_BYTES) is full. */
percpu_t MUST_CHECK percpu_alloc(struct machine *m, u32 size_bytes, u32 align);
void percpu_free(struct machine *m, percpu_t handle, u32 size_bytes);

#define this_cpu_ptr(handle, type) ((type *)(this_cpu()->percpu_base + (handle)))
#define per_cpu_ptr(handle, type, cpu) ((type *)((cpu)->percpu_base + (handle)))

/*
 * An s64 that CPUs add to in batches (Linux lib/percpu_counter.c): add is one per-CPU addition
 * until the local part reaches `batch`, then one atomic addition. read is within batch x CPUs.
 */
struct percpu_counter {
	atomic64_t count;
	percpu_t local;
	s32 batch;
};
int MUST_CHECK percpu_counter_init(struct machine *m, struct percpu_counter *c, s32 batch);
void percpu_counter_destroy(struct machine *m, struct percpu_counter *c);
void percpu_counter_flush(struct percpu_counter *c, s64 *local);

static inline void percpu_counter_add(struct percpu_counter *c, s64 n)
{
	s64 *local, sum;

	preempt_disable();
	line_read(c, local);
	local = this_cpu_ptr(c->local, s64);
	line_write_ptr(local);
	sum = *local + n; /* written by this CPU only; percpu_counter_sum() may read it */
	WRITE_UNPRICED(*local, sum);
	if (unlikely(sum >= c->batch || sum <= -c->batch))
		percpu_counter_flush(c, local);
	preempt_enable();
}

static inline s64 percpu_counter_read(const struct percpu_counter *c)
{
	return atomic_read(&c->count);
}
/* Exact when no task adds at the same time. */
s64 percpu_counter_sum(struct machine *m, const struct percpu_counter *c);

#endif
