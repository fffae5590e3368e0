// SPDX-License-Identifier: MIT
// Twenty steps of a network with batch normalisation beside PyTorch's numbers, which
// tests/data/parity_batch_norm/README.md describes: statistics of the whole batch, of one process
// or synchronised over ranks, and those of each half. Bounds as in test_parity.c; in f32 those of
// PyTorch's own distance between f32 and f64, and 1e-5 (a near tie of max_pool falls either way).
#include "core/base/file.h"
#include "tests/support/step_driver.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS = 20,
    BATCH = 64,
    SAMPLES = 4 * BATCH,
    CLASSES = 10,
    PIXELS = 28 * 28,
    PARAMETERS = 7042,
    CHANNELS = 48
};

static Arena arena;

// In the order of the table: gradient, elements, fan_in or 0: a normalisation's.
static const struct {
    const char *gradient;
    int count, fan_in;
} parameters[] = {
    {"conv1.weight.grad", 72, 9},    {"bn1.weight.grad", 8, 0},  {"bn1.bias.grad", 8, 0},
    {"conv2.weight.grad", 1152, 72}, {"bn2.weight.grad", 16, 0}, {"bn2.bias.grad", 16, 0},
    {"fc.weight.grad", 5760, 576},   {"fc.bias.grad", 10, 576},
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
    static double templates[CLASSES * PIXELS];
    uint64_t state = 1001;
    for (int i = 0; i < CLASSES * PIXELS; i++) templates[i] = symmetric(&state);
    for (int i = 0; i < SAMPLES; i++) f->labels[i] = (int32_t)((next(&state) >> 33) % CLASSES);
    for (int i = 0; i < SAMPLES * PIXELS; i++) {
        double template = templates[f->labels[i / PIXELS] * PIXELS + i % PIXELS];
        f->x[i] = (float)(0.5 * template + 0.5 * symmetric(&state));
    }
    double *w = f->weights;
    state = 3003;
    for (int k = 0; k < TENSORS; k++) {
        bool bias = strstr(parameters[k].gradient, "bias") != NULL;
        double root = sqrt(parameters[k].fan_in);
        for (int i = 0; i < parameters[k].count; i++) {
            double s = symmetric(&state);
            double value = parameters[k].fan_in ? s / root : bias ? 0.1 * s : 1 + 0.2 * s;
            *w++ = (double)(float)value;
        }
    }
}

typedef struct {
    double losses[STEPS], losses_of_halves[STEPS], gradients[PARAMETERS], weights[PARAMETERS],
        running[CHANNELS], logits[BATCH * CLASSES];
} Numbers;

static const Numbers *read_numbers(void) {
    char *data;
    size_t length;
    const char *path = test_source("tests/data/parity_batch_norm/numbers.f8");
    ck_assert_msg(path != NULL, "numbers.f8 is missing");
    ck_assert_ok(file_read(&data, &length, &arena, path));
    ck_assert_uint_eq(length, sizeof(Numbers));
    return (const Numbers *)(const void *)data;
}

// --- comparison

// |a - b| may be 1e-12 max(1, |b|) in f64; in f32 `apart`, PyTorch's own distance.
static double compare(const char *what, Dtype dtype, const double *got, const double *want,
                      int64_t count, double apart) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double off = fabs(got[i] - want[i]);
        double most = dtype == DTYPE_F64 ? 1e-12 * fmax(1, fabs(want[i])) : apart;
        ck_assert_msg(off <= most, "%s, %s[%d]: %.17g, PyTorch has %.17g, off by %g > %g",
                      dtype_name(dtype), what, (int)i, got[i], want[i], off, most);
        worst = fmax(worst, off);
    }
    return worst;
}

// Gradients within 1e-12 max|g|, in f32 5e-6 or PyTorch's own distance.
static void compare_gradients(Dtype dtype, const double *const gradients[TENSORS],
                              const double *want) {
    for (int k = 0; k < TENSORS; want += parameters[k++].count) {
        double largest = 0;
        for (int i = 0; i < parameters[k].count; i++) largest = fmax(largest, fabs(want[i]));
        double most = dtype == DTYPE_F64 ? 1e-12 * largest : fmax(5e-6 * largest, 6.2e-7);
        for (int i = 0; i < parameters[k].count; i++)
            ck_assert_msg(fabs(gradients[k][i] - want[i]) <= most, "%s[%d] is %.17g, not %.17g",
                          parameters[k].gradient, i, gradients[k][i], want[i]);
    }
}

// --- runs

typedef struct {
    StepDriver d;
    const double *gradients[TENSORS], *running[4];
    double losses[STEPS];
} Run;

