/*
 * sim/trace/plan_files.c - inodes and open files, as far as a recording shows them
 *
 * VMAs merge only if they hold the same struct file. A recording of mappings alone does not name
 * it, so: same process, same descriptor and same inode is the same open file, until the
 * descriptor is seen with another inode (or, where opens and closes were recorded, until it is
 * opened again). exec opens its files itself: each exec, each inode, a new one.
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/file.h>
#include <mmsim/uapi.h>

#include "sim/trace/plan_internal.h"

#define HUGE_BYTES (2ull << 20)
#define FD_MAX (1 << 20)

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool plan_record_is_file(const struct trace *t, const struct trace_event *rec)
{
	const char *name = trace_name(t, (u32)trace_map_field(t, rec, MAP_NAME));

	if (trace_map_field(t, rec, MAP_INO) || trace_map_field(t, rec, MAP_DEV))
		return true;
	return name[0] == '/' && name[1] != '/';
}

/* What is known without looking at where mappings went: see plan_judge_devices(). */
static enum inode_kind kind_by_name(const char *name, u64 dev)
{
	if (starts_with(name, "/memfd:") || starts_with(name, "/SYSV") ||
	    starts_with(name, "/dev/zero") || starts_with(name, "/dev/shm/"))
		return INODE_SHMEM;
	if (starts_with(name, "anon_inode:") || starts_with(name, "/dev/") ||
	    starts_with(name, "/[aio]") || starts_with(name, "/dmabuf") ||
	    starts_with(name, "/sys/") || starts_with(name, "/proc/") || starts_with(name, "/drm"))
		return INODE_DEVICE;
	if (starts_with(name, "/anon_hugepage"))
		return INODE_NO_HUGE;
	return dev >> 32 ? INODE_REGULAR : INODE_NO_HUGE;
}

static u32 find_inode(struct planner *pl, const struct trace_event *rec)
{
	struct plan *p = pl->p;
	u64 dev = trace_map_field(pl->t, rec, MAP_DEV), ino = trace_map_field(pl->t, rec, MAP_INO);
	u64 gen = trace_map_field(pl->t, rec, MAP_GENERATION);
	u64 end = trace_map_field(pl->t, rec, MAP_PGOFF) + rec->arg[1];
	u32 name = (u32)trace_map_field(pl->t, rec, MAP_NAME);

	for (u32 i = p->inode_count; i-- > 0;) {
		struct plan_inode *inode = &p->inodes[i];

		if (inode->ino == ino && inode->dev == dev && inode->name == name &&
		    inode->generation == gen) {
			inode->size_bytes = max(inode->size_bytes, end);
			return i;
		}
	}
	if (!plan_grow((void **)&p->inodes, p->inode_count, &pl->inode_cap, sizeof(*p->inodes))) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->inodes[p->inode_count] = (struct plan_inode){
		.dev = dev,
		.ino = ino,
		.generation = gen,
		.name = name,
		.size_bytes = end,
		.kind = kind_by_name(trace_name(pl->t, name), dev),
	};
	return p->inode_count++;
}

static u32 new_file(struct planner *pl, u32 inode)
{
	struct plan *p = pl->p;

	if (!plan_grow((void **)&p->files, p->file_count, &pl->file_cap, sizeof(*p->files))) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->files[p->file_count] = (struct plan_file){.inode = inode};
	return p->file_count++;
}

u32 plan_file_by_fd(const struct plan_proc *proc, s32 fd)
{
	return fd >= 0 && (u32)fd < proc->fd_count ? proc->fds[fd] : PLAN_NONE;
}

void plan_fd_set(struct planner *pl, struct plan_proc *proc, s32 fd, u32 file)
{
	if (fd < 0 || fd > FD_MAX)
		return;
	if ((u32)fd >= proc->fd_count) {
		u32 want = max(proc->fd_count * 2, (u32)fd + 16);
		u32 *bigger;

		if (file == PLAN_NONE)
			return;
		bigger = realloc(proc->fds, want * sizeof(*bigger));
		if (!bigger) {
			pl->no_memory = true;
			return;
		}
		for (u32 i = proc->fd_count; i < want; i++)
			bigger[i] = PLAN_NONE;
		proc->fds = bigger;
		proc->fd_count = want;
	}
	proc->fds[fd] = file;
}

void plan_fd_copy(struct planner *pl, struct plan_proc *to, const struct plan_proc *from)
{
	to->fds = NULL;
	to->fd_count = 0;
	if (!from->fd_count)
		return;
	to->fds = malloc(from->fd_count * sizeof(*to->fds));
	if (!to->fds) {
		pl->no_memory = true;
		return;
	}
	memcpy(to->fds, from->fds, from->fd_count * sizeof(*to->fds));
	to->fd_count = from->fd_count;
}

