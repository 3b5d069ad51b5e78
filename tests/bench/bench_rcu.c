/*
 * tests/bench/bench_rcu.c - liburcu's flavours compared: the choice in sim/native/rcu.c rests on
 * this
 *
 * Measures     per flavour: an empty read section (ns, the median of ROUNDS rounds), alone and
 * while another thread runs grace periods without a pause; and one grace period (us) with one
 * thread that reads all the time. Prints       one table, then what each flavour asks of a task
 * that sleeps.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <urcu/urcu-memb.h>
#include <urcu/urcu-mb.h>
#include <urcu/urcu-qsbr.h>
#include <urcu/urcu-bp.h>
#include <urcu/static/urcu-memb.h>
#include <urcu/static/urcu-mb.h>
#include <urcu/static/urcu-qsbr.h>
#include <urcu/static/urcu-bp.h>

#define SECTIONS 1000000
#define ROUNDS 11
#define GRACE_PERIODS 200
#define QSBR_SECTIONS_PER_QS 64

static volatile int stop_writer, stop_reader, reader_there;
static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct flavour {
	const char *name, *blocking;
	void (*enter)(void), (*leave)(void), (*sync)(void);
	void (*sections)(void); /* SECTIONS read sections */
};

/* The section's body is one opaque load, so that the compiler keeps the section. */
#define SECTIONS_FN(flavour, lock, unlock, every64)                                                \
	static void flavour##_sections(void)                                                       \
	{                                                                                          \
		for (int i = 0; i < SECTIONS; i++) {                                               \
			lock;                                                                      \
			(void)sink;                                                                \
			unlock;                                                                    \
			if (i % QSBR_SECTIONS_PER_QS == 0) {                                       \
				every64;                                                           \
			}                                                                          \
		}                                                                                  \
	}
SECTIONS_FN(none, (void)0, (void)0, (void)0)
SECTIONS_FN(memb, _urcu_memb_read_lock(), _urcu_memb_read_unlock(), (void)0)
SECTIONS_FN(mb, _urcu_mb_read_lock(), _urcu_mb_read_unlock(), (void)0)
SECTIONS_FN(qsbr, _urcu_qsbr_read_lock(), _urcu_qsbr_read_unlock(), _urcu_qsbr_quiescent_state())
SECTIONS_FN(bp, _urcu_bp_read_lock(), _urcu_bp_read_unlock(), (void)0)

static void nothing(void)
{
}

static const struct flavour flavours[] = {
	{"(empty loop)", "", nothing, nothing, nothing, none_sections},
	{"qsbr", "every sleep and long loop needs an offline/online or quiescent-state call",
	 urcu_qsbr_register_thread, urcu_qsbr_unregister_thread, urcu_qsbr_synchronize_rcu,
	 qsbr_sections},
	{"memb", "nothing: sleeping outside of sections is invisible", urcu_memb_register_thread,
	 urcu_memb_unregister_thread, urcu_memb_synchronize_rcu, memb_sections},
	{"mb", "nothing", urcu_mb_register_thread, urcu_mb_unregister_thread,
	 urcu_mb_synchronize_rcu, mb_sections},
	{"bp", "nothing; registers threads by itself", urcu_bp_register_thread,
	 urcu_bp_unregister_thread, urcu_bp_synchronize_rcu, bp_sections},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double section_ns(const struct flavour *f)
{
	double ns[ROUNDS];

	f->enter();
	f->sections();
	for (int r = 0; r < ROUNDS; r++) {
		double start = now_ns();

		f->sections();
		ns[r] = (now_ns() - start) / SECTIONS;
	}
	f->leave();
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	return ns[ROUNDS / 2];
}

static void *writer_main(void *p)
{
	const struct flavour *f = p;

	while (!stop_writer)
		f->sync();
	return NULL;
}

static void *reader_main(void *p)
{
	const struct flavour *f = p;

	f->enter();
	reader_there = 1;
	while (!stop_reader)
		f->sections();
	f->leave();
	return NULL;
}

static double section_ns_under_writer(const struct flavour *f)
{
	pthread_t writer;
	double ns;

	stop_writer = 0;
	if (pthread_create(&writer, NULL, writer_main, (void *)f))
		exit(1);
	ns = section_ns(f);
	stop_writer = 1;
	pthread_join(writer, NULL);
	return ns;
}

static double grace_period_us(const struct flavour *f)
{
	pthread_t reader;
	double start;

	stop_reader = reader_there = 0;
	if (pthread_create(&reader, NULL, reader_main, (void *)f))
		exit(1);
	while (!reader_there)
		;
	start = now_ns();
	for (int i = 0; i < GRACE_PERIODS; i++)
		f->sync();
	start = (now_ns() - start) / GRACE_PERIODS / 1000;
	stop_reader = 1;
	pthread_join(reader, NULL);
	return start;
}

int main(void)
{
	printf("%-14s %12s %18s %16s  %s\n", "flavour", "section ns", "with a writer ns",
	       "grace period us", "asked of tasks that sleep");
	for (size_t i = 0; i < sizeof(flavours) / sizeof(flavours[0]); i++) {
		const struct flavour *f = &flavours[i];

		printf("%-14s %12.2f", f->name, section_ns(f));
		if (i == 0)
			printf("\n");
		else
			printf(" %18.2f %16.1f  %s\n", section_ns_under_writer(f),
			       grace_period_us(f), f->blocking);
		fflush(stdout);
	}
	return 0;
}
