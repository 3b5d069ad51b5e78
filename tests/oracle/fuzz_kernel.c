/*
 * tests/oracle/fuzz_kernel.c - the model against the live kernel, one random call at a time
 *
 * Models       The same sequence of calls is made by a small tree of real processes and by the
 *              model. After every call the result and the whole layout of the process (addresses,
 *              permissions, offsets, inodes, names, VmFlags) must be equal; every 64 calls also
 *              total, locked, data and stack pages of all processes; what a read returns, always;
 * at the end of a round whatever can be read is. Leaves out   Concurrency; contents in the rounds
 * that use MADV_FREE (the kernel may keep or drop what it freed): every fourth. Repeatable   A
 * round (a fresh process, at most ROUND_OPS calls) is a function of its seed. On a mismatch the
 * sequence is shrunk and printed. Exit status  0: no mismatch; 1: a mismatch; 2: usage; 77: this
 * machine cannot be the oracle.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mmsim/locking.h>

#include "fuzz.h"

#define ROUND_OPS 3000
#define SHRINK_SECONDS 90
#define COUNTS_EVERY 64
#define AUDIT_PAGES 32 /* per VMA */
#define AUDIT_OPS 1500
#define SKIPPED 77

struct options {
	u64 calls, seed;
	const char *dir;
	bool verbose, self;
};
static struct options opt = {.calls = 100000, .seed = 1};

/* Does this round use MADV_FREE? */
static bool lazy_free_round;
/* The model's locking scheme in this round. */
static const struct mm_locking *round_scheme;

/* How often what was called, and with success: a fuzzer that only meets errors is blind. */
static struct {
	u64 calls, ok;
} stats[OP_KIND_COUNT];

/* ---- a session ------------------------------------------------------------------- */

static void session_stop(struct session *s)
{
	if (s->b)
		s->b->ops->stop(s->b);
	if (s->a)
		s->a->ops->stop(s->a);
	for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
		layout_free(&s->layouts[i]);
	layout_free(&s->other);
	image_free(&s->image);
	free(s->pairs.pairs);
	free(s);
}

static bool fill_files(struct session *s)
{
	for (u32 i = 0; i < s->image.inode_count; i++)
		for (u64 at = 0; at + 8 <= s->image.inodes[i].size_bytes; at += ORACLE_PAGE) {
			u64 page = at / ORACLE_PAGE, word = s->b->ops->file_word(s->b, i, page);

			if (word && s->a->ops->file_fill(s->a, i, page, word))
				return false;
		}
	return true;
}

static bool compare(struct session *s, u32 proc, bool counts, FILE *out)
{
	int err = s->a->ops->layout(s->a, proc, &s->layouts[proc], counts);
	int err_b = s->b->ops->layout(s->b, proc, &s->other, counts);

	if (err || err_b) {
		fprintf(stderr, "oracle: cannot read a layout: %s\n",
			strerror(-(err ? err : err_b)));
		exit(2);
	}
	return layout_equal(&s->layouts[proc], &s->other, &s->pairs, out);
}

static struct session *session_start(const struct start_config *cfg)
{
	struct session *s = calloc(1, sizeof(*s));
	struct image ignored;

	if (!s)
		return NULL;
	s->lazy_free = lazy_free_round;
	s->a = live_start(cfg, &s->image);
	if (s->a)
		s->b = opt.self ? live_start(cfg, &ignored) : model_start(&s->image, round_scheme);
	if (opt.self)
		image_free(&ignored);
	if (!s->a || !s->b || !fill_files(s)) {
		session_stop(s);
		return NULL;
	}
	world_settle(s->a, &s->image);
	world_settle(s->b, &s->image);
	if (s->a->ops->layout(s->a, 0, &s->layouts[0], false)) {
		session_stop(s);
		return NULL;
	}
	return s;
}

static bool is_special(const struct lvma *v)
{
	return v->name[0] == '[' && v->name[1] == 'v';
}

/* Special mappings hold what only the kernel knows (the clock), or nothing (SIGBUS). */
static bool special_at(const struct session *s, const struct op *op)
{
	const struct layout *l = &s->layouts[op->proc];
	int i = layout_find(l, op->a[0]);

	return i >= 0 && is_special(&l->vmas[i]);
}

