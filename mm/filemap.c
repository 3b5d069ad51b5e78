/*
 * mm/filemap.c - the page cache of an inode: a radix tree of pages that is read under RCU
 *
 * Models       Linux's i_pages and mm/filemap.c as far as faults need them: look-up without a lock,
 *              insertion under tree_lock, reading in under the page lock, end of file, the cursor
 *              that fault-around walks with.
 * Leaves out   Eviction, write-back, read-ahead, large folios. Tree nodes are freed with their inode.
 * Protocol     1. A new page is locked and not up to date; then it is inserted (release).
 *              2. Its finder takes a reference unless it is free, and looks at the slot again: the
 *                 frame may have been given to somebody else in between (page_try_get, acquire).
 *              3. The inserter fills it, sets UPTODATE, unlocks it and wakes whoever waits.
 *              4. A page that leaves (truncation) is locked: slot and page->mapping are cleared. So
 *                 who has locked a page whose mapping is this one knows that it is still cached.
 * Lock order   FOLIO before FILE_TREE. A new page's lock is taken by making it, before anybody can
 *              contend for it, and only entered in the books afterwards.
 * Tests        tests/unit/mm/test_filemap.c
 */
#include <stdlib.h>

#include "mm/internal.h"
#include "mm/filemap_internal.h"
#include "mm/page_internal.h"

#define RADIX_BITS 6
#define RADIX_SLOTS (1u << RADIX_BITS)

/* slots: RCU to read, tree_lock to write; nodes (shift > 0) or pages (shift 0). */
struct radix_node {
	u32 shift;
	void *slots[RADIX_SLOTS];
};

/* mm_machine.filemap */
struct filemap_machine {
	struct objcache *nodes;
};

/* ---- the tree -------------------------------------------------------------------------------- */

static struct radix_node *node_alloc(const struct mapping *mapping, u32 shift)
{
	struct filemap_machine *fm = mm_machine(mapping->inode->machine)->filemap;
	struct radix_node *node = objcache_alloc(fm->nodes);

	if (!node)
		return NULL;
	lines_write(node, sizeof(*node));
	node->shift = shift;
	for (u32 i = 0; i < RADIX_SLOTS; i++)
		WRITE_UNPRICED(node->slots[i], (void *)NULL);
	return node;
}

static bool node_covers(const struct radix_node *node, u64 index)
{
	return node->shift + RADIX_BITS >= 64 || index >> (node->shift + RADIX_BITS) == 0;
}

static void **node_slot(struct radix_node *node, u64 index)
{
	return &node->slots[(index >> node->shift) & (RADIX_SLOTS - 1)];
}

/* The leaf node whose slots include index, or NULL. RCU or tree_lock. */
static struct radix_node *radix_leaf(struct mapping *mapping, u64 index)
{
	struct radix_node *node = rcu_dereference(mapping->tree);

	if (!node)
		return NULL;
	line_read(node, shift);
	if (!node_covers(node, index))
		return NULL;
	while (node && node->shift) {
		void **slot = node_slot(node, index);

		node = rcu_dereference(*slot);
		if (node)
			line_read(node, shift);
	}
	return node;
}

/* As radix_leaf(), making what is missing; tree_lock held. NULL: no host memory. */
static struct radix_node *radix_leaf_make(struct mapping *mapping, u64 index)
{
	struct radix_node *node = READ_ONCE(mapping->tree);

	if (node)
		line_read(node, shift);
	while (!node || !node_covers(node, index)) {
		struct radix_node *root = node_alloc(mapping, node ? node->shift + RADIX_BITS : 0);

		if (!root)
			return NULL;
		if (node)
			root->slots[0] = node;
		rcu_assign_pointer(mapping->tree, (void *)root);
		node = root;
	}
	while (node->shift) {
		void **slot = node_slot(node, index);
		struct radix_node *child = READ_ONCE(*slot);

		if (!child) {
			child = node_alloc(mapping, node->shift - RADIX_BITS);
			if (!child)
				return NULL;
			rcu_assign_pointer(*slot, (void *)child);
		}
		node = child;
		line_read(node, shift);
	}
	return node;
}

/* Depth is at most 64 / RADIX_BITS, rounded up. Nobody can look any more. */
static void radix_free(const struct memory *mem, struct objcache *nodes, struct radix_node *node)
{
	lines_read(node, sizeof(*node));
	for (u32 i = 0; i < RADIX_SLOTS; i++) {
		void *child = node->slots[i];

		if (child && node->shift)
			radix_free(mem, nodes, child);
		else if (child)
			page_put(mem, child);
	}
	objcache_free(nodes, node);
}

