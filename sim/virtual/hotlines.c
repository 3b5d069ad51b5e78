/*
 * sim/virtual/hotlines.c - names for memory, and the lines that cost the most
 *
 * Names: object caches register their slabs (by the cache's name, with fields where a layout was
 * given), others their arrays. A line is named as hotlines.h says.
 * Counting is done in lines.c, in the line itself; here is the list of lines that have any, and what tasks
 * waited for locks: task_waits_for(). While a task waits, its transfers are part of that and cost no line.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/names.h"

#include <mmsim/hotlines.h>

#include <stdlib.h>
#include <string.h>

/* A word is listed if it was concerned by one in so many of its line's transfers. */
#define WORD_MATTERS 50
#define ELSEWHERE_FROM 0.0005 /* of the time: less is not told */

struct obj_range {
	u64 start, bytes; /* offsets in the region */
	u32 stride_bytes;
	bool percpu; /* start is a handle */
	u32 first; /* number of the first object: instances are counted over all ranges of a name */
	char name[32];
	const struct obj_layout *layout; /* NULL: none */
};

/* ---- names ------------------------------------------------------------------------------------------------ */

void names_add(struct machine *m, const void *start, u64 bytes, u32 stride_bytes, const char *name,
	       const struct obj_layout *layout)
{
	struct obj_range *r;
	u32 first = 0;

	if (m->range_count == m->range_capacity) {
		u32 capacity = m->range_capacity ? m->range_capacity * 2 : 64;

		r = realloc(m->ranges, capacity * sizeof(*r));
		if (!r)
			return; /* it will have no name */
		m->ranges = r;
		m->range_capacity = capacity;
	}
	for (u32 i = 0; i < m->range_count; i++)
		if (!strcmp(m->ranges[i].name, name))
			first = m->ranges[i].first + (u32)(m->ranges[i].bytes / m->ranges[i].stride_bytes);
	r = &m->ranges[m->range_count++];
	memset(r, 0, sizeof(*r));
	r->start = (u64)((const char *)start - m->region);
	r->bytes = bytes;
	r->stride_bytes = stride_bytes;
	r->first = first;
	strncpy(r->name, name, sizeof(r->name) - 1);
	r->layout = layout;
}

void names_remove(struct machine *m, const void *start)
{
	u64 offset = (u64)((const char *)start - m->region);

	for (u32 i = 0; i < m->range_count; i++) {
		if (m->ranges[i].start != offset)
			continue;
		m->ranges[i] = m->ranges[--m->range_count];
		return;
	}
}

void names_set_layout(struct machine *m, const char *name, const struct obj_layout *layout)
{
	for (u32 i = 0; i < m->range_count; i++)
		if (!strcmp(m->ranges[i].name, name))
			m->ranges[i].layout = layout;
}

void region_set_layout(struct machine *m, const void *start, u64 bytes, const struct obj_layout *layout)
{
	names_add(m, start, bytes, layout->stride_bytes, layout->count ? layout->fields[0].name : "object",
		  layout);
}

void percpu_set_layout(struct machine *m, u32 handle, const struct obj_layout *layout)
{
	/* A handle is below any offset of memory that could be registered otherwise, or looks like
	 * one: so it is marked. */
	names_add(m, m->region + handle, layout->stride_bytes, layout->stride_bytes, layout->fields[0].name,
		  layout);
	if (m->range_count)
		m->ranges[m->range_count - 1].percpu = true;
}

void task_scratch_set_layout(struct machine *m, const struct obj_layout *layout)
{
	m->scratch_layout = layout;
}

/* The field there, or, where the word begins with another one's end or a gap, the first that begins in it. */
static const char *field_at(const struct obj_layout *layout, u32 offset)
{
	const struct obj_field *fields = layout->fields;
	const char *name = NULL;
	u32 i;

	for (i = 0; i < layout->count && fields[i].offset <= offset; i++)
		if (!fields[i].bytes || offset - fields[i].offset < fields[i].bytes)
			name = fields[i].name;
	if (!name && i < layout->count && fields[i].offset / 8 == offset / 8)
		name = fields[i].name;
	return name;
}

