// SPDX-License-Identifier: MIT
// GELU with tanh, without a branch; core/device/reference/gelu_tanh.c has the formulas.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/exponential.h"

static const real ROOT = (real)0.79788456080286536, CUBE = (real)0.044715;

// s and 1 - s at x, and the derivative of 2u.
typedef struct {
    real of, rest, slope;
} Gate;

static inline Gate gate_at(real x) {
    real u = 2 * ROOT * (x + CUBE * x * x * x), a = u < 0 ? -u : u;
    real e = exp_of_negative(a > EXP_LIMIT ? EXP_LIMIT : a);
    real high = 1 / (1 + e), low = e * high;
    return (Gate){u < 0 ? low : high, u < 0 ? high : low, 2 * ROOT * (1 + 3 * CUBE * x * x)};
}

void NAME(cpu_gelu_tanh)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * gate_at(x[i]).of;
}

void NAME(cpu_gelu_tanh_backward)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1);
    int64_t n = live_elements(input(call, 1));
    for (int64_t i = 0; i < n; i++) {
        Gate g = gate_at(x[i]);
        real bend = g.of * g.rest, part = x[i] * bend * g.slope;
        dx[i] = dy[i] * (g.of + (bend != 0 ? part : 0));
    }
}
