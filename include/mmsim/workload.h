/*
 * mmsim/workload.h - a workload: what programs do to an address space, and how it is measured
 *
 * A workload is one `const struct workload` in one file of workloads/, listed in workloads/all.c.
 * It makes system calls with mm_*() and touches memory with user_read() / user_write(); it never
 * learns which scheme, engine or machine it runs on.
 *
 * Life of one run (sim/cli/run.c drives it; library users may, too):
 *   bench_init()   machine, address space(s), workload->setup()          one task, entered
 *   bench_run()    every task: start barrier, workload->run_task()       all tasks at once
 *   bench_fini()   workload->teardown(), address spaces, leak checks     one task, entered
 *
 * Windows      What is measured is what happens between a task's window_open and window_close:
 *              operations, counters, CPU time. Three kinds of workload:
 *                free      each task loops on its own: warm-up, a window that is the same for all,
 *                          then it keeps running unmeasured until every other task has closed
 *                          its own too, so that the load does not thin out while somebody is
 *                          still measured. elapsed: operations by the sum of the tasks' rates.
 *                lockstep  tasks meet in bench_round() and all decide the same; sections that
 *                          count can be marked (bench_section_begin/_end, see pft).
 *                          elapsed = the sections, or else first open to last close.
 *                once      a fixed piece of work (a replay): no warm-up, no duration.
 *                          elapsed = first open to last close.
 * Latencies    Two clock reads around a 60 ns operation would be most of what they measure. So one
 *              operation in `sample` is timed, at random distances (mean `sample`, so that no
 *              pattern of the workload - a table page every 512 faults - is always or never hit).
 *              percentiles are those of the sampled operations; op_ns_max is the largest *sampled*
 *              one, a lower bound of the true maximum, and p999 needs some 10 000 of them; -p
 *              sample=1 times every operation. The cost of a clock read (10 ns by TSC) is included
 *              in each and reported beside them (--json: clock_read_ns). Measured on a 133 ns
 *              fault (page_fault1, one CPU, TSC): sample=1 makes it 154 ns, 4: 143, 16 (its
 *              default): 138, 64: 136.
 * Hot loop     One decrement and two predictable branches per operation; no shared memory.
 */
#ifndef MMSIM_WORKLOAD_H
#define MMSIM_WORKLOAD_H

#include <mmsim/cpu.h>
#include <mmsim/hist.h>
#include <mmsim/mm.h>
#include <mmsim/param.h>
#include <mmsim/tlb.h>

struct bench;
struct bench_task;
struct workload;

/* ---- parameters (-p key=value): param.h ---------------------------------------------------- */

#define BENCH_PARAMS_MAX 24

/* Parameters that every workload has: sample, memory, content_words. See workloads/bench.c. */
extern const struct param bench_common_params[];

/* The parameter called key, of the workload or common; NULL: none. *slot: where its value goes. */
const struct param *bench_param_find(const struct workload *w, const char *key, u32 *slot);
/* Visit all of them (the workload's own first); NULL at the end. */
const struct param *bench_param_at(const struct workload *w, u32 slot);
/* 0 and *value, or -EINVAL: not of the type, -ERANGE: outside [min, max], or no power
 * of two where it has to be one. */
int MUST_CHECK bench_param_parse(const struct param *p, const char *text, u64 *value);

/* ---- a workload ---------------------------------------------------------------------------- */

enum workload_kind { WORKLOAD_FREE, WORKLOAD_LOCKSTEP, WORKLOAD_ONCE };

struct workload {
	const char *name;
	const char *summary; /* one line for `mmsim list workloads` */
	const char *op;      /* what is counted, singular: "page written" */
	enum workload_kind kind;
	u32 threads_per_cpu;        /* default of --threads, as a multiple of the CPUs */
	u32 sample;                 /* default of -p sample */
	const struct param *params; /* ends with key == NULL; may be NULL */

	bool sections; /* lockstep: measured is bench_section_begin() to _end(), see pft */
	/* The workload makes its own address spaces (replay): b->mm is NULL, mmu_switch() too. */
	bool own_mm;

