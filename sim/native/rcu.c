/*
 * sim/native/rcu.c - RCU natively: readers and grace periods by liburcu, call-backs by our own
 * queues
 *
 * The flavour is memb. tests/bench/bench_rcu.c on a 2-core Xeon under KVM (ns per empty read
 * section, the loop's 0.3 included; what each asks of a task that sleeps): qsbr    0.4   every
 * sleep (futex, lock, delay) must be wrapped offline/online, and tasks in long loops must announce
 * quiescent states, or grace periods never end memb    1.0   nothing: a task is a reader only
 * between lock and unlock bp      1.0   nothing; registers threads by itself, which the engine does
 * anyway mb     41     nothing, but two fences per section qsbr would save half a nanosecond of a
 * fault that takes a hundred, and cost a hook in every place that may block: one forgotten hook is
 * a hang. memb's grace period has a membarrier(2) in it (up to 34 us here, about two shootdowns),
 * which is why call-backs are batched below.
 *
 * Call-backs   Each CPU pushes onto a list of its own (one uncontended exchange; liburcu's call_rcu
 *              has one queue tail for all, which Linux has not). One worker per machine, a task
 * with a CPU of its own, takes all lists, waits one grace period and runs them. It lets call-backs
 * gather for a millisecond, unless somebody is in a hurry. Throttle     A CPU with more than
 * BACKLOG_MAX call-backs outstanding sleeps in sim_call_rcu(), for THROTTLE_NS_MAX at the most, and
 * not inside a reader. Bounded, because the caller may hold a lock that a reader spins for, and the
 * grace period may wait for that reader: an unbounded wait would be a deadlock, a bounded one is a
 * pause. It holds the storm to BACKLOG_MAX plus 1 call-back per pause until that reader is through.
 * TSan         cannot see liburcu's ordering: readers release, and whoever waited for a grace
 * period acquires, one address. That is RCU's guarantee, and nothing more: a reader that uses what
 * was freed has no edge to the freeing, and is reported.
 */
#include "sim/native/internal.h"

#include <mmsim/rcu.h>

#include <stdlib.h>

/* liburcu's names, declared here because its headers would bring a second struct rcu_head. */
void urcu_memb_synchronize_rcu(void);
void urcu_memb_register_thread(void);
void urcu_memb_unregister_thread(void);

#define GATHER_NS 1000000ull
#define BACKLOG_HURRY 2048
#define BACKLOG_MAX 16384
#define THROTTLE_NS_MAX 1000000ull
#define THROTTLE_STEP_NS 100000ull

#if MMSIM_TSAN
char mmsim_rcu_tsan_edge;
#define RCU_TSAN_ACQUIRE() __tsan_acquire(&mmsim_rcu_tsan_edge)
#else
#define RCU_TSAN_ACQUIRE() ((void)0)
#endif

void native_rcu_register(void)
{
	urcu_memb_register_thread();
}

void native_rcu_unregister(void)
{
	urcu_memb_unregister_thread();
}

void sim_synchronize_rcu(void)
{
	if (rcu_read_lock_held())
		MMSIM_BUG("sim_synchronize_rcu() inside rcu_read_lock()");
	if (mmsim_this_cpu)
		WRITE_ONCE(current_task()->on_cpu, 0u);
	urcu_memb_synchronize_rcu();
	if (mmsim_this_cpu)
		WRITE_ONCE(current_task()->on_cpu, 1u);
	RCU_TSAN_ACQUIRE();
}

/* ---- queueing ------------------------------------------------------------------------------ */

static void wake_worker(struct rcu_worker *w)
{
	if (READ_ONCE(w->idle) && xchg(&w->idle, 0u))
		futex_wake(&w->idle, 1);
}

static void hurry_worker(struct rcu_worker *w)
{
	if (!READ_ONCE(w->hurry) && !xchg(&w->hurry, 1u))
		futex_wake(&w->hurry, 1);
	wake_worker(w);
}

static u64 backlog_of(const struct rcu_queue *q)
{
	return READ_ONCE(q->queued) - READ_ONCE(q->done);
}

static NOINLINE void throttle(struct rcu_queue *q)
{
	u64 start_ns = engine_now_ns();

	if (rcu_read_lock_held())
		return;
	count_event(COUNTER_RCU_THROTTLE);
	while (backlog_of(q) > BACKLOG_MAX / 2 && engine_now_ns() - start_ns < THROTTLE_NS_MAX)
		engine_delay_ns(THROTTLE_STEP_NS);
}

void sim_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct native_cpu *c = native_cpu(this_cpu());
	struct rcu_worker *w = &c->cpu.machine->rcu;
	struct rcu_queue *q = &c->rcu;
	struct rcu_head *old = READ_ONCE(q->head);

	count_event(COUNTER_RCU_CALLBACK);
	head->func = func;
	WRITE_ONCE(q->queued, q->queued + 1);
	/* Full barrier: queued before idle is read; pairs with worker_idle(). */
	do {
		head->next = old;
	} while (!try_cmpxchg(&q->head, &old, head));
	if (unlikely(READ_ONCE(w->idle)))
		wake_worker(w);
	if (unlikely(backlog_of(q) > BACKLOG_HURRY)) {
		hurry_worker(w);
		if (backlog_of(q) > BACKLOG_MAX)
			throttle(q);
	}
}

