/*
 * tests/unit/mm/test_syscalls.c - what each memory call refuses, with which errno, and what it did
 * before
 *
 * Goal         The errno tables of mmap, munmap, mprotect, madvise, mremap, mlock*, brk, and the
 * signals of touches, as Linux 6.18 gives them; and that a refused call leaves what it should.
 * Method       Scripts (tests/oracle/script.c), in the model and on a 6.18 kernel.
 * Files        0, 1: one inode, read-write; 2: the same, read-only; 3: a small one, 9 pages and 100
 *              bytes; 4: a memfd; 5: the memfd, read-only; 6: file 0's inode, write-only.
 */
#include "tests/oracle/cases.h"

#define LIMIT(...)                                                                                 \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
/* Longer than any address space. */
#define HUGE_LEN "+0x800000000000"

/*
 * Pages 0..7 are one VMA; behind page 1024 there are single-page VMAs, as many as there may be:
 * Linux lets the count pass vm.max_map_count by one.
 */
static bool fill_map_count(struct world *w, const struct image *image)
{
	const u64 arena = 0x200000000000;
	struct op op = {.kind = OP_MMAP,
			.file = -1,
			.a = {arena, 8 * ORACLE_PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}};
	u32 have = image->layout.count + 1;
	struct result res;

	if (!w->ops->run(w, &op, &res) || res.ret < 0)
		return false;
	op.a[1] = ORACLE_PAGE;
	for (u64 i = 0;; i++) {
		op.a[0] = arena + (1024 + i) * ORACLE_PAGE;
		op.a[2] = i & 1 ? PROT_READ : PROT_NONE;
		if (!w->ops->run(w, &op, &res))
			return false;
		if (res.ret < 0)
			return res.ret == -ENOMEM && have + i == image->limits.max_map_count + 1;
	}
}

