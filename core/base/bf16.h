// SPDX-License-Identifier: MIT
// bf16: the upper 16 bits of an IEEE f32, with its range and 8 of its 24 digits.
#ifndef CORE_BASE_BF16_H
#define CORE_BASE_BF16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t Bf16;

// The nearest bf16, of two equally near the even one; beyond the largest an infinity. A NaN stays
// one of its sign, and quiet, with what fits of its payload.
static inline Bf16 bf16_from_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (Bf16)(bits >> 16 | 0x40);
    return (Bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Exact.
static inline float bf16_to_f32(Bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
