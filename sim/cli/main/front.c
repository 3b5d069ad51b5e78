/*
 * sim/cli/main/front.c - mmsim and the programs named after workloads: exec the engine's program
 *
 * Each engine is an executable of its own (the primitives are inline). This one only becomes the
 * right one, so that a debugger follows. MMSIM_PROGRAM is its name, which tells mmsim-native what
 * it is to be, however this file was renamed or linked to.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENGINE_PROGRAM "mmsim-native"

int main(int argc, char **argv)
{
	static char name[] = MMSIM_PROGRAM;
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(ENGINE_PROGRAM) - 1);
	char *slash;

	if (argc < 1)
		return 2;
	argv[0] = name;
	if (len > 0) {
		path[len] = 0;
		slash = strrchr(path, '/');
		strcpy(slash ? slash + 1 : path, ENGINE_PROGRAM);
		execv(path, argv);
	}
	execvp(ENGINE_PROGRAM, argv);
	fprintf(stderr, "%s: %s: %s (it belongs beside this program)\n", name, ENGINE_PROGRAM,
		strerror(errno));
	return 1;
}
