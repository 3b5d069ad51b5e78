/*
 * tests/oracle/x86_stub.S - the guest side of the x86 oracle: it makes each probed access and writes
 * down what the processor made of it
 *
 * The image is a 64 KiB ROM that starts at the reset vector, in real mode. It enters long mode by
 * the page table that config names and goes on at its copy in RAM, at STUB_VA, which every probed
 * table maps too. A probe is: load the registers, CR3 last (that empties the TLB), and load, store
 * or jump, in ring 0 or 3. Code at the target is "mov $pfn, %eax; jmp *%rbx", so nothing here
 * needs a stack that a probe could forbid. Every exception ends the probe.
 *
 * r13: probes left; r14: result; r15: probe. Ring 3 keeps them.
 */
#include "tests/oracle/x86_stub.h"

#define ROM 0xf0000
#define CODE64 0x08
#define DATA64 0x10
#define USER_DATA 0x1b
#define USER_CODE 0x23
#define CODE32 0x28
#define TSS 0x30
#define MSR_EFER 0xc0000080
/* Where the copy in RAM has a label, for supervisors and for users. */
#define AT(label) (STUB_VA + STUB_CODE + (label - start))
#define USER_AT(label) (STUB_USER_VA + (label - start))

	.text
start:

/* ---- real mode, protected mode -------------------------------------------------------------- */
	.code16
entry16:
	cli
	lgdtl	%cs:(boot_gdtr - start)
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$CODE32, $(ROM + (entry32 - start))

	.code32
entry32:
	mov	$DATA64, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	STUB_CONFIG + CONFIG_CR4, %eax
	mov	%eax, %cr4
	mov	STUB_CONFIG + CONFIG_CR3, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$0x900, %eax /* NXE, LME */
	xor	%edx, %edx
	wrmsr
	mov	$0x80000011, %eax /* PG, ET, PE */
	mov	%eax, %cr0
	ljmpl	$CODE64, $(ROM + (entry64_low - start))

/* ---- long mode ------------------------------------------------------------------------------ */
	.code64
entry64_low:
	movabs	$AT(entry64), %rax
	jmp	*%rax
entry64:
	movabs	$(STUB_VA + STUB_STACK), %rsp
	lgdt	gdtr(%rip)
	/* The TSS descriptor: base and present. */
	lea	tss(%rip), %rax
	lea	tss_desc(%rip), %rdi
	mov	%ax, 2(%rdi)
	shr	$16, %rax
	mov	%al, 4(%rdi)
	mov	%ah, 7(%rdi)
	shr	$16, %rax
	mov	%eax, 8(%rdi)
	lidt	idtr(%rip)
	mov	$TSS, %eax
	ltr	%ax
	mov	$DATA64, %eax
	mov	%eax, %ss

	movabs	$(STUB_VA + STUB_CONFIG), %rbp
	xor	%eax, %eax
	cpuid
	mov	%rbx, CONFIG_VENDOR(%rbp)
	mov	$7, %eax
	xor	%ecx, %ecx
	cpuid
	mov	%rbx, CONFIG_FEATURES_B(%rbp)
	mov	%rcx, CONFIG_FEATURES_C(%rbp)
	mov	$0x80000001, %eax
	cpuid
	mov	%rdx, CONFIG_EXTENDED_D(%rbp)
	mov	$0x80000008, %eax
	cpuid
	mov	%rax, CONFIG_ADDRESSES(%rbp)
	mov	CONFIG_COUNT(%rbp), %r13
	movabs	$(STUB_VA + STUB_PROBES), %r15
	movabs	$(STUB_VA + STUB_RESULTS), %r14

probe:
	test	%r13, %r13
	jz	finished
	movabs	$(STUB_VA + STUB_STACK), %rsp
	push	PROBE_RFLAGS(%r15)
	/* Registers that are slow to write, if they change. */
	mov	PROBE_CR4(%r15), %rax
	mov	%cr4, %rcx
	cmp	%rax, %rcx
	je	1f
	mov	%rax, %cr4
1:	mov	PROBE_CR0(%r15), %rax
	mov	%cr0, %rcx
	cmp	%rax, %rcx
	je	1f
	mov	%rax, %cr0
1:	mov	PROBE_EFER(%r15), %rax
	cmp	efer(%rip), %rax
	je	1f
	mov	%rax, efer(%rip)
	mov	$MSR_EFER, %ecx
	xor	%edx, %edx
	wrmsr
1:	testl	$(1 << 22), PROBE_CR4(%r15)
	jz	1f
	mov	PROBE_PKRU(%r15), %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	wrpkru
