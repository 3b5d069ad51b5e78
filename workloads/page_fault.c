/*
 * workloads/page_fault.c - page_fault1, page_fault2, page_fault3 (will-it-scale)
 *
 * One operation is one page written. Per task, for ever: map `size` bytes, write one byte of each
 * page, unmap. 1: private anonymous memory. 2: a private mapping of a file, whose pages are
 * copied on the write. 3: a shared mapping of it. As in the original each task has a file of its
 * own, created with all its pages; here they are in the page cache before the start (there: after
 * the first pass).
 *
 * The anonymous mappings of page_fault1's threads lie side by side, and the kernel makes one VMA of
 * them. With vmas=own each task asks for its mapping at an address that keeps it apart. With hugetlb the
 * memory comes from a pool of huge pages (-p hugepages=, hugepages_1g=): a fault each.
 */
#include <stdio.h>
#include <stdlib.h>

#include <mmsim/file.h>

#include "workloads/all.h"

bool bench_touch(struct bench_task *t, u64 va, u64 len)
{
	u64 page = bench_page_bytes(t->bench), end = va + len;

	for (; va < end; va += page) {
		bench_op_begin(t);
		if (unlikely(!bench_write(t, va, va)))
			return false;
		bench_op_end(t);
		if (unlikely(t->stop))
			return false;
	}
	return true;
}

static const char *const file_choices[] = {"own", "one", NULL};
enum { FILE_OWN, FILE_ONE };

#define PARAM_SIZE                                                                                 \
	{                                                                                          \
		.key = "size", .type = PARAM_BYTES, .def = "128M", .min = 64 * 1024,               \
		.max = 1ull << 36, .meaning = "bytes that each task maps",                         \
	}

static const char *const vmas_choices[] = {"merge", "own", NULL};
enum { VMAS_MERGE, VMAS_OWN };
static const char *const hugetlb_choices[] = {"no", "yes", "1g", NULL};
enum { HUGETLB_NO, HUGETLB_YES, HUGETLB_1G };

static const struct param anon_params[] = {
	PARAM_SIZE,
	{.key = "vmas",
	 .type = PARAM_CHOICE,
	 .def = "merge",
	 .choices = vmas_choices,
	 .meaning = "merge: mappings of tasks adjoin, and merge; own: they are kept apart"},
	{.key = "hugetlb",
	 .type = PARAM_CHOICE,
	 .def = "no",
	 .choices = hugetlb_choices,
	 .meaning = "MAP_HUGETLB: yes, pages of the default size (-p hugepages=); 1g, of 1 GiB (-p hugepages_1g=)"},
	PARAM_PROCESSES,
	{.key = NULL},
};
static const struct param file_params[] = {
	PARAM_SIZE,
	{.key = "file",
	 .type = PARAM_CHOICE,
	 .def = "own",
	 .choices = file_choices,
	 .meaning = "own: a file per task; one: all tasks map the same file"},
	PARAM_PROCESSES,
	{.key = NULL},
};

static u64 size_of(const struct bench *b)
{
	return ALIGN_UP(bench_param(b, "size"), bench_page_bytes(b));
}

/* hint: where to map, or 0. */
static void loop(struct bench_task *t, u64 hint, u64 size, u32 flags, struct file *file)
{
	while (bench_running(t)) {
		u64 va = bench_mmap_at(t, hint, size, PROT_READ | PROT_WRITE, flags, file, 0);

		if (!va)
			break;
		bench_touch(t, va, size);
		if (!bench_munmap(t, va, size))
			break;
	}
}

/* ---- page_fault1 --------------------------------------------------------------------------- */

struct places {
	u64 base, step; /* vmas=own: of the tasks' mappings; all of it is free */
};

/* Of a page that a fault brings. */
static u64 anon_fault_bytes(const struct bench *b)
{
	switch (bench_param(b, "hugetlb")) {
	case HUGETLB_YES:
		return level_bytes(b->cfg.arch, 1);
	case HUGETLB_1G:
		return 1ull << 30;
	default:
		return bench_page_bytes(b);
	}
}

static u64 anon_size(const struct bench *b)
{
	return ALIGN_UP(bench_param(b, "size"), anon_fault_bytes(b));
}

/* The pool has to last for all tasks at once: who gets nothing from it gets ENOMEM. */
static int anon_check(struct bench *b)
{
	u64 which = bench_param(b, "hugetlb"), wanted, pool;
	enum mm_param of = which == HUGETLB_1G ? MM_PARAM_HUGEPAGES_1G : MM_PARAM_HUGEPAGES;
	struct mm_config one = {0};

	if (which == HUGETLB_NO)
		return 0;
	one.params[of] = 1;
	if (hugetlb_memory_bytes(b->cfg.arch, &one, 0) == ~0ull)
		return bench_fail(b, "hugetlb=%s: %s has no huge pages of that size", hugetlb_choices[which],
				  b->cfg.arch->name);
	if (bench_param(b, "vmas") == VMAS_OWN)
		return bench_fail(b, "vmas=own: only with hugetlb=no");
	wanted = b->cfg.tasks * (anon_size(b) / anon_fault_bytes(b));
	pool = b->cfg.mm.params[of];
	if (pool >= wanted)
		return 0;
	return bench_fail(b, "hugetlb=%s: %u tasks with size=%llu need -p %s=%llu, or more", hugetlb_choices[which],
			  b->cfg.tasks, (unsigned long long)anon_size(b),
			  mm_params[of].key, (unsigned long long)wanted);
}

