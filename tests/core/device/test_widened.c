// SPDX-License-Identifier: MIT
// Kernels in bf16 on the reference device: operands are read as they are, sums are f32, and results
// are rounded once. By hand, and operation by operation against the f32 kernel, whose results the
// test rounds itself.
#include "core/base/bf16.h"
#include "core/platform/device_traits.h"

#include "tests/support/device_hand.h"

#include <math.h>

static double rounded(double x) { return (double)bf16_to_f32(bf16_from_f32((float)x)); }

static void begin(Case *c, int64_t rows, const char *text) {
    case_init(c, DTYPE_BF16, rows, rows);
    snprintf(c->text, sizeof c->text, "%s", text);
}

// --- by hand: from 256 on two bf16 are 2 apart

START_TEST(a_sum_is_rounded_once_and_not_between_its_terms) {
    Case c;
    begin(&c, 2, "linear");
    TENSOR(&c, "x", DTYPE_BF16, SHAPE(ROWS, 4), 256, 1, 1, 1, 256, 1, 1, 0);
    TENSOR(&c, "weight", DTYPE_BF16, SHAPE(2, 4), 1, 1, 1, 1, 1, 1, 1, -1);
    OUTPUT(&c, "y", DTYPE_BF16, SHAPE(ROWS, 2));
    case_op(&c, KIND_LINEAR, false, NULL, "y", "x weight");
    Values got = run_lowered(&c, &device_reference);
    // 259 lies in the middle of 258 and 260, 257 of 256 and 258; 258 is a bf16.
    EXPECT(&c, &got, "y", 260, 256, 258, 258);
    case_finish(&c);
}
END_TEST

START_TEST(gradients_of_parameters_are_f32_and_added_up_in_it) {
    Case c;
    begin(&c, 2, "linear_backward_weight");
    TENSOR(&c, "x", DTYPE_BF16, SHAPE(ROWS, 1), 256, 1);
    TENSOR(&c, "dy", DTYPE_BF16, SHAPE(ROWS, 1), 1, 1);
    TENSOR(&c, "dweight", DTYPE_F32, SHAPE(1, 1), 0x1p-10);
    TENSOR(&c, "dbias", DTYPE_F32, SHAPE(1), 1 + 0x1p-20);
    case_op(&c, KIND_LINEAR_BACKWARD_WEIGHT, true, NULL, "dweight dbias", "x dy");
    Values got = run_lowered(&c, &device_reference);
    EXPECT(&c, &got, "dweight", 257 + 0x1p-10);
    EXPECT(&c, &got, "dbias", 3 + 0x1p-20);
    case_finish(&c);
}
END_TEST

// What is kept in bf16 from one operation to the next is rounded by each.
START_TEST(a_fold_into_bf16_rounds_each_time) {
    Case c;
    begin(&c, 2, "fold");
    TENSOR(&c, "sum", DTYPE_BF16, SHAPE(ROWS), 256, 258);
    TENSOR(&c, "x", DTYPE_BF16, SHAPE(ROWS), 1, 1);
    case_op(&c, KIND_FOLD, true, NULL, "sum", "x");
    case_op(&c, KIND_FOLD, true, NULL, "sum", "x");
    Values got = run_lowered(&c, &device_reference);
    EXPECT(&c, &got, "sum", 256, 260);
    case_finish(&c);
}
END_TEST

START_TEST(what_is_too_large_too_small_or_no_number) {
    const double most = 0x1.fep127, least = 0x1p-133;
    Case c;
    begin(&c, 7, "add");
    TENSOR(&c, "a", DTYPE_BF16, SHAPE(ROWS), most, most, -most, infinite, none, least, least);
    TENSOR(&c, "b", DTYPE_BF16, SHAPE(ROWS), 0x1p118, 0x1p119, -most, -infinite, 1, least, 1);
    OUTPUT(&c, "y", DTYPE_BF16, SHAPE(ROWS));
    case_op(&c, KIND_ADD, false, NULL, "y", "a b");
    Values got = run_lowered(&c, &device_reference);
    EXPECT(&c, &got, "y", most, infinite, -infinite, none, none, 2 * least, 1);
    case_finish(&c);
}
END_TEST

