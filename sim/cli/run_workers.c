/*
 * sim/cli/run_workers.c - combinations in parallel: a process each, rows in the order of the sweep
 *
 * A worker is a fork, runs one combination, sends its row through a pipe, and ends. Pointers in a
 * row to what existed before the fork (names) mean the same in both; what it allocated is sent
 * after it.
 * Order        Finished rows wait for those before them; at most AHEAD_MAX are begun and not yet
 *              handed over.
 * Signals      SIGINT and SIGTERM are the parent's alone, taken only while it waits; it ends the
 *              workers. If the parent dies, they do, too (PR_SET_PDEATHSIG).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cli/run_internal.h"

#define STATUS_SAID 3 /* a worker's exit status: it failed, and there was a message */

enum slot_state { SLOT_EMPTY, SLOT_RUNNING, SLOT_DONE, SLOT_FAILED, SLOT_ENDED };

/* A combination that was begun and not yet handed over. */
struct slot {
	enum slot_state state;
	struct combination c;
	pid_t pid;
	int fd;
	char *text; /* what came through the pipe so far */
	size_t len, size;
	struct run_row row;
};

struct pool {
	struct run_cursor *cursor;
	const struct run_sink *sink;
	const volatile sig_atomic_t *caught;
	u32 workers, running, finished;
	struct slot *slots; /* a ring, in the order of the sweep */
	u32 capacity, first, count;
	struct pollfd *polls;
	sigset_t waiting; /* the signals that are let in while waiting */
	bool over;        /* nothing more is begun */
	bool refused;     /* the sink takes no more */
};

/* ---- the worker ---------------------------------------------------------------------------- */

static bool write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_row(int fd, const struct run_row *row)
{
	u64 text_len = row->hot_text ? strlen(row->hot_text) : 0;

	return write_all(fd, &row->r, sizeof(row->r)) &&
	       write_all(fd, &text_len, sizeof(text_len)) &&
	       (!row->latency || write_all(fd, row->latency, sizeof(*row->latency))) &&
	       write_all(fd, row->hot, row->r.hot_count * sizeof(*row->hot)) &&
	       write_all(fd, row->hot_text, text_len) &&
	       write_all(fd, row->locks, row->r.lock_count * sizeof(*row->locks));
}

static void on_abort(int sig)
{
	const char *text = run_abort_text();
	ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

	(void)ignored;
	_exit(STATUS_SAID);
}

static NORETURN void be_worker(const struct combination *c, int fd, pid_t parent)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};
	sigset_t none;
	struct run_row row;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CLI_FAILED);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
	sa.sa_handler = on_abort;
	sigaction(SIGABRT, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (run_one(c, &row) != 0)
		_exit(STATUS_SAID);
	_exit(send_row(fd, &row) ? CLI_OK : CLI_FAILED);
}

/* ---- the parent's side of a worker ---------------------------------------------------------- */

static bool begin(struct pool *p, struct slot *s)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	fflush(NULL);
	run_set_abort_text(&s->c);
	s->pid = fork();
	if (s->pid == 0) {
		for (u32 i = 0; i < p->count; i++) {
			struct slot *other = &p->slots[(p->first + i) % p->capacity];

			if (other->state == SLOT_RUNNING)
				close(other->fd);
		}
		close(fds[0]);
		be_worker(&s->c, fds[1], parent);
	}
	close(fds[1]);
	if (s->pid < 0) {
		close(fds[0]);
		return false;
	}
	s->fd = fds[0];
	s->state = SLOT_RUNNING;
	p->running++;
	return true;
}

/* The next n bytes of what was sent, copied to `to`. */
static bool take(struct slot *s, size_t *at, void *to, size_t n)
{
	if (!to || s->len - *at < n)
		return false;
	memcpy(to, s->text + *at, n);
	*at += n;
	return true;
}

/* false: something is missing. */
static bool receive_row(struct slot *s)
{
	struct run_row *row = &s->row;
	size_t at = 0;
	u64 text_len;

	if (!take(s, &at, &row->r, sizeof(row->r)) || !take(s, &at, &text_len, sizeof(text_len)))
		return false;
	if (row->r.latency) {
		row->latency = hist_create();
		if (!take(s, &at, row->latency, sizeof(*row->latency)))
			return false;
	}
	row->r.latency = row->latency;
	if (row->r.hot) {
		row->hot = calloc(row->r.hot_count + 1, sizeof(*row->hot));
		row->hot_text = calloc(1, text_len + 1);
		if (!take(s, &at, row->hot, row->r.hot_count * sizeof(*row->hot)) ||
		    !take(s, &at, row->hot_text, text_len))
			return false;
	}
	row->r.hot = row->hot;
	if (row->r.locks) {
		row->locks = calloc(row->r.lock_count + 1, sizeof(*row->locks));
		if (!take(s, &at, row->locks, row->r.lock_count * sizeof(*row->locks)))
			return false;
	}
	row->r.locks = row->locks;
	return at == s->len;
}

