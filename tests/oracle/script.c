/*
 * tests/oracle/script.c - cases drawn as address lines, run in either world
 *
 * A script is a list of lines. A line between bars is what the window of the current process must
 * look like at that point, one character per page; any other line makes one call:
 *
 *	"mmap [0,8) rw"			fixed, private, anonymous; pages 0..7 of the window
 *	"|WWWWWWWW|"
 *	"mprotect [2,4) r",
 *	"|WWRRWWWW|"
 *	"munmap [3+1,5) = EINVAL"	one byte behind page 3
 *
 * Places     N: page N of the window; N+B: B bytes behind it; 0x...: absolute.
 * Ranges     [place,place) or [place,+bytes).
 * Results    "= ENAME", "= place", "= maperr|accerr|sigbus"; a read's "= number" is the word read.
 *            Without one the call must succeed.
 * Calls      mmap RANGE|auto PAGES  PROT  [fileN@PAGE] [shared] [FLAG..]   auto: addr 0;
 *            hint, noreplace: not fixed. munmap, mlock, mlock2, munlock RANGE; mprotect RANGE PROT
 *            [growsdown]; madvise RANGE ADVICE; mremap RANGE PAGES [to PLACE | at PLACE] [maymove]
 *            [dontunmap] [flags=N]; mlockall WORD..; munlockall; brk PLACE; read PLACE; write PLACE
 *            [VALUE]; fork (the next free slot); in SLOT (who makes the next calls); exit.
 * Windows    window arena (at the start; far from everything) | heap (at start_brk) | top N (the N
 *            pages below the vdso's) | stack N (the N pages below [stack]); unit N: a character,
 *            and a page in a place, is N pages.
 *
 * Characters  .  nothing
 *   anonymous, private   N ---   R r--   W rw-   X r-x   Y rwx   Z any other
 *   ... and rw- with     L locked  D DONTFORK  P WIPEONFORK  B DONTDUMP  H HUGEPAGE
 *                        K NOHUGEPAGE (MAP_STACK)  O NORESERVE  Q SEQUENTIAL  I RANDOM  G GROWSDOWN
 *   anonymous, shared    A
 *   file, private        E r--  F rw-  C any other     at the offset that is its page in the window
 *   file, shared         T r--  S rw-  U any other
 *   file, other offset   J private  M shared           V special ([vdso], [vvar])
 * Two VMAs that touch and have the same character: the upper one is drawn in lower case.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

#define ARENA_BASE 0x200000000000ull
#define WORDS_MAX 16
#define WIDTH_MAX 256

struct script {
	struct world *world;
	const struct image *image;
	FILE *out;
	u64 base, unit_bytes;
	u8 proc, next_slot;
	struct layout layout;
};

struct words {
	char text[256];
	char *word[WORDS_MAX];
	u32 count, at;
};

static bool complain(struct script *s, const char *line, const char *what)
{
	fprintf(s->out, "step \"%s\": %s\n", line, what);
	return false;
}

/* ---- drawing --------------------------------------------------------------------- */

static char anon_letter(const struct lvma *v)
{
	static const struct {
		u64 flag;
		char letter;
	} flagged[] = {
		{VM_GROWSDOWN, 'G'},  {VM_LOCKED, 'L'},    {VM_DONTCOPY, 'D'},
		{VM_WIPEONFORK, 'P'}, {VM_DONTDUMP, 'B'},  {VM_HUGEPAGE, 'H'},
		{VM_NOHUGEPAGE, 'K'}, {VM_NORESERVE, 'O'}, {VM_SEQ_READ, 'Q'},
		{VM_RAND_READ, 'I'},
	};
	static const char by_prot[] = {'N', 'R', 'Z', 'W', 'Z', 'X', 'Z', 'Y'};
	u32 prot = (v->perms[0] == 'r') | (v->perms[1] == 'w') << 1 | (v->perms[2] == 'x') << 2;

	if (prot == 3)
		for (u32 i = 0; i < ARRAY_SIZE(flagged); i++)
			if (v->flags & flagged[i].flag)
				return flagged[i].letter;
	return by_prot[prot];
}

static char letter_of(const struct script *s, const struct lvma *v)
{
	bool shared = v->perms[3] == 's';

	if (v->name[0] == '[' && v->name[1] == 'v')
		return 'V';
	if (!v->ino)
		return anon_letter(v);
	if (shared && !strcmp(v->name, "/dev/zero (deleted)"))
		return 'A';
	if (v->offset != v->start - s->base)
		return shared ? 'M' : 'J';
	if (!strncmp(v->perms, "r--", 3))
		return shared ? 'T' : 'E';
	if (!strncmp(v->perms, "rw-", 3))
		return shared ? 'S' : 'F';
	return shared ? 'U' : 'C';
}

