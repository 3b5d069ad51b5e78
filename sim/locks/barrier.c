/*
 * sim/locks/barrier.c - a barrier at which tasks meet, reusable
 *
 * The last to arrive resets the count before it opens the next generation, and nobody arrives for
 * that one before it is open; so one count serves all generations.
 */
#include <mmsim/cpu.h>
#include <mmsim/wait.h>

void sim_barrier_init(struct sim_barrier *b, u32 parties)
{
	wait_queue_init(&b->wq);
	b->parties = parties;
	WRITE_ONCE(b->arrived, 0u);
	WRITE_ONCE(b->generation, 0u);
}

void sim_barrier_wait(struct sim_barrier *b)
{
	/* Cannot change before we arrive: it takes all parties. */
	u32 generation = READ_ONCE(b->generation);

	if (fetch_add(&b->arrived, 1u) + 1 == b->parties) {
		WRITE_ONCE(b->arrived, 0u);
		/* Pairs with the acquire below: what any party did before, all see after. */
		smp_store_release(&b->generation, generation + 1);
		wake_up_all(&b->wq);
	} else {
		wait_event(&b->wq, smp_load_acquire(&b->generation) != generation);
	}
}
