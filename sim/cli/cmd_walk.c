/*
 * sim/cli/cmd_walk.c - mmsim walk: the way of an address down a page table, entry by entry
 *
 * Tables are built from --map, or come from a file; the accesses are those of --touch, then that of
 * the command line, made with the architecture's own walk.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/cli/cli.h"
#include "sim/cli/engine.h"
#include "sim/cli/results.h"
#include "sim/cli/walk.h"

#define ARCHS_MAX 32
#define CONTROL_BITS_MAX 32

struct walk_command {
	const struct arch_desc *arch; /* NULL: not said */
	const char *maps[WALK_MAPS_MAX], *regs[WALK_REGS_MAX];
	const char *touches[WALK_TOUCHES_MAX]; /* and steps of --do, in their order */
	bool is_do[WALK_TOUCHES_MAX];
	u32 map_count, touch_count, reg_count;
	const char *machine; /* NULL: no modelled CPU */
	bool access_given;
	enum access_kind kind;
	bool kernel, user, json;
	const char *table, *dump, *root;
	u64 base;
	bool base_given;
};

/* ---- texts of options: kept, and read when the architecture is known ----------------------------- */

static bool set_text(const char **list, u32 *count, u32 max, const struct cli_option *o,
		     const char *value, struct cli_error *err)
{
	if (*count == max)
		return cli_fail(err, "--%s=%s: at most %u of them", o->name, value, max);
	list[(*count)++] = value;
	return true;
}

static bool set_map(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	return set_text(c->maps, &c->map_count, WALK_MAPS_MAX, o, value, err);
}

static bool set_touch(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	return set_text(c->touches, &c->touch_count, WALK_TOUCHES_MAX, o, value, err);
}

static bool set_do(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	if (!set_text(c->touches, &c->touch_count, WALK_TOUCHES_MAX, o, value, err))
		return false;
	c->is_do[c->touch_count - 1] = true;
	return true;
}

static bool set_machine(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	((struct walk_command *)target)->machine = value;
	return *value || cli_fail(err, "--%s=: a machine's name or file is needed (mmsim list machines)",
				  o->name);
}

static bool set_regs(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	return set_text(c->regs, &c->reg_count, WALK_REGS_MAX, o, value, err);
}

static bool set_arch(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	const char *names[ARCHS_MAX];
	u32 n = 0, index;

	for (; arch_all[n] && n < ARCHS_MAX; n++)
		names[n] = arch_all[n]->name;
	if (!cli_name(o, value, "architecture", names, n, &index, err))
		return false;
	((struct walk_command *)target)->arch = arch_all[index];
	return true;
}

static bool set_access(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	u32 index;

	if (!cli_name(o, value, "access", walk_kind_names, ACCESS_KINDS, &index, err))
		return false;
	((struct walk_command *)target)->kind = (enum access_kind)index;
	((struct walk_command *)target)->access_given = true;
	return true;
}

static bool set_mode(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	*(o->name[0] == 'k' ? &c->kernel : &c->user) = true;
	return true;
}

static bool set_json(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	((struct walk_command *)target)->json = true;
	return true;
}

static bool set_file(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	if (!*value)
		return cli_fail(err, "--%s=: a file name is needed", o->name);
	*(o->name[0] == 't' ? &c->table : &c->dump) = value;
	return true;
}

static bool set_root(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	((struct walk_command *)target)->root = value;
	return true;
}

static bool set_base(void *target, const struct cli_option *o, const char *value, struct cli_error *err)
{
	struct walk_command *c = target;

	c->base_given = true;
	return cli_u64(o, value, 0, WALK_FILE_END, &c->base, err);
}

