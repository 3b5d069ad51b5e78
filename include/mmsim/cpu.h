/*
 * mmsim/cpu.h - simulated CPUs, tasks, time, interrupts: what an engine provides
 *
 * A *machine* is one simulated computer; everything of a run hangs off it, so that each run starts
 * from fresh state. A *task* is a thread of simulated execution; a *CPU* is what it runs on.
 * native: each task is a pthread with a simulated CPU of its own, pinned to host CPU
 * (index mod cpus) through hwloc when the host has that many; so per-CPU data needs no protection
 * other than preempt_disable(), which natively costs nothing.
 */
#ifndef MMSIM_CPU_H
#define MMSIM_CPU_H

#include <errno.h>

#include <mmsim/atomic.h>
#include <mmsim/counters.h>
#include <mmsim/preempt.h>
#include <mmsim/rcu.h>
#include <mmsim/rwsem.h>
#include <mmsim/wait.h>

#define MMSIM_CPUS_MAX 2048
#define MMSIM_TASKS_MAX MMSIM_CPUS_MAX
/* CPUs beyond those of engine_run()'s tasks: for machine_enter(), and one that runs RCU call-backs. */
#define MMSIM_BOOT_CPUS 7
/* Every CPU's id is below this. */
#define MMSIM_CPU_IDS_MAX (MMSIM_CPUS_MAX + 64)

struct machine;
struct machine_model;
struct mm;

/* One bit per simulated CPU. */
struct cpumask {
	u64 bits[MMSIM_CPU_IDS_MAX / 64];
};

#define TASK_SCRATCH_BYTES 1024

/*
 * A task. `scratch` is memory in which other CPUs may look (lock waiter nodes, range-lock nodes):
 * such nodes are never on a stack. mm/ lays its per-task part over it (mm_task() in mm.h).
 */
struct task {
	u32 id; /* 0.. in the machine; also the index given to engine_run()'s function */
	struct cpu *cpu;
	struct machine *machine;
	u32 killed;	 /* (atomic) a fatal signal is pending */
	u32 on_cpu;	 /* (atomic) 0 while it sleeps: what optimistic spinners ask of a lock's owner */
	u32 park_token;	 /* (atomic) see task_park() */
	u32 *sleep_word; /* (atomic) what a killable wait sleeps on, or NULL; for task_kill() */
	void *held;	 /* lock_rank.c, debug builds */
	struct mm *mm;	 /* (own) whose page table it runs on: mmu_switch() */
	const void *waits_for; /* (own) a lock that it waits for, for reports, or NULL */
	struct rwsem_waiter rwsem_waiter __cacheline_aligned; /* a task waits for one rwsem at a time */
	struct osq_node osq __cacheline_aligned;
	u64 scratch[TASK_SCRATCH_BYTES / 8] __cacheline_aligned;
#if defined(MMSIM_ENGINE_VIRTUAL)
	u64 counters[COUNTER_COUNT]; /* several tasks share a CPU */
#endif
};

/* A simulated CPU. Fields below the first line belong to the CPU itself unless marked (atomic). */
struct cpu {
	u32 id;
	struct machine *machine;
	struct task *task;	/* running here */
	char *percpu_base;	/* this CPU's copy of all per-CPU data (percpu.h) */
	struct mm *active_mm;	/* whose page table the MMU of this CPU walks; see tlb.h */
	void *tlb;		/* struct tlb, owned by arch */
	u64 counters[COUNTER_COUNT]; /* native: see task_counters() */

	/* The instruction window: see cpu_insn_begin(). native only. */
	u32 in_insn __cacheline_aligned; /* (atomic) */
	u32 ipi_hold;			 /* (atomic) how many CPUs want to run a handler in our stead */
	u32 ipi_owner_lock;		 /* (atomic) serialises initiators */
};

extern __thread struct cpu *mmsim_this_cpu;
static inline struct cpu *this_cpu(void)
{
	return mmsim_this_cpu;
}
static inline struct task *current_task(void)
{
	return mmsim_this_cpu->task;
}

/*
 * The calling task waits for a lock from here on; NULL: no more. For reports; whose waits nest, the outermost is
 * charged with the time. Returns what it waited for before.
 */
#if defined(MMSIM_ENGINE_VIRTUAL)
const void *task_waits_for(const void *lock);
#else
static inline const void *task_waits_for(const void *lock)
{
	const void *outer = current_task()->waits_for;

	current_task()->waits_for = lock;
	return outer;
}
#endif

