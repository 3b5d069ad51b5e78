/*
 * sim/rbtree.c - red-black trees (rbtree.h)
 *
 * Rules: a red node has no red child; every way from the root to a missing child passes the same
 * number of black nodes. Each repair is written once, for both sides: `side` is where it happens,
 * !side the other one.
 *
 * Why a lockless descent ends: every store to a left or right pointer keeps "can be reached by left
 * and right pointers" free of cycles, at each moment and not only when the operation is over; and each
 * is a release, so a reader that follows a new pointer sees the stores before it. A rotation
 * first takes the lower node away from under the upper one, then hangs the upper one below it, then
 * publishes; an erase takes the successor from its old place before it gets the children of
 * the node that it replaces.
 */
#include <mmsim/charge.h>
#include <mmsim/rbtree.h>

enum side { LEFT, RIGHT };

#define BLACK ((uintptr_t)1)

static struct rb_node **link_of(struct rb_node *node, enum side side)
{
	return side == LEFT ? &node->left : &node->right;
}

/* Only a writer changes links, and the caller is it. */
static struct rb_node *child_of(struct rb_node *node, enum side side)
{
	return *link_of(node, side);
}

static void set_child(struct rb_node *node, enum side side, struct rb_node *child)
{
	rcu_assign_pointer(*link_of(node, side), child);
}

static bool is_red(const struct rb_node *node)
{
	if (!node)
		return false;
	line_read(node, parent_color);
	return !(node->parent_color & BLACK);
}

static void set_parent_color(struct rb_node *node, struct rb_node *parent, uintptr_t color)
{
	line_write(node, parent_color);
	node->parent_color = (uintptr_t)parent | color;
}

static void set_parent(struct rb_node *node, struct rb_node *parent)
{
	set_parent_color(node, parent, node->parent_color & BLACK);
}

static void set_color(struct rb_node *node, uintptr_t color)
{
	set_parent_color(node, rb_parent(node), color);
}

/* parent's (NULL: the root's) link to old leads to new instead. */
static void replace_child(struct rb_root *root, struct rb_node *parent, const struct rb_node *old,
			  struct rb_node *new)
{
	if (!parent)
		rcu_assign_pointer(root->node, new);
	else
		set_child(parent, parent->left == old ? LEFT : RIGHT, new);
}

/* ---- augmented values ---------------------------------------------------------------------- */

static void compute(struct rb_node *node, const struct rb_augment *augment)
{
	if (augment)
		(void)augment->compute(node);
}

/* Upwards from node, not including stop, until nothing changes any more. */
static void propagate(struct rb_node *node, const struct rb_node *stop,
		      const struct rb_augment *augment)
{
	if (!augment)
		return;
	while (node && node != stop && augment->compute(node))
		node = rb_parent(node);
}

void rb_augment_propagate(struct rb_node *node, const struct rb_augment *augment)
{
	propagate(node, NULL, augment);
}

/* ---- balance ------------------------------------------------------------------------------- */

/* upper goes down to `side`; its child on the other side takes its place. Colours stay theirs. */
static void rotate(struct rb_root *root, struct rb_node *upper, enum side side,
		   const struct rb_augment *augment)
{
	struct rb_node *lower = child_of(upper, !side);
	struct rb_node *inner = child_of(lower, side);
	struct rb_node *parent = rb_parent(upper);

	set_child(upper, !side, inner);
	if (inner)
		set_parent(inner, upper);
	set_child(lower, side, upper);
	set_parent(lower, parent);
	set_parent(upper, lower);
	replace_child(root, parent, upper, lower);
	compute(upper, augment);
	compute(lower, augment);
}

void rb_insert_color_augmented(struct rb_node *node, struct rb_root *root,
			       const struct rb_augment *augment)
{
	struct rb_node *parent = rb_parent(node);

	compute(node, augment);
	propagate(parent, NULL, augment);
	/* node is red; all is well but for its parent, which may be red too. */
	while (is_red(parent)) {
		struct rb_node *grandparent = rb_parent(parent); /* a red node is not the root */
		enum side side = grandparent->left == parent ? LEFT : RIGHT;
		struct rb_node *uncle = child_of(grandparent, !side);

		if (is_red(uncle)) {
			set_color(parent, BLACK);
			set_color(uncle, BLACK);
			set_color(grandparent, 0);
			node = grandparent;
			parent = rb_parent(node);
			continue;
		}
		if (child_of(parent, !side) == node) {
			rotate(root, parent, side, augment);
			parent = node;
		}
		set_color(parent, BLACK);
		set_color(grandparent, 0);
		rotate(root, grandparent, !side, augment);
		return;
	}
	if (!parent)
		set_color(node, BLACK);
}

