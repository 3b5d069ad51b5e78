/*
 * mm/locking/spf_common.c - what the speculative page faults of 2017 and of 2021 share
 *
 * Tests        tests/unit/mm/locking/test_spf.c
 */
#include "mm/locking/spf_common.h"

void spf_copy_vma(struct fault *f, const struct vma *vma)
{
	struct vma *copy = &mm_task()->fault_vma;

	line_read(vma, start);
	line_read(vma, file);
	line_write(copy, start);
	line_write(copy, file);
	copy->start = READ_UNPRICED(vma->start);
	copy->end = READ_UNPRICED(vma->end);
	copy->mm = READ_UNPRICED(vma->mm);
	copy->flags = READ_UNPRICED(vma->flags);
	copy->pgoff = READ_UNPRICED(vma->pgoff);
	copy->anon_vma = READ_UNPRICED(vma->anon_vma);
	copy->file = READ_UNPRICED(vma->file);
	copy->name = READ_UNPRICED(vma->name);
	f->vma = copy;
}

enum counter spf_check_copy(const struct fault *f, bool needs_anon_vma)
{
	const struct vma *vma = f->vma;

	/* A stack may have to grow: that is for the classic way. */
	if (unlikely(f->va < vma->start || f->va >= vma->end))
		return COUNTER_SPF_ABORT_UNMAPPED;
	if (unlikely(!vma_is_anonymous(vma)))
		return COUNTER_SPF_ABORT_NOTSUP;
	if (unlikely(needs_anon_vma && !vma->anon_vma))
		return COUNTER_SPF_ABORT_NOANON;
	if (unlikely(!vma_allows(vma, f->access)))
		return COUNTER_SPF_ABORT_ACCESS;
	return SPF_ADMITTED;
}

/*
 * x86 delivers a flush by interrupt, and who unmaps waits until it has been taken: so tables cannot be
 * freed while interrupts are off, natively (where there are none: cpu.h) not, nor where a broadcast
 * flushes. There, and in Linux wherever tables are freed by RCU, a section with interrupts off is
 * an RCU reader. The engines' RCU has to be told.
 */
void spf_walk_begin(struct fault *f)
{
	(void)f;
	local_irq_disable();
	rcu_read_lock();
}

void spf_walk_end(struct fault *f)
{
	(void)f;
	rcu_read_unlock();
	local_irq_enable();
}

void spf_count_end(const struct fault *f, bool retry)
{
	static const enum counter reason[REFUSAL_COUNT] = {
		[REFUSED_NOT_SAID] = COUNTER_SPF_RETRY,
		[REFUSED_KIND] = COUNTER_SPF_ABORT_NOTSUP,
		[REFUSED_NO_ANON_VMA] = COUNTER_SPF_ABORT_NOANON,
		[REFUSED_NO_TABLE] = COUNTER_SPF_ABORT_PMD,
		[REFUSED_VMA_CHANGED] = COUNTER_SPF_ABORT_SEQ1,
		[REFUSED_PTL_BUSY] = COUNTER_SPF_ABORT_PTE_LOCK,
		[REFUSED_VMA_CHANGED_PTL] = COUNTER_SPF_ABORT_SEQ2,
	};

	count_event(likely(!retry) ? COUNTER_SPF_SUCCESS : reason[f->refusal]);
}

void spf_free_vma_rcu(struct rcu_head *head)
{
	/* Its mm may be gone; the machine is not. */
	objcache_free(mm_machine(this_cpu()->machine)->vma_cache,
		      container_of(head, struct vma, rcu));
}
