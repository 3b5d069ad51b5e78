/* sim/cli/cmd_list.c - mmsim list: what there is to choose from, one line each, or as JSON */
#include <ini.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/locking.h>
#include <mmsim/machine_model.h>
#include <mmsim/workload.h>

#include "sim/cli/cli.h"
#include "sim/model_presets.h"

/* One thing: a name, what else stands in columns, a line of explanation. */
typedef void (*emit_fn)(void *arg, const char *name, const char *detail, const char *meaning);

static void each_workload(emit_fn emit, void *arg)
{
	char detail[96];

	for (u32 i = 0; workload_all[i]; i++) {
		snprintf(detail, sizeof(detail), "per %s", workload_all[i]->op);
		emit(arg, workload_all[i]->name, detail, workload_all[i]->summary);
	}
}

static void each_scheme(emit_fn emit, void *arg)
{
	for (u32 i = 0; mm_locking_all[i]; i++) {
		const struct mm_locking *l = mm_locking_all[i];
		char detail[96];

		snprintf(detail, sizeof(detail), "%s", l->caps & LK_CAP_CORRECT ? ""
						       : l->caps & LK_CAP_ONE_CPU ? "1 task" : "wrong");
		for (u32 p = 0, n = 0; p < MM_PARAM_COUNT; p++)
			if (l->params & (1u << p))
				snprintf(detail + strlen(detail), sizeof(detail) - strlen(detail), "%s%s",
					 n++ ? ", " : "-p ", mm_params[p].key);
		emit(arg, l->name, detail, l->summary);
	}
}

static void each_tree(emit_fn emit, void *arg)
{
	for (u32 i = 0; vma_tree_all[i]; i++)
		emit(arg, vma_tree_all[i]->name, i == 0 ? "default" : "", vma_tree_all[i]->summary);
}

static void each_arch(emit_fn emit, void *arg)
{
	char detail[64];

	for (u32 i = 0; arch_all[i]; i++) {
		const struct arch_desc *a = arch_all[i];

		snprintf(detail, sizeof(detail), "%u levels, %llu KiB pages", a->levels,
			 (unsigned long long)arch_page_bytes(a) / 1024);
		emit(arg, a->name, detail,
		     a->hashed		   ? "the hash fault sets Accessed and Dirty, before any page fault"
		     : a->hw_sets_accessed ? "hardware sets Accessed and Dirty"
					   : "software sets Accessed and Dirty");
	}
}

static void each_counter(emit_fn emit, void *arg)
{
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		emit(arg, counter_info[i].name, counter_info[i].unit, counter_info[i].meaning);
}

static void emit_param(emit_fn emit, void *arg, const char *owner, const struct param *p)
{
	char name[96], detail[128];
	size_t at;

	snprintf(name, sizeof(name), "%s %s=%s", owner, p->key, p->def);
	detail[0] = 0;
	if (p->type == PARAM_BOOL)
		snprintf(detail, sizeof(detail), "0|1");
	for (u32 i = 0; p->type == PARAM_CHOICE && p->choices[i]; i++) {
		at = strlen(detail);
		snprintf(detail + at, sizeof(detail) - at, "%s%s", i ? "|" : "", p->choices[i]);
	}
	if (p->type == PARAM_UINT || p->type == PARAM_BYTES)
		snprintf(detail, sizeof(detail), "%s", p->type == PARAM_BYTES ? "bytes" : "number");
	emit(arg, name, detail, p->meaning);
}

static void each_param(emit_fn emit, void *arg)
{
	for (u32 i = 0; workload_all[i]; i++)
		for (const struct param *p = workload_all[i]->params; p && p->key; p++)
			emit_param(emit, arg, workload_all[i]->name, p);
	for (const struct param *p = bench_common_params; p->key; p++)
		emit_param(emit, arg, "(all)", p);
	for (u32 p = 0; p < MM_PARAM_COUNT; p++)
		if (MM_PARAMS_OF_ALL & (1u << p))
			emit_param(emit, arg, "(all)", &mm_params[p]);
	for (u32 i = 0; mm_locking_all[i]; i++)
		for (u32 p = 0; p < MM_PARAM_COUNT; p++)
			if (mm_locking_all[i]->params & (1u << p))
				emit_param(emit, arg, mm_locking_all[i]->name, &mm_params[p]);
}

static const char *const machine_kinds[] = { "calibrated", "published", "estimated" };

static void load_preset(const char *name, struct machine_model *model)
{
	struct machine_model_error err;

	if (machine_model_load(model, name, &err))
		MMSIM_BUG("preset %s", err.text);
}