static void complain_ended(const struct slot *s, int status)
{
	char what[128];

	run_describe(&s->c, what, sizeof(what));
	run_progress_clear(s->c.o);
	if (WIFSIGNALED(status))
		cli_complain(
			"%s: its process was ended by signal %d (%s); again with --seed=%" PRIu64,
			what, WTERMSIG(status), strsignal(WTERMSIG(status)), s->c.seed);
	else
		cli_complain(
			"%s: its process gave no row (exit status %d); again with --seed=%" PRIu64,
			what, WEXITSTATUS(status), s->c.seed);
}

/* Its pipe is closed. */
static void reap(struct pool *p, struct slot *s)
{
	int status = 0;

	close(s->fd);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->running--;
	p->finished++;
	s->state = SLOT_DONE;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != CLI_OK || !receive_row(s)) {
		s->state = SLOT_FAILED;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != STATUS_SAID)
			complain_ended(s, status);
	}
	free(s->text);
	s->text = NULL;
	if (p->sink->progress)
		p->sink->progress(p->sink->arg, &s->c, p->finished);
}

static void read_some(struct pool *p, struct slot *s)
{
	ssize_t n;

	if (s->len == s->size) {
		size_t size = s->size ? s->size * 2 : 1 << 16;
		char *text = realloc(s->text, size);

		if (!text)
			MMSIM_BUG("out of memory");
		s->text = text;
		s->size = size;
	}
	n = read(s->fd, s->text + s->len, s->size - s->len);
	if (n > 0)
		s->len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		reap(p, s);
}

/* ---- the pool ------------------------------------------------------------------------------ */

static void begin_some(struct pool *p)
{
	while (!p->over && p->running < p->workers && p->count < p->capacity) {
		struct slot *s = &p->slots[(p->first + p->count) % p->capacity];

		memset(s, 0, sizeof(*s));
		if (!run_next(p->cursor, &s->c)) {
			p->over = true;
		} else if (!begin(p, s)) {
			cli_complain("--jobs=%u: a process cannot be started: %s", p->workers,
				     strerror(errno));
			p->sink->failed(p->sink->arg, &s->c);
			p->over = true;
		} else {
			p->count++;
		}
	}
}

/* Hand over what is finished, up to the first that is not. */
static void hand_over(struct pool *p)
{
	while (p->count) {
		struct slot *s = &p->slots[p->first];

		if (s->state == SLOT_RUNNING)
			return;
		if (s->state == SLOT_FAILED)
			p->sink->failed(p->sink->arg, &s->c);
		if (s->state == SLOT_DONE && !p->refused)
			p->refused = !p->sink->row(p->sink->arg, &s->c, &s->row);
		run_row_free(&s->row);
		p->first = (p->first + 1) % p->capacity;
		p->count--;
	}
}

static void wait_and_read(struct pool *p)
{
	u32 n = 0;

	for (u32 i = 0; i < p->count; i++) {
		struct slot *s = &p->slots[(p->first + i) % p->capacity];

		if (s->state == SLOT_RUNNING)
			p->polls[n++] = (struct pollfd){.fd = s->fd, .events = POLLIN};
	}
	if (ppoll(p->polls, n, NULL, &p->waiting) < 0)
		return; /* a signal */
	for (u32 i = 0, at = 0; i < p->count; i++) {
		struct slot *s = &p->slots[(p->first + i) % p->capacity];

		if (s->state == SLOT_RUNNING && p->polls[at++].revents)
			read_some(p, s);
	}
}

static void end_workers(struct pool *p)
{
	for (u32 i = 0; i < p->count; i++) {
		struct slot *s = &p->slots[(p->first + i) % p->capacity];

		if (s->state != SLOT_RUNNING)
			continue;
		kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(s->fd);
		free(s->text);
		s->state = SLOT_ENDED;
	}
}

static bool pool_init(struct pool *p)
{
	p->capacity = 4 * p->workers + 16;
	p->slots = calloc(p->capacity, sizeof(*p->slots));
	p->polls = calloc(p->capacity, sizeof(*p->polls));
	return p->slots && p->polls;
}

void run_workers(struct run_cursor *cursor, u32 workers, const struct run_sink *sink,
		 const volatile sig_atomic_t *caught)
{
	struct pool p = {.cursor = cursor, .sink = sink, .caught = caught, .workers = workers};
	sigset_t block;

	if (!pool_init(&p))
		MMSIM_BUG("out of memory");
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &p.waiting);
	while (!*caught && !p.refused) {
		begin_some(&p);
		if (!p.running)
			break;
		wait_and_read(&p);
		hand_over(&p);
	}
	end_workers(&p);
	hand_over(&p);
	sigprocmask(SIG_SETMASK, &p.waiting, NULL);
	free(p.slots);
	free(p.polls);
}
