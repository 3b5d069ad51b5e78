/*
 * tests/oracle/layout.c - layouts: read from the kernel's text, compared, printed
 *
 * Models       The text of /proc/PID/maps and smaps, as both the live kernel and mm_print_maps()
 *              write it: one parser for both, so that a difference in the text is a difference.
 * Leaves out   [vsyscall], which is not a VMA; smaps' figures but for Anonymous.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

static const struct {
	char name[3];
	u64 flag;
} flag_names[] = {
	{"rd", VM_READ},        {"wr", VM_WRITE},    {"ex", VM_EXEC},      {"sh", VM_SHARED},
	{"mr", VM_MAYREAD},     {"mw", VM_MAYWRITE}, {"me", VM_MAYEXEC},   {"ms", VM_MAYSHARE},
	{"gd", VM_GROWSDOWN},   {"pf", VM_PFNMAP},   {"io", VM_IO},        {"lo", VM_LOCKED},
	{"lf", VM_LOCKONFAULT}, {"sr", VM_SEQ_READ}, {"rr", VM_RAND_READ}, {"dc", VM_DONTCOPY},
	{"de", VM_DONTEXPAND},  {"ac", VM_ACCOUNT},  {"nr", VM_NORESERVE}, {"wf", VM_WIPEONFORK},
	{"dd", VM_DONTDUMP},    {"mm", VM_MIXEDMAP}, {"hg", VM_HUGEPAGE},  {"nh", VM_NOHUGEPAGE},
	{"mg", VM_MERGEABLE},
};

static u64 flags_parse(const char *text)
{
	u64 flags = 0;

	for (; text[0] && text[1]; text++) {
		if (isspace((unsigned char)text[0]))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
			if (text[0] == flag_names[i].name[0] && text[1] == flag_names[i].name[1])
				flags |= flag_names[i].flag;
		text++;
	}
	return flags;
}

void flags_print(u64 flags, FILE *out)
{
	const char *space = "";

	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (flags & flag_names[i].flag) {
			fprintf(out, "%s%s", space, flag_names[i].name);
			space = " ";
		}
}

static struct lvma *layout_add(struct layout *l)
{
	if (l->count == l->room) {
		u32 room = l->room ? l->room * 2 : 64;
		struct lvma *vmas = realloc(l->vmas, room * sizeof(*vmas));

		if (!vmas)
			return NULL;
		l->vmas = vmas;
		l->room = room;
	}
	memset(&l->vmas[l->count], 0, sizeof(struct lvma));
	return &l->vmas[l->count++];
}

/* "00400000-00401000 r-xp 00000000 08:01 123   /path" */
static bool header_parse(struct lvma *v, const char *line)
{
	char *p;

	v->start = strtoull(line, &p, 16);
	if (*p++ != '-')
		return false;
	v->end = strtoull(p, &p, 16);
	if (*p++ != ' ' || strlen(p) < 5)
		return false;
	memcpy(v->perms, p, 4);
	v->offset = strtoull(p + 5, &p, 16);
	v->major = (u32)strtoul(p, &p, 16);
	if (*p++ != ':')
		return false;
	v->minor = (u32)strtoul(p, &p, 16);
	v->ino = strtoull(p, &p, 10);
	while (*p == ' ')
		p++;
	snprintf(v->name, sizeof(v->name), "%s", p);
	return true;
}

int layout_parse(struct layout *l, char *text)
{
	struct lvma *v = NULL;

	l->count = 0;
	l->has_flags = l->has_counts = false;
	for (char *line = text, *next; *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (isupper((unsigned char)line[0])) { /* a line of smaps */
			if (v && !strncmp(line, "VmFlags:", 8)) {
				v->flags = flags_parse(line + 8);
				l->has_flags = true;
			} else if (v && !strncmp(line, "Anonymous:", 10)) {
				v->touched = strtoull(line + 10, NULL, 10) != 0;
			}
			continue;
		}
		v = layout_add(l);
		if (!v)
			return -ENOMEM;
		if (!header_parse(v, line))
			return -EINVAL;
		if (!strcmp(v->name, "[vsyscall]")) {
			l->count--;
			v = NULL;
		}
	}
	return 0;
}

