/*
 * mm/munmap.c - taking VMAs out of an address space: munmap, and what MAP_FIXED replaces
 *
 * Models       Linux 6.18 mm/vma.c: gather (split at the borders, detach), clear from the tree,
 *              downgrade to a read lock (since 4.20), zap, free page tables, free VMAs.
 * Guarantee    Once unmap_gather() returned, no fault can find the range; once unmap_finish()
 *              returned, no TLB translates it and its frames are free.
 * Locks        write lock over the range and its neighbours for gather; finish may run under read.
 *              Where locks are ranges, a page table is given back only if the hold covers its whole
 *              span: nobody else can map or unmap under it then.
 * Tests        tests/unit/mm/test_vma_cases.c, tests/scheme (faults against munmap)
 */
#include "mm/internal.h"

int unmap_split_borders(struct mm *mm, u64 start, u64 end)
{
	struct vma *vma = find_vma_intersection(mm, start, end);
	int err;

	line_read(mm, map_count);
	line_read(mm, limits.max_map_count);
	if (vma)
		line_read(vma, start);
	if (vma && vma->start < start) {
		/* A hole in the middle makes one more VMA in the end; ends do not. */
		if (end < vma->end && READ_ONCE(mm->map_count) >= mm->limits.max_map_count)
			return -ENOMEM;
		err = vma_split(vma, start, true);
		if (err)
			return err;
	}
	vma = vma_lookup(mm, end - 1);
	if (vma)
		line_read(vma, start);
	return vma && vma->end > end ? vma_split(vma, end, false) : 0;
}

int unmap_gather(const struct mm_hold *h, u64 start, u64 end, struct unmap_list *list)
{
	struct mm *mm = h->mm;
	const struct vma *prev, *next;
	struct vma *vma;
	int err;

	*list = (struct unmap_list){ .tail = &list->first, .start = start, .end = end };
	if (!find_vma_intersection(mm, start, end))
		return 0;
	err = unmap_split_borders(mm, start, end);
	if (!err)
		err = vma_prealloc(mm);
	if (err)
		return err;

	for_each_vma_range(mm, vma, start, end) {
		line_read(vma, start);
		vma_start_write(vma);
		line_write(vma, unmap_next);
		*list->tail = vma;
		list->tail = &vma->unmap_next;
		list->count++;
	}
	*list->tail = NULL;
	prev = find_vma_before(mm, start);
	next = find_vma(mm, end);
	/* Beyond the hold others map and unmap meanwhile: tables that reach there stay. */
	list->floor = max(prev ? READ_ONCE(prev->end) : 0, h->start);
	list->ceiling = next ? READ_ONCE(next->start) : 0;
	if (h->end != ~0ull)
		list->ceiling = list->ceiling ? min(list->ceiling, h->end) : h->end;
	vma_store_range(mm, start, end, NULL);

	for (vma = list->first; vma; vma = vma->unmap_next) {
		s64 npages = (s64)vma_pages(vma, mm->arch->page_shift);

		line_write(vma, attached);
		vma->attached = false;
		mm->locking->vma_detached(vma);
		line_read(vma, flags);
		if (vma->flags & VM_LOCKED) {
			line_write(mm, locked_vm_pages);
			mm_locked_vm_add(mm, -npages);
		}
		vm_stat_account(mm, vma->flags, -npages);
	}
	mm_map_count_add(mm, -(s32)list->count);
	return 0;
}

void unmap_finish(struct mm *mm, struct unmap_list *list)
{
	struct mmu_gather tlb;
	struct vma *vma, *next;

	if (!list->first)
		return;
	lru_drain(mm->memory);
	tlb_gather_mmu(&tlb, mm, false);
	for (vma = list->first; vma; vma = vma->unmap_next)
		pgtable_zap(&tlb, vma, vma->start, vma->end);
	/* Links go before the page tables: nobody may find the mapping through file or anon_vma then. */
	for (vma = list->first; vma; vma = vma->unmap_next) {
		unlink_anon_vmas(vma);
		vma_unlink_file(vma);
	}
	pgtable_free_range(&tlb, list->start, list->end, list->floor, list->ceiling);
	tlb_finish_mmu(&tlb);
	for (vma = list->first; vma; vma = next) {
		next = vma->unmap_next;
		vma_destroy(vma);
	}
}

static int check_range(const struct mm *mm, u64 start, u64 len, u64 *end)
{
	u64 page_bytes = arch_page_bytes(mm->arch);

	if ((start & (page_bytes - 1)) || start > mm->task_size || len > mm->task_size - start)
		return -EINVAL;
	*end = start + ALIGN_UP(len, page_bytes);
	return *end == start ? -EINVAL : 0;
}

int munmap_locked(const struct mm_hold *h, u64 start, u64 len)
{
	struct mm *mm = h->mm;
	struct unmap_list list;
	u64 end;
	int err = check_range(mm, start, len, &end);

	if (err)
		return err;
	err = unmap_gather(h, start, end, &list);
	if (!err)
		unmap_finish(mm, &list);
	return err;
}

int mm_munmap(struct mm *mm, u64 addr, u64 len)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct unmap_list list;
	u64 end;
	int err;

	syscall_enter(mm, COUNTER_SYSCALL_MUNMAP);
	err = check_range(mm, addr, len, &end);
	if (err)
		return err;
	if (mmap_write_lock_tables_killable(mm, hold, addr, end))
		return -EINTR;
	err = unmap_gather(hold, addr, end, &list);
	if (err || !list.first) {
		mmap_write_unlock(hold);
		return err;
	}
	if (!mm_era(mm)->munmap_downgrade) {
		unmap_finish(mm, &list);
		mmap_write_unlock(hold);
		return 0;
	}
	/* The range is empty for everybody: zapping needs only that nobody maps it anew meanwhile. */
	mmap_write_downgrade(hold);
	unmap_finish(mm, &list);
	mmap_read_unlock(hold);
	return 0;
}
