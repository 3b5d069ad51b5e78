/*
 * sim/native/calibrate.c - measure this host: the order of the steps, rounds and medians, numbers
 *
 * Method       Every number is measured in short rounds until its share of the time is over, at
 *              least ROUNDS_MIN. Rounds with an involuntary context switch are dropped; of the
 *              others the median counts, and the quartiles are shown beside it: an interrupt, or a
 *              CPU that the hypervisor took away, moves neither. Threads are bound.
 * Guarantee    Every number of a machine file gets a value within its limits and one line of
 *              origin.
 * Tests        tests/unit/sim/native/test_calibrate.c
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KEY_NS(unit) KEY_NS_##unit
#define KEY_NS_NS true
#define KEY_NS_COUNT false
#define KEY(section_, key_, unit_, def_, min_, max_, meaning_)                                     \
	{.section = #section_,                                                                     \
	 .key = #key_,                                                                             \
	 .def = #def_,                                                                             \
	 .meaning = meaning_,                                                                      \
	 .ns = KEY_NS(unit_),                                                                      \
	 .min = min_,                                                                              \
	 .max = max_},
const struct calibrate_key calibrate_keys[CALIBRATE_NUMBERS] = {MACHINE_MODEL_FIELDS(KEY)};

/* So much longer a measurement may take to find ROUNDS_MIN that nobody disturbed. */
#define GRACE_NS 60000000ull

/* ---- rounds -------------------------------------------------------------------------------- */

static __thread long disturbances_seen;

/* Did the kernel take the CPU from this thread since it last asked? */
static bool was_disturbed(void)
{
	struct rusage ru;
	long before = disturbances_seen;

	if (getrusage(RUSAGE_THREAD, &ru))
		return false;
	disturbances_seen = ru.ru_nivcsw;
	return disturbances_seen != before;
}

void rounds_quiet(void)
{
	(void)was_disturbed();
}

void rounds_begin(struct rounds *r, const struct calib *c, u32 share)
{
	rounds_quiet();
	r->n = r->dropped = 0;
	r->median = r->low = r->high = 0;
	r->end_ns = engine_now_ns() + c->o->budget_ns / 1000 * share;
}

bool rounds_more(const struct rounds *r)
{
	return r->n < ROUNDS_MIN || (r->n < ROUNDS_MAX && engine_now_ns() < r->end_ns);
}

