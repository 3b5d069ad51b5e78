/*
 * sim/model.c - machine files: the INI that describes a simulated machine, its presets, its topology
 *
 * Format       [machine] name, summary, kind (calibrated|published|estimated); one section per group of
 *              MACHINE_MODEL_FIELDS (include/mmsim/machine_model.h); in each, `key = value` and, beside
 *              it, `source.key = text` that says where the number is from; [fitted] with at most two
 *              `section.key = to what` lines. What is not given has its default, and is estimated.
 * Guarantee    Decimal numbers are read digit by digit into integers: no libm, no locale, the same on
 *              every host. A file with an unknown key, a value out of range, or a key twice is refused
 *              whole, with one line that names it.
 * Presets      sim/machines/NAME.ini, compiled in (build/generated/machine_presets.c).
 * Tests        tests/unit/sim/test_model.c
 */
#include <mmsim/machine_model.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "sim/model_presets.h"

enum unit { UNIT_COUNT, UNIT_NS };

struct field {
	const char *section, *key, *def;
	size_t offset;
	enum unit unit;
	u64 min, max; /* in the file's unit: counts, or whole ns */
};

#define FIELD(section_, key_, unit_, def_, min_, max_, meaning_)                                   \
	{ .section = #section_,                                                                    \
	  .key = #key_,                                                                            \
	  .def = #def_,                                                                            \
	  .offset = offsetof(struct machine_model, section_##_##key_),                             \
	  .unit = UNIT_##unit_,                                                                    \
	  .min = min_,                                                                             \
	  .max = max_ },
static const struct field fields[] = { MACHINE_MODEL_FIELDS(FIELD) };

static const struct field *field_find(const char *section, const char *key)
{
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].section, section) && !strcmp(fields[i].key, key))
			return &fields[i];
	return NULL;
}

/* "12", "0.85": to thousandths. False: not such a number, or more than three decimals. */
static bool parse_milli(const char *text, u64 *milli)
{
	u64 value = 0;
	u32 decimals = 0;
	bool point = false, digits = false;

	for (; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || (point && ++decimals > 3) || value > ~0ull / 10000)
			return false;
		value = value * 10 + (u64)(*text - '0');
		digits = true;
	}
	for (; decimals < 3; decimals++)
		value *= 10;
	*milli = value;
	return digits;
}

/* 0, -EINVAL: not a number of this unit, -ERANGE: outside the limits. */
static int field_set(struct machine_model *model, const struct field *f, const char *text)
{
	u64 milli, *slot = (u64 *)((char *)model + f->offset);

	if (!parse_milli(text, &milli))
		return -EINVAL;
	if (milli < f->min * 1000 || milli > f->max * 1000)
		return -ERANGE;
	if (f->unit == UNIT_COUNT && milli % 1000)
		return -EINVAL;
	*slot = f->unit == UNIT_COUNT ? milli / 1000 : milli; /* thousandths of a ns are ps */
	return 0;
}

static int explain(struct machine_model_error *error, const char *where, const struct field *f,
		   const char *value, int err)
{
	snprintf(error->text, sizeof(error->text), "%s%s.%s=%.60s: must be %s from %llu to %llu", where,
		 f->section, f->key, value,
		 f->unit == UNIT_COUNT ? "a whole number" : "ns, with at most three decimals,",
		 (unsigned long long)f->min, (unsigned long long)f->max);
	return err;
}

static void set_defaults(struct machine_model *model)
{
	memset(model, 0, sizeof(*model));
	snprintf(model->arch, sizeof(model->arch), "x86_64");
	model->kind = MACHINE_ESTIMATED;
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++)
		if (field_set(model, &fields[i], fields[i].def))
			MMSIM_BUG("machine model: default of %s.%s", fields[i].section, fields[i].key);
}

/* ---- reading a file ------------------------------------------------------------------------ */

struct reading {
	struct machine_model *model;
	struct machine_model_error *error;
	const char *name; /* of the file or preset */
	bool seen[ARRAY_SIZE(fields)];
	int err; /* the first one */
};

static int refuse(struct reading *r, const char *section, const char *key, const char *value,
		  const char *allowed)
{
	if (!r->err)
		snprintf(r->error->text, sizeof(r->error->text), "%.80s: [%.20s] %.30s=%.40s: %s", r->name,
			 section, key, value, allowed);
	r->err = -EINVAL;
	return 0;
}

