/* mmsim/virtual/charge.h - charges in virtual time. Included by mmsim/charge.h only. */
#ifndef MMSIM_VIRTUAL_CHARGE_H
#define MMSIM_VIRTUAL_CHARGE_H

#include <mmsim/atomic.h>

void vt_charge(enum engine_cost cost, u64 n);
void vt_charge_node(u32 node);
void vt_user_mode(void);
void vt_zeroed(const void *p, u64 bytes);

static inline void vt_lines(const void *p, u64 bytes, void (*op)(const volatile void *p))
{
	const char *end = (const char *)p + bytes;

	for (const char *at = p; at < end;
	     at = (const char *)ALIGN_DOWN((uintptr_t)at + MMSIM_CACHE_LINE_BYTES,
					   (uintptr_t)MMSIM_CACHE_LINE_BYTES))
		op(at);
}

/* Elements are aligned to their size: the first of a line starts with it, or not far behind. An array
 * on a stack must be aligned to a line: else where the compiler puts it decides what it costs. */
static inline void vt_line_next(const void *p, bool begins, void (*op)(const volatile void *p))
{
	if (begins || (uintptr_t)p % MMSIM_CACHE_LINE_BYTES == 0)
		op(p);
}

#define line_read_ptr(p) vt_load(p)
#define line_write_ptr(p) vt_store(p)
#define lines_read(p, bytes) vt_lines((p), (bytes), vt_load)
#define lines_write(p, bytes) vt_lines((p), (bytes), vt_store)
#define line_read_next(p, begins) vt_line_next((p), (begins), vt_load)
#define line_write_next(p, begins) vt_line_next((p), (begins), vt_store)
#define engine_charge(cost) vt_charge((cost), 1)
#define engine_charge_n(cost, n) vt_charge((cost), (n))
#define engine_charge_node(node) vt_charge_node(node)
#define engine_user_mode() vt_user_mode()
#define engine_zeroed(p, bytes) vt_zeroed((p), (bytes))

#endif
