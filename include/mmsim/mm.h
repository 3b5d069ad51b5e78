/*
 * mmsim/mm.h - an address space, and the system calls on it
 *
 * The system calls are Linux's, with Linux's results: a negative value is -errno. They may sleep,
 * must be called with no mm lock held, from a task of the mm's machine. Semantics: Linux 6.18 on
 * x86-64 (docs/SEMANTICS.md), overcommit 0 with memory to spare, THP "madvise".
 */
#ifndef MMSIM_MM_H
#define MMSIM_MM_H

#include <stdio.h>

#include <mmsim/arch.h>
#include <mmsim/bravo.h>
#include <mmsim/cpu.h>
#include <mmsim/era.h>
#include <mmsim/page.h>
#include <mmsim/percpu.h>
#include <mmsim/range_list.h>
#include <mmsim/range_lock.h>
#include <mmsim/rwsem.h>
#include <mmsim/uapi.h>
#include <mmsim/vma.h>

struct mm_locking;
struct file;

#define STACK_GUARD_GAP_PAGES 256
#define DEFAULT_MAX_MAP_COUNT 65530
#define MMAP_MIN_ADDR 65536

/* Resource limits and sysctls that the calls obey. Constant while tasks run. */
struct mm_limits {
	u32 max_map_count;
	u64 address_space_bytes; /* RLIMIT_AS */
	u64 data_bytes;		 /* RLIMIT_DATA */
	u64 stack_bytes;	 /* RLIMIT_STACK */
	u64 memlock_bytes;	 /* RLIMIT_MEMLOCK */
	u64 mmap_min_addr;	 /* lowest address that mmap gives (root: 0) */
	bool can_ipc_lock;	 /* CAP_IPC_LOCK: memlock_bytes does not apply */
};
extern const struct mm_limits mm_limits_default;

/*
 * Key as in vma.h; (p) page_table_lock; (c) constant after mm_create().
 * mmap_lock has a line of its own, away from what every fault reads (pgd, scheme, arch).
 */
struct mm {
	/* what every fault reads */
	struct machine *machine;	/* (c) */
	const struct arch_desc *arch;	/* (c) */
	const struct mm_locking *locking; /* (c) the scheme */
	struct memory *memory;		/* (c) */
	struct mm_machine *mmm;		/* (c) caches shared by all mms of the machine; internal */
	u64 pgd_pfn;			/* (c) top-level table */
	u64 task_size;			/* (c) */
	u64 context_id;			/* (c) never reused in a machine: tags TLB entries */

	struct vma_tree vmas __cacheline_aligned; /* (m W; RCU R) */

	struct rwsem mmap_lock __cacheline_aligned; /* see locking.h: only schemes touch it */
	struct wait_queue vma_writer_wait; /* a VMA writer waits for readers */
	/* Every fault under a VMA lock reads it: as in Linux not on the line of mmap_lock.count. */
	u32 mm_lock_seq;		/* (a) see vma_end_write_all() in mm/locking/vma_common.c */
	union {
		u64 mmap_seq;			/* (a) spf_seqcount: odd while mmap_lock is held for write */
		spinlock_t vma_writer_lock; /* vma_atomic: of vma_writer_wait, as in Linux's wait queues */
	};

	spinlock_t page_table_lock;
	atomic_t mm_users;		/* tasks and pins; the last mm_put() tears it down */
	u64 table_pages;		/* (a) bytes of page tables / page_bytes */

	u64 mmap_base;			/* (m) top-down searches start here */
	u32 map_count;			/* (m) */
	u64 total_vm_pages, locked_vm_pages, data_vm_pages, exec_vm_pages, stack_vm_pages; /* (m) */
	u64 locked_vm_excess_pages;	/* (m) counted in locked_vm_pages though no longer locked: see
					 * leave_empty() in mm/mremap.c */
	u64 def_flags;			/* (m) mlockall(MCL_FUTURE) */
	u64 start_code, end_code, start_data, end_data; /* (m) */
	u64 start_brk, brk, start_stack; /* (m) */
	struct mm_limits limits;	/* (m) */
	struct percpu_counter rss[RSS_KINDS];

	/* In mmap_lock's stead. */
	struct bravo_rwsem mmap_bravo;	/* mmap_lock_bravo */
	struct range_lock_tree mmap_ranges; /* range, range_full */
	struct range_list mmap_range_list; /* range_list */
	/* Where writers exclude each other only where their ranges meet (LK_CAP_RANGES): guards every
	 * store into vmas, the gap search, and the counts above. Other schemes never take it. */
	spinlock_t tree_lock __cacheline_aligned;
	struct list_head reserved;	/* (tree_lock) gaps that an mmap() has chosen: downwards */

	struct cpumask cpus;		/* (a) CPUs whose TLB may hold our translations */
	u64 hugetlb_pages;		/* (a) mapped from pools, in base pages: HugetlbPages, not in rss */
	u64 tlb_gen __cacheline_aligned; /* (a) flushes begun; see mm/tlb_context.c */
	u64 asid;			/* (a) with its generation; likewise */
	struct rcu_head rcu;		/* the structure outlives its last user by a grace period */
};

