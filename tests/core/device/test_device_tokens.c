// SPDX-License-Identifier: MIT
// What models of tokens have beside embeddings: GELU with tanh, linear and cross_entropy on
// sequences; by hand, against the reference over swept shapes, and gradients.
#include "tests/support/device_sweep.h"

static void build_gelu_tanh(Case *c, const Shape *s) {
    int x = sequence(c, s, "x", FILL_RANDOM);
    for (int64_t i = 0; i < case_elements(c, x); i++) c->before[x][i] *= 12;
    sequence(c, s, "y", FILL_OUTPUT);
    sequence(c, s, "dy", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_op(c, KIND_GELU_TANH, false, NULL, "y", "x");
    case_op(c, KIND_GELU_TANH_BACKWARD, false, NULL, "dx", "dy x");
}

static void build_linear(Case *c, const Shape *s) {
    const int64_t K = 3;
    sequence(c, s, "x", FILL_RANDOM);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_tensor(c, "y", REAL(c), FILL_OUTPUT, SHAPE(ROWS, s->T, K));
    case_tensor(c, "dy", REAL(c), FILL_RANDOM, SHAPE(ROWS, s->T, K));
    case_tensor(c, "weight", REAL(c), FILL_RANDOM, SHAPE(K, s->C));
    case_tensor(c, "bias", REAL(c), FILL_RANDOM, SHAPE(K));
    case_tensor(c, "dweight", REAL(c), sum_fill(s), SHAPE(K, s->C));
    case_tensor(c, "dbias", REAL(c), sum_fill(s), SHAPE(K));
    case_op(c, KIND_LINEAR, false, NULL, "y", "x weight bias");
    case_op(c, KIND_LINEAR_BACKWARD_INPUT, false, NULL, "dx", "dy weight");
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, s->accumulate, NULL, "dweight dbias", "x dy");
}

// --- by hand

// At 0 it is 0 with slope 1/2; far out it is x, or 0. GELU(1) is PyTorch's, with tanh.
static void gelu_tanh(Case *c, const Device *d) {
    const Shape s = {.rows = 1, .capacity = 1, .T = 1, .C = 6};
    build_gelu_tanh(c, &s);
    SET(c, "x", 0, 200, -200, none, 1e9, 1);
    SET(c, "dy", 2, 2, 2, 2, 2, 0);
    Values got = run_lowered(c, d);
    double u = REAL(c) == DTYPE_F32 ? 0x1p-24 : 0x1p-53, *y = got.of[gradient_tensor(c, "y")],
           one = y[5];
    ck_assert_double_eq_tol(one, 0.84119199060827676, 8 * u);
    EXPECT(c, &got, "y", 0, 200, 0, none, 1e9, one);
    EXPECT(c, &got, "dx", 1, 2, 0, none, 2, 0);
}

// Two sequences of two tokens and two classes with equal logits: p = 1/2. One label is ignored: it
// has no loss, is not right, and no gradient; its probabilities are there all the same.
static void ignored_labels(Case *c, const Device *d) {
    case_tensor(c, "logits", REAL(c), FILL_OUTPUT, SHAPE(ROWS, 2, 2));
    case_tensor(c, "labels", DTYPE_I32, FILL_OUTPUT, SHAPE(ROWS, 2));
    TENSOR(c, "inverse", DTYPE_F64, SHAPE(1), 0.5);
    OUTPUT(c, "loss", DTYPE_F64, SHAPE(2));
    OUTPUT(c, "p", REAL(c), SHAPE(ROWS, 2, 2));
    OUTPUT(c, "dlogits", REAL(c), SHAPE(ROWS, 2, 2));
    SET(c, "logits", 3, 3, 1, 1, 7, 7, 2, 2);
    SET(c, "labels", 0, LABEL_IGNORED, 1, 0);
    case_op(c, KIND_CROSS_ENTROPY, false, NULL, "loss p", "logits labels inverse");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, NULL, "dlogits", "p labels inverse");
    Values got = run_lowered(c, d);
    double *loss = got.of[gradient_tensor(c, "loss")];
    ck_assert_double_eq_tol(loss[0], 3 * 0.5 * log(2), 1e-7);
    ck_assert_double_eq(loss[1], 2);
    EXPECT(c, &got, "p", 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5);
    EXPECT(c, &got, "dlogits", -0.25, 0.25, 0, 0, 0.25, -0.25, -0.25, 0.25);
}

START_TEST(tokens_by_hand) {
    by_hand(1, gelu_tanh);
    by_hand(2, ignored_labels);
}
END_TEST

// --- against the reference

START_TEST(tokens_agree) {
    static const int64_t lengths[] = {1, 2, 31, 33}, channels[] = {1, 6, 32, 130};
    for (int i = 0; i < 4 * 4; i++) {
        int64_t T = lengths[i % 4], C = channels[i / 4];
        agree(build_gelu_tanh, (Shape){.T = T, .C = C}, 64);
        agree(build_linear, (Shape){.T = T, .C = C}, (double)(8 + 2 * C + 4 * T));
    }
}
END_TEST

// --- gradients

START_TEST(gradients_of_layers_of_tokens) {
    static const char *const all[][2] = {{"x", "dx"},
                                         {"weight", "dweight"},
                                         {"bias", "dbias"},
                                         {NULL, NULL}},
                             *const plain[][2] = {{"x", "dx"}, {NULL, NULL}};
    check_gradients(build_linear, all);
    check_gradients(build_gelu_tanh, plain);
}
END_TEST

SUITE("device tokens", tokens_by_hand, tokens_agree, gradients_of_layers_of_tokens)
