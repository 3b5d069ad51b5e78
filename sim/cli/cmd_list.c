/* sim/cli/cmd_list.c - mmsim list: what there is to choose from, one line each, or as JSON */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/locking.h>
#include <mmsim/workload.h>

#include "sim/cli/cli.h"

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
		u32 caps = mm_locking_all[i]->caps;

		emit(arg, mm_locking_all[i]->name,
		     caps & LK_CAP_CORRECT   ? ""
		     : caps & LK_CAP_ONE_CPU ? "1 task"
					     : "wrong",
		     mm_locking_all[i]->summary);
	}
}

static void each_tree(emit_fn emit, void *arg)
{
	emit(arg, "maple", "", "RCU-safe maple tree with gap search (Linux since 6.1)");
}

static void each_arch(emit_fn emit, void *arg)
{
	char detail[64];

	for (u32 i = 0; arch_all[i]; i++) {
		const struct arch_desc *a = arch_all[i];

		snprintf(detail, sizeof(detail), "%u levels, %llu KiB pages", a->levels,
			 (unsigned long long)arch_page_bytes(a) / 1024);
		emit(arg, a->name, detail,
		     a->hw_sets_accessed ? "hardware sets Accessed and Dirty"
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
}

static const struct topic {
	const char *name;
	void (*each)(emit_fn emit, void *arg);
} topics[] = {
	{"workloads", each_workload}, {"params", each_param}, {"schemes", each_scheme},
	{"trees", each_tree},         {"archs", each_arch},   {"counters", each_counter},
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

static json_t *topic_json(const struct topic *t)
{
	json_t *a = json_array();

	if (t->each == each_workload) {
		for (u32 i = 0; workload_all[i]; i++) {
			const struct workload *w = workload_all[i];

			json_array_append_new(
				a, json_pack("{s:s, s:s, s:s, s:i, s:i, s:o}", "name", w->name,
					     "operation", w->op, "meaning", w->summary,
					     "threads_per_cpu", (int)w->threads_per_cpu, "sample",
					     (int)w->sample, "params", params_array(w->params)));
		}
	} else if (t->each == each_param) {
		json_decref(a);
		a = params_array(bench_common_params);
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
			"archs, counters)",
			name, nearest ? "; did you mean " : "", nearest ? nearest : "",
			nearest ? "?" : "");
}

static int print_json(const struct topic *topic)
{
	json_t *doc = topic ? topic_json(topic) : json_object();
	char *text;

	for (u32 i = 0; !topic && i < ARRAY_SIZE(topics); i++)
		json_object_set_new(doc, topics[i].name, topic_json(&topics[i]));
	text = json_dumps(doc, JSON_INDENT(1));
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
	.args = "[workloads | params | schemes | trees | archs | counters] [--json]",
	.summary = "list workloads, params, schemes, trees, archs or counters, one line each",
	.run = run,
	.tables = list_tables,
};
