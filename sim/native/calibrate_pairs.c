/*
 * sim/native/calibrate_pairs.c - are the CPUs there; and a cache line's way from each to each
 *
 * Presence     A thread per CPU counts on a line of its own. If together they do not do as many
 *              times one CPU's work as there are CPUs, the host does not really give them to us
 *              (hypervisor, cgroup, neighbours), and what needs two at once is about the host.
 * Transfer     Half a round trip of a blind compare-and-swap ping-pong: what the published tables
 *              have. Several lines in turn, because a line's home decides too; median of batches.
 *              A class of pairs has the median over its pairs.
 * Many CPUs    Pairs grow with the square: each class gets an equal share of what there is time
 *              for, taken at even distances.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <stdlib.h>

#define SHARE_PARALLEL 30
#define SHARE_PAIRS 250
#define PAIR_NS_MIN 1000000ull
#define PAIR_NS_MAX 60000000ull
#define PAIR_LINES 16
#define TRIPS 200
#define STOP (~0ull)

/* ---- are the CPUs there --------------------------------------------------------------------- */

struct counting {
	u64 ns;
	struct {
		u64 count __cacheline_aligned;
	} * slots;
};

static void count_alone(void *arg, u32 index)
{
	struct counting *k = arg;
	u64 end = engine_now_ns() + k->ns, *count = &k->slots[index].count;

	while (engine_now_ns() < end)
		for (u32 i = 0; i < 1000; i++)
			WRITE_ONCE(*count, *count + 1);
}

/* Counts of the first n CPUs, per CPU; 0: an error was left in c. */
static double count_rate(struct calib *c, struct counting *k, const u32 *cpus, u32 n)
{
	double sum = 0;

	for (u32 i = 0; i < n; i++)
		k->slots[i].count = 0;
	if (calib_team(c, cpus, n, count_alone, k))
		return 0;
	for (u32 i = 0; i < n; i++)
		sum += (double)k->slots[i].count;
	return sum / n;
}

static int compare_rates(struct calib *c, struct counting *k, const u32 *cpus)
{
	struct rounds r;

	for (rounds_begin(&r, c, 0); r.n < 5;) {
		double alone = count_rate(c, k, cpus, 1), all = count_rate(c, k, cpus, c->cpus);

		if (alone <= 0 || all <= 0)
			return c->out->error[0] ? -EAGAIN
						: calib_fail(c, -EIO, "the CPUs do not count");
		rounds_add(&r, all / alone * 100);
	}
	rounds_done(&r);
	c->out->parallel_percent = (u32)(min(r.median, 100.0) + 0.5);
	if (c->cpus > 1 && r.median < 90)
		calib_note(c,
			   "noisy host: %u CPUs at once each do %u%% of what one does alone, on "
			   "private lines",
			   c->cpus, c->out->parallel_percent);
	return 0;
}

int calib_parallel(struct calib *c)
{
	struct counting k = {.ns = c->o->budget_ns / 1000 * SHARE_PARALLEL / 10};
	u32 *cpus = calloc(c->cpus, sizeof(*cpus));
	int err;

	k.slots = aligned_alloc(LINE_BYTES, c->cpus * sizeof(*k.slots));
	if (!cpus || !k.slots) {
		err = calib_fail(c, -ENOMEM, "out of memory");
	} else {
		for (u32 i = 0; i < c->cpus; i++)
			cpus[i] = i;
		err = compare_rates(c, &k, cpus);
	}
	free(cpus);
	free(k.slots);
	return err;
}

/* ---- ping-pong ------------------------------------------------------------------------------ */

struct pingpong {
	struct {
		u64 word __cacheline_aligned;
	} lines[PAIR_LINES];
	u64 ns;
	struct rounds r;
};

static inline void hit(u64 *word, u64 from, u64 to)
{
	u64 old = from;

	while (!try_cmpxchg(word, &old, to))
		old = from;
}

