/*
 * mm/place.c - where would a mapping go, if some ranges were free or taken?
 *
 * For replay: overlapping recorded calls are put into the order that explains where they went. In
 * the tree, stand-ins take the places of the VMAs that the suppositions touch; they are cut, split
 * and joined by others as is supposed; then the tree is asked, and all is put back. The VMAs
 * themselves do not change.
 * Locks        mmap_lock for write. Not for use while other tasks run in the space: RCU readers
 *              would see the supposition.
 * Tests        tests/unit/workloads/test_replay_order.c, tests/unit/mm/test_syscalls.c
 */
#include <stdlib.h>

#include "mm/internal.h"

struct supposition {
	struct mm *mm;
	struct vma **touched;  /* the VMAs that were there */
	struct vma **stand_in; /* what is there instead of them; some have lost all */
	u32 touched_count, stand_in_count, max;
};

static int store(struct mm *mm, u64 start, u64 end, struct vma *vma)
{
	if (vma_tree_prealloc(&mm->vmas))
		return -ENOMEM;
	vma_tree_store(&mm->vmas, start, end - 1, vma);
	return 0;
}

static void store_back(struct mm *mm, u64 start, u64 end, struct vma *vma)
{
	if (store(mm, start, end, vma))
		MMSIM_BUG("no memory to take a supposition back");
}

/* [start, end) becomes a VMA that nobody else knows, with the flags of `like`, or none. */
static int stand_in_add(struct supposition *s, u64 start, u64 end, const struct vma *like)
{
	struct vma *vma = vma_alloc(s->mm);
	int err;

	if (!vma)
		return -ENOMEM;
	MMSIM_BUG_ON(s->stand_in_count == s->max);
	vma->start = start;
	vma->end = end;
	if (like)
		vma->flags = like->flags;
	err = store(s->mm, start, end, vma);
	if (err)
		vma_destroy(vma);
	else
		s->stand_in[s->stand_in_count++] = vma;
	return err;
}

static bool is_stand_in(const struct supposition *s, const struct vma *vma)
{
	for (u32 i = 0; i < s->stand_in_count; i++)
		if (s->stand_in[i] == vma)
			return true;
	return false;
}

/* Stand-ins for all real VMAs in the range. */
static int stand_in_for_all(struct supposition *s, u64 start, u64 end)
{
	struct vma *vma, *next;
	int err = 0;

	for (vma = vma_tree_find(&s->mm->vmas, start, end - 1); vma && !err; vma = next) {
		next = vma_tree_next(&s->mm->vmas, vma, end - 1);
		if (is_stand_in(s, vma))
			continue;
		MMSIM_BUG_ON(s->touched_count == s->max);
		s->touched[s->touched_count] = vma;
		err = stand_in_add(s, vma->start, vma->end, vma);
		if (!err)
			s->touched_count++;
	}
	return err;
}

/* Nothing but stand-ins in the range: cut them, so that nothing reaches into it. */
static int cut(struct supposition *s, u64 start, u64 end)
{
	struct vma *vma, *next;
	int err = 0;

	for (vma = vma_tree_find(&s->mm->vmas, start, end - 1); vma && !err; vma = next) {
		u64 first = vma->start, last_end = vma->end;

		next = vma_tree_next(&s->mm->vmas, vma, end - 1);
		if (first < start && last_end > end)
			err = stand_in_add(s, end, last_end, vma);
		if (!err)
			err = store(s->mm, max(first, start), min(last_end, end), NULL);
		if (first < start)
			vma->end = start;
		else if (last_end > end)
			vma->start = end;
	}
	return err;
}

static int suppose(struct supposition *s, const struct mm_supposed *what)
{
	int err = stand_in_for_all(s, what->start, what->end);

	if (!err)
		err = cut(s, what->start, what->end);
	if (!err && what->mapped)
		err = stand_in_add(s, what->start, what->end, NULL);
	return err;
}

static void put_back(struct supposition *s)
{
	for (u32 i = 0; i < s->stand_in_count; i++) {
		struct vma *vma = s->stand_in[i];

		/* It may be gone from the tree, and another one be there. */
		if (vma_tree_load(&s->mm->vmas, vma->start) == vma)
			store_back(s->mm, vma->start, vma->end, NULL);
		vma_destroy(vma);
	}
	for (u32 i = 0; i < s->touched_count; i++)
		store_back(s->mm, s->touched[i]->start, s->touched[i]->end, s->touched[i]);
}

s64 mm_place(struct mm *mm, u64 addr, u64 len, u32 flags, struct file *file, u64 offset,
	     const struct mm_supposed *s, u32 n)
{
	u64 page_bytes = arch_page_bytes(mm->arch);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct supposition now = { .mm = mm };
	s64 place = 0;

	mmap_write_lock(mm, hold, MM_RANGE_ALL);
	/* Each VMA at most once, and per supposition itself and the upper part of what it splits. */
	now.max = mm->map_count + 2 * n;
	now.touched = calloc(now.max + 1, sizeof(*now.touched));
	now.stand_in = calloc(now.max + 1, sizeof(*now.stand_in));
	if (!now.touched || !now.stand_in)
		place = -ENOMEM;
	for (u32 i = 0; i < n && !place; i++)
		place = suppose(&now, &s[i]);
	if (!place)
		place = get_unmapped_area(mm, file, ALIGN_DOWN(addr, page_bytes),
					  ALIGN_UP(len, page_bytes), offset >> mm->arch->page_shift,
					  flags);
	put_back(&now);
	mmap_write_unlock(hold);
	free(now.touched);
	free(now.stand_in);
	return place;
}
