// SPDX-License-Identifier: MIT
// Gradients that are compressed between data-parallel ranks where weights, sequences, layers or
// experts are divided, too: each rank compresses its own piece. That equals one process whose
// weights are these pieces, and P ranks equal P shards, errors included (docs/contract.md, 7).
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;  // finished by each test

static JobOptions options_of(const char *model, const char *data, OptionForm compress) {
    JobOptions o = ending_text_options(model, 6);
    o.spec.strategy.compress = compress;
    o.spec.strategy.bucket_bytes[0] = 1000;
    o.data = data;
    return o;
}

static const char gpt[] = "gpt:layers=2,hidden=16,heads=4,seq=8", text[] = "text:count=2000",
                  digits[] = "digits:count=60";
static const OptionForm forms[] = {{COMPRESS_TOPK, 0.05}, {COMPRESS_POWERSGD, 2}};

static const double *find(const Safetensors *f, const char *name, int64_t elements) {
    const SafetensorsEntry *e = safetensors_find(f, name);
    ck_assert_msg(e && safetensors_bytes(e) == elements * 8, "%s", name);
    return e->data;
}

// --- pieces of weights

// Two tensor-parallel ranks have a half of the hidden units each. One process with two branches,
// whose weights are these halves and whose outputs are added, computes the same.
enum { IN = 784, HIDDEN = 12, HALF = HIDDEN / 2, OUT = 8, CLASSES = 10 };
static const char whole_text[] = "model whole\ninput 1 28 28\nclasses 10\nflatten flat\n"
                                 "linear a out=12\nrelu\nlinear b out=8\nrelu\nlinear c out=10\n";
static const char branches_text[] =
    "model branches\ninput 1 28 28\nclasses 10\nflatten flat\n"
    "linear a0 from=flat out=6\nrelu r0\nlinear b0 out=8\n"
    "linear a1 from=flat out=6\nrelu r1\nlinear b1 out=8 bias=false\n"
    "add sum from=b0,b1\nrelu\nlinear c out=10\n";

// The element of the whole's weight that element i of a branch's is.
static int64_t place(const char *name, int half, int64_t i) {
    if (*name == 'a') return i + (int64_t)half * HALF * (strstr(name, "bias") ? 1 : IN);
    if (*name == 'b' && strstr(name, "weight")) return i / HALF * HIDDEN + half * HALF + i % HALF;
    return i;
}

static const struct {
    const char *branch, *whole;
    int half;
    int64_t shape[2], elements;  // of the whole
} weights[] = {
    {"a0.weight", "a.weight", 0, {HALF, IN}, HIDDEN *IN},
    {"a1.weight", "a.weight", 1, {HALF, IN}, HIDDEN *IN},
    {"a0.bias", "a.bias", 0, {HALF}, HIDDEN},
    {"a1.bias", "a.bias", 1, {HALF}, HIDDEN},
    {"b0.weight", "b.weight", 0, {OUT, HALF}, OUT *HIDDEN},
    {"b1.weight", "b.weight", 1, {OUT, HALF}, OUT *HIDDEN},
    {"b0.bias", "b.bias", 0, {OUT}, OUT},
    {"c.weight", "c.weight", 0, {CLASSES, OUT}, CLASSES *OUT},
    {"c.bias", "c.bias", 0, {CLASSES}, CLASSES},
};
enum { WEIGHTS = sizeof weights / sizeof *weights };

// The initial weights of the whole as those of the branches, in a file.
static const char *write_branches(const Safetensors *from) {
    SafetensorsEntry entries[WEIGHTS];
    char path[300];
    for (int k = 0; k < WEIGHTS; k++) {
        int dims = weights[k].shape[1] ? 2 : 1;
        int64_t n = weights[k].shape[0] * (dims == 2 ? weights[k].shape[1] : 1);
        double *values = ARENA_NEW(&arena, double, n);
        const double *whole = find(from, weights[k].whole, weights[k].elements);
        for (int64_t i = 0; i < n; i++)
            values[i] = whole[place(weights[k].branch, weights[k].half, i)];
        entries[k] = (SafetensorsEntry){
            .name = weights[k].branch, .dtype = DTYPE_F64, .dims = dims, .data = values};
        memcpy(entries[k].shape, weights[k].shape, sizeof weights[k].shape);
    }
    snprintf(path, sizeof path, "%s/branches.safetensors", test_directory());
    ck_assert_ok(safetensors_write(path, entries, WEIGHTS, NULL, 0));
    return arena_string(&arena, path);
}

