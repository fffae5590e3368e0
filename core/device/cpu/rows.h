// SPDX-License-Identifier: MIT
// Small passes over rows that several kernels end with.
#ifndef CORE_DEVICE_CPU_ROWS_H
#define CORE_DEVICE_CPU_ROWS_H

#include "core/device/real.h"

#include <stdbool.h>
#include <stdint.h>

static inline real NAME(relu_of)(real x) { return x <= 0 ? 0 : x; }

// The sum that a call made, into its gradient: over what was there, or added to it.
static inline void NAME(deliver)(real *gradient, const real *sum, int64_t n, bool accumulate) {
    if (accumulate)
        for (int64_t i = 0; i < n; i++) gradient[i] += sum[i];
    else
        for (int64_t i = 0; i < n; i++) gradient[i] = sum[i];
}

#endif
