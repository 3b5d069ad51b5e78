/*
 * tests/unit/mm/locking/test_spf.c - speculative faults: each refusal, and where a lost check would show
 *
 * The scheme's hooks are called by hand where a writer has to come at a certain moment.
 */
#include "tests/unit/mm/mm_world.h"
#include "mm/locking/spf_common.h"
#include "tests/unit/test_seed.h"

#define MEMORY (32ull << 20)
#define TABLE_BYTES (2ull << 20)

static const struct mm_locking *const schemes[] = {&mm_locking_spf, &mm_locking_spf_seqcount};

/* The tree that a scheme does not take is not tried. */
static struct mm_world world(const struct mm_locking *scheme, u32 tasks, enum schedule schedule, u64 seed)
{
	const struct machine_config cfg = {.tasks = tasks,
					   .memory_bytes = MEMORY,
					   .content_words = WORDS,
					   .seed = seed,
					   .schedule = schedule};
	struct mm_world w = {.m = machine_create(&cfg)};

	assert_non_null(w.m);
	machine_enter(w.m);
	assert_int_equal(mm_machine_init(w.m, &arch_x86_64, NULL), 0);
	w.mem = memory_of(w.m);
	w.mm = mm_create(w.m, &arch_x86_64, scheme);
	assert_non_null(w.mm);
	mmu_switch(w.mm);
	return w;
}

/* A VMA with an anon_vma, and a table over it: its first page has been written. */
static u64 warm_vma(struct mm_world *w, u64 pages)
{
	s64 va = mm_mmap(w->mm, 0x40000000, pages * PAGE, RW, ANON | MAP_FIXED, NULL, 0);

	assert_int_equal(va, 0x40000000);
	write_word((u64)va, 1);
	return (u64)va;
}

/* One access, one attempt, one reason; the classic way gives the same result whatever the reason. */
#define EXPECT_ABORT(w, reason, expr)                                                              \
	do {                                                                                       \
		u64 success_ = COUNT(w, SPF_SUCCESS), user_ = COUNT(w, FAULT_USER);                \
		EXPECT_COUNT(w, SPF_ABORT_##reason, 1, expr);                                      \
		assert_int_equal(COUNT(w, SPF_SUCCESS), success_);                                 \
		assert_int_equal(COUNT(w, FAULT_USER), user_ + 1);                                 \
	} while (0)

static void success_takes_no_lock(void **state)
{
	for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
		struct mm_world w = world(schemes[s], 1, SCHEDULE_TIME, 1);
		u64 va = warm_vma(&w, 8), locked = COUNT(&w, MMAP_LOCK_READ);
		int error;
		struct mm *child;

		EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(va + PAGE, 2));
		EXPECT_COUNT(&w, SPF_SUCCESS, 1, assert_int_equal(read_word(va + 2 * PAGE), 0));
		/* The zero page gives way to one of its own: a copy under a lock that is only tried. */
		EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(va + 2 * PAGE, 3));
		assert_int_equal(COUNT(&w, MMAP_LOCK_READ), locked);
		child = mm_fork(w.mm, &error);
		assert_non_null(child);
		EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(va + PAGE, 4));
		assert_int_equal(COUNT(&w, FAULT_WP_COPY), 1);
		mm_put(child);
		EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(va + 2 * PAGE, 5));
		assert_int_equal(COUNT(&w, MMAP_LOCK_READ), locked);
		mm_world_destroy(&w);
	}
}

static void refused_by_what_is_there(void **state)
{
	for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
		bool per_vma = schemes[s] == &mm_locking_spf;
		struct mm_world w = world(schemes[s], 1, SCHEDULE_TIME, 1);
		struct file *file = new_file(&w, INODE_REGULAR, 2 * PAGE);
		u64 va = warm_vma(&w, 8), other;

		EXPECT_ABORT(&w, UNMAPPED,
			     assert_int_equal(user_read(va + 8 * PAGE, NULL), FAULT_SIGSEGV_MAPERR));
		EXPECT_ABORT(&w, UNMAPPED,
			     assert_int_equal(user_read(va - PAGE, NULL), FAULT_SIGSEGV_MAPERR));
		assert_int_equal(mm_mprotect(w.mm, va + 4 * PAGE, PAGE, PROT_READ), 0);
		EXPECT_ABORT(&w, ACCESS,
			     assert_int_equal(user_write(va + 4 * PAGE, 1), FAULT_SIGSEGV_ACCERR));
		other = map_file(&w, file, 2, RW, MAP_SHARED);
		EXPECT_ABORT(&w, NOTSUP, write_word(other, 1));

		/* No anon_vma, and apart, so that it gets one of its own. Same table: only that lacks. */
		other = va + 64 * PAGE;
		assert_int_equal(mm_mmap(w.mm, other, 4 * PAGE, RW, ANON | MAP_FIXED, NULL, 0), other);
		if (per_vma)
			EXPECT_ABORT(&w, NOANON, assert_int_equal(read_word(other), 0));
		else
			EXPECT_COUNT(&w, SPF_SUCCESS, 1, assert_int_equal(read_word(other), 0));
		EXPECT_ABORT(&w, NOANON, write_word(other + PAGE, 1));
		EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(other + 2 * PAGE, 1));
		file_put(file);
		mm_world_destroy(&w);
	}
}