/* The ways through node (NULL: a missing child), a child of parent, lack one black node. */
static void add_black(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
		      const struct rb_augment *augment)
{
	while (parent && !is_red(node)) {
		/* The sibling exists: its side has one black node more than ours. */
		enum side side = parent->left == node ? LEFT : RIGHT;
		struct rb_node *sibling = child_of(parent, !side);

		if (is_red(sibling)) {
			set_color(sibling, BLACK);
			set_color(parent, 0);
			rotate(root, parent, side, augment);
			sibling = child_of(parent, !side);
		}
		if (!is_red(sibling->left) && !is_red(sibling->right)) {
			set_color(sibling, 0);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(child_of(sibling, !side))) {
			set_color(child_of(sibling, side), BLACK);
			set_color(sibling, 0);
			rotate(root, sibling, !side, augment);
			sibling = child_of(parent, !side);
		}
		set_color(sibling, parent->parent_color & BLACK);
		set_color(parent, BLACK);
		set_color(child_of(sibling, !side), BLACK);
		rotate(root, parent, side, augment);
		return;
	}
	if (node)
		set_color(node, BLACK);
}

/* ---- erase --------------------------------------------------------------------------------- */

static struct rb_node *outermost(struct rb_node *node, enum side side)
{
	line_read(node, parent_color);
	while (child_of(node, side)) {
		node = child_of(node, side);
		line_read(node, parent_color);
	}
	return node;
}

/* node has one child at the most: it takes node's place. */
static void erase_simple(struct rb_node *node, struct rb_root *root, const struct rb_augment *augment)
{
	struct rb_node *child = node->left ? node->left : node->right;
	struct rb_node *parent = rb_parent(node);

	if (child)
		set_parent(child, parent);
	replace_child(root, parent, node, child);
	propagate(parent, NULL, augment);
	if (!is_red(node))
		add_black(root, child, parent, augment);
}

/* node has two children: the next node in order, which has no left child, takes its place. */
static void erase_inner(struct rb_node *node, struct rb_root *root, const struct rb_augment *augment)
{
	struct rb_node *next = outermost(node->right, LEFT);
	struct rb_node *orphan = next->right;
	struct rb_node *orphan_parent = rb_parent(next);
	bool lost_black = !is_red(next);

	if (orphan_parent == node) {
		orphan_parent = next;
	} else {
		set_child(orphan_parent, LEFT, orphan);
		if (orphan)
			set_parent(orphan, orphan_parent);
		set_child(next, RIGHT, node->right);
		set_parent(node->right, next);
	}
	set_child(next, LEFT, node->left);
	set_parent(node->left, next);
	set_parent_color(next, rb_parent(node), node->parent_color & BLACK);
	replace_child(root, rb_parent(node), node, next);
	/* next's value is of its old place: whatever comes out, those above have not seen it. */
	propagate(orphan_parent, next, augment);
	compute(next, augment);
	propagate(rb_parent(next), NULL, augment);
	if (lost_black)
		add_black(root, orphan, orphan_parent, augment);
}

void rb_erase_augmented(struct rb_node *node, struct rb_root *root, const struct rb_augment *augment)
{
	if (node->left && node->right)
		erase_inner(node, root, augment);
	else
		erase_simple(node, root, augment);
}

/* ---- in order ------------------------------------------------------------------------------ */

struct rb_node *rb_first(const struct rb_root *root)
{
	return root->node ? outermost(root->node, LEFT) : NULL;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return root->node ? outermost(root->node, RIGHT) : NULL;
}

static struct rb_node *neighbour(const struct rb_node *node, enum side side)
{
	struct rb_node *here = (struct rb_node *)node;
	struct rb_node *parent;

	if (child_of(here, side))
		return outermost(child_of(here, side), !side);
	for (parent = rb_parent(here); parent; here = parent, parent = rb_parent(here)) {
		line_read(parent, parent_color);
		if (child_of(parent, side) != here)
			break;
	}
	return parent;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return neighbour(node, RIGHT);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return neighbour(node, LEFT);
}
