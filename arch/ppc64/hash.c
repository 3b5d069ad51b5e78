/*
 * arch/ppc64/hash.c - ppc64 with a hashed page table (POWER8) under Linux: 64 KiB pages
 *
 * Models       Linux's tree of entries as the truth, and the hash table as the cache of it that the
 *              MMU reads: segments through the SLB, filled on a segment interrupt; a hash fault
 *              that inserts or corrects an HPTE and sets Accessed and Dirty in the entry; the
 *              page-fault handler's inserting it at once, which saves the hash fault; the
 *              entry's software bits that say where its HPTE is; eviction when both groups are
 *              full; removal when the entry changes or goes.
 * Context      An mm's is its root's frame number: what the VSIDs of its segments are made of.
 *              Addresses below 1 TiB are in segments of 256 MiB, others in segments of 1 TiB.
 * Protocol     H_PAGE_BUSY locks an entry: whoever inserts its HPTE, or changes an entry that has
 *              one, sets it by compare-and-exchange, and everybody else waits. So an HPTE is never
 *              inserted for an entry that is changing, and on return from hash_pte_exchange() no
 *              HPTE of the old entry is left. An evicted HPTE's entry is not told: its bits may
 *              point to another page's HPTE, which the name tells apart.
 * TLB          Removal does not invalidate TLBs: that is tlb_flush_range(), as for every arch.
 *              Eviction need not: what a TLB has left of it goes with the entry's own flush.
 * Guarantee    As in Linux a store to a clean page is a protection fault of the MMU that the hash
 *              fault resolves. HPTE_R_R is set from the start and HPTE_R_C with the right to store,
 *              so the MMU finds nothing to set; Accessed and Dirty of the tree's entry are the truth.
 * Leaves out   sub-pages of 4 KiB, THP and 16 MiB leaves, lazy batches of removals, subpage
 *              protection, kernel addresses. An entry that may only be executed may be read too
 *              once its HPTE is there: PP has no such value (Linux: a key, or the same).
 * Locks        H_PAGE_BUSY, under it HPTE_V_LOCK; both inside instruction windows or with
 *              interrupts as the caller has them; holders never wait for anything else.
 * Defined in   Power ISA 2.07 Book III-S 5.7; Linux book3s64/hash_utils, hash64_64k, hash_native.
 * Tests        tests/unit/arch/ppc64/test_hash.c, tests/oracle/ppc64_hash.c
 */
#include <mmsim/charge.h>
#include <mmsim/cpu.h>
#include <mmsim/page.h>

#include "arch/ppc64/hash.h"
#include "arch/ppc64/hash_linux.h"
#include "arch/ppc64/ppc64.h"

/* Of one CPU: registers, in life. */
struct hash_cpu {
	struct slb slb;
	u64 root_pa;  /* whose segments these are */
	u32 random;   /* of evictions */
} __cacheline_aligned;

struct hash_machine {
	struct hpt hpt;
	u64 bytes; /* of its entries */
	struct hash_cpu cpus[MMSIM_CPU_IDS_MAX];
};

static inline struct hash_machine *hash_machine(const struct memory *mem)
{
	return mem->mmu_state;
}

struct hpt *hash_table_of(const struct memory *mem)
{
	return &hash_machine(mem)->hpt;
}

/* ---- segments ---------------------------------------------------------------------------------- */

/* Context and segment number, scrambled so that neighbours hash apart. The multiplier is Linux's. */
#define VSID_MULTIPLIER 12538073ull
#define VSID_BITS(segment_shift) (HASH_CONTEXT_BITS + HASH_EA_BITS - (segment_shift))

static inline u32 segment_shift_of(u64 ea)
{
	return ea >> SEGMENT_SHIFT_1T ? SEGMENT_SHIFT_1T : SEGMENT_SHIFT_256M;
}