// What a file of the whole has beside each of a parameter's elements, and one of the branches.
static void compare(const Safetensors *whole, const Safetensors *branches, const char *suffix,
                    int rows) {
    for (int k = 0; k < WEIGHTS; k++) {
        char a[64], b[64];
        int64_t n = weights[k].shape[0] * (weights[k].shape[1] ? weights[k].shape[1] : 1);
        bool matrix = weights[k].shape[1] > 0;
        if (strstr(suffix, "error") && !matrix) continue;
        snprintf(a, sizeof a, "%s%s", weights[k].whole, suffix);
        snprintf(b, sizeof b, "%s%s", weights[k].branch, suffix);
        const double *x = find(whole, a, rows * weights[k].elements),
                     *y = find(branches, b, rows * n);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < n; i++) {
                double want = y[r * n + i],
                       got = x[r * weights[k].elements + place(b, weights[k].half, i)];
                ck_assert_msg(fabs(want - got) <= 1e-12 * fmax(1, fabs(want)),
                              "%s, row %d, element %d: %.17g, not %.17g", b, (int)r, (int)i, got,
                              want);
            }
    }
}

// A job that goes on with weights that were trained a little; these.
static void make_base(JobOptions *o, Ending *base) {
    *o = options_of(ending_write_file(&arena, "whole.model", whole_text), digits,
                    (OptionForm){COMPRESS_NONE});
    o->steps = 2;
    ending_run(base, &arena, o);
    o->load = arena_string(&arena, base->run.job.options.save);
    ck_assert_ptr_nonnull(o->load);
    ending_finish(base);
}

// Which are the largest elements of a piece, and what is left of it, follows from the piece alone.
START_TEST(pieces_are_compressed_as_weights_of_their_own) {
    JobOptions base, o;
    Ending from, want, got;
    make_base(&base, &from);
    for (int shards = 1; shards <= 2; shards++) {
        o = options_of(ending_write_file(&arena, "branches.model", branches_text), digits,
                       forms[0]);
        o.load = write_branches(&from.file);
        o.spec.shards = shards;
        ending_run(&want, &arena, &o);
        for (int ranks = 1; ranks <= shards; ranks++) {
            o = base;
            o.spec.strategy.compress = forms[0];
            o.steps = 6;
            o.spec.shards = shards;
            o.spec.mesh.tensor = 2;
            o.spec.ranks = 2 * ranks;
            o.comm = (CommKind)(ranks % COMM_KINDS);
            ending_run(&got, &arena, &o);
            compare(&got.file, &want.file, "", 1);
            compare(&got.file, &want.file, ".grad.error", shards);
            ending_finish(&got);
        }
        ending_finish(&want);
    }
    arena_finish(&arena);
}
END_TEST

// Rows of a piece, its columns, and how far those of the whole are apart.
typedef struct {
    int64_t rows, columns, stride;
} Piece;

// How far a piece is from the matrix of rank 1 through its largest element, as a part of that.
static double beyond_rank_1(const double *s, Piece p) {
    int64_t at = 0, of = 0;
    double most = 0;
    for (int64_t i = 0; i < p.rows; i++)
        for (int64_t k = 0; k < p.columns; k++)
            if (fabs(s[i * p.stride + k]) > fabs(s[at * p.stride + of])) {
                at = i;
                of = k;
            }
    double pivot = s[at * p.stride + of];
    ck_assert(pivot != 0);
    for (int64_t i = 0; i < p.rows; i++)
        for (int64_t k = 0; k < p.columns; k++) {
            double one = s[i * p.stride + of] * s[at * p.stride + k] / pivot;
            most = fmax(most, fabs(s[i * p.stride + k] - one) / fabs(pivot));
        }
    return most;
}

// One step: what is sent of the gradient, and what all shards keep, is the gradient. Each half is a
// matrix of rank 1, and both together are not.
static void check_factors(const char *name, const Ending *from, const Ending *dense,
                          const Ending *sent, Piece half, int64_t next) {
    char error[64];
    int64_t n = 2 * half.rows * half.columns;
    double *s = ARENA_NEW(&arena, double, n), rate = sent->run.job.options.spec.learning_rate;
    snprintf(error, sizeof error, "%s.grad.error", name);
    const double *before = find(&from->file, name, n), *a = find(&sent->file, name, n),
                 *b = find(&dense->file, name, n), *left = find(&sent->file, error, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        s[i] = (before[i] - a[i]) / rate;
        double g = (before[i] - b[i]) / rate;
        ck_assert_double_le(fabs(s[i] + left[i] + left[n + i] - g), 1e-12);
    }
    ck_assert_double_le(beyond_rank_1(s, half), 1e-9);
    ck_assert_double_le(beyond_rank_1(s + next, half), 1e-9);
    Piece both = half;
    if (next == half.columns) both.columns *= 2;
    if (next > half.columns) both.rows *= 2;
    ck_assert_double_ge(beyond_rank_1(s, both), 1e-3);
}

