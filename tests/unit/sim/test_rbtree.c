/*
 * tests/unit/sim/test_rbtree.c - order, balance and augmented values against an array; descents
 * without a lock beside a writer
 */
#include "sim_test.h"

#include <mmsim/rbtree.h>

#define ITEMS 300
#define KEYS_PER_ITEM 4

struct item {
	struct rb_node rb;
	u64 key;	  /* (c) while in the tree */
	u64 weight;	  /* any */
	u64 max_weight; /* augmented: the largest in the subtree */
	bool in_tree;
};

static struct item local_items[ITEMS];
static struct item *items = local_items; /* or in a machine's memory, where CPUs meet */
static struct rb_root root;

static struct item *item_of(struct rb_node *node)
{
	return node ? rb_entry(node, struct item, rb) : NULL;
}

static u64 max_weight_of(struct rb_node *node)
{
	return node ? item_of(node)->max_weight : 0;
}

static bool compute_max(struct rb_node *node)
{
	struct item *item = item_of(node);
	u64 below = max(max_weight_of(node->left), max_weight_of(node->right));
	u64 value = max(item->weight, below);
	bool changed = item->max_weight != value;

	item->max_weight = value;
	return changed;
}

static const struct rb_augment max_augment = {compute_max};

static void insert(struct item *item, const struct rb_augment *augment)
{
	struct rb_node **link = &root.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_link_node(&item->rb, parent, link);
	rb_insert_color_augmented(&item->rb, &root, augment);
	item->in_tree = true;
}

static void erase(struct item *item, const struct rb_augment *augment)
{
	rb_erase_augmented(&item->rb, &root, augment);
	item->in_tree = false;
}

/* The rules of rbtree.c, and the value at each node. Returns the number of black nodes below. */
static u32 check_subtree(struct rb_node *node, const struct rb_node *parent, u32 *count)
{
	u32 left, right;
	bool red;

	if (!node)
		return 0;
	++*count;
	red = !(node->parent_color & 1);
	assert_ptr_equal(rb_parent(node), parent);
	assert_false(red && parent && !(parent->parent_color & 1));
	left = check_subtree(node->left, node, count);
	right = check_subtree(node->right, node, count);
	assert_int_equal(left, right);
	assert_false(compute_max(node));
	return left + !red;
}

static void check_tree(u32 expected)
{
	struct rb_node *node, *prev = NULL;
	u32 count = 0, in_order = 0;

	(void)check_subtree(root.node, NULL, &count);
	assert_int_equal(count, expected);
	assert_true(!root.node || root.node->parent_color & 1);
	for (node = rb_first(&root); node; prev = node, node = rb_next(node), in_order++) {
		assert_true(item_of(node)->in_tree);
		assert_ptr_equal(rb_prev(node), prev);
		assert_true(!prev || item_of(prev)->key <= item_of(node)->key);
	}
	assert_ptr_equal(rb_last(&root), prev);
	assert_int_equal(in_order, expected);
}

static void empty_tree(void)
{
	rb_root_init(&root);
	memset(items, 0, ITEMS * sizeof(items[0]));
}

/* Phases of growth and of shrinking; equal keys occur; weights change in place. */
static void test_random_changes(void **state)
{
	u64 seed = sim_test_seed();
	u32 count = 0;

	empty_tree();
	for (u32 round = 0; round < 20000; round++) {
		struct item *item = &items[sim_test_random(&seed) % ITEMS];
		bool grow = sim_test_random(&seed) % 100 < (round / 1000 % 2 ? 30 : 70);

		if (item->in_tree && !grow) {
			erase(item, &max_augment);
			count--;
		} else if (!item->in_tree && grow) {
			item->key = sim_test_random(&seed) % (ITEMS * KEYS_PER_ITEM);
			item->weight = sim_test_random(&seed) % 1000;
			insert(item, &max_augment);
			count++;
		} else if (item->in_tree) {
			item->weight = sim_test_random(&seed) % 1000;
			rb_augment_propagate(&item->rb, &max_augment);
		}
		if (round % 16 == 0)
			check_tree(count);
	}
	for (u32 i = 0; i < ITEMS; i++) {
		if (items[i].in_tree)
			erase(&items[i], &max_augment);
	}
	check_tree(0);
}

