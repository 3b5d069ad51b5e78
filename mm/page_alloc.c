/*
 * mm/page_alloc.c - frames: a buddy allocator behind per-CPU lists, reference counts, contents
 *
 * Models       One zone per memory node: free blocks of 2^0..2^10 frames (or of a huge page, if that is
 *              larger) under zone->lock, split on allocation and merged with their buddy when freed. In
 *              front of each one list per CPU, refilled and drained PCP_BATCH frames at a time (Linux: percpu_pagelist, pcp->batch). The coldest
 *              frames are drained first. A frame comes from the caller's node, else from the next that
 *              has one (all others are as far); it goes back to its own. When all zones are empty all
 *              CPUs' lists are drained.
 * Leaves out   Several zones of a node, policies and migration, migrate types, watermarks and reclaim,
 *              other high-order requests than huge pages, pcp->high that tunes itself (6.7): it is fixed
 *              at six batches, as before 5.14.
 * Guarantee    A frame is on one list or has a positive refcount, never both; a second free, or a
 *              reference taken on a free frame, stops the program.
 * Lock order   LRU before PCP before ZONE. Another CPU's list is locked only by the slow path.
 * Laziness     struct page is all zero until its block is first handed to the buddy lists, so that
 *              a machine with a terabyte starts as fast as a small one.
 * Tests        tests/unit/mm/test_page_alloc.c
 */
#include <stdlib.h>

#include <mmsim/charge.h>

#include "mm/hugetlb.h"
#include "mm/internal.h"
#include "mm/invariants.h"
#include "mm/page_internal.h"

#define BUDDY_ORDERS 14 /* lists; the largest block: */
#define BUDDY_ORDER_MAX 10 /* Linux's; or a huge page, if that is larger (64 KiB pages: 13) */
#define PCP_BATCH 63
#define PCP_HIGH (6 * PCP_BATCH)
#define PCP_RING 512 /* power of two; the most that one list holds: */
_Static_assert(PCP_RING >= PCP_HIGH + LRU_BATCH_PAGES, "a put before the drain fits");
#define PUT_AHEAD 6 /* frames: what is prefetched while one is put */

/* A ring, because frames are taken and put at the hot end and drained from the cold one. */
struct per_cpu_pages {
	spinlock_t lock;
	u32 count;
	u32 coldest; /* index in ring, modulo its size */
	struct page *ring[PCP_RING];
};

struct zone {
	spinlock_t lock;
	u32 nonempty;                        /* (lock) bit n: free[n] has a block */
	u32 node;                            /* constant */
	u64 free_pages;                      /* (lock) those never handed out included */
	u64 first_untouched;                 /* (lock) pfn from which on no block was set up yet */
	struct list_head free[BUDDY_ORDERS]; /* (lock) */
	u64 untouched_end;                   /* (constant after set-up) where first_untouched will end */
	/* (a; lock to write) A hint for those who would only find nothing. Away from the lock, as the counts
	 * are that Linux compares with its watermarks. */
	u32 exhausted __cacheline_aligned;
};
_Static_assert(offsetof(struct zone, free) % sizeof(struct list_head) == 0, "a head is in one line");

/* ---- contents -------------------------------------------------------------------------------- */

void pages_clear_content(const struct memory *mem, struct page *first, u32 count)
{
	u64 *word = page_content(mem, page_to_pfn(mem, first));

	engine_charge_n(COST_PAGE_ZERO, count * page_cost_units(mem));
	for (u64 i = 0; i < (u64)count * mem->content_words; i++)
		WRITE_ONCE(word[i], 0ull);
}

void pages_copy_content(const struct memory *mem, struct page *to, struct page *from, u32 count)
{
	u64 *dst = page_content(mem, page_to_pfn(mem, to));
	const u64 *src = page_content(mem, page_to_pfn(mem, from));

	engine_charge_n(COST_PAGE_COPY, count * page_cost_units(mem));
	for (u64 i = 0; i < (u64)count * mem->content_words; i++) {
		u64 word = READ_ONCE(src[i]);

		WRITE_ONCE(dst[i], word);
	}
}

