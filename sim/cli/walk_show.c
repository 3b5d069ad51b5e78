/*
 * sim/cli/walk_show.c - mmsim walk: the descent as text, and the texts that JSON shares
 *
 * Everything comes from the architecture's description: names of bits, of registers, of what a
 * syndrome says.
 */
#include <string.h>

#include "sim/cli/walk.h"

const char *const walk_kind_names[ACCESS_KINDS] = {"read", "write", "exec"};

const char *const walk_cause_texts[MMU_CAUSES] = {
	[MMU_ABSENT] = "nothing is mapped there",
	[MMU_DENIED] = "the access is forbidden",
	[MMU_NOT_ACCESSED] = "software must set Accessed first",
	[MMU_NOT_DIRTY] = "software must set Dirty first",
	[MMU_RESERVED] = "an entry is malformed",
	[MMU_KEY] = "the page's protection key forbids it",
	[MMU_BAD_ADDRESS] = "there is no such address",
	[MMU_BAD_OUTPUT] = "an entry's physical address is too wide",
};

const struct syndrome_kind *walk_syndrome(const struct arch_desc *a, const struct syndrome *s)
{
	const struct syndrome_kind *k = a->syndromes;

	while (k->name && k->vector != s->vector)
		k++;
	return k;
}

void walk_size(u64 bytes, char text[32])
{
	static const char *const units[] = {"", " KiB", " MiB", " GiB", " TiB"};
	u32 unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, 32, "%llu%s", (unsigned long long)bytes, unit ? units[unit] : " bytes");
}

void walk_sizes(const struct arch_desc *a, bool (*of)(const struct arch_desc *a, u32 level), char text[128])
{
	u32 left = 0;

	for (u32 level = 0; level < a->levels; level++)
		left += of(a, level);
	text[0] = 0;
	for (u32 level = 0; level < a->levels; level++) {
		char size[32];

		if (!of(a, level))
			continue;
		walk_size(level_bytes(a, level), size);
		left--;
		snprintf(text + strlen(text), 128 - strlen(text), "%s%s", size,
			 left > 1 ? ", " : left ? " and " : "");
	}
}

/* Where no bit says whose the page is, the right to read is the users'. */
static bool has_user_bit(const struct arch_desc *a)
{
	return a->set[__builtin_ctz(PTE_USER)] | a->clear[__builtin_ctz(PTE_USER)];
}

void walk_rights(const struct arch_desc *a, u32 attrs, char text[4])
{
	bool user = attrs & (has_user_bit(a) ? PTE_USER : PTE_READ);

	text[0] = user && (attrs & PTE_READ) ? 'r' : '-';
	text[1] = user && (attrs & PTE_WRITE) ? 'w' : '-';
	text[2] = user && (attrs & PTE_EXEC) ? 'x' : '-';
	text[3] = 0;
}

/* ---- bits by name ----------------------------------------------------------------------------- */

static void append(char *text, size_t bytes, const char *name)
{
	size_t at = strlen(text);

	snprintf(text + at, bytes - at, " %s", name);
}

/* Frames and tables: what they are is printed by itself. */
static bool is_address(const struct arch_desc *a, pte_t mask)
{
	return !(mask & ~(a->pfn_mask | a->table_pfn_mask | a->pfn_hi_mask)) ||
	       mask == a->pfn_mask || (mask & a->pfn_mask) == a->pfn_mask;
}

static void append_number(const struct arch_desc *a, const struct pte_field *f, pte_t e, char *text,
			  size_t bytes)
{
	u64 mask = walk_entry_value(a, f->mask);
	u64 value = (walk_entry_value(a, e) & mask) >> __builtin_ctzll(mask);
	char number[64];

	if (!value)
		return;
	snprintf(number, sizeof(number), "%s=%llu", f->name, (unsigned long long)value);
	append(text, bytes, number);
}

static void append_bits(const struct arch_desc *a, pte_t e, u32 level, u32 where, pte_t only, char *text,
			size_t bytes)
{
	text[0] = 0;
	for (const struct pte_field *f = a->fields; f && f->name; f++) {
		if (!(f->where & where) || !(f->levels >> level & 1) || !(f->mask & only))
			continue;
		if (!f->value && __builtin_popcountll(f->mask) > 1) {
			if (!is_address(a, f->mask))
				append_number(a, f, e, text, bytes);
		} else if ((e & f->mask) == f->value) {
			append(text, bytes, f->name);
		}
	}
}

void walk_entry_bits(const struct arch_desc *a, pte_t e, u32 level, bool leaf, pte_t only, char *text,
		     size_t bytes)
{
	append_bits(a, e, level, leaf ? IN_LEAF : IN_TABLE, only, text, bytes);
}

