/*
 * sim/cli/cmd_record.c - mmsim record: run a program under perf and keep what a replay needs
 *
 * perf record writes its own format into a temporary directory; perf script turns it into text,
 * which is compressed as the output's name says and renamed into place when it is whole.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cli/cli.h"
#include "sim/cli/results.h"

#define COPY_BYTES (1u << 16)
#define PERF_ARGS_MAX 64

/* Calls whose enter and exit are recorded; page faults and exits are in record_program(). */
static const char *const calls[] = {
	"mmap",   "munmap",  "mprotect", "mremap",     "madvise", "brk",         "mlock",
	"mlock2", "munlock", "mlockall", "munlockall", "clone",   "clone3",      "fork",
	"vfork",  "execve",  "execveat", "shmdt",      "openat",  "memfd_create"};

struct record_options {
	const char *output;
};

static bool set_output(void *target, const struct cli_option *o, const char *value,
		       struct cli_error *err)
{
	((struct record_options *)target)->output = value;
	return true;
}

static const struct cli_option record_table[] = {
	{"output", 'o', "FILE", "where to: .zst, .gz, .xz or plain (PROGRAM.perf.zst)", set_output,
	 true},
	{NULL, 0, NULL, NULL, NULL, false},
};
static const struct cli_option *const tables[] = {record_table, NULL};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	char *copy, *rest, *dir, full[4096];
	bool found = false;

	if (strchr(program, '/'))
		return is_program(program);
	copy = rest = strdup(path ? path : "/usr/bin:/bin");
	while (copy && !found && (dir = strsep(&rest, ":")) != NULL) {
		snprintf(full, sizeof(full), "%s/%s", *dir ? dir : ".", program);
		found = is_program(full);
	}
	free(copy);
	return found;
}

/* ---- perf record
 * ---------------------------------------------------------------------------------- */

/* "-e" argument: allocated, or NULL. */
static char *event_list(void)
{
	static const char fixed[] =
		"exceptions:page_fault_user,exceptions:page_fault_kernel,syscalls:sys_enter_exit,"
		"syscalls:sys_enter_exit_group,task:task_newtask";
	size_t bytes = sizeof(fixed) + ARRAY_SIZE(calls) * 80;
	char *list = malloc(bytes);
	size_t at;

	if (!list)
		return NULL;
	at = (size_t)snprintf(list, bytes, "%s", fixed);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		at += (size_t)snprintf(list + at, bytes - at,
				       ",syscalls:sys_enter_%s,syscalls:sys_exit_%s", calls[i],
				       calls[i]);
	return list;
}

/* out_fd >= 0: its standard output, and what it says on standard error is not for the user. */
static pid_t spawn(const char *const *argv, int out_fd)
{
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	if (out_fd >= 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(out_fd, STDOUT_FILENO);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
	}
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* The exit status as a shell gives it. */
static int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* perf.data has something in it: the program ran, whatever its exit status. */
static bool has_data(const char *data)
{
	struct stat st;

	return stat(data, &st) == 0 && st.st_size > 4096;
}

static bool record_program(const char *data, char **program, int program_argc)
{
	char *events = event_list();
	const char *head[] = {
		"perf",     "record",  "-q", "-o", data, "-k",   "mono", "-m",
		"4096",     "-d",      "-c", "1",  "-e", events, "-e",   "signal:signal_generate",
		"--filter", "sig==11", "--"};
	const char **argv = calloc(ARRAY_SIZE(head) + (size_t)program_argc + 1, sizeof(*argv));
	int status = 127;
	pid_t pid;

	if (events && argv) {
		memcpy(argv, head, sizeof(head));
		for (int i = 0; i < program_argc; i++)
			argv[ARRAY_SIZE(head) + (size_t)i] = program[i];
		pid = spawn(argv, -1);
		if (pid > 0)
			status = wait_status(pid);
	}
	free(argv);
	free(events);
	if (has_data(data))
		return true;
	cli_complain("record: perf record failed (status %d): tracepoints need root, or "
		     "kernel.perf_event_paranoid=-1 and a readable tracefs",
		     status);
	return false;
}

/* ---- perf script, compressed
 * ------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static struct archive *open_output(const char *name, const char *tmp)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	int ret = ARCHIVE_FATAL;

	if (a && entry) {
		ret = ends_with(name, ".zst")  ? archive_write_add_filter_zstd(a)
		      : ends_with(name, ".gz") ? archive_write_add_filter_gzip(a)
		      : ends_with(name, ".xz") ? archive_write_add_filter_xz(a)
					       : archive_write_add_filter_none(a);
		/* Without padding to whole blocks: it is no tape. */
		archive_write_set_bytes_in_last_block(a, 1);
		archive_write_set_format_raw(a);
		if (ret == ARCHIVE_OK)
			ret = archive_write_open_filename(a, tmp);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_pathname(entry, "trace");
		if (ret == ARCHIVE_OK)
			ret = archive_write_header(a, entry);
	}
	archive_entry_free(entry);
	if (ret == ARCHIVE_OK)
		return a;
	cli_complain("record: %s: %s", tmp, a ? archive_error_string(a) : "out of memory");
	archive_write_free(a);
	return NULL;
}

