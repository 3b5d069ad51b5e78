/*
 * mm/fork.c - fork: copying an address space
 *
 * Models       Linux 6.18 dup_mmap(): VMA by VMA, each parent VMA write-locked (without that,
 *              faults in the parent race with the copy: Linux fb49c455323f), anon_vma chains,
 *              page tables with write protection for copy-on-write.
 * Guarantee    The child sees the parent's memory as of one moment under the parent's write lock;
 *              later writes of either are invisible to the other (but for VM_SHARED).
 * Lock order   parent's mmap_lock W, then the child's, nested (nobody else knows the child).
 * Failure      -ENOMEM: the half-made child is torn down, the parent is as before but for
 *              write-protected entries, which the next write resolves.
 * Tests        tests/unit/mm/test_vma_cases.c, test_reference_model.c, tests/scheme, tests/oracle
 */
#include "mm/internal.h"
#include "mm/invariants.h"

static void copy_description(struct mm *child, const struct mm *mm)
{
	u64 described = offsetof(struct mm, rss) - offsetof(struct mm, mmap_base);

	lines_read(&mm->mmap_base, described);
	lines_write(&child->mmap_base, described);
	child->mmap_base = mm->mmap_base;
	child->start_code = mm->start_code;
	child->end_code = mm->end_code;
	child->start_data = mm->start_data;
	child->end_data = mm->end_data;
	child->start_brk = mm->start_brk;
	child->brk = mm->brk;
	child->start_stack = mm->start_stack;
	child->limits = mm->limits;
	/* Locks are not inherited, nor is mlockall(MCL_FUTURE). */
	child->def_flags = mm->def_flags & VM_NOHUGEPAGE;
	child->total_vm_pages = mm->total_vm_pages;
	child->data_vm_pages = mm->data_vm_pages;
	child->exec_vm_pages = mm->exec_vm_pages;
	child->stack_vm_pages = mm->stack_vm_pages;
}

/* vma_dup() for another mm: the child's own VMA, not yet linked anywhere. */
static struct vma *dup_for_child(struct mm *child, const struct vma *src)
{
	struct vma *vma = vma_alloc(child);

	if (!vma)
		return NULL;
	line_read(src, file);
	WRITE_UNPRICED(vma->start, src->start);
	WRITE_UNPRICED(vma->end, src->end);
	WRITE_UNPRICED(vma->flags, src->flags & ~(u64)VM_LOCKED_MASK);
	vma->pgoff = src->pgoff;
	vma->name = src->name;
	vma->file = src->file;
	if (vma->file)
		file_get(vma->file);
	/* Of private huge pages nothing is reserved for a child; nor has it what was taken from the parent. */
	WRITE_UNPRICED(vma->reserve_lost, READ_UNPRICED(src->reserve_lost));
	return vma;
}

static int copy_one(struct mm *child, struct vma *src, bool *flush)
{
	struct vma *vma;

	if (vma_prealloc(child))
		return -ENOMEM;
	vma = dup_for_child(child, src);
	if (!vma)
		return -ENOMEM;
	/* VM_WIPEONFORK starts clean: no pages, so no anon_vma. */
	if (!(vma->flags & VM_WIPEONFORK) && anon_vma_fork(vma, src)) {
		vma_destroy(vma);
		return -ENOMEM;
	}
	vma_link(vma);
	if (vma->flags & VM_WIPEONFORK)
		return 0;
	return pgtable_copy(vma, src, flush);
}

/* Of all VMAs up to `last`. */
static void end_writes(struct mm *mm, const struct vma *last)
{
	struct vma *vma;

	vma_tree_for_each (&mm->vmas, vma) {
		vm_write_end(vma);
		if (vma == last)
			return;
	}
}

static int copy_all(struct mm *child, struct mm *mm)
{
	bool sequences = mm->locking->caps & LK_CAP_VM_SEQUENCE, flush = false;
	struct vma *vma, *last = NULL;
	int err = 0;

	vma_tree_for_each (&mm->vmas, vma) {
		line_read(vma, start);
		vma_start_write(vma);
		vm_write_begin(vma);
		if (vma->flags & VM_DONTCOPY) {
			vm_stat_account(child, vma->flags,
					-(s64)vma_pages(vma, mm->arch->page_shift));
		} else {
			err = copy_one(child, vma, &flush);
		}
		last = vma;
		if (err)
			break;
	}
	/* What was writable in the parent is write-protected now: no TLB may say otherwise. */
	if (flush)
		tlb_flush_mm(mm);
	if (unlikely(mm->memory->watch))
		invariants_forked(mm);
	/* Not before: a fault that copied a page for the parent now would miss what another CPU still
	 * writes to it by its TLB. */
	if (sequences && last)
		end_writes(mm, last);
	return err;
}

/* Give back what copy_all() made before it failed. */
static void drop_half_made(struct mm *child)
{
	struct unmap_list list;

	if (unmap_gather(mm_hold(HOLD_SECOND), 0, child->task_size, &list))
		MMSIM_BUG("cannot tear down a half-made child");
	unmap_finish(child, &list);
}

struct mm *mm_fork(struct mm *mm, int *error)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL), *child_hold = mm_hold(HOLD_SECOND);
	struct mm *child;
	int err;

	*error = -ENOMEM;
	syscall_enter(mm, COUNTER_SYSCALL_FORK);
	child = mm_create(mm->machine, mm->arch, mm->locking);
	if (!child)
		return NULL;
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL)) {
		mm_put(child);
		*error = -EINTR;
		return NULL;
	}
	mmap_write_lock_nested(child, child_hold, MM_RANGE_ALL);
	copy_description(child, mm);
	err = copy_all(child, mm);
	if (err)
		drop_half_made(child);
	mmap_write_unlock(child_hold);
	mmap_write_unlock(hold);
	if (err) {
		child->total_vm_pages = 0;
		mm_put(child);
		return NULL;
	}
	*error = 0;
	return child;
}
