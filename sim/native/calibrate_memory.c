/*
 * sim/native/calibrate_memory.c - latencies by working set, memory, atomics, zeroing, copying
 *
 * Method       A load whose address is the last one's result cannot overlap with it. The chain
 *              goes through every line of a power-of-two set in the order of a full-period
 *              congruential generator: no stride for a prefetcher to find, and no table to
 *              shuffle. Memory itself is a chain of lines that were flushed just before, where
 *              user space may flush: the last-level cache may be larger than any set that there is
 *              time for.
 * Pages        Huge pages are asked for, so that no TLB miss is in the figures; whether the host
 *              gave them is said.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES (2ull << 20)
#define STEPS_PER_ROUND 4096
#define FLUSHED_LINES 4096
#define BUDDY_GROUP 64
/* Odd, and one above a multiple of four: Hull and Dobell's condition for a full period. */
#define LCG_MULTIPLIER 1664525ull
#define LCG_INCREMENT 1013904223ull

#if defined(MMSIM_SANITIZED)
#define BUFFER_BYTES_MAX (8ull << 20)
#else
#define BUFFER_BYTES_MAX (256ull << 20)
#endif
#define BUFFER_BYTES_QUICK (64ull << 20)
#define QUICK_NS 5000000000ull

/* ---- flushing a line ------------------------------------------------------------------------ */

#if defined(__x86_64__)
#define CAN_FLUSH true
static void flush_line(void *p)
{
	__asm__ __volatile__("clflush (%0)" ::"r"(p) : "memory");
}
static void flush_done(void)
{
	__asm__ __volatile__("mfence" ::: "memory");
}
#elif defined(__aarch64__)
#define CAN_FLUSH true
static void flush_line(void *p)
{
	__asm__ __volatile__("dc civac, %0" ::"r"(p) : "memory");
}
static void flush_done(void)
{
	__asm__ __volatile__("dsb sy" ::: "memory");
}
#elif defined(__powerpc64__)
#define CAN_FLUSH true
static void flush_line(void *p)
{
	__asm__ __volatile__("dcbf 0,%0" ::"r"(p) : "memory");
}
static void flush_done(void)
{
	__asm__ __volatile__("sync" ::: "memory");
}
#else
#define CAN_FLUSH false
static void flush_line(void *p)
{
	(void)p;
}
static void flush_done(void)
{
}
#endif

/* ---- the buffer ----------------------------------------------------------------------------- */

