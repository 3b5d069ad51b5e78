/*
 * mm/hugetlb.c - MAP_HUGETLB: pools of huge pages, reservations, and the files behind mappings
 *
 * Models       Linux's mm/hugetlb.c and fs/hugetlbfs for anonymous mappings. A pool per size, filled when
 *              the machine is made: pages above the buddy allocator's largest block come whole out of
 *              memory that nobody has used yet. Pages go back to their pool, never to the zones.
 * Reservation  mmap() sets a page aside for each of the mapping's, or says ENOMEM; so its faults cannot
 *              fail. MAP_NORESERVE sets nothing aside: a fault that finds every free page
 *              reserved for others is a SIGBUS. The reservation of a private mapping is its
 *              creator's: fork's child has none, and takes what is free, or gets SIGBUS. What the
 *              owner drops (MADV_DONTNEED) is reserved again, if nobody else maps it.
 *              A page is reserved, or in use, or neither: each file knows by page, so that nothing is
 *              given back twice.
 * Files        Every mapping has a file of its own, as in Linux: therefore no two of them merge.
 * Locks        hugetlb_lock: pools and reservations. hugetlb_fault_mutex: one fault at a time on a page of a
 *              file. hugetlb_vma_lock: faults hold it for read where pages are reserved; MADV_DONTNEED for
 *              write, until what it unmapped is free and reserved again; so does MADV_REMOVE.
 * Leaves out   hugetlbfs as a file system, surplus pages (nr_overcommit_hugepages), pools that change,
 *              contiguous-bit sizes (arm64), page tables shared by processes and i_mmap_rwsem held for
 *              them, migration, the cgroup controller.
 * Failure      -ENOMEM: the pools do not fit into the machine's memory (Linux: fewer pages). -EINVAL: no
 *              such size.
 * Tests        tests/unit/mm/test_hugetlb.c
 */
#include <stdlib.h>

#include "mm/hugetlb.h"
#include "mm/invariants.h"
#include "mm/page_internal.h"

#define MUTEXES_PER_CPU 8

/* ---- pools ----------------------------------------------------------------------------------------- */

/* Is a leaf of this level one of the sizes that Linux has pools of? */
static bool level_has_pool(const struct arch_desc *a, u32 level)
{
	return (a->huge_levels >> level & 1) && level_bytes(a, level) <= HUGETLB_BYTES_MAX;
}

/* How many pages cfg wants of this level. */
static u64 pages_wanted(const struct arch_desc *a, const struct mm_config *cfg, u32 level)
{
	u64 count = level == 1 ? cfg->params[MM_PARAM_HUGEPAGES] : 0;

	if (level_bytes(a, level) == 1ull << 30)
		count += cfg->params[MM_PARAM_HUGEPAGES_1G];
	return count;
}

u64 hugetlb_memory_bytes(const struct arch_desc *a, const struct mm_config *cfg, u32 nodes)
{
	u64 wanted = cfg->params[MM_PARAM_HUGEPAGES] + cfg->params[MM_PARAM_HUGEPAGES_1G], bytes = 0;

	for (u32 level = 1; level < a->levels; level++) {
		u64 count = level_has_pool(a, level) ? pages_wanted(a, cfg, level) : 0;

		wanted -= count;
		/* A node's ends may cut off a part of a page. */
		if (count)
			bytes += (count + 2 * nodes) * level_bytes(a, level);
	}
	return wanted ? ~0ull : bytes;
}

/* One more page for the pool, of this node if it has one. */
static struct page *pool_page(const struct memory *mem, u32 node, u32 order)
{
	for (u32 i = 0; i < mem->node_count; i++) {
		struct page *head = zone_take_huge(mem, (node + i) % mem->node_count, order);

		if (head)
			return head;
	}
	return NULL;
}

static int pool_fill(struct memory *mem, struct hstate *h, u64 count)
{
	for (; h->count < count; h->count++) {
		struct page *head = pool_page(mem, (u32)(h->count % mem->node_count), h->order);

		if (!head)
			return -ENOMEM;
		head->order = (u8)h->order;
		WRITE_ONCE(head->flags, (u32)PAGE_HUGETLB);
		list_add_tail(&head->lru, &h->free_pages[page_node(mem, head)]);
		mem->pool_frames += 1ull << h->order;
		h->free++;
	}
	return 0;
}

static void pool_init(struct hugetlb *hg, const struct arch_desc *a, u32 level)
{
	struct hstate *h = &hg->states[hg->state_count++];

	h->bytes = level_bytes(a, level);
	h->level = level;
	h->order = level_shift(a, level) - a->page_shift;
	for (u32 i = 0; i < MMSIM_NODES_MAX; i++)
		list_init(&h->free_pages[i]);
}

