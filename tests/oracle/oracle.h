/*
 * tests/oracle/oracle.h - the same calls in two worlds: the live kernel, and the model
 *
 * Models       A *world* is a small tree of processes that can be told to make one memory call at a
 *              time, and that shows the layout of each process. Two implementations: live.c (real
 *              processes of this machine's kernel) and model.c (mm_*). Whatever is run in both must
 *              give the same results and the same layouts, line for line and flag for flag.
 * Leaves out   Concurrency: one call at a time.
 * Users        fuzz_kernel.c (random calls), script.c (drawn cases: test_vma_cases, test_syscalls).
 * Errors       -errno for the host's refusals. A call's own result is in struct result.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <stdio.h>
#include <mmsim/mm.h>

#define ORACLE_PROCS_MAX 8
#define ORACLE_FILES_MAX 8
#define ORACLE_INODES_MAX 4
#define ORACLE_NAME_MAX 192
#define ORACLE_PAGE ((u64)4096)
#define ORACLE_HUGE ((u64)2 << 20)

/* ---- calls ----------------------------------------------------------------------- */

/* Arguments by kind, in struct op's a[]. */
enum op_kind {
	OP_MMAP,       /* addr len prot flags offset; file: index or -1 */
	OP_MUNMAP,     /* addr len */
	OP_MPROTECT,   /* addr len prot */
	OP_MADVISE,    /* addr len advice */
	OP_MREMAP,     /* addr old_len new_len flags new_addr */
	OP_MLOCK,      /* addr len */
	OP_MLOCK2,     /* addr len: MLOCK_ONFAULT */
	OP_MUNLOCK,    /* addr len */
	OP_MLOCKALL,   /* flags */
	OP_MUNLOCKALL, /* */
	OP_BRK,        /* addr */
	OP_READ,       /* addr: the 64-bit word there */
	OP_WRITE,      /* addr value */
	OP_FORK,       /* child: the new process's slot */
	OP_EXIT,
	OP_KIND_COUNT,
};

struct op {
	enum op_kind kind;
	u8 proc;  /* the slot of the process that makes the call */
	u8 child; /* OP_FORK */
	int file; /* OP_MMAP: index in image.files, -1: none */
	u64 a[5];
};

/* What a touch that raised a signal returns in result.ret. */
enum touch_result {
	TOUCH_MAPERR = -1001,
	TOUCH_ACCERR = -1002,
	TOUCH_SIGBUS = -1003,
	TOUCH_OTHER = -1004
};

struct result {
	s64 ret;   /* address, 0 or -errno; enum touch_result */
	u64 value; /* OP_READ: the word */
};

const char *op_name(enum op_kind kind);
/* As strace would print it, without newline. */
void op_print(const struct op *op, FILE *out);
/* "0x7f..", "0", "-ENOMEM (..)", "SIGSEGV (MAPERR)" */
void result_print(const struct op *op, const struct result *res, FILE *out);

/* ---- layouts --------------------------------------------------------------------- */

struct lvma {
	u64 start, end, offset, ino;
	u32 major, minor;
	char perms[5];
	bool touched; /* holds anonymous pages (live world only; smaps' Anonymous) */
	u64 flags;    /* enum vm_flag, ORACLE_FLAGS only; 0 when they were not read */
	char name[ORACLE_NAME_MAX];
};
struct layout {
	u32 count, room;
	bool has_flags;
	struct lvma *vmas;
	/* pages: total_vm, locked_vm, data_vm, stack_vm; valid when has_counts */
	bool has_counts;
	u64 total_pages, locked_pages, data_pages, stack_pages;
};

/* Flags that both worlds show (VmFlags of smaps). */
#define ORACLE_FLAGS                                                                               \
	(VM_READ | VM_WRITE | VM_EXEC | VM_SHARED | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC |        \
	 VM_MAYSHARE | VM_GROWSDOWN | VM_PFNMAP | VM_IO | VM_LOCKED | VM_LOCKONFAULT |             \
	 VM_SEQ_READ | VM_RAND_READ | VM_DONTCOPY | VM_DONTEXPAND | VM_ACCOUNT | VM_NORESERVE |    \
	 VM_WIPEONFORK | VM_DONTDUMP | VM_MIXEDMAP | VM_HUGEPAGE | VM_NOHUGEPAGE | VM_MERGEABLE)

