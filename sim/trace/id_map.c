/* sim/trace/id_map.c - a small hash map from ids to indices (open addressing, never shrinks) */
#include <stdlib.h>

#include "sim/trace/plan_internal.h"

struct id_map {
	u64 *keys;
	u32 *values; /* PLAN_NONE: the slot is free */
	u32 size, used;
};

static u32 slot_of(const struct id_map *m, u64 key)
{
	u32 at = (u32)((key * 0x9e3779b97f4a7c15ull) >> 32) & (m->size - 1);

	while (m->values[at] != PLAN_NONE && m->keys[at] != key)
		at = (at + 1) & (m->size - 1);
	return at;
}

static bool resize(struct id_map *m, u32 size)
{
	struct id_map old = *m;

	m->keys = calloc(size, sizeof(*m->keys));
	m->values = malloc(size * sizeof(*m->values));
	if (!m->keys || !m->values) {
		free(m->keys);
		free(m->values);
		*m = old;
		return false;
	}
	m->size = size;
	for (u32 i = 0; i < size; i++)
		m->values[i] = PLAN_NONE;
	for (u32 i = 0; i < old.size; i++)
		if (old.values[i] != PLAN_NONE) {
			u32 at = slot_of(m, old.keys[i]);

			m->keys[at] = old.keys[i];
			m->values[at] = old.values[i];
		}
	free(old.keys);
	free(old.values);
	return true;
}

struct id_map *id_map_create(void)
{
	struct id_map *m = calloc(1, sizeof(*m));

	if (m && !resize(m, 64)) {
		free(m);
		return NULL;
	}
	return m;
}

void id_map_destroy(struct id_map *m)
{
	if (!m)
		return;
	free(m->keys);
	free(m->values);
	free(m);
}

u32 id_map_get(const struct id_map *m, u64 key)
{
	return m->values[slot_of(m, key)];
}

bool id_map_set(struct id_map *m, u64 key, u32 value)
{
	u32 at;

	if (m->used * 2 >= m->size && !resize(m, m->size * 2))
		return false;
	at = slot_of(m, key);
	if (m->values[at] == PLAN_NONE)
		m->used++;
	m->keys[at] = key;
	m->values[at] = value;
	return true;
}