/* A fault under way never makes a table: one classic fault for each. */
static void a_table_is_never_made(void **state)
{
	for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
		struct mm_world w = world(schemes[s], 1, SCHEDULE_TIME, 1);
		u64 va = warm_vma(&w, 3 * TABLE_BYTES / PAGE), tables;

		for (u64 at = va + TABLE_BYTES; at < va + 3 * TABLE_BYTES; at += TABLE_BYTES) {
			EXPECT_ABORT(&w, PMD, write_word(at, 1));
			tables = COUNT(&w, PT_ALLOC);
			EXPECT_COUNT(&w, SPF_SUCCESS, 1, write_word(at + PAGE, 1));
			assert_int_equal(COUNT(&w, PT_ALLOC), tables);
		}
		mm_world_destroy(&w);
	}
}

/* ---- writers at chosen moments ----------------------------------------------------------------- */

static struct fault fault_at(struct mm *mm, u64 va)
{
	return (struct fault){.mm = mm,
			      .va = va,
			      .access = ACCESS_WRITE,
			      .user = true,
			      .speculative = true,
			      .hold = mm_hold(HOLD_FAULT)};
}

static void writer_enters(const struct mm_locking *s, struct mm *mm, u64 va)
{
	if (s == &mm_locking_spf)
		vm_write_begin(vma_tree_load(&mm->vmas, va));
	else
		mmap_write_lock(mm, mm_hold(HOLD_SYSCALL), MM_RANGE_ALL);
}

static void writer_leaves(const struct mm_locking *s, struct mm *mm, u64 va)
{
	if (s == &mm_locking_spf)
		vm_write_end(vma_tree_load(&mm->vmas, va));
	else
		mmap_write_unlock(mm_hold(HOLD_SYSCALL));
}

static bool try_pte_lock(struct mm_world *w, struct fault *f)
{
	const struct mm_locking *s = w->mm->locking;
	bool locked;

	s->walk_begin(f);
	f->pte = pgtable_lookup(w->mm, f->va, &f->ptl);
	assert_non_null(f->pte);
	locked = s->pte_lock(f, f->ptl);
	s->walk_end(f);
	return locked;
}

static void a_writer_is_noticed(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(schemes); i++) {
		const struct mm_locking *s = schemes[i];
		struct mm_world w = world(s, 1, SCHEDULE_TIME, 1);
		u64 va = warm_vma(&w, 8);
		struct fault f = fault_at(w.mm, va + PAGE);

		/* Before: refused at once. */
		writer_enters(s, w.mm, va);
		EXPECT_COUNT(&w, SPF_ABORT_ODD, 1,
			     assert_int_equal(s->fault_begin(&f, LK_TRY), LK_CONTENDED));
		writer_leaves(s, w.mm, va);

		/* Meanwhile, still inside or gone again: refused at the page-table lock. */
		for (u32 gone = 0; gone < 2; gone++) {
			assert_int_equal(s->fault_begin(&f, LK_TRY), LK_OK);
			assert_ptr_not_equal(f.vma, vma_tree_load(&w.mm->vmas, va)); /* a copy */
			writer_enters(s, w.mm, va);
			if (gone)
				writer_leaves(s, w.mm, va);
			assert_false(try_pte_lock(&w, &f));
			assert_int_equal(f.refusal, REFUSED_VMA_CHANGED);
			if (!gone)
				writer_leaves(s, w.mm, va);
			EXPECT_COUNT(&w, SPF_ABORT_SEQ1, 1, s->fault_end(&f, true));
		}

		/* The lock is only tried. */
		assert_int_equal(s->fault_begin(&f, LK_TRY), LK_OK);
		assert_non_null(pgtable_lookup(w.mm, va, &f.ptl));
		spin_lock(f.ptl);
		assert_false(try_pte_lock(&w, &f));
		spin_unlock(f.ptl);
		EXPECT_COUNT(&w, SPF_ABORT_PTE_LOCK, 1, s->fault_end(&f, true));

		/* Nobody came. */
		f.refusal = REFUSED_NOT_SAID;
		assert_int_equal(s->fault_begin(&f, LK_TRY), LK_OK);
		assert_true(try_pte_lock(&w, &f));
		spin_unlock(f.ptl);
		EXPECT_COUNT(&w, SPF_RETRY, 1, s->fault_end(&f, true));
		mm_world_destroy(&w);
	}
}

