// SPDX-License-Identifier: MIT
// The gated linear unit without a branch; core/device/reference/swiglu.c has the formulas.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/exponential.h"

// The logistic function of x and of -x, both with all digits.
typedef struct {
    real of, of_negative;
} Logistic;

static inline Logistic logistic(real x) {
    real a = x < 0 ? -x : x;
    real e = exp_of_negative(a > EXP_LIMIT ? EXP_LIMIT : a);
    real high = 1 / (1 + e), low = e * high;
    return (Logistic){x < 0 ? low : high, x < 0 ? high : low};
}

void NAME(cpu_swiglu)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict gate = input_data(call, 0), *restrict up = input_data(call, 1);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = gate[i] * logistic(gate[i]).of * up[i];
}

void NAME(cpu_swiglu_backward)(const KernelCall *call) {
    real *restrict dgate = output_data(call, 0), *restrict dup = output_data(call, 1);
    const real *restrict dy = input_data(call, 0), *restrict gate = input_data(call, 1),
                         *restrict up = input_data(call, 2);
    int64_t n = live_elements(output(call, 0));
    for (int64_t i = 0; i < n; i++) {
        real g = gate[i], d = dy[i];
        Logistic s = logistic(g);
        dgate[i] = d * up[i] * s.of * (1 + g * s.of_negative);
        dup[i] = d * g * s.of;
    }
}
