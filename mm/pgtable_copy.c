/*
 * mm/pgtable_copy.c - page tables at fork and mremap: copy entries, move entries
 *
 * Models       copy_page_range() and move_page_tables() of Linux.
 * Locks        fork: both mms' address-space locks for write, src write-started. Per table: dst's
 *              ptl, then src's, nested. mremap: the lock for write, both VMAs write-started. Per
 *              table: the old ptl, then the new one, nested (lock_rank.h: LOCK_RANK_PTE).
 * Guarantee    The MMU may set Accessed and Dirty in the old entries at any moment: they are only
 *              changed by read-modify-writes, so that nothing it sets is lost.
 * Leaves out   pages pinned by a driver, which Linux copies at fork.
 * Tests        tests/unit/mm/test_pgtable_copy.c
 */
#include "mm/mmu_internal.h"

/* ---- fork --------------------------------------------------------------------------------- */

/* Linux's vma_needs_copy(): what the child can fault in again from the file is not copied. */
static bool vma_needs_copy(const struct vma *src)
{
	return src->flags & (VM_PFNMAP | VM_MIXEDMAP) || src->anon_vma;
}

/* Take the right to write out of a live entry; returns what it is then. */
static pte_t write_protect(struct mm *mm, pte_t *pte, u64 va, pte_t e)
{
	pte_t new_e;

	do {
		new_e = pte_clear_attrs(mm->arch, e, PTE_WRITE);
	} while (!pte_try_change(mm, pte, va, &e, new_e));
	return new_e;
}

/* One more mapping, now shared. The source's ptl guards the change from exclusive. */
static void page_dup_map(struct page *page)
{
	page_get(page);
	atomic_inc(&page->mapcount);
	if (page_has(page, PAGE_ANON_EXCLUSIVE))
		page_clear_flags(page, PAGE_ANON_EXCLUSIVE);
}

struct copy {
	struct mm *dst, *src;
	bool cow, shared, *flush;
	s64 rss[RSS_KINDS], hugetlb_pages;
};

/* Both ptls held. */
static void copy_entries(struct copy *c, pte_t *to, pte_t *from, u32 level, u64 va, u64 end)
{
	const struct arch_desc *a = c->src->arch;
	u64 step = level_bytes(a, level);

	for (; va < end; va += step, to++, from++) {
		pte_t e = READ_ONCE(*from);

		if (!pte_present(a, e))
			continue;
		if (!pte_has(a, e, PTE_SPECIAL)) {
			struct page *page = pfn_to_page(c->src->memory, leaf_pfn(a, e, level));

			page_dup_map(page);
			if (unlikely(level))
				c->hugetlb_pages += (s64)(step >> a->page_shift);
			else
				c->rss[page_rss_kind(page)]++;
		}
		if (c->cow && pte_has(a, e, PTE_WRITE)) {
			e = write_protect(c->src, from, va, e);
			*c->flush = true;
		}
		if (c->shared)
			e = pte_clear_attrs(a, e, PTE_DIRTY);
		pte_set(c->dst, to, va, pte_clear_attrs(a, e, PTE_ACCESSED));
	}
}

