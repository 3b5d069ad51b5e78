/*
 * mm/vma.c - life of a VMA, splitting it, growing a stack, and the limits that all calls obey
 *
 * Models       Linux 6.18 mm/vma.c: vm_area_alloc/dup/free, __split_vma, expand_downwards,
 *              may_expand_vm and friends. Merging is in vma_merge.c.
 * Locks        Every function here needs the address-space lock for write over what it touches;
 *              a VMA that readers may know is write-started before its fields change.
 * Failure      -ENOMEM from the host's allocator, before anything changed.
 * Tests        tests/unit/mm/test_vma_cases.c, tests/oracle
 */
#include "mm/hugetlb.h"
#include "mm/internal.h"

/* Its lock, if that is an object of its own. */
static bool vma_lock_alloc(struct vma *vma)
{
	struct mm *mm = vma->mm;

	if (!(mm->locking->caps & LK_CAP_VMA_LOCK) || mm->mmm->vma_lock_embedded)
		return true;
	WRITE_ONCE(vma->vm_lock, objcache_alloc(mm->mmm->vma_lock_cache));
	return vma->vm_lock != NULL;
}

static void vma_reset_links(struct vma *vma)
{
	line_write(vma, anon_vma_chain);
	list_init(&vma->anon_vma_chain);
	vma->unmap_next = NULL;
	vma->attached = false;
	WRITE_UNPRICED(vma->reserve_owner, false);
	WRITE_UNPRICED(vma->reserve_lost, false);
}

struct vma *vma_alloc(struct mm *mm)
{
	struct vma *vma = objcache_alloc(mm->mmm->vma_cache);

	if (!vma)
		return NULL;
	line_write(vma, start);
	line_write(vma, file);
	/* The memory may have been a VMA a moment ago: an RCU reader that still looks at it must see
	 * either owner, never half a pointer. */
	WRITE_ONCE(vma->mm, mm);
	WRITE_ONCE(vma->start, 0ull);
	WRITE_ONCE(vma->end, 0ull);
	WRITE_ONCE(vma->flags, 0ull);
	WRITE_ONCE(vma->pgoff, 0ull);
	WRITE_ONCE(vma->anon_vma, NULL);
	WRITE_ONCE(vma->file, NULL);
	vma->name = NULL;
	if (!vma_lock_alloc(vma)) {
		objcache_free(mm->mmm->vma_cache, vma);
		return NULL;
	}
	vma_reset_links(vma);
	mm->locking->vma_init(vma);
	return vma;
}

struct vma *vma_dup(struct vma *src)
{
	struct vma *vma = vma_alloc(src->mm);

	if (!vma)
		return NULL;
	line_read(src, start);
	line_read(src, file);
	/* Whole words, here and wherever a new VMA is filled: as in vma_alloc(), somebody may look. */
	WRITE_UNPRICED(vma->start, src->start);
	WRITE_UNPRICED(vma->end, src->end);
	WRITE_UNPRICED(vma->flags, src->flags);
	vma->pgoff = src->pgoff;
	WRITE_ONCE(vma->anon_vma, src->anon_vma);
	vma->file = src->file;
	vma->name = src->name;
	WRITE_UNPRICED(vma->reserve_owner, src->reserve_owner);
	WRITE_UNPRICED(vma->reserve_lost, READ_UNPRICED(src->reserve_lost));
	return vma;
}

void vma_destroy(struct vma *vma)
{
	engine_charge(COST_VMA_WORK);
	line_read(vma, start);
	line_write(vma, file);
	if (vma->file) {
		if (unlikely(vma->flags & VM_HUGETLB))
			hugetlb_vma_close(vma);
		file_put(vma->file);
	}
	MMSIM_BUG_ON(vma->attached);
	MMSIM_BUG_ON(!list_empty(&vma->anon_vma_chain));
	vma->mm->locking->vma_free(vma);
}

void vma_link_file(struct vma *vma)
{
	struct mapping *mapping;

	line_read(vma, file);
	if (!vma->file)
		return;
	line_read(vma->file, inode);
	mapping = &vma->file->inode->mapping;
	down_write(&mapping->i_mmap_rwsem);
	i_mmap_insert(mapping, vma);
	up_write(&mapping->i_mmap_rwsem);
}

void vma_unlink_file(struct vma *vma)
{
	struct mapping *mapping;

	line_read(vma, file);
	if (!vma->file)
		return;
	line_read(vma->file, inode);
	mapping = &vma->file->inode->mapping;
	down_write(&mapping->i_mmap_rwsem);
	i_mmap_remove(mapping, vma);
	up_write(&mapping->i_mmap_rwsem);
}

