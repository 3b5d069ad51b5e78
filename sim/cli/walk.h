/*
 * sim/cli/walk.h - mmsim walk: a machine's memory with tables in it, accesses, and what each of them met
 *
 * cmd_walk.c has the options, walk_values.c what is in them, walk_space.c the memory, walk_access.c the
 * accesses, walk_file.c tables in files, walk_show.c and walk_json.c what is printed. With --machine:
 * walk_run.c has the steps, walk_run_show.c and walk_run_json.c what is printed of them.
 */
#ifndef MMSIM_CLI_WALK_H
#define MMSIM_CLI_WALK_H

#include <setjmp.h>
#include <stdio.h>

#include <mmsim/arch.h>
#include <mmsim/machine_model.h>
#include <mmsim/page.h>
#include <mmsim/tlb.h>

#include "sim/cli/options.h"

/* Where things are in physical memory: tables that are built, pages that they map, and the end of
 * what tables in a file may use. Nothing is kept for a page but its entries. */
#define WALK_TABLES_PA 0x100000ull
#define WALK_TABLES_END (1ull << 30)
#define WALK_PAGES_PA (1ull << 32)
#define WALK_FILE_END (1ull << 36)

#define WALK_MAPS_MAX 64
#define WALK_TOUCHES_MAX 64
#define WALK_REGS_MAX 32
#define WALK_PROGRAM_MAX 4
#define WALK_SPACES_MAX 8

/* Physical memory with tables, and the registers that lead there. */
struct walk_space {
	const struct arch_desc *arch;
	struct machine *machine;
	struct memory mem;
	u64 reserved_bytes;	    /* of mem.direct_map */
	u64 tables_lo, tables_hi;   /* where tables may lie */
	struct mmu_regs regs;
	u64 next_table, next_page;
};

struct walk_mapping {
	u64 va, len, page_bytes;
	u64 pa; /* ~0: wherever there is room */
	u32 attrs, key;
	bool global;
	const char *option, *text; /* as it was typed, "map=" and what follows, for errors */
};

struct walk_access {
	u64 va;
	enum access_kind kind;
	bool user;
};

/* What an access met: entries as they were when they were read, and what became of them. */
struct walk_met {
	struct walk_step steps[ARCH_LEVELS_MAX + 1];
	pte_t after[ARCH_LEVELS_MAX + 1];
	u32 step_count;
	bool ok;
	struct mmu_walk w;
	u64 pa, page_bytes;	   /* ok */
	struct syndrome syndrome;  /* else */
	struct mmu_fault fault;	   /* ... as the kernel's fault entry decodes it */
	u64 counters[COUNTER_COUNT]; /* what the access added */
};

/* ---- walk_values.c --------------------------------------------------------------------------- */

/* Decimal or 0x.., and K, M, G or T behind it; *s moves on. */
bool walk_number(const char **s, u64 *out);
/* "ADDR:LEN:PERMS..."; option: what is in front of it, for errors: "map=". */
bool walk_parse_map(const struct arch_desc *a, const char *option, const char *text,
		    struct walk_mapping *m, struct cli_error *err);
/* "ADDR[:ACCESS]"; option: "touch". */
bool walk_parse_access(const char *option, const char *text, bool user, struct walk_access *x,
		       struct cli_error *err);
/* What a small program looks like: code, data, a huge page if there are any, a stack. How many. */
u32 walk_program(const struct arch_desc *a, struct walk_mapping program[WALK_PROGRAM_MAX]);

/* ---- walk_space.c ---------------------------------------------------------------------------- */

/* bytes: how far tables reach. Enters the machine. */
bool walk_space_init(struct walk_space *s, const struct arch_desc *a, u64 bytes,
		     struct cli_error *err);
void walk_space_destroy(struct walk_space *s);
/* An empty root for each half that has one of its own. */
bool walk_space_roots(struct walk_space *s, struct cli_error *err);
bool walk_map(struct walk_space *s, const struct walk_mapping *m, struct cli_error *err);
/* Call fn for each table that can be reached from the roots, parents first. */
void walk_each_table(const struct walk_space *s, void (*fn)(void *arg, u64 pa, u32 level), void *arg);
/* The doubleword as manuals number its bits: entries of big-endian tables are kept swapped. */
static inline u64 walk_entry_value(const struct arch_desc *a, pte_t e)
{
	return pte_swap(a, e);
}

/* Is the entry anything to the MMU? */
static inline bool walk_step_present(const struct arch_desc *a, const struct walk_step *step)
{
	return (step->entry & a->hw_present[step->level]) == a->hw_present[step->level];
}

/* ---- walk_access.c --------------------------------------------------------------------------- */

/* false: a table lies outside of the file's memory. */
bool walk_access(struct walk_space *s, const struct walk_access *x, struct walk_met *met,
		 struct cli_error *err);

/* ---- walk_file.c ----------------------------------------------------------------------------- */

