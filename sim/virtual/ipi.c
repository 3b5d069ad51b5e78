/*
 * sim/virtual/ipi.c - interrupts in virtual time
 *
 * The sender pays cost.ipi_send per target; a target's interrupt is due cost.ipi_latency later. The
 * target takes it at its first operation at or after that outside of instruction windows and
 * local_irq_disable(), for cost.ipi_handler; an idle CPU stays idle afterwards. The sender
 * waits for all acknowledgements, and takes interrupts meanwhile: two senders may target each other.
 * A CPU that is idle or in cpu_relax() executes nothing until it goes on: its handler runs when the
 * interrupt is posted, and it pays when it goes on, if the handler is not over by then. (A thousand
 * spinning CPUs are not to be resumed one by one for each flush.)
 * A handler runs to its end without giving the CPU away: what it prices adds to the clock only.
 * Broadcast    of TLB invalidations (tlbi_broadcast()): the sender alone pays, cost.tlbi_broadcast per
 *              operation; serialised, it queues for the fabric. The targets are not interrupted; one
 *              that is inside an instruction window finishes it first, as the barrier after the
 *              operation waits for accesses under way.
 * Inside machine_enter() all targets are idle: handlers run in their stead.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/timeline.h"

#include <stdlib.h>

static struct virq *irq_alloc(struct machine *m)
{
	struct virq *irq = m->virq_free;

	if (irq) {
		m->virq_free = irq->next;
		return irq;
	}
	irq = malloc(sizeof(*irq));
	if (!irq)
		MMSIM_BUG("the host has no memory for an interrupt");
	return irq;
}

static void irq_recycle(struct machine *m, struct virq *irq)
{
	irq->next = m->virq_free;
	m->virq_free = irq;
}

static void due_again(struct vcpu *c)
{
	c->irq_due_ps = TIME_NEVER;
	for (const struct virq *irq = c->irqs; irq; irq = irq->next)
		c->irq_due_ps = min(c->irq_due_ps, irq->due_ps);
}

static void post(struct vcpu *target, struct virq *irq)
{
	struct virq **end = &target->irqs;

	while (*end)
		end = &(*end)->next;
	irq->next = NULL;
	*end = irq;
	target->irq_due_ps = min(target->irq_due_ps, irq->due_ps);
	sched_poke(target, irq->due_ps);
}

static void acknowledge(struct vcpu *c, struct vcpu *sender, u64 done_ps)
{
	struct machine *m = c->m;
	u64 distance_ps = m->transfer_ps[machine_model_distance(c->place, sender->place)];

	sender->ack_ps = max(sender->ack_ps, done_ps + distance_ps);
	if (--sender->acks_awaited == 0 && sender->awaits_acks)
		sched_poke(sender, sender->ack_ps);
}

/* fn as if the target executed it. */
static void handle(struct vcpu *c, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct engine_cpu *e = mmsim_engine_cpu;
	struct cpu *cpu = mmsim_this_cpu;
	bool nosched = c->nosched;

	mmsim_engine_cpu = &c->e;
	mmsim_this_cpu = c->cpu;
	c->nosched = true;
	fn(c->cpu, arg);
	c->nosched = nosched;
	mmsim_engine_cpu = e;
	mmsim_this_cpu = cpu;
}

/* fn as something that happens to the target while it goes on. */
static void happen(struct vcpu *c, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	u64 clock_ps = c->e.clock_ps;

	handle(c, fn, arg);
	c->e.clock_ps = clock_ps;
}

/* Does it execute anything before it is looked at the next time? */
static bool stands_still(const struct vcpu *c)
{
	return !c->e.irq_off && !c->irqs && (!c->curr || c->relaxing || c->awaits_acks);
}

static void take_at_once(struct vcpu *c, struct vcpu *sender, u64 due_ps, u64 number,
			 void (*fn)(struct cpu *target, void *arg), void *arg)
{
	u64 clock_ps = c->e.clock_ps, start_ps = max(max(c->irq_debt_until_ps, due_ps), clock_ps);

	/* At the time at which it happens: the clock of who stands still is behind. */
	c->e.clock_ps = start_ps + c->m->model.cost_ipi_handler;
	handle(c, fn, arg);
	c->irq_debt_until_ps = c->e.clock_ps;
	c->irq_debt_ps += c->e.clock_ps - start_ps;
	c->e.clock_ps = clock_ps;
	timeline_if_on(timeline_ipi_handled(c, number, start_ps, c->irq_debt_until_ps));
	acknowledge(c, sender, c->irq_debt_until_ps);
}

void irqs_settle(struct vcpu *c)
{
	if (c->e.clock_ps < c->irq_debt_until_ps)
		c->e.clock_ps = min(c->irq_debt_until_ps, c->e.clock_ps + c->irq_debt_ps);
	c->irq_debt_ps = 0;
}

void irqs_take(struct vcpu *c)
{
	struct machine *m = c->m;
	struct virq **p = &c->irqs;

	while (*p) {
		struct virq *irq = *p;

		if (irq->due_ps > c->e.clock_ps) {
			p = &irq->next;
			continue;
		}
		*p = irq->next;
		if (irq->by_fabric) {
			happen(c, irq->fn, irq->arg);
		} else {
			c->e.clock_ps += m->model.cost_ipi_handler;
			timeline_if_on(timeline_ipi_handled(
				c, irq->number, c->e.clock_ps - m->model.cost_ipi_handler,
				c->e.clock_ps));
			handle(c, irq->fn, irq->arg);
		}
		acknowledge(c, irq->sender, c->e.clock_ps);
		irq_recycle(m, irq);
		p = &c->irqs; /* others may be due by now */
	}
	due_again(c);
}

