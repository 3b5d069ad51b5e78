/*
 * sim/virtual/context.c - user-level contexts: a stack each, and the switch between them
 *
 * The switch saves what the ABI says a callee must preserve, on the stack that is left, and loads it
 * from the one that is entered. Floating-point control words are the same everywhere and are not
 * switched. x86-64 and aarch64 by hand, ucontext elsewhere (CONTEXT_PORTABLE).
 * Stacks start at different offsets from a page boundary, and from a multiple of 64 KiB, so that the
 * hot ends of a thousand stacks do not fall into the same sets of the host's caches.
 * Sanitizers are told of each switch; a guard page stops an overflow.
 */
#include "sim/virtual/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define CONTEXT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#endif

#ifdef CONTEXT_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
/* Unmapping does not clear a stack's red zones: whatever is mapped there next must not meet them. */
#define stack_is_gone(start, bytes) __asan_unpoison_memory_region((start), (bytes))
#define STACK_BYTES (1u << 20)
#else
#define stack_is_gone(start, bytes) ((void)0)
#define STACK_BYTES (256u << 10)
#endif

#define GUARD_BYTES 4096u
/* Distances between stacks' starts: within a page, and between pages. */
#define COLOR_LINES 61u
#define COLOR_PAGES 13u

/* Defined by the assembly of this file. Through the GOT (-fPIC), binutils 2.40 for aarch64 would give the
 * address of the section in its stead. */
#define LOCAL_SYMBOL __attribute__((visibility("hidden")))

#if defined(CONTEXT_PORTABLE)
#include <ucontext.h>

struct portable_context {
	ucontext_t uc;
	void (*fn)(void *arg);
	void *arg;
};

static void portable_start(unsigned int high, unsigned int low)
{
	struct portable_context *p = (void *)((uintptr_t)high << 32 | low);

	p->fn(p->arg);
}
#elif defined(__x86_64__)
/* vt_switch(void **save_sp, void *load_sp) */
__asm__(".text\n"
	".p2align 4\n"
	".type vt_switch, @function\n"
	"vt_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size vt_switch, . - vt_switch\n"
	/* The first switch to a context returns to here: function in r12, argument in r13. */
	".p2align 4\n"
	".type vt_start, @function\n"
	"vt_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	xorl %ebp, %ebp\n"
	"	movq %r13, %rdi\n"
	"	call *%r12\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size vt_start, . - vt_start\n");
void vt_switch(void **save_sp, void *load_sp);
extern const char vt_start[] LOCAL_SYMBOL;

static void *first_frame(char *top, void (*fn)(void *arg), void *arg)
{
	u64 *sp = (u64 *)(top - 9 * 8);

	sp[0] = sp[1] = 0;	    /* r15, r14 */
	sp[2] = (uintptr_t)arg;	    /* r13 */
	sp[3] = (uintptr_t)fn;	    /* r12 */
	sp[4] = sp[5] = 0;	    /* rbx, rbp */
	sp[6] = (uintptr_t)vt_start; /* leaves sp 16-byte aligned, as before a call */
	sp[7] = sp[8] = 0;
	return sp;
}
#elif defined(__aarch64__)
__asm__(".text\n"
	".p2align 4\n"
	".type vt_switch, %function\n"
	"vt_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size vt_switch, . - vt_switch\n"
	".p2align 4\n"
	".type vt_start, %function\n"
	"vt_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	mov x29, #0\n"
	"	mov x0, x20\n"
	"	blr x19\n"
	"	brk #1\n"
	"	.cfi_endproc\n"
	".size vt_start, . - vt_start\n");
void vt_switch(void **save_sp, void *load_sp);
extern const char vt_start[] LOCAL_SYMBOL;

static void *first_frame(char *top, void (*fn)(void *arg), void *arg)
{
	u64 *sp = (u64 *)(top - 160);

	sp[0] = (uintptr_t)fn;	/* x19 */
	sp[1] = (uintptr_t)arg; /* x20 */
	sp[10] = 0;		/* x29 */
	sp[11] = (uintptr_t)vt_start; /* x30 */
	return sp;
}
#endif

int context_create(struct context *c, void (*fn)(void *arg), void *arg, u32 color)
{
	size_t slack = COLOR_LINES * 64 + COLOR_PAGES * 4096;
	size_t offset = color % COLOR_LINES * 64 + color % COLOR_PAGES * 4096;
	char *top;

	c->map_bytes = GUARD_BYTES + STACK_BYTES + ALIGN_UP(slack, (size_t)4096);
	c->map = mmap(NULL, c->map_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (c->map == MAP_FAILED) {
		c->map = NULL;
		return -ENOMEM;
	}
	(void)mprotect(c->map, GUARD_BYTES, PROT_NONE);
	top = c->map + c->map_bytes - offset;
	top = (char *)ALIGN_DOWN((uintptr_t)top, 64);
	c->stack = c->map + GUARD_BYTES;
	c->stack_bytes = (size_t)(top - c->stack);
	c->fake_stack = NULL;
#ifndef CONTEXT_PORTABLE
	c->sp = first_frame(top, fn, arg);
	return 0;
#else
	struct portable_context *p = calloc(1, sizeof(*p));

	if (!p) {
		context_destroy(c);
		return -ENOMEM;
	}
	getcontext(&p->uc);
	p->uc.uc_stack.ss_sp = c->stack;
	p->uc.uc_stack.ss_size = c->stack_bytes;
	p->fn = fn;
	p->arg = arg;
	makecontext(&p->uc, (void (*)(void))portable_start, 2, (unsigned int)((uintptr_t)p >> 32),
		    (unsigned int)(uintptr_t)p);
	c->ucontext = p;
	return 0;
#endif
}

void context_destroy(struct context *c)
{
	if (c->map) {
		munmap(c->map, c->map_bytes);
		stack_is_gone(c->map, c->map_bytes);
	}
	c->map = NULL;
#ifdef CONTEXT_PORTABLE
	free(c->ucontext);
	c->ucontext = NULL;
#endif
}

void context_entered(struct context *self)
{
#ifdef CONTEXT_ASAN
	__sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#else
	(void)self;
#endif
}

#ifdef CONTEXT_ASAN
/* The host thread's stack is not ours: ask where it is. */
static void know_host_stack(struct context *c)
{
	pthread_attr_t attr;
	void *addr;
	size_t size;

	if (c->stack || pthread_getattr_np(pthread_self(), &attr))
		return;
	pthread_attr_getstack(&attr, &addr, &size);
	pthread_attr_destroy(&attr);
	c->stack = addr;
	c->stack_bytes = size;
}
#endif

void context_switch(struct context *from, struct context *to, bool from_ends)
{
#ifdef CONTEXT_ASAN
	know_host_stack(from);
	__sanitizer_start_switch_fiber(from_ends ? NULL : &from->fake_stack, to->stack, to->stack_bytes);
#else
	(void)from_ends;
#endif
#ifndef CONTEXT_PORTABLE
	vt_switch(&from->sp, to->sp);
#else
	struct portable_context *p = from->ucontext, *q = to->ucontext;
	ucontext_t host;

	if (!p) { /* the host thread: its context lives here, on its stack */
		from->sp = &host;
		swapcontext(&host, &q->uc);
	} else if (!q) {
		swapcontext(&p->uc, to->sp);
	} else {
		swapcontext(&p->uc, &q->uc);
	}
#endif
	context_entered(from);
}