static const struct obj_range *range_of(const struct machine *m, u64 offset)
{
	for (u32 i = 0; i < m->range_count; i++)
		if (!m->ranges[i].percpu && offset - m->ranges[i].start < m->ranges[i].bytes)
			return &m->ranges[i];
	return NULL;
}

static const struct obj_field task_fields[] = {
	OBJ_FIELD(struct task, killed, "task->killed"),
	OBJ_FIELD(struct task, on_cpu, "task->on_cpu"),
	OBJ_FIELD(struct task, park_token, "task->park_token"),
	OBJ_FIELD(struct task, sleep_word, "task->sleep_word"),
	OBJ_FIELD(struct task, rwsem_waiter, "task->rwsem_waiter"),
	OBJ_FIELD(struct task, osq, "task->osq"),
	OBJ_FIELD(struct task, scratch, "task->scratch"),
	OBJ_FIELD(struct task, counters, "task->counters"),
};
static const struct obj_layout task_layout = { sizeof(struct task), ARRAY_SIZE(task_fields), task_fields };

static const char *task_field_at(const struct machine *m, u32 at)
{
	u32 scratch = offsetof(struct task, scratch);
	const char *field = NULL;

	if (m->scratch_layout && at - scratch < m->scratch_layout->stride_bytes)
		field = field_at(m->scratch_layout, at - scratch);
	return field ? field : field_at(&task_layout, at);
}

static void name_percpu(const struct machine *m, u32 at, char *out, size_t bytes)
{
	for (u32 i = 0; i < m->range_count; i++) {
		const struct obj_range *r = &m->ranges[i];
		const char *field;

		if (!r->percpu || at - r->start >= r->bytes)
			continue;
		field = field_at(r->layout, (u32)(at - r->start));
		if (field)
			snprintf(out, bytes, "%s", field);
		else
			snprintf(out, bytes, "%s+%#x", r->name, (u32)(at - r->start));
		return;
	}
	if (at - m->spin_nodes < 8)
		snprintf(out, bytes, "spin lock queue node");
	else
		snprintf(out, bytes, "percpu+%#x", at);
}

/* Memory that belongs to the engine itself. */
static bool name_fixed_part(const struct machine *m, u64 offset, char *out, size_t bytes, u32 *instance)
{
	u64 cpus = (u64)((char *)m->cpus - m->region), tasks = (u64)((char *)m->tasks - m->region);
	u64 percpu = (u64)(m->percpu_areas - m->region);
	u64 stride = m->cpu_count > 1 ? (u64)(m->cpus[1].percpu_base - m->cpus[0].percpu_base) : 1;
	const char *field;

	if (offset - cpus < m->cpu_count * sizeof(struct cpu)) {
		*instance = (u32)((offset - cpus) / sizeof(struct cpu));
		snprintf(out, bytes, "cpu+%#x", (u32)((offset - cpus) % sizeof(struct cpu)));
	} else if (offset - tasks < (m->task_count + 1 + m->cpu_count) * sizeof(struct task)) {
		*instance = (u32)((offset - tasks) / sizeof(struct task));
		field = task_field_at(m, (u32)((offset - tasks) % sizeof(struct task)));
		snprintf(out, bytes, "%s", field ? field : "task");
	} else if (offset - percpu < m->cpu_count * stride) {
		*instance = (u32)((offset - percpu) / stride);
		name_percpu(m, (u32)((offset - percpu) % stride), out, bytes);
	} else {
		return false;
	}
	return true;
}

