/*
 * sim/cli/walk_run.c - mmsim walk --machine: a program and its kernel, step by step, on one CPU of a machine
 *
 * Nothing is walked here: the accesses are user_access()'s and the calls are mm/'s, on the virtual
 * engine, and what the TLBs did comes from tlb_watch().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/locking.h>
#include <mmsim/mm.h>

#include "sim/cli/walk.h"

#define RUN_FRAMES 16384ull /* per node */
#define POOL_BYTES_MAX (1ull << 30)
#define POOL_PAGES_MAX 64
#define DEFAULT_SCHEME mm_locking_vma_refcnt

/* ---- what the user asks for -------------------------------------------------------------------- */

bool walk_run_machine(struct walk_run *r, const char *name, struct cli_error *err)
{
	struct machine_model_error merr;

	if (machine_model_load(&r->model, name, &merr) != 0)
		return cli_fail(err, "--machine=%s", merr.text);
	if (!r->arch)
		r->arch = arch_find(r->model.arch);
	if (!r->arch)
		return cli_fail(err, "--machine=%s: [machine] arch=%s: unknown (mmsim list archs)", name,
				r->model.arch);
	return r->model.tlb_l1_entries ||
	       cli_fail(err, "--machine=%s: has no TLBs to show (tlb.l1_entries=0)", name);
}

const char *walk_context_name(const struct walk_run *r)
{
	static const char *const names[] = {
		[TLBI_BY_IPI] = "PCID",
		[TLBI_BROADCAST] = "ASID",
		[TLBI_SERIALISED] = "PID",
	};

	return names[max((u32)r->arch->tlb_invalidation, (u32)r->model.tlb_invalidate)];
}

/* Small pages; transparent huge pages; and from a pool what is larger. */
static bool kernel_maps(const struct arch_desc *a, u32 level)
{
	return level == 0 || ((a->huge_levels >> level & 1) && (level == 1 || level_bytes(a, level) <= POOL_BYTES_MAX));
}

static bool page_level(const struct arch_desc *a, u64 page_bytes, u32 *level)
{
	for (*level = 0; *level < a->levels; ++*level)
		if (level_bytes(a, *level) == page_bytes)
			return kernel_maps(a, *level);
	return false;
}

bool walk_run_can_map(const struct walk_run *r, const struct walk_mapping *m, struct cli_error *err)
{
	const struct arch_desc *a = r->arch;
	u32 kernels = PTE_ACCESSED | (m->attrs & PTE_WRITE ? PTE_DIRTY : 0) |
		      (m->attrs & PTE_HIDDEN ? PTE_HIDDEN : PTE_USER);
	char sizes[128];
	u32 level;

	if (m->pa != ~0ull || m->global || m->key ||
	    (m->attrs & (PTE_ACCESSED | PTE_DIRTY | PTE_HIDDEN | PTE_USER)) != kernels)
		return cli_fail(err, "--%s%s: with --machine PERMS are of r, w, x and -, and no physical address: the rest is the kernel's to say",
				m->option, m->text);
	if (!page_level(a, m->page_bytes, &level)) {
		walk_sizes(a, kernel_maps, sizes);
		return cli_fail(err, "--%s%s: with --machine %s has pages of %s", m->option, m->text, a->name, sizes);
	}
	return (m->va | m->len) & (m->page_bytes - 1) || !m->len
		       ? cli_fail(err, "--%s%s: address and length must be multiples of %#llx, and not 0", m->option,
				  m->text, (unsigned long long)m->page_bytes)
		       : true;
}

static bool parse_range(const char *text, struct walk_mapping *m, struct cli_error *err)
{
	const char *s = text;

	if (!walk_number(&s, &m->va) || *s++ != ':' || !walk_number(&s, &m->len) || *s)
		return cli_fail(err, "--do=munmap:%s: an address and a length are needed, as in munmap:0x600000:4K",
				text);
	return true;
}

static bool parse_space(const char *text, u32 *space, struct cli_error *err)
{
	const char *s = text;
	u64 n;

	if (!walk_number(&s, &n) || *s || n < 1 || n > WALK_SPACES_MAX)
		return cli_fail(err, "--do=switch:%s: 1 to %u is allowed", text, WALK_SPACES_MAX);
	*space = (u32)n;
	return true;
}

bool walk_parse_do(const struct walk_run *r, const char *text, struct walk_step_done *d,
		   struct cli_error *err)
{
	static const char *const names[] = {"mmap", "munmap", "mprotect", "switch"};
	static const char *const prefixes[] = {"do=mmap:", "do=munmap:", "do=mprotect:", "do=switch:"};
	static const struct cli_option o = {.name = "do"};
	const char *args = strchr(text, ':');
	char name[32];
	u32 index;

