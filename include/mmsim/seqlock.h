/*
 * mmsim/seqlock.h - sequence counts: readers never write, and retry if a writer was inside
 *
 * Writers exclude each other by a lock of their own. A reader's loads between begin and retry must
 * be READ_ONCE() (they race with the writer by design).
 */
#ifndef MMSIM_SEQLOCK_H
#define MMSIM_SEQLOCK_H

#include <mmsim/atomic.h>

typedef struct {
	u32 sequence; /* odd while a writer is inside */
} seqcount_t;

static inline void seqcount_init(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, 0u);
}

/* Pairs with write_seqcount_end()'s release. Never waits: an odd value means "a writer is inside". */
static inline u32 raw_read_seqcount(const seqcount_t *s)
{
	return smp_load_acquire(&s->sequence);
}

/* Waits (spins) while a writer is inside. */
static inline u32 read_seqcount_begin(const seqcount_t *s)
{
	u32 seq;

	while ((seq = raw_read_seqcount(s)) & 1)
		cpu_relax();
	return seq;
}

/* True: a writer was inside since begin returned seq; use nothing that was read. */
static inline bool read_seqcount_retry(const seqcount_t *s, u32 seq)
{
	smp_rmb();
	return READ_ONCE(s->sequence) != seq;
}

static inline void write_seqcount_begin(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_wmb(); /* odd before the changes; pairs with smp_rmb() in read_seqcount_retry() */
}

static inline void write_seqcount_end(seqcount_t *s)
{
	smp_store_release(&s->sequence, s->sequence + 1); /* the changes before even */
}

#endif
