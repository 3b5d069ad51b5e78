/*
 * sim/locks/range_lock.c - range locks in an interval tree (range_lock.h)
 *
 * Invariant    under tree->lock, for each range in the tree: blockers is the number of ranges in the
 *              tree that arrived before it, intersect it, and are not readers both. A range is held
 *              from the moment when that is zero. So the ranges that are held do not conflict, and the
 *              oldest one is held: somebody always makes progress.
 * Who leaves   a holder has no conflicting range before it, so every conflicting one in the tree has
 *              counted it. A killed waiter may have some before it: those are told apart by arrival.
 * Ordering     the spin lock orders a holder that left before one that finds no blocker; a waiter that
 *              is let in is told by task->rwsem_waiter.granted (release, acquire).
 * Lock order   tree->lock has rank WAIT; wake-ups are outside of it.
 * Waiting      a task waits for one lock at a time, so it does it by the node that rwsems use: chained
 *              by wake_next when it was chosen under tree->lock, told after it. A chosen task does
 *              not go on before it is told, also if it is killed: the node and the chain stay.
 */
#include <mmsim/charge.h>
#include <mmsim/cpu.h>
#include <mmsim/range_lock.h>

#define READER 1u
#define ARRIVAL_STEP 2u

void range_lock_tree_init(struct range_lock_tree *tree, enum lock_rank rank)
{
	spin_lock_init(&tree->lock, LOCK_RANK_WAIT);
	rb_root_init(&tree->root);
	tree->arrivals = 0;
	tree->rank = (u16)rank;
}

/* ---- the interval tree --------------------------------------------------------------------- */

static struct range_lock *range_of(struct rb_node *node)
{
	return node ? rb_entry(node, struct range_lock, rb) : NULL;
}

static bool compute_subtree_last(struct rb_node *node)
{
	struct range_lock *range = range_of(node);
	u64 last;

	line_read(range, subtree_last);
	last = range->last;
	if (node->left) {
		line_read(range_of(node->left), subtree_last);
		last = max(last, range_of(node->left)->subtree_last);
	}
	if (node->right) {
		line_read(range_of(node->right), subtree_last);
		last = max(last, range_of(node->right)->subtree_last);
	}
	/* On the way up it mostly stays: other CPUs keep their copies of the node. */
	if (range->subtree_last == last)
		return false;
	line_write(range, subtree_last);
	range->subtree_last = last;
	return true;
}

static const struct rb_augment subtree_last_augment = {compute_subtree_last};

static void tree_insert(struct range_lock_tree *tree, struct range_lock *range)
{
	struct rb_node **link = &tree->root.node, *parent = NULL;

	while (*link) {
		parent = *link;
		line_read(range_of(parent), start);
		link = range->start < range_of(parent)->start ? &parent->left : &parent->right;
	}
	range->subtree_last = range->last;
	rb_link_node(&range->rb, parent, link);
	rb_insert_color_augmented(&range->rb, &tree->root, &subtree_last_augment);
}

static void tree_erase(struct range_lock_tree *tree, struct range_lock *range)
{
	rb_erase_augmented(&range->rb, &tree->root, &subtree_last_augment);
}

/* Is there anything at or below node that does not end before start? */
static bool reaches(struct rb_node *node, u64 start)
{
	if (!node)
		return false;
	line_read(range_of(node), subtree_last);
	return range_of(node)->subtree_last >= start;
}

/* The first in order at or below node that intersects [start, last]. */
static struct range_lock *first_below(struct rb_node *node, u64 start, u64 last)
{
	while (reaches(node, start)) {
		struct range_lock *range = range_of(node);

		/* If the left side reaches start, then what does so first either intersects or
		 * begins behind last, and then so does everything to its right. */
		if (reaches(node->left, start)) {
			node = node->left;
			continue;
		}
		if (range->start > last)
			return NULL;
		if (range->last >= start)
			return range;
		node = node->right;
	}
	return NULL;
}

static struct range_lock *next_intersecting(struct range_lock *range, u64 start, u64 last)
{
	struct rb_node *node = &range->rb;
	struct range_lock *found = first_below(node->right, start, last);

	while (!found) {
		struct rb_node *child = node;

		node = rb_parent(node);
		if (!node)
			return NULL;
		line_read(range_of(node), start);
		if (child == node->right)
			continue;
		if (range_of(node)->start > last)
			return NULL;
		if (range_of(node)->last >= start)
			return range_of(node);
		found = first_below(node->right, start, last);
	}
	return found;
}

#define for_each_intersecting(pos, tree, first, final)                                             \
	for (pos = first_below((tree)->root.node, (first), (final)); pos;                          \
	     pos = next_intersecting(pos, (first), (final)))

static bool both_read(const struct range_lock *a, const struct range_lock *b)
{
	return a->arrival & b->arrival & READER;
}

