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

enum how { BY_DONTNEED, BY_PROTECT, BY_FORK, BY_UNMAP, BY_SWITCH, BY_REUSE, BY_SPLIT, BY_COLLAPSE, BY_HAND, BY_GROUP };

struct breakage {
	const char *name;
	const struct arch_desc *arch;
	enum how how;
	u32 broken;
	const char *says;
	bool modelled; /* needs modelled TLBs */
};

#define TLB_BREAK_GROUP (1u << 31) /* this file's: group_by_hand() leaves one entry out */

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
	/* Break, no flush, make. */
	{"split", &arch_x86_64, BY_SPLIT, TLB_BREAK_FLUSH, "changes its size", true},
	{"split, arm64", &arch_arm64_4k, BY_SPLIT, TLB_BREAK_FLUSH, "changes its size", true},
	{"split forgets a CPU", &arch_arm64_4k, BY_SPLIT, TLB_BREAK_ONE_CPU, "changes its size", true},
	{"split, radix", &arch_ppc64_radix, BY_SPLIT, TLB_BREAK_FLUSH, "changes its size", true},
	{"collapse", &arch_x86_64, BY_COLLAPSE, TLB_BREAK_FLUSH, "changes its size", true},
	{"collapse, arm64", &arch_arm64_4k, BY_COLLAPSE, TLB_BREAK_FLUSH, "changes its size", true},
	{"collapse forgets a CPU", &arch_arm64_4k, BY_COLLAPSE, TLB_BREAK_ONE_CPU, "changes its size", true},
	{"two sizes", &arch_x86_64, BY_HAND, TLB_BREAK_FLUSH, "two sizes", true},
	{"two sizes, arm64", &arch_arm64_4k, BY_HAND, TLB_BREAK_FLUSH, "two sizes", true},
	{"a group that is none", &arch_arm64_4k, BY_GROUP, TLB_BREAK_GROUP, "not alike", true},
};

struct run {
	struct world w;
	const struct breakage *b;
	u64 at;
	u32 ready, done; /* (atomic) */
};

/* One leaf's worth of table in the place of the leaf, and back. The TLB has the leaf, clean, so that a write
 * walks and meets the table. */
static void resize_by_hand(struct run *r)
{
	struct mm *mm = r->w.mm;
	const struct arch_desc *a = mm->arch;
	u64 bytes = level_bytes(a, 1), pfn;
	struct page *page = pgtable_page_alloc(mm);
	spinlock_t *ptl;
	pte_t *leaf = pgtable_entry(mm, r->at, 1, false, &ptl), e, *table;
	u32 broken = mmu_machine(r->w.m)->broken;

	if (!page || !leaf || !pgtable_is_leaf(mm, e = pte_get(leaf), 1))
		MMSIM_BUG("no leaf");
	mmu_machine(r->w.m)->broken = 0;
	while (!pte_try_change(mm, leaf, r->at, &e, pte_clear_attrs(a, e, PTE_DIRTY)))
		;
	tlb_flush_range(mm, r->at, r->at + bytes, 0, false);
	(void)user_read(r->at, NULL);
	pfn = page_to_pfn(r->w.mem, page);
	table = phys_to_virt(r->w.mem, pfn);
	for (u32 i = 0; i < bytes / r->w.page; i++)
		table[i] = pte_make(a, leaf_pfn(a, e, 1) + i, pte_attrs(a, e) | PTE_DIRTY);
	mmu_machine(r->w.m)->broken = broken;
	e = pte_get_and_clear(mm, leaf, r->at);
	tlb_flush_range(mm, r->at, r->at + bytes, 0, false);
	pte_set(mm, leaf, r->at, table_make(a, pfn, 1));
	(void)user_write(r->at, 1);
	(void)user_write(r->at, 2);
	(void)pte_get_and_clear(mm, leaf, r->at);
	memset(table, 0, r->w.page);
	tlb_flush_range(mm, r->at, r->at + bytes, 0, true);
	pte_set(mm, leaf, r->at, e);
	pgtable_page_free(mm, page);
}

/* The small pages of a leaf that was split become a contiguous group. */
static void group_by_hand(struct run *r)
{
	struct mm *mm = r->w.mm;
	const struct arch_desc *a = mm->arch;
	u32 count = 1u << a->group_bits[0];
	pte_t *table, e[128];
	spinlock_t *ptl;

	if (mm_mprotect(mm, r->at, r->w.page, PROT_READ) ||
	    mm_mprotect(mm, r->at, r->w.page, PROT_READ | PROT_WRITE))
		MMSIM_BUG("no split");
	table = pgtable_lookup(mm, r->at, &ptl);
	for (u32 i = 0; i < count; i++)
		e[i] = pte_get_and_clear(mm, &table[i], r->at + i * r->w.page);
	tlb_flush_range(mm, r->at, r->at + count * r->w.page, 0, false);
	for (u32 i = 0; i < count; i++)
		if (i != 5 || !(mmu_machine(r->w.m)->broken & TLB_BREAK_GROUP))
			e[i] |= a->group_mask;
	for (u32 i = 0; i < count; i++)
		pte_set(mm, &table[i], r->at + i * r->w.page, e[i]);
	for (u32 i = 0; i < count; i++)
		(void)user_write(r->at + i * r->w.page, i);
}

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
	case BY_SPLIT:
		err = mm_mprotect(mm, r->at + r->w.page, r->w.page, PROT_READ);
		break;
	case BY_COLLAPSE:
		err = mm_madvise(mm, r->at, level_bytes(mm->arch, 1), MADV_COLLAPSE);
		break;
	case BY_HAND:
		resize_by_hand(r);
		break;
	case BY_GROUP:
		group_by_hand(r);
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
		if (r->b->how == BY_SWITCH || r->b->how == BY_REUSE)
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
	bool thp = b->how == BY_SPLIT || b->how >= BY_HAND;
	const struct mm_config watched = {.params = {[MM_PARAM_CHECK_INVARIANTS] = 1,
						     [MM_PARAM_THP] = thp ? THP_ALWAYS : THP_MADVISE}};
	u64 huge = b->how >= BY_SPLIT ? level_bytes(b->arch, 1) : 0, page = arch_page_bytes(b->arch);
	struct run r = {.b = b, .w = {.a = b->arch, .page = arch_page_bytes(b->arch)}};
	s64 at;

	r.w.m = machine_create(&cfg);
	if (!r.w.m || mm_machine_init(r.w.m, b->arch, &watched))
		MMSIM_BUG("no machine");
	machine_enter(r.w.m);
	r.w.mm = mm_create(r.w.m, b->arch, &mm_locking_mmap_lock);
	at = mm_mmap(r.w.mm, 0, PAGES * page + 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	r.at = huge ? ALIGN_UP((u64)at, huge) : (u64)at;
	r.w.mem = memory_of(r.w.m);
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
