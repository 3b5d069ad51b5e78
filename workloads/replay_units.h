/*
 * workloads/replay_units.h - which recorded addresses moved together, and who used them last
 *
 * A *unit* is a stretch of recorded address space that keeps its inner distances when it is
 * replayed: what one mmap returned, with everything that was later put into it with MAP_FIXED. At
 * run time a unit has a delta: actual address = recorded address + delta. Unit 0 is what stays
 * where it was recorded: the image, the heap, the stack.
 * The map of a space says, at one point of the recorded order, which unit each address is of, which
 * step last changed the mapping there, and which steps touched it since.
 * Tests        tests/unit/workloads/test_replay_units.c
 */
#ifndef MMSIM_WORKLOADS_REPLAY_UNITS_H
#define MMSIM_WORKLOADS_REPLAY_UNITS_H

#include <mmsim/types.h>

#define UNIT_FIXED 0u
#define UNIT_NONE UINT32_MAX

/* A step of a task. */
struct step_ref {
	u32 task, step;
};

struct unit_entry {
	u64 start, end;
	u32 unit;
	u32 prot;                 /* PROT_*: what the recorded program might do here */
	struct step_ref writer;   /* the last to change the mapping */
	struct step_ref *readers; /* the last touch of each task since */
	u32 reader_count, reader_cap;
};

struct unit_map {
	struct unit_entry *entries; /* sorted, disjoint */
	u32 count, cap;
};

void unit_map_free(struct unit_map *m);
/* Index of the first entry that ends above addr (m->count: none). */
u32 unit_map_lower(const struct unit_map *m, u64 addr);
/* The entry that contains addr, or NULL. Valid until the map changes. */
struct unit_entry *unit_map_find(const struct unit_map *m, u64 addr);
/* Cut entries at addr, so that none spans it. false: no memory. */
bool MUST_CHECK unit_map_split(struct unit_map *m, u64 addr);
/* Forget [start, end). */
bool MUST_CHECK unit_map_remove(struct unit_map *m, u64 start, u64 end);
/* [start, end) is of `unit`, made by `writer`; whatever was there is forgotten. */
bool MUST_CHECK unit_map_set(struct unit_map *m, u64 start, u64 end, u32 unit, u32 prot,
			     struct step_ref writer);
/* Remember that `by` touched the entry. */
bool MUST_CHECK unit_entry_touch(struct unit_entry *e, struct step_ref by);
/* fork: to becomes a copy; in both, everything was last changed by `writer` and not touched since.
 */
bool MUST_CHECK unit_map_fork(struct unit_map *to, struct unit_map *from, struct step_ref writer);

#endif
