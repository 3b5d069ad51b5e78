/*
 * mm/layouts.c - names of fields, for the reports of the virtual engine
 *
 * So that a hot line is called mm->mmap_lock.count and not an address. Natively all of it is empty.
 * Where several fields share a line, the one that is written decides (hotlines.h).
 */
#include "mm/internal.h"
#include "mm/page_internal.h"

#include <mmsim/charge.h>

static const struct obj_field mm_fields[] = {
	OBJ_FIELD(struct mm, machine, "mm->machine"),
	OBJ_FIELD(struct mm, locking, "mm->locking"),
	OBJ_FIELD(struct mm, pgd_pfn, "mm->pgd"),
	OBJ_FIELD(struct mm, vmas.type, "mm->mm_mt"),
	OBJ_FIELD(struct mm, vmas.root, "mm->mm_mt.root"),
	OBJ_FIELD(struct mm, vmas.rb, "mm->mm_rb"),
	OBJ_FIELD(struct mm, vmas.seq, "mm->mm_seq"),
	OBJ_FIELD(struct mm, vmas.end, "mm->mmap"),
	OBJ_FIELD(struct mm, mmap_lock.count, "mm->mmap_lock.count"),
	OBJ_FIELD(struct mm, mmap_lock.owner, "mm->mmap_lock.owner"),
	OBJ_FIELD(struct mm, mmap_lock.osq_tail, "mm->mmap_lock.osq"),
	OBJ_FIELD(struct mm, mmap_lock.wait_lock, "mm->mmap_lock.wait_lock"),
	OBJ_FIELD(struct mm, mmap_lock.wait_list, "mm->mmap_lock.wait_list"),
	OBJ_FIELD(struct mm, vma_writer_wait, "mm->vma_writer_wait"),
	OBJ_FIELD(struct mm, mm_lock_seq, "mm->mm_lock_seq"),
	OBJ_FIELD(struct mm, mmap_seq, "mm->mmap_seq"),
	OBJ_FIELD(struct mm, vma_writer_lock, "mm->vma_writer_wait.lock"),
	OBJ_FIELD(struct mm, page_table_lock, "mm->page_table_lock"),
	OBJ_FIELD(struct mm, mm_users, "mm->mm_users"),
	OBJ_FIELD(struct mm, table_pages, "mm->pgtables_bytes"),
	OBJ_FIELD(struct mm, mmap_base, "mm->mmap_base"),
	OBJ_FIELD(struct mm, map_count, "mm->map_count"),
	OBJ_FIELD(struct mm, total_vm_pages, "mm->total_vm"),
	OBJ_FIELD(struct mm, limits, "mm->limits"),
	OBJ_FIELD(struct mm, rss, "mm->rss_stat"),
	OBJ_FIELD(struct mm, mmap_bravo.sem.count, "mm->mmap_lock.count"),
	OBJ_FIELD(struct mm, mmap_bravo.sem.owner, "mm->mmap_lock.owner"),
	OBJ_FIELD(struct mm, mmap_bravo.sem.osq_tail, "mm->mmap_lock.osq"),
	OBJ_FIELD(struct mm, mmap_bravo.sem.wait_lock, "mm->mmap_lock.wait_lock"),
	OBJ_FIELD(struct mm, mmap_bravo.bias, "mm->mmap_lock.rbias"),
	OBJ_FIELD(struct mm, mmap_ranges.lock, "mm->mmap_range.lock"),
	OBJ_FIELD(struct mm, mmap_ranges.root, "mm->mmap_range.tree"),
	OBJ_FIELD(struct mm, mmap_range_list.head, "mm->mmap_range.head"),
	OBJ_FIELD(struct mm, mmap_range_list.gate, "mm->mmap_range.gate"),
	OBJ_FIELD(struct mm, tree_lock, "mm->tree_lock"),
	OBJ_FIELD(struct mm, cpus, "mm->cpu_bitmap"),
	OBJ_FIELD(struct mm, rcu, "mm->rcu"),
};

static const struct obj_field vma_fields[] = {
	OBJ_FIELD(struct vma, start, "vma->vm_start"),
	OBJ_FIELD(struct vma, end, "vma->vm_end"),
	OBJ_FIELD(struct vma, mm, "vma->vm_mm"),
	OBJ_FIELD(struct vma, flags, "vma->vm_flags"),
	OBJ_FIELD(struct vma, vm_lock_seq, "vma->vm_lock_seq"),
	OBJ_FIELD(struct vma, attached, "vma->detached"),
	OBJ_FIELD(struct vma, pgoff, "vma->vm_pgoff"),
	OBJ_FIELD(struct vma, anon_vma, "vma->anon_vma"),
	OBJ_FIELD(struct vma, lock.rwsem.count, "vma->vm_lock.count"),
	OBJ_FIELD(struct vma, lock.rwsem.owner, "vma->vm_lock.owner"),
	OBJ_FIELD(struct vma, lock.rwsem.osq_tail, "vma->vm_lock.osq"),
	OBJ_FIELD(struct vma, lock.rwsem.wait_lock, "vma->vm_lock.wait_lock"),
	OBJ_FIELD(struct vma, file, "vma->vm_file"),
	OBJ_FIELD(struct vma, vm_refcnt, "vma->vm_refcnt"),
	OBJ_FIELD(struct vma, anon_vma_chain, "vma->anon_vma_chain"),
	OBJ_FIELD(struct vma, i_mmap_rb, "vma->shared"),
	OBJ_FIELD(struct vma, rb, "vma->vm_rb"),
};

