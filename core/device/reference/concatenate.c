// SPDX-License-Identifier: MIT
// The inputs one after the other, each in the order of its memory.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_concatenate)(const KernelCall *call) {
    real *y = output_data(call, 0);
    for (int i = 0; i < call->inputs; i++) {
        size_t n = (size_t)live_elements(input(call, i));
        memcpy(y, input_data(call, i), n * sizeof *y);
        y += n;
    }
}
