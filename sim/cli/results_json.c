/*
 * sim/cli/results_json.c - results as one JSON document: every column, every counter with its unit,
 *                          and the whole histogram of each row
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <mmsim/machine_model.h>

#include "sim/cli/results_internal.h"

struct json_sink {
	json_t *doc, *results;
};

static json_t *host_object(void)
{
	struct utsname u;
	json_t *host = json_object();

	if (uname(&u) == 0) {
		json_object_set_new(host, "kernel", json_string(u.release));
		json_object_set_new(host, "arch", json_string(u.machine));
	}
	json_object_set_new(host, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	return host;
}

static json_t *counters_object(void)
{
	json_t *o = json_object();

	for (u32 i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(o, counter_info[i].name,
				    json_pack("{s:s, s:s}", "unit", counter_info[i].unit, "meaning",
					      counter_info[i].meaning));
	return o;
}

#define MACHINE_NUMBER(section_, key_, unit_, def_, min_, max_, meaning_)                          \
	{#section_ "." #key_, #unit_[0] == 'N', offsetof(struct machine_model, section_##_##key_)},
static const struct {
	const char *key;
	bool ns; /* kept in ps */
	size_t offset;
} machine_numbers[] = {MACHINE_MODEL_FIELDS(MACHINE_NUMBER)};

/* Every number of each machine, as it was used. */
static json_t *machines_array(const struct machine_model **machines)
{
	json_t *all = json_array();

	for (u32 m = 0; machines && machines[m]; m++) {
		json_t *numbers = json_object();

		for (u32 i = 0; i < ARRAY_SIZE(machine_numbers); i++) {
			u64 n = *(const u64 *)((const char *)machines[m] +
					       machine_numbers[i].offset);

			json_object_set_new(numbers, machine_numbers[i].key,
					    machine_numbers[i].ns ? json_real((double)n / 1000)
								  : json_integer((json_int_t)n));
		}
		json_array_append_new(all, json_pack("{s:s, s:s, s:o}", "name", machines[m]->name,
						     "summary", machines[m]->summary, "numbers",
						     numbers));
	}
	return all;
}

static json_t *hot_waits(const struct hot_line *h)
{
	json_t *all = json_array();

	for (u32 i = 0; i < h->wait_count; i++)
		json_array_append_new(all, json_pack("{s:s, s:I, s:I}", "lock", h->waits[i].name, "count",
						     (json_int_t)h->waits[i].waits, "sim_ns",
						     (json_int_t)h->waits[i].wait_sim_ns));
	return all;
}

static json_t *hot_array(const struct result *r)
{
	json_t *all = json_array();

	for (u32 i = 0; i < r->hot_count; i++) {
		const struct hot_line *h = &r->hot[i];

		json_array_append_new(
			all, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:s, s:s, s:s}", "name",
				       h->name, "instance", (json_int_t)h->instance, "line",
				       (json_int_t)h->line, "transfers", (json_int_t)h->transfers,
				       "owner_changes", (json_int_t)h->owner_changes, "queue_sim_ns",
				       (json_int_t)h->queue_sim_ns, "cost_sim_ns",
				       (json_int_t)h->cost_sim_ns, "lock_wait_sim_ns",
				       (json_int_t)h->lock_wait_sim_ns, "time_share", h->time_share,
				       "waited_for", hot_waits(h), "written", h->written, "read",
				       h->read, "fetched_along_with", h->along));
	}
	return all;
}

static json_t *lock_times(u64 count, u64 total_ns, u64 p99_ns, u64 max_ns)
{
	return json_pack("{s:I, s:I, s:f, s:I, s:I}", "count", (json_int_t)count, "total",
			 (json_int_t)total_ns, "mean", count ? (double)total_ns / (double)count : 0.0,
			 "p99", (json_int_t)p99_ns, "max", (json_int_t)max_ns);
}

