/*
 * mm/locking/all.c - the registry: every locking scheme of include/mmsim/schemes.h
 */
#include <mmsim/locking.h>

#define ENTRY(scheme) &mm_locking_##scheme,

const struct mm_locking *const mm_locking_all[] = { MM_LOCKING_SCHEMES(ENTRY) NULL };