void sim_rcu_barrier(void)
{
	struct rcu_worker *w = &this_cpu()->machine->rcu;
	u64 ticket = fetch_add(&w->barriers_asked, 1ull) + 1;

	hurry_worker(w);
	/* Pairs with the release in worker_main(): what the call-backs did is visible. */
	wait_event(&w->barrier_wq, smp_load_acquire(&w->barriers_done) >= ticket);
}

/* ---- the worker ---------------------------------------------------------------------------- */

static bool any_queued(const struct machine *m)
{
	for (u32 i = 0; i < m->cpu_count; i++) {
		if (READ_ONCE(m->cpus[i].rcu.head))
			return true;
	}
	return false;
}

/* Queues are last in, first out; call-backs of one CPU run in the order in which it queued them. */
static struct rcu_head *reversed(struct rcu_head *head)
{
	struct rcu_head *result = NULL;

	while (head) {
		struct rcu_head *next = head->next;

		head->next = result;
		result = head;
		head = next;
	}
	return result;
}

static void run_callbacks(struct rcu_queue *q, struct rcu_head *head)
{
	u64 n = 0;

	for (struct rcu_head *next; head; head = next, n++) {
		next = head->next; /* func may free it */
		head->func(head);
	}
	WRITE_ONCE(q->done, q->done + n);
}

/* All that is queued now, after one grace period. batch has room for every CPU. */
static bool run_batch(struct machine *m, struct rcu_head **batch)
{
	bool any = false;

	for (u32 i = 0; i < m->cpu_count; i++) {
		struct rcu_queue *q = &m->cpus[i].rcu;

		batch[i] = READ_ONCE(q->head) ? xchg(&q->head, NULL) : NULL;
		any |= batch[i] != NULL;
	}
	if (!any)
		return false;
	sim_synchronize_rcu();
	for (u32 i = 0; i < m->cpu_count; i++) {
		if (batch[i])
			run_callbacks(&m->cpus[i].rcu, reversed(batch[i]));
	}
	return true;
}

static bool worker_wanted(const struct machine *m)
{
	return any_queued(m) || READ_ONCE(m->rcu.stop) ||
	       READ_ONCE(m->rcu.barriers_asked) != READ_ONCE(m->rcu.barriers_done);
}

static void worker_idle(struct machine *m)
{
	struct rcu_worker *w = &m->rcu;

	WRITE_ONCE(w->idle, 1u);
	smp_mb(); /* pairs with sim_call_rcu() and hurry_worker(): they see idle, or we see work */
	while (READ_ONCE(w->idle) && !worker_wanted(m))
		futex_wait(&w->idle, 1, 0);
	WRITE_ONCE(w->idle, 0u);
}

struct worker_start {
	struct machine *m;
	struct rcu_head **batch;
};

static void *worker_main(void *p)
{
	struct worker_start start = *(struct worker_start *)p;
	struct machine *m = start.m;
	struct rcu_worker *w = &m->rcu;
	struct native_cpu *c = &m->cpus[m->cpu_count - 1];
	bool ran;

	free(p);
	WRITE_ONCE(c->busy, 1u);
	native_task_begin(c);
	do {
		u64 asked;

		worker_idle(m);
		if (!READ_ONCE(w->hurry))
			futex_wait(&w->hurry, 0, GATHER_NS);
		WRITE_ONCE(w->hurry, 0u);
		/* Read before the queues are taken: what was queued before it is in them. */
		asked = smp_load_acquire(&w->barriers_asked);
		ran = run_batch(m, start.batch);
		if (asked != w->barriers_done) {
			smp_store_release(&w->barriers_done, asked);
			wake_up_all(&w->barrier_wq);
		}
		/* Asked to stop: call-backs may have queued further ones. */
	} while (ran || !smp_load_acquire(&w->stop));
	native_task_end();
	free(start.batch);
	return NULL;
}

int native_rcu_start(struct machine *m)
{
	struct worker_start *start = malloc(sizeof(*start));
	int ret;

	if (!start)
		return -ENOMEM;
	start->m = m;
	start->batch = calloc(m->cpu_count, sizeof(start->batch[0]));
	if (!start->batch) {
		free(start);
		return -ENOMEM;
	}
	ret = -pthread_create(&m->rcu.thread, NULL, worker_main, start);
	if (ret) {
		free(start->batch);
		free(start);
	}
	return ret;
}

void native_rcu_stop(struct machine *m)
{
	smp_store_release(&m->rcu.stop, 1u);
	hurry_worker(&m->rcu);
	pthread_join(m->rcu.thread, NULL);
}
