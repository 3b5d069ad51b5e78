/* sim/locks/locks.h - what the files of sim/locks/ share */
#ifndef MMSIM_SIM_LOCKS_H
#define MMSIM_SIM_LOCKS_H

#include <mmsim/cpu.h>

/* osq.c: the queue in which optimistic spinners wait for their turn to watch a lock's owner. */

/* Wait, spinning, to be the head of the queue at *tail. False: given up (the wait got long); the
 * caller is not queued. Context: task; at most one queue at a time. */
bool MUST_CHECK osq_lock(struct osq_node **tail);
/* Pass the head on. */
void osq_unlock(struct osq_node **tail);

#endif
