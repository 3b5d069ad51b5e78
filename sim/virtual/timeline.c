/*
 * sim/virtual/timeline.c - a run as events in the JSON form that Perfetto and chrome://tracing read
 *
 * Format       "Trace Event Format": complete events (X) written when they end, instants (i), flow
 *              arrows (s, f), names (M). Times are simulated microseconds with three decimals.
 * Tracks       process 1, the machine: a thread per CPU (which task runs there), one per CPU that got
 *              an interrupt (handlers), one for RCU's grace periods, one for the measurement.
 *              process 2, the tasks: a thread each: system calls, faults, lock waits, sleep.
 * Memory       some words per CPU and per task; events go to the file as they end.
 * Order        by their ends, in the order of the simulation; viewers sort.
 * Cut          What began before timeline_start() begins there, or is not shown; what has not ended at
 *              timeline_stop() ends there.
 * Tests        tests/unit/sim/virtual/test_timeline.c, tests/cli/virtual_trace.sh
 */
#include "sim/virtual/timeline.h"
#include "sim/virtual/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PID_MACHINE 1
#define PID_TASKS 2
/* Unique over both processes, and never 0, which viewers take for an idle thread. */
#define TID_CPU 1u
#define TID_IRQ 100001u
#define TID_RCU 200001u
#define TID_MEASUREMENT 200002u
#define TID_TASK 300001u

struct cpu_track {
	const struct vtask *runs; /* NULL: idle */
	u64 since_ps;
	bool irq_named;
};

/* TIME_NEVER: not so. */
struct task_track {
	u64 sleeps_ps, ready_ps, fault_ps, syscall_ps;
	const char *sleeps_in;
	enum counter syscall;
	u64 *counters; /* at the fault's beginning */
};

static struct timeline {
	struct machine *m;
	FILE *out;
	u64 events, events_max, flows;
	u64 start_ps, gp_ps;
	bool comma, full;
	struct cpu_track *cpus;
	struct task_track *tasks;
	u32 task_count;
} tl;

/* ---- writing ----------------------------------------------------------------------------------------- */

static void put_string(const char *s)
{
	putc('"', tl.out);
	for (; *s; s++)
		if ((unsigned char)*s >= ' ' && *s != '"' && *s != '\\')
			putc(*s, tl.out);
		else
			fprintf(tl.out, "\\u%04x", (unsigned char)*s);
	putc('"', tl.out);
}

static void put_us(const char *key, u64 ns)
{
	fprintf(tl.out, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000),
		(unsigned int)(ns % 1000));
}

static u64 shown_ns(u64 ps)
{
	return max(ps, tl.start_ps) / PS_PER_NS;
}

static void begin_event(const char *ph, u32 pid, u32 tid, const char *name)
{
	fprintf(tl.out, "%s\n{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u,\"name\":", tl.comma ? "," : "", ph,
		pid, tid);
	tl.comma = true;
	put_string(name);
}

static void end_event(void)
{
	putc('}', tl.out);
}

/* One more; the last one that fits stops the watch. */
static bool counts(void)
{
	if (tl.full)
		return false;
	if (tl.events == tl.events_max) {
		tl.full = true;
		lock_watch_trace(tl.m, NULL);
		return false;
	}
	tl.events++;
	return true;
}

/* What is written between this and end_event() are its arguments. */
static bool begin_slice(u32 pid, u32 tid, const char *cat, const char *name, u64 from_ps, u64 to_ps)
{
	u64 from_ns = shown_ns(from_ps), to_ns = shown_ns(to_ps);

	if (!counts())
		return false;
	begin_event("X", pid, tid, name);
	fprintf(tl.out, ",\"cat\":\"%s\"", cat);
	put_us("ts", from_ns);
	put_us("dur", to_ns > from_ns ? to_ns - from_ns : 0);
	return true;
}

static void slice(u32 pid, u32 tid, const char *cat, const char *name, u64 from_ps, u64 to_ps)
{
	if (begin_slice(pid, tid, cat, name, from_ps, to_ps))
		end_event();
}

