// SPDX-License-Identifier: MIT
// A bias by itself; core/device/reference/bias.c says what for. x and y may be one tensor.
#include "core/device/cpu/cpu_internal.h"

void NAME(cpu_linear_bias)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *bias = input_data(call, 1);
    int64_t K = input(call, 1)->shape[0], n = live_vectors(input(call, 0));
    for (int64_t b = 0; b < n; b++, x += K, y += K)
        for (int64_t k = 0; k < K; k++) y[k] = x[k] + bias[k];
}

void NAME(cpu_conv2d_bias)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *bias = input_data(call, 1);
    int64_t K = input(call, 1)->shape[0], rows = operand_rows(input(call, 0)) * K,
            places = input(call, 0)->shape[2] * input(call, 0)->shape[3];
    for (int64_t r = 0; r < rows; r++, x += places, y += places) {
        real b = bias[r % K];
        for (int64_t i = 0; i < places; i++) y[i] = x[i] + b;
    }
}
