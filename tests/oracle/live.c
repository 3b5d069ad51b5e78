/*
 * tests/oracle/live.c - the world that is real: processes of this machine's kernel
 *
 * Models       Nothing. Each process is a live_child.c program (or its fork) with a slot in one
 *              shared control page: a request is written there, the process makes the call in its
 * own address space and answers. Layouts are read from /proc/PID/smaps. Guarantee    Same
 * configuration, same addresses: address-space randomisation is off, so a sequence of calls can be
 * run again and shrunk. Fails        live_unusable() says when the machine cannot be an oracle. A
 * process that dies or does not answer within ten seconds breaks the world (one line on stderr).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "live_proto.h"
#include "oracle.h"

#define EXT4_MAGIC 0xEF53
#define ANSWER_SECONDS 10
#define SPINS 4000

struct live_world {
	struct world world;
	struct live_slot *ctl;
	int ctl_fd;
	struct {
		pid_t pid; /* 0: free */
		int smaps_fd, status_fd;
	} procs[ORACLE_PROCS_MAX];
	int file_fds[ORACLE_FILES_MAX];
	int fill_fds[ORACLE_INODES_MAX]; /* a read-write descriptor per inode, never in the child */
	char *text;
	size_t text_room;
};

static struct live_world *live_of(struct world *w)
{
	return container_of(w, struct live_world, world);
}

static bool broken(struct live_world *l, const char *what)
{
	fprintf(stderr, "oracle: live: %s\n", what);
	l->world.broken = true;
	return false;
}

/* ---- can this machine be the oracle? --------------------------------------------- */

static bool file_says(const char *path, const char *want)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strstr(text, want) != NULL;
}

const char *live_dir(const char *wanted)
{
	const char *const places[] = {".", getenv("TMPDIR"), "/tmp", "/var/tmp", getenv("HOME")};
	struct statfs fs;

	if (wanted)
		return !statfs(wanted, &fs) && fs.f_type == EXT4_MAGIC ? wanted : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i] && !statfs(places[i], &fs) && fs.f_type == EXT4_MAGIC &&
		    !access(places[i], W_OK | X_OK))
			return places[i];
	return NULL;
}

const char *live_unusable(void)
{
	struct utsname u;

#if !defined(__x86_64__)
	return "not x86-64";
#endif
	if (uname(&u) || strncmp(u.release, "6.18", 4))
		return "the kernel is not 6.18";
	if (!file_says("/sys/kernel/mm/transparent_hugepage/enabled", "[madvise]"))
		return "transparent huge pages are not in the mode \"madvise\"";
	if (!file_says("/proc/sys/vm/overcommit_memory", "0"))
		return "vm.overcommit_memory is not 0";
	if (!live_dir(NULL))
		return "no directory on ext4 for the files";
	if (access(ORACLE_CHILD_PATH, X_OK))
		return "oracle_child was not built";
	return NULL;
}

/* ---- requests -------------------------------------------------------------------- */

static bool answered(struct live_world *l, u32 proc, struct live_slot *s)
{
	struct timespec tick = {0, 100 * 1000 * 1000};

	for (u32 i = 0; i < SPINS; i++) {
		if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == LIVE_DONE)
			return true;
		__builtin_ia32_pause();
	}
	for (u32 i = 0; i < ANSWER_SECONDS * 10; i++) {
		u32 seen = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
		int status;

		if (seen == LIVE_DONE)
			return true;
		syscall(SYS_futex, &s->state, FUTEX_WAIT, seen, &tick, NULL, 0);
		if (i && waitpid(l->procs[proc].pid, &status, WNOHANG) > 0) {
			l->procs[proc].pid = 0;
			return broken(l, "a process died");
		}
	}
	return broken(l, "a process does not answer");
}

static bool request(struct live_world *l, u32 proc, bool wait)
{
	struct live_slot *s = &l->ctl[proc];

	__atomic_store_n(&s->state, LIVE_REQUEST, __ATOMIC_RELEASE);
	syscall(SYS_futex, &s->state, FUTEX_WAKE, 1, NULL, NULL, 0);
	return !wait || answered(l, proc, s);
}

