/*
 * tests/scheme/life_parts.c - conformance: fork, exit, files, and stacks that grow, under load
 *
 * fork   a child is a snapshot of its parent, and neither sees the other's later writes.
 * exit   the last user of an address space takes everything with it, faults of others or not.
 * file   a read that waits drops the lock; private copies stay private.
 * stack  a stack that grows beside mmap and munmap below it: mmap keeps its guard gap, and what the
 *        stack holds stays.
 */
#include "tests/scheme/conformance.h"

/* ---- fork under load: a child is a snapshot, and stays one ----------------------------------- */

static void fork_writer(struct world *w, u32 task)
{
	u64 a = REGION + task * 8 * PAGE, b = a + 4 * PAGE, value;

	for (u64 n = 1; time_left(w); n++) {
		MUST(user_write(a, n) == FAULT_OK);
		MUST(user_write(b, n) == FAULT_OK);
		MUST(user_read(a, &value) == FAULT_OK);
		if (value != n)
			VIOLATION("fork lost a write of the parent");
	}
}

static void check_child(struct world *w, struct mm *child)
{
	u64 first[TASKS][2], again;

	mmu_switch(child);
	for (u32 round = 0; round < 2; round++)
		for (u32 t = 1; t < TASKS; t++)
			for (u32 i = 0; i < 2; i++) {
				u64 va = REGION + (t * 8 + i * 4) * PAGE;

				MUST(user_read(va, &again) == FAULT_OK);
				if (round == 0)
					first[t][i] = again;
				else if (first[t][i] != again)
					VIOLATION("a parent's write shows in its child");
			}
	for (u32 t = 1; t < TASKS; t++)
		if (first[t][0] < first[t][1] || first[t][0] > first[t][1] + 1)
			VIOLATION("a child is not a snapshot: %llu before %llu",
				  (unsigned long long)first[t][0], (unsigned long long)first[t][1]);
	mmu_switch(w->mm);
}

static void fork_load(struct world *w, u32 task)
{
	int error;

	mmu_switch(w->mm);
	if (task == 0) {
		map_at(w, REGION, TASKS * 8 * PAGE, RW);
		set_phase(w, 1);
	}
	wait_phase(w, 1);
	if (task)
		fork_writer(w, task);
	while (!task && time_left(w)) {
		struct mm *child = mm_fork(w->mm, &error);

		MUST(child);
		check_child(w, child);
		mm_put(child);
	}
	mmu_switch(NULL);
}

/* ---- exit under load: the last user takes everything with it --------------------------------- */

static void exit_load(struct world *w, u32 task)
{
	int error;

	while (time_left(w)) {
		struct mm *mm = mm_fork(w->mm, &error);
		u64 value;

		MUST(mm);
		mmu_switch(mm);
		for (u32 i = 0; i < 64; i++)
			MUST(user_write(REGION + (i * TASKS + task) * PAGE, i + 1) == FAULT_OK);
		MUST(user_read(REGION + task * PAGE, &value) == FAULT_OK && value == 1);
		mmu_switch(NULL);
		mm_put(mm);
	}
}

static void exit_load_begin(struct world *w)
{
	map_at(w, REGION, 64 * TASKS * PAGE, RW);
	mmu_switch(w->mm);
	for (u32 i = 0; i < 64 * TASKS; i++)
		MUST(user_write(REGION + i * PAGE, 1000 + i) == FAULT_OK);
	mmu_switch(NULL);
}

/* ---- files: slow reads drop the lock; shared writes meet private copies ---------------------- */

#define FILE_PAGES 64

static void file_begin(struct world *w)
{
	struct inode *inode =
		inode_create(w->m, INODE_REGULAR, "/data", 8, 1, 42, FILE_PAGES * PAGE);

	MUST(inode);
	inode->read_latency_ns = 2000;
	w->file = file_open(inode, true, true);
	MUST(w->file);
	inode_put(inode);
}