static bool results_equal(const struct session *s, const struct op *op, const struct result *x,
			  const struct result *y)
{
	if ((op->kind == OP_READ || op->kind == OP_WRITE) && special_at(s, op))
		return true;
	if (x->ret != y->ret)
		return false;
	return op->kind != OP_READ || s->lazy_free || x->value == y->value;
}

/* false: the worlds differ; a description went to out (may be NULL). */
static bool session_step(struct session *s, const struct op *op, FILE *out)
{
	struct result x, y;
	bool ran = s->a->ops->run(s->a, op, &x), equal = true;

	if (s->a->broken) {
		fprintf(stderr, "oracle: the live side broke at ");
		op_print(op, stderr);
		fputc('\n', stderr);
		return false;
	}
	if (s->b->ops->run(s->b, op, &y) != ran)
		return false;
	if (!ran)
		return true;
	stats[op->kind].calls++;
	stats[op->kind].ok += x.ret >= 0;
	if (!results_equal(s, op, &x, &y)) {
		equal = false;
		if (out) {
			fprintf(out, "  - %s: ", s->a->ops->name);
			result_print(op, &x, out);
			fprintf(out, "\n  + %s: ", s->b->ops->name);
			result_print(op, &y, out);
			fputc('\n', out);
		}
	}
	if (s->a->ops->alive(s->a, op->proc))
		equal &= compare(s, op->proc, false, out);
	if (op->kind == OP_FORK && s->a->ops->alive(s->a, op->child))
		equal &= compare(s, op->child, false, out);
	if (++s->steps % COUNTS_EVERY == 0) {
		for (u32 i = 0; i < ORACLE_PROCS_MAX; i++)
			if (s->a->ops->alive(s->a, i))
				equal &= compare(s, i, true, out);
		s->b->ops->check(s->b);
	}
	return equal;
}

/* ---- shrinking ------------------------------------------------------------------- */

/* The index of the first call whose outcome differs, or -1. */
static s64 replay(const struct start_config *cfg, const struct op *ops, u32 count, FILE *out)
{
	struct session *s = session_start(cfg);
	s64 at = -1;

	if (!s)
		return -1;
	for (u32 i = 0; i < count && at < 0; i++)
		if (!session_step(s, &ops[i], out))
			at = i;
	session_stop(s);
	return at;
}

/* Remove calls in ever smaller pieces as long as a mismatch (any) remains. */
static u32 shrink(const struct start_config *cfg, struct op *ops, u32 count)
{
	struct op *trial = malloc(count * sizeof(*ops));
	time_t end = time(NULL) + SHRINK_SECONDS;

	if (!trial)
		return count;
	for (u32 piece = max(count / 2, 1u); time(NULL) < end;) {
		bool removed = false;

		for (u32 at = 0; at < count && count > 1 && time(NULL) < end;) {
			u32 n = min(piece, count - at);
			s64 hit;

			memcpy(trial, ops, at * sizeof(*ops));
			memcpy(trial + at, ops + at + n, (count - at - n) * sizeof(*ops));
			hit = replay(cfg, trial, count - n, NULL);
			if (hit < 0) {
				at += n;
				continue;
			}
			count = (u32)hit + 1;
			memcpy(ops, trial, count * sizeof(*ops));
			removed = true;
		}
		if (piece == 1 && !removed)
			break;
		piece = max(piece / 2, 1u);
	}
	free(trial);
	return count;
}

static void print_config(const struct start_config *cfg)
{
	printf("limits: as=%" PRIu64 " data=%" PRIu64 " stack=%" PRIu64 " memlock=%" PRIu64
	       " ipc_lock=%d\n",
	       cfg->address_space_bytes, cfg->data_bytes, cfg->stack_bytes, cfg->memlock_bytes,
	       !cfg->drop_ipc_lock);
}

