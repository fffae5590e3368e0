// SPDX-License-Identifier: MIT
// Every bf16, and f32 around every bf16 and every middle of two.
#include "core/base/bf16.h"

#include "tests/support/testing.h"

#include <math.h>
#include <stdbool.h>

static float f32_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

START_TEST(a_bf16_is_exact_in_f32_and_comes_back) {
    for (uint32_t b = 0; b < 0x10000; b++) {
        float x = bf16_to_f32((Bf16)b);
        uint32_t sign = b & 0x8000, exponent = b >> 7 & 0xff, digits = b & 0x7f;
        if (exponent == 0xff && digits) {  // a NaN comes back quiet, with its sign
            ck_assert(isnan(x));
            ck_assert_uint_eq(bf16_from_f32(x), b | 0x40);
            continue;
        }
        float want = exponent == 0xff ? (float)INFINITY
                     : exponent       ? ldexpf((float)(128 + digits), (int)exponent - 134)
                                      : ldexpf((float)digits, -133);
        ck_assert(x == (sign ? -want : want) && !signbit(x) == !sign);
        ck_assert_uint_eq(bf16_from_f32(x), b);
    }
}
END_TEST

// Of the two bf16 that x lies between, in f64, which holds the middle exactly. The next after the
// largest counts as 2^128.
static Bf16 nearest(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    Bf16 below = (Bf16)(bits >> 16), above = (Bf16)(below + 1);
    double size = fabs((double)x), low = fabs((double)bf16_to_f32(below)),
           high = (above & 0x7fff) == 0x7f80 ? 0x1p128 : fabs((double)bf16_to_f32(above));
    if (size - low < high - size) return below;
    if (size - low > high - size) return above;
    return below & 1 ? above : below;
}

START_TEST(the_nearest_bf16_is_taken_and_of_two_the_even_one) {
    static const uint32_t low[] = {0,      1,      2,      0x0fff, 0x4000, 0x7ffe, 0x7fff,
                                   0x8000, 0x8001, 0x8002, 0xc000, 0xfffe, 0xffff};
    for (uint32_t high = 0; high < 0x10000; high++)
        for (size_t i = 0; i < sizeof low / sizeof *low; i++) {
            float x = f32_of(high << 16 | low[i]);
            Bf16 got = bf16_from_f32(x);
            bool right = isnan(x)   ? isnan(bf16_to_f32(got)) && got >> 15 == high >> 15
                         : isinf(x) ? got == high
                                    : got == nearest(x);
            if (!right) ck_abort_msg("%a became %x", (double)x, got);
        }
}
END_TEST

// Within one upper half the result never falls when the lower half grows: so the places tested
// above stand for all 2^32.
START_TEST(a_larger_f32_is_no_smaller_bf16) {
    for (uint32_t high = 0x3f7f; high <= 0x3f80; high++)
        for (uint32_t low = 1; low < 0x10000; low++)
            if (bf16_from_f32(f32_of(high << 16 | low)) <
                bf16_from_f32(f32_of(high << 16 | (low - 1))))
                ck_abort_msg("%x %x", high, low);
}
END_TEST

SUITE("bf16", a_bf16_is_exact_in_f32_and_comes_back,
      the_nearest_bf16_is_taken_and_of_two_the_even_one, a_larger_f32_is_no_smaller_bf16)
