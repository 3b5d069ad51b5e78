/*
 * mmsim/mmap_lock.h - the mmap locking API: the only way mm/ takes an address-space lock
 *
 * Linux's include/linux/mmap_lock.h, plus a range [start, end) that schemes without ranges ignore;
 * MM_RANGE_ALL is all of it. Counts acquisitions, contention and waiting time.
 */
#ifndef MMSIM_MMAP_LOCK_H
#define MMSIM_MMAP_LOCK_H

#include <mmsim/locking.h>

#define MM_RANGE_ALL 0, ~0ull

void mmap_read_lock(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
int MUST_CHECK mmap_read_lock_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
bool MUST_CHECK mmap_read_trylock(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
void mmap_read_unlock(struct mm_hold *h);
/* Another task may unlock what this one locked (the debug lock order forgets it). */
bool MUST_CHECK mmap_read_trylock_non_owner(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
void mmap_read_unlock_non_owner(struct mm_hold *h);

void mmap_write_lock(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
/* A second mm's lock under the first's (fork: the child's). */
void mmap_write_lock_nested(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
int MUST_CHECK mmap_write_lock_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
bool MUST_CHECK mmap_write_trylock(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
void mmap_write_unlock(struct mm_hold *h);
void mmap_write_downgrade(struct mm_hold *h);

/*
 * Widened to the VMAs that [start, end) cuts or touches, and a page beyond: what a split, a merge or
 * the search for an anon_vma to share looks at. Where a lock covers everything anyway, these are
 * the plain calls. 0 or -EINTR.
 */
int MUST_CHECK mmap_write_lock_vmas_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
int MUST_CHECK mmap_read_lock_vmas_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
void mmap_read_lock_vmas(struct mm *mm, struct mm_hold *h, u64 start, u64 end);
/* For munmap: also to the spans of the page tables at the borders that it may leave empty. */
int MUST_CHECK mmap_write_lock_tables_killable(struct mm *mm, struct mm_hold *h, u64 start, u64 end);

bool mmap_lock_is_contended(const struct mm_hold *h);
void mmap_assert_locked(const struct mm_hold *h);
void mmap_assert_write_locked(const struct mm_hold *h);

/* VMA write side: the VMA's lock (idempotent while the write lock is held), and, inside it and inside
 * i_mmap_rwsem, the sequence around the very change (nests). See struct mm_locking. */
static inline void vma_start_write(struct vma *vma)
{
	vma->mm->locking->vma_start_write(vma);
}
static inline void vm_write_begin(struct vma *vma)
{
	vma->mm->locking->vm_write_begin(vma);
}
static inline void vm_write_end(struct vma *vma)
{
	vma->mm->locking->vm_write_end(vma);
}
/* The flags of a write-started VMA change, and nothing else. */
static inline void vma_set_flags(struct vma *vma, u64 flags)
{
	vm_write_begin(vma);
	WRITE_ONCE(vma->flags, flags);
	vm_write_end(vma);
}

#endif
