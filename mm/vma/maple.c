/*
 * mm/vma/maple.c - the VMA tree: a B-tree of ranges that RCU readers walk without locks
 *
 * Models       Linux's maple tree as mm uses it: 256-byte nodes, ranges as pivots, the largest gap
 *              of each subtree kept for the search of free addresses.
 * Shape        Every address belongs to exactly one slot of one leaf; a slot is a VMA or NULL
 *              (empty). pivot[i] is the last address of slot i; the first address is one past the
 *              pivot before, or the node's own first; a node's own range comes from its parent
 *              (the root's is [0, ~0]). All leaves are at one depth. Neighbouring slots differ,
 *              across leaves too: so an empty range is one slot, and a leaf's gaps are whole.
 *              No tree (root NULL) is the empty tree.
 * Writers      One at a time (mmap_lock for write). What readers search - pivots, number of slots -
 *              never changes once published. A store either replaces one slot that covers exactly
 *              its range, or builds fresh leaves, and fresh ancestors as far up as the number of
 *              children changes, and publishes them all with ONE release store, into a slot of the
 *              lowest ancestor that stays, or into the root.
 * Guarantee    A reader (RCU, or mmap_lock in any mode) that loads one address sees it before or
 *              after each store. A store whose effect was seen anywhere is seen everywhere from
 *              then on. find() and prev() may step over a leaf border: two such loads.
 * Gaps         Ancestors' gaps change in place, after the publication: only those who hold
 *              mmap_lock may call vma_tree_gap().
 * Failure      None after vma_tree_prealloc(); see nodes_for_store() for the worst case.
 * Leaves out   Several index types, allocation trees, node types smaller than 256 bytes.
 * Tests        tests/unit/mm/vma/test_maple.c, tests/bench/bench_vma_tree.c; docs/TREES.md
 */
#include <mmsim/charge.h>
#include <mmsim/objcache.h>
#include <mmsim/vma.h>

#define LEAF_SLOTS 15
#define INNER_SLOTS 10
/* Below these a node is joined with a neighbour. Less than half, so that a node that was just
 * split (8 + 8, 6 + 5) is not joined again by the next store. */
#define LEAF_SLOTS_MIN 5
#define INNER_SLOTS_MIN 4
#define LEVELS_MAX 16 /* 5 * 4^15 slots at the worst */

/*
 * 256 bytes. How many slots are used is not stored: the last one's pivot is the node's own last
 * address, those after it are ~0. This leaves room for what the RCU call-back needs.
 */
struct maple_node {
	struct objcache *cache; /* (c) where it goes back to */
	union {
		struct {
			u64 pivot[LEAF_SLOTS - 1];    /* (c) */
			struct vma *slot[LEAF_SLOTS]; /* (m W, RCU R) */
		} leaf;
		struct {
			u64 pivot[INNER_SLOTS - 1];           /* (c) */
			struct maple_node *slot[INNER_SLOTS]; /* (m W, RCU R) */
			u64 gap[INNER_SLOTS];                 /* (m) bytes; 0: no gap */
		} inner;
		struct maple_node *next_free; /* while in vma_tree->prealloc */
	};
	struct rcu_head rcu;
} __cacheline_aligned;
_Static_assert(sizeof(struct maple_node) == 256, "a node is four cache lines");

/* A leaf and an inner node have different things in the same place. */
static const struct obj_field node_fields[] = {
	OBJ_FIELD(struct maple_node, cache, "maple_node->cache"),
	OBJ_FIELD(struct maple_node, inner.pivot, "maple_node->pivot"),
	OBJ_FIELD(struct maple_node, inner.slot, "maple_node->pivot or slot"),
	OBJ_FROM(offsetof(struct maple_node, leaf.slot), "maple_node->slot"),
	OBJ_FIELD(struct maple_node, inner.gap, "maple_node->slot or gap"),
	OBJ_FIELD(struct maple_node, rcu, "maple_node->rcu"),
};
static const struct obj_layout node_layout = { sizeof(struct maple_node), ARRAY_SIZE(node_fields), node_fields };

/* vma_tree->root: the node's address plus, in the bits that its alignment leaves, the level of the
 * root (0: a leaf): a reader must get both by one load. */
#define ROOT_LEVEL_MASK ((uintptr_t)MMSIM_CACHE_LINE_BYTES - 1)

