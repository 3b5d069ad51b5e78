/*
 * tests/unit/mm/mm_world.h - a machine with one address space, loaded, for tests of mm/ from above
 */
#ifndef MMSIM_TEST_MM_WORLD_H
#define MMSIM_TEST_MM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mm/internal.h"
#include "tests/tree_choice.h"

#define PAGE 4096ull
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define WORDS 8

struct mm_world {
	struct machine *m;
	struct memory *mem;
	struct mm *mm;
};

/* The calling thread is a task of the machine, with mm loaded, until mm_world_destroy(). */
static inline struct mm_world mm_world_create_with(const struct mm_locking *scheme, u64 memory_bytes,
						   u32 tasks, const struct mm_config *mm_cfg)
{
	const struct machine_config cfg = {
		.tasks = tasks, .memory_bytes = memory_bytes, .content_words = WORDS, .seed = 1
	};
	struct mm_world w = { .m = machine_create(&cfg) };

	assert_non_null(w.m);
	machine_enter(w.m);
	assert_int_equal(mm_machine_init(w.m, &arch_x86_64, mm_cfg), 0);
	w.mem = memory_of(w.m);
	w.mm = mm_create(w.m, &arch_x86_64, scheme);
	assert_non_null(w.mm);
	mmu_switch(w.mm);
	return w;
}

static inline struct mm_world mm_world_create(const struct mm_locking *scheme, u64 memory_bytes,
					      u32 tasks)
{
	const struct mm_config mm_cfg = { .tree = tree_choice() };

	return mm_world_create_with(scheme, memory_bytes, tasks, &mm_cfg);
}

/* Checks for leaks of frames, VMAs, tree nodes, anon_vmas by the way. */
static inline void mm_world_destroy(struct mm_world *w)
{
	mm_check(w->mm);
	mmu_switch(NULL);
	mm_put(w->mm);
	mm_machine_destroy(w->m);
	machine_leave();
	machine_destroy(w->m);
}

/* Run the tasks while the caller is outside. */
static inline void mm_world_run(struct mm_world *w, u32 tasks, void (*fn)(void *, u32), void *arg)
{
	mmu_switch(NULL);
	machine_leave();
	assert_int_equal(engine_run(w->m, tasks, fn, arg, NULL), 0);
	machine_enter(w->m);
	mmu_switch(w->mm);
}

static inline u64 map_anon(struct mm_world *w, u64 pages, u32 prot)
{
	s64 va = mm_mmap(w->mm, 0, pages * PAGE, prot, ANON, NULL, 0);

	assert_true(va > 0);
	return (u64)va;
}

static inline u64 map_file(struct mm_world *w, struct file *file, u64 pages, u32 prot, u32 flags)
{
	s64 va = mm_mmap(w->mm, 0, pages * PAGE, prot, flags, file, 0);

	assert_true(va > 0);
	return (u64)va;
}

/* An open file of `pages` pages; file_put() is the caller's. */
static inline struct file *new_file(struct mm_world *w, enum inode_kind kind, u64 bytes)
{
	static u64 ino = 100;
	struct inode *inode = inode_create(w->m, kind, "/data/file", 8, 1, ino++, bytes);
	struct file *file;

	assert_non_null(inode);
	file = file_open(inode, true, true);
	assert_non_null(file);
	inode_put(inode);
	return file;
}

static inline u64 read_word(u64 va)
{
	u64 value = ~0ull;

	assert_int_equal(user_read(va, &value), FAULT_OK);
	return value;
}

static inline void write_word(u64 va, u64 value)
{
	assert_int_equal(user_write(va, value), FAULT_OK);
}

static inline struct page *page_at(struct mm_world *w, u64 va)
{
	spinlock_t *ptl;
	pte_t *pte = pgtable_lookup(w->mm, va, &ptl);

	if (!pte || !pte_present(w->mm->arch, pte_get(pte)))
		return NULL;
	return pfn_to_page(w->mem, pte_pfn(w->mm->arch, pte_get(pte)));
}

#define COUNT(w, name) machine_counter((w)->m, COUNTER_##name)
/* expr makes the counter go up by n, exactly. */
#define EXPECT_COUNT(w, name, n, expr)                                                             \
	do {                                                                                       \
		u64 before_ = COUNT(w, name);                                                      \
		expr;                                                                              \
		assert_int_equal(COUNT(w, name) - before_, n);                                     \
	} while (0)

#endif
