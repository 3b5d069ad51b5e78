/*
 * sim/virtual/lines.c - what a shared-memory operation costs: private caches, the directory, FIFOs
 *
 * Models       MESI between CPUs with private, finite, direct-mapped caches (two levels of tags; a
 *              hardware thread counts as a CPU), a last-level cache per cluster that never forgets,
 *              memory behind it; a line serves one request after the other.
 * Hit          a load of a valid copy; a store or read-modify-write of a line that this CPU owns alone:
 *              adds to the CPU's clock and interacts with nobody.
 * Miss         the operation waits for its turn (smallest clock), queues for the line (busy_ps: FIFO),
 *              and takes effect when the line has arrived. A write makes its version the new one at
 *              once, so that copies are stale from the reservation on, and wakes those who sleep on
 *              the line when it takes effect. A read keeps the line busy for latency.serve only.
 * Exclusive    a load of a line that no private cache has any more gets it exclusively: the first store
 *              finds it there. (Known for certain when the last owner has lost it and nobody has read it.)
 * Migratory    where the machine has it (cache.migratory), a load of a line that a CPU of another socket
 *              has written since it came to it takes it from there: the store that mostly follows finds it.
 *              Who only reads it then gets a copy, so that lines that are read do not wander.
 * Prefetched   prefetch_write() reserves the line in its turn and goes on; an access before it has
 *              arrived waits for it. As many may be on their way as there are fill buffers: more are
 *              dropped. Where the machine has no such instruction (cache.prefetchw) it is fetched to be
 *              read, and the store after it pays for the other copies.
 * Held         a compare-and-swap that fails has the line all the same, and for half a transfer the next
 *              request, which queued meanwhile, has not taken it away: the second try finds it there.
 *              Nobody waits longer for that. Without it a loop of them would fail as often as there
 *              are CPUs in it, which no machine does.
 * Unpriced     memory outside of the region: an L1 access. Everything between machine_enter() and
 *              machine_leave().
 * Leaves out   write buffers, hardware prefetchers other than the buddy line's, associativity, LLC
 *              capacity.
 */
#include "sim/virtual/charge_check.h"
#include "sim/virtual/internal.h"

#include <stdlib.h>

/* ---- private caches ------------------------------------------------------------------------------ */

static inline u64 cache_index(u64 line, u64 mask)
{
	return (line ^ line >> 9 ^ line >> 20) & mask;
}

static inline u64 *l1_slot(const struct vcpu *c, u64 line)
{
	return &c->l1[cache_index(line, c->l1_mask)];
}

static inline u64 *l2_slot(const struct vcpu *c, u64 line)
{
	return &c->l2[cache_index(line, c->l2_mask)];
}

static inline bool cached(const struct vcpu *c, u64 line, u64 tag)
{
	return *l1_slot(c, line) == tag || *l2_slot(c, line) == tag;
}

static inline void fill(const struct vcpu *c, u64 line, u64 tag)
{
	*l1_slot(c, line) = tag;
	*l2_slot(c, line) = tag;
}

static u64 tags_for(u64 kib)
{
	u64 lines = kib * 1024 / MMSIM_CACHE_LINE_BYTES, tags = 1;

	while (tags * 2 <= lines)
		tags *= 2;
	return tags;
}

void lines_init_cpu(struct vcpu *c)
{
	const struct machine_model *model = &c->m->model;
	u64 l1 = tags_for(model->cache_l1_kib), l2 = tags_for(model->cache_l2_kib);

	c->l1 = calloc(l1, sizeof(u64));
	c->l2 = calloc(l2, sizeof(u64));
	c->l1_mask = l1 - 1;
	c->l2_mask = l2 - 1;
}

/* ---- distances -------------------------------------------------------------------------------------- */

static enum cpu_distance distance(struct cpu_place a, struct cpu_place b)
{
	if (a.socket != b.socket)
		return DIST_REMOTE;
	if (a.cluster != b.cluster)
		return DIST_SOCKET;
	return a.core != b.core ? DIST_CLUSTER : DIST_SMT;
}

