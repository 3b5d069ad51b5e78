/*
 * mm/page_internal.h - what page_alloc.c, lru.c, filemap.c and memory_init.c share
 */
#ifndef MMSIM_MM_PAGE_INTERNAL_H
#define MMSIM_MM_PAGE_INTERNAL_H

#include "mm/internal.h"

#define PAGE_WAIT_QUEUES 256 /* power of two */

/* All return 0 or -ENOMEM; *_destroy() frees what *_init() took. mem->machine is set. */
int MUST_CHECK zones_init(struct memory *mem);
void zones_destroy(struct memory *mem);
/* Which frames each node has. First of all. */
void memory_split(struct memory *mem);
/* node may be one too many: then one past the last frame of all. */
u64 node_first_frame(const struct memory *mem, u32 node);
/* A frame that is never given back: flags RESERVED and UPTODATE, refcount 1. Set-up only. */
struct page *zone_take_reserved(const struct memory *mem);
/* 2^order frames of this node, aligned to that, for a pool; or NULL. Likewise, the largest first. */
struct page *zone_take_huge(const struct memory *mem, u32 node, u32 order);

int MUST_CHECK lru_init(struct memory *mem);
void lru_destroy(struct memory *mem);

int MUST_CHECK filemap_machine_init(struct mm_machine *mmm);
void filemap_machine_destroy(struct mm_machine *mmm);

#endif
