/*
 * sim/virtual/machine.c - machines, CPUs, tasks, time, in virtual time
 *
 * Models       cfg.cpus simulated CPUs (0: one per task), placed as the machine model fills its cores,
 *              and one more for machine_enter(). Task i runs on CPU i mod cpus. Everything runs on the
 *              host thread that calls.
 * Guarantee    The same calls give the same times, on any host.
 * Fails        machine_create(): NULL and errno (EINVAL: more CPUs than the model has, too many tasks).
 *              engine_run(): -ENOMEM, and nothing ran.
 */
#include "sim/virtual/charge_check.h"
#include "sim/virtual/internal.h"

#include <mmsim/lock_rank.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outside of every machine: costs nothing, waits for nobody. */
static struct vcpu outside = { .e = { .horizon_ps = TIME_NEVER } };
__thread struct engine_cpu *mmsim_engine_cpu = &outside.e;
__thread struct cpu *mmsim_this_cpu;
__thread struct machine *vt_machine;
const char mmsim_engine_is_virtual = 1;

/* ---- life ---------------------------------------------------------------------------------------------- */

/* No model given: a socket with a core for each CPU, and the defaults of every number. */
static void default_model(struct machine_model *model, u32 cpus)
{
#define MODEL_DEFAULT_COUNT(x) (u64)(x)
#define MODEL_DEFAULT_NS(x) (u64)((x) * 1000.0 + 0.5)
#define MODEL_SET(section, key, unit, def, min_, max_, meaning)                                    \
	model->section##_##key = MODEL_DEFAULT_##unit(def);
	memset(model, 0, sizeof(*model));
	MACHINE_MODEL_FIELDS(MODEL_SET)
	model->kind = MACHINE_ESTIMATED;
	snprintf(model->name, sizeof(model->name), "default");
	model->topology_cores = cpus;
}

static void set_prices(struct machine *m)
{
	const struct machine_model *model = &m->model;

	m->cost_ps[COST_EXCEPTION] = model->cost_exception;
	m->cost_ps[COST_SYSCALL] = model->cost_syscall;
	m->cost_ps[COST_FAULT_ENTRY] = model->cost_fault_entry;
	m->cost_ps[COST_FAULT_WORK] = model->cost_fault_work;
	m->cost_ps[COST_VMA_WORK] = model->cost_vma_work;
	m->cost_ps[COST_SYSCALL_WORK] = model->cost_syscall_work;
	m->cost_ps[COST_ZAP_PAGE] = model->cost_zap_page;
	m->cost_ps[COST_WALK_LEVEL] = model->cost_walk_level;
	m->cost_ps[COST_PAGE_ZERO] = model->cost_page_zero;
	m->cost_ps[COST_PAGE_COPY] = model->cost_page_copy;
	m->cost_ps[COST_PAGE_SERIAL] = model->cost_page_serial;
	m->cost_ps[COST_TLB_FLUSH_PAGE] = model->cost_tlb_flush_page;
	m->cost_ps[COST_TLB_FLUSH_ALL] = model->cost_tlb_flush_all;
	m->cost_ps[COST_TLBI_BROADCAST] = model->cost_tlbi_broadcast;
	m->cost_ps[COST_TLB_L2_HIT] = model->tlb_l2_hit;
	m->cost_ps[COST_RCU_CALLBACK] = model->rcu_callback;
	m->cost_ps[COST_SLB_MISS] = model->cost_slb_miss;
	m->cost_ps[COST_HASH_WORK] = model->cost_hash_work;
	m->transfer_ps[DIST_SELF] = model->latency_l1;
	m->transfer_ps[DIST_SMT] = model->latency_smt_sibling;
	m->transfer_ps[DIST_CLUSTER] = model->latency_cluster;
	m->transfer_ps[DIST_SOCKET] = model->latency_socket;
	m->transfer_ps[DIST_REMOTE] = model->latency_remote;
	m->lookahead_ps = model->latency_cluster;
	if (model->topology_smt > 1 && model->latency_smt_sibling < m->lookahead_ps)
		m->lookahead_ps = model->latency_smt_sibling;
}

