/*
 * tests/unit/mm/huge_world.h - a machine and an mm with huge leaves, transparent or from a pool, and what is in them
 *
 * Each base page (of leaves above 512 MiB a sample) holds two words made of its address.
 */
#ifndef MMSIM_TEST_HUGE_WORLD_H
#define MMSIM_TEST_HUGE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mm/internal.h"
#include "tests/unit/arch/every_arch.h"
#include "tests/unit/test_seed.h"

#define RW (PROT_READ | PROT_WRITE)

struct world {
	struct machine *m;
	const struct arch_desc *a;
	struct mm *mm;
	u32 level, pages; /* of a leaf */
	u64 page, huge;	  /* bytes */
	u64 step;	  /* between base pages that are looked at */
	u64 base;	  /* of the mapping that most cases begin with */
	u64 before;	  /* frames in use before that */
};

static inline u64 count_of(const struct world *w, enum counter c)
{
	return machine_counter(w->m, c);
}

/* The calling thread is a task of the machine until world_destroy(). cfg: all but content_words. */
static inline struct world world_start(const struct arch_desc *a, u32 level, const struct mm_locking *scheme,
				       struct machine_config cfg, const struct mm_config *mm_cfg)
{
	struct world w = {.a = a, .level = level, .page = arch_page_bytes(a), .huge = level_bytes(a, level)};

	w.pages = (u32)(w.huge / w.page);
	w.step = w.pages > 8192 ? 1023 * w.page : w.page;
	cfg.content_words = 2;
	w.m = machine_create(&cfg);
	assert_non_null(w.m);
	assert_int_equal(mm_machine_init(w.m, a, mm_cfg), 0);
	machine_enter(w.m);
	w.mm = mm_create(w.m, a, scheme);
	assert_non_null(w.mm);
	mmu_switch(w.mm);
	return w;
}

/* mm_machine_destroy() stops if a frame, a pool's page or a reservation is missing. */
static inline void world_destroy(struct world *w)
{
	mm_check(w->mm);
	mmu_switch(NULL);
	mm_put(w->mm);
	pgtable_drain_freed(w->m);
	assert_int_equal(count_of(w, COUNTER_PT_ALLOC), count_of(w, COUNTER_PT_FREE));
	machine_leave();
	mm_machine_destroy(w->m);
	machine_destroy(w->m);
}

/* fn(arg, task) for all tasks of the machine at once; the caller is none of them meanwhile. */
static inline void world_run(struct world *w, u32 tasks, void (*fn)(void *arg, u32 index), void *arg)
{
	mmu_switch(NULL);
	machine_leave();
	assert_int_equal(engine_run(w->m, tasks, fn, arg, NULL), 0);
	machine_enter(w->m);
	mmu_switch(w->mm);
}

/* The next base page to look at: in each huge page the same ones. */
static inline u64 next(const struct world *w, u64 va)
{
	return min(va + w->step, ALIGN_DOWN(va, w->huge) + w->huge);
}

static inline u64 token(u64 va)
{
	return va * 0x9e3779b97f4a7c15ull | 1;
}

static inline void write_tokens(struct world *w, u64 start, u64 end)
{
	for (u64 va = start; va < end; va = next(w, va)) {
		assert_int_equal(user_write(va, token(va)), FAULT_OK);
		assert_int_equal(user_write(va + 8, ~token(va)), FAULT_OK);
	}
}

/* Each page of [start, end) has what was written when it was at from + ... */
static inline void read_tokens_from(struct world *w, u64 start, u64 end, u64 from)
{
	u64 value;

	for (u64 va = start; va < end; va = next(w, va)) {
		assert_int_equal(user_read(va, &value), FAULT_OK);
		assert_int_equal(value, token(from + (va - start)));
		assert_int_equal(user_read(va + 8, &value), FAULT_OK);
		assert_int_equal(value, ~token(from + (va - start)));
	}
}

static inline void read_tokens(struct world *w, u64 start, u64 end)
{
	read_tokens_from(w, start, end, start);
}

static inline void read_zeroes(struct world *w, u64 start, u64 end)
{
	u64 value;

	for (u64 va = start; va < end; va = next(w, va)) {
		assert_int_equal(user_read(va, &value), FAULT_OK);
		assert_int_equal(value, 0);
	}
}

#endif
