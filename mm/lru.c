/*
 * mm/lru.c - the lists that reclaim would look at, filled through per-CPU batches; the page lock
 *
 * Models       One lruvec per memory node: inactive and active lists of anonymous and of file memory, and the
 *              unevictable list, under lru_lock. New pages wait in a batch of LRU_BATCH_PAGES per
 *              CPU, which holds a reference to each, and are moved to the lists together. So a page
 *              that was faulted a moment ago has one reference more than one would think; that
 *              decides whether copy-on-write may reuse it (fault_cow.c).
 * Leaves out   Reclaim and ageing: a page stays where it was put. memcg.
 * Lock order   LRU is taken under PTE; freeing what a batch held last takes PCP, ZONE after LRU.
 * Tests        tests/unit/mm/test_lru.c
 */
#include <stdlib.h>

#include <mmsim/charge.h>

#include "mm/internal.h"
#include "mm/page_internal.h"

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	LRU_LISTS,
};

struct lruvec {
	spinlock_t lock;
	struct list_head lists[LRU_LISTS]; /* (lock) struct page by lru */
	u64 pages; /* (lock) on all lists; flags change, so not one per list */
};

struct lru_batch {
	u32 count;
	struct page *pages[LRU_BATCH_PAGES];
};

static enum lru_list page_lru(u32 flags)
{
	if (flags & PAGE_UNEVICTABLE)
		return LRU_UNEVICTABLE;
	if (flags & PAGE_SWAPBACKED)
		return flags & PAGE_ACTIVE ? LRU_ACTIVE_ANON : LRU_INACTIVE_ANON;
	return flags & PAGE_ACTIVE ? LRU_ACTIVE_FILE : LRU_INACTIVE_FILE;
}

static inline struct lruvec *lruvec_of(const struct memory *mem, const struct page *page)
{
	return mem->nodes[page_node(mem, page)].lruvec;
}

spinlock_t *lru_lock(const struct memory *mem, const struct page *page)
{
	return &lruvec_of(mem, page)->lock;
}

static void lruvec_add(struct lruvec *lruvec, struct page *page)
{
	u32 flags = READ_ONCE(page->flags);
	struct list_head *list = &lruvec->lists[page_lru(flags)];

	page_set_flags(page, PAGE_LRU);
	line_write_ptr(list);
	line_write_ptr(list->next);
	list_add(&page->lru, list);
	lruvec->pages++;
}

/* The pages of a batch may be of several nodes: one lock at a time, as long as it is the right one. */
static void batch_drain(const struct memory *mem, struct lru_batch *batch)
{
	struct lruvec *locked = NULL;
	u32 n = batch->count;

	for (u32 i = 0; i < n; i++) {
		struct lruvec *lruvec;

		line_read_next(&batch->pages[i], !i);
		lruvec = lruvec_of(mem, batch->pages[i]);
		if (lruvec != locked) {
			if (locked)
				spin_unlock(&locked->lock);
			spin_lock(&lruvec->lock);
			line_write(lruvec, pages);
			locked = lruvec;
		}
		lruvec_add(lruvec, batch->pages[i]);
	}
	spin_unlock(&locked->lock);
	batch->count = 0;
	count_event(COUNTER_LRU_BATCH);
	/* A page that was unmapped meanwhile goes away here. */
	page_put_batch(mem, batch->pages, n);
}

void lru_add(const struct memory *mem, struct page *page)
{
	struct lru_batch *batch;

	/* The batch's reference. Nobody else can have one yet, so a store does. */
	atomic_set(&page->refcount, 2);
	preempt_disable();
	batch = this_cpu_ptr(mem->lru_batch, struct lru_batch);
	line_write(batch, count);
	line_write_ptr(&batch->pages[batch->count]);
	batch->pages[batch->count++] = page;
	if (unlikely(batch->count == LRU_BATCH_PAGES))
		batch_drain(mem, batch);
	preempt_enable();
}

void lru_del_locked(const struct memory *mem, struct page *page)
{
	struct lruvec *lruvec = lruvec_of(mem, page);
	u32 flags = READ_ONCE(page->flags);

	line_write(page, lru);
	line_write_neighbours(&page->lru);
	list_del_init(&page->lru);
	line_write(lruvec, pages);
	lruvec->pages--;
	WRITE_ONCE(page->flags, flags & ~(u32)PAGE_LRU);
}

