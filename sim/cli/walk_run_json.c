/*
 * sim/cli/walk_run_json.c - mmsim walk --machine --json: the steps as a document; times in ns
 */
#include <jansson.h>
#include <stdlib.h>

#include <mmsim/fault.h>

#include "sim/cli/walk.h"

static const char *const event_names[TLB_EVENT_KINDS] = {
	[TLB_EVENT_MISS] = "miss",	     [TLB_EVENT_HIT] = "hit",
	[TLB_EVENT_FORBIDS] = "refuses",     [TLB_EVENT_CLEAN] = "not dirty",
	[TLB_EVENT_WALK_CACHED] = "walk from walk cache", [TLB_EVENT_WALK_ROOT] = "walk from root",
	[TLB_EVENT_READ] = "read",	     [TLB_EVENT_WALKED] = "walked",
	[TLB_EVENT_FILL] = "filled",	     [TLB_EVENT_WALK_FILL] = "walk cache filled",
	[TLB_EVENT_DROP] = "dropped",	     [TLB_EVENT_EMPTY] = "context dropped",
	[TLB_EVENT_WALK_EMPTY] = "walk caches dropped", [TLB_EVENT_FAULT] = "fault",
};

static json_t *hex(u64 n)
{
	return json_sprintf("%#llx", (unsigned long long)n);
}

static void put_entry(json_t *o, const struct tlb_event *e)
{
	json_object_set_new(o, "tlb", json_string(e->array == TLB_L2 ? "L2" : "L1"));
	if (e->array != TLB_L2)
		json_object_set_new(o, "leaf_level", json_integer(e->array));
	json_object_set_new(o, "set", json_integer(e->set));
	json_object_set_new(o, "context", json_integer(e->context));
	if (e->kind == TLB_EVENT_MISS)
		return;
	json_object_set_new(o, "way", json_integer(e->way));
	json_object_set_new(o, "address", hex(e->va));
	json_object_set_new(o, "physical", hex(e->pa));
}

static json_t *event_json(const struct walk_run *r, const struct walk_event *w)
{
	const struct arch_desc *a = r->arch;
	const struct tlb_event *e = &w->e;
	json_t *o = json_pack("{s:s}", "event", event_names[e->kind]);

	switch (e->kind) {
	case TLB_EVENT_WALK_CACHED:
	case TLB_EVENT_WALK_FILL:
		json_object_set_new(o, "cache", json_string(a->level_names[e->level + 1]));
		json_object_set_new(o, "entry", json_integer(e->way));
		json_object_set_new(o, "address", hex(e->va));
		json_object_set_new(o, "table", hex(e->pa));
		break;
	case TLB_EVENT_WALK_ROOT:
		json_object_set_new(o, "table", hex(e->pa));
		break;
	case TLB_EVENT_READ:
		json_object_set_new(o, "name", json_string(a->level_names[e->level]));
		json_object_set_new(o, "at", hex(e->pa));
		json_object_set_new(o, "entry", hex(walk_entry_value(a, e->entry)));
		json_object_set_new(o, "after", hex(walk_entry_value(a, w->after)));
		break;
	case TLB_EVENT_WALKED:
		json_object_set_new(o, "ok", json_boolean(!e->refused));
		break;
	case TLB_EVENT_EMPTY:
	case TLB_EVENT_WALK_EMPTY:
		json_object_set_new(o, "context", json_integer(e->context));
		break;
	case TLB_EVENT_FAULT:
		json_object_set_new(o, "cause", json_string(walk_cause_texts[e->w.cause]));
		json_object_set_new(o, "exception", json_string(walk_syndrome(a, &e->syndrome)->name));
		json_object_set_new(o, "code", hex(e->syndrome.code));
		break;
	default:
		put_entry(o, e);
	}
	return o;
}

static json_t *step_json(const struct walk_run *r, const struct walk_step_done *d)
{
	static const char *const names[] = {"access", "mmap", "munmap", "mprotect", "switch"};
	json_t *events = json_array(), *counters = json_object();
	json_t *o = json_pack("{s:s, s:i, s:i, s:f}", "step", names[d->what], "space", (int)d->space, "context",
			      (int)d->context, "ns", (double)(d->end_ps - d->start_ps) / 1000.0);

	for (u32 i = 0; i < d->event_count; i++)
		json_array_append_new(events, event_json(r, &r->events[d->first_event + i]));
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		if (d->counters[i])
			json_object_set_new(counters, counter_info[i].name,
					    json_integer((json_int_t)d->counters[i]));
	if (d->what == WALK_ACCESS) {
		json_object_set_new(o, "address", hex(d->access.va));
		json_object_set_new(o, "access", json_string(walk_kind_names[d->access.kind]));
		if (d->result == FAULT_OK)
			json_object_set_new(o, "physical", hex(walk_run_pa(r, d)));
		else
			json_object_set_new(o, "signal", json_string(walk_run_signal(r, d)));
	} else if (d->what != WALK_SWITCH) {
		json_object_set_new(o, "address", hex(d->map.va));
		json_object_set_new(o, "bytes", json_integer((json_int_t)d->map.len));
	}
	json_object_set_new(o, "result", json_integer(d->result));
	json_object_set_new(o, "events", events);
	json_object_set_new(o, "counters", counters);
	return o;
}

bool walk_run_json(FILE *out, const struct walk_run *r)
{
	json_t *steps = json_array(), *doc;
	char *text;

	for (u32 i = 0; i < r->step_count; i++)
		json_array_append_new(steps, step_json(r, &r->steps[i]));
	doc = json_pack("{s:s, s:s, s:s, s:o}", "arch", r->arch->name, "machine", r->model.name, "context_is",
			walk_context_name(r), "steps", steps);
	text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	if (!text)
		return false;
	fprintf(out, "%s\n", text);
	free(text);
	return true;
}
