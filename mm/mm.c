/*
 * mm/mm.c - life of an address space, and of a machine's mm subsystem
 *
 * Models       mm_alloc/mmget/mmput/exit_mmap of Linux.
 * Leaves out   mm_count (lazy TLB references): a CPU that has an mm loaded keeps a user reference.
 * Guarantee    After mm_machine_destroy() not a frame, VMA, anon_vma or tree node is left (each
 *              cache checks itself and stops the program otherwise).
 * Tests        every test, through its teardown
 */
#include <stdlib.h>
#include <string.h>

#include "mm/hugetlb.h"
#include "mm/internal.h"

/* Linux's percpu_counter_batch: RSS is off by at most this much per CPU. */
#define RSS_BATCH_PAGES 32

const struct mm_limits mm_limits_default = {
	.max_map_count = DEFAULT_MAX_MAP_COUNT,
	.address_space_bytes = ~0ull,
	.data_bytes = ~0ull,
	.stack_bytes = 8ull << 20,
	.memlock_bytes = 8ull << 20,
	.mmap_min_addr = MMAP_MIN_ADDR,
	.can_ipc_lock = false,
};

/* Runs once per piece of type-stable memory: readers may look at the lock word at any time after. */
static void vma_ctor(void *obj)
{
	lines_write(obj, sizeof(struct vma));
	memset(obj, 0, sizeof(struct vma));
}

static int create_caches(struct mm_machine *mmm, struct machine *m)
{
	mmm->mm_cache = objcache_create(m, "mm", sizeof(struct mm), MMSIM_CACHE_LINE_BYTES, 0, NULL);
	mmm->vma_cache = objcache_create(m, "vma", sizeof(struct vma), MMSIM_CACHE_LINE_BYTES,
					 OBJCACHE_TYPESAFE, vma_ctor);
	mmm->vma_lock_cache = objcache_create(m, "vma_lock", sizeof(struct vma_lock),
					      MMSIM_CACHE_LINE_BYTES, 0, NULL);
	mmm->anon_vma_cache = objcache_create(m, "anon_vma", sizeof(struct anon_vma),
					      MMSIM_CACHE_LINE_BYTES, 0, NULL);
	mmm->avc_cache = objcache_create(m, "anon_vma_chain", sizeof(struct anon_vma_chain),
					 MMSIM_CACHE_LINE_BYTES, 0, NULL);
	for (u32 i = 0; vma_tree_all[i]; i++) {
		MMSIM_BUG_ON(i == VMA_TREES_MAX);
		mmm->node_cache[i] = vma_tree_cache_create(m, vma_tree_all[i]);
		if (vma_tree_all[i]->node_bytes && !mmm->node_cache[i])
			return -ENOMEM;
	}
	mmm->bravo_table = bravo_table_create(m);
	mmm->range_list_pool = range_list_pool_create(m);
	mmm->vma_srcu = srcu_domain_create("vma_srcu");
	if (!mmm->mm_cache || !mmm->vma_cache || !mmm->vma_lock_cache || !mmm->anon_vma_cache ||
	    !mmm->avc_cache ||
	    !mmm->bravo_table || !mmm->range_list_pool || !mmm->vma_srcu)
		return -ENOMEM;
	return 0;
}

static void destroy_caches(struct mm_machine *mmm)
{
	struct objcache *all[] = { mmm->mm_cache, mmm->vma_cache, mmm->vma_lock_cache,
				   mmm->anon_vma_cache, mmm->avc_cache };

	if (mmm->vma_srcu)
		srcu_domain_destroy(mmm->vma_srcu);
	if (mmm->range_list_pool)
		range_list_pool_destroy(mmm->range_list_pool);
	if (mmm->bravo_table)
		bravo_table_destroy(mmm->machine, mmm->bravo_table);
	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i])
			objcache_destroy(all[i]);
	for (u32 i = 0; i < VMA_TREES_MAX; i++)
		if (mmm->node_cache[i])
			objcache_destroy(mmm->node_cache[i]);
}

static void apply_config(struct mm_machine *mmm, const struct mm_config *cfg)
{
	if (cfg)
		mmm->config = *cfg;
	if (!mmm->config.era)
		mmm->config.era = kernel_era_newest();
	mmm->vma_coverage = mm_config_coverage(&mmm->config);
	mmm->vma_lock_embedded = mmm->config.params[MM_PARAM_VMA_LOCK_PLACEMENT] == VMA_LOCK_EMBEDDED;
	machine_set_classic_rwsem(mmm->machine, !mmm->config.era->rwsem_handoff);
}

