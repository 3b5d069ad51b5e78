/*
 * tests/unit/mm/test_reference_model.c - mm_* against the page-by-page model of tests/model
 *
 * Random calls and touches in up to three related address spaces (fork). After each call: the same
 * result, the same pages mapped with the same flags and backing, and for every page the same
 * contents, all 8 words of them (found through the page table, without faulting anything in). Under
 * every scheme that claims to be correct. MMSIM_SEED=n repeats a run, MMSIM_OPS=n sets its length.
 *
 *   low    brk ->            third               mmap_base      high
 *   |------|-----------------|-------------------|--------------|      everything else is taken by
 *                            <- bottom-up starts    <- top-down        special mappings
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/mmsim.h>

#include "tests/model/ref_mm.h"
#include "tests/unit/test_seed.h"
#include "tests/tree_choice.h"

#define PROCS 3
#define FILES 5
#define LOG_LINES 24
#define BELOW_PAGES 2048 /* low .. third */
#define BASE_PAGES 6144  /* third .. mmap_base */
#define ABOVE_PAGES 2048 /* mmap_base .. high */
#define ARENA_PAGES (BELOW_PAGES + BASE_PAGES + ABOVE_PAGES)

/* What one page of the mm under test is, by its VMA and its page-table entry. */
struct seen {
	u64 vma_start, vma_end; /* 0: no VMA */
	u64 flags, index;
	const struct file *file;
	bool anon_vma;
	bool huge; /* part of a huge leaf, which pte is a copy of */
	pte_t pte;
	u64 pfn;
};

struct proc {
	struct mm *mm;
	struct ref_mm *ref;
	struct seen *seen; /* [ARENA_PAGES], as of the last comparison */
};

struct world {
	struct machine *machine;
	const struct mm_locking *locking;
	enum thp_mode thp;
	struct proc proc[PROCS];
	struct inode *inode[FILES];
	struct file *file[FILES];
	struct ref_file ref_file[FILES];
	u64 low, high, third;
	u64 rng, seed, value;
	u32 op_count;
	char log[LOG_LINES][160];
	u32 log_next;
	bool succeeded; /* the last call */
};

static u64 below(struct world *w, u64 n)
{
	return test_random(&w->rng) % n;
}

static bool one_in(struct world *w, u64 n)
{
	return below(w, n) == 0;
}

/* ---- reporting ---------------------------------------------------------------------------- */

PRINTF_LIKE(2, 3) static void note(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->log[w->log_next++ % LOG_LINES], sizeof(w->log[0]), fmt, ap);
	va_end(ap);
}

PRINTF_LIKE(2, 3) NORETURN static void mismatch(struct world *w, const char *fmt, ...)
{
	va_list ap;

	printf("scheme %s, seed %#llx, operation %u; the last ones:\n", w->locking->name,
	       (unsigned long long)w->seed, w->op_count);
	for (u32 i = 0; i < LOG_LINES; i++)
		if (w->log[(w->log_next + i) % LOG_LINES][0])
			printf("  %s\n", w->log[(w->log_next + i) % LOG_LINES]);
	/* MMSIM_MAPS=1: the layouts too, as the mm under test has them */
	for (u32 i = 0; i < PROCS && getenv("MMSIM_MAPS"); i++) {
		printf("process %u\n", i);
		if (w->proc[i].mm)
			mm_print_maps(w->proc[i].mm, stdout);
	}
	va_start(ap, fmt);
	printf("MISMATCH: ");
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_fail(__FILE__, __LINE__);
	abort();
}

#define LL(x) ((unsigned long long)(x))

/* ---- comparing ----------------------------------------------------------------------------- */

struct look {
	const struct world *w;
	const struct arch_desc *arch;
	struct seen *seen;
};

static void see_vma(const struct vma *vma, void *arg)
{
	struct look *l = arg;

	if (vma->name)
		return; /* the frame around the arena */
	for (u64 va = vma->start; va < vma->end; va += REF_PAGE) {
		struct seen *s = &l->seen[(va - l->w->low) / REF_PAGE];

		s->vma_start = vma->start;
		s->vma_end = vma->end;
		s->flags = vma->flags;
		s->file = vma->file;
		s->index = vma->pgoff + (va - vma->start) / REF_PAGE;
		s->anon_vma = vma->anon_vma != NULL;
	}
}

