/*
 * mm/huge.c - leaves of level 1 (x86: 2 MiB) for private anonymous memory: fault, split, zap, collapse
 *
 * Models       Linux's mm/huge_memory.c and the MADV_COLLAPSE of mm/khugepaged.c: a write fault in a
 *              VMA that may have huge pages installs a whole leaf when its range lies inside the VMA,
 *              no table is there, and a block of frames can be had; a part that is unmapped,
 *              protected, moved or advised on splits it into a table of small pages first, and so do
 *              a boundary between VMAs and a fork; unmapping and protecting the whole does not.
 * Pages        A block's frames have a reference count of 1 each. While one leaf maps them, the
 *              first frame (PAGE_HUGE) stands for all: it alone is mapped (map count 1), is on the
 *              LRU, and when its last reference goes the block is freed as one. Only one entry
 *              ever maps it: it is always exclusive. A split makes each frame a page of its own, so
 *              that nothing else in mm/ knows of blocks.
 * Split        The table that it needs was made with the leaf and waits in the second frame's struct
 *              page (Linux: pgtable_trans_huge_deposit()), so it cannot fail. The leaf is made
 *              unusable to MMUs, flushed, and replaced by the table: break-before-make, and no TLB
 *              ever has both sizes. Software finds a leaf at all times, and waits for its lock.
 * Leaves out   The huge zero page (reads map small ones), huge pages of files, leaves that fork
 *              shares between processes, deferred splitting, khugepaged's own scans, compaction:
 *              when no block is free the fault takes a small page. MADV_FREE of a whole leaf splits it.
 * Locks        The lock of the table that the leaf is in. Who splits holds the address-space lock over
 *              the part that it changes; who collapses, for write over the whole, and the anon_vma's.
 * Counters     THP_FAULT_ALLOC, THP_FAULT_FALLBACK, THP_SPLIT, THP_COLLAPSE.
 * Tests        tests/unit/mm/test_huge.c
 */
#include "mm/invariants.h"
#include "mm/mmu_internal.h"
#include "mm/fault_internal.h"

static inline u64 huge_bytes(const struct mm *mm)
{
	return level_bytes(mm->arch, 1);
}

static inline u32 huge_pages(const struct memory *mem)
{
	return 1u << mem->huge_order;
}

/* ---- the table that waits ---------------------------------------------------------------------- */

static void deposit_put(struct page *head, struct page *table)
{
	line_write(head + 1, deposit);
	head[1].deposit = table;
}

static struct page *deposit_take(struct page *head)
{
	struct page *table;

	line_write(head + 1, deposit);
	table = head[1].deposit;
	head[1].deposit = NULL;
	return table;
}

/* ---- fault --------------------------------------------------------------------------------------- */

/* f->pte, f->ptl: the level-1 entry, locked; `alloc`: with the tables above it. The VMA is pinned, so
 * they stay. CONTINUE, OOM, RETRY. */
static enum fault_step fault_leaf_lock(struct fault *f, bool alloc)
{
	f->pte = pgtable_entry(f->mm, f->va, 1, alloc, &f->ptl);
	if (!f->pte)
		return alloc ? STEP_OOM : STEP_RETRY;
	return f->mm->locking->pte_lock(f, f->ptl) ? STEP_CONTINUE : STEP_RETRY;
}

/* A block and the table for its split. NULL: not to be had. */
static struct page *huge_alloc(struct mm *mm, u32 alloc_flags)
{
	struct page *table = pgtable_page_alloc(mm), *head;

	if (!table)
		return NULL;
	head = page_alloc_huge(mm->memory, alloc_flags);
	if (!head) {
		pgtable_page_free(mm, table);
		return NULL;
	}
	deposit_put(head, table);
	return head;
}

static void huge_free(struct mm *mm, struct page *head)
{
	pgtable_page_free(mm, deposit_take(head));
	page_put(mm->memory, head);
}

