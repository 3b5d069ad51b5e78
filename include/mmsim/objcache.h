/*
 * mmsim/objcache.h - caches of equal-sized objects (Linux: kmem_cache)
 *
 * native: cache-line aligned slabs from a jemalloc arena of the cache's own, with per-CPU magazines
 * in front, so that the steady state neither locks nor allocates. Under a sanitizer every object
 * is an allocation of its own, so that use after free shows (not with OBJCACHE_TYPESAFE, whose
 * meaning is that it does not).
 */
#ifndef MMSIM_OBJCACHE_H
#define MMSIM_OBJCACHE_H

#include <mmsim/cpu.h>

struct objcache;

enum objcache_flags {
	/* Freed memory may be reused at once for an object of the same cache, but stays of that
	 * type until a grace period has passed (SLAB_TYPESAFE_BY_RCU): readers must re-check
	 * identity. The constructor runs once per piece of memory, not per allocation. */
	OBJCACHE_TYPESAFE = 1,
};

/* align: 0 for the natural one. ctor may be NULL. NULL: no memory. */
struct objcache *objcache_create(struct machine *m, const char *name, u32 size_bytes, u32 align,
				 u32 flags, void (*ctor)(void *obj));
/* Every object must have been freed (leaks are reported and stop: MMSIM_BUG). */
void objcache_destroy(struct objcache *c);
/* Not zeroed. NULL: the host has no memory. */
void *MUST_CHECK objcache_alloc(struct objcache *c);
void objcache_free(struct objcache *c, void *obj);
/* Objects that are now allocated (exact when no task runs): for leak checks. */
u64 objcache_live(const struct objcache *c);

#endif
