/*
 * sim/cli/walk_space.c - mmsim walk: physical memory, and tables built in it
 *
 * Tables are built from the architecture's description alone, by whoever asks: mm/ would refuse what
 * no kernel does (half of the address space, any page size anywhere), and this is what is to be shown.
 * Host memory is used for tables only.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include <mmsim/cpu.h>

#include "sim/cli/walk.h"

/* Behind the last table: a ppc64 radix entry may ask for a table of up to 1 GiB. */
#define TABLE_BYTES_MAX (1ull << 30)
/* ppc64's hash table has a size of its own; this many frames give the smallest. */
#define FRAMES_SAID 4096
#define MAP_PAGES_MAX (1ull << 20)

bool walk_space_init(struct walk_space *s, const struct arch_desc *a, u64 bytes,
		     struct cli_error *err)
{
	const struct machine_config cfg = {.tasks = 1, .cpus = 1, .memory_bytes = 64ull << 20};
	void *p;

	*s = (struct walk_space){.arch = a, .tables_hi = bytes, .next_table = WALK_TABLES_PA,
				 .next_page = WALK_PAGES_PA};
	s->machine = machine_create(&cfg);
	if (!s->machine)
		return cli_fail(err, "no memory for a machine");
	machine_enter(s->machine);
	s->reserved_bytes = bytes + TABLE_BYTES_MAX;
	p = mmap(NULL, s->reserved_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	s->mem = (struct memory){.machine = s->machine, .page_shift = a->page_shift,
				 .frames = FRAMES_SAID, .direct_map = p == MAP_FAILED ? NULL : p};
	if (!s->mem.direct_map ||
	    (a->ops->machine_init && a->ops->machine_init(a, s->machine, &s->mem))) {
		walk_space_destroy(s);
		return cli_fail(err, "no memory for tables");
	}
	s->regs = arch_default_regs(a, 0);
	return true;
}

void walk_space_destroy(struct walk_space *s)
{
	if (s->mem.mmu_state)
		s->arch->ops->machine_destroy(s->machine, &s->mem);
	if (s->mem.direct_map)
		munmap(s->mem.direct_map, s->reserved_bytes);
	machine_leave();
	machine_destroy(s->machine);
}

/* false: there is no room. */
static bool table_new(struct walk_space *s, u64 *pa)
{
	u64 page = arch_page_bytes(s->arch);

	if (s->next_table + page > s->tables_hi)
		return false;
	*pa = ALIGN_UP(s->next_table, page);
	s->next_table = *pa + page;
	return true;
}

bool walk_space_roots(struct walk_space *s, struct cli_error *err)
{
	if (!table_new(s, &s->regs.root[0]))
		return cli_fail(err, "no room for tables");
	s->regs.root[1] = s->regs.root[0];
	return !s->arch->upper_root || table_new(s, &s->regs.root[1]) || cli_fail(err, "no room for tables");
}

static bool has_leaves(const struct arch_desc *a, u32 level)
{
	return level == 0 || (a->huge_levels >> level & 1);
}

/* Where neighbours may be marked as one (arm64's contiguous bit). */
static bool has_groups(const struct arch_desc *a, u32 level)
{
	return has_leaves(a, level) && a->group_bits[level];
}

/* The level whose leaves, or groups of them, are of this size; true if there is one. */
static bool leaf_level(const struct arch_desc *a, u64 page_bytes, u32 *level, bool *group)
{
	for (*level = 0; *level < a->levels; ++*level) {
		*group = has_groups(a, *level) && level_bytes(a, *level) << a->group_bits[*level] == page_bytes;
		if (*group || (has_leaves(a, *level) && level_bytes(a, *level) == page_bytes))
			return true;
	}
	return false;
}

/* The empty entry for va at this level, with tables down to it. */
static bool entry_for(struct walk_space *s, const struct walk_mapping *m, u64 va, u32 level, pte_t **entry,
		      struct cli_error *err)
{
	const struct arch_desc *a = s->arch;
	u32 at = a->levels - 1u, root;
	u64 table;

