// SPDX-License-Identifier: MIT
// Every device against numbers worked out by hand, and against the reference over swept sizes.
#include "core/device/device.h"

#include "core/plan/lower.h"
#include "tests/support/device_hand.h"
#include "tests/support/plan_maker.h"

#include <string.h>

// x = 1 2 3   weight = 1 2   bias = 10
//     4 5 6            3 4
//     7 8 9
static void convolve(Case *c, int64_t stride, int64_t pad) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9);
    TENSOR(c, "weight", REAL(c), SHAPE(1, 1, 2, 2), 1, 2, 3, 4);
    TENSOR(c, "bias", REAL(c), SHAPE(1), 10);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 2, 2));
    case_op(c, KIND_CONV2D, false, (int64_t[]){2, stride, pad}, "y", "x weight bias");
}

static void conv2d_plain(Case *c, const Device *d) {
    convolve(c, 1, 0);
    Values got = run_lowered(c, d);
    // 1·1 + 2·2 + 4·3 + 5·4 + 10 = 47, 2 + 6 + 15 + 24 + 10 = 57, 4 + 10 + 21 + 32 + 10 = 77, ...
    EXPECT(c, &got, "y", 47, 57, 77, 87);
}

static void conv2d_padded(Case *c, const Device *d) {
    convolve(c, 2, 1);
    Values got = run_lowered(c, d);
    // The windows begin at -1 and 1: 1·4 + 10, 2·3 + 3·4 + 10, 4·2 + 7·4 + 10, 5 + 12 + 24 + 36
    // + 10.
    EXPECT(c, &got, "y", 14, 28, 46, 87);
}

START_TEST(a_convolution_by_hand) {
    by_hand(1, conv2d_plain);
    by_hand(1, conv2d_padded);
}
END_TEST

static void conv2d_gradients(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9);
    TENSOR(c, "weight", REAL(c), SHAPE(1, 1, 2, 2), 1, 2, 3, 4);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 1, 2, 2), 1, 2, 3, 4);
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 1, 3, 3));
    OUTPUT(c, "dweight", REAL(c), SHAPE(1, 1, 2, 2));
    OUTPUT(c, "dbias", REAL(c), SHAPE(1));
    case_op(c, KIND_CONV2D_BACKWARD_WEIGHT, false, (int64_t[]){2, 1, 0}, "dweight dbias", "x dy");
    case_op(c, KIND_CONV2D_BACKWARD_INPUT, false, (int64_t[]){2, 1, 0}, "dx", "dy weight");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "dweight", 37, 47, 67,
           77);  // x seen through dy: 1·1 + 2·2 + 4·3 + 5·4 = 37, ...
    EXPECT(c, &got, "dbias", 10);
    // dy times weight, each product at the sum of the places: 1·1, 1·2 + 2·1, 2·2; 1·3 + 3·1,
    // 1·4 + 2·3 + 3·2 + 4·1, 2·4 + 4·2; 3·3, 3·4 + 4·3, 4·4.
    EXPECT(c, &got, "dx", 1, 4, 4, 6, 20, 16, 9, 24, 16);
}

START_TEST(gradients_of_a_convolution_by_hand) { by_hand(1, conv2d_gradients); }
END_TEST

static void linear(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2), 1, 2, 3, 4);
    TENSOR(c, "weight", REAL(c), SHAPE(3, 2), 1, 0, 0, 1, 1, 1);
    TENSOR(c, "bias", REAL(c), SHAPE(3), 10, 20, 30);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 3), 1, 2, 3, 4, 5, 6);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 3));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 2));
    OUTPUT(c, "dweight", REAL(c), SHAPE(3, 2));
    OUTPUT(c, "dbias", REAL(c), SHAPE(3));
    case_op(c, KIND_LINEAR, false, NULL, "y", "x weight bias");
    case_op(c, KIND_LINEAR_BACKWARD_INPUT, false, NULL, "dx", "dy weight");
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, false, NULL, "dweight dbias", "x dy");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 11, 22, 33, 13, 24, 37);
    EXPECT(c, &got, "dx", 1 + 3, 2 + 3, 4 + 6, 5 + 6);
    // dy transposed times x: 1·1 + 4·3, 1·2 + 4·4, 2·1 + 5·3, ...
    EXPECT(c, &got, "dweight", 13, 18, 17, 24, 21, 30);
    EXPECT(c, &got, "dbias", 5, 7, 9);
}

START_TEST(a_linear_layer_by_hand) { by_hand(2, linear); }
END_TEST

