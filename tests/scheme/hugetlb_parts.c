/*
 * tests/scheme/hugetlb_parts.c - conformance: faults in a MAP_HUGETLB mapping beside everything that changes it
 *
 * Two tasks write and read words of their own: each finds what it wrote last, or zero where that was dropped.
 * One drops, protects, unmaps and moves leaves; what it has protected stands still. One forks: a child's
 * memory stands still, but for what is taken back from it. There is one page more than the mapping has.
 */
#include "tests/scheme/conformance.h"

#define LEAF (2ull << 20)
#define LEAVES (HUGEPAGES - 1ull)
#define WRITERS 2u
#define HUGE (ANON | MAP_HUGETLB | MAP_FIXED)

static u64 word_va(u32 task, u64 leaf)
{
	return REGION + leaf * LEAF + (task * 301 + 7) * PAGE;
}

static void begin(struct world *w)
{
	MUST(mm_mmap(w->mm, REGION, LEAVES * LEAF, RW, HUGE, NULL, 0) == (s64)REGION);
}

/* Whoever may be in the way: a hole, a protection, a child that has the page. */
static bool accessed(enum fault_result result)
{
	MUST(result == FAULT_OK || result == FAULT_SIGSEGV_ACCERR || result == FAULT_SIGSEGV_MAPERR ||
	     result == FAULT_SIGBUS);
	return result == FAULT_OK;
}

static void write_words(struct world *w, u32 task)
{
	u64 state = w->seed + task + 1, last[LEAVES] = { 0 }, value, written = 0;

	while (time_left(w)) {
		u64 leaf = draw(&state) % LEAVES, va = word_va(task, leaf);

		if (draw(&state) & 1) {
			if (accessed(user_write(va, ++written)))
				last[leaf] = written;
		} else if (accessed(user_read(va, &value))) {
			MUST(!value || value == last[leaf]);
		}
	}
}

static void stands_still(struct world *w, u64 leaf)
{
	u64 before, after;

	if (!accessed(user_read(word_va(0, leaf), &before)))
		return;
	let_others_run(20000);
	MUST(user_write(word_va(0, leaf), 1) == FAULT_SIGSEGV_ACCERR);
	if (accessed(user_read(word_va(0, leaf), &after)))
		MUST(after == before);
}

static void change_leaves(struct world *w)
{
	u64 state = w->seed + 99;

	while (time_left(w)) {
		u64 leaf = draw(&state) % LEAVES, va = REGION + leaf * LEAF, spare = REGION + 2 * LEAVES * LEAF;

		switch (draw(&state) % 4) {
		case 0:
			(void)mm_madvise(w->mm, va, LEAF, MADV_DONTNEED);
			break;
		case 1:
			if (mm_mprotect(w->mm, va, LEAF, PROT_READ) == 0)
				stands_still(w, leaf);
			(void)mm_mprotect(w->mm, va, LEAF, RW);
			break;
		case 2:
			MUST(mm_munmap(w->mm, va, LEAF) == 0);
			MUST(user_read(va, NULL) == FAULT_SIGSEGV_MAPERR);
			/* fall through */
		default:
			if (mm_mremap(w->mm, va, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED, spare) == (s64)spare)
				MUST(mm_munmap(w->mm, spare, LEAF) == 0);
			/* Refused where a child holds the pages; then there is a hole for a while. */
			(void)mm_mmap(w->mm, va, LEAF, RW, HUGE, NULL, 0);
		}
	}
}

static void fork_and_look(struct world *w)
{
	u64 before[LEAVES], after;
	bool had[LEAVES];
	int err;

	while (time_left(w)) {
		struct mm *child = mm_fork(w->mm, &err);

		MUST(child);
		mmu_switch(child);
		for (u32 i = 0; i < LEAVES; i++)
			had[i] = accessed(user_read(word_va(1, i), &before[i]));
		let_others_run(20000);
		for (u32 i = 0; i < LEAVES; i++)
			if (had[i] && accessed(user_read(word_va(1, i), &after)))
				MUST(after == before[i]);
		(void)accessed(user_write(word_va(0, 0), ~0ull));
		mmu_switch(w->mm);
		mm_put(child);
	}
}

static void run(struct world *w, u32 task)
{
	mmu_switch(w->mm);
	if (task < WRITERS)
		write_words(w, task);
	else if (task == WRITERS)
		change_leaves(w);
	else
		fork_and_look(w);
	mmu_switch(NULL);
}

const struct part hugetlb_parts[] = {
	{ "hugetlb", begin, run, NULL, WRITERS + 2, false, 0 },
	{ .name = NULL },
};
