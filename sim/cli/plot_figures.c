/*
 * sim/cli/plot_figures.c - figures of one group of results: gnuplot scripts and their data
 *
 * Colours are Okabe and Ito's, which colour-blind readers can tell apart, on different point types,
 * so that a grey print can be read, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/plot_figures.h"

#define XTICS_MAX 14
#define LOG_VALUES_RATIO 40
#define LOG_RATIO 16 /* a wider range of CPU counts gets a logarithmic axis */

static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
				      "#E69F00", "#56B4E9", "#000000"};
static const u32 point_types[] = {7, 5, 9, 11, 13, 6, 4};

/* One figure that is being written. */
struct figure {
	const struct groups *gs;
	const struct group *g;
	FILE *gp, *dat;
	char name[FIGURE_NAME_BYTES];
};

/* gnuplot's string in single quotes. */
static void put_string(FILE *out, const char *s)
{
	fputc('\'', out);
	for (; *s; s++) {
		if (*s == '\'')
			fputc('\'', out);
		fputc(*s, out);
	}
	fputc('\'', out);
}

static FILE *create(const struct figures *f, const char *name, const char *suffix,
		    struct cli_error *err)
{
	char *path;
	FILE *file;

	if (asprintf(&path, "%s/%s%s", f->dir, name, suffix) < 0) {
		cli_fail(err, "out of memory");
		return NULL;
	}
	file = fopen(path, "w");
	if (!file)
		cli_fail(err, "--output=%s: %s%s cannot be written: %s", f->dir, name, suffix,
			 strerror(errno));
	free(path);
	return file;
}

static bool figure_open(struct figure *fig, struct figures *f, const struct groups *gs,
			const struct group *g, const char *slug, const char *kind,
			struct cli_error *err)
{
	memset(fig, 0, sizeof(*fig));
	fig->gs = gs;
	fig->g = g;
	snprintf(fig->name, sizeof(fig->name), "%.120s-%s", slug, kind);
	fig->gp = create(f, fig->name, ".gp", err);
	fig->dat = fig->gp ? create(f, fig->name, ".dat", err) : NULL;
	if (fig->dat)
		return true;
	if (fig->gp)
		fclose(fig->gp);
	return false;
}

static bool figure_close(struct figure *fig, struct figures *f, struct cli_error *err)
{
	bool bad = ferror(fig->gp) || ferror(fig->dat);

	bad = fclose(fig->gp) != 0 || bad;
	bad = fclose(fig->dat) != 0 || bad;
	if (bad)
		return cli_fail(err, "--output=%s: %s cannot be written: %s", f->dir, fig->name,
				strerror(errno));
	snprintf(f->names[f->count++], FIGURE_NAME_BYTES, "%s", fig->name);
	return true;
}

/* What all figures have. title2: what distinguishes this one. */
static void put_head(const struct figure *fig, const char *title, const char *ylabel)
{
	u32 version = csv_column(fig->gs->csv, "version");
	char line[2 * GROUP_TEXT_BYTES + 64];

	fprintf(fig->gp, "# gnuplot %s.gp makes %s.png and %s.svg from %s.dat\n", fig->name,
		fig->name, fig->name, fig->name);
	fputs("# run it in this folder\n", fig->gp);
	fputs("set encoding utf8\n"
	      "set border 3 linecolor '#606060'\n"
	      "set tics nomirror\n"
	      "set grid ytics linecolor '#c8c8c8' linewidth 1 dashtype solid\n"
	      "set key outside right top reverse Left spacing 1.3 samplen 2\n"
	      "set lmargin 12\n"
	      "set tmargin 4.5\n",
	      fig->gp);
	for (u32 i = 0; i < ARRAY_SIZE(colours); i++)
		fprintf(fig->gp,
			"set linetype %u linecolor '%s' linewidth 2 pointtype %u pointsize 1.2\n",
			i + 1, colours[i], point_types[i]);
	snprintf(line, sizeof(line), "%s: %s", fig->g->title, title);
	fputs("set label 1 ", fig->gp);
	put_string(fig->gp, line);
	fputs(" at graph 0, screen 0.955 left font ',14'\n", fig->gp);
	snprintf(line, sizeof(line), "%s%s%s", fig->g->config,
		 version == CSV_NONE ? "" : ", mmsim ",
		 version == CSV_NONE ? "" : csv_cell(fig->gs->csv, fig->g->first_row, version));
	fputs("set label 2 ", fig->gp);
	put_string(fig->gp, line);
	fputs(" at graph 0, screen 0.905 left font ',10' textcolor '#606060'\n", fig->gp);
	fputs("set ylabel ", fig->gp);
	put_string(fig->gp, ylabel);
	fputc('\n', fig->gp);
}

