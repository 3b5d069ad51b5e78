/*
 * mm/layouts.c - names of fields, for the reports of the virtual engine
 *
 * So that a hot line is called mm->mmap_lock.count and not an address. Natively all of it is empty.
 * Where several fields share a line, the one that is written decides (hotlines.h).
 */
#include "mm/internal.h"
#include "mm/page_internal.h"

#include <mmsim/charge.h>

/* Its union's word means something else under each kind of scheme. */
#define MM_FIELDS(union_word)                                                                      \
	OBJ_FIELD(struct mm, machine, "mm->machine"),                                              \
	OBJ_FIELD(struct mm, arch, "mm->arch"),                                                    \
	OBJ_FIELD(struct mm, locking, "mm->locking"),                                              \
	OBJ_FIELD(struct mm, memory, "mm->memory"),                                                \
	OBJ_FIELD(struct mm, mmm, "mm->mmm"),                                                      \
	OBJ_FIELD(struct mm, pgd_pfn, "mm->pgd"),                                                  \
	OBJ_FIELD(struct mm, task_size, "mm->task_size"),                                          \
	OBJ_FIELD(struct mm, context_id, "mm->context_id"),                                        \
	OBJ_FIELD(struct mm, vmas, "mm->mm_mt"),                                                   \
	OBJ_FIELD(struct mm, vmas.root, "mm->mm_mt.root"),                                         \
	OBJ_FIELD(struct mm, vmas.rb, "mm->mm_rb"),                                                \
	OBJ_FIELD(struct mm, vmas.seq, "mm->mm_seq"),                                              \
	OBJ_FIELD(struct mm, vmas.end, "mm->mmap"),                                                \
	OBJ_RWSEM(struct mm, mmap_lock, "mm->mmap_lock"),                                          \
	OBJ_FIELD(struct mm, vma_writer_wait, "mm->vma_writer_wait"),                              \
	OBJ_FIELD(struct mm, mm_lock_seq, "mm->mm_lock_seq"),                                      \
	OBJ_FIELD(struct mm, mmap_seq, union_word),                                                \
	OBJ_FIELD(struct mm, page_table_lock, "mm->page_table_lock"),                              \
	OBJ_FIELD(struct mm, mm_users, "mm->mm_users"),                                            \
	OBJ_FIELD(struct mm, table_pages, "mm->pgtables_bytes"),                                   \
	OBJ_FIELD(struct mm, mmap_base, "mm->mmap_base"),                                          \
	OBJ_FIELD(struct mm, map_count, "mm->map_count"),                                          \
	OBJ_FIELD(struct mm, total_vm_pages, "mm->total_vm"),                                      \
	OBJ_FIELD(struct mm, locked_vm_pages, "mm->locked_vm"),                                    \
	OBJ_FIELD(struct mm, data_vm_pages, "mm->data_vm"),                                        \
	OBJ_FIELD(struct mm, exec_vm_pages, "mm->exec_vm"),                                        \
	OBJ_FIELD(struct mm, stack_vm_pages, "mm->stack_vm"),                                      \
	OBJ_FIELD(struct mm, locked_vm_excess_pages, "mm->locked_vm_excess"),                      \
	OBJ_FIELD(struct mm, def_flags, "mm->def_flags"),                                          \
	OBJ_FIELD(struct mm, start_code, "mm->start_code"),                                        \
	OBJ_FIELD(struct mm, end_code, "mm->end_code"),                                            \
	OBJ_FIELD(struct mm, start_data, "mm->start_data"),                                        \
	OBJ_FIELD(struct mm, end_data, "mm->end_data"),                                            \
	OBJ_FIELD(struct mm, start_brk, "mm->start_brk"),                                          \
	OBJ_FIELD(struct mm, brk, "mm->brk"),                                                      \
	OBJ_FIELD(struct mm, start_stack, "mm->start_stack"),                                      \
	OBJ_FIELD(struct mm, limits, "mm->limits"),                                                \
	OBJ_FIELD(struct mm, rss, "mm->rss_stat"),                                                 \
	OBJ_RWSEM(struct mm, mmap_bravo.sem, "mm->mmap_bravo.sem"),                                \
	OBJ_FIELD(struct mm, mmap_bravo.bias, "mm->mmap_bravo.rbias"),                             \
	OBJ_FIELD(struct mm, mmap_bravo.name, "mm->mmap_bravo.name"),                              \
	OBJ_FIELD(struct mm, mmap_bravo.inhibit_until_ns, "mm->mmap_bravo.inhibit_until"),         \
	OBJ_FIELD(struct mm, mmap_bravo.table, "mm->mmap_bravo.table"),                            \
	OBJ_FIELD(struct mm, mmap_ranges.lock, "mm->mmap_range.lock"),                             \
	OBJ_FIELD(struct mm, mmap_ranges.root, "mm->mmap_range.tree"),                             \
	OBJ_FIELD(struct mm, mmap_ranges.arrivals, "mm->mmap_range.arrivals"),                     \
	OBJ_FIELD(struct mm, mmap_range_list.head, "mm->mmap_range.head"),                         \
	OBJ_FIELD(struct mm, mmap_range_list.gate, "mm->mmap_range.gate"),                         \
	OBJ_FIELD(struct mm, mmap_range_list.patience, "mm->mmap_range.patience"),                 \
	OBJ_FIELD(struct mm, mmap_range_list.spin_ns, "mm->mmap_range.spin_ns"),                   \
	OBJ_FIELD(struct mm, mmap_range_list.pool, "mm->mmap_range.pool"),                         \
	OBJ_FIELD(struct mm, mmap_range_list.gate_wq, "mm->mmap_range.gate_wq"),                   \
	OBJ_FIELD(struct mm, tree_lock, "mm->tree_lock"),                                          \
	OBJ_FIELD(struct mm, reserved, "mm->reserved"),                                            \
	OBJ_FIELD(struct mm, cpus, "mm->cpu_bitmap"),                                              \
	OBJ_FIELD(struct mm, hugetlb_pages, "mm->hugetlb_usage"),                                  \
	OBJ_FIELD(struct mm, tlb_gen, "mm->tlb_gen"),                                              \
	OBJ_FIELD(struct mm, asid, "mm->asid"),                                                    \
	OBJ_FIELD(struct mm, rcu, "mm->rcu")

