/*
 * workloads/replay_check.c - replay in trace order, compared with what the recorded kernel did
 *
 * One task does every action of the plan on the process's simulated address space. Compared:
 * the result of each call, the VMA that each MMAP2 record describes, and that each fault falls
 * into a VMA. After a difference the replay follows the recording, so that one does not cause more.
 * A fault that fails may have waited for the lock of a call whose effect comes later in the trace:
 * it is tried again after each call until its task's next event.
 * Tests        tests/unit/workloads/test_replay_check.c
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <mmsim/tlb.h>
#include <mmsim/uapi.h>

#include "workloads/replay.h"

#define PAGE_BYTES 4096ull
#define VSYSCALL_ADDR 0xffffffffff600000ull
#define ERROR_USER 4u

struct pending {
	u32 task;
	u64 action;
};

struct check {
	const struct replay_check_config *cfg;
	const struct plan *p;
	struct replay_world world;
	struct replay_report *report;
	struct mm **spaces; /* [plan space] */
	u64 *step_pos;      /* [call]: how far PLAN_STEPs got; 0: not begun */
	struct pending *pending;
	u32 pending_count, pending_cap;
	u64 overlap[REPLAY_OVERLAP_MAX]; /* PLAN_CALL_EARLY actions that are not done yet */
	u32 overlap_count;
	int err; /* the host's, or no simulated memory */
};

static struct replay_stats *stats_of(struct check *c, const struct plan_action *a)
{
	return &c->report->procs[c->p->tasks[a->task].proc];
}

