/*
 * mm/mlock.c - mlock, munlock, mlockall, munlockall: flags, limits, and populating
 *
 * Models       Linux 6.18 mm/mlock.c. The pages themselves are not moved to an unevictable list.
 * Locks        mmap_lock for write over the range and its neighbours; populating takes it for read.
 * Tests        tests/unit/mm/test_syscalls.c, test_vma_cases.c, tests/oracle
 */
#include "mm/internal.h"

/* One VMA's part. *vmap: out, the VMA that covers it afterwards. */
static int lock_one(struct vma *prev, struct vma **vmap, u64 start, u64 end, u64 new_flags)
{
	struct vma *vma = *vmap;
	struct mm *mm = vma->mm;
	u64 old_flags = vma->flags, npages = (end - start) >> mm->arch->page_shift;
	int err;

	if (new_flags == old_flags || !vma_supports_mlock(vma))
		return 0;
	vma = vma_modify_flags(prev, vma, start, end, new_flags, &err);
	if (!vma)
		return err;
	*vmap = vma;
	line_write(mm, locked_vm_pages);
	if ((new_flags & VM_LOCKED) && !(old_flags & VM_LOCKED))
		mm_locked_vm_add(mm, (s64)npages);
	else if (!(new_flags & VM_LOCKED) && (old_flags & VM_LOCKED))
		mm_locked_vm_add(mm, -(s64)npages);
	vma_start_write(vma);
	vma_set_flags(vma, new_flags);
	return 0;
}

static int apply_lock_flags(struct mm *mm, u64 start, u64 end, u64 flags)
{
	struct vma *vma, *prev;
	u64 pos;
	int err;

	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	vma = vma_lookup(mm, start);
	if (!vma)
		return -ENOMEM;
	line_read(vma, start);
	prev = start > vma->start ? vma : vma_below(vma);
	for (pos = start; pos < end; pos = min(vma->end, end)) {
		if (pos > start) {
			vma = vma_lookup(mm, pos);
			if (!vma)
				return -ENOMEM;
			line_read(vma, start);
		}
		err = lock_one(prev, &vma, pos, min(vma->end, end),
			       (vma->flags & ~(u64)VM_LOCKED_MASK) | flags);
		if (err)
			return err;
		prev = vma;
	}
	return 0;
}

/* Pages of the range that are locked already: they do not count against the limit twice. */
static u64 locked_pages_in(struct mm *mm, u64 start, u64 end)
{
	const struct vma *vma;
	u64 bytes = 0;

	if (end <= start)
		return 0;
	for_each_vma_range(mm, vma, start, end) {
		line_read(vma, start);
		if (vma->flags & VM_LOCKED)
			bytes += min(vma->end, end) - max(vma->start, start);
	}
	return bytes >> mm->arch->page_shift;
}

static bool within_lock_limit(struct mm *mm, u64 start, u64 end)
{
	u64 limit_pages, pages;

	line_read(mm, limits.memlock_bytes);
	line_read(mm, limits.can_ipc_lock);
	line_read(mm, locked_vm_pages);
	limit_pages = mm->limits.memlock_bytes >> mm->arch->page_shift;
	pages = ((end - start) >> mm->arch->page_shift) + READ_ONCE(mm->locked_vm_pages);
	if (mm->limits.can_ipc_lock || pages <= limit_pages)
		return true;
	return pages - locked_pages_in(mm, start, end) <= limit_pages;
}

/* mlock reports what populating met in POSIX's words. */
static int posix_error(int err)
{
	if (err == -EFAULT)
		return -ENOMEM;
	return err == -ENOMEM ? -EAGAIN : err;
}

int mm_mlock(struct mm *mm, u64 start, u64 len, bool onfault)
{
	u64 page_bytes = page_bytes_of(mm), end;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err = -ENOMEM;

	syscall_enter(mm, COUNTER_SYSCALL_MLOCK);
	if (!can_do_mlock(mm))
		return -EPERM;
	len = ALIGN_UP(len + (start & (page_bytes - 1)), page_bytes);
	start = ALIGN_DOWN(start, page_bytes);
	end = start + len;
	if (mmap_write_lock_vmas_killable(mm, hold, start, max(end, start)))
		return -EINTR;
	if (within_lock_limit(mm, start, end))
		err = apply_lock_flags(mm, start, end, VM_LOCKED | (onfault ? VM_LOCKONFAULT : 0));
	mmap_write_unlock(hold);
	if (err)
		return err;
	return posix_error(mm_populate(mm, start, len, false));
}

int mm_munlock(struct mm *mm, u64 start, u64 len)
{
	u64 page_bytes = page_bytes_of(mm), end;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err;

	syscall_enter(mm, COUNTER_SYSCALL_MUNLOCK);
	len = ALIGN_UP(len + (start & (page_bytes - 1)), page_bytes);
	start = ALIGN_DOWN(start, page_bytes);
	end = start + len;
	if (mmap_write_lock_vmas_killable(mm, hold, start, max(end, start)))
		return -EINTR;
	err = apply_lock_flags(mm, start, end, 0);
	mmap_write_unlock(hold);
	return err;
}

/* Of all VMAs; errors of single ones are ignored, as Linux does. */
static void apply_lock_all(struct mm *mm, u64 flags)
{
	struct vma *vma = find_vma(mm, 0), *prev = NULL;

	while (vma) {
		line_read(vma, start);
		(void)lock_one(prev, &vma, vma->start, vma->end,
			       (vma->flags & ~(u64)VM_LOCKED_MASK) | flags);
		prev = vma;
		vma = find_vma(mm, vma->end);
	}
}

int mm_mlockall(struct mm *mm, int mcl_flags)
{
	u64 lock = VM_LOCKED | (mcl_flags & MCL_ONFAULT ? VM_LOCKONFAULT : 0);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err = 0;

	syscall_enter(mm, COUNTER_SYSCALL_MLOCKALL);
	if (!mcl_flags || (mcl_flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) ||
	    mcl_flags == MCL_ONFAULT)
		return -EINVAL;
	if (!can_do_mlock(mm))
		return -EPERM;
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	line_read(mm, total_vm_pages);
	if ((mcl_flags & MCL_CURRENT) && !mm->limits.can_ipc_lock &&
	    mm->total_vm_pages > mm->limits.memlock_bytes >> mm->arch->page_shift) {
		err = -ENOMEM;
	} else {
		line_write(mm, def_flags);
		mm->def_flags &= ~(u64)VM_LOCKED_MASK;
		if (mcl_flags & MCL_FUTURE)
			mm->def_flags |= lock;
		if (mcl_flags & MCL_CURRENT)
			apply_lock_all(mm, lock);
	}
	mmap_write_unlock(hold);
	if (!err && (mcl_flags & MCL_CURRENT))
		(void)mm_populate(mm, 0, mm->task_size, true);
	return err;
}

int mm_munlockall(struct mm *mm)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);

	syscall_enter(mm, COUNTER_SYSCALL_MUNLOCKALL);
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	line_write(mm, def_flags);
	mm->def_flags &= ~(u64)VM_LOCKED_MASK;
	apply_lock_all(mm, 0);
	mmap_write_unlock(hold);
	return 0;
}
