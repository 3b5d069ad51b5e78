/*
 * mmsim/locking.h - the seam behind which every way of locking an address space lives
 *
 * A scheme is one `const struct mm_locking` in one file of mm/locking/, listed in schemes.h.
 * No hook is NULL. The rest of mm/ takes address-space locks through mmap_lock.h (which calls the
 * hooks), and VMA locks through vma_start_write() there; the fault path calls the fault hooks.
 */
#ifndef MMSIM_LOCKING_H
#define MMSIM_LOCKING_H

#include <mmsim/fault.h>
#include <mmsim/mm.h>
#include <mmsim/schemes.h>

enum mmap_lock_mode { MMAP_UNLOCKED, MMAP_READ, MMAP_WRITE };
enum mmap_lock_how {
	MMAP_WAIT,     /* cannot fail */
	MMAP_KILLABLE, /* -EINTR when killed while waiting */
	MMAP_TRY,      /* -EAGAIN instead of waiting */
	MMAP_NESTED,   /* MMAP_WAIT while another mm's lock is held (fork: the child's) */
};

/*
 * One held (or wanted) address-space lock over [start, end). Lives in the task (mm_hold()), never on
 * a stack, because a range lock queues it where others look.
 */
struct mm_hold {
	struct mm *mm;
	u64 start, end;		/* as asked for; a scheme without ranges makes it everything */
	u8 mode;		/* enum mmap_lock_mode; set by mmap_lock.c */
	bool disowned;		/* debug builds: taken by mmap_read_trylock_non_owner() */
	u64 scheme[8] __cacheline_aligned; /* the scheme's own: a range-lock node */
};

static inline bool hold_covers(const struct mm_hold *h, u64 start, u64 end)
{
	return h->start <= start && end <= h->end;
}

/* Which hold of the task: several can be in use at once. */
enum mm_hold_slot {
	HOLD_FAULT,	/* the fault path */
	HOLD_SYSCALL,	/* a system call's (first) range */
	HOLD_SECOND,	/* mremap's target, fork's child */
	HOLD_COUNT,
};
struct mm_hold *mm_hold(enum mm_hold_slot slot);

enum lk_mode { LK_TRY, LK_WAIT };
enum lk_status {
	LK_OK,	      /* f->vma is stable until fault_end() */
	LK_CONTENDED, /* LK_TRY only: nothing is held; the reason was counted */
	LK_KILLED,    /* LK_WAIT only: killed while waiting; nothing is held */
};

enum mm_locking_caps {
	LK_CAP_CORRECT = 1 << 0,   /* claims to be correct: part of "-s all" */
	LK_CAP_ONE_CPU = 1 << 1,   /* refuses more than one task (lock_null) */
	LK_CAP_TRY = 1 << 2,	   /* LK_TRY can succeed: worth calling */
	LK_CAP_RCU_WALK = 1 << 3,  /* VMAs and tree nodes are read under RCU */
	LK_CAP_TABLES_PINNED = 1 << 4, /* LK_TRY: no table page under f->vma goes away before fault_end(),
					* as none does in LK_WAIT: walk_begin and walk_end are not called */
	LK_CAP_RANGES = 1 << 5,	   /* writers of disjoint ranges run at once: mm->tree_lock */
	LK_CAP_VMA_LOCK = 1 << 6,  /* a VMA has a struct vma_lock */
	LK_CAP_TRY_UNPINNED = 1 << 7, /* LK_TRY holds nothing: f->vma is a copy, which pte_lock confirms. No
				       * VMA is written, no table made */
	LK_CAP_VM_SEQUENCE = 1 << 8, /* vm_write_begin/end are what faults notice: see copy_all(), fork.c */
	LK_CAP_READERS_ALONE = 1 << 9, /* a mutex: readers do not run beside each other */
};

/*
 * VMA locks for others than faults (madvise, reading maps). A locked VMA is as stable as a fault's,
 * and is nobody's but this caller's to unlock. Neither waits.
 */
struct vma_read_lock {
	/* The VMA that contains va, locked; NULL: there is none, or it cannot be had. */
	struct vma *(*lock)(struct mm *mm, u64 va);
	void (*unlock)(struct mm *mm, struct vma *vma);
};

struct mm_locking {
	const char *name;	/* stable: --scheme, CSV column, test names */
	const char *summary;	/* one line for `mmsim list schemes` */
	u32 caps;
	const struct vma_tree_type *tree; /* its own VMA tree; NULL: the first of vma_tree_all */
	u32 tree_needs;	/* VMA_TREE_CAP_* without which it does not take another one */
	u32 params;	/* MM_PARAM_BIT()s of the parameters that it heeds */
	const struct vma_read_lock *vma_read; /* NULL: only mmap_lock keeps a VMA as it is */

	/* ---- an address space's life ------------------------------------------------------- */

	/* The scheme's part of a new mm that nobody knows yet: its locks. 0 or -ENOMEM. */
	int (*mm_init)(struct mm *mm);
	/* Undo it: a grace period after the last user. Does not sleep (an RCU call-back). */
	void (*mm_destroy)(struct mm *mm);

	/* ---- a VMA's lock word ------------------------------------------------------------ */