/* The plot command follows. */
static void put_plot(const struct figure *fig)
{
	fprintf(fig->gp,
		"set terminal pngcairo noenhanced size 1000,620 font 'DejaVu Sans,11'\n"
		"set output '%s.png'\n"
		"plot \\\n",
		fig->name);
}

/* And once more as SVG. */
static void put_tail(const struct figure *fig)
{
	fprintf(fig->gp,
		"set terminal svg noenhanced size 1000,620 font 'DejaVu Sans,13' background "
		"'white'\n"
		"set output '%s.svg'\n"
		"replot\n"
		"set output\n",
		fig->name);
}

/* The x axis of CPU counts: linear or by powers of two, a tic at each point while they are few. */
static void put_cpu_axis(const struct figure *fig)
{
	const struct group *g = fig->g;
	u32 lo = g->points[0].cpus, hi = g->points[g->point_count - 1].cpus, last = 0;
	bool wide = hi > lo * LOG_RATIO;

	fputs("set xlabel 'CPUs'\n", fig->gp);
	if (wide)
		fprintf(fig->gp, "set logscale x 2\nset xrange [%g:%g]\n", lo / 1.25, hi * 1.25);
	else
		fprintf(fig->gp, "set xrange [%g:%g]\n", lo - max(0.5, (hi - lo) * 0.05),
			hi + max(0.5, (hi - lo) * 0.05));
	if (g->point_count > XTICS_MAX)
		return;
	fputs("set xtics (", fig->gp);
	for (u32 i = 0; i < g->point_count; i++) {
		if (g->points[i].cpus == last)
			continue;
		fprintf(fig->gp, "%s'%u' %u", last ? ", " : "", g->points[i].cpus,
			g->points[i].cpus);
		last = g->points[i].cpus;
	}
	fputs(")\n", fig->gp);
}

/* The data of one column, as a block: x, y, low, high, CPUs, tasks. Returns how many points. */
static u32 put_cpu_block(const struct figure *fig, u32 column, u32 metric, bool relative)
{
	double base = 0;
	u32 n = 0;

	fprintf(fig->dat, "# %s\n# cpus median min max tasks\n", fig->gs->columns[column]);
	for (u32 p = 0; p < fig->g->point_count; p++) {
		const struct group_point *at = &fig->g->points[p];
		struct stats s;

		if (!groups_stats(fig->gs, fig->g, at, column, metric, &s))
			continue;
		if (!n)
			base = relative ? s.median / at->cpus : 1;
		if (base <= 0)
			continue;
		fprintf(fig->dat, "%u %.10g %.10g %.10g %u\n", at->cpus, s.median / base,
			s.min / base, s.max / base, at->threads);
		n++;
	}
	fputs("\n\n", fig->dat);
	return n;
}

/* Lines over CPU counts, one per column that has data. */
static u32 put_cpu_lines(struct figure *fig, u32 metric, bool relative)
{
	u32 lines = 0;

	put_plot(fig);
	if (relative) {
		fputs("\tx title 'ideal' with lines linecolor '#a0a0a0' dashtype 2 linewidth 1.5",
		      fig->gp);
		lines++;
	}
	for (u32 c = 0, block = 0; c < fig->gs->column_count; c++, block++) {
		/* A block without points is kept, so that indices stay simple, but not drawn. */
		if (!put_cpu_block(fig, c, metric, relative)) {
			fputs("0 NaN NaN NaN 0\n\n\n", fig->dat);
			continue;
		}
		fprintf(fig->gp,
			"%s\t'%s.dat' index %u using 1:2:3:4 with yerrorlines linetype %u title ",
			lines ? ", \\\n" : "", fig->name, block, c % (u32)ARRAY_SIZE(colours) + 1);
		put_string(fig->gp, fig->gs->columns[c]);
		lines++;
	}
	fputc('\n', fig->gp);
	return lines;
}

static bool has_values(const struct groups *gs, const struct group *g, u32 metric)
{
	struct stats s;

	if (metric == CSV_NONE)
		return false;
	for (u32 p = 0; p < g->point_count; p++)
		for (u32 c = 0; c < gs->column_count; c++)
			if (groups_stats(gs, g, &g->points[p], c, metric, &s) && s.max > 0)
				return true;
	return false;
}

