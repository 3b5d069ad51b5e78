/*
 * tests/oracle/fuzz.h - what the fuzzer's parts share: a session of two worlds, and the generator
 */
#ifndef TESTS_ORACLE_FUZZ_H
#define TESTS_ORACLE_FUZZ_H

#include "oracle.h"

/* xorshift64*: small, seeded, the same everywhere. */
struct rng {
	u64 state;
};
u64 rng_next(struct rng *r);
u64 rng_below(struct rng *r, u64 n);
bool rng_percent(struct rng *r, u32 percent);

/* Two worlds that must agree, and the last layout of each process (world a's). */
struct session {
	struct world *a, *b;
	struct image image;
	struct layout layouts[ORACLE_PROCS_MAX], other;
	struct ino_pairs pairs;
	u64 steps;
	bool busy; /* many forks and exits */
	/* MADV_FREE may be called (and PAGEOUT after it): contents are not compared */
	bool lazy_free;
};

/* The next call: interesting for the layouts as they are. */
void gen_op(struct rng *r, struct session *s, struct op *op);
/* Limits of one round. */
void gen_config(struct rng *r, struct start_config *cfg);

#endif
