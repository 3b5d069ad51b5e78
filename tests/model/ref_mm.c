/*
 * tests/model/ref_mm.c - the calls of ref_mm.h, page by page
 */
#include <stdlib.h>
#include <string.h>

#include "tests/model/ref_mm.h"

#define HUGE_BYTES (2ull << 20)
#define GUARD_PAGES 256
#define ACCESS (VM_READ | VM_WRITE | VM_EXEC)
#define MAY_ALL (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)
#define LOCK_FLAGS (VM_LOCKED | VM_LOCKONFAULT)

static const u64 zeroes[REF_WORDS];

/* ---- records ------------------------------------------------------------------------------- */

struct ref_object *ref_object_create(u64 pages)
{
	struct ref_object *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->refs = 1;
	o->pages = pages;
	o->word = calloc(pages ? pages : 1, sizeof(*o->word));
	if (!o->word)
		abort();
	return o;
}

void ref_object_put(struct ref_object *o)
{
	if (!o || --o->refs)
		return;
	free(o->word);
	free(o);
}

struct ref_mm *ref_create(u64 low, u64 high)
{
	struct ref_mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		abort();
	mm->low = low;
	mm->high = high;
	mm->page = calloc((high - low) / REF_PAGE, sizeof(*mm->page));
	if (!mm->page)
		abort();
	return mm;
}

static void clear_page(struct ref_mm *mm, u64 va)
{
	struct ref_page *p = ref_page(mm, va);

	if (p->mapped && (p->flags & VM_LOCKED))
		mm->locked_pages--;
	ref_object_put(p->object);
	memset(p, 0, sizeof(*p));
}

/* The record of va becomes a copy of what; takes a reference of its own. */
static void put_page(struct ref_mm *mm, u64 va, const struct ref_page *what)
{
	struct ref_page copy = *what;

	if (copy.object)
		copy.object->refs++;
	clear_page(mm, va);
	*ref_page(mm, va) = copy;
	if (copy.mapped && (copy.flags & VM_LOCKED))
		mm->locked_pages++;
}

static void set_flags(struct ref_mm *mm, u64 va, u64 flags)
{
	struct ref_page *p = ref_page(mm, va);

	mm->locked_pages -= (p->flags & VM_LOCKED) != 0;
	mm->locked_pages += (flags & VM_LOCKED) != 0;
	p->flags = flags;
}

static void clear_range(struct ref_mm *mm, u64 start, u64 end)
{
	for (u64 va = max(start, mm->low); va < min(end, mm->high); va += REF_PAGE)
		clear_page(mm, va);
}

void ref_destroy(struct ref_mm *mm)
{
	clear_range(mm, mm->low, mm->high);
	free(mm->page);
	free(mm);
}

static bool in_arena(const struct ref_mm *mm, u64 va)
{
	return va >= mm->low && va < mm->high;
}

static bool is_mapped(const struct ref_mm *mm, u64 va)
{
	return !in_arena(mm, va) || ref_page(mm, va)->mapped;
}

/* Of mapped pages; what is outside the arena is readable, fixed memory of others. */
static u64 flags_at(const struct ref_mm *mm, u64 va)
{
	return in_arena(mm, va) ? ref_page(mm, va)->flags : VM_READ;
}

static bool is_free(const struct ref_mm *mm, u64 start, u64 len)
{
	for (u64 va = start; va < start + len; va += REF_PAGE)
		if (is_mapped(mm, va))
			return false;
	return true;
}

static u64 next_mapped(const struct ref_mm *mm, u64 va)
{
	while (!is_mapped(mm, va))
		va += REF_PAGE;
	return va;
}

const u64 *ref_content(const struct ref_page *p)
{
	if (p->own)
		return p->word;
	if (!p->object)
		return zeroes;
	return p->index < p->object->pages ? p->object->word[p->index] : NULL;
}

/* ---- where a mapping goes -------------------------------------------------------------------- */

