/*
 * mmsim/page.h - simulated physical memory: frames, their contents, the page allocator, LRU, RSS
 *
 * Models       struct page (64 bytes, as in Linux), a buddy allocator per memory node under zone->lock,
 *              per-CPU lists in front of each (batch and high marks as Linux has them), the nearest
 *              node first; reference counts; LRU lists per node under lruvec->lru_lock, filled through
 *              per-CPU batches.
 * Contents     `content_words` 64-bit words per frame, kept beside struct page, so that zeroing,
 *              copying and file contents are checkable without touching 4 KiB.
 * Tables       a frame used as a page table also has page_bytes of real host memory at
 *              phys_to_virt(): the direct map, a reserved region of which only tables are touched.
 */
#ifndef MMSIM_PAGE_H
#define MMSIM_PAGE_H

#include <mmsim/percpu.h>
#include <mmsim/list.h>
#include <mmsim/spinlock.h>

struct mapping;
struct anon_vma;
struct mmu_machine;

enum page_flags {
	PAGE_LOCKED = 1 << 0,
	PAGE_UPTODATE = 1 << 1,
	PAGE_DIRTY = 1 << 2,
	PAGE_LRU = 1 << 3,
	PAGE_ACTIVE = 1 << 4,
	PAGE_REFERENCED = 1 << 5,
	PAGE_ANON = 1 << 6,
	PAGE_ANON_EXCLUSIVE = 1 << 7,
	PAGE_SWAPBACKED = 1 << 8,
	PAGE_TABLE = 1 << 9,
	PAGE_RESERVED = 1 << 10, /* the zero page; never freed */
	PAGE_BUDDY = 1 << 11,	 /* head of a free block: `order` is valid */
	PAGE_UNEVICTABLE = 1 << 12,
	PAGE_HUGE = 1 << 13,	 /* first of a block that one entry maps: stands for all of it */
	PAGE_HUGETLB = 1 << 14,	 /* first of a block that belongs to a pool: mm/hugetlb.c */
	PAGE_RESTORE_RESERVE = 1 << 15, /* of these: its file gets its reservation back when it is freed */
};

/* Key: (a) atomic  (z) zone->lock  (l) lru_lock  (p) page lock  (o) owner of the only reference */
struct page {
	u32 flags;		/* (a) enum page_flags */
	atomic_t refcount;	/* (a) 0: free */
	atomic_t mapcount;	/* (a) page-table entries that map it */
	u8 order;		/* (z) of a free block; constant of a PAGE_HUGETLB one */
	u8 pad[3];
	union {
		struct list_head lru; /* (l) LRU list; (z) buddy list; per-CPU list */
		struct {	      /* PAGE_TABLE on its way out: mm/mmu_gather.c */
			struct page *pt_next;
			struct mmu_machine *pt_owner;
		};
	};
	union {
		struct {
			union {
				struct mapping *mapping; /* (p) file that it caches; PAGE_HUGETLB: whose
							  * reservations it is of, private ones too */
				struct page *deposit;	 /* (ptl) second of a PAGE_HUGE block: mm/huge.c */
			};
			struct anon_vma *anon_vma;  /* (p) PAGE_ANON: where rmap starts */
			u64 index;		    /* (p) page offset in file, or in the VMA's pgoff space */
		};
		struct {
			spinlock_t ptl;		    /* PAGE_TABLE: the split page-table lock */
			struct rcu_head pt_rcu;	    /* ... and its way out */
		};
	};
} __cacheline_aligned;
_Static_assert(sizeof(struct page) == MMSIM_CACHE_LINE_BYTES, "struct page is one cache line");

static inline bool page_has(const struct page *page, u32 flags)
{
	return (READ_ONCE(page->flags) & flags) == flags;
}
static inline void page_set_flags(struct page *page, u32 flags)
{
	(void)fetch_or_relaxed(&page->flags, flags);
}
static inline void page_clear_flags(struct page *page, u32 flags)
{
	(void)fetch_and_relaxed(&page->flags, ~flags);
}

struct zone;   /* page_alloc.c */
struct lruvec; /* lru.c */
struct wait_queue;
struct invariants; /* invariants.c */

/* Simulated memory of one machine. All constant after mm_machine_init(). */
struct memory {
	struct page *pages;	/* [pfn] */
	u64 *content;		/* [pfn * content_words] */
	void *mmu_state;	/* what the arch's MMU has in memory besides tables (arch_ops.machine_init) */
	char *direct_map;	/* [pfn << page_shift], tables only */
	u64 frames;
	u32 content_words;
	u8 page_shift;
	u8 huge_order;		/* 2^this frames are a leaf of level 1; 0: the arch has none */
	struct page *zero_page;		/* mapped with PTE_SPECIAL for reads of untouched memory */
	struct page *special_page;	/* behind special and device mappings, with PTE_SPECIAL */
	struct machine *machine;
	struct wait_queue *page_waits;	/* hashed: who waits for a page lock */
	struct invariants *watch;	/* mm/invariants.c, or NULL */
	percpu_t lru_batch;	/* struct lru_batch */
	u64 pool_frames;	/* set aside for huge pages: never in the zones */
	u32 node_count;
	u64 frames_per_node;	/* whole largest blocks; the last nodes may have fewer, or none */
	struct memory_node {
		struct zone *zone;
		struct lruvec *lruvec;
		percpu_t pcp; /* struct per_cpu_pages */
	} nodes[MMSIM_NODES_MAX];
};