/* Classes with an empty site, and behind each of them its sites. */
static json_t *lock_array(const struct result *r)
{
	json_t *all = json_array();

	for (u32 i = 0; i < r->lock_count; i++) {
		const struct lock_stat_row *l = &r->locks[i];

		json_array_append_new(
			all, json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "class", l->class,
				       "mode", l->write ? "write" : "read", "site", l->site,
				       "acquisitions", (json_int_t)l->acquisitions, "contentions",
				       (json_int_t)l->contentions, "wait_ns",
				       lock_times(l->contentions, l->wait_ns_total, l->wait_ns_p99,
						  l->wait_ns_max),
				       "hold_ns",
				       lock_times(l->holds, l->hold_ns_total, l->hold_ns_p99,
						  l->hold_ns_max)));
	}
	return all;
}

struct json_sink *json_sink_open(const struct results_config *cfg)
{
	struct json_sink *js = calloc(1, sizeof(*js));

	if (!js)
		return NULL;
	js->results = json_array();
	js->doc = json_pack("{s:s, s:s, s:s*, s:o, s:o, s:O}", "program", "mmsim", "version",
			    cli_version(), "command", cfg->command, "host", host_object(),
			    "counters", counters_object(), "results", js->results);
	if (js->doc && cfg->machines)
		json_object_set_new(js->doc, "machines", machines_array(cfg->machines));
	if (js->doc)
		return js;
	json_sink_free(js);
	return NULL;
}

static void add_bucket(void *arg, u64 low, u64 high, u64 count)
{
	json_array_append_new(
		arg, json_pack("[I, I, I]", (json_int_t)low, (json_int_t)high, (json_int_t)count));
}

static json_t *cell_value(const struct result *r, u32 column)
{
	struct result_cell c = result_column_get(r, column);

	if (c.kind == RESULT_TEXT)
		return json_string(c.text);
	if (c.empty)
		return json_null();
	return c.kind == RESULT_COUNT ? json_integer((json_int_t)c.count) : json_real(c.rate);
}

static json_t *hw_object(const struct result *r)
{
	json_t *hw = json_object();

	for (u32 i = 0; i < result_hw_count(); i++)
		json_object_set_new(hw, result_hw_name(i),
				    r->hw[i] < 0 ? json_null() : json_integer(r->hw[i]));
	return hw;
}

bool json_sink_add(struct json_sink *js, const struct result *r)
{
	json_t *row = json_object(), *counters = json_object(), *buckets = json_array();

	for (u32 i = 0; i < result_column_count(); i++)
		json_object_set_new(row, result_column_name(i), cell_value(r, i));
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(counters, counter_info[i].name,
				    json_integer((json_int_t)r->counters[i]));
	if (r->latency)
		hist_visit(r->latency, add_bucket, buckets);
	json_object_set_new(row, "op", json_string(r->op ? r->op : ""));
	json_object_set_new(row, "counters", counters);
	json_object_set_new(row, "hw", hw_object(r));
	json_object_set_new(row, "latency_sample", json_integer((json_int_t)r->latency_sample));
	json_object_set_new(row, "clock_read_ns", json_integer((json_int_t)r->clock_read_ns));
	if (r->hot)
		json_object_set_new(row, "hot_lines", hot_array(r));
	if (r->locks)
		json_object_set_new(row, "lock_stat", lock_array(r));
	/* [low, high, count] in ns, both ends inclusive */
	json_object_set_new(row, "latency_buckets", buckets);
	return json_array_append_new(js->results, row) == 0;
}

char *json_sink_text(const struct json_sink *js)
{
	char *text = json_dumps(js->doc, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	size_t len = text ? strlen(text) : 0;
	char *with_newline = text ? realloc(text, len + 2) : NULL;

	if (!with_newline) {
		free(text);
		return NULL;
	}
	memcpy(with_newline + len, "\n", 2);
	return with_newline;
}

void json_sink_free(struct json_sink *js)
{
	if (!js)
		return;
	json_decref(js->results);
	json_decref(js->doc);
	free(js);
}
