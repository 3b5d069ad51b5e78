/*
 * sim/lock_stat.c - lock statistics: what each task holds and waits for, and sums by class and site
 *
 * Models       Linux's lock_stat, whose hooks are lock_contended, lock_acquired, lock_release: an
 *              acquisition is contended if it had to wait, its wait is counted to its own site, its
 *              hold from acquisition to release.
 * Collecting   A task writes only what is its own: a list of what it holds, and (natively) its own
 *              records; they are merged when nobody runs. In virtual time one host thread runs all
 *              tasks: they share the records. A task whose list is of an earlier epoch empties it first.
 * Price        In virtual time nothing here is priced, and no simulated memory is written.
 * Leaves out   bounces of cache lines (--hot-lines), try locks that failed.
 * Tests        tests/unit/sim/test_lock_stat.c, tests/cli/lock_stat.sh
 */
#include <mmsim/lock_stat.h>

#include <mmsim/cpu.h>
#include <mmsim/hist.h>
#include <mmsim/rcu.h>
#include <mmsim/spinlock.h>

#include <stdlib.h>
#include <string.h>

#include "sim/symbols.h"

#if defined(MMSIM_ENGINE_VIRTUAL) || defined(MMSIM_LOCK_STAT)

#define RECORD_BUCKETS 256
#define TASK_IDS_MAX (2 * MMSIM_CPU_IDS_MAX + MMSIM_TASKS_MAX)

/* What one call site did to locks of one class in one mode. */
struct record {
	struct record *next;
	const char *class;
	const void *site;
	bool write;
	u64 acquisitions;
	const char *site_name; /* looked up for the timeline; NULL: not yet */
	struct hist wait, hold;
};

struct records {
	struct record *buckets[RECORD_BUCKETS];
};

/* A lock that a task holds or waits for. */
struct held {
	const void *lock;
	struct record *record;
	u64 since_ns; /* that it waits, or that it holds */
	bool waits;
	s64 holder; /* while it waits, for the timeline */
	u64 holders;
};

struct lock_task {
	u64 epoch;
	u32 count, capacity;
	struct held *held;
	struct records own;
};

u32 mmsim_lock_watch;
static const struct machine *watched; /* of this machine */
static struct machine *measured;      /* by lock_stat_start(), until lock_stat_take() */
static u64 epoch;
static struct lock_task *lock_tasks[TASK_IDS_MAX]; /* each made and used by the task of that id */
static u32 task_ids; /* above the highest that is in use; the timeline's */
static struct records shared;
static void (*on_waited)(const struct lock_wait *wait);

/* ---- records --------------------------------------------------------------------------------- */

static void *host_memory(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p)
		MMSIM_BUG("the host has no memory for lock statistics");
	return p;
}

static void records_free(struct records *rs)
{
	for (u32 i = 0; i < RECORD_BUCKETS; i++)
		while (rs->buckets[i]) {
			struct record *r = rs->buckets[i];

			rs->buckets[i] = r->next;
			free(r);
		}
}

static struct record *record_of(struct records *rs, const char *class, bool write, const void *site)
{
	u64 hash = ((u64)(uintptr_t)site ^ (u64)(uintptr_t)class << 7 ^ write) * 0x9e3779b97f4a7c15ull;
	struct record **bucket = &rs->buckets[hash >> 56], *r;

	for (r = *bucket; r; r = r->next)
		if (r->site == site && r->class == class && r->write == write)
			return r;
	r = host_memory(sizeof(*r));
	r->class = class;
	r->site = site;
	r->write = write;
	r->next = *bucket;
	*bucket = r;
	return r;
}

/* ---- a task's list ------------------------------------------------------------------------------ */

/* NULL: not one of the watched machine's. */
static struct lock_task *this_lock_task(void)
{
	u64 now = __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
	struct lock_task *t;
	u32 id;

