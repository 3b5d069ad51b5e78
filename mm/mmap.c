/*
 * mm/mmap.c - mmap(): checks, address choice, and the new mapping
 *
 * Models       Linux 6.18 mm/mmap.c (do_mmap), mm/vma.c (mmap_region), the top-down search of
 *              arch_get_unmapped_area_topdown, and thp_get_unmapped_area's 2 MiB alignment.
 * Leaves out   hugetlbfs's files, MAP_DROPPABLE, MAP_SYNC, mseal. MAP_32BIT starts at its fixed base
 *              (Linux adds up to 32 MiB at random).
 * Locks        mmap_lock for write, over the whole space: the place is not known before. Where locks
 *              are ranges, the gap is chosen and reserved under tree_lock, then locked: lock_gap().
 * Tests        tests/unit/mm/test_syscalls.c, test_vma_cases.c, test_reference_model.c, tests/oracle
 */
#include "mm/hugetlb.h"
#include "mm/internal.h"

#define HUGE_BYTES (2ull << 20)
/* What MAP_SHARED_VALIDATE accepts: the flags as old as MAP_SHARED. */
#define KNOWN_MAP_FLAGS                                                                            \
	(MAP_SHARED_VALIDATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |        \
	 MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |           \
	 MAP_NONBLOCK | MAP_STACK | MAP_32BIT | MAP_HUGETLB | MAP_HUGE_2MB | MAP_HUGE_1GB)
#define MAP_32BIT_START 0x40000000ull
#define MAP_32BIT_END 0x80000000ull

/* ---- where? ---------------------------------------------------------------------------------- */

/* Has another mmap() chosen something in [start, end)? Then the whole run of reservations that touch
 * each other there: steady mmaps from many CPUs reserve one below the other. */
static bool gap_is_reserved(const struct mm *mm, u64 start, u64 end, u64 *run_start, u64 *run_end)
{
	const struct gap_reservation *r;
	bool found = false;

	if (!mm_has_ranges(mm))
		return false;
	list_for_each_entry (r, &mm->reserved, link) { /* downwards */
		line_read(r, start);
		if (found && r->end != *run_start)
			break;
		if (!found && r->start < end && start < r->end) {
			found = true;
			*run_end = r->end;
		}
		if (found)
			*run_start = r->start;
	}
	return found;
}

/*
 * The highest (or lowest) gap in [low, high) that fits and leaves a stack above it its guard gap:
 * the end of a gap below a VM_GROWSDOWN VMA is that much lower.
 */
static s64 unmapped_area(struct mm *mm, u64 low, u64 high, u64 len, bool top_down)
{
	u64 addr;

	while (vma_tree_gap(&mm->vmas, low, high, len, top_down, &addr)) {
		const struct vma *above = find_vma(mm, addr + len);
		u64 reserved_start, reserved_end;

		if (above && vm_start_gap(above) < addr + len) {
			if (top_down)
				high = vm_start_gap(above);
			else
				low = READ_UNPRICED(above->end);
		} else if (gap_is_reserved(mm, addr, addr + len, &reserved_start, &reserved_end)) {
			if (top_down)
				high = reserved_start;
			else
				low = reserved_end;
		} else {
			return (s64)addr;
		}
		if (high <= low || high - low < len)
			break;
	}
	return -ENOMEM;
}

/* Is [addr, addr + len) free, the guard gap of the next VMA respected? */
static bool hint_is_free(struct mm *mm, u64 addr, u64 len)
{
	const struct vma *vma;

	if (len > mm->task_size || addr > mm->task_size - len)
		return false;
	/* Across the end of the default window: the hint would have to be above it. */
	if (addr <= mm->arch->default_map_window && addr + len > mm->arch->default_map_window)
		return false;
	vma = find_vma(mm, addr);
	return (!vma || addr + len <= vm_start_gap(vma)) &&
	       !gap_is_reserved(mm, addr, addr + len, &(u64){ 0 }, &(u64){ 0 });
}