static const long syscall_of[OP_KIND_COUNT] = {
	[OP_MMAP] = SYS_mmap,         [OP_MUNMAP] = SYS_munmap,
	[OP_MPROTECT] = SYS_mprotect, [OP_MADVISE] = SYS_madvise,
	[OP_MREMAP] = SYS_mremap,     [OP_MLOCK] = SYS_mlock,
	[OP_MLOCK2] = SYS_mlock2,     [OP_MUNLOCK] = SYS_munlock,
	[OP_MLOCKALL] = SYS_mlockall, [OP_MUNLOCKALL] = SYS_munlockall,
	[OP_BRK] = SYS_brk,
};

static void set_syscall(struct live_slot *s, const struct op *op)
{
	s->kind = LIVE_SYSCALL;
	s->nr = (u64)syscall_of[op->kind];
	memcpy(s->a, op->a, sizeof(op->a));
	s->a[5] = 0;
	if (op->kind == OP_MMAP) {
		s->a[5] = op->a[4];
		s->a[4] = op->file < 0 ? (u64)-1 : (u64)(LIVE_FILE_FD + op->file);
	} else if (op->kind == OP_MLOCK2) {
		s->a[2] = MLOCK_ONFAULT;
	}
}

static s64 touch_ret(s64 raw)
{
	if (raw == 0)
		return 0;
	if (raw == (SIGSEGV << 8 | SEGV_MAPERR))
		return TOUCH_MAPERR;
	if (raw == (SIGSEGV << 8 | SEGV_ACCERR))
		return TOUCH_ACCERR;
	return raw >> 8 == SIGBUS ? TOUCH_SIGBUS : TOUCH_OTHER;
}

static bool open_proc(struct live_world *l, u32 proc, pid_t pid)
{
	char path[64];

	l->procs[proc].pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	l->procs[proc].smaps_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	l->procs[proc].status_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (l->procs[proc].smaps_fd < 0 || l->procs[proc].status_fd < 0)
		return broken(l, "cannot open /proc/PID/smaps");
	return true;
}

static void close_proc(struct live_world *l, u32 proc)
{
	close(l->procs[proc].smaps_fd);
	close(l->procs[proc].status_fd);
	l->procs[proc].pid = 0;
}

static bool run_fork(struct live_world *l, const struct op *op, struct result *res)
{
	struct live_slot *s = &l->ctl[op->proc], *c = &l->ctl[op->child];

	__atomic_store_n(&c->state, LIVE_IDLE, __ATOMIC_RELEASE);
	s->kind = LIVE_FORK;
	s->child = op->child;
	if (!request(l, op->proc, true))
		return false;
	res->ret = s->ret < 0 ? s->ret : 0;
	if (s->ret < 0)
		return true;
	/* The child says DONE before it waits: from then on it is in its loop. */
	return open_proc(l, op->child, (pid_t)s->ret) && answered(l, op->child, c);
}

static bool run_exit(struct live_world *l, u32 proc)
{
	int status;

	l->ctl[proc].kind = LIVE_EXIT;
	request(l, proc, false);
	if (waitpid(l->procs[proc].pid, &status, 0) < 0)
		return broken(l, "waitpid failed");
	close_proc(l, proc);
	return true;
}

static bool live_run(struct world *w, const struct op *op, struct result *res)
{
	struct live_world *l = live_of(w);
	struct live_slot *s = &l->ctl[op->proc];

	if (!l->procs[op->proc].pid || (op->kind == OP_FORK && l->procs[op->child].pid))
		return false;
	res->ret = 0;
	res->value = 0;
	if (op->kind == OP_FORK)
		return run_fork(l, op, res);
	if (op->kind == OP_EXIT)
		return run_exit(l, op->proc);
	if (op->kind == OP_READ || op->kind == OP_WRITE) {
		s->kind = op->kind == OP_READ ? LIVE_READ : LIVE_WRITE;
		s->a[0] = op->a[0];
		s->a[1] = op->a[1];
		s->value = 0;
		if (!request(l, op->proc, true))
			return false;
		res->ret = touch_ret(s->ret);
		res->value = op->kind == OP_READ && !res->ret ? s->value : 0;
		return true;
	}
	set_syscall(s, op);
	if (!request(l, op->proc, true))
		return false;
	res->ret = s->ret;
	return true;
}