1:	mov	$STUB_CR2, %eax
	mov	%rax, %cr2
	mov	PROBE_VA(%r15), %rsi
	mov	PROBE_VALUE(%r15), %rdi
	movzbl	PROBE_KIND(%r15), %ecx
	cmpb	$0, PROBE_USER(%r15)
	jne	user
	mov	PROBE_CR3(%r15), %rax
	popfq /* AC */
	mov	%rax, %cr3
	xor	%eax, %eax
	lea	supervisor_done(%rip), %rbx
	cmp	$1, %ecx
	ja	supervisor_fetch
	je	supervisor_store
	mov	(%rsi), %rax
	jmp	supervisor_done
supervisor_store:
	mov	%rdi, (%rsi)
	jmp	supervisor_done
supervisor_fetch:
	jmp	*%rsi
supervisor_done:
	movabs	$(STUB_VA + STUB_STACK), %rsp
	push	$0
	push	$STUB_DONE
	jmp	record

user:
	pop	%rbx /* rflags */
	push	$USER_DATA
	push	$0
	push	%rbx
	push	$USER_CODE
	lea	user_targets(%rip), %rax
	push	(%rax, %rcx, 8)
	movabs	$USER_AT(user_done), %rbx
	mov	PROBE_CR3(%r15), %rax
	mov	%rax, %cr3
	xor	%eax, %eax
	iretq

user_load:
	mov	(%rsi), %rax
	ud2
user_store:
	mov	%rdi, (%rsi)
	ud2
user_fetch:
	jmp	*%rsi
user_done:
	ud2

/* On the stack: vector, error code. */
record:
	pop	%rcx
	pop	%rdx
	mov	%rax, RESULT_VALUE(%r14)
	mov	%cr2, %rax
	mov	%rax, RESULT_CR2(%r14)
	mov	%rdx, RESULT_ERROR(%r14)
	mov	%rcx, RESULT_VECTOR(%r14)
	add	$RESULT_BYTES, %r14
	add	$PROBE_BYTES, %r15
	dec	%r13
	jmp	probe

finished:
	mov	$STUB_EXIT_PORT, %edx
	mov	$STUB_EXIT_OK, %eax
	out	%eax, %dx
	hlt
	jmp	finished

/* ---- exceptions ------------------------------------------------------------------------------- */

	/* 8, 10..14, 17, 21, 29, 30 push an error code; the others get one here. 16 bytes each. */
	.balign	16
	/* ud2 is how ring 3 comes back. Wild code that meets one has not the value to show for it. */
thunks:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	!((0x60227d00 >> vector) & 1)
	push	$0
	.endif
	.if	vector == 6
	push	$STUB_DONE
	.else
	push	$vector
	.endif
	jmp	record
	.set	vector, vector + 1
	.endr

/* ---- tables ------------------------------------------------------------------------------------- */

	.balign	16
user_targets:
	.quad	USER_AT(user_load), USER_AT(user_store), USER_AT(user_fetch)
efer:
	.quad	0

	.balign	16
gdt:
	.quad	0
	.quad	0x00af9b000000ffff /* CODE64 */
	.quad	0x00cf93000000ffff /* DATA64 */
	.quad	0x00cff3000000ffff /* USER_DATA */
	.quad	0x00affb000000ffff /* USER_CODE */
	.quad	0x00cf9b000000ffff /* CODE32 */
tss_desc:
	.quad	0x0000890000000067, 0
gdt_end:
boot_gdtr:
	.word	gdt_end - gdt - 1
	.long	ROM + (gdt - start)
gdtr:
	.word	gdt_end - gdt - 1
	.quad	AT(gdt)
idtr:
	.word	16 * 32 - 1
	.quad	AT(idt)

	.balign	16
tss:
	.long	0
	.quad	STUB_VA + STUB_STACK
	.fill	92, 1, 0

	/* The image starts at a multiple of 64 KiB: a label's low half is its offset. */
	.macro	gate label, offset, type
	.word	\label - start + \offset, CODE64, \type, ((STUB_VA + STUB_CODE) >> 16) & 0xffff
	.long	0xffffffff, 0
	.endm
	.balign	16
idt:
	.set	vector, 0
	.rept	32
	gate	thunks, (16*vector), 0x8e00
	.set	vector, vector + 1
	.endr

/* ---- reset vector ------------------------------------------------------------------------------- */

	.org	STUB_ROM_BYTES - 16
	.code16
	ljmpw	$0xf000, $(entry16 - start)
	.org	STUB_ROM_BYTES
