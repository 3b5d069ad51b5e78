/*
 * mmsim/vma.h - one contiguous mapping, its flags, and the tree that finds it by address
 */
#ifndef MMSIM_VMA_H
#define MMSIM_VMA_H

#include <mmsim/cpu.h>
#include <mmsim/list.h>
#include <mmsim/rbtree.h>
#include <mmsim/rwsem.h>
#include <mmsim/seqlock.h>

struct mm;
struct file;
struct anon_vma;
struct obj_layout;

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
	VM_HUGETLB = 1 << 27, /* mapped by leaves of one size from a pool: mm/hugetlb.c */
};
#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)
#define VM_SPECIAL (VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP)
#define VM_LOCKED_MASK (VM_LOCKED | VM_LOCKONFAULT)

/* vm_refcnt of vma_refcnt: 0 detached, 1 attached, 1 + n with n readers; the high bit: a writer
 * waits for the readers or is inside. */
#define VMA_LOCK_OFFSET 0x40000000
#define VMA_REF_LIMIT (VMA_LOCK_OFFSET - 1)

/*
 * A VMA's place in an rb tree: one line, as of Linux before 6.1, which a walk reads per VMA. Its
 * range is the tree's own copy of [start, end): it changes inside the tree's sequence only, so that
 * mm/ may prepare start and end of a VMA that walkers can meet. Only mm/vma/rb.c touches it; all zero:
 * in no tree.
 */
struct vma_rb {
	u64 first, last;	   /* (t) both inclusive */
	struct vma_rb *next, *prev; /* (t) in order; next: NULL in no tree */
	struct rb_node node;	   /* (t) */
	u64 subtree_gap;	   /* (t, not for lockless walks) bytes */
};

/*
 * The lock of one VMA, for schemes with LK_CAP_VMA_LOCK. Where it lies is vma_lock_placement's business
 * (era.h): in the VMA, so that its hot word ends the VMA's first line, or in an object of its own.
 */
struct vma_lock {
	union {
		struct rwsem rwsem; /* vma_rwsem */
		atomic_t count;	    /* vma_atomic: readers, or -1: a writer */
	};
};

/*
 * Key: (t) the tree: one writer, and mmap_lock or the tree's sequence to read
 * (m) mmap_lock: W to write, R or W to read   (v) the VMA's own lock: R to read, W (with
 * mmap_lock W) to write   (f) i_mmap_rwsem   (n) anon_vma root's rwsem   (a) atomic.
 * "(m,v)": either to read, both to write.
 *
 * The first two lines are what a fault reads. A lock that is embedded begins with its hot word at the
 * end of the first, as in the per-VMA-lock series of 2023, and fills the second up to file.
 */
struct vma {
	u64 start;			/* (m,v) first byte, page aligned */
	u64 end;			/* (m,v) one past the last byte, > start */
	struct mm *mm;			/* (a) constant while attached; changes on recycling */
	u64 flags;			/* (m,v) enum vm_flag */
	u32 vm_lock_seq;		/* (a) == mm->mm_lock_seq: write-locked */
	bool attached;			/* (m,v) is in the tree */
	bool reserve_owner;		/* (m,v) VM_HUGETLB, private: what its file has reserved is for its faults */
	bool reserve_lost;		/* (a; set under f) VM_HUGETLB, private: the owner took a page from here:
					 * what is not there now will not come back */
	u64 pgoff;			/* (m,v) offset in pages: of the file, or of the address at creation */
	struct anon_vma *anon_vma;	/* (m,v; set once under page_table_lock) NULL before the first write fault */
	union {
		struct vma_lock lock;	/* (a) embedded */
		struct vma_lock *vm_lock; /* (c) separate */
		u64 vm_sequence;	/* (a) spf: writers inside, and how many have been: mm/locking/spf.c */
	};
	struct file *file;		/* (m,v) NULL: anonymous */
	const char *name;		/* (m) special mapping's: "[vdso]"; else NULL */

	/* A line of its own: vma_refcnt's readers write it, and must not disturb the fields above. As in
	 * Linux, what only writers use of the VMA fills the line. */
	atomic_t vm_refcnt __cacheline_aligned; /* (a) */
	union {
		struct list_head anon_vma_chain; /* (m W or page_table_lock) struct anon_vma_chain by same_vma */
		struct rcu_head rcu;	/* from vma_free() on */
	};
	struct rb_node i_mmap_rb;	/* (f) */
	u64 i_mmap_last;		/* (f) largest page of the file that its subtree maps */
	union {
		struct vma *unmap_next;	/* (m W) list of VMAs on their way out (munmap.c) */
		struct mm_machine *freed_to; /* (c) from vma_free() on: whose caches it goes back to */
	};

