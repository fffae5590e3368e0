// SPDX-License-Identifier: MIT
// One step of a left fold, element by element: the first piece is written, later ones are added.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_fold)(const KernelCall *call) {
    real *sum = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(output(call, 0));
    for (int64_t e = 0; e < n; e++) sum[e] = call->accumulate ? sum[e] + x[e] : x[e];
}
