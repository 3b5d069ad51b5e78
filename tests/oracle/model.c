/*
 * tests/oracle/model.c - the world that is modelled: the same calls on mm_*
 *
 * Models       A machine of one task that switches between the address spaces of the processes.
 *              Each starts as the image says: the live process's own mappings are rebuilt one by
 *              one, the way exec makes them.
 * Guarantee    A refusal by the host while the world is built stops the program (exit 1): a test
 *              must never go on with half a world.
 */
#include <stdlib.h>
#include <string.h>

#include <mmsim/mmsim.h>

#include "oracle.h"
#include "tests/tree_choice.h"

#define MODEL_MEMORY_BYTES (1ull << 30)

struct model_world {
	struct world world;
	struct machine *machine;
	struct mm *mms[ORACLE_PROCS_MAX]; /* NULL: free slot */
	struct mm *loaded;
	struct inode *inodes[ORACLE_INODES_MAX];
	struct file *files[ORACLE_FILES_MAX];
	struct {
		struct inode *inode;
		struct file *file;
	} own[8]; /* what the image itself maps */
	u32 own_count;
	char *text;
	size_t text_bytes;
};

static struct model_world *model_of(struct world *w)
{
	return container_of(w, struct model_world, world);
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "oracle: model: cannot %s\n", what);
		exit(1);
	}
}

/* ---- calls ----------------------------------------------------------------------- */

static void load(struct model_world *m, struct mm *mm)
{
	if (m->loaded != mm)
		mmu_switch(mm);
	m->loaded = mm;
}

static s64 touch(struct model_world *m, u32 proc, const struct op *op, u64 *value)
{
	enum fault_result r;

	load(m, m->mms[proc]);
	r = op->kind == OP_WRITE ? user_write(op->a[0], op->a[1]) : user_read(op->a[0], value);
	switch (r) {
	case FAULT_OK:
		return 0;
	case FAULT_SIGSEGV_MAPERR:
		return TOUCH_MAPERR;
	case FAULT_SIGSEGV_ACCERR:
		return TOUCH_ACCERR;
	case FAULT_SIGBUS:
		return TOUCH_SIGBUS;
	default:
		return TOUCH_OTHER;
	}
}

static s64 fork_into(struct model_world *m, struct mm *mm, u32 child)
{
	int err = 0;

	m->mms[child] = mm_fork(mm, &err);
	return m->mms[child] ? 0 : err;
}

static void leave(struct model_world *m, u32 proc)
{
	if (m->loaded == m->mms[proc])
		load(m, NULL);
	mm_put(m->mms[proc]);
	m->mms[proc] = NULL;
}

static s64 call(struct model_world *m, struct mm *mm, const struct op *op)
{
	const u64 *a = op->a;

	switch (op->kind) {
	case OP_MMAP:
		return mm_mmap(mm, a[0], a[1], (u32)a[2], (u32)a[3],
			       op->file < 0 ? NULL : m->files[op->file], a[4]);
	case OP_MUNMAP:
		return mm_munmap(mm, a[0], a[1]);
	case OP_MPROTECT:
		return mm_mprotect(mm, a[0], a[1], (u32)a[2]);
	case OP_MADVISE:
		return mm_madvise(mm, a[0], a[1], (int)a[2]);
	case OP_MREMAP:
		return mm_mremap(mm, a[0], a[1], a[2], (u32)a[3], a[4]);
	case OP_MLOCK:
	case OP_MLOCK2:
		return mm_mlock(mm, a[0], a[1], op->kind == OP_MLOCK2);
	case OP_MUNLOCK:
		return mm_munlock(mm, a[0], a[1]);
	case OP_MLOCKALL:
		return mm_mlockall(mm, (int)a[0]);
	case OP_MUNLOCKALL:
		return mm_munlockall(mm);
	case OP_BRK:
		return (s64)mm_brk(mm, a[0]);
	case OP_FORK:
		return fork_into(m, mm, op->child);
	default:
		return -ENOSYS;
	}
}