	if (!mmsim_this_cpu || mmsim_this_cpu->machine != watched)
		return NULL;
	id = current_task()->id;
	if (id >= TASK_IDS_MAX)
		return NULL;
	t = lock_tasks[id];
	if (unlikely(!t)) {
		t = lock_tasks[id] = host_memory(sizeof(*t));
#if defined(MMSIM_ENGINE_VIRTUAL)
		task_ids = max(task_ids, id + 1);
#endif
	}
	if (unlikely(t->epoch != now)) {
		records_free(&t->own);
		t->count = 0;
		t->epoch = now;
	}
	return t;
}

static inline struct records *records_for(struct lock_task *t)
{
#if defined(MMSIM_ENGINE_VIRTUAL)
	return &shared;
#else
	return &t->own;
#endif
}

static struct held *find_held(struct lock_task *t, const void *lock)
{
	for (u32 i = t->count; i-- > 0;)
		if (t->held[i].lock == lock)
			return &t->held[i];
	return NULL;
}

static struct held *push_held(struct lock_task *t, const void *lock, struct record *r)
{
	struct held *h;

	if (t->count == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 16;
		t->held = realloc(t->held, t->capacity * sizeof(*t->held));
		if (!t->held)
			MMSIM_BUG("the host has no memory for lock statistics");
	}
	h = &t->held[t->count++];
	memset(h, 0, sizeof(*h));
	h->lock = lock;
	h->record = r;
	h->since_ns = engine_now_unpriced_ns();
	h->holder = -1;
	return h;
}

static void drop_held(struct lock_task *t, struct held *h)
{
	for (t->count--; h < &t->held[t->count]; h++)
		h[0] = h[1];
}

/* ---- the timeline ---------------------------------------------------------------------------------- */

/* Any task that holds the lock; a writer is alone. */
static void find_holders(struct held *waiter)
{
	for (u32 id = 0; id < task_ids; id++) {
		struct lock_task *t = lock_tasks[id];
		struct held *h = t && t->epoch == epoch ? find_held(t, waiter->lock) : NULL;

		if (!h || h->waits || h == waiter)
			continue;
		if (!waiter->holders++)
			waiter->holder = id;
	}
}

static void tell_waited(const struct held *h, bool acquired)
{
	struct record *r = h->record;
	u64 offset;

	if (!r->site_name)
		r->site_name = symbol_of(r->site, &offset);
	if (!r->site_name)
		r->site_name = "?";
	on_waited(&(struct lock_wait){.class = r->class,
				      .site = r->site_name,
				      .write = r->write,
				      .acquired = acquired,
				      .since_ns = h->since_ns,
				      .holder = h->holder,
				      .holders = h->holders});
}

/* ---- the hooks --------------------------------------------------------------------------------------- */

void lock_stat_contended(const void *lock, const char *class, bool write, const void *site)
{
	struct lock_task *t = this_lock_task();
	struct held *h;

	if (!t)
		return;
	h = push_held(t, lock, record_of(records_for(t), class, write, site));
	h->waits = true;
	if (READ_UNPRICED(mmsim_lock_watch) & LOCK_WATCH_TRACE)
		find_holders(h);
}

static void wait_is_over(struct held *h, bool acquired)
{
	hist_record(&h->record->wait, engine_now_unpriced_ns() - h->since_ns);
	if (READ_UNPRICED(mmsim_lock_watch) & LOCK_WATCH_TRACE)
		tell_waited(h, acquired);
}

void lock_stat_acquired(const void *lock, const char *class, bool write, const void *site)
{
	struct lock_task *t = this_lock_task();
	struct held *h = t ? find_held(t, lock) : NULL;

	if (!t)
		return;
	if (h && h->waits) {
		wait_is_over(h, true);
		h->waits = false;
		h->since_ns = engine_now_unpriced_ns();
	} else {
		h = push_held(t, lock, record_of(records_for(t), class, write, site));
	}
	h->record->acquisitions++;
}

void lock_stat_counted(const void *lock, const char *class, bool write, const void *site)
{
	struct lock_task *t = this_lock_task();
	struct held *h;

	if (!t)
		return;
	h = find_held(t, lock);
	if (h && h->waits) {
		wait_is_over(h, true);
		h->record->acquisitions++;
		drop_held(t, h);
	} else {
		record_of(records_for(t), class, write, site)->acquisitions++;
	}
}

