/*
 * mmsim/calibrate.h - this host, measured: the numbers of a machine file (docs/CALIBRATE.md)
 *
 * Native engine only. calibrate_run() measures, calibrate_write() makes the INI that
 * machine_model_load() reads. What cannot be measured here keeps a value and says that it is
 * estimated, and why.
 */
#ifndef MMSIM_CALIBRATE_H
#define MMSIM_CALIBRATE_H

#include <stdio.h>

#include <mmsim/machine_model.h>

#define CALIBRATE_HOW_BYTES 80
#define CALIBRATE_NOTES_MAX 8
#define CALIBRATE_CURVE_MAX 24
#define CALIBRATE_CPUS_MAX 1024 /* of a machine file; of a larger host so many are used */

/* CALIBRATE_latency_l1, ...: one per number of a machine file, in its order. */
#define CALIBRATE_ID(section, key, unit, def, min_, max_, meaning) CALIBRATE_##section##_##key,
enum calibrate_id { MACHINE_MODEL_FIELDS(CALIBRATE_ID) CALIBRATE_NUMBERS };

struct calibrate_key {
	const char *section, *key, *def, *meaning;
	bool ns; /* else a count */
	u64 min, max;
};
extern const struct calibrate_key calibrate_keys[CALIBRATE_NUMBERS];

struct calibrate_number {
	bool measured;
	u64 milli;                 /* thousandths of a ns, or of one */
	u64 low_milli, high_milli; /* quartiles over the rounds; milli where there is one round */
	u32 rounds;
	char how[CALIBRATE_HOW_BYTES]; /* how measured, or why it is estimated */
};

struct calibration {
	char cpu[40], kernel[28], date[12]; /* model; release; UTC, YYYY-MM-DD */
	struct calibrate_number numbers[CALIBRATE_NUMBERS];
	u32 cpus;        /* logical CPUs that were used */
	u32 *os_index;   /* [cpus]: the kernel's number of each */
	u64 *pair_milli; /* [cpus * cpus]: one way; 0: not measured */
	struct {
		u32 kib;
		u64 milli;
	} curve[CALIBRATE_CURVE_MAX]; /* load latency over the working set */
	u32 curve_points;
	u32 parallel_percent; /* of one CPU's work on private lines, that each did when all ran */
	char notes[CALIBRATE_NOTES_MAX][160]; /* what makes the numbers doubtful; one line each */
	u32 note_count;
	char error[160]; /* after a failure: one line, lower case */
};

struct calibrate_options {
	u64 budget_ns; /* about how long to measure */
	u32 cpus;      /* use at most so many; 0: all that the process may use */
	void (*progress)(void *arg, const char *what, u32 step, u32 steps); /* or NULL */
	void *arg;
};

/* 0, or -errno with c->error. calibrate_free(c) in either case. Binds the calling thread while it
 * runs; nothing else should run on the host. */
int MUST_CHECK calibrate_run(const struct calibrate_options *o, struct calibration *c);
void calibrate_free(struct calibration *c);

/* The machine file. name: what the machine is called. False: out was not written. */
bool MUST_CHECK calibrate_write(const struct calibration *c, const char *name, FILE *out);

/* "12.5", without zeros at the end, from thousandths. */
#define CALIBRATE_VALUE_BYTES 32
void calibrate_print_value(char *text, u64 milli);

#endif
