/*
 * mm/internal.h - what the files of mm/ share and nobody outside needs
 */
#ifndef MMSIM_MM_INTERNAL_H
#define MMSIM_MM_INTERNAL_H

#include <mmsim/anon_vma.h>
#include <mmsim/charge.h>
#include <mmsim/file.h>
#include <mmsim/mm.h>
#include <mmsim/mmap_lock.h>
#include <mmsim/objcache.h>
#include <mmsim/pgtable.h>
#include <mmsim/timeline.h>
#include <mmsim/tlb.h>

#define VMA_TREES_MAX 4

/* The mm subsystem of one machine: machine_private(m). Constant after mm_machine_init(). */
struct mm_machine {
	struct machine *machine;
	const struct arch_desc *arch;
	struct memory memory;
	struct objcache *mm_cache, *vma_cache /* type-stable */, *anon_vma_cache, *avc_cache;
	struct objcache *node_cache[VMA_TREES_MAX]; /* by the type's place in vma_tree_all */
	struct objcache *vma_lock_cache; /* of vma_lock_placement=separate */
	struct mm_config config;	/* era is never NULL */
	u32 vma_coverage;		/* enum vma_coverage */
	bool vma_lock_embedded;
	u64 next_context_id;	/* (atomic) */
	u64 next_shmem_ino;	/* (atomic) of shared anonymous memory */
	void *tlbs;		/* arch: array of struct tlb, one per CPU */
	void *filemap;		/* mm/filemap.c */
	struct hugetlb *hugetlb; /* mm/hugetlb.c */
	struct bravo_table *bravo_table;	   /* of mmap_lock_bravo */
	struct range_list_pool *range_list_pool; /* of range_list */
	struct srcu_domain *vma_srcu;		   /* of spf: who walks the tree and uses a VMA */
	pte_t leaf_bits[PTE_ATTR_MASK + 1]; /* by attributes: pte_make() of frame 0 */
};

static inline struct mm_machine *mm_machine(const struct machine *m)
{
	return machine_private(m);
}
/* The kernel version that is modelled. */
static inline const struct kernel_era *mm_era(const struct mm *mm)
{
	return mm->mmm->config.era;
}

/* pte_make() for the machine's architecture, with the bits of the attributes looked up as in Linux's
 * protection_map[]. */
static inline pte_t mm_pte_make(const struct mm *mm, u64 pfn, u32 attrs)
{
	return mm->mmm->leaf_bits[attrs & PTE_ATTR_MASK] | pfn_bits(mm->arch, pfn);
}

/* layouts.c: the names of fields that reports use. */
void mm_name_layouts(struct mm_machine *mmm);
/* Fields whose name depends on the scheme. For each mm: a machine has one scheme at a time. */
void mm_name_scheme(struct mm_machine *mmm, const struct mm_locking *locking);

/* A gap that an mmap() has chosen and not filled yet. In the task: other tasks' searches look at it. */
struct gap_reservation {
	struct list_head link; /* (tree_lock) mm->reserved */
	u64 start, end;
};

/* The per-task part of mm/, laid over task->scratch. */
struct mm_task {
	struct mm_hold holds[HOLD_COUNT];
	struct vma fault_vma; /* LK_CAP_TRY_UNPINNED: the copy that the fault works with */
	struct gap_reservation gap;
};
_Static_assert(sizeof(struct mm_task) <= TASK_SCRATCH_BYTES, "task scratch too small");
static inline struct mm_task *mm_task(void)
{
	return (struct mm_task *)current_task()->scratch;
}

/* As the first thing that a call asks of mm, before it begins. */
static inline u64 page_bytes_of(const struct mm *mm)
{
	line_read(mm, arch);
	return arch_page_bytes(mm->arch);
}

static inline void syscall_charge(const struct mm *mm, enum counter c)
{
	count_event(c);
	engine_charge(COST_SYSCALL);
	engine_charge(COST_SYSCALL_WORK);
	line_read(mm, arch);
}
/* A modelled system call on mm, from here to the end of the enclosing block. */
#define syscall_enter(mm, c)                                                                       \
	trace_syscall(c);                                                                          \
	syscall_charge(mm, c)

