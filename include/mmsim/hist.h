/*
 * mmsim/hist.h - log-linear latency histograms (the HdrHistogram layout), at most 1 % error
 *
 * Values are u64 (ns by habit); 128 linear buckets per power of two. Not thread-safe: one per task,
 * merged afterwards.
 */
#ifndef MMSIM_HIST_H
#define MMSIM_HIST_H

#include <mmsim/types.h>

struct hist;

struct hist *hist_create(void); /* NULL: no memory; the caller owns it */
void hist_destroy(struct hist *h);
void hist_reset(struct hist *h);
void hist_record(struct hist *h, u64 value);
void hist_merge(struct hist *into, const struct hist *from);
u64 hist_count(const struct hist *h);
u64 hist_max(const struct hist *h);  /* exact; 0 when empty */
double hist_mean(const struct hist *h); /* exact; 0 when empty */
/* The smallest recorded bucket's representative value at or above quantile q in [0, 1]. */
u64 hist_quantile(const struct hist *h, double q);
/* Visit non-empty buckets in order: [low, high], count. For --json. */
void hist_visit(const struct hist *h, void (*fn)(void *arg, u64 low, u64 high, u64 count), void *arg);

#endif
