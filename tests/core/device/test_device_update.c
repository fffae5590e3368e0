// SPDX-License-Identifier: MIT
// The kernels between gradients and weights on every device against numbers worked out by hand.
#include "tests/support/device_hand.h"

#include <math.h>

// Two steps with gradient 1/2 from weight 1 and velocity 0, at learning rate 1/2.
static void sgd_steps(Case *c, const Device *d, double momentum, double decay, bool nesterov,
                      const double *weights) {
    const int64_t attrs[] = {build_attr_real(momentum), build_attr_real(decay), nesterov};
    TENSOR(c, "weight", REAL(c), SHAPE(1), 1);
    TENSOR(c, "velocity", REAL(c), SHAPE(1), 0);
    TENSOR(c, "gradient", REAL(c), SHAPE(1), 0.5);
    TENSOR(c, "rate", DTYPE_F64, SHAPE(1), 0.5);
    case_op(c, KIND_SGD, false, attrs, momentum != 0 ? "weight velocity" : "weight",
            "gradient rate");
    for (int step = 0; step < 2; step++) {
        Values got = run_lowered(c, d);
        expect(c, &got, "weight", &weights[step]);
        case_set(c, program_find_tensor(&c->p, "weight"),
                 got.of[program_find_tensor(&c->p, "weight")]);
        case_set(c, program_find_tensor(&c->p, "velocity"),
                 got.of[program_find_tensor(&c->p, "velocity")]);
    }
}

// 1 - 1/2·1/2 = 0.75, then 0.5
static void sgd_plain(Case *c, const Device *d) {
    sgd_steps(c, d, 0, 0, false, (const double[]){0.75, 0.5});
}
// g = 0.5 + 0.25·1 = 0.75: 0.625; g = 0.5 + 0.25·0.625 = 0.65625: 0.625 - 0.328125
static void sgd_decay(Case *c, const Device *d) {
    sgd_steps(c, d, 0, 0.25, false, (const double[]){0.625, 0.296875});
}
// v = 0.5: 0.75; v = 0.25 + 0.5 = 0.75: 0.375
static void sgd_momentum(Case *c, const Device *d) {
    sgd_steps(c, d, 0.5, 0, false, (const double[]){0.75, 0.375});
}
// v = 0.5, 0.5 + 0.25 = 0.75: 0.625; v = 0.75, 0.5 + 0.375 = 0.875: 0.625 - 0.4375
static void sgd_nesterov(Case *c, const Device *d) {
    sgd_steps(c, d, 0.5, 0, true, (const double[]){0.625, 0.1875});
}
// g = 0.75 = v, 0.75 + 0.375 = 1.125: 0.4375; g = 0.5 + 0.109375 = 0.609375, v = 0.375 + 0.609375 =
// 0.984375, 0.609375 + 0.4921875 = 1.1015625: 0.4375 - 0.55078125
static void sgd_all(Case *c, const Device *d) {
    sgd_steps(c, d, 0.5, 0.25, true, (const double[]){0.4375, -0.11328125});
}

START_TEST(sgd_is_pytorchs) {
    by_hand(1, sgd_plain);
    by_hand(1, sgd_decay);
    by_hand(1, sgd_momentum);
    by_hand(1, sgd_nesterov);
    by_hand(1, sgd_all);
}
END_TEST

// The first step with gradient 1/2 from weight 1, both averages 0, at learning rate 1/2, beta1 1/2
// and beta2 3/4: exp_avg = g/2 and exp_avg_sq = g^2/4, whose corrections 1 - 1/2 and 1 - 3/4 undo
// that: the weight loses 1/2 g / (|g| + eps).
static void adam_step(Case *c, const Device *d, double eps, double decay, bool decoupled,
                      const double *state) {
    const int64_t attrs[] = {build_attr_real(0.5), build_attr_real(0.75), build_attr_real(eps),
                             build_attr_real(decay), decoupled};
    TENSOR(c, "weight", REAL(c), SHAPE(1), 1);
    TENSOR(c, "exp_avg", REAL(c), SHAPE(1), 0);
    TENSOR(c, "exp_avg_sq", REAL(c), SHAPE(1), 0);
    TENSOR(c, "gradient", REAL(c), SHAPE(1), 0.5);
    TENSOR(c, "rate", DTYPE_F64, SHAPE(1), 0.5);
    TENSOR(c, "step", DTYPE_I64, SHAPE(1), 1);
    case_op(c, KIND_ADAM, false, attrs, "weight exp_avg exp_avg_sq", "gradient rate step");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "weight", state[0]);
    EXPECT(c, &got, "exp_avg", state[1]);
    EXPECT(c, &got, "exp_avg_sq", state[2]);
}

// 1 - 1/2·0.5/(0.5 + 0.5)
static void adam_plain(Case *c, const Device *d) {
    adam_step(c, d, 0.5, 0, false, (const double[]){0.75, 0.25, 0.0625});
}
// g = 0.5 + 0.5·1 = 1: 1 - 1/2·1/(1 + 0)
static void adam_penalty(Case *c, const Device *d) {
    adam_step(c, d, 0, 0.5, false, (const double[]){0.5, 0.5, 0.25});
}
// 1·(1 - 1/2·0.5) - 1/2·0.5/(0.5 + 0.5): the averages do not know of the decay
static void adam_decoupled(Case *c, const Device *d) {
    adam_step(c, d, 0.5, 0.5, true, (const double[]){0.5, 0.25, 0.0625});
}

