/*
 * tests/oracle/live_proto.h - how live.c talks to live_child.c: one slot of shared memory per
 * process
 */
#ifndef TESTS_ORACLE_LIVE_PROTO_H
#define TESTS_ORACLE_LIVE_PROTO_H

#include <stdint.h>

#define LIVE_CTL_FD 3   /* in the child, at start */
#define LIVE_FILE_FD 10 /* LIVE_FILE_FD + i: file i */
#define LIVE_CTL_ADDR 0x10000000ul
#define LIVE_CTL_BYTES 4096ul
#define LIVE_SLOTS 8

enum live_state { LIVE_IDLE, LIVE_REQUEST, LIVE_DONE };
enum live_kind { LIVE_SYSCALL, LIVE_READ, LIVE_WRITE, LIVE_FORK, LIVE_EXIT };

struct live_slot {
	uint32_t state; /* enum live_state; a futex. Request: release by the controller; done: by
			   the child */
	uint32_t kind;
	uint64_t nr;
	uint64_t a[6];
	int64_t ret; /* LIVE_READ, _WRITE: 0, or signal number << 8 | si_code */
	uint64_t value;
	uint64_t child; /* LIVE_FORK: slot */
	uint64_t pad[4];
};
_Static_assert(sizeof(struct live_slot) * LIVE_SLOTS <= LIVE_CTL_BYTES, "slots fit the page");

#endif
