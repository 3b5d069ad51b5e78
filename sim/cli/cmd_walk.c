/*
 * sim/cli/cmd_walk.c - mmsim walk: the way of an address down a page table, entry by entry
 *
 * Tables are built from --map, or come from a file; the accesses are those of --touch, then that of
 * the command line, made with the architecture's own walk.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/cli/cli.h"
#include "sim/cli/results.h"
#include "sim/cli/walk.h"

#define ARCHS_MAX 32
#define CONTROL_BITS_MAX 32

struct walk_command {
	const struct arch_desc *arch; /* NULL: not said */
	const char *maps[WALK_MAPS_MAX], *touches[WALK_TOUCHES_MAX], *regs[WALK_REGS_MAX];
	u32 map_count, touch_count, reg_count;
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
	{"regs", 0, "NAME=VALUE[,...]", "a control bit by name, 0 or 1; keys=N: the key register", set_regs,
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

/* ---- values ---------------------------------------------------------------------------------- */

/* Decimal or 0x.., and K, M, G or T behind it; *s moves on. */
static bool scan_number(const char **s, u64 *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	u64 n;

	if (!isdigit((unsigned char)**s))
		return false;
	errno = 0;
	n = strtoull(*s, &end, 0);
	if (errno)
		return false;
	*s = end;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		u32 shift = 10 * (u32)(unit - units + 1);

		if (n << shift >> shift != n)
			return false;
		n <<= shift;
		++*s;
	}
	*out = n;
	return true;
}

static bool fail_map(struct cli_error *err, const char *text, const char *why)
{
	return cli_fail(err, "--map=%s: %s, as in 0x400000:16K:rx or 0x40000000:2M:rw:2M@0x80000000",
			text, why);
}

/* Letters, and /KEY. *s moves on. */
static bool scan_perms(const struct arch_desc *a, const char *text, const char **s,
		       struct walk_mapping *m, struct cli_error *err)
{
	bool kernel = false, old = false, clean = false;
	u32 rwx = 0;

	m->key = 0;
	for (; **s && **s != ':' && **s != '@' && **s != '/'; ++*s)
		switch (**s) {
		case 'r':
			rwx |= PTE_READ;
			break;
		case 'w':
			rwx |= PTE_READ | PTE_WRITE;
			break;
		case 'x':
			rwx |= PTE_READ | PTE_EXEC;
			break;
		case '-':
			break;
		case 'k':
			kernel = true;
			break;
		case 'o':
			old = true;
			break;
		case 'c':
			clean = true;
			break;
		case 'g':
			if (!a->global_mask)
				return cli_fail(err, "--map=%s: %s has no global pages", text, a->name);
			m->global = true;
			break;
		default:
			return fail_map(err, text, "PERMS are of r, w, x, k, o, c, g and -");
		}
	if (**s == '/') {
		u64 key;

		++*s;
		if (!scan_number(s, &key) || key > a->key_mask >> a->key_shift)
			return cli_fail(err, "--map=%s: %s has protection keys from 0 to %llu", text, a->name,
					(unsigned long long)(a->key_mask >> a->key_shift));
		m->key = (u32)key;
	}
	m->attrs = rwx | (old ? 0 : PTE_ACCESSED);
	if (!rwx)
		m->attrs |= PTE_HIDDEN;
	else if (!kernel)
		m->attrs |= PTE_USER;
	/* Where users have a right of their own and no bit for the rest, that right makes it theirs. */
	else if (!(a->set[__builtin_ctz(PTE_USER)] | a->clear[__builtin_ctz(PTE_USER)]))
		m->attrs &= ~(u32)PTE_READ;
	if ((rwx & PTE_WRITE) && !clean)
		m->attrs |= PTE_DIRTY;
	return true;
}

static bool parse_map(const struct arch_desc *a, const char *text, struct walk_mapping *m,
		      struct cli_error *err)
{
	const char *s = text;

	*m = (struct walk_mapping){.page_bytes = arch_page_bytes(a), .pa = ~0ull};
	if (!scan_number(&s, &m->va))
		return fail_map(err, text, "an address is needed first");
	if (*s++ != ':' || !scan_number(&s, &m->len))
		return fail_map(err, text, "a length is needed behind the address");
	if (*s++ != ':')
		return fail_map(err, text, "PERMS are needed behind the length");
	if (!scan_perms(a, text, &s, m, err))
		return false;
	if (*s == ':') {
		s++;
		if (!scan_number(&s, &m->page_bytes) || !m->page_bytes)
			return fail_map(err, text, "PAGESIZE must be a number");
	}
	if (*s == '@') {
		s++;
		if (!scan_number(&s, &m->pa))
			return fail_map(err, text, "PA must be a number");
	}
	return *s ? fail_map(err, text, "something is left over") : true;
}

