/* sim/cli/main/virtual.c - mmsim-virtual: every command, on the virtual engine */
#include "sim/cli/cli.h"
#include "version.h" /* made by cmake/version.cmake at each build */

int main(int argc, char **argv)
{
	return cli_main(argc, argv, MMSIM_VERSION_TEXT);
}