void mapping_free_pages(struct mapping *mapping)
{
	struct mm_machine *mmm = mm_machine(mapping->inode->machine);
	struct filemap_machine *fm = mmm->filemap;
	struct radix_node *root = READ_ONCE(mapping->tree);

	if (root)
		radix_free(&mmm->memory, fm->nodes, root);
	WRITE_ONCE(mapping->tree, (void *)NULL);
	mapping->cached_pages = 0;
}

/* ---- look-up --------------------------------------------------------------------------------- */

/* The page in *slot with a reference, or NULL. RCU. */
static struct page *slot_get_page(void **slot)
{
	for (;;) {
		struct page *page = rcu_dereference(*slot);

		if (!page)
			return NULL;
		if (!page_try_get(page))
			continue; /* freed under us: the slot has changed by now */
		/* Step 2: is it still the page of this slot? */
		if (likely(rcu_dereference(*slot) == page))
			return page;
		page_put(memory_of(this_cpu()->machine), page);
	}
}

struct page *filemap_get(const struct memory *mem, struct mapping *mapping, u64 index)
{
	struct radix_node *leaf;
	struct page *page = NULL;

	rcu_read_lock();
	leaf = radix_leaf(mapping, index);
	if (leaf)
		page = slot_get_page(node_slot(leaf, index));
	rcu_read_unlock();
	return page;
}

struct page *filemap_next_mappable(struct filemap_cursor *c, u64 index)
{
	struct page *page;

	if (!c->leaf || index >> RADIX_BITS != c->leaf_index) {
		c->leaf = radix_leaf(c->mapping, index);
		c->leaf_index = index >> RADIX_BITS;
		if (!c->leaf)
			return NULL;
	}
	page = slot_get_page(node_slot(c->leaf, index));
	if (!page)
		return NULL;
	/* Acquire: UPTODATE seen, then the content is. Pairs with filemap_fill(). */
	if (smp_load_acquire(&page->flags) & PAGE_UPTODATE) {
		if (page_trylock(page)) {
			line_read(page, mapping);
			if (likely(page->mapping == c->mapping))
				return page;
			page_unlock(c->mem, page); /* step 4 was faster */
		}
	}
	page_put(c->mem, page);
	return NULL;
}

bool filemap_beyond_end(const struct memory *mem, const struct inode *inode, u64 index)
{
	u64 size = READ_ONCE(inode->size_bytes);
	u64 pages = (size >> mem->page_shift) + ((size & ((1ull << mem->page_shift) - 1)) != 0);

	return index >= pages;
}

/* ---- reading in ------------------------------------------------------------------------------ */

