/*
 * tests/oracle/ppc64_qemu.c - start qemu-system-ppc64 on a RAM file, wait for the stub to finish
 *
 * Guarantee    The child is gone and the file is removed when ppc64_qemu_close() returns.
 * Fails        -ETIMEDOUT after TIMEOUT_S; -EIO when qemu ends by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/ppc64/ppc64.h"
#include "tests/oracle/ppc64_qemu.h"

#define TIMEOUT_S 120
#define QEMU "qemu-system-ppc64"

/* Offsets in the control block: ppc64_stub.S. */
enum {
	CB_LPCR = 0,
	CB_PTCR = 8,
	CB_PID = 16,
	CB_SDR1 = 24,
	CB_PROBES = 32,
	CB_COUNT = 40,
	CB_SLB = 48,
	CB_SLB_COUNT = 56,
	CB_DONE = 64,
	CB_AMR = 72,
	CB_IAMR = 80,
};

bool ppc64_qemu_found(void)
{
	return !system("command -v " QEMU " >/dev/null 2>&1");
}

int ppc64_qemu_open(struct ppc64_qemu *q, u64 ram_bytes)
{
	/* Memory if there is some: qemu touches every page of a file system's file when it starts. */
	const char *dir = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	int fd, err;

	snprintf(q->path, sizeof(q->path), "%s/mmsim-ppc64-XXXXXX", dir);
	fd = mkstemp(q->path);
	if (fd < 0)
		return -errno;
	q->ram_bytes = ram_bytes;
	q->ram = MAP_FAILED;
	if (!ftruncate(fd, (off_t)ram_bytes))
		q->ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = errno;
	close(fd);
	if (q->ram != MAP_FAILED)
		return 0;
	unlink(q->path);
	return -err;
}

void ppc64_qemu_close(struct ppc64_qemu *q)
{
	munmap(q->ram, q->ram_bytes);
	unlink(q->path);
}

u64 ppc64_spot_tag(u64 pa)
{
	return pa >> 5;
}

void ppc64_spot_write(struct ppc64_qemu *q, u64 pa)
{
	u64 tag = ppc64_spot_tag(pa), hi = tag >> 16, lo = tag & 0xffff;

	MMSIM_BUG_ON(hi >= 0x8000); /* lis extends the sign */
	ppc64_put(q, pa, tag);
	ppc64_put(q, pa + 16, (0x3c600000 | hi) << 32 | 0x60630000 | lo); /* lis r3; ori r3, r3 */
	ppc64_put(q, pa + 24, 0x44000002ull << 32);			    /* sc */
}

static u64 probe_pa(u32 i)
{
	return PPC64_PROBES + (u64)i * sizeof(struct ppc64_probe);
}

void ppc64_probe_put(struct ppc64_qemu *q, u32 i, const struct ppc64_probe *p)
{
	MMSIM_BUG_ON(probe_pa(i + 1) > PPC64_FREE);
	for (u32 word = 0; word < sizeof(*p) / 8; word++)
		ppc64_put(q, probe_pa(i) + 8 * word, ((const u64 *)p)[word]);
}

struct ppc64_probe ppc64_probe_get(const struct ppc64_qemu *q, u32 i)
{
	struct ppc64_probe p;

	for (u32 word = 0; word < sizeof(p) / 8; word++)
		((u64 *)&p)[word] = ppc64_get(q, probe_pa(i) + 8 * word);
	return p;
}

static void control_write(struct ppc64_qemu *q, const struct ppc64_setup *s, u32 count)
{
	ppc64_put(q, PPC64_CONTROL + CB_LPCR, s->lpcr);
	ppc64_put(q, PPC64_CONTROL + CB_PTCR, s->ptcr);
	ppc64_put(q, PPC64_CONTROL + CB_PID, s->pid);
	ppc64_put(q, PPC64_CONTROL + CB_SDR1, s->sdr1);
	ppc64_put(q, PPC64_CONTROL + CB_PROBES, PPC64_PROBES);
	ppc64_put(q, PPC64_CONTROL + CB_COUNT, count);
	ppc64_put(q, PPC64_CONTROL + CB_SLB, PPC64_SLB);
	ppc64_put(q, PPC64_CONTROL + CB_SLB_COUNT, s->slb_count);
	ppc64_put(q, PPC64_CONTROL + CB_DONE, 0);
	ppc64_put(q, PPC64_CONTROL + CB_AMR, s->amr);
	ppc64_put(q, PPC64_CONTROL + CB_IAMR, 0);
	for (u32 i = 0; i < s->slb_count; i++) {
		ppc64_put(q, PPC64_SLB + 16 * i, s->slb[i].rb);
		ppc64_put(q, PPC64_SLB + 16 * i + 8, s->slb[i].rs);
	}
}