void rounds_add(struct rounds *r, double value)
{
	u64 until = r->n < ROUNDS_MIN ? r->end_ns + GRACE_NS : r->end_ns;

	if (was_disturbed() && r->end_ns && engine_now_ns() < until)
		r->dropped++;
	else if (r->n < ROUNDS_MAX)
		r->v[r->n++] = value;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void rounds_done(struct rounds *r)
{
	if (!r->n)
		return;
	qsort(r->v, r->n, sizeof(r->v[0]), ascending);
	r->median = r->n % 2 ? r->v[r->n / 2] : (r->v[r->n / 2 - 1] + r->v[r->n / 2]) / 2;
	r->low = r->v[r->n / 4];
	r->high = r->v[r->n - 1 - r->n / 4];
}

/* ---- numbers ------------------------------------------------------------------------------- */

static u64 to_milli(enum calibrate_id id, double value)
{
	const struct calibrate_key *k = &calibrate_keys[id];

	value = min(max(value, (double)k->min), (double)k->max);
	return k->ns ? (u64)(value * 1000 + 0.5) : (u64)(value + 0.5) * 1000;
}

static void set_how(struct calibrate_number *n, const char *fmt, va_list ap)
{
	vsnprintf(n->how, sizeof(n->how), fmt, ap);
}

void calib_measured(struct calib *c, enum calibrate_id id, const struct rounds *r, const char *how,
		    ...)
{
	struct calibrate_number *n = &c->out->numbers[id];
	va_list ap;

	c->rounds += r->n;
	c->dropped += r->dropped;
	n->measured = true;
	n->rounds = r->n;
	n->milli = to_milli(id, r->median);
	n->low_milli = to_milli(id, r->low);
	n->high_milli = to_milli(id, r->high);
	va_start(ap, how);
	set_how(n, how, ap);
	va_end(ap);
}

void calib_derived(struct calib *c, enum calibrate_id id, double value, const struct rounds *r,
		   const char *how, ...)
{
	struct calibrate_number *n = &c->out->numbers[id];
	va_list ap;

	n->measured = true;
	n->rounds = r ? r->n : 1;
	n->milli = n->low_milli = n->high_milli = to_milli(id, value);
	if (r) {
		c->rounds += r->n;
		c->dropped += r->dropped;
		n->low_milli = to_milli(id, value - (r->median - r->low));
		n->high_milli = to_milli(id, value + (r->high - r->median));
	}
	va_start(ap, how);
	set_how(n, how, ap);
	va_end(ap);
}

void calib_estimated(struct calib *c, enum calibrate_id id, double value, const char *why, ...)
{
	struct calibrate_number *n = &c->out->numbers[id];
	va_list ap;

	n->measured = false;
	n->rounds = 0;
	n->milli = n->low_milli = n->high_milli = to_milli(id, value);
	va_start(ap, why);
	set_how(n, why, ap);
	va_end(ap);
}

double calib_value(const struct calib *c, enum calibrate_id id)
{
	return (double)c->out->numbers[id].milli / 1000;
}

void calib_note(struct calib *c, const char *fmt, ...)
{
	struct calibration *out = c->out;
	va_list ap;

	if (out->note_count == CALIBRATE_NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(out->notes[out->note_count++], sizeof(out->notes[0]), fmt, ap);
	va_end(ap);
}

int calib_fail(struct calib *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->out->error, sizeof(c->out->error), fmt, ap);
	va_end(ap);
	return err;
}

/* What no step measures. Steps put their values over these. */
static void set_defaults(struct calib *c)
{
	for (u32 id = 0; id < CALIBRATE_NUMBERS; id++)
		calib_estimated(c, id, strtod(calibrate_keys[id].def, NULL),
				"the default of all machines");
	calib_estimated(c, CALIBRATE_cost_walk_level, 0.5,
			"overlaps with its cache accesses, the default");
	calib_estimated(c, CALIBRATE_cost_page_serial, 0,
			"needs many CPUs that allocate at once, the default");
	calib_estimated(c, CALIBRATE_sched_relax_max, 2000,
			"of the model, not of the host, the default");
	calib_estimated(c, CALIBRATE_rcu_gp_min, 100000, "of the model (hosts batch), the default");
	calib_estimated(c, CALIBRATE_cache_home_on_path, 0, "not visible from user space");
	calib_estimated(c, CALIBRATE_cache_prefetchw, 1, "nothing measures it, the default");
	calib_estimated(c, CALIBRATE_cache_migratory, 0, "nothing measures it, the default");
	calib_estimated(c, CALIBRATE_cost_fault_entry, 50,
			"which part of a fault comes before its lock is not visible from user space, the default");
}

/* ---- the steps ------------------------------------------------------------------------------ */

static const struct {
	const char *what;
	int (*run)(struct calib *c);
} steps[] = {
	{"are the CPUs there", calib_parallel},
	{"system call, exception", calib_entries},
	{"working sets", calib_buffer},
	{"caches", calib_caches},
	{"memory", calib_memory},
	{"pages", calib_pages},
	{"page faults", calib_faults},
	{"TLB", calib_tlb},
	{"context switch", calib_switch},
	{"wake-up", calib_wake},
	{"IPI", calib_ipi},
	{"busy neighbours", calib_slowdown},
	{"pairs of CPUs", calib_pairs},
};

static void measure_clock(struct calib *c)
{
	struct rounds r;

	rounds_begin(&r, c, 0);
	while (r.n < 101) {
		u64 start = engine_now_ns(), last = start;

		for (u32 i = 0; i < 100; i++)
			last = engine_now_ns();
		rounds_add(&r, (double)(last - start) / 100);
	}
	rounds_done(&r);
	c->clock_ns = r.median;
}

static int run_steps(struct calib *c)
{
	int err = calib_host(c);

	if (!err)
		measure_clock(c);
	for (u32 i = 0; !err && i < ARRAY_SIZE(steps); i++) {
		if (c->o->progress)
			c->o->progress(c->o->arg, steps[i].what, i, ARRAY_SIZE(steps));
		err = calib_bind(c, 0);
		if (!err)
			err = steps[i].run(c);
	}
	return err;
}

int calibrate_run(const struct calibrate_options *o, struct calibration *out)
{
	struct calib c = {.o = o, .out = out};
	cpu_set_t before;
	bool saved = sched_getaffinity(0, sizeof(before), &before) == 0;
	int err;

	memset(out, 0, sizeof(*out));
	native_time_init();
	set_defaults(&c);
	/* What is a fact of this measurement, and not of a page of numbers, is said first. */
#if defined(MMSIM_SANITIZED)
	calib_note(&c, "built with a sanitizer: these are not the host's speeds");
#endif
	err = run_steps(&c);
	if (c.dropped * 50 > c.rounds)
		calib_note(&c,
			   "busy host: other tasks ran in %u%% of the rounds, which were dropped",
			   (u32)(c.dropped * 100 / (c.rounds + c.dropped)));
	calib_buffer_free(&c);
	calib_host_free(&c);
	if (saved)
		(void)sched_setaffinity(0, sizeof(before), &before);
	return err;
}

void calibrate_free(struct calibration *c)
{
	free(c->os_index);
	free(c->pair_milli);
	c->os_index = NULL;
	c->pair_milli = NULL;
}