/* A line whose home is elsewhere comes by way of it, where the machine says so. */
static u64 by_way_of_home(const struct vcpu *c, const struct vline *vl, u64 ps)
{
	const struct machine *m = c->m;

	if (m->model.cache_home_on_path && vl->home != c->place.socket + 1)
		return max(ps, m->transfer_ps[DIST_REMOTE]);
	return ps;
}

/* c is the first who touches it. */
static inline void give_home(const struct vcpu *c, struct vline *vl)
{
	if (!vl->home)
		vl->home = (u8)(region_node(c->m, (u64)(vl - c->lines), c->place.socket) + 1);
}

static u64 memory_ps(const struct vcpu *c, struct vline *vl)
{
	const struct machine_model *model = &c->m->model;

	give_home(c, vl);
	return vl->home == c->place.socket + 1 ? model->latency_memory : model->latency_memory_remote;
}

/* From where a copy comes, and how long it takes. Not a hit. */
static u64 source_ps(const struct vcpu *c, const struct vline *vl, u64 line)
{
	const struct machine *m = c->m;
	u32 owner = vl->state & 0xffff, readers = vl->state >> 16;
	const struct vcpu *o;

	if (owner == c->id + 1 && !readers)
		return m->model.latency_llc; /* evicted here */
	if (readers) {
		if (vl->sockets & c->group_bit)
			return m->model.latency_llc;
		return by_way_of_home(c, vl, vl->sockets & m->socket_groups[c->place.socket] ?
							     m->transfer_ps[DIST_SOCKET] :
							     m->transfer_ps[DIST_REMOTE]);
	}
	o = &m->vcpus[owner - 1];
	if (!cached(o, line, line_tag(line, vl->version)) && vl->sockets & c->group_bit)
		return m->model.latency_llc;
	return by_way_of_home(c, vl, m->transfer_ps[distance(c->place, o->place)]);
}

/* How long until the last of those who have a copy has dropped it. */
static u64 invalidate_ps(const struct vcpu *c, const struct vline *vl)
{
	const struct machine *m = c->m;
	u32 readers = vl->state >> 16;
	u64 ps;

	if (vl->sockets & ~m->socket_groups[c->place.socket])
		ps = m->transfer_ps[DIST_REMOTE];
	else if (vl->sockets & ~c->group_bit)
		ps = m->transfer_ps[DIST_SOCKET];
	else
		ps = m->transfer_ps[DIST_CLUSTER];
	return by_way_of_home(c, vl, ps) + (u64)(readers - 1) * m->model.latency_serve;
}

/* ---- sleeping on lines -------------------------------------------------------------------------------- */

static void relax_link(struct vcpu *c, u32 k, u64 line)
{
	struct relax_node *nodes = c->m->relax_nodes;
	u32 self = c->id * SEEN_LINES + k + 1;
	struct vline *vl = &c->lines[line];
	struct relax_node *node = &nodes[self - 1];

	node->line = line + 1;
	if (!vl->sleepers) {
		node->next = node->prev = self;
		vl->sleepers = self;
		return;
	}
	node->next = vl->sleepers;
	node->prev = nodes[vl->sleepers - 1].prev;
	nodes[node->prev - 1].next = self;
	nodes[node->next - 1].prev = self;
}

static void relax_unlink(struct machine *m, u32 self)
{
	struct relax_node *nodes = m->relax_nodes, *node = &nodes[self - 1];
	struct vline *vl;

	if (!node->line)
		return;
	vl = &m->lines[node->line - 1];
	if (node->next == self) {
		vl->sleepers = 0;
	} else {
		nodes[node->prev - 1].next = node->next;
		nodes[node->next - 1].prev = node->prev;
		if (vl->sleepers == self)
			vl->sleepers = node->next;
	}
	node->line = 0;
}

void lines_unlink_relaxed(struct vcpu *c)
{
	for (u32 k = 0; k < SEEN_LINES; k++)
		relax_unlink(c->m, c->id * SEEN_LINES + k + 1);
}

