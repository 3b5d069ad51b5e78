/*
 * sim/virtual/internal.h - what the files of the virtual engine share and nobody outside needs
 *
 * docs/VIRTUAL.md is the design. One host thread runs everything here; nothing needs a lock.
 */
#ifndef MMSIM_VIRTUAL_INTERNAL_H
#define MMSIM_VIRTUAL_INTERNAL_H

#include "sim/engine.h"
#include "sim/virtual/context.h"

#include <mmsim/charge.h>
#include <mmsim/list.h>
#include <mmsim/machine_model.h>

#define PS_PER_NS 1000ull
#define TIME_NEVER (~0ull)

/* ---- cache lines (lines.c) -------------------------------------------------------------------- */

#define LINE_SHIFT 6
#define NO_CPU 0 /* in `state`: CPU ids are stored plus one */
#define LINE_WORDS (MMSIM_CACHE_LINE_BYTES / 8)

/* One line of the directory: one host cache line. All zero: never touched. */
struct vline {
	u64 busy_ps;	/* until when the line is on its way to somebody */
	u64 sockets;	/* bit mask of groups (vcpu.group_bit) where copies may be */
	u32 version;	/* bumped when a write takes it from others */
	u32 state;	/* low half: owner + 1; high half: how many others have read it since */
	u32 sleepers;	/* relax_node + 1 of the first task that waits for a write; 0: none */
	u8 home;	/* socket + 1; 0: not yet given */
	u8 written;	/* words, by its owner, since it came to it */
	u8 word;	/* that the first transfer was because of */
	bool along : 1;	/* its owner has got it along with the adjacent line, which it wrote */
#ifdef MMSIM_CHECK_CHARGES
	bool unpriced : 1; /* the checker does not look at it */
#endif
	/* statistics: accesses that had to go out to the line */
	u32 words; /* its entry of machine.word_sums, plus one; 0: none yet */
	u32 transfers, owner_changes;
	u32 lock_waits; /* the first of machine.lock_waits that is for it, plus one; 0: none */
	u64 queue_ps;	/* queueing for it */
	u64 cost_ps;	/* queueing and transfer, but what was part of waiting for a lock */
} __cacheline_aligned;
_Static_assert(sizeof(struct vline) == 64, "one host line per simulated line");

enum access_op { OP_NONE, OP_LOAD, OP_WRITE, OP_NODE, OP_FABRIC };

/* A line and the version at which it was seen: what a private cache's entry holds. */
#define TAG_VERSION_BITS 24
static inline u64 line_tag(u64 line, u32 version)
{
	return line << TAG_VERSION_BITS | (version & ((1u << TAG_VERSION_BITS) - 1));
}

#define FILL_BUFFERS 10 /* prefetches on their way, per CPU: as on Intel's cores since Nehalem */
#define SEEN_LINES 4 /* that cpu_relax() waits for */

/* Of a line with many transfers, how many there were by word. */
#define WORDS_FROM 16 /* transfers on */
struct word_sums {
	u32 written[LINE_WORDS]; /* because it was, or is, written */
	u32 read[LINE_WORDS];	 /* to read it */
	u32 along;		 /* because the adjacent line was written */
};

/* What tasks have waited for a lock, spinning or asleep. */
struct lock_wait_sum {
	u64 line;
	u8 word;
	u32 next; /* of the same line, plus one */
	u64 waits, wait_ps;
};

struct relax_node {
	u32 next, prev; /* circular, + 1 */
	u64 line;	/* plus one; 0: not linked */
};

/* ---- tasks and CPUs ---------------------------------------------------------------------------- */

enum vtask_state { TASK_UNUSED, TASK_READY, TASK_RUNNING, TASK_SLEEPING, TASK_ENDED };

struct vtask {
	struct task *task; /* in the region */
	struct vcpu *cpu;
	struct context context;
	u8 state; /* enum vtask_state */
	bool wake_pending;
	bool in_kernel;
	bool softirq; /* runs the CPU's RCU call-backs */
	struct vtask *next_ready;
	void (*fn)(void *arg, u32 index);
	void *arg;
	u64 user_ps, system_ps, mark_ps;
	u64 vruntime_ps, run_since_ps; /* time on the CPU: who may preempt whom */
	/* what it sleeps for: reports, and for task_kill() */
	const char *sleeps_in;
	const void *sleeps_on;
	const void *channel_key;
	/* the outermost lock that it waits for: its statistics */
	const void *waited;
	u64 waited_since_ps;
	struct list_head channel_link; /* empty: on no channel */
#ifdef MMSIM_CHECK_CHARGES
	struct charge_set *charges;
#endif
};

