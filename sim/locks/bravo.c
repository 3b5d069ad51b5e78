/*
 * sim/locks/bravo.c - readers that mark themselves in a table (bravo.h)
 *
 * Why it        Reader: mark the slot (full barrier), then look at the bias. Writer, with the rwsem held
 * excludes      for write: end the bias, full barrier, then look at the slots. So either the reader
 *               sees that the bias is over and takes its mark back, or the writer sees the mark and waits.
 *               While a writer holds the rwsem nobody turns the bias on: that takes a read lock of it.
 * Ordering      Writer to fast reader: the bias is turned on (release) by a reader who had the rwsem
 *               after that writer; the fast reader's second look is an acquire. A reader that still sees
 *               a bias from before the writer was seen by the writer, which has not begun. Fast reader
 *               to writer: the slot is emptied with release, and read by the writer with acquire.
 * Giving up     A writer that ends the bias and then does not want to wait (trylock, killed) turns it on
 *               again before it drops the rwsem: with the bias off the next writer would not look at
 *               the table, in which readers may be.
 * Names         32 bits, given in the order of bravo_init(): slots are chosen by name and task number, so
 *               that nothing depends on addresses.
 */
#include <mmsim/bravo.h>
#include <mmsim/charge.h>
#include <mmsim/cpu.h>

/* How often a writer looks at a slot before it lets others run. */
#if defined(MMSIM_ENGINE_NATIVE)
#define LOOKS_PER_YIELD 256
#else
#define LOOKS_PER_YIELD 1 /* between two looks it sleeps until the slot is written, or a while */
#endif

static const struct obj_field table_fields[] = {
	OBJ_FIELD(struct bravo_table, slots, "bravo_table->slots"),
	OBJ_FIELD(struct bravo_table, names, "bravo_table->names"),
};
static const struct obj_layout table_layout = { sizeof(struct bravo_table), ARRAY_SIZE(table_fields), table_fields };

struct bravo_table *bravo_table_create(struct machine *m)
{
	struct bravo_table *table = machine_memory_alloc(m, sizeof(*table), MMSIM_CACHE_LINE_BYTES);

	if (table)
		region_set_layout(m, table, sizeof(*table), &table_layout);
	return table;
}

void bravo_table_destroy(struct machine *m, struct bravo_table *table)
{
	for (u32 i = 0; i < BRAVO_SLOTS; i++) {
		if (READ_UNPRICED(table->slots[i]))
			MMSIM_BUG("bravo: table destroyed while lock %llu is read-locked",
				  (unsigned long long)READ_UNPRICED(table->slots[i]));
	}
	machine_memory_free(m, table, sizeof(*table));
}

void bravo_init(struct bravo_rwsem *b, struct bravo_table *table, enum lock_rank rank)
{
	rwsem_init(&b->sem, rank);
	WRITE_ONCE(b->bias, 0u);
	WRITE_ONCE(b->inhibit_until_ns, 0ull);
	b->name = fetch_add_relaxed(&table->names, 1u) + 1;
	if (unlikely(!b->name))
		MMSIM_BUG("bravo: out of names for locks");
	b->table = table;
}

/* ---- readers ------------------------------------------------------------------------------- */

static u64 *slot_of(const struct bravo_rwsem *b)
{
	u64 hash = ((u64)b->name << 32 | current_task()->id) * 0x9e3779b97f4a7c15ull;

	hash ^= hash >> 29;
	hash *= 0xbf58476d1ce4e5b9ull;
	_Static_assert(BRAVO_SLOTS == 1 << 12, "the hash's top bits");
	line_read(b, table);
	return &b->table->slots[hash >> (64 - 12)];
}

static bool mark_slot(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	u64 *slot, empty = 0;

	if (!READ_ONCE(b->bias))
		return false;
	slot = slot_of(b);
	/* A look first: who finds it taken should not take the line from its owner. */
	if (READ_ONCE(*slot) || !try_cmpxchg(slot, &empty, (u64)b->name))
		return false;
	if (likely(smp_load_acquire(&b->bias))) { /* pairs with allow_bias(), end_bias() */
		hold->slot = slot;
		count_event(COUNTER_BRAVO_READ);
		return true;
	}
	smp_store_release(slot, 0ull);
	return false;
}

/* The caller has the rwsem, for read. */
static void allow_bias(struct bravo_rwsem *b)
{
	if (READ_ONCE(b->bias))
		return;
	if (engine_now_ns() >= READ_ONCE(b->inhibit_until_ns))
		smp_store_release(&b->bias, 1u);
}

void bravo_down_read(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (likely(mark_slot(b, hold))) {
		lock_rank_acquire(&b->sem, (enum lock_rank)b->sem.rank, false, false);
		return;
	}
	hold->slot = NULL;
	down_read(&b->sem);
	allow_bias(b);
}

int bravo_down_read_killable(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	int ret;

	if (likely(mark_slot(b, hold))) {
		lock_rank_acquire(&b->sem, (enum lock_rank)b->sem.rank, false, false);
		return 0;
	}
	hold->slot = NULL;
	ret = down_read_killable(&b->sem);
	if (!ret)
		allow_bias(b);
	return ret;
}