/* ---- which frames a node has ----------------------------------------------------------------- */

/* Of a block. */
static inline u32 order_max(const struct memory *mem)
{
	return max((u32)BUDDY_ORDER_MAX, (u32)mem->huge_order);
}

void memory_split(struct memory *mem)
{
	u64 share;

	mem->node_count = machine_node_count(mem->machine);
	share = (mem->frames + mem->node_count - 1) / mem->node_count;
	mem->frames_per_node = ALIGN_UP(share, 1ull << order_max(mem));
}

u64 node_first_frame(const struct memory *mem, u32 node)
{
	return min(node * mem->frames_per_node, mem->frames);
}

static inline u64 zone_end(const struct memory *mem, const struct zone *zone)
{
	return node_first_frame(mem, zone->node + 1);
}

/* ---- buddy lists: zone->lock held ------------------------------------------------------------ */

static void buddy_insert(struct zone *zone, struct page *page, u32 order)
{
	line_write(page, order);
	line_write(zone, free[order]);
	line_write_ptr(zone->free[order].next);
	page->order = (u8)order;
	WRITE_ONCE(page->flags, (u32)PAGE_BUDDY);
	list_add(&page->lru, &zone->free[order]);
	zone->nonempty |= 1u << order;
}

static void buddy_remove(struct zone *zone, struct page *page, u32 order)
{
	line_write(page, lru);
	line_write_neighbours(&page->lru);
	list_del_init(&page->lru);
	WRITE_UNPRICED(page->flags, 0u);
	line_write(zone, free[order]);
	if (list_empty(&zone->free[order]))
		zone->nonempty &= ~(1u << order);
}

/* The largest block at pfn that is aligned and fits below end: the ends of memory may be ragged. Where it
 * ends. */
static u64 buddy_set_up(const struct memory *mem, struct zone *zone, u64 pfn, u64 end)
{
	u32 order = order_max(mem);

	while (pfn & ((1ull << order) - 1) || pfn + (1ull << order) > end)
		order--;
	buddy_insert(zone, pfn_to_page(mem, pfn), order);
	return pfn + (1ull << order);
}

/* Set up the next block of frames that nobody has used yet. False: there is none. */
static bool zone_grow(const struct memory *mem, struct zone *zone)
{
	line_read(zone, untouched_end);
	if (zone->first_untouched >= zone->untouched_end)
		return false;
	zone->first_untouched = buddy_set_up(mem, zone, zone->first_untouched, zone->untouched_end);
	return true;
}

/* Take a block of min_order to max_order: the smallest that there is, split if it is larger.
 * NULL: there is none. */
static struct page *buddy_take(const struct memory *mem, struct zone *zone, u32 min_order, u32 max_order,
			       u32 *order_taken)
{
	struct page *page;
	u32 order;

	while (!(zone->nonempty >> min_order))
		if (!zone_grow(mem, zone))
			return NULL;
	order = min_order + (u32)__builtin_ctz(zone->nonempty >> min_order);
	line_write(zone, free[order]);
	page = list_first_entry(&zone->free[order], struct page, lru);
	buddy_remove(zone, page, order);
	while (order > max_order) {
		order--;
		buddy_insert(zone, page + (1ull << order), order);
	}
	*order_taken = order;
	zone->free_pages -= 1ull << order;
	return page;
}

static void buddy_give(const struct memory *mem, struct zone *zone, struct page *page, u32 order)
{
	u64 pfn = page_to_pfn(mem, page), end = zone_end(mem, zone);

	zone->free_pages += 1ull << order;
	while (order < order_max(mem)) {
		u64 buddy_pfn = pfn ^ (1ull << order);
		struct page *buddy = pfn_to_page(mem, buddy_pfn);

		/* Beyond first_untouched no flag is set; beyond the end it is another node's, or none. */
		if (buddy_pfn >= end || !(READ_ONCE(buddy->flags) & PAGE_BUDDY) ||
		    buddy->order != order)
			break;
		buddy_remove(zone, buddy, order);
		pfn &= ~(1ull << order);
		order++;
	}
	buddy_insert(zone, pfn_to_page(mem, pfn), order);
}