/* A protection's VM_ bits; and mm->def_flags etc. are added by the callers. */
static inline u64 vm_flags_from_prot(u32 prot)
{
	return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
	       (prot & PROT_EXEC ? VM_EXEC : 0);
}

/* ---- the VMA tree, as every scheme allows --------------------------------------------------------
 *
 * Where mmap_lock covers everything, holding it is enough for all of these. Where it covers ranges
 * (LK_CAP_RANGES), other writers are at work in the tree: look-ups go without a lock, stores and
 * walks from VMA to VMA take mm->tree_lock for a moment. Then a VMA that is found is stable only as
 * far as the caller's hold covers it; of any other, only the fields that are read with READ_ONCE
 * may be looked at, as a hint (VMAs are type-stable).
 */
static inline bool mm_has_ranges(const struct mm *mm)
{
	return unlikely((mm->locking->caps & LK_CAP_RANGES) != 0);
}
static inline void mm_tree_lock(struct mm *mm)
{
	if (mm_has_ranges(mm))
		spin_lock(&mm->tree_lock);
}
static inline void mm_tree_unlock(struct mm *mm)
{
	if (mm_has_ranges(mm))
		spin_unlock(&mm->tree_lock);
}

/* The VMA that contains addr, or NULL. */
static inline struct vma *vma_lookup(struct mm *mm, u64 addr)
{
	struct vma *vma;

	if (!mm_has_ranges(mm))
		return vma_tree_load(&mm->vmas, addr);
	rcu_read_lock();
	vma = vma_tree_load_rcu(&mm->vmas, addr);
	rcu_read_unlock();
	return vma;
}
/* The first VMA that intersects [start, end), or NULL. */
static inline struct vma *find_vma_intersection(struct mm *mm, u64 start, u64 end)
{
	struct vma *vma;

	if (!mm_has_ranges(mm))
		return vma_tree_find(&mm->vmas, start, end - 1);
	rcu_read_lock();
	vma = vma_tree_find_rcu(&mm->vmas, start, end - 1);
	rcu_read_unlock();
	return vma;
}
/* The VMA that contains addr, or the next one above it, or NULL. */
static inline struct vma *find_vma(struct mm *mm, u64 addr)
{
	return find_vma_intersection(mm, addr, 0); /* to the end of the world */
}
/* The last VMA that ends at or below addr, or NULL. */
static inline struct vma *find_vma_before(struct mm *mm, u64 addr)
{
	struct vma *vma;

	mm_tree_lock(mm);
	vma = vma_tree_prev(&mm->vmas, addr);
	mm_tree_unlock(mm);
	return vma;
}
/* The VMAs that touch this one: all that it could be merged with. Inside a hold of the VMAs. */
static inline struct vma *vma_above(struct vma *vma)
{
	return vma_lookup(vma->mm, vma->end);
}
static inline struct vma *vma_below(struct vma *vma)
{
	return vma->start ? vma_lookup(vma->mm, vma->start - 1) : NULL;
}
/* VMAs that intersect [start, end), which is held. The tree must not change there inside. */
#define for_each_vma_range(mm, vma, start, end_)                                                   \
	for (vma = find_vma_intersection((mm), (start), (end_)); vma;                              \
	     vma = vma->end < (end_) ? find_vma_intersection((mm), vma->end, (end_)) : NULL)

/* Nodes for the next store (vma.h). Where writers share the tree, the store finds its own. */
static inline int MUST_CHECK vma_prealloc(struct mm *mm)
{
	return mm_has_ranges(mm) ? 0 : vma_tree_prealloc(&mm->vmas);
}
/* [start, end) belongs to vma from now on; NULL: to nobody. */
void vma_store_range(struct mm *mm, u64 start, u64 end, struct vma *vma);
static inline void vma_store(struct mm *mm, struct vma *vma)
{
	vma_store_range(mm, vma->start, vma->end, vma);
}