struct walk_file {
	char *text; /* its bytes; a NUL follows */
	u64 bytes;
	bool raw;   /* an image of memory, not text */
	const struct arch_desc *arch; /* text may name it; NULL: it does not */
	u64 root[ARCH_ROOTS_MAX];
	u32 root_count;
};
/* Read it, and what its text says of arch and roots. */
bool walk_file_read(struct walk_file *f, const char *path, struct cli_error *err);
void walk_file_free(struct walk_file *f);
/* Its entries into memory; an image begins at physical address base. */
bool walk_file_load(const struct walk_file *f, const char *path, struct walk_space *s, u64 base,
		    struct cli_error *err);
bool walk_file_write(const struct walk_space *s, const char *path, struct cli_error *err);

/* ---- walk_show.c, walk_json.c ---------------------------------------------------------------- */

struct walk_report {
	const struct walk_space *space;
	const struct walk_access *touches, *access;
	const struct walk_met *touched, *met; /* touched[i] is of touches[i] */
	u32 touch_count;
};
void walk_show(FILE *out, const struct walk_report *r);
bool walk_json(FILE *out, const struct walk_report *r);

void walk_show_steps_title(FILE *out);
void walk_show_step(FILE *out, const struct arch_desc *a, const struct walk_step *step, u64 va);
/* "written ...", if now is not what the step read. */
void walk_show_written(FILE *out, const struct arch_desc *a, const struct walk_step *step, pte_t now);
void walk_show_fault(FILE *out, const struct arch_desc *a, const char *label, const struct mmu_walk *w,
		     const struct syndrome *syndrome, const struct mmu_fault *f, bool user);
/* The sizes of page that `of` says, as in "4 KiB, 2 MiB and 1 GiB". */
void walk_sizes(const struct arch_desc *a, bool (*of)(const struct arch_desc *a, u32 level), char text[128]);

extern const char *const walk_kind_names[ACCESS_KINDS];
extern const char *const walk_cause_texts[MMU_CAUSES];
const struct syndrome_kind *walk_syndrome(const struct arch_desc *a, const struct syndrome *s);
/* Names of entry e's bits, each preceded by a blank; an empty text when there is none. `only`: of
 * these bits. */
void walk_entry_bits(const struct arch_desc *a, pte_t e, u32 level, bool leaf, pte_t only, char *text,
		     size_t bytes);
/* Likewise of a hash table's entry. */
void walk_hash_bits(const struct arch_desc *a, pte_t e, char *text, size_t bytes);
/* What a table entry takes from everything below it, likewise. */
void walk_restricts(const struct arch_desc *a, pte_t e, u32 level, char *text, size_t bytes);
/* "rwx", with - for what is missing, of what users may do. */
void walk_rights(const struct arch_desc *a, u32 attrs, char text[4]);
void walk_size(u64 bytes, char text[32]);

/* ---- walk_run.c: a program, step by step, on a CPU of a modelled machine ----------------------- */

enum walk_what { WALK_ACCESS, WALK_MMAP, WALK_MUNMAP, WALK_MPROTECT, WALK_SWITCH };

struct walk_event {
	struct tlb_event e;
	pte_t after; /* TLB_EVENT_READ: the entry when the walk was over */
};

/* A step, and what came of it. */
struct walk_step_done {
	enum walk_what what;
	struct walk_access access; /* WALK_ACCESS */
	struct walk_mapping map;   /* calls */
	u32 space;		   /* of WALK_SWITCH; then: in which it was done, counted from 1 */
	u32 context;		   /* ... and what that is called in the TLB */
	u32 first_event, event_count; /* of walk_run.events */
	u64 start_ps, end_ps;
	s64 result; /* enum fault_result; of calls: 0 or -errno */
	u64 counters[COUNTER_COUNT];
};

struct walk_run {
	const struct arch_desc *arch; /* NULL until walk_run_machine(): the machine's */
	struct machine_model model;
	struct walk_mapping maps[WALK_MAPS_MAX];
	struct walk_step_done steps[WALK_TOUCHES_MAX + 1];
	struct walk_event *events;
	u32 map_count, step_count, event_count, event_room;
	/* while it runs */
	struct machine *machine;
	struct mm *spaces[WALK_SPACES_MAX];
	struct cli_error *err;
	bool ok;
};

bool walk_run_machine(struct walk_run *r, const char *name, struct cli_error *err);
/* Can the kernel's calls make such a mapping? */
bool walk_run_can_map(const struct walk_run *r, const struct walk_mapping *m, struct cli_error *err);
bool walk_parse_do(const struct walk_run *r, const char *text, struct walk_step_done *d,
		   struct cli_error *err);
bool walk_run(struct walk_run *r, struct cli_error *err);
const char *walk_context_name(const struct walk_run *r); /* PCID, ASID or PID */
/* What the kernel sends for an access that it gives up; NULL: none. */
const char *walk_run_signal(const struct walk_run *r, const struct walk_step_done *d);
/* The physical address that an access came to. */
u64 walk_run_pa(const struct walk_run *r, const struct walk_step_done *d);
void walk_run_show(FILE *out, const struct walk_run *r);
bool walk_run_json(FILE *out, const struct walk_run *r);

#endif
