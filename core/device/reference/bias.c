// SPDX-License-Identifier: MIT
// A bias by itself, y[b,k] = x[b,k] + bias[k]: where x is a sum over ranks (a product whose weight
// is cut along its inputs), each would add it once, so it comes after the reduction. x and y may be
// one tensor. The gradient of the bias is that of linear and conv2d.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// x (vectors, K, places)
static void add(const KernelCall *call, int64_t places) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *bias = input_data(call, 1);
    int64_t K = input(call, 1)->shape[0], n = live_elements(input(call, 0)) / (K * places);
    for (int64_t b = 0; b < n; b++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < places; i++, x++, y++) *y = *x + bias[k];
}

void NAME(reference_linear_bias)(const KernelCall *call) { add(call, 1); }

void NAME(reference_conv2d_bias)(const KernelCall *call) {
    add(call, input(call, 0)->shape[2] * input(call, 0)->shape[3]);
}
