/*
 * mmsim/wait.h - wait queues: sleep until a condition holds
 *
 * A waiter gives its CPU away (native: futex). Usage is Linux's: the waker changes the condition,
 * then wakes; the waiter re-checks after every wake-up. No lost wake-ups; spurious ones happen.
 * Progress: a waiter sleeps for as long as nobody makes its condition true.
 */
#ifndef MMSIM_WAIT_H
#define MMSIM_WAIT_H

#include <mmsim/atomic.h>

/* Zero-initialised is ready for use. Waiters are counted so that a wake with none is one load. */
struct wait_queue {
	u32 seq;     /* bumped by each wake: what a waiter sleeps on */
	u32 waiters; /* tasks between prepare and finish */
};

static inline void wait_queue_init(struct wait_queue *wq)
{
	WRITE_ONCE(wq->seq, 0u);
	WRITE_ONCE(wq->waiters, 0u);
}

/* The pieces of wait_event(). prepare returns the ticket that sleep takes; between them the
 * caller checks its condition; sleep returns at once if a wake came after prepare. */
u32 wait_prepare(struct wait_queue *wq);
void wait_sleep(struct wait_queue *wq, u32 ticket);
/* As wait_sleep(), but returns also when the task is or gets killed (task_kill()). */
void wait_sleep_killable(struct wait_queue *wq, u32 ticket);
void wait_finish(struct wait_queue *wq);

void wake_up_one(struct wait_queue *wq);
void wake_up_all(struct wait_queue *wq);

/* Sleep until cond, an expression with no side effects, is true. */
#define wait_event(wq, cond)                                                                       \
	do {                                                                                       \
		while (!(cond)) {                                                                  \
			u32 wait_ticket_ = wait_prepare(wq);                                       \
			if (!(cond))                                                               \
				wait_sleep((wq), wait_ticket_);                                    \
			wait_finish(wq);                                                           \
		}                                                                                  \
	} while (0)

/* As wait_event(), but a fatal signal to the task (task_kill()) ends the wait.
 * Value: 0, or -EINTR when killed with cond still false. */
#define wait_event_killable(wq, cond)                                                              \
	({                                                                                         \
		int wait_ret_ = 0;                                                                 \
		while (!(cond)) {                                                                  \
			u32 wait_ticket_ = wait_prepare(wq);                                       \
			if (!(cond)) {                                                             \
				if (task_killed())                                                 \
					wait_ret_ = -EINTR;                                        \
				else                                                               \
					wait_sleep_killable((wq), wait_ticket_);                   \
			}                                                                          \
			wait_finish(wq);                                                           \
			if (wait_ret_)                                                             \
				break;                                                             \
		}                                                                                  \
		wait_ret_;                                                                         \
	})

/* All `parties` tasks meet; reusable. Zero-initialise, then set parties. */
struct sim_barrier {
	struct wait_queue wq;
	u32 parties;
	u32 arrived;
	u32 generation;
};
void sim_barrier_init(struct sim_barrier *b, u32 parties);
void sim_barrier_wait(struct sim_barrier *b);

#endif