static const struct obj_field mm_fields[] = { MM_FIELDS("mm->mmap_seq") };
static const struct obj_field mm_vma_lock_fields[] = { MM_FIELDS("mm->vma_writer_wait.lock") };

/* Likewise. */
#define VMA_FIELDS(...)                                                                            \
	OBJ_FIELD(struct vma, start, "vma->vm_start"),                                             \
	OBJ_FIELD(struct vma, end, "vma->vm_end"),                                                 \
	OBJ_FIELD(struct vma, mm, "vma->vm_mm"),                                                   \
	OBJ_FIELD(struct vma, flags, "vma->vm_flags"),                                             \
	OBJ_FIELD(struct vma, vm_lock_seq, "vma->vm_lock_seq"),                                    \
	OBJ_FIELD(struct vma, attached, "vma->detached"),                                          \
	OBJ_FIELD(struct vma, pgoff, "vma->vm_pgoff"),                                             \
	OBJ_FIELD(struct vma, anon_vma, "vma->anon_vma"),                                          \
	__VA_ARGS__,                                                                               \
	OBJ_FIELD(struct vma, file, "vma->vm_file"),                                               \
	OBJ_FIELD(struct vma, name, "vma->name"),                                                  \
	OBJ_FIELD(struct vma, vm_refcnt, "vma->vm_refcnt"),                                        \
	OBJ_FIELD(struct vma, anon_vma_chain, "vma->anon_vma_chain"),                              \
	OBJ_FIELD(struct vma, i_mmap_rb, "vma->shared"),                                           \
	OBJ_FIELD(struct vma, i_mmap_last, "vma->shared.rb_subtree_last"),                         \
	OBJ_FIELD(struct vma, unmap_next, "vma->unmap_next"),                                      \
	OBJ_FIELD(struct vma, rb, "vma->vm_rb")

/* Without a lock of its own inside, the lock's place is part of the whole that is written when the VMA is made. */
static const struct obj_field vma_fields[] = {
	VMA_FIELDS(OBJ_FIELD(struct vma, lock, "vma"), OBJ_FIELD(struct vma, vm_sequence, "vma->vm_sequence"))
};
static const struct obj_field vma_embedded_fields[] = {
	VMA_FIELDS(OBJ_RWSEM(struct vma, lock.rwsem, "vma->vm_lock"))
};
static const struct obj_field vma_separate_fields[] = {
	VMA_FIELDS(OBJ_FIELD(struct vma, lock, "vma"), OBJ_FIELD(struct vma, vm_lock, "vma->vm_lock"))
};

/* vma_lock_placement=separate */
static const struct obj_field vma_lock_fields[] = {
	OBJ_FIELD(struct vma_lock, rwsem.count, "vm_lock->count"),
	OBJ_FIELD(struct vma_lock, rwsem.owner, "vm_lock->owner"),
	OBJ_FIELD(struct vma_lock, rwsem.osq_tail, "vm_lock->osq"),
	OBJ_FIELD(struct vma_lock, rwsem.wait_lock, "vm_lock->wait_lock"),
	OBJ_FIELD(struct vma_lock, rwsem.wait_list, "vm_lock->wait_list"),
	OBJ_FIELD(struct vma_lock, rwsem.rank, "vm_lock->rank"),
};

