/*
 * tests/unit/sim/native/test_ipi.c - a handler never runs inside its target's instruction window
 *
 * Method       Each task alternates windows, in which it changes its own two words one after the
 *              other, and calls that read and change all others' words. A handler inside a window
 *              would find them different; TSan, which sees them as plain, would report it.
 */
#include "../sim_test.h"

#define TASKS 4
#define ROUNDS 3000

static struct machine *machine;
static struct {
	u64 a, b;
	u64 handled;
} __cacheline_aligned own[TASKS];
static u64 sent;
static u32 stop, pause_loops;

static void handler(struct cpu *target, void *arg)
{
	assert_true(own[target->id].a == own[target->id].b);
	own[target->id].a += 1000;
	own[target->id].b += 1000;
	own[target->id].handled++;
}

static void window(u32 index)
{
	struct cpu *cpu = this_cpu();

	cpu_insn_begin(cpu);
	own[index].a++;
	for (u32 i = 0; i < pause_loops; i++)
		cpu_relax();
	own[index].b++;
	cpu_insn_end(cpu);
}

static void all_to_all(void *arg, u32 index)
{
	struct cpumask mask = {{(1 << TASKS) - 1}};

	for (u32 i = 0; i < ROUNDS; i++) {
		for (u32 w = 0; w < 20; w++)
			window(index);
		if (i % 4 == index % 4)
			(void)fetch_add(&sent, (u64)ipi_call_mask(&mask, handler, NULL));
	}
}

static void test_never_inside_a_window(void **state)
{
	u64 counted = machine_counter(machine, COUNTER_IPI_SENT), handled = 0;

	memset(own, 0, sizeof(own));
	pause_loops = 10;
	sim_test_run(machine, TASKS, all_to_all);
	for (u32 i = 0; i < TASKS; i++) {
		assert_int_equal(own[i].a, own[i].b);
		assert_int_equal(own[i].a, ROUNDS * 20 + own[i].handled * 1000);
		handled += own[i].handled;
	}
	assert_int_equal(handled, TASKS * (ROUNDS / 4) * (TASKS - 1));
	assert_int_equal(sent, handled);
	assert_int_equal(machine_counter(machine, COUNTER_IPI_SENT) - counted, handled);
}

/* One task does nothing but windows, the other nothing but calls: where a window's first store is
 * still on its way to memory while the initiator looks for it, the membarrier is what helps. */
static void hammer(void *arg, u32 index)
{
	struct cpumask mask = {{2}};

	if (index == 1) {
		while (!READ_ONCE(stop))
			window(1);
		return;
	}
	for (u64 end_ns = engine_now_ns() + 300000000ull; engine_now_ns() < end_ns;)
		(void)ipi_call_mask(&mask, handler, NULL);
	WRITE_ONCE(stop, 1u);
}

static void test_window_entry_race(void **state)
{
	memset(own, 0, sizeof(own));
	pause_loops = 0;
	WRITE_ONCE(stop, 0u);
	sim_test_run(machine, 2, hammer);
	assert_true(own[1].a == own[1].b);
	assert_true(own[1].handled > 0);
}

/* Shootdown: after the call no window uses what was taken away before it. */
static u32 resource_gone;
static u32 user_saw[TASKS];

static void nothing(struct cpu *target, void *arg)
{
}

static void shootdown(void *arg, u32 index)
{
	struct cpumask mask = {{~0ull}};
	struct cpu *cpu = this_cpu();

	if (index == 0) {
		for (u32 i = 1; i <= 500; i++) {
			WRITE_ONCE(resource_gone, i);
			/* Targets that exist: not those of the mask that do not. */
			assert_int_equal(ipi_call_mask(&mask, nothing, NULL),
					 machine_cpu_count(machine) - 1);
			for (u32 t = 1; t < TASKS; t++) {
				/* An odd value is a user inside with an older view. */
				u32 saw = smp_load_acquire(&user_saw[t]);

				assert_false((saw & 1) && saw >> 1 < i);
			}
		}
		WRITE_ONCE(stop, 1u);
		return;
	}
	while (!READ_ONCE(stop)) {
		u32 saw;

		cpu_insn_begin(cpu);
		saw = READ_ONCE(resource_gone);
		smp_store_release(&user_saw[index], saw << 1 | 1);
		for (u32 i = 0; i < pause_loops; i++)
			cpu_relax();
		smp_store_release(&user_saw[index], saw << 1);
		cpu_insn_end(cpu);
	}
}

static void test_no_old_view_after_the_call(void **state)
{
	WRITE_ONCE(stop, 0u);
	pause_loops = 10;
	memset(user_saw, 0, sizeof(user_saw));
	WRITE_ONCE(resource_gone, 0u);
	sim_test_run(machine, TASKS, shootdown);
}

static void test_caller_and_empty_mask(void **state)
{
	struct cpumask mask = {{0}};

	machine_enter(machine);
	assert_int_equal(ipi_call_mask(&mask, handler, NULL), 0);
	mask.bits[this_cpu()->id / 64] = 1ull << (this_cpu()->id % 64);
	assert_int_equal(ipi_call_mask(&mask, handler, NULL), 0);
	machine_leave();
}

static void from_inside(void)
{
	struct cpumask mask = {{1}};

	machine_enter(sim_test_machine(1));
	cpu_insn_begin(this_cpu());
	(void)ipi_call_mask(&mask, nothing, NULL);
}

static void test_call_from_a_window_stops(void **state)
{
	sim_test_expect_bug(from_inside, "in_insn");
}

static int fence_instead(void **state)
{
	*state = (void *)(uintptr_t)mmsim_insn_needs_fence;
	mmsim_insn_needs_fence = true;
	return 0;
}

static int fence_restore(void **state)
{
	mmsim_insn_needs_fence = *state != NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_inside_a_window),
		cmocka_unit_test(test_window_entry_race),
		cmocka_unit_test(test_no_old_view_after_the_call),
		cmocka_unit_test(test_caller_and_empty_mask),
		cmocka_unit_test(test_call_from_a_window_stops),
	};
	/* Hosts without membarrier(2). */
	const struct CMUnitTest fenced[] = {
		cmocka_unit_test(test_window_entry_race),
		cmocka_unit_test(test_no_old_view_after_the_call),
		cmocka_unit_test(test_caller_and_empty_mask),
	};
	int failed;

	machine = sim_test_machine(TASKS);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	failed += cmocka_run_group_tests(fenced, fence_instead, fence_restore);
	machine_destroy(machine);
	return failed;
}
