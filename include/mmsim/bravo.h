/*
 * mmsim/bravo.h - BRAVO on an rwsem: readers mark themselves in a table instead of counting
 *
 * Models       Dice and Kogan (ATC'19). While a lock is biased towards readers, a reader writes
 *              the lock's name into a slot of a table that all locks of the machine share, chosen by a
 *              hash of lock and task, and looks at the bias again: it then holds the lock without
 *              having touched the rwsem. If the slot is taken or the bias is off it takes the rwsem. A
 *              writer takes the rwsem, ends the bias, and waits for each slot that names the lock.
 *              Readers on the slow path turn the bias on again, not before BRAVO_INHIBIT times the
 *              time has passed that the last revocation took.
 * Leaves out   nothing of the paper's. A writer spins for the slots, as there, but lets other tasks run.
 * Guarantee    the rwsem's. Two ints' worth of state beside it; the table is 32 KiB per machine.
 * Context      may sleep, except the trylocks and the unlocks.
 * Progress     a writer waits for marked readers without a bound, and newcomers then queue at the
 *              rwsem: no new reader overtakes it.
 * Lock order   the rwsem's rank.
 */
#ifndef MMSIM_BRAVO_H
#define MMSIM_BRAVO_H

#include <mmsim/rwsem.h>

#define BRAVO_SLOTS 4096
#define BRAVO_INHIBIT 9

struct machine;

struct bravo_table {
	u64 slots[BRAVO_SLOTS]; /* (atomic) the lock's name, or 0 */
	u32 names;		/* (atomic) the last name given */
};
/* NULL: the host has no memory. */
struct bravo_table *bravo_table_create(struct machine *m);
void bravo_table_destroy(struct machine *m, struct bravo_table *table);

/* As in the paper the bias lies beside the lock's own words. */
struct bravo_rwsem {
	struct rwsem sem;
	u32 bias;		   /* (atomic) readers may use the table */
	u32 name;		   /* (c) */
	u64 inhibit_until_ns;	   /* (atomic) */
	struct bravo_table *table; /* (c) */
} __cacheline_aligned;

/* One read lock: where it is marked. The owner's; who is to unlock in its stead needs it. */
struct bravo_hold {
	u64 *slot; /* NULL: it has the rwsem */
};

void bravo_init(struct bravo_rwsem *b, struct bravo_table *table, enum lock_rank rank);

void bravo_down_read(struct bravo_rwsem *b, struct bravo_hold *hold);
/* 0, or -EINTR if the task was killed while it waited (nothing is held then). */
int MUST_CHECK bravo_down_read_killable(struct bravo_rwsem *b, struct bravo_hold *hold);
bool MUST_CHECK bravo_down_read_trylock(struct bravo_rwsem *b, struct bravo_hold *hold);
void bravo_up_read(struct bravo_rwsem *b, struct bravo_hold *hold);
/* Taken by another task, or left to another one to drop: outside the books of the lock order. */
bool MUST_CHECK bravo_down_read_trylock_non_owner(struct bravo_rwsem *b, struct bravo_hold *hold);
void bravo_up_read_non_owner(struct bravo_rwsem *b, struct bravo_hold *hold);

void bravo_down_write(struct bravo_rwsem *b);
/* A second lock of the same rank (fork). */
void bravo_down_write_nested(struct bravo_rwsem *b);
int MUST_CHECK bravo_down_write_killable(struct bravo_rwsem *b);
bool MUST_CHECK bravo_down_write_trylock(struct bravo_rwsem *b);
void bravo_up_write(struct bravo_rwsem *b);

/* Write to read without a gap; hold is set for bravo_up_read(). */
void bravo_downgrade_write(struct bravo_rwsem *b, struct bravo_hold *hold);

/* Advisory, racy: for assertions and back-off. bravo_is_locked() looks at the whole table. */
bool bravo_is_locked(const struct bravo_rwsem *b);
bool bravo_is_write_locked(const struct bravo_rwsem *b);
bool bravo_is_contended(const struct bravo_rwsem *b);

#endif