struct rcu_list {
	struct rcu_head *head, **tail;
};

struct virq {
	struct virq *next;
	void (*fn)(struct cpu *target, void *arg);
	void *arg;
	u64 due_ps;
	u64 number; /* for the timeline */
	struct vcpu *sender;
	bool by_fabric; /* the target does not notice */
};

struct vcpu {
	struct engine_cpu e; /* first: mmsim_engine_cpu points here */
	struct machine *m;
	struct cpu *cpu; /* in the region */
	u32 id;
	struct cpu_place place;

	/* pricing */
	u64 region, region_bytes; /* 0 bytes: nothing is priced (machine_enter()) */
	u64 group_bit;		  /* of vline.sockets: the cluster, or socket, that it shares an LLC with */
	u64 rmw_ps;
	u64 contended_ps; /* a line that moved less than this ago counts as contended */
	struct vline *lines;
	u64 *l1, *l2;
	u64 l1_mask, l2_mask;
	u64 fill_line[FILL_BUFFERS], fill_ps[FILL_BUFFERS]; /* prefetched lines; when they arrive */
	u64 fills_until_ps; /* the last of them */
	u64 held_line, held_until_ps, hold_ps; /* after a compare-and-swap that failed */
	u64 seen[SEEN_LINES]; /* tags */
	u32 seen_count;
	bool nosched; /* inside an interrupt handler: operations do not wait */
#ifdef MMSIM_CHECK_CHARGES
	s32 unpriced; /* inside checks that only some builds make */
#endif
	u64 ops, transfers;

	/* scheduling */
	bool busy;    /* has a task */
	u8 pend;      /* enum access_op that waits for its turn to be reserved */
	bool relaxing;	  /* in cpu_relax(), or in a long piece of local work: may be poked */
	bool relax_woken; /* by a write */
	bool clock_read;  /* since the last cpu_relax() */
	u8 relax_vain;	  /* how many sleeps of a spin-wait in a row nobody ended */
	u64 relax_ops;	  /* ops at the end of the last of them */
	u64 pend_line;	  /* OP_NODE, OP_FABRIC: how long */
	u64 pend_tag;  /* out: of the line as it was reserved */
	u8 pend_word; /* OP_NODE: which */
	bool waits_for_lock; /* curr does: curr->waited */
	bool prefetches;     /* its transaction is one that nobody waits for */
	u64 ready_ps; /* when an idle CPU gets to its first task */
	struct vtask *curr, *last;
	bool was_idle; /* since last ran */
	struct vtask *ready_head, *ready_tail;
	u64 slice_end_ps;

	/* interrupts */
	struct virq *irqs;
	u64 irq_due_ps; /* smallest of irqs; TIME_NEVER */
	u64 irq_debt_ps, irq_debt_until_ps; /* handlers that ran while it waited: see ipi.c */
	bool awaits_acks;
	u32 acks_awaited;
	u64 ack_ps;

	/* RCU: rcu.c */
	struct rcu_list rcu_new;  /* queued since the current grace period began */
	struct rcu_list rcu_wait; /* waiting for the current one */
	struct rcu_list rcu_done; /* to be run */
	u64 rcu_queued, rcu_ran;
};

struct heap_node {
	u64 key;
	u64 tie; /* sequence << 16 | id */
};

#define WAIT_BUCKETS 1024

struct machine {
	struct machine_config cfg;
	struct machine_model model;
	void *private;
	bool classic_rwsem;
	u32 cpu_count; /* simulated ones, then the one of machine_enter() */
	u32 task_count;
	struct vcpu *vcpus;
	struct vtask *vtasks; /* engine_run()'s, then machine_enter()'s, then one per CPU for RCU */
	struct cpu *cpus;     /* in the region */
	struct task *tasks;   /* in the region */
	char *percpu_areas;
	struct percpu_books percpu;
	percpu_t spin_nodes; /* spinlock.c */
	void (*task_switch)(struct task *next);

