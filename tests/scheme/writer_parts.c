/*
 * tests/scheme/writer_parts.c - conformance: writers side by side
 *
 * writers  each task owns blocks of pages that touch the blocks of others, on both sides of the border of
 *          a page table; it maps, unmaps, protects, advises, locks, moves and touches its own pages at
 *          random, and knows what each must hold. VMAs merge and split across owners all the time.
 * gaps     mmap() without an address, by all: no two get the same place.
 * tables   each maps, touches and unmaps its page under page tables that all share: a table that is freed
 *          too early is a lost token, one too late an entry in a hole or a leak.
 * heap     brk by one beside mmap by all: the heap's contents stay.
 * Counts   (map_count, total_vm, locked_vm, RSS) are compared with a walk by mm_check() after each part.
 */
#include "tests/scheme/conformance.h"

#define BLOCK_PAGES 4
#define BLOCKS 4 /* of each task */
#define OWN_PAGES (BLOCK_PAGES * BLOCKS)
#define AREA (0x20000000ull - (u64)BLOCK_PAGES * TASKS * BLOCKS / 2 * PAGE)

struct own_page {
	u32 prot;
	bool mapped, locked;
	u64 token;
};

struct owner {
	struct world *w;
	u64 random;
	u32 task;
	struct own_page page[OWN_PAGES];
};

/* Blocks of the tasks by turns. */
static u64 page_va(const struct owner *o, u32 i)
{
	u64 block = (u64)(i / BLOCK_PAGES) * TASKS + o->task;

	return AREA + (block * BLOCK_PAGES + i % BLOCK_PAGES) * PAGE;
}

static void check_own(const struct owner *o, u32 i)
{
	const struct own_page *p = &o->page[i];
	u64 va = page_va(o, i), value;
	enum fault_result r = user_read(va, &value), expected = FAULT_OK;

	if (!p->mapped)
		expected = FAULT_SIGSEGV_MAPERR;
	else if (p->prot == PROT_NONE)
		expected = FAULT_SIGSEGV_ACCERR;
	if (r != expected)
		VIOLATION("task %u read its page %u: %d, not %d", o->task, i, (int)r, (int)expected);
	if (r == FAULT_OK && value != p->token)
		VIOLATION("task %u reads %llu in its page %u, not %llu", o->task,
			  (unsigned long long)value, i, (unsigned long long)p->token);
}

static void write_own(struct owner *o, u32 i)
{
	struct own_page *p = &o->page[i];
	u64 token = draw(&o->random) | 1;
	enum fault_result r = user_write(page_va(o, i), token), expected = FAULT_OK;

	if (!p->mapped)
		expected = FAULT_SIGSEGV_MAPERR;
	else if (p->prot != RW)
		expected = FAULT_SIGSEGV_ACCERR;
	if (r != expected)
		VIOLATION("task %u wrote its page %u: %d, not %d", o->task, i, (int)r, (int)expected);
	if (r == FAULT_OK)
		p->token = token;
}

static void protect_own(struct owner *o, u32 first, u32 n)
{
	static const u32 prots[] = { RW, RW, PROT_READ, PROT_NONE };
	u32 prot = prots[draw(&o->random) % 4];
	int expected = 0, err = mm_mprotect(o->w->mm, page_va(o, first), n * PAGE, prot);

	for (u32 i = first; i < first + n && !expected; i++) {
		if (o->page[i].mapped)
			o->page[i].prot = prot;
		else
			expected = -ENOMEM; /* what came before stays changed */
	}
	if (err != expected)
		VIOLATION("mprotect by task %u: %d, not %d", o->task, err, expected);
}

static void lock_own(struct owner *o, u32 first, u32 n)
{
	bool lock = draw(&o->random) % 2, unpopulated = false;
	u64 va = page_va(o, first);
	int expected = 0;
	int err = lock ? mm_mlock(o->w->mm, va, n * PAGE, false) : mm_munlock(o->w->mm, va, n * PAGE);

	for (u32 i = first; i < first + n && !expected; i++) {
		if (o->page[i].mapped)
			o->page[i].locked = lock;
		else
			expected = -ENOMEM;
		unpopulated |= lock && o->page[i].mapped && o->page[i].prot == PROT_NONE;
	}
	if (unpopulated && err == -ENOMEM) /* locked all the same */
		return;
	if (err != expected)
		VIOLATION("mlock or munlock by task %u: %d, not %d", o->task, err, expected);
}

/* Any failure leaves what it met before it dropped: look again. */
static void drop_own(struct owner *o, u32 first, u32 n)
{
	for (u32 i = first; i < first + n; i++) {
		struct own_page *p = &o->page[i];
		int err = mm_madvise(o->w->mm, page_va(o, i), PAGE, MADV_DONTNEED);
		int expected = !p->mapped ? -ENOMEM : p->locked ? -EINVAL : 0;

		if (err != expected)
			VIOLATION("DONTNEED by task %u: %d, not %d", o->task, err, expected);
		if (!err)
			p->token = 0;
	}
}

