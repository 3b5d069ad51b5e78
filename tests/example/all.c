/*
 * tests/example/all.c - mm/locking/all.c with the example's scheme in the list
 *
 * In the project itself the scheme would be a line of include/mmsim/schemes.h; it is not one of those
 * that users choose from, so its test brings a list of its own.
 */
#include <mmsim/locking.h>

#define ENTRY(scheme) &mm_locking_##scheme,

MM_LOCKING_DECLARE(mmap_sem)
const struct mm_locking *const mm_locking_all[] = { MM_LOCKING_SCHEMES(ENTRY) ENTRY(mmap_sem) NULL };