static void file_load(struct world *w, u32 task)
{
	const struct inode *inode = w->file->inode;
	u64 len = FILE_PAGES * PAGE, value;

	mmu_switch(w->mm);
	for (u64 n = 0; time_left(w); n++) {
		s64 va =
			mm_mmap(w->mm, 0, len, RW, task % 2 ? MAP_SHARED : MAP_PRIVATE, w->file, 0);
		u64 page = n * 7 % FILE_PAGES, at = (u64)va + page * PAGE;

		MUST(va > 0);
		/* Word 1 is never written; word 0 by anybody through the shared mapping. */
		MUST(user_read(at + 8, &value) == FAULT_OK);
		if (value != file_token(inode, page, 1))
			VIOLATION("a file page has the wrong content");
		MUST(user_write(at, n) == FAULT_OK);
		MUST(user_read(at, &value) == FAULT_OK);
		if (task % 2 == 0 && value != n)
			VIOLATION("a private copy changed under its owner");
		MUST(mm_munmap(w->mm, (u64)va, len) == 0);
	}
	mmu_switch(NULL);
}

static void file_end(struct world *w)
{
	file_put(w->file);
}

/* ---- a stack grows while others map and unmap below it ---------------------------------------- */

#define STACK_TOP 0x7ffff0000000ull
#define STACK_PAGES 64ull /* grown at the most */
#define GUARD (STACK_GUARD_GAP_PAGES * PAGE)

static void stack_begin(struct world *w)
{
	MUST(mm_install_stack(w->mm, STACK_TOP - 4 * PAGE, STACK_TOP, STACK_TOP - 64, 0) == 0);
}

/* Down by a few pages, then cut off again: it can grow anew. */
static void stack_grower(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task), value;

	for (u64 n = 1; time_left(w); n++) {
		u64 low = STACK_TOP - (4 + draw(&random) % STACK_PAGES) * PAGE, at = STACK_TOP - PAGE;
		enum fault_result r = FAULT_OK;

		/* Something that lies nearer than the guard gap stops it: that is no violation. */
		for (; at >= low && r == FAULT_OK; at -= 3 * PAGE)
			r = user_write(at, n + at);
		if (r == FAULT_SIGSEGV_MAPERR)
			at += 3 * PAGE;
		else
			MUST(r == FAULT_OK);
		for (at += 3 * PAGE; at < STACK_TOP; at += 3 * PAGE)
			MUST(user_read(at, &value) == FAULT_OK && value == n + at);
		MUST(mm_munmap(w->mm, STACK_TOP - (STACK_PAGES + 8) * PAGE,
			       (STACK_PAGES + 4) * PAGE) == 0);
	}
}

/* As near as it gets; whatever the stack does meanwhile, it leaves this memory alone. */
static void below_stack(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task), value;

	for (u64 n = 1; time_left(w); n++) {
		u64 len = (1 + draw(&random) % 8) * PAGE;
		u64 hint = STACK_TOP - GUARD - (draw(&random) % (STACK_PAGES + 16)) * PAGE - len;
		s64 va = mm_mmap(w->mm, hint, len, RW, ANON, NULL, 0);

		MUST(va > 0);
		MUST(user_write((u64)va, n) == FAULT_OK);
		MUST(user_read((u64)va, &value) == FAULT_OK && value == n);
		MUST(mm_munmap(w->mm, (u64)va, len) == 0);
	}
}

struct gap_check {
	u64 below_end;
};

static void check_gap(const struct vma *vma, void *arg)
{
	struct gap_check *c = arg;

	if ((vma->flags & VM_GROWSDOWN) && c->below_end && vma->start - c->below_end < GUARD)
		VIOLATION("%llu bytes between a stack and what lies below it",
			  (unsigned long long)(vma->start - c->below_end));
	c->below_end = vma->end;
}

static void stack_watcher(struct world *w)
{
	while (time_left(w)) {
		struct gap_check c = { 0 };

		mm_for_each_vma(w->mm, check_gap, &c);
		engine_delay_ns(2000);
	}
}

static void stack_load(struct world *w, u32 task)
{
	mmu_switch(w->mm);
	if (task == 0)
		stack_grower(w, task);
	else if (task == 1)
		stack_watcher(w);
	else
		below_stack(w, task);
	mmu_switch(NULL);
}

const struct part life_parts[] = {
	{ "fork", NULL, fork_load, NULL, TASKS, false, 0 },
	{ "exit", exit_load_begin, exit_load, NULL, TASKS, false, 0 },
	{ "file", file_begin, file_load, file_end, TASKS, false, 0 },
	{ "stack", stack_begin, stack_load, NULL, TASKS, false, 0 },
	{ .name = NULL },
};