	/* Optional. May refuse a combination by bench_fail(). There is no machine yet. */
	int (*check)(struct bench *b);
	/* Optional: how many tasks the workload has, whatever --threads says. */
	u32 (*task_count)(const struct bench *b);
	/* Simulated memory that it needs at the most, bytes, for b->tasks tasks. */
	u64 (*memory_bytes)(const struct bench *b);
	/* One task is entered, with b->mm loaded. 0, or -errno (bench_fail() says more). */
	int (*setup)(struct bench *b);
	/* Runs in every task; the address space of the task is loaded. */
	void (*run_task)(struct bench_task *t);
	/* One task is entered. Undo setup(); what is still mapped is unmapped by the framework. */
	void (*teardown)(struct bench *b);
	/* Optional: after the run, before teardown(): why the row is not to be trusted, or "". */
	void (*note)(const struct bench *b, char *text, size_t bytes);
};

/* NULL-terminated; those that need no input file. */
extern const struct workload *const workload_all[];
const struct workload *workload_find(const char *name);

/* ---- a run --------------------------------------------------------------------------------- */

#define BENCH_ERROR_BYTES 256

struct bench_config {
	const struct workload *workload;
	const struct mm_locking *locking;
	struct mm_config mm; /* era, tree, parameters of schemes */
	const struct arch_desc *arch;
	u32 cpus;
	u32 tasks;
	u64 duration_ns; /* measured; not used when ops is set */
	u64 ops;         /* measured, all tasks together; 0: duration_ns decides */
	u64 warmup_ns;
	u64 seed;
	const u64 *params; /* values by slot; NULL: defaults */
	void *arg;         /* for the workload: bench->arg (replay's trace) */
	/* virtual: as in struct machine_config */
	const struct machine_model *model;
	enum schedule schedule;
	/* Optional: task 0 calls it as its measurement begins and ends (hardware counters). */
	void (*on_measure)(void *arg, bool begin);
	void *on_measure_arg;
};

/* What one task measured. Its own until bench_run() has returned. */
struct bench_window {
	u64 start_ns, end_ns; /* first open, last close; engine's clock */
	u64 user_ns, system_ns;
	u64 ops;
	u64 counters[COUNTER_COUNT];
};

enum bench_phase { BENCH_WARMUP, BENCH_MEASURE, BENCH_COOLDOWN };

/* A task's side of the run. Only the task itself touches it while tasks run. */
struct bench_task {
	u32 until_sample; /* operations until the next timed one; 0: it is being timed */
	bool stop;        /* leave the loop */
	u8 phase;         /* enum bench_phase */
	bool open;        /* the window is */
	u32 index;        /* 0.. < b->tasks */
	u32 interval;     /* what until_sample started from */
	u64 op_start_ns;
	u64 budget; /* operations left to measure (ops mode) */
	u64 rng;
	struct bench *bench;
	struct mm *mm;
	struct hist *latency;
	void *priv; /* the workload's */
	struct bench_window w;
	/* at window_open */
	u64 open_user_ns, open_system_ns, open_at_ns;
	u64 section_start_ns, section_end_ns; /* of this round */
	u64 open_counters[COUNTER_COUNT];
} __cacheline_aligned;

struct bench {
	/* constant while tasks run */
	struct bench_config cfg;
	const struct workload *workload;
	struct machine *machine;
	struct mm *mm;   /* the shared one, or task 0's; NULL with own_mm */
	struct mm **mms; /* one per task (all the same unless processes=1) */
	u32 mm_count;
	u32 tasks, cpus;
	u64 params[BENCH_PARAMS_MAX];
	void *arg;  /* cfg.arg */
	void *priv; /* the workload's */
	struct bench_task *task;
	u32 sample;

	struct sim_barrier barrier;       /* all tasks: for lockstep workloads */
	u32 finished __cacheline_aligned; /* (atomic) tasks whose window has closed */
	u32 begun, ended;                 /* (atomic) tasks that began, ended their measured part */
	u32 failed;                       /* (atomic) somebody called bench_fail(): all stop */
	u64 start_ns;                     /* (written by task 0 before the start barrier) */
	u32 round_phase;                  /* (written by task 0 between the barriers of a round) */
	u64 section_ns;                   /* (task 0) lockstep: sections of all rounds */

	/* results, after bench_run() */
	bool pinned;
	u64 clock_read_ns;
	char error[BENCH_ERROR_BYTES]; /* (first bench_fail() wins) */
};

/* Totals over the tasks of a run. */
struct bench_totals {
	u64 elapsed_ns, ops, user_ns, system_ns;
	u64 windows_ns; /* of all tasks together: what the counters are of */
	u64 counters[COUNTER_COUNT];
	struct hist *latency; /* merged; the caller owns it */
};