static const struct cli_option walk_table[] = {
	{"arch", 'a', "ARCH", "architecture (x86_64; mmsim list archs)", set_arch, false},
	{"map", 0, "ADDR:LEN:PERMS[:PAGESIZE][@PA]",
	 "map this, repeatable; numbers may have K, M, G, T (a small program)", set_map, false},
	{"touch", 0, "ADDR[:ACCESS]", "an access before, repeatable", set_touch, false},
	{"access", 0, "ACCESS", "read, write or exec (read)", set_access, false},
	{"user", 0, NULL, "by a user (the default)", set_mode, false},
	{"kernel", 0, NULL, "by the kernel", set_mode, false},
	{"machine", 'm', "NAME|FILE", "on a CPU of this machine, with its TLBs: each --touch and --do in turn",
	 set_machine, false},
	{"do", 0, "STEP", "with --machine: mmap:, munmap:, mprotect: (arguments as --map's) or switch:N, repeatable",
	 set_do, false},
	{"regs", 0, "NAME=VALUE[,...]", "a control bit by name, 0 or 1; keys=N: the key register, if any", set_regs,
	 false},
	{"table", 0, "FILE", "tables from a file: text as --dump writes it, or an image of memory",
	 set_file, false},
	{"base", 0, "PA", "an image begins at this physical address (0)", set_base, false},
	{"root", 0, "PA[,PA]", "top-level table (the file's; second: the upper half's)", set_root, false},
	{"dump", 0, "FILE", "write the tables as the first access finds them; - is stdout, alone", set_file,
	 false},
	{"json", 0, NULL, "as JSON", set_json, false},
	{NULL, 0, NULL, NULL, NULL, false},
};
static const struct cli_option *const tables[] = {walk_table, NULL};

/* ---- registers -------------------------------------------------------------------------------- */

static bool set_control(struct walk_space *s, const char *name, u64 value, struct cli_error *err)
{
	const char *names[CONTROL_BITS_MAX + 1], *nearest;
	u32 n = 0, key_bits = s->arch->key_register_bits;
	char all[256] = "";

	if (key_bits && !strcasecmp(name, "keys")) {
		if (key_bits < 64 && value >> key_bits)
			return cli_fail(err, "--regs=%s=%#llx: at most %u bits are allowed", name,
					(unsigned long long)value, key_bits);
		s->regs.keys = value;
		return true;
	}
	if (key_bits) {
		names[n++] = "keys";
		snprintf(all, sizeof(all), "keys");
	}
	for (const struct control_bit *b = s->arch->control_bits; b && b->name; b++) {
		if (!strcasecmp(b->name, name)) {
			if (value > 1)
				return cli_fail(err, "--regs=%s=%llu: 0 or 1 is allowed", name,
						(unsigned long long)value);
			s->regs.control = value ? s->regs.control | b->bit : s->regs.control & ~b->bit;
			return true;
		}
		if (n < ARRAY_SIZE(names)) {
			names[n++] = b->name;
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] ? ", " : "", b->name);
		}
	}
	nearest = cli_nearest(name, names, n);
	return cli_fail(err, "--regs=%s=%#llx: %s has no such register%s%s%s (allowed: %s)", name,
			(unsigned long long)value, s->arch->name, nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "", n ? all : "none");
}

static bool apply_regs(struct walk_space *s, const char *text, struct cli_error *err)
{
	char name[64];

	while (*text) {
		size_t len = strcspn(text, "=,");
		u64 value;

		if (text[len] != '=' || !len || len >= sizeof(name))
			return cli_fail(err, "--regs=%s: NAME=VALUE is needed", text);
		memcpy(name, text, len);
		name[len] = 0;
		text += len + 1;
		if (!walk_number(&text, &value) || (*text && *text != ','))
			return cli_fail(err, "--regs=%s: its value must be a number", name);
		if (!set_control(s, name, value, err))
			return false;
		text += *text == ',';
	}
	return true;
}

/* x86's key register counts with CR4.PKE alone (ppc64's always does): no fault, but hardly what was meant. */
static void hint_keys(const struct walk_space *s)
{
	const struct control_bit *b = s->arch->control_bits;

	while (b && b->name && strcmp(b->name, "PKE") != 0)
		b++;
	if (s->regs.keys && b && b->name && !(s->regs.control & b->bit))
		cli_complain("--regs=keys=%#llx: without effect while PKE is 0 (--regs PKE=1)",
			     (unsigned long long)s->regs.keys);
}