static const struct obj_field mutex_fields[] = { OBJ_RWSEM(struct hugetlb_mutex, sem, "hugetlb_fault_mutex") };
static const struct obj_layout mutex_layout = { sizeof(struct hugetlb_mutex), ARRAY_SIZE(mutex_fields), mutex_fields };

static int mutexes_init(struct hugetlb *hg, struct machine *m)
{
	hg->mutex_count = MUTEXES_PER_CPU;
	while (hg->mutex_count < MUTEXES_PER_CPU * machine_cpu_count(m))
		hg->mutex_count *= 2;
	hg->mutexes = machine_memory_alloc(m, hg->mutex_count * sizeof(hg->mutexes[0]), MMSIM_CACHE_LINE_BYTES);
	if (!hg->mutexes)
		return -ENOMEM;
	for (u32 i = 0; i < hg->mutex_count; i++)
		rwsem_init(&hg->mutexes[i].sem, LOCK_RANK_HUGETLB_FAULT);
	region_set_layout(m, hg->mutexes, hg->mutex_count * sizeof(hg->mutexes[0]), &mutex_layout);
	return 0;
}

static const struct obj_field hugetlb_fields[] = {
	OBJ_FIELD(struct hugetlb, states, "hstate"),
	OBJ_FIELD(struct hugetlb, states[0].free, "hstate->free_huge_pages"),
	OBJ_FIELD(struct hugetlb, states[0].reserved, "hstate->resv_huge_pages"),
	OBJ_FIELD(struct hugetlb, states[1].free, "hstate->free_huge_pages"),
	OBJ_FIELD(struct hugetlb, states[1].reserved, "hstate->resv_huge_pages"),
	OBJ_FIELD(struct hugetlb, state_count, "hugetlb"),
	OBJ_FIELD(struct hugetlb, mutex_count, "hugetlb"),
	OBJ_FIELD(struct hugetlb, mutexes, "hugetlb_fault_mutex_table"),
	OBJ_FIELD(struct hugetlb, lock, "hugetlb_lock"),
};
static const struct obj_layout hugetlb_layout = { sizeof(struct hugetlb), ARRAY_SIZE(hugetlb_fields),
						  hugetlb_fields };

/* The largest first: they need the most memory in one piece. */
static int pools_fill(struct mm_machine *mmm)
{
	struct hugetlb *hg = mmm->hugetlb;
	int err = 0;

	for (u32 i = hg->state_count; i-- > 0 && !err;)
		err = pool_fill(&mmm->memory, &hg->states[i],
				pages_wanted(mmm->arch, &mmm->config, hg->states[i].level));
	return err;
}

int hugetlb_machine_init(struct mm_machine *mmm)
{
	const struct arch_desc *a = mmm->arch;
	struct machine *m = mmm->machine;
	struct hugetlb *hg;
	int err;

	if (hugetlb_memory_bytes(a, &mmm->config, 1) == ~0ull)
		return -EINVAL;
	hg = machine_memory_alloc(m, sizeof(*hg), MMSIM_CACHE_LINE_BYTES);
	if (!hg)
		return -ENOMEM;
	mmm->hugetlb = hg;
	region_set_layout(m, hg, sizeof(*hg), &hugetlb_layout);
	spin_lock_init(&hg->lock, LOCK_RANK_HUGETLB);
	for (u32 level = 1; level < a->levels && hg->state_count < HUGETLB_SIZES_MAX; level++)
		if (level_has_pool(a, level))
			pool_init(hg, a, level);
	err = mutexes_init(hg, m);
	if (!err)
		err = pools_fill(mmm);
	if (err)
		hugetlb_machine_destroy(mmm);
	return err;
}

void hugetlb_machine_destroy(struct mm_machine *mmm)
{
	struct hugetlb *hg = mmm->hugetlb;

	for (u32 i = 0; i < hg->state_count; i++) {
		const struct hstate *h = &hg->states[i];

		if (h->free != h->count || h->reserved)
			MMSIM_BUG("huge pages leaked: of %llu pages of %llu bytes %llu are free, %llu reserved",
				  (unsigned long long)h->count, (unsigned long long)h->bytes,
				  (unsigned long long)h->free, (unsigned long long)h->reserved);
	}
	if (hg->mutexes)
		machine_memory_free(mmm->machine, hg->mutexes, hg->mutex_count * sizeof(hg->mutexes[0]));
	machine_memory_free(mmm->machine, hg, sizeof(*hg));
	mmm->hugetlb = NULL;
}

