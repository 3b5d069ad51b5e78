/*
 * sim/cli/main/front.c - mmsim and the programs named after workloads: exec the engine's program
 *
 * Each engine is an executable of its own (the primitives are inline). This one only becomes the
 * right one, so that a debugger follows. MMSIM_PROGRAM is its name, which tells the other what it
 * is to be, however this file was renamed or linked to.
 * The engine is looked for without knowing the other options; where that is not enough (-qe
 * virtual, a job file), the engine's program changes over (cli_engine_become()).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/cli/beside.h"

static const char *engine_program(const char *engine)
{
	return strcmp(engine, "virtual") == 0 ? "mmsim-virtual" : "mmsim-native";
}

/* What the last -e or --engine says. */
static const char *choose(int argc, char **argv)
{
	const char *program = engine_program("");

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--engine=", 9) == 0)
			program = engine_program(argv[i] + 9);
		else if (strncmp(argv[i], "-e", 2) == 0 && argv[i][2])
			program = engine_program(argv[i] + 2);
		else if ((strcmp(argv[i], "-e") == 0 || strcmp(argv[i], "--engine") == 0) &&
			 i + 1 < argc)
			program = engine_program(argv[++i]);
	}
	return program;
}

int main(int argc, char **argv)
{
	static char name[] = MMSIM_PROGRAM;
	const char *program;

	if (argc < 1)
		return 2;
	argv[0] = name;
	program = choose(argc, argv);
	exec_beside(program, argv);
	fprintf(stderr, "%s: %s: %s (it belongs beside this program)\n", name, program,
		strerror(errno));
	return 1;
}
