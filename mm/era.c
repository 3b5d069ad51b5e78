/*
 * mm/era.c - the table of kernel versions, and the parameters of schemes
 *
 * Models       what changed in Linux between the versions that published results stand on, as far as
 *              this model has the mechanism. docs/ERAS.md: what changed when, and what is left out.
 * Tests        tests/unit/mm/test_era.c
 */
#include <string.h>

#include <mmsim/locking.h>

const struct kernel_era kernel_eras[] = {
	{
		.version = "4.12",
		.summary = "rb tree; munmap zaps under the write lock; rwsem without hand-off",
		.tree = &vma_tree_rb,
	},
	{
		.version = "4.15",
		.summary = "as 4.12 in all that is modelled",
		.tree = &vma_tree_rb,
	},
	{
		.version = "6.4",
		.summary = "maple tree; munmap downgrades; VMA locks for anonymous memory with an anon_vma",
		.tree = &vma_tree_maple,
		.munmap_downgrade = true,
		.rwsem_handoff = true,
	},
	{
		.version = "6.18",
		.summary = "VMA locks for files, first faults, madvise, /proc/PID/maps; mm_lock_seq a seqcount",
		.tree = &vma_tree_maple,
		.coverage = COVER_ALL,
		.munmap_downgrade = true,
		.rwsem_handoff = true,
		.mm_lock_seqcount = true,
		.vma_lock_calls = true,
	},
	{ .version = NULL },
};

const struct kernel_era *kernel_era_find(const char *version)
{
	for (const struct kernel_era *era = kernel_eras; era->version; era++)
		if (!strcmp(era->version, version))
			return era;
	return NULL;
}

const struct kernel_era *kernel_era_newest(void)
{
	return &kernel_eras[ARRAY_SIZE(kernel_eras) - 2];
}

/* ---- parameters ------------------------------------------------------------------------------ */

#define TEXT(x) #x
#define AS_TEXT(number) TEXT(number)

static const char *const coverages[] = { "era", "v1", "6.4", "6.7", "6.15", NULL };
/* By the index of coverages[]. 0: not looked at. */
static const u32 coverage_bits[] = { 0, 0, 0, COVER_FILE | COVER_HUGETLB, COVER_ALL };
static const char *const placements[] = { [VMA_LOCK_SEPARATE] = "separate",
					  [VMA_LOCK_EMBEDDED] = "embedded", NULL };

static const char *const thp_modes[] = { [THP_MADVISE] = "madvise", [THP_NEVER] = "never",
					 [THP_ALWAYS] = "always", NULL };

const struct param mm_params[MM_PARAM_COUNT + 1] = {
	[MM_PARAM_COVERAGE] = { "coverage", PARAM_CHOICE, "era", 0, 0, coverages,
				"what a fault may do under a VMA lock alone; era: as --kernel did", false },
	[MM_PARAM_VMA_LOCK_PLACEMENT] = { "vma_lock_placement", PARAM_CHOICE, "separate", 0, 0, placements,
					  "the VMA's lock is an object of its own, or part of its first lines", false },
	[MM_PARAM_RANGE_LIST_PATIENCE] = { "range_list_patience", PARAM_UINT,
					   AS_TEXT(RANGE_LIST_PATIENCE_DEFAULT), 1, RANGE_LIST_PATIENCE_NEVER, NULL,
					   "waits after which a task shuts later ones out; "
					   AS_TEXT(RANGE_LIST_PATIENCE_NEVER) ": never", false },
	[MM_PARAM_THP] = { "thp", PARAM_CHOICE, "madvise", 0, 0, thp_modes,
			   "huge pages for private anonymous memory: where madvise asks, never, always", false },
	[MM_PARAM_CHECK_INVARIANTS] = { "check_invariants", PARAM_BOOL, "0", 0, 1, NULL,
					"watch the TLBs for stale entries, at a cost; always on in virtual time", false },
	[MM_PARAM_HUGEPAGES] = { "hugepages", PARAM_UINT, "0", 0, HUGEPAGES_MAX, NULL,
				 "pool of huge pages for MAP_HUGETLB, of the architecture's default size", false },
	[MM_PARAM_HUGEPAGES_1G] = { "hugepages_1g", PARAM_UINT, "0", 0, HUGEPAGES_MAX, NULL,
				    "the same, of pages of 1 GiB", false },
};

u32 mm_config_coverage(const struct mm_config *cfg)
{
	const struct kernel_era *era = cfg->era ? cfg->era : kernel_era_newest();
	u64 choice = cfg->params[MM_PARAM_COVERAGE];

	return choice ? coverage_bits[choice] : era->coverage;
}

const struct vma_tree_type *mm_config_tree(const struct mm_config *cfg, const struct mm_locking *locking)
{
	const struct kernel_era *era = cfg->era ? cfg->era : kernel_era_newest();

	if (cfg->tree)
		return cfg->tree;
	if (locking->tree)
		return locking->tree;
	return mm_locking_takes_tree(locking, era->tree) ? era->tree : mm_locking_tree(locking);
}
