/*
 * tests/bench/bench_virtual.c - how fast the virtual engine simulates
 *
 *	bench_virtual [machine]		(default: power8-1024)
 *
 * Method       pft and ebizzy under mmap_lock and vma_refcnt on 64 and all CPUs of the machine, with
 *              statistics on; then CPUs that write private lines, 512 each. Each run goes for a
 *              fixed simulated time, chosen so that it takes a second or so. Printed: priced
 *              operations, faults (or records) and context switches per second of host time, and the
 *              hottest lines. A benchmark of L1 hits alone would prove nothing.
 */
#include <mmsim/hotlines.h>
#include <mmsim/locking.h>
#include <mmsim/machine_model.h>
#include <mmsim/workload.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static struct machine_model model;

static double host_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts); /* the host may be busy with others */
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double peak_gib(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)ru.ru_maxrss / (1 << 20);
}

static void run_workload(const char *workload, const char *scheme, u32 cpus, u64 duration_ns)
{
	const struct workload *w = workload_find(workload);
	struct bench_config cfg = {
		.workload = w,
		.locking = mm_locking_find(scheme),
		.arch = &arch_x86_64,
		.cpus = cpus,
		.tasks = cpus * w->threads_per_cpu,
		.duration_ns = duration_ns,
		.seed = 1,
		.model = &model,
	};
	struct engine_activity before, after;
	struct bench_totals totals;
	struct bench b;
	double start, s;

	if (bench_init(&b, &cfg)) {
		fprintf(stderr, "%s: %s\n", workload, b.error);
		exit(1);
	}
	before = machine_activity(b.machine);
	start = host_s();
	if (bench_run(&b)) {
		fprintf(stderr, "%s: %s\n", workload, b.error);
		exit(1);
	}
	s = host_s() - start;
	after = machine_activity(b.machine);
	bench_totals(&b, &totals);
	printf("%-7s %-11s %5u %9.3f %7.2f %9.2f %10.3f %10.3f %12.0f %10.0f\n", workload, scheme, cpus,
	       (double)totals.elapsed_ns * 1e-6, s,
	       (double)(after.operations - before.operations) / s * 1e-6,
	       (double)(after.transfers - before.transfers) / s * 1e-6,
	       (double)totals.counters[COUNTER_FAULT_TOTAL] / s * 1e-6,
	       (double)totals.ops / ((double)totals.elapsed_ns * 1e-9),
	       (double)(after.task_switches - before.task_switches) / s);
	fflush(stdout);
	if (getenv("BENCH_HOT"))
		hot_lines_print(b.machine, 12, stdout);
	hist_destroy(totals.latency);
	bench_fini(&b);
}

/* ---- private lines --------------------------------------------------------------------------------- */

#define PRIVATE_LINES 512
#define PRIVATE_ROUNDS 20

static u64 (*private_words)[PRIVATE_LINES][8];

static void write_private(void *arg, u32 index)
{
	for (u32 round = 0; round < PRIVATE_ROUNDS; round++)
		for (u32 line = 0; line < PRIVATE_LINES; line++)
			WRITE_ONCE(private_words[index][line][0], (u64)round);
}

static void run_private(u32 cpus)
{
	struct machine_config cfg = { .tasks = cpus, .cpus = cpus, .model = &model };
	struct machine *m = machine_create(&cfg);
	double start, s;

	if (!m)
		exit(1);
	private_words = machine_memory_alloc(m, cpus * sizeof(*private_words), 64);
	if (!private_words)
		exit(1);
	start = host_s();
	if (engine_run(m, cpus, write_private, NULL, NULL))
		exit(1);
	s = host_s() - start;
	printf("private lines, %u per CPU %5u %17.2f %9.2f\n", PRIVATE_LINES, cpus, s,
	       (double)machine_activity(m).operations / s * 1e-6);
	machine_destroy(m);
}

int main(int argc, char **argv)
{
	static const char *const schemes[] = { "mmap_lock", "vma_refcnt" };
	struct machine_model_error error;
	u32 all;

	if (machine_model_load(&model, argc > 1 ? argv[1] : "power8-1024", &error)) {
		fprintf(stderr, "bench_virtual: %s\n", error.text);
		return 2;
	}
	all = machine_model_cpus(&model);
	printf("%-7s %-11s %5s %9s %7s %9s %10s %10s %12s %10s\n", "", "scheme", "CPUs", "sim_ms", "host_s",
	       "Mops/s", "Mtransf/s", "Mfaults/s", "ops/sim_s", "switches/s");
	for (u32 i = 0; i < 2; i++) {
		run_workload("pft", schemes[i], min(64u, all), 5000000);
		run_workload("ebizzy", schemes[i], min(64u, all), 10000000);
	}
	for (u32 i = 0; i < 2 && all > 64; i++) {
		run_workload("pft", schemes[i], all, 20000000);
		run_workload("ebizzy", schemes[i], all, 20000000);
	}
	run_private(min(64u, all));
	run_private(all);
	printf("peak memory %.2f GiB\n", peak_gib());
	return 0;
}
