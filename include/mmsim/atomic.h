/*
 * mmsim/atomic.h - shared-memory operations: the only way two CPUs may meet
 *
 * The engine gives them their meaning (native: C11 atomics, inline). The names and orderings are
 * Linux's: no suffix on an operation that returns a value = fully ordered; _acquire, _release,
 * _relaxed as named; an operation that returns nothing is relaxed. Works on any naturally
 * aligned 4- or 8-byte scalar or pointer.
 *
 * prefetch_write(p): a hint that the line at p will be written soon; never waits.
 *
 * Rule for callers (the virtual engine depends on it): at most one of these per full expression.
 */
#ifndef MMSIM_ATOMIC_H
#define MMSIM_ATOMIC_H

#include <mmsim/types.h>

typedef struct {
	s32 counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;

#define ATOMIC_INIT(i)                                                                             \
	{                                                                                          \
		(i)                                                                                \
	}

#if defined(MMSIM_ENGINE_NATIVE)
#include <mmsim/native/atomic.h>
#elif defined(MMSIM_ENGINE_VIRTUAL)
#include <mmsim/virtual/atomic.h>
#else
#error "compile with -DMMSIM_ENGINE_NATIVE or _VIRTUAL (pkg-config --cflags mmsim-native gives it)"
#endif

/*
 * Never priced and never a scheduling point: for checks that only some builds make (they must not
 * change the result), and for flags of the host's (signal handlers).
 */
#if defined(MMSIM_ENGINE_VIRTUAL)
#define READ_UNPRICED(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_UNPRICED(x, v) ((void)(*(volatile __typeof__(x) *)&(x) = (v)))
#else
#define READ_UNPRICED(x) READ_ONCE(x)
#define WRITE_UNPRICED(x, v) WRITE_ONCE(x, v)
#endif

/* The same names for atomic_t and atomic64_t (_Generic is not needed: both have .counter). */
#define atomic_read(a) READ_ONCE((a)->counter)
#define atomic_read_acquire(a) smp_load_acquire(&(a)->counter)
#define atomic_set(a, v) WRITE_ONCE((a)->counter, (v))
#define atomic_set_release(a, v) smp_store_release(&(a)->counter, (v))
#define atomic_add(v, a) ((void)fetch_add_relaxed(&(a)->counter, (v)))
#define atomic_sub(v, a) ((void)fetch_add_relaxed(&(a)->counter, -(v)))
#define atomic_inc(a) atomic_add(1, a)
#define atomic_dec(a) atomic_sub(1, a)
#define atomic_fetch_add(v, a) fetch_add(&(a)->counter, (v))
#define atomic_fetch_add_acquire(v, a) fetch_add_acquire(&(a)->counter, (v))
#define atomic_fetch_add_release(v, a) fetch_add_release(&(a)->counter, (v))
#define atomic_add_return(v, a) (fetch_add(&(a)->counter, (v)) + (v))
#define atomic_sub_return(v, a) (fetch_add(&(a)->counter, -(v)) - (v))
#define atomic_add_return_acquire(v, a) (fetch_add_acquire(&(a)->counter, (v)) + (v))
#define atomic_sub_return_release(v, a) (fetch_add_release(&(a)->counter, -(v)) - (v))
#define atomic_inc_return(a) atomic_add_return(1, a)
#define atomic_dec_return(a) atomic_sub_return(1, a)
#define atomic_dec_and_test(a) (atomic_dec_return(a) == 0)
#define atomic_sub_and_test(v, a) (atomic_sub_return(v, a) == 0)
/* On failure *old is updated to what was there. */
#define atomic_try_cmpxchg(a, old, new) try_cmpxchg(&(a)->counter, (old), (new))
#define atomic_try_cmpxchg_acquire(a, old, new) try_cmpxchg_acquire(&(a)->counter, (old), (new))
#define atomic_try_cmpxchg_release(a, old, new) try_cmpxchg_release(&(a)->counter, (old), (new))
#define atomic_xchg(a, v) xchg(&(a)->counter, (v))
#define atomic_or(v, a) ((void)fetch_or_relaxed(&(a)->counter, (v)))
#define atomic_fetch_or(v, a) fetch_or(&(a)->counter, (v))
#define atomic_fetch_and(v, a) fetch_and(&(a)->counter, (v))

/* Increment unless zero. Returns false, and changes nothing, when it was zero. Acquire. */
static inline bool atomic_inc_not_zero(atomic_t *a)
{
	s32 old = atomic_read(a);

	do {
		if (old == 0)
			return false;
	} while (!atomic_try_cmpxchg_acquire(a, &old, old + 1));
	return true;
}

#endif