/* Text of /proc/PID/maps or smaps (with VmFlags). [vsyscall] is left out. 0 or -ENOMEM, -EINVAL. */
int MUST_CHECK layout_parse(struct layout *l, char *text);
void layout_free(struct layout *l);
/* Index of the VMA that contains addr, or -1. */
int layout_find(const struct layout *l, u64 addr);
void layout_print(const struct layout *l, FILE *out);
void lvma_print(const struct lvma *v, FILE *out);
/* VmFlags' two-letter names of flags, space separated. */
void flags_print(u64 flags, FILE *out);

/*
 * Equal? Inodes without a name left ("(deleted)": shared anonymous memory, our files) are numbered
 * by each kernel as it likes: they are equal when the same pairs always meet (struct ino_pairs
 * grows as pairs are seen). Differences go to out when it is not NULL.
 */
struct ino_pairs {
	u32 count, room;
	struct {
		u64 a, b;
	} * pairs;
};
bool layout_equal(const struct layout *a, const struct layout *b, struct ino_pairs *pairs,
		  FILE *out);

/* ---- how a process starts -------------------------------------------------------- */

struct oinode {
	enum inode_kind_oracle { OINODE_EXT4, OINODE_MEMFD } kind;
	u32 major, minor;
	u64 ino, size_bytes;
	char name[ORACLE_NAME_MAX];
};
struct ofile {
	u32 inode; /* index in image.inodes */
	bool readable, writable;
};

/* Everything that a world needs to begin where another one did. */
struct image {
	struct layout layout;
	u64 mmap_base, start_brk, start_stack;
	struct mm_limits limits;
	/* What a script or fuzzer must leave alone: the live process's own code and data. */
	struct {
		u64 start, end;
	} keep[2];
	u32 file_count, inode_count;
	struct ofile files[ORACLE_FILES_MAX];
	struct oinode inodes[ORACLE_INODES_MAX];
};

/* The image of a live process on some 6.18 machine, for use where there is no such kernel. */
int MUST_CHECK image_default(struct image *image);
void image_free(struct image *image);

/* What may differ between starts. 0: the machine's own value. */
struct start_config {
	u64 address_space_bytes, data_bytes, stack_bytes, memlock_bytes;
	bool drop_ipc_lock;
	const char *dir; /* where the ext4 files go; NULL: live_dir(NULL) */
};

/* ---- worlds ---------------------------------------------------------------------- */

struct world;
struct world_ops {
	const char *name;
	/* false: the process does not exist (or, for OP_FORK, the child's slot is in use). A world
	 * that breaks down (live: a process died) says so on stderr and sets world->broken. */
	bool (*run)(struct world *w, const struct op *op, struct result *res);
	/* 0 or -errno. counts: the sums too. */
	int (*layout)(struct world *w, u32 proc, struct layout *out, bool counts);
	bool (*alive)(const struct world *w, u32 proc);
	/* Set or ask the word of a page of an inode, beside all mappings. */
	int (*file_fill)(struct world *w, u32 inode, u64 page, u64 value);
	u64 (*file_word)(struct world *w, u32 inode, u64 page);
	/* Invariants of the world's own; no-op where there are none. */
	void (*check)(struct world *w);
	void (*stop)(struct world *w);
};
struct world {
	const struct world_ops *ops;
	bool broken;
};

/* NULL when this machine can be the oracle; else one line that says why not. */
const char *live_unusable(void);
/* A directory on ext4 for the files: `wanted` if it is one, else (wanted NULL) the first of ".",
 * $TMPDIR, /tmp, /var/tmp, $HOME that is; or NULL. */
const char *live_dir(const char *wanted);
/* Slot 0 runs. image is filled; image_free() it. NULL: a line went to stderr. */
struct world *MUST_CHECK live_start(const struct start_config *cfg, struct image *image);
/* The caller must not be inside a machine: the world enters its own. One at a time per thread. What
 * the calls do must not depend on the locking scheme. */
extern const struct vma_tree_type *model_tree; /* of worlds started from here on; NULL: MMSIM_TREE's */
struct world *MUST_CHECK model_start(const struct image *image, const struct mm_locking *scheme);
/* The pages of the stack hold what exec put there: zero them, so that contents compare. */
void world_settle(struct world *w, const struct image *image);

/* ---- scripts: cases drawn as address lines (script.c) ---------------------------- */

/* Lines up to NULL; see script.c for the language. true: all steps went as drawn. Else the first
 * that did not is described in out. */
bool script_run(struct world *w, const struct image *image, const char *const *lines, FILE *out);

#endif