void lock_stat_abandoned(const void *lock)
{
	struct lock_task *t = this_lock_task();
	struct held *h = t ? find_held(t, lock) : NULL;

	if (!h || !h->waits)
		return;
	wait_is_over(h, false);
	drop_held(t, h);
}

void lock_stat_released(const void *lock)
{
	struct lock_task *t = this_lock_task();
	struct held *h = t ? find_held(t, lock) : NULL;

	if (!h || h->waits)
		return; /* taken before the beginning, or by another task */
	hist_record(&h->record->hold, engine_now_unpriced_ns() - h->since_ns);
	drop_held(t, h);
}

void lock_stat_forget(const void *lock)
{
	struct lock_task *t = this_lock_task();
	struct held *h = t ? find_held(t, lock) : NULL;

	if (h && !h->waits)
		drop_held(t, h);
}

/* The writer's hold ends, a reader's begins at the same site; nothing is acquired. */
void lock_stat_downgraded(const void *lock)
{
	struct lock_task *t = this_lock_task();
	struct held *h = t ? find_held(t, lock) : NULL;
	const struct record *r;

	if (!h || h->waits)
		return;
	r = h->record;
	hist_record(&h->record->hold, engine_now_unpriced_ns() - h->since_ns);
	h->record = record_of(records_for(t), r->class, false, r->site);
	h->since_ns = engine_now_unpriced_ns();
}

/* ---- spin locks ------------------------------------------------------------------------------------------ */

NOINLINE void spin_word_lock_watched(spinlock_t *lock)
{
	const char *class = lock_stat_class(lock->rank);

	preempt_disable();
	if (!spin_word_lock_fast(lock)) {
		lock_stat_contended(lock, class, true, lock_caller());
		spin_lock_slow(lock);
	}
	lock_stat_acquired(lock, class, true, lock_caller());
}

NOINLINE void spin_acquired_watched(spinlock_t *lock)
{
	lock_stat_acquired(lock, lock_stat_class(lock->rank), true, lock_caller());
}

/* ---- beginning and end ---------------------------------------------------------------------------------- */

bool lock_stat_available(void)
{
	return true;
}

static void watch(struct machine *m, u32 who)
{
	u32 before = READ_UNPRICED(mmsim_lock_watch);

	watched = m;
	if (!before) {
		records_free(&shared);
		__atomic_store_n(&epoch, epoch + 1, __ATOMIC_RELEASE);
	}
	WRITE_UNPRICED(mmsim_lock_watch, before | who);
}

static void unwatch(u32 who)
{
	u32 before = READ_UNPRICED(mmsim_lock_watch);

	WRITE_UNPRICED(mmsim_lock_watch, before & ~who);
}

void lock_stat_start(struct machine *m)
{
	measured = m;
	watch(m, LOCK_WATCH_STAT);
}

void lock_stat_stop(void)
{
	unwatch(LOCK_WATCH_STAT);
}

void lock_watch_trace(struct machine *m, void (*waited)(const struct lock_wait *wait))
{
	if (!waited) {
		unwatch(LOCK_WATCH_TRACE);
		return;
	}
	on_waited = waited;
	watch(m, LOCK_WATCH_TRACE);
}

/* ---- sums --------------------------------------------------------------------------------------------------- */

struct sum {
	struct lock_stat_row row;
	struct hist wait, hold;
};

/* By class, mode and site; site empty: all of them. */
static struct sum *sum_of(struct sum ***sums, u32 *count, const struct record *r, const char *site)
{
	struct sum *s;

