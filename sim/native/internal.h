/*
 * sim/native/internal.h - what the files of the native engine share and nobody outside needs
 */
#ifndef MMSIM_NATIVE_INTERNAL_H
#define MMSIM_NATIVE_INTERNAL_H

#include "sim/engine.h"

#include <pthread.h>

/* A CPU's call-backs that wait for a grace period (rcu.c). */
struct rcu_queue {
	struct rcu_head *head; /* (atomic) pushed by the CPU itself, taken whole by the worker */
	u64 queued;            /* (atomic) written by the CPU */
	u64 done __cacheline_aligned; /* (atomic) written by the worker */
} __cacheline_aligned;

/* One simulated CPU and the one task that runs on it, natively. */
struct native_cpu {
	struct cpu cpu;
	struct task task;
	u32 busy __cacheline_aligned; /* (atomic) a host thread is this CPU now */
	struct rcu_queue rcu;
};

struct rcu_worker {
	pthread_t thread;
	u32 idle;  /* (atomic) it sleeps for want of work; what it sleeps on */
	u32 hurry; /* (atomic) do not wait for more call-backs; what it sleeps on between */
	u32 stop;  /* (atomic) */
	u64 barriers_asked; /* (atomic) */
	u64 barriers_done;  /* (atomic) */
	struct wait_queue barrier_wq;
};

struct machine {
	struct machine_config cfg;
	void *private;
	bool classic_rwsem;
	u32 cpu_count; /* tasks, then MMSIM_BOOT_CPUS, then the RCU worker's */
	struct native_cpu *cpus;

	char *percpu_areas;
	struct percpu_books percpu;

	struct rcu_worker rcu;
};

static inline struct native_cpu *native_cpu(struct cpu *cpu)
{
	return container_of(cpu, struct native_cpu, cpu);
}

/* machine.c: the calling thread becomes / stops being the task of `cpu`, which must be free. */
void native_task_begin(struct native_cpu *cpu);
void native_task_end(void);

/* wait.c. Sleep while *word is value, at most timeout_ns (0: for ever). May return for no reason.
 */
void futex_wait(u32 *word, u32 value, u64 timeout_ns);
void futex_wake(u32 *word, u32 tasks);

/* time.c: calibrate the clock, once per process. */
void native_time_init(void);

/* ipi.c: choose between membarrier(2) and fences, once per process. */
void native_ipi_init(void);

/* rcu.c */
int MUST_CHECK native_rcu_start(struct machine *m); /* 0 or -errno */
void native_rcu_stop(struct machine *m);            /* runs what is queued first */
void native_rcu_register(void);
void native_rcu_unregister(void);

/* memory.c */
int MUST_CHECK native_percpu_init(struct machine *m); /* 0 or -errno */
void native_percpu_destroy(struct machine *m);

/* topology.c: host CPUs that this process may use, one per core first. */
u32 native_host_cpus(void);
/* Bind the calling thread to the idx-th of them. False: the host refused. */
bool native_bind_thread(u32 idx);

#endif
