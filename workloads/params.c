/*
 * workloads/params.c - parameters of workloads: tables, slots, values
 *
 * A slot is a parameter's index in the workload's own table, then in the common one.
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/workload.h>

const struct param bench_common_params[] = {
	{.key = "sample",
	 .type = PARAM_UINT,
	 .def = "0",
	 .max = 1u << 20,
	 .meaning = "time one operation in so many; 0: as the workload says, 1: every one"},
	{.key = "memory",
	 .type = PARAM_BYTES,
	 .def = "0",
	 .max = 1ull << 46,
	 .meaning = "simulated physical memory; 0: as much as the workload needs (virtual: on each node)"},
	{.key = "content_words",
	 .type = PARAM_UINT,
	 .def = "0",
	 .max = 8,
	 .power_of_two = true,
	 .meaning = "64-bit words of content kept per page: 1, 2, 4, 8; 0: as the engine needs "
		    "(virtual: 8, a cache line; native: 1)"},
	{.key = NULL},
};

static u32 table_len(const struct param *table)
{
	u32 n = 0;

	while (table && table[n].key)
		n++;
	return n;
}

const struct param *bench_param_at(const struct workload *w, u32 slot)
{
	u32 own = table_len(w->params);

	if (slot < own)
		return &w->params[slot];
	slot -= own;
	return slot < table_len(bench_common_params) ? &bench_common_params[slot] : NULL;
}

const struct param *bench_param_find(const struct workload *w, const char *key, u32 *slot)
{
	const struct param *p;

	for (*slot = 0; (p = bench_param_at(w, *slot)) != NULL; (*slot)++)
		if (strcmp(p->key, key) == 0)
			return p;
	return NULL;
}

u64 bench_param(const struct bench *b, const char *key)
{
	u32 slot;

	if (!bench_param_find(b->workload, key, &slot))
		MMSIM_BUG("%s has no parameter %s", b->workload->name, key);
	return b->params[slot];
}

static int parse_number(const char *text, u64 *value)
{
	static const char suffixes[] = "KMGT";
	const char *s;
	char *end;
	u32 shift = 0;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL; /* strtoull would take a sign and blanks */
	errno = 0;
	*value = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		s = strchr(suffixes, *end & ~32);
		if (!s || !*s)
			return -EINVAL;
		shift = 10 * (u32)(s - suffixes + 1);
		end++;
		if ((*end | 32) == 'b' || (end[0] == 'i' && end[1] == 'B'))
			end += *end == 'i' ? 2 : 1;
	}
	if (*end)
		return -EINVAL;
	if (*value > ~0ull >> shift)
		return -ERANGE;
	*value <<= shift;
	return 0;
}

static int parse_bool(const char *text, u64 *value)
{
	static const char *const words[] = {"0", "1", "off", "on", "no", "yes", "false", "true"};

	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*value = i % 2;
			return 0;
		}
	return -EINVAL;
}

int bench_param_parse(const struct param *p, const char *text, u64 *value)
{
	int err;

	switch (p->type) {
	case PARAM_BOOL:
		return parse_bool(text, value);
	case PARAM_CHOICE:
		for (u32 i = 0; p->choices[i]; i++)
			if (strcmp(text, p->choices[i]) == 0) {
				*value = i;
				return 0;
			}
		return -EINVAL;
	default:
		err = parse_number(text, value);
		if (!err && (*value < p->min || *value > p->max))
			err = -ERANGE;
		if (!err && p->power_of_two && (*value & (*value - 1)))
			err = -ERANGE;
		return err;
	}
}
