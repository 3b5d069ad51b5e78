/* mmsim/native/atomic.h - shared-memory operations as C11 atomics. Included by mmsim/atomic.h only. */
#ifndef MMSIM_NATIVE_ATOMIC_H
#define MMSIM_NATIVE_ATOMIC_H

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define fetch_add_acquire(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define fetch_add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fetch_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define fetch_or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define fetch_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define fetch_and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define xchg_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
/* old: a pointer to the expected value, updated on failure. Strong: no spurious failure. */
#define try_cmpxchg(p, old, new)                                                                   \
	__atomic_compare_exchange_n((p), (old), (new), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define try_cmpxchg_acquire(p, old, new)                                                           \
	__atomic_compare_exchange_n((p), (old), (new), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define try_cmpxchg_release(p, old, new)                                                           \
	__atomic_compare_exchange_n((p), (old), (new), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define try_cmpxchg_relaxed(p, old, new)                                                           \
	__atomic_compare_exchange_n((p), (old), (new), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

#define barrier() __asm__ __volatile__("" ::: "memory")

/*
 * TSan does not model stand-alone fences; a read-modify-write of a thread-local word orders the
 * same on the CPU and is understood. No happens-before edge is taken from smp_mb() anywhere.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MMSIM_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define MMSIM_TSAN 1
#endif
#ifndef MMSIM_TSAN
#define MMSIM_TSAN 0
#endif

#if MMSIM_TSAN
extern __thread int mmsim_fence_word;
#define smp_mb() ((void)__atomic_fetch_add(&mmsim_fence_word, 0, __ATOMIC_SEQ_CST))
#define smp_rmb() smp_mb()
#define smp_wmb() smp_mb()
#else
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

#define prefetch_write(p) __builtin_prefetch((p), 1)
#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ __volatile__("yield" ::: "memory")
#else
#define cpu_relax() barrier()
#endif

#endif
