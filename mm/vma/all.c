/*
 * mm/vma/all.c - the registry: every VMA tree, the default first
 *
 * To add one: write mm/vma/NAME.c with one `const struct vma_tree_type`, declare it in
 * include/mmsim/vma.h, add it here. `--tree` and the tests find it through this array.
 */
#include <string.h>

#include <mmsim/charge.h>
#include <mmsim/objcache.h>
#include <mmsim/vma.h>

const struct vma_tree_type *const vma_tree_all[] = {
	&vma_tree_maple,
	&vma_tree_rb,
	NULL,
};

const struct vma_tree_type *vma_tree_type_find(const char *name)
{
	for (u32 i = 0; vma_tree_all[i]; i++)
		if (!strcmp(vma_tree_all[i]->name, name))
			return vma_tree_all[i];
	return NULL;
}

struct objcache *vma_tree_cache_create(struct machine *m, const struct vma_tree_type *type)
{
	struct objcache *nodes;
	char name[32] = "";

	if (!type->node_bytes)
		return NULL;
	strncat(name, type->name, sizeof(name) - sizeof("_node"));
	strcat(name, "_node");
	nodes = objcache_create(m, name, type->node_bytes, MMSIM_CACHE_LINE_BYTES, 0, NULL);
	if (nodes && type->node_layout)
		objcache_set_layout(nodes, type->node_layout);
	return nodes;
}

void vma_tree_init(struct vma_tree *t, const struct vma_tree_type *type, struct machine *m,
		   struct objcache *nodes)
{
	*t = (struct vma_tree){ .type = type, .machine = m, .nodes = nodes };
	type->init(t);
}
