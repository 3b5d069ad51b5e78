/*
 * sim/native/ipi.c - interrupting other CPUs: run a handler while they are between instructions
 *
 * A target's user instruction is a window: in_insn = 1; look at ipi_hold; ...; in_insn = 0. The
 * initiator raises ipi_hold, then waits until in_insn is 0: Dekker, with the target's fence left
 * out. The initiator's membarrier(2) makes up for it: it has every CPU that runs a thread of this
 * process execute a fence, so each target either had its in_insn = 1 visible by then, and is waited
 * for, or reads ipi_hold after it, and waits. One membarrier serves all targets of a call. Hosts
 * without it fence in every window, chosen once.
 *
 * No deadlock      Only code inside a window is waited for, and a window neither blocks nor calls
 *                  us (checked), so each ends by itself. A target held off waits outside of its
 *                  window. Two initiators that target each other, or the same CPU, are both outside
 *                  of windows; ipi_hold counts them; the owner lock is held for one handler, which
 *                  takes no locks.
 * Idle targets     A CPU without a thread is not in a window. If no target has one, the membarrier
 *                  is saved; a thread that comes now becomes busy first, with a fence, so it sees
 *                  our ipi_hold in its first window.
 * Order            ipi_hold is raised before the wait and dropped after the handler, with release;
 *                  the next window's look at it acquires: it sees what the handler did.
 */
#include "sim/native/internal.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS_BEFORE_YIELD 256

bool mmsim_insn_needs_fence = true;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

static void register_membarrier(void)
{
	int commands = membarrier(MEMBARRIER_CMD_QUERY);

	if (commands < 0 || !(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return;
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
		mmsim_insn_needs_fence = false;
}

void native_ipi_init(void)
{
	pthread_once(&once, register_membarrier);
}

static void relax(u32 *spins)
{
	cpu_relax();
	/* The host may have taken the other thread off its core. */
	if (++*spins % SPINS_BEFORE_YIELD == 0)
		engine_yield();
}

void cpu_insn_begin_slow(struct cpu *cpu)
{
	u32 spins = 0;

	do {
		smp_store_release(&cpu->in_insn, 0u);
		/* Pairs with the release in run_on(). */
		while (smp_load_acquire(&cpu->ipi_hold))
			relax(&spins);
		__atomic_store_n(&cpu->in_insn, 1u, __ATOMIC_SEQ_CST);
		smp_mb(); /* a full Dekker: this path is rare */
	} while (__atomic_load_n(&cpu->ipi_hold, __ATOMIC_SEQ_CST));
}

/* All targets' ipi_hold is raised and the membarrier is behind us. */
static void run_on(struct cpu *target, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	u32 spins = 0;

	/* Pairs with cpu_insn_end(): the handler sees what the instruction did. */
	while (__atomic_load_n(&target->in_insn, __ATOMIC_SEQ_CST))
		relax(&spins);
	while (xchg_acquire(&target->ipi_owner_lock, 1u))
		relax(&spins);
	fn(target, arg);
	smp_store_release(&target->ipi_owner_lock, 0u);
	(void)fetch_add(&target->ipi_hold, -1u);
}

/* The id of the next CPU >= id in mask that exists and is not self; cpus when there is none. */
static u32 next_target(const struct cpumask *mask, u32 id, u32 cpus, u32 self)
{
	while (id < cpus) {
		u64 rest = READ_ONCE(mask->bits[id / 64]) >> (id % 64);

		if (!rest) {
			id = ALIGN_DOWN(id, 64u) + 64;
			continue;
		}
		id += (u32)__builtin_ctzll(rest);
		if (id != self)
			break;
		id++;
	}
	return min(id, cpus);
}

static u32 call_mask(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	struct cpu *self = this_cpu();
	struct machine *m = self->machine;
	/* mask may be a live one: the targets are those of one reading. */
	struct cpumask targets = {{0}};
	u32 cpus = m->cpu_count, count = 0;
	bool any_busy = false;

	MMSIM_BUG_ON(READ_ONCE(self->in_insn));
	for (u32 id = next_target(mask, 0, cpus, self->id); id < cpus;
	     id = next_target(mask, id + 1, cpus, self->id)) {
		targets.bits[id / 64] |= 1ull << (id % 64);
		/* A full barrier as well; pairs with cpu_insn_begin() and with claim_cpu(). */
		(void)fetch_add(&m->cpus[id].cpu.ipi_hold, 1u);
		any_busy |= READ_ONCE(m->cpus[id].busy) != 0;
		count++;
	}
	if (!count)
		return 0;
	if (any_busy && !mmsim_insn_needs_fence && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		MMSIM_BUG("membarrier(2) failed after it was registered: errno %d", errno);
	for (u32 id = next_target(&targets, 0, cpus, self->id); id < cpus;
	     id = next_target(&targets, id + 1, cpus, self->id))
		run_on(&m->cpus[id].cpu, fn, arg);
	return count;
}

u32 ipi_call_mask(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg)
{
	u32 count = call_mask(mask, fn, arg);

	count_events(COUNTER_IPI_SENT, count);
	return count;
}

u32 tlbi_broadcast(const struct cpumask *mask, void (*fn)(struct cpu *target, void *arg), void *arg,
		   u64 operations, bool serialised)
{
	(void)operations, (void)serialised;
	return call_mask(mask, fn, arg);
}

u32 machine_tlb_invalidation(const struct machine *m)
{
	(void)m;
	return 0;
}

/* A CPU is a thread's, and none is ever taken from it. */
bool cpu_is_idle(const struct cpu *cpu)
{
	(void)cpu;
	return false;
}