void vma_boundary_lock(struct vma *vma)
{
	line_read(vma, file);
	if (vma->file) {
		line_read(vma->file, inode);
		down_write(&vma->file->inode->mapping.i_mmap_rwsem);
	}
	if (vma->anon_vma) {
		line_read(vma->anon_vma, root);
		down_write(&vma->anon_vma->root->rwsem);
	}
}

void vma_boundary_unlock(struct vma *vma)
{
	if (vma->anon_vma)
		up_write(&vma->anon_vma->root->rwsem);
	if (vma->file)
		up_write(&vma->file->inode->mapping.i_mmap_rwsem);
}

void vma_shelve(struct vma *vma)
{
	if (vma->file)
		i_mmap_remove(&vma->file->inode->mapping, vma);
}

void vma_reshelve(struct vma *vma)
{
	if (vma->file)
		i_mmap_insert(&vma->file->inode->mapping, vma);
}

/* Into the tree. The file has it already. */
static void vma_attach(struct vma *vma)
{
	struct mm *mm = vma->mm;

	engine_charge(COST_VMA_WORK);
	/* Write-begun until its creator drops the write lock: visible is not yet usable. */
	vma_start_write(vma);
	vm_write_begin(vma);
	vma->attached = true;
	mm->locking->vma_attached(vma);
	line_write(mm, map_count);
	vma_store(mm, vma);
	mm_map_count_add(mm, 1);
	vm_write_end(vma);
}

void vma_link(struct vma *vma)
{
	vma_link_file(vma);
	vma_attach(vma);
}

int vma_split(struct vma *vma, u64 addr, bool new_below)
{
	struct mm *mm = vma->mm;
	struct vma *new;
	u64 below_pages;

	line_read(vma, name);
	MMSIM_BUG_ON(addr <= vma->start || addr >= vma->end);
	/* The kernel keeps count of a special mapping's pages: it stays whole. */
	if (vma->name)
		return -EINVAL;
	if (unlikely(vma->flags & VM_HUGETLB) && (addr & (hugetlb_bytes(vma) - 1)))
		return -EINVAL;
	below_pages = (addr - vma->start) >> mm->arch->page_shift;
	if (vma_prealloc(mm))
		return -ENOMEM;
	new = vma_dup(vma);
	if (!new)
		return -ENOMEM;
	if (anon_vma_clone(new, vma)) {
		new->file = NULL;
		vma_destroy(new);
		return -ENOMEM;
	}
	if (new->file)
		file_get(new->file);

	vma_start_write(vma);
	pgtable_split_at(mm, addr);
	vma_boundary_lock(vma);
	vm_write_begin(vma);
	vma_shelve(vma);
	line_write(new, start); /* a reader that met it as another's may be looking */
	WRITE_UNPRICED(new->reserve_lost, READ_UNPRICED(vma->reserve_lost));
	if (new_below) {
		WRITE_UNPRICED(new->end, addr);
		WRITE_ONCE(vma->start, addr);
		WRITE_ONCE(vma->pgoff, vma->pgoff + below_pages);
	} else {
		WRITE_UNPRICED(new->start, addr);
		new->pgoff += below_pages;
		WRITE_ONCE(vma->end, addr);
	}
	/* Both at once: truncation finds all of the mapping at any moment. */
	vma_reshelve(vma);
	vma_reshelve(new);
	vma_boundary_unlock(vma);
	vma_attach(new);
	vm_write_end(vma);
	count_event(COUNTER_VMA_SPLIT);
	return 0;
}

void vma_store_range(struct mm *mm, u64 start, u64 end, struct vma *vma)
{
	mm_tree_lock(mm);
	if (mm_has_ranges(mm) && vma_tree_prealloc(&mm->vmas))
		MMSIM_BUG("out of host memory in the middle of a change of the VMA tree");
	vma_tree_store(&mm->vmas, start, end - 1, vma);
	mm_tree_unlock(mm);
}

/* ---- limits and accounting ------------------------------------------------------------------- */

