/*
 * sim/virtual/hotlines.c - names for memory, and the lines that cost the most
 *
 * Names: object caches register their slabs (by the cache's name, with fields where a layout was
 * given), others their arrays. A line is named after the field of the word for which most of its
 * transfers were.
 * Counting is done in lines.c, in the line itself; here is the list of lines that have any.
 */
#include "sim/virtual/internal.h"
#include "sim/virtual/names.h"

#include <mmsim/hotlines.h>

#include <stdlib.h>
#include <string.h>

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

static const char *field_at(const struct obj_layout *layout, u32 offset)
{
	const char *name = NULL;

	for (u32 i = 0; i < layout->count && layout->fields[i].offset <= offset; i++)
		name = layout->fields[i].name;
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
};
static const struct obj_layout task_layout = { sizeof(struct task), ARRAY_SIZE(task_fields), task_fields };

static void name_percpu(const struct machine *m, u32 at, char *out, size_t bytes)
{
	for (u32 i = 0; i < m->range_count; i++) {
		const struct obj_range *r = &m->ranges[i];
		const char *field;

		if (!r->percpu || at - r->start >= r->bytes)
			continue;
		field = field_at(r->layout, (u32)(at - r->start));
		snprintf(out, bytes, "%s", field ? field : r->name);
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
		field = field_at(&task_layout, (u32)((offset - tasks) % sizeof(struct task)));
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

static u64 machine_time(const struct machine *m)
{
	u64 ps = m->now_ps;

	for (u32 i = 0; m->running && i < m->cpu_count; i++)
		ps = max(ps, m->vcpus[i].e.clock_ps);
	return ps;
}

void hot_lines_reset(struct machine *m)
{
	for (u64 i = 0; i < m->hot_count; i++) {
		struct vline *vl = &m->lines[m->hot[i]];

		vl->transfers = vl->owner_changes = 0;
		vl->wait_ps = vl->cost_ps = 0;
		vl->word_votes = 0;
	}
	m->hot_count = 0;
	m->hot_since_ps = mmsim_this_cpu ? mmsim_engine_cpu->clock_ps : m->now_ps;
}

static bool hotter(const struct machine *m, u64 a, u64 b)
{
	u64 x = m->lines[a].cost_ps, y = m->lines[b].cost_ps;

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

u32 hot_lines_top(struct machine *m, struct hot_line *out, u32 n)
{
	double total_ps = (double)(machine_time(m) - m->hot_since_ps) * (m->cpu_count - 1);
	u64 *top = calloc(n + 1, sizeof(*top));
	u32 count = top ? select_hottest(m, top, n) : 0;

	for (u32 i = 0; i < count; i++) {
		const struct vline *vl = &m->lines[top[i]];
		struct hot_line *h = &out[i];

		memset(h, 0, sizeof(*h));
		names_find(m, m->region + (top[i] << LINE_SHIFT) + vl->word * 8, h->name,
			   sizeof(h->name), &h->instance);
		h->line = top[i];
		h->transfers = vl->transfers;
		h->owner_changes = vl->owner_changes;
		h->wait_sim_ns = vl->wait_ps / PS_PER_NS;
		h->cost_sim_ns = vl->cost_ps / PS_PER_NS;
		h->cpu_share = total_ps > 0 ? (double)vl->cost_ps / total_ps : 0;
	}
	free(top);
	return count;
}

void hot_lines_print(struct machine *m, u32 n, FILE *out)
{
	struct hot_line *lines = calloc(n, sizeof(*lines));
	u32 count = lines ? hot_lines_top(m, lines, n) : 0;

	fprintf(out, "%-36s %8s %12s %12s %14s %14s %7s\n", "line", "instance", "transfers",
		"owner chg", "wait_sim_ns", "cost_sim_ns", "time");
	for (u32 i = 0; i < count; i++)
		fprintf(out, "%-36s %8u %12llu %12llu %14llu %14llu %6.2f%%\n", lines[i].name,
			lines[i].instance, (unsigned long long)lines[i].transfers,
			(unsigned long long)lines[i].owner_changes,
			(unsigned long long)lines[i].wait_sim_ns,
			(unsigned long long)lines[i].cost_sim_ns, lines[i].cpu_share * 100);
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