/* Where a range that is free must end at the latest: lower than the next mapping if that is a
 * stack. */
static u64 guarded_end(const struct ref_mm *mm, u64 end)
{
	u64 above = next_mapped(mm, end);

	if (!(flags_at(mm, above) & VM_GROWSDOWN))
		return end;
	return min(end, above - GUARD_PAGES * REF_PAGE);
}

static bool fits(const struct ref_mm *mm, u64 addr, u64 len)
{
	return is_free(mm, addr, len) && guarded_end(mm, addr + len) == addr + len;
}

/*
 * One place after the other. From the top, a stack in the way hides everything down to its guard
 * gap's lower end, also what lies below another mapping: the kernel goes on searching from there.
 */
static s64 search(const struct ref_mm *mm, u64 len)
{
	u64 addr;

	for (addr = mm->mmap_base - len; in_arena(mm, addr); addr -= REF_PAGE) {
		if (is_mapped(mm, addr) || !is_free(mm, addr, len))
			continue;
		if (guarded_end(mm, addr + len) == addr + len)
			return (s64)addr;
		addr = guarded_end(mm, addr + len) - len + REF_PAGE;
	}
	for (addr = mm->bottom_up; addr + len <= mm->high; addr += REF_PAGE)
		if (!is_mapped(mm, addr) && fits(mm, addr, len))
			return (s64)addr;
	return -ENOMEM;
}

static s64 plain_place(const struct ref_mm *mm, u64 hint, u64 len)
{
	if (hint && in_arena(mm, hint) && fits(mm, hint, len))
		return (s64)hint;
	return search(mm, len);
}