	struct vma_rb rb __cacheline_aligned;
};
_Static_assert(offsetof(struct vma, lock) == 56, "the lock's first word ends the first line");
_Static_assert(offsetof(struct vma, name) == 120, "a fault reads two lines");
_Static_assert(sizeof(struct vma) == 4 * MMSIM_CACHE_LINE_BYTES, "and two more there are");

static inline u64 vma_pages(const struct vma *vma, u8 page_shift)
{
	return (vma->end - vma->start) >> page_shift;
}
static inline bool vma_is_anonymous(const struct vma *vma)
{
	return !vma->file && !vma->name;
}

/* ---- the tree: address -> VMA, non-overlapping ranges, look-up without a lock, gap search ------
 *
 * One interface, several trees (`--tree`): one file per type in mm/vma/, all of them in mm/vma/all.c.
 * Addresses are bytes; `last` is inclusive. A VMA has one range in a tree.
 *
 * Writers: prealloc, store and destroy exclude each other and every reader but the _rcu ones. Under a
 * scheme whose mmap_lock is one for the whole space, holding it for write is enough; where writers
 * of disjoint ranges run at once, mm/ takes a short lock of the tree's around each call.
 * Readers: load, find, prev, next, before, gap and check need what excludes writers. load_rcu and
 * find_rcu need only an RCU reader (rb: or an SRCU one, if VMAs are freed by that): the answer was
 * true at some moment since the call, and may be stale by the time it is used: the scheme has to ask
 * the VMA.
 */
struct vma_tree;

enum vma_tree_caps {
	VMA_TREE_CAP_WAIT_FREE = 1 << 0, /* the _rcu look-ups never repeat: no writer holds them up */
	VMA_TREE_CAP_DEAD = 1 << 1,	 /* vma_is_dead() tells a VMA that has left the tree */
};

struct vma_tree_type {
	const char *name;    /* stable: --tree, CSV column */
	const char *summary; /* one line for `mmsim list trees` */
	u32 caps;
	u32 node_bytes; /* of a tree node; 0: nodes are parts of the VMAs */
	const struct obj_layout *node_layout; /* the names of its fields (charge.h), or NULL */

	void (*init)(struct vma_tree *t);
	void (*destroy)(struct vma_tree *t);
	struct vma *(*load)(const struct vma_tree *t, u64 addr);
	struct vma *(*load_rcu)(const struct vma_tree *t, u64 addr);
	struct vma *(*find)(const struct vma_tree *t, u64 addr, u64 last);
	struct vma *(*find_rcu)(const struct vma_tree *t, u64 addr, u64 last);
	struct vma *(*next)(const struct vma_tree *t, const struct vma *vma, u64 last);
	struct vma *(*prev)(const struct vma_tree *t, u64 addr);
	struct vma *(*before)(const struct vma_tree *t, const struct vma *vma);
	int (*prealloc)(struct vma_tree *t);
	void (*prealloc_drop)(struct vma_tree *t);
	void (*store)(struct vma_tree *t, u64 first, u64 last, struct vma *vma);
	bool (*gap)(const struct vma_tree *t, u64 low, u64 high, u64 len_bytes, bool top_down,
		    u64 *start);
	void (*check)(const struct vma_tree *t);
	u32 (*height)(const struct vma_tree *t);
};

extern const struct vma_tree_type vma_tree_maple, vma_tree_rb;
extern const struct vma_tree_type *const vma_tree_all[]; /* NULL-terminated; the first: the default */
const struct vma_tree_type *vma_tree_type_find(const char *name);

struct vma_tree {
	const struct vma_tree_type *type; /* (c) */
	struct machine *machine; /* (c) */
	struct objcache *nodes;	 /* (c) node cache, shared by all trees of the type in the machine */
	void *root;		 /* maple: (RCU) node and level; NULL: empty */
	struct rb_root rb;	 /* rb: (t) */
	seqcount_t seq;		 /* rb: odd while a store is inside; Linux: mm_seq */

	/* The writer's, on a line of their own and without a price: in Linux the maple tree's writer has
	 * this on its stack (ma_state), and the rb tree has no such thing. */
	void *prealloc __cacheline_aligned; /* (m W) nodes set aside by vma_tree_prealloc() */
	u32 prealloc_count;	/* (m W) of these nodes */
	u32 prealloc_stores;	/* (m W) stores that may still be made from them */

	struct vma_rb end __cacheline_aligned; /* rb: (t) closes the list of VMAs at both ends */
};

/* One node cache per type and machine. Types without nodes of their own need none: NULL is right. */
struct objcache *MUST_CHECK vma_tree_cache_create(struct machine *m,
						  const struct vma_tree_type *type);
void vma_tree_init(struct vma_tree *t, const struct vma_tree_type *type, struct machine *m,
		   struct objcache *nodes);