static u64 vsid_of(u64 context, u64 ea, u32 segment_shift)
{
	u64 high = context >> HASH_CONTEXT_BITS, low = context & ((1ull << HASH_CONTEXT_BITS) - 1);
	u64 proto = low << (HASH_EA_BITS - segment_shift) | ea >> segment_shift;

	/* All ones would be as 0: but the last segment is one of 1 TiB, and the first is not. */
	return high << VSID_BITS(segment_shift) |
	       proto * VSID_MULTIPLIER % ((1ull << VSID_BITS(segment_shift)) - 1);
}

struct slb_entry hash_segment(u64 context, u64 ea)
{
	u32 shift = segment_shift_of(ea);
	u64 vsid = vsid_of(context, ea, shift);

	return (struct slb_entry){
		.rb = (ea & ~((1ull << shift) - 1)) | SLB_RB_V,
		.rs = (shift == SEGMENT_SHIFT_1T ? vsid << 24 | SLB_RS_B_1T : vsid << 12) | SLB_RS_KS |
		      SLB_RS_KP | SLB_RS_C | slb_llp(HASH_64K),
	};
}

u64 hash_context(const struct arch_desc *a, u64 root_pa)
{
	return (root_pa >> a->page_shift) + 1;
}

static inline struct hash_page page_of(const struct arch_desc *a, u64 root_pa, u64 va)
{
	struct slb_entry segment = hash_segment(hash_context(a, root_pa), va);

	return hash_page_of(&segment, va, HASH_64K);
}

/* This CPU's SLB, for the mm whose root this is: another mm's segments went when it was loaded. */
static struct hash_cpu *this_hash_cpu(const struct memory *mem, u64 root_pa)
{
	struct hash_cpu *c = &hash_machine(mem)->cpus[this_cpu()->id];

	if (unlikely(c->root_pa != root_pa)) {
		for (u32 i = 0; i < SLB_ENTRIES; i++)
			c->slb.entries[i].rb = 0;
		c->slb.next = 0;
		c->root_pa = root_pa;
	}
	return c;
}

/* The segment interrupt: false if there is no such address. */
static bool slb_miss(const struct arch_desc *a, struct hash_cpu *c, u64 va)
{
	if (va >= a->task_size)
		return false;
	engine_charge(COST_SLB_MISS);
	count_event(COUNTER_SLB_MISS);
	c->slb.entries[c->slb.next] = hash_segment(hash_context(a, c->root_pa), va);
	c->slb.next = (c->slb.next + 1) % SLB_ENTRIES;
	return true;
}

/* ---- the hash fault ---------------------------------------------------------------------------- */

/* Second doubleword of an HPTE for this entry, but for the frame. */
static u64 hpte_flags(u64 e)
{
	u64 flags = HPTE_R_R | HPTE_R_M;

	if (!(e & HPAGE_EXEC))
		flags |= HPTE_R_N;
	if (e & HPAGE_DIRTY)
		flags |= HPTE_R_C;
	if (e & HPAGE_PRIVILEGED)
		return flags | HPTE_PP_NONE;
	return flags | ((e & HPAGE_WRITE) && (e & HPAGE_DIRTY) ? HPTE_PP_WRITE : HPTE_PP_READ_ALL);
}

static bool entry_allows(u64 e, enum access_kind kind, bool user)
{
	static const u64 needs[ACCESS_KINDS] = {
		[ACCESS_READ] = HPAGE_READ,
		[ACCESS_WRITE] = HPAGE_WRITE,
		[ACCESS_EXEC] = HPAGE_EXEC,
	};

	return (e & needs[kind]) && !(user && (e & HPAGE_PRIVILEGED));
}

static inline u64 entry_hpte_index(const struct hpt *hpt, const struct hash_page *page, u64 e)
{
	return hpt_group(hpt, page, e & H_PAGE_SECOND) + (e >> H_PAGE_SLOT_SHIFT & 7);
}

static inline u64 hpte_index_bits(u64 index, bool secondary)
{
	return H_PAGE_HASHPTE | (secondary ? H_PAGE_SECOND : 0) |
	       (index % HPTES_PER_GROUP) << H_PAGE_SLOT_SHIFT;
}

