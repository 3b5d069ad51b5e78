/*
 * mm/file.c - the life of inodes and open files
 *
 * Inodes and files are counted. An open file holds its inode; a VMA holds its file. The last
 * reference to an inode frees its page cache, so that needs a task (frames go to its CPU's list).
 * Tests  tests/unit/mm/test_filemap.c
 */
#include <stdlib.h>
#include <string.h>

#include "mm/hugetlb.h"
#include "mm/internal.h"
#include "mm/filemap_internal.h"

static const struct obj_field inode_fields[] = {
	OBJ_FROM(0, "inode"),
	OBJ_FIELD(struct inode, size_bytes, "inode->i_size"),
	OBJ_FIELD(struct inode, data_bytes, "inode->data_bytes"),
	OBJ_FIELD(struct inode, refcount, "inode->i_count"),
	OBJ_RWSEM(struct inode, i_rwsem, "inode->i_rwsem"),
	OBJ_FIELD(struct inode, mapping, "inode->i_data"),
	OBJ_FIELD(struct inode, mapping.tree_lock, "mapping->i_pages.xa_lock"),
	OBJ_FIELD(struct inode, mapping.tree, "mapping->i_pages.xa_head"),
	OBJ_FIELD(struct inode, mapping.cached_pages, "mapping->nrpages"),
	OBJ_RWSEM(struct inode, mapping.i_mmap_rwsem, "mapping->i_mmap_rwsem"),
	OBJ_FIELD(struct inode, mapping.i_mmap, "mapping->i_mmap"),
	OBJ_FIELD(struct inode, mapping.writable_shared, "mapping->i_mmap_writable"),
};
static const struct obj_layout inode_layout = { sizeof(struct inode), ARRAY_SIZE(inode_fields), inode_fields };
static const struct obj_field file_fields[] = {
	OBJ_FROM(0, "file"),
	OBJ_FIELD(struct file, refcount, "file->f_ref"),
};
static const struct obj_layout file_layout = { sizeof(struct file), ARRAY_SIZE(file_fields), file_fields };

struct inode *inode_create(struct machine *m, enum inode_kind kind, const char *name, u32 dev_major,
			   u32 dev_minor, u64 ino, u64 size_bytes)
{
	struct inode *inode = machine_memory_alloc(m, sizeof(*inode), MMSIM_CACHE_LINE_BYTES);

	if (!inode)
		return NULL;
	region_set_layout(m, inode, sizeof(*inode), &inode_layout);
	lines_write(inode, sizeof(*inode));
	*inode = (struct inode){
		.dev_major = dev_major,
		.dev_minor = dev_minor,
		.ino = ino,
		.name = strdup(name),
		.kind = kind,
		.size_bytes = size_bytes,
		.data_bytes = size_bytes,
		.machine = m,
		.refcount = ATOMIC_INIT(1),
	};
	if (!inode->name) {
		machine_memory_free(m, inode, sizeof(*inode));
		return NULL;
	}
	inode->mapping.inode = inode;
	spin_lock_init(&inode->mapping.tree_lock, LOCK_RANK_FILE_TREE);
	rwsem_init(&inode->mapping.i_mmap_rwsem, LOCK_RANK_I_MMAP);
	rwsem_init(&inode->i_rwsem, LOCK_RANK_INODE);
	rb_root_init(&inode->mapping.i_mmap);
	return inode;
}

void inode_put(struct inode *inode)
{
	s32 left = atomic_dec_return(&inode->refcount);

	MMSIM_BUG_ON(left < 0);
	if (left)
		return;
	MMSIM_BUG_ON(READ_UNPRICED(inode->mapping.i_mmap.node));
	mapping_free_pages(&inode->mapping);
	if (inode->hugetlb)
		hugetlb_file_free(inode);
	free(inode->name);
	machine_memory_free(inode->machine, inode, sizeof(*inode));
}

struct file *file_open(struct inode *inode, bool readable, bool writable)
{
	struct file *file = machine_memory_alloc(inode->machine, sizeof(*file), MMSIM_CACHE_LINE_BYTES);

	if (!file)
		return NULL;
	MMSIM_BUG_ON(fetch_add_relaxed(&inode->refcount.counter, 1) <= 0);
	region_set_layout(inode->machine, file, sizeof(*file), &file_layout);
	lines_write(file, sizeof(*file));
	*file = (struct file){
		.inode = inode,
		.readable = readable,
		.writable = writable,
		.refcount = ATOMIC_INIT(1),
	};
	return file;
}

void file_get(struct file *file)
{
	MMSIM_BUG_ON(fetch_add_relaxed(&file->refcount.counter, 1) <= 0);
}

void file_put(struct file *file)
{
	s32 left = atomic_dec_return(&file->refcount);
	struct machine *machine;

	MMSIM_BUG_ON(left < 0);
	if (left)
		return;
	machine = file->inode->machine;
	inode_put(file->inode);
	machine_memory_free(machine, file, sizeof(*file));
}