/* Empties the tree. Frees the nodes (at once: no reader may be left). Entries are the caller's. */
static inline void vma_tree_destroy(struct vma_tree *t)
{
	READ_UNPRICED(t->type)->destroy(t);
}

/* The VMA that contains addr, or NULL. */
static inline struct vma *vma_tree_load(const struct vma_tree *t, u64 addr)
{
	return READ_UNPRICED(t->type)->load(t, addr);
}
static inline struct vma *vma_tree_load_rcu(const struct vma_tree *t, u64 addr)
{
	return READ_UNPRICED(t->type)->load_rcu(t, addr);
}
/* The VMA that contains addr, or the next one above it that starts at or below `last`; or NULL.
 * As Linux's find_vma() when last is ~0. NULL when addr is above last. */
static inline struct vma *vma_tree_find(const struct vma_tree *t, u64 addr, u64 last)
{
	return READ_UNPRICED(t->type)->find(t, addr, last);
}
static inline struct vma *vma_tree_find_rcu(const struct vma_tree *t, u64 addr, u64 last)
{
	return READ_UNPRICED(t->type)->find_rcu(t, addr, last);
}
/* The next VMA above one that is in the tree, if it starts at or below `last`; or NULL. */
static inline struct vma *vma_tree_next(const struct vma_tree *t, const struct vma *vma, u64 last)
{
	return READ_UNPRICED(t->type)->next(t, vma, last);
}
/* The last VMA that ends at or below addr (its end <= addr), or NULL. */
static inline struct vma *vma_tree_prev(const struct vma_tree *t, u64 addr)
{
	return READ_UNPRICED(t->type)->prev(t, addr);
}
/* The VMA before one that is in the tree, or NULL. */
static inline struct vma *vma_tree_before(const struct vma_tree *t, const struct vma *vma)
{
	return READ_UNPRICED(t->type)->before(t, vma);
}

/*
 * Set aside the nodes that the next store needs at the worst, so that it cannot fail; a second
 * call before the store adds (n stores need n calls). Unused ones go back with prealloc_drop.
 * 0 or -ENOMEM.
 */
static inline int MUST_CHECK vma_tree_prealloc(struct vma_tree *t)
{
	return READ_UNPRICED(t->type)->prealloc(t);
}
static inline void vma_tree_prealloc_drop(struct vma_tree *t)
{
	READ_UNPRICED(t->type)->prealloc_drop(t);
}
/*
 * Make [first, last] map to vma (NULL: empty), whatever was there. Needs a prealloc. A VMA that is in
 * the tree already grows: [first, last] touches or overlaps its range. No store into the middle of
 * another VMA, which would leave it two ranges: split it before.
 */
static inline void vma_tree_store(struct vma_tree *t, u64 first, u64 last, struct vma *vma)
{
	READ_UNPRICED(t->type)->store(t, first, last, vma);
}

/*
 * Gap search in [low, high): the start of the highest (top_down) or lowest empty range of
 * len_bytes that lies wholly inside, aligned to nothing but what the entries are. Returns false:
 * none. The stack guard gap is the caller's business: see unmapped_area() in mm/mmap.c, which asks
 * again below a VM_GROWSDOWN neighbour.
 */
static inline bool vma_tree_gap(const struct vma_tree *t, u64 low, u64 high, u64 len_bytes,
				bool top_down, u64 *start)
{
	return READ_UNPRICED(t->type)->gap(t, low, high, len_bytes, top_down, start);
}

/* Has the VMA, which a walk without a lock found, left the tree (VMA_TREE_CAP_DEAD)? True is the
 * truth unless the VMA is recycled; false may be old by the time it is used. Linux's SPF: an empty
 * vm_rb, cleared after the removal is visible. */
static inline bool vma_is_dead(const struct vma *vma)
{
	return !READ_ONCE(vma->rb.next);
}

/* Iterate in address order; the tree must not change inside. */
#define vma_tree_for_each(t, vma)                                                                  \
	for (vma = vma_tree_find((t), 0, ~0ull); vma; vma = vma_tree_next((t), vma, ~0ull))
/* VMAs that intersect [first, end). */
#define vma_tree_for_each_range(t, vma, first, end_)                                               \
	for (vma = vma_tree_find((t), (first), (end_)-1); vma;                                     \
	     vma = vma_tree_next((t), vma, (end_)-1))
/* Check every invariant of the tree (order, fill, gaps, heights); MMSIM_BUG on the first broken. */
static inline void vma_tree_check(const struct vma_tree *t)
{
	READ_UNPRICED(t->type)->check(t);
}
/* Levels; 0: empty. For tests and benchmarks: may visit every VMA. */
static inline u32 vma_tree_height(const struct vma_tree *t)
{
	return READ_UNPRICED(t->type)->height(t);
}

#endif