/* The head of a block that is going to be mapped at va. */
static void huge_dress(struct page *head, const struct vma *vma, u64 va)
{
	u32 flags = PAGE_ANON | PAGE_ANON_EXCLUSIVE | PAGE_SWAPBACKED | PAGE_UPTODATE | PAGE_HUGE;

	if ((vma->flags & VM_LOCKED) && !(vma->flags & VM_SPECIAL))
		flags |= PAGE_UNEVICTABLE;
	WRITE_ONCE(head->flags, flags);
	line_write(head, anon_vma);
	head->anon_vma = READ_ONCE(vma->anon_vma);
	head->index = vma->pgoff + ((va - vma->start) >> vma->mm->arch->page_shift);
}

/* ptl held, the entry is empty. */
static void huge_map(const struct vma *vma, pte_t *leaf, u64 va, struct page *head)
{
	struct mm *mm = vma->mm;
	u32 attrs = vma_pte_attrs(vma);

	if (vma->flags & VM_WRITE)
		attrs |= PTE_WRITE | PTE_DIRTY;
	lru_add(mm->memory, head);
	atomic_set(&head->mapcount, 1);
	pte_set(mm, leaf, va, huge_make(mm->arch, page_to_pfn(mm->memory, head), attrs));
}

enum fault_step fault_anon_huge(struct fault *f)
{
	struct mm *mm = f->mm;
	u64 va = ALIGN_DOWN(f->va, huge_bytes(mm));
	enum fault_step step;
	struct page *head;

	/* The whole of it is going to be mapped: a lock over the address alone will not do. */
	if (!f->speculative && unlikely(!hold_covers(f->hold, va, va + huge_bytes(mm)))) {
		f->needs_neighbours = true;
		return STEP_RETRY;
	}
	step = fault_anon_prepare(f);
	if (step != STEP_CONTINUE)
		return step;
	head = huge_alloc(mm, ALLOC_ZERO);
	if (!head) {
		count_event(COUNTER_THP_FAULT_FALLBACK);
		return STEP_CONTINUE;
	}
	huge_dress(head, f->vma, va);
	step = fault_leaf_lock(f, true);
	if (step != STEP_CONTINUE) {
		huge_free(mm, head);
		return step;
	}
	if (unlikely(pte_get(f->pte))) { /* a leaf, or a table of somebody who found no block */
		fault_pte_unlock(f);
		huge_free(mm, head);
		count_event(COUNTER_FAULT_SPURIOUS);
		return STEP_DONE;
	}
	huge_map(f->vma, f->pte, va, head);
	fault_pte_unlock(f);
	percpu_counter_add(&mm->rss[RSS_ANON], huge_pages(mm->memory));
	count_event(COUNTER_FAULT_ANON);
	count_event(COUNTER_THP_FAULT_ALLOC);
	return STEP_DONE;
}

enum fault_step fault_huge_present(struct fault *f)
{
	struct mm *mm = f->mm;
	const struct arch_desc *a = mm->arch;
	bool write = f->access == ACCESS_WRITE;
	u32 want = PTE_ACCESSED | (write ? PTE_DIRTY | PTE_WRITE : 0);
	enum fault_step step;
	pte_t e;

	if (!mm->memory->huge_order || !pgtable_is_leaf(mm, pgtable_peek_leaf(mm, f->va), 1))
		return STEP_CONTINUE;
	step = fault_leaf_lock(f, false);
	if (step != STEP_CONTINUE)
		return step;
	e = pte_get(f->pte);
	if (!pgtable_is_leaf(mm, e, 1)) {
		fault_pte_unlock(f);
		count_event(COUNTER_FAULT_SPURIOUS);
		return STEP_DONE;
	}
	/* It is exclusive: whoever may write to the VMA may write to it. */
	count_event(write && !pte_has(a, e, PTE_WRITE) ? COUNTER_FAULT_WP_REUSE
						       : COUNTER_FAULT_SPURIOUS);
	while (!pte_has(a, e, want))
		if (pte_try_change(mm, f->pte, f->va, &e, pte_set_attrs(a, e, want)))
			break;
	fault_pte_unlock(f);
	return STEP_DONE;
}

/* ---- split ----------------------------------------------------------------------------------------- */

/* May an MMU let a user through by this leaf? */
static bool is_usable(const struct arch_desc *a, pte_t e)
{
	return (pte_attrs(a, e) & (PTE_USER | PTE_HIDDEN)) == PTE_USER;
}

