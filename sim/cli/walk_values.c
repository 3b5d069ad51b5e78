/*
 * sim/cli/walk_values.c - mmsim walk: what is in its options: numbers, mappings, accesses
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/walk.h"

/* Decimal or 0x.., and K, M, G or T behind it; *s moves on. */
bool walk_number(const char **s, u64 *out)
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

/* option: "map=", or whatever else is in front of the text. */
static bool fail_map(struct cli_error *err, const char *option, const char *text, const char *why)
{
	return cli_fail(err, "--%s%s: %s, as in 0x400000:16K:rx or 0x40000000:2M:rw:2M@0x80000000",
			option, text, why);
}

/* Letters, and /KEY. *s moves on. */
static bool scan_perms(const struct arch_desc *a, const char *option, const char *text, const char **s,
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
				return cli_fail(err, "--%s%s: %s has no global pages", option, text, a->name);
			m->global = true;
			break;
		default:
			return fail_map(err, option, text, "PERMS are of r, w, x, k, o, c, g and -");
		}
	if (**s == '/') {
		u64 key;

		if (!a->key_mask)
			return cli_fail(err, "--%s%s: %s has no protection keys", option, text, a->name);
		++*s;
		if (!walk_number(s, &key) || key > a->key_mask >> a->key_shift)
			return cli_fail(err, "--%s%s: %s has protection keys from 0 to %llu", option, text,
					a->name, (unsigned long long)(a->key_mask >> a->key_shift));
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

bool walk_parse_map(const struct arch_desc *a, const char *option, const char *text,
		    struct walk_mapping *m, struct cli_error *err)
{
	const char *s = text;

	*m = (struct walk_mapping){.page_bytes = arch_page_bytes(a), .pa = ~0ull, .option = option, .text = text};
	if (!walk_number(&s, &m->va))
		return fail_map(err, option, text, "an address is needed first");
	if (*s++ != ':' || !walk_number(&s, &m->len))
		return fail_map(err, option, text, "a length is needed behind the address");
	if (*s++ != ':')
		return fail_map(err, option, text, "PERMS are needed behind the length");
	if (!scan_perms(a, option, text, &s, m, err))
		return false;
	if (*s == ':') {
		s++;
		if (!walk_number(&s, &m->page_bytes) || !m->page_bytes)
			return fail_map(err, option, text, "PAGESIZE must be a number");
	}
	if (*s == '@') {
		s++;
		if (!walk_number(&s, &m->pa))
			return fail_map(err, option, text, "PA must be a number");
	}
	return *s ? fail_map(err, option, text, "something is left over") : true;
}

bool walk_parse_access(const char *option, const char *text, bool user, struct walk_access *x,
		       struct cli_error *err)
{
	const struct cli_option o = {.name = option};
	const char *s = text;
	u32 kind = ACCESS_READ;

	if (!walk_number(&s, &x->va) || (*s && *s != ':'))
		return cli_fail(err, "--%s=%s: an address is needed, as in 0x400000:write", option,
				text);
	if (*s && !cli_name(&o, s + 1, "access", walk_kind_names, ACCESS_KINDS, &kind, err))
		return false;
	x->kind = (enum access_kind)kind;
	x->user = user;
	return true;
}

u32 walk_program(const struct arch_desc *a, struct walk_mapping program[WALK_PROGRAM_MAX])
{
	u64 page = arch_page_bytes(a), huge = level_bytes(a, 1);
	u64 stack_top = min(a->task_size, 1ull << 47) & ~(huge - 1);
	const u32 rx = PTE_READ | PTE_EXEC | PTE_USER | PTE_ACCESSED;
	const u32 rw = PTE_READ | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
	const struct walk_mapping all[WALK_PROGRAM_MAX] = {
		{.va = 0x400000, .len = 4 * page, .page_bytes = page, .pa = ~0ull, .attrs = rx},
		{.va = 0x600000, .len = 4 * page, .page_bytes = page, .pa = ~0ull, .attrs = rw},
		{.va = ALIGN_UP(0x40000000ull, huge), .len = huge, .page_bytes = huge, .pa = ~0ull, .attrs = rw},
		{.va = stack_top - 8 * page, .len = 8 * page, .page_bytes = page, .pa = ~0ull, .attrs = rw},
	};
	u32 n = 0;

	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].page_bytes == page || (a->huge_levels >> 1 & 1))
			program[n++] = all[i];
	for (u32 i = 0; i < n; i++) {
		program[i].option = "map";
		program[i].text = "";
	}
	return n;
}