static void draw(const struct script *s, char *line, u32 width)
{
	const struct lvma *below = NULL;
	char drawn = 0;

	memset(line, '.', width);
	line[width] = 0;
	for (u32 i = 0; i < s->layout.count; i++) {
		const struct lvma *v = &s->layout.vmas[i];
		char c = letter_of(s, v);

		if (below && below->end == v->start && drawn == c)
			c = (char)(c - 'A' + 'a');
		below = v->end > s->base ? v : NULL;
		drawn = c;
		for (u32 x = 0; x < width; x++) {
			u64 start = s->base + x * s->unit_bytes, end = start + s->unit_bytes;

			if (v->start <= start && end <= v->end)
				line[x] = c;
			else if (v->start < end && start < v->end)
				line[x] = '?'; /* a unit that is mapped in part */
		}
	}
}

static bool expect_line(struct script *s, const char *line)
{
	char drawn[WIDTH_MAX + 1];
	size_t width = strlen(line) - 2;

	if (width > WIDTH_MAX || line[width + 1] != '|')
		return complain(s, line, "a line is drawn between two bars");
	if (s->world->ops->layout(s->world, s->proc, &s->layout, false))
		return complain(s, line, "the layout cannot be read");
	draw(s, drawn, (u32)width);
	if (!strncmp(drawn, line + 1, width))
		return true;
	fprintf(s->out, "drawn  %s\n%-6s |%s|\n", line, s->world->ops->name, drawn);
	for (u32 i = 0; i < s->layout.count; i++)
		if (s->layout.vmas[i].end > s->base &&
		    s->layout.vmas[i].start < s->base + width * s->unit_bytes)
			lvma_print(&s->layout.vmas[i], s->out);
	return false;
}

/* ---- reading a step -------------------------------------------------------------- */

static void split(struct words *w, const char *line)
{
	char *save = NULL;

	memset(w, 0, sizeof(*w));
	snprintf(w->text, sizeof(w->text), "%s", line);
	for (char *p = strtok_r(w->text, " \t", &save); p && w->count < WORDS_MAX;
	     p = strtok_r(NULL, " \t", &save))
		w->word[w->count++] = p;
}

static const char *next_word(struct words *w)
{
	return w->at < w->count ? w->word[w->at++] : "";
}

static u64 place(const struct script *s, const char *text, char **end)
{
	u64 addr;

	if (!strncmp(text, "0x", 2))
		return strtoull(text, end, 16);
	addr = s->base + strtoull(text, end, 10) * s->unit_bytes;
	if (**end == '+')
		addr += strtoull(*end + 1, end, 0);
	return addr;
}

/* "[a,b)" or "[a,+bytes)" */
static bool range(const struct script *s, const char *text, u64 *addr, u64 *len)
{
	char *p;

	if (*text != '[')
		return false;
	*addr = place(s, text + 1, &p);
	if (*p != ',')
		return false;
	if (p[1] == '+')
		*len = strtoull(p + 2, &p, 0);
	else
		*len = place(s, p + 1, &p) - *addr;
	return *p == ')';
}

static bool prot_of(const char *text, u64 *prot)
{
	*prot = 0;
	if (!strcmp(text, "none"))
		return true;
	if (!strncmp(text, "0x", 2)) {
		*prot = strtoull(text, NULL, 16);
		return true;
	}
	for (; *text; text++)
		if (*text == 'r')
			*prot |= PROT_READ;
		else if (*text == 'w')
			*prot |= PROT_WRITE;
		else if (*text == 'x')
			*prot |= PROT_EXEC;
		else
			return false;
	return true;
}

struct word_value {
	const char *word;
	u64 value;
};
static bool word_value(const struct word_value *table, const char *word, u64 *value)
{
	for (; table->word; table++)
		if (!strcmp(table->word, word)) {
			*value = table->value;
			return true;
		}
	return false;
}

