/*
 * tests/oracle/ppc64_stub.S - firmware that makes loads, stores and jumps and writes down what came of them
 *
 * Models       nothing: it is the probe. qemu-system-ppc64 starts it at 0x10, 64-bit, big-endian,
 *              hypervisor state, translation off.
 * Protocol     ppc64_qemu.h: the control block at CONTROL says how to set the MMU up, where the
 *              probes are and how many. Each probe is made by rfid into the MSR that it names;
 *              whatever interrupt follows is its result. "sc" is the good end of a probe.
 * Mapping      problem state forces instruction relocation on, so the page of this stub is mapped
 *              at its own address by the tables under test, readable and executable by users.
 * Registers    r20 control block, r21 this probe, r22 probes left, r27 vector: nobody else's.
 */
	.set CONTROL, 0x8000
	.set CB_LPCR, 0
	.set CB_PTCR, 8
	.set CB_PID, 16
	.set CB_SDR1, 24
	.set CB_PROBES, 32
	.set CB_COUNT, 40
	.set CB_SLB, 48
	.set CB_SLB_COUNT, 56
	.set CB_DONE, 64
	.set CB_AMR, 72
	.set CB_IAMR, 80

	.set P_EA, 0
	.set P_KIND, 8		/* 0 load, 1 store, 2 execute */
	.set P_MSR, 16
	.set P_STORE, 24	/* what a store stores */
	.set P_VECTOR, 32	/* results from here on */
	.set P_DSISR, 40
	.set P_DAR, 48
	.set P_SRR0, 56
	.set P_SRR1, 64
	.set P_VALUE, 72	/* r3 */
	.set P_BYTES, 128

	.machine "power9"
	.text
	.globl _start
_start:
	.org 0x10
	b	setup

	.macro vector at
	.org	\at
	li	%r27, \at
	b	record
	.endm
	.irp at, 0x100, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xc00, 0xd00, 0xe00, 0xe20, 0xe40, 0xe60, 0xe80, 0xf00, 0xf20, 0xf40, 0xf60, 0xf80
	vector	\at
	.endr

	.org 0x2000
setup:
	li	%r20, 0
	ori	%r20, %r20, CONTROL
	ld	%r3, CB_LPCR(%r20)
	mtspr	318, %r3		/* LPCR */
	isync
	ld	%r3, CB_AMR(%r20)
	mtspr	29, %r3			/* AMR */
	ld	%r3, CB_IAMR(%r20)
	mtspr	61, %r3			/* IAMR */
	ld	%r3, CB_PTCR(%r20)
	cmpdi	%r3, 0
	beq	1f
	mtspr	464, %r3		/* PTCR: POWER9 */
1:	ld	%r3, CB_PID(%r20)
	mtspr	48, %r3			/* PID */
	ld	%r3, CB_SDR1(%r20)
	cmpdi	%r3, 0
	beq	2f
	mtspr	25, %r3			/* SDR1: POWER8 */
2:	li	%r3, 0
	mtspr	319, %r3		/* LPID: 0 */
	slbia
	isync
	/* slbia leaves entry 0: an invalid one is put there */
	li	%r3, 0
	li	%r4, 0
	slbmte	%r4, %r3
	ld	%r5, CB_SLB(%r20)
	ld	%r6, CB_SLB_COUNT(%r20)
	cmpdi	%r6, 0
	beq	4f
	mtctr	%r6
3:	ld	%r3, 0(%r5)		/* ESID, V, index */
	ld	%r4, 8(%r5)		/* B, VSID, Ks Kp N L C LP */
	slbmte	%r4, %r3
	addi	%r5, %r5, 16
	bdnz	3b
4:	isync
	ld	%r21, CB_PROBES(%r20)
	ld	%r22, CB_COUNT(%r20)

next:
	cmpdi	%r22, 0
	beq	finished
	ld	%r4, P_EA(%r21)
	ld	%r5, P_KIND(%r21)
	ld	%r6, P_MSR(%r21)
	ld	%r7, P_STORE(%r21)
	/* Each probe by the tables: qemu's TLB lets a fetch from a guarded page through after a load. */
	li	%r3, 0xc00		/* the whole TLB */
	.long	0x7c001a24		/* tlbiel r3: old and new encoding agree */
	ptesync
	isync
	lis	%r3, 0x7fff
	mtspr	22, %r3			/* DEC: problem state enables interrupts */
	li	%r3, 0
	mtspr	18, %r3			/* DSISR and DAR keep their values over an instruction fault */
	mtspr	19, %r3
	mtspr	27, %r6			/* SRR1 */
	cmpdi	%r5, 1
	blt	1f
	beq	2f
	mtspr	26, %r4
	rfid
1:	li	%r8, 0
	ori	%r8, %r8, (do_load - _start)
	mtspr	26, %r8
	rfid
2:	li	%r8, 0
	ori	%r8, %r8, (do_store - _start)
	mtspr	26, %r8
	rfid

record:
	std	%r27, P_VECTOR(%r21)
	mfspr	%r8, 18
	std	%r8, P_DSISR(%r21)
	mfspr	%r8, 19
	std	%r8, P_DAR(%r21)
	mfspr	%r8, 26
	std	%r8, P_SRR0(%r21)
	mfspr	%r8, 27
	std	%r8, P_SRR1(%r21)
	std	%r3, P_VALUE(%r21)
	addi	%r21, %r21, P_BYTES
	addi	%r22, %r22, -1
	b	next

finished:
	sync
	li	%r3, 1
	std	%r3, CB_DONE(%r20)
	sync
	b	.

	.org 0x4000
do_load:
	ld	%r3, 0(%r4)
	sc
do_store:
	std	%r7, 0(%r4)
	sc
	.org 0x5000
