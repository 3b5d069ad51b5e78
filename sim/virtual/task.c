/*
 * sim/virtual/task.c - tasks on CPUs: run queues, time slices, sleeping and waking
 *
 * Models       One FIFO of ready tasks per CPU; a task stays on its CPU. A task that sleeps gives the CPU
 *              to the next (cost.context_switch); waking costs the waker (cost.wake), and a task
 *              that is woken on an idle CPU starts after cost.wake_latency. A running task is
 *              preempted at its first operation after the end of its slice with preemption on, if
 *              another is ready, or when one is woken that has had less of the CPU. RCU call-backs interrupt a task as a softirq does, or run on the
 *              idle CPU.
 * Leaves out   priorities, load balancing (a woken task does not look for an idle CPU).
 * No lost      task_wake() of a task that has not gone to sleep yet is kept, and its next task_sleep()
 * wake-ups     returns at once.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/timeline.h"

#include <mmsim/lock_rank.h>

/* ---- CPU time ------------------------------------------------------------------------------------------ */

void task_account(struct vtask *t)
{
	u64 now = t->cpu->e.clock_ps, ps = now - t->mark_ps;

	if (t->in_kernel)
		t->system_ps += ps;
	else
		t->user_ps += ps;
	t->mark_ps = now;
}

void sched_mode(struct vcpu *c, bool kernel)
{
	struct vtask *t = c->curr;

	if (t->in_kernel == kernel)
		return;
	task_account(t);
	t->in_kernel = kernel;
	sched_progress(c);
}

void engine_cpu_time_ns(u64 *user_ns, u64 *system_ns)
{
	struct vtask *t = vtask_of(current_task());

	task_account(t);
	*user_ns = t->user_ps / PS_PER_NS;
	*system_ns = t->system_ps / PS_PER_NS;
}

/* ---- the ready list ---------------------------------------------------------------------------------------- */

static void ready_push_tail(struct vcpu *c, struct vtask *t)
{
	t->state = TASK_READY;
	t->next_ready = NULL;
	if (c->ready_head)
		c->ready_tail->next_ready = t;
	else
		c->ready_head = t;
	c->ready_tail = t;
}

static void ready_push_head(struct vcpu *c, struct vtask *t)
{
	t->state = TASK_READY;
	t->next_ready = c->ready_head;
	if (!c->ready_head)
		c->ready_tail = t;
	c->ready_head = t;
}

static struct vtask *ready_pop(struct vcpu *c)
{
	struct vtask *t = c->ready_head;

	if (t)
		c->ready_head = t->next_ready;
	return t;
}

static void set_busy(struct vcpu *c, bool busy)
{
	struct machine *m = c->m;
	u32 *core = &m->core_busy[c->place.core];

	if (c->busy == busy)
		return;
	c->busy = busy;
	if (busy && (*core)++ == 0)
		m->cores_busy++;
	else if (!busy && --*core == 0)
		m->cores_busy--;
}

static void set_current(struct vcpu *c, struct vtask *t)
{
	timeline_if_on(timeline_runs(c, t));
	t->state = TASK_RUNNING;
	t->run_since_ps = c->e.clock_ps;
	c->curr = t;
	c->waits_for_lock = t->waited != NULL;
	c->cpu->task = t->task;
}

static void stop_running(struct vtask *t)
{
	t->vruntime_ps += t->cpu->e.clock_ps - t->run_since_ps;
}

/* ---- giving the CPU away ----------------------------------------------------------------------------------- */

/* The current task does not run on; who does? The CPU is in the heap, or idle. */
static void choose_next(struct vcpu *c)
{
	struct machine *m = c->m;
	struct vtask *next = ready_pop(c);

	if (next) {
		set_current(c, next);
		c->e.clock_ps += m->model.cost_context_switch;
		next->system_ps += m->model.cost_context_switch;
		c->slice_end_ps = c->e.clock_ps + m->model.sched_slice;
		m->switches++;
		heap_set(m, c->id, c->e.clock_ps);
		return;
	}
	timeline_if_on(timeline_runs(c, NULL));
	c->curr = NULL;
	c->waits_for_lock = false;
	c->was_idle = true;
	set_busy(c, false);
	if (rcu_work_ready(c))
		heap_set(m, c->id, c->e.clock_ps);
	else if (c->irqs)
		heap_set(m, c->id, max(c->irq_due_ps, c->e.clock_ps));
}

