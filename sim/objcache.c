/*
 * sim/objcache.c - caches of equal-sized objects: slabs, a depot, magazines per CPU
 *
 * Models       Linux's kmem_cache as the modelled kernel uses it; the structure is Bonwick's
 *              magazines. Each CPU has two magazines of MAGAZINE_OBJECTS: the one in use, and a
 *              spare that is full or empty, so that a CPU alternating around a boundary does not go
 *              to the depot each time. The depot (one lock per cache) exchanges whole magazines.
 *              Slabs come from the engine (native: a jemalloc arena of the cache's own; virtual:
 *              the machine's region) and are cut once.
 * Guarantee    The steady state takes no lock and allocates nothing. An object starts on its
 *              alignment, and shares no cache line with another if it is larger than half a line.
 *              Slab memory goes back to the host only in objcache_destroy(), for type-stable caches
 *              after a grace period: that is what makes them type-stable.
 * Sanitizers   (MMSIM_SANITIZED) native: no jemalloc; an object of a cache that is not type-stable is
 *              an allocation of its own, so that use after free and overflow show. virtual: free
 *              objects are poisoned.
 * Lock order   depot_lock is a LEAF. The constructor runs under it, and takes no locks.
 * Fails        NULL when the host has no memory.
 */
#include "sim/engine.h"

#include <mmsim/charge.h>
#include <mmsim/objcache.h>

#include <stdlib.h>
#include <string.h>

#define MAGAZINE_OBJECTS 32
#define SLAB_BYTES_MIN (64u << 10)
#define SLAB_OBJECTS_MIN 8

struct magazine {
	struct magazine *next; /* (depot_lock) */
	u32 count;
	void *objects[MAGAZINE_OBJECTS];
};

/* Per CPU; the CPU's own but for `live`, which others read. */
struct cpu_cache {
	struct magazine *loaded, *spare; /* NULL until first used */
	s64 live;                        /* (atomic) allocated minus freed here */
};

struct slab {
	struct slab *next;
	char *mem;
};

struct objcache {
	struct machine *machine;
	char name[32];
	u32 size_bytes, align, stride_bytes;
	u32 flags;
	void (*ctor)(void *obj);
	percpu_t cpu_caches;
	struct slab_source source;
#if defined(MMSIM_ENGINE_VIRTUAL)
	const struct obj_layout *layout; /* names of the objects' fields, or NULL */
#endif

	spinlock_t depot_lock __cacheline_aligned;
	struct magazine *full, *empty; /* (depot_lock) */
	struct slab *slabs;            /* (depot_lock) the first one is being cut */
	u32 slab_cut_bytes;            /* (depot_lock) of the first slab */
};

/* ---- names, for reports ------------------------------------------------------------------------ */

#if defined(MMSIM_ENGINE_VIRTUAL)
#include "sim/virtual/names.h"

static void slab_name(const struct objcache *c, const struct slab *slab)
{
	names_add(c->machine, slab->mem, c->source.slab_bytes, c->stride_bytes, c->name, c->layout);
}

static void slab_forget(const struct objcache *c, const struct slab *slab)
{
	names_remove(c->machine, slab->mem);
}

static const struct obj_field cache_fields[] = {
	OBJ_FROM(0, "kmem_cache"),
	OBJ_FIELD(struct objcache, depot_lock, "kmem_cache->list_lock"),
};
static const struct obj_layout cache_layout = { sizeof(struct objcache), ARRAY_SIZE(cache_fields),
						cache_fields };

static void cache_name(struct objcache *c)
{
	region_set_layout(c->machine, c, sizeof(*c), &cache_layout);
}

void objcache_set_layout(struct objcache *c, const struct obj_layout *layout)
{
	if (c->layout == layout)
		return;
	c->layout = layout;
	names_set_layout(c->machine, c->name, layout);
}
#else
#define slab_name(c, slab) ((void)0)
#define cache_name(c) ((void)0)
#define slab_forget(c, slab) ((void)0)
#endif

/* ---- freed memory, for a sanitizer ----------------------------------------------------------- */

#if defined(MMSIM_SANITIZED) && defined(MMSIM_ENGINE_VIRTUAL)
/* Objects must lie where they lie without a sanitizer: so it is told which of them are free. */
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define object_hide(c, obj)                                                                        \
	((c)->flags & OBJCACHE_TYPESAFE ? (void)0 : __asan_poison_memory_region((obj), (c)->size_bytes))
