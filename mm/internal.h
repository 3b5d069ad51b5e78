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
	const struct vma_tree_type *tree; /* of all mms created from here on; NULL: the scheme's own */
	u64 next_context_id;	/* (atomic) */
	u64 next_shmem_ino;	/* (atomic) of shared anonymous memory */
	void *tlbs;		/* arch: array of struct tlb, one per CPU */
	void *filemap;		/* mm/filemap.c */
	pte_t leaf_bits[PTE_ATTR_MASK + 1]; /* by attributes: pte_make() of frame 0 */
};

static inline struct mm_machine *mm_machine(const struct machine *m)
{
	return machine_private(m);
}

/* pte_make() for the machine's architecture, with the bits of the attributes looked up as in Linux's
 * protection_map[]. */
static inline pte_t mm_pte_make(const struct mm *mm, u64 pfn, u32 attrs)
{
	return mm->mmm->leaf_bits[attrs & PTE_ATTR_MASK] | pfn_bits(mm->arch, pfn);
}

/* layouts.c: the names of fields that reports use. */
void mm_name_layouts(struct mm_machine *mmm);

/* The per-task part of mm/, laid over task->scratch. */
struct mm_task {
	struct mm_hold holds[HOLD_COUNT];
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
/* The file's list of mappings (i_mmap). Takes I_MMAP. */
void vma_link_file(struct vma *vma);
void vma_unlink_file(struct vma *vma);
/* Lock what guards a VMA's boundaries besides mmap_lock: i_mmap_rwsem and the anon_vma's rwsem. */
void vma_boundary_lock(struct vma *vma);
void vma_boundary_unlock(struct vma *vma);

static inline struct vma *vma_next(const struct mm *mm, const struct vma *vma)
{
	return vma_tree_next(&mm->vmas, vma, ~0ull);
}
static inline struct vma *vma_prev(const struct mm *mm, const struct vma *vma)
{
	return vma_tree_before(&mm->vmas, vma);
}
/* [start, end) less the guard gap that a growing stack keeps below it. */
static inline u64 vm_start_gap(const struct vma *vma)
{
	u64 gap = (u64)STACK_GUARD_GAP_PAGES << vma->mm->arch->page_shift;

	if (!(vma->flags & VM_GROWSDOWN))
		return vma->start;
	return vma->start > gap ? vma->start - gap : 0;
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

/* Where a mapping goes (MAP_FIXED included): the address or -errno. */
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
/* Split at the borders, take [start, end) out of the tree. Write lock held. 0 or -errno: nothing
 * changed but splits. */
int MUST_CHECK unmap_gather(struct mm *mm, u64 start, u64 end, struct unmap_list *list);
/* Zap and free what was gathered. Write or read lock held (downgraded). */
void unmap_finish(struct mm *mm, struct unmap_list *list);
/* Both, under a write lock that the caller keeps. Checks alignment as munmap does. */
int MUST_CHECK munmap_locked(struct mm *mm, u64 start, u64 len);
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
