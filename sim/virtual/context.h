/* sim/virtual/context.h - user-level contexts: see context.c. Alone, so that its test can be built for other machines. */
#ifndef MMSIM_VIRTUAL_CONTEXT_H
#define MMSIM_VIRTUAL_CONTEXT_H

#include <mmsim/types.h>

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(CONTEXT_PORTABLE)
#define CONTEXT_PORTABLE
#endif

struct context {
	void *sp;	/* saved stack pointer; the host thread's own while it is not running */
	char *map;	/* the mapping that the stack is in, a guard page first; NULL: host thread */
	size_t map_bytes;
	char *stack; /* lowest usable byte */
	size_t stack_bytes;
	void *fake_stack; /* a sanitizer's */
#ifdef CONTEXT_PORTABLE
	void *ucontext;
#endif
};

/* A context that will call fn(arg), which never returns. color: its place among others, so that
 * stacks do not alias in the host's caches. 0 or -ENOMEM. */
int MUST_CHECK context_create(struct context *c, void (*fn)(void *arg), void *arg, u32 color);
void context_destroy(struct context *c);
/* Leave `from`, run `to`. Returns when somebody switches to `from`. `from_ends`: it never will. */
void context_switch(struct context *from, struct context *to, bool from_ends);
/* First thing in a new context. */
void context_entered(struct context *self);

#endif