static int read_identity(struct reading *r, const char *key, const char *value)
{
	static const char *const kinds[] = { "calibrated", "published", "estimated" };
	struct machine_model *model = r->model;

	if (!strcmp(key, "name")) {
		snprintf(model->name, sizeof(model->name), "%s", value);
		return 1;
	}
	if (!strcmp(key, "summary")) {
		snprintf(model->summary, sizeof(model->summary), "%s", value);
		return 1;
	}
	if (!strcmp(key, "arch")) {
		snprintf(model->arch, sizeof(model->arch), "%s", value);
		return 1;
	}
	for (u32 i = 0; !strcmp(key, "kind") && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(value, kinds[i])) {
			model->kind = (enum machine_kind)i;
			return 1;
		}
	return refuse(r, "machine", key, value,
		      "allowed: name, summary, arch, kind (calibrated, published, estimated)");
}

static int read_fitted(struct reading *r, const char *key, const char *value)
{
	struct machine_model *model = r->model;
	char section[32];
	const char *dot = strchr(key, '.');

	if (dot)
		snprintf(section, sizeof(section), "%.*s", (int)(dot - key), key);
	if (!dot || !field_find(section, dot + 1))
		return refuse(r, "fitted", key, value, "not a number of this file (section.key)");
	if (model->fitted_count == MACHINE_FITTED_MAX)
		return refuse(r, "fitted", key, value, "at most two constants may be fitted");
	snprintf(model->fitted[model->fitted_count++], sizeof(model->fitted[0]), "%s: %s", key, value);
	return 1;
}

static int on_entry(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;
	const struct field *f;
	int err;

	if (!strcmp(section, "machine"))
		return read_identity(r, key, value);
	if (!strcmp(section, "fitted"))
		return read_fitted(r, key, value);
	if (!strncmp(key, "source.", 7)) {
		if (field_find(section, key + 7))
			return 1;
		return refuse(r, section, key, value, "the source of a number that does not exist");
	}
	f = field_find(section, key);
	if (!f)
		return refuse(r, section, key, value, "unknown; `mmsim list machines --json` shows all");
	if (r->seen[f - fields])
		return refuse(r, section, key, value, "given twice");
	r->seen[f - fields] = true;
	err = field_set(r->model, f, value);
	if (err && !r->err) {
		char where[96];

		snprintf(where, sizeof(where), "%.80s: ", r->name);
		r->err = explain(r->error, where, f, value, err);
	}
	return !err;
}

static int check_whole(struct reading *r)
{
	u64 cpus = r->model->topology_sockets * r->model->topology_clusters * r->model->topology_cores *
		   r->model->topology_smt;

	if (!r->err && cpus > 1024) {
		snprintf(r->error->text, sizeof(r->error->text),
			 "%.80s: [topology] makes %llu CPUs: at most 1024", r->name,
			 (unsigned long long)cpus);
		r->err = -EINVAL;
	}
	return r->err;
}

static int finish_reading(struct reading *r, int line)
{
	if (!r->err && line) {
		snprintf(r->error->text, sizeof(r->error->text), "%.80s: line %d: not `key = value` or `[section]`",
			 r->name, line);
		r->err = -EINVAL;
	}
	return check_whole(r);
}

static int load_file(struct reading *r)
{
	FILE *f = fopen(r->name, "r");
	int line;

	if (!f) {
		int err = errno;

		snprintf(r->error->text, sizeof(r->error->text), "%.120s: %s", r->name, strerror(err));
		return -err;
	}
	line = ini_parse_file(f, on_entry, r);
	fclose(f);
	return finish_reading(r, line);
}

static u32 edit_distance(const char *a, const char *b)
{
	u32 row[64], lb = (u32)min(strlen(b), (size_t)63);

	for (u32 j = 0; j <= lb; j++)
		row[j] = j;
	for (u32 i = 1; a[i - 1]; i++) {
		u32 diagonal = row[0];

		row[0] = i;
		for (u32 j = 1; j <= lb; j++) {
			u32 up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			best = min(best, min(up, row[j - 1]) + 1);
			diagonal = up;
			row[j] = best;
		}
	}
	return row[lb];
}