START_TEST(a_loss_is_that_of_the_logits_in_f32) {
    Case c;
    begin(&c, 1, "cross_entropy");
    TENSOR(&c, "logits", DTYPE_BF16, SHAPE(ROWS, 2), 4, -4);
    TENSOR(&c, "labels", DTYPE_I32, SHAPE(ROWS), 0);
    TENSOR(&c, "inverse_count", DTYPE_F64, SHAPE(1), 1);
    OUTPUT(&c, "loss", DTYPE_F64, SHAPE(2));
    OUTPUT(&c, "probability", DTYPE_F32, SHAPE(ROWS, 2));
    OUTPUT(&c, "dlogits", DTYPE_BF16, SHAPE(ROWS, 2));
    case_op(&c, KIND_CROSS_ENTROPY, false, NULL, "loss probability", "logits labels inverse_count");
    case_op(&c, KIND_CROSS_ENTROPY_BACKWARD, false, NULL, "dlogits",
            "probability labels inverse_count");
    Values got = run_lowered(&c, &device_reference);
    int loss = program_find_tensor(&c.p, "loss"), dz = program_find_tensor(&c.p, "dlogits");
    // log(1 + exp(-8)); of a probability in bf16, 1, the first gradient would be 0.
    ck_assert_double_eq_tol(got.of[loss][0], 0x1.5fb11p-12, 1e-9);
    for (int k = 0; k < 2; k++)
        ck_assert_double_eq_tol(fabs(got.of[dz][k]), 3.3535e-4, 3.3535e-4 * 0x1p-8);
    case_finish(&c);
}
END_TEST

// --- every kind against the f32 kernel

typedef struct {
    const char *name;
    void (*build)(Case *c);
} Sample;

static void in(Case *c, const char *name, int dims, const int64_t *shape) {
    case_tensor(c, name, REAL(c), FILL_RANDOM, dims, shape);
}
static void out(Case *c, const char *name, int dims, const int64_t *shape) {
    case_tensor(c, name, REAL(c), FILL_OUTPUT, dims, shape);
}
static void wide_in(Case *c, const char *name, int dims, const int64_t *shape) {
    case_tensor(c, name, dtype_wide(REAL(c)), FILL_RANDOM, dims, shape);
}

static void convolution(Case *c) {
    in(c, "x", SHAPE(ROWS, 2, 5, 4));
    in(c, "weight", SHAPE(3, 2, 3, 3));
    in(c, "bias", SHAPE(3));
    out(c, "y", SHAPE(ROWS, 3, 5, 4));
    case_op(c, KIND_CONV2D, false, (int64_t[]){3, 1, 1}, "y", "x weight bias");
}

static void convolution_backward(Case *c) {
    in(c, "x", SHAPE(ROWS, 2, 5, 4));
    in(c, "dy", SHAPE(ROWS, 3, 5, 4));
    wide_in(c, "dweight", SHAPE(3, 2, 3, 3));
    wide_in(c, "dbias", SHAPE(3));
    case_op(c, KIND_CONV2D_BACKWARD_WEIGHT, true, (int64_t[]){3, 1, 1}, "dweight dbias", "x dy");
}

static void pooling(Case *c) {
    in(c, "x", SHAPE(ROWS, 2, 4, 4));
    out(c, "y", SHAPE(ROWS, 2, 2, 2));
    case_tensor(c, "index", DTYPE_U8, FILL_OUTPUT, SHAPE(ROWS, 2, 2, 2));
    case_op(c, KIND_MAX_POOL, false, (int64_t[]){2, 2, 0}, "y index", "x");
}

static void averages_backward(Case *c) {
    in(c, "dy", SHAPE(ROWS, 2, 3, 3));
    out(c, "dx", SHAPE(ROWS, 2, 4, 4));
    case_op(c, KIND_AVG_POOL_BACKWARD, false, (int64_t[]){2, 2, 1}, "dx", "dy");
}

static void gelu(Case *c) {
    in(c, "x", SHAPE(ROWS, 33));
    out(c, "y", SHAPE(ROWS, 33));
    case_op(c, KIND_GELU_TANH, false, NULL, "y", "x");
}

