// SPDX-License-Identifier: MIT
// The gated linear unit with SiLU (Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202):
//   y     = gate s up                            s = 1 / (1 + exp(-gate))
//   dgate = dy up s (1 + gate (1 - s))
//   dup   = dy gate s
// The arithmetic is in f64 for f32 as well, and rounded once.
#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

static double logistic(double x) { return 1 / (1 + exp(-x)); }

void NAME(reference_swiglu)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *gate = input_data(call, 0), *up = input_data(call, 1);
    int64_t n = live_elements(output(call, 0));
    for (int64_t e = 0; e < n; e++)
        y[e] = (real)((double)gate[e] * logistic((double)gate[e]) * (double)up[e]);
}

// 1 - s is the logistic function of -gate, which has all digits where s is near 1.
void NAME(reference_swiglu_backward)(const KernelCall *call) {
    real *dgate = output_data(call, 0), *dup = output_data(call, 1);
    const real *dy = input_data(call, 0), *gate = input_data(call, 1), *up = input_data(call, 2);
    int64_t n = live_elements(output(call, 0));
    for (int64_t e = 0; e < n; e++) {
        double g = (double)gate[e], s = logistic(g);
        dgate[e] = (real)((double)dy[e] * (double)up[e] * s * (1 + g * logistic(-g)));
        dup[e] = (real)((double)dy[e] * g * s);
    }
}