/* The current task has got its CPU (again). */
static void arrive(struct vtask *t)
{
	struct vcpu *c = t->cpu;
	struct machine *m = c->m;

	t->mark_ps = c->e.clock_ps;
	c->seen_count = 0;
	c->e.preempt_count++;
	WRITE_ONCE(t->task->on_cpu, 1u);
	if (c->last != t || c->was_idle) {
		c->last = t;
		c->was_idle = false;
		if (m->task_switch)
			m->task_switch(t->task);
	}
	c->e.preempt_count--;
}

/* Optimistic spinners watch on_cpu: so it is an operation. */
static void depart(struct vtask *t)
{
	t->cpu->e.preempt_count++;
	WRITE_ONCE(t->task->on_cpu, 0u);
	t->cpu->e.preempt_count--;
}

void task_sleep(const char *in, const void *on)
{
	struct machine *m = vt_machine;
	struct vtask *t = vtask_of(current_task());
	struct vcpu *c = t->cpu;

	if (unlikely(c->e.rcu_nest))
		MMSIM_BUG("a task sleeps inside rcu_read_lock()");
	if (unlikely(c->e.preempt_count || c->e.irq_off))
		MMSIM_BUG("a task sleeps with preemption off (a spin lock is held?)");
	t->sleeps_in = in;
	t->sleeps_on = on;
	if (m->running && !t->wake_pending)
		depart(t);
	if (t->wake_pending) {
		t->wake_pending = false;
		if (m->running)
			arrive(t);
		return;
	}
	if (!m->running)
		deadlock_report(m, "deadlock: the only task sleeps");
	task_account(t);
	stop_running(t);
	t->state = TASK_SLEEPING;
	timeline_if_on(timeline_sleeps(t));
	choose_next(c);
	sched_away(c);
	arrive(t);
}

void task_preempt(struct vcpu *c)
{
	struct vtask *t = c->curr;

	depart(t);
	task_account(t);
	stop_running(t);
	timeline_if_on(timeline_preempted(t));
	ready_push_tail(c, t);
	choose_next(c);
	sched_away(c);
	arrive(t);
}

bool vt_need_resched(void)
{
	const struct vcpu *c = vt_cpu();

	return c->ready_head && c->e.clock_ps >= c->slice_end_ps;
}

void task_yield(void)
{
	struct vcpu *c = vt_cpu();

	if (c->m && c->m->running && c->ready_head && c->e.preempt_count == 0 && !c->e.irq_off &&
	    !c->curr->softirq) {
		task_preempt(c);
	} else {
		c->relax_vain = 0;
		vt_relax();
	}
}

/* ---- waking -------------------------------------------------------------------------------------------------- */

/*
 * A task that was woken preempts the running one if it has had less of the CPU, counting no more than
 * a slice of what it slept through (as Linux's fair schedulers do, without their granularities).
 */
static void wake_on_busy(struct vcpu *c, struct vtask *t, u64 now_ps)
{
	const struct vtask *curr = c->curr;
	u64 slice = c->m->model.sched_slice, used;

	now_ps = max(now_ps, c->e.clock_ps); /* a CPU that waits has its clock where it began to */
	if (!curr || curr->softirq) {
		ready_push_tail(c, t);
		return;
	}
	used = curr->vruntime_ps + now_ps - curr->run_since_ps;
	t->vruntime_ps = max(t->vruntime_ps, used - min(used, slice));
	if (t->vruntime_ps < used) {
		ready_push_head(c, t);
		c->slice_end_ps = min(c->slice_end_ps, now_ps);
	} else {
		ready_push_tail(c, t);
	}
	if (c->relaxing)
		sched_poke(c, now_ps);
}

bool task_wake(struct vtask *t, u64 now_ps)
{
	struct vcpu *c = t->cpu;
	struct machine *m = c->m;

	m->relax_timeouts = 0;
	sched_woken(m, now_ps);
	if (t->state != TASK_SLEEPING) {
		t->wake_pending = true;
		return false;
	}
	timeline_if_on(timeline_woken(t, now_ps));
	if (!c->busy) {
		ready_push_tail(c, t);
		set_busy(c, true);
		c->ready_ps = max(now_ps + m->model.cost_wake_latency, c->e.clock_ps);
		sched_poke(c, c->ready_ps);
		return true;
	}
	wake_on_busy(c, t, now_ps);
	if (c == m->on_host)
		c->e.horizon_ps = min(c->e.horizon_ps, c->slice_end_ps);
	return true;
}