/* A write takes effect now, on c: those who wait for it, oldest first, look again. */
static NOINLINE void wake_sleepers(struct vcpu *c, struct vline *vl)
{
	struct machine *m = c->m;

	while (vl->sleepers) {
		u32 first = vl->sleepers;
		struct vcpu *sleeper = &m->vcpus[(first - 1) / SEEN_LINES];

		lines_unlink_relaxed(sleeper);
		sleeper->relax_woken = true;
		sched_poke(sleeper, c->e.clock_ps);
	}
}

/* ---- reservation: c has its turn --------------------------------------------------------------------- */

/*
 * Which words a transfer is about. A write is because of its own word; the first load after a write because of
 * all that was written, whatever it looks for.
 */
static void count_words(struct machine *m, struct vline *vl, u8 word, bool write)
{
	u8 cause = write ? (u8)(1u << word) : vl->state >> 16 ? 0 : vl->written;
	struct word_sums *sums;

	if (vl->transfers == 1)
		vl->word = cause ? (u8)__builtin_ctz(cause) : word;
	if (vl->transfers < WORDS_FROM)
		return;
	if (!vl->words)
		hot_line_words(m, vl);
	sums = &m->word_sums[vl->words - 1];
	sums->along += vl->along && !(vl->state >> 16);
	if (!write)
		sums->read[word]++;
	for (; cause; cause &= cause - 1)
		sums->written[__builtin_ctz(cause)]++;
}

static void line_statistics(struct vcpu *c, struct vline *vl, u64 start, u64 grant, bool write)
{
	struct machine *m = c->m;

	c->transfers++;
	if (!hot_lines_on(m))
		return;
	if (vl->transfers++ == 0 && !vl->lock_waits)
		hot_line_first(m, (u64)(vl - c->lines));
	count_words(m, vl, c->pend_word, write);
	if (c->waits_for_lock || c->prefetches)
		return; /* part of waiting for that lock; not waited for, or later: await_fill() */
	vl->queue_ps += start - c->e.clock_ps;
	vl->cost_ps += grant - c->e.clock_ps;
}

/* From now on c alone has it. Who saw it before must not trust that it sees writes. */
static inline void take_line(struct vcpu *c, struct vline *vl)
{
	vl->version++;
	vl->state = c->id + 1;
	vl->sockets = c->group_bit;
	vl->written = 0;
	vl->along = false;
}

/* The line's buddy comes along, if it can be had: with ownership for a write. */
static void prefetch_buddy(struct vcpu *c, u64 line, bool write)
{
	u64 buddy = line ^ 1;
	struct vline *vl = &c->lines[buddy];
	u64 tag = line_tag(buddy, vl->version);

	if (buddy >= c->region_bytes >> LINE_SHIFT || vl->busy_ps > c->e.clock_ps ||
	    cached(c, buddy, tag))
		return;
	give_home(c, vl);
	if (write || !vl->state) {
		take_line(c, vl);
		vl->along = write;
		*l2_slot(c, buddy) = line_tag(buddy, vl->version);
		/* They sleep on a copy that has gone: they must notice the next write. */
		if (vl->sleepers)
			wake_sleepers(c, vl);
	} else {
		vl->state += vl->state < 0xffff0000u ? 1u << 16 : 0;
		vl->sockets |= c->group_bit;
		*l2_slot(c, buddy) = tag;
	}
}

/* The last owner has lost it, and nobody has read it since. */
static bool nobody_has_copy(const struct vcpu *c, const struct vline *vl, u64 line)
{
	u32 owner = vl->state & 0xffff;

	return !(vl->state >> 16) && owner != c->id + 1 &&
	       !cached(&c->m->vcpus[owner - 1], line, line_tag(line, vl->version));
}

/* Its owner, in another socket, has written it since it got it, and nobody has read it since. */
static bool migrates(const struct vcpu *c, const struct vline *vl)
{
	u32 owner = vl->state & 0xffff;

	return c->m->model.cache_migratory && !(vl->state >> 16) && vl->written && owner != c->id + 1 &&
	       c->m->vcpus[owner - 1].place.socket != c->place.socket;
}