void walk_hash_bits(const struct arch_desc *a, pte_t e, char *text, size_t bytes)
{
	append_bits(a, e, 0, IN_HASH, ~0ull, text, bytes);
}

void walk_restricts(const struct arch_desc *a, pte_t e, u32 level, char *text, size_t bytes)
{
	char names[128];

	text[0] = 0;
	/* A right that a table entry must give and does not; then what it forces. */
	for (const struct pte_field *f = a->fields; f && f->name; f++)
		if ((f->where & IN_TABLE) && (f->levels >> level & 1) && f->value &&
		    (f->mask & a->table_and & ~e)) {
			snprintf(names, sizeof(names), "no %s", f->name);
			append(text, bytes, names);
		}
	walk_entry_bits(a, e & a->table_or, level, false, a->table_or, names, sizeof(names));
	snprintf(text + strlen(text), bytes - strlen(text), "%s", names);
}

/* ---- the descent ------------------------------------------------------------------------------ */

static void show_registers(FILE *out, const struct walk_space *s)
{
	const struct control_bit *c = s->arch->control_bits;
	const char *sep = "  with";

	fprintf(out, "registers   root %#llx", (unsigned long long)s->regs.root[0]);
	if (s->regs.root[1] != s->regs.root[0])
		fprintf(out, ", upper half %#llx", (unsigned long long)s->regs.root[1]);
	for (; c && c->name; c++)
		if (s->regs.control & c->bit) {
			fprintf(out, "%s %s", sep, c->name);
			sep = "";
		}
	if (s->regs.keys)
		fprintf(out, "  keys %#llx", (unsigned long long)s->regs.keys);
	fputc('\n', out);
}

/* What a step's entry is: a table, a page, or nothing. */
static void describe(const struct arch_desc *a, const struct walk_step *step, char *text, size_t bytes)
{
	char size[32];

	if (!step->entry) {
		snprintf(text, bytes, "empty");
	} else if (!walk_step_present(a, step)) {
		snprintf(text, bytes, "nothing to the MMU");
	} else if (step->leaf) {
		walk_size(level_bytes(a, step->level), size);
		snprintf(text, bytes, "%s at %#llx", size,
			 (unsigned long long)leaf_pfn(a, step->entry, step->level) << a->page_shift);
	} else {
		snprintf(text, bytes, "table at %#llx", (unsigned long long)table_pa(a, step->entry));
	}
}

void walk_show_steps_title(FILE *out)
{
	fprintf(out, "%-9s %5s  %-12s %-16s  what\n", "entry", "index", "at", "value");
}

void walk_show_step(FILE *out, const struct arch_desc *a, const struct walk_step *step, u64 va)
{
	u32 level = step->level;
	char what[64], bits[256], rights[4];
	bool leaf = step->leaf || level == 0 || !walk_step_present(a, step);

	describe(a, step, what, sizeof(what));
	walk_entry_bits(a, step->entry, level, leaf, ~0ull, bits, sizeof(bits));
	fprintf(out, "%-9s %5u  %#-12llx %016llx  %-*s%s\n", a->level_names[level],
		level_index(a, va, level), (unsigned long long)step->pa,
		(unsigned long long)walk_entry_value(a, step->entry), bits[0] ? 24 : 0, what, bits);
	if (step->leaf) {
		walk_rights(a, pte_shown_attrs(a, step->entry), rights);
		fprintf(out, "%48s  gives users %s\n", "", rights);
	} else if (level && walk_step_present(a, step)) {
		walk_restricts(a, step->entry, level, bits, sizeof(bits));
		if (bits[0])
			fprintf(out, "%48s  takes from all below:%s\n", "", bits);
	}
}

void walk_show_written(FILE *out, const struct arch_desc *a, const struct walk_step *step, pte_t now)
{
	pte_t set = now & ~step->entry, cleared = step->entry & ~now;
	char bits[256];

	if (now == step->entry)
		return;
	fprintf(out, "written     %s, %016llx:", a->level_names[step->level],
		(unsigned long long)walk_entry_value(a, now));
	walk_entry_bits(a, now, step->level, step->leaf, set, bits, sizeof(bits));
	fprintf(out, "%s%s", set ? " set" : "", set ? bits : "");
	walk_entry_bits(a, step->entry, step->level, step->leaf, cleared, bits, sizeof(bits));
	fprintf(out, "%s%s\n", cleared ? " cleared" : "", cleared ? bits : "");
}

