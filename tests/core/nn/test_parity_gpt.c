// SPDX-License-Identifier: MIT
// Ten steps of GPT-2 with AdamW beside PyTorch's numbers, which tests/data/parity_gpt/README.md
// describes. In f64 losses, logits and weights within 1e-11 max(1, |b|) and gradients within
// 1e-12 of the largest of their tensor; in f32 twice as far off as PyTorch's own f32 is.
#include "core/base/file.h"
#include "tests/support/step_driver.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS = 10,
    BATCH = 8,
    ROWS = STEPS * BATCH,
    LENGTH = 32,
    VOCABULARY = 65,
    PARAMETERS = 106304,
    EVERY = 17,
    SOME = (PARAMETERS + EVERY - 1) / EVERY
};

static Arena arena;

// In the order of the table. Layer by layer: the names of the second are those of the first.
static const struct {
    const char *name;
    int count;
} first[] = {{"wte.weight", 4160}, {"wpe.weight", 2048}},
  block[] = {{"ln_1.weight", 64},           {"ln_1.bias", 64},
             {"attn.c_attn.weight", 12288}, {"attn.c_attn.bias", 192},
             {"attn.c_proj.weight", 4096},  {"attn.c_proj.bias", 64},
             {"ln_2.weight", 64},           {"ln_2.bias", 64},
             {"mlp.c_fc.weight", 16384},    {"mlp.c_fc.bias", 256},
             {"mlp.c_proj.weight", 16384},  {"mlp.c_proj.bias", 64}},
  last[] = {{"ln_f.weight", 64}, {"ln_f.bias", 64}};
enum { LAYERS = 2, BLOCK = sizeof block / sizeof *block, TENSORS = 2 + LAYERS * BLOCK + 2 };

typedef struct {
    char name[64];
    int count;
} Parameter;

static Parameter parameter(int k) {
    Parameter p;
    if (k < 2) {
        p.count = first[k].count;
        snprintf(p.name, sizeof p.name, "%s", first[k].name);
    } else if (k < TENSORS - 2) {
        p.count = block[(k - 2) % BLOCK].count;
        snprintf(p.name, sizeof p.name, "h.%d.%s", (k - 2) / BLOCK, block[(k - 2) % BLOCK].name);
    } else {
        p.count = last[k - TENSORS + 2].count;
        snprintf(p.name, sizeof p.name, "%s", last[k - TENSORS + 2].name);
    }
    return p;
}

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
    int32_t tokens[ROWS * LENGTH], labels[ROWS * LENGTH];
    double weights[PARAMETERS];
} Fixture;

static double initial(const Parameter *p, double s) {
    bool norm = strstr(p->name, "ln_") != NULL, bias = strstr(p->name, "bias") != NULL;
    return norm ? (bias ? 0.05 * s : 1 + 0.1 * s) : bias ? 0.02 * s : 0.08 * s;
}

static void make_fixture(Fixture *f) {
    uint64_t state = 4004;
    double *w = f->weights;
    for (int k = 0; k < TENSORS; k++) {
        Parameter p = parameter(k);
        for (int i = 0; i < p.count; i++) *w++ = (double)(float)initial(&p, symmetric(&state));
    }
    for (int row = 0; row < ROWS; row++) {
        int32_t c = (int32_t)((next(&state) >> 33) % VOCABULARY);
        for (int t = 0; t <= LENGTH; t++) {
            if (t < LENGTH) f->tokens[row * LENGTH + t] = c;
            if (t > 0) f->labels[row * LENGTH + t - 1] = c;
            c = (3 * c + 7 + (int32_t)((next(&state) >> 33) % 4)) % VOCABULARY;
        }
    }
}

typedef struct {
    double losses[STEPS], logits[LENGTH * VOCABULARY], gradients[SOME], weights[SOME];
} Numbers;

static const Numbers *read_numbers(void) {
    char *data;
    size_t length;
    const char *path = test_source("tests/data/parity_gpt/numbers.f8");
    ck_assert_msg(path != NULL, "numbers.f8 is missing");
    ck_assert_ok(file_read(&data, &length, &arena, path));
    ck_assert_uint_eq(length, sizeof(Numbers));
    return (const Numbers *)(const void *)data;
}

// --- comparison

static double compare(const char *what, Dtype dtype, const double *got, int step,
                      const double *want, int64_t count, double apart) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double off = fabs(got[i * step] - want[i]);
        double most = dtype == DTYPE_F64 ? 1e-11 * fmax(1, fabs(want[i])) : apart;
        ck_assert_msg(off <= most, "%s, %s[%d]: %.17g, PyTorch has %.17g, off by %g > %g",
                      dtype_name(dtype), what, (int)i * step, got[i * step], want[i], off, most);
        worst = fmax(worst, off);
    }
    return worst;
}

