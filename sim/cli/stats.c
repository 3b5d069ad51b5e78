/* sim/cli/stats.c - means, deviation, and the 95 % confidence interval of a mean */
#include <math.h>
#include <stdlib.h>

#include "sim/cli/stats.h"

/* Student's t, two-sided 95 %, by degrees of freedom; the normal distribution's beyond. */
static double t95(u32 freedom)
{
	static const double table[] = {
		0,     12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201, 2.179,  2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080,
		2.074, 2.069,  2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
	};

	if (freedom < ARRAY_SIZE(table))
		return table[freedom];
	if (freedom < 60)
		return 2.021; /* 40's: a little wide above it */
	return freedom < 120 ? 2.000 : 1.960;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void stats_compute(struct stats *s, double *values, u32 n)
{
	double sum = 0, inverse = 0, squares = 0;
	bool positive = true;

	qsort(values, n, sizeof(*values), compare);
	*s = (struct stats){.n = n, .min = values[0], .max = values[n - 1]};
	s->median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	for (u32 i = 0; i < n; i++) {
		sum += values[i];
		positive = positive && values[i] > 0;
		inverse += values[i] > 0 ? 1 / values[i] : 0;
	}
	s->amean = sum / n;
	s->hmean = positive ? n / inverse : 0;
	if (n < 2)
		return;
	for (u32 i = 0; i < n; i++)
		squares += (values[i] - s->amean) * (values[i] - s->amean);
	s->stddev = sqrt(squares / (n - 1));
	s->coeff_var = s->amean != 0 ? s->stddev * 100 / fabs(s->amean) : 0;
	s->ci95 = t95(n - 1) * s->stddev / sqrt(n);
}

bool stats_differ(const struct stats *a, const struct stats *b)
{
	return a->n > 1 && b->n > 1 && fabs(a->amean - b->amean) > a->ci95 + b->ci95;
}