void walk_show_fault(FILE *out, const struct arch_desc *a, const char *label, const struct mmu_walk *w,
		     const struct syndrome *syndrome, const struct mmu_fault *f, bool user)
{
	const struct syndrome_kind *k = walk_syndrome(a, syndrome);

	if (w->cause == MMU_BAD_ADDRESS)
		fprintf(out, "%-11s fault before any table is read: %s\n", label, walk_cause_texts[w->cause]);
	else
		fprintf(out, "%-11s fault at %s: %s\n", label, a->level_names[w->level], walk_cause_texts[w->cause]);
	fprintf(out, "exception   %s\n", k->name);
	if (k->code)
		fprintf(out, "%-11s %#llx\n", k->code, (unsigned long long)(syndrome->code & k->code_mask));
	for (const struct syndrome_bit *b = k->bits; b->name; b++)
		if ((syndrome->code & b->mask) == b->value)
			fprintf(out, "            %-12s %s\n", b->name, b->meaning);
	if (k->address) {
		fprintf(out, "%-11s %#llx\n", k->address, (unsigned long long)syndrome->va);
		fprintf(out, "kernel      reads: %s of %#llx by %s: %s\n", walk_kind_names[f->kind],
			(unsigned long long)f->va, f->user ? "a user" : "the kernel",
			walk_cause_texts[f->cause]);
	} else {
		fprintf(out, "kernel      learns no address from it\n");
	}
	if (a->signals[f->cause] && user)
		fprintf(out, "kernel      sends %s\n", a->signals[f->cause]);
	else if (a->signals[f->cause])
		fprintf(out, "kernel      oopses, if it has no exception-table entry for this instruction\n");
}

static void show_result(FILE *out, const struct walk_space *s, const struct walk_met *met, bool user)
{
	char size[32], rights[4];

	if (!met->ok) {
		walk_show_fault(out, s->arch, "result", &met->w, &met->syndrome, &met->fault, user);
		return;
	}
	walk_size(met->page_bytes, size);
	walk_rights(s->arch, met->w.attrs, rights);
	fprintf(out, "result      physical %#llx, in a page of %s", (unsigned long long)met->pa, size);
	if (user)
		fprintf(out, "; all levels together give users %s", rights);
	if (pte_key(s->arch, met->w.entry))
		fprintf(out, ", key %u", pte_key(s->arch, met->w.entry));
	fputc('\n', out);
	if (!s->arch->hashed && (met->w.entry & s->arch->group_mask) && s->arch->group_bits[met->w.level]) {
		walk_size(met->page_bytes << s->arch->group_bits[met->w.level], size);
		fprintf(out, "            one of %u contiguous pages: a TLB may keep one entry of %s for all\n",
			1u << s->arch->group_bits[met->w.level], size);
	}
}

static void show_counters(FILE *out, const struct walk_met *met)
{
	for (u32 i = 0; i < COUNTER_COUNT; i++)
		if (met->counters[i])
			fprintf(out, "counted     %s %llu: %s\n", counter_info[i].name,
				(unsigned long long)met->counters[i], counter_info[i].meaning);
}

static void show_touch(FILE *out, const struct walk_access *x, const struct walk_met *met)
{
	fprintf(out, "touched     %s of %#llx: ", walk_kind_names[x->kind], (unsigned long long)x->va);
	if (met->ok)
		fprintf(out, "physical %#llx\n", (unsigned long long)met->pa);
	else
		fprintf(out, "fault: %s\n", walk_cause_texts[met->w.cause]);
}

void walk_show(FILE *out, const struct walk_report *r)
{
	const struct walk_space *s = r->space;
	const struct walk_met *met = r->met;

	fprintf(out, "%s: %s of %#llx by %s\n", s->arch->name, walk_kind_names[r->access->kind],
		(unsigned long long)r->access->va, r->access->user ? "a user" : "the kernel");
	show_registers(out, s);
	for (u32 i = 0; i < r->touch_count; i++)
		show_touch(out, &r->touches[i], &r->touched[i]);
	if (met->step_count) {
		fputc('\n', out);
		walk_show_steps_title(out);
	}
	for (u32 i = 0; i < met->step_count; i++)
		walk_show_step(out, s->arch, &met->steps[i], r->access->va);
	fputc('\n', out);
	show_result(out, s, met, r->access->user);
	if (met->ok && s->arch->hashed) {
		char bits[256];

		walk_hash_bits(s->arch, met->w.entry, bits, sizeof(bits));
		fprintf(out, "hash table  %016llx, second doubleword:%s\n",
			(unsigned long long)walk_entry_value(s->arch, met->w.entry), bits);
	}
	for (u32 i = 0; i < met->step_count; i++)
		walk_show_written(out, s->arch, &met->steps[i], met->after[i]);
	show_counters(out, met);
}
