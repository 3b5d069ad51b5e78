/* tests/unit/test_seed.h - random numbers of tests: the seed is printed; MMSIM_SEED gives it back
 */
#ifndef MMSIM_TEST_SEED_H
#define MMSIM_TEST_SEED_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <mmsim/types.h>

static inline u64 test_seed(const char *test)
{
	const char *given = getenv("MMSIM_SEED");
	u64 seed = given ? strtoull(given, NULL, 0) : (u64)time(NULL);

	printf("%s: MMSIM_SEED=%#llx\n", test, (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

/* splitmix64 */
static inline u64 test_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

#endif
