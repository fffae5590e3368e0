// SPDX-License-Identifier: MIT
// Root-mean-square normalisation, position by position; core/device/reference/rms_norm.c has the
// formulas. Sums are in sixteen running sums by index, then those in order.
#include "core/device/cpu/cpu_internal.h"

enum { LANES = 16 };

// sum of a[i] b[i] w[i], or of a[i] b[i] where w is NULL.
static real sum_products(int64_t n, const real *a, const real *b, const real *w) {
    real part[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] += a[i + e] * b[i + e] * (w ? w[i + e] : 1);
    for (int e = 0; i < n; i++, e++) part[e] += a[i] * b[i] * (w ? w[i] : 1);
    for (int e = 0; e < LANES; e++) sum += part[e];
    return sum;
}

static real inverse_root(const KernelCall *call, int64_t C, const real *x) {
    double sum = (double)sum_products(C, x, x, NULL);
    return (real)(1 / sqrt(sum / (double)C + attr_as_real(call, 0)));
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

void NAME(cpu_rms_norm)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0), *restrict weight = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, y += C) {
        real r = inverse_root(call, C, x);
        for (int64_t c = 0; c < C; c++) y[c] = x[c] * r * weight[c];
    }
}

void NAME(cpu_rms_norm_backward_input)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1),
                         *restrict weight = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, dy += C, dx += C) {
        real r = inverse_root(call, C, x);
        real back = sum_products(C, dy, x, weight) / (real)C * r * r;
        for (int64_t c = 0; c < C; c++) dx[c] = r * (dy[c] * weight[c] - x[c] * back);
    }
}

// Complete before it is added to what others left.
void NAME(cpu_rms_norm_backward_weight)(const KernelCall *call) {
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1);
    real *restrict sum = call->scratch;
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    memset(sum, 0, (size_t)C * sizeof *sum);
    for (int64_t i = 0; i < n; i++, x += C, dy += C) {
        real r = inverse_root(call, C, x);
        for (int64_t c = 0; c < C; c++) sum[c] += dy[c] * x[c] * r;
    }
    NAME(cpu_deliver)(C, sum, call->accumulate, output_data(call, 0));
}
