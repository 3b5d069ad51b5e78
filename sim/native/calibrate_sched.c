/*
 * sim/native/calibrate_sched.c - context switch and wake-up: for the waker, and until the sleeper
 * runs
 *
 * Switch       Two threads on one CPU wake each other through two futexes. One way is: the call
 *              that wakes + the call that sleeps + the switch. The first is timed in place, the
 *              second taken from calls that find nothing to sleep on, the switch is the rest. The
 *              threads are batch tasks, so that the woken one does not take the CPU before the
 *              waker sleeps.
 * Wake-up      A thread sleeps on an idle CPU; the waker's call, less one that wakes nobody, is
 *              the waker's cost. The sleeper then writes a line on which the waker spins: all on
 *              one clock. Latency is what that takes beyond the waker's cost and the call; the two
 *              together are from wake-up to running, and the engine charges them one after the
 *              other.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHARE_SWITCH 50
#define SHARE_WAKE 60
#define HOPS 100
/* Long enough for a CPU to find that it has nothing to do. */
#define IDLE_NS 60000ull

/* A futex call that does nothing: wakes nobody, or does not sleep. */
static double idle_futex_ns(struct calib *c, int op)
{
	struct rounds r;
	u32 word = 0;
	u64 start;

	for (rounds_begin(&r, c, 5); rounds_more(&r);) {
		start = engine_now_ns();
		for (u32 i = 0; i < 1000; i++)
			(void)calib_futex(&word, op, op == FUTEX_WAKE ? 1 : ~0u);
		rounds_add(&r, (double)(engine_now_ns() - start) / 1000);
	}
	rounds_done(&r);
	return r.median;
}

/* ---- context switch ------------------------------------------------------------------------- */

struct relay {
	u32 turn[2] __cacheline_aligned; /* (atomic) bumped for each thread's turn; what it sleeps
					    on */
	u32 stop;                        /* (atomic) */
	u64 ns;
	struct rounds hop, wake;
	u64 hops, switches;
	struct calib *c;
};

static void sleep_until(u32 *word, u32 seen)
{
	while (smp_load_acquire(word) == seen)
		(void)calib_futex(word, FUTEX_WAIT, seen);
}

static void pass_on(u32 *word)
{
	(void)fetch_add(word, 1);
	(void)calib_futex(word, FUTEX_WAKE, 1);
}

static u64 own_switches(void)
{
	struct rusage ru;

	return getrusage(RUSAGE_THREAD, &ru) ? 0 : (u64)(ru.ru_nvcsw + ru.ru_nivcsw);
}

static void relay_lead(struct relay *k)
{
	u64 end = engine_now_ns() + k->ns, before = own_switches();
	u32 turn = 0;

	k->hop.end_ns = k->wake.end_ns = end;

	while (k->hop.n < ROUNDS_MIN || (k->hop.n < ROUNDS_MAX && engine_now_ns() < end)) {
		u64 start = engine_now_ns(), in_wake = 0;

		rounds_quiet();
		for (u32 i = 0; i < HOPS; i++, turn++) {
			u64 t = engine_now_ns();

			pass_on(&k->turn[1]);
			in_wake += engine_now_ns() - t;
			sleep_until(&k->turn[0], turn);
		}
		rounds_add(&k->hop, (double)(engine_now_ns() - start) / (2 * HOPS));
		rounds_add(&k->wake, (double)in_wake / HOPS);
		k->hops += HOPS;
	}
	k->switches = own_switches() - before;
	WRITE_ONCE(k->stop, 1u);
	pass_on(&k->turn[1]);
}

static void relay_thread(void *arg, u32 index)
{
	const struct sched_param param = {.sched_priority = 0};
	struct relay *k = arg;

	(void)sched_setscheduler(0, SCHED_BATCH, &param);
	if (index == 0) {
		relay_lead(k);
		return;
	}
	for (u32 turn = 0;; turn++) {
		sleep_until(&k->turn[1], turn);
		if (READ_ONCE(k->stop))
			return;
		pass_on(&k->turn[0]);
	}
}

