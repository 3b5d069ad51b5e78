/*
 * tests/oracle/fuzz_gen.c - random calls that are worth making
 *
 * Models       The generator looks at the layout of the process: most addresses are boundaries of
 *              VMAs or lie in a small arena just below the vdso, so that neighbours meet all the
 *              time; some are unaligned, absurd, or 2 MiB aligned.
 * Leaves out   Ranges that hold the live process's own code, data and control page (image.keep);
 *              lengths that would really use much memory.
 */
#include <string.h>

#include "fuzz.h"

#define ARENA_PAGES 48
#define HEAP_PAGES 24
#define LEN_MAX (8ull << 20)
#define USER_END 0x7ffffffff000ull

u64 rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545F4914F6CDD1Dull;
}

u64 rng_below(struct rng *r, u64 n)
{
	return (rng_next(r) >> 11) % n;
}

bool rng_percent(struct rng *r, u32 percent)
{
	return rng_below(r, 100) < percent;
}

/* An index into weights[], which ends with 0. */
static u32 pick(struct rng *r, const u32 *weights)
{
	u64 sum = 0, x;
	u32 i;

	for (i = 0; weights[i]; i++)
		sum += weights[i];
	x = rng_below(r, sum);
	for (i = 0; x >= weights[i]; i++)
		x -= weights[i];
	return i;
}

static bool kept(const struct image *image, u64 addr, u64 len)
{
	u64 start = addr & ~(ORACLE_PAGE - 1), end = addr + len;

	if (end < addr || end > ~0ull - ORACLE_PAGE)
		end = ~0ull;
	for (u32 i = 0; i < ARRAY_SIZE(image->keep); i++)
		if (start < image->keep[i].end && image->keep[i].start < end)
			return true;
	return false;
}

/* ---- addresses and lengths ------------------------------------------------------- */

/* A VMA that may be played with, or NULL. */
static const struct lvma *pick_vma(struct rng *r, const struct session *s, u32 proc)
{
	const struct layout *l = &s->layouts[proc];

	for (u32 tries = 0; tries < 8; tries++) {
		const struct lvma *v = &l->vmas[rng_below(r, l->count)];

		if (v->end > s->image.keep[0].end && v->start != s->image.keep[1].start)
			return v;
	}
	return NULL;
}

static u64 arena_top(const struct session *s)
{
	return s->image.mmap_base - 8 * ORACLE_PAGE;
}

static u64 pick_boundary(struct rng *r, const struct session *s, u32 proc)
{
	const struct lvma *v = pick_vma(r, s, proc);
	u64 addr;

	if (!v)
		return arena_top(s) - ORACLE_PAGE;
	addr = rng_percent(r, 60) ? v->start : v->end;
	if (rng_percent(r, 40))
		addr += (rng_below(r, 7) - 3) * ORACLE_PAGE;
	return addr;
}

static u64 pick_stack(struct rng *r, const struct session *s, u32 proc)
{
	const struct layout *l = &s->layouts[proc];

	for (u32 i = 0; i < l->count; i++)
		if (l->vmas[i].perms[3] == 'p' && !strcmp(l->vmas[i].name, "[stack]")) {
			u64 down = rng_percent(r, 70) ? rng_below(r, 6) : 250 + rng_below(r, 12);

			return l->vmas[i].start - down * ORACLE_PAGE;
		}
	return arena_top(s) - ORACLE_PAGE * rng_below(r, 300);
}

static u64 pick_absurd(struct rng *r, const struct session *s)
{
	static const u64 absurd[] = {
		0,          ORACLE_PAGE * 64, USER_END - ORACLE_PAGE, USER_END,
		1ull << 47, 1ull << 63,       ~0ull - 4095,           ~0ull - 8191};

	return absurd[rng_below(r, ARRAY_SIZE(absurd))];
}

