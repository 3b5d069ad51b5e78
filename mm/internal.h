/*
 * mm/internal.h - what the files of mm/ share and nobody outside needs
 */
#ifndef MMSIM_MM_INTERNAL_H
#define MMSIM_MM_INTERNAL_H

#include <mmsim/anon_vma.h>
#include <mmsim/file.h>
#include <mmsim/mm.h>
#include <mmsim/mmap_lock.h>
#include <mmsim/objcache.h>
#include <mmsim/pgtable.h>
#include <mmsim/tlb.h>

/* The mm subsystem of one machine: machine_private(m). Constant after mm_machine_init(). */
struct mm_machine {
	struct machine *machine;
	const struct arch_desc *arch;
	struct memory memory;
	struct objcache *mm_cache, *vma_cache /* type-stable */, *anon_vma_cache, *avc_cache, *node_cache;
	u64 next_context_id;	/* (atomic) */
	void *tlbs;		/* arch: array of struct tlb, one per CPU */
	void *filemap;		/* mm/filemap.c */
};

static inline struct mm_machine *mm_machine(const struct machine *m)
{
	return machine_private(m);
}

/* The per-task part of mm/, laid over task->scratch. */
struct mm_task {
	struct mm_hold holds[HOLD_COUNT];
	struct page **gather_pages; /* mmu_gather's buffer of MMU_GATHER_BATCH, allocated at first use */
};
_Static_assert(sizeof(struct mm_task) <= TASK_SCRATCH_BYTES, "task scratch too small");
static inline struct mm_task *mm_task(void)
{
	return (struct mm_task *)current_task()->scratch;
}

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

/* ---- populate (mlock, MAP_POPULATE, MADV_POPULATE_*): fault the range in. No lock held. ------- */
int mm_populate(struct mm *mm, u64 start, u64 len, bool ignore_errors);

#endif