static void see_entry(void *arg, u64 va, pte_t e, u32 level)
{
	struct look *l = arg;
	struct seen *s = &l->seen[(va - l->w->low) / REF_PAGE];
	u64 pfn = leaf_pfn(l->arch, e, level);

	for (u64 i = 0; i < level_bytes(l->arch, level) / REF_PAGE; i++, s++) {
		s->huge = level != 0;
		s->pte = e;
		s->pfn = pfn + i;
	}
}

static void look_at(struct world *w, struct proc *p)
{
	struct look l = {.w = w, .arch = p->mm->arch, .seen = p->seen};

	memset(p->seen, 0, ARENA_PAGES * sizeof(*p->seen));
	mm_for_each_vma(p->mm, see_vma, &l);
	pgtable_visit(p->mm, w->low, w->high, see_entry, &l);
}

static void compare_mapping(struct world *w, u64 va, const struct seen *s, const struct ref_page *r)
{
	u64 flags = s->flags & ~(u64)REF_FLAGS_IGNORED;

	if ((s->vma_end != 0) != r->mapped)
		mismatch(w, "%llx: mapped %d, should be %d", LL(va), s->vma_end != 0, r->mapped);
	if (!r->mapped) {
		if (s->pte)
			mismatch(w, "%llx: entry %llx without a VMA", LL(va), LL(s->pte));
		return;
	}
	if (flags != r->flags)
		mismatch(w, "%llx: flags %llx, should be %llx", LL(va), LL(flags), LL(r->flags));
	if (!r->object != !s->file || (r->file && s->file != r->file->id))
		mismatch(w, "%llx: another file", LL(va));
	if (r->object && s->index != r->index)
		mismatch(w, "%llx: file page %llu, should be %llu", LL(va), LL(s->index),
			 LL(r->index));
}

static bool same_words(const u64 *a, const u64 *b)
{
	return memcmp(a, b, REF_WORDS * sizeof(*a)) == 0;
}

/* MADV_FREE lets the kernel drop the copy at any time until it is written: follow what it did. */
static void settle_lazily_freed(const struct proc *p, const struct seen *s, struct ref_page *r)
{
	static const u64 zeroes[REF_WORDS];

	if (!r->maybe_zero)
		return;
	if (!s->pte)
		r->own = r->maybe_zero = false;
	else if (same_words(page_content(p->mm->memory, s->pfn), zeroes))
		memset(r->word, 0, sizeof(r->word));
}

/* A write to any page of a huge leaf gave the process all the others: they are zero, and its own. */
static void settle_huge(const struct world *w, const struct seen *s, struct ref_page *r)
{
	bool wanted = w->thp == THP_ALWAYS ? !(r->flags & VM_NOHUGEPAGE) : (r->flags & VM_HUGEPAGE) != 0;

	if (!s->huge || r->own || r->object || !wanted)
		return;
	memset(r->word, 0, sizeof(r->word));
	r->own = true;
}

static void compare_content(struct world *w, const struct proc *p, u64 va, const struct seen *s,
			    struct ref_page *r)
{
	const struct arch_desc *arch = p->mm->arch;
	const u64 *want, *got;

	settle_lazily_freed(p, s, r);
	settle_huge(w, s, r);
	want = ref_content(r);
	if (!s->pte) {
		if (r->own)
			mismatch(w, "%llx: its content is lost", LL(va));
		return;
	}
	if (!want)
		mismatch(w, "%llx: an entry beyond the end of the file", LL(va));
	got = page_content(p->mm->memory, s->pfn);
	for (u32 i = 0; i < REF_WORDS; i++)
		if (got[i] != want[i])
			mismatch(w, "%llx: word %u is %llx, should be %llx", LL(va), i, LL(got[i]),
				 LL(want[i]));
	if (pte_has(arch, s->pte, PTE_WRITE) &&
	    (!(r->flags & VM_WRITE) || (!r->own && !(r->flags & VM_SHARED))))
		mismatch(w, "%llx: the entry allows a write", LL(va));
}

