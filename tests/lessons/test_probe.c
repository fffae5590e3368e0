// SPDX-License-Identifier: MIT
// Nets that lessons look into: their gradients, and what they count.
#include "lessons/engine/probe.h"
#include "tests/support/testing.h"

#include <math.h>

static const char SMALL[] = "model small\ninput 2\nclasses 2\n"
                            "linear fc1 out=3\nrelu\nlinear fc2 out=2\n";
static const double X[] = {0.5, -1, 1.5, 0.25, -0.75, 0.125, 1, 1};
static const int32_t LABELS[] = {0, 1, 1, 0}, ALL[] = {0, 1, 2, 3};

static Arena arena;

static void create(Probe *n, int micro_batches) {
    ck_assert_ok(probe_create(n, &arena,
                              &(ProbeOptions){.model = SMALL,
                                              .text = true,
                                              .dtype = DTYPE_F64,
                                              .rows = 4,
                                              .micro_batches = micro_batches,
                                              .x = X,
                                              .labels = LABELS}));
}

static void finish(Probe *n) {
    probe_destroy(n);
    arena_finish(&arena);
}

// 2·3 + 3 weights of fc1, 3·2 + 2 of fc2.
START_TEST(the_gradient_is_the_slope_of_the_loss) {
    Probe n;
    double w[17];
    create(&n, 1);
    ck_assert_int_eq(n.weight_count, 17);
    ck_assert_int_eq(probe_find(&n, "fc2.weight"), 9);
    ck_assert_int_eq(probe_find(&n, "fc3.weight"), -1);
    probe_get_weights(&n, w);
    ck_assert_ok(probe_step(&n, ALL, 4, 0));
    double loss = n.loss;
    ck_assert_ok(probe_loss(&n, ALL, 4));
    ck_assert(fabs(n.loss - loss) < 1e-14);
    for (int i = 0; i < 17; i++) {
        const double h = 1e-6, at = w[i];
        double more, less;
        w[i] = at + h;
        probe_set_weights(&n, w);
        ck_assert_ok(probe_loss(&n, ALL, 4));
        more = n.loss;
        w[i] = at - h;
        probe_set_weights(&n, w);
        ck_assert_ok(probe_loss(&n, ALL, 4));
        less = n.loss;
        w[i] = at;
        ck_assert(fabs((more - less) / (2 * h) - n.gradient[i]) < 1e-8);
    }
    ck_assert_int_eq(n.forwards, 2 + 2 * 17);
    ck_assert_int_eq(n.backwards, 1);
    finish(&n);
}
END_TEST

START_TEST(a_step_goes_against_the_gradient) {
    Probe n;
    double before[17], after[17];
    create(&n, 1);
    probe_get_weights(&n, before);
    ck_assert_ok(probe_step(&n, ALL, 4, 0.5));
    probe_get_weights(&n, after);
    for (int i = 0; i < 17; i++) ck_assert_double_eq(after[i], before[i] - 0.5 * n.gradient[i]);
    finish(&n);
}
END_TEST

// A step of fewer rows than there is room for is that of these rows alone.
START_TEST(micro_batches_and_chosen_rows_add_up) {
    Probe one, two;
    const int32_t half[] = {3, 1};
    Arena other = {0};
    create(&one, 1);
    ck_assert_ok(probe_create(&two, &other,
                              &(ProbeOptions){.model = SMALL,
                                              .text = true,
                                              .dtype = DTYPE_F64,
                                              .rows = 4,
                                              .micro_batches = 2,
                                              .x = X,
                                              .labels = LABELS}));
    ck_assert_ok(probe_step(&one, half, 2, 0));
    ck_assert_ok(probe_step(&two, half, 2, 0));
    ck_assert(fabs(one.loss - two.loss) < 1e-15);
    for (int i = 0; i < 17; i++) ck_assert(fabs(one.gradient[i] - two.gradient[i]) < 1e-15);
    ck_assert_int_eq(two.forwards, 2);
    probe_destroy(&two);
    arena_finish(&other);
    finish(&one);
}
END_TEST

START_TEST(what_is_watched_has_the_values_of_the_pass) {
    Probe n;
    create(&n, 1);
    const double *y = probe_watch(&n, "relu1.y"), *z = probe_watch(&n, "fc1.y");
    ck_assert_ptr_nonnull(y);
    ck_assert_ptr_nonnull(z);
    ck_assert_ptr_null(probe_watch(&n, "nothing.y"));
    ck_assert_ok(probe_step(&n, ALL, 4, 0));
    int dead = 0;
    for (int i = 0; i < 12; i++) {
        ck_assert_double_eq(y[i], z[i] > 0 ? z[i] : 0);
        dead += z[i] <= 0;
    }
    ck_assert(dead > 0 && dead < 12);
    finish(&n);
}
END_TEST

SUITE("probe", the_gradient_is_the_slope_of_the_loss, a_step_goes_against_the_gradient,
      micro_batches_and_chosen_rows_add_up, what_is_watched_has_the_values_of_the_pass)
