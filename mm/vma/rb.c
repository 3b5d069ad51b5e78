/*
 * mm/vma/rb.c - the VMA tree of Linux before 6.1: a red-black tree with gaps, and a list in order
 *
 * Models       mm->mm_rb with vm_next, vm_prev and rb_subtree_gap; mm_seq of the speculative page
 *              fault series, under which the tree is walked without a lock.
 * Shape        A node is a part of its VMA (struct vma_rb): its range, its neighbours in order, its
 *              links, and the largest gap before any VMA of its subtree. What lies behind the last VMA
 *              is no VMA's gap: t->end.prev tells it. t->end, whose `last` is ~0, closes the list at
 *              both ends: so the gap before a VMA is always first - (prev->last + 1).
 * Writers      One at a time. A store searches first, and then makes all its changes - erased
 *              VMAs, cut ranges, the new range, balance, gaps - inside one write section of t->seq,
 *              with preemption off (who repeats its walk until the writer is through must not take
 *              the CPU that the writer needs). It allocates nothing and cannot fail.
 * Readers      with writers excluded: plain walks.
 *              load_rcu, find_rcu: walk, and repeat if a writer was inside. That is right because
 *              - no walk leaves memory that is a VMA: a VMA found by a link was in a tree since the
 *                reader began, and its memory stays a VMA for as long as the reader stays (freed by
 *                RCU or SRCU, or type-stable: then it may be another one meanwhile, of another mm:
 *                nothing but a store changes a vma_rb, so what is read is a key or a link that some
 *                tree had);
 *              - it ends: a writer may lead it in circles through recycled VMAs, but no tree is higher
 *                than RCU_DEPTH_MAX, and a longer way is a torn one;
 *              - what it finds is true: an unmoved, even sequence means that from the first load to
 *                the last no range, link or root of this tree changed; so no VMA on the way has left
 *                it, let alone entered another.
 * Death        What a store has erased is marked (vma_is_dead()) after the write section: before that
 *              it can still be found, and must not look dead to one who found it rightly.
 * Leaves out   vmacache, the four VMAs per task that find_vma() of that era asked first.
 * Tests        tests/unit/mm/vma/test_trees.c; tests/bench/bench_vma_tree.c; docs/TREES.md
 */
#include <mmsim/charge.h>
#include <mmsim/preempt.h>
#include <mmsim/vma.h>

_Static_assert(sizeof(struct vma_rb) == MMSIM_CACHE_LINE_BYTES, "a walk reads one line per VMA");

/* Twice the logarithm of the number of VMAs, of which fewer than 2^40 fit. */
#define RCU_DEPTH_MAX 80

static inline struct vma_rb *node_rb(const struct rb_node *node)
{
	return rb_entry((struct rb_node *)node, struct vma_rb, node);
}

static inline struct vma *rb_vma(const struct vma_rb *rb)
{
	return container_of((struct vma_rb *)rb, struct vma, rb);
}

/* NULL at the end of the list. */
static inline struct vma *listed_vma(const struct vma_tree *t, const struct vma_rb *rb)
{
	return rb == &t->end ? NULL : rb_vma(rb);
}

/* ---- readers, writers excluded ------------------------------------------------------------- */

/* The first one that ends at or above addr; t->end: none. */
static const struct vma_rb *lower_bound(const struct vma_tree *t, u64 addr)
{
	const struct vma_rb *best = &t->end;
	const struct rb_node *node;

	line_read(t, rb);
	node = t->rb.node;
	while (node) {
		const struct vma_rb *rb = node_rb(node);

		line_read(rb, first);
		if (rb->last < addr) {
			node = node->right;
			continue;
		}
		best = rb;
		if (rb->first <= addr)
			break;
		node = node->left;
	}
	return best;
}

static struct vma *rb_find(const struct vma_tree *t, u64 addr, u64 last)
{
	const struct vma_rb *rb;

	if (addr > last)
		return NULL;
	rb = lower_bound(t, addr);
	return rb != &t->end && rb->first <= last ? rb_vma(rb) : NULL;
}

static struct vma *rb_load(const struct vma_tree *t, u64 addr)
{
	return rb_find(t, addr, addr);
}

static struct vma *rb_next_vma(const struct vma_tree *t, const struct vma *vma, u64 last)
{
	const struct vma_rb *next;

	line_read(vma, rb);
	next = vma->rb.next;
	if (next == &t->end)
		return NULL;
	line_read(next, first);
	return next->first <= last ? rb_vma(next) : NULL;
}

static struct vma *rb_before(const struct vma_tree *t, const struct vma *vma)
{
	line_read(vma, rb);
	return listed_vma(t, vma->rb.prev);
}