/* A mapping of a file that is known already: the file is at least as long. */
void plan_file_grow(struct planner *pl, u32 file, const struct trace_event *rec)
{
	struct plan_inode *inode = &pl->p->inodes[pl->p->files[file].inode];

	inode->size_bytes =
		max(inode->size_bytes, trace_map_field(pl->t, rec, MAP_PGOFF) + rec->arg[1]);
}

/* By name only where there is no inode (a build id was recorded in its place): a file may be
 * renamed or unlinked while it is open. */
bool plan_same_inode(struct planner *pl, u32 file, const struct trace_event *rec)
{
	const struct plan_inode *inode = &pl->p->inodes[pl->p->files[file].inode];

	return inode->dev == trace_map_field(pl->t, rec, MAP_DEV) &&
	       inode->ino == trace_map_field(pl->t, rec, MAP_INO) &&
	       (inode->ino || inode->name == trace_map_field(pl->t, rec, MAP_NAME));
}

/* fd < 0: of its own (exec, anonymous shared memory). */
u32 plan_file_of_record(struct planner *pl, struct plan_proc *proc, const struct trace_event *rec,
			s32 fd)
{
	u32 inode = find_inode(pl, rec), file = plan_file_by_fd(proc, fd);

	if (inode == PLAN_NONE)
		return PLAN_NONE;
	if (file != PLAN_NONE && plan_same_inode(pl, file, rec)) {
		plan_file_grow(pl, file, rec);
		return file;
	}
	file = new_file(pl, inode);
	plan_fd_set(pl, proc, fd, file);
	return file;
}

/*
 * An mmap without a record: it failed, or data mappings were not recorded. Something about the
 * file is known by its descriptor, or nothing but that there is one.
 */
u32 plan_file_unknown(struct planner *pl, struct plan_proc *proc, s32 fd)
{
	struct plan *p = pl->p;
	u32 file = plan_file_by_fd(proc, fd);

	if (file != PLAN_NONE || fd < 0)
		return file;
	if (!plan_grow((void **)&p->inodes, p->inode_count, &pl->inode_cap, sizeof(*p->inodes))) {
		pl->no_memory = true;
		return PLAN_NONE;
	}
	p->inodes[p->inode_count++] =
		(struct plan_inode){.kind = INODE_NO_HUGE, .size_bytes = 1ull << 46};
	file = new_file(pl, p->inode_count - 1);
	if (file != PLAN_NONE)
		p->files[file].writable = true;
	plan_fd_set(pl, proc, fd, file);
	return file;
}

/* ---- does a device's file system align mappings to 2 MiB? ------------------------------------ */

/* An mmap whose address tells: no place asked for, a whole aligned 2 MiB block of a file inside. */
static bool is_evidence(const struct plan *p, const struct plan_call *c)
{
	u64 block = ALIGN_UP(c->arg[5], HUGE_BYTES);

	return c->sys == SYS_TRACE_mmap && c->file != PLAN_NONE && c->has_result && c->result > 0 &&
	       !(c->arg[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT | MAP_ANONYMOUS)) &&
	       !c->arg[0] && block + HUGE_BYTES <= c->arg[5] + c->arg[1];
}

static bool kind_may_change(u8 kind)
{
	return kind == INODE_REGULAR || kind == INODE_NO_HUGE;
}

/*
 * The recording does not name file systems. A file system that supports huge pages puts such a
 * mapping at its offset modulo 2 MiB; one that does not hits that place once in 512. Without
 * evidence: a block device has one that does, a device without a major number does not.
 */
void plan_judge_devices(struct planner *pl)
{
	struct plan *p = pl->p;

	for (u32 i = 0; i < p->inode_count; i++) {
		u64 dev = p->inodes[i].dev, aligned = 0, seen = 0;
		bool first = true;

		for (u32 j = 0; j < i && first; j++)
			first = p->inodes[j].dev != dev;
		if (!first || !kind_may_change(p->inodes[i].kind))
			continue;
		for (u32 c = 0; c < p->call_count; c++) {
			const struct plan_call *call = &p->calls[c];
			const struct plan_inode *inode;

			if (!is_evidence(p, call))
				continue;
			inode = &p->inodes[p->files[call->file].inode];
			if (inode->dev != dev || !kind_may_change(inode->kind))
				continue;
			seen++;
			aligned += (((u64)call->result - call->arg[5]) & (HUGE_BYTES - 1)) == 0;
		}
		if (!seen)
			continue;
		for (u32 j = i; j < p->inode_count; j++)
			if (p->inodes[j].dev == dev && kind_may_change(p->inodes[j].kind))
				p->inodes[j].kind =
					aligned * 2 > seen ? INODE_REGULAR : INODE_NO_HUGE;
	}
}