static bool parse_touch(const char *text, bool user, struct walk_access *x, struct cli_error *err)
{
	static const struct cli_option touch = {.name = "touch"};
	const char *s = text;
	u32 kind = ACCESS_READ;

	if (!scan_number(&s, &x->va) || (*s && *s != ':'))
		return cli_fail(err, "--touch=%s: an address is needed, as in 0x400000:write", text);
	if (*s && !cli_name(&touch, s + 1, "access", walk_kind_names, ACCESS_KINDS, &kind, err))
		return false;
	x->kind = (enum access_kind)kind;
	x->user = user;
	return true;
}

static bool set_control(struct walk_space *s, const char *name, u64 value, struct cli_error *err)
{
	const char *names[CONTROL_BITS_MAX + 1] = {"keys"}, *nearest;
	char all[256] = "keys";
	u32 n = 1;

	if (!strcasecmp(name, "keys")) {
		s->regs.keys = value;
		return true;
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
			snprintf(all + strlen(all), sizeof(all) - strlen(all), ", %s", b->name);
		}
	}
	nearest = cli_nearest(name, names, n);
	return cli_fail(err, "--regs=%s: %s has no such register%s%s%s (allowed: %s)", name, s->arch->name,
			nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", all);
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
		if (!scan_number(&text, &value) || (*text && *text != ','))
			return cli_fail(err, "--regs=%s: its value must be a number", name);
		if (!set_control(s, name, value, err))
			return false;
		text += *text == ',';
	}
	return true;
}

/* ---- the address space ----------------------------------------------------------------------- */

/* What a small program looks like: code, data, a huge page if there are any, a stack. */
static bool map_program(struct walk_space *s, struct cli_error *err)
{
	const struct arch_desc *a = s->arch;
	u64 page = arch_page_bytes(a), huge = level_bytes(a, 1);
	u64 stack_top = min(a->task_size, 1ull << 47) & ~(huge - 1);
	const u32 rx = PTE_READ | PTE_EXEC | PTE_USER | PTE_ACCESSED;
	const u32 rw = PTE_READ | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
	const struct walk_mapping program[] = {
		{.va = 0x400000, .len = 4 * page, .page_bytes = page, .pa = ~0ull, .attrs = rx},
		{.va = 0x600000, .len = 4 * page, .page_bytes = page, .pa = ~0ull, .attrs = rw},
		{.va = ALIGN_UP(0x40000000ull, huge), .len = huge, .page_bytes = huge, .pa = ~0ull, .attrs = rw},
		{.va = stack_top - 8 * page, .len = 8 * page, .page_bytes = page, .pa = ~0ull, .attrs = rw},
	};

	for (u32 i = 0; i < ARRAY_SIZE(program); i++)
		if ((program[i].page_bytes == page || (a->huge_levels >> 1 & 1)) &&
		    !walk_map(s, &program[i], err))
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

		if (!parse_map(s->arch, c->maps[i], &m, err) || !walk_map(s, &m, err))
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
		if (!scan_number(&text, &s->regs.root[n++]) || (*text && *text != ',') ||
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
		return cli_fail(err, "--map: instead of --table, not both");
	if (!c->table && (c->root || c->base_given))
		return cli_fail(err, "--%s: goes with --table", c->root ? "root" : "base");
	return !c->dump || results_check_path("dump", c->dump, err);
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
		ok = parse_touch(c->touches[i], access->user, &touches[i], err) &&
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
	if (ok && address && (!scan_number(&rest, &access.va) || *rest))
		ok = cli_fail(err, "walk %s: an address is needed, as in 0x400123", address);
	if (!ok)
		return cli_usage(err);
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

	if (!check_options(c, &err) || (c->table && !walk_file_read(&file, c->table, &err))) {
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
	return walk(&c, p.arg_count ? args[0] : NULL);
}

const struct cli_command cli_cmd_walk = {
	.name = "walk",
	.args = "[OPTIONS] [ADDR]",
	.summary = "show the page-table walk of an address, entry by entry",
	.details = "Builds page tables and shows how an access goes down them: each entry with its bits by name,\n"
		   "what it takes away, what the MMU writes, and the physical address or the exception that\n"
		   "the processor raises. PERMS: r, w, x; - (alone: PROT_NONE); k: the kernel's; o: not yet\n"
		   "Accessed; c: not Dirty; g: global; /N: protection key N.\n"
		   "Without --map: code at 0x400000, data at 0x600000, a huge page, a stack.",
	.run = run,
	.tables = tables,
};