START_TEST(adam_and_adamw_are_pytorchs) {
    by_hand(1, adam_plain);
    by_hand(1, adam_penalty);
    by_hand(1, adam_decoupled);
}
END_TEST

static void increment(Case *c, const Device *d) {
    TENSOR(c, "count", DTYPE_I64, SHAPE(1), 4);
    case_op(c, KIND_INCREMENT, false, NULL, "count", "");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "count", 5);
}

START_TEST(an_increment_adds_one) { by_hand(1, increment); }
END_TEST

// 3, 4 in the first block of 4,096 elements and 12, 84 in the second: 25 + 7200 = 85^2. What is
// below the bound is not scaled up; without a bound, or a norm, nothing is scaled.
static void clip(Case *c, const Device *d) {
    enum { N = 4098 };
    static const double x[N] = {[0] = 3, [4095] = 4, [4096] = 12, [4097] = 84};
    const int64_t attrs[] = {build_attr_real(17), 0}, more[] = {build_attr_real(100), 0};
    static const char *const names[][3] = {{"norm", "factor", "finite"},
                                           {"norm1", "factor1", "finite1"},
                                           {"norm2", "factor2", "finite2"},
                                           {"norm3", "factor3", "finite3"}};
    case_set(c, case_tensor(c, "gradient", REAL(c), FILL_OUTPUT, SHAPE(N)), x);
    TENSOR(c, "more", DTYPE_F64, SHAPE(1), 36 * 36);
    TENSOR(c, "loss", DTYPE_F64, SHAPE(2), 0.5, 3);
    TENSOR(c, "noloss", DTYPE_F64, SHAPE(2), (double)NAN, 3);
    TENSOR(c, "nosum", DTYPE_F64, SHAPE(1), (double)NAN);
    OUTPUT(c, "partial", DTYPE_F64, SHAPE(2));
    OUTPUT(c, "sum", DTYPE_F64, SHAPE(1));
    OUTPUT(c, "two", DTYPE_F64, SHAPE(1));
    for (int i = 0; i < 12; i++) OUTPUT(c, names[i / 3][i % 3], DTYPE_F64, SHAPE(1));
    case_op(c, KIND_SQUARE_SUMS, false, NULL, "partial", "gradient");
    case_op(c, KIND_ADD_BLOCKS, false, NULL, "sum", "partial");
    case_op(c, KIND_ADD_BLOCKS, false, NULL, "two", "partial");
    case_op(c, KIND_ADD_BLOCKS, true, NULL, "two", "more");
    case_op(c, KIND_CLIP, false, attrs, "norm factor finite", "sum loss");
    case_op(c, KIND_CLIP, false, (int64_t[]){build_attr_real(0), 0}, "norm1 factor1 finite1",
            "sum noloss");
    case_op(c, KIND_CLIP, false, more, "norm2 factor2 finite2", "sum loss");
    case_op(c, KIND_CLIP, false, attrs, "norm3 factor3 finite3", "nosum loss");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "partial", 25, 7200);
    EXPECT(c, &got, "two", 7225 + 36 * 36);
    EXPECT(c, &got, "norm", 85);
    EXPECT(c, &got, "factor", 17 / (85 + 1e-6));
    EXPECT(c, &got, "finite", 1);
    EXPECT(c, &got, "factor1", 1);
    EXPECT(c, &got, "finite1", 0);
    EXPECT(c, &got, "factor2", 1);
    EXPECT(c, &got, "finite2", 1);
    EXPECT(c, &got, "factor3", 1);
    EXPECT(c, &got, "finite3", 0);
}

START_TEST(the_norm_of_gradients_by_hand) { by_hand(1, clip); }
END_TEST

// A gradient of 1/2 that is clipped to a half moves the weight by half as much.
static void clipped_updates(Case *c, const Device *d) {
    TENSOR(c, "weight", REAL(c), SHAPE(1), 1);
    TENSOR(c, "adam", REAL(c), SHAPE(1), 1);
    TENSOR(c, "exp_avg", REAL(c), SHAPE(1), 0);
    TENSOR(c, "exp_avg_sq", REAL(c), SHAPE(1), 0);
    TENSOR(c, "gradient", REAL(c), SHAPE(1), 0.5);
    TENSOR(c, "rate", DTYPE_F64, SHAPE(1), 0.5);
    TENSOR(c, "step", DTYPE_I64, SHAPE(1), 1);
    TENSOR(c, "factor", DTYPE_F64, SHAPE(1), 0.5);
    case_op(c, KIND_SGD, false, (int64_t[]){build_attr_real(0), build_attr_real(0), 0}, "weight",
            "gradient rate factor");
    case_op(c, KIND_ADAM, false,
            (int64_t[]){build_attr_real(0.5), build_attr_real(0.75), build_attr_real(0),
                        build_attr_real(0), 0},
            "adam exp_avg exp_avg_sq", "gradient rate step factor");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "weight", 1 - 0.5 * 0.25);
    EXPECT(c, &got, "exp_avg", 0.125);
    EXPECT(c, &got, "exp_avg_sq", 0.015625);
}

START_TEST(updates_take_a_clipped_gradient) { by_hand(1, clipped_updates); }
END_TEST

SUITE("device_update", sgd_is_pytorchs, adam_and_adamw_are_pytorchs, an_increment_adds_one,
      the_norm_of_gradients_by_hand, updates_take_a_clipped_gradient)
