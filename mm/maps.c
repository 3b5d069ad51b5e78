/*
 * mm/maps.c - reading an address space: /proc/PID/maps, and visiting VMAs
 *
 * Models       fs/proc/task_mmu.c's format, names and order. [vsyscall] is not a VMA and is left out.
 * Locks        mm_for_each_vma(): mmap_lock for read over everything, for the whole walk. maps: the same,
 *              or, where the scheme has VMA locks (since 6.17), that of one VMA at a time, so that each
 *              line is true but the file is of no one moment.
 * Tests        tests/unit/workloads/test_replay.c compares with recorded files byte for byte
 */
#include <inttypes.h>

#include "mm/internal.h"

#define MAPS_NAME_COLUMN 73 /* on a 64-bit kernel */

static const char *vma_display_name(const struct vma *vma)
{
	const struct mm *mm = vma->mm;

	if (vma->file)
		return vma->file->inode->name;
	if (vma->name)
		return vma->name;
	if (vma->start < READ_ONCE(mm->brk) && vma->end > READ_ONCE(mm->start_brk))
		return "[heap]";
	if (vma->start <= mm->start_stack && vma->end >= mm->start_stack && mm->start_stack)
		return "[stack]";
	return NULL;
}

static void print_vma(const struct vma *vma, FILE *out)
{
	const struct inode *inode = vma->file ? vma->file->inode : NULL;
	u64 offset = inode ? vma->pgoff << vma->mm->arch->page_shift : 0;
	const char *name = vma_display_name(vma);
	int width;

	width = fprintf(out, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64 " ",
			vma->start, vma->end, vma->flags & VM_READ ? 'r' : '-',
			vma->flags & VM_WRITE ? 'w' : '-', vma->flags & VM_EXEC ? 'x' : '-',
			vma->flags & VM_MAYSHARE ? 's' : 'p', offset, inode ? inode->dev_major : 0,
			inode ? inode->dev_minor : 0, inode ? inode->ino : 0);
	if (name)
		fprintf(out, "%*s%s", width < MAPS_NAME_COLUMN ? MAPS_NAME_COLUMN - width : 1, "",
			name);
	fputc('\n', out);
}

void mm_for_each_vma(struct mm *mm, void (*fn)(const struct vma *vma, void *arg), void *arg)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	const struct vma *vma;

	line_read(mm, locking);
	mmap_read_lock(mm, hold, MM_RANGE_ALL);
	vma_tree_for_each (&mm->vmas, vma)
		fn(vma, arg);
	mmap_read_unlock(hold);
}

static const struct vma *vma_tree_find_unlocked(const struct mm *mm, u64 addr)
{
	const struct vma *vma;

	rcu_read_lock();
	vma = vma_tree_find_rcu(&mm->vmas, addr, ~0ull);
	rcu_read_unlock();
	return vma;
}

/* The first VMA that ends above addr, locked for read; *vma_locked tells by what: its own lock, or if that
 * cannot be had at once mmap_lock. NULL: none, and nothing is held. */
static struct vma *lock_next_vma(struct mm *mm, u64 addr, struct mm_hold *hold, bool *vma_locked)
{
	const struct vma_read_lock *vma_read = mm->locking->vma_read;
	struct vma *vma = NULL;
	u64 start = 0;

	rcu_read_lock();
	vma = vma_tree_find_rcu(&mm->vmas, addr, ~0ull);
	if (vma)
		start = max(addr, READ_ONCE(vma->start));
	rcu_read_unlock();
	*vma_locked = true;
	if (vma) {
		vma = vma_read->lock(mm, start);
		/* Nothing may lie below it that was not there a moment ago: the tree is asked again. */
		if (vma && vma->start > addr && vma_tree_find_unlocked(mm, addr) != vma) {
			vma_read->unlock(mm, vma);
			vma = NULL;
		}
		if (vma) {
			count_event(COUNTER_VMA_READ_LOCK);
			return vma;
		}
	}
	/* Busy, or gone, or the end: mmap_lock knows. */
	mmap_read_lock(mm, hold, MM_RANGE_ALL);
	*vma_locked = false;
	vma = vma_tree_find(&mm->vmas, addr, ~0ull);
	if (!vma)
		mmap_read_unlock(hold);
	else
		count_event(COUNTER_VMA_READ_LOCK_ABORT);
	return vma;
}

static void print_vma_by_vma(struct mm *mm, FILE *out)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	bool vma_locked;
	struct vma *vma;

	for (u64 addr = 0; (vma = lock_next_vma(mm, addr, hold, &vma_locked)); ) {
		line_read(vma, start);
		print_vma(vma, out);
		addr = vma->end;
		if (vma_locked)
			mm->locking->vma_read->unlock(mm, vma);
		else
			mmap_read_unlock(hold);
	}
}

void mm_print_maps(struct mm *mm, FILE *out)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	const struct vma *vma;

	line_read(mm, locking);
	if (mm->locking->vma_read && mm_era(mm)->vma_lock_calls) {
		print_vma_by_vma(mm, out);
		return;
	}
	mmap_read_lock(mm, hold, MM_RANGE_ALL);
	vma_tree_for_each (&mm->vmas, vma)
		print_vma(vma, out);
	mmap_read_unlock(hold);
}