static void layer_norm_backward(Case *c) {
    in(c, "dy", SHAPE(ROWS, 3, 17));
    in(c, "x", SHAPE(ROWS, 3, 17));
    wide_in(c, "dweight", SHAPE(17));
    wide_in(c, "dbias", SHAPE(17));
    case_op(c, KIND_LAYER_NORM_BACKWARD_WEIGHT, true, (int64_t[]){build_attr_real(1e-5)},
            "dweight dbias", "dy x");
}

static void attention(Case *c) {
    in(c, "qkv", SHAPE(ROWS, 5, 24));
    out(c, "y", SHAPE(ROWS, 5, 8));
    case_tensor(c, "lse", dtype_wide(REAL(c)), FILL_OUTPUT, SHAPE(ROWS, 5, 2));
    case_op(c, KIND_ATTENTION_PACKED, false, (int64_t[]){2, 2, 1}, "y lse", "qkv");
}

static void attention_backward(Case *c) {
    for (int k = 0; k < 4; k++)
        in(c, (const char *const[]){"dy", "y", "q", "k"}[k], SHAPE(ROWS, 5, 8));
    in(c, "v", SHAPE(ROWS, 5, 8));
    wide_in(c, "lse", SHAPE(ROWS, 5, 2));
    for (int k = 0; k < 3; k++)
        out(c, (const char *const[]){"dq", "dk", "dv"}[k], SHAPE(ROWS, 5, 8));
    case_op(c, KIND_ATTENTION_BACKWARD, false, (int64_t[]){2, 2, 0}, "dq dk dv", "dy y lse q k v");
}

// Of eight positions in a zigzag a rank has the first two and the last two, and those between come.
static void attention_block(Case *c) {
    for (int k = 0; k < 3; k++) in(c, (const char *const[]){"q", "k", "v"}[k], SHAPE(ROWS, 4, 8));
    wide_in(c, "y", SHAPE(ROWS, 4, 8));
    wide_in(c, "lse", SHAPE(ROWS, 4, 2));
    TENSOR(c, "queries", DTYPE_I64, SHAPE(4), 0, 1, 6, 7);
    TENSOR(c, "keys", DTYPE_I64, SHAPE(4), 2, 3, 4, 5);
    case_op(c, KIND_ATTENTION_BLOCK, false, (int64_t[]){2, 2, 1}, "y lse",
            "q k v queries keys y lse");
}

static void attention_block_backward(Case *c) {
    for (int k = 0; k < 5; k++)
        in(c, (const char *const[]){"dy", "y", "q", "k", "v"}[k], SHAPE(ROWS, 4, 8));
    wide_in(c, "lse", SHAPE(ROWS, 4, 2));
    wide_in(c, "dq", SHAPE(ROWS, 4, 8));
    for (int k = 0; k < 2; k++)
        case_tensor(c, (const char *const[]){"dk", "dv"}[k], dtype_wide(REAL(c)), FILL_OUTPUT,
                    SHAPE(ROWS, 4, 8));
    TENSOR(c, "queries", DTYPE_I64, SHAPE(4), 0, 1, 6, 7);
    TENSOR(c, "keys", DTYPE_I64, SHAPE(4), 2, 3, 4, 5);
    case_op(c, KIND_ATTENTION_BLOCK_BACKWARD, false, (int64_t[]){2, 2, 1}, "dq dk dv",
            "dy y lse q k v queries keys dq");
}

static void swiglu_backward(Case *c) {
    for (int k = 0; k < 3; k++)
        in(c, (const char *const[]){"dy", "gate", "up"}[k], SHAPE(ROWS, 31));
    for (int k = 0; k < 2; k++) out(c, (const char *const[]){"dgate", "dup"}[k], SHAPE(ROWS, 31));
    case_op(c, KIND_SWIGLU_BACKWARD, false, NULL, "dgate dup", "dy gate up");
}

static void batch_norm_update(Case *c) {
    wide_in(c, "mean", SHAPE(6));
    wide_in(c, "variance", SHAPE(6));
    case_tensor(c, "statistics", DTYPE_F64, FILL_RANDOM, SHAPE(1, 3, 6));
    case_op(c, KIND_BATCH_NORM_UPDATE, false, (int64_t[]){build_attr_real(0.1)}, "mean variance",
            "mean variance statistics");
}