static inline struct maple_node *root_node(const void *root)
{
	return (struct maple_node *)((uintptr_t)root & ~ROOT_LEVEL_MASK);
}
static inline u32 root_level(const void *root)
{
	return (uintptr_t)root & ROOT_LEVEL_MASK;
}

/*
 * A search reads the lines of all pivots, as Linux's does: its linear scan starts in the first, and
 * asks before, in the second, how many slots are used. The slot's line is the caller's.
 */
static ALWAYS_INLINE void charge_search(const struct maple_node *node)
{
	_Static_assert(offsetof(struct maple_node, leaf.pivot[LEAF_SLOTS - 1]) <= 2 * MMSIM_CACHE_LINE_BYTES &&
			       offsetof(struct maple_node, inner.pivot[INNER_SLOTS - 1]) <=
				       2 * MMSIM_CACHE_LINE_BYTES,
		       "pivots lie on the first two lines");
	line_read(node, leaf.pivot[0]);
	line_read(node, leaf.pivot[LEAF_SLOTS - 2]);
}

/* The slot that holds addr: how many pivots are below it. All are compared, without a branch to
 * mispredict, which beats a scan that stops early and a binary search (docs/TREES.md). */
static ALWAYS_INLINE u32 leaf_find(const struct maple_node *node, u64 addr)
{
	u32 slot = 0;

#pragma GCC unroll 16
	for (u32 i = 0; i < LEAF_SLOTS - 1; i++)
		slot += node->leaf.pivot[i] < addr;
	return slot;
}

static ALWAYS_INLINE u32 inner_find(const struct maple_node *node, u64 addr)
{
	u32 slot = 0;

#pragma GCC unroll 16
	for (u32 i = 0; i < INNER_SLOTS - 1; i++)
		slot += node->inner.pivot[i] < addr;
	return slot;
}

/* Of a node whose range ends at hi. */
static inline u32 slot_count(const struct maple_node *node, u32 level, u64 hi)
{
	return 1 + (level ? inner_find(node, hi) : leaf_find(node, hi));
}

static inline u64 slot_last(const struct maple_node *node, u32 level, u32 slot, u64 hi)
{
	if (level)
		return slot < INNER_SLOTS - 1 ? node->inner.pivot[slot] : hi;
	return slot < LEAF_SLOTS - 1 ? node->leaf.pivot[slot] : hi;
}

static inline u64 slot_first(const struct maple_node *node, u32 level, u32 slot, u64 lo)
{
	if (slot == 0)
		return lo;
	return (level ? node->inner.pivot[slot - 1] : node->leaf.pivot[slot - 1]) + 1;
}

/* ---- readers ------------------------------------------------------------------------------ */

static struct vma *maple_load(const struct vma_tree *t, u64 addr)
{
	const void *root = rcu_dereference(t->root);
	const struct maple_node *node = root_node(root);
	u32 level = root_level(root);

	if (unlikely(!node))
		return NULL;
	for (; level; level--) {
		charge_search(node);
		node = rcu_dereference(node->inner.slot[inner_find(node, addr)]);
	}
	charge_search(node);
	return rcu_dereference(node->leaf.slot[leaf_find(node, addr)]);
}

/* The leaf that holds addr, and its range; NULL when the tree is empty. */
static const struct maple_node *leaf_of(const struct vma_tree *t, u64 addr, u64 *lo, u64 *hi)
{
	const void *root = rcu_dereference(t->root);
	const struct maple_node *node = root_node(root);

	*lo = 0;
	*hi = ~0ull;
	if (!node)
		return NULL;
	for (u32 level = root_level(root); level; level--) {
		u32 slot;

		charge_search(node);
		slot = inner_find(node, addr);
		*hi = slot_last(node, level, slot, *hi);
		*lo = slot_first(node, level, slot, *lo);
		node = rcu_dereference(node->inner.slot[slot]);
	}
	charge_search(node);
	return node;
}

static struct vma *maple_find(const struct vma_tree *t, u64 addr, u64 last)
{
	while (addr <= last) {
		u64 lo, hi;
		const struct maple_node *leaf = leaf_of(t, addr, &lo, &hi);
		struct vma *vma;
		u32 slot;

		if (!leaf)
			return NULL;
		/* At most two turns inside a leaf, as two empty slots are never neighbours. */
		for (slot = leaf_find(leaf, addr);; slot++) {
			vma = rcu_dereference(leaf->leaf.slot[slot]);
			if (vma) {
				line_read(vma, start); /* who asks wants its range */
				return vma;
			}
			addr = slot_last(leaf, 0, slot, hi) + 1;
			if (addr == 0 || addr > last)
				return NULL;
			if (addr > hi)
				break;
		}
	}
	return NULL;
}

