/*
 * sim/cli/engine.h - what the command line has to know of the engine that it was built with
 *
 * One source, a program per engine. What differs between them is asked of cli_engine; only
 * engine.c knows which engine that is.
 */
#ifndef MMSIM_CLI_ENGINE_H
#define MMSIM_CLI_ENGINE_H

#include <mmsim/hotlines.h>

struct cli_engine {
	const char *name; /* of --engine, and the CSV's engine column */
	/*
	 * True: CPUs, time and notes are those of a simulated machine and follow from the arguments
	 * alone; --machine and what goes with it apply, runs do not disturb each other, and a run
	 * repeated is the same run.
	 * False: they are the host's, which is measured.
	 */
	bool simulated;
	u64 duration_ns, warmup_ns; /* defaults */
	u64 short_ns;               /* a measurement below this gets a note */
	/* simulated only: see mmsim/hotlines.h */
	void (*hot_lines_reset)(struct machine *m);
	void (*hot_lines_stop)(struct machine *m);
	u32 (*hot_lines_top)(struct machine *m, struct hot_line *out, u32 n);
	void (*hot_lines_print)(struct machine *m, u32 n, FILE *out);
	/* likewise: see mmsim/timeline.h */
	void (*timeline_start)(struct machine *m, FILE *out, u64 events_max, const char *title);
	bool (*timeline_stop)(void);
};
extern const struct cli_engine cli_engine;

/* All engines there are, NULL-terminated. */
extern const char *const cli_engine_names[];

/* Become the program of that engine, with the same arguments, and with the hooks of lock statistics if
 * they are wanted; returns at once when it is this one. false: that cannot be had, after a message. */
bool MUST_CHECK cli_engine_become(const char *name, bool lock_stat);

#endif
