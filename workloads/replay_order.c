/*
 * workloads/replay_order.c - in which order did overlapping recorded calls take effect?
 *
 * munmap, mremap and a shrinking brk leave no record of the moment. If one of them is under way
 * when another call takes effect, either may have been first. What is recorded decides: the address
 * that a mapping got (it would have gone into a gap that was there, and not where something was),
 * and the VMA of its record (which does not reach over what was unmapped before).
 * What is not decided stays under way: the next call may decide it, and its return ends it.
 * Callers      replay_check.c; one task.
 * Tests        tests/unit/workloads/test_replay_order.c
 */
#include <mmsim/uapi.h>

#include "workloads/replay.h"

#define PAGE_BYTES 4096ull
#define SUPPOSED_MAX (2 * REPLAY_OVERLAP_MAX)

struct supposition {
	struct mm_supposed s[SUPPOSED_MAX];
	u32 n;
};

static u64 page_up(u64 bytes)
{
	return ALIGN_UP(bytes, PAGE_BYTES);
}

static void suppose(struct supposition *sup, u64 start, u64 end, bool mapped)
{
	if (start < end && sup->n < SUPPOSED_MAX)
		sup->s[sup->n++] = (struct mm_supposed){start, end, mapped};
}

static bool overlaps(u64 a, u64 a_end, u64 b, u64 b_end)
{
	return a < b_end && b < a_end;
}

/* What the call does to the address space, by its recorded result. */
static void suppose_call(struct supposition *sup, const struct mm *mm, const struct plan_call *c)
{
	u64 start = c->arg[0], end = start + page_up(c->arg[1]), to = (u64)c->result;

	if (!c->has_result)
		return;
	switch (c->sys) {
	case SYS_TRACE_munmap:
		if (!c->result)
			suppose(sup, start, end, false);
		break;
	case SYS_TRACE_mremap:
		if (c->result < 0)
			break;
		if (!(c->arg[3] & MREMAP_DONTUNMAP))
			suppose(sup, start, end, false);
		suppose(sup, to, to + page_up(c->arg[2]), true);
		break;
	case SYS_TRACE_brk:
		if (to == start)
			suppose(sup, page_up(start), page_up(mm->brk), false);
		break;
	default:
		break;
	}
}

