/*
 * mmsim/machine_model.h - a simulated machine as data: topology, latencies, costs
 *
 * Read from an INI file (sim/machines/, or the user's) by machine_model_load(); used by the
 * virtual engine only. All times in picoseconds. docs/VIRTUAL.md says what each is charged for.
 */
#ifndef MMSIM_MACHINE_MODEL_H
#define MMSIM_MACHINE_MODEL_H

#include <mmsim/types.h>

/* Where the numbers come from: the CSV's machine_kind. */
enum machine_kind { MACHINE_CALIBRATED, MACHINE_PUBLISHED, MACHINE_ESTIMATED };

/*
 * Every number: X(section, key, unit, default, minimum, maximum, meaning). Times are given in ns with
 * up to three decimals in the file and kept in ps. The struct, the loader, `mmsim list machines
 * --json` and -p machine.KEY=VALUE come from this list.
 */
#define MACHINE_MODEL_FIELDS(X)                                                                    \
	X(topology, sockets, COUNT, 1, 1, 64, "sockets, each a memory node")                       \
	X(topology, clusters, COUNT, 1, 1, 64, "core complexes (rings, CCX) per socket")           \
	X(topology, cores, COUNT, 4, 1, 1024, "cores per cluster")                                 \
	X(topology, smt, COUNT, 1, 1, 8, "threads per core")                                       \
	X(cache, l1_kib, COUNT, 32, 1, 1024, "private first-level data cache")                     \
	X(cache, l2_kib, COUNT, 512, 1, 16384, "private second-level cache")                       \
	X(cache, prefetch_adjacent, COUNT, 0, 0, 1, "1: the buddy line comes with a missed line")  \
	X(cache, prefetchw, COUNT, 1, 0, 1, "1: a prefetch for a write fetches the line exclusively; 0: to be read") \
	X(cache, migratory, COUNT, 0, 0, 1, "1: a load takes the line from another socket whose CPU has written it") \
	X(cache, home_on_path, COUNT, 0, 0, 1, "1: a transfer goes by way of the line's home socket") \
	X(latency, l1, NS, 1.0, 0, 1000, "hit in L1")                                              \
	X(latency, l2, NS, 4.0, 0, 1000, "hit in L2")                                              \
	X(latency, rmw, NS, 5.0, 0, 1000, "atomic read-modify-write of an owned line")             \
	X(latency, smt_sibling, NS, 8.0, 0, 10000, "line from the sibling thread")                 \
	X(latency, cluster, NS, 40.0, 0, 10000, "line from a core of the same cluster")            \
	X(latency, socket, NS, 40.0, 0, 10000, "line from another cluster of the socket")          \
	X(latency, remote, NS, 100.0, 0, 10000, "line from another socket")                        \
	X(latency, llc, NS, 15.0, 0, 10000, "line that is in no private cache, from the LLC")      \
	X(latency, memory, NS, 80.0, 0, 10000, "line from local memory")                           \
	X(latency, serve, NS, 10.0, 0, 1000, "a contended line, per reader that it serves or that a write has to invalidate") \
	X(latency, memory_remote, NS, 140.0, 0, 10000, "line from another node's memory")          \
	X(cpu, smt_slowdown_percent, COUNT, 60, 0, 900, "local work is so much slower with one busy sibling") \
	X(cpu, all_core_slowdown_percent, COUNT, 0, 0, 900, "local work with all cores busy (turbo lost), linear between") \
	X(cost, exception, NS, 250.0, 0, 100000, "page-fault exception entry and return")          \
	X(cost, syscall, NS, 100.0, 0, 100000, "system call entry and return")                     \
	X(cost, fault_entry, NS, 50.0, 0, 100000, "local instructions of a fault before it asks for a lock") \
	X(cost, fault_work, NS, 300.0, 0, 1000000, "local instructions of a minor fault, under its lock") \
	X(cost, vma_work, NS, 200.0, 0, 1000000, "local instructions per VMA created, changed or removed") \
	X(cost, syscall_work, NS, 200.0, 0, 1000000, "local instructions of an address-space call") \
	X(cost, zap_page, NS, 20.0, 0, 100000, "local instructions per page unmapped and freed")   \
	X(cost, walk_level, NS, 0.5, 0, 1000, "MMU walk, per level, beyond its cache accesses")    \
	X(cost, page_zero, NS, 100.0, 0, 1000000, "zeroing a page")                                \
	X(cost, page_copy, NS, 200.0, 0, 1000000, "copying a page")                                \
	X(cost, page_serial, NS, 0.0, 0, 1000000, "per page allocated: held serially on its node (bandwidth, zone)") \
	X(cost, context_switch, NS, 1200.0, 0, 1000000, "switch to another task")                  \
	X(cost, wake, NS, 600.0, 0, 1000000, "charged to the waker, per task woken")               \
	X(cost, wake_latency, NS, 1500.0, 0, 10000000, "from wake-up to running on an idle CPU")   \
	X(cost, ipi_send, NS, 200.0, 0, 1000000, "charged to the sender, per target")              \
	X(cost, ipi_latency, NS, 800.0, 0, 1000000, "delivery")                                    \
	X(cost, ipi_handler, NS, 300.0, 0, 1000000, "entry, handler and return, on the target")    \
	X(cost, tlb_flush_page, NS, 30.0, 0, 100000, "local invalidation of one page (invlpg)")    \
	X(cost, tlb_flush_all, NS, 150.0, 0, 100000, "local invalidation of everything")           \
	X(cost, tlbi_broadcast, NS, 200.0, 0, 100000, "one broadcast TLBI or tlbie, until all have done it") \
	X(tlb, invalidate, COUNT, 0, 0, 2, "how others' TLBs are reached, if the architecture has no say: 0 by IPI, 1 broadcast, 2 broadcast, one at a time") \
	X(tlb, per_core, COUNT, 1, 0, 1, "1: SMT siblings share the TLBs of their core; 0: each has its own") \
	X(tlb, l1_entries, COUNT, 64, 0, 4096, "L1 TLB, base pages; 0: a simple TLB of 1024 pages that costs the host least") \
	X(tlb, l1_ways, COUNT, 4, 1, 4096, "its associativity")                                    \
	X(tlb, l1_large_entries, COUNT, 32, 0, 4096, "L1 TLB, pages of the next size")             \
	X(tlb, l1_large_ways, COUNT, 4, 1, 4096, "its associativity")                              \
	X(tlb, l1_giant_entries, COUNT, 4, 0, 4096, "L1 TLB, larger pages")                        \
	X(tlb, l1_giant_ways, COUNT, 4, 1, 4096, "its associativity")                              \
	X(tlb, l2_entries, COUNT, 1536, 0, 65536, "L2 TLB, all pages")                             \
	X(tlb, l2_ways, COUNT, 12, 1, 4096, "its associativity")                                   \
	X(tlb, l2_hit, NS, 2.5, 0, 1000, "a translation from the L2 TLB")                          \
	X(tlb, walk_entries_1, COUNT, 32, 0, 1024, "paging-structure cache: entries that lead to a last-level table (x86: PDE)") \
	X(tlb, walk_entries_2, COUNT, 4, 0, 1024, "to a table one level up (PDPTE)")              \
	X(tlb, walk_entries_3, COUNT, 2, 0, 1024, "to a table two levels up (PML4E)")             \
	X(tlb, pcids, COUNT, 6, 1, 8, "address spaces that a CPU's TLB keeps apart, where flushes go by IPI") \
	X(tlb, asid_bits, COUNT, 16, 4, 16, "width of an ASID, where they are the same on all CPUs (arm64)") \
	X(tlb, range_operations, COUNT, 0, 0, 1, "1: one broadcast operation can name a range")    \
	X(cost, slb_miss, NS, 60.0, 0, 100000, "segment interrupt and SLB fill (ppc64-hash)")      \
	X(cost, hash_work, NS, 100.0, 0, 100000, "local instructions of a hash fault, beyond the exception (ppc64-hash)") \
	X(sched, slice, NS, 3000000.0, 1000, 1000000000, "time slice")                             \
	X(sched, relax_max, NS, 2000.0, 1, 10000000, "longest sleep of a spin-wait on unwritten lines") \
	X(rcu, gp_min, NS, 100000.0, 0, 1000000000, "shortest grace period")                       \
	X(rcu, callback, NS, 40.0, 0, 100000, "local instructions per call-back")