static u64 reserve_load(struct vcpu *c, struct vline *vl, u64 line)
{
	u64 start = max(c->e.clock_ps, vl->busy_ps), grant = start + source_ps(c, vl, line);

	line_statistics(c, vl, start, grant, false);
	vl->busy_ps = start + c->m->model.latency_serve;
	if (migrates(c, vl)) {
		take_line(c, vl);
		vl->owner_changes += hot_lines_on(c->m);
		vl->busy_ps = grant;
		if (vl->sleepers)
			wake_sleepers(c, vl); /* the owner's copy has gone: it must notice the next write */
	} else if (nobody_has_copy(c, vl, line)) {
		take_line(c, vl);
	} else if (vl->state != c->id + 1u) {
		if (vl->state < 0xffff0000u)
			vl->state += 1u << 16;
		vl->sockets |= c->group_bit;
	}
	c->pend_tag = line_tag(line, vl->version);
	return grant;
}

static u64 reserve_write(struct vcpu *c, struct vline *vl, u64 line)
{
	u64 start = max(c->e.clock_ps, vl->busy_ps), ps = 0, grant;

	if (!cached(c, line, line_tag(line, vl->version)))
		ps = source_ps(c, vl, line);
	if (vl->state >> 16)
		ps = max(ps, invalidate_ps(c, vl));
	grant = start + ps;
	line_statistics(c, vl, start, grant, true);
	if ((vl->state & 0xffff) != c->id + 1u)
		vl->owner_changes += hot_lines_on(c->m);
	vl->busy_ps = grant;
	take_line(c, vl);
	vl->written = (u8)(1u << c->pend_word);
	c->pend_tag = line_tag(line, vl->version);
	return grant;
}

static u64 reserve_node(struct vcpu *c)
{
	u64 *busy = &c->m->node_busy_ps[c->pend_word];

	*busy = max(*busy, c->e.clock_ps) + c->pend_line;
	if (hot_lines_on(c->m))
		c->m->node_wait_ps += *busy - c->e.clock_ps;
	return *busy;
}

static u64 reserve_fabric(struct vcpu *c)
{
	u64 *busy = &c->m->fabric_busy_ps;

	*busy = max(*busy, c->e.clock_ps) + c->pend_line;
	if (hot_lines_on(c->m))
		c->m->fabric_wait_ps += *busy - c->e.clock_ps;
	return *busy;
}

u64 lines_reserve(struct vcpu *c)
{
	u8 op = c->pend;
	u64 line = c->pend_line, grant;
	struct vline *vl;

	c->pend = OP_NONE;
	if (op == OP_NODE)
		return reserve_node(c);
	if (op == OP_FABRIC)
		return reserve_fabric(c);
	vl = &c->lines[line];
	grant = op == OP_LOAD ? reserve_load(c, vl, line) : reserve_write(c, vl, line);
	fill(c, line, c->pend_tag);
	if (unlikely(c->m->model.cache_prefetch_adjacent))
		prefetch_buddy(c, line, op == OP_WRITE);
	return grant;
}

static void transact(struct vcpu *c, enum access_op op, u64 line, u8 word)
{
	c->pend = (u8)op;
	c->pend_line = line;
	c->pend_word = word;
	if (unlikely(c->nosched))
		c->e.clock_ps = lines_reserve(c);
	else
		sched_transact(c);
}

static inline u8 word_of(u64 offset)
{
	return (u8)(offset / 8 % LINE_WORDS);
}

void lines_hold_fabric(struct vcpu *c, u64 ps)
{
	transact(c, OP_FABRIC, ps, 0);
}

/* ---- misses -------------------------------------------------------------------------------------------- */

/* Nobody has touched the line yet, or it has left this CPU's caches: nobody else is concerned. */
static bool miss_is_local(struct vcpu *c, struct vline *vl, u64 line)
{
	if (vl->state == 0) {
		c->e.clock_ps += memory_ps(c, vl);
		vl->state = c->id + 1;
		vl->sockets = c->group_bit;
	} else if (vl->state == c->id + 1u) {
		c->e.clock_ps += c->m->model.latency_llc;
	} else {
		return false;
	}
	fill(c, line, line_tag(line, vl->version));
	return true;
}

/* Another CPU has reserved the line, but it has not left yet: once. */
static inline bool still_held(struct vcpu *c, u64 line)
{
	bool held = c->e.clock_ps <= c->held_until_ps && c->held_line == line;

	if (held)
		c->held_until_ps = 0;
	return held;
}