static void each_machine(emit_fn emit, void *arg)
{
	struct machine_model model;
	char detail[64];

	for (u32 i = 0; machine_presets[i].name; i++) {
		load_preset(machine_presets[i].name, &model);
		snprintf(detail, sizeof(detail), "%4u CPUs, %s", machine_model_cpus(&model),
			 machine_kinds[model.kind]);
		emit(arg, model.name, detail, model.summary);
	}
}

static const struct topic {
	const char *name;
	void (*each)(emit_fn emit, void *arg);
} topics[] = {
	{"workloads", each_workload}, {"params", each_param}, {"schemes", each_scheme},
	{"trees", each_tree},         {"archs", each_arch},     {"machines", each_machine},
	{"counters", each_counter},
};

/* ---- as text: columns as wide as they must be ---------------------------------------------- */

struct widths {
	int name, detail;
};

static void measure(void *arg, const char *name, const char *detail, const char *meaning)
{
	struct widths *w = arg;

	w->name = max(w->name, (int)strlen(name));
	w->detail = max(w->detail, (int)strlen(detail));
}

static void print_line(void *arg, const char *name, const char *detail, const char *meaning)
{
	const struct widths *w = arg;

	printf("%-*s  ", w->name, name);
	if (w->detail)
		printf("%-*s  ", w->detail, detail);
	printf("%s\n", meaning);
}

static void print_topic(const struct topic *t)
{
	struct widths w = {0, 0};

	t->each(measure, &w);
	t->each(print_line, &w);
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static void add_object(void *arg, const char *name, const char *detail, const char *meaning)
{
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s}", "name", name, "detail", detail,
					     "meaning", meaning));
}

static json_t *param_object(const struct param *p)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "key", p->key, "default", p->def, "meaning",
			      p->meaning);

	if (p->type == PARAM_CHOICE) {
		json_t *choices = json_array();

		for (u32 i = 0; p->choices[i]; i++)
			json_array_append_new(choices, json_string(p->choices[i]));
		json_object_set_new(o, "choices", choices);
	} else if (p->type == PARAM_BOOL) {
		json_object_set_new(o, "choices", json_pack("[s, s]", "0", "1"));
	} else {
		json_object_set_new(o, "min", json_integer((json_int_t)p->min));
		json_object_set_new(o, "max", json_integer((json_int_t)p->max));
	}
	return o;
}

static json_t *params_array(const struct param *p)
{
	json_t *a = json_array();

	for (; p && p->key; p++)
		json_array_append_new(a, param_object(p));
	return a;
}

/* ---- machines: every number, and where it is from ------------------------------------------------- */

#define MACHINE_NUMBER(section_, key_, unit_, def_, min_, max_, meaning_)                          \
	{ #section_, #key_, #unit_, #def_, meaning_, min_, max_,                                  \
	  offsetof(struct machine_model, section_##_##key_) },
static const struct machine_number {
	const char *section, *key, *unit, *def, *meaning;
	u64 min, max;
	size_t offset;
} machine_numbers[] = { MACHINE_MODEL_FIELDS(MACHINE_NUMBER) };

/* The preset's text is searched for one number's source.KEY. */
struct source_search {
	const struct machine_number *n;
	json_t *object;
};

static int on_source(void *arg, const char *section, const char *key, const char *value)
{
	struct source_search *s = arg;

	if (!strcmp(section, s->n->section) && !strncmp(key, "source.", 7) && !strcmp(key + 7, s->n->key))
		json_object_set_new(s->object, "source", json_string(value));
	return 1;
}

static json_t *number_object(const struct machine_model *model, const char *text,
			     const struct machine_number *n)
{
	u64 value = *(const u64 *)((const char *)model + n->offset);
	bool ns = !strcmp(n->unit, "NS");
	struct source_search s = { n, NULL };
	char key[64];

	snprintf(key, sizeof(key), "%s.%s", n->section, n->key);
	s.object = json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:s, s:s}", "key", key, "value",
			     ns ? json_real((double)value / 1000) : json_integer((json_int_t)value),
			     "unit", ns ? "ns" : "count", "default", n->def, "min", (json_int_t)n->min,
			     "max", (json_int_t)n->max, "meaning", n->meaning, "source",
			     "estimated: the default of all machines");
	/* The text was read without fault when the model was. */
	(void)ini_parse_string(text, on_source, &s);
	return s.object;
}

static json_t *machine_object(const struct machine_preset *preset)
{
	json_t *numbers = json_array(), *fitted = json_array();
	struct machine_model model;

	load_preset(preset->name, &model);
	for (u32 i = 0; i < ARRAY_SIZE(machine_numbers); i++)
		json_array_append_new(numbers, number_object(&model, preset->text, &machine_numbers[i]));
	for (u32 i = 0; i < model.fitted_count; i++)
		json_array_append_new(fitted, json_string(model.fitted[i]));
	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o}", "name", model.name, "cpus",
			 (int)machine_model_cpus(&model), "kind", machine_kinds[model.kind], "meaning",
			 model.summary, "fitted", fitted, "numbers", numbers);
}

