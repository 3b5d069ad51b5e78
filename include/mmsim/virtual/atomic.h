/*
 * mmsim/virtual/atomic.h - shared-memory operations in virtual time. Included by mmsim/atomic.h only.
 *
 * Each operation is first priced (sim/virtual/lines.c): the CPU's clock moves to the moment at which
 * the operation takes effect, which may let other CPUs run; then it is applied, in plain C, because
 * one host thread runs all simulated CPUs. Nothing runs between the pricing and the application.
 */
#ifndef MMSIM_VIRTUAL_ATOMIC_H
#define MMSIM_VIRTUAL_ATOMIC_H

void vt_load(const volatile void *p);
void vt_store(const volatile void *p);
void vt_rmw(const volatile void *p);
void vt_fence(void);
/* Fetch the line to be written and go on. */
void vt_prefetch_write(const volatile void *p);
/* The compare-and-swap that has just been priced found another value. */
void vt_cas_failed(const volatile void *p);
/* Sleep until one of the lines loaded since the last call is written, or for relax_max. */
void vt_relax(void);

#define MMSIM_TSAN 0

#define barrier() __asm__ __volatile__("" ::: "memory")

#define READ_ONCE(x)                                                                               \
	({                                                                                         \
		const volatile __typeof__(x) *vt_p_ = &(x);                                        \
		vt_load(vt_p_);                                                                    \
		*vt_p_;                                                                            \
	})
#define WRITE_ONCE(x, v)                                                                           \
	do {                                                                                       \
		volatile __typeof__(x) *vt_p_ = &(x);                                              \
		__typeof__(x) vt_v_ = (v);                                                         \
		vt_store(vt_p_);                                                                   \
		*vt_p_ = vt_v_;                                                                    \
	} while (0)
#define smp_load_acquire(p) READ_ONCE(*(p))
#define smp_store_release(p, v) WRITE_ONCE(*(p), v)

/* The new value, given `vt_old_` and `vt_arg_`. */
#define VT_RMW(p, v, new_value)                                                                    \
	({                                                                                         \
		volatile __typeof__(*(p)) *vt_p_ = (p);                                            \
		__typeof__(*(p)) vt_arg_ = (v), vt_old_;                                           \
		vt_rmw(vt_p_);                                                                     \
		vt_old_ = *vt_p_;                                                                  \
		*vt_p_ = (new_value);                                                              \
		vt_old_;                                                                           \
	})
#define fetch_add(p, v) VT_RMW(p, v, vt_old_ + vt_arg_)
#define fetch_add_acquire(p, v) fetch_add(p, v)
#define fetch_add_release(p, v) fetch_add(p, v)
#define fetch_add_relaxed(p, v) fetch_add(p, v)
#define fetch_or(p, v) VT_RMW(p, v, vt_old_ | vt_arg_)
#define fetch_or_relaxed(p, v) fetch_or(p, v)
#define fetch_and(p, v) VT_RMW(p, v, vt_old_ & vt_arg_)
#define fetch_and_relaxed(p, v) fetch_and(p, v)
#define xchg(p, v) VT_RMW(p, v, vt_arg_)
#define xchg_acquire(p, v) xchg(p, v)
/* old: a pointer to the expected value, updated on failure. A failure costs as much as a success. */
#define try_cmpxchg(p, old, new)                                                                   \
	({                                                                                         \
		volatile __typeof__(*(p)) *vt_p_ = (p);                                            \
		__typeof__(*(p)) *vt_expected_ = (old);                                            \
		__typeof__(*(p)) vt_arg_ = (new), vt_old_;                                         \
		bool vt_done_;                                                                     \
		vt_rmw(vt_p_);                                                                     \
		vt_old_ = *vt_p_;                                                                  \
		vt_done_ = vt_old_ == *vt_expected_;                                               \
		if (vt_done_) {                                                                    \
			*vt_p_ = vt_arg_;                                                          \
		} else {                                                                             \
			*vt_expected_ = vt_old_;                                                   \
			vt_cas_failed(vt_p_);                                                      \
		}                                                                                  \
		vt_done_;                                                                          \
	})
#define try_cmpxchg_acquire(p, old, new) try_cmpxchg(p, old, new)
#define try_cmpxchg_release(p, old, new) try_cmpxchg(p, old, new)
#define try_cmpxchg_relaxed(p, old, new) try_cmpxchg(p, old, new)

#define smp_mb() vt_fence()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define cpu_relax() vt_relax()
#define prefetch_write(p) vt_prefetch_write(p)

#endif
