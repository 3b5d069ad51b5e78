/*
 * mmsim/rbtree.h - intrusive red-black trees, with an optional augmented value per node
 *
 * The user embeds struct rb_node, descends by hand to find the place of a new node, links it there
 * (rb_link_node) and has the tree balanced (rb_insert_color...). The tree knows no keys.
 *
 * Augmented values: something that is computed from a node and its children (the largest end or gap
 * in its subtree). compute(node) works it out anew, stores it in the node, and tells whether it
 * changed; the tree calls it wherever a subtree changes, children first. Who changes a node's own
 * contribution in place calls rb_augment_propagate().
 *
 * Locking      the user's, for everything that writes, and for rb_first/last/next/prev.
 * Lockless     a descent by left and right alone (rcu_dereference) may run beside one writer, if
 *              nodes are freed after a grace period. It ends, and every node that it meets is or was
 *              in the tree; it may miss nodes that a rotation moves out of its way (validate with a
 *              sequence count). Parents and augmented values mean nothing to it. rbtree.c says why.
 * Cost         O(log n); each node visited is charged in virtual time.
 * Tests        tests/unit/sim/test_rbtree.c
 */
#ifndef MMSIM_RBTREE_H
#define MMSIM_RBTREE_H

#include <mmsim/rcu.h>

struct rb_node {
	uintptr_t parent_color; /* the parent, and 1 if this node is black */
	struct rb_node *left;	/* (atomic) */
	struct rb_node *right;	/* (atomic) */
};

struct rb_root {
	struct rb_node *node; /* (atomic) */
};

struct rb_augment {
	bool (*compute)(struct rb_node *node);
};

#define rb_entry(ptr, type, member) container_of(ptr, type, member)

static inline void rb_root_init(struct rb_root *root)
{
	WRITE_ONCE(root->node, NULL);
}

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_color & ~(uintptr_t)1);
}

/* node becomes a red leaf at *link, which is parent's left or right (or root->node: parent NULL),
 * and was NULL. To be followed by rb_insert_color[_augmented](). Publishes: lockless readers see
 * what the caller wrote to the node before. */
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->parent_color = (uintptr_t)parent;
	WRITE_ONCE(node->left, NULL);
	WRITE_ONCE(node->right, NULL);
	rcu_assign_pointer(*link, node);
}

/* augment: NULL for none; the same in all calls for one tree. The node's own value need not be
 * computed before. */
void rb_insert_color_augmented(struct rb_node *node, struct rb_root *root,
			       const struct rb_augment *augment);
/* The erased node keeps its pointers to its children: a lockless reader may stand on it. */
void rb_erase_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *augment);
/* node's own part of the augmented value changed: recompute it and its ancestors', as far as needed.
 * node may be NULL. */
void rb_augment_propagate(struct rb_node *node, const struct rb_augment *augment);

static inline void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	rb_insert_color_augmented(node, root, NULL);
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	rb_erase_augmented(node, root, NULL);
}

/* In order; NULL at the end, or when the tree is empty. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#endif
