/*
 * mm/fault_internal.h - the steps of the fault path, one file per family
 *
 * Every handler is called with f->vma stable (f->speculative says by whose means) and f->pte,
 * f->ptl, f->orig as fault_peek() left them, holds no page-table lock on entry and on return, and
 * never drops what keeps the VMA stable: that is for fault.c alone.
 */
#ifndef MMSIM_MM_FAULT_INTERNAL_H
#define MMSIM_MM_FAULT_INTERNAL_H

#include "mm/internal.h"

static inline u64 fault_page_va(const struct fault *f)
{
	return ALIGN_DOWN(f->va, arch_page_bytes(f->mm->arch));
}
/* The page's offset in the VMA's file, or in the address space of its creation. */
static inline u64 fault_pgoff(const struct fault *f)
{
	const struct vma *vma = f->vma;

	return vma->pgoff + ((f->va - vma->start) >> f->mm->arch->page_shift);
}

/* f->vma is a copy that nothing keeps true until fault_pte_lock() has confirmed it. */
static inline bool fault_unpinned(const struct fault *f)
{
	return f->speculative && (f->mm->locking->caps & LK_CAP_TRY_UNPINNED);
}
/* This mode will not do. */
static inline enum fault_step fault_refuse(struct fault *f, enum fault_refusal why)
{
	f->refusal = why;
	return STEP_RETRY;
}

/* ---- fault.c: what the handlers are made of -------------------------------------------------- */

/*
 * Lock the page table for the entry of f->va, making missing tables if that is allowed. CONTINUE: f->ptl
 * is held and
 * *f->pte is still f->orig. DONE (it is not, so somebody else was here), RETRY (the scheme says
 * that the VMA changed), OOM: it is not held.
 */
enum fault_step fault_pte_lock(struct fault *f);
void fault_pte_unlock(struct fault *f);
/* ptl held, nothing there: map page, with its reference handed over, as attrs says; counts RSS. */
void fault_map_page(struct fault *f, struct page *page, u32 attrs);
/* ptl held: let the present entry be written through. */
void fault_make_writable(struct fault *f);

/* ---- handlers -------------------------------------------------------------------------------- */

/* fault_anon.c. anon_prepare: CONTINUE: f->vma has an anon_vma. RETRY, OOM. */
enum fault_step fault_anon_prepare(struct fault *f);
/* May a huge page stand here, so that even a read gives an anon_vma (rule 14)? */
bool fault_wants_huge(const struct fault *f);
enum fault_step fault_anon_write(struct fault *f);
/* huge.c. A huge leaf for a write, if fault_wants_huge(). CONTINUE: a small page will have to do. */
enum fault_step fault_anon_huge(struct fault *f);
/* There is no table at f->va: is there a huge leaf? CONTINUE: no. Else what became of the fault. */
enum fault_step fault_huge_present(struct fault *f);
enum fault_step fault_anon_read(struct fault *f);
/* A new page, not zeroed unless alloc_flags says so, dressed as f->vma's anonymous memory.
 * NULL: no simulated memory. */
struct page *fault_anon_page(struct fault *f, u32 alloc_flags);
/* ptl held, nothing there: put that page on the LRU and map it. */
void fault_map_anon(struct fault *f, struct page *page);

/* fault_file.c */
enum fault_step fault_file_read(struct fault *f);
enum fault_step fault_file_cow(struct fault *f);
enum fault_step fault_file_shared(struct fault *f);
enum fault_step fault_special(struct fault *f);

/* fault_hugetlb.c: all of it, where VM_HUGETLB is */
enum fault_step fault_hugetlb(struct fault *f);

/* fault_cow.c: an entry is there and forbids the write. */
enum fault_step fault_wp_private(struct fault *f);
enum fault_step fault_wp_shared(struct fault *f);

#endif