static void differ(struct check *c, const struct plan_action *a, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static void differ(struct check *c, const struct plan_action *a, const char *fmt, ...)
{
	u32 proc = c->p->tasks[a->task].proc;
	va_list args;
	int n;

	for (u32 i = 0; i < REPLAY_DIFFERENCES_SHOWN; i++) {
		char *line = c->report->differences[proc * REPLAY_DIFFERENCES_SHOWN + i];

		if (*line)
			continue;
		n = snprintf(line, REPLAY_LINE_BYTES,
			     "%" PRIu64 ".%09" PRIu64 " tid %d: ", a->time_ns / 1000000000u,
			     a->time_ns % 1000000000u, c->p->tasks[a->task].tid);
		va_start(args, fmt);
		if (n > 0 && n < REPLAY_LINE_BYTES)
			vsnprintf(line + n, (size_t)(REPLAY_LINE_BYTES - n), fmt, args);
		va_end(args);
		return;
	}
}

/* ---- records --------------------------------------------------------------------------------- */

static bool same_inode(const struct vma *vma, const struct trace *t, const struct trace_event *rec)
{
	u64 dev = trace_map_field(t, rec, MAP_DEV), ino = trace_map_field(t, rec, MAP_INO);

	if (!vma->file)
		return !dev && !ino;
	return vma->file->inode->ino == ino && vma->file->inode->dev_major == dev >> 32 &&
	       vma->file->inode->dev_minor == (u32)dev;
}

static void vma_perms(const struct vma *vma, char *perms)
{
	perms[0] = vma->flags & VM_READ ? 'r' : '-';
	perms[1] = vma->flags & VM_WRITE ? 'w' : '-';
	perms[2] = vma->flags & VM_EXEC ? 'x' : '-';
	perms[3] = vma->flags & VM_MAYSHARE ? 's' : 'p';
	perms[4] = '\0';
}

static void record_perms(u8 flags, char *perms)
{
	perms[0] = flags & TRACE_MAP_READ ? 'r' : '-';
	perms[1] = flags & TRACE_MAP_WRITE ? 'w' : '-';
	perms[2] = flags & TRACE_MAP_EXEC ? 'x' : '-';
	perms[3] = flags & TRACE_MAP_SHARED ? 's' : 'p';
	perms[4] = '\0';
}

static void check_record(struct check *c, const struct plan_action *a)
{
	const struct trace *t = c->p->t;
	const struct trace_event *rec = &t->events[a->event];
	struct mm *mm = c->spaces[a->space];
	const struct vma *vma = vma_tree_load(&mm->vmas, rec->arg[0]);
	u64 pgoff = trace_map_field(t, rec, MAP_PGOFF), end = rec->arg[0] + rec->arg[1];
	char is[5] = "none", was[5];

	record_perms(rec->flags, was);
	if (vma) {
		bool pgoff_equal = vma->pgoff << mm->arch->page_shift == pgoff;

		vma_perms(vma, is);
		/* exec moved the stack after it was made, so its pgoff is not its address; it is
		 * never compared with a neighbour's. Special mappings have none. */
		if ((vma->flags & VM_GROWSDOWN) || vma->name)
			pgoff_equal = true;
		if (vma->start == rec->arg[0] && vma->end == end && !strcmp(is, was) &&
		    pgoff_equal && same_inode(vma, t, rec)) {
			stats_of(c, a)->extents_equal++;
			return;
		}
	}
	stats_of(c, a)->extents_different++;
	differ(c, a,
	       "VMA is %" PRIx64 "-%" PRIx64 " %s @ %" PRIx64 ", recorded %" PRIx64 "-%" PRIx64
	       " %s @ %" PRIx64,
	       vma ? vma->start : 0, vma ? vma->end : 0, is,
	       vma ? vma->pgoff << mm->arch->page_shift : 0, rec->arg[0], end, was, pgoff);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static bool is_placing(u8 sys)
{
	return sys == SYS_TRACE_mmap || sys == SYS_TRACE_mremap;
}

/* Errors that come from what a recording does not show: limits, overcommit, open modes, mounts. */
static bool is_limit(s64 error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -EPERM || error == -EACCES ||
	       error == -ENODEV || error == -ENFILE || error == -ETXTBSY || error == -EINTR;
}

/* The model put it elsewhere, or did what the recorded kernel refused: follow the recording. */
static void follow_recording(struct check *c, struct mm *mm, const struct plan_call *call,
			     s64 result)
{
	u64 arg[TRACE_ARGS_MAX];

	memcpy(arg, call->arg, sizeof(arg));
	if (call->sys == SYS_TRACE_mmap) {
		if (result >= 0)
			(void)mm_munmap(mm, (u64)result, call->arg[1]);
		if (call->result < 0)
			return;
		arg[0] = (u64)call->result;
		arg[3] = (arg[3] & ~(u64)MAP_32BIT) | MAP_FIXED;
		(void)replay_call(&c->world, mm, call, arg, 0);
		return;
	}
	if (result < 0 || call->result < 0)
		return;
	arg[0] = (u64)result;
	arg[1] = arg[2];
	arg[3] = MREMAP_MAYMOVE | MREMAP_FIXED;
	arg[4] = (u64)call->result;
	(void)replay_call(&c->world, mm, call, arg, 0);
}

static void compare_result(struct check *c, const struct plan_action *a, s64 result)
{
	const struct plan_call *call = &c->p->calls[a->call];
	struct replay_stats *s = stats_of(c, a);
	struct mm *mm = c->spaces[a->space];
	bool placing = is_placing(call->sys);

	if (!call->has_result)
		return;
	if (result == call->result) {
		(*(placing ? &s->results_equal : &s->other_equal))++;
		return;
	}
	if (is_limit(call->result) && result >= 0) {
		s->limited++;
	} else {
		(*(placing ? &s->results_different : &s->other_different))++;
		differ(c, a,
		       "%s(%" PRIx64 ", %" PRIx64 ", %" PRIx64 ", %" PRIx64 ") is %" PRIx64
		       ", recorded %" PRIx64,
		       trace_syscall_name[call->sys], call->arg[0], call->arg[1], call->arg[2],
		       call->arg[3], (u64)result, (u64)call->result);
	}
	if (placing)
		follow_recording(c, mm, call, result);
}

/* The part of an mprotect up to the VMA of one record: VMAs that do not change have no record. */
static void do_step(struct check *c, const struct plan_action *a)
{
	const struct plan_call *call = &c->p->calls[a->call];
	struct mm *mm = c->spaces[a->space];
	u64 pos = c->step_pos[a->call] ? c->step_pos[a->call] : call->arg[0];
	u64 end = call->arg[0] + ALIGN_UP(call->arg[1], PAGE_BYTES);
	u64 want = (call->arg[2] & PROT_READ ? VM_READ : 0) |
		   (call->arg[2] & PROT_WRITE ? VM_WRITE : 0) |
		   (call->arg[2] & PROT_EXEC ? VM_EXEC : 0);
	const struct vma *vma;

	while (pos < end && (vma = vma_tree_find(&mm->vmas, pos, end - 1))) {
		u64 upto = min(vma->end, end);
		bool changes = (vma->flags & VM_ACCESS_FLAGS) != want;

		if (vma->start > pos)
			break;
		if (changes)
			(void)mm_mprotect(mm, pos, upto - pos, (u32)call->arg[2]);
		pos = upto;
		if (changes)
			break;
	}
	c->step_pos[a->call] = pos;
}

static void do_call(struct check *c, const struct plan_action *a)
{
	const struct plan_call *call = &c->p->calls[a->call];
	struct mm *mm = c->spaces[a->space];
	u64 arg[TRACE_ARGS_MAX], place = 0;

	if (!mm)
		return; /* see space_is_gone() */
	memcpy(arg, call->arg, sizeof(arg));
	if (c->step_pos[a->call]) {
		u64 end = arg[0] + ALIGN_UP(arg[1], PAGE_BYTES);

		arg[0] = c->step_pos[a->call];
		arg[1] = end - arg[0];
	}
	if (call->has_result && call->result > 0)
		place = (u64)call->result;
	compare_result(c, a, replay_call(&c->world, mm, call, arg, place));
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void count_outside(struct check *c, const struct plan_action *a, enum fault_result res)
{
	struct replay_stats *s = stats_of(c, a);

	if (res == FAULT_SIGSEGV_ACCERR) {
		s->faults_inside++;
		s->faults_denied++;
		s->faults_needed++;
	} else if (a->flags & PLAN_FAULT_SIGNAL) {
		s->faults_signalled++;
	} else {
		s->faults_outside++;
		differ(c, a, "fault at %" PRIx64 " (error code %" PRIx64 ") is outside every VMA",
		       a->a, a->b);
	}
}

static enum fault_result try_fault(struct check *c, const struct plan_action *a)
{
	struct replay_stats *s = stats_of(c, a);
	struct mm *mm = c->spaces[a->space];
	enum access_kind access = replay_access(a->b);
	bool mapped = mmu_probe(mm, a->a, access);
	enum fault_result res = fault_handle(mm, a->a, access, a->b & ERROR_USER);

	if (res == FAULT_OK || res == FAULT_SIGBUS) {
		s->faults_inside++;
		(*(mapped ? &s->faults_mapped : &s->faults_needed))++;
	} else if (res == FAULT_OOM) {
		c->err = -ENOMEM;
	}
	return res;
}

static bool is_signal(enum fault_result res)
{
	return res == FAULT_SIGSEGV_MAPERR || res == FAULT_SIGSEGV_ACCERR;
}

static void defer_fault(struct check *c, u32 task, u64 action)
{
	if (c->pending_count == c->pending_cap) {
		u32 cap = c->pending_cap ? c->pending_cap * 2 : 16;
		struct pending *bigger = realloc(c->pending, cap * sizeof(*bigger));

		if (!bigger) {
			c->err = -ENOMEM;
			return;
		}
		c->pending = bigger;
		c->pending_cap = cap;
	}
	c->pending[c->pending_count++] = (struct pending){task, action};
}

static void do_fault(struct check *c, const struct plan_action *a)
{
	struct replay_stats *s = stats_of(c, a);
	struct mm *mm = c->spaces[a->space];

	if ((a->a & ~(PAGE_BYTES - 1)) == VSYSCALL_ADDR) {
		s->faults_vsyscall++;
		return;
	}
	if (a->a >= mm->task_size) {
		count_outside(c, a, FAULT_SIGSEGV_MAPERR);
		return;
	}
	if (a->a < MMAP_MIN_ADDR && !vma_tree_load(&mm->vmas, a->a)) {
		s->faults_low++;
		return;
	}
	if (is_signal(try_fault(c, a)))
		defer_fault(c, a->task, (u64)(a - c->p->actions));
}

/* Something was mapped or allowed in `space`. */
static void retry_faults(struct check *c, u32 space)
{
	u32 kept = 0;

	for (u32 i = 0; i < c->pending_count; i++) {
		const struct plan_action *a = &c->p->actions[c->pending[i].action];

		if (a->space != space || is_signal(try_fault(c, a)))
			c->pending[kept++] = c->pending[i];
	}
	c->pending_count = kept;
}

/* The task goes on (task PLAN_NONE: everybody): what has failed so far has failed. */
static void settle_faults(struct check *c, u32 task)
{
	u32 kept = 0;

	for (u32 i = 0; i < c->pending_count; i++) {
		const struct plan_action *a = &c->p->actions[c->pending[i].action];

		if (c->pending[i].task != task && task != PLAN_NONE) {
			c->pending[kept++] = c->pending[i];
			continue;
		}
		count_outside(c, a,
			      c->spaces[a->space] && vma_tree_load(&c->spaces[a->space]->vmas, a->a)
				      ? FAULT_SIGSEGV_ACCERR
				      : FAULT_SIGSEGV_MAPERR);
	}
	c->pending_count = kept;
}

/* ---- overlapping calls ----------------------------------------------------------------------- */

static void do_overlap(struct check *c, u32 i)
{
	u64 action = c->overlap[i];

	memmove(c->overlap + i, c->overlap + i + 1, (--c->overlap_count - i) * sizeof(*c->overlap));
	do_call(c, &c->p->actions[action]);
}

/* An action takes effect that the order of calls matters to. */
static bool is_commit(const struct check *c, const struct plan_action *a)
{
	const struct plan_call *call;

	if (a->kind == PLAN_STEP || a->kind == PLAN_SPACE_FORK || a->kind == PLAN_ORPHAN)
		return true;
	if (a->kind != PLAN_CALL && a->kind != PLAN_RETURN)
		return false;
	call = &c->p->calls[a->call];
	return call->records || (is_placing(call->sys) && call->result >= 0);
}

/* Which of the calls under way in this space came before it? Those are done. */
static void settle_order(struct check *c, const struct plan_action *a)
{
	static const struct plan_call no_call = {.first_record = ~0ull, .file = PLAN_NONE};
	const struct plan_call *call = a->call == PLAN_NONE ? &no_call : &c->p->calls[a->call];
	u32 lazy[REPLAY_OVERLAP_MAX], at[REPLAY_OVERLAP_MAX], n = 0, first, done = 0;

	for (u32 i = 0; i < c->overlap_count; i++)
		if (c->p->actions[c->overlap[i]].space == a->space) {
			at[n] = i;
			lazy[n++] = c->p->actions[c->overlap[i]].call;
		}
	if (!n)
		return;
	if (a->kind == PLAN_SPACE_FORK) /* nothing tells: as if they had been quick */
		first = ~0u >> (32 - n);
	else
		first = replay_order(&c->world, c->spaces[a->space], call, lazy, n);
	for (u32 i = 0; i < n; i++)
		if (first & 1u << i)
			do_overlap(c, at[i] - done++);
}

/* true: the action is a call that waits for the next commit, or for its return. */
static bool postpone(struct check *c, const struct plan_action *a)
{
	if (a->kind != PLAN_CALL || !(a->flags & PLAN_CALL_EARLY))
		return false;
	if (c->overlap_count == REPLAY_OVERLAP_MAX)
		do_overlap(c, 0);
	c->overlap[c->overlap_count++] = (u64)(a - c->p->actions);
	return true;
}

/* It returned: at the latest now. */
static void do_return(struct check *c, const struct plan_action *a)
{
	for (u32 i = 0; i < c->overlap_count; i++)
		if (c->p->actions[c->overlap[i]].call == a->call) {
			u64 action = c->overlap[i];

			memmove(c->overlap + i, c->overlap + i + 1,
				(--c->overlap_count - i) * sizeof(*c->overlap));
			if (is_commit(c, a))
				settle_order(c, a);
			do_call(c, &c->p->actions[action]);
			return;
		}
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* A mapping that no call explains: perhaps it is there already (a record of something else). */
static void do_orphan(struct check *c, const struct plan_action *a)
{
	const struct trace_event *rec = &c->p->t->events[a->event];
	struct mm *mm = c->spaces[a->space];
	const struct vma *vma = vma_tree_load(&mm->vmas, rec->arg[0]);
	s64 at = 0;

	if (!vma)
		at = replay_orphan(&c->world, mm, a);
	if (at < 0)
		differ(c, a, "a mapping that no call explains does not fit: %s",
		       strerror((int)-at));
	if (a->time_ns) /* else told from /proc/PID/maps, which does not say it all */
		check_record(c, a);
}

static void do_image(struct check *c, const struct plan_action *a)
{
	int err = replay_image(&c->world, c->spaces[a->space], a);

	if (!err)
		return;
	stats_of(c, a)->extents_different++;
	differ(c, a, "a mapping of the image at %" PRIx64 " does not fit: %s", a->a,
	       strerror(-err));
}

/* The address space goes: calls that never came back went with the tasks that made them. */
static void forget_overlaps(struct check *c, u32 space)
{
	u32 kept = 0;

	for (u32 i = 0; i < c->overlap_count; i++)
		if (c->p->actions[c->overlap[i]].space != space)
			c->overlap[kept++] = c->overlap[i];
	c->overlap_count = kept;
}

/* A recording with lost or doubled lines can speak of an address space that is no more. */
static bool space_is_gone(const struct check *c, const struct plan_action *a)
{
	return a->kind != PLAN_SPACE_NEW && a->space != PLAN_NONE && !c->spaces[a->space];
}

static void do_action(struct check *c, const struct plan_action *a)
{
	if (space_is_gone(c, a))
		return;
	switch (a->kind) {
	case PLAN_SPACE_NEW:
		c->spaces[a->space] = replay_new_mm(&c->world);
		if (!c->spaces[a->space])
			c->err = -ENOMEM;
		break;
	case PLAN_SPACE_FORK:
		c->spaces[a->a] = mm_fork(c->spaces[a->space], &c->err);
		break;
	case PLAN_SPACE_PUT:
		forget_overlaps(c, a->space);
		mm_put(c->spaces[a->space]);
		c->spaces[a->space] = NULL;
		break;
	case PLAN_CALL:
		do_call(c, a);
		break;
	case PLAN_RETURN:
		do_return(c, a);
		break;
	case PLAN_STEP:
		do_step(c, a);
		break;
	case PLAN_RECORD:
		check_record(c, a);
		break;
	case PLAN_FAULT:
		do_fault(c, a);
		break;
	case PLAN_ORPHAN:
		do_orphan(c, a);
		break;
	case PLAN_TASK_START:
	case PLAN_TASK_EXIT:
		break;
	default:
		do_image(c, a);
		break;
	}
}

static void replay_all(struct check *c)
{
	for (u64 i = 0; i < c->p->action_count && !c->err; i++) {
		const struct plan_action *a = &c->p->actions[i];

		if (a->time_ns > c->cfg->stop_ns)
			break;
		if (c->pending_count)
			settle_faults(c, a->task);
		if (postpone(c, a))
			continue;
		if (!space_is_gone(c, a) && c->overlap_count && a->kind != PLAN_RETURN && is_commit(c, a))
			settle_order(c, a);
		do_action(c, a);
		if (c->pending_count &&
		    (a->kind == PLAN_CALL || a->kind == PLAN_STEP || a->kind == PLAN_RETURN) &&
		    !c->err)
			retry_faults(c, a->space);
	}
	if (!c->err)
		settle_faults(c, PLAN_NONE);
}

/* The space that a process has at stop_ns: the plan knows only the last one. */
static struct mm *space_at(struct check *c, s32 pid)
{
	u32 space = PLAN_NONE;

	for (u64 i = 0; i < c->p->action_count; i++) {
		const struct plan_action *a = &c->p->actions[i];

		if (a->time_ns > c->cfg->stop_ns)
			break;
		if (c->p->tasks[a->task].pid == pid && a->kind != PLAN_SPACE_PUT &&
		    a->kind != PLAN_TASK_EXIT)
			space = a->space;
		/* fork: the child has its copy before it does anything */
		if (a->kind == PLAN_TASK_START && c->p->tasks[a->a].pid == pid && i &&
		    c->p->tasks[a->task].pid != pid)
			space = a[-1].kind == PLAN_SPACE_FORK ? (u32)a[-1].a : a->space;
	}
	return space == PLAN_NONE ? NULL : c->spaces[space];
}

static int run_check(struct check *c)
{
	struct mm *mm;
	int err;

	err = replay_world_init(&c->world, c->p, c->world.machine, c->cfg->arch, c->cfg->locking);
	if (err)
		return err;
	replay_all(c);
	if (!c->err && c->cfg->maps_pid) {
		mm = space_at(c, c->cfg->maps_pid);
		if (mm)
			mm_print_maps(mm, c->cfg->maps);
		else
			c->err = -ESRCH;
	}
	for (u32 i = 0; i < c->p->space_count; i++)
		if (c->spaces[i]) {
			mm_check(c->spaces[i]);
			mm_put(c->spaces[i]);
		}
	replay_world_fini(&c->world);
	return c->err;
}

static void add_stats(struct replay_stats *to, const struct replay_stats *from)
{
	u64 *t = (u64 *)to;
	const u64 *f = (const u64 *)from;

	_Static_assert(sizeof(*to) % sizeof(u64) == 0, "struct replay_stats is counters only");
	for (size_t i = 0; i < sizeof(*to) / sizeof(u64); i++)
		t[i] += f[i];
}

static bool alloc_check(struct check *c, struct replay_report *report)
{
	const struct plan *p = c->p;

	*report = (struct replay_report){.proc_count = p->proc_count};
	report->procs = calloc(p->proc_count + 1, sizeof(*report->procs));
	report->differences = calloc((p->proc_count + 1) * REPLAY_DIFFERENCES_SHOWN,
				     sizeof(*report->differences));
	c->spaces = calloc(p->space_count + 1, sizeof(struct mm *));
	c->step_pos = calloc(p->call_count + 1, sizeof(*c->step_pos));
	return report->procs && report->differences && c->spaces && c->step_pos;
}

int replay_check(const struct replay_check_config *cfg, struct replay_report *report)
{
	struct machine_config mc = {.tasks = 1,
				    .cpus = 1,
				    .content_words = 1,
				    .seed = cfg->seed,
				    .memory_bytes = replay_memory_bytes(cfg->plan)};
	struct check c = {.cfg = cfg, .p = cfg->plan, .report = report};
	struct machine *m = machine_create(&mc);
	int err = -ENOMEM;

	if (m && alloc_check(&c, report) && !mm_machine_init(m, cfg->arch, &cfg->mm)) {
		c.world.machine = m;
		machine_enter(m);
		err = run_check(&c);
		mm_machine_destroy(m);
		machine_leave();
	}
	if (m)
		machine_destroy(m);
	for (u32 i = 0; !err && i < report->proc_count; i++)
		add_stats(&report->total, &report->procs[i]);
	free(c.spaces);
	free(c.step_pos);
	free(c.pending);
	if (err)
		replay_report_free(report);
	return err;
}

void replay_report_free(struct replay_report *report)
{
	free(report->procs);
	free(report->differences);
	*report = (struct replay_report){0};
}

/* ---- the report ------------------------------------------------------------------------------ */

bool replay_stats_differ(const struct replay_stats *s)
{
	return s->results_different || s->extents_different || s->faults_outside;
}

static void print_stats(const struct replay_stats *s, FILE *out)
{
	fprintf(out, "  mmap, mremap results  %10" PRIu64 " equal   %8" PRIu64 " different\n",
		s->results_equal, s->results_different);
	fprintf(out, "  VMA extents           %10" PRIu64 " equal   %8" PRIu64 " different\n",
		s->extents_equal, s->extents_different);
	fprintf(out, "  faults                %10" PRIu64 " inside  %8" PRIu64 " outside a VMA\n",
		s->faults_inside, s->faults_outside);
	fprintf(out, "  faults                %10" PRIu64 " needed  %8" PRIu64 " already mapped\n",
		s->faults_needed, s->faults_mapped);
	fprintf(out, "  other results         %10" PRIu64 " equal   %8" PRIu64 " different\n",
		s->other_equal, s->other_different);
	if (s->faults_low)
		fprintf(out, "  SIGSEGV below mmap_min_addr, as recorded: %" PRIu64 "\n",
			s->faults_low);
	if (s->faults_signalled)
		fprintf(out, "  SIGSEGV outside a VMA, as recorded: %" PRIu64 "\n",
			s->faults_signalled);
	if (s->faults_denied)
		fprintf(out, "  faults that the VMA forbids: %" PRIu64 "\n", s->faults_denied);
	if (s->faults_vsyscall)
		fprintf(out, "  faults at [vsyscall], not compared: %" PRIu64 "\n",
			s->faults_vsyscall);
	if (s->limited)
		fprintf(out,
			"  calls that were refused for limits which are not recorded: %" PRIu64
			"\n",
			s->limited);
}

void replay_report_print(const struct replay_report *report, const struct plan *plan, s32 pid,
			 FILE *out)
{
	for (u32 i = 0; i < report->proc_count; i++) {
		if (pid && plan->procs[i].pid != pid)
			continue;
		fprintf(out, "pid %d (%s)\n", plan->procs[i].pid,
			trace_name(plan->t, plan->procs[i].name));
		print_stats(&report->procs[i], out);
		for (u32 d = 0; d < REPLAY_DIFFERENCES_SHOWN; d++)
			if (*report->differences[i * REPLAY_DIFFERENCES_SHOWN + d])
				fprintf(out, "    %s\n",
					report->differences[i * REPLAY_DIFFERENCES_SHOWN + d]);
	}
	if (pid)
		return;
	fprintf(out, "total\n");
	print_stats(&report->total, out);
}