static struct vma *maple_prev(const struct vma_tree *t, u64 addr)
{
	u64 before = addr - 1; /* the VMA ends here or lower */

	while (addr != 0) {
		u64 lo, hi;
		const struct maple_node *leaf = leaf_of(t, addr - 1, &lo, &hi);
		u32 slot;

		if (!leaf)
			return NULL;
		for (slot = leaf_find(leaf, addr - 1);; slot--) {
			struct vma *vma = rcu_dereference(leaf->leaf.slot[slot]);

			if (vma && slot_last(leaf, 0, slot, hi) <= before) {
				line_read(vma, start);
				return vma;
			}
			if (slot == 0)
				break;
		}
		addr = lo;
	}
	return NULL;
}

static struct vma *maple_next(const struct vma_tree *t, const struct vma *vma, u64 last)
{
	/* end is 0 for a VMA up to the last address. */
	return vma->end ? maple_find(t, vma->end, last) : NULL;
}

static struct vma *maple_before(const struct vma_tree *t, const struct vma *vma)
{
	return maple_prev(t, vma->start);
}

/* ---- the gap search ------------------------------------------------------------------------ */

struct gap_query {
	u64 low, last; /* inclusive */
	u64 len_bytes;
	bool top_down;
	u64 start; /* out */
};

static bool gap_in_leaf(const struct maple_node *leaf, u64 lo, u64 hi, struct gap_query *q)
{
	u32 low_slot = leaf_find(leaf, max(q->low, lo));
	u32 high_slot = leaf_find(leaf, min(q->last, hi));

	for (u32 n = high_slot - low_slot + 1, i = 0; i < n; i++) {
		u32 slot = q->top_down ? high_slot - i : low_slot + i;
		u64 first, last;

		if (rcu_dereference(leaf->leaf.slot[slot]))
			continue;
		first = max(slot_first(leaf, 0, slot, lo), q->low);
		last = min(slot_last(leaf, 0, slot, hi), q->last);
		if (last - first < q->len_bytes - 1)
			continue;
		q->start = q->top_down ? last - (q->len_bytes - 1) : first;
		return true;
	}
	return false;
}

/* Only the children at the ends of the query can disappoint, where it cuts their gap: so at most
 * two are entered in vain per level. */
static bool gap_in(const struct maple_node *node, u32 level, u64 lo, u64 hi, struct gap_query *q)
{
	u32 low_slot, high_slot;

	charge_search(node);
	if (level == 0)
		return gap_in_leaf(node, lo, hi, q);
	low_slot = inner_find(node, max(q->low, lo));
	high_slot = inner_find(node, min(q->last, hi));
	for (u32 n = high_slot - low_slot + 1, i = 0; i < n; i++) {
		u32 slot = q->top_down ? high_slot - i : low_slot + i;

		if (READ_ONCE(node->inner.gap[slot]) < q->len_bytes)
			continue;
		if (gap_in(rcu_dereference(node->inner.slot[slot]), level - 1,
			   slot_first(node, level, slot, lo), slot_last(node, level, slot, hi), q))
			return true;
	}
	return false;
}

