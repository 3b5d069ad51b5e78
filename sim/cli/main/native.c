/* sim/cli/main/native.c - mmsim-native: every command, on the native engine */
#include "sim/cli/cli.h"
#include "version.h" /* made by cmake/version.cmake at each build */

int main(int argc, char **argv)
{
	return cli_main(argc, argv, MMSIM_VERSION_TEXT);
}
