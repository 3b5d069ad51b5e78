/*
 * mm/mprotect.c - changing permissions
 *
 * Models       Linux 6.18 mm/mprotect.c: VMA by VMA, each merged or split, then its entries.
 * Leaves out   protection keys.
 * Guarantee    When it returns 0, no CPU makes an access that the new permissions forbid.
 * Locks        mmap_lock for write over the range and its neighbours; each VMA write-started.
 * Tests        tests/unit/mm/test_vma_cases.c, test_syscalls.c, tests/scheme, tests/oracle
 */
#include "mm/internal.h"

/* What the change does to overcommit accounting; -ENOMEM when the data limit forbids it. */
static int account_flags(const struct vma *vma, u64 npages, u64 *new_flags)
{
	const struct mm *mm = vma->mm;

	if (*new_flags & VM_WRITE) {
		if (!may_expand_vm(mm, *new_flags, npages) && may_expand_vm(mm, vma->flags, npages))
			return -ENOMEM;
		if (!(vma->flags & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE)))
			*new_flags |= VM_ACCOUNT;
	} else if ((vma->flags & VM_ACCOUNT) && vma_is_anonymous(vma) && !vma->anon_vma) {
		*new_flags &= ~(u64)VM_ACCOUNT;
	}
	return 0;
}

/* One VMA's part of the range. *vmap: out, the VMA that covers [start, end) afterwards. */
static int protect_one(struct mm_hold *hold, struct vma *prev, struct vma **vmap, u64 start, u64 end,
		       u64 new_flags)
{
	struct vma *vma = *vmap;
	struct mm *mm = vma->mm;
	u64 old_flags = vma->flags, npages = (end - start) >> mm->arch->page_shift;
	int err;

	line_read(vma, file);
	if (new_flags == old_flags)
		return 0;
	err = account_flags(vma, npages, &new_flags);
	if (err)
		return err;
	vma = vma_modify_flags(prev, vma, start, end, new_flags, &err);
	if (!vma)
		return err;
	*vmap = vma;

	vma_start_write(vma);
	vm_write_begin(vma);
	WRITE_ONCE(vma->flags, new_flags);
	pgtable_protect(vma, start, end);
	vm_write_end(vma);
	vm_stat_account(mm, old_flags, -(s64)npages);
	vm_stat_account(mm, new_flags, (s64)npages);
	/* A locked private VMA that becomes writable takes its copies now, not at the first write. */
	if ((old_flags & (VM_WRITE | VM_SHARED | VM_LOCKED)) == VM_LOCKED && (new_flags & VM_WRITE))
		(void)populate_locked(hold, vma, start, end);
	return 0;
}

static int protect_range(struct mm_hold *hold, u64 start, u64 end, u32 prot, bool grows_down)
{
	struct mm *mm = hold->mm;
	struct vma *vma = find_vma_intersection(mm, start, end), *prev;
	u64 pos;
	int err;

	if (!vma)
		return -ENOMEM;
	line_read(vma, start);
	if (grows_down) {
		if (vma->start >= end)
			return -ENOMEM;
		start = vma->start;
		if (!(vma->flags & VM_GROWSDOWN))
			return -EINVAL;
	} else if (vma->start > start) {
		return -ENOMEM;
	}
	prev = start > vma->start ? vma : vma_below(vma);

	for (pos = start; pos < end; pos = min(vma->end, end)) {
		u64 new_flags;

		if (pos > start) {
			vma = vma_lookup(mm, pos);
			if (!vma)
				return -ENOMEM; /* a hole: what came before stays changed */
			line_read(vma, start);
		}
		new_flags = (vma->flags & ~(u64)VM_ACCESS_FLAGS) | vm_flags_from_prot(prot);
		/* VM_MAYx is VM_x shifted by four: what may not be granted? */
		if (new_flags & ~(new_flags >> 4) & VM_ACCESS_FLAGS)
			return -EACCES;
		err = protect_one(hold, prev, &vma, pos, min(vma->end, end), new_flags);
		if (err)
			return err;
		prev = vma;
	}
	return 0;
}

int mm_mprotect(struct mm *mm, u64 start, u64 len, u32 prot)
{
	u64 page_bytes = page_bytes_of(mm), end;
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	int err;

	syscall_enter(mm, COUNTER_SYSCALL_MPROTECT);
	prot &= ~(u32)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (start & (page_bytes - 1))
		return -EINVAL;
	if (!len)
		return 0;
	end = start + ALIGN_UP(len, page_bytes);
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;

	if (grows == PROT_GROWSDOWN) /* from the VMA's start, wherever that is */
		err = mmap_write_lock_killable(mm, hold, MM_RANGE_ALL);
	else
		err = mmap_write_lock_vmas_killable(mm, hold, start, end);
	if (err)
		return err;
	if (grows == PROT_GROWSUP)
		err = -EINVAL; /* no VMA grows up on the modelled architectures */
	else
		err = protect_range(hold, start, end, prot, grows == PROT_GROWSDOWN);
	mmap_write_unlock(hold);
	return err;
}