static struct vma *rb_prev_vma(const struct vma_tree *t, u64 addr)
{
	const struct vma_rb *at;

	if (!addr)
		return NULL;
	/* The first one that ends above addr, or the end. */
	at = lower_bound(t, addr);
	line_read(at, prev);
	return listed_vma(t, at->prev);
}

/* ---- readers beside a writer --------------------------------------------------------------- */

/* find() on whatever is there at the moment. */
static struct vma *walk_racing(const struct vma_tree *t, u64 addr, u64 last)
{
	const struct rb_node *node = rcu_dereference(t->rb.node);
	struct vma *best = NULL;

	for (u32 depth = 0; node && depth < RCU_DEPTH_MAX; depth++) {
		const struct vma_rb *rb = node_rb(node);
		u64 first;

		if (READ_ONCE(rb->last) < addr) {
			node = rcu_dereference(node->right);
			continue;
		}
		first = READ_ONCE(rb->first);
		best = first <= last ? rb_vma(rb) : NULL;
		if (first <= addr)
			break;
		node = rcu_dereference(node->left);
	}
	return best;
}

static struct vma *rb_find_rcu(const struct vma_tree *t, u64 addr, u64 last)
{
	struct vma *vma;
	u32 seq;

	if (addr > last)
		return NULL;
	do {
		/* Pairs with the write section of rb_store(). */
		seq = read_seqcount_begin(&t->seq);
		vma = walk_racing(t, addr, last);
	} while (unlikely(read_seqcount_retry(&t->seq, seq)));
	return vma;
}

static struct vma *rb_load_rcu(const struct vma_tree *t, u64 addr)
{
	return rb_find_rcu(t, addr, addr);
}

/* ---- gaps ---------------------------------------------------------------------------------- */

/* Of the range that ends before rb. */
static u64 gap_before(const struct vma_rb *rb)
{
	line_read(rb->prev, last);
	return rb->first - (rb->prev->last + 1);
}

static u64 subtree_gap(const struct rb_node *node)
{
	if (!node)
		return 0;
	line_read(node_rb(node), subtree_gap);
	return node_rb(node)->subtree_gap;
}

static bool compute_gap(struct rb_node *node)
{
	struct vma_rb *rb = node_rb(node);
	u64 gap;

	line_read(rb, subtree_gap);
	gap = gap_before(rb);
	gap = max(gap, subtree_gap(node->left));
	gap = max(gap, subtree_gap(node->right));
	if (rb->subtree_gap == gap)
		return false;
	line_write(rb, subtree_gap);
	rb->subtree_gap = gap;
	return true;
}

static const struct rb_augment gap_augment = { compute_gap };

/* The range before rb has changed. */
static void gap_changed(struct vma_tree *t, struct vma_rb *rb)
{
	if (rb != &t->end)
		rb_augment_propagate(&rb->node, &gap_augment);
}

struct gap_query {
	u64 low, last; /* inclusive */
	u64 len_bytes;
	bool top_down;
	u64 start; /* out */
};

/* Does the empty range [first, last] fit, within the query? */
static bool gap_fits(struct gap_query *q, u64 first, u64 last)
{
	first = max(first, q->low);
	last = min(last, q->last);
	if (first > last || last - first < q->len_bytes - 1)
		return false;
	q->start = q->top_down ? last - (q->len_bytes - 1) : first;
	return true;
}

static bool gap_fits_before(struct gap_query *q, const struct vma_rb *rb)
{
	line_read(rb->prev, last);
	return rb->first != 0 && gap_fits(q, rb->prev->last + 1, rb->first - 1);
}

static bool gap_in(const struct rb_node *node, struct gap_query *q);

/* Gaps of the left subtree end below the VMA before this one, those of the right one begin above this one. */
static bool gap_left(const struct rb_node *node, struct gap_query *q)
{
	return node_rb(node)->first > q->low && gap_in(node->left, q);
}

static bool gap_right(const struct rb_node *node, struct gap_query *q)
{
	return node_rb(node)->last < q->last && gap_in(node->right, q);
}

/* Only where the query cuts a subtree can it disappoint: so at most two are entered in vain per level. */
static bool gap_in(const struct rb_node *node, struct gap_query *q)
{
	if (subtree_gap(node) < q->len_bytes)
		return false;
	if (q->top_down)
		return gap_right(node, q) || gap_fits_before(q, node_rb(node)) || gap_left(node, q);
	return gap_left(node, q) || gap_fits_before(q, node_rb(node)) || gap_right(node, q);
}