static bool model_run(struct world *w, const struct op *op, struct result *res)
{
	struct model_world *m = model_of(w);
	struct mm *mm = m->mms[op->proc];

	if (!mm || (op->kind == OP_FORK && m->mms[op->child]))
		return false;
	res->ret = 0;
	res->value = 0;
	if (op->kind == OP_EXIT) {
		leave(m, op->proc);
	} else if (op->kind == OP_READ || op->kind == OP_WRITE) {
		res->ret = touch(m, op->proc, op, &res->value);
		if (res->ret)
			res->value = 0;
	} else {
		res->ret = call(m, mm, op);
	}
	return true;
}

/* ---- looking --------------------------------------------------------------------- */

struct flags_arg {
	struct layout *layout;
	u32 at;
	bool same;
};

static void add_flags(const struct vma *vma, void *p)
{
	struct flags_arg *arg = p;
	struct lvma *v = &arg->layout->vmas[arg->at];

	if (arg->at >= arg->layout->count || v->start != vma->start || v->end != vma->end) {
		arg->same = false;
		return;
	}
	v->flags = vma->flags & ORACLE_FLAGS;
	arg->at++;
}

static int model_layout(struct world *w, u32 proc, struct layout *out, bool counts)
{
	struct model_world *m = model_of(w);
	struct mm *mm = m->mms[proc];
	struct flags_arg arg = {out, 0, true};
	FILE *f = open_memstream(&m->text, &m->text_bytes);
	int err;

	if (!f)
		return -ENOMEM;
	mm_print_maps(mm, f);
	fclose(f);
	err = layout_parse(out, m->text);
	free(m->text);
	m->text = NULL;
	if (err)
		return err;
	mm_for_each_vma(mm, add_flags, &arg);
	if (!arg.same || arg.at != out->count)
		return -EINVAL;
	out->has_flags = true;
	if (counts) {
		out->has_counts = true;
		out->total_pages = mm->total_vm_pages;
		out->locked_pages = mm->locked_vm_pages;
		out->data_pages = mm->data_vm_pages;
		out->stack_pages = mm->stack_vm_pages;
	}
	return 0;
}

static bool model_alive(const struct world *w, u32 proc)
{
	return container_of(w, const struct model_world, world)->mms[proc] != NULL;
}

static u64 *file_page(struct model_world *m, u32 inode, u64 page, struct page **held)
{
	const struct memory *mem = memory_of(m->machine);

	*held = filemap_read(mem, &m->inodes[inode]->mapping, page);
	must(*held != NULL, "read a page of a file");
	return page_content(mem, page_to_pfn(mem, *held));
}

static int model_file_fill(struct world *w, u32 inode, u64 page, u64 value)
{
	struct page *held;

	*file_page(model_of(w), inode, page, &held) = value;
	page_put(memory_of(model_of(w)->machine), held);
	return 0;
}

static u64 model_file_word(struct world *w, u32 inode, u64 page)
{
	struct page *held;
	u64 value = *file_page(model_of(w), inode, page, &held);

	page_put(memory_of(model_of(w)->machine), held);
	return value;
}

static void model_check(struct world *w)
{
	struct model_world *m = model_of(w);

	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		if (m->mms[i])
			mm_check(m->mms[i]);
}

static void model_stop(struct world *w)
{
	struct model_world *m = model_of(w);

	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		if (m->mms[i])
			leave(m, i);
	for (u32 i = 0; i < ORACLE_FILES_MAX; i++)
		if (m->files[i])
			file_put(m->files[i]);
	for (u32 i = 0; i < ORACLE_INODES_MAX; i++)
		if (m->inodes[i])
			inode_put(m->inodes[i]);
	for (u32 i = 0; i < m->own_count; i++) {
		file_put(m->own[i].file);
		inode_put(m->own[i].inode);
	}
	mm_machine_destroy(m->machine);
	machine_leave();
	machine_destroy(m->machine);
	free(m);
}

static const struct world_ops model_ops = {
	.name = "model",
	.run = model_run,
	.layout = model_layout,
	.alive = model_alive,
	.file_fill = model_file_fill,
	.file_word = model_file_word,
	.check = model_check,
	.stop = model_stop,
};

/* ---- start ----------------------------------------------------------------------- */

static u32 prot_of(const struct lvma *v)
{
	return (u32)((v->perms[0] == 'r' ? PROT_READ : 0) | (v->perms[1] == 'w' ? PROT_WRITE : 0) |
		     (v->perms[2] == 'x' ? PROT_EXEC : 0));
}