/* unmapped_area() at a multiple of align. */
static s64 aligned_area(struct mm *mm, u64 low, u64 high, u64 len, u64 align, bool top_down)
{
	u64 more = align - arch_page_bytes(mm->arch);
	s64 found = len + more < len ? -ENOMEM : unmapped_area(mm, low, high, len + more, top_down);

	if (found < 0)
		return found;
	return (s64)(top_down ? ALIGN_DOWN((u64)found + more, align) : ALIGN_UP((u64)found, align));
}

/* align: a page, or a huge page. */
static s64 search_address(struct mm *mm, u64 addr, u64 len, u64 align, u32 flags)
{
	u64 page_bytes = arch_page_bytes(mm->arch), window = mm->arch->default_map_window, beyond;
	s64 found;

	if (len > mm->task_size)
		return -ENOMEM;
	if (flags & MAP_FIXED) /* the top half of the numbers would look like errors */
		return addr > mm->task_size - len ? -ENOMEM : (s64)addr;
	if (flags & MAP_32BIT) {
		if (addr >= MAP_32BIT_START && addr + len <= MAP_32BIT_END && hint_is_free(mm, addr, len))
			return (s64)addr;
		return aligned_area(mm, MAP_32BIT_START, MAP_32BIT_END, len, align, false);
	}
	addr = ALIGN_DOWN(addr, page_bytes);
	if (addr && hint_is_free(mm, addr, len))
		return (s64)addr;
	line_read(mm, mmap_base);
	/* Only who hints above the default window gets anything from there. */
	beyond = addr > window ? mm->task_size - window : 0;
	found = aligned_area(mm, page_bytes, mm->mmap_base + beyond, len, align, true);
	if (found < 0) /* the top is full: bottom-up from a third of the window, as a last resort */
		found = aligned_area(mm, ALIGN_UP(window / 3, page_bytes), window + beyond, len, align, false);
	return found;
}

/*
 * Place it so that file offset and address agree modulo 2 MiB and a huge page fits. Searches for
 * 2 MiB more than needed; 0: the block holds no whole huge page, or there is no such gap.
 */
static s64 search_huge_aligned(struct mm *mm, u64 addr, u64 len, u64 offset, u32 flags)
{
	u64 offset_end = offset + len, first_block = ALIGN_UP(offset, HUGE_BYTES), sub;
	s64 found;

	if (offset_end <= first_block || offset_end - first_block < HUGE_BYTES)
		return 0;
	if (len + HUGE_BYTES < len || offset + len + HUGE_BYTES < offset)
		return 0;
	found = search_address(mm, addr, len + HUGE_BYTES, arch_page_bytes(mm->arch), flags);
	if (found < 0)
		return 0;
	if ((u64)found == addr)
		return found; /* the hint was good, and hints win over alignment */
	sub = (offset - (u64)found) & (HUGE_BYTES - 1);
	return sub ? found + (s64)sub : found + (s64)HUGE_BYTES;
}

static bool wants_huge_alignment(const struct file *file, u64 addr, u64 len, u32 flags)
{
	if (file) {
		line_read(file, inode);
		line_read(file->inode, kind);
		return file->inode->kind == INODE_REGULAR;
	}
	/* shared anonymous memory is tmpfs's, which has huge=never */
	return !(flags & MAP_SHARED) && !addr && !(len & (HUGE_BYTES - 1));
}

/* tree_lock is held, where there is one in use. */
static s64 choose_area(struct mm *mm, struct file *file, u64 addr, u64 len, u64 pgoff, u32 flags)
{
	u64 page_bytes = arch_page_bytes(mm->arch), align = page_bytes;
	s64 found = 0;

	if (file && hugetlb_file_bytes(file)) {
		align = hugetlb_file_bytes(file);
		if ((len | (flags & MAP_FIXED ? addr : 0)) & (align - 1))
			return -EINVAL;
		addr = ALIGN_UP(addr, align);
	}
	if (len > mm->task_size)
		return -ENOMEM;
	if (wants_huge_alignment(file, addr, len, flags))
		found = search_huge_aligned(mm, addr, len, file ? pgoff * page_bytes : 0, flags);
	if (!found)
		found = search_address(mm, addr, len, align, flags);
	if (found < 0)
		return found;
	if ((u64)found > mm->task_size - len)
		return -ENOMEM;
	if ((u64)found & (page_bytes - 1))
		return -EINVAL;
	line_read(mm, limits.mmap_min_addr);
	return (u64)found < mm->limits.mmap_min_addr ? -EPERM : found;
}

