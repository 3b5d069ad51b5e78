/*
 * sim/trace/parse.c - one line of `perf script` to one event
 *
 *   "%16s %5d/%-5d [%03d] %5u.%09u: EVENT: PAYLOAD"
 *
 * comm may hold anything but a newline, so the fields are found by the shape of "pid/tid [cpu]
 * time:" and not by counting words. Scanning is by hand over a buffer whose every line ends in
 * '\n': no loop below can run past it, because none of them accepts a '\n'.
 *
 * Leaves out   Call chains, -F formats other than workloads.md's
 * (comm,pid,tid,cpu,time,event,trace). Cost         At least a million lines per second
 * (tests/bench/bench_trace_parse.c).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/trace/parser.h"

#define TRACE_SYSCALL_NARGS(name, nargs) nargs,
const u8 trace_syscall_args[TRACE_SYSCALL_COUNT] = {TRACE_SYSCALLS(TRACE_SYSCALL_NARGS)};
#define TRACE_SYSCALL_NAME(name, nargs) #name,
const char *const trace_syscall_name[TRACE_SYSCALL_COUNT] = {TRACE_SYSCALLS(TRACE_SYSCALL_NAME)};

#define UNKNOWN_MAX 4096

struct trace_parser {
	struct trace *t;
	struct trace_error *err;
	const char *file;
	u64 event_cap, pool_cap, names_cap, line;
	u32 task_cap, unknown_cap;
	u32 *task_hash, task_hash_size; /* index + 1 into tasks[]; 0: free */
	u32 *name_hash, name_hash_size, name_count;
	u32 last_task; /* index of the previous line's task */
	bool no_memory;
};

/* A cursor over one line; p never passes end, *end is '\n'. */
struct cursor {
	const char *p, *end;
};