/* Behind the last VMA. */
static bool gap_at_end(const struct vma_tree *t, struct gap_query *q)
{
	line_read(t, end);
	line_read(t->end.prev, last);
	if (t->end.prev == &t->end)
		return gap_fits(q, 0, ~0ull);
	return t->end.prev->last != ~0ull && gap_fits(q, t->end.prev->last + 1, ~0ull);
}

static bool rb_gap(const struct vma_tree *t, u64 low, u64 high, u64 len_bytes, bool top_down,
		   u64 *start)
{
	struct gap_query q = {
		.low = low, .last = high - 1, .len_bytes = len_bytes, .top_down = top_down
	};
	bool found;

	if (low >= high || len_bytes == 0 || high - low < len_bytes)
		return false;
	line_read(t, rb);
	if (top_down)
		found = gap_at_end(t, &q) || gap_in(t->rb.node, &q);
	else
		found = gap_in(t->rb.node, &q) || gap_at_end(t, &q);
	if (found)
		*start = q.start;
	return found;
}

/* ---- a store: inside the write section ----------------------------------------------------- */

static void set_first(struct vma_rb *rb, u64 first)
{
	line_write(rb, first);
	WRITE_ONCE(rb->first, first);
	rb_augment_propagate(&rb->node, &gap_augment);
}

static void set_last(struct vma_tree *t, struct vma_rb *rb, u64 last)
{
	line_write(rb, last);
	WRITE_ONCE(rb->last, last);
	gap_changed(t, rb->next);
}

/* Into the list and the tree, before `next`. */
static void insert(struct vma_tree *t, struct vma_rb *rb, struct vma_rb *next, u64 first, u64 last)
{
	struct rb_node *parent = NULL, **link = &t->rb.node;
	struct vma_rb *prev;

	line_write(next, prev);
	prev = next->prev;
	line_write(rb, first);
	WRITE_ONCE(rb->first, first);
	WRITE_ONCE(rb->last, last);
	rb->prev = prev;
	WRITE_ONCE(rb->next, next);
	next->prev = rb;
	line_write(prev, next);
	WRITE_ONCE(prev->next, rb);
	/* Before the tree is turned: that recomputes VMAs, but not what is above them. */
	gap_changed(t, next);

	/* One of the two neighbours has no child on this side. */
	if (prev != &t->end && !prev->node.right) {
		parent = &prev->node;
		link = &parent->right;
	} else if (next != &t->end) {
		parent = &next->node;
		link = &parent->left;
	}
	MMSIM_BUG_ON(*link);
	rb_link_node(&rb->node, parent, link);
	rb_insert_color_augmented(&rb->node, &t->rb, &gap_augment);
}

static void erase(struct vma_tree *t, struct vma_rb *rb)
{
	struct vma_rb *next = rb->next, *prev = rb->prev;

	/* The list still says what it did, while the tree is turned: no gap has changed yet. */
	rb_erase_augmented(&rb->node, &t->rb, &gap_augment);
	line_write(next, prev);
	next->prev = prev;
	line_write(prev, next);
	WRITE_ONCE(prev->next, next);
	gap_changed(t, next);
}

/* Take [first, last] from all VMAs but `keep`, beginning with rb, the first one that ends in or above
 * it. Returns what comes after the range; *dead is a list (by prev) of those that have lost all. */
static struct vma_rb *make_room(struct vma_tree *t, struct vma_rb *rb, u64 first, u64 last,
				const struct vma_rb *keep, struct vma_rb **dead)
{
	while (rb != &t->end) {
		struct vma_rb *next;

		line_read(rb, first);
		next = rb->next;
		if (rb->first > last)
			break;
		if (rb == keep) {
			;
		} else if (rb->first >= first && rb->last <= last) {
			erase(t, rb);
			line_write(rb, prev);
			rb->prev = *dead;
			*dead = rb;
		} else if (rb->first >= first) {
			set_first(rb, last + 1);
			break;
		} else {
			MMSIM_BUG_ON(rb->last > last); /* two parts of one VMA would be left */
			set_last(t, rb, first - 1);
		}
		rb = next;
	}
	return rb;
}

static void grow(struct vma_tree *t, struct vma_rb *rb, u64 first, u64 last)
{
	MMSIM_BUG_ON(first > rb->last && first - rb->last > 1);
	MMSIM_BUG_ON(last < rb->first && rb->first - last > 1);
	if (first < rb->first)
		set_first(rb, first);
	if (last > rb->last)
		set_last(t, rb, last);
}