static const struct obj_field anon_vma_fields[] = {
	OBJ_FIELD(struct anon_vma, root, "anon_vma->root"),
	OBJ_FIELD(struct anon_vma, parent, "anon_vma->parent"),
	OBJ_RWSEM(struct anon_vma, rwsem, "anon_vma->rwsem"),
	OBJ_FIELD(struct anon_vma, refcount, "anon_vma->refcount"),
	OBJ_FIELD(struct anon_vma, num_children, "anon_vma->num_children"),
	OBJ_FIELD(struct anon_vma, num_active_vmas, "anon_vma->num_active_vmas"),
	OBJ_FIELD(struct anon_vma, chain, "anon_vma->chain"),
};

static const struct obj_field avc_fields[] = {
	OBJ_FIELD(struct anon_vma_chain, vma, "anon_vma_chain->vma"),
	OBJ_FIELD(struct anon_vma_chain, anon_vma, "anon_vma_chain->anon_vma"),
	OBJ_FIELD(struct anon_vma_chain, same_vma, "anon_vma_chain->same_vma"),
	OBJ_FIELD(struct anon_vma_chain, same_anon_vma, "anon_vma_chain->same_anon_vma"),
};

static const struct obj_field page_fields[] = {
	OBJ_FIELD(struct page, flags, "page->flags"),
	OBJ_FIELD(struct page, refcount, "page->_refcount"),
	OBJ_FIELD(struct page, mapcount, "page->_mapcount"),
	OBJ_FIELD(struct page, lru, "page->lru"),
	OBJ_FROM(offsetof(struct page, ptl), "page->mapping, ptdesc->ptl"),
};

static const struct obj_field task_fields[] = {
	OBJ_FIELD(struct mm_task, holds[HOLD_FAULT], "task's mm_hold"),
	OBJ_FIELD(struct mm_task, holds[HOLD_FAULT].scheme, "range_lock of a fault"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SYSCALL], "task's mm_hold"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SYSCALL].scheme, "range_lock of a call"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SECOND], "task's mm_hold"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SECOND].scheme, "range_lock of a call"),
	OBJ_FIELD(struct mm_task, fault_vma, "task's copy of a VMA"),
	OBJ_FIELD(struct mm_task, gap, "gap reservation"),
};

static const struct obj_field table_fields[] = { OBJ_FROM(0, "page table entry") };
static const struct obj_field wait_fields[] = { OBJ_FROM(0, "page wait queue") };

#define LAYOUT(type, fields) { sizeof(type), ARRAY_SIZE(fields), (fields) }
static const struct obj_layout mm_layout = LAYOUT(struct mm, mm_fields);
static const struct obj_layout mm_vma_lock_layout = LAYOUT(struct mm, mm_vma_lock_fields);
static const struct obj_layout vma_layout = LAYOUT(struct vma, vma_fields);
static const struct obj_layout vma_embedded_layout = LAYOUT(struct vma, vma_embedded_fields);
static const struct obj_layout vma_separate_layout = LAYOUT(struct vma, vma_separate_fields);
static const struct obj_layout vma_lock_layout = {
	ALIGN_UP(sizeof(struct vma_lock), MMSIM_CACHE_LINE_BYTES), ARRAY_SIZE(vma_lock_fields), vma_lock_fields
};
static const struct obj_layout anon_vma_layout = LAYOUT(struct anon_vma, anon_vma_fields);
static const struct obj_layout avc_layout = LAYOUT(struct anon_vma_chain, avc_fields);
static const struct obj_layout page_layout = LAYOUT(struct page, page_fields);
static const struct obj_layout task_layout = LAYOUT(struct mm_task, task_fields);
static const struct obj_layout table_layout = { 4096, ARRAY_SIZE(table_fields), table_fields };
static const struct obj_layout wait_layout = LAYOUT(struct wait_queue, wait_fields);

void mm_name_scheme(struct mm_machine *mmm, const struct mm_locking *locking)
{
	bool vma_locks = locking->caps & LK_CAP_VMA_LOCK;

	unpriced_begin();
	objcache_set_layout(mmm->mm_cache, vma_locks ? &mm_vma_lock_layout : &mm_layout);
	objcache_set_layout(mmm->vma_cache, !vma_locks ? &vma_layout :
			    mmm->vma_lock_embedded ? &vma_embedded_layout : &vma_separate_layout);
	unpriced_end();
}

void mm_name_layouts(struct mm_machine *mmm)
{
	const struct memory *mem = &mmm->memory;
	struct machine *m = mmm->machine;

	objcache_set_layout(mmm->vma_lock_cache, &vma_lock_layout);
	objcache_set_layout(mmm->anon_vma_cache, &anon_vma_layout);
	objcache_set_layout(mmm->avc_cache, &avc_layout);
	task_scratch_set_layout(m, &task_layout);
	region_set_layout(m, mem->pages, mem->frames * sizeof(struct page), &page_layout);
	region_set_layout(m, mem->direct_map, mem->frames << mem->page_shift, &table_layout);
	region_set_layout(m, mem->page_waits, PAGE_WAIT_QUEUES * sizeof(struct wait_queue),
			  &wait_layout);
}
