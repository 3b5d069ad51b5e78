/*
 * tests/scheme/kill_parts.c - conformance: killed while waiting, in every call that is killable
 *
 * killed_calls  one task holds everything for write; the others wait, one in each call, and are killed.
 *               Each call returns -EINTR, and the address space is as before: the same VMAs, the
 *               same break, the same place for the next mmap() (no gap stays reserved).
 */
#include "tests/scheme/conformance.h"

enum call {
	CALL_MMAP, CALL_MMAP_FIXED, CALL_MUNMAP, CALL_MPROTECT, CALL_MREMAP, CALL_MADVISE, CALL_BRK,
	CALL_MLOCK, CALL_MUNLOCK, CALL_MLOCKALL, CALL_MUNLOCKALL, CALL_FORK, CALLS
};

#define BREAK 0x8000000ull
#define VMAS_MAX 8

struct listing {
	u64 start[VMAS_MAX], end[VMAS_MAX], flags[VMAS_MAX];
	u32 count;
};

struct killed {
	struct listing before;
	s64 next; /* where mmap() maps */
};

static void list_vma(const struct vma *vma, void *arg)
{
	struct listing *l = arg;

	MUST(l->count < VMAS_MAX);
	l->start[l->count] = vma->start;
	l->end[l->count] = vma->end;
	l->flags[l->count++] = vma->flags;
}

static s64 next_place(struct world *w)
{
	s64 va = mm_mmap(w->mm, 0, 4 * PAGE, RW, ANON, NULL, 0);

	MUST(va > 0 && mm_munmap(w->mm, (u64)va, 4 * PAGE) == 0);
	return va;
}

static void killed_begin(struct world *w)
{
	struct killed *k = calloc(1, sizeof(*k));

	MUST(k);
	w->own = k;
	mm_set_brk(w->mm, BREAK);
	map_at(w, REGION, 16 * PAGE, RW);
	MUST(mm_mprotect(w->mm, REGION + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
	MUST(mm_mlock(w->mm, REGION + 8 * PAGE, 4 * PAGE, false) == 0);
	mm_for_each_vma(w->mm, list_vma, &k->before);
	k->next = next_place(w);
}

static s64 call(struct world *w, enum call which)
{
	int error = 0;

	switch (which) {
	case CALL_MMAP:
		return mm_mmap(w->mm, 0, 4 * PAGE, RW, ANON, NULL, 0);
	case CALL_MMAP_FIXED:
		return mm_mmap(w->mm, REGION + PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, NULL, 0);
	case CALL_MUNMAP:
		return mm_munmap(w->mm, REGION + PAGE, 4 * PAGE);
	case CALL_MPROTECT:
		return mm_mprotect(w->mm, REGION + PAGE, 4 * PAGE, PROT_NONE);
	case CALL_MREMAP:
		return mm_mremap(w->mm, REGION, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0);
	case CALL_MADVISE:
		return mm_madvise(w->mm, REGION + PAGE, PAGE, MADV_DONTDUMP);
	case CALL_BRK:
		return (s64)mm_brk(w->mm, BREAK + 8 * PAGE);
	case CALL_MLOCK:
		return mm_mlock(w->mm, REGION, 2 * PAGE, false);
	case CALL_MUNLOCK:
		return mm_munlock(w->mm, REGION + 8 * PAGE, 2 * PAGE);
	case CALL_MLOCKALL:
		return mm_mlockall(w->mm, MCL_CURRENT | MCL_FUTURE);
	case CALL_MUNLOCKALL:
		return mm_munlockall(w->mm);
	default:
		MUST(!mm_fork(w->mm, &error));
		return error;
	}
}

static void killed_calls(struct world *w, u32 task)
{
	struct mm_hold *h = mm_hold(HOLD_SYSCALL);
	s64 result;

	if (task < CALLS) {
		wait_phase(w, 1);
		arrive(w);
		result = call(w, (enum call)task);
		if (result != -EINTR)
			VIOLATION("call %u, killed while it waited, returned %lld", task,
				  (long long)result);
		(void)fetch_add(&w->writes, 1);
		return;
	}
	mmap_write_lock(charged_mm(w), h, MM_RANGE_ALL);
	set_phase(w, 1);
	wait_arrived(w, CALLS);
	let_others_run(2000000); /* let them fall asleep */
	for (u32 i = 0; i < CALLS; i++)
		task_kill(machine_task(w->m, i));
	while (smp_load_acquire(&w->writes) < CALLS)
		engine_yield();
	mmap_write_unlock(h);
}

static void killed_end(struct world *w)
{
	struct listing after = { .count = 0 };
	struct killed *k = w->own;

	mm_for_each_vma(w->mm, list_vma, &after);
	if (memcmp(&after, &k->before, sizeof(after)))
		VIOLATION("a call that was killed has changed a VMA");
	MUST(mm_brk(w->mm, 0) == BREAK);
	MUST(next_place(w) == k->next);
	free(k);
}

const struct part kill_parts[] = {
	{ "killed_calls", killed_begin, killed_calls, killed_end, CALLS + 1, false, 0 },
	{ .name = NULL },
};