void names_find(const struct machine *m, const void *p, char *out, size_t bytes, u32 *instance)
{
	u64 offset = (u64)(uintptr_t)p - (u64)(uintptr_t)m->region;
	const struct obj_range *r = range_of(m, offset);
	const char *field;
	u32 at;

	*instance = 0;
	if (offset >= m->region_bytes) {
		snprintf(out, bytes, "host memory");
		return;
	}
	if (!r) {
		if (!name_fixed_part(m, offset, out, bytes, instance))
			snprintf(out, bytes, "region+%#llx", (unsigned long long)offset);
		return;
	}
	at = (u32)((offset - r->start) % r->stride_bytes);
	*instance = r->first + (u32)((offset - r->start) / r->stride_bytes);
	field = r->layout ? field_at(r->layout, at) : NULL;
	if (field)
		snprintf(out, bytes, "%s", field);
	else
		snprintf(out, bytes, "%s+%#x", r->name, at);
}

/* ---- hot lines ------------------------------------------------------------------------------------------------ */

void hot_line_first(struct machine *m, u64 line)
{
	if (m->hot_count == m->hot_capacity) {
		u64 capacity = m->hot_capacity ? m->hot_capacity * 2 : 4096;
		u64 *hot = realloc(m->hot, capacity * sizeof(*hot));

		if (!hot)
			MMSIM_BUG("the host has no memory for a list of %llu lines",
				  (unsigned long long)capacity);
		m->hot = hot;
		m->hot_capacity = capacity;
	}
	m->hot[m->hot_count++] = line;
}

void hot_line_words(struct machine *m, struct vline *vl)
{
	if (m->word_sum_count == m->word_sum_capacity) {
		u32 capacity = m->word_sum_capacity ? m->word_sum_capacity * 2 : 256;
		struct word_sums *sums = realloc(m->word_sums, capacity * sizeof(*sums));

		if (!sums)
			MMSIM_BUG("the host has no memory for the words of %u lines", capacity);
		m->word_sums = sums;
		m->word_sum_capacity = capacity;
	}
	memset(&m->word_sums[m->word_sum_count], 0, sizeof(*m->word_sums));
	vl->words = ++m->word_sum_count;
}

static u64 clock_of_caller(const struct machine *m)
{
	return mmsim_this_cpu ? mmsim_engine_cpu->clock_ps : m->now_ps;
}

void hot_lines_reset(struct machine *m)
{
	for (u64 i = 0; i < m->hot_count; i++) {
		struct vline *vl = &m->lines[m->hot[i]];

		vl->transfers = vl->owner_changes = vl->lock_waits = 0;
		vl->queue_ps = vl->cost_ps = 0;
		vl->words = 0;
	}
	m->hot_count = 0;
	m->word_sum_count = m->lock_wait_count = 0;
	m->node_wait_ps = m->fabric_wait_ps = m->ack_wait_ps = 0;
	m->hot_since_ps = clock_of_caller(m);
	m->hot_until_ps = TIME_NEVER;
}

void hot_lines_stop(struct machine *m)
{
	m->hot_until_ps = min(m->hot_until_ps, clock_of_caller(m));
}

/* ---- waiting for locks ---------------------------------------------------------------------------------------- */

static struct lock_wait_sum *wait_sum_of(struct machine *m, u64 line, u8 word)
{
	struct vline *vl = &m->lines[line];
	struct lock_wait_sum *w;

	for (u32 i = vl->lock_waits; i; i = m->lock_waits[i - 1].next)
		if (m->lock_waits[i - 1].word == word)
			return &m->lock_waits[i - 1];
	if (m->lock_wait_count == m->lock_wait_capacity) {
		u32 capacity = m->lock_wait_capacity ? m->lock_wait_capacity * 2 : 256;

		w = realloc(m->lock_waits, capacity * sizeof(*w));
		if (!w)
			MMSIM_BUG("the host has no memory for a list of %u locks", capacity);
		m->lock_waits = w;
		m->lock_wait_capacity = capacity;
	}
	if (!vl->transfers && !vl->lock_waits)
		hot_line_first(m, line);
	w = &m->lock_waits[m->lock_wait_count++];
	*w = (struct lock_wait_sum){ .line = line, .word = word, .next = vl->lock_waits };
	vl->lock_waits = m->lock_wait_count;
	return w;
}