static bool maple_gap(const struct vma_tree *t, u64 low, u64 high, u64 len_bytes, bool top_down,
		  u64 *start)
{
	struct gap_query q = {
		.low = low, .last = high - 1, .len_bytes = len_bytes, .top_down = top_down};
	const void *root = rcu_dereference(t->root);

	if (low >= high || len_bytes == 0 || high - low < len_bytes)
		return false;
	if (!root_node(root))
		q.start = top_down ? high - len_bytes : low;
	else if (!gap_in(root_node(root), root_level(root), 0, ~0ull, &q))
		return false;
	*start = q.start;
	return true;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static void maple_init(struct vma_tree *t)
{
	t->root = NULL;
	t->prealloc = NULL;
	t->prealloc_count = 0;
	t->prealloc_stores = 0;
}

/*
 * What one store takes at the worst from a tree of this height. A level below the root's: the
 * slots left of the range in one node, right of it in another, and the new ones between: at most
 * 15 + 1 + 15 in leaves, 9 + 3 + 9 above: three nodes. The root's level: 9 + 3: two, and a new
 * root above them.
 */
static u32 nodes_for_store(u32 height)
{
	return 3 * max(height, 1u);
}

/* Levels; 0: empty. */
static u32 maple_height(const struct vma_tree *t)
{
	return t->root ? root_level(t->root) + 1 : 0;
}

static int maple_prealloc(struct vma_tree *t)
{
	u32 need = 0, height;

	line_read(t, root);
	height = maple_height(t);
	/* Each store may add a level. */
	for (u32 i = 0; i <= t->prealloc_stores; i++)
		need += nodes_for_store(height + i);
	while (t->prealloc_count < need) {
		struct maple_node *node = objcache_alloc(t->nodes);

		if (!node)
			return -ENOMEM;
		line_write(node, next_free);
		node->next_free = t->prealloc;
		t->prealloc = node;
		t->prealloc_count++;
	}
	t->prealloc_stores++;
	return 0;
}

static struct maple_node *node_take(struct vma_tree *t)
{
	struct maple_node *node = t->prealloc;

	MMSIM_BUG_ON(!node);
	line_write(node, next_free);
	t->prealloc = node->next_free;
	t->prealloc_count--;
	node->cache = t->nodes;
	return node;
}

static void prealloc_trim(struct vma_tree *t, u32 keep)
{
	while (t->prealloc_count > keep)
		objcache_free(t->nodes, node_take(t));
}

static void maple_prealloc_drop(struct vma_tree *t)
{
	line_read(t, root);
	t->prealloc_stores = 0;
	/* The next call wants them at once; vma_tree_destroy() gives the rest back. */
	prealloc_trim(t, nodes_for_store(maple_height(t)));
}

static void node_free_rcu(struct rcu_head *head)
{
	struct maple_node *node = container_of(head, struct maple_node, rcu);

	line_read(node, cache);
	objcache_free(node->cache, node);
}

static void subtree_free(struct vma_tree *t, struct maple_node *node, u32 level, u64 hi)
{
	if (level) {
		charge_search(node);
		lines_read(node->inner.slot, sizeof(node->inner.slot));
		for (u32 i = 0, n = slot_count(node, level, hi); i < n; i++)
			subtree_free(t, node->inner.slot[i], level - 1,
				     slot_last(node, level, i, hi));
	}
	objcache_free(t->nodes, node);
}

static void maple_destroy(struct vma_tree *t)
{
	line_read(t, root);
	if (root_node(t->root))
		subtree_free(t, root_node(t->root), root_level(t->root), ~0ull);
	line_write(t, root);
	prealloc_trim(t, 0);
	maple_init(t);
}

/* ---- a store ------------------------------------------------------------------------------- */

/* A way from the root to a leaf: per level the node, its range, and the slot that is taken. */
struct path {
	struct {
		struct maple_node *node;
		u64 lo, hi;
		u32 slot;
	} at[LEVELS_MAX];
};

struct item {
	void *slot;
	u64 last;
	u64 gap; /* inner nodes */
};

/* left of the range in one node, right of it in another, the new one; or a node joined to few */
#define ITEMS_MAX (2 * LEAF_SLOTS + 1)

struct write {
	struct vma_tree *t;
	u64 first, last;
	struct vma *vma;
	u32 height;
	/* The leaves at both ends of [first, last], later the nodes at both ends of what is being
	 * replaced on the current level and above. Lower levels are done with. */
	struct path left, right;
	/* what replaces them */
	struct item items[ITEMS_MAX];
	u32 item_count;
	/* per level that is rebuilt: the range in which all old nodes have been replaced */
	u64 lo[LEVELS_MAX], hi[LEVELS_MAX];
};

/* Turn the path to addr, from `level` up: climb only as far as needed, and return to the level.
 * What it says of lower levels is left as it was. */
static void path_turn(struct path *p, u32 level, u64 addr)
{
	u32 up = level;

	while (addr < p->at[up].lo || addr > p->at[up].hi)
		up++;
	for (; up > level; up--) {
		struct maple_node *node = p->at[up].node;
		u32 slot;

		charge_search(node);
		slot = inner_find(node, addr);
		line_read(node, inner.slot[slot]);
		p->at[up].slot = slot;
		p->at[up - 1].node = node->inner.slot[slot];
		p->at[up - 1].lo = slot_first(node, up, slot, p->at[up].lo);
		p->at[up - 1].hi = slot_last(node, up, slot, p->at[up].hi);
	}
	if (level == 0) {
		charge_search(p->at[0].node);
		p->at[0].slot = leaf_find(p->at[0].node, addr);
		line_read(p->at[0].node, leaf.slot[p->at[0].slot]);
	}
}

static void path_from_root(const struct write *w, struct path *p, u64 addr)
{
	u32 top = w->height - 1;

	for (u32 level = 0; level < top; level++) {
		p->at[level].lo = 1;
		p->at[level].hi = 0; /* contains nothing: path_turn() climbs to the root */
	}
	p->at[top].node = root_node(w->t->root);
	p->at[top].lo = 0;
	p->at[top].hi = ~0ull;
	path_turn(p, 0, addr);
}

static u64 path_first(const struct path *p)
{
	return slot_first(p->at[0].node, 0, p->at[0].slot, p->at[0].lo);
}

static u64 path_last(const struct path *p)
{
	return slot_last(p->at[0].node, 0, p->at[0].slot, p->at[0].hi);
}

static struct vma *path_vma(const struct path *p)
{
	return p->at[0].node->leaf.slot[p->at[0].slot];
}

/*
 * Find both ends. Where a neighbour has the value that is stored, take it in: neighbouring slots
 * differ, in particular empty ranges grow together, also over the border of a leaf.
 */
static void find_ends(struct write *w)
{
	path_from_root(w, &w->left, w->first ? w->first - 1 : 0);
	if (w->first) {
		if (path_vma(&w->left) == w->vma)
			w->first = path_first(&w->left);
		else if (path_last(&w->left) < w->first)
			path_turn(&w->left, 0, w->first);
	}

	for (u32 level = 0; level < w->height; level++)
		w->right.at[level] = w->left.at[level];
	path_turn(&w->right, 0, w->last == ~0ull ? ~0ull : w->last + 1);
	if (w->last != ~0ull) {
		if (path_vma(&w->right) == w->vma)
			w->last = path_last(&w->right);
		else if (path_first(&w->right) > w->last)
			path_turn(&w->right, 0, w->last);
	}
}

static void item_add(struct write *w, void *slot, u64 last, u64 gap)
{
	w->items[w->item_count++] = (struct item){slot, last, gap};
}

/* Slots [from, to) of one node of a path. */
static void items_copy(struct write *w, const struct path *p, u32 level, u32 from, u32 to)
{
	const struct maple_node *node = p->at[level].node;

	lines_read(node, sizeof(*node));
	for (u32 i = from; i < to; i++) {
		u64 last = slot_last(node, level, i, p->at[level].hi);

		if (level)
			item_add(w, node->inner.slot[i], last, node->inner.gap[i]);
		else
			item_add(w, node->leaf.slot[i], last, 0);
	}
}

static u32 path_slots(const struct path *p, u32 level)
{
	charge_search(p->at[level].node);
	return slot_count(p->at[level].node, level, p->at[level].hi);
}

/* The leaves at both ends, with the range between them replaced. */
static void items_of_leaves(struct write *w)
{
	u32 slot = w->left.at[0].slot;

	w->item_count = 0;
	items_copy(w, &w->left, 0, 0, slot);
	if (path_first(&w->left) < w->first)
		item_add(w, w->left.at[0].node->leaf.slot[slot], w->first - 1, 0);

	item_add(w, w->vma, w->last, 0);

	slot = w->right.at[0].slot;
	if (path_last(&w->right) == w->last)
		slot++;
	items_copy(w, &w->right, 0, slot, path_slots(&w->right, 0));
}

/* The nodes at both ends of the level, with the new children (now in items) between. */
static void items_of_parents(struct write *w, u32 level)
{
	struct item children[3];
	u32 child_count = w->item_count;

	for (u32 i = 0; i < child_count; i++)
		children[i] = w->items[i];
	w->item_count = 0;
	if (level < w->height)
		items_copy(w, &w->left, level, 0, w->left.at[level].slot);
	for (u32 i = 0; i < child_count; i++)
		w->items[w->item_count++] = children[i];
	if (level < w->height)
		items_copy(w, &w->right, level, w->right.at[level].slot + 1,
			   path_slots(&w->right, level));
}

/* Does the level have another node on this side, and of the same parent? */
static bool has_right_sibling(const struct write *w, u32 level)
{
	return w->right.at[level + 1].slot + 1 < path_slots(&w->right, level + 1);
}

/* Too few slots for a node: take in the node beside it, of the same parent if there is one. */
static void join_neighbour(struct write *w, u32 level)
{
	bool right = has_right_sibling(w, level) ||
		     (w->left.at[level + 1].slot == 0 && w->right.at[level].hi != ~0ull);
	struct item kept[LEAF_SLOTS_MIN];
	u32 kept_count = w->item_count;

	if (right) {
		path_turn(&w->right, level, w->right.at[level].hi + 1);
		items_copy(w, &w->right, level, 0, path_slots(&w->right, level));
		return;
	}
	for (u32 i = 0; i < kept_count; i++)
		kept[i] = w->items[i];
	w->item_count = 0;
	path_turn(&w->left, level, w->left.at[level].lo - 1);
	items_copy(w, &w->left, level, 0, path_slots(&w->left, level));
	for (u32 i = 0; i < kept_count; i++)
		w->items[w->item_count++] = kept[i];
}

static u64 node_fill_leaf(struct maple_node *node, const struct item *items, u32 n, u64 lo)
{
	u64 gap = 0;

	lines_write(node, sizeof(*node));
	for (u32 i = 0; i < n; i++) {
		if (i < LEAF_SLOTS - 1)
			node->leaf.pivot[i] = items[i].last;
		node->leaf.slot[i] = items[i].slot;
		if (!items[i].slot)
			gap = max(gap, items[i].last - lo + 1);
		lo = items[i].last + 1;
	}
	for (u32 i = n; i < LEAF_SLOTS; i++) {
		if (i < LEAF_SLOTS - 1)
			node->leaf.pivot[i] = ~0ull;
		node->leaf.slot[i] = NULL;
	}
	return gap;
}

static u64 node_fill_inner(struct maple_node *node, const struct item *items, u32 n)
{
	u64 gap = 0;

	lines_write(node, sizeof(*node));
	for (u32 i = 0; i < n; i++) {
		if (i < INNER_SLOTS - 1)
			node->inner.pivot[i] = items[i].last;
		node->inner.slot[i] = items[i].slot;
		node->inner.gap[i] = items[i].gap;
		gap = max(gap, items[i].gap);
	}
	for (u32 i = n; i < INNER_SLOTS; i++) {
		if (i < INNER_SLOTS - 1)
			node->inner.pivot[i] = ~0ull;
		node->inner.slot[i] = NULL;
		node->inner.gap[i] = 0;
	}
	return gap;
}

/* Pack the items into as few nodes as they need, evenly; the nodes become the items. */
static void items_to_nodes(struct write *w, u32 level)
{
	u32 capacity = level ? INNER_SLOTS : LEAF_SLOTS;
	u32 nodes = (w->item_count + capacity - 1) / capacity;
	u32 done = 0;
	u64 lo = w->lo[level];

	for (u32 i = 0; i < nodes; i++) {
		u32 n = (w->item_count - done + nodes - i - 1) / (nodes - i);
		struct maple_node *node = node_take(w->t);
		const struct item *items = &w->items[done];
		u64 last = items[n - 1].last;
		u64 gap = level ? node_fill_inner(node, items, n)
				: node_fill_leaf(node, items, n, lo);

		/* i <= done: what is overwritten has been packed. */
		w->items[i] = (struct item){node, last, gap};
		done += n;
		lo = last + 1;
	}
	w->item_count = nodes;
}

/* The subtree at `level` of the path has a new largest gap: tell its ancestors. */
static void gap_propagate(struct write *w, const struct path *p, u32 level, u64 gap)
{
	for (level++; level < w->height; level++) {
		struct maple_node *node = p->at[level].node;
		u32 slot = p->at[level].slot;

		line_read(node, inner.gap[slot]);
		if (node->inner.gap[slot] == gap)
			return;
		WRITE_ONCE(node->inner.gap[slot], gap);
		lines_read(node->inner.gap, sizeof(node->inner.gap));
		gap = 0;
		for (u32 i = 0; i < INNER_SLOTS; i++)
			gap = max(gap, node->inner.gap[i]);
	}
}

static u64 leaf_gap(const struct maple_node *leaf, u64 lo, u64 hi)
{
	u64 gap = 0;

	lines_read(leaf->leaf.slot, sizeof(leaf->leaf.slot));
	for (u32 i = 0, n = slot_count(leaf, 0, hi); i < n; i++) {
		u64 last = slot_last(leaf, 0, i, hi);

		if (!leaf->leaf.slot[i])
			gap = max(gap, last - lo + 1);
		lo = last + 1;
	}
	return gap;
}

/* Readers may still be inside: hand over to RCU all nodes of the old subtree that were replaced. */
static void retire(struct write *w, struct maple_node *node, u32 level, u64 lo, u64 hi)
{
	if (level) {
		charge_search(node);
		lines_read(node->inner.slot, sizeof(node->inner.slot));
	}
	for (u32 i = 0, n = level ? slot_count(node, level, hi) : 0; i < n; i++) {
		u64 first = slot_first(node, level, i, lo);
		u64 last = slot_last(node, level, i, hi);

		if (first >= w->lo[level - 1] && last <= w->hi[level - 1])
			retire(w, node->inner.slot[i], level - 1, first, last);
	}
	line_write(node, rcu);
	sim_call_rcu(&node->rcu, node_free_rcu);
}

static void publish_root(struct write *w, struct maple_node *node, u32 level)
{
	struct maple_node *old = root_node(w->t->root);
	u32 top = w->height - 1;

	MMSIM_BUG_ON(level >= LEVELS_MAX);
	/* Pairs with the rcu_dereference(t->root) of all readers. */
	rcu_assign_pointer(w->t->root, (void *)((uintptr_t)node | level));
	if (w->height == 0)
		return;
	for (u32 i = level + 1; i <= top; i++) {
		w->lo[i] = 0;
		w->hi[i] = ~0ull;
	}
	retire(w, old, top, 0, ~0ull);
}

/* The new node has the range of the one at `level` of both paths. */
static void publish_slot(struct write *w, const struct item *item, u32 level)
{
	const struct path *p = &w->left;

	/* Pairs with the rcu_dereference of the slot by readers that go down. */
	rcu_assign_pointer(p->at[level + 1].node->inner.slot[p->at[level + 1].slot], item->slot);
	gap_propagate(w, p, level, item->gap);
	retire(w, p->at[level].node, level, p->at[level].lo, p->at[level].hi);
}

/* Build level by level, until one new node stands for one old node, or for the whole tree. */
static void rebuild(struct write *w)
{
	items_of_leaves(w);
	for (u32 level = 0;; level++) {
		u32 few = level ? INNER_SLOTS_MIN : LEAF_SLOTS_MIN;
		bool old_level = level < w->height;

		if (old_level && w->item_count < few &&
		    (w->left.at[level].lo != 0 || w->right.at[level].hi != ~0ull))
			join_neighbour(w, level);
		w->lo[level] = old_level ? w->left.at[level].lo : 0;
		w->hi[level] = old_level ? w->right.at[level].hi : ~0ull;
		items_to_nodes(w, level);

		if (w->item_count == 1) {
			if (w->lo[level] == 0 && w->hi[level] == ~0ull) {
				publish_root(w, w->items[0].slot, level);
				return;
			}
			if (w->left.at[level].node == w->right.at[level].node) {
				publish_slot(w, &w->items[0], level);
				return;
			}
		}
		items_of_parents(w, level + 1);
	}
}

/* The first VMA of an empty tree. */
static void store_first(struct write *w)
{
	if (w->first != 0)
		item_add(w, NULL, w->first - 1, 0);
	item_add(w, w->vma, w->last, 0);
	if (w->last != ~0ull)
		item_add(w, NULL, ~0ull, 0);
	w->lo[0] = 0;
	w->hi[0] = ~0ull;
	items_to_nodes(w, 0);
	publish_root(w, w->items[0].slot, 0);
}

/* Nothing is left: no nodes at all. */
static void store_clear(struct write *w)
{
	struct maple_node *old = root_node(w->t->root);

	rcu_assign_pointer(w->t->root, NULL);
	for (u32 i = 0; i < w->height; i++) {
		w->lo[i] = 0;
		w->hi[i] = ~0ull;
	}
	retire(w, old, w->height - 1, 0, ~0ull);
}

static void maple_store(struct vma_tree *t, u64 first, u64 last, struct vma *vma)
{
	struct write w;
	struct maple_node *leaf;

	MMSIM_BUG_ON(first > last);
	line_read(t, root);
	MMSIM_BUG_ON(t->prealloc_stores == 0);
	t->prealloc_stores--;
	w.t = t;
	w.first = first;
	w.last = last;
	w.vma = vma;
	w.height = maple_height(t);
	w.item_count = 0;
	if (w.height == 0) {
		if (vma)
			store_first(&w);
		return;
	}

	find_ends(&w);
	if (!vma && w.first == 0 && w.last == ~0ull) {
		store_clear(&w);
		return;
	}
	if (path_first(&w.left) != w.first || path_last(&w.left) != w.last) {
		rebuild(&w);
		return;
	}
	/* One slot has exactly this range. */
	leaf = w.left.at[0].node;
	if (leaf->leaf.slot[w.left.at[0].slot] == vma)
		return;
	rcu_assign_pointer(leaf->leaf.slot[w.left.at[0].slot], vma);
	gap_propagate(&w, &w.left, 0, leaf_gap(leaf, w.left.at[0].lo, w.left.at[0].hi));
}

/* ---- the check ----------------------------------------------------------------------------- */

struct check {
	const struct vma_tree *t;
	bool any;         /* a leaf slot has been seen: */
	struct vma *last; /* the one before */
};

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			MMSIM_BUG(                                                                 \
				"vma tree %p, node %p, level %u, [%#llx, %#llx], slot %u: not %s", \
				(const void *)c->t, (const void *)node, level,                     \
				(unsigned long long)lo, (unsigned long long)hi, i, #cond);         \
	} while (0)

/* Returns the largest gap. */
static u64 check_node(struct check *c, const struct maple_node *node, u32 level, u64 lo, u64 hi,
		      bool is_root)
{
	u32 capacity = level ? INNER_SLOTS : LEAF_SLOTS, i = 0;
	const u64 *pivot = level ? node->inner.pivot : node->leaf.pivot;
	u32 n = slot_count(node, level, hi);
	u64 gap = 0, first = lo;

	CHECK(n >= (is_root ? (level ? 2 : 1) : level ? INNER_SLOTS_MIN : LEAF_SLOTS_MIN));
	for (; i < n; i++) {
		u64 last = slot_last(node, level, i, hi), slot_gap = 0;

		CHECK(last >= first && last <= hi);
		CHECK((i == n - 1) == (last == hi));
		if (level) {
			slot_gap =
				check_node(c, node->inner.slot[i], level - 1, first, last, false);
			CHECK(slot_gap == READ_ONCE(node->inner.gap[i]));
		} else {
			CHECK(!c->any || c->last != node->leaf.slot[i]);
			c->any = true;
			c->last = node->leaf.slot[i];
			if (!c->last)
				slot_gap = last - first + 1;
		}
		gap = max(gap, slot_gap);
		first = last + 1;
	}
	for (; i < capacity; i++) {
		CHECK(i == capacity - 1 || pivot[i] == ~0ull);
		CHECK(level ? !node->inner.slot[i] && !node->inner.gap[i] : !node->leaf.slot[i]);
	}
	return gap;
}

static void maple_check(const struct vma_tree *t)
{
	struct check c = {.t = t};
	const struct maple_node *root = root_node(t->root);
	u32 free_count = 0;

	for (const struct maple_node *node = t->prealloc; node; node = node->next_free)
		free_count++;
	MMSIM_BUG_ON(free_count != t->prealloc_count);
	if (root)
		check_node(&c, root, root_level(t->root), 0, ~0ull, true);
}

const struct vma_tree_type vma_tree_maple = {
	.name = "maple",
	.summary = "RCU-safe B-tree of ranges with gap search (Linux since 6.1)",
	.caps = VMA_TREE_CAP_WAIT_FREE,
	.node_bytes = sizeof(struct maple_node),
	.node_layout = &node_layout,

	.init = maple_init,
	.destroy = maple_destroy,
	.load = maple_load,
	.load_rcu = maple_load,
	.find = maple_find,
	.find_rcu = maple_find,
	.next = maple_next,
	.prev = maple_prev,
	.before = maple_before,
	.prealloc = maple_prealloc,
	.prealloc_drop = maple_prealloc_drop,
	.store = maple_store,
	.gap = maple_gap,
	.check = maple_check,
	.height = maple_height,
};