static u32 asked;

static bool changed_the_second_time(const struct fault *f)
{
	return asked++ == 1;
}

/* A writer that came between the first check and the lock has been and gone with the entries. */
static void the_check_under_the_lock_counts(void **state)
{
	struct mm_world w = world(&mm_locking_spf, 1, SCHEDULE_TIME, 1);
	u64 va = warm_vma(&w, 8);
	struct fault f = fault_at(w.mm, va);

	assert_int_equal(mm_locking_spf.fault_begin(&f, LK_TRY), LK_OK);
	assert_non_null(pgtable_lookup(w.mm, va, &f.ptl));
	asked = 0;
	assert_false(spf_pte_trylock(&f, f.ptl, changed_the_second_time));
	assert_false(spin_is_locked(f.ptl));
	EXPECT_COUNT(&w, SPF_ABORT_SEQ2, 1, mm_locking_spf.fault_end(&f, true));
	mm_world_destroy(&w);
}

/* Out of the tree, but a walk had found it: that munmap's zap is over shows nowhere else. */
static void a_dead_vma_is_refused(void **state)
{
	struct mm_world w = world(&mm_locking_spf, 1, SCHEDULE_TIME, 1);
	u64 va = warm_vma(&w, 8);
	struct vma *vma = vma_tree_load(&w.mm->vmas, va);
	struct vma_rb *next = vma->rb.next;
	struct fault f = fault_at(w.mm, va);

	WRITE_ONCE(vma->rb.next, NULL);
	EXPECT_COUNT(&w, SPF_ABORT_ODD, 1,
		     assert_int_equal(mm_locking_spf.fault_begin(&f, LK_TRY), LK_CONTENDED));
	WRITE_ONCE(vma->rb.next, next);
	mm_world_destroy(&w);
}

/* Two writers of one VMA overlap, which no lock forbids: inside until the last one has left, and changed
 * after that. */
static void two_writers_overlap(void **state)
{
	struct mm_world w = world(&mm_locking_spf, 1, SCHEDULE_TIME, 1);
	u64 va = warm_vma(&w, 8);
	struct vma *vma = vma_tree_load(&w.mm->vmas, va);
	struct fault f = fault_at(w.mm, va), g = f;

	assert_int_equal(mm_locking_spf.fault_begin(&f, LK_TRY), LK_OK);
	vm_write_begin(vma);
	vm_write_begin(vma);
	assert_int_equal(mm_locking_spf.fault_begin(&g, LK_TRY), LK_CONTENDED);
	vm_write_end(vma);
	assert_int_equal(mm_locking_spf.fault_begin(&g, LK_TRY), LK_CONTENDED);
	vm_write_end(vma);
	assert_int_equal(mm_locking_spf.fault_begin(&g, LK_TRY), LK_OK);
	assert_false(try_pte_lock(&w, &f));
	assert_true(try_pte_lock(&w, &g));
	spin_unlock(g.ptl);
	mm_locking_spf.fault_end(&f, true);
	mm_locking_spf.fault_end(&g, false);
	mm_world_destroy(&w);
}

/* Out of the tree, and zapped: whoever finds it late sees that it is dead; who had it cannot use it. */
static void munmap_meets_a_fault(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(schemes); i++) {
		const struct mm_locking *s = schemes[i];
		struct mm_world w = world(s, 1, SCHEDULE_TIME, 1);
		u64 va = warm_vma(&w, 8);
		struct vma *vma = vma_tree_load(&w.mm->vmas, va);
		struct fault f = fault_at(w.mm, va + PAGE);

		write_word(va + 7 * PAGE, 1);
		assert_int_equal(s->fault_begin(&f, LK_TRY), LK_OK);
		assert_int_equal(mm_munmap(w.mm, va, 4 * PAGE), 0); /* the table stays for the rest */
		assert_false(try_pte_lock(&w, &f));
		if (s == &mm_locking_spf)
			assert_false(vma->attached && vma->start == va); /* not given back yet: f may look */
		s->fault_end(&f, true);
		mm_world_destroy(&w);
	}
}

/* ---- many at once -------------------------------------------------------------------------------- */

