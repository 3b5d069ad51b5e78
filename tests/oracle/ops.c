/*
 * tests/oracle/ops.c - calls and results as text; the image that is used where there is no live one
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

struct bit_name {
	u64 bit;
	const char *name;
};

static const struct bit_name prot_names[] = {
	{PROT_READ, "PROT_READ"},           {PROT_WRITE, "PROT_WRITE"}, {PROT_EXEC, "PROT_EXEC"},
	{PROT_GROWSDOWN, "PROT_GROWSDOWN"}, {0, "PROT_NONE"},
};
static const struct bit_name map_names[] = {
	{MAP_SHARED, "MAP_SHARED"},
	{MAP_PRIVATE, "MAP_PRIVATE"},
	{MAP_FIXED, "MAP_FIXED"},
	{MAP_ANONYMOUS, "MAP_ANONYMOUS"},
	{MAP_GROWSDOWN, "MAP_GROWSDOWN"},
	{MAP_LOCKED, "MAP_LOCKED"},
	{MAP_NORESERVE, "MAP_NORESERVE"},
	{MAP_POPULATE, "MAP_POPULATE"},
	{MAP_STACK, "MAP_STACK"},
	{MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"},
	{0, "0"},
};
static const struct bit_name mremap_names[] = {
	{MREMAP_MAYMOVE, "MREMAP_MAYMOVE"},
	{MREMAP_FIXED, "MREMAP_FIXED"},
	{MREMAP_DONTUNMAP, "MREMAP_DONTUNMAP"},
	{0, "0"},
};
static const struct bit_name mcl_names[] = {
	{MCL_CURRENT, "MCL_CURRENT"},
	{MCL_FUTURE, "MCL_FUTURE"},
	{MCL_ONFAULT, "MCL_ONFAULT"},
	{0, "0"},
};

static void bits_print(u64 bits, const struct bit_name *names, FILE *out)
{
	const char *bar = "";

	for (; names->bit; names++)
		if (bits & names->bit) {
			fprintf(out, "%s%s", bar, names->name);
			bits &= ~names->bit;
			bar = "|";
		}
	if (bits)
		fprintf(out, "%s0x%" PRIx64, bar, bits);
	else if (!*bar)
		fputs(names->name, out);
}

static const struct bit_name advice_names[] = {
	{MADV_NORMAL, "MADV_NORMAL"},
	{MADV_RANDOM, "MADV_RANDOM"},
	{MADV_SEQUENTIAL, "MADV_SEQUENTIAL"},
	{MADV_WILLNEED, "MADV_WILLNEED"},
	{MADV_DONTNEED, "MADV_DONTNEED"},
	{MADV_FREE, "MADV_FREE"},
	{MADV_DONTFORK, "MADV_DONTFORK"},
	{MADV_DOFORK, "MADV_DOFORK"},
	{MADV_HUGEPAGE, "MADV_HUGEPAGE"},
	{MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE"},
	{MADV_DONTDUMP, "MADV_DONTDUMP"},
	{MADV_DODUMP, "MADV_DODUMP"},
	{MADV_WIPEONFORK, "MADV_WIPEONFORK"},
	{MADV_KEEPONFORK, "MADV_KEEPONFORK"},
	{MADV_COLD, "MADV_COLD"},
	{MADV_PAGEOUT, "MADV_PAGEOUT"},
	{MADV_POPULATE_READ, "MADV_POPULATE_READ"},
	{MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE"},
	{MADV_DONTNEED_LOCKED, "MADV_DONTNEED_LOCKED"},
	{MADV_REMOVE, "MADV_REMOVE"},
	{MADV_MERGEABLE, "MADV_MERGEABLE"},
	{MADV_UNMERGEABLE, "MADV_UNMERGEABLE"},
};

static void advice_print(u64 advice, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(advice_names); i++)
		if (advice_names[i].bit == advice) {
			fputs(advice_names[i].name, out);
			return;
		}
	fprintf(out, "%" PRIu64, advice);
}

static const char *const call_names[OP_KIND_COUNT] = {
	"mmap",     "munmap",     "mprotect", "madvise", "mremap", "mlock", "mlock2", "munlock",
	"mlockall", "munlockall", "brk",      "read",    "write",  "fork",  "exit",
};

const char *op_name(enum op_kind kind)
{
	return call_names[kind];
}

void op_print(const struct op *op, FILE *out)
{
	const u64 *a = op->a;

	fprintf(out, "[%u] %s(", op->proc, call_names[op->kind]);
	if (op->kind == OP_FORK)
		fprintf(out, ") as [%u", op->child);
	else if (op->kind < OP_MLOCKALL || op->kind == OP_BRK || op->kind == OP_READ ||
		 op->kind == OP_WRITE)
		fprintf(out, "0x%" PRIx64, a[0]);
	if (op->kind < OP_MLOCKALL)
		fprintf(out, ", 0x%" PRIx64, a[1]);
	switch (op->kind) {
	case OP_MMAP:
		fputs(", ", out);
		bits_print(a[2], prot_names, out);
		fputs(", ", out);
		bits_print(a[3], map_names, out);
		fprintf(out, ", file %d, 0x%" PRIx64, op->file, a[4]);
		break;
	case OP_MPROTECT:
		fputs(", ", out);
		bits_print(a[2], prot_names, out);
		break;
	case OP_MADVISE:
		fputs(", ", out);
		advice_print(a[2], out);
		break;
	case OP_MREMAP:
		fprintf(out, ", 0x%" PRIx64 ", ", a[2]);
		bits_print(a[3], mremap_names, out);
		fprintf(out, ", 0x%" PRIx64, a[4]);
		break;
	case OP_MLOCKALL:
		bits_print(a[0], mcl_names, out);
		break;
	case OP_WRITE:
		fprintf(out, ", 0x%" PRIx64, a[1]);
		break;
	default:
		break;
	}
	fputs(op->kind == OP_FORK ? "]" : ")", out);
}

void result_print(const struct op *op, const struct result *res, FILE *out)
{
	switch (res->ret) {
	case TOUCH_MAPERR:
		fputs("SIGSEGV (MAPERR)", out);
		return;
	case TOUCH_ACCERR:
		fputs("SIGSEGV (ACCERR)", out);
		return;
	case TOUCH_SIGBUS:
		fputs("SIGBUS", out);
		return;
	case TOUCH_OTHER:
		fputs("another signal", out);
		return;
	default:
		break;
	}
	if (res->ret < 0 && res->ret > -1000 && strerrorname_np((int)-res->ret))
		fprintf(out, "-%s", strerrorname_np((int)-res->ret));
	else
		fprintf(out, "0x%" PRIx64, (u64)res->ret);
	if (op->kind == OP_READ)
		fprintf(out, " (value 0x%" PRIx64 ")", res->value);
}

void world_settle(struct world *w, const struct image *image)
{
	struct result res;

	for (u32 i = 0; i < image->layout.count; i++) {
		const struct lvma *v = &image->layout.vmas[i];
		struct op op = {.kind = OP_WRITE};

		if (strcmp(v->name, "[stack]"))
			continue;
		for (op.a[0] = v->start; op.a[0] < v->end; op.a[0] += ORACLE_PAGE)
			w->ops->run(w, &op, &res);
	}
}

/* ---- the image of a live process, as it was on one 6.18.44 machine --------------- */

