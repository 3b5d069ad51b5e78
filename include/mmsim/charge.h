/*
 * mmsim/charge.h - what the virtual engine cannot see by itself: plain accesses and local work
 *
 * native: all of it is empty. See docs/VIRTUAL.md.
 *
 *   line_read(obj, field)   charge a load of the line that holds obj->field; once per line and
 *   line_write(obj, field)  critical section, at its first use
 *   line_read_ptr(p), line_write_ptr(p)   the same for the line at address p (table entries, list links)
 *   lines_read(p, bytes), lines_write(p, bytes)   for every line of [p, p + bytes): an object that is
 *                           filled, or looked through
 *   line_read_next(p, begins), line_write_next(p, begins)   one element of an array that is gone through
 *                           upwards: charges if the element is the first of the walk, or of its line
 *   line_write_neighbours(node)   the list entries before and after, which an unlink writes
 *   engine_charge(COST_x)   local work of that kind
 *   engine_charge_n(COST_x, n)
 *   engine_charge_node(n)   COST_PAGE_SERIAL: a page of node n, which serves one after the other
 *   engine_zeroed(p, bytes)   that memory was zeroed, which COST_PAGE_ZERO has paid for: its lines are in
 *                           this CPU's caches
 *   engine_user_mode()      from here on the task's time is user time; COST_EXCEPTION and
 *                           COST_SYSCALL begin system time
 */
#ifndef MMSIM_CHARGE_H
#define MMSIM_CHARGE_H

#include <mmsim/types.h>

/* Each is a number of the machine file: cost.<lower case>, tlb.l2_hit. */
enum engine_cost {
	COST_EXCEPTION,
	COST_SYSCALL,
	COST_FAULT_ENTRY,
	COST_FAULT_WORK,
	COST_VMA_WORK,
	COST_SYSCALL_WORK,
	COST_ZAP_PAGE,
	COST_WALK_LEVEL,
	COST_PAGE_ZERO,
	COST_PAGE_COPY,
	COST_PAGE_SERIAL, /* by engine_charge_node() only */
	COST_TLB_FLUSH_PAGE,
	COST_TLB_FLUSH_ALL,
	COST_TLBI_BROADCAST,
	COST_TLB_L2_HIT,
	COST_RCU_CALLBACK,
	COST_SLB_MISS,
	COST_HASH_WORK,
	COST_KINDS,
};

#if defined(MMSIM_ENGINE_VIRTUAL)
#include <mmsim/virtual/charge.h>
#else
#define engine_user_mode() ((void)0)
#define engine_zeroed(p, bytes) ((void)sizeof(p), (void)sizeof(bytes))
#define line_read_ptr(p) ((void)sizeof(p))
#define line_write_ptr(p) ((void)sizeof(p))
#define lines_read(p, bytes) ((void)sizeof(p), (void)sizeof(bytes))
#define lines_write(p, bytes) ((void)sizeof(p), (void)sizeof(bytes))
#define line_read_next(p, begins) ((void)sizeof(p), (void)sizeof(begins))
#define line_write_next(p, begins) ((void)sizeof(p), (void)sizeof(begins))
#define engine_charge(cost) ((void)0)
#define engine_charge_n(cost, n) ((void)sizeof(n))
#define engine_charge_node(node) ((void)sizeof(node))
#endif

#define line_read(obj, field) line_read_ptr(&(obj)->field)
#define line_write(obj, field) line_write_ptr(&(obj)->field)
#define line_write_neighbours(node) (line_write_ptr((node)->prev), line_write_ptr((node)->next))

/*
 * Names for reports: which field lies where in an object. Registered per object cache or array, so
 * that a hot line is called vma->vm_refcnt and not an address.
 */
struct obj_field {
	u32 offset;
	const char *name; /* "mm->mmap_lock.count" */
	u32 bytes;	  /* 0: up to the end. What no field covers is reported as mm+0x4c0 */
};
struct obj_layout {
	u32 stride_bytes;
	u32 count;
	const struct obj_field *fields; /* by rising offset; of several over the same byte the last counts */
};
#define OBJ_FROM(start, shown) { .offset = (start), .name = (shown) }
#define OBJ_FIELD(type, member, shown)                                                             \
	{                                                                                          \
		offsetof(type, member), shown, sizeof(((type *)NULL)->member)                      \
	}
#define OBJ_RWSEM(type, member, shown)                                                             \
	OBJ_FIELD(type, member.count, shown ".count"), OBJ_FIELD(type, member.owner, shown ".owner"),      \
		OBJ_FIELD(type, member.osq_tail, shown ".osq"),                                            \
		OBJ_FIELD(type, member.wait_lock, shown ".wait_lock"),                                     \
		OBJ_FIELD(type, member.wait_list, shown ".wait_list"), OBJ_FIELD(type, member.rank, shown ".rank")

struct objcache;
struct machine;
#if defined(MMSIM_ENGINE_VIRTUAL)
void objcache_set_layout(struct objcache *c, const struct obj_layout *layout);
/* In the machine's memory, called as the first field is; forgotten when the memory is freed. All of these keep the pointer to the layout. */
void region_set_layout(struct machine *m, const void *start, u64 bytes, const struct obj_layout *layout);
/* Of every CPU's copy of a piece of per-CPU memory (percpu.h). */
void percpu_set_layout(struct machine *m, u32 handle, const struct obj_layout *layout);
/* Of every task's scratch. */
void task_scratch_set_layout(struct machine *m, const struct obj_layout *layout);
#else
static inline void objcache_set_layout(struct objcache *c, const struct obj_layout *layout)
{
	(void)c, (void)layout;
}
static inline void region_set_layout(struct machine *m, const void *start, u64 bytes,
				     const struct obj_layout *layout)
{
	(void)m, (void)start, (void)bytes, (void)layout;
}
static inline void percpu_set_layout(struct machine *m, u32 handle, const struct obj_layout *layout)
{
	(void)m, (void)handle, (void)layout;
}
static inline void task_scratch_set_layout(struct machine *m, const struct obj_layout *layout)
{
	(void)m, (void)layout;
}
#endif

/*
 * For the checker of charges. region_set_unpriced(): no memory in life (registers, a TLB), so its
 * accesses have no price. unpriced_begin/end(): around a consistency check, without a switch of CPUs.
 */
#if defined(MMSIM_CHECK_CHARGES)
void vt_unpriced(bool begins);
#define unpriced_begin() vt_unpriced(true)
#define unpriced_end() vt_unpriced(false)
void region_set_unpriced(struct machine *m, const void *p, u64 bytes);
#else
#define unpriced_begin() ((void)0)
#define unpriced_end() ((void)0)
static inline void region_set_unpriced(struct machine *m, const void *p, u64 bytes)
{
	(void)m, (void)p, (void)bytes;
}
#endif

#endif