/* ---- per-CPU lists: pcp->lock held ----------------------------------------------------------- */

/* The n-th coldest frame's place. */
static inline struct page **pcp_slot(struct per_cpu_pages *pcp, u32 n)
{
	return &pcp->ring[(pcp->coldest + n) % PCP_RING];
}

/* first: of several. */
static inline void pcp_push(struct per_cpu_pages *pcp, struct page *page, bool first)
{
	struct page **slot = pcp_slot(pcp, pcp->count++);

	line_write_next(slot, first || slot == pcp->ring);
	*slot = page;
}

static NOINLINE void pcp_refill(const struct memory *mem, struct zone *zone, struct per_cpu_pages *pcp)
{
	u32 want = PCP_BATCH;

	if (READ_ONCE(zone->exhausted))
		return;
	spin_lock(&zone->lock);
	while (want) {
		u32 order, max_order = 31 - (u32)__builtin_clz(want);
		struct page *block = buddy_take(mem, zone, 0, max_order, &order);

		if (!block) {
			WRITE_ONCE(zone->exhausted, 1u);
			break;
		}
		want -= 1u << order;
		/* Backwards, so that they are handed out in address order. */
		for (u32 i = 1u << order; i-- > 0;)
			pcp_push(pcp, block + i, !pcp->count);
	}
	spin_unlock(&zone->lock);
	count_event(COUNTER_PGALLOC_PCP_REFILL);
}

static void pcp_drain(const struct memory *mem, struct zone *zone, struct per_cpu_pages *pcp, u32 n)
{
	spin_lock(&zone->lock);
	for (u32 i = 0; i < n; i++) {
		line_read_next(pcp_slot(pcp, i), !i || pcp_slot(pcp, i) == pcp->ring);
		buddy_give(mem, zone, *pcp_slot(pcp, i), 0);
	}
	if (READ_ONCE(zone->exhausted))
		WRITE_ONCE(zone->exhausted, 0u);
	spin_unlock(&zone->lock);
	pcp->coldest += n;
	pcp->count -= n;
	count_event(COUNTER_PGALLOC_PCP_DRAIN);
}

/* All of one node. */
static void pcp_free_node(const struct memory *mem, const struct memory_node *node, struct page **pages,
			  u32 n)
{
	struct per_cpu_pages *pcp;

	preempt_disable();
	pcp = this_cpu_ptr(node->pcp, struct per_cpu_pages);
	spin_lock(&pcp->lock);
	for (u32 i = 0; i < n; i++)
		pcp_push(pcp, pages[i], !i);
	if (unlikely(pcp->count >= PCP_HIGH))
		pcp_drain(mem, node->zone, pcp, PCP_BATCH);
	spin_unlock(&pcp->lock);
	preempt_enable();
}

static void pcp_free(const struct memory *mem, struct page **pages, u32 n)
{
	while (n) {
		u32 node = page_node(mem, pages[0]), some = 1;

		while (some < n && page_node(mem, pages[some]) == node)
			some++;
		pcp_free_node(mem, &mem->nodes[node], pages, some);
		pages += some;
		n -= some;
	}
}

/* ---- allocation ------------------------------------------------------------------------------ */

static inline struct page *pcp_take(const struct memory *mem, const struct memory_node *node)
{
	struct per_cpu_pages *pcp;
	struct page *page = NULL;

	preempt_disable();
	pcp = this_cpu_ptr(node->pcp, struct per_cpu_pages);
	spin_lock(&pcp->lock);
	if (unlikely(!pcp->count))
		pcp_refill(mem, node->zone, pcp);
	line_read_ptr(pcp_slot(pcp, pcp->count - 1));
	if (likely(pcp->count)) {
		page = *pcp_slot(pcp, --pcp->count);
		prefetch_write(READ_UNPRICED(*pcp_slot(pcp, pcp->count - 1))); /* the next fault's */
	}
	spin_unlock(&pcp->lock);
	preempt_enable();
	return page;
}

