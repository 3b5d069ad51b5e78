/*
 * sim/trace/trace.h - a recording of real programs, as `perf script` prints it, in memory
 *
 * What is kept   The events that decide an address space: system calls on mappings and tasks,
 *                page faults, PERF_RECORD_MMAP2 / COMM / FORK / EXIT / LOST. One compact record
 *                each, in the order of the recording. Anything else is counted by name.
 * Guarantee      A trace that trace_load() returns is well formed line by line: every number was
 *                there, every line ended. It says nothing about whether the events make sense
 *                together: that is plan.h's.
 * Errors         One line of text that names the file and the line.
 * Threads        None: one caller; a loaded trace is constant.
 * Tests          tests/unit/sim/trace/test_parse.c, tests/bench/bench_trace_parse.c
 */
#ifndef MMSIM_SIM_TRACE_TRACE_H
#define MMSIM_SIM_TRACE_TRACE_H

#include <mmsim/types.h>

/* System calls that are understood: X(name, number of arguments that are read). */
#define TRACE_SYSCALLS(X)                                                                          \
	X(mmap, 6)                                                                                 \
	X(munmap, 2)                                                                               \
	X(mprotect, 3)                                                                             \
	X(pkey_mprotect, 3)                                                                        \
	X(mremap, 5)                                                                               \
	X(madvise, 3)                                                                              \
	X(brk, 1)                                                                                  \
	X(mlock, 2)                                                                                \
	X(mlock2, 3)                                                                               \
	X(munlock, 2)                                                                              \
	X(mlockall, 1)                                                                             \
	X(munlockall, 0)                                                                           \
	X(clone, 2)                                                                                \
	X(clone3, 0)                                                                               \
	X(fork, 0)                                                                                 \
	X(vfork, 0)                                                                                \
	X(execve, 0)                                                                               \
	X(execveat, 0)                                                                             \
	X(exit, 0)                                                                                 \
	X(exit_group, 0)                                                                           \
	X(shmdt, 1)                                                                                \
	X(open, 0)                                                                                 \
	X(openat, 0)                                                                               \
	X(openat2, 0)                                                                              \
	X(creat, 0)                                                                                \
	X(memfd_create, 0)                                                                         \
	X(close, 1)                                                                                \
	X(dup, 1)                                                                                  \
	X(dup2, 2)                                                                                 \
	X(dup3, 2)

#define TRACE_SYSCALL_ENUM(name, nargs) SYS_TRACE_##name,
enum trace_syscall { TRACE_SYSCALLS(TRACE_SYSCALL_ENUM) TRACE_SYSCALL_COUNT };
#undef TRACE_SYSCALL_ENUM

#define TRACE_ARGS_MAX 6

enum trace_kind {
	TRACE_ENTER, /* sys; arg[0], arg[1]; the others in pool[ext..] */
	TRACE_EXIT,  /* sys; arg[0]: the result, as s64 */
	TRACE_FAULT, /* arg[0]: address, arg[1]: x86 error code */
	TRACE_MAP, /* PERF_RECORD_MMAP2; arg[0], arg[1]: start, length; pool[ext..]: trace_map_field
		    */
	TRACE_COMM,      /* arg[0]: 1 for an exec; arg[1]: pid << 32 | tid; ext: name */
	TRACE_FORK,      /* arg[0]: child's pid << 32 | tid, arg[1]: parent's */
	TRACE_TASK_EXIT, /* arg[0]: pid << 32 | tid */
	TRACE_LOST,      /* arg[0]: records */
	TRACE_NEWTASK,   /* task:task_newtask; arg[0]: tid of the child, arg[1]: clone flags */
	TRACE_SIGNAL, /* signal:signal_generate to the task itself; arg[0]: signal, arg[1]: code */
};

enum trace_map_field { MAP_PGOFF, MAP_DEV, MAP_INO, MAP_GENERATION, MAP_NAME, MAP_FIELDS };
/* event->flags of TRACE_MAP */
enum { TRACE_MAP_READ = 1, TRACE_MAP_WRITE = 2, TRACE_MAP_EXEC = 4, TRACE_MAP_SHARED = 8 };
/* event->flags of TRACE_FAULT */
enum { TRACE_FAULT_KERNEL = 1 };

struct trace_event {
	u64 time_ns;
	u64 arg[2];
	u32 task; /* index into tasks[]: who did it, by the line's own pid/tid */
	u32 ext;  /* index into pool[], or a name */
	u8 kind;  /* enum trace_kind */
	u8 sys;   /* enum trace_syscall */
	u8 flags;
	u8 unused[5];
};

/* A distinct "pid/tid" at the head of a line. */
struct trace_task {
	s32 pid, tid;
	u32 comm; /* name at the first line */
};

/* Events that are not understood. */
struct trace_unknown {
	u32 name;
	u64 count;
};

struct trace {
	struct trace_event *events;
	u64 event_count;
	u64 line_count;
	struct trace_task *tasks;
	u32 task_count;
	u64 *pool;
	u64 pool_count;
	char *names; /* all names, each NUL-terminated; a name is an offset. 0 is "". */
	u64 names_bytes;
	struct trace_unknown *unknown;
	u32 unknown_count;
	u64 lost; /* records that perf had to drop */
	u64 last_ns; /* the latest */
	u64 backwards; /* lines that are of an earlier time than one before them: perf sorts, so the
			* recording was mixed up afterwards */
	u64 backwards_line; /* the first of them, from 1 */
};

struct trace_error {
	char text[320];
};

static inline const char *trace_name(const struct trace *t, u32 name)
{
	return t->names + name;
}
/* Argument i of a TRACE_ENTER. */
static inline u64 trace_arg(const struct trace *t, const struct trace_event *e, u32 i)
{
	return i < 2 ? e->arg[i] : t->pool[e->ext + i - 2];
}
static inline u64 trace_map_field(const struct trace *t, const struct trace_event *e,
				  enum trace_map_field f)
{
	return t->pool[e->ext + f];
}
static inline s32 trace_pid(u64 pid_tid)
{
	return (s32)(pid_tid >> 32);
}
static inline s32 trace_tid(u64 pid_tid)
{
	return (s32)pid_tid;
}

/* Number of arguments that are kept of a call, and its name. */
extern const u8 trace_syscall_args[TRACE_SYSCALL_COUNT];
extern const char *const trace_syscall_name[TRACE_SYSCALL_COUNT];

/*
 * Read a whole recording: path is a file (plain, .gz, .xz, .zst: by content), or "-" for standard
 * input. 0; -EINVAL: not a usable recording, or unreadable; -ENOMEM. err->text says why.
 */
int MUST_CHECK trace_load(const char *path, struct trace **out, struct trace_error *err);
/* The same from memory, uncompressed; `name` is for messages. */
int MUST_CHECK trace_parse(const char *text, size_t bytes, const char *name, struct trace **out,
			   struct trace_error *err);
void trace_free(struct trace *t);

#endif
