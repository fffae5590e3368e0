// SPDX-License-Identifier: MIT
// Twenty steps of a network that is no chain beside PyTorch's numbers, which
// tests/data/parity_graph/README.md describes: residual blocks, a tied weight, gelu, avg_pool.
// Bounds as in test_parity.c.
#include "core/base/file.h"
#include "tests/support/step_driver.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 20, ROWS = 16, SAMPLES = 64, CLASSES = 5, PIXELS = 9 * 8, PARAMETERS = 893 };

static Arena arena;

// In the order of the table: name, elements, fan_in, gradient.
static const struct {
    const char *gradient;
    int count, fan_in;
} parameters[] = {
    {"stem.weight.grad", 36, 9},     {"stem.bias.grad", 4, 9},
    {"res1.a.weight.grad", 144, 36}, {"res1.a.bias.grad", 4, 36},
    {"res1.b.weight.grad", 144, 36}, {"res1.b.bias.grad", 4, 36},
    {"res2.a.weight.grad", 144, 36}, {"res2.a.bias.grad", 4, 36},
    {"res2.b.weight.grad", 144, 36}, {"res2.b.bias.grad", 4, 36},
    {"c.weight.grad", 128, 16},      {"c.bias.grad", 8, 16},
    {"enc.weight.grad.sum", 64, 8},  {"enc.bias.grad", 8, 8},
    {"dec.bias.grad", 8, 8},         {"logits.weight.grad", 40, 8},
    {"logits.bias.grad", 5, 8},
};
enum { TENSORS = sizeof parameters / sizeof *parameters };

// --- inputs and initial weights, from their recipe

static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// In [-1, 1), a multiple of 2^-23.
static double symmetric(uint64_t *state) {
    return 2.0 * ((double)(next(state) >> 40) / 16777216.0) - 1.0;
}

typedef struct {
    float x[SAMPLES * PIXELS];
    int32_t labels[SAMPLES];
    double weights[PARAMETERS];
} Fixture;

static void make_fixture(Fixture *f) {
    uint64_t state = 3003;
    double *w = f->weights;
    for (int i = 0; i < SAMPLES; i++) f->labels[i] = (int32_t)((next(&state) >> 33) % CLASSES);
    for (int i = 0; i < SAMPLES * PIXELS; i++) f->x[i] = (float)symmetric(&state);
    for (int k = 0; k < TENSORS; k++)
        for (int i = 0; i < parameters[k].count; i++)
            *w++ = (double)(float)(symmetric(&state) / sqrt(parameters[k].fan_in));
}

// losses of the steps, gradients of the first, weights after the last
typedef struct {
    double losses[STEPS], gradients[PARAMETERS], weights[PARAMETERS];
} Numbers;

static const Numbers *read_numbers(void) {
    char *data;
    size_t length;
    const char *path = test_source("tests/data/parity_graph/numbers.f8");
    ck_assert_msg(path != NULL, "numbers.f8 is missing");
    ck_assert_ok(file_read(&data, &length, &arena, path));
    ck_assert_uint_eq(length, sizeof(Numbers));
    return (const Numbers *)(void *)data;
}

// --- comparison

static void compare(const StepOptions *o, const char *what, const double *got, const double *want,
                    int count, double absolute, double relative) {
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= absolute + relative * fabs(want[i]),
                      "%d ranks, %d micro-batches on %s in %s: %s[%d] is %.17g, PyTorch has %.17g",
                      o->ranks, o->micro_batches, o->device, dtype_name(o->dtype), what, i, got[i],
                      want[i]);
}

static double largest(const double *x, int count) {
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
    return most;
}

static void compare_gradients(const StepOptions *o, const double *const got[TENSORS],
                              const double *want) {
    double part = o->dtype == DTYPE_F64 ? 1e-12 : 5e-6;
    for (int k = 0; k < TENSORS; want += parameters[k++].count)
        compare(o, parameters[k].gradient, got[k], want, parameters[k].count,
                part * largest(want, parameters[k].count), 0);
}

static void check(const Fixture *f, const Numbers *want, StepOptions o) {
    StepDriver d;
    const double *gradients[TENSORS];
    double losses[STEPS], weights[PARAMETERS];
    double relative = o.dtype == DTYPE_F64 ? 1e-12 : 1.3e-6;
    double absolute = o.dtype == DTYPE_F64 ? 1e-12 : 1e-5;
    o.model = test_source("tests/data/parity_graph/graph.model");
    ck_assert_ptr_nonnull(o.model);
    o.x = f->x;
    o.labels = f->labels;
    o.samples = SAMPLES;
    o.batch = ROWS;
    o.learning_rate = 0.1;
    o.optimizer = (Optimizer){.momentum = 0.9};
    o.strategy = (StrategyOptions){.bucket_bytes = {512, 1024}};
    step_driver_init(&d, &o);
    ck_assert_int_eq(step_driver_parameter_count(&d), PARAMETERS);
    step_driver_set_parameters(&d, f->weights);
    for (int k = 0; k < TENSORS; k++) gradients[k] = step_driver_watch(&d, parameters[k].gradient);
    for (int i = 0; i < STEPS; i++) {
        losses[i] = step_driver_run(&d);
        if (i == 0) compare_gradients(&o, gradients, want->gradients);
    }
    step_driver_get_parameters(&d, o.ranks - 1, weights);
    compare(&o, "losses", losses, want->losses, STEPS, absolute, relative);
    compare(&o, "weights", weights, want->weights, PARAMETERS, absolute, relative);
    step_driver_finish(&d);
}

START_TEST(twenty_steps_of_a_graph_are_pytorchs) {
    static const char *const devices[] = {"reference", "cpu"};
    static const int cuts[][2] = {{1, 1}, {1, 2}, {2, 1}, {4, 2}};
    Fixture *f = ARENA_NEW(&arena, Fixture, 1);
    const Numbers *want = read_numbers();
    const Device *cpu;
    make_fixture(f);
    for (int d = 0; d < 2; d++)
        for (int c = 0; c < 4; c++)
            for (int wide = 0; wide < 2; wide++)
                if (d == 0 || device_find(&cpu, devices[d]) == OK)
                    check(f, want,
                          (StepOptions){.device = devices[d],
                                        .dtype = wide ? DTYPE_F64 : DTYPE_F32,
                                        .ranks = cuts[c][0],
                                        .micro_batches = cuts[c][1]});
}
END_TEST

SUITE("parity_graph", twenty_steps_of_a_graph_are_pytorchs)
