/* mmsim/mmsim.h - everything that a user of libmmsim includes */
#ifndef MMSIM_MMSIM_H
#define MMSIM_MMSIM_H

#include <mmsim/anon_vma.h>
#include <mmsim/file.h>
#include <mmsim/hist.h>
#include <mmsim/locking.h>
#include <mmsim/mm.h>
#include <mmsim/mmap_lock.h>
#include <mmsim/objcache.h>
#include <mmsim/pgtable.h>
#include <mmsim/tlb.h>

#endif