/* ---- looking --------------------------------------------------------------------- */

static int read_all(struct live_world *l, int fd)
{
	size_t at = 0;

	for (;;) {
		ssize_t n;

		if (at + 65536 > l->text_room) {
			size_t room = l->text_room ? l->text_room * 2 : 262144;
			char *text = realloc(l->text, room);

			if (!text)
				return -ENOMEM;
			l->text = text;
			l->text_room = room;
		}
		n = pread(fd, l->text + at, l->text_room - at - 1, (off_t)at);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	l->text[at] = 0;
	return 0;
}

static u64 status_pages(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtoull(p + strlen(key), NULL, 10) / (ORACLE_PAGE / 1024) : 0;
}

static int live_layout(struct world *w, u32 proc, struct layout *out, bool counts)
{
	struct live_world *l = live_of(w);
	int err = read_all(l, l->procs[proc].smaps_fd);

	if (!err)
		err = layout_parse(out, l->text);
	if (err || !counts)
		return err;
	err = read_all(l, l->procs[proc].status_fd);
	if (err)
		return err;
	out->has_counts = true;
	out->total_pages = status_pages(l->text, "VmSize:");
	out->locked_pages = status_pages(l->text, "VmLck:");
	out->data_pages = status_pages(l->text, "VmData:");
	out->stack_pages = status_pages(l->text, "VmStk:");
	return 0;
}

static bool live_alive(const struct world *w, u32 proc)
{
	return container_of(w, const struct live_world, world)->procs[proc].pid != 0;
}

static int live_file_fill(struct world *w, u32 inode, u64 page, u64 value)
{
	ssize_t n = pwrite(live_of(w)->fill_fds[inode], &value, sizeof(value),
			   (off_t)(page * ORACLE_PAGE));

	return n == sizeof(value) ? 0 : -EIO;
}

static u64 live_file_word(struct world *w, u32 inode, u64 page)
{
	u64 value = 0;

	if (pread(live_of(w)->fill_fds[inode], &value, sizeof(value), (off_t)(page * ORACLE_PAGE)) <
	    0)
		return 0;
	return value;
}

static void live_check(struct world *w)
{
}

static void live_stop(struct world *w)
{
	struct live_world *l = live_of(w);

	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		if (l->procs[i].pid) {
			kill(l->procs[i].pid, SIGKILL);
			waitpid(l->procs[i].pid, NULL, 0);
			close_proc(l, i);
		}
	for (u32 i = 0; i < ORACLE_FILES_MAX; i++)
		if (l->file_fds[i] >= 0)
			close(l->file_fds[i]);
	for (u32 i = 0; i < ORACLE_INODES_MAX; i++)
		if (l->fill_fds[i] >= 0)
			close(l->fill_fds[i]);
	munmap(l->ctl, LIVE_CTL_BYTES);
	close(l->ctl_fd);
	free(l->text);
	free(l);
}

static const struct world_ops live_ops = {
	.name = "live",
	.run = live_run,
	.layout = live_layout,
	.alive = live_alive,
	.file_fill = live_file_fill,
	.file_word = live_file_word,
	.check = live_check,
	.stop = live_stop,
};

/* ---- files: which inodes there are, and how they are opened ---------------------- */

#define INODES 3
static const u64 inode_bytes[INODES] = {6 * ORACLE_HUGE / 2 + 5 * ORACLE_PAGE,
					9 * ORACLE_PAGE + 100, 40 * ORACLE_PAGE};
static const struct {
	u32 inode;
	int mode;
} file_table[] = {
	{0, O_RDWR}, {0, O_RDWR},   {0, O_RDONLY}, {1, O_RDWR},
	{2, O_RDWR}, {2, O_RDONLY}, {0, O_WRONLY},
};

static int create_inode(struct live_world *l, struct image *image, u32 i, const char *dir)
{
	char path[160], link[64];
	struct stat st;
	ssize_t n;
	int fd;

	/* The name goes at once, the inode with its last descriptor: nothing is left behind. */
	snprintf(path, sizeof(path), "%s/mmsim-oracle-%d-%u", dir, getpid(), i);
	fd = i == 2 ? memfd_create("oracle", MFD_CLOEXEC)
		    : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	l->fill_fds[i] = fd;
	if (i != 2)
		unlink(path);
	if (ftruncate(fd, (off_t)inode_bytes[i]) || fstat(fd, &st))
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, image->inodes[i].name, ORACLE_NAME_MAX - 1);
	if (n < 0)
		return -errno;
	image->inodes[i].name[n] = 0;
	image->inodes[i].kind = i == 2 ? OINODE_MEMFD : OINODE_EXT4;
	image->inodes[i].major = major(st.st_dev);
	image->inodes[i].minor = minor(st.st_dev);
	image->inodes[i].ino = st.st_ino;
	image->inodes[i].size_bytes = inode_bytes[i];
	return 0;
}