static void relu(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 6), -1, -0.0, 0, 2, none, infinite);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 6), 1, 2, 3, 4, 5, 6);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 6));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 6));
    case_op(c, KIND_RELU, false, NULL, "y", "x");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "dx", "dy y");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 0, 0, 0, 2, none, infinite);
    EXPECT(c, &got, "dx", 0, 0, 0, 4, 0, 6);
    const double *y = got.of[program_find_tensor(&c->p, "y")];
    ck_assert_msg(!signbit(y[0]) && !signbit(y[1]), "%s: relu left a zero its sign", c->text);
}

START_TEST(relu_keeps_what_is_positive_and_a_nan) { by_hand(1, relu); }
END_TEST

static void add(Case *c, const Device *d) {
    TENSOR(c, "a", REAL(c), SHAPE(ROWS, 5), 1, 2, -0.0, none, infinite);
    TENSOR(c, "b", REAL(c), SHAPE(ROWS, 5), 0.5, -2, -0.0, 1, -infinite);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 5));
    case_op(c, KIND_ADD, false, NULL, "y", "a b");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 1.5, 0, 0, none, none);
    ck_assert_msg(signbit(got.of[program_find_tensor(&c->p, "y")][2]), "%s: -0 + -0 is 0", c->text);
}

START_TEST(a_sum_of_two_by_hand) { by_hand(1, add); }
END_TEST

static void losses(Case *c, int64_t classes, const double *logits, const double *labels,
                   double inverse_count, bool accumulate) {
    case_set(c, case_tensor(c, "logits", REAL(c), FILL_OUTPUT, SHAPE(ROWS, classes)), logits);
    case_set(c, case_tensor(c, "labels", DTYPE_I32, FILL_OUTPUT, SHAPE(ROWS)), labels);
    TENSOR(c, "inverse_count", DTYPE_F64, SHAPE(1), inverse_count);
    OUTPUT(c, "loss", DTYPE_F64, SHAPE(2));
    OUTPUT(c, "probability", REAL(c), SHAPE(ROWS, classes));
    OUTPUT(c, "dlogits", REAL(c), SHAPE(ROWS, classes));
    case_op(c, KIND_CROSS_ENTROPY, accumulate, NULL, "loss probability",
            "logits labels inverse_count");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, NULL, "dlogits",
            "probability labels inverse_count");
}

// exp(0) : exp(0) = 1 : 1 and exp(0) : exp(log 3) = 1 : 3. The first row is a draw: its label, 0,
// is the first of the largest, so it is right; the second is wrong.
static void loss_of_two_rows(Case *c, const Device *d) {
    const double logits[] = {0, 0, 0, log(3)}, labels[] = {0, 0};
    losses(c, 2, logits, labels, 0.5, false);
    Values got = run_lowered(c, d);
    const double *loss = got.of[program_find_tensor(&c->p, "loss")];
    ck_assert_close(loss[0], 0.5 * (log(2) + log(4)), 1e-7);
    ck_assert_close(loss[1], 1, 0);
    const double p[] = {0.5, 0.5, 0.25, 0.75}, dz[] = {-0.25, 0.25, -0.375, 0.375};
    for (int i = 0; i < 4; i++) {
        ck_assert_close(got.of[program_find_tensor(&c->p, "probability")][i], p[i], 1e-7);
        ck_assert_close(got.of[program_find_tensor(&c->p, "dlogits")][i], dz[i], 1e-7);
    }
}

// exp(1000) has no number, exp(-2000) is 0: -log p is 0 for the large logit, 2000
// for the small one.
static void loss_of_large_logits(Case *c, const Device *d) {
    const double logits[] = {1000, -1000, 0, 1000, -1000, 0}, labels[] = {0, 1};
    losses(c, 3, logits, labels, 0.25, false);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "loss", 500, 1);
    EXPECT(c, &got, "probability", 1, 0, 0, 1, 0, 0);
    EXPECT(c, &got, "dlogits", 0, 0, 0, 0.25, -0.25, 0);
}

START_TEST(cross_entropy_by_hand) {
    by_hand(2, loss_of_two_rows);
    by_hand(2, loss_of_large_logits);
}
END_TEST

// Row 0 costs 2^53, where numbers are 2 apart, all others log 2. Blocks of 4,096 in order: the rest
// of the first block is lost bit by bit (log 2 < 1); the second block sums to 4096 log 2 = 2839.13,
// so that the total becomes 2^53 + 2840; the three rows left are 2.08, which makes it 2842. A plain
// sum would stay at 2^53.
static void loss_in_blocks(Case *c, const Device *d) {
    double *logits = ARENA_NEW(&c->arena, double, 2 * c->rows),
           *labels = ARENA_NEW(&c->arena, double, c->rows);
    logits[1] = 0x1p53;
    losses(c, 2, logits, labels, 1, false);
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "loss", 0x1p53 + 2842, (double)(c->rows - 1));
}

START_TEST(the_loss_is_summed_in_blocks_of_4096_rows) { by_hand(2 * 4096 + 3, loss_in_blocks); }
END_TEST