void layout_free(struct layout *l)
{
	free(l->vmas);
	memset(l, 0, sizeof(*l));
}

int layout_find(const struct layout *l, u64 addr)
{
	u32 lo = 0, hi = l->count;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (l->vmas[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->count && l->vmas[lo].start <= addr ? (int)lo : -1;
}

void lvma_print(const struct lvma *v, FILE *out)
{
	fprintf(out,
		"%012" PRIx64 "-%012" PRIx64 " %5" PRIu64 "p %s %08" PRIx64 " %02x:%02x %-8" PRIu64
		" %s",
		v->start, v->end, (v->end - v->start) / ORACLE_PAGE, v->perms, v->offset, v->major,
		v->minor, v->ino, v->name);
	if (v->flags) {
		fputs(" {", out);
		flags_print(v->flags, out);
		fputs("}", out);
	}
	fputc('\n', out);
}

void layout_print(const struct layout *l, FILE *out)
{
	for (u32 i = 0; i < l->count; i++)
		lvma_print(&l->vmas[i], out);
}

/* ---- comparison ------------------------------------------------------------------ */

static bool ino_equal(struct ino_pairs *p, u64 a, u64 b)
{
	for (u32 i = 0; i < p->count; i++)
		if (p->pairs[i].a == a || p->pairs[i].b == b)
			return p->pairs[i].a == a && p->pairs[i].b == b;
	if (p->count == p->room) {
		u32 room = p->room ? p->room * 2 : 64;
		void *pairs = realloc(p->pairs, room * sizeof(p->pairs[0]));

		if (!pairs)
			return false;
		p->pairs = pairs;
		p->room = room;
	}
	p->pairs[p->count].a = a;
	p->pairs[p->count++].b = b;
	return true;
}

static bool lvma_equal(const struct lvma *a, const struct lvma *b, bool flags,
		       struct ino_pairs *pairs)
{
	if (a->start != b->start || a->end != b->end || a->offset != b->offset ||
	    a->major != b->major || a->minor != b->minor || strcmp(a->perms, b->perms) ||
	    strcmp(a->name, b->name))
		return false;
	if (flags && (a->flags & ORACLE_FLAGS) != (b->flags & ORACLE_FLAGS))
		return false;
	if (strstr(a->name, " (deleted)"))
		return ino_equal(pairs, a->ino, b->ino);
	return a->ino == b->ino;
}

static void diff_line(char side, const struct lvma *v, FILE *out)
{
	fprintf(out, "  %c ", side);
	lvma_print(v, out);
}

static bool counts_equal(const struct layout *a, const struct layout *b, FILE *out)
{
	if (!a->has_counts || !b->has_counts)
		return true;
	if (a->total_pages == b->total_pages && a->locked_pages == b->locked_pages &&
	    a->data_pages == b->data_pages && a->stack_pages == b->stack_pages)
		return true;
	if (out)
		fprintf(out,
			"  pages          total  locked    data   stack\n"
			"  - %14" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n"
			"  + %14" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n",
			a->total_pages, a->locked_pages, a->data_pages, a->stack_pages,
			b->total_pages, b->locked_pages, b->data_pages, b->stack_pages);
	return false;
}

bool layout_equal(const struct layout *a, const struct layout *b, struct ino_pairs *pairs,
		  FILE *out)
{
	bool flags = a->has_flags && b->has_flags, equal = true;
	u32 i = 0, j = 0;

	while (i < a->count || j < b->count) {
		const struct lvma *x = i < a->count ? &a->vmas[i] : NULL;
		const struct lvma *y = j < b->count ? &b->vmas[j] : NULL;

		if (x && y && lvma_equal(x, y, flags, pairs)) {
			i++, j++;
			continue;
		}
		equal = false;
		if (!out)
			return false;
		/* Step over the one that starts lower, so that later lines meet again. */
		if (x && (!y || x->start <= y->start)) {
			diff_line('-', x, out);
			i++;
		}
		if (y && (!x || y->start <= x->start)) {
			diff_line('+', y, out);
			j++;
		}
	}
	return counts_equal(a, b, out) && equal;
}
