/*
 * mmsim/vma.h - one contiguous mapping, its flags, and the tree that finds it by address
 */
#ifndef MMSIM_VMA_H
#define MMSIM_VMA_H

#include <mmsim/cpu.h>
#include <mmsim/list.h>

struct mm;
struct file;
struct anon_vma;

/* Linux's names; the values are this project's own. */
enum vm_flag {
	VM_READ = 1 << 0,
	VM_WRITE = 1 << 1,
	VM_EXEC = 1 << 2,
	VM_SHARED = 1 << 3,
	VM_MAYREAD = 1 << 4,
	VM_MAYWRITE = 1 << 5,
	VM_MAYEXEC = 1 << 6,
	VM_MAYSHARE = 1 << 7, /* maps prints 's' */
	VM_GROWSDOWN = 1 << 8,
	VM_PFNMAP = 1 << 9,
	VM_IO = 1 << 10,
	VM_LOCKED = 1 << 11,
	VM_LOCKONFAULT = 1 << 12,
	VM_SEQ_READ = 1 << 13,
	VM_RAND_READ = 1 << 14,
	VM_DONTCOPY = 1 << 15,
	VM_DONTEXPAND = 1 << 16,
	VM_ACCOUNT = 1 << 17,
	VM_NORESERVE = 1 << 18,
	VM_WIPEONFORK = 1 << 19,
	VM_DONTDUMP = 1 << 20,
	VM_MIXEDMAP = 1 << 21,
	VM_HUGEPAGE = 1 << 22,
	VM_NOHUGEPAGE = 1 << 23,
	VM_MERGEABLE = 1 << 24,
	VM_SOFTDIRTY = 1 << 25,
	VM_SEALED = 1 << 26,
};
#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)
#define VM_SPECIAL (VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP)
#define VM_LOCKED_MASK (VM_LOCKED | VM_LOCKONFAULT)

/* vm_refcnt of vma_refcnt: 0 detached, 1 attached, 1 + n with n readers; the high bit: a writer
 * waits for the readers or is inside. */
#define VMA_LOCK_OFFSET 0x40000000
#define VMA_REF_LIMIT (VMA_LOCK_OFFSET - 1)

/*
 * Key: (m) mmap_lock: W to write, R or W to read   (v) the VMA's own lock: R to read, W (with
 * mmap_lock W) to write   (f) i_mmap_rwsem   (n) anon_vma root's rwsem   (a) atomic.
 * "(m,v)": either to read, both to write. First line as Linux 6.18's: what a fault reads.
 */
struct vma {
	u64 start;			/* (m,v) first byte, page aligned */
	u64 end;			/* (m,v) one past the last byte, > start */
	struct mm *mm;			/* (a) constant while attached; changes on recycling */
	u64 flags;			/* (m,v) enum vm_flag */
	u32 vm_lock_seq;		/* (a) == mm->mm_lock_seq: write-locked */
	u32 unused;
	u64 pgoff;			/* (m,v) offset in pages: of the file, or of the address at creation */
	struct list_head anon_vma_chain; /* (m W or page_table_lock) struct anon_vma_chain by same_vma */

	struct anon_vma *anon_vma;	/* (m,v; set once under page_table_lock) NULL before the first write fault */
	struct file *file;		/* (m,v) NULL: anonymous */
	const char *name;		/* (m) special mapping's: "[vdso]"; else NULL */
	struct list_head i_mmap_node;	/* (f) */
	struct vma *unmap_next;		/* (m W) list of VMAs on their way out (munmap.c) */
	bool attached;			/* (m,v) is in the tree; for assertions */

	/* A line of its own, as in Linux: readers write it, and must not disturb the fields above. */
	atomic_t vm_refcnt __cacheline_aligned; /* (a) */
	struct rcu_head rcu;
};

