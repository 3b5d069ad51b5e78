/*
 * sim/virtual/rcu.c - grace periods and call-backs in virtual time
 *
 * A grace period begins when somebody wants one and none runs. It ends when every CPU that was inside a
 * reader at its beginning has left it, and not before rcu.gp_min. A call-back waits for the first
 * grace period that begins after it was queued; then it runs on the CPU that queued it, in order,
 * between two operations of a preemptible task or on the idle CPU (task.c), for rcu.callback each.
 * Throttle     A CPU with more than BACKLOG_MAX call-backs that did not run yet is held up in
 *              sim_call_rcu(), for a bounded time and not inside a reader or with preemption off.
 * machine_enter()   Nobody else runs, so nobody reads but the caller: what waits for a grace period
 *              runs, or returns, at once.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/timeline.h"

#include <stdlib.h>

#define BACKLOG_MAX 16384
#define THROTTLE_STEP_PS (20 * 1000 * PS_PER_NS)
#define THROTTLE_STEPS_MAX 50

static void list_start(struct rcu_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

void rcu_init_cpu(struct vcpu *c)
{
	list_start(&c->rcu_new);
	list_start(&c->rcu_wait);
	list_start(&c->rcu_done);
}

static void list_push(struct rcu_list *l, struct rcu_head *head)
{
	head->next = NULL;
	*l->tail = head;
	l->tail = &head->next;
}

static void list_move(struct rcu_list *from, struct rcu_list *to)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	list_start(from);
}

/* ---- grace periods ---------------------------------------------------------------------------------------- */

static void gp_start(struct machine *m, u64 now_ps)
{
	m->gp_running = true;
	m->gp_started++;
	timeline_if_on(timeline_gp_started(m, now_ps));
	m->gp_readers = 0;
	for (u32 i = 0; i < m->cpu_count; i++) {
		struct vcpu *c = &m->vcpus[i];

		list_move(&c->rcu_new, &c->rcu_wait);
		c->e.rcu_awaited = c->e.rcu_nest != 0;
		m->gp_readers += c->e.rcu_awaited;
	}
	m->gp_end_ps = now_ps + m->model.rcu_gp_min;
	heap_set(m, TIMER_ID(m), m->gp_end_ps);
}

static void gp_end(struct machine *m, u64 now_ps)
{
	bool more = false;

	m->gp_running = false;
	m->gp_ended++;
	timeline_if_on(timeline_gp_ended(m, now_ps));
	m->relax_timeouts = 0;
	for (u32 i = 0; i < m->cpu_count; i++) {
		struct vcpu *c = &m->vcpus[i];

		more |= c->rcu_new.head != NULL;
		if (!c->rcu_wait.head)
			continue;
		list_move(&c->rcu_wait, &c->rcu_done);
		if (c->relaxing || !c->curr)
			sched_poke(c, now_ps);
	}
	channel_wake(m, &m->gp_ended, ~0u, false);
	if (more || m->gp_demand > m->gp_ended)
		gp_start(m, now_ps);
}

void rcu_timer(struct machine *m, u64 now_ps)
{
	m->event_ps = now_ps;
	if (m->gp_running && !m->gp_readers)
		gp_end(m, now_ps);
}

void vt_rcu_reader_left(void)
{
	struct vcpu *c = vt_cpu();
	struct machine *m = c->m;

	c->e.rcu_awaited = 0;
	if (--m->gp_readers == 0 && !m->heap_pos[TIMER_ID(m)])
		heap_set(m, TIMER_ID(m), max(c->e.clock_ps, m->gp_end_ps));
}

void sim_synchronize_rcu(void)
{
	struct machine *m = vt_machine;
	u64 wanted;

	if (rcu_read_lock_held())
		MMSIM_BUG("sim_synchronize_rcu() inside rcu_read_lock()");
	if (!m || !m->running)
		return;
	wanted = m->gp_started + 1;
	m->gp_demand = max(m->gp_demand, wanted);
	if (!m->gp_running)
		gp_start(m, vt_cpu()->e.clock_ps);
	while (m->gp_ended < wanted)
		channel_sleep(&m->gp_ended, "sim_synchronize_rcu");
}

/* ---- call-backs ------------------------------------------------------------------------------------------------ */

static NOINLINE void throttle(struct vcpu *c)
{
	if (c->e.rcu_nest || c->e.preempt_count || c->e.irq_off)
		return;
	count_event(COUNTER_RCU_THROTTLE);
	if (!c->m->running) {
		rcu_run_all_inline(c->m);
		return;
	}
	for (u32 i = 0; i < THROTTLE_STEPS_MAX && c->rcu_queued - c->rcu_ran > BACKLOG_MAX / 2; i++)
		sched_delay(c, THROTTLE_STEP_PS);
}

void sim_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct vcpu *c = vt_cpu();
	struct machine *m = c->m;

	count_event(COUNTER_RCU_CALLBACK);
	c->e.clock_ps += c->e.l1_ps;
	head->func = func;
	list_push(&c->rcu_new, head);
	c->rcu_queued++;
	if (m->running && !m->gp_running)
		gp_start(m, c->e.clock_ps);
	if (unlikely(c->rcu_queued - c->rcu_ran > BACKLOG_MAX))
		throttle(c);
}

/* What is in rcu_done now. Preemption is off. */
static void run_done(struct vcpu *c)
{
	struct rcu_head *head = c->rcu_done.head;

	list_start(&c->rcu_done);
	for (struct rcu_head *next; head; head = next) {
		next = head->next; /* func may free it */
		vt_charge(COST_RCU_CALLBACK, 1);
		head->func(head);
		c->rcu_ran++;
	}
}

void rcu_softirq_main(void *arg, u32 index)
{
	struct vcpu *c = arg;

	c->e.preempt_count++;
	for (;;) {
		while (c->rcu_done.head)
			run_done(c);
		if (c->m->barrier_waiters)
			channel_wake(c->m, &c->m->barrier_waiters, ~0u, false);
		lock_rank_task_exit(); /* it may not come back before the machine goes */
		task_softirq_done();
	}
}

void rcu_run_all_inline(struct machine *m)
{
	bool any;

	do {
		any = false;
		for (u32 i = 0; i < m->cpu_count; i++) {
			struct vcpu *c = &m->vcpus[i];

			list_move(&c->rcu_wait, &c->rcu_done);
			list_move(&c->rcu_new, &c->rcu_done);
			any |= c->rcu_done.head != NULL;
			run_done(c);
		}
	} while (any);
}

static bool all_ran(const struct machine *m, const u64 *queued)
{
	for (u32 i = 0; i < m->cpu_count; i++)
		if (m->vcpus[i].rcu_ran < queued[i])
			return false;
	return true;
}

void sim_rcu_barrier(void)
{
	struct machine *m = vt_machine;
	u64 *queued;

	if (rcu_read_lock_held())
		MMSIM_BUG("sim_rcu_barrier() inside rcu_read_lock()");
	if (!m->running) {
		rcu_run_all_inline(m);
		return;
	}
	queued = malloc(m->cpu_count * sizeof(queued[0]));
	if (!queued)
		MMSIM_BUG("the host has no memory for an RCU barrier");
	for (u32 i = 0; i < m->cpu_count; i++)
		queued[i] = m->vcpus[i].rcu_queued;
	m->barrier_waiters++;
	while (!all_ran(m, queued))
		channel_sleep(&m->barrier_waiters, "sim_rcu_barrier");
	m->barrier_waiters--;
	free(queued);
}