	if (!va_root(a, va, &root))
		return cli_fail(err, "--%s%s: %s has no address %#llx", m->option, m->text, a->name,
				(unsigned long long)va);
	for (table = s->regs.root[root];; at--) {
		pte_t *p = (pte_t *)(s->mem.direct_map + table) + level_index(a, va, at);

		*entry = p;
		if (*p && (at == level || entry_is_leaf(a, *p, at)))
			return cli_fail(err, "--%s%s: %#llx is mapped already", m->option, m->text,
					(unsigned long long)va);
		if (at == level)
			return true;
		if (!*p) {
			if (!table_new(s, &table))
				return cli_fail(err, "--%s%s: the tables need more than %llu MiB", m->option, m->text,
						(unsigned long long)(s->tables_hi >> 20));
			*p = table_make(a, table >> a->page_shift, at);
		}
		table = table_pa(a, *p);
	}
}

static bool check_pages(const struct walk_space *s, const struct walk_mapping *m, u64 *pa,
			struct cli_error *err)
{
	const struct arch_desc *a = s->arch;

	if ((m->va | m->len) & (m->page_bytes - 1))
		return cli_fail(err, "--%s%s: address and length must be multiples of %#llx", m->option, m->text,
				(unsigned long long)m->page_bytes);
	if (!m->len || m->len / m->page_bytes > MAP_PAGES_MAX || m->va + (m->len - 1) < m->va)
		return cli_fail(err, "--%s%s: 1 to %llu pages are allowed", m->option, m->text,
				(unsigned long long)MAP_PAGES_MAX);
	*pa = m->pa != ~0ull ? m->pa : ALIGN_UP(s->next_page, m->page_bytes);
	if (*pa & (m->page_bytes - 1))
		return cli_fail(err, "--%s%s: physical address %#llx: must be a multiple of the page size", m->option, m->text,
				(unsigned long long)*pa);
	if (*pa + (m->len - 1) < *pa || (*pa + (m->len - 1)) >> a->phys_bits)
		return cli_fail(err, "--%s%s: physical addresses of %s have %u bits", m->option, m->text, a->name,
				a->phys_bits);
	return true;
}

bool walk_map(struct walk_space *s, const struct walk_mapping *m, struct cli_error *err)
{
	const struct arch_desc *a = s->arch;
	u64 pa = 0;
	char sizes[128];
	u32 level;
	bool group;

	if (!leaf_level(a, m->page_bytes, &level, &group)) {
		walk_sizes(a, has_leaves, sizes);
		return cli_fail(err, "--%s%s: %s has no pages of %#llx bytes (allowed: %s)", m->option, m->text, a->name,
				(unsigned long long)m->page_bytes, sizes);
	}
	if (!check_pages(s, m, &pa, err))
		return false;
	if (m->pa == ~0ull)
		s->next_page = pa + m->len;
	for (u64 done = 0; done < m->len; done += level_bytes(a, level)) {
		u64 pfn = (pa + done) >> a->page_shift;
		pte_t *p = NULL, e;

		if (!entry_for(s, m, m->va + done, level, &p, err))
			return false;
		e = level ? huge_make(a, pfn, m->attrs) : pte_make(a, pfn, m->attrs);
		e = pte_set_key(a, e, m->key);
		if (group)
			e |= a->group_mask;
		if (m->global)
			e = (e & ~a->global_mask) | a->global_value;
		*p = e;
	}
	return true;
}

static void each_table_below(const struct walk_space *s, u64 pa, u32 level,
			     void (*fn)(void *arg, u64 pa, u32 level), void *arg)
{
	const struct arch_desc *a = s->arch;
	const pte_t *table = (const pte_t *)(s->mem.direct_map + pa);

	fn(arg, pa, level);
	for (u32 i = 0; level > 0 && i < 1u << a->idx_bits[level]; i++)
		if (pte_present(a, table[i]) && !entry_is_leaf(a, table[i], level) &&
		    table_pa(a, table[i]) < s->tables_hi)
			each_table_below(s, table_pa(a, table[i]), level - 1, fn, arg);
}

void walk_each_table(const struct walk_space *s, void (*fn)(void *arg, u64 pa, u32 level), void *arg)
{
	each_table_below(s, s->regs.root[0], s->arch->levels - 1u, fn, arg);
	if (s->regs.root[1] != s->regs.root[0])
		each_table_below(s, s->regs.root[1], s->arch->levels - 1u, fn, arg);
}