/* The entry's HPTE, inserted or corrected; e is busy. Returns the bits that say where it is. */
static u64 hpte_provide(struct hash_machine *hm, struct hash_cpu *c, const struct hash_page *page,
			u64 e)
{
	const struct hpt *hpt = &hm->hpt;
	u64 flags = hpte_flags(e), index;
	bool evicted;

	if (e & H_PAGE_HASHPTE) {
		index = entry_hpte_index(hpt, page, e);
		if (hpt_update(hpt, page, index, flags))
			return e & H_PAGE_FLAGS;
		/* It was evicted. */
	}
	index = hpt_insert(hpt, page, e & HPAGE_RPN, flags, false, &c->random, &evicted);
	count_event(COUNTER_HASH_INSERT);
	if (evicted)
		count_event(COUNTER_HASH_EVICT);
	return hpte_index_bits(index, index / HPTES_PER_GROUP * HPTES_PER_GROUP !=
					      hpt_group(hpt, page, false));
}

/* The kernel's answer to a hash fault, or what it does before there is one. True: the entry allows the
 * access, and the hash table says so too. */
static bool hash_page(const struct arch_desc *a, const struct memory *mem, struct hash_cpu *c,
		       u64 va, enum access_kind kind, bool user)
{
	struct hash_machine *hm = hash_machine(mem);
	struct hash_page page;
	struct pt_place at;
	pte_t raw;
	u64 e;

	if (va >= a->task_size ||
	    !arch_descend_tree(a, mem, c->root_pa >> a->page_shift, va, 0, &at))
		return false;
	/* Pairs with the release in hash_pte_exchange() and in the generic pte_set(). */
	raw = smp_load_acquire(at.entry);
	for (;;) {
		if (!(BE(raw) & HPAGE_PRESENT) || !entry_allows(BE(raw), kind, user))
			return false;
		if (unlikely(BE(raw) & H_PAGE_BUSY)) {
			cpu_relax();
			raw = smp_load_acquire(at.entry);
			continue;
		}
		e = BE(raw) | H_PAGE_BUSY | HPAGE_ACCESSED | (kind == ACCESS_WRITE ? HPAGE_DIRTY : 0);
		if (try_cmpxchg_acquire(at.entry, &raw, BE(e)))
			break;
	}
	engine_charge(COST_HASH_WORK);
	page = page_of(a, c->root_pa, va);
	e = (e & ~H_PAGE_FLAGS) | hpte_provide(hm, c, &page, e);
	smp_store_release(at.entry, BE(e & ~H_PAGE_BUSY));
	return true;
}

static bool hash_fault(const struct arch_desc *a, const struct memory *mem, struct hash_cpu *c,
		       u64 va, enum access_kind kind, bool user)
{
	if (!hash_page(a, mem, c, va, kind, user))
		return false; /* the page-fault handler's: the exception is charged there */
	engine_charge(COST_EXCEPTION);
	count_event(COUNTER_HASH_FAULT);
	return true;
}

static void hash_preload(const struct arch_desc *a, const struct memory *mem,
			 const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user)
{
	(void)hash_page(a, mem, this_hash_cpu(mem, regs->root[0]), va, kind, user);
}

/* ---- arch_ops: the MMU --------------------------------------------------------------------------- */

static void walk_result(const struct arch_desc *a, const struct hash_access *x, struct mmu_walk *w)
{
	w->entry = BE(x->r);
	w->level = 0;
	w->pfn = x->pa >> a->page_shift;
	w->attrs = PTE_ACCESSED | (x->may_read ? PTE_READ : 0) |
		   (x->may_write ? PTE_WRITE | PTE_DIRTY : 0) | (x->may_execute ? PTE_EXEC : 0) |
		   (x->by_users ? PTE_USER : 0);
}

bool hash_walk_refused(const struct hash_access *x, struct mmu_walk *w)
{
	w->entry = BE(x->r);
	w->level = 0;
	w->detail = x->causes;
	w->cause = !x->segment			      ? MMU_BAD_ADDRESS
		   : x->causes & DSISR_NO_TRANSLATION ? MMU_ABSENT
		   : x->causes & (DSISR_PROTECTION | SRR1_NO_EXECUTE) ? MMU_DENIED
								      : MMU_KEY;
	return false;
}

