/*
 * mmsim/anon_vma.h - reverse mapping of anonymous memory, and its part in VMA merging
 *
 * Models Linux's mm/rmap.c: an anon_vma groups VMAs whose pages may be found through it; each VMA
 * has a chain of links (anon_vma_chain) to its own anon_vma and those of its ancestors over fork.
 * A merge depends on them (docs/SEMANTICS.md), so their whole life is modelled.
 *
 * Locks: links of one VMA: mmap_lock W, or mmap_lock R with page_table_lock (prepare). Links of
 * one anon_vma, num_children, num_active_vmas: the root's rwsem.
 */
#ifndef MMSIM_ANON_VMA_H
#define MMSIM_ANON_VMA_H

#include <mmsim/list.h>
#include <mmsim/rwsem.h>
#include <mmsim/vma.h>

struct anon_vma {
	struct anon_vma *root, *parent;
	struct rwsem rwsem;		/* the root's is the one that is used */
	atomic_t refcount;		/* children's roots, pages in migration: here, roots */
	u32 num_children;		/* (rwsem) anon_vmas whose parent is this one, itself included for a root */
	u32 num_active_vmas;		/* (rwsem) VMAs whose vma->anon_vma is this one */
	struct list_head chain;		/* (rwsem) struct anon_vma_chain by same_anon_vma */
};

struct anon_vma_chain {
	struct vma *vma;
	struct anon_vma *anon_vma;
	struct list_head same_vma;	/* vma->anon_vma_chain */
	struct list_head same_anon_vma;	/* anon_vma->chain */
};

/*
 * Give vma an anon_vma if it has none: borrow a neighbour's or make one. Caller holds the
 * address-space lock over vma and its neighbours, for read at least. 0 or -ENOMEM.
 */
int MUST_CHECK anon_vma_prepare(struct vma *vma);
/* dst becomes linked to all of src's; dst->anon_vma is set by the caller beforehand (split, merge,
 * mremap: same as src's) or NULL (fork: may pick one to reuse). 0 or -ENOMEM, nothing linked. */
int MUST_CHECK anon_vma_clone(struct vma *dst, struct vma *src);
/* fork: clone the parent's chain, then reuse or create dst's own. 0 or -ENOMEM. */
int MUST_CHECK anon_vma_fork(struct vma *dst, struct vma *src);
/* Unlink vma from everything; frees what nobody links to any more. */
void unlink_anon_vmas(struct vma *vma);

#endif