static NOINLINE u64 load_miss(struct vcpu *c, u64 line, u8 word)
{
	struct vline *vl = &c->lines[line];
	u64 tag = line_tag(line, vl->version);

	if (still_held(c, line)) {
		c->e.clock_ps += c->e.l1_ps;
		return 0; /* nothing to sleep on */
	}
	if (*l2_slot(c, line) == tag) {
		c->e.clock_ps += c->m->model.latency_l2;
		*l1_slot(c, line) = tag;
		return tag;
	}
	if (miss_is_local(c, vl, line))
		return tag;
	transact(c, OP_LOAD, line, word);
	return c->pend_tag;
}

static NOINLINE void write_miss(struct vcpu *c, u64 line, u8 word, u64 hit_ps)
{
	struct vline *vl = &c->lines[line];
	u64 tag = line_tag(line, vl->version);

	if (still_held(c, line)) {
		c->e.clock_ps += hit_ps;
	} else if (vl->state == c->id + 1u && *l2_slot(c, line) == tag) {
		c->e.clock_ps += c->m->model.latency_l2 + hit_ps - c->e.l1_ps;
		*l1_slot(c, line) = tag;
		vl->written |= (u8)(1u << word);
	} else if (miss_is_local(c, vl, line)) {
		vl->written |= (u8)(1u << word);
	} else {
		transact(c, OP_WRITE, line, word);
	}
}

/* ---- prefetches ------------------------------------------------------------------------------------------ */

/* The line may be on its way here: wait for it. */
static NOINLINE void await_fill(struct vcpu *c, u64 line)
{
	for (u32 i = 0; i < FILL_BUFFERS; i++) {
		if (c->fill_line[i] != line || c->fill_ps[i] <= c->e.clock_ps)
			continue;
		if (hot_lines_on(c->m) && !c->waits_for_lock)
			c->lines[line].cost_ps += c->fill_ps[i] - c->e.clock_ps;
		if (c->nosched)
			c->e.clock_ps = c->fill_ps[i];
		else
			sched_until(c, c->fill_ps[i]);
		return;
	}
}

static inline void line_arrives(struct vcpu *c, u64 line)
{
	if (unlikely(c->e.clock_ps < c->fills_until_ps))
		await_fill(c, line);
}

/* A fill buffer that is free; NULL: none is, or the line is on its way already. */
static u64 *fill_buffer(struct vcpu *c, u64 line)
{
	u64 *buffer = NULL;

	for (u32 i = 0; i < FILL_BUFFERS; i++) {
		if (c->fill_ps[i] <= c->e.clock_ps)
			buffer = &c->fill_ps[i];
		else if (c->fill_line[i] == line)
			return NULL;
	}
	return buffer;
}

static inline bool prefetched(const struct vcpu *c, const struct vline *vl, u64 line, bool own)
{
	return cached(c, line, line_tag(line, vl->version)) && (!own || vl->state == c->id + 1u);
}

static NOINLINE void prefetch_miss(struct vcpu *c, struct vline *vl, u64 line, u8 word, bool own)
{
	u64 *buffer, now_ps;

	sched_until(c, c->e.clock_ps); /* others come first: they may take it, or bring it */
	buffer = fill_buffer(c, line);
	if (!buffer || prefetched(c, vl, line, own))
		return;
	c->fill_line[buffer - c->fill_ps] = line;
	now_ps = c->e.clock_ps;
	if (miss_is_local(c, vl, line)) {
		*buffer = c->e.clock_ps;
		c->e.clock_ps = now_ps;
	} else {
		c->pend = own ? OP_WRITE : OP_LOAD;
		c->pend_line = line;
		c->pend_word = word;
		c->prefetches = true;
		*buffer = lines_reserve(c);
		c->prefetches = false;
		/* They sleep on a copy that has gone: they must notice the next write. */
		if (own && vl->sleepers)
			wake_sleepers(c, vl);
	}
	c->fills_until_ps = max(c->fills_until_ps, *buffer);
}

