// SPDX-License-Identifier: MIT
// Error feedback (Seide et al., 2014; Karimireddy et al., 2019): what compression left out of a
// gradient is added to the gradient of the next step. Each shard has a row of `error` (L,..), with
// the elements of the gradient.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// sum = error[row], or sum + that.
void NAME(reference_feed_error)(const KernelCall *call) {
    int64_t E = live_elements(output(call, 0));
    const real *error = (const real *)input_data(call, 0) + call->attr[0] * E;
    real *sum = output_data(call, 0);
    for (int64_t i = 0; i < E; i++) sum[i] = call->accumulate ? sum[i] + error[i] : error[i];
}

// error[row] = x
void NAME(reference_keep_error)(const KernelCall *call) {
    int64_t E = live_elements(input(call, 0));
    real *error = (real *)output_data(call, 0) + call->attr[0] * E;
    memcpy(error, input_data(call, 0), (size_t)E * sizeof(real));
}