void vt_interrupts_allowed(void)
{
	struct vcpu *c = vt_cpu();

	if (c->m && c->m->running)
		sched_pause(c);
}

static u32 call_inline(struct machine *m, const struct cpumask *mask,
		       void (*fn)(struct cpu *target, void *arg), void *arg)
{
	u32 self = this_cpu()->id, count = 0;

	for (u32 id = 0; id < m->cpu_count; id++) {
		if (id == self || !(mask->bits[id / 64] >> (id % 64) & 1))
			continue;
		handle(&m->vcpus[id], fn, arg);
		count++;
	}
	return count;
}

static void await_acks(struct vcpu *c)
{
	u64 since_ps = c->e.clock_ps;

	while (c->acks_awaited) {
		/* Not in the heap, unless an interrupt is on its way here. */
		if (c->irqs)
			heap_set(c->m, c->id, max(c->irq_due_ps, c->e.clock_ps));
		c->awaits_acks = true;
		sched_away(c);
		c->awaits_acks = false;
		if (irqs_due(c))
			irqs_take(c);
	}
	c->awaits_acks = true;
	sched_until(c, max(c->e.clock_ps, c->ack_ps));
	c->awaits_acks = false;
	if (hot_lines_on(c->m))
		c->m->ack_wait_ps += c->e.clock_ps - since_ps;
}

static void post_new(struct vcpu *sender, struct vcpu *target, u64 due_ps, u64 number,
		     bool by_fabric, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct virq *irq = irq_alloc(sender->m);

	irq->fn = fn;
	irq->arg = arg;
	irq->due_ps = due_ps;
	irq->number = number;
	irq->sender = sender;
	irq->by_fabric = by_fabric;
	post(target, irq);
}

static void interrupt(struct vcpu *sender, struct vcpu *target,
		      void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct machine *m = sender->m;
	u64 due_ps, number = 0;

	sched_charge(sender, m->model.cost_ipi_send);
	due_ps = sender->e.clock_ps + m->model.cost_ipi_latency;
	sender->acks_awaited++;
	timeline_if_on(number = timeline_ipi_sent(sender, target));
	if (stands_still(target)) {
		take_at_once(target, sender, due_ps, number, fn, arg);
		return;
	}
	post_new(sender, target, due_ps, number, false, fn, arg);
}

static void carry(struct vcpu *sender, struct vcpu *target,
		  void (*fn)(struct cpu *target, void *arg), void *arg)
{
	if (!target->e.irq_off) {
		happen(target, fn, arg);
		return;
	}
	sender->acks_awaited++;
	post_new(sender, target, sender->e.clock_ps, 0, true, fn, arg);
}

/* deliver() to each target, and wait until all have acknowledged. */
static u32 call_targets(struct vcpu *c, const struct cpumask *targets,
			void (*deliver)(struct vcpu *sender, struct vcpu *target,
					void (*fn)(struct cpu *target, void *arg), void *arg),
			void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct machine *m = c->m;
	u32 count = 0;

	c->ack_ps = 0;
	for (u32 word = 0; word < ARRAY_SIZE(targets->bits); word++) {
		for (u64 bits = targets->bits[word]; bits; bits &= bits - 1) {
			u32 id = word * 64 + (u32)__builtin_ctzll(bits);

			if (id == c->id || id >= m->cpu_count)
				continue;
			deliver(c, &m->vcpus[id], fn, arg);
			count++;
		}
	}
	await_acks(c);
	return count;
}

u32 ipi_call_mask(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct vcpu *c = vt_cpu();
	struct machine *m = c->m;
	struct cpumask targets = *mask; /* it may be a live one */
	u64 since_ps = c->e.clock_ps;
	u32 count = 0;

	MMSIM_BUG_ON(c->e.irq_off);
	if (!m->running) {
		count = call_inline(m, &targets, fn, arg);
		count_events(COUNTER_IPI_SENT, count);
		return count;
	}
	c->e.preempt_count++;
	count = call_targets(c, &targets, interrupt, fn, arg);
	timeline_if_on(timeline_ipi_done(c, since_ps, count));
	c->e.preempt_count--;
	count_events(COUNTER_IPI_SENT, count);
	return count;
}

u32 tlbi_broadcast(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg,
		   u64 operations, bool serialised)
{
	struct vcpu *c = vt_cpu();
	struct machine *m = c->m;
	struct cpumask targets = *mask; /* it may be a live one */
	u64 ps = m->cost_ps[COST_TLBI_BROADCAST] * operations;
	u32 count;

	MMSIM_BUG_ON(c->e.irq_off);
	if (!m->running)
		return call_inline(m, &targets, fn, arg);
	c->e.preempt_count++;
	if (serialised)
		lines_hold_fabric(c, ps);
	else
		sched_until(c, c->e.clock_ps + ps);
	count = call_targets(c, &targets, carry, fn, arg);
	c->e.preempt_count--;
	return count;
}

u32 machine_tlb_invalidation(const struct machine *m)
{
	return (u32)m->model.tlb_invalidate;
}