static _Noreturn void exec_qemu(const struct ppc64_qemu *q, const char *machine)
{
	char backend[400], model[128], mib[32];

	snprintf(backend, sizeof(backend), "memory-backend-file,id=ram,size=%llu,mem-path=%s,share=on",
		 (unsigned long long)q->ram_bytes, q->path);
	snprintf(model, sizeof(model), "%s,accel=tcg,memory-backend=ram", machine);
	snprintf(mib, sizeof(mib), "%lluM", (unsigned long long)(q->ram_bytes >> 20));
	execlp(QEMU, QEMU, "-machine", model, "-m", mib, "-object", backend, "-bios",
	       PPC64_STUB_PATH, "-display", "none", "-serial", "none", "-monitor", "none", "-nodefaults",
	       "-nographic", (char *)NULL);
	perror(QEMU);
	_exit(127);
}

int ppc64_qemu_run(struct ppc64_qemu *q, const struct ppc64_setup *setup, u32 count)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int status, err = -ETIMEDOUT;
	pid_t pid;

	control_write(q, setup, count);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		exec_qemu(q, setup->machine);
	for (u32 i = 0; i < TIMEOUT_S * 500 && err == -ETIMEDOUT; i++) {
		nanosleep(&pause, NULL);
		if (ppc64_get(q, PPC64_CONTROL + CB_DONE))
			err = 0;
		else if (waitpid(pid, &status, WNOHANG) == pid) {
			fprintf(stderr, "%s ended before the probes did (status %#x)\n", QEMU, status);
			return -EIO;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (err) {
		u32 made = 0;

		while (made < count && ppc64_probe_get(q, made).vector)
			made++;
		fprintf(stderr, "%s: %u of %u probes in %d s\n", setup->machine, made, count, TIMEOUT_S);
	}
	return err;
}

/* ---- comparison ------------------------------------------------------------------------------- */

#define SRR1_SET_BY_INTERRUPT 0x783f0000ull

bool ppc64_answer_equal(const struct ppc64_probe *p, const struct ppc64_answer *m)
{
	u64 causes = m->s.code & PPC64_CODE_CAUSES;

	if (m->ok)
		return p->vector == PPC64_VECTOR_SC && !p->dsisr && !p->dar &&
		       p->value == (p->kind == ACCESS_WRITE ? 0 : ppc64_spot_tag(ALIGN_DOWN(m->pa, 32)));
	if (p->vector != m->s.vector)
		return false;
	if (p->kind == ACCESS_EXEC)
		return p->srr0 == m->s.va && !p->dsisr && !p->dar &&
		       p->srr1 == ((p->msr & ~SRR1_SET_BY_INTERRUPT) | causes);
	return p->dar == m->s.va && p->dsisr == causes;
}

void ppc64_answer_show(u32 i, const struct ppc64_probe *p, const struct ppc64_answer *m)
{
	static const char *const kinds[] = {"load", "store", "execute"};

	printf("probe %u: %s by %s state at %#llx\n", i, kinds[p->kind],
	       p->msr & MSR_PR ? "problem" : "privileged", (unsigned long long)p->ea);
	if (m->ok)
		printf("  model: pa %#llx\n", (unsigned long long)m->pa);
	else
		printf("  model: vector %#x causes %#llx address %#llx\n", m->s.vector,
		       (unsigned long long)(m->s.code & PPC64_CODE_CAUSES),
		       (unsigned long long)m->s.va);
	printf("  qemu:  vector %#llx dsisr %#llx dar %#llx srr0 %#llx srr1 %#llx value %#llx (pa %#llx)\n",
	       (unsigned long long)p->vector, (unsigned long long)p->dsisr,
	       (unsigned long long)p->dar, (unsigned long long)p->srr0, (unsigned long long)p->srr1,
	       (unsigned long long)p->value, (unsigned long long)p->value << 5);
}

u32 ppc64_check_stores(const struct ppc64_qemu *q, const struct ppc64_answer *answers, u32 count)
{
	u32 wrong = 0;

	for (u32 i = 0; i < count; i++) {
		struct ppc64_probe p = ppc64_probe_get(q, i);
		bool last = p.kind == ACCESS_WRITE && answers[i].ok;

		for (u32 j = i + 1; j < count && last; j++)
			last = !answers[j].ok || answers[j].pa != answers[i].pa;
		if (last && ppc64_get(q, answers[i].pa) != p.store && wrong++ < SHOWN_MAX)
			printf("probe %u: its store did not arrive at %#llx\n", i,
			       (unsigned long long)answers[i].pa);
	}
	return wrong;
}
