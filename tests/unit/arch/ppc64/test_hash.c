/*
 * tests/unit/arch/ppc64/test_hash.c - ppc64's hash table: rights, names, hashes, insertion, and the tree over it
 *
 * Goal:   the MMU's search and judgement are those of Power ISA 2.07 Book III-S 5.7; software's side
 *         never leaves an HPTE behind that the tree does not allow.
 * Method: the reference writes rights as strings from the manual's table and names as 128-bit
 *         virtual addresses. The tree is driven through mm/ with pages that all hash to the same
 *         two groups, so that most insertions evict, and every HPTE is held against the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/ppc64/hash_linux.h"
#include "arch/ppc64/ppc64.h"
#include "mm/internal.h"
#include "tests/unit/test_seed.h"

#define GROUPS 2048u

static struct hpte entries[GROUPS * HPTES_PER_GROUP];
static const struct hpt hpt = {.entries = entries, .group_mask = GROUPS - 1};

/* ---- the hardware's side -------------------------------------------------------------------- */

/* Power ISA 2.07 Book III-S figure 32: rights by PP (PP0, PP1:2) and key. */
static const char *const pp_rights[8][2] = {
	{"rwx", ""}, {"rwx", "rx"}, {"rwx", "rwx"}, {"rx", "rx"}, {"", ""}, {"", ""}, {"rx", ""}, {"", ""},
};

static void product_of_bits(void **state)
{
	const u64 ea = 0x3123456780ull;
	u32 cases = 0;

	for (u32 bits = 0; bits < 1u << 10; bits++)
		for (u32 amr = 0; amr < 4; amr++)
			for (u32 kind = 0; kind < ACCESS_KINDS; kind++)
				for (u32 user = 0; user < 2; user++, cases++) {
					u32 pp = bits & 7;
					bool n = bits >> 3 & 1, g = bits >> 4 & 1, r = bits >> 5 & 1,
					     c = bits >> 6 & 1, ks = bits >> 7 & 1, kp = bits >> 8 & 1,
					     segment_n = bits >> 9 & 1, found, evicted;
					u64 flags = (u64)(pp >> 2) << 63 | (pp & 3) | (u64)n << 2 | (u64)g << 3 |
						    (u64)r << 8 | (u64)c << 7 | 5ull << 9 | 2ull << 60;
					struct slb slb = {0};
					struct slb_entry *s = &slb.entries[7];
					const char *rights = pp_rights[pp][user ? kp : ks];
					u32 want = 0, random = 0;
					struct hash_page page;
					struct hash_access x;
					u64 index;

					s->rb = (ea & ~0xfffffffull) | 0x08000000;
					s->rs = 0xabcdeull << 12 | (u64)ks << 11 | (u64)kp << 10 |
						(u64)segment_n << 9 | 0x110;
					page = hash_page_of(s, ea, 16);
					index = hpt_insert(&hpt, &page, 0x7770000, flags, false, &random,
							   &evicted);
					/* Key 21: bits 42 and 43 of AMR, stores and loads. */
					found = hash_translate(&hpt, &slb, (u64)amr << 2 * (31 - 21), ea,
							       (enum access_kind)kind, user, &x);
					if (kind == ACCESS_EXEC) {
						want = segment_n || n || g	     ? 0x10000000
						       : !strchr(rights, 'x') ? 0x08000000
									      : 0;
					} else {
						if (!strchr(rights, kind == ACCESS_WRITE ? 'w' : 'r'))
							want |= 0x08000000;
						if (amr & (kind == ACCESS_WRITE ? 2 : 1))
							want |= 0x00200000;
					}
					assert_int_equal(found, !want);
					assert_int_equal(x.causes, want);
					if (found) {
						u64 rc = (u64)(kind == ACCESS_WRITE) << 7 | 1 << 8;

						/* What a TLB keeps of it, for every kind of access. */
						assert_int_equal(x.may_read, strchr(rights, 'r') && !(amr & 1));
						assert_int_equal(x.may_write, strchr(rights, 'w') && !(amr & 2));
						assert_int_equal(x.may_execute,
								 strchr(rights, 'x') && !segment_n && !n && !g);
						assert_int_equal(x.pa, 0x7770000 | (ea & 0xffff));
						assert_int_equal(BE(entries[index].r),
								 0x7770000 | 1 << 12 | flags | rc);
					} else {
						assert_int_equal(BE(entries[index].r), 0x7770000 | 1 << 12 | flags);
					}
					assert_true(hpt_remove(&hpt, &page, index));
				}
	printf("%u accesses\n", cases);
}