static void name_thread(u32 pid, u32 tid, const char *what, u32 number)
{
	char name[64];

	snprintf(name, sizeof(name), what, number);
	begin_event("M", pid, tid, "thread_name");
	fputs(",\"args\":{\"name\":", tl.out);
	put_string(name);
	fputs("}}", tl.out);
	begin_event("M", pid, tid, "thread_sort_index");
	fprintf(tl.out, ",\"args\":{\"sort_index\":%u}}", tid);
}

static void name_process(u32 pid, const char *what, const char *title)
{
	char name[512];

	snprintf(name, sizeof(name), "%s: %s", what, title);
	begin_event("M", pid, pid == PID_MACHINE ? TID_CPU : TID_TASK, "process_name");
	fputs(",\"args\":{\"name\":", tl.out);
	put_string(name);
	fputs("}}", tl.out);
}

/* ---- tasks on CPUs -------------------------------------------------------------------------------------- */

static u32 task_index(const struct vtask *t)
{
	return (u32)(t - tl.m->vtasks);
}

static struct task_track *track_of(const struct vtask *t)
{
	return &tl.tasks[task_index(t)];
}

/* The calling task's; NULL: not one of this machine's. */
static struct task_track *own_track(u32 *tid)
{
	const struct vcpu *c = vt_cpu();

	if (!c->m || c->m != tl.m || !c->curr)
		return NULL;
	*tid = TID_TASK + task_index(c->curr);
	return track_of(c->curr);
}

static void end_run(u32 cpu, u64 now_ps)
{
	struct cpu_track *track = &tl.cpus[cpu];
	char name[32];

	if (!track->runs)
		return;
	if (track->runs->softirq)
		snprintf(name, sizeof(name), "RCU call-backs");
	else
		snprintf(name, sizeof(name), "task %u", track->runs->task->id);
	slice(PID_MACHINE, TID_CPU + cpu, "cpu", name, track->since_ps, now_ps);
}

/* The time that t did not run, until now. */
static void end_rest(const struct vtask *t, u64 now_ps)
{
	struct task_track *track = track_of(t);
	u64 woken_ps = min(track->ready_ps, now_ps);
	u32 tid = TID_TASK + task_index(t);

	if (t->softirq)
		return;
	if (track->sleeps_ps != TIME_NEVER) {
		woken_ps = max(woken_ps, track->sleeps_ps);
		if (begin_slice(PID_TASKS, tid, "sleep", "sleep", track->sleeps_ps, woken_ps)) {
			fputs(",\"args\":{\"in\":", tl.out);
			put_string(track->sleeps_in ? track->sleeps_in : "?");
			putc('}', tl.out);
			end_event();
		}
	}
	if (track->ready_ps != TIME_NEVER)
		slice(PID_TASKS, tid, "sleep", "runnable", woken_ps, now_ps);
	track->sleeps_ps = track->ready_ps = TIME_NEVER;
}

void timeline_runs(struct vcpu *c, const struct vtask *t)
{
	if (c->m != tl.m)
		return;
	end_run(c->id, c->e.clock_ps);
	tl.cpus[c->id].runs = t;
	tl.cpus[c->id].since_ps = c->e.clock_ps;
	if (t)
		end_rest(t, c->e.clock_ps);
}

void timeline_sleeps(const struct vtask *t)
{
	if (t->cpu->m != tl.m)
		return;
	track_of(t)->sleeps_ps = t->cpu->e.clock_ps;
	track_of(t)->sleeps_in = t->sleeps_in;
}

void timeline_woken(const struct vtask *t, u64 now_ps)
{
	if (t->cpu->m == tl.m)
		track_of(t)->ready_ps = now_ps;
}

void timeline_preempted(const struct vtask *t)
{
	timeline_woken(t, t->cpu->e.clock_ps);
}

/* ---- faults and system calls ------------------------------------------------------------------------------ */

/* "FAULT_WP_COPY" less its first `skip` characters: "wp_copy". */
static void lower_name(const char *counter, u32 skip, char *out, size_t bytes)
{
	size_t i = 0;

	for (; counter[skip + i] && i + 1 < bytes; i++)
		out[i] = (char)tolower((unsigned char)counter[skip + i]);
	out[i] = 0;
}

