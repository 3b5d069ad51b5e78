/*
 * sim/native/calibrate_slowdown.c - local work with a busy sibling, or with all cores busy
 *
 * Local work is a mix as kernel code has it: two chains of arithmetic, loads from a small table, a
 * branch that cannot be predicted. It is timed in bursts of some 20 us, and each thread's median
 * burst counts: what a hypervisor takes away now and then does not look like a slower clock.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <stdlib.h>

#define SHARE 40
#define BURST 4000
#define TABLE_WORDS 512
/* A turbo that is lost is less than this; more is a host without its CPUs. */
#define CREDIBLE_PERCENT 60

static u64 table[TABLE_WORDS];

static NOINLINE u64 local_work(u64 seed, u32 n)
{
	u64 a = seed | 1, b = seed + 0x9e3779b97f4a7c15ull;

	for (u32 i = 0; i < n; i++) {
		a = a * 6364136223846793005ull + 1442695040888963407ull;
		b ^= b << 13;
		b ^= b >> 7;
		b += table[a >> 55];
		if (a & (1ull << 40))
			b ^= a;
	}
	return a ^ b;
}

struct work {
	u64 ns;
	struct rounds *rounds; /* [threads] */
};

static void work_thread(void *arg, u32 index)
{
	struct work *w = arg;
	struct rounds *r = &w->rounds[index];
	u64 end = engine_now_ns() + w->ns, seed = index, start;

	r->end_ns = end;
	rounds_quiet();
	for (r->n = 0; r->n < ROUNDS_MIN || engine_now_ns() < end;) {
		start = engine_now_ns();
		seed = local_work(seed, BURST);
		__asm__ __volatile__("" : "+r"(seed));
		rounds_add(r, (double)(engine_now_ns() - start));
	}
	rounds_done(r);
}

/* Median over the threads of their median bursts, in r->median. */
static int work_on(struct calib *c, const u32 *cpus, u32 n, struct rounds *r)
{
	struct work w = {.ns = c->o->budget_ns / 1000 * SHARE / 4,
			 .rounds = calloc(n, sizeof(*w.rounds))};
	int err;

	if (!w.rounds)
		return calib_fail(c, -ENOMEM, "out of memory");
	err = calib_team(c, cpus, n, work_thread, &w);
	*r = (struct rounds){.n = 0};
	for (u32 i = 0; !err && i < n; i++)
		rounds_add(r, w.rounds[i].median);
	rounds_done(r);
	if (n == 1 && !err)
		*r = w.rounds[0];
	free(w.rounds);
	return err;
}

/* Two threads of one core, if there are: false. */
static bool find_siblings(const struct calib *c, u32 *cpus)
{
	for (u32 a = 0; a < c->cpus; a++)
		for (u32 b = a + 1; b < c->cpus; b++)
			if (c->place[a].core == c->place[b].core) {
				cpus[0] = a;
				cpus[1] = b;
				return true;
			}
	return false;
}

static int measure_smt(struct calib *c)
{
	struct rounds alone, both;
	u32 cpus[2];
	int err;

	if (!find_siblings(c, cpus)) {
		calib_estimated(c, CALIBRATE_cpu_smt_slowdown_percent, 60,
				"no core has two threads here, the default");
		return 0;
	}
	err = work_on(c, cpus, 1, &alone);
	if (!err)
		err = work_on(c, cpus, 2, &both);
	if (!err)
		calib_derived(c, CALIBRATE_cpu_smt_slowdown_percent,
			      (both.median / alone.median - 1) * 100, NULL,
			      "mixed local work, %.1f us alone, %.1f us both", alone.median / 1000,
			      both.median / 1000);
	return err;
}

static void set_all_core(struct calib *c, double alone, double all, u32 n)
{
	double percent = max((all / alone - 1) * 100, 0.0);

	if (percent > CREDIBLE_PERCENT)
		calib_estimated(c, CALIBRATE_cpu_all_core_slowdown_percent, 0,
				"+%.0f%% is no lost turbo: the CPUs are not all there", percent);
	else
		calib_derived(c, CALIBRATE_cpu_all_core_slowdown_percent, percent, NULL,
			      "mixed local work, %.1f us alone, %.1f us on %u cores", alone / 1000,
			      all / 1000, n);
}

int calib_slowdown(struct calib *c)
{
	u32 *cpus = calloc(c->cpus, sizeof(*cpus)), n = 0;
	struct rounds alone, all;
	int err = cpus ? measure_smt(c) : calib_fail(c, -ENOMEM, "out of memory");

	for (u32 i = 0; i < ARRAY_SIZE(table); i++)
		table[i] = i * 0x9e3779b97f4a7c15ull;
	/* CPUs are listed one per core first. */
	for (u32 i = 0; cpus && i < c->cpus; i++)
		if (c->place[i].core == n)
			cpus[n++] = i;
	if (!err && n < 2)
		calib_estimated(c, CALIBRATE_cpu_all_core_slowdown_percent, 0, "one core only");
	if (!err && n >= 2) {
		err = work_on(c, cpus, 1, &alone);
		if (!err)
			err = work_on(c, cpus, n, &all);
		if (!err)
			set_all_core(c, alone.median, all.median, n);
	}
	free(cpus);
	return err;
}