/* A mapping of a file of the image's own: the program, the control page. */
static void import_file(struct model_world *m, const struct lvma *v)
{
	enum inode_kind kind = !strncmp(v->name, "/memfd:", 7) ? INODE_SHMEM : INODE_REGULAR;
	u32 flags = MAP_FIXED | (v->perms[3] == 's' ? MAP_SHARED : MAP_PRIVATE);
	struct inode *inode = inode_create(m->machine, kind, v->name, v->major, v->minor, v->ino,
					   v->offset + v->end - v->start);
	struct file *file;
	s64 ret;

	must(inode && m->own_count < ARRAY_SIZE(m->own), "make an inode");
	file = file_open(inode, true, v->perms[3] == 's');
	must(file != NULL, "open a file");
	m->own[m->own_count].inode = inode;
	m->own[m->own_count++].file = file;
	ret = mm_mmap(m->mms[0], v->start, v->end - v->start, prot_of(v), flags, file, v->offset);
	must(ret == (s64)v->start, "map a file of the image");
}

static void import_vma(struct model_world *m, const struct image *image, const struct lvma *v)
{
	struct mm *mm = m->mms[0];
	struct op op = {.kind = OP_WRITE, .a = {v->start, 0}};
	u64 ignored;

	if (!strcmp(v->name, "[stack]")) {
		must(!mm_install_stack(mm, v->start, v->end, image->start_stack, 0),
		     "install a stack");
	} else if (v->name[0] == '[') {
		static const char *const names[] = {"[vvar]", "[vvar_vclock]", "[vdso]"};
		const char *name = "[special]";

		for (u32 i = 0; i < ARRAY_SIZE(names); i++)
			if (!strcmp(names[i], v->name))
				name = names[i];
		must(!mm_install_special(mm, v->start, v->end - v->start, v->flags, name),
		     "install a special mapping");
	} else if (v->ino) {
		import_file(m, v);
	} else {
		must(!mm_install_bss(mm, v->start, v->end - v->start, false), "install bss");
	}
	if (v->touched && v->perms[1] == 'w')
		must(!touch(m, 0, &op, &ignored), "touch a page of the image");
}

static void create_files(struct model_world *m, const struct image *image)
{
	for (u32 i = 0; i < image->inode_count; i++) {
		const struct oinode *in = &image->inodes[i];

		m->inodes[i] = inode_create(
			m->machine, in->kind == OINODE_MEMFD ? INODE_SHMEM : INODE_REGULAR,
			in->name, in->major, in->minor, in->ino, in->size_bytes);
		must(m->inodes[i] != NULL, "make an inode");
	}
	for (u32 i = 0; i < image->file_count; i++) {
		const struct ofile *f = &image->files[i];

		m->files[i] = file_open(m->inodes[f->inode], f->readable, f->writable);
		must(m->files[i] != NULL, "open a file");
	}
}

const struct vma_tree_type *model_tree;

struct world *model_start(const struct image *image, const struct mm_locking *scheme)
{
	struct machine_config cfg = {.tasks = 1,
				     .cpus = 1,
				     .memory_bytes = MODEL_MEMORY_BYTES,
				     .content_words = 1,
				     .seed = 1};
	const struct mm_config mm_cfg = {.tree = model_tree ? model_tree : tree_choice()};
	struct model_world *m = calloc(1, sizeof(*m));

	must(m != NULL, "get memory");
	m->world.ops = &model_ops;
	m->machine = machine_create(&cfg);
	must(m->machine != NULL, "make a machine");
	machine_enter(m->machine);
	must(!mm_machine_init(m->machine, &arch_x86_64, &mm_cfg), "start the mm subsystem");
	create_files(m, image);
	m->mms[0] = mm_create(m->machine, &arch_x86_64, scheme);
	must(m->mms[0] != NULL, "make an address space");
	mm_set_mmap_base(m->mms[0], image->mmap_base);
	mm_set_brk(m->mms[0], image->start_brk);
	for (u32 i = 0; i < image->layout.count; i++)
		import_vma(m, image, &image->layout.vmas[i]);
	m->mms[0]->limits = image->limits;
	return &m->world;
}