#define TASKS 4
#define RUN_PAGES 8
#define AREA 0x50000000ull

struct storm {
	struct mm *mm;
	u32 rounds, done;
	u64 next; /* in the parent's page 0: written by task 1 alone */
};

#define HOLE (AREA + 64 * PAGE)
#define TABLE_AT (AREA + 4 * TABLE_BYTES)
#define TABLE_TO (AREA + 8 * TABLE_BYTES)

static void move(struct storm *s, u64 *from, u64 *to, u64 len, u64 round)
{
	u64 old = *from, value;

	if (mm_mremap(s->mm, old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, *to) != (s64)*to)
		MMSIM_BUG("mremap in round %llu", (unsigned long long)round);
	if (user_read(*to, &value) != FAULT_OK || value != 77)
		MMSIM_BUG("round %llu: %#llx moved", (unsigned long long)round,
			  (unsigned long long)value);
	*from = *to;
	*to = old;
}

/* A few pages to and fro between tables that stay, because something else is mapped there, and as many as
 * a table has, which moves. Nothing may be lost, nothing be in the target before. */
static void move_rounds(struct storm *s)
{
	u64 at = AREA, to = HOLE, table_at = TABLE_AT, table_to = TABLE_TO;

	for (u32 n = 0; n < s->rounds; n++) {
		move(s, &at, &to, RUN_PAGES * PAGE, n);
		move(s, &table_at, &table_to, TABLE_BYTES, n);
		if (n % 2 && (mm_madvise(s->mm, at + PAGE, (RUN_PAGES - 1) * PAGE, MADV_DONTNEED) ||
			      mm_madvise(s->mm, table_at + PAGE, RUN_PAGES * PAGE, MADV_DONTNEED)))
			MMSIM_BUG("madvise");
	}
	WRITE_ONCE(s->done, 1u);
}

/* Faults at either place, mapped or not at the moment. */
static void move_task(void *arg, u32 index)
{
	static const u64 place[] = {AREA, HOLE, TABLE_AT, TABLE_TO};
	struct storm *s = arg;

	mmu_switch(s->mm);
	if (index == 0)
		move_rounds(s);
	for (u64 n = index; !READ_ONCE(s->done); n++) {
		u64 va = place[n % 4] + (1 + n % (RUN_PAGES - 1)) * PAGE;
		enum fault_result r = n & 8 ? user_write(va, n) : user_read(va, NULL);

		if (r != FAULT_OK && r != FAULT_SIGSEGV_MAPERR)
			MMSIM_BUG("touch: %d", (int)r);
	}
	mmu_switch(NULL);
}

/*
 * A counter in memory that one task writes while another forks: no write of it may be lost, although
 * the first fault after each fork copies its page while other CPUs have it writable in their TLBs. Tasks
 * 2 and 3 write to other words of the same page, so that a fault of theirs may be the one that copies.
 */
static void fork_task(void *arg, u32 index)
{
	struct storm *s = arg;

	mmu_switch(s->mm);
	for (u64 n = 1; index ? !READ_ONCE(s->done) : n <= s->rounds; n++) {
		u64 va = AREA + index * 8, value;
		int error;

		if (!index) {
			struct mm *child = mm_fork(s->mm, &error);

			if (!child)
				MMSIM_BUG("fork");
			mm_put(child);
			engine_delay_ns(n % 4 * 1000);
			continue;
		}
		if (user_write(va, n) != FAULT_OK || user_read(va, &value) != FAULT_OK || value != n)
			MMSIM_BUG("task %u wrote %llu and read %llu", index, (unsigned long long)n,
				  (unsigned long long)value);
	}
	if (!index)
		WRITE_ONCE(s->done, 1u);
	mmu_switch(NULL);
}

/* Zap under the read lock, by several: their sections in one VMA's sequence overlap. */
static void zap_task(void *arg, u32 index)
{
	struct storm *s = arg;
	u64 va = AREA + index * PAGE, value;

	mmu_switch(s->mm);
	for (u64 n = 1; n <= s->rounds; n++) {
		if (user_write(va, n) != FAULT_OK || user_read(va, &value) != FAULT_OK || value != n)
			MMSIM_BUG("task %u lost a write", index);
		if (mm_madvise(s->mm, va, PAGE, MADV_DONTNEED) || user_read(va, &value) != FAULT_OK ||
		    value)
			MMSIM_BUG("task %u: a zapped page is back", index);
	}
	mmu_switch(NULL);
}

