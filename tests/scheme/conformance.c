/*
 * tests/scheme/conformance.c - what every locking scheme must guarantee: one body, any scheme
 *
 * Usage   conformance SCHEME
 * Method  Each part runs in a process of its own with a fresh machine, for a bounded time, on TASKS
 *         tasks; it ends by finding a violation (exit 3, or a broken invariant's abort) or not.
 *         - A scheme with LK_CAP_CORRECT passes all parts.
 *         - One with LK_CAP_ONE_CPU passes the single-task part; the others are not run.
 *         - Any other (lock_broken) must be *caught* in the parts marked so, or the parts prove
 *           nothing: green there is a bug in this file.
 * Contents are tokens: a lost write, or one that lands in a page that is gone, is a wrong number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <mmsim/mmsim.h>

#include "tests/tree_choice.h"

#define TASKS 4
#define PAGE 4096ull
#define EXIT_VIOLATION 3
#define PART_MS 700
#define CAUGHT_WITHIN_MS 15000
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define REGION 0x10000000ull

static const struct mm_locking *scheme;

/* What the tasks of a part share. Everything in it is accessed through the primitives. */
struct world {
	struct machine *m;
	struct mm *mm;
	u64 part_ms, end_ns;
	u32 stop;
	u32 phase;   /* hand-shake of two-task parts */
	u64 pair[2]; /* equal whenever no writer is inside */
	u64 writes;
	struct file *file;
};

#define VIOLATION(...)                                                                             \
	do {                                                                                       \
		fprintf(stderr, "violation: " __VA_ARGS__);                                        \
		fputc('\n', stderr);                                                               \
		_exit(EXIT_VIOLATION);                                                             \
	} while (0)
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			VIOLATION("%s:%d: %s", __func__, __LINE__, #cond);                         \
	} while (0)

static bool time_left(struct world *w)
{
	if (engine_now_ns() < w->end_ns)
		return !READ_ONCE(w->stop);
	WRITE_ONCE(w->stop, 1u);
	return false;
}

static void wait_phase(struct world *w, u32 phase)
{
	u64 limit = engine_now_ns() + 20000000000ull;

	while (smp_load_acquire(&w->phase) < phase) {
		if (engine_now_ns() > limit)
			VIOLATION("the other task never got to phase %u", phase);
		engine_yield();
	}
}

static void set_phase(struct world *w, u32 phase)
{
	smp_store_release(&w->phase, phase);
}

static void map_at(struct world *w, u64 va, u64 len, u32 prot)
{
	MUST(mm_mmap(w->mm, va, len, prot, ANON | MAP_FIXED, NULL, 0) == (s64)va);
}

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

	mmap_write_lock(w->mm, h, MM_RANGE_ALL);
	mmap_assert_write_locked(h);
	mmap_write_downgrade(h);
	mmap_assert_locked(h);
	if (mmap_upgrade_trylock(h)) {
		mmap_assert_write_locked(h);
		mmap_write_unlock(h);
	} else {
		mmap_read_unlock(h);
	}
	MUST(mmap_write_trylock(w->mm, h, MM_RANGE_ALL));
	mmap_write_unlock(h);
	MUST(mmap_read_trylock_non_owner(w->mm, h, MM_RANGE_ALL));
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
			mmap_read_lock(w->mm, h, MM_RANGE_ALL);
			check_pair(w, "a reader");
			mmap_read_unlock(h);
			continue;
		}
		mmap_write_lock(w->mm, h, MM_RANGE_ALL);
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

/* A write-begun VMA becomes usable for faults at the downgrade, not at the unlock. */
static void downgrade(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	u64 value;

	mmu_switch(w->mm);
	if (task == 0) {
		map_at(w, REGION, 4 * PAGE, RW);
		mmap_write_lock(w->mm, h, MM_RANGE_ALL);
		vma_start_write(vma_tree_load(&w->mm->vmas, REGION));
		set_phase(w, 1);
		engine_delay_ns(20000000);
		MUST(READ_ONCE(w->phase) == 1); /* the fault waits for us */
		mmap_write_downgrade(h);
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
		mmap_write_lock(w->mm, h, MM_RANGE_ALL);
		set_phase(w, 1);
		wait_phase(w, 2);
		mmap_write_downgrade(h);
		set_phase(w, 3);
		wait_phase(w, 4);
		mmap_read_unlock(h);
	} else if (task == 1) {
		wait_phase(w, 1);
		MUST(!mmap_read_trylock(w->mm, h, MM_RANGE_ALL));
		MUST(!mmap_write_trylock(w->mm, h, MM_RANGE_ALL));
		set_phase(w, 2);
		wait_phase(w, 3);
		MUST(mmap_read_trylock(w->mm, h, MM_RANGE_ALL));
		mmap_read_unlock(h);
		MUST(!mmap_write_trylock(w->mm, h, MM_RANGE_ALL));
		set_phase(w, 4);
	}
}

