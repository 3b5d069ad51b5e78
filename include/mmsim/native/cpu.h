/* mmsim/native/cpu.h - the instruction window, natively. Included by mmsim/cpu.h only. */
#ifndef MMSIM_NATIVE_CPU_H
#define MMSIM_NATIVE_CPU_H

/* Defined by the native engine only: objects compiled for another engine do not link with it. */
extern const char mmsim_engine_is_native;
static const char *const mmsim_engine_guard __attribute__((used)) = &mmsim_engine_is_native;

/* The host has no membarrier(2): each window pays for a fence of its own. Constant once a machine
 * exists. */
extern bool mmsim_insn_needs_fence;

void cpu_insn_begin_slow(struct cpu *cpu);

/* TSan knows nothing of membarrier(2), so under it the Dekker pattern is a plain seq_cst one. */
#if MMSIM_TSAN
#define MMSIM_INSN_STORE __ATOMIC_SEQ_CST
#define MMSIM_INSN_LOAD __ATOMIC_SEQ_CST
#else
#define MMSIM_INSN_STORE __ATOMIC_RELAXED
#define MMSIM_INSN_LOAD __ATOMIC_ACQUIRE
#endif

/* Dekker with the initiator's side made heavy: its membarrier(2) in ipi_call_mask() stands for the
 * fence that is missing between our store and our load. */
static inline void cpu_insn_begin(struct cpu *cpu)
{
	__atomic_store_n(&cpu->in_insn, 1u, MMSIM_INSN_STORE);
	barrier();
	if (unlikely(mmsim_insn_needs_fence))
		smp_mb();
	if (unlikely(__atomic_load_n(&cpu->ipi_hold, MMSIM_INSN_LOAD)))
		cpu_insn_begin_slow(cpu);
}

static inline void cpu_insn_end(struct cpu *cpu)
{
	smp_store_release(&cpu->in_insn, 0u);
}

#endif
