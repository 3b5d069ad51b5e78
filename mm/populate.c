/*
 * mm/populate.c - fault a range in on the kernel's own initiative: mlock, MAP_POPULATE, madvise
 *
 * Models       Linux mm/gup.c: __mm_populate, populate_vma_page_range, faultin_page_range, with the
 *              checks and error numbers of check_vma_flags as each caller sees them.
 * Kind         Private writable memory is write-faulted, so that mlock leaves nothing to copy;
 *              everything else is read-faulted; an entry that already allows that is left alone.
 * Locks        mmap_lock for read from the first VMA to the last, as Linux holds it (there it is
 *              dropped for slow I/O only; here such a page is waited for under it).
 * Tests        tests/unit/mm/test_populate.c
 */
#include "mm/hugetlb.h"
#include "mm/internal.h"

/* Would a fault for this access find nothing to do? */
static bool already_there(struct mm *mm, u64 va, bool write)
{
	pte_t e = pgtable_translation(mm, va);

	if (!e || !pte_present(mm->arch, e))
		return false;
	return !write || pte_has(mm->arch, e, PTE_WRITE);
}

/* 0; -ENOMEM: no simulated memory; -EFAULT: a signal in user mode; -EINTR: killed. */
static int fault_error(enum fault_result result)
{
	switch (result) {
	case FAULT_OK:
		return 0;
	case FAULT_OOM:
		return -ENOMEM;
	case FAULT_KILLED:
		return -EINTR;
	default:
		return -EFAULT;
	}
}

/* [start, end) inside vma; h is held. 0 or as fault_error(). */
static int populate_range(struct mm_hold *h, struct vma *vma, u64 start, u64 end, bool write)
{
	struct mm *mm = vma->mm;
	u64 step = vma->flags & VM_HUGETLB ? hugetlb_bytes(vma) : arch_page_bytes(mm->arch);
	int err = 0;

	for (u64 va = start; va < end && !err; va = ALIGN_DOWN(va, step) + step) {
		while (!err && !already_there(mm, va, write)) {
			if (task_killed())
				return -EINTR;
			err = fault_error(fault_handle_locked(h, vma, va,
							      write ? ACCESS_WRITE : ACCESS_READ));
		}
	}
	return err;
}

int populate_locked(struct mm_hold *hold, struct vma *vma, u64 start, u64 end)
{
	int err;

	mmap_assert_locked(hold);
	if (vma->flags & (VM_LOCKONFAULT | VM_IO | VM_PFNMAP))
		return 0;
	/* GUP forces its way past missing READ, but not into PROT_NONE. */
	if (!(vma->flags & VM_ACCESS_FLAGS))
		return -EFAULT;
	if (!(vma->flags & VM_READ) && !(vma->flags & VM_MAYREAD))
		return -EFAULT;
	err = populate_range(hold, vma, start, end,
			     (vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE);
	lru_drain(vma->mm->memory);
	return err;
}

int mm_populate(struct mm *mm, u64 start, u64 len, bool ignore_errors)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u64 end = start + len;
	struct vma *vma;
	int err = 0;

	mmap_read_lock_vmas(mm, h, start, end);
	for (u64 va = start; va < end; va = vma->end) {
		vma = find_vma_intersection(mm, va, end);
		if (!vma)
			break;
		err = populate_locked(h, vma, max(va, vma->start), min(end, vma->end));
		if (err && !ignore_errors)
			break;
		err = 0;
	}
	mmap_read_unlock(h);
	return err;
}

int mm_populate_rw(struct mm *mm, u64 start, u64 len, bool write)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u64 end = start + len;
	struct vma *vma;
	int err = 0;

	mmap_read_lock_vmas(mm, h, start, end);
	for (u64 va = start; va < end && !err; va = vma->end) {
		vma = vma_lookup(mm, va);
		if (!vma) {
			err = -ENOMEM;
			break;
		}
		line_read(vma, start);
		if ((vma->flags & (VM_IO | VM_PFNMAP)) ||
		    !(vma->flags & (write ? VM_WRITE : VM_READ))) {
			err = -EINVAL;
			break;
		}
		err = populate_range(h, vma, va, min(end, vma->end), write);
	}
	lru_drain(mm->memory);
	mmap_read_unlock(h);
	return err;
}
