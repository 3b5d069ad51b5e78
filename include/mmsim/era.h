/*
 * mmsim/era.h - what differs between kernel versions (--kernel), and the parameters of schemes
 *
 * An era is one line of the table in mm/era.c: what a version did where it matters here. A scheme is
 * an independent choice: any one runs in any era. What each entry comes from: docs/ERAS.md.
 */
#ifndef MMSIM_ERA_H
#define MMSIM_ERA_H

#include <mmsim/param.h>

struct mm_locking;
struct vma_tree_type;

/* What a fault may do under a VMA's lock alone. Anonymous memory whose VMA has an anon_vma: always. */
enum vma_coverage {
	COVER_FILE = 1 << 0,	   /* mapped files, private and shared */
	COVER_FIRST_ANON = 1 << 1, /* the fault that gives the VMA its anon_vma, if mmap_lock can be
				    * tried for read */
	COVER_HUGETLB = 1 << 2,	   /* MAP_HUGETLB */
};
#define COVER_ALL (COVER_FILE | COVER_FIRST_ANON | COVER_HUGETLB)

struct kernel_era {
	const char *version; /* stable: --kernel, CSV column */
	const char *summary; /* one line for lists */
	const struct vma_tree_type *tree; /* of a scheme that has none of its own */
	u32 coverage;		/* enum vma_coverage; of a kernel without VMA locks: their first version's */
	bool munmap_downgrade;	/* munmap drops to a read lock before it zaps */
	bool rwsem_handoff;	/* rwsem: see machine_set_classic_rwsem() */
	bool mm_lock_seqcount;	/* mm_lock_seq is odd while mmap_lock is held for write; else bumped at its end */
	bool vma_lock_calls;	/* madvise and /proc/PID/maps use VMA locks, too */
};
extern const struct kernel_era kernel_eras[]; /* oldest first; ends with version == NULL */
const struct kernel_era *kernel_era_find(const char *version); /* NULL: none of that name */
const struct kernel_era *kernel_era_newest(void);

/* ---- parameters of schemes (-p key=value) ------------------------------------------------------ */

/* Each is a line of mm_params[]; a scheme says in mm_locking.params which it heeds. */
enum mm_param {
	MM_PARAM_COVERAGE,	     /* index of choices; 0: the era's */
	MM_PARAM_VMA_LOCK_PLACEMENT, /* enum vma_lock_placement */
	MM_PARAM_RANGE_LIST_PATIENCE, /* struct range_list.patience */
	MM_PARAM_THP,		     /* enum thp_mode */
	MM_PARAM_CHECK_INVARIANTS,   /* bool: tlb_check_invariants() */
	MM_PARAM_HUGEPAGES,	     /* pages of the default size in its pool (MAP_HUGETLB) */
	MM_PARAM_HUGEPAGES_1G,	     /* the same of 1 GiB */
	MM_PARAM_COUNT,
};
#define MM_PARAM_BIT(name) (1u << MM_PARAM_##name)
/* range_list_patience: what 0 in mm_config.params stands for, and what stands for no limit. */
#define RANGE_LIST_PATIENCE_DEFAULT 16
#define RANGE_LIST_PATIENCE_NEVER 1000000
/* Those of mm/ as such: every scheme heeds them. */
#define MM_PARAMS_OF_ALL \
	(MM_PARAM_BIT(THP) | MM_PARAM_BIT(CHECK_INVARIANTS) | MM_PARAM_BIT(HUGEPAGES) |                 \
	 MM_PARAM_BIT(HUGEPAGES_1G))
#define HUGEPAGES_MAX (1u << 20)

/* Who gets huge pages: as Linux's transparent_hugepage/enabled. */
enum thp_mode { THP_MADVISE, THP_NEVER, THP_ALWAYS };
enum vma_lock_placement { VMA_LOCK_SEPARATE, VMA_LOCK_EMBEDDED };

extern const struct param mm_params[MM_PARAM_COUNT + 1]; /* by enum mm_param; ends with key == NULL */

/* The mm subsystem of a machine. All zero: the newest era, every default. */
struct mm_config {
	const struct kernel_era *era;	  /* NULL: the newest */
	const struct vma_tree_type *tree; /* NULL: the scheme's own, or else the era's */
	u64 params[MM_PARAM_COUNT];	  /* as mm_params[] says; 0 is the default of each */
};
/* What a coverage parameter means in an era: enum vma_coverage. */
u32 mm_config_coverage(const struct mm_config *cfg);
/* The tree of an mm under this scheme (era NULL: the newest). */
const struct vma_tree_type *mm_config_tree(const struct mm_config *cfg, const struct mm_locking *locking);

#endif