/* To software a leaf still, to no MMU any more. Returns what it was, with the last Accessed and Dirty. */
static pte_t leaf_invalidate(struct mm *mm, pte_t *leaf, u64 va)
{
	const struct arch_desc *a = mm->arch;
	pte_t e = pte_get(leaf), unusable;

	do {
		unusable = pte_clear_attrs(a, pte_set_attrs(a, e, PTE_HIDDEN), PTE_USER);
	} while (!try_cmpxchg(leaf, &e, unusable));
	tlb_flush_leaf(mm, va);
	return e;
}

/* Each frame of the block becomes a page. */
static void pages_split(const struct memory *mem, struct page *head)
{
	const u32 kept = PAGE_ANON | PAGE_ANON_EXCLUSIVE | PAGE_SWAPBACKED | PAGE_UPTODATE |
			 PAGE_UNEVICTABLE | PAGE_DIRTY | PAGE_REFERENCED;
	u32 flags = READ_ONCE(head->flags) & kept;
	struct anon_vma *anon_vma;
	u64 index;

	line_read(head, anon_vma);
	anon_vma = head->anon_vma;
	index = head->index;
	for (u32 i = 1; i < huge_pages(mem); i++) {
		struct page *page = head + i;

		WRITE_ONCE(page->flags, flags);
		line_write(page, anon_vma);
		page->mapping = NULL;
		page->anon_vma = anon_vma;
		page->index = index + i;
		atomic_set(&page->mapcount, 1);
		lru_add(mem, page);
	}
	page_clear_flags(head, PAGE_HUGE);
}

void pgtable_split_locked(struct mm *mm, pte_t *leaf, u64 va)
{
	const struct arch_desc *a = mm->arch;
	const struct memory *mem = mm->memory;
	pte_t e = leaf_invalidate(mm, leaf, va), *table;
	struct page *head = pfn_to_page(mem, leaf_pfn(a, e, 1)), *deposit = deposit_take(head);
	u64 pfn = page_to_pfn(mem, head), table_pfn_ = page_to_pfn(mem, deposit);
	u32 attrs = pte_attrs(a, e);

	table = phys_to_virt(mem, table_pfn_);
	for (u32 i = 0; i < huge_pages(mem); i++)
		WRITE_ONCE(table[i], pte_make(a, pfn + i, attrs));
	pages_split(mem, head);
	if (unlikely(mem->watch))
		invariants_resized(mm, va, pfn, 1);
	if (MMU_PARANOID && is_usable(a, READ_UNPRICED(*leaf)))
		MMSIM_BUG("a live leaf at %#llx is replaced by a table without a break", (unsigned long long)va);
	/* Pairs with the acquire of whoever descends. */
	smp_store_release(leaf, table_make(a, table_pfn_, 1));
	count_event(COUNTER_THP_SPLIT);
}

void pgtable_split(struct mm *mm, u64 va)
{
	spinlock_t *ptl;
	pte_t *leaf;

	if (!mm->memory->huge_order || !pgtable_is_leaf(mm, pgtable_peek_leaf(mm, va), 1))
		return;
	leaf = pgtable_entry(mm, va, 1, false, &ptl);
	spin_lock(ptl);
	if (pgtable_is_leaf(mm, pte_get(leaf), 1))
		pgtable_split_locked(mm, leaf, ALIGN_DOWN(va, huge_bytes(mm)));
	spin_unlock(ptl);
}

void pgtable_split_at(struct mm *mm, u64 boundary)
{
	if (boundary & (huge_bytes(mm) - 1))
		pgtable_split(mm, boundary);
}

void huge_unmapped(struct mm *mm, struct page *head)
{
	/* No MMU and no walker has ever seen this table. */
	pgtable_page_free(mm, deposit_take(head));
}

/* ---- collapse -------------------------------------------------------------------------------------- */

/* The table is out of the tree and nobody can install in it. Copy what its entries map into the block,
 * and let go of it. Returns how many pages were mapped. */
