/*
 * sim/virtual/spinlock.c - the contended side of spin_lock() in virtual time: a queue
 *
 * Models       Linux's qspinlock (an MCS queue whose tail is in the lock word), without the pending
 *              bit: each waiter spins on a node of its own in per-CPU memory, and only the head of the
 *              queue reads the lock. A CPU waits for one lock at a time (interrupt handlers take none,
 *              and preemption is off), so it has one node.
 * Progress     FIFO.
 */
#include "sim/virtual/internal.h"

struct spin_node {
	u32 next;   /* (atomic) CPU of the successor, plus one; 0: none yet */
	u32 locked; /* (atomic) the head of the queue is ours */
};

static struct spin_node *node_of(struct machine *m, u32 cpu)
{
	return per_cpu_ptr(m->spin_nodes, struct spin_node, &m->cpus[cpu]);
}

/* Put us at the tail. Returns who was there, plus one. */
static u32 join(spinlock_t *lock, u32 self)
{
	u32 word = READ_ONCE(lock->locked), new;

	do {
		new = (word & 0xffffu) | (self + 1) << SPIN_TAIL_SHIFT;
	} while (!try_cmpxchg(&lock->locked, &word, new));
	return word >> SPIN_TAIL_SHIFT;
}

/* We are the head: take the lock once it is free. True: nobody is behind us. */
static bool take_as_head(spinlock_t *lock, u32 self)
{
	u32 word, tail = (self + 1) << SPIN_TAIL_SHIFT, new;

	do {
		while ((word = smp_load_acquire(&lock->locked)) & 0xffffu)
			cpu_relax();
		new = word == tail ? 1 : word | 1;
	} while (!try_cmpxchg_acquire(&lock->locked, &word, new));
	return new == 1;
}

void spin_lock_slow(spinlock_t *lock)
{
	struct cpu *cpu = this_cpu();
	struct spin_node *node;
	struct machine *m;
	const void *outer;
	u32 prev, next;

	if (!cpu)
		MMSIM_BUG("a spin lock is held by somebody else, and there is nobody else");
	m = cpu->machine;
	outer = task_waits_for(lock);
	node = node_of(m, cpu->id);
	WRITE_ONCE(node->next, 0u);
	WRITE_ONCE(node->locked, 0u);
	prev = join(lock, cpu->id);
	if (prev) {
		WRITE_ONCE(node_of(m, prev - 1)->next, cpu->id + 1);
		while (!smp_load_acquire(&node->locked))
			cpu_relax();
	}
	if (!take_as_head(lock, cpu->id)) {
		while (!(next = READ_ONCE(node->next)))
			cpu_relax();
		smp_store_release(&node_of(m, next - 1)->locked, 1u);
	}
	task_waits_for(outer);
}
