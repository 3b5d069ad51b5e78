/*
 * mm/fault.c - a page fault from the address to the installed entry: the table of contents
 *
 * Models       Linux 6.18: do_user_addr_fault, lock_mm_and_find_vma, handle_mm_fault.
 *              1. If the scheme has a try mode and the access is the user's: once under the
 *                 scheme's own VMA lock, never waiting (fault_attempt, LK_TRY).
 *              2. Otherwise, or if that gave up: under the address-space lock (LK_WAIT), as often
 *                 as it takes; each further round is one STEP_RETRY, counted.
 *              3. Inside either: is there a VMA (else grow a stack), may it be accessed so, and
 *                 then one handler by kind of fault (fault_anon.c, fault_file.c, fault_cow.c).
 * Leaves out   Swap, NUMA hints, userfaultfd, memory cgroups, real signals.
 * Guarantee    On FAULT_OK the entry allowed the access when it was looked at; the access is made
 *              again and may fault again. Every fault is counted once in FAULT_TOTAL and once by
 *              what became of it.
 * Locks        fault_attempt() alone takes and drops what keeps the VMA stable, and alone decides
 *              to go round again. Page-table locks are taken by fault_pte_lock(); frames are
 *              allocated, read in and copied before it.
 * Tests        tests/unit/mm/test_fault.c, tests/scheme/conformance.c
 */
#include "mm/internal.h"
#include "mm/fault_internal.h"

static const enum fault_result step_result[] = {
	[STEP_DONE] = FAULT_OK,
	[STEP_MAPERR] = FAULT_SIGSEGV_MAPERR,
	[STEP_ACCERR] = FAULT_SIGSEGV_ACCERR,
	[STEP_SIGBUS] = FAULT_SIGBUS,
	[STEP_OOM] = FAULT_OOM,
	[STEP_KILLED] = FAULT_KILLED,
};

/* For the timeline. */
static const char *const access_name[ACCESS_KINDS] __attribute__((unused)) = {
	[ACCESS_READ] = "read",
	[ACCESS_WRITE] = "write",
	[ACCESS_EXEC] = "exec",
};

static bool fault_attempt(struct fault *f, enum lk_mode mode, enum fault_step *step);
static enum fault_result fault_out_of_memory(struct fault *f);
static enum fault_step fault_grow_stack(struct fault *f);
static enum fault_step fault_check_access(const struct fault *f);
static enum fault_step fault_resolve(struct fault *f);
static void fault_wait_for_io(struct fault *f);
static enum fault_result fault_report(enum fault_step step);

/* Field by field: what an attempt sets before it reads is left alone, and the compiler does not
 * clear the whole with a string instruction, which takes longer than a walk. */
static inline void fault_init(struct fault *f, struct mm *mm, u64 va, enum access_kind access,
			      struct mm_hold *hold)
{
	f->mm = mm;
	f->va = va;
	f->access = access;
	f->user = false;
	f->speculative = false;
	f->must_not_drop = false;
	f->needs_neighbours = false;
	f->refusal = REFUSED_NOT_SAID;
	f->tries = 0;
	f->vma = NULL;
	f->hold = hold;
	f->io_file = NULL;
}

enum fault_result fault_handle(struct mm *mm, u64 va, enum access_kind access, bool user)
{
	struct fault f;
	enum fault_step step;
	enum fault_result result;

	trace_fault_begin();
	fault_init(&f, mm, va, access, &mm_task()->holds[HOLD_FAULT]);
	f.user = user;
	count_event(COUNTER_FAULT_TOTAL);
	count_event(user ? COUNTER_FAULT_USER : COUNTER_FAULT_KERNEL);
	engine_charge(COST_FAULT_ENTRY);
	line_read(mm, pgd_pfn);
	/* Linux tries VMA locks for faults from user mode only. */
	if (!user || !(mm->locking->caps & LK_CAP_TRY) || !fault_attempt(&f, LK_TRY, &step))
		while (!fault_attempt(&f, LK_WAIT, &step))
			f.tries++;
	result = unlikely(step == STEP_OOM) ? fault_out_of_memory(&f) : fault_report(step);
	trace_fault_end(va, access_name[access], user);
	return result;
}

