/*
 * mm/exec.c - the mappings that exec makes by itself: the stack and the special mappings
 *
 * Models       setup_arg_pages() and _install_special_mapping() of Linux. The ELF segments are
 *              ordinary mm_mmap() calls, bss is mm_install_bss() (brk.c).
 * Locks        mmap_lock for write.
 * Tests        tests/unit/workloads/test_replay.c (every recorded exec), tests/oracle
 */
#include "mm/internal.h"

static int install(struct mm *mm, u64 start, u64 end, u64 flags, const char *name, bool anon_vma)
{
	struct vma *vma;

	if (start >= end || find_vma_intersection(mm, start, end))
		return -EEXIST;
	if (vma_prealloc(mm))
		return -ENOMEM;
	vma = vma_alloc(mm);
	if (!vma)
		return -ENOMEM;
	WRITE_UNPRICED(vma->start, start);
	WRITE_UNPRICED(vma->end, end);
	WRITE_UNPRICED(vma->flags, flags);
	vma->name = name;
	vma->pgoff = name ? 0 : start >> mm->arch->page_shift;
	vma_link(vma);
	vm_stat_account(mm, flags, (s64)vma_pages(vma, mm->arch->page_shift));
	return anon_vma ? anon_vma_prepare(vma) : 0;
}

int mm_install_special(struct mm *mm, u64 start, u64 len, u64 vm_flags, const char *name)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err;

	line_read(mm, locking);
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	line_read(mm, def_flags);
	err = install(mm, start, start + ALIGN_UP(len, arch_page_bytes(mm->arch)),
		      vm_flags | mm->def_flags | VM_DONTEXPAND, name, false);
	mmap_write_unlock(hold);
	return err;
}

int mm_install_stack(struct mm *mm, u64 start, u64 end, u64 start_stack, u64 extra_flags)
{
	u64 flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN |
		    VM_ACCOUNT | extra_flags;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err;

	line_read(mm, locking);
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	line_read(mm, def_flags);
	/* The argument pages were written before the stack got its place: it has an anon_vma. */
	err = install(mm, start, end, flags | mm->def_flags, NULL, true);
	if (!err) {
		line_write(mm, start_stack);
		mm->start_stack = start_stack;
	}
	mmap_write_unlock(hold);
	return err;
}