int mm_machine_init(struct machine *m, const struct arch_desc *arch, const struct mm_config *cfg)
{
	struct mm_machine *mmm = calloc(1, sizeof(*mmm));
	bool outside = !this_cpu(); /* caches and memory need a CPU to be set up on */
	int err;

	if (!mmm)
		return -ENOMEM;
	if (outside)
		machine_enter(m);
	mmm->machine = m;
	mmm->arch = arch;
	apply_config(mmm, cfg);
	for (u32 attrs = 0; attrs <= PTE_ATTR_MASK; attrs++)
		mmm->leaf_bits[attrs] = pte_make(arch, 0, attrs);
	mmm->next_context_id = 1;
	mmm->next_shmem_ino = 1024;
	machine_set_private(m, mmm);
	err = create_caches(mmm, m);
	if (err)
		goto no_caches;
	err = memory_init(m, arch->page_shift, (arch->huge_levels & 2) ? arch->idx_bits[0] : 0);
	if (err)
		goto no_caches;
	err = hugetlb_machine_init(mmm);
	if (err)
		goto no_pools;
	err = tlb_machine_init(m, arch);
	if (!err) {
		mm_name_layouts(mmm);
		if (mmm->config.params[MM_PARAM_CHECK_INVARIANTS])
			tlb_check_invariants(m);
		goto out;
	}
	hugetlb_machine_destroy(mmm);
no_pools:
	memory_destroy(m);
no_caches:
	destroy_caches(mmm);
	machine_set_private(m, NULL);
	free(mmm);
out:
	if (outside)
		machine_leave();
	return err;
}

void mm_machine_destroy(struct machine *m)
{
	struct mm_machine *mmm = mm_machine(m);
	bool outside = !this_cpu(); /* as in mm_machine_init() */

	if (outside)
		machine_enter(m);
	srcu_barrier(mmm->vma_srcu);
	if (outside)
		machine_leave();
	/* First: it waits for the RCU call-backs, so VMAs, tree nodes and tables are all back. */
	tlb_machine_destroy(m);
	hugetlb_machine_destroy(mmm);
	memory_destroy(m);
	if (outside)
		machine_enter(m);
	destroy_caches(mmm);
	if (outside)
		machine_leave();
	machine_set_private(m, NULL);
	free(mmm);
}

const struct vma_tree_type *mm_locking_tree(const struct mm_locking *locking)
{
	return locking->tree ? locking->tree : vma_tree_all[0];
}

bool mm_locking_takes_tree(const struct mm_locking *locking, const struct vma_tree_type *type)
{
	return !(locking->tree_needs & ~type->caps);
}

static void tree_init(struct mm *mm)
{
	struct mm_machine *mmm = mm->mmm;
	const struct vma_tree_type *type = mm_config_tree(&mmm->config, mm->locking);
	u32 i = 0;

	MMSIM_BUG_ON(!mm_locking_takes_tree(mm->locking, type));
	while (vma_tree_all[i] != type)
		i++;
	vma_tree_init(&mm->vmas, type, mmm->machine, mmm->node_cache[i]);
	region_set_unpriced(mmm->machine, &mm->vmas.prealloc, MMSIM_CACHE_LINE_BYTES);
}

struct mm *mm_create(struct machine *m, const struct arch_desc *arch,
		     const struct mm_locking *locking)
{
	struct mm_machine *mmm = mm_machine(m);
	struct mm *mm = objcache_alloc(mmm->mm_cache);
	u32 ready = 0;

	MMSIM_BUG_ON(arch != mmm->arch);
	if (!mm)
		return NULL;
	mm_name_scheme(mmm, locking);
	lines_write(mm, sizeof(*mm));
	memset(mm, 0, sizeof(*mm));
	mm->machine = m;
	mm->arch = arch;
	mm->locking = locking;
	mm->memory = &mmm->memory;
	mm->mmm = mmm;
	mm->task_size = arch->task_size;
	mm->context_id = fetch_add(&mmm->next_context_id, 1);
	mm->limits = mm_limits_default;
	/* Room for the stack below the top, as without randomisation: 128 MiB and the guard gap. */
	mm->mmap_base = ALIGN_DOWN(arch->default_map_window - (128ull << 20) -
					   ((u64)STACK_GUARD_GAP_PAGES << arch->page_shift),
				   arch_page_bytes(arch));
	tree_init(mm);
	wait_queue_init(&mm->vma_writer_wait);
	spin_lock_init(&mm->tree_lock, LOCK_RANK_VMA_TREE);
	list_init(&mm->reserved);
	spin_lock_init(&mm->page_table_lock, LOCK_RANK_PAGE_TABLE);
	atomic_set(&mm->mm_users, 1);

	while (ready < RSS_KINDS && !percpu_counter_init(m, &mm->rss[ready], RSS_BATCH_PAGES))
		ready++;
	if (ready == RSS_KINDS && !locking->mm_init(mm)) {
		mm->pgd_pfn = pgtable_create(mm);
		if (mm->pgd_pfn != ~0ull)
			return mm;
		locking->mm_destroy(mm);
	}
	while (ready--)
		percpu_counter_destroy(m, &mm->rss[ready]);
	vma_tree_destroy(&mm->vmas);
	objcache_free(mmm->mm_cache, mm);
	return NULL;
}

