/* sim/native/calibrate_internal.h - what the measuring parts of calibrate share */
#ifndef MMSIM_CALIBRATE_INTERNAL_H
#define MMSIM_CALIBRATE_INTERNAL_H

#include <mmsim/calibrate.h>

#include "sim/native/internal.h"

#define ROUNDS_MIN 5
#define ROUNDS_MAX 401
#define LINE_BYTES MMSIM_CACHE_LINE_BYTES

/*
 * The same thing measured many times: what is reported is the median and the quartiles. A round in
 * which the kernel gave the CPU to somebody else is dropped, while there is time for another.
 */
struct rounds {
	double v[ROUNDS_MAX]; /* sorted by rounds_done() */
	u32 n, dropped;
	u64 end_ns; /* 0: drop nothing */
	double median, low, high;
};

/* A logical CPU's place; numbers count what the process may use, from 0. */
struct calib_place {
	u32 os, node, socket, cluster, core;
};

struct calib {
	const struct calibrate_options *o;
	struct calibration *out;

	/* calibrate_host.c */
	u32 cpus;
	struct calib_place *place; /* [cpus] */
	u32 nodes;
	u64 l1_bytes, l2_bytes; /* private; 0: the host does not tell, or has none */
	u64 llc_bytes;          /* shared; 0: likewise */
	u64 page_bytes;

	/* calibrate_memory.c */
	char *buffer; /* the working sets: huge pages were asked for */
	u64 buffer_bytes;
	bool huge; /* and the host gave them */

	double clock_ns;     /* what reading the clock costs */
	u64 rounds, dropped; /* over all numbers so far */
};

/* ---- calibrate.c ---------------------------------------------------------------------------- */

/* share: thousandths of the whole budget. */
void rounds_begin(struct rounds *r, const struct calib *c, u32 share);
/* Forget what has disturbed this thread so far, or until now. */
void rounds_quiet(void);
bool rounds_more(const struct rounds *r); /* at least ROUNDS_MIN, then until the time is over */
void rounds_add(struct rounds *r, double value);
void rounds_done(struct rounds *r);

void calib_measured(struct calib *c, enum calibrate_id id, const struct rounds *r, const char *how,
		    ...) PRINTF_LIKE(4, 5);
/* A value that follows from several medians; r: the rounds whose spread it has. */
void calib_derived(struct calib *c, enum calibrate_id id, double value, const struct rounds *r,
		   const char *how, ...) PRINTF_LIKE(5, 6);
void calib_estimated(struct calib *c, enum calibrate_id id, double value, const char *why, ...)
	PRINTF_LIKE(4, 5);
double calib_value(const struct calib *c, enum calibrate_id id);
void calib_note(struct calib *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* err, with out->error. */
int calib_fail(struct calib *c, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- calibrate_team.c: threads on given CPUs that start together ---------------------------- */

int MUST_CHECK calib_team(struct calib *c, const u32 *cpus, u32 n, void (*fn)(void *arg, u32 index),
			  void *arg);
int calib_bind(struct calib *c, u32 cpu); /* the calling thread */
void calib_spin_ns(u64 ns);
long calib_futex(u32 *word, int op, u32 value);

/* ---- the steps: 0 or -errno with out->error ------------------------------------------------- */

int MUST_CHECK calib_host(struct calib *c);
void calib_host_free(struct calib *c);
int MUST_CHECK calib_parallel(struct calib *c); /* calibrate_pairs.c */
int MUST_CHECK calib_pairs(struct calib *c);    /* calibrate_pairs.c */
int MUST_CHECK calib_slowdown(struct calib *c); /* calibrate_slowdown.c */
int MUST_CHECK calib_buffer(struct calib *c);   /* calibrate_memory.c */
void calib_buffer_free(struct calib *c);
int MUST_CHECK calib_caches(struct calib *c);
int MUST_CHECK calib_memory(struct calib *c);
int MUST_CHECK calib_pages(struct calib *c);
int MUST_CHECK calib_entries(struct calib *c); /* calibrate_kernel.c: system call, exception */
int MUST_CHECK calib_faults(struct calib *c);
int MUST_CHECK calib_tlb(struct calib *c);
int MUST_CHECK calib_switch(struct calib *c); /* calibrate_sched.c */
int MUST_CHECK calib_wake(struct calib *c);
int MUST_CHECK calib_ipi(struct calib *c); /* calibrate_ipi.c */

#endif
