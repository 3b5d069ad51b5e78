/*
 * sim/symbols.c - function names for call stacks
 *
 * Reads the symbol table of /proc/self/exe (ELF, of this host's word size), which has static functions
 * too unless the program was stripped; dladdr() for what is in shared libraries.
 * Failure      no names: addresses are printed instead.
 */
#include "sim/symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *image; /* of the file; NULL: none */
static u64 load_base;
static const ElfW(Sym) *symbols;
static u64 symbol_count;
static const char *strings;

static void find_table(size_t bytes)
{
	const ElfW(Ehdr) *eh = (const void *)image;
	const ElfW(Shdr) *sh;

	if (bytes < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_shoff + (u64)eh->e_shnum * sizeof(*sh) > bytes)
		return;
	sh = (const void *)(image + eh->e_shoff);
	for (u32 i = 0; i < eh->e_shnum; i++) {
		if (sh[i].sh_type != SHT_SYMTAB || sh[i].sh_offset + sh[i].sh_size > bytes ||
		    sh[i].sh_link >= eh->e_shnum)
			continue;
		symbols = (const void *)(image + sh[i].sh_offset);
		symbol_count = sh[i].sh_size / sizeof(*symbols);
		strings = image + sh[sh[i].sh_link].sh_offset;
	}
}

static int first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	*(u64 *)arg = info->dlpi_addr;
	return 1;
}

static void read_own_image(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_size > 0) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED) {
			image = map;
			dl_iterate_phdr(first_object, &load_base);
			find_table((size_t)st.st_size);
		}
	}
	close(fd);
}

const char *symbol_of(const void *address, u64 *offset)
{
	u64 at = (u64)(uintptr_t)address;
	Dl_info info;

	if (!image)
		read_own_image();
	for (u64 i = 0; i < symbol_count; i++) {
		const ElfW(Sym) *s = &symbols[i];

		if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_size &&
		    at - load_base - s->st_value < s->st_size) {
			*offset = at - load_base - s->st_value;
			return strings + s->st_name;
		}
	}
	if (!dladdr(address, &info) || !info.dli_sname)
		return NULL;
	*offset = at - (u64)(uintptr_t)info.dli_saddr;
	return info.dli_sname;
}