void task_wake_charged(struct vtask *t)
{
	struct vcpu *c = vt_cpu();

	if (task_wake(t, c->e.clock_ps))
		sched_charge(c, c->m->model.cost_wake);
}

bool task_idle_turn(struct vcpu *c)
{
	struct machine *m = c->m;

	if (irqs_due(c) && !c->e.irq_off)
		irqs_take(c);
	if (rcu_work_ready(c)) {
		struct vtask *softirq = softirq_task(m, c->id);

		if (softirq->state == TASK_UNUSED && task_prepare(softirq, rcu_softirq_main, c))
			MMSIM_BUG("the host has no memory for a stack");
		set_current(c, softirq);
		return true;
	}
	if (c->ready_head) {
		if (c->ready_ps > c->e.clock_ps) {
			heap_set(m, c->id, c->ready_ps);
			return false;
		}
		set_current(c, ready_pop(c));
		c->slice_end_ps = c->e.clock_ps + m->model.sched_slice;
		return true;
	}
	if (c->irqs)
		heap_set(m, c->id, max(c->irq_due_ps, c->e.clock_ps));
	else
		heap_remove(m, c->id);
	return false;
}

/* ---- call-backs of RCU, between two operations of a task --------------------------------------------------------- */

void task_run_softirq(struct vcpu *c)
{
	struct vtask *t = c->curr, *softirq = softirq_task(c->m, c->id);

	if (softirq->state == TASK_UNUSED && task_prepare(softirq, rcu_softirq_main, c))
		MMSIM_BUG("the host has no memory for a stack");
	task_account(t);
	stop_running(t);
	timeline_if_on(timeline_preempted(t));
	ready_push_head(c, t);
	set_current(c, softirq);
	heap_set(c->m, c->id, c->e.clock_ps);
	sched_away(c);
	t->mark_ps = c->e.clock_ps;
}

void task_softirq_done(void)
{
	struct vcpu *c = vt_cpu();
	struct vtask *self = c->curr, *next = ready_pop(c);

	self->state = TASK_SLEEPING;
	c->e.preempt_count--;
	if (next) {
		set_current(c, next);
		heap_set(c->m, c->id, c->e.clock_ps);
	} else {
		timeline_if_on(timeline_runs(c, NULL));
		c->curr = NULL;
		if (c->irqs)
			heap_set(c->m, c->id, max(c->irq_due_ps, c->e.clock_ps));
	}
	sched_away(c);
	c->e.preempt_count++;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static NORETURN void task_end(struct vtask *t)
{
	struct vcpu *c = t->cpu;

	if (rcu_read_lock_held())
		MMSIM_BUG("a task ends inside rcu_read_lock()");
	if (c->e.preempt_count || c->e.irq_off)
		MMSIM_BUG("a task ends with preemption off");
	lock_rank_task_exit();
	depart(t);
	task_account(t);
	t->state = TASK_ENDED;
	c->m->live--;
	c->m->relax_timeouts = 0;
	sched_progress(c);
	choose_next(c);
	sched_away(c);
	MMSIM_BUG("a task that has ended runs");
}

static void task_main(void *arg)
{
	struct vtask *t = arg;

	context_entered(&t->context);
	if (t->softirq) {
		t->fn(t->arg, 0);
	} else {
		arrive(t);
		t->fn(t->arg, t->task->id);
	}
	task_end(t);
}

int task_prepare(struct vtask *t, void (*fn)(void *arg, u32 index), void *arg)
{
	struct task *task = t->task;
	int err = context_create(&t->context, task_main, t, task->id);

	if (err)
		return err;
	t->fn = fn;
	t->arg = arg;
	t->state = TASK_SLEEPING;
	t->wake_pending = false;
	t->in_kernel = t->softirq;
	t->user_ps = t->system_ps = t->vruntime_ps = 0;
	t->sleeps_in = NULL;
	task->killed = 0;
	task->park_token = 0;
	task->sleep_word = NULL;
	task->waits_for = t->waited = NULL;
	task->mm = NULL;
	return 0;
}

void task_make_ready(struct vtask *t)
{
	struct vcpu *c = t->cpu;

	ready_push_tail(c, t);
	set_busy(c, true);
	c->ready_ps = c->e.clock_ps;
	if (!c->m->heap_pos[c->id])
		heap_set(c->m, c->id, c->e.clock_ps);
}