int calib_switch(struct calib *c)
{
	struct relay k = {.ns = c->o->budget_ns / 1000 * SHARE_SWITCH, .c = c};
	double wait = idle_futex_ns(c, FUTEX_WAIT), empty = idle_futex_ns(c, FUTEX_WAKE), wake;
	u32 cpus[2] = {0, 0};
	int err = calib_team(c, cpus, 2, relay_thread, &k);

	if (err)
		return err;
	rounds_done(&k.hop);
	rounds_done(&k.wake);
	wake = k.wake.median - c->clock_ns;
	if (k.switches * 10 >= k.hops * 9)
		calib_derived(c, CALIBRATE_cost_context_switch,
			      k.hop.median - wake - wait - c->clock_ns, &k.hop,
			      "futex relay on one CPU: %.0f ns a hop, less wake and wait calls",
			      k.hop.median);
	else
		calib_estimated(c, CALIBRATE_cost_context_switch, 1200,
				"the relay did not switch each time, the default");
	/* Where there is a second CPU, calib_wake() does better. */
	calib_derived(c, CALIBRATE_cost_wake, wake - empty, &k.wake,
		      "futex wake on its own CPU, less one that wakes nobody");
	return 0;
}

/* ---- wake-up -------------------------------------------------------------------------------- */

struct waking {
	u32 word __cacheline_aligned;  /* (atomic) what the sleeper sleeps on: the trial's number */
	u32 awake __cacheline_aligned; /* (atomic) the last trial in which it ran */
	u64 ns;
	struct rounds call, run;
};

#define WAKE_STOP UINT_MAX

static void waker(struct waking *k)
{
	u64 end = engine_now_ns() + k->ns, start, called, ran;

	for (u32 trial = 1; k->run.n < ROUNDS_MAX && engine_now_ns() < end; trial++) {
		long woken;

		calib_spin_ns(IDLE_NS);
		start = engine_now_ns();
		WRITE_ONCE(k->word, trial);
		woken = calib_futex(&k->word, FUTEX_WAKE, 1);
		called = engine_now_ns();
		while (smp_load_acquire(&k->awake) != trial)
			cpu_relax();
		ran = engine_now_ns();
		if (woken != 1)
			continue; /* it was not asleep yet */
		rounds_add(&k->call, (double)(called - start));
		rounds_add(&k->run, (double)(ran - start));
	}
	WRITE_ONCE(k->word, WAKE_STOP);
	(void)calib_futex(&k->word, FUTEX_WAKE, 1);
}

static void waking_thread(void *arg, u32 index)
{
	struct waking *k = arg;
	u32 trial = 0;

	if (index == 0) {
		waker(k);
		return;
	}
	while (trial != WAKE_STOP) {
		sleep_until(&k->word, trial);
		trial = READ_ONCE(k->word);
		smp_store_release(&k->awake, trial);
	}
}

int calib_wake(struct calib *c)
{
	struct waking k = {.ns = c->o->budget_ns / 1000 * SHARE_WAKE};
	double empty = idle_futex_ns(c, FUTEX_WAKE), wake, latency;
	u32 cpus[2] = {0, 1};
	int err;

	if (c->cpus < 2) {
		calib_estimated(c, CALIBRATE_cost_wake_latency, 1500, "one CPU only, the default");
		return 0;
	}
	err = calib_team(c, cpus, 2, waking_thread, &k);
	if (err)
		return err;
	if (k.run.n < ROUNDS_MIN) {
		calib_estimated(c, CALIBRATE_cost_wake_latency, 1500,
				"the sleeper was hardly ever asleep, the default");
		return 0;
	}
	rounds_done(&k.call);
	rounds_done(&k.run);
	wake = k.call.median - empty - c->clock_ns;
	latency = k.run.median - max(wake, 0.0) - empty - c->clock_ns;
	calib_derived(c, CALIBRATE_cost_wake, wake, &k.call,
		      "futex wake to an idle CPU, less one that wakes nobody");
	calib_derived(c, CALIBRATE_cost_wake_latency, latency, &k.run,
		      "futex wake of an idle CPU: running after %.0f ns, less the call",
		      k.run.median);
	return 0;
}
