/*
 * mmsim/preempt.h - holding on to a CPU: preemption and interrupts off
 *
 * preempt_disable() .. preempt_enable(): the task stays on its CPU and no other task runs there:
 * guards per-CPU data. Nests. Spin locks and RCU readers imply it.
 * local_irq_disable() .. local_irq_enable(): besides, no interrupt handler runs there. Nests.
 * need_resched(): another task is due on this CPU; who spins with preemption off should stop.
 * native: nothing, because a task has a CPU of its own, and interrupts come between instruction
 * windows only (cpu.h).
 */
#ifndef MMSIM_PREEMPT_H
#define MMSIM_PREEMPT_H

#include <mmsim/types.h>

#if defined(MMSIM_ENGINE_VIRTUAL)
#include <mmsim/virtual/preempt.h>
#else
static inline void preempt_disable(void)
{
}
static inline void preempt_enable(void)
{
}
static inline void local_irq_disable(void)
{
}
static inline void local_irq_enable(void)
{
}
static inline bool need_resched(void)
{
	return false;
}
#endif

#endif
