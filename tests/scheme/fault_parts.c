/*
 * tests/scheme/fault_parts.c - conformance: faults beside changes of the mapping they are in
 *
 * munmap       nothing is mapped in a hole, and a touch of it is SEGV_MAPERR.
 * mprotect     no write lands, and no writable entry stays, once memory is read-only.
 * lost_writes  a page keeps its content while VMAs around it split, merge and go.
 * dontneed     DONTNEED beside faults and mprotect: a page is what was written last, or zero.
 */
#include "tests/scheme/conformance.h"

/* ---- faults against munmap: nothing is mapped where nothing is ------------------------------- */

#define HOLE_PAGES 16

static void touch_and_expect_maperr(struct world *w)
{
	for (u64 n = 0; time_left(w); n++) {
		u64 va = REGION + n % HOLE_PAGES * PAGE, value;
		enum fault_result r = n & 16 ? user_write(va, n) : user_read(va, &value);

		if (r != FAULT_OK && r != FAULT_SIGSEGV_MAPERR)
			VIOLATION("a touch of a mapping that comes and goes gave %d", (int)r);
	}
}

static void munmap_race(struct world *w, u32 task)
{
	mmu_switch(w->mm);
	if (task) {
		touch_and_expect_maperr(w);
		mmu_switch(NULL);
		return;
	}
	while (time_left(w)) {
		map_at(w, REGION, HOLE_PAGES * PAGE, RW);
		engine_delay_ns(3000);
		MUST(mm_munmap(w->mm, REGION, HOLE_PAGES * PAGE) == 0);
		for (u32 i = 0; i < 4 * HOLE_PAGES; i++)
			if (mmu_probe(w->mm, REGION + i % HOLE_PAGES * PAGE, ACCESS_READ))
				VIOLATION("a page is mapped in a hole");
	}
	mmu_switch(NULL);
}

/* ---- faults against mprotect: no write lands after it has returned --------------------------- */

static void touch_and_expect_accerr(struct world *w)
{
	for (u64 n = 1; time_left(w); n++) {
		enum fault_result r = user_write(REGION + n % 4 * PAGE, n);

		if (r != FAULT_OK && r != FAULT_SIGSEGV_ACCERR)
			VIOLATION("a write to a mapping that is sometimes read-only gave %d",
				  (int)r);
	}
}

static void mprotect_race(struct world *w, u32 task)
{
	u64 before[4], after;

	mmu_switch(w->mm);
	if (task == 0)
		map_at(w, REGION, 8 * PAGE, RW);
	if (task == 0)
		set_phase(w, 1);
	wait_phase(w, 1);
	if (task) {
		touch_and_expect_accerr(w);
		mmu_switch(NULL);
		return;
	}
	while (time_left(w)) {
		MUST(mm_madvise(w->mm, REGION, 4 * PAGE, MADV_DONTNEED) == 0);
		MUST(mm_mprotect(w->mm, REGION, 4 * PAGE, PROT_READ) == 0);
		for (u32 i = 0; i < 4; i++)
			MUST(user_read(REGION + i * PAGE, &before[i]) == FAULT_OK);
		engine_delay_ns(2000);
		for (u32 i = 0; i < 4; i++) {
			MUST(user_read(REGION + i * PAGE, &after) == FAULT_OK);
			if (after != before[i])
				VIOLATION("a write landed in read-only memory");
			if (mmu_probe(w->mm, REGION + i * PAGE, ACCESS_WRITE))
				VIOLATION("read-only memory has a writable entry");
		}
		MUST(mm_mprotect(w->mm, REGION, 4 * PAGE, RW) == 0);
	}
	mmu_switch(NULL);
}

/* ---- no write is lost while VMAs split, merge and move around it ----------------------------- */