s64 get_unmapped_area(struct mm *mm, struct file *file, u64 addr, u64 len, u64 pgoff, u32 flags)
{
	s64 found;

	mm_tree_lock(mm);
	found = choose_area(mm, file, addr, len, pgoff, flags);
	mm_tree_unlock(mm);
	return found;
}

/* ---- what? ------------------------------------------------------------------------------------- */

struct mmap_request {
	u64 addr, len; /* len page aligned */
	u32 prot, flags;
	struct file *file; /* NULL: anonymous */
	u64 pgoff;
	u64 vm_flags;
	bool placed; /* addr is final: the hold covers it and nothing is there */
};

/* File offsets are signed: a mapping may not reach beyond the largest one. */
#define FILE_OFFSET_MAX 0x7fffffffffffffffull

static int check_file(struct mmap_request *r, u8 page_shift)
{
	const struct file *file = r->file;

	line_read(file, readable);
	line_read(file->inode, kind);
	if (r->len > FILE_OFFSET_MAX || r->pgoff > (FILE_OFFSET_MAX - r->len) >> page_shift)
		return -EOVERFLOW;
	switch (r->flags & 0x0f) {
	case MAP_SHARED_VALIDATE:
		if (r->flags & ~(u32)KNOWN_MAP_FLAGS)
			return -EOPNOTSUPP;
		/* fall through */
	case MAP_SHARED:
		if ((r->prot & PROT_WRITE) && !file->writable)
			return -EACCES;
		r->vm_flags |= VM_SHARED | VM_MAYSHARE;
		if (!file->writable)
			r->vm_flags &= ~(u64)(VM_MAYWRITE | VM_SHARED);
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (!file->readable)
		return -EACCES;
	if (file->no_exec) {
		if (r->vm_flags & VM_EXEC)
			return -EPERM;
		r->vm_flags &= ~(u64)VM_MAYEXEC;
	}
	if (r->vm_flags & VM_GROWSDOWN)
		return -EINVAL;
	if (file->inode->kind == INODE_DEVICE)
		r->vm_flags |= VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
	if (file->inode->kind == INODE_HUGETLB)
		r->vm_flags |= VM_HUGETLB | VM_DONTEXPAND;
	return 0;
}

static int check_anonymous(struct mmap_request *r, u8 page_shift)
{
	switch (r->flags & 0x0f) {
	case MAP_SHARED:
		if (r->vm_flags & VM_GROWSDOWN)
			return -EINVAL;
		r->pgoff = 0;
		r->vm_flags |= VM_SHARED | VM_MAYSHARE;
		return 0;
	case MAP_PRIVATE:
		r->pgoff = r->addr >> page_shift;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Everything that can be refused before the address space is touched. Chooses r->addr. */
static int prepare_request(struct mm *mm, struct mmap_request *r)
{
	u8 shift = mm->arch->page_shift;
	s64 found;
	int err;

	line_read(mm, mmap_base);
	line_read(mm, def_flags);
	line_read(mm, limits.max_map_count);
	if (READ_ONCE(mm->map_count) > mm->limits.max_map_count)
		return -ENOMEM;
	r->vm_flags = vm_flags_from_prot(r->prot) | mm->def_flags | VM_MAYREAD | VM_MAYWRITE |
		      VM_MAYEXEC;
	if (r->flags & MAP_GROWSDOWN)
		r->vm_flags |= VM_GROWSDOWN;
	if (r->flags & MAP_LOCKED)
		r->vm_flags |= VM_LOCKED;
	if (r->flags & MAP_STACK)
		r->vm_flags |= VM_NOHUGEPAGE;

	if (!r->placed) {
		found = get_unmapped_area(mm, r->file, r->addr, r->len, r->pgoff, r->flags);
		if (found < 0)
			return (int)found;
		r->addr = (u64)found;
	}
	if ((r->flags & MAP_FIXED_NOREPLACE) &&
	    find_vma_intersection(mm, r->addr, r->addr + r->len))
		return -EEXIST;
	if ((r->flags & MAP_LOCKED) && !can_do_mlock(mm))
		return -EPERM;
	if (!mlock_future_ok(mm, r->vm_flags, r->len))
		return -EAGAIN;
	err = r->file ? check_file(r, shift) : check_anonymous(r, shift);
	if (!err && (r->flags & MAP_NORESERVE))
		r->vm_flags |= VM_NORESERVE;
	return err;
}

/* The pages that MAP_FIXED replaces do not count against the limits. */
static u64 pages_mapped_in(struct mm *mm, u64 start, u64 end)
{
	const struct vma *vma;
	u64 bytes = 0;

	for_each_vma_range(mm, vma, start, end) {
		line_read(vma, start);
		bytes += min(vma->end, end) - max(vma->start, start);
	}
	return bytes >> mm->arch->page_shift;
}

/* The file of a new MAP_SHARED | MAP_ANONYMOUS mapping: one of its own, in the kernel's tmpfs. */
static struct file *shmem_zero_setup(struct mm *mm, u64 len)
{
	struct inode *inode;
	struct file *file;
	/* A number for humans only: the file is reached by no name. */
	u64 ino = fetch_add(&mm->mmm->next_shmem_ino, 1);

	inode = inode_create(mm->machine, INODE_SHMEM, "/dev/zero (deleted)", 0, 1, ino, len);
	if (!inode)
		return NULL;
	file = file_open(inode, true, true);
	inode_put(inode);
	return file;
}

static struct vma *new_vma(struct mm *mm, const struct mmap_request *r)
{
	struct vma *vma;

	if (vma_prealloc(mm))
		return NULL;
	vma = vma_alloc(mm);
	if (!vma)
		return NULL;
	WRITE_UNPRICED(vma->start, r->addr);
	WRITE_UNPRICED(vma->end, r->addr + r->len);
	WRITE_UNPRICED(vma->flags, r->vm_flags);
	vma->pgoff = r->pgoff;
	if (r->file) {
		vma->file = r->file;
		file_get(r->file);
		vma->reserve_owner = (r->vm_flags & (VM_HUGETLB | VM_SHARED | VM_NORESERVE)) == VM_HUGETLB;
	} else if (r->vm_flags & VM_SHARED) {
		vma->file = shmem_zero_setup(mm, r->len);
		if (!vma->file) {
			vma_destroy(vma);
			return NULL;
		}
	}
	vma_link(vma);
	return vma;
}

/* The place is free and held. As in Linux, what MAP_FIXED has replaced is gone even if this fails. */
static int prepare_hugetlb(struct mm *mm, const struct mmap_request *r)
{
	if ((r->pgoff << mm->arch->page_shift) & (hugetlb_file_bytes(r->file) - 1))
		return -EINVAL;
	if (!(r->vm_flags & VM_NORESERVE) && !hugetlb_reserve(r->file))
		return -ENOMEM;
	pgtable_free_empty(mm, r->addr, r->addr + r->len);
	return 0;
}

static int mmap_region(const struct mm_hold *hold, struct mmap_request *r)
{
	struct mm *mm = hold->mm;
	u64 end = r->addr + r->len, npages = r->len >> mm->arch->page_shift;
	struct unmap_list replaced;
	struct vma *vma = NULL;
	struct vma_merge vmg;
	int err;

	/* As Linux: what is replaced is split off before the limits are asked, and stays split. */
	err = unmap_split_borders(mm, r->addr, end);
	if (!err && !may_expand_vm(mm, r->vm_flags, npages - pages_mapped_in(mm, r->addr, end)))
		err = -ENOMEM;
	if (!err)
		err = unmap_gather(hold, r->addr, end, &replaced);
	if (err)
		return err;
	/* What is replaced goes at once: its pages must not be seen in the new mapping. */
	unmap_finish(mm, &replaced);
	if (accountable_mapping(r->vm_flags))
		r->vm_flags |= VM_ACCOUNT;
	if (r->vm_flags & VM_HUGETLB) {
		err = prepare_hugetlb(mm, r);
		if (err)
			return err;
	}

	if (r->file || !(r->vm_flags & VM_SHARED)) {
		vmg = (struct vma_merge){ .mm = mm,
					  .prev = vma_lookup(mm, r->addr - 1),
					  .next = vma_lookup(mm, end),
					  .start = r->addr,
					  .end = end,
					  .pgoff = r->pgoff,
					  .flags = r->vm_flags,
					  .file = r->file };
		vma = vma_merge_new(&vmg);
	}
	if (!vma)
		vma = new_vma(mm, r);
	if (!vma)
		return -ENOMEM;
	vm_stat_account(mm, r->vm_flags, (s64)npages);
	if (r->vm_flags & VM_LOCKED) {
		line_write(mm, locked_vm_pages);
		line_write(vma, flags);
		if (vma_supports_mlock(vma))
			mm_locked_vm_add(mm, (s64)npages);
		else
			vma_set_flags(vma, vma->flags & ~(u64)VM_LOCKED_MASK);
	}
	return 0;
}

/* ---- under what lock? ---------------------------------------------------------------------------- */

/* So many gaps may be lost to others before everything is locked. */
#define GAP_TRIES 3

/* tree_lock. The list runs downwards. */
static void reserve_gap(struct mm *mm, u64 start, u64 end)
{
	struct gap_reservation *gap = &mm_task()->gap, *r;

	line_write(gap, start);
	gap->start = start;
	gap->end = end;
	list_for_each_entry (r, &mm->reserved, link) {
		line_read(r, start);
		if (r->start < start)
			break;
	}
	line_write_ptr(&r->link);
	line_write_ptr(r->link.prev);
	list_add_tail(&gap->link, &r->link); /* before r, or at the end */
}

static void unreserve_gap(struct mm *mm)
{
	struct gap_reservation *gap = &mm_task()->gap;

	if (!mm_has_ranges(mm) || !gap->end)
		return;
	mm_tree_lock(mm);
	line_write(gap, link);
	line_write_neighbours(&gap->link);
	list_del_init(&gap->link);
	gap->end = 0;
	mm_tree_unlock(mm);
}

/* Is it still free, and outside of every stack's guard gap? Stacks grow under a lock over everything,
 * so what this finds stays, once [start, end) is held. */
static bool gap_is_left(struct mm *mm, u64 start, u64 end)
{
	const struct vma *above;
	bool left;

	mm_tree_lock(mm);
	above = find_vma(mm, start);
	left = !above || end <= vm_start_gap(above);
	mm_tree_unlock(mm);
	return left;
}

/*
 * Take the write lock that the request needs. Range schemes: choose a place and reserve it, so that no
 * other mmap() chooses it too, then lock it with the VMAs that it touches. It may be gone all the
 * same, to a MAP_FIXED or to a stack that grew. On return the gap may be reserved: unreserve_gap().
 */
static int lock_gap(struct mm *mm, struct mm_hold *hold, struct mmap_request *r)
{
	if (!mm_has_ranges(mm))
		return mmap_write_lock_killable(mm, hold, MM_RANGE_ALL);
	if (r->flags & MAP_FIXED) {
		if (r->len > mm->task_size || r->addr > mm->task_size - r->len)
			return mmap_write_lock_killable(mm, hold, MM_RANGE_ALL); /* to be refused */
		return mmap_write_lock_vmas_killable(mm, hold, r->addr, r->addr + r->len);
	}
	for (u32 tries = 0; tries < GAP_TRIES; tries++) {
		s64 found;

		mm_tree_lock(mm);
		found = choose_area(mm, r->file, r->addr, r->len, r->pgoff, r->flags);
		if (found >= 0)
			reserve_gap(mm, (u64)found, (u64)found + r->len);
		mm_tree_unlock(mm);
		if (found < 0)
			break; /* to be refused, if it stays so */
		if (mmap_write_lock_vmas_killable(mm, hold, (u64)found, (u64)found + r->len)) {
			unreserve_gap(mm);
			return -EINTR;
		}
		if (gap_is_left(mm, (u64)found, (u64)found + r->len)) {
			r->addr = (u64)found;
			r->placed = true;
			return 0;
		}
		unreserve_gap(mm);
		mmap_write_unlock(hold);
		count_event(COUNTER_RANGE_GAP_RETRY);
	}
	return mmap_write_lock_killable(mm, hold, MM_RANGE_ALL);
}

static s64 do_mmap(struct mm *mm, u64 addr, u64 len, u32 prot, u32 flags, struct file *file, u64 offset)
{
	u64 page_bytes = arch_page_bytes(mm->arch), npages;
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct mmap_request r = { .prot = prot, .flags = flags, .file = file };
	int err;

	if (!len)
		return -EINVAL;
	if (flags & MAP_FIXED_NOREPLACE)
		r.flags |= MAP_FIXED;
	if (!(r.flags & MAP_FIXED)) {
		addr = ALIGN_DOWN(addr, page_bytes);
		if (addr && addr < MMAP_MIN_ADDR)
			addr = MMAP_MIN_ADDR;
	}
	r.addr = addr;
	r.len = ALIGN_UP(len, page_bytes);
	r.pgoff = offset >> mm->arch->page_shift;
	npages = r.len >> mm->arch->page_shift;
	if (!r.len)
		return -ENOMEM;
	if (r.pgoff + npages < r.pgoff)
		return -EOVERFLOW;

	if (lock_gap(mm, hold, &r))
		return -EINTR;
	err = prepare_request(mm, &r);
	if (!err)
		err = mmap_region(hold, &r);
	unreserve_gap(mm);
	mmap_write_unlock(hold);
	if (err)
		return err;
	if ((r.vm_flags & VM_LOCKED) || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		(void)mm_populate(mm, r.addr, r.len, true);
	return (s64)r.addr;
}

/* The mapping's file is made for it: it alone will ever map it. */
static s64 mmap_hugetlb(struct mm *mm, u64 addr, u64 len, u32 prot, u32 flags, u64 offset)
{
	struct hstate *h = hugetlb_state(mm->mmm, flags);
	struct file *file;
	s64 result;

	if (!h)
		return -EINVAL;
	len = ALIGN_UP(len, h->bytes);
	if (!len)
		return -EINVAL;
	if (len > mm->task_size)
		return -ENOMEM;
	file = hugetlb_file_setup(mm, h, len, offset >> mm->arch->page_shift);
	if (!file)
		return -ENOMEM;
	result = do_mmap(mm, addr, len, prot, flags, file, offset);
	file_put(file);
	return result;
}

s64 mm_mmap(struct mm *mm, u64 addr, u64 len, u32 prot, u32 flags, struct file *file, u64 offset)
{
	u64 page_bytes = page_bytes_of(mm);

	syscall_enter(mm, COUNTER_SYSCALL_MMAP);
	if (offset & (page_bytes - 1))
		return -EINVAL;
	if ((flags & MAP_ANONYMOUS) && (flags & MAP_HUGETLB))
		return mmap_hugetlb(mm, addr, len, prot, flags, offset);
	if (flags & MAP_ANONYMOUS)
		return do_mmap(mm, addr, len, prot, flags, NULL, offset);
	if (!file)
		return -EBADF;
	return flags & MAP_HUGETLB ? -EINVAL : do_mmap(mm, addr, len, prot, flags, file, offset);
}