int pgtable_copy(struct vma *dst, struct vma *src, bool *flush)
{
	struct copy c = {
		.dst = dst->mm,
		.src = src->mm,
		.cow = (src->flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE,
		.shared = (src->flags & VM_SHARED) != 0,
		.flush = flush,
	};
	int error = 0;
	u64 next;

	if (!vma_needs_copy(src))
		return 0;
	for (u64 va = src->start; va < src->end; va = next) {
		struct pt_span s;
		spinlock_t *dst_ptl;
		pte_t *to;

		pgtable_span_leaf(c.src, va, src->end, &s);
		next = s.end;
		if (!s.entry)
			continue;
		/* Huge leaves that could be split are; the others are shared. */
		if (unlikely(s.level) && !(src->flags & VM_HUGETLB)) {
			pgtable_split(c.src, va);
			next = va;
			continue;
		}
		to = pgtable_entry(c.dst, va, s.level, true, &dst_ptl);
		if (!to) {
			error = -ENOMEM;
			break;
		}
		spin_lock(dst_ptl);
		spin_lock_nested(s.ptl);
		copy_entries(&c, to, s.entry, s.level, va, next);
		spin_unlock(s.ptl);
		spin_unlock(dst_ptl);
	}
	for (u32 kind = 0; kind < RSS_KINDS; kind++)
		if (c.rss[kind])
			percpu_counter_add(&c.dst->rss[kind], c.rss[kind]);
	if (unlikely(c.hugetlb_pages))
		(void)fetch_add_relaxed(&c.dst->hugetlb_pages, (u64)c.hugetlb_pages);
	return error;
}

/* ---- mremap --------------------------------------------------------------------------------- */

/* Lock b after a, unless they are one. */
static void lock_two(spinlock_t *a, spinlock_t *b)
{
	spin_lock(a);
	if (a != b)
		spin_lock_nested(b);
}

static void unlock_two(spinlock_t *a, spinlock_t *b)
{
	if (a != b)
		spin_unlock(b);
	spin_unlock(a);
}

/* Both aligned to what an entry of `level` covers: move the table that it points to instead of that
 * table's entries, or the huge leaf, if the target has none. false: not done. */
static bool move_whole(struct mm *mm, u64 old, u64 new_va, u32 level)
{
	u64 len = level_bytes(mm->arch, level);
	spinlock_t *old_lock, *new_lock;
	pte_t *to = pgtable_entry(mm, new_va, level, true, &new_lock);
	pte_t *from = pgtable_entry(mm, old, level, false, &old_lock);
	bool moved = false;

	if (!to || !from)
		return false;
	lock_two(old_lock, new_lock);
	if (!pte_present(mm->arch, READ_ONCE(*to))) {
		pte_t e = READ_ONCE(*from);

		/* A fault without any other lock may have found its VMA unchanged under the table's a
		 * moment ago: it finishes first. Who comes later sees that we are inside. (Such faults
		 * leave huge leaves alone.) */
		if ((mm->locking->caps & LK_CAP_TRY_UNPINNED) && pte_present(mm->arch, e) &&
		    !entry_is_leaf(mm->arch, e, level)) {
			spinlock_t *ptl = &pfn_to_page(mm->memory, table_pfn(mm->arch, e))->ptl;

			spin_lock_nested(ptl);
			spin_unlock(ptl);
		}
		e = xchg(from, (pte_t)0);

		/* Before the new place shows: no MMU may use the old one any more. */
		if (pgtable_is_leaf(mm, e, level))
			tlb_flush_range(mm, old, old + len, level, false);
		else
			tlb_flush_range(mm, old, old + len, 0, true);
		smp_store_release(to, e);
		moved = true;
	}
	unlock_two(old_lock, new_lock);
	return moved;
}

/* Both ptls held. */
static void move_entries(struct mm *mm, pte_t *from, u64 old, pte_t *to, u64 new_va, u64 len)
{
	u64 step = arch_page_bytes(mm->arch);
	bool flush = false;

	for (u64 done = 0; done < len; done += step, from++, to++) {
		pte_t e;

		if (!READ_ONCE(*from))
			continue;
		e = pte_get_and_clear(mm, from, old + done);
		flush |= pte_present(mm->arch, e);
		pte_set(mm, to, new_va + done, e);
	}
	/* Under the ptl: once the new place can be unmapped, its pages can be freed, and that
	 * flush would not know about the old place (Linux: CVE-2018-18281). */
	if (flush)
		tlb_flush_range(mm, old, old + len, 0, false);
}

u64 pgtable_move(struct vma *old_vma, u64 old, struct vma *new_vma, u64 new, u64 len)
{
	struct mm *mm = old_vma->mm;
	u64 table_bytes = level_bytes(mm->arch, 1);
	u64 done = 0;

	(void)new_vma;
	while (done < len) {
		spinlock_t *new_ptl;
		pte_t *to;
		u64 va = old + done, target = new + done, n;
		struct pt_span s;
		u32 level;

		pgtable_span_leaf(mm, va, old + len, &s);
		n = s.end - va;
		if (!s.entry) {
			done += n;
			continue;
		}
		level = max(s.level, 1u);
		/* A hash table has the entries under the names of their old addresses. */
		if (n == level_bytes(mm->arch, level) && !(target & (n - 1)) && !mm->arch->hashed &&
		    move_whole(mm, va, target, level)) {
			done += n;
			continue;
		}
		if (s.level) {
			pgtable_split(mm, va);
			continue;
		}
		n = min(n, ALIGN_DOWN(target, table_bytes) + table_bytes - target);
		to = pgtable_alloc(mm, target, &new_ptl);
		if (!to)
			break;
		lock_two(s.ptl, new_ptl);
		move_entries(mm, s.entry, va, to, target, n);
		unlock_two(s.ptl, new_ptl);
		done += n;
	}
	return done;
}