/* The finaliser of splitmix64: near numbers become unrelated ones. */
static u64 mix64(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

u64 file_token(const struct inode *inode, u64 index, u32 word)
{
	u64 identity =
		mix64(inode->ino + ((u64)inode->dev_major << 52) + ((u64)inode->dev_minor << 40));

	if (inode->kind == INODE_SHMEM ||
	    index >= READ_ONCE(inode->data_bytes) >> memory_of(inode->machine)->page_shift)
		return 0; /* a hole */
	return mix64(identity + index * 1024 + word + 1) | 1; /* never 0, which means zeroed */
}

/* Step 3. The page is new, in the tree, and locked by us. */
static void filemap_fill(const struct memory *mem, const struct inode *inode, struct page *page,
			 u64 index)
{
	u64 *word = page_content(mem, page_to_pfn(mem, page));

	if (inode->read_latency_ns)
		engine_delay_ns(inode->read_latency_ns);
	for (u32 i = 0; i < mem->content_words; i++)
		WRITE_ONCE(word[i], file_token(inode, index, i));
	/* Fully ordered: the content before UPTODATE. Pairs with filemap_next_mappable() and
	 * filemap_read(). */
	(void)fetch_or(&page->flags, (u32)PAGE_UPTODATE);
	page_unlock(mem, page);
}

/* Step 1. *page: the new page, in the tree and locked, with a reference for the caller; or NULL
 * when somebody else was faster. 0 or -ENOMEM. */
static int filemap_insert_new(const struct memory *mem, struct mapping *mapping, u64 index,
			      struct page **page)
{
	struct page *new = page_alloc(mem, 0);
	bool shmem;
	struct radix_node *leaf;
	void **slot;

	*page = NULL;
	if (!new)
		return -ENOMEM;
	line_read(mapping, inode);
	line_read(mapping->inode, kind);
	shmem = mapping->inode->kind == INODE_SHMEM;
	line_write(new, mapping);
	new->mapping = mapping;
	new->index = index;
	WRITE_ONCE(new->flags, PAGE_LOCKED | (shmem ? (u32)PAGE_SWAPBACKED : 0u));
	/* The tree's reference stays; the batch's goes with the batch. */
	lru_add(mem, new);
	page_get(new);

	spin_lock(&mapping->tree_lock);
	leaf = radix_leaf_make(mapping, index);
	slot = leaf ? node_slot(leaf, index) : NULL;
	if (slot && !READ_ONCE(*slot)) {
		rcu_assign_pointer(*slot, (void *)new);
		line_write(mapping, cached_pages);
		WRITE_UNPRICED(mapping->cached_pages, mapping->cached_pages + 1);
		*page = new;
	}
	spin_unlock(&mapping->tree_lock);
	if (*page) {
		lock_rank_acquire(&new->flags, LOCK_RANK_FOLIO, false, true);
		return 0;
	}
	page_clear_flags(new, PAGE_LOCKED); /* nobody ever saw it */
	page_put(mem, new);
	page_put(mem, new);
	return leaf ? 0 : -ENOMEM;
}

struct page *filemap_read(const struct memory *mem, struct mapping *mapping, u64 index)
{
	for (;;) {
		struct page *page = filemap_get(mem, mapping, index);

		if (!page) {
			if (filemap_insert_new(mem, mapping, index, &page))
				return NULL;
			if (!page)
				continue;
			filemap_fill(mem, mapping->inode, page, index);
			return page;
		}
		if (unlikely(!(smp_load_acquire(&page->flags) & PAGE_UPTODATE))) {
			page_lock(mem, page); /* whoever reads it in holds the lock */
			page_unlock(mem, page);
		}
		return page;
	}
}

int filemap_populate(const struct memory *mem, struct mapping *mapping)
{
	for (u64 index = 0; !filemap_beyond_end(mem, mapping->inode, index); index++) {
		struct page *page = filemap_read(mem, mapping, index);

		if (!page)
			return -ENOMEM;
		page_put(mem, page);
	}
	return 0;
}

/* ---- dropping -------------------------------------------------------------------------------- */

/* The first cached page from `index` on below node, which begins at page `base`: *index becomes its
 * own. RCU. */
static bool node_next(struct radix_node *node, u64 base, u64 *index)
{
	u64 at = max(base, *index), slot;

	line_read(node, shift);
	for (slot = (at >> node->shift) & (RADIX_SLOTS - 1); slot < RADIX_SLOTS; slot++) {
		u64 start = base + (slot << node->shift);
		void *child = rcu_dereference(node->slots[slot]);

		if (!child)
			continue;
		if (!node->shift) {
			*index = start;
			return true;
		}
		*index = max(*index, start);
		if (node_next(child, start, index))
			return true;
	}
	return false;
}

static bool filemap_next_index(struct mapping *mapping, u64 *index)
{
	struct radix_node *root;
	bool found;

	rcu_read_lock();
	root = rcu_dereference(mapping->tree);
	if (root)
		line_read(root, shift);
	found = root && node_covers(root, *index) && node_next(root, 0, index);
	rcu_read_unlock();
	return found;
}

/* Step 4. The caller has the page locked, and a reference. */
static void filemap_remove(const struct memory *mem, struct mapping *mapping, struct page *page)
{
	line_write(page, mapping);
	if (page->mapping != mapping)
		return;
	page->mapping = NULL;
	spin_lock(&mapping->tree_lock);
	rcu_assign_pointer(*node_slot(radix_leaf(mapping, page->index), page->index), NULL);
	line_write(mapping, cached_pages);
	WRITE_UNPRICED(mapping->cached_pages, mapping->cached_pages - 1);
	spin_unlock(&mapping->tree_lock);
	page_put(mem, page); /* the tree's */
}

void mapping_drop_pages(struct mapping *mapping, u64 first)
{
	const struct memory *mem = memory_of(mapping->inode->machine);

	for (u64 index = first; filemap_next_index(mapping, &index); index++) {
		struct page *page = filemap_get(mem, mapping, index);

		if (!page)
			continue;
		page_lock(mem, page);
		filemap_remove(mem, mapping, page);
		page_unlock(mem, page);
		page_put(mem, page);
	}
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static const struct obj_field node_fields[] = {
	OBJ_FIELD(struct radix_node, shift, "radix_node->shift"),
	OBJ_FIELD(struct radix_node, slots, "radix_node->slots"),
};
static const struct obj_layout node_layout = { sizeof(struct radix_node), ARRAY_SIZE(node_fields), node_fields };

int filemap_machine_init(struct mm_machine *mmm)
{
	struct filemap_machine *fm = malloc(sizeof(*fm));

	if (!fm)
		return -ENOMEM;
	fm->nodes =
		objcache_create(mmm->machine, "radix_node", sizeof(struct radix_node), 0, 0, NULL);
	if (!fm->nodes) {
		free(fm);
		return -ENOMEM;
	}
	objcache_set_layout(fm->nodes, &node_layout);
	mmm->filemap = fm;
	return 0;
}

void filemap_machine_destroy(struct mm_machine *mmm)
{
	struct filemap_machine *fm = mmm->filemap;

	objcache_destroy(fm->nodes);
	free(fm);
	mmm->filemap = NULL;
}
