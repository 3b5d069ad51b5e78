/*
 * sim/native/topology.c - which host CPUs there are, through hwloc, and binding to them
 *
 * Host CPUs are listed one per core first, then the second hardware thread of each core, and so on:
 * tasks share a core only when there are more of them than cores. Only CPUs that the process may
 * use (its cpuset, taskset) are listed. Read once per process, kept until it ends.
 */
#include "sim/native/internal.h"

#include <hwloc.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static hwloc_topology_t topology; /* NULL when hwloc failed: nothing is bound then */
static hwloc_obj_t *pus;
static u32 pu_count = 1;

/* The nth processing unit of a core, or NULL. */
static hwloc_obj_t pu_of_core(hwloc_obj_t core, u32 nth)
{
	return hwloc_get_obj_inside_cpuset_by_type(topology, core->cpuset, HWLOC_OBJ_PU, nth);
}

static u32 list_pus(int cores, u32 total)
{
	u32 found = 0;

	for (u32 nth = 0; found < total; nth++) {
		u32 before = found;

		for (int c = 0; c < cores && found < total; c++) {
			hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, c);
			hwloc_obj_t pu = pu_of_core(core, nth);

			if (pu)
				pus[found++] = pu;
		}
		if (found == before)
			break;
	}
	return found;
}

/* hwloc lists what the machine has: leave what this process may use. */
static void restrict_to_allowed(void)
{
	hwloc_bitmap_t allowed = hwloc_bitmap_alloc();

	if (!allowed)
		return;
	if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_PROCESS) == 0)
		(void)hwloc_topology_restrict(topology, allowed, 0);
	hwloc_bitmap_free(allowed);
}

static void read_topology(void)
{
	int cores, total;

	if (hwloc_topology_init(&topology) < 0) {
		topology = NULL;
		return;
	}
	if (hwloc_topology_load(topology) < 0)
		goto fail;
	restrict_to_allowed();
	total = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
	if (total <= 0)
		goto fail;
	pus = calloc((size_t)total, sizeof(pus[0]));
	if (!pus)
		goto fail;
	cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
	pu_count = cores > 0 ? list_pus(cores, (u32)total) : 0;
	/* A machine that does not tell its cores: take its CPUs as they come. */
	for (; pu_count < (u32)total; pu_count++) {
		if (cores > 0)
			break;
		pus[pu_count] = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, pu_count);
	}
	return;
fail:
	hwloc_topology_destroy(topology);
	topology = NULL;
}

u32 native_host_cpus(void)
{
	pthread_once(&once, read_topology);
	return pu_count;
}

bool native_bind_thread(u32 idx)
{
	pthread_once(&once, read_topology);
	if (!topology || idx >= pu_count)
		return false;
	return hwloc_set_cpubind(topology, pus[idx]->cpuset, HWLOC_CPUBIND_THREAD) == 0;
}
