/*
 * sim/virtual/sched.c - which CPU runs next
 *
 * Each CPU that has something to do is in a 4-ary heap, ordered by (time, sequence); the CPU whose
 * code the host thread is executing is not. Besides the CPUs there is one entry for the machine's own
 * events (RCU). A CPU may run ahead of the smallest by the lookahead as long as it only hits its own
 * caches; everything else waits to be the smallest. An operation that waits for its turn is
 * reserved by whoever is looking for the next CPU, without a switch to its context.
 * choose() is the policy: the smallest, or a random one.
 * Progress     with one runnable CPU the horizon is TIME_NEVER. An empty heap with live tasks is a
 *              deadlock; nothing but cpu_relax() in vain for LIVELOCK_PS is a livelock, and so is it
 *              when tasks wake each other for so long, all of them in the kernel, and no system call or
 *              fault ends, and no page is zeroed, copied or unmapped (a long call makes progress so).
 */
#include "sim/virtual/internal.h"

#define HEAP_ARY 4
#define LIVELOCK_PS 1000000000000ull /* 1 simulated second */
#define LIVELOCK_TIMEOUTS 10000 /* of sched.relax_max */
#define RELAX_ALONE_MAX 10000000
/* An operation-rich stretch between two cpu_relax() is work, not waiting. */
#define WORK_LOADS 64

/* ---- the heap -------------------------------------------------------------------------------------- */

static inline bool before(const struct heap_node *a, const struct heap_node *b)
{
	/* One comparison without a branch: which way it goes cannot be foretold. */
	return ((unsigned __int128)a->key << 64 | a->tie) < ((unsigned __int128)b->key << 64 | b->tie);
}

static inline u32 node_id(const struct heap_node *n)
{
	return (u32)(n->tie & 0xffff);
}

static inline u32 *pos_of(struct machine *m, u32 id)
{
	return &m->heap_pos[id];
}

static inline void place(struct machine *m, u32 at, struct heap_node n)
{
	m->heap[at] = n;
	*pos_of(m, node_id(&n)) = at + 1;
}

static void sift_up(struct machine *m, u32 at, struct heap_node n)
{
	while (at) {
		u32 parent = (at - 1) / HEAP_ARY;

		if (!before(&n, &m->heap[parent]))
			break;
		place(m, at, m->heap[parent]);
		at = parent;
	}
	place(m, at, n);
}

static void sift_down(struct machine *m, u32 at, struct heap_node n)
{
	for (;;) {
		u32 child = at * HEAP_ARY + 1, best = child;
		u32 end = min(child + HEAP_ARY, m->heap_count);

		if (child >= m->heap_count)
			break;
		for (u32 i = child + 1; i < end; i++)
			best = before(&m->heap[i], &m->heap[best]) ? i : best;
		if (!before(&m->heap[best], &n))
			break;
		place(m, at, m->heap[best]);
		at = best;
	}
	place(m, at, n);
}

void heap_set(struct machine *m, u32 id, u64 key)
{
	struct heap_node n = { .key = key, .tie = m->sequence++ << 16 | id };
	u32 pos = *pos_of(m, id);
	struct vcpu *c = m->on_host;

	/* Who runs now must not run past it. */
	if (c && id != c->id) {
		u64 horizon = m->cfg.schedule == SCHEDULE_TIME ? key + m->lookahead_ps : 0;

		c->e.horizon_ps = min(c->e.horizon_ps, horizon);
	}
	if (!pos)
		sift_up(m, m->heap_count++, n);
	else if (before(&n, &m->heap[pos - 1]))
		sift_up(m, pos - 1, n);
	else
		sift_down(m, pos - 1, n);
}

void heap_remove(struct machine *m, u32 id)
{
	u32 *pos = pos_of(m, id), at = *pos - 1;
	struct heap_node last;

	if (!*pos)
		return;
	*pos = 0;
	last = m->heap[--m->heap_count];
	if (at == m->heap_count)
		return;
	if (at && before(&last, &m->heap[(at - 1) / HEAP_ARY]))
		sift_up(m, at, last);
	else
		sift_down(m, at, last);
}

