/*
 * sim/cli/walk_json.c - mmsim walk --json: the same as a document; addresses and entries are texts, "0x..."
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/walk.h"

static json_t *hex(u64 n)
{
	return json_sprintf("%#llx", (unsigned long long)n);
}

/* " A B" becomes ["A", "B"]. */
static json_t *words(char *text)
{
	json_t *a = json_array();
	char *save = NULL;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		json_array_append_new(a, json_string(w));
	return a;
}

static json_t *step_json(const struct walk_space *s, const struct walk_met *met, u32 i, u64 va)
{
	const struct arch_desc *a = s->arch;
	const struct walk_step *step = &met->steps[i];
	bool leaf = step->leaf || step->level == 0 || !walk_step_present(a, step);
	char bits[256], rights[4];
	json_t *o;

	walk_entry_bits(a, step->entry, step->level, leaf, ~0ull, bits, sizeof(bits));
	o = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "name", a->level_names[step->level], "index",
		      (int)level_index(a, va, step->level), "at", hex(step->pa), "entry",
		      hex(walk_entry_value(a, step->entry)), "after",
		      hex(walk_entry_value(a, met->after[i])), "bits", words(bits));
	if (step->leaf) {
		walk_rights(a, pte_shown_attrs(a, step->entry), rights);
		json_object_set_new(o, "page", hex(leaf_pfn(a, step->entry, step->level) << a->page_shift));
		json_object_set_new(o, "rights", json_string(rights));
	} else if (step->level && walk_step_present(a, step)) {
		walk_restricts(a, step->entry, step->level, bits, sizeof(bits));
		json_object_set_new(o, "table", hex(table_pa(a, step->entry)));
		json_object_set_new(o, "takes", json_string(bits + (bits[0] == ' ')));
	}
	return o;
}

static json_t *fault_json(const struct walk_space *s, const struct walk_met *met, bool user)
{
	const char *signal = s->arch->signals[met->fault.cause];
	const struct syndrome_kind *k = walk_syndrome(s->arch, &met->syndrome);
	json_t *o = json_pack("{s:s, s:s, s:s}", "cause", walk_cause_texts[met->w.cause], "level",
			      s->arch->level_names[met->w.level], "exception", k->name);
	json_t *bits = json_array();

	for (const struct syndrome_bit *b = k->bits; b->name; b++)
		if ((met->syndrome.code & b->mask) == b->value)
			json_array_append_new(bits, json_pack("{s:s, s:s}", "name", b->name, "meaning",
							      b->meaning));
	if (k->code)
		json_object_set_new(o, k->code, hex(met->syndrome.code & k->code_mask));
	if (k->address)
		json_object_set_new(o, k->address, hex(met->syndrome.va));
	json_object_set_new(o, "bits", bits);
	if (signal && user)
		json_object_set_new(o, "signal", json_string(signal));
	return o;
}

static json_t *access_json(const struct walk_space *s, const struct walk_access *x,
			   const struct walk_met *met)
{
	json_t *o = json_pack("{s:o, s:s, s:b, s:b}", "address", hex(x->va), "access",
			      walk_kind_names[x->kind], "user", (int)x->user, "ok", (int)met->ok);
	json_t *steps = json_array(), *counters = json_object();
	char rights[4];

	for (u32 i = 0; i < met->step_count; i++)
		json_array_append_new(steps, step_json(s, met, i, x->va));
	json_object_set_new(o, "steps", steps);
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		if (met->counters[i])
			json_object_set_new(counters, counter_info[i].name,
					    json_integer((json_int_t)met->counters[i]));
	json_object_set_new(o, "counters", counters);
	if (!met->ok) {
		json_object_set_new(o, "fault", fault_json(s, met, x->user));
		return o;
	}
	walk_rights(s->arch, met->w.attrs, rights);
	json_object_set_new(o, "physical", hex(met->pa));
	json_object_set_new(o, "page_bytes", json_integer((json_int_t)met->page_bytes));
	json_object_set_new(o, "rights", json_string(rights));
	return o;
}

bool walk_json(FILE *out, const struct walk_report *r)
{
	const struct walk_space *s = r->space;
	json_t *doc = json_pack("{s:s, s:o, s:o, s:o}", "arch", s->arch->name, "root",
				hex(s->regs.root[0]), "control", hex(s->regs.control), "keys",
				hex(s->regs.keys));
	json_t *touched = json_array();
	char *text;

	for (u32 i = 0; i < r->touch_count; i++)
		json_array_append_new(touched, access_json(s, &r->touches[i], &r->touched[i]));
	json_object_set_new(doc, "touched", touched);
	json_object_set_new(doc, "walk", access_json(s, r->access, r->met));
	text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	if (!text)
		return false;
	fprintf(out, "%s\n", text);
	free(text);
	return true;
}
