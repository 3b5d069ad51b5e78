/*
 * mm/anon_vma.c - the life of an anon_vma: given at the first write, copied by split and fork
 *
 * Models       Linux mm/rmap.c as far as it decides what a VMA is linked to: borrowing from a
 *              neighbour, chains over fork, reuse of an ancestor that nobody uses any more.
 * Leaves out   the interval tree inside an anon_vma (a list here): it only speeds up rmap walks.
 * Lock order   ANON_VMA (the root's rwsem) before PAGE_TABLE. A chain is changed under mmap_lock W,
 *              or, by anon_vma_prepare(), under mmap_lock R with page_table_lock.
 * Failure      -ENOMEM from the host's allocator; then nothing is linked.
 * Tests        tests/unit/mm/test_vma_cases.c (fork chains), tests/oracle (against the kernel)
 */
#include "mm/internal.h"

static struct anon_vma *anon_vma_alloc(struct mm *mm)
{
	struct anon_vma *av = objcache_alloc(mm->mmm->anon_vma_cache);

	if (!av)
		return NULL;
	lines_write(av, sizeof(*av));
	av->root = av;
	av->parent = av;
	rwsem_init(&av->rwsem, LOCK_RANK_ANON_VMA);
	atomic_set(&av->refcount, 1);
	av->num_children = 0;
	av->num_active_vmas = 0;
	list_init(&av->chain);
	return av;
}

/* Drop the chain's reference; the last child frees the root with it. */
static void anon_vma_put(struct mm *mm, struct anon_vma *av)
{
	struct anon_vma *root;

	line_read(av, root);
	root = av->root;
	if (!atomic_dec_and_test(&av->refcount))
		return;
	objcache_free(mm->mmm->anon_vma_cache, av);
	if (root != av && atomic_dec_and_test(&root->refcount))
		objcache_free(mm->mmm->anon_vma_cache, root);
}

/* Newest first in the VMA's chain. The root's rwsem is held for write. */
static void chain_link(struct vma *vma, struct anon_vma_chain *avc, struct anon_vma *av)
{
	line_write(avc, vma);
	line_write(vma, anon_vma_chain);
	line_write_ptr(vma->anon_vma_chain.next);
	line_write(av, chain);
	line_write_ptr(av->chain.prev);
	avc->vma = vma;
	avc->anon_vma = av;
	list_add(&avc->same_vma, &vma->anon_vma_chain);
	list_add_tail(&avc->same_anon_vma, &av->chain);
}

/* Could a and b, adjacent, be one VMA but for their rwx permissions? */
static bool anon_vma_compatible(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->file == b->file && !a->name && !b->name &&
	       !((a->flags ^ b->flags) & ~(u64)(VM_ACCESS_FLAGS | VM_SOFTDIRTY)) &&
	       b->pgoff == a->pgoff + vma_pages(a, a->mm->arch->page_shift);
}

/* The neighbour `old` lends its anon_vma if it belongs to no ancestor: a chain of length one. */
static struct anon_vma *borrow_from(struct vma *old, const struct vma *a, const struct vma *b)
{
	struct anon_vma *av;

	line_read(a, start);
	line_read(a, file);
	line_read(b, start);
	line_read(b, file);
	if (!anon_vma_compatible(a, b))
		return NULL;
	av = READ_ONCE(old->anon_vma);
	if (!av)
		return NULL;
	line_read(old, anon_vma_chain);
	return list_is_singular(&old->anon_vma_chain) ? av : NULL;
}

/*
 * A neighbour may get its own anon_vma at this moment (both faults hold mmap_lock for read), so
 * its chain is looked at under page_table_lock, under which that happens.
 */
static struct anon_vma *find_mergeable_anon_vma(struct vma *vma)
{
	struct mm *mm = vma->mm;
	struct vma *next = vma_above(vma), *prev = vma_below(vma);
	struct anon_vma *av = NULL;

	spin_lock(&mm->page_table_lock);
	if (next)
		av = borrow_from(next, vma, next);
	if (!av && prev)
		av = borrow_from(prev, prev, vma);
	spin_unlock(&mm->page_table_lock);
	return av;
}

