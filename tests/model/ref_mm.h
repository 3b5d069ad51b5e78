/*
 * tests/model/ref_mm.h - a slow, obvious address space: one record per page, no VMAs, no tables
 *
 * Models       What a program can tell of Linux 6.18's mmap, munmap, mprotect, mremap, madvise,
 * brk, mlock, fork and of touching memory: return values, which pages are mapped with which flags
 * and backing, and what every page contains. How          Everything is a loop over pages. There is
 * nothing to split, to merge, to share or to look up, so there is little to get wrong. It knows an
 * arena [low, high) only; all that lies outside counts as mapped by others. Leaves out
 * MREMAP_DONTUNMAP of locked memory (it unlocks a whole VMA), limits on mappings, VM_ACCOUNT and
 * anon_vma (tests/oracle compares those), where one VMA ends and the next begins: the few calls
 * whose result depends on it (mremap) ask the function vma_of, which the test answers from the mm
 * under test. Tests        tests/unit/mm/test_reference_model.c
 */
#ifndef TESTS_MODEL_REF_MM_H
#define TESTS_MODEL_REF_MM_H

#include <mmsim/fault.h>
#include <mmsim/file.h>
#include <mmsim/mm.h>

#define REF_WORDS 8
#define REF_PAGE 4096ull

/* What a shared page is a page of: a file's pages, or those of a shared anonymous mapping. */
struct ref_object {
	u32 refs;  /* page records, and files */
	u64 pages; /* a touch beyond them is SIGBUS */
	u64 (*word)[REF_WORDS];
};

/* An open file. `id` is the struct file of the mm under test: compared, never followed. */
struct ref_file {
	struct ref_object *object;
	const struct file *id;
	bool writable;
	bool huge; /* on a file system with huge pages in the page cache: 2 MiB alignment */
};

struct ref_page {
	bool mapped;
	bool own;        /* a private copy (or a written anonymous page): content is word[], not the
			    object's */
	bool maybe_zero; /* MADV_FREE: the own copy may be gone at any time, until it is written */
	u64 flags;       /* enum vm_flag, less REF_FLAGS_IGNORED */
	struct ref_object *object;   /* NULL: private anonymous */
	const struct ref_file *file; /* NULL: none, or shared anonymous */
	u64 index;                   /* in object */
	u64 word[REF_WORDS];
};
#define REF_FLAGS_IGNORED (VM_ACCOUNT | VM_SOFTDIRTY)

struct ref_mm {
	u64 low, high; /* the arena */
	u64 mmap_base; /* top-down searches begin here */
	u64 bottom_up; /* where the search of last resort begins */
	u64 start_brk, brk;
	u64 memlock_pages; /* limit */
	u64 locked_pages;
	struct ref_page *page; /* [(va - low) / REF_PAGE] */

	/* Bounds of the VMA that contains va; false: none. */
	bool (*vma_of)(void *arg, u64 va, u64 *start, u64 *end);
	void *vma_of_arg;
};

struct ref_object *ref_object_create(u64 pages);
void ref_object_put(struct ref_object *object);

/* NULL: no memory. The caller fills in what is not about pages. */
struct ref_mm *ref_create(u64 low, u64 high);
void ref_destroy(struct ref_mm *mm);
struct ref_mm *ref_fork(const struct ref_mm *mm);

/* The calls, as in mm.h. */
s64 ref_mmap(struct ref_mm *mm, u64 addr, u64 len, u32 prot, u32 flags, const struct ref_file *file,
	     u64 offset);
int ref_munmap(struct ref_mm *mm, u64 addr, u64 len);
int ref_mprotect(struct ref_mm *mm, u64 start, u64 len, u32 prot);
s64 ref_mremap(struct ref_mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
int ref_madvise(struct ref_mm *mm, u64 start, u64 len, int behavior);
u64 ref_brk(struct ref_mm *mm, u64 brk);
int ref_mlock(struct ref_mm *mm, u64 start, u64 len, bool onfault);
int ref_munlock(struct ref_mm *mm, u64 start, u64 len);

/* A touch of the word at va. */
enum fault_result ref_read(struct ref_mm *mm, u64 va, u64 *value);
enum fault_result ref_write(struct ref_mm *mm, u64 va, u64 value);

/* What the page contains now; NULL: a touch of it would be SIGBUS. */
const u64 *ref_content(const struct ref_page *p);

static inline struct ref_page *ref_page(const struct ref_mm *mm, u64 va)
{
	return &mm->page[(va - mm->low) / REF_PAGE];
}

#endif
