/* sim/virtual/names.h - which object lies where in the region: hotlines.c */
#ifndef MMSIM_VIRTUAL_NAMES_H
#define MMSIM_VIRTUAL_NAMES_H

#include <mmsim/charge.h>

/* Objects of stride_bytes each from start on. name is copied, layout (may be NULL) kept. */
void names_add(struct machine *m, const void *start, u64 bytes, u32 stride_bytes, const char *name,
	       const struct obj_layout *layout);
void names_remove(struct machine *m, const void *start);
/* For all ranges of that name. */
void names_set_layout(struct machine *m, const char *name, const struct obj_layout *layout);
void names_find(const struct machine *m, const void *p, char *out, size_t bytes, u32 *instance);

#endif
