/*
 * sim/native/calibrate_host.c - what hwloc and the kernel say of this host: model, topology, caches
 *
 * Only CPUs that the process may use are counted (taskset, cgroups). A cluster is what shares the
 * last-level cache below a socket (a CCX); where that is the whole socket, there is one cluster.
 */
#include "sim/native/calibrate_internal.h"

#include <errno.h>
#include <hwloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* hwloc's objects above one logical CPU. */
struct above {
	hwloc_obj_t core, cluster, socket, node;
};

/* ---- names ---------------------------------------------------------------------------------- */

static void remove_word(char *text, const char *word)
{
	for (char *at = strstr(text, word); at; at = strstr(text, word))
		memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

/* A name that can stand in an INI value: one line of plain characters, single blanks. */
static void copy_name(char *to, size_t bytes, const char *from)
{
	char text[256];
	size_t at = 0;

	snprintf(text, sizeof(text), "%s", from);
	remove_word(text, "(R)");
	remove_word(text, "(TM)");
	remove_word(text, "(tm)");
	remove_word(text, " CPU");
	remove_word(text, " Processor");
	for (const char *s = text; *s && strncmp(s, " @", 2) && at + 1 < bytes; s++) {
		bool plain = *s > ' ' && *s < 0x7f && !strchr(";#=,\\\"", *s);

		if (plain)
			to[at++] = *s;
		else if (at && to[at - 1] != ' ')
			to[at++] = ' ';
	}
	while (at && to[at - 1] == ' ')
		at--;
	to[at] = 0;
}

static bool cpuinfo_model(char *text, size_t bytes)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		found = colon && (!strncmp(line, "model name", 10) || !strncmp(line, "cpu\t", 4));
		if (found)
			copy_name(text, bytes, colon + 1);
	}
	if (f)
		fclose(f);
	return found && text[0];
}

static void read_names(struct calib *c, hwloc_topology_t topology)
{
	struct calibration *out = c->out;
	hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
	const char *model = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
	time_t now = time(NULL);
	struct utsname uts;
	struct tm tm;

	if (uname(&uts))
		memset(&uts, 0, sizeof(uts));
	copy_name(out->kernel, sizeof(out->kernel), uts.release);
	if (model && *model)
		copy_name(out->cpu, sizeof(out->cpu), model);
	else if (!cpuinfo_model(out->cpu, sizeof(out->cpu)))
		copy_name(out->cpu, sizeof(out->cpu), uts.machine);
	if (!gmtime_r(&now, &tm) || !strftime(out->date, sizeof(out->date), "%Y-%m-%d", &tm))
		snprintf(out->date, sizeof(out->date), "unknown");
}

/* ---- topology ------------------------------------------------------------------------------- */

static int weight(hwloc_obj_t obj)
{
	return hwloc_bitmap_weight(obj->cpuset);
}

static hwloc_obj_t ancestor(hwloc_topology_t topology, hwloc_obj_t obj, hwloc_obj_type_t type)
{
	return hwloc_get_ancestor_obj_by_type(topology, type, obj);
}

static bool l2_is_private(hwloc_obj_t l2, hwloc_obj_t core)
{
	return weight(l2) <= weight(core);
}

/* The cache that cores share: the third level, else a second one that is not private. NULL: none.
 */
static hwloc_obj_t shared_cache(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_t core)
{
	hwloc_obj_t l3 = ancestor(topology, pu, HWLOC_OBJ_L3CACHE);
	hwloc_obj_t l2 = ancestor(topology, pu, HWLOC_OBJ_L2CACHE);

	if (l3)
		return l3;
	return l2 && !l2_is_private(l2, core) ? l2 : NULL;
}

/* False: the host refuses to bind. */
static bool find_above(hwloc_topology_t topology, u32 cpu, struct calib_place *p, struct above *a)
{
	hwloc_obj_t root = hwloc_get_root_obj(topology), pu, cache;
	hwloc_bitmap_t set = hwloc_bitmap_alloc();
	bool ok = set && native_bind_thread(cpu) &&
		  hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_THREAD) == 0;
	int os = ok ? hwloc_bitmap_first(set) : -1;

	hwloc_bitmap_free(set);
	pu = os >= 0 ? hwloc_get_pu_obj_by_os_index(topology, (unsigned)os) : NULL;
	if (!pu)
		return false;
	p->os = (u32)os;
	a->core = ancestor(topology, pu, HWLOC_OBJ_CORE);
	a->core = a->core ? a->core : pu;
	a->socket = ancestor(topology, pu, HWLOC_OBJ_PACKAGE);
	a->socket = a->socket ? a->socket : root;
	cache = shared_cache(topology, pu, a->core);
	a->cluster = cache && weight(cache) < weight(a->socket) ? cache : a->socket;
	p->node = pu->nodeset && hwloc_bitmap_first(pu->nodeset) > 0
			  ? (u32)hwloc_bitmap_first(pu->nodeset)
			  : 0;
	return true;
}

/* Number sockets, clusters and cores by first appearance, and count the parts of each. */
static void number_places(struct calib *c, const struct above *above, u32 *counts)
{
	u32 sockets = 0, clusters = 0, cores = 0;
	u32 *clusters_in = counts, *cores_in = clusters_in + c->cpus,
	    *threads_in = cores_in + c->cpus;

	for (u32 i = 0; i < c->cpus; i++) {
		struct calib_place *p = &c->place[i];

		p->socket = p->cluster = p->core = ~0u;
		for (u32 j = 0; j < i; j++) {
			if (above[j].socket == above[i].socket)
				p->socket = c->place[j].socket;
			if (above[j].cluster == above[i].cluster)
				p->cluster = c->place[j].cluster;
			if (above[j].core == above[i].core)
				p->core = c->place[j].core;
		}
		if (p->socket == ~0u)
			p->socket = sockets++;
		if (p->cluster == ~0u) {
			p->cluster = clusters++;
			clusters_in[p->socket]++;
		}
		if (p->core == ~0u) {
			p->core = cores++;
			cores_in[p->cluster]++;
		}
		threads_in[p->core]++;
	}
}