/* Every call with its outcome in world a, and a's layout before the last call. */
static void print_reproducer(const struct start_config *cfg, const struct op *ops, u32 count)
{
	struct session *s = session_start(cfg);
	struct result res;

	if (!s)
		return;
	print_config(cfg);
	for (u32 i = 0; i < count; i++) {
		if (i + 1 == count) {
			u32 proc = ops[i].proc;

			printf("before the last call, process %u is\n", proc);
			if (s->a->ops->alive(s->a, proc) && compare(s, proc, false, NULL))
				layout_print(&s->layouts[proc], stdout);
		}
		if (i + 1 < count && s->a->ops->run(s->a, &ops[i], &res)) {
			s->b->ops->run(s->b, &ops[i], &(struct result){0});
			op_print(&ops[i], stdout);
			printf(" = ");
			result_print(&ops[i], &res, stdout);
			printf("\n");
		}
	}
	op_print(&ops[count - 1], stdout);
	printf("\n");
	session_step(s, &ops[count - 1], stdout);
	session_stop(s);
}

/* ---- rounds ---------------------------------------------------------------------- */

static void report(u64 seed, const struct start_config *cfg, struct op *ops, u32 count)
{
	printf("mismatch (- %s, + %s) at call %u of the round --seed %" PRIu64 " --calls %u:\n",
	       "live", opt.self ? "live" : "model", count - 1, seed, count);
	printf("scheme %s, tree %s, ", round_scheme->name, model_tree->name);
	print_config(cfg);
	op_print(&ops[count - 1], stdout);
	printf("\n");
	fflush(stdout);
	if (replay(cfg, ops, count, NULL) < 0) {
		printf("it does not happen again: not a function of the seed\n");
		return;
	}
	fflush(stdout);
	count = shrink(cfg, ops, count);
	printf("shrunk to %u calls:\n", count);
	print_reproducer(cfg, ops, count);
	fflush(stdout);
}

/* Reads of what there is to read, in every process: contents must agree. Returns how many. */
static u32 plan_audit(const struct session *s, struct op *ops)
{
	u32 n = 0;

	for (u8 proc = 0; proc < ORACLE_PROCS_MAX; proc++) {
		const struct layout *l = &s->layouts[proc];

		for (u32 i = 0; s->a->ops->alive(s->a, proc) && i < l->count; i++) {
			const struct lvma *v = &l->vmas[i];
			u64 start = max(v->start, s->image.keep[0].end);
			u64 end = min(v->end, start + AUDIT_PAGES * ORACLE_PAGE);

			if (v->start == s->image.keep[1].start || is_special(v))
				continue;
			for (u64 at = start; at < end && n < AUDIT_OPS; at += ORACLE_PAGE)
				ops[n++] = (struct op){
					.kind = OP_READ, .proc = proc, .file = -1, .a = {at}};
		}
	}
	return n;
}

/* Any that claims to be correct: the results may not depend on it. */
static const struct mm_locking *pick_scheme(u64 seed)
{
	const struct mm_locking *correct[64];
	u32 n = 0;

	for (u32 i = 0; mm_locking_all[i] && n < ARRAY_SIZE(correct); i++)
		if (mm_locking_all[i]->caps & LK_CAP_CORRECT)
			correct[n++] = mm_locking_all[i];
	return correct[seed % n];
}

/* And any tree that the scheme takes. */
static const struct vma_tree_type *pick_tree(const struct mm_locking *scheme, u64 seed)
{
	const struct vma_tree_type *taken[16];
	u32 n = 0;

	for (u32 i = 0; vma_tree_all[i] && n < ARRAY_SIZE(taken); i++)
		if (mm_locking_takes_tree(scheme, vma_tree_all[i]))
			taken[n++] = vma_tree_all[i];
	return taken[seed / 4 % n];
}

/* A number that tells two layouts apart: so that the first call after which a run that does not
 * repeat went another way can be found. */
static u64 layout_hash(const struct layout *l)
{
	u64 h = 0xcbf29ce484222325;

	for (u32 i = 0; i < l->count; i++) {
		const u64 words[] = {l->vmas[i].start, l->vmas[i].end, l->vmas[i].flags,
				     l->vmas[i].offset};

		for (u32 w = 0; w < ARRAY_SIZE(words); w++)
			h = (h ^ words[w]) * 0x100000001b3;
	}
	return h;
}

static void log_call(FILE *log, const struct session *s, u32 i, const struct op *op)
{
	fprintf(log, "%u ", i);
	op_print(op, log);
	fprintf(log, " %016" PRIx64 "\n", layout_hash(&s->layouts[op->proc]));
}

