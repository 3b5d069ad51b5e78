/*
 * sim/native/calibrate_kernel.c - what the kernel costs a task: system call, exception, fault, TLB
 *
 * Exception    A page fault that does nothing: on x86-64 a call into the vsyscall page, which no
 *              page table maps executable; the kernel takes the page-fault exception, sees the
 *              address and does the call itself, without looking at the address space. Elsewhere:
 *              a system call that is given a PROT_NONE address, less the same call with a good
 *              one: one fault, taken in the kernel, that finds a VMA and gives up. (A re-touched
 *              file page was the other candidate: it installs PTEs for its neighbours too, and
 *              takes locks.)
 * Fault        First touches of fresh anonymous pages, in a set as large as page_zero's: exception
 *              + page_zero + work, so that the three add up to what a fault takes. The work
 *              contains the kernel's own atomics, some of which the simulation charges again: an
 *              upper bound.
 * TLB (x86)    mprotect() of n present pages: up to 33 are flushed one by one, more all at once,
 *              so that the slope over n is PTE work plus a flush below, and PTE work alone above.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_PER_ROUND 500
#define FAULT_BYTES (64ull << 20)
#define PAGES_PER_ROUND 128

static double syscall_round(long number, long arg)
{
	u64 start = engine_now_ns();

	for (u32 i = 0; i < CALLS_PER_ROUND; i++)
		(void)syscall(number, arg, 0);
	return (double)(engine_now_ns() - start) / CALLS_PER_ROUND;
}

static void syscall_rounds(struct calib *c, struct rounds *r, u32 share, long number, long arg)
{
	for (rounds_begin(r, c, share); rounds_more(r);)
		rounds_add(r, syscall_round(number, arg));
	rounds_done(r);
}

/* ---- exception ------------------------------------------------------------------------------ */

#if defined(__x86_64__)
#define VSYSCALL_TIME 0xffffffffff600400ull
typedef long (*vsyscall_time_fn)(long *);

static bool vsyscall_listed(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, "xp ") && strstr(line, "[vsyscall]");
	if (f)
		fclose(f);
	return found;
}

