/* mmsim/native/cpu.h - the instruction window, natively. Included by mmsim/cpu.h only. */
#ifndef MMSIM_NATIVE_CPU_H
#define MMSIM_NATIVE_CPU_H

void cpu_insn_begin_slow(struct cpu *cpu);

#if MMSIM_TSAN
#define MMSIM_INSN_ORDER __ATOMIC_SEQ_CST
#else
#define MMSIM_INSN_ORDER __ATOMIC_RELAXED
#endif

/* Dekker with the initiator's side made heavy: its membarrier(2) stands for the fence that is
 * missing between our store and our load. */
static inline void cpu_insn_begin(struct cpu *cpu)
{
	__atomic_store_n(&cpu->in_insn, 1u, MMSIM_INSN_ORDER);
	barrier();
	if (unlikely(__atomic_load_n(&cpu->ipi_hold, __ATOMIC_ACQUIRE)))
		cpu_insn_begin_slow(cpu);
}

static inline void cpu_insn_end(struct cpu *cpu)
{
	smp_store_release(&cpu->in_insn, 0u);
}

#endif