/* Tables and VMAs that were given up a moment ago wait for a grace period: before memory is said to
 * be out, wait for it, and try once more (Linux: direct reclaim before the OOM killer). */
static NOINLINE enum fault_result fault_out_of_memory(struct fault *f)
{
	enum fault_step step;

	pgtable_drain_freed(f->mm->machine);
	while (!fault_attempt(f, LK_WAIT, &step))
		f->tries++;
	return fault_report(step);
}

/* Begin, resolve, end. True: *step is what became of the fault. False: it must run again in
 * LK_WAIT. Nothing is held on entry and on return. */
static bool fault_attempt(struct fault *f, enum lk_mode mode, enum fault_step *step)
{
	const struct mm_locking *scheme = f->mm->locking;
	bool again;

	f->speculative = mode == LK_TRY;
	switch (scheme->fault_begin(f, mode)) {
	case LK_CONTENDED:
		return false;
	case LK_KILLED:
		*step = STEP_KILLED;
		return true;
	case LK_OK:
		break;
	}
	/* Nearly all of it is done with the VMA held, so that is where it is charged. */
	engine_charge(COST_FAULT_WORK);
	*step = STEP_CONTINUE;
	if (likely(f->vma))
		line_read(f->vma, start);
	/* Not yet ours if it lies above: a range lock covers the address only. */
	if (unlikely(!f->vma || f->va < READ_UNPRICED(f->vma->start)))
		*step = fault_grow_stack(f);
	if (likely(*step == STEP_CONTINUE))
		*step = fault_check_access(f);
	if (likely(*step == STEP_CONTINUE))
		*step = fault_resolve(f);
	again = *step == STEP_RETRY || *step == STEP_IO;
	scheme->fault_end(f, again);
	if (likely(!again))
		return true;
	count_event(COUNTER_FAULT_RETRY);
	if (*step == STEP_IO)
		fault_wait_for_io(f);
	return false;
}

enum fault_result fault_handle_locked(struct mm_hold *h, struct vma *vma, u64 va,
				      enum access_kind access)
{
	struct fault f;
	enum fault_step step;

	mmap_assert_locked(h);
	fault_init(&f, h->mm, va, access, h);
	f.vma = vma;
	f.must_not_drop = true;
	count_event(COUNTER_FAULT_TOTAL);
	count_event(COUNTER_FAULT_POPULATE);
	step = fault_check_access(&f);
	while (step == STEP_CONTINUE || step == STEP_RETRY)
		step = fault_resolve(&f);
	return fault_report(step);
}

/* ---- is there a VMA, and may it be accessed so? ---------------------------------------------- */

/* Held for write. Somebody else may have grown or mapped it meanwhile. */
static bool grow_down_to(struct vma *vma, u64 va)
{
	if (!vma || vma->start <= va)
		return vma != NULL;
	if (!(vma->flags & VM_GROWSDOWN) || expand_downwards(vma, va))
		return false;
	count_event(COUNTER_FAULT_STACK_GROWN);
	return true;
}

/* Is a stack the next VMA above? Where locks are ranges, the address's page is all that is held: a VMA above
 * may go at any moment, and its memory come back as another VMA. So the tree is made to stand still. */
static bool stack_is_above(const struct fault *f)
{
	const struct vma *above = f->vma;
	bool stack;

	mm_tree_lock(f->mm);
	if (mm_has_ranges(f->mm))
		above = find_vma(f->mm, f->va);
	stack = above && (READ_UNPRICED(above->flags) & VM_GROWSDOWN);
	mm_tree_unlock(f->mm);
	return stack;
}

/* In the order of Linux's lock_mm_and_find_vma(), which cannot upgrade the lock either: drop it, take it for
 * write and look again, because anything may have happened. A fault that does not go on need not hold
 * it on return: fault_end() sees that. */