/* Pages 0, 4, 8: one per writer. Task 0 changes the pages between them. */
static void churn(struct world *w)
{
	for (u64 n = 0; time_left(w); n++) {
		u64 gap = REGION + (1 + n % 3 * 4) * PAGE;

		switch (n / 3 % 4) {
		case 0:
			MUST(mm_mprotect(w->mm, gap, 2 * PAGE, PROT_READ) == 0);
			break;
		case 1:
			MUST(mm_mprotect(w->mm, gap, 2 * PAGE, RW) == 0);
			break;
		case 2:
			MUST(mm_munmap(w->mm, gap, 2 * PAGE) == 0);
			break;
		default:
			map_at(w, gap, 2 * PAGE, RW);
		}
	}
}

static void lost_writes(struct world *w, u32 task)
{
	u64 va = REGION + (task - 1ull) * 4 * PAGE, value;

	mmu_switch(w->mm);
	if (task == 0) {
		map_at(w, REGION, 16 * PAGE, RW);
		set_phase(w, 1);
		churn(w);
		mmu_switch(NULL);
		return;
	}
	wait_phase(w, 1);
	for (u64 n = 1; time_left(w); n++) {
		MUST(user_write(va, n) == FAULT_OK);
		MUST(user_write(va + 8, n) == FAULT_OK);
		MUST(user_read(va, &value) == FAULT_OK);
		if (value != n)
			VIOLATION("task %u wrote %llu and read %llu", task, (unsigned long long)n,
				  (unsigned long long)value);
		if (n % 16 == 0) {
			MUST(mm_madvise(w->mm, va, PAGE, MADV_DONTNEED) == 0);
			MUST(user_read(va, &value) == FAULT_OK && value == 0);
		}
	}
	mmu_switch(NULL);
}

/* ---- DONTNEED beside faults and mprotect ------------------------------------------------------ */

#define DROP_PAGES 4

static void drop_and_protect(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task);

	while (time_left(w)) {
		u64 first = draw(&random) % DROP_PAGES, n = 1 + draw(&random) % (DROP_PAGES - first);
		u64 va = REGION + first * PAGE;

		if (task == 0)
			MUST(mm_madvise(w->mm, va, n * PAGE, MADV_DONTNEED) == 0);
		else
			MUST(mm_mprotect(w->mm, va, n * PAGE, draw(&random) % 2 ? RW : PROT_READ) == 0);
	}
}

/* Its page is written by this task alone: dropped, it is zero, and stays so until the next write. */
static void dropped_writer(struct world *w, u32 task)
{
	u64 va = REGION + task * PAGE, last = 0, value;

	for (u64 n = 1; time_left(w); n++) {
		enum fault_result r = n % 4 ? FAULT_OK : user_write(va, n);

		if (r != FAULT_OK && r != FAULT_SIGSEGV_ACCERR)
			VIOLATION("a write beside mprotect and DONTNEED gave %d", (int)r);
		if (n % 4 == 0 && r == FAULT_OK)
			last = n;
		MUST(user_read(va, &value) == FAULT_OK);
		if (value && value != last)
			VIOLATION("wrote %llu last and read %llu", (unsigned long long)last,
				  (unsigned long long)value);
		last = value;
	}
}

static void dontneed(struct world *w, u32 task)
{
	mmu_switch(w->mm);
	if (task < 2)
		drop_and_protect(w, task);
	else
		dropped_writer(w, task);
	mmu_switch(NULL);
}

static void dontneed_begin(struct world *w)
{
	map_at(w, REGION, DROP_PAGES * PAGE, RW);
}

const struct part fault_parts[] = {
	{ "munmap", NULL, munmap_race, NULL, TASKS, true, 0 },
	{ "mprotect", NULL, mprotect_race, NULL, TASKS, true, 0 },
	{ "lost_writes", NULL, lost_writes, NULL, TASKS, false, 0 },
	{ "dontneed", dontneed_begin, dontneed, NULL, TASKS, false, 0 },
	{ .name = NULL },
};