void lru_drain(const struct memory *mem)
{
	struct lru_batch *batch;

	preempt_disable();
	batch = this_cpu_ptr(mem->lru_batch, struct lru_batch);
	line_write(batch, count);
	if (batch->count)
		batch_drain(mem, batch);
	preempt_enable();
}

void lru_drain_all(const struct machine *m)
{
	const struct memory *mem = memory_of(m);

	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct lru_batch *batch =
			per_cpu_ptr(mem->lru_batch, struct lru_batch, machine_cpu(m, i));

		if (batch->count)
			batch_drain(mem, batch);
	}
}

u64 lru_pages(const struct memory *mem)
{
	u64 pages = 0;

	for (u32 node = 0; node < mem->node_count; node++) {
		struct lruvec *lruvec = mem->nodes[node].lruvec;

		spin_lock(&lruvec->lock);
		pages += lruvec->pages;
		spin_unlock(&lruvec->lock);
	}
	return pages;
}

static const struct obj_field lruvec_fields[] = {
	OBJ_FIELD(struct lruvec, lock, "lruvec->lru_lock"),
	OBJ_FIELD(struct lruvec, lists, "lruvec->lists"),
	OBJ_FIELD(struct lruvec, pages, "lruvec->pages"),
};
static const struct obj_layout lruvec_layout = { sizeof(struct lruvec), ARRAY_SIZE(lruvec_fields),
						 lruvec_fields };

static int lruvec_create(struct memory *mem, u32 node)
{
	struct lruvec *lruvec =
		machine_memory_alloc(mem->machine, sizeof(*lruvec), MMSIM_CACHE_LINE_BYTES);

	if (!lruvec)
		return -ENOMEM;
	machine_memory_on_node(mem->machine, lruvec, sizeof(*lruvec), node);
	region_set_layout(mem->machine, lruvec, sizeof(*lruvec), &lruvec_layout);
	spin_lock_init(&lruvec->lock, LOCK_RANK_LRU);
	lruvec->pages = 0;
	for (u32 i = 0; i < LRU_LISTS; i++)
		list_init(&lruvec->lists[i]);
	mem->nodes[node].lruvec = lruvec;
	return 0;
}

int lru_init(struct memory *mem)
{
	int err = 0;

	for (u32 node = 0; node < mem->node_count && !err; node++)
		err = lruvec_create(mem, node);
	mem->lru_batch =
		percpu_alloc(mem->machine, sizeof(struct lru_batch), MMSIM_CACHE_LINE_BYTES);
	if (!err && mem->lru_batch)
		return 0;
	lru_destroy(mem);
	return -ENOMEM;
}

void lru_destroy(struct memory *mem)
{
	if (mem->lru_batch)
		percpu_free(mem->machine, mem->lru_batch, sizeof(struct lru_batch));
	for (u32 node = 0; node < mem->node_count; node++)
		if (mem->nodes[node].lruvec)
			machine_memory_free(mem->machine, mem->nodes[node].lruvec,
					    sizeof(struct lruvec));
}

/* ---- page lock ------------------------------------------------------------------------------- */

static struct wait_queue *page_wait_queue(const struct memory *mem, const struct page *page)
{
	/* By frame number, so that the choice does not depend on host addresses. */
	return &mem->page_waits[page_to_pfn(mem, page) & (PAGE_WAIT_QUEUES - 1)];
}

bool page_trylock(struct page *page)
{
	if (page_has(page, PAGE_LOCKED))
		return false;
	if (fetch_or(&page->flags, (u32)PAGE_LOCKED) & PAGE_LOCKED)
		return false;
	lock_rank_acquire(&page->flags, LOCK_RANK_FOLIO, true, true);
	return true;
}

void page_lock(const struct memory *mem, struct page *page)
{
	while (fetch_or(&page->flags, (u32)PAGE_LOCKED) & PAGE_LOCKED) {
		task_waits_for(&page->flags);
		wait_event(page_wait_queue(mem, page), !page_has(page, PAGE_LOCKED));
		task_waits_for(NULL);
	}
	lock_rank_acquire(&page->flags, LOCK_RANK_FOLIO, false, false);
}

void page_unlock(const struct memory *mem, struct page *page)
{
	u32 old;

	lock_rank_release(&page->flags, LOCK_RANK_FOLIO);
	old = fetch_and(&page->flags, ~(u32)PAGE_LOCKED);
	MMSIM_BUG_ON(!(old & PAGE_LOCKED));
	wake_up_all(page_wait_queue(mem, page));
}