static enum fault_step fault_grow_stack(struct fault *f)
{
	struct mm *mm = f->mm;
	struct mm_hold *h = f->hold;

	if (!stack_is_above(f))
		return STEP_MAPERR;
	mmap_read_unlock(h);
	f->vma = NULL;
	if (mmap_write_lock_killable(mm, h, MM_RANGE_ALL))
		return STEP_KILLED;
	f->vma = find_vma(mm, f->va);
	if (f->vma)
		line_read(f->vma, start);
	if (!grow_down_to(f->vma, f->va)) {
		mmap_write_unlock(h);
		f->vma = NULL;
		return STEP_MAPERR;
	}
	mmap_write_downgrade(h);
	return STEP_CONTINUE;
}

static enum fault_step fault_check_access(const struct fault *f)
{
	return vma_allows(f->vma, f->access) ? STEP_CONTINUE : STEP_ACCERR;
}

/* ---- which kind of fault is it? -------------------------------------------------------------- */

/* Where the tables are pinned all along, a walk needs nothing of its own. The address-space lock does
 * that: who frees tables has none of its VMAs left over them. */
static inline bool tables_pinned(const struct fault *f)
{
	return !f->speculative || (f->mm->locking->caps & LK_CAP_TABLES_PINNED);
}

static inline void walk_begin(struct fault *f)
{
	if (!tables_pinned(f))
		f->mm->locking->walk_begin(f);
}

static inline void walk_end(struct fault *f)
{
	if (!tables_pinned(f))
		f->mm->locking->walk_end(f);
}

/* Look at the entry without a lock: a first guess, which fault_pte_lock() confirms. */
static inline void fault_peek(struct fault *f)
{
	walk_begin(f);
	f->pte = pgtable_lookup(f->mm, f->va, &f->ptl);
	f->orig = f->pte ? pte_get(f->pte) : 0;
	walk_end(f);
}

static enum fault_step fault_missing(struct fault *f)
{
	const struct vma *vma = f->vma;
	bool write = f->access == ACCESS_WRITE;

	if (unlikely(!f->pte)) {
		enum fault_step step;

		if (fault_unpinned(f)) /* nor a huge leaf */
			return fault_refuse(f, REFUSED_NO_TABLE);
		step = fault_huge_present(f);
		if (step != STEP_CONTINUE)
			return step;
	}
	line_read(vma, file);
	if (likely(vma_is_anonymous(vma)))
		return write ? fault_anon_write(f) : fault_anon_read(f);
	if (!vma->file || (vma->flags & (VM_PFNMAP | VM_IO)))
		return fault_special(f);
	if (!write)
		return fault_file_read(f);
	return vma->flags & VM_SHARED ? fault_file_shared(f) : fault_file_cow(f);
}

/* The entry allows the access: another CPU was faster, or this one's TLB was behind. Where the
 * hardware does not set Accessed and Dirty, this is where software does. The lock is taken even if there is
 * nothing to set, as in Linux: what was read without it may be half of a change. */
static enum fault_step fault_spurious(struct fault *f)
{
	const struct arch_desc *arch = f->mm->arch;
	u32 want = PTE_ACCESSED | (f->access == ACCESS_WRITE ? PTE_DIRTY : 0);
	pte_t old = f->orig;
	enum fault_step step;

	step = fault_pte_lock(f);
	if (step != STEP_CONTINUE)
		return step;
	/* If the MMU changes it first, the access that is made again settles it. */
	if (!pte_has(arch, old, want))
		(void)pte_try_change(f->mm, f->pte, fault_page_va(f), &old,
				     pte_set_attrs(arch, old, want));
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_SPURIOUS);
	return STEP_DONE;
}

static enum fault_step fault_by_kind(struct fault *f)
{
	if (likely(!f->orig))
		return fault_missing(f);
	if (f->access != ACCESS_WRITE || pte_has(f->mm->arch, f->orig, PTE_WRITE))
		return fault_spurious(f);
	return f->vma->flags & VM_SHARED ? fault_wp_shared(f) : fault_wp_private(f);
}