static bool is_data_mapping(u64 flags)
{
	return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

static bool is_stack_mapping(u64 flags)
{
	return (flags & VM_GROWSDOWN) != 0;
}

static bool is_exec_mapping(u64 flags)
{
	return (flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) == VM_EXEC;
}

bool may_expand_vm(const struct mm *mm, u64 flags, u64 npages)
{
	u8 shift = mm->arch->page_shift;

	line_read(mm, total_vm_pages);
	line_read(mm, limits.address_space_bytes);
	if (READ_ONCE(mm->total_vm_pages) + npages > mm->limits.address_space_bytes >> shift)
		return false;
	return !is_data_mapping(flags) ||
	       READ_ONCE(mm->data_vm_pages) + npages <= mm->limits.data_bytes >> shift;
}

bool can_do_mlock(const struct mm *mm)
{
	line_read(mm, limits.memlock_bytes);
	line_read(mm, limits.can_ipc_lock);
	return mm->limits.can_ipc_lock || mm->limits.memlock_bytes != 0;
}

bool mlock_future_ok(const struct mm *mm, u64 flags, u64 bytes)
{
	u8 shift = mm->arch->page_shift;

	if (!(flags & VM_LOCKED))
		return true;
	line_read(mm, limits.can_ipc_lock);
	if (mm->limits.can_ipc_lock)
		return true;
	line_read(mm, limits.memlock_bytes);
	line_read(mm, locked_vm_pages);
	return READ_ONCE(mm->locked_vm_pages) + (bytes >> shift) <= mm->limits.memlock_bytes >> shift;
}

void vm_stat_account(struct mm *mm, u64 flags, s64 npages)
{
	line_write(mm, total_vm_pages);
	line_write(mm, exec_vm_pages);
	mm_tree_lock(mm);
	WRITE_ONCE(mm->total_vm_pages, mm->total_vm_pages + (u64)npages);
	if (is_exec_mapping(flags))
		mm->exec_vm_pages += (u64)npages;
	else if (is_stack_mapping(flags))
		mm->stack_vm_pages += (u64)npages;
	else if (is_data_mapping(flags))
		WRITE_ONCE(mm->data_vm_pages, mm->data_vm_pages + (u64)npages);
	mm_tree_unlock(mm);
}

/* ---- stack growth -------------------------------------------------------------------------- */

/* Is a guard gap left to what lies below? Another stack's own gap, or what nobody can access, will do. */
static bool guard_gap_kept(struct vma *vma, u64 va)
{
	u64 gap = (u64)STACK_GUARD_GAP_PAGES << vma->mm->arch->page_shift;
	const struct vma *prev = find_vma_before(vma->mm, vma->start);

	return !prev || (prev->flags & VM_GROWSDOWN) || !(prev->flags & VM_ACCESS_FLAGS) ||
	       va - prev->end >= gap;
}

static int stack_growth_allowed(const struct vma *vma, u64 va, u64 grow_pages)
{
	const struct mm *mm = vma->mm;

	line_read(mm, limits.stack_bytes);
	if (grow_pages > vma->pgoff || !may_expand_vm(mm, vma->flags, grow_pages))
		return -ENOMEM;
	if (vma->end - va > mm->limits.stack_bytes)
		return -ENOMEM;
	return mlock_future_ok(mm, vma->flags, grow_pages << mm->arch->page_shift) ? 0 : -ENOMEM;
}

int expand_downwards(struct vma *vma, u64 va)
{
	struct mm *mm = vma->mm;
	const struct vma *prev;
	u64 grow_pages;
	int err;

	if (!(vma->flags & VM_GROWSDOWN))
		return -EFAULT;
	va = ALIGN_DOWN(va, arch_page_bytes(mm->arch));
	if (va >= vma->start)
		return 0; /* another fault was faster */
	prev = find_vma_before(mm, vma->start);
	if (prev) {
		line_read(prev, start);
		if (prev->end > va)
			return -ENOMEM;
	}
	grow_pages = (vma->start - va) >> mm->arch->page_shift;
	if (va < MMAP_MIN_ADDR)
		return -EPERM;
	/* A growth that fails at the limits below has given the stack its anon_vma all the same. */
	if (!guard_gap_kept(vma, va) || anon_vma_prepare(vma))
		return -ENOMEM;
	err = stack_growth_allowed(vma, va, grow_pages);
	if (!err)
		err = vma_prealloc(mm);
	if (err)
		return err;

	vma_start_write(vma);
	vma_boundary_lock(vma);
	vm_write_begin(vma);
	vma_shelve(vma);
	WRITE_ONCE(vma->start, va);
	WRITE_ONCE(vma->pgoff, vma->pgoff - grow_pages);
	vma_reshelve(vma);
	vma_store(mm, vma);
	vm_write_end(vma);
	vma_boundary_unlock(vma);
	vm_stat_account(mm, vma->flags, (s64)grow_pages);
	if (vma->flags & VM_LOCKED)
		mm_locked_vm_add(mm, (s64)grow_pages);
	return 0;
}