#define object_show(c, obj) __asan_unpoison_memory_region((obj), (c)->size_bytes)
#else
#define object_hide(c, obj) ((void)0)
#define object_show(c, obj) ((void)0)
#endif

static bool object_is_own_allocation(const struct objcache *c)
{
	return slab_objects_are_separate && !(c->flags & OBJCACHE_TYPESAFE);
}

/* ---- life ---------------------------------------------------------------------------------- */

static u32 natural_align(u32 size_bytes)
{
	u32 align = 8;

	while (align < size_bytes && align < MMSIM_CACHE_LINE_BYTES)
		align *= 2;
	return align;
}

struct objcache *objcache_create(struct machine *m, const char *name, u32 size_bytes, u32 align,
				 u32 flags, void (*ctor)(void *obj))
{
	struct objcache *c = machine_memory_alloc(m, sizeof(*c), MMSIM_CACHE_LINE_BYTES);

	if (!c)
		return NULL;
	if (align == 0)
		align = natural_align(size_bytes);
	if (size_bytes == 0 || align > SLAB_ALIGN_BYTES || (align & (align - 1)))
		MMSIM_BUG("objcache %s: %u bytes aligned to %u", name, size_bytes, align);
	c->machine = c->source.machine = m;
	strncpy(c->name, name, sizeof(c->name) - 1);
	c->size_bytes = size_bytes;
	c->align = max(align, (u32)sizeof(void *));
	c->stride_bytes = ALIGN_UP(size_bytes, c->align);
	c->source.slab_bytes =
		ALIGN_UP(max(SLAB_BYTES_MIN, c->stride_bytes * SLAB_OBJECTS_MIN), SLAB_ALIGN_BYTES);
	c->flags = flags;
	c->ctor = ctor;
	spin_lock_init(&c->depot_lock, LOCK_RANK_LEAF);
	cache_name(c);
	c->cpu_caches = percpu_alloc(m, sizeof(struct cpu_cache), sizeof(void *));
	if (!c->cpu_caches)
		goto fail;
	if (slab_source_create(&c->source) == 0)
		return c;
	percpu_free(m, c->cpu_caches, sizeof(struct cpu_cache));
fail:
	machine_memory_free(m, c, sizeof(*c));
	return NULL;
}

static struct cpu_cache *cpu_cache_of(const struct objcache *c, u32 cpu)
{
	return per_cpu_ptr(c->cpu_caches, struct cpu_cache, machine_cpu(c->machine, cpu));
}

u64 objcache_live(const struct objcache *c)
{
	s64 live = 0;

	for (u32 i = 0; i < machine_cpu_count(c->machine); i++)
		live += READ_ONCE(cpu_cache_of(c, i)->live);
	return (u64)live;
}

static void free_magazines(struct magazine *mag)
{
	while (mag) {
		struct magazine *next = mag->next;

		free(mag);
		mag = next;
	}
}

void objcache_destroy(struct objcache *c)
{
	u64 live = objcache_live(c);

	if (live)
		MMSIM_BUG("objcache %s: %lld objects leaked", c->name, (long long)live);
	if (c->flags & OBJCACHE_TYPESAFE)
		sim_synchronize_rcu();
	for (u32 i = 0; i < machine_cpu_count(c->machine); i++) {
		struct cpu_cache *cc = cpu_cache_of(c, i);

		free(cc->loaded);
		free(cc->spare);
	}
	free_magazines(c->full);
	free_magazines(c->empty);
	for (struct slab *slab = c->slabs, *next; slab; slab = next) {
		next = slab->next;
		slab_forget(c, slab);
		slab_free(&c->source, slab->mem);
		free(slab);
	}
	slab_source_destroy(&c->source);
	percpu_free(c->machine, c->cpu_caches, sizeof(struct cpu_cache));
	machine_memory_free(c->machine, c, sizeof(*c));
}

/* ---- the slow paths: depot and slabs ------------------------------------------------------- */

/* depot_lock is held. False: no memory. */
static bool new_slab(struct objcache *c)
{
	struct slab *slab = malloc(sizeof(*slab));

	if (!slab)
		return false;
	slab->mem = slab_alloc(&c->source);
	if (!slab->mem) {
		free(slab);
		return false;
	}
	slab_name(c, slab);
	slab->next = c->slabs;
	c->slabs = slab;
	c->slab_cut_bytes = 0;
	return true;
}