static void rb_store(struct vma_tree *t, u64 first, u64 last, struct vma *vma)
{
	struct vma_rb *at, *after, *dead = NULL, *new = vma ? &vma->rb : NULL;

	MMSIM_BUG_ON(first > last);
	MMSIM_BUG_ON(t->prealloc_stores == 0);
	t->prealloc_stores--;
	at = (struct vma_rb *)lower_bound(t, first);
	if (!new && (at == &t->end || at->first > last))
		return;
	if (new)
		line_read(new, next);

	preempt_disable();
	write_seqcount_begin(&t->seq);
	after = make_room(t, at, first, last, new, &dead);
	if (new && new->next)
		grow(t, new, first, last);
	else if (new)
		insert(t, new, after, first, last);
	write_seqcount_end(&t->seq);
	preempt_enable();

	while (dead) {
		struct vma_rb *rb = dead;

		line_write(rb, next);
		dead = rb->prev;
		WRITE_ONCE(rb->next, NULL); /* read by vma_is_dead() */
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

static void rb_init(struct vma_tree *t)
{
	rb_root_init(&t->rb);
	seqcount_init(&t->seq);
	t->prealloc_stores = 0;
	t->end.last = ~0ull;
	t->end.next = &t->end;
	t->end.prev = &t->end;
}

static void rb_destroy(struct vma_tree *t)
{
	struct vma_rb *rb;

	line_write_ptr(&t->end.next);
	rb = t->end.next;
	while (rb != &t->end) {
		struct vma_rb *next;

		line_write(rb, next);
		next = rb->next;
		WRITE_ONCE(rb->next, NULL);
		rb = next;
	}
	rb_init(t);
}

/* Nodes are there already. Stores are counted, so that who forgets to ask is found under any tree. */
static int rb_prealloc(struct vma_tree *t)
{
	t->prealloc_stores++;
	return 0;
}

static void rb_prealloc_drop(struct vma_tree *t)
{
	t->prealloc_stores = 0;
}

/* ---- the check ----------------------------------------------------------------------------- */

struct check {
	const struct vma_tree *t;
	const struct vma_rb *last; /* the one before, in order */
};

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			MMSIM_BUG("vma tree %p, vma %p [%#llx, %#llx]: not %s",                    \
				  (const void *)c->t, (const void *)rb_vma(rb),                    \
				  (unsigned long long)rb->first, (unsigned long long)rb->last,     \
				  #cond);                                                          \
	} while (0)

static bool node_is_red(const struct rb_node *node)
{
	return node && !(node->parent_color & 1);
}

/* Returns how many black nodes are on each way down. */
static u32 check_node(struct check *c, const struct rb_node *node, const struct rb_node *parent,
		      u64 *gap)
{
	const struct vma_rb *rb;
	u64 left_gap, right_gap;
	u32 left, right;

	*gap = 0;
	if (!node)
		return 0;
	rb = node_rb(node);
	CHECK(rb_parent(node) == parent);
	CHECK(!node_is_red(node) || (parent && !node_is_red(parent)));
	left = check_node(c, node->left, node, &left_gap);
	CHECK(rb->first <= rb->last);
	CHECK(rb->prev == c->last && c->last->next == rb);
	CHECK(c->last == &c->t->end || c->last->last < rb->first);
	c->last = rb;
	right = check_node(c, node->right, node, &right_gap);
	CHECK(left == right);
	*gap = max(rb->first - (rb->prev->last + 1), max(left_gap, right_gap));
	CHECK(rb->subtree_gap == *gap);
	return left + !node_is_red(node);
}

static void rb_check(const struct vma_tree *t)
{
	struct check c = { .t = t, .last = &t->end };
	u64 gap;

	MMSIM_BUG_ON(READ_UNPRICED(t->seq.sequence) & 1);
	(void)check_node(&c, t->rb.node, NULL, &gap);
	MMSIM_BUG_ON(c.last->next != &t->end);
	MMSIM_BUG_ON(t->end.prev != c.last);
	MMSIM_BUG_ON(t->end.last != ~0ull);
}

static u32 height_of(const struct rb_node *node)
{
	return node ? 1 + max(height_of(node->left), height_of(node->right)) : 0;
}

static u32 rb_height(const struct vma_tree *t)
{
	return height_of(t->rb.node);
}

const struct vma_tree_type vma_tree_rb = {
	.name = "rb",
	.summary = "red-black tree with gaps and a list, walked under a sequence count (Linux before 6.1)",
	.caps = VMA_TREE_CAP_DEAD,

	.init = rb_init,
	.destroy = rb_destroy,
	.load = rb_load,
	.load_rcu = rb_load_rcu,
	.find = rb_find,
	.find_rcu = rb_find_rcu,
	.next = rb_next_vma,
	.prev = rb_prev_vma,
	.before = rb_before,
	.prealloc = rb_prealloc,
	.prealloc_drop = rb_prealloc_drop,
	.store = rb_store,
	.gap = rb_gap,
	.check = rb_check,
	.height = rb_height,
};
