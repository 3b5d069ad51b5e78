/*
 * tests/scheme/lock_parts.c - conformance: the lock itself, and one task alone
 *
 * single     what calls and faults return when nothing runs beside them.
 * exclusion  a writer is alone, readers never see half of its work, and a downgrade leaves no gap.
 * downgrade  a VMA under change can be faulted on from the downgrade on, not before.
 * trylock    never waits: refused beside a writer, granted beside a reader to readers only.
 * killable   who is killed while it waits gets -EINTR and holds nothing.
 */
#include "tests/scheme/conformance.h"

/* ---- single task: the results of calls and faults, with no concurrency ----------------------- */

static void single_vmas(struct world *w)
{
	u64 va = REGION, value = 1;

	map_at(w, va, 8 * PAGE, RW);
	MUST(user_read(va, &value) == FAULT_OK && value == 0);
	MUST(user_write(va, 11) == FAULT_OK);
	MUST(user_write(va + PAGE, 22) == FAULT_OK);
	MUST(user_read(va, &value) == FAULT_OK && value == 11);
	MUST(mm_mprotect(w->mm, va, PAGE, PROT_READ) == 0);
	MUST(user_write(va, 12) == FAULT_SIGSEGV_ACCERR);
	MUST(user_read(va, &value) == FAULT_OK && value == 11);
	MUST(user_access(va, ACCESS_EXEC, NULL) == FAULT_SIGSEGV_ACCERR);
	MUST(mm_mprotect(w->mm, va, PAGE, PROT_NONE) == 0);
	MUST(user_read(va, &value) == FAULT_SIGSEGV_ACCERR);
	MUST(mm_mprotect(w->mm, va, PAGE, RW) == 0);
	MUST(user_write(va, 13) == FAULT_OK);
	MUST(mm_munmap(w->mm, va, PAGE) == 0);
	MUST(user_read(va, &value) == FAULT_SIGSEGV_MAPERR);
	MUST(user_read(va + PAGE, &value) == FAULT_OK && value == 22);
	mm_check(w->mm);
}

static void single_fork(struct world *w)
{
	u64 va = REGION + PAGE, value;
	int error;
	struct mm *child = mm_fork(w->mm, &error);

	MUST(child);
	MUST(user_write(va, 23) == FAULT_OK);
	mmu_switch(child);
	MUST(user_read(va, &value) == FAULT_OK && value == 22);
	MUST(user_write(va, 24) == FAULT_OK);
	mmu_switch(w->mm);
	MUST(user_read(va, &value) == FAULT_OK && value == 23);
	mm_check(child);
	mm_put(child);
}

static void single_stack(struct world *w)
{
	u64 top = 0x7ffff0000000ull;

	MUST(mm_install_stack(w->mm, top - 4 * PAGE, top, top - 64, 0) == 0);
	MUST(user_write(top - 20 * PAGE, 5) == FAULT_OK);
	MUST(machine_counter(w->m, COUNTER_FAULT_STACK_GROWN) == 1);
	MUST(user_write(top - (64ull << 20), 5) == FAULT_SIGSEGV_MAPERR);
	mm_check(w->mm);
}

static void single_modes(struct world *w)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
	mmap_assert_write_locked(h);
	mmap_write_downgrade(h);
	mmap_assert_locked(h);
	mmap_read_unlock(h);
	MUST(mmap_write_trylock(charged_mm(w), h, MM_RANGE_ALL));
	mmap_write_unlock(h);
	MUST(mmap_read_trylock_non_owner(charged_mm(w), h, MM_RANGE_ALL));
	mmap_read_unlock_non_owner(h);
}

static void single(struct world *w, u32 task)
{
	(void)task;
	mmu_switch(w->mm);
	single_vmas(w);
	single_fork(w);
	single_stack(w);
	single_modes(w);
	mmu_switch(NULL);
}

/* ---- exclusion: writers alone, readers together, downgrade without a gap --------------------- */

static void change_pair(struct world *w)
{
	u64 next = READ_ONCE(w->pair[0]) + 1;

	WRITE_ONCE(w->pair[0], next);
	for (u32 i = 0; i < 20; i++)
		cpu_relax();
	WRITE_ONCE(w->pair[1], next);
}

static void check_pair(struct world *w, const char *who)
{
	for (u32 i = 0; i < 4; i++) {
		u64 a = READ_ONCE(w->pair[0]), b = READ_ONCE(w->pair[1]);

		if (a != b)
			VIOLATION("%s saw a writer's half-done work (%llu, %llu)", who,
				  (unsigned long long)a, (unsigned long long)b);
		cpu_relax();
	}
}

