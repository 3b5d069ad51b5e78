/*
 * mm/truncate.c - changing the size of a file that is mapped
 *
 * Models       Linux mm/truncate.c and unmap_mapping_pages(): truncate_setsize() and what it calls.
 * Protocol     1. The size is set. A fault that locks its page from now on gets SIGBUS.
 *              2. Every mapping of the pages beyond is zapped, private copies too; under i_mmap_rwsem
 *                 for read, vm_write_begin/end around each VMA's entries, and no mmap_lock.
 *              3. The pages leave the cache, each under its lock.
 *              4. Once more step 2: a fault that had its page locked before step 3 has mapped it by
 *                 now; one that comes later finds that its page is the file's no more.
 *              So nothing beyond the end is mapped when it returns, if faults install a file's page, or a
 *              copy of it, with the page locked and still the file's.
 * Others       fork links the child's VMA behind the parent's before it copies entries, so that a walk
 *              that has passed the child finds the parent's entries before they are copied, or the
 *              child's after. mremap holds i_mmap_rwsem for write while entries move. Page tables are
 *              freed after their VMAs have left i_mmap.
 * Leaves out   The rest of the last page is not zeroed: content words stand for a page's bytes
 *              only roughly.
 * Lock order   INODE, I_MMAP, then (vm_sequence) and PTE; FOLIO, then FILE_TREE.
 * Tests        tests/unit/mm/test_truncate.c
 */
#include "mm/filemap_internal.h"

static u64 size_pages(u64 bytes, u8 page_shift)
{
	return (bytes >> page_shift) + ((bytes & ((1ull << page_shift) - 1)) != 0);
}

/* The VMA's part of [first, ...). */
static void zap_from(struct vma *vma, u64 first, u8 page_shift)
{
	struct mmu_gather tlb;
	u64 start;

	line_read(vma, start);
	line_read(vma->mm, arch);
	start = vma->start + ((max(first, vma->pgoff) - vma->pgoff) << page_shift);
	tlb_gather_mmu(&tlb, vma->mm, false);
	pgtable_zap(&tlb, vma, start, vma->end);
	tlb_finish_mmu(&tlb);
}

void unmap_mapping_from(struct mapping *mapping, u64 first)
{
	const struct memory *mem = memory_of(mapping->inode->machine);

	lru_drain(mem);
	down_read(&mapping->i_mmap_rwsem);
	for (struct vma *vma = i_mmap_first(mapping, first, ~0ull); vma;
	     vma = i_mmap_next(vma, first, ~0ull))
		zap_from(vma, first, mem->page_shift);
	up_read(&mapping->i_mmap_rwsem);
}

static void shrink(struct inode *inode, u64 size_bytes, u64 first)
{
	struct mapping *mapping = &inode->mapping;

	/* Under the lock that insertion takes: who inserts later reads a hole, who has inserted is seen
	 * by the walk. */
	spin_lock(&mapping->tree_lock);
	WRITE_ONCE(inode->size_bytes, size_bytes);
	if (inode->data_bytes > size_bytes)
		WRITE_ONCE(inode->data_bytes, size_bytes);
	spin_unlock(&mapping->tree_lock);
	unmap_mapping_from(mapping, first);
	mapping_drop_pages(mapping, first);
	unmap_mapping_from(mapping, first);
}

int file_truncate(struct file *file, u64 size_bytes)
{
	struct inode *inode;
	u8 shift;

	line_read(file, inode);
	inode = file->inode;
	line_read(inode, kind);
	if (!file->writable || inode->kind == INODE_DEVICE)
		return -EINVAL;
	shift = memory_of(inode->machine)->page_shift;
	down_write(&inode->i_rwsem);
	if (size_bytes < inode->size_bytes) {
		shrink(inode, size_bytes, size_pages(size_bytes, shift));
	} else {
		/* Of a fault that found out too late that there is nothing. */
		mapping_drop_pages(&inode->mapping, size_pages(inode->size_bytes, shift));
		WRITE_ONCE(inode->size_bytes, size_bytes);
	}
	up_write(&inode->i_rwsem);
	return 0;
}
