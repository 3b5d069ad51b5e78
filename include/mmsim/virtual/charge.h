/* mmsim/virtual/charge.h - charges in virtual time. Included by mmsim/charge.h only. */
#ifndef MMSIM_VIRTUAL_CHARGE_H
#define MMSIM_VIRTUAL_CHARGE_H

#include <mmsim/atomic.h>

void vt_charge(enum engine_cost cost, u64 n);
void vt_user_mode(void);
void vt_zeroed(const void *p, u64 bytes);

#define line_read_ptr(p) vt_load(p)
#define line_write_ptr(p) vt_store(p)
#define engine_charge(cost) vt_charge((cost), 1)
#define engine_charge_n(cost, n) vt_charge((cost), (n))
#define engine_user_mode() vt_user_mode()
#define engine_zeroed(p, bytes) vt_zeroed((p), (bytes))

#endif
