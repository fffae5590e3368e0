// SPDX-License-Identifier: MIT
// How the reference device computes in a type of two bytes: operands of that type are widened to
// f32 in scratch, one behind the other, and outputs are rounded once
// (core/device/reference/widened.c).
#ifndef CORE_PLATFORM_WIDENED_H
#define CORE_PLATFORM_WIDENED_H

#include <stdint.h>

enum { WIDENED_ALIGNMENT = 64 };

// Bytes of scratch for one operand of so many elements.
static inline int64_t widened_bytes(int64_t elements) {
    return (elements * (int64_t)sizeof(float) + WIDENED_ALIGNMENT - 1) & -WIDENED_ALIGNMENT;
}

#endif
