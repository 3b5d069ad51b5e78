/*
 * tests/unit/sim/native/test_pmu.c - events by name; software events count, wrong names are named
 */
#include "../sim_test.h"

#include <mmsim/pmu.h>

#include <sys/mman.h>

#define PAGES 200

static void touch_pages(void *arg, u32 index)
{
	char *mem = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	assert_true(mem != MAP_FAILED);
	madvise(mem, PAGES * 4096, MADV_NOHUGEPAGE);
	for (u32 i = 0; i < PAGES; i++)
		mem[i * 4096] = 1;
	munmap(mem, PAGES * 4096);
}

static void test_software_event_counts_children(void **state)
{
	static const char *const names[] = {"perf::PAGE-FAULTS", "perf::CYCLES"};
	struct machine *m = sim_test_machine(2);
	struct pmu *p;
	char why[200];
	u64 faults, cycles;

	assert_int_equal(pmu_open(&p, names, 2, why, sizeof(why)), 0);
	assert_int_equal(pmu_count(p), 2);
	assert_string_equal(pmu_name(p, 0), names[0]);
	pmu_start(p);
	sim_test_run(m, 2, touch_pages);
	pmu_stop(p);
	if (pmu_read(p, 0, &faults))
		assert_true(faults >= 2 * PAGES);
	else
		print_message("no software events here: %s\n", pmu_absent_reason(p));
	if (pmu_read(p, 1, &cycles)) {
		assert_true(cycles > 0);
	} else {
		assert_non_null(pmu_absent_reason(p));
		print_message("absent: %s\n", pmu_absent_reason(p));
		assert_null(strchr(pmu_absent_reason(p), '\n'));
	}
	pmu_close(p);
	machine_destroy(m);
}

static void test_unknown_name_is_named(void **state)
{
	static const char *const names[] = {"perf::PAGE-FAULTS", "NO_SUCH_EVENT"};
	struct pmu *p;
	char why[200];

	assert_int_equal(pmu_open(&p, names, 2, why, sizeof(why)), -EINVAL);
	assert_null(p);
	assert_non_null(strstr(why, "NO_SUCH_EVENT"));
}

static void test_empty_set(void **state)
{
	struct pmu *p;
	char why[200];

	assert_int_equal(pmu_open(&p, NULL, 0, why, sizeof(why)), 0);
	pmu_start(p);
	assert_null(pmu_absent_reason(p));
	pmu_close(p);
	pmu_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_software_event_counts_children),
		cmocka_unit_test(test_unknown_name_is_named),
		cmocka_unit_test(test_empty_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