/* ---- the machine's mm subsystem --------------------------------------------------------- */

/* Once per machine, before the first mm: memory, caches, pools of huge pages. cfg NULL: every default. 0,
 * -ENOMEM, or -EINVAL: huge pages that the arch does not have. Caller entered or not. */
int MUST_CHECK mm_machine_init(struct machine *m, const struct arch_desc *arch,
			       const struct mm_config *cfg);
/* Everything must be gone: leaked frames, VMAs, anon_vmas stop the program (MMSIM_BUG). */
void mm_machine_destroy(struct machine *m);

/* ---- life ------------------------------------------------------------------------------ */

/* An empty address space with one user; NULL: no memory. mmap_base is the top of the task size
 * less the default stack gap until mm_set_mmap_base(). */
struct mm *MUST_CHECK mm_create(struct machine *m, const struct arch_desc *arch,
				const struct mm_locking *locking);
void mm_get(struct mm *mm);
/* The last one unmaps everything and frees it (exit_mmap). May sleep. */
void mm_put(struct mm *mm);
/* fork: a copy, with one user; NULL with *error = -ENOMEM. */
struct mm *MUST_CHECK mm_fork(struct mm *mm, int *error);
void mm_set_mmap_base(struct mm *mm, u64 base);

/* ---- system calls ------------------------------------------------------------------------ */

/* The address, or -errno (as a negative s64). offset in bytes. file NULL with MAP_ANONYMOUS. */
s64 mm_mmap(struct mm *mm, u64 addr, u64 len, u32 prot, u32 flags, struct file *file, u64 offset);
int mm_munmap(struct mm *mm, u64 addr, u64 len);
int mm_mprotect(struct mm *mm, u64 start, u64 len, u32 prot);
s64 mm_mremap(struct mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr);
int mm_madvise(struct mm *mm, u64 start, u64 len, int behavior);
/* The (possibly unchanged) break. */
u64 mm_brk(struct mm *mm, u64 brk);
int mm_mlock(struct mm *mm, u64 start, u64 len, bool onfault);
int mm_munlock(struct mm *mm, u64 start, u64 len);
int mm_mlockall(struct mm *mm, int mcl_flags);
int mm_munlockall(struct mm *mm);

/* ---- what exec does ----------------------------------------------------------------------- */

/* binfmt_elf's and the kernel's own mappings, exactly as given: no address choice, no merging
 * rules but those of mmap. For replay and tests. All take and drop the write lock. */

/* A "special mapping" ([vdso], [vvar]): name is kept by pointer. */
int MUST_CHECK mm_install_special(struct mm *mm, u64 start, u64 len, u64 vm_flags, const char *name);
/* The new image's stack [start, end) with an anon_vma, VM_GROWSDOWN | VM_ACCOUNT; sets start_stack. */
int MUST_CHECK mm_install_stack(struct mm *mm, u64 start, u64 end, u64 start_stack, u64 extra_flags);
/* The break: start_brk = brk = addr. */
void mm_set_brk(struct mm *mm, u64 addr);
/* bss of a PT_LOAD (vm_brk_flags): anonymous, private, ACCOUNT, may merge. */
int MUST_CHECK mm_install_bss(struct mm *mm, u64 start, u64 len, bool exec);

/* ---- looking --------------------------------------------------------------------------- */

/* One line per VMA in the format of /proc/PID/maps. Takes the lock as the scheme reads maps. */
void mm_print_maps(struct mm *mm, FILE *out);
/* Visit every VMA in order under the lock. fn must not call mm functions. */
void mm_for_each_vma(struct mm *mm, void (*fn)(const struct vma *vma, void *arg), void *arg);
/*
 * Where mmap() would put such a mapping (file NULL: anonymous) if the n ranges of s were mapped, or
 * free, one after the other. Changes nothing. The address or -errno. Only one task may use the mm.
 */
struct mm_supposed {
	u64 start, end;
	bool mapped;
};
s64 mm_place(struct mm *mm, u64 addr, u64 len, u32 flags, struct file *file, u64 offset,
	     const struct mm_supposed *s, u32 n);
/* Every invariant that can be checked at rest: VMAs sorted, counts right, tree right, anon_vma
 * counts right, every present entry inside a VMA that allows it. MMSIM_BUG on the first broken. */
void mm_check(struct mm *mm);
s64 mm_rss_pages(struct mm *mm, enum rss_kind kind); /* exact when no task runs */

/* A pool of huge pages (MAP_HUGETLB), as /sys/kernel/mm/hugepages shows it. Exact when no task runs. */
struct hugetlb_pool {
	u64 bytes;		  /* of one page */
	u64 count, free, reserved; /* pages; reserved ones are among the free ones */
};
/* The n-th of the machine's arch, the default size first. false: there are no more. */
bool hugetlb_pool(const struct machine *m, u32 n, struct hugetlb_pool *pool);
/* Memory that a machine of so many nodes should have on top for the pools that cfg asks for; ~0: the arch
 * has no pages of that size. */
u64 hugetlb_memory_bytes(const struct arch_desc *a, const struct mm_config *cfg, u32 nodes);

#endif
