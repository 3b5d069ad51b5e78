/*
 * tests/unit/mm/test_hugetlb.c - MAP_HUGETLB: pools, reservations, leaves of every size, under load
 *
 * Goal:   a mapping is whole leaves of its size at any time; what mmap() has reserved never fails; what is
 *         not reserved fails as Linux says; contents are right in every base page; pools come out even.
 * Method: each base page of a leaf (a sample of those of 1 GiB) holds a token made of its address; after each
 *         change all are read and mm_check() looks at entries, pages and counts. Every size of every
 *         architecture, and both of x86-64 under every scheme. At last, tasks fault, write and read
 *         while others drop, protect, unmap, move and fork under them: each page has one writer, who
 *         knows what it must find.
 * Pools:  mm_machine_destroy() stops if a page or a reservation is missing.
 */
#include "mm/hugetlb.h"
#include "mm/mmu_internal.h"
#include "tests/unit/mm/huge_world.h"

#include <mmsim/machine_model.h>

#define HUGE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB)
#define SHARED_HUGE (MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB)
#define MAPPED 3u /* pages of the mapping that most cases begin with */

struct setting {
	const struct arch_desc *a;
	u32 level;
	const struct mm_locking *scheme;
	u32 pool, tasks;
	enum schedule schedule;
	u64 seed;
	const struct machine_model *model;
};

static struct world world_create(const struct setting *s)
{
	struct mm_config mm_cfg = {.params = {[MM_PARAM_CHECK_INVARIANTS] = 1}};
	struct machine_config cfg = {.tasks = s->tasks, .cpus = s->tasks, .seed = s->seed,
				     .schedule = s->schedule, .model = s->model};

	mm_cfg.params[s->level == 1 ? MM_PARAM_HUGEPAGES : MM_PARAM_HUGEPAGES_1G] = s->pool;
	cfg.memory_bytes = (1500ull << s->a->page_shift) + hugetlb_memory_bytes(s->a, &mm_cfg, 1);
	return world_start(s->a, s->level, s->scheme, cfg, &mm_cfg);
}

/* MAP_HUGE_* */
static u32 size_flag(const struct world *w)
{
	return (u32)__builtin_ctzll(w->huge) << MAP_HUGE_SHIFT;
}

static u64 map(struct world *w, u64 pages, u32 flags)
{
	s64 at = mm_mmap(w->mm, 0, pages * w->huge, RW, flags | size_flag(w), NULL, 0);

	assert_true(at > 0);
	assert_int_equal(at & (s64)(w->huge - 1), 0);
	return (u64)at;
}

static struct hugetlb_pool pool(const struct world *w)
{
	struct hugetlb_pool p;

	for (u32 i = 0; hugetlb_pool(w->m, i, &p); i++)
		if (p.bytes == w->huge)
			return p;
	fail_msg("no pool");
	return p;
}

static void assert_pool(const struct world *w, u64 free, u64 reserved)
{
	struct hugetlb_pool p = pool(w);

	assert_int_equal(p.free, free);
	assert_int_equal(p.reserved, reserved);
}

/* Page i of the mapping. */
static u64 at(const struct world *w, u64 i)
{
	return w->base + i * w->huge;
}

static bool is_leaf(struct world *w, u64 va)
{
	struct pt_span s;

	pgtable_span_leaf(w->mm, va, va + w->page, &s);
	return s.entry && s.level == w->level && pgtable_is_leaf(w->mm, pte_get(s.entry), s.level);
}

static u64 mapped_pages(const struct world *w, struct mm *mm)
{
	assert_int_equal(mm_rss_pages(mm, RSS_ANON), 0);
	assert_int_equal(mm_rss_pages(mm, RSS_SHMEM), 0);
	return mm->hugetlb_pages / (w->huge / w->page);
}

static struct mm *fork_it(struct world *w)
{
	int err;
	struct mm *child = mm_fork(w->mm, &err);

	assert_non_null(child);
	return child;
}

/* ---- cases: a private mapping of MAPPED pages at w->base, nothing faulted in ------------------------- */

static void fault_once(struct world *w)
{
	assert_pool(w, MAPPED + 1, MAPPED);
	assert_int_equal(user_write(at(w, 1) + 3 * w->page, 5), FAULT_OK);
	assert_true(is_leaf(w, at(w, 1)));
	assert_false(is_leaf(w, at(w, 0)));
	assert_pool(w, MAPPED, MAPPED - 1);
	assert_int_equal(user_write(at(w, 1) + 3 * w->page, 0), FAULT_OK);
	read_zeroes(w, at(w, 1), at(w, 2));
	assert_int_equal(count_of(w, COUNTER_FAULT_HUGETLB), 1);
	assert_int_equal(mapped_pages(w, w->mm), 1);
	/* A read maps it for reads only; the page is there already when the write comes. */
	read_zeroes(w, at(w, 2), at(w, 3));
	write_tokens(w, at(w, 2), at(w, 3));
	read_tokens(w, at(w, 2), at(w, 3));
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_REUSE), 1);
	assert_int_equal(count_of(w, COUNTER_HUGETLB_ALLOC), 2);
	/* What was in use before is zeroed. */
	assert_int_equal(mm_munmap(w->mm, at(w, 2), w->huge), 0);
	assert_pool(w, MAPPED, 1);
	assert_int_equal(mm_munmap(w->mm, at(w, 0), 2 * w->huge), 0);
	assert_pool(w, MAPPED + 1, 0);
	w->base = map(w, MAPPED + 1, HUGE);
	for (u32 i = 0; i <= MAPPED; i++)
		read_zeroes(w, at(w, i), at(w, i + 1));
}

static void only_whole_pages(struct world *w)
{
	write_tokens(w, at(w, 0), at(w, 2));
	assert_int_equal(mm_munmap(w->mm, at(w, 0), w->page), -EINVAL);
	assert_int_equal(mm_munmap(w->mm, at(w, 1) + w->page, w->page), -EINVAL);
	assert_int_equal(mm_mprotect(w->mm, at(w, 0), w->page, PROT_READ), -EINVAL);
	assert_int_equal(mm_mprotect(w->mm, at(w, 0), w->huge + w->page, PROT_READ), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->page, MADV_DONTDUMP), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0) + w->page, w->huge, MADV_DONTNEED), -EINVAL);
	/* Rounded down. */
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->page, MADV_DONTNEED), 0);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge + w->page, MADV_DONTNEED), 0);
	read_tokens(w, at(w, 1), at(w, 2));
	read_zeroes(w, at(w, 0), at(w, 1));
	assert_int_equal(w->mm->map_count, 1);
}