/* Keep the log of a round that failed. */
static void keep_log(u64 seed, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "fuzz_kernel-%" PRIu64 ".log", seed);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0)
		fprintf(stderr, "fuzz_kernel: cannot write %s\n", path);
	else
		printf("its calls, with a hash of the layout after each, are in %s\n", path);
	if (f)
		fclose(f);
}

/* One fresh process tree. 0, or 1 on a mismatch. */
static int run_round(u64 seed, u32 count)
{
	/* Seeds differ in few bits: spread them, and never start from 0. */
	struct rng rng = {(seed + 1) * 0x9E3779B97F4A7C15ull | 1};
	struct start_config cfg = {.dir = opt.dir};
	struct op *ops = calloc(count + AUDIT_OPS, sizeof(*ops));
	struct session *s;
	char *text = NULL;
	size_t text_bytes;
	FILE *log = open_memstream(&text, &text_bytes);
	u32 i, audit = 0;

	for (i = 0; i < 4; i++)
		rng_next(&rng);
	gen_config(&rng, &cfg);
	lazy_free_round = seed % 4 == 0;
	round_scheme = pick_scheme(seed);
	model_tree = pick_tree(round_scheme, seed);
	s = session_start(&cfg);
	if (!s || !ops || !log) {
		fprintf(stderr, "oracle: cannot start a round\n");
		exit(2);
	}
	s->busy = seed % 3 == 0;
	if (!compare(s, 0, true, stdout)) {
		printf("mismatch before the first call\n");
		return 1;
	}
	for (i = 0; i < count + audit; i++) {
		if (i < count)
			gen_op(&rng, s, &ops[i]);
		if (opt.verbose) {
			op_print(&ops[i], stdout);
			printf("\n");
			fflush(stdout);
		}
		if (!session_step(s, &ops[i], stdout))
			break;
		log_call(log, s, i, &ops[i]);
		if (i + 1 == count)
			audit = plan_audit(s, ops + count);
	}
	session_stop(s);
	fclose(log);
	if (i < count + audit) {
		keep_log(seed, text);
		report(seed, &cfg, ops, i + 1);
		return 1;
	}
	free(text);
	free(ops);
	return 0;
}

static bool parse_number(const char *name, const char *text, u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (!errno && *text && !*end)
		return true;
	fprintf(stderr, "fuzz_kernel: --%s=%s: a number is wanted\n", name, text);
	return false;
}

static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"calls", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"dir", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'},
		{"self", no_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:s:d:vSh", options, NULL)) >= 0) {
		if (c == 'n' && !parse_number("calls", optarg, &opt.calls))
			return 2;
		if (c == 's' && !parse_number("seed", optarg, &opt.seed))
			return 2;
		if (c == 'd')
			opt.dir = optarg;
		opt.verbose |= c == 'v';
		opt.self |= c == 'S';
		if (c == 'h' || c == '?') {
			printf("fuzz_kernel [--calls N] [--seed S] [--dir DIR (ext4)] [--verbose] "
			       "[--self]\n"
			       "random memory calls, live kernel against model; --self: kernel "
			       "against kernel\n");
			return c == 'h' ? -1 : 2;
		}
	}
	return 0;
}

static void print_stats(void)
{
	for (u32 i = 0; i < OP_KIND_COUNT; i++)
		printf("%s%s %" PRIu64 " (%" PRIu64 "%% ok)", i ? ", " : "",
		       op_name((enum op_kind)i), stats[i].calls,
		       stats[i].calls ? stats[i].ok * 100 / stats[i].calls : 0);
	printf("\n");
}

int main(int argc, char **argv)
{
	int err = parse_options(argc, argv);
	const char *why;
	struct timespec t0, t1;

	if (err)
		return err < 0 ? 0 : err;
	if (opt.dir && !live_dir(opt.dir)) {
		fprintf(stderr, "fuzz_kernel: --dir=%s: a directory on ext4 is wanted\n", opt.dir);
		return 2;
	}
	why = live_unusable();
	if (why) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (u64 done = 0, seed = opt.seed; done < opt.calls; seed++) {
		u32 count = (u32)min(opt.calls - done, (u64)ROUND_OPS);

		if (run_round(seed, count))
			return 1;
		done += count;
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	print_stats();
	printf("%" PRIu64 " calls from seed %" PRIu64 " on: no mismatch, %.1f s\n", opt.calls,
	       opt.seed, (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
	return 0;
}