static u64 pick_addr(struct rng *r, const struct session *s, u32 proc)
{
	static const u32 weights[] = {42, 34, 8, 6, 4, 2, 1, 0};
	u64 arena = arena_top(s) - ARENA_PAGES * ORACLE_PAGE;

	switch (pick(r, weights)) {
	case 0:
		return pick_boundary(r, s, proc);
	case 1:
		return arena + rng_below(r, ARENA_PAGES) * ORACLE_PAGE;
	case 2:
		return ALIGN_DOWN(arena, ORACLE_HUGE) - rng_below(r, 4) * ORACLE_HUGE +
		       (rng_percent(r, 30) ? (rng_below(r, 5) - 2) * ORACLE_PAGE : 0);
	case 3:
		return s->image.start_brk + rng_below(r, HEAP_PAGES) * ORACLE_PAGE;
	case 4:
		return pick_stack(r, s, proc);
	case 5:
		return pick_boundary(r, s, proc) + 1 + rng_below(r, 4095);
	default:
		return pick_absurd(r, s);
	}
}

static u64 pick_len(struct rng *r, const struct session *s, u32 proc, u64 addr)
{
	static const u32 weights[] = {52, 18, 12, 8, 4, 2, 3, 0};
	const struct layout *l = &s->layouts[proc];
	u64 len = ORACLE_PAGE;

	switch (pick(r, weights)) {
	case 0:
		return (1 + rng_below(r, 6)) * ORACLE_PAGE;
	case 1:
		/* up to the end of a VMA that lies ahead */
		for (u32 i = 0; i < l->count; i++)
			if (l->vmas[i].end > addr && l->vmas[i].end - addr <= LEN_MAX) {
				len = l->vmas[i].end - addr;
				if (rng_percent(r, 60))
					break;
			}
		return len;
	case 2:
		return (1 + rng_below(r, 24)) * ORACLE_PAGE;
	case 3:
		return (1 + rng_below(r, 2)) * ORACLE_HUGE +
		       (rng_percent(r, 25) ? (rng_below(r, 3) - 1) * ORACLE_PAGE : 0);
	case 4:
		return 1 + rng_below(r, 5 * ORACLE_PAGE);
	case 5:
		return 0;
	default: {
		static const u64 absurd[] = {1ull << 47, ~0ull, ~0ull - 4095, 1ull << 40, USER_END};

		return absurd[rng_below(r, ARRAY_SIZE(absurd))];
	}
	}
}

static u32 prot_of(const struct lvma *v)
{
	return (u32)((v->perms[0] == 'r' ? PROT_READ : 0) | (v->perms[1] == 'w' ? PROT_WRITE : 0) |
		     (v->perms[2] == 'x' ? PROT_EXEC : 0));
}

static u32 pick_prot(struct rng *r)
{
	static const u32 prots[] = {PROT_READ | PROT_WRITE,
				    PROT_READ,
				    PROT_NONE,
				    PROT_READ | PROT_EXEC,
				    PROT_READ | PROT_WRITE | PROT_EXEC,
				    PROT_WRITE,
				    PROT_EXEC};
	static const u32 weights[] = {52, 18, 14, 5, 5, 3, 3, 0};

	return prots[pick(r, weights)];
}

/* ---- one call of each kind ------------------------------------------------------- */

/* An offset that continues the file VMA in front of addr, if there is one. */
static u64 pick_offset(struct rng *r, const struct session *s, struct op *op)
{
	const struct layout *l = &s->layouts[op->proc];

	if (rng_percent(r, 65))
		for (u32 i = 0; i < l->count; i++) {
			const struct lvma *v = &l->vmas[i];

			if (v->ino && v->end == op->a[0])
				return v->offset + v->end - v->start;
			if (v->ino && v->start == op->a[0] + op->a[1] && v->offset >= op->a[1])
				return v->offset - op->a[1];
		}
	if (rng_percent(r, 2))
		return rng_percent(r, 50) ? 100 : ~0ull - 4095;
	return rng_percent(r, 70) ? rng_below(r, 12) * ORACLE_PAGE
				  : rng_below(r, 3) * ORACLE_HUGE + rng_below(r, 3) * ORACLE_PAGE;
}

static void gen_mmap_place(struct rng *r, struct op *op)
{
	static const u32 weights[] = {46, 8, 22, 24, 0};

	switch (pick(r, weights)) {
	case 0:
		op->a[3] |= MAP_FIXED;
		break;
	case 1:
		op->a[3] |= MAP_FIXED_NOREPLACE;
		break;
	case 2:
		break; /* a hint */
	default:
		op->a[0] = 0;
	}
	/* Low hints depend on mmap_min_addr and capabilities, which are not modelled. */
	if (op->a[0] < ORACLE_PAGE * 64)
		op->a[0] = op->a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? ORACLE_PAGE * 4096 : 0;
}