static const struct oracle_case cases[] = {
	/* ---- mmap ---------------------------------------------------------------- */
	CASE("mmap: length 0", "mmap [0,0) rw = EINVAL"),
	CASE("mmap: length that rounds up to 0", "mmap [0,+0xffffffffffffffff) rw = ENOMEM"),
	CASE("mmap: longer than the address space", "mmap [0," HUGE_LEN ") rw = ENOMEM",
	     "mmap [0," HUGE_LEN ") rw hint = ENOMEM"),
	CASE("mmap: fixed, unaligned", "mmap [0+1,+4096) rw = EINVAL"),
	CASE("mmap: fixed, beyond the end", "mmap [0x7ffffffff000,+4096) rw = ENOMEM"),
	CASE("mmap: neither private nor shared", "mmap [0,1) rw notype = EINVAL",
	     "mmap [0,1) rw notype file0 = EINVAL"),
	CASE("mmap: SHARED_VALIDATE needs a file", "mmap [0,1) rw validate = EINVAL",
	     "mmap [0,1) rw validate file0 = 0"),
	CASE("mmap: NOREPLACE", "mmap [0,2) rw", "mmap [1,3) rw noreplace = EEXIST",
	     "mmap [2,3) rw noreplace = 2", "mmap [3+1,+1) rw noreplace = EINVAL"),
	CASE("mmap: a write-only descriptor", "mmap [0,1) w file6 = EACCES",
	     "mmap [0,1) w file6 shared = EACCES"),
	CASE("mmap: a read-only descriptor", "mmap [0,1) rw file2 = 0",
	     "mmap [0,1) r file2 shared = 0", "mmap [0,1) rw file2 shared = EACCES"),
	CASE("mmap: a file offset inside a page", "mmap [0,1) r file0@0+100 = EINVAL"),
	CASE("mmap: an offset that overflows", "mmap [0,2) r file0@0xfffffffffffff = EOVERFLOW"),
	CASE("mmap: anonymous and growing down, shared", "mmap [0,1) rw shared growsdown = EINVAL"),
	CASE("mmap: a file cannot grow down, shared",
	     "mmap [0,1) rw shared growsdown file0 = EINVAL"),
	CASE("mmap: nor a private one", "mmap [0,1) rw growsdown file0 = EINVAL"),

	/* ---- munmap -------------------------------------------------------------- */
	CASE("munmap: unaligned start", "mmap [0,2) rw", "munmap [0+1,1) = EINVAL", "|WW|"),
	CASE("munmap: length 0", "munmap [0,0) = EINVAL"),
	CASE("munmap: a length inside a page is rounded up", "mmap [0,2) rw", "munmap [0,+1)",
	     "|.W|"),
	CASE("munmap: beyond the end", "munmap [0," HUGE_LEN ") = EINVAL",
	     "munmap [0x800000000000,+4096) = EINVAL"),
	CASE("munmap: wrapping", "munmap [0,+0xfffffffffffff000) = EINVAL"),

	/* ---- mprotect ------------------------------------------------------------ */
	CASE("mprotect: unaligned start", "mmap [0,2) rw", "mprotect [0+1,1) r = EINVAL"),
	CASE("mprotect: length 0 is nothing", "mprotect [0,0) r = 0x0"),
	CASE("mprotect: unaligned start wins over length 0", "mprotect [0+1,+0) r = EINVAL"),
	CASE("mprotect: unknown bits", "mmap [0,1) rw", "mprotect [0,1) 0x40 = EINVAL", "|W|"),
	CASE("mprotect: GROWSDOWN and GROWSUP", "mmap [0,1) rw",
	     "mprotect [0,1) 0x3000001 = EINVAL"),
	CASE("mprotect: PROT_SEM is accepted", "mmap [0,1) rw", "mprotect [0,1) 0x9 = 0x0", "|R|"),
	CASE("mprotect: nothing there", "mprotect [0,2) r = ENOMEM"),
	CASE("mprotect: wrapping", "mprotect [0,+0xfffffffffffff000) r = ENOMEM"),
	CASE("mprotect: GROWSDOWN on what does not grow", "mmap [0,2) rw",
	     "mprotect [0,1) r growsdown = EINVAL"),
	CASE("mprotect: a shared mapping of a read-only descriptor", "mmap [0,2) r file2 shared",
	     "mprotect [0,2) rw = EACCES", "|TT|"),
	CASE("mprotect: a private one", "mmap [0,2) r file2", "mprotect [0,2) rw", "|FF|"),

	/* ---- madvise ------------------------------------------------------------- */
	CASE("madvise: unaligned start", "mmap [0,2) rw", "madvise [0+1,1) dontneed = EINVAL"),
	CASE("madvise: length 0", "madvise [0,0) dontneed = 0x0"),
	CASE("madvise: unknown advice", "mmap [0,1) rw", "madvise [0,1) 7 = EINVAL",
	     "madvise [0,0) 7 = EINVAL"),
	CASE("madvise: wrapping", "madvise [0,+0xfffffffffffff000) normal = EINVAL",
	     "madvise [0,+0xffffffffffffffff) normal = EINVAL"),
	CASE("madvise: nothing there", "madvise [0,1) dontneed = ENOMEM",
	     "madvise [0,1) willneed = ENOMEM"),
	CASE("madvise: DONTNEED of locked memory", "mmap [0,2) rw locked", "write 0 7",
	     "madvise [0,2) dontneed = EINVAL", "read 0 = 7", "madvise [0,2) dontneed_locked = 0x0",
	     "read 0 = 0"),
	CASE("madvise: FREE of a file", "mmap [0,1) rw file0", "madvise [0,1) free = EINVAL"),
	CASE("madvise: FREE of shared memory", "mmap [0,1) rw shared",
	     "madvise [0,1) free = EINVAL"),
	CASE("madvise: WIPEONFORK of a file, of shared memory", "mmap [0,1) rw file0",
	     "mmap [1,2) rw shared", "madvise [0,1) wipeonfork = EINVAL",
	     "madvise [1,2) wipeonfork = EINVAL"),
	CASE("madvise: KEEPONFORK of a file is fine", "mmap [0,1) rw file0",
	     "madvise [0,1) keeponfork = 0x0"),
	CASE("madvise: WILLNEED of anonymous memory", "mmap [0,1) rw", "madvise [0,1) willneed"),
	CASE("madvise: POPULATE_READ of nothing", "madvise [0,1) populate_read = ENOMEM"),
	CASE("madvise: POPULATE_WRITE of read-only memory", "mmap [0,1) r",
	     "madvise [0,1) populate_write = EINVAL"),
	CASE("madvise: POPULATE_READ of memory without access", "mmap [0,1) none",
	     "madvise [0,1) populate_read = EINVAL"),
	CASE("madvise: POPULATE_READ beyond the file", "mmap [8,12) r file3@8",
	     "madvise [8,9) populate_read", "madvise [8,12) populate_read = EFAULT"),
	CASE("madvise: POPULATE stops at a hole", "mmap [0,1) rw", "mmap [2,3) rw",
	     "madvise [0,3) populate_write = ENOMEM"),
	CASE("madvise: COLD of locked memory", "mmap [0,1) rw locked",
	     "madvise [0,1) cold = EINVAL"),
	CASE("madvise: DODUMP of a special mapping", "window top 0",
	     "madvise [0,1) dodump = EINVAL"),
	CASE("madvise: DOFORK of a device's", "window top 0", "madvise [0,1) dofork = EINVAL"),
	CASE("madvise: HUGEPAGE of a special mapping", "window top 0",
	     "madvise [0,1) hugepage = EINVAL"),
	CASE("madvise: DONTNEED of a special mapping", "window top 0",
	     "madvise [0,1) dontneed = EINVAL"),

	/* ---- mremap -------------------------------------------------------------- */
	CASE("mremap: unaligned start", "mmap [0,2) rw", "mremap [0+1,1) 2 = EINVAL"),
	CASE("mremap: nothing there", "mremap [0,1) 2 = EFAULT", "mremap [0,1) 1 = EFAULT"),
	CASE("mremap: new length 0", "mmap [0,2) rw", "mremap [0,2) 0 = EINVAL"),
	CASE("mremap: unknown flag", "mmap [0,2) rw", "mremap [0,2) 2 flags=8 = EINVAL"),
	CASE("mremap: FIXED without MAYMOVE", "mmap [0,2) rw",
	     "mremap [0,2) 2 at 4 flags=2 = EINVAL"),
	CASE("mremap: DONTUNMAP without MAYMOVE", "mmap [0,2) rw",
	     "mremap [0,2) 2 flags=4 = EINVAL"),
	CASE("mremap: DONTUNMAP with another length", "mmap [0,2) rw",
	     "mremap [0,2) 3 dontunmap = EINVAL"),
	CASE("mremap: to an unaligned place", "mmap [0,2) rw", "mremap [0,2) 2 to 4+1 = EINVAL"),
	CASE("mremap: onto itself", "mmap [0,4) rw", "mremap [0,2) 2 to 1 = EINVAL",
	     "mremap [0,2) 2 to 0 = EINVAL"),
	CASE("mremap: beyond the end", "mmap [0,2) rw", "mremap [0,2) 2 to 0x7ffffffff000 = EINVAL",
	     "mremap [0,2) 0x800000000000 maymove = EINVAL"),
	CASE("mremap: old length 0 of private memory", "mmap [0,2) rw",
	     "mremap [0,+0) 2 maymove = EINVAL"),
	CASE("mremap: old length 0 without MAYMOVE", "mmap [0,2) rw shared",
	     "mremap [0,+0) 2 = ENOMEM"),
	CASE("mremap: growth across two VMAs", "mmap [0,2) rw", "mmap [2,4) r",
	     "mremap [0,4) 6 = EFAULT", "mremap [0,4) 6 maymove = EFAULT"),
	CASE("mremap: shrinking across two VMAs", "mmap [0,2) rw", "mmap [2,4) r",
	     "mremap [0,4) 1 = 0", "|W...|"),
	CASE("mremap: over a hole, same size", "mmap [0,2) rw", "mremap [0,4) 4 = 0"),
	CASE("mremap: a special mapping cannot grow", "window top 0",
	     "mremap [0,4) 5 maymove = EFAULT"),
	CASE("mremap: of a locked VMA, DONTUNMAP", "mmap [0,2) rw locked",
	     "mremap [0,2) 2 to 4 dontunmap"),

	/* ---- mlock --------------------------------------------------------------- */
	CASE("mlock: nothing there", "mlock [0,1) = ENOMEM", "munlock [0,1) = ENOMEM"),
	CASE("mlock: length 0", "mlock [0,0) = 0x0", "munlock [0,0) = 0x0"),
	LIMITED_CASE("mlock: wrapping", LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true),
		     "mlock [0,+0xffffffff00000000) = ENOMEM"),
	CASE("mlock: unaligned is widened", "mmap [0,4) rw", "mlock [1+100,+4096)", "|WLLW|"),
	CASE("mlock: memory without access: locked all the same", "mmap [0,1) none",
	     "mlock [0,1) = ENOMEM", "mprotect [0,1) rw", "|L|"),
	CASE("mlock: beyond the end of the file", "mmap [8,12) rw file3@8",
	     "mlock [8,12) = ENOMEM"),
	CASE("mlockall: bad flags", "mlockall bad = EINVAL", "mlockall = EINVAL",
	     "mlockall onfault = EINVAL"),
	LIMITED_CASE("mlock: RLIMIT_MEMLOCK", LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true),
		     "mmap [0,20) rw", "mlock [0,17) = ENOMEM", "mlock [0,16)", "mlock [0,16)",
		     "mlock [16,17) = ENOMEM", "munlock [0,1)", "mlock [16,17)"),
	LIMITED_CASE("mmap: MAP_LOCKED and RLIMIT_MEMLOCK",
		     LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true),
		     "mmap [0,17) rw locked = EAGAIN", "mmap [0,16) rw locked"),
	LIMITED_CASE("mremap: growth and RLIMIT_MEMLOCK",
		     LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true), "mmap [0,16) rw locked",
		     "mremap [0,16) 17 = EAGAIN"),
	LIMITED_CASE("mlockall: RLIMIT_MEMLOCK",
		     LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true),
		     "mlockall current = ENOMEM", "mlockall future"),
	LIMITED_CASE("brk: RLIMIT_MEMLOCK", LIMIT(.memlock_bytes = 65536, .drop_ipc_lock = true),
		     "window heap", "mlockall future onfault", "brk 17 = 0", "brk 16 = 16"),

	/* ---- limits -------------------------------------------------------------- */
	LIMITED_CASE("limit: RLIMIT_AS", LIMIT(.address_space_bytes = 16 << 20), "unit 256",
		     "mmap [0,15) none", "mmap [20,21) none = ENOMEM", "munmap [0,1)",
		     "mmap [20,21) none", "mmap [1,2) rw", "mremap [14,15) 2 = ENOMEM"),
	LIMITED_CASE("limit: RLIMIT_AS: a fixed mapping replaces",
		     LIMIT(.address_space_bytes = 16 << 20), "unit 256", "mmap [0,15) none",
		     "mmap [14,16) none = ENOMEM", "mmap [14,15) rw", "|NNNNNNNNNNNNNNW.|"),
	LIMITED_CASE("limit: RLIMIT_DATA: private writable memory", LIMIT(.data_bytes = 4 << 20),
		     "unit 256", "mmap [0,3) rw", "mmap [3,4) rw = ENOMEM", "mmap [3,4) r",
		     "mprotect [3,4) rw = ENOMEM", "mmap [4,5) rw shared", "window heap",
		     "brk 1 = 0"),

	PREPARED_CASE("limit: vm.max_map_count", fill_map_count, "mmap [20,21) rw = ENOMEM",
		      "|WWWWWWWW............|", "munmap [2,4) = ENOMEM", "munmap [0,1)",
		      "|.WWWWWWW|", "mprotect [2,4) r = ENOMEM", "mprotect [1,2) r = ENOMEM",
		      "mprotect [1,8) r", "|.RRRRRRR|", "mprotect [1,8) rw", "mlock [2,4) = ENOMEM",
		      "madvise [2,4) dontfork = EAGAIN", "mremap [1,8) 7 to 30 = ENOMEM",
		      "mremap [1,8) 9 = 1", "mmap [10,11) rw = ENOMEM", "mmap [3,4) r = ENOMEM",
		      "munmap [1024,1025)", "mmap [3,4) r = ENOMEM", "munmap [1025,1026)",
		      "mmap [10,11) rw", "|.WWWWWWWWWW..|", "mmap [3,4) r", "|.WWRWWWWWWW..|",
		      "munmap [5,6) = ENOMEM"),

	/* ---- touches ------------------------------------------------------------- */
	CASE("touch: nothing there", "read 0 = maperr", "write 0 = maperr"),
	CASE("touch: no access", "mmap [0,1) none", "read 0 = accerr", "write 0 = accerr"),
	CASE("touch: read only", "mmap [0,1) r", "read 0 = 0", "write 0 = accerr"),
	CASE("touch: write implies read", "mmap [0,1) w", "write 0 5", "read 0 = 5"),
	CASE("touch: execute-only memory can be read", "mmap [0,1) x", "read 0 = 0"),
	CASE("touch: memory is zero", "mmap [0,1) rw", "read 0 = 0", "write 0 3", "read 0 = 3"),
	CASE("touch: the file's last page, and beyond", "mmap [0,12) r file3@0", "read 9",
	     "read 10 = sigbus", "read 11 = sigbus"),
	CASE("touch: beyond the file, shared", "mmap [0,12) rw file3@0 shared",
	     "write 10 = sigbus"),
	CASE("touch: a private copy does not reach the file", "mmap [0,1) rw file4",
	     "mmap [1,2) rw file4 shared", "write 1 5", "read 0 = 5", "write 0 6", "read 1 = 5",
	     "write 1 7", "read 0 = 6"),
	CASE("touch: after mprotect", "mmap [0,1) rw", "write 0 4", "mprotect [0,1) r",
	     "write 0 = accerr", "read 0 = 4", "mprotect [0,1) none", "read 0 = accerr",
	     "mprotect [0,1) rw", "read 0 = 4"),
	CASE("touch: below mmap_min_addr", "read 0x0 = maperr", "write 0x1000 = maperr"),
};

int main(int argc, char **argv)
{
	return cases_main("syscalls", cases, ARRAY_SIZE(cases), argc, argv);
}