void vt_prefetch_write(const volatile void *p)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region, line = offset >> LINE_SHIFT;
	bool own;

	if (unlikely(offset >= c->region_bytes || c->nosched))
		return;
	if (unlikely(c->e.clock_ps > c->e.horizon_ps))
		sched_pause(c);
	c->ops++;
	own = c->m->model.cache_prefetchw != 0;
	if (!prefetched(c, &c->lines[line], line, own))
		prefetch_miss(c, &c->lines[line], line, word_of(offset), own);
}

/* ---- the operations -------------------------------------------------------------------------------------- */

void vt_load(const volatile void *p)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region, line, tag;

	if (unlikely(c->e.clock_ps > c->e.horizon_ps))
		sched_pause(c);
	c->ops++;
	c->seen_count++;
	if (unlikely(offset >= c->region_bytes)) {
		c->seen[c->seen_count % SEEN_LINES] = 0;
		c->e.clock_ps += c->e.l1_ps;
		return;
	}
	line = offset >> LINE_SHIFT;
	line_arrives(c, line);
	tag = line_tag(line, c->lines[line].version);
	if (likely(*l1_slot(c, line) == tag))
		c->e.clock_ps += c->e.l1_ps;
	else
		tag = load_miss(c, line, word_of(offset));
	c->seen[c->seen_count % SEEN_LINES] = tag;
	charge_noted(c, line, false);
}

static ALWAYS_INLINE void write_access(struct vcpu *c, u64 offset, u64 hit_ps, bool reads)
{
	u64 line = offset >> LINE_SHIFT;
	struct vline *vl = &c->lines[line];

	line_arrives(c, line);
	/* It came from another CPU a moment ago, so somebody may want it back: no running ahead. */
	if (unlikely(c->e.clock_ps < vl->busy_ps + c->contended_ps) && !c->nosched)
		sched_until(c, c->e.clock_ps);
	if (likely(vl->state == c->id + 1u && *l1_slot(c, line) == line_tag(line, vl->version))) {
		c->e.clock_ps += hit_ps;
		vl->written |= (u8)(1u << word_of(offset));
	} else {
		write_miss(c, line, word_of(offset), hit_ps);
	}
	if (unlikely(vl->sleepers))
		wake_sleepers(c, vl);
	if (reads)
		c->seen[c->seen_count % SEEN_LINES] = line_tag(line, vl->version);
	charge_noted(c, line, true);
}

void vt_store(const volatile void *p)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region;

	/* Outside of the region nothing may run but the store: a signal handler stores, too. */
	if (unlikely(offset >= c->region_bytes)) {
		c->e.clock_ps += c->e.l1_ps;
		return;
	}
	if (unlikely(c->e.clock_ps > c->e.horizon_ps))
		sched_pause(c);
	c->ops++;
	write_access(c, offset, c->e.l1_ps, false);
}

void vt_rmw(const volatile void *p)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region;

	if (unlikely(c->e.clock_ps > c->e.horizon_ps))
		sched_pause(c);
	c->ops++;
	c->seen_count++;
	if (unlikely(offset >= c->region_bytes))
		c->e.clock_ps += c->rmw_ps;
	else
		write_access(c, offset, c->rmw_ps, true);
}

/* What was just zeroed, at a price of its own, is in the caches of the CPU that did it. */
void vt_zeroed(const void *p, u64 bytes)
{
	struct vcpu *c = vt_cpu();
	u64 offset = (u64)(uintptr_t)p - c->region;

	if (unlikely(offset >= c->region_bytes))
		return;
	for (u64 line = offset >> LINE_SHIFT; line <= (offset + bytes - 1) >> LINE_SHIFT; line++) {
		struct vline *vl = &c->lines[line];

		give_home(c, vl);
		take_line(c, vl);
		vl->written = 0xff;
		fill(c, line, line_tag(line, vl->version));
		charge_noted(c, line, true);
	}
}

void vt_cas_failed(const volatile void *p)
{
	struct vcpu *c = vt_cpu();

	c->held_line = ((u64)(uintptr_t)p - c->region) >> LINE_SHIFT;
	c->held_until_ps = c->e.clock_ps + c->hold_ps;
}

