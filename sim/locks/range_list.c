/*
 * sim/locks/range_list.c - range locks in a sorted list without a lock (range_list.h)
 *
 * The list      Sorted by start; a link is a node's address. Bit 0 of node->next: the node is released
 *               (marked), and nobody can link anything behind it any more. Bit 0 of list->head: the one
 *               node there is on the fast path: nobody has looked at it. Whoever wants to
 *               takes the bit away first, after which the owner must release it by marking.
 * Who frees     A node leaves by one successful compare-and-swap of the only unmarked link to it. Who
 *               did that retires it: it is reused after a grace period, since others may stand on
 *               it, or be about to compare a link with its address. On the fast path the swap of the
 *               head says that nobody ever looked: it is reused at once.
 * Why it        Two conflicting nodes of which at least one is a writer's W, the other X. Both pass the
 * excludes      place where they would see each other, or one of them fails:
 *               - X before W in the list. W's insertion passed X's place before X was there (else it
 *                 saw X). Then W's own check, from the head, is later than X's insertion or not: if it
 *                 is, W sees X and withdraws; if not, X's check, ahead from its own place, is after
 *                 W's insertion: X sees W and waits. The insertions are full barriers, so at least one
 *                 sees the other. X is a reader: a writer that overlaps W's start would have had to be
 *                 linked in by the compare-and-swap of a link that W's own changed.
 *               - X behind W: X starts inside W, so between the place before W and the first node that
 *                 begins behind W there was nothing when either was linked: both swap the same link,
 *                 and the second finds the first.
 * Why nobody    A writer waits only while it is not in the list. A reader in the list waits for writers
 * deadlocks     ahead only, which hold, or withdraw.
 * Ordering      Release: marking (or swapping the head back) is a full barrier; the one who meets the
 *               mark, or the head without the node, loads it with acquire. Downgrade: release and
 *               acquire of node->reader.
 * Waiting       outside of RCU, by (node, life): the node's memory stays a node, `life` tells whether
 *               it still is the same. Its wait queue survives the lives: a stale sleeper costs a
 *               spurious wake-up.
 * Context       node->start, last are plain: constant from before the link is published until
 *               a grace period after it is gone.
 */
#include <mmsim/charge.h>
#include <mmsim/cpu.h>
#include <mmsim/objcache.h>
#include <mmsim/percpu.h>
#include <mmsim/range_list.h>

#define MARK ((uintptr_t)1)

#define RETIRED_PER_BATCH 60
#if defined(MMSIM_ENGINE_NATIVE)
/* Hosts are oversubscribed: the holder may be waiting for this very CPU. */
#define SPIN_NS_MAX 50000u
#define SPINS_PER_CLOCK 32
#else
#define SPIN_NS_MAX (~0u)
#define SPINS_PER_CLOCK 1
#endif

struct range_node {
	uintptr_t next; /* (atomic) */
	u64 start, last;
	u32 life;   /* (atomic) changes each time that the node is used anew */
	u32 reader; /* (atomic) */
	struct wait_queue wq;
} __cacheline_aligned;

/* Nodes that wait for one grace period. */
struct retired {
	struct rcu_head rcu;
	struct range_list_pool *pool;
	u32 count;
	struct range_node *nodes[RETIRED_PER_BATCH];
};

struct range_list_pool {
	struct machine *machine;
	struct objcache *nodes, *batches;
	percpu_t filling; /* struct retired *, per CPU, or NULL */
};

/* Whom a task waits for. */
struct conflict {
	struct range_node *node;
	u32 life;
	bool we_read;
};

