/*
 * sim/native/pmu.c - performance events by name, through libpfm4 and perf_event_open(2)
 *
 * Fails        A wrong name is the user's error and is named. An event that this machine, kernel or
 *              user may not count is absent, with a reason; others are not affected.
 */
#include <mmsim/pmu.h>

#include <errno.h>
#include <linux/perf_event.h>
#include <perfmon/pfmlib_perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct pmu_event {
	char *name;
	int fd; /* -1: absent */
};

struct pmu {
	u32 count;
	char absent[256];
	struct pmu_event events[];
};

/* What read(2) gives with the read_format below. */
struct reading {
	u64 value, enabled_ns, running_ns;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int pfm_status;

static void initialize(void)
{
	pfm_status = pfm_initialize();
}

static int encode(const char *name, int privilege, struct perf_event_attr *attr)
{
	pfm_perf_encode_arg_t arg = {.attr = attr, .size = sizeof(arg)};

	memset(attr, 0, sizeof(*attr));
	attr->size = sizeof(*attr);
	return pfm_get_os_event_encoding(name, privilege, PFM_OS_PERF_EVENT, &arg);
}

/* User and kernel if we may, else user alone. Returns a descriptor or -errno. */
static int open_event(struct perf_event_attr *attr)
{
	int fd;

	attr->disabled = 1;
	attr->inherit = 1;
	attr->read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	fd = perf_event_open(attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		attr->exclude_kernel = 1;
		attr->exclude_hv = 1;
		fd = perf_event_open(attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static void note_absent(struct pmu *p, const char *name, int err)
{
	const char *reason = strerror(err);

	if (err == ENOENT || err == EOPNOTSUPP || err == ENODEV)
		reason = "this machine has no performance counters for it";
	else if (err == EACCES || err == EPERM)
		reason = "not permitted (see /proc/sys/kernel/perf_event_paranoid)";
	if (p->absent[0] == '\0')
		snprintf(p->absent, sizeof(p->absent), "%s: %s", name, reason);
}

static int add_event(struct pmu *p, const char *name, char *why, size_t why_bytes)
{
	struct pmu_event *event = &p->events[p->count];
	struct perf_event_attr attr;
	int ret = encode(name, PFM_PLM3 | PFM_PLM0, &attr);

	if (ret != PFM_SUCCESS) {
		snprintf(why, why_bytes, "unknown performance event '%s': %s", name,
			 pfm_strerror(ret));
		return -EINVAL;
	}
	event->name = strdup(name);
	if (!event->name) {
		snprintf(why, why_bytes, "no memory for performance event '%s'", name);
		return -ENOMEM;
	}
	p->count++;
	event->fd = open_event(&attr);
	if (event->fd < 0) {
		note_absent(p, name, -event->fd);
		event->fd = -1;
	}
	return 0;
}

int pmu_open(struct pmu **out, const char *const *names, u32 count, char *why, size_t why_bytes)
{
	struct pmu *p = calloc(1, sizeof(*p) + count * sizeof(p->events[0]));
	int ret = 0;

	*out = NULL;
	if (!p) {
		snprintf(why, why_bytes, "no memory for %u performance events", count);
		return -ENOMEM;
	}
	pthread_once(&once, initialize);
	if (pfm_status != PFM_SUCCESS && count) {
		snprintf(why, why_bytes, "libpfm does not start: %s", pfm_strerror(pfm_status));
		ret = -EINVAL;
	}
	for (u32 i = 0; i < count && !ret; i++)
		ret = add_event(p, names[i], why, why_bytes);
	if (ret) {
		pmu_close(p);
		return ret;
	}
	*out = p;
	return 0;
}

void pmu_close(struct pmu *p)
{
	if (!p)
		return;
	for (u32 i = 0; i < p->count; i++) {
		if (p->events[i].fd >= 0)
			close(p->events[i].fd);
		free(p->events[i].name);
	}
	free(p);
}

static void all_events(struct pmu *p, unsigned long request)
{
	for (u32 i = 0; i < p->count; i++) {
		if (p->events[i].fd >= 0)
			(void)ioctl(p->events[i].fd, request, 0);
	}
}

void pmu_start(struct pmu *p)
{
	all_events(p, PERF_EVENT_IOC_RESET);
	all_events(p, PERF_EVENT_IOC_ENABLE);
}

void pmu_stop(struct pmu *p)
{
	all_events(p, PERF_EVENT_IOC_DISABLE);
}

u32 pmu_count(const struct pmu *p)
{
	return p->count;
}

const char *pmu_name(const struct pmu *p, u32 idx)
{
	return p->events[idx].name;
}

bool pmu_read(const struct pmu *p, u32 idx, u64 *value)
{
	struct reading r;

	if (p->events[idx].fd < 0 || read(p->events[idx].fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
		return false;
	/* It was enabled but never got a counter: there is no count to scale. */
	if (r.enabled_ns && !r.running_ns)
		return false;
	*value = r.running_ns < r.enabled_ns
			 ? (u64)((unsigned __int128)r.value * r.enabled_ns / r.running_ns)
			 : r.value;
	return true;
}

const char *pmu_absent_reason(const struct pmu *p)
{
	return p->absent[0] ? p->absent : NULL;
}