static void compare(struct world *w, struct proc *p)
{
	look_at(w, p);
	for (u32 i = 0; i < ARENA_PAGES; i++) {
		u64 va = w->low + i * REF_PAGE;
		struct ref_page *r = &p->ref->page[i];

		compare_mapping(w, va, &p->seen[i], r);
		if (r->mapped)
			compare_content(w, p, va, &p->seen[i], r);
	}
	if (p->mm->brk != p->ref->brk)
		mismatch(w, "brk %llx, should be %llx", LL(p->mm->brk), LL(p->ref->brk));
	if (p->mm->locked_vm_pages != p->ref->locked_pages)
		mismatch(w, "%llu pages locked, should be %llu", LL(p->mm->locked_vm_pages),
			 LL(p->ref->locked_pages));
}

/*
 * A new mapping joins what fits on either side. Whether it fits also depends on anon_vma; but where
 * neither side has one, nothing may be left apart.
 */
static void expect_merged(struct world *w, const struct proc *p, u64 border)
{
	const struct seen *a, *b;

	if (border <= w->low || border >= w->high)
		return;
	b = &p->seen[(border - w->low) / REF_PAGE];
	a = b - 1;
	if (a->vma_end != border || b->vma_start != border || a->flags != b->flags ||
	    a->file != b->file || a->anon_vma || b->anon_vma || a->index + 1 != b->index)
		return;
	mismatch(w, "%llx: two VMAs that should be one", LL(border));
}

static bool vma_of(void *arg, u64 va, u64 *start, u64 *end)
{
	const struct proc *p = arg;
	const struct seen *s = &p->seen[(va - p->ref->low) / REF_PAGE];

	*start = s->vma_start;
	*end = s->vma_end;
	return s->vma_end != 0;
}

/* ---- choosing ------------------------------------------------------------------------------ */

static u64 random_page(struct world *w)
{
	return w->low + below(w, ARENA_PAGES) * REF_PAGE;
}

/* Mostly where something is, often at a border of it. */
static u64 random_place(struct world *w, const struct proc *p)
{
	u64 va = random_page(w);

	for (u32 i = 0; i < 400; i++) {
		const struct seen *s;

		va = i ? va + REF_PAGE : va;
		if (va >= w->high)
			va = w->low;
		s = &p->seen[(va - w->low) / REF_PAGE];
		if (!s->vma_end)
			continue;
		switch (below(w, 6)) {
		case 0:
			return s->vma_start;
		case 1:
			return s->vma_end < w->high ? s->vma_end : s->vma_start;
		case 2:
			return s->vma_start > w->low + 3 * REF_PAGE ? s->vma_start - 3 * REF_PAGE
								    : s->vma_start;
		default:
			return s->vma_start +
			       below(w, (s->vma_end - s->vma_start) / REF_PAGE) * REF_PAGE;
		}
	}
	return va;
}

static u64 random_pages(struct world *w)
{
	switch (below(w, 40)) {
	case 0:
	case 1:
		return 512 * (1 + below(w, 2)); /* whole huge pages */
	case 2:
		return 500 + below(w, 700);
	case 3:
	case 4:
		return 1 + below(w, 100);
	default:
		return 1 + below(w, 12);
	}
}

/* Bytes, sometimes not whole pages, that fit between va and the end of the arena. */
static u64 random_len(struct world *w, u64 va)
{
	u64 len = random_pages(w) * REF_PAGE;

	len = min(len, w->high - va);
	return one_in(w, 16) ? len - below(w, REF_PAGE) : len;
}

static u32 random_prot(struct world *w)
{
	static const u32 prots[] = {PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    PROT_READ,
				    PROT_NONE,
				    PROT_READ | PROT_EXEC,
				    PROT_WRITE,
				    PROT_EXEC,
				    PROT_READ | PROT_WRITE | PROT_EXEC};

	return prots[below(w, ARRAY_SIZE(prots))];
}

/* ---- one operation of each kind ------------------------------------------------------------ */

