// SPDX-License-Identifier: MIT
// f16, IEEE 754 binary16: 5 bits of exponent, 11 digits. Files of weights have it, and gradients
// that are sent in it.
#ifndef CORE_BASE_F16_H
#define CORE_BASE_F16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t F16;

// Exact. The digits move to their place in an f32, whose exponent is 112 larger; what has none of
// its own (subnormal) is a whole number of 2^-24.
static inline float f16_to_f32(F16 x) {
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, exponent = x >> 10 & 31, digits = x & 0x3ff, bits;
    float value;
    if (exponent == 0) {
        value = (float)digits * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | digits << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The nearest f16, of two equally near the even one; from 65520 on an infinity, below 2^-14 a whole
// number of 2^-24. A NaN stays one of its sign, and quiet, with what fits of its payload.
static inline F16 f16_from_f32(float x) {
    uint32_t bits, rest;
    memcpy(&bits, &x, sizeof bits);
    F16 sign = (F16)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (F16)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) return (F16)(sign | 0x7c00);
    if (bits < 0x38800000) {  // adding 0.5 leaves multiples of 2^-24, rounded to even
        float value;
        memcpy(&value, &bits, sizeof value);
        value += 0.5f;
        memcpy(&rest, &value, sizeof rest);
        return (F16)(sign | (rest - 0x3f000000));
    }
    return (F16)(sign | ((bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13));
}

#endif