/* The pools come on top of it. */
static u64 anon_memory(const struct bench *b)
{
	return bench_memory_for(b, bench_param(b, "hugetlb") == HUGETLB_NO ? bench_param(b, "size") : 0);
}

static int anon_setup(struct bench *b)
{
	struct places *p;
	s64 va;

	if (bench_param(b, "vmas") == VMAS_MERGE || b->mm_count > 1)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	b->priv = p;
	/* Two pages between them: a range lock takes one on either side along. */
	p->step = size_of(b) + 2 * bench_page_bytes(b);
	va = mm_mmap(b->mm, 0, p->step * b->tasks, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	if (va < 0)
		return (int)va;
	p->base = (u64)va;
	return mm_munmap(b->mm, p->base, p->step * b->tasks);
}

static void anon_teardown(struct bench *b)
{
	free(b->priv);
	b->priv = NULL;
}

static void anon_run(struct bench_task *t)
{
	static const u32 huge_flags[] = {[HUGETLB_NO] = 0,
					 [HUGETLB_YES] = MAP_HUGETLB,
					 [HUGETLB_1G] = MAP_HUGETLB | MAP_HUGE_1GB};
	const struct places *p = t->bench->priv;
	u32 flags = MAP_PRIVATE | MAP_ANONYMOUS | huge_flags[bench_param(t->bench, "hugetlb")];

	loop(t, p ? p->base + t->index * p->step : 0, anon_size(t->bench), flags, NULL);
}

const struct workload workload_page_fault1 = {
	.name = "page_fault1",
	.summary =
		"map 128 MiB of private anonymous memory, write each page, unmap (will-it-scale)",
	.op = "page written",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 1,
	.sample = 16,
	.params = anon_params,
	.check = anon_check,
	.memory_bytes = anon_memory,
	.setup = anon_setup,
	.run_task = anon_run,
	.teardown = anon_teardown,
};

/* ---- page_fault2, page_fault3: on files ---------------------------------------------------- */

struct files {
	u32 count;
	struct file **files; /* [task], or one */
};

/* The page cache, and for page_fault2 as much again for the copies. */
static u64 file_memory(const struct bench *b)
{
	return bench_memory_for(b, 2 * bench_param(b, "size"));
}

static void file_teardown(struct bench *b)
{
	struct files *fs = b->priv;

	for (u32 i = 0; i < fs->count; i++)
		if (fs->files[i])
			file_put(fs->files[i]);
	free(fs->files);
	free(fs);
	b->priv = NULL;
}

static int file_make(struct bench *b, u32 i, struct file **file)
{
	u64 size = size_of(b);
	struct inode *inode;
	char name[32];
	int err;

	snprintf(name, sizeof(name), "/tmp/willitscale.%u", i);
	inode = inode_create(b->machine, INODE_REGULAR, name, 8, 1, 1000 + i, size);
	if (!inode)
		return -ENOMEM;
	*file = file_open(inode, true, true);
	err = *file ? filemap_populate(memory_of(b->machine), &inode->mapping) : -ENOMEM;
	inode_put(inode);
	return err;
}

static int file_setup(struct bench *b)
{
	u32 count = bench_param(b, "file") == FILE_ONE ? 1 : b->tasks;
	struct files *fs = calloc(1, sizeof(*fs));
	int err = 0;

	if (!fs)
		return -ENOMEM;
	b->priv = fs;
	fs->files = calloc(count, sizeof(struct file *));
	if (!fs->files)
		return -ENOMEM;
	fs->count = count;
	for (u32 i = 0; i < count && !err; i++)
		err = file_make(b, i, &fs->files[i]);
	return err;
}

static struct file *file_of(const struct bench_task *t)
{
	const struct files *fs = t->bench->priv;

	return fs->files[fs->count == 1 ? 0 : t->index];
}

static void private_run(struct bench_task *t)
{
	loop(t, 0, size_of(t->bench), MAP_PRIVATE, file_of(t));
}

static void shared_run(struct bench_task *t)
{
	loop(t, 0, size_of(t->bench), MAP_SHARED, file_of(t));
}

const struct workload workload_page_fault2 = {
	.name = "page_fault2",
	.summary = "as page_fault1 on a private file mapping: each write copies a page-cache page",
	.op = "page written",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 1,
	.sample = 16,
	.params = file_params,
	.memory_bytes = file_memory,
	.setup = file_setup,
	.run_task = private_run,
	.teardown = file_teardown,
};

const struct workload workload_page_fault3 = {
	.name = "page_fault3",
	.summary = "as page_fault1 on a shared file mapping",
	.op = "page written",
	.kind = WORKLOAD_FREE,
	.threads_per_cpu = 1,
	.sample = 16,
	.params = file_params,
	.memory_bytes = file_memory,
	.setup = file_setup,
	.run_task = shared_run,
	.teardown = file_teardown,
};