static enum fault_step fault_resolve(struct fault *f)
{
	if (unlikely(f->vma->flags & VM_HUGETLB))
		return fault_hugetlb(f);
	fault_peek(f);
	return fault_by_kind(f);
}

/* ---- the page-table lock --------------------------------------------------------------------- */

/* *f->pte and f->ptl for pte_lock. CONTINUE, OOM, RETRY; DONE: a huge leaf. */
static inline enum fault_step fault_find_pte(struct fault *f)
{
	/* What the peek found is a table still only if the tables are pinned. */
	if (likely(f->pte && tables_pinned(f)))
		return STEP_CONTINUE;
	if (fault_unpinned(f)) {
		f->pte = pgtable_lookup(f->mm, f->va, &f->ptl);
		return f->pte ? STEP_CONTINUE : fault_refuse(f, REFUSED_NO_TABLE);
	}
	f->pte = pgtable_alloc(f->mm, f->va, &f->ptl);
	if (unlikely(f->pte == PGTABLE_LEAF)) { /* another CPU was faster */
		count_event(COUNTER_FAULT_SPURIOUS);
		return STEP_DONE;
	}
	return f->pte ? STEP_CONTINUE : STEP_OOM;
}

enum fault_step fault_pte_lock(struct fault *f)
{
	enum fault_step step;

	walk_begin(f);
	step = fault_find_pte(f);
	if (likely(step == STEP_CONTINUE) && unlikely(!f->mm->locking->pte_lock(f, f->ptl)))
		step = STEP_RETRY;
	walk_end(f);
	if (unlikely(step != STEP_CONTINUE))
		return step;
	if (likely(pte_get(f->pte) == f->orig))
		return STEP_CONTINUE;
	fault_pte_unlock(f);
	count_event(COUNTER_FAULT_SPURIOUS);
	return STEP_DONE;
}

void fault_pte_unlock(struct fault *f)
{
	spin_unlock(f->ptl);
}

void fault_map_page(struct fault *f, struct page *page, u32 attrs)
{
	struct mm *mm = f->mm;
	u64 pfn = page_to_pfn(mm->memory, page);

	atomic_inc(&page->mapcount);
	percpu_counter_add(&mm->rss[page_rss_kind(page)], 1);
	pte_set(mm, f->pte, fault_page_va(f), mm_pte_make(mm, pfn, attrs));
}

/* No flush: an older entry in a TLB only makes its CPU fault once more. The MMU may set Accessed
 * meanwhile, so the new entry has it on. */
void fault_make_writable(struct fault *f)
{
	pte_t e = pte_set_attrs(f->mm->arch, f->orig, PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);

	pte_set(f->mm, f->pte, fault_page_va(f), e);
}

/* ---- the way out ----------------------------------------------------------------------------- */

/* Nothing is held. What this reads in, the next attempt finds. */
static void fault_wait_for_io(struct fault *f)
{
	const struct memory *mem = f->mm->memory;
	struct page *page;

	line_read(f->io_file, inode);
	page = filemap_read(mem, &f->io_file->inode->mapping, f->io_index);
	if (page)
		page_put(mem, page); /* else the next attempt runs out of memory itself */
	file_put(f->io_file);
	f->io_file = NULL;
}

static enum fault_result fault_report(enum fault_step step)
{
	enum fault_result result = step_result[step];

	if (likely(result == FAULT_OK))
		return result;
	if (result == FAULT_SIGSEGV_MAPERR || result == FAULT_SIGSEGV_ACCERR)
		count_event(COUNTER_FAULT_SIGSEGV);
	else if (result == FAULT_SIGBUS)
		count_event(COUNTER_FAULT_SIGBUS);
	else if (result == FAULT_OOM)
		count_event(COUNTER_FAULT_OOM);
	return result;
}