/* Where mremap would go: in place if there is room, else to a gap. */
static s64 place_mremap(struct mm *mm, const struct plan_call *c, const struct supposition *sup)
{
	u64 addr = c->arg[0], old_len = page_up(c->arg[1]), new_len = page_up(c->arg[2]);
	const struct vma *vma = vma_tree_load(&mm->vmas, addr);
	u64 offset;

	if (!vma || new_len <= old_len || (c->arg[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return c->result; /* no choice to be made, or none that we know of */
	if (vma->end - addr == old_len &&
	    mm_place(mm, vma->end, new_len - old_len, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, sup->s,
		     sup->n) == (s64)vma->end)
		return (s64)addr;
	if (!(c->arg[3] & MREMAP_MAYMOVE))
		return -ENOMEM;
	offset = (vma->pgoff << mm->arch->page_shift) + addr - vma->start;
	return mm_place(mm, 0, new_len, vma->flags & VM_MAYSHARE ? MAP_SHARED : 0, vma->file,
			offset, sup->s, sup->n);
}

/* Would the call have its recorded result? Only where it chooses a place. */
static bool explains(struct replay_world *w, struct mm *mm, const struct plan_call *c,
		     const struct supposition *sup)
{
	u32 flags = (u32)c->arg[3];
	struct file *file = c->file == PLAN_NONE ? NULL : w->files[c->file];

	if (!c->has_result)
		return true;
	if (c->sys == SYS_TRACE_mremap)
		return place_mremap(mm, c, sup) == c->result;
	if (c->sys != SYS_TRACE_mmap || c->result < 0 ||
	    (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT)))
		return true;
	return mm_place(mm, c->arg[0], c->arg[1], flags, file,
			flags & MAP_ANONYMOUS ? 0 : c->arg[5], sup->s, sup->n) == c->result;
}

/* What the record of c tells of a call under way, without asking where things would go. */
struct verdict {
	u32 before; /* must have been */
	u32 after;
	u32 likely; /* before: else the record's VMA would have merged with it */
};

/* Does vma, beside the VMA of the record, look as if they would merge? */
static bool alike(const struct vma *vma, const struct trace *t, const struct trace_event *rec)
{
	u32 access = (vma && vma->flags & VM_READ ? TRACE_MAP_READ : 0) |
		     (vma && vma->flags & VM_WRITE ? TRACE_MAP_WRITE : 0) |
		     (vma && vma->flags & VM_EXEC ? TRACE_MAP_EXEC : 0) |
		     (vma && vma->flags & VM_MAYSHARE ? TRACE_MAP_SHARED : 0);

	return vma && !vma->name && access == rec->flags &&
	       (vma->file ? vma->file->inode->ino : 0) == trace_map_field(t, rec, MAP_INO);
}

static struct verdict judge_by_record(struct replay_world *w, const struct mm *mm,
				      const struct plan_call *c, const u32 *lazy, u32 n)
{
	const struct trace *t = w->plan->t;
	const struct trace_event *rec =
		c->first_record == ~0ull ? NULL : &t->events[c->first_record];
	u64 start = 0, end = 0, made = (u64)c->result, made_end = made + page_up(c->arg[1]);
	bool maps = c->sys == SYS_TRACE_mmap && c->has_result && c->result > 0;
	struct verdict v = {0, 0, 0};

	if (rec) {
		start = rec->arg[0];
		end = start + rec->arg[1];
	}
	for (u32 i = 0; i < n; i++) {
		const struct plan_call *l = &w->plan->calls[lazy[i]];
		u64 gone = l->arg[0], gone_end = gone + page_up(l->arg[1]);

		if (l->sys != SYS_TRACE_munmap || !l->has_result || l->result)
			continue;
		if (maps && overlaps(gone, gone_end, made, made_end))
			v.before |= 1u << i;
		else if (overlaps(gone, gone_end, start, end))
			v.after |= 1u << i;
		else if ((gone == end && rec && alike(vma_tree_load(&mm->vmas, gone), t, rec)) ||
			 (gone_end == start && rec &&
			  alike(vma_tree_load(&mm->vmas, start - 1), t, rec)))
			v.likely |= 1u << i;
	}
	return v;
}

/* Do these calls, one after the other, and then c, all come out as recorded? */
static bool subset_explains(struct replay_world *w, struct mm *mm, const struct plan_call *c,
			    const u32 *lazy, u32 n, u32 subset)
{
	struct supposition sup = {.n = 0};

	for (u32 i = 0; i < n; i++) {
		const struct plan_call *l = &w->plan->calls[lazy[i]];

		if (!(subset & 1u << i))
			continue;
		if (!explains(w, mm, l, &sup))
			return false;
		suppose_call(&sup, mm, l);
	}
	return explains(w, mm, c, &sup);
}

/* The smallest set, with all of `must` in it and none of `never`, that explains everything. */
static bool smallest_set(struct replay_world *w, struct mm *mm, const struct plan_call *c,
			 const u32 *lazy, u32 n, u32 must, u32 never, u32 *out)
{
	u32 all = ~0u >> (32 - n);

	for (u32 size = 0; size <= n; size++)
		for (u32 set = 0; set <= all; set++) {
			if ((u32)__builtin_popcount(set) != size || (set & never) ||
			    (set & must) != must)
				continue;
			if (subset_explains(w, mm, c, lazy, n, set)) {
				*out = set;
				return true;
			}
		}
	return false;
}

u32 replay_order(struct replay_world *w, struct mm *mm, const struct plan_call *c, const u32 *lazy,
		 u32 n)
{
	struct verdict v = judge_by_record(w, mm, c, lazy, n);
	u32 set;

	if (smallest_set(w, mm, c, lazy, n, v.before | v.likely, v.after, &set) ||
	    smallest_set(w, mm, c, lazy, n, v.before, v.after, &set))
		return set;
	return ~0u >> (32 - n) & ~v.after;
}