/* Do the medians span so much that small ones would lie on the axis? */
static bool spans_much(const struct groups *gs, const struct group *g, u32 metric)
{
	double lo = 0, hi = 0;
	struct stats s;

	for (u32 p = 0; p < g->point_count; p++)
		for (u32 c = 0; c < gs->column_count; c++)
			if (groups_stats(gs, g, &g->points[p], c, metric, &s) && s.min > 0) {
				lo = lo == 0 || s.min < lo ? s.min : lo;
				hi = s.max > hi ? s.max : hi;
			}
	return hi > lo * LOG_VALUES_RATIO;
}

/* One CPU count: a bar per column instead of a line. */
static void put_bars(struct figure *fig, u32 metric)
{
	const struct groups *gs = fig->gs;
	u32 bars = 0;

	fprintf(fig->gp,
		"set xrange [-0.7:%g]\nset xtics scale 0 (''  0)\nunset key\n"
		"set style fill solid 1 noborder\nset boxwidth 0.6\n",
		gs->column_count - 0.3);
	fprintf(fig->gp, "set xlabel '%u CPU%s'\n", fig->g->points[0].cpus,
		fig->g->points[0].cpus == 1 ? "" : "s");
	for (u32 c = 0; c < gs->column_count; c++) {
		fputs("set xtics add (", fig->gp);
		put_string(fig->gp, gs->columns[c]);
		fprintf(fig->gp, " %u)\n", c);
	}
	put_plot(fig);
	for (u32 c = 0; c < gs->column_count; c++) {
		struct stats s;

		fprintf(fig->dat, "# %s\n# index median min max\n", gs->columns[c]);
		if (!groups_stats(gs, fig->g, &fig->g->points[0], c, metric, &s)) {
			fputs("0 NaN NaN NaN\n\n\n", fig->dat);
			continue;
		}
		fprintf(fig->dat, "%u %.10g %.10g %.10g\n\n\n", c, s.median, s.min, s.max);
		fprintf(fig->gp,
			"%s\t'%s.dat' index %u using 1:2 with boxes linetype %u, \\\n"
			"\t'' index %u using 1:2:3:4 with yerrorbars linecolor '#303030' "
			"linewidth 1.5 pointsize 0",
			bars++ ? ", \\\n" : "", fig->name, c, c % (u32)ARRAY_SIZE(colours) + 1, c);
	}
	fputc('\n', fig->gp);
}

static bool throughput(struct figures *f, const struct groups *gs, const struct group *g,
		       const char *slug, struct cli_error *err)
{
	u32 metric = csv_column(gs->csv, "ops_per_sec");
	struct figure fig;

	if (!has_values(gs, g, metric))
		return true;
	if (!figure_open(&fig, f, gs, g, slug, "throughput", err))
		return false;
	put_head(&fig, "throughput (median, bars from min to max)", "operations per second");
	fputs("set format y '%.1s%c'\n", fig.gp);
	if (g->point_count > 1 && spans_much(gs, g, metric))
		fputs("set logscale y 10\nset mytics 10\n", fig.gp);
	else
		fputs("set offsets 0, 0, graph 0.05, 0\nset yrange [0:*]\n", fig.gp);
	if (g->point_count == 1) {
		put_bars(&fig, metric);
	} else {
		put_cpu_axis(&fig);
		put_cpu_lines(&fig, metric, false);
	}
	put_tail(&fig);
	return figure_close(&fig, f, err);
}

static bool speedup(struct figures *f, const struct groups *gs, const struct group *g,
		    const char *slug, struct cli_error *err)
{
	u32 metric = csv_column(gs->csv, "ops_per_sec");
	struct figure fig;
	char title[96];

	if (g->point_count < 2 || g->points[0].cpus == g->points[g->point_count - 1].cpus ||
	    !has_values(gs, g, metric))
		return true;
	if (!figure_open(&fig, f, gs, g, slug, "speedup", err))
		return false;
	snprintf(title, sizeof(title), "speed-up over %u CPU%s, each scheme over itself",
		 g->points[0].cpus, g->points[0].cpus == 1 ? "" : "s");
	put_head(&fig, title, "times faster");
	fputs("set offsets 0, 0, graph 0.05, 0\nset yrange [0:*]\n", fig.gp);
	put_cpu_axis(&fig);
	if (g->points[g->point_count - 1].cpus > g->points[0].cpus * LOG_RATIO)
		fputs("unset offsets\nset logscale y 2\nset yrange [*:*]\n", fig.gp);
	put_cpu_lines(&fig, metric, true);
	put_tail(&fig);
	return figure_close(&fig, f, err);
}