/* ---- the policy --------------------------------------------------------------------------------------- */

static u64 draw(struct machine *m)
{
	u64 x = m->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	m->random = x;
	return x * 0x2545f4914f6cdd1dull >> 32;
}

/* The place in the heap of what runs next. The heap is not empty. */
static u32 choose(struct machine *m)
{
	if (likely(m->cfg.schedule == SCHEDULE_TIME))
		return 0;
	return (u32)(draw(m) * m->heap_count >> 32);
}

/* May c, at `key`, go on without asking? */
static bool goes_first(const struct machine *m, u64 key)
{
	return !m->heap_count || (m->cfg.schedule == SCHEDULE_TIME && key < m->heap[0].key);
}

/* ---- from one to the next ------------------------------------------------------------------------------ */

static void set_horizon(struct vcpu *c)
{
	const struct machine *m = c->m;
	u64 horizon = TIME_NEVER;

	if (m->heap_count)
		horizon = m->cfg.schedule == SCHEDULE_TIME ? m->heap[0].key + m->lookahead_ps : 0;
	horizon = min(horizon, c->irq_due_ps);
	if (c->ready_head)
		horizon = min(horizon, c->slice_end_ps);
	if (rcu_work_ready(c))
		horizon = 0;
	c->e.horizon_ps = horizon;
}

/* The CPU whose turn it is, taken out of the heap; NULL: all tasks have ended and nothing is left. */
static struct vcpu *pick(struct machine *m)
{
	while (m->heap_count) {
		const struct heap_node *n = &m->heap[choose(m)];
		u32 id = node_id(n);
		u64 key = n->key;
		struct vcpu *c;

		if (id == TIMER_ID(m)) {
			heap_remove(m, id);
			rcu_timer(m, key);
			continue;
		}
		c = &m->vcpus[id];
		if (c->e.clock_ps < key)
			c->e.clock_ps = key;
		if (unlikely(c->irq_debt_ps))
			irqs_settle(c);
		if (c->pend)
			heap_set(m, id, lines_reserve(c));
		else if (c->curr || task_idle_turn(c)) {
			heap_remove(m, id);
			return c;
		}
	}
	if (m->live)
		deadlock_report(m, "deadlock: every task waits for another");
	return NULL;
}

/* The current context gives the host thread away. Returns when its CPU's turn has come, and its own
 * on that CPU. */
static void go(struct machine *m, bool ends)
{
	struct vtask *self = m->current, *next;
	struct vcpu *c;

	m->on_host = NULL;
	c = pick(m);
	next = c ? c->curr : NULL;
	m->on_host = c;
	m->current = next;
	if (c) {
		mmsim_engine_cpu = &c->e;
		mmsim_this_cpu = c->cpu;
		set_horizon(c);
	}
	if (next != self)
		context_switch(self ? &self->context : &m->main, next ? &next->context : &m->main,
			       ends);
	if (unlikely(m->dump_back))
		deadlock_print_own_stack(m);
}

void sched_host_thread(struct machine *m)
{
	m->current = NULL;
	m->on_host = NULL;
	go(m, false);
}

void sched_away(struct vcpu *c)
{
	go(c->m, c->m->current && c->m->current->state == TASK_ENDED);
}

void sched_until(struct vcpu *c, u64 key)
{
	if (goes_first(c->m, key)) {
		c->e.clock_ps = max(c->e.clock_ps, key);
		set_horizon(c);
		return;
	}
	heap_set(c->m, c->id, key);
	go(c->m, false);
}

void sched_transact(struct vcpu *c)
{
	u64 key = c->e.clock_ps;

	if (goes_first(c->m, key))
		key = lines_reserve(c);
	sched_until(c, key);
}