/* From one block to another, over whatever is there. */
static void move_own(struct owner *o)
{
	u32 from = (u32)(draw(&o->random) % OWN_PAGES), to = (u32)(draw(&o->random) % OWN_PAGES);
	u64 target = page_va(o, to);
	s64 at;

	if (from == to || !o->page[from].mapped)
		return;
	at = mm_mremap(o->w->mm, page_va(o, from), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	if (at != (s64)target)
		VIOLATION("mremap by task %u: %lld", o->task, (long long)at);
	o->page[to] = o->page[from];
	o->page[from] = (struct own_page){ .mapped = false };
}

static void map_own(struct owner *o, u32 first, u32 n, bool map)
{
	if (map)
		map_at(o->w, page_va(o, first), n * PAGE, RW);
	else
		MUST(mm_munmap(o->w->mm, page_va(o, first), n * PAGE) == 0);
	for (u32 i = first; i < first + n; i++)
		o->page[i] = (struct own_page){ .mapped = map, .prot = RW };
}

static void one_change(struct owner *o)
{
	u32 first = (u32)(draw(&o->random) % OWN_PAGES), left = BLOCK_PAGES - first % BLOCK_PAGES;
	u32 n = 1 + (u32)(draw(&o->random) % left);

	switch (draw(&o->random) % 10) {
	case 0:
	case 1:
		map_own(o, first, n, true);
		break;
	case 2:
		map_own(o, first, n, false);
		break;
	case 3:
	case 4:
		protect_own(o, first, n);
		break;
	case 5:
		lock_own(o, first, n);
		break;
	case 6:
		drop_own(o, first, n);
		break;
	case 7:
		move_own(o);
		break;
	case 8:
		(void)mm_madvise(o->w->mm, page_va(o, first), n * PAGE,
				 draw(&o->random) % 2 ? MADV_DONTDUMP : MADV_DODUMP);
		break;
	default:
		write_own(o, first);
	}
}

static void writers(struct world *w, u32 task)
{
	struct owner o = { .w = w, .random = draw_seed(w, task), .task = task };

	mmu_switch(w->mm);
	while (time_left(w)) {
		u32 i = (u32)(draw(&o.random) % OWN_PAGES);

		one_change(&o);
		write_own(&o, i);
		check_own(&o, i);
	}
	for (u32 i = 0; i < OWN_PAGES; i++)
		check_own(&o, i);
	mmu_switch(NULL);
}

/* ---- the same gap for nobody else ----------------------------------------------------------------- */

#define KEPT 8

static void gaps(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task), value;
	struct { u64 va, len, token; } kept[KEPT] = { 0 };

	mmu_switch(w->mm);
	for (u64 n = 1; time_left(w); n++) {
		u32 i = (u32)(draw(&random) % KEPT);

		if (kept[i].len) {
			MUST(user_read(kept[i].va, &value) == FAULT_OK && value == kept[i].token);
			MUST(user_read(kept[i].va + kept[i].len - 8, &value) == FAULT_OK && !value);
			MUST(mm_munmap(w->mm, kept[i].va, kept[i].len) == 0);
		}
		kept[i].len = (1 + draw(&random) % 8) * PAGE;
		/* Protections by task: at times they merge, at times not. */
		kept[i].va = (u64)mm_mmap(w->mm, 0, kept[i].len, RW | (n & task ? PROT_EXEC : 0), ANON,
					  NULL, 0);
		kept[i].token = draw(&random) | 1;
		MUST((s64)kept[i].va > 0);
		MUST(user_read(kept[i].va, &value) == FAULT_OK && !value);
		MUST(user_write(kept[i].va, kept[i].token) == FAULT_OK);
	}
	mmu_switch(NULL);
}

/* ---- page tables that all share -------------------------------------------------------------------- */

#define TABLE_BYTES (2ull << 20)
#define SPARSE 0x40000000ull

static void tables(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task), value;

	mmu_switch(w->mm);
	for (u64 n = 1; time_left(w); n++) {
		/* In one of two tables, and now and then across the border, without meeting others. */
		u64 at = SPARSE + draw(&random) % 2 * TABLE_BYTES + (1 + task) * 16 * PAGE;
		u64 len = PAGE << draw(&random) % 3;

		if (task == 0 && n % 4 == 0)
			at = SPARSE + TABLE_BYTES - 2 * PAGE, len = 4 * PAGE;
		map_at(w, at, len, RW);
		for (u64 va = at; va < at + len; va += PAGE)
			MUST(user_write(va, n + va) == FAULT_OK);
		for (u64 va = at; va < at + len; va += PAGE)
			MUST(user_read(va, &value) == FAULT_OK && value == n + va);
		MUST(mm_munmap(w->mm, at, len) == 0);
		MUST(user_read(at, &value) == FAULT_SIGSEGV_MAPERR);
	}
	mmu_switch(NULL);
}

/* ---- the heap --------------------------------------------------------------------------------------- */

#define HEAP 0x8000000ull
#define HEAP_PAGES 32

static void heap_begin(struct world *w)
{
	mm_set_brk(w->mm, HEAP);
}

static void heap(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task), pages = 0, value;

	if (task) {
		gaps(w, task);
		return;
	}
	mmu_switch(w->mm);
	while (time_left(w)) {
		u64 next = draw(&random) % HEAP_PAGES;

		MUST(mm_brk(w->mm, HEAP + next * PAGE) == HEAP + next * PAGE);
		for (u64 i = 0; i < next; i++) {
			MUST(user_read(HEAP + i * PAGE, &value) == FAULT_OK);
			if (value != (i < pages ? i + 1 : 0))
				VIOLATION("page %llu of the heap holds %llu", (unsigned long long)i,
					  (unsigned long long)value);
			MUST(user_write(HEAP + i * PAGE, i + 1) == FAULT_OK);
		}
		MUST(user_read(HEAP + next * PAGE, &value) == FAULT_SIGSEGV_MAPERR);
		pages = next;
	}
	mmu_switch(NULL);
}

const struct part writer_parts[] = {
	{ "writers", NULL, writers, NULL, TASKS, false, 0 },
	{ "gaps", NULL, gaps, NULL, TASKS, false, 0 },
	{ "tables", NULL, tables, NULL, TASKS, false, 0 },
	{ "heap", heap_begin, heap, NULL, TASKS, false, 0 },
	{ .name = NULL },
};
