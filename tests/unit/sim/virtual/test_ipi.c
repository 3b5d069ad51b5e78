/* tests/unit/sim/virtual/test_ipi.c - interrupts: delivery, windows, acknowledgements, cost */
#include "virtual_test.h"

#define CPUS 8

static struct machine *machine;
static u64 handled_ns[CPUS + 1], sent_ns, returned_ns, window_end_ns;
static u32 handled, *go;

static struct machine_model model(void)
{
	return VT_MODEL(VT_FLAT, "cost.ipi_send", "200", "cost.ipi_latency", "800", "cost.ipi_handler",
			"300");
}

static void setup(u32 tasks)
{
	struct machine_model m = model();

	machine = vt_machine_of(&m, tasks, CPUS);
	go = machine_memory_alloc(machine, 64, 64);
	assert_non_null(go);
	handled = 0;
}

static void note(struct cpu *target, void *arg)
{
	handled_ns[target->id] = engine_now_ns();
	handled++;
}

static void call_all(void)
{
	struct cpumask all = { { (1u << CPUS) - 1 } };

	sent_ns = engine_now_ns();
	assert_int_equal(ipi_call_mask(&all, note, NULL), CPUS - 1);
	returned_ns = engine_now_ns();
}

static void one_sender(void *arg, u32 index)
{
	if (index == 0) {
		engine_delay_ns(1000);
		call_all();
		WRITE_ONCE(*go, 1u);
	} else if (index % 2) {
		while (!READ_ONCE(*go))
			cpu_relax(); /* stands still */
	} else {
		while (!READ_ONCE(*go))
			engine_delay_ns(50); /* runs */
	}
}

static void assert_cost(void)
{
	/* Seven sends, then the last delivery, its handler, and the way back. */
	vt_assert_near((double)(returned_ns - sent_ns), 7 * 200 + 800 + 300 + 40, 0.06);
	assert_int_equal(handled, CPUS - 1);
}

static void test_running_and_spinning_targets(void **state)
{
	setup(CPUS);
	assert_int_equal(engine_run(machine, CPUS, one_sender, NULL, NULL), 0);
	assert_cost();
	machine_destroy(machine);
}

static void test_idle_targets(void **state)
{
	setup(1);
	assert_int_equal(engine_run(machine, 1, one_sender, NULL, NULL), 0);
	assert_cost();
	machine_destroy(machine);
}

static bool by_window;

static void window_holds_it_off(void *arg, u32 index)
{
	if (index == 0) {
		engine_delay_ns(1000);
		call_all();
	} else if (index == 1) {
		if (by_window)
			cpu_insn_begin(this_cpu());
		else
			local_irq_disable();
		for (u32 i = 0; i < 1000; i++) {
			assert_int_equal(handled_ns[1], 0);
			engine_delay_ns(10);
		}
		window_end_ns = engine_now_ns();
		if (by_window)
			cpu_insn_end(this_cpu());
		else
			local_irq_enable();
		engine_delay_ns(5000);
	}
}

static void test_windows_and_disabled_interrupts(void **state)
{
	for (u32 i = 0; i < 2; i++) {
		by_window = i;
		memset(handled_ns, 0, sizeof(handled_ns));
		setup(2);
		assert_int_equal(engine_run(machine, 2, window_holds_it_off, NULL, NULL), 0);
		assert_true(handled_ns[1] >= window_end_ns);
		assert_true(handled_ns[1] < window_end_ns + 1000);
		assert_true(returned_ns >= handled_ns[1]);
		assert_int_equal(handled, CPUS - 1);
		machine_destroy(machine);
	}
}

static void everybody_sends(void *arg, u32 index)
{
	struct cpumask all = { { (1u << CPUS) - 1 } };

	for (u32 i = 0; i < 50; i++)
		(void)ipi_call_mask(&all, note, NULL);
}

static void test_senders_target_each_other(void **state)
{
	setup(CPUS);
	assert_int_equal(engine_run(machine, CPUS, everybody_sends, NULL, NULL), 0);
	assert_int_equal(handled, CPUS * 50 * (CPUS - 1));
	machine_destroy(machine);
}

/* ---- broadcast -------------------------------------------------------------------------------- */

#define BROADCASTS 10u

static u64 total_ns[64];
static bool serialised;

static void do_nothing(struct cpu *target, void *arg)
{
	handled++;
}

static void broadcast_often(void *arg, u32 index)
{
	struct cpumask all = { { ~0ull } };
	u64 before = engine_now_ns();

	for (u32 i = 0; i < BROADCASTS; i++)
		assert_int_equal(tlbi_broadcast(&all, do_nothing, NULL, 2, serialised), 63);
	total_ns[index] = engine_now_ns() - before;
}

static void run_broadcasts(bool one_at_a_time)
{
	struct machine_model m = VT_MODEL(VT_FLAT, "cost.tlbi_broadcast", "300", "cost.ipi_send", "5000");

	machine = vt_machine_of(&m, 64, 64);
	handled = 0;
	serialised = one_at_a_time;
	assert_int_equal(engine_run(machine, 64, broadcast_often, NULL, NULL), 0);
	assert_int_equal(handled, 64 * 63 * BROADCASTS);
	assert_int_equal(machine_counter(machine, COUNTER_IPI_SENT), 0);
	machine_destroy(machine);
}

/* Two operations of 300 ns each time, whatever the others do, and nothing for being a target. */
static void test_broadcasts_do_not_wait_for_each_other(void **state)
{
	run_broadcasts(false);
	for (u32 i = 0; i < 64; i++)
		vt_assert_near((double)total_ns[i], 600.0 * BROADCASTS, 0.01);
}

/* All CPUs together get no more than one operation per 300 ns. */
static void test_serialised_broadcasts_queue(void **state)
{
	u64 last = 0;

	run_broadcasts(true);
	for (u32 i = 0; i < 64; i++)
		last = max(last, total_ns[i]);
	vt_assert_near((double)last, 64 * 600.0 * BROADCASTS, 0.01);
}

/* CPU 1 is inside an instruction window when it comes. */
static void broadcast_to_window(void *arg, u32 index)
{
	struct cpumask all = { { (1u << CPUS) - 1 } };

	if (index == 0) {
		engine_delay_ns(100);
		sent_ns = engine_now_ns();
		tlbi_broadcast(&all, note, NULL, 1, false);
		returned_ns = engine_now_ns();
	} else if (index == 1) {
		cpu_insn_begin(this_cpu());
		engine_delay_ns(5000);
		window_end_ns = engine_now_ns();
		cpu_insn_end(this_cpu());
		engine_delay_ns(100);
	}
}

static void test_broadcast_waits_for_accesses_under_way(void **state)
{
	setup(2);
	assert_int_equal(engine_run(machine, 2, broadcast_to_window, NULL, NULL), 0);
	assert_true(handled_ns[1] >= window_end_ns);
	assert_true(returned_ns >= window_end_ns);
	assert_int_equal(handled, CPUS - 1);
	machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running_and_spinning_targets),
		cmocka_unit_test(test_idle_targets),
		cmocka_unit_test(test_windows_and_disabled_interrupts),
		cmocka_unit_test(test_senders_target_each_other),
		cmocka_unit_test(test_broadcasts_do_not_wait_for_each_other),
		cmocka_unit_test(test_serialised_broadcasts_queue),
		cmocka_unit_test(test_broadcast_waits_for_accesses_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
