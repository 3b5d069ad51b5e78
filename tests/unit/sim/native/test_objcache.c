/*
 * tests/unit/sim/native/test_objcache.c - object caches: distinct, aligned, typed, counted
 */
#include "../sim_test.h"

#include <mmsim/objcache.h>

#define TASKS 4
#define SLOTS 512
#define ROUNDS 20000
#define TYPE_MAGIC 0x7e57ull

struct object {
	u64 magic;    /* set by the constructor, never changed after */
	u64 identity; /* (atomic) of the present incarnation */
	u64 owner;
	u64 fill[5];
};

static struct machine *machine;
static struct objcache *cache;
static struct object *slots[SLOTS];
static u64 constructed;

static void construct(void *p)
{
	struct object *o = p;

	o->magic = TYPE_MAGIC;
	WRITE_ONCE(o->identity, 0ull);
	(void)fetch_add(&constructed, 1ull);
}

static void test_distinct_and_aligned(void **state)
{
	static const u32 sizes[] = {1, 8, 24, 33, 64, 65, 200, 256, 1000, 20000};
	void *objects[100];

	machine_enter(machine);
	for (u32 s = 0; s < ARRAY_SIZE(sizes); s++) {
		cache = objcache_create(machine, "sizes", sizes[s], 0, 0, NULL);
		assert_non_null(cache);
		for (u32 i = 0; i < 100; i++) {
			objects[i] = objcache_alloc(cache);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % (sizes[s] > 32 ? 64 : 8), 0);
			memset(objects[i], (int)i, sizes[s]);
		}
		assert_int_equal(objcache_live(cache), 100);
		for (u32 i = 0; i < 100; i++) {
			assert_int_equal(((u8 *)objects[i])[0], i);
			assert_int_equal(((u8 *)objects[i])[sizes[s] - 1], i);
			objcache_free(cache, objects[i]);
		}
		assert_int_equal(objcache_live(cache), 0);
		objcache_destroy(cache);
	}
	machine_leave();
}

/* Objects are freed by whoever picks them up: every magazine and the depot see traffic. */
static void cross_cpu(void *arg, u32 index)
{
	u64 seed = *(u64 *)arg + index;

	for (u32 i = 0; i < ROUNDS; i++) {
		struct object *mine = objcache_alloc(cache), *old;
		u32 slot = (u32)(sim_test_random(&seed) % SLOTS);

		assert_non_null(mine);
		assert_true(mine->magic == TYPE_MAGIC);
		mine->owner = (u64)index << 32 | i;
		mine->fill[4] = ~mine->owner;
		old = xchg(&slots[slot], mine);
		if (!old)
			continue;
		assert_true(old->fill[4] == ~old->owner); /* nobody else has it */
		objcache_free(cache, old);
	}
}

static void run_cross_cpu(u32 flags)
{
	u64 seed = sim_test_seed();

	constructed = 0;
	cache = objcache_create(machine, "cross", sizeof(struct object), 0, flags, construct);
	assert_non_null(cache);
	assert_int_equal(engine_run(machine, TASKS, cross_cpu, &seed, NULL), 0);
	machine_enter(machine);
	for (u32 i = 0; i < SLOTS; i++) {
		if (slots[i])
			objcache_free(cache, slots[i]);
		slots[i] = NULL;
	}
	assert_int_equal(objcache_live(cache), 0);
	objcache_destroy(cache);
	machine_leave();
}

static void test_cross_cpu_free(void **state)
{
	run_cross_cpu(0);
}

static void test_cross_cpu_free_typesafe(void **state)
{
	run_cross_cpu(OBJCACHE_TYPESAFE);
	/* Once per piece of memory: the memory in use plus what the magazines keep. */
	assert_in_range(constructed, SLOTS / 4, SLOTS + 32 * 3 * (TASKS + 1));
}

/* A reader holds a pointer to an object that is freed and reused all the time: it stays an object.
 */
static struct object *stale;
static u32 stop;

static void reuse(void *arg, u32 index)
{
	if (index == 0) {
		for (u64 i = 1; i < 20000; i++) {
			struct object *o = objcache_alloc(cache);

			assert_non_null(o);
			WRITE_ONCE(o->identity, i);
			smp_store_release(&stale, o);
			WRITE_ONCE(o->identity, 0ull);
			objcache_free(cache, o);
		}
		WRITE_ONCE(stop, 1u);
		return;
	}
	while (!READ_ONCE(stop)) {
		struct object *o;

		rcu_read_lock();
		o = rcu_dereference(stale);
		if (o) {
			assert_true(READ_ONCE(o->magic) == TYPE_MAGIC);
			assert_true(READ_ONCE(o->identity) < 20000);
		}
		rcu_read_unlock();
	}
}

static void test_type_stable_under_readers(void **state)
{
	cache = objcache_create(machine, "stable", sizeof(struct object), 0, OBJCACHE_TYPESAFE,
				construct);
	assert_non_null(cache);
	sim_test_run(machine, 3, reuse);
	machine_enter(machine);
	objcache_destroy(cache);
	machine_leave();
}

static void leak(void)
{
	struct machine *m = sim_test_machine(1);

	machine_enter(m);
	cache = objcache_create(m, "leaky", 64, 0, 0, NULL);
	if (!objcache_alloc(cache) || !objcache_alloc(cache))
		_exit(1);
	objcache_destroy(cache);
}

static void test_leak_stops(void **state)
{
	sim_test_expect_bug(leak, "objcache leaky: 2 objects leaked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distinct_and_aligned),
		cmocka_unit_test(test_cross_cpu_free),
		cmocka_unit_test(test_cross_cpu_free_typesafe),
		cmocka_unit_test(test_type_stable_under_readers),
		cmocka_unit_test(test_leak_stops),
	};
	int failed;

	machine = sim_test_machine(TASKS);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	machine_destroy(machine);
	return failed;
}