static struct range_node *node_of(uintptr_t link)
{
	return (struct range_node *)(link & ~MARK);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static void node_construct(void *obj)
{
	struct range_node *node = obj;

	WRITE_ONCE(node->next, MARK);
	WRITE_ONCE(node->life, 0u);
	wait_queue_init(&node->wq);
}

static void pool_free(struct range_list_pool *pool)
{
	if (pool->filling)
		percpu_free(pool->machine, pool->filling, sizeof(struct retired *));
	if (pool->nodes)
		objcache_destroy(pool->nodes);
	if (pool->batches)
		objcache_destroy(pool->batches);
	machine_memory_free(pool->machine, pool, sizeof(*pool));
}

static const struct obj_field node_fields[] = {
	OBJ_FIELD(struct range_node, next, "range_node->next"),
	OBJ_FIELD(struct range_node, start, "range_node->start"),
	OBJ_FIELD(struct range_node, last, "range_node->last"),
	OBJ_FIELD(struct range_node, life, "range_node->life"),
	OBJ_FIELD(struct range_node, reader, "range_node->reader"),
	OBJ_FIELD(struct range_node, wq, "range_node->wq"),
};
static const struct obj_layout node_layout = { sizeof(struct range_node), ARRAY_SIZE(node_fields), node_fields };
static const struct obj_field pool_fields[] = { OBJ_FROM(0, "range_list_pool") };
static const struct obj_layout pool_layout = { sizeof(struct range_list_pool), ARRAY_SIZE(pool_fields), pool_fields };
static const struct obj_field retired_fields[] = { OBJ_FROM(0, "range_list's retired nodes") };
static const struct obj_layout retired_layout = { sizeof(struct retired), ARRAY_SIZE(retired_fields), retired_fields };

struct range_list_pool *range_list_pool_create(struct machine *m)
{
	struct range_list_pool *pool = machine_memory_alloc(m, sizeof(*pool), MMSIM_CACHE_LINE_BYTES);

	if (!pool)
		return NULL;
	region_set_layout(m, pool, sizeof(*pool), &pool_layout);
	pool->machine = m;
	pool->nodes = objcache_create(m, "range_node", sizeof(struct range_node),
				      MMSIM_CACHE_LINE_BYTES, OBJCACHE_TYPESAFE, node_construct);
	pool->batches = objcache_create(m, "range_retired", sizeof(struct retired),
					MMSIM_CACHE_LINE_BYTES, 0, NULL);
	pool->filling = percpu_alloc(m, sizeof(struct retired *), sizeof(struct retired *));
	if (pool->nodes && pool->batches && pool->filling) {
		objcache_set_layout(pool->nodes, &node_layout);
		objcache_set_layout(pool->batches, &retired_layout);
		return pool;
	}
	pool_free(pool);
	return NULL;
}

static void free_batch(struct retired *batch)
{
	struct range_list_pool *pool;
	u32 count;

	line_read(batch, count);
	pool = batch->pool;
	count = batch->count;
	for (u32 i = 0; i < count; i++) {
		line_read_ptr(&batch->nodes[i]);
		line_read(pool, nodes);
		objcache_free(pool->nodes, batch->nodes[i]);
	}
	line_read(pool, batches);
	objcache_free(pool->batches, batch);
}

static void free_batch_rcu(struct rcu_head *head)
{
	free_batch(container_of(head, struct retired, rcu));
}

void range_list_pool_destroy(struct range_list_pool *pool)
{
	u32 cpus = machine_cpu_count(pool->machine);

	sim_rcu_barrier();
	for (u32 i = 0; i < cpus; i++) {
		struct cpu *cpu = machine_cpu(pool->machine, i);
		struct retired *batch = *per_cpu_ptr(pool->filling, struct retired *, cpu);

		if (batch)
			free_batch(batch);
	}
	pool_free(pool);
}

static struct retired *batch_alloc(struct range_list_pool *pool)
{
	struct retired *batch = objcache_alloc(pool->batches);