	/* region.c */
	char *region;
	u64 region_bytes, region_top;
	struct vline *lines;
	struct region_free *region_free;
	struct node_range *node_ranges; /* by rising start, disjoint */
	u32 node_range_count, node_range_capacity;

	/* prices, ps */
	u64 cost_ps[COST_KINDS];
	u64 transfer_ps[DIST_COUNT];
	u64 socket_groups[64]; /* bits of vline.sockets by socket */
	u64 lookahead_ps;
	u64 node_busy_ps[64]; /* per socket: COST_PAGE_SERIAL */
	u64 fabric_busy_ps;   /* serialised TLB invalidations */
	u32 *core_busy;	      /* per core: CPUs that have a task */
	u32 cores, cores_busy;

	/* sched.c */
	struct heap_node *heap, *heap_memory;
	u32 heap_count;
	u32 *heap_pos; /* by id: plus one; 0: not in the heap. Not in vcpu: a sift touches many */
	u64 sequence;
	u64 event_ps;  /* of the machine's own event that is being handled */
	u64 now_ps;    /* where the next run starts */
	u64 random;
	bool running;  /* inside engine_run() */
	u32 live;      /* tasks of engine_run() that have not ended */
	struct vcpu *on_host; /* whose code runs */
	struct vtask *current;
	struct context main;
	struct context *dump_back; /* deadlock.c: print your stack and switch back here */
	struct vtask *dumped;
	u64 relax_timeouts, relax_since_ps; /* cpu_relax() in vain since anything moved */
	u64 progress_ps; /* when a system call or fault ended last, or a page was done: livelock_check() */
	u64 switches;  /* between tasks of one CPU */
	struct relax_node *relax_nodes; /* SEEN_LINES per CPU */
	struct virq *virq_free;

	struct list_head wait_buckets[WAIT_BUCKETS]; /* sleeping tasks by channel_link, FIFO */

	/* rcu.c */
	bool gp_running;
	u64 gp_started, gp_ended; /* how many */
	u64 gp_end_ps;		  /* not before */
	u32 gp_readers;		  /* CPUs that it waits for */
	u64 gp_demand;		  /* highest number that somebody waits for */
	u32 barrier_waiters;

	/* hotlines.c */
	struct obj_range *ranges;
	const struct obj_layout *scratch_layout; /* of struct task, or NULL */
	u32 range_count, range_capacity;
	u64 *hot; /* lines that have statistics */
	u64 hot_count, hot_capacity;
	u64 hot_since_ps, hot_until_ps; /* until: TIME_NEVER while it goes on */
	struct word_sums *word_sums;
	u32 word_sum_count, word_sum_capacity;
	struct lock_wait_sum *lock_waits;
	u32 lock_wait_count, lock_wait_capacity;
	u32 tasks_run; /* in the last run */
	/* waiting that is for no line: a node's pages, the fabric (queueing and service), acknowledgements */
	u64 node_wait_ps, fabric_wait_ps, ack_wait_ps;
};

extern __thread struct machine *vt_machine; /* that the host thread is in, or NULL */

static inline struct vcpu *vt_cpu(void)
{
	return (struct vcpu *)mmsim_engine_cpu;
}
static inline struct vcpu *vcpu_of(const struct cpu *cpu)
{
	return &cpu->machine->vcpus[cpu->id];
}
static inline struct vtask *vtask_of(const struct task *task)
{
	return &task->machine->vtasks[task->id];
}
static inline struct vtask *softirq_task(struct machine *m, u32 cpu)
{
	return &m->vtasks[m->task_count + 1 + cpu];
}

/* ---- region.c ------------------------------------------------------------------------------------ */

int MUST_CHECK region_create(struct machine *m);
void region_destroy(struct machine *m);
/* Of which node machine_memory_on_node() said that the line is; `other` if it said nothing. */
u32 region_node(const struct machine *m, u64 line, u32 other);

/* ---- lines.c --------------------------------------------------------------------------------------- */

void lines_init_cpu(struct vcpu *c); /* caches are empty; NULL arrays: no memory */
/* c's pending operation gets its turn: the time at which it takes effect. */
u64 lines_reserve(struct vcpu *c);
/* Hold the machine's fabric for so long, after those who asked before. */
void lines_hold_fabric(struct vcpu *c, u64 ps);
void lines_unlink_relaxed(struct vcpu *c);

/* ---- sched.c ------------------------------------------------------------------------------------- */