	snprintf(name, sizeof(name), "%.*s", args ? (int)min(args - text, 31l) : 31, text);
	if (!cli_name(&o, name, "step", names, ARRAY_SIZE(names), &index, err))
		return false;
	d->what = WALK_MMAP + index;
	args = args ? args + 1 : "";
	if (d->what == WALK_SWITCH)
		return parse_space(args, &d->space, err);
	if (d->what == WALK_MUNMAP)
		return parse_range(args, &d->map, err);
	return walk_parse_map(r->arch, prefixes[index], args, &d->map, err) &&
	       walk_run_can_map(r, &d->map, err);
}

/* ---- what the TLB does --------------------------------------------------------------------------- */

static struct walk_event *add_event(struct walk_run *r, const struct tlb_event *e)
{
	if (r->event_count == r->event_room) {
		r->event_room = r->event_room ? r->event_room * 2 : 256;
		r->events = realloc(r->events, r->event_room * sizeof(r->events[0]));
		if (!r->events)
			MMSIM_BUG("the host has no memory for %u events", r->event_room);
	}
	r->events[r->event_count] = (struct walk_event){.e = *e, .after = e->entry};
	return &r->events[r->event_count++];
}

static pte_t entry_at(const struct walk_run *r, u64 pa)
{
	return READ_UNPRICED(*(const pte_t *)(memory_of(r->machine)->direct_map + pa));
}

/* The kernel's tree, of which a hash table has its entries: the MMU itself does not read it. */
static void add_tree(struct walk_run *r, u64 va)
{
	const struct arch_desc *a = r->arch;
	const struct memory *mem = memory_of(r->machine);
	struct pt_place at;

	for (u32 level = a->levels; va < a->task_size && level-- > 0;) {
		struct tlb_event e = {.kind = TLB_EVENT_READ, .level = (u8)level, .va = va};

		if (!arch_descend_tree(a, mem, this_cpu()->active_mm->pgd_pfn, va, level, &at))
			return;
		e.pa = (u64)((char *)at.entry - mem->direct_map);
		e.entry = entry_at(r, e.pa);
		add_event(r, &e);
	}
}

static void on_event(void *arg, const struct tlb_event *e)
{
	struct walk_run *r = arg;

	add_event(r, e);
	if (r->arch->hashed && e->kind == TLB_EVENT_MISS &&
	    (e->array == TLB_L2 || !r->model.tlb_l2_entries))
		add_tree(r, e->va);
	if (e->kind == TLB_EVENT_WALKED)
		for (u32 i = r->event_count - 1; i > 0; i--) {
			struct walk_event *w = &r->events[i - 1];

			if (w->e.kind == TLB_EVENT_READ)
				w->after = entry_at(r, w->e.pa);
			else if (w->e.kind == TLB_EVENT_MISS || w->e.kind == TLB_EVENT_CLEAN)
				break;
		}
}

u64 walk_run_pa(const struct walk_run *r, const struct walk_step_done *d)
{
	const struct arch_desc *a = r->arch;

	for (u32 i = d->first_event + d->event_count; i > d->first_event; i--) {
		const struct tlb_event *e = &r->events[i - 1].e;

		if (e->kind == TLB_EVENT_HIT)
			return e->pa | (d->access.va & (level_bytes(a, e->level) - 1));
		if (e->kind == TLB_EVENT_WALKED && !e->refused)
			return e->w.pfn << a->page_shift | (d->access.va & (arch_page_bytes(a) - 1));
	}
	return ~0ull;
}

/* ---- the program ----------------------------------------------------------------------------------- */

static u32 prot_of(const struct walk_mapping *m)
{
	if (m->attrs & PTE_HIDDEN)
		return PROT_NONE;
	return PROT_READ | (m->attrs & PTE_WRITE ? PROT_WRITE : 0) | (m->attrs & PTE_EXEC ? PROT_EXEC : 0);
}

static bool from_pool(const struct arch_desc *a, const struct walk_mapping *m)
{
	return m->page_bytes > level_bytes(a, 1);
}

static s64 map_one(struct mm *mm, const struct walk_mapping *m, u32 fixed)
{
	bool pool = from_pool(mm->arch, m);
	u32 size = pool ? MAP_HUGETLB | (u32)__builtin_ctzll(m->page_bytes) << MAP_HUGE_SHIFT : 0;
	s64 at = mm_mmap(mm, m->va, m->len, prot_of(m), MAP_PRIVATE | MAP_ANONYMOUS | fixed | size, NULL, 0);

	if (at < 0)
		return at;
	return pool || m->page_bytes == arch_page_bytes(mm->arch) ? 0
								   : mm_madvise(mm, m->va, m->len, MADV_HUGEPAGE);
}