// Two rows contribute 1 each to what already holds the number from which on numbers are 2 apart:
// one after the other both are lost, their sum is not.
static void add_once(Case *c, const Device *d) {
    double large = REAL(c) == DTYPE_F32 ? 0x1p24 : 0x1p53;
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1), 1, 1);
    TENSOR(c, "image", REAL(c), SHAPE(ROWS, 1, 1, 1), 1, 1);
    TENSOR(c, "dw", REAL(c), SHAPE(1, 1), large);
    TENSOR(c, "db", REAL(c), SHAPE(1), large);
    TENSOR(c, "conv.dw", REAL(c), SHAPE(1, 1, 1, 1), large);
    TENSOR(c, "conv.db", REAL(c), SHAPE(1), large);
    const double logits[] = {0, 1024, 0, 1024}, labels[] = {0, 0};  // each costs 1024
    losses(c, 2, logits, labels, 0x1p-10, true);
    case_set(c, program_find_tensor(&c->p, "loss"), (const double[]){0x1p53, 5});
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, true, NULL, "dw db", "x x");
    case_op(c, KIND_CONV2D_BACKWARD_WEIGHT, true, (int64_t[]){1, 1, 0}, "conv.dw conv.db",
            "image image");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "dw", large + 2);
    EXPECT(c, &got, "db", large + 2);
    EXPECT(c, &got, "conv.dw", large + 2);
    EXPECT(c, &got, "conv.db", large + 2);
    EXPECT(c, &got, "loss", 0x1p53 + 2, 5);
}

START_TEST(a_micro_batch_is_summed_before_it_is_added) { by_hand(2, add_once); }
END_TEST

static void fold(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(3), 1, 2, 3);
    TENSOR(c, "sum", REAL(c), SHAPE(3), 10, 20, 30);
    OUTPUT(c, "first", REAL(c), SHAPE(3));
    case_op(c, KIND_FOLD, true, NULL, "sum", "x");
    case_op(c, KIND_FOLD, false, NULL, "first", "x");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "sum", 11, 22, 33);
    EXPECT(c, &got, "first", 1, 2, 3);
}

START_TEST(a_fold_writes_the_first_and_adds_the_others) { by_hand(1, fold); }
END_TEST

// Whatever the type: all bytes of each element.
static void copies(Case *c, const Device *d) {
    Dtype real = c->dtype;
    static const struct {
        const char *x, *y;
        Dtype type;
        double value;
    } of[] = {{"xi", "yi", DTYPE_I32, 1 << 24}, {"xl", "yl", DTYPE_I64, 1LL << 40},
              {"xb", "yb", DTYPE_U8, 255},      {"xf", "yf", DTYPE_F32, -0.5},
              {"xd", "yd", DTYPE_F64, 0.25},    {"xh", "yh", DTYPE_BF16, 1.5}};
    for (int i = 0; i < 6; i++) {
        TENSOR(c, of[i].x, of[i].type, SHAPE(3), of[i].value, 0, 1);
        OUTPUT(c, of[i].y, of[i].type, SHAPE(3));
        c->dtype = of[i].type;
        case_op(c, KIND_COPY, false, NULL, of[i].y, of[i].x);
        c->dtype = real;
    }
    Values got = run_lowered(c, d);
    for (int i = 0; i < 6; i++) EXPECT(c, &got, of[i].y, of[i].value, 0, 1);
}

START_TEST(a_copy_is_of_any_type) { by_hand(1, copies); }
END_TEST

// --- devices by name, and what they can run

START_TEST(a_device_is_found_by_name) {
    const Device *d = NULL;
    ck_assert_ok(device_find(&d, "reference"));
    ck_assert_ptr_eq(d, &device_reference);
    ck_assert_fails(device_find(&d, "gpu"), ERR_USAGE, "reference");
    Status s = device_find(&d, "cpu");
    if (s == OK)
        ck_assert_str_eq(d->name, "cpu");
    else
        ck_assert_fails(s, ERR_UNAVAILABLE, "libopenblas-dev");
    ck_assert_fails(device_find(&d, "cuda"), ERR_UNAVAILABLE, "--device cuda is not built in");
    ck_assert_fails(device_find(&d, "timed"), ERR_UNAVAILABLE, "--device timed needs a machine");
    ck_assert_fails(device_find(&d, ""), ERR_USAGE, "give reference|cpu|timed:PLATFORM");
}
END_TEST

// y = relu(x), in either type.
static void make_relu(Program *p, Dtype dtype) {
    Plan *plan = make_program(p, 1);
    make_tensor(p, "x", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2), dtype);
    make_tensor(p, "y", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2), dtype);
    make_op(p, plan, (OpSpec){.name = "relu1", .kind = KIND_RELU, .dtype = dtype}, "y", "x");
}

