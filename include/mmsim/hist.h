/*
 * mmsim/hist.h - log-linear latency histograms (the HdrHistogram layout), at most 1 % error
 *
 * Values are u64 (ns by habit); 128 linear buckets per power of two, so a bucket is at most 1/128 of
 * its values wide and its middle is within 0.4 % of each. Values below 128 are exact. Not
 * thread-safe: one per task, merged afterwards.
 */
#ifndef MMSIM_HIST_H
#define MMSIM_HIST_H

#include <mmsim/types.h>

#define HIST_SUB_BITS 7
#define HIST_SUB_COUNT (1u << HIST_SUB_BITS)
#define HIST_BUCKET_COUNT ((64u - HIST_SUB_BITS + 1) * HIST_SUB_COUNT)

/* Private to hist.c, but for hist_record(). */
struct hist {
	u64 count;
	u64 max;
	unsigned __int128 sum;
	u64 buckets[HIST_BUCKET_COUNT];
};

struct hist *hist_create(void); /* NULL: no memory; the caller owns it */
void hist_destroy(struct hist *h);
void hist_reset(struct hist *h);
void hist_merge(struct hist *into, const struct hist *from);
u64 hist_count(const struct hist *h);
u64 hist_max(const struct hist *h);  /* exact; 0 when empty */
double hist_mean(const struct hist *h); /* exact; 0 when empty */
/* The representative value of the bucket that holds the value of rank ceil(q x count), counted from
 * 1 upwards; q in [0, 1]. 0 when empty; never above hist_max(). */
u64 hist_quantile(const struct hist *h, double q);
/* Visit non-empty buckets in order: [low, high], count. For --json. */
void hist_visit(const struct hist *h, void (*fn)(void *arg, u64 low, u64 high, u64 count), void *arg);

/* The exponent selects a row of 128 buckets, the 7 bits after the leading one the bucket in it. */
static inline u32 hist_bucket_idx(u64 value)
{
	u32 shift;

	if (value < HIST_SUB_COUNT)
		return (u32)value;
	shift = 63 - HIST_SUB_BITS - (u32)__builtin_clzll(value);
	/* value >> shift is in [128, 256): its leading one steps into the next row. */
	return shift * HIST_SUB_COUNT + (u32)(value >> shift);
}

static inline void hist_record(struct hist *h, u64 value)
{
	h->buckets[hist_bucket_idx(value)]++;
	h->count++;
	h->sum += value;
	if (unlikely(value > h->max))
		h->max = value;
}

#endif