static void wait_is_over(struct vcpu *c, const struct vtask *t)
{
	struct machine *m = c->m;
	u64 offset = (u64)((const char *)t->waited - m->region);
	u64 since_ps = max(t->waited_since_ps, m->hot_since_ps);
	u64 until_ps = min(c->e.clock_ps, m->hot_until_ps);
	struct lock_wait_sum *w;

	if (!m->running || offset >= m->region_bytes || until_ps <= since_ps)
		return;
	w = wait_sum_of(m, offset >> LINE_SHIFT, (u8)(offset / 8 % LINE_WORDS));
	w->waits++;
	w->wait_ps += until_ps - since_ps;
}

const void *task_waits_for(const void *lock)
{
	struct task *task = current_task();
	const void *outer = task->waits_for;
	struct vtask *t = vtask_of(task);
	struct vcpu *c = vt_cpu();

	if (lock && !outer) {
		t->waited = lock;
		t->waited_since_ps = c->e.clock_ps;
		c->waits_for_lock = true;
	} else if (!lock && outer) {
		wait_is_over(c, t);
		t->waited = NULL;
		c->waits_for_lock = false;
	}
	task->waits_for = lock;
	return outer;
}

/* ---- the hottest ---------------------------------------------------------------------------------------------- */

static u64 lock_wait_ps(const struct machine *m, const struct vline *vl)
{
	u64 ps = 0;

	for (u32 i = vl->lock_waits; i; i = m->lock_waits[i - 1].next)
		ps += m->lock_waits[i - 1].wait_ps;
	return ps;
}

static u64 heat_of(const struct machine *m, u64 line)
{
	const struct vline *vl = &m->lines[line];

	return vl->cost_ps + lock_wait_ps(m, vl);
}

static bool hotter(const struct machine *m, u64 a, u64 b)
{
	u64 x = heat_of(m, a), y = heat_of(m, b);

	return x > y || (x == y && a < b);
}

/* The n hottest of the list, in order, by insertion: n is small. */
static u32 select_hottest(const struct machine *m, u64 *top, u32 n)
{
	u32 count = 0;

	for (u64 i = 0; i < m->hot_count; i++) {
		u64 line = m->hot[i];
		u32 at = count;

		if (count == n && !hotter(m, line, top[n - 1]))
			continue;
		if (count < n)
			count++;
		else
			at--;
		for (; at && hotter(m, line, top[at - 1]); at--)
			top[at] = top[at - 1];
		top[at] = line;
	}
	return count;
}

static void name_word(const struct machine *m, u64 line, u32 word, char *out, size_t bytes, u32 *instance)
{
	names_find(m, m->region + (line << LINE_SHIFT) + word * 8, out, bytes, instance);
}

static u32 largest(const u32 *counts)
{
	u32 best = 0;

	for (u32 word = 1; word < LINE_WORDS; word++)
		best = counts[word] > counts[best] ? word : best;
	return best;
}

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ' ') && (at[len] == ',' || !at[len]))
			return true;
	return false;
}

/* "a, b": the words that matter, most first, each name once, and none of those in `but`. */
static void name_words(const struct machine *m, u64 line, const u32 *counts, const char *but, char *out,
		       size_t bytes)
{
	u32 left[LINE_WORDS], instance, word;
	char name[64];
	size_t len = 0;

	memcpy(left, counts, sizeof(left));
	for (word = largest(left); left[word] > m->lines[line].transfers / WORD_MATTERS; word = largest(left)) {
		left[word] = 0;
		name_word(m, line, word, name, sizeof(name), &instance);
		if (!listed(out, name) && !listed(but, name) && len + strlen(name) + 3 <= bytes)
			len += (size_t)snprintf(out + len, bytes - len, "%s%s", len ? ", " : "", name);
	}
}

