// SPDX-License-Identifier: MIT
// What the kernels of top_k share on all devices: how absolute values are ordered, and pairs of a
// value and an index.
#ifndef CORE_DEVICE_TOP_K_H
#define CORE_DEVICE_TOP_K_H

#include "core/device/real.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if REAL_IS_F64
typedef uint64_t TopKSize;
typedef int64_t TopKIndex;
#else
typedef uint32_t TopKSize;
typedef int32_t TopKIndex;
#endif

// The bits of |x|, which are in the order of the absolute values; a NaN is larger than all.
static inline TopKSize top_k_size(real x) {
    TopKSize bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & ~((TopKSize)1 << (8 * sizeof bits - 1));
}

static inline TopKIndex top_k_index(const real *from) {
    TopKIndex index;
    memcpy(&index, from, sizeof index);
    return index;
}

// Of x (n) the K elements of size `least` or more, of those of that size the first, to `pairs`
// (K,2) in the order of x; rest (n) is x with 0 in their places, and may be x itself. `least` is
// the K-th largest size.
static inline void top_k_take(const real *x, int64_t n, int64_t K, TopKSize least, real *pairs,
                              real *rest) {
    int64_t taken = 0, equal = K;
    for (int64_t i = 0; i < n; i++) equal -= top_k_size(x[i]) > least;
    for (int64_t i = 0; i < n; i++) {
        TopKSize size = top_k_size(x[i]);
        TopKIndex index = (TopKIndex)i;
        bool take = size > least || (size == least && equal > 0);
        equal -= size == least;
        if (take) {
            pairs[2 * taken] = x[i];
            memcpy(&pairs[2 * taken++ + 1], &index, sizeof index);
        }
        rest[i] = take ? 0 : x[i];
    }
}

#endif