bool hugetlb_pool(const struct machine *m, u32 n, struct hugetlb_pool *pool)
{
	struct hugetlb *hg = mm_machine(m)->hugetlb;
	const struct hstate *h;

	if (n >= hg->state_count)
		return false;
	h = &hg->states[n];
	spin_lock(&hg->lock);
	line_read(h, free);
	*pool = (struct hugetlb_pool){
		.bytes = h->bytes, .count = h->count, .free = h->free, .reserved = h->reserved};
	spin_unlock(&hg->lock);
	return true;
}

struct hstate *hugetlb_state(const struct mm_machine *mmm, u32 map_flags)
{
	struct hugetlb *hg = mmm->hugetlb;
	u32 size_log2 = map_flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;

	line_read(hg, state_count);
	for (u32 i = 0; i < hg->state_count; i++) {
		line_read(&hg->states[i], bytes);
		if (!size_log2 || hg->states[i].bytes == 1ull << size_log2)
			return &hg->states[i];
	}
	return NULL;
}

/* ---- pages ------------------------------------------------------------------------------------------ */

/* Of the frames that are not the first: an access by a stale translation is to be noticed. Nobody
 * counts on them otherwise. */
static void tails_set(struct page *head, s32 refcount)
{
	for (u32 i = 1; i < 1u << head->order; i++)
		WRITE_UNPRICED(head[i].refcount.counter, refcount);
}

/* hugetlb_lock; one is free. */
static struct page *pool_take(const struct memory *mem, struct hstate *h)
{
	u32 node = cpu_node(this_cpu());
	struct page *head;

	line_read_ptr(&h->free_pages[node]);
	while (list_empty(&h->free_pages[node])) {
		node = (node + 1) % mem->node_count;
		line_read_ptr(&h->free_pages[node]);
	}
	head = list_first_entry(&h->free_pages[node], struct page, lru);
	line_write(head, lru);
	line_write_neighbours(&head->lru);
	list_del_init(&head->lru);
	h->free--;
	return head;
}

struct page *hugetlb_page_get(struct mm *mm, struct hugetlb_file *hf, u64 n, bool may_use, bool *used)
{
	struct hugetlb *hg = mm->mmm->hugetlb;
	struct hstate *h = hf->h;
	struct page *head = NULL;

	spin_lock(&hg->lock);
	line_write(h, free);
	line_write_ptr(&hf->reserved[n]);
	*used = may_use && hf->reserved[n] == RESERVE_SET;
	if (*used || h->free > h->reserved)
		head = pool_take(mm->memory, h);
	if (*used) {
		MMSIM_BUG_ON(!h->reserved);
		hf->reserved[n] = RESERVE_NONE;
		h->reserved--;
	}
	spin_unlock(&hg->lock);
	if (!head) {
		count_event(COUNTER_HUGETLB_ALLOC_FAIL);
		return NULL;
	}
	if (unlikely(atomic_read(&head->refcount)))
		MMSIM_BUG("huge page at frame %llu was free but has references",
			  (unsigned long long)page_to_pfn(mm->memory, head));
	count_event(COUNTER_HUGETLB_ALLOC);
	engine_charge_node(page_node(mm->memory, head));
	tails_set(head, 1);
	atomic_set_release(&head->refcount, 1);
	return head;
}

/* hugetlb_lock. */
static void restore_reserve(struct hstate *h, const struct page *head)
{
	struct hugetlb_file *hf;
	u64 n;

	line_read(head, mapping);
	line_read(head->mapping, inode);
	line_read(head->mapping->inode, hugetlb);
	hf = head->mapping->inode->hugetlb;
	line_read(hf, h);
	n = (head->index - hf->first_index) >> h->order;
	line_write_ptr(&hf->reserved[n]);
	if (hf->reserved[n] != RESERVE_NONE)
		return;
	hf->reserved[n] = RESERVE_SET;
	h->reserved++;
}