int anon_vma_prepare(struct vma *vma)
{
	struct mm *mm = vma->mm;
	struct anon_vma *av, *fresh = NULL;
	struct anon_vma_chain *avc;

	if (READ_ONCE(vma->anon_vma))
		return 0;
	avc = objcache_alloc(mm->mmm->avc_cache);
	if (!avc)
		return -ENOMEM;
	av = find_mergeable_anon_vma(vma);
	if (!av) {
		fresh = anon_vma_alloc(mm);
		if (!fresh) {
			objcache_free(mm->mmm->avc_cache, avc);
			return -ENOMEM;
		}
		fresh->num_children = 1; /* a root is its own parent */
		av = fresh;
	}

	line_read(av, root);
	down_write(&av->root->rwsem);
	spin_lock(&mm->page_table_lock);
	line_write(vma, anon_vma);
	if (!vma->anon_vma) {
		chain_link(vma, avc, av);
		av->num_active_vmas++;
		/* Pairs with READ_ONCE in faults that hold only the VMA's lock: what they see is set up. */
		smp_store_release(&vma->anon_vma, av);
		fresh = NULL;
		avc = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	up_write(&av->root->rwsem);

	if (fresh)
		anon_vma_put(mm, fresh);
	if (avc)
		objcache_free(mm->mmm->avc_cache, avc);
	return 0;
}

/* dst has no anon_vma yet (fork): may it use this ancestor of its parent? */
static bool reusable_by_child(const struct vma *dst, const struct vma *src, const struct anon_vma *av)
{
	return !dst->anon_vma && src->anon_vma && av->num_children < 2 && av->num_active_vmas == 0;
}

int anon_vma_clone(struct vma *dst, struct vma *src)
{
	struct mm_machine *mmm = dst->mm->mmm;
	struct anon_vma_chain *pavc, *avc;

	line_read(src, anon_vma_chain);
	line_read(src, anon_vma);
	line_write(dst, anon_vma);
	list_for_each_entry_reverse (pavc, &src->anon_vma_chain, same_vma) {
		struct anon_vma *av;

		line_read(pavc, anon_vma);
		av = pavc->anon_vma;
		line_read(av, root);
		avc = objcache_alloc(mmm->avc_cache);
		if (!avc)
			goto undo;
		down_write(&av->root->rwsem);
		chain_link(dst, avc, av);
		if (reusable_by_child(dst, src, av))
			WRITE_ONCE(dst->anon_vma, av);
		up_write(&av->root->rwsem);
	}
	if (dst->anon_vma) {
		down_write(&dst->anon_vma->root->rwsem);
		line_write(dst->anon_vma, num_active_vmas);
		dst->anon_vma->num_active_vmas++;
		up_write(&dst->anon_vma->root->rwsem);
	}
	return 0;

undo:
	/* dst is not counted as active anywhere yet. */
	WRITE_ONCE(dst->anon_vma, NULL);
	unlink_anon_vmas(dst);
	return -ENOMEM;
}

int anon_vma_fork(struct vma *dst, struct vma *src)
{
	struct mm_machine *mmm = dst->mm->mmm;
	struct anon_vma *av;
	struct anon_vma_chain *avc;

	line_write(dst, anon_vma);
	dst->anon_vma = NULL;
	line_read(src, anon_vma);
	if (!src->anon_vma)
		return 0;
	if (anon_vma_clone(dst, src))
		return -ENOMEM;
	if (dst->anon_vma) /* an ancestor's was free to reuse */
		return 0;

	av = anon_vma_alloc(dst->mm);
	avc = objcache_alloc(mmm->avc_cache);
	if (!av || !avc) {
		if (av)
			anon_vma_put(dst->mm, av);
		if (avc)
			objcache_free(mmm->avc_cache, avc);
		unlink_anon_vmas(dst);
		return -ENOMEM;
	}
	line_read(src->anon_vma, root);
	av->root = src->anon_vma->root;
	av->parent = src->anon_vma;
	av->num_active_vmas = 1;
	atomic_inc(&av->root->refcount);

	down_write(&av->root->rwsem);
	chain_link(dst, avc, av);
	line_write(av->parent, num_children);
	av->parent->num_children++;
	WRITE_ONCE(dst->anon_vma, av);
	up_write(&av->root->rwsem);
	return 0;
}

void unlink_anon_vmas(struct vma *vma)
{
	struct mm_machine *mmm;
	struct anon_vma_chain *avc, *tmp;
	struct anon_vma *root;

	line_write(vma, anon_vma_chain);
	if (list_empty(&vma->anon_vma_chain))
		return;
	line_read(vma->mm, mmm);
	mmm = vma->mm->mmm;
	/* All anon_vmas of one chain have the same root. Newest to oldest, so that a child is counted
	 * out before its parent is looked at. */
	avc = list_first_entry(&vma->anon_vma_chain, struct anon_vma_chain, same_vma);
	line_read(avc, anon_vma);
	line_read(avc->anon_vma, root);
	root = avc->anon_vma->root;
	down_write(&root->rwsem);
	line_write(vma, anon_vma_chain);
	list_for_each_entry_safe (avc, tmp, &vma->anon_vma_chain, same_vma) {
		struct anon_vma *av = avc->anon_vma;

		line_write(avc, vma);
		line_write_ptr(avc->same_vma.next);
		line_write_neighbours(&avc->same_anon_vma);
		list_del_init(&avc->same_anon_vma);
		line_write(av, chain);
		if (list_empty(&av->chain)) { /* freed below, outside its root's lock */
			line_read(av, parent);
			line_write(av->parent, num_children);
			av->parent->num_children--;
			continue;
		}
		list_del_init(&avc->same_vma);
		objcache_free(mmm->avc_cache, avc);
	}
	line_read(vma, anon_vma);
	if (vma->anon_vma) {
		line_write(vma->anon_vma, num_active_vmas);
		vma->anon_vma->num_active_vmas--;
		WRITE_ONCE(vma->anon_vma, NULL);
	}
	up_write(&root->rwsem);

	list_for_each_entry_safe (avc, tmp, &vma->anon_vma_chain, same_vma) {
		struct anon_vma *av = avc->anon_vma;

		line_write(avc, same_vma);
		line_write(vma, anon_vma_chain);
		line_write_ptr(avc->same_vma.next);
		line_read(av, num_children);
		MMSIM_BUG_ON(av->num_children != 0);
		MMSIM_BUG_ON(av->num_active_vmas != 0);
		list_del_init(&avc->same_vma);
		objcache_free(mmm->avc_cache, avc);
		anon_vma_put(vma->mm, av);
	}
}