	/* A fresh or recycled VMA: detached, unlocked. vma->mm is set already. */
	void (*vma_init)(struct vma *vma);
	/* Complete, write-started, and about to be stored in the tree: from then on readers may find it,
	 * and lock it once the write is over. The caller holds MMAP_WRITE. */
	void (*vma_attached)(struct vma *vma);
	/* It has left the tree, write-started: on return no reader holds it, and none will get it. May sleep. */
	void (*vma_detached)(struct vma *vma);
	/* Give the memory of a detached VMA back when nobody can be looking at it any more. */
	void (*vma_free)(struct vma *vma);
	/* Before an attached VMA's fields change, or page tables under it in a way that readers must not
	 * see half done: on return no reader holds the VMA, and none gets it before the write lock
	 * is dropped or downgraded, which unlocks all VMAs. MMAP_WRITE is held over it. May sleep.
	 * Idempotent. Lock order: before i_mmap_rwsem. */
	void (*vma_start_write)(struct vma *vma);
	/* Around the very change: fields (MMAP_WRITE held), or entries of page tables that go away
	 * (pgtable_zap(): any lock, or none), so that who reads without a lock notices. Never waits;
	 * nests, and two of different tasks may overlap; never ended for a VMA that is about to go.
	 * Lock order: after i_mmap_rwsem. */
	void (*vm_write_begin)(struct vma *vma);
	void (*vm_write_end)(struct vma *vma);

	/* ---- the address space ------------------------------------------------------------- */

	/* 0: held. h->mm, start and end are set by the caller; mode still says MMAP_UNLOCKED. A `how` that waits
	 * comes when MMAP_TRY has just failed. */
	int (*lock)(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how);
	/* h->mode tells how it is held. */
	void (*unlock)(struct mm_hold *h);
	/* MMAP_WRITE to MMAP_READ without a gap; write-started VMAs become readable. */
	void (*downgrade)(struct mm_hold *h);
	bool (*is_contended)(const struct mm_hold *h);

	/* ---- the fault side ------------------------------------------------------------------ */

	/* Holds nothing on entry. LK_TRY never waits and never returns LK_KILLED. LK_OK in LK_TRY:
	 * f->vma contains f->va. LK_OK in LK_WAIT: f->hold is held for read, and f->vma contains f->va, or
	 * is what find_vma() says (it lies above, or NULL); where locks are ranges: NULL. */
	enum lk_status (*fault_begin)(struct fault *f, enum lk_mode mode);
	/* LK_TRY, around a descent of the page table and pte_lock: keeps table pages from being freed
	 * underfoot. */
	void (*walk_begin)(struct fault *f);
	void (*walk_end)(struct fault *f);
	/* Take the page-table lock and say whether f->vma is still as it was at fault_begin; if so, the
	 * table stays while the lock is held. false: ptl is not held, nothing that was read may be used:
	 * STEP_RETRY, with f->refusal. */
	bool (*pte_lock)(struct fault *f, spinlock_t *ptl);
	/* Release what fault_begin took. retry: the handler gave up and the fault will run again. */
	void (*fault_end)(struct fault *f, bool retry);
};

#define MM_LOCKING_DECLARE(scheme) extern const struct mm_locking mm_locking_##scheme;
MM_LOCKING_SCHEMES(MM_LOCKING_DECLARE)
extern const struct mm_locking *const mm_locking_all[]; /* NULL-terminated */
const struct mm_locking *mm_locking_find(const char *name);
const struct vma_tree_type *mm_locking_tree(const struct mm_locking *locking);
bool mm_locking_takes_tree(const struct mm_locking *locking, const struct vma_tree_type *type);

/* Building blocks that schemes share (mm/locking/common.c). */
enum lk_status mmap_lock_fault_wait(struct fault *f); /* read-lock [page, page+1), find the VMA */
enum lk_status mmap_lock_fault_begin(struct fault *f, enum lk_mode mode); /* the same; LK_TRY refuses */
void mmap_lock_fault_end(struct fault *f, bool retry); /* drop f->hold if it is still held */
bool pte_lock_blocking(struct fault *f, spinlock_t *ptl);
void fault_walk_nop(struct fault *f); /* walk_begin, walk_end: something else pins the tables */
void vma_hook_nop(struct vma *vma);
int mm_init_rwsem(struct mm *mm); /* mm->mmap_lock, the rwsem */
void mm_hook_nop(struct mm *mm);
void vma_free_now(struct vma *vma);
/* Groups of hooks, for a scheme's table. */
#define LK_VMAS_WITHOUT_LOCK /* only the address-space lock keeps a VMA as it is */                \
	.vma_init = vma_hook_nop, .vma_attached = vma_hook_nop, .vma_detached = vma_hook_nop,      \
	.vma_free = vma_free_now, .vma_start_write = vma_hook_nop,                                 \
	.vm_write_begin = vma_hook_nop, .vm_write_end = vma_hook_nop
#define LK_FAULTS_UNDER_MMAP_LOCK /* there is no second way to try; LK_CAP_TABLES_PINNED */        \
	.fault_begin = mmap_lock_fault_begin, .walk_begin = fault_walk_nop,                        \
	.walk_end = fault_walk_nop, .pte_lock = pte_lock_blocking, .fault_end = mmap_lock_fault_end
/* The address-space hooks on mm->mmap_lock, the rwsem. */
int mmap_rwsem_lock(struct mm_hold *h, enum mmap_lock_mode mode, enum mmap_lock_how how);
void mmap_rwsem_unlock(struct mm_hold *h);
void mmap_rwsem_downgrade(struct mm_hold *h);
bool mmap_rwsem_is_contended(const struct mm_hold *h);

#endif