START_TEST(factors_are_of_a_piece) {
    JobOptions o;
    Ending from, dense, sent;
    make_base(&o, &from);
    o.steps = 1;
    o.spec.optimizer.momentum = 0;
    o.spec.shards = 2;
    o.spec.mesh.tensor = 2;
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        o.spec.ranks = ranks;
        o.spec.strategy.compress = (OptionForm){COMPRESS_NONE};
        ending_run(&dense, &arena, &o);
        o.spec.strategy.compress = (OptionForm){COMPRESS_POWERSGD, 1};
        ending_run(&sent, &arena, &o);
        check_factors("a.weight", &from, &dense, &sent, (Piece){HALF, IN, IN}, HALF * IN);
        check_factors("b.weight", &from, &dense, &sent, (Piece){OUT, HALF, HIDDEN}, HALF);
        ending_finish(&dense);
        ending_finish(&sent);
    }
    arena_finish(&arena);
}
END_TEST

// --- products

typedef struct {
    int pipe, context, tensor;
    bool sequence;
    const char *model, *data;
} Division;

static void divide(JobOptions *o, const Division *c, int ranks) {
    o->spec.mesh = (Mesh){.pipe = c->pipe, .context = c->context, .tensor = c->tensor};
    o->spec.strategy.sequence_parallel = c->sequence;
    o->spec.ranks = ranks * c->pipe * c->context * c->tensor;
    o->spec.micro_batches = c->pipe > 1 ? 4 : 1;
}

