// SPDX-License-Identifier: MIT
#include "core/device/cpu/blas.h"
#include "core/device/cpu/cpu.h"
#include "core/device/cpu/rows.h"
#include "core/platform/cpu_scratch.h"

#include <string.h>

// y (B,K) = x (B,C) weight (K,C)^T + bias, then ReLU if asked for.
static void linear(const KernelCall *c, real *y, bool relu) {
    const real *x = input_data(c, 0), *weight = input_data(c, 1), *bias = input_data(c, 2);
    int64_t B = operand_rows(input(c, 0)), C = input(c, 0)->shape[1], K = output(c, 0)->shape[1];
    NAME(gemm)(y, B, K, C, NAME(plain)(x, C), NAME(transposed)(weight, C), 0);
    for (int64_t b = 0; b < B; b++, y += K) {
        for (int64_t k = 0; k < K && bias; k++) y[k] += bias[k];
        for (int64_t k = 0; k < K && relu; k++) y[k] = NAME(relu_of)(y[k]);
    }
}

void NAME(cpu_linear)(const KernelCall *call) { linear(call, output_data(call, 0), false); }

void NAME(cpu_linear_relu)(const KernelCall *call) { linear(&call->members[0], output_data(&call->members[1], 0), true); }

void NAME(cpu_linear_backward_input)(const KernelCall *call) {
    const real *dy = input_data(call, 0), *weight = input_data(call, 1);
    int64_t B = operand_rows(output(call, 0)), C = output(call, 0)->shape[1], K = input(call, 0)->shape[1];
    NAME(gemm)(output_data(call, 0), B, C, K, NAME(plain)(dy, K), NAME(plain)(weight, C), 0);
}

void NAME(cpu_linear_backward_weight)(const KernelCall *call) {
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    real *dbias = output_data(call, 1);
    int64_t B = operand_rows(input(call, 0)), C = input(call, 0)->shape[1], K = input(call, 1)->shape[1];
    CpuLinearScratch s = cpu_linear_scratch(C, K, sizeof(real));
    real *weight_sum = (real *)((char *)call->scratch + s.weight), *bias_sum = (real *)((char *)call->scratch + s.bias);
    NAME(gemm)(weight_sum, K, C, B, NAME(transposed)(dy, K), NAME(plain)(x, C), 0);
    NAME(deliver)(output_data(call, 0), weight_sum, K * C, call->accumulate);
    if (!dbias) return;
    memset(bias_sum, 0, (size_t)K * sizeof(real));
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < K; k++) bias_sum[k] += dy[b * K + k];
    NAME(deliver)(dbias, bias_sum, K, call->accumulate);
}