struct memory *memory_of(const struct machine *m);

/* Less is no machine: the CPUs' lists alone want as much. */
#define MEMORY_FRAMES_MIN 64

/* 0, -EINVAL: too little memory, or -ENOMEM (host). page_shift, huge_order: the arch's. Part of
 * mm_machine_init(). */
int MUST_CHECK memory_init(struct machine *m, u8 page_shift, u8 huge_order);
/* Stops (MMSIM_BUG) if a frame is still allocated: a leak in the model. */
void memory_destroy(struct machine *m);

static inline u64 page_to_pfn(const struct memory *mem, const struct page *page)
{
	return (u64)(page - mem->pages);
}
static inline struct page *pfn_to_page(const struct memory *mem, u64 pfn)
{
	return &mem->pages[pfn];
}
/* Linux: page_to_nid() */
static inline u32 page_node(const struct memory *mem, const struct page *page)
{
	return mem->node_count == 1 ? 0 : (u32)(page_to_pfn(mem, page) / mem->frames_per_node);
}
static inline void *phys_to_virt(const struct memory *mem, u64 pfn)
{
	return mem->direct_map + (pfn << mem->page_shift);
}
static inline u64 *page_content(const struct memory *mem, u64 pfn)
{
	return &mem->content[pfn * mem->content_words];
}

/* A machine's cost of zeroing and of copying a page is that of 4 KiB: so many of these is a page here. */
static inline u32 page_cost_units(const struct memory *mem)
{
	return 1u << (mem->page_shift - 12);
}

/* Contents word by word with READ_ONCE/WRITE_ONCE, so that a torn or racing copy shows. */
void pages_clear_content(const struct memory *mem, struct page *first, u32 count);
void pages_copy_content(const struct memory *mem, struct page *to, struct page *from, u32 count);
static inline void page_clear_content(const struct memory *mem, struct page *page)
{
	pages_clear_content(mem, page, 1);
}
static inline void page_copy_content(const struct memory *mem, struct page *to, struct page *from)
{
	pages_copy_content(mem, to, from, 1);
}

/* ---- allocator. Context: any; takes PCP, ZONE. Never sleeps. --------------------------------- */

enum alloc_flags { ALLOC_ZERO = 1 };

/* One frame with refcount 1 and no flags, of this CPU's node if it has one left, or NULL (counted:
 * PGALLOC_FAIL). Content zeroed on ALLOC_ZERO. Before it fails, frames on all CPUs' lists are tried. */
struct page *MUST_CHECK page_alloc(const struct memory *mem, u32 alloc_flags);
/* A block of 2^huge_order frames, aligned to that, with a reference count of 1 each, or NULL. The
 * caller sets PAGE_HUGE on the first; dropping its last reference then frees all of them. */
struct page *MUST_CHECK page_alloc_huge(const struct memory *mem, u32 alloc_flags);
/* Another reference, by one who has one. */
static inline void page_get(struct page *page)
{
	MMSIM_BUG_ON(fetch_add_relaxed(&page->refcount.counter, 1) <= 0);
}
/* A reference unless the page is free: for look-ups that hold none. Acquire. */
static inline bool page_try_get(struct page *page)
{
	return atomic_inc_not_zero(&page->refcount);
}
/* Drop a reference; the last frees it (and takes it off the LRU). */
void page_put(const struct memory *mem, struct page *page);
/* Drop one reference of each of n pages: one LRU lock and one list operation per LRU_BATCH_PAGES,
 * as Linux's folios_put(). */
void page_put_batch(const struct memory *mem, struct page **pages, u32 n);
/* Frames that are allocated now (sums per-CPU lists; exact when no task runs). */
u64 memory_frames_used(const struct machine *m);

/* ---- LRU ------------------------------------------------------------------------------------- */

#define LRU_BATCH_PAGES 31 /* PAGEVEC_SIZE since 6.9 */

/* Put a new page on the LRU through this CPU's batch (which takes a reference meanwhile). The caller
 * holds the only reference and nobody else can find the page yet. */
void lru_add(const struct memory *mem, struct page *page);
/* Take a page whose last reference is gone off the LRU: page_alloc.c. Its lru_lock is held. */
void lru_del_locked(const struct memory *mem, struct page *page);
spinlock_t *lru_lock(const struct memory *mem, const struct page *page);
u64 lru_pages(const struct memory *mem); /* on all lists */
/* Drain all CPUs' batches: at the end of a run, and where Linux does (lru_add_drain_all). Only
 * when no task runs. */
void lru_drain_all(const struct machine *m);
/* Drain the calling CPU's batch (Linux: lru_add_drain(), at unmap). */
void lru_drain(const struct memory *mem);

/* ---- page lock: sleeps on a hashed queue. Rank FOLIO. ---------------------------------------- */

bool MUST_CHECK page_trylock(struct page *page);
void page_lock(const struct memory *mem, struct page *page);
void page_unlock(const struct memory *mem, struct page *page);

/* ---- RSS, per mm: Linux's percpu_counters since 6.2 ------------------------------------------ */

enum rss_kind { RSS_FILE, RSS_ANON, RSS_SHMEM, RSS_KINDS };

/* As what a mapping of this page is counted. */
static inline enum rss_kind page_rss_kind(const struct page *page)
{
	u32 flags = READ_ONCE(page->flags);

	if (flags & PAGE_ANON)
		return RSS_ANON;
	return flags & PAGE_SWAPBACKED ? RSS_SHMEM : RSS_FILE;
}

#endif
