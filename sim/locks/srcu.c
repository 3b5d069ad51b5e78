/*
 * sim/locks/srcu.c - RCU domains whose readers may sleep
 *
 * Models       Linux's SRCU in its classic form: two pairs of per-CPU counters (entries and exits),
 *              readers use the pair that `idx` names, a grace period waits for the other one, flips
 *              idx, and waits again.
 * Leaves out   call_srcu (nothing here needs it), expediting.
 * Guarantee    synchronize_srcu() returns after every reader that was inside has left; what they
 * did is visible to the caller. Context      readers: any task. synchronize_srcu(), destroy: may
 * sleep, not inside a reader of the same domain. Progress     a grace period waits for as long as
 * the slowest reader; readers never wait.
 *
 * Why two rounds: a reader may have read idx long ago and count itself in only now. One flip would
 * wait for the pair that this late-comer is about to join *after* the sum was taken, which is
 * harmless for this grace period, but the next one's flip must not find it in the "new" pair.
 */
#include <mmsim/cpu.h>
#include <mmsim/rcu.h>

#include <stdlib.h>
#include <string.h>

struct srcu_slot {
	u64 enter[2]; /* (atomic) */
	u64 leave[2]; /* (atomic) */
} __cacheline_aligned;

struct srcu_domain {
	char name[32];
	u32 idx;      /* (atomic) the pair that new readers join; changed by a gp owner */
	u32 gp_waits; /* (atomic) a grace period sleeps: readers that leave wake it */
	struct wait_queue gp_wq;
	u32 gp_busy; /* (atomic) one grace period at a time */
	struct wait_queue gp_turn_wq;
	struct srcu_slot slots[MMSIM_CPU_IDS_MAX]; /* by CPU; host memory is used as touched */
};

struct srcu_domain *srcu_domain_create(const char *name)
{
	/* calloc, aligned by hand: only the slots of CPUs that exist get touched. */
	char *mem = calloc(1, sizeof(struct srcu_domain) + 2 * MMSIM_CACHE_LINE_BYTES);
	struct srcu_domain *d;

	if (!mem)
		return NULL;
	d = (void *)ALIGN_UP((uintptr_t)mem + sizeof(void *), MMSIM_CACHE_LINE_BYTES);
	memcpy((char *)d - sizeof(void *), &mem, sizeof(mem)); /* for destroy */
	strncpy(d->name, name, sizeof(d->name) - 1);
	return d;
}

int srcu_read_lock(struct srcu_domain *d)
{
	u32 idx = READ_ONCE(d->idx) & 1;

	/* Full barrier: counted in before anything inside; pairs with readers_active(). */
	(void)fetch_add(&d->slots[this_cpu()->id].enter[idx], 1ull);
	return (int)idx;
}

void srcu_read_unlock(struct srcu_domain *d, int idx)
{
	/* Full barrier: everything inside is before it, the look at gp_waits after it (Dekker with
	 * wait_for_readers(): it sets gp_waits, then sums). */
	(void)fetch_add(&d->slots[this_cpu()->id].leave[idx & 1], 1ull);
	if (unlikely(READ_ONCE(d->gp_waits)))
		wake_up_all(&d->gp_wq);
}

/*
 * Exits are summed before entries: an exit that is seen has its entry seen too, so equal sums mean
 * that at some moment in between nobody was inside. A reader that moved to another CPU inside is
 * still counted once on each side.
 */
static bool readers_active(struct srcu_domain *d, u32 idx)
{
	u32 cpus = machine_cpu_count(this_cpu()->machine);
	u64 left = 0, entered = 0;

	for (u32 i = 0; i < cpus; i++)
		left += smp_load_acquire(&d->slots[i].leave[idx]);
	smp_mb(); /* pairs with the full barrier in srcu_read_lock() */
	for (u32 i = 0; i < cpus; i++)
		entered += smp_load_acquire(&d->slots[i].enter[idx]);
	return left != entered;
}

static void wait_for_readers(struct srcu_domain *d, u32 idx)
{
	WRITE_ONCE(d->gp_waits, 1u);
	smp_mb(); /* pairs with the full barrier in srcu_read_unlock() */
	wait_event(&d->gp_wq, !readers_active(d, idx));
	WRITE_ONCE(d->gp_waits, 0u);
}

void synchronize_srcu(struct srcu_domain *d)
{
	u32 idx;

	while (xchg_acquire(&d->gp_busy, 1u))
		wait_event(&d->gp_turn_wq, !READ_ONCE(d->gp_busy));
	smp_mb(); /* what the caller unpublished is unpublished before any counter is read */
	idx = READ_ONCE(d->idx) & 1;
	wait_for_readers(d, idx ^ 1);
	WRITE_ONCE(d->idx, idx ^ 1);
	smp_mb(); /* new readers go to the other pair before we wait for this one to empty */
	wait_for_readers(d, idx);
	smp_store_release(&d->gp_busy, 0u);
	wake_up_one(&d->gp_turn_wq);
}

void srcu_domain_destroy(struct srcu_domain *d)
{
	void *mem;

	for (u32 idx = 0; idx < 2; idx++) {
		u64 inside = 0;

		for (u32 i = 0; i < MMSIM_CPU_IDS_MAX; i++)
			inside += READ_ONCE(d->slots[i].enter[idx]) -
				  READ_ONCE(d->slots[i].leave[idx]);
		if (inside)
			MMSIM_BUG("srcu domain %s destroyed with %llu readers inside", d->name,
				  (unsigned long long)inside);
	}
	memcpy(&mem, (char *)d - sizeof(void *), sizeof(mem));
	free(mem);
}
