/*
 * mm/memory_init.c - the simulated physical memory of one machine: reserved, and given back
 *
 * Layout       struct page [frames] and the direct map are machine memory, which CPUs share by
 *              cache lines; the content words [frames * content_words] stand for whole pages, so
 *              their lines mean nothing, and are the host's. Only what is touched costs host
 *              memory: of the direct map, page tables alone.
 * Nodes        own consecutive frames, and what the machine's memory has of them.
 * Frame 0      is never handed out, as on most machines: no entry or frame number is ever 0.
 * Failure      -ENOMEM when the host gives no address space, -EINVAL for an absurd size.
 * Tests        tests/unit/mm/test_page_alloc.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "mm/internal.h"
#include "mm/page_internal.h"

#define RESERVED_FRAMES 3 /* frame 0, the zero page, the special page */
#define HOST_HUGE_BYTES (2ull << 20)

struct memory *memory_of(const struct machine *m)
{
	return &mm_machine(m)->memory;
}

/* The arrays that every fault walks through are worth huge pages; a refusal changes nothing. Of several
 * nodes each has a part, most of which is never touched: that would be zeroed for nothing. */
static void host_wants_huge(const struct memory *mem, void *start, u64 bytes)
{
	if (mem->node_count == 1)
		(void)madvise(start, bytes, MADV_HUGEPAGE);
}

static u64 pages_bytes(const struct memory *mem)
{
	return ALIGN_UP(mem->frames * sizeof(struct page), HOST_HUGE_BYTES);
}

static u64 content_bytes(const struct memory *mem)
{
	return ALIGN_UP(mem->frames * mem->content_words * 8, HOST_HUGE_BYTES);
}

static void memory_release(struct memory *mem)
{
	if (mem->direct_map)
		machine_memory_free(mem->machine, mem->direct_map, mem->frames << mem->page_shift);
	if (mem->pages)
		machine_memory_free(mem->machine, mem->pages, pages_bytes(mem));
	if (mem->content)
		munmap(mem->content, content_bytes(mem));
}

static int memory_reserve(struct memory *mem)
{
	void *content = mmap(NULL, content_bytes(mem), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	mem->content = content == MAP_FAILED ? NULL : content;
	mem->pages = machine_memory_alloc(mem->machine, pages_bytes(mem), HOST_HUGE_BYTES);
	mem->direct_map = machine_memory_alloc(mem->machine, mem->frames << mem->page_shift,
					       1ull << mem->page_shift);
	if (!mem->content || !mem->pages || !mem->direct_map) {
		memory_release(mem);
		return -ENOMEM;
	}
	host_wants_huge(mem, mem->pages, pages_bytes(mem));
	host_wants_huge(mem, mem->content, content_bytes(mem));
	return 0;
}

/* Of struct page and the direct map, what stands for a node's frames is in that node. */
static void memory_give_to_nodes(const struct memory *mem)
{
	for (u32 node = 0; node < mem->node_count; node++) {
		u64 first = node_first_frame(mem, node);
		u64 frames = node_first_frame(mem, node + 1) - first;

		if (!frames)
			break;
		machine_memory_on_node(mem->machine, pfn_to_page(mem, first),
				       frames * sizeof(struct page), node);
		machine_memory_on_node(mem->machine, phys_to_virt(mem, first), frames << mem->page_shift,
				       node);
	}
}

static int page_waits_init(struct memory *mem)
{
	mem->page_waits = machine_memory_alloc(
		mem->machine, PAGE_WAIT_QUEUES * sizeof(*mem->page_waits), MMSIM_CACHE_LINE_BYTES);
	return mem->page_waits ? 0 : -ENOMEM;
}

static void page_waits_destroy(struct memory *mem)
{
	machine_memory_free(mem->machine, mem->page_waits,
			    PAGE_WAIT_QUEUES * sizeof(*mem->page_waits));
}

int memory_init(struct machine *m, u8 page_shift, u8 huge_order)
{
	const struct machine_config *cfg = machine_config(m);
	struct mm_machine *mmm = mm_machine(m);
	struct memory *mem = &mmm->memory;
	int err = -ENOMEM;

	*mem = (struct memory){
		.machine = m,
		.page_shift = page_shift,
		.huge_order = huge_order,
		.frames = cfg->memory_bytes >> page_shift,
		.content_words = cfg->content_words ? cfg->content_words : 1,
	};
	if (mem->frames < MEMORY_FRAMES_MIN || mem->content_words > (1u << page_shift) / 8)
		return -EINVAL;
	memory_split(mem);
	if (memory_reserve(mem))
		return -ENOMEM;
	memory_give_to_nodes(mem);
	if (page_waits_init(mem))
		goto unmap;
	if (zones_init(mem))
		goto free_waits;
	if (lru_init(mem))
		goto free_zones;
	err = filemap_machine_init(mmm);
	if (err)
		goto free_lru;
	(void)zone_take_reserved(mem);
	mem->zero_page = zone_take_reserved(mem);
	mem->special_page = zone_take_reserved(mem);
	return 0;

free_lru:
	lru_destroy(mem);
free_zones:
	zones_destroy(mem);
free_waits:
	page_waits_destroy(mem);
unmap:
	memory_release(mem);
	return err;
}

/* What is left, for the one who has to find the leak. */
static void report_leaked_frames(const struct memory *mem, u64 used)
{
	u32 shown = 0;

	fprintf(stderr, "mmsim: %llu frames leaked:\n",
		(unsigned long long)(used - RESERVED_FRAMES - mem->pool_frames));
	for (u64 pfn = 0; pfn < mem->frames && shown < 8; pfn++) {
		const struct page *page = pfn_to_page(mem, pfn);
		u32 flags = READ_ONCE(page->flags);
		s32 references = atomic_read(&page->refcount);

		if (!references || (flags & (PAGE_RESERVED | PAGE_HUGETLB)))
			continue;
		fprintf(stderr, "  frame %llu: flags %#x, %d references, mapped %d times\n",
			(unsigned long long)pfn, flags, references, atomic_read(&page->mapcount));
		shown++;
	}
}

void memory_destroy(struct machine *m)
{
	struct mm_machine *mmm = mm_machine(m);
	struct memory *mem = &mmm->memory;
	bool outside = !this_cpu(); /* draining needs a CPU to do it on */
	u64 used;

	if (outside)
		machine_enter(m);
	lru_drain_all(m);
	used = memory_frames_used(m);
	if (outside)
		machine_leave();
	if (used != RESERVED_FRAMES + mem->pool_frames) {
		report_leaked_frames(mem, used);
		MMSIM_BUG("frames leaked");
	}
	filemap_machine_destroy(mmm);
	lru_destroy(mem);
	zones_destroy(mem);
	page_waits_destroy(mem);
	memory_release(mem);
}