static inline u64 vma_pages(const struct vma *vma, u8 page_shift)
{
	return (vma->end - vma->start) >> page_shift;
}
static inline bool vma_is_anonymous(const struct vma *vma)
{
	return !vma->file && !vma->name;
}

/* ---- the tree: index -> VMA, non-overlapping ranges, RCU-safe look-up, gap search --------
 *
 * Writers: mmap_lock held for write. Readers: mmap_lock in any mode, or RCU (then the answer may
 * be stale by the time it is used: the VMA's own lock decides). Addresses are bytes; `last` is
 * inclusive. Every store publishes with release: an RCU reader sees the tree before or after a
 * store, never between.
 */
struct vma_tree {
	void *root;		/* (RCU) node and level: mm/vma/maple.c; NULL: empty */
	struct machine *machine; /* (c) */
	struct objcache *nodes; /* (c) node cache, shared by all trees of the machine */

	/* The writer's, on a line of their own: a fault reads the line above. */
	void *prealloc __cacheline_aligned; /* (m W) nodes set aside by vma_tree_prealloc() */
	u32 prealloc_count;	/* (m W) of these nodes */
	u32 prealloc_stores;	/* (m W) stores that may still be made from them */
	u32 height;		/* (m W) levels; 0: empty */
};

/* One node cache per machine; create in mm_machine_init(). */
struct objcache *MUST_CHECK vma_tree_cache_create(struct machine *m);
void vma_tree_init(struct vma_tree *t, struct machine *m, struct objcache *nodes);
/* Frees the nodes (at once: no reader may be left). Entries are the caller's. */
void vma_tree_destroy(struct vma_tree *t);

/* The VMA that contains addr, or NULL. */
struct vma *vma_tree_load(const struct vma_tree *t, u64 addr);
/* The VMA that contains addr, or the next one above it that starts at or below `last`; or NULL.
 * As Linux's find_vma() when last is ~0. NULL when addr is above last. */
struct vma *vma_tree_find(const struct vma_tree *t, u64 addr, u64 last);
/* The last VMA that ends at or below addr (its end <= addr), or NULL. */
struct vma *vma_tree_prev(const struct vma_tree *t, u64 addr);

/*
 * Set aside the nodes that the next store needs at the worst, so that it cannot fail; a second
 * call before the store adds (n stores need n calls). Unused ones go back with prealloc_drop.
 * 0 or -ENOMEM.
 */
int MUST_CHECK vma_tree_prealloc(struct vma_tree *t);
void vma_tree_prealloc_drop(struct vma_tree *t);
/* Make [first, last] map to vma (NULL: empty), whatever was there. Needs a prealloc. */
void vma_tree_store(struct vma_tree *t, u64 first, u64 last, struct vma *vma);

/*
 * Gap search in [low, high): the start of the highest (top_down) or lowest empty range of
 * len_bytes that lies wholly inside, aligned to nothing but what the entries are. Returns false:
 * none. Needs mmap_lock (any mode), RCU is not enough. The stack guard gap is the caller's
 * business: see unmapped_area() in mm/mmap.c, which asks again below a VM_GROWSDOWN neighbour.
 */
bool vma_tree_gap(const struct vma_tree *t, u64 low, u64 high, u64 len_bytes, bool top_down,
		  u64 *start);

/* Iterate in address order; the tree must not change inside. */
#define vma_tree_for_each(t, vma)                                                                  \
	for (vma = vma_tree_find((t), 0, ~0ull); vma;                                              \
	     vma = vma_tree_find((t), vma->end, ~0ull))
/* VMAs that intersect [first, end). */
#define vma_tree_for_each_range(t, vma, first, end_)                                               \
	for (vma = vma_tree_find((t), (first), (end_)-1); vma;                                     \
	     vma = vma->end < (end_) ? vma_tree_find((t), vma->end, (end_)-1) : NULL)
/* Check every invariant of the tree (order, fill, gaps, heights); MMSIM_BUG on the first broken. */
void vma_tree_check(const struct vma_tree *t);

#endif
