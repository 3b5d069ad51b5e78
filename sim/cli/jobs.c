/*
 * sim/cli/jobs.c - job files: the options of run, by section of an INI file
 *
 *	[global]
 *	cpus = 1,2		; or after #
 *	repeats = 3
 *	[faults]
 *	workload = page_fault1
 *	param = size=64M
 *
 * A key is the long name of an option; a flag takes yes or no. Each [section] but [global] is a job.
 * Lines may be of any length; they do not continue. Errors name file and line.
 * Tests: tests/unit/sim/cli/test_run.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/run.h"

#define GLOBAL "global"
#define BLANKS " \t\r\n\v\f"

struct loader {
	struct run_jobs *rj;
	struct run_options global;
	bool (*command_line)(struct run_options *o, void *arg, struct cli_error *err);
	void *arg;
	bool in_section, in_global;
	struct cli_error *err;
};

static const char *keep_string(struct run_jobs *rj, const char *text)
{
	char **strings = realloc(rj->strings, (rj->string_count + 1) * sizeof(*strings));
	char *copy = strdup(text);

	if (strings)
		rj->strings = strings;
	if (!strings || !copy) {
		free(copy);
		return NULL;
	}
	rj->strings[rj->string_count++] = copy;
	return copy;
}

/* A deep enough copy: what setters free and allocate must not be shared. */
static bool copy_options(struct run_options *to, const struct run_options *from,
			 struct cli_error *err)
{
	u32 n = 0;

	*to = *from;
	while (from->schemes[n])
		n++;
	to->schemes = malloc((n + 1) * sizeof(*to->schemes));
	to->cpus = from->cpu_count ? malloc(from->cpu_count * sizeof(u32)) : NULL;
	to->workloads = NULL;
	if (to->schemes)
		memcpy(to->schemes, from->schemes, (n + 1) * sizeof(*to->schemes));
	if (to->cpus)
		memcpy(to->cpus, from->cpus, from->cpu_count * sizeof(u32));
	for (n = 0; from->workloads && from->workloads[n]; n++)
		;
	if (n) {
		to->workloads = malloc((n + 1) * sizeof(*to->workloads));
		if (to->workloads)
			memcpy(to->workloads, from->workloads, (n + 1) * sizeof(*to->workloads));
	}
	return (to->schemes && (to->cpus || !from->cpu_count) && (to->workloads || !n)) ||
	       cli_fail(err, "out of memory");
}

static const struct cli_option *find(const char *name)
{
	const struct cli_option *const tables[] = {run_workload_table, run_option_table,
						   run_machine_table};

	for (u32 t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct cli_option *o = tables[t]; o->name; o++)
			if (strcmp(o->name, name) == 0)
				return o;
	return NULL;
}

static bool fail_key(const char *name, struct cli_error *err)
{
	const char *names[64], *nearest;
	u32 n = 0;

	for (const struct cli_option *o = run_workload_table; o->name; o++)
		names[n++] = o->name;
	for (const struct cli_option *o = run_option_table; o->name && n < 64; o++)
		names[n++] = o->name;
	for (const struct cli_option *o = run_machine_table; o->name && n < 64; o++)
		names[n++] = o->name;
	nearest = cli_nearest(name, names, n);
	return cli_fail(err, "%s: unknown option%s%s%s", name, nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "");
}

static bool apply(struct loader *l, struct run_options *o, bool global, const char *name,
		  const char *value)
{
	const struct cli_option *opt = find(name);
	const char *kept;

	if (!opt)
		return fail_key(name, l->err);
	if (strcmp(name, "job") == 0)
		return cli_fail(l->err, "job: a job file cannot name another");
	if (opt->not_in_job && !global)
		return cli_fail(l->err, "%s: belongs in [" GLOBAL "]", name);
	if (!opt->arg) {
		if (strcmp(value, "yes") == 0 || strcmp(value, "1") == 0 ||
		    strcmp(value, "true") == 0)
			return opt->set(o, opt, NULL, l->err);
		if (strcmp(value, "no") == 0 || strcmp(value, "0") == 0 ||
		    strcmp(value, "false") == 0)
			return true;
		return cli_fail(l->err, "%s=%s: yes or no is allowed", name, value);
	}
	kept = keep_string(l->rj, value);
	return kept ? opt->set(o, opt, kept, l->err) : cli_fail(l->err, "out of memory");
}

static bool new_job(struct loader *l)
{
	struct run_jobs *rj = l->rj;
	struct run_options *jobs = realloc(rj->jobs, (rj->count + 1) * sizeof(*jobs));

	if (!jobs)
		return cli_fail(l->err, "out of memory");
	rj->jobs = jobs;
	if (!copy_options(&jobs[rj->count], &l->global, l->err)) {
		run_options_free(&jobs[rj->count]);
		return false;
	}
	jobs[rj->count].param_weak = jobs[rj->count].param_count;
	rj->count++;
	return true;
}