/* ---- the address space ----------------------------------------------------------------------- */

static bool map_program(struct walk_space *s, struct cli_error *err)
{
	struct walk_mapping program[WALK_PROGRAM_MAX];
	u32 n = walk_program(s->arch, program);

	for (u32 i = 0; i < n; i++)
		if (!walk_map(s, &program[i], err))
			return false;
	return true;
}

static bool build(struct walk_space *s, const struct walk_command *c, u64 *first, struct cli_error *err)
{
	*first = 0x400000;
	if (!walk_space_roots(s, err))
		return false;
	if (!c->map_count)
		return map_program(s, err);
	for (u32 i = 0; i < c->map_count; i++) {
		struct walk_mapping m;

		if (!walk_parse_map(s->arch, "map=", c->maps[i], &m, err) || !walk_map(s, &m, err))
			return false;
		if (i == 0)
			*first = m.va;
	}
	return true;
}

static bool parse_roots(const struct walk_command *c, struct walk_space *s, struct cli_error *err)
{
	const char *text = c->root;
	u32 n = 0;

	do {
		if (!walk_number(&text, &s->regs.root[n++]) || (*text && *text != ',') ||
		    (*text && n == ARCH_ROOTS_MAX))
			return cli_fail(err, "--root=%s: one or two physical addresses are allowed", c->root);
	} while (*text++ == ',');
	if (n == 1)
		s->regs.root[1] = s->regs.root[0];
	return true;
}

static bool load(struct walk_space *s, const struct walk_command *c, const struct walk_file *f,
		 struct cli_error *err)
{
	if (!walk_file_load(f, c->table, s, c->base, err))
		return false;
	if (!c->root && !f->root_count)
		return cli_fail(err, "--root: is needed, %s does not say where the top-level table is", c->table);
	for (u32 i = 0; !c->root && i < ARCH_ROOTS_MAX; i++)
		s->regs.root[i] = f->root[min(i, f->root_count - 1)];
	if (c->root && !parse_roots(c, s, err))
		return false;
	for (u32 i = 0; i < ARCH_ROOTS_MAX; i++)
		if (s->regs.root[i] < s->tables_lo || s->regs.root[i] >= s->tables_hi ||
		    s->regs.root[i] & (sizeof(pte_t) - 1))
			return cli_fail(err, "--root=%#llx: outside of the file's memory, or not a multiple of 8",
					(unsigned long long)s->regs.root[i]);
	if (s->arch->hashed && s->regs.root[0] >> 34)
		return cli_fail(err, "--root=%#llx: %s takes roots below 0x400000000",
				(unsigned long long)s->regs.root[0], s->arch->name);
	return true;
}

/* ---- the command ----------------------------------------------------------------------------- */

static bool check_options(const struct walk_command *c, struct cli_error *err)
{
	if (c->kernel && c->user)
		return cli_fail(err, "--kernel: instead of --user, not both");
	if (c->table && c->map_count)
		return cli_fail(err, "--map=%s: instead of --table, not both", c->maps[0]);
	if (!c->table && (c->root || c->base_given))
		return cli_fail(err, "--%s: goes with --table", c->root ? "root" : "base");
	return !c->dump || results_check_path("dump", c->dump, err);
}

static bool check_machine(const struct walk_command *c, struct cli_error *err)
{
	const char *no = c->table ? "table" : c->dump ? "dump" : c->root ? "root" : c->base_given ? "base"
			 : c->reg_count ? "regs" : c->kernel ? "kernel" : NULL;

	if (c->machine && no)
		return cli_fail(err, "--%s: not with --machine, where a user's program and a kernel run", no);
	for (u32 i = 0; !c->machine && i < c->touch_count; i++)
		if (c->is_do[i])
			return cli_fail(err, "--do=%s: goes with --machine", c->touches[i]);
	return true;
}

