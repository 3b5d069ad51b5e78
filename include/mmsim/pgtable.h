/*
 * mmsim/pgtable.h - operations on the modelled page tables: descend, copy, move, protect, zap
 *
 * Locks: entries of a level-0 table are guarded by its table page's ptl (split page-table locks);
 * linking a new table under an upper level takes mm->page_table_lock. Entries that the MMU also
 * writes (Accessed, Dirty) are changed with atomic read-modify-writes. Table pages are freed by
 * mmu_gather after the TLBs are flushed, and after a grace period where walkers run under RCU.
 */
#ifndef MMSIM_PGTABLE_H
#define MMSIM_PGTABLE_H

#include <mmsim/arch.h>
#include <mmsim/page.h>
#include <mmsim/spinlock.h>

struct mm;
struct vma;
struct page;
struct mmu_gather;

/* The top-level table of a new mm: its pfn, or ~0 when there is no simulated memory. */
u64 pgtable_create(struct mm *mm);
/* Free the top level; everything below must be gone (MMSIM_BUG otherwise). */
void pgtable_destroy(struct mm *mm);

/* The level-0 entry of va, or NULL where an upper level is absent. *ptl: the lock of its table.
 * Context: something keeps tables from being freed (walk_begin(), or a lock over the range). */
pte_t *pgtable_lookup(struct mm *mm, u64 va, spinlock_t **ptl);
/* As lookup, but allocates the missing levels. NULL: no simulated memory. Does not sleep. */
pte_t *pgtable_alloc(struct mm *mm, u64 va, spinlock_t **ptl);

/* The attributes a fresh entry of this VMA gets for its protection (without WRITE where a write
 * must be noticed first: private file pages, shared file pages that track dirty, zero page). */
u32 vma_pte_attrs(const struct vma *vma);

/* Install, change, clear an entry. ptl held. set needs an empty entry or a flush by the caller. */
void pte_set(struct mm *mm, pte_t *pte, u64 va, pte_t e);
pte_t pte_get(const pte_t *pte); /* READ_ONCE */
/* Atomically clear; returns what it was, with the MMU's last Accessed and Dirty. */
pte_t pte_get_and_clear(struct mm *mm, pte_t *pte, u64 va);

/* fork: copy the entries of src (write-begun) for [src->start, src->end) into dst, write-protecting
 * private writable pages in both. The parent's TLBs are flushed by the caller when *flush becomes
 * true. 0 or -ENOMEM. */
int MUST_CHECK pgtable_copy(struct vma *dst, struct vma *src, bool *flush);
/* mremap: move the entries of [old, old + len) to [new, ...). Both VMAs write-begun, mmap lock W.
 * Flushes. Returns the bytes moved (less than len: no memory for a table). */
u64 pgtable_move(struct vma *old_vma, u64 old, struct vma *new_vma, u64 new, u64 len);
/* mprotect: give the entries of [start, end) the VMA's (new) protection. The VMA's flags are
 * already changed. Flushes before it returns. */
void pgtable_protect(struct vma *vma, u64 start, u64 end);

/*
 * Linux's mmu_gather: collects pages and tables whose mapping has been removed; the TLBs are
 * flushed before any of them is freed. Lives on the caller's stack; batches of pages come from
 * a per-task buffer (no allocation).
 */
#define MMU_GATHER_BATCH 507
struct mmu_gather {
	struct mm *mm;
	u64 start, end;		/* what must be flushed; start > end: nothing yet */
	u32 flushed_pages;
	bool freed_tables;
	bool whole_mm;		/* exit: no other CPU uses it */
	u32 count;
	struct page **pages;	/* [MMU_GATHER_BATCH], the task's */
	struct page *tables;	/* linked by lru.next, freed after the flush */
};
void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm, bool whole_mm);
void tlb_finish_mmu(struct mmu_gather *tlb);

/* Remove the entries of [start, end), which lies inside vma. Holds: see zap's callers. Updates RSS,
 * map counts; the pages go to tlb. */
void pgtable_zap(struct mmu_gather *tlb, struct vma *vma, u64 start, u64 end);
/* Free the tables that only covered [start, end) given that [floor, ceiling) around it has no VMA
 * (Linux: free_pgtables). The mappings are zapped and out of the tree. ceiling 0: no limit. */
void pgtable_free_range(struct mmu_gather *tlb, u64 start, u64 end, u64 floor, u64 ceiling);

/* MADV_FREE: mark the clean-able anonymous pages of the range lazily freeable. MADV_COLD etc. age. */
void pgtable_madvise_free(struct vma *vma, u64 start, u64 end);

/* Visit every present leaf entry in [start, end) in order (tests, mm_check). At rest only. */
void pgtable_visit(struct mm *mm, u64 start, u64 end,
		   void (*fn)(void *arg, u64 va, pte_t e, u32 level), void *arg);

#endif
