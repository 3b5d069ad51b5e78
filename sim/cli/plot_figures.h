/*
 * sim/cli/plot_figures.h - figures of one group of results: gnuplot scripts and their data
 *
 * Each figure is NAME.gp and NAME.dat in one folder; `gnuplot NAME.gp` there makes NAME.png and
 * NAME.svg. Scripts name no other folder, so that they can be moved and edited.
 */
#ifndef MMSIM_CLI_PLOT_FIGURES_H
#define MMSIM_CLI_PLOT_FIGURES_H

#include "sim/cli/groups.h"

#define FIGURES_MAX 4
#define FIGURE_NAME_BYTES 160

struct figures {
	const char *dir;
	char names[FIGURES_MAX][FIGURE_NAME_BYTES]; /* those that were written */
	u32 count;
};

/* Throughput, speed-up, latency, counters: those for which there is data. slug: how file names
 * begin. */
bool figures_write(struct figures *f, const struct groups *gs, const struct group *g,
		   const char *slug, struct cli_error *err);

#endif
