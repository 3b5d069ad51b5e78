/* sim/symbols.h - function names of this program, static ones included: symbols.c */
#ifndef MMSIM_SIM_SYMBOLS_H
#define MMSIM_SIM_SYMBOLS_H

#include <mmsim/types.h>

/* The function that the address is in, and how far; NULL: not known. The program's own symbol table
 * is read at the first call. */
const char *symbol_of(const void *address, u64 *offset);

#endif
