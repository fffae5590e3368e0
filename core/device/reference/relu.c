// SPDX-License-Identifier: MIT
// y = x where x > 0, else 0; a NaN stays one, so that it is not hidden. dx = dy where y > 0, else 0.
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_relu)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

void NAME(reference_relu_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *y = input_data(call, 1);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}
