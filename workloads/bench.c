/*
 * workloads/bench.c - one run of a workload: machine, address spaces, tasks, windows, totals
 *
 * Models       Nothing: it is the harness. include/mmsim/workload.h says what is measured.
 * Guarantee    A task's counters, CPU time and operations are snapshots that the task takes of
 *              itself at the borders of an operation, so that faults and operations of a window
 *              belong together exactly.
 * Shared       `finished` and `failed` are written once per task; they are read at sample points
 *              only, never in the loop between them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/locking.h>
#include <mmsim/machine_model.h>
#include <mmsim/workload.h>

#define CLOCK_READS 1000

static u32 interrupted; /* (host flag: unpriced) set by bench_interrupt(), in a signal handler */

void bench_interrupt(void)
{
	WRITE_UNPRICED(interrupted, 1u);
}

void bench_interrupt_clear(void)
{
	WRITE_UNPRICED(interrupted, 0u);
}

bool bench_interrupted(void)
{
	return READ_UNPRICED(interrupted) != 0;
}

int bench_fail(struct bench *b, const char *fmt, ...)
{
	va_list ap;

	if (xchg(&b->failed, 1u) != 0)
		return -EINVAL; /* the first message is the cause, the others follow from it */
	va_start(ap, fmt);
	vsnprintf(b->error, sizeof(b->error), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- life ---------------------------------------------------------------------------------- */

static u64 splitmix(u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

u64 bench_random(struct bench_task *t)
{
	u64 x = t->rng;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	t->rng = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* A distance with mean `sample`: uniform in [1, 2 * sample - 1]. */
static u32 sample_interval(struct bench_task *t)
{
	u32 sample = t->bench->sample;

	if (sample == 1)
		return 1;
	return 1 + (u32)(((bench_random(t) >> 32) * (2 * sample - 1)) >> 32);
}

static int params_init(struct bench *b)
{
	const struct param *p;

	for (u32 slot = 0; (p = bench_param_at(b->workload, slot)) != NULL; slot++) {
		MMSIM_BUG_ON(slot >= BENCH_PARAMS_MAX);
		if (b->cfg.params)
			b->params[slot] = b->cfg.params[slot];
		else if (bench_param_parse(p, p->def, &b->params[slot]) != 0)
			MMSIM_BUG("%s: the default of %s is not allowed", b->workload->name,
				  p->key);
	}
	return 0;
}

static int tasks_init(struct bench *b)
{
	size_t bytes = sizeof(*b->task) * b->tasks;

	b->task = aligned_alloc(MMSIM_CACHE_LINE_BYTES, bytes);
	if (!b->task)
		return -ENOMEM;
	memset(b->task, 0, bytes);
	for (u32 i = 0; i < b->tasks; i++) {
		struct bench_task *t = &b->task[i];

		t->bench = b;
		t->index = i;
		t->rng = splitmix(splitmix(b->cfg.seed) + i) | 1;
		t->budget = b->cfg.ops / b->tasks + (i < b->cfg.ops % b->tasks);
		t->mm = b->mms ? b->mms[b->mm_count == 1 ? 0 : i] : NULL;
		t->latency = hist_create();
		if (!t->latency)
			return -ENOMEM;
	}
	return 0;
}

static int mms_init(struct bench *b)
{
	u32 slot;
	bool processes = bench_param_find(b->workload, "processes", &slot) && b->params[slot];

	if (b->workload->own_mm)
		return 0;
	b->mms = calloc(processes ? b->tasks : 1, sizeof(struct mm *));
	if (!b->mms)
		return -ENOMEM;
	for (u32 i = 0; i < (processes ? b->tasks : 1); i++) {
		b->mms[i] = mm_create(b->machine, b->cfg.arch, b->cfg.locking);
		if (!b->mms[i])
			return -ENOMEM;
		b->mm_count++;
	}
	b->mm = b->mms[0];
	return 0;
}

static void measure_clock(struct bench *b)
{
	u64 start = engine_now_ns(), end = start;

	for (u32 i = 0; i < CLOCK_READS; i++)
		end = engine_now_ns();
	b->clock_read_ns = (end - start + CLOCK_READS / 2) / CLOCK_READS;
}

/* Everything that happens with one task entered. */
static int init_entered(struct bench *b)
{
	int err = mms_init(b);

	if (!err)
		err = tasks_init(b);
	if (err)
		return err;
	measure_clock(b);
	mmu_switch(b->mm);
	if (b->workload->setup)
		err = b->workload->setup(b);
	mmu_switch(NULL);
	/* The set-up is no task of the machine: no flush has to go to its CPU, nor by the fabric because of it. */
	for (u32 i = 0; i < b->mm_count; i++)
		mmu_unload(b->mms[i]);
	return err;
}

static void fini_entered(struct bench *b)
{
	for (u32 i = 0; i < b->mm_count; i++) {
		mm_check(b->mms[i]);
		mm_put(b->mms[i]);
	}
	for (u32 i = 0; b->task && i < b->tasks; i++)
		hist_destroy(b->task[i].latency);
	free(b->task);
	free(b->mms);
	b->task = NULL;
	b->mms = NULL;
	b->mm = NULL;
	b->mm_count = 0;
}

static int describe(struct bench *b, int err, const char *doing)
{
	if (!b->error[0])
		snprintf(b->error, sizeof(b->error), "%s: %s", doing, strerror(-err));
	return err;
}

static int machine_init(struct bench *b)
{
	struct machine_config mc = {
		.tasks = b->tasks,
		.cpus = b->cpus,
		.content_words = (u32)bench_param(b, "content_words"),
		.memory_bytes = bench_param(b, "memory"),
		.seed = b->cfg.seed,
		.model = b->cfg.model,
		.schedule = b->cfg.schedule,
	};
	u32 nodes = mc.model ? (u32)mc.model->topology_sockets : 1;
	u64 pools = hugetlb_memory_bytes(b->cfg.arch, &b->cfg.mm, nodes);
	int err;

	if (pools == ~0ull) {
		snprintf(b->error, sizeof(b->error), "%s has no huge pages of that size (hugepages, hugepages_1g)",
			 b->cfg.arch->name);
		return -EINVAL;
	}
	if (!mc.memory_bytes) /* on each node: memory near by does not run out */
		mc.memory_bytes = b->workload->memory_bytes(b) * nodes + pools;
	b->machine = machine_create(&mc);
	if (!b->machine)
		return describe(b, errno ? -errno : -ENOMEM, "creating the machine");
	err = mm_machine_init(b->machine, b->cfg.arch, &b->cfg.mm);
	if (err) {
		machine_destroy(b->machine);
		b->machine = NULL;
		return describe(b, err, "creating the machine's memory");
	}
	return 0;
}

int bench_init(struct bench *b, const struct bench_config *cfg)
{
	const struct workload *w = cfg->workload;
	int err;

	memset(b, 0, sizeof(*b));
	b->cfg = *cfg;
	b->workload = w;
	b->arg = cfg->arg;
	b->cpus = cfg->cpus;
	err = params_init(b);
	b->tasks = w->task_count ? w->task_count(b) : cfg->tasks;
	MMSIM_BUG_ON(b->tasks == 0 || b->cpus == 0);
	b->sample = (u32)bench_param(b, "sample");
	if (!b->sample)
		b->sample = w->sample;
	if ((cfg->locking->caps & LK_CAP_ONE_CPU) && b->tasks > 1)
		err = bench_fail(b, "scheme %s is for one task, not %u", cfg->locking->name,
				 b->tasks);
	if (!err && w->check)
		err = w->check(b);
	if (!err)
		err = machine_init(b);
	if (err)
		return err;
	machine_enter(b->machine);
	err = init_entered(b);
	machine_leave();
	if (err) {
		describe(b, err, "setting up");
		bench_fini(b);
	}
	return err;
}

void bench_fini(struct bench *b)
{
	machine_enter(b->machine);
	if (b->priv && b->workload->teardown) {
		mmu_switch(b->mm);
		b->workload->teardown(b);
		mmu_switch(NULL);
	}
	fini_entered(b);
	machine_leave();
	mm_machine_destroy(b->machine);
	machine_destroy(b->machine);
	b->machine = NULL;
}

/* ---- windows ------------------------------------------------------------------------------- */

void bench_window_open(struct bench_task *t)
{
	engine_cpu_time_ns(&t->open_user_ns, &t->open_system_ns);
	memcpy(t->open_counters, task_counters(), sizeof(t->open_counters));
	t->interval = t->until_sample; /* what went before is not counted */
	t->open = true;
	t->open_at_ns = engine_now_ns();
	if (!t->w.start_ns)
		t->w.start_ns = t->open_at_ns;
}

static void window_close_at(struct bench_task *t, u64 now_ns)
{
	const u64 *counters = task_counters();
	u64 user_ns, system_ns, total_ns;

	engine_cpu_time_ns(&user_ns, &system_ns);
	/* The host's split of the two is an estimate that may go back; their sum may not. */
	total_ns = user_ns + system_ns - t->open_user_ns - t->open_system_ns;
	system_ns = system_ns > t->open_system_ns ? system_ns - t->open_system_ns : 0;
	system_ns = min(system_ns, total_ns);
	t->w.end_ns = now_ns;
	t->w.user_ns += total_ns - system_ns;
	t->w.system_ns += system_ns;
	for (u32 c = 0; c < COUNTER_COUNT; c++)
		t->w.counters[c] += counters[c] - t->open_counters[c];
	t->w.ops += t->interval - t->until_sample; /* those since the last sample */
	t->interval = t->until_sample;
	t->open = false;
}

void bench_window_close(struct bench_task *t)
{
	window_close_at(t, engine_now_ns());
}

void bench_record(struct bench_task *t, u64 ns)
{
	hist_record(t->latency, ns);
}

static bool is_timed(const struct bench *b)
{
	return b->workload->kind == WORKLOAD_FREE && !b->cfg.ops;
}

/*
 * Tell who watches the measured part (statistics, hardware counters). It begins with the first task that
 * opens, and ends with the first that finds a timed window over (another may stand in a lock far
 * beyond it), else with the last one's work.
 */
static void measure_hook(struct bench_task *t, bool begin)
{
	struct bench *b = t->bench;
	u32 before = fetch_add_relaxed(begin ? &b->begun : &b->ended, 1u);
	u32 which = begin || is_timed(b) ? 0 : b->tasks - 1;

	if (before == which && b->cfg.on_measure)
		b->cfg.on_measure(b->cfg.on_measure_arg, begin);
}

/* This task's measurement is over: close, tell the others, go on as unmeasured load (duration) or
 * leave (a fixed number of operations). */
static void free_finish(struct bench_task *t, u64 now_ns)
{
	struct bench *b = t->bench;

	window_close_at(t, now_ns);
	measure_hook(t, false);
	t->phase = BENCH_COOLDOWN;
	if (b->cfg.ops)
		t->stop = true;
	else
		fetch_add_relaxed(&b->finished, 1u);
}

static void free_begin(struct bench_task *t)
{
	hist_reset(t->latency);
	t->phase = BENCH_MEASURE;
	measure_hook(t, true);
	bench_window_open(t);
	if (t->bench->cfg.ops && !t->budget)
		free_finish(t, t->open_at_ns);
}

/* Of a timed run. A task opens and closes at its first sample points after these. */
static u64 window_start_ns(const struct bench *b)
{
	return b->start_ns + b->cfg.warmup_ns;
}

static u64 window_end_ns(const struct bench *b)
{
	return window_start_ns(b) + b->cfg.duration_ns;
}

/* At a sample point of a free workload: does the phase change? */
static void free_step(struct bench_task *t, u64 now_ns)
{
	struct bench *b = t->bench;

	switch (t->phase) {
	case BENCH_WARMUP:
		if (now_ns < window_start_ns(b))
			break;
		free_begin(t);
		/* An operation that took longer than the whole window: none of the task's lies in it. */
		if (!b->cfg.ops && t->open_at_ns >= window_end_ns(b))
			free_finish(t, t->open_at_ns);
		break;
	case BENCH_MEASURE:
		/* One window for all: what a task did while others stood still is not their rate. */
		if (b->cfg.ops ? t->w.ops >= t->budget : now_ns >= window_end_ns(b))
			free_finish(t, now_ns);
		break;
	default:
		if (READ_ONCE(b->finished) == b->tasks)
			t->stop = true;
	}
}

static void next_interval(struct bench_task *t)
{
	u32 interval = sample_interval(t);

	/* Stop exactly at the budget. */
	if (t->phase == BENCH_MEASURE && t->bench->cfg.ops &&
	    t->bench->workload->kind == WORKLOAD_FREE && !t->stop)
		interval = (u32)min((u64)interval, t->budget - t->w.ops);
	t->interval = interval;
	t->until_sample = interval;
}

void bench_sample_begin(struct bench_task *t)
{
	t->op_start_ns = engine_now_ns();
}

void bench_sample_end(struct bench_task *t)
{
	struct bench *b = t->bench;
	u64 now_ns = engine_now_ns();
	u32 failed;

	if (t->open) {
		hist_record(t->latency, now_ns - t->op_start_ns);
		t->w.ops += t->interval;
		t->interval = 0; /* counted */
	}
	if (b->workload->kind == WORKLOAD_FREE) {
		free_step(t, now_ns);
		failed = READ_ONCE(b->failed);
		if (unlikely(failed || bench_interrupted()))
			t->stop = true;
	}
	next_interval(t);
}

/* ---- lockstep ------------------------------------------------------------------------------ */

void bench_section_begin(struct bench_task *t)
{
	if (t->phase == BENCH_MEASURE)
		bench_window_open(t);
	t->section_start_ns = engine_now_ns();
}

void bench_section_end(struct bench_task *t)
{
	t->section_end_ns = engine_now_ns();
	if (t->open)
		window_close_at(t, t->section_end_ns);
}

/* Of the round that has just ended: from the earliest start to the latest end. */
static u64 section_length(const struct bench *b)
{
	u64 start = ~0ull, end = 0;

	for (u32 i = 0; i < b->tasks; i++) {
		start = min(start, b->task[i].section_start_ns);
		end = max(end, b->task[i].section_end_ns);
	}
	return end - start;
}

static u64 ops_so_far(const struct bench *b)
{
	u64 ops = 0;

	for (u32 i = 0; i < b->tasks; i++) {
		const struct bench_task *t = &b->task[i];

		ops += t->w.ops + (t->open ? t->interval - t->until_sample : 0);
	}
	return ops;
}

/* Task 0, while all others wait: what will the next round be? */
static u32 round_decide(struct bench *b)
{
	struct bench_task *t = &b->task[0];
	u64 now_ns = engine_now_ns(), measured_ns;

	if (READ_ONCE(b->failed) || bench_interrupted())
		return BENCH_COOLDOWN;
	if (t->phase == BENCH_WARMUP)
		return now_ns >= b->start_ns + b->cfg.warmup_ns ? BENCH_MEASURE : BENCH_WARMUP;
	if (b->workload->sections)
		b->section_ns += section_length(b);
	measured_ns = b->workload->sections ? b->section_ns : now_ns - t->w.start_ns;
	if (b->cfg.ops ? ops_so_far(b) >= b->cfg.ops : measured_ns >= b->cfg.duration_ns)
		return BENCH_COOLDOWN;
	return BENCH_MEASURE;
}

bool bench_round(struct bench_task *t)
{
	struct bench *b = t->bench;
	u64 now_ns;

	sim_barrier_wait(&b->barrier);
	now_ns = engine_now_ns();
	if (t->index == 0)
		WRITE_ONCE(b->round_phase, round_decide(b));
	sim_barrier_wait(&b->barrier);
	if (READ_ONCE(b->round_phase) == BENCH_COOLDOWN) {
		if (t->open)
			window_close_at(t, now_ns);
		if (t->phase == BENCH_MEASURE)
			measure_hook(t, false);
		t->phase = BENCH_COOLDOWN;
		t->stop = true;
		return false;
	}
	if (t->phase == BENCH_WARMUP && READ_ONCE(b->round_phase) == BENCH_MEASURE) {
		t->phase = BENCH_MEASURE;
		hist_reset(t->latency);
		measure_hook(t, true);
		if (!b->workload->sections)
			bench_window_open(t);
	}
	return true;
}

/* ---- running ------------------------------------------------------------------------------- */

static void task_main(void *arg, u32 index)
{
	struct bench *b = arg;
	struct bench_task *t = &b->task[index];

	hist_reset(t->latency); /* its memory is there before anything is timed */
	if (t->mm)
		mmu_switch(t->mm);
	next_interval(t);
	sim_barrier_wait(&b->barrier);
	if (index == 0)
		WRITE_ONCE(b->start_ns, engine_now_ns());
	sim_barrier_wait(&b->barrier);
	if (b->workload->kind == WORKLOAD_FREE && !b->cfg.warmup_ns) {
		free_begin(t);
		next_interval(t);
	}
	if (b->workload->kind == WORKLOAD_ONCE)
		measure_hook(t, true);
	b->workload->run_task(t);
	if (t->open)
		bench_window_close(t);
	if (b->workload->kind == WORKLOAD_ONCE)
		measure_hook(t, false);
	if (t->mm)
		mmu_switch(NULL);
}

int bench_run(struct bench *b)
{
	int err;

	sim_barrier_init(&b->barrier, b->tasks);
	err = engine_run(b->machine, b->tasks, task_main, b, &b->pinned);
	if (err)
		return describe(b, err, "starting the tasks");
	if (READ_ONCE(b->failed))
		return -EINVAL;
	if (bench_interrupted())
		return describe(b, -EINTR, "running");
	return 0;
}

/*
 * A timed run's length is such that operations by it are the sum of the tasks' rates. Each task's own
 * rate is over the time from the window's start, at which it may have been waiting for a lock, to
 * its last operation's end, which may lie far behind the window's. No operations: the mean.
 */
static u64 timed_elapsed_ns(const struct bench *b, u64 ops)
{
	unsigned __int128 rates = 0; /* per 10^18 ns: a task with one operation in an hour still counts */
	u64 sum_ns = 0;

	for (u32 i = 0; i < b->tasks; i++) {
		const struct bench_task *t = &b->task[i];
		u64 ns = t->w.end_ns > window_start_ns(b) ? t->w.end_ns - window_start_ns(b) : 1;

		if (!t->w.start_ns)
			continue;
		sum_ns += ns;
		rates += (unsigned __int128)t->w.ops * 1000000000000000000ull / ns;
	}
	return rates ? (u64)((unsigned __int128)ops * 1000000000000000000ull / rates) :
		       sum_ns / b->tasks;
}

void bench_totals(const struct bench *b, struct bench_totals *totals)
{
	u64 first_ns = ~0ull, last_ns = 0;

	memset(totals, 0, sizeof(*totals));
	totals->latency = hist_create();
	for (u32 i = 0; i < b->tasks; i++) {
		const struct bench_task *t = &b->task[i];

		if (!t->w.start_ns)
			continue;
		first_ns = min(first_ns, t->w.start_ns);
		last_ns = max(last_ns, t->w.end_ns);
		totals->ops += t->w.ops;
		totals->windows_ns += t->w.end_ns > t->w.start_ns ? t->w.end_ns - t->w.start_ns : 0;
		totals->user_ns += t->w.user_ns;
		totals->system_ns += t->w.system_ns;
		for (u32 c = 0; c < COUNTER_COUNT; c++)
			totals->counters[c] += t->w.counters[c];
		if (totals->latency)
			hist_merge(totals->latency, t->latency);
	}
	if (b->workload->sections)
		totals->elapsed_ns = b->section_ns;
	else if (is_timed(b))
		totals->elapsed_ns = timed_elapsed_ns(b, totals->ops);
	else
		totals->elapsed_ns = last_ns > first_ns ? last_ns - first_ns : 0;
}

/* ---- what run_task() calls ----------------------------------------------------------------- */

static const char *const result_names[] = {
	[FAULT_OK] = "ok",
	[FAULT_SIGSEGV_MAPERR] = "SIGSEGV (no mapping)",
	[FAULT_SIGSEGV_ACCERR] = "SIGSEGV (access not allowed)",
	[FAULT_SIGBUS] = "SIGBUS (beyond the end of the file)",
	[FAULT_OOM] = "out of simulated memory (-p memory=SIZE gives more)",
	[FAULT_KILLED] = "killed",
};

bool bench_access_failed(struct bench_task *t, u64 va, enum fault_result res)
{
	bench_fail(t->bench, "task %u: access to %#llx: %s", t->index, (unsigned long long)va,
		   result_names[res]);
	t->stop = true;
	return false;
}

u64 bench_mmap(struct bench_task *t, u64 len, u32 prot, u32 flags, struct file *file, u64 offset)
{
	return bench_mmap_at(t, 0, len, prot, flags, file, offset);
}

/* Which limit it was, where the number alone does not tell. */
static void call_failed(struct bench *b, const struct mm *mm, const char *who, const char *call, int err)
{
	u32 limit = READ_UNPRICED(mm->limits.max_map_count);

	if (err == -ENOMEM && READ_UNPRICED(mm->map_count) >= limit)
		bench_fail(b, "%s%s: %s: the limit of %u mappings (max_map_count) is reached", who, call,
			   strerror(-err), limit);
	else
		bench_fail(b, "%s%s: %s", who, call, strerror(-err));
}

bool bench_worked(struct bench_task *t, const char *call, int err)
{
	char who[32];

	if (likely(!err))
		return true;
	snprintf(who, sizeof(who), "task %u: ", t->index);
	call_failed(t->bench, t->mm, who, call, err);
	t->stop = true;
	return false;
}

int bench_map_apart(struct bench *b, struct mm *mm, u64 bytes, u64 gap, u64 *base, u32 count)
{
	s64 va = mm_mmap(mm, 0, (bytes + gap) * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	int err = va < 0 ? (int)va : 0;

	for (u32 i = 0; i < count && !err; i++) {
		base[i] = (u64)va + i * (bytes + gap);
		if (gap)
			err = mm_munmap(mm, base[i] + bytes, gap);
	}
	if (err)
		call_failed(b, mm, "setting up: ", va < 0 ? "mmap" : "munmap", err);
	return err;
}

u64 bench_mmap_at(struct bench_task *t, u64 hint, u64 len, u32 prot, u32 flags, struct file *file,
		  u64 offset)
{
	s64 va = mm_mmap(t->mm, hint, len, prot, flags, file, offset);
	char call[48];

	if (likely(va > 0))
		return (u64)va;
	snprintf(call, sizeof(call), "mmap of %llu bytes", (unsigned long long)len);
	bench_worked(t, call, (int)va);
	return 0;
}

bool bench_munmap(struct bench_task *t, u64 addr, u64 len)
{
	return bench_worked(t, "munmap", mm_munmap(t->mm, addr, len));
}
