/*
 * tests/unit/mm/test_invariants.c - the checker of stale translations fires when the protocol is broken
 *
 * Each case runs in a child process, which must die of SIGABRT and say what, the seed, and what
 * happened to the page; the same case with nothing broken must end well.
 */
#include "tests/unit/mm/mmu_world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/mmu_internal.h"

#define CPUS 3u
#define PAGES 100u /* several LRU batches: a page that waits in one is not free yet */
#define SEED 0x5eedull

enum how { BY_DONTNEED, BY_PROTECT, BY_FORK, BY_UNMAP, BY_SWITCH, BY_REUSE };

struct breakage {
	const char *name;
	const struct arch_desc *arch;
	enum how how;
	u32 broken;
	const char *says;
	bool modelled; /* needs modelled TLBs */
};

static const struct breakage cases[] = {
	{"no flush before the free", &arch_x86_64, BY_DONTNEED, TLB_BREAK_FLUSH, "freed", false},
	{"free before the flush", &arch_x86_64, BY_DONTNEED, TLB_BREAK_FREE_FIRST, "freed while", true},
	{"one CPU is forgotten", &arch_x86_64, BY_DONTNEED, TLB_BREAK_ONE_CPU, "freed", false},
	{"one CPU is forgotten, arm64", &arch_arm64_4k, BY_DONTNEED, TLB_BREAK_ONE_CPU, "freed", false},
	{"one CPU is forgotten, radix", &arch_ppc64_radix, BY_DONTNEED, TLB_BREAK_ONE_CPU, "freed", false},
	{"one CPU is forgotten, hash", &arch_ppc64_hash, BY_DONTNEED, TLB_BREAK_ONE_CPU, "freed", false},
	{"no flush after mprotect", &arch_x86_64, BY_PROTECT, TLB_BREAK_FLUSH, "mprotect", false},
	{"mprotect forgets a CPU", &arch_arm64_4k, BY_PROTECT, TLB_BREAK_ONE_CPU, "mprotect", false},
	{"no flush after fork", &arch_x86_64, BY_FORK, TLB_BREAK_FLUSH, "fork", false},
	{"tables without walk caches", &arch_arm64_4k, BY_UNMAP, TLB_BREAK_WALK_CACHE, "page table", true},
	{"a lazy CPU does not ask", &arch_x86_64, BY_SWITCH, TLB_BREAK_LAZY, "not asked", true},
	/* The frames are in use again, by the same pages or others: no look at the frame tells. */
	{"a lazy CPU does not ask, too late", &arch_x86_64, BY_REUSE, TLB_BREAK_LAZY, "not asked", true},
};

struct run {
	struct world w;
	const struct breakage *b;
	u64 at;
	u32 ready, done; /* (atomic) */
};

static void change(struct run *r)
{
	struct mm *mm = r->w.mm, *child;
	int err = 0;

	switch (r->b->how) {
	case BY_DONTNEED:
	case BY_SWITCH:
		err = mm_madvise(mm, r->at, PAGES * r->w.page, MADV_DONTNEED);
		break;
	case BY_REUSE:
		err = mm_madvise(mm, r->at, PAGES * r->w.page, MADV_DONTNEED);
		for (u32 i = 0; i < PAGES; i++)
			(void)user_write(r->at + i * r->w.page, i);
		break;
	case BY_PROTECT:
		err = mm_mprotect(mm, r->at, PAGES * r->w.page, PROT_READ);
		break;
	case BY_FORK:
		child = mm_fork(mm, &err);
		if (child)
			mm_put(child);
		break;
	case BY_UNMAP:
		err = mm_munmap(mm, r->at, PAGES * r->w.page);
		pgtable_drain_freed(r->w.m);
		break;
	}
	if (err)
		MMSIM_BUG("call failed: %d", err);
}

static void task(void *arg, u32 index)
{
	struct run *r = arg;

	mmu_switch(r->w.mm);
	if (index) {
		for (u32 i = 0; i < PAGES; i++)
			(void)user_write(r->at + i * r->w.page, i);
		if (r->b->how >= BY_SWITCH)
			mmu_switch(NULL);
		(void)fetch_add(&r->ready, 1u);
		while (!READ_ONCE(r->done))
			engine_delay_ns(1000);
		mmu_switch(r->w.mm);
		/* Natively a freed frame shows when it is used. */
		for (u32 i = 0; i < PAGES && r->b->how <= BY_DONTNEED; i++)
			(void)user_read(r->at + i * r->w.page, NULL);
		for (u32 i = 0; i < PAGES && r->b->how >= BY_SWITCH; i++)
			(void)user_read(r->at + i * r->w.page, NULL);
	} else {
		while (READ_ONCE(r->ready) < CPUS - 1)
			engine_delay_ns(1000);
		change(r);
		WRITE_ONCE(r->done, 1u);
	}
	mmu_switch(NULL);
}

static void run_case(const struct breakage *b, u32 broken)
{
	const struct machine_config cfg = {.tasks = CPUS, .cpus = CPUS, .memory_bytes = 4096ull << b->arch->page_shift,
					   .content_words = 8, .seed = SEED};
	const struct mm_config watched = {.params = {[MM_PARAM_CHECK_INVARIANTS] = 1}};
	struct run r = {.b = b, .w = {.a = b->arch, .page = arch_page_bytes(b->arch)}};
	s64 at;

	r.w.m = machine_create(&cfg);
	if (!r.w.m || mm_machine_init(r.w.m, b->arch, &watched))
		MMSIM_BUG("no machine");
	machine_enter(r.w.m);
	r.w.mm = mm_create(r.w.m, b->arch, &mm_locking_mmap_lock);
	at = mm_mmap(r.w.mm, 0, PAGES * r.w.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	r.at = (u64)at;
	mmu_machine(r.w.m)->broken = broken;
	machine_leave();
	if (at <= 0 || engine_run(r.w.m, CPUS, task, &r, NULL))
		MMSIM_BUG("no run");
	machine_enter(r.w.m);
	mmu_machine(r.w.m)->broken = 0;
	mm_put(r.w.mm);
	machine_leave();
	mm_machine_destroy(r.w.m);
	machine_destroy(r.w.m);
}

/* In a child: its exit status, and what it said. */
static int status_of(const struct breakage *b, u32 broken, char *said, size_t bytes)
{
	size_t got = 0;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(out[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		run_case(b, broken);
		_exit(0);
	}
	close(out[1]);
	while ((n = read(out[0], said + got, bytes - 1 - got)) > 0)
		got += (size_t)n;
	said[got] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool has_model(void)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	return true;
#else
	return false;
#endif
}

static void whole_protocol_is_silent(void **state)
{
	static char said[65536];

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = status_of(&cases[i], 0, said, sizeof(said));

		if (status)
			fail_msg("%s: status %#x: %s", cases[i].name, status, said);
	}
}

static void breakage_is_caught(void **state)
{
	static char said[65536];

#ifdef __SANITIZE_THREAD__
	skip(); /* each case is a forked child that starts threads: not under TSan */
#endif
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct breakage *b = &cases[i];
		int status;

		if (b->modelled && !has_model())
			continue;
		status = status_of(b, b->broken, said, sizeof(said));
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, "invariant: ") ||
		    !strstr(said, b->says) || !strstr(said, "seed 24301") ||
		    (b->how != BY_UNMAP && !strstr(said, "translated")))
			fail_msg("%s: status %#x, said: %s", b->name, status, said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_protocol_is_silent),
		cmocka_unit_test(breakage_is_caught),
	};

	return cmocka_run_group_tests_name("invariants", tests, NULL, NULL);
}
