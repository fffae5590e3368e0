// SPDX-License-Identifier: MIT
// Root-mean-square normalisation (Zhang and Sennrich, arXiv:1910.07467) of each position x (C):
//   r          = 1 / sqrt(mean_c x[c]^2 + eps)
//   y[c]       = x[c] r weight[c]
//   dx[c]      = r (g[c] - x[c] r^2 mean_e g[e] x[e])         g[c] = dy[c] weight[c]
//   dweight[c] = sum of dy[c] x[c] r over the positions
// The arithmetic within a position is in f64 for f32 as well, and rounded once.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

static double inverse_root(int64_t C, const real *x, double eps) {
    double sum = 0;
    for (int64_t c = 0; c < C; c++) sum += (double)x[c] * (double)x[c];
    return 1 / sqrt(sum / (double)C + eps);
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

void NAME(reference_rms_norm)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, y += C) {
        double r = inverse_root(C, x, attr_as_real(call, 0));
        for (int64_t c = 0; c < C; c++) y[c] = (real)((double)x[c] * r * (double)weight[c]);
    }
}

void NAME(reference_rms_norm_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1), *weight = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, dy += C, dx += C) {
        double r = inverse_root(C, x, attr_as_real(call, 0)), mean = 0;
        for (int64_t c = 0; c < C; c++) mean += (double)dy[c] * (double)weight[c] * (double)x[c];
        mean /= (double)C;
        for (int64_t c = 0; c < C; c++)
            dx[c] = (real)(r * ((double)dy[c] * (double)weight[c] - (double)x[c] * r * r * mean));
    }
}

void NAME(reference_rms_norm_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)dy[i * C + c] * (double)x[i * C + c] *
                   inverse_root(C, &x[i * C], attr_as_real(call, 0));
        dweight[c] = call->accumulate ? dweight[c] + (real)sum : (real)sum;
    }
}