/* vma_lock_placement=separate */
static const struct obj_field vma_lock_fields[] = {
	OBJ_FIELD(struct vma_lock, rwsem.count, "vm_lock->count"),
	OBJ_FIELD(struct vma_lock, rwsem.owner, "vm_lock->owner"),
	OBJ_FIELD(struct vma_lock, rwsem.osq_tail, "vm_lock->osq"),
	OBJ_FIELD(struct vma_lock, rwsem.wait_lock, "vm_lock->wait_lock"),
};

static const struct obj_field anon_vma_fields[] = {
	OBJ_FIELD(struct anon_vma, rwsem.count, "anon_vma->rwsem.count"),
	OBJ_FIELD(struct anon_vma, rwsem.owner, "anon_vma->rwsem.owner"),
	OBJ_FIELD(struct anon_vma, rwsem.wait_lock, "anon_vma->rwsem.wait_lock"),
	OBJ_FIELD(struct anon_vma, rwsem.wait_list, "anon_vma"),
};

static const struct obj_field page_fields[] = {
	OBJ_FIELD(struct page, flags, "page->flags"),
	OBJ_FIELD(struct page, refcount, "page->_refcount"),
	OBJ_FIELD(struct page, mapcount, "page->_mapcount"),
	OBJ_FIELD(struct page, lru, "page->lru"),
	OBJ_FIELD(struct page, ptl, "page->mapping, ptdesc->ptl"),
};

static const struct obj_field task_fields[] = {
	OBJ_FIELD(struct mm_task, holds[HOLD_FAULT].scheme, "range_lock of a fault"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SYSCALL], "task's mm_hold"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SYSCALL].scheme, "range_lock of a call"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SECOND], "task's mm_hold"),
	OBJ_FIELD(struct mm_task, holds[HOLD_SECOND].scheme, "range_lock of a call"),
	OBJ_FIELD(struct mm_task, fault_vma, "task's copy of a VMA"),
	OBJ_FIELD(struct mm_task, gap, "gap reservation"),
};

static const struct obj_field table_fields[] = { { 0, "page table entry" } };
static const struct obj_field wait_fields[] = { { 0, "page wait queue" } };

#define LAYOUT(type, fields) { sizeof(type), ARRAY_SIZE(fields), (fields) }
static const struct obj_layout mm_layout = LAYOUT(struct mm, mm_fields);
static const struct obj_layout vma_layout = LAYOUT(struct vma, vma_fields);
static const struct obj_layout vma_lock_layout = {
	ALIGN_UP(sizeof(struct vma_lock), MMSIM_CACHE_LINE_BYTES), ARRAY_SIZE(vma_lock_fields), vma_lock_fields
};
static const struct obj_layout anon_vma_layout = LAYOUT(struct anon_vma, anon_vma_fields);
static const struct obj_layout page_layout = LAYOUT(struct page, page_fields);
static const struct obj_layout task_layout = LAYOUT(struct mm_task, task_fields);
static const struct obj_layout table_layout = { 4096, ARRAY_SIZE(table_fields), table_fields };
static const struct obj_layout wait_layout = LAYOUT(struct wait_queue, wait_fields);

void mm_name_layouts(struct mm_machine *mmm)
{
	const struct memory *mem = &mmm->memory;
	struct machine *m = mmm->machine;

	objcache_set_layout(mmm->mm_cache, &mm_layout);
	objcache_set_layout(mmm->vma_cache, &vma_layout);
	objcache_set_layout(mmm->vma_lock_cache, &vma_lock_layout);
	objcache_set_layout(mmm->anon_vma_cache, &anon_vma_layout);
	task_scratch_set_layout(m, &task_layout);
	region_set_layout(m, mem->pages, mem->frames * sizeof(struct page), &page_layout);
	region_set_layout(m, mem->direct_map, mem->frames << mem->page_shift, &table_layout);
	region_set_layout(m, mem->page_waits, PAGE_WAIT_QUEUES * sizeof(struct wait_queue),
			  &wait_layout);
}