/* ---- figures at the largest CPU count ------------------------------------------------------ */

static const struct {
	const char *column, *label;
} percentiles[] = {
	{"op_ns_p50", "median"}, {"op_ns_p90", "p90"}, {"op_ns_p99", "p99"},
	{"op_ns_p999", "p99.9"}, {"op_ns_max", "max"},
};

static const char *const lock_counters[] = {
	"VMA_LOCK_SUCCESS", "VMA_LOCK_ABORT",
	"VMA_LOCK_RETRY",   "VMA_LOCK_MISS",
	"MMAP_LOCK_READ",   "MMAP_LOCK_READ_CONTENDED",
	"MMAP_LOCK_WRITE",  "MMAP_LOCK_WRITE_CONTENDED",
};

/* The last point that has values of the metric: the largest machine. */
static const struct group_point *last_point(const struct groups *gs, const struct group *g,
					    u32 metric)
{
	struct stats s;

	for (u32 p = g->point_count; p-- > 0;)
		for (u32 c = 0; c < gs->column_count; c++)
			if (groups_stats(gs, g, &g->points[p], c, metric, &s))
				return &g->points[p];
	return NULL;
}

static void at_point(char *text, size_t bytes, const char *what, const struct group_point *at)
{
	snprintf(text, bytes, "%s on %u CPU%s%s", what, at->cpus, at->cpus == 1 ? "" : "s",
		 at->threads == at->cpus ? "" : "");
	if (at->threads != at->cpus)
		snprintf(text + strlen(text), bytes - strlen(text), " (%u tasks)", at->threads);
}

static bool latency(struct figures *f, const struct groups *gs, const struct group *g,
		    const char *slug, struct cli_error *err)
{
	u32 p50 = csv_column(gs->csv, "op_ns_p50");
	const struct group_point *at = has_values(gs, g, p50) ? last_point(gs, g, p50) : NULL;
	struct figure fig;
	char title[128];

	if (!at)
		return true;
	if (!figure_open(&fig, f, gs, g, slug, "latency", err))
		return false;
	at_point(title, sizeof(title), "latency of one operation", at);
	put_head(&fig, title, "ns (log scale)");
	fputs("set logscale y 10\nset format y '%.0s%cs'\nset mytics 10\n"
	      "set xlabel 'percentile of the operations that were timed'\n",
	      fig.gp);
	fprintf(fig.gp, "set xrange [-0.4:%g]\nset xtics (", ARRAY_SIZE(percentiles) - 0.6);
	for (u32 i = 0; i < ARRAY_SIZE(percentiles); i++)
		fprintf(fig.gp, "%s'%s' %u", i ? ", " : "", percentiles[i].label, i);
	fputs(")\nset ylabel 'time (log scale)'\n", fig.gp);
	put_plot(&fig);
	for (u32 c = 0, lines = 0; c < gs->column_count; c++) {
		u32 n = 0;

		fprintf(fig.dat, "# %s\n# index seconds\n", gs->columns[c]);
		for (u32 i = 0; i < ARRAY_SIZE(percentiles); i++) {
			u32 metric = csv_column(gs->csv, percentiles[i].column);
			struct stats s;

			if (metric == CSV_NONE || !groups_stats(gs, g, at, c, metric, &s) ||
			    s.median <= 0)
				continue;
			fprintf(fig.dat, "%u %.10g\n", i, s.median * 1e-9);
			n++;
		}
		fputs(n ? "\n\n" : "0 NaN\n\n\n", fig.dat);
		if (!n)
			continue;
		fprintf(fig.gp,
			"%s\t'%s.dat' index %u using 1:2 with linespoints linetype %u title ",
			lines++ ? ", \\\n" : "", fig.name, c, c % (u32)ARRAY_SIZE(colours) + 1);
		put_string(fig.gp, gs->columns[c]);
	}
	fputc('\n', fig.gp);
	put_tail(&fig);
	return figure_close(&fig, f, err);
}

/* Those that occur at all, into used[]. */
static u32 used_counters(const struct groups *gs, const struct group *g, u32 *used)
{
	u32 n = 0;

	for (u32 i = 0; i < ARRAY_SIZE(lock_counters); i++)
		if (has_values(gs, g, csv_column(gs->csv, lock_counters[i])))
			used[n++] = i;
	return n;
}