bool bravo_down_read_trylock_non_owner(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (likely(mark_slot(b, hold)))
		return true;
	hold->slot = NULL;
	if (!down_read_trylock_non_owner(&b->sem))
		return false;
	allow_bias(b);
	return true;
}

bool bravo_down_read_trylock(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (!bravo_down_read_trylock_non_owner(b, hold))
		return false;
	lock_rank_acquire(&b->sem, (enum lock_rank)b->sem.rank, true, true);
	return true;
}

static void empty_slot(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (unlikely(READ_UNPRICED(*hold->slot) != READ_UNPRICED(b->name)))
		MMSIM_BUG("bravo: lock %u is not read-locked in its slot", READ_UNPRICED(b->name));
	smp_store_release(hold->slot, 0ull); /* pairs with wait_slot() */
	hold->slot = NULL;
}

void bravo_up_read_non_owner(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (likely(hold->slot))
		empty_slot(b, hold);
	else
		up_read_non_owner(&b->sem);
}

void bravo_up_read(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	if (likely(hold->slot)) {
		lock_rank_release(&b->sem, (enum lock_rank)b->sem.rank);
		empty_slot(b, hold);
	} else {
		up_read(&b->sem);
	}
}

/* ---- writers ------------------------------------------------------------------------------- */

enum patience { WAIT, WAIT_KILLABLE, DO_NOT_WAIT };

/* Until the slot does not name the lock. False: it still does. */
static bool wait_slot(const u64 *slot, u64 name, enum patience patience)
{
	u32 looks = 0;

	while (smp_load_acquire(slot) == name) {
		if (patience == DO_NOT_WAIT || (patience == WAIT_KILLABLE && task_killed()))
			return false;
		cpu_relax();
		if (++looks % LOOKS_PER_YIELD == 0)
			engine_yield();
	}
	return true;
}

/* The caller has the rwsem for write; False: a reader is still there, and
 * the bias is as it was. */
static bool end_bias(struct bravo_rwsem *b, enum patience patience)
{
	u64 start_ns, end_ns, name;
	const u64 *slots;

	if (!READ_ONCE(b->bias))
		return true;
	line_read(b, table);
	name = b->name;
	slots = b->table->slots;
	start_ns = engine_now_ns();
	WRITE_ONCE(b->bias, 0u);
	smp_mb(); /* pairs with the compare-and-swap in mark_slot() */
	task_waits_for(b);
	for (u32 i = 0; i < BRAVO_SLOTS; i++) {
		const u64 *slot = &slots[i];

		if (likely(smp_load_acquire(slot) != name))
			continue;
		if (!wait_slot(slot, name, patience)) {
			task_waits_for(NULL);
			smp_store_release(&b->bias, 1u);
			return false;
		}
	}
	task_waits_for(NULL);
	end_ns = engine_now_ns();
	WRITE_ONCE(b->inhibit_until_ns, end_ns + (end_ns - start_ns) * BRAVO_INHIBIT);
	count_event(COUNTER_BRAVO_REVOKE);
	count_events(COUNTER_BRAVO_REVOKE_NS, end_ns - start_ns);
	return true;
}

void bravo_down_write(struct bravo_rwsem *b)
{
	down_write(&b->sem);
	(void)end_bias(b, WAIT);
}

void bravo_down_write_nested(struct bravo_rwsem *b)
{
	down_write_nested(&b->sem);
	(void)end_bias(b, WAIT);
}

int bravo_down_write_killable(struct bravo_rwsem *b)
{
	int ret = down_write_killable(&b->sem);

	if (!ret && unlikely(!end_bias(b, WAIT_KILLABLE))) {
		up_write(&b->sem);
		ret = -EINTR;
	}
	return ret;
}

bool bravo_down_write_trylock(struct bravo_rwsem *b)
{
	if (!down_write_trylock(&b->sem))
		return false;
	if (end_bias(b, DO_NOT_WAIT))
		return true;
	up_write(&b->sem);
	return false;
}

void bravo_up_write(struct bravo_rwsem *b)
{
	up_write(&b->sem);
}

void bravo_downgrade_write(struct bravo_rwsem *b, struct bravo_hold *hold)
{
	downgrade_write(&b->sem);
	hold->slot = NULL;
	allow_bias(b);
}

/* ---- queries ------------------------------------------------------------------------------- */

bool bravo_is_locked(const struct bravo_rwsem *b)
{
	if (rwsem_is_locked(&b->sem))
		return true;
	for (u32 i = 0; i < BRAVO_SLOTS; i++) {
		if (READ_UNPRICED(b->table->slots[i]) == b->name)
			return true;
	}
	return false;
}

bool bravo_is_write_locked(const struct bravo_rwsem *b)
{
	return rwsem_is_write_locked(&b->sem);
}

bool bravo_is_contended(const struct bravo_rwsem *b)
{
	return rwsem_is_contended(&b->sem);
}
