/*
 * sim/locks/srcu.c - RCU domains whose readers may sleep
 *
 * Models       Linux's SRCU in its classic form: two pairs of per-CPU counters (entries and exits),
 *              readers use the pair that `idx` names, a grace period waits for the other one, flips
 *              idx, and waits again.
 *              call_srcu()'s grace periods are driven from RCU call-backs, one step each: while
 *              readers are inside, the step is queued again, so that Linux's delayed work is an RCU
 *              grace period here.
 * Leaves out   expediting.
 * Guarantee    synchronize_srcu() returns, and a call-back runs, after every reader that was inside
 *              has left; what they did is visible to it.
 * Context      readers: any task. synchronize_srcu(), srcu_barrier(), destroy: may sleep, not inside
 *              a reader of the same domain. Call-backs: as sim_call_rcu()'s.
 * Progress     a grace period waits for as long as the slowest reader; readers never wait.
 * Throttle     past CALLBACKS_MAX outstanding call-backs call_srcu() waits, for a bounded time.
 *
 * Why two rounds: a reader may have read idx long ago and count itself in only now. One flip would
 * wait for the pair that this late-comer is about to join *after* the sum was taken, which is
 * harmless for this grace period, but the next one's flip must not find it in the "new" pair.
 */
#include <mmsim/charge.h>
#include <mmsim/cpu.h>
#include <mmsim/rcu.h>

#include <stdlib.h>
#include <string.h>

#define CALLBACKS_MAX 16384
#define THROTTLE_STEPS_MAX 4

struct srcu_slot {
	u64 enter[2]; /* (atomic) */
	u64 leave[2]; /* (atomic) */
} __cacheline_aligned;

struct srcu_domain {
	char name[32];
	u32 idx;      /* (atomic) the pair that new readers join; changed by a gp owner */
	u32 gp_waits; /* (atomic) a grace period sleeps: readers that leave wake it */
	struct wait_queue gp_wq;
	u32 gp_busy; /* (atomic) one grace period at a time */
	struct wait_queue gp_turn_wq;
	/* call_srcu() */
	struct rcu_head *queued; /* (atomic) call-backs that no grace period works for yet */
	u64 queued_count, ran_count; /* (atomic) */
	u32 driven;		 /* (atomic) a step is queued, or runs */
	struct rcu_head step;
	/* what the driver alone knows */
	struct rcu_head *waiting; /* the call-backs of the grace period that runs */
	enum { SRCU_IDLE, SRCU_BEFORE_FLIP, SRCU_AFTER_FLIP } stage;
	struct srcu_slot slots[MMSIM_CPU_IDS_MAX]; /* by CPU; host memory is used as touched */
};

struct srcu_domain *srcu_domain_create(const char *name)
{
	/* calloc, aligned by hand: only the slots of CPUs that exist get touched. */
	char *mem = calloc(1, sizeof(struct srcu_domain) + 2 * MMSIM_CACHE_LINE_BYTES);
	struct srcu_domain *d;

	if (!mem)
		return NULL;
	d = (void *)ALIGN_UP((uintptr_t)mem + sizeof(void *), MMSIM_CACHE_LINE_BYTES);
	memcpy((char *)d - sizeof(void *), &mem, sizeof(mem)); /* for destroy */
	strncpy(d->name, name, sizeof(d->name) - 1);
	return d;
}

int srcu_read_lock(struct srcu_domain *d)
{
	u32 idx = READ_ONCE(d->idx) & 1;

	/* Full barrier: counted in before anything inside; pairs with readers_active(). */
	(void)fetch_add(&d->slots[this_cpu()->id].enter[idx], 1ull);
	return (int)idx;
}

void srcu_read_unlock(struct srcu_domain *d, int idx)
{
	/* Full barrier: everything inside is before it, the look at gp_waits after it (Dekker with
	 * wait_for_readers(): it sets gp_waits, then sums). */
	(void)fetch_add(&d->slots[this_cpu()->id].leave[idx & 1], 1ull);
	if (unlikely(READ_ONCE(d->gp_waits)))
		wake_up_all(&d->gp_wq);
}

/*
 * Exits are summed before entries: an exit that is seen has its entry seen too, so equal sums mean
 * that at some moment in between nobody was inside. A reader that moved to another CPU inside is
 * still counted once on each side.
 */
static bool readers_active(struct srcu_domain *d, u32 idx)
{
	u32 cpus = machine_cpu_count(this_cpu()->machine);
	u64 left = 0, entered = 0;

	for (u32 i = 0; i < cpus; i++)
		left += smp_load_acquire(&d->slots[i].leave[idx]);
	smp_mb(); /* pairs with the full barrier in srcu_read_lock() */
	for (u32 i = 0; i < cpus; i++)
		entered += smp_load_acquire(&d->slots[i].enter[idx]);
	return left != entered;
}

static void wait_for_readers(struct srcu_domain *d, u32 idx)
{
	WRITE_ONCE(d->gp_waits, 1u);
	smp_mb(); /* pairs with the full barrier in srcu_read_unlock() */
	wait_event(&d->gp_wq, !readers_active(d, idx));
	WRITE_ONCE(d->gp_waits, 0u);
}

