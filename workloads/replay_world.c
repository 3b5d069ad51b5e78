/*
 * workloads/replay_world.c - the files, calls and images of a recording, on a simulated machine
 *
 * Leaves out   What no recording shows: limits (there are none), the content of files, who else
 *              maps them. Pages of files are cached from the start, up to WARM_BYTES_MAX each.
 * Callers      replay_check.c (one task), replay_program.c (many: everything here but init and fini
 *              may run concurrently).
 * Tests        tests/unit/workloads/test_replay_check.c
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/page.h>
#include <mmsim/uapi.h>

#include "workloads/replay.h"

#define PAGE_SHIFT 12
#define WARM_BYTES_MAX (256ull << 20)
#define MEMORY_BYTES_MIN (256ull << 20)
#define MEMORY_BYTES_MAX (1ull << 38)
#define SIZE_UNKNOWN (1ull << 46)
#define MAP_HUGETLB_FLAG 0x40000u

/* x86 page-fault error code */
enum { ERROR_WRITE = 1 << 1, ERROR_USER = 1 << 2, ERROR_INSN = 1 << 4 };

static u64 warm_bytes(const struct plan_inode *inode)
{
	if (inode->kind != INODE_REGULAR && inode->kind != INODE_NO_HUGE)
		return 0;
	return inode->size_bytes <= WARM_BYTES_MAX ? inode->size_bytes : 0;
}

static int create_files(struct replay_world *w)
{
	const struct plan *p = w->plan;
	const struct memory *mem = memory_of(w->machine);

	for (u32 i = 0; i < p->inode_count; i++) {
		const struct plan_inode *in = &p->inodes[i];

		w->inodes[i] =
			inode_create(w->machine, in->kind, trace_name(p->t, in->name),
				     (u32)(in->dev >> 32), (u32)in->dev, in->ino, in->size_bytes);
		if (!w->inodes[i])
			return -ENOMEM;
		if (warm_bytes(in) && filemap_populate(mem, &w->inodes[i]->mapping))
			return -ENOMEM;
		/* How long the file is was not recorded; mremap may have shown more of it. */
		WRITE_ONCE(w->inodes[i]->size_bytes, SIZE_UNKNOWN);
	}
	for (u32 i = 0; i < p->file_count; i++) {
		w->files[i] = file_open(w->inodes[p->files[i].inode], true, p->files[i].writable);
		if (!w->files[i])
			return -ENOMEM;
	}
	return 0;
}

int replay_world_init(struct replay_world *w, const struct plan *plan, struct machine *m,
		      const struct arch_desc *arch, const struct mm_locking *locking)
{
	int err = -ENOMEM;

	*w = (struct replay_world){plan, m, arch, locking, NULL, NULL};
	w->inodes = calloc(plan->inode_count + 1, sizeof(*w->inodes));
	w->files = calloc(plan->file_count + 1, sizeof(*w->files));
	if (w->inodes && w->files)
		err = create_files(w);
	if (err)
		replay_world_fini(w);
	return err;
}

void replay_world_fini(struct replay_world *w)
{
	for (u32 i = 0; w->files && i < w->plan->file_count; i++)
		if (w->files[i])
			file_put(w->files[i]);
	for (u32 i = 0; w->inodes && i < w->plan->inode_count; i++)
		if (w->inodes[i])
			inode_put(w->inodes[i]);
	free(w->files);
	free(w->inodes);
	w->files = NULL;
	w->inodes = NULL;
}