/* Everything from fd into a. */
static bool copy_stream(int fd, struct archive *a, u64 *bytes)
{
	char buf[COPY_BYTES];
	ssize_t n;

	*bytes = 0;
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || archive_write_data(a, buf, (size_t)n) != n)
			return false;
		*bytes += (u64)n;
	}
	return true;
}

static bool convert(const char *data, const char *output)
{
	const char *argv[] = {"perf",
			      "script",
			      "-i",
			      data,
			      "--ns",
			      "--show-mmap-events",
			      "--show-task-events",
			      "--show-lost-events",
			      "-F",
			      "comm,pid,tid,cpu,time,event,trace",
			      NULL};
	char tmp[4096];
	struct archive *a;
	int pipe_fd[2];
	u64 bytes = 0;
	bool ok;
	pid_t pid;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", output) >= sizeof(tmp)) {
		cli_complain("--output=%s: the name is too long", output);
		return false;
	}
	a = open_output(output, tmp);
	if (!a)
		return false;
	if (pipe2(pipe_fd, O_CLOEXEC)) {
		archive_write_free(a);
		unlink(tmp);
		return false;
	}
	pid = spawn(argv, pipe_fd[1]);
	close(pipe_fd[1]);
	ok = pid > 0 && copy_stream(pipe_fd[0], a, &bytes);
	close(pipe_fd[0]);
	ok = archive_write_close(a) == ARCHIVE_OK && ok;
	archive_write_free(a);
	ok = pid > 0 && wait_status(pid) == 0 && ok && bytes > 0;
	if (ok && rename(tmp, output) == 0)
		return true;
	unlink(tmp);
	cli_complain("record: %s could not be written from perf script", output);
	return false;
}

/* ---- the command
 * --------------------------------------------------------------------------------------- */

static int record_into(const char *output, char **program, int program_argc)
{
	const char *base = getenv("TMPDIR");
	char dir[4096], data[4200];
	int status = CLI_FAILED;

	snprintf(dir, sizeof(dir), "%s/mmsim-record-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(dir)) {
		cli_complain("record: %s: %s", dir, strerror(errno));
		return CLI_FAILED;
	}
	snprintf(data, sizeof(data), "%s/perf.data", dir);
	if (record_program(data, program, program_argc) && convert(data, output)) {
		fprintf(stderr, "%s\ntry: mmsim replay --check %s\n", output, output);
		status = CLI_OK;
	}
	unlink(data);
	strcat(data, ".old");
	unlink(data);
	rmdir(dir);
	return status;
}

static int record(int argc, char **argv)
{
	struct record_options r = {0};
	struct cli_group groups[] = {{NULL, record_table, &r}};
	const char *args[1024];
	struct cli_parse parse = {.command = &cli_cmd_record,
				  .groups = groups,
				  .group_count = 1,
				  .stop_at_arg = true,
				  .args = args,
				  .args_max = ARRAY_SIZE(args)};
	char output[4096];
	struct cli_error err;

	if (!cli_parse(&parse, argc, argv, &err))
		return cli_usage(&err);
	if (parse.help)
		return CLI_OK;
	if (!parse.arg_count) {
		cli_fail(&err, "record: a program is needed, as in mmsim record -- sort FILE");
		return cli_usage(&err);
	}
	if (!in_path(args[0])) {
		cli_fail(&err, "record: %s: no such program, or it may not be run", args[0]);
		return cli_usage(&err);
	}
	/* Better to know before the program has run. */
	snprintf(output, sizeof(output), "%s.perf.zst", base_name(args[0]));
	if (!results_check_path("output", r.output ? r.output : output, &err))
		return cli_usage(&err);
	if (!in_path("perf")) {
		cli_complain("record: perf is not installed (Debian: apt install linux-perf)");
		return CLI_FAILED;
	}
	return record_into(r.output ? r.output : output, (char **)args, (int)parse.arg_count);
}

const struct cli_command cli_cmd_record = {
	.name = "record",
	.args = "[-o FILE] -- PROGRAM [ARGS]",
	.summary = "run a program under perf and record what mmsim replay needs",
	.details = "Needs perf and permission to use tracepoints (root, or "
		   "kernel.perf_event_paranoid=-1).\n"
		   "The output's name decides the compression: .zst, .gz, .xz, or none.",
	.run = record,
	.tables = tables,
};