static void other_advice(struct world *w)
{
	write_tokens(w, at(w, 0), at(w, 1));
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_FREE), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_COLD), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_PAGEOUT), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_COLLAPSE), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_REMOVE), -EACCES);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_WIPEONFORK), -EINVAL);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_DONTDUMP), 0);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_DODUMP), 0);
	/* The two parts were one, and could not become one again. */
	assert_int_equal(w->mm->map_count, 2);
	/* Always in memory: locking it changes nothing, but faults it in. */
	w->mm->limits.can_ipc_lock = true;
	assert_int_equal(mm_mlock(w->mm, at(w, 0), MAPPED * w->huge, false), 0);
	assert_int_equal(w->mm->locked_vm_pages, 0);
	assert_int_equal(mapped_pages(w, w->mm), MAPPED);
	assert_int_equal(mm_madvise(w->mm, at(w, 1), w->huge, MADV_DONTNEED), 0);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), MAPPED * w->huge, MADV_POPULATE_WRITE), 0);
	assert_int_equal(mapped_pages(w, w->mm), MAPPED);
	read_tokens(w, at(w, 0), at(w, 1));
}

static void protect(struct world *w)
{
	u64 reuse;

	write_tokens(w, at(w, 0), at(w, 3));
	assert_int_equal(mm_mprotect(w->mm, at(w, 1), w->huge, PROT_READ), 0);
	assert_int_equal(w->mm->map_count, 3);
	assert_int_equal(user_write(at(w, 1) + w->page, 1), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(user_write(at(w, 2), token(at(w, 2))), FAULT_OK);
	read_tokens(w, at(w, 0), at(w, 3));
	assert_int_equal(mm_mprotect(w->mm, at(w, 1), w->huge, PROT_NONE), 0);
	assert_int_equal(user_read(at(w, 1), NULL), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_mprotect(w->mm, at(w, 0), 3 * w->huge, RW), 0);
	reuse = count_of(w, COUNTER_FAULT_WP_REUSE);
	read_tokens(w, at(w, 0), at(w, 3));
	write_tokens(w, at(w, 0), at(w, 3));
	/* Of a private one only a fault makes the entry writable again. */
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_REUSE) - reuse, 1);
	assert_true(is_leaf(w, at(w, 1)));
}

static void move(struct world *w)
{
	u64 to;

	write_tokens(w, at(w, 0), at(w, 2));
	to = map(w, 1, HUGE) - 4 * w->huge;
	assert_pool(w, MAPPED + 1 - 2, 2);
	assert_int_equal(mm_mremap(w->mm, at(w, 1), w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, to + w->page),
			 -EINVAL);
	assert_int_equal(mm_mremap(w->mm, at(w, 2), w->huge, 2 * w->huge, MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(mm_mremap(w->mm, at(w, 2) + w->page, w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, to),
			 -EINVAL);
	assert_int_equal(mm_mremap(w->mm, at(w, 1), w->huge, w->huge,
				   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to), -EINVAL);
	/* Two of three: one with a page, one with a reservation. The length is rounded up. */
	assert_int_equal(mm_mremap(w->mm, at(w, 1), w->huge + w->page, w->huge + w->page,
				   MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(user_read(at(w, 1), NULL), FAULT_SIGSEGV_MAPERR);
	assert_true(is_leaf(w, to));
	assert_pool(w, MAPPED + 1 - 2, 2);
	read_tokens_from(w, to, to + w->huge, at(w, 1));
	read_tokens(w, at(w, 0), at(w, 1));
	mm_check(w->mm);
	write_tokens(w, to + w->huge, to + 2 * w->huge);
	assert_pool(w, MAPPED + 1 - 3, 1);
	/* Shrinking. */
	assert_int_equal(mm_mremap(w->mm, to, 2 * w->huge, w->huge, 0, 0), to);
	assert_int_equal(user_read(to + w->huge, NULL), FAULT_SIGSEGV_MAPERR);
	assert_pool(w, MAPPED + 1 - 2, 1);
}

/* There is a page too many: copies are made. */
static void fork_and_copy(struct world *w)
{
	u64 value;
	struct mm *child;

	write_tokens(w, at(w, 0), at(w, 2));
	assert_int_equal(mm_munmap(w->mm, at(w, 2), w->huge), 0);
	child = fork_it(w);
	assert_int_equal(mapped_pages(w, child), 2);
	assert_pool(w, 2, 0);
	/* The parent gets a copy ... */
	assert_int_equal(user_write(at(w, 0) + w->page, 42), FAULT_OK);
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_COPY), 1);
	mm_check(w->mm);
	mm_check(child);
	mmu_switch(child);
	read_tokens(w, at(w, 0), at(w, 2));
	/* ... so the child's is its own by now; of the other one it gets a copy. */
	assert_int_equal(user_write(at(w, 0) + w->page, 43), FAULT_OK);
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_REUSE), 1);
	assert_int_equal(user_write(at(w, 1), 44), FAULT_OK);
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_COPY), 2);
	mmu_switch(w->mm);
	read_tokens(w, at(w, 1), at(w, 2));
	assert_int_equal(user_read(at(w, 0) + w->page, &value), FAULT_OK);
	assert_int_equal(value, 42);
	assert_int_equal(user_write(at(w, 1), 45), FAULT_OK);
	mm_put(child);
	assert_pool(w, 2, 0);
	assert_int_equal(user_write(at(w, 0) + w->page, token(at(w, 0) + w->page)), FAULT_OK);
	read_tokens(w, at(w, 0), at(w, 1));
}

