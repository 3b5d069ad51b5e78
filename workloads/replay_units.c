/* workloads/replay_units.c - see replay_units.h: a sorted array of intervals */
#include <stdlib.h>
#include <string.h>

#include "workloads/replay_units.h"

void unit_map_free(struct unit_map *m)
{
	for (u32 i = 0; i < m->count; i++)
		free(m->entries[i].readers);
	free(m->entries);
	*m = (struct unit_map){0};
}

u32 unit_map_lower(const struct unit_map *m, u64 addr)
{
	u32 lo = 0, hi = m->count;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (m->entries[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct unit_entry *unit_map_find(const struct unit_map *m, u64 addr)
{
	u32 i = unit_map_lower(m, addr);

	return i < m->count && m->entries[i].start <= addr ? &m->entries[i] : NULL;
}

/* A free slot at index i, or NULL. */
static struct unit_entry *open_slot(struct unit_map *m, u32 i)
{
	if (m->count == m->cap) {
		u32 cap = m->cap ? m->cap * 2 : 64;
		struct unit_entry *bigger = realloc(m->entries, cap * sizeof(*bigger));

		if (!bigger)
			return NULL;
		m->entries = bigger;
		m->cap = cap;
	}
	memmove(m->entries + i + 1, m->entries + i, (m->count - i) * sizeof(*m->entries));
	m->count++;
	return &m->entries[i];
}

static bool copy_readers(struct unit_entry *to, const struct unit_entry *from)
{
	to->readers = NULL;
	to->reader_count = to->reader_cap = 0;
	if (!from->reader_count)
		return true;
	to->readers = malloc(from->reader_count * sizeof(*to->readers));
	if (!to->readers)
		return false;
	memcpy(to->readers, from->readers, from->reader_count * sizeof(*to->readers));
	to->reader_count = to->reader_cap = from->reader_count;
	return true;
}

bool unit_map_split(struct unit_map *m, u64 addr)
{
	u32 i = unit_map_lower(m, addr);
	struct unit_entry *high;

	if (i == m->count || m->entries[i].start >= addr)
		return true;
	high = open_slot(m, i + 1);
	if (!high)
		return false;
	*high = m->entries[i];
	high->start = addr;
	m->entries[i].end = addr;
	return copy_readers(high, &m->entries[i]);
}

bool unit_map_remove(struct unit_map *m, u64 start, u64 end)
{
	u32 first, last;

	if (start >= end)
		return true;
	if (!unit_map_split(m, start) || !unit_map_split(m, end))
		return false;
	first = unit_map_lower(m, start);
	for (last = first; last < m->count && m->entries[last].start < end; last++)
		free(m->entries[last].readers);
	if (first == last)
		return true;
	memmove(m->entries + first, m->entries + last, (m->count - last) * sizeof(*m->entries));
	m->count -= last - first;
	return true;
}

bool unit_map_set(struct unit_map *m, u64 start, u64 end, u32 unit, u32 prot,
		  struct step_ref writer)
{
	struct unit_entry *e;

	if (start >= end)
		return true;
	if (!unit_map_remove(m, start, end))
		return false;
	e = open_slot(m, unit_map_lower(m, start));
	if (!e)
		return false;
	*e = (struct unit_entry){
		.start = start, .end = end, .unit = unit, .prot = prot, .writer = writer};
	return true;
}

bool unit_entry_touch(struct unit_entry *e, struct step_ref by)
{
	for (u32 i = e->reader_count; i-- > 0;)
		if (e->readers[i].task == by.task) {
			struct step_ref last = e->readers[e->reader_count - 1];

			/* The latest at the end: the next touch is likely its, too. */
			e->readers[i] = last;
			e->readers[e->reader_count - 1] = by;
			return true;
		}
	if (e->reader_count == e->reader_cap) {
		u32 cap = e->reader_cap ? e->reader_cap * 2 : 4;
		struct step_ref *bigger = realloc(e->readers, cap * sizeof(*bigger));

		if (!bigger)
			return false;
		e->readers = bigger;
		e->reader_cap = cap;
	}
	e->readers[e->reader_count++] = by;
	return true;
}

bool unit_map_fork(struct unit_map *to, struct unit_map *from, struct step_ref writer)
{
	*to = (struct unit_map){.count = from->count, .cap = from->count};
	if (!from->count)
		return true;
	to->entries = malloc(from->count * sizeof(*to->entries));
	if (!to->entries) {
		to->count = to->cap = 0;
		return false;
	}
	for (u32 i = 0; i < from->count; i++) {
		from->entries[i].writer = writer;
		from->entries[i].reader_count = 0;
		to->entries[i] = from->entries[i];
		to->entries[i].readers = NULL;
		to->entries[i].reader_cap = 0;
	}
	return true;
}
