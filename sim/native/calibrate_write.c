/*
 * sim/native/calibrate_write.c - the machine file of a calibration
 *
 * Lines stay under 198 characters: libinih reads no longer ones. The matrix and the curve are
 * comments.
 */
#include "sim/native/calibrate_internal.h"

#include <inttypes.h>
#include <string.h>

#define CELLS_PER_LINE 24
#define MATRIX_CPUS_MAX 256
#define CPU_NAME_SHOWN 30
#define RELEASE_SHOWN 20

void calibrate_print_value(char *text, u64 milli)
{
	int at = snprintf(text, CALIBRATE_VALUE_BYTES, "%" PRIu64, milli / 1000);

	if (milli % 1000 == 0)
		return;
	at += snprintf(text + at, CALIBRATE_VALUE_BYTES - (size_t)at, ".%03u",
		       (unsigned)(milli % 1000));
	while (text[at - 1] == '0')
		text[--at] = 0;
}

static void write_head(const struct calibration *c, const char *name, FILE *out)
{
	const struct calibrate_number *topology = &c->numbers[CALIBRATE_topology_sockets];

	fprintf(out, "; %s: this host as `mmsim calibrate` measured it\n", name);
	fprintf(out, "; Times in ns. Every number has a source.KEY line: measured, or estimated "
		     "and why.\n");
	if (c->cpus > 1)
		fprintf(out,
			"; Private lines on all CPUs at once: each did %u %% of what one does "
			"alone.\n",
			c->parallel_percent);
	for (u32 i = 0; i < c->note_count; i++)
		fprintf(out, "; note: %s\n", c->notes[i]);
	fprintf(out, "\n[machine]\nname = %.63s\n", name);
	fprintf(out,
		"summary = %s, %" PRIu64 " x %" PRIu64 " x %" PRIu64 " cores x SMT%" PRIu64
		", measured %s%s\nkind = calibrated\n",
		c->cpu, topology[0].milli / 1000, topology[1].milli / 1000,
		topology[2].milli / 1000, topology[3].milli / 1000, c->date,
		c->note_count ? " (see notes)" : "");
}

static void write_numbers(const struct calibration *c, FILE *out)
{
	const char *section = "";

	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
		const struct calibrate_number *n = &c->numbers[i];
		const struct calibrate_key *k = &calibrate_keys[i];
		char value[CALIBRATE_VALUE_BYTES];

		if (strcmp(k->section, section)) {
			section = k->section;
			fprintf(out, "\n[%s]\n", section);
		}
		calibrate_print_value(value, n->milli);
		fprintf(out, "%s = %s\n", k->key, value);
		if (n->measured)
			fprintf(out, "source.%s = measured: %s, %.*s, Linux %.*s, %s\n", k->key,
				n->how, CPU_NAME_SHOWN, c->cpu, RELEASE_SHOWN, c->kernel, c->date);
		else
			fprintf(out, "source.%s = estimated: %s\n", k->key, n->how);
	}
}

static void write_spread(const struct calibration *c, FILE *out)
{
	fprintf(out,
		"\n; Spread: quartiles and number of rounds (transfers between CPUs: pairs)\n");
	for (u32 i = 0; i < CALIBRATE_NUMBERS; i++) {
		const struct calibrate_number *n = &c->numbers[i];
		char low[CALIBRATE_VALUE_BYTES], high[CALIBRATE_VALUE_BYTES];

		if (!n->measured || n->rounds < 2)
			continue;
		calibrate_print_value(low, n->low_milli);
		calibrate_print_value(high, n->high_milli);
		fprintf(out, ";   %s.%s %s - %s (%u)\n", calibrate_keys[i].section,
			calibrate_keys[i].key, low, high, n->rounds);
	}
}

static void write_curve(const struct calibration *c, FILE *out)
{
	fprintf(out, "\n; Load latency over the working set\n");
	for (u32 i = 0; i < c->curve_points; i++) {
		char ns[CALIBRATE_VALUE_BYTES];

		calibrate_print_value(ns, c->curve[i].milli);
		fprintf(out, ";   %u KiB: %s ns\n", c->curve[i].kib, ns);
	}
}

static void write_cells(const struct calibration *c, u32 row, FILE *out)
{
	for (u32 j = 0; j < c->cpus; j++) {
		u64 milli = c->pair_milli[(size_t)row * c->cpus + j];

		if (j % CELLS_PER_LINE == 0)
			fprintf(out, "%s;  cpu%-4u", j ? "\n" : "", c->os_index[row]);
		if (milli)
			fprintf(out, " %6.1f", (double)milli / 1000);
		else
			fprintf(out, " %6s", j == row ? "-" : ".");
	}
	fputc('\n', out);
}

/* What nobody would read is left out: the classes say it. */
static void write_matrix(const struct calibration *c, FILE *out)
{
	if (c->cpus < 2 || c->cpus > MATRIX_CPUS_MAX)
		return;
	fprintf(out,
		"\n; A line's way from CPU to CPU, one way, ns (.: not measured); columns in the "
		"order "
		"of the rows%s\n",
		c->cpus > CELLS_PER_LINE ? ", wrapped" : "");
	for (u32 i = 0; i < c->cpus; i++)
		write_cells(c, i, out);
}

bool calibrate_write(const struct calibration *c, const char *name, FILE *out)
{
	write_head(c, name, out);
	write_numbers(c, out);
	write_spread(c, out);
	write_curve(c, out);
	write_matrix(c, out);
	return !ferror(out);
}
