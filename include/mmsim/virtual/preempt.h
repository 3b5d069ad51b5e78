/* mmsim/virtual/preempt.h - preemption and interrupts in virtual time. Included by mmsim/preempt.h only. */
#ifndef MMSIM_VIRTUAL_PREEMPT_H
#define MMSIM_VIRTUAL_PREEMPT_H

/* What the inline parts of the primitives need of a simulated CPU. */
struct engine_cpu {
	u64 clock_ps;
	u64 horizon_ps; /* past it an operation looks at what else there is to do */
	u32 l1_ps;
	u32 preempt_count;
	u32 rcu_nest;
	u32 irq_off;	 /* interrupts disabled, instruction windows */
	u32 rcu_awaited; /* a grace period waits for this CPU */
};
/* Never NULL: outside of every machine it is a CPU that nobody looks at. */
extern __thread struct engine_cpu *mmsim_engine_cpu;

bool vt_need_resched(void);
#ifdef MMSIM_CHECK_CHARGES
/* For the checker of charges: the task enters and leaves a critical section. */
void vt_charge_lock_taken(void);
void vt_charge_lock_dropped(void);
#else
#define vt_charge_lock_taken() ((void)0)
#define vt_charge_lock_dropped() ((void)0)
#endif
/* What waited meanwhile (an interrupt, the end of a time slice, another CPU) gets its turn. */
void vt_interrupts_allowed(void);

static inline void preempt_disable(void)
{
	mmsim_engine_cpu->preempt_count++;
}

/* The next operation notices that the CPU is wanted. */
static inline void preempt_enable(void)
{
	mmsim_engine_cpu->preempt_count--;
}

static inline void local_irq_disable(void)
{
	mmsim_engine_cpu->irq_off++;
}

static inline void local_irq_enable(void)
{
	struct engine_cpu *e = mmsim_engine_cpu;

	if (--e->irq_off == 0 && unlikely(e->clock_ps > e->horizon_ps))
		vt_interrupts_allowed();
}

static inline bool need_resched(void)
{
	return vt_need_resched();
}

#endif
