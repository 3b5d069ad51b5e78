/* mmsim/virtual/cpu.h - instruction windows. Included by mmsim/cpu.h only. */
#ifndef MMSIM_VIRTUAL_CPU_H
#define MMSIM_VIRTUAL_CPU_H

/* Defined by the virtual engine only: objects compiled for another engine do not link with it. */
extern const char mmsim_engine_is_virtual;
static const char *const mmsim_engine_guard __attribute__((used)) = &mmsim_engine_is_virtual;

static inline void cpu_insn_begin(struct cpu *cpu)
{
	(void)cpu;
	mmsim_engine_cpu->irq_off++;
}

static inline void cpu_insn_end(struct cpu *cpu)
{
	(void)cpu;
	local_irq_enable();
}

#endif
