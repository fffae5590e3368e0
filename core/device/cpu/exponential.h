// SPDX-License-Identifier: MIT
// The exponential function as a polynomial without a branch, so that compilers make vectors of it,
// whose bits are those of what is left over of them.
#ifndef CORE_DEVICE_CPU_EXPONENTIAL_H
#define CORE_DEVICE_CPU_EXPONENTIAL_H

#include "core/device/real.h"

#include <stdint.h>
#include <string.h>

// The coefficients, from the highest power on. Of EXP_LIMIT and more, exp(-z) is 0.
#if REAL_IS_F64
typedef uint64_t Bits;
enum { MANTISSA = 52, BIAS = 1023 };
static const real SHIFT = 0x1.8p52, EXP_LIMIT = 760.5;
static const real LN2_HIGH = 0x1.62e42fefap-1, LN2_LOW = 0x1.cf79abc9e3b3ap-40;
#define EXP_TERMS(X)                                                                \
    X(1.6059043836821613e-10)                                                       \
    X(2.08767569878681e-09)                                                         \
    X(2.505210838544172e-08)                                                        \
    X(2.7557319223985888e-07) X(2.7557319223985893e-06) X(2.4801587301587302e-05)   \
        X(0.00019841269841269841) X(0.0013888888888888889) X(0.0083333333333333332) \
            X(0.041666666666666664) X(0.16666666666666666) X(0.5) X(1.0) X(1.0)
#else
typedef uint32_t Bits;
enum { MANTISSA = 23, BIAS = 127 };
static const real SHIFT = 0x1.8p23f, EXP_LIMIT = 112.5f;
static const real LN2_HIGH = 0x1.62ep-1f, LN2_LOW = 0x1.0bfbe8p-15f;
#define EXP_TERMS(X)   \
    X(0.000198412698f) \
    X(0.00138888889f) X(0.00833333333f) X(0.0416666667f) X(0.166666667f) X(0.5f) X(1.0f) X(1.0f)
#endif

#define HORNER(term) sum = sum * at + (term);

// exp(-z) for z from -1 to EXP_LIMIT: 2^n exp(r), where r is at most log(2) / 2 to either side.
// It keeps a NaN.
static inline real exp_of_negative(real z) {
    real shifted = SHIFT - z * (real)1.4426950408889634, n = shifted - SHIFT, sum = 0;
    real at = -z - n * LN2_HIGH - n * LN2_LOW;  // n LN2_HIGH is exact
    EXP_TERMS(HORNER)
    // 2^n in two factors, since it may be less than the smallest number of full precision.
    Bits bits, of_shift, first, second;
    real a, b;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&of_shift, &SHIFT, sizeof of_shift);
    bits = bits - of_shift + 2 * BIAS;
    first = bits >> 1;
    second = (bits - first) << MANTISSA;
    first <<= MANTISSA;
    memcpy(&a, &first, sizeof a);
    memcpy(&b, &second, sizeof b);
    return sum * a * b;
}

#endif