void hugetlb_page_free(const struct memory *mem, struct page *head)
{
	struct hugetlb *hg = mm_machine(mem->machine)->hugetlb;
	u32 flags = READ_ONCE(head->flags);
	struct hstate *h = hg->states;

	line_write(head, order);
	line_read(h, order);
	if (h->order != head->order) {
		h++;
		line_read(h, order);
	}
	if (atomic_read(&head->mapcount))
		MMSIM_BUG("huge page at frame %llu is freed, mapped %d times",
			  (unsigned long long)page_to_pfn(mem, head), atomic_read(&head->mapcount));
	if (unlikely(mem->watch))
		invariants_frame_freed(mem->watch, page_to_pfn(mem, head));
	tails_set(head, 0);
	spin_lock(&hg->lock);
	line_write(h, free);
	h->free++;
	if (flags & PAGE_RESTORE_RESERVE)
		restore_reserve(h, head);
	line_write(head, mapping);
	head->mapping = NULL;
	head->anon_vma = NULL;
	WRITE_ONCE(head->flags, (u32)PAGE_HUGETLB);
	line_write_ptr(&h->free_pages[page_node(mem, head)]);
	line_write_ptr(h->free_pages[page_node(mem, head)].next);
	list_add(&head->lru, &h->free_pages[page_node(mem, head)]);
	spin_unlock(&hg->lock);
}

void hugetlb_unmapped(const struct vma *vma, struct page *head)
{
	struct mm *mm = vma->mm;

	line_read(head, order);
	(void)fetch_add_relaxed(&mm->hugetlb_pages, -(1ull << head->order));
	/* Linux restores it even if a child still has the page. */
	if (vma->reserve_owner && page_has(head, PAGE_ANON) && atomic_read(&head->mapcount) == 1)
		page_set_flags(head, PAGE_RESTORE_RESERVE);
}

/* ---- files ------------------------------------------------------------------------------------------- */

static void file_parts_free(struct machine *m, struct hugetlb_file *hf)
{
	if (hf->reserved)
		machine_memory_free(m, hf->reserved, hf->count * sizeof(hf->reserved[0]));
	if (hf->cache)
		machine_memory_free(m, hf->cache, hf->count * sizeof(hf->cache[0]));
	machine_memory_free(m, hf, sizeof(*hf));
}

static struct hugetlb_file *file_parts_alloc(struct machine *m, struct hstate *h, u64 len, u64 pgoff)
{
	struct hugetlb_file *hf = machine_memory_alloc(m, sizeof(*hf), MMSIM_CACHE_LINE_BYTES);
	u64 count = len / h->bytes;

	if (!hf)
		return NULL;
	lines_write(hf, sizeof(*hf));
	*hf = (struct hugetlb_file){
		.h = h,
		.first_index = pgoff,
		.count = count,
		.reserved = machine_memory_alloc(m, count * sizeof(hf->reserved[0]), MMSIM_CACHE_LINE_BYTES),
		.cache = machine_memory_alloc(m, count * sizeof(hf->cache[0]), MMSIM_CACHE_LINE_BYTES),
	};
	rwsem_init(&hf->vma_lock, LOCK_RANK_HUGETLB_VMA);
	if (!hf->reserved || !hf->cache) {
		file_parts_free(m, hf);
		return NULL;
	}
	return hf;
}

struct file *hugetlb_file_setup(struct mm *mm, struct hstate *h, u64 len, u64 pgoff)
{
	u64 ino = fetch_add(&mm->mmm->next_shmem_ino, 1);
	struct inode *inode = inode_create(mm->machine, INODE_HUGETLB, "/anon_hugepage (deleted)", 0, 15, ino,
					   len);
	struct file *file = NULL;

	if (!inode)
		return NULL;
	line_write(inode, hugetlb);
	inode->hugetlb = file_parts_alloc(mm->machine, h, len, pgoff);
	if (inode->hugetlb)
		file = file_open(inode, true, true);
	inode_put(inode);
	return file;
}

/* hugetlb_lock. */
static void unreserve(struct hugetlb_file *hf, u64 first, u64 end)
{
	for (u64 n = first; n < end; n++) {
		line_write_next(&hf->reserved[n], n == first);
		hf->h->reserved -= hf->reserved[n] == RESERVE_SET;
		hf->reserved[n] = RESERVE_GONE;
	}
}

void hugetlb_file_free(struct inode *inode)
{
	struct hugetlb *hg = mm_machine(inode->machine)->hugetlb;
	struct hugetlb_file *hf = inode->hugetlb;

	line_read(hf, h);
	for (u64 n = 0; n < hf->count; n++) {
		line_read_next(&hf->cache[n], !n);
		if (hf->cache[n])
			page_put(memory_of(inode->machine), hf->cache[n]);
	}
	spin_lock(&hg->lock);
	line_write(hf->h, free);
	unreserve(hf, 0, hf->count);
	spin_unlock(&hg->lock);
	file_parts_free(inode->machine, hf);
}