static bool hash_walk(const struct arch_desc *a, const struct memory *mem,
		      const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
		      struct mmu_walk *w)
{
	struct hash_machine *hm = hash_machine(mem);
	struct hash_cpu *c = this_hash_cpu(mem, regs->root[0]);
	struct hash_access x;

	/* Each turn but the last is an interrupt that the kernel resolves without its page-fault
	 * handler. Another CPU may evict what was just inserted. */
	for (;;) {
		if (likely(hash_translate(&hm->hpt, &c->slb, regs->keys, va, kind, user, &x))) {
			walk_result(a, &x, w);
			return true;
		}
		if (!x.segment) {
			if (!slb_miss(a, c, va))
				return hash_walk_refused(&x, w);
		} else if ((x.causes & DSISR_KEY) || !hash_fault(a, mem, c, va, kind, user)) {
			return hash_walk_refused(&x, w);
		}
	}
}

static bool hash_walk_traced(const struct arch_desc *a, const struct memory *mem,
			     const struct mmu_regs *regs, u64 va, enum access_kind kind, bool user,
			     struct walk_trace *trace, struct mmu_walk *w)
{
	u64 root_pfn = regs->root[0] >> a->page_shift;

	/* The way down the truth: the hash table has no levels to show. */
	for (u32 level = a->levels; va < a->task_size && level-- > 0;) {
		struct pt_place at;
		struct walk_step step;
		pte_t e;

		if (!arch_descend_tree(a, mem, root_pfn, va, level, &at))
			break;
		e = READ_ONCE(*at.entry);
		step = (struct walk_step){
			.pa = (u64)((char *)at.entry - mem->direct_map),
			.entry = e,
			.level = (u8)level,
			.leaf = level == 0 && (BE(e) & HPAGE_PRESENT),
		};
		trace->step(trace, &step);
	}
	return hash_walk(a, mem, regs, va, kind, user, w);
}

static struct syndrome hash_raise(const struct arch_desc *a, const struct mmu_regs *regs, u64 va,
				  enum access_kind kind, bool user, const struct mmu_walk *w)
{
	(void)a, (void)regs;
	if (w->cause == MMU_BAD_ADDRESS)
		return ppc64_segment_interrupt(va, kind, user);
	return ppc64_storage_interrupt(va, kind, user, w->detail ? w->detail : DSISR_PROTECTION);
}

/* ---- arch_ops: changes of entries ---------------------------------------------------------------- */

/* Remove the HPTE of the busy entry e. */
static void hpte_drop(const struct arch_desc *a, const struct memory *mem, u64 root_pfn, u64 va,
		      u64 e)
{
	const struct hpt *hpt = &hash_machine(mem)->hpt;
	struct hash_page page = page_of(a, root_pfn << a->page_shift, va);

	(void)hpt_remove(hpt, &page, entry_hpte_index(hpt, &page, e));
}

static pte_t hash_pte_exchange(const struct arch_desc *a, const struct memory *mem, u64 root_pfn,
			       u64 va, pte_t *pte, pte_t e)
{
	pte_t raw = READ_ONCE(*pte);

	e &= ~BE(H_PAGE_FLAGS);
	for (;;) {
		if (unlikely(BE(raw) & H_PAGE_BUSY)) {
			cpu_relax();
			raw = READ_ONCE(*pte);
		} else if (!(BE(raw) & H_PAGE_HASHPTE)) {
			if (try_cmpxchg(pte, &raw, e))
				return raw;
		} else if (try_cmpxchg(pte, &raw, raw | BE(H_PAGE_BUSY))) {
			break;
		}
	}
	hpte_drop(a, mem, root_pfn, va, BE(raw));
	smp_store_release(pte, e);
	return raw & ~BE(H_PAGE_FLAGS);
}

