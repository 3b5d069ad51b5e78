/*
 * mm/vma_merge.c - when adjacent ranges are one VMA, and how they become one
 *
 * Models       Linux 6.18 mm/vma.c: vma_merge_new_range, vma_merge_existing_range, vma_modify.
 * Guarantee    An RCU reader of the tree finds, at any moment, a VMA that covered its address
 *              before or after the merge; one it locks is never half changed (all VMAs involved
 *              are write-started over the change).
 * Leaves out   VMAs whose owner is told when they go (vm_ops->close): Linux lets them grow but not be
 *              swallowed. None is modelled (System V shared memory would be the one that programs see).
 * Locks        The address-space lock for write over the range and both neighbours.
 * Failure      Host memory: no merge, vmg->nomem set, nothing changed.
 * Tests        tests/unit/mm/test_vma_cases.c draws every case; tests/oracle
 *
 * The cases, for a change of [start, end) = "MMM" between P and N (both of the same kind as M will be):
 *
 *   PPPPMMMMNNNN -> PPPPPPPPPPPP   both: P survives, M and N go
 *   PPPPMMMM     -> PPPPPPPP       left, all of M;   PPPPMMmm -> PPPPPPmm   left, part of it
 *       MMMMNNNN ->     NNNNNNNN   right, all of M;      mmMMNNNN ->     mmNNNNNN   right, part
 */
#include "mm/internal.h"

/* Flags that two VMAs may differ in and still be one. */
#define VM_IGNORE_MERGE VM_SOFTDIRTY

static u64 range_pages(const struct vma_merge *vmg)
{
	return (vmg->end - vmg->start) >> vmg->mm->arch->page_shift;
}

static bool same_kind(const struct vma_merge *vmg, const struct vma *vma)
{
	line_read(vma, file);
	return !((vma->flags ^ vmg->flags) & ~(u64)VM_IGNORE_MERGE) && vma->file == vmg->file &&
	       !vma->name;
}

/* Forked from a VMA that had pages: its chain reaches into ancestors. Merging such a chain with a
 * VMA that has none would make rmap walks of the ancestors ever longer, so it is refused. */
static bool has_forked_chain(const struct vma *vma)
{
	if (!vma || !vma->anon_vma)
		return false;
	line_read(vma, anon_vma_chain);
	return !list_is_singular(&vma->anon_vma_chain);
}

/* May the range, with vmg->anon_vma, become part of `target`? */
static bool anon_vma_joins(const struct vma_merge *vmg, const struct vma *target)
{
	if (!target->anon_vma && vmg->anon_vma)
		return !has_forked_chain(vmg->middle) && !has_forked_chain(vmg->copied_from);
	if (target->anon_vma && !vmg->anon_vma)
		return !has_forked_chain(target);
	return target->anon_vma == vmg->anon_vma;
}

static bool can_merge_left(const struct vma_merge *vmg)
{
	const struct vma *prev = vmg->prev;

	if (!prev)
		return false;
	line_read(prev, start);
	return prev->end == vmg->start && same_kind(vmg, prev) && anon_vma_joins(vmg, prev) &&
	       vmg->pgoff == prev->pgoff + vma_pages(prev, vmg->mm->arch->page_shift);
}

static bool can_merge_right(const struct vma_merge *vmg, bool left)
{
	const struct vma *next = vmg->next, *prev = vmg->prev;

	if (!next)
		return false;
	line_read(next, start);
	if (next->start != vmg->end || !same_kind(vmg, next) || !anon_vma_joins(vmg, next) ||
	    next->pgoff != vmg->pgoff + range_pages(vmg))
		return false;
	/* Both fit the range; for all three to be one, they must fit each other. */
	return !left || prev->anon_vma == next->anon_vma || !prev->anon_vma || !next->anon_vma;
}

/* The survivor inherits. */
static int inherit_anon_vma(struct vma *survivor, struct vma *from)
{
	int err;

	if (!from || !from->anon_vma || survivor->anon_vma)
		return 0;
	vma_start_write(survivor);
	vm_write_begin(survivor);
	WRITE_ONCE(survivor->anon_vma, from->anon_vma);
	err = anon_vma_clone(survivor, from);
	vm_write_end(survivor);
	return err;
}

/* A VMA that a survivor has swallowed: it is out of the tree, and out of the file's mappings, already. */
static void swallow(struct vma *gone)
{
	struct mm *mm = gone->mm;

	line_write(gone, attached);
	gone->attached = false;
	mm->locking->vma_detached(gone);
	unlink_anon_vmas(gone);
	line_write(mm, map_count);
	mm_map_count_add(mm, -1);
	vma_destroy(gone);
}

/*
 * target becomes [start, end) with start's pgoff; `shrunk`, if any, has been cut by the caller's
 * choice of start and end and keeps [shrunk_start, shrunk_end); the VMAs in gone[] disappear.
 */
struct merge_plan {
	struct vma *target;
	u64 start, end, pgoff;
	struct vma *shrunk;
	u64 shrunk_start, shrunk_end;
	struct vma *gone[2];
	bool keep_write;
};