static int alloc_arrays(struct machine *m)
{
	u32 tasks = m->task_count + 1 + m->cpu_count;

	m->cores = (u32)(m->model.topology_sockets * m->model.topology_clusters *
			 m->model.topology_cores);
	m->vcpus = aligned_alloc(MMSIM_CACHE_LINE_BYTES,
				 ALIGN_UP(m->cpu_count * sizeof(m->vcpus[0]), (size_t)64));
	m->vtasks = calloc(tasks, sizeof(m->vtasks[0]));
	/* The four children of a node, 1 to 4 of the root, share a host line. */
	m->heap_memory = aligned_alloc(64, ALIGN_UP((m->cpu_count + 1 + 3) * sizeof(m->heap[0]), (size_t)64));
	m->heap = m->heap_memory ? m->heap_memory + 3 : NULL;
	m->heap_pos = calloc(m->cpu_count + 1, sizeof(m->heap_pos[0]));
	m->core_busy = calloc(m->cores + 1, sizeof(m->core_busy[0]));
	m->relax_nodes = calloc(m->cpu_count * SEEN_LINES, sizeof(m->relax_nodes[0]));
	if (!m->vcpus || !m->vtasks || !m->heap || !m->heap_pos || !m->core_busy || !m->relax_nodes)
		return -ENOMEM;
	memset(m->vcpus, 0, m->cpu_count * sizeof(m->vcpus[0]));
	return region_create(m);
}

/* Copies are known by last-level cache: by cluster where there are few enough, else by socket. */
static void set_groups(struct machine *m, struct vcpu *c)
{
	bool by_cluster = m->model.topology_sockets * m->model.topology_clusters <= 64;

	c->group_bit = 1ull << (by_cluster ? c->place.cluster : c->place.socket);
	m->socket_groups[c->place.socket] |= c->group_bit;
}

static int init_cpu(struct machine *m, u32 id)
{
	bool boot = id == m->cpu_count - 1;
	struct vcpu *c = &m->vcpus[id];

	c->m = m;
	c->id = id;
	c->cpu = &m->cpus[id];
	c->cpu->id = id;
	c->cpu->machine = m;
	c->lines = m->lines;
	c->region = (u64)(uintptr_t)m->region;
	c->region_bytes = boot ? 0 : m->region_bytes;
	c->e.l1_ps = (u32)m->model.latency_l1;
	c->e.horizon_ps = TIME_NEVER;
	c->rmw_ps = m->model.latency_rmw;
	c->contended_ps = m->model.latency_remote;
	c->hold_ps = m->model.latency_cluster / 2;
	c->irq_due_ps = TIME_NEVER;
	if (!boot)
		c->place = machine_model_place(&m->model, id);
	else
		c->place.core = (u16)m->cores;
	set_groups(m, c);
	rcu_init_cpu(c);
	lines_init_cpu(c);
	return c->l1 && c->l2 ? 0 : -ENOMEM;
}

static void init_task(struct machine *m, u32 id, u32 cpu, bool softirq)
{
	struct vtask *t = &m->vtasks[id];

	t->task = &m->tasks[id];
	t->cpu = &m->vcpus[cpu];
	t->softirq = softirq;
	list_init(&t->channel_link);
	t->task->id = id;
	t->task->cpu = &m->cpus[cpu];
	t->task->machine = m;
}

static int init_parts(struct machine *m)
{
	u32 boot = m->cpu_count - 1;
	int err = 0;

	for (u32 i = 0; i < m->cpu_count && !err; i++)
		err = init_cpu(m, i);
	for (u32 i = 0; i < m->task_count; i++)
		init_task(m, i, i % boot, false);
	init_task(m, m->task_count, boot, false);
	for (u32 i = 0; i < m->cpu_count; i++)
		init_task(m, m->task_count + 1 + i, i, true);
	for (u32 i = 0; i < m->cpu_count; i++)
		m->cpus[i].task = &m->tasks[i == boot ? m->task_count : min(i, m->task_count - 1)];
	percpu_books_init(&m->percpu);
	wait_init(m);
	if (!err) {
		m->spin_nodes = percpu_alloc(m, sizeof(struct { u32 a, b; }), 8);
		err = m->spin_nodes ? 0 : -ENOMEM;
	}
	return err;
}

