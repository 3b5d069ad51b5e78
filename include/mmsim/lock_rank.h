/*
 * mmsim/lock_rank.h - the lock order, as a table and as an enum that debug builds enforce
 *
 * Outermost first. A task may take a lock only if its rank is above every rank it holds; where a
 * row says so, several locks of one rank may nest (same rank, with the `nested` flag).
 *
 *   INODE         inode->i_rwsem          a file's size changes
 *   MMAP          mm->mmap_lock           nested: fork (parent, then child)
 *   VMA           vma->vm_refcnt          a reader holds one; a writer, under MMAP(W), several
 *   HUGETLB_FAULT hugetlb_fault_mutex     one fault at a time on a page of a hugetlb file
 *   HUGETLB_VMA   hugetlb_file->vma_lock  faults against MADV_DONTNEED's freeing
 *   I_MMAP        mapping->i_mmap_rwsem   link and unlink of file VMAs; truncation
 *   ANON_VMA      anon_vma root->rwsem    link, unlink, split, fork
 *   VMA_TREE      mm->tree_lock           range schemes: a store into the VMA tree, gaps, counts
 *   FOLIO         page lock               fault on a file page; truncation
 *   FILE_TREE     mapping->tree_lock      changes of the page cache (look-ups are RCU)
 *   PAGE_TABLE    mm->page_table_lock     a new table page is linked (upper levels)
 *   PTE           ptdesc->ptl             one table page's entries; nested: mremap (old, then new)
 *   LRU           lruvec->lru_lock        taken per batch
 *   HUGETLB       hugetlb_lock            the pools of huge pages, and reservations
 *   PCP           per-CPU page lists
 *   ZONE          zone->lock              buddy lists, taken per pcp batch
 *   WAIT          wait queues, rwsem waiter lists
 *   LEAF          statistics, RCU call-backs, object caches: nothing is taken inside
 */
#ifndef MMSIM_LOCK_RANK_H
#define MMSIM_LOCK_RANK_H

#include <mmsim/types.h>

enum lock_rank {
	LOCK_RANK_INODE = 1,
	LOCK_RANK_MMAP,
	LOCK_RANK_VMA,
	LOCK_RANK_HUGETLB_FAULT,
	LOCK_RANK_HUGETLB_VMA,
	LOCK_RANK_I_MMAP,
	LOCK_RANK_ANON_VMA,
	LOCK_RANK_VMA_TREE,
	LOCK_RANK_FOLIO,
	LOCK_RANK_FILE_TREE,
	LOCK_RANK_PAGE_TABLE,
	LOCK_RANK_PTE,
	LOCK_RANK_LRU,
	LOCK_RANK_HUGETLB,
	LOCK_RANK_PCP,
	LOCK_RANK_ZONE,
	LOCK_RANK_WAIT,
	LOCK_RANK_LEAF,
	LOCK_RANK_COUNT,
};

#ifdef MMSIM_DEBUG_LOCKS
/* What a lock says its rank is. Unpriced: other builds do not look. */
#define lock_rank_of(lock) ((enum lock_rank)READ_UNPRICED((lock)->rank))
/* Record that the current task takes / has dropped `lock`; a violation of the order prints what
 * is held and stops (MMSIM_BUG). A trylock may be out of order: record it with `trylock`. */
void lock_rank_acquire(const void *lock, enum lock_rank rank, bool nested, bool trylock);
void lock_rank_release(const void *lock, enum lock_rank rank);
/* True if the current task holds `lock` (debug builds only: for assertions). */
bool lock_rank_held(const void *lock);
/* Release the books of a task that will not run again; it must hold nothing. */
void lock_rank_task_exit(void);
/* What the current task holds, outermost first, on stderr. */
void lock_rank_dump_held(void);
struct task;
/* The i-th lock of a task that stands still, outermost first, and its rank's name; NULL: it has no more. What
 * it waits for is among them. */
const void *lock_rank_of_task(const struct task *task, u32 i, const char **rank);
#else
#define lock_rank_of(lock) ((enum lock_rank)(lock)->rank)
static inline void lock_rank_acquire(const void *lock, enum lock_rank rank, bool nested,
				     bool trylock)
{
	(void)lock, (void)rank, (void)nested, (void)trylock;
}
static inline void lock_rank_release(const void *lock, enum lock_rank rank)
{
	(void)lock, (void)rank;
}
static inline void lock_rank_task_exit(void)
{
}
#endif

#endif
