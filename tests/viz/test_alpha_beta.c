// SPDX-License-Identifier: MIT
// The line through times: given back from its own times, covered by its interval where they vary.
#include "core/base/rng.h"
#include "tests/support/testing.h"
#include "viz/alpha_beta.h"

#include <math.h>

enum { SIZES = 24 };

static double bytes[SIZES], us[SIZES];

// Times of 20 us + bytes / 100 GB/s, each off by up to `noise` of itself.
static void make_times(double noise, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    for (int i = 0; i < SIZES; i++) {
        bytes[i] = 64 * pow(2, i);
        us[i] = 20 + bytes[i] / 1e5;
        us[i] *= 1 + noise * (2 * (double)rng_float(&rng) - 1);
    }
}

START_TEST(times_of_a_line_give_it_back) {
    AlphaBeta f;
    make_times(0, 1);
    ck_assert_ok(alpha_beta_fit(&f, bytes, us, SIZES));
    ck_assert_close(f.alpha_us, 20, 1e-6);
    ck_assert_close(f.beta, 1e5, 1e-2);
    ck_assert(f.alpha_high - f.alpha_low < 1e-6 && f.beta_high - f.beta_low < 1e-2);
    ck_assert(f.mean_error < 1e-9 && f.worst_error < 1e-9);
    ck_assert_ok(alpha_beta_fit(&f, bytes, us, 2));
    ck_assert_close(f.alpha_us, 20, 1e-6);
}
END_TEST

// The 95 % interval of 100 draws of noise has the true numbers in about 95; fewer than 85 would be
// 4.6 standard deviations off. Bootstrap intervals of 24 sizes are somewhat narrow.
START_TEST(intervals_cover_the_line_that_noise_was_added_to) {
    int alphas = 0, betas = 0;
    for (int i = 0; i < 100; i++) {
        AlphaBeta f;
        make_times(0.05, 1 + (uint64_t)i);
        ck_assert_ok(alpha_beta_fit(&f, bytes, us, SIZES));
        alphas += f.alpha_low <= 20 && 20 <= f.alpha_high;
        betas += f.beta_low <= 1e5 && 1e5 <= f.beta_high;
        ck_assert(f.alpha_high - f.alpha_low > 0.05 && f.alpha_high - f.alpha_low < 4);
    }
    ck_assert_msg(alphas >= 85 && betas >= 85, "%d and %d of 100", alphas, betas);
}
END_TEST

START_TEST(neither_part_is_negative) {
    AlphaBeta f;
    const double x[] = {100, 200, 400}, steep[] = {1, 3, 7}, falling[] = {7, 6, 5};
    ck_assert_ok(alpha_beta_fit(&f, x, steep, 3));
    ck_assert(f.alpha_us == 0 && f.beta > 0 && isfinite(f.beta));
    ck_assert_ok(alpha_beta_fit(&f, x, falling, 3));
    ck_assert(f.alpha_us > 0 && f.beta > 0 && isinf(f.beta));
    ck_assert(f.beta_low > 0 && isinf(f.beta_high));
}
END_TEST

START_TEST(one_size_or_a_time_of_nothing_is_refused) {
    AlphaBeta f;
    const double x[] = {100, 100, 100}, t[] = {1, 1.1, 0.9}, none[] = {1, 0, 2};
    ck_assert_fails(alpha_beta_fit(&f, x, t, 3), ERR_USAGE, "needs two sizes");
    ck_assert_fails(alpha_beta_fit(&f, bytes, none, 3), ERR_USAGE, "not above 0");
}
END_TEST

SUITE("alpha_beta", times_of_a_line_give_it_back, intervals_cover_the_line_that_noise_was_added_to,
      neither_part_is_negative, one_size_or_a_time_of_nothing_is_refused)