static void expect(struct world *w, s64 got, s64 want)
{
	w->succeeded = got >= 0;
	if (got != want)
		mismatch(w, "returned %lld (%#llx), should be %lld (%#llx)", (long long)got,
			 LL(got), (long long)want, LL(want));
}

static u32 random_map_flags(struct world *w)
{
	static const struct {
		u32 flag, one_in;
	} extra[] = {{MAP_NORESERVE, 8}, {MAP_STACK, 16},     {MAP_POPULATE, 12},
		     {MAP_LOCKED, 20},   {MAP_GROWSDOWN, 12}, {MAP_NONBLOCK, 24}};
	u32 flags = one_in(w, 3) ? MAP_SHARED : MAP_PRIVATE;

	if (one_in(w, 60))
		flags = 0; /* neither: refused */
	for (u32 i = 0; i < ARRAY_SIZE(extra); i++)
		if (one_in(w, extra[i].one_in))
			flags |= extra[i].flag;
	return flags;
}

/* f: index of the file, -1: none */
static void call_mmap(struct world *w, struct proc *p, u64 addr, u64 len, u32 prot, u32 flags,
		      int f, u64 offset)
{
	s64 got, want;

	got = mm_mmap(p->mm, addr, len, prot, flags, f >= 0 ? w->file[f] : NULL, offset);
	want = ref_mmap(p->ref, addr, len, prot, flags, f >= 0 ? &w->ref_file[f] : NULL, offset);
	note(w, "%u: mmap(%#llx, %#llx, %u, %#x, file %d, %#llx) = %#llx", (u32)(p - w->proc),
	     LL(addr), LL(len), prot, flags, f, LL(offset), LL(got));
	expect(w, got, want);
	compare(w, p);
	if (got > 0) {
		expect_merged(w, p, (u64)got);
		expect_merged(w, p, ((u64)got + len + REF_PAGE - 1) & ~(REF_PAGE - 1));
	}
}

static void op_mmap(struct world *w, struct proc *p)
{
	u32 flags = random_map_flags(w), prot = random_prot(w);
	int f = one_in(w, 2) ? (int)below(w, FILES) : -1;
	u64 addr = 0, len, offset = 0;

	if (!one_in(w, 3))
		addr = one_in(w, 3) ? random_page(w) : random_place(w, p);
	len = addr ? random_len(w, addr) : random_pages(w) * REF_PAGE;
	if (addr && one_in(w, 3))
		flags |= one_in(w, 3) ? MAP_FIXED_NOREPLACE : MAP_FIXED;
	if (addr && one_in(w, 10))
		addr += below(w, REF_PAGE); /* a hint is rounded, a fixed address is refused */
	if (f < 0 && !one_in(w, 50))
		flags |= MAP_ANONYMOUS;
	if (f >= 0)
		offset = below(w, w->ref_file[f].object->pages + 4) * REF_PAGE;
	if (one_in(w, 40))
		offset += 512;
	call_mmap(w, p, addr, len, prot, flags, f, offset);
}

/* All empty, and large mappings from the top down: where 2 MiB alignment decides. */
static void start_afresh(struct world *w, struct proc *p)
{
	static const int files[] = {-1, -1, 0, 2, 4};

	note(w, "%u: munmap(all)", (u32)(p - w->proc));
	expect(w, mm_munmap(p->mm, w->low, w->high - w->low),
	       ref_munmap(p->ref, w->low, w->high - w->low));
	for (u64 n = below(w, 5); n--;) {
		int f = files[below(w, ARRAY_SIZE(files))];
		u64 pages = 512 * (1 + below(w, 2)) + (one_in(w, 4) ? below(w, 40) : 0);
		u64 offset = f < 0 || one_in(w, 2) ? 0 : below(w, 600) * REF_PAGE;
		u32 flags = one_in(w, 4) ? MAP_SHARED : MAP_PRIVATE;

		call_mmap(w, p, 0, pages * REF_PAGE, PROT_READ | PROT_WRITE,
			  flags | (f < 0 ? MAP_ANONYMOUS : 0), f, offset);
	}
}