static const struct word_value map_words[] = {
	{"noreserve", MAP_NORESERVE},
	{"stack", MAP_STACK},
	{"growsdown", MAP_GROWSDOWN},
	{"populate", MAP_POPULATE},
	{"locked", MAP_LOCKED},
	{"noreplace", MAP_FIXED_NOREPLACE},
	{"validate", MAP_SHARED_VALIDATE},
	{NULL, 0},
};
static const struct word_value advice_words[] = {
	{"normal", MADV_NORMAL},
	{"random", MADV_RANDOM},
	{"sequential", MADV_SEQUENTIAL},
	{"willneed", MADV_WILLNEED},
	{"dontneed", MADV_DONTNEED},
	{"free", MADV_FREE},
	{"dontfork", MADV_DONTFORK},
	{"dofork", MADV_DOFORK},
	{"hugepage", MADV_HUGEPAGE},
	{"nohugepage", MADV_NOHUGEPAGE},
	{"dontdump", MADV_DONTDUMP},
	{"dodump", MADV_DODUMP},
	{"wipeonfork", MADV_WIPEONFORK},
	{"keeponfork", MADV_KEEPONFORK},
	{"cold", MADV_COLD},
	{"pageout", MADV_PAGEOUT},
	{"populate_read", MADV_POPULATE_READ},
	{"populate_write", MADV_POPULATE_WRITE},
	{"dontneed_locked", MADV_DONTNEED_LOCKED},
	{NULL, 0},
};
static const struct word_value mcl_words[] = {
	{"current", MCL_CURRENT},
	{"future", MCL_FUTURE},
	{"onfault", MCL_ONFAULT},
	{"bad", 8},
	{NULL, 0},
};

static bool parse_mmap(struct script *s, struct words *w, struct op *op)
{
	const char *word = next_word(w);
	u64 type = MAP_PRIVATE, value;
	bool fixed = true;
	char *p;

	if (!strcmp(word, "auto")) {
		fixed = false;
		op->a[1] = strtoull(next_word(w), NULL, 0) * s->unit_bytes;
	} else if (!range(s, word, &op->a[0], &op->a[1])) {
		return false;
	}
	if (!prot_of(next_word(w), &op->a[2]))
		return false;
	op->a[3] = MAP_ANONYMOUS;
	while (*(word = next_word(w))) {
		if (!strncmp(word, "file", 4)) {
			op->file = (int)strtoul(word + 4, &p, 10);
			op->a[4] = *p == '@' ? strtoull(p + 1, &p, 0) * ORACLE_PAGE : 0;
			if (*p == '+')
				op->a[4] += strtoull(p + 1, NULL, 0);
			op->a[3] &= ~(u64)MAP_ANONYMOUS;
		} else if (!strcmp(word, "shared")) {
			type = MAP_SHARED;
		} else if (!strcmp(word, "notype")) {
			type = 0;
		} else if (!strcmp(word, "hint")) {
			fixed = false;
		} else if (word_value(map_words, word, &value)) {
			fixed &= value != MAP_FIXED_NOREPLACE;
			if (value == MAP_SHARED_VALIDATE)
				type = 0;
			op->a[3] |= value;
		} else {
			return false;
		}
	}
	op->a[3] |= type | (fixed ? MAP_FIXED : 0);
	return true;
}

static bool parse_mremap(struct script *s, struct words *w, struct op *op)
{
	const char *word;
	char *p;

	if (!range(s, next_word(w), &op->a[0], &op->a[1]))
		return false;
	word = next_word(w);
	op->a[2] = !strncmp(word, "0x", 2) ? strtoull(word, NULL, 16)
					   : strtoull(word, NULL, 10) * s->unit_bytes;
	while (*(word = next_word(w))) {
		if (!strcmp(word, "to") || !strcmp(word, "at")) {
			if (*word == 't')
				op->a[3] |= MREMAP_MAYMOVE | MREMAP_FIXED;
			op->a[4] = place(s, next_word(w), &p);
		} else if (!strcmp(word, "maymove")) {
			op->a[3] |= MREMAP_MAYMOVE;
		} else if (!strcmp(word, "dontunmap")) {
			op->a[3] |= MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
		} else if (!strncmp(word, "flags=", 6)) {
			op->a[3] = strtoull(word + 6, NULL, 0);
		} else {
			return false;
		}
	}
	return true;
}

static bool parse_arguments(struct script *s, struct words *w, struct op *op)
{
	const char *word;
	u64 value;
	char *p;

	switch (op->kind) {
	case OP_MMAP:
		return parse_mmap(s, w, op);
	case OP_MREMAP:
		return parse_mremap(s, w, op);
	case OP_MLOCKALL:
		while (*(word = next_word(w))) {
			if (!word_value(mcl_words, word, &value))
				return false;
			op->a[0] |= value;
		}
		return true;
	case OP_BRK:
	case OP_READ:
	case OP_WRITE:
		op->a[0] = place(s, next_word(w), &p);
		word = next_word(w);
		op->a[1] = *word ? strtoull(word, NULL, 0) : 1;
		return true;
	case OP_FORK:
		op->child = s->next_slot++;
		return true;
	case OP_EXIT:
	case OP_MUNLOCKALL:
		return true;
	default:
		break;
	}
	if (!range(s, next_word(w), &op->a[0], &op->a[1]))
		return false;
	if (op->kind == OP_MADVISE) {
		word = next_word(w);
		op->a[2] = strtoull(word, NULL, 0);
		return word_value(advice_words, word, &op->a[2]) || op->a[2];
	}
	if (op->kind == OP_MPROTECT) {
		if (!prot_of(next_word(w), &op->a[2]))
			return false;
		if (!strcmp(next_word(w), "growsdown"))
			op->a[2] |= PROT_GROWSDOWN;
	}
	return true;
}