u64 replay_memory_bytes(const struct plan *plan)
{
	/* A fault: its page, perhaps a table, perhaps a page of a file that was not warm. */
	u64 bytes = MEMORY_BYTES_MIN + plan->fault_count * (3ull << PAGE_SHIFT), mapped = 0;
	bool locks_all = false;

	for (u32 i = 0; i < plan->inode_count; i++)
		bytes += warm_bytes(&plan->inodes[i]);
	for (u32 i = 0; i < plan->call_count; i++) {
		const struct plan_call *c = &plan->calls[i];
		bool populates =
			c->sys == SYS_TRACE_mlock || c->sys == SYS_TRACE_mlock2 ||
			(c->sys == SYS_TRACE_madvise &&
			 (c->arg[2] == MADV_POPULATE_READ || c->arg[2] == MADV_POPULATE_WRITE)) ||
			(c->sys == SYS_TRACE_mmap && (c->arg[3] & (MAP_POPULATE | MAP_LOCKED)));

		if (c->has_result && c->result < 0)
			continue;
		if (populates)
			bytes += min(c->arg[1], MEMORY_BYTES_MAX);
		if (c->sys == SYS_TRACE_mmap)
			mapped += min(c->arg[1], MEMORY_BYTES_MAX);
		locks_all |= c->sys == SYS_TRACE_mlockall;
		bytes = min(bytes, MEMORY_BYTES_MAX);
		mapped = min(mapped, MEMORY_BYTES_MAX);
	}
	if (locks_all)
		bytes += mapped;
	return ALIGN_UP(min(bytes, MEMORY_BYTES_MAX), 1ull << 22);
}

struct mm *replay_new_mm(struct replay_world *w)
{
	struct mm *mm = mm_create(w->machine, w->arch, w->locking);

	if (!mm)
		return NULL;
	mm->limits.address_space_bytes = ~0ull;
	mm->limits.data_bytes = ~0ull;
	mm->limits.memlock_bytes = ~0ull;
	mm->limits.can_ipc_lock = true;
	return mm;
}

