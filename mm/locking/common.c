/*
 * mm/locking/common.c - what several schemes are made of
 *
 * The hooks on mm->mmap_lock (the rwsem), the waiting side of a fault under it, and hooks that have
 * nothing to do. A scheme names what it uses in its own table; nothing here knows any scheme.
 */
#include <string.h>

#include "mm/internal.h"

const struct mm_locking *mm_locking_find(const char *name)
{
	for (u32 i = 0; mm_locking_all[i]; i++)
		if (!strcmp(mm_locking_all[i]->name, name))
			return mm_locking_all[i];
	return NULL;
}

struct mm_hold *mm_hold(enum mm_hold_slot slot)
{
	return &mm_task()->holds[slot];
}

/* ---- an mm's scheme state -------------------------------------------------------------------- */

int mm_init_rwsem(struct mm *mm)
{
	rwsem_init(&mm->mmap_lock, LOCK_RANK_MMAP);
	return 0;
}

void mm_hook_nop(struct mm *mm)
{
	(void)mm;
}

/* ---- mm->mmap_lock --------------------------------------------------------------------------- */

static int rwsem_lock_read(struct rwsem *sem, enum mmap_lock_how how)
{
	switch (how) {
	case MMAP_TRY:
		return down_read_trylock(sem) ? 0 : -EAGAIN;
	case MMAP_KILLABLE:
		return down_read_killable(sem);
	default:
		down_read(sem);
		return 0;
	}
}

/* Who waits has tried before (mm/mmap_lock.c). Linux's writers try once; its faults try, and begin anew. */
static int rwsem_lock_write(struct rwsem *sem, enum mmap_lock_how how)
{
	if (how == MMAP_TRY)
		return down_write_trylock(sem) ? 0 : -EAGAIN;
	return down_write_contended(sem, how == MMAP_NESTED, how == MMAP_KILLABLE);
}

int mmap_rwsem_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how)
{
	struct rwsem *sem = &h->mm->mmap_lock;

	h->start = 0;
	h->end = ~0ull;
	return mode == MMAP_READ ? rwsem_lock_read(sem, how) : rwsem_lock_write(sem, how);
}

void mmap_rwsem_unlock(struct mm_hold *h)
{
	if (h->mode == MMAP_READ)
		up_read(&h->mm->mmap_lock);
	else
		up_write(&h->mm->mmap_lock);
}

void mmap_rwsem_downgrade(struct mm_hold *h)
{
	downgrade_write(&h->mm->mmap_lock);
}

bool mmap_rwsem_is_contended(const struct mm_hold *h)
{
	return rwsem_is_contended(&h->mm->mmap_lock);
}

/* ---- the fault side -------------------------------------------------------------------------- */

enum lk_status mmap_lock_fault_wait(struct fault *f)
{
	struct mm *mm = f->mm;
	u64 page_bytes = arch_page_bytes(mm->arch);
	u64 start = ALIGN_DOWN(f->va, page_bytes);

	if (unlikely(f->needs_neighbours)) {
		if (mmap_read_lock_vmas_killable(mm, f->hold, start, start + page_bytes))
			return LK_KILLED;
	} else if (unlikely(mmap_read_lock_killable(mm, f->hold, start, start + page_bytes))) {
		return LK_KILLED;
	}
	f->vma = mm_has_ranges(mm) ? vma_lookup(mm, f->va) : find_vma(mm, f->va);
	return LK_OK;
}

/* Schemes without LK_CAP_TRY: there is no second way to try. */
enum lk_status mmap_lock_fault_begin(struct fault *f, enum lk_mode mode)
{
	return mode == LK_TRY ? LK_CONTENDED : mmap_lock_fault_wait(f);
}

/* A stack's growth can end with the lock lost (killed while it waited to write). */
void mmap_lock_fault_end(struct fault *f, bool retry)
{
	(void)retry;
	if (likely(f->hold->mode != MMAP_UNLOCKED))
		mmap_read_unlock(f->hold);
}

bool pte_lock_blocking(struct fault *f, spinlock_t *ptl)
{
	if (unlikely(spin_is_locked(ptl)))
		count_event(COUNTER_PTL_CONTENDED);
	spin_lock(ptl);
	return true;
}

void fault_walk_nop(struct fault *f)
{
	(void)f;
}

/* ---- VMAs ------------------------------------------------------------------------------------ */

void vma_hook_nop(struct vma *vma)
{
	(void)vma;
}

void vma_free_now(struct vma *vma)
{
	objcache_free(vma->mm->mmm->vma_cache, vma);
}