#define MEXT "mr mw me"
static const char default_smaps[] =
	"00400000-00401000 r-xp 00000000 fe:00 1001 /oracle_child\n"
	"VmFlags: rd ex " MEXT "\n"
	"00402000-00423000 rw-p 00000000 00:00 0\n"
	"Anonymous: 132 kB\n"
	"VmFlags: rd wr " MEXT " ac\n"
	"10000000-10001000 rw-s 00000000 00:01 1002 /memfd:oracle-control (deleted)\n"
	"VmFlags: rd wr sh " MEXT " ms\n"
	"7ffff7ff7000-7ffff7ffb000 r--p 00000000 00:00 0 [vvar]\n"
	"VmFlags: rd mr pf io de dd\n"
	"7ffff7ffb000-7ffff7ffd000 r--p 00000000 00:00 0 [vvar_vclock]\n"
	"VmFlags: rd mr pf io de dd\n"
	"7ffff7ffd000-7ffff7fff000 r-xp 00000000 00:00 0 [vdso]\n"
	"VmFlags: rd ex mr mw me de\n"
	"7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]\n"
	"Anonymous: 132 kB\n"
	"VmFlags: rd wr " MEXT " gd ac\n";

int image_default(struct image *image)
{
	static const struct ofile files[] = {
		{0, true, true}, {0, true, true},  {0, true, false}, {1, true, true},
		{2, true, true}, {2, true, false}, {0, false, true},
	};
	static const struct oinode inodes[] = {
		{OINODE_EXT4, 0xfe, 0, 2000, 3 * ORACLE_HUGE + 5 * ORACLE_PAGE,
		 "/oracle-0 (deleted)"},
		{OINODE_EXT4, 0xfe, 0, 2001, 9 * ORACLE_PAGE + 100, "/oracle-1 (deleted)"},
		{OINODE_MEMFD, 0, 1, 2002, 40 * ORACLE_PAGE, "/memfd:oracle (deleted)"},
	};
	char *text = strdup(default_smaps);
	int err;

	memset(image, 0, sizeof(*image));
	if (!text)
		return -ENOMEM;
	err = layout_parse(&image->layout, text);
	free(text);
	if (err)
		return err;
	image->mmap_base = 0x7ffff7fff000;
	image->start_brk = 0x423000;
	image->start_stack = 0x7fffffffee20;
	image->limits = mm_limits_default;
	image->keep[0].end = image->start_brk;
	image->keep[1].start = 0x10000000;
	image->keep[1].end = 0x10001000;
	image->file_count = ARRAY_SIZE(files);
	memcpy(image->files, files, sizeof(files));
	image->inode_count = ARRAY_SIZE(inodes);
	memcpy(image->inodes, inodes, sizeof(inodes));
	return 0;
}

void image_free(struct image *image)
{
	layout_free(&image->layout);
}
