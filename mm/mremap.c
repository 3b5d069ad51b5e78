/*
 * mm/mremap.c - resizing and moving mappings
 *
 * Models       Linux 6.18 mm/mremap.c: same size, shrink, grow in place, move; MREMAP_FIXED,
 *              MREMAP_DONTUNMAP, old_len 0 (a second mapping of a shared one), pure moves of
 *              several VMAs at once (since 6.17).
 * Guarantee    A page that is moved keeps its content; it is at one of the two places at any time.
 * Locks        mmap_lock for write over the whole space; both VMAs write-started over the move.
 * Tests        tests/unit/mm/test_vma_cases.c, test_syscalls.c, test_reference_model.c, tests/oracle
 */
#include "mm/hugetlb.h"
#include "mm/internal.h"

struct remap {
	struct mm *mm;
	u64 addr, old_len, new_len, new_addr;
	u32 flags;
	struct vma *vma;
	bool populate_growth;
};

static bool has_target(const struct remap *r)
{
	return (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0;
}

/* What the arguments alone tell. */
static int check_arguments(const struct remap *r)
{
	const struct mm *mm = r->mm;
	u64 page_mask = arch_page_bytes(mm->arch) - 1;

	if (r->flags & ~(u32)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((r->addr & page_mask) || !r->new_len || r->new_len > mm->task_size)
		return -EINVAL;
	if (!has_target(r))
		return 0;
	if (r->new_addr > mm->task_size - r->new_len || (r->new_addr & page_mask))
		return -EINVAL;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && r->old_len != r->new_len)
		return -EINVAL;
	if (r->addr + r->old_len > r->new_addr && r->new_addr + r->new_len > r->addr)
		return -EINVAL;
	/* A move needs up to that many more VMAs for a moment. */
	line_read(mm, map_count);
	line_read(mm, limits.max_map_count);
	if ((u64)READ_ONCE(mm->map_count) + 2 >= (u64)mm->limits.max_map_count - 3)
		return -ENOMEM;
	return 0;
}

/* Whole huge pages, to a place for such; a reservation cannot grow. */
static bool align_hugetlb(struct remap *r)
{
	u64 bytes = hugetlb_bytes(r->vma);

	r->old_len = ALIGN_UP(r->old_len, bytes);
	r->new_len = ALIGN_UP(r->new_len, bytes);
	return !((r->addr | (has_target(r) ? r->new_addr : 0)) & (bytes - 1)) && r->new_len <= r->old_len;
}

/* What the VMA tells. */
static int check_vma(struct remap *r)
{
	const struct vma *vma = r->vma;
	const struct mm *mm = r->mm;
	u64 within, pgoff, growth;

	if (!vma)
		return -EFAULT;
	line_read(vma, start);
	line_read(vma, file);
	if (unlikely(vma->flags & VM_HUGETLB) && !align_hugetlb(r))
		return -EINVAL;
	within = r->old_len;
	if (r->new_len <= r->old_len && !has_target(r))
		return 0; /* nothing new is mapped */
	if (!r->old_len && !(vma->flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && (vma->flags & (VM_DONTEXPAND | VM_PFNMAP)))
		return -EINVAL;
	if (r->new_len < r->old_len)
		within = r->new_len; /* the rest is unmapped, across VMAs if need be */
	if (within > vma->end - r->addr)
		return -EFAULT;
	if (r->new_len == within)
		return 0;

	growth = r->new_len - r->old_len;
	if (vma->flags & VM_LOCKED)
		r->populate_growth = true;
	pgoff = vma->pgoff + ((r->addr - vma->start) >> mm->arch->page_shift);
	if (pgoff + (r->new_len >> mm->arch->page_shift) < pgoff)
		return -EINVAL;
	if (vma->flags & (VM_DONTEXPAND | VM_PFNMAP))
		return -EFAULT;
	if (!mlock_future_ok(mm, vma->flags, growth))
		return -EAGAIN;
	return may_expand_vm(mm, vma->flags, growth >> mm->arch->page_shift) ? 0 : -ENOMEM;
}

/* ---- growing in place ------------------------------------------------------------------------ */

static bool can_grow_in_place(const struct remap *r, u64 growth)
{
	const struct vma *vma = r->vma;
	u64 end = vma->end + growth;

	if (vma->end - r->addr != r->old_len || end < vma->end || end > r->mm->task_size)
		return false;
	return !find_vma_intersection(r->mm, vma->end, end);
}

static s64 grow_in_place(struct remap *r, u64 growth)
{
	struct mm *mm = r->mm;
	struct vma *vma = r->vma;
	u64 pages = growth >> mm->arch->page_shift;
	struct vma_merge vmg = { .mm = mm,
				 .prev = vma,
				 .next = vma_lookup(mm, vma->end + growth),
				 .start = vma->end,
				 .end = vma->end + growth,
				 .pgoff = vma->pgoff + vma_pages(vma, mm->arch->page_shift),
				 .flags = vma->flags,
				 .file = vma->file,
				 .anon_vma = vma->anon_vma };

	if (!vma_merge_new(&vmg))
		return -ENOMEM;
	vm_stat_account(mm, vmg.flags, (s64)pages);
	if (vmg.flags & VM_LOCKED)
		mm_locked_vm_add(mm, (s64)pages);
	return (s64)r->addr;
}

/* ---- moving ------------------------------------------------------------------------------------ */

/*
 * A fault without a lock that found the target before the entries have arrived would map a page where one
 * is going to be put: the target is not usable until they have (vm_write_begin). Files' mappings are not
 * touched without a lock; and where truncation may look, i_mmap_rwsem has to be taken first.
 */
static bool keeps_write(const struct vma *vma)
{
	return !vma->file;
}

/* A VMA at the target that describes the same memory: by merging, or a new one. NULL: no memory. With
 * vm_write_begin() done if it keeps_write(). */
static struct vma *copy_vma(struct remap *r)
{
	struct mm *mm = r->mm;
	struct vma *vma = r->vma, *new;
	u8 shift = mm->arch->page_shift;
	struct vma_merge vmg = {
		.mm = mm,
		.prev = vma_lookup(mm, r->new_addr - 1),
		.next = vma_lookup(mm, r->new_addr + r->new_len),
		.start = r->new_addr,
		.end = r->new_addr + r->new_len,
		.pgoff = vma->pgoff + ((r->addr - vma->start) >> shift),
		.flags = vma->flags,
		.file = vma->file,
		.anon_vma = vma->anon_vma,
		.copied_from = vma,
		.keep_write = keeps_write(vma),
	};

	/* Not faulted yet: nothing ties it to its old place, and it merges better at the new. */
	if (vma_is_anonymous(vma) && !vma->anon_vma)
		vmg.pgoff = r->new_addr >> shift;
	if (!vma->name) {
		u64 old_start = vma->start;

		new = vma_merge_new(&vmg);
		if (new) {
			/* The source itself may have grown over the target, or been swallowed. */
			if (old_start >= new->start && old_start < new->end)
				r->vma = new;
			return new;
		}
		if (vmg.nomem)
			return NULL;
	}
	if (vma_prealloc(mm))
		return NULL;
	new = vma_dup(vma);
	if (!new)
		return NULL;
	WRITE_UNPRICED(new->reserve_owner, false); /* not yet */
	WRITE_UNPRICED(new->start, vmg.start);
	WRITE_UNPRICED(new->end, vmg.end);
	new->pgoff = vmg.pgoff;
	if (anon_vma_clone(new, vma)) {
		new->file = NULL;
		vma_destroy(new);
		return NULL;
	}
	if (new->file)
		file_get(new->file);
	if (keeps_write(new))
		vm_write_begin(new);
	vma_link(new);
	return new;
}

/*
 * MREMAP_DONTUNMAP: the old mapping stays, empty and unlocked. The whole VMA is unlocked, even where
 * only a part has moved, and Linux forgets to take it off locked_vm: so do we, as VmLck and
 * RLIMIT_MEMLOCK show it.
 */
static void leave_empty(struct remap *r, struct vma *new)
{
	struct vma *vma = r->vma;

	vma_start_write(vma);
	vm_write_begin(vma);
	if (vma->flags & VM_LOCKED)
		r->mm->locked_vm_excess_pages += vma_pages(vma, r->mm->arch->page_shift);
	WRITE_ONCE(vma->flags, vma->flags & ~(u64)VM_LOCKED_MASK);
	if (new != vma && vma->start == r->addr && vma->end == r->addr + r->old_len)
		unlink_anon_vmas(vma);
	vm_write_end(vma);
}

/* Returns as pgtable_move(); if that is not all, nothing has moved. Both VMAs are left vm_write_begun,
 * once each if they are two. */
static u64 move_entries_locked(struct remap *r, struct vma *new)
{
	struct rwsem *i_mmap = r->vma->file ? &r->vma->file->inode->mapping.i_mmap_rwsem : NULL;
	u64 moved;

	/* Truncation finds the pages at one place or the other. */
	if (i_mmap)
		down_write(i_mmap);
	if (READ_UNPRICED(r->vma->reserve_lost))
		WRITE_UNPRICED(new->reserve_lost, true);
	if (!keeps_write(new))
		vm_write_begin(new);
	if (r->vma != new)
		vm_write_begin(r->vma);
	moved = pgtable_move(r->vma, r->addr, new, r->new_addr, r->old_len);
	if (moved < r->old_len)
		pgtable_move(new, r->new_addr, r->vma, r->addr, moved);
	if (i_mmap)
		up_write(i_mmap);
	return moved;
}

/* What is reserved for the part that has moved is the new VMA's. */
static void hand_reservation_over(struct vma *old, struct vma *new)
{
	line_read(old, reserve_owner);
	if (!old->reserve_owner)
		return;
	line_write(old, reserve_owner);
	line_write(new, reserve_owner);
	old->reserve_owner = false;
	new->reserve_owner = true;
}

/*
 * The source is still vm_write_begun, and nobody may map a page there again: a write to it would be lost. What
 * munmap takes out is this very VMA, split if need be; it is never ended.
 */
static void drop_source(struct remap *r, struct vma *new)
{
	int err = 0;

	if (r->vma->flags & VM_HUGETLB)
		hand_reservation_over(r->vma, new);
	if (r->flags & MREMAP_DONTUNMAP)
		leave_empty(r, new);
	else if (r->old_len)
		err = munmap_locked(mm_hold(HOLD_SYSCALL), r->addr, r->old_len);
	/* The move is done; what could not be split off stays mapped, empty. */
	if (err && err != -ENOMEM)
		MMSIM_BUG("mremap: dropping the source failed: %d", err);
	if (err || !r->old_len || (r->flags & MREMAP_DONTUNMAP))
		vm_write_end(r->vma);
}

/* Before anything moves: a VMA of just what moves, so that its reservation goes along whole. */
static int prepare_hugetlb(struct remap *r)
{
	struct mm *mm = r->mm;
	int err = r->old_len ? unmap_split_borders(mm, r->addr, r->addr + r->old_len) : 0;

	if (err)
		return err;
	r->vma = vma_lookup(mm, r->addr);
	pgtable_free_empty(mm, r->new_addr, r->new_addr + r->new_len);
	line_read(r->vma, start);
	line_read(r->vma, file);
	return 0;
}

static s64 move_vma(struct remap *r)
{
	struct mm *mm = r->mm;
	u64 flags = r->vma->flags, new_pages = r->new_len >> mm->arch->page_shift, moved;
	struct vma *new;

	line_read(mm, map_count);
	line_read(mm, limits.max_map_count);
	if (mm->map_count >= mm->limits.max_map_count - 3)
		return -ENOMEM;
	/* A special mapping moves whole or not at all. */
	if (r->vma->name && (r->vma->start != r->addr || r->vma->end != r->addr + r->old_len))
		return -EINVAL;
	if ((flags & VM_HUGETLB) && prepare_hugetlb(r))
		return -ENOMEM;
	new = copy_vma(r);
	if (!new)
		return -ENOMEM;
	vma_start_write(new);
	vma_start_write(r->vma);
	/* Nested where the source has become part of the target. */
	moved = move_entries_locked(r, new);
	vm_stat_account(mm, flags, (s64)new_pages);
	if (flags & VM_LOCKED)
		mm_locked_vm_add(mm, (s64)new_pages);
	if (moved < r->old_len) {
		/* No memory for a table. */
		if (r->vma != new)
			vm_write_end(r->vma);
		if (munmap_locked(mm_hold(HOLD_SYSCALL), r->new_addr, r->new_len))
			MMSIM_BUG("cannot drop the target of a failed mremap");
		return -ENOMEM;
	}
	if (r->vma != new)
		vm_write_end(new);
	drop_source(r, new);
	r->vma = NULL;
	return (s64)r->new_addr;
}

static s64 choose_target(struct remap *r)
{
	const struct vma *vma = r->vma;
	u64 pgoff = vma->pgoff + ((r->addr - vma->start) >> r->mm->arch->page_shift);
	u32 flags = (r->flags & MREMAP_FIXED ? MAP_FIXED : 0) |
		    (vma->flags & VM_MAYSHARE ? MAP_SHARED : 0);
	s64 target = get_unmapped_area(r->mm, vma->file, has_target(r) ? r->new_addr : 0, r->new_len,
				       pgoff, flags);

	if (target >= 0)
		r->new_addr = (u64)target;
	return target < 0 ? target : 0;
}

/* To an address that the caller names, or wants besides the old one. */
static s64 move_to_target(struct remap *r)
{
	struct mm *mm = r->mm;
	s64 err;

	if (r->flags & MREMAP_FIXED) {
		err = munmap_locked(mm_hold(HOLD_SYSCALL), r->new_addr, r->new_len);
		if (err)
			return err;
		/* That may have split the VMA that is to be moved. */
		r->vma = vma_lookup(mm, r->addr);
		if (!r->vma)
			return -EFAULT;
		line_read(r->vma, start);
	}
	if (r->old_len > r->new_len) {
		err = munmap_locked(mm_hold(HOLD_SYSCALL), r->addr + r->new_len, r->old_len - r->new_len);
		if (err)
			return err;
		r->old_len = r->new_len;
		r->vma = vma_lookup(mm, r->addr);
	}
	if ((r->flags & MREMAP_DONTUNMAP) &&
	    !may_expand_vm(mm, r->vma->flags, r->old_len >> mm->arch->page_shift))
		return -ENOMEM;
	err = choose_target(r);
	return err ? err : move_vma(r);
}

/* A pure move of [addr, addr + len) to a fixed place: VMA by VMA, the holes between them kept. */
static s64 move_range(struct remap *r)
{
	struct mm *mm = r->mm;
	u64 start = r->addr, end = r->addr + r->old_len, target = r->new_addr, last_end = 0;
	struct vma *vma = find_vma_intersection(mm, start, end);
	s64 first = -EFAULT;

	if (!vma)
		return -EFAULT;
	line_read(vma, start);
	if (vma->start > start)
		return -EFAULT;
	while (vma) {
		u64 vma_end;
		s64 result;

		line_read(vma, start);
		vma_end = vma->end;
		r->vma = vma;
		r->addr = max(vma->start, start);
		r->old_len = r->new_len = min(vma_end, end) - r->addr;
		r->new_addr = target + (last_end ? vma->start - last_end : 0);
		result = check_vma(r);
		if (!result)
			result = move_to_target(r);
		if (result < 0)
			return result;
		if (!last_end)
			first = result;
		last_end = vma_end;
		target = (u64)result + r->new_len;
		vma = vma_end < end ? find_vma_intersection(mm, vma_end, end) : NULL;
	}
	return first;
}

static s64 remap_locked(struct remap *r)
{
	u64 growth = r->new_len - r->old_len;
	s64 err;

	if ((r->flags & MREMAP_FIXED) && r->old_len == r->new_len)
		return move_range(r);
	r->vma = vma_lookup(r->mm, r->addr);
	err = check_vma(r);
	if (err)
		return err;
	if (has_target(r))
		return move_to_target(r);
	if (r->old_len == r->new_len)
		return (s64)r->addr;
	if (r->old_len > r->new_len) {
		err = munmap_locked(mm_hold(HOLD_SYSCALL), r->addr + r->new_len, r->old_len - r->new_len);
		return err ? err : (s64)r->addr;
	}
	if (can_grow_in_place(r, growth))
		return grow_in_place(r, growth);
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	err = choose_target(r);
	return err ? err : move_vma(r);
}

s64 mm_mremap(struct mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
	u64 page_bytes = page_bytes_of(mm);
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct remap r = { .mm = mm,
			   .addr = addr,
			   .old_len = ALIGN_UP(old_len, page_bytes),
			   .new_len = ALIGN_UP(new_len, page_bytes),
			   .new_addr = new_addr,
			   .flags = flags };
	u64 asked_old_len = r.old_len;
	s64 result;

	syscall_enter(mm, COUNTER_SYSCALL_MREMAP);
	result = check_arguments(&r);
	if (result)
		return result;
	if (mmap_write_lock_killable(mm, hold, MM_RANGE_ALL))
		return -EINTR;
	result = remap_locked(&r);
	mmap_write_unlock(hold);
	if (result >= 0 && r.populate_growth && r.new_len > asked_old_len)
		(void)mm_populate(mm, (u64)result + asked_old_len, r.new_len - asked_old_len, true);
	return result;
}
