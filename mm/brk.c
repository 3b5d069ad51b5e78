/*
 * mm/brk.c - the heap: brk, and the bss that exec makes in the same way
 *
 * Models       Linux 6.18 mm/mmap.c: brk, do_brk_flags (grows only into the VMA below, never joins
 *              the one above), vm_brk_flags.
 * Locks        mmap_lock for write over the heap's growth and its neighbours.
 * Tests        tests/unit/mm/test_vma_cases.c, test_syscalls.c, tests/oracle
 */
#include "mm/internal.h"

int do_brk_flags(struct mm *mm, struct vma *prev, u64 addr, u64 len, u64 flags)
{
	u64 npages = len >> mm->arch->page_shift;
	struct vma *vma = NULL;

	line_read(mm, def_flags);
	flags |= VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT |
		 mm->def_flags;
	line_read(mm, map_count);
	line_read(mm, limits.max_map_count);
	if (!may_expand_vm(mm, flags, npages) || mm->map_count > mm->limits.max_map_count)
		return -ENOMEM;
	if (prev && prev->end == addr) {
		struct vma_merge vmg = { .mm = mm,
					 .prev = prev,
					 .start = addr,
					 .end = addr + len,
					 .pgoff = addr >> mm->arch->page_shift,
					 .flags = flags,
					 .just_expand = true };

		vma = vma_merge_new(&vmg);
		if (vmg.nomem)
			return -ENOMEM;
	}
	if (!vma) {
		if (vma_prealloc(mm))
			return -ENOMEM;
		vma = vma_alloc(mm);
		if (!vma)
			return -ENOMEM;
		WRITE_UNPRICED(vma->start, addr);
		WRITE_UNPRICED(vma->end, addr + len);
		vma->pgoff = addr >> mm->arch->page_shift;
		WRITE_UNPRICED(vma->flags, flags);
		vma_link(vma);
	}
	vm_stat_account(mm, flags, (s64)npages);
	if (flags & VM_LOCKED)
		mm_locked_vm_add(mm, (s64)npages);
	return 0;
}

static bool shrink_heap(struct mm *mm, u64 new_end, u64 old_end)
{
	const struct vma *vma = find_vma_intersection(mm, new_end, old_end);

	return vma && munmap_locked(mm_hold(HOLD_SYSCALL), new_end, old_end - new_end) == 0;
}

static bool grow_heap(struct mm *mm, u64 old_end, u64 new_end)
{
	u64 page_bytes = arch_page_bytes(mm->arch);
	const struct vma *next;
	struct vma *prev;

	if (get_unmapped_area(mm, NULL, old_end, new_end - old_end, 0, MAP_FIXED) < 0 ||
	    !mlock_future_ok(mm, mm->def_flags, new_end - old_end))
		return false;
	/* A page of distance to what follows, and a stack's guard gap. */
	next = find_vma(mm, old_end);
	if (next && new_end + page_bytes > vm_start_gap(next))
		return false;
	/* Only what lies at least partly above start_brk is the heap: it never grows out of the bss. */
	prev = find_vma_before(mm, old_end);
	if (prev) {
		line_read(prev, start);
		if (prev->end <= mm->start_brk)
			prev = NULL;
	}
	return do_brk_flags(mm, prev, old_end, new_end - old_end, 0) == 0;
}

u64 mm_brk(struct mm *mm, u64 brk)
{
	u64 page_bytes = page_bytes_of(mm), old_end, new_end, result;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	bool populate = false, ok;

	syscall_enter(mm, COUNTER_SYSCALL_BRK);
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return (u64)-EINTR;
	line_write(mm, brk);
	line_read(mm, def_flags);
	line_read(mm, start_data);
	line_read(mm, limits.data_bytes);
	new_end = ALIGN_UP(brk, page_bytes);
	old_end = ALIGN_UP(mm->brk, page_bytes);
	if (brk < mm->start_brk || brk > mm->task_size)
		ok = false;
	else if (brk - mm->start_brk + (mm->end_data - mm->start_data) > mm->limits.data_bytes)
		ok = false;
	else if (new_end == old_end)
		ok = true;
	else if (brk <= mm->brk)
		ok = shrink_heap(mm, new_end, old_end);
	else {
		ok = grow_heap(mm, old_end, new_end);
		populate = ok && (mm->def_flags & VM_LOCKED);
	}
	if (ok)
		WRITE_ONCE(mm->brk, brk);
	result = mm->brk;
	mmap_write_unlock(hold);
	if (populate)
		(void)mm_populate(mm, old_end, new_end - old_end, true);
	return result;
}

void mm_set_brk(struct mm *mm, u64 addr)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);

	line_read(mm, locking);
	mmap_write_lock(mm, hold, MM_RANGE_ALL);
	line_write(mm, start_brk);
	WRITE_ONCE(mm->start_brk, addr);
	WRITE_ONCE(mm->brk, addr);
	mmap_write_unlock(hold);
}

int mm_install_bss(struct mm *mm, u64 start, u64 len, bool exec)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err;

	line_read(mm, arch);
	len = ALIGN_UP(len, arch_page_bytes(mm->arch));
	if (!len)
		return 0;
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	err = munmap_locked(hold, start, len);
	if (!err)
		err = do_brk_flags(mm, find_vma_before(mm, start), start, len,
				   exec ? VM_EXEC : 0);
	mmap_write_unlock(hold);
	return err;
}
