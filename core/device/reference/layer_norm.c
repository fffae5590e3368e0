// SPDX-License-Identifier: MIT
// Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) of each position x (C):
//   r          = 1 / sqrt(mean_c (x[c] - m)^2 + eps)        m = mean_c x[c]
//   h[c]       = (x[c] - m) r
//   y[c]       = h[c] weight[c] + bias[c]
//   dx[c]      = r (g[c] - mean_e g[e] - h[c] mean_e g[e] h[e])    g[c] = dy[c] weight[c]
//   dweight[c] = sum of dy[c] h[c] over the positions, dbias[c] = sum of dy[c]
// The arithmetic within a position is in f64 for f32 as well, and rounded once.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

typedef struct {
    double mean, root;  // m, r
} Moments;

static Moments moments(int64_t C, const real *x, double eps) {
    Moments m = {0};
    double squares = 0;
    for (int64_t c = 0; c < C; c++) m.mean += (double)x[c];
    m.mean /= (double)C;
    for (int64_t c = 0; c < C; c++) squares += ((double)x[c] - m.mean) * ((double)x[c] - m.mean);
    m.root = 1 / sqrt(squares / (double)C + eps);
    return m;
}

static int64_t positions(const Operand *x) { return operand_rows(x) * x->shape[1]; }

void NAME(reference_layer_norm)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0), *weight = input_data(call, 1), *bias = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, y += C) {
        Moments m = moments(C, x, attr_as_real(call, 0));
        for (int64_t c = 0; c < C; c++)
            y[c] = (real)(((double)x[c] - m.mean) * m.root * (double)weight[c] +
                          (bias ? (double)bias[c] : 0));
    }
}

void NAME(reference_layer_norm_backward_input)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1), *weight = input_data(call, 2);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t i = 0; i < n; i++, x += C, dy += C, dx += C) {
        Moments m = moments(C, x, attr_as_real(call, 0));
        double g = 0, gh = 0;
        for (int64_t c = 0; c < C; c++) {
            g += (double)dy[c] * (double)weight[c];
            gh += (double)dy[c] * (double)weight[c] * ((double)x[c] - m.mean) * m.root;
        }
        g /= (double)C;
        gh /= (double)C;
        for (int64_t c = 0; c < C; c++)
            dx[c] = (real)(m.root * ((double)dy[c] * (double)weight[c] - g -
                                     ((double)x[c] - m.mean) * m.root * gh));
    }
}

void NAME(reference_layer_norm_backward_weight)(const KernelCall *call) {
    real *dweight = output_data(call, 0), *dbias = output_data(call, 1);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    int64_t C = input(call, 0)->shape[2], n = positions(input(call, 0));
    for (int64_t c = 0; c < C; c++) {
        double sum = 0, sum_dy = 0;
        for (int64_t i = 0; i < n; i++) {
            Moments m = moments(C, &x[i * C], attr_as_real(call, 0));
            sum += (double)dy[i * C + c] * ((double)x[i * C + c] - m.mean) * m.root;
            sum_dy += (double)dy[i * C + c];
        }
        dweight[c] = call->accumulate ? dweight[c] + (real)sum : (real)sum;
        if (dbias) dbias[c] = call->accumulate ? dbias[c] + (real)sum_dy : (real)sum_dy;
    }
}
