/*
 * tests/scheme/maps_parts.c - conformance: the list of VMAs, read while others change it
 *
 * maps  A reader of the list sees VMAs in ascending order that do not overlap, none torn, and all that
 *       stand still; one that moves, exactly once (mremap is one event); two pages that come and
 *       go by one call, both or neither.
 */
#include "tests/scheme/conformance.h"

#define PAIR (REGION + 64 * PAGE)  /* two pages with one call */
#define HOME(i) (REGION + (80 + 4 * (i)) * PAGE) /* of one page that moves between two places */
#define ANCHORS 16u		    /* every second page of REGION stays */

struct maps_view {
	u64 at;
	u32 anchors, pair_pages, homes;
};

static void look(const struct vma *vma, void *arg)
{
	struct maps_view *v = arg;

	if (vma->start < v->at || vma->end <= vma->start || (vma->start | vma->end) % PAGE)
		VIOLATION("a list of VMAs that is out of order or torn: [%llx, %llx) after %llx",
			  (unsigned long long)vma->start, (unsigned long long)vma->end,
			  (unsigned long long)v->at);
	v->at = vma->end;
	if (vma->start < PAIR) {
		u64 page = (vma->start - REGION) / PAGE;

		if (vma->end - vma->start != PAGE)
			VIOLATION("a VMA of %llu pages that nobody made",
				  (unsigned long long)((vma->end - vma->start) / PAGE));
		if (page % 2 == 0 && !(vma->flags & VM_WRITE))
			v->anchors++;
		else if (page % 2 == 0)
			VIOLATION("an anchor with another's protection");
	} else if (vma->start < HOME(0)) {
		v->pair_pages += (u32)((vma->end - vma->start) / PAGE);
	} else {
		v->homes++;
	}
}

static void maps_reader(struct world *w)
{
	while (time_left(w)) {
		struct maps_view v = { 0 };

		mm_for_each_vma(w->mm, look, &v);
		if (v.anchors != ANCHORS || v.pair_pages % 2 || v.homes != 1)
			VIOLATION("the list of VMAs shows %u of %u anchors, %u of 2 pages, and %u times "
				  "what is there once",
				  v.anchors, ANCHORS, v.pair_pages, v.homes);
		engine_delay_ns(500);
	}
}

/* Between the anchors: writable pages, which do not merge with them. */
static void maps_changer(struct world *w, u32 task)
{
	u64 random = draw_seed(w, task);

	while (time_left(w)) {
		u64 va = REGION + (draw(&random) % (ANCHORS - 1) * 2 + 1) * PAGE;

		switch (draw(&random) % 4) {
		case 0:
			MUST(mm_munmap(w->mm, va, PAGE) == 0);
			break;
		case 1:
			MUST(mm_munmap(w->mm, PAIR, 2 * PAGE) == 0);
			break;
		case 2:
			map_at(w, PAIR, 2 * PAGE, RW);
			break;
		default:
			map_at(w, va, PAGE, RW);
		}
	}
}

static void maps_mover(struct world *w)
{
	for (u64 n = 0; time_left(w); n++)
		MUST(mm_mremap(w->mm, HOME(n % 2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       HOME((n + 1) % 2)) == (s64)HOME((n + 1) % 2));
}

static void maps_begin(struct world *w)
{
	for (u32 i = 0; i < ANCHORS; i++)
		map_at(w, REGION + 2 * i * PAGE, PAGE, PROT_READ);
	map_at(w, HOME(0), PAGE, RW);
}

static void maps(struct world *w, u32 task)
{
	mmu_switch(w->mm);
	if (task == 0)
		maps_reader(w);
	else if (task == 1)
		maps_mover(w);
	else
		maps_changer(w, task);
	mmu_switch(NULL);
}

const struct part maps_parts[] = {
	{ "maps", maps_begin, maps, NULL, TASKS, false, 0 },
	{ .name = NULL },
};
