// SPDX-License-Identifier: MIT
// What docs/contract.md, 7 says of Adam: a parameter that the loss does not depend on has a
// gradient of rounding alone, which Adam divides by its own size or by eps. Losses and all other
// parameters lie within the bounds of SGD, and such a one within lr 2^-53 / eps a step.
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

static Arena arena;  // finished by each test

enum { STEPS = 10 };
static const double rate = 1e-2, eps = 1e-8, bound = 1e-12, unit = 0x1p-53;

// The softmax of attention takes no notice of what is added to all scores of a query: the bias of
// the keys, the second third of c_attn's.
static bool is_free_of_a_gpt(const char *name, int64_t i, int64_t elements) {
    return strstr(name, "attn.c_attn.bias") && 3 * i >= elements && 3 * i < 2 * elements;
}

// Batch normalisation subtracts the mean of a channel, and with it the bias before it, which the
// running mean follows.
static bool is_free_of_channels(const char *name, int64_t i, int64_t elements) {
    return strstr(name, "before.bias") || strstr(name, "running_mean");
}

typedef bool IsFree(const char *name, int64_t i, int64_t elements);

typedef struct {
    double free, others;  // the largest distances, in units of max(1, |w|)
} Apart;

static Apart compare(const Ending *a, const Ending *b, IsFree *is_free) {
    Apart most = {0, 0};
    for (int k = 0; k < a->file.count; k++) {
        const SafetensorsEntry *x = &a->file.entries[k], *y = safetensors_find(&b->file, x->name);
        if (x->dtype != DTYPE_F64) continue;
        const double *v = x->data, *w = y->data;
        int64_t elements = safetensors_bytes(x) / (int64_t)sizeof *v;
        for (int64_t i = 0; i < elements; i++) {
            bool parameter = strncmp(x->name, "optimizer", 9) != 0;
            double d = fabs(v[i] - w[i]) / fmax(1, fabs(v[i]));
            double *of = parameter && is_free(x->name, i, elements) ? &most.free : &most.others;
            if (!(d <= *of)) *of = d;
        }
    }
    return most;
}

static void check_losses(const Ending *one, const Ending *got) {
    for (int step = 0; step < STEPS; step++) {
        double w = ending_step(one, 0, step)->loss, g = ending_step(got, 0, step)->loss;
        ck_assert_msg(fabs(w - g) <= bound * fmax(1, w), "step %d: %.17g, not %.17g", step, g, w);
    }
}

static void check(JobOptions *o, const Mesh *mesh, bool sequence, IsFree *is_free) {
    for (int adam = 0; adam < 2; adam++) {
        Ending one, got;
        o->spec.optimizer = (Optimizer){.kind = OPTIMIZER_SGD, .momentum = 0.9};
        if (adam)
            o->spec.optimizer =
                (Optimizer){.kind = OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = eps};
        o->spec.learning_rate = rate;
        o->spec.mesh = (Mesh){0};
        o->spec.ranks = 1;
        o->spec.strategy.sequence_parallel = false;
        ending_run(&one, &arena, o);
        o->spec.mesh = *mesh;
        o->spec.ranks = (int)mesh_ranks(mesh);
        o->spec.strategy.sequence_parallel = sequence;
        ending_run(&got, &arena, o);
        check_losses(&one, &got);
        Apart d = compare(&one, &got, is_free);
        ck_assert_msg(d.others <= bound, "adam %d: %g apart", adam, d.others);
        ck_assert_msg(adam ? d.free > bound : d.free <= bound, "adam %d: %g apart", adam, d.free);
        ck_assert_msg(d.free <= STEPS * rate * unit / eps, "adam %d: %g apart", adam, d.free);
        ending_finish(&one);
        ending_finish(&got);
    }
}

static const char attending[] =
    "model attending\ninput tokens 8\nclasses 65\nembedding wte out=16 std=0.5\n"
    "positions wpe std=0.5\nlayer_norm ln\nblock attn\n    linear c_attn out=48\n"
    "    attention heads=4 causal=true\n    linear c_proj out=16\nend\nlayer_norm ln_f\n"
    "linear head out=65\n";

START_TEST(biases_of_keys_move_by_rounding) {
    static const struct {
        Mesh mesh;
        bool sequence;
    } cases[] = {{{.tensor = 2}, false},
                 {{.tensor = 2}, true},
                 {{.context = 2}, false},
                 {{.context = 2, .tensor = 2}, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *model = ending_write_file(&arena, "attending.model", attending);
        JobOptions o = ending_text_options(model, STEPS);
        check(&o, &cases[i].mesh, cases[i].sequence, is_free_of_a_gpt);
    }
    arena_finish(&arena);
}
END_TEST

static const char normed[] = "model normed\ninput 1 28 28\nclasses 10\n"
                             "conv2d before out=8 kernel=5 stride=3\nbatch_norm norm\nrelu\n"
                             "conv2d next out=6 kernel=3\nflatten\nlinear last out=10\n";

START_TEST(biases_before_a_batch_norm_do) {
    JobOptions o = training_options();
    o.spec.model = ending_write_file(&arena, "normed.model", normed);
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 8;
    o.data = "digits:count=200";
    o.steps = STEPS;
    check(&o, &(Mesh){.tensor = 2}, false, is_free_of_channels);
    arena_finish(&arena);
}
END_TEST

SUITE("adam bounds", biases_of_keys_move_by_rounding, biases_before_a_batch_norm_do)
