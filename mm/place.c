/*
 * mm/place.c - where would a mapping go, if some ranges were free or taken?
 *
 * For replay: overlapping recorded calls are put into the order that explains where they went. The
 * tree is changed to what is supposed, asked, and changed back; VMAs are not touched.
 * Locks        mmap_lock for write. Not for use while other tasks run in the space: RCU readers
 *              would see the supposition.
 * Tests        tests/unit/workloads/test_replay_order.c
 */
#include <stdlib.h>

#include "mm/internal.h"

/* The VMAs that the suppositions touch, each once. Allocated; *count of them; NULL: no memory. */
static struct vma **touched_vmas(struct mm *mm, const struct mm_supposed *s, u32 n, u32 *count)
{
	struct vma **list = NULL, **bigger, *vma;
	u32 cap = 0;

	*count = 0;
	for (u32 i = 0; i < n; i++)
		vma_tree_for_each_range (&mm->vmas, vma, s[i].start, s[i].end) {
			u32 known = 0;

			while (known < *count && list[known] != vma)
				known++;
			if (known < *count)
				continue;
			if (*count == cap) {
				cap = cap ? cap * 2 : 16;
				bigger = realloc(list, cap * sizeof(*list));
				if (!bigger) {
					free(list);
					return NULL;
				}
				list = bigger;
			}
			list[(*count)++] = vma;
		}
	return list ? list : malloc(1);
}

static int store(struct mm *mm, u64 start, u64 end, struct vma *vma)
{
	if (vma_tree_prealloc(&mm->vmas))
		return -ENOMEM;
	vma_tree_store(&mm->vmas, start, end - 1, vma);
	return 0;
}

s64 mm_place(struct mm *mm, u64 addr, u64 len, u32 flags, struct file *file, u64 offset,
	     const struct mm_supposed *s, u32 n)
{
	u64 page_bytes = arch_page_bytes(mm->arch);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct vma **touched, *taken = calloc(n + 1, sizeof(*taken));
	u32 count = 0;
	s64 place = 0;

	mmap_write_lock(mm, hold, MM_RANGE_ALL);
	touched = touched_vmas(mm, s, n, &count);
	if (!touched || !taken)
		place = -ENOMEM;
	for (u32 i = 0; i < n && !place; i++) {
		taken[i].mm = mm;
		taken[i].start = s[i].start;
		taken[i].end = s[i].end;
		place = store(mm, s[i].start, s[i].end, s[i].mapped ? &taken[i] : NULL);
	}
	if (!place)
		place = get_unmapped_area(mm, file, ALIGN_DOWN(addr, page_bytes),
					  ALIGN_UP(len, page_bytes), offset >> mm->arch->page_shift,
					  flags);
	for (u32 i = 0; i < n; i++)
		if (store(mm, s[i].start, s[i].end, NULL))
			MMSIM_BUG("no memory to take a supposition back");
	for (u32 i = 0; i < count; i++)
		if (store(mm, touched[i]->start, touched[i]->end, touched[i]))
			MMSIM_BUG("no memory to take a supposition back");
	mmap_write_unlock(hold);
	free(touched);
	free(taken);
	return place;
}