/* Arrival numbers wrap: nobody waits while a billion others come. */
static bool arrived_before(const struct range_lock *a, const struct range_lock *b)
{
	return (s32)((a->arrival & ~READER) - (b->arrival & ~READER)) < 0;
}

/* ---- waking: choose under the spin lock, tell after it ------------------------------------- */

static struct rwsem_waiter *waiter_of(const struct range_lock *range)
{
	return &range->task->rwsem_waiter;
}

static void count_down(struct range_lock *range, struct rwsem_waiter **chosen)
{
	line_write(range, blockers);
	if (unlikely(range->blockers == 0))
		MMSIM_BUG("range lock [%llx, %llx]: more left than came",
			  (unsigned long long)range->start, (unsigned long long)range->last);
	if (--range->blockers)
		return;
	line_write(waiter_of(range), wake_next);
	waiter_of(range)->wake_next = *chosen;
	*chosen = waiter_of(range);
}

/* A range that is told may be reused at once: look ahead first. */
static void tell(struct rwsem_waiter *chosen)
{
	while (chosen) {
		struct rwsem_waiter *next = chosen->wake_next;
		struct task *task = chosen->task;

		smp_store_release(&chosen->granted, 1u); /* pairs with wait_turn() */
		task_unpark(task);
		chosen = next;
	}
}

/* range, which held, has left: every conflicting one has counted it. */
static struct rwsem_waiter *choose_after_holder(struct range_lock_tree *tree,
						const struct range_lock *range)
{
	struct rwsem_waiter *chosen = NULL;
	struct range_lock *other;

	for_each_intersecting (other, tree, range->start, range->last) {
		if (!both_read(range, other))
			count_down(other, &chosen);
	}
	return chosen;
}

/* range, which waited, has left. */
static struct rwsem_waiter *choose_after_waiter(struct range_lock_tree *tree,
						const struct range_lock *range)
{
	struct rwsem_waiter *chosen = NULL;
	struct range_lock *other;

	for_each_intersecting (other, tree, range->start, range->last) {
		if (!both_read(range, other) && arrived_before(range, other))
			count_down(other, &chosen);
	}
	return chosen;
}

/* ---- lock ---------------------------------------------------------------------------------- */

static void arrive(struct range_lock_tree *tree, struct range_lock *range, u32 reader)
{
	tree->arrivals += ARRIVAL_STEP;
	line_write(range, arrival);
	range->arrival = tree->arrivals | reader;
	range->task = current_task();
}

static u32 count_blockers(struct range_lock_tree *tree, const struct range_lock *range)
{
	struct range_lock *other;
	u32 blockers = 0;

	for_each_intersecting (other, tree, range->start, range->last)
		blockers += !both_read(range, other);
	return blockers;
}

/* The task was killed. False: it has been chosen meanwhile, and must take what it is given. */
static bool leave_queue(struct range_lock_tree *tree, struct range_lock *range)
{
	struct rwsem_waiter *chosen;

	spin_lock(&tree->lock);
	if (!range->blockers) {
		spin_unlock(&tree->lock);
		return false;
	}
	tree_erase(tree, range);
	chosen = choose_after_waiter(tree, range);
	spin_unlock(&tree->lock);
	tell(chosen);
	return true;
}

static NOINLINE int wait_turn(struct range_lock_tree *tree, struct range_lock *range, bool killable)
{
	struct task *task = current_task();

	count_event(COUNTER_RANGE_LOCK_SLEEP);
	task_waits_for(&tree->root); /* not its spin lock */
	/* Pairs with tell(): what those before us did is visible. */
	while (!smp_load_acquire(&task->rwsem_waiter.granted)) {
		if (killable && task_killed()) {
			if (leave_queue(tree, range)) {
				task_waits_for(NULL);
				return -EINTR;
			}
			killable = false;
		}
		task_park();
	}
	task_waits_for(NULL);
	return 0;
}

static int lock_range(struct range_lock_tree *tree, struct range_lock *range, u32 reader,
		      bool killable)
{
	struct rwsem_waiter *waiter = &current_task()->rwsem_waiter;
	u32 blockers;

	spin_lock(&tree->lock);
	arrive(tree, range, reader);
	blockers = count_blockers(tree, range);
	range->blockers = blockers;
	if (unlikely(blockers)) {
		waiter->task = range->task;
		WRITE_ONCE(waiter->granted, 0u);
	}
	tree_insert(tree, range);
	spin_unlock(&tree->lock);
	return likely(!blockers) ? 0 : wait_turn(tree, range, killable);
}

static bool trylock_range(struct range_lock_tree *tree, struct range_lock *range, u32 reader)
{
	bool free;

	spin_lock(&tree->lock);
	arrive(tree, range, reader);
	free = count_blockers(tree, range) == 0;
	if (free) {
		range->blockers = 0;
		tree_insert(tree, range);
	}
	spin_unlock(&tree->lock);
	return free;
}

