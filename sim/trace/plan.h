/*
 * sim/trace/plan.h - what a recording means: actions on address spaces, in the order they took
 * effect
 *
 * Models       The rules of docs/REPLAY.md: when a recorded call took effect, what exec builds, who
 *              shares an address space, which mappings are of the same open file. From the
 *              recording alone, without a simulated mm, so that both orders of replay start here.
 * Guarantee    Actions are in one order that explains the recording; times do not decrease. Every
 *              space is created before it is used and put after its last use (or never).
 * Tests        tests/unit/sim/trace/test_plan.c
 */
#ifndef MMSIM_SIM_TRACE_PLAN_H
#define MMSIM_SIM_TRACE_PLAN_H

#include "sim/trace/trace.h"

#define PLAN_NONE UINT32_MAX

enum plan_kind {
	PLAN_SPACE_NEW,     /* space: empty (an exec, or a process that ran before the recording) */
	PLAN_SPACE_FORK,    /* space: the parent's; a: the child's, a copy */
	PLAN_SPACE_PUT,     /* space: nobody uses it any more */
	PLAN_IMAGE_FILE,    /* call: a segment at a fixed place */
	PLAN_IMAGE_TRIM,    /* unmap [a, a + b): the tail of an image's first segment */
	PLAN_IMAGE_ANON,    /* bss [a, a + b); flags: TRACE_MAP_EXEC */
	PLAN_IMAGE_SPECIAL, /* [a, a + b) named by the record `event`; flags: TRACE_MAP_* */
	PLAN_IMAGE_STACK,   /* call: arg[0], arg[1]: start, length; arg[2]: start_stack */
	PLAN_IMAGE_DONE, /* a: mmap_base (0: unknown), b: start of the heap (0: never asked for) */
	PLAN_CALL,       /* call: a system call, whole, or the rest of one after PLAN_STEPs; flags:
			  * PLAN_CALL_* */
	PLAN_RETURN,     /* call: returns; it was a PLAN_CALL_EARLY before */
	PLAN_STEP,       /* call: the part of an mprotect up to the VMA of one record */
	PLAN_RECORD,     /* event: an MMAP2 record to compare with what there is now */
	PLAN_ORPHAN,     /* call: a mapping that no recorded call explains, at its place */
	PLAN_FAULT,      /* a: address, b: x86 error code; flags: PLAN_FAULT_* */
	PLAN_TASK_START, /* a: task that may run from here on; flags: PLAN_START_* */
	PLAN_TASK_EXIT,  /* the task's last action */
	PLAN_KINDS,
};
/* Before the call returned, because another one took effect: the order is a guess. */
enum { PLAN_CALL_EARLY = 1 };
enum { PLAN_START_SHARES = 1 }; /* a process of its own in its parent's space (vfork) */
enum { PLAN_FAULT_KERNEL = 1, PLAN_FAULT_SIGNAL = 2 /* the recorded kernel sent SIGSEGV */ };

struct plan_action {
	u64 time_ns;
	u64 a, b;
	u64 event; /* index of the deciding trace event */
	u32 task;  /* plan task */
	u32 space;
	u32 call; /* index into calls[], or PLAN_NONE */
	u8 kind;
	u8 flags;
	u8 unused[2];
};

/* A system call, or what stands for one. */
struct plan_call {
	u64 arg[TRACE_ARGS_MAX];
	s64 result;
	u64 enter_event, exit_event; /* exit_event ~0: not recorded */
	u64 enter_ns, exit_ns;
	u64 first_record; /* MMAP2 event inside, or ~0 */
	u32 records;
	u32 file; /* plan file of an mmap, or PLAN_NONE */
	u32 task;
	u32 clone_flags; /* of a clone: known, or 0 */
	u8 sys;
	bool has_result;
	bool emitted;
	bool early; /* is a PLAN_CALL_EARLY */
	bool lazy;  /* is in its space's list of calls that have not taken effect */
};

struct plan_inode {
	u64 dev, ino, generation;
	u32 name;
	u8 kind;        /* enum inode_kind (mmsim/file.h) */
	u64 size_bytes; /* the furthest byte that is mapped: files are at least that long */
};

/* An open file: what VMAs must share to merge. */
struct plan_file {
	u32 inode;
	bool writable;
};

struct plan_proc {
	s32 pid;
	u32 name;         /* the last one */
	u32 space;        /* the current one, PLAN_NONE before and after */
	u32 parent;       /* process, or PLAN_NONE */
	u32 live;         /* tasks that have not exited */
	bool execing;     /* between COMM exec and sys_exit_execve */
	bool was_running; /* began before the recording: its mappings are unknown */
	u32 *fds;         /* plan file by descriptor, PLAN_NONE: unknown */
	u32 fd_count;
	u64 faults;
};

struct plan_task {
	s32 pid, tid;
	u32 proc;
	u32 parent; /* task that created it, or PLAN_NONE */
	u32 open_call;
	u64 last_fault; /* action, ~0: the last event was none */
	bool exited;
};

struct plan_space {
	u32 users;       /* processes */
	u32 parent;      /* it is a copy of, or PLAN_NONE */
	u64 done_action; /* PLAN_IMAGE_DONE, ~0: none */
	bool brk_known;
	u32 *lazy; /* calls entered, not yet taken effect */
	u32 lazy_count, lazy_cap;
	/* while the image is built */
	u64 image_start, image_end,
		image_pgoff; /* first segment, whose size is the whole image's */
	u64 highest_end;
	u64 stack_start, stack_end;
	u32 stack_call;
	u32 image_file;
	bool was_running; /* mappings of before the recording: PLAN_IMAGE_DONE is due */
	bool image_open;  /* no second record came yet */
};

struct plan {
	const struct trace *t;
	struct plan_action *actions;
	u64 action_count;
	struct plan_call *calls;
	u32 call_count;
	struct plan_proc *procs;
	u32 proc_count;
	struct plan_task *tasks;
	u32 task_count;
	struct plan_space *spaces;
	u32 space_count;
	struct plan_inode *inodes;
	u32 inode_count;
	struct plan_file *files;
	u32 file_count;
	u64 fault_count;
};

/* 0, -EINVAL (err says why) or -ENOMEM. The trace must outlive the plan. */
int MUST_CHECK plan_create(const struct trace *t, struct plan **out, struct trace_error *err);
void plan_free(struct plan *p);

/* The process that had this pid last, or PLAN_NONE. */
u32 plan_find_pid(const struct plan *p, s32 pid);

#endif