void mm_get(struct mm *mm)
{
	atomic_inc(&mm->mm_users);
}

/*
 * exit_mmap: nobody else uses it, but a straggling RCU reader may still look a VMA up (it will fail
 * to lock it), so VMAs go the scheme's way out.
 */
static void unmap_everything(struct mm *mm)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);
	struct mmu_gather tlb;
	struct vma *first = NULL, **tail = &first, *vma, *next;

	mmap_write_lock(mm, hold, MM_RANGE_ALL);
	vma_tree_prealloc_drop(&mm->vmas);
	tlb_gather_mmu(&tlb, mm, true);
	vma_tree_for_each (&mm->vmas, vma) {
		line_read(vma, start);
		vma_start_write(vma);
		line_write(vma, unmap_next);
		*tail = vma;
		tail = &vma->unmap_next;
		pgtable_zap(&tlb, vma, vma->start, vma->end);
	}
	*tail = NULL;
	/* Links go before the page tables, as in munmap: truncation comes by the file. */
	for (vma = first; vma; vma = vma->unmap_next) {
		unlink_anon_vmas(vma);
		vma_unlink_file(vma);
	}
	pgtable_free_range(&tlb, 0, mm->task_size, 0, 0);
	tlb_finish_mmu(&tlb);
	vma_tree_destroy(&mm->vmas);

	for (vma = first; vma; vma = next) {
		next = vma->unmap_next;
		line_write(vma, attached);
		vma->attached = false;
		mm->locking->vma_detached(vma);
		vma_destroy(vma);
	}
	mmap_write_unlock(hold);
}

static void mm_free_rcu(struct rcu_head *head)
{
	struct mm *mm = container_of(head, struct mm, rcu);

	line_read(mm, locking);
	mm->locking->mm_destroy(mm);
	objcache_free(mm->mmm->mm_cache, mm);
}

void mm_put(struct mm *mm)
{
	if (!atomic_dec_and_test(&mm->mm_users))
		return;
	line_read(mm, locking);
	lru_drain(mm->memory);
	unmap_everything(mm);
	pgtable_destroy(mm);
	for (u32 i = 0; i < RSS_KINDS; i++) {
		s64 left = percpu_counter_sum(mm->machine, &mm->rss[i]);

		if (left)
			MMSIM_BUG("rss counter %u of an exiting mm is %lld, not 0", i, (long long)left);
		percpu_counter_destroy(mm->machine, &mm->rss[i]);
	}
	if (READ_ONCE(mm->hugetlb_pages))
		MMSIM_BUG("an exiting mm has %llu pages of hugetlb mapped",
			  (unsigned long long)READ_ONCE(mm->hugetlb_pages));
	/* A reader in another mm that met one of our VMAs just before it was recycled may still have to
	 * wake a writer here (CVE-2025-38554): the structure stays for a grace period. */
	sim_call_rcu(&mm->rcu, mm_free_rcu);
}

void mm_set_mmap_base(struct mm *mm, u64 base)
{
	struct mm_hold *hold = mm_hold(HOLD_SYSCALL);

	line_read(mm, locking);
	mmap_write_lock(mm, hold, MM_RANGE_ALL);
	line_write(mm, mmap_base);
	mm->mmap_base = base;
	mmap_write_unlock(hold);
}

s64 mm_rss_pages(struct mm *mm, enum rss_kind kind)
{
	return percpu_counter_sum(mm->machine, &mm->rss[kind]);
}
