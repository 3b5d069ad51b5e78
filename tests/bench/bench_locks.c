/*
 * tests/bench/bench_locks.c - what the native primitives cost
 *
 * Method       One task, pinned, ROUNDS rounds of OPS operations each, the median round, per
 *              operation, with the empty loop's cost printed and not subtracted. Then two tasks on
 *              two host CPUs: first private counters, which must not slow each other down (if they
 *              do, the host does not really give us two CPUs, and the contended figures are about
 *              the host), then each lock shared, next to pthread's.
 */
#include <mmsim/cpu.h>
#include <mmsim/hist.h>
#include <mmsim/objcache.h>
#include <mmsim/rwsem.h>
#include <mmsim/seqlock.h>
#include <mmsim/spinlock.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define OPS 200000
#define ROUNDS 15
#define CONTENDED_NS 200000000ull

static struct machine *machine;
static spinlock_t spin;
static struct rwsem sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static struct objcache *cache;
static struct srcu_domain *domain;
static struct hist *hist;
static struct wait_queue wq;
static u64 shared_word;
static struct {
	u64 count __cacheline_aligned;
} private_count[2];

static void op_empty(void)
{
	barrier();
}
static void op_now(void)
{
	(void)engine_now_ns();
}
static void op_spin(void)
{
	spin_lock(&spin);
	shared_word++;
	spin_unlock(&spin);
}
static void op_read(void)
{
	down_read(&sem);
	barrier();
	up_read(&sem);
}
static void op_write(void)
{
	down_write(&sem);
	shared_word++;
	up_write(&sem);
}
static void op_mutex(void)
{
	pthread_mutex_lock(&mutex);
	shared_word++;
	pthread_mutex_unlock(&mutex);
}
static void op_rwlock_read(void)
{
	pthread_rwlock_rdlock(&rwlock);
	barrier();
	pthread_rwlock_unlock(&rwlock);
}
static void op_rwlock_write(void)
{
	pthread_rwlock_wrlock(&rwlock);
	shared_word++;
	pthread_rwlock_unlock(&rwlock);
}
static void op_rcu(void)
{
	rcu_read_lock();
	barrier();
	rcu_read_unlock();
}
static void op_srcu(void)
{
	int idx = srcu_read_lock(domain);

	barrier();
	srcu_read_unlock(domain, idx);
}
static void op_objcache(void)
{
	void *obj = objcache_alloc(cache);

	if (!obj)
		MMSIM_BUG("no memory");
	objcache_free(cache, obj);
}
static void op_insn(void)
{
	struct cpu *cpu = this_cpu();

	cpu_insn_begin(cpu);
	barrier();
	cpu_insn_end(cpu);
}
static void op_count(void)
{
	count_event(COUNTER_FAULT_TOTAL);
}
static void op_hist(void)
{
	hist_record(hist, shared_word += 37);
}
static void op_wake_nobody(void)
{
	wake_up_all(&wq);
}
static const struct op {
	const char *name;
	void (*fn)(void);
} uncontended[] =
	{
		{"empty loop", op_empty},
		{"engine_now_ns", op_now},
		{"spin_lock + unlock", op_spin},
		{"rwsem read lock + unlock", op_read},
		{"rwsem write lock + unlock", op_write},
		{"pthread_mutex lock + unlock", op_mutex},
		{"pthread_rwlock rdlock + unlock", op_rwlock_read},
		{"pthread_rwlock wrlock + unlock", op_rwlock_write},
		{"RCU read section", op_rcu},
		{"SRCU read section", op_srcu},
		{"objcache alloc + free", op_objcache},
		{"instruction window", op_insn},
		{"count_event", op_count},
		{"hist_record", op_hist},
		{"wake_up_all, nobody waits", op_wake_nobody},
},
  contended[] = {
	  {"spin_lock", op_spin},
	  {"rwsem read", op_read},
	  {"rwsem write", op_write},
	  {"pthread_mutex", op_mutex},
	  {"pthread_rwlock rdlock", op_rwlock_read},
	  {"pthread_rwlock wrlock", op_rwlock_write},
	  {"RCU read section", op_rcu},
	  {"objcache alloc + free", op_objcache},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The call through a pointer keeps every operation's loop the same; "empty loop" has its cost. */
static double median_ns(void (*fn)(void))
{
	double ns[ROUNDS];

	for (u32 r = 0; r < ROUNDS; r++) {
		u64 start_ns = engine_now_ns();

		for (u32 i = 0; i < OPS; i++)
			fn();
		ns[r] = (double)(engine_now_ns() - start_ns) / OPS;
	}
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	return ns[ROUNDS / 2];
}

static void run_uncontended(void *arg, u32 index)
{
	for (size_t i = 0; i < ARRAY_SIZE(uncontended); i++)
		printf("%-34s %8.2f ns\n", uncontended[i].name, median_ns(uncontended[i].fn));
}

static void noop_handler(struct cpu *target, void *arg)
{
}

static u32 stop_target;

/* Task 1 executes windows; task 0 interrupts it. */
static void run_ipi(void *arg, u32 index)
{
	struct cpumask target = {{2}};
	u64 start_ns;

	if (index == 1) {
		while (!READ_ONCE(stop_target))
			op_insn();
		return;
	}
	start_ns = engine_now_ns();
	for (u32 i = 0; i < 20000; i++)
		(void)ipi_call_mask(&target, noop_handler, NULL);
	printf("%-34s %8.0f ns\n", "ipi_call_mask, 1 running target",
	       (double)(engine_now_ns() - start_ns) / 20000);
	WRITE_ONCE(stop_target, 1u);
}

static void (*contended_fn)(void);
static u64 contended_ops;

static void run_contended(void *arg, u32 index)
{
	u64 end_ns = engine_now_ns() + CONTENDED_NS, ops = 0;

	while (engine_now_ns() < end_ns) {
		for (u32 i = 0; i < 64; i++)
			contended_fn();
		ops += 64;
	}
	(void)fetch_add(&contended_ops, ops);
}

static void run_private(void *arg, u32 index)
{
	u64 end_ns = engine_now_ns() + CONTENDED_NS;

	while (engine_now_ns() < end_ns) {
		for (u32 i = 0; i < 1024; i++)
			WRITE_ONCE(private_count[index].count, private_count[index].count + 1);
	}
}

static bool run(u32 tasks, void (*fn)(void *, u32))
{
	bool pinned;
	int ret = engine_run(machine, tasks, fn, NULL, &pinned);

	if (ret) {
		fprintf(stderr, "engine_run: errno %d\n", -ret);
		exit(1);
	}
	return pinned;
}

static void check_two_cpus(void)
{
	double alone, both;
	bool pinned;

	(void)run(1, run_private);
	alone = (double)private_count[0].count;
	private_count[0].count = 0;
	pinned = run(2, run_private);
	both = (double)(private_count[0].count + private_count[1].count);
	printf("\ntwo CPUs: private counters run at %.2f x one CPU's rate (%s)%s\n", both / alone,
	       pinned ? "pinned" : "not pinned",
	       both / alone > 1.7 ? "" : ": the host does not give us two CPUs, distrust the rest");
}

int main(void)
{
	struct machine_config cfg = {.tasks = 2};

	machine = machine_create(&cfg);
	if (!machine) {
		perror("machine_create");
		return 1;
	}
	spin_lock_init(&spin, LOCK_RANK_PTE);
	rwsem_init(&sem, LOCK_RANK_MMAP);
	hist = hist_create();
	domain = srcu_domain_create("bench");
	machine_enter(machine);
	cache = objcache_create(machine, "bench", 192, 0, 0, NULL);
	machine_leave();
	if (!hist || !domain || !cache)
		return 1;
	printf("one task, median of %d rounds of %d\n", ROUNDS, OPS);
	(void)run(1, run_uncontended);
	check_two_cpus();
	(void)run(2, run_ipi);
	printf("two tasks, both hammering: ns per operation of the pair (one task alone)\n");
	for (size_t i = 0; i < ARRAY_SIZE(contended); i++) {
		double one;

		contended_fn = contended[i].fn;
		WRITE_ONCE(contended_ops, 0ull);
		(void)run(1, run_contended);
		one = (double)CONTENDED_NS / (double)contended_ops;
		WRITE_ONCE(contended_ops, 0ull);
		(void)run(2, run_contended);
		printf("%-34s %8.2f ns  (%.2f)\n", contended[i].name,
		       (double)CONTENDED_NS / (double)contended_ops, one);
	}
	machine_enter(machine);
	objcache_destroy(cache);
	machine_leave();
	srcu_domain_destroy(domain);
	hist_destroy(hist);
	machine_destroy(machine);
	return 0;
}