/* Which of these counters says what kind a fault was: what went wrong first. */
static const enum counter fault_kinds[] = {
	COUNTER_FAULT_SIGSEGV,	   COUNTER_FAULT_SIGBUS,    COUNTER_FAULT_OOM,
	COUNTER_FAULT_ANON,	   COUNTER_FAULT_ZERO_PAGE, COUNTER_FAULT_WP_COPY,
	COUNTER_FAULT_WP_REUSE,	   COUNTER_FAULT_FILE_COW,  COUNTER_FAULT_FILE_SHARED,
	COUNTER_FAULT_FILE_READ,   COUNTER_FAULT_SPECIAL,   COUNTER_FAULT_SPURIOUS,
};

static void name_fault(const u64 *before, const u64 *after, char *name, size_t bytes)
{
	snprintf(name, bytes, "fault");
	for (u32 i = 0; i < ARRAY_SIZE(fault_kinds); i++) {
		enum counter c = fault_kinds[i];

		if (after[c] == before[c])
			continue;
		snprintf(name, bytes, "fault ");
		lower_name(counter_info[c].name, strlen("FAULT_"), name + 6, bytes - 6);
		return;
	}
}

/* Is it about how the fault went? */
static bool tells_of_fault(const char *counter)
{
	static const char *const prefixes[] = { "FAULT_", "VMA_LOCK_", "SPF_", "MMAP_LOCK_", "PTL_" };

	for (u32 i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(counter, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void put_counters(const u64 *before, const u64 *after)
{
	for (u32 c = 0; c < COUNTER_COUNT; c++)
		if (after[c] != before[c] && c != COUNTER_FAULT_TOTAL && c != COUNTER_FAULT_USER &&
		    c != COUNTER_FAULT_KERNEL && tells_of_fault(counter_info[c].name))
			fprintf(tl.out, ",\"%s\":%llu", counter_info[c].name,
				(unsigned long long)(after[c] - before[c]));
}

void timeline_fault_begin(void)
{
	u32 tid;
	struct task_track *track = own_track(&tid);

	if (!track)
		return;
	if (!track->counters)
		track->counters = malloc(COUNTER_COUNT * sizeof(u64));
	if (!track->counters)
		MMSIM_BUG("the host has no memory for a timeline");
	memcpy(track->counters, task_counters(), COUNTER_COUNT * sizeof(u64));
	/* This fault was counted, or not, before: not by what it does. */
	track->fault_ps = mmsim_engine_cpu->clock_ps;
}

void timeline_fault_end(u64 va, const char *access, bool user)
{
	u32 tid;
	struct task_track *track = own_track(&tid);
	const u64 *after = task_counters();
	char name[48];

	if (!track || track->fault_ps == TIME_NEVER)
		return;
	name_fault(track->counters, after, name, sizeof(name));
	if (begin_slice(PID_TASKS, tid, "fault", name, track->fault_ps, mmsim_engine_cpu->clock_ps)) {
		fprintf(tl.out, ",\"args\":{\"va\":\"%#llx\",\"access\":\"%s\",\"mode\":\"%s\"",
			(unsigned long long)va, access, user ? "user" : "kernel");
		put_counters(track->counters, after);
		putc('}', tl.out);
		end_event();
	}
	track->fault_ps = TIME_NEVER;
}

void timeline_syscall_begin(enum counter call)
{
	u32 tid;
	struct task_track *track = own_track(&tid);

	if (!track)
		return;
	track->syscall = call;
	track->syscall_ps = mmsim_engine_cpu->clock_ps;
}

static void end_syscall(struct task_track *track, u32 tid, u64 now_ps)
{
	char name[32];

	if (track->syscall_ps == TIME_NEVER)
		return;
	lower_name(counter_info[track->syscall].name, strlen("SYSCALL_"), name, sizeof(name));
	slice(PID_TASKS, tid, "syscall", name, track->syscall_ps, now_ps);
	track->syscall_ps = TIME_NEVER;
}

void timeline_syscall_end(void)
{
	u32 tid;
	struct task_track *track = own_track(&tid);

	if (track)
		end_syscall(track, tid, mmsim_engine_cpu->clock_ps);
}

/* ---- locks --------------------------------------------------------------------------------------------------- */

static void lock_waited(const struct lock_wait *w)
{
	char name[64];
	u32 tid;

	if (!own_track(&tid))
		return;
	snprintf(name, sizeof(name), "wait %s %s", w->class, w->write ? "W" : "R");
	if (!begin_slice(PID_TASKS, tid, "lock", name, w->since_ns * PS_PER_NS,
			 mmsim_engine_cpu->clock_ps))
		return;
	fputs(",\"args\":{\"site\":", tl.out);
	put_string(w->site);
	if (w->holder >= 0)
		fprintf(tl.out, ",\"holder\":\"task %lld\",\"holders\":%llu", (long long)w->holder,
			(unsigned long long)w->holders);
	fprintf(tl.out, ",\"acquired\":%s}", w->acquired ? "true" : "false");
	end_event();
}

static bool begin_mmap_lock_event(const char *event, u64 mm, bool write)
{
	u32 tid;

	if (!own_track(&tid) || !counts())
		return false;
	begin_event("i", PID_TASKS, tid, event);
	fputs(",\"cat\":\"mmap_lock\",\"s\":\"t\"", tl.out);
	put_us("ts", shown_ns(mmsim_engine_cpu->clock_ps));
	fprintf(tl.out, ",\"args\":{\"mm\":%llu,\"write\":%s", (unsigned long long)mm,
		write ? "true" : "false");
	return true;
}

void timeline_mmap_lock(const char *event, u64 mm, bool write)
{
	if (begin_mmap_lock_event(event, mm, write)) {
		putc('}', tl.out);
		end_event();
	}
}

void timeline_mmap_lock_returned(u64 mm, bool write, bool success)
{
	if (begin_mmap_lock_event("mmap_lock_acquire_returned", mm, write)) {
		fprintf(tl.out, ",\"success\":%s}", success ? "true" : "false");
		end_event();
	}
}

/* ---- interrupts -------------------------------------------------------------------------------------------------- */

static void arrow(const char *ph, u64 number, u32 pid, u32 tid, u64 ps)
{
	if (!counts())
		return;
	begin_event(ph, pid, tid, "IPI");
	fprintf(tl.out, ",\"cat\":\"ipi\",\"id\":%llu%s", (unsigned long long)number,
		*ph == 'f' ? ",\"bp\":\"e\"" : "");
	put_us("ts", shown_ns(ps));
	end_event();
}

u64 timeline_ipi_sent(const struct vcpu *sender, const struct vcpu *target)
{
	if (sender->m != tl.m || !sender->curr)
		return 0;
	arrow("s", ++tl.flows, PID_TASKS, TID_TASK + task_index(sender->curr), sender->e.clock_ps);
	return tl.flows;
}

void timeline_ipi_handled(const struct vcpu *target, u64 number, u64 start_ps, u64 end_ps)
{
	u32 tid = TID_IRQ + target->id;

	if (target->m != tl.m || tl.full)
		return;
	if (!tl.cpus[target->id].irq_named) {
		tl.cpus[target->id].irq_named = true;
		name_thread(PID_MACHINE, tid, "cpu %u interrupts", target->id);
	}
	slice(PID_MACHINE, tid, "ipi", "IPI handler", start_ps, end_ps);
	if (number)
		arrow("f", number, PID_MACHINE, tid, start_ps);
}

void timeline_ipi_done(const struct vcpu *sender, u64 since_ps, u32 targets)
{
	if (sender->m != tl.m || !sender->curr || !targets)
		return;
	if (begin_slice(PID_TASKS, TID_TASK + task_index(sender->curr), "ipi", "IPI, wait for all",
			since_ps, sender->e.clock_ps)) {
		fprintf(tl.out, ",\"args\":{\"targets\":%u}", targets);
		end_event();
	}
}

/* ---- RCU ----------------------------------------------------------------------------------------------------------- */

void timeline_gp_started(const struct machine *m, u64 now_ps)
{
	if (m == tl.m)
		tl.gp_ps = now_ps;
}

void timeline_gp_ended(const struct machine *m, u64 now_ps)
{
	char name[48];

	if (m != tl.m || tl.gp_ps == TIME_NEVER)
		return;
	snprintf(name, sizeof(name), "grace period %llu", (unsigned long long)m->gp_started);
	slice(PID_MACHINE, TID_RCU, "rcu", name, tl.gp_ps, now_ps);
	tl.gp_ps = TIME_NEVER;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------ */

static void name_all(const char *title)
{
	const struct machine *m = tl.m;

	name_process(PID_MACHINE, "machine", title);
	name_process(PID_TASKS, "tasks", title);
	for (u32 i = 0; i + 1 < m->cpu_count; i++)
		name_thread(PID_MACHINE, TID_CPU + i, "cpu %u", i);
	name_thread(PID_MACHINE, TID_RCU, "RCU grace periods", 0);
	name_thread(PID_MACHINE, TID_MEASUREMENT, "measurement", 0);
	for (u32 i = 0; i < m->task_count; i++)
		if (!m->running || m->vtasks[i].state != TASK_UNUSED)
			name_thread(PID_TASKS, TID_TASK + i, "task %u", i);
}

/* As it is now. */
static void look_around(void)
{
	const struct machine *m = tl.m;

	for (u32 i = 0; i < m->cpu_count; i++) {
		tl.cpus[i].runs = m->vcpus[i].curr;
		tl.cpus[i].since_ps = tl.start_ps;
	}
	for (u32 i = 0; i < tl.task_count; i++) {
		const struct vtask *t = &m->vtasks[i];
		struct task_track *track = &tl.tasks[i];

		track->sleeps_ps = track->ready_ps = track->fault_ps = track->syscall_ps = TIME_NEVER;
		if (t->state == TASK_SLEEPING && !t->softirq) {
			track->sleeps_ps = tl.start_ps;
			track->sleeps_in = t->sleeps_in;
		} else if (t->state == TASK_READY) {
			track->ready_ps = tl.start_ps;
		}
	}
	tl.gp_ps = m->gp_running ? tl.start_ps : TIME_NEVER;
}

void timeline_start(struct machine *m, FILE *out, u64 events_max, const char *title)
{
	memset(&tl, 0, sizeof(tl));
	tl.m = m;
	tl.out = out;
	tl.events_max = events_max;
	tl.start_ps = m->running ? mmsim_engine_cpu->clock_ps : m->now_ps;
	tl.task_count = m->task_count + 1 + m->cpu_count;
	tl.cpus = calloc(m->cpu_count, sizeof(*tl.cpus));
	tl.tasks = calloc(tl.task_count, sizeof(*tl.tasks));
	if (!tl.cpus || !tl.tasks)
		MMSIM_BUG("the host has no memory for a timeline");
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
	name_all(title);
	look_around();
	lock_watch_trace(m, lock_waited);
}

static void end_all(u64 now_ps)
{
	const struct machine *m = tl.m;

	for (u32 i = 0; i < m->cpu_count; i++)
		end_run(i, max(now_ps, m->vcpus[i].e.clock_ps));
	for (u32 i = 0; i < tl.task_count; i++) {
		u64 end_ps = max(now_ps, m->vtasks[i].cpu->e.clock_ps);

		end_rest(&m->vtasks[i], end_ps);
		end_syscall(&tl.tasks[i], TID_TASK + i, end_ps);
		if (tl.tasks[i].fault_ps != TIME_NEVER)
			slice(PID_TASKS, TID_TASK + i, "fault", "fault (unfinished)",
			      tl.tasks[i].fault_ps, end_ps);
	}
	timeline_gp_ended(m, now_ps);
	slice(PID_MACHINE, TID_MEASUREMENT, "measurement", "measurement", tl.start_ps, now_ps);
}

bool timeline_stop(void)
{
	bool whole;

	if (!tl.m)
		return true;
	lock_watch_trace(tl.m, NULL);
	if (!tl.full)
		end_all(tl.m->running ? mmsim_engine_cpu->clock_ps : tl.m->now_ps);
	whole = !tl.full;
	fprintf(tl.out, "\n],\"otherData\":{\"events\":%llu,\"whole\":%s}}\n",
		(unsigned long long)tl.events, whole ? "true" : "false");
	for (u32 i = 0; i < tl.task_count; i++)
		free(tl.tasks[i].counters);
	free(tl.cpus);
	free(tl.tasks);
	tl.m = NULL;
	return whole;
}

u64 timeline_event_count(void)
{
	return tl.events;
}
