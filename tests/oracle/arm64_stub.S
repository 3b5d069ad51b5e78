/*
 * tests/oracle/arm64_stub.S - runs on the emulated processor: executes the probes of a table image
 *
 * Starts at EL1 with the MMU off. struct arm64_control (arm64_mmu.c) says what to put into the
 * translation registers. The MMU is turned on with walks by TTBR0 disabled: the fetch that follows
 * must fault, and the vector, in the half of TTBR1, goes on at the address in x20. So the half of
 * TTBR0 needs no mapping for the stub's sake.
 * Every probe: empty the TLB, make one access, write down what was loaded, ESR, FAR, PAR and the
 * vector. The code is position independent: it is seen at its physical address first, then at
 * the address that the control block gives.
 *
 * Registers of the loop: x19 control, x20 where an exception continues, x21 probe, x22 result, x23
 * probes left, x24 user_ops as EL0 sees it, x25 address, x26 operation, x27 value to store.
 * A result: x0 what was loaded or returned, x1 ESR, x2 FAR, x3 PAR, x5 the vector's number.
 */
	.arch	armv8.2-a+pan
	.equ	CONTROL_PA, 0x40220000

	.text
start:
	ldr	x19, =CONTROL_PA
	ldp	x0, x1, [x19]			/* MAIR, TCR with EPD0 */
	msr	mair_el1, x0
	msr	tcr_el1, x1
	ldp	x0, x1, [x19, #16]		/* TTBR0, TTBR1 */
	msr	ttbr0_el1, x0
	msr	ttbr1_el1, x1
	ldp	x0, x1, [x19, #32]		/* SCTLR, the stub's address */
	adr	x2, start
	adr	x3, vectors
	sub	x3, x3, x2
	add	x3, x3, x1
	msr	vbar_el1, x3
	adr	x3, main
	sub	x3, x3, x2
	add	x20, x3, x1
	ldr	x4, [x19, #48]			/* TCR */
	ldr	x24, [x19, #56]			/* user_ops */
	ldr	x6, [x19, #64]			/* control */
	ldr	x23, [x19, #72]			/* probes */
	ldr	x21, [x19, #80]			/* the first probe */
	ldr	x22, [x19, #88]			/* the first result */
	mov	x19, x6
	tlbi	vmalle1
	dsb	sy
	isb
	msr	sctlr_el1, x0
	isb
	b	.				/* never: the fetch faults */

main:
	msr	tcr_el1, x4
	isb
next:
	cbz	x23, power_off
	ldp	x25, x26, [x21]
	ldp	x27, x28, [x21, #16]		/* value; PSTATE.PAN in bit 22 */
	tlbi	vmalle1
	dsb	sy
	isb
	msr	s3_0_c4_c2_3, x28		/* PAN */
	mov	x0, xzr
	mov	x1, #-1
	mov	x2, xzr
	mov	x3, xzr
	mov	x5, #-1
	adr	x20, done
	adr	x4, ops
	add	x4, x4, x26, lsl #4
	br	x4

	.balign	16
ops:	/* 16 bytes each, in the order of enum arm64_probe_op */
	ldr	x0, [x25]
	b	done
	.balign	16
	str	x27, [x25]
	b	done
	.balign	16
	blr	x25				/* movz, movk, ret: x0 is where that was */
	b	done
	.balign	16
	mov	x4, x24
	b	enter_el0
	.balign	16
	add	x4, x24, #8
	b	enter_el0
	.balign	16
	add	x4, x24, #16
	b	enter_el0
	.balign	16
	at	s1e1r, x25
	b	translated
	.balign	16
	at	s1e1w, x25
	b	translated
	.balign	16
	at	s1e0r, x25
	b	translated
	.balign	16
	at	s1e0w, x25
	b	translated
	.balign	16
	at	s1e1rp, x25
	b	translated
	.balign	16
	at	s1e1wp, x25
translated:
	isb
	mrs	x3, par_el1
	b	done

enter_el0:
	msr	elr_el1, x4
	msr	spsr_el1, xzr
	eret

done:
	stp	x0, x1, [x22]
	stp	x2, x3, [x22, #16]
	str	x5, [x22, #32]
	add	x21, x21, #32
	add	x22, x22, #40
	sub	x23, x23, #1
	b	next

power_off:					/* PSCI SYSTEM_OFF */
	movz	w0, #0x8400, lsl #16
	movk	w0, #0x0008
	hvc	#0
	b	.

	.ltorg

	.macro	vector number
	.balign	128
	mrs	x1, esr_el1
	mrs	x2, far_el1
	mov	x5, #\number
	br	x20
	.endm

	.balign	2048
vectors:
	.irp	number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\number
	.endr

	.balign	65536
user_ops:
	ldr	x0, [x25]
	svc	#0
	str	x27, [x25]
	svc	#0
	blr	x25
	svc	#0