/* ---- running --------------------------------------------------------------------- */

static bool as_expected(struct script *s, const struct op *op, const struct result *res,
			const char *want)
{
	static const struct word_value touches[] = {
		{"maperr", (u64)TOUCH_MAPERR},
		{"accerr", (u64)TOUCH_ACCERR},
		{"sigbus", (u64)TOUCH_SIGBUS},
		{NULL, 0},
	};
	u64 value;
	char *p;

	if (!*want)
		return res->ret >= 0;
	if (*want == 'E')
		return res->ret < 0 && res->ret > -1000 &&
		       !strcmp(strerrorname_np((int)-res->ret), want);
	if (word_value(touches, want, &value))
		return res->ret == (s64)value;
	if (op->kind == OP_READ)
		return res->ret == 0 && res->value == strtoull(want, NULL, 0);
	return res->ret == (s64)place(s, want, &p);
}

static bool run_call(struct script *s, const char *line, struct words *w, enum op_kind kind)
{
	struct op op = {.kind = kind, .proc = s->proc, .file = -1};
	const char *want = "";
	struct result res;

	if (w->count >= 3 && !strcmp(w->word[w->count - 2], "=")) {
		want = w->word[w->count - 1];
		w->count -= 2;
	}
	if (!parse_arguments(s, w, &op))
		return complain(s, line, "not understood");
	if (!s->world->ops->run(s->world, &op, &res))
		return complain(s, line, s->world->broken ? "the world broke" : "no such process");
	if (as_expected(s, &op, &res, want))
		return true;
	fprintf(s->out, "step \"%s\": in the %s ", line, s->world->ops->name);
	op_print(&op, s->out);
	fprintf(s->out, " = ");
	result_print(&op, &res, s->out);
	fputc('\n', s->out);
	return false;
}

static bool set_window(struct script *s, const char *line, struct words *w)
{
	const char *kind = next_word(w);
	u64 pages = strtoull(next_word(w), NULL, 0);

	if (!strcmp(kind, "arena")) {
		s->base = ARENA_BASE;
	} else if (!strcmp(kind, "heap")) {
		s->base = s->image->start_brk;
	} else if (!strcmp(kind, "top")) {
		s->base = s->image->mmap_base - (8 + pages) * ORACLE_PAGE;
	} else if (!strcmp(kind, "stack")) {
		for (u32 i = 0; i < s->image->layout.count; i++)
			if (!strcmp(s->image->layout.vmas[i].name, "[stack]"))
				s->base = s->image->layout.vmas[i].start - pages * ORACLE_PAGE;
	} else {
		return complain(s, line, "no such window");
	}
	return true;
}

static bool run_line(struct script *s, const char *line)
{
	struct words w;
	const char *word;

	if (line[0] == '|')
		return expect_line(s, line);
	split(&w, line);
	word = next_word(&w);
	if (!strcmp(word, "window"))
		return set_window(s, line, &w);
	if (!strcmp(word, "unit")) {
		s->unit_bytes = strtoull(next_word(&w), NULL, 0) * ORACLE_PAGE;
		return true;
	}
	if (!strcmp(word, "in")) {
		s->proc = (u8)strtoul(next_word(&w), NULL, 10);
		return true;
	}
	for (u32 i = 0; i < OP_KIND_COUNT; i++)
		if (!strcmp(word, op_name((enum op_kind)i)))
			return run_call(s, line, &w, (enum op_kind)i);
	return complain(s, line, "no such call");
}

bool script_run(struct world *w, const struct image *image, const char *const *lines, FILE *out)
{
	struct script s = {.world = w,
			   .image = image,
			   .out = out,
			   .base = ARENA_BASE,
			   .unit_bytes = ORACLE_PAGE,
			   .next_slot = 1};
	bool ok = true;

	for (; ok && *lines; lines++)
		ok = run_line(&s, *lines);
	w->ops->check(w);
	layout_free(&s.layout);
	return ok;
}