// Two ranks have the bits of two shards, beside the same cuts.
START_TEST(ranks_equal_shards_whatever_else_is_divided) {
    static const Division cuts[] = {{1, 1, 2, false, gpt, text},    {1, 1, 2, true, gpt, text},
                                    {1, 2, 1, false, gpt, text},    {1, 2, 2, false, gpt, text},
                                    {2, 1, 2, false, gpt, text},    {1, 1, 3, false, "net", digits},
                                    {2, 1, 1, false, "net", digits}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        for (int k = 0; k < 2; k++) {
            JobOptions o = options_of(cuts[i].model, cuts[i].data, forms[k]);
            Ending shards, ranks;
            o.spec.shards = 2;
            o.spec.optimizer.clip = i % 2 ? 0.5 : 0;
            divide(&o, &cuts[i], 1);
            ending_run(&shards, &arena, &o);
            divide(&o, &cuts[i], 2);
            o.comm = (CommKind)((i + k) % COMM_KINDS);
            ending_run(&ranks, &arena, &o);
            double d = ending_distance(&shards, &ranks, 1e-12);
            ck_assert_msg(d == 0, "case %zu, form %d: %g bounds apart", i, k, d);
            ending_finish(&shards);
            ending_finish(&ranks);
            arena_finish(&arena);
        }
}
END_TEST

// What has whole weights sends what one process does: sequences that are cut change no gradient but
// in its last bits, and rounding to two bytes is of each element.
START_TEST(whole_gradients_are_compressed_as_on_one_process) {
    static const Division cuts[] = {{1, 2, 1, false, gpt, text}, {2, 2, 1, false, gpt, text}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            JobOptions o = options_of(gpt, text, forms[k]);
            Ending one;
            o.spec.shards = 2;
            o.spec.micro_batches = cuts[i].pipe > 1 ? 4 : 1;
            ending_run(&one, &arena, &o);
            divide(&o, &cuts[i], 2);
            ending_check_run(&o, &arena, &one, 1e-12);
            ending_finish(&one);
            arena_finish(&arena);
        }
}
END_TEST

START_TEST(two_bytes_of_a_piece_are_those_of_the_whole) {
    static const Division cuts[] = {{1, 1, 1, false, gpt, text},
                                    {1, 1, 2, false, gpt, text},
                                    {1, 2, 2, false, gpt, text},
                                    {1, 2, 1, false, gpt, text}};
    for (int form = COMPRESS_BF16; form <= COMPRESS_FP16; form++) {
        JobOptions o = options_of(gpt, text, (OptionForm){form});
        Ending one;
        divide(&o, &cuts[0], 2);
        ending_run(&one, &arena, &o);
        for (int i = 1; i < 4; i++) {
            divide(&o, &cuts[i], 2);
            ending_check_run(&o, &arena, &one, 1e-12);
        }
        ending_finish(&one);
        arena_finish(&arena);
    }
}
END_TEST

// --- checkpoints

static void check_errors(void *context, Executor *e) {
    const Safetensors *file = context;
    const char *name = "a.weight.grad.error";
    double *got = ARENA_NEW(&arena, double, 2 * HIDDEN * IN);
    const double *want = find(file, name, 2 * HIDDEN * IN);
    ck_assert_ok(executor_read(e, program_find_tensor(e->program, name), got));
    ck_assert(!memcmp(got, want, 2 * HIDDEN * IN * sizeof *want));
}

// With the same pieces the bits are those of a run that was not stopped. With others errors are
// where their elements are, and factors begin anew.
START_TEST(a_run_goes_on_with_the_errors_of_all_pieces) {
    for (int k = 0; k < 2; k++) {
        JobOptions o;
        Ending all, part, rest;
        make_base(&o, &all);
        o.load = NULL;
        o.spec.strategy.compress = forms[k];
        o.spec.shards = 2;
        o.spec.ranks = 4;
        o.spec.mesh.tensor = 2;
        o.steps = 7;
        ending_run(&all, &arena, &o);
        o.steps = 4;
        ending_run(&part, &arena, &o);
        o.resume = part.run.job.options.save;
        o.steps = 7;
        o.spec.ranks = 2;
        ending_run(&rest, &arena, &o);
        ck_assert(ending_distance(&all, &rest, 1) == 0);
        ending_finish(&rest);
        o.spec.ranks = o.spec.mesh.tensor = 1;
        ending_run_probed(&rest, &arena, &o,
                          &(TrainingProbe){.context = &part.file, .ready = check_errors});
        bool said = false;
        for (int i = 0; i < rest.run.job.restore.note_count; i++)
            said = said || strstr(rest.run.job.restore.notes[i], "a.weight.grad.factor");
        ck_assert_int_eq(said, k == 1);
        ending_finish(&rest);
        ending_finish(&part);
        ending_finish(&all);
    }
    arena_finish(&arena);
}
END_TEST

// --- experts

#define EXPERT_MODEL "mixtral:layers=1,hidden=16,heads=2,kv_heads=2,seq=8,mlp=16"
#define EXPERT_LAYER "model.layers.0.block_sparse_moe.experts."

// The bytes that a rank gets of the gradients of one step, from the other of two.
static int64_t bytes_of_gradients(Outcome *o, OptionForm compress) {
    JobOptions options = options_of(EXPERT_MODEL, text, compress);
    options.steps = 1;
    options.spec.ranks = 2;
    ck_assert_ok(training_run(o, &options, NULL));
    return outcome_count(o, 0, "step", "data", COLLECTIVE_ALL_REDUCE).bytes;
}

// A stack of experts (E,N,M) is E matrices, each with factors of its own: E R (N + M) elements are
// sent of it, and of any other weight R (N + M), where that is less.
START_TEST(each_expert_is_compressed_by_itself) {
    enum { R = 2, REAL = 8 };
    Outcome dense, factors;
    int64_t saved = 0, stacks = 0;
    int64_t whole = bytes_of_gradients(&dense, (OptionForm){COMPRESS_NONE}),
            sent = bytes_of_gradients(&factors, (OptionForm){COMPRESS_POWERSGD, R});
    const Program *p = job_program(&dense.job, 0);
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *w = &p->tensors[t];
        if (w->role != ROLE_PARAMETER || w->dims < 2) continue;
        int64_t E = w->dims == 3 ? w->shape[0] : 1, N = w->shape[w->dims - 2],
                M = w->shape[w->dims - 1];
        if (R * (N + M) < N * M) saved += E * (N * M - R * (N + M));
        stacks += w->dims == 3;
    }
    ck_assert_int_eq(stacks, 3);
    ck_assert_int_eq(whole - sent, saved * REAL);
    outcome_finish(&dense);
    outcome_finish(&factors);
    arena_finish(&arena);
}
END_TEST