START_TEST(a_program_that_a_device_has_no_kernel_for_is_refused) {
    for (int f64 = 0; f64 < 2; f64++) {
        Device d = device_reference;
        Program p = {0};
        make_relu(&p, f64 ? DTYPE_F64 : DTYPE_F32);
        d.kernel[KIND_RELU][!f64] = NULL;  // of the other type: not needed
        ck_assert_ok(device_check(&d, &p));
        d.kernel[KIND_RELU][f64] = NULL;
        ck_assert_fails(device_check(&d, &p), ERR_UNAVAILABLE, "has no kernel for relu in");
        ck_assert_fails(device_check(&d, &p), ERR_UNAVAILABLE, f64 ? "f64" : "f32");
        ck_assert_fails(device_check(&d, &p), ERR_UNAVAILABLE, "operation relu1 of plan step");
        // Fused it needs the fused kernel, and no other.
        int64_t fusion = FUSION_LINEAR_RELU, *attrs = p.attrs;
        p.works[0].kind = KIND_FUSED;
        p.works[0].attr_first = 0;
        p.attrs = &fusion;
        ck_assert_fails(device_check(&d, &p), ERR_UNAVAILABLE, "no kernel for linear+relu in");
        d.fused[fusion][f64] = device_reference.kernel[KIND_RELU][0];
        ck_assert_ok(device_check(&d, &p));
        p.attrs = attrs;
        program_finish(&p);
    }
}
END_TEST

START_TEST(every_kind_without_a_kernel_is_refused_by_its_name) {
    Program p = {0};
    make_relu(&p, DTYPE_F32);
    for (int k = 0; k < KIND_COUNT; k++) {
        if (kind_class((Kind)k) != CLASS_COMPUTE || k == KIND_FUSED) continue;
        Device d = device_reference;
        char message[80];
        d.kernel[k][0] = NULL;
        p.works[0].kind = (uint16_t)k;
        snprintf(message, sizeof message, "device reference has no kernel for %s in f32",
                 kind_name((Kind)k));
        ck_assert_fails(device_check(&d, &p), ERR_UNAVAILABLE, message);
    }
    program_finish(&p);
}
END_TEST

START_TEST(a_type_without_kernels_is_refused_by_its_name) {
    static const Dtype types[] = {DTYPE_F16, DTYPE_I32, DTYPE_I64, DTYPE_U8};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 4 * count; i++) {
        Program p = {0};
        char message[80];
        make_relu(&p, types[i % 4]);
        snprintf(message, sizeof message, "device %s has no kernel for relu in %s",
                 devices[i / 4]->name, dtype_name(types[i % 4]));
        ck_assert_fails(device_check(devices[i / 4], &p), ERR_UNAVAILABLE, message);
        program_finish(&p);
    }
}
END_TEST

START_TEST(tables_have_every_kernel_that_is_promised) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        for (int k = 0; k < KIND_COUNT; k++)
            for (int type = 0; type < DTYPE_COUNT; type++) {
                bool converts = k >= KIND_TO_BF16 && k <= KIND_SPREAD;  // or compresses
                bool has_bf16 = devices[d] == &device_reference && !converts;
                bool typed = type < DTYPE_BF16 || (type == DTYPE_BF16 && has_bf16);
                bool computed = typed && kind_class((Kind)k) == CLASS_COMPUTE;
                bool wanted = k == KIND_COPY || (computed && k != KIND_FUSED);
                ck_assert_msg((devices[d]->kernel[k][type] != NULL) == wanted, "%s %s",
                              devices[d]->name, kind_name((Kind)k));
            }
        for (int f = 0; f < FUSION_COUNT; f++)
            for (int type = 0; type < DTYPE_REALS; type++)
                ck_assert_msg((devices[d]->fused[f][type] != NULL) ==
                                  (type != DTYPE_BF16 && devices[d]->traits->fusions >> f & 1),
                              "%s %s", devices[d]->name, fusion_name((Fusion)f));
    }
}
END_TEST

SUITE("device", a_convolution_by_hand, gradients_of_a_convolution_by_hand, a_linear_layer_by_hand,
      relu_keeps_what_is_positive_and_a_nan, a_sum_of_two_by_hand, cross_entropy_by_hand,
      the_loss_is_summed_in_blocks_of_4096_rows, a_micro_batch_is_summed_before_it_is_added,
      a_fold_writes_the_first_and_adds_the_others, a_copy_is_of_any_type, a_device_is_found_by_name,
      a_program_that_a_device_has_no_kernel_for_is_refused,
      every_kind_without_a_kernel_is_refused_by_its_name,
      a_type_without_kernels_is_refused_by_its_name, tables_have_every_kernel_that_is_promised)