/* A hash table must be empty before it goes: take out what the accesses brought into it. */
static void forget(struct walk_space *s, u64 va)
{
	const struct arch_desc *a = s->arch;
	u64 root = s->regs.root[0] >> a->page_shift;
	struct pt_place at;

	if (a->hashed && va < a->task_size && a->ops->descend(a, &s->mem, root, va, 0, &at))
		(void)a->ops->pte_exchange(a, &s->mem, root, va, at.entry, 0);
}

static int make_accesses(struct walk_space *s, const struct walk_command *c,
			 const struct walk_access *access, struct cli_error *err)
{
	struct walk_access touches[WALK_TOUCHES_MAX];
	struct walk_met *met = calloc(c->touch_count + 1, sizeof(*met));
	struct walk_report report = {.space = s, .touches = touches, .access = access, .touched = met,
				     .met = met + c->touch_count, .touch_count = c->touch_count};
	int status = CLI_OK;
	bool ok = met || cli_fail(err, "out of memory");

	for (u32 i = 0; ok && i < c->touch_count; i++)
		ok = walk_parse_access("touch", c->touches[i], access->user, &touches[i], err) &&
		     walk_access(s, &touches[i], &met[i], err);
	ok = ok && walk_access(s, access, met + c->touch_count, err);
	if (!ok)
		status = cli_usage(err);
	else if (!c->json)
		walk_show(stdout, &report);
	else if (!walk_json(stdout, &report))
		status = CLI_FAILED;
	if (ok) {
		for (u32 i = 0; i < c->touch_count; i++)
			forget(s, touches[i].va);
		forget(s, access->va);
	}
	free(met);
	return status;
}

static int walk_in(struct walk_space *s, const struct walk_command *c, const struct walk_file *f,
		   const char *address, struct cli_error *err)
{
	struct walk_access access = {.kind = c->kind, .user = !c->kernel};
	const char *rest = address;
	bool ok = c->table ? load(s, c, f, err) : build(s, c, &access.va, err);

	for (u32 i = 0; ok && i < c->reg_count; i++)
		ok = apply_regs(s, c->regs[i], err);
	if (ok && address && (!walk_number(&rest, &access.va) || *rest))
		ok = cli_fail(err, "walk %s: an address is needed, as in 0x400123", address);
	if (!ok)
		return cli_usage(err);
	hint_keys(s);
	if (c->dump && !walk_file_write(s, c->dump, err)) {
		cli_complain("%s", err->text);
		return CLI_FAILED;
	}
	if (c->dump && !strcmp(c->dump, "-"))
		return CLI_OK;
	return make_accesses(s, c, &access, err);
}

static int walk(const struct walk_command *c, const char *address)
{
	struct walk_file file = {0};
	const struct arch_desc *a = c->arch;
	struct walk_space space;
	struct cli_error err;
	int status;

	if (!check_options(c, &err) || (c->table && !walk_file_read(&file, c->table, &err)) ||
	    (a && file.arch && a != file.arch &&
	     !cli_fail(&err, "--arch=%s: %s has tables of %s (leave --arch out, or give that)", a->name, c->table,
		       file.arch->name))) {
		walk_file_free(&file);
		return cli_usage(&err);
	}
	if (!a)
		a = file.arch ? file.arch : &arch_x86_64;
	if (!walk_space_init(&space, a, c->table ? WALK_FILE_END : WALK_TABLES_END, &err)) {
		cli_complain("%s", err.text);
		status = CLI_FAILED;
	} else {
		status = walk_in(&space, c, &file, address, &err);
		walk_space_destroy(&space);
	}
	walk_file_free(&file);
	return status;
}

/* ---- --machine ------------------------------------------------------------------------------- */

