/*
 * sim/native/calibrate_team.c - threads bound to given CPUs that start together; small helpers
 *
 * Errors       A thread that cannot be made or bound ends the team before it starts.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct team {
	void (*fn)(void *arg, u32 index);
	void *arg;
	u32 size;
	u32 arrived; /* (atomic) */
	u32 give_up; /* (atomic) */
};

struct member {
	struct team *team;
	u32 index, cpu;
	pthread_t thread;
};

static void *member_main(void *arg)
{
	struct member *m = arg;
	struct team *t = m->team;

	if (!native_bind_thread(m->cpu))
		WRITE_ONCE(t->give_up, 1u);
	(void)fetch_add(&t->arrived, 1);
	/* Members may share a CPU: give it away while others are still to come. */
	while (smp_load_acquire(&t->arrived) < t->size && !READ_ONCE(t->give_up))
		sched_yield();
	if (!READ_ONCE(t->give_up))
		t->fn(t->arg, m->index);
	return NULL;
}

int calib_team(struct calib *c, const u32 *cpus, u32 n, void (*fn)(void *arg, u32 index), void *arg)
{
	struct team team = {.fn = fn, .arg = arg, .size = n};
	struct member *members = calloc(n, sizeof(*members));
	u32 started = 0;
	int err = 0;

	if (!members)
		return calib_fail(c, -ENOMEM, "out of memory");
	for (; started < n && !err; started += !err) {
		struct member *m = &members[started];

		*m = (struct member){.team = &team, .index = started, .cpu = cpus[started]};
		err = pthread_create(&m->thread, NULL, member_main, m);
	}
	if (err)
		WRITE_ONCE(team.give_up, 1u);
	for (u32 i = 0; i < started; i++)
		pthread_join(members[i].thread, NULL);
	free(members);
	if (err)
		return calib_fail(c, -err, "a thread cannot be made: %s", strerror(err));
	if (READ_ONCE(team.give_up))
		return calib_fail(c, -EPERM, "the host refuses to bind threads to CPUs");
	return 0;
}

int calib_bind(struct calib *c, u32 cpu)
{
	if (native_bind_thread(cpu))
		return 0;
	return calib_fail(c, -EPERM, "the host refuses to bind threads to CPUs");
}

void calib_spin_ns(u64 ns)
{
	u64 start = engine_now_ns();

	while (engine_now_ns() - start < ns)
		cpu_relax();
}

long calib_futex(u32 *word, int op, u32 value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}