/* The group of a page and the name in its HPTE, from the 78-bit virtual address. */
static void hashes_and_names(void **state)
{
	static const u32 sizes[] = {12, 16, 24};
	u64 rng = test_seed("hashes_and_names");
	const struct hpt big = {.entries = NULL, .group_mask = ~0ull >> 8};

	for (u32 i = 0; i < 20000; i++) {
		bool tera = i & 1;
		u32 b = sizes[test_random(&rng) % 3], s = tera ? 40 : 28, random = 0;
		u64 vsid = test_random(&rng) >> (tera ? 26 : 14), ea = test_random(&rng);
		unsigned __int128 va = (unsigned __int128)vsid << s | (ea & ((1ull << s) - 1));
		struct slb_entry e = {.rb = 0x08000000,
				      .rs = (vsid << (tera ? 24 : 12)) | (tera ? 1ull << 62 : 0) | slb_llp(b)};
		struct hash_page page = hash_page_of(&e, ea, b);
		u64 offset = (u64)va & ((1ull << s) - 1), hash = vsid ^ offset >> b;
		u64 index, name;
		bool evicted;

		/* 5.7.7.3: 1 TiB: VSID and VSID shifted by 25 bits. */
		if (tera)
			hash ^= vsid << 25;
		assert_int_equal(hpt_group(&big, &page, false) / 8, hash & big.group_mask);
		assert_int_equal(hpt_group(&big, &page, true) / 8, ~hash & big.group_mask);
		/* The name: B, the virtual address from bit 23 up, without what is inside the page. */
		name = (u64)((va >> b << b) >> 23) << 7 | (tera ? 1ull << 62 : 0);
		index = hpt_insert(&hpt, &page, 0, 0, false, &random, &evicted);
		assert_int_equal(BE(entries[index].v), name | 1 | (b > 12 ? 4 : 0));
		assert_int_equal(slb_base_shift(e.rs), b);
		assert_true(hpt_remove(&hpt, &page, index));
	}
}

