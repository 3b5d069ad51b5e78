/*
 * mm/filemap_internal.h - the page cache as file.c and the file fault handlers see it
 */
#ifndef MMSIM_MM_FILEMAP_INTERNAL_H
#define MMSIM_MM_FILEMAP_INTERNAL_H

#include "mm/internal.h"

/* Drop the cache's reference to every page and free the tree. The inode has no user left. */
void mapping_free_pages(struct mapping *mapping);

/* Drop every page from `first` on: each leaves the cache under its lock. May sleep. */
void mapping_drop_pages(struct mapping *mapping, u64 first);

/* Does page `index` lie wholly beyond the end of the file? */
bool filemap_beyond_end(const struct memory *mem, const struct inode *inode, u64 index);

/* A walk over neighbouring pages, for fault-around. Valid inside one RCU reader. */
struct filemap_cursor {
	const struct memory *mem;
	struct mapping *mapping;
	struct radix_node *leaf; /* where the last look-up ended; NULL: nowhere yet */
	u64 leaf_index;
};
/* Page `index` if it is cached, up to date, and nobody has it locked: locked by us and with a
 * reference. NULL otherwise. Never sleeps. */
struct page *filemap_next_mappable(struct filemap_cursor *c, u64 index);

#endif