static int create_files(struct live_world *l, struct image *image, const char *dir)
{
	char link[64];
	int err;

	image->inode_count = INODES;
	image->file_count = ARRAY_SIZE(file_table);
	for (u32 i = 0; i < INODES; i++) {
		err = create_inode(l, image, i, dir);
		if (err)
			return err;
	}
	for (u32 i = 0; i < ARRAY_SIZE(file_table); i++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", l->fill_fds[file_table[i].inode]);
		l->file_fds[i] = open(link, file_table[i].mode | O_CLOEXEC);
		if (l->file_fds[i] < 0)
			return -errno;
		image->files[i].inode = file_table[i].inode;
		image->files[i].readable = file_table[i].mode != O_WRONLY;
		image->files[i].writable = file_table[i].mode != O_RDONLY;
	}
	return 0;
}

/* ---- start ----------------------------------------------------------------------- */

static void limit(int resource, u64 bytes)
{
	struct rlimit r;

	if (bytes) {
		r.rlim_cur = r.rlim_max = bytes;
		setrlimit(resource, &r);
	}
}

/* In the new process. Descriptors go above the targets first, or dup2 would overwrite one. */
NORETURN static void become_child(struct live_world *l, const struct start_config *cfg)
{
	char *argv[] = {"oracle_child", NULL}, *envp[] = {NULL};
	int high[ORACLE_FILES_MAX], ctl = fcntl(l->ctl_fd, F_DUPFD, 100);

	for (u32 i = 0; i < ORACLE_FILES_MAX; i++)
		high[i] = l->file_fds[i] < 0 ? -1 : fcntl(l->file_fds[i], F_DUPFD_CLOEXEC, 100);
	for (u32 i = 0; i < ORACLE_FILES_MAX; i++)
		if (high[i] >= 0)
			dup2(high[i], LIVE_FILE_FD + (int)i);
	dup2(ctl, LIVE_CTL_FD);
	close(ctl);
	personality(ADDR_NO_RANDOMIZE);
	limit(RLIMIT_STACK, cfg->stack_bytes);
	limit(RLIMIT_DATA, cfg->data_bytes);
	limit(RLIMIT_AS, cfg->address_space_bytes);
	limit(RLIMIT_MEMLOCK, cfg->memlock_bytes);
	if (cfg->drop_ipc_lock)
		prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK);
	execve(ORACLE_CHILD_PATH, argv, envp);
	_exit(97);
}

static u64 limit_of(pid_t pid, int resource)
{
	struct rlimit r;

	if (prlimit(pid, resource, NULL, &r) || r.rlim_cur == RLIM_INFINITY)
		return ~0ull;
	return r.rlim_cur;
}