static u64 number_in(const char *path, const char *prefix)
{
	char line[256];
	u64 value = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, prefix, strlen(prefix)))
			value = strtoull(line + strlen(prefix), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static u64 huge_kib(void)
{
	return number_in("/proc/self/smaps_rollup", "AnonHugePages:");
}

static u64 buffer_bytes(const struct calib *c)
{
	u64 bytes = c->o->budget_ns < QUICK_NS ? BUFFER_BYTES_QUICK : BUFFER_BYTES_MAX;
	u64 available = number_in("/proc/meminfo", "MemAvailable:") * 1024;
	u64 limit = number_in("/sys/fs/cgroup/memory.max", ""); /* 0: none, or "max" */

	bytes = min(bytes, (u64)BUFFER_BYTES_MAX);
	if (limit)
		available = min(available, limit);
	while (available && bytes > HUGE_BYTES && bytes > available / 8)
		bytes /= 2;
	return bytes;
}

int calib_buffer(struct calib *c)
{
	u64 bytes = buffer_bytes(c), before = huge_kib();
	char *map = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned;

	if (map == MAP_FAILED)
		return calib_fail(c, -errno, "%llu MiB of memory are not to be had",
				  (unsigned long long)(bytes >> 20));
	aligned = (char *)ALIGN_UP((uintptr_t)map, HUGE_BYTES);
	if (aligned != map)
		munmap(map, (size_t)(aligned - map));
	munmap(aligned + bytes, (size_t)(map + HUGE_BYTES - aligned));
	(void)madvise(aligned, bytes, MADV_HUGEPAGE);
	memset(aligned, 1, bytes);
	c->buffer = aligned;
	c->buffer_bytes = bytes;
	c->huge = huge_kib() >= before + bytes / 1024 / 2;
	if (!c->huge)
		calib_note(c, "no huge pages: latencies of large working sets contain TLB misses");
	return 0;
}

void calib_buffer_free(struct calib *c)
{
	if (c->buffer)
		munmap(c->buffer, c->buffer_bytes);
	c->buffer = NULL;
}

/* ---- chains --------------------------------------------------------------------------------- */

static inline u64 lcg(u64 i, u64 lines)
{
	return (i * LCG_MULTIPLIER + LCG_INCREMENT) & (lines - 1);
}

/* lines: a power of two, at least 4. */
static void **chain_build(char *buffer, u64 lines)
{
	u64 at = 0, next;

	for (u64 i = 0; i < lines; i++, at = next) {
		next = lcg(at, lines);
		*(void **)(buffer + at * LINE_BYTES) = buffer + next * LINE_BYTES;
	}
	return (void **)buffer;
}

static void **chain_walk(void **p, u64 steps)
{
	for (u64 i = 0; i < steps; i += 8) {
		p = *p, p = *p, p = *p, p = *p;
		p = *p, p = *p, p = *p, p = *p;
		__asm__ __volatile__("" : "+r"(p));
	}
	return p;
}

static void chain_measure(struct calib *c, u64 bytes, u32 share, struct rounds *r)
{
	u64 lines = bytes / LINE_BYTES, start;
	void **p = chain_build(c->buffer, lines);

	p = chain_walk(p, min(lines * 2, (u64)1 << 17)); /* warm, as far as it may be */
	for (rounds_begin(r, c, share); rounds_more(r);) {
		start = engine_now_ns();
		p = chain_walk(p, STEPS_PER_ROUND);
		rounds_add(r, (double)(engine_now_ns() - start) / STEPS_PER_ROUND);
	}
	rounds_done(r);
}

static u64 power_below(u64 bytes)
{
	u64 p = 4096;

	while (p * 2 <= bytes)
		p *= 2;
	return p;
}

static const char *tlb_words(const struct calib *c)
{
	return c->huge ? "" : ", small pages";
}

static void measure_llc(struct calib *c)
{
	u64 private = c->l2_bytes ? c->l2_bytes : c->l1_bytes, set;
	struct rounds r;

	if (!c->llc_bytes || !private) {
		calib_estimated(c, CALIBRATE_latency_llc, calib_value(c, CALIBRATE_latency_l2) * 4,
				"the host tells of no shared cache: 4 x L2");
		return;
	}
	set = power_below(private * 4);
	while (set > c->llc_bytes / 2 && set / 2 >= private * 2)
		set /= 2;
	if (set > c->llc_bytes * 3 / 4 || set > c->buffer_bytes) {
		calib_estimated(c, CALIBRATE_latency_llc, calib_value(c, CALIBRATE_latency_l2) * 4,
				"no working set lies between L2 and LLC: 4 x L2");
		return;
	}
	chain_measure(c, set, 30, &r);
	calib_measured(c, CALIBRATE_latency_llc, &r, "chain of loads through %llu KiB%s",
		       (unsigned long long)(set / 1024), tlb_words(c));
}

static void measure_curve(struct calib *c)
{
	struct calibration *out = c->out;
	struct rounds r;

	for (u64 set = 8192; set <= c->buffer_bytes && out->curve_points < CALIBRATE_CURVE_MAX;
	     set *= 2) {
		chain_measure(c, set, 6, &r);
		out->curve[out->curve_points].kib = (u32)(set / 1024);
		out->curve[out->curve_points++].milli = (u64)(r.median * 1000 + 0.5);
	}
}

static void measure_rmw(struct calib *c)
{
	u64 *word = (u64 *)c->buffer, start;
	struct rounds r;

	for (rounds_begin(&r, c, 15); rounds_more(&r);) {
		start = engine_now_ns();
		for (u32 i = 0; i < STEPS_PER_ROUND; i++)
			(void)fetch_add(word, 1);
		rounds_add(&r, (double)(engine_now_ns() - start) / STEPS_PER_ROUND);
	}
	rounds_done(&r);
	calib_measured(c, CALIBRATE_latency_rmw, &r, "fetch-and-add on an own line, in a row");
}

int calib_caches(struct calib *c)
{
	u64 l1 = c->l1_bytes ? c->l1_bytes : 32 << 10;
	u64 l2_set = c->l2_bytes ? power_below(c->l2_bytes / 2) : 0;
	struct rounds r;

	chain_measure(c, power_below(l1 / 2), 15, &r);
	calib_measured(c, CALIBRATE_latency_l1, &r, "chain of loads through %llu KiB",
		       (unsigned long long)(power_below(l1 / 2) / 1024));
	if (l2_set > l1) {
		chain_measure(c, l2_set, 20, &r);
		calib_measured(c, CALIBRATE_latency_l2, &r, "chain of loads through %llu KiB%s",
			       (unsigned long long)(l2_set / 1024), tlb_words(c));
	} else {
		calib_estimated(c, CALIBRATE_latency_l2, r.median * 3,
				"no private second level is known: 3 x L1");
	}
	measure_llc(c);
	measure_curve(c);
	measure_rmw(c);
	return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* One round: the next FLUSHED_LINES of the chain from *at on, all flushed, then loaded. ns per
 * load. */
static double flushed_round(struct calib *c, u64 lines, u64 *at)
{
	void **p = (void **)(c->buffer + *at * LINE_BYTES);
	u64 start;

	for (u32 i = 0; i < FLUSHED_LINES; i++, *at = lcg(*at, lines))
		flush_line(c->buffer + *at * LINE_BYTES);
	flush_done();
	rounds_quiet();
	start = engine_now_ns();
	p = chain_walk(p, FLUSHED_LINES);
	start = engine_now_ns() - start;
	__asm__ __volatile__("" ::"r"(p));
	return (double)start / FLUSHED_LINES;
}

static void measure_flushed(struct calib *c, u32 share, struct rounds *r)
{
	u64 lines = c->buffer_bytes / LINE_BYTES, at = 0;

	(void)chain_build(c->buffer, lines);
	for (rounds_begin(r, c, share); rounds_more(r);)
		rounds_add(r, flushed_round(c, lines, &at));
	rounds_done(r);
}

/*
 * Groups of 128-byte pairs of lines, all flushed. First a chain through the upper line of each pair
 * of a group (upper, so that a next-line prefetcher does not help), then, timed, one through the
 * lower ones: where the buddy comes along, they are there by now.
 */
static double buddy_group(struct calib *c, u64 pairs, u64 *at)
{
	void **upper = (void **)(c->buffer + (2 * *at + 1) * LINE_BYTES);
	void **lower = (void **)(c->buffer + 2 * *at * LINE_BYTES);
	u64 start;

	for (u32 i = 0; i < BUDDY_GROUP; i++, *at = lcg(*at, pairs)) {
		flush_line(c->buffer + 2 * *at * LINE_BYTES);
		flush_line(c->buffer + (2 * *at + 1) * LINE_BYTES);
	}
	flush_done();
	upper = chain_walk(upper, BUDDY_GROUP);
	__asm__ __volatile__("" ::"r"(upper));
	start = engine_now_ns();
	lower = chain_walk(lower, BUDDY_GROUP);
	start = engine_now_ns() - start;
	__asm__ __volatile__("" ::"r"(lower));
	return (double)start / BUDDY_GROUP;
}

static void measure_buddy(struct calib *c, double miss_ns)
{
	u64 pairs = c->buffer_bytes / LINE_BYTES / 2, at = 0, next;
	struct rounds r;

	for (u64 i = 0; i < pairs; i++, at = next) {
		next = lcg(at, pairs);
		for (u32 half = 0; half < 2; half++)
			*(void **)(c->buffer + (2 * at + half) * LINE_BYTES) =
				c->buffer + (2 * next + half) * LINE_BYTES;
	}
	for (rounds_begin(&r, c, 20); rounds_more(&r);)
		rounds_add(&r, buddy_group(c, pairs, &at));
	rounds_done(&r);
	calib_derived(c, CALIBRATE_cache_prefetch_adjacent, r.median < miss_ns / 2, NULL,
		      "buddies of lines just missed: %.0f ns a load, alone %.0f ns", r.median,
		      miss_ns);
}

/* From a CPU of every other node to a buffer of the first one. */
static int measure_remote(struct calib *c)
{
	double sum = 0, local = calib_value(c, CALIBRATE_latency_memory);
	u32 nodes = 0, last = c->place[0].node;
	struct rounds r = {.n = 0};
	int err = 0;

	for (u32 i = 0; i < c->cpus && !err && nodes < 8; i++) {
		if (c->place[i].node == c->place[0].node || c->place[i].node == last)
			continue;
		last = c->place[i].node;
		err = calib_bind(c, i);
		if (err)
			break;
		measure_flushed(c, 10, &r);
		sum += r.median;
		nodes++;
	}
	if (!err && nodes && CAN_FLUSH)
		calib_derived(c, CALIBRATE_latency_memory_remote, sum / nodes, &r,
			      "loads of flushed lines from %u other nodes%s", nodes, tlb_words(c));
	else if (!err)
		calib_estimated(c, CALIBRATE_latency_memory_remote, local * 1.75,
				"one memory node: 1.75 x memory");
	return err;
}

int calib_memory(struct calib *c)
{
	struct rounds r;

	if (CAN_FLUSH) {
		measure_flushed(c, 60, &r);
		calib_measured(c, CALIBRATE_latency_memory, &r,
			       "chain of loads of flushed lines in %llu MiB%s",
			       (unsigned long long)(c->buffer_bytes >> 20), tlb_words(c));
		measure_buddy(c, r.median);
		return measure_remote(c);
	}
	chain_measure(c, c->buffer_bytes, 60, &r);
	if (c->llc_bytes && c->buffer_bytes >= 4 * c->llc_bytes)
		calib_measured(c, CALIBRATE_latency_memory, &r, "chain of loads through %llu MiB%s",
			       (unsigned long long)(c->buffer_bytes >> 20), tlb_words(c));
	else
		calib_estimated(c, CALIBRATE_latency_memory, r.median,
				"loads through %llu MiB, LLC has %llu: too low",
				(unsigned long long)(c->buffer_bytes >> 20),
				(unsigned long long)(c->llc_bytes >> 20));
	return measure_remote(c);
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* As the kernel clears a page: the string instruction where there is one that is good at it. */
static void zero_page(void *p, u64 bytes)
{
#if defined(__x86_64__)
	__asm__ __volatile__("rep stosb" : "+D"(p), "+c"(bytes) : "a"(0) : "memory");
#else
	memset(p, 0, bytes);
	__asm__ __volatile__("" ::"r"(p) : "memory");
#endif
}

static void copy_page(void *to, const void *from, u64 bytes)
{
#if defined(__x86_64__)
	__asm__ __volatile__("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
#else
	memcpy(to, from, bytes);
	__asm__ __volatile__("" ::"r"(to) : "memory");
#endif
}

#define PAGES_PER_ROUND 128

int calib_pages(struct calib *c)
{
	u64 pages = c->buffer_bytes / c->page_bytes, at = 0, start;
	u32 per_round = (u32)min((u64)PAGES_PER_ROUND, pages / 4);
	struct rounds zero, copy;

	for (rounds_begin(&zero, c, 40); rounds_more(&zero);) {
		start = engine_now_ns();
		for (u32 i = 0; i < per_round; i++, at = (at + 1) % pages)
			zero_page(c->buffer + at * c->page_bytes, c->page_bytes);
		rounds_add(&zero, (double)(engine_now_ns() - start) / per_round);
	}
	rounds_done(&zero);
	at = 0;
	for (rounds_begin(&copy, c, 40); rounds_more(&copy);) {
		start = engine_now_ns();
		for (u32 i = 0; i < per_round; i++, at = (at + 1) % (pages / 2))
			copy_page(c->buffer + at * c->page_bytes,
				  c->buffer + (pages / 2 + at) * c->page_bytes, c->page_bytes);
		rounds_add(&copy, (double)(engine_now_ns() - start) / per_round);
	}
	rounds_done(&copy);
	calib_measured(c, CALIBRATE_cost_page_zero, &zero, "%llu bytes at a time through %llu MiB",
		       (unsigned long long)c->page_bytes,
		       (unsigned long long)(c->buffer_bytes >> 20));
	calib_measured(
		c, CALIBRATE_cost_page_copy, &copy, "%llu bytes at a time from half of %llu MiB",
		(unsigned long long)c->page_bytes, (unsigned long long)(c->buffer_bytes >> 20));
	return 0;
}
