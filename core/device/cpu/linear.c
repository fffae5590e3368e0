// SPDX-License-Identifier: MIT
// Linear layers: the whole batch is one matrix product.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

static void forward(const KernelCall *call, real *y, bool relu) {
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    int64_t B = operand_rows(input(call, 0)), C = input(call, 0)->shape[1], K = output(call, 0)->shape[1];
    if (!B) return;
    for (int64_t b = 0; b < B && bias; b++) memcpy(&y[b * K], bias, (size_t)K * sizeof(real));
    multiply(false, true, B, K, C, x, C, weight, C, bias ? 1 : 0, y, K);
    if (relu) NAME(cpu_relu_inplace)
    (B * K, y);
}

void NAME(cpu_linear)(const KernelCall *call) { forward(call, output_data(call, 0), false); }
void NAME(cpu_linear_relu)(const KernelCall *call) { forward(&call->members[0], output_data(&call->members[1], 0), true); }

void NAME(cpu_linear_backward_input)(const KernelCall *call) {
    int64_t B = operand_rows(output(call, 0)), C = output(call, 0)->shape[1], K = input(call, 0)->shape[1];
    if (B) multiply(false, false, B, C, K, input_data(call, 0), K, input_data(call, 1), C, 0, output_data(call, 0), C);
}

// A micro-batch's gradient is complete before it is added to what others left.
void NAME(cpu_linear_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    int64_t B = operand_rows(input(call, 0)), C = input(call, 0)->shape[1], K = input(call, 1)->shape[1];
    real *sum = call->accumulate ? call->scratch : dweight;
    real *bias_sum = (real *)((unsigned char *)call->scratch + ((size_t)(K * C) * sizeof(real) + 63) / 64 * 64);
    if (B)
        multiply(true, false, K, C, B, dy, K, x, C, 0, sum, C);
    else
        memset(sum, 0, (size_t)(K * C) * sizeof(real));
    if (call->accumulate) NAME(cpu_deliver)
    (K * C, sum, dweight, true);
    if (!dbias) return;
    memset(bias_sum, 0, (size_t)K * sizeof(real));
    for (int64_t b = 0; b < B; b++) NAME(cpu_deliver)
    (K, &dy[b * K], bias_sum, true);
    NAME(cpu_deliver)
    (K, bias_sum, dbias, call->accumulate);
}