void synchronize_srcu(struct srcu_domain *d)
{
	u32 idx;

	while (xchg_acquire(&d->gp_busy, 1u))
		wait_event(&d->gp_turn_wq, !READ_ONCE(d->gp_busy));
	smp_mb(); /* what the caller unpublished is unpublished before any counter is read */
	idx = READ_ONCE(d->idx) & 1;
	wait_for_readers(d, idx ^ 1);
	WRITE_ONCE(d->idx, idx ^ 1);
	smp_mb(); /* new readers go to the other pair before we wait for this one to empty */
	wait_for_readers(d, idx);
	smp_store_release(&d->gp_busy, 0u);
	wake_up_one(&d->gp_turn_wq);
}

/* ---- call-backs ---------------------------------------------------------------------------- */

/* Oldest first: they were pushed in front of each other. */
static struct rcu_head *reversed(struct rcu_head *head)
{
	struct rcu_head *result = NULL;

	while (head) {
		struct rcu_head *next;

		line_write_ptr(head);
		next = head->next;
		head->next = result;
		result = head;
		head = next;
	}
	return result;
}

static void run_waiting(struct srcu_domain *d)
{
	struct rcu_head *head = reversed(d->waiting);
	u64 n = 0;

	d->waiting = NULL;
	for (struct rcu_head *next; head; head = next, n++) {
		next = head->next; /* func may free it */
		head->func(head);
	}
	(void)fetch_add(&d->ran_count, n);
}

/* As far as it goes without waiting. False: readers, or somebody else's grace period, are in the way. */
static bool gp_advance(struct srcu_domain *d)
{
	u32 idx;

	if (d->stage == SRCU_IDLE) {
		if (xchg_acquire(&d->gp_busy, 1u))
			return false;
		/* Fully ordered: what was unpublished before call_srcu() is, before a counter is read. */
		d->waiting = xchg(&d->queued, NULL);
		d->stage = SRCU_BEFORE_FLIP;
	}
	idx = READ_ONCE(d->idx) & 1;
	if (d->stage == SRCU_BEFORE_FLIP) {
		if (readers_active(d, idx ^ 1))
			return false;
		idx ^= 1;
		WRITE_ONCE(d->idx, idx);
		smp_mb(); /* as in synchronize_srcu() */
		d->stage = SRCU_AFTER_FLIP;
	}
	if (readers_active(d, idx ^ 1))
		return false;
	d->stage = SRCU_IDLE;
	smp_store_release(&d->gp_busy, 0u);
	wake_up_one(&d->gp_turn_wq);
	return true;
}

static void gp_step(struct rcu_head *head)
{
	struct srcu_domain *d = container_of(head, struct srcu_domain, step);

	if (gp_advance(d))
		run_waiting(d);
	if (d->stage == SRCU_IDLE && !READ_ONCE(d->queued)) {
		/* Fully ordered: then the look at the queue. Pairs with call_srcu(). */
		(void)xchg(&d->driven, 0u);
		if (!READ_ONCE(d->queued) || xchg(&d->driven, 1u))
			return;
	}
	sim_call_rcu(&d->step, gp_step);
}

static u64 outstanding(const struct srcu_domain *d)
{
	u64 ran = READ_ONCE(d->ran_count);

	return READ_ONCE(d->queued_count) - ran;
}

void call_srcu(struct srcu_domain *d, struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct rcu_head *old = READ_ONCE(d->queued);

	head->func = func;
	(void)fetch_add(&d->queued_count, 1ull);
	/* Fully ordered: queued before the look at driven. Pairs with gp_step(). */
	do {
		head->next = old;
	} while (!try_cmpxchg(&d->queued, &old, head));
	if (!READ_ONCE(d->driven) && !xchg(&d->driven, 1u))
		sim_call_rcu(&d->step, gp_step);
	if (likely(outstanding(d) <= CALLBACKS_MAX))
		return;
	count_event(COUNTER_RCU_THROTTLE);
	for (u32 i = 0; i < THROTTLE_STEPS_MAX && outstanding(d) > CALLBACKS_MAX / 2; i++)
		sim_rcu_barrier(); /* a step at the least */
}

void srcu_barrier(struct srcu_domain *d)
{
	u64 all = READ_ONCE(d->queued_count);

	if (!all)
		return;
	/* Each turn lets one step run, or more. */
	while ((s64)(READ_ONCE(d->ran_count) - all) < 0)
		sim_rcu_barrier();
	sim_rcu_barrier(); /* the last step has returned, too */
}

void srcu_domain_destroy(struct srcu_domain *d)
{
	void *mem;

	if (READ_ONCE(d->driven) || outstanding(d))
		MMSIM_BUG("srcu domain %s destroyed with call-backs outstanding", d->name);

	for (u32 idx = 0; idx < 2; idx++) {
		u64 inside = 0;

		for (u32 i = 0; i < MMSIM_CPU_IDS_MAX; i++)
			inside += READ_ONCE(d->slots[i].enter[idx]) -
				  READ_ONCE(d->slots[i].leave[idx]);
		if (inside)
			MMSIM_BUG("srcu domain %s destroyed with %llu readers inside", d->name,
				  (unsigned long long)inside);
	}
	memcpy(&mem, (char *)d - sizeof(void *), sizeof(mem));
	free(mem);
}