static void gen_mmap(struct rng *r, struct session *s, struct op *op)
{
	static const u32 types[] = {56, 8, 20, 12, 2, 2, 0};
	static const struct {
		u32 flag, percent;
	} extras[] = {
		{MAP_NORESERVE, 6}, {MAP_STACK, 6},     {MAP_POPULATE, 6},
		{MAP_LOCKED, 4},    {MAP_GROWSDOWN, 5}, {MAP_NONBLOCK, 2},
	};

	op->a[0] = pick_addr(r, s, op->proc);
	op->a[1] = pick_len(r, s, op->proc, op->a[0]);
	op->a[2] = pick_prot(r);
	gen_mmap_place(r, op);
	switch (pick(r, types)) {
	case 0:
		op->a[3] |= MAP_PRIVATE | MAP_ANONYMOUS;
		break;
	case 1:
		op->a[3] |= MAP_SHARED | MAP_ANONYMOUS;
		break;
	case 2:
		op->a[3] |= MAP_PRIVATE;
		break;
	case 3:
		op->a[3] |= MAP_SHARED;
		break;
	case 4:
		op->a[3] |= MAP_SHARED_VALIDATE;
		break;
	default:
		op->a[3] |= rng_percent(r, 50) ? MAP_ANONYMOUS : 0; /* no type */
	}
	if (!(op->a[3] & MAP_ANONYMOUS)) {
		op->file = (int)rng_below(r, s->image.file_count);
		op->a[4] = pick_offset(r, s, op);
	} else if (rng_percent(r, 5)) {
		op->a[4] = rng_below(r, 5000);
	}
	for (u32 i = 0; i < ARRAY_SIZE(extras); i++)
		if (rng_percent(r, extras[i].percent))
			op->a[3] |= extras[i].flag;
}

static void gen_range(struct rng *r, struct session *s, struct op *op)
{
	op->a[0] = pick_addr(r, s, op->proc);
	op->a[1] = pick_len(r, s, op->proc, op->a[0]);
}

/* Give a VMA (or a part of it) the permissions of a neighbour: they may become one. */
static bool gen_heal(struct rng *r, struct session *s, struct op *op)
{
	const struct layout *l = &s->layouts[op->proc];
	u32 first = (u32)rng_below(r, l->count);

	for (u32 n = 0; n + 1 < l->count; n++) {
		u32 i = (first + n) % (l->count - 1);
		const struct lvma *v = &l->vmas[i], *w = v + 1;
		bool lower = rng_percent(r, 50);

		if (v->end != w->start || v->ino != w->ino || !memcmp(v->perms, w->perms, 4))
			continue;
		op->a[0] = lower ? v->start : w->start;
		op->a[1] = lower ? v->end - v->start : w->end - w->start;
		op->a[2] = (u64)prot_of(lower ? w : v);
		if (rng_percent(r, 25) && op->a[1] > ORACLE_PAGE) {
			u64 part = ORACLE_PAGE * (1 + rng_below(r, op->a[1] / ORACLE_PAGE));

			op->a[0] += lower ? op->a[1] - part : 0;
			op->a[1] = part;
		}
		return true;
	}
	return false;
}

static void gen_mprotect(struct rng *r, struct session *s, struct op *op)
{
	if (rng_percent(r, 35) && gen_heal(r, s, op))
		return;
	gen_range(r, s, op);
	op->a[2] = pick_prot(r);
	if (rng_percent(r, 3))
		op->a[2] |= rng_percent(r, 60) ? PROT_GROWSDOWN : PROT_SEM;
	if (rng_percent(r, 1))
		op->a[2] |= rng_percent(r, 50) ? PROT_GROWSUP | PROT_GROWSDOWN : 0x40;
}

