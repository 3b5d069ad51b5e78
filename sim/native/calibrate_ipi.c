/*
 * sim/native/calibrate_ipi.c - interrupts between CPUs, by membarrier(2)
 *
 * An expedited membarrier interrupts every CPU that runs a thread of this process, and waits until
 * each has answered: with one thread running elsewhere, against none, it costs send + delivery +
 * handler. The handler is the gap that the interrupted thread sees in its own clock: of n
 * barriers' time, the n longest gaps that are no context switch, and of these the median. What one
 * target more costs is the send (the answers overlap): that needs three CPUs; with two it is taken
 * as a fifth of the round trip.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHARE_EACH 15
#define TARGETS_MAX 8
#define CALLS 5
/* A target says so seldom that it runs: its stores must not wait for the line, or there were gaps.
 */
#define BEAT_EVERY 256
#define SILENT_NS 50000
/* Gaps are counted by length; longer than GAP_NS_MAX, the thread was descheduled. */
#define GAP_NS_MIN 100
#define GAP_NS_MAX 50000
#define GAP_NS_STEP 20
#define GAP_STEPS (GAP_NS_MAX / GAP_NS_STEP)

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

enum phase { PHASE_ASLEEP, PHASE_RUNNING, PHASE_OVER };

struct interrupting {
	u32 phase __cacheline_aligned;   /* (atomic) enum phase; what targets sleep on */
	u32 running __cacheline_aligned; /* (atomic) targets that spin */
	struct {
		u64 beat __cacheline_aligned; /* (atomic) goes on while the target runs */
	} targets_beat[TARGETS_MAX + 1];
	u32 targets;
	struct calib *c;
	struct rounds none, some;
	u64 barriers; /* that interrupted */
	u32 gaps[GAP_STEPS];
};

static void target(struct interrupting *k, u32 index)
{
	u64 last, now, beat = 0;

	while (smp_load_acquire(&k->phase) == PHASE_ASLEEP)
		(void)calib_futex(&k->phase, FUTEX_WAIT, PHASE_ASLEEP);
	(void)fetch_add(&k->running, 1);
	for (last = engine_now_ns(); READ_ONCE(k->phase) == PHASE_RUNNING; last = now) {
		now = engine_now_ns();
		if (++beat % BEAT_EVERY == 0)
			WRITE_ONCE(k->targets_beat[index].beat, beat);
		if (index == 1 && now - last >= GAP_NS_MIN && now - last < GAP_NS_MAX)
			k->gaps[(now - last) / GAP_NS_STEP]++;
	}
}

/* Is every target on its CPU? One that is not would not be interrupted. */
static bool targets_run(struct interrupting *k)
{
	for (u32 i = 1; i <= k->targets; i++) {
		u64 *beat = &k->targets_beat[i].beat, seen = READ_ONCE(*beat),
		    start = engine_now_ns();

		while (READ_ONCE(*beat) == seen)
			if (engine_now_ns() - start > SILENT_NS)
				return false;
	}
	return true;
}

static void barriers(struct interrupting *k, struct rounds *r, bool running)
{
	u64 start, spent;
	bool valid;

	for (rounds_begin(r, k->c, SHARE_EACH); rounds_more(r);) {
		valid = !running || targets_run(k);
		rounds_quiet();
		start = engine_now_ns();
		for (u32 i = 0; i < CALLS; i++)
			(void)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
		spent = engine_now_ns() - start;
		valid = valid && (!running || targets_run(k));
		if (valid || engine_now_ns() >= r->end_ns)
			rounds_add(r, (double)spent / CALLS);
		if (valid)
			k->barriers += CALLS;
	}
	rounds_done(r);
}

static void change_phase(struct interrupting *k, u32 phase)
{
	smp_store_release(&k->phase, phase);
	(void)calib_futex(&k->phase, FUTEX_WAKE, TARGETS_MAX);
}

static void interrupting_thread(void *arg, u32 index)
{
	struct interrupting *k = arg;

	if (index) {
		target(k, index);
		return;
	}
	calib_spin_ns(1000000); /* the targets go to sleep */
	barriers(k, &k->none, false);
	k->barriers = 0;
	change_phase(k, PHASE_RUNNING);
	while (smp_load_acquire(&k->running) < k->targets)
		cpu_relax();
	barriers(k, &k->some, true);
	change_phase(k, PHASE_OVER);
}

/* What membarrier to so many running targets costs beyond one to none. */
static int round_trip(struct calib *c, struct interrupting *k, u32 targets, double *ns)
{
	u32 cpus[TARGETS_MAX + 1];
	int err;

	for (u32 i = 0; i <= targets; i++)
		cpus[i] = i;
	*k = (struct interrupting){.targets = targets, .c = c};
	err = calib_team(c, cpus, targets + 1, interrupting_thread, k);
	*ns = k->some.median - k->none.median;
	return err;
}

static void not_measured(struct calib *c, const char *why)
{
	calib_estimated(c, CALIBRATE_cost_ipi_send, 200, "%s, the default", why);
	calib_estimated(c, CALIBRATE_cost_ipi_latency, 800, "%s, the default", why);
	calib_estimated(c, CALIBRATE_cost_ipi_handler, 300, "%s, the default", why);
}

/* The length of the gap that `rank` gaps are longer than; 0: there are not so many. */
static double gap_at(const struct interrupting *k, u64 rank)
{
	for (u32 i = GAP_STEPS; i-- > 0;) {
		if (rank < k->gaps[i])
			return (i + 0.5) * GAP_NS_STEP;
		rank -= k->gaps[i];
	}
	return 0;
}

static double set_handler(struct calib *c, const struct interrupting *k, double trip)
{
	u64 n = k->barriers;
	struct rounds r = {.n = (u32)n, .low = gap_at(k, n * 3 / 4), .high = gap_at(k, n / 4)};

	r.median = gap_at(k, n / 2);
	if (n < 20 || !r.low || r.median >= trip) {
		calib_estimated(c, CALIBRATE_cost_ipi_handler, trip * 0.3,
				"no gaps seen: 0.3 of the round trip");
		return trip * 0.3;
	}
	calib_measured(c, CALIBRATE_cost_ipi_handler, &r,
		       "gap in the clock of the interrupted thread");
	return r.median;
}

int calib_ipi(struct calib *c)
{
	struct interrupting one, many;
	double trip, trip_many, handler, send;
	u32 targets = min(c->cpus - 1, (u32)TARGETS_MAX);
	int err;

	if (c->cpus < 2) {
		not_measured(c, "one CPU only");
		return 0;
	}
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) {
		not_measured(c, "no expedited membarrier here");
		return 0;
	}
	err = round_trip(c, &one, 1, &trip);
	if (err)
		return err;
	if (trip < GAP_NS_MIN) {
		not_measured(c, "membarrier does not show interrupts here");
		return 0;
	}
	handler = set_handler(c, &one, trip);
	send = trip / 5;
	if (targets > 1) {
		err = round_trip(c, &many, targets, &trip_many);
		if (err)
			return err;
		send = max((trip_many - trip) / (targets - 1), 0.0);
		calib_derived(c, CALIBRATE_cost_ipi_send, send, &many.some,
			      "membarrier to %u running CPUs less to 1, per target", targets);
	} else {
		calib_estimated(c, CALIBRATE_cost_ipi_send, send,
				"needs 3 CPUs: a fifth of the round trip");
	}
	calib_derived(c, CALIBRATE_cost_ipi_latency, max(trip - handler - send, 0.0), &one.some,
		      "membarrier to a running CPU (+%.0f ns) less send and handler", trip);
	return 0;
}