static bool hash_pte_try_change(const struct arch_desc *a, const struct memory *mem, u64 root_pfn,
				u64 va, pte_t *pte, pte_t *old, pte_t e)
{
	pte_t raw = *old;

	e &= ~BE(H_PAGE_FLAGS);
	if (unlikely(BE(raw) & H_PAGE_BUSY)) {
		cpu_relax();
		*old = READ_ONCE(*pte);
		return false;
	}
	if (!(BE(raw) & H_PAGE_HASHPTE))
		return try_cmpxchg(pte, old, e);
	if (!try_cmpxchg(pte, old, raw | BE(H_PAGE_BUSY)))
		return false;
	hpte_drop(a, mem, root_pfn, va, BE(raw));
	smp_store_release(pte, e);
	return true;
}

/* ---- arch_ops: the machine ----------------------------------------------------------------------- */

static const struct obj_field hpt_fields[] = {OBJ_FROM(0, "hash table group")};
static const struct obj_layout hpt_layout = {HPTES_PER_GROUP * sizeof(struct hpte), ARRAY_SIZE(hpt_fields),
					     hpt_fields};

/* Linux's size: a group for every two pages of memory. */
static u64 hpt_groups(const struct memory *mem)
{
	u64 groups = 2048;

	while (groups < mem->frames / 2)
		groups *= 2;
	return groups;
}

static int hash_machine_init(const struct arch_desc *a, struct machine *m, struct memory *mem)
{
	struct hash_machine *hm = machine_memory_alloc(m, sizeof(*hm), MMSIM_CACHE_LINE_BYTES);

	(void)a;
	MMSIM_BUG_ON(mem->frames >= 1ull << HASH_CONTEXT_BITS_MAX); /* a root must be a context */
	if (!hm)
		return -ENOMEM;
	hm->hpt.group_mask = hpt_groups(mem) - 1;
	hm->bytes = hpt_bytes(&hm->hpt);
	hm->hpt.entries = machine_memory_alloc(m, hm->bytes, 128);
	if (!hm->hpt.entries) {
		machine_memory_free(m, hm, sizeof(*hm));
		return -ENOMEM;
	}
	region_set_unpriced(m, hm, sizeof(*hm));
	region_set_layout(m, hm->hpt.entries, hm->bytes, &hpt_layout);
	mem->mmu_state = hm;
	return 0;
}

static void hash_machine_destroy(struct machine *m, struct memory *mem)
{
	struct hash_machine *hm = hash_machine(mem);

	if (!hm)
		return;
	for (u64 i = 0; i < (hm->hpt.group_mask + 1) * HPTES_PER_GROUP; i++)
		if (READ_UNPRICED(hm->hpt.entries[i].v))
			MMSIM_BUG("hash table entry %llu left: %016llx", (unsigned long long)i,
				  (unsigned long long)BE(hm->hpt.entries[i].v));
	mem->mmu_state = NULL;
	machine_memory_free(m, hm->hpt.entries, hm->bytes);
	machine_memory_free(m, hm, sizeof(*hm));
}

static const struct arch_ops hash_ops = {
	.walk = hash_walk,
	.walk_traced = hash_walk_traced,
	.descend = arch_descend_tree,
	.raise = hash_raise,
	.decode = ppc64_decode,
	.preload = hash_preload,
	.pte_exchange = hash_pte_exchange,
	.pte_try_change = hash_pte_try_change,
	.machine_init = hash_machine_init,
	.machine_destroy = hash_machine_destroy,
};

/* ---- description ----------------------------------------------------------------------------------- */