void sched_pause(struct vcpu *c)
{
	struct machine *m = c->m;

	if (c->nosched)
		return;
	if (irqs_due(c) && !c->e.irq_off)
		irqs_take(c);
	if (c->e.preempt_count == 0 && c->e.irq_off == 0 && !m->current->softirq) {
		if (rcu_work_ready(c))
			task_run_softirq(c);
		else if (c->ready_head && c->e.clock_ps >= c->slice_end_ps)
			task_preempt(c);
	}
	if (c->seen_count > WORK_LOADS)
		m->relax_timeouts = 0;
	sched_until(c, c->e.clock_ps);
}

void sched_poke(struct vcpu *c, u64 key)
{
	struct machine *m = c->m;
	u32 pos = m->heap_pos[c->id];

	key = max(key, c->e.clock_ps);
	if (!pos) {
		if (c != m->on_host)
			heap_set(m, c->id, key);
	} else if (c->relaxing || !c->curr) {
		if (key < m->heap[pos - 1].key)
			heap_set(m, c->id, key);
	}
}

/* ---- local work -------------------------------------------------------------------------------------------- */

static u64 slowed(const struct vcpu *c, u64 ps)
{
	const struct machine *m = c->m;
	u64 siblings = m->core_busy[c->place.core];
	u64 more = siblings > 1 ? (siblings - 1) * m->model.cpu_smt_slowdown_percent : 0;

	if (m->model.cpu_all_core_slowdown_percent && m->cores > 1 && m->cores_busy > 1)
		more += m->model.cpu_all_core_slowdown_percent * (m->cores_busy - 1) / (m->cores - 1);
	return more ? ps + ps * more / 100 : ps;
}

void sched_charge(struct vcpu *c, u64 ps)
{
	c->e.clock_ps += slowed(c, ps);
}

void sched_delay(struct vcpu *c, u64 ps)
{
	u64 left = slowed(c, ps);

	while (left) {
		u64 start, until;

		if (c->e.clock_ps > c->e.horizon_ps)
			sched_pause(c);
		start = c->e.clock_ps;
		until = start + left;
		if (c->ready_head && c->e.preempt_count == 0)
			until = min(until, max(c->slice_end_ps, start + PS_PER_NS));
		if (!c->e.irq_off)
			until = min(until, max(c->irq_due_ps, start + PS_PER_NS));
		c->relaxing = true;
		sched_until(c, until);
		c->relaxing = false;
		left -= min(left, c->e.clock_ps - start);
	}
}

/* ---- does anything move? ------------------------------------------------------------------------------------- */

void sched_relaxed(struct vcpu *c)
{
	struct machine *m = c->m;

	if (c->relax_woken || c->seen_count > WORK_LOADS) {
		m->relax_timeouts = 0;
		return;
	}
	if (!m->relax_timeouts)
		m->relax_since_ps = c->e.clock_ps;
	m->relax_timeouts += 1ull << c->relax_vain;
	if (m->relax_timeouts > LIVELOCK_TIMEOUTS &&
	    c->e.clock_ps > m->relax_since_ps + LIVELOCK_PS)
		deadlock_report(m, "livelock: tasks spin, and nothing changes");
}

void sched_woken(struct machine *m, u64 now_ps)
{
	if (likely(now_ps <= m->progress_ps + LIVELOCK_PS) || !m->running)
		return;
	m->progress_ps = now_ps; /* to be asked again after so long */
	for (u32 i = 0; i < m->task_count; i++) {
		const struct vtask *t = &m->vtasks[i];

		if (t->state != TASK_UNUSED && t->state != TASK_ENDED && !t->in_kernel)
			return; /* what a program does in its own time is its own matter */
	}
	deadlock_report(m, "livelock: tasks wake each other, and no system call or fault ends");
}

void sched_relax_alone(struct vcpu *c)
{
	c->e.clock_ps += c->m->model.sched_relax_max;
	if (++c->m->relax_timeouts > RELAX_ALONE_MAX)
		deadlock_report(c->m, "livelock: the only task spins");
}
