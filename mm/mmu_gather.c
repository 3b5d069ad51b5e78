/*
 * mm/mmu_gather.c - unmapped pages and page tables on their way to the allocator
 *
 * Models       Linux's mm/mmu_gather.c with RCU-freed tables: batches of pages, one TLB flush for
 *              all that were gathered, then the frees; more batches until there are about 10 000
 *              pages.
 * Guarantee    Nothing is freed before the flush of the range that mapped it has returned. A
 *              table is, besides, freed only after a grace period: software may be walking it
 *              under RCU.
 * Tables       The call-back of a grace period runs on the RCU worker's CPU. Frames that it freed
 *              would pile up in that CPU's lists, so it only hands them to mmu_machine.freed;
 *              tasks free them from there, on CPUs that allocate (tables_reap()).
 * Context      a task; gather_flush() without a ptl.
 * Tests        tests/unit/mm/test_zap.c
 */
#include "mm/invariants.h"
#include "mm/mmu_internal.h"

static void gather_flushed(struct mmu_gather *tlb)
{
	if (unlikely(tlb->has_leaf))
		invariants_leaf_gathered(tlb->mm->memory->watch, -1);
	tlb->has_leaf = false;
	tlb->start = ~0ull;
	tlb->end = 0;
	tlb->levels = 0;
	tlb->freed_tables = false;
}

static bool gather_needs_flush(const struct mmu_gather *tlb)
{
	return tlb->start < tlb->end || tlb->freed_tables;
}

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm, bool whole_mm)
{
	tlb->mm = mm;
	tlb->whole_mm = whole_mm;
	tlb->batch_count = 0;
	tlb->local.next = NULL;
	tlb->local.pages = tlb->local_pages;
	tlb->local.count = 0;
	tlb->local.max = MMU_GATHER_LOCAL_PAGES;
	tlb->active = &tlb->local;
	tlb->tables = NULL;
	tlb->has_leaf = false;
	gather_flushed(tlb);
}

bool gather_more(struct mmu_gather *tlb)
{
	struct mmu_gather_batch *batch = tlb->active->next;

	if (!batch) {
		if (tlb->batch_count == MMU_GATHER_BATCHES)
			return false;
		batch = objcache_alloc(mmu_machine(tlb->mm->machine)->gather_cache);
		if (!batch)
			return false;
		line_write(batch, next);
		batch->next = NULL;
		batch->pages = (struct page **)(batch + 1);
		batch->count = 0;
		batch->max = MMU_GATHER_BATCH_PAGES;
		tlb->active->next = batch;
		tlb->batch_count++;
	}
	tlb->active = batch;
	return true;
}

/* ---- tables ----------------------------------------------------------------------------- */

void gather_table(struct mmu_gather *tlb, u64 pfn)
{
	struct page *page = pfn_to_page(tlb->mm->memory, pfn);

	line_write(page, pt_next);
	page->pt_next = tlb->tables;
	tlb->tables = page;
	tlb->freed_tables = true;
	(void)fetch_add_relaxed(&tlb->mm->table_pages, -1);
	count_event(COUNTER_PT_FREE);
}

/* RCU call-back: head's page is the first of a chain. */
static void tables_ripe(struct rcu_head *head)
{
	struct page *first = container_of(head, struct page, pt_rcu);
	struct mmu_machine *mmu;
	struct page *last = first, *old;

	line_read(first, pt_owner);
	mmu = first->pt_owner;
	old = READ_ONCE(mmu->freed);
	while (last->pt_next) {
		last = last->pt_next;
		line_read(last, pt_next);
	}
	line_write(last, pt_next);
	do {
		last->pt_next = old;
		/* Pairs with the xchg in tables_reap(): it sees the chain. */
	} while (!try_cmpxchg_release(&mmu->freed, &old, first));
}

void tables_reap(struct mmu_machine *mmu)
{
	struct page *page, *next;

	if (likely(!READ_ONCE(mmu->freed)))
		return;
	for (page = xchg(&mmu->freed, NULL); page; page = next) {
		line_write(page, pt_next);
		next = page->pt_next;
		table_page_free(mmu->memory, page);
	}
}

void pgtable_drain_freed(struct machine *m)
{
	sim_rcu_barrier();
	tables_reap(mmu_machine(m));
}

static void gather_free_tables(struct mmu_gather *tlb)
{
	struct page *first = tlb->tables;

	if (!first)
		return;
	MMSIM_BUG_ON(gather_needs_flush(tlb));
	tlb->tables = NULL;
	line_write(first, pt_owner);
	first->pt_owner = mmu_machine(tlb->mm->machine);
	sim_call_rcu(&first->pt_rcu, tables_ripe);
}

/* ---- flush and free ------------------------------------------------------------------------ */

static void free_batches(struct mmu_gather *tlb)
{
	const struct memory *mem = tlb->mm->memory;
	struct mmu_gather_batch *batch;

	/* Linux's free_pages_and_caches(): a page that still waits in this CPU's LRU batch is held
	 * by it, and would not be freed here. */
	lru_drain(mem);
	for (batch = &tlb->local; batch && batch->count; batch = batch->next) {
		page_put_batch(mem, batch->pages, batch->count);
		batch->count = 0;
	}
	tlb->active = &tlb->local;
}

static void gather_free_pages(struct mmu_gather *tlb)
{
	if (!tlb->local.count)
		return;
	MMSIM_BUG_ON(gather_needs_flush(tlb)); /* what the whole file is about */
	free_batches(tlb);
}

/* For the test of the checker (TLB_BREAK_FREE_FIRST). */
static NOINLINE void free_before_flush(struct mmu_gather *tlb)
{
	if (tlb->local.count)
		free_batches(tlb);
}

void gather_flush(struct mmu_gather *tlb)
{
	if (unlikely(mmu_machine(tlb->mm->machine)->broken & TLB_BREAK_FREE_FIRST))
		free_before_flush(tlb);
	if (gather_needs_flush(tlb)) {
		if (tlb->whole_mm)
			tlb_flush_range(tlb->mm, 0, tlb->mm->task_size, 0, tlb->freed_tables);
		else
			tlb_flush_range(tlb->mm, tlb->start, tlb->end, (u32)__builtin_ctz(tlb->levels),
					tlb->freed_tables);
		gather_flushed(tlb);
	}
	gather_free_tables(tlb);
	gather_free_pages(tlb);
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	struct mmu_machine *mmu = mmu_machine(tlb->mm->machine);
	struct mmu_gather_batch *batch, *next;

	gather_flush(tlb);
	for (batch = tlb->local.next; batch; batch = next) {
		next = batch->next;
		objcache_free(mmu->gather_cache, batch);
	}
	tlb->local.next = NULL;
	tables_reap(mmu);
}
