/*
 * sim/virtual/charge_check.h - what the engine tells the checker of plain accesses (charge_check.c)
 *
 * Without MMSIM_CHECK_CHARGES all of it is empty.
 */
#ifndef MMSIM_CHARGE_CHECK_H
#define MMSIM_CHARGE_CHECK_H

#include <mmsim/types.h>

struct vcpu;
struct vtask;
struct machine;

#ifdef MMSIM_CHECK_CHARGES
/* The current task has paid for the line, for reading or for writing. It has it now. */
void charge_noted(struct vcpu *c, u64 line, bool write);
/* A system call, a fault, an RCU call-back begins: nothing has been charged. */
void charge_section_begins(struct vcpu *c);
/* The task ends, or its place is used by another. */
void charge_forget_task(struct vtask *t);
/* The machine goes. Does not return if there were reports. */
void charge_forget_machine(struct machine *m);
#else
#define charge_noted(c, line, write) ((void)0)
#define charge_section_begins(c) ((void)0)
#define charge_forget_task(t) ((void)0)
#define charge_forget_machine(m) ((void)0)
#endif

#endif