/* One line of data: counter, then its value per operation for each column. */
static void put_counter(const struct figure *fig, u32 index, const char *name,
			const struct group_point *at, u32 ops)
{
	const struct groups *gs = fig->gs;
	u32 metric = csv_column(gs->csv, name);

	fprintf(fig->dat, "%u %s", index, name);
	for (u32 c = 0; c < gs->column_count; c++) {
		struct stats n = {0}, per = {0};

		if (metric != CSV_NONE && groups_stats(gs, fig->g, at, c, metric, &n) &&
		    groups_stats(gs, fig->g, at, c, ops, &per) && per.amean > 0)
			fprintf(fig->dat, " %.10g", n.amean / per.amean);
		else
			fputs(" NaN", fig->dat);
	}
	fputc('\n', fig->dat);
}

/* Names under the bars, in two lines: "MMAP_LOCK" over the rest. */
static void put_counter_axis(const struct figure *fig, const u32 *used, u32 used_count)
{
	fputs("set xtics scale 0 (", fig->gp);
	for (u32 i = 0; i < used_count; i++) {
		const char *name = lock_counters[used[i]], *rest = strstr(name, "LOCK_") + 5;

		fprintf(fig->gp, "%s\"%.*s\\n%s\" %u", i ? ", " : "", (int)(rest - 1 - name), name,
			rest, i);
	}
	fputs(")\nset xtics font ',9'\n", fig->gp);
}

static void put_counter_bars(const struct figure *fig, double width)
{
	u32 n = fig->gs->column_count;

	put_plot(fig);
	for (u32 c = 0; c < n; c++) {
		double shift = (c - (n - 1) / 2.0) * width;

		fprintf(fig->gp, "%s\t'%s.dat' using ($1+%g):%u with boxes linetype %u title ",
			c ? ", \\\n" : "", fig->name, shift, c + 3,
			c % (u32)ARRAY_SIZE(colours) + 1);
		put_string(fig->gp, fig->gs->columns[c]);
		if (n <= 3)
			fprintf(fig->gp,
				", \\\n\t'' using ($1+%g):%u:(short(column(%u))) with labels "
				"offset 0,0.6 font ',8' textcolor '#606060' notitle",
				shift, c + 3, c + 3);
	}
	fputc('\n', fig->gp);
}

/* Did any scheme end an operation there? A window can be too short for that. */
static bool had_operations(const struct groups *gs, const struct group *g,
			   const struct group_point *at, u32 ops)
{
	struct stats s;

	for (u32 c = 0; c < gs->column_count; c++)
		if (groups_stats(gs, g, at, c, ops, &s) && s.amean > 0)
			return true;
	return false;
}

static bool counters(struct figures *f, const struct groups *gs, const struct group *g,
		     const char *slug, struct cli_error *err)
{
	u32 ops = csv_column(gs->csv, "ops"), used[ARRAY_SIZE(lock_counters)];
	u32 used_count = used_counters(gs, g, used);
	double width = 0.8 / gs->column_count;
	const struct group_point *at;
	struct figure fig;
	char title[128];

	if (!has_values(gs, g, ops) || !used_count)
		return true;
	at = last_point(gs, g, ops);
	if (!had_operations(gs, g, at, ops))
		return true;
	if (!figure_open(&fig, f, gs, g, slug, "counters", err))
		return false;
	at_point(title, sizeof(title), "locks taken per operation", at);
	put_head(&fig, title, "events per operation");
	fputs("# index counter one-column-per-scheme (mean of the repeats, per operation)\n",
	      fig.dat);
	for (u32 i = 0; i < used_count; i++)
		put_counter(&fig, i, lock_counters[used[i]], at, ops);
	fprintf(fig.gp,
		"set style fill solid 1 noborder\nset boxwidth %g\nset bmargin 4.5\n"
		"set offsets 0, 0, graph 0.08, 0\nset yrange [0:*]\nset xrange [-0.6:%g]\n"
		"short(v) = v == 0 ? '0' : v < 0.01 ? sprintf('%%.0e', v) : sprintf('%%.2f', v)\n",
		width * 0.92, used_count - 0.4);
	put_counter_axis(&fig, used, used_count);
	put_counter_bars(&fig, width);
	put_tail(&fig);
	return figure_close(&fig, f, err);
}

bool figures_write(struct figures *f, const struct groups *gs, const struct group *g,
		   const char *slug, struct cli_error *err)
{
	f->count = 0;
	return throughput(f, gs, g, slug, err) && speedup(f, gs, g, slug, err) &&
	       latency(f, gs, g, slug, err) && counters(f, gs, g, slug, err);
}
