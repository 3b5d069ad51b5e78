/*
 * mm/i_mmap.c - a file's mappings, by the pages of the file that they map: an interval tree
 *
 * Models       mapping->i_mmap and mm/interval_tree.c of Linux.
 * Shape        A red-black tree by a VMA's first page of the file; each node knows the last page that any
 *              VMA below it maps. Of equals the later one goes behind: a child's VMA is met after its
 *              parent's, which truncation relies on (truncate.c).
 * Locks        i_mmap_rwsem: for write to link and unlink, and to change start, end or pgoff of a VMA,
 *              which has to be out of the tree meanwhile; for read to look.
 * Tests        tests/unit/mm/test_truncate.c
 */
#include "mm/internal.h"

static struct vma *node_vma(const struct rb_node *node)
{
	return rb_entry((struct rb_node *)node, struct vma, i_mmap_rb);
}

/* The last page of the file that the VMA maps. */
static u64 vma_last_pgoff(const struct vma *vma)
{
	line_read(vma, start);
	return vma->pgoff + vma_pages(vma, memory_of(this_cpu()->machine)->page_shift) - 1;
}

static u64 subtree_last(const struct rb_node *node)
{
	if (!node)
		return 0;
	line_read(node_vma(node), i_mmap_last);
	return node_vma(node)->i_mmap_last;
}

static bool compute_last(struct rb_node *node)
{
	struct vma *vma = node_vma(node);
	u64 last = vma_last_pgoff(vma);

	line_read(node, left);
	last = max(last, subtree_last(node->left));
	last = max(last, subtree_last(node->right));
	line_read(vma, i_mmap_last);
	if (vma->i_mmap_last == last)
		return false;
	line_write(vma, i_mmap_last);
	vma->i_mmap_last = last;
	return true;
}

static const struct rb_augment last_augment = {compute_last};

void i_mmap_insert(struct mapping *mapping, struct vma *vma)
{
	struct rb_node **link = &mapping->i_mmap.node, *parent = NULL;
	u64 last = vma_last_pgoff(vma);

	line_write(vma, i_mmap_rb);
	line_write(mapping, i_mmap);
	while (*link) {
		parent = *link;
		line_read(node_vma(parent), start);
		line_read(parent, left);
		link = vma->pgoff < node_vma(parent)->pgoff ? &parent->left : &parent->right;
	}
	vma->i_mmap_last = last;
	rb_link_node(&vma->i_mmap_rb, parent, link);
	rb_augment_propagate(parent, &last_augment);
	rb_insert_color_augmented(&vma->i_mmap_rb, &mapping->i_mmap, &last_augment);
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE))
		mapping->writable_shared++;
}

void i_mmap_remove(struct mapping *mapping, struct vma *vma)
{
	line_write(vma, i_mmap_rb);
	line_write(mapping, i_mmap);
	rb_erase_augmented(&vma->i_mmap_rb, &mapping->i_mmap, &last_augment);
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE))
		mapping->writable_shared--;
}

/* The first VMA of node's subtree that maps a page of [first, last], whose subtree reaches first. */
static struct vma *subtree_first(const struct rb_node *node, u64 first, u64 last)
{
	while (node) {
		struct vma *vma = node_vma(node);

		line_read(node, left);
		if (node->left && subtree_last(node->left) >= first) {
			/* If the one that reaches first begins behind last, so does all that follows. */
			node = node->left;
			continue;
		}
		line_read(vma, start);
		if (vma->pgoff > last)
			return NULL;
		if (vma_last_pgoff(vma) >= first)
			return vma;
		if (!node->right || subtree_last(node->right) < first)
			return NULL;
		node = node->right;
	}
	return NULL;
}

struct vma *i_mmap_first(const struct mapping *mapping, u64 first, u64 last)
{
	const struct rb_node *root;

	line_read(mapping, i_mmap);
	root = mapping->i_mmap.node;
	return root && subtree_last(root) >= first ? subtree_first(root, first, last) : NULL;
}

struct vma *i_mmap_next(struct vma *vma, u64 first, u64 last)
{
	const struct rb_node *node = &vma->i_mmap_rb, *below;

	line_read(vma, i_mmap_rb);
	for (;;) {
		struct vma *up;

		if (node->right && subtree_last(node->right) >= first)
			return subtree_first(node->right, first, last);
		/* Up to the next one that this subtree lies to the left of. */
		do {
			below = node;
			node = rb_parent(node);
			if (!node)
				return NULL;
			line_read(node, left);
		} while (node->right == below);
		up = node_vma(node);
		line_read(up, start);
		if (up->pgoff > last)
			return NULL;
		if (vma_last_pgoff(up) >= first)
			return up;
	}
}