static void exclusion(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	for (u64 n = 0; time_left(w); n++) {
		if (task % 2) {
			mmap_read_lock(charged_mm(w), h, MM_RANGE_ALL);
			check_pair(w, "a reader");
			mmap_read_unlock(h);
			continue;
		}
		mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
		change_pair(w);
		(void)fetch_add(&w->writes, 1);
		if (n % 4) {
			mmap_write_unlock(h);
			continue;
		}
		mmap_write_downgrade(h);
		check_pair(w, "a downgraded writer");
		mmap_read_unlock(h);
	}
}

static void exclusion_end(struct world *w)
{
	MUST(w->writes == w->pair[0]); /* no write was lost between two writers */
}

static bool readers_share(const struct world *w)
{
	return !(w->mm->locking->caps & LK_CAP_READERS_ALONE);
}

/* A write-started VMA becomes usable for faults at the downgrade, not at the unlock. */
static void downgrade(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u64 value;

	mmu_switch(w->mm);
	if (task == 0) {
		map_at(w, REGION, 4 * PAGE, RW);
		mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
		vma_start_write(vma_tree_load(&w->mm->vmas, REGION));
		set_phase(w, 1);
		let_others_run(20000000);
		MUST(READ_ONCE(w->phase) == 1); /* the fault waits for us */
		mmap_write_downgrade(h);
		if (readers_share(w))
			wait_phase(w, 2);
		mmap_read_unlock(h);
	} else if (task == 1) {
		wait_phase(w, 1);
		MUST(user_write(REGION, 7) == FAULT_OK);
		MUST(user_read(REGION, &value) == FAULT_OK && value == 7);
		set_phase(w, 2);
	}
	mmu_switch(NULL);
}

/* ---- trylock, killable ----------------------------------------------------------------------- */

static void trylock(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	if (task == 0) {
		mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
		set_phase(w, 1);
		wait_phase(w, 2);
		mmap_write_downgrade(h);
		set_phase(w, 3);
		wait_phase(w, 4);
		mmap_read_unlock(h);
	} else if (task == 1) {
		wait_phase(w, 1);
		MUST(!mmap_read_trylock(charged_mm(w), h, MM_RANGE_ALL));
		MUST(!mmap_write_trylock(charged_mm(w), h, MM_RANGE_ALL));
		set_phase(w, 2);
		wait_phase(w, 3);
		MUST(mmap_read_trylock(charged_mm(w), h, MM_RANGE_ALL) == readers_share(w));
		if (readers_share(w))
			mmap_read_unlock(h);
		MUST(!mmap_write_trylock(charged_mm(w), h, MM_RANGE_ALL));
		set_phase(w, 4);
	}
}

static void killable(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	if (task == 0) {
		map_at(w, REGION, 4 * PAGE, RW);
		mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
		vma_start_write(vma_tree_load(&w->mm->vmas, REGION));
		set_phase(w, 1);
		wait_arrived(w, 3);
		let_others_run(10000000); /* let them fall asleep */
		task_kill(machine_task(w->m, 1));
		task_kill(machine_task(w->m, 2));
		task_kill(machine_task(w->m, 3));
		wait_phase(w, 2);
		while (READ_ONCE(w->writes) < 3)
			engine_yield();
		mmap_write_unlock(h);
		return;
	}
	wait_phase(w, 1);
	arrive(w);
	if (task == 1)
		MUST(mmap_write_lock_killable(charged_mm(w), h, MM_RANGE_ALL) == -EINTR);
	else if (task == 2)
		MUST(mmap_read_lock_killable(charged_mm(w), h, MM_RANGE_ALL) == -EINTR);
	else
		MUST(fault_handle(w->mm, REGION, ACCESS_WRITE, true) == FAULT_KILLED);
	MUST(h->mode == MMAP_UNLOCKED);
	(void)fetch_add(&w->writes, 1);
	set_phase(w, 2);
}

const struct part lock_parts[] = {
	{ "single", NULL, single, NULL, 1, false, 0 },
	{ "exclusion", NULL, exclusion, exclusion_end, TASKS, true, 0 },
	{ "downgrade", NULL, downgrade, NULL, 2, true, 0 },
	{ "trylock", NULL, trylock, NULL, 2, true, 0 },
	{ "killable", NULL, killable, NULL, TASKS, true, 0 },
	{ .name = NULL },
};