static u32 largest(const u32 *v, u32 n)
{
	u32 most = 0;

	for (u32 i = 0; i < n; i++)
		most = max(most, v[i]);
	return most;
}

static void set_topology(struct calib *c, const u32 *counts)
{
	struct rounds one = {.n = 1};
	u32 sockets = 0, clusters, cores, smt;
	const char *how = "hwloc, CPUs that the process may use";
	const u32 n = c->cpus;

	for (u32 i = 0; i < n; i++)
		sockets = max(sockets, c->place[i].socket + 1);
	clusters = largest(counts, n);
	cores = largest(counts + n, n);
	smt = largest(counts + 2 * n, n);
	if (sockets * clusters * cores * smt != n) {
		how = "hwloc, the largest: the host is uneven";
		calib_note(c, "uneven topology: %u CPUs are described as %u x %u x %u x SMT%u", n,
			   sockets, clusters, cores, smt);
	}
	while (cores > 1 && sockets * clusters * cores * smt > CALIBRATE_CPUS_MAX)
		cores--;
	const u32 values[] = {sockets, clusters, cores, smt};
	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		one.median = one.low = one.high = values[i];
		calib_measured(c, CALIBRATE_topology_sockets + i, &one, "%s", how);
	}
}

/* ---- caches --------------------------------------------------------------------------------- */

static u64 cache_bytes(hwloc_obj_t cache)
{
	return cache ? cache->attr->cache.size : 0;
}

static void set_kib(struct calib *c, enum calibrate_id id, u64 bytes)
{
	struct rounds one = {.n = 1};

	one.median = one.low = one.high = (double)(bytes / 1024);
	calib_measured(c, id, &one, "hwloc");
}

static void read_caches(struct calib *c, hwloc_topology_t topology)
{
	hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, c->place[0].os), core, l2;

	core = ancestor(topology, pu, HWLOC_OBJ_CORE);
	core = core ? core : pu;
	l2 = ancestor(topology, pu, HWLOC_OBJ_L2CACHE);
	c->l1_bytes = cache_bytes(ancestor(topology, pu, HWLOC_OBJ_L1CACHE));
	c->l2_bytes = l2 && l2_is_private(l2, core) ? cache_bytes(l2) : 0;
	c->llc_bytes = cache_bytes(shared_cache(topology, pu, core));
	if (c->l1_bytes)
		set_kib(c, CALIBRATE_cache_l1_kib, c->l1_bytes);
	else
		calib_estimated(c, CALIBRATE_cache_l1_kib, 32,
				"the host does not tell, the default");
	if (c->l2_bytes)
		set_kib(c, CALIBRATE_cache_l2_kib, c->l2_bytes);
	else
		calib_estimated(c, CALIBRATE_cache_l2_kib, calib_value(c, CALIBRATE_cache_l1_kib),
				"no private second level is known: as L1");
}

/* ---- the step ------------------------------------------------------------------------------- */

static int read_places(struct calib *c, hwloc_topology_t topology)
{
	struct above *above = calloc(c->cpus, sizeof(*above));
	u32 *counts = calloc(3 * (size_t)c->cpus, sizeof(*counts));
	int err = above && counts ? 0 : calib_fail(c, -ENOMEM, "out of memory");

	for (u32 i = 0; !err && i < c->cpus; i++) {
		if (!find_above(topology, i, &c->place[i], &above[i]))
			err = calib_fail(c, -EPERM, "the host refuses to bind threads to CPUs");
		else
			c->out->os_index[i] = c->place[i].os;
	}
	if (!err) {
		number_places(c, above, counts);
		set_topology(c, counts);
		read_caches(c, topology);
		for (u32 i = 0; i < c->cpus; i++)
			c->nodes = max(c->nodes, c->place[i].node + 1);
	}
	free(above);
	free(counts);
	return err;
}

int calib_host(struct calib *c)
{
	u32 all = native_host_cpus();
	hwloc_topology_t topology;
	int err;

	c->cpus = min(c->o->cpus ? min(c->o->cpus, all) : all, (u32)CALIBRATE_CPUS_MAX);
	if (c->cpus < all)
		calib_note(c, "only %u of %u CPUs were used", c->cpus, all);
	c->page_bytes = (u64)sysconf(_SC_PAGESIZE);
	c->out->cpus = c->cpus;
	c->place = calloc(c->cpus, sizeof(*c->place));
	c->out->os_index = calloc(c->cpus, sizeof(*c->out->os_index));
	c->out->pair_milli = calloc((size_t)c->cpus * c->cpus, sizeof(*c->out->pair_milli));
	if (!c->place || !c->out->os_index || !c->out->pair_milli)
		return calib_fail(c, -ENOMEM, "out of memory");
	if (hwloc_topology_init(&topology) < 0)
		return calib_fail(c, -ENOMEM, "hwloc cannot be started");
	if (hwloc_topology_load(topology) < 0) {
		err = calib_fail(c, -EIO, "hwloc cannot read the host's topology");
	} else {
		read_names(c, topology);
		err = read_places(c, topology);
	}
	hwloc_topology_destroy(topology);
	return err;
}

void calib_host_free(struct calib *c)
{
	free(c->place);
	c->place = NULL;
}