static void gen_madvise(struct rng *r, struct session *s, struct op *op)
{
	static const u32 advices[] = {
		MADV_DONTNEED,
		MADV_FREE,
		MADV_DONTFORK,
		MADV_DOFORK,
		MADV_HUGEPAGE,
		MADV_NOHUGEPAGE,
		MADV_DONTDUMP,
		MADV_DODUMP,
		MADV_WIPEONFORK,
		MADV_KEEPONFORK,
		MADV_SEQUENTIAL,
		MADV_RANDOM,
		MADV_NORMAL,
		MADV_WILLNEED,
		MADV_COLD,
		MADV_POPULATE_READ,
		MADV_POPULATE_WRITE,
		MADV_DONTNEED_LOCKED,
		MADV_PAGEOUT,
		MADV_REMOVE,
		MADV_MERGEABLE,
		MADV_UNMERGEABLE,
		7,
	};
	static const u32 weights[] = {16, 2, 16, 20, 14, 10, 14, 18, 14, 18, 12, 12,
				      18, 4, 4,  8,  8,  4,  2,  8,  4,  6,  2,  0};

	gen_range(r, s, op);
	op->a[2] = advices[pick(r, weights)];
	if (op->a[2] == MADV_FREE && !s->lazy_free)
		op->a[2] = MADV_DONTNEED;
}

static void gen_mremap(struct rng *r, struct session *s, struct op *op)
{
	static const u32 flags[] = {0,
				    MREMAP_MAYMOVE,
				    MREMAP_MAYMOVE | MREMAP_FIXED,
				    MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
				    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
				    MREMAP_FIXED,
				    MREMAP_DONTUNMAP,
				    8};
	static const u32 weights[] = {20, 30, 34, 5, 6, 1, 1, 1, 0};
	const struct lvma *v = pick_vma(r, s, op->proc);

	gen_range(r, s, op);
	if (v && rng_percent(r, 65) && v->end - v->start <= LEN_MAX) {
		op->a[0] = v->start;
		op->a[1] = v->end - v->start;
		if (rng_percent(r, 25))
			op->a[1] = ORACLE_PAGE * (1 + rng_below(r, op->a[1] / ORACLE_PAGE));
	}
	op->a[2] = op->a[1];
	if (rng_percent(r, 55))
		op->a[2] = rng_percent(r, 20) ? pick_len(r, s, op->proc, op->a[0])
					      : op->a[1] + (rng_below(r, 9) - 4) * ORACLE_PAGE;
	op->a[3] = flags[pick(r, weights)];
	if (op->a[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP) || rng_percent(r, 5))
		op->a[4] = pick_addr(r, s, op->proc);
	if (rng_percent(r, 2))
		op->a[1] = 0; /* a second mapping of shared pages */
}

static void gen_brk(struct rng *r, struct session *s, struct op *op)
{
	op->a[0] = s->image.start_brk + rng_below(r, HEAP_PAGES) * ORACLE_PAGE;
	if (rng_percent(r, 20))
		op->a[0] += rng_below(r, 4096);
	if (rng_percent(r, 4))
		op->a[0] = pick_addr(r, s, op->proc);
}

/* Only pages whose content both worlds know; the word at the page's start. */
static void gen_touch(struct rng *r, struct session *s, struct op *op)
{
	op->a[0] = ALIGN_DOWN(pick_addr(r, s, op->proc), ORACLE_PAGE);
	if (op->a[0] >= USER_END)
		op->a[0] = arena_top(s) - ORACLE_PAGE;
	op->a[1] = rng_next(r) | 1;
}

static bool gen_lifecycle(struct rng *r, struct session *s, struct op *op)
{
	u32 living = 0;

	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		living += s->a->ops->alive(s->a, i);
	if (op->kind == OP_EXIT)
		return living > 1;
	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		if (!s->a->ops->alive(s->a, i)) {
			op->child = (u8)i;
			return true;
		}
	return false;
}

/* Would the call harm what the live process needs, or touch what nobody can compare? */
static bool forbidden(const struct session *s, const struct op *op)
{
	const struct layout *l = &s->layouts[op->proc];
	int i;

	switch (op->kind) {
	case OP_MMAP:
		return op->a[3] & MAP_FIXED && kept(&s->image, op->a[0], op->a[1]);
	case OP_MUNMAP:
	case OP_MPROTECT:
	case OP_MADVISE:
		return kept(&s->image, op->a[0], op->a[1]);
	case OP_MREMAP:
		return kept(&s->image, op->a[0], max(op->a[1], op->a[2])) ||
		       (op->a[3] & MREMAP_FIXED && kept(&s->image, op->a[4], op->a[2]));
	case OP_READ:
	case OP_WRITE:
		i = layout_find(l, op->a[0]);
		return kept(&s->image, op->a[0], ORACLE_PAGE) ||
		       (i >= 0 && l->vmas[i].flags & (VM_PFNMAP | VM_DONTEXPAND));
	default:
		return false;
	}
}