#define MACHINE_MODEL_COUNT u64
#define MACHINE_MODEL_NS u64
#define MACHINE_MODEL_MEMBER(section, key, unit, def, min_, max_, meaning)                         \
	MACHINE_MODEL_##unit section##_##key; /* COUNT as is; NS in picoseconds */

#define MACHINE_FITTED_MAX 2

struct machine_model {
	char name[64];
	char summary[160];
	char arch[32]; /* what its CPUs are, by the name in arch_all[]: "x86_64" if the file is silent */
	enum machine_kind kind;
	MACHINE_MODEL_FIELDS(MACHINE_MODEL_MEMBER)
	u32 fitted_count;
	char fitted[MACHINE_FITTED_MAX][160]; /* "cost.fault_work: to pft, 1 thread, 628011 faults/s" */
};

struct machine_model_error {
	char text[256]; /* one line, lower case, names file, line, key, value and what is allowed */
};

/* A preset's name, or a path (it contains a '/' or ends in .ini). 0, -ENOENT (no such preset: error
 * names the nearest), -EINVAL (error says where), -errno. */
int MUST_CHECK machine_model_load(struct machine_model *model, const char *name_or_path,
				  struct machine_model_error *error);
/* key: "section.key"; value as in the file. 0 or -EINVAL, -ERANGE with error. */
int MUST_CHECK machine_model_set(struct machine_model *model, const char *key, const char *value,
				 struct machine_model_error *error);
/* Preset names, NULL-terminated, in a fixed order. */
const char *const *machine_model_presets(void);

/* Logical CPUs, and the place of the i-th in filling order (cores first, sockets round-robin, then SMT). */
u32 machine_model_cpus(const struct machine_model *model);
struct cpu_place {
	u16 socket, cluster, core, thread; /* cluster and core are machine-wide numbers */
};
struct cpu_place machine_model_place(const struct machine_model *model, u32 cpu);

/* Host memory that a run takes, roughly: for deciding how many to have at once. */
u64 machine_model_memory(const struct machine_model *model, u32 cpus, u32 tasks);

/* Distance classes, nearest first. */
enum cpu_distance { DIST_SELF, DIST_SMT, DIST_CLUSTER, DIST_SOCKET, DIST_REMOTE, DIST_COUNT };
enum cpu_distance machine_model_distance(struct cpu_place a, struct cpu_place b);

#endif