static inline struct page *take_nearest(const struct memory *mem)
{
	u32 local = cpu_node(this_cpu());
	struct page *page = pcp_take(mem, &mem->nodes[local]);

	for (u32 i = 1; unlikely(!page) && i < mem->node_count; i++)
		page = pcp_take(mem, &mem->nodes[(local + i) % mem->node_count]);
	return page;
}

static void drain_all(const struct memory *mem, const struct memory_node *node)
{
	u32 cpus = machine_cpu_count(mem->machine);

	for (u32 i = 0; i < cpus; i++) {
		struct cpu *cpu = machine_cpu(mem->machine, i);
		struct per_cpu_pages *pcp = per_cpu_ptr(node->pcp, struct per_cpu_pages, cpu);

		spin_lock(&pcp->lock);
		if (pcp->count)
			pcp_drain(mem, node->zone, pcp, pcp->count);
		spin_unlock(&pcp->lock);
	}
}

/* Other CPUs may sit on frames that the zones miss (Linux: drain_all_pages()). */
static NOINLINE struct page *page_alloc_slow(const struct memory *mem)
{
	for (u32 node = 0; node < mem->node_count; node++)
		drain_all(mem, &mem->nodes[node]);
	return take_nearest(mem);
}

struct page *page_alloc(const struct memory *mem, u32 alloc_flags)
{
	struct page *page = take_nearest(mem);

	if (unlikely(!page)) {
		page = page_alloc_slow(mem);
		if (!page) {
			count_event(COUNTER_PGALLOC_FAIL);
			return NULL;
		}
	}
	if (unlikely(atomic_read(&page->refcount)))
		MMSIM_BUG("frame %llu was free but has references",
			  (unsigned long long)page_to_pfn(mem, page));
	count_event(COUNTER_PGALLOC_PCP);
	engine_charge_node(page_node(mem, page));
	if (alloc_flags & ALLOC_ZERO)
		page_clear_content(mem, page);
	/* Release: who gets a reference through a stale page-cache pointer sees it empty. */
	atomic_set_release(&page->refcount, 1);
	return page;
}

struct page *page_alloc_huge(const struct memory *mem, u32 alloc_flags)
{
	u32 order = mem->huge_order, local = cpu_node(this_cpu()), taken;
	struct page *head = NULL;

	MMSIM_BUG_ON(order >= BUDDY_ORDERS);
	for (u32 i = 0; !head && i < mem->node_count; i++) {
		struct zone *zone = mem->nodes[(local + i) % mem->node_count].zone;

		spin_lock(&zone->lock);
		head = buddy_take(mem, zone, order, order, &taken);
		spin_unlock(&zone->lock);
	}
	if (!head)
		return NULL;
	engine_charge_node(page_node(mem, head));
	for (u32 i = 0; i < 1u << order; i++) {
		if (unlikely(atomic_read(&head[i].refcount)))
			MMSIM_BUG("frame %llu was free but has references",
				  (unsigned long long)page_to_pfn(mem, head + i));
		if (alloc_flags & ALLOC_ZERO)
			page_clear_content(mem, head + i);
		atomic_set_release(&head[i].refcount, 1);
	}
	return head;
}

/* ---- references and freeing ------------------------------------------------------------------ */

/* True: that was the last one. */
static bool page_ref_drop(const struct memory *mem, struct page *page)
{
	s32 old = atomic_fetch_add(-1, &page->refcount);

	if (unlikely(old <= 0))
		MMSIM_BUG("frame %llu is freed twice", (unsigned long long)page_to_pfn(mem, page));
	return old == 1;
}

/* Nobody else can see the page any more. */
static void page_free_prepare(const struct memory *mem, struct page *page)
{
	u32 flags = READ_ONCE(page->flags);

	if (unlikely((flags & (PAGE_LOCKED | PAGE_LRU | PAGE_BUDDY | PAGE_RESERVED)) ||
		     atomic_read(&page->mapcount)))
		MMSIM_BUG("frame %llu is freed with flags %#x, mapped %d times",
			  (unsigned long long)page_to_pfn(mem, page), flags,
			  atomic_read(&page->mapcount));
	WRITE_ONCE(page->flags, 0u);
	if (unlikely(mem->watch))
		invariants_frame_freed(mem->watch, page_to_pfn(mem, page));
}