static void killable(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);

	if (task == 0) {
		map_at(w, REGION, 4 * PAGE, RW);
		mmap_write_lock(w->mm, h, MM_RANGE_ALL);
		vma_start_write(vma_tree_load(&w->mm->vmas, REGION));
		set_phase(w, 1);
		engine_delay_ns(10000000); /* let them fall asleep */
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
	if (task == 1)
		MUST(mmap_write_lock_killable(w->mm, h, MM_RANGE_ALL) == -EINTR);
	else if (task == 2)
		MUST(mmap_read_lock_killable(w->mm, h, MM_RANGE_ALL) == -EINTR);
	else
		MUST(fault_handle(w->mm, REGION, ACCESS_WRITE, true) == FAULT_KILLED);
	MUST(h->mode == MMAP_UNLOCKED);
	(void)fetch_add(&w->writes, 1);
	set_phase(w, 2);
}

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

/* ---- the parts, and what runs them ----------------------------------------------------------- */

struct part {
	const char *name;
	void (*begin)(struct world *w);
	void (*run)(struct world *w, u32 task);
	void (*end)(struct world *w);
	u32 tasks;
	bool catches; /* must find something wrong in an incorrect scheme */
};

static const struct part parts[] = {
	{"single", NULL, single, NULL, 1, false},
	{"exclusion", NULL, exclusion, exclusion_end, TASKS, true},
	{"downgrade", NULL, downgrade, NULL, 2, true},
	{"trylock", NULL, trylock, NULL, 2, true},
	{"killable", NULL, killable, NULL, TASKS, true},
	{"munmap", NULL, munmap_race, NULL, TASKS, true},
	{"mprotect", NULL, mprotect_race, NULL, TASKS, true},
	{"lost_writes", NULL, lost_writes, NULL, TASKS, false},
	{"fork", NULL, fork_load, NULL, TASKS, false},
	{"exit", exit_load_begin, exit_load, NULL, TASKS, false},
	{"file", file_begin, file_load, file_end, TASKS, false},
};

struct run {
	struct world *w;
	const struct part *part;
};

static void run_task(void *arg, u32 index)
{
	struct run *run = arg;

	run->part->run(run->w, index);
}

/* In a process of its own. Leaks and broken invariants stop it in the teardown. */
static void run_part(const struct part *part, u64 ms)
{
	const struct machine_config cfg = {
		.tasks = TASKS, .memory_bytes = 64ull << 20, .content_words = 8, .seed = 1};
	const struct mm_config mm_cfg = {.tree = tree_choice()};
	struct world w = {.m = machine_create(&cfg), .part_ms = ms};
	struct run run = {.w = &w, .part = part};

	MUST(w.m && mm_machine_init(w.m, &arch_x86_64, &mm_cfg) == 0);
	machine_enter(w.m);
	w.mm = mm_create(w.m, &arch_x86_64, scheme);
	MUST(w.mm);
	if (part->begin)
		part->begin(&w);
	machine_leave();
	w.end_ns = engine_now_ns() + ms * 1000000;
	MUST(engine_run(w.m, part->tasks, run_task, &run, NULL) == 0);
	machine_enter(w.m);
	mm_check(w.mm);
	mm_put(w.mm);
	if (part->end)
		part->end(&w);
	machine_leave();
	mm_machine_destroy(w.m);
	machine_destroy(w.m);
}

static void part_test(void **state)
{
	const struct part *part = *state;
	bool expect_ok = (scheme->caps & LK_CAP_CORRECT) || part->tasks == 1;
	pid_t pid;
	int status;

	if (!expect_ok && ((scheme->caps & LK_CAP_ONE_CPU) || !part->catches)) {
		skip();
		return;
	}
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(120); /* a deadlock is a failure, not a hang */
		run_part(part, expect_ok ? PART_MS : CAUGHT_WITHIN_MS);
		exit(0); /* not _exit(): a sanitizer has its say */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (expect_ok)
		assert_int_equal(status, 0);
	else
		assert_int_not_equal(status, 0); /* green here is a bug in the test */
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_SIZE(parts)];

	scheme = argc == 2 ? mm_locking_find(argv[1]) : NULL;
	if (!scheme) {
		fprintf(stderr, "usage: conformance SCHEME (see include/mmsim/schemes.h)\n");
		return 2;
	}
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		tests[i] = (struct CMUnitTest){.name = parts[i].name,
					       .test_func = part_test,
					       .initial_state = (void *)&parts[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