/* Of a line with few transfers only the first is known. */
static u8 word_of_line(const struct machine *m, const struct vline *vl)
{
	const struct word_sums *sums;
	u32 word;

	if (!vl->words)
		return vl->word;
	sums = &m->word_sums[vl->words - 1];
	word = largest(sums->written);
	return (u8)(sums->written[word] > vl->transfers / WORD_MATTERS ? word : largest(sums->read));
}

static void list_waits(const struct machine *m, u64 line, struct hot_line *h, u8 *longest)
{
	for (u32 i = m->lines[line].lock_waits; i; i = m->lock_waits[i - 1].next) {
		const struct lock_wait_sum *w = &m->lock_waits[i - 1];
		u64 ns = w->wait_ps / PS_PER_NS;
		u32 at = h->wait_count, instance;

		while (at && ns > h->waits[at - 1].wait_sim_ns)
			at--;
		if (at == HOT_WAITS)
			continue;
		if (h->wait_count < HOT_WAITS)
			h->wait_count++;
		memmove(&h->waits[at + 1], &h->waits[at], (h->wait_count - 1 - at) * sizeof(h->waits[0]));
		h->waits[at].waits = w->waits;
		h->waits[at].wait_sim_ns = ns;
		name_word(m, line, w->word, h->waits[at].name, sizeof(h->waits[at].name), &instance);
		if (at == 0)
			*longest = w->word;
	}
}

static void describe(const struct machine *m, u64 line, struct hot_line *h)
{
	const struct vline *vl = &m->lines[line];
	u64 waited_ps = lock_wait_ps(m, vl);
	u8 word = word_of_line(m, vl), longest = 0;
	u32 instance;

	memset(h, 0, sizeof(*h));
	list_waits(m, line, h, &longest);
	name_word(m, line, waited_ps > vl->cost_ps ? longest : word, h->name, sizeof(h->name), &h->instance);
	if (vl->words) {
		const struct word_sums *sums = &m->word_sums[vl->words - 1];

		name_words(m, line, sums->written, "", h->written, sizeof(h->written));
		name_words(m, line, sums->read, h->written, h->read, sizeof(h->read));
		if (sums->along > vl->transfers / WORD_MATTERS)
			name_word(m, line ^ 1, word_of_line(m, &m->lines[line ^ 1]), h->along,
				  sizeof(h->along), &instance);
	}
	h->line = line;
	h->transfers = vl->transfers;
	h->owner_changes = vl->owner_changes;
	h->queue_sim_ns = vl->queue_ps / PS_PER_NS;
	h->cost_sim_ns = vl->cost_ps / PS_PER_NS;
	h->lock_wait_sim_ns = waited_ps / PS_PER_NS;
}

static double tasks_time_ps(const struct machine *m)
{
	return (double)(min(m->now_ps, m->hot_until_ps) - m->hot_since_ps) * m->tasks_run;
}

static double share(double ps, double total_ps)
{
	return total_ps > 0 ? ps / total_ps : 0;
}

u32 hot_lines_top(struct machine *m, struct hot_line *out, u32 n)
{
	u64 *top = calloc(n + 1, sizeof(*top));
	u32 count = top ? select_hottest(m, top, n) : 0;

	for (u32 i = 0; i < count; i++) {
		describe(m, top[i], &out[i]);
		out[i].time_share = share((double)heat_of(m, top[i]), tasks_time_ps(m));
	}
	free(top);
	return count;
}

static void print_row(FILE *out, const struct hot_line *h, const char *instance)
{
	fprintf(out, "%-36s %8s %12llu %12llu %14llu %14llu %16llu %6.2f%%\n", h->name, instance,
		(unsigned long long)h->transfers, (unsigned long long)h->owner_changes,
		(unsigned long long)h->queue_sim_ns, (unsigned long long)h->cost_sim_ns,
		(unsigned long long)h->lock_wait_sim_ns, h->time_share * 100);
}

