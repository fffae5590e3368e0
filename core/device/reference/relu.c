// SPDX-License-Identifier: MIT
// y = max(x, 0), where a NaN stays one so that it is not hidden, and -0 becomes 0.
// dx = dy where y > 0, else 0: at the kink, where there is no gradient, it is 0 as
// everywhere left of it.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_relu)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t e = 0; e < n; e++) y[e] = x[e] <= 0 ? 0 : x[e];
}

void NAME(reference_relu_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *y = input_data(call, 1);
    int64_t n = live_elements(input(call, 0));
    for (int64_t e = 0; e < n; e++) dx[e] = y[e] > 0 ? dy[e] : 0;
}
