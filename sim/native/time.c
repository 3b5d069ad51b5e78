/*
 * sim/native/time.c - the native clock, delays, and CPU time
 *
 * The time-stamp counter where the CPU says that it is invariant (it then runs at one rate on all
 * cores and in all power states): about 10 ns a reading, where a system without a vDSO clock (many
 * virtual machines) takes hundreds. Its rate is measured once per process against
 * CLOCK_MONOTONIC_RAW over CALIBRATION_NS. Elsewhere: clock_gettime(CLOCK_MONOTONIC_RAW).
 *
 * Guarantee    engine_now_ns() never goes backwards for a task. Two tasks' clocks agree as well as
 *              the host's counters do.
 */
#include "sim/native/internal.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#define CALIBRATION_NS 10000000ull
#define NSEC_PER_SEC 1000000000ull
/* Shorter than this a sleep costs more than it gives back. */
#define SLEEP_NS_MIN 50000ull

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* ns = (tsc - tsc_base) * tsc_mult >> 32. tsc_mult is 0 where the counter is not used. Constant
 * after native_time_init(). */
static u64 tsc_base, tsc_mult;

static u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

#if defined(__x86_64__)
static bool tsc_is_invariant(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & (1u << 8));
}

/* A pair of readings of both clocks, the tightest of a few tries: an interrupt between the two
 * would shift the rate. */
static void read_both_clocks(u64 *tsc, u64 *ns)
{
	u64 best = ~0ull;

	*tsc = *ns = 0;
	for (int i = 0; i < 16; i++) {
		u64 before = __rdtsc();
		u64 now = clock_ns(CLOCK_MONOTONIC_RAW);
		u64 after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			*ns = now;
		}
	}
}

static void calibrate(void)
{
	u64 tsc0, tsc1, ns0, ns1;

	if (!tsc_is_invariant())
		return;
	read_both_clocks(&tsc0, &ns0);
	while (clock_ns(CLOCK_MONOTONIC_RAW) - ns0 < CALIBRATION_NS)
		cpu_relax();
	read_both_clocks(&tsc1, &ns1);
	if (tsc1 <= tsc0)
		return;
	tsc_base = tsc0;
	tsc_mult = (u64)(((unsigned __int128)(ns1 - ns0) << 32) / (tsc1 - tsc0));
}

static inline u64 counter_now(void)
{
	return __rdtsc();
}
#else
static void calibrate(void)
{
}

static inline u64 counter_now(void)
{
	return 0;
}
#endif

void native_time_init(void)
{
	pthread_once(&once, calibrate);
}

u64 engine_now_ns(void)
{
	/* rdtsc may run ahead of earlier instructions and so, by a hair, of an earlier rdtsc. */
	static __thread u64 latest_ns;
	u64 ns;

	if (likely(tsc_mult)) {
		s64 ticks = (s64)(counter_now() - tsc_base);

		ns = ticks > 0 ? (u64)(((unsigned __int128)(u64)ticks * tsc_mult) >> 32) : 0;
	} else {
		ns = clock_ns(CLOCK_MONOTONIC_RAW);
	}
	if (unlikely(ns < latest_ns))
		return latest_ns;
	latest_ns = ns;
	return ns;
}

static void sleep_ns(u64 ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(ns % NSEC_PER_SEC)};
	struct task *task = current_task();

	WRITE_ONCE(task->on_cpu, 0u);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	WRITE_ONCE(task->on_cpu, 1u);
}

u64 engine_now_ps(void)
{
	return engine_now_ns() * 1000;
}

void engine_delay_ns(u64 ns)
{
	u64 start_ns = engine_now_ns(), gone_ns = 0;

	/* Sleep most of a long delay, spin the rest: a sleep ends late. A signal may cut it short,
	 * hence the loop. */
	for (; gone_ns < ns; gone_ns = engine_now_ns() - start_ns) {
		if (ns - gone_ns > SLEEP_NS_MIN)
			sleep_ns(ns - gone_ns - SLEEP_NS_MIN / 2);
		else
			cpu_relax();
	}
}

void engine_yield(void)
{
	sched_yield();
}

void engine_cpu_time_ns(u64 *user_ns, u64 *system_ns)
{
	struct rusage ru;
	u64 total_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID), user, system;

	/* The total is exact; rusage says, in microseconds, how it is split. */
	getrusage(RUSAGE_THREAD, &ru);
	user = (u64)ru.ru_utime.tv_sec * NSEC_PER_SEC + (u64)ru.ru_utime.tv_usec * 1000;
	system = (u64)ru.ru_stime.tv_sec * NSEC_PER_SEC + (u64)ru.ru_stime.tv_usec * 1000;
	*system_ns =
		user + system ? (u64)((unsigned __int128)total_ns * system / (user + system)) : 0;
	*user_ns = total_ns - *system_ns;
}