/* What the calling task has counted, [COUNTER_COUNT]. */
static inline u64 *task_counters(void)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	return current_task()->counters;
#else
	return this_cpu()->counters; /* which is the task's alone */
#endif
}

/* Never priced: counting must not change what is counted. */
static inline void count_events(enum counter c, u64 n)
{
	u64 *counter = &task_counters()[c];

#if defined(MMSIM_ENGINE_VIRTUAL)
	*counter += n;
#else
	WRITE_ONCE(*counter, *counter + n); /* written here only; others may read the sum */
#endif
}
static inline void count_event(enum counter c)
{
	count_events(c, 1);
}

/* ---- machines and tasks -------------------------------------------------------------- */

/* Which CPU runs next (virtual). */
enum schedule {
	SCHEDULE_TIME,	 /* the one whose clock is smallest */
	SCHEDULE_RANDOM, /* at every shared-memory operation any that could run, drawn from the seed */
};

struct machine_config {
	u32 tasks;	   /* how many at the most, 1..MMSIM_TASKS_MAX; natively each has a simulated CPU */
	u32 cpus;	   /* host CPUs to spread them over (native; 0: all), or simulated CPUs (virtual;
			    * 0: one per task) */
	u64 memory_bytes;  /* simulated physical memory */
	u32 content_words; /* 64-bit words of content kept per page; 0: 8 (virtual: a line), 1 (native) */
	u64 seed;
	/* virtual only */
	const struct machine_model *model; /* NULL: one socket with as many cores as CPUs; copied */
	enum schedule schedule;
};

/* NULL with errno set: EINVAL for a task count out of range, else the host's reason. The caller
 * owns it. */
struct machine *machine_create(const struct machine_config *cfg);
void machine_destroy(struct machine *m); /* no task may be inside */
const struct machine_config *machine_config(const struct machine *m);

/* Memory subsystem state (page.h) and files (file.h) hang here; set once by mm_machine_init(). */
void *machine_private(const struct machine *m);
void machine_set_private(struct machine *m, void *p);

/* The rwsems of the machine behave as Linux's did before 5.3 (rwsem.h). Set before any task runs. */
void machine_set_classic_rwsem(struct machine *m, bool classic);
bool machine_classic_rwsem(const struct machine *m);

/*
 * Memory in which simulated CPUs meet: what several of them write must come from here (or from an
 * objcache or percpu_alloc()), because in virtual time only this memory has cache lines. Zeroed,
 * aligned to `align` (a power of two up to 2 MiB); host memory is used as it is touched. NULL: none.
 */
void *MUST_CHECK machine_memory_alloc(struct machine *m, u64 bytes, u64 align);
void machine_memory_free(struct machine *m, void *p, u64 bytes);

/*
 * Memory nodes: virtual: one per socket; natively one, whatever the host has. machine_memory_on_node()
 * says of which node a piece of machine memory is; all else is of the node that touches it first.
 */
#define MMSIM_NODES_MAX 64
#if defined(MMSIM_ENGINE_VIRTUAL)
u32 machine_node_count(const struct machine *m);
u32 cpu_node(const struct cpu *cpu);
void machine_memory_on_node(struct machine *m, const void *p, u64 bytes, u32 node);
#else
static inline u32 machine_node_count(const struct machine *m)
{
	(void)m;
	return 1;
}
static inline u32 cpu_node(const struct cpu *cpu)
{
	(void)cpu;
	return 0;
}
static inline void machine_memory_on_node(struct machine *m, const void *p, u64 bytes, u32 node)
{
	(void)m, (void)p, (void)bytes, (void)node;
}
#endif

/*
 * fn(next) runs on a CPU, as task next, when it goes from one task to another or has been idle. May use the primitives, may not sleep. Never natively, where each task has a CPU of its own.
 */
void machine_set_task_switch(struct machine *m, void (*fn)(struct task *next));

/*
 * Make the calling host thread a task of the machine, with a CPU of its own, for set-up, tests and
 * single-threaded use, until machine_leave(). Costs are not part of any measurement. Up to
 * MMSIM_BOOT_CPUS host threads may be inside at once; a thread is inside one machine at a time.
 */
void machine_enter(struct machine *m);
void machine_leave(void);