static void insert_update_remove(void **state)
{
	struct slb slb = {.entries = {{.rb = 0x08000000, .rs = 0x5000 | slb_llp(16) | SLB_RS_KP}}};
	struct hash_page pages[24], other;
	u64 index[24];
	u32 random = 0, gone = 0;
	struct hash_access x;
	bool evicted;

	/* VSID 5, pages 2048 apart: one hash. 24 pages for two groups. */
	for (u32 i = 0; i < 24; i++) {
		struct slb_entry s = {.rb = 0x08000000, .rs = ((u64)i << 11 | 5) << 12 | slb_llp(16)};

		pages[i] = hash_page_of(&s, 0x30000, 16);
		assert_int_equal(hpt_group(&hpt, &pages[i], false), hpt_group(&hpt, &pages[0], false));
		index[i] = hpt_insert(&hpt, &pages[i], (u64)i << 16, HPTE_PP_WRITE, i == 0 || i == 9,
				      &random, &evicted);
		assert_int_equal(evicted, i >= 16);
		if (i < 16) {
			assert_int_equal(index[i] / 8 * 8, hpt_group(&hpt, &pages[0], i >= 8));
			assert_int_equal(BE(entries[index[i]].v) & HPTE_V_SECONDARY, i >= 8 ? 2 : 0);
		}
		assert_int_equal(BE(entries[index[i]].v) & HPTE_V_LOCK, 0);
	}
	/* Neither bolted page went; somebody else's place is not theirs to change. */
	assert_true(hpt_update(&hpt, &pages[0], index[0], HPTE_PP_READ_ALL));
	assert_true(hpt_update(&hpt, &pages[9], index[9], HPTE_PP_READ_ALL));
	assert_true(hash_translate(&hpt, &slb, 0, 0x3abcd, ACCESS_READ, true, &x));
	assert_int_equal(x.pa, 0xabcd);
	assert_false(hash_translate(&hpt, &slb, 0, 0x3abcd, ACCESS_WRITE, true, &x));
	assert_int_equal(x.causes, 0x08000000);
	other = pages[1];
	other.vsid ^= 1ull << 30;
	assert_false(hpt_remove(&hpt, &other, index[1]));
	for (u32 i = 0; i < 24; i++)
		gone += !hpt_remove(&hpt, &pages[i], index[i]);
	assert_int_equal(gone, 8);
	for (u32 i = 0; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(entries[i].v, 0);
}

/* ---- the tree and the table ------------------------------------------------------------------ */

#define PAGES 300u
#define PAGE 0x10000ull
#define STRIDE (GROUPS * PAGE) /* in a segment of 1 TiB: the same low bits of the hash */

struct hash_world {
	struct machine *m;
	struct memory *mem;
	struct mm *mm;
	struct hpt *hpt;
};

/* With the smallest table that there is. */
static struct hash_world world_create(u32 tasks)
{
	const struct machine_config cfg = {
		.tasks = tasks, .memory_bytes = 256ull << 20, .content_words = 8, .seed = 1};
	struct hash_world w = {.m = machine_create(&cfg)};

	assert_non_null(w.m);
	machine_enter(w.m);
	assert_int_equal(mm_machine_init(w.m, &arch_ppc64_hash, NULL), 0);
	w.mem = memory_of(w.m);
	w.hpt = hash_table_of(w.mem);
	w.hpt->group_mask = GROUPS - 1;
	w.mm = mm_create(w.m, &arch_ppc64_hash, mm_locking_find("mmap_lock"));
	assert_non_null(w.mm);
	mmu_switch(w.mm);
	return w;
}

static void world_destroy(struct hash_world *w)
{
	mm_check(w->mm);
	mmu_switch(NULL);
	mm_put(w->mm);
	mm_machine_destroy(w->m); /* stops if an HPTE is left */
	machine_leave();
	machine_destroy(w->m);
}

struct found {
	const struct hash_world *w;
	u32 with_hpte;
};

/* What the tree says of an HPTE: it is where the entry says, and allows no more than it. */
static void check_entry(void *arg, u64 va, pte_t raw, u32 level)
{
	struct found *found = arg;
	const struct hpt *table = found->w->hpt;
	struct slb_entry segment =
		hash_segment(hash_context(&arch_ppc64_hash, found->w->mm->pgd_pfn << 16), va);
	struct slb slb = {.entries = {segment}};
	struct hash_access x;
	u64 e = BE(raw);
	bool there;

	assert_int_equal(level, 0);
	assert_int_equal(e & H_PAGE_BUSY, 0);
	for (u32 kind = 0; kind < ACCESS_KINDS; kind++) {
		static const u64 needs[] = {HPAGE_READ, HPAGE_WRITE | HPAGE_DIRTY, HPAGE_EXEC};

		there = hash_translate(table, &slb, 0, va, (enum access_kind)kind, true, &x);
		if (there) {
			assert_int_equal(e & needs[kind], needs[kind]);
			assert_int_equal(e & HPAGE_PRIVILEGED, 0);
			assert_int_equal(x.pa, e & HPAGE_RPN);
		}
		if (x.index != HPT_NOWHERE) {
			assert_true(e & H_PAGE_HASHPTE);
			assert_int_equal(x.index % 8, e >> H_PAGE_SLOT_SHIFT & 7);
			assert_int_equal(!(BE(table->entries[x.index].v) & HPTE_V_SECONDARY),
					 !(e & H_PAGE_SECOND));
		}
	}
	found->with_hpte += x.index != HPT_NOWHERE;
}

/* Every HPTE belongs to a present entry. */
static void check_table(const struct hash_world *w)
{
	struct found found = {.w = w};
	u32 valid = 0;

	for (u64 i = 0; i < (w->hpt->group_mask + 1) * HPTES_PER_GROUP; i++) {
		assert_int_equal(BE(w->hpt->entries[i].v) & HPTE_V_LOCK, 0);
		valid += BE(w->hpt->entries[i].v) & HPTE_V_VALID;
	}
	pgtable_visit(w->mm, 0, arch_ppc64_hash.task_size, check_entry, &found);
	assert_int_equal(found.with_hpte, valid);
}

static void tree_and_table(void **state)
{
	u64 rng = test_seed("tree_and_table");
	struct hash_world w = world_create(1);
	static u64 shadow[PAGES];
	u64 base;

	memset(shadow, 0, sizeof(shadow));
	base = (u64)mm_mmap(w.mm, 0, PAGES * STRIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
			    0);
	for (u32 step = 0; step < 20000; step++) {
		u64 page = test_random(&rng) % PAGES, va = base + page * STRIDE, value;
		u64 len = (1 + test_random(&rng) % 8) * STRIDE;

		len = min(len, base + PAGES * STRIDE - va);
		switch (test_random(&rng) % 64) {
		case 0:
			assert_int_equal(mm_madvise(w.mm, va, len, MADV_DONTNEED), 0);
			for (u64 i = 0; i < len / STRIDE; i++)
				shadow[page + i] = 0;
			break;
		case 1:
			assert_int_equal(mm_mprotect(w.mm, va, len, PROT_READ), 0);
			value = 1;
			assert_int_equal(user_write(va, value), FAULT_SIGSEGV_ACCERR);
			assert_int_equal(mm_mprotect(w.mm, va, len, PROT_NONE), 0);
			assert_int_equal(user_read(va, &value), FAULT_SIGSEGV_ACCERR);
			assert_int_equal(mm_mprotect(w.mm, va, len, PROT_READ | PROT_WRITE), 0);
			break;
		default:
			if (test_random(&rng) % 2) {
				shadow[page] = test_random(&rng);
				assert_int_equal(user_write(va, shadow[page]), FAULT_OK);
			} else {
				assert_int_equal(user_read(va, &value), FAULT_OK);
				assert_int_equal(value, shadow[page]);
			}
		}
		if (step % 500 == 0)
			check_table(&w);
	}
	check_table(&w);
	printf("%llu inserted, %llu evicted, %llu hash faults, %llu segments\n",
	       (unsigned long long)machine_counter(w.m, COUNTER_HASH_INSERT),
	       (unsigned long long)machine_counter(w.m, COUNTER_HASH_EVICT),
	       (unsigned long long)machine_counter(w.m, COUNTER_HASH_FAULT),
	       (unsigned long long)machine_counter(w.m, COUNTER_SLB_MISS));
	assert_true(machine_counter(w.m, COUNTER_HASH_EVICT) > 1000);
	world_destroy(&w);
}

/* ---- several CPUs ----------------------------------------------------------------------------- */

#define TASKS 4u
static u64 shared_base;

/* Each task has a word of every page; pages come and go and lose their rights under all of them. */
static void stress(void *arg, u32 task)
{
	struct hash_world *w = arg;
	u64 rng = 77 + task, value;

	mmu_switch(w->mm);
	for (u32 step = 0; step < 4000; step++) {
		u64 va = shared_base + test_random(&rng) % 64 * STRIDE + task * 8;

		switch (test_random(&rng) % 32) {
		case 0:
			(void)mm_madvise(w->mm, ALIGN_DOWN(va, PAGE), PAGE, MADV_DONTNEED);
			break;
		case 1:
			(void)mm_mprotect(w->mm, ALIGN_DOWN(va, PAGE), PAGE, PROT_READ);
			(void)mm_mprotect(w->mm, ALIGN_DOWN(va, PAGE), PAGE, PROT_READ | PROT_WRITE);
			break;
		default:
			if (user_write(va, va) == FAULT_OK && user_read(va, &value) == FAULT_OK)
				assert_true(value == va || value == 0); /* 0: dropped in between */
		}
	}
	mmu_switch(NULL);
}

static void several_cpus(void **state)
{
	struct hash_world w = world_create(TASKS);

	shared_base = (u64)mm_mmap(w.mm, 0, 64 * STRIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   NULL, 0);
	mmu_switch(NULL);
	machine_leave();
	assert_int_equal(engine_run(w.m, TASKS, stress, &w, NULL), 0);
	machine_enter(w.m);
	mmu_switch(w.mm);
	check_table(&w);
	world_destroy(&w);
}

/* ---- contexts and segments ------------------------------------------------------------------- */

struct segment_name {
	u64 vsid, context, ea;
};

static int by_vsid(const void *a, const void *b)
{
	const struct segment_name *x = a, *y = b;

	return x->vsid < y->vsid ? -1 : x->vsid > y->vsid;
}

/* No two segments of any two contexts have the same VSID, up to the largest machine; up to 2^19 of them
 * virtual addresses have 68 bits. A machine's contexts are frame numbers: neighbours, and 2^19 apart. */
static void contexts_are_apart(void **state)
{
	enum { COUNT = 300000 };
	struct segment_name *all = malloc(COUNT * sizeof(*all));
	u64 rng = test_seed("contexts_are_apart");

	assert_non_null(all);
	for (u32 shift = SEGMENT_SHIFT_256M; shift <= SEGMENT_SHIFT_1T; shift += SEGMENT_SHIFT_1T - SEGMENT_SHIFT_256M) {
		bool huge = shift == SEGMENT_SHIFT_1T;

		for (u32 i = 0; i < COUNT; i++) {
			u64 near = test_random(&rng) % 64, far = test_random(&rng) % (1ull << 8) << 19;
			u64 ea = huge ? (1 + test_random(&rng) % 511) << 40 : test_random(&rng) % 4096 << 28;
			u64 context = i % 3 ? 1 + near + far : 1 + test_random(&rng) % ((1ull << 27) - 1);
			u64 rs = hash_segment(context, ea).rs;

			all[i] = (struct segment_name){(rs & SLB_RS_VSID) >> (huge ? 24 : 12), context, ea};
			assert_int_equal(all[i].vsid >> (huge ? 36 : 48), 0);
			if (context < 1u << 19)
				assert_int_equal(all[i].vsid >> (68 - shift), 0);
		}
		qsort(all, COUNT, sizeof(*all), by_vsid);
		for (u32 i = 1; i < COUNT; i++)
			if (all[i].vsid == all[i - 1].vsid &&
			    (all[i].context != all[i - 1].context || all[i].ea != all[i - 1].ea))
				fail_msg("VSID %#llx: contexts %#llx and %#llx, addresses %#llx and %#llx",
					 (unsigned long long)all[i].vsid, (unsigned long long)all[i].context,
					 (unsigned long long)all[i - 1].context, (unsigned long long)all[i].ea,
					 (unsigned long long)all[i - 1].ea);
	}
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_of_bits),
		cmocka_unit_test(hashes_and_names),
		cmocka_unit_test(contexts_are_apart),
		cmocka_unit_test(insert_update_remove),
		cmocka_unit_test(tree_and_table),
		cmocka_unit_test(several_cpus),
	};

	return cmocka_run_group_tests_name("ppc64 hash", tests, NULL, NULL);
}