static void carry_out(struct mm *mm, const struct merge_plan *plan)
{
	struct vma *target = plan->target, *shrunk = plan->shrunk;

	engine_charge(COST_VMA_WORK);
	vma_start_write(target);
	if (shrunk)
		vma_start_write(shrunk);
	for (u32 i = 0; i < ARRAY_SIZE(plan->gone); i++)
		if (plan->gone[i])
			vma_start_write(plan->gone[i]);

	if (shrunk) {
		pgtable_split_at(mm, plan->shrunk_start);
		pgtable_split_at(mm, plan->shrunk_end);
	}
	/* Sequences after i_mmap_rwsem: the other order can deadlock against truncation. Those that
	 * go are never ended: who still looks at one gives up. All are of one file. */
	vma_boundary_lock(target);
	vm_write_begin(target);
	vma_shelve(target);
	line_write(target, start);
	for (u32 i = 0; i < ARRAY_SIZE(plan->gone); i++)
		if (plan->gone[i]) {
			vm_write_begin(plan->gone[i]);
			vma_shelve(plan->gone[i]);
		}
	if (shrunk) {
		vm_write_begin(shrunk);
		vma_shelve(shrunk);
		line_write(shrunk, start);
		WRITE_ONCE(shrunk->pgoff, shrunk->pgoff + ((plan->shrunk_start - shrunk->start) >>
							   mm->arch->page_shift));
		WRITE_ONCE(shrunk->start, plan->shrunk_start);
		WRITE_ONCE(shrunk->end, plan->shrunk_end);
		vma_reshelve(shrunk);
	}
	WRITE_ONCE(target->start, plan->start);
	WRITE_ONCE(target->end, plan->end);
	WRITE_ONCE(target->pgoff, plan->pgoff);
	vma_reshelve(target);
	/* One store: it also takes the swallowed VMAs, and shrunk's lost part, out of the tree. */
	vma_store(mm, target);
	vma_boundary_unlock(target);

	for (u32 i = 0; i < ARRAY_SIZE(plan->gone); i++)
		if (plan->gone[i])
			swallow(plan->gone[i]);
	if (shrunk)
		vm_write_end(shrunk);
	if (!plan->keep_write)
		vm_write_end(target);
	count_event(COUNTER_VMA_MERGE);
}

struct vma *vma_merge_new(struct vma_merge *vmg)
{
	struct mm *mm = vmg->mm;
	struct merge_plan plan = { .start = vmg->start,
				   .end = vmg->end,
				   .pgoff = vmg->pgoff,
				   .keep_write = vmg->keep_write };
	bool left, right;

	if (vmg->flags & VM_SPECIAL)
		return NULL;
	left = can_merge_left(vmg);
	right = !vmg->just_expand && can_merge_right(vmg, left);
	if (!left && !right)
		return NULL;

	plan.target = left ? vmg->prev : vmg->next;
	if (left) {
		plan.start = vmg->prev->start;
		plan.pgoff = vmg->prev->pgoff;
	}
	if (right)
		plan.end = vmg->next->end;
	if (left && right)
		plan.gone[0] = vmg->next;
	if (vma_prealloc(mm) || inherit_anon_vma(plan.target, plan.gone[0]) ||
	    inherit_anon_vma(plan.target, vmg->copied_from)) {
		vmg->nomem = true;
		return NULL;
	}
	carry_out(mm, &plan);
	return plan.target;
}

struct vma *vma_merge_existing(struct vma_merge *vmg)
{
	struct mm *mm = vmg->mm;
	struct vma *prev = vmg->prev, *middle = vmg->middle, *next = vmg->next;
	bool at_start = vmg->start == middle->start, at_end = vmg->end == middle->end;
	bool left, right;
	struct merge_plan plan = { 0 };
	struct vma *donor = middle; /* whose anon_vma the survivor inherits */

	if ((vmg->flags & VM_SPECIAL) || middle->name)
		return NULL;
	left = at_start && can_merge_left(vmg);
	right = at_end && can_merge_right(vmg, left);
	if (!left && !right)
		return NULL;

	if (left) {
		plan.target = prev;
		plan.start = prev->start;
		plan.pgoff = prev->pgoff;
		plan.end = right ? next->end : vmg->end;
		if (right && next->anon_vma)
			donor = next;
		if (right)
			plan.gone[1] = next;
	} else {
		plan.target = next;
		plan.start = vmg->start;
		plan.pgoff = vmg->pgoff;
		plan.end = next->end;
	}
	if (at_start && at_end) {
		plan.gone[0] = middle;
	} else {
		plan.shrunk = middle;
		plan.shrunk_start = left ? vmg->end : middle->start;
		plan.shrunk_end = left ? middle->end : vmg->start;
	}
	if (vma_prealloc(mm) || inherit_anon_vma(plan.target, donor)) {
		vmg->nomem = true;
		return NULL;
	}
	carry_out(mm, &plan);
	return plan.target;
}

static int split_within_limit(struct vma *vma, u64 addr, bool new_below)
{
	const struct mm *mm = vma->mm;

	line_read(mm, map_count);
	line_read(mm, limits.max_map_count);
	return READ_ONCE(mm->map_count) >= mm->limits.max_map_count ? -ENOMEM : vma_split(vma, addr, new_below);
}

struct vma *vma_modify_flags(struct vma *prev, struct vma *vma, u64 start, u64 end, u64 new_flags,
			     int *error)
{
	struct mm *mm = vma->mm;
	struct vma_merge vmg;
	struct vma *merged;

	line_read(vma, file);
	vmg = (struct vma_merge){
		.mm = mm,
		.prev = prev,
		.middle = vma,
		.next = vma_above(vma),
		.start = start,
		.end = end,
		.pgoff = vma->pgoff + ((start - vma->start) >> mm->arch->page_shift),
		.flags = new_flags,
		.file = vma->file,
		.anon_vma = vma->anon_vma,
	};
	merged = vma_merge_existing(&vmg);
	*error = 0;
	if (merged)
		return merged;
	if (vmg.nomem)
		*error = -ENOMEM;
	if (!*error && start > vma->start)
		*error = split_within_limit(vma, start, true);
	if (!*error && end < vma->end)
		*error = split_within_limit(vma, end, false);
	return *error ? NULL : vma;
}