static u64 number_in(const char *path, const char *key, int base)
{
	char text[4096] = "", *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	p = n > 0 ? strstr(text, key) : NULL;
	return p ? strtoull(p + strlen(key), NULL, base) : 0;
}

static int read_limits(struct live_world *l, struct image *image)
{
	pid_t pid = l->procs[0].pid;
	char path[64];
	u64 caps;

	image->limits.max_map_count = (u32)number_in("/proc/sys/vm/max_map_count", "", 10);
	image->limits.address_space_bytes = limit_of(pid, RLIMIT_AS);
	image->limits.data_bytes = limit_of(pid, RLIMIT_DATA);
	image->limits.stack_bytes = limit_of(pid, RLIMIT_STACK);
	image->limits.memlock_bytes = limit_of(pid, RLIMIT_MEMLOCK);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	caps = number_in(path, "CapEff:", 16);
	image->limits.can_ipc_lock = caps >> CAP_IPC_LOCK & 1;
	if (!(caps >> CAP_SYS_RAWIO & 1))
		image->limits.mmap_min_addr = number_in("/proc/sys/vm/mmap_min_addr", "", 10);
	return image->limits.max_map_count ? 0 : -EINVAL;
}

/* Field 28 of /proc/PID/stat, counted behind the command's closing parenthesis. */
static u64 start_stack_of(pid_t pid)
{
	char path[64], text[2048] = "", *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	p = strrchr(text, ')');
	for (int field = 2; p && field < 28; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

/* The first mapping of a static image is the vdso's: its end is where top-down searches begin. */
static void find_places(struct live_world *l, struct image *image)
{
	struct op brk_op = {.kind = OP_BRK};
	struct result res = {0};

	for (u32 i = 0; i < image->layout.count; i++) {
		const struct lvma *v = &image->layout.vmas[i];

		if (!strcmp(v->name, "[vdso]"))
			image->mmap_base = v->end;
	}
	if (live_run(&l->world, &brk_op, &res))
		image->start_brk = (u64)res.ret;
	image->start_stack = start_stack_of(l->procs[0].pid);
	image->keep[0].start = 0;
	image->keep[0].end = image->start_brk;
	image->keep[1].start = LIVE_CTL_ADDR;
	image->keep[1].end = LIVE_CTL_ADDR + LIVE_CTL_BYTES;
}

static int start_process(struct live_world *l, const struct start_config *cfg)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		become_child(l, cfg);
	l->procs[0].pid = pid;
	if (!answered(l, 0, &l->ctl[0]))
		return -ESRCH;
	return open_proc(l, 0, pid) ? 0 : -ESRCH;
}

struct world *live_start(const struct start_config *cfg, struct image *image)
{
	struct live_world *l = calloc(1, sizeof(*l));
	int err = 0;

	memset(image, 0, sizeof(*image));
	if (!l)
		return NULL;
	l->world.ops = &live_ops;
	memset(l->file_fds, -1, sizeof(l->file_fds));
	memset(l->fill_fds, -1, sizeof(l->fill_fds));
	l->ctl_fd = memfd_create("oracle-control", MFD_CLOEXEC);
	if (l->ctl_fd < 0 || ftruncate(l->ctl_fd, LIVE_CTL_BYTES))
		err = -errno;
	l->ctl = mmap(NULL, LIVE_CTL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, l->ctl_fd, 0);
	if (!err && l->ctl == MAP_FAILED)
		err = -errno;
	if (!err)
		err = create_files(l, image, cfg->dir ? cfg->dir : live_dir(NULL));
	if (!err)
		err = start_process(l, cfg);
	if (!err)
		err = live_layout(&l->world, 0, &image->layout, true);
	if (!err)
		err = read_limits(l, image);
	if (!err)
		find_places(l, image);
	if (!err && !image->start_stack)
		err = -EINVAL;
	if (!err)
		return &l->world;
	fprintf(stderr, "oracle: live: cannot start: %s\n", strerror(-err));
	live_stop(&l->world);
	return NULL;
}
