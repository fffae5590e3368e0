// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "tests/support/testing.h"

#include <stdbool.h>
#include <string.h>

static void check_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0,
                         uint32_t k1, const uint32_t want[4]) {
    uint32_t out[4];
    rng_philox4x32(out, (const uint32_t[]){c0, c1, c2, c3}, (const uint32_t[]){k0, k1});
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(out[i], want[i]);
}

// The three lines "rng_philox4x32 10" of kat_vectors in Random123, the authors' library.
START_TEST(philox_gives_the_published_known_answers) {
    const uint32_t f = 0xFFFFFFFFu;
    check_philox(0, 0, 0, 0, 0, 0,
                 (const uint32_t[]){0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8});
    check_philox(f, f, f, f, f, f,
                 (const uint32_t[]){0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD});
    check_philox(0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0,
                 (const uint32_t[]){0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1});
}
END_TEST

// Number 4 * 5 + 3 is the last one of block 5, whose counter is (5, use, a, b).
START_TEST(a_number_is_the_word_of_the_block_that_seed_use_and_index_name) {
    Rng r;
    uint32_t out[4];
    rng_init(&r, 0x1122334455667788, RNG_SHUFFLE, 7, 9);
    rng_philox4x32(out, (const uint32_t[]){5, RNG_SHUFFLE, 7, 9},
                   (const uint32_t[]){0x55667788, 0x11223344});
    ck_assert_uint_eq(rng_at(&r, 23), out[3]);
    // Block 2^32 + 5: what does not fit the first word stands above the use.
    rng_philox4x32(out, (const uint32_t[]){5, RNG_SHUFFLE | 1 << 8, 7, 9},
                   (const uint32_t[]){0x55667788, 0x11223344});
    ck_assert_uint_eq(rng_at(&r, (UINT64_C(4) << 32) + 22), out[2]);
}
END_TEST

START_TEST(drawing_in_order_gives_the_numbers_at_their_places) {
    Rng r;
    rng_init(&r, 42, RNG_TEST, 0, 0);
    for (uint64_t i = 0; i < 11; i++) ck_assert_uint_eq(rng_u32(&r), rng_at(&r, i));
    ck_assert_uint_eq(r.index, 11);
    (void)rng_at(&r, 1000);
    ck_assert_uint_eq(rng_u32(&r), rng_at(&r, 11));
}
END_TEST

START_TEST(streams_differ_in_seed_use_and_both_names) {
    Rng r[5];
    rng_init(&r[0], 1, RNG_TEST, 0, 0);
    rng_init(&r[1], 2, RNG_TEST, 0, 0);
    rng_init(&r[2], 1, RNG_INIT, 0, 0);
    rng_init(&r[3], 1, RNG_TEST, 1, 0);
    rng_init(&r[4], 1, RNG_TEST, 0, 1);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) ck_assert_uint_ne(rng_at(&r[i], 0), rng_at(&r[j], 0));
}
END_TEST

// With n = 3 * 2^30, taking the high word alone gives 0 modulo 3 in half of the draws instead of a
// third: 1500 of 3000, not 1000 with a standard deviation of 26.
START_TEST(below_has_no_bias) {
    Rng r;
    rng_init(&r, 3, RNG_TEST, 0, 0);
    int count[3] = {0};
    for (int i = 0; i < 3000; i++) count[rng_below(&r, UINT32_C(3) << 30) % 3]++;
    for (int i = 0; i < 3; i++) ck_assert_close(count[i], 1000, 130);
}
END_TEST

START_TEST(below_stays_below_and_reaches_every_value) {
    Rng r;
    rng_init(&r, 4, RNG_TEST, 0, 0);
    int count[7] = {0};
    for (int i = 0; i < 700; i++) {
        uint32_t x = rng_below(&r, 7);
        ck_assert_uint_lt(x, 7);
        count[x]++;
    }
    for (int i = 0; i < 7; i++) ck_assert_int_gt(count[i], 0);
    for (int i = 0; i < 10; i++) ck_assert_uint_eq(rng_below(&r, 1), 0);
}
END_TEST

START_TEST(floats_are_the_high_24_bits_over_two_to_the_24) {
    Rng r, same;
    rng_init(&r, 5, RNG_TEST, 0, 0);
    same = r;
    for (int i = 0; i < 100; i++) {
        uint32_t bits = rng_u32(&same);
        float x = rng_float(&r);
        ck_assert(x >= 0 && x < 1);
        ck_assert_uint_eq((uint32_t)(x * 16777216.0f), bits >> 8);
    }
}
END_TEST

// 6000 shuffles of three: each of the 6 orders 1000 times, standard deviation 29.
START_TEST(every_order_of_a_shuffle_is_as_likely) {
    Rng r;
    rng_init(&r, 6, RNG_TEST, 0, 0);
    int count[27] = {0}, orders = 0;
    for (int i = 0; i < 6000; i++) {
        int32_t x[3] = {0, 1, 2};
        rng_shuffle(&r, x, 3);
        count[x[0] * 9 + x[1] * 3 + x[2]]++;
    }
    for (int i = 0; i < 27; i++) {
        if (!count[i]) continue;
        orders++;
        ck_assert_close(count[i], 1000, 145);
    }
    ck_assert_int_eq(orders, 6);
}
END_TEST

START_TEST(a_shuffle_is_a_permutation_that_the_seed_fixes) {
    enum { N = 1000 };
    int32_t x[N], y[N];
    bool seen[N] = {false};
    for (int i = 0; i < N; i++) x[i] = y[i] = i;
    Rng r, same;
    rng_init(&r, 7, RNG_SHUFFLE, 3, 0);
    same = r;
    rng_shuffle(&r, x, N);
    rng_shuffle(&same, y, N);
    ck_assert_mem_eq(x, y, sizeof x);
    for (int i = 0; i < N; i++) seen[x[i]] = true;
    for (int i = 0; i < N; i++) ck_assert(seen[i]);
    rng_shuffle(&r, x, 0);
    rng_shuffle(&r, x, 1);
}
END_TEST

SUITE("rng", philox_gives_the_published_known_answers,
      a_number_is_the_word_of_the_block_that_seed_use_and_index_name,
      drawing_in_order_gives_the_numbers_at_their_places, streams_differ_in_seed_use_and_both_names,
      below_has_no_bias, below_stays_below_and_reaches_every_value,
      floats_are_the_high_24_bits_over_two_to_the_24, every_order_of_a_shuffle_is_as_likely,
      a_shuffle_is_a_permutation_that_the_seed_fixes)
