/*
 * sim/native/wait.c - how a task sleeps: futexes, parking, wait queues, kills
 *
 * Guarantee    No lost wake-ups. Queue: a waiter counts itself, then checks its condition; a waker
 *              makes it true, then looks at the count: one of them sees the other. Ticket: a wake
 *              after prepare changes `seq`, and the futex does not sleep on a changed word.
 * Context      sleeping: not inside an RCU reader (a grace period would wait for a wake-up that may
 *              wait for it), no spin locks held. Waking: any.
 */
#include "sim/native/internal.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void futex_wait(u32 *word, u32 value, u64 timeout_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000ull),
			      .tv_nsec = (long)(timeout_ns % 1000000000ull)};

	/* Every error (changed, timed out, interrupted) means: look again. */
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns ? &ts : NULL, NULL, 0);
}

void futex_wake(u32 *word, u32 tasks)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, tasks > INT_MAX ? INT_MAX : (int)tasks,
		      NULL, NULL, 0);
}

static void task_sleep(struct task *task, u32 *word, u32 value)
{
	if (unlikely(rcu_read_lock_held()))
		MMSIM_BUG("a task sleeps inside rcu_read_lock()");
	WRITE_ONCE(task->on_cpu, 0u);
	futex_wait(word, value, 0);
	WRITE_ONCE(task->on_cpu, 1u);
}

/* ---- one task ------------------------------------------------------------------------------ */

void task_park(void)
{
	struct task *task = current_task();

	if (xchg_acquire(&task->park_token, 0u))
		return;
	task_sleep(task, &task->park_token, 0);
	(void)xchg_acquire(&task->park_token, 0u);
}

void task_unpark(struct task *task)
{
	if (!xchg(&task->park_token, 1u))
		futex_wake(&task->park_token, 1);
}

void task_kill(struct task *task)
{
	u32 *word;

	WRITE_ONCE(task->killed, 1u);
	smp_mb(); /* pairs with wait_sleep_killable(): it sees killed, or we see its word */
	task_unpark(task);
	/* The word may be freed under us: a wake-up of a stale address is harmless. One wake-up may
	 * come before the sleep, so until the task has noticed. */
	while ((word = smp_load_acquire(&task->sleep_word)) != NULL) {
		futex_wake(word, INT_MAX);
		engine_yield();
	}
}

/* ---- wait queues --------------------------------------------------------------------------- */

u32 wait_prepare(struct wait_queue *wq)
{
	/* Full barrier: counted before the condition is checked; pairs with wake_up(). */
	(void)fetch_add(&wq->waiters, 1u);
	return smp_load_acquire(&wq->seq);
}

void wait_sleep(struct wait_queue *wq, u32 ticket)
{
	task_sleep(current_task(), &wq->seq, ticket);
}

void wait_sleep_killable(struct wait_queue *wq, u32 ticket)
{
	struct task *task = current_task();

	WRITE_ONCE(task->sleep_word, &wq->seq);
	smp_mb(); /* pairs with task_kill() */
	if (!task_killed())
		task_sleep(task, &wq->seq, ticket);
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
	futex_wake(&wq->seq, tasks);
}

void wake_up_one(struct wait_queue *wq)
{
	wake_up(wq, 1);
}

void wake_up_all(struct wait_queue *wq)
{
	wake_up(wq, INT_MAX);
}