static int unknown_preset(const char *name, struct machine_model_error *error)
{
	const char *nearest = NULL;
	u32 best = 4;

	for (u32 i = 0; machine_presets[i].name; i++) {
		u32 d = edit_distance(name, machine_presets[i].name);

		if (d < best) {
			best = d;
			nearest = machine_presets[i].name;
		}
	}
	if (nearest)
		snprintf(error->text, sizeof(error->text), "%.80s: unknown machine (nearest: %s)", name,
			 nearest);
	else
		snprintf(error->text, sizeof(error->text),
			 "%.80s: unknown machine (see `mmsim list machines`; a file has a / or ends in .ini)",
			 name);
	return -ENOENT;
}

int machine_model_load(struct machine_model *model, const char *name, struct machine_model_error *error)
{
	struct reading r = { .model = model, .error = error, .name = name };
	size_t len = strlen(name);

	set_defaults(model);
	if (strchr(name, '/') || (len > 4 && !strcmp(name + len - 4, ".ini")))
		return load_file(&r);
	for (u32 i = 0; machine_presets[i].name; i++)
		if (!strcmp(machine_presets[i].name, name))
			return finish_reading(&r, ini_parse_string(machine_presets[i].text, on_entry, &r));
	return unknown_preset(name, error);
}

int machine_model_set(struct machine_model *model, const char *key, const char *value,
		      struct machine_model_error *error)
{
	const char *dot = strchr(key, '.');
	const struct field *f = NULL;
	char section[32];
	int err;

	if (dot) {
		snprintf(section, sizeof(section), "%.*s", (int)(dot - key), key);
		f = field_find(section, dot + 1);
	}
	if (!f) {
		snprintf(error->text, sizeof(error->text),
			 "%.80s: not a number of a machine (section.key; see `mmsim list machines --json`)", key);
		return -EINVAL;
	}
	err = field_set(model, f, value);
	return err ? explain(error, "", f, value, err) : 0;
}

const char *const *machine_model_presets(void)
{
	return machine_preset_names;
}

/* ---- topology --------------------------------------------------------------------------------- */

u32 machine_model_cpus(const struct machine_model *model)
{
	return (u32)(model->topology_sockets * model->topology_clusters * model->topology_cores *
		     model->topology_smt);
}

/*
 * Cores first, sockets round-robin; when every core has one CPU, the second threads in the same
 * order, and so on. Inside a socket, clusters are filled round-robin too.
 */
struct cpu_place machine_model_place(const struct machine_model *model, u32 cpu)
{
	u32 sockets = (u32)model->topology_sockets, clusters = (u32)model->topology_clusters;
	u32 cores = (u32)model->topology_cores, all_cores = sockets * clusters * cores;
	u32 nth_core = cpu % all_cores, in_socket = nth_core / sockets;
	struct cpu_place place;

	place.socket = (u16)(nth_core % sockets);
	place.cluster = (u16)(place.socket * clusters + in_socket % clusters);
	place.core = (u16)(place.cluster * cores + in_socket / clusters);
	place.thread = (u16)(cpu / all_cores);
	return place;
}

/*
 * The tags of each CPU's caches, as sim/virtual/lines.c has them; per task its stack and what it
 * touches; and the simulated memory in use with its directory. Measured: ebizzy on power8-1024 with
 * 2048 tasks takes 0.30 GiB, pft with 1024 takes 0.22 GiB, one task 0.04 GiB.
 */
u64 machine_model_memory(const struct machine_model *model, u32 cpus, u32 tasks)
{
	u64 lines = (model->cache_l1_kib + model->cache_l2_kib) * 1024 / MMSIM_CACHE_LINE_BYTES;

	return (64ull << 20) + cpus * lines * sizeof(u64) + tasks * (128ull << 10);
}

enum cpu_distance machine_model_distance(struct cpu_place a, struct cpu_place b)
{
	if (a.socket != b.socket)
		return DIST_REMOTE;
	if (a.cluster != b.cluster)
		return DIST_SOCKET;
	if (a.core != b.core)
		return DIST_CLUSTER;
	return a.thread == b.thread ? DIST_SELF : DIST_SMT;
}
