/*
 * mm/madvise.c - advice: flags of VMAs, dropping and populating pages
 *
 * Models       Linux 6.18 mm/madvise.c for the behaviours in behavior_class() below.
 * Leaves out   MADV_COLLAPSE of files; guard regions, hardware poison: -EINVAL, as a kernel without them.
 *              WILLNEED, COLD and PAGEOUT check what Linux checks and change nothing that can be
 *              seen (there is no swap).
 * Locks        flags, COLLAPSE: mmap_lock W over the range. The others: mmap_lock R; another fault in the VMA may
 *              run meanwhile, the page-table lock orders the two. DONTNEED, DONTNEED_LOCKED and FREE
 *              inside one VMA: its own lock for read where the scheme has one (since 6.17), if that
 *              needs no waiting.
 * Tests        tests/unit/mm/test_syscalls.c, test_vma_cases.c, tests/oracle
 */
#include "mm/filemap_internal.h"
#include "mm/hugetlb.h"
#include "mm/page_internal.h"

enum behavior_class { ADVICE_UNKNOWN, ADVICE_FLAGS, ADVICE_PAGES, ADVICE_POPULATE, ADVICE_COLLAPSE };

static enum behavior_class behavior_class(int behavior)
{
	switch (behavior) {
	case MADV_NORMAL:
	case MADV_SEQUENTIAL:
	case MADV_RANDOM:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return ADVICE_FLAGS;
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_WILLNEED:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_REMOVE:
		return ADVICE_PAGES;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return ADVICE_POPULATE;
	case MADV_COLLAPSE:
		return ADVICE_COLLAPSE;
	default:
		return ADVICE_UNKNOWN;
	}
}

/* May samepage merging look at it? */
static bool ksm_compatible(const struct vma *vma)
{
	return !(vma->flags & (VM_SHARED | VM_MAYSHARE | VM_SPECIAL));
}

/* What the flags become, or -EINVAL where this VMA cannot take the advice. */
static int advised_flags(const struct vma *vma, int behavior, u64 *flags)
{
	u64 f = vma->flags;

	line_read(vma, file);
	switch (behavior) {
	case MADV_NORMAL:
		f &= ~(u64)(VM_RAND_READ | VM_SEQ_READ);
		break;
	case MADV_SEQUENTIAL:
		f = (f & ~(u64)VM_RAND_READ) | VM_SEQ_READ;
		break;
	case MADV_RANDOM:
		f = (f & ~(u64)VM_SEQ_READ) | VM_RAND_READ;
		break;
	case MADV_DONTFORK:
		f |= VM_DONTCOPY;
		break;
	case MADV_DOFORK:
		if (f & VM_IO)
			return -EINVAL;
		f &= ~(u64)VM_DONTCOPY;
		break;
	case MADV_WIPEONFORK:
		if (vma->file || (f & VM_SHARED))
			return -EINVAL;
		f |= VM_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		f &= ~(u64)VM_WIPEONFORK;
		break;
	case MADV_DONTDUMP:
		f |= VM_DONTDUMP;
		break;
	case MADV_DODUMP:
		if ((f & VM_SPECIAL) && !(f & VM_HUGETLB))
			return -EINVAL;
		f &= ~(u64)VM_DONTDUMP;
		break;
	case MADV_MERGEABLE:
		if (ksm_compatible(vma))
			f |= VM_MERGEABLE;
		break;
	case MADV_UNMERGEABLE:
		f &= ~(u64)VM_MERGEABLE;
		break;
	case MADV_HUGEPAGE:
		f = (f & ~(u64)VM_NOHUGEPAGE) | VM_HUGEPAGE;
		break;
	case MADV_NOHUGEPAGE:
		f = (f & ~(u64)VM_HUGEPAGE) | VM_NOHUGEPAGE;
		break;
	}
	*flags = f;
	return 0;
}

static int advise_flags(struct vma *prev, struct vma **vmap, u64 start, u64 end, int behavior)
{
	u64 flags;
	int err = advised_flags(*vmap, behavior, &flags);
	struct vma *vma;

	if (err || flags == (*vmap)->flags)
		return err;
	vma = vma_modify_flags(prev, *vmap, start, end, flags, &err);
	if (!vma)
		return err == -ENOMEM ? -EAGAIN : err; /* "temporarily unavailable" */
	vma_start_write(vma);
	vma_set_flags(vma, flags);
	*vmap = vma;
	return 0;
}

/*
 * A hole in the file: it reads as zeroes from now on, through every mapping of it; private copies
 * stay. Linux drops the pages and faults zeroes in anew; here they are zeroed where they are.
 */
static int punch_hole(const struct memory *mem, struct mapping *mapping, u64 first, u64 end)
{
	for (u64 index = first; index < end && !filemap_beyond_end(mem, mapping->inode, index); index++) {
		struct page *page = filemap_read(mem, mapping, index);

		if (!page)
			return -ENOMEM;
		page_lock(mem, page);
		page_clear_content(mem, page);
		page_unlock(mem, page);
		page_put(mem, page);
	}
	return 0;
}

static int advise_remove(struct vma *vma, u64 start, u64 end)
{
	u8 shift = vma->mm->arch->page_shift;
	u64 first = vma->pgoff + ((start - vma->start) >> shift);

	if (vma->flags & VM_LOCKED)
		return -EINVAL;
	if (!vma->file)
		return -EINVAL;
	line_read(vma->file, inode);
	line_read(vma->file->inode, kind);
	if (vma->file->inode->kind == INODE_DEVICE)
		return -EINVAL;
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return -EACCES;
	if (vma->file->inode->kind == INODE_HUGETLB) {
		hugetlb_punch_hole(vma, start, end);
		return 0;
	}
	return punch_hole(vma->mm->memory, &vma->file->inode->mapping, first,
			  first + ((end - start) >> shift));
}

