/*
 * mmsim/pgtable.h - operations on the modelled page tables: descend, copy, move, protect, zap
 *
 * Locks: entries of a level-0 table are guarded by its table page's ptl (split page-table locks).
 * Linking a table under a level-1 entry takes the ptl of the table that the entry is in, as Linux's
 * split PMD locks do; under a higher one mm->page_table_lock. Both check again, because another CPU
 * may have linked one. Entries that the MMU also writes (Accessed, Dirty) are changed with atomic
 * read-modify-writes. Table pages are freed by mmu_gather after the TLBs are flushed and, because
 * software may walk under RCU, after a grace period (sim_call_rcu).
 */
#ifndef MMSIM_PGTABLE_H
#define MMSIM_PGTABLE_H

#include <mmsim/arch.h>
#include <mmsim/atomic.h>
#include <mmsim/mm.h>
#include <mmsim/page.h>
#include <mmsim/spinlock.h>

struct mm;
struct vma;
struct page;
struct mmu_gather;

/* The top-level table of a new mm: its pfn, or ~0 when there is no simulated memory. */
u64 pgtable_create(struct mm *mm);
/* Free the top level; everything below must be gone, and no other CPU may have it loaded (MMSIM_BUG
 * otherwise); the calling CPU lets go of it. */
void pgtable_destroy(struct mm *mm);

/* The level-0 entry of va, or NULL where an upper level is absent. *ptl: the lock of its table.
 * Context: something keeps tables from being freed (walk_begin(), or a lock over the range). */
pte_t *pgtable_lookup(struct mm *mm, u64 va, spinlock_t **ptl);
/* As lookup, but allocates the missing levels. NULL: no simulated memory. Does not sleep. */
pte_t *pgtable_alloc(struct mm *mm, u64 va, spinlock_t **ptl);
/* ... or this: a huge leaf maps va. */
#define PGTABLE_LEAF ((pte_t *)1)
/* What translates va at this moment, of level 0 or a huge leaf; 0: nothing. Context as lookup. */
pte_t pgtable_translation(struct mm *mm, u64 va);
/* va's entry of level 1, whatever it is; 0: none. Context as lookup. */
pte_t pgtable_peek_leaf(struct mm *mm, u64 va);
/* No huge leaf crosses `boundary` any more, which is going to lie between two VMAs. Address-space lock
 * for write, the VMA write-started. */
void pgtable_split_at(struct mm *mm, u64 boundary);
/* MADV_COLLAPSE: huge leaves for all of [start, end) that lies in whole ones, inside vma. Address-space
 * lock for write over the range. 0, -EINVAL, -ENOMEM. */
int MUST_CHECK pgtable_collapse(struct vma *vma, u64 start, u64 end);

/*
 * The attributes of a fresh, accessed, clean entry of this VMA: Linux's vm_page_prot. WRITE is in
 * it only where a write needs no notice (shared memory, device mappings). Who adds it elsewhere:
 * the fault handler, when it installs or upgrades the entry for a write to a VM_WRITE vma and the page
 * is the mm's own (private) or has been told that it is going to be dirty (shared file); and
 * pgtable_protect() where that has already happened. No READ, WRITE, EXEC (PROT_NONE): HIDDEN and
 * no USER, so that the MMU refuses the access, by the one or by the other.
 */
u32 vma_pte_attrs(const struct vma *vma);
/* Do writes to this shared mapping have to be noticed (Linux: vma_wants_writenotify)? */
bool vma_wants_writenotify(const struct vma *vma);

/* Install, change, clear an entry. ptl held. set needs an empty entry or a flush by the caller;
 * over an entry that the MMU may be changing use pte_get_and_clear() first, or pte_try_change(). */
static inline pte_t pte_get(const pte_t *pte)
{
	return READ_ONCE(*pte);
}

/* Debug builds: where a live entry leads changes only by way of an empty or hidden one and a flush
 * (Arm ARM D8.16, break-before-make). Held to on every architecture. */
static inline void pte_check_break_before_make(const struct arch_desc *a, const pte_t *pte, pte_t e)
{
#if defined(MMSIM_DEBUG_LOCKS) || defined(MMSIM_SANITIZED)
	pte_t old = READ_UNPRICED(*pte);

	if (!pte_present(a, old) || pte_hidden(a, old) || !pte_present(a, e))
		return;
	if (pte_pfn(a, old) != pte_pfn(a, e))
		MMSIM_BUG("live entry %#llx replaced by %#llx without a break",
			  (unsigned long long)old, (unsigned long long)e);
#else
	(void)a, (void)pte, (void)e;
#endif
}

static inline void pte_set(struct mm *mm, pte_t *pte, u64 va, pte_t e)
{
	pte_check_break_before_make(mm->arch, pte, e);
	if (unlikely(mm->arch->hashed)) {
		(void)mm->arch->ops->pte_exchange(mm->arch, mm->memory, mm->pgd_pfn, va, pte, e);
		return;
	}
	/* Pairs with the acquire in the walker: whoever translates by this entry also sees the
	 * contents that the page was given before it was mapped. */
	smp_store_release(pte, e);
}