/* Cut fresh objects into mag, which is empty. depot_lock is held. */
static void cut_objects(struct objcache *c, struct magazine *mag)
{
	line_read(c, stride_bytes);
	line_read(c, source);
	while (mag->count < MAGAZINE_OBJECTS) {
		char *obj;

		if (!c->slabs || c->slab_cut_bytes + c->stride_bytes > c->source.slab_bytes) {
			/* One new slab per refill is enough; none at all is no memory. */
			if (mag->count || !new_slab(c))
				return;
		}
		obj = c->slabs->mem + c->slab_cut_bytes;
		c->slab_cut_bytes += c->stride_bytes;
		if (c->ctor)
			c->ctor(obj);
		object_hide(c, obj);
		mag->objects[mag->count++] = obj;
	}
}

/* Both magazines of a CPU exist from its first use on. */
static bool have_magazines(struct cpu_cache *cc)
{
	if (!cc->loaded)
		cc->loaded = calloc(1, sizeof(struct magazine));
	if (!cc->spare)
		cc->spare = calloc(1, sizeof(struct magazine));
	return cc->loaded && cc->spare;
}

static void swap_magazines(struct cpu_cache *cc)
{
	struct magazine *mag = cc->loaded;

	cc->loaded = cc->spare;
	cc->spare = mag;
}

/* The loaded magazine is empty: get a fuller one. False: no memory. */
static NOINLINE bool load_full(struct objcache *c, struct cpu_cache *cc)
{
	struct magazine *mag;

	if (!have_magazines(cc))
		return false;
	if (cc->spare->count) {
		swap_magazines(cc);
		return true;
	}
	spin_lock(&c->depot_lock);
	mag = c->full;
	if (mag) {
		c->full = mag->next;
		cc->loaded->next = c->empty;
		c->empty = cc->loaded;
		cc->loaded = mag;
	} else {
		cut_objects(c, cc->loaded);
	}
	spin_unlock(&c->depot_lock);
	return cc->loaded->count != 0;
}

/* The loaded magazine is full: get an empty one. */
static NOINLINE void load_empty(struct objcache *c, struct cpu_cache *cc)
{
	struct magazine *mag;

	if (!have_magazines(cc))
		MMSIM_BUG("objcache %s: the host has no memory for a magazine", c->name);
	if (cc->loaded->count < MAGAZINE_OBJECTS)
		return;
	if (!cc->spare->count) {
		swap_magazines(cc);
		return;
	}
	spin_lock(&c->depot_lock);
	mag = c->empty;
	if (mag)
		c->empty = mag->next;
	spin_unlock(&c->depot_lock);
	if (!mag)
		mag = calloc(1, sizeof(*mag));
	if (!mag)
		MMSIM_BUG("objcache %s: the host has no memory for a magazine", c->name);
	spin_lock(&c->depot_lock);
	cc->spare->next = c->full;
	c->full = cc->spare;
	spin_unlock(&c->depot_lock);
	cc->spare = cc->loaded;
	cc->loaded = mag;
}

/* ---- the fast paths ------------------------------------------------------------------------ */

static void *alloc_own(struct objcache *c)
{
	void *obj = aligned_alloc(c->align, c->stride_bytes);

	if (obj && c->ctor)
		c->ctor(obj);
	return obj;
}

static inline void count_live(struct cpu_cache *cc, s64 n)
{
	s64 live = cc->live + n;

	WRITE_UNPRICED(cc->live, live); /* a statistic; the line has been charged */
}

void *objcache_alloc(struct objcache *c)
{
	struct cpu_cache *cc;
	void *obj = NULL;

	preempt_disable();
	line_read(c, cpu_caches);
	cc = this_cpu_ptr(c->cpu_caches, struct cpu_cache);
	line_write(cc, loaded);
	if (object_is_own_allocation(c))
		obj = alloc_own(c);
	else if (likely(cc->loaded && cc->loaded->count) || load_full(c, cc))
		obj = cc->loaded->objects[--cc->loaded->count];
	if (likely(obj)) {
		object_show(c, obj);
		count_live(cc, 1);
	}
	preempt_enable();
	return obj;
}

void objcache_free(struct objcache *c, void *obj)
{
	struct cpu_cache *cc;

	preempt_disable();
	line_read(c, cpu_caches);
	cc = this_cpu_ptr(c->cpu_caches, struct cpu_cache);
	line_write(cc, loaded);
	count_live(cc, -1);
	if (object_is_own_allocation(c)) {
		free(obj);
	} else {
		object_hide(c, obj);
		if (unlikely(!cc->loaded || cc->loaded->count == MAGAZINE_OBJECTS))
			load_empty(c, cc);
		cc->loaded->objects[cc->loaded->count++] = obj;
	}
	preempt_enable();
}