/* All of it but the first frame's reference, which is gone already. */
static void page_free_huge(const struct memory *mem, struct page *head)
{
	struct zone *zone = mem->nodes[page_node(mem, head)].zone;

	page_free_prepare(mem, head);
	for (u32 i = 1; i < 1u << mem->huge_order; i++) {
		if (unlikely(!page_ref_drop(mem, head + i)))
			MMSIM_BUG("frame %llu, inside a huge page, has references of its own",
				  (unsigned long long)page_to_pfn(mem, head + i));
		page_free_prepare(mem, head + i);
	}
	spin_lock(&zone->lock);
	buddy_give(mem, zone, head, mem->huge_order);
	if (READ_ONCE(zone->exhausted))
		WRITE_ONCE(zone->exhausted, 0u);
	spin_unlock(&zone->lock);
}

static void page_put_some(const struct memory *mem, struct page **pages, u32 n)
{
	struct page *dead[LRU_BATCH_PAGES];
	u32 dead_count = 0;
	spinlock_t *locked = NULL; /* lru_lock of one node at a time */

	for (u32 i = 0; i < n; i++) {
		struct page *page = pages[i];

		if (i + PUT_AHEAD < n)
			prefetch_write(pages[i + PUT_AHEAD]);
		if (!page_ref_drop(mem, page))
			continue;
		if (page_has(page, PAGE_LRU)) {
			spinlock_t *lock = lru_lock(mem, page);

			if (lock != locked) {
				if (locked)
					spin_unlock(locked);
				spin_lock(lock);
				locked = lock;
			}
			lru_del_locked(mem, page);
		}
		if (unlikely(READ_ONCE(page->flags) & (PAGE_HUGE | PAGE_HUGETLB))) {
			if (page_has(page, PAGE_HUGETLB))
				hugetlb_page_free(mem, page);
			else
				page_free_huge(mem, page);
			continue;
		}
		page_free_prepare(mem, page);
		dead[dead_count++] = page;
	}
	if (locked)
		spin_unlock(locked);
	if (dead_count)
		pcp_free(mem, dead, dead_count);
}

void page_put_batch(const struct memory *mem, struct page **pages, u32 n)
{
	while (n) {
		u32 some = min(n, (u32)LRU_BATCH_PAGES);

		page_put_some(mem, pages, some);
		pages += some;
		n -= some;
	}
}

void page_put(const struct memory *mem, struct page *page)
{
	page_put_some(mem, &page, 1);
}

static const struct obj_field zone_fields[] = {
	OBJ_FIELD(struct zone, lock, "zone->lock"),
	OBJ_FROM(offsetof(struct zone, nonempty), "zone->free_area"),
	OBJ_FIELD(struct zone, exhausted, "zone->vm_stat"),
};
static const struct obj_layout zone_layout = { sizeof(struct zone), ARRAY_SIZE(zone_fields),
					       zone_fields };
static const struct obj_field pcp_fields[] = {
	OBJ_FIELD(struct per_cpu_pages, lock, "pcp->lock"),
	OBJ_FIELD(struct per_cpu_pages, count, "pcp->count"),
	OBJ_FIELD(struct per_cpu_pages, coldest, "pcp->count"),
	OBJ_FIELD(struct per_cpu_pages, ring, "pcp->list"),
};
static const struct obj_layout pcp_layout = { sizeof(struct per_cpu_pages), ARRAY_SIZE(pcp_fields),
					      pcp_fields };

/* ---- set-up ---------------------------------------------------------------------------------- */

static int zone_create(struct memory *mem, u32 node)
{
	struct zone *zone =
		machine_memory_alloc(mem->machine, sizeof(*zone), MMSIM_CACHE_LINE_BYTES);
	u64 start = node_first_frame(mem, node), end = node_first_frame(mem, node + 1);

	if (!zone)
		return -ENOMEM;
	machine_memory_on_node(mem->machine, zone, sizeof(*zone), node);
	region_set_layout(mem->machine, zone, sizeof(*zone), &zone_layout);
	spin_lock_init(&zone->lock, LOCK_RANK_ZONE);
	zone->nonempty = 0;
	zone->first_untouched = start;
	zone->untouched_end = end;
	zone->node = node;
	zone->free_pages = end - start;
	zone->exhausted = start == end;
	for (u32 i = 0; i < BUDDY_ORDERS; i++)
		list_init(&zone->free[i]);
	mem->nodes[node].zone = zone;
	return 0;
}