static bool take_mappings(const struct walk_command *c, struct walk_run *r, struct cli_error *err)
{
	if (!c->map_count)
		r->map_count = walk_program(r->arch, r->maps);
	for (; r->map_count < c->map_count; r->map_count++)
		if (!walk_parse_map(r->arch, "map=", c->maps[r->map_count], &r->maps[r->map_count], err))
			return false;
	for (u32 i = 0; i < r->map_count; i++)
		if (!walk_run_can_map(r, &r->maps[i], err))
			return false;
	return true;
}

/* The steps; then ADDR, if it is given or there is nothing else to do. */
static bool take_steps(const struct walk_command *c, struct walk_run *r, const char *address,
		       struct cli_error *err)
{
	struct walk_access last = {.va = c->map_count ? r->maps[0].va : 0x400000, .kind = c->kind, .user = true};
	const char *rest = address;

	for (u32 i = 0; i < c->touch_count; i++) {
		struct walk_step_done *d = &r->steps[r->step_count++];

		if (c->is_do[i] ? !walk_parse_do(r, c->touches[i], d, err)
				: !walk_parse_access("touch", c->touches[i], true, &d->access, err))
			return false;
	}
	if (address && (!walk_number(&rest, &last.va) || *rest))
		return cli_fail(err, "walk %s: an address is needed, as in 0x400123", address);
	if (address || c->access_given || !c->touch_count)
		r->steps[r->step_count++].access = last;
	return true;
}

static int walk_on_machine(const struct walk_command *c, const char *address)
{
	struct walk_run *r = calloc(1, sizeof(*r));
	struct cli_error err;
	int status = CLI_OK;

	if (!r) {
		cli_complain("out of memory");
		return CLI_FAILED;
	}
	r->arch = c->arch;
	if (!walk_run_machine(r, c->machine, &err) || !take_mappings(c, r, &err) ||
	    !take_steps(c, r, address, &err) || !walk_run(r, &err))
		status = cli_usage(&err);
	else if (!c->json)
		walk_run_show(stdout, r);
	else if (!walk_run_json(stdout, r))
		status = CLI_FAILED;
	free(r->events);
	free(r);
	return status;
}

static int run(int argc, char **argv)
{
	struct walk_command c = {.kind = ACCESS_READ};
	struct cli_group group = {NULL, walk_table, &c};
	const char *args[1];
	struct cli_parse p = {.command = &cli_cmd_walk, .groups = &group, .group_count = 1, .args = args,
			      .args_max = 1};
	struct cli_error err;

	if (!cli_parse(&p, argc, argv, &err))
		return cli_usage(&err);
	if (p.help)
		return CLI_OK;
	if (c.table && !p.arg_count) {
		cli_fail(&err, "walk: an address is needed, as in mmsim walk --table FILE 0x400123");
		return cli_usage(&err);
	}
	if (!check_machine(&c, &err))
		return cli_usage(&err);
	if (!cli_engine_become(c.machine ? "virtual" : "native", false))
		return CLI_FAILED;
	return c.machine ? walk_on_machine(&c, p.arg_count ? args[0] : NULL)
			 : walk(&c, p.arg_count ? args[0] : NULL);
}

const struct cli_command cli_cmd_walk = {
	.name = "walk",
	.args = "[OPTIONS] [ADDR]",
	.summary = "show the page-table walk of an address, entry by entry",
	.details = "Builds page tables and shows how an access goes down them: each entry with its bits by name,\n"
		   "what it takes away, what the MMU writes, and the physical address or the exception that\n"
		   "the processor raises. PERMS: r, w, x; - (alone: PROT_NONE); k: the kernel's; o: not yet\n"
		   "Accessed; c: not Dirty; g: global; /N: protection key N.\n"
		   "Without --map: code at 0x400000, data at 0x600000, a huge page, a stack.\n"
		   "With --machine: a program on one of its CPUs, step by step (--touch and --do in their order, then\n"
		   "ADDR): what the TLBs and walk caches have, what is walked, filled and dropped, what it costs.",
	.run = run,
	.tables = tables,
};