/* As hit(); false: the word said STOP instead. */
static inline bool hit_or_stop(u64 *word, u64 from, u64 to)
{
	u64 old = from;

	while (!try_cmpxchg(word, &old, to)) {
		if (old == STOP)
			return false;
		old = from;
	}
	return true;
}

static void pong(struct pingpong *pp)
{
	for (u64 batch = 0;; batch++) {
		u64 *word = &pp->lines[batch % PAIR_LINES].word;
		u64 base = batch / PAIR_LINES * 2 * TRIPS;

		for (u64 i = 0; i < TRIPS; i++)
			if (!hit_or_stop(word, base + 2 * i + 1, base + 2 * i + 2))
				return;
	}
}

static void ping(struct pingpong *pp)
{
	u64 end = engine_now_ns() + pp->ns, batch = 0, start;

	pp->r.end_ns = end;
	rounds_quiet();
	/* The first batch on each line warms it, and the other thread, up. */
	for (; batch < PAIR_LINES || pp->r.n < ROUNDS_MIN ||
	       (pp->r.n < ROUNDS_MAX && engine_now_ns() < end);
	     batch++) {
		u64 *word = &pp->lines[batch % PAIR_LINES].word;
		u64 base = batch / PAIR_LINES * 2 * TRIPS;

		start = engine_now_ns();
		for (u64 i = 0; i < TRIPS; i++)
			hit(word, base + 2 * i, base + 2 * i + 1);
		/* The last answer is on its way still: a trip less one way. */
		if (batch >= PAIR_LINES)
			rounds_add(&pp->r, (double)(engine_now_ns() - start) / (2 * TRIPS - 1));
	}
	u64 *word = &pp->lines[batch % PAIR_LINES].word;
	u64 base = batch / PAIR_LINES * 2 * TRIPS;

	hit(word, base, STOP);
}

static void pingpong_thread(void *arg, u32 index)
{
	if (index == 0)
		ping(arg);
	else
		pong(arg);
}

static int measure_pair(struct calib *c, u32 a, u32 b, u64 ns, struct pingpong *pp)
{
	u32 cpus[2] = {a, b};
	int err;

	for (u32 i = 0; i < PAIR_LINES; i++)
		pp->lines[i].word = 0;
	pp->ns = ns;
	pp->r.n = pp->r.dropped = 0;
	err = calib_team(c, cpus, 2, pingpong_thread, pp);
	if (err)
		return err;
	rounds_done(&pp->r);
	c->out->pair_milli[(size_t)a * c->cpus + b] = (u64)(pp->r.median * 1000 + 0.5);
	c->out->pair_milli[(size_t)b * c->cpus + a] = (u64)(pp->r.median * 1000 + 0.5);
	return 0;
}

/* ---- all pairs ------------------------------------------------------------------------------ */

static enum cpu_distance distance(const struct calib_place *a, const struct calib_place *b)
{
	if (a->core == b->core)
		return DIST_SMT;
	if (a->cluster == b->cluster)
		return DIST_CLUSTER;
	return a->socket == b->socket ? DIST_SOCKET : DIST_REMOTE;
}

struct pair_class {
	u32 pairs, every, seen, measured;
	double *medians;   /* of the pairs */
	struct rounds one; /* of the last pair: the spread when there is only one */
};

static void count_pairs(struct calib *c, struct pair_class *classes)
{
	for (u32 a = 0; a < c->cpus; a++)
		for (u32 b = a + 1; b < c->cpus; b++)
			classes[distance(&c->place[a], &c->place[b])].pairs++;
}

/* How many of each class, and how long for each. */
static u64 plan_pairs(struct calib *c, struct pair_class *classes)
{
	u64 ns = c->o->budget_ns / 1000 * SHARE_PAIRS, fit = max(ns / PAIR_NS_MIN, (u64)4),
	    total = 0;
	u32 kinds = 0;

	for (u32 d = DIST_SMT; d < DIST_COUNT; d++)
		kinds += classes[d].pairs > 0;
	for (u32 d = DIST_SMT; d < DIST_COUNT; d++) {
		u64 quota = max(fit / max(kinds, 1u), (u64)1);

		classes[d].every = (u32)max((classes[d].pairs + quota - 1) / quota, (u64)1);
		total += (classes[d].pairs + classes[d].every - 1) / classes[d].every;
		if (classes[d].every > 1)
			calib_note(c, "one in %u of %u pairs of CPUs at one distance was measured",
				   classes[d].every, classes[d].pairs);
	}
	return min(max(ns / max(total, (u64)1), PAIR_NS_MIN), PAIR_NS_MAX);
}