/* There is none: the parent is served, the child is not. */
static void fork_without_pages(struct world *w)
{
	struct mm *child, *grandchild;
	int err;
	u64 other = map(w, 1, HUGE);

	write_tokens(w, at(w, 0), at(w, 2));
	child = fork_it(w);
	grandchild = mm_fork(child, &err);
	assert_non_null(grandchild);
	assert_pool(w, MAPPED + 1 - 2, 2);
	write_tokens(w, at(w, 0), at(w, 1));
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_COPY), 0);
	assert_int_equal(count_of(w, COUNTER_HUGETLB_TAKEN_BACK), 2);
	mm_check(w->mm);
	for (u32 i = 0; i < 2; i++) {
		mmu_switch(i ? grandchild : child);
		mm_check(i ? grandchild : child);
		assert_int_equal(user_read(at(w, 0), NULL), FAULT_SIGBUS);
		read_tokens(w, at(w, 1), at(w, 2));
		assert_int_equal(user_write(at(w, 1), 1), FAULT_SIGBUS); /* no copy to be had */
		assert_int_equal(user_read(at(w, 2), NULL), FAULT_SIGBUS); /* nothing reserved for it */
	}
	mmu_switch(w->mm);
	write_tokens(w, at(w, 2), at(w, 3));
	assert_int_equal(user_write(other, 1), FAULT_OK);
	/* Even if there are pages now: what was taken does not come back as zeroes. */
	assert_int_equal(mm_munmap(w->mm, other, w->huge), 0);
	mmu_switch(child);
	assert_int_equal(user_read(at(w, 0), NULL), FAULT_SIGBUS);
	read_tokens(w, at(w, 1), at(w, 2));
	mmu_switch(w->mm);
	mm_put(child);
	mm_put(grandchild);
	read_tokens(w, at(w, 0), at(w, 3));
	assert_pool(w, 1, 0);
}

/* A child that has a copy of its own keeps it; only who still maps the parent's page loses that. */
static void own_copy_stays(struct world *w)
{
	struct mm *writer, *reader;
	u64 value;

	write_tokens(w, at(w, 0), at(w, 1));
	writer = fork_it(w);
	reader = fork_it(w);
	mmu_switch(writer);
	assert_int_equal(user_write(at(w, 0) + w->page, 77), FAULT_OK);
	mmu_switch(w->mm);
	write_tokens(w, at(w, 0), at(w, 1));
	assert_int_equal(count_of(w, COUNTER_HUGETLB_TAKEN_BACK), 1);
	mmu_switch(writer);
	mm_check(writer);
	assert_int_equal(user_read(at(w, 0) + w->page, &value), FAULT_OK);
	assert_int_equal(value, 77);
	mmu_switch(reader);
	mm_check(reader);
	assert_int_equal(user_read(at(w, 0) + w->page, &value), FAULT_SIGBUS);
	mmu_switch(w->mm);
	read_tokens(w, at(w, 0), at(w, 1));
	mm_put(writer);
	mm_put(reader);
}

static void reservations(struct world *w)
{
	u64 failed = count_of(w, COUNTER_HUGETLB_RESERVE_FAIL), other;

	assert_int_equal(mm_mmap(w->mm, 0, 2 * w->huge, RW, HUGE | size_flag(w), NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(w->mm, 0, 2 * w->huge, RW, SHARED_HUGE | size_flag(w), NULL, 0), -ENOMEM);
	assert_int_equal(count_of(w, COUNTER_HUGETLB_RESERVE_FAIL) - failed, 2);
	assert_int_equal(w->mm->map_count, 1);
	/* Nothing set aside: the free one may be had, the reserved ones not. */
	other = map(w, 3, HUGE | MAP_NORESERVE);
	assert_int_equal(user_write(other, 1), FAULT_OK);
	assert_int_equal(user_write(other + w->huge, 1), FAULT_SIGBUS);
	assert_pool(w, MAPPED, MAPPED);
	write_tokens(w, at(w, 0), at(w, 3));
	assert_pool(w, 0, 0);
	/* What the owner drops is reserved again, what the other drops is free. */
	assert_int_equal(mm_madvise(w->mm, at(w, 1), w->huge, MADV_DONTNEED), 0);
	assert_pool(w, 1, 1);
	assert_int_equal(user_write(other + w->huge, 1), FAULT_SIGBUS);
	read_zeroes(w, at(w, 1), at(w, 2));
	assert_int_equal(mm_madvise(w->mm, other, w->huge, MADV_DONTNEED), 0);
	assert_pool(w, 1, 0);
	/* A part of the mapping takes its part of the reservation along. */
	assert_int_equal(mm_munmap(w->mm, other, 3 * w->huge), 0);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), 3 * w->huge, MADV_DONTNEED), 0);
	assert_pool(w, 4, 3);
	assert_int_equal(mm_munmap(w->mm, at(w, 1), w->huge), 0);
	assert_pool(w, 4, 2);
	/* In the place of what is replaced, whose pages may be had. */
	assert_int_equal(mm_mmap(w->mm, at(w, 0), 3 * w->huge, RW, HUGE | MAP_FIXED | size_flag(w), NULL, 0),
			 at(w, 0));
	assert_pool(w, 4, 3);
}

static void shared(struct world *w)
{
	struct mm *child;

	assert_int_equal(mm_munmap(w->mm, at(w, 0), 3 * w->huge), 0);
	w->base = map(w, 2, SHARED_HUGE);
	assert_pool(w, 4, 2);
	write_tokens(w, at(w, 0), at(w, 1));
	child = fork_it(w);
	assert_int_equal(mapped_pages(w, child), 0); /* it finds them by the file */
	mmu_switch(child);
	read_tokens(w, at(w, 0), at(w, 1));
	write_tokens(w, at(w, 1), at(w, 2));
	assert_int_equal(mapped_pages(w, child), 2);
	mmu_switch(w->mm);
	read_tokens(w, at(w, 1), at(w, 2));
	assert_int_equal(count_of(w, COUNTER_HUGETLB_ALLOC), 2);
	assert_int_equal(mm_madvise(w->mm, at(w, 0), 2 * w->huge, MADV_DONTNEED), 0);
	assert_int_equal(mapped_pages(w, w->mm), 0);
	read_tokens(w, at(w, 0), at(w, 2));
	assert_int_equal(mm_mprotect(w->mm, at(w, 0), w->huge, PROT_READ), 0);
	assert_int_equal(user_write(at(w, 0), 1), FAULT_SIGSEGV_ACCERR);
	assert_int_equal(mm_mprotect(w->mm, at(w, 0), w->huge, RW), 0);
	write_tokens(w, at(w, 0), at(w, 1));
	assert_int_equal(mm_munmap(w->mm, at(w, 0), 2 * w->huge), 0);
	assert_pool(w, 2, 0);
	mmu_switch(child);
	read_tokens(w, at(w, 0), at(w, 2));
	mmu_switch(w->mm);
	mm_put(child);
	assert_pool(w, 4, 0);
}