static void unlock_range(struct range_lock_tree *tree, struct range_lock *range, u32 reader)
{
	struct rwsem_waiter *chosen;

	spin_lock(&tree->lock);
	if (unlikely(range->blockers || (range->arrival & READER) != reader))
		MMSIM_BUG("range lock [%llx, %llx]: unlocked for %s but not held so",
			  (unsigned long long)range->start, (unsigned long long)range->last,
			  reader ? "reading" : "writing");
	tree_erase(tree, range);
	chosen = choose_after_holder(tree, range);
	spin_unlock(&tree->lock);
	tell(chosen);
}

/* ---- the interface ------------------------------------------------------------------------- */

static enum lock_rank rank_of(const struct range_lock_tree *tree)
{
	return (enum lock_rank)tree->rank;
}

static int lock_ranked(struct range_lock_tree *tree, struct range_lock *range, u32 reader,
		       bool nested, bool killable)
{
	int ret;

	lock_rank_acquire(range, rank_of(tree), nested, false);
	ret = lock_range(tree, range, reader, killable);
	if (ret)
		lock_rank_release(range, rank_of(tree));
	return ret;
}

void range_read_lock(struct range_lock_tree *tree, struct range_lock *range)
{
	(void)lock_ranked(tree, range, READER, false, false);
}

void range_read_lock_nested(struct range_lock_tree *tree, struct range_lock *range)
{
	(void)lock_ranked(tree, range, READER, true, false);
}

int range_read_lock_killable(struct range_lock_tree *tree, struct range_lock *range)
{
	return lock_ranked(tree, range, READER, false, true);
}

bool range_read_trylock_non_owner(struct range_lock_tree *tree, struct range_lock *range)
{
	return trylock_range(tree, range, READER);
}

bool range_read_trylock(struct range_lock_tree *tree, struct range_lock *range)
{
	if (!trylock_range(tree, range, READER))
		return false;
	lock_rank_acquire(range, rank_of(tree), true, true);
	return true;
}

void range_read_unlock_non_owner(struct range_lock_tree *tree, struct range_lock *range)
{
	unlock_range(tree, range, READER);
}

void range_read_unlock(struct range_lock_tree *tree, struct range_lock *range)
{
	lock_rank_release(range, rank_of(tree));
	unlock_range(tree, range, READER);
}

void range_write_lock(struct range_lock_tree *tree, struct range_lock *range)
{
	(void)lock_ranked(tree, range, 0, false, false);
}

void range_write_lock_nested(struct range_lock_tree *tree, struct range_lock *range)
{
	(void)lock_ranked(tree, range, 0, true, false);
}

int range_write_lock_killable(struct range_lock_tree *tree, struct range_lock *range)
{
	return lock_ranked(tree, range, 0, false, true);
}

int range_write_lock_nested_killable(struct range_lock_tree *tree, struct range_lock *range)
{
	return lock_ranked(tree, range, 0, true, true);
}

bool range_write_trylock(struct range_lock_tree *tree, struct range_lock *range)
{
	if (!trylock_range(tree, range, 0))
		return false;
	lock_rank_acquire(range, rank_of(tree), true, true);
	return true;
}

void range_write_unlock(struct range_lock_tree *tree, struct range_lock *range)
{
	lock_rank_release(range, rank_of(tree));
	unlock_range(tree, range, 0);
}

void range_downgrade_write(struct range_lock_tree *tree, struct range_lock *range)
{
	struct rwsem_waiter *chosen = NULL;
	struct range_lock *other;

	spin_lock(&tree->lock);
	if (unlikely(range->blockers || (range->arrival & READER)))
		MMSIM_BUG("range lock [%llx, %llx]: downgraded but not write-locked",
			  (unsigned long long)range->start, (unsigned long long)range->last);
	/* Every reader that intersects came later, and has counted us as a writer. */
	for_each_intersecting (other, tree, range->start, range->last) {
		if (other->arrival & READER)
			count_down(other, &chosen);
	}
	range->arrival |= READER;
	spin_unlock(&tree->lock);
	tell(chosen);
}

bool range_is_locked(struct range_lock_tree *tree, u64 start, u64 last)
{
	bool locked;

	spin_lock(&tree->lock);
	locked = first_below(tree->root.node, start, last) != NULL;
	spin_unlock(&tree->lock);
	return locked;
}

bool range_is_contended(struct range_lock_tree *tree, const struct range_lock *range)
{
	struct range_lock *other;
	bool contended = false;

	spin_lock(&tree->lock);
	for_each_intersecting (other, tree, range->start, range->last)
		contended |= other->blockers != 0;
	spin_unlock(&tree->lock);
	return contended;
}
