/*
 * mm/invariants.h - the TLB must never know better than the page table: hooks of the checker
 */
#ifndef MMSIM_MM_INVARIANTS_H
#define MMSIM_MM_INVARIANTS_H

#include "mm/tlb_internal.h"

struct vma;

/* Watch this machine from here on; before the first mm. -ENOMEM, or 0. */
int invariants_create(struct mmu_machine *mmu);
void invariants_destroy(struct mmu_machine *mmu);

/* ---- what happened ---------------------------------------------------------------------------- */

/* A TLB entry has come, or goes: the books of who translates to which frame. */
void invariants_map(struct tlb_core *core, struct tlb_way *way);
void invariants_unmap(struct tlb_core *core, struct tlb_way *way);
/* Another table in a paging-structure cache. 0: none. */
void invariants_walk(struct tlb_core *core, u64 old_table, u64 table);
/* For the history. */
void invariants_filled(struct mmu_machine *mmu, const struct mm *mm, u64 va, u64 pfn);
void invariants_flush(struct mmu_machine *mmu, const struct mm *mm, u64 start, u64 end, bool full);
void invariants_flushed(struct mmu_machine *mmu, const struct mm *mm, u64 start, u64 end, bool full);

/* ---- what must hold: each stops the program (MMSIM_BUG) with the seed and the page's history ---- */

/* An access goes to pfn by a TLB entry: the frame must be in use. */
void invariants_used(const struct mmu_machine *mmu, const struct mm *mm, u64 va, u64 pfn);
/* A CPU uses its TLB, and has not looked what it missed while it was away. */
void invariants_not_asked(const struct tlb *tlb, const struct mm *mm, u64 va);
/* An ASID has come to another mm, and the TLB still has the old one's entries. */
void invariants_foreign(struct tlb_core *core, const struct tlb_slot *slot);
/* Two entries of a TLB translate va at once. */
void invariants_two_sizes(const struct tlb_core *core, const struct tlb_way *one, const struct tlb_way *other,
			  u64 va);
/* A TLB has filled in a group of leaves of `level` by the one for va: the others must be like it. */
void invariants_group(const struct tlb *tlb, const struct mm *mm, u64 va, u32 level);
/* mm's leaf of `level` for va has been taken out and flushed, and one of another size comes in its place: no
 * TLB translates by it. */
void invariants_resized(const struct mm *mm, u64 va, u64 pfn, u32 level);
/* A leaf above level 0 has been taken out (1), its gather has been flushed (-1). */
void invariants_leaf_gathered(struct invariants *inv, s32 n);
/* No TLB may translate to a frame that is given back, or walk through such a table. */
void invariants_frame_freed(struct invariants *inv, u64 pfn);
void invariants_table_freed(struct invariants *inv, u64 pfn);
/* The VMA's rights in [start, end) have changed, and that has been flushed: no TLB allows more. */
void invariants_protected(struct vma *vma, u64 start, u64 end);
/* mm has been copied, and that has been flushed: no TLB allows a write that an entry does not. */
void invariants_forked(struct mm *mm);

#endif