static void op_munmap(struct world *w, struct proc *p)
{
	u64 addr = one_in(w, 4) ? random_page(w) : random_place(w, p), len = random_len(w, addr);

	if (one_in(w, 30))
		addr += 8;
	if (one_in(w, 50)) {
		start_afresh(w, p);
		return;
	}
	note(w, "%u: munmap(%#llx, %#llx)", (u32)(p - w->proc), LL(addr), LL(len));
	expect(w, mm_munmap(p->mm, addr, len), ref_munmap(p->ref, addr, len));
}

static void op_mprotect(struct world *w, struct proc *p)
{
	u64 addr = random_place(w, p), len = random_len(w, addr);
	u32 prot = random_prot(w);

	note(w, "%u: mprotect(%#llx, %#llx, %u)", (u32)(p - w->proc), LL(addr), LL(len), prot);
	expect(w, mm_mprotect(p->mm, addr, len, prot), ref_mprotect(p->ref, addr, len, prot));
}

static bool any_locked(const struct ref_mm *mm, u64 addr, u64 len)
{
	for (u64 va = addr; va < addr + len && va < mm->high; va += REF_PAGE)
		if (ref_page(mm, va)->flags & VM_LOCKED)
			return true;
	return false;
}

static void op_mremap(struct world *w, struct proc *p)
{
	u64 addr = random_place(w, p), target = 0, old_len, new_len;
	const struct seen *s = &p->seen[(addr - w->low) / REF_PAGE];
	u32 flags = one_in(w, 4) ? 0 : MREMAP_MAYMOVE;
	s64 got, want;

	old_len = random_len(w, addr);
	if (s->vma_end && !one_in(w, 4)) /* up to the VMA's end: it may grow in place */
		old_len = s->vma_end - addr;
	if (one_in(w, 30))
		old_len = 0;
	new_len = one_in(w, 3) ? old_len : random_pages(w) * REF_PAGE;
	if (one_in(w, 3)) {
		target = one_in(w, 2) ? random_page(w) : random_place(w, p);
		new_len = min(new_len, w->high - target);
		flags |= MREMAP_FIXED;
	}
	if (one_in(w, 6) && !any_locked(p->ref, addr, old_len)) {
		flags |= MREMAP_DONTUNMAP;
		if (!one_in(w, 8))
			new_len = old_len;
		/* the room at the target must still be inside */
		if (target && target + new_len > w->high)
			target = w->low;
	}
	got = mm_mremap(p->mm, addr, old_len, new_len, flags, target);
	want = ref_mremap(p->ref, addr, old_len, new_len, flags, target);
	note(w, "%u: mremap(%#llx, %#llx, %#llx, %#x, %#llx) = %#llx", (u32)(p - w->proc), LL(addr),
	     LL(old_len), LL(new_len), flags, LL(target), LL(got));
	expect(w, got, want);
}

static void op_madvise(struct world *w, struct proc *p)
{
	static const int advice[] = {
		MADV_DONTNEED,   MADV_DONTNEED,       MADV_DONTNEED, MADV_DONTNEED_LOCKED,
		MADV_FREE,       MADV_FREE,           MADV_REMOVE,   MADV_POPULATE_READ,
		MADV_COLD,       MADV_POPULATE_WRITE, MADV_NORMAL,   MADV_SEQUENTIAL,
		MADV_RANDOM,     MADV_DONTFORK,       MADV_DOFORK,   MADV_WIPEONFORK,
		MADV_KEEPONFORK, MADV_DONTDUMP,       MADV_DODUMP,   MADV_HUGEPAGE,
		MADV_NOHUGEPAGE,
	};
	u64 addr = random_place(w, p), len = random_len(w, addr);
	int a = advice[below(w, ARRAY_SIZE(advice))];

	if (one_in(w, 30))
		addr += 16;
	note(w, "%u: madvise(%#llx, %#llx, %d)", (u32)(p - w->proc), LL(addr), LL(len), a);
	expect(w, mm_madvise(p->mm, addr, len, a), ref_madvise(p->ref, addr, len, a));
}

