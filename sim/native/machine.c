/*
 * sim/native/machine.c - machines, their CPUs and tasks, on host threads
 *
 * Models       Each task is a host thread with a simulated CPU of its own, so that per-CPU data
 *              needs no protection. CPUs 0..tasks-1 belong to engine_run()'s tasks, the next
 *              MMSIM_BOOT_CPUS to threads inside machine_enter(), the last one to the RCU worker.
 * Guarantee    A CPU is one thread's at a time; its next thread sees all that the last one did.
 * Fails        machine_create(): NULL and errno. engine_run(): -errno, and nothing ran.
 */
#include "sim/native/internal.h"

#include <mmsim/lock_rank.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

__thread struct cpu *mmsim_this_cpu;
const char mmsim_engine_is_native = 1;
#if MMSIM_TSAN
__thread int mmsim_fence_word;
#endif

static void *map_zeroed(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

struct machine *machine_create(const struct machine_config *cfg)
{
	struct machine *m;
	int ret = -ENOMEM;

	if (cfg->tasks == 0 || cfg->tasks > MMSIM_TASKS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	native_time_init();
	native_ipi_init();
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->cfg = *cfg;
	m->cpu_count = cfg->tasks + MMSIM_BOOT_CPUS + 1;
	m->cpus = map_zeroed(m->cpu_count * sizeof(m->cpus[0]));
	if (!m->cpus)
		goto free_machine;
	ret = native_percpu_init(m);
	if (ret)
		goto unmap_cpus;
	for (u32 i = 0; i < m->cpu_count; i++) {
		struct native_cpu *c = &m->cpus[i];

		c->cpu.id = c->task.id = i;
		c->cpu.machine = c->task.machine = m;
		c->cpu.task = &c->task;
		c->task.cpu = &c->cpu;
		c->cpu.percpu_base = m->percpu_areas + (size_t)i * MMSIM_PERCPU_AREA_BYTES;
	}
	ret = native_rcu_start(m);
	if (!ret)
		return m;
	native_percpu_destroy(m);
unmap_cpus:
	munmap(m->cpus, m->cpu_count * sizeof(m->cpus[0]));
free_machine:
	free(m);
	errno = -ret;
	return NULL;
}

void machine_destroy(struct machine *m)
{
	native_rcu_stop(m);
	for (u32 i = 0; i < m->cpu_count; i++) {
		if (READ_ONCE(m->cpus[i].busy))
			MMSIM_BUG("machine destroyed while cpu %u has a task", i);
	}
	native_percpu_destroy(m);
	munmap(m->cpus, m->cpu_count * sizeof(m->cpus[0]));
	free(m);
}

const struct machine_config *machine_config(const struct machine *m)
{
	return &m->cfg;
}

void *machine_private(const struct machine *m)
{
	return m->private;
}

void machine_set_private(struct machine *m, void *p)
{
	m->private = p;
}

void machine_set_classic_rwsem(struct machine *m, bool classic)
{
	m->classic_rwsem = classic;
}

bool machine_classic_rwsem(const struct machine *m)
{
	return m->classic_rwsem;
}

/* ---- threads become tasks ------------------------------------------------------------------ */

void native_task_begin(struct native_cpu *c)
{
	MMSIM_BUG_ON(mmsim_this_cpu);
	WRITE_ONCE(c->task.killed, 0u);
	WRITE_ONCE(c->task.park_token, 0u);
	WRITE_ONCE(c->task.on_cpu, 1u);
	mmsim_this_cpu = &c->cpu;
	native_rcu_register();
	/* A sleep of 50 us and more is what the default slack turns any short sleep into. */
	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
}

void native_task_end(void)
{
	struct native_cpu *c = native_cpu(this_cpu());

	if (rcu_read_lock_held())
		MMSIM_BUG("a task ends inside rcu_read_lock()");
	lock_rank_task_exit();
	native_rcu_unregister();
	WRITE_ONCE(c->task.on_cpu, 0u);
	mmsim_this_cpu = NULL;
	smp_store_release(&c->busy, 0u); /* pairs with claim_cpu() */
}

static bool claim_cpu(struct native_cpu *c)
{
	u32 free = 0;

	if (!try_cmpxchg_acquire(&c->busy, &free, 1u))
		return false;
	smp_mb(); /* busy before our first look at ipi_hold; pairs with ipi_call_mask() */
	return true;
}

void machine_enter(struct machine *m)
{
	for (u32 i = 0; i < MMSIM_BOOT_CPUS; i++) {
		struct native_cpu *c = &m->cpus[m->cfg.tasks + i];

		if (claim_cpu(c)) {
			native_task_begin(c);
			return;
		}
	}
	MMSIM_BUG("more than %d host threads inside machine_enter()", MMSIM_BOOT_CPUS);
}

void machine_leave(void)
{
	native_task_end();
}

struct run {
	struct machine *machine;
	void (*fn)(void *arg, u32 index);
	void *arg;
	u32 bind_cpus; /* tasks are spread over this many host CPUs */
	u32 ready;     /* (atomic) tasks at the gate; what engine_run() sleeps on */
	u32 gate;      /* (atomic) GATE_*; what tasks sleep on */
	u32 bound;     /* (atomic) tasks that the host bound */
};

enum { GATE_SHUT, GATE_OPEN, GATE_CANCELLED };

struct run_task {
	struct run *run;
	pthread_t thread;
	u32 index;
};

static void *run_task_main(void *p)
{
	struct run_task *rt = p;
	struct run *run = rt->run;
	struct native_cpu *c = &run->machine->cpus[rt->index];
	u32 gate;

	if (native_bind_thread(rt->index % run->bind_cpus))
		(void)fetch_add(&run->bound, 1u);
	if (!claim_cpu(c))
		MMSIM_BUG("engine_run(): cpu %u has a task already", rt->index);
	native_task_begin(c);
	(void)fetch_add(&run->ready, 1u);
	futex_wake(&run->ready, 1);
	while ((gate = smp_load_acquire(&run->gate)) == GATE_SHUT)
		futex_wait(&run->gate, GATE_SHUT, 0);
	if (gate == GATE_OPEN)
		run->fn(run->arg, rt->index);
	native_task_end();
	return NULL;
}

/* Start threads, let them off together when all are there, and wait for them. */
static int run_threads(struct run *run, struct run_task *rts, u32 tasks)
{
	u32 started = 0, ready;
	int ret = 0;

	while (started < tasks && !ret) {
		rts[started].run = run;
		rts[started].index = started;
		ret = -pthread_create(&rts[started].thread, NULL, run_task_main, &rts[started]);
		if (!ret)
			started++;
	}
	while (!ret && (ready = smp_load_acquire(&run->ready)) < tasks)
		futex_wait(&run->ready, ready, 0);
	smp_store_release(&run->gate, (u32)(ret ? GATE_CANCELLED : GATE_OPEN));
	futex_wake(&run->gate, tasks);
	for (u32 i = 0; i < started; i++)
		pthread_join(rts[i].thread, NULL);
	return ret;
}

int engine_run(struct machine *m, u32 tasks, void (*fn)(void *arg, u32 index), void *arg,
	       bool *pinned)
{
	struct run run = {.machine = m, .fn = fn, .arg = arg};
	u32 host_cpus = native_host_cpus();
	struct run_task *rts;
	int ret;

	MMSIM_BUG_ON(mmsim_this_cpu);
	if (tasks == 0 || tasks > m->cfg.tasks)
		return -EINVAL;
	rts = calloc(tasks, sizeof(*rts));
	if (!rts)
		return -ENOMEM;
	run.bind_cpus = m->cfg.cpus && m->cfg.cpus < host_cpus ? m->cfg.cpus : host_cpus;
	ret = run_threads(&run, rts, tasks);
	if (pinned)
		*pinned = !ret && tasks <= run.bind_cpus && run.bound == tasks;
	free(rts);
	return ret;
}

void machine_set_task_switch(struct machine *m, void (*fn)(struct task *next))
{
}

struct task *machine_task(struct machine *m, u32 index)
{
	if (index >= m->cpu_count || !READ_ONCE(m->cpus[index].busy))
		return NULL;
	return &m->cpus[index].task;
}

/* ---- CPUs and counters --------------------------------------------------------------------- */

u32 machine_cpu_count(const struct machine *m)
{
	return m->cpu_count;
}

struct cpu *machine_cpu(const struct machine *m, u32 id)
{
	return id < m->cpu_count ? &m->cpus[id].cpu : NULL;
}

u64 machine_counter(const struct machine *m, enum counter c)
{
	u64 sum = 0;

	for (u32 i = 0; i < m->cpu_count; i++)
		sum += READ_ONCE(m->cpus[i].cpu.counters[c]);
	return sum;
}

void machine_counters_reset(struct machine *m)
{
	for (u32 i = 0; i < m->cpu_count; i++) {
		for (u32 c = 0; c < COUNTER_COUNT; c++)
			WRITE_ONCE(m->cpus[i].cpu.counters[c], 0ull);
	}
}
