/*
 * mm/locking/all.c - the registry: every locking scheme, in the order in which they are listed
 *
 * To add one: write mm/locking/NAME.c with one `const struct mm_locking`, declare it in
 * include/mmsim/locking.h, add it here. Tests and `-s all` find it through this array.
 */
#include <string.h>

#include <mmsim/locking.h>

const struct mm_locking *const mm_locking_all[] = {
	&mm_locking_mmap_lock,
	&mm_locking_mmap_lock_bravo,
	&mm_locking_range_full,
	&mm_locking_range,
	&mm_locking_range_list,
	&mm_locking_spf,
	&mm_locking_spf_seqcount,
	&mm_locking_vma_refcnt,
	&mm_locking_lock_null,
	&mm_locking_lock_broken,
	NULL,
};

const struct mm_locking *mm_locking_find(const char *name)
{
	for (u32 i = 0; mm_locking_all[i]; i++)
		if (!strcmp(mm_locking_all[i]->name, name))
			return mm_locking_all[i];
	return NULL;
}
