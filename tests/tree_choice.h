/*
 * tests/tree_choice.h - the VMA tree that a test runs with: MMSIM_TREE's, or each scheme's own
 *
 * So that one test body covers every tree (cmake/trees.cmake).
 */
#ifndef MMSIM_TEST_TREE_CHOICE_H
#define MMSIM_TEST_TREE_CHOICE_H

#include <stdlib.h>

#include <mmsim/mm.h>

/* NULL: the scheme's own. */
static inline const struct vma_tree_type *tree_choice(void)
{
	const char *name = getenv("MMSIM_TREE");
	const struct vma_tree_type *type = name ? vma_tree_type_find(name) : NULL;

	if (name && !type)
		MMSIM_BUG("MMSIM_TREE=%s: no such tree", name);
	return type;
}

#endif