void vt_fence(void)
{
	struct vcpu *c = vt_cpu();

	c->e.clock_ps += c->rmw_ps;
	barrier();
}

/* ---- cpu_relax() -------------------------------------------------------------------------------------------- */

#define RELAX_DOUBLINGS 9 /* of sched.relax_max: 2 us become 1 ms */
#define SPIN_OPS 16 /* a loop that does more between two cpu_relax() is another */

/* Link c to the lines that it has looked at. False: one has changed since. */
static bool sleep_on_seen(struct vcpu *c)
{
	u32 count = min(c->seen_count, (u32)SEEN_LINES);

	for (u32 k = 0; k < count; k++) {
		u64 tag = c->seen[(c->seen_count - k) % SEEN_LINES];
		u64 line = tag >> TAG_VERSION_BITS;

		if (!tag)
			continue;
		if (tag != line_tag(line, c->lines[line].version))
			return false;
		relax_link(c, k, line);
	}
	return true;
}

/*
 * How long to sleep if nobody writes. What a loop waits for is mostly a write, which ends the sleep; so the
 * sleeps of one that goes on in vain get longer, and a long wait does not cost host time by its length.
 * Not if it looks at the clock, or yields, and not where time does not say who runs next.
 */
static u64 relax_ps(struct vcpu *c)
{
	if (c->clock_read || c->ops - c->relax_ops > SPIN_OPS || c->m->cfg.schedule != SCHEDULE_TIME)
		c->relax_vain = 0;
	c->clock_read = false;
	return c->m->model.sched_relax_max << c->relax_vain;
}

void vt_relax(void)
{
	struct vcpu *c = vt_cpu();
	u64 until;

	c->e.clock_ps += c->e.l1_ps;
	if (unlikely(!c->m || c->nosched))
		return;
	if (unlikely(c->e.clock_ps > c->e.horizon_ps))
		sched_pause(c);
	if (unlikely(!c->region_bytes)) {
		sched_relax_alone(c);
		return;
	}
	c->relax_woken = !sleep_on_seen(c);
	if (!c->relax_woken) {
		until = c->e.clock_ps + relax_ps(c);
		/* With preemption off it may ask need_resched(), but not twice. */
		if (c->ready_head && (c->e.preempt_count == 0 || c->slice_end_ps > c->e.clock_ps))
			until = max(min(until, c->slice_end_ps), c->e.clock_ps + 1);
		until = min(until, max(c->irq_due_ps, c->e.clock_ps + 1));
		c->relaxing = true;
		sched_until(c, until);
		c->relaxing = false;
	}
	c->relax_vain = c->relax_woken ? 0 : min(c->relax_vain + 1, RELAX_DOUBLINGS);
	c->relax_ops = c->ops;
	lines_unlink_relaxed(c);
	sched_relaxed(c);
	c->seen_count = 0;
	for (u32 k = 0; k < SEEN_LINES; k++)
		c->seen[k] = 0;
}

/* ---- local work ------------------------------------------------------------------------------------------------ */

void vt_charge(enum engine_cost cost, u64 n)
{
	struct vcpu *c = vt_cpu();
	if (unlikely(!c->region_bytes))
		return;
	if (cost == COST_EXCEPTION || cost == COST_SYSCALL)
		sched_mode(c, true);
	if (cost == COST_EXCEPTION || cost == COST_SYSCALL || cost == COST_RCU_CALLBACK)
		charge_section_begins(c);
	if (cost == COST_PAGE_ZERO || cost == COST_PAGE_COPY || cost == COST_ZAP_PAGE)
		sched_progress(c);
	sched_charge(c, c->m->cost_ps[cost] * n);
}

void vt_charge_node(u32 node)
{
	struct vcpu *c = vt_cpu();
	u64 ps;

	if (unlikely(!c->region_bytes))
		return;
	ps = c->m->cost_ps[COST_PAGE_SERIAL];
	if (ps)
		transact(c, OP_NODE, ps, (u8)node);
}

void vt_user_mode(void)
{
	struct vcpu *c = vt_cpu();

	if (c->region_bytes)
		sched_mode(c, false);
}
