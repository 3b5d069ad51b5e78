/* sim/cli/results_table.c - results for people: one line per row while a run goes on */
#include <string.h>

#include "sim/cli/results_internal.h"

/* 1234567 as "1.23M": four significant characters and a unit, right-aligned in `width`. */
static void put_rate(FILE *out, int width, double n)
{
	static const char units[] = " kMGT";
	u32 u = 0;

	while (n >= 999.5 && u + 2 < sizeof(units)) {
		n /= 1000;
		u++;
	}
	fprintf(out, "%*.*f%c", width - 1, u == 0 || n >= 99.95 ? (u ? 1 : 0) : 2, n, units[u]);
}

static void put_ns(FILE *out, int width, double ns)
{
	if (ns < 99999.5)
		fprintf(out, "%*.0fns", width - 2, ns);
	else if (ns < 99999499.5)
		fprintf(out, "%*.0fus", width - 2, ns / 1e3);
	else
		fprintf(out, "%*.0fms", width - 2, ns / 1e6);
}

void table_header(FILE *out, u32 workload_width, u32 scheme_width)
{
	fprintf(out, "%-*s  %-*s %5s %6s %4s %9s %9s %9s %9s %9s %6s  %s\n", (int)workload_width,
		"workload", (int)scheme_width, "scheme", "cpus", "tasks", "rep", "ops/s",
		"faults/s", "p50", "p99", "max", "wait%", "notes");
}

void table_row(FILE *out, u32 workload_width, u32 scheme_width, const struct result *r)
{
	double seconds = (double)r->elapsed_ns / 1e9;
	double task_ns = (double)r->windows_ns;

	fprintf(out, "%-*s  %-*s %5u %6u %4u ", (int)workload_width, r->workload, (int)scheme_width,
		r->scheme, r->cpus, r->threads, r->repeat);
	put_rate(out, 9, seconds > 0 ? (double)r->ops / seconds : 0);
	fputc(' ', out);
	put_rate(out, 9, seconds > 0 ? (double)r->faults / seconds : 0);
	if (r->latency && hist_count(r->latency)) {
		fputc(' ', out);
		put_ns(out, 9, (double)hist_quantile(r->latency, 0.5));
		fputc(' ', out);
		put_ns(out, 9, (double)hist_quantile(r->latency, 0.99));
		fputc(' ', out);
		put_ns(out, 9, (double)hist_max(r->latency));
	} else {
		fprintf(out, " %9s %9s %9s", "-", "-", "-");
	}
	fprintf(out, " %5.1f%%", task_ns > 0 ? (double)r->lock_wait_ns * 100 / task_ns : 0);
	if (r->notes[0])
		fprintf(out, "  %s", r->notes);
	fputc('\n', out);
}
