// SPDX-License-Identifier: MIT
// f16, IEEE 754 binary16: 5 bits of exponent, 11 digits. Files of weights have it.
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

#endif
