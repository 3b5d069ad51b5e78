/*
 * mmsim/file.h - files: inodes, open files, and the page cache, as far as mappings need them
 *
 * The content of page i of an inode, when first read, is file_token(inode, i): so a private copy
 * and a shared write are both checkable. There is no disk: a page that is not cached is "read" at
 * once (a latency can be given per inode, which costs the page lock and VM_FAULT_RETRY's path).
 */
#ifndef MMSIM_FILE_H
#define MMSIM_FILE_H

#include <mmsim/cpu.h>
#include <mmsim/rbtree.h>
#include <mmsim/rwsem.h>
#include <mmsim/spinlock.h>

struct page;
struct memory;
struct vma;

enum inode_kind {
	INODE_REGULAR,	/* a file system with huge-page support in its page cache (ext4) */
	INODE_NO_HUGE,	/* a regular file elsewhere (tmpfs with huge=never, nfs, ...) */
	INODE_SHMEM,	/* memfd, MAP_SHARED|MAP_ANONYMOUS, SysV: tmpfs inside the kernel */
	INODE_DEVICE,	/* driver mapping: VM_PFNMAP|VM_IO, never merges */
	INODE_HUGETLB,	/* behind MAP_HUGETLB: pages of a pool, none in `mapping` */
};

/* The page cache of one inode. */
struct mapping {
	struct inode *inode;
	spinlock_t tree_lock;	/* insertions */
	void *tree;		/* (tree_lock W, RCU R) page index -> struct page; filemap.c */
	u64 cached_pages;	/* (tree_lock) */
	struct rwsem i_mmap_rwsem;
	struct rb_root i_mmap;	/* (i_mmap_rwsem) struct vma by vma->i_mmap_rb: mm/i_mmap.c */
	u32 writable_shared;	/* (i_mmap_rwsem) VMAs with VM_SHARED and VM_MAYWRITE */
};

struct inode {
	u32 dev_major, dev_minor;
	u64 ino;
	char *name;		/* as /proc/PID/maps prints it */
	enum inode_kind kind;
	u64 size_bytes;		/* (atomic; W: i_rwsem) a fault at or beyond its last page is SIGBUS */
	u64 data_bytes;		/* (atomic; W: i_rwsem) beyond that a page reads as zeroes */
	u64 read_latency_ns;	/* of a page that is not cached; 0: at once */
	struct machine *machine;
	atomic_t refcount;
	struct rwsem i_rwsem;	/* one change of the size at a time */
	struct mapping mapping;
	struct hugetlb_file *hugetlb; /* (c) INODE_HUGETLB: mm/hugetlb.c */
};

/* An open file. VMAs merge only if they hold the *same* struct file. */
struct file {
	struct inode *inode;
	bool readable, writable; /* open mode: decides VM_MAYWRITE of shared mappings */
	bool no_exec;		 /* on a noexec mount: PROT_EXEC is EPERM, VM_MAYEXEC is off */
	atomic_t refcount;
};

/* The name is copied. Returns an inode with one reference, or NULL (host memory). */
struct inode *MUST_CHECK inode_create(struct machine *m, enum inode_kind kind, const char *name,
				      u32 dev_major, u32 dev_minor, u64 ino, u64 size_bytes);
void inode_put(struct inode *inode); /* the last frees the page cache too */
/* Takes a reference of its own on the inode. NULL: host memory. */
struct file *MUST_CHECK file_open(struct inode *inode, bool readable, bool writable);
void file_get(struct file *file);
void file_put(struct file *file);

/* ftruncate: 0, or -EINVAL: not open for writing, or a device. On return no page beyond the end is
 * mapped or cached; what lies between an old end and a new one reads as zeroes. May sleep; no mm lock. */
int MUST_CHECK file_truncate(struct file *file, u64 size_bytes);

/* What page `index` of the inode contains, word `word`, as read from "disk". */
u64 file_token(const struct inode *inode, u64 index, u32 word);

/* Look up under RCU, with a reference; NULL when not cached. */
struct page *filemap_get(const struct memory *mem, struct mapping *mapping, u64 index);
/* Look up or read in; with a reference; NULL: no simulated memory. May sleep (page lock). */
struct page *filemap_read(const struct memory *mem, struct mapping *mapping, u64 index);
/* Fill the whole cache: so that a workload starts warm. 0 or -ENOMEM. */
int MUST_CHECK filemap_populate(const struct memory *mem, struct mapping *mapping);

#endif