/* A kernel that lists the page but does not serve it would kill us: a child goes first. */
static bool vsyscall_works(void)
{
	int status = -1;
	pid_t pid;

	if (!vsyscall_listed())
		return false;
	pid = fork();
	if (pid == 0)
		_exit(((vsyscall_time_fn)VSYSCALL_TIME)(NULL) > 0 ? 0 : 1);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

static bool exception_by_vsyscall(struct calib *c, double syscall_ns)
{
	struct rounds r, time_call;
	u64 start;

	if (!vsyscall_works())
		return false;
	syscall_rounds(c, &time_call, 10, SYS_time, 0);
	for (rounds_begin(&r, c, 20); rounds_more(&r);) {
		start = engine_now_ns();
		for (u32 i = 0; i < CALLS_PER_ROUND; i++)
			(void)((vsyscall_time_fn)VSYSCALL_TIME)(NULL);
		rounds_add(&r, (double)(engine_now_ns() - start) / CALLS_PER_ROUND);
	}
	rounds_done(&r);
	calib_derived(c, CALIBRATE_cost_exception,
		      r.median - max(time_call.median - syscall_ns, 0.0), &r,
		      "fault on the vsyscall page (time), less time()'s work");
	return true;
}
#else
static bool exception_by_vsyscall(struct calib *c, double syscall_ns)
{
	(void)c, (void)syscall_ns;
	return false;
}
#endif

/* gettimeofday(2) writes to the address that it is given. */
static int exception_by_efault(struct calib *c)
{
	void *none = mmap(NULL, c->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rounds good, bad;
	struct timeval tv;

	if (none == MAP_FAILED)
		return calib_fail(c, -errno, "mmap: %s", strerror(errno));
	syscall_rounds(c, &good, 10, SYS_gettimeofday, (long)&tv);
	syscall_rounds(c, &bad, 20, SYS_gettimeofday, (long)none);
	munmap(none, c->page_bytes);
	calib_derived(c, CALIBRATE_cost_exception, bad.median - good.median, &bad,
		      "a call's fault on a PROT_NONE page, less the call");
	return 0;
}

int calib_entries(struct calib *c)
{
	struct rounds r;

	syscall_rounds(c, &r, 20, SYS_getppid, 0);
	calib_measured(c, CALIBRATE_cost_syscall, &r, "getppid()");
	return exception_by_vsyscall(c, r.median) ? 0 : exception_by_efault(c);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void *map_pages(struct calib *c, u64 bytes)
{
	/* NORESERVE: nothing else is mapped so, hence it does not merge with a neighbour. */
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED) {
		(void)calib_fail(c, -errno, "mmap: %s", strerror(errno));
		return NULL;
	}
	(void)madvise(map, bytes, MADV_NOHUGEPAGE);
	return map;
}

static void touch_pages(struct calib *c, char *map, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		WRITE_ONCE(map[i * c->page_bytes], 1);
}

/* One address-space call on nothing, and a mapping that comes and goes. */
static int address_space_calls(struct calib *c, char *map)
{
	double syscall_ns = calib_value(c, CALIBRATE_cost_syscall), work;
	struct rounds advise, pair;
	u64 start;

	for (rounds_begin(&advise, c, 15); rounds_more(&advise);) {
		start = engine_now_ns();
		for (u32 i = 0; i < CALLS_PER_ROUND / 10; i++)
			(void)madvise(map, c->page_bytes, MADV_DONTNEED);
		rounds_add(&advise, (double)(engine_now_ns() - start) / (CALLS_PER_ROUND / 10));
	}
	rounds_done(&advise);
	work = max(advise.median - syscall_ns, 0.0);
	calib_derived(c, CALIBRATE_cost_syscall_work, work, &advise,
		      "madvise(DONTNEED) of an absent page, less a system call");
	for (rounds_begin(&pair, c, 20); rounds_more(&pair);) {
		start = engine_now_ns();
		for (u32 i = 0; i < CALLS_PER_ROUND / 10; i++) {
			void *p = mmap(NULL, c->page_bytes, PROT_READ,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

			if (p == MAP_FAILED)
				return calib_fail(c, -errno, "mmap: %s", strerror(errno));
			munmap(p, c->page_bytes);
		}
		rounds_add(&pair, (double)(engine_now_ns() - start) / (CALLS_PER_ROUND / 10));
	}
	rounds_done(&pair);
	calib_derived(c, CALIBRATE_cost_vma_work, (pair.median - 2 * syscall_ns - 2 * work) / 2,
		      &pair, "half of mmap + munmap of a page, less two calls' work");
	return 0;
}

/* All pages of the mapping touched, then zapped, PAGES_PER_ROUND to a round. */
static void fault_pass(struct calib *c, char *map, u64 pages, struct rounds *fault,
		       struct rounds *zap)
{
	u64 chunk = PAGES_PER_ROUND * c->page_bytes, start;

	rounds_quiet();
	for (char *at = map; at < map + pages * c->page_bytes; at += chunk) {
		start = engine_now_ns();
		touch_pages(c, at, PAGES_PER_ROUND);
		rounds_add(fault, (double)(engine_now_ns() - start) / PAGES_PER_ROUND);
	}
	for (char *at = map; at < map + pages * c->page_bytes; at += chunk) {
		start = engine_now_ns();
		(void)madvise(at, chunk, MADV_DONTNEED);
		rounds_add(zap, (double)(engine_now_ns() - start) / PAGES_PER_ROUND);
	}
}

int calib_faults(struct calib *c)
{
	u64 bytes = min(FAULT_BYTES, c->buffer_bytes), pages = bytes / c->page_bytes;
	struct rounds fault, zap;
	char *map = map_pages(c, bytes);
	double work;
	int err;

	if (!map)
		return -ENOMEM;
	touch_pages(c, map,
		    pages); /* the page tables, and pages for the allocator to have at hand */
	(void)madvise(map, bytes, MADV_DONTNEED);
	rounds_begin(&zap, c, 120);
	for (rounds_begin(&fault, c, 120); rounds_more(&fault);)
		fault_pass(c, map, pages, &fault, &zap);
	rounds_done(&fault);
	rounds_done(&zap);
	work = fault.median - calib_value(c, CALIBRATE_cost_exception) -
	       calib_value(c, CALIBRATE_cost_page_zero);
	calib_derived(c, CALIBRATE_cost_fault_work, work, &fault,
		      "fresh page (%.0f ns) less exception and page_zero%s", fault.median,
		      work < 0 ? ": below 0" : "");
	calib_measured(c, CALIBRATE_cost_zap_page, &zap,
		       "madvise(DONTNEED) of %u present pages, per page", PAGES_PER_ROUND);
	err = address_space_calls(c, map);
	munmap(map, bytes);
	return err;
}

/* ---- TLB ------------------------------------------------------------------------------------ */

#if defined(__x86_64__)
/* Up to 33 pages (tlb_single_page_flush_ceiling) Linux flushes one by one. */
#define PAGES_ONE 1
#define PAGES_BELOW 32
#define PAGES_ABOVE 40
#define PAGES_FAR 320

/* mprotect() of n pages to read-only, present and written ones or absent ones: the median ns. */
static double protect_ns(struct calib *c, char *map, u32 n, bool present)
{
	struct rounds r;
	u64 start;

	for (rounds_begin(&r, c, 9); rounds_more(&r);) {
		u64 total = 0;

		for (u32 i = 0; i < 16; i++) {
			if (present)
				touch_pages(c, map, n); /* in the TLB, writable */
			start = engine_now_ns();
			(void)mprotect(map, n * c->page_bytes, PROT_READ);
			total += engine_now_ns() - start;
			(void)mprotect(map, n * c->page_bytes, PROT_READ | PROT_WRITE);
		}
		rounds_add(&r, (double)total / 16);
	}
	rounds_done(&r);
	return r.median;
}

static void set_flushes(struct calib *c, double page, double all, double first, double pte)
{
	if (page > 0)
		calib_derived(c, CALIBRATE_cost_tlb_flush_page, page, NULL,
			      "mprotect's slope over pages, less %.0f per PTE; the first one +%.0f",
			      pte, max(first, 0.0));
	else
		calib_estimated(c, CALIBRATE_cost_tlb_flush_page, 30,
				"mprotect's slopes do not show it, the default");
	if (all > 0)
		calib_derived(c, CALIBRATE_cost_tlb_flush_all, all, NULL,
			      "mprotect of %u present pages, less absent ones and PTEs",
			      PAGES_ABOVE);
	else
		calib_estimated(c, CALIBRATE_cost_tlb_flush_all, 150,
				"mprotect's slopes do not show it, the default");
	calib_estimated(c, CALIBRATE_cost_tlbi_broadcast, 0, "x86-64 has none");
}

int calib_tlb(struct calib *c)
{
	u64 bytes = (PAGES_FAR + 2) * c->page_bytes;
	char *map = map_pages(c, bytes), *inside;
	double absent, one, below, above, far, pte, page;

	if (!map)
		return -ENOMEM;
	inside = map + c->page_bytes; /* the VMA is split at both ends whatever the length */
	WRITE_ONCE(*map, 1);          /* the page table is there, its entries are not */
	absent = protect_ns(c, inside, PAGES_ABOVE, false);
	touch_pages(c, map, PAGES_FAR + 2);
	one = protect_ns(c, inside, PAGES_ONE, true);
	below = protect_ns(c, inside, PAGES_BELOW, true);
	above = protect_ns(c, inside, PAGES_ABOVE, true);
	far = protect_ns(c, inside, PAGES_FAR, true);
	munmap(map, bytes);
	pte = (far - above) / (PAGES_FAR - PAGES_ABOVE);
	page = (below - one) / (PAGES_BELOW - PAGES_ONE) - pte;
	set_flushes(c, page, above - absent - pte * PAGES_ABOVE, one - absent - pte - page, pte);
	return 0;
}
#else
int calib_tlb(struct calib *c)
{
	const char *why = "when Linux flushes all is known for x86 only, the default";

	calib_estimated(c, CALIBRATE_cost_tlb_flush_page, 30, "%s", why);
	calib_estimated(c, CALIBRATE_cost_tlb_flush_all, 150, "%s", why);
#if defined(__aarch64__)
	calib_estimated(c, CALIBRATE_cost_tlbi_broadcast, 200,
			"TLBI inner shareable + DSB, as in graviton4");
#elif defined(__powerpc64__)
	calib_estimated(c, CALIBRATE_cost_tlbi_broadcast, 400, "tlbie over the fabric");
	calib_estimated(c, CALIBRATE_tlb_invalidate, 2, "tlbie is serialised by the fabric");
#endif
	return 0;
}
#endif
