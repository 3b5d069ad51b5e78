/*
 * mmsim/fault.h - a page fault, from the syndrome to the installed entry
 */
#ifndef MMSIM_FAULT_H
#define MMSIM_FAULT_H

#include <mmsim/arch.h>
#include <mmsim/spinlock.h>
#include <mmsim/types.h>

struct mm;
struct mm_hold;
struct page;
struct vma;

enum fault_result {
	FAULT_OK,	       /* the access can be made again */
	FAULT_SIGSEGV_MAPERR, /* no mapping */
	FAULT_SIGSEGV_ACCERR, /* mapping forbids it */
	FAULT_SIGBUS,	       /* beyond the end of the file */
	FAULT_OOM,	       /* no simulated memory */
	FAULT_KILLED,	       /* the task was killed while it waited for a lock */
};

/* What a step of the handler says. Each step's contract tells which of these it may return. */
enum fault_step {
	STEP_CONTINUE, /* this step is done, go on */
	STEP_DONE,     /* the entry is installed, or somebody else had done it */
	STEP_RETRY,    /* lost a race, or needs a stronger lock: again, in LK_WAIT */
	STEP_IO,       /* as RETRY, after io_page of io_file has been read in with no lock held */
	STEP_MAPERR,
	STEP_ACCERR,
	STEP_SIGBUS,
	STEP_OOM,
	STEP_KILLED,
};

/* Why an attempt that had to do without waiting gave up: for the scheme, which counts it. */
enum fault_refusal {
	REFUSED_NOT_SAID,
	REFUSED_KIND,		/* not in this mode: special mappings */
	REFUSED_NO_ANON_VMA,	/* the VMA would have to be given one */
	REFUSED_NO_TABLE,	/* a table would have to be made, or there is a huge entry */
	REFUSED_VMA_CHANGED,	/* pte_lock: before it tried the lock */
	REFUSED_PTL_BUSY,	/* pte_lock: somebody holds the lock */
	REFUSED_VMA_CHANGED_PTL, /* pte_lock: under the lock */
	REFUSAL_COUNT,
};

/* One fault. On the handler's stack: no other task looks at it (f->hold lives in the task). */
struct fault {
	/* what happened */
	struct mm *mm;
	u64 va;			/* as reported; page_va() for its page */
	enum access_kind access;
	bool user;

	/* state of the current attempt */
	bool speculative;	/* LK_TRY: f->vma is held by the scheme's own means, not f->hold; or is a
				 * copy (LK_CAP_TRY_UNPINNED) */
	bool must_not_drop;	/* the caller holds the lock: no STEP_IO */
	bool needs_neighbours;	/* LK_WAIT: hold the VMA and a page on either side */
	u8 refusal;		/* enum fault_refusal, where a handler or pte_lock says STEP_RETRY */
	u32 tries;
	struct vma *vma;	/* stable between fault_begin and fault_end */
	struct mm_hold *hold;	/* the task's HOLD_FAULT */
	u64 scheme[4];		/* the scheme's own: sequence numbers */

	/* the page table */
	pte_t *pte;		/* entry of level 0, or NULL where a table is missing */
	spinlock_t *ptl;	/* its lock */
	pte_t orig;		/* what *pte was when it was first read; 0: nothing there */

	/* STEP_IO */
	struct file *io_file;	/* a reference that fault_handle() drops */
	u64 io_index;
};

/*
 * Resolve a fault. Context: a task with no mm lock held; may sleep. Bounded: at most one
 * attempt without waiting, then under the address-space lock until it is done.
 */
enum fault_result fault_handle(struct mm *mm, u64 va, enum access_kind access, bool user);

/*
 * Resolve a fault inside vma while the caller holds the address-space lock in h, for read or
 * write (populate, mlock, get_user_pages). Never drops the lock.
 */
enum fault_result fault_handle_locked(struct mm_hold *h, struct vma *vma, u64 va,
				      enum access_kind access);

#endif