static void release(struct machine *m)
{
	for (u32 i = 0; m->vcpus && i < m->cpu_count; i++) {
		free(m->vcpus[i].l1);
		free(m->vcpus[i].l2);
	}
	for (u32 i = 0; m->vtasks && i < m->task_count + 1 + m->cpu_count; i++)
		context_destroy(&m->vtasks[i].context);
	while (m->virq_free) {
		struct virq *irq = m->virq_free;

		m->virq_free = irq->next;
		free(irq);
	}
	charge_forget_machine(m);
	region_destroy(m);
	free(m->ranges);
	free(m->hot);
	free(m->lock_waits);
	free(m->word_sums);
	free(m->relax_nodes);
	free(m->core_busy);
	free(m->heap_pos);
	free(m->heap_memory);
	free(m->vtasks);
	free(m->vcpus);
	free(m);
}

struct machine *machine_create(const struct machine_config *cfg)
{
	u32 cpus = cfg->cpus ? cfg->cpus : cfg->tasks;
	struct machine *m;
	int err;

	if (cfg->tasks == 0 || cfg->tasks > MMSIM_TASKS_MAX || cpus > MMSIM_CPUS_MAX ||
	    (cfg->model && cpus > machine_model_cpus(cfg->model))) {
		errno = EINVAL;
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->cfg = *cfg;
	m->cfg.cpus = cpus;
	if (!m->cfg.content_words)
		m->cfg.content_words = MMSIM_CACHE_LINE_BYTES / 8; /* pages do not share a line */
	m->cfg.model = &m->model;
	m->task_count = cfg->tasks;
	m->cpu_count = cpus + 1;
	m->hot_until_ps = TIME_NEVER;
	m->random = cfg->seed * 0x9e3779b97f4a7c15ull + 0x2545f4914f6cdd1dull;
	m->random |= m->random == 0;
	if (cfg->model)
		m->model = *cfg->model;
	else
		default_model(&m->model, cpus);
	set_prices(m);
	err = alloc_arrays(m);
	if (!err)
		err = init_parts(m);
	if (!err)
		return m;
	release(m);
	errno = -err;
	return NULL;
}

void machine_destroy(struct machine *m)
{
	MMSIM_BUG_ON(m->running);
	if (vt_machine)
		MMSIM_BUG("machine destroyed while cpu %u has a task", mmsim_this_cpu->id);
	machine_enter(m);
	rcu_run_all_inline(m);
	machine_leave();
	release(m);
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

void machine_set_task_switch(struct machine *m, void (*fn)(struct task *next))
{
	m->task_switch = fn;
}

/* ---- the host thread as a task --------------------------------------------------------------------------------- */

void machine_enter(struct machine *m)
{
	struct vcpu *c = &m->vcpus[m->cpu_count - 1];
	struct vtask *t = &m->vtasks[m->task_count];

	MMSIM_BUG_ON(mmsim_this_cpu);
	if (t->state == TASK_RUNNING || m->running)
		MMSIM_BUG("virtual time: one host thread inside machine_enter() at a time");
	t->state = TASK_RUNNING;
	t->wake_pending = false;
	t->task->killed = 0;
	t->task->park_token = 0;
	t->task->on_cpu = 1;
	t->task->mm = NULL;
	c->curr = t;
	c->e.clock_ps = t->mark_ps = m->now_ps;
	m->relax_timeouts = 0;
	m->current = t;
	m->on_host = c;
	vt_machine = m;
	mmsim_engine_cpu = &c->e;
	mmsim_this_cpu = c->cpu;
}

void machine_leave(void)
{
	struct machine *m = vt_machine;
	struct vcpu *c = vt_cpu();

	if (rcu_read_lock_held())
		MMSIM_BUG("a task ends inside rcu_read_lock()");
	lock_rank_task_exit();
	m->now_ps = max(m->now_ps, c->e.clock_ps);
	c->curr->state = TASK_ENDED;
	c->curr->task->on_cpu = 0;
	c->curr = NULL;
	m->current = NULL;
	m->on_host = NULL;
	vt_machine = NULL;
	mmsim_engine_cpu = &outside.e;
	mmsim_this_cpu = NULL;
}

/* ---- all tasks at once ------------------------------------------------------------------------------------------- */

static void run_to_end(struct machine *m, u32 tasks)
{
	for (u32 i = 0; i < m->cpu_count; i++)
		m->vcpus[i].e.clock_ps = m->now_ps;
	m->running = true;
	m->relax_timeouts = 0;
	m->progress_ps = m->now_ps;
	vt_machine = m;
	m->live = m->tasks_run = tasks;
	for (u32 i = 0; i < tasks; i++)
		task_make_ready(&m->vtasks[i]);
	sched_host_thread(m);
	m->running = false;
	vt_machine = NULL;
	mmsim_engine_cpu = &outside.e;
	mmsim_this_cpu = NULL;
	for (u32 i = 0; i < m->cpu_count; i++)
		m->now_ps = max(m->now_ps, m->vcpus[i].e.clock_ps);
}

int engine_run(struct machine *m, u32 tasks, void (*fn)(void *arg, u32 index), void *arg,
	       bool *pinned)
{
	int err = 0;

	MMSIM_BUG_ON(mmsim_this_cpu || m->running);
	if (tasks == 0 || tasks > m->task_count)
		return -EINVAL;
	machine_enter(m);
	rcu_run_all_inline(m); /* those of the set-up: its CPU does not take part */
	machine_leave();
	for (u32 i = 0; i < tasks && !err; i++)
		err = task_prepare(&m->vtasks[i], fn, arg);
	if (!err)
		run_to_end(m, tasks);
	for (u32 i = 0; i < tasks; i++) {
		m->vtasks[i].state = TASK_UNUSED;
		context_destroy(&m->vtasks[i].context);
	}
	if (pinned)
		*pinned = !err && tasks <= m->cfg.cpus;
	return err;
}

struct task *machine_task(struct machine *m, u32 index)
{
	u8 state;

	if (index > m->task_count)
		return NULL;
	state = m->vtasks[index].state;
	return state == TASK_UNUSED || state == TASK_ENDED ? NULL : &m->tasks[index];
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

u64 engine_now_ns(void)
{
	vt_cpu()->clock_read = true;
	return mmsim_engine_cpu->clock_ps / PS_PER_NS;
}

u64 engine_now_unpriced_ns(void)
{
	return mmsim_engine_cpu->clock_ps / PS_PER_NS;
}

u64 engine_now_ps(void)
{
	return mmsim_engine_cpu->clock_ps;
}

void engine_delay_ns(u64 ns)
{
	struct vcpu *c = vt_cpu();

	if (c->m && c->m->running)
		sched_delay(c, ns * PS_PER_NS);
	else
		c->e.clock_ps += ns * PS_PER_NS;
}

void engine_yield(void)
{
	task_yield();
}

/* ---- CPUs and counters --------------------------------------------------------------------------------------------- */

u32 machine_cpu_count(const struct machine *m)
{
	return m->cpu_count;
}

struct cpu *machine_cpu(const struct machine *m, u32 id)
{
	return id < m->cpu_count ? &m->cpus[id] : NULL;
}

bool cpu_is_idle(const struct cpu *cpu)
{
	return !cpu->machine->vcpus[cpu->id].curr;
}

static u32 all_tasks(const struct machine *m)
{
	return m->task_count + 1 + m->cpu_count;
}

u64 machine_counter(const struct machine *m, enum counter c)
{
	u64 sum = 0;

	for (u32 i = 0; i < all_tasks(m); i++)
		sum += m->tasks[i].counters[c];
	return sum;
}

void machine_counters_reset(struct machine *m)
{
	for (u32 i = 0; i < all_tasks(m); i++)
		memset(m->tasks[i].counters, 0, sizeof(m->tasks[i].counters));
}
