/*
 * tests/scheme/order_parts.c - conformance: visibility
 *
 * visibility  message passing through map changes: one task changes the address space, then tells the
 *             others by a flag; each of them must meet the change at its next touch (whatever
 *             its TLB or its scheme remembers), and in the list of VMAs. The role goes round.
 */
#include "tests/scheme/conformance.h"

#define SLOT_PAGES 4
#define SLOT(i) (REGION + (i) * 16 * PAGE)

enum change { MAPPED, WRITTEN, MOVED, READ_ONLY, WRITABLE, DROPPED, UNMAPPED, CHANGES };

/* What all must see from now on. Written by whose turn it is, before the flag. */
struct message {
	u64 at;		/* where the pages are */
	u64 gone;	/* where none is; 0: nowhere in particular */
	u64 token;	/* their content; 0: fresh */
	u32 mapped, writable;
	bool last; /* and stop then */
};

struct visibility {
	struct message message;
	u64 acks;
};

static void visibility_begin(struct world *w)
{
	w->own = calloc(1, sizeof(struct visibility));
	MUST(w->own);
}

static void visibility_end(struct world *w)
{
	free(w->own);
}

static void touch_expect(u64 va, enum fault_result expected, u64 token)
{
	for (u64 i = 0; i < SLOT_PAGES; i++) {
		u64 value = ~0ull;
		enum fault_result r = user_read(va + i * PAGE, &value);

		if (r != expected)
			VIOLATION("told of a change, a task still got %d at page %llu, not %d", (int)r,
				  (unsigned long long)i, (int)expected);
		if (r == FAULT_OK && value != (token ? token + i : 0))
			VIOLATION("told of a change, a task read %llu, not %llu",
				  (unsigned long long)value,
				  (unsigned long long)(token ? token + i : 0));
	}
}

struct seen {
	u64 at;
	u32 prot;
	bool found;
};

static void look_for(const struct vma *vma, void *arg)
{
	struct seen *s = arg;

	if (vma->start <= s->at && s->at < vma->end) {
		s->found = true;
		s->prot = vma->flags & VM_WRITE ? RW : PROT_READ;
	}
}

static void check_message(struct world *w, const struct message *m, u32 task)
{
	struct seen s = { .at = m->at };

	mm_for_each_vma(w->mm, look_for, &s);
	if (s.found != m->mapped || (s.found && (s.prot == RW) != m->writable))
		VIOLATION("told of a change, a task finds another VMA");
	if (m->gone)
		touch_expect(m->gone, FAULT_SIGSEGV_MAPERR, 0);
	touch_expect(m->at, m->mapped ? FAULT_OK : FAULT_SIGSEGV_MAPERR, m->token);
	/* The words beside the token are for who checks. */
	if (m->mapped && !m->writable)
		MUST(user_write(m->at + 8, task) == FAULT_SIGSEGV_ACCERR);
	if (m->mapped && m->writable)
		MUST(user_write(m->at + 8 + task * 8, task) == FAULT_OK);
}

static void make_change(struct world *w, struct message *m, u64 turn)
{
	u64 other = m->at == SLOT(1) ? SLOT(2) : SLOT(1), bytes = SLOT_PAGES * PAGE;

	m->gone = 0;
	switch ((enum change)(turn % CHANGES)) {
	case MAPPED:
		m->at = other;
		map_at(w, m->at, bytes, RW);
		m->token = 0;
		m->mapped = m->writable = true;
		break;
	case WRITTEN:
		m->token = turn * 16;
		for (u64 i = 0; i < SLOT_PAGES; i++)
			MUST(user_write(m->at + i * PAGE, m->token + i) == FAULT_OK);
		break;
	case READ_ONLY:
		MUST(mm_mprotect(w->mm, m->at, bytes, PROT_READ) == 0);
		m->writable = false;
		break;
	case WRITABLE:
		MUST(mm_mprotect(w->mm, m->at, bytes, RW) == 0);
		m->writable = true;
		break;
	case MOVED:
		MUST(mm_mremap(w->mm, m->at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, other) ==
		     (s64)other);
		m->gone = m->at;
		m->at = other;
		break;
	case DROPPED:
		MUST(mm_madvise(w->mm, m->at, bytes, MADV_DONTNEED) == 0);
		m->token = 0;
		break;
	default:
		MUST(mm_munmap(w->mm, m->at, bytes) == 0);
		m->mapped = false;
		m->token = 0;
	}
}

static void visibility(struct world *w, u32 task)
{
	struct visibility *v = w->own;
	bool last = false;

	mmu_switch(w->mm);
	for (u32 turn = 0; !last; turn++) {
		if (turn % TASKS == task) {
			make_change(w, &v->message, turn);
			v->message.last = !time_left(w);
			smp_store_release(&v->acks, 0);
			set_phase(w, turn + 1);
		} else {
			wait_phase(w, turn + 1);
		}
		check_message(w, &v->message, task);
		last = v->message.last;
		(void)fetch_add(&v->acks, 1);
		while (smp_load_acquire(&v->acks) < TASKS && READ_ONCE(w->phase) == turn + 1)
			engine_yield();
	}
	mmu_switch(NULL);
}

const struct part order_parts[] = {
	{ "visibility", visibility_begin, visibility, visibility_end, TASKS, false, 0 },
	{ .name = NULL },
};