// Ranks that share experts do not send these weights' gradients, and so do not compress them: after
// a step they are those of no compression, and all others those of ranks that have all experts.
START_TEST(gradients_of_shared_experts_are_not_compressed) {
    for (int form = COMPRESS_BF16; form <= COMPRESS_TOPK; form++) {
        JobOptions o =
            options_of(EXPERT_MODEL, text, (OptionForm){form, form == COMPRESS_TOPK ? 0.1 : 0});
        Ending dense, all, shared;
        int experts = 0, others = 0;
        o.steps = 1;
        o.spec.ranks = 2;
        ending_run(&all, &arena, &o);
        o.spec.strategy.experts = 2;
        ending_run(&shared, &arena, &o);
        o.spec.strategy.compress = (OptionForm){COMPRESS_NONE};
        ending_run(&dense, &arena, &o);
        for (int k = 0; k < dense.file.count; k++) {
            const SafetensorsEntry *e = &dense.file.entries[k],
                                   *got = safetensors_find(&shared.file, e->name),
                                   *other = safetensors_find(&all.file, e->name);
            size_t bytes = (size_t)safetensors_bytes(e);
            ck_assert_ptr_nonnull(got);
            bool as_dense = !memcmp(got->data, e->data, bytes),
                 as_all = !memcmp(got->data, other->data, bytes);
            bool of_experts = strstr(e->name, "experts") != NULL;
            ck_assert_msg(of_experts ? as_dense : as_all, "%s", e->name);
            experts += of_experts && !as_all;
            others += !of_experts && !as_dense;
        }
        ck_assert(experts && others);
        ending_finish(&dense);
        ending_finish(&all);
        ending_finish(&shared);
        arena_finish(&arena);
    }
}
END_TEST

// The same of groups, of which each has an error of its own: after a step without momentum what an
// expert was not given is what the errors hold, times the learning rate.
static void check_experts(const Ending *sent, const Ending *dense) {
    enum { GROUPS = 2, EXPERTS = 4, ELEMENTS = 16 * 16 };
    double rate = sent->run.job.options.spec.learning_rate, largest = 0;
    for (int w = 0; w < 3; w++) {
        char name[100];
        snprintf(name, sizeof name, EXPERT_LAYER "w%d.weight.grad.error", w + 1);
        const double *error = find(&sent->file, name, GROUPS * EXPERTS * ELEMENTS);
        for (int e = 0; e < EXPERTS; e++) {
            snprintf(name, sizeof name, EXPERT_LAYER "%d.w%d.weight", e, w + 1);
            const double *got = find(&sent->file, name, ELEMENTS),
                         *all = find(&dense->file, name, ELEMENTS);
            for (int i = 0; i < ELEMENTS; i++) {
                int64_t at = (int64_t)e * ELEMENTS + i;
                double left = error[at] + error[EXPERTS * ELEMENTS + at];
                ck_assert_double_le(fabs(got[i] - all[i] - rate * left), 1e-14);
                largest = fmax(largest, fabs(left));
            }
        }
    }
    ck_assert_double_gt(largest, 1e-4);
}

START_TEST(groups_that_share_experts_compress_what_they_send) {
    static const OptionForm compressed[] = {
        {COMPRESS_TOPK, 0.05}, {COMPRESS_POWERSGD, 1}, {COMPRESS_BF16}, {COMPRESS_FP16}};
    for (int k = 0; k < 4; k++) {
        JobOptions o = options_of(EXPERT_MODEL, text, compressed[k]);
        Ending dense, all, groups;
        o.steps = 1;
        o.spec.optimizer.momentum = 0;
        o.spec.ranks = 4;
        ending_run(&all, &arena, &o);
        o.spec.strategy.experts = 2;
        o.comm = (CommKind)(k % COMM_KINDS);
        ending_run(&groups, &arena, &o);
        o.spec.strategy.compress = (OptionForm){COMPRESS_NONE};
        ending_run(&dense, &arena, &o);
        if (k < 2) check_experts(&groups, &dense);
        for (int i = 0; i < dense.file.count; i++) {
            const SafetensorsEntry *e = &dense.file.entries[i],
                                   *got = safetensors_find(&groups.file, e->name),
                                   *other = safetensors_find(&all.file, e->name);
            ck_assert_ptr_nonnull(got);
            bool of_experts = strstr(e->name, "experts") != NULL;
            bool as_all = !memcmp(got->data, other->data, (size_t)safetensors_bytes(e));
            bool as_dense = !memcmp(got->data, e->data, (size_t)safetensors_bytes(e));
            ck_assert_msg(of_experts ? !as_dense : as_all, "form %d: %s", k, e->name);
        }
        ending_finish(&dense);
        ending_finish(&all);
        ending_finish(&groups);
        arena_finish(&arena);
    }
}
END_TEST

SUITE("compress_products", pieces_are_compressed_as_weights_of_their_own, factors_are_of_a_piece,
      ranks_equal_shards_whatever_else_is_divided, whole_gradients_are_compressed_as_on_one_process,
      two_bytes_of_a_piece_are_those_of_the_whole, a_run_goes_on_with_the_errors_of_all_pieces,
      each_expert_is_compressed_by_itself, gradients_of_shared_experts_are_not_compressed,
      groups_that_share_experts_compress_what_they_send)