/*
 * Run fn(arg, i) for i in [0, tasks) as tasks of the machine, all at once; returns when all have
 * returned. The caller must not be entered itself. Returns 0, or -errno if threads cannot be had
 * (then none ran). *pinned (may be NULL) tells whether every task got a host CPU of its own.
 */
int MUST_CHECK engine_run(struct machine *m, u32 tasks, void (*fn)(void *arg, u32 index), void *arg,
			  bool *pinned);

/* A fatal signal: the task's killable waits return -EINTR from now on. Any context. */
void task_kill(struct task *t);

/* The sleep of one task, on which sleeping locks are built. task_park() returns after a
 * task_unpark() that no earlier park consumed; it may also return for no reason, so callers loop.
 * What was done before the unpark is visible after the park. */
void task_park(void);
void task_unpark(struct task *t);
static inline bool task_killed(void)
{
	return READ_ONCE(current_task()->killed) != 0;
}
struct task *machine_task(struct machine *m, u32 index); /* NULL when it does not run */

/* Sum of one counter over all CPUs; exact when no task runs. */
u64 machine_counter(const struct machine *m, enum counter c);
void machine_counters_reset(struct machine *m); /* no task may run */
u32 machine_cpu_count(const struct machine *m); /* CPUs that exist, for for_each loops */
struct cpu *machine_cpu(const struct machine *m, u32 id);
/* No task runs there now, and none without machine_set_task_switch()'s function being called. */
bool cpu_is_idle(const struct cpu *cpu);

/* ---- time ---------------------------------------------------------------------------- */

/* Nanoseconds of the engine's clock (native: monotonic wall time from the TSC where it is
 * invariant, else clock_gettime). Monotonic per task. */
u64 engine_now_ns(void);
/* The same for books that only some runs keep: who spins is not taken to look at the clock, which decides in virtual
 * time when it looks again. */
#if defined(MMSIM_ENGINE_VIRTUAL)
u64 engine_now_unpriced_ns(void);
#else
#define engine_now_unpriced_ns() engine_now_ns()
#endif
/* Likewise in ps: for who shows what a few loads cost. */
u64 engine_now_ps(void);
/* Local work that the model prices (a syscall entry, think time): native really spends it when
 * `spin` asks for that, by spinning or, for long times, sleeping. */
void engine_delay_ns(u64 ns);
/* Let other tasks run. */
void engine_yield(void);
/* User and system time that the calling task has used, ns. */
void engine_cpu_time_ns(u64 *user_ns, u64 *system_ns);

/* ---- interrupts ---------------------------------------------------------------------- */

/*
 * One user instruction's memory access (TLB look-up, walk, load or store) is atomic with respect
 * to interrupts: it runs between these two. Nothing inside may block or fault into mm/. State that
 * an ipi_call_mask() function changes (a CPU's TLB) is touched by its own CPU only inside a window.
 * native: two plain stores and a load; the initiator of an IPI pays for both sides' ordering with
 * membarrier(2), which itself interrupts every CPU that runs this process.
 */
static inline void cpu_insn_begin(struct cpu *cpu);
static inline void cpu_insn_end(struct cpu *cpu);

/*
 * Run fn(target, arg) once for each CPU in mask but the caller's; returns when all have run, and
 * no target is inside an instruction window that began before its fn ran. native: the caller
 * runs fn in the target's stead while the target is held off its next window. fn must be short,
 * take no locks, and touch only the target's own state. The caller must not hold PTE locks that
 * a CPU with interrupts disabled may spin on. Returns the number of targets.
 */
u32 ipi_call_mask(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg);

/*
 * The same for the end of translations where the fabric carries it (arm64's TLBI, ppc64's tlbie):
 * no CPU is interrupted, none but the caller pays. `operations`: instructions of which each
 * reaches all CPUs; `serialised`: the machine does one of them at a time. native: as
 * ipi_call_mask(), uncounted.
 */
u32 tlbi_broadcast(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg,
		   u64 operations, bool serialised);
/* How the machine does it whatever the architecture says (enum tlb_invalidation, arch.h): the more
 * of the two counts. native: TLBI_BY_IPI. */
u32 machine_tlb_invalidation(const struct machine *m);

#if defined(MMSIM_ENGINE_NATIVE)
#include <mmsim/native/cpu.h>
#else
#include <mmsim/virtual/cpu.h>
#endif

#endif
