/*
 * mm/hugetlb.h - pools of huge pages and the files behind MAP_HUGETLB, to the files of mm/
 */
#ifndef MMSIM_MM_HUGETLB_H
#define MMSIM_MM_HUGETLB_H

#include "mm/internal.h"

#define HUGETLB_SIZES_MAX 2
#define HUGETLB_BYTES_MAX (1ull << 30)

/* The pool of one size (Linux: struct hstate). */
struct hstate {
	u64 bytes;	/* (c) of a page; a leaf of `level`, 2^order frames */
	u32 level, order; /* (c) */
	u64 count;	/* (c) */
	/* (hugetlb_lock) reserved <= free */
	u64 free __cacheline_aligned, reserved;
	struct list_head free_pages[MMSIM_NODES_MAX];
};

struct hugetlb_mutex {
	struct rwsem sem __cacheline_aligned; /* only ever for write */
};

/* mm_machine.hugetlb */
struct hugetlb {
	struct hstate states[HUGETLB_SIZES_MAX]; /* the default size first */
	u32 state_count;   /* (c) */
	u32 mutex_count;   /* (c) a power of two */
	struct hugetlb_mutex *mutexes; /* hugetlb_fault_mutex: hashed by file and page */
	spinlock_t lock __cacheline_aligned; /* hugetlb_lock */
};

/* Of one page of a file: is a page of the pool set aside for it? */
enum hugetlb_reserve {
	RESERVE_NONE, /* it has used it; it comes back with a page that the owner drops */
	RESERVE_SET,
	RESERVE_GONE, /* whose it was is unmapped: a page that is freed later belongs to nobody */
};

/*
 * The pages of one file, numbered from 0: what is set aside for them (Linux: resv_map), and, if it is
 * mapped shared, which they are (its page cache).
 */
struct hugetlb_file {
	struct hstate *h;	/* (c) */
	u64 first_index;	/* (c) page offset of page 0, in base pages */
	u64 count;		/* (c) */
	u8 *reserved;		/* (hugetlb_lock) [n]: enum hugetlb_reserve */
	struct page **cache;	/* (fault mutex of the page) [n] */
	struct rwsem vma_lock __cacheline_aligned; /* hugetlb_vma_lock */
};

int MUST_CHECK hugetlb_machine_init(struct mm_machine *mmm);
void hugetlb_machine_destroy(struct mm_machine *mmm);

/* The pool that mmap's flags name; NULL: there is none of that size. */
struct hstate *hugetlb_state(const struct mm_machine *mmm, u32 map_flags);
/* A file of len bytes from page offset pgoff on for one mapping. NULL: no host memory. */
struct file *hugetlb_file_setup(struct mm *mm, struct hstate *h, u64 len, u64 pgoff);
void hugetlb_file_free(struct inode *inode);
/* Set pages aside for all of the file, which has none yet. false: the pool cannot cover it. */
bool MUST_CHECK hugetlb_reserve(const struct file *file);
/* The mapping goes. If it is private and its file's reservations are its own, what it has not used is free
 * to others. */
void hugetlb_vma_close(const struct vma *vma);

/* A page for page n of the file, out of its reservation if it has one and that may be used (*used). Its
 * content is not cleared. NULL: all that are free are reserved. */
struct page *hugetlb_page_get(struct mm *mm, struct hugetlb_file *hf, u64 n, bool may_use, bool *used);
/* The last reference has gone. Takes HUGETLB. */
void hugetlb_page_free(const struct memory *mem, struct page *head);
/* ptl held, while it is still mapped: one of vma's leaves maps head no more. */
void hugetlb_unmapped(const struct vma *vma, struct page *head);

/* [start, end) of vma's file reads as zeroes from now on. Whole pages leave the file and every mapping of
 * it, and are nobody's: they are not set aside for it again. */
void hugetlb_punch_hole(struct vma *vma, u64 start, u64 end);
/* Unmap a page of vma's file, by its page offset, from vma. i_mmap_rwsem for write. */
void hugetlb_zap_page(struct vma *vma, u64 index, u64 bytes);

struct rwsem *hugetlb_fault_mutex(struct mm *mm, const struct inode *inode, u64 n);
/* Of this VMA: NULL where nothing is reserved. */
struct rwsem *hugetlb_vma_lock(const struct vma *vma);

/* Of a VM_HUGETLB VMA. */
static inline struct hugetlb_file *vma_hugetlb(const struct vma *vma)
{
	const struct inode *inode;

	line_read(vma, file);
	line_read(vma->file, inode);
	inode = vma->file->inode;
	line_read(inode, hugetlb);
	line_read(inode->hugetlb, h);
	line_read(inode->hugetlb->h, bytes);
	return inode->hugetlb;
}

static inline u64 hugetlb_bytes(const struct vma *vma)
{
	return vma_hugetlb(vma)->h->bytes;
}

/* Of a page of the file; 0: it is no hugetlb file. */
static inline u64 hugetlb_file_bytes(const struct file *file)
{
	const struct inode *inode;

	line_read(file, inode);
	inode = file->inode;
	line_read(inode, kind);
	if (likely(inode->kind != INODE_HUGETLB))
		return 0;
	line_read(inode->hugetlb, h);
	line_read(inode->hugetlb->h, bytes);
	return inode->hugetlb->h->bytes;
}

/* Which page of its file va is in. */
static inline u64 hugetlb_page_of(const struct vma *vma, const struct hugetlb_file *hf, u64 va)
{
	u8 shift = vma->mm->arch->page_shift;
	u64 index = vma->pgoff + ((va - vma->start) >> shift);

	return (index - hf->first_index) >> hf->h->order;
}

#endif
