// SPDX-License-Identifier: MIT
// Laws of scaling: given back from their own throughputs, within the interval where these vary.
#include "core/base/rng.h"
#include "tests/support/testing.h"
#include "viz/law.h"

#include <math.h>

enum { SIZES = 8, RUNS = 3, VALUES = SIZES * RUNS };

static double ranks[VALUES], rates[VALUES];

// Throughputs of a law on 1, 2, 4 .. 128 ranks, three runs each, off by up to `noise`.
static void make(const Law *l, double noise, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    for (int i = 0; i < VALUES; i++) {
        ranks[i] = pow(2, i / RUNS);
        rates[i] = law_at(l, ranks[i]) * (1 + noise * (2 * (double)rng_float(&rng) - 1));
    }
}

static const Law amdahl = {.kind = LAW_AMDAHL, .rate = {.value = 1000}, .share = {.value = 0.05}};
static const Law gustafson = {
    .kind = LAW_GUSTAFSON, .rate = {.value = 1000}, .share = {.value = 0.2}};
static const Law usl = {.kind = LAW_USL,
                        .rate = {.value = 1000},
                        .share = {.value = 0.03},
                        .coherency = {.value = 0.0004}};
static const Law *const laws[LAWS] = {&amdahl, &gustafson, &usl};

START_TEST(laws_are_what_their_authors_say) {
    // Amdahl: 5 % serial on 20 ranks is 1 / (0.05 + 0.95 / 20) = 10.256 times.
    ck_assert_close(law_at(&amdahl, 20), 10256.410256, 1e-5);
    // Gustafson: 20 % serial on 20 ranks: 0.2 + 0.8 * 20 = 16.2 times.
    ck_assert_close(law_at(&gustafson, 20), 16200, 1e-9);
    // USL: 1 + 0.03 * 19 + 0.0004 * 380 = 1.722; the peak is at sqrt(0.97 / 0.0004) = 49.2.
    ck_assert_close(law_at(&usl, 20), 20000 / 1.722, 1e-6);
    ck_assert_close(law_peak(&usl), 49.244, 1e-3);
    ck_assert(isinf(law_peak(&amdahl)));
}
END_TEST

START_TEST(throughputs_of_a_law_give_it_back) {
    for (int k = 0; k < LAWS; k++) {
        Law l;
        make(laws[k], 0, 1);
        ck_assert_ok(law_fit(&l, laws[k]->kind, ranks, rates, VALUES));
        ck_assert_close(l.rate.value, 1000, 1e-6);
        ck_assert_close(l.share.value, laws[k]->share.value, 1e-9);
        ck_assert_close(l.coherency.value, laws[k]->coherency.value, 1e-11);
        ck_assert(l.has_intervals && l.share.high - l.share.low < 1e-9 && l.worst_error < 1e-9);
    }
}
END_TEST

// Of 30 draws 28 or 29 have the true number in their 95 % interval; fewer than 25 would be three
// standard deviations off.
START_TEST(intervals_cover_the_law_that_noise_was_added_to) {
    enum { DRAWS = 30, LEAST = 25 };
    for (int k = 0; k < LAWS; k++) {
        int rate = 0, share = 0, coherency = 0;
        for (int i = 0; i < DRAWS; i++) {
            Law l;
            make(laws[k], 0.04, 1 + (uint64_t)i);
            ck_assert_ok(law_fit(&l, laws[k]->kind, ranks, rates, VALUES));
            rate += l.rate.low <= 1000 && 1000 <= l.rate.high;
            share += l.share.low <= laws[k]->share.value && laws[k]->share.value <= l.share.high;
            coherency += l.coherency.low <= laws[k]->coherency.value &&
                         laws[k]->coherency.value <= l.coherency.high;
            ck_assert(l.share.low < l.share.high);
        }
        ck_assert_msg(rate >= LEAST && share >= LEAST && coherency >= LEAST,
                      "%s: %d, %d and %d of %d", law_name(laws[k]->kind), rate, share, coherency,
                      DRAWS);
    }
}
END_TEST

// More than linear scaling would need a negative serial share.
START_TEST(no_number_is_negative) {
    const double n[] = {1, 2, 4, 8}, x[] = {100, 210, 440, 900};
    Law l;
    for (int k = 0; k < LAWS; k++) {
        ck_assert_ok(law_fit(&l, (LawKind)k, n, x, 4));
        ck_assert(l.share.value == 0 && l.coherency.value == 0 && l.rate.value > 100);
        ck_assert(l.share.low >= 0);
    }
}
END_TEST

START_TEST(a_law_of_another_kind_of_scaling_has_larger_errors) {
    Law right, wrong;
    make(&gustafson, 0, 1);
    ck_assert_ok(law_fit(&right, LAW_GUSTAFSON, ranks, rates, VALUES));
    ck_assert_ok(law_fit(&wrong, LAW_AMDAHL, ranks, rates, VALUES));
    ck_assert(wrong.mean_error > 0.01 && right.mean_error < 1e-9);
}
END_TEST

START_TEST(too_few_sizes_are_refused_and_as_many_as_numbers_have_no_interval) {
    const double n[] = {2, 2, 4}, x[] = {100, 101, 180}, zero[] = {100, 0, 180};
    Law l;
    ck_assert_fails(law_fit(&l, LAW_USL, n, x, 3), ERR_USAGE,
                    "USL needs 3 different sizes, and there are 2");
    ck_assert_fails(law_fit(&l, LAW_AMDAHL, n, x, 2), ERR_USAGE,
                    "Amdahl needs 2 different sizes, and there is 1");
    ck_assert_fails(law_fit(&l, LAW_AMDAHL, n, zero, 3), ERR_USAGE, "not above 0");
    ck_assert_ok(law_fit(&l, LAW_AMDAHL, n + 1, x + 1, 2));
    ck_assert(!l.has_intervals && l.worst_error < 1e-9);
}
END_TEST

SUITE("law", laws_are_what_their_authors_say, throughputs_of_a_law_give_it_back,
      intervals_cover_the_law_that_noise_was_added_to, no_number_is_negative,
      a_law_of_another_kind_of_scaling_has_larger_errors,
      too_few_sizes_are_refused_and_as_many_as_numbers_have_no_interval)