static void op_brk(struct world *w, struct proc *p)
{
	u64 brk = p->ref->start_brk + below(w, one_in(w, 8) ? 2000 : 40) * REF_PAGE;

	if (one_in(w, 3))
		brk += below(w, REF_PAGE);
	if (one_in(w, 16))
		brk = 0;
	note(w, "%u: brk(%#llx), was %#llx", (u32)(p - w->proc), LL(brk), LL(p->mm->brk));
	expect(w, (s64)mm_brk(p->mm, brk), (s64)ref_brk(p->ref, brk));
}

static void op_mlock(struct world *w, struct proc *p)
{
	u64 addr = random_place(w, p), len = random_len(w, addr);
	bool onfault = one_in(w, 3);

	addr += one_in(w, 6) ? below(w, len % REF_PAGE + 1) : 0;
	len = min(len, w->high - addr);
	if (one_in(w, 2)) {
		note(w, "%u: munlock(%#llx, %#llx)", (u32)(p - w->proc), LL(addr), LL(len));
		expect(w, mm_munlock(p->mm, addr, len), ref_munlock(p->ref, addr, len));
		return;
	}
	note(w, "%u: mlock(%#llx, %#llx, onfault %d)", (u32)(p - w->proc), LL(addr), LL(len),
	     onfault);
	expect(w, mm_mlock(p->mm, addr, len, onfault), ref_mlock(p->ref, addr, len, onfault));
}

/* Several touches; some just below a stack. */
static void op_touch(struct world *w, struct proc *p)
{
	u64 va = random_place(w, p);

	mmu_switch(p->mm);
	for (u32 n = 1 + below(w, 8); n--;) {
		u64 at = va + below(w, REF_WORDS) * 8, got_value = 0, want_value = 0;
		bool write = one_in(w, 2);
		enum fault_result got, want;

		if (write) {
			w->value++;
			got = user_write(at, w->value);
			want = ref_write(p->ref, at, w->value);
		} else {
			got = user_read(at, &got_value);
			want = ref_read(p->ref, at, &want_value);
		}
		note(w, "%u: %s %#llx: %d, %#llx", (u32)(p - w->proc), write ? "write" : "read",
		     LL(at), got, LL(write ? w->value : got_value));
		expect(w, got, want);
		expect(w, (s64)got_value, (s64)want_value);
		va += REF_PAGE * (s64)(below(w, 4)) - (one_in(w, 8) ? 40 * REF_PAGE : 0);
		if (va < w->low || va >= w->high)
			break;
	}
}

static void drop_proc(struct world *w, struct proc *p)
{
	mmu_switch(NULL);
	mm_put(p->mm);
	ref_destroy(p->ref);
	p->mm = NULL;
	p->ref = NULL;
}

static void op_fork(struct world *w, struct proc *p)
{
	struct proc *child = NULL;
	int err;

	for (u32 i = 0; i < PROCS && !child; i++)
		if (!w->proc[i].mm)
			child = &w->proc[i];
	if (!child) {
		child = &w->proc[(p - w->proc + 1) % PROCS];
		note(w, "%u: exit", (u32)(child - w->proc));
		drop_proc(w, child);
	}
	note(w, "%u: fork() = %u", (u32)(p - w->proc), (u32)(child - w->proc));
	child->mm = mm_fork(p->mm, &err);
	if (!child->mm)
		mismatch(w, "fork failed: %d", err);
	child->ref = ref_fork(p->ref);
	child->ref->vma_of_arg = child;
	compare(w, child);
}

static struct {
	u32 weight;
	void (*run)(struct world *w, struct proc *p);
	const char *name;
	u32 calls, successes;
} ops[] = {
	{20, op_mmap, "mmap", 0, 0},         {12, op_munmap, "munmap", 0, 0},
	{12, op_mprotect, "mprotect", 0, 0}, {12, op_mremap, "mremap", 0, 0},
	{12, op_madvise, "madvise", 0, 0},   {4, op_brk, "brk", 0, 0},
	{4, op_mlock, "mlock", 0, 0},        {1, op_fork, "fork", 0, 0},
	{40, op_touch, "touch", 0, 0},
};

