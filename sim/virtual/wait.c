/*
 * sim/virtual/wait.c - how a task sleeps in virtual time: parking, wait queues, kills
 *
 * The protocol on the shared words is the native one (sim/native/wait.c), so that it is priced and
 * scheduled as such. What is a futex there is a list of sleeping tasks here, by the word's address,
 * first in first out. Addresses choose the list only, never the order.
 * Context      sleeping: not inside an RCU reader, no spin locks held. Waking: any.
 */
#include "sim/virtual/internal.h"

void wait_init(struct machine *m)
{
	for (u32 i = 0; i < WAIT_BUCKETS; i++)
		list_init(&m->wait_buckets[i]);
}

static struct list_head *bucket_of(struct machine *m, const void *key)
{
	u64 hash = (u64)(uintptr_t)key * 0x9e3779b97f4a7c15ull;

	return &m->wait_buckets[hash >> 54];
}

static void leave_channel(struct vtask *t)
{
	if (!list_empty(&t->channel_link))
		list_del_init(&t->channel_link);
}

/* No operation between the caller's look at its condition and this. */
void channel_sleep(const void *key, const char *in)
{
	struct machine *m = vt_machine;
	struct vtask *t = vtask_of(current_task());

	t->channel_key = key;
	list_add_tail(&t->channel_link, bucket_of(m, key));
	task_sleep(in, key);
	leave_channel(t);
}

void channel_wake(struct machine *m, const void *key, u32 tasks, bool charged)
{
	struct list_head *bucket = bucket_of(m, key);
	struct vtask *t, *tmp;

	list_for_each_entry_safe (t, tmp, bucket, channel_link) {
		if (!tasks)
			break;
		if (t->channel_key != key)
			continue;
		tasks--;
		leave_channel(t);
		if (charged)
			task_wake_charged(t);
		else
			(void)task_wake(t, m->event_ps);
	}
}

/* ---- one task -------------------------------------------------------------------------------------------- */

void task_park(void)
{
	struct task *task = current_task();

	if (xchg_acquire(&task->park_token, 0u))
		return;
	task_sleep("task_park", task->waits_for);
	(void)xchg_acquire(&task->park_token, 0u);
}

void task_unpark(struct task *task)
{
	if (!xchg(&task->park_token, 1u))
		task_wake_charged(vtask_of(task));
}

void task_kill(struct task *task)
{
	WRITE_ONCE(task->killed, 1u);
	smp_mb(); /* pairs with wait_sleep_killable(): it sees killed, or we see its word */
	task_unpark(task);
	if (READ_ONCE(task->sleep_word)) {
		leave_channel(vtask_of(task));
		task_wake_charged(vtask_of(task));
	}
}

/* ---- wait queues -------------------------------------------------------------------------------------------- */

u32 wait_prepare(struct wait_queue *wq)
{
	/* Full barrier: counted before the condition is checked; pairs with wake_up(). */
	(void)fetch_add(&wq->waiters, 1u);
	return smp_load_acquire(&wq->seq);
}

void wait_sleep(struct wait_queue *wq, u32 ticket)
{
	if (READ_ONCE(wq->seq) == ticket)
		channel_sleep(wq, "wait_event");
}

void wait_sleep_killable(struct wait_queue *wq, u32 ticket)
{
	struct task *task = current_task();

	WRITE_ONCE(task->sleep_word, &wq->seq);
	smp_mb(); /* pairs with task_kill() */
	if (!task_killed())
		wait_sleep(wq, ticket);
	smp_store_release(&task->sleep_word, NULL);
}

void wait_finish(struct wait_queue *wq)
{
	(void)fetch_add_release(&wq->waiters, -1u);
}

static void wake_up(struct wait_queue *wq, u32 tasks)
{
	smp_mb(); /* the condition is true before waiters is read; pairs with wait_prepare() */
	if (!READ_ONCE(wq->waiters))
		return;
	(void)fetch_add(&wq->seq, 1u);
	channel_wake(vt_machine, wq, tasks, true);
}

void wake_up_one(struct wait_queue *wq)
{
	wake_up(wq, 1);
}

void wake_up_all(struct wait_queue *wq)
{
	wake_up(wq, ~0u);
}
