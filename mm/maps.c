/*
 * mm/maps.c - reading an address space: /proc/PID/maps, and visiting VMAs
 *
 * Models       fs/proc/task_mmu.c's format, names and order. [vsyscall] is not a VMA and is left out.
 * Locks        mmap_lock for read over everything, for the whole walk.
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
	if (vma->start < mm->brk && vma->end > mm->start_brk)
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

void mm_print_maps(struct mm *mm, FILE *out)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	const struct vma *vma;

	line_read(mm, locking);
	mmap_read_lock(mm, hold, MM_RANGE_ALL);
	vma_tree_for_each (&mm->vmas, vma)
		print_vma(vma, out);
	mmap_read_unlock(hold);
}