/* A hole in a shared mapping: its pages go back to the pool, out of every mapping, and are not reserved again. */
static void punch(struct world *w)
{
	struct mm *child;
	u64 other;

	assert_int_equal(mm_munmap(w->mm, at(w, 0), 3 * w->huge), 0);
	w->base = map(w, 3, SHARED_HUGE);
	write_tokens(w, at(w, 0), at(w, 2));
	child = fork_it(w);
	mmu_switch(child);
	read_tokens(w, at(w, 0), at(w, 2));
	assert_pool(w, 2, 1);
	/* The one whole page; half of that before it; nothing of that behind, which has not been used. */
	assert_int_equal(mm_madvise(child, at(w, 0) + w->huge / 2, 2 * w->huge, MADV_REMOVE), 0);
	assert_pool(w, 3, 1);
	assert_int_equal(mapped_pages(w, child), 1);
	assert_int_equal(mapped_pages(w, w->mm), 1);
	read_tokens(w, at(w, 0), at(w, 0) + min(w->huge / 2, 16 * w->step));
	read_zeroes(w, at(w, 0) + w->huge / 2, at(w, 1));
	mmu_switch(w->mm);
	mm_check(w->mm);
	mm_check(child);
	read_zeroes(w, at(w, 0) + w->huge / 2, at(w, 1));
	other = map(w, 2, HUGE);
	assert_int_equal(user_read(at(w, 1), NULL), FAULT_SIGBUS);
	write_tokens(w, at(w, 2), at(w, 3));
	assert_int_equal(mm_munmap(w->mm, other, 2 * w->huge), 0);
	read_zeroes(w, at(w, 1), at(w, 2));
	write_tokens(w, at(w, 1), at(w, 2));
	mmu_switch(child);
	read_tokens(w, at(w, 1), at(w, 3));
	/* A part of a page: words of it. */
	assert_int_equal(mm_madvise(child, at(w, 1) + w->page, w->page, MADV_REMOVE), 0);
	assert_pool(w, 1, 0);
	read_zeroes(w, at(w, 1) + w->page, at(w, 1) + 2 * w->page);
	read_tokens(w, at(w, 1), at(w, 1) + w->page);
	mmu_switch(w->mm);
	mm_put(child);
}

static struct page *page_at(struct world *w, u64 va)
{
	return pfn_to_page(w->mm->memory, leaf_pfn(w->a, pgtable_translation(w->mm, va), w->level));
}

/*
 * As a child does that is about to copy it: somebody holds the page while the owner unmaps it. When it is free at
 * last, nobody is there to have it set aside for.
 */
static void freed_behind_its_owner(struct world *w)
{
	struct mm *child;
	struct page *head;

	write_tokens(w, at(w, 0), at(w, 2));
	child = fork_it(w);
	write_tokens(w, at(w, 0), at(w, 1));
	assert_int_equal(count_of(w, COUNTER_FAULT_WP_COPY), 1);
	head = page_at(w, at(w, 0));
	page_get(head);
	/* Dropped only: the owner is still there, and gets it back. */
	assert_int_equal(mm_madvise(w->mm, at(w, 0), w->huge, MADV_DONTNEED), 0);
	assert_pool(w, 1, 1);
	page_put(w->mm->memory, head);
	assert_pool(w, 2, 2);
	write_tokens(w, at(w, 0), at(w, 1));
	head = page_at(w, at(w, 0));
	page_get(head);
	assert_int_equal(mm_munmap(w->mm, at(w, 0), MAPPED * w->huge), 0);
	assert_pool(w, 1, 0);
	page_put(w->mm->memory, head);
	assert_pool(w, 2, 0);
	mm_put(child);
}

