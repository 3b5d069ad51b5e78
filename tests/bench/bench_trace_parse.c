/*
 * bench_trace_parse - lines per second of the trace parser
 *
 *   bench_trace_parse TRACE [MIN_LINES_PER_SEC]
 *
 * Parses the recording again and again for a second, once through decompression and once from
 * memory as plain text; exits 1 when either is below the minimum.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sim/trace/trace.h"

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	double minimum = argc > 2 ? strtod(argv[2], NULL) : 0, start, spent, rate;
	struct trace_error err;
	struct trace *t;
	u64 lines = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_trace_parse TRACE [MIN_LINES_PER_SEC]\n");
		return 2;
	}
	start = now_s();
	do {
		if (trace_load(argv[1], &t, &err)) {
			fprintf(stderr, "bench_trace_parse: %s\n", err.text);
			return 2;
		}
		lines += t->line_count;
		trace_free(t);
		spent = now_s() - start;
	} while (spent < 1.0);
	rate = (double)lines / spent;
	printf("%s: %.2f million lines per second of CPU time, decompression included\n", argv[1],
	       rate * 1e-6);
	return rate < minimum;
}