static void one_operation(struct world *w)
{
	u32 total = 0, pick;
	struct proc *p;

	do {
		p = &w->proc[below(w, PROCS)];
	} while (!p->mm);
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	pick = (u32)below(w, total);
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		if (pick < ops[i].weight) {
			w->succeeded = true;
			ops[i].run(w, p);
			ops[i].calls++;
			ops[i].successes += w->succeeded;
			break;
		}
		pick -= ops[i].weight;
	}
	compare(w, p);
	w->op_count++;
}

/* ---- the world ------------------------------------------------------------------------------ */

static void make_file(struct world *w, u32 i, enum inode_kind kind, u64 bytes)
{
	char name[16];

	snprintf(name, sizeof(name), "/file%u", i);
	w->inode[i] = inode_create(w->machine, kind, name, 8, 1, 100 + i, bytes);
	assert_non_null(w->inode[i]);
	w->file[i] = file_open(w->inode[i], true, true);
	assert_non_null(w->file[i]);
	w->ref_file[i] = (struct ref_file){
		.id = w->file[i], .writable = true, .huge = kind == INODE_REGULAR};
	w->ref_file[i].object = ref_object_create((bytes + REF_PAGE - 1) / REF_PAGE);
	for (u64 n = 0; n < w->ref_file[i].object->pages; n++)
		for (u32 word = 0; word < REF_WORDS; word++)
			w->ref_file[i].object->word[n][word] = file_token(w->inode[i], n, word);
}

/* The same inode, opened for reading only. */
static void make_read_only(struct world *w, u32 i, u32 of)
{
	w->inode[i] = NULL;
	w->file[i] = file_open(w->inode[of], true, false);
	assert_non_null(w->file[i]);
	w->ref_file[i] = w->ref_file[of];
	w->ref_file[i].id = w->file[i];
	w->ref_file[i].writable = false;
	w->ref_file[i].object->refs++;
}

static void make_first_proc(struct world *w)
{
	struct proc *p = &w->proc[0];
	struct mm_limits limits = mm_limits_default;

	p->mm = mm_create(w->machine, &arch_x86_64, w->locking);
	assert_non_null(p->mm);
	w->third = (p->mm->task_size / 3 + REF_PAGE - 1) & ~(REF_PAGE - 1);
	w->low = w->third - BELOW_PAGES * REF_PAGE;
	w->high = w->third + (BASE_PAGES + ABOVE_PAGES) * REF_PAGE;
	limits.memlock_bytes = 1500 * REF_PAGE;
	limits.stack_bytes = ~0ull;
	p->mm->limits = limits;
	mm_set_mmap_base(p->mm, w->third + BASE_PAGES * REF_PAGE);
	mm_set_brk(p->mm, w->low + 64 * REF_PAGE);
	assert_int_equal(mm_install_special(p->mm, REF_PAGE, w->low - REF_PAGE,
					    VM_READ | VM_MAYREAD, "[below]"),
			 0);
	assert_int_equal(mm_install_special(p->mm, w->high, p->mm->task_size - w->high,
					    VM_READ | VM_MAYREAD, "[above]"),
			 0);

	p->ref = ref_create(w->low, w->high);
	p->ref->mmap_base = p->mm->mmap_base;
	p->ref->bottom_up = w->third;
	p->ref->start_brk = p->ref->brk = p->mm->brk;
	p->ref->memlock_pages = limits.memlock_bytes / REF_PAGE;
	p->ref->vma_of = vma_of;
	p->ref->vma_of_arg = p;
	for (u32 i = 0; i < PROCS; i++) {
		w->proc[i].seen = calloc(ARENA_PAGES, sizeof(*w->proc[i].seen));
		assert_non_null(w->proc[i].seen);
	}
	compare(w, p);
}

