/*
 * mmsim/counters.h - every counter, declared once: name, unit, meaning
 *
 * The enum, the CSV columns, `mmsim list counters` and the documentation all come from this list.
 * Names are those that users of Linux know (/proc/vmstat, lock_events). Counted per simulated CPU
 * with count_event(), without atomics; summed when nobody runs.
 */
#ifndef MMSIM_COUNTERS_H
#define MMSIM_COUNTERS_H

#define MMSIM_COUNTERS(X)                                                                          \
	X(FAULT_TOTAL, "faults", "faults entered, each once however often it is retried")          \
	X(FAULT_USER, "faults", "of these, raised by an access from user mode")                    \
	X(FAULT_KERNEL, "faults", "of these, raised by the kernel's own access to user memory")    \
	X(FAULT_POPULATE, "faults", "of these, made for the kernel: MAP_POPULATE, mlock, madvise") \
	X(FAULT_ANON, "faults", "anonymous page installed")                                        \
	X(FAULT_ZERO_PAGE, "faults", "zero page mapped for a read")                                \
	X(FAULT_FILE_READ, "faults", "page-cache page mapped for a read (fault-around included)")  \
	X(FAULT_FILE_COW, "faults", "private copy of a page-cache page made on a write")           \
	X(FAULT_FILE_SHARED, "faults", "shared file page made writable")                           \
	X(FAULT_SPECIAL, "faults", "page of a special or device mapping installed")                \
	X(FAULT_HUGETLB, "faults", "page of a hugetlb mapping mapped")                             \
	X(FAULT_WP_COPY, "faults", "copy-on-write: page copied")                                   \
	X(FAULT_WP_REUSE, "faults", "copy-on-write: sole owner, page reused")                      \
	X(FAULT_AROUND_PAGES, "pages", "extra pages mapped by fault-around")                       \
	X(FAULT_STACK_GROWN, "faults", "faults that grew a stack")                                 \
	X(FAULT_SPURIOUS, "faults", "nothing to do: another CPU had resolved it")                  \
	X(FAULT_RETRY, "faults", "restarted after a lost race or a dropped lock")                  \
	X(FAULT_SIGSEGV, "faults", "no mapping, or access denied")                                 \
	X(FAULT_SIGBUS, "faults", "beyond the end of the file, or no huge page left")              \
	X(FAULT_OOM, "faults", "no simulated memory left")                                         \
	X(VMA_LOCK_SUCCESS, "faults", "handled under the VMA lock alone")                          \
	X(VMA_LOCK_ABORT, "faults", "VMA lock not taken: fell back to mmap_lock")                  \
	X(VMA_LOCK_RETRY, "faults", "VMA lock dropped by the handler: redone under mmap_lock")     \
	X(VMA_LOCK_MISS, "lookups", "VMA recycled under the reader: walked again")                 \
	X(SPF_SUCCESS, "faults", "handled speculatively")                                          \
	X(SPF_ABORT_UNMAPPED, "faults", "speculation: no VMA at the address")                      \
	X(SPF_ABORT_ODD, "faults", "speculation: a writer was inside, or the VMA was dead")        \
	X(SPF_ABORT_COPY, "faults", "speculation: a writer came while the VMA was read")           \
	X(SPF_ABORT_NOTSUP, "faults", "speculation: a kind of mapping that it does not cover")     \
	X(SPF_ABORT_NOANON, "faults", "speculation: the VMA has no anon_vma")                      \
	X(SPF_ABORT_ACCESS, "faults", "speculation: the VMA forbids the access")                   \
	X(SPF_ABORT_PMD, "faults", "speculation: a page table is missing, or a huge entry is there") \
	X(SPF_ABORT_SEQ1, "faults", "speculation: the VMA had changed before the page-table lock") \
	X(SPF_ABORT_PTE_LOCK, "faults", "speculation: the page-table lock was taken")              \
	X(SPF_ABORT_SEQ2, "faults", "speculation: the VMA had changed under the page-table lock")  \
	X(SPF_RETRY, "faults", "speculation: given up by the handler for another reason")          \
	X(MMAP_LOCK_READ, "acquisitions", "address-space lock taken for read")                     \
	X(MMAP_LOCK_READ_CONTENDED, "acquisitions", "of these, had to wait")                       \
	X(MMAP_LOCK_WRITE, "acquisitions", "address-space lock taken for write")                   \
	X(MMAP_LOCK_WRITE_CONTENDED, "acquisitions", "of these, had to wait")                      \
	X(MMAP_LOCK_WAIT_NS, "ns", "time spent waiting for the address-space lock")                \
	X(VMA_WRITE_LOCK, "acquisitions", "VMA write-locked")                                      \
	X(VMA_WRITE_LOCK_WAIT, "acquisitions", "of these, had to wait for readers")                \
	X(VMA_READ_LOCK, "acquisitions", "VMA read-locked by madvise or to read maps, not by a fault") \
	X(VMA_READ_LOCK_ABORT, "lookups", "the same, but mmap_lock had to be taken instead")       \
	X(VMA_SPLIT, "VMAs", "VMAs split in two")                                                  \
	X(VMA_MERGE, "VMAs", "VMAs merged or extended instead of created")                         \
	X(RANGE_REWIDENED, "locks", "range locks dropped and taken anew: VMAs had changed meanwhile") \
	X(RANGE_GAP_RETRY, "searches", "gaps that were gone when their range lock was held")      \
	X(VMA_TREE_WALK, "lookups", "walks of the VMA tree")                                       \
	X(RWSEM_RLOCK_SLEEP, "events", "readers that slept")                                       \
	X(RWSEM_WLOCK_SLEEP, "events", "writers that slept")                                       \
	X(RWSEM_OPT_LOCK, "events", "write locks got by optimistic spinning")                      \
	X(RWSEM_HANDOFF, "events", "locks handed to the first waiter")                             \
	X(RWSEM_WAKE_READERS, "tasks", "readers woken in batches")                                 \
	X(RANGE_LOCK_SLEEP, "events", "interval-tree range locks that slept")                      \
	X(RANGE_LIST_WAIT, "events", "list range locks: waits for a conflicting range")            \
	X(RANGE_LIST_SLEEP, "events", "of these, slept after spinning")                            \
	X(RANGE_LIST_WITHDRAW, "events", "list range locks: writers that withdrew for a reader")   \
	X(RANGE_LIST_GATE, "events", "list range locks: impatient tasks that shut others out")     \
	X(BRAVO_READ, "acquisitions", "read locks taken by a mark in the table of readers")        \
	X(BRAVO_REVOKE, "events", "writers that took the readers' bias back")                      \
	X(BRAVO_REVOKE_NS, "ns", "time that taking it back took")                                  \
	X(TLB_HIT, "accesses", "translations found in the TLB")                                    \
	X(TLB_MISS, "accesses", "page walks by the MMU")                                           \
	X(TLB_L2_HIT, "accesses", "of TLB_HIT, found in the second level only")                    \
	X(TLB_WALK_READ, "entries", "page-table entries read by walks that the walk caches know about") \
	X(WALK_CACHE_HIT, "accesses", "walks that began below the root")                           \
	X(HASH_FAULT, "faults", "hash faults: the tree allowed the access, the hash table did not yet (ppc64-hash)") \
	X(HASH_INSERT, "entries", "entries put into the hash table")                               \
	X(HASH_EVICT, "entries", "of these, in the place of another that was in use")              \
	X(SLB_MISS, "segments", "segment interrupts: an SLB entry filled (ppc64-hash)")            \
	X(TLB_FLUSH_LOCAL, "flushes", "flushes of the CPU's own TLB")                              \
	X(TLB_FLUSH_FULL, "flushes", "flushes of everything instead of single pages")              \
	X(TLB_FLUSH_PAGED, "flushes", "flushes of single pages")                                   \
	X(TLB_FLUSH_PAGES, "pages", "pages, or huge leaves, that these named")                                      \
	X(TLB_SHOOTDOWN, "shootdowns", "flushes that had to reach other CPUs")                     \
	X(TLB_SHOOTDOWN_TARGET, "CPUs", "that these reached")                                      \
	X(TLB_LAZY_SKIP, "CPUs", "not interrupted, because they ran no user task")                 \
	X(TLB_SWITCH_FLUSH, "flushes", "made when an address space was loaded, for what was missed") \
	X(TLB_ASID_ROLLOVER, "events", "ASIDs ran out")                                            \
	X(TLB_BROADCAST, "flushes", "flushes that the fabric carried to all CPUs")                 \
	X(IPI_SENT, "IPIs", "interrupts sent, one per target")                                     \
	X(PGALLOC_PCP, "pages", "taken from the CPU's own list")                                   \
	X(PGALLOC_PCP_REFILL, "refills", "refills of a CPU's list from the zone")                  \
	X(PGALLOC_PCP_DRAIN, "drains", "surplus of a CPU's list given back to the zone")           \
	X(PGALLOC_FAIL, "pages", "allocations that failed")                                        \
	X(PT_ALLOC, "tables", "page-table pages allocated")                                        \
	X(PT_FREE, "tables", "page-table pages freed")                                             \
	X(PTL_CONTENDED, "acquisitions", "page-table locks that had to wait")                      \
	X(LRU_BATCH, "batches", "per-CPU batches moved to the LRU under its lock")                 \
	X(THP_FAULT_ALLOC, "leaves", "huge leaves that faults installed")                          \
	X(THP_FAULT_FALLBACK, "faults", "faults that could have had one, but no block of frames was free") \
	X(THP_SPLIT, "leaves", "huge leaves split into tables of small pages")                     \
	X(THP_COLLAPSE, "leaves", "tables of small pages collapsed into a huge leaf")              \
	X(HUGETLB_ALLOC, "leaves", "huge pages taken from a pool")                                 \
	X(HUGETLB_ALLOC_FAIL, "leaves", "huge pages that were wanted, when all free ones were others' reservations") \
	X(HUGETLB_RESERVE_FAIL, "calls", "mmap(MAP_HUGETLB) refused: the pool could not cover it") \
	X(HUGETLB_TAKEN_BACK, "leaves", "unmapped from a child, so that its parent could write without a copy") \
	X(RCU_CALLBACK, "call-backs", "objects handed to call_rcu")                                \
	X(RCU_THROTTLE, "events", "call_rcu callers held back by the backlog")                     \
	X(SYSCALL_MMAP, "calls", "mmap")                                                           \
	X(SYSCALL_MUNMAP, "calls", "munmap")                                                       \
	X(SYSCALL_MPROTECT, "calls", "mprotect")                                                   \
	X(SYSCALL_MREMAP, "calls", "mremap")                                                       \
	X(SYSCALL_MADVISE, "calls", "madvise")                                                     \
	X(SYSCALL_BRK, "calls", "brk")                                                             \
	X(SYSCALL_MLOCK, "calls", "mlock and mlock2")                                              \
	X(SYSCALL_MUNLOCK, "calls", "munlock")                                                     \
	X(SYSCALL_MLOCKALL, "calls", "mlockall")                                                   \
	X(SYSCALL_MUNLOCKALL, "calls", "munlockall")                                               \
	X(SYSCALL_FORK, "calls", "address spaces copied")

#define MMSIM_COUNTER_ENUM(name, unit, meaning) COUNTER_##name,
enum counter { MMSIM_COUNTERS(MMSIM_COUNTER_ENUM) COUNTER_COUNT };
#undef MMSIM_COUNTER_ENUM

struct counter_info {
	const char *name, *unit, *meaning;
};
extern const struct counter_info counter_info[COUNTER_COUNT];

#endif