	if (!batch)
		MMSIM_BUG("range list: the host has no memory for %zu bytes", sizeof(*batch));
	line_write(batch, count);
	batch->pool = pool;
	batch->count = 0;
	return batch;
}

/* The caller has unlinked it, inside an RCU reader: its CPU stays its own. */
static void retire(struct range_list_pool *pool, struct range_node *node)
{
	struct retired **filling, *batch;

	preempt_disable();
	filling = this_cpu_ptr(pool->filling, struct retired *);
	line_write_ptr(filling);
	batch = *filling;
	if (!batch)
		batch = batch_alloc(pool);
	line_write(batch, count);
	line_write_ptr(&batch->nodes[batch->count]);
	batch->nodes[batch->count++] = node;
	*filling = batch->count < RETIRED_PER_BATCH ? batch : NULL;
	preempt_enable();
	if (batch->count == RETIRED_PER_BATCH)
		sim_call_rcu(&batch->rcu, free_batch_rcu);
}

static struct range_node *node_alloc(struct range_list *list, const struct range_hold *hold,
				     bool write)
{
	struct range_node *node;

	line_read(list->pool, nodes);
	node = objcache_alloc(list->pool->nodes);
	if (!node)
		MMSIM_BUG("range list: the host has no memory for %zu bytes", sizeof(*node));
	line_write(node, life);
	WRITE_ONCE(node->life, node->life + 1);
	WRITE_ONCE(node->reader, (u32)!write);
	node->start = hold->start;
	node->last = hold->last;
	return node;
}

/* Nobody has seen it. */
static void node_free(struct range_list *list, struct range_node *node)
{
	line_read(list, pool);
	line_read(list->pool, nodes);
	objcache_free(list->pool->nodes, node);
}

/* Before node is linked in. The life is older: who still watches an earlier one, and sees this next,
 * sees that it is over. */
static void set_next(struct range_node *node, uintptr_t next)
{
	smp_store_release(&node->next, next);
}

/* ---- the list ------------------------------------------------------------------------------ */

/* The link at *from; a node on the fast path becomes an ordinary one. */
static uintptr_t follow(struct range_list *list, uintptr_t *from)
{
	uintptr_t link = smp_load_acquire(from);

	while (from == &list->head && (link & MARK)) {
		if (try_cmpxchg(from, &link, link & ~MARK))
			return link & ~MARK;
	}
	return link;
}

/*
 * A step of a walk: *from leads to *link, a node. False: go on with what *link is now (it changed, or
 * the node was released and is unlinked). True: the node was not released, and *next is behind it.
 */
static bool look_at(struct range_list *list, uintptr_t *from, uintptr_t *link, uintptr_t *next)
{
	struct range_node *node = node_of(*link);

	*next = smp_load_acquire(&node->next);
	if (!(*next & MARK))
		return true;
	if (try_cmpxchg(from, link, *next & ~MARK)) {
		retire(list->pool, node);
		*link = *next & ~MARK;
	} else {
		*link = follow(list, from);
	}
	return false;
}

static bool is_reader(const struct range_node *node)
{
	return smp_load_acquire(&node->reader) != 0; /* pairs with the downgrade */
}

static void conflict_with(struct conflict *c, struct range_node *node, bool we_read)
{
	c->node = node;
	c->life = READ_ONCE(node->life); /* inside the RCU reader that found it alive */
	c->we_read = we_read;
}

enum place { PLACE_BEFORE, PLACE_BEHIND, PLACE_CONFLICT };

/* Where does node belong, seen from cur? */
static enum place place_at(const struct range_node *node, bool write, const struct range_node *cur)
{
	if (cur->last < node->start)
		return PLACE_BEHIND;
	if (node->last < cur->start)
		return PLACE_BEFORE;
	if (write || !is_reader(cur))
		return PLACE_CONFLICT;
	return cur->start <= node->start ? PLACE_BEHIND : PLACE_BEFORE;
}

/*
 * Link node in, at its place. False: c is in the way. On the fast path *alone is set: there is nobody to
 * check against.
 */
static bool insert(struct range_list *list, struct range_node *node, bool write, struct conflict *c,
		   bool *alone)
{
	uintptr_t *from = &list->head;
	uintptr_t link = smp_load_acquire(from);

	*alone = false;
	if (link & MARK)
		link = follow(list, from);
	for (;;) {
		uintptr_t next;

		if (link & MARK) { /* the node that we stand on is released: nothing leads here */
			from = &list->head;
			link = follow(list, from);
			continue;
		}
		if (link) {
			struct range_node *cur = node_of(link);
			enum place place;

			if (!look_at(list, from, &link, &next))
				continue;
			place = place_at(node, write, cur);
			if (place == PLACE_CONFLICT) {
				conflict_with(c, cur, !write);
				return false;
			}
			if (place == PLACE_BEHIND) {
				from = &cur->next;
				link = next;
				continue;
			}
		}
		*alone = !link && from == &list->head;
		set_next(node, link);
		if (try_cmpxchg(from, &link, (uintptr_t)node | (*alone ? MARK : 0)))
			return true;
		link = follow(list, from);
	}
}

/* A reader in the list: is there a writer ahead that overlaps? */
static bool reader_passes(struct range_list *list, struct range_node *node, struct conflict *c)
{
	uintptr_t *from = &node->next;
	uintptr_t link = follow(list, from);

	while (link) {
		struct range_node *cur = node_of(link);
		uintptr_t next;

		if (link & MARK) { /* not our own: that is ours to mark */
			from = &node->next;
			link = follow(list, from);
			continue;
		}
		if (!look_at(list, from, &link, &next))
			continue;
		if (cur->start > node->last)
			break;
		if (!is_reader(cur)) {
			conflict_with(c, cur, true);
			return false;
		}
		from = &cur->next;
		link = next;
	}
	return true;
}

/* A writer in the list: is there a reader before it that overlaps? */
static bool writer_passes(struct range_list *list, struct range_node *node, struct conflict *c)
{
	uintptr_t *from = &list->head;
	uintptr_t link = follow(list, from);

	for (;;) {
		struct range_node *cur = node_of(link);
		uintptr_t next;

		if (link & MARK) {
			from = &list->head;
			link = follow(list, from);
			continue;
		}
		if (unlikely(!cur))
			MMSIM_BUG("range list: [%llx, %llx] is not in it",
				  (unsigned long long)node->start, (unsigned long long)node->last);
		if (cur == node)
			return true;
		if (!look_at(list, from, &link, &next))
			continue;
		if (cur->last >= node->start) {
			conflict_with(c, cur, false);
			return false;
		}
		from = &cur->next;
		link = next;
	}
}

/* Release a node that is in the list. Its sleepers have counted themselves in before they look at the
 * mark (a full barrier each), so they see it, or we see them. */
static void mark(struct range_node *node)
{
	uintptr_t next = fetch_or(&node->next, MARK);

	if (unlikely(next & MARK))
		MMSIM_BUG("range list: [%llx, %llx] is released twice",
			  (unsigned long long)node->start, (unsigned long long)node->last);
	if (unlikely(READ_ONCE(node->wq.waiters)))
		wake_up_all(&node->wq);
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* next before life: see set_next(). */
static bool is_over(const struct conflict *c)
{
	if (smp_load_acquire(&c->node->next) & MARK)
		return true;
	if (READ_ONCE(c->node->life) != c->life)
		return true;
	return c->we_read && READ_ONCE(c->node->reader);
}

static bool spin_until_over(const struct range_list *list, const struct conflict *c, bool killable)
{
	u64 limit_ns = min(list->spin_ns, SPIN_NS_MAX);
	u64 start_ns = engine_now_ns();
	u32 spins = 0;

	while (!need_resched()) {
		if (is_over(c))
			return true;
		if (killable && task_killed())
			return false;
		cpu_relax();
		if (++spins % SPINS_PER_CLOCK == 0 && limit_ns != RANGE_LIST_SPIN_FOREVER &&
		    engine_now_ns() - start_ns >= limit_ns)
			return false;
	}
	return false;
}

static int wait_until_over(const struct range_list *list, const struct conflict *c, bool killable)
{
	int ret = 0;

	count_event(COUNTER_RANGE_LIST_WAIT);
	task_waits_for(list);
	if (!list->spin_ns || !spin_until_over(list, c, killable)) {
		count_event(COUNTER_RANGE_LIST_SLEEP);
		if (killable)
			ret = wait_event_killable(&c->node->wq, is_over(c));
		else
			wait_event(&c->node->wq, is_over(c));
	}
	task_waits_for(NULL);
	return ret;
}

/* ---- the gate ------------------------------------------------------------------------------ */

static bool gate_take(struct range_list *list)
{
	u32 open = 0;

	return try_cmpxchg_acquire(&list->gate, &open, 1u);
}

static void gate_open(struct range_list *list)
{
	smp_store_release(&list->gate, 0u);
	wake_up_all(&list->gate_wq);
}

/* What an acquisition knows about itself. */
struct attempt {
	u32 waits;
	bool killable;
	bool nested;	/* it does not wait at the gate, nor shuts it */
	bool gate_ours;
};

static int pass_gate(struct range_list *list, const struct attempt *a)
{
	int ret = 0;

	if (likely(!READ_ONCE(list->gate)) || a->nested)
		return 0;
	task_waits_for(&list->gate);
	if (a->killable)
		ret = wait_event_killable(&list->gate_wq, !READ_ONCE(list->gate));
	else
		wait_event(&list->gate_wq, !READ_ONCE(list->gate));
	task_waits_for(NULL);
	return ret;
}

/* Wait, and lose patience. Those that are inside the gate may win a few times more, each once. */
static int wait_again(struct range_list *list, struct attempt *a, const struct conflict *c)
{
	if (list->patience && !a->nested && !a->gate_ours && ++a->waits > list->patience) {
		a->gate_ours = gate_take(list);
		if (a->gate_ours)
			count_event(COUNTER_RANGE_LIST_GATE);
	}
	return wait_until_over(list, c, a->killable);
}

/* ---- lock ---------------------------------------------------------------------------------- */

/* Until node is linked in. Killed: it is not. */
static int insert_wait(struct range_list *list, struct range_node *node, bool write,
		       struct attempt *a, bool *alone)
{
	struct conflict c;
	bool in;
	int ret;

	for (;;) {
		rcu_read_lock();
		in = insert(list, node, write, &c, alone);
		rcu_read_unlock();
		if (likely(in))
			return 0;
		ret = wait_again(list, a, &c);
		if (ret)
			return ret;
	}
}

static int read_acquire(struct range_list *list, struct range_hold *hold, struct attempt *a)
{
	struct range_node *node = node_alloc(list, hold, false);
	struct conflict c;
	bool alone, passed;
	int ret = insert_wait(list, node, false, a, &alone);

	if (ret) {
		node_free(list, node);
		return ret;
	}
	hold->node = node;
	while (!alone) {
		rcu_read_lock();
		passed = reader_passes(list, node, &c);
		rcu_read_unlock();
		if (passed)
			break;
		ret = wait_again(list, a, &c);
		if (ret) {
			mark(node);
			return ret;
		}
	}
	return 0;
}

static int write_acquire(struct range_list *list, struct range_hold *hold, struct attempt *a)
{
	for (;;) {
		struct range_node *node = node_alloc(list, hold, true);
		struct conflict c;
		bool alone, passed;
		int ret = insert_wait(list, node, true, a, &alone);

		if (ret) {
			node_free(list, node);
			return ret;
		}
		hold->node = node;
		if (alone)
			return 0;
		rcu_read_lock();
		passed = writer_passes(list, node, &c);
		rcu_read_unlock();
		if (passed)
			return 0;
		count_event(COUNTER_RANGE_LIST_WITHDRAW);
		mark(node);
		ret = wait_again(list, a, &c);
		if (ret)
			return ret;
	}
}

static int acquire(struct range_list *list, struct range_hold *hold, bool write, bool nested,
		   bool killable)
{
	struct attempt a = {.killable = killable, .nested = nested};
	int ret;

	lock_rank_acquire(hold, lock_rank_of(list), nested, false);
	ret = pass_gate(list, &a);
	if (!ret)
		ret = write ? write_acquire(list, hold, &a) : read_acquire(list, hold, &a);
	if (unlikely(a.gate_ours))
		gate_open(list);
	if (ret)
		lock_rank_release(hold, lock_rank_of(list));
	return ret;
}

static bool try_acquire(struct range_list *list, struct range_hold *hold, bool write)
{
	struct range_node *node;
	struct conflict c;
	bool in, alone, passed;

	if (READ_ONCE(list->gate))
		return false;
	node = node_alloc(list, hold, write);
	rcu_read_lock();
	in = insert(list, node, write, &c, &alone);
	passed = in && (alone || (write ? writer_passes(list, node, &c) : reader_passes(list, node, &c)));
	rcu_read_unlock();
	if (passed)
		hold->node = node;
	else if (in)
		mark(node);
	else
		node_free(list, node);
	return passed;
}

static void release_node(struct range_list *list, struct range_node *node)
{
	uintptr_t alone = (uintptr_t)node | MARK;

	if (READ_ONCE(list->head) == alone && try_cmpxchg(&list->head, &alone, (uintptr_t)0))
		node_free(list, node);
	else
		mark(node);
}

static void release(struct range_list *list, struct range_hold *hold, bool write)
{
	if (unlikely(READ_UNPRICED(hold->node->reader) == write))
		MMSIM_BUG("range list: [%llx, %llx] unlocked for %s but not held so",
			  (unsigned long long)hold->start, (unsigned long long)hold->last,
			  write ? "writing" : "reading");
	release_node(list, hold->node);
}

/* ---- the interface ------------------------------------------------------------------------- */

void range_list_init(struct range_list *list, struct range_list_pool *pool, enum lock_rank rank,
		     u32 spin_ns, u32 patience)
{
	WRITE_ONCE(list->head, (uintptr_t)0);
	WRITE_ONCE(list->gate, 0u);
	wait_queue_init(&list->gate_wq);
	list->patience = patience;
	list->spin_ns = spin_ns;
	list->rank = (u16)rank;
	list->pool = pool;
}

/* Nobody walks the list any more, but somebody may have left it a moment ago: retired, not freed. */
void range_list_destroy(struct range_list *list)
{
	uintptr_t link = READ_ONCE(list->head);

	if (link & MARK)
		MMSIM_BUG("range list destroyed while a range is held");
	rcu_read_lock();
	while (link) {
		struct range_node *node = node_of(link);

		link = READ_ONCE(node->next);
		if (!(link & MARK))
			MMSIM_BUG("range list destroyed while [%llx, %llx] is held",
				  (unsigned long long)node->start, (unsigned long long)node->last);
		link &= ~MARK;
		retire(list->pool, node);
	}
	rcu_read_unlock();
	WRITE_ONCE(list->head, (uintptr_t)0);
}

void range_list_read_lock(struct range_list *list, struct range_hold *hold)
{
	(void)acquire(list, hold, false, false, false);
}

int range_list_read_lock_killable(struct range_list *list, struct range_hold *hold)
{
	return acquire(list, hold, false, false, true);
}

bool range_list_read_trylock_non_owner(struct range_list *list, struct range_hold *hold)
{
	return try_acquire(list, hold, false);
}

bool range_list_read_trylock(struct range_list *list, struct range_hold *hold)
{
	if (!try_acquire(list, hold, false))
		return false;
	lock_rank_acquire(hold, lock_rank_of(list), true, true);
	return true;
}

void range_list_read_unlock_non_owner(struct range_list *list, struct range_hold *hold)
{
	release(list, hold, false);
}

void range_list_read_unlock(struct range_list *list, struct range_hold *hold)
{
	lock_rank_release(hold, lock_rank_of(list));
	release(list, hold, false);
}

void range_list_write_lock(struct range_list *list, struct range_hold *hold)
{
	(void)acquire(list, hold, true, false, false);
}

void range_list_write_lock_nested(struct range_list *list, struct range_hold *hold)
{
	(void)acquire(list, hold, true, true, false);
}

int range_list_write_lock_killable(struct range_list *list, struct range_hold *hold)
{
	return acquire(list, hold, true, false, true);
}

bool range_list_write_trylock(struct range_list *list, struct range_hold *hold)
{
	if (!try_acquire(list, hold, true))
		return false;
	lock_rank_acquire(hold, lock_rank_of(list), true, true);
	return true;
}

void range_list_write_unlock(struct range_list *list, struct range_hold *hold)
{
	lock_rank_release(hold, lock_rank_of(list));
	release(list, hold, true);
}

void range_list_downgrade_write(struct range_list *list, struct range_hold *hold)
{
	struct range_node *node = hold->node;

	/* Full barrier, as a release by mark(): readers that sleep see it, or we see them. */
	if (unlikely(xchg(&node->reader, 1u)))
		MMSIM_BUG("range list: [%llx, %llx] downgraded but not write-locked",
			  (unsigned long long)hold->start, (unsigned long long)hold->last);
	if (unlikely(READ_ONCE(node->wq.waiters)))
		wake_up_all(&node->wq);
}

bool range_list_is_locked(struct range_list *list, u64 start, u64 last)
{
	bool locked = false;
	uintptr_t link;

	rcu_read_lock();
	link = follow(list, &list->head);
	while (link && !locked) {
		struct range_node *node = node_of(link);

		link = smp_load_acquire(&node->next);
		locked = !(link & MARK) && node->start <= last && node->last >= start;
		link &= ~MARK;
	}
	rcu_read_unlock();
	return locked;
}

bool range_list_is_contended(const struct range_hold *hold)
{
	return READ_ONCE(hold->node->wq.waiters) != 0;
}