void heap_set(struct machine *m, u32 id, u64 key); /* insert or move */
void heap_remove(struct machine *m, u32 id);       /* if it is there */
#define TIMER_ID(m) ((m)->cpu_count)

/* The host thread becomes the tasks, until nothing is left to do. */
void sched_host_thread(struct machine *m);
/* An operation whose clock has passed the horizon: interrupts, preemption, other CPUs. */
void sched_pause(struct vcpu *c);
/* c's pending operation: its turn, its reservation, its effect. */
void sched_transact(struct vcpu *c);
/* The CPU goes on at `key`, when it is the smallest. */
void sched_until(struct vcpu *c, u64 key);
/* The CPU goes on when somebody puts it into the heap, if it is not there already. */
void sched_away(struct vcpu *c);
/* Let a CPU that is idle, or waits in cpu_relax(), look around at `key` or before. */
void sched_poke(struct vcpu *c, u64 key);
/* Local work: slower with busy siblings, and with all cores busy. */
void sched_charge(struct vcpu *c, u64 ps);
/* A long piece of it: interruptible, preemptible. */
void sched_delay(struct vcpu *c, u64 ps);
/* From here on the task's time is system time, or user time. */
void sched_mode(struct vcpu *c, bool kernel);
/* cpu_relax() has ended: does anything move at all? */
void sched_relaxed(struct vcpu *c);
/* A task is woken at now_ps: do wake-ups lead anywhere? */
void sched_woken(struct machine *m, u64 now_ps);
/* They do. */
static inline void sched_progress(struct vcpu *c)
{
	c->m->progress_ps = c->e.clock_ps;
}
/* cpu_relax() inside machine_enter(): nobody else runs. */
void sched_relax_alone(struct vcpu *c);

/* ---- task.c: blocking, waking, time slices -------------------------------------------------------- */

/* The current task sleeps until task_wake(). May return for no reason. `in`, `on`: for reports. */
void task_sleep(const char *in, const void *on);
/* True: it slept (else it will not: the wake-up is kept). */
bool task_wake(struct vtask *t, u64 now_ps);
/* task_wake() by the current task, which pays for it. */
void task_wake_charged(struct vtask *t);
void task_yield(void);
void task_preempt(struct vcpu *c);
void task_run_softirq(struct vcpu *c);
void task_softirq_done(void);
/* An idle CPU's turn in the heap. True: it has something to run (curr). */
bool task_idle_turn(struct vcpu *c);
void task_account(struct vtask *t);
int MUST_CHECK task_prepare(struct vtask *t, void (*fn)(void *arg, u32 index), void *arg);
void task_make_ready(struct vtask *t);

/* ---- ipi.c, rcu.c, wait.c, deadlock.c ------------------------------------------------------------- */

/* Run what is due. c is on the host, or idle. */
void irqs_take(struct vcpu *c);
/* c goes on after it waited: it pays for the handlers that have not been over by then. */
void irqs_settle(struct vcpu *c);
static inline bool irqs_due(const struct vcpu *c)
{
	return unlikely(c->irq_due_ps <= c->e.clock_ps);
}

void rcu_timer(struct machine *m, u64 now_ps);
static inline bool rcu_work_ready(const struct vcpu *c)
{
	return unlikely(c->rcu_done.head != NULL);
}
void rcu_softirq_main(void *arg, u32 index);
/* Nobody runs, so nobody reads: all call-backs of the machine, here and now. */
void rcu_run_all_inline(struct machine *m);
void rcu_init_cpu(struct vcpu *c);

void wait_init(struct machine *m);
/* Sleep on a key (an address) / wake the first `tasks` of those who do; `charged`: at their waker's
 * expense. */
void channel_sleep(const void *key, const char *in);
void channel_wake(struct machine *m, const void *key, u32 tasks, bool charged);

static inline bool hot_lines_on(const struct machine *m)
{
	return likely(m->hot_until_ps == TIME_NEVER);
}
/* The line has statistics from now on; and some by word. */
void hot_line_first(struct machine *m, u64 line);
void hot_line_words(struct machine *m, struct vline *vl);

NORETURN void deadlock_report(struct machine *m, const char *what);
/* Of the current context, without the engine's own frames, on stderr. */
void deadlock_print_stack(void);
/* The context was switched to for no other reason. */
void deadlock_print_own_stack(struct machine *m);

#endif