/* Counts of the mm that limits are checked against. */
static inline void mm_map_count_add(struct mm *mm, s32 n)
{
	mm_tree_lock(mm);
	WRITE_ONCE(mm->map_count, mm->map_count + (u32)n);
	mm_tree_unlock(mm);
}
static inline void mm_locked_vm_add(struct mm *mm, s64 npages)
{
	mm_tree_lock(mm);
	WRITE_ONCE(mm->locked_vm_pages, mm->locked_vm_pages + (u64)npages);
	mm_tree_unlock(mm);
}

/* ---- vma.c: life, split, merge. All need the write lock over what they touch. ------------- */

struct vma *MUST_CHECK vma_alloc(struct mm *mm);
/* Copy src's description (not its links, lock word or tree membership). */
struct vma *MUST_CHECK vma_dup(struct vma *src);
/* A VMA that was never attached, or is detached: drop file and anon_vma links, free by the scheme. */
void vma_destroy(struct vma *vma);

/* stack growth: make vma (VM_GROWSDOWN, above va) reach down to va's page. The write lock is held.
 * 0 or -errno. */
int MUST_CHECK expand_downwards(struct vma *vma, u64 va);

/* Put a new VMA into the tree (a preallocated store), link its file, attach it. */
void vma_link(struct vma *vma);
/* Split vma at addr, inside it: the new VMA is the part below (new_below) or above. vma keeps the
 * other part. Does not look at max_map_count. 0, -ENOMEM, or -EINVAL: special mappings stay whole. */
int MUST_CHECK vma_split(struct vma *vma, u64 addr, bool new_below);
/* The file's mappings. Takes I_MMAP. */
void vma_link_file(struct vma *vma);
void vma_unlink_file(struct vma *vma);
/* Lock what guards a VMA's boundaries besides mmap_lock: i_mmap_rwsem and the anon_vma's rwsem. Inside,
 * what changes its start, end or pgoff is out of the file's mappings: shelve, change, reshelve. Nothing to
 * do without a file. */
void vma_boundary_lock(struct vma *vma);
void vma_boundary_unlock(struct vma *vma);
void vma_shelve(struct vma *vma);
void vma_reshelve(struct vma *vma);

/* ---- i_mmap.c: a file's mappings. i_mmap_rwsem, for write; for read to look. */
void i_mmap_insert(struct mapping *mapping, struct vma *vma);
void i_mmap_remove(struct mapping *mapping, struct vma *vma);
/* The VMAs that map a page of [first, last], by their first page. */
struct vma *i_mmap_first(const struct mapping *mapping, u64 first, u64 last);
struct vma *i_mmap_next(struct vma *vma, u64 first, u64 last);

/* truncate.c: zap every mapping of the pages from `first` on. Takes I_MMAP; no mmap_lock. */
void unmap_mapping_from(struct mapping *mapping, u64 first);

/* [start, end) less the guard gap that a growing stack keeps below it. */
static inline u64 vm_start_gap(const struct vma *vma)
{
	u64 gap, start;

	line_read(vma, start);
	gap = (u64)STACK_GUARD_GAP_PAGES << vma->mm->arch->page_shift;
	start = READ_UNPRICED(vma->start);
	if (!(READ_UNPRICED(vma->flags) & VM_GROWSDOWN))
		return start;
	return start > gap ? start - gap : 0;
}

/* ---- vma_merge.c: may a range join its neighbours? (docs/SEMANTICS.md) ---------------------- */

struct vma_merge {
	struct mm *mm;
	struct vma *prev, *middle, *next; /* middle: the existing VMA that changes, or NULL */
	u64 start, end, pgoff;
	u64 flags;		/* as they will be */
	struct file *file;
	struct anon_vma *anon_vma;
	struct vma *copied_from; /* mremap: where the new range's anon_vma comes from */
	bool just_expand;	/* brk: grow prev, never join next */
	bool keep_write;	/* the result's vm_write_begin() is left for the caller to end */
	bool nomem;		/* out: no merge, and for want of host memory */
};
/* A new range between prev and next (either may be NULL or not adjacent): the VMA that now
 * covers it, or NULL. Neighbours of the range are looked up by the caller. */