/* Too many VMAs or too much memory: unmap a whole VMA, or a large part of the arena. */
static bool gen_relief(struct rng *r, struct session *s, struct op *op)
{
	const struct layout *l = &s->layouts[op->proc];
	u64 bytes = 0;
	u32 largest = 0;

	for (u32 i = 0; i < l->count; i++) {
		bytes += l->vmas[i].end - l->vmas[i].start;
		if (l->vmas[i].end - l->vmas[i].start >
		    l->vmas[largest].end - l->vmas[largest].start)
			largest = i;
	}
	op->kind = OP_MUNMAP;
	if (bytes > 48ull << 20) {
		op->a[0] = l->vmas[largest].start;
		op->a[1] = l->vmas[largest].end - op->a[0];
		return !forbidden(s, op);
	}
	if (l->count > 70 || rng_below(r, 1200) == 0) {
		op->a[0] = arena_top(s) - rng_below(r, ARENA_PAGES * 2) * ORACLE_PAGE;
		op->a[1] = 16 * ORACLE_PAGE;
		return true;
	}
	return false;
}

static u8 pick_proc(struct rng *r, const struct session *s)
{
	for (;;) {
		u32 i = (u32)rng_below(r, ORACLE_PROCS_MAX);

		if (s->a->ops->alive(s->a, i))
			return (u8)i;
	}
}

static bool gen_kind(struct rng *r, struct session *s, struct op *op)
{
	switch (op->kind) {
	case OP_MMAP:
		gen_mmap(r, s, op);
		break;
	case OP_MPROTECT:
		gen_mprotect(r, s, op);
		break;
	case OP_MADVISE:
		gen_madvise(r, s, op);
		break;
	case OP_MREMAP:
		gen_mremap(r, s, op);
		break;
	case OP_MLOCKALL:
		op->a[0] = rng_below(r, 9);
		break;
	case OP_BRK:
		gen_brk(r, s, op);
		break;
	case OP_READ:
	case OP_WRITE:
		gen_touch(r, s, op);
		break;
	case OP_FORK:
	case OP_EXIT:
		return gen_lifecycle(r, s, op);
	case OP_MUNLOCKALL:
		break;
	default:
		gen_range(r, s, op);
	}
	return !forbidden(s, op);
}

void gen_op(struct rng *r, struct session *s, struct op *op)
{
	/* In the order of enum op_kind; every third round has many short-lived processes. */
	static const u32 calm[] = {210, 80, 150, 140, 120, 20, 15, 25,
				   5,   12, 40,  60,  130, 12, 12, 0};
	static const u32 busy[] = {150, 60, 180, 100, 120, 10, 10, 15,
				   2,   8,  40,  30,  150, 60, 55, 0};
	const u32 *weights = s->busy ? busy : calm;

	for (;;) {
		memset(op, 0, sizeof(*op));
		op->file = -1;
		op->proc = pick_proc(r, s);
		if (gen_relief(r, s, op))
			return;
		memset(op->a, 0, sizeof(op->a));
		op->kind = (enum op_kind)pick(r, weights);
		if (gen_kind(r, s, op))
			return;
	}
}

void gen_config(struct rng *r, struct start_config *cfg)
{
	/* Always a limit on the address space: absurd lengths must fail before they use memory. */
	cfg->address_space_bytes = rng_percent(r, 25) ? 24ull << 20 : 512ull << 20;
	if (rng_percent(r, 20))
		cfg->data_bytes = 4ull << 20;
	if (rng_percent(r, 20))
		cfg->stack_bytes = 1ull << 20;
	cfg->drop_ipc_lock = rng_percent(r, 30);
	if (cfg->drop_ipc_lock)
		cfg->memlock_bytes = rng_percent(r, 50) ? 16 * ORACLE_PAGE : 4ull << 20;
}