	for (u32 i = 0; i < *count; i++) {
		s = (*sums)[i];
		if (s->row.write == r->write && !strcmp(s->row.site, site) &&
		    !strncmp(s->row.class, r->class, sizeof(s->row.class) - 1))
			return s;
	}
	*sums = realloc(*sums, (*count + 1) * sizeof(**sums));
	if (!*sums)
		MMSIM_BUG("the host has no memory for lock statistics");
	s = (*sums)[(*count)++] = host_memory(sizeof(*s));
	snprintf(s->row.class, sizeof(s->row.class), "%s", r->class);
	snprintf(s->row.site, sizeof(s->row.site), "%s", site);
	s->row.write = r->write;
	return s;
}

static void add_record(struct sum *s, const struct record *r)
{
	s->row.acquisitions += r->acquisitions;
	hist_merge(&s->wait, &r->wait);
	hist_merge(&s->hold, &r->hold);
}

/* "function+0x1f"; what the compiler appended to the name of a copy is left out. */
static void name_site(const void *site, char *name, size_t bytes)
{
	u64 offset = 0;
	const char *function = symbol_of((const char *)site - 1, &offset);

	if (function)
		snprintf(name, bytes, "%.*s+%#llx", (int)strcspn(function, "."), function,
			 (unsigned long long)offset + 1);
	else
		snprintf(name, bytes, "(no symbol)");
}

static void add_records(struct sum ***sums, u32 *count, const struct records *rs)
{
	char site[64];

	for (u32 i = 0; i < RECORD_BUCKETS; i++)
		for (const struct record *r = rs->buckets[i]; r; r = r->next) {
			name_site(r->site, site, sizeof(site));
			add_record(sum_of(sums, count, r, ""), r);
			add_record(sum_of(sums, count, r, site), r);
		}
}

static void finish(struct sum *s)
{
	struct lock_stat_row *row = &s->row;

	row->contentions = hist_count(&s->wait);
	row->wait_ns_total = (u64)s->wait.sum;
	row->wait_ns_p99 = hist_quantile(&s->wait, 0.99);
	row->wait_ns_max = hist_max(&s->wait);
	row->holds = hist_count(&s->hold);
	row->hold_ns_total = (u64)s->hold.sum;
	row->hold_ns_p99 = hist_quantile(&s->hold, 0.99);
	row->hold_ns_max = hist_max(&s->hold);
}

static int by_number(u64 a, u64 b)
{
	return a > b ? -1 : a < b;
}

/* Most waiting first; then most acquisitions; then by name. */
static int compare(const struct lock_stat_row *a, const struct lock_stat_row *b)
{
	int order = by_number(a->wait_ns_total, b->wait_ns_total);

	if (!order)
		order = by_number(a->acquisitions, b->acquisitions);
	if (!order)
		order = strcmp(a->class, b->class);
	if (!order)
		order = (int)a->write - (int)b->write;
	return order ? order : strcmp(a->site, b->site);
}

static int by_row(const void *a, const void *b)
{
	return compare(&(*(struct sum *const *)a)->row, &(*(struct sum *const *)b)->row);
}

/* No task runs, but RCU call-backs do: whoever was about to note something at the end has noted it. */
static void await_callbacks(void)
{
#if !defined(MMSIM_ENGINE_VIRTUAL)
	if (measured) {
		machine_enter(measured);
		sim_rcu_barrier();
		machine_leave();
	}
#endif
	measured = NULL;
}

u32 lock_stat_take(struct lock_stat_row **rows)
{
	struct sum **sums = NULL;
	u32 count = 0, out = 0;

	await_callbacks();
	for (u32 id = 0; id < TASK_IDS_MAX; id++)
		if (lock_tasks[id] && lock_tasks[id]->epoch == epoch)
			add_records(&sums, &count, &lock_tasks[id]->own);
	add_records(&sums, &count, &shared);
	for (u32 i = 0; i < count; i++)
		finish(sums[i]);
	if (count)
		qsort(sums, count, sizeof(*sums), by_row);
	*rows = host_memory((count + 1) * sizeof(**rows));
	for (u32 c = 0; c < count; c++) {
		const struct lock_stat_row *class = &sums[c]->row;

		if (class->site[0])
			continue;
		(*rows)[out++] = *class;
		for (u32 i = 0; i < count; i++)
			if (sums[i]->row.site[0] && sums[i]->row.write == class->write &&
			    !strcmp(sums[i]->row.class, class->class))
				(*rows)[out++] = sums[i]->row;
	}
	for (u32 i = 0; i < count; i++)
		free(sums[i]);
	free(sums);
	for (u32 id = 0; id < TASK_IDS_MAX; id++)
		if (lock_tasks[id]) {
			records_free(&lock_tasks[id]->own);
			free(lock_tasks[id]->held);
			free(lock_tasks[id]);
			lock_tasks[id] = NULL;
		}
	records_free(&shared);
	return out;
}