/* Cuts the blanks at the end off. */
static void trim_end(char *s)
{
	size_t len = strlen(s);

	while (len && strchr(BLANKS, s[len - 1]))
		s[--len] = 0;
}

/* "name]" and perhaps a comment. */
static bool section_line(struct loader *l, char *s)
{
	char *end = strchr(s, ']');

	if (!end)
		return cli_fail(l->err, "[%.64s: the ] is missing", s);
	*end++ = 0;
	end += strspn(end, BLANKS);
	if (*end && *end != ';' && *end != '#')
		return cli_fail(l->err, "[%.64s]: %.64s: nothing may stand behind it", s, end);
	s += strspn(s, BLANKS);
	trim_end(s);
	if (!*s)
		return cli_fail(l->err, "[]: a name is missing");
	l->in_section = true;
	l->in_global = strcmp(s, GLOBAL) == 0;
	if (!l->in_global)
		return new_job(l);
	return !l->rj->count || cli_fail(l->err, "[" GLOBAL "] must come first");
}

static bool key_line(struct loader *l, char *s)
{
	char *value = strpbrk(s, "=:");

	if (!value || value == s)
		return cli_fail(l->err, "neither a [section] nor key = value");
	*value++ = 0;
	trim_end(s);
	value += strspn(value, BLANKS);
	for (char *c = value; *c; c++) /* a comment has a blank before it */
		if ((*c == ';' || *c == '#') && (c == value || strchr(BLANKS, c[-1]))) {
			*c = 0;
			break;
		}
	trim_end(value);
	if (!l->in_section)
		return cli_fail(l->err, "%s: stands before the first [section]", s);
	if (l->in_global)
		return apply(l, &l->global, true, s, value);
	return apply(l, &l->rj->jobs[l->rj->count - 1], false, s, value);
}

static bool one_line(struct loader *l, char *s, size_t bytes)
{
	if (strlen(s) != bytes)
		return cli_fail(l->err, "holds a NUL byte: not a job file");
	s += strspn(s, BLANKS);
	trim_end(s);
	if (!*s || *s == ';' || *s == '#')
		return true;
	return *s == '[' ? section_line(l, s + 1) : key_line(l, s);
}

/* All lines. What is wrong in one is said with its number. */
static bool read_lines(struct loader *l, FILE *f, const char *path, struct cli_error *err)
{
	struct cli_error inner;
	size_t room = 0;
	char *line = NULL;
	u64 number = 0;
	ssize_t bytes;
	bool ok = true;

	l->err = &inner;
	while (ok && (bytes = getline(&line, &room, f)) >= 0) {
		size_t bom = number++ == 0 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

		ok = one_line(l, line + bom, (size_t)bytes - bom);
	}
	l->err = err;
	if (!ok)
		cli_fail(err, "%s:%llu: %s", path, (unsigned long long)number, inner.text);
	else if (!feof(f))
		ok = cli_fail(err, "--job=%s: %s", path, strerror(errno ? errno : EIO));
	free(line);
	return ok;
}

/* A file without any section but [global] is one job. Then the command line, above all. */
static bool finish(struct loader *l)
{
	struct run_jobs *rj = l->rj;

	if (!rj->count && !new_job(l))
		return false;
	for (u32 j = 0; j < rj->count; j++) {
		rj->jobs[j].param_weak = rj->jobs[j].param_count;
		if (!l->command_line(&rj->jobs[j], l->arg, l->err))
			return false;
	}
	return true;
}

bool run_jobs_load(struct run_jobs *rj, const char *path, struct cli_error *err,
		   bool (*command_line)(struct run_options *o, void *arg, struct cli_error *err),
		   void *arg)
{
	struct loader l = {.rj = rj, .command_line = command_line, .arg = arg, .err = err};
	FILE *f = fopen(path, "re");
	bool ok;

	memset(rj, 0, sizeof(*rj));
	if (!f)
		return cli_fail(err, "--job=%s: %s", path, strerror(errno));
	run_options_init(&l.global);
	ok = read_lines(&l, f, path, err) && finish(&l);
	run_options_free(&l.global);
	fclose(f);
	return ok;
}

void run_jobs_free(struct run_jobs *rj)
{
	for (u32 i = 0; i < rj->count; i++)
		run_options_free(&rj->jobs[i]);
	for (u32 i = 0; i < rj->string_count; i++)
		free(rj->strings[i]);
	free(rj->jobs);
	free(rj->strings);
	memset(rj, 0, sizeof(*rj));
}