static Run *start(const char *device, Dtype dtype, int ranks, int shards, bool sync) {
    static Fixture f;
    Run *r = ARENA_NEW(&arena, Run, 1);
    make_fixture(&f);
    const StepOptions o = {.model = test_source("tests/data/parity_batch_norm/batch_norm.model"),
                           .device = device,
                           .dtype = dtype,
                           .ranks = ranks,
                           .shards = shards,
                           .batch = BATCH,
                           .samples = SAMPLES,
                           .x = f.x,
                           .labels = f.labels,
                           .learning_rate = 0.05,
                           .optimizer = {.momentum = 0.9},
                           .strategy = {.bucket_bytes = {4096, 32768}, .sync_batch_norm = sync}};
    step_driver_init(&r->d, &o);
    ck_assert_int_eq(step_driver_parameter_count(&r->d), PARAMETERS);
    step_driver_set_parameters(&r->d, f.weights);
    for (int k = 0; k < TENSORS; k++)
        r->gradients[k] = step_driver_watch(&r->d, parameters[k].gradient);
    static const char *const running[] = {"bn1.running_mean", "bn1.running_var", "bn2.running_mean",
                                          "bn2.running_var"};
    for (int k = 0; k < 4; k++) r->running[k] = step_driver_watch(&r->d, running[k]);
    return r;
}

static void check_state(const Run *r, Dtype dtype, const double *want) {
    for (int k = 0; k < 4; want += k++ < 2 ? 8 : 16)
        compare(k % 2 ? "running_var" : "running_mean", dtype, r->running[k], want, k < 2 ? 8 : 16,
                5e-5);
}

static void check_evaluation(Run *r, Dtype dtype, const double *want) {
    const double *logits = step_driver_watch(&r->d, "evaluate.fc.y");
    for (int block = 0; block < BATCH / STEP_EVALUATION_ROWS; block++) {
        step_driver_evaluate(&r->d, block);
        compare("logits in evaluation", dtype, logits,
                want + block * STEP_EVALUATION_ROWS * CLASSES, STEP_EVALUATION_ROWS * CLASSES,
                2e-3);
    }
}

// Statistics of the whole batch, whoever has its rows.
static void check_whole(const char *device, Dtype dtype, int ranks, int shards) {
    const Numbers *n = read_numbers();
    Run *r = start(device, dtype, ranks, shards, ranks * shards > 1);
    double *weights = ARENA_NEW(&arena, double, PARAMETERS);
    for (int i = 0; i < STEPS; i++) {
        r->losses[i] = step_driver_run(&r->d);
        if (i == 0 && shards == ranks) compare_gradients(dtype, r->gradients, n->gradients);
    }
    double loss = compare("loss", dtype, r->losses, n->losses, STEPS, 2e-5);
    for (int k = 0; k < ranks; k++) {
        step_driver_get_parameters(&r->d, k, weights);
        double worst = compare("weights", dtype, weights, n->weights, PARAMETERS, 4.92e-4);
        fprintf(stderr, "# %s %s, %d ranks, %d shards: off by %.2g in a loss, %.2g in a weight\n",
                device, dtype_name(dtype), ranks, shards, loss, worst);
    }
    check_state(r, dtype, n->running);
    if (ranks == 1) check_evaluation(r, dtype, n->logits);
    step_driver_finish(&r->d);
}

static bool is_built(const char *device) {
    const Device *found;
    return device_find(&found, device) == OK;
}

static const char *const devices[] = {"reference", "cpu"};

START_TEST(a_batch_in_one_process) {
    for (int i = 0; i < 4; i++)
        if (is_built(devices[i / 2]))
            check_whole(devices[i / 2], i % 2 ? DTYPE_F64 : DTYPE_F32, 1, 1);
}
END_TEST

START_TEST(a_batch_over_ranks_with_synchronised_statistics) {
    for (int i = 0; i < 2; i++)
        for (int ranks = 2; ranks <= 2 + 2 * i && is_built(devices[i]); ranks++)
            check_whole(devices[i], DTYPE_F64, ranks, ranks);
    if (is_built("cpu")) check_whole("cpu", DTYPE_F32, 4, 4);
}
END_TEST

START_TEST(a_batch_in_shards_with_synchronised_statistics) {
    const char *device = is_built("cpu") ? "cpu" : "reference";
    check_whole(device, DTYPE_F64, 1, 3);
    check_whole(device, DTYPE_F64, 2, 4);
}
END_TEST

// Without synchronisation each half normalises with what is its own: other losses, from the first.
static void check_halves(const char *device, int ranks) {
    const Numbers *n = read_numbers();
    Run *r = start(device, DTYPE_F64, ranks, 2, false);
    for (int i = 0; i < STEPS; i++) r->losses[i] = step_driver_run(&r->d);
    compare("loss", DTYPE_F64, r->losses, n->losses_of_halves, STEPS, 0);
    for (int i = 0; i < STEPS; i++) ck_assert_double_gt(fabs(r->losses[i] - n->losses[i]), 1e-4);
    step_driver_finish(&r->d);
}

START_TEST(halves_with_statistics_of_their_own) {
    for (int i = 0; i < 4; i++)
        if (is_built(devices[i / 2])) check_halves(devices[i / 2], 1 + i % 2);
}
END_TEST

SUITE_SECONDS("parity_batch_norm", 120, a_batch_in_one_process,
              a_batch_over_ranks_with_synchronised_statistics,
              a_batch_in_shards_with_synchronised_statistics, halves_with_statistics_of_their_own)