/* Replace *old by e unless the MMU changed it meanwhile: then false, and *old is what is there. */
static inline bool pte_try_change(struct mm *mm, pte_t *pte, u64 va, pte_t *old, pte_t e)
{
	if (unlikely(mm->arch->hashed))
		return mm->arch->ops->pte_try_change(mm->arch, mm->memory, mm->pgd_pfn, va, pte,
						     old, e);
	return try_cmpxchg(pte, old, e);
}

/* Atomically clear; returns what it was, with the MMU's last Accessed and Dirty. */
static inline pte_t pte_get_and_clear(struct mm *mm, pte_t *pte, u64 va)
{
	if (unlikely(mm->arch->hashed))
		return mm->arch->ops->pte_exchange(mm->arch, mm->memory, mm->pgd_pfn, va, pte, 0);
	return xchg(pte, (pte_t)0);
}

/* fork: copy the entries of src (write-started) for [src->start, src->end) into dst, write-protecting
 * private writable pages in both. The parent's TLBs are flushed by the caller when *flush becomes
 * true. 0 or -ENOMEM. */
int MUST_CHECK pgtable_copy(struct vma *dst, struct vma *src, bool *flush);
/* mremap: move the entries of [old, old + len) to [new, ...). Both VMAs write-started, mmap lock W.
 * Flushes. Returns the bytes moved (less than len: no memory for a table). */
u64 pgtable_move(struct vma *old_vma, u64 old, struct vma *new_vma, u64 new, u64 len);
/* mprotect: give the entries of [start, end) the VMA's (new) protection. The VMA's flags are
 * already changed. WRITE only where a write fault would have nothing to do: an exclusive anonymous
 * page, a dirty shared one. Flushes before it returns. */
void pgtable_protect(struct vma *vma, u64 start, u64 end);

/*
 * Linux's mmu_gather: collects pages and tables whose mapping has been removed; the TLBs are
 * flushed before any of them is freed. Lives on the caller's stack. The first few pages are kept
 * in it, more in batches from a cache, as many as Linux keeps (about 10 000 pages) before it
 * flushes in the middle; without host memory for a batch it flushes earlier. Do not sleep between
 * tlb_gather_mmu() and tlb_finish_mmu() with a ptl held; otherwise no restrictions.
 */
#define MMU_GATHER_LOCAL_PAGES 8 /* Linux: MMU_GATHER_BUNDLE */
#define MMU_GATHER_BATCHES 19	 /* Linux: 10000 / MAX_GATHER_BATCH */
struct mmu_gather_batch {
	struct mmu_gather_batch *next;
	struct page **pages;	/* what follows it in memory, or mmu_gather.local_pages */
	u32 count, max;
};
struct mmu_gather {
	struct mm *mm;
	u64 start, end;		/* what must be flushed; start >= end: nothing yet */
	u32 levels;		/* bit n: entries of level n have been taken out (Linux: cleared_ptes, ...) */
	bool freed_tables;
	bool has_leaf;		/* for the checker: one above level 0 has been taken out */
	bool whole_mm;		/* exit: no other CPU uses it */
	u32 batch_count;	/* beyond the local one */
	struct page *tables;	/* by pt_next; freed after the flush and a grace period */
	struct mmu_gather_batch *active;
	struct mmu_gather_batch local;
	/* Aligned, though on a stack: what a page costs must not depend on where the compiler put it. */
	struct page *local_pages[MMU_GATHER_LOCAL_PAGES] __cacheline_aligned;
};
void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm, bool whole_mm);
void tlb_finish_mmu(struct mmu_gather *tlb);
/* Free now the tables whose grace period is over; returns when all that were handed over before
 * the call are free. Before leak checks. Context: a task, no lock, not inside an RCU reader. */
void pgtable_drain_freed(struct machine *m);

/* Remove the entries of [start, end), which lies inside vma. Holds: see zap's callers. Updates RSS,
 * map counts; the pages go to tlb. */
void pgtable_zap(struct mmu_gather *tlb, struct vma *vma, u64 start, u64 end);
/* Free the tables that only covered [start, end) given that [floor, ceiling) around it has no VMA
 * (Linux: free_pgtables). The mappings are zapped and out of the tree. ceiling 0: no limit. */
void pgtable_free_range(struct mmu_gather *tlb, u64 start, u64 end, u64 floor, u64 ceiling);

/* The same for [start, end), where no VMA is and the address-space lock keeps it so: what a hold that was
 * too narrow has left. Before a huge leaf of any level can come there. */
void pgtable_free_empty(struct mm *mm, u64 start, u64 end);

/* MADV_FREE: mark the range's anonymous pages that no other mm maps as lazily freeable: clean, and
 * not backed by swap. */
void pgtable_madvise_free(struct vma *vma, u64 start, u64 end);

/* Visit every present leaf entry in [start, end) in order (tests, mm_check). At rest only. */
void pgtable_visit(struct mm *mm, u64 start, u64 end,
		   void (*fn)(void *arg, u64 va, pte_t e, u32 level), void *arg);

#endif