// Of each tensor the elements at every seventeenth place of the whole; in f32 within 5e-6 of the
// largest, or PyTorch's own distance.
static void compare_gradients(Dtype dtype, const double *const gradients[TENSORS],
                              const double *want) {
    int place = 0;
    for (int k = 0; k < TENSORS; k++) {
        Parameter p = parameter(k);
        double largest = 0;
        for (int i = 0; i < p.count; i++) largest = fmax(largest, fabs(gradients[k][i]));
        double most = dtype == DTYPE_F64 ? 1e-12 * largest : fmax(5e-6 * largest, 5.1e-8);
        for (int i = 0; i < p.count; i++, place++) {
            if (place % EVERY) continue;
            double got = gradients[k][i], expected = want[place / EVERY];
            ck_assert_msg(fabs(got - expected) <= most, "%s.grad[%d] is %.17g, not %.17g", p.name,
                          i, got, expected);
        }
    }
}

// --- runs

typedef struct {
    StepDriver d;
    const double *gradients[TENSORS], *logits;
    double losses[STEPS];
} Run;

static Run *start(const char *device, Dtype dtype, int ranks, int micro_batches) {
    static Fixture f;
    Run *r = ARENA_NEW(&arena, Run, 1);
    make_fixture(&f);
    const StepOptions o = {
        .model = "gpt",
        .device = device,
        .dtype = dtype,
        .ranks = ranks,
        .shards = ranks,
        .micro_batches = micro_batches,
        .batch = BATCH,
        .samples = ROWS,
        .tokens = f.tokens,
        .labels = f.labels,
        .row_labels = LENGTH,
        .learning_rate = 1e-3,
        .optimizer = {.kind = OPTIMIZER_ADAMW,
                      .beta1 = 0.9,
                      .beta2 = 0.95,
                      .eps = 1e-8,
                      .weight_decay = 0.1},
        .strategy = {.bucket_bytes = {4096, 32768}},
    };
    step_driver_init(&r->d, &o);
    ck_assert_int_eq(step_driver_parameter_count(&r->d), PARAMETERS);
    step_driver_set_parameters(&r->d, f.weights);
    for (int k = 0; k < TENSORS; k++) {
        char name[80];
        snprintf(name, sizeof name, "%s.grad%s", parameter(k).name, k ? "" : ".sum");  // k 0: tied
        r->gradients[k] = step_driver_watch(&r->d, name);
    }
    if (ranks == 1 && micro_batches == 1) r->logits = step_driver_watch(&r->d, "lm_head.y");
    return r;
}

static void check(const char *device, Dtype dtype, int ranks, int micro_batches) {
    const Numbers *n = read_numbers();
    Run *r = start(device, dtype, ranks, micro_batches);
    double *weights = ARENA_NEW(&arena, double, PARAMETERS), logits = 0;
    for (int i = 0; i < STEPS; i++) {
        r->losses[i] = step_driver_run(&r->d);
        if (i) continue;
        compare_gradients(dtype, r->gradients, n->gradients);
        if (r->logits)
            logits = compare("logits", dtype, r->logits, 1, n->logits, LENGTH * VOCABULARY, 2e-6);
    }
    double loss = compare("loss", dtype, r->losses, 1, n->losses, STEPS, 2e-6);
    for (int k = 0; k < ranks; k++) {
        step_driver_get_parameters(&r->d, k, weights);
        double worst = compare("weights", dtype, weights, EVERY, n->weights, SOME, 1.14e-4);
        fprintf(stderr,
                "# %s %s, %d ranks: off by %.2g in a loss, %.2g in a logit, %.2g in a "
                "weight\n",
                device, dtype_name(dtype), ranks, loss, logits, worst);
    }
    step_driver_finish(&r->d);
}

static bool is_built(const char *device) {
    const Device *found;
    return device_find(&found, device) == OK;
}

START_TEST(one_rank_on_the_reference) { check("reference", DTYPE_F64, 1, 1); }
END_TEST

START_TEST(one_rank_on_cpu) {
    if (!is_built("cpu")) return;
    check("cpu", DTYPE_F64, 1, 1);
    check("cpu", DTYPE_F32, 1, 1);
}
END_TEST

START_TEST(two_ranks_with_micro_batches) {
    check(is_built("cpu") ? "cpu" : "reference", DTYPE_F64, 2, 2);
}
END_TEST

SUITE_SECONDS("parity_gpt", 60, one_rank_on_the_reference, one_rank_on_cpu,
              two_ranks_with_micro_batches)
