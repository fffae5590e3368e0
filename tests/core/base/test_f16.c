// SPDX-License-Identifier: MIT
// Every f16, and f32 around every f16 and every middle of two.
#include "core/base/f16.h"

#include "tests/support/testing.h"

#include <math.h>
#include <stdbool.h>

START_TEST(an_f16_is_exact_in_f32_and_comes_back) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        float x = f16_to_f32((F16)h);
        uint32_t exponent = h >> 10 & 31, digits = h & 0x3ff;
        if (exponent == 31 && digits) {  // a NaN comes back quiet, with its sign
            ck_assert(isnan(x));
            ck_assert_uint_eq(f16_from_f32(x), h | 0x200);
            continue;
        }
        float want = exponent == 31 ? (float)INFINITY
                     : exponent     ? ldexpf((float)(1024 + digits), (int)exponent - 25)
                                    : ldexpf((float)digits, -24);
        ck_assert(x == (h & 0x8000 ? -want : want) && !signbit(x) == !(h & 0x8000));
        ck_assert_uint_eq(f16_from_f32(x), h);
    }
}
END_TEST

// Between two neighbours a and b, the next after the largest counting as 65536: their middle goes
// to the even one, what is nearer to one of them to that one.
START_TEST(the_nearest_f16_is_taken_and_of_two_the_even_one) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float a = f16_to_f32((F16)h), b = h == 0x7bff ? 65536 : f16_to_f32((F16)(h + 1)),
              middle = a + (b - a) / 2;
        for (int sign = 1; sign >= -1; sign -= 2) {
            uint32_t minus = sign < 0 ? 0x8000 : 0;
            float s = (float)sign;
            ck_assert_uint_eq(f16_from_f32(s * middle), minus | (h & 1 ? h + 1 : h));
            ck_assert_uint_eq(f16_from_f32(s * nextafterf(middle, 0)), minus | h);
            ck_assert_uint_eq(f16_from_f32(s * nextafterf(middle, 1e9f)), minus | (h + 1));
            ck_assert_uint_eq(f16_from_f32(s * nextafterf(a, 1e9f)), minus | h);
        }
    }
    ck_assert_uint_eq(f16_from_f32(1e30f), 0x7c00);
    ck_assert_uint_eq(f16_from_f32(-(float)INFINITY), 0xfc00);
    ck_assert_uint_eq(f16_from_f32(1e-30f), 0);
}
END_TEST

SUITE("f16", an_f16_is_exact_in_f32_and_comes_back,
      the_nearest_f16_is_taken_and_of_two_the_even_one)
