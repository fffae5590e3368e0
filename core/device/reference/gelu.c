// SPDX-License-Identifier: MIT
// The Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415), the exact one:
//   y  = x Phi(x)                       Phi(x) = erfc(-x / sqrt(2)) / 2
//   dx = dy (Phi(x) + x phi(x))         phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
// where phi and Phi are the density and the distribution of a standard normal variable. erfc, and
// not 1 + erf, which would lose every digit of a tail. The arithmetic is in f64 for f32 as well,
// and rounded once.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

static double below(double x) { return erfc(-x * sqrt(0.5)) / 2; }
static double density(double x) { return exp(-x * x / 2) * 0.39894228040143268; }  // 1 / sqrt(2 pi)

void NAME(reference_gelu)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t e = 0; e < n; e++) y[e] = (real)((double)x[e] * below((double)x[e]));
}

void NAME(reference_gelu_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    int64_t n = live_elements(input(call, 1));
    for (int64_t e = 0; e < n; e++) {
        double at = (double)x[e];
        dx[e] = (real)((double)dy[e] * (below(at) + at * density(at)));
    }
}
