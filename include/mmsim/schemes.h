/*
 * mmsim/schemes.h - every locking scheme, in the order in which they are listed
 *
 * To add one: write mm/locking/NAME.c with `const struct mm_locking mm_locking_NAME`, a line here, and
 * docs/schemes/NAME.md (docs/adding-a-scheme.md). The command line, `-s all` and the tests find it here.
 */
#ifndef MMSIM_SCHEMES_H
#define MMSIM_SCHEMES_H

#define MM_LOCKING_SCHEMES(X)                                                                      \
	X(mmap_lock)                                                                               \
	X(mmap_lock_bravo)                                                                         \
	X(range_full)                                                                              \
	X(range)                                                                                   \
	X(range_list)                                                                              \
	X(spf)                                                                                     \
	X(spf_seqcount)                                                                            \
	X(vma_rwsem)                                                                               \
	X(vma_atomic)                                                                              \
	X(vma_refcnt)                                                                              \
	X(lock_null)                                                                               \
	X(lock_broken)

#endif
