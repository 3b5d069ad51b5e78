/*
 * examples/first_fault.c - a program that uses libmmsim: map, write, fork, copy on write
 *
 *   cc first_fault.c $(pkg-config --cflags --libs mmsim-native) && ./a.out
 */
#include <inttypes.h>
#include <stdio.h>

#include <mmsim/mmsim.h>

int main(void)
{
	struct machine_config config = { .tasks = 1, .cpus = 1, .memory_bytes = 64 << 20, .content_words = 1 };
	struct machine *machine = machine_create(&config);
	struct mm *parent, *child;
	uint64_t seen = 0;
	int64_t va;
	int error;

	if (!machine || mm_machine_init(machine, &arch_x86_64, NULL))
		return 1;
	machine_enter(machine);
	parent = mm_create(machine, &arch_x86_64, &mm_locking_vma_refcnt);
	if (!parent)
		return 1;
	va = mm_mmap(parent, 0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	mmu_switch(parent);
	user_write((uint64_t)va, 42); /* faults a page in */
	child = mm_fork(parent, &error);
	if (!child)
		return 1;
	mmu_switch(child);
	user_write((uint64_t)va, 43); /* copy on write */
	mmu_switch(parent);
	user_read((uint64_t)va, &seen);
	mm_print_maps(parent, stdout);
	printf("the parent still reads %" PRIu64 "; faults: %" PRIu64 ", pages copied: %" PRIu64 "\n", seen,
	       machine_counter(machine, COUNTER_FAULT_TOTAL), machine_counter(machine, COUNTER_FAULT_WP_COPY));
	mmu_switch(NULL);
	mm_put(child);
	mm_put(parent);
	machine_leave();
	mm_machine_destroy(machine);
	machine_destroy(machine);
	return seen == 42 ? 0 : 1;
}
