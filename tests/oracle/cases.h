/*
 * tests/oracle/cases.h - a table of scripts as a cmocka program: each in the model, and on the live
 * kernel
 */
#ifndef TESTS_ORACLE_CASES_H
#define TESTS_ORACLE_CASES_H

#include "oracle.h"

struct oracle_case {
	const char *name;
	const char *const *lines; /* script.c */
	struct start_config config;
	/* Before the lines, where a script would be too long. NULL: nothing. False: it failed. */
	bool (*prepare)(struct world *w, const struct image *image);
};
#define CASE(name_, ...)                                                                           \
	{                                                                                          \
		.name = (name_), .lines = (const char *const[])                                    \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/* limits: designated initialisers of struct start_config. */
#define LIMITED_CASE(name_, limits, ...)                                                           \
	{                                                                                          \
		.name = (name_), .config = limits, .lines = (const char *const[])                  \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

#define PREPARED_CASE(name_, prepare_, ...)                                                        \
	{                                                                                          \
		.name = (name_), .prepare = (prepare_), .lines = (const char *const[])             \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

/* main() of a test program; argv[1], if given, selects the cases whose name contains it. The live
 * half is left out with one line where the machine cannot be the oracle. Returns the number of
 * failures. */
int cases_main(const char *group, const struct oracle_case *cases, size_t count, int argc,
	       char **argv);

#endif
