// SPDX-License-Identifier: MIT
// Linear layers: the vectors of a call are one matrix.
#include "core/device/cpu/cpu_internal.h"

#include <string.h>

static void forward(const KernelCall *call, bool relu, real *y) {
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0)),
            K = vector_length(output(call, 0));
    for (int64_t b = 0; b < B && bias; b++) memcpy(&y[b * K], bias, (size_t)K * sizeof(real));
    multiply(false, true, B, K, C, x, C, weight, C, bias ? 1 : 0, y, K);
    if (relu) NAME(cpu_finish_rows)(1, B * K, NULL, true, y);
}

void NAME(cpu_linear)(const KernelCall *call) { forward(call, false, output_data(call, 0)); }
void NAME(cpu_linear_relu)(const KernelCall *call) {
    forward(&call->members[0], true, output_data(&call->members[1], 0));
}

void NAME(cpu_linear_backward_input)(const KernelCall *call) {
    int64_t B = live_vectors(output(call, 0)), C = vector_length(output(call, 0)),
            K = vector_length(input(call, 0));
    multiply(false, false, B, C, K, input_data(call, 0), K, input_data(call, 1), C, 0,
             output_data(call, 0), C);
}

// Complete before it is added to what others left; else it grows where it is wanted.
void NAME(cpu_linear_backward_weight)(const KernelCall *call) {
    const real *x = input_data(call, 0), *dy = input_data(call, 1);
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    int64_t B = live_vectors(input(call, 0)), C = vector_length(input(call, 0)),
            K = vector_length(input(call, 1));
    const LinearScratch s = linear_scratch(C, K, sizeof(real));
    real *weight_sum = call->accumulate ? scratch_at(call, s.dweight) : dweight;
    real *bias_sum = call->accumulate ? scratch_at(call, s.dbias) : dbias;
    memset(weight_sum, 0, (size_t)(K * C) * sizeof(real));
    multiply(true, false, K, C, B, dy, K, x, C, 1, weight_sum, C);
    if (call->accumulate) NAME(cpu_deliver)(K * C, weight_sum, true, dweight);
    if (!dbias) return;
    memset(bias_sum, 0, (size_t)K * sizeof(real));
    for (int64_t b = 0; b < B; b++) NAME(cpu_deliver)(K, &dy[b * K], true, bias_sum);
    if (call->accumulate) NAME(cpu_deliver)(K, bias_sum, true, dbias);
}
