/*
 * tests/contexts/contexts.c - the switch between user-level contexts: what must survive it, does
 *
 * Each context works with more live integers and doubles than the ABI has callee-saved registers, and switches
 * to another, drawn at random, in the midst of it. Needs no library but the C library's: built by hand for this
 * machine, with ucontext, and for aarch64 (run by qemu-user). Arguments: none. Seed: MMSIM_SEED, printed.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/virtual/context.h"

#define CONTEXTS 7
#define SWITCHES 200000
#define LIVE 14 /* more than aarch64's ten x19..x28, and its eight d8..d15 */

static struct context host, contexts[CONTEXTS];
static struct context *now = &host;
static u64 draws, switches, turns[CONTEXTS];

#define CHECK(what)                                                                              \
	do {                                                                                     \
		if (!(what)) {                                                                   \
			fprintf(stderr, "contexts: %s:%d: %s\n", __FILE__, __LINE__, #what);     \
			exit(1);                                                                 \
		}                                                                                \
	} while (0)

static u64 draw(void)
{
	draws = draws * 6364136223846793005ull + 1442695040888963407ull;
	return draws >> 33;
}

static NOINLINE void to_another(void)
{
	struct context *from = now, *to = &contexts[draw() % CONTEXTS];

	if (++switches > SWITCHES)
		to = &host;
	if (from == to)
		return;
	now = to;
	context_switch(from, to, false);
	CHECK(now == from);
}

/* Variable arguments: printf saves vector registers with instructions that want an aligned stack. */
static NOINLINE void check_alignment(double x)
{
	char text[32], want[] = "0.5 1.5 2.5";
	_Alignas(16) volatile char aligned[16];

	CHECK(((uintptr_t)aligned & 15) == 0);
	snprintf(text, sizeof(text), "%.1f %.1f %.1f", x, x + 1, x + 2);
	CHECK(strcmp(text, want) == 0);
}

static void work(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;
	u64 n[LIVE];
	double d[LIVE];

	context_entered(&contexts[self]);
	for (u64 round = 0;; round++) {
#pragma GCC unroll 16
		for (u32 i = 0; i < LIVE; i++) {
			n[i] = (self + 1) * 1000003ull + round * 31 + i;
			d[i] = (double)n[i] / 2;
			/* Each a value of its own, in a register if there is one: no array, no recalculation. */
			__asm__("" : "+r"(n[i]));
#if defined(__x86_64__)
			__asm__("" : "+x"(d[i]));
#elif defined(__aarch64__)
			__asm__("" : "+w"(d[i]));
#endif
		}
		to_another();
#pragma GCC unroll 16
		for (u32 i = 0; i < LIVE; i++) {
			CHECK(n[i] == (self + 1) * 1000003ull + round * 31 + i);
			CHECK(d[i] == (double)n[i] / 2);
		}
		check_alignment(0.5);
		turns[self]++;
	}
}

int main(void)
{
	const char *seed = getenv("MMSIM_SEED");

	draws = seed ? strtoull(seed, NULL, 0) : 1;
	printf("seed %llu\n", (unsigned long long)draws);
	for (u32 i = 0; i < CONTEXTS; i++)
		CHECK(context_create(&contexts[i], work, (void *)(uintptr_t)i, i) == 0);
	to_another();
	CHECK(switches > SWITCHES);
	for (u32 i = 0; i < CONTEXTS; i++) {
		CHECK(turns[i] > SWITCHES / CONTEXTS / 2);
		context_destroy(&contexts[i]);
	}
	puts("ok");
	return 0;
}