static int fail(struct trace_parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int fail(struct trace_parser *p, const char *fmt, ...)
{
	va_list args;
	int n;

	n = snprintf(p->err->text, sizeof(p->err->text), "%s:%llu: ", p->file,
		     (unsigned long long)p->line);
	if (n < 0 || (size_t)n >= sizeof(p->err->text))
		return -EINVAL;
	va_start(args, fmt);
	vsnprintf(p->err->text + n, sizeof(p->err->text) - (size_t)n, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int fail_memory(struct trace_parser *p)
{
	p->no_memory = true;
	snprintf(p->err->text, sizeof(p->err->text), "%s: no memory for so long a recording",
		 p->file);
	return -ENOMEM;
}

/* Room for one more of `size` bytes after count; false: no memory. */
static bool grow(void **array, u64 count, u64 extra, u64 *cap, size_t size)
{
	u64 want = *cap ? *cap : 1024;
	void *bigger;

	if (count + extra <= *cap)
		return true;
	while (want < count + extra)
		want *= 2;
	bigger = realloc(*array, want * size);
	if (!bigger)
		return false;
	*array = bigger;
	*cap = want;
	return true;
}

/* ---- names and tasks ----------------------------------------------------------------------- */

static u32 hash_bytes(const char *s, size_t len)
{
	u32 h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (u8)s[i]) * 16777619u;
	return h;
}

static bool name_rehash(struct trace_parser *p)
{
	u32 size = p->name_hash_size ? p->name_hash_size * 2 : 256;
	u32 *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (u32 i = 0; i < p->name_hash_size; i++) {
		u32 name = p->name_hash[i], at;

		if (!name)
			continue;
		at = hash_bytes(p->t->names + name, strlen(p->t->names + name)) & (size - 1);
		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = name;
	}
	free(p->name_hash);
	p->name_hash = table;
	p->name_hash_size = size;
	return true;
}

/* The offset of a name that is stored once; 0 for "" and (no_memory set) for no memory. */
static u32 intern(struct trace_parser *p, const char *s, size_t len)
{
	struct trace *t = p->t;
	u32 at, name;

	if (!len)
		return 0;
	if (p->name_count * 2 >= p->name_hash_size && !name_rehash(p))
		goto no_memory;
	at = hash_bytes(s, len) & (p->name_hash_size - 1);
	for (; (name = p->name_hash[at]); at = (at + 1) & (p->name_hash_size - 1))
		if (!strncmp(t->names + name, s, len) && !t->names[name + len])
			return name;
	if (t->names_bytes + len + 1 > UINT32_MAX ||
	    !grow((void **)&t->names, t->names_bytes, len + 1, &p->names_cap, 1))
		goto no_memory;
	name = (u32)t->names_bytes;
	memcpy(t->names + name, s, len);
	t->names[name + len] = '\0';
	t->names_bytes += len + 1;
	p->name_hash[at] = name;
	p->name_count++;
	return name;
no_memory:
	p->no_memory = true;
	return 0;
}

static u32 hash_task(s32 pid, s32 tid)
{
	return ((u32)pid * 0x9e3779b1u) ^ ((u32)tid * 0x85ebca6bu);
}

static bool task_rehash(struct trace_parser *p)
{
	u32 size = p->task_hash_size ? p->task_hash_size * 2 : 256;
	u32 *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (u32 i = 0; i < p->t->task_count; i++) {
		u32 at = hash_task(p->t->tasks[i].pid, p->t->tasks[i].tid) & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = i + 1;
	}
	free(p->task_hash);
	p->task_hash = table;
	p->task_hash_size = size;
	return true;
}

static u32 find_task(struct trace_parser *p, s32 pid, s32 tid, const char *comm, size_t comm_len)
{
	struct trace *t = p->t;
	u64 cap = p->task_cap;
	u32 at;

	if (p->last_task < t->task_count && t->tasks[p->last_task].tid == tid &&
	    t->tasks[p->last_task].pid == pid)
		return p->last_task;
	if (t->task_count * 2 >= p->task_hash_size && !task_rehash(p))
		goto no_memory;
	at = hash_task(pid, tid) & (p->task_hash_size - 1);
	for (; p->task_hash[at]; at = (at + 1) & (p->task_hash_size - 1)) {
		u32 i = p->task_hash[at] - 1;

		if (t->tasks[i].pid == pid && t->tasks[i].tid == tid)
			return p->last_task = i;
	}
	if (!grow((void **)&t->tasks, t->task_count, 1, &cap, sizeof(*t->tasks)))
		goto no_memory;
	p->task_cap = (u32)cap;
	t->tasks[t->task_count] = (struct trace_task){pid, tid, intern(p, comm, comm_len)};
	p->task_hash[at] = ++t->task_count;
	return p->last_task = t->task_count - 1;
no_memory:
	p->no_memory = true;
	return 0;
}

/* ---- scanning -------------------------------------------------------------------------------- */

static inline bool is_digit(char c)
{
	return (u8)(c - '0') < 10;
}

static inline int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline void skip_spaces(struct cursor *c)
{
	while (*c->p == ' ' || *c->p == '\t')
		c->p++;
}

static inline bool take(struct cursor *c, char want)
{
	if (*c->p != want)
		return false;
	c->p++;
	return true;
}

static inline bool starts(const struct cursor *c, const char *word, size_t len)
{
	return (size_t)(c->end - c->p) >= len && memcmp(c->p, word, len) == 0;
}
#define STARTS(c, word) starts((c), (word), sizeof(word) - 1)

static inline bool take_word(struct cursor *c, const char *word, size_t len)
{
	if (!starts(c, word, len))
		return false;
	c->p += len;
	return true;
}
#define TAKE(c, word) take_word((c), (word), sizeof(word) - 1)

/* Decimal; false: no digit, or more than fits. */
static inline bool take_dec(struct cursor *c, u64 *out)
{
	u64 v = 0;
	const char *start = c->p;

	for (; is_digit(*c->p); c->p++)
		v = v * 10 + (u64)(*c->p - '0');
	*out = v;
	return c->p > start && c->p - start <= 19;
}

static inline bool take_hex_digits(struct cursor *c, u64 *out)
{
	const char *start = c->p;
	u64 v = 0;
	int d;

	for (; (d = hex_digit(*c->p)) >= 0; c->p++)
		v = v << 4 | (u64)d;
	*out = v;
	return c->p > start && c->p - start <= 16;
}

/* "0x12ab", or decimal, perhaps negative. */
static inline bool take_number(struct cursor *c, u64 *out)
{
	bool negative;

	if (c->p[0] == '0' && c->p[1] == 'x') {
		c->p += 2;
		return take_hex_digits(c, out);
	}
	negative = take(c, '-');
	if (!take_dec(c, out))
		return false;
	if (negative)
		*out = 0 - *out;
	return true;
}

static inline bool take_id(struct cursor *c, s32 *out)
{
	bool negative = take(c, '-');
	u64 v;

	if (!take_dec(c, &v) || v > INT32_MAX)
		return false;
	*out = negative ? -(s32)v : (s32)v;
	return true;
}

/* "12.345678901" (or 6 digits) in ns. */
static inline bool take_time(struct cursor *c, u64 *out_ns)
{
	u64 sec, frac;
	const char *start;

	if (!take_dec(c, &sec) || sec > UINT64_MAX / 2000000000u || !take(c, '.'))
		return false;
	start = c->p;
	if (!take_dec(c, &frac) || c->p - start > 9)
		return false;
	for (long digits = c->p - start; digits < 9; digits++)
		frac *= 10;
	*out_ns = sec * 1000000000u + frac;
	return true;
}

/* "pid/tid [cpu] time: " at the cursor. */
static bool take_head(struct cursor *c, s32 *pid, s32 *tid, u64 *time_ns)
{
	u64 cpu;

	skip_spaces(c);
	if (!take_id(c, pid) || !take(c, '/') || !take_id(c, tid) || *c->p != ' ')
		return false;
	skip_spaces(c);
	if (take(c, '[')) {
		if (!take_dec(c, &cpu) || !take(c, ']') || *c->p != ' ')
			return false;
		skip_spaces(c);
	}
	if (!take_time(c, time_ns) || !take(c, ':') || *c->p != ' ')
		return false;
	skip_spaces(c);
	return true;
}

#define COMM_COLUMNS 16

/* Find the head; *comm_end: where the command's name ends. perf pads it to 16 columns. */
static bool find_head(struct cursor *c, s32 *pid, s32 *tid, u64 *time_ns, const char **comm_end)
{
	const char *line = c->p;

	if (c->end - line > COMM_COLUMNS && line[COMM_COLUMNS] == ' ') {
		c->p = *comm_end = line + COMM_COLUMNS;
		if (take_head(c, pid, tid, time_ns))
			return true;
	}
	for (const char *at = line; at < c->end; at++) {
		if (*at != ' ' && at != line)
			continue;
		c->p = *comm_end = at;
		if (take_head(c, pid, tid, time_ns))
			return true;
	}
	return false;
}

/* ---- one event ------------------------------------------------------------------------------- */

static struct trace_event *new_event(struct trace_parser *p, enum trace_kind kind, u32 task,
				     u64 time_ns)
{
	struct trace *t = p->t;
	struct trace_event *e;

	if (!grow((void **)&t->events, t->event_count, 1, &p->event_cap, sizeof(*t->events))) {
		p->no_memory = true;
		return NULL;
	}
	e = &t->events[t->event_count++];
	*e = (struct trace_event){.time_ns = time_ns, .task = task, .kind = (u8)kind};
	return e;
}

/* Room for n words in pool[]; the offset is *at. */
static u64 *new_pool(struct trace_parser *p, u32 n, u32 *at)
{
	struct trace *t = p->t;

	if (t->pool_count + n > UINT32_MAX ||
	    !grow((void **)&t->pool, t->pool_count, n, &p->pool_cap, sizeof(*t->pool))) {
		p->no_memory = true;
		return NULL;
	}
	*at = (u32)t->pool_count;
	t->pool_count += n;
	return t->pool + *at;
}

static int count_unknown(struct trace_parser *p, const char *name, size_t len)
{
	struct trace *t = p->t;
	u64 cap = p->unknown_cap;
	u32 id;

	if (t->unknown_count >= UNKNOWN_MAX)
		return 0;
	id = intern(p, name, min(len, (size_t)80));
	for (u32 i = 0; i < t->unknown_count; i++)
		if (t->unknown[i].name == id) {
			t->unknown[i].count++;
			return 0;
		}
	if (!grow((void **)&t->unknown, t->unknown_count, 1, &cap, sizeof(*t->unknown)))
		return fail_memory(p);
	p->unknown_cap = (u32)cap;
	t->unknown[t->unknown_count++] = (struct trace_unknown){id, 1};
	return 0;
}

static bool skip_past(struct cursor *c, const char *word, size_t len)
{
	const char *hit = memmem(c->p, (size_t)(c->end - c->p), word, len);

	if (!hit)
		return false;
	c->p = hit + len;
	return true;
}
#define SKIP_PAST(c, word) skip_past((c), (word), sizeof(word) - 1)

/* "address=0x.. ip=.. error_code=0x.." */
static int parse_fault(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns, bool kernel)
{
	struct trace_event *e;
	u64 address, code;

	skip_spaces(c);
	if (!TAKE(c, "address="))
		return fail(p, "page fault without an address");
	/* A kernel address is printed as a symbol: no part of a user's address space. */
	if (!STARTS(c, "0x") && !is_digit(*c->p))
		return kernel ? 0 : fail(p, "page fault whose address is not a number");
	if (!take_number(c, &address) || *c->p != ' ')
		return fail(p, "page fault whose address is not a number");
	if (!SKIP_PAST(c, "error_code=") || !take_number(c, &code))
		return fail(p, "page fault without an error code");
	e = new_event(p, TRACE_FAULT, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = address;
	e->arg[1] = code;
	e->flags = kernel ? TRACE_FAULT_KERNEL : 0;
	return 0;
}

static int find_syscall(const char *name, size_t len)
{
	for (u32 i = 0; i < TRACE_SYSCALL_COUNT; i++)
		if (strlen(trace_syscall_name[i]) == len &&
		    !memcmp(trace_syscall_name[i], name, len))
			return (int)i;
	return -1;
}

/* "addr: 0x00000000, len: 0x00002000, ..." */
static int parse_enter(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns, u32 sys)
{
	u32 nargs = trace_syscall_args[sys], ext = 0;
	u64 arg[TRACE_ARGS_MAX], *more;
	struct trace_event *e;

	for (u32 i = 0; i < nargs; i++)
		if (!SKIP_PAST(c, ": ") || !take_number(c, &arg[i]))
			return fail(p, "sys_enter_%s: argument %u is missing or not a number",
				    trace_syscall_name[sys], i + 1);
	if (nargs > 2) {
		more = new_pool(p, nargs - 2, &ext);
		if (!more)
			return fail_memory(p);
		memcpy(more, arg + 2, (nargs - 2) * sizeof(*more));
	}
	e = new_event(p, TRACE_ENTER, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->sys = (u8)sys;
	e->ext = ext;
	for (u32 i = 0; i < min(nargs, 2u); i++)
		e->arg[i] = arg[i];
	return 0;
}

static int parse_exit(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns, u32 sys)
{
	struct trace_event *e;
	u64 result;

	skip_spaces(c);
	if (!take_number(c, &result))
		return fail(p, "sys_exit_%s: the result is missing or not a number",
			    trace_syscall_name[sys]);
	e = new_event(p, TRACE_EXIT, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->sys = (u8)sys;
	e->arg[0] = result;
	return 0;
}

/* "pid/tid: [0x1000(0x2000) @ 0 fe:00 123 0]: rw-p name"; or "<build id>" for the four numbers. */
static int parse_mmap2(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns)
{
	u64 start, len, pgoff, major = 0, minor = 0, ino = 0, gen = 0, *field;
	struct trace_event *e;
	s32 pid, tid;
	u8 flags = 0;
	u32 ext, name;

	/* Of a process that ran before the recording: perf tells its mappings in its own name. */
	if (take_id(c, &pid) && take(c, '/') && take_id(c, &tid) && p->t->tasks[task].pid <= 0)
		task = find_task(p, pid, tid, "", 0);
	if (!SKIP_PAST(c, "[") || !take_number(c, &start) || !take(c, '(') ||
	    !take_number(c, &len) || !TAKE(c, ") @ ") || !take_number(c, &pgoff) || !take(c, ' '))
		return fail(p, "PERF_RECORD_MMAP2 without a range");
	if (*c->p == '<') {
		if (!SKIP_PAST(c, ">"))
			return fail(p, "PERF_RECORD_MMAP2 with half a build id");
	} else if (!take_hex_digits(c, &major) || !take(c, ':') || !take_hex_digits(c, &minor) ||
		   !take(c, ' ') || !take_dec(c, &ino) || !take(c, ' ') || !take_dec(c, &gen)) {
		return fail(p, "PERF_RECORD_MMAP2 without a device and inode");
	}
	if (!TAKE(c, "]: ") || c->end - c->p < 4)
		return fail(p, "PERF_RECORD_MMAP2 without permissions");
	flags |= c->p[0] == 'r' ? TRACE_MAP_READ : 0;
	flags |= c->p[1] == 'w' ? TRACE_MAP_WRITE : 0;
	flags |= c->p[2] == 'x' ? TRACE_MAP_EXEC : 0;
	flags |= c->p[3] == 's' ? TRACE_MAP_SHARED : 0;
	c->p += 4;
	skip_spaces(c);
	if (!len || ((start | len) & 4095) || start + len < start)
		return fail(p, "PERF_RECORD_MMAP2 of an impossible range");
	name = intern(p, c->p, (size_t)(c->end - c->p));
	field = new_pool(p, MAP_FIELDS, &ext);
	if (!field)
		return fail_memory(p);
	field[MAP_PGOFF] = pgoff;
	field[MAP_DEV] = major << 32 | minor;
	field[MAP_INO] = ino;
	field[MAP_GENERATION] = gen;
	field[MAP_NAME] = name;
	e = new_event(p, TRACE_MAP, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = start;
	e->arg[1] = len;
	e->ext = ext;
	e->flags = flags;
	return 0;
}

static bool take_pid_tid(struct cursor *c, char separator, u64 *out)
{
	s32 pid, tid;

	if (!take_id(c, &pid) || !take(c, separator) || !take_id(c, &tid))
		return false;
	*out = (u64)(u32)pid << 32 | (u32)tid;
	return true;
}

/* "[ exec]: name:pid/tid"; the name may contain anything. */
static int parse_comm(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns)
{
	bool exec = TAKE(c, " exec");
	struct trace_event *e;
	const char *name, *colon;
	u64 who;

	if (!TAKE(c, ": "))
		return fail(p, "PERF_RECORD_COMM without a name");
	name = c->p;
	for (colon = c->end; colon > name && *colon != ':'; colon--)
		;
	c->p = colon;
	if (!take(c, ':') || !take_pid_tid(c, '/', &who))
		return fail(p, "PERF_RECORD_COMM without pid/tid");
	e = new_event(p, TRACE_COMM, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = exec;
	e->arg[1] = who;
	e->ext = intern(p, name, (size_t)(colon - name));
	return 0;
}

/* "(pid:tid):(ppid:ptid)" */
static int parse_task(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns,
		      enum trace_kind kind)
{
	struct trace_event *e;
	u64 child, parent;

	if (!take(c, '(') || !take_pid_tid(c, ':', &child) || !TAKE(c, "):(") ||
	    !take_pid_tid(c, ':', &parent) || !take(c, ')'))
		return fail(p, "PERF_RECORD_%s without (pid:tid):(ppid:ptid)",
			    kind == TRACE_FORK ? "FORK" : "EXIT");
	e = new_event(p, kind, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = child;
	e->arg[1] = parent;
	return 0;
}

static int parse_lost(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns)
{
	struct trace_event *e;
	u64 lost = 0;

	if (SKIP_PAST(c, "lost ") && !take_dec(c, &lost))
		return fail(p, "PERF_RECORD_LOST without a count");
	e = new_event(p, TRACE_LOST, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = lost;
	p->t->lost += lost;
	return 0;
}

static int parse_record(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns)
{
	const char *name = c->p;

	c->p += sizeof("PERF_RECORD_") - 1;
	if (TAKE(c, "MMAP2 "))
		return parse_mmap2(p, c, task, time_ns);
	if (TAKE(c, "COMM"))
		return parse_comm(p, c, task, time_ns);
	if (TAKE(c, "FORK"))
		return parse_task(p, c, task, time_ns, TRACE_FORK);
	if (TAKE(c, "EXIT"))
		return parse_task(p, c, task, time_ns, TRACE_TASK_EXIT);
	if (TAKE(c, "LOST"))
		return parse_lost(p, c, task, time_ns);
	if (STARTS(c, "MMAP -1/"))
		return 0; /* the kernel's own text: in every recording */
	while (c->p < c->end && *c->p != ' ' && *c->p != ':' && *c->p != '(')
		c->p++;
	return count_unknown(p, name, (size_t)(c->p - name));
}

/* "pid=1 ... clone_flags=.." / "sig=11 errno=0 code=1 ... pid=.." : optional, so never an error. */
static int parse_optional(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns,
			  enum trace_kind kind)
{
	struct trace_event *e;
	u64 a, b;
	bool ok;

	if (kind == TRACE_NEWTASK)
		ok = SKIP_PAST(c, "pid=") && take_number(c, &a) && SKIP_PAST(c, "clone_flags=") &&
		     (STARTS(c, "0x") ? take_number(c, &b) : take_hex_digits(c, &b));
	else
		ok = SKIP_PAST(c, "sig=") && take_number(c, &a) && SKIP_PAST(c, " code=") &&
		     take_number(c, &b);
	if (!ok)
		return 0;
	e = new_event(p, kind, task, time_ns);
	if (!e)
		return fail_memory(p);
	e->arg[0] = a;
	e->arg[1] = b;
	return 0;
}

static int parse_event(struct trace_parser *p, struct cursor *c, u32 task, u64 time_ns)
{
	const char *name = c->p, *name_end;
	bool enter;
	int sys;

	if (TAKE(c, "exceptions:page_fault_user:"))
		return parse_fault(p, c, task, time_ns, false);
	if (TAKE(c, "exceptions:page_fault_kernel:"))
		return parse_fault(p, c, task, time_ns, true);
	if (STARTS(c, "PERF_RECORD_"))
		return parse_record(p, c, task, time_ns);
	while (c->p < c->end && *c->p != ' ')
		c->p++;
	name_end = c->p;
	if (name_end == name || name_end[-1] != ':')
		return fail(p, "no event after the time: is this the text of perf script?");
	name_end--;
	c->p = name;
	enter = STARTS(c, "syscalls:sys_enter_");
	if (enter || STARTS(c, "syscalls:sys_exit_")) {
		const char *call =
			name + strlen(enter ? "syscalls:sys_enter_" : "syscalls:sys_exit_");

		sys = find_syscall(call, (size_t)(name_end - call));
		c->p = name_end + 1;
		if (sys < 0)
			return count_unknown(p, name, (size_t)(name_end - name));
		if (enter)
			return parse_enter(p, c, task, time_ns, (u32)sys);
		return parse_exit(p, c, task, time_ns, (u32)sys);
	}
	c->p = name_end + 1;
	if (name_end - name == 17 && !memcmp(name, "task:task_newtask", 17))
		return parse_optional(p, c, task, time_ns, TRACE_NEWTASK);
	if (name_end - name == 22 && !memcmp(name, "signal:signal_generate", 22))
		return parse_optional(p, c, task, time_ns, TRACE_SIGNAL);
	return count_unknown(p, name, (size_t)(name_end - name));
}

/* The start of a line that is no event, so that the message shows what was met. */
static int fail_line(struct trace_parser *p, const struct cursor *c, const char *line)
{
	char shown[41];
	size_t n = min((size_t)(c->end - line), sizeof(shown) - 1);

	if (p->line == 1 && n >= 8 &&
	    (!memcmp(line, "PERFILE2", 8) || !memcmp(line, "2ELIFREP", 8)))
		return fail(p, "this is perf.data itself: give me its text (perf script --ns "
			       "--show-mmap-events --show-task-events --show-lost-events "
			       "-F comm,pid,tid,cpu,time,event,trace)");
	for (size_t i = 0; i < n; i++)
		shown[i] = line[i] >= ' ' && line[i] < 127 ? line[i] : '.';
	shown[n] = '\0';
	return fail(p, "not a line of perf script: '%s'", shown);
}

static int parse_line(struct trace_parser *p, const char *line, const char *end)
{
	struct cursor c = {line, end};
	const char *comm_end = line;
	u64 time_ns;
	s32 pid, tid;
	u32 task;
	int ret;

	p->line++;
	skip_spaces(&c);
	if (c.p == end || *c.p == '#' || (end - c.p == 1 && *c.p == '\r'))
		return 0;
	c.p = line;
	if (!find_head(&c, &pid, &tid, &time_ns, &comm_end))
		return fail_line(p, &c, line);
	while (line < comm_end && *line == ' ')
		line++;
	task = find_task(p, pid, tid, line, (size_t)(comm_end - line));
	ret = parse_event(p, &c, task, time_ns);
	if (!ret && p->no_memory)
		ret = fail_memory(p);
	if (time_ns < p->t->last_ns && !p->t->backwards++)
		p->t->backwards_line = p->line;
	p->t->last_ns = max(p->t->last_ns, time_ns);
	return ret;
}

/* ---- the stream ------------------------------------------------------------------------------ */

struct trace_parser *trace_parser_create(const char *name, struct trace_error *err)
{
	struct trace_parser *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->err = err;
	p->file = name;
	p->t = calloc(1, sizeof(*p->t));
	if (!p->t || !grow((void **)&p->t->names, 0, 1, &p->names_cap, 1)) {
		trace_parser_destroy(p);
		return NULL;
	}
	p->t->names[0] = '\0';
	p->t->names_bytes = 1;
	return p;
}

int trace_parser_feed(struct trace_parser *p, const char *text, size_t bytes, size_t *used)
{
	const char *at = text, *end = text + bytes, *newline;

	while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		int ret;

		if (newline > at && newline[-1] == '\r') {
			p->line++;
			return fail(p, "lines end in CR LF: convert them (tr -d '\\r')");
		}
		if (memchr(at, 0, (size_t)(newline - at))) {
			p->line++;
			return fail(p, "holds a NUL byte: not the text of perf script");
		}
		ret = parse_line(p, at, newline);
		if (ret)
			return ret;
		at = newline + 1;
	}
	*used = (size_t)(at - text);
	return 0;
}

int trace_parser_finish(struct trace_parser *p, size_t left, struct trace **out)
{
	p->line++;
	if (left)
		return fail(p, "the last line is cut off: the recording is truncated, or not text");
	if (!p->t->event_count) {
		snprintf(p->err->text, sizeof(p->err->text), "%s: %s", p->file,
			 p->line == 1 ? "is empty" : "holds no event that a replay could use");
		return -EINVAL;
	}
	p->t->line_count = p->line - 1;
	*out = p->t;
	p->t = NULL;
	return 0;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	free(t->events);
	free(t->tasks);
	free(t->pool);
	free(t->names);
	free(t->unknown);
	free(t);
}

void trace_parser_destroy(struct trace_parser *p)
{
	if (!p)
		return;
	trace_free(p->t);
	free(p->task_hash);
	free(p->name_hash);
	free(p);
}
