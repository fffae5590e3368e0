// SPDX-License-Identifier: MIT
// GELU by its approximation with tanh (Hendrycks and Gimpel, arXiv:1606.08415), which GPT-2 has:
//   y  = x (1 + tanh u) / 2 = x s       u = sqrt(2 / pi) (x + 0.044715 x^3), s = 1 / (1 + exp(-2u))
//   dx = dy (s + x s (1 - s) 2 u')     u' = sqrt(2 / pi) (1 + 3 0.044715 x^2)
// s and 1 - s, which is s at -u, keep all digits where tanh is near 1. The arithmetic is in f64 for
// f32 as well, and rounded once.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

static const double ROOT = 0.79788456080286536, CUBE = 0.044715;

static double logistic(double x) { return 1 / (1 + exp(-x)); }
static double twice_u(double x) { return 2 * ROOT * (x + CUBE * x * x * x); }

void NAME(reference_gelu_tanh)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t e = 0; e < n; e++) y[e] = (real)((double)x[e] * logistic(twice_u((double)x[e])));
}

void NAME(reference_gelu_tanh_backward)(const KernelCall *call) {
    real *dx = output_data(call, 0);
    const real *dy = input_data(call, 0), *x = input_data(call, 1);
    int64_t n = live_elements(input(call, 1));
    for (int64_t e = 0; e < n; e++) {
        double at = (double)x[e], u = twice_u(at), s = logistic(u);
        double slope = 2 * ROOT * (1 + 3 * CUBE * at * at), bend = s * logistic(-u);
        dx[e] = (real)((double)dy[e] * (s + (bend != 0 ? at * bend * slope : 0)));
    }
}
