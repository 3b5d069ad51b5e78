/* sim/cli/beside.h - become another of mmsim's programs: the one in the folder of this one */
#ifndef MMSIM_CLI_BESIDE_H
#define MMSIM_CLI_BESIDE_H

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* DIR/name of the running program's folder DIR, in path (PATH_MAX bytes). Else -1. */
static inline int path_beside(const char *name, char *path)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - strlen(name) - 2);
	char *slash;

	if (len <= 0)
		return -1;
	path[len] = 0;
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, name);
	return 0;
}

/* Returns only if it failed, with errno: no such program there, nor in $PATH. */
static inline void exec_beside(const char *name, char **argv)
{
	char path[PATH_MAX];

	if (path_beside(name, path) == 0)
		execv(path, argv);
	execvp(name, argv);
}

#endif