struct vma *vma_merge_new(struct vma_merge *vmg);
/* A change of flags of [start, end) inside middle: the VMA that covers it after merging, or NULL. */
struct vma *vma_merge_existing(struct vma_merge *vmg);
/* Merge or split so that [start, end), inside vma, is one VMA of its own or part of a neighbour
 * that has new_flags already. *error: 0 or -ENOMEM (then NULL). The caller sets the flags. */
struct vma *MUST_CHECK vma_modify_flags(struct vma *prev, struct vma *vma, u64 start, u64 end,
					u64 new_flags, int *error);

/* Does the VMA allow the access? What may be written or executed may be read. */
static inline bool vma_allows(const struct vma *vma, enum access_kind access)
{
	static const u64 any_of[ACCESS_KINDS] = {
		[ACCESS_READ] = VM_ACCESS_FLAGS,
		[ACCESS_WRITE] = VM_WRITE,
		[ACCESS_EXEC] = VM_EXEC,
	};

	return (vma->flags & any_of[access]) != 0;
}

/* ---- limits and accounting (vma.c) --------------------------------------------------------- */

bool may_expand_vm(const struct mm *mm, u64 flags, u64 npages);
bool mlock_future_ok(const struct mm *mm, u64 flags, u64 bytes);
bool can_do_mlock(const struct mm *mm);
void vm_stat_account(struct mm *mm, u64 flags, s64 npages);
static inline bool vma_supports_mlock(const struct vma *vma)
{
	return !(vma->flags & VM_SPECIAL);
}
/* private, writable, reserved: what overcommit accounting counts */
static inline bool accountable_mapping(u64 flags)
{
	return (flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE;
}

/* ---- mmap.c, munmap.c: the parts that other calls are made of -------------------------------- */

/* Where a mapping goes (MAP_FIXED included): the address or -errno. Under a write lock over all. */
s64 get_unmapped_area(struct mm *mm, struct file *file, u64 addr, u64 len, u64 pgoff, u32 flags);

/* VMAs taken out of the tree, whose pages are still mapped. */
struct unmap_list {
	struct vma *first, **tail;
	u64 start, end;
	u64 floor, ceiling; /* no VMA in [floor, ceiling) once they are gone; ceiling 0: no limit */
	u32 count;
};
/* Split so that no VMA reaches across the borders of [start, end). 0 or -errno; splits stay. */
int MUST_CHECK unmap_split_borders(struct mm *mm, u64 start, u64 end);
/* Split at the borders, take [start, end) out of the tree. h: the write lock. 0 or -errno: nothing
 * changed but splits. */
int MUST_CHECK unmap_gather(const struct mm_hold *h, u64 start, u64 end, struct unmap_list *list);
/* Zap and free what was gathered. Write or read lock held (downgraded). */
void unmap_finish(struct mm *mm, struct unmap_list *list);
/* Both, under a write lock that the caller keeps. Checks alignment as munmap does. */
int MUST_CHECK munmap_locked(const struct mm_hold *h, u64 start, u64 len);
/* Grow the break's VMA prev over [addr, addr + len), or make a new one. 0 or -errno. */
int MUST_CHECK do_brk_flags(struct mm *mm, struct vma *prev, u64 addr, u64 len, u64 flags);
/* mlock and mlockall of one VMA; *prev is maintained for merging. 0 or -errno. */

/* ---- populate.c (mlock, MAP_POPULATE, MADV_POPULATE_*): fault a range in ---------------------- */

/* No lock held. 0, or with ignore_errors always 0; else as __mm_populate(): -EFAULT (PROT_NONE, or a
 * signal in user mode), -ENOMEM (no simulated memory), -EINTR. Holes are skipped. */
int mm_populate(struct mm *mm, u64 start, u64 len, bool ignore_errors);
/* The same for MADV_POPULATE_READ/WRITE: fault every page for that access; 0 or -errno as madvise. */
int mm_populate_rw(struct mm *mm, u64 start, u64 len, bool write);
/* Inside one VMA, the caller holds the address-space lock in hold. 0 or -errno as mm_populate(). */
int populate_locked(struct mm_hold *hold, struct vma *vma, u64 start, u64 end);

#endif