/* The middle one of three: each part keeps what is reserved for it. */
static void move_middle(struct world *w)
{
	u64 to = map(w, 1, HUGE);

	assert_int_equal(mm_munmap(w->mm, to, w->huge), 0);
	to -= 4 * w->huge;
	assert_int_equal(mm_mremap(w->mm, at(w, 1), w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(w->mm->map_count, 3);
	assert_pool(w, MAPPED + 1, MAPPED);
	write_tokens(w, to, to + w->huge);
	assert_pool(w, MAPPED, MAPPED - 1);
	assert_int_equal(mm_madvise(w->mm, to, w->huge, MADV_DONTNEED), 0);
	assert_pool(w, MAPPED + 1, MAPPED);
	assert_int_equal(mm_munmap(w->mm, to, w->huge), 0);
	assert_pool(w, MAPPED + 1, MAPPED - 1);
	write_tokens(w, at(w, 0), at(w, 1));
	write_tokens(w, at(w, 2), at(w, 3));
	assert_pool(w, MAPPED - 1, 0);
}

static void where_and_what(struct world *w)
{
	u32 size = size_flag(w);
	char *text = NULL;
	size_t length;
	FILE *out;
	s64 got;

	assert_int_equal(mm_mmap(w->mm, 0, w->huge, RW, HUGE | 13u << MAP_HUGE_SHIFT, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(w->mm, 0, 0, RW, HUGE | size, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(w->mm, 0, ~0ull, RW, HUGE | size, NULL, 0), -EINVAL); /* rounded up to 0 */
	assert_int_equal(mm_mmap(w->mm, 0, ~0ull << 30, RW, HUGE | size, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(w->mm, 0, w->huge, RW, HUGE | size, NULL, w->page), -EINVAL);
	assert_int_equal(mm_mmap(w->mm, at(w, 0) + w->page, w->huge, RW, HUGE | MAP_FIXED | size, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(w->mm, 0, w->huge, RW, HUGE | MAP_GROWSDOWN | size, NULL, 0), -EINVAL);
	/* The length is rounded up, a hint likewise. */
	got = mm_mmap(w->mm, at(w, 0) - 3 * w->huge - w->page, 1, RW, HUGE | size, NULL, 0);
	assert_int_equal(got, at(w, 0) - 3 * w->huge);
	assert_pool(w, MAPPED + 1, MAPPED + 1);
	assert_int_equal(mm_munmap(w->mm, (u64)got, w->huge), 0);
	/* Beside another one, and not part of it. */
	got = mm_mmap(w->mm, at(w, 0) - w->huge, w->huge, RW, HUGE | MAP_FIXED_NOREPLACE | size, NULL, 0);
	assert_int_equal(got, at(w, 0) - w->huge);
	assert_int_equal(w->mm->map_count, 2);
	write_tokens(w, (u64)got, at(w, 1));
	read_tokens(w, (u64)got, at(w, 1));
	out = open_memstream(&text, &length);
	assert_non_null(out);
	mm_print_maps(w->mm, out);
	fclose(out);
	assert_non_null(strstr(text, "/anon_hugepage (deleted)"));
	free(text);
}

/* What was there before has left tables. */
static void over_small_pages(struct world *w)
{
	u32 small = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	u64 start, value;

	assert_int_equal(mm_munmap(w->mm, at(w, 0), 3 * w->huge), 0);
	start = at(w, 1);
	for (u32 i = 0; i < 6; i++) {
		u64 va = start + i * w->huge / 6 / w->page * w->page;

		assert_int_equal(mm_mmap(w->mm, va, w->page, RW, small, NULL, 0), va);
		assert_int_equal(user_write(va, 1), FAULT_OK);
	}
	/* One by one: a range lock covers less than the larger tables. */
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(mm_munmap(w->mm, start + i * w->huge / 6 / w->page * w->page, w->page), 0);
	assert_int_equal(mm_mmap(w->mm, start - w->page, w->page, RW, small, NULL, 0), start - w->page);
	assert_int_equal(user_write(start - w->page, 2), FAULT_OK);
	assert_int_equal(mm_mmap(w->mm, start, w->huge, RW, HUGE | MAP_FIXED | size_flag(w), NULL, 0), start);
	write_tokens(w, start, start + w->huge);
	assert_true(is_leaf(w, start));
	read_tokens(w, start, start + w->huge);
	assert_int_equal(user_read(start - w->page, &value), FAULT_OK);
	assert_int_equal(value, 2);
	/* And back. */
	assert_int_equal(mm_mmap(w->mm, start, 2 * w->page, RW, small, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(w->mm, start, w->huge, RW, small, NULL, 0), start);
	assert_int_equal(user_write(start, 1), FAULT_OK);
	assert_false(is_leaf(w, start));
	assert_int_equal(mm_mmap(w->mm, start, w->huge, RW, HUGE | MAP_FIXED | size_flag(w), NULL, 0), start);
	read_zeroes(w, start, start + w->huge);
}

static const struct {
	const char *name;
	void (*fn)(struct world *w);
} cases[] = {
	{"fault_once", fault_once},	    {"only_whole_pages", only_whole_pages},
	{"other_advice", other_advice},	    {"protect", protect},
	{"move", move},			    {"fork_and_copy", fork_and_copy},
	{"fork_without_pages", fork_without_pages}, {"own_copy_stays", own_copy_stays},
	{"reservations", reservations},
	{"shared", shared},		    {"punch", punch},
	{"freed_behind_its_owner", freed_behind_its_owner}, {"move_middle", move_middle},
	{"where_and_what", where_and_what},
	{"over_small_pages", over_small_pages},
};

static void run_cases(const struct arch_desc *a, u32 level, const struct mm_locking *scheme)
{
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w = world_create(&(struct setting){
			.a = a, .level = level, .scheme = scheme, .pool = MAPPED + 1, .tasks = 1, .seed = 1});

		w.base = map(&w, MAPPED, HUGE);
		cases[i].fn(&w);
		world_destroy(&w);
	}
}

/* Every size that the architecture has; and of how many there are in all. */
static void every_arch(void **state)
{
	u32 n = 0;

	for (u32 i = 0; test_arch(i); i++) {
		const struct arch_desc *a = test_arch(i);

		/* mm/ cannot run on it: its root is larger than a page. */
		if (8u << a->idx_bits[a->levels - 1] > arch_page_bytes(a))
			continue;
		for (u32 level = 1; level < a->levels; level++) {
			if (!(a->huge_levels >> level & 1) || level_bytes(a, level) > 1ull << 30)
				continue;
			run_cases(a, level, &mm_locking_mmap_lock);
			n++;
		}
	}
	/* x86 and la57 2 each; arm64 4k, 4k-52, v8.0 2 each, the others 1 each; ppc64-radix 2. */
	assert_int_equal(n, 2 * 2 + 3 * 2 + 4 + 2);
}

static void every_scheme(void **state)
{
	for (u32 i = 0; mm_locking_all[i]; i++)
		if (mm_locking_all[i]->caps & LK_CAP_CORRECT)
			for (u32 level = 1; level <= 2; level++)
				run_cases(&arch_x86_64, level, mm_locking_all[i]);
}

/* ---- sizes and pools -------------------------------------------------------------------------------- */

static int init_with(const struct arch_desc *a, u64 memory_bytes, u64 pages, u64 pages_1g, struct machine **m)
{
	const struct machine_config cfg = {.tasks = 1, .cpus = 1, .memory_bytes = memory_bytes, .content_words = 1};
	const struct mm_config mm_cfg = {
		.params = {[MM_PARAM_HUGEPAGES] = pages, [MM_PARAM_HUGEPAGES_1G] = pages_1g}};

	*m = machine_create(&cfg);
	assert_non_null(*m);
	return mm_machine_init(*m, a, &mm_cfg);
}

static void pools(void **state)
{
	struct hugetlb_pool p;
	struct machine *m;

	assert_int_equal(init_with(&arch_x86_64, 4ull << 30, 5, 2, &m), 0);
	machine_enter(m);
	assert_true(hugetlb_pool(m, 0, &p));
	assert_true(p.bytes == 2ull << 20 && p.count == 5 && p.free == 5 && !p.reserved);
	assert_true(hugetlb_pool(m, 1, &p));
	assert_true(p.bytes == 1ull << 30 && p.count == 2 && p.free == 2 && !p.reserved);
	assert_false(hugetlb_pool(m, 2, &p));
	/* The rest of memory is there, ragged end and all. */
	assert_int_equal(memory_frames_used(m), 3 + 5 * 512 + 2 * 262144);
	machine_leave();
	mm_machine_destroy(m);
	machine_destroy(m);

	/* 3 GiB and 5 MiB: two whole GiB besides the first, which has the reserved frames. */
	assert_int_equal(init_with(&arch_x86_64, (3ull << 30) + (5 << 20), 0, 2, &m), 0);
	mm_machine_destroy(m);
	machine_destroy(m);
	assert_int_equal(init_with(&arch_x86_64, (3ull << 30) + (5 << 20), 0, 3, &m), -ENOMEM);
	machine_destroy(m);
	assert_int_equal(init_with(&arch_arm64_16k, 1ull << 30, 0, 1, &m), -EINVAL);
	machine_destroy(m);
	assert_int_equal(init_with(&arch_ppc64_hash, 1ull << 30, 1, 0, &m), -EINVAL);
	machine_destroy(m);
	assert_int_equal(init_with(&arch_ppc64_hash, 1ull << 30, 0, 0, &m), 0);
	mm_machine_destroy(m);
	machine_destroy(m);
}

/* Pages of 1 GiB have a structure of their own in the TLB: as many as it holds are found there. */
static void giant_tlb(void **state)
{
	struct machine_model model;
	struct machine_model_error error;
	struct setting s = {.a = &arch_x86_64, .level = 2, .scheme = &mm_locking_mmap_lock, .pool = 4, .tasks = 1};
	struct world w;
	u64 misses, level2;

	if (machine_model_load(&model, "laptop8", &error) ||
	    machine_model_set(&model, "tlb.l1_giant_entries", "4", &error) ||
	    machine_model_set(&model, "tlb.l1_giant_ways", "4", &error))
		fail_msg("%s", error.text);
#if defined(MMSIM_ENGINE_VIRTUAL)
	s.model = &model;
#endif
	w = world_create(&s);
	w.base = map(&w, 4, HUGE | MAP_POPULATE);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(user_write(at(&w, i), 1), FAULT_OK);
	misses = count_of(&w, COUNTER_TLB_MISS);
	level2 = count_of(&w, COUNTER_TLB_L2_HIT);
	for (u32 i = 0; i < 4; i++)
		write_tokens(&w, at(&w, i), at(&w, i + 1));
	for (u32 i = 0; i < 4; i++)
		read_tokens(&w, at(&w, i), at(&w, i + 1));
	if (s.model) {
		assert_int_equal(count_of(&w, COUNTER_TLB_MISS), misses);
		assert_int_equal(count_of(&w, COUNTER_TLB_L2_HIT), level2);
	}
	/* And one operation is enough to drop one. */
	level2 = count_of(&w, COUNTER_TLB_FLUSH_PAGES);
	assert_int_equal(mm_madvise(w.mm, at(&w, 1), w.huge, MADV_DONTNEED), 0);
	assert_int_equal(count_of(&w, COUNTER_TLB_FLUSH_PAGES) - level2, 1);
	assert_int_equal(count_of(&w, COUNTER_TLB_FLUSH_FULL), 0);
	read_zeroes(&w, at(&w, 1), at(&w, 2));
	world_destroy(&w);
}

/* What a VMA lock covers: hugetlb since 6.7. */
static void coverage(void **state)
{
	for (u32 choice = 2; choice <= 4; choice++) { /* 6.4, 6.7, 6.15 */
		const struct machine_config cfg = {.tasks = 1, .cpus = 1, .memory_bytes = 64ull << 20,
						   .content_words = 1};
		const struct mm_config mm_cfg = {.params = {[MM_PARAM_COVERAGE] = choice, [MM_PARAM_HUGEPAGES] = 2}};
		struct machine *m = machine_create(&cfg);
		struct mm *mm;
		u64 va, alone;

		assert_int_equal(mm_machine_init(m, &arch_x86_64, &mm_cfg), 0);
		machine_enter(m);
		mm = mm_create(m, &arch_x86_64, &mm_locking_vma_refcnt);
		mmu_switch(mm);
		va = (u64)mm_mmap(mm, 0, 4ull << 20, RW, HUGE, NULL, 0);
		assert_int_equal(user_write(va, 1), FAULT_OK); /* gives the anon_vma */
		alone = machine_counter(m, COUNTER_VMA_LOCK_SUCCESS);
		assert_int_equal(user_write(va + (2 << 20), 1), FAULT_OK);
		assert_int_equal(machine_counter(m, COUNTER_VMA_LOCK_SUCCESS) - alone, choice >= 3);
		mmu_switch(NULL);
		mm_put(mm);
		machine_leave();
		mm_machine_destroy(m);
		machine_destroy(m);
	}
}

/* A CPU that reads a page while another makes a copy of it: what the child writes afterwards, into the page
 * that is its own now, that CPU must not see. */
struct reader {
	struct world *w;
	struct mm *child;
	u32 phase;
};

static void wait_for(struct reader *r, u32 phase)
{
	while (smp_load_acquire(&r->phase) < phase)
		engine_yield();
}

static void read_or_copy(void *arg, u32 index)
{
	struct reader *r = arg;
	u64 mine = at(r->w, 0) + r->w->page, value = 0;

	mmu_switch(r->w->mm);
	for (u32 phase = 0; index == 0 && phase <= 2; phase += 2) {
		wait_for(r, phase);
		if (user_read(mine, &value) != FAULT_OK || value != token(mine))
			MMSIM_BUG("phase %u: %llx", phase, (unsigned long long)value);
		if (!phase)
			smp_store_release(&r->phase, 1u);
	}
	if (index == 1) {
		wait_for(r, 1);
		if (user_write(at(r->w, 0), 1) != FAULT_OK)
			MMSIM_BUG("no copy");
		mmu_switch(r->child);
		if (user_write(mine, 1) != FAULT_OK)
			MMSIM_BUG("no page");
		smp_store_release(&r->phase, 2u);
	}
	mmu_switch(NULL);
}

static void copy_is_flushed(void **state)
{
	for (u32 level = 1; level <= 2; level++) {
		struct world w = world_create(&(struct setting){.a = &arch_x86_64, .level = level, .pool = 2,
								.scheme = &mm_locking_mmap_lock, .tasks = 2});
		struct reader r = {.w = &w};

		w.base = map(&w, 1, HUGE);
		write_tokens(&w, at(&w, 0), at(&w, 1));
		assert_int_equal(user_write(at(&w, 0) + w.page, token(at(&w, 0) + w.page)), FAULT_OK);
		r.child = fork_it(&w);
		world_run(&w, 2, read_or_copy, &r);
		assert_int_equal(count_of(&w, COUNTER_FAULT_WP_COPY), 1);
		assert_int_equal(count_of(&w, COUNTER_FAULT_WP_REUSE), 1);
		mm_put(r.child);
		world_destroy(&w);
	}
}

/* ---- under load --------------------------------------------------------------------------------------- */

#define LEAVES 3u
#define SLOTS 8u /* words of a leaf that are used */
#define WRITERS 2u
#define CHANGERS 2u
#ifdef MMSIM_ENGINE_VIRTUAL
#define ROUNDS 12u
#else
#define ROUNDS 60u
#endif

struct load {
	struct world *w;
	u64 seed;
	u32 rounds; /* of each changer; writers go on until they have done */
	u32 kind;   /* MAP_PRIVATE or MAP_SHARED */
	bool drops; /* nothing but MADV_DONTNEED: every access must succeed */
	atomic_t changing;
};

static u64 slot_va(const struct load *l, u64 leaf, u64 slot)
{
	const struct world *w = l->w;

	return at(w, leaf) + slot * (w->huge / SLOTS) + slot * w->page * (w->huge / SLOTS > SLOTS * w->page);
}

static void check_result(const struct load *l, enum fault_result result, u64 va)
{
	if (l->drops && result != FAULT_OK)
		MMSIM_BUG("result %d at %llx, which is reserved", result, (unsigned long long)va);
	if (result != FAULT_OK && result != FAULT_SIGSEGV_ACCERR && result != FAULT_SIGSEGV_MAPERR &&
	    result != FAULT_SIGBUS)
		MMSIM_BUG("result %d at %llx", result, (unsigned long long)va);
}

/* The slots are the writers' in turn. Each finds there what it wrote last, or zero if that was dropped. */
/*
 * As in Linux, a page that a drop has unmapped may become its last user's own, a child's, before the drop has
 * flushed the TLBs: reads beside a drop may see what the child writes. Not for longer.
 */
static bool only_in_tlb(const struct load *l, u64 va, u64 value, u64 mine)
{
	bool childs = l->kind == MAP_PRIVATE && value >> 63;

	for (u32 i = 0; childs && i < 1000; i++) {
		engine_delay_ns(10000);
		if (user_read(va, &value) != FAULT_OK || !value || value == mine)
			return true;
	}
	return false;
}

static void load_write(struct load *l, u32 index, u64 last[LEAVES * SLOTS], u64 *rng)
{
	u64 leaf = test_random(rng) % LEAVES, slot = test_random(rng) % (SLOTS / WRITERS) * WRITERS + index;
	u64 va = slot_va(l, leaf, slot), *mine = &last[leaf * SLOTS + slot], value;
	enum fault_result result;

	if (test_random(rng) & 1) {
		value = *mine + WRITERS + index + 1;
		result = user_write(va, value);
		if (result == FAULT_OK)
			*mine = value;
	} else {
		result = user_read(va, &value);
		if (result == FAULT_OK && value && value != *mine && !only_in_tlb(l, va, value, *mine))
			MMSIM_BUG("%llu at %llx, where %llu was written", (unsigned long long)value,
				  (unsigned long long)va, (unsigned long long)*mine);
	}
	check_result(l, result, va);
}

/* A child's memory stands still, whatever the parent does. It may lose pages. */
static void load_fork(struct load *l, u64 *rng)
{
	struct world *w = l->w;
	u64 before[LEAVES * SLOTS], value;
	bool had[LEAVES * SLOTS];
	struct mm *child;
	int err;

	child = mm_fork(w->mm, &err);
	if (!child)
		return;
	mmu_switch(child);
	for (u32 round = 0; round < 2; round++)
		for (u32 i = 0; i < LEAVES * SLOTS; i++) {
			u64 va = slot_va(l, i / SLOTS, i % SLOTS);
			enum fault_result result = user_read(va, &value);

			check_result(l, result, va);
			if (!round) {
				had[i] = result == FAULT_OK;
				before[i] = value;
			} else if (l->kind == MAP_PRIVATE && had[i] && result == FAULT_OK && value != before[i]) {
				MMSIM_BUG("child: %llu at %llx, where %llu was", (unsigned long long)value,
					  (unsigned long long)va, (unsigned long long)before[i]);
			}
		}
	/* Into the parent's old pages, where it has copies by now. */
	for (u32 i = 0; i < LEAVES * SLOTS; i++)
		check_result(l, user_write(slot_va(l, i / SLOTS, i % SLOTS), test_random(rng) | 1ull << 63), 0);
	engine_yield();
	mmu_switch(w->mm);
	mm_put(child);
}

static void load_change(struct load *l, u32 index, u64 *rng)
{
	struct world *w = l->w;
	u64 leaf = at(w, test_random(rng) % LEAVES), spare = at(w, LEAVES + index);
	u32 flags = (u32)l->kind | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | size_flag(w);

	switch (l->drops ? 0 : test_random(rng) % 8) {
	case 0:
	case 1:
		(void)mm_madvise(w->mm, leaf, w->huge,
				 l->kind == MAP_SHARED && (test_random(rng) & 1) ? MADV_REMOVE : MADV_DONTNEED);
		break;
	case 2:
		(void)mm_mprotect(w->mm, leaf, w->huge, PROT_READ);
		(void)mm_mprotect(w->mm, at(w, 0), LEAVES * w->huge, RW);
		break;
	case 3:
		(void)mm_mprotect(w->mm, leaf, w->huge, PROT_NONE);
		(void)mm_mprotect(w->mm, leaf, w->huge, RW);
		break;
	case 4:
		(void)mm_munmap(w->mm, leaf, w->huge);
		(void)mm_mmap(w->mm, at(w, 0), LEAVES * w->huge, RW, flags, NULL, 0);
		break;
	case 5:
		/* Not back: what another changer has mapped there meanwhile would be lost. */
		(void)mm_mremap(w->mm, leaf, w->huge, w->huge, MREMAP_MAYMOVE | MREMAP_FIXED, spare);
		(void)user_write(spare + w->page, 1);
		(void)mm_munmap(w->mm, spare, w->huge);
		(void)mm_mmap(w->mm, at(w, 0), LEAVES * w->huge, RW, flags, NULL, 0);
		break;
	default:
		if (l->kind == MAP_PRIVATE)
			load_fork(l, rng);
		else
			(void)mm_madvise(w->mm, leaf, w->huge, MADV_POPULATE_WRITE);
	}
}

static void load_task(void *arg, u32 index)
{
	struct load *l = arg;
	u64 rng = l->seed * 1000 + index, last[LEAVES * SLOTS] = {0};

	mmu_switch(l->w->mm);
	if (index >= WRITERS) {
		for (u32 i = 0; i < l->rounds; i++)
			load_change(l, index, &rng);
		atomic_dec(&l->changing);
	} else {
		while (atomic_read(&l->changing)) {
			load_write(l, index, last, &rng);
			/* TLB hits alone would be a million in each wait of the changers. */
			engine_delay_ns(500);
		}
	}
	mmu_switch(NULL);
}

static u64 leaves_seen, copies_seen, taken_seen;

static void run_load(const struct arch_desc *a, u32 level, const struct mm_locking *scheme, u32 kind, bool drops,
		     enum schedule schedule, u32 rounds, u64 seed)
{
	/* With a page to spare for copies or without; drops must do without. */
	struct world w = world_create(&(struct setting){.a = a, .level = level, .scheme = scheme,
							.pool = LEAVES + (drops ? 0 : (u32)(seed & 1)),
							.tasks = WRITERS + CHANGERS, .schedule = schedule,
							.seed = seed});
	struct load l = {.w = &w, .seed = seed, .rounds = rounds, .kind = kind, .drops = drops,
			 .changing = {CHANGERS}};

	/* The place is the test's: what replaces it may fail for want of pages. */
	w.base = map(&w, LEAVES, MAP_ANONYMOUS | MAP_HUGETLB | kind) - 8 * w.huge;
	assert_int_equal(mm_munmap(w.mm, w.base + 8 * w.huge, LEAVES * w.huge), 0);
	assert_int_equal(mm_mmap(w.mm, w.base, LEAVES * w.huge, RW,
				 MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | kind | size_flag(&w), NULL, 0), w.base);
	world_run(&w, WRITERS + CHANGERS, load_task, &l);
	leaves_seen += count_of(&w, COUNTER_HUGETLB_ALLOC);
	copies_seen += count_of(&w, COUNTER_FAULT_WP_COPY);
	taken_seen += count_of(&w, COUNTER_HUGETLB_TAKEN_BACK);
	world_destroy(&w);
}

static void under_load(void **state)
{
	u64 seed = test_seed("under_load");
	const char *more = getenv("MMSIM_HUGE_ROUNDS");
	u32 rounds = more ? (u32)atoi(more) : ROUNDS;

	for (u32 i = 0; mm_locking_all[i]; i++) {
		const struct mm_locking *scheme = mm_locking_all[i];

		if (!(scheme->caps & LK_CAP_CORRECT))
			continue;
		for (u32 level = 1; level <= 2; level++) {
			u32 n = level == 1 ? rounds : rounds / 4 + 1;

			run_load(&arch_x86_64, level, scheme, MAP_PRIVATE, false, SCHEDULE_TIME, n, seed + i);
			run_load(&arch_x86_64, level, scheme, MAP_SHARED, false, SCHEDULE_TIME, n, seed + i);
			if (level == 1)
				run_load(&arch_x86_64, 1, scheme, MAP_PRIVATE, true, SCHEDULE_TIME, 2 * n, seed);
#ifdef MMSIM_ENGINE_VIRTUAL
			run_load(&arch_x86_64, level, scheme, MAP_PRIVATE, false, SCHEDULE_RANDOM, n, seed + i);
			if (level == 1)
				run_load(&arch_x86_64, 1, scheme, MAP_PRIVATE, true, SCHEDULE_RANDOM, n, seed + i);
#endif
		}
	}
	run_load(&arch_arm64_4k_v80, 1, &mm_locking_vma_refcnt, MAP_PRIVATE, false, SCHEDULE_TIME, rounds, seed);
	run_load(&arch_arm64_16k, 1, &mm_locking_range, MAP_PRIVATE, false, SCHEDULE_TIME, rounds, seed);
	run_load(&arch_ppc64_radix, 2, &mm_locking_spf, MAP_PRIVATE, false, SCHEDULE_TIME, rounds / 4 + 1, seed);
	printf("%llu leaves, %llu copies, %llu taken back\n", (unsigned long long)leaves_seen,
	       (unsigned long long)copies_seen, (unsigned long long)taken_seen);
	assert_true(leaves_seen > 100 && copies_seen > 5 && taken_seen > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_arch),
		cmocka_unit_test(every_scheme),
		cmocka_unit_test(pools),
		cmocka_unit_test(giant_tlb),
		cmocka_unit_test(coverage),
		cmocka_unit_test(copy_is_flushed),
		cmocka_unit_test(under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