/*
 * A fresh machine with everything set up. On failure -errno, with a message in b->error, and
 * nothing is left to undo. *b needs no initialisation. The caller must not be entered.
 */
int MUST_CHECK bench_init(struct bench *b, const struct bench_config *cfg);
/* Run all tasks to the end. 0, or -errno with a message in b->error. bench_fini() either way. */
int MUST_CHECK bench_run(struct bench *b);
/* Sum up; totals->latency is NULL when there is no memory for it. */
void bench_totals(const struct bench *b, struct bench_totals *totals);
/* Tear down and check for leaks (they stop the program: MMSIM_BUG); after a failed run, too. */
void bench_fini(struct bench *b);

/* Ask a run to end soon (signal handlers may call it): windows are abandoned, bench_run() gives
 * -EINTR. Stays set until bench_interrupt_clear(). */
void bench_interrupt(void);
void bench_interrupt_clear(void);
bool bench_interrupted(void);

/* ---- what run_task() calls ----------------------------------------------------------------- */

u64 bench_param(const struct bench *b, const char *key); /* MMSIM_BUG if there is no such key */

/* The run cannot go on: record why (the first message is kept) and make every task stop. Any task;
 * also from setup() and check(). Returns -EINVAL, for setup() and check() to pass on. */
int bench_fail(struct bench *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* free: go on with the outer loop? One load of a flag of the task's own. */
static inline bool bench_running(const struct bench_task *t)
{
	return !t->stop;
}

void bench_sample_begin(struct bench_task *t);
void bench_sample_end(struct bench_task *t);

/* Around one operation. After bench_op_end() check t->stop wherever leaving early is all right. */
static inline void bench_op_begin(struct bench_task *t)
{
	if (unlikely(--t->until_sample == 0))
		bench_sample_begin(t);
}
static inline void bench_op_end(struct bench_task *t)
{
	if (unlikely(t->until_sample == 0))
		bench_sample_end(t);
}

/* lockstep: all tasks meet; true: another round. Only whole rounds are measured. */
bool MUST_CHECK bench_round(struct bench_task *t);
/* lockstep: only what lies between counts as elapsed (every task calls both in every round). */
void bench_section_begin(struct bench_task *t);
void bench_section_end(struct bench_task *t);

/* once: the window is the task's to open and close, and it records operations itself: n of them
 * done; bench_record() adds one latency. */
void bench_window_open(struct bench_task *t);
void bench_window_close(struct bench_task *t);
static inline void bench_count_ops(struct bench_task *t, u64 n)
{
	t->w.ops += n;
}
void bench_record(struct bench_task *t, u64 ns);

/* xorshift64*: of the task, from the run's seed and the task's index. */
u64 bench_random(struct bench_task *t);

/* The run fails, with a message that says where. Returns false, for its callers to pass on. */
bool bench_access_failed(struct bench_task *t, u64 va, enum fault_result res);
static inline bool bench_write(struct bench_task *t, u64 va, u64 value)
{
	enum fault_result res = user_write(va, value);

	return likely(res == FAULT_OK) || bench_access_failed(t, va, res);
}
static inline bool bench_read(struct bench_task *t, u64 va, u64 *value)
{
	enum fault_result res = user_read(va, value);

	return likely(res == FAULT_OK) || bench_access_failed(t, va, res);
}
/* mm_mmap() that must succeed: the address, or 0 when the run has failed. */
u64 bench_mmap(struct bench_task *t, u64 len, u32 prot, u32 flags, struct file *file, u64 offset);
/*
 * count private anonymous mappings of `bytes` each, with a gap between two so that they are VMAs of their own (0:
 * they are one); where they begin goes to base[]. Cut out of one mapping: mmap() would put the next one into
 * the gap. 0 or -errno, bench_fail() called.
 */
int MUST_CHECK bench_map_apart(struct bench *b, struct mm *mm, u64 bytes, u64 gap, u64 *base, u32 count);
/* At hint, if it is free (0: anywhere). */
u64 bench_mmap_at(struct bench_task *t, u64 hint, u64 len, u32 prot, u32 flags, struct file *file,
		  u64 offset);
/* A call of mm_*() that must succeed has returned err. False: the run has failed; said why. */
bool bench_worked(struct bench_task *t, const char *call, int err);
/* mm_munmap() that must succeed. */
bool bench_munmap(struct bench_task *t, u64 addr, u64 len);

#endif
