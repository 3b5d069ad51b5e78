/*
 * mm/memory_init.c - the simulated physical memory of one machine: reserved, and given back
 *
 * Layout       One anonymous host mapping without reservation holds, in this order, struct page
 *              [frames], the content words [frames * content_words], and the direct map. Only what
 *              is touched costs host memory: of the direct map, page tables alone.
 * Frame 0      is never handed out, as on most machines: no entry or frame number is ever 0.
 * Failure      -ENOMEM when the host gives no address space, -EINVAL for an absurd size.
 * Tests        tests/unit/mm/test_page_alloc.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "mm/internal.h"
#include "mm/page_internal.h"

#define FRAMES_MIN 64
#define RESERVED_FRAMES 3 /* frame 0, the zero page, the special page */
#define HOST_HUGE_BYTES (2ull << 20)

struct memory *memory_of(const struct machine *m)
{
	return &mm_machine(m)->memory;
}

/* The arrays that every fault walks through are worth huge pages; a refusal changes nothing. */
static void host_wants_huge(void *start, u64 bytes)
{
	(void)madvise(start, ALIGN_UP(bytes, HOST_HUGE_BYTES), MADV_HUGEPAGE);
}

static int memory_reserve(struct memory *mem)
{
	u64 page_bytes = ALIGN_UP(mem->frames * sizeof(struct page), HOST_HUGE_BYTES);
	u64 content_bytes = ALIGN_UP(mem->frames * mem->content_words * 8, HOST_HUGE_BYTES);
	u64 map_bytes = mem->frames << mem->page_shift;
	char *base, *start;

	mem->reserve_bytes = page_bytes + content_bytes + map_bytes + HOST_HUGE_BYTES;
	base = mmap(NULL, mem->reserve_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	mem->reserve = base;
	start = (char *)ALIGN_UP((uintptr_t)base, HOST_HUGE_BYTES);
	mem->pages = (struct page *)start;
	mem->content = (u64 *)(start + page_bytes);
	mem->direct_map = start + page_bytes + content_bytes;
	host_wants_huge(mem->pages, page_bytes);
	host_wants_huge(mem->content, content_bytes);
	return 0;
}

static int page_waits_init(struct memory *mem)
{
	mem->page_waits = calloc(PAGE_WAIT_QUEUES, sizeof(*mem->page_waits));
	return mem->page_waits ? 0 : -ENOMEM;
}

int memory_init(struct machine *m, u8 page_shift)
{
	const struct machine_config *cfg = machine_config(m);
	struct mm_machine *mmm = mm_machine(m);
	struct memory *mem = &mmm->memory;
	int err = -ENOMEM;

	*mem = (struct memory){
		.machine = m,
		.page_shift = page_shift,
		.frames = cfg->memory_bytes >> page_shift,
		.content_words = cfg->content_words ? cfg->content_words : 1,
	};
	if (mem->frames < FRAMES_MIN || mem->content_words > (1u << page_shift) / 8)
		return -EINVAL;
	if (memory_reserve(mem))
		return -ENOMEM;
	if (page_waits_init(mem))
		goto unmap;
	if (zone_init(mem))
		goto free_waits;
	if (lruvec_init(mem))
		goto free_zone;
	err = filemap_machine_init(mmm);
	if (err)
		goto free_lru;
	(void)zone_take_reserved(mem);
	mem->zero_page = zone_take_reserved(mem);
	mem->special_page = zone_take_reserved(mem);
	return 0;

free_lru:
	lruvec_destroy(mem);
free_zone:
	zone_destroy(mem);
free_waits:
	free(mem->page_waits);
unmap:
	munmap(mem->reserve, mem->reserve_bytes);
	return err;
}

/* What is left, for the one who has to find the leak. */
static void report_leaked_frames(const struct memory *mem, u64 used)
{
	u32 shown = 0;

	fprintf(stderr, "mmsim: %llu frames leaked:\n", (unsigned long long)(used - RESERVED_FRAMES));
	for (u64 pfn = 0; pfn < mem->frames && shown < 8; pfn++) {
		const struct page *page = pfn_to_page(mem, pfn);
		u32 flags = READ_ONCE(page->flags);

		if (!atomic_read(&page->refcount) || (flags & PAGE_RESERVED))
			continue;
		fprintf(stderr, "  frame %llu: flags %#x, %d references, mapped %d times\n",
			(unsigned long long)pfn, flags, atomic_read(&page->refcount),
			atomic_read(&page->mapcount));
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
	if (used != RESERVED_FRAMES) {
		report_leaked_frames(mem, used);
		MMSIM_BUG("frames leaked");
	}
	filemap_machine_destroy(mmm);
	lruvec_destroy(mem);
	zone_destroy(mem);
	free(mem->page_waits);
	munmap(mem->reserve, mem->reserve_bytes);
}