static void make_world(struct world *w, const struct mm_locking *locking, enum thp_mode thp, u64 seed)
{
	struct machine_config cfg = {.tasks = 1,
				     .cpus = 1,
				     .memory_bytes = 512ull << 20,
				     .content_words = REF_WORDS,
				     .seed = seed};
	const struct mm_config mm_cfg = {.tree = tree_choice(), .params[MM_PARAM_THP] = thp};

	memset(w, 0, sizeof(*w));
	w->locking = locking;
	w->thp = thp;
	w->seed = w->rng = seed;
	w->machine = machine_create(&cfg);
	assert_non_null(w->machine);
	assert_int_equal(mm_machine_init(w->machine, &arch_x86_64, &mm_cfg), 0);
	machine_enter(w->machine);
	make_file(w, 0, INODE_REGULAR, 300 * REF_PAGE + 100);
	make_read_only(w, 1, 0);
	make_file(w, 2, INODE_REGULAR, 1400 * REF_PAGE);
	make_file(w, 3, INODE_NO_HUGE, 64 * REF_PAGE);
	make_file(w, 4, INODE_SHMEM, 40 * REF_PAGE);
	make_first_proc(w);
}

/* What the page cache holds at the end is what was written through all the mappings. */
static void check_files(struct world *w)
{
	const struct memory *mem = memory_of(w->machine);

	for (u32 i = 0; i < FILES; i++) {
		const struct ref_object *o = w->ref_file[i].object;

		for (u64 n = 0; w->inode[i] && n < o->pages; n++) {
			struct page *page = filemap_get(mem, &w->inode[i]->mapping, n);

			if (!page)
				continue;
			if (!same_words(page_content(mem, page_to_pfn(mem, page)), o->word[n]))
				mismatch(w, "file %u, page %llu: wrong content", i, LL(n));
			page_put(mem, page);
		}
	}
}

static void drop_world(struct world *w)
{
	for (u32 i = 0; i < PROCS; i++) {
		if (w->proc[i].mm)
			drop_proc(w, &w->proc[i]);
		free(w->proc[i].seen);
	}
	for (u32 i = 0; i < FILES; i++) {
		file_put(w->file[i]);
		if (w->inode[i])
			inode_put(w->inode[i]);
		ref_object_put(w->ref_file[i].object);
	}
	machine_leave();
	mm_machine_destroy(w->machine); /* stops at a leak */
	machine_destroy(w->machine);
}

static u32 operations(void)
{
	const char *s = getenv("MMSIM_OPS");

	if (s)
		return (u32)strtoul(s, NULL, 0);
#ifdef MMSIM_SANITIZED
	return 4000;
#else
	return 30000;
#endif
}

/* A run in which most calls are refused would prove little. */
static void expect_variety(u32 count)
{
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		printf("  %-9s%6u calls, %6u successful\n", ops[i].name, ops[i].calls,
		       ops[i].successes);
		if (count >= 1000)
			assert_true(ops[i].successes * 10 > ops[i].calls);
		ops[i].calls = ops[i].successes = 0;
	}
}

static void run(const struct mm_locking *locking, enum thp_mode thp, u64 seed, u32 count)
{
	static struct world w;
	u64 huge;

	make_world(&w, locking, thp, seed);
	for (u32 i = 0; i < count; i++) {
		one_operation(&w);
		if (i % 64 == 0)
			for (u32 n = 0; n < PROCS; n++)
				if (w.proc[n].mm) {
					compare(&w, &w.proc[n]);
					mm_check(w.proc[n].mm);
				}
	}
	check_files(&w);
	huge = machine_counter(w.machine, COUNTER_THP_FAULT_ALLOC);
	printf("  %llu huge leaves, %llu split\n", LL(huge), LL(machine_counter(w.machine, COUNTER_THP_SPLIT)));
	if (thp == THP_ALWAYS && count >= 30000)
		assert_true(huge > 0);
	drop_world(&w);
	expect_variety(count);
}

static void test_random_calls(void **state)
{
	u64 seed = test_seed("reference_model");
	enum thp_mode thp;

	(void)state;
	for (u32 i = 0; mm_locking_all[i]; i++) {
		if (!(mm_locking_all[i]->caps & LK_CAP_CORRECT))
			continue;
		thp = (seed + i) % 2 ? THP_ALWAYS : THP_MADVISE;
		printf("scheme %s, thp=%s\n", mm_locking_all[i]->name, thp == THP_ALWAYS ? "always" : "madvise");
		fflush(stdout);
		run(mm_locking_all[i], thp, seed, operations());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