static u32 take_pages(struct mmu_gather *tlb, u64 va, pte_t *table, spinlock_t *ptl, struct page *head)
{
	struct mm *mm = tlb->mm;
	const struct arch_desc *a = mm->arch;
	const struct memory *mem = mm->memory;
	u32 mapped = 0;

	spin_lock(ptl);
	for (u32 i = 0; i < huge_pages(mem); i++) {
		pte_t e = READ_ONCE(table[i]);
		struct page *page;

		if (!pte_present(a, e)) {
			page_clear_content(mem, head + i);
			continue;
		}
		WRITE_ONCE(table[i], 0);
		if (unlikely(mem->watch))
			invariants_resized(mm, va + i * arch_page_bytes(a), pte_pfn(a, e), 0);
		if (pte_has(a, e, PTE_SPECIAL)) {
			page_clear_content(mem, head + i);
			continue;
		}
		page = pfn_to_page(mem, pte_pfn(a, e));
		page_copy_content(mem, head + i, page);
		page_unmap_one(page);
		mapped++;
		if (unlikely(gather_page(tlb, page))) {
			spin_unlock(ptl);
			gather_flush(tlb);
			spin_lock(ptl);
		}
	}
	spin_unlock(ptl);
	return mapped;
}

/* The VMA and its anon_vma are write-locked: nobody faults in the range. */
static void collapse_table(struct vma *vma, u64 va, pte_t *entry, spinlock_t *ptl, struct page *head)
{
	struct mm *mm = vma->mm;
	const struct memory *mem = mm->memory;
	struct mmu_gather tlb;
	u64 table;
	u32 mapped;

	spin_lock(ptl);
	table = table_pfn(mm->arch, xchg(entry, (pte_t)0));
	spin_unlock(ptl);
	/* From here on no MMU uses the small pages, and none is half-way down to them. */
	tlb_flush_range(mm, va, va + huge_bytes(mm), 0, true);
	tlb_gather_mmu(&tlb, mm, false);
	mapped = take_pages(&tlb, va, phys_to_virt(mem, table), &pfn_to_page(mem, table)->ptl, head);
	gather_table(&tlb, table);
	gather_range(&tlb, va, va + arch_page_bytes(mm->arch), 1);
	spin_lock(ptl);
	huge_map(vma, entry, va, head);
	spin_unlock(ptl);
	percpu_counter_add(&mm->rss[RSS_ANON], (s64)huge_pages(mem) - mapped);
	tlb_finish_mmu(&tlb);
	count_event(COUNTER_THP_COLLAPSE);
}

/* One leaf's range, inside vma. 0, -EINVAL: there is nothing, -ENOMEM. */
static int collapse_one(struct vma *vma, u64 va)
{
	struct mm *mm = vma->mm;
	spinlock_t *ptl;
	pte_t *entry = pgtable_entry(mm, va, 1, false, &ptl);
	struct page *head;

	if (!entry || !pte_present(mm->arch, pte_get(entry)))
		return -EINVAL;
	if (pgtable_is_leaf(mm, pte_get(entry), 1))
		return 0;
	head = huge_alloc(mm, 0);
	if (!head)
		return -ENOMEM;
	huge_dress(head, vma, va);
	vma_start_write(vma);
	vm_write_begin(vma);
	down_write(&vma->anon_vma->root->rwsem);
	collapse_table(vma, va, entry, ptl, head);
	up_write(&vma->anon_vma->root->rwsem);
	vm_write_end(vma);
	return 0;
}

int pgtable_collapse(struct vma *vma, u64 start, u64 end)
{
	struct mm *mm = vma->mm;
	u64 bytes = huge_bytes(mm);
	int err = 0, one;

	line_read(vma, anon_vma);
	if (!mm->memory->huge_order || !vma_is_anonymous(vma) || (vma->flags & (VM_SHARED | VM_NOHUGEPAGE)))
		return -EINVAL;
	start = ALIGN_UP(start, bytes);
	end = ALIGN_DOWN(end, bytes);
	if (start > end || (start < end && !vma->anon_vma))
		return -EINVAL;
	for (; start < end; start += bytes) {
		one = collapse_one(vma, start);
		if (one)
			err = one;
		if (one == -ENOMEM)
			break;
	}
	return err;
}