static int measure_pairs(struct calib *c, struct pair_class *classes, u64 ns, struct pingpong *pp)
{
	int err = 0;

	for (u32 a = 0; a < c->cpus; a++)
		for (u32 b = a + 1; b < c->cpus && !err; b++) {
			struct pair_class *k = &classes[distance(&c->place[a], &c->place[b])];

			if (k->seen++ % k->every)
				continue;
			err = measure_pair(c, a, b, ns, pp);
			if (!err) {
				k->medians[k->measured++] = pp->r.median;
				k->one = pp->r;
			}
		}
	return err;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool set_class(struct calib *c, struct pair_class *k, enum calibrate_id id)
{
	struct rounds r = k->one;

	if (!k->measured)
		return false;
	if (k->measured > 1) {
		qsort(k->medians, k->measured, sizeof(*k->medians), by_value);
		r.median = k->medians[k->measured / 2];
		r.low = k->medians[k->measured / 4];
		r.high = k->medians[k->measured - 1 - k->measured / 4];
		r.n = k->measured;
	}
	calib_measured(c, id, &r, "half a CAS ping-pong, median of %u of %u pairs", k->measured,
		       k->pairs);
	return true;
}

/* Distances that this host does not have: the machine has none of them either. */
static void set_classes(struct calib *c, struct pair_class *classes)
{
	bool cluster, socket;

	if (!set_class(c, &classes[DIST_SMT], CALIBRATE_latency_smt_sibling))
		calib_estimated(c, CALIBRATE_latency_smt_sibling, 8,
				"no core has two threads here, the default");
	cluster = set_class(c, &classes[DIST_CLUSTER], CALIBRATE_latency_cluster);
	socket = set_class(c, &classes[DIST_SOCKET], CALIBRATE_latency_socket);
	if (!cluster)
		calib_estimated(c, CALIBRATE_latency_cluster,
				socket ? calib_value(c, CALIBRATE_latency_socket) : 40,
				"no cluster has two cores here: %s",
				socket ? "as socket" : "the default");
	if (!socket)
		calib_estimated(c, CALIBRATE_latency_socket,
				calib_value(c, CALIBRATE_latency_cluster),
				"one cluster per socket: as cluster");
	if (!set_class(c, &classes[DIST_REMOTE], CALIBRATE_latency_remote))
		calib_estimated(c, CALIBRATE_latency_remote,
				calib_value(c, CALIBRATE_latency_socket) * 2.5,
				"one socket: 2.5 x socket");
}

int calib_pairs(struct calib *c)
{
	struct pair_class classes[DIST_COUNT] = {0};
	struct pingpong *pp = aligned_alloc(LINE_BYTES, ALIGN_UP(sizeof(*pp), (size_t)LINE_BYTES));
	int err = pp ? 0 : -ENOMEM;
	u64 ns;

	count_pairs(c, classes);
	ns = plan_pairs(c, classes);
	for (u32 d = DIST_SMT; d < DIST_COUNT; d++) {
		classes[d].medians = calloc(max(classes[d].pairs, 1u), sizeof(double));
		err = classes[d].medians ? err : -ENOMEM;
	}
	if (err)
		(void)calib_fail(c, err, "out of memory");
	else
		err = measure_pairs(c, classes, ns, pp);
	if (!err)
		set_classes(c, classes);
	for (u32 d = DIST_SMT; d < DIST_COUNT; d++)
		free(classes[d].medians);
	free(pp);
	return err;
}