/* Every permutation of what can be erased from small trees, built in both directions. */
static void test_small_trees_erase_each(void **state)
{
	for (u32 n = 1; n <= 40; n++) {
		for (u32 victim = 0; victim < n; victim++) {
			empty_tree();
			for (u32 i = 0; i < n; i++) {
				items[i].key = victim % 2 ? i : n - i;
				items[i].weight = i * 7 % 13;
				insert(&items[i], &max_augment);
			}
			check_tree(n);
			erase(&items[victim], &max_augment);
			check_tree(n - 1);
		}
	}
}

static void test_empty(void **state)
{
	empty_tree();
	assert_null(rb_first(&root));
	assert_null(rb_last(&root));
	rb_augment_propagate(NULL, &max_augment);
}

/* ---- lockless descents --------------------------------------------------------------------- */

#define READERS 3
/* Even at a crawl, a reader is overtaken by far fewer rotations than this. */
#define STEPS_MAX 100000

static u32 writer_done, writer_rounds;
static u64 writer_seed, descents, found;

/* Keys are constant here: they are the item's index. */
static void write_at_random(void)
{
	for (u32 round = 0; round < writer_rounds; round++) {
		struct item *item = &items[1 + sim_test_random(&writer_seed) % (ITEMS - 1)];

		if (item->in_tree)
			erase(item, NULL);
		else
			insert(item, NULL);
	}
	smp_store_release(&writer_done, 1u);
}

static struct item *find_lockless(u64 key)
{
	struct rb_node *node = rcu_dereference(root.node);

	for (u32 steps = 0; node; steps++) {
		struct item *item = item_of(node);

		if (steps == STEPS_MAX)
			fail_msg("a descent does not end");
		if (item->key == key)
			return item;
		if (key < item->key)
			node = rcu_dereference(node->left);
		else
			node = rcu_dereference(node->right);
	}
	return NULL;
}

static void lockless_task(void *arg, u32 index)
{
	u64 seed = *(u64 *)arg + index, mine = 0, hits = 0;

	if (index == 0) {
		write_at_random();
		return;
	}
	while (!smp_load_acquire(&writer_done)) {
		struct item *item;
		u64 key = sim_test_random(&seed) % ITEMS;

		rcu_read_lock();
		item = find_lockless(key);
		rcu_read_unlock();
		assert_true(!item || item->key == key);
		hits += item != NULL;
		mine++;
	}
	(void)fetch_add(&descents, mine);
	(void)fetch_add(&found, hits);
}

static void run_lockless(u64 seed, enum schedule schedule, u32 rounds)
{
	struct machine_config cfg = {.tasks = 1 + READERS, .seed = seed, .schedule = schedule};
	struct machine *m = machine_create(&cfg);

	assert_non_null(m);
	items = machine_memory_alloc(m, ITEMS * sizeof(items[0]), MMSIM_CACHE_LINE_BYTES);
	assert_non_null(items);
	writer_seed = seed;
	writer_rounds = rounds;
	WRITE_ONCE(writer_done, 0u);
	empty_tree();
	for (u32 i = 0; i < ITEMS; i++)
		items[i].key = i;
	insert(&items[0], NULL);
	assert_int_equal(engine_run(m, 1 + READERS, lockless_task, &seed, NULL), 0);
	machine_memory_free(m, items, ITEMS * sizeof(items[0]));
	machine_destroy(m);
	items = local_items;
}

static void test_lockless_descents_end(void **state)
{
	u64 seed = sim_test_seed();

	run_lockless(seed, SCHEDULE_TIME, 20000);
	for (u32 i = 1; i <= 20; i++)
		run_lockless(seed + i, SCHEDULE_RANDOM, 500);
	print_message("%llu descents, %llu found their key\n", (unsigned long long)descents,
		      (unsigned long long)found);
	assert_true(found > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_small_trees_erase_each),
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_lockless_descents_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
