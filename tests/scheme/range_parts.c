/*
 * tests/scheme/range_parts.c - conformance: what LK_CAP_RANGES claims
 *
 * disjoint       two writers of disjoint ranges hold at once; of overlapping ones, never.
 * disjoint_work  while one VMA is write-locked, faults and calls elsewhere (a fault, mprotect, munmap,
 *                mmap, DONTNEED, mlock) run to their end; a fault in that VMA waits.
 */
#include "tests/scheme/conformance.h"

#define HERE REGION
#define THERE (REGION + 64 * PAGE)

static void disjoint(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	if (task == 0) {
		mmap_write_lock(charged_mm(w), h, HERE, HERE + 8 * PAGE);
		set_phase(w, 1);
		wait_phase(w, 2); /* the other one holds, too */
		mmap_write_unlock(h);
		set_phase(w, 3);
		return;
	}
	wait_phase(w, 1);
	MUST(!mmap_write_trylock(charged_mm(w), h, HERE + 7 * PAGE, HERE + 9 * PAGE));
	MUST(!mmap_read_trylock(charged_mm(w), h, HERE, HERE + PAGE));
	MUST(!mmap_read_trylock(charged_mm(w), h, MM_RANGE_ALL));
	mmap_write_lock(charged_mm(w), h, HERE + 8 * PAGE, HERE + 9 * PAGE); /* touches, no more */
	set_phase(w, 2);
	wait_phase(w, 3);
	mmap_write_unlock(h);
}

static void work_elsewhere(struct world *w)
{
	u64 value;
	s64 va;

	MUST(user_write(THERE, 5) == FAULT_OK);
	MUST(mm_mprotect(w->mm, THERE + PAGE, PAGE, PROT_READ) == 0);
	MUST(user_read(THERE + PAGE, &value) == FAULT_OK && value == 0);
	MUST(mm_mprotect(w->mm, THERE + PAGE, PAGE, RW) == 0);
	MUST(mm_madvise(w->mm, THERE, PAGE, MADV_DONTNEED) == 0);
	MUST(user_read(THERE, &value) == FAULT_OK && value == 0);
	MUST(mm_mlock(w->mm, THERE, PAGE, false) == 0);
	MUST(mm_munlock(w->mm, THERE, PAGE) == 0);
	MUST(mm_munmap(w->mm, THERE + 2 * PAGE, PAGE) == 0);
	va = mm_mmap(w->mm, 0, 4 * PAGE, RW, ANON, NULL, 0);
	MUST(va > 0 && user_write((u64)va, 6) == FAULT_OK);
	MUST(mm_munmap(w->mm, (u64)va, 4 * PAGE) == 0);
}

static void disjoint_work(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	mmu_switch(w->mm);
	if (task == 0) {
		MUST(mmap_write_lock_vmas_killable(charged_mm(w), h, HERE + PAGE, HERE + 2 * PAGE) == 0);
		set_phase(w, 1);
		wait_phase(w, 2);
		let_others_run(1000000);
		MUST(READ_ONCE(w->writes) == 0); /* the fault in this VMA waits */
		mmap_write_unlock(h);
	} else if (task == 1) {
		wait_phase(w, 1);
		work_elsewhere(w);
		set_phase(w, 2);
	} else {
		wait_phase(w, 1);
		MUST(user_write(HERE + 5 * PAGE, 7) == FAULT_OK);
		(void)fetch_add(&w->writes, 1);
	}
	mmu_switch(NULL);
}

static void disjoint_begin(struct world *w)
{
	map_at(w, HERE, 8 * PAGE, RW);
	map_at(w, THERE, 8 * PAGE, RW);
}

const struct part range_parts[] = {
	{ "disjoint", NULL, disjoint, NULL, 2, false, LK_CAP_RANGES },
	{ "disjoint_work", disjoint_begin, disjoint_work, NULL, 3, false, LK_CAP_RANGES },
	{ .name = NULL },
};
