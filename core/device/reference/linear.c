// SPDX-License-Identifier: MIT
// The linear layer, y = x weight^T + bias: a row of x is a sample or a position of one, a row of
// weight an output.
//   y[b,k]       = bias[k] + sum_c x[b,c] weight[k,c]
//   dx[b,c]      = sum_k dy[b,k] weight[k,c]
//   dweight[k,c] = sum_b dy[b,k] x[b,c]
//   dbias[k]     = sum_b dy[b,k]
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

void NAME(reference_linear)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0));
    int64_t C = vector_length(input(call, 0)), K = vector_length(output(call, 0));
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < K; k++) {
            real sum = bias ? bias[k] : 0;
            for (int64_t c = 0; c < C; c++) sum += x[b * C + c] * weight[k * C + c];
            y[b * K + k] = sum;
        }
}

void NAME(reference_linear_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *weight = input_data(call, 1);
    int64_t B = live_vectors(output(call, 0));
    int64_t C = vector_length(output(call, 0)), K = vector_length(input(call, 0));
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) {
            real sum = 0;
            for (int64_t k = 0; k < K; k++) sum += dy[b * K + k] * weight[k * C + c];
            dx[b * C + c] = sum;
        }
}

void NAME(reference_linear_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    int64_t B = live_vectors(input(call, 0));
    int64_t C = vector_length(input(call, 0)), K = vector_length(input(call, 1));
    for (int64_t k = 0; k < K; k++)
        for (int64_t c = 0; c < C; c++) {
            real sum = 0, *to = &dweight[k * C + c];
            for (int64_t b = 0; b < B; b++) sum += dy[b * K + k] * x[b * C + c];
            *to = call->accumulate ? *to + sum : sum;
        }
    for (int64_t k = 0; dbias && k < K; k++) {
        real sum = 0;
        for (int64_t b = 0; b < B; b++) sum += dy[b * K + k];
        dbias[k] = call->accumulate ? dbias[k] + sum : sum;
    }
}