#define LEVELS_ALL 0xf
static const struct pte_field hash_fields[] = {
	{BE(HPAGE_PRESENT), BE(HPAGE_PRESENT), "present", IN_ANY, LEVELS_ALL},
	{BE(HPAGE_LEAF), BE(HPAGE_LEAF), "pte", IN_LEAF, LEVELS_ALL},
	{BE(H_PAGE_HASHPTE), BE(H_PAGE_HASHPTE), "hashpte", IN_LEAF, 1},
	{BE(H_PAGE_SECOND), BE(H_PAGE_SECOND), "second", IN_LEAF, 1},
	{BE(7ull << H_PAGE_SLOT_SHIFT), 0, "slot", IN_LEAF, 1},
	{BE(HPAGE_RPN), 0, "RPN", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_TABLE), 0, "table", IN_TABLE, LEVELS_ALL},
	{BE(H_PAGE_BUSY), BE(H_PAGE_BUSY), "busy", IN_LEAF, 1},
	{BE(HPAGE_SPECIAL), BE(HPAGE_SPECIAL), "special", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_ACCESSED), BE(HPAGE_ACCESSED), "accessed", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_DIRTY), BE(HPAGE_DIRTY), "dirty", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_PRIVILEGED), BE(HPAGE_PRIVILEGED), "privileged", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_READ), BE(HPAGE_READ), "r", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_WRITE), BE(HPAGE_WRITE), "w", IN_LEAF, LEVELS_ALL},
	{BE(HPAGE_EXEC), BE(HPAGE_EXEC), "x", IN_LEAF, LEVELS_ALL},
	{BE(HPTE_R_R), BE(HPTE_R_R), "R", IN_HASH, 1},
	{BE(HPTE_R_C), BE(HPTE_R_C), "C", IN_HASH, 1},
	{BE(HPTE_R_W), BE(HPTE_R_W), "W", IN_HASH, 1},
	{BE(HPTE_R_I), BE(HPTE_R_I), "I", IN_HASH, 1},
	{BE(HPTE_R_M), BE(HPTE_R_M), "M", IN_HASH, 1},
	{BE(HPTE_R_G), BE(HPTE_R_G), "G", IN_HASH, 1},
	{BE(HPTE_R_N), BE(HPTE_R_N), "N", IN_HASH, 1},
	{BE(HPTE_R_PP), 0, "PP", IN_HASH, 1},
	{0, 0, NULL, 0, 0},
};

#define HASH_TABLE BE(HPAGE_PRESENT)
/* set and clear by bit number of enum pte_attr: WRITE USER EXEC ACCESSED DIRTY SPECIAL READ. */
const struct arch_desc arch_ppc64_hash = {
	.name = "ppc64-hash",
	.page_shift = 16,
	.levels = 4,
	.idx_bits = {8, 10, 10, 8}, /* Linux's: 2 KiB, 8 KiB, 8 KiB, 2 KiB; here a frame each */
	.shift = {16, 24, 34, 44, 52},
	.task_size = 1ull << HASH_EA_BITS,
	.default_map_window = 1ull << 47,
	.va_mask = 0xfff0000000000000ull,
	.va_half = {0, 0xc000000000000000ull},
	.phys_bits = 57,
	.hw_sets_accessed = true, /* not hardware: the hash fault does, before there is a page fault */
	.hw_sets_dirty = true,
	.hashed = true,
	.big_endian = true,
	.tlb_invalidation = TLBI_SERIALISED,
	.tlb_full_flush_leaves = 33,
	.leaf_base = BE(HPAGE_PRESENT | HPAGE_LEAF),
	.huge_base = BE(HPAGE_PRESENT | HPAGE_LEAF),
	.huge_mask = BE(HPAGE_LEAF),
	.huge_value = BE(HPAGE_LEAF),
	.present = BE(HPAGE_PRESENT),
	.hw_present = {BE(HPAGE_PRESENT), BE(HPAGE_PRESENT), BE(HPAGE_PRESENT), BE(HPAGE_PRESENT)},
	.set = {BE(HPAGE_WRITE), 0, BE(HPAGE_EXEC), BE(HPAGE_ACCESSED), BE(HPAGE_DIRTY),
		BE(HPAGE_SPECIAL), BE(HPAGE_READ)},
	.clear = {0, BE(HPAGE_PRIVILEGED), 0, 0, 0, 0, 0},
	.pfn_mask = BE(HPAGE_RPN),
	.table_base = {0, HASH_TABLE, HASH_TABLE, HASH_TABLE},
	.table_pfn_mask = BE(HPAGE_TABLE),
	.fields = hash_fields,
	.syndromes = ppc64_syndromes,
	.signals = PPC64_SIGNALS,
	.key_register_bits = 64,
	.level_names = ppc64_hash_level_names,
	.ops = &hash_ops,
};