#else /* the hooks are not compiled */

bool lock_stat_available(void)
{
	return false;
}

void lock_stat_start(struct machine *m)
{
	(void)m;
}

void lock_stat_stop(void)
{
}

u32 lock_stat_take(struct lock_stat_row **rows)
{
	*rows = NULL;
	return 0;
}

#endif

/* ---- names and the table -------------------------------------------------------------------------------------- */

const char *lock_stat_class(u32 rank)
{
	static const char *const names[LOCK_RANK_COUNT] = {
		[LOCK_RANK_INODE] = "inode->i_rwsem",
		[LOCK_RANK_MMAP] = LOCK_CLASS_MMAP,
		[LOCK_RANK_VMA] = LOCK_CLASS_VMA,
		[LOCK_RANK_HUGETLB_FAULT] = "hugetlb_fault_mutex",
		[LOCK_RANK_HUGETLB_VMA] = "hugetlb_vma_lock",
		[LOCK_RANK_I_MMAP] = "i_mmap_rwsem",
		[LOCK_RANK_ANON_VMA] = "anon_vma->rwsem",
		[LOCK_RANK_VMA_TREE] = "mm->tree_lock",
		[LOCK_RANK_FILE_TREE] = "mapping->i_pages",
		[LOCK_RANK_FOLIO] = "folio lock",
		[LOCK_RANK_PAGE_TABLE] = "page_table_lock",
		[LOCK_RANK_PTE] = "ptl",
		[LOCK_RANK_LRU] = "lruvec->lru_lock",
		[LOCK_RANK_HUGETLB] = "hugetlb_lock",
		[LOCK_RANK_PCP] = "pcp->lock",
		[LOCK_RANK_ZONE] = "zone->lock",
		[LOCK_RANK_WAIT] = "wait_lock",
		[LOCK_RANK_LEAF] = "object cache depot",
	};

	return rank < LOCK_RANK_COUNT && names[rank] ? names[rank] : "other";
}

static void print_times(FILE *out, u64 total_ns, u64 count, u64 p99_ns, u64 max_ns)
{
	fprintf(out, " %14llu %10llu %10llu %11llu", (unsigned long long)total_ns,
		(unsigned long long)(count ? total_ns / count : 0), (unsigned long long)p99_ns,
		(unsigned long long)max_ns);
}

void lock_stat_print(const struct lock_stat_row *rows, u32 count, FILE *out)
{
	fprintf(out, "%-34s %12s %10s %14s %10s %10s %11s %14s %10s %10s %11s\n", "lock, call site",
		"acquired", "contended", "wait_ns_total", "mean", "p99", "max", "hold_ns_total",
		"mean", "p99", "max");
	for (u32 i = 0; i < count; i++) {
		const struct lock_stat_row *r = &rows[i];
		char name[80];

		if (r->site[0])
			snprintf(name, sizeof(name), "    %s", r->site);
		else
			snprintf(name, sizeof(name), "%s %s", r->class, r->write ? "W" : "R");
		fprintf(out, "%-34s %12llu %10llu", name, (unsigned long long)r->acquisitions,
			(unsigned long long)r->contentions);
		print_times(out, r->wait_ns_total, r->contentions, r->wait_ns_p99, r->wait_ns_max);
		print_times(out, r->hold_ns_total, r->holds, r->hold_ns_p99, r->hold_ns_max);
		fputc('\n', out);
	}
}
