/* workloads/all.c - the workloads that are chosen by name: add yours here */
#include <string.h>

#include "workloads/all.h"

const struct workload *const workload_all[] = {
	&workload_page_fault1, &workload_page_fault2, &workload_page_fault3, &workload_mmap1,
	&workload_ebizzy,      &workload_pft,         &workload_multi_fault, &workload_gc_heap,
	NULL,
};

const struct workload *workload_find(const char *name)
{
	for (u32 i = 0; workload_all[i]; i++)
		if (strcmp(workload_all[i]->name, name) == 0)
			return workload_all[i];
	return NULL;
}