/* Below its row: who was waited for, and which fields share the line. */
static void print_details(FILE *out, const struct hot_line *h)
{
	for (u32 i = 0; i < h->wait_count; i++)
		fprintf(out, "    waited for: %s, %llu times, %.1f us each\n", h->waits[i].name,
			(unsigned long long)h->waits[i].waits,
			(double)h->waits[i].wait_sim_ns / (double)h->waits[i].waits / 1000);
	if (h->read[0])
		fprintf(out, "    written: %s; read: %s\n", h->written[0] ? h->written : "nothing", h->read);
	else if (h->written[0] && strcmp(h->written, h->name))
		fprintf(out, "    written: %s\n", h->written);
	if (h->along[0])
		fprintf(out, "    fetched along with the line of %s, which is written\n", h->along);
}

static void print_sum(const struct machine *m, FILE *out)
{
	struct hot_line sum = { .name = "all lines" };
	u64 queue_ps = 0, cost_ps = 0, waited_ps = 0;
	char lines[24];

	for (u64 i = 0; i < m->hot_count; i++) {
		const struct vline *vl = &m->lines[m->hot[i]];

		sum.transfers += vl->transfers;
		sum.owner_changes += vl->owner_changes;
		queue_ps += vl->queue_ps;
		cost_ps += vl->cost_ps;
		waited_ps += lock_wait_ps(m, vl);
	}
	sum.queue_sim_ns = queue_ps / PS_PER_NS;
	sum.cost_sim_ns = cost_ps / PS_PER_NS;
	sum.lock_wait_sim_ns = waited_ps / PS_PER_NS;
	sum.time_share = share((double)(cost_ps + waited_ps), tasks_time_ps(m));
	snprintf(lines, sizeof(lines), "%llu", (unsigned long long)m->hot_count);
	print_row(out, &sum, lines);
}

static void print_elsewhere(const struct machine *m, FILE *out)
{
	const struct {
		const char *name;
		u64 ps;
	} parts[] = {
		{ "pages of a memory node (cost.page_serial)", m->node_wait_ps },
		{ "the fabric, to invalidate TLBs", m->fabric_wait_ps },
		{ "CPUs that were interrupted", m->ack_wait_ps },
	};

	for (u32 i = 0; i < ARRAY_SIZE(parts); i++) {
		double part = share((double)parts[i].ps, tasks_time_ps(m));

		if (part >= ELSEWHERE_FROM)
			fprintf(out, "waiting for %-90s %16llu %6.2f%%\n", parts[i].name,
				(unsigned long long)(parts[i].ps / PS_PER_NS), part * 100);
	}
}

void hot_lines_print(struct machine *m, u32 n, FILE *out)
{
	struct hot_line *lines = calloc(n, sizeof(*lines));
	u32 count = lines ? hot_lines_top(m, lines, n) : 0;
	char instance[16];

	fprintf(out, "%-36s %8s %12s %12s %14s %14s %16s %7s\n", "line", "instance", "transfers",
		"owner chg", "queue_sim_ns", "cost_sim_ns", "lock_wait_sim_ns", "time");
	for (u32 i = 0; i < count; i++) {
		snprintf(instance, sizeof(instance), "%u", lines[i].instance);
		print_row(out, &lines[i], instance);
		print_details(out, &lines[i]);
	}
	print_sum(m, out);
	print_elsewhere(m, out);
	free(lines);
}

struct engine_activity machine_activity(const struct machine *m)
{
	struct engine_activity a = { .task_switches = m->switches };

	for (u32 i = 0; i < m->cpu_count; i++) {
		a.operations += m->vcpus[i].ops;
		a.transfers += m->vcpus[i].transfers;
	}
	return a;
}
