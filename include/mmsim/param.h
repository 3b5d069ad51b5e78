/*
 * mmsim/param.h - a parameter that a user may set with -p key=value: of a workload, or of a scheme
 */
#ifndef MMSIM_PARAM_H
#define MMSIM_PARAM_H

#include <mmsim/types.h>

enum param_type {
	PARAM_UINT,   /* decimal or 0x..; K, M, G as powers of 1024 allowed */
	PARAM_BYTES,  /* as PARAM_UINT; printed with a suffix */
	PARAM_BOOL,   /* 0|1, off|on, no|yes, false|true */
	PARAM_CHOICE, /* one of choices[]; the value is its index */
};

struct param {
	const char *key;
	enum param_type type;
	const char *def;            /* default, as a user would type it */
	u64 min, max;               /* PARAM_UINT, PARAM_BYTES */
	const char *const *choices; /* PARAM_CHOICE: NULL-terminated */
	const char *meaning;
	bool power_of_two;          /* PARAM_UINT, PARAM_BYTES: or 0, if min allows it */
};

#endif