static json_t *topic_json(const struct topic *t)
{
	json_t *a = json_array();

	if (t->each == each_machine) {
		for (u32 i = 0; machine_presets[i].name; i++)
			json_array_append_new(a, machine_object(&machine_presets[i]));
	} else if (t->each == each_workload) {
		for (u32 i = 0; workload_all[i]; i++) {
			const struct workload *w = workload_all[i];

			json_array_append_new(
				a, json_pack("{s:s, s:s, s:s, s:i, s:i, s:o}", "name", w->name,
					     "operation", w->op, "meaning", w->summary,
					     "threads_per_cpu", (int)w->threads_per_cpu, "sample",
					     (int)w->sample, "params", params_array(w->params)));
		}
	} else if (t->each == each_scheme) {
		each_scheme(add_object, a);
		for (u32 i = 0; mm_locking_all[i]; i++) {
			json_t *params = json_array();

			for (u32 p = 0; p < MM_PARAM_COUNT; p++)
				if (mm_locking_all[i]->params & (1u << p))
					json_array_append_new(params, param_object(&mm_params[p]));
			json_object_set_new(json_array_get(a, i), "params", params);
		}
	} else if (t->each == each_param) {
		json_decref(a);
		a = params_array(bench_common_params);
		for (u32 p = 0; p < MM_PARAM_COUNT; p++)
			if (MM_PARAMS_OF_ALL & (1u << p))
				json_array_append_new(a, param_object(&mm_params[p]));
	} else {
		t->each(add_object, a);
	}
	return a;
}

/* ---- the command --------------------------------------------------------------------------- */

struct list_options {
	bool json;
};

static bool set_json(void *target, const struct cli_option *o, const char *value,
		     struct cli_error *err)
{
	((struct list_options *)target)->json = true;
	return true;
}

static const struct cli_option list_table[] = {
	{"json", 0, NULL, "as JSON", set_json, false},
	{NULL, 0, NULL, NULL, NULL, false},
};

static bool find_topic(const char *name, const struct topic **topic, struct cli_error *err)
{
	const char *names[ARRAY_SIZE(topics)], *nearest;

	for (u32 i = 0; i < ARRAY_SIZE(topics); i++) {
		names[i] = topics[i].name;
		if (strcmp(name, topics[i].name) == 0) {
			*topic = &topics[i];
			return true;
		}
	}
	nearest = cli_nearest(name, names, ARRAY_SIZE(names));
	return cli_fail(err,
			"list %s: unknown%s%s%s (allowed: workloads, params, schemes, trees, "
			"archs, machines, counters)",
			name, nearest ? "; did you mean " : "", nearest ? nearest : "",
			nearest ? "?" : "");
}

static int print_json(const struct topic *topic)
{
	json_t *doc = topic ? topic_json(topic) : json_object();
	char *text;

	for (u32 i = 0; !topic && i < ARRAY_SIZE(topics); i++)
		json_object_set_new(doc, topics[i].name, topic_json(&topics[i]));
	text = json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	json_decref(doc);
	if (!text) {
		cli_complain("out of memory");
		return CLI_FAILED;
	}
	puts(text);
	free(text);
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	struct list_options o = {false};
	struct cli_group group = {NULL, list_table, &o};
	const char *args[1];
	struct cli_parse p = {.command = &cli_cmd_list,
			      .groups = &group,
			      .group_count = 1,
			      .args = args,
			      .args_max = 1};
	const struct topic *topic = NULL;
	struct cli_error err;

	if (!cli_parse(&p, argc, argv, &err))
		return cli_usage(&err);
	if (p.help)
		return CLI_OK;
	if (p.arg_count && !find_topic(args[0], &topic, &err))
		return cli_usage(&err);
	if (o.json)
		return print_json(topic);
	if (topic)
		print_topic(topic);
	for (u32 i = 0; !topic && i < ARRAY_SIZE(topics); i++) {
		printf("%s%s:\n", i ? "\n" : "", topics[i].name);
		print_topic(&topics[i]);
	}
	return CLI_OK;
}

static const struct cli_option *const list_tables[] = {list_table, NULL};

const struct cli_command cli_cmd_list = {
	.name = "list",
	.args = "[workloads | params | schemes | trees | archs | machines | counters] [--json]",
	.summary = "list workloads, params, schemes, trees, archs, machines or counters, one line each",
	.run = run,
	.tables = list_tables,
};
