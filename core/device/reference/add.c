// SPDX-License-Identifier: MIT
// y = a + b, element by element, as where a residual connection joins its branch.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_add)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *a = input_data(call, 0), *b = input_data(call, 1);
    int64_t n = live_elements(output(call, 0));
    for (int64_t e = 0; e < n; e++) y[e] = a[e] + b[e];
}