static void sgd(Case *c) {
    for (int k = 0; k < 3; k++)
        in(c, (const char *const[]){"weight", "velocity", "gradient"}[k], SHAPE(41));
    TENSOR(c, "rate", DTYPE_F64, SHAPE(1), 0.1);
    case_op(c, KIND_SGD, false, (int64_t[]){build_attr_real(0.9), 0, 0}, "weight velocity",
            "gradient rate");
}

static void concatenation(Case *c) {
    in(c, "a", SHAPE(3));
    in(c, "b", SHAPE(2));
    in(c, "c", SHAPE(4));
    out(c, "y", SHAPE(9));
    case_op(c, KIND_CONCATENATE, false, NULL, "y", "a b c");
}

static const Sample samples[] = {
    {"convolution", convolution},
    {"convolution_backward", convolution_backward},
    {"pooling", pooling},
    {"averages_backward", averages_backward},
    {"gelu", gelu},
    {"layer_norm_backward", layer_norm_backward},
    {"attention", attention},
    {"attention_backward", attention_backward},
    {"attention_block", attention_block},
    {"attention_block_backward", attention_block_backward},
    {"swiglu_backward", swiglu_backward},
    {"batch_norm_update", batch_norm_update},
    {"sgd", sgd},
    {"concatenation", concatenation},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

// The same operands in both types: as bf16 has them.
static void give_alike(const Case *narrow, Case *wide) {
    for (int t = 0; t < narrow->p.tensor_count; t++)
        for (int64_t i = 0; narrow->before[t] && i < case_elements(narrow, t); i++) {
            double x = narrow->before[t][i];
            bool half = narrow->p.tensors[t].dtype == DTYPE_BF16;
            bool f64 = narrow->p.tensors[t].dtype == DTYPE_F64;
            wide->before[t][i] = half ? rounded(x) : f64 ? x : (double)(float)x;
        }
}

static void compare(const Case *c, const Values *got, const Values *want) {
    for (int t = 0; t < c->p.tensor_count; t++)
        for (int64_t i = 0; case_is_output(c, t) && i < case_elements(c, t); i++) {
            double x = want->of[t][i], a = got->of[t][i];
            if (c->p.tensors[t].dtype == DTYPE_BF16) x = rounded(x);
            if (a != x)
                ck_abort_msg("%s: %s[%lld] is %.9g, not %.9g", c->text, tensor_name(&c->p, t),
                             (long long)i, a, x);
        }
}

START_TEST(an_operation_in_bf16_is_that_in_f32_rounded) {
    for (int s = 0; s < SAMPLES; s++)
        for (int rows = 0; rows < 3; rows++) {
            Case narrow, wide;
            case_init(&narrow, DTYPE_BF16, 3, rows);
            case_init(&wide, DTYPE_F32, 3, rows);
            samples[s].build(&narrow);
            samples[s].build(&wide);
            snprintf(narrow.text, sizeof narrow.text, "%s of %d rows", samples[s].name, rows);
            give_alike(&narrow, &wide);
            Values want = run_lowered(&wide, &device_reference),
                   got = run_lowered(&narrow, &device_reference);
            compare(&narrow, &got, &want);
            case_finish(&narrow);
            case_finish(&wide);
        }
}
END_TEST

START_TEST(scratch_is_what_the_largest_operation_widens) {
    Case c;
    begin(&c, 3, "scratch");
    in(&c, "x", SHAPE(ROWS, 5));
    out(&c, "y", SHAPE(ROWS, 5));
    case_op(&c, KIND_RELU, false, NULL, "y", "x");
    case_op(&c, KIND_COPY, false, NULL, "y", "x");
    ck_assert_ok(program_lower(&c.p, &device_traits_reference));
    ck_assert_int_eq(program_memory(&c.p, MEMORY_SCRATCH), 2 * 64);  // 15 f32 each
    case_finish(&c);
}
END_TEST

SUITE("widened", a_sum_is_rounded_once_and_not_between_its_terms,
      gradients_of_parameters_are_f32_and_added_up_in_it, a_fold_into_bf16_rounds_each_time,
      what_is_too_large_too_small_or_no_number, a_loss_is_that_of_the_logits_in_f32,
      an_operation_in_bf16_is_that_in_f32_rounded, scratch_is_what_the_largest_operation_widens)
