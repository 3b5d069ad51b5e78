/*
 * Unit test of workloads/replay_order.c and mm/place.c: which of two overlapping calls came first,
 * and that asking changes nothing.
 *
 *   [ A ][ B ][ C ]   three mappings of one page below mmap_base, C the highest
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mmsim/locking.h>
#include <mmsim/uapi.h>

#include "workloads/replay.h"

#define PAGE 4096ull
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct machine *machine;
static struct mm *mm;
static struct trace trace;
static struct plan plan;
static struct plan_call calls[4];
static struct trace_event events[4];
static u64 pool[4][MAP_FIELDS];
static struct replay_world world;
static u64 a, b, c;

static int setup(void **state)
{
	struct machine_config mc = {
		.tasks = 1, .cpus = 1, .memory_bytes = 64 << 20, .content_words = 1};

	machine = machine_create(&mc);
	if (!machine || mm_machine_init(machine, &arch_x86_64, NULL))
		return -1;
	machine_enter(machine);
	memset(calls, 0, sizeof(calls));
	memset(events, 0, sizeof(events));
	trace = (struct trace){.events = events, .event_count = 4, .pool = &pool[0][0]};
	plan = (struct plan){.t = &trace, .calls = calls, .call_count = 4};
	if (replay_world_init(&world, &plan, machine, &arch_x86_64, &mm_locking_mmap_lock))
		return -1;
	mm = replay_new_mm(&world);
	if (!mm)
		return -1;
	/* of different protections, so that they stay apart */
	c = (u64)mm_mmap(mm, 0, PAGE, PROT_READ, ANON, NULL, 0);
	b = (u64)mm_mmap(mm, 0, PAGE, RW, ANON, NULL, 0);
	a = (u64)mm_mmap(mm, 0, PAGE, PROT_READ, ANON, NULL, 0);
	return b == c - PAGE && a == b - PAGE ? 0 : -1;
}

static int teardown(void **state)
{
	mm_check(mm);
	mm_put(mm);
	replay_world_fini(&world);
	mm_machine_destroy(machine);
	machine_leave();
	machine_destroy(machine);
	return 0;
}

static void call(u32 i, u8 sys, u64 arg0, u64 arg1, s64 result)
{
	calls[i] = (struct plan_call){.sys = sys,
				      .result = result,
				      .has_result = true,
				      .file = PLAN_NONE,
				      .first_record = ~0ull,
				      .exit_event = ~0ull};
	calls[i].arg[0] = arg0;
	calls[i].arg[1] = arg1;
}

static void mmap_call(u32 i, u64 len, u64 result)
{
	call(i, SYS_TRACE_mmap, 0, len, (s64)result);
	calls[i].arg[2] = PROT_EXEC;
	calls[i].arg[3] = ANON;
	calls[i].arg[4] = ~0ull;
}

static void record(u32 i, u64 start, u64 len, u8 flags)
{
	events[i] = (struct trace_event){
		.kind = TRACE_MAP, .arg = {start, len}, .flags = flags, .ext = i * MAP_FIELDS};
	calls[i].first_record = i;
	calls[i].records = 1;
}

static void test_place(void **state)
{
	struct mm_supposed s[] = {{b, b + PAGE, false}, {a - PAGE, a, true}};

	assert_int_equal(mm_place(mm, 0, PAGE, ANON, NULL, 0, s, 0), a - PAGE);
	assert_int_equal(mm_place(mm, 0, PAGE, ANON, NULL, 0, s, 1), b);
	assert_int_equal(mm_place(mm, 0, 2 * PAGE, ANON, NULL, 0, s, 2), a - 3 * PAGE);
	assert_int_equal(mm_place(mm, b, PAGE, ANON, NULL, 0, s, 1), b);
	/* it was only a supposition */
	mm_check(mm);
	assert_non_null(vma_tree_load(&mm->vmas, b));
	assert_null(vma_tree_load(&mm->vmas, a - PAGE));
	assert_int_equal(mm_place(mm, 0, PAGE, ANON, NULL, 0, NULL, 0), a - PAGE);
}

/* munmap(B) is under way while a mapping is made: where did that go? */
static void test_unmap(void **state)
{
	static const u32 lazy[] = {0};

	call(0, SYS_TRACE_munmap, b, PAGE, 0);
	mmap_call(1, PAGE, b);
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 1);
	mmap_call(1, PAGE, a - PAGE);
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 0);
	/* it says nothing: the gap is too small either way */
	mmap_call(1, 2 * PAGE, a - 2 * PAGE);
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 0);
}

static void test_two(void **state)
{
	static const u32 lazy[] = {0, 1};

	call(0, SYS_TRACE_munmap, b, PAGE, 0);
	call(1, SYS_TRACE_munmap, c, PAGE, 0);
	mmap_call(2, PAGE, c);
	assert_int_equal(replay_order(&world, mm, &calls[2], lazy, 2), 2);
	mmap_call(2, PAGE, b);
	assert_int_equal(replay_order(&world, mm, &calls[2], lazy, 2), 1);
	mmap_call(2, 2 * PAGE, b);
	assert_int_equal(replay_order(&world, mm, &calls[2], lazy, 2), 3);
	/* nothing explains it: as if all had been quick */
	mmap_call(2, PAGE, 0x5000000);
	assert_int_equal(replay_order(&world, mm, &calls[2], lazy, 2), 3);
}

/* A VMA that reaches over what is being unmapped was recorded before that; one that ends beside a
 * neighbour like itself, after. */
static void test_record(void **state)
{
	static const u32 lazy[] = {0};

	call(0, SYS_TRACE_munmap, b, PAGE, 0);
	call(1, SYS_TRACE_mprotect, a, PAGE, 0);
	calls[1].arg[2] = RW;
	record(1, a, 2 * PAGE, TRACE_MAP_READ | TRACE_MAP_WRITE); /* merged with B */
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 0);
	record(1, a, PAGE, TRACE_MAP_READ | TRACE_MAP_WRITE); /* not merged: B was gone */
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 1);
	record(1, a, PAGE, TRACE_MAP_EXEC); /* would not have merged: not decided */
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 0);
}

/* An mremap that is under way has itself a result to explain. */
static void test_mremap(void **state)
{
	static const u32 lazy[] = {0, 1};

	call(0, SYS_TRACE_munmap, b, PAGE, 0);
	call(1, SYS_TRACE_mremap, a, PAGE, (s64)a); /* grew in place: after B was gone */
	calls[1].arg[2] = 2 * PAGE;
	calls[1].arg[3] = MREMAP_MAYMOVE;
	mmap_call(2, PAGE, a - PAGE); /* the gap at B is taken again */
	/* both, or neither: neither is fewer */
	assert_int_equal(replay_order(&world, mm, &calls[2], lazy, 2), 0);
	assert_int_equal(replay_order(&world, mm, &calls[1], lazy, 1), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_place), T(test_unmap), T(test_two), T(test_record), T(test_mremap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
