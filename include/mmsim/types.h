/*
 * mmsim/types.h - integer names, compiler helpers, assertions: what every other header starts from
 *
 * Units are in names everywhere: _sim_ns, _wall_ns, _cycles, _bytes, _pages. `va` is a virtual
 * address in bytes, `pfn` a page frame number, `end` is exclusive, `last` is inclusive.
 */
#ifndef MMSIM_TYPES_H
#define MMSIM_TYPES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define MMSIM_CACHE_LINE_BYTES 64
#define __cacheline_aligned __attribute__((aligned(MMSIM_CACHE_LINE_BYTES)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Each operand is evaluated once; the operands' copies have a name per use, so that calls nest. */
#define MMSIM_PASTE_(a, b) a##b
#define MMSIM_PASTE(a, b) MMSIM_PASTE_(a, b)
#define MMSIM_SMALLER(a, b, x, y)                                                                  \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x < y ? x : y;                                                                     \
	})
#define MMSIM_LARGER(a, b, x, y)                                                                   \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x > y ? x : y;                                                                     \
	})
#define min(a, b)                                                                                  \
	MMSIM_SMALLER(a, b, MMSIM_PASTE(min_a_, __COUNTER__), MMSIM_PASTE(min_b_, __COUNTER__))
#define max(a, b)                                                                                  \
	MMSIM_LARGER(a, b, MMSIM_PASTE(max_a_, __COUNTER__), MMSIM_PASTE(max_b_, __COUNTER__))

/* to: a power of two. */
#define ALIGN_DOWN(x, to) ((x) & ~((__typeof__(x))(to)-1))
#define ALIGN_UP(x, to) ALIGN_DOWN((x) + ((__typeof__(x))(to)-1), to)

/*
 * An invariant of the model is broken: print one line (and whatever the caller dumped before),
 * then abort(). Always on, unlike assert(), because a wrong result must never look like a result.
 */
NORETURN void mmsim_bug(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define MMSIM_BUG(...) mmsim_bug(__FILE__, __LINE__, __VA_ARGS__)
#define MMSIM_BUG_ON(cond)                                                                         \
	do {                                                                                       \
		if (unlikely(cond))                                                                \
			MMSIM_BUG("%s", #cond);                                                    \
	} while (0)

#endif
