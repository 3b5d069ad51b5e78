/* sim/cli/stats.h - a few numbers about a few numbers */
#ifndef MMSIM_CLI_STATS_H
#define MMSIM_CLI_STATS_H

#include <mmsim/types.h>

struct stats {
	u32 n;
	double min, max, median;
	double amean, hmean; /* hmean: 0 unless all are above 0 */
	double stddev;       /* of the sample (n - 1); 0 for n < 2 */
	double coeff_var;    /* stddev in % of the mean */
	double ci95;         /* half width of amean's 95 % interval (Student's t); 0 for n < 2 */
};

/* Sorts values. n > 0. */
void stats_compute(struct stats *s, double *values, u32 n);
/* Do the confidence intervals of the means not overlap? Needs two values on each side. */
bool stats_differ(const struct stats *a, const struct stats *b);

#endif