bool hugetlb_reserve(const struct file *file)
{
	struct hugetlb *hg;
	struct hugetlb_file *hf;
	struct hstate *h;
	bool covered;

	line_read(file, inode);
	line_read(file->inode, hugetlb);
	hg = mm_machine(file->inode->machine)->hugetlb;
	hf = file->inode->hugetlb;
	line_read(hf, h);
	h = hf->h;
	spin_lock(&hg->lock);
	line_write(h, free);
	covered = h->free - h->reserved >= hf->count;
	for (u64 n = 0; covered && n < hf->count; n++) {
		line_write_next(&hf->reserved[n], !n);
		hf->reserved[n] = RESERVE_SET;
		h->reserved++;
	}
	spin_unlock(&hg->lock);
	if (!covered)
		count_event(COUNTER_HUGETLB_RESERVE_FAIL);
	return covered;
}

void hugetlb_vma_close(const struct vma *vma)
{
	struct hugetlb *hg = mm_machine(vma->mm->machine)->hugetlb;
	struct hugetlb_file *hf = vma_hugetlb(vma);
	u64 first = hugetlb_page_of(vma, hf, vma->start);

	if (vma->reserve_owner) {
		spin_lock(&hg->lock);
		line_write(hf->h, free);
		unreserve(hf, first, first + (vma->end - vma->start) / hf->h->bytes);
		spin_unlock(&hg->lock);
	}
	/* What the caller's file_put() looks at. */
	line_read(vma, start);
	line_read(vma, file);
	line_read(vma->file, inode);
	line_read(vma->file->inode, name);
}

struct rwsem *hugetlb_fault_mutex(struct mm *mm, const struct inode *inode, u64 n)
{
	const struct hugetlb *hg = mm->mmm->hugetlb;
	u64 hash;

	line_read(inode, ino);
	line_read(hg, mutexes);
	hash = (inode->ino * 0x9e3779b97f4a7c15ull + n) * 0x9e3779b97f4a7c15ull;
	return &hg->mutexes[(hash >> 32) & (hg->mutex_count - 1)].sem;
}

struct rwsem *hugetlb_vma_lock(const struct vma *vma)
{
	if (!(vma->flags & VM_SHARED) && !vma->reserve_owner)
		return NULL;
	return &vma_hugetlb(vma)->vma_lock;
}

void hugetlb_zap_page(struct vma *vma, u64 index, u64 bytes)
{
	struct mmu_gather tlb;
	u64 va;

	line_read(vma, start);
	line_read(vma->mm, locking);
	va = vma->start + ((index - vma->pgoff) << vma->mm->arch->page_shift);
	tlb_gather_mmu(&tlb, vma->mm, false);
	pgtable_zap(&tlb, vma, va, va + bytes);
	tlb_finish_mmu(&tlb);
}

/* Fault mutex of page n, which is in the cache: nobody maps it again. */
static void remove_page(const struct memory *mem, struct mapping *mapping, struct hugetlb_file *hf, u64 n)
{
	u64 index = hf->first_index + (n << hf->h->order);
	struct page *head = hf->cache[n];

	down_write(&mapping->i_mmap_rwsem);
	for (struct vma *vma = i_mmap_first(mapping, index, index); vma; vma = i_mmap_next(vma, index, index))
		hugetlb_zap_page(vma, index, hf->h->bytes);
	up_write(&mapping->i_mmap_rwsem);
	hf->cache[n] = NULL;
	page_put(mem, head);
}

/* [start, end) lies inside one page. */
static void punch_page(struct vma *vma, struct hugetlb_file *hf, u64 start, u64 end)
{
	const struct memory *mem = vma->mm->memory;
	u64 n = hugetlb_page_of(vma, hf, start), first = (start & (hf->h->bytes - 1)) >> mem->page_shift;
	struct inode *inode = vma->file->inode;
	struct rwsem *mutex = hugetlb_fault_mutex(vma->mm, inode, n);

	down_write(mutex);
	/* As MADV_DONTNEED: not before what that has unmapped is free. */
	down_write(&hf->vma_lock);
	line_write_ptr(&hf->cache[n]);
	if (hf->cache[n] && end - start == hf->h->bytes)
		remove_page(mem, &inode->mapping, hf, n);
	else if (hf->cache[n])
		pages_clear_content(mem, hf->cache[n] + first, (u32)((end - start) >> mem->page_shift));
	up_write(&hf->vma_lock);
	up_write(mutex);
}

void hugetlb_punch_hole(struct vma *vma, u64 start, u64 end)
{
	struct hugetlb_file *hf = vma_hugetlb(vma);

	for (u64 va = start, next; va < end; va = next) {
		next = min(ALIGN_DOWN(va, hf->h->bytes) + hf->h->bytes, end);
		punch_page(vma, hf, va, next);
	}
}
