/*
 * sim/hist.c - log-linear histograms: everything but hist_record(), which is inline
 *
 * Models       HdrHistogram's layout: row 0 holds 0..127 one by one, row r the values
 *              [128 << (r-1), 256 << (r-1)) in 128 buckets of 1 << (r-1).
 * Guarantee    hist_quantile() is within 1/256 of the exact order statistic; count, mean, max
 * exact. Callers      one thread at a time per histogram.
 */
#include <mmsim/hist.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hist *hist_create(void)
{
	return calloc(1, sizeof(struct hist));
}

void hist_destroy(struct hist *h)
{
	free(h);
}

void hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (u32 i = 0; i < HIST_BUCKET_COUNT; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	into->sum += from->sum;
	into->max = max(into->max, from->max);
}

u64 hist_count(const struct hist *h)
{
	return h->count;
}

u64 hist_max(const struct hist *h)
{
	return h->max;
}

double hist_mean(const struct hist *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0.0;
}

static u64 bucket_low(u32 idx)
{
	u32 row = idx / HIST_SUB_COUNT;

	if (row == 0)
		return idx;
	return (u64)(HIST_SUB_COUNT + idx % HIST_SUB_COUNT) << (row - 1);
}

static u64 bucket_high(u32 idx)
{
	u32 row = idx / HIST_SUB_COUNT;

	return row == 0 ? idx : bucket_low(idx) + ((1ull << (row - 1)) - 1);
}

u64 hist_quantile(const struct hist *h, double q)
{
	u64 seen = 0, rank;

	if (h->count == 0)
		return 0;
	rank = (u64)ceil(q * (double)h->count);
	rank = min(max(rank, (u64)1), h->count);
	if (rank == h->count)
		return h->max;
	for (u32 i = 0; i < HIST_BUCKET_COUNT; i++) {
		seen += h->buckets[i];
		if (seen >= rank) {
			u64 low = bucket_low(i);

			return min(low + (bucket_high(i) - low) / 2, h->max);
		}
	}
	MMSIM_BUG("hist: %llu recorded, %llu in buckets", (unsigned long long)h->count,
		  (unsigned long long)seen);
}

void hist_visit(const struct hist *h, void (*fn)(void *arg, u64 low, u64 high, u64 count),
		void *arg)
{
	for (u32 i = 0; i < HIST_BUCKET_COUNT; i++) {
		if (h->buckets[i])
			fn(arg, bucket_low(i), bucket_high(i), h->buckets[i]);
	}
}