/* hint page aligned, 0: none. huge_file: a file with huge pages; anon: private anonymous. */
static s64 choose_place(const struct ref_mm *mm, u64 hint, u64 len, bool huge_file, bool anon,
			u64 offset)
{
	u64 first_block = (offset + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	bool align = false;
	s64 found;

	if (huge_file)
		align = first_block + HUGE_BYTES <= offset + len;
	else if (anon && !hint && len % HUGE_BYTES == 0)
		align = true;
	if (align) {
		found = plain_place(mm, hint, len + HUGE_BYTES);
		if (found >= 0 && (u64)found == hint)
			return found;
		if (found >= 0) {
			u64 sub = (offset - (u64)found) % HUGE_BYTES;

			return found + (s64)(sub ? sub : HUGE_BYTES);
		}
	}
	return plain_place(mm, hint, len);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static bool grow_stack(struct ref_mm *mm, u64 va)
{
	u64 above = next_mapped(mm, va), below = va;
	struct ref_page new;

	if (!(flags_at(mm, above) & VM_GROWSDOWN))
		return false;
	while (!is_mapped(mm, below))
		below -= REF_PAGE;
	if (!(flags_at(mm, below) & VM_GROWSDOWN) && (flags_at(mm, below) & ACCESS) &&
	    (va - below) / REF_PAGE - 1 < GUARD_PAGES)
		return false;
	if ((flags_at(mm, above) & VM_LOCKED) &&
	    mm->locked_pages + (above - va) / REF_PAGE > mm->memlock_pages)
		return false;
	new = *ref_page(mm, above);
	new.own = false;
	new.maybe_zero = false;
	for (; va < above; va += REF_PAGE)
		put_page(mm, va, &new);
	return true;
}

/* Give a private page its own copy, as the first write does. */
static void make_own(struct ref_page *p)
{
	if (!p->own && !(p->flags & VM_MAYSHARE)) {
		memcpy(p->word, ref_content(p), sizeof(p->word));
		p->own = true;
	}
}

static enum fault_result touch(struct ref_mm *mm, u64 va, bool write, struct ref_page **page)
{
	u64 page_va = va / REF_PAGE * REF_PAGE;
	struct ref_page *p = ref_page(mm, page_va);

	if (!p->mapped && !grow_stack(mm, page_va))
		return FAULT_SIGSEGV_MAPERR;
	if (!(p->flags & (write ? VM_WRITE : ACCESS)))
		return FAULT_SIGSEGV_ACCERR;
	if (!ref_content(p))
		return FAULT_SIGBUS;
	*page = p;
	return FAULT_OK;
}

enum fault_result ref_read(struct ref_mm *mm, u64 va, u64 *value)
{
	struct ref_page *p;
	enum fault_result r = touch(mm, va, false, &p);

	if (r == FAULT_OK)
		*value = ref_content(p)[va / 8 % REF_WORDS];
	return r;
}

enum fault_result ref_write(struct ref_mm *mm, u64 va, u64 value)
{
	struct ref_page *p;
	enum fault_result r = touch(mm, va, true, &p);

	if (r != FAULT_OK)
		return r;
	make_own(p);
	p->maybe_zero = false;
	if (p->own)
		p->word[va / 8 % REF_WORDS] = value;
	else
		p->object->word[p->index][va / 8 % REF_WORDS] = value;
	return FAULT_OK;
}

/* What mlock and MAP_POPULATE do to one page. 0 or -EFAULT. */
static int populate_page(struct ref_page *p)
{
	if (p->flags & VM_LOCKONFAULT)
		return 0;
	if (!(p->flags & ACCESS))
		return -EFAULT;
	if (!ref_content(p))
		return -EFAULT;
	if ((p->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		make_own(p);
	return 0;
}

static int populate(struct ref_mm *mm, u64 start, u64 end, bool ignore_errors)
{
	for (u64 va = start; va < end; va += REF_PAGE) {
		struct ref_page *p = ref_page(mm, va);
		int err = p->mapped ? populate_page(p) : 0;

		if (err && !ignore_errors)
			return err;
	}
	return 0;
}

/* ---- mmap, munmap, brk ------------------------------------------------------------------------
 */

static u64 page_align(u64 x)
{
	return (x + REF_PAGE - 1) / REF_PAGE * REF_PAGE;
}

static u64 prot_flags(u32 prot)
{
	return (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
	       (prot & PROT_EXEC ? VM_EXEC : 0);
}

static bool lock_limit_ok(const struct ref_mm *mm, u64 flags, u64 len)
{
	return !(flags & VM_LOCKED) || mm->locked_pages + len / REF_PAGE <= mm->memlock_pages;
}

static int mmap_kind(u32 prot, u32 flags, const struct ref_file *file, u64 *vm_flags)
{
	u32 type = flags & 0x0f;

	if (type != MAP_SHARED && type != MAP_PRIVATE)
		return -EINVAL;
	if (type == MAP_SHARED) {
		if (file && (prot & PROT_WRITE) && !file->writable)
			return -EACCES;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		if (file && !file->writable)
			*vm_flags &= ~(u64)(VM_SHARED | VM_MAYWRITE);
	}
	if ((flags & MAP_GROWSDOWN) && (file || type == MAP_SHARED))
		return -EINVAL;
	return 0;
}

static void map_range(struct ref_mm *mm, u64 addr, u64 len, u64 vm_flags,
		      const struct ref_file *file, u64 offset)
{
	struct ref_object *shared = NULL;

	if (!file && (vm_flags & VM_SHARED))
		shared = ref_object_create(len / REF_PAGE);
	for (u64 i = 0; i < len / REF_PAGE; i++) {
		struct ref_page p = {.mapped = true, .flags = vm_flags, .file = file};

		p.object = file ? file->object : shared;
		p.index = p.object ? offset / REF_PAGE + i : 0;
		put_page(mm, addr + i * REF_PAGE, &p);
	}
	ref_object_put(shared);
}

s64 ref_mmap(struct ref_mm *mm, u64 addr, u64 len, u32 prot, u32 flags, const struct ref_file *file,
	     u64 offset)
{
	bool noreplace = flags & MAP_FIXED_NOREPLACE, fixed = noreplace || (flags & MAP_FIXED);
	u64 vm_flags = prot_flags(prot) | MAY_ALL;
	int err;

	if (offset % REF_PAGE)
		return -EINVAL;
	if (flags & MAP_ANONYMOUS)
		file = NULL;
	else if (!file)
		return -EBADF;
	if (!len)
		return -EINVAL;
	len = page_align(len);
	if (flags & MAP_ANONYMOUS)
		offset = 0;
	vm_flags |= flags & MAP_GROWSDOWN ? VM_GROWSDOWN : 0;
	vm_flags |= flags & MAP_LOCKED ? VM_LOCKED : 0;
	vm_flags |= flags & MAP_STACK ? VM_NOHUGEPAGE : 0;
	vm_flags |= flags & MAP_NORESERVE ? VM_NORESERVE : 0;

	if (!fixed) {
		s64 place = choose_place(mm, addr / REF_PAGE * REF_PAGE, len, file && file->huge,
					 !file && !(flags & MAP_SHARED), offset);

		if (place < 0)
			return place;
		addr = (u64)place;
	}
	if (addr % REF_PAGE)
		return -EINVAL;
	if (noreplace && !is_free(mm, addr, len))
		return -EEXIST;
	if (!lock_limit_ok(mm, vm_flags, len))
		return -EAGAIN;
	err = mmap_kind(prot, flags, file, &vm_flags);
	if (err)
		return err;
	map_range(mm, addr, len, vm_flags, file, offset);
	if ((flags & MAP_LOCKED) || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		(void)populate(mm, addr, addr + len, true);
	return (s64)addr;
}

int ref_munmap(struct ref_mm *mm, u64 addr, u64 len)
{
	if (addr % REF_PAGE || !len)
		return -EINVAL;
	clear_range(mm, addr, addr + page_align(len));
	return 0;
}

u64 ref_brk(struct ref_mm *mm, u64 brk)
{
	u64 new_end = page_align(brk), old_end = page_align(mm->brk);

	if (brk < mm->start_brk)
		return mm->brk;
	if (new_end < old_end) {
		if (is_free(mm, new_end, old_end - new_end))
			return mm->brk;
		clear_range(mm, new_end, old_end);
	} else if (new_end > old_end) {
		u64 above = next_mapped(mm, old_end);
		u64 gap = flags_at(mm, above) & VM_GROWSDOWN ? GUARD_PAGES : 0;

		if (new_end + REF_PAGE + gap * REF_PAGE > above)
			return mm->brk;
		map_range(mm, old_end, new_end - old_end, VM_READ | VM_WRITE | MAY_ALL, NULL, 0);
	}
	mm->brk = brk;
	return brk;
}

/* ---- mprotect, mlock, madvise ------------------------------------------------------------------
 */

int ref_mprotect(struct ref_mm *mm, u64 start, u64 len, u32 prot)
{
	u64 end = start + page_align(len);

	if (start % REF_PAGE)
		return -EINVAL;
	for (u64 va = start; va < end; va += REF_PAGE) {
		struct ref_page *p = ref_page(mm, va);
		u64 old = p->flags, new = (old & ~(u64)ACCESS) | prot_flags(prot);

		if (!is_mapped(mm, va))
			return -ENOMEM;
		if (((new &VM_READ) && !(old & VM_MAYREAD)) ||
		    ((new &VM_WRITE) && !(old & VM_MAYWRITE)) ||
		    ((new &VM_EXEC) && !(old & VM_MAYEXEC)))
			return -EACCES;
		set_flags(mm, va, new);
		/* a locked private page becomes writable: it is copied now */
		if ((old & (VM_WRITE | VM_SHARED | VM_LOCKED)) == VM_LOCKED && (new &VM_WRITE))
			(void)populate_page(p);
	}
	return 0;
}

static int lock_range(struct ref_mm *mm, u64 start, u64 end, u64 lock)
{
	for (u64 va = start; va < end; va += REF_PAGE) {
		if (!is_mapped(mm, va))
			return -ENOMEM;
		set_flags(mm, va, (ref_page(mm, va)->flags & ~(u64)LOCK_FLAGS) | lock);
	}
	return 0;
}

int ref_mlock(struct ref_mm *mm, u64 start, u64 len, bool onfault)
{
	u64 end = page_align(start + len), want = mm->locked_pages;
	int err;

	start = start / REF_PAGE * REF_PAGE;
	for (u64 va = start; va < end; va += REF_PAGE)
		want += !is_mapped(mm, va) || !(flags_at(mm, va) & VM_LOCKED);
	if (want > mm->memlock_pages)
		return -ENOMEM;
	err = lock_range(mm, start, end, VM_LOCKED | (onfault ? VM_LOCKONFAULT : 0));
	if (!err)
		err = populate(mm, start, end, false);
	return err ? -ENOMEM : 0;
}

int ref_munlock(struct ref_mm *mm, u64 start, u64 len)
{
	return lock_range(mm, start / REF_PAGE * REF_PAGE, page_align(start + len), 0);
}

static int advise_flags(struct ref_mm *mm, u64 va, int behavior)
{
	u64 f = ref_page(mm, va)->flags;

	switch (behavior) {
	case MADV_NORMAL:
		f &= ~(u64)(VM_SEQ_READ | VM_RAND_READ);
		break;
	case MADV_SEQUENTIAL:
		f = (f & ~(u64)VM_RAND_READ) | VM_SEQ_READ;
		break;
	case MADV_RANDOM:
		f = (f & ~(u64)VM_SEQ_READ) | VM_RAND_READ;
		break;
	case MADV_DONTFORK:
		f |= VM_DONTCOPY;
		break;
	case MADV_DOFORK:
		f &= ~(u64)VM_DONTCOPY;
		break;
	case MADV_WIPEONFORK:
		if (ref_page(mm, va)->object)
			return -EINVAL;
		f |= VM_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		f &= ~(u64)VM_WIPEONFORK;
		break;
	case MADV_DONTDUMP:
		f |= VM_DONTDUMP;
		break;
	case MADV_DODUMP:
		f &= ~(u64)VM_DONTDUMP;
		break;
	case MADV_HUGEPAGE:
		f = (f & ~(u64)VM_NOHUGEPAGE) | VM_HUGEPAGE;
		break;
	case MADV_NOHUGEPAGE:
		f = (f & ~(u64)VM_HUGEPAGE) | VM_NOHUGEPAGE;
		break;
	default:
		return -EINVAL;
	}
	set_flags(mm, va, f);
	return 0;
}

static int advise_page(struct ref_mm *mm, u64 va, int behavior)
{
	struct ref_page *p = ref_page(mm, va);

	switch (behavior) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		if (behavior == MADV_DONTNEED && (p->flags & VM_LOCKED))
			return -EINVAL;
		p->own = false;
		p->maybe_zero = false;
		return 0;
	case MADV_FREE:
		if (p->object || (p->flags & VM_LOCKED))
			return -EINVAL;
		p->maybe_zero = p->own;
		return 0;
	case MADV_COLD:
		return p->flags & VM_LOCKED ? -EINVAL : 0;
	case MADV_REMOVE:
		if ((p->flags & VM_LOCKED) || !p->object)
			return -EINVAL;
		if ((p->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
			return -EACCES;
		if (p->index < p->object->pages)
			memset(p->object->word[p->index], 0, sizeof(*p->object->word));
		return 0;
	default:
		return advise_flags(mm, va, behavior);
	}
}

/* MADV_POPULATE_*: stops at the first page that cannot be had. */
static int advise_populate(struct ref_mm *mm, u64 start, u64 end, bool write)
{
	for (u64 va = start; va < end; va += REF_PAGE) {
		struct ref_page *p = ref_page(mm, va);

		if (!p->mapped)
			return -ENOMEM;
		if (!(p->flags & (write ? VM_WRITE : VM_READ)))
			return -EINVAL;
		if (!ref_content(p))
			return -EFAULT;
		if (write) {
			make_own(p);
			p->maybe_zero = false;
		}
	}
	return 0;
}

int ref_madvise(struct ref_mm *mm, u64 start, u64 len, int behavior)
{
	u64 end = start + page_align(len);
	int hole = 0, err;

	if (start % REF_PAGE)
		return -EINVAL;
	if (behavior == MADV_POPULATE_READ || behavior == MADV_POPULATE_WRITE)
		return advise_populate(mm, start, end, behavior == MADV_POPULATE_WRITE);
	for (u64 va = start; va < end; va += REF_PAGE) {
		if (!is_mapped(mm, va)) {
			hole = -ENOMEM;
			continue;
		}
		err = advise_page(mm, va, behavior);
		if (err)
			return err;
	}
	return hole;
}

/* ---- mremap
 * -------------------------------------------------------------------------------------- */

static bool in_one_vma(struct ref_mm *mm, u64 addr, u64 len)
{
	u64 start, end;

	return mm->vma_of(mm->vma_of_arg, addr, &start, &end) && len <= end - addr;
}

/* Records of [addr, addr + old_len) appear at target, continued to new_len; then leave their old
 * place, or stay there with nothing of their own (dontunmap). Nothing is mapped at the target. */
static void move_pages(struct ref_mm *mm, u64 addr, u64 old_len, u64 target, u64 new_len,
		       bool dontunmap)
{
	struct ref_page last = *ref_page(mm, addr);
	u64 base = last.index;

	for (u64 i = 0; i < new_len / REF_PAGE; i++) {
		struct ref_page p = last;

		p.own = false;
		p.maybe_zero = false;
		p.index = last.object ? base + i : 0;
		if (i < old_len / REF_PAGE)
			p = *ref_page(mm, addr + i * REF_PAGE);
		put_page(mm, target + i * REF_PAGE, &p);
	}
	if (!dontunmap) {
		clear_range(mm, addr, addr + old_len);
		return;
	}
	for (u64 va = addr; va < addr + old_len; va += REF_PAGE) {
		ref_page(mm, va)->own = false;
		ref_page(mm, va)->maybe_zero = false;
	}
}

static s64 target_for(struct ref_mm *mm, u64 addr, u64 new_len, u64 hint)
{
	const struct ref_page *p = ref_page(mm, addr);

	return choose_place(mm, hint, new_len, p->file && p->file->huge,
			    !p->file && !(p->flags & VM_MAYSHARE),
			    p->file ? p->index * REF_PAGE : 0);
}

/* Same size, to a fixed place: page by page over VMAs and holes; a hole leaves what is there. */
static s64 move_fixed(struct ref_mm *mm, u64 addr, u64 len, u64 target, bool dontunmap)
{
	if (!is_mapped(mm, addr))
		return -EFAULT;
	for (u64 i = 0; i < len; i += REF_PAGE) {
		if (!is_mapped(mm, addr + i))
			continue;
		clear_page(mm, target + i);
		move_pages(mm, addr + i, REF_PAGE, target + i, REF_PAGE, dontunmap);
	}
	return (s64)target;
}

static s64 remap_grow(struct ref_mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags)
{
	u64 start, end, growth = new_len - old_len;
	struct ref_page next = *ref_page(mm, addr);

	if (!mm->vma_of(mm->vma_of_arg, addr, &start, &end))
		return -EFAULT;
	if (addr + old_len == end && is_free(mm, end, growth)) {
		next.own = false;
		next.maybe_zero = false;
		for (u64 i = old_len; i < new_len; i += REF_PAGE) {
			struct ref_page p = next;

			p.index = p.object ? next.index + i / REF_PAGE : 0;
			put_page(mm, addr + i, &p);
		}
		return (s64)addr;
	}
	return flags & MREMAP_MAYMOVE ? 0 : -ENOMEM;
}

/* What the arguments alone tell. */
static int remap_arguments(u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
	if (addr % REF_PAGE || !new_len)
		return -EINVAL;
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return 0;
	if (new_addr % REF_PAGE || !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && old_len != new_len)
		return -EINVAL;
	/* Overlap; without MREMAP_FIXED the hint must not overlap either. */
	return addr + old_len > new_addr && new_addr + new_len > addr ? -EINVAL : 0;
}

/* What the page at addr tells. */
static int remap_checks(struct ref_mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags)
{
	bool to = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	const struct ref_page *p = ref_page(mm, addr);

	if (!is_mapped(mm, addr))
		return -EFAULT;
	if (new_len <= old_len && !to)
		return 0;
	if (!old_len && !(p->flags & VM_MAYSHARE))
		return -EINVAL;
	if (!in_one_vma(mm, addr, min(old_len, new_len)))
		return -EFAULT;
	if (new_len > old_len && !lock_limit_ok(mm, p->flags, new_len - old_len))
		return -EAGAIN;
	return 0;
}

static s64 remap(struct ref_mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
	bool dontunmap = flags & MREMAP_DONTUNMAP;
	s64 target;
	int err;

	if ((flags & MREMAP_FIXED) && old_len == new_len)
		return move_fixed(mm, addr, old_len, new_addr, dontunmap);
	err = remap_checks(mm, addr, old_len, new_len, flags);
	if (err)
		return err;
	if (flags & MREMAP_FIXED) {
		clear_range(mm, new_addr, new_addr + new_len);
		if (!is_mapped(mm, addr))
			return -EFAULT; /* old_len 0, onto itself */
		if (old_len > new_len)
			clear_range(mm, addr + new_len, addr + old_len);
		move_pages(mm, addr, min(old_len, new_len), new_addr, new_len, false);
		return (s64)new_addr;
	}
	if (dontunmap) {
		target = target_for(mm, addr, new_len, new_addr);
		if (target < 0)
			return target;
		move_pages(mm, addr, old_len, (u64)target, new_len, true);
		return target;
	}
	if (old_len == new_len)
		return (s64)addr;
	if (old_len > new_len) {
		clear_range(mm, addr + new_len, addr + old_len);
		return (s64)addr;
	}
	target = remap_grow(mm, addr, old_len, new_len, flags);
	if (target)
		return target;
	target = target_for(mm, addr, new_len, 0);
	if (target >= 0)
		move_pages(mm, addr, old_len, (u64)target, new_len, false);
	return target;
}

s64 ref_mremap(struct ref_mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
	bool was_locked = in_arena(mm, addr) && (flags_at(mm, addr) & VM_LOCKED);
	s64 result;

	old_len = page_align(old_len);
	new_len = page_align(new_len);
	result = remap_arguments(addr, old_len, new_len, flags, new_addr);
	if (result)
		return result;
	result = remap(mm, addr, old_len, new_len, flags, new_addr);
	if (result >= 0 && was_locked && new_len > old_len)
		(void)populate(mm, (u64)result + old_len, (u64)result + new_len, true);
	return result;
}

/* ---- fork
 * ----------------------------------------------------------------------------------------- */

struct ref_mm *ref_fork(const struct ref_mm *mm)
{
	struct ref_mm *child = ref_create(mm->low, mm->high);
	struct ref_page *pages = child->page;

	*child = *mm;
	child->page = pages;
	child->locked_pages = 0;
	for (u64 va = mm->low; va < mm->high; va += REF_PAGE) {
		struct ref_page p = *ref_page(mm, va);

		if (!p.mapped || (p.flags & VM_DONTCOPY))
			continue;
		p.flags &= ~(u64)LOCK_FLAGS;
		if (p.flags & VM_WIPEONFORK)
			p.own = p.maybe_zero = false;
		put_page(child, va, &p);
	}
	return child;
}
