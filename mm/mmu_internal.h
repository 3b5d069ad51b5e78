/*
 * mm/mmu_internal.h - what the page-table and TLB files share
 */
#ifndef MMSIM_MM_MMU_INTERNAL_H
#define MMSIM_MM_MMU_INTERNAL_H

#include "mm/internal.h"

/* The MMU side of one machine. Constant after tlb_machine_init() but for `freed`. */
struct mmu_machine {
	struct machine *machine;
	const struct arch_desc *arch;
	const struct memory *memory;
	struct objcache *tlb_cache;    /* struct tlb */
	struct objcache *gather_cache; /* struct mmu_gather_batch with its pages */
	enum tlb_invalidation how;     /* the more of what the architecture and the machine say */
	struct tlb_core *cores;	       /* mm/tlb_model.c; NULL: TLBs are the simple ones */
	u32 core_count;
	u8 *page_counts;	       /* [bucket of a page][core]: entries; see mm/tlb_model.c */
	u32 page_buckets;	       /* a power of two */
	u16 sizes_seen;		       /* those of all cores together */
	bool range_operations;	       /* one broadcast operation can name many pages */
	struct asid_space *asids;      /* mm/tlb_context.c; NULL: not needed */
	struct invariants *invariants; /* mm/invariants.c; NULL: nobody watches */
	u32 broken;		       /* enum tlb_breakage, by tests */
	struct page *freed; /* (atomic) table pages by pt_next: their grace period is over */
};

/* Parts of the protocol that a test leaves out, to see that somebody notices. */
enum tlb_breakage {
	TLB_BREAK_FLUSH = 1 << 0,      /* flushes do nothing */
	TLB_BREAK_ONE_CPU = 1 << 1,    /* flushes forget the last CPU of their targets */
	TLB_BREAK_FREE_FIRST = 1 << 2, /* pages are freed, then flushed */
	TLB_BREAK_LAZY = 1 << 3,       /* a CPU that comes back does not ask what it has missed */
	TLB_BREAK_ROLLOVER = 1 << 4,   /* ASIDs are used again without emptying the TLBs */
	TLB_BREAK_WALK_CACHE = 1 << 5, /* paging-structure caches are not flushed */
};

static inline struct mmu_machine *mmu_machine(const struct machine *m)
{
	return mm_machine(m)->tlbs;
}

/* Bytes of a cached gather batch: a page, as in Linux. */
#define MMU_GATHER_BATCH_BYTES 4096
#define MMU_GATHER_BATCH_PAGES                                                                     \
	((MMU_GATHER_BATCH_BYTES - sizeof(struct mmu_gather_batch)) / sizeof(struct page *))

/* Is software's emptiness of freed tables worth a look at every entry? In debug builds. */
#if defined(MMSIM_DEBUG_LOCKS) || defined(MMSIM_SANITIZED)
#define MMU_PARANOID 1
#else
#define MMU_PARANOID 0
#endif

/*
 * The stretch of [va, end) that starts at va and is served by one level-0 table: *pte is va's entry
 * and *ptl its lock; or by none: *pte is NULL. Returns where the stretch ends.
 */
u64 pgtable_span(struct mm *mm, u64 va, u64 end, pte_t **pte, spinlock_t **ptl);

/* Likewise, but leaves above level 0, which the others split, are shown as such. */
struct pt_span {
	u64 end;
	pte_t *entry;	 /* va's, of level 0; or the huge leaf, as it was without the lock; NULL: neither */
	spinlock_t *ptl; /* of the table that the entry is in */
	u32 level;	 /* of the entry */
};
void pgtable_span_leaf(struct mm *mm, u64 va, u64 end, struct pt_span *s);

/* All of the leaf? */
static inline bool span_is_whole(const struct mm *mm, const struct pt_span *s, u64 va)
{
	return s->end - va == level_bytes(mm->arch, s->level);
}

/* The entry of `level` for va, or NULL where a table is missing and (alloc) cannot be had.
 * *ptl: the lock of the table page that the entry is in. */
pte_t *pgtable_entry(struct mm *mm, u64 va, u32 level, bool alloc, spinlock_t **ptl);

/* mm dies: the calling CPU lets go of its page table, and nobody else has it loaded for a user task
 * (MMSIM_BUG otherwise). No TLB knows it afterwards. */
void mmu_forget(struct mm *mm);

/* Is this entry of a level above 0 a leaf? */
static inline bool pgtable_is_leaf(const struct mm *mm, pte_t e, u32 level)
{
	return pte_present(mm->arch, e) && entry_is_leaf(mm->arch, e, level);
}

/* huge.c: leaves of level 1 that may become tables.
 * ptl held: a table of small pages in the place of the leaf at va (aligned to it). */
void pgtable_split_locked(struct mm *mm, pte_t *leaf, u64 va);
/* The same for the leaf that maps va, if there is one. */
void pgtable_split(struct mm *mm, u64 va);
/* ptl held: the leaf that mapped the block has gone, and with it the table for its split. */
void huge_unmapped(struct mm *mm, struct page *head);

/* One mapping less. An exclusive page is mapped once, and only who holds the ptl of that one entry
 * can map it again (fork): no atomic needed. */
static inline void page_unmap_one(struct page *page)
{
	u32 flags = READ_ONCE(page->flags);
	s32 mapped = atomic_read(&page->mapcount);

	if (unlikely(mapped < 1))
		MMSIM_BUG("unmapping a page that is not mapped (map count %d, flags %#x)", mapped,
			  flags);
	if (likely(flags & PAGE_ANON_EXCLUSIVE))
		atomic_set(&page->mapcount, 0);
	else
		atomic_dec(&page->mapcount);
}

/* A table that is linked nowhere yet, counted as the mm's; and away with one. */
struct page *pgtable_page_alloc(struct mm *mm);
void pgtable_page_free(struct mm *mm, struct page *page);
/* A table page that nothing refers to any more goes back to the allocator. */
void table_page_free(const struct memory *mem, struct page *page);
/* Give back the tables whose grace period is over. */
void tables_reap(struct mmu_machine *mmu);

/* Entries of `level` have been taken out in [start, end): it needs a flush. */
static inline void gather_range(struct mmu_gather *tlb, u64 start, u64 end, u32 level)
{
	tlb->levels |= 1u << level;
	if (start < tlb->start)
		tlb->start = start;
	if (end > tlb->end)
		tlb->end = end;
}
/* Another batch for a full gather: false when it has to be flushed before the next page. */
bool gather_more(struct mmu_gather *tlb);
/* Flush the TLBs, then free what was gathered; the gather can be used on. No ptl held. */
void gather_flush(struct mmu_gather *tlb);

/* The page's entry has gone from the page table. true: the gather is full and must be flushed. */
static inline bool gather_page(struct mmu_gather *tlb, struct page *page)
{
	struct mmu_gather_batch *batch = tlb->active;

	line_write_next(&batch->pages[batch->count], !batch->count);
	batch->pages[batch->count++] = page;
	return unlikely(batch->count == batch->max) && !gather_more(tlb);
}
void gather_table(struct mmu_gather *tlb, u64 pfn);

#endif