enum access_kind replay_access(u64 error_code)
{
	if (error_code & ERROR_INSN)
		return ACCESS_EXEC;
	return error_code & ERROR_WRITE ? ACCESS_WRITE : ACCESS_READ;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static s64 call_mmap(struct replay_world *w, struct mm *mm, const struct plan_call *c,
		     const u64 *arg, u64 place)
{
	struct file *file = c->file == PLAN_NONE ? NULL : w->files[c->file];
	u32 flags = (u32)arg[3];
	u64 addr = arg[0];

	if (file)
		flags &= ~(u32)MAP_ANONYMOUS; /* shared anonymous memory: a file of its own */
	if (flags & (MAP_32BIT | MAP_HUGETLB_FLAG)) {
		flags &= ~(u32)(MAP_32BIT | MAP_HUGETLB_FLAG);
		if (place && !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
			flags |= MAP_FIXED_NOREPLACE;
			addr = place;
		}
	}
	return mm_mmap(mm, addr, arg[1], (u32)arg[2], flags, file,
		       flags & MAP_ANONYMOUS ? 0 : arg[5]);
}

/* shmdt: everything of the attached segment, which begins at addr. */
static s64 call_shmdt(struct mm *mm, u64 addr)
{
	const struct vma *vma = vma_tree_load(&mm->vmas, addr);

	if (!vma || vma->start != addr || !vma->file)
		return -EINVAL;
	return mm_munmap(mm, addr, vma->end - addr);
}

s64 replay_call(struct replay_world *w, struct mm *mm, const struct plan_call *c, const u64 *arg,
		u64 place)
{
	switch (c->sys) {
	case SYS_TRACE_mmap:
		return call_mmap(w, mm, c, arg, place);
	case SYS_TRACE_munmap:
		return mm_munmap(mm, arg[0], arg[1]);
	case SYS_TRACE_mprotect:
	case SYS_TRACE_pkey_mprotect:
		return mm_mprotect(mm, arg[0], arg[1], (u32)arg[2]);
	case SYS_TRACE_mremap:
		return mm_mremap(mm, arg[0], arg[1], arg[2], (u32)arg[3], arg[4]);
	case SYS_TRACE_madvise:
		return mm_madvise(mm, arg[0], arg[1], (int)arg[2]);
	case SYS_TRACE_brk:
		return (s64)mm_brk(mm, arg[0]);
	case SYS_TRACE_mlock:
		return mm_mlock(mm, arg[0], arg[1], false);
	case SYS_TRACE_mlock2:
		return mm_mlock(mm, arg[0], arg[1], arg[2] & MLOCK_ONFAULT);
	case SYS_TRACE_munlock:
		return mm_munlock(mm, arg[0], arg[1]);
	case SYS_TRACE_mlockall:
		return mm_mlockall(mm, (int)arg[0]);
	case SYS_TRACE_munlockall:
		return mm_munlockall(mm);
	case SYS_TRACE_shmdt:
		return call_shmdt(mm, arg[0]);
	default:
		MMSIM_BUG("call %u is not one on an address space", c->sys);
	}
}

/* ---- images ---------------------------------------------------------------------------------- */

static u32 prot_of(u8 flags)
{
	return (flags & TRACE_MAP_READ ? PROT_READ : 0) |
	       (flags & TRACE_MAP_WRITE ? PROT_WRITE : 0) |
	       (flags & TRACE_MAP_EXEC ? PROT_EXEC : 0);
}

static s64 map_at(struct replay_world *w, struct mm *mm, const struct plan_action *a, u32 fixed)
{
	const struct plan_call *c = &w->plan->calls[a->call];
	struct file *file = c->file == PLAN_NONE ? NULL : w->files[c->file];
	u32 flags = fixed | (a->flags & TRACE_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE);

	if (!file)
		flags |= MAP_ANONYMOUS;
	return mm_mmap(mm, c->arg[0], c->arg[1], prot_of(a->flags), flags, file,
		       file ? c->arg[5] : 0);
}

s64 replay_orphan(struct replay_world *w, struct mm *mm, const struct plan_action *a)
{
	s64 at = map_at(w, mm, a, MAP_FIXED_NOREPLACE);

	return at == -EEXIST ? map_at(w, mm, a, 0) : at;
}

static int map_special(struct replay_world *w, struct mm *mm, const struct plan_action *a)
{
	const struct trace *t = w->plan->t;
	const char *name = trace_name(t, (u32)trace_map_field(t, &t->events[a->event], MAP_NAME));
	u64 flags = VM_MAYREAD | (a->flags & TRACE_MAP_READ ? VM_READ : 0) |
		    (a->flags & TRACE_MAP_WRITE ? VM_WRITE : 0);

	if (a->flags & TRACE_MAP_EXEC)
		flags |= VM_EXEC | VM_MAYWRITE | VM_MAYEXEC; /* code: a debugger may write to it */
	else
		flags |= VM_IO | VM_PFNMAP | VM_DONTDUMP; /* the kernel's data */
	return mm_install_special(mm, a->a, a->b, flags, name);
}

int replay_image(struct replay_world *w, struct mm *mm, const struct plan_action *a)
{
	const struct plan_call *c = a->call == PLAN_NONE ? NULL : &w->plan->calls[a->call];
	s64 at;

	switch (a->kind) {
	case PLAN_IMAGE_FILE:
		at = map_at(w, mm, a, MAP_FIXED);
		return at < 0 ? (int)at : 0;
	case PLAN_IMAGE_TRIM:
		return a->b ? mm_munmap(mm, a->a, a->b) : 0;
	case PLAN_IMAGE_ANON:
		return mm_install_bss(mm, a->a, a->b, a->flags & TRACE_MAP_EXEC);
	case PLAN_IMAGE_SPECIAL:
		return map_special(w, mm, a);
	case PLAN_IMAGE_STACK:
		return mm_install_stack(mm, c->arg[0], c->arg[0] + c->arg[1], c->arg[2],
					a->flags & TRACE_MAP_EXEC ? VM_EXEC : 0);
	case PLAN_IMAGE_DONE:
		if (a->a)
			mm_set_mmap_base(mm, a->a);
		if (a->b)
			mm_set_brk(mm, a->b);
		return 0;
	default:
		MMSIM_BUG("action %u builds no image", a->kind);
	}
}