/* At most that many are mapped: by each address space, and by its steps. */
static u64 pool_pages(const struct walk_run *r)
{
	u64 pages = 0, spaces = 1;

	for (u32 i = 0; i < r->step_count; i++) {
		const struct walk_step_done *d = &r->steps[i];

		spaces += d->what == WALK_SWITCH;
		if (d->what == WALK_MMAP && from_pool(r->arch, &d->map))
			pages += d->map.len / d->map.page_bytes;
	}
	for (u32 i = 0; i < r->map_count; i++)
		if (from_pool(r->arch, &r->maps[i]))
			pages += spaces * (r->maps[i].len / r->maps[i].page_bytes);
	return min(pages, (u64)POOL_PAGES_MAX);
}

static struct mm *space_of(struct walk_run *r, u32 number)
{
	struct mm *mm = r->spaces[number - 1];

	if (mm)
		return mm;
	mm = mm_create(r->machine, r->arch, &DEFAULT_SCHEME);
	if (!mm) {
		r->ok = cli_fail(r->err, "--do=switch:%u: no memory for an address space", number);
		return NULL;
	}
	r->spaces[number - 1] = mm;
	for (u32 i = 0; i < r->map_count && r->ok; i++) {
		s64 err = map_one(mm, &r->maps[i], MAP_FIXED_NOREPLACE);

		if (err)
			r->ok = cli_fail(r->err, "--%s%s: mmap: %s", r->maps[i].option, r->maps[i].text,
					 strerror((int)-err));
	}
	return r->ok ? mm : NULL;
}

static s64 make_step(const struct walk_step_done *d, struct mm *mm)
{
	u64 value = 0;

	switch (d->what) {
	case WALK_ACCESS:
		return user_access(d->access.va, d->access.kind, &value);
	case WALK_MMAP:
		return map_one(mm, &d->map, MAP_FIXED);
	case WALK_MUNMAP:
		return mm_munmap(mm, d->map.va, d->map.len);
	case WALK_MPROTECT:
		return mm_mprotect(mm, d->map.va, d->map.len, prot_of(&d->map));
	case WALK_SWITCH:
		mmu_switch(mm);
	}
	return 0;
}

static void count(const struct walk_run *r, struct walk_step_done *d, bool before)
{
	for (u32 i = 0; i < COUNTER_COUNT; i++) {
		u64 n = machine_counter(r->machine, (enum counter)i);

		d->counters[i] = before ? n : n - d->counters[i];
	}
}

static void program(void *arg, u32 index)
{
	struct walk_run *r = arg;
	u32 space = 1;

	(void)index;
	if (space_of(r, space))
		mmu_switch(r->spaces[0]);
	for (u32 i = 0; i < r->step_count && r->ok; i++) {
		struct walk_step_done *d = &r->steps[i];
		struct mm *mm;

		if (d->what == WALK_SWITCH)
			space = d->space;
		d->space = space;
		mm = space_of(r, space);
		if (!mm)
			break;
		count(r, d, true);
		d->first_event = r->event_count;
		(void)tlb_watch(on_event, r);
		d->start_ps = engine_now_ps();
		d->result = make_step(d, mm);
		d->end_ps = engine_now_ps();
		(void)tlb_watch(NULL, NULL);
		d->event_count = r->event_count - d->first_event;
		d->context = tlb_context_number();
		count(r, d, false);
	}
	mmu_switch(NULL);
	for (u32 i = 0; i < WALK_SPACES_MAX; i++)
		if (r->spaces[i])
			mm_put(r->spaces[i]);
}

bool walk_run(struct walk_run *r, struct cli_error *err)
{
	const struct mm_config mm_cfg = {.params = {[MM_PARAM_HUGEPAGES_1G] = pool_pages(r)}};
	const struct machine_config cfg = {
		.tasks = 1,
		.cpus = 1,
		.memory_bytes = (RUN_FRAMES << r->arch->page_shift) * r->model.topology_sockets +
				hugetlb_memory_bytes(r->arch, &mm_cfg, (u32)r->model.topology_sockets),
		.seed = 1,
		.model = &r->model,
	};
	bool pinned;

	r->machine = machine_create(&cfg);
	if (!r->machine)
		return cli_fail(err, "--machine=%s: no memory for it", r->model.name);
	r->err = err;
	r->ok = true;
	if (mm_machine_init(r->machine, r->arch, &mm_cfg)) {
		machine_destroy(r->machine);
		return cli_fail(err, "--machine=%s: no memory for its memory", r->model.name);
	}
	if (engine_run(r->machine, 1, program, r, &pinned))
		r->ok = cli_fail(err, "--machine=%s: the host has no memory for a task", r->model.name);
	mm_machine_destroy(r->machine);
	machine_destroy(r->machine);
	return r->ok;
}
