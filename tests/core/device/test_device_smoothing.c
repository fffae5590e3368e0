// SPDX-License-Identifier: MIT
// Cross-entropy with label smoothing: PyTorch's numbers, every device beside the reference, the
// gradient beside differences, and what smoothing leaves alone.
#include "tests/support/device_sweep.h"

// Three rows of four classes, the second ignored; the number of labels counted is 2.
static void build_three(Case *c, double smoothing) {
    const int64_t attr = build_attr_real(smoothing);
    TENSOR(c, "logits", REAL(c), SHAPE(ROWS, 4), 1, -0.5, 2, 0.25, 3, 3, -1, 0, 0.5, 0.25, -0.75,
           1.5);
    TENSOR(c, "labels", DTYPE_I32, SHAPE(ROWS), 2, LABEL_IGNORED, 0);
    TENSOR(c, "inverse", DTYPE_F64, SHAPE(1), 0.5);
    OUTPUT(c, "loss", DTYPE_F64, SHAPE(2));
    OUTPUT(c, "p", REAL(c), SHAPE(ROWS, 4));
    OUTPUT(c, "dlogits", REAL(c), SHAPE(ROWS, 4));
    case_op(c, KIND_CROSS_ENTROPY, false, &attr, "loss p", "logits labels inverse");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, &attr, "dlogits", "p labels inverse");
}

// torch.nn.CrossEntropyLoss(label_smoothing=E) of PyTorch 1.13, in float64, of these three rows,
// and its gradient.
static const struct {
    double smoothing, loss, gradient[12];
} pytorch[] = {
    {0,
     1.0249609517827818,
     {0.1132816237416481, 0.025276546847348112, -0.19206862068474317, 0.05351045009574701, 0, 0, 0,
      0, -0.39547593525248936, 0.08140342347516752, 0.029946645937486898, 0.28412586583983485}},
    {0.1,
     1.096835951782782,
     {0.1007816237416481, 0.012776546847348112, -0.1545686206847432, 0.04101045009574701, 0, 0, 0,
      0, -0.3579759352524894, 0.06890342347516752, 0.017446645937486897, 0.27162586583983483}},
    {1,
     1.7437109517827818,
     {-0.011718376258351898, -0.09972345315265188, 0.18293137931525683, -0.07148954990425299, 0, 0,
      0, 0, -0.020475935252489336, -0.04359657652483248, -0.0950533540625131, 0.15912586583983485}},
};

static void compare_with_pytorch(Case *c, const Device *d, int k) {
    build_three(c, pytorch[k].smoothing);
    Values got = run_lowered(c, d);
    double u = REAL(c) == DTYPE_F32 ? 0x1p-24 : 0x1p-53, *loss = got.of[gradient_tensor(c, "loss")],
           *dlogits = got.of[gradient_tensor(c, "dlogits")];
    ck_assert_double_eq_tol(loss[0], pytorch[k].loss, 16 * u);
    ck_assert_double_eq(loss[1], 1);
    for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(dlogits[i], pytorch[k].gradient[i], 8 * u);
    for (int i = 4; i < 8; i++) ck_assert_double_eq(dlogits[i], 0);
}

static void without(Case *c, const Device *d) { compare_with_pytorch(c, d, 0); }
static void a_tenth(Case *c, const Device *d) { compare_with_pytorch(c, d, 1); }
static void all(Case *c, const Device *d) { compare_with_pytorch(c, d, 2); }

START_TEST(loss_and_gradient_are_pytorchs) {
    by_hand(3, without);
    by_hand(3, a_tenth);
    by_hand(3, all);
}
END_TEST

// Rows of s->T positions with a label each, of which every third is ignored.
static void build_sequences(Case *c, const Shape *s) {
    const int64_t attr = build_attr_real(0.1);
    int labels = case_tensor(c, "labels", DTYPE_I32, FILL_OUTPUT, SHAPE(ROWS, s->T));
    double values[512] = {0};
    for (int64_t i = 0; i < s->rows * s->T; i++)
        values[i] = i % 3 == 2 ? LABEL_IGNORED : (double)rng_below(&c->rng, (uint32_t)s->C);
    case_set(c, labels, values);
    sequence(c, s, "x", FILL_RANDOM);
    TENSOR(c, "inverse", DTYPE_F64, SHAPE(1), 0.125);
    case_tensor(c, "y", DTYPE_F64, sum_fill(s), SHAPE(2));
    TENSOR(c, "dy", DTYPE_F64, SHAPE(2), 1, 0);
    sequence(c, s, "p", FILL_OUTPUT);
    sequence(c, s, "dx", FILL_OUTPUT);
    case_op(c, KIND_CROSS_ENTROPY, s->accumulate, &attr, "y p", "x labels inverse");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, &attr, "dx", "p labels inverse");
}

START_TEST(devices_agree) {
    static const int64_t lengths[] = {1, 2, 31, 33}, classes[] = {2, 15, 16, 17, 130};
    for (int i = 0; i < 4 * 5; i++)
        agree(build_sequences, (Shape){.T = lengths[i % 4], .C = classes[i / 4]}, 64);
}
END_TEST

START_TEST(the_gradient_is_that_of_the_loss) {
    static const char *const plain[][2] = {{"x", "dx"}, {NULL, NULL}};
    check_gradients(build_sequences, plain);
}
END_TEST

// The loss of a row is the mean of -log p weighed by its smoothed label, and the smoothed label of
// two classes of equal logits has log 2 whatever the share.
static void equal_logits(Case *c, const Device *d) {
    const int64_t attr = build_attr_real(0.25);
    TENSOR(c, "logits", REAL(c), SHAPE(ROWS, 2), 1000, 1000);
    TENSOR(c, "labels", DTYPE_I32, SHAPE(ROWS), 1);
    TENSOR(c, "inverse", DTYPE_F64, SHAPE(1), 1);
    OUTPUT(c, "loss", DTYPE_F64, SHAPE(2));
    OUTPUT(c, "p", REAL(c), SHAPE(ROWS, 2));
    OUTPUT(c, "dlogits", REAL(c), SHAPE(ROWS, 2));
    case_op(c, KIND_CROSS_ENTROPY, false, &attr, "loss p", "logits labels inverse");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, &attr, "dlogits", "p labels inverse");
    Values got = run_lowered(c, d);
    ck_assert_double_eq_tol(got.of[gradient_tensor(c, "loss")][0], log(2), 0x1p-50);
    EXPECT(c, &got, "dlogits", 0.375, -0.375);
}

START_TEST(large_logits_by_hand) { by_hand(1, equal_logits); }
END_TEST

SUITE("device smoothing", loss_and_gradient_are_pytorchs, devices_agree,
      the_gradient_is_that_of_the_loss, large_logits_by_hand)
