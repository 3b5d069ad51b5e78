/*
 * sim/engine.h - what the engine-neutral files of sim/ ask of the engine they are compiled for
 */
#ifndef MMSIM_SIM_ENGINE_H
#define MMSIM_SIM_ENGINE_H

#include <mmsim/cpu.h>
#include <mmsim/percpu.h>
#include <mmsim/spinlock.h>

#define PERCPU_CLASS_COUNT 13 /* 8 bytes .. 32 KiB */

/* percpu.c: which parts of the per-CPU areas are taken. One per machine, zeroed by the engine. */
struct percpu_books {
	spinlock_t lock;
	u32 top;                           /* (lock) */
	percpu_t free[PERCPU_CLASS_COUNT]; /* (lock) linked through CPU 0's copy */
};
struct percpu_books *machine_percpu_books(struct machine *m);
void percpu_books_init(struct percpu_books *b);

/*
 * objcache.c: where slabs come from. A source belongs to one cache.
 *   objects_are_separate   every object of a cache that is not type-stable is an allocation of its
 *                          own (a sanitizer watches it): no slabs for it then
 */
struct slab_source {
	struct machine *machine;
	u32 slab_bytes;
	unsigned int arena; /* native */
};
#define SLAB_ALIGN_BYTES 4096u
#if defined(MMSIM_SANITIZED) && defined(MMSIM_ENGINE_NATIVE)
#define slab_objects_are_separate true
#else
#define slab_objects_are_separate false
#endif
int MUST_CHECK slab_source_create(struct slab_source *s); /* 0 or -errno */
char *slab_alloc(struct slab_source *s);                  /* aligned to SLAB_ALIGN_BYTES; NULL: no memory */
void slab_free(struct slab_source *s, char *slab);
void slab_source_destroy(struct slab_source *s);

#endif