static void drop_pages(struct vma *vma, u64 start, u64 end)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, vma->mm, false);
	pgtable_zap(&tlb, vma, start, end);
	tlb_finish_mmu(&tlb);
}

/* From a huge page's start on, as many as lie wholly inside. A fault that finds one gone waits until it is
 * free, and reserved again: there may be no other. */
static int drop_hugetlb(struct vma *vma, u64 start, u64 end)
{
	u64 bytes = hugetlb_bytes(vma);
	struct rwsem *vma_lock;

	if (start & (bytes - 1))
		return -EINVAL;
	end = ALIGN_DOWN(end, bytes);
	if (start >= end)
		return 0;
	vma_lock = hugetlb_vma_lock(vma);
	if (vma_lock)
		down_write(vma_lock);
	drop_pages(vma, start, end);
	if (vma_lock)
		up_write(vma_lock);
	return 0;
}

static int advise_pages(struct vma *vma, u64 start, u64 end, int behavior)
{
	u64 forbidden = VM_PFNMAP;

	line_read(vma, file);
	switch (behavior) {
	case MADV_WILLNEED:
		return 0;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return vma->flags & (VM_LOCKED | VM_PFNMAP | VM_HUGETLB) ? -EINVAL : 0;
	case MADV_REMOVE:
		return advise_remove(vma, start, end);
	}
	if (unlikely(vma->flags & VM_HUGETLB))
		return behavior == MADV_FREE ? -EINVAL : drop_hugetlb(vma, start, end);
	if (behavior != MADV_DONTNEED_LOCKED)
		forbidden |= VM_LOCKED;
	if (vma->flags & forbidden)
		return -EINVAL;
	if (behavior == MADV_FREE) {
		if (!vma_is_anonymous(vma))
			return -EINVAL;
		vm_write_begin(vma);
		pgtable_madvise_free(vma, start, end);
		vm_write_end(vma);
		return 0;
	}
	lru_drain(vma->mm->memory);
	drop_pages(vma, start, end);
	return 0;
}

/* Go on over holes, and say -ENOMEM at the end; any other error stops. */
static int walk_vmas(struct mm *mm, u64 start, u64 end, int behavior)
{
	bool flags = behavior_class(behavior) == ADVICE_FLAGS;
	struct vma *vma = find_vma_intersection(mm, start, end), *prev;
	int hole = 0, err;

	if (!vma)
		return -ENOMEM;
	line_read(vma, start);
	/* Only who changes flags merges, and holds the neighbours. */
	prev = start > vma->start ? vma : flags ? vma_below(vma) : NULL;
	while (start < end) {
		u64 stop;

		if (!vma)
			return -ENOMEM;
		if (start < vma->start) {
			hole = -ENOMEM;
			start = vma->start;
			if (start >= end)
				break;
		}
		stop = min(vma->end, end);
		if (flags)
			err = advise_flags(prev, &vma, start, stop, behavior);
		else if (behavior == MADV_COLLAPSE)
			err = pgtable_collapse(vma, start, stop);
		else
			err = advise_pages(vma, start, stop, behavior);
		if (err)
			return err;
		start = stop;
		prev = vma;
		vma = start < end ? find_vma_intersection(mm, start, end) : NULL;
		if (vma)
			line_read(vma, start);
	}
	return hole;
}

/* Under one VMA's lock, mmap_lock not held. False: not possible, nothing was done. */
static bool advise_one_vma(struct mm *mm, u64 start, u64 end, int behavior, int *err)
{
	const struct vma_read_lock *vma_read = mm->locking->vma_read;
	struct vma *vma;
	bool inside;

	if (behavior != MADV_DONTNEED && behavior != MADV_DONTNEED_LOCKED && behavior != MADV_FREE)
		return false;
	if (!vma_read || !mm_era(mm)->vma_lock_calls)
		return false;
	vma = vma_read->lock(mm, start);
	inside = vma && end <= vma->end;
	if (inside) {
		count_event(COUNTER_VMA_READ_LOCK);
		*err = advise_pages(vma, start, end, behavior);
	} else {
		count_event(COUNTER_VMA_READ_LOCK_ABORT);
	}
	if (vma)
		vma_read->unlock(mm, vma);
	return inside;
}

int mm_madvise(struct mm *mm, u64 start, u64 len, int behavior)
{
	u64 page_bytes = page_bytes_of(mm), len_aligned = ALIGN_UP(len, page_bytes);
	enum behavior_class class = behavior_class(behavior);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	u64 end = start + len_aligned;
	int err;

	syscall_enter(mm, COUNTER_SYSCALL_MADVISE);
	if (class == ADVICE_UNKNOWN || (start & (page_bytes - 1)))
		return -EINVAL;
	if ((len && !len_aligned) || end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	if (class == ADVICE_POPULATE)
		return mm_populate_rw(mm, start, len_aligned, behavior == MADV_POPULATE_WRITE);

	if (class == ADVICE_FLAGS || class == ADVICE_COLLAPSE) {
		if (mmap_write_lock_vmas_killable(mm, hold, start, end))
			return -EINTR;
		err = walk_vmas(mm, start, end, behavior);
		mmap_write_unlock(hold);
	} else if (!advise_one_vma(mm, start, end, behavior, &err)) {
		mmap_read_lock(mm, hold, start, end);
		err = walk_vmas(mm, start, end, behavior);
		mmap_read_unlock(hold);
	}
	return err;
}
