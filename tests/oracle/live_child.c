/*
 * tests/oracle/live_child.c - the process whose address space is played with
 *
 * Models       Nothing: this is the real kernel's side. A program without a C library, so that its
 *              address space holds only what is asked for: code, one bss (its stack included), the
 *              control page, and what exec made ([stack], [vvar], [vdso]).
 * Guarantee    Uses no memory outside its code, its bss and the control page. A touch that
 *              faults comes back as a result. fork makes the new process a sibling (CLONE_PARENT),
 *              so that the controller can wait for it: when waitpid() returns, its mm is gone.
 * Callers      live.c starts it with the control page's memfd as LIVE_CTL_FD.
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "live_proto.h"

#define STACK_BYTES 65536
#define SPINS 2000

void child_main(void);
static char child_stack[STACK_BYTES] __attribute__((aligned(4096), used));
static char signal_stack[STACK_BYTES] __attribute__((aligned(4096)));
static struct live_slot *slot;

/* exec's stack belongs to the game: leave it at once. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	leaq child_stack+65536(%rip), %rsp\n"
	"	call child_main\n"
	"	hlt\n"
	/* long touch_read(addr, uint64_t *value); long touch_write(addr, uint64_t value) */
	".globl touch_read, touch_write, touch_faulted, signal_return\n"
	"touch_read:\n"
	"	movq (%rdi), %rax\n"
	"	movq %rax, (%rsi)\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"touch_write:\n"
	"	movq %rsi, (%rdi)\n"
	"	xorl %eax, %eax\n"
	"touch_faulted:\n"
	"	ret\n"
	"signal_return:\n"
	"	movl $15, %eax\n" /* rt_sigreturn */
	"	syscall\n");
long touch_read(uint64_t addr, uint64_t *value);
long touch_write(uint64_t addr, uint64_t value);
extern const char touch_faulted[], signal_return[];

static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (regs[REG_RIP] != (greg_t)(uintptr_t)touch_read &&
	    regs[REG_RIP] != (greg_t)(uintptr_t)touch_write)
		sys6(SYS_exit_group, 99, 0, 0, 0, 0, 0);
	regs[REG_RIP] = (greg_t)(uintptr_t)touch_faulted;
	regs[REG_RAX] = sig << 8 | (info->si_code & 0xff);
}

/* The kernel's struct sigaction, which is not the C library's. */
struct raw_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	const void *restorer;
	uint64_t mask;
};

static void catch_faults(void)
{
	struct raw_sigaction act = {on_fault, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000,
				    signal_return, 0};
	stack_t ss = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};

	sys6(SYS_sigaltstack, (long)&ss, 0, 0, 0, 0, 0);
	sys6(SYS_rt_sigaction, SIGSEGV, (long)&act, 0, 8, 0, 0);
	sys6(SYS_rt_sigaction, SIGBUS, (long)&act, 0, 8, 0, 0);
}

static void wait_request(void)
{
	/* Pairs with the controller's release of LIVE_REQUEST: the arguments are there. */
	for (uint32_t i = 0; __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != LIVE_REQUEST; i++) {
		uint32_t seen = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

		if (i < SPINS)
			__builtin_ia32_pause();
		else if (seen != LIVE_REQUEST)
			sys6(SYS_futex, (long)&slot->state, FUTEX_WAIT, seen, 0, 0, 0);
	}
}

static void serve(void)
{
	long ret = 0;

	switch (slot->kind) {
	case LIVE_SYSCALL:
		ret = sys6((long)slot->nr, (long)slot->a[0], (long)slot->a[1], (long)slot->a[2],
			   (long)slot->a[3], (long)slot->a[4], (long)slot->a[5]);
		break;
	case LIVE_READ:
		ret = touch_read(slot->a[0], &slot->value);
		break;
	case LIVE_WRITE:
		ret = touch_write(slot->a[0], slot->a[1]);
		break;
	case LIVE_FORK:
		ret = sys6(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0);
		if (ret == 0) {
			slot = (struct live_slot *)LIVE_CTL_ADDR + slot->child;
			sys6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
		}
		break;
	default:
		sys6(SYS_exit_group, 0, 0, 0, 0, 0, 0);
	}
	slot->ret = ret;
	__atomic_store_n(&slot->state, LIVE_DONE, __ATOMIC_RELEASE);
	sys6(SYS_futex, (long)&slot->state, FUTEX_WAKE, 1, 0, 0, 0);
}

void child_main(void)
{
	long ctl = sys6(SYS_mmap, LIVE_CTL_ADDR, LIVE_CTL_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, LIVE_CTL_FD, 0);

	if (ctl != (long)LIVE_CTL_ADDR)
		sys6(SYS_exit_group, 98, 0, 0, 0, 0, 0);
	sys6(SYS_close, LIVE_CTL_FD, 0, 0, 0, 0, 0);
	slot = (struct live_slot *)LIVE_CTL_ADDR;
	sys6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	catch_faults();
	/* The signal stack's pages exist before anything is limited or locked. */
	for (unsigned int i = 0; i < STACK_BYTES; i += 4096) {
		signal_stack[i] = 1;
		((volatile char *)child_stack)[i] |= 0;
	}
	__atomic_store_n(&slot->state, LIVE_DONE, __ATOMIC_RELEASE);
	sys6(SYS_futex, (long)&slot->state, FUTEX_WAKE, 1, 0, 0, 0);
	for (;;) {
		wait_request();
		serve();
	}
}