/* Map and unmap beside a page that keeps the table: nothing may be left in the hole. */
static void unmap_rounds(struct storm *s)
{
	for (u32 n = 0; n < s->rounds; n++) {
		if (mm_mmap(s->mm, HOLE, RUN_PAGES * PAGE, RW, ANON | MAP_FIXED, NULL, 0) != (s64)HOLE ||
		    user_write(HOLE, 1) != FAULT_OK || mm_munmap(s->mm, HOLE, RUN_PAGES * PAGE))
			MMSIM_BUG("round %u", n);
		for (u64 va = HOLE; va < HOLE + RUN_PAGES * PAGE; va += PAGE)
			if (mmu_probe(s->mm, va, ACCESS_READ))
				MMSIM_BUG("round %u: a page in the hole at %#llx", n,
					  (unsigned long long)va);
	}
	WRITE_ONCE(s->done, 1u);
}

static void unmap_task(void *arg, u32 index)
{
	struct storm *s = arg;

	mmu_switch(s->mm);
	if (index == 0)
		unmap_rounds(s);
	for (u64 n = index; !READ_ONCE(s->done); n++) {
		enum fault_result r = user_write(HOLE + n % 2 * PAGE, n);

		if (r != FAULT_OK && r != FAULT_SIGSEGV_MAPERR)
			MMSIM_BUG("touch: %d", (int)r);
	}
	mmu_switch(NULL);
}

static u64 successes; /* of all runs of a test */

static void storm(const struct mm_locking *scheme, void (*task)(void *, u32), u32 rounds,
		  enum schedule schedule, u64 seed)
{
	struct mm_world w = world(scheme, TASKS, schedule, seed);
	struct storm s = {.mm = w.mm, .rounds = rounds};

	assert_int_equal(mm_mmap(w.mm, AREA, TABLE_BYTES, RW, ANON | MAP_FIXED, NULL, 0), AREA);
	assert_int_equal(mm_mmap(w.mm, TABLE_AT, TABLE_BYTES, RW, ANON | MAP_FIXED, NULL, 0), TABLE_AT);
	for (u64 i = 0; i < TASKS; i++)
		write_word(AREA + i * 8, 77);
	write_word(TABLE_AT, 77);
	write_word(AREA + 256 * PAGE, 1); /* what keeps the table */
	assert_int_equal(mm_munmap(w.mm, AREA + RUN_PAGES * PAGE, 120 * PAGE), 0);
	mm_world_run(&w, TASKS, task, &s);
	successes += COUNT(&w, SPF_SUCCESS);
	if (scheme == &mm_locking_spf) { /* nobody is inside for ever */
		struct vma *vma;

		vma_tree_for_each (&w.mm->vmas, vma)
			assert_int_equal(vma->vm_sequence & 0xffff, 0);
	}
	mm_world_destroy(&w);
}

static void storms(void (*task)(void *, u32), u32 rounds_virtual, u32 rounds_native, const char *name)
{
	u64 seed = test_seed(name);

	successes = 0;
	for (u32 s = 0; s < ARRAY_SIZE(schemes); s++) {
#if defined(MMSIM_ENGINE_VIRTUAL)
		for (u32 i = 0; i < 3; i++)
			storm(schemes[s], task, rounds_virtual, SCHEDULE_RANDOM, seed + i);
		storm(schemes[s], task, rounds_virtual, SCHEDULE_TIME, seed);
		(void)rounds_native;
#else
		storm(schemes[s], task, rounds_native, SCHEDULE_TIME, seed);
		(void)rounds_virtual;
#endif
	}
	assert_true(successes > 0);
}

static void moves_under_faults(void **state)
{
	storms(move_task, 6, 300, "moves_under_faults");
}
static void forks_under_faults(void **state)
{
	storms(fork_task, 20, 300, "forks_under_faults");
}
static void unmaps_under_faults(void **state)
{
	storms(unmap_task, 50, 3000, "unmaps_under_faults");
}
static void zaps_under_faults(void **state)
{
	storms(zap_task, 40, 2000, "zaps_under_faults");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_takes_no_lock),
		cmocka_unit_test(refused_by_what_is_there),
		cmocka_unit_test(a_table_is_never_made),
		cmocka_unit_test(a_writer_is_noticed),
		cmocka_unit_test(the_check_under_the_lock_counts),
		cmocka_unit_test(a_dead_vma_is_refused),
		cmocka_unit_test(two_writers_overlap),
		cmocka_unit_test(munmap_meets_a_fault),
		cmocka_unit_test(moves_under_faults),
		cmocka_unit_test(forks_under_faults),
		cmocka_unit_test(unmaps_under_faults),
		cmocka_unit_test(zaps_under_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