static int pcp_create(struct memory *mem, u32 node)
{
	struct machine *m = mem->machine;
	percpu_t pcp = percpu_alloc(m, sizeof(struct per_cpu_pages), MMSIM_CACHE_LINE_BYTES);

	if (!pcp)
		return -ENOMEM;
	percpu_set_layout(m, pcp, &pcp_layout);
	for (u32 i = 0; i < machine_cpu_count(m); i++)
		spin_lock_init(&per_cpu_ptr(pcp, struct per_cpu_pages, machine_cpu(m, i))->lock,
			       LOCK_RANK_PCP);
	mem->nodes[node].pcp = pcp;
	return 0;
}

int zones_init(struct memory *mem)
{
	for (u32 node = 0; node < mem->node_count; node++) {
		if (zone_create(mem, node) || pcp_create(mem, node)) {
			zones_destroy(mem);
			return -ENOMEM;
		}
	}
	return 0;
}

void zones_destroy(struct memory *mem)
{
	for (u32 i = 0; i < mem->node_count; i++) {
		struct memory_node *node = &mem->nodes[i];

		if (node->pcp)
			percpu_free(mem->machine, node->pcp, sizeof(struct per_cpu_pages));
		if (node->zone)
			machine_memory_free(mem->machine, node->zone, sizeof(*node->zone));
	}
}

/* No task runs yet: straight from the zone, so that the caller need not be a task. */
struct page *zone_take_reserved(const struct memory *mem)
{
	u32 order;
	struct page *page = buddy_take(mem, mem->nodes[0].zone, 0, 0, &order);

	MMSIM_BUG_ON(!page);
	WRITE_ONCE(page->flags, (u32)(PAGE_RESERVED | PAGE_UPTODATE));
	atomic_set(&page->refcount, 1);
	return page;
}

/* More than the buddy lists can hold: from the end of what nobody has used yet (Linux: memblock). */
static struct page *take_gigantic(const struct memory *mem, struct zone *zone, u32 order)
{
	u64 frames = 1ull << order, end = ALIGN_DOWN(zone->untouched_end, frames);

	if (end < frames || end - frames < zone->first_untouched)
		return NULL;
	for (u64 pfn = end; pfn < zone->untouched_end;)
		pfn = buddy_set_up(mem, zone, pfn, zone->untouched_end);
	zone->untouched_end = end - frames;
	zone->free_pages -= frames;
	return pfn_to_page(mem, end - frames);
}

struct page *zone_take_huge(const struct memory *mem, u32 node, u32 order)
{
	struct zone *zone = mem->nodes[node].zone;
	u32 taken;

	if (order > order_max(mem))
		return take_gigantic(mem, zone, order);
	return buddy_take(mem, zone, order, order, &taken);
}

static u64 node_free_pages(const struct memory *mem, const struct memory_node *node)
{
	const struct machine *m = mem->machine;
	u64 free_pages;

	spin_lock(&node->zone->lock);
	free_pages = node->zone->free_pages;
	spin_unlock(&node->zone->lock);
	for (u32 i = 0; i < machine_cpu_count(m); i++) {
		struct per_cpu_pages *pcp =
			per_cpu_ptr(node->pcp, struct per_cpu_pages, machine_cpu(m, i));

		spin_lock(&pcp->lock);
		free_pages += pcp->count;
		spin_unlock(&pcp->lock);
	}
	return free_pages;
}

u64 memory_frames_used(const struct machine *m)
{
	const struct memory *mem = memory_of(m);
	u64 free_pages = 0;

	for (u32 node = 0; node < mem->node_count; node++)
		free_pages += node_free_pages(mem, &mem->nodes[node]);
	return mem->frames - free_pages;
}
